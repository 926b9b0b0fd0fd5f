//! Who has which commits: links, what is acknowledged, what is lost.

use model_api::blueprint::CommitWait;
use model_api::{Observation, Parameters};
use sim_kernel::{Purpose, SimSpan, SimTime};

use crate::cluster::{Cluster, OldSide, Port, Target};
use crate::databases::{PgNotice, StopKind};
use crate::decision::{commits_stall, wanted_number};
use crate::event::PgEvent;
use crate::instance::{
    ARCHIVE_FETCH_BYTES_PER_SECOND, FIRST_ATTACH, Instance, Link, REATTACH, Role,
    WAL_SHIPPING_BYTES_PER_SECOND,
};
use crate::names::Names;
use crate::patroni::decision::Action;
use crate::position::{Mark, Writer, units_between};
use crate::rare;
use crate::unknown::Fate;
use crate::volume::Storing;

/// `wal_receiver_timeout` and `wal_sender_timeout` as CloudNativePG sets them: 5 s.
pub(crate) const WAL_TIMEOUT: SimSpan = SimSpan::from_secs(5);

/// `wal_sender_timeout` of PostgreSQL, which Patroni leaves alone: 60 s.
pub(crate) const WAL_SENDER_TIMEOUT: SimSpan = SimSpan::from_secs(60);

const LAG: Purpose = Purpose::new("postgres replication lag");
const ATTACHING: Purpose = Purpose::new("postgres standby attaches");
const ADJUSTING: Purpose = Purpose::new("postgres synchronous names change");

impl Cluster {
    /// An instance takes writes from now on. What it has beyond what was acknowledged before is
    /// visible, but nobody was promised it.
    pub(crate) fn open(
        &mut self,
        port: &mut impl Port,
        ordinal: u8,
        from: Mark,
        acknowledged: Mark,
    ) {
        let number = wanted_number(self.setup.synchronous, self.ready_standby_count(ordinal));
        if let Some(wal) = &mut self.wal {
            wal.full_since = None;
        }
        let instance = self.at_mut(ordinal);
        instance.is_open = true;
        instance.is_excused = false;
        instance.listed = Names::ALL;
        instance.writer = Writer::from(from, port.now());
        instance.acknowledged = acknowledged.min(from);
        instance.applied_number = number;
        instance.link = Link::Broken;
        instance.fork = None;
        instance.behind_since = None;
        (instance.is_outrun, instance.old_sessions_ppm) = (false, 0);
        // It is primary again: its own archiver goes on.
        self.hand_in_log(port, ordinal);
    }

    /// An open instance takes no writes any more: notes what it had acknowledged and what each of
    /// its standbys has.
    pub(crate) fn close(&mut self, port: &mut impl Port, primary: u8, kind: StopKind) {
        assert!(self.at(primary).is_open, "what takes no writes has nothing to be counted");
        let now = port.now();
        let is_clean = kind == StopKind::Shutdown;
        let written = self.written_at_end(port, primary, is_clean);
        self.freeze(port, primary, is_clean, |_| true);
        let told = self.break_connections(port, primary);
        for standby in self.ordinals() {
            // The connections of a held primary go with it, although nothing came over them, and a
            // standby that was held on its connection is held no more.
            if self.at(standby).link == Link::Silent(primary) {
                self.at_mut(standby).link = Link::Broken;
                self.at_mut(standby).is_held = false;
            }
        }
        port.cancel(self.at(primary).isolation);
        let instance = self.at_mut(primary);
        (instance.is_open, instance.old_sessions_ppm) = (false, 0);
        instance.is_closing = false;
        instance.received = written;
        if instance.fork.is_none() {
            instance.behind_since = instance.writer.left(written.committed_at);
        }
        instance.acknowledged = instance.acknowledged.min(told);
        if primary == self.current {
            let notice = if kind == StopKind::Power { WAL_TIMEOUT } else { SimSpan::ZERO };
            self.receivers_down_at = self.receivers_down_at.max(now + notice);
            self.is_lease_released = kind != StopKind::Power;
        }
    }

    /// A standby is gone.
    pub(crate) fn unlink(&mut self, port: &mut impl Port, standby: u8, kind: StopKind) {
        port.cancel(self.at(standby).attach);
        if let Link::Streaming(primary, _) = self.at(standby).link {
            self.freeze(port, primary, false, |ordinal| ordinal == standby);
            if kind == StopKind::Power {
                self.wait_for_silent(port, primary, standby);
            }
        }
        self.at_mut(standby).link = Link::Broken;
    }

