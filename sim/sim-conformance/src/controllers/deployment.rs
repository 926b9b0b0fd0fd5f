//! Rolling updates, scaling and progress of a Deployment.

use std::collections::BTreeMap;

use model_api::kube::IntOrPercent;
use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::deployment::{
    DeploymentSpec, DeploymentStatus, Progress, ProgressReason, Revision, clean_up_unhealthy,
    fenceposts, is_complete, is_progressing, new_size, reconcile_new, reconcile_old, scale,
    scale_down_old, sync_rolling,
};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let deployments = case.objects("Deployment");
    let deployment = *deployments.first()?;
    let spec = spec(deployment);
    match case.operation() {
        "reconcileNewReplicaSet" => check_sizes(case, &spec, |spec, old, new| {
            new.is_some_and(|new| reconcile_new(spec, old, new))
        }),
        "reconcileOldReplicaSets" => check_sizes(case, &spec, |spec, old, new| {
            let none = Revision::default();
            reconcile_old(spec, old, new.map_or(&none, |new| new))
        }),
        "scaleDownOldReplicaSetsForRollingUpdate" => check_all_old(case, |case, all| {
            let is_scaled = scale_down_old(&spec, all, 0) > 0;
            case.compare("scaled", case.expect.at("scaled").is_true(), is_scaled);
        }),
        "cleanupUnhealthyReplicas" => check_all_old(case, |case, all| {
            let done = clean_up_unhealthy(all, case.given.at("maxCleanupCount").int32());
            case.compare("cleanedUp", case.expect.at("cleanedUp").int32(), done.unwrap_or(0));
        }),
        "scale" => check_scale(case, deployment, &spec),
        "NewRSNewReplicas" => {
            let (old, new) = split(case);
            let new = new?;
            // Upstream's test counts the other ReplicaSets only, so the total is given by them.
            let total = if old.is_empty() { new.size } else { old.iter().map(|it| it.size).sum() };
            let got = new_size(&spec, total, new.size);
            case.compare("newReplicaSetSize", case.expect.at("newReplicaSetSize").int32(), got);
        }
        "resolveFenceposts" => {
            let (surge, unavailable) = spec.rolling?;
            let rolling = deployment.at("spec.strategy.rollingUpdate");
            let is_wrong = |name: &str| {
                let value = rolling.at(name);
                value.is_given() && object::int_or_percent(value).is_none()
            };
            let is_wrong = is_wrong("maxSurge") || is_wrong("maxUnavailable");
            case.compare_if_given("error", Tree::is_true, is_wrong);
            let got = match is_wrong {
                true => (0, 0),
                false => fenceposts(surge, unavailable, spec.replicas),
            };
            case.compare_if_given("maxSurgePods", Tree::int32, got.0);
            case.compare_if_given("maxUnavailablePods", Tree::int32, got.1);
        }
        "maxUnavailable" => {
            let expected = case.expect.at("maxUnavailablePods").int32();
            case.compare("maxUnavailablePods", expected, spec.max_unavailable());
        }
        "rollout" => check_rollout(case, &spec),
        _ => return check_progress(case, deployment, &spec),
    }
    Some(())
}

