//! What a member does beside its loop: starts, promotions, handovers.

use model_api::{Observation, PodId};
use sim_kernel::{Purpose, SimSpan, Timer};

use super::decision::Action;
use crate::cluster::{Cluster, Port};
use crate::databases::{Leadership, PgNotice, StopKind};
use crate::event::PgEvent;
use crate::instance::{Link, Process, Role};
use crate::rare;

/// A stopping primary is looked at once a second (`STOP_POLLING_INTERVAL`).
const STOP_POLL: SimSpan = SimSpan::from_secs(1);
/// After it gave the key away, an old primary waits (`Ha.demote`).
const AFTER_RELEASE: SimSpan = SimSpan::from_secs(2);

const STARTING: Purpose = Purpose::new("patroni start of postgres");
const RECOVERING: Purpose = Purpose::new("patroni crash recovery");
const REWINDING: Purpose = Purpose::new("patroni rewind");
const PROMOTING: Purpose = Purpose::new("patroni promotion");
const STOPPING: Purpose = Purpose::new("patroni fast shutdown");

impl Cluster {
    pub(crate) fn act_for(
        &mut self,
        port: &mut impl Port,
        ordinal: u8,
        action: Action,
        span: SimSpan,
    ) {
        self.drop_action(port, ordinal);
        let event = PgEvent::MemberAction { database: self.setup.id, ordinal };
        let timer = port.timer_in(span, event);
        let member = self.patroni_mut().at_mut(ordinal);
        member.action = Some(action);
        member.action_timer = timer;
        member.quiet_turns = 0;
    }

    /// Whatever is done beside the loop ends undone.
    pub(crate) fn drop_action(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = self.patroni_mut().at_mut(ordinal);
        member.action = None;
        let timer = std::mem::replace(&mut member.action_timer, Timer::NONE);
        port.cancel(timer);
    }

    pub(crate) fn member_action(&mut self, port: &mut impl Port, ordinal: u8) {
        let member = self.patroni_mut().at_mut(ordinal);
        member.action_timer = Timer::NONE;
        match member.action.take() {
            None => {}
            Some(Action::Start) => self.is_up(port, ordinal),
            Some(Action::Clone) => self.is_cloned(port, ordinal),
            Some(Action::Promote) => self.request_promotion(port, ordinal),
            Some(Action::Promoting) => self.is_promoted(port, ordinal),
            Some(Action::Demote) => self.shut_down(port, ordinal),
            Some(Action::Release) => self.release(port, ordinal),
        }
        self.refresh(port);
    }

    /// PostgreSQL does not run: it is started, by a leader so that it can promote it again.
    pub(super) fn restart(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.patroni().holder == Some(ordinal) {
            self.keep_key(port, ordinal);
            let prefers_failover = self.patroni().settings.primary_start_timeout.is_zero();
            let mut others = self.ordinals().filter(|&other| other != ordinal);
            if prefers_failover && others.any(|other| self.is_promotable(port, ordinal, other)) {
                self.set_holder(port, None);
            }
        }
        self.start(port, ordinal);
    }

    /// Starts PostgreSQL as a standby, after recovery and rewinding where they are needed.
    pub(super) fn start(&mut self, port: &mut impl Port, ordinal: u8) {
        let pace = port.pace();
        let mut span = self.pace_span(port, ordinal, STARTING, pace.start);
        if self.patroni().at(ordinal).needs_recovery {
            span += self.pace_span(port, ordinal, RECOVERING, pace.crash_recovery);
        }
        span += self.rewind_span(port, ordinal);
        self.at_mut(ordinal).process = Process::Working;
        self.act_for(port, ordinal, Action::Start, span);
    }

