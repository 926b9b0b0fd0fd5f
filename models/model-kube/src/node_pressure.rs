//! What a kubelet does when its node runs out of something: its eviction manager.
//!
//! # Modelled
//! Thresholds of `memory.available`, `imagefs.available`, `nodefs.available`, `nodefs.inodesFree` and
//! `pid.available`, hard and soft with one grace period, with minimum reclaim; the node
//! conditions and how long they last, which pod goes, how long it has to end, which pods are not let
//! in. Images lie on the file system of the kubelet, as by default. When the next pass finds something
//! is worked out; passes that find nothing are left out.
//! # Not modelled
//! A file system of its own for images or containers, its inodes; grace periods that differ;
//! `allocatableMemory.available`, which is the same where the system
//! uses what is reserved for it; the notifier of the kernel (`kernelMemcgNotification`, off); static
//! pods.
//! # Defaults and their sources
//! `pkg/kubelet/eviction/{eviction_manager,helpers,defaults_linux}.go`, Kubernetes 1.36: every 10 s; the
//! `eviction…` fields of [`Parameters`].
//! # Invariants
//! A condition never ends before its transition period is over; at most one pod goes a pass, but for
//! those that use more of a disk than they may.
//! # Checked against
//! Cases worked out by hand from the sources; brute force over all passes.

use std::cmp::Reverse;

use model_api::Parameters;
use model_api::kube::{PodSpec, ResourceList, TaintEffect};
use model_api::usage::{DiskPlace, NodeResource};
use sim_kernel::{SimSpan, SimTime};

use crate::qos::{self, QosClass};
use crate::taint_eviction::taint;

/// Key of the taint on nodes whose memory runs out.
pub const MEMORY_PRESSURE: &str = "node.kubernetes.io/memory-pressure";

/// Key of the taint on nodes whose disk or inodes run out.
pub const DISK_PRESSURE: &str = "node.kubernetes.io/disk-pressure";
/// Key of the taint on nodes whose process ids run out.
pub const PID_PRESSURE: &str = "node.kubernetes.io/pid-pressure";

/// A condition of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum Condition {
    MemoryPressure,
    DiskPressure,
    PidPressure,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::MemoryPressure, Self::DiskPressure, Self::PidPressure];

    /// The condition that says that something runs out.
    pub const fn of(resource: NodeResource) -> Self {
        match resource {
            NodeResource::Memory => Self::MemoryPressure,
            NodeResource::Disk | NodeResource::Inodes => Self::DiskPressure,
            NodeResource::Processes => Self::PidPressure,
        }
    }

    /// What stands for it in a report.
    pub const fn resource(self) -> NodeResource {
        match self {
            Self::MemoryPressure => NodeResource::Memory,
            Self::DiskPressure => NodeResource::Disk,
            Self::PidPressure => NodeResource::Processes,
        }
    }

    /// Key of its taint.
    pub const fn taint(self) -> &'static str {
        match self {
            Self::MemoryPressure => MEMORY_PRESSURE,
            Self::DiskPressure => DISK_PRESSURE,
            Self::PidPressure => PID_PRESSURE,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::MemoryPressure => 0,
            Self::DiskPressure => 1,
            Self::PidPressure => 2,
        }
    }
}

/// Which conditions of a node hold, in the order of [`Condition::ALL`].
pub type Conditions = [bool; Condition::ALL.len()];

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

/// Thresholds, those of memory first (`byEvictionPriority`).
const THRESHOLDS: usize = 10;

/// What there is on a node, in the order of [`NodeResource::ALL`]; `None` for what is not known.
pub type Capacities = [Option<u64>; NodeResource::ALL.len()];

/// The settings of the kubelet of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    thresholds: [Threshold; THRESHOLDS],
    transition: SimSpan,
    pod_grace_max: SimSpan,
}

