//! Node health, zones, and how fast the pods of silent nodes are evicted.
//!
//! # Modelled
//! The monitor pass of kube-controller-manager's node lifecycle controller: grace period against
//! the controller's own clock, zone states, master disruption, the token bucket of each zone with
//! its swaps, and the queue of nodes that wait for their `NoExecute` taint. In time also the token
//! that is spent on a node whose new status the tainter's cache does not show yet.
//! # Not modelled
//! A node tainted while the pass that would stop it still runs. Nodes labelled `node.kubernetes.io/exclude-disruption`.
//! # Defaults and their sources
//! `pkg/controller/nodelifecycle/node_lifecycle_controller.go` and
//! `pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go`, Kubernetes 1.36; the values are
//! in [`model_api::Parameters`].
//! # Invariants
//! A zone never hands out two nodes within the reciprocal of its rate. A zone of rate zero hands
//! out none. In master disruption no zone hands out any.
//! # Checked against
//! `conformance/nodes-zone-state.yaml`; recorded zone losses.

use std::collections::BTreeSet;

use model_api::Parameters;
use model_api::kube::Labels;
use sim_kernel::{SimSpan, SimTime};

/// A node's `Ready` condition as the API shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum Ready {
    #[default]
    True,
    False,
    Unknown,
}

/// How much of a zone is not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ZoneState {
    /// Not judged yet.
    #[default]
    Initial,
    /// Few nodes or none are not ready.
    Normal,
    /// Many are, at least three.
    PartialDisruption,
    /// No node is ready.
    FullDisruption,
}

/// Ready and not ready nodes of a zone. A missing condition counts as not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneCount {
    /// Nodes with `Ready` True.
    pub ready_count: u32,
    /// All others.
    pub not_ready_count: u32,
}

impl ZoneCount {
    /// Nodes of the zone.
    pub const fn size(self) -> u32 {
        self.ready_count + self.not_ready_count
    }
}

/// Rates and thresholds of eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictionRates {
    /// `--node-eviction-rate`, nodes per 1000 s.
    pub normal_milli: u64,
    /// `--secondary-node-eviction-rate`, nodes per 1000 s.
    pub secondary_milli: u64,
    /// `--large-cluster-size-threshold`: a zone is large when it has more nodes.
    pub large_zone_size: u32,
    /// `--unhealthy-zone-threshold` in parts per million.
    pub unhealthy_ppm: u32,
}

impl EvictionRates {
    /// The rates among all parameters.
    pub fn of(parameters: &Parameters) -> Self {
        Self {
            normal_milli: parameters.node_eviction_rate_milli,
            secondary_milli: parameters.secondary_node_eviction_rate_milli,
            large_zone_size: parameters.large_cluster_size_threshold,
            unhealthy_ppm: parameters.unhealthy_zone_threshold_ppm,
        }
    }
}

/// State of a zone from its counts (`ComputeZoneState`).
///
/// Upstream divides in 32-bit floats; with a threshold in whole ppm and fewer than 10^5 nodes the
/// integers here decide alike.
pub fn zone_state(count: ZoneCount, unhealthy_ppm: u32) -> ZoneState {
    let (not_ready, size) = (u64::from(count.not_ready_count), u64::from(count.size()));
    if count.ready_count == 0 && not_ready > 0 {
        ZoneState::FullDisruption
    } else if not_ready > 2 && not_ready * 1_000_000 >= u64::from(unhealthy_ppm) * size {
        ZoneState::PartialDisruption
    } else {
        ZoneState::Normal
    }
}

/// Nodes per 1000 s that a zone of that state and size may lose (`setLimiterInZone`), while not all
/// zones are fully disrupted.
pub fn rate_milli(state: ZoneState, size: u32, rates: EvictionRates) -> u64 {
    match state {
        ZoneState::Initial | ZoneState::Normal | ZoneState::FullDisruption => rates.normal_milli,
        ZoneState::PartialDisruption if size > rates.large_zone_size => rates.secondary_milli,
        ZoneState::PartialDisruption => 0,
    }
}

/// The zone a node counts for: region and zone labels joined, beta labels first; empty without
/// both (component-helpers `node/topology/helpers.go`, GetZoneKey).
pub fn zone_key(labels: &Labels) -> String {
    let label = |beta: &str, stable: &str| {
        labels.get(beta).or_else(|| labels.get(stable)).map_or("", String::as_str)
    };
    let region = label("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region");
    let zone = label("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone");
    if region.is_empty() && zone.is_empty() {
        return String::new();
    }
    format!("{region}:\0:{zone}")
}

