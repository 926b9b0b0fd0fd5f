//! On which nodes a DaemonSet wants a pod, and which of its pods a rolling update replaces.
//!
//! # Modelled
//! Node selector, required node affinity, node name and taints; rolling updates by taking pods away
//! first (`maxUnavailable`) or by adding pods first (`maxSurge`); the back-off before a pod that failed
//! makes room for another.
//! # Not modelled
//! Labels of nodes that change. Daemons that succeed (they are restarted for ever).
//! # Defaults and their sources
//! `pkg/controller/daemon/daemon_controller.go` (NodeShouldRunDaemonPod), `update.go`
//! (rollingUpdate), Kubernetes 1.36.
//! # Invariants
//! At most one pod a node; while pods are added first, at most two. An update takes away no
//! available pod beyond `maxUnavailable`.
//! # Checked against
//! The tests beside.

use model_api::kube::{IntOrPercent, Node, PodSpec, TaintEffect};
use sim_kernel::{SimSpan, SimTime};

use crate::crash_loop::{Backoff, BackoffConfig};

/// Of pods that failed on a node, one after the other: 1 s to 15 min
/// (cmd/kube-controller-manager/app/apps.go, newDaemonSetController, 1.36), forgotten after twice the
/// longest (client-go, util/flowcontrol/backoff.go).
pub const FAILED_POD_BACKOFF: BackoffConfig = BackoffConfig {
    initial: SimSpan::from_secs(1),
    longest: SimSpan::from_mins(15),
    reset_after: SimSpan::from_mins(30),
};

/// What is done about a pod that failed (`podsShouldBeOnNode`): it is deleted, which the back-off of
/// its node notes; or the controller looks again after a while, which is returned.
///
/// The back-off counts from the last deletion, and the while is all of it again.
pub fn wait_for_failed(backoff: &mut Backoff, now: SimTime) -> Option<SimSpan> {
    if backoff.runs_at(now, &FAILED_POD_BACKOFF) {
        return Some(backoff.delay());
    }
    backoff.next(now, now, &FAILED_POD_BACKOFF);
    None
}

/// Whether a pod of this template belongs on a node.
pub fn should_run(spec: &PodSpec, node: &Node) -> bool {
    let fits_name = spec.node_name.as_ref().is_none_or(|name| *name == node.name);
    let fits_selector =
        spec.node_selector.iter().all(|(key, value)| node.labels.get(key) == Some(value));
    let required = spec.affinity.node.required.as_ref();
    let fits_affinity = required
        .is_none_or(|it| it.terms.iter().any(|term| term.matches(&node.name, &node.labels)));
    let keeps_off = |effect| effect != TaintEffect::PreferNoSchedule;
    let tolerates_all = (node.taints.iter().filter(|taint| keeps_off(taint.effect)))
        .all(|taint| spec.tolerations.iter().any(|toleration| toleration.tolerates(taint)));
    fits_name && fits_selector && fits_affinity && tolerates_all
}

/// The pods of one node, without terminating ones, as an update sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodePods {
    /// The pod of an older template, if there is one: whether it is available.
    pub old: Option<bool>,
    /// The pod of the newest template, if there is one: whether it is available.
    pub new: Option<bool>,
}

/// What an update does, by position of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpdatePlan {
    /// Nodes whose old pod is deleted.
    pub delete_old: Vec<usize>,
    /// Nodes that get a new pod beside the old one.
    pub create_new: Vec<usize>,
}

/// `maxSurge` or `maxUnavailable` as a count of the wanted pods: percentages round up
/// (`UnavailableCount`, `SurgeCount`).
pub fn share_of(value: IntOrPercent, wanted: usize) -> usize {
    match value {
        IntOrPercent::Int(count) => usize::try_from(count).unwrap_or(0),
        IntOrPercent::Percent(percent) => {
            (usize::try_from(percent).unwrap_or(0) * wanted).div_ceil(100)
        }
    }
}

/// One step of a rolling update (`rollingUpdate`). `nodes` are those with pods, in the order in
/// which they are considered (upstream: that of a map, so any).
pub fn update(nodes: &[NodePods], max_surge: usize, max_unavailable: usize) -> UpdatePlan {
    if max_surge > 0 {
        update_by_surge(nodes, max_surge)
    } else {
        update_in_place(nodes, max_unavailable)
    }
}

