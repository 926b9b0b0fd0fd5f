//! Jobs and CronJobs in time: the pods of a Job are made, counted as they end, and replaced with
//! back-off until it is complete or has failed.
//!
//! # Modelled
//! What [`crate::job`] and [`crate::cron_job`] decide, when their controllers look: after a change of
//! a pod, when a back-off, a deadline or a time to live is over, when a schedule is due. What a pod
//! works comes from the input ([`JobWork`](model_api::kube::JobWork)); then its containers exit. A Job
//! that has come to its end deletes its pods, and ends when the last of them has: one on a node that
//! is silent holds it up until that node is back or deleted.
//! # Not modelled
//! Jobs that are changed during a run, but for their parallelism and suspension. A restored API has them
//! suspended as they are.
//! Simplified: all containers of a pod exit together.
//! # Defaults and their sources
//! Those of the decisions; `cron_job::LOOK_DELAY`.
//! # Invariants
//! A pod counts once. Nothing happens between two changes but what is due.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::kube::{Job, JobEnd, JobSpec, WorkloadKind};
use model_api::{Blueprint, Observation, PodId, WorkloadId};
use sim_kernel::{Context, Purpose, Recorder, SimTime, Timer};

use self::past::JobsPast;

use super::pod::{PodPhase, PodState, Step};
use super::workloads::PodOrder;
use super::{Cluster, KubeEvent, priority};
use crate::cron_job::{self, Progress};
use crate::job::{self, ActivePod, FailedPod, FailureAction, JobStatus};
use crate::rare;

mod past;

const WORK: Purpose = Purpose::new("work of a pod of a job");
const FAILURE: Purpose = Purpose::new("failure of a pod of a job");

/// What a container exits with that crashed.
pub(super) const EXIT_CRASH: i32 = 1;
/// What a container exits with that TERM ended: 128 and the number of the signal.
pub(super) const EXIT_TERM: i32 = 143;
/// What the kubelet says of a container that was gone when it came back.
pub(super) const EXIT_KILLED: i32 = 137;

/// The Jobs of one workload: one, or those that a CronJob made.
#[derive(Clone, Debug)]
pub(super) struct JobState {
    /// Those that exist, the oldest first.
    jobs: Vec<OneJob>,
    created_count: u32,
    done: Progress,
    timer: Timer,
    /// Pods at work, with the end of that.
    working: BTreeMap<PodId, Timer>,
    past: JobsPast,
}

/// A Job that exists.
#[derive(Clone, Debug, Default)]
struct OneJob {
    number: u32,
    created_at: SimTime,
    due_at: SimTime,
    status: JobStatus,
    /// What it has come to (FailureTarget, SuccessCriteriaMet), and since when.
    verdict: Option<(JobEnd, SimTime)>,
    /// That, and since when it is final (Failed, Complete).
    end: Option<(JobEnd, SimTime)>,
    pods: Vec<JobPod>,
}

/// A pod of a Job.
#[derive(Clone, Copy, Debug)]
struct JobPod {
    id: PodId,
    index: Option<u32>,
    /// What it counts as, and since when; it is not looked at any more then.
    counted: Option<(SimTime, Outcome)>,
}

/// What a pod counts as.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Success,
    /// What the rules make of it, and when it ended.
    Failure(FailureAction, SimTime),
    /// Its controller deleted it, or nobody knows it any more.
    Nothing,
}

/// How a pod looks to the Job controller.
enum Fate {
    Active,
    Terminating,
    Succeeded,
    Failed(FailedPod),
}

/// The Jobs of a blueprint, none of them created yet.
pub(super) fn all(blueprint: &Blueprint) -> BTreeMap<WorkloadId, JobState> {
    let workloads = blueprint.workloads.iter().enumerate();
    let jobs = workloads.filter(|(_, it)| matches!(it.kind, WorkloadKind::Job(_)));
    let state = |(idx, _)| {
        let state = JobState {
            jobs: Vec::new(),
            created_count: 0,
            done: Progress::default(),
            timer: Timer::NONE,
            working: BTreeMap::new(),
            past: JobsPast::default(),
        };
        (WorkloadId::from_index(idx), state)
    };
    jobs.map(state).collect()
}

