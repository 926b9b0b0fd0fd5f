//! M/M/c with room for a limited number of waiting requests: exact in the long run, and the way there.
//!
//! The way there is the pointwise stationary fluid flow approximation: the number inside changes by
//! what comes and what leaves, and all else is as in the long run of the queue that has this number
//! inside in the mean (Wang, Tipper, Banerjee 1996). Its end is exact, whatever the load.
//!
//! Where each pod has its own line there are several alike. Those to which requests are sent by chance know
//! nothing of each other: a Poisson flow that is divided so is several. What is sent [in turn](in_turn) comes
//! more evenly to each, and where it is sent to [whoever has fewest](fewest) all lines are nearly one.
//!
//! Simplified: what is inside is spread evenly over the lines, so that pods that come take over of what waits in
//! others, and what waits in one that goes is in the others then.

use model_api::observation::WaitLaw;
use model_api::path::{Balancing, Discipline, Serving, Work};

use super::finite::{Finite, Met};
use super::sharing::Shared;
use super::varied::Table;
use crate::backlog::waiting_by_chance;
use crate::delay::Delay;
use crate::evaluation::Endpoints;
use crate::request::{line_count, waiting_max_of_line};
use crate::slowest::Common;

mod fewest;
mod in_turn;

use in_turn::InTurn;

/// Loads, as multiples of what the workers can do, that are looked at: beyond the last one a queue
/// is as full as can be.
const RATIO_MAX: f64 = 1e4;
/// Squares of the coefficient of variation of lognormal work that are larger show in shared times: that of
/// exponential work, for which the gamma law does.
const HEAVY: f64 = 1.0;
/// Where more than this share waits, all do. Chosen: the others move no quantile by more than 2 of 100 requests.
const NEARLY_ALL: f64 = 0.98;
/// Waits whose mean, squared, is more than so many variances are hardly ever none: of a normal law less than
/// 1 % lies below zero, which is √6 deviations from the mean.
const FAR_FROM_EMPTY: f64 = 6.0;
/// ln(10^6), rounded up: a full queue less likely than one in a million counts as never.
const NEARLY_NEVER: f64 = 14.0;
/// A queue that looks like a load that is hardly larger than what comes has nothing of before. Chosen: 1 %, as
/// what is left of before shrinks for ever and is never quite gone.
const PILED_RATIO: f64 = 1.01;
/// Workers that are idle for less than this share of the time have seen about as much of the past.
const IDLE_MIN: f64 = 1e-3;
/// Steps of the search for a load.
const SEARCH_COUNT_MAX: u32 = 60;
/// Steps of the search for what others have inside, and how near it is in the end.
const OTHERS_COUNT_MAX: u32 = 30;
const OTHERS_ERROR: f64 = 1e-6;

/// The workers behind a Service, and the room before them: those of each of its lines, which are alike.
///
/// What is said of a load or of what is inside is said of all lines together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Queue {
    lines: u32,
    balancing: Balancing,
    pods: u32,
    servers: u32,
    /// Requests per second that all of them can do.
    capacity: f64,
    room: f64,
    /// Square of the coefficient of variation of the work.
    variation_squared: f64,
    /// Third moment of the work, with its mean as the unit; `None` of exponential work.
    third_moment: Option<f64>,
    discipline: Discipline,
}

/// Who comes to a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Arrivals {
    /// Requests per second while nobody is inside.
    pub(super) while_empty: f64,
    /// By which share of these they are fewer for each request inside.
    pub(super) decline: f64,
}

/// A queue in the long run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Stationary {
    /// Share of those that come that find it full.
    pub(super) blocked: f64,
    /// Requests that are let in, of those that would come if nobody were inside.
    pub(super) takes: f64,
    /// Mean number inside.
    pub(super) inside: f64,
    /// Share of those that get in that wait.
    pub(super) waits: f64,
    /// Mean wait of those, in seconds.
    pub(super) wait_mean: f64,
    /// Variance of it.
    pub(super) wait_variance: f64,
    /// They come all at once, again and again: each waits for those before it.
    pub(super) is_rush: bool,
}

