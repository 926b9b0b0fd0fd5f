//! API Priority and Fairness: how many requests an API server lets through, and whose.
//!
//! # Modelled
//! The priority levels that every API server makes sure of and the components whose requests belong
//! to each: seats of a level, what it lends and borrows, how many seats a request takes, how
//! many requests may wait, and how long a crowd of requests takes.
//! # Not modelled
//! Schemas and levels that somebody adds. Which queues a flow is dealt, and the order among the queues of a level (virtual finish
//! times): a crowd here is one of equals. Smoothed demand: levels borrow as the crowd lasts, not as
//! the five minutes before it were. Seats that a write takes on afterwards for the watchers it wakes.
//! CPU and memory of an API server, which a few large lists can exhaust whatever their seats.
//! What a lasting flood does is in [`Reception`].
//! # Defaults and their sources
//! `apiserver/pkg/apis/flowcontrol/bootstrap/default.go` (schemas, shares, lendable percents, queues,
//! hands), `apiserver/pkg/util/flowcontrol/apf_controller.go` (limits, most seats of a request,
//! borrowing every 10 s), `conc_alloc.go` (who gets how much), `request/list_work_estimator.go` and
//! `request/config.go` (100 objects a seat, 10 seats at most),
//! `apiserver/pkg/server/config.go` (400 reads and
//! 200 writes in flight, of which the sum is shared out), 1.36.
//! # Invariants
//! Seats of all levels together exceed those of the server by no more than rounding up gives. A level
//! keeps what it does not lend.
//! # Checked against
//! The tests below, worked out by hand from the sources.

mod reception;

use model_api::fault::PriorityLevel;
use sim_kernel::SimSpan;

pub use reception::{
    Limits, Odds, REQUEST_TIMEOUT, Reception, Stream, all_fail, failures, receive,
};

/// Objects that one seat lists.
const OBJECTS_PER_SEAT: u64 = 100;
/// Most seats of one request.
const SEATS_MAX: u32 = 10;
/// Most of a level's seats that one request takes, in percent (`priorityLevelMaxSeatsPercent`).
const SEATS_SHARE_PERCENT: u32 = 15;
/// Requests that wait in one queue (`queueLengthLimit`).
const QUEUE_LENGTH: u32 = 50;

/// A limited priority level of every API server. The exempt one knows no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `system`: what kubelets ask for besides leases and the status of nodes.
    System,
    /// `node-high`: leases and status of nodes.
    NodeHigh,
    /// `leader-election`: leases of leaders.
    LeaderElection,
    /// `workload-high`: controller manager, scheduler, service accounts of `kube-system`.
    WorkloadHigh,
    /// `workload-low`: every other service account, operators among them.
    WorkloadLow,
    /// `global-default`: people.
    GlobalDefault,
    /// `catch-all`: whatever no schema knows.
    CatchAll,
}

/// How requests of a level wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queuing {
    /// Queues of the level.
    pub queues: u32,
    /// Queues that one flow may use.
    pub hand_size: u32,
}

