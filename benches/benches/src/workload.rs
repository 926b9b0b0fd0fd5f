//! What is measured: the same work for every kernel, down to each random number.

use rand_distr::{Distribution, Exp1};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

const NANOS_PER_SEC: f64 = 1e9;

/// A standard workload of the literature on event lists. Every one ends at a fixed
/// virtual time, [`Workload::horizon_ns`], after about `event_count` events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// The hold model: so many events pending; each, when it fires, schedules another
    /// after an exponential delay with mean 1 s.
    Hold {
        /// Events pending at any time.
        pending_count: u64,
        /// Events in the whole run, on average.
        event_count: u64,
    },
    /// PHOLD: 1,024 processes with one event each; after an exponential delay with mean
    /// 1 s it moves on, in one of four cases to one of 8 fixed neighbours.
    Phold {
        /// Events in the whole run, on average.
        event_count: u64,
    },
    /// One queue, one server: arrivals every 1 s on average, service 0.9 s on average.
    /// Two events for each customer.
    Mm1 {
        /// Events in the whole run, on average.
        event_count: u64,
    },
    /// 10,000 periodic timers of 10 s. Each tick arms a timeout of 15 s and, in nine of
    /// ten cases, cancels the one before. Ticks and timeouts that fire count as events.
    Timers {
        /// Ticks in the whole run.
        event_count: u64,
    },
}

impl Workload {
    /// Processes of [`Workload::Phold`].
    pub const PHOLD_PROCESS_COUNT: u32 = 1_024;
    /// Mean time between arrivals of [`Workload::Mm1`].
    pub const MM1_ARRIVAL_NS: u64 = 1_000_000_000;
    /// Mean service time of [`Workload::Mm1`].
    pub const MM1_SERVICE_NS: u64 = 900_000_000;
    /// Periodic timers of [`Workload::Timers`].
    pub const TIMER_COUNT: u32 = 10_000;
    /// Their period.
    pub const TIMER_PERIOD_NS: u64 = 10_000_000_000;
    /// The timeout that each tick arms.
    pub const TIMEOUT_NS: u64 = 15_000_000_000;

    /// The six columns of every table, at full length.
    pub const COLUMNS: [(&'static str, Workload); 6] = [
        ("hold 1e2", Workload::Hold { pending_count: 100, event_count: 4_000_000 }),
        ("hold 1e4", Workload::Hold { pending_count: 10_000, event_count: 4_000_000 }),
        ("hold 1e6", Workload::Hold { pending_count: 1_000_000, event_count: 4_000_000 }),
        ("PHOLD 1024", Workload::Phold { event_count: 2_000_000 }),
        ("M/M/1 1e6", Workload::Mm1 { event_count: 2_000_000 }),
        ("timers 10k", Workload::Timers { event_count: 2_000_000 }),
    ];

    /// When the workload ends, in virtual nanoseconds.
    pub fn horizon_ns(self) -> u64 {
        let events_per_sec = match self {
            Workload::Hold { pending_count, .. } => pending_count,
            Workload::Phold { .. } => u64::from(Self::PHOLD_PROCESS_COUNT),
            Workload::Mm1 { .. } => 2,
            Workload::Timers { .. } => u64::from(Self::TIMER_COUNT) / 10,
        };
        self.event_count() * 1_000_000_000 / events_per_sec
    }

    /// About how many events there will be.
    pub fn event_count(self) -> u64 {
        match self {
            Workload::Hold { event_count, .. }
            | Workload::Phold { event_count }
            | Workload::Mm1 { event_count }
            | Workload::Timers { event_count } => event_count,
        }
    }

    /// The same workload with a fraction of the events.
    #[must_use]
    pub fn divided_by(mut self, divisor: u64) -> Self {
        match &mut self {
            Workload::Hold { event_count, .. }
            | Workload::Phold { event_count }
            | Workload::Mm1 { event_count }
            | Workload::Timers { event_count } => *event_count /= divisor,
        }
        self
    }

    /// The neighbour number `choice` (0 to 7) of a process of PHOLD.
    pub fn phold_neighbour(process: u32, choice: u32) -> u32 {
        // Powers of three modulo 1,024: near and far ones.
        const OFFSETS: [u32; 8] = [1, 3, 9, 27, 81, 243, 729, 139];
        (process + OFFSETS[choice as usize]) % Self::PHOLD_PROCESS_COUNT
    }
}

/// What a run did: equal for every kernel that did the same work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Events handled.
    pub event_count: u64,
    /// Something that depends on every event: a sum over the model's state.
    pub check: u64,
}

/// A workload that is set up: what remains is the loop to be measured.
pub type Prepared = Box<dyn FnOnce() -> Work>;

/// The randomness of all workloads, cheap so that kernels dominate: xoshiro256++ and the
/// ziggurat.
#[derive(Clone, Debug)]
pub struct Luck(Xoshiro256PlusPlus);

impl Luck {
    /// The luck of one process or of a whole model.
    pub fn new(seed: u64) -> Self {
        Luck(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// 64 random bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// An exponential delay in nanoseconds.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive delay of seconds fits"
    )]
    pub fn delay_ns(&mut self, mean_ns: u64) -> u64 {
        let unit: f64 = Exp1.sample(&mut self.0);
        (unit * mean_ns as f64) as u64
    }

    /// An exponential delay with mean 1 s.
    #[inline]
    pub fn delay_ns_of_1s(&mut self) -> u64 {
        self.delay_ns(NANOS_PER_SEC as u64)
    }
}
