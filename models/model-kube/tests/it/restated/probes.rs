//! Probes: `pkg/kubelet/prober/worker.go`, Kubernetes 1.36.

use model_api::kube::{Container, Probe, ProbeHandler};
use model_api::{SimSpan, SimTime};
use model_kube::probes::{
    ContainerStatus, PodStatus, ProbeKind, ProbeWorker, Verdict, gives_up_at, ready_at,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn probe() -> impl Strategy<Value = Probe> {
    (0..20_u64, 1..12_u64, 1..4_u32, 1..4_u32).prop_map(|(delay, period, successes, failures)| {
        Probe {
            handler: ProbeHandler::HttpGet,
            port: None,
            initial_delay: SimSpan::from_secs(delay),
            period: SimSpan::from_secs(period),
            timeout: SimSpan::from_secs(1),
            success_threshold: successes,
            failure_threshold: failures,
            termination_grace: None,
        }
    })
}

fn kind() -> impl Strategy<Value = ProbeKind> {
    use ProbeKind::{Liveness, Readiness, Startup};
    prop_oneof![Just(Liveness), Just(Readiness), Just(Startup)]
}

fn at(millis: u64) -> SimTime {
    SimTime::ZERO + SimSpan::from_millis(millis)
}

/// The first tick, of those every period from one on, at which an application has answered so often in
/// a row that the probe succeeds. The delay counts whole seconds since the start.
fn steps_until_ready(probe: &Probe, first: u64, started: u64, answers: u64) -> u64 {
    let (mut tick, mut in_a_row) = (first, 0);
    loop {
        let is_tried = (tick.saturating_sub(started)) / 1000 >= probe.initial_delay.as_secs();
        if is_tried && tick >= answers {
            in_a_row += 1;
        }
        if in_a_row == probe.success_threshold {
            return tick;
        }
        tick += probe.period.as_secs() * 1000;
    }
}

proptest! {
    /// A result counts when it has come so often in a row; a liveness or startup probe that has come to
    /// an end waits for another container. The verdict follows from all results together.
    #[test]
    fn what_a_worker_concludes(
        kind in kind(),
        probe in probe(),
        results in vec(any::<bool>(), 1..40),
    ) {
        let status = PodStatus {
            is_finished: false,
            is_terminating: false,
            restarts: true,
            container: Some(ContainerStatus {
                id: Some(1),
                running_since: Some(SimTime::ZERO),
                is_terminated: false,
                is_started: kind != ProbeKind::Startup,
            }),
        };
        let mut worker = ProbeWorker::new(kind, probe);
        let mut stored = match kind {
            ProbeKind::Liveness => Verdict::Success,
            ProbeKind::Readiness => Verdict::Failure,
            ProbeKind::Startup => Verdict::Unknown,
        };
        let (mut is_over, mut tried): (bool, Vec<bool>) = (false, Vec::new());
        for (secs, result) in (0_u64..).zip(results) {
            let is_due = !is_over && secs >= probe.initial_delay.as_secs();
            let mut was_tried = false;
            let goes_on = worker.tick(Some(&status), SimTime::from_secs(secs), || {
                was_tried = true;
                Some(if result { Verdict::Success } else { Verdict::Failure })
            });
            prop_assert!(goes_on);
            prop_assert_eq!(was_tried, is_due, "at {} s", secs);
            if is_due {
                tried.push(result);
                let run = tried.iter().rev().take_while(|it| **it == result).count();
                let needed = if result { probe.success_threshold } else { probe.failure_threshold };
                if run >= needed as usize {
                    stored = if result { Verdict::Success } else { Verdict::Failure };
                    is_over = match kind {
                        ProbeKind::Liveness => !result,
                        ProbeKind::Readiness => false,
                        ProbeKind::Startup => true,
                    };
                }
            }
            prop_assert_eq!(worker.stored(), Some(stored), "at {} s", secs);
        }
    }

    /// When a container is ready: the closed form, tick by tick.
    #[test]
    fn when_a_container_is_ready(
        readiness in probe(),
        started in 0..5_000_u64,
        lag in 0..2_000_u64,
        boots_for in 0..60_000_u64,
    ) {
        let container = Container { readiness: Some(readiness), ..Container::default() };
        let (synced, answers) = (started + lag, started + boots_for);
        let expected = steps_until_ready(&readiness, synced, started, answers);
        let got = ready_at(&container, at(started), at(started), at(synced), at(answers));
        prop_assert_eq!(got, at(expected));
    }

    /// When a probe gives a container up that does not answer yet: so many ticks that fail.
    #[test]
    fn when_a_container_is_given_up(
        probe in probe(),
        is_startup: bool,
        worker in 0..5_000_u64,
        lag in 0..3_000_u64,
        boots_for in 0..120_000_u64,
    ) {
        let container = if is_startup {
            Container { startup: Some(probe), ..Container::default() }
        } else {
            Container { liveness: Some(probe), ..Container::default() }
        };
        let (started, answers) = (worker + lag, worker + lag + boots_for);
        let (mut tick, mut failures, mut given_up) = (worker, 0, None);
        while tick < answers {
            let is_tried = tick >= started + probe.initial_delay.as_secs() * 1000;
            failures += u32::from(is_tried);
            if failures == probe.failure_threshold {
                given_up = Some(tick);
                break;
            }
            tick += probe.period.as_secs() * 1000;
        }
        let kind = if is_startup { ProbeKind::Startup } else { ProbeKind::Liveness };
        let got = gives_up_at(&container, at(worker), at(started), at(answers));
        prop_assert_eq!(got, given_up.map(|tick| (at(tick), kind)));
    }
}