    /// What an old primary that has more than its successor must do first.
    fn rewind_span(&mut self, port: &mut impl Port, ordinal: u8) -> SimSpan {
        if !self.is_superseded(ordinal) {
            return SimSpan::ZERO;
        }
        self.set_role(port, ordinal, Role::Standby);
        if !self.patroni().at(ordinal).needs_recovery {
            return SimSpan::ZERO;
        }
        port.hit(&rare::REWOUND);
        if self.patroni().settings.has_rewind {
            self.pace_span(port, ordinal, REWINDING, port.pace().rewind)
        } else {
            // Its timeline has diverged: it runs, but nobody's WAL fits.
            self.at_mut(ordinal).is_diverged = true;
            SimSpan::ZERO
        }
    }

    /// The copy is there: PostgreSQL starts as a standby and replays the log that came with it.
    fn is_cloned(&mut self, port: &mut impl Port, ordinal: u8) {
        let replay = self.cloned(port, ordinal);
        let start = self.pace_span(port, ordinal, STARTING, port.pace().start);
        self.act_for(port, ordinal, Action::Start, start.saturating_add(replay));
    }

    fn is_up(&mut self, port: &mut impl Port, ordinal: u8) {
        if ordinal == self.current && !self.has_room() {
            self.cannot_start(port, ordinal);
            return;
        }
        self.patroni_mut().at_mut(ordinal).needs_recovery = false;
        if self.is_superseded(ordinal) {
            // Somebody else was promoted while it started.
            self.patroni_mut().at_mut(ordinal).needs_recovery = true;
            self.start(port, ordinal);
            return;
        }
        let instance = self.at_mut(ordinal);
        (instance.process, instance.up_since) = (Process::Running, Some(port.now()));
        if let Some(pod) = self.at(ordinal).pod {
            port.notice(PgNotice::InstanceRunning { database: self.setup.id, ordinal, pod });
        }
        self.wake(port, ordinal);
        self.stir(port);
    }

    /// `pg_ctl promote`: from here on nothing comes from the old primary any more.
    fn request_promotion(&mut self, port: &mut impl Port, ordinal: u8) {
        self.tell_leadership(port, ordinal, Leadership::Requested);
        self.detach(port, ordinal);
        let range = port.pace().promotion.unwrap_or(port.parameters().promotion);
        let span = self.pace_span(port, ordinal, PROMOTING, range);
        self.act_for(port, ordinal, Action::Promoting, span);
    }

    fn is_promoted(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.current == ordinal {
            let (mark, acknowledged) = (self.at(ordinal).received, self.at(ordinal).acknowledged);
            self.tell_unwritten(port, ordinal);
            self.open(port, ordinal, mark, acknowledged);
            self.set_role(port, ordinal, Role::Primary);
        } else {
            self.failover_count += 1;
            self.replace(port, ordinal);
        }
        self.list_nobody(port, ordinal);
        if let Some(pod) = self.at(ordinal).pod {
            port.observe(Observation::PrimaryPromoted { database: self.setup.id, pod });
        }
        self.tell_leadership(port, ordinal, Leadership::Promoted);
        self.wake(port, ordinal);
        self.stir(port);
    }

    /// A standby stops receiving and keeps what it has.
    pub(super) fn detach(&mut self, port: &mut impl Port, ordinal: u8) {
        port.cancel(self.at(ordinal).attach);
        if let Link::Streaming(from, _) = self.at(ordinal).link {
            self.freeze(port, from, false, |other| other == ordinal);
        }
        let instance = self.at_mut(ordinal);
        instance.link = Link::Broken;
        instance.is_held = false;
    }

    /// The primary is handed over: clients are cut off, standbys get everything.
    fn shut_down(&mut self, port: &mut impl Port, ordinal: u8) {
        let span = self.pace_span(port, ordinal, STOPPING, port.pace().shutdown);
        // One that crashed since it was asked has nothing left to shut down.
        if self.at(ordinal).is_open {
            // The key is given away when the shutdown checkpoint is written: nobody waits for the archive
            // (`on_shutdown` of `patroni/postgresql/__init__.py`).
            self.store_rest(port, ordinal, SimSpan::MAX);
            self.close(port, ordinal, StopKind::Shutdown);
        }
        self.at_mut(ordinal).process = Process::Down;
        let polls = span.as_nanos().div_ceil(STOP_POLL.as_nanos()).max(1);
        let asking = self.step_span(port, ordinal) + self.step_span(port, ordinal);
        let span = STOP_POLL.saturating_mul(polls) + asking;
        self.act_for(port, ordinal, Action::Release, span);
    }

