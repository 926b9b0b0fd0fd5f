//! All names of a platform in time: which entrances they lead to, and when clients learn of a change.
//!
//! # Modelled
//! Checks of entrances on a grid of their own, and records that follow their verdicts. Clients and their
//! resolvers keep an answer for its TTL, some clients longer or for as long as they run. While name
//! servers are away records stay, and what nobody keeps any more is not found; a failure is kept for a
//! while too.
//! # Not modelled
//! Names of which a resolver keeps each address by itself; clients that try another address of an answer;
//! answers that differ by where a client is; serving stale answers (RFC 8767). Simplified: answers were
//! kept since moments that are spread evenly over their TTL, so that clients learn of a change evenly over
//! the TTL that follows it; a change within that time starts from what they knew then.
//! # Defaults and their sources
//! `DnsName` and `RecordCheck` of the vocabulary; DL-5 of the specification of platform services.
//! # Invariants
//! A name to which nothing happens has no event. The weights of the records of a name are one together.
//! With no record that is found well all of them are listed.
//! # Checked against
//! `tests/it/names.rs`.

use std::sync::Arc;

use model_api::dns::{Answers, DnsFault, DnsName, RecordCheck};
use model_api::observation::GatewayFact;
use model_api::{Blueprint, Observation};
use sim_kernel::{
    Context, EntityKey, Priority, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::balancer::next_on_grid;
use crate::{GatewayEvent, rare};

/// After machines and nodes have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

const CHECKS: Purpose = Purpose::new("first check of a record");

/// Whole of the weights of a name.
const WHOLE_MILLI: u64 = 1000;

/// What clients of a name get to know from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// By record, in thousandths: which share of the clients it leads there.
    pub weights_milli: Vec<u64>,
    /// In thousandths: which share of the clients finds it at all.
    pub found_milli: u64,
    /// Who does not find it is led to an address where nobody answers.
    pub is_silent: bool,
    /// How long it takes until all of them know.
    pub within: SimSpan,
    /// The same of those that keep answers longer; they never get to know when `None`.
    pub keeping_within: Option<SimSpan>,
}

/// When a check has another verdict on an entrance that turned at `at`, and name servers answer
/// accordingly; `grid` is some moment at which it was checked.
pub fn judged_at(check: &RecordCheck, answers: bool, grid: SimTime, at: SimTime) -> SimTime {
    let first = next_on_grid(grid, check.interval, at);
    let count = if answers { check.successes } else { check.failures };
    let rest = check.interval.saturating_mul(u64::from(count.max(1) - 1));
    let last = first.saturating_add(rest);
    let known = if answers { last } else { last.saturating_add(check.timeout) };
    known.saturating_add(check.publish_after)
}

/// The share of the clients that each record gets, in thousandths.
pub fn weights_milli(answers: Answers, are_listed: &[bool]) -> Vec<u64> {
    // Nothing helps where none is well: all of them are as good as any.
    let is_any = are_listed.contains(&true);
    let is_listed = |idx: usize| !is_any || are_listed[idx];
    let listed: Vec<usize> = (0..are_listed.len()).filter(|idx| is_listed(*idx)).collect();
    let mut weights = vec![0; are_listed.len()];
    match answers {
        Answers::First => weights[listed[0]] = WHOLE_MILLI,
        Answers::All => {
            let count = listed.len() as u64;
            for (place, idx) in (0_u64..).zip(listed) {
                weights[idx] = WHOLE_MILLI * (place + 1) / count - WHOLE_MILLI * place / count;
            }
        }
    }
    weights
}

#[derive(Clone, Copy, Debug)]
struct Record {
    is_answering: bool,
    is_listed: bool,
    grid: SimTime,
    timer: Timer,
}

#[derive(Clone, Debug)]
struct State {
    records: Vec<Record>,
    fault: Option<DnsFault>,
    told: Option<Answer>,
    is_dirty: bool,
}

/// The names of one run. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct Names {
    blueprint: Arc<Blueprint>,
    states: Vec<State>,
}

