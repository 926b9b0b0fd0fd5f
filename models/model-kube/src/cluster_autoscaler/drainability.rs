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
    deleted_at.is_some_and(|at| at + grace + LONG_TERMINATING_AFTER < now)
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
        let is_looked_up = match owner.kind {
            "ReplicationController" | "Job" | "ReplicaSet" => true,
            "DaemonSet" | "StatefulSet" => owner.group == "apps",
            _ => false,
        };
        match owner.state {
            OwnerState::Missing if is_looked_up => Some(Obstacle::ControllerNotFound),
            OwnerState::Found(Some(replicas))
                if matches!(owner.kind, "ReplicationController" | "ReplicaSet")
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
