//! Scale-down: utilization, eligibility, what keeps pods, what may go now.

use std::collections::{BTreeMap, BTreeSet};

use model_api::kube::{Labels, Node, ResourceList, RestartPolicy, Taint};
use model_api::{SimSpan, SimTime};
use model_kube::cluster_autoscaler::{
    CandidateNode, Deletions, DrainBudget, DrainPod, Owner, OwnerState, PodPhase, RemovalCandidate,
    RemovalGroup, UnremovableReason, UtilizationPod, deletion_budget as budget, ineligible_because,
    pods_to_move, removable_now as removable, unremovable_because, utilization as utilized,
};
use model_kube::scheduling::pod_requests;

use super::options;
use crate::case::{Case, Judged};
use crate::object;
use crate::tree::Tree;

fn count(tree: Tree<'_>) -> usize {
    tree.count() as usize
}

fn now(given: Tree<'_>) -> SimTime {
    given.at("now").time().unwrap_or(SimTime::ZERO + SimSpan::from_days(365))
}

/// What decisions look at of a pod.
struct PodFacts {
    name: String,
    namespace: String,
    node: String,
    labels: Labels,
    annotations: Labels,
    owner: Option<(String, String, OwnerState)>,
    phase: PodPhase,
    restart_policy: RestartPolicy,
    created_at: Option<SimTime>,
    deleted_at: Option<SimTime>,
    grace: SimSpan,
    local_volumes: Vec<String>,
    requests: ResourceList,
}

impl PodFacts {
    fn read(pod: Tree<'_>, case: &mut Case<'_>) -> Self {
        let template = object::pod(pod, &mut case.diagnostics);
        let grace = pod.at("spec.terminationGracePeriodSeconds").duration();
        let is_local = |volume: &Tree<'_>| {
            let empty = volume.at("emptyDir");
            volume.at("hostPath").is_given()
                || empty.is_given() && empty.at("medium").text() != "Memory"
        };
        let volumes = pod.at("spec.volumes").items().filter(is_local);
        Self {
            name: object::name(pod),
            namespace: object::text(pod, "metadata.namespace"),
            node: object::text(pod, "spec.nodeName"),
            owner: owner(pod, case.given),
            phase: match pod.at("status.phase").text() {
                "Pending" => PodPhase::Pending,
                "Succeeded" => PodPhase::Succeeded,
                "Failed" => PodPhase::Failed,
                "Unknown" => PodPhase::Unknown,
                _ => PodPhase::Running,
            },
            restart_policy: match pod.at("spec.restartPolicy").text() {
                "Never" => RestartPolicy::Never,
                "OnFailure" => RestartPolicy::OnFailure,
                _ => RestartPolicy::Always,
            },
            created_at: pod.at("metadata.creationTimestamp").time(),
            deleted_at: pod.at("metadata.deletionTimestamp").time(),
            grace: grace.unwrap_or(SimSpan::from_secs(30)),
            local_volumes: volumes.map(|volume| object::text(volume, "name")).collect(),
            requests: pod_requests(&template.spec),
            labels: template.labels,
            annotations: template.annotations,
        }
    }

    fn all(pods: Tree<'_>, case: &mut Case<'_>) -> Vec<Self> {
        let mut facts = Vec::new();
        for pod in pods.items() {
            facts.push(Self::read(pod, case));
        }
        facts
    }

    fn to_drain(&self) -> DrainPod<'_> {
        let owner = self.owner.as_ref();
        DrainPod {
            namespace: &self.namespace,
            labels: &self.labels,
            annotations: &self.annotations,
            owner: owner.map(|(group, kind, state)| Owner { group, kind, state: *state }),
            phase: self.phase,
            restart_policy: self.restart_policy,
            created_at: self.created_at,
            deleted_at: self.deleted_at,
            grace: self.grace,
            local_volumes: &self.local_volumes,
        }
    }

    fn to_measure(&self) -> UtilizationPod<'_> {
        UtilizationPod {
            requests: &self.requests,
            owner_kind: self.owner.as_ref().map(|(_, kind, _)| kind.as_str()),
            annotations: &self.annotations,
            deleted_at: self.deleted_at,
            grace: self.grace,
        }
    }
}

