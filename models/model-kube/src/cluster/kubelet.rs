//! What kubelets do with pods: start, watch, restart, stop.
//!
//! Sources: `pkg/kubelet/{kubelet,pod_workers}.go`, `pkg/kubelet/kuberuntime/kuberuntime_manager.go`,
//! `pkg/kubelet/status/status_manager.go`, Kubernetes 1.36; [`crate::probes`], [`crate::crash_loop`].

use model_api::observation::{DeletionReason, KillReason, UnreadyReason};
use model_api::{Observation, PodId};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::history::Change;
use super::jobs::{EXIT_CRASH, EXIT_TERM};
use super::pod::{PodPhase, Refusal, StartPlan, Step};
use super::templates::TemplateHealth;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::api_restore::ORPHAN_GRACE;
use crate::crash_loop::BackoffConfig;
use crate::probes::{self, ProbeKind};
use crate::rare;
use crate::reflector::DIAL_TIMEOUT;
use crate::restart_policy::restarts;

const WATCH: Purpose = Purpose::new("kubelet sees pod");
const ATTACH: Purpose = Purpose::new("volume attach");
const SANDBOX: Purpose = Purpose::new("sandbox start");
const CONTAINER: Purpose = Purpose::new("container start");
const APP: Purpose = Purpose::new("application start");
const RELIST: Purpose = Purpose::new("kubelet relist");
const REQUEUE: Purpose = Purpose::new("pod worker requeue");
const STOP: Purpose = Purpose::new("container stop");
const CLEAR: Purpose = Purpose::new("pod cleared");

/// Between TERM and KILL there are 2 s even when preStop used up the grace period
/// (minimumGracePeriodInSeconds).
pub(super) const GRACE_LEAST: SimSpan = SimSpan::from_secs(2);
/// The pod worker comes late to a back-off by up to this.
const REQUEUE_MOST: SimSpan = SimSpan::from_secs(30);

impl Cluster {
    /// The processes of these pods end with an error, now. Pods whose processes do not run are
    /// left alone; returns how many were hit.
    pub fn crash_pods<E, R>(&mut self, pods: &[PodId], ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let mut hit_count = 0;
        for id in pods {
            if self.pods[id.index()].phase != PodPhase::Running {
                continue;
            }
            hit_count += 1;
            self.expect_exit(*id, ctx);
        }
        self.settle(ctx);
        hit_count
    }

