//! Commits of which nobody was told how they ended: their connection broke between commit and answer.
//!
//! A commit is under way from the moment its client sends it until the client hears. On the way it is
//! written to the primary's disk, and may wait there for standbys. When the primary goes, or the network
//! between, its outcome is unknown: it may be in the database that goes on, or not. Such commits are
//! stretches of a primary's stream, from the last one whose client has heard to the last one sent.

use model_api::Observation;
use sim_kernel::{Purpose, SimSpan};

use crate::cluster::{Cluster, Port};
use crate::position::{Mark, units_between};
use crate::rare;

const ROUND_TRIP: Purpose = Purpose::new("postgres commit round trip");

/// A stretch of a primary's stream whose clients never heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) ordinal: u8,
    /// Up to here clients were told.
    pub(crate) from_ns: u64,
    /// Up to here it is on the disk of its primary.
    pub(crate) flushed_ns: u64,
    /// Up to here it was sent; what is beyond the disk never arrived.
    pub(crate) sent_ns: u64,
}

/// How many commits of unknown outcome ended which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcomes {
    durable: u64,
    lost: u64,
    undecided: u64,
}

/// What becomes of a primary's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The database goes on with everything up to a position.
    Kept(u64),
    /// Nobody knows yet.
    Open,
}

impl Unknown {
    /// Splits it where its stream ends.
    pub(crate) fn outcomes(&self, fate: Fate, commits_per_second: u64) -> Outcomes {
        let units = |from, until| units_between(from, until, commits_per_second);
        let end = self.flushed_ns.max(self.from_ns);
        let unsent = units(end, self.sent_ns.max(end));
        match fate {
            Fate::Kept(until_ns) => {
                let kept = until_ns.clamp(self.from_ns, end);
                let durable = units(self.from_ns, kept);
                Outcomes { durable, lost: units(kept, end) + unsent, undecided: 0 }
            }
            Fate::Open => {
                Outcomes { undecided: units(self.from_ns, end), lost: unsent, durable: 0 }
            }
        }
    }

    /// How much of it lies between two positions, as a stretch.
    pub(crate) fn within(&self, from_ns: u64, until_ns: u64) -> (u64, u64) {
        let from = self.from_ns.max(from_ns);
        (from, self.flushed_ns.min(until_ns).max(from))
    }
}

/// What is left of a stretch of a stream without what others of it cover.
fn without(from_ns: u64, until_ns: u64, others: &[Unknown]) -> Vec<(u64, u64)> {
    let mut left = vec![(from_ns, until_ns)];
    for other in others {
        let cut = |(from, until): (u64, u64)| {
            [(from, until.min(other.from_ns)), (from.max(other.flushed_ns), until)]
        };
        left = left.into_iter().flat_map(cut).filter(|(from, until)| from < until).collect();
    }
    left.retain(|(from, until)| from < until);
    left
}

impl Cluster {
    /// From a primary to its clients, when connections next break.
    pub(crate) fn half_round_trip(&self, port: &impl Port) -> SimSpan {
        let range = port.parameters().commit_round_trip;
        let round = port.draw(self.setup.key, ROUND_TRIP, self.break_count, range);
        SimSpan::from_nanos(round.as_nanos() / 2)
    }

    /// Connections to an open instance break now: whoever waited for an answer gets none. Returns up to
    /// where clients were told.
    ///
    /// Simplified: when a zone is cut off, clients inside it lose what was under way as well.
    pub(crate) fn break_connections(&mut self, port: &mut impl Port, ordinal: u8) -> Mark {
        let now = port.now();
        let half = self.half_round_trip(port);
        self.break_count += 1;
        self.broken_at = now;
        let instance = self.at(ordinal);
        let lags = self.lags(port, ordinal, false);
        let confirmed = self.acknowledged_at(ordinal, &lags, now);
        let acknowledged =
            confirmed.map_or(instance.acknowledged, |it| it.max(instance.acknowledged));
        let writer = &instance.writer;
        let heard = writer.at(now.saturating_sub(half)).min(acknowledged);
        let told_before = self.unknowns.iter().filter(|it| it.ordinal == ordinal);
        let told_before = told_before.map(|it| it.flushed_ns).max().unwrap_or(0);
        let from_ns = heard.position_ns.max(told_before);
        let flushed_ns = writer.at(now).position_ns;
        let sent_ns = writer.at(now.saturating_add(half)).position_ns;
        let told =
            if heard.position_ns < from_ns { writer.told(acknowledged, from_ns) } else { heard };
        if sent_ns > from_ns && self.setup.commits_per_second > 0 {
            self.unknowns.push(Unknown { ordinal, from_ns, flushed_ns, sent_ns });
        }
        told
    }