/// So much must be available; when it is not for the time of the grace, a pod goes. One of nothing is
/// never crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Threshold {
    resource: NodeResource,
    kind: ThresholdKind,
    amount: u64,
    grace: SimSpan,
    minimum_reclaim: u64,
}

impl Settings {
    /// Those among all parameters, for a node with so much.
    pub fn of(parameters: &Parameters, capacities: &Capacities) -> Self {
        let hard = |resource, amount, minimum_reclaim| Threshold {
            resource,
            kind: ThresholdKind::Hard,
            amount,
            grace: SimSpan::ZERO,
            minimum_reclaim,
        };
        let share = |resource: NodeResource, ppm: u32, minimum_reclaim| {
            let capacity = u128::from(capacities[resource.index()].unwrap_or(0));
            let amount = u64::try_from(capacity * u128::from(ppm) / 1_000_000);
            hard(resource, amount.unwrap_or(u64::MAX), minimum_reclaim)
        };
        let soft = |resource: NodeResource, ppm: u32, minimum_reclaim| Threshold {
            kind: ThresholdKind::Soft,
            grace: parameters.eviction_soft_grace_period,
            ..share(resource, ppm, minimum_reclaim)
        };
        let memory_reclaim = parameters.eviction_minimum_reclaim_bytes;
        let disk_reclaim = parameters.eviction_minimum_reclaim_disk_bytes;
        let memory =
            hard(NodeResource::Memory, parameters.eviction_hard_memory_bytes, memory_reclaim);
        let transition = parameters.eviction_pressure_transition_period;
        Self {
            thresholds: [
                memory,
                Threshold {
                    kind: ThresholdKind::Soft,
                    amount: parameters.eviction_soft_memory_bytes,
                    grace: parameters.eviction_soft_grace_period,
                    ..memory
                },
                share(NodeResource::Disk, parameters.eviction_hard_imagefs_ppm, disk_reclaim),
                share(NodeResource::Disk, parameters.eviction_hard_nodefs_ppm, disk_reclaim),
                share(NodeResource::Inodes, parameters.eviction_hard_inodes_ppm, 0),
                share(NodeResource::Processes, parameters.eviction_hard_pids_ppm, 0),
                soft(NodeResource::Disk, parameters.eviction_soft_imagefs_ppm, disk_reclaim),
                soft(NodeResource::Disk, parameters.eviction_soft_nodefs_ppm, disk_reclaim),
                soft(NodeResource::Inodes, parameters.eviction_soft_inodes_ppm, 0),
                soft(NodeResource::Processes, parameters.eviction_soft_pids_ppm, 0),
            ],
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

    /// Whether so much, in the order of [`NodeResource::ALL`], is enough after something was reclaimed
    /// without a pod: no threshold of anything is crossed, whether it was before or not, what is to be
    /// reclaimed beyond each included (`reclaimNodeLevelResources`).
    pub fn is_enough(&self, available: &[u64; NodeResource::ALL.len()]) -> bool {
        let mut stated = self.thresholds.iter().filter(|threshold| threshold.amount > 0);
        let wanted = |it: &Threshold| it.amount.saturating_add(it.minimum_reclaim);
        stated.all(|it| available[it.resource.index()] >= wanted(it))
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
    first_observed: [Option<SimTime>; THRESHOLDS],
    /// By threshold: it was crossed for longer than its grace, and not enough is available yet.
    is_met: [bool; THRESHOLDS],
    /// By condition: when a threshold of it was crossed last.
    last_observed: [Option<SimTime>; Condition::ALL.len()],
    conditions: Conditions,
}

/// What a pass wants: a pod has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For want of this.
    pub resource: NodeResource,
    /// By which threshold.
    pub kind: ThresholdKind,
}

impl EvictionManager {
    /// What it holds that runs out.
    pub const fn conditions(&self) -> Conditions {
        self.conditions
    }

    /// A pass (`synchronize`): what is crossed now, how long it has been, and for which threshold a
    /// pod has to go. `available` is in the order of [`NodeResource::ALL`].
    ///
    /// Upstream takes any of several thresholds of memory; here a hard one comes first.
    pub fn synchronize(
        &mut self,
        settings: &Settings,
        available: &[u64; NodeResource::ALL.len()],
        now: SimTime,
    ) -> Option<Wanted> {
        for (idx, threshold) in settings.thresholds.iter().enumerate() {
            let available = available[threshold.resource.index()];
            let is_crossed = available < self.observed_below(settings, idx);
            let first = self.first_observed[idx].unwrap_or(now);
            self.first_observed[idx] = is_crossed.then_some(first);
            self.is_met[idx] = is_crossed && now.saturating_since(first) >= threshold.grace;
        }
        for condition in Condition::ALL {
            let idx = condition.index();
            if self.is_observed(settings, condition) {
                self.last_observed[idx] = Some(now);
            }
            self.conditions[idx] = self.last_observed[idx]
                .is_some_and(|last| now.saturating_since(last) < settings.transition);
        }
        self.wanted(settings)
    }

    /// What the last pass wanted.
    fn wanted(&self, settings: &Settings) -> Option<Wanted> {
        let met = self.is_met.iter().position(|is_met| *is_met)?;
        let Threshold { resource, kind, .. } = settings.thresholds[met];
        Some(Wanted { resource, kind })
    }

    /// Whether some threshold of a condition is crossed.
    fn is_observed(&self, settings: &Settings, condition: Condition) -> bool {
        let thresholds = settings.thresholds.iter().zip(&self.first_observed);
        let mut of_it = thresholds.filter(|(it, _)| Condition::of(it.resource) == condition);
        of_it.any(|(_, first)| first.is_some())
    }

    /// A threshold is crossed while less than this is available: one that made pods go, until the
    /// minimum reclaim is there as well.
    fn observed_below(&self, settings: &Settings, idx: usize) -> u64 {
        let threshold = &settings.thresholds[idx];
        let reclaim = if self.is_met[idx] { threshold.minimum_reclaim } else { 0 };
        threshold.amount.saturating_add(reclaim)
    }

    /// The next pass that changes something, or makes a pod go: one of those at `next` and every
    /// [`PERIOD`] after it. `below` tells when less than so much of a resource is available, as usage
    /// goes now and given that it never falls; [`SimTime::MAX`] when that never happens. Where no pod
    /// can go (`can_evict`), a pass that wants one is none.
    pub fn next_look(
        &self,
        settings: &Settings,
        next: SimTime,
        below: impl Fn(NodeResource, u64) -> SimTime,
        can_evict: bool,
    ) -> Option<SimTime> {
        let crossed_at: [SimTime; THRESHOLDS] = std::array::from_fn(|idx| {
            below(settings.thresholds[idx].resource, self.observed_below(settings, idx))
        });
        let of_threshold = (0..THRESHOLDS).filter_map(|idx| match self.first_observed[idx] {
            None => pass_at(crossed_at[idx], next),
            Some(_) if crossed_at[idx] > next => Some(next),
            Some(_) if self.is_met[idx] && !can_evict => None,
            Some(first) => pass_at(first.saturating_add(settings.thresholds[idx].grace), next),
        });
        let of_condition = Condition::ALL.into_iter().filter_map(|condition| {
            let thresholds = settings.thresholds.iter().zip(&crossed_at);
            let mut of_it = thresholds.filter(|(it, _)| Condition::of(it.resource) == condition);
            let is_relieved = of_it.all(|(_, at)| *at > next);
            let holds = self.conditions[condition.index()];
            let last = self.last_observed[condition.index()].filter(|_| holds && is_relieved)?;
            pass_at(last.saturating_add(settings.transition), next)
        });
        of_threshold.chain(of_condition).min()
    }

    /// Takes up the passes before `now`, from the one at `next` on, that were left out because they
    /// changed nothing; returns the first one that is not over.
    pub fn take_up(&mut self, settings: &Settings, next: SimTime, now: SimTime) -> SimTime {
        if next >= now {
            return next;
        }
        let first_left = now.next_tick(PERIOD, phase_of(next));
        // What was crossed then has been so ever since: usage fell at no time that was not told.
        for condition in Condition::ALL {
            if self.is_observed(settings, condition) {
                self.last_observed[condition.index()] = Some(first_left.saturating_sub(PERIOD));
            }
        }
        first_left
    }
}

/// The first pass at or after a moment, of those at `next` and every [`PERIOD`] after it.
pub fn pass_at(at: SimTime, next: SimTime) -> Option<SimTime> {
    let at = at.max(next);
    (at < LAST_DAY).then(|| at.next_tick(PERIOD, phase_of(next)))
}

/// When less than so much of a capacity is available, given when more than an amount is used;
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

/// A pod on a node that runs out of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What it uses; `None` when nothing is known of it.
    pub used: Option<u64>,
    /// What it requests.
    pub requested: u64,
    /// Its priority.
    pub priority: i32,
}

/// Positions of pods in the order in which they go. For want of memory or disk (`rankMemoryPressure`,
/// `rankDiskPressureFunc`): those of which nothing is
/// known, those that use more than they request, then by priority, then by what they use beyond
/// their request; nobody requests inodes. For want of process ids (`rankPIDPressure`): by priority, then
/// by how many they have. Upstream leaves the order of equals open; here they go as they were given.
pub fn rank(resource: NodeResource, candidates: &[Candidate]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    if resource == NodeResource::Processes {
        order.sort_by_key(|idx| (candidates[*idx].priority, Reverse(candidates[*idx].used)));
        return order;
    }
    order.sort_by_key(|idx| {
        let it = &candidates[*idx];
        let beyond = it.used.map(|used| i128::from(used) - i128::from(it.requested));
        let is_beyond = beyond.is_none_or(|beyond| beyond > 0);
        (beyond.is_some(), !is_beyond, it.priority, Reverse(beyond))
    });
    order
}

/// What a kubelet lacks for a pod that it does not let in while these conditions hold (`Admit`).
pub fn refusal(spec: &PodSpec, conditions: Conditions) -> Option<NodeResource> {
    if qos::is_critical(spec) {
        return None;
    }
    let pressure = taint(MEMORY_PRESSURE, TaintEffect::NoSchedule);
    let takes_no_memory = || {
        qos::class(spec) == QosClass::BestEffort
            && !spec.tolerations.iter().any(|it| it.tolerates(&pressure))
    };
    match conditions {
        [_, true, _] => Some(NodeResource::Disk),
        [_, _, true] => Some(NodeResource::Processes),
        [true, false, false] if takes_no_memory() => Some(NodeResource::Memory),
        _ => None,
    }
}

/// How much of the disk a pod may use before its kubelet evicts it, when it all lies in one place
/// (`localStorageEviction`): the limit of that container, or the size of that `emptyDir`, and in any
/// case what all its containers are limited to together, if each that is limited counts.
pub fn storage_limit(spec: &PodSpec, place: &DiskPlace) -> Option<u64> {
    let limit = |list: &ResourceList| {
        let amount = list.get(ResourceList::EPHEMERAL_STORAGE)?;
        u64::try_from(amount).ok().filter(|amount| *amount > 0)
    };
    let of_place = match place {
        DiskPlace::Container(idx) => spec.containers.get(*idx).and_then(|it| limit(&it.limits)),
        DiskPlace::EmptyDir(name) => {
            let found = spec.empty_dirs.iter().find(|volume| volume.name == *name);
            found.and_then(|volume| volume.size_limit_bytes)
        }
    };
    let of_pod = spec.containers.iter().filter_map(|it| limit(&it.limits));
    let of_pod = of_pod.reduce(u64::saturating_add);
    of_place.into_iter().chain(of_pod).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn settings(soft: Option<(u64, u64)>, minimum_reclaim: u64) -> Settings {
        let parameters = Parameters {
            eviction_soft_memory_bytes: soft.map_or(0, |(mebibytes, _)| mebibytes * MIB),
            eviction_soft_grace_period: SimSpan::from_secs(soft.map_or(0, |(_, grace)| grace)),
            eviction_minimum_reclaim_bytes: minimum_reclaim * MIB,
            eviction_max_pod_grace_period: SimSpan::from_secs(20),
            ..Parameters::default()
        };
        Settings::of(&parameters, &Capacities::default())
    }

    /// Nothing but memory, in MiB, is short.
    fn of_memory(mebibytes: u64) -> [u64; 4] {
        [mebibytes * MIB, u64::MAX, u64::MAX, u64::MAX]
    }

    /// What passes make of what is available, in MiB: `+` under pressure, `H` and `S` a pod goes.
    fn passes(settings: &Settings, available: &[(u64, u64)]) -> String {
        let mut manager = EvictionManager::default();
        let mut told = String::new();
        for (secs, mebibytes) in available {
            let now = SimTime::from_secs(*secs);
            let wanted = manager.synchronize(settings, &of_memory(*mebibytes), now);
            let pressure = if manager.conditions()[0] { "+" } else { "" };
            let kind = wanted.map_or("", |it| match it.kind {
                ThresholdKind::Hard => "H",
                ThresholdKind::Soft => "S",
            });
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
            let parameters =
                Parameters { eviction_pressure_transition_period, ..Parameters::default() };
            let settings = Settings::of(&parameters, &Capacities::default());
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
            used,
            requested: requested_bytes,
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
        assert_eq!(rank(NodeResource::Memory, &pods), [4, 3, 2, 1, 5, 0]);
        assert_eq!(rank(NodeResource::Disk, &pods), [4, 3, 2, 1, 5, 0]);
        // Requests do not count: the first two, of low priority, then the largest of the next.
        assert_eq!(rank(NodeResource::Processes, &pods), [5, 0, 3, 2, 1, 4]);
    }

    #[test]
    fn a_disk_is_short_below_15_percent_and_its_condition_is_its_own() {
        let capacities = [None, Some(1000), Some(200), Some(32_768)];
        let parameters = Parameters { eviction_hard_pids_ppm: 100_000, ..Parameters::default() };
        let settings = Settings::of(&parameters, &capacities);
        let mut manager = EvictionManager::default();
        let mut pass = |secs, disk, inodes, pids| {
            let available = [u64::MAX, disk, inodes, pids];
            let wanted = manager.synchronize(&settings, &available, SimTime::from_secs(secs));
            (wanted.map(|it| it.resource), manager.conditions())
        };
        assert_eq!(pass(0, 150, 10, 3276), (None, [false; 3]));
        assert_eq!(pass(10, 149, 10, 3276), (Some(NodeResource::Disk), [false, true, false]));
        assert_eq!(pass(20, 150, 9, 3276), (Some(NodeResource::Inodes), [false, true, false]));
        assert_eq!(pass(30, 150, 10, 3275), (Some(NodeResource::Processes), [false, true, true]));
        assert_eq!(pass(320, 150, 10, 9999), (None, [false, false, true]));
    }

    #[test]
    fn more_of_a_disk_is_reclaimed_than_the_threshold() {
        let parameters =
            Parameters { eviction_minimum_reclaim_disk_bytes: 50, ..Parameters::default() };
        let settings = Settings::of(&parameters, &[None, Some(1000), None, None]);
        let mut manager = EvictionManager::default();
        let now = SimTime::from_secs(10);
        manager.synchronize(&settings, &[u64::MAX, 149, u64::MAX, u64::MAX], now);
        let is_enough = |memory, disk| settings.is_enough(&[memory, disk, u64::MAX, u64::MAX]);
        let enough = [150, 199, 200].map(|disk| is_enough(u64::MAX, disk));
        assert_eq!(enough, [false, false, true]);
        // What else is short counts too, though no pod would go for it yet.
        let least = settings.thresholds.map(|it| it.amount.saturating_add(it.minimum_reclaim))[0];
        assert_eq!([least - 1, least].map(|memory| is_enough(memory, 200)), [false, true]);
    }

    #[test]
    fn what_a_pod_is_refused_for() {
        let spec = |priority| PodSpec { priority, ..PodSpec::default() };
        let cases = [
            ([false; 3], None),
            ([true, false, false], Some(NodeResource::Memory)),
            ([false, true, false], Some(NodeResource::Disk)),
            ([true, true, false], Some(NodeResource::Disk)),
            ([false, false, true], Some(NodeResource::Processes)),
        ];
        for (conditions, expected) in cases {
            let refused = [0, 2_000_000_000].map(|it| refusal(&spec(it), conditions));
            assert_eq!(refused, [expected, None], "{conditions:?}: critical pods are let in");
        }
    }

    #[test]
    fn a_pod_may_use_what_its_place_and_its_containers_may() {
        use model_api::kube::Container;
        use model_api::usage::EmptyDir;
        let container = |bytes: i64| {
            let mut limits = ResourceList::default();
            limits.0.insert(ResourceList::EPHEMERAL_STORAGE.to_owned(), bytes);
            Container { limits, ..Container::default() }
        };
        let volume =
            |name: &str, size_limit_bytes| EmptyDir { name: name.into(), size_limit_bytes };
        let spec = PodSpec {
            containers: vec![container(100), container(30), Container::default()],
            empty_dirs: vec![volume("cache", Some(50)), volume("large", None)],
            ..PodSpec::default()
        };
        let limit = |place| storage_limit(&spec, &place);
        assert_eq!(limit(DiskPlace::Container(0)), Some(100));
        assert_eq!(limit(DiskPlace::Container(2)), Some(130), "that of the pod");
        assert_eq!(limit(DiskPlace::EmptyDir("cache".into())), Some(50));
        assert_eq!(limit(DiskPlace::EmptyDir("large".into())), Some(130));
        let free = PodSpec { containers: vec![Container::default()], ..PodSpec::default() };
        assert_eq!(storage_limit(&free, &DiskPlace::Container(0)), None);
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
                |_, bytes| if bytes > 0 { crossed_at } else { SimTime::MAX },
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
                next = some.take_up(&settings, next, SimTime::from_secs(start));
                let exceeds = |bytes: u64| {
                    let found = (start..start + length).find(|secs| used(*secs) > bytes);
                    found.map(SimTime::from_secs)
                };
                let below = |resource, bytes: u64| match resource {
                    NodeResource::Memory => below(bytes, capacity * MIB, exceeds),
                    _ => SimTime::MAX,
                };
                let there_is = |secs: u64| [at(secs), u64::MAX, u64::MAX, u64::MAX];
                for secs in (start..start + length).filter(|secs| secs % 10 == phase) {
                    let now = SimTime::from_secs(secs);
                    let wanted = all.synchronize(&settings, &there_is(secs), now);
                    if some.next_look(&settings, next, below, can_evict) == Some(now) {
                        some.take_up(&settings, next, now);
                        let found = some.synchronize(&settings, &there_is(secs), now);
                        prop_assert_eq!(found, wanted);
                        next = now + PERIOD;
                    } else if can_evict {
                        prop_assert_eq!(wanted, None);
                    }
                    prop_assert_eq!(some.conditions, all.conditions);
                    prop_assert_eq!(some.first_observed, all.first_observed);
                    prop_assert_eq!(some.is_met, all.is_met);
                }
                start += length;
            }
        }
    }
}
