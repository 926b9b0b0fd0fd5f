//! The scheduling queue: which pod is tried next, and when.
//!
//! # Modelled
//! Order by priority and time; attempts and backoff; pods that wait for an event which one of the
//! filters that refused them registered for; events that arrive during an attempt; the flush of pods
//! that waited too long; popping from backoff when nothing else is there; pods held back.
//! # Not modelled
//! Plugins outside the default profile, and what they register for.
//! # Defaults and their sources
//! kube-scheduler 1.36: `pkg/scheduler/backend/queue/{scheduling_queue,backoff_queue}.go` (backoff 1 s
//! to 10 s, 5 min in the unschedulable pods, looked at every 30 s),
//! `plugins/queuesort/priority_sort.go`; which events a filter registers for: `EventsToRegister` of
//! each plugin.
//! # Invariants
//! Nothing ticks: every time is computed from what happened, and [`SchedulingQueue::next_due`] is the
//! only moment at which the queue changes by itself. A pod is in one place.
//! # Checked against
//! The tests beside this module.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use model_api::observation::UnschedulableReason as Reason;
use model_api::{PodId, SimSpan, SimTime};

use super::filter::FILTERS;

/// Timers of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueTimers {
    /// `podInitialBackoffSeconds`: 1 s.
    pub backoff_initial: SimSpan,
    /// `podMaxBackoffSeconds`: 10 s.
    pub backoff_max: SimSpan,
    /// `podMaxInUnschedulablePodsDuration`: 5 min.
    pub unschedulable_max: SimSpan,
    /// How often that is looked at: 30 s.
    pub flush_period: SimSpan,
    /// Whole ticks to which the end of a backoff is cut: 1 s.
    pub backoff_tick: SimSpan,
    /// `SchedulerPopFromBackoffQ`: an idle scheduler takes pods whose backoff still runs.
    pub pops_from_backoff: bool,
}

impl Default for QueueTimers {
    fn default() -> Self {
        Self {
            backoff_initial: SimSpan::from_secs(1),
            backoff_max: SimSpan::from_secs(10),
            unschedulable_max: SimSpan::from_secs(300),
            flush_period: SimSpan::from_secs(30),
            backoff_tick: SimSpan::from_secs(1),
            pops_from_backoff: true,
        }
    }
}

/// What happens in a cluster that may make a pod schedulable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterEvent {
    /// A node was added.
    NodeAdded,
    /// A node's taints or `spec.unschedulable` changed.
    NodeTaintsChanged,
    /// A node's labels changed.
    NodeLabelsChanged,
    /// A node's allocatable changed.
    NodeAllocatableChanged,
    /// A node is gone: spreading has a domain less.
    NodeDeleted,
    /// A pod was bound (or assumed) on a node.
    PodAssigned,
    /// The labels of a pod on a node changed.
    PodLabelsChanged,
    /// The requests of a pod on a node shrank.
    PodScaledDown,
    /// A pod on a node is gone.
    PodDeleted,
    /// A claim was created or changed, or was bound.
    ClaimChanged,
    /// A volume was created or changed.
    VolumeChanged,
    /// A storage class was created or changed.
    StorageClassChanged,
    /// What drivers of a node can attach changed.
    AttachLimitsChanged,
}