    /// The key is given away, and after a while PostgreSQL follows whoever took it.
    fn release(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.patroni().holder == Some(ordinal) {
            self.set_holder(port, None);
        }
        let span = AFTER_RELEASE + self.pace_span(port, ordinal, STARTING, port.pace().start);
        self.act_for(port, ordinal, Action::Start, span);
    }

    pub(super) fn observe_failover(&self, port: &mut impl Port, from: PodId) {
        port.observe(Observation::FailoverStarted { database: self.setup.id, from });
    }

    /// An old primary that got the key back goes on where it was: what its successor wrote is lost.
    pub(crate) fn reclaim(&mut self, port: &mut impl Port, ordinal: u8) {
        if self.current == ordinal {
            return;
        }
        port.hit(&rare::PRIMARY_RECLAIMED);
        let successor = self.current;
        let Some(idx) = self.old_sides.iter().position(|side| side.ordinal == ordinal) else {
            return;
        };
        let side = self.old_sides.remove(idx);
        self.supersede(successor, side.survivor, ordinal);
        if let Some(since) = side.lost_from {
            self.leave_behind(ordinal, since);
        }
        self.fork_log(port, successor);
        self.current = ordinal;
        self.set_role(port, ordinal, Role::Primary);
    }

    /// PostgreSQL of a primary ended because no segment of log fits on its volume.
    pub(crate) fn panicked(&mut self, port: &mut impl Port, ordinal: u8) {
        self.at_mut(ordinal).process = Process::Down;
        self.drop_action(port, ordinal);
        self.patroni_mut().at_mut(ordinal).needs_recovery = true;
        self.stir(port);
    }

    /// It ends again at once. A leader gives its key away (`post_recover` of `ha.py`: "removed leader key
    /// after trying and failing to start postgres"), so that somebody else takes it.
    ///
    /// Simplified: no start of it finds room by chance, as one may that first removes log nobody needs; it is
    /// not started again until its archive takes log or its volume grows; upstream it is
    /// in each turn, and ends each time.
    fn cannot_start(&mut self, port: &mut impl Port, ordinal: u8) {
        self.at_mut(ordinal).process = Process::Full;
        if self.patroni().holder == Some(ordinal) {
            port.hit(&rare::KEY_OF_FULL_GIVEN);
            self.set_holder(port, None);
        }
        self.stir(port);
    }

    /// Members whose volumes were full try again: there is room, or an archive that takes log
    /// (`archive_ready_wals` of `rewind.py`).
    pub(crate) fn retry_full(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            if self.at(ordinal).process == Process::Full {
                self.at_mut(ordinal).process = Process::Down;
                self.wake(port, ordinal);
            }
        }
        self.stir(port);
    }

    /// The postmaster of an instance is killed; Patroni beside it lives.
    pub(crate) fn postmaster_killed(&mut self, port: &mut impl Port, ordinal: u8) {
        if !self.at(ordinal).is_running() {
            return;
        }
        if self.at(ordinal).is_open {
            self.close(port, ordinal, StopKind::Process);
        } else {
            self.unlink(port, ordinal, StopKind::Process);
        }
        self.at_mut(ordinal).process = Process::Down;
        // A promotion or handover that was under way has nothing left to end in.
        self.drop_action(port, ordinal);
        self.patroni_mut().at_mut(ordinal).needs_recovery = true;
        self.stir(port);
        self.refresh(port);
    }
}