impl Cluster {
    /// The controllers of Jobs begin to look.
    pub(super) fn begin_jobs<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for id in self.jobs.keys().copied().collect::<Vec<_>>() {
            self.expect_job_due(id, ctx);
        }
    }

    /// The Job controller and the CronJob controller look at the Jobs of a workload.
    pub(super) fn sync_jobs<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = self.blueprint.clone();
        let WorkloadKind::Job(job) = &blueprint.workloads[id.index()].kind else { return };
        let job = &self.job_as_it_is(id, job);
        // Somebody may have scaled it.
        let spec = JobSpec { parallelism: self.replicas(id), ..job.spec.clone() };
        let ends_before = self.job_state(id).ended_count();
        for idx in 0..self.job_state(id).jobs.len() {
            self.sync_job(id, idx, &spec, ctx);
        }
        let known_count = self.job_state(id).jobs.len();
        self.start_due_job(id, job, ctx);
        for idx in known_count..self.job_state(id).jobs.len() {
            self.sync_job(id, idx, &spec, ctx);
        }
        self.forget_finished_jobs(id, job, ctx);
        // The end of one Job may let another one begin.
        if self.job_state(id).ended_count() != ends_before {
            self.start_due_job(id, job, ctx);
        }
        self.expect_job_due(id, ctx);
    }

    /// A Job or CronJob, which somebody may have suspended or resumed.
    fn job_as_it_is(&self, id: WorkloadId, job: &Job) -> Job {
        let mut job = job.clone();
        match &mut job.cron {
            Some(cron) => cron.is_suspended = self.is_held(id),
            None => job.spec.is_suspended = self.is_held(id),
        }
        job
    }

    fn job_state(&self, id: WorkloadId) -> &JobState {
        &self.jobs[&id]
    }

    fn job_state_mut(&mut self, id: WorkloadId) -> &mut JobState {
        self.jobs.get_mut(&id).expect("the workload is a Job")
    }

    /// Creates the Job that is due, if any.
    fn start_due_job<E, R>(&mut self, id: WorkloadId, job: &Job, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let state = self.job_state(id);
        let due = match &job.cron {
            None => (state.created_count == 0 && job.starts_at <= now).then_some(job.starts_at),
            Some(cron) => {
                let active_count = state.jobs.iter().filter(|job| job.end.is_none()).count();
                let decision = cron_job::decide(cron, state.done, active_count, now);
                for due_at in &decision.missed {
                    ctx.hit(&rare::JOB_MISSED);
                    ctx.observe(|| Observation::JobMissed { workload: id, due_at: *due_at });
                    self.job_state_mut(id).done.settled = *due_at;
                }
                if decision.replaces {
                    self.delete_running_jobs(id, ctx);
                }
                decision.start
            }
        };
        let Some(due_at) = due else { return };
        let keeps_past = self.history.is_some();
        let state = self.job_state_mut(id);
        let number = state.number_for(due_at);
        let settled = state.done.settled.max(due_at);
        state.done = Progress { last: due_at, settled };
        if keeps_past {
            state.past.created.push((now, due_at));
        }
        let started_at = (!job.spec.is_suspended).then_some(now);
        let status = JobStatus { started_at, ..JobStatus::default() };
        let job = OneJob { number, created_at: now, due_at, status, ..OneJob::default() };
        state.jobs.push(job);
        ctx.observe(|| Observation::JobCreated { workload: id, job: number, due_at });
        self.request_sync(id, ctx);
    }

    /// Another Job takes the place of those that run (`concurrencyPolicy: Replace`).
    fn delete_running_jobs<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let jobs = std::mem::take(&mut self.job_state_mut(id).jobs);
        let (running, ended): (Vec<OneJob>, Vec<OneJob>) =
            jobs.into_iter().partition(|job| job.end.is_none());
        self.job_state_mut(id).jobs = ended;
        for job in running {
            ctx.observe(|| Observation::JobReplaced { workload: id, job: job.number });
            self.delete_pods_of_job(&job.pods, ctx);
            self.keep_past_job(id, job, ctx.now());
        }
    }

    fn delete_pods_of_job<E, R>(&mut self, pods: &[JobPod], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for pod in pods {
            if self.pods[pod.id.index()].exists() {
                self.delete_by_controller(pod.id, ctx);
            }
        }
    }

    /// `syncJob`: counts what ended, then ends the Job or brings its pods to their number.
    fn sync_job<E, R>(
        &mut self,
        id: WorkloadId,
        idx: usize,
        spec: &JobSpec,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.job_state(id).jobs[idx].end.is_some() {
            return;
        }
        let mut job = std::mem::take(&mut self.job_state_mut(id).jobs[idx]);
        self.count_pods(&mut job, spec, ctx.now());
        if job.verdict.is_none() {
            job.verdict = job::end(spec, &job.status, ctx.now()).map(|end| (end, ctx.now()));
        }
        if let Some((end, _)) = job.verdict {
            self.end_job(id, &mut job, end, ctx);
        } else {
            self.manage_pods(id, &mut job, spec, ctx);
            job.status.note_suspension(spec, ctx.now());
        }
        self.job_state_mut(id).jobs[idx] = job;
    }

    /// Takes notice of pods that ended (`trackJobStatusAndRemoveFinalizers`).
    fn count_pods(&self, job: &mut OneJob, spec: &JobSpec, now: SimTime) {
        job.status.active.clear();
        job.status.terminating_count = 0;
        job.status.restart_count = 0;
        let mut ended = Vec::new();
        for (position, pod) in job.pods.iter_mut().enumerate() {
            if pod.counted.is_some() {
                continue;
            }
            let state = &self.pods[pod.id.index()];
            if state.is_forgotten {
                // Nobody ever saw it, so that it has not failed either.
                pod.counted = Some((now, Outcome::Nothing));
                continue;
            }
            match self.fate(pod.id, spec) {
                Fate::Active => {
                    let active = ActivePod { index: pod.index, is_ready: state.is_ready };
                    job.status.active.push(active);
                    job.status.restart_count += told_restarts(state);
                }
                Fate::Terminating => job.status.terminating_count += 1,
                Fate::Succeeded => ended.push((state.ended_at, true, position, None)),
                Fate::Failed(failed) => {
                    ended.push((state.ended_at, false, position, Some(failed)));
                }
            }
        }
        // Only failures after the last success make others wait (`newBackoffRecord`).
        ended.sort_by_key(|(at, is_success, ..)| (*at, *is_success));
        for (at, _, position, failed) in ended {
            let pod = &mut job.pods[position];
            let outcome = if let Some(failed) = failed {
                Outcome::Failure(job.status.failed(spec, pod.index, &failed, at), at)
            } else {
                job.status.succeeded(pod.index);
                Outcome::Success
            };
            pod.counted = Some((now, outcome));
        }
    }

    /// What the Job controller makes of a pod (`isPodFailed`, `IsPodActive`): one that is being
    /// deleted has failed, unless only pods that really failed are replaced.
    fn fate(&self, id: PodId, spec: &JobSpec) -> Fate {
        let pod = &self.pods[id.index()];
        if pod.is_end_told && pod.exit == Some(0) {
            Fate::Succeeded
        } else if pod.is_end_told || pod.phase == PodPhase::Gone {
            Fate::Failed(self.failure(pod))
        } else if !pod.is_terminating {
            Fate::Active
        } else if spec.replaces_failed_only {
            Fate::Terminating
        } else {
            Fate::Failed(self.failure(pod))
        }
    }

    fn failure(&self, pod: &PodState) -> FailedPod {
        let containers = &self.tables.template_of(pod).template.spec.containers;
        let exit = |code: i32| containers.iter().map(move |it| (it.name.clone(), code));
        let is_over = pod.phase >= PodPhase::Finished;
        let condition = ("DisruptionTarget".to_owned(), "True".to_owned());
        FailedPod {
            exit_codes: pod.exit.filter(|_| is_over).into_iter().flat_map(exit).collect(),
            conditions: pod.is_disrupted.then_some(condition).into_iter().collect(),
        }
    }

    /// Deletes the pods that are left, and ends the Job once there are none (`enactJobFinished`).
    fn end_job<E, R>(
        &mut self,
        id: WorkloadId,
        job: &mut OneJob,
        end: JobEnd,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for pod in job.pods.iter_mut().filter(|pod| pod.counted.is_none()) {
            pod.counted = Some((ctx.now(), Outcome::Nothing));
            self.delete_by_controller(pod.id, ctx);
        }
        let lingers = |pod: &JobPod| {
            let pod = &self.pods[pod.id.index()];
            pod.exists() && !pod.is_end_told && !pod.is_forgotten
        };
        if job.pods.iter().any(lingers) {
            return;
        }
        if !end.is_success() {
            ctx.hit(&rare::JOB_FAILED);
        }
        job.end = Some((end, ctx.now()));
        ctx.observe(|| Observation::JobEnded { workload: id, job: job.number, end });
    }

    /// `manageJob`.
    fn manage_pods<E, R>(
        &mut self,
        id: WorkloadId,
        job: &mut OneJob,
        spec: &JobSpec,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let plan = job::plan(spec, &job.status, ctx.now());
        let active: Vec<usize> = (0..job.pods.len())
            .filter(|idx| {
                let pod = job.pods[*idx];
                pod.counted.is_none() && !self.pods[pod.id.index()].is_terminating
            })
            .collect();
        for position in plan.delete {
            let pod = &mut job.pods[active[position]];
            pod.counted = Some((ctx.now(), Outcome::Nothing));
            self.delete_by_controller(pod.id, ctx);
        }
        let template = self.template(id);
        let first = self.workloads[id.index()].created_count();
        let order = |nth| PodOrder { template, ordinal: first + nth, pinned: None };
        let orders: Vec<PodOrder> = (0..plan.create_count).map(order).collect();
        let known_count = self.pods.len();
        self.create_pods(id, &orders, ctx);
        let mut indexes = plan.create_indexes.into_iter();
        for pod in known_count..self.pods.len() {
            let (id, index) = (PodId::from_index(pod), indexes.next());
            job.pods.push(JobPod { id, index, counted: None });
            // Its look after their creation sees what is still missing, and when that may be made.
            job.status.active.push(ActivePod { index, is_ready: false });
        }
    }

    /// Finished Jobs go when their time to live is over or when their CronJob keeps no more.
    fn forget_finished_jobs<E, R>(&mut self, id: WorkloadId, job: &Job, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let jobs = std::mem::take(&mut self.job_state_mut(id).jobs);
        let count = |is_complete: bool| {
            let of_kind = |end: JobEnd| end.is_success() == is_complete;
            jobs.iter().filter(|job| job.end.is_some_and(|(end, _)| of_kind(end))).count()
        };
        let cron = job.cron.as_ref();
        let mut surplus =
            cron.map_or((0, 0), |it| cron_job::surplus(it, count(true), count(false)));
        let mut is_over = |one: &OneJob| {
            let Some((end, at)) = one.end else { return false };
            let left = if end.is_success() { &mut surplus.0 } else { &mut surplus.1 };
            let is_surplus = *left > 0;
            *left = left.saturating_sub(1);
            is_surplus || job::deleted_at(&job.spec, at).is_some_and(|at| at <= now)
        };
        let (gone, kept): (Vec<OneJob>, Vec<OneJob>) =
            jobs.into_iter().partition(|one| is_over(one));
        self.job_state_mut(id).jobs = kept;
        for one in gone {
            self.delete_pods_of_job(&one.pods, ctx);
            self.keep_past_job(id, one, now);
        }
    }

    /// Whether a Job would be made now, rather than ended or deleted.
    pub(super) fn owes_job(&self, id: WorkloadId, now: SimTime) -> bool {
        let WorkloadKind::Job(job) = &self.blueprint.workloads[id.index()].kind else {
            return false;
        };
        let state = self.job_state(id);
        match &job.cron {
            None => state.created_count == 0 && job.starts_at <= now,
            Some(_) if self.is_held(id) => false,
            Some(cron) => {
                cron_job::next_after(&cron.schedule, state.done.settled).is_some_and(|at| at <= now)
            }
        }
    }

    /// Lets the controllers look when the next thing is due.
    fn expect_job_due<E, R>(&mut self, id: WorkloadId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = self.blueprint.clone();
        let WorkloadKind::Job(job) = &blueprint.workloads[id.index()].kind else { return };
        let job = &self.job_as_it_is(id, job);
        let now = ctx.now();
        let state = self.job_state(id);
        let next_job = match &job.cron {
            None => (state.created_count == 0).then_some(job.starts_at),
            Some(cron) if cron.is_suspended => None,
            Some(cron) => {
                cron_job::next_after(&cron.schedule, now).map(|at| at + cron_job::LOOK_DELAY)
            }
        };
        let dues = state.jobs.iter().flat_map(|one| one.dues(&job.spec, now));
        let due = dues.chain(next_job).min();
        let earlier = std::mem::replace(&mut self.job_state_mut(id).timer, Timer::NONE);
        ctx.cancel(earlier);
        if let Some(at) = due {
            let event = KubeEvent::JobDue(id);
            self.job_state_mut(id).timer = ctx.timer_at(at.max(now), priority::CONTROLLER, event);
        }
    }
}