    /// Breaks the links over which nothing comes any more because a zone is cut off.
    pub(crate) fn break_links(&mut self, port: &mut impl Port) {
        for primary in self.ordinals() {
            if self.at(primary).is_open {
                self.break_links_to(port, primary);
            }
        }
    }

    fn break_links_to(&mut self, port: &mut impl Port, primary: u8) {
        let zone = self.at(primary).zone;
        let is_cut = |standby: &Instance| {
            standby.streams_from(primary) && !port.is_reachable(zone, standby.zone)
        };
        let cut: Vec<u8> = self.ordinals().filter(|&ordinal| is_cut(self.at(ordinal))).collect();
        if cut.is_empty() {
            return;
        }
        self.freeze(port, primary, false, |ordinal| cut.contains(&ordinal));
        if primary == self.current {
            self.receivers_down_at = self.receivers_down_at.max(port.now() + WAL_TIMEOUT);
        }
        for standby in cut {
            self.wait_for_silent(port, primary, standby);
        }
    }

    /// With `method: first` a standby that has priority and falls silent is waited for until the
    /// sender gives it up.
    pub(crate) fn wait_for_silent(&mut self, port: &mut impl Port, primary: u8, standby: u8) {
        if self.patroni.is_some() {
            self.leave_ghost(port, primary, standby);
            return;
        }
        let number = self.confirming_number(primary);
        let is_first = self.setup.synchronous.is_some_and(|synchronous| !synchronous.is_any);
        let before = self
            .ordinals()
            .filter(|&other| other < standby && self.at(other).streams_from(primary));
        if is_first && u32::try_from(before.count()).is_ok_and(|count| count < number) {
            let until = port.now() + WAL_TIMEOUT;
            self.at_mut(primary).silent_until = until;
            port.timer_at(until, PgEvent::SilenceOver { database: self.setup.id });
        }
    }

    /// A primary with PostgreSQL's own time-outs takes a standby that fell silent for alive until
    /// `wal_sender_timeout` is over.
    fn leave_ghost(&mut self, port: &mut impl Port, primary: u8, standby: u8) {
        let until = port.now() + WAL_SENDER_TIMEOUT;
        let instance = self.at_mut(standby);
        (instance.ghost_until, instance.ghost_of) = (until, primary);
        port.timer_at(until, PgEvent::SilenceOver { database: self.setup.id });
    }

    /// Draws how far each standby of a primary lags now, notes what is acknowledged for sure, and
    /// breaks some of the links. With `is_clean` every standby has everything: the primary shut
    /// down and waited for them.
    pub(crate) fn freeze(
        &mut self,
        port: &mut impl Port,
        primary: u8,
        is_clean: bool,
        is_broken: impl Fn(u8) -> bool,
    ) {
        let now = port.now();
        let writer = self.at(primary).writer;
        let lags = self.lags(port, primary, is_clean);
        if self.frozen_at != Some(now) {
            self.frozen_at = Some(now);
            self.freeze_count += 1;
        }
        if let Some(mark) = self.acknowledged_at(primary, &lags, now) {
            let instance = self.at_mut(primary);
            instance.acknowledged = instance.acknowledged.max(mark);
            self.keep_confirmed(primary, &lags, mark, now);
        }
        for (standby, lag) in lags {
            if is_broken(standby) {
                let at = now.saturating_sub(lag);
                let instance = self.at_mut(standby);
                instance.received = instance.received.max(writer.at(at));
                instance.link = Link::Broken;
                // Of a fork that was there before, the primary has told when it went on.
                let has = instance.received;
                if instance.fork.is_none_or(|fork| has.position_ns < fork.position_ns) {
                    let left = writer.left(at.max(has.committed_at));
                    instance.behind_since = left.filter(|_| !is_clean);
                }
            }
        }
    }

    /// Standbys that confirmed what was acknowledged have it, however late they are from now on.
    fn keep_confirmed(&mut self, primary: u8, lags: &[(u8, SimSpan)], mark: Mark, now: SimTime) {
        if self.confirming_number(primary) == 0 {
            return;
        }
        let (writer, listed) = (self.at(primary).writer, self.at(primary).listed);
        for &(standby, lag) in lags {
            let has = writer.at(now.saturating_sub(lag));
            if listed.has(standby) && has.position_ns >= mark.position_ns {
                let instance = self.at_mut(standby);
                instance.received = instance.received.max(mark);
            }
        }
    }

