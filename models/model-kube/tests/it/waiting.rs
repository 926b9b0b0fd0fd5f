//! Pods that wait for a node, and what wakes them.

use model_api::Observation as O;
use model_api::kube::{
    NodeSelectorTerm, Operator, PodAffinityTerm, PreferredSchedulingTerm, Requirement,
};
use model_api::observation::UnschedulableReason;

use crate::world::{World, selector};

#[test]
fn room_is_taken_in_the_instant_in_which_it_is_there() {
    let world = World::read(
        "nodes 1 per zone a
         deployment early 2 cpu=4000
         deployment late 1 cpu=4000
         at 100 scale early 1",
    );
    let late = world.workload("late");
    let run = world.run(1, 600);
    let gone = run.times(|seen| matches!(seen, O::PodGone { .. }));
    let bound = run.times(|seen| matches!(seen, O::PodBound { workload, .. } if *workload == late));
    assert_eq!(gone, bound);
    assert_eq!(gone.len(), 1);
}

#[test]
fn a_pod_that_waits_costs_nothing_while_nothing_changes() {
    let world = World::read("nodes 1 per zone a\n deployment late 1 cpu=9000");
    let (hour, year) = (world.run(1, 3_600), world.run(1, 365 * 86_400));
    let refused = |seen: &O| {
        matches!(
            seen,
            O::PodBecameUnschedulable { reason: UnschedulableReason::NodeResourcesFit, .. }
        )
    };
    assert_eq!(year.times(refused).len(), 1);
    let counts = [&hour, &year].map(|run| run.simulation.stats().handled_count);
    assert_eq!(counts[0], counts[1]);
    assert!(counts[0] <= 3, "{counts:?}");
}

#[test]
fn a_node_that_comes_back_wakes_those_that_it_may_help() {
    // Each node has room for one; the second pod waits until its node is back and cleared.
    let world = World::read(
        "nodes 1 per zone a b
         deployment late 2 cpu=8000
         at 1 lose zone b
         at 900 restore zone b",
    );
    let run = world.run(1, 3_600);
    let bound = run.times(|seen| matches!(seen, O::PodBound { .. }));
    let later: Vec<f64> = bound.into_iter().filter(|at| *at > 0.0).collect();
    let gone = run.times(|seen| matches!(seen, O::PodGone { .. }));
    assert!(gone[0] > 900.0, "{gone:?}");
    assert_eq!(later, gone);
}

/// What Kubernetes cannot read: upstream's `Match`, `PreFilter` and `PreScore`.
#[test]
fn affinity_that_cannot_be_read_keeps_pods_waiting() {
    let ready = |zones: &str, change: fn(&mut model_api::kube::Affinity)| {
        let mut world = World::read(&format!("nodes 1 per zone {zones}\n deployment web 1"));
        change(&mut world.blueprint.workloads[0].template.spec.affinity);
        let run = world.run(1, 100);
        let cluster = run.cluster();
        cluster.pods_of(world.workload("web")).iter().any(|pod| cluster.pod(*pod).is_ready)
    };
    let prefers = |affinity: &mut model_api::kube::Affinity| {
        let (key, values) = ("cores".to_owned(), vec!["many".to_owned()]);
        let requirement = Requirement { key, operator: Operator::Gt, values };
        let preference =
            NodeSelectorTerm { match_expressions: vec![requirement], match_fields: Vec::new() };
        affinity.node.preferred.push(PreferredSchedulingTerm { weight: 1, preference });
    };
    assert!(ready("a", prefers), "a single node is not scored");
    assert!(!ready("a b", prefers));
    let keeps_off = |affinity: &mut model_api::kube::Affinity| {
        affinity.pod_anti_required.push(PodAffinityTerm {
            label_selector: Some(selector("no value")),
            topology_key: "kubernetes.io/hostname".to_owned(),
            ..PodAffinityTerm::default()
        });
    };
    assert!(!ready("a", keeps_off));
    assert!(ready("a", |_| {}));
}
