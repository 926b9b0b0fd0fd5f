//! The store: leases, the leader key, who learns of its changes.

use model_api::blueprint::PatroniStore;
use model_api::parameters::Range;
use sim_kernel::{Purpose, SimSpan, SimTime, Timer};

use super::{Patroni, Stage};
use crate::cluster::{Cluster, Port};
use crate::databases::{Leadership, PgNotice};
use crate::event::PgEvent;

/// etcd looks for expired leases twice a second (`lease/lessor.go`, `runLoop`).
const LEASE_CHECK: Range = Range::millis(0, 500);
/// From the loss of etcd's leader to a new one: election time-out 1 s, up to twice that
/// (`raft/raft.go`), and the vote.
const ELECTION: Range = Range::millis(1_000, 2_100);
/// What a new leader of etcd adds to the full length of every lease: one election time-out
/// (`lessor.Promote`, called in `etcdserver/server.go`).
const LEASE_EXTENSION: SimSpan = SimSpan::from_secs(1);

/// A vote that comes to nothing, and its chance in percent: a voter that heard of the old leader
/// less than one election time-out ago ignores the candidate, or both ask at once (`Step` of
/// `raft/raft.go` with `checkQuorum`). Of two voters whose time-outs are 10 to 19 ticks and whose
/// ticks have any phase, every tenth pair does.
const VAIN_VOTE: Range = Range::millis(0, 99);
const VAIN_VOTE_PERCENT: u64 = 10;
/// After it each candidate waits for another time-out.
const SECOND_ELECTION: Range = Range::millis(1_000, 1_900);

const LEASE_CHECKED: Purpose = Purpose::new("patroni lease checked");
const ELECTING: Purpose = Purpose::new("patroni etcd election");
const VOTING: Purpose = Purpose::new("patroni etcd vain vote");
const ELECTING_AGAIN: Purpose = Purpose::new("patroni etcd second election");

impl Cluster {
    pub(crate) fn patroni(&self) -> &Patroni {
        self.patroni.as_ref().expect("only called for clusters that Patroni manages")
    }

    pub(crate) fn patroni_mut(&mut self) -> &mut Patroni {
        self.patroni.as_mut().expect("only called for clusters that Patroni manages")
    }

    /// A span of a member's own work; small values are likelier.
    pub(crate) fn pace_span(
        &mut self,
        port: &impl Port,
        ordinal: u8,
        purpose: Purpose,
        range: Range,
    ) -> SimSpan {
        let key = self.key_of(ordinal);
        let member = self.patroni_mut().at_mut(ordinal);
        member.draw_count += 1;
        let occurrence = member.draw_count;
        port.draw_skewed(key, purpose, occurrence, range)
    }

    /// Whether the store can be written to by a member.
    pub(crate) fn has_store(&self, port: &impl Port, ordinal: u8) -> bool {
        let patroni = self.patroni();
        let zone = self.at(ordinal).zone;
        match patroni.settings.store {
            PatroniStore::Kubernetes => port.is_api_reachable(zone),
            PatroniStore::Etcd => {
                let lives = |other: &u8| {
                    let member = patroni.at(*other);
                    member.has_live_store() && port.is_reachable(zone, self.at(*other).zone)
                };
                let count = self.ordinals().filter(lives).count();
                count > self.instances.len() / 2 && !port.is_pending(patroni.election)
            }
        }
    }

    fn is_store_leader_up(&self, port: &impl Port) -> bool {
        let patroni = self.patroni();
        let leader = patroni.at(patroni.store_leader);
        let zone = self.at(patroni.store_leader).zone;
        leader.has_live_store() && !port.is_isolated(zone)
    }

