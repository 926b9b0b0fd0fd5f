//! Claims and classes of storage.

use super::secret::SecretStore;

/// `v1 PersistentVolumeClaim`, also as a template of a StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistentVolumeClaim {
    /// `metadata.namespace`; empty in a template.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.storageClassName`; `None` means the default class.
    pub storage_class: Option<String>,
    /// `spec.resources.requests.storage`.
    pub size_bytes: i64,
    /// `spec.accessModes` contains `ReadWriteMany`: the volume is not bound to one node.
    pub is_shared: bool,
    /// `spec.accessModes` is `ReadWriteOncePod`: one pod in the cluster may use it.
    pub is_of_one_pod: bool,
}

/// `storage.k8s.io/v1 StorageClass`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageClass {
    /// `metadata.name`.
    pub name: String,
    /// `provisioner`.
    pub provisioner: String,
    /// `volumeBindingMode`.
    pub binding_mode: VolumeBindingMode,
    /// Volumes live in one zone and can only be used there.
    pub is_zonal: bool,
    /// Volumes lie on disks of one node, can only be used there and are gone with it.
    pub is_local: bool,
    /// Who attaches its volumes to nodes.
    pub attacher: Attacher,
    /// Where the keys of its volumes are kept, when they are encrypted.
    pub key_store: SecretStore,
    /// `allowVolumeExpansion`.
    pub is_growable: bool,
    /// Zones that `allowedTopologies` names; empty allows all of them.
    pub allowed_zones: Vec<String>,
    /// Annotation `storageclass.kubernetes.io/is-default-class`.
    pub is_default: bool,
}

/// Who has to answer before a node has a volume that it did not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attacher {
    /// Nobody: it lies on the node.
    Nobody,
    /// Controllers of the cluster: its data is on machines of the cluster, or reached over a network.
    Cluster,
    /// The API of the cloud as well, which attaches block devices to machines.
    #[default]
    Cloud,
}

/// When a volume is chosen for a claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum VolumeBindingMode {
    #[default]
    Immediate,
    WaitForFirstConsumer,
}