/// What the pods of Jobs do.
impl Cluster {
    /// Containers of a pod run: if it is a Job's, its work begins.
    pub(super) fn begin_work<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let workload = pod.workload;
        let WorkloadKind::Job(job) = &self.blueprint.workloads[workload.index()].kind else {
            return;
        };
        let work = job.work;
        let draw = self.draw(pod.key, WORK, u64::from(pod.restart_count));
        let at = ctx.now() + draw.lognormal_by(work.median, work.p95);
        let timer = ctx.timer_at(at, priority::KUBELET, KubeEvent::WorkDone(id));
        self.job_state_mut(workload).working.insert(id, timer);
    }

    /// The containers of a pod run again, which its kubelet tells the API: restarts in place count
    /// against the limit of its Job.
    pub(super) fn note_restart<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let workload = pod.workload;
        if pod.restart_count > 0 && self.jobs.contains_key(&workload) && self.is_in_contact(id) {
            self.request_sync(workload, ctx);
        }
    }

    /// The processes of a pod are gone, whatever they were doing.
    pub(super) fn stop_work<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let workload = self.pods[id.index()].workload;
        let Some(state) = self.jobs.get_mut(&workload) else { return };
        if let Some(timer) = state.working.remove(&id) {
            ctx.cancel(timer);
        }
    }

    /// The containers of a pod exit: its work is done, or failed.
    pub(super) fn on_work_done<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let WorkloadKind::Job(job) = &self.blueprint.workloads[pod.workload.index()].kind else {
            return;
        };
        if pod.phase != PodPhase::Running {
            return;
        }
        let (work, occurrence) = (job.work, u64::from(pod.restart_count));
        let fails =
            self.draw(pod.key, FAILURE, occurrence).below(1_000_000) < u64::from(work.failure_ppm);
        self.pods[id.index()].exit = Some(if fails { work.exit_code } else { 0 });
        self.expect_exit(id, ctx);
    }

    /// A pod that is never restarted, on a machine that was off: its containers are gone.
    pub(super) fn fail_on_boot<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        pod.phase = PodPhase::Waiting;
        pod.exit = Some(EXIT_KILLED);
        self.set_step(id, Step::ExitSeen, ctx.now(), ctx);
    }
}

/// `restartCount` as the API has it: a container that waits for its restart has not had it.
fn told_restarts(pod: &PodState) -> u32 {
    let waits = match pod.phase {
        PodPhase::Creating => pod.has_address,
        PodPhase::Waiting => pod.step != Step::ExitSeen,
        _ => false,
    };
    pod.restart_count.saturating_sub(u32::from(waits))
}

impl JobState {
    fn ended_count(&self) -> usize {
        self.jobs.iter().filter(|job| job.end.is_some()).count()
    }
}

impl OneJob {
    /// Moments after `now` at which something is due of itself.
    fn dues(&self, spec: &JobSpec, now: SimTime) -> impl Iterator<Item = SimTime> {
        let later = |at: &SimTime| *at > now;
        let due = match self.end {
            Some((_, at)) => [job::deleted_at(spec, at), None],
            None if self.verdict.is_some() => [None, None],
            None => {
                let started_at = self.status.started_at;
                let deadline = spec.active_deadline.zip(started_at).map(|(span, at)| at + span);
                [deadline.filter(later), job::plan(spec, &self.status, now).retry_at]
            }
        };
        due.into_iter().flatten()
    }
}