fn check_progress(case: &mut Case<'_>, deployment: Tree<'_>, spec: &DeploymentSpec) -> Option<()> {
    let generation = deployment.at("metadata.generation");
    let before = status(deployment.at("status"), generation);
    let later = case.given.at("newStatus");
    let status = if later.is_given() { status(later, generation) } else { before };
    let now = case.given.at("now").time();
    match case.operation() {
        "deploymentComplete" => {
            let got = is_complete(spec.replicas, &status);
            case.compare("complete", case.expect.at("complete").is_true(), got);
        }
        "deploymentProgressing" => {
            let got = is_progressing(&before, &status);
            case.compare("progressing", case.expect.at("progressing").is_true(), got);
        }
        "deploymentTimedOut" => {
            let now = now?;
            let got = progress(deployment, later).is_some_and(|it| it.is_timed_out(now));
            case.compare("timedOut", case.expect.at("timedOut").is_true(), got);
        }
        "requeueStuckDeployment" => {
            let pending = progress(deployment, Tree::NULL);
            let pending = pending.filter(|_| !is_complete(spec.replicas, &status));
            let after = pending.and_then(|it| it.requeue_after(now?));
            let got = after.map_or(-1, |span| i64::try_from(span.as_secs()).unwrap_or(i64::MAX));
            case.compare(
                "requeueAfterSeconds",
                case.expect.at("requeueAfterSeconds").int(),
                Some(got),
            );
            case.compare_if_given(
                "requeueImmediately",
                Tree::is_true,
                after == Some(SimSpan::ZERO),
            );
        }
        _ => return None,
    }
    Some(())
}

fn spec(deployment: Tree<'_>) -> DeploymentSpec {
    let strategy = deployment.at("spec.strategy");
    let value = |name: &str| {
        object::int_or_percent(strategy.at("rollingUpdate").at(name))
            .unwrap_or(IntOrPercent::Int(0))
    };
    let is_rolling = strategy.at("type").text() != "Recreate";
    DeploymentSpec {
        replicas: deployment.at("spec.replicas").int32(),
        rolling: is_rolling.then(|| (value("maxSurge"), value("maxUnavailable"))),
    }
}

fn status(status: Tree<'_>, generation: Tree<'_>) -> DeploymentStatus {
    let observed = status.at("observedGeneration");
    DeploymentStatus {
        replicas: status.at("replicas").int32(),
        updated: status.at("updatedReplicas").int32(),
        ready: status.at("readyReplicas").int32(),
        available: status.at("availableReplicas").int32(),
        is_current: observed.int() >= generation.int(),
    }
}

/// The Progressing condition, of a later status where one is given. The largest deadline of 32 bits
/// is none (deployment_util.go, HasProgressDeadline, 1.36).
fn progress(deployment: Tree<'_>, later: Tree<'_>) -> Option<Progress> {
    let deadline = deployment.at("spec.progressDeadlineSeconds");
    if deadline.int() == Some(i64::from(i32::MAX)) {
        return None;
    }
    let status = if later.is_given() { later } else { deployment.at("status") };
    let mut conditions = status.at("conditions").items();
    let condition = conditions.find(|it| it.at("type").text() == "Progressing")?;
    Some(Progress {
        reason: match condition.at("reason").text() {
            "NewReplicaSetAvailable" => ProgressReason::Available,
            "ProgressDeadlineExceeded" => ProgressReason::DeadlineExceeded,
            _ => ProgressReason::Other,
        },
        updated_at: condition.at("lastUpdateTime").time()?,
        deadline: deadline.duration()?,
    })
}

/// All ReplicaSets, oldest first.
fn revisions(case: &Case<'_>) -> Vec<Revision> {
    with_newest(case).0
}

/// The same, and the position of the one of the Deployment's own template: the oldest of several
/// (pkg/controller/deployment/util, FindNewReplicaSet, 1.36).
fn with_newest(case: &Case<'_>) -> (Vec<Revision>, Option<usize>) {
    let revision = |set: Tree<'_>| {
        let annotation = |name: &str| {
            let key = format!("deployment.kubernetes.io/{name}");
            set.at("metadata.annotations").field(&key).text().parse().ok()
        };
        Revision {
            name: object::name(set),
            created_at: object::created_at(set),
            size: set.at("spec.replicas").int32(),
            available: set.at("status.availableReplicas").int32(),
            max_replicas: annotation("max-replicas"),
            desired_replicas: annotation("desired-replicas"),
        }
    };
    let mut sets = case.objects("ReplicaSet");
    sets.sort_by_key(|set| (object::created_at(*set), object::name(*set)));
    let deployments = case.objects("Deployment");
    let template = deployments.first().map_or(Tree::NULL, |it| it.at("spec.template"));
    let is_newest = |set: &Tree<'_>| set.at("spec.template").says(template, &["pod-template-hash"]);
    (sets.iter().copied().map(revision).collect(), sets.iter().position(is_newest))
}

