//! Rollouts: how workloads come to a new template, in time.
//!
//! A Deployment has a controller of its own, which sizes ReplicaSets; the ReplicaSet controller
//! (`workloads`) makes pods of the sizes and reports what became of them. Both see each other's
//! writes a watch later. While no rollout is on, nobody reports anything: it would change nothing.
//!
//! Sources: those of [`crate::deployment`]; `pkg/controller/replicaset`, Kubernetes 1.36.

use std::collections::BTreeMap;

use model_api::kube::{DaemonSetUpdate, DeploymentStrategy, Workload, WorkloadKind};
use model_api::{NodeId, Observation, PodId, WorkloadId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::pod::PodPhase;
use super::tables::Tables;
use super::templates::TemplateId;
use super::workloads::PodOrder;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::daemon_set::{self, NodePods};
use crate::deployment::{
    self, DeploymentSpec, DeploymentStatus, Progress, ProgressReason, Revision,
};
use crate::rare;

const SYNC: Purpose = Purpose::new("deployment controller sees change");
const UPDATE_ORDER: Purpose = Purpose::new("daemon set controller's order of nodes");

/// Name of the Deployment controller's client.
const CONTROLLER: &str = "Deployment";
/// First wait of a work queue's rate limiter (client-go/util/workqueue/default_rate_limiters.go).
const RETRY_FIRST: SimSpan = SimSpan::from_millis(5);

/// A Deployment as its controller knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct DeploymentState {
    /// In the order of creation; none is ever forgotten.
    ///
    /// Simplified: `revisionHistoryLimit` deletes none, so that a rollback of any age finds its
    /// ReplicaSet.
    replica_sets: Vec<ReplicaSet>,
    /// As it was written last.
    status: DeploymentStatus,
    /// Condition Progressing.
    reason: Option<ProgressReason>,
    /// Its `lastUpdateTime`.
    updated_at: SimTime,
    is_sync_pending: bool,
    /// The client's limit has let the writes of the coming sync through.
    is_granted: bool,
    sync_count: u64,
    recheck: Timer,
}

#[derive(Clone, Debug)]
struct ReplicaSet {
    template: TemplateId,
    /// With `availableReplicas` as the ReplicaSet controller wrote it last.
    revision: Revision,
    /// `status.replicas`.
    replicas: i32,
    /// `status.readyReplicas`.
    ready: i32,
}

/// A count of pods as the API has it.
fn count(pods: usize) -> i32 {
    i32::try_from(pods).expect("pods are fewer than 2^31")
}

impl DeploymentState {
    pub(super) fn at_start(id: WorkloadId, workload: &Workload, tables: &Tables) -> Self {
        let WorkloadKind::Deployment { strategy, .. } = &workload.kind else {
            return Self::default();
        };
        let replicas = tables.replicas_at_start(id, workload.replicas) as usize;
        let spec = DeploymentSpec { replicas: count(replicas), rolling: rolling(*strategy) };
        let mut revision = Revision { size: spec.replicas, ..Revision::default() };
        annotate(&mut revision, &spec);
        let template = TemplateId::at_start(id);
        let first = ReplicaSet { template, revision, replicas: 0, ready: 0 };
        Self {
            replica_sets: vec![first],
            reason: Some(ProgressReason::Available),
            ..Self::default()
        }
    }

    fn position(&self, template: TemplateId) -> Option<usize> {
        self.replica_sets.iter().position(|it| it.template == template)
    }

    /// `status` from those of the ReplicaSets (`calculateStatus`).
    fn observed(&self, template: TemplateId) -> DeploymentStatus {
        let sum = |of: fn(&ReplicaSet) -> i32| self.replica_sets.iter().map(of).sum();
        let new = self.position(template);
        DeploymentStatus {
            replicas: sum(|it| it.replicas),
            updated: new.map_or(0, |idx| self.replica_sets[idx].replicas),
            ready: sum(|it| it.ready),
            available: sum(|it| it.revision.available),
            is_current: true,
        }
    }
}

fn rolling(
    strategy: DeploymentStrategy,
) -> Option<(model_api::kube::IntOrPercent, model_api::kube::IntOrPercent)> {
    match strategy {
        DeploymentStrategy::Recreate => None,
        DeploymentStrategy::RollingUpdate { max_surge, max_unavailable } => {
            Some((max_surge, max_unavailable))
        }
    }
}