/// Whether a filter that refused a pod registered for an event (`EventsToRegister`, 1.36).
pub const fn is_registered(filter: Reason, event: ClusterEvent) -> bool {
    use ClusterEvent as E;
    match filter {
        Reason::NodeUnschedulable => {
            matches!(event, E::NodeAdded | E::NodeTaintsChanged)
        }
        Reason::NodeName => matches!(event, E::NodeAdded),
        Reason::TaintToleration => matches!(event, E::NodeAdded | E::NodeTaintsChanged),
        Reason::NodeAffinity => matches!(event, E::NodeAdded | E::NodeLabelsChanged),
        Reason::NodePorts => matches!(event, E::NodeAdded | E::PodDeleted),
        Reason::NodeResourcesFit => matches!(
            event,
            E::NodeAdded | E::NodeAllocatableChanged | E::PodDeleted | E::PodScaledDown
        ),
        Reason::VolumeRestrictions => {
            matches!(event, E::PodDeleted | E::NodeAdded | E::ClaimChanged)
        }
        Reason::NodeVolumeLimits => {
            matches!(event, E::AttachLimitsChanged | E::PodDeleted | E::ClaimChanged)
        }
        Reason::VolumeBinding => matches!(
            event,
            E::StorageClassChanged
                | E::ClaimChanged
                | E::VolumeChanged
                | E::NodeAdded
                | E::NodeLabelsChanged
                | E::AttachLimitsChanged
        ),
        Reason::VolumeZone => matches!(
            event,
            E::StorageClassChanged
                | E::ClaimChanged
                | E::VolumeChanged
                | E::NodeAdded
                | E::NodeLabelsChanged
        ),
        Reason::PodTopologySpread => matches!(
            event,
            E::PodAssigned
                | E::PodDeleted
                | E::PodLabelsChanged
                | E::NodeAdded
                | E::NodeDeleted
                | E::NodeLabelsChanged
                | E::NodeTaintsChanged
        ),
        Reason::InterPodAffinity => matches!(
            event,
            E::PodAssigned
                | E::PodDeleted
                | E::PodLabelsChanged
                | E::NodeAdded
                | E::NodeLabelsChanged
        ),
        // Nothing but that somebody removes the gates: [`SchedulingQueue::release`].
        Reason::SchedulingGates => false,
    }
}

/// How an attempt ended without a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// These filters refused nodes.
    Unschedulable(Vec<Reason>),
    /// Something failed: the pod is tried again after its backoff, whatever happens.
    Error,
}

/// Pods that wait for a node. A clone is a snapshot.
///
/// `K` says what a pod is to the hint of [`Self::on_event`]: pods of one kind that the same filters
/// refused get one answer.
#[derive(Clone, Debug)]
pub struct SchedulingQueue<K> {
    timers: QueueTimers,
    /// Moment from which the flush counts its periods.
    started: SimTime,
    waiting: BTreeMap<PodId, Waiting<K>>,
    /// Ready to be tried.
    active: BTreeSet<(Rank, PodId)>,
    /// Ready at a moment, after an attempt that found no node.
    backing_off: BTreeSet<(SimTime, Rank, PodId)>,
    /// Ready at a moment, after an error.
    after_error: BTreeSet<(SimTime, Rank, PodId)>,
    /// Wait for an event, by kind and by the filters that refused them.
    refused: BTreeMap<(K, Vec<Reason>), BTreeSet<PodId>>,
    /// The same, by when they entered.
    refused_since: BTreeSet<(SimTime, PodId)>,
    /// Pods whose attempt runs.
    in_flight: BTreeMap<PodId, InFlight<K>>,
    /// Order of arrival, where upstream's clock is too coarse to tell.
    arrivals: u64,
}

/// The priority, higher first; when the pod entered its queue; the order of arrival.
type Rank = (Reverse<i32>, SimTime, u64);

#[derive(Clone, Debug)]
struct InFlight<K> {
    entry: Waiting<K>,
    /// Filters that would let it be tried again because of what happened since its attempt began.
    /// Which of them refuse it is known when that ends.
    helped: BTreeSet<Reason>,
}

/// A pod in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Waiting<K> {
    kind: K,
    priority: i32,
    /// When it entered the queue it is in.
    since: SimTime,
    arrival: u64,
    /// Attempts that ended unschedulable.
    unschedulable_count: u32,
    /// Errors since the last other result.
    error_count: u32,
    refused_by: Vec<Reason>,
    place: Place,
}

