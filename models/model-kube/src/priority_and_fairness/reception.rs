//! How requests fare at API servers that others flood.
//!
//! # Modelled
//! Streams of requests of any level, the exempt one included: the seats that each wants, what levels
//! lend and borrow of each other, the queues that a stream of so many flows is dealt, how full these
//! are, how long a request waits in one and when it is refused (429), in the mean and without single
//! requests. A flow that has a queue of its own waits for one turn of the busy queues. Without
//! priority and fairness: the two limits of requests in flight. Writes that take longer to store.
//! # Not modelled
//! The first seconds, in which queues fill and levels borrow (every 10 s): both are taken to be done.
//! Chance below the limit: what is offered less seats than there are waits for nothing. Requests of
//! the platform itself, few beside a flood. CPU, memory and network of an API server, which a flood
//! costs whatever its level, and which the exempt level does not limit.
//! # Defaults and their sources
//! `apiserver/pkg/server/filters/priority-and-fairness.go` (a request waits for a quarter of its
//! time-out, a minute at most), `filters/maxinflight.go` (no queue; the privileged group always gets
//! through), `apiserver/pkg/util/flowcontrol/fairqueuing/queueset/queueset.go` (the shortest queue of
//! a hand; queues take turns), `apf_controller.go` (`updateBorrowingLocked`), 1.36.
//! # Invariants
//! What is let through never exceeds the seats. A flood of a level that lends nothing away takes no
//! seat from the nominal ones of another level.
//! # Checked against
//! The tests below, worked out by hand from the sources.

use model_api::Parameters;
use sim_kernel::SimSpan;

use super::{Level, QUEUE_LENGTH, SEATS_MAX, borrow_beside};

/// Longest that a request waits in a queue, whatever its time-out (`getRequestWaitContext`).
const WAIT_MAX: SimSpan = SimSpan::from_mins(1);
/// `--request-timeout`: that of requests whose client states none.
pub const REQUEST_TIMEOUT: SimSpan = SimSpan::from_secs(60);
const MILLION: u32 = 1_000_000;

/// What an API server lets through at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `--max-requests-inflight`.
    pub reads: u32,
    /// `--max-mutating-requests-inflight`.
    pub writes: u32,
    /// With priority and fairness the sum of both is shared out among levels. Without, each limits its
    /// kind of requests, and 0 is no limit (`WithMaxInFlightLimit`).
    pub is_fair: bool,
}

impl Limits {
    /// Those that a platform states.
    pub fn of(parameters: &Parameters) -> Self {
        Self {
            reads: parameters.max_requests_inflight,
            writes: parameters.max_mutating_requests_inflight,
            is_fair: parameters.priority_and_fairness,
        }
    }

    /// Seats of a server, where they are shared out.
    pub const fn seats(&self) -> u32 {
        self.reads.saturating_add(self.writes)
    }
}

/// Requests, all alike, that keep coming to all servers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Their level; `None` for the exempt one.
    pub level: Option<Level>,
    /// How many, per 1000 s.
    pub millirps: u64,
    /// Objects that each lists.
    pub objects: u64,
    /// How long each takes once it has its seats.
    pub takes: SimSpan,
    /// Flows that they come in.
    pub flows: u32,
    /// They write.
    pub is_mutating: bool,
}

/// How requests of a level fare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// Flows that share every queue of their hand with a flood, in parts per million of all flows.
    pub crowded_ppm: u32,
    /// How many requests of such a flow are refused, in parts per million.
    pub refused_ppm: u32,
    /// How long the others of such a flow wait.
    pub wait: SimSpan,
    /// Whether refused ones are told at once, or after they have waited.
    pub is_refused_at_once: bool,
    /// How long requests of all other flows wait: one turn.
    pub turn: SimSpan,
    /// How much longer a write takes once it is let through.
    pub latency: SimSpan,
}

/// How tries of one request fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Odds {
    /// How many fail, in parts per million.
    pub failed_ppm: u32,
    /// How long one takes that does not, besides what it takes anyway.
    pub wait: SimSpan,
    /// How long one takes that fails.
    pub failed_after: SimSpan,
}

