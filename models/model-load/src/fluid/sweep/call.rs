//! What becomes of calls, and of the habits of those who make them.

use model_api::observation::LossReason;
use model_api::path::{Breaker, CallPolicy};
use sim_kernel::{SimSpan, SimTime};

use super::{EdgeState, EdgeWork, NodeWork, Room, State, Sweep, Worst, share};
use crate::delay::Delay;
use crate::edges::{Caller, EdgeIdx};
use crate::entrance::Way;
use crate::fluid::habits::Tries;
use crate::fluid::tried::{Answers, Late, Through, through};
use crate::graph::NodeIdx;
use crate::stations::Branch;

/// How long a budget keeps what is paid in: `SLOT_COUNT` of the single requests.
const BUDGET_SECS: f64 = 10.0;
/// Savings are spent about as fast as this when everything fails.
const SAVINGS_SPENT_SECS: f64 = 1.0;

/// Calls of a stretch of time: so many a second, of which a share fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calls {
    pub(super) rate: f64,
    pub(super) fails: f64,
    pub(super) secs: f64,
}

/// What becomes of the attempts of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempts {
    /// Of all that are not written in vain for, those that are answered well, and those that are so in time.
    pub(super) answered: f64,
    pub(super) succeeds: f64,
    /// Of all, those that a rate limit refuses.
    pub(super) limited: f64,
    /// Of all, those whose callers wait in vain until their time is over.
    pub(super) silent: f64,
    /// Of those in time.
    pub(super) delay: Delay,
    pub(super) late: Late,
    pub(super) worst: Worst,
}

impl Attempts {
    /// What callers do in the long run.
    pub(super) fn tries(&self, policy: &CallPolicy) -> Tries {
        Tries::of(policy, self.succeeds, self.answered - self.succeeds + self.silent)
    }

    /// The same of those that are written in vain for.
    pub(super) fn in_vain(&self) -> Self {
        Self { answered: self.answered - self.succeeds, succeeds: 0.0, ..*self }
    }

    /// Of the calls of which so many succeed in the end, those whose last attempt a rate limit refuses.
    pub(super) fn limited_of(&self, answered: f64) -> f64 {
        (1.0 - answered) * share(self.limited, 1.0 - self.succeeds).min(1.0)
    }
}

impl EdgeState {
    /// Lets calls through the window of a closed breaker; returns whether it opens.
    ///
    /// Simplified: those that leave the window are taken for successes while failures become more,
    /// for failures while they become fewer. Chance opens nothing.
    fn count(&mut self, breaker: &Breaker, calls: Calls) -> bool {
        let window = f64::from(breaker.window.max(1));
        let count = calls.rate * calls.secs;
        self.counted = (self.counted + count).min(window);
        let moved = (count / window).min(1.0);
        self.failing = if calls.fails > self.failing {
            (self.failing + calls.fails * moved).min(calls.fails)
        } else {
            (self.failing - (1.0 - calls.fails) * moved).max(calls.fails)
        };
        let is_bad = self.failing.min(calls.fails) * 1e6 >= f64::from(breaker.failures_ppm);
        count > 0.0 && self.counted >= window && is_bad
    }
}