impl<K> Waiting<K> {
    const fn rank(&self) -> Rank {
        (Reverse(self.priority), self.since, self.arrival)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Ready to be tried.
    Active,
    /// Ready at this moment.
    Backoff(SimTime),
    /// Waits for an event.
    Unschedulable,
    /// Held back: scheduling gates, or a preemption of its own that runs.
    Gated,
}

impl<K: Copy + Ord> SchedulingQueue<K> {
    /// An empty queue of a scheduler that started at `now`.
    pub fn new(timers: QueueTimers, now: SimTime) -> Self {
        Self {
            timers,
            started: now,
            waiting: BTreeMap::new(),
            active: BTreeSet::new(),
            backing_off: BTreeSet::new(),
            after_error: BTreeSet::new(),
            refused: BTreeMap::new(),
            refused_since: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            arrivals: 0,
        }
    }

    /// A new pod without a node, or one that waits already and is new again.
    pub fn add(&mut self, pod: PodId, kind: K, priority: i32, now: SimTime) {
        self.remove(pod);
        let entry = Waiting {
            kind,
            priority,
            since: now,
            arrival: self.next_arrival(),
            unschedulable_count: 0,
            error_count: 0,
            refused_by: Vec::new(),
            place: Place::Active,
        };
        self.insert(pod, entry);
    }

    /// Holds a waiting pod back until [`Self::release`] (PreEnqueue).
    pub fn gate(&mut self, pod: PodId) {
        if let Some(entry) = self.take(pod) {
            self.insert(pod, Waiting { place: Place::Gated, ..entry });
        }
    }

    /// Lets a pod that was held back in again; a backoff it has must still run off.
    pub fn release(&mut self, pod: PodId, now: SimTime) {
        let is_gated = |entry: &&Waiting<K>| entry.place == Place::Gated;
        if self.waiting.get(&pod).filter(is_gated).is_some() {
            self.requeue(pod, now);
        }
    }

    /// Something about a pod itself changed: it waits for no event any more.
    pub fn activate(&mut self, pod: PodId, now: SimTime) {
        let waits = |entry: &&Waiting<K>| entry.place == Place::Unschedulable;
        if self.waiting.get(&pod).filter(waits).is_some() {
            self.requeue(pod, now);
        }
    }

    /// A pod is gone or bound.
    pub fn remove(&mut self, pod: PodId) {
        self.take(pod);
        self.in_flight.remove(&pod);
    }

    /// Whether a pod waits or is being tried.
    pub fn contains(&self, pod: PodId) -> bool {
        self.waiting.contains_key(&pod) || self.in_flight.contains_key(&pod)
    }

    /// The pods that wait, by id.
    pub fn pods(&self) -> impl Iterator<Item = PodId> {
        self.waiting.keys().copied()
    }

    /// How many pods wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether no pod waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a pod waits that no node fitted.
    pub fn has_refused(&self) -> bool {
        !self.refused_since.is_empty()
    }

    /// The pod to try now, if any: the highest priority first, then the one that waited longest in
    /// the active queue. When that is empty, a pod whose backoff still runs, the earliest end first
    /// and pods that failed by an error excepted.
    pub fn pop(&mut self, now: SimTime) -> Option<PodId> {
        self.flush(now);
        let first = self.active.first().map(|(_, pod)| *pod);
        let pod = first.or_else(|| self.first_backing_off())?;
        let mut entry = self.take(pod).expect("it was found in the queue");
        entry.refused_by.clear();
        self.in_flight.insert(pod, InFlight { entry, helped: BTreeSet::new() });
        Some(pod)
    }

    fn first_backing_off(&self) -> Option<PodId> {
        let first = self.backing_off.first().filter(|_| self.timers.pops_from_backoff);
        first.map(|(_, _, pod)| *pod)
    }

    /// An attempt succeeded: the pod leaves the queue.
    pub fn done(&mut self, pod: PodId) {
        self.in_flight.remove(&pod);
    }

