//! A probe of a running container whose answers may come late.
//!
//! Sources: `pkg/kubelet/prober/{worker,prober_manager}.go`, Kubernetes 1.36.

use model_api::kube::Probe;
use sim_kernel::{SimSpan, SimTime};

use super::{PodStatus, ProbeKind, ProbeWorker, Verdict};

/// Ticks that are thought through at once; then the watch has to be looked at again.
const LOOK_AHEAD: u32 = 256;
/// A verdict that is less likely than this with any tick is left out.
const NEVER: f64 = 1e-9;

/// The worker of a probe, and how likely its next tries are late.
///
/// The tick that changes something is found beforehand: whether a try is late is drawn for each
/// tick by its time, so that looking ahead and looking again agree.
#[derive(Clone, Debug)]
pub struct Watch {
    worker: ProbeWorker,
    probe: Probe,
    next_tick: SimTime,
    late_ppm: u32,
    /// A verdict that differs from the one before, and when it is known.
    verdict: Option<(SimTime, Verdict)>,
}

impl Watch {
    /// A watch over a container that does well so far; the first tick is at or after `first_tick`.
    pub fn new(kind: ProbeKind, probe: Probe, container: u64, first_tick: SimTime) -> Self {
        Self {
            worker: ProbeWorker::resume(kind, probe, container, Verdict::Success),
            probe,
            next_tick: first_tick,
            late_ppm: 0,
            verdict: None,
        }
    }

    /// How many of a million tries are late from now on. Below a chance of 1 in 10^9 of a verdict with
    /// any tick there is none.
    pub fn set_late(&mut self, late_ppm: u32) {
        let share = f64::from(late_ppm) / 1e6;
        let threshold = f64::from(self.probe.failure_threshold.max(1));
        let is_likely = libm::pow(share, threshold) >= NEVER;
        self.late_ppm = if is_likely { late_ppm } else { 0 };
    }

    /// What [`Self::set_late`] was told last.
    pub fn late_ppm(&self) -> u32 {
        self.late_ppm
    }

    /// Lets all ticks up to `until` happen, or those up to the next verdict. `is_late` draws for the
    /// try at a time, given the chance in parts per million.
    pub fn look(
        &mut self,
        pod: &PodStatus,
        until: SimTime,
        is_late: impl Fn(SimTime, u32) -> bool,
    ) {
        while self.verdict.is_none() && self.next_tick <= until {
            self.tick(pod, &is_late);
            if self.is_calm() {
                // Nothing but successes until then.
                self.skip_to(until);
            }
        }
    }

    /// When the next verdict will be known, or the watch has to be looked at again; `None` when all
    /// tries succeed.
    pub fn next_look(
        &self,
        pod: &PodStatus,
        is_late: impl Fn(SimTime, u32) -> bool,
    ) -> Option<SimTime> {
        if let Some((at, _)) = self.verdict {
            return Some(at);
        }
        if self.is_calm() {
            return None;
        }
        let mut ahead = self.clone();
        for _ in 0..LOOK_AHEAD {
            let tick = ahead.next_tick;
            ahead.tick(pod, &is_late);
            match ahead.verdict {
                Some((at, _)) => return Some(at),
                None if ahead.is_calm() => return Some(tick),
                None => {}
            }
        }
        Some(ahead.next_tick)
    }

    /// The verdict that is known by now, once.
    ///
    /// A readiness probe that failed is made again at once, and its ticker reset: the kubelet's sync
    /// triggers it (`prober_manager.go`, UpdatePodStatus).
    pub fn take_verdict(&mut self, now: SimTime) -> Option<Verdict> {
        let (_, verdict) = self.verdict.take_if(|(at, _)| *at <= now)?;
        if verdict == Verdict::Failure {
            self.next_tick = now;
        }
        Some(verdict)
    }

    /// All is well, and will be.
    fn is_calm(&self) -> bool {
        let is_well = self.worker.stored() == Some(Verdict::Success);
        let fails = self.worker.last() == Some(Verdict::Failure);
        self.late_ppm == 0 && self.verdict.is_none() && is_well && !fails
    }

    fn tick(&mut self, pod: &PodStatus, is_late: &impl Fn(SimTime, u32) -> bool) {
        let (tick, before) = (self.next_tick, self.worker.stored());
        let fails = self.late_ppm > 0 && is_late(tick, self.late_ppm);
        let outcome = if fails { Verdict::Failure } else { Verdict::Success };
        self.worker.tick(Some(pod), tick, || Some(outcome));
        // A tick that comes while a try waits is made up for when that is over.
        let took = if fails { self.probe.timeout } else { SimSpan::ZERO };
        self.next_tick = tick + self.period().max(took);
        if let Some(stored) = self.worker.stored().filter(|stored| before != Some(*stored)) {
            self.verdict = Some((tick + took, stored));
        }
    }

    fn period(&self) -> SimSpan {
        self.probe.period.max(SimSpan::from_secs(1))
    }

