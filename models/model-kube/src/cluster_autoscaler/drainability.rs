//! What keeps pods on a node (`simulator/drainability/rules`, `utils/drain/drain.go`).

use model_api::kube::{LabelSelector, Labels, RestartPolicy};
use sim_kernel::{SimSpan, SimTime};

/// Flags that say what keeps a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrainOptions {
    /// `--skip-nodes-with-system-pods`.
    pub skips_system_pods: bool,
    /// `--skip-nodes-with-local-storage`.
    pub skips_local_storage: bool,
    /// `--skip-nodes-with-custom-controller-pods`.
    pub skips_custom_controllers: bool,
    /// `--min-replica-count`.
    pub min_replica_count: i32,
    /// `--blocking-system-pod-distruption-timeout` (so spelled).
    pub system_pod_timeout: SimSpan,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self {
            skips_system_pods: true,
            skips_local_storage: true,
            skips_custom_controllers: true,
            min_replica_count: 0,
            system_pod_timeout: SimSpan::from_hours(1),
        }
    }
}

/// `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum PodPhase {
    Pending,
    #[default]
    Running,
    Succeeded,
    Failed,
    Unknown,
}

/// The controller among a pod's owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The group of its `apiVersion`; empty for the core group.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// What a look-up found.
    pub state: OwnerState,
}

/// What a look-up of a controller found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnerState {
    /// It was not looked up.
    Unknown,
    /// It does not exist.
    Missing,
    /// It exists; its `spec.replicas`, if it has any.
    Found(Option<i32>),
}

/// A pod on a node that might go.
#[derive(Clone, Copy, Debug)]
pub struct DrainPod<'a> {
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// `metadata.labels`.
    pub labels: &'a Labels,
    /// `metadata.annotations`.
    pub annotations: &'a Labels,
    /// The controller that owns it.
    pub owner: Option<Owner<'a>>,
    /// `status.phase`.
    pub phase: PodPhase,
    /// `spec.restartPolicy`.
    pub restart_policy: RestartPolicy,
    /// `metadata.creationTimestamp`, when known.
    pub created_at: Option<SimTime>,
    /// `metadata.deletionTimestamp`.
    pub deleted_at: Option<SimTime>,
    /// `spec.terminationGracePeriodSeconds`.
    pub grace: SimSpan,
    /// Names of its volumes that live on the node: hostPath, and emptyDir other than in memory.
    pub local_volumes: &'a [String],
}

/// A disruption budget with what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainBudget {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.selector`; `None` selects nothing.
    pub selector: Option<LabelSelector>,
    /// `status.disruptionsAllowed`, less what earlier candidates of the same loop use up.
    pub disruptions_allowed: i32,
}

impl DrainBudget {
    /// Whether it covers a pod.
    pub fn covers(&self, pod: &DrainPod<'_>) -> bool {
        let selects = |selector: &LabelSelector| selector.matches(pod.labels);
        self.namespace == pod.namespace && self.selector.as_ref().is_some_and(selects)
    }
}

/// Why a pod keeps its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are upstream's, in utils/drain/drain.go")]
pub enum Obstacle {
    ControllerNotFound,
    MinReplicasReached,
    NotReplicated,
    LocalStorageRequested,
    NotSafeToEvictAnnotation,
    UnmovableKubeSystemPod,
    NotEnoughPdb,
    UnexpectedError,
}

/// What a drain does with a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drainability {
    /// It is not looked at: it goes with its node.
    Skipped,
    /// It is evicted.
    Drainable,
    /// The drain waits until it has completed.
    WaitsForCompletion,
    /// It keeps the node.
    Blocked(Obstacle),
}

const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const SAFE_LOCAL_VOLUMES: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
const DAEMON_SET_POD: &str = "cluster-autoscaler.kubernetes.io/daemonset-pod";
const MIRROR: &str = "kubernetes.io/config.mirror";

/// How long after its grace a terminating pod is still reckoned with.
const LONG_TERMINATING_AFTER: SimSpan = SimSpan::from_secs(30);

/// Kinds whose pods come back elsewhere (`rules/replicated/rule.go`).
const REPLICATED_KINDS: [&str; 4] = ["ReplicationController", "Job", "ReplicaSet", "StatefulSet"];

/// `IsMirrorPod`: written by the kubelet, for a static pod.
pub fn is_mirror_pod(annotations: &Labels) -> bool {
    annotations.contains_key(MIRROR)
}

/// `IsDaemonSetPod`: owned by a DaemonSet, or annotated as if it were.
pub fn is_daemon_set_pod(owner_kind: Option<&str>, annotations: &Labels) -> bool {
    owner_kind == Some("DaemonSet")
        || annotations.get(DAEMON_SET_POD).is_some_and(|value| value == "true")
}