    /// An attempt failed. Events that came while it ran and that may help against a filter that
    /// refused the pod count: it then goes to backoff at once (scheduling_queue.go,
    /// determineSchedulingHintForInFlightPod).
    pub fn fail(&mut self, pod: PodId, failure: Failure, now: SimTime) {
        let Some(InFlight { mut entry, helped }) = self.in_flight.remove(&pod) else { return };
        entry.since = now;
        entry.arrival = self.next_arrival();
        match failure {
            Failure::Unschedulable(refused_by) => {
                entry.unschedulable_count = entry.unschedulable_count.saturating_add(1);
                entry.error_count = 0;
                let wakes = refused_by.iter().any(|filter| helped.contains(filter));
                entry.refused_by = refused_by;
                entry.place =
                    if wakes { self.backoff_place(&entry, now) } else { Place::Unschedulable };
            }
            Failure::Error => {
                entry.error_count = entry.error_count.saturating_add(1);
                entry.place = self.backoff_place(&entry, now);
            }
        }
        self.insert(pod, entry);
    }

    /// Something happened: pods that one of their refusing filters wants to see again because of it
    /// leave the unschedulable pods. `hint` may say that this event cannot help pods of a kind. Of pods
    /// that are being tried it is asked for every filter that may refuse them yet.
    pub fn on_event(
        &mut self,
        event: ClusterEvent,
        now: SimTime,
        mut hint: impl FnMut(K, Reason) -> bool,
    ) {
        let mut wants =
            |kind: K, filter: Reason| is_registered(filter, event) && hint(kind, filter);
        for InFlight { entry, helped } in self.in_flight.values_mut() {
            let more = FILTERS.into_iter().filter(|filter| !helped.contains(filter));
            let more: Vec<Reason> = more.filter(|filter| wants(entry.kind, *filter)).collect();
            helped.extend(more);
        }
        let mut woken = Vec::new();
        for ((kind, refused_by), pods) in &self.refused {
            if refused_by.iter().any(|filter| wants(*kind, *filter)) {
                woken.extend(pods);
            }
        }
        for pod in woken {
            self.requeue(pod, now);
        }
    }

    /// The next moment at which a pod becomes ready by itself; `None` when there is none. While a
    /// pod is ready, that is `now`.
    pub fn next_due(&self, now: SimTime) -> Option<SimTime> {
        self.next_ready(now).into_iter().chain(self.next_flush(now)).min()
    }

    /// The same for pods that wait for no event.
    pub fn next_ready(&self, now: SimTime) -> Option<SimTime> {
        if !self.active.is_empty() || self.first_backing_off().is_some() {
            return Some(now);
        }
        let ends = [self.backing_off.first(), self.after_error.first()].into_iter().flatten();
        ends.map(|(end, _, _)| self.whole_second_after(*end).max(now)).min()
    }

    /// The next moment at which a pod has waited for an event for too long.
    pub fn next_flush(&self, now: SimTime) -> Option<SimTime> {
        let (since, _) = self.refused_since.first()?;
        Some(self.flush_after(*since).max(now))
    }

    /// How long it takes at most until each pod that waits for an event has been tried again.
    pub fn flush_cycle(&self) -> SimSpan {
        let (longest, period) = (self.timers.unschedulable_max, self.timers.flush_period);
        period * (longest.as_nanos() / period.as_nanos() + 1)
    }

    /// Passes over flushes before `now` after which every pod was refused again, because nothing had
    /// changed: the pods wait since the last of them.
    pub fn pass_over_flushes(&mut self, now: SimTime) {
        let overdue = self.refused_since.iter().copied();
        let overdue: Vec<(SimTime, PodId)> =
            overdue.take_while(|(since, _)| self.flush_after(*since) < now).collect();
        let cycle = self.flush_cycle();
        for (since, pod) in overdue {
            let first = self.flush_after(since);
            // A flush falls on a whole period, and so does each one after it.
            let later = (now - first).as_nanos().saturating_sub(1) / cycle.as_nanos();
            let mut entry = self.take(pod).expect("it waits for an event");
            entry.since = first + cycle * later;
            let attempts = u32::try_from(later + 1).unwrap_or(u32::MAX);
            entry.unschedulable_count = entry.unschedulable_count.saturating_add(attempts);
            self.insert(pod, entry);
        }
    }