    /// The draw of lags at a moment: one for everything that happens in it, as all of it is of one state.
    pub(crate) fn lag_draw(&self, now: SimTime) -> u32 {
        let is_drawn = self.frozen_at == Some(now);
        self.freeze_count - u32::from(is_drawn)
    }

    /// The lag of each standby that streams from a primary, in the order of ordinals.
    pub(crate) fn lags(&self, port: &impl Port, primary: u8, is_clean: bool) -> Vec<(u8, SimSpan)> {
        let range = port.parameters().replication_lag;
        // A sender reads what is on disk.
        let count = self.lag_draw(port.now());
        let unwritten = if is_clean { SimSpan::ZERO } else { self.unwritten(port, count) };
        let of = |standby: u8| {
            let Link::Streaming(from, since) = self.at(standby).link else { return None };
            if from != primary {
                return None;
            }
            let drawn = port.draw(self.key_of(standby), LAG, count, range);
            let grown = self.growth(port.now().saturating_since(since));
            Some((standby, if is_clean { SimSpan::ZERO } else { drawn + grown + unwritten }))
        };
        self.ordinals().filter_map(of).collect()
    }

    /// How late a commit may be with a standby or with its client, by the next few draws.
    pub(crate) fn delays(&self, port: &impl Port, freeze_count: usize) -> Vec<SimSpan> {
        let range = port.parameters().replication_lag;
        let mut delays = vec![SimSpan::ZERO, self.half_round_trip(port)];
        for count in (self.freeze_count..).take(freeze_count + 1) {
            let unwritten = self.unwritten(port, count);
            delays.push(unwritten);
            for standby in self.ordinals() {
                if matches!(self.at(standby).link, Link::Streaming(..)) {
                    let drawn = port.draw(self.key_of(standby), LAG, count, range);
                    delays.push(drawn + unwritten);
                }
            }
        }
        delays
    }

    /// No delay is longer, while all that is written is shipped.
    pub(crate) fn longest_delay(&self, parameters: &Parameters) -> SimSpan {
        let unwritten = match self.setup.commit_wait {
            CommitWait::Nothing { unwritten } => unwritten,
            CommitWait::Standbys | CommitWait::Disk => SimSpan::ZERO,
        };
        parameters.replication_lag.most + unwritten + parameters.commit_round_trip.most
    }

