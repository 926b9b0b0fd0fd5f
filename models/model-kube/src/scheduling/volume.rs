//! Volumes: where a pod's claims let it run.
//!
//! # Modelled
//! Bound claims by the node affinity of their volume (VolumeBinding) and by its zone labels
//! (VolumeZone); unbound claims of an `Immediate` class, of a `WaitForFirstConsumer` class with
//! `allowedTopologies` or volumes at hand; missing claims and volumes; attach limits a driver; claims
//! that one pod in the cluster may use (ReadWriteOncePod).
//! # Not modelled
//! CSIStorageCapacity, exclusive in-tree disks, VolumeAttachments that outlive their pod.
//! # Defaults and their sources
//! pkg/scheduler/framework/plugins/{volumerestrictions,nodevolumelimits,volumebinding,volumezone},
//! 1.36.
//! # Invariants
//! What is here depends on claims and nodes, never on other pods; what does is in the filters.
//! # Checked against
//! Upstream's tables for VolumeZone and runs of its default profile with volumes.

use model_api::kube::{Labels, NodeSelector, Operator, Requirement};
use model_api::observation::UnschedulableReason as Reason;

use super::catalog::{NodeFacts, put, selector_matches};

/// The claims of a pod, known to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumesId(pub(super) u32);

impl VolumesId {
    /// A pod without claims.
    pub const NONE: Self = Self(0);

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One claim of a pod as the scheduler finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// There is no such claim.
    Missing,
    /// It is bound.
    Bound(BoundClaim),
    /// It waits for a volume.
    Unbound(UnboundClaim),
}

/// A claim that is bound to a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundClaim {
    /// `namespace/name`; used to tell whether two pods share it. Empty when nothing asks.
    pub name: String,
    /// Its access mode is ReadWriteOncePod.
    pub is_read_write_once_pod: bool,
    /// The volume; `None` when the object does not exist.
    pub volume: Option<Volume>,
}

/// A persistent volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// `spec.nodeAffinity.required`.
    pub node_affinity: Option<NodeSelector>,
    /// `metadata.labels`.
    pub labels: Labels,
    /// CSI driver and handle, for attach limits.
    pub attachment: Option<(String, String)>,
}

/// A claim without a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnboundClaim {
    /// `namespace/name`.
    pub name: String,
    /// Its access mode is ReadWriteOncePod.
    pub is_read_write_once_pod: bool,
    /// What its class says.
    pub class: ClaimClass,
}

/// The storage class of an unbound claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimClass {
    /// The claim names none.
    Unnamed,
    /// The claim names one that does not exist.
    Missing,
    /// `volumeBindingMode: Immediate`.
    Immediate,
    /// `volumeBindingMode: WaitForFirstConsumer`.
    WaitForFirstConsumer {
        /// The driver, when it can make volumes.
        provisioner: Option<String>,
        /// `allowedTopologies`: terms of which one must hold; empty allows all nodes.
        allowed_topologies: Vec<Vec<Requirement>>,
        /// Node affinity of each existing volume that the claim could take.
        available: Vec<Option<NodeSelector>>,
        /// Annotation `volume.kubernetes.io/selected-node`.
        selected_node: Option<String>,
    },
}

impl Claim {
    /// A claim bound to a volume that can be used in one zone only.
    pub fn in_zone(zone: &str) -> Self {
        Self::in_one(ZONE, zone)
    }

    /// A claim whose volume a driver makes where its pod goes, in one of some zones.
    pub fn made_in(driver: &str, zones: Vec<String>) -> Self {
        let is_there = Requirement { key: ZONE.to_owned(), operator: Operator::In, values: zones };
        Self::Unbound(UnboundClaim {
            name: String::new(),
            is_read_write_once_pod: false,
            class: ClaimClass::WaitForFirstConsumer {
                provisioner: Some(driver.to_owned()),
                allowed_topologies: vec![vec![is_there]],
                available: Vec::new(),
                selected_node: None,
            },
        })
    }

