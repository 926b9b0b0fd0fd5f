//! The loop of a member, in time.

use model_api::blueprint::PatroniStore;
use model_api::parameters::Range;
use sim_kernel::{Purpose, SimSpan, SimTime, Timer};

use super::decision::{Action, Lock, Postgres, Step, Turn, next_step};
use super::{ANSWER_TIMEOUT, Freeze, Stage};
use crate::cluster::{Cluster, Port};
use crate::databases::{Leadership, StopKind};
use crate::event::PgEvent;
use crate::instance::{Link, Process};
use crate::rare;

/// Turns without a change after which a member's loop is quiet: one to see that nothing changed,
/// one for what its own last turn changed elsewhere.
const QUIET_TURNS: u8 = 2;

const STEP: Purpose = Purpose::new("patroni step");
const PHASE: Purpose = Purpose::new("patroni loop phase");
const STORE_LEADER: Purpose = Purpose::new("patroni etcd leader");
/// A number to choose a member by.
const LEADER_DRAW: Range = Range { least: SimSpan::ZERO, most: SimSpan::from_secs(1) };
/// Heads or tails.
const COIN: Range = Range { least: SimSpan::ZERO, most: SimSpan::from_nanos(1) };
const OWN_STORE: Purpose = Purpose::new("patroni thawed store");
const DELUSION: Purpose = Purpose::new("patroni stale cache");

impl Cluster {
    pub(super) fn step_span(&mut self, port: &impl Port, ordinal: u8) -> SimSpan {
        self.pace_span(port, ordinal, STEP, port.pace().step)
    }

    /// Starts in good order: instance 0 has the key, everybody's loop has its phase.
    pub(crate) fn begin_patroni(&mut self, port: &mut impl Port) {
        let loop_wait = self.patroni().settings.loop_wait;
        let phase = Range { least: SimSpan::ZERO, most: loop_wait };
        let first = SimTime::ZERO + port.draw(self.setup.key, PHASE, 0, phase);
        for ordinal in self.ordinals() {
            let is_there = self.at(ordinal).pod.is_some();
            // The leader's status in the store wakes the others.
            let behind = if ordinal == 0 { SimSpan::ZERO } else { self.step_span(port, ordinal) };
            let member = self.patroni_mut().at_mut(ordinal);
            member.is_alive = is_there;
            member.answers = is_there;
            member.has_store = is_there;
            member.has_lease = is_there;
            member.next_turn = first + behind;
        }
        if !self.patroni().is_store_leader_placed {
            let draw = port.draw(self.setup.key, STORE_LEADER, 0, LEADER_DRAW);
            let count = u64::try_from(self.instances.len()).unwrap_or(1);
            let leader = u8::try_from(draw.as_nanos() % count).unwrap_or(0);
            self.patroni_mut().store_leader = leader;
        }
        if self.at(0).is_running() {
            self.patroni_mut().holder = Some(0);
            self.begin_synchronous();
        }
    }

    /// Takes what changed about members themselves: leases nobody renews, an etcd without leader.
    pub(crate) fn tend_members(&mut self, port: &mut impl Port) {
        self.watch_store(port);
        self.watch_leases(port);
    }

    fn turn_of(&self, port: &impl Port, ordinal: u8) -> Turn {
        let (member, instance) = (self.patroni().at(ordinal), self.at(ordinal));
        let lock = match self.patroni().holder {
            _ if !self.has_store(port, ordinal) => Lock::Unreachable,
            _ if member.is_deluded => Lock::Mine,
            None => Lock::Free,
            Some(holder) if holder == ordinal => Lock::Mine,
            Some(_) => Lock::Others,
        };
        let postgres = match instance.process {
            Process::Running if instance.is_open => Postgres::Primary,
            Process::Running => Postgres::Standby,
            _ => Postgres::Down,
        };
        Turn { lock, postgres, action: member.action }
    }

    /// A turn of the loop begins.
    pub(crate) fn member_turn(&mut self, port: &mut impl Port, ordinal: u8) {
        assert!(self.patroni().at(ordinal).is_alive, "a member without Patroni has no turns");
        if self.at(ordinal).is_empty && self.has_store(port, ordinal) {
            self.empty_turn(port, ordinal);
            return;
        }
        let turn = self.turn_of(port, ordinal);
        let is_full = self.at(ordinal).process == Process::Full;
        let step = if is_full { Step::Wait } else { next_step(turn) };
        let is_change = !matches!(step, Step::Wait | Step::Follow | Step::Lead);
        let member = self.patroni_mut().at_mut(ordinal);
        member.turn = Timer::NONE;
        member.quiet_turns = if is_change { 0 } else { member.quiet_turns.saturating_add(1) };
        if turn.lock != Lock::Unreachable && self.patroni().holder != Some(ordinal) {
            self.renew(port, ordinal);
        }
        match step {
            Step::Wait => {}
            Step::Follow => self.follow(port, ordinal),
            Step::Retry => self.retry(port, ordinal),
            Step::Renew => {
                self.keep_key(port, ordinal);
            }
            Step::Lead => self.lead(port, ordinal),
            Step::Promote => {
                if self.keep_key(port, ordinal) {
                    self.prepare(port, ordinal);
                }
            }
            Step::Restart => self.restart(port, ordinal),
            Step::Race => self.race(port, ordinal),
            Step::Retake => self.stay(port, ordinal, Stage::Taking),
            Step::Halt => self.halt(port, ordinal),
            Step::Cancel => {
                port.hit(&rare::PROMOTION_CANCELED);
                self.drop_action(port, ordinal);
            }
        }
        self.end_turn(port, ordinal);
        self.refresh(port);
    }

