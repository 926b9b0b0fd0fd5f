//! What a kubelet does when memory runs out on its node: its eviction manager.
//!
//! # Modelled
//! Hard and soft thresholds of `memory.available` with grace period and minimum reclaim, the node
//! condition and how long it lasts, which pod goes, how long it has to end, which pods are not let in.
//! When the next pass finds something is worked out; passes that find nothing are left out.
//! # Not modelled
//! Disk, inodes and process ids; `allocatableMemory.available`, which is the same where the system
//! uses what is reserved for it; the notifier of the kernel (`kernelMemcgNotification`, off); static
//! pods.
//! # Defaults and their sources
//! `pkg/kubelet/eviction/{eviction_manager,helpers}.go`, Kubernetes 1.36: every 10 s; the
//! `eviction…` fields of [`Parameters`].
//! # Invariants
//! The condition never ends before its transition period is over; at most one pod goes a pass.
//! # Checked against
//! Cases worked out by hand from the sources; brute force over all passes.

use std::cmp::Reverse;

use model_api::Parameters;
use model_api::kube::{PodSpec, TaintEffect};
use sim_kernel::{SimSpan, SimTime};

use crate::qos::{self, QosClass};
use crate::taint_eviction::taint;

/// Key of the taint on nodes whose memory runs out.
pub const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";

/// From one pass that evicts nothing to the next (`evictionMonitoringPeriod`, pkg/kubelet/kubelet.go).
pub const PERIOD: SimSpan = SimSpan::from_secs(10);

/// No pass is planned in the last day of time: what follows from one might lie beyond the end.
const LAST_DAY: SimTime = SimTime::MAX.saturating_sub(SimSpan::from_days(1));

/// Grace period of a pod that a hard threshold evicts (`immediateEvictionGracePeriodSeconds`).
const HARD_GRACE: SimSpan = SimSpan::from_secs(1);

/// How long an eviction manager waits for the containers of a pod to end that it gives so much time
/// (`killPodNow`, pkg/kubelet/pod_workers.go).
pub fn kill_timeout(grace: SimSpan) -> SimSpan {
    let secs = grace.as_secs();
    SimSpan::from_secs((secs + secs / 2).max(10))
}

/// How long a condition lasts where no span is stated. A kubelet reads zero as that
/// (`SetDefaults_KubeletConfiguration`, pkg/kubelet/apis/config/v1beta1/defaults.go).
const TRANSITION: SimSpan = SimSpan::from_mins(5);

/// The settings of a kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Hard and soft; one of no bytes is never crossed.
    thresholds: [Threshold; 2],
    minimum_reclaim_bytes: u64,
    transition: SimSpan,
    pod_grace_max: SimSpan,
}

/// So much must be available; when it is not for the time of the grace, a pod goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Threshold {
    bytes: u64,
    grace: SimSpan,
}

impl Settings {
    /// Those among all parameters.
    pub fn of(parameters: &Parameters) -> Self {
        let hard_bytes = parameters.eviction_hard_memory_bytes;
        let soft_bytes = parameters.eviction_soft_memory_bytes;
        let transition = parameters.eviction_pressure_transition_period;
        Self {
            thresholds: [
                Threshold { bytes: hard_bytes, grace: SimSpan::ZERO },
                Threshold { bytes: soft_bytes, grace: parameters.eviction_soft_grace_period },
            ],
            minimum_reclaim_bytes: parameters.eviction_minimum_reclaim_bytes,
            transition: if transition.is_zero() { TRANSITION } else { transition },
            pod_grace_max: parameters.eviction_max_pod_grace_period,
        }
    }

    /// How long a pod that is evicted has to end; of a soft threshold no longer than its own grace
    /// period. Kubelets give every pod a second at least (pkg/kubelet/pod_workers.go).
    pub fn grace(&self, kind: ThresholdKind, of_pod: SimSpan) -> SimSpan {
        match kind {
            ThresholdKind::Hard => HARD_GRACE,
            ThresholdKind::Soft => self.pod_grace_max.min(of_pod).max(SimSpan::from_secs(1)),
        }
    }
}

/// Which threshold makes a pod go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdKind {
    /// `evictionHard`.
    Hard,
    /// `evictionSoft`.
    Soft,
}

/// What the eviction manager of a kubelet remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvictionManager {
    /// By threshold: since when it has been crossed.
    first_observed: [Option<SimTime>; 2],
    /// By threshold: it was crossed for longer than its grace, and not enough is available yet.
    is_met: [bool; 2],
    /// When any was crossed last.
    last_observed: Option<SimTime>,
    is_under_pressure: bool,
}