    /// A claim whose volume a driver attaches, by the handle of the volume; of one zone, where it is bound
    /// to one.
    pub fn attached(driver: &str, handle: String, zone: Option<&str>) -> Self {
        let claim = zone.map_or_else(|| Self::Bound(BoundClaim::default()), Self::in_zone);
        let Self::Bound(mut claim) = claim else { return claim };
        let volume = claim.volume.get_or_insert_default();
        volume.attachment = Some((driver.to_owned(), handle));
        Self::Bound(claim)
    }

    /// A claim bound to a volume on the disks of one node: a local PersistentVolume has the host name
    /// of its node in its affinity.
    pub fn on_node(node: &str) -> Self {
        Self::in_one(HOSTNAME, node)
    }

    /// The same claim by its name, as one that a single pod in the cluster may use.
    #[must_use]
    pub fn of_one_pod(self, name: &str) -> Self {
        match self {
            Self::Bound(claim) => Self::Bound(BoundClaim {
                name: name.to_owned(),
                is_read_write_once_pod: true,
                volume: Some(claim.volume.unwrap_or_default()),
            }),
            other => other,
        }
    }

    fn in_one(label: &str, value: &str) -> Self {
        use model_api::kube::{NodeSelectorTerm, Operator};
        let requirement = Requirement {
            key: label.to_owned(),
            operator: Operator::In,
            values: vec![value.to_owned()],
        };
        let term =
            NodeSelectorTerm { match_expressions: vec![requirement], match_fields: Vec::new() };
        Self::Bound(BoundClaim {
            volume: Some(Volume {
                node_affinity: Some(NodeSelector { terms: vec![term] }),
                ..Volume::default()
            }),
            ..BoundClaim::default()
        })
    }

    /// Name of a claim that only one pod may use.
    fn exclusive_name(&self) -> Option<&str> {
        match self {
            Self::Bound(claim) if claim.is_read_write_once_pod => Some(&claim.name),
            Self::Unbound(claim) if claim.is_read_write_once_pod => Some(&claim.name),
            _ => None,
        }
    }

    /// Driver and identity of what is attached for it.
    fn attachment(&self) -> Option<(&str, &str)> {
        match self {
            Self::Missing => None,
            Self::Bound(claim) => {
                let attachment = claim.volume.as_ref()?.attachment.as_ref()?;
                Some((&attachment.0, &attachment.1))
            }
            Self::Unbound(claim) => match &claim.class {
                ClaimClass::WaitForFirstConsumer { provisioner: Some(driver), .. } => {
                    Some((driver, &claim.name))
                }
                _ => None,
            },
        }
    }
}

/// Label of a node's host name.
const HOSTNAME: &str = "kubernetes.io/hostname";
/// Current label of a node's zone.
pub(super) const ZONE: &str = "topology.kubernetes.io/zone";
/// Labels that VolumeZone compares, older ones first.
const ZONE_LABELS: [&str; 4] = [
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    ZONE,
    "topology.kubernetes.io/region",
];
/// Separates the values of a zone label (k8s.io/cloud-provider/volume/constants.go).
const ZONE_SEPARATOR: &str = "__";

/// Claims, and what each node is to them.
#[derive(Clone, Debug)]
pub(super) struct VolumeSet {
    claims: Vec<Claim>,
    /// By node: VolumeBinding passes.
    binds: Vec<bool>,
    /// By node: VolumeZone passes.
    is_in_zone: Vec<bool>,
}

impl VolumeSet {
    pub(super) fn new(claims: Vec<Claim>) -> Self {
        Self { claims, binds: Vec::new(), is_in_zone: Vec::new() }
    }

    pub(super) fn claims(&self) -> &[Claim] {
        &self.claims
    }

    pub(super) fn set_node(&mut self, node_idx: usize, facts: &NodeFacts) {
        let binds = self.claims.iter().all(|claim| binds(claim, facts));
        let is_in_zone = self.claims.iter().all(|claim| is_in_zone(claim, &facts.labels));
        put(&mut self.binds, node_idx, binds);
        put(&mut self.is_in_zone, node_idx, is_in_zone);
    }