impl Queue {
    /// `None` when a request costs nothing, so that there is no queue.
    pub(super) fn new(serving: &Serving, endpoints: Endpoints) -> Option<Self> {
        let can_queue = endpoints.capacity_millirps > 0 && endpoints.capacity_millirps < u64::MAX;
        let lines = line_count(serving, endpoints.live_count);
        (can_queue && endpoints.live_count > 0).then(|| Self {
            lines,
            balancing: serving.balancing,
            pods: endpoints.live_count,
            servers: (endpoints.live_count / lines).saturating_mul(serving.workers),
            capacity: endpoints.capacity_millirps as f64 / 1000.0 / f64::from(lines),
            room: waiting_max_of_line(serving, endpoints) as f64,
            variation_squared: serving.work.variation_squared(),
            third_moment: third_moment(serving.work),
            discipline: serving.discipline,
        })
    }

    /// In the long run under a load that is `ratio` times what the workers can do while nobody is
    /// inside, and less by the share `decline` of it for each request inside.
    pub(super) fn stationary(&self, ratio: f64, decline: f64) -> Stationary {
        if ratio <= 0.0 {
            return Stationary { takes: 1.0, ..Stationary::default() };
        }
        if decline <= 0.0 {
            return self.endless(ratio);
        }
        let met = self.closed(ratio, decline);
        let (wait_mean, wait_variance) = self.waits(met.turns_mean, met.turns_variance);
        let met = Stationary { wait_mean, wait_variance, ..met.queue };
        if self.is_one_for_the_fewest() { self.fewest(ratio, met) } else { met }
    }

    /// The long run of a load that becomes less with each request inside.
    ///
    /// Simplified: of several lines each meets what the others have inside in the mean. Requests that are sent in
    /// turn are taken for those that are sent by chance.
    fn closed(&self, ratio: f64, decline: f64) -> Met {
        let servers = f64::from(self.servers);
        let inside_max = servers + self.room;
        let (lines, others) = (f64::from(self.lines), f64::from(self.lines - 1));
        let of = |inside: f64| {
            let left = (1.0 - decline * others * inside).max(1e-9);
            let finite =
                Finite { servers, inside_max, ratio: ratio * left, decline: decline / left };
            let met = finite.met();
            let takes = met.queue.takes * left;
            (met.queue.inside, Met { queue: Stationary { takes, ..met.queue }, ..met })
        };
        let (mut low, mut high) = (0.0, inside_max.min(1.0 / decline / lines));
        let mut middle = 0.0;
        for _ in 0..if self.lines > 1 { OTHERS_COUNT_MAX } else { 0 } {
            middle = f64::midpoint(low, high);
            if high - low <= OTHERS_ERROR * high {
                break;
            }
            // The more the others have inside, the less comes to this one.
            if of(middle).0 > middle { low = middle } else { high = middle }
        }
        let (inside, mut met) = of(middle);
        met.queue.inside = inside * lines;
        met
    }

    /// The same of a load that does not know how many are inside.
    fn endless(&self, ratio: f64) -> Stationary {
        let met = match self.balancing {
            Balancing::RoundRobin if self.lines > 1 => self.in_turn(ratio),
            _ => self.by_chance(ratio),
        };
        let met = Stationary { inside: met.inside * f64::from(self.lines), ..met };
        if self.is_one_for_the_fewest() { self.fewest(ratio, met) } else { met }
    }

    /// Several pods have one line nearly, but not quite.
    fn is_one_for_the_fewest(&self) -> bool {
        self.balancing == Balancing::LeastRequests
            && self.pods > 1
            && self.discipline == Discipline::FirstCome
    }

    /// Lines that are chosen for whoever has fewest are shorter than one for all would be, and no worker
    /// goes to another pod.
    fn fewest(&self, ratio: f64, met: Stationary) -> Stationary {
        let of_pod = (self.servers / self.pods).max(1);
        let (less, longer) = fewest::beside_one(self.pods, of_pod, ratio);
        let work = f64::from(self.servers) / self.capacity;
        let factor = f64::midpoint(1.0, self.variation_squared);
        let most = self.room.max(1.0) / self.capacity;
        let wait_mean = (met.wait_mean + longer * factor * work).min(most.max(met.wait_mean));
        // Those ahead are done by the workers of one pod, whose luck is not that of all.
        let apart = (1.0 - 1.0 / f64::from(self.pods)) / f64::from(of_pod);
        let wait_variance = met.wait_variance + apart * wait_mean * work * self.variation_squared;
        Stationary { waits: met.waits * less, wait_mean, wait_variance, ..met }
    }

