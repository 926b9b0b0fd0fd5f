//! On which nodes a DaemonSet wants a pod.
//!
//! # Modelled
//! Node selector, required node affinity, node name and taints.
//! # Not modelled
//! Rolling updates; pods that fail are replaced without back-off.
//! # Defaults and their sources
//! `pkg/controller/daemon/daemon_controller.go` (NodeShouldRunDaemonPod), Kubernetes 1.36.
//! # Invariants
//! At most one pod a node.
//! # Checked against
//! The tests beside.

use model_api::kube::{Labels, Node, NodeSelectorTerm, PodSpec, TaintEffect};

/// Whether a pod of this template belongs on a node.
pub fn should_run(spec: &PodSpec, node: &Node) -> bool {
    let fits_name = spec.node_name.as_ref().is_none_or(|name| *name == node.name);
    let fits_selector =
        spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
    let required = spec.affinity.node.required.as_ref();
    let fits_affinity =
        required.is_none_or(|selector| selector.terms.iter().any(|term| matches(term, node)));
    let keeps_off = |effect| effect != TaintEffect::PreferNoSchedule;
    let tolerates_all = (node.taints.iter().filter(|taint| keeps_off(taint.effect)))
        .all(|taint| spec.tolerations.iter().any(|toleration| toleration.tolerates(taint)));
    fits_name && fits_selector && fits_affinity && tolerates_all
}

fn matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    if term.match_expressions.is_empty() && term.match_fields.is_empty() {
        return false;
    }
    let fields = Labels::from([("metadata.name".to_owned(), node.name.clone())]);
    term.match_expressions.iter().all(|it| it.matches(&node.labels))
        && term.match_fields.iter().all(|it| it.matches(&fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::taint_eviction::taint;
    use model_api::kube::{Toleration, TolerationOperator};

    #[test]
    fn a_taint_keeps_a_daemon_off_unless_tolerated() {
        let node =
            Node { taints: vec![taint("dedicated", TaintEffect::NoSchedule)], ..Node::default() };
        let mut spec = PodSpec::default();
        assert!(!should_run(&spec, &node));
        spec.tolerations.push(Toleration {
            key: String::new(),
            operator: TolerationOperator::Exists,
            value: String::new(),
            effect: None,
            toleration: None,
        });
        assert!(should_run(&spec, &node));
    }
}