/// `IsPodLongTerminating`: should have been gone for half a minute.
pub fn is_long_terminating(deleted_at: Option<SimTime>, grace: SimSpan, now: SimTime) -> bool {
    deleted_at.is_some_and(|at| long_terminating_after(at, grace) < now)
}

/// The last moment at which a pod is not yet long terminating.
pub fn long_terminating_after(deleted_at: SimTime, grace: SimSpan) -> SimTime {
    deleted_at + grace + LONG_TERMINATING_AFTER
}

impl DrainPod<'_> {
    fn is_daemon_set_pod(&self) -> bool {
        is_daemon_set_pod(self.owner.map(|owner| owner.kind), self.annotations)
    }

    fn safe_to_evict(&self) -> Option<&str> {
        self.annotations.get(SAFE_TO_EVICT).map(String::as_str)
    }

    /// `IsPodTerminal`: never to run again.
    fn is_terminal(&self) -> bool {
        match self.phase {
            PodPhase::Failed => true,
            PodPhase::Succeeded => self.restart_policy != RestartPolicy::Always,
            _ => false,
        }
    }

    /// `rules/replicacount/rule.go`: the controller is gone, or too small.
    fn controller_obstacle(&self, min_replica_count: i32) -> Option<Obstacle> {
        let owner = self.owner?;
        // Of a pod that counts as a DaemonSet's no other controller is looked up.
        let is_daemon = self.is_daemon_set_pod();
        let is_looked_up = match owner.kind {
            "ReplicationController" => true,
            "DaemonSet" => owner.group == "apps",
            "Job" | "ReplicaSet" => !is_daemon,
            "StatefulSet" => !is_daemon && owner.group == "apps",
            _ => false,
        };
        match owner.state {
            OwnerState::Missing if is_looked_up => Some(Obstacle::ControllerNotFound),
            OwnerState::Found(Some(replicas))
                if matches!(owner.kind, "ReplicationController" | "ReplicaSet")
                    && is_looked_up
                    && replicas < min_replica_count =>
            {
                Some(Obstacle::MinReplicasReached)
            }
            _ => None,
        }
    }

    /// `HasBlockingLocalStorage`.
    fn has_blocking_volume(&self) -> bool {
        let safe = self.annotations.get(SAFE_LOCAL_VOLUMES).map_or("", String::as_str);
        self.local_volumes.iter().any(|volume| !safe.split(',').any(|name| name == volume))
    }
}

/// The first rule that decides, in upstream's order (`rules/rules.go`, Default). A pod that no rule
/// decides about is drainable.
pub fn drainability(
    pod: &DrainPod<'_>,
    budgets: &[DrainBudget],
    options: &DrainOptions,
    now: SimTime,
) -> Drainability {
    if is_mirror_pod(pod.annotations) || is_long_terminating(pod.deleted_at, pod.grace, now) {
        return Drainability::Skipped;
    }
    if options.skips_custom_controllers
        && let Some(obstacle) = pod.controller_obstacle(options.min_replica_count)
    {
        return Drainability::Blocked(obstacle);
    }
    let is_safe = pod.safe_to_evict() == Some("true");
    if pod.is_daemon_set_pod() || is_safe || pod.is_terminal() {
        return Drainability::Drainable;
    }
    if pod.safe_to_evict() == Some("on-completion") {
        return Drainability::WaitsForCompletion;
    }
    obstacle(pod, budgets, options, now).map_or(Drainability::Drainable, Drainability::Blocked)
}

/// The rules that only ever block.
fn obstacle(
    pod: &DrainPod<'_>,
    budgets: &[DrainBudget],
    options: &DrainOptions,
    now: SimTime,
) -> Option<Obstacle> {
    let is_replicated = pod.owner.is_some_and(|owner| {
        !options.skips_custom_controllers || REPLICATED_KINDS.contains(&owner.kind)
    });
    if !is_replicated {
        return Some(Obstacle::NotReplicated);
    }
    let mut covering = budgets.iter().filter(|budget| budget.covers(pod)).peekable();
    if options.skips_system_pods && pod.namespace == "kube-system" && covering.peek().is_none() {
        // A pod of unknown age counts as young.
        let is_old = pod.created_at.is_some_and(|at| at + options.system_pod_timeout < now);
        if !is_old {
            return Some(Obstacle::UnmovableKubeSystemPod);
        }
    }
    if pod.safe_to_evict() == Some("false") {
        return Some(Obstacle::NotSafeToEvictAnnotation);
    }
    if options.skips_local_storage && pod.has_blocking_volume() {
        return Some(Obstacle::LocalStorageRequested);
    }
    covering.any(|budget| budget.disruptions_allowed < 1).then_some(Obstacle::NotEnoughPdb)
}