/// A token bucket of one token (`flowcontrol.NewTokenBucketRateLimiter` with burst 1), or one that
/// never has a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaintLimiter {
    rate_milli: u64,
    next_token_at: SimTime,
}

impl TaintLimiter {
    /// A full bucket of that rate (nodes per 1000 s); zero: never a token.
    pub const fn full(rate_milli: u64) -> Self {
        Self { rate_milli, next_token_at: SimTime::ZERO }
    }

    /// Nodes per 1000 s.
    pub const fn rate_milli(self) -> u64 {
        self.rate_milli
    }

    /// When the next token is there; never for rate zero.
    pub fn next_token_at(self) -> Option<SimTime> {
        (self.rate_milli > 0).then_some(self.next_token_at)
    }

    /// Takes a token, if there is one.
    pub fn try_take(&mut self, now: SimTime) -> bool {
        if self.rate_milli == 0 || now < self.next_token_at {
            return false;
        }
        self.next_token_at = now + SimSpan::from_secs(1000) / self.rate_milli;
        true
    }

    /// Changes the rate (`SwapLimiter`): the same rate keeps the bucket; otherwise a new one, which
    /// starts empty when the old one had no token to give.
    ///
    /// Upstream's limiter of rate zero calls itself rate 1
    /// (client-go/util/flowcontrol/throttle.go), so a swap from 0 to 1 node per second is lost.
    pub fn swap(&mut self, rate_milli: u64, now: SimTime) {
        let known_rate_milli = if self.rate_milli == 0 { 1000 } else { self.rate_milli };
        if known_rate_milli == rate_milli {
            return;
        }
        let had_token = self.try_take(now);
        let mut bucket = Self::full(rate_milli);
        if !had_token {
            bucket.try_take(now);
        }
        *self = bucket;
    }
}

/// What a pass did to the cluster as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisruptionChange {
    /// Nothing of the kind.
    None,
    /// Every zone is fully disrupted now: all nodes are marked reachable, nothing is evicted.
    Entered,
    /// Some zone is not any more: every node's grace period starts anew.
    Left,
}

#[derive(Clone, Debug)]
struct Zone {
    state: ZoneState,
    limiter: TaintLimiter,
    /// Waiting nodes, the longest waiting first; among equals by number.
    queue: BTreeSet<(SimTime, u32)>,
}

/// Zone states, limiters and queues: the memory of the controller that a new leader lacks.
#[derive(Clone, Debug)]
pub struct ZoneEvictor {
    rates: EvictionRates,
    zones: Vec<Zone>,
}

impl ZoneEvictor {
    /// A controller that just started.
    pub fn new(rates: EvictionRates, zone_count: usize) -> Self {
        let zone = Zone {
            state: ZoneState::Initial,
            limiter: TaintLimiter::full(rates.normal_milli),
            queue: BTreeSet::new(),
        };
        Self { rates, zones: vec![zone; zone_count] }
    }

    /// Forgets everything, as a new leader does.
    pub fn reset(&mut self) {
        *self = Self::new(self.rates, self.zones.len());
    }

    /// State of a zone after the last pass.
    pub fn state(&self, zone: usize) -> ZoneState {
        self.zones[zone].state
    }

    /// Rate of a zone's limiter, nodes per 1000 s.
    pub fn rate_milli(&self, zone: usize) -> u64 {
        self.zones[zone].limiter.rate_milli
    }

    /// Lets a node wait for its taint. The caller does so once per loss.
    pub fn enqueue(&mut self, zone: usize, node: u32, now: SimTime) {
        self.zones[zone].queue.insert((now, node));
    }

    /// Lets a node wait no longer.
    pub fn dequeue(&mut self, zone: usize, node: u32) {
        self.zones[zone].queue.retain(|(_, queued)| *queued != node);
    }

