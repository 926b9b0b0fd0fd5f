//! Passes of the pod garbage collector.

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::pod_gc::{Collector, GcNode, GcPod};
use model_kube::taint_eviction::OUT_OF_SERVICE;

/// How long a node must be missing: 40 s.
const QUARANTINE: SimSpan = SimSpan::from_secs(40);

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let threshold = case.given.at("config.terminatedPodGCThreshold").count() as usize;
    let missing = case.given.at("nodesMissingFromCache").texts();
    let nodes: Vec<GcNode> = case
        .objects("Node")
        .into_iter()
        .map(|node| GcNode {
            name: object::name(node),
            is_ready: object::is_ready(node),
            is_out_of_service: object::taints(node).iter().any(|it| it.key == OUT_OF_SERVICE),
            is_cached: !missing.contains(&object::name(node)),
        })
        .collect();
    let mut pods: Vec<GcPod> = case.objects("Pod").into_iter().map(gc_pod).collect();
    let mut collector = Collector::new(threshold, QUARANTINE);
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    for at in case.given.at("gcPassesAt").items() {
        let removed = collector.pass(&pods, &nodes, at.time().unwrap_or(SimTime::ZERO));
        let mut names = Vec::new();
        for removal in &removed {
            let name = pods[removal.pod_idx].name.clone();
            if removal.is_failed_first {
                failed.push(name.clone());
            }
            names.push(name);
        }
        pods.retain(|pod| !names.contains(&pod.name));
        names.sort();
        deleted.push(names);
    }
    let lists = |tree: Tree<'_>| tree.items().map(Tree::texts).collect::<Vec<_>>();
    case.compare_if_given("deletedPodsPerPass", lists, deleted);
    failed.sort();
    case.compare_if_given("podsMarkedFailedFirst", Tree::texts, failed);
    Some(())
}

fn gc_pod(pod: Tree<'_>) -> GcPod {
    let node = pod.at("spec.nodeName").text();
    GcPod {
        name: object::name(pod),
        node: (!node.is_empty()).then(|| node.to_owned()),
        is_finished: object::is_finished(pod),
        is_evicted: pod.at("status.phase").text() == "Failed"
            && pod.at("status.reason").text() == "Evicted",
        is_terminating: object::is_terminating(pod),
        created_at: object::created_at(pod),
    }
}