    /// Whether a plugin refuses the pod before it looks at nodes (PreFilter).
    pub(super) fn is_refused_by(&self, plugin: Reason) -> bool {
        self.claims.iter().any(|claim| match plugin {
            Reason::VolumeRestrictions => matches!(claim, Claim::Missing),
            Reason::VolumeBinding => match claim {
                Claim::Missing => true,
                Claim::Bound(_) => false,
                Claim::Unbound(claim) => {
                    !matches!(claim.class, ClaimClass::WaitForFirstConsumer { .. })
                }
            },
            Reason::VolumeZone => match claim {
                Claim::Missing => true,
                Claim::Bound(claim) => claim.volume.is_none(),
                Claim::Unbound(claim) => {
                    !matches!(claim.class, ClaimClass::WaitForFirstConsumer { .. })
                }
            },
            _ => false,
        })
    }

    pub(super) fn binds(&self, node_idx: usize) -> bool {
        self.binds[node_idx]
    }

    pub(super) fn is_in_zone(&self, node_idx: usize) -> bool {
        self.is_in_zone[node_idx]
    }

    /// Names of claims that no other pod may use.
    pub(super) fn exclusive_names(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().filter_map(Claim::exclusive_name)
    }

    /// Names of all claims.
    pub(super) fn has_claim(&self, name: &str) -> bool {
        self.claims.iter().any(|claim| match claim {
            Claim::Missing => false,
            Claim::Bound(claim) => claim.name == name,
            Claim::Unbound(claim) => claim.name == name,
        })
    }

    /// Driver and identity of each volume to attach.
    pub(super) fn attachments(&self) -> impl Iterator<Item = (&str, &str)> {
        self.claims.iter().filter_map(Claim::attachment)
    }
}

/// volumebinding/binder.go, FindPodVolumes, 1.36.
fn binds(claim: &Claim, facts: &NodeFacts) -> bool {
    let is_reachable = |affinity: &Option<NodeSelector>| {
        affinity.as_ref().is_none_or(|selector| selector_matches(selector, facts))
    };
    match claim {
        Claim::Missing => false,
        Claim::Bound(claim) => {
            claim.volume.as_ref().is_some_and(|volume| is_reachable(&volume.node_affinity))
        }
        Claim::Unbound(claim) => match &claim.class {
            ClaimClass::Unnamed | ClaimClass::Missing | ClaimClass::Immediate => false,
            ClaimClass::WaitForFirstConsumer {
                provisioner,
                allowed_topologies,
                available,
                selected_node,
            } => {
                if selected_node.as_ref().is_some_and(|name| *name != facts.name) {
                    return false;
                }
                // Simplified: two claims of a pod may count on the same existing volume.
                let can_provision = provisioner.is_some()
                    && (allowed_topologies.is_empty()
                        || allowed_topologies
                            .iter()
                            .any(|term| term.iter().all(|it| it.matches(&facts.labels))));
                can_provision || available.iter().any(is_reachable)
            }
        },
    }
}

/// volumezone/volume_zone.go, Filter, 1.36: a node without any of the labels passes; a volume's
/// older label is compared with a node's newer one when the node lacks the older.
fn is_in_zone(claim: &Claim, labels: &Labels) -> bool {
    let Claim::Bound(BoundClaim { volume: Some(volume), .. }) = claim else { return true };
    if !ZONE_LABELS.iter().any(|key| labels.contains_key(*key)) {
        return true;
    }
    ZONE_LABELS.iter().all(|key| {
        let Some(wanted) = volume.labels.get(*key) else { return true };
        let mut values = wanted.split(ZONE_SEPARATOR).map(str::trim);
        if values.clone().any(str::is_empty) {
            return true; // What cannot be read is passed over.
        }
        let newer = key.replace("failure-domain.beta.kubernetes.io", "topology.kubernetes.io");
        let have = labels.get(*key).or_else(|| labels.get(&newer));
        have.is_some_and(|have| values.any(|value| value == have))
    })
}