    /// One line in the long run, to which requests come as they do by chance.
    fn by_chance(&self, ratio: f64) -> Stationary {
        let servers = f64::from(self.servers);
        let erlangs = servers * ratio;
        let blocking = (1..=self.servers).fold(1.0, |blocking, busy| {
            let carried = erlangs * blocking;
            carried / (f64::from(busy) + carried)
        });
        // Weights of the states in which all workers are busy, relative to the first or, above
        // capacity, to the last of them, so that none overflows.
        let power = libm::pow(ratio.min(1.0 / ratio), self.room);
        let (scale, last) = if ratio > 1.0 { (power, 1.0) } else { (1.0, power) };
        let before_last = geometric_sum(ratio, self.room, power);
        let total = (1.0 - blocking) * scale + blocking * (before_last + last);
        let blocked = blocking * last / total;
        let waits = blocking * before_last / total / (1.0 - blocked);
        let (ahead_mean, ahead_variance) = truncated_geometric(ratio, self.room, power);
        let turns = ahead_mean + 1.0;
        let mean_wait = waits * turns / self.capacity;
        let arrivals = ratio * self.capacity * (1.0 - blocked);
        let (wait_mean, wait_variance) = match (self.discipline, self.third_moment) {
            (Discipline::FirstCome, Some(third_moment)) => self.waits_in_line(ratio, third_moment),
            _ => self.waits(turns, ahead_variance),
        };
        Stationary {
            blocked,
            takes: 1.0 - blocked,
            inside: arrivals * mean_wait + erlangs * (1.0 - blocked),
            waits,
            wait_mean,
            wait_variance,
            is_rush: false,
        }
    }

    /// Mean and variance of the wait of those for whom so many must be done first, in seconds.
    ///
    /// Allen and Cunneen 1978: waits grow with the variation of the work. A full queue does not. Where
    /// workers are shared, the number inside does not know of it.
    fn waits(&self, turns: f64, turns_variance: f64) -> (f64, f64) {
        let variation_squared = match self.discipline {
            Discipline::FirstCome => self.variation_squared,
            Discipline::Sharing => 1.0,
        };
        let factor = f64::midpoint(1.0, variation_squared);
        let wait_mean = (turns * factor).min(self.room.max(turns)) / self.capacity;
        let spread = turns * variation_squared + turns_variance * factor * factor;
        (wait_mean, spread / (self.capacity * self.capacity))
    }

    /// The same of those who wait in line at a load that does not know of them, for work that is not
    /// exponential.
    ///
    /// The line is as long as that of exponential work at the load from which the mean wait without a
    /// limit is that of Pollaczek and Khinchine (above what workers can do, the same of the places that
    /// are free): a heavier work makes a long line longer and leaves a full one further from full. The
    /// variance has, as far as the limit is not met, the third moment of the work too (Takács 1962):
    /// rare long work keeps few for long. Simplified: of several workers long work stops one only, and this
    /// is taken for as much less; where work varies much it is worked out (`varied`).
    fn waits_in_line(&self, ratio: f64, third_moment: f64) -> (f64, f64) {
        let variation = self.variation_squared;
        let small = ratio.min(1.0 / ratio);
        let unlimited = f64::midpoint(1.0, variation) / (1.0 - small).max(1e-9);
        let squared = unlimited * unlimited;
        let exact = (2.0 * ratio - 1.0) * squared + third_moment / (3.0 * (1.0 - ratio));
        let known = unlimited * variation + (squared - unlimited).max(0.0);
        self.in_line(ratio, unlimited, (exact - known) / f64::from(self.servers))
    }