impl EvictionManager {
    /// Whether it holds that memory runs out: condition `MemoryPressure`.
    pub const fn is_under_pressure(&self) -> bool {
        self.is_under_pressure
    }

    /// A pass (`synchronize`): what is crossed now, how long it has been, and for which threshold a
    /// pod has to go.
    ///
    /// Upstream takes any of several thresholds of memory; here a hard one comes first.
    pub fn synchronize(
        &mut self,
        settings: &Settings,
        available_bytes: u64,
        now: SimTime,
    ) -> Option<ThresholdKind> {
        for idx in 0..2 {
            let is_crossed = available_bytes < self.observed_below(settings, idx);
            let first = self.first_observed[idx].unwrap_or(now);
            self.first_observed[idx] = is_crossed.then_some(first);
            let grace = settings.thresholds[idx].grace;
            self.is_met[idx] = is_crossed && now.saturating_since(first) >= grace;
        }
        if self.first_observed.iter().any(Option::is_some) {
            self.last_observed = Some(now);
        }
        self.is_under_pressure =
            self.last_observed.is_some_and(|last| now.saturating_since(last) < settings.transition);
        match self.is_met {
            [true, _] => Some(ThresholdKind::Hard),
            [false, true] => Some(ThresholdKind::Soft),
            [false, false] => None,
        }
    }

    /// A threshold is crossed while less than this is available: one that made pods go, until the
    /// minimum reclaim is there as well.
    fn observed_below(&self, settings: &Settings, idx: usize) -> u64 {
        let reclaim = if self.is_met[idx] { settings.minimum_reclaim_bytes } else { 0 };
        settings.thresholds[idx].bytes.saturating_add(reclaim)
    }

    /// The next pass that changes something, or makes a pod go: one of those at `next` and every
    /// [`PERIOD`] after it. `below` tells when less than so much is available, as usage goes now and
    /// given that it never falls; [`SimTime::MAX`] when that never happens. Where no pod can go
    /// (`can_evict`), a pass that wants one is none.
    pub fn next_look(
        &self,
        settings: &Settings,
        next: SimTime,
        below: impl Fn(u64) -> SimTime,
        can_evict: bool,
    ) -> Option<SimTime> {
        let pass_at = |at: SimTime| {
            let at = at.max(next);
            (at < LAST_DAY).then(|| at.next_tick(PERIOD, phase_of(next)))
        };
        let crossed_at = [0, 1].map(|idx| below(self.observed_below(settings, idx)));
        let of_threshold = [0, 1].map(|idx| match self.first_observed[idx] {
            None => pass_at(crossed_at[idx]),
            Some(_) if crossed_at[idx] > next => Some(next),
            Some(_) if self.is_met[idx] && !can_evict => None,
            Some(first) => pass_at(first.saturating_add(settings.thresholds[idx].grace)),
        });
        let is_relieved = crossed_at.iter().all(|at| *at > next);
        let last_observed = self.last_observed.filter(|_| self.is_under_pressure && is_relieved);
        let of_condition =
            last_observed.and_then(|last| pass_at(last.saturating_add(settings.transition)));
        of_threshold.into_iter().chain([of_condition]).flatten().min()
    }

    /// Takes up the passes before `now`, from the one at `next` on, that were left out because they
    /// changed nothing; returns the first one that is not over.
    pub fn take_up(&mut self, next: SimTime, now: SimTime) -> SimTime {
        if next >= now {
            return next;
        }
        let first_left = now.next_tick(PERIOD, phase_of(next));
        // What was crossed then has been so ever since: usage fell at no time that was not told.
        if self.first_observed.iter().any(Option::is_some) {
            self.last_observed = Some(first_left.saturating_sub(PERIOD));
        }
        first_left
    }
}

/// When less than so many bytes of a capacity are available, given when more than an amount is used;
/// [`SimTime::MAX`] when that never happens. Less than more than there is has been available from the
/// beginning.
pub fn below(
    bytes: u64,
    capacity_bytes: u64,
    exceeds: impl FnOnce(u64) -> Option<SimTime>,
) -> SimTime {
    match capacity_bytes.checked_sub(bytes) {
        None => SimTime::ZERO,
        Some(_) if bytes == 0 => SimTime::MAX,
        Some(used_bytes) => exceeds(used_bytes).unwrap_or(SimTime::MAX),
    }
}