    /// An old primary's stream was cut: tells what of its unknown commits is lost. The rest is part of
    /// the present primary's stream, and may still be lost with that one.
    pub(crate) fn hand_on_unknowns(&mut self, port: &mut impl Port, ordinal: u8, kept_ns: u64) {
        let (heir, fate) = (self.current, Fate::Kept(kept_ns));
        let mut lost = 0;
        let (of_old, mut rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unknowns).into_iter().partition(|it| it.ordinal == ordinal);
        // An heir whose own connections broke before has what it took over among what nobody heard.
        let of_heir: Vec<Unknown> = rest.iter().filter(|it| it.ordinal == heir).copied().collect();
        for unknown in of_old {
            lost += unknown.outcomes(fate, self.setup.commits_per_second).lost;
            let until_ns = unknown.flushed_ns.min(kept_ns);
            for (from_ns, until_ns) in without(unknown.from_ns, until_ns, &of_heir) {
                let (flushed_ns, sent_ns) = (until_ns, until_ns);
                rest.push(Unknown { ordinal: heir, from_ns, flushed_ns, sent_ns });
            }
        }
        self.unknowns = rest;
        self.tell_unknowns(port, Outcomes { lost, ..Outcomes::default() });
    }

    /// At the end of a run: tells how the unknown commits of an instance ended.
    pub(crate) fn settle_unknowns(&mut self, port: &mut impl Port, ordinal: u8, fate: Fate) {
        let of_it = self.unknowns.iter().filter(|it| it.ordinal == ordinal);
        let sum = of_it.fold(Outcomes::default(), |sum, unknown| {
            let outcomes = unknown.outcomes(fate, self.setup.commits_per_second);
            Outcomes {
                durable: sum.durable + outcomes.durable,
                lost: sum.lost + outcomes.lost,
                undecided: sum.undecided + outcomes.undecided,
            }
        });
        self.tell_unknowns(port, sum);
    }

    fn tell_unknowns(&self, port: &mut impl Port, outcomes: Outcomes) {
        if outcomes == Outcomes::default() {
            return;
        }
        port.hit(&rare::COMMITS_UNKNOWN);
        port.observe(Observation::CommitsUnknown {
            database: self.setup.id,
            durable_count: outcomes.durable,
            lost_count: outcomes.lost,
            undecided_count: outcomes.undecided,
        });
    }

    /// Commits of a stretch that clients were told of, without those whose clients never heard.
    pub(crate) fn told_between(&self, ordinal: u8, from_ns: u64, until_ns: u64, per_s: u64) -> u64 {
        let of_nobody = self.unknowns.iter().filter(|it| it.ordinal == ordinal).map(|unknown| {
            let (from, until) = unknown.within(from_ns, until_ns);
            units_between(from, until, per_s)
        });
        units_between(from_ns, until_ns, per_s).saturating_sub(of_nobody.sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_cut_where_the_stream_ends() {
        // Ten a second: told up to 1 s, on disk up to 2 s, sent up to 2.5 s.
        let unknown = Unknown {
            ordinal: 0,
            from_ns: 1_000_000_000,
            flushed_ns: 2_000_000_000,
            sent_ns: 2_500_000_000,
        };
        // Kept up to, in milliseconds; durable, lost, undecided.
        let cases = [
            (Some(500), 0, 15, 0),
            (Some(1_300), 3, 12, 0),
            (Some(2_000), 10, 5, 0),
            (Some(9_000), 10, 5, 0),
            (None, 0, 5, 10),
        ];
        for (kept, durable, lost, undecided) in cases {
            let fate = kept.map_or(Fate::Open, |millis: u64| Fate::Kept(millis * 1_000_000));
            let expected = Outcomes { durable, lost, undecided };
            assert_eq!(unknown.outcomes(fate, 10), expected, "{fate:?}");
        }
    }

    #[test]
    fn what_is_covered_already_is_left_out() {
        let of_heir = [(20, 30), (50, 60)].map(|(from_ns, flushed_ns)| Unknown {
            ordinal: 1,
            from_ns,
            flushed_ns,
            sent_ns: 99,
        });
        for (stretch, left) in [
            ((0, 10), vec![(0, 10)]),
            ((0, 100), vec![(0, 20), (30, 50), (60, 100)]),
            ((25, 55), vec![(30, 50)]),
            ((22, 28), vec![]),
            ((40, 40), vec![]),
        ] {
            assert_eq!(without(stretch.0, stretch.1, &of_heir), left, "{stretch:?}");
        }
    }
}