/// Writes down for what a ReplicaSet was sized (`SetReplicasAnnotations`).
fn annotate(revision: &mut Revision, spec: &DeploymentSpec) {
    revision.desired_replicas = Some(spec.replicas);
    revision.max_replicas = Some(spec.replicas + spec.max_surge());
}

/// Commands.
impl Cluster {
    /// Changes `spec.template` of its workload, as an apply does; whether that changed anything. It
    /// does not while the API is away, nor for a kind whose pods nobody replaces.
    ///
    /// A template that the workload had before brings its ReplicaSet back: a rollback.
    pub fn patch_template<E, R>(
        &mut self,
        template: TemplateId,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.tables.templates[template.index()].workload;
        let is_same = self.workloads[workload.index()].template == template;
        if !self.control_plane.is_api_available() || is_same {
            return false;
        }
        self.note_spec(workload, ctx.now());
        let state = &mut self.workloads[workload.index()];
        let is_deployment = match self.blueprint.workloads[workload.index()].kind {
            WorkloadKind::Deployment { .. } => true,
            WorkloadKind::StatefulSet { .. }
            | WorkloadKind::DaemonSet { .. }
            | WorkloadKind::DatabaseInstances => false,
            // Only pods that are created from now on are of it.
            WorkloadKind::ReplicaSet => {
                state.template = template;
                return true;
            }
            WorkloadKind::Job(_) | WorkloadKind::Pod => return false,
        };
        state.previous = state.template;
        state.template = template;
        state.is_rolling = true;
        // The key of a back-off names the generation (`failedPodsBackoffKey`).
        state.failed_daemons.clear();
        ctx.observe(|| Observation::RolloutStarted { workload });
        self.expect_delivery_look(workload, ctx);
        if is_deployment {
            self.count_replicas(workload, ctx.now());
            let state = &mut self.workloads[workload.index()];
            state.deployment.status = state.deployment.observed(state.previous);
            self.request_deployment_sync(workload, ctx);
        } else {
            self.request_sync(workload, ctx);
        }
        self.settle(ctx);
        true
    }

    /// The operator of a database deletes the pod of an instance, which is made again of the newest
    /// template.
    pub fn replace_instance<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.pods[pod.index()].is_active() {
            self.delete_by_controller(pod, ctx);
            self.settle(ctx);
        }
    }

    /// What runs in the pod of an instance was restarted, which is all that the newest template of its
    /// database asks for.
    pub fn adopt_template<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[pod.index()].workload;
        self.pods[pod.index()].template = self.template(workload);
        self.request_sync(workload, ctx);
    }

    /// Whether pods of two templates are alike, so that what runs in them needs a restart at most.
    pub fn has_same_pods(&self, one: TemplateId, other: TemplateId) -> bool {
        let spec = |it: TemplateId| &self.tables.templates[it.index()].template.spec;
        spec(one) == spec(other)
    }

    /// For how long what runs in a pod goes on serving when it is deleted, before it ends: a primary
    /// waits for its sessions. Less than before hastens the end of one that is stopping.
    pub fn set_linger<E, R>(&mut self, id: PodId, linger: SimSpan, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        let before = std::mem::replace(&mut pod.linger, linger);
        let (is_stopping, term_at) = (pod.is_stopping, pod.term_at);
        if linger < before && is_stopping && term_at > ctx.now() {
            let at = term_at.saturating_sub(before.saturating_sub(linger)).max(ctx.now());
            self.expect_term(id, at, ctx);
        }
    }

    /// Goes back to the template before the last change, as `kubectl rollout undo` does; whether
    /// that changed anything.
    pub fn undo_rollout<E, R>(&mut self, workload: WorkloadId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let previous = self.workloads[workload.index()].previous;
        self.patch_template(previous, ctx)
    }

    /// All pods are of the newest template and available.
    pub(super) fn end_rollout<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.workloads[id.index()].is_rolling {
            self.note_spec(id, ctx.now());
            self.workloads[id.index()].is_rolling = false;
            if self.canary_of(id).is_some() {
                // It is complete once the revision was tried and the primary has it.
                return;
            }
            ctx.observe(|| Observation::RolloutCompleted { workload: id });
            self.notify(Notice::RolloutCompleted(id));
        }
    }
}