fn phase_of(pass: SimTime) -> SimSpan {
    SimSpan::from_nanos(pass.as_nanos())
}

/// A pod on a node whose memory runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Memory that it uses, in bytes; `None` when nothing is known of it.
    pub used_bytes: Option<u64>,
    /// Memory that it requests, in bytes.
    pub requested_bytes: u64,
    /// Its priority.
    pub priority: i32,
}

/// Positions of pods in the order in which they go (`rankMemoryPressure`): those of which nothing is
/// known, those that use more than they request, then by priority, then by what they use beyond
/// their request. Upstream leaves the order of equals open; here they go as they were given.
pub fn rank(candidates: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|idx| {
        let it = &candidates[*idx];
        let beyond = it.used_bytes.map(|used| i128::from(used) - i128::from(it.requested_bytes));
        let is_beyond = beyond.is_none_or(|beyond| beyond > 0);
        (beyond.is_some(), !is_beyond, it.priority, Reverse(beyond))
    });
    order
}

/// Whether a kubelet whose node runs out of memory lets a pod in (`Admit`).
pub fn admits(spec: &PodSpec) -> bool {
    let pressure = taint(MEMORY_PRESSURE, TaintEffect::NoSchedule);
    qos::is_critical(spec)
        || qos::class(spec) != QosClass::BestEffort
        || spec.tolerations.iter().any(|it| it.tolerates(&pressure))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn settings(soft: Option<(u64, u64)>, minimum_reclaim: u64) -> Settings {
        Settings::of(&Parameters {
            eviction_soft_memory_bytes: soft.map_or(0, |(mebibytes, _)| mebibytes * MIB),
            eviction_soft_grace_period: SimSpan::from_secs(soft.map_or(0, |(_, grace)| grace)),
            eviction_minimum_reclaim_bytes: minimum_reclaim * MIB,
            eviction_max_pod_grace_period: SimSpan::from_secs(20),
            ..Parameters::default()
        })
    }

    /// What passes make of what is available, in MiB: `+` under pressure, `H` and `S` a pod goes.
    fn passes(settings: &Settings, available: &[(u64, u64)]) -> String {
        let mut manager = EvictionManager::default();
        let mut told = String::new();
        for (secs, mebibytes) in available {
            let kind = manager.synchronize(settings, mebibytes * MIB, SimTime::from_secs(*secs));
            let pressure = if manager.is_under_pressure() { "+" } else { "" };
            let kind = kind.map_or("", |kind| if kind == ThresholdKind::Hard { "H" } else { "S" });
            told += &format!("{secs}{pressure}{kind} ");
        }
        told
    }

    #[test]
    fn a_hard_threshold_acts_at_once_and_the_condition_stays() {
        let hard = settings(None, 0);
        assert_eq!(
            passes(&hard, &[(0, 100), (10, 99), (20, 99), (30, 200), (320, 200), (330, 200)]),
            "0 10+H 20+H 30+ 320 330 "
        );
        assert_eq!(
            passes(&hard, &[(10, 99), (309, 200), (310, 200)]),
            "10+H 309+ 310 ",
            "less than five minutes"
        );
    }

    #[test]
    fn a_condition_lasts_as_long_as_stated_and_never_no_time() {
        let lasting = |transition: SimSpan| {
            let eviction_pressure_transition_period = transition;
            let settings = Settings::of(&Parameters {
                eviction_pressure_transition_period,
                ..Parameters::default()
            });
            passes(&settings, &[(10, 99), (39, 200), (40, 200), (309, 200), (310, 200)])
        };
        assert_eq!(lasting(SimSpan::from_secs(30)), "10+H 39+ 40 309 310 ");
        assert_eq!(lasting(SimSpan::ZERO), "10+H 39+ 40+ 309+ 310 ");
    }

    #[test]
    fn a_soft_threshold_waits_and_forgets() {
        let soft = settings(Some((500, 60)), 0);
        assert_eq!(
            passes(&soft, &[(0, 400), (50, 400), (55, 600), (60, 400), (119, 400), (120, 400)]),
            "0+ 50+ 55+ 60+ 119+ 120+S "
        );
        assert_eq!(passes(&soft, &[(0, 400), (10, 90)]), "0+ 10+H ");
    }

    #[test]
    fn more_than_the_threshold_is_reclaimed() {
        let reclaim = settings(None, 300);
        assert_eq!(
            passes(&reclaim, &[(0, 150), (10, 90), (20, 390), (30, 400), (40, 390)]),
            "0 10+H 20+H 30+ 40+ "
        );
    }

    #[test]
    fn a_pod_has_a_second_or_its_own_grace() {
        let settings = settings(Some((500, 60)), 0);
        let grace = |kind, secs| settings.grace(kind, SimSpan::from_secs(secs)).as_secs();
        assert_eq!(grace(ThresholdKind::Hard, 30), 1);
        assert_eq!(grace(ThresholdKind::Soft, 30), 20);
        assert_eq!(grace(ThresholdKind::Soft, 5), 5);
        assert_eq!(grace(ThresholdKind::Soft, 0), 1);
    }

    #[test]
    fn pods_go_by_excess_then_priority() {
        let pod = |used: Option<u64>, requested_bytes, priority| Candidate {
            used_bytes: used,
            requested_bytes,
            priority,
        };
        let pods = [
            pod(Some(90), 100, -5),
            pod(Some(150), 100, 10),
            pod(Some(120), 100, 0),
            pod(Some(160), 100, 0),
            pod(None, 100, 50),
            pod(Some(100), 100, -5),
        ];
        assert_eq!(rank(&pods), [4, 3, 2, 1, 5, 0]);
    }

    #[test]
    fn more_than_there_is_is_never_available() {
        let at = |used: u64| (used < 8).then(|| SimTime::from_secs(used));
        let found = [0, 1, 3, 8, 9].map(|bytes| below(bytes, 8, at));
        let secs = SimTime::from_secs;
        assert_eq!(found, [SimTime::MAX, secs(7), secs(5), secs(0), SimTime::ZERO]);
        assert_eq!(below(9, 8, |_| None), SimTime::ZERO, "even though nothing is used");
    }

    #[test]
    fn there_is_no_pass_at_the_end_of_time() {
        let manager = EvictionManager::default();
        let end = SimTime::MAX.saturating_sub(SimSpan::from_secs(3));
        for (crossed_at, expected) in [(end, None), (SimTime::ZERO, Some(SimTime::from_secs(7)))] {
            let look = manager.next_look(
                &settings(None, 0),
                SimTime::from_secs(7),
                |bytes| if bytes > 0 { crossed_at } else { SimTime::MAX },
                true,
            );
            assert_eq!(look, expected);
        }
    }

    proptest! {
        /// Usage that rises at every step of 1 s and falls when something is told; all passes, and
        /// those only that are looked for.
        #[test]
        fn passes_that_are_left_out_change_nothing(
            stretches in prop::collection::vec((1..2000_u64, 0..700_u64, 0..3_u64), 1..12),
            soft in prop::option::of((200..600_u64, 0..200_u64)),
            reclaim in 0..200_u64,
            capacity in prop::sample::select(vec![150, 450, 700_u64]),
            phase in 0..10_u64,
            can_evict in any::<bool>(),
        ) {
            let settings = settings(soft, reclaim);
            let (mut all, mut some) = (EvictionManager::default(), EvictionManager::default());
            let mut next = SimTime::from_secs(phase);
            let mut start = 0;
            for (length, available, slope) in stretches {
                let used = |secs: u64| {
                    (capacity.saturating_sub(available) + (secs - start) * slope) * MIB
                };
                let at = |secs: u64| (capacity * MIB).saturating_sub(used(secs));
                next = some.take_up(next, SimTime::from_secs(start));
                let exceeds = |bytes: u64| {
                    let found = (start..start + length).find(|secs| used(*secs) > bytes);
                    found.map(SimTime::from_secs)
                };
                let below = |bytes: u64| below(bytes, capacity * MIB, exceeds);
                for secs in (start..start + length).filter(|secs| secs % 10 == phase) {
                    let now = SimTime::from_secs(secs);
                    let wanted = all.synchronize(&settings, at(secs), now);
                    if some.next_look(&settings, next, below, can_evict) == Some(now) {
                        some.take_up(next, now);
                        prop_assert_eq!(some.synchronize(&settings, at(secs), now), wanted);
                        next = now + PERIOD;
                    } else if can_evict {
                        prop_assert_eq!(wanted, None);
                    }
                    prop_assert_eq!(some.is_under_pressure, all.is_under_pressure);
                    prop_assert_eq!(some.first_observed, all.first_observed);
                    prop_assert_eq!(some.is_met, all.is_met);
                }
                start += length;
            }
        }
    }
}