    fn skip_to(&mut self, until: SimTime) {
        let phase = SimSpan::from_nanos(self.next_tick.as_nanos());
        let next = (until + SimSpan::from_nanos(1)).next_tick(self.period(), phase);
        self.next_tick = self.next_tick.max(next);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ContainerStatus;
    use super::*;
    use model_api::kube::ProbeHandler;

    const POD: PodStatus = PodStatus {
        is_finished: false,
        is_terminating: false,
        restarts: true,
        container: Some(ContainerStatus {
            id: Some(0),
            running_since: Some(SimTime::ZERO),
            is_terminated: false,
            is_started: true,
        }),
    };

    fn watch(kind: ProbeKind, period_secs: u64, timeout_secs: u64) -> Watch {
        let probe = Probe {
            handler: ProbeHandler::HttpGet,
            port: Some(8080),
            initial_delay: SimSpan::ZERO,
            period: SimSpan::from_secs(period_secs),
            timeout: SimSpan::from_secs(timeout_secs),
            success_threshold: 1,
            failure_threshold: 3,
            termination_grace: None,
        };
        Watch::new(kind, probe, 0, SimTime::from_secs(4))
    }

    fn secs(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    #[test]
    fn three_late_answers_in_a_row_are_a_verdict() {
        let mut watch = watch(ProbeKind::Liveness, 10, 2);
        assert_eq!(watch.next_look(&POD, |_, _| true), None);
        watch.look(&POD, secs(95), |_, _| unreachable!("nothing is late"));
        watch.set_late(1_000_000);
        // Ticks at 104, 114, 124; the last answer is awaited for 2 s.
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(126)));
        watch.look(&POD, secs(120), |_, _| true);
        watch.set_late(0);
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(124)));
        watch.look(&POD, secs(130), |_, _| true);
        assert_eq!(watch.take_verdict(secs(130)), None);
        watch.set_late(500_000);
        watch.look(&POD, secs(155), |_, _| true);
        // A try that began counts, whatever happens before its answer.
        watch.set_late(0);
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(156)));
        assert_eq!(watch.take_verdict(secs(155)), None);
        assert_eq!(watch.take_verdict(secs(156)), Some(Verdict::Failure));
    }

    #[test]
    fn a_pod_that_became_unready_is_asked_again_at_once() {
        let mut watch = watch(ProbeKind::Readiness, 5, 1);
        watch.set_late(1_000_000);
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(15)));
        watch.look(&POD, secs(15), |_, _| true);
        assert_eq!(watch.take_verdict(secs(15)), Some(Verdict::Failure));
        watch.set_late(0);
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(15)));
        watch.look(&POD, secs(15), |_, _| true);
        assert_eq!(watch.take_verdict(secs(15)), Some(Verdict::Success));
        assert_eq!(watch.next_look(&POD, |_, _| true), None);
    }

    #[test]
    fn what_hardly_ever_happens_costs_nothing() {
        let mut watch = watch(ProbeKind::Liveness, 10, 1);
        watch.set_late(900);
        assert_eq!(watch.next_look(&POD, |_, _| true), None);
        watch.set_late(2000);
        let far = secs(4 + 10 * u64::from(LOOK_AHEAD));
        assert_eq!(watch.next_look(&POD, |_, _| false), Some(far));
    }

    proptest::proptest! {
        /// Looking ahead and leaping over quiet times find what ticking through all of it finds.
        #[test]
        fn no_tick_is_missed(
            changes in proptest::collection::vec((1_u64..200, 0_u32..5), 1..12),
            seed in 0_u64..1000,
        ) {
            let late = |tick: SimTime, ppm: u32| {
                let key = sim_kernel::EntityKey::of("probe");
                let draw = sim_kernel::Streams::new(seed, 0)
                    .draw(key, sim_kernel::Purpose::new("late"), tick.as_nanos());
                draw.below(1_000_000) < u64::from(ppm)
            };
            let mut at = SimTime::ZERO;
            let changes: Vec<(SimTime, u32)> = changes
                .iter()
                .map(|(gap, level)| {
                    at += SimSpan::from_secs(*gap);
                    (at, level * 250_000)
                })
                .collect();
            let mut clever = watch(ProbeKind::Liveness, 7, 1);
            let mut found = None;
            for (idx, (from, ppm)) in changes.iter().enumerate() {
                clever.look(&POD, *from, late);
                clever.set_late(*ppm);
                let until = changes.get(idx + 1).map_or(SimTime::MAX, |next| next.0);
                while let Some(look) = clever.next_look(&POD, late).filter(|look| *look < until) {
                    clever.look(&POD, look, late);
                    found = clever.take_verdict(look).map(|_| look);
                    if found.is_some() || look > secs(20_000) {
                        break;
                    }
                }
                if found.is_some() {
                    break;
                }
            }
            let mut naive = None;
            let mut fails = 0;
            for tick in (0..3000).map(|nth| secs(4 + 7 * nth)) {
                let ppm = changes.iter().rev().find(|change| change.0 < tick).map_or(0, |it| it.1);
                fails = if ppm > 0 && late(tick, ppm) { fails + 1 } else { 0 };
                if fails == 3 {
                    naive = Some(tick + SimSpan::from_secs(1));
                    break;
                }
            }
            proptest::prop_assert_eq!(found, naive.filter(|at| *at < secs(20_000)));
        }
    }

    #[test]
    fn a_time_out_longer_than_the_period_delays_the_next_try() {
        let mut watch = watch(ProbeKind::Liveness, 5, 8);
        watch.set_late(1_000_000);
        assert_eq!(watch.next_look(&POD, |_, _| true), Some(secs(4 + 8 + 8 + 8)));
    }
}