impl Odds {
    /// Nothing stands in the way.
    pub const FREE: Self = Self { failed_ppm: 0, wait: SimSpan::ZERO, failed_after: SimSpan::ZERO };

    /// How tries fare that something else may let fail, too.
    pub fn and(self, other: Self) -> Self {
        let passed = u64::from(MILLION - self.failed_ppm.min(MILLION))
            * u64::from(MILLION - other.failed_ppm.min(MILLION))
            / u64::from(MILLION);
        Self {
            failed_ppm: MILLION - u32::try_from(passed).expect("a share of a million"),
            wait: self.wait + other.wait,
            failed_after: self.failed_after.max(other.failed_after),
        }
    }

    /// Whether no try ever succeeds.
    pub const fn is_hopeless(&self) -> bool {
        self.failed_ppm >= MILLION
    }
}

impl Reception {
    /// How tries of a flow fare whose client gives each so much time.
    pub fn odds(&self, is_crowded: bool, timeout: SimSpan) -> Odds {
        let patience = (timeout / 4).min(WAIT_MAX);
        let (wait, refused_ppm) =
            if is_crowded { (self.wait, self.refused_ppm) } else { (self.turn, 0) };
        let is_told_late = refused_ppm > 0 && !self.is_refused_at_once;
        let refused_after = if is_told_late { patience } else { SimSpan::ZERO };
        if wait > patience {
            return Odds { failed_ppm: MILLION, wait, failed_after: patience };
        }
        let wait = wait + self.latency;
        if wait >= timeout {
            return Odds { failed_ppm: MILLION, wait, failed_after: timeout };
        }
        Odds { failed_ppm: refused_ppm, wait, failed_after: refused_after }
    }
}

/// What streams of one level want of one server.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// Requests a second.
    rate: f64,
    /// Seats, if all had them at once.
    seats: f64,
    flows: u32,
}

impl Demand {
    fn add(&mut self, stream: &Stream, servers: u32, server_seats: u32, latency: SimSpan) {
        let each = stream.level.map_or_else(
            || u32::try_from(stream.objects.div_ceil(100)).unwrap_or(u32::MAX).clamp(1, SEATS_MAX),
            |level| level.seats_of_list(stream.objects, server_seats),
        );
        let takes = stream.takes + if stream.is_mutating { latency } else { SimSpan::ZERO };
        let rate = stream.millirps as f64 / 1000.0 / f64::from(servers.max(1));
        self.rate += rate;
        self.seats += rate * f64::from(each) * takes.as_secs_f64();
        self.flows = self.flows.saturating_add(stream.flows);
    }

    /// Seats in whole ones, those of requests that wait included.
    fn wanted(&self, waiting: f64) -> u32 {
        let seats = self.seats.max(0.0).ceil() + waiting;
        if seats >= f64::from(u32::MAX) { u32::MAX } else { whole(seats) }
    }