/// The controller of a pod: group, kind and what a look-up finds.
fn owner(pod: Tree<'_>, given: Tree<'_>) -> Option<(String, String, OwnerState)> {
    let mut owners = pod.at("metadata.ownerReferences").items();
    let owner = owners.find(|owner| owner.at("controller").is_true())?;
    let kind = object::text(owner, "kind");
    let group = owner.at("apiVersion").text().split_once('/').map_or("", |(group, _)| group);
    let state = if given.at("controllerLookup").is_true() {
        let is_it = |object: &Tree<'_>| {
            object.at("kind").text() == kind
                && object.at("metadata.name").text() == owner.at("name").text()
                && object.at("metadata.namespace").text() == pod.at("metadata.namespace").text()
        };
        match given.at("objects").items().find(is_it) {
            None => OwnerState::Missing,
            Some(found) => {
                let replicas = found.at("spec.replicas");
                OwnerState::Found(replicas.int().map(|_| replicas.int32()))
            }
        }
    } else {
        OwnerState::Unknown
    };
    Some((group.to_owned(), kind, state))
}

/// What decisions look at of a node.
struct NodeFacts {
    node: Node,
    annotations: Labels,
    taints: Vec<Taint>,
    accelerator: Option<&'static str>,
    is_ready: bool,
}

impl NodeFacts {
    fn read(tree: Tree<'_>, case: &mut Case<'_>) -> Self {
        let node = object::node(tree, &mut case.diagnostics);
        // Upstream's test provider tells nodes with accelerators by this label; or they have some.
        let has_accelerator = node.labels.contains_key("cloud.google.com/gke-accelerator")
            || node.allocatable.get("nvidia.com/gpu").is_some_and(|count| count > 0);
        let is_not_ready = |taint: &Taint| taint.key == "node.kubernetes.io/not-ready";
        let taints = object::taints(tree);
        Self {
            annotations: object::labels(tree.at("metadata.annotations")),
            is_ready: object::is_ready(tree) && !taints.iter().any(is_not_ready),
            accelerator: has_accelerator.then_some("nvidia.com/gpu"),
            taints,
            node,
        }
    }

    fn candidate<'a>(
        &'a self,
        pods: &'a [UtilizationPod<'a>],
        autoscaled: bool,
    ) -> CandidateNode<'a> {
        CandidateNode {
            annotations: &self.annotations,
            taints: &self.taints,
            allocatable: &self.node.allocatable,
            accelerator: self.accelerator,
            is_ready: self.is_ready,
            is_autoscaled: autoscaled,
            is_recently_unremovable: false,
            pods,
        }
    }
}

pub(super) fn utilization(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let node = NodeFacts::read(given.at("node"), case);
    let pods = PodFacts::all(given.at("pods"), case);
    let pods: Vec<_> = pods.iter().map(PodFacts::to_measure).collect();
    let got = utilized(&node.candidate(&pods, true), &options(given).utilization, now(given));
    case.compare_if_given("error", |it| it.is_true(), got.is_none());
    let got = got.unwrap_or_default();
    let tolerance = case.expect.at("tolerance").number().unwrap_or(0.0);
    let amounts = [
        ("utilization", Some(got.share)),
        ("cpuUtilization", got.cpu),
        ("memoryUtilization", got.memory),
        ("gpuUtilization", got.accelerator),
    ];
    for (what, got) in amounts {
        let Some(expected) = case.expect.at(what).number() else { continue };
        case.judge(what);
        let is_near = |got: f64| (got - expected).abs() <= tolerance * expected.abs();
        if !got.is_some_and(is_near) {
            case.differ(what, format!("{expected} within {tolerance}"), format!("{got:?}"));
        }
    }
    Ok(())
}

pub(super) fn eligibility(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let pods = PodFacts::all(given.at("pods"), case);
    let has_group = given.at("nodeGroups").items().len() > 0;
    let recent = given.at("recentlyUnremovable").texts();
    let options = options(given);
    let (mut unneeded, mut unremovable) = (BTreeSet::new(), BTreeMap::new());
    for tree in given.at("nodes").items() {
        let node = NodeFacts::read(tree, case);
        let name = node.node.name.clone();
        let on_it = pods.iter().filter(|pod| pod.node == name);
        let on_it: Vec<_> = on_it.map(PodFacts::to_measure).collect();
        let mut candidate = node.candidate(&on_it, has_group);
        candidate.is_recently_unremovable = recent.contains(&name);
        match ineligible_because(&candidate, &options.utilization, now(given)) {
            None => drop(unneeded.insert(name)),
            Some(reason) => drop(unremovable.insert(name, format!("{reason:?}"))),
        }
    }
    let wanted = case.expect.at("unneededNow").texts().into_iter().collect();
    case.compare("unneededNow", wanted, unneeded);
    let wanted = case.expect.at("unremovable").fields();
    let wanted = wanted.map(|(name, reason)| (name.to_owned(), reason.text().to_owned()));
    case.compare_maps("unremovable", &wanted.collect(), &unremovable);
    Ok(())
}

