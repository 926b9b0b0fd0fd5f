//! Counters of rate limits that count every request.

use model_api::limiter::{Counters, StoreSeen};
use sim_kernel::{Purpose, SimSpan, SimTime, Stream, Streams};

use crate::limits::{Limit, Uncounted};

const POD: Purpose = Purpose::new("pod of a gateway that counts a request");
const IDENTITY: Purpose = Purpose::new("whose counter a request meets");

/// What becomes of a request at a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It passes, after so long.
    Passes(SimSpan),
    /// The limit is reached.
    Refused,
    /// Its store does not answer, which is known after so long.
    Failed(SimSpan),
}

/// A counter of one period.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    window: u64,
    value: u64,
}

impl Count {
    fn value(self, window: u64) -> u64 {
        if self.window == window { self.value } else { 0 }
    }

    fn add(&mut self, window: u64, amount: u64) {
        *self = Self { window, value: self.value(window) + amount };
    }
}

/// What a pod counted by itself, where it asks the store from time to time.
#[derive(Clone, Debug, Default)]
struct Pod {
    /// Those that it counted, which the store knows nothing of: by identity and period, which may repeat.
    untold: Vec<(usize, u64, u64)>,
    /// What the store said when it was asked last, and what came since: by identity and period.
    known: Vec<(u64, Count)>,
    /// How often it was synced, and when it is next.
    turn: u64,
    due: Option<SimTime>,
}

/// The counters of one limit.
#[derive(Clone, Debug)]
pub(super) struct LimitCounters {
    pod: Stream,
    identity: Stream,
    /// By pod, or of the store alone; then by identity and period.
    counts: Vec<Vec<Count>>,
    pods: Vec<Pod>,
}

impl LimitCounters {
    pub(super) fn new(limit: &Limit, streams: Streams) -> Self {
        Self {
            pod: streams.stream(limit.key, POD),
            identity: streams.stream(limit.key, IDENTITY),
            counts: Vec::new(),
            pods: Vec::new(),
        }
    }

    /// A request comes to one of so many live pods.
    pub(super) fn admit(
        &mut self,
        limit: &Limit,
        seen: StoreSeen,
        live_count: u32,
        now: SimTime,
    ) -> Admission {
        match limit.lost(seen) {
            Some((share, uncounted)) if share >= 1.0 || self.pod.draw().chance(share) => {
                let Uncounted { passes, after } = uncounted;
                return if passes { Admission::Passes(after) } else { Admission::Failed(after) };
            }
            Some(_) | None => {}
        }
        let pod = choose(&mut self.pod, live_count);
        let identity = choose(&mut self.identity, limit.identity_count);
        let passes = match limit.counters {
            Counters::EachPod => self.count_in_pod(limit, pod, identity, live_count, now),
            Counters::Shared { sync_every: None, counts_refused, .. } => {
                self.counts.resize_with(1, Vec::new);
                count(limit, &mut self.counts[0], identity, counts_refused, now)
            }
            Counters::Shared { sync_every: Some(every), .. } => {
                self.count_and_sync(limit, every, (pod, identity), live_count, now)
            }
        };
        if passes { Admission::Passes(SimSpan::ZERO) } else { Admission::Refused }
    }

    fn count_in_pod(
        &mut self,
        limit: &Limit,
        pod: usize,
        identity: usize,
        live_count: u32,
        now: SimTime,
    ) -> bool {
        // What those counted that are gone is gone too.
        self.counts.resize_with(live_count as usize, Vec::new);
        count(limit, &mut self.counts[pod], identity, false, now)
    }

    /// A pod tells the store what it counted some time after the first request that it let through since
    /// it did so last, and asks it again at the next request after that.
    fn count_and_sync(
        &mut self,
        limit: &Limit,
        every: SimSpan,
        (pod, identity): (usize, usize),
        live_count: u32,
        now: SimTime,
    ) -> bool {
        self.counts.resize_with(1, Vec::new);
        self.pods.resize_with(live_count as usize, Pod::default);
        let places = limit.limits.len() * limit.identity_count as usize;
        let store = &mut self.counts[0];
        store.resize(places, Count::default());
        for pod in &mut self.pods {
            if pod.due.is_some_and(|due| due <= now) {
                for (place, window, amount) in pod.untold.drain(..) {
                    store[place].add(window, amount);
                }
                (pod.turn, pod.due) = (pod.turn + 1, None);
            }
        }
        let pod = &mut self.pods[pod];
        pod.known.resize(places, (u64::MAX, Count::default()));
        let first = identity * limit.limits.len();
        let mut passes = true;
        for (place, &(period, amount)) in (first..).zip(&limit.limits) {
            let window = period.at(now).number;
            let (turn, known) = &mut pod.known[place];
            if *turn != pod.turn {
                (*turn, *known) = (pod.turn, Count { window, value: store[place].value(window) });
            }
            passes &= known.value(window) < amount;
        }
        if passes {
            for (place, &(period, _)) in (first..).zip(&limit.limits) {
                let window = period.at(now).number;
                pod.known[place].1.add(window, 1);
                match pod.untold.iter_mut().find(|it| (it.0, it.1) == (place, window)) {
                    Some((.., amount)) => *amount += 1,
                    None => pod.untold.push((place, window, 1)),
                }
            }
            pod.due.get_or_insert(now.saturating_add(every));
        }
        passes
    }
}

/// Counts a request, if it passes, or in any case.
fn count(
    limit: &Limit,
    counts: &mut Vec<Count>,
    identity: usize,
    counts_refused: bool,
    now: SimTime,
) -> bool {
    let first = identity * limit.limits.len();
    if counts.is_empty() {
        let places = limit.limits.len() * limit.identity_count as usize;
        counts.resize(places, Count::default());
    }
    let mut passes = true;
    for (place, &(period, amount)) in (first..).zip(&limit.limits) {
        passes &= counts[place].value(period.at(now).number) < amount;
    }
    if passes || counts_refused {
        for (place, &(period, _)) in (first..).zip(&limit.limits) {
            counts[place].add(period.at(now).number, 1);
        }
    }
    passes
}

/// One of so many, drawn where there are several.
fn choose(stream: &mut Stream, count: u32) -> usize {
    if count < 2 {
        return 0;
    }
    usize::try_from(stream.draw().below(count.into())).expect("it is less than the count")
}