    /// Seats of one request, in the mean, times seconds.
    fn work(&self) -> f64 {
        if self.rate > 0.0 { self.seats / self.rate } else { 0.0 }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked by callers")]
fn whole(number: f64) -> u32 {
    number as u32
}

fn ppm(part: f64) -> u32 {
    whole((part.clamp(0.0, 1.0) * f64::from(MILLION)).round())
}

/// How requests fare that write, by level in the order of [`Level::ALL`], while streams come to so
/// many servers and each write takes so much longer.
pub fn receive(
    streams: &[Stream],
    servers: u32,
    limits: Limits,
    latency: SimSpan,
) -> [Reception; Level::ALL.len()] {
    if limits.is_fair {
        return receive_fairly(streams, servers, limits.seats(), latency);
    }
    let mut writes = Demand::default();
    for stream in streams.iter().filter(|it| it.is_mutating) {
        // Each counts as one, whatever it lists.
        writes.add(&Stream { objects: 0, ..*stream }, servers, limits.seats(), latency);
    }
    let limit = f64::from(limits.writes);
    let is_beyond = limits.writes > 0 && writes.seats > limit;
    let refused_ppm = if is_beyond { ppm(1.0 - limit / writes.seats) } else { 0 };
    let reception = Reception {
        crowded_ppm: if refused_ppm > 0 { MILLION } else { 0 },
        refused_ppm,
        is_refused_at_once: true,
        latency,
        ..Reception::default()
    };
    [reception; Level::ALL.len()]
}

fn receive_fairly(
    streams: &[Stream],
    servers: u32,
    server_seats: u32,
    latency: SimSpan,
) -> [Reception; Level::ALL.len()] {
    let mut exempt = Demand::default();
    let mut demands = [Demand::default(); Level::ALL.len()];
    for stream in streams {
        let position = Level::ALL.iter().position(|level| Some(*level) == stream.level);
        position.map_or(&mut exempt, |position| &mut demands[position]).add(
            stream,
            servers,
            server_seats,
            latency,
        );
    }
    let wanted: [u32; Level::ALL.len()] = std::array::from_fn(|idx| {
        let (level, demand) = (Level::ALL[idx], demands[idx]);
        let is_over = demand.seats > f64::from(level.seats(server_seats).nominal);
        let waiting = queues_taken(level, demand.flows) * f64::from(QUEUE_LENGTH);
        demand.wanted(if is_over { waiting } else { 0.0 })
    });
    let seats = borrow_beside(server_seats, &wanted, exempt.wanted(0.0));
    std::array::from_fn(|idx| {
        let free = Reception { latency, ..Reception::default() };
        let (level, demand) = (Level::ALL[idx], demands[idx]);
        let seats = f64::from(seats[idx]);
        if demand.seats <= seats { free } else { crowded(level, &demand, seats, free) }
    })
}

/// How requests of a level fare that is offered more than its seats.
fn crowded(level: Level, demand: &Demand, seats: f64, free: Reception) -> Reception {
    let refused_ppm = ppm(1.0 - seats / demand.seats);
    let Some(queuing) = level.queuing() else {
        let crowded_ppm = MILLION;
        return Reception { crowded_ppm, refused_ppm, is_refused_at_once: true, ..free };
    };
    let taken = queues_taken(level, demand.flows);
    // A hand lies within the queues that are taken.
    let within = |nth: u32| (taken - f64::from(nth)) / f64::from(queuing.queues - nth);
    let crowded: f64 = (0..queuing.hand_size).map(|nth| within(nth).max(0.0)).product();
    let served_a_second = seats / demand.work();
    let turn = SimSpan::from_secs_f64_rounded(taken / served_a_second);
    let full = turn.saturating_mul(u64::from(QUEUE_LENGTH));
    let patience = REQUEST_TIMEOUT / 4;
    Reception {
        crowded_ppm: ppm(crowded),
        refused_ppm,
        // Those of the flood wait no longer, and a queue holds no more than it serves meanwhile.
        wait: full.min(patience),
        is_refused_at_once: full <= patience,
        turn,
        ..free
    }
}

/// Queues of a level that so many flows are dealt, in the mean.
fn queues_taken(level: Level, flows: u32) -> f64 {
    let Some(queuing) = level.queuing() else { return 0.0 };
    let (queues, hand) = (f64::from(queuing.queues), f64::from(queuing.hand_size));
    queues * (1.0 - power(1.0 - hand / queues, flows))
}

/// A number times itself; the same on every machine.
fn power(base: f64, mut exponent: u32) -> f64 {
    let (mut square, mut product) = (base, 1.0);
    while exponent > 0 {
        if exponent & 1 == 1 {
            product *= square;
        }
        square *= square;
        exponent >>= 1;
    }
    product
}

/// Failures before the first success, of which each has such a chance to fail; `unit` is uniform in
/// `[0, 1)`. At most so many are counted.
pub fn failures(failed_ppm: u32, unit: f64, most: u32) -> u32 {
    // The first number of failures that fewer than `unit` exceed: halved, as the chance only falls.
    let (mut least, mut beyond) = (0, most);
    while least < beyond {
        let middle = least + (beyond - least) / 2;
        if unit < all_fail(failed_ppm, middle.saturating_add(1)) {
            least = middle + 1;
        } else {
            beyond = middle;
        }
    }
    least
}

/// How likely so many tries in a row fail.
pub fn all_fail(failed_ppm: u32, tries: u32) -> f64 {
    power(f64::from(failed_ppm) / f64::from(MILLION), tries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { reads: 400, writes: 200, is_fair: true };
    const TIMEOUT: SimSpan = REQUEST_TIMEOUT;

    fn flood(level: Option<Level>, rate: u64, millis: u64, flows: u32) -> Stream {
        let takes = SimSpan::from_millis(millis);
        let millirps = rate * 1000;
        Stream { level, millirps, objects: 0, takes, flows, is_mutating: true }
    }

    fn of(streams: &[Stream], level: Level, limits: Limits) -> Reception {
        let all = receive(streams, 1, limits, SimSpan::ZERO);
        all[Level::ALL.iter().position(|it| *it == level).expect("one of all")]
    }

    #[test]
    fn a_flood_of_the_catch_all_level_hurts_itself_only() {
        // 2000 a second of half a second each want 1000 seats.
        let streams = [flood(Some(Level::CatchAll), 2000, 500, 1)];
        for level in Level::ALL.into_iter().filter(|level| *level != Level::CatchAll) {
            assert_eq!(of(&streams, level, LIMITS), Reception::default(), "{level:?}");
        }
        let own = of(&streams, Level::CatchAll, LIMITS);
        // 602 less what the six others keep: 50 + 73 + 25 + 49 + 24 + 24.
        assert_eq!((own.refused_ppm, own.is_refused_at_once), (1_000_000 - 357_000, true));
    }

    #[test]
    fn one_flow_takes_a_hand_of_queues_and_others_wait_for_a_turn() {
        let streams = [flood(Some(Level::WorkloadHigh), 2000, 500, 1)];
        let own = of(&streams, Level::WorkloadHigh, LIMITS);
        assert_eq!(own.crowded_ppm, 0, "six queues of 128 hold hardly another hand");
        // 393 seats serve 786 a second, six of them a turn.
        assert_eq!(own.turn.as_millis(), 7);
        assert_eq!(own.odds(false, TIMEOUT).failed_ppm, 0);
        assert_eq!(of(&streams, Level::System, LIMITS), Reception::default());
    }

    #[test]
    fn many_flows_take_all_queues() {
        let streams = [flood(Some(Level::WorkloadHigh), 2000, 500, 2000)];
        let own = of(&streams, Level::WorkloadHigh, LIMITS);
        assert_eq!((own.crowded_ppm, own.refused_ppm), (1_000_000, 607_000));
        // 128 queues of 50 at 786 a second.
        assert_eq!(own.wait.as_millis(), 8142);
        let odds = own.odds(true, TIMEOUT);
        assert_eq!((odds.failed_ppm, odds.failed_after), (607_000, SimSpan::ZERO));
        // A client that gives up sooner waits a quarter of that.
        let lease = own.odds(true, SimSpan::from_secs(10));
        assert!(lease.is_hopeless());
        assert_eq!(lease.failed_after, SimSpan::from_millis(2500));
    }

    #[test]
    fn a_queue_that_drains_slowly_holds_no_more_than_may_wait() {
        let streams = [flood(Some(Level::LeaderElection), 500, 2000, 500)];
        let own = of(&streams, Level::LeaderElection, LIMITS);
        // 369 seats serve 184.5 a second of 16 queues of 50.
        assert_eq!(own.wait.as_millis(), 16 * 50 * 10_000 / 1845);
        let slow = [flood(Some(Level::LeaderElection), 500, 20_000, 500)];
        let own = of(&slow, Level::LeaderElection, LIMITS);
        assert_eq!((own.wait, own.is_refused_at_once), (TIMEOUT / 4, false));
    }

    #[test]
    fn the_exempt_level_takes_what_others_lend_and_no_more() {
        let exempt = flood(None, 100_000, 500, 1);
        for level in Level::ALL {
            assert_eq!(of(&[exempt], level, LIMITS), Reception::default(), "{level:?}");
        }
        let own = flood(Some(Level::WorkloadHigh), 150, 500, 2000);
        assert_eq!(of(&[own], Level::WorkloadHigh, LIMITS), Reception::default());
        // 75 seats of the 98 that it has, of which it keeps 49.
        let both = of(&[own, exempt], Level::WorkloadHigh, LIMITS);
        assert_eq!(both.refused_ppm, ppm(1.0 - 49.0 / 75.0));
    }

    #[test]
    fn without_priorities_everybody_is_refused_alike() {
        let limits = Limits { is_fair: false, ..LIMITS };
        let streams = [flood(Some(Level::CatchAll), 2000, 500, 1)];
        let lease = of(&streams, Level::NodeHigh, limits);
        assert_eq!((lease.crowded_ppm, lease.refused_ppm), (1_000_000, 800_000));
        let reads = [Stream { is_mutating: false, ..streams[0] }];
        assert_eq!(of(&reads, Level::NodeHigh, limits).refused_ppm, 0, "they have a limit apart");
        let unlimited = Limits { writes: 0, ..limits };
        assert_eq!(of(&streams, Level::NodeHigh, unlimited).refused_ppm, 0, "0 is no limit");
    }

    #[test]
    fn lists_take_seats_by_what_a_server_has() {
        // 5000 objects want 50 seats. Of 600 an API server lets a list of people have 8, of 6000 ten.
        let list = |seats| Stream {
            objects: 5000,
            is_mutating: false,
            ..flood(Some(Level::GlobalDefault), seats, 1000, 1000)
        };
        let refused =
            |limits: Limits, rate| of(&[list(rate)], Level::GlobalDefault, limits).refused_ppm;
        let large = Limits { reads: 4000, writes: 2000, is_fair: true };
        let seats =
            |limits: Limits| borrow_beside(limits.seats(), &[0, 0, 0, 0, 0, 1 << 20, 0], 0)[5];
        for (limits, each) in [(LIMITS, 8), (large, 10)] {
            let rate = u64::from(seats(limits));
            let expected = ppm(1.0 - 1.0 / f64::from(each));
            assert_eq!(refused(limits, rate), expected, "{limits:?}");
        }
    }

    proptest::proptest! {
        /// Against a count one by one.
        #[test]
        fn failures_are_counted_as_one_after_another(
            failed_ppm in 0..=MILLION, unit in 1e-9..1.0_f64, most in 0..20_000_u32,
        ) {
            let failed = f64::from(failed_ppm) / f64::from(MILLION);
            let (mut left, mut count) = (failed, 0);
            while count < most && unit < left {
                left *= failed;
                count += 1;
            }
            proptest::prop_assert_eq!(failures(failed_ppm, unit, most), count);
        }
    }

    #[test]
    fn a_write_that_takes_longer_than_its_client_waits_fails() {
        let slow = receive(&[], 3, LIMITS, SimSpan::from_secs(6))[0];
        let leader = slow.odds(false, SimSpan::from_secs(5));
        assert!(leader.is_hopeless() && leader.failed_after == SimSpan::from_secs(5));
        let lease = slow.odds(false, SimSpan::from_secs(10));
        assert_eq!((lease.failed_ppm, lease.wait), (0, SimSpan::from_secs(6)));
    }

    #[test]
    fn failures_are_as_many_as_the_chance_says() {
        let counts = [0.0, 0.49, 0.51, 0.26, 0.1].map(|unit| failures(500_000, unit, 100));
        assert_eq!(counts, [100, 1, 0, 1, 3]);
        assert_eq!(failures(0, 0.0, 100), 0);
        assert_eq!(failures(MILLION, 0.999, 7), 7);
        assert!((all_fail(500_000, 3) - 0.125).abs() < 1e-12);
    }
}