    /// Moves what is due by `now`.
    fn flush(&mut self, now: SimTime) {
        loop {
            let ends = [self.backing_off.first(), self.after_error.first()].into_iter().flatten();
            let due = ends.min().filter(|(end, _, _)| self.whole_second_after(*end) <= now);
            let Some((_, _, pod)) = due.copied() else { break };
            let entry = self.take(pod).expect("it was just there");
            self.insert(pod, Waiting { place: Place::Active, ..entry });
        }
        while let Some((since, pod)) = self.refused_since.first().copied()
            && self.flush_after(since) <= now
        {
            self.requeue(pod, now);
        }
    }

    /// To the active queue, or to backoff while that still runs.
    fn requeue(&mut self, pod: PodId, now: SimTime) {
        let entry = self.take(pod).expect("only pods that wait are moved");
        let place = self.backoff_place(&entry, now);
        self.insert(pod, Waiting { place, ..entry });
    }

    fn insert(&mut self, pod: PodId, entry: Waiting<K>) {
        match entry.place {
            Place::Active => {
                self.active.insert((entry.rank(), pod));
            }
            Place::Backoff(end) if entry.error_count == 0 => {
                self.backing_off.insert((end, entry.rank(), pod));
            }
            Place::Backoff(end) => {
                self.after_error.insert((end, entry.rank(), pod));
            }
            Place::Unschedulable => {
                let group = (entry.kind, entry.refused_by.clone());
                self.refused.entry(group).or_default().insert(pod);
                self.refused_since.insert((entry.since, pod));
            }
            Place::Gated => {}
        }
        self.waiting.insert(pod, entry);
    }

    fn take(&mut self, pod: PodId) -> Option<Waiting<K>> {
        let mut entry = self.waiting.remove(&pod)?;
        match entry.place {
            Place::Active => {
                self.active.remove(&(entry.rank(), pod));
            }
            Place::Backoff(end) if entry.error_count == 0 => {
                self.backing_off.remove(&(end, entry.rank(), pod));
            }
            Place::Backoff(end) => {
                self.after_error.remove(&(end, entry.rank(), pod));
            }
            Place::Unschedulable => {
                self.refused_since.remove(&(entry.since, pod));
                let group = (entry.kind, std::mem::take(&mut entry.refused_by));
                let pods = self.refused.get_mut(&group).expect("its group is there");
                pods.remove(&pod);
                if pods.is_empty() {
                    self.refused.remove(&group);
                }
                entry.refused_by = group.1;
            }
            Place::Gated => {}
        }
        Some(entry)
    }

    fn backoff_place(&self, entry: &Waiting<K>, now: SimTime) -> Place {
        let end = entry.since + self.backoff(entry);
        let tick = self.timers.backoff_tick.as_nanos();
        let cut = end.as_nanos().checked_div(tick).map_or(end.as_nanos(), |count| count * tick);
        let end = SimTime::from_nanos(cut);
        if end > now { Place::Backoff(end) } else { Place::Active }
    }

    /// Doubles from the initial to the longest backoff, by errors in a row if there are any, else by
    /// unschedulable attempts (backoff_queue.go, calculateBackoffDuration).
    fn backoff(&self, entry: &Waiting<K>) -> SimSpan {
        let count =
            if entry.error_count > 0 { entry.error_count } else { entry.unschedulable_count };
        let Some(doublings) = count.checked_sub(1) else { return SimSpan::ZERO };
        let initial = self.timers.backoff_initial.as_nanos();
        let span = initial.checked_shl(doublings).filter(|span| span >> doublings == initial);
        let longest = self.timers.backoff_max;
        span.map_or(longest, |span| SimSpan::from_nanos(span).min(longest))
    }

    /// Backoff is looked at once a second from the scheduler's start.
    fn whole_second_after(&self, at: SimTime) -> SimTime {
        self.period_end(at, SimSpan::from_secs(1))
    }