/// What draining a node means for its pods, by their position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drain {
    /// Pods that need a place elsewhere.
    pub to_move: Vec<usize>,
    /// Pods of DaemonSets, which are evicted and need none.
    pub daemon_set_pods: Vec<usize>,
    /// Pods that are waited for.
    pub on_completion: Vec<usize>,
    /// The first pod that keeps the node; what was collected before it stays collected.
    pub blocked_by: Option<(usize, Obstacle)>,
}

/// Goes over the pods of a node until one keeps it (`simulator/drain.go`, GetPodsToMove).
pub fn pods_to_move(
    pods: &[DrainPod<'_>],
    budgets: &[DrainBudget],
    options: &DrainOptions,
    now: SimTime,
) -> Drain {
    let mut drain = Drain::default();
    for (idx, pod) in pods.iter().enumerate() {
        match drainability(pod, budgets, options, now) {
            Drainability::Skipped => {}
            Drainability::Drainable if pod.is_daemon_set_pod() => drain.daemon_set_pods.push(idx),
            Drainability::Drainable => drain.to_move.push(idx),
            Drainability::WaitsForCompletion => drain.on_completion.push(idx),
            Drainability::Blocked(obstacle) => {
                drain.blocked_by = Some((idx, obstacle));
                break;
            }
        }
    }
    drain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(key: &str, value: &str) -> Labels {
        [(key.to_owned(), value.to_owned())].into()
    }

    /// A pod of a ReplicaSet in `default` that nothing keeps.
    fn free<'a>(annotations: &'a Labels, labels: &'a Labels) -> DrainPod<'a> {
        DrainPod {
            namespace: "default",
            labels,
            annotations,
            owner: Some(Owner { group: "apps", kind: "ReplicaSet", state: OwnerState::Unknown }),
            phase: PodPhase::Running,
            restart_policy: RestartPolicy::Always,
            created_at: None,
            deleted_at: None,
            grace: SimSpan::from_secs(30),
            local_volumes: &[],
        }
    }

    const NOW: SimTime = SimTime::from_secs(1_000_000);

    fn of(pod: &DrainPod<'_>) -> Drainability {
        drainability(pod, &[], &DrainOptions::default(), NOW)
    }

    #[test]
    fn a_pod_is_a_daemons_by_its_owner_or_an_annotation() {
        let (none, yes, no) =
            (Labels::new(), annotated(DAEMON_SET_POD, "true"), annotated(DAEMON_SET_POD, "false"));
        let rows = [
            (Some("DaemonSet"), &none, true),
            (Some("ReplicaSet"), &none, false),
            (None, &none, false),
            (Some("ReplicaSet"), &yes, true),
            (Some("ReplicaSet"), &no, false),
        ];
        for (owner, annotations, expected) in rows {
            assert_eq!(
                is_daemon_set_pod(owner, annotations),
                expected,
                "{owner:?} {annotations:?}"
            );
        }
    }

    #[test]
    fn a_pod_is_overdue_half_a_minute_after_its_grace() {
        let overdue = |since: u64, grace: u64| {
            let deleted_at = NOW.checked_sub(SimSpan::from_secs(since));
            is_long_terminating(deleted_at, SimSpan::from_secs(grace), NOW)
        };
        assert_eq!([59, 60, 61].map(|since| overdue(since, 30)), [false, false, true]);
        assert_eq!([30, 31].map(|since| overdue(since, 0)), [false, true]);
        assert!(!is_long_terminating(None, SimSpan::ZERO, NOW));
    }

    /// Rows of TestGetPodsToMove and of the rules' own tests.
    #[test]
    fn the_first_rule_that_decides_wins() {
        let none = Labels::new();
        let pod = free(&none, &none);
        assert_eq!(of(&pod), Drainability::Drainable);
        let bare = DrainPod { owner: None, ..pod };
        assert_eq!(of(&bare), Drainability::Blocked(Obstacle::NotReplicated));
        let custom = |kind| DrainPod {
            owner: Some(Owner { group: "x", kind, state: OwnerState::Unknown }),
            ..pod
        };
        assert_eq!(of(&custom("Game")), Drainability::Blocked(Obstacle::NotReplicated));
        let lenient = DrainOptions { skips_custom_controllers: false, ..DrainOptions::default() };
        assert_eq!(drainability(&custom("Game"), &[], &lenient, NOW), Drainability::Drainable);
        let failed = DrainPod { phase: PodPhase::Failed, ..bare };
        assert_eq!(of(&failed), Drainability::Drainable);
        let succeeded = DrainPod { phase: PodPhase::Succeeded, ..bare };
        assert_eq!(of(&succeeded), Drainability::Blocked(Obstacle::NotReplicated));
        let done = DrainPod { restart_policy: RestartPolicy::OnFailure, ..succeeded };
        assert_eq!(of(&done), Drainability::Drainable);
        let volumes = ["scratch".to_owned(), "cache".to_owned()];
        let local = DrainPod { local_volumes: &volumes, ..pod };
        assert_eq!(of(&local), Drainability::Blocked(Obstacle::LocalStorageRequested));
        let some_safe = annotated(SAFE_LOCAL_VOLUMES, "scratch");
        let partly = DrainPod { annotations: &some_safe, ..local };
        assert_eq!(of(&partly), Drainability::Blocked(Obstacle::LocalStorageRequested));
        let all_safe = annotated(SAFE_LOCAL_VOLUMES, "cache,scratch");
        assert_eq!(of(&DrainPod { annotations: &all_safe, ..local }), Drainability::Drainable);
        let safe = annotated(SAFE_TO_EVICT, "true");
        let owned_by_none = DrainPod { annotations: &safe, owner: None, ..local };
        assert_eq!(of(&owned_by_none), Drainability::Drainable);
        let unsafe_to_evict = annotated(SAFE_TO_EVICT, "false");
        let kept = DrainPod { annotations: &unsafe_to_evict, ..pod };
        assert_eq!(of(&kept), Drainability::Blocked(Obstacle::NotSafeToEvictAnnotation));
        let waiting = annotated(SAFE_TO_EVICT, "on-completion");
        let waiting = DrainPod { annotations: &waiting, owner: None, ..pod };
        assert_eq!(of(&waiting), Drainability::WaitsForCompletion);
    }

    #[test]
    fn controllers_must_exist_and_be_large_enough() {
        let none = Labels::new();
        let pod = |group, kind, state| DrainPod {
            owner: Some(Owner { group, kind, state }),
            ..free(&none, &none)
        };
        let missing = Drainability::Blocked(Obstacle::ControllerNotFound);
        for (group, kind) in [
            ("", "ReplicationController"),
            ("apps", "ReplicaSet"),
            ("batch", "Job"),
            ("apps", "StatefulSet"),
        ] {
            assert_eq!(of(&pod(group, kind, OwnerState::Missing)), missing, "{kind}");
        }
        assert_eq!(of(&pod("apps", "DaemonSet", OwnerState::Missing)), missing);
        let other = pod("crd", "DaemonSet", OwnerState::Missing);
        assert_eq!(of(&other), Drainability::Drainable, "nobody looks it up");
        let small = pod("apps", "ReplicaSet", OwnerState::Found(Some(1)));
        let picky = DrainOptions { min_replica_count: 2, ..DrainOptions::default() };
        let verdict = drainability(&small, &[], &picky, NOW);
        assert_eq!(verdict, Drainability::Blocked(Obstacle::MinReplicasReached));
    }

    #[test]
    fn system_pods_need_a_budget_or_age() {
        let none = Labels::new();
        let app = annotated("app", "dns");
        let system = DrainPod { namespace: "kube-system", ..free(&none, &app) };
        let blocked = Drainability::Blocked(Obstacle::UnmovableKubeSystemPod);
        assert_eq!(of(&system), blocked);
        let young = DrainPod { created_at: Some(NOW - SimSpan::from_mins(59)), ..system };
        assert_eq!(of(&young), blocked);
        let old = DrainPod { created_at: Some(NOW - SimSpan::from_mins(61)), ..system };
        assert_eq!(of(&old), Drainability::Drainable);
        let selector = LabelSelector { match_labels: app.clone(), ..LabelSelector::default() };
        let mut budget = DrainBudget {
            namespace: "kube-system".to_owned(),
            selector: Some(selector),
            disruptions_allowed: 1,
        };
        let with = |budget: &DrainBudget| {
            drainability(&system, std::slice::from_ref(budget), &DrainOptions::default(), NOW)
        };
        assert_eq!(with(&budget), Drainability::Drainable);
        budget.disruptions_allowed = 0;
        assert_eq!(with(&budget), Drainability::Blocked(Obstacle::NotEnoughPdb));
    }

    #[test]
    fn what_goes_with_its_node_is_not_looked_at() {
        let none = Labels::new();
        let mirror = annotated(MIRROR, "x");
        let pods = [
            DrainPod { annotations: &mirror, owner: None, ..free(&none, &none) },
            DrainPod {
                deleted_at: Some(NOW - SimSpan::from_secs(61)),
                owner: None,
                ..free(&none, &none)
            },
            free(&none, &none),
            DrainPod { owner: None, ..free(&none, &none) },
            free(&none, &none),
        ];
        let drain = pods_to_move(&pods, &[], &DrainOptions::default(), NOW);
        assert_eq!(drain.to_move, [2]);
        assert_eq!(drain.blocked_by, Some((3, Obstacle::NotReplicated)));
    }
}