/// Seats of a level of one API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seats {
    /// By its shares.
    pub nominal: u32,
    /// When it has lent all it lends.
    pub least: u32,
    /// When it has borrowed all it borrows.
    pub most: u32,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::NodeHigh,
        Self::LeaderElection,
        Self::WorkloadHigh,
        Self::WorkloadLow,
        Self::GlobalDefault,
        Self::CatchAll,
    ];

    /// The level of that name; `None` for the exempt one.
    pub const fn of(level: PriorityLevel) -> Option<Self> {
        Some(match level {
            PriorityLevel::Exempt => return None,
            PriorityLevel::System => Self::System,
            PriorityLevel::NodeHigh => Self::NodeHigh,
            PriorityLevel::LeaderElection => Self::LeaderElection,
            PriorityLevel::WorkloadHigh => Self::WorkloadHigh,
            PriorityLevel::WorkloadLow => Self::WorkloadLow,
            PriorityLevel::GlobalDefault => Self::GlobalDefault,
            PriorityLevel::CatchAll => Self::CatchAll,
        })
    }

    /// Its name.
    pub const fn named(self) -> PriorityLevel {
        match self {
            Self::System => PriorityLevel::System,
            Self::NodeHigh => PriorityLevel::NodeHigh,
            Self::LeaderElection => PriorityLevel::LeaderElection,
            Self::WorkloadHigh => PriorityLevel::WorkloadHigh,
            Self::WorkloadLow => PriorityLevel::WorkloadLow,
            Self::GlobalDefault => PriorityLevel::GlobalDefault,
            Self::CatchAll => PriorityLevel::CatchAll,
        }
    }

    /// `nominalConcurrencyShares` and `lendablePercent`.
    const fn shares(self) -> (u32, u32) {
        match self {
            Self::System => (30, 33),
            Self::NodeHigh => (40, 25),
            Self::LeaderElection => (10, 0),
            Self::WorkloadHigh => (40, 50),
            Self::WorkloadLow => (100, 90),
            Self::GlobalDefault => (20, 50),
            Self::CatchAll => (5, 0),
        }
    }

    /// How its requests wait; `None` where they are refused at once.
    pub const fn queuing(self) -> Option<Queuing> {
        let (queues, hand_size) = match self {
            Self::System | Self::NodeHigh => (64, 6),
            Self::LeaderElection => (16, 4),
            Self::WorkloadHigh | Self::WorkloadLow | Self::GlobalDefault => (128, 6),
            Self::CatchAll => return None,
        };
        Some(Queuing { queues, hand_size })
    }

    /// Its seats of a server with `server_seats` (`finishQueueSetReconfigsLocked`).
    pub fn seats(self, server_seats: u32) -> Seats {
        let sum: u32 = Self::ALL.iter().map(|level| level.shares().0).sum();
        let (shares, lendable_percent) = self.shares();
        let whole = |seats: u64| u32::try_from(seats).unwrap_or(u32::MAX);
        let product = |one: u32, other: u32| u64::from(one) * u64::from(other);
        let nominal = whole(product(server_seats, shares).div_ceil(u64::from(sum)));
        // Rounded to the nearest, halves up.
        let lendable = whole((product(nominal, lendable_percent) + 50) / 100);
        Seats { nominal, least: nominal - lendable, most: nominal.saturating_add(server_seats) }
    }

    /// Requests of the level that may wait in a server.
    pub fn waiting_max(self) -> u32 {
        self.queuing().map_or(0, |queuing| queuing.queues * QUEUE_LENGTH)
    }

    /// Seats that a list of so many objects takes.
    pub fn seats_of_list(self, objects: u64, server_seats: u32) -> u32 {
        let nominal = self.seats(server_seats).nominal;
        let share = nominal.saturating_mul(SEATS_SHARE_PERCENT).div_ceil(100);
        let hand_size = self.queuing().map_or(1, |queuing| queuing.hand_size);
        let most = share.min(nominal / hand_size).clamp(1, SEATS_MAX);
        let wanted = objects.div_ceil(OBJECTS_PER_SEAT).max(1);
        u32::try_from(wanted).unwrap_or(u32::MAX).min(most)
    }
}

/// Seats of every level, in the order of [`Level::ALL`], while each wants `wanted` of them
/// (`updateBorrowingLocked`): nobody gets less than it keeps and, if it wants them, its nominal ones;
/// what is left is shared out in proportion to what is wanted.
pub fn borrow(server_seats: u32, wanted: &[u32; Level::ALL.len()]) -> [u32; Level::ALL.len()] {
    borrow_beside(server_seats, wanted, 0)
}