pub(super) fn drainability(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let pods = PodFacts::all(given.at("pods"), case);
    let budgets = given.at("podDisruptionBudgets").items().map(|budget| DrainBudget {
        namespace: object::text(budget, "metadata.namespace"),
        selector: object::selector(budget.at("spec.selector")),
        disruptions_allowed: budget.at("status.disruptionsAllowed").int32(),
    });
    let budgets: Vec<DrainBudget> = budgets.collect();
    let facts: Vec<DrainPod<'_>> = pods.iter().map(PodFacts::to_drain).collect();
    let got = pods_to_move(&facts, &budgets, &options(given).drain, now(given));
    let names = |places: &[usize]| -> Vec<String> {
        places.iter().map(|idx| pods[*idx].name.clone()).collect()
    };
    let groups = [
        ("podsToMove", names(&got.to_move)),
        ("daemonSetPods", names(&got.daemon_set_pods)),
        ("onCompletionPods", names(&got.on_completion)),
    ];
    for (what, got) in groups {
        case.compare(what, case.expect.at(what).texts(), got);
    }
    let blocked = case.expect.at("blockedBy");
    let wanted =
        blocked.is_given().then(|| (object::text(blocked, "pod"), object::text(blocked, "reason")));
    let got = got.blocked_by.map(|(idx, it)| (pods[idx].name.clone(), format!("{it:?}")));
    case.compare("blockedBy", wanted, got);
    Ok(())
}

fn removal_groups(given: Tree<'_>) -> Vec<RemovalGroup> {
    // Of the group or of the whole case, in one number or in several.
    let running = |group: Tree<'_>| -> usize {
        let fields = group.fields().chain(given.fields());
        fields
            .filter(|(name, _)| name.to_lowercase().contains("deletions"))
            .map(|(_, it)| count(it))
            .sum()
    };
    let groups = given.at("nodeGroups").items();
    groups
        .map(|group| RemovalGroup {
            min: count(group.at("minSize")),
            target: count(group.at("targetSize")),
            deletions: running(group),
        })
        .collect()
}

pub(super) fn removable_now(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let groups = removal_groups(given);
    let options = options(given);
    let now = now(given);
    let unneeded_for = given.at("unneededFor").duration();
    let group = (!groups.is_empty()).then_some(0);
    if !given.at("node").is_given() {
        let waited =
            unneeded_for.unwrap_or(options.scale_down_unneeded_time + SimSpan::from_secs(1));
        let candidate = |is_empty| RemovalCandidate {
            group,
            since: now - waited,
            is_ready: true,
            is_kept_by_annotation: false,
            is_empty,
        };
        let empty = count(given.at("emptyNodes"));
        let drained = count(given.at("nodesNeedingDrain"));
        let candidates: Vec<_> = std::iter::repeat_n(candidate(true), empty)
            .chain(std::iter::repeat_n(candidate(false), drained))
            .collect();
        let going = removable(&candidates, &groups, &options, now);
        let empty = going.iter().filter(|idx| candidates[**idx].is_empty).count();
        for (name, wanted) in case.expect.fields() {
            let got = match name {
                it if it.to_lowercase().contains("empty") => empty,
                it if it.to_lowercase().contains("drain") => going.len() - empty,
                _ => going.len(),
            };
            case.compare(name, count(wanted), got);
        }
        return Ok(());
    }
    let node = NodeFacts::read(given.at("node"), case);
    let candidate = RemovalCandidate {
        group,
        since: now - unneeded_for.unwrap_or(SimSpan::ZERO),
        is_ready: node.is_ready,
        is_kept_by_annotation: node.candidate(&[], true).is_kept_by_annotation(),
        is_empty: true,
    };
    let got = unremovable_because(&candidate, &groups, &options, now);
    case.compare_if_given("removable", |it| it.is_true(), got.is_none());
    let reason = got.map_or_else(String::new, |it: UnremovableReason| format!("{it:?}"));
    case.compare_if_given("reason", |it| it.text().to_owned(), reason);
    Ok(())
}

pub(super) fn deletion_budget(case: &mut Case<'_>) -> Judged {
    let given = case.given;
    let options = options(given);
    let wanted = Deletions {
        empty: count(given.at("emptyNodes")),
        drained: count(given.at("nodesNeedingDrain")),
    };
    let running = Deletions {
        empty: count(given.at("emptyDeletionsInProgress")),
        drained: count(given.at("drainDeletionsInProgress")),
    };
    let (parallel, drains) = (options.max_scale_down_parallelism, options.max_drain_parallelism);
    let got = budget(wanted, running, parallel, drains);
    case.compare_if_given("emptyToDelete", count, got.empty);
    case.compare_if_given("drainToDelete", count, got.drained);
    Ok(())
}