    /// A pod that entered at `since` has waited longer than allowed at the first look after that.
    fn flush_after(&self, since: SimTime) -> SimTime {
        let over = since + self.timers.unschedulable_max + SimSpan::from_nanos(1);
        self.period_end(over, self.timers.flush_period)
    }

    /// The first whole period since the start that is not before `at`.
    fn period_end(&self, at: SimTime, period: SimSpan) -> SimTime {
        let since_start = at.as_nanos().saturating_sub(self.started.as_nanos());
        let periods = since_start.div_ceil(period.as_nanos());
        SimTime::from_nanos(self.started.as_nanos() + periods * period.as_nanos())
    }

    fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SimTime {
        SimTime::from_nanos(millis * 1_000_000)
    }

    fn refused(by: Reason) -> Failure {
        Failure::Unschedulable(vec![by])
    }

    fn queue() -> SchedulingQueue<()> {
        SchedulingQueue::new(QueueTimers::default(), SimTime::ZERO)
    }

    #[test]
    fn higher_priority_first_then_the_one_that_waited_longest() {
        let mut queue = queue();
        queue.add(PodId(1), (), 0, at(0));
        queue.add(PodId(2), (), 0, at(1));
        queue.add(PodId(3), (), 10, at(2));
        let popped: Vec<Option<PodId>> = (0..4).map(|_| queue.pop(at(3))).collect();
        assert_eq!(popped, [Some(PodId(3)), Some(PodId(1)), Some(PodId(2)), None]);
    }

    #[test]
    fn of_two_that_come_at_once_the_first_goes_first() {
        let mut queue = queue();
        for pod in [5, 2, 9] {
            queue.add(PodId(pod), (), 0, at(0));
        }
        let popped: Vec<Option<PodId>> = (0..3).map(|_| queue.pop(at(0))).collect();
        assert_eq!(popped, [Some(PodId(5)), Some(PodId(2)), Some(PodId(9))]);
    }

