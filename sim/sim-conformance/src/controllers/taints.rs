//! Timelines of the taint-eviction controller.

use std::collections::BTreeMap;

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::taint_eviction::{Review, Stay, review, stay};

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

    /// How long a pod stays where it is now; a pod without a node has nowhere to go.
    fn stay(&self, pod: Tree<'_>) -> Stay {
        let node = self.nodes.get(pod.at("spec.nodeName").text());
        node.map_or(Stay::ForEver, |node| stay(&object::tolerations(pod), &object::taints(*node)))
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
    let mut waiting: BTreeMap<String, Waiting> = BTreeMap::new();
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
            let set_at = waiting.get(name).map(|it| it.set_at);
            match review(objects.stay(*pod), set_at, at) {
                Review::Kept => {}
                Review::Cancelled => drop(waiting.remove(name)),
                Review::SetIn(span) => {
                    waiting.insert(name.clone(), Waiting { set_at: at, due_at: at + span });
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

/// An eviction that waits.
struct Waiting {
    set_at: SimTime,
    due_at: SimTime,
}

/// Evictions that are due at `until` or before happen.
fn evict_until(
    until: SimTime,
    waiting: &mut BTreeMap<String, Waiting>,
    deleted: &mut BTreeMap<String, SimTime>,
) {
    waiting.retain(|name, it| {
        let is_due = it.due_at <= until;
        if is_due {
            deleted.insert(name.clone(), it.due_at);
        }
        !is_due
    });
}