/// The Deployment controller.
impl Cluster {
    /// Lets the controller of a Deployment look at it soon.
    pub(super) fn request_deployment_sync<E, R>(
        &mut self,
        id: WorkloadId,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.workloads[id.index()].deployment;
        if std::mem::replace(&mut state.is_sync_pending, true) {
            return;
        }
        state.sync_count += 1;
        let occurrence = state.sync_count;
        let draw = self.draw(self.tables.workload_keys[id.index()], SYNC, occurrence);
        let watch = drawn(draw, self.blueprint.parameters.watch_latency);
        ctx.schedule_in(watch, priority::CONTROLLER, KubeEvent::DeploymentSync(id));
    }

    /// One sync of a Deployment (`syncDeployment`).
    pub(super) fn on_deployment_sync<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let spec = self.deployment_spec(id);
        let template = self.template(id);
        let before = &self.workloads[id.index()].deployment;
        let mut after: Vec<Revision> =
            before.replica_sets.iter().map(|it| it.revision.clone()).collect();
        let new = before.position(template);
        // One that is paused is scaled at every sync, and nothing else (`syncDeployment`).
        let is_paused = self.is_held(id);
        let is_scaling = is_paused || deployment::is_scaling_event(&spec, &after);
        if is_scaling {
            deployment::scale(&spec, &mut after, new);
        } else {
            self.move_pods(id, &spec, new, &mut after, ctx.now());
        }
        let is_changed = |(idx, revision): (usize, &Revision)| {
            self.workloads[id.index()].deployment.replica_sets.get(idx).map(|it| it.revision.size)
                != Some(revision.size)
        };
        let changed: Vec<bool> = after.iter().enumerate().map(is_changed).collect();
        let write_count = changed.iter().filter(|is_changed| **is_changed).count();
        if !self.grant_writes(id, write_count, ctx) {
            return;
        }
        let is_new = after.len() > self.workloads[id.index()].deployment.replica_sets.len();
        // A new one is written first.
        let mut writes: Vec<(usize, Revision)> = after.into_iter().enumerate().collect();
        writes.rotate_right(usize::from(is_new));
        for (idx, mut revision) in writes {
            if changed[idx] || (is_scaling && revision.size > 0) {
                annotate(&mut revision, &spec);
            }
            self.write_replica_set(id, idx, revision, changed[idx], ctx);
        }
        if write_count > 0 {
            self.request_sync(id, ctx);
            self.request_deployment_sync(id, ctx);
        }
        if is_paused {
            let deployment = &mut self.workloads[id.index()].deployment;
            deployment.status = deployment.observed(template);
        } else if self.workloads[id.index()].is_rolling {
            self.judge_progress(id, &spec, is_new, ctx);
        }
    }

    /// A Deployment is paused, or goes on: its deadline begins anew, unless it was exceeded before
    /// (`checkPausedConditions`).
    pub(super) fn note_pause(&mut self, id: WorkloadId, now: SimTime) {
        let written_at = self.condition_time(now);
        let state = &mut self.workloads[id.index()].deployment;
        if state.reason != Some(ProgressReason::DeadlineExceeded) {
            (state.reason, state.updated_at) = (Some(ProgressReason::Other), written_at);
        }
    }

    /// How many pods of a Deployment must be available for its condition `Available`.
    pub(super) fn min_available(&self, id: WorkloadId) -> i32 {
        let spec = self.deployment_spec(id);
        spec.replicas - spec.max_unavailable()
    }

    /// Whether a rollout is on that exceeds its progress deadline.
    pub(super) fn is_rollout_late(&self, id: WorkloadId) -> bool {
        let state = &self.workloads[id.index()];
        state.is_rolling && state.deployment.reason == Some(ProgressReason::DeadlineExceeded)
    }

    fn deployment_spec(&self, id: WorkloadId) -> DeploymentSpec {
        let replicas = count(self.replicas(id) as usize);
        DeploymentSpec { replicas, rolling: rolling(self.strategy(id).0) }
    }

    /// Strategy and progress deadline.
    fn strategy(&self, id: WorkloadId) -> (DeploymentStrategy, SimSpan) {
        match &self.blueprint.workloads[id.index()].kind {
            WorkloadKind::Deployment { strategy, progress_deadline, .. } => {
                (*strategy, *progress_deadline)
            }
            kind => unreachable!("a {} has no Deployment controller", kind.name()),
        }
    }

    /// Sizes the ReplicaSets as the strategy says; a new one is put behind the others.
    fn move_pods(
        &self,
        id: WorkloadId,
        spec: &DeploymentSpec,
        new: Option<usize>,
        revisions: &mut Vec<Revision>,
        now: SimTime,
    ) {
        let mut newest = new.map(|idx| revisions.remove(idx));
        let fresh = || Revision { created_at: now, ..Revision::default() };
        if spec.rolling.is_some() {
            deployment::sync_rolling(spec, revisions, &mut newest, fresh);
        } else {
            let has_old_pods = self.has_old_pods(id);
            deployment::sync_recreate(spec, revisions, &mut newest, has_old_pods, fresh);
        }
        if let Some(newest) = newest {
            revisions.insert(new.unwrap_or(revisions.len()), newest);
        }
    }

    /// Pods of an older template that may still do something (`oldPodsRunning`).
    fn has_old_pods(&self, id: WorkloadId) -> bool {
        let state = &self.workloads[id.index()];
        state
            .pods
            .iter()
            .map(|pod| &self.pods[pod.index()])
            .any(|pod| pod.template != state.template && pod.phase != PodPhase::Finished)
    }

    /// Whether so many writes may go out now. If not, the sync comes again when they may.
    fn grant_writes<E, R>(
        &mut self,
        id: WorkloadId,
        write_count: usize,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let state = &mut self.workloads[id.index()].deployment;
        state.is_sync_pending = false;
        if std::mem::take(&mut state.is_granted) {
            return true;
        }
        let times = (0..write_count).map(|_| self.clients.reserve_of(CONTROLLER, now));
        let sent_at = times.max().unwrap_or(now);
        if sent_at <= now {
            return true;
        }
        ctx.hit(&rare::CONTROLLER_THROTTLED);
        let state = &mut self.workloads[id.index()].deployment;
        state.is_granted = true;
        state.is_sync_pending = true;
        ctx.schedule_at(sent_at, priority::CONTROLLER, KubeEvent::DeploymentSync(id));
        false
    }

    fn write_replica_set<E, R>(
        &mut self,
        id: WorkloadId,
        idx: usize,
        revision: Revision,
        is_changed: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if is_changed {
            let replicas = revision.size.unsigned_abs();
            let number = u32::try_from(idx).expect("ReplicaSets are few");
            ctx.observe(|| Observation::ReplicaSetScaled {
                workload: id,
                revision: number,
                replicas,
            });
        }
        let state = &mut self.workloads[id.index()];
        match state.deployment.replica_sets.get_mut(idx) {
            Some(known) => known.revision = revision,
            None => {
                let template = state.template;
                let new = ReplicaSet { template, revision, replicas: 0, ready: 0 };
                state.deployment.replica_sets.push(new);
            }
        }
    }

    /// Writes status and condition Progressing (`syncRolloutStatus`), and looks again when the
    /// deadline passes (`requeueStuckDeployment`).
    fn judge_progress<E, R>(
        &mut self,
        id: WorkloadId,
        spec: &DeploymentSpec,
        is_new: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let template = self.template(id);
        let written_at = self.condition_time(now);
        let state = &mut self.workloads[id.index()].deployment;
        if is_new {
            (state.reason, state.updated_at) = (Some(ProgressReason::Other), written_at);
        }
        let (before, after) = (state.status, state.observed(template));
        let progress = self.progress(id);
        let reason =
            if after.replicas == after.updated && progress.reason == ProgressReason::Available {
                None
            } else if deployment::is_complete(spec.replicas, &after) {
                Some(ProgressReason::Available)
            } else if deployment::is_progressing(&before, &after) {
                Some(ProgressReason::Other)
            } else {
                progress.is_timed_out(now).then_some(ProgressReason::DeadlineExceeded)
            };
        let has_stopped = reason == Some(ProgressReason::DeadlineExceeded)
            && progress.reason != ProgressReason::DeadlineExceeded;
        let is_step = after != before || has_stopped;
        let state = &mut self.workloads[id.index()].deployment;
        if let Some(reason) = reason
            && is_step
        {
            (state.reason, state.updated_at) = (Some(reason), written_at);
        }
        state.status = after;
        if has_stopped {
            ctx.hit(&rare::ROLLOUT_TIMED_OUT);
            ctx.observe(|| Observation::RolloutStalled { workload: id });
            self.notify(Notice::RolloutStalled(id));
        }
        if deployment::is_complete(spec.replicas, &after) {
            self.end_rollout(id, ctx);
        } else if is_step {
            self.clients.reserve_of(CONTROLLER, now);
            // Its own write comes back to it.
            self.request_deployment_sync(id, ctx);
        } else {
            self.recheck_at_deadline(id, ctx);
        }
    }

    fn progress(&self, id: WorkloadId) -> Progress {
        let state = &self.workloads[id.index()].deployment;
        let reason = state.reason.unwrap_or(ProgressReason::Other);
        Progress { reason, updated_at: state.updated_at, deadline: self.strategy(id).1 }
    }

    fn recheck_at_deadline<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let progress = self.progress(id);
        let Some(after) = progress.requeue_after(ctx.now()) else { return };
        let recheck =
            std::mem::replace(&mut self.workloads[id.index()].deployment.recheck, Timer::NONE);
        ctx.cancel(recheck);
        let at = if after.is_zero() {
            // Upstream tries again and again from 5 ms on; the first try after the deadline counts.
            progress.updated_at + progress.deadline + RETRY_FIRST
        } else {
            // A second more, so that the deadline has passed for sure.
            ctx.now() + after + SimSpan::from_secs(1)
        };
        let at = at.max(ctx.now() + RETRY_FIRST);
        let timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::DeploymentSync(id));
        self.workloads[id.index()].deployment.recheck = timer;
    }
}

