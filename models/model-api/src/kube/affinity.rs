//! Affinity of pods to nodes and to other pods.

use super::selector::{LabelSelector, Labels, Operator, Requirement};

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

/// Field that names a node.
const NODE_NAME_FIELD: &str = "metadata.name";

impl NodeSelectorTerm {
    /// Whether it matches a node: all of its requirements. One without any matches nothing, nor does
    /// one of which a part cannot be read (component-helpers `scheduling/corev1/nodeaffinity`,
    /// nodeSelectorTerm.match, 1.36).
    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        let has_name = |field: &Requirement| match field.operator {
            Operator::In => field.values.iter().any(|value| value == name),
            _ => field.values.iter().all(|value| value != name),
        };
        let asks = !self.match_expressions.is_empty() || !self.match_fields.is_empty();
        asks && self.is_readable()
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
            && self.match_fields.iter().all(has_name)
    }

    /// Whether all of its parts can be read: a field wants one value, In or NotIn
    /// (`nodeSelectorRequirementsAsFieldSelector`).
    pub fn is_readable(&self) -> bool {
        let is_field = |field: &Requirement| {
            field.key == NODE_NAME_FIELD
                && matches!(field.operator, Operator::In | Operator::NotIn)
                && field.values.len() == 1
        };
        self.match_expressions.iter().all(Requirement::is_readable)
            && self.match_fields.iter().all(is_field)
    }
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
