//! What a probe's worker concludes, and when a container is first ready.
//!
//! # Modelled
//! The worker of one probe, tick by tick; the readiness probe's first success after a start, in
//! closed form: aligned to the worker's ticker, which the start of the container resets; startup and
//! liveness probes that give an application up before it answers; probes of a running container whose
//! answers come late ([`Watch`]).
//! # Not modelled
//! Probes that err (they say nothing). Probes of sidecars in runs of a cluster.
//! # Defaults and their sources
//! `pkg/kubelet/prober/worker.go`, `prober_manager.go`, Kubernetes 1.36.
//! # Invariants
//! No container with a probe is ready before it can answer.
//! # Checked against
//! `conformance/nodes-probes.yaml`; timelines worked out by hand.

mod watch;

use model_api::kube::{Container, Probe};
use sim_kernel::{SimSpan, SimTime};

pub use watch::Watch;

/// When a started container becomes ready.
///
/// `started_at` is its start, `synced_at` the moment the kubelet's status update triggers the
/// readiness worker and resets its ticker, `answers_at` the moment the application can answer.
/// With a startup probe, readiness is only looked at after that has succeeded; its ticks come
/// every period from `worker_at`, the start of the worker.
pub fn ready_at(
    container: &Container,
    worker_at: SimTime,
    started_at: SimTime,
    synced_at: SimTime,
    answers_at: SimTime,
) -> SimTime {
    let mut trigger_at = synced_at.max(started_at);
    if let Some(startup) = &container.startup {
        let first = worker_at.max(started_at + startup.initial_delay);
        let phase = SimSpan::from_nanos(worker_at.as_nanos());
        let tick = first.next_tick(startup.period, phase);
        // The kubelet sees the container as started in the sync that its result triggers.
        trigger_at = trigger_at.max(succeeds_at(startup, tick, started_at, answers_at));
    }
    match &container.readiness {
        None => trigger_at.max(started_at),
        Some(probe) => succeeds_at(probe, trigger_at, started_at, answers_at),
    }
}

/// The `successThreshold`-th success of a probe whose ticks come every period from `tick_at`.
///
/// Simplified: a probe that succeeds takes no time.
fn succeeds_at(
    probe: &Probe,
    tick_at: SimTime,
    started_at: SimTime,
    answers_at: SimTime,
) -> SimTime {
    let period = probe.period.max(SimSpan::from_secs(1));
    // The delay is compared in whole seconds since the container started.
    let not_before = answers_at.max(started_at + probe.initial_delay);
    let missed = not_before.saturating_since(tick_at).as_nanos().div_ceil(period.as_nanos());
    let successes = u64::from(probe.success_threshold.max(1));
    tick_at + period * (missed + successes - 1)
}

/// Which probe of a container fails `failureThreshold` times before the application answers, and
/// when the last of these fails; `None` when it answers in time.
///
/// Until a startup probe has succeeded no other probe runs; without one, liveness is looked at from
/// `initialDelaySeconds` on. What does not answer refuses at once, so that failing takes no time.
pub fn gives_up_at(
    container: &Container,
    worker_at: SimTime,
    started_at: SimTime,
    answers_at: SimTime,
) -> Option<(SimTime, ProbeKind)> {
    let (probe, kind) = match (&container.startup, &container.liveness) {
        (Some(probe), _) => (probe, ProbeKind::Startup),
        (None, Some(probe)) => (probe, ProbeKind::Liveness),
        (None, None) => return None,
    };
    let period = probe.period.max(SimSpan::from_secs(1));
    let phase = SimSpan::from_nanos(worker_at.as_nanos());
    let first = worker_at.max(started_at + probe.initial_delay).next_tick(period, phase);
    let failures = u64::from(probe.failure_threshold.max(1) - 1);
    let last = first.saturating_add(period.saturating_mul(failures));
    (last < answers_at).then_some((last, kind))
}

/// What is probed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum ProbeKind {
    Liveness,
    Readiness,
    Startup,
}

/// A stored verdict, or what one try returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Success,
    /// It does not.
    Failure,
    /// Nothing is known yet.
    Unknown,
}

/// A container as the kubelet's status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Which container: another one after each restart. `None` without an id.
    pub id: Option<u64>,
    /// When it started, while it runs.
    pub running_since: Option<SimTime>,
    /// It ended.
    pub is_terminated: bool,
    /// `started`: its startup probe has succeeded, if it has one.
    pub is_started: bool,
}

/// A pod as the kubelet's status shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodStatus {
    /// Phase Failed or Succeeded.
    pub is_finished: bool,
    /// Has a deletionTimestamp.
    pub is_terminating: bool,
    /// The kubelet starts the container again when it has ended; see [`crate::restart_policy`].
    pub restarts: bool,
    /// The probed container, if the status has it.
    pub container: Option<ContainerStatus>,
}

/// The worker of one container's probe.
#[derive(Clone, Debug)]
pub struct ProbeWorker {
    kind: ProbeKind,
    probe: Probe,
    container: Option<u64>,
    stored: Option<Verdict>,
    last: Option<Verdict>,
    run_count: u32,
    is_on_hold: bool,
}

