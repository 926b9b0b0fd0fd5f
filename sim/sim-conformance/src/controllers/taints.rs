//! Timelines of the taint-eviction controller.

use std::collections::BTreeMap;

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::taint_eviction::{Stay, stay};

/// Objects by kind and name, as they are at one moment.
struct Objects<'a> {
    nodes: BTreeMap<String, Tree<'a>>,
    pods: BTreeMap<String, Tree<'a>>,
}

impl<'a> Objects<'a> {
    fn apply(&mut self, object: Tree<'a>) {
        if object.at("kind").text() == "Node" {
            self.nodes.insert(object::name(object), object);
        } else {
            self.pods.insert(object::full_name(object), object);
        }
    }

    /// How long a pod stays where it is now; `None` when it is not on a tainted node.
    fn stay(&self, pod: Tree<'_>) -> Option<Stay> {
        let node = self.nodes.get(pod.at("spec.nodeName").text())?;
        let taints = object::taints(*node);
        let is_tainted =
            taints.iter().any(|taint| taint.effect == model_api::kube::TaintEffect::NoExecute);
        is_tainted.then(|| stay(&object::tolerations(pod), &taints))
    }
}

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let given = case.given;
    let start = given.at("startTime").time()?;
    let end = start + given.at("simulateSeconds").duration().unwrap_or(SimSpan::from_secs(400));
    let mut objects = Objects { nodes: BTreeMap::new(), pods: BTreeMap::new() };
    for object in given.at("objects").items() {
        objects.apply(object);
    }
    let mut updates: Vec<(SimTime, Tree<'_>)> = vec![(start, Tree::NULL)];
    for update in given.at("updates").items() {
        updates.push((update.at("at").time()?, update.at("objects")));
    }
    // An eviction that waits, by pod; and those that happened.
    let mut waiting: BTreeMap<String, SimTime> = BTreeMap::new();
    let mut deleted: BTreeMap<String, SimTime> = BTreeMap::new();
    for (at, changed) in updates {
        evict_until(at, &mut waiting, &mut deleted);
        for object in changed.items() {
            objects.apply(object);
        }
        for (name, pod) in &objects.pods {
            if deleted.contains_key(name) {
                continue;
            }
            match objects.stay(*pod) {
                None | Some(Stay::ForEver) => {
                    waiting.remove(name);
                }
                Some(Stay::Evicted) => {
                    waiting.insert(name.clone(), at);
                }
                // A timer that runs is neither lengthened nor shortened.
                Some(Stay::For(span)) => {
                    waiting.entry(name.clone()).or_insert(at + span);
                }
            }
        }
    }
    evict_until(end, &mut waiting, &mut deleted);
    let expected: BTreeMap<String, SimTime> = case
        .expect
        .at("podDeletions")
        .items()
        .map(|deletion| {
            let secs = deletion.at("atSeconds").duration().unwrap_or(SimSpan::ZERO);
            (deletion.at("pod").text().to_owned(), start + secs)
        })
        .collect();
    case.judge("podDeletions");
    let tolerance = case.expect.at("toleranceSeconds").duration().unwrap_or(SimSpan::ZERO);
    let is_near = |a: &SimTime, b: &SimTime| *a <= *b + tolerance && *b <= *a + tolerance;
    let is_same = expected.len() == deleted.len()
        && expected.iter().all(|(name, at)| deleted.get(name).is_some_and(|got| is_near(at, got)));
    if !is_same {
        let secs = |deletions: &BTreeMap<String, SimTime>| -> BTreeMap<String, f64> {
            let since = |at: &SimTime| at.saturating_since(start).as_secs_f64();
            deletions.iter().map(|(name, at)| (name.clone(), since(at))).collect()
        };
        case.compare_maps("podDeletions", &secs(&expected), &secs(&deleted));
    }
    let kept: Vec<String> =
        objects.pods.keys().filter(|name| !deleted.contains_key(*name)).cloned().collect();
    case.compare_if_given("podsKept", Tree::texts, kept);
    Some(())
}

/// Evictions that are due at `until` or before happen.
fn evict_until(
    until: SimTime,
    waiting: &mut BTreeMap<String, SimTime>,
    deleted: &mut BTreeMap<String, SimTime>,
) {
    waiting.retain(|name, at| {
        let is_due = *at <= until;
        if is_due {
            deleted.insert(name.clone(), *at);
        }
        !is_due
    });
}
