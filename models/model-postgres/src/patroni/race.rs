//! The race for a free key, from the first request to the promotion.

use super::decision::{Action, Fitness, Peer, SyncKey, fitness, rivals};
use super::{ANSWER_TIMEOUT, Stage};
use crate::cluster::{Cluster, Port};
use crate::databases::Leadership;
use crate::instance::Role;
use crate::names::Names;
use crate::position::units_between;
use crate::rare;

impl Cluster {
    pub(crate) fn rivals_of(&self, ordinal: u8) -> Option<Names> {
        let patroni = self.patroni();
        rivals(patroni.settings.is_synchronous, patroni.sync, ordinal)
    }

    /// The key is free, and this member's PostgreSQL is a standby.
    pub(super) fn race(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.rivals_of(ordinal).is_none() {
            return;
        }
        match self.patroni().handover {
            Some(wish) if wish.candidate == Some(ordinal) => {
                self.stay(port, ordinal, Stage::Taking);
            }
            _ => self.ask(port, ordinal, Stage::Asking),
        }
    }

    /// The others have answered, or have not.
    pub(super) fn asked(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.patroni().holder.is_some() || !self.has_store(port, ordinal) {
            return;
        }
        let is_fit = match self.patroni().handover {
            None => self.fitness_of(port, ordinal, Names::NONE, true) == Fitness::Fit,
            Some(wish) => {
                let is_awaited =
                    |other: u8| other != ordinal && self.is_promotable(port, ordinal, other);
                let excluded = Names::NONE.with(wish.leader);
                if wish.candidate.is_some_and(is_awaited) {
                    false
                } else if wish.leader == ordinal {
                    !self.ordinals().any(is_awaited)
                } else {
                    self.fitness_of(port, ordinal, excluded, false) == Fitness::Fit
                }
            }
        };
        if is_fit {
            self.stay(port, ordinal, Stage::Taking);
        } else if self.patroni().handover.is_some() {
            // Gives somebody else time to take the key.
            self.stay_for(port, ordinal, Stage::Yielding, ANSWER_TIMEOUT);
        }
    }

    /// Whether another member could be promoted, as this one sees it.
    pub(super) fn is_promotable(&self, port: &impl Port, from: u8, other: u8) -> bool {
        let instance = self.at(other);
        self.is_answering(port, from, other) && instance.is_running() && !instance.is_open
    }

    pub(crate) fn fitness_of(
        &self,
        port: &mut impl Port,
        ordinal: u8,
        excluded: Names,
        counts_lag: bool,
    ) -> Fitness {
        let patroni = self.patroni();
        let Some(rivals) = self.rivals_of(ordinal) else { return Fitness::Behind };
        let position = self.received_of(port, ordinal);
        let wal = self.setup.wal_bytes_per_second;
        let lag = units_between(position, patroni.status.position_ns, wal);
        let asked = self
            .ordinals()
            .filter(|&other| other != ordinal && rivals.has(other) && !excluded.has(other));
        let peers: Vec<Peer> = asked
            .filter(|&other| self.is_answering(port, ordinal, other) && self.at(other).is_running())
            .map(|other| Peer {
                is_primary: self.at(other).is_open,
                position: self.received_of(port, other),
                is_former_leader: patroni.sync.is_some_and(|key| key.leader == other),
            })
            .collect();
        let verdict = fitness(
            position,
            counts_lag.then_some(lag),
            patroni.settings.maximum_lag_on_failover_bytes,
            patroni.settings.is_synchronous,
            &peers,
        );
        match verdict {
            Fitness::Lagging => port.hit(&rare::CANDIDATE_LAGS),
            Fitness::PrimaryAlive => port.hit(&rare::PRIMARY_STILL_ANSWERS),
            Fitness::Fit | Fitness::Behind => {}
        }
        verdict
    }

    /// The store decides who has the key.
    pub(super) fn take(&mut self, port: &mut impl Port, ordinal: u8) {
        if !self.has_store(port, ordinal) || self.patroni().holder.is_some() {
            return;
        }
        self.renew(port, ordinal);
        self.set_holder(port, Some(ordinal));
        self.patroni_mut().handover = None;
        self.prepare(port, ordinal);
    }

    /// Has the key: looks at the cluster once more, and in synchronous mode writes down that
    /// nobody else may be promoted.
    pub(super) fn prepare(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.current != ordinal
            && let Some(from) = self.at(self.current).pod
        {
            self.observe_failover(port, from);
        }
        self.stay(port, ordinal, Stage::Preparing);
    }

    pub(super) fn prepared(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.patroni().holder != Some(ordinal) || !self.at(ordinal).is_running() {
            return;
        }
        if self.at(ordinal).is_open {
            self.reclaim(port, ordinal);
            return;
        }
        if self.patroni().settings.is_synchronous {
            self.patroni_mut().sync = Some(SyncKey { leader: ordinal, standbys: Names::NONE });
        }
        self.tell_leadership(port, ordinal, Leadership::Promotes);
        let span = self.step_span(port, ordinal);
        self.act_for(port, ordinal, Action::Promote, span);
    }

    /// Asks whether somebody can take over, and hands over if so.
    pub(super) fn offered(&mut self, port: &mut impl Port, ordinal: u8) {
        let Some(wish) = self.patroni().handover else { return };
        let patroni = self.patroni();
        let synchronous = patroni.sync.filter(|_| patroni.settings.is_synchronous);
        let wal = self.setup.wal_bytes_per_second;
        let can_follow = |other: u8| {
            let is_meant = wish.candidate.is_none_or(|candidate| candidate == other);
            let is_listed = synchronous.is_none_or(|key| key.standbys.has(other));
            let has = self.received_of(port, other);
            let lag = units_between(has, self.patroni().status.position_ns, wal);
            other != ordinal
                && is_meant
                && is_listed
                && self.is_promotable(port, ordinal, other)
                && self.at(other).role == Role::Standby
                && lag <= self.patroni().settings.maximum_lag_on_failover_bytes
        };
        if self.ordinals().any(can_follow) {
            let span = self.step_span(port, ordinal);
            self.act_for(port, ordinal, Action::Demote, span);
        } else {
            port.hit(&rare::HANDOVER_REFUSED);
            self.patroni_mut().handover = None;
        }
    }

    /// Somebody asks a leader to hand over: its REST API looks whether that is possible, writes
    /// the wish down and wakes the loop.
    pub(crate) fn request_handover(&mut self, port: &mut impl Port, candidate: Option<u8>) {
        let holder = self.patroni().holder;
        let hears = |leader: &u8| {
            let member = self.patroni().at(*leader);
            member.is_alive && !member.is_frozen && member.stage == Stage::Idle
        };
        let patroni = self.patroni();
        let synchronous = patroni.sync.filter(|_| patroni.settings.is_synchronous);
        let is_listed =
            candidate.zip(synchronous).is_none_or(|(candidate, key)| key.standbys.has(candidate));
        if !is_listed {
            port.hit(&rare::HANDOVER_REFUSED);
        } else if let Some(leader) = holder.filter(hears) {
            self.patroni_mut().handover = Some(super::Handover { leader, candidate });
            let steps = self.step_span(port, leader) + self.step_span(port, leader);
            self.patroni_mut().at_mut(leader).quiet_turns = 0;
            self.turn_at(port, leader, port.now() + steps);
        }
    }
}