/// The same while requests of the exempt level take so many seats: it takes them first. When the rest
/// is not enough for what the others need, each keeps what it does not lend, and what is left beyond
/// that is shared out in proportion.
pub fn borrow_beside(
    server_seats: u32,
    wanted: &[u32; Level::ALL.len()],
    exempt: u32,
) -> [u32; Level::ALL.len()] {
    let seats = Level::ALL.map(|level| level.seats(server_seats));
    let sum_of = |it: &[u32]| it.iter().fold(0_u32, |sum, one| sum.saturating_add(*one));
    let required = sum_of(&seats.map(|it| it.nominal));
    let required = required.saturating_sub(exempt);
    let floor = |idx: usize| seats[idx].nominal.min(wanted[idx]).max(seats[idx].least);
    let floors: [u32; Level::ALL.len()] = std::array::from_fn(floor);
    let least_sum = sum_of(&seats.map(|it| it.least));
    let floor_sum = sum_of(&floors);
    if required <= least_sum {
        return seats.map(|it| it.least);
    }
    if required <= floor_sum && exempt > 0 {
        let (beyond, needed) = (required - least_sum, floor_sum - least_sum);
        return std::array::from_fn(|idx| {
            let least = seats[idx].least;
            let part = u64::from(floors[idx] - least) * u64::from(beyond) / u64::from(needed);
            least + u32::try_from(part).expect("no more than what it is a part of")
        });
    }
    let target = |idx: usize| f64::from(wanted[idx].max(floors[idx]).max(1));
    let at = |part: f64, idx: usize| {
        (part * target(idx)).clamp(f64::from(floors[idx]), f64::from(seats[idx].most))
    };
    // The sum grows with the part, piece by piece: the pieces end where a level meets a bound.
    let mut ends: Vec<f64> = (0..Level::ALL.len())
        .flat_map(|idx| [floors[idx], seats[idx].most].map(|bound| f64::from(bound) / target(idx)))
        .collect();
    ends.sort_by(f64::total_cmp);
    let sum = |part: f64| (0..Level::ALL.len()).map(|idx| at(part, idx)).sum::<f64>();
    let wanted_sum = f64::from(required);
    let above = ends.iter().position(|end| sum(*end) >= wanted_sum);
    let part = match above {
        // Everybody has all it may have, or no more than its floor.
        None => ends.last().copied().unwrap_or(0.0),
        Some(0) => ends[0],
        Some(idx) => {
            let (from, to) = (ends[idx - 1], ends[idx]);
            let (low, high) = (sum(from), sum(to));
            if high > low { from + (to - from) * (wanted_sum - low) / (high - low) } else { to }
        }
    };
    // Rounded at once, as upstream rounds.
    std::array::from_fn(|idx| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small, not below 0"
        )]
        let seats = at(part, idx).round() as u32;
        seats
    })
}

/// Many requests that come to a level of several API servers at once, all alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// Their level.
    pub level: Level,
    /// How many.
    pub requests: u64,
    /// Objects that each lists.
    pub objects: u64,
    /// How long each takes once it has its seats.
    pub takes: SimSpan,
}

/// What becomes of a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispersal {
    /// From the first request to the last answer.
    pub span: SimSpan,
    /// Requests that are refused at first (429), because no queue has room for them.
    pub refused: u64,
}