    /// The same where those who wait are so many turns from the front without a limit, and the variance
    /// of that is so much more than that of a geometric number of turns.
    fn in_line(&self, ratio: f64, unlimited: f64, excess: f64) -> (f64, f64) {
        let nearer = (1.0 - 1.0 / unlimited).max(0.0);
        let like = if ratio > 1.0 { 1.0 / nearer.max(1.0 / RATIO_MAX) } else { nearer };
        let power = libm::pow(nearer, self.room);
        let (ahead, ahead_variance) = truncated_geometric(like, self.room, power);
        let mut turns = ahead + 1.0;
        let mut spread = ahead_variance;
        if ratio < 1.0 {
            turns = turns.min(unlimited);
            spread += excess * (1.0 - power);
        }
        spread += turns * self.variation_squared;
        (turns / self.capacity, spread.max(0.0) / (self.capacity * self.capacity))
    }

    /// What is met where work varies much, below what workers can do.
    pub(super) fn varied(&self, ratio: f64, table: &Table, met: Stationary) -> Stationary {
        if ratio <= 0.0 || ratio >= 1.0 || met.is_rush {
            return met;
        }
        let varied = table.met(ratio);
        let unlimited = varied.mean / (1.0 - ratio);
        let squared = unlimited * unlimited;
        let known = unlimited * self.variation_squared + (squared - unlimited).max(0.0);
        let excess = squared * varied.variation_squared - known;
        let (wait_mean, wait_variance) = self.in_line(ratio, unlimited, excess);
        let waits = (met.waits * varied.waits).min(1.0);
        Stationary { waits, wait_mean, wait_variance, ..met }
    }

    /// One line in the long run, to which every request of so many lines comes.
    ///
    /// Simplified: work that is not exponential waits in it as much less as the variation of what comes and of
    /// the work is less (Allen and Cunneen 1978), and a queue of few places loses a tenth too much.
    fn in_turn(&self, ratio: f64) -> Stationary {
        let servers = f64::from(self.servers);
        let InTurn { ratio: falls, waits, busy } = InTurn::of(self.lines, self.servers, ratio);
        let ratio = in_turn::not_even(ratio);
        let power = libm::pow(falls.min(1.0 / falls), self.room);
        let rises = if falls > 1.0 { 1.0 / power } else { power };
        let blocked = if rises.is_finite() {
            busy * (1.0 - ratio) * rises / (1.0 - busy * ratio * rises)
        } else {
            1.0 - 1.0 / ratio
        };
        let blocked = blocked.clamp(0.0, 1.0);
        // Of those that would wait without a limit, those that find one of so many places.
        let found = if falls > 1.0 { waits - power } else { 1.0 - waits * power };
        let waits = (waits * (1.0 - power) / found).clamp(0.0, 1.0);
        let (ahead, ahead_variance) = truncated_geometric(falls, self.room, power);
        let turns = ahead + 1.0;
        let (wait_mean, wait_variance) = match (self.discipline, self.third_moment) {
            (Discipline::FirstCome, Some(third_moment)) => {
                let scv = 1.0 / f64::from(self.lines);
                let less = (scv + self.variation_squared) / (1.0 + self.variation_squared);
                let (mean, variance) = self.waits_in_line(ratio, third_moment);
                (mean * less, variance * less * less)
            }
            _ => self.waits(turns, ahead_variance),
        };
        let arrivals = ratio * self.capacity * (1.0 - blocked);
        let inside = arrivals * waits * wait_mean + servers * ratio * (1.0 - blocked);
        let takes = 1.0 - blocked;
        Stationary { blocked, takes, inside, waits, wait_mean, wait_variance, is_rush: false }
    }

    /// How long a request is inside in the mean, its work included.
    pub(super) fn sojourn(&self, stationary: &Stationary) -> f64 {
        f64::from(self.servers) / self.capacity + stationary.waits * stationary.wait_mean
    }

    /// What those meet that a rate limit lets in, so many in each window: they come at the full rate
    /// until the limit is reached. `even` is what they would meet if they came evenly.
    ///
    /// Simplified: of several lines as many of them come to each.
    pub(super) fn burst(&self, rate: f64, limit_count: f64, even: &Stationary) -> Stationary {
        let lines = f64::from(self.lines);
        let (rate, limit_count) = (rate / lines, limit_count / lines);
        if rate < self.capacity {
            let Stationary { waits, wait_mean, wait_variance, .. } =
                self.endless(rate / self.capacity);
            return Stationary { waits, wait_mean, wait_variance, ..*even };
        }
        // The queue grows from nothing while they are let in.
        let longest = (limit_count * (1.0 - self.capacity / rate)).min(self.room) / self.capacity;
        let wait_mean = longest / 2.0;
        let wait_variance = longest * longest / 12.0;
        Stationary { waits: 1.0, wait_mean, wait_variance, is_rush: true, ..*even }
    }