impl Sweep<'_> {
    /// What becomes of a call, and of the habits of its caller.
    pub(super) fn call(&self, edge: EdgeIdx, state: &mut State, secs: f64, room: &mut Room) {
        if let Some(number) = self.graph.edges.all[edge].sticky {
            return self.call_of_sticky(edge, number, state, secs, room);
        }
        let attempts = self.attempts(edge, self.whole(edge, room), None, room);
        if self.vain(edge, room) > 0.0 {
            return self.call_of_writers(edge, attempts, state, secs, room);
        }
        let policy = &self.graph.edges.all[edge].policy;
        let tries = attempts.tries(policy);
        let Attempts { succeeds, delay, late, worst, .. } = attempts;
        let work = &mut room.edges[edge];
        let memory = &mut state.edges[edge];
        if secs > 0.0 {
            let wanted = work.first * tries.retries;
            let aim = memory.afford(policy, work.first, wanted, secs);
            (memory.extra_waited, memory.extra) =
                tries.later(memory.extra_waited, memory.extra, aim, secs);
            memory.extra_in_vain = 0.0;
            let calls = Calls { rate: work.first + memory.extra, fails: 1.0 - succeeds, secs };
            self.watch_breaker(policy, calls, tries.failure_secs, memory);
        }
        let retries = share(memory.extra, work.first);
        let is_open = memory.open_until.is_some_and(|until| until > self.at);
        work.answered = if is_open { 0.0 } else { ((1.0 + retries) * succeeds).min(1.0) };
        work.fine = work.answered;
        work.limited = if is_open { 0.0 } else { attempts.limited_of(work.answered) };
        work.delay = delay;
        (work.late, work.steps) = (of_retries(retries, tries.late_by), late);
        if secs > 0.0 {
            let answer = succeeds * (work.delay.whole_mean() + late.mean());
            let attempt = answer + (1.0 - succeeds) * tries.failure_secs;
            let response = (1.0 + retries) * attempt + tries.pause_secs;
            memory.response = if is_open { 0.0 } else { response };
        }
        work.worst =
            if is_open { Worst { reason: LossReason::BreakerOpen, share: 1.0 } } else { worst };
    }

    /// The same of callers who stay with a pod: each meets that one again when it tries again.
    ///
    /// Simplified: callers get used to a change in the mean time in which attempts at their pod fail, whether
    /// they wait for that or are told (`Tries::later` keeps these apart): a pod is mostly either silent or not.
    fn call_of_sticky(
        &self,
        edge: EdgeIdx,
        number: usize,
        state: &mut State,
        secs: f64,
        room: &mut Room,
    ) {
        let spec = &self.graph.edges.all[edge];
        let (policy, first) = (&spec.policy, room.edges[edge].first);
        let at = self.graph.stickies[number].at;
        let branches = &self.routes[edge].branches;
        let all: Vec<(Attempts, Tries)> = branches
            .iter()
            .map(|branch| {
                let met = self.limited(edge, room, room.nodes[branch.station]);
                let attempts = self.attempts(edge, met, Some(branch.station), room);
                (attempts, attempts.tries(policy))
            })
            .collect();
        let memory = &mut state.edges[edge];
        if secs > 0.0 {
            let parts = branches.iter().zip(&all);
            let wanted: f64 =
                parts.map(|(branch, (_, tries))| first * branch.share * tries.retries).sum();
            let part = share(memory.afford(policy, first, wanted, secs), wanted);
            let mut kept = vec![0.0; self.graph.nodes[spec.callee].stations.len()];
            for (branch, (_, tries)) in branches.iter().zip(&all) {
                let place = branch.station - spec.callee;
                let aim = first * branch.share * tries.retries * part;
                let left = libm::exp(-secs / tries.habit_secs);
                kept[place] = aim + (state.kept[at + place] - aim) * left;
            }
            memory.extra = kept.iter().sum();
            state.kept[at..at + kept.len()].copy_from_slice(&kept);
        }
        let memory = &mut state.edges[edge];
        let mut sum = EdgeWork { delay: Delay::default(), ..room.edges[edge] };
        (sum.answered, sum.limited, sum.worst) = (0.0, 0.0, Worst::default());
        let (mut succeeds, mut response, mut failure, mut late) =
            (0.0, 0.0, 0.0, Worsts::default());
        let (mut retried, mut retried_by, mut most) = (0.0, 0.0, 0.0);
        for (branch, (attempts, tries)) in branches.iter().zip(&all) {
            let place = at + branch.station - spec.callee;
            let retries = share(state.kept[place], first * branch.share);
            let its_answered = ((1.0 + retries) * attempts.succeeds).min(1.0);
            let answered = branch.share * its_answered;
            sum.answered += answered;
            sum.limited += branch.share * attempts.limited_of(its_answered);
            let of_all = share(answered, sum.answered);
            sum.delay = sum.delay.or(attempts.delay, of_all);
            let its_late = of_retries(retries, tries.late_by);
            retried += answered * its_late.share;
            retried_by += answered * its_late.share * its_late.by;
            if answered > most {
                (most, sum.steps) = (answered, attempts.late);
            }
            late.add(attempts.worst, branch.share);
            succeeds += branch.share * attempts.succeeds;
            let fails = branch.share * (1.0 - attempts.succeeds);
            failure += fails * tries.failure_secs;
            let answer = attempts.succeeds * (attempts.delay.whole_mean() + attempts.late.mean());
            let attempt = answer + (1.0 - attempts.succeeds) * tries.failure_secs;
            response += branch.share * ((1.0 + retries) * attempt + tries.pause_secs);
        }
        if secs > 0.0 {
            let calls = Calls { rate: first + memory.extra, fails: 1.0 - succeeds, secs };
            self.watch_breaker(policy, calls, share(failure, 1.0 - succeeds), memory);
        }
        let is_open = memory.open_until.is_some_and(|until| until > self.at);
        let by = share(retried_by, retried);
        sum.late = Late { share: share(retried, sum.answered), by, again: 0.0, times: 1 };
        sum.worst = late.largest();
        if is_open {
            (sum.answered, sum.limited) = (0.0, 0.0);
            sum.worst = Worst { reason: LossReason::BreakerOpen, share: 1.0 };
        }
        if secs > 0.0 {
            memory.response = if is_open { 0.0 } else { response };
        }
        // Simplified: that some of them write in vain makes nobody try more often.
        sum.fine = sum.answered;
        sum.answered *= 1.0 - self.vain(edge, room);
        room.edges[edge] = sum;
    }

    /// How long one waits for a name that nobody answers for, as a share of the time that its caller would.
    fn waits_for_name(&self, edge: EdgeIdx) -> f64 {
        let spec = &self.graph.edges.all[edge];
        let (Some(resolvers), Caller::Service(_)) = (&self.graph.resolvers, spec.from) else {
            return 1.0;
        };
        let timeout = spec.policy.timeout.map_or(0.0, SimSpan::as_secs_f64);
        let gives_up = resolvers.gives_up_after.as_secs_f64();
        if gives_up < timeout { gives_up / timeout } else { 1.0 }
    }

    /// Of the attempts of callers who stay with a pod, the share that comes to each: those who meet a pod
    /// that does not answer try more often.
    pub(super) fn part_attempts(&self, number: usize, first: f64, state: &State, room: &mut Room) {
        let sticky = &self.graph.stickies[number];
        let callee = self.graph.edges.all[sticky.edge].callee;
        let all = first + state.edges[sticky.edge].extra;
        for branch in &self.routes[sticky.edge].branches {
            let place = sticky.at + branch.station - callee;
            let attempts = first * branch.share + state.kept[place];
            room.parts[place] = if all > 0.0 { attempts / all } else { branch.share };
        }
    }

    /// Of the attempts of a call, the share that comes to a station.
    pub(super) fn part_of(&self, edge: EdgeIdx, branch: &Branch, room: &Room) -> f64 {
        let spec = &self.graph.edges.all[edge];
        match spec.sticky {
            None => branch.share,
            Some(number) => {
                room.parts[self.graph.stickies[number].at + branch.station - spec.callee]
            }
        }
    }

    /// What becomes of attempts that meet this: of all of a call, or of those that come to one station.
    fn attempts(
        &self,
        edge: EdgeIdx,
        mut node: NodeWork,
        station: Option<NodeIdx>,
        room: &Room,
    ) -> Attempts {
        let edges = &self.graph.edges;
        let spec = &edges.all[edge];
        if self.is_chosen(edge) {
            node = node.at_living();
        }
        let (mut answered, mut delay, mut worst) = (node.answered, node.delay, node.worst);
        let mut limited = node.limited;
        if let Caller::Client(source) = spec.from
            && let Some(upstream) = edges.sources[source].upstream
        {
            let beyond = &room.edges[upstream];
            let gateway = self.graph.nodes[spec.callee].service;
            // Clients are told of a limit, whoever keeps it.
            worst = Worst::default()
                .or(LossReason::Dependency(gateway), 1.0 - answered - limited)
                .or(LossReason::RateLimited, limited)
                .or(beyond.worst.reason, answered * beyond.worst.share);
            limited += answered * beyond.limited;
            answered *= beyond.fine;
            delay = delay.then(beyond.whole_delay());
        }
        if spec.is_denied {
            (answered, limited, delay) = (0.0, 0.0, Delay::default());
            worst = Worst { reason: LossReason::Denied, share: 1.0 };
        }
        let policy = &spec.policy;
        let is_by_station =
            self.graph.is_divided(spec.callee) && !spec.is_denied && station.is_none();
        let beyond = match spec.from {
            Caller::Client(source) => edges.sources[source].upstream,
            Caller::Gateway(_) | Caller::Service(_) => None,
        };
        let (way, patience) = (self.way(edge), self.patience(edge));
        let steps = match beyond {
            None => room.edges[edge].look_ups,
            Some(upstream) => room.edges[upstream].steps,
        };
        let steps = node.steps.then(steps).then(self.held_by_some(edge, room));
        // What becomes of those that come so much later.
        let is_patient = patience.is_some() || steps.share > 0.0;
        let at = |later: f64| {
            let later = if is_patient { later } else { 0.0 };
            let timeout = policy.timeout.map(|timeout| timeout.as_secs_f64() - later);
            let (in_time, delay) = if is_by_station {
                let beyond = beyond.map(|upstream| &room.edges[upstream]);
                let answers = self.answers(edge, beyond, timeout, room);
                (share(answers.succeeds, answers.answered), answers.delay)
            } else {
                let in_time = timeout.map_or(1.0, |secs| delay.is_over(secs));
                (in_time, timeout.map_or(delay, |secs| delay.given_over(secs)))
            };
            Answers { answered, succeeds: answered * in_time, delay }
        };
        let Through { mut entered, answers, late, mut silent } = through(way, steps, patience, at);
        let Answers { mut answered, mut succeeds, delay } = answers;
        let (found, is_silent) = self.found(edge);
        if way.is_some() {
            worst.share *= entered;
            worst = worst.or(lost_on_the_way(way, self.is_chosen(edge)), 1.0 - entered);
        }
        if found < 1.0 {
            let waits = if is_silent { (1.0 - found) * self.waits_for_name(edge) } else { 0.0 };
            (entered, silent) = (entered * found, silent * found + waits);
            (answered, succeeds, worst.share) =
                (answered * found, succeeds * found, worst.share * found);
            worst = worst.or(LossReason::Name, 1.0 - found);
        }
        limited *= entered;
        worst = worst.or(LossReason::TimedOut, answered - succeeds);
        // Dead endpoints say nothing; where there are none, that is said at once.
        let dead_at = |node: NodeIdx| {
            let is_none_ready = self.inputs.endpoints[node].ready_count == 0;
            if is_none_ready { 0.0 } else { 1.0 - room.nodes[node].alive }
        };
        let dead = match (spec.is_denied, self.is_chosen(edge), station) {
            (true, ..) => 1.0,
            (false, true, _) => 0.0,
            (false, false, Some(station)) => dead_at(station),
            (false, false, None) => {
                let dropped = self.routes.get(edge).map_or(0.0, |route| route.dropped);
                self.mixed(edge, room, dead_at) + dropped
            }
        };
        let silent = dead * entered + silent + self.silent_of_store(edge, node.alive, room);
        Attempts { answered, succeeds, limited, silent, delay, late, worst }
    }

    /// Of a call, the share that is answered well, the share of it that is so in time, and how long
    /// the answers in time take. Where stations answer differently fast, each is looked at.
    fn answers(
        &self,
        edge: EdgeIdx,
        beyond: Option<&EdgeWork>,
        timeout: Option<f64>,
        room: &Room,
    ) -> Answers {
        let (passes, then) =
            beyond.map_or((1.0, Delay::default()), |it| (it.fine, it.whole_delay()));
        let (passes, then) = (passes * room.edges[edge].let_in, then.then(self.held(edge)));
        let mut answers = Answers::default();
        for Branch { station, share: part, .. } in &self.routes[edge].branches {
            let work = &room.nodes[*station];
            let delay = work.delay.then(then);
            let in_time = timeout.map_or(1.0, |secs| delay.is_over(secs));
            let answered = part * work.answered * passes;
            answers.answered += answered;
            answers.succeeds += answered * in_time;
            let its = timeout.map_or(delay, |secs| delay.given_over(secs));
            answers.delay = answers.delay.or(its, share(answered * in_time, answers.succeeds));
        }
        answers
    }

    /// Opens a breaker, or closes it when what it protects is well again. Nobody called before time
    /// zero.
    pub(super) fn watch_breaker(
        &self,
        policy: &CallPolicy,
        calls: Calls,
        failure_secs: f64,
        memory: &mut EdgeState,
    ) {
        let is_open = memory.open_until.is_some_and(|until| until > self.at);
        let Some(breaker) = policy.breaker.filter(|_| !is_open && self.at > SimTime::ZERO) else {
            return;
        };
        let is_trial = memory.open_until.is_some();
        let is_bad = if is_trial {
            calls.rate > 0.0 && calls.fails * 1e6 >= f64::from(breaker.failures_ppm)
        } else {
            memory.count(&breaker, calls)
        };
        if is_bad {
            // Where calls fail anyway, it only matters that it closes so much later as it takes
            // until it is known that they failed, and until there were enough of them.
            let trials = if is_trial { f64::from(breaker.trials) / calls.rate } else { 0.0 };
            let pause = SimSpan::from_secs_f64_rounded(failure_secs + trials);
            let open_until = self.at.saturating_add(pause).saturating_add(breaker.open_for);
            *memory =
                EdgeState { open_until: Some(open_until), counted: 0.0, failing: 0.0, ..*memory };
        } else if calls.rate > 0.0 {
            memory.open_until = None;
        }
    }
}

