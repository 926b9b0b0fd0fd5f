//! Victims of a ReplicaSet.

use std::collections::BTreeMap;

use model_api::SimTime;

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::replica_set::{Ages, Candidate, VictimPhase, deletion_cost, order, victims};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let now = case.given.at("now").time()?;
    let pods = case.objects("Pod");
    let pods: Vec<Tree<'_>> = pods.into_iter().filter(|pod| is_candidate(case, *pod)).collect();
    // `ActivePods` knows no ranks, costs or powers of two (`controller_utils.go`).
    let is_plain = case.given.at("sorter").text() == "ActivePods";
    let is_gate_off = |gate: &str| case.given.at("featureGates").field(gate).bool() == Some(false);
    let ages = if is_plain || is_gate_off("LogarithmicScaleDown") {
        Ages::Exact
    } else {
        Ages::ByPowerOfTwo(now)
    };
    let related = if is_plain { BTreeMap::new() } else { related_counts(case, &pods) };
    let mut uids: Vec<&str> = pods.iter().map(|pod| pod.at("metadata.uid").text()).collect();
    uids.sort_unstable();
    let costs_count = !is_plain && !is_gate_off("PodDeletionCost");
    let candidate = |pod: Tree<'_>| {
        let uid = pod.at("metadata.uid").text();
        let place = uids.iter().position(|known| *known == uid).unwrap_or(0);
        let related = related.get(&object::name(pod)).copied().unwrap_or(0);
        candidate(pod, related, place as u64, costs_count)
    };
    let candidates: Vec<Candidate> = pods.iter().copied().map(candidate).collect();
    let names = |order: Vec<usize>| -> Vec<String> {
        order.into_iter().map(|idx| object::name(pods[idx])).collect()
    };
    match case.operation() {
        "podsToDelete" => {
            let diff = usize::try_from(case.given.at("diff").int()?).ok()?;
            let mut got = names(victims(&candidates, diff, ages));
            let mut expected = case.expect.at("victims").texts();
            if case.expect.at("anyOrder").is_true() {
                got.sort();
                expected.sort();
            }
            case.compare("victims", expected, got);
        }
        "deletionOrder" => {
            let got = names(order(&candidates, ages));
            case.compare("order", case.expect.at("order").texts(), got);
        }
        _ => return None,
    }
    Some(())
}

/// Whether a pod is one of the ReplicaSet's own.
fn is_candidate(case: &Case<'_>, pod: Tree<'_>) -> bool {
    let set = case.given.at("replicaSet").text();
    let name = set.rsplit('/').next().unwrap_or(set);
    object::controller(pod).is_none_or(|owner| owner == format!("ReplicaSet/{name}"))
}

/// Per pod, the active pods of its Deployment on its node: as given, or counted.
fn related_counts(case: &Case<'_>, pods: &[Tree<'_>]) -> BTreeMap<String, usize> {
    let given = case.given.at("relatedActivePodsOnSameNode");
    if given.is_given() {
        let fields = given.fields();
        return fields.map(|(name, count)| (name.to_owned(), count.count() as usize)).collect();
    }
    let set = case.given.at("replicaSet").text();
    let set = set.rsplit('/').next().unwrap_or(set);
    let sets = case.objects("ReplicaSet");
    let owner =
        sets.iter().find(|it| object::name(**it) == set).and_then(|it| object::controller(*it));
    let Some(owner) = owner else { return BTreeMap::new() };
    let siblings: Vec<String> = sets
        .iter()
        .filter(|it| object::controller(**it).as_ref() == Some(&owner))
        .map(|it| format!("ReplicaSet/{}", object::name(*it)))
        .collect();
    let all = case.objects("Pod");
    let related = all.iter().filter(|pod| {
        let is_active = !object::is_finished(**pod) && !object::is_terminating(**pod);
        is_active && object::controller(**pod).is_some_and(|owner| siblings.contains(&owner))
    });
    let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in related {
        *by_node.entry(pod.at("spec.nodeName").text()).or_default() += 1;
    }
    let count = |pod: Tree<'_>| by_node.get(pod.at("spec.nodeName").text()).copied().unwrap_or(0);
    pods.iter().map(|pod| (object::name(*pod), count(*pod))).collect()
}

fn candidate(pod: Tree<'_>, related_on_node: usize, uid: u64, costs_count: bool) -> Candidate {
    let cost = pod.at("metadata.annotations").field("controller.kubernetes.io/pod-deletion-cost");
    let sidecars: Vec<&str> = pod
        .at("spec.initContainers")
        .items()
        .filter(|container| container.at("restartPolicy").text() == "Always")
        .map(|container| container.at("name").text())
        .collect();
    let restarts = |path: &str| -> Vec<(String, u32)> {
        let statuses = pod.at(path).items();
        statuses
            .map(|it| (it.at("name").text().to_owned(), it.at("restartCount").count()))
            .collect()
    };
    let most = |counts: Vec<(String, u32)>, counted: &dyn Fn(&str) -> bool| {
        let counts = counts.into_iter().filter(|(name, _)| counted(name));
        counts.map(|(_, count)| count).max().unwrap_or(0)
    };
    let ready = object::condition(pod, "Ready");
    let given = |time: Tree<'_>| time.time().filter(|at| *at > SimTime::ZERO);
    Candidate {
        has_node: !pod.at("spec.nodeName").text().is_empty(),
        phase: match pod.at("status.phase").text() {
            "Running" => VictimPhase::Running,
            "Unknown" => VictimPhase::Unknown,
            // As upstream's table of ranks, which has nothing for the others.
            _ => VictimPhase::Pending,
        },
        is_ready: object::is_ready(pod),
        deletion_cost: if costs_count { deletion_cost(cost.text()) } else { 0 },
        related_on_node,
        ready_since: ready.and_then(|ready| given(ready.at("lastTransitionTime"))),
        restart_count: most(restarts("status.containerStatuses"), &|_| true),
        sidecar_restart_count: most(restarts("status.initContainerStatuses"), &|name| {
            sidecars.contains(&name)
        }),
        created_at: given(pod.at("metadata.creationTimestamp")),
        uid,
    }
}