    /// The end of a monitor pass: new zone states and limiters (`handleDisruption`). A zone
    /// without nodes is not there.
    pub fn handle_disruption(&mut self, counts: &[ZoneCount], now: SimTime) -> DisruptionChange {
        debug_assert_eq!(counts.len(), self.zones.len());
        let judged = |zone: usize| counts[zone].size() > 0;
        let new_state = |zone: usize| zone_state(counts[zone], self.rates.unhealthy_ppm);
        let populated: Vec<usize> = (0..self.zones.len()).filter(|zone| judged(*zone)).collect();
        // A zone whose last node is gone is forgotten; its limiter is not.
        for zone in (0..self.zones.len()).filter(|zone| !judged(*zone)) {
            self.zones[zone].state = ZoneState::Initial;
        }
        let all_are = populated.iter().all(|zone| new_state(*zone) == ZoneState::FullDisruption);
        let all_were =
            populated.iter().all(|zone| self.zones[*zone].state == ZoneState::FullDisruption);
        if all_are && all_were {
            return DisruptionChange::None;
        }
        let states: Vec<ZoneState> = populated.iter().map(|zone| new_state(*zone)).collect();
        for (zone_idx, state) in populated.into_iter().zip(states) {
            let zone = &mut self.zones[zone_idx];
            if all_are {
                zone.limiter.swap(0, now);
            } else if all_were || zone.state != state {
                let rate = rate_milli(state, counts[zone_idx].size(), self.rates);
                zone.limiter.swap(rate, now);
            }
            zone.state = state;
        }
        match (all_are, all_were) {
            (true, _) => DisruptionChange::Entered,
            (_, true) => DisruptionChange::Left,
            _ => DisruptionChange::None,
        }
    }

    /// The next node that may be tainted now, if any (one step of the 100 ms tainting pass).
    pub fn take_due(&mut self, now: SimTime) -> Option<u32> {
        self.zones.iter_mut().find_map(|zone| {
            if zone.queue.is_empty() || !zone.limiter.try_take(now) {
                return None;
            }
            zone.queue.pop_first().map(|(_, node)| node)
        })
    }

    /// When a waiting node can be tainted at the earliest; `None` when none waits or may go.
    pub fn next_due(&self, now: SimTime) -> Option<SimTime> {
        let waiting = self.zones.iter().filter(|zone| !zone.queue.is_empty());
        waiting.filter_map(|zone| zone.limiter.next_token_at()).min().map(|at| at.max(now))
    }
}

/// The monitor's passes: when the first was and how far apart they are.
///
/// The pause of `--node-monitor-period` counts from the end of one pass to the start of the next,
/// so passes are that much further apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorPasses {
    /// The first pass of this leader.
    pub first_at: SimTime,
    /// From the start of one to the start of the next.
    pub period: SimSpan,
}

impl MonitorPasses {
    /// Simplified: every pass takes 10 ms, however many nodes there are, unless
    /// [`Self::taking`] says otherwise.
    pub const PASS_LENGTH: SimSpan = SimSpan::from_millis(10);

    /// Passes of a leader that starts at `first_at`.
    pub fn new(first_at: SimTime, pause: SimSpan) -> Self {
        Self { first_at, period: pause + Self::PASS_LENGTH }
    }

    /// The same passes, each of which takes that long.
    #[must_use]
    pub fn taking(self, length: SimSpan) -> Self {
        Self { period: self.period.saturating_sub(Self::PASS_LENGTH) + length, ..self }
    }

    /// The first pass at or after a moment: the one that sees what happened then.
    pub fn at_or_after(self, moment: SimTime) -> SimTime {
        match moment.checked_since(self.first_at) {
            None => self.first_at,
            Some(since) => {
                let count = since.as_nanos().div_ceil(self.period.as_nanos());
                self.first_at + self.period * count
            }
        }
    }

    /// The first pass that finds `now > probeTimestamp + grace` when the last sign of life was the
    /// renewal at `renewed_at`.
    pub fn expiry(self, renewed_at: SimTime, grace: SimSpan) -> SimTime {
        let probe_timestamp = self.at_or_after(renewed_at);
        let count = grace.as_nanos() / self.period.as_nanos() + 1;
        probe_timestamp + self.period * count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &[(u32, u32)]) -> Vec<ZoneCount> {
        let count = |(ready_count, not_ready_count): &(u32, u32)| ZoneCount {
            ready_count: *ready_count,
            not_ready_count: *not_ready_count,
        };
        text.iter().map(count).collect()
    }

