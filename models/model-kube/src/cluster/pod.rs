//! A pod of the run.

use model_api::observation::{KillReason, UnschedulableReason};
use model_api::usage::NodeResource;
use model_api::{NodeId, PodId, WorkloadId, ZoneId};
use sim_kernel::{EntityKey, EventId, SimSpan, SimTime, Timer};

use super::Cluster;
use super::templates::TemplateId;
use crate::crash_loop::Backoff;
use crate::endpoints;

/// Where a pod is in its life. Finer than `status.phase`, and what really happens rather than what
/// the API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodPhase {
    /// Not bound to a node.
    Pending,
    /// Bound; its containers have not started yet.
    Creating,
    /// Its containers run.
    Running,
    /// Its containers ended and will be started again.
    Waiting,
    /// Its node is down.
    Stopped,
    /// It failed or succeeded, and stays so.
    Finished,
    /// The object is gone.
    Gone,
}

/// A pod as other models see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodView {
    /// Its workload.
    pub workload: WorkloadId,
    /// The template it was made from.
    pub template: TemplateId,
    /// Ordinal in its workload; for kinds without ordinals, the number of its creation.
    pub ordinal: u32,
    /// Its node, once bound.
    pub node: Option<NodeId>,
    /// The node that others were preempted on to make room for it, while it waits.
    pub nominated_node: Option<NodeId>,
    /// The zone of its node.
    pub zone: Option<ZoneId>,
    /// Where it is in its life.
    pub phase: PodPhase,
    /// Its processes run and can answer.
    pub answers: bool,
    /// They can, and clients outside reach them.
    pub is_live: bool,
    /// The API shows condition Ready True.
    pub is_ready: bool,
    /// It has a deletionTimestamp.
    pub is_terminating: bool,
    /// Restarts of its containers.
    pub restart_count: u32,
    /// When its containers began to run the last time, or will; time zero of those that ran from the
    /// start, and before that is known.
    pub started_at: SimTime,
}

/// Why a kubelet does not take a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its node is under pressure.
    Pressure(NodeResource),
    /// Its node shuts down.
    Shutdown,
    /// It named its node itself, and fails this check there.
    Check(UnschedulableReason),
}

/// The next thing that happens to a pod's containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is due.
    #[default]
    None,
    /// The kubelet does not take the pod.
    Refused(Refusal),
    /// The kubelet asks for the images it does not have.
    PullDue,
    /// The kubelet has all images.
    Pulled,
    /// All containers run.
    Started,
    /// The application can answer.
    Answers,
    /// Every readiness probe has succeeded.
    Ready,
    /// A probe gave the application up before it answered.
    GivenUp,
    /// Containers that the kubelet ends get TERM.
    Killed,
    /// The kubelet notices that containers ended.
    ExitSeen,
}

/// Failed pulls of a pod's images.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pull {
    /// Since the last that succeeded.
    pub(super) failure_count: u32,
    /// In all.
    pub(super) wait_count: u32,
}

/// Moments of one start, worked out when it begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StartPlan {
    pub(super) started_at: SimTime,
    pub(super) answers_at: SimTime,
    pub(super) ready_at: SimTime,
    /// When a probe gives it up before it answers, and which.
    pub(super) given_up: Option<(SimTime, KillReason)>,
}