    /// Begins an election when the leader of etcd is gone.
    pub(super) fn watch_store(&mut self, port: &mut impl Port) {
        if self.patroni().settings.store == PatroniStore::Etcd
            && !self.is_store_leader_up(port)
            && !port.is_pending(self.patroni().election)
            && self.next_store_leader(port).is_some()
        {
            let count = self.patroni().election_count;
            let key = self.setup.key;
            let mut span = port.draw(key, ELECTING, count, ELECTION);
            let vote = port.draw(key, VOTING, count, VAIN_VOTE);
            if vote < SimSpan::from_millis(VAIN_VOTE_PERCENT) {
                span += port.draw(key, ELECTING_AGAIN, count, SECOND_ELECTION);
            }
            let event = PgEvent::StoreElected { database: self.setup.id };
            let timer = port.timer_in(span, event);
            self.patroni_mut().election = timer;
            self.patroni_mut().election_count += 1;
            for ordinal in self.ordinals() {
                // Nothing expires without a leader of etcd.
                port.cancel(self.patroni().at(ordinal).lease);
            }
        }
    }

    /// A member of etcd in a majority, for the next leader.
    fn next_store_leader(&self, port: &impl Port) -> Option<u8> {
        let patroni = self.patroni();
        let lives = |ordinal: &u8| {
            let member = patroni.at(*ordinal);
            member.has_live_store() && !port.is_isolated(self.at(*ordinal).zone)
        };
        let live: Vec<u8> = self.ordinals().filter(lives).collect();
        let draw = usize::try_from(patroni.election_count).unwrap_or(0);
        (live.len() > self.instances.len() / 2).then(|| live[draw % live.len()])
    }

    pub(crate) fn store_elected(&mut self, port: &mut impl Port) {
        if let Some(leader) = self.next_store_leader(port) {
            self.patroni_mut().store_leader = leader;
            let extended = port.now() + LEASE_EXTENSION;
            for ordinal in self.ordinals() {
                let member = self.patroni_mut().at_mut(ordinal);
                member.renewed_at = member.renewed_at.max(extended);
                let lease = std::mem::replace(&mut member.lease, Timer::NONE);
                port.cancel(lease);
            }
        }
        self.stir(port);
        self.refresh(port);
    }

    /// Lets leases run out that nobody renews.
    pub(super) fn watch_leases(&mut self, port: &mut impl Port) {
        let is_etcd = self.patroni().settings.store == PatroniStore::Etcd;
        let has_leader =
            !is_etcd || self.is_store_leader_up(port) && !port.is_pending(self.patroni().election);
        for ordinal in self.ordinals() {
            let member = *self.patroni().at(ordinal);
            let renews = member.is_alive && !member.is_frozen && self.has_store(port, ordinal);
            if !member.has_lease || renews || !has_leader || port.is_pending(member.lease) {
                continue;
            }
            let check = if is_etcd {
                let key = self.key_of(ordinal);
                let count = self.patroni().at(ordinal).draw_count;
                port.draw(key, LEASE_CHECKED, count, LEASE_CHECK)
            } else {
                // Members count from when they saw the last renewal.
                self.pace_span(port, ordinal, LEASE_CHECKED, port.pace().step)
            };
            let ttl = self.patroni().settings.ttl;
            let at = (member.renewed_at + ttl).max(port.now()) + check;
            let event = PgEvent::LeaseOver { database: self.setup.id, ordinal };
            let timer = port.timer_at(at, event);
            self.patroni_mut().at_mut(ordinal).lease = timer;
        }
    }

    /// A lease has run out: what belongs to it is gone.
    pub(crate) fn lease_over(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = self.patroni_mut().at_mut(ordinal);
        member.has_lease = false;
        member.lease = Timer::NONE;
        if self.patroni().holder == Some(ordinal) {
            self.patroni_mut().holder = None;
            self.tell_leadership(port, ordinal, Leadership::KeyGone);
            // An object of the API server does not vanish: its age is judged at the next turn.
            if self.patroni().settings.store == PatroniStore::Etcd {
                self.wake_all(port);
            }
        }
        self.stir(port);
        self.refresh(port);
    }

    pub(super) fn renew(&mut self, port: &mut impl Port, ordinal: u8) {
        let now = port.now();
        let lease = self.patroni().at(ordinal).lease;
        port.cancel(lease);
        let member = self.patroni_mut().at_mut(ordinal);
        member.lease = Timer::NONE;
        member.has_lease = true;
        member.renewed_at = member.renewed_at.max(now);
    }

