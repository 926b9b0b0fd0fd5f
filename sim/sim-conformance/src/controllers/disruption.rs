//! Syncs of a disruption budget, and evictions.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::UnhealthyPodEvictionPolicy;

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::disruption::{
    Admission, BudgetStatus, Demand, Entry, EvictionRequest, admit, entry, status,
};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    match case.operation() {
        "sync" => check_sync(case),
        "evict" => check_evict(case),
        _ => None,
    }
}

fn demand(budget: Tree<'_>) -> Demand {
    let value = |name: &str| object::int_or_percent(budget.at("spec").at(name));
    value("maxUnavailable")
        .map(Demand::MaxUnavailable)
        .or_else(|| value("minAvailable").map(Demand::MinAvailable))
        .unwrap_or(Demand::Nothing)
}

fn count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn selects(budget: Tree<'_>, pod: Tree<'_>) -> bool {
    let same_namespace =
        budget.at("metadata.namespace").text() == pod.at("metadata.namespace").text();
    let labels = object::labels(pod.at("metadata.labels"));
    let selector = object::selector(budget.at("spec.selector"));
    same_namespace && selector.is_some_and(|it| it.matches(&labels))
}

/// The sum of the scales of the distinct controllers of pods; the scale of a ReplicaSet that
/// belongs to a Deployment is the Deployment's. `None` when a controller has none: the sync fails
/// (pkg/controller/disruption/disruption.go, getExpectedScale, 1.36).
fn scale(case: &Case<'_>, pods: &[Tree<'_>]) -> Option<i32> {
    let all = case.given.at("objects").items();
    // An owner is in the namespace of what it owns.
    let find = |owner: &str, owned: Tree<'_>| {
        let namespace = owned.at("metadata.namespace").text().to_owned();
        all.clone().find(|it| {
            it.at("metadata.namespace").text() == namespace
                && format!("{}/{}", it.at("kind").text(), object::name(*it)) == owner
        })
    };
    let mut scales: BTreeMap<String, i32> = BTreeMap::new();
    for (pod, owner) in pods.iter().filter_map(|pod| Some((*pod, object::controller(*pod)?))) {
        let mut found = find(&owner, pod)?;
        let mut name = owner;
        let parent = object::controller(found).filter(|it| it.starts_with("Deployment/"));
        if let Some((parent, deployment)) =
            parent.and_then(|it| Some((it.clone(), find(&it, found)?)))
        {
            (found, name) = (deployment, parent);
        }
        scales.insert(name, i32::try_from(found.at("spec.replicas").int()?).ok()?);
    }
    Some(scales.values().sum())
}

fn check_sync(case: &mut Case<'_>) -> Option<()> {
    let now = case.given.at("now").time()?;
    let budgets = case.objects("PodDisruptionBudget");
    let budget = *budgets.first()?;
    let pods: Vec<Tree<'_>> =
        case.objects("Pod").into_iter().filter(|pod| selects(budget, *pod)).collect();
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    for (name, at) in budget.at("status.disruptedPods").fields() {
        let at = at.time()?;
        if let Some(pod) = pods.iter().find(|pod| object::name(**pod) == name) {
            entries.insert(name.to_owned(), entry(at, object::is_terminating(*pod), now));
        }
    }
    let is_healthy = |pod: Tree<'_>| {
        let is_gone = entries.get(&object::name(pod)) == Some(&Entry::Kept { is_gone: true });
        object::is_ready(pod) && !object::is_terminating(pod) && !is_gone
    };
    let healthy = pods.iter().filter(|pod| is_healthy(**pod)).count();
    let demand = demand(budget);
    let scale = if demand.counts_scale() { scale(case, &pods) } else { Some(0) };
    let stale_count = entries.values().filter(|it| **it == Entry::Stale).count();
    check_events(case, &pods, demand, scale.map(|_| stale_count));
    let left: Vec<String> = match scale {
        Some(scale) => {
            let got = status(demand, count(pods.len()), scale, count(healthy));
            check_status(case, &got);
            check_condition(case, "condition", got.disruptions_allowed);
            let is_kept = |it: &Entry| matches!(it, Entry::Kept { .. });
            entries.into_iter().filter(|(_, it)| is_kept(it)).map(|(name, _)| name).collect()
        }
        // Nothing is known to be safe, and what was known is left as it was (failSafe).
        None => {
            let before = budget.at("status");
            check_status(case, &BudgetStatus { disruptions_allowed: 0, ..status_of(before) });
            compare_condition(case, "condition", "False", "SyncFailed");
            before.at("disruptedPods").fields().map(|(name, _)| name.to_owned()).collect()
        }
    };
    case.compare_if_given("disruptedPodsLeft", Tree::texts, left);
    Some(())
}

fn check_status(case: &mut Case<'_>, got: &BudgetStatus) {
    let fields = [
        ("status.currentHealthy", got.current_healthy),
        ("status.desiredHealthy", got.desired_healthy),
        ("status.expectedPods", got.expected_pods),
        ("status.disruptionsAllowed", got.disruptions_allowed),
    ];
    for (name, value) in fields {
        case.compare_if_given(name, Tree::int32, value);
    }
}

