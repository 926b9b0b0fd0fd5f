//! Syncs of a StatefulSet.

use model_api::kube::IntOrPercent;
use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::stateful_set::{SetPod, SetSpec, Step, max_unavailable, sync};

/// Syncs after which a StatefulSet that still changes is taken to never stop.
const SYNC_COUNT_MAX: u32 = 100;

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let sets = case.objects("StatefulSet");
    let set = *sets.first()?;
    match case.operation() {
        "sync" => check_sync(case, set),
        "syncUntilStable" => check_until_stable(case, set),
        "maxUnavailable" => {
            let value = set.at("spec.updateStrategy.rollingUpdate.maxUnavailable");
            let value = object::int_or_percent(value).unwrap_or(IntOrPercent::Int(1));
            let got = max_unavailable(value, set.at("spec.replicas").count());
            case.compare("maxUnavailablePods", case.expect.at("maxUnavailablePods").count(), got);
        }
        _ => return None,
    }
    Some(())
}

/// Upstream 1.36 has the gate of `maxUnavailable` off.
fn spec(case: &Case<'_>, set: Tree<'_>) -> SetSpec {
    let is_gate_on = case.given.at("featureGates.MaxUnavailableStatefulSet").is_true();
    let strategy = set.at("spec.updateStrategy");
    SetSpec {
        replicas: set.at("spec.replicas").count(),
        start: set.at("spec.ordinals.start").count(),
        partition: strategy.at("rollingUpdate.partition").count(),
        current_replicas: (!strategy.at("rollingUpdate").is_given())
            .then(|| set.at("status.currentReplicas").count()),
        is_parallel: set.at("spec.podManagementPolicy").text() == "Parallel",
        is_on_delete: strategy.at("type").text() == "OnDelete",
        max_unavailable: is_gate_on.then(|| {
            let value = object::int_or_percent(strategy.at("rollingUpdate.maxUnavailable"));
            value.map_or(1, |value| max_unavailable(value, set.at("spec.replicas").count()))
        }),
    }
}

fn revision<'a>(object: Tree<'a>) -> &'a str {
    object.at("metadata.labels").field("controller-revision-hash").text()
}

fn pods(case: &Case<'_>, set: Tree<'_>, now: SimTime) -> Vec<SetPod> {
    let min_ready = set.at("spec.minReadySeconds").duration().unwrap_or(SimSpan::ZERO);
    let update = set.at("status.updateRevision").text();
    let current = set.at("status.currentRevision").text();
    let pod = |pod: Tree<'_>| {
        let ordinal = object::name(pod).rsplit('-').next().and_then(|last| last.parse().ok());
        let is_ready = object::is_ready(pod) && pod.at("status.phase").text() == "Running";
        let since =
            object::condition(pod, "Ready").and_then(|it| it.at("lastTransitionTime").time());
        let lasted = since.map_or(SimSpan::ZERO, |since| now.saturating_since(since));
        SetPod {
            ordinal: ordinal.unwrap_or(0),
            is_finished: object::is_finished(pod),
            is_terminating: object::is_terminating(pod),
            is_ready,
            is_available: is_ready && lasted >= min_ready,
            is_updated: revision(pod) == update,
            is_current: revision(pod) == current,
        }
    };
    let mut pods: Vec<SetPod> = case.objects("Pod").into_iter().map(pod).collect();
    pods.sort_by_key(|pod| pod.ordinal);
    pods
}

fn check_sync(case: &mut Case<'_>, set: Tree<'_>) {
    let now = case.given.at("now").time().unwrap_or(SimTime::ZERO);
    let (name, spec) = (object::name(set), spec(case, set));
    let current = set.at("status.currentRevision").text();
    let update = set.at("status.updateRevision").text();
    let (mut created, mut deleted) = (Vec::new(), Vec::new());
    for step in sync(&spec, &pods(case, set, now)) {
        match step {
            Step::Create { ordinal, is_updated } => {
                let revision = if is_updated { update } else { current };
                created.push((format!("{name}-{ordinal}"), revision.to_owned()));
            }
            Step::Delete { ordinal } | Step::Replace { ordinal } => {
                deleted.push(format!("{name}-{ordinal}"));
            }
        }
    }
    let expected: Vec<(String, String)> = case
        .expect
        .at("createdPods")
        .items()
        .map(|pod| (pod.at("pod").text().to_owned(), pod.at("revision").text().to_owned()))
        .collect();
    case.compare("createdPods", expected, created);
    case.compare("deletedPods", case.expect.at("deletedPods").texts(), deleted);
}

/// Syncs until nothing changes; every pod becomes ready in between.
fn check_until_stable(case: &mut Case<'_>, set: Tree<'_>) {
    let (name, spec) = (object::name(set), spec(case, set));
    let mut pods = pods(case, set, SimTime::MAX);
    for _ in 0..SYNC_COUNT_MAX {
        let steps = sync(&spec, &pods);
        if steps.is_empty() {
            break;
        }
        for step in steps {
            match step {
                Step::Create { ordinal, is_updated } => pods.push(SetPod {
                    ordinal,
                    is_ready: true,
                    is_available: true,
                    is_updated,
                    ..SetPod::default()
                }),
                Step::Delete { ordinal } | Step::Replace { ordinal } => {
                    pods.retain(|pod| pod.ordinal != ordinal);
                }
            }
        }
        pods.sort_by_key(|pod| pod.ordinal);
    }
    let image = |containers: Tree<'_>| {
        let first = containers.items().next();
        first.map_or_else(String::new, |first| object::text(first, "image"))
    };
    let new = image(set.at("spec.template.spec.containers"));
    let old = case
        .objects("Pod")
        .iter()
        .map(|pod| image(pod.at("spec.containers")))
        .find(|image| *image != new)
        .unwrap_or_default();
    let images: Vec<(String, String)> = pods
        .iter()
        .map(|pod| {
            let image = if pod.is_updated { &new } else { &old };
            (format!("{name}-{}", pod.ordinal), image.clone())
        })
        .collect();
    let expected: Vec<(String, String)> =
        object::labels(case.expect.at("finalImages")).into_iter().collect();
    case.compare("finalImages", expected, images);
}