fn update_in_place(nodes: &[NodePods], max_unavailable: usize) -> UpdatePlan {
    let (mut unavailable, mut replaced, mut candidates) = (0, Vec::new(), Vec::new());
    for (idx, pods) in nodes.iter().enumerate() {
        match (pods.old, pods.new) {
            // Somebody else creates or deletes there.
            (None, None) | (Some(_), Some(_)) | (None, Some(false)) => unavailable += 1,
            (None, Some(true)) => {}
            // A pod that does not work costs nothing.
            (Some(false), None) => replaced.push(idx),
            (Some(true), None) if unavailable >= max_unavailable => {}
            (Some(true), None) => candidates.push(idx),
        }
    }
    candidates.truncate(max_unavailable.saturating_sub(unavailable));
    replaced.append(&mut candidates);
    UpdatePlan { delete_old: replaced, create_new: Vec::new() }
}

fn update_by_surge(nodes: &[NodePods], max_surge: usize) -> UpdatePlan {
    let (mut surging, mut plan, mut candidates) = (0, UpdatePlan::default(), Vec::new());
    for (idx, pods) in nodes.iter().enumerate() {
        match (pods.old, pods.new) {
            (None, _) => {}
            (Some(false), None) => plan.create_new.push(idx),
            (Some(true), None) => candidates.push(idx),
            (Some(_), Some(true)) => plan.delete_old.push(idx),
            (Some(_), Some(false)) => surging += 1,
        }
    }
    candidates.truncate(max_surge.saturating_sub(surging));
    plan.create_new.append(&mut candidates);
    plan
}

#[cfg(test)]
mod tests {
    use model_api::kube::{
        Labels, NodeSelector, NodeSelectorTerm, Operator, Requirement, Toleration,
        TolerationOperator,
    };

    use super::*;
    use crate::taint_eviction::taint;

    const OLD: NodePods = NodePods { old: Some(true), new: None };
    const DONE: NodePods = NodePods { old: None, new: Some(true) };

    #[test]
    fn an_update_in_place_stays_within_what_may_be_unavailable() {
        let starting = NodePods { old: None, new: Some(false) };
        let broken = NodePods { old: Some(false), new: None };
        let deleted = |nodes: &[NodePods], most| update(nodes, 0, most).delete_old;
        assert_eq!(deleted(&[DONE, OLD, OLD, OLD], 2), [1, 2]);
        assert_eq!(deleted(&[starting, OLD, OLD], 2), [1]);
        assert_eq!(deleted(&[NodePods::default(), OLD, OLD], 1), []);
        assert_eq!(deleted(&[starting, OLD, broken], 1), [2], "a broken one costs nothing");
        assert_eq!(share_of(IntOrPercent::Percent(10), 11), 2);
    }

    #[test]
    fn an_update_by_surge_deletes_an_old_pod_when_the_new_one_works() {
        let both = |is_available| NodePods { old: Some(true), new: Some(is_available) };
        let plan = update(&[both(true), both(false), OLD, OLD], 2, 0);
        assert_eq!((plan.delete_old, plan.create_new), (vec![0], vec![2]));
    }
    #[test]
    fn pods_that_fail_in_a_row_wait_twice_as_long_each_time() {
        let (mut backoff, mut now) = (Backoff::default(), SimTime::from_secs(100));
        let mut waits = Vec::new();
        for _ in 0..13 {
            while let Some(wait) = wait_for_failed(&mut backoff, now) {
                waits.push(wait.as_secs());
                now += wait;
            }
            now += SimSpan::from_millis(300);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        let much_later = now + SimSpan::from_mins(31);
        assert_eq!(wait_for_failed(&mut backoff, much_later), None);
        let soon = much_later + SimSpan::from_millis(300);
        assert_eq!(wait_for_failed(&mut backoff, soon), Some(SimSpan::from_secs(1)));
    }

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
    /// What a term asks of labels and of fields holds together; a term that asks for nothing holds never.
    #[test]
    fn a_term_wants_all_that_it_names() {
        let wants = |key: &str, value: &str| Requirement {
            key: key.to_owned(),
            operator: Operator::In,
            values: vec![value.to_owned()],
        };
        let node = Node {
            name: "a-0".to_owned(),
            labels: Labels::from([("disk".to_owned(), "ssd".to_owned())]),
            ..Node::default()
        };
        let runs = |labels: &[(&str, &str)], names: &[&str]| {
            let term = NodeSelectorTerm {
                match_expressions: labels.iter().map(|(key, value)| wants(key, value)).collect(),
                match_fields: names.iter().map(|name| wants("metadata.name", name)).collect(),
            };
            let mut spec = PodSpec::default();
            spec.affinity.node.required = Some(NodeSelector { terms: vec![term] });
            should_run(&spec, &node)
        };
        assert!(runs(&[("disk", "ssd")], &["a-0"]) && runs(&[], &["a-0"]));
        assert!(!runs(&[("disk", "ssd")], &["a-1"]) && !runs(&[("disk", "hdd")], &["a-0"]));
        assert!(!runs(&[], &[]));
    }
}