    /// A turn of a member whose data directory is empty.
    fn empty_turn(&mut self, port: &mut impl Port, ordinal: u8) {
        let holds_key = self.patroni().holder == Some(ordinal);
        let member = self.patroni_mut().at_mut(ordinal);
        member.turn = Timer::NONE;
        member.quiet_turns = if holds_key { 0 } else { member.quiet_turns.saturating_add(1) };
        if holds_key {
            port.hit(&rare::KEY_OF_EMPTY_GIVEN);
            self.set_holder(port, None);
        } else {
            self.renew(port, ordinal);
            self.bootstrap(port, ordinal);
        }
        self.end_turn(port, ordinal);
        self.refresh(port);
    }

    /// Goes to sleep until the next turn, unless the main thread is busy.
    pub(super) fn end_turn(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = *self.patroni().at(ordinal);
        if member.stage != Stage::Idle || port.is_pending(member.turn) {
            return;
        }
        let (now, loop_wait) = (port.now(), self.patroni().settings.loop_wait);
        // `schedule_next_run`: from the turn's start, or at once when it took too long.
        let next =
            if member.next_turn > now { member.next_turn } else { member.next_turn + loop_wait };
        let next = next.max(now);
        self.patroni_mut().at_mut(ordinal).next_turn = next;
        if std::mem::take(&mut self.patroni_mut().at_mut(ordinal).is_woken) {
            let at = now + self.step_span(port, ordinal);
            self.turn_at(port, ordinal, at);
        } else if member.quiet_turns < QUIET_TURNS
            || member.action.is_some_and(|action| action != Action::Clone)
        {
            self.turn_at(port, ordinal, next);
        }
    }

    /// Keeps the main thread busy with a stage that takes one request.
    pub(super) fn stay(&mut self, port: &mut impl Port, ordinal: u8, stage: Stage) {
        let span = self.step_span(port, ordinal);
        self.stay_for(port, ordinal, stage, span);
    }

    pub(super) fn stay_for(
        &mut self,
        port: &mut impl Port,
        ordinal: u8,
        stage: Stage,
        span: SimSpan,
    ) {
        let member = *self.patroni().at(ordinal);
        assert!(!port.is_pending(member.step), "a main thread waits for one thing at a time");
        if port.is_pending(member.turn) {
            // What this turn did woke its own loop too: that counts once the main thread is free.
            port.cancel(member.turn);
            self.patroni_mut().at_mut(ordinal).is_woken = true;
        }
        let event = PgEvent::MemberStep { database: self.setup.id, ordinal };
        let timer = port.timer_in(span, event);
        let member = self.patroni_mut().at_mut(ordinal);
        member.stage = stage;
        member.step = timer;
    }

    /// What the main thread waited for is there.
    pub(crate) fn member_step(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = self.patroni_mut().at_mut(ordinal);
        member.step = Timer::NONE;
        let stage = std::mem::take(&mut member.stage);
        match stage {
            Stage::Idle | Stage::Yielding => {}
            Stage::Retrying => self.retried(port, ordinal),
            Stage::Asking => self.asked(port, ordinal),
            Stage::Taking => self.take(port, ordinal),
            Stage::Preparing => self.prepared(port, ordinal),
            Stage::Offering => self.offered(port, ordinal),
            Stage::Listing => self.take_up_listed(ordinal),
            Stage::Halting => self.halted(port, ordinal),
        }
        self.end_turn(port, ordinal);
        self.refresh(port);
    }

    /// Renews the key. Without its lease a leader takes the key back: only if nobody has it, or,
    /// before 3.0.3, in any case.
    pub(super) fn keep_key(&mut self, port: &mut impl Port, ordinal: u8) -> bool {
        let is_deluded = std::mem::take(&mut self.patroni_mut().at_mut(ordinal).is_deluded);
        let holder = self.patroni().holder;
        if holder.is_some_and(|holder| holder != ordinal) {
            if !is_deluded || self.patroni().settings.is_key_guarded {
                return false;
            }
            port.hit(&rare::KEY_OVERWRITTEN);
        }
        self.renew(port, ordinal);
        self.set_holder(port, Some(ordinal));
        if self.at(ordinal).is_open {
            self.patroni_mut().status = self.at(ordinal).writer.at(port.now());
            self.reclaim(port, ordinal);
        }
        true
    }