    /// Whether more requests wait than wait by chance in the long run of what comes, when it looks like
    /// `ratio`.
    pub(super) fn is_piled_up(&self, ratio: f64, met: &Stationary, come: Arrivals) -> bool {
        let aim = come.while_empty / self.capacity_of_all();
        if ratio <= aim * PILED_RATIO {
            return false;
        }
        let utilization = if come.decline > 0.0 {
            aim * self.stationary(aim.min(RATIO_MAX), come.decline).takes
        } else {
            aim
        };
        let busy = f64::from(self.servers) * f64::from(self.lines) * ratio * met.takes;
        let most = waiting_by_chance(utilization, self.variation_squared, self.lines);
        met.inside - busy > most
    }

    /// Requests per second that the workers of all lines can do.
    pub(super) fn capacity_of_all(&self) -> f64 {
        self.capacity * f64::from(self.lines)
    }

    /// Workers of its only line.
    pub(super) fn servers(&self) -> Option<u32> {
        (self.lines == 1).then_some(self.servers)
    }

    /// Mean work of a request, in seconds.
    pub(super) fn work_secs(&self) -> f64 {
        f64::from(self.servers) / self.capacity
    }

    /// Whether its workers are shared by all requests in it.
    pub(super) fn is_shared(&self) -> bool {
        self.discipline == Discipline::Sharing
    }

    /// The law of the waits in line: normal in a queue that is nearly always full, where what is ahead is cut
    /// off above, so that waits have about as long a tail below as above.
    fn law_of(&self, met: &Stationary, ratio: f64) -> WaitLaw {
        if met.is_rush {
            // Uniform, which has no long tail either.
            return WaitLaw::Normal;
        }
        let is_full = ratio > 1.0 && met.waits > NEARLY_ALL && self.third_moment.is_none();
        let in_work = |secs: f64| secs * self.capacity;
        let mean = in_work(met.wait_mean);
        let variance = in_work(in_work(met.wait_variance));
        if !is_full || mean * mean <= FAR_FROM_EMPTY * variance {
            return WaitLaw::Gamma;
        }
        // The third cumulant of so many exponential times, of which the number lacks a geometric one of the
        // places; that of a gamma distribution is twice the square of the variance over the mean.
        let (small, left) = (1.0 / ratio, 1.0 - 1.0 / ratio);
        let of_number = -small * (1.0 + small) / (left * left * left);
        let third = of_number + 3.0 * (variance - mean).max(0.0) + 2.0 * mean;
        let is_even = third < variance * variance / mean;
        if is_even { WaitLaw::Normal } else { WaitLaw::Gamma }
    }

    /// How long requests that meet this take at the workers, beyond the time that they always take:
    /// probability, mean and variance. `always` is the time of a request that does not wait.
    ///
    /// Where workers are shared, the work of a request is random too.
    pub(super) fn delay(&self, ratio: f64, met: &Stationary, always: f64) -> Delay {
        let Stationary { waits, wait_mean, wait_variance, .. } = *met;
        let queued = Delay {
            fixed: always,
            waits,
            mean: wait_mean,
            variance: wait_variance,
            law: self.law_of(met, ratio),
        };
        if self.discipline == Discipline::FirstCome {
            return queued;
        }
        let work = f64::from(self.servers) / self.capacity;
        let mean = work + waits * wait_mean;
        let ratio = if met.takes + met.blocked < 1.0 - 1e-9 { ratio * met.takes } else { ratio };
        let power = libm::pow(ratio.min(1.0 / ratio), self.room);
        let shared = Shared {
            servers: self.servers,
            room: self.room,
            ratio,
            variation_squared: self.variation_squared,
            mean: mean / work,
            ahead_variance: truncated_geometric(ratio, self.room, power).1,
        };
        let is_idle = ratio <= 0.0;
        let variance = if is_idle { self.variation_squared } else { shared.variance() };
        Delay {
            fixed: (always - work).max(0.0),
            waits: 1.0,
            mean,
            variance: variance * work * work,
            // A request takes as much longer as it has more work: the law is that of the work, stretched.
            law: if self.variation_squared > HEAVY { WaitLaw::Lognormal } else { WaitLaw::Gamma },
        }
    }