/// How long a crowd that lists takes while nobody else wants much: its level borrows all that others
/// lend. Who is refused tries again and keeps the seats busy, so that refusals make it no longer.
/// Without priority and fairness each list counts as one, and none waits in a queue.
pub fn disperse(crowd: Crowd, servers: u32, limits: Limits) -> Dispersal {
    let of_server = crowd.requests.div_ceil(u64::from(servers.max(1)));
    let dispersal = |at_once: u64, waiting: u64| {
        let refused = of_server.saturating_sub(at_once.saturating_add(waiting));
        let span = crowd.takes.saturating_mul(of_server.div_ceil(at_once));
        Dispersal { span, refused: refused * u64::from(servers.max(1)) }
    };
    if !limits.is_fair {
        let limit = if limits.reads > 0 { u64::from(limits.reads) } else { u64::MAX };
        return dispersal(limit, 0);
    }
    let server_seats = limits.seats();
    let each = crowd.level.seats_of_list(crowd.objects, server_seats);
    let wanted_each = u32::try_from(of_server * u64::from(each)).unwrap_or(u32::MAX);
    let wanted = Level::ALL.map(|level| if level == crowd.level { wanted_each } else { 0 });
    let seats = borrow(server_seats, &wanted);
    let position = Level::ALL.iter().position(|level| *level == crowd.level);
    let seats = seats[position.expect("it is one of all")];
    dispersal(u64::from((seats / each).max(1)), u64::from(crowd.level.waiting_max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { reads: 400, writes: 200, is_fair: true };
    const SERVER_SEATS: u32 = LIMITS.seats();

    /// What `kubectl get --raw /debug/api_priority_and_fairness/dump_priority_levels` shows of an API
    /// server with its defaults, worked out from the shares.
    #[test]
    fn shares_become_seats() {
        let seats = Level::ALL.map(|level| level.seats(SERVER_SEATS));
        let nominal = seats.map(|it| it.nominal);
        assert_eq!(nominal, [74, 98, 25, 98, 245, 49, 13]);
        assert_eq!(seats.map(|it| it.least), [50, 73, 25, 49, 24, 24, 13]);
        assert_eq!(nominal.iter().sum::<u32>(), 602, "rounding up gives two more");
    }

    #[test]
    fn a_list_takes_a_seat_for_each_hundred_objects() {
        let seats = |level: Level, objects| level.seats_of_list(objects, SERVER_SEATS);
        assert_eq!(
            [0, 1, 100, 101, 950, 5000].map(|it| seats(Level::WorkloadHigh, it)),
            [1, 1, 1, 2, 10, 10]
        );
        // 15 % of 49 seats are 8, and so is a sixth of them.
        assert_eq!(seats(Level::GlobalDefault, 5000), 8);
        assert_eq!(seats(Level::LeaderElection, 5000), 4);
    }

    #[test]
    fn an_idle_server_lends_all_it_may_and_a_busy_one_nothing() {
        let idle = borrow(SERVER_SEATS, &[0, 0, 0, 10_000, 0, 0, 0]);
        // 602 less what the six others keep: 50 + 73 + 25 + 24 + 24 + 13.
        assert_eq!(idle[3], 393);
        let busy = borrow(SERVER_SEATS, &[10_000; 7]);
        let nominal = Level::ALL.map(|level| level.seats(SERVER_SEATS).nominal);
        assert_eq!(busy, nominal);
    }

    proptest::proptest! {
        #[test]
        fn seats_are_neither_lost_nor_invented(wanted: [u16; 7]) {
            let wanted = wanted.map(u32::from);
            let got = borrow(SERVER_SEATS, &wanted);
            let sum: u32 = got.iter().sum();
            proptest::prop_assert!((598..=606).contains(&sum), "{got:?}");
            for (idx, level) in Level::ALL.into_iter().enumerate() {
                let seats = level.seats(SERVER_SEATS);
                proptest::prop_assert!(got[idx] >= seats.least && got[idx] <= seats.most);
                proptest::prop_assert!(got[idx] >= wanted[idx].min(seats.nominal));
            }
        }
    }

    #[test]
    fn crowds_disperse_at_the_rate_of_their_seats() {
        let takes = SimSpan::from_millis(100);
        let crowd = Crowd { level: Level::System, requests: 5000, objects: 30, takes };
        // 602 - 73 - 25 - 49 - 24 - 24 - 13 = 394 at once in each of three servers.
        let dispersal = disperse(crowd, 3, LIMITS);
        assert_eq!(dispersal, Dispersal { span: takes * 5, refused: 0 });
        // One server has room for 394 and 64 queues of 50.
        assert_eq!(disperse(crowd, 1, LIMITS).refused, 5000 - 394 - 3200);
        let few = Crowd { requests: 9, ..crowd };
        assert_eq!(disperse(few, 3, LIMITS).span, takes);
    }

    #[test]
    fn crowds_disperse_by_the_limits_of_the_server() {
        let takes = SimSpan::from_millis(100);
        let crowd = Crowd { level: Level::System, requests: 4000, objects: 30, takes };
        // Some 2630 at once, of which 600 seats would have given 394.
        let large = Limits { reads: 3000, writes: 1000, is_fair: true };
        assert_eq!(disperse(crowd, 1, large).span, takes * 2);
        let unfair = Limits { is_fair: false, ..LIMITS };
        let expected = Dispersal { span: takes * 10, refused: 3600 };
        assert_eq!(disperse(crowd, 1, unfair), expected, "400 reads at once, and no queue");
        let unlimited = Limits { reads: 0, ..unfair };
        assert_eq!(disperse(crowd, 1, unlimited), Dispersal { span: takes, refused: 0 });
    }

    #[test]
    fn no_limit_is_too_large_to_be_shared_out() {
        for limit in [0, 1, 50_000_000, u32::MAX] {
            let limits = Limits { reads: limit, writes: limit, is_fair: true };
            for exempt in [0, 1, u32::MAX] {
                let seats = borrow_beside(limits.seats(), &[u32::MAX; 7], exempt);
                let least = Level::ALL.map(|level| level.seats(limits.seats()).least);
                assert!(seats.iter().zip(least).all(|(seats, least)| *seats >= least), "{limit}");
            }
        }
    }
}