    fn lead(&mut self, port: &mut impl Port, ordinal: u8) {
        if !self.keep_key(port, ordinal) {
            self.halt(port, ordinal);
            return;
        }
        self.tell_leadership(port, ordinal, Leadership::Renewed);
        let wish = self.patroni().handover;
        if wish.is_some_and(|wish| wish.leader == ordinal) {
            self.patroni_mut().at_mut(ordinal).quiet_turns = 0;
            self.ask(port, ordinal, Stage::Offering);
        } else {
            self.see_to_standbys(port, ordinal);
        }
    }

    /// The key is somebody else's than the instance that it is connected to: `primary_conninfo`
    /// changes, and the connection ends although it stands (`Ha.follow`, `check_recovery_conf`).
    ///
    /// Simplified: it streams again once the holder of the key takes writes, not from the holder
    /// while that is still a standby.
    fn follow(&mut self, port: &mut impl Port, ordinal: u8) {
        if let Link::Streaming(from, _) | Link::Silent(from) = self.at(ordinal).link
            && self.patroni().holder != Some(from)
            && !self.is_held(ordinal)
        {
            self.detach(port, ordinal);
        }
    }

    /// The store does not answer a primary: it asks until `retry_timeout` is over.
    fn retry(&mut self, port: &mut impl Port, ordinal: u8) {
        let span = self.patroni().settings.retry_timeout;
        self.stay_for(port, ordinal, Stage::Retrying, span);
    }