    /// How far waits here follow when requests come, while so many are done a second: less where each line
    /// gets some of them only.
    pub(super) fn common(&self, worked: f64, met: &Stationary) -> Common {
        let idle = (1.0 - worked / self.capacity_of_all()).max(IDLE_MIN);
        let share = 1.0 / (1.0 + self.variation_squared) / f64::from(self.lines);
        Common { share, span: met.wait_mean / idle }
    }

    /// What leaves, in requests per second, where the load would be `ratio` in the long run.
    pub(super) fn throughput(&self, ratio: f64, stationary: &Stationary) -> f64 {
        self.capacity_of_all() * ratio * stationary.takes
    }

    /// The load that has so many inside in the long run.
    pub(super) fn ratio_of(&self, inside: f64, decline: f64) -> f64 {
        let most = self.stationary(RATIO_MAX, decline).inside;
        let wanted = inside.min(most * (1.0 - 1e-9));
        root(0.0, RATIO_MAX, |ratio| self.stationary(ratio, decline).inside - wanted)
    }

    /// The load that the queue looks like `secs` later, when it had `inside` inside and looked like
    /// `ratio`, and so many come. An implicit step: stable however long it is.
    pub(super) fn later(&self, ratio: f64, inside: f64, come: Arrivals, secs: f64) -> f64 {
        let Arrivals { while_empty, decline } = come;
        let capacity = self.capacity_of_all();
        let aim = (while_empty / capacity).min(RATIO_MAX);
        let excess = |ratio: f64| {
            let there = self.stationary(ratio, decline);
            let gain = there.takes * (while_empty - ratio * capacity);
            there.inside - inside - secs * gain
        };
        root(ratio.min(aim), ratio.max(aim), excess)
    }
}

/// Third moment of work that is not exponential, with its mean as the unit.
fn third_moment(work: Work) -> Option<f64> {
    match work {
        Work::Exponential => None,
        Work::Constant => Some(1.0),
        Work::Lognormal { variation } => {
            let growth = 1.0 + variation * variation;
            Some(growth * growth * growth)
        }
    }
}

/// What those wait who come to workers at so many requests per 1000 s, of whom none knows how many are
/// inside, in the long run.
pub(crate) fn wait_of(serving: &Serving, endpoints: Endpoints, reached_millirps: u64) -> Delay {
    let Some(queue) = Queue::new(serving, endpoints).filter(|_| reached_millirps > 0) else {
        return Delay::default();
    };
    let ratio = reached_millirps as f64 / 1000.0 / queue.capacity_of_all();
    let met = queue.endless(ratio);
    let Stationary { waits, wait_mean, wait_variance, .. } = met;
    Delay {
        fixed: 0.0,
        waits,
        mean: wait_mean,
        variance: wait_variance,
        law: queue.law_of(&met, ratio),
    }
}

/// Of so many requests per 1000 s, those that find no room in the long run though workers could do them:
/// what is beyond their capacity is not counted.
pub(crate) fn lost_by_chance(
    serving: &Serving,
    endpoints: Endpoints,
    reached_millirps: u64,
) -> u64 {
    let capacity = endpoints.capacity_millirps;
    if reached_millirps == 0 || capacity == 0 || capacity == u64::MAX {
        return 0;
    }
    // A full queue is no likelier than `ratio^room`, or than its inverse above capacity an idle worker: mostly
    // that is nothing, and costs no more than this line.
    let (small, large) = (reached_millirps.min(capacity), reached_millirps.max(capacity));
    let room = waiting_max_of_line(serving, endpoints) as f64;
    if room * (1.0 - small as f64 / large as f64) > NEARLY_NEVER {
        return 0;
    }
    let Some(queue) = Queue::new(serving, endpoints) else { return 0 };
    let taken = 1.0 - queue.endless(reached_millirps as f64 / capacity as f64).blocked;
    small.saturating_sub(whole_millirps(reached_millirps as f64 * taken))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates are positive and far below the limits, and `as` saturates"
)]
fn whole_millirps(rate: f64) -> u64 {
    (rate + 0.5) as u64
}