    /// The containers of a pod ended; its kubelet sees that with its next look.
    pub(super) fn expect_exit<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.end_processes(id, PodPhase::Waiting, ctx);
        let pod = &self.pods[id.index()];
        if !pod.is_stopping {
            let draw = self.draw(pod.key, RELIST, u64::from(pod.restart_count));
            let seen_in = drawn(draw, self.blueprint.parameters.kubelet_relist);
            self.set_step(id, Step::ExitSeen, ctx.now() + seen_in, ctx);
        }
    }

    /// Starts a pod that is bound at `bound_at`.
    pub(super) fn begin_start<E, R>(
        &mut self,
        id: PodId,
        bound_at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.pods[id.index()].node.expect("a pod is started after it was bound");
        let has_contact = self.has_contact(node);
        let pod = &mut self.pods[id.index()];
        pod.phase = PodPhase::Creating;
        pod.awaits_kubelet = !has_contact;
        if !has_contact {
            ctx.hit(&rare::KUBELET_MISSED_POD);
            return;
        }
        let key = self.pods[id.index()].key;
        let watch = drawn(self.draw(key, WATCH, 0), self.blueprint.parameters.watch_latency);
        let seen_at = bound_at + watch;
        self.pods[id.index()].worker_at = seen_at;
        let refusal = self.refused_for(id);
        if let Some(refusal) = refusal.or_else(|| self.not_admitted(id).map(Refusal::Check)) {
            self.set_step(id, Step::Refused(refusal), seen_at, ctx);
            return;
        }
        self.go_on_with_volumes(id, seen_at, ctx);
    }

    /// Attaches the volumes of a pod as soon as they are free; then come its sandbox and images.
    pub(super) fn go_on_with_volumes<E, R>(
        &mut self,
        id: PodId,
        tried_at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some((mut at, is_forced)) = self.begin_attach(id, tried_at, ctx) else { return };
        let parameters = &self.blueprint.parameters;
        let pod = &self.pods[id.index()];
        let (key, workload, table) = (pod.key, pod.workload, self.tables.template_of(pod));
        if table.claim_count > 0 {
            at += drawn(self.draw(key, ATTACH, 0), parameters.volume_attach);
            let at_ns = at.as_nanos();
            let pod = id;
            ctx.observe(|| Observation::PodVolumesExpected { pod, workload, at_ns, is_forced });
        }
        at += drawn(self.draw(key, SANDBOX, 0), parameters.sandbox_start);
        self.expect_mounts(id, at, ctx);
    }

    /// Starts the containers of a pod anew on a node that has everything but the sandbox, unless
    /// the pod never had its volumes there.
    pub(super) fn begin_restart_on_boot<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        let spec = &self.tables.template_of(pod).template.spec;
        // Containers that a boot ended are failed ones.
        if pod.has_address && !restarts(spec.restart_policy, None, &[], EXIT_CRASH) {
            self.fail_on_boot(id, ctx);
            return;
        }
        pod.restart_count += u32::from(pod.has_address);
        pod.phase = PodPhase::Creating;
        pod.awaits_list = false;
        pod.worker_at = ctx.now();
        if !self.has_volumes(id) {
            self.go_on_with_volumes(id, ctx.now(), ctx);
            return;
        }
        let pod = &self.pods[id.index()];
        let (key, occurrence) = (pod.key, u64::from(pod.restart_count));
        let sandbox =
            drawn(self.draw(key, SANDBOX, occurrence), self.blueprint.parameters.sandbox_start);
        self.expect_mounts(id, ctx.now() + sandbox, ctx);
    }

    /// Works out when the containers run, answer and are ready, from the moment the first one is
    /// created.
    ///
    /// Simplified: an init container runs for as long as a container takes to start.
    fn plan_start(&self, id: PodId, from: SimTime) -> StartPlan {
        let parameters = &self.blueprint.parameters;
        let pod = &self.pods[id.index()];
        let spec = &self.tables.template_of(pod).template.spec;
        let occurrence = u64::from(pod.restart_count);
        let mut started_at = from;
        let container_count = 2 * spec.init_containers.len() + spec.containers.len();
        for idx in 0..container_count.max(1) {
            let draw = self.draw(pod.key.part(idx as u64), CONTAINER, occurrence);
            started_at += drawn(draw, parameters.container_start);
        }
        let app_start = drawn(self.draw(pod.key, APP, occurrence), parameters.app_start);
        let answers_at = started_at + app_start;
        let relist = self.draw(pod.key, RELIST, occurrence);
        let synced_at = started_at + drawn(relist, parameters.kubelet_relist);
        let ready_at = spec.containers.iter().map(|container| {
            probes::ready_at(container, pod.worker_at, started_at, synced_at, answers_at)
        });
        let health = self.tables.template_of(pod).health;
        let ready_at = match health {
            TemplateHealth::Good | TemplateHealth::Failing { .. } => {
                ready_at.max().unwrap_or(synced_at)
            }
            TemplateHealth::NeverReady => SimTime::MAX,
        };
        let gives_up = spec.containers.iter().filter_map(|container| {
            // What never becomes ready fails its startup probe too; its liveness probe holds.
            let fails = health == TemplateHealth::NeverReady && container.startup.is_some();
            let answers_at = if fails { SimTime::MAX } else { answers_at };
            probes::gives_up_at(container, pod.worker_at, started_at, answers_at)
        });
        let given_up = gives_up.min_by_key(|(at, _)| *at).map(|(at, kind)| match kind {
            ProbeKind::Startup => (at, KillReason::StartupProbe),
            ProbeKind::Liveness | ProbeKind::Readiness => (at, KillReason::LivenessProbe),
        });
        StartPlan { started_at, answers_at, ready_at, given_up }
    }

    pub(super) fn on_pod_step<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        let workload = pod.workload;
        match std::mem::take(&mut pod.step) {
            Step::None => {}
            Step::Refused(refusal) => self.on_refused(id, refusal, ctx),
            Step::PullDue => self.on_pull_due(id, ctx),
            Step::Pulled => {
                // A pull that broke off meanwhile is made again.
                if !self.has_images(id, ctx.now()) {
                    return self.on_pull_due(id, ctx);
                }
                if self.waits_for_environment(id, ctx) {
                    return;
                }
                ctx.observe(|| Observation::PodImagePulled { pod: id, workload });
                let plan = self.plan_start(id, ctx.now());
                self.pods[id.index()].plan = plan;
                self.set_step(id, Step::Started, plan.started_at, ctx);
            }
            Step::Started => {
                pod.phase = PodPhase::Running;
                pod.has_address = true;
                pod.exit = None;
                ctx.observe(|| Observation::PodStarted { pod: id, workload });
                self.go_on_starting(id, ctx);
                self.begin_work(id, ctx);
                self.note_restart(id, ctx);
                self.begin_use(id, ctx);
                self.touch_scaler(workload);
            }
            Step::Answers => {
                if self.dial_at_start(id, ctx) {
                    return self.set_step(id, Step::Answers, ctx.now() + DIAL_TIMEOUT, ctx);
                }
                if self.is_stranded_operator(id) {
                    return self.expect_exit(id, ctx);
                }
                self.set_answers(id, true);
                self.go_on_starting(id, ctx);
            }
            Step::Ready => {
                if self.lacks_configuration(id) {
                    return self.go_on_starting(id, ctx);
                }
                let pod = &mut self.pods[id.index()];
                pod.is_locally_ready = true;
                self.publish_status(id, UnreadyReason::Probe, ctx);
                self.go_on_starting(id, ctx);
            }
            Step::GivenUp => {
                ctx.hit(&rare::START_FAILED);
                let (_, reason) = pod.plan.given_up.expect("that is why there is this step");
                self.kill_containers(id, reason, ctx);
            }
            Step::Killed => self.on_killed(id, ctx),
            Step::ExitSeen => self.on_exit_seen(id, ctx),
        }
    }

    /// The kubelet does not take a pod, which has failed then.
    fn on_refused<E, R>(&mut self, id: PodId, refusal: Refusal, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let (workload, node) = (pod.workload, pod.node.expect("it was bound"));
        match refusal {
            Refusal::Pressure(resource) => {
                ctx.hit(&rare::POD_REFUSED);
                ctx.observe(|| Observation::PodRefused { pod: id, workload, node, resource });
            }
            Refusal::Check(check) => {
                ctx.observe(|| Observation::PodNotAdmitted { pod: id, workload, node, check });
            }
            Refusal::Shutdown => {}
        }
        self.finish_pod(id, ctx);
    }

    /// Waits for what comes next in a start: an answer, readiness, or a probe that gives it up.
    /// Without a probe a pod is ready before it can answer.
    pub(super) fn go_on_starting<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let plan = pod.plan;
        let given_up = plan.given_up.map(|(at, _)| (at, Step::GivenUp));
        let answers = (!pod.answers).then_some((plan.answers_at, Step::Answers));
        let waits = !pod.is_locally_ready && plan.ready_at != SimTime::MAX;
        let ready = waits.then_some((plan.ready_at, Step::Ready));
        let next = [given_up, answers, ready].into_iter().flatten().min_by_key(|(at, _)| *at);
        if let Some((at, step)) = next {
            self.set_step(id, step, at, ctx);
        }
    }

    /// The kubelet sees that containers ended: it says so and restarts them after the back-off.
    fn on_exit_seen<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.publish_status(id, UnreadyReason::ContainersEnded, ctx);
        let config = BackoffConfig::of(&self.blueprint.parameters);
        let pod = &mut self.pods[id.index()];
        let spec = &self.tables.template_of(pod).template.spec;
        let exit_code = *pod.exit.get_or_insert(EXIT_CRASH);
        if !restarts(spec.restart_policy, None, &[], exit_code) {
            if exit_code != 0 {
                ctx.hit(&rare::POD_FAILED);
            }
            self.finish_pod(id, ctx);
            return;
        }
        let now = ctx.now();
        let at = if std::mem::take(&mut pod.is_killed) {
            pod.backoff.restart_after_kill(pod.former_end, now, &config)
        } else {
            pod.backoff.restart_at(now, &config)
        };
        pod.former_end = Some(now);
        if at > now {
            ctx.hit(&rare::CRASH_LOOPED);
        }
        pod.restart_count += 1;
        let (key, occurrence) = (pod.key, u64::from(pod.restart_count));
        let late_most = ((at - now) / 2).min(REQUEUE_MOST);
        let late = self.draw(key, REQUEUE, occurrence).span_between(SimSpan::ZERO, late_most);
        self.expect_images(id, at + late, ctx);
    }

    /// A pod is over, and stays so until somebody deletes it.
    pub(super) fn finish_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_told = self.is_in_contact(id);
        self.set_phase(id, PodPhase::Finished);
        let pod = &mut self.pods[id.index()];
        pod.is_end_told = is_told;
        pod.ended_at = ctx.now();
        let workload = pod.workload;
        self.expect_surplus(ctx);
        self.tear_volumes_down(id);
        self.release_from_scheduler(id, ctx);
        self.touch_endpoint(id, ctx);
        self.touch_scaler(workload);
        self.request_sync(workload, ctx);
    }

    /// The processes of a pod are gone.
    pub(super) fn end_processes<E, R>(
        &mut self,
        id: PodId,
        phase: PodPhase,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let ran = self.pods[id.index()].phase == PodPhase::Running;
        self.set_phase(id, phase);
        let pod = &mut self.pods[id.index()];
        pod.is_killed = false;
        pod.is_locally_ready = false;
        pod.step = Step::None;
        let timer = std::mem::replace(&mut pod.step_timer, Timer::NONE);
        ctx.cancel(timer);
        self.stop_work(id, ctx);
        self.end_use(id, ctx);
        self.forget_api_client(id, ctx);
        self.forget_sources(id);
        let pod = &self.pods[id.index()];
        if ran && !pod.answers {
            self.notify(Notice::PodStopped(id));
        }
        self.forget_probes(id, ctx);
        self.probing.still.remove(&id);
        self.set_answers(id, false);
    }

    fn set_answers(&mut self, id: PodId, answers: bool) {
        let pod = &mut self.pods[id.index()];
        if pod.answers == answers {
            return;
        }
        pod.answers = answers;
        self.notify(if answers { Notice::PodStarted(id) } else { Notice::PodStopped(id) });
        self.touch_services_of(id);
    }

    pub(super) fn set_step<E, R>(
        &mut self,
        id: PodId,
        step: Step,
        at: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = at.max(ctx.now());
        let pod = &mut self.pods[id.index()];
        ctx.cancel(pod.step_timer);
        pod.step = step;
        pod.step_timer = ctx.timer_at(at, priority::KUBELET, KubeEvent::PodStep(id));
    }

    /// Tells the API what the kubelet thinks of a pod's readiness, when it can. `reason` says why
    /// it is not ready, if it is not.
    pub(super) fn publish_status<E, R>(
        &mut self,
        id: PodId,
        reason: UnreadyReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.is_in_contact(id) {
            let pod = &self.pods[id.index()];
            let is_ready = pod.is_locally_ready;
            if pod.is_ready == is_ready || !self.hold(KubeEvent::StatusSync(id), ctx) {
                self.set_ready(id, is_ready, reason, ctx);
            }
        } else {
            self.tell_readiness_waits(id, ctx);
        }
    }

    /// Writes the Ready condition that the API shows.
    pub(super) fn set_ready<E, R>(
        &mut self,
        id: PodId,
        is_ready: bool,
        reason: UnreadyReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        if pod.is_ready == is_ready || !pod.exists() {
            return;
        }
        pod.is_ready = is_ready;
        let workload = pod.workload;
        if is_ready {
            pod.ready_since = ctx.now();
            ctx.observe(|| Observation::PodBecameReady { pod: id, workload });
            self.notify(Notice::PodReady(id));
        } else {
            ctx.observe(|| Observation::PodBecameUnready { pod: id, workload, reason });
            self.notify(Notice::PodUnready(id));
        }
        self.touch_endpoint(id, ctx);
        self.note_readiness(id, ctx);
    }

    /// Gives a pod its deletionTimestamp. What is not bound or finished goes at once; a kubelet in
    /// contact begins to stop the containers; otherwise the pod stays Terminating.
    pub(super) fn delete_pod<E, R>(
        &mut self,
        id: PodId,
        reason: DeletionReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        if pod.is_terminating || !pod.exists() {
            return;
        }
        pod.is_terminating = true;
        pod.is_disrupted = !matches!(reason, DeletionReason::ScaleDown | DeletionReason::Rollout);
        if pod.phase != PodPhase::Finished {
            pod.ended_at = ctx.now();
        }
        self.note_change(Change::PodTerminating(id), ctx.now());
        let pod = &mut self.pods[id.index()];
        let (workload, is_bound) = (pod.workload, pod.node.is_some());
        let spec = &self.tables.templates[pod.template.index()].template.spec;
        let spec_grace = spec.termination_grace;
        pod.deleted_at = Some(ctx.now() + spec_grace);
        let is_finished = pod.phase == PodPhase::Finished;
        ctx.observe(|| Observation::PodDeletionRequested { pod: id, workload, reason });
        self.notify(Notice::PodTerminating(id));
        if !is_bound || is_finished {
            self.remove_pod(id, ctx);
            return;
        }
        if spec_grace.is_zero() {
            self.delete_at_once(id, ctx);
            return;
        }
        self.mark_terminating_in_scheduler(id);
        self.touch_endpoint(id, ctx);
        self.request_sync(workload, ctx);
        if self.is_in_contact(id) {
            self.begin_stop(id, ctx);
        }
        self.expect_garbage(&[id], ctx);
    }

    /// Without a grace period the object is gone at once, whatever its node does
    /// (`pkg/registry/core/pod/strategy.go`, CheckGracefulDelete; `generic/registry/store.go`, 1.36), and its
    /// kubelet kills what runs when it hears of that, with a grace of a second
    /// (`calculateEffectiveGracePeriod`, pkg/kubelet/pod_workers.go). Volumes are taken from a silent node by
    /// force.
    fn delete_at_once<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::DELETED_AT_ONCE);
        let workload = self.pods[id.index()].workload;
        self.note_change(Change::PodGone(id), ctx.now());
        self.leave_containers(id, ctx);
        self.touch_endpoint(id, ctx);
        self.request_sync(workload, ctx);
        if !self.pods[id.index()].exists() {
            return;
        }
        if self.is_in_contact(id) {
            self.begin_stop(id, ctx);
        } else {
            self.release_volumes(id, ctx);
        }
    }

    /// A pod that is being deleted already is to be deleted for another reason as well: its condition
    /// `DisruptionTarget` says so, and nothing else changes.
    pub(super) fn disrupt_terminating<E, R>(
        &mut self,
        id: PodId,
        reason: DeletionReason,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        pod.is_disrupted = true;
        let workload = pod.workload;
        ctx.observe(|| Observation::PodDisrupted { pod: id, workload, reason });
    }

    /// The kubelet sees the deletionTimestamp: preStop, then TERM.
    pub(super) fn begin_stop<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        if pod.is_stopping {
            return;
        }
        pod.is_stopping = true;
        let key = pod.key;
        let runs = pod.phase == PodPhase::Running;
        let watch = drawn(self.draw(key, WATCH, 1), self.blueprint.parameters.watch_latency);
        let pre_stop = if runs { self.pre_stop(id) } else { SimSpan::ZERO };
        self.expect_term(id, ctx.now() + watch + pre_stop, ctx);
    }

    /// The kubelet ends a pod by itself, within a grace period. That only ever becomes shorter
    /// (`calculateEffectiveGracePeriod`, pkg/kubelet/pod_workers.go), and then preStop begins anew.
    pub(super) fn stop_with_grace<E, R>(
        &mut self,
        id: PodId,
        grace: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.pods[id.index()];
        state.eviction_grace = Some(state.eviction_grace.map_or(grace, |former| former.min(grace)));
        let was_stopping = std::mem::replace(&mut state.is_stopping, true);
        let has_term_due = was_stopping && ctx.is_pending(state.term);
        if !was_stopping || has_term_due {
            let term_at = if has_term_due { state.term_at } else { SimTime::MAX };
            let runs = state.phase == PodPhase::Running;
            let pre_stop = if runs { self.pre_stop(id) } else { SimSpan::ZERO };
            self.expect_term(id, term_at.min(ctx.now() + pre_stop), ctx);
        }
    }

    /// The containers of a pod get TERM at `at`, whatever was planned.
    pub(super) fn expect_term<E, R>(&mut self, id: PodId, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        ctx.cancel(pod.term);
        pod.term_at = at;
        pod.term = ctx.timer_at(at, priority::KUBELET, KubeEvent::TermDue(id));
    }

    /// How long the containers go on serving before what TERM is for: the longest preStop and what a
    /// primary waits for its sessions, within the grace period.
    pub(super) fn pre_stop(&self, id: PodId) -> SimSpan {
        let pod = &self.pods[id.index()];
        if pod.is_orphan {
            return SimSpan::ZERO;
        }
        let spec = &self.tables.template_of(pod).template.spec;
        let longest = spec.containers.iter().filter_map(|it| it.lifecycle.pre_stop).max();
        let serves = longest.unwrap_or(SimSpan::ZERO).saturating_add(pod.linger);
        serves.min(pod.eviction_grace.unwrap_or(spec.termination_grace))
    }

    /// How long a pod whose processes take nothing any more may go on with what they have: until KILL,
    /// where its kubelet told them to end, and not at all otherwise.
    pub fn time_to_finish(&self, id: PodId) -> SimSpan {
        let pod = &self.pods[id.index()];
        let runs_on = pod.node.is_some_and(|node| self.is_running(node));
        if !pod.is_stopping || !runs_on {
            return SimSpan::ZERO;
        }
        if pod.is_orphan {
            return ORPHAN_GRACE;
        }
        let grace = self.tables.template_of(pod).template.spec.termination_grace;
        let grace = pod.eviction_grace.unwrap_or(grace);
        grace.saturating_sub(self.pre_stop(id)).max(GRACE_LEAST)
    }

    pub(super) fn on_term_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let runs_on = pod.node.is_some_and(|node| self.is_running(node));
        if !pod.exists() || !pod.is_stopping || !runs_on {
            return;
        }
        let (key, runs) = (pod.key, pod.phase == PodPhase::Running);
        let reason = match pod.eviction_grace {
            Some(_) if pod.is_shut_down => UnreadyReason::NodeShutdown,
            Some(_) => UnreadyReason::Evicted,
            None => UnreadyReason::Terminating,
        };
        let left = self.time_to_finish(id);
        let stop = drawn(self.draw(key, STOP, 0), self.blueprint.parameters.container_stop);
        let stop = if runs { stop.min(left) } else { SimSpan::ZERO };
        if runs {
            self.pods[id.index()].exit = Some(EXIT_TERM);
        }
        let clear = drawn(self.draw(key, CLEAR, 0), self.blueprint.parameters.pod_clear);
        self.end_processes(id, PodPhase::Waiting, ctx);
        self.publish_status(id, reason, ctx);
        self.note_containers_gone(id, ctx.now() + stop);
        ctx.schedule_in(stop + clear, priority::KUBELET, KubeEvent::PodCleared(id));
    }

    /// Nothing of a pod is left, which its kubelet knows before it can tell.
    pub(super) fn on_pod_cleared<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_pod_cleared(id, ctx.now());
        let pod = &mut self.pods[id.index()];
        if !pod.exists() || !pod.is_stopping {
            return;
        }
        pod.has_ended = true;
        if !self.is_in_contact(id) || !self.hold(KubeEvent::PodClearedTold(id), ctx) {
            self.on_pod_cleared_told(id, ctx);
        }
        self.note_shutdown_pod(id, ctx);
    }

    /// The kubelet confirms that nothing of the pod is left.
    pub(super) fn on_pod_cleared_told<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        // A node that booted meanwhile may have it again, and stop it anew.
        if !pod.exists() || !pod.is_stopping || !pod.has_ended {
            return;
        }
        if pod.eviction_grace.is_some() && !pod.is_terminating {
            if !pod.is_shut_down {
                ctx.hit(&rare::POD_EVICTED);
            }
            let pod = &mut self.pods[id.index()];
            (pod.is_stopping, pod.has_ended) = (false, false);
            self.release_volumes(id, ctx);
            self.finish_pod(id, ctx);
        } else if self.is_in_contact(id) {
            self.remove_pod(id, ctx);
        } else {
            ctx.hit(&rare::POD_ENDED_UNCONFIRMED);
            // The confirmation waits for contact.
            self.pods[id.index()].is_stopping = false;
        }
    }

    /// The object goes, whoever asked for it.
    pub(super) fn remove_pod<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.pods[id.index()].exists() {
            return;
        }
        self.release_from_scheduler(id, ctx);
        self.end_processes(id, PodPhase::Gone, ctx);
        self.note_shutdown_pod(id, ctx);
        self.release_volumes(id, ctx);
        self.note_pod_cleared(id, ctx.now());
        let pod = &mut self.pods[id.index()];
        pod.is_ready = false;
        let (workload, node, is_orphan) = (pod.workload, pod.node, pod.is_orphan);
        let eviction = std::mem::replace(&mut pod.eviction, Timer::NONE);
        ctx.cancel(eviction);
        if let Some(node) = node {
            self.nodes[node.index()].pods.retain(|other| *other != id);
        }
        if !is_orphan {
            self.workloads[workload.index()].forget(id);
            self.note_change(Change::PodGone(id), ctx.now());
        }
        ctx.observe(|| Observation::PodGone { pod: id, workload });
        self.notify(Notice::PodGone(id));
        self.note_drained_pod(id, ctx);
        self.touch_endpoint(id, ctx);
        self.request_sync(workload, ctx);
    }
}
