//! Operators that look after something through the API, and the lease that only one of their pods has.
//!
//! # Modelled
//! The CloudNativePG operator and the cluster autoscaler. The pod that leads cannot renew while the API is
//! away from it, and ends after `renewDeadline`; its kubelet starts it again, with the crash-loop back-off.
//! A process that starts while it does not reach the API ends at once, and again. Once the API answers,
//! a candidate takes the lease when it has seen it unchanged for its whole length. The same goes for a
//! leader that crashes, or is lost with its node; one that is told to end lets go of its lease, where
//! its project has it so.
//! # Not modelled
//! Other controllers (those of Flux, cert-manager): they end and start in the same way, and nothing that a run
//! plays waits for them. Secrets wait for a pod of External Secrets, which has no lease by default
//! ([`super::sources`]). A leader that cannot renew in a flood. Flags that set other times.
//! # Defaults and their sources
//! controller-runtime 0.22 `pkg/manager/manager.go` and client-go 1.36 `tools/leaderelection`: 15 s, 10 s and
//! 2 s. CloudNativePG 1.30 `internal/cmd/manager/controller/controller.go`: releases its lease, reads from the API
//! before anything else and ends when it cannot; each process has an identity of its own
//! (`pkg/leaderelection/leader_election.go` of controller-runtime). Cluster autoscaler 1.36 `main.go`: the name
//! of its pod is its identity, so that it finds its own lease again; it lists nodes first and ends when
//! it cannot; its context is never cancelled, so that it releases nothing.
//! # Invariants
//! At most one pod leads. While the API answers and no pod ends, nothing happens.
//! # Checked against
//! `tests/it/operators.rs`, worked out by hand.

use model_api::blueprint::DatabaseManager;
use model_api::{Blueprint, Observation, PodId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::api_clients::ApiCaller;
use super::pod::PodPhase;
use super::{Cluster, KubeEvent, Notice, priority};
use crate::leader_election::{self, Candidate, ElectionConfig, LostLease};
use crate::rare;

const FIRST_LEADER: Purpose = Purpose::new("first leader of operator");
const RENEWAL: Purpose = Purpose::new("operator renewal phase");
const LOOK: Purpose = Purpose::new("operator candidate look");

const LEASE: SimSpan = SimSpan::from_secs(15);
const RETRY_PERIOD: SimSpan = SimSpan::from_secs(2);

/// The workloads that run operators.
pub(super) fn workloads(blueprint: &Blueprint) -> impl Iterator<Item = WorkloadId> + use<> {
    Operators::of(blueprint).all.into_iter().map(|it| it.workload)
}

/// All operators of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators {
    all: Vec<Operator>,
    /// Something happened to a pod of one, or to the API.
    is_dirty: bool,
}

#[derive(Clone, Debug)]
struct Operator {
    workload: WorkloadId,
    /// A process finds the lease of the one before it in the same pod to be its own.
    keeps_identity: bool,
    /// A leader that is told to end lets its lease go.
    releases: bool,
    leader: Option<PodId>,
    /// Whose name is in the lease that nobody holds.
    holder: Option<PodId>,
    /// When that was renewed last, known once it cannot be.
    renewed_at: SimTime,
    released_at: Option<SimTime>,
    loss_count: u64,
    /// Somebody was told that it works.
    is_at_work: bool,
    next: Next,
    timer: Timer,
}

/// What comes next by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    /// The leader gives up.
    Expiry,
    /// A candidate finds the lease free.
    Takeover(PodId),
}

impl Operators {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let managed = blueprint.databases.iter();
        let managed = managed.filter(|it| it.manager == DatabaseManager::CloudNativePg);
        let operator = |workload, is_autoscaler: bool| Operator {
            workload,
            keeps_identity: is_autoscaler,
            releases: !is_autoscaler,
            leader: None,
            holder: None,
            renewed_at: SimTime::ZERO,
            released_at: None,
            loss_count: 0,
            is_at_work: true,
            next: Next::Nothing,
            timer: Timer::NONE,
        };
        let databases = managed.filter_map(|it| it.operator).map(|it| operator(it, false));
        let autoscaler = blueprint.cluster_autoscaler.as_ref().and_then(|it| it.workload);
        let mut all: Vec<Operator> =
            databases.chain(autoscaler.map(|it| operator(it, true))).collect();
        all.sort_by_key(|it| it.workload);
        all.dedup_by_key(|it| it.workload);
        Self { all, is_dirty: false }
    }

    /// Takes note that a pod of a workload has a connection to the API that it had not, or had and has not.
    pub(super) fn note_client(&mut self, workload: WorkloadId) {
        self.is_dirty |= self.position(workload).is_some();
    }

    fn position(&self, workload: WorkloadId) -> Option<usize> {
        self.all.iter().position(|it| it.workload == workload)
    }

    /// Takes note of what happened to a pod of a workload, or to the API.
    pub(super) fn note(&mut self, notice: Notice, workload: Option<WorkloadId>) {
        let is_ours = match notice {
            Notice::ApiChanged(_) => !self.all.is_empty(),
            Notice::PodStarted(_)
            | Notice::PodStopped(_)
            | Notice::PodCutOff(_)
            | Notice::PodReconnected(_)
            | Notice::PodTerminating(_)
            | Notice::PodGone(_) => workload.is_some_and(|it| self.position(it).is_some()),
            _ => false,
        };
        self.is_dirty |= is_ours;
    }
}