/// `1 + ratio + … + ratio^(room - 1)`, divided by `ratio^room` above 1; `power` is the smaller of
/// `ratio^room` and its inverse.
fn geometric_sum(ratio: f64, room: f64, power: f64) -> f64 {
    if is_even(ratio, room) {
        room
    } else if ratio < 1.0 {
        (1.0 - power) / (1.0 - ratio)
    } else {
        (1.0 - power) / (ratio - 1.0)
    }
}

/// Mean and variance of the number of waiting requests that one finds that is let in and waits.
fn truncated_geometric(ratio: f64, room: f64, power: f64) -> (f64, f64) {
    if room < 1.0 {
        return (0.0, 0.0);
    }
    if is_even(ratio, room) {
        return ((room - 1.0) / 2.0, (room * room - 1.0) / 12.0);
    }
    let small = ratio.min(1.0 / ratio);
    let left = 1.0 - small;
    let cut = room * power / (1.0 - power);
    let mean = small / left - cut;
    let variance = small / (left * left) - room * cut / (1.0 - power);
    let mean = if ratio > 1.0 { room - 1.0 - mean } else { mean };
    (mean.clamp(0.0, room - 1.0), variance.max(0.0))
}

/// Whether all lengths of the queue are as good as equally likely.
fn is_even(ratio: f64, room: f64) -> bool {
    (ratio - 1.0).abs() * room.max(1.0) < 1e-4
}