impl ProbeWorker {
    /// A worker that has not ticked yet.
    pub fn new(kind: ProbeKind, probe: Probe) -> Self {
        Self {
            kind,
            probe,
            container: None,
            stored: None,
            last: None,
            run_count: 0,
            is_on_hold: false,
        }
    }

    /// A worker that knows a container and stored a verdict about it.
    pub fn resume(kind: ProbeKind, probe: Probe, container: u64, stored: Verdict) -> Self {
        Self { container: Some(container), stored: Some(stored), ..Self::new(kind, probe) }
    }

    /// The stored verdict.
    pub fn stored(&self) -> Option<Verdict> {
        self.stored
    }

    /// What the last try returned.
    pub fn last(&self) -> Option<Verdict> {
        self.last
    }

    /// How often the last verdict came in a row.
    pub fn run_count(&self) -> u32 {
        self.run_count
    }

    /// One tick (`doProbe`); whether the worker goes on. `try_probe` is asked when the probe is
    /// made and answers `None` for an error, which says nothing about the container.
    pub fn tick(
        &mut self,
        pod: Option<&PodStatus>,
        now: SimTime,
        try_probe: impl FnOnce() -> Option<Verdict>,
    ) -> bool {
        let Some(pod) = pod else { return true };
        if pod.is_finished {
            return false;
        }
        let known = pod.container.and_then(|container| Some((container, container.id?)));
        let Some((container, id)) = known else { return true };
        if self.container != Some(id) {
            self.container = Some(id);
            self.stored = Some(self.initial());
            self.is_on_hold = false;
        }
        if self.is_on_hold {
            return true;
        }
        let Some(running_since) = container.running_since else {
            self.stored = Some(Verdict::Failure);
            return !container.is_terminated || pod.restarts;
        };
        if pod.is_terminating && self.kind != ProbeKind::Readiness {
            self.stored = Some(Verdict::Success);
            return false;
        }
        if now.saturating_since(running_since).as_secs() < self.probe.initial_delay.as_secs() {
            return true;
        }
        if container.is_started == (self.kind == ProbeKind::Startup) {
            return true;
        }
        if let Some(verdict) = try_probe() {
            self.note(verdict);
        }
        true
    }

    fn initial(&self) -> Verdict {
        match self.kind {
            ProbeKind::Liveness => Verdict::Success,
            ProbeKind::Readiness => Verdict::Failure,
            ProbeKind::Startup => Verdict::Unknown,
        }
    }

    fn note(&mut self, verdict: Verdict) {
        self.run_count = if self.last == Some(verdict) { self.run_count + 1 } else { 1 };
        self.last = Some(verdict);
        let threshold = match verdict {
            Verdict::Success => self.probe.success_threshold,
            Verdict::Failure | Verdict::Unknown => self.probe.failure_threshold,
        };
        if self.run_count < threshold {
            return;
        }
        self.stored = Some(verdict);
        let ends = match self.kind {
            ProbeKind::Liveness => verdict == Verdict::Failure,
            ProbeKind::Readiness => false,
            ProbeKind::Startup => true,
        };
        if ends {
            // The container is killed, or the probe is done: wait for another container.
            self.is_on_hold = true;
            self.run_count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model_api::kube::ProbeHandler;

    fn probe(period_secs: u64, success_threshold: u32) -> Probe {
        Probe {
            handler: ProbeHandler::HttpGet,
            port: None,
            initial_delay: SimSpan::ZERO,
            period: SimSpan::from_secs(period_secs),
            timeout: SimSpan::from_secs(1),
            success_threshold,
            failure_threshold: 3,
            termination_grace: None,
        }
    }

    #[test]
    fn who_answers_too_late_is_given_up() {
        let secs = SimTime::from_secs;
        let late = |container: &Container, answers_secs| {
            let end = gives_up_at(container, secs(1), secs(2), secs(answers_secs));
            end.map(|(at, kind)| (at.as_secs(), kind))
        };
        let delayed = Probe { initial_delay: SimSpan::from_secs(15), ..probe(10, 1) };
        let alive = Container { liveness: Some(delayed), ..Container::default() };
        // The ticks of the worker are at 1, 11, 21, 31, 41; the delay is over at 17.
        assert_eq!(late(&alive, 41), None);
        assert_eq!(late(&alive, 42), Some((41, ProbeKind::Liveness)));
        let starting = Container { startup: Some(probe(5, 1)), ..alive };
        assert_eq!(late(&starting, 16), None);
        assert_eq!(late(&starting, 17), Some((16, ProbeKind::Startup)));
        assert_eq!(late(&Container::default(), 1000), None);
    }

    #[test]
    fn readiness_comes_with_a_tick_of_the_probe() {
        let secs = SimTime::from_secs;
        let plain = Container::default();
        let probed = Container { readiness: Some(probe(10, 1)), ..Container::default() };
        let twice = Container { readiness: Some(probe(5, 2)), ..Container::default() };
        let startup = Container { startup: Some(probe(3, 1)), ..probed.clone() };
        let at = |container: &Container, answers| {
            ready_at(container, secs(0), secs(1), secs(2), secs(answers)).as_secs()
        };
        assert_eq!(at(&plain, 9), 2);
        assert_eq!(at(&probed, 2), 2);
        assert_eq!(at(&probed, 3), 12);
        assert_eq!(at(&twice, 3), 12);
        assert_eq!(at(&startup, 7), 9);
    }
}