/// Old ReplicaSets and the one of the present template.
fn split(case: &Case<'_>) -> (Vec<Revision>, Option<Revision>) {
    let (mut old, newest) = with_newest(case);
    let new = newest.map(|idx| old.remove(idx));
    (old, new)
}

fn sizes<'a>(revisions: impl IntoIterator<Item = &'a Revision>) -> BTreeMap<String, i32> {
    revisions.into_iter().map(|it| (it.name.clone(), it.size)).collect()
}

fn expected_sizes(tree: Tree<'_>) -> BTreeMap<String, i32> {
    tree.fields().map(|(name, size)| (name.to_owned(), size.int32())).collect()
}

fn check_sizes(
    case: &mut Case<'_>,
    spec: &DeploymentSpec,
    act: impl FnOnce(&DeploymentSpec, &mut [Revision], Option<&mut Revision>) -> bool,
) {
    let (mut old, mut new) = split(case);
    let is_scaled = act(spec, &mut old, new.as_mut());
    case.compare("scaled", case.expect.at("scaled").is_true(), is_scaled);
    let sizes = sizes(old.iter().chain(&new));
    case.compare_if_given("specReplicas", expected_sizes, sizes);
}

/// Operations of upstream's tests that have old ReplicaSets only.
fn check_all_old(case: &mut Case<'_>, act: impl FnOnce(&mut Case<'_>, &mut [Revision])) {
    let mut all = revisions(case);
    act(case, &mut all);
    let sizes = sizes(&all);
    case.compare_if_given("specReplicas", expected_sizes, sizes);
}

fn check_scale(case: &mut Case<'_>, deployment: Tree<'_>, spec: &DeploymentSpec) {
    let (mut all, new) = with_newest(case);
    let replicas = deployment.at("status.replicas").int32();
    all.iter_mut().for_each(|revision| {
        let stated = revision.max_replicas.filter(|most| *most > 0);
        revision.max_replicas = Some(stated.unwrap_or(replicas));
    });
    scale(spec, &mut all, new);
    let sizes = sizes(&all);
    case.compare_if_given("specReplicas", expected_sizes, sizes);
}

/// Every sync that changes something, with the pods available that may be.
fn check_rollout(case: &mut Case<'_>, spec: &DeploymentSpec) {
    let becomes_available = case.given.at("newPodsBecomeAvailable").is_true();
    let mut old = revisions(case);
    let (mut new, mut steps) = (None, Vec::new());
    let fresh = || Revision { created_at: SimTime::MAX, ..Revision::default() };
    while steps.len() < 100 && sync_rolling(spec, &mut old, &mut new, fresh) {
        let old_size: i32 = old.iter().map(|it| it.size).sum();
        steps.push((old_size, new.as_ref().map_or(0, |new| new.size)));
        for revision in &mut old {
            revision.available = revision.size;
        }
        if let Some(new) = new.as_mut().filter(|_| becomes_available) {
            new.available = new.size;
        }
    }
    let read = |tree: Tree<'_>| -> Vec<(i32, i32)> {
        tree.items().map(|it| (it.at("old").int32(), it.at("new").int32())).collect()
    };
    let last = steps.last().copied();
    case.compare_if_given("specReplicasAfterEachSync", read, steps);
    case.compare_if_given("largestAllowedTotal", Tree::int32, spec.replicas + spec.max_surge());
    let least = spec.replicas - spec.max_unavailable();
    case.compare_if_given("smallestAllowedAvailable", Tree::int32, least);
    case.compare_if_given("stuck", Tree::is_true, last != Some((0, spec.replicas)));
}