    /// The store answers again. A member that stands still learns of it when it goes on.
    pub(crate) fn store_returned(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let member = *self.patroni().at(ordinal);
            let asks = member.stage == Stage::Retrying && !member.is_frozen;
            if asks && self.has_store(port, ordinal) {
                port.cancel(member.step);
                let member = self.patroni_mut().at_mut(ordinal);
                member.stage = Stage::Idle;
                member.step = Timer::NONE;
                let at = port.now() + self.step_span(port, ordinal);
                self.turn_at(port, ordinal, at);
            }
        }
    }

    fn retried(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.has_store(port, ordinal) {
            self.keep_key(port, ordinal);
            return;
        }
        let settings = self.patroni().settings;
        if settings.has_failsafe
            && self.ordinals().all(|other| self.is_answering(port, ordinal, other))
        {
            port.hit(&rare::FAILSAFE_HELD);
            return;
        }
        port.hit(&rare::STORE_LOST);
        self.demote_offline(port, ordinal);
    }

    /// Whether Patroni of another member answers this one.
    pub(super) fn is_answering(&self, port: &impl Port, from: u8, other: u8) -> bool {
        let member = self.patroni().at(other);
        let (one, there) = (self.at(from).zone, self.at(other).zone);
        other == from || member.is_alive && !member.is_frozen && port.is_reachable(one, there)
    }

    /// How long the slowest of the others takes to answer.
    pub(super) fn answer_span(&mut self, port: &impl Port, ordinal: u8) -> SimSpan {
        let zone = self.at(ordinal).zone;
        let is_silent = |other: u8| {
            let member = self.patroni().at(other);
            let is_reached = port.is_reachable(zone, self.at(other).zone);
            other != ordinal && (member.is_frozen || !member.answers || !is_reached)
        };
        let is_any_silent = self.ordinals().any(is_silent);
        let span = self.step_span(port, ordinal);
        if is_any_silent { span + ANSWER_TIMEOUT } else { span }
    }

    pub(super) fn ask(&mut self, port: &mut impl Port, ordinal: u8, stage: Stage) {
        let span = self.answer_span(port, ordinal);
        self.stay_for(port, ordinal, stage, span);
    }

    /// Patroni of an instance starts.
    pub(crate) fn member_started(&mut self, port: &mut impl Port, ordinal: u8) {
        let at = port.now() + self.step_span(port, ordinal);
        let member = self.patroni_mut().at_mut(ordinal);
        member.is_alive = true;
        member.answers = true;
        member.has_store = true;
        member.is_frozen = false;
        member.stage = Stage::Idle;
        self.turn_at(port, ordinal, at);
        self.stir(port);
    }

    /// Patroni of an instance is gone, with its PostgreSQL.
    pub(crate) fn member_stopped(&mut self, port: &mut impl Port, ordinal: u8, kind: StopKind) {
        let member = *self.patroni().at(ordinal);
        for timer in [member.turn, member.step, member.action_timer] {
            port.cancel(timer);
        }
        let was_open = self.at(ordinal).is_open;
        let member = self.patroni_mut().at_mut(ordinal);
        member.is_alive = false;
        member.is_frozen = false;
        member.is_deluded = false;
        member.stage = Stage::Idle;
        member.action = None;
        member.turn = Timer::NONE;
        member.answers = kind != StopKind::Power;
        member.has_store = matches!(kind, StopKind::Process | StopKind::Shutdown);
        member.needs_recovery |= was_open && kind != StopKind::Shutdown;
        if kind == StopKind::Shutdown && self.patroni().holder == Some(ordinal) {
            // `Ha.shutdown`: it stopped cleanly, so it gives the key away.
            self.patroni_mut().at_mut(ordinal).has_lease = false;
            self.set_holder(port, None);
        }
        self.stir(port);
    }

    /// Processes of a member stop or go on.
    pub(crate) fn set_frozen(&mut self, port: &mut impl Port, ordinal: u8, what: Option<Freeze>) {
        let is_frozen = what.is_some();
        if self.patroni().at(ordinal).is_frozen == is_frozen || !self.patroni().at(ordinal).is_alive
        {
            return;
        }
        let member = *self.patroni().at(ordinal);
        self.patroni_mut().at_mut(ordinal).is_frozen = is_frozen;
        if let Some(what) = what {
            self.patroni_mut().at_mut(ordinal).freeze = what;
            for timer in [member.turn, member.step, member.action_timer] {
                port.cancel(timer);
            }
            if what != Freeze::Patroni {
                self.pause(port, ordinal);
            }
        } else {
            self.thaw(port, ordinal);
        }
        self.stir(port);
        self.refresh(port);
    }

    fn thaw(&mut self, port: &mut impl Port, ordinal: u8) {
        let key = self.key_of(ordinal);
        let (holder, is_open) = (self.patroni().holder, self.at(ordinal).is_open);
        let member = *self.patroni().at(ordinal);
        // The loop and the watch of the store go on at once; which of them comes first decides
        // whether the loop still sees the key as it was.
        let is_stale = port.draw(key, DELUSION, member.draw_count, COIN).is_zero();
        let is_etcd = self.patroni().settings.store == PatroniStore::Etcd;
        self.patroni_mut().at_mut(ordinal).is_deluded =
            is_open && is_etcd && is_stale && holder != Some(ordinal);
        let now = port.now();
        let mut span = self.step_span(port, ordinal);
        if is_etcd && member.freeze == Freeze::Everything {
            span += self.first_answer_span(port, ordinal);
        }
        if member.stage != Stage::Idle {
            self.stay_for(port, ordinal, member.stage, span);
        } else {
            self.turn_at(port, ordinal, member.next_turn.max(now + span));
        }
        if let Some(action) = member.action {
            let span = self.step_span(port, ordinal);
            self.act_for(port, ordinal, action, span);
        }
        self.go_on(ordinal, now);
    }

    /// How long the first request to the store takes after a thaw: one in three goes to the member of
    /// etcd that thawed too and has no leader yet; that node is given up after its share of
    /// `retry_timeout` (`random.shuffle` and `_calculate_timeouts` of `dcs/etcd.py`).
    fn first_answer_span(&mut self, port: &impl Port, ordinal: u8) -> SimSpan {
        let key = self.key_of(ordinal);
        let asked = port.draw(key, OWN_STORE, self.patroni().at(ordinal).draw_count, LEADER_DRAW);
        let count = u64::try_from(self.instances.len()).unwrap_or(1).max(1);
        if !asked.as_nanos().is_multiple_of(count) {
            return SimSpan::ZERO;
        }
        let most = self.patroni().settings.retry_timeout / count;
        self.pace_span(port, ordinal, OWN_STORE, Range { least: SimSpan::ZERO, most })
    }

    /// Stops a primary without regard for anything.
    fn halt(&mut self, port: &mut impl Port, ordinal: u8) {
        port.hit(&rare::PRIMARY_HALTED);
        let halt = self.pace_span(port, ordinal, STEP, port.pace().halt);
        self.stay_for(port, ordinal, Stage::Halting, halt);
    }

    fn halted(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.at(ordinal).is_open {
            self.close(port, ordinal, StopKind::Process);
            self.at_mut(ordinal).process = Process::Down;
            self.patroni_mut().at_mut(ordinal).needs_recovery = true;
        }
        self.start(port, ordinal);
    }

    fn demote_offline(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.at(ordinal).is_open {
            // A fast shutdown: standbys that it still reaches get everything.
            self.close(port, ordinal, StopKind::Shutdown);
            self.at_mut(ordinal).process = Process::Down;
        }
        self.start(port, ordinal);
    }
}