#[derive(Clone, Debug)]
pub(super) struct PodState {
    pub(super) workload: WorkloadId,
    /// What it was made from; with the workload, the revision it belongs to.
    pub(super) template: TemplateId,
    pub(super) ordinal: u32,
    pub(super) key: EntityKey,
    pub(super) node: Option<NodeId>,
    /// The only node it may go to: daemons.
    pub(super) pinned: Option<NodeId>,
    /// `status.nominatedNodeName`: where others were preempted for it.
    pub(super) nominated: Option<NodeId>,
    pub(super) phase: PodPhase,
    /// The application answers whoever reaches it.
    pub(super) answers: bool,
    /// What the kubelet thinks of readiness.
    pub(super) is_locally_ready: bool,
    /// What the API shows.
    pub(super) is_ready: bool,
    /// Containers were all started once, so it has an address.
    pub(super) has_address: bool,
    pub(super) is_terminating: bool,
    /// Its controller's DELETE waits for the limit of its client.
    pub(super) is_doomed: bool,
    /// `metadata.deletionTimestamp`: when its grace ends.
    pub(super) deleted_at: Option<SimTime>,
    /// The kubelet carries out the termination.
    pub(super) is_stopping: bool,
    /// Its containers get TERM, and when.
    /// For how long it goes on serving once it is to end.
    pub(super) linger: SimSpan,
    pub(super) term: Timer,
    pub(super) term_at: SimTime,
    /// Nothing of it runs or ever will; what is left is to confirm that to the API.
    pub(super) has_ended: bool,
    /// The kubelet evicts it, and gives it this long.
    pub(super) eviction_grace: Option<SimSpan>,
    /// It does so because its machine shuts down.
    pub(super) is_shut_down: bool,
    /// The API knows nothing of it; its containers are all that is left.
    pub(super) is_orphan: bool,
    /// A restored API never knew it, or not as one that is bound.
    pub(super) is_forgotten: bool,
    /// Bound, but its kubelet could not learn of it yet.
    pub(super) awaits_kubelet: bool,
    /// How long its containers have to end that a probe has killed.
    pub(super) kill_grace: SimSpan,
    /// Its kubelet began anew with its machine, and has not heard since which pods it has.
    pub(super) awaits_list: bool,
    /// Nobody has removed its scheduling gates yet.
    pub(super) is_gated: bool,
    pub(super) was_refused: bool,
    /// Something other than its controller deletes it: condition `DisruptionTarget`.
    pub(super) is_disrupted: bool,
    /// What its containers exited with, when they ended by themselves or by TERM.
    pub(super) exit: Option<i32>,
    /// The API knows that it finished: its phase is `Succeeded` or `Failed`.
    pub(super) is_end_told: bool,
    /// When it finished, or its deletion was asked for.
    pub(super) ended_at: SimTime,
    pub(super) attempt_count: u32,
    pub(super) restart_count: u32,
    pub(super) created_at: SimTime,
    pub(super) ready_since: SimTime,
    /// When the kubelet started the pod's probe workers.
    pub(super) worker_at: SimTime,
    pub(super) plan: StartPlan,
    pub(super) step: Step,
    pub(super) step_timer: Timer,
    pub(super) eviction: Timer,
    /// When that timer was set.
    pub(super) eviction_set_at: SimTime,
    pub(super) backoff: Backoff,
    /// The kubelet itself ended the containers.
    pub(super) is_killed: bool,
    /// When the containers before those that run now ended.
    pub(super) former_end: Option<SimTime>,
    pub(super) pull: Pull,
    /// The event that made the pod necessary.
    pub(super) cause: EventId,
}

impl PodState {
    pub(super) fn new(
        workload: WorkloadId,
        template: TemplateId,
        ordinal: u32,
        key: EntityKey,
        now: SimTime,
        cause: EventId,
    ) -> Self {
        Self {
            workload,
            template,
            ordinal,
            key,
            node: None,
            pinned: None,
            nominated: None,
            phase: PodPhase::Pending,
            answers: false,
            is_locally_ready: false,
            is_ready: false,
            has_address: false,
            is_terminating: false,
            is_doomed: false,
            deleted_at: None,
            is_stopping: false,
            linger: SimSpan::ZERO,
            term: Timer::NONE,
            term_at: SimTime::ZERO,
            has_ended: false,
            eviction_grace: None,
            is_shut_down: false,
            is_orphan: false,
            is_forgotten: false,
            awaits_kubelet: false,
            kill_grace: SimSpan::ZERO,
            awaits_list: false,
            is_gated: false,
            was_refused: false,
            is_disrupted: false,
            exit: None,
            is_end_told: false,
            ended_at: now,
            attempt_count: 0,
            restart_count: 0,
            created_at: now,
            ready_since: now,
            worker_at: now,
            plan: StartPlan::default(),
            step: Step::None,
            step_timer: Timer::NONE,
            eviction: Timer::NONE,
            eviction_set_at: SimTime::ZERO,
            backoff: Backoff::default(),
            is_killed: false,
            former_end: None,
            pull: Pull::default(),
            cause,
        }
    }

    /// Neither finished nor being deleted, nor gone.
    pub(super) fn is_active(&self) -> bool {
        !self.is_terminating && self.phase < PodPhase::Finished
    }

    pub(super) fn exists(&self) -> bool {
        self.phase != PodPhase::Gone
    }

    /// What the EndpointSlice controller sees.
    pub(super) fn endpoint_view(&self) -> endpoints::PodView {
        endpoints::PodView {
            has_address: self.has_address && self.exists() && !self.is_orphan,
            is_finished: self.phase == PodPhase::Finished,
            is_ready: self.is_ready,
            is_terminating: self.is_terminating,
        }
    }
}

impl Cluster {
    pub(super) fn view(&self, id: PodId) -> PodView {
        let pod = &self.pods[id.index()];
        PodView {
            workload: pod.workload,
            template: pod.template,
            ordinal: pod.ordinal,
            node: pod.node,
            nominated_node: pod.nominated,
            zone: pod.node.map(|node| self.blueprint.nodes[node.index()].zone),
            phase: pod.phase,
            answers: pod.answers,
            is_live: self.is_live(id),
            is_ready: pod.is_ready,
            is_terminating: pod.is_terminating,
            restart_count: pod.restart_count,
            started_at: pod.plan.started_at,
        }
    }

    /// Whether clients outside get answers from a pod.
    pub(super) fn is_live(&self, id: PodId) -> bool {
        let pod = &self.pods[id.index()];
        pod.answers && pod.node.is_some_and(|node| self.is_reachable(node))
    }

    /// Whether the kubelet of a pod can act and tell the API.
    pub(super) fn is_in_contact(&self, id: PodId) -> bool {
        self.pods[id.index()].node.is_some_and(|node| self.has_contact(node))
    }
}