    /// The key has another holder, or none; everybody who watches it learns of it.
    pub(super) fn set_holder(&mut self, port: &mut impl Port, holder: Option<u8>) {
        let before = std::mem::replace(&mut self.patroni_mut().holder, holder);
        if before == holder {
            return;
        }
        match (before, holder) {
            (_, Some(holder)) => self.tell_leadership(port, holder, Leadership::KeyTaken),
            (Some(before), None) => self.tell_leadership(port, before, Leadership::KeyGone),
            (None, None) => {}
        }
        self.wake_all(port);
    }

    pub(super) fn tell_leadership(&self, port: &mut impl Port, ordinal: u8, what: Leadership) {
        port.notice(PgNotice::Leadership { database: self.setup.id, ordinal, what });
    }

    /// Brings the next turn of everybody forward who can hear.
    pub(super) fn wake_all(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            self.wake(port, ordinal);
        }
    }

    pub(super) fn wake(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = *self.patroni().at(ordinal);
        if !member.is_alive || member.is_frozen {
            return;
        }
        self.patroni_mut().at_mut(ordinal).quiet_turns = 0;
        if member.stage == Stage::Idle {
            let span = self.step_span(port, ordinal);
            self.turn_at(port, ordinal, port.now() + span);
        } else {
            self.patroni_mut().at_mut(ordinal).is_woken = true;
        }
    }

    /// Sets the next turn, unless one comes earlier.
    pub(super) fn turn_at(&mut self, port: &mut impl Port, ordinal: u8, at: SimTime) {
        let member = *self.patroni().at(ordinal);
        assert!(member.is_alive, "only a member with Patroni has turns");
        if port.is_pending(member.turn) {
            if member.next_turn <= at {
                return;
            }
            port.cancel(member.turn);
        }
        let event = PgEvent::MemberTurn { database: self.setup.id, ordinal };
        let timer = port.timer_at(at, event);
        let member = self.patroni_mut().at_mut(ordinal);
        member.turn = timer;
        member.next_turn = at;
    }

    /// Something changed that members find out at their next regular turn.
    pub(crate) fn stir(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let member = *self.patroni().at(ordinal);
            if !member.is_alive || member.is_frozen {
                continue;
            }
            self.patroni_mut().at_mut(ordinal).quiet_turns = 0;
            if member.stage == Stage::Idle && !port.is_pending(member.turn) {
                // Turns that were no events have gone by.
                let loop_wait = self.patroni().settings.loop_wait.as_nanos().max(1);
                let late = port.now().saturating_since(member.next_turn).as_nanos();
                let missed = SimSpan::from_nanos(late.div_ceil(loop_wait) * loop_wait);
                self.turn_at(port, ordinal, member.next_turn + missed);
            }
        }
    }

    /// Makes up for the turns that were no events because nothing happened in them. To be called
    /// before anything changes. A turn that is due now comes after the change.
    pub(crate) fn catch_up(&mut self, port: &mut impl Port) {
        let now = port.now();
        let loop_wait = self.patroni().settings.loop_wait.max(SimSpan::from_millis(1));
        for ordinal in self.ordinals() {
            let member = *self.patroni().at(ordinal);
            let is_asleep = member.is_alive
                && !member.is_frozen
                && member.stage == Stage::Idle
                && !port.is_pending(member.turn);
            if !is_asleep || member.next_turn >= now {
                continue;
            }
            let missed = now.saturating_since(member.next_turn).as_nanos() / loop_wait.as_nanos();
            let last = member.next_turn + loop_wait.saturating_mul(missed);
            let renews = self.has_store(port, ordinal);
            let status = self.at(ordinal).is_open.then(|| self.at(ordinal).writer.at(last));
            let member = self.patroni_mut().at_mut(ordinal);
            member.next_turn = last + loop_wait;
            if renews {
                member.renewed_at = member.renewed_at.max(last);
                if let Some(status) = status.filter(|_| self.patroni().holder == Some(ordinal)) {
                    self.patroni_mut().status = status;
                }
            }
        }
    }
}