impl EdgeState {
    /// Of the retries that callers want per second, those that their budget lets them make; what they do
    /// not make they save up.
    pub(super) fn afford(
        &mut self,
        policy: &CallPolicy,
        first: f64,
        wanted: f64,
        secs: f64,
    ) -> f64 {
        let Some(ppm) = policy.retry_budget_ppm else { return wanted };
        let pays = first * f64::from(ppm) / 1e6;
        let aim = wanted.min(pays + self.saved / SAVINGS_SPENT_SECS);
        let saved = self.saved + (pays - self.extra.min(aim)) * secs;
        self.saved = saved.clamp(0.0, pays * BUDGET_SECS);
        aim
    }
}

/// Losses of parts of a call, by reason.
#[derive(Debug, Default)]
struct Worsts {
    all: Vec<Worst>,
}

impl Worsts {
    fn add(&mut self, worst: Worst, part: f64) {
        let lost = worst.share * part;
        match self.all.iter_mut().find(|known| known.reason == worst.reason) {
            Some(known) => known.share += lost,
            None => self.all.push(Worst { reason: worst.reason, share: lost }),
        }
    }

    fn largest(&self) -> Worst {
        self.all.iter().fold(Worst::default(), |worst, it| worst.or(it.reason, it.share))
    }
}

/// What retries make of answers.
pub(super) fn of_retries(retries: f64, by: f64) -> Late {
    Late { share: retries / (1.0 + retries), by, again: 0.0, times: 1 }
}

/// Why those are lost that do not come through.
fn lost_on_the_way(way: Option<Way>, is_chosen: bool) -> LossReason {
    match (is_chosen, way) {
        (false, _) => LossReason::LoadBalancer,
        (true, Some(Way::Closed)) => LossReason::NoEndpoints,
        (true, _) => LossReason::DeadEndpoints,
    }
}