impl Cluster {
    /// Whether a pod of an operator leads; `None` for a workload that is none.
    pub(super) fn operator_leader(&self, workload: WorkloadId) -> Option<Option<PodId>> {
        let idx = self.operators.position(workload)?;
        Some(self.operators.all[idx].leader)
    }

    /// Chooses who leads at the start.
    pub(super) fn begin_operators(&mut self) {
        for idx in 0..self.operators.all.len() {
            let workload = self.operators.all[idx].workload;
            let pods = self.pods_of(workload).iter().copied();
            let able: Vec<PodId> = pods.filter(|it| self.has_process(*it)).collect();
            let draw = self.draw(self.operator_key(workload), FIRST_LEADER, 0);
            self.operators.all[idx].leader = draw.pick(&able).copied();
            self.tell_operator(idx);
        }
    }

    /// Whether a pod of an operator has to end because it starts without the API.
    pub(super) fn is_stranded_operator(&self, id: PodId) -> bool {
        let workload = self.pods[id.index()].workload;
        self.operators.position(workload).is_some() && !self.reaches_api(id)
    }

    /// Looks at all operators anew, when something happened in the call that runs.
    pub(super) fn settle_operators<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !std::mem::take(&mut self.operators.is_dirty) {
            return;
        }
        for idx in 0..self.operators.all.len() {
            match self.operators.all[idx].leader {
                None => self.expect_operator(idx, ctx),
                Some(leader) if self.has_process(leader) => {
                    self.review_operator(idx, leader, ctx);
                }
                Some(leader) => {
                    let is_told = self.pods[leader.index()].is_stopping;
                    let is_known = self.operators.all[idx].next == Next::Expiry;
                    if !is_known {
                        self.note_operator_renewal(idx, ctx.now());
                    }
                    let operator = &mut self.operators.all[idx];
                    let is_released = operator.releases && is_told && !is_known;
                    operator.released_at = is_released.then_some(ctx.now());
                    self.lose_operator(idx, leader);
                    self.expect_operator(idx, ctx);
                }
            }
            self.tell_operator(idx);
        }
    }

    /// The leader gives up, or a candidate takes over.
    pub(super) fn on_operator_due<E, R>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let idx = self.operators.position(workload).expect("it is due because there is one");
        self.operators.is_dirty = true;
        let operator = &mut self.operators.all[idx];
        match std::mem::replace(&mut operator.next, Next::Nothing) {
            Next::Nothing => {}
            Next::Expiry => {
                let leader = operator.leader.expect("it is the leader that gives up");
                ctx.hit(&rare::OPERATOR_GAVE_UP);
                let (pod, leads) = (leader, false);
                ctx.observe(|| Observation::OperatorTurned { pod, workload, leads });
                self.lose_operator(idx, leader);
                self.expect_exit(leader, ctx);
            }
            Next::Takeover(candidate) => {
                (operator.leader, operator.holder) = (Some(candidate), None);
                let (pod, leads) = (candidate, true);
                ctx.observe(|| Observation::OperatorTurned { pod, workload, leads });
            }
        }
    }

    /// The leader runs: it may have lost the API, or found it again.
    fn review_operator<E, R>(&mut self, idx: usize, leader: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_expiring = self.operators.all[idx].next == Next::Expiry;
        match (self.reaches_api(leader), is_expiring) {
            (true, true) => {
                ctx.hit(&rare::OPERATOR_SURVIVED);
                self.set_operator_next(idx, Next::Nothing, SimTime::MAX, ctx);
            }
            (false, false) => {
                self.note_operator_renewal(idx, ctx.now());
                let at = self.operators.all[idx].renewed_at + election().stops_after();
                self.set_operator_next(idx, Next::Expiry, at, ctx);
            }
            _ => {}
        }
    }

    /// The last renewal was somewhere within the retry period before now.
    fn note_operator_renewal(&mut self, idx: usize, now: SimTime) {
        let Operator { workload, loss_count, .. } = self.operators.all[idx];
        let draw = self.draw(self.operator_key(workload), RENEWAL, loss_count);
        let operator = &mut self.operators.all[idx];
        operator.loss_count += 1;
        operator.released_at = None;
        operator.renewed_at = now.saturating_sub(draw.span_between(SimSpan::ZERO, RETRY_PERIOD));
    }

    /// Nobody leads, and what it kept in memory is gone.
    fn lose_operator(&mut self, idx: usize, leader: PodId) {
        let operator = &mut self.operators.all[idx];
        (operator.leader, operator.holder) = (None, Some(leader));
        let workload = operator.workload;
        let spec = self.blueprint.cluster_autoscaler.as_ref();
        if spec.is_some_and(|spec| spec.workload == Some(workload)) {
            self.forget_node_groups();
        }
        self.tell_operator(idx);
    }

    /// Works out which candidate takes the lease, and when.
    fn expect_operator<E, R>(&mut self, idx: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.operators.all[idx].workload;
        let pods = self.pods_of(workload).iter().copied();
        let able = pods.filter(|it| {
            self.has_process(*it) && self.reaches_api(*it) && !self.pods[it.index()].is_stopping
        });
        let earliest = able.map(|pod| (self.operator_takes_at(idx, pod), pod)).min();
        match earliest {
            Some((at, pod)) => self.set_operator_next(idx, Next::Takeover(pod), at, ctx),
            None => self.set_operator_next(idx, Next::Nothing, SimTime::MAX, ctx),
        }
    }

    fn operator_takes_at(&self, idx: usize, pod: PodId) -> SimTime {
        let operator = &self.operators.all[idx];
        let state = &self.pods[pod.index()];
        let candidate = Candidate {
            fresh_since: state.plan.answers_at,
            served_since: self
                .control_plane
                .api_since()
                .max(self.caller_served_since(ApiCaller::Pod(pod))),
        };
        if operator.keeps_identity && operator.holder == Some(pod) {
            return candidate.fresh_since.max(candidate.served_since);
        }
        let lost = LostLease { renewed_at: operator.renewed_at, released_at: operator.released_at };
        // A candidate looks more often than that between two losses of a leader only in vain.
        let first = operator.loss_count * 32;
        leader_election::takes_at(&election(), lost, candidate, |nth| {
            self.draw(state.key.child("lease"), LOOK, first + nth)
        })
    }

    fn set_operator_next<E, R>(
        &mut self,
        idx: usize,
        next: Next,
        at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let operator = &mut self.operators.all[idx];
        ctx.cancel(operator.timer);
        operator.next = next;
        operator.timer = if next == Next::Nothing {
            Timer::NONE
        } else {
            let event = KubeEvent::OperatorDue(operator.workload);
            ctx.timer_at(at.max(ctx.now()), priority::CONTROLLER, event)
        };
    }

    /// Tells whether an operator works, when that changed: it leads, and the network is there.
    fn tell_operator(&mut self, idx: usize) {
        let Operator { workload, leader, is_at_work, .. } = self.operators.all[idx];
        let works = leader.is_some_and(|leader| self.is_connected_to_api(leader));
        if works != is_at_work {
            self.operators.all[idx].is_at_work = works;
            self.notify(Notice::OperatorTurned { workload, is_at_work: works });
        }
    }

    fn operator_key(&self, workload: WorkloadId) -> EntityKey {
        self.tables.workload_keys[workload.index()].child("lease")
    }

    /// Whether the process of a pod runs and has read what it needs.
    fn has_process(&self, id: PodId) -> bool {
        let pod = &self.pods[id.index()];
        pod.phase == PodPhase::Running && pod.answers
    }

    /// Whether a pod gets answers from the API.
    fn reaches_api(&self, id: PodId) -> bool {
        self.is_api_available() && self.is_connected_to_api(id)
    }

    /// Whether a pod is where the API is, and its connection leads to a server that is there.
    pub(super) fn is_connected_to_api(&self, id: PodId) -> bool {
        self.is_beside_api(id) && !self.is_api_client_cut(id)
    }

    /// Whether a pod is on the side of the network on which the API is, or was last.
    pub(super) fn is_beside_api(&self, id: PodId) -> bool {
        let island = self.control_plane.island();
        let node = self.pods[id.index()].node;
        node.is_some_and(|node| self.is_running(node) && self.island_of_node(node) == island)
    }
}

/// From the last renewal of a leader to its end.
pub(super) fn stops_after() -> SimSpan {
    election().stops_after()
}

fn election() -> ElectionConfig {
    ElectionConfig::new(LEASE, RETRY_PERIOD)
}