/// The ReplicaSet and DaemonSet controllers during a rollout.
impl Cluster {
    /// Reports on the ReplicaSets of a Deployment while somebody waits for that, then brings their
    /// pods to their numbers.
    pub(super) fn sync_replica_sets<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &self.workloads[id.index()];
        if state.is_rolling {
            let changed_count = self.count_replicas(id, ctx.now());
            for _ in 0..changed_count {
                self.clients.reserve(&WorkloadKind::ReplicaSet, ctx.now());
            }
            // A recreation waits for pods to be gone, which no status shows.
            if changed_count > 0 || self.deployment_spec(id).rolling.is_none() {
                self.request_deployment_sync(id, ctx);
            }
        }
        for idx in 0..self.workloads[id.index()].deployment.replica_sets.len() {
            let replica_set = &self.workloads[id.index()].deployment.replica_sets[idx];
            let (template, size) = (replica_set.template, replica_set.revision.size);
            let wanted = usize::try_from(size).unwrap_or(0);
            self.sync_replicas(id, Some(template), template, wanted, ctx);
        }
    }

    /// Counts the pods of each ReplicaSet of a Deployment into its status (`calculateStatus` of
    /// replica_set_utils.go); how many statuses that changed.
    fn count_replicas(&mut self, id: WorkloadId, now: SimTime) -> usize {
        let min_ready = self.blueprint.workloads[id.index()].min_ready;
        let mut changed_count = 0;
        for idx in 0..self.workloads[id.index()].deployment.replica_sets.len() {
            let state = &self.workloads[id.index()];
            let template = state.deployment.replica_sets[idx].template;
            let (mut replicas, mut ready, mut available) = (0, 0, 0);
            for pod in &state.pods {
                let view = &self.pods[pod.index()];
                if view.template == template && view.is_active() && view.created_at <= now {
                    replicas += 1;
                    ready += i32::from(view.is_ready);
                    available += i32::from(self.is_available(*pod, min_ready, now));
                }
            }
            let replica_set = &mut self.workloads[id.index()].deployment.replica_sets[idx];
            let after = (replicas, ready, available);
            let before = (replica_set.replicas, replica_set.ready, replica_set.revision.available);
            changed_count += usize::from(before != after);
            (replica_set.replicas, replica_set.ready, replica_set.revision.available) = after;
        }
        changed_count
    }

    /// Gives the ReplicaSets of a Deployment the sizes that a snapshot had them at, none the others.
    pub(super) fn resize_replica_sets(
        &mut self,
        id: WorkloadId,
        sizes: &BTreeMap<TemplateId, u32>,
        now: SimTime,
    ) {
        let (spec, template) = (self.deployment_spec(id), self.template(id));
        for replica_set in &mut self.workloads[id.index()].deployment.replica_sets {
            let size = sizes.get(&replica_set.template).copied().unwrap_or(0);
            replica_set.revision.size = count(size as usize);
            annotate(&mut replica_set.revision, &spec);
        }
        self.count_replicas(id, now);
        let deployment = &mut self.workloads[id.index()].deployment;
        deployment.status = deployment.observed(template);
        (deployment.reason, deployment.updated_at) = (Some(ProgressReason::Available), now);
    }

    /// Brings a DaemonSet's pods to the nodes that want one, and moves them to its template.
    pub(super) fn sync_daemon_set<E, R>(
        &mut self,
        id: WorkloadId,
        update: DaemonSetUpdate,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let template = self.template(id);
        let mut has_pod = vec![false; self.nodes.len()];
        for pod in self.workloads[id.index()].pods.clone() {
            let Some(node) = self.pods[pod.index()].pinned else { continue };
            has_pod[node.index()] = true;
            let state = &self.pods[pod.index()];
            if state.phase == PodPhase::Finished && !state.is_terminating && !state.is_doomed {
                self.replace_failed_daemon(pod, node, ctx);
            }
        }
        let nodes = (0..self.nodes.len()).map(NodeId::from_index);
        let missing = nodes.filter(|node| !has_pod[node.index()] && self.wants_daemon(id, *node));
        let order = |node: NodeId| PodOrder { template, ordinal: node.0, pinned: Some(node) };
        let orders: Vec<PodOrder> = missing.map(order).collect();
        self.create_pods(id, &orders, ctx);
        if !self.workloads[id.index()].is_rolling {
            return;
        }
        if let DaemonSetUpdate::RollingUpdate { max_surge, max_unavailable } = update {
            let daemons = self.daemons(id, ctx.now());
            let surge = daemon_set::share_of(max_surge, daemons.nodes.len());
            let unavailable = daemon_set::share_of(max_unavailable, daemons.nodes.len());
            let plan = daemon_set::update(&daemons.views, surge, unavailable);
            for idx in plan.delete_old {
                let old = daemons.old[idx].expect("an old pod is deleted");
                self.delete_by_controller(old, ctx);
            }
            let nodes = plan.create_new.into_iter().map(|idx| daemons.nodes[idx]);
            let orders: Vec<PodOrder> = nodes.map(order).collect();
            self.create_pods(id, &orders, ctx);
        }
        let views = self.daemons(id, ctx.now()).views;
        if views.iter().all(|pods| *pods == NodePods { old: None, new: Some(true) }) {
            self.end_rollout(id, ctx);
        }
    }

    /// Deletes a daemon that failed, so that another may come, or waits with it.
    fn replace_failed_daemon<E, R>(&mut self, pod: PodId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (now, id) = (ctx.now(), self.pods[pod.index()].workload);
        let state = &mut self.workloads[id.index()];
        let backoff = state.failed_daemons.entry(node).or_default();
        let Some(wait) = daemon_set::wait_for_failed(backoff, now) else {
            return self.delete_by_controller(pod, ctx);
        };
        let (due, at) = (&mut state.failed_daemons_due, now + wait);
        if *due <= now || *due > at {
            *due = at;
            ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::WorkloadSync(id));
        }
    }

    /// The nodes that want a daemon, in the order in which an update looks at them, and what is
    /// there: pods that do not go. Upstream goes over a map, whose order is that of luck.
    fn daemons(&self, id: WorkloadId, now: SimTime) -> Daemons {
        let (template, min_ready) =
            (self.template(id), self.blueprint.workloads[id.index()].min_ready);
        let mut nodes: Vec<NodeId> = (0..self.nodes.len())
            .map(NodeId::from_index)
            .filter(|node| self.wants_daemon(id, *node))
            .collect();
        let luck = |node: &NodeId| self.tables.node_keys[node.index()];
        nodes.sort_by_cached_key(|node| self.draw(luck(node), UPDATE_ORDER, 0).word());
        // By node: the first pod of an older template, and of the newest.
        let mut found = vec![[None; 2]; self.nodes.len()];
        for pod in &self.workloads[id.index()].pods {
            let state = &self.pods[pod.index()];
            if let Some(node) = state.pinned
                && state.is_active()
                && !state.is_doomed
            {
                let place = &mut found[node.index()][usize::from(state.template == template)];
                place.get_or_insert(*pod);
            }
        }
        let view = |node: &NodeId| {
            let [old, new] = found[node.index()]
                .map(|pod| pod.map(|pod| self.is_available(pod, min_ready, now)));
            NodePods { old, new }
        };
        let views = nodes.iter().map(view).collect();
        let old = nodes.iter().map(|node| found[node.index()][0]).collect();
        Daemons { nodes, views, old }
    }
}

/// What an update of a DaemonSet looks at, by position.
struct Daemons {
    nodes: Vec<NodeId>,
    views: Vec<NodePods>,
    /// Pods of an older template.
    old: Vec<Option<PodId>>,
}