    fn secs(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    fn evictor(zone_count: usize) -> ZoneEvictor {
        let mut evictor = ZoneEvictor::new(EvictionRates::of(&Parameters::default()), zone_count);
        evictor.handle_disruption(
            &vec![ZoneCount { ready_count: 5, not_ready_count: 0 }; zone_count],
            secs(0),
        );
        evictor
    }

    #[test]
    fn a_silent_node_is_found_by_the_tenth_pass_after_its_last_seen_renewal() {
        let passes = MonitorPasses::new(secs(3), SimSpan::from_secs(5));
        assert_eq!(passes.at_or_after(secs(0)), secs(3));
        assert_eq!(passes.at_or_after(secs(4)), SimTime::from_millis(8_010));
        let expiry = passes.expiry(secs(4), SimSpan::from_secs(50));
        assert_eq!(expiry, SimTime::from_millis(8_010 + 50_100));
    }

    #[test]
    fn passes_may_take_longer() {
        let passes = MonitorPasses::new(secs(3), SimSpan::from_secs(5));
        let slow = passes.taking(SimSpan::from_secs(2));
        assert_eq!((passes.at_or_after(secs(4)), slow.at_or_after(secs(4))), {
            (SimTime::from_millis(8_010), secs(10))
        });
    }

    /// 55 of 100 nodes make a zone partially disrupted, but never fewer than three.
    #[test]
    fn a_zone_is_as_its_counts_are() {
        let state = |ready_count, not_ready_count| {
            zone_state(ZoneCount { ready_count, not_ready_count }, 550_000)
        };
        assert_eq!([state(0, 0), state(7, 3), state(9, 10)], [ZoneState::Normal; 3]);
        assert_eq!([state(1, 2), state(5, 0)], [ZoneState::Normal; 2]);
        assert_eq!([state(9, 11), state(2, 3)], [ZoneState::PartialDisruption; 2]);
        assert_eq!([state(0, 1), state(0, 9)], [ZoneState::FullDisruption; 2]);
    }

    #[test]
    fn a_new_leader_knows_no_zone_and_no_queue() {
        let mut evictor = evictor(2);
        evictor.enqueue(0, 7, secs(50));
        evictor.reset();
        assert_eq!([evictor.state(0), evictor.state(1)], [ZoneState::Initial; 2]);
        assert_eq!(evictor.take_due(secs(51)), None);
    }

    #[test]
    fn a_zone_that_turns_partial_first_waits_ten_seconds_when_it_is_full() {
        let mut evictor = evictor(3);
        let partial = counts(&[(2, 3), (5, 0), (5, 0)]);
        assert_eq!(evictor.handle_disruption(&partial, secs(50)), DisruptionChange::None);
        assert_eq!(evictor.rate_milli(0), 0);
        evictor.enqueue(0, 7, secs(50));
        assert_eq!(evictor.take_due(secs(51)), None);
        evictor.handle_disruption(&counts(&[(0, 5), (5, 0), (5, 0)]), secs(55));
        assert_eq!(evictor.next_due(secs(55)), Some(secs(65)));
        assert_eq!(evictor.take_due(secs(65)), Some(7));
    }

    #[test]
    fn nothing_is_evicted_while_every_zone_is_lost() {
        let mut evictor = evictor(2);
        evictor.enqueue(0, 1, secs(50));
        let all_lost = counts(&[(0, 5), (0, 5)]);
        assert_eq!(evictor.handle_disruption(&all_lost, secs(50)), DisruptionChange::Entered);
        assert_eq!(evictor.handle_disruption(&all_lost, secs(55)), DisruptionChange::None);
        assert_eq!(evictor.next_due(secs(60)), None);
        let one_back = counts(&[(0, 5), (1, 4)]);
        assert_eq!(evictor.handle_disruption(&one_back, secs(70)), DisruptionChange::Left);
        assert_eq!(evictor.next_due(secs(70)), Some(secs(80)));
    }

    #[test]
    fn the_first_node_goes_at_once_then_one_every_ten_seconds() {
        let mut evictor = evictor(1);
        for node in [2, 1, 0] {
            evictor.enqueue(0, node, secs(50));
        }
        assert_eq!(evictor.take_due(secs(50)), Some(0));
        assert_eq!(evictor.take_due(secs(50)), None);
        assert_eq!(evictor.take_due(secs(60)), Some(1));
        evictor.dequeue(0, 2);
        assert_eq!(evictor.next_due(secs(60)), None);
    }
}