    #[test]
    fn backoff_doubles_to_ten_seconds() {
        let timers = QueueTimers { pops_from_backoff: false, ..QueueTimers::default() };
        let mut queue = SchedulingQueue::new(timers, SimTime::ZERO);
        queue.add(PodId(1), (), 0, at(0));
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..6 {
            assert_eq!(queue.pop(now), Some(PodId(1)));
            queue.fail(PodId(1), Failure::Error, now);
            let due = queue.next_due(now).expect("an error is tried again");
            waits.push((due.as_nanos() - now.as_nanos()) / 1_000_000_000);
            assert_eq!(queue.pop(SimTime::from_nanos(due.as_nanos() - 1)), None);
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
    }

    #[test]
    fn a_pod_waits_for_an_event_its_filter_registered_for() {
        let mut queue = queue();
        queue.add(PodId(1), (), 0, at(0));
        queue.pop(at(0));
        queue.fail(PodId(1), refused(Reason::NodeResourcesFit), at(0));
        queue.on_event(ClusterEvent::NodeTaintsChanged, at(20_000), |_, _| true);
        assert_eq!(queue.pop(at(20_000)), None);
        queue.on_event(ClusterEvent::PodDeleted, at(30_000), |_, _| false);
        assert_eq!(queue.pop(at(30_000)), None);
        queue.on_event(ClusterEvent::PodDeleted, at(40_000), |_, _| true);
        assert_eq!(queue.pop(at(40_000)), Some(PodId(1)));
    }

    #[test]
    fn an_event_during_the_attempt_is_not_lost() {
        let mut queue = queue();
        queue.add(PodId(1), (), 0, at(0));
        queue.pop(at(0));
        queue.on_event(ClusterEvent::NodeAdded, at(100), |_, _| true);
        queue.fail(PodId(1), refused(Reason::TaintToleration), at(200));
        // Its backoff runs, but an idle scheduler does not wait for it.
        assert_eq!(queue.next_due(at(200)), Some(at(200)));
        assert_eq!(queue.pop(at(200)), Some(PodId(1)));
    }

    #[test]
    fn an_event_during_the_attempt_counts_only_if_it_may_help() {
        let wakes = |event, hinted: Reason, by: Reason| {
            let mut queue = queue();
            queue.add(PodId(1), (), 0, at(0));
            queue.pop(at(0));
            queue.on_event(event, at(100), |_, filter| filter == hinted);
            queue.fail(PodId(1), refused(by), at(200));
            queue.next_ready(at(200)).is_some()
        };
        let (taints, fit) = (Reason::TaintToleration, Reason::NodeResourcesFit);
        let cases = [
            (ClusterEvent::NodeAdded, taints, taints, true),
            // The hint says that it still does not fit.
            (ClusterEvent::NodeAdded, taints, fit, false),
            // Not registered.
            (ClusterEvent::NodeTaintsChanged, fit, fit, false),
            (ClusterEvent::PodDeleted, fit, fit, true),
            (ClusterEvent::PodDeleted, taints, fit, false),
        ];
        for (event, hinted, by, expected) in cases {
            assert_eq!(wakes(event, hinted, by), expected, "{event:?} {hinted:?} {by:?}");
        }
    }

    #[test]
    fn what_nothing_wakes_is_tried_again_between_300_and_330_seconds() {
        let mut queue = queue();
        queue.add(PodId(1), (), 0, at(0));
        queue.pop(at(0));
        queue.fail(PodId(1), refused(Reason::NodeAffinity), at(12_345));
        assert_eq!(queue.next_due(at(12_345)), Some(at(330_000)));
        assert_eq!(queue.pop(at(329_999)), None);
        assert_eq!(queue.pop(at(330_000)), Some(PodId(1)));
    }

    #[test]
    fn a_gated_pod_is_not_tried() {
        let mut queue = queue();
        queue.add(PodId(1), (), 0, at(0));
        queue.gate(PodId(1));
        assert_eq!((queue.pop(at(0)), queue.next_due(at(0))), (None, None));
        queue.release(PodId(1), at(5));
        assert_eq!(queue.pop(at(5)), Some(PodId(1)));
    }

    #[test]
    fn a_hint_is_asked_once_for_pods_that_are_alike() {
        let mut queue = SchedulingQueue::new(QueueTimers::default(), SimTime::ZERO);
        for pod in 0..6 {
            queue.add(PodId(pod), pod % 2, 0, at(0));
        }
        while let Some(pod) = queue.pop(at(0)) {
            queue.fail(pod, refused(Reason::NodeResourcesFit), at(0));
        }
        let mut asked = Vec::new();
        queue.on_event(ClusterEvent::PodDeleted, at(5_000), |kind, _| {
            asked.push(kind);
            kind == 1
        });
        let woken: Vec<Option<PodId>> = (0..4).map(|_| queue.pop(at(5_000))).collect();
        assert_eq!(asked, [0, 1]);
        assert_eq!(woken, [Some(PodId(1)), Some(PodId(3)), Some(PodId(5)), None]);
    }

    #[test]
    fn flushes_in_vain_can_be_passed_over() {
        let refuse_at = |queue: &mut SchedulingQueue<()>, now| {
            assert_eq!(queue.pop(now), Some(PodId(1)));
            queue.fail(PodId(1), refused(Reason::NodeAffinity), now);
        };
        let mut tried = queue();
        tried.add(PodId(1), (), 0, at(0));
        refuse_at(&mut tried, at(12_345));
        let mut passed = tried.clone();
        for hours in 1..=3 {
            let now = SimTime::from_secs(hours * 3_600);
            while let Some(due) = tried.next_flush(SimTime::ZERO).filter(|due| *due < now) {
                refuse_at(&mut tried, due);
            }
            passed.pass_over_flushes(now);
            assert_eq!(passed.next_flush(now), tried.next_flush(now));
            let counts = [&passed, &tried].map(|it| it.waiting[&PodId(1)].unschedulable_count);
            assert_eq!(counts[0], counts[1]);
        }
    }
}