impl Names {
    /// The names of a blueprint, all entrances answering.
    pub fn new(blueprint: &Arc<Blueprint>, streams: Streams) -> Self {
        let state = |name: &DnsName| {
            let key = EntityKey::of("name").child(&name.name);
            let record = |record: &model_api::ServiceId| {
                let most = name.check.map_or(SimSpan::ZERO, |check| check.interval);
                let key = key.child(&blueprint.service_name(*record));
                let phase = streams.draw(key, CHECKS, 0).span_between(SimSpan::ZERO, most);
                let grid = SimTime::ZERO + phase;
                Record { is_answering: true, is_listed: true, grid, timer: Timer::NONE }
            };
            State {
                records: name.records.iter().map(record).collect(),
                fault: None,
                told: None,
                is_dirty: true,
            }
        };
        Self {
            states: blueprint.names.iter().map(state).collect(),
            blueprint: Arc::clone(blueprint),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Tells whether the entrance of a record answers.
    pub fn set_record<E, R>(
        &mut self,
        (name, record): (usize, usize),
        is_answering: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let known = &mut self.states[name].records[record];
        if std::mem::replace(&mut known.is_answering, is_answering) == is_answering {
            return;
        }
        if ctx.cancel(known.timer) {
            ctx.hit(&rare::names::RECORD_BACK_IN_TIME);
        }
        known.timer = Timer::NONE;
        let Some(check) = self.blueprint.names[name].check else { return };
        if known.is_listed != is_answering {
            let at = judged_at(&check, is_answering, known.grid, ctx.now());
            let event = GatewayEvent::RecordDue(number(name), number(record));
            known.timer = ctx.timer_at(at, PRIORITY, event);
        }
    }

    /// Tells what is wrong with a name from now on.
    pub fn set_fault(&mut self, name: usize, fault: Option<DnsFault>) {
        self.states[name].fault = fault;
        self.states[name].is_dirty = true;
    }

    /// Takes an event of names.
    pub fn handle<E, R>(&mut self, event: GatewayEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let GatewayEvent::RecordDue(name, record) = event else { return };
        let state = &mut self.states[name as usize];
        let known = &mut state.records[record as usize];
        known.is_listed = known.is_answering;
        let is_answering = known.is_listed;
        state.is_dirty = true;
        ctx.hit(&rare::names::RECORD_CHANGED);
        let service = self.blueprint.names[name as usize].records[record as usize];
        ctx.observe(|| {
            Observation::Gateway(GatewayFact::RecordJudged { name, service, is_answering })
        });
    }

    /// Tells of each name whose answer is another one than when it was looked at last.
    pub fn take_answers<E, R>(
        &mut self,
        ctx: &mut Context<'_, E, R>,
        mut tell: impl FnMut(usize, &Answer),
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        for (idx, state) in self.states.iter_mut().enumerate() {
            if !std::mem::take(&mut state.is_dirty) {
                continue;
            }
            let name = &self.blueprint.names[idx];
            let answer = state.answer(name, ctx.now());
            if let Some(told) = &state.told
                && (&told.weights_milli, told.found_milli)
                    == (&answer.weights_milli, answer.found_milli)
            {
                continue;
            }
            tell(idx, &answer);
            state.told = Some(answer);
        }
    }
}

impl State {
    fn answer(&self, name: &DnsName, now: SimTime) -> Answer {
        let are_listed: Vec<bool> = self.records.iter().map(|record| record.is_listed).collect();
        let listed = weights_milli(name.answers, &are_listed);
        let told = self.told.as_ref();
        let was_lost = told.filter(|told| told.found_milli == 0);
        let weights_milli = match (self.fault, told) {
            // Nobody hears of other records.
            (Some(DnsFault::Outage), Some(told)) => told.weights_milli.clone(),
            _ => listed,
        };
        let is_first = told.is_none() && now == SimTime::ZERO;
        let after_failure = was_lost.filter(|told| !told.is_silent && self.fault.is_none());
        let (within, keeping_within) = match (is_first, after_failure) {
            (true, _) => (SimSpan::ZERO, Some(SimSpan::ZERO)),
            (false, Some(_)) => (name.negative_ttl, Some(name.negative_ttl)),
            (false, None) => (name.ttl, name.kept_for),
        };
        Answer {
            weights_milli,
            found_milli: if self.fault.is_some() { 0 } else { WHOLE_MILLI },
            is_silent: match self.fault {
                Some(fault) => fault == DnsFault::WrongRecord,
                None => was_lost.is_some_and(|told| told.is_silent),
            },
            within,
            keeping_within,
        }
    }
}

fn number(idx: usize) -> u32 {
    u32::try_from(idx).expect("names are limited far below 2^32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_turns_after_as_many_intervals_as_it_must() {
        let check = RecordCheck { publish_after: SimSpan::from_secs(60), ..RecordCheck::default() };
        let at = SimTime::from_secs;
        // At 105, 135 and 165 s, the last one known ten seconds later, in the zone a minute after that.
        assert_eq!(judged_at(&check, false, at(15), at(100)), at(235));
        assert_eq!(judged_at(&check, true, at(15), at(105)), at(225));
        let hasty = RecordCheck { failures: 1, publish_after: SimSpan::ZERO, ..check };
        assert_eq!(judged_at(&hasty, false, at(15), at(100)), at(115));
    }

    #[test]
    fn weights_are_one_together() {
        assert_eq!(weights_milli(Answers::All, &[true; 3]), [333, 333, 334]);
        assert_eq!(weights_milli(Answers::All, &[true, false, true]), [500, 0, 500]);
        assert_eq!(weights_milli(Answers::All, &[false; 2]), [500, 500]);
        assert_eq!(weights_milli(Answers::First, &[true, true]), [1000, 0]);
        assert_eq!(weights_milli(Answers::First, &[false, true]), [0, 1000]);
        assert_eq!(weights_milli(Answers::First, &[false, false]), [1000, 0]);
    }
}