/// Reasons of the events of a sync: as text, or as fields of events (trySync). `stale_count` are
/// pods that were not deleted in time; they are looked at when the scale is known.
fn check_events(
    case: &mut Case<'_>,
    pods: &[Tree<'_>],
    demand: Demand,
    stale_count: Option<usize>,
) {
    let is_unmanaged = |pod: &Tree<'_>| object::controller(*pod).is_none();
    let mut reasons = Vec::new();
    if pods.is_empty() {
        reasons.push("NoPods".to_owned());
    }
    if stale_count.is_none() {
        reasons.push("CalculateExpectedPodCountFailed".to_owned());
    } else if demand.counts_scale() && pods.iter().any(is_unmanaged) {
        reasons.push("UnmanagedPods".to_owned());
    }
    reasons.extend(vec!["NotDeleted".to_owned(); stale_count.unwrap_or(0)]);
    let read = |events: Tree<'_>| -> Vec<String> {
        let reason = |event: Tree<'_>| match event.at("reason").text() {
            "" => event.text().to_owned(),
            reason => reason.to_owned(),
        };
        events.items().map(reason).collect()
    };
    case.compare_if_given("events", read, reasons);
}

/// The DisruptionAllowed condition that goes with a number of allowed disruptions.
fn check_condition(case: &mut Case<'_>, name: &str, disruptions_allowed: i32) {
    let (status, reason) = if disruptions_allowed > 0 {
        ("True", "SufficientPods")
    } else {
        ("False", "InsufficientPods")
    };
    compare_condition(case, name, status, reason);
}

fn compare_condition(case: &mut Case<'_>, name: &str, status: &str, reason: &str) {
    let read =
        |tree: Tree<'_>| (tree.at("status").text().to_owned(), tree.at("reason").text().to_owned());
    case.compare_if_given(name, read, (status.to_owned(), reason.to_owned()));
}

fn status_of(status: Tree<'_>) -> BudgetStatus {
    BudgetStatus {
        current_healthy: status.at("currentHealthy").int32(),
        desired_healthy: status.at("desiredHealthy").int32(),
        expected_pods: status.at("expectedPods").int32(),
        disruptions_allowed: status.at("disruptionsAllowed").int32(),
    }
}

fn check_evict(case: &mut Case<'_>) -> Option<()> {
    let name = case.given.at("request.metadata.name").text().to_owned();
    let pods = case.objects("Pod");
    let Some(pod) = pods.iter().copied().find(|pod| object::name(*pod) == name) else {
        case.compare_if_given("result", |it| it.text().to_owned(), "NotFound".to_owned());
        case.compare_if_given("httpStatus", Tree::int, Some(404));
        case.compare_if_given("pdbStatusUnchanged", Tree::is_true, true);
        return Some(());
    };
    // In these cases every budget of the namespace is meant to select the pod.
    let budgets = case.objects("PodDisruptionBudget");
    let selecting: Vec<Tree<'_>> =
        budgets.into_iter().filter(|budget| selects(*budget, pod)).collect();
    let budget = selecting.first().copied();
    let is_pending = pod.at("status.phase").text() == "Pending";
    let request = EvictionRequest {
        ignores_budgets: is_pending || object::is_finished(pod) || object::is_terminating(pod),
        is_ready: object::is_ready(pod),
        budget_count: selecting.len(),
        disrupted_count: budget.map_or(0, |it| it.at("status.disruptedPods").fields().count()),
    };
    let policy = match budget.map(|it| it.at("spec.unhealthyPodEvictionPolicy").text()) {
        Some("AlwaysAllow") => UnhealthyPodEvictionPolicy::AlwaysAllow,
        _ => UnhealthyPodEvictionPolicy::IfHealthyBudget,
    };
    let before = budget.map(|it| status_of(it.at("status")));
    let is_current = budget.is_none_or(|it| {
        let generation = |path: &str| it.at(path).int().unwrap_or(0);
        generation("status.observedGeneration") >= generation("metadata.generation")
    });
    let admission = admit(request, policy, before.as_ref(), is_current);
    let (result, code) = match admission {
        Admission::Free | Admission::Charged => ("podDeleted", 201),
        Admission::TooManyRequests => ("TooManyRequests", 429),
        Admission::Forbidden => ("Forbidden", 403),
        Admission::SeveralBudgets => ("InternalError", 500),
    };
    case.compare_if_given("result", |it| it.text().to_owned(), result.to_owned());
    case.compare_if_given("httpStatus", Tree::int, Some(code));
    // A dry run asks all budgets and writes nothing (checkAndDecrement).
    let is_dry = ["deleteOptions", "options"]
        .iter()
        .any(|it| case.given.at("request").at(it).at("dryRun").items().len() > 0);
    let is_charged = admission == Admission::Charged && !is_dry;
    case.compare_if_given("pdbStatusUnchanged", Tree::is_true, !is_charged);
    if is_charged {
        let left = before.map_or(0, |before| before.disruptions_allowed - 1);
        case.compare_if_given("pdbStatusAfter.disruptionsAllowed", Tree::int32, left);
        let known = budget.map(|it| it.at("status.disruptedPods"));
        let known = known.into_iter().flat_map(Tree::fields).map(|(name, _)| name.to_owned());
        let entered: BTreeSet<String> = known.chain([name]).collect();
        let read = |it: Tree<'_>| it.texts().into_iter().collect();
        case.compare_if_given("pdbStatusAfter.disruptedPods", read, entered);
        check_condition(case, "pdbConditionAfter", left);
    }
    Some(())
}
