//! Passes of the pod garbage collector.

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::pod_gc::Collector;
use model_kube::taint_eviction::OUT_OF_SERVICE;

/// Pods and nodes go by their names.
type GcPod = model_kube::pod_gc::GcPod<String, String>;
type GcNode = model_kube::pod_gc::GcNode<String>;

/// How long a node must be missing: 40 s.
const QUARANTINE: SimSpan = SimSpan::from_secs(40);

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let threshold = case.given.at("config.terminatedPodGCThreshold").count() as usize;
    let missing = case.given.at("nodesMissingFromCache").texts();
    let mut nodes: Vec<GcNode> = case
        .objects("Node")
        .into_iter()
        .map(|node| GcNode { is_cached: !missing.contains(&object::name(node)), ..gc_node(node) })
        .collect();
    let mut pods: Vec<GcPod> = case.objects("Pod").into_iter().map(gc_pod).collect();
    let mut collector = Collector::new(threshold, QUARANTINE);
    let (mut deleted, mut failed) = (Vec::new(), Vec::new());
    let passes = case.given.at("gcPassesAt").items();
    let pass_count = passes.len();
    for (nth, at) in passes.enumerate() {
        if nth + 1 == pass_count {
            change(case.given.at("changesBeforeLastPass"), &mut nodes, &mut pods);
        }
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

fn gc_node(node: Tree<'_>) -> GcNode {
    GcNode {
        name: object::name(node),
        is_ready: object::is_ready(node),
        is_out_of_service: object::taints(node).iter().any(|it| it.key == OUT_OF_SERVICE),
        is_cached: true,
    }
}

/// Objects that come or change, and objects or names that go: `{added: [...], deleted: [...]}` with
/// any words for the two, a list of such, or a plain list of objects that come.
fn change(changes: Tree<'_>, nodes: &mut Vec<GcNode>, pods: &mut Vec<GcPod>) {
    if changes.is_list() {
        changes.items().for_each(|it| change(it, nodes, pods));
    } else if changes.at("kind").is_given() {
        apply("", changes, nodes, pods);
    } else {
        // `{operation: delete, object: {...}}`: the word is a value.
        let word = changes.fields().find(|(_, it)| GOING.iter().any(|word| it.text() == *word));
        let word = word.map_or("", |(_, word)| word.text());
        for (name, objects) in changes.fields() {
            let words = format!("{word} {}", name.to_lowercase());
            if objects.is_list() {
                objects.items().for_each(|it| apply(&words, it, nodes, pods));
            } else if objects.text().is_empty() || word.is_empty() {
                apply(&words, objects, nodes, pods);
            }
        }
    }
}

/// Words that say that something goes.
const GOING: [&str; 4] = ["delete", "deleted", "remove", "removed"];

/// One object, or its name, comes or goes as the words before it say.
fn apply(words: &str, object: Tree<'_>, nodes: &mut Vec<GcNode>, pods: &mut Vec<GcPod>) {
    let name = match object.at("metadata.name").text() {
        "" => object.text().to_owned(),
        name => name.to_owned(),
    };
    let is_pod = words.contains("pod") || object.at("kind").text() == "Pod";
    match (GOING.iter().any(|word| words.contains(word)), is_pod) {
        (true, true) => pods.retain(|pod| pod.name != name),
        (true, false) => nodes.retain(|node| node.name != name),
        (false, _) if object.at("kind").is_given() => put(object, nodes, pods),
        (false, _) => {
            nodes.retain(|node| node.name != name);
            nodes.push(GcNode { name, is_ready: true, is_cached: true, ..GcNode::default() });
        }
    }
}

/// An object comes, or replaces the one of its name.
fn put(object: Tree<'_>, nodes: &mut Vec<GcNode>, pods: &mut Vec<GcPod>) {
    let name = object::name(object);
    if object.at("kind").text() == "Pod" {
        pods.retain(|pod| pod.name != name);
        pods.push(gc_pod(object));
    } else {
        nodes.retain(|node| node.name != name);
        nodes.push(gc_node(object));
    }
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