    /// By how much a standby falls behind when more is written than can be shipped.
    pub(crate) fn growth(&self, elapsed: SimSpan) -> SimSpan {
        let wal = self.wal_bytes_per_second();
        let excess = wal.saturating_sub(WAL_SHIPPING_BYTES_PER_SECOND);
        let nanos = u128::from(elapsed.as_nanos()) * u128::from(excess) / u128::from(wal.max(1));
        SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How long it takes at the present rate to fall so far behind; nothing when all is shipped.
    pub(crate) fn time_to_fall(&self, behind: SimSpan) -> SimSpan {
        let wal = self.wal_bytes_per_second();
        let excess = wal.saturating_sub(WAL_SHIPPING_BYTES_PER_SECOND);
        let nanos =
            (u128::from(behind.as_nanos()) * u128::from(wal)).checked_div(u128::from(excess));
        SimSpan::from_nanos(nanos.map_or(0, |it| u64::try_from(it).unwrap_or(u64::MAX)))
    }

    /// What clients of a primary have been told is safe: everything, or what enough standbys have.
    pub(crate) fn acknowledged_at(
        &self,
        primary: u8,
        lags: &[(u8, SimSpan)],
        now: SimTime,
    ) -> Option<Mark> {
        if self.at(primary).is_stalled {
            return None;
        }
        let number = usize::try_from(self.confirming_number(primary)).expect("instances are few");
        let writer = &self.at(primary).writer;
        if number == 0 {
            return Some(writer.at(now));
        }
        if now < self.at(primary).silent_until {
            return None;
        }
        let listed = self.at(primary).listed;
        let confirming = lags.iter().filter(|&&(standby, _)| listed.has(standby));
        let mut spans: Vec<SimSpan> = confirming.map(|&(_, lag)| lag).collect();
        if self.setup.synchronous.is_some_and(|synchronous| synchronous.is_any) {
            spans.sort_unstable();
        }
        let confirming = spans.get(..number)?;
        let slowest = confirming.iter().max().copied().unwrap_or(SimSpan::ZERO);
        Some(writer.at(now.saturating_sub(slowest)))
    }

    /// Whether an open instance can acknowledge a commit.
    pub(crate) fn can_commit(&self, primary: u8, now: SimTime) -> bool {
        let instance = self.at(primary);
        let confirms =
            |&other: &u8| instance.listed.has(other) && self.at(other).streams_from(primary);
        let streaming = self.ordinals().filter(confirms);
        let streaming_count = u32::try_from(streaming.count()).expect("at most 255 instances");
        instance.is_open
            && !instance.is_stalled
            && !self.is_frozen(primary)
            && now >= instance.silent_until
            && !commits_stall(self.confirming_number(primary), streaming_count)
    }

    /// Whether an open instance takes commits and lets them wait, for a standby or for its volume.
    pub(crate) fn lets_wait(&self, primary: u8) -> bool {
        let instance = self.at(primary);
        let waits = self.confirming_number(primary) > 0 || instance.is_stalled;
        instance.is_open && !self.is_frozen(primary) && waits
    }

    /// Sends every standby that streams from nowhere to the primary it reaches.
    pub(crate) fn attach_standbys(&mut self, port: &mut impl Port) {
        for standby in self.ordinals() {
            let instance = *self.at(standby);
            let upstream = self.upstream_of(port, standby);
            match instance.link {
                Link::Streaming(..) | Link::Silent(_) => {}
                Link::Attaching(from) if Some(from) == upstream => {}
                Link::Attaching(_) | Link::Broken => {
                    port.cancel(instance.attach);
                    self.at_mut(standby).link = Link::Broken;
                    if let Some(primary) = upstream {
                        self.attach(port, standby, primary);
                    }
                }
            }
        }
    }

    /// The open instance that a standby would follow: the current primary if it reaches it.
    fn upstream_of(&self, port: &impl Port, standby: u8) -> Option<u8> {
        let instance = self.at(standby);
        if instance.is_open
            || instance.is_diverged
            || instance.is_outrun && !self.can_fetch()
            || !instance.is_running()
            || instance.role == Role::Primary
            || self.is_held(standby)
            || self.is_promoting(standby)
        {
            return None;
        }
        // The Service leads away from one that stood still and was replaced.
        let is_left =
            |primary: u8| primary != self.current && self.at(primary).old_sessions_ppm > 0;
        let reaches = |&primary: &u8| {
            self.at(primary).is_open
                && !self.at(primary).is_closing
                && !is_left(primary)
                && !self.is_frozen(primary)
                && port.is_reachable(self.at(primary).zone, instance.zone)
        };
        Some(self.current).filter(reaches).or_else(|| self.ordinals().find(reaches))
    }

    /// Whether Patroni is promoting an instance, which follows nobody meanwhile.
    fn is_promoting(&self, ordinal: u8) -> bool {
        let action = self.patroni.as_ref().and_then(|patroni| patroni.at(ordinal).action);
        action == Some(Action::Promoting)
    }

    /// Simplified: WAL is shipped at one rate while a standby catches up, from the primary; what it
    /// had caught up is forgotten when the link breaks before it is done.
    fn attach(&mut self, port: &mut impl Port, standby: u8, primary: u8) {
        let behind_ns = self.at(primary).mark(port.now()).position_ns;
        let has_ns = self.at(standby).mark(port.now()).position_ns.min(behind_ns);
        let backlog = units_between(has_ns, behind_ns, self.setup.wal_bytes_per_second);
        let count = self.at(standby).attach_count;
        let is_new = self.at(standby).up_since == Some(port.now());
        let range = if is_new { FIRST_ATTACH } else { REATTACH };
        let reattach = port.draw(self.key_of(standby), ATTACHING, count, range);
        let shipped = if self.at(standby).is_outrun {
            ARCHIVE_FETCH_BYTES_PER_SECOND
        } else {
            WAL_SHIPPING_BYTES_PER_SECOND
        };
        let span = reattach.saturating_add(catch_up(backlog, self.wal_bytes_per_second(), shipped));
        let event = PgEvent::LinkUp { database: self.setup.id, ordinal: standby };
        let timer = port.timer_in(span, event);
        let instance = self.at_mut(standby);
        instance.link = Link::Attaching(primary);
        instance.attach = timer;
        instance.attach_count += 1;
    }

    pub(crate) fn link_up(&mut self, port: &mut impl Port, standby: u8) {
        if let Link::Attaching(primary) = self.at(standby).link {
            let Instance { fork, behind_since, .. } = *self.at(primary);
            let mark = self.at(primary).mark(port.now());
            let instance = self.at_mut(standby);
            instance.link = Link::Streaming(primary, port.now());
            // It has caught up, and what it had beyond a fork is gone; who follows an old primary
            // has what is gone with that one.
            instance.received = mark;
            instance.fork = fork;
            instance.behind_since = behind_since;
            instance.ghost_until = SimTime::ZERO;
            instance.is_outrun = false;
            if primary == self.current {
                self.hand_in_log(port, standby);
            }
            if self.patroni.is_some() {
                self.stir(port);
            }
        }
        self.refresh(port);
    }

    fn ready_standby_count(&self, primary: u8) -> u32 {
        let ready = self.ordinals().filter(|&other| other != primary && self.at(other).is_ready);
        u32::try_from(ready.count()).expect("at most 255 instances")
    }

    /// The operator lowers and raises the number of `preferred` durability.
    pub(crate) fn adjust_number(&mut self, port: &mut impl Port) {
        let primary = self.at(self.current);
        let wanted = wanted_number(self.setup.synchronous, self.ready_standby_count(self.current));
        let is_due = self.patroni.is_none()
            && primary.is_open
            && primary.applied_number != wanted
            && self.has_operator(port)
            && self.hears(port, self.current);
        if !is_due {
            port.cancel(self.adjust_timer);
        } else if !port.is_pending(self.adjust_timer) {
            let range = port.parameters().watch_latency;
            let span = port.draw(self.setup.key, ADJUSTING, self.adjust_count, range);
            self.adjust_count += 1;
            self.adjust_timer = port.timer_in(span, PgEvent::AdjustDue { database: self.setup.id });
        }
    }

    pub(crate) fn number_adjusted(&mut self, port: &mut impl Port) {
        let current = self.current;
        let wanted = wanted_number(self.setup.synchronous, self.ready_standby_count(current));
        port.hit(&rare::SYNCHRONOUS_NUMBER_CHANGED);
        // What was acknowledged under the old number stays acknowledged.
        self.freeze(port, current, false, |_| false);
        self.at_mut(current).applied_number = wanted;
        self.refresh(port);
    }

    /// A promoted instance replaces the current primary.
    pub(crate) fn replace(&mut self, port: &mut impl Port, promoted: u8) {
        let survivor = self.at(promoted).mark(port.now());
        let acknowledged = self.at(self.current).acknowledged;
        self.supersede(self.current, survivor, promoted);
        self.fork_log(port, self.current);
        self.current = promoted;
        self.target = Target::Current;
        if let Some(wal) = &mut self.wal {
            wal.advance(port.now());
            wal.forget_backlog();
        }
        self.set_role(port, promoted, Role::Primary);
        self.open(port, promoted, survivor, acknowledged);
    }

    /// A promoted instance goes on with a new timeline. What it follows had received counts as archived
    /// with it, so that log which its predecessor had closed and not handed to the archive is on that
    /// one's disk alone (`XLogWalRcvClose` of PostgreSQL's `walreceiver.c`).
    pub(crate) fn fork_log(&mut self, port: &mut impl Port, old: u8) {
        self.at_mut(old).owes_log = true;
        port.notice(PgNotice::LogForked { database: self.setup.id, ordinal: old });
        if self.stores_all(port.now()) {
            self.hand_in_log(port, old);
        }
        self.storing = Storing::default();
    }

    /// An old primary is back: before it rewinds it hands to the archive what waits there
    /// (`ArchiveAllReadyWALs` of CloudNativePG's `pkg/management/postgres/archiver`, `archive_ready_wals`
    /// of Patroni's `rewind.py`).
    ///
    /// Simplified: when it follows its successor.
    fn hand_in_log(&mut self, port: &mut impl Port, ordinal: u8) {
        if std::mem::take(&mut self.at_mut(ordinal).owes_log) {
            port.notice(PgNotice::LogHandedIn { database: self.setup.id, ordinal });
        }
    }

    /// An heir goes on from a mark instead of the instance that led, and everybody else has to follow.
    ///
    /// Simplified: what a standby received of an old primary beyond the mark is gone from it, also when
    /// it is promoted before it could follow the heir.
    pub(crate) fn supersede(&mut self, old: u8, survivor: Mark, heir: u8) {
        let lost_from = self.at(heir).behind_since;
        self.old_sides.push(OldSide { ordinal: old, survivor, lost_from });
        for ordinal in self.ordinals() {
            let now_has = |instance: &Instance| instance.is_open || instance.received >= survivor;
            let instance = self.at_mut(ordinal);
            if ordinal == heir || instance.streams_from(heir) {
                (instance.fork, instance.behind_since) = (None, None);
                continue;
            }
            let is_cut_here = instance.fork.is_none_or(|fork| fork >= survivor);
            if is_cut_here && now_has(instance) {
                // It has all of what the heir goes on from.
                instance.behind_since = None;
            }
            instance.fork = Some(instance.fork.map_or(survivor, |fork| fork.min(survivor)));
        }
    }

    /// The stream of an open instance goes on after it stood: who does not follow it is behind from now on,
    /// and what an old side writes is lost.
    pub(crate) fn went_on(&mut self, ordinal: u8, now: SimTime) {
        for side in &mut self.old_sides {
            if side.ordinal == ordinal {
                side.lost_from.get_or_insert(now);
            }
        }
        if ordinal == self.current {
            self.leave_behind(ordinal, now);
        }
    }

    /// The database goes on with an instance since a moment: who does not follow it is behind.
    pub(crate) fn leave_behind(&mut self, primary: u8, since: SimTime) {
        for ordinal in self.ordinals() {
            let instance = self.at_mut(ordinal);
            if ordinal != primary && !instance.streams_from(primary) {
                instance.behind_since.get_or_insert(since);
            }
        }
    }

    /// Tells what was lost with each old primary that takes no writes any more.
    pub(crate) fn settle_losses(&mut self, port: &mut impl Port) {
        let (settled, open): (Vec<_>, Vec<_>) =
            self.old_sides.iter().partition(|side| !self.at(side.ordinal).is_open);
        self.old_sides = open;
        for side in settled {
            self.tell_loss(port, side);
        }
    }

    /// At the end of a run: tells what is lost so far with old primaries that still take writes.
    pub(crate) fn finish(&mut self, port: &mut impl Port) {
        self.tell_tally(port);
        self.go_on_with_old_side(port);
        for side in std::mem::take(&mut self.old_sides) {
            self.freeze(port, side.ordinal, false, |_| false);
            // Whoever waits there waits in vain.
            self.break_connections(port, side.ordinal);
            self.tell_loss(port, side);
        }
        self.tell_orphaned(port);
        for ordinal in self.ordinals() {
            let is_open = self.at(ordinal).is_open;
            self.settle_unknowns(
                port,
                ordinal,
                if is_open { Fate::Kept(u64::MAX) } else { Fate::Open },
            );
        }
    }

    fn tell_loss(&mut self, port: &mut impl Port, side: OldSide) {
        let database = self.setup.id;
        let (ordinal, kept_until) = (side.ordinal, side.survivor.committed_at);
        port.notice(PgNotice::Superseded { database, ordinal, kept_until });
        self.observe_loss(port, side);
        self.hand_on_unknowns(port, ordinal, side.survivor.position_ns);
    }

    /// Tells what was acknowledged beyond what survives.
    pub(crate) fn observe_loss(&self, port: &mut impl Port, side: OldSide) {
        let (database, ordinal) = (self.setup.id, side.ordinal);
        let acknowledged = self.at(ordinal).acknowledged;
        let kept_ns = side.survivor.position_ns;
        let between =
            |per_second| self.told_between(ordinal, kept_ns, acknowledged.position_ns, per_second);
        let commit_count = between(self.setup.commits_per_second);
        let wal_bytes = between(self.setup.wal_bytes_per_second);
        // A cluster whose commits nobody counted is judged by its bytes.
        let is_lost = commit_count > 0 || self.setup.commits_per_second == 0 && wal_bytes > 0;
        if is_lost {
            port.hit(&rare::COMMITS_LOST);
        }
        port.observe(if is_lost {
            let span = side.lost(acknowledged);
            Observation::CommitsLost { database, span_ns: span.as_nanos(), commit_count, wal_bytes }
        } else {
            Observation::CommitsKept { database }
        });
    }
}

/// How long it takes to ship a backlog while more is written.
fn catch_up(backlog_bytes: u64, wal_bytes_per_second: u64, shipped_per_second: u64) -> SimSpan {
    let spare = shipped_per_second.saturating_sub(wal_bytes_per_second).max(1);
    let nanos = u128::from(backlog_bytes) * 1_000_000_000 / u128::from(spare);
    SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