/// Where a function that rises from below zero to above it is zero (Illinois method).
fn root(low: f64, high: f64, rises: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (low, high);
    let (mut below, mut above) = (rises(low), rises(high));
    if below >= 0.0 {
        return low;
    }
    if above <= 0.0 {
        return high;
    }
    let mut last_side = 0;
    for _ in 0..SEARCH_COUNT_MAX {
        if high - low <= 1e-12 * high {
            break;
        }
        let guess = (low * above - high * below) / (above - below);
        // Where one end stays, halving is the better guess.
        let middle = if guess > low && guess < high { guess } else { f64::midpoint(low, high) };
        let value = rises(middle);
        if value > 0.0 {
            (high, above) = (middle, value);
            if last_side == 1 {
                below /= 2.0;
            }
            last_side = 1;
        } else if value < 0.0 {
            (low, below) = (middle, value);
            if last_side == -1 {
                above /= 2.0;
            }
            last_side = -1;
        } else {
            return middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(servers: u32, room: u32) -> Queue {
        Queue {
            lines: 1,
            balancing: Balancing::Shared,
            pods: 1,
            servers,
            capacity: f64::from(servers),
            room: room.into(),
            variation_squared: 1.0,
            third_moment: None,
            discipline: Discipline::FirstCome,
        }
    }

    /// From the states of the birth and death process, one by one.
    fn brute(queue: &Queue, ratio: f64) -> Stationary {
        let servers = queue.servers;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let room = queue.room as u32;
        let mut weights = vec![1.0_f64];
        for inside in 1..=servers + room {
            let leaves = f64::from(inside.min(servers));
            let before = weights[weights.len() - 1];
            weights.push(before * ratio * f64::from(servers) / leaves);
        }
        let total: f64 = weights.iter().sum();
        let share = |inside: u32| weights[inside as usize] / total;
        let blocked = share(servers + room);
        let waiting = servers..servers + room;
        let waits: f64 = waiting.clone().map(share).sum::<f64>() / (1.0 - blocked);
        let turns = |inside: u32| f64::from(inside - servers + 1);
        let mean = |of: &dyn Fn(f64) -> f64| {
            let sum: f64 = waiting.clone().map(|inside| share(inside) * of(turns(inside))).sum();
            sum / (waits * (1.0 - blocked))
        };
        let (first, second) = (mean(&|turns| turns), mean(&|turns| turns * turns));
        let speed = f64::from(servers);
        Stationary {
            blocked,
            takes: 1.0 - blocked,
            inside: (0..=servers + room).map(|inside| f64::from(inside) * share(inside)).sum(),
            waits,
            wait_mean: first / speed,
            wait_variance: (first + second - first * first) / (speed * speed),
            is_rush: false,
        }
    }

    #[test]
    fn the_long_run_is_that_of_the_birth_and_death_process() {
        for servers in [1, 3, 20] {
            for room in [1, 7, 300] {
                for ratio in [0.2, 0.8, 0.99, 1.0, 1.000_001, 1.2, 2.5] {
                    let queue = queue(servers, room);
                    let (found, exact) = (queue.stationary(ratio, 0.0), brute(&queue, ratio));
                    let pairs = [
                        (found.blocked, exact.blocked),
                        (found.inside, exact.inside),
                        (found.waits, exact.waits),
                        (found.wait_mean, exact.wait_mean),
                        (found.wait_variance, exact.wait_variance),
                    ];
                    for (found, exact) in pairs {
                        let is_close = (found - exact).abs() <= 1e-3 * exact + 1e-9;
                        assert!(is_close, "{queue:?} at {ratio}: {found}, exactly {exact}");
                    }
                }
            }
        }
    }

    #[test]
    fn waits_are_those_of_the_tables() {
        // One server: the probability is the utilization. The others: published Erlang C values.
        for (servers, erlangs, wanted) in [
            (1, 0.5, 0.5),
            (1, 0.9, 0.9),
            (2, 1.0, 1.0 / 3.0),
            (5, 4.0, 0.5541),
            (20, 16.0, 0.256),
            (200, 185.0, 0.195),
        ] {
            let queue = queue(servers, 100_000);
            let met = queue.stationary(erlangs / queue.capacity, 0.0);
            assert!((met.waits - wanted).abs() < 5e-4, "{queue:?} {met:?}");
            let mean = 1.0 / (queue.capacity - erlangs);
            assert!((met.wait_mean - mean).abs() < 1e-6 * mean, "{queue:?} {met:?}");
        }
    }

    #[test]
    fn waits_of_other_work_are_those_of_pollaczek_and_khinchine_and_a_full_line_is_full() {
        for work in [Work::Constant, Work::Lognormal { variation: 0.5 }, Work::Exponential] {
            let variation_squared = work.variation_squared();
            let line =
                Queue { variation_squared, third_moment: third_moment(work), ..queue(1, 100_000) };
            for ratio in [0.1, 0.4, 0.6, 0.9] {
                let met = line.stationary(ratio, 0.0);
                let mean = (1.0 + variation_squared) / 2.0 / (1.0 - ratio);
                assert!((met.wait_mean - mean).abs() < 1e-6 * mean, "{line:?} at {ratio}: {met:?}");
                let third = third_moment(work).unwrap_or(6.0);
                let square = 2.0 * ratio * mean * mean + third / (3.0 * (1.0 - ratio));
                let variance = square - mean * mean;
                let is_close = (met.wait_variance - variance).abs() < 1e-6 * square;
                assert!(is_close, "{line:?} at {ratio}: {met:?}, {variance}");
            }
            let full = Queue { room: 300.0, ..line }.stationary(2.0, 0.0);
            assert!((297.0..300.0).contains(&full.wait_mean), "{work:?}: {full:?}");
        }
    }

    #[test]
    fn a_step_is_stable_and_ends_in_the_long_run() {
        let queue = queue(10, 40);
        let open = |while_empty| Arrivals { while_empty, decline: 0.0 };
        for (from, arrivals) in [(0.2, 8.0), (0.9, 15.0), (3.0, 5.0)] {
            let inside = queue.stationary(from, 0.0).inside;
            let far = queue.later(from, inside, open(arrivals), 1e6);
            assert!((far - arrivals / 10.0).abs() < 1e-3, "{far}");
            let near = queue.later(from, inside, open(arrivals), 1e-6);
            assert!((near - from).abs() < 1e-3 * from, "{near}");
            assert!((queue.ratio_of(inside, 0.0) - from).abs() < 1e-6 * from);
        }
    }
}
