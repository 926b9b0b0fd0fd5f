//! Claims, storage classes, disruption budgets.

use k8s_openapi::api::{core, policy, storage};
use model_api::kube::{
    Attacher, PersistentVolumeClaim, PodDisruptionBudget, ResourceList, SecretStore, StorageClass,
    UnhealthyPodEvictionPolicy, VolumeBindingMode,
};

use super::Reader;

/// Zones that `allowedTopologies` allows; none where it allows all of them. Drivers have names of their own for
/// the key of a zone (`topology.ebs.csi.aws.com/zone`), which all end alike.
fn allowed_zones(class: &storage::v1::StorageClass) -> Vec<String> {
    let mut zones = Vec::new();
    for term in class.allowed_topologies.iter().flatten() {
        let expressions = term.match_label_expressions.iter().flatten();
        let mut of_zones = expressions.filter(|it| it.key.ends_with("/zone")).peekable();
        if of_zones.peek().is_none() {
            return Vec::new();
        }
        zones.extend(of_zones.flat_map(|it| it.values.clone()));
    }
    zones.sort_unstable();
    zones.dedup();
    zones
}

impl Reader<'_> {
    pub(crate) fn claim(
        &mut self,
        path: &str,
        claim: &core::v1::PersistentVolumeClaim,
    ) -> PersistentVolumeClaim {
        let spec = claim.spec.clone().unwrap_or_default();
        let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
        let requests_path = format!("{prefix}spec.resources.requests");
        let requests = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let requests: ResourceList = self.resources(&requests_path, requests);
        let modes = spec.access_modes.unwrap_or_default();
        if modes.is_empty() {
            self.refuse(&format!("{prefix}spec.accessModes"), "must not be empty");
        }
        let is_of_one_pod = modes.iter().any(|mode| mode == "ReadWriteOncePod");
        if is_of_one_pod && modes.len() > 1 {
            let message = "must not name ReadWriteOncePod beside another mode";
            self.refuse(&format!("{prefix}spec.accessModes"), message);
        }
        PersistentVolumeClaim {
            namespace: self.object.key.namespace.clone(),
            name: claim.metadata.name.clone().unwrap_or_default(),
            storage_class: spec.storage_class_name,
            size_bytes: requests.get("storage").unwrap_or(0),
            is_shared: modes.iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadOnlyMany"),
            is_of_one_pod,
        }
    }

    pub(crate) fn storage_class(&mut self, class: &storage::v1::StorageClass) -> StorageClass {
        let annotations = class.metadata.annotations.as_ref();
        let is_default = annotations
            .and_then(|all| all.get("storageclass.kubernetes.io/is-default-class"))
            .is_some_and(|value| value == "true");
        StorageClass {
            name: self.object.key.name.clone(),
            provisioner: class.provisioner.clone(),
            binding_mode: self.choice(
                "volumeBindingMode",
                class.volume_binding_mode.as_deref(),
                VolumeBindingMode::Immediate,
                &[
                    ("Immediate", VolumeBindingMode::Immediate),
                    ("WaitForFirstConsumer", VolumeBindingMode::WaitForFirstConsumer),
                ],
            ),
            is_zonal: !is_shared_provisioner(&class.provisioner),
            is_local: is_local_provisioner(&class.provisioner),
            attacher: attacher_of(&class.provisioner),
            // The resolver looks it up.
            key_store: SecretStore::Elsewhere,
            allowed_zones: allowed_zones(class),
            is_growable: class.allow_volume_expansion.unwrap_or(false),
            is_default,
        }
    }

    pub(crate) fn budget(
        &mut self,
        spec: &policy::v1::PodDisruptionBudgetSpec,
    ) -> PodDisruptionBudget {
        if spec.min_available.is_some() && spec.max_unavailable.is_some() {
            self.refuse("spec.minAvailable", "and maxUnavailable must not both be set");
        }
        PodDisruptionBudget {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            selector: spec
                .selector
                .as_ref()
                .map(|selector| self.label_selector("spec.selector", selector)),
            min_available: spec
                .min_available
                .as_ref()
                .map(|value| self.int_or_percent("spec.minAvailable", value)),
            max_unavailable: spec
                .max_unavailable
                .as_ref()
                .map(|value| self.int_or_percent("spec.maxUnavailable", value)),
            unhealthy_pods: self.choice(
                "spec.unhealthyPodEvictionPolicy",
                spec.unhealthy_pod_eviction_policy.as_deref(),
                UnhealthyPodEvictionPolicy::IfHealthyBudget,
                &[
                    ("IfHealthyBudget", UnhealthyPodEvictionPolicy::IfHealthyBudget),
                    ("AlwaysAllow", UnhealthyPodEvictionPolicy::AlwaysAllow),
                ],
            ),
            origin: self.origin(),
        }
    }
}

/// Provisioners whose volumes lie on disks of nodes: local PersistentVolumes, the local path provisioner
/// of Rancher, TopoLVM, the local engines of OpenEBS, host paths.
fn is_local_provisioner(provisioner: &str) -> bool {
    const LOCAL: [&str; 8] = [
        "kubernetes.io/no-provisioner",
        "local-path",
        "topolvm",
        "openebs.io/local",
        "local.csi.openebs.io",
        "zfs.csi.openebs.io",
        "device.csi.openebs.io",
        "hostpath",
    ];
    LOCAL.iter().any(|part| provisioner.contains(part))
}

/// Who attaches the volumes of a provisioner. Those that keep their data on machines of the cluster, or lead
/// to a server in a network, ask no cloud.
fn attacher_of(provisioner: &str) -> Attacher {
    const OF_CLUSTER: [&str; 9] = [
        "rbd.csi.ceph.com",
        "driver.longhorn.io",
        "linstor.csi.linbit.com",
        "csi-mayastor",
        "cstor.csi.openebs.io",
        "portworx",
        "storageos",
        "iscsi",
        "nvmf",
    ];
    if is_local_provisioner(provisioner) {
        return Attacher::Nobody;
    }
    let is_of_cluster = is_shared_provisioner(provisioner)
        || OF_CLUSTER.iter().any(|part| provisioner.contains(part));
    if is_of_cluster { Attacher::Cluster } else { Attacher::Cloud }
}

/// Provisioners whose volumes can be used in every zone.
///
/// Simplified: file systems and object stores are taken as regional, block devices as bound to the
/// zone in which they were made; a replicated block backend has to be named here.
fn is_shared_provisioner(provisioner: &str) -> bool {
    const SHARED: [&str; 6] = ["nfs", "cephfs", "efs.csi", "file.csi", "filestore", "manila"];
    SHARED.iter().any(|part| provisioner.contains(part))
}
