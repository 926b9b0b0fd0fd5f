//! What copies the volumes of a schedule of Velero, besides its server.
//!
//! # Sources
//! Velero 1.17. Files are read, and snapshots moved, by the pod of node-agent on the node of the pod
//! (`pkg/nodeagent/node_agent.go`, `pkg/podvolume/backupper.go`). CSI snapshots are taken by actions that are
//! there with `--features=EnableCSI` only (`pkg/cmd/server/plugin/plugin.go`), with a class that
//! `GetVolumeSnapshotClass` of `pkg/util/csi/volume_snapshot.go` chooses. What is missing leaves the volume out
//! and the backup `PartiallyFailed`: the API's objects are copied all the same.
//!
//! Simplified: pods that may stand on nodes with and without node-agent are taken as standing without.

use std::collections::BTreeMap;

use model_api::kube::{Workload, WorkloadKind};

use super::{Maker, Way};
use crate::diagnostic::{Code, Diagnostic};
use crate::lint::may_stand;
use crate::manifest::{Object, SnapshotClass, VeleroSchedule, is_node_agent};

/// Names the class of snapshots, on claims and classes of storage; a label with it marks the class itself.
const CLASS: &str = "velero.io/csi-volumesnapshot-class";

/// What is missing where volumes are to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lack {
    Agent,
    Feature,
    Class,
}

/// Workloads whose volumes are not copied, by what is missing.
pub(super) type Lacks = BTreeMap<Lack, Vec<String>>;

impl<'a> Maker<'a> {
    /// What is missing for a way of copying the volumes of a workload. Nothing is known to be, where the input
    /// has no server.
    pub(super) fn lack(
        &self,
        schedule: &VeleroSchedule,
        way: Way,
        workload: &Workload,
        object: &Object,
    ) -> Option<Lack> {
        let server = self.manifests.backups.servers.get(&schedule.namespace)?;
        let takes_csi = match way {
            Way::Files => false,
            Way::Snapshots => !self.takes_natively(schedule, &self.provisioner_of(workload)),
            Way::Moved => true,
        };
        if takes_csi && !server.has_csi {
            return Some(Lack::Feature);
        }
        let driver = self.provisioner_of(workload);
        let knows_driver = !driver.is_empty();
        if takes_csi && knows_driver && self.class_of(schedule, workload, object).is_none() {
            return Some(Lack::Class);
        }
        let needs_agent = way != Way::Snapshots;
        (needs_agent && !self.has_agent(schedule, workload)).then_some(Lack::Agent)
    }

    /// Whether a plugin of a VolumeSnapshotLocation takes snapshots of such volumes: those of the three large
    /// clouds know their own drivers, of others nothing is known.
    fn takes_natively(&self, schedule: &VeleroSchedule, driver: &str) -> bool {
        let named = &schedule.snapshot_locations;
        let locations = self.manifests.backups.snapshot_locations.iter().filter(|location| {
            location.namespace == schedule.namespace
                && (named.is_empty() || named.iter().any(|name| name.value == location.name))
        });
        let mut providers =
            locations.map(|it| it.provider.value.rsplit('/').next().unwrap_or_default());
        providers.any(|provider| match provider {
            "csi" => false,
            _ if driver.is_empty() => true,
            "aws" => ["ebs.csi.aws.com", "kubernetes.io/aws-ebs"].contains(&driver),
            "azure" => ["disk.csi.azure.com", "kubernetes.io/azure-disk"].contains(&driver),
            "gcp" => ["pd.csi.storage.gke.io", "kubernetes.io/gce-pd"].contains(&driver),
            _ => true,
        })
    }

    /// The class of snapshots of a workload's volumes: the one that its claim, its class of storage or the
    /// schedule names, else one with the label, else the default of the driver, else its only one.
    pub(super) fn class_of(
        &self,
        schedule: &VeleroSchedule,
        workload: &Workload,
        object: &Object,
    ) -> Option<&'a SnapshotClass> {
        let driver = self.provisioner_of(workload);
        let of_driver = || {
            let all = self.manifests.backups.snapshot_classes.iter();
            all.filter(|class| class.driver == driver)
        };
        let of_storage = self.storage_class_of(workload);
        let of_storage = of_storage.map(|class| self.manifests.object(class));
        let named = [
            claim_annotation(workload, object),
            of_storage.and_then(|it| it.annotation(CLASS)),
            schedule.snapshot_class_of(&driver),
        ];
        let named = named.into_iter().flatten();
        let mut found = named.filter_map(|name| {
            of_driver().find(|class| class.name.value.eq_ignore_ascii_case(name))
        });
        let only = || of_driver().next().filter(|_| of_driver().count() == 1);
        found
            .next()
            .or_else(|| of_driver().find(|class| class.is_veleros))
            .or_else(|| of_driver().find(|class| class.is_default))
            .or_else(only)
    }

    /// Whether a pod of node-agent stands on every node on which pods of a workload may.
    fn has_agent(&self, schedule: &VeleroSchedule, workload: &Workload) -> bool {
        let agents = self.manifests.workloads.iter().filter(|it| {
            it.value.namespace == schedule.namespace
                && matches!(it.value.kind, WorkloadKind::DaemonSet { .. })
                && is_node_agent(self.manifests.object(it))
        });
        let agents: Vec<_> = agents.map(|it| &it.value.template.spec).collect();
        let nodes = self.nodes.iter().map(|node| &node.node);
        let mut own = nodes.filter(|node| may_stand(&workload.template.spec, node));
        !agents.is_empty() && own.all(|node| agents.iter().any(|agent| may_stand(agent, node)))
    }

    /// Says what is not copied.
    pub(super) fn warn_of_lacks(&mut self, schedule: &VeleroSchedule, lacks: Lacks) {
        for (lack, workloads) in lacks {
            let whose = match workloads.as_slice() {
                [one] => one.clone(),
                [one, rest @ ..] => format!("{one} and {} more", rest.len()),
                [] => continue,
            };
            let (code, why, help) = match lack {
                Lack::Agent => (
                    Code::W0430,
                    "no node-agent runs on every node that their pods may be on",
                    "deploy node-agent (`deployNodeAgent: true` of the chart), with tolerations for the taints of those nodes",
                ),
                Lack::Feature => (
                    Code::W0431,
                    "the server runs without EnableCSI",
                    "add `--features=EnableCSI` to the arguments of the server",
                ),
                Lack::Class => (
                    Code::W0432,
                    "no VolumeSnapshotClass can be chosen for their driver",
                    "add one with their driver and the label `velero.io/csi-volumesnapshot-class`",
                ),
            };
            let message =
                format!("{}: volumes of {whose} are not copied: {why}", schedule.name.value);
            let diagnostic = Diagnostic::new(code, schedule.name.span, message).help(help);
            self.diagnostics.push(diagnostic);
        }
    }
}

/// The class of snapshots that the first claim of a StatefulSet names.
fn claim_annotation<'a>(workload: &Workload, object: &'a Object) -> Option<&'a str> {
    let is_set = matches!(workload.kind, WorkloadKind::StatefulSet { .. });
    let claim = is_set.then(|| object.find("spec.volumeClaimTemplates[0]"))??;
    claim.at(&["metadata", "annotations", CLASS])?.text()
}
