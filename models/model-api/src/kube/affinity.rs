//! Affinity of pods to nodes and to other pods.

use super::selector::{LabelSelector, Requirement};

/// `PodSpec.affinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// `nodeAffinity`.
    pub node: NodeAffinity,
    /// `podAffinity.requiredDuringSchedulingIgnoredDuringExecution`.
    pub pod_required: Vec<PodAffinityTerm>,
    /// `podAffinity.preferredDuringSchedulingIgnoredDuringExecution`.
    pub pod_preferred: Vec<WeightedPodAffinityTerm>,
    /// `podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution`.
    pub pod_anti_required: Vec<PodAffinityTerm>,
    /// `podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution`.
    pub pod_anti_preferred: Vec<WeightedPodAffinityTerm>,
}

/// `affinity.nodeAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeAffinity {
    /// `requiredDuringSchedulingIgnoredDuringExecution`.
    pub required: Option<NodeSelector>,
    /// `preferredDuringSchedulingIgnoredDuringExecution`.
    pub preferred: Vec<PreferredSchedulingTerm>,
}

/// Terms of which one must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSelector {
    /// `nodeSelectorTerms`, ORed.
    pub terms: Vec<NodeSelectorTerm>,
}

/// Requirements all of which must hold; a term without any matches nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSelectorTerm {
    /// Requirements on labels.
    pub match_expressions: Vec<Requirement>,
    /// Requirements on fields; upstream knows `metadata.name` only.
    pub match_fields: Vec<Requirement>,
}

/// A term that adds its weight to the score of nodes it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreferredSchedulingTerm {
    /// 1 to 100.
    pub weight: i32,
    /// What must match.
    pub preference: NodeSelectorTerm,
}

/// Pods in relation to which a pod is placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodAffinityTerm {
    /// Which pods; `None` matches none.
    pub label_selector: Option<LabelSelector>,
    /// Namespaces by name.
    pub namespaces: Vec<String>,
    /// Namespaces by label; empty matches all, `None` none.
    pub namespace_selector: Option<LabelSelector>,
    /// Node label whose equal values mean "the same place".
    pub topology_key: String,
    /// Keys merged into the selector as `In` requirements by the API server.
    pub match_label_keys: Vec<String>,
    /// Keys merged into the selector as `NotIn` requirements by the API server.
    pub mismatch_label_keys: Vec<String>,
}

/// A preferred pod affinity term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedPodAffinityTerm {
    /// 1 to 100.
    pub weight: i32,
    /// The term.
    pub term: PodAffinityTerm,
}
