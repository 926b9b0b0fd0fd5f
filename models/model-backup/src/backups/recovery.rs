//! From a loss to the return of what could be restored.

use model_api::DataSetId;
use model_api::backup::DisasterClass;
use model_api::observation::{BackupFact, Lack, RecoveryParts};
use sim_kernel::{Context, Recorder, SimSpan, SimTime, Timer};

use super::{BackupEvent, BackupNotice, Backups, Observation, Obstacles, PRIORITY};
use crate::exposure::ALL;
use crate::fate::Disaster;
use crate::people::Work;
use crate::rare;
use crate::restore::{Found, Question, newest};
use crate::stamp::Stamp;

/// A loss that is not made good.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    disaster: Disaster,
    struck_at: Stamp,
    /// When people knew.
    discovered_at: Option<Stamp>,
    /// The last moment at which it was written to.
    written_until: Option<Stamp>,
    /// It still ran when the loss was found.
    is_server_left: bool,
    work: Work,
    /// When people could begin with it: at the strike, or when it was struck again meanwhile.
    began_at: Stamp,
    /// Time from the first strike that came to nothing, because it was struck again.
    wasted: SimSpan,
    /// What comes next.
    timer: Timer,
    /// Bytes move.
    is_reading: bool,
    ready_at: Option<Stamp>,
    reads_at: Option<Stamp>,
    found: Option<Found>,
    /// Nothing was left: it never comes back.
    is_final: bool,
}

impl Loss {
    /// Whether nothing of it serves or can be copied any more.
    pub(super) fn is_stopped(&self) -> bool {
        self.discovered_at.is_some() || !self.is_logical()
    }

    fn is_logical(&self) -> bool {
        matches!(self.disaster, Disaster::Logical | Disaster::Ransomware)
    }

    /// What a restore that begins to read at `now` asks for.
    fn question(&self, now: Stamp) -> Question {
        let is_logical = self.is_logical();
        let waits = self.disaster == Disaster::Logical;
        Question {
            struck_at: self.struck_at,
            ready_before: if waits { now } else { self.struck_at },
            pruned_from: if is_logical {
                self.discovered_at.unwrap_or(self.struck_at)
            } else {
                self.struck_at
            },
            read_at: now,
            is_server_left: self.is_server_left,
        }
    }
}

/// What is to be expected of data that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What does not come back; [`ALL`] for everything.
    pub lost: SimSpan,
    /// No more than that: a restore is under way, or there will be none.
    pub is_known: bool,
}

fn class_of(disaster: Disaster) -> DisasterClass {
    match disaster {
        Disaster::Node => DisasterClass::Node,
        Disaster::Zone(_) => DisasterClass::Zone,
        Disaster::Region => DisasterClass::Region,
        Disaster::Account(_) => DisasterClass::Account,
        Disaster::Logical => DisasterClass::Logical,
        Disaster::Ransomware => DisasterClass::Ransomware,
    }
}

impl Backups {
    /// The node under a live copy of each data set that lies on disks of nodes never returns. Returns how
    /// many data sets have no live copy left.
    pub fn lose_nodes<E, R>(&mut self, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let mut gone = 0;
        for idx in 0..self.sets.len() {
            let is_lost = self.sets[idx].loss.is_some();
            if !is_lost && self.live(idx, Disaster::Node).is_none() {
                gone += 1;
                self.begin_loss(DataSetId::from_index(idx), Disaster::Node, None, ctx);
            }
        }
        self.refresh(Stamp::of(ctx.now()));
        self.start_restores(ctx);
        gone
    }

    /// Every live copy of a data set is gone, and nothing else with them: the volumes of all instances of a
    /// database. Returns whether it was there before.
    pub fn lose_live<E, R>(&mut self, data_set: DataSetId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].loss.is_some() {
            ctx.hit(&rare::STRUCK_AGAIN);
            return false;
        }
        self.look(ctx);
        self.begin_loss(data_set, Disaster::Node, None, ctx);
        true
    }

    pub(super) fn begin_loss<E, R>(
        &mut self,
        data_set: DataSetId,
        disaster: Disaster,
        dwell: Option<SimSpan>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        let work = self.work(data_set.index(), disaster, dwell);
        let is_logical = matches!(disaster, Disaster::Logical | Disaster::Ransomware);
        let stopped_at = self.sets[data_set.index()].stopped_at;
        self.sets[data_set.index()].loss = Some(Loss {
            disaster,
            struck_at: now,
            discovered_at: None,
            // What is spoilt is still written to until people know.
            written_until: stopped_at.or((!is_logical).then_some(now)),
            is_server_left: false,
            work,
            began_at: now,
            wasted: SimSpan::ZERO,
            timer: Timer::NONE,
            is_reading: false,
            ready_at: None,
            reads_at: None,
            found: None,
            is_final: false,
        });
        let class = class_of(disaster);
        ctx.observe(|| Observation::Backup(BackupFact::Struck { data_set, class }));
        self.expect(BackupEvent::LossDiscovered(data_set), data_set, work.detect, ctx);
    }

    /// The next stage of a recovery begins after some time.
    pub(super) fn expect<E, R>(
        &mut self,
        next: BackupEvent,
        data_set: DataSetId,
        span: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if let Some(loss) = &mut self.sets[data_set.index()].loss {
            loss.timer = ctx.timer_in(span, PRIORITY, next);
        }
    }

    /// The next stage comes at another time than was expected: never, where that is beyond the end of virtual time.
    pub(super) fn put_off<E, R>(
        &mut self,
        next: BackupEvent,
        data_set: DataSetId,
        span: SimSpan,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if let Some(loss) = &self.sets[data_set.index()].loss {
            ctx.cancel(loss.timer);
        }
        if ctx.now().checked_add(span).is_some() {
            self.expect(next, data_set, span, ctx);
        }
    }

    /// The content of data is destroyed once more before it is back. Returns whether there was any.
    ///
    /// A restore that has begun begins anew once that is noticed. One that has not undoes both; it is noticed
    /// when the first of them is.
    /// Simplified: what is restored can be destroyed before it is led to; a copy whose lock ends between
    /// two attacks counts as kept.
    pub(super) fn corrupt_again<E, R>(
        &mut self,
        data_set: DataSetId,
        dwell: SimSpan,
        deletes_copies: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::STRUCK_AGAIN);
        self.look(ctx);
        let now = Stamp::of(ctx.now());
        let Some(loss) = &mut self.sets[data_set.index()].loss else { return false };
        // Of data that is gone there is no content until some is restored.
        if loss.is_final || !loss.is_logical() && loss.found.is_none() {
            return false;
        }
        let disaster = if deletes_copies { Disaster::Ransomware } else { Disaster::Logical };
        if deletes_copies {
            loss.disaster = disaster;
        }
        let class = class_of(disaster);
        ctx.observe(|| Observation::Backup(BackupFact::Struck { data_set, class }));
        let in_all = now.plus(dwell).since(loss.began_at);
        if loss.found.is_some() {
            self.begin_anew(data_set, disaster, Some(dwell), ctx);
        } else if loss.discovered_at.is_none() && in_all < loss.work.detect {
            loss.work.detect = in_all;
            ctx.cancel(loss.timer);
            self.expect(BackupEvent::LossDiscovered(data_set), data_set, dwell, ctx);
        }
        true
    }

    /// By data set: it is lost, and what it is restored to is there.
    pub(super) fn grounds(&self) -> Vec<bool> {
        (0..self.sets.len()).map(|idx| self.has_ground(idx)).collect()
    }

    fn has_ground(&self, idx: usize) -> bool {
        match &self.sets[idx].loss {
            None => false,
            Some(loss) if loss.is_final => false,
            // In place.
            Some(loss) if loss.is_logical() => self.stands(idx, &self.damage),
            Some(_) => self.fates.has_live_copy(idx, (self.zones_left(), 0), &self.damage),
        }
    }

    /// Recoveries begin anew whose ground was there before a disaster and is not any more. Returns how
    /// many.
    pub(super) fn lose_grounds<E, R>(
        &mut self,
        before: &[bool],
        disaster: Disaster,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let mut count = 0;
        for (idx, had_ground) in before.iter().enumerate() {
            if !had_ground || self.has_ground(idx) {
                continue;
            }
            count += 1;
            ctx.hit(&rare::STRUCK_AGAIN);
            let (data_set, now) = (DataSetId::from_index(idx), Stamp::of(ctx.now()));
            let stopped_at = self.sets[idx].stopped_at;
            if let Some(loss) = &mut self.sets[idx].loss {
                loss.disaster = disaster;
                loss.is_server_left = false;
                loss.written_until = loss.written_until.or(stopped_at).or(Some(now));
            }
            let class = class_of(disaster);
            ctx.observe(|| Observation::Backup(BackupFact::Struck { data_set, class }));
            self.begin_anew(data_set, disaster, None, ctx);
        }
        count
    }

    /// What was done for a recovery so far is lost, and what was restored: somebody has to notice that, and all
    /// of it is done again.
    fn begin_anew<E, R>(
        &mut self,
        data_set: DataSetId,
        disaster: Disaster,
        dwell: Option<SimSpan>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let (idx, now) = (data_set.index(), Stamp::of(ctx.now()));
        // It has luck of its own.
        self.sets[idx].recovery_count += 1;
        let work = self.work(idx, disaster, dwell);
        let Some(loss) = &mut self.sets[idx].loss else { return };
        ctx.cancel(loss.timer);
        if std::mem::take(&mut loss.is_reading) {
            self.restoring -= 1;
        }
        loss.wasted = now.since(loss.struck_at);
        (loss.work, loss.began_at) = (work, now);
        (loss.ready_at, loss.reads_at, loss.found) = (None, None, None);
        self.queue.retain(|other| *other != data_set);
        self.end_moving(data_set, ctx);
        self.expect(BackupEvent::LossDiscovered(data_set), data_set, work.detect, ctx);
        self.start_restores(ctx);
    }

    /// Zones that are not destroyed.
    fn zones_left(&self) -> u64 {
        let all = u64::MAX >> (64 - self.blueprint.zones.len().clamp(1, 64));
        all & !self.damage.zones_gone()
    }

    pub(super) fn loss_discovered<E, R>(
        &mut self,
        data_set: DataSetId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<BackupNotice>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        let set = &mut self.sets[data_set.index()];
        let stopped_at = set.stopped_at;
        let Some(loss) = &mut set.loss else { return };
        let decided_in = loss.work.respond.saturating_add(loss.work.decide);
        // Nobody writes between two of them.
        if loss.discovered_at.is_none() {
            loss.discovered_at = Some(now);
            loss.is_server_left = loss.disaster == Disaster::Logical && stopped_at.is_none();
            loss.written_until = Some(loss.written_until.or(stopped_at).unwrap_or(now));
            self.refresh(now);
            notices.push(BackupNotice::Held(data_set));
        }
        ctx.observe(|| Observation::Backup(BackupFact::LossDiscovered { data_set }));
        self.expect(BackupEvent::RestoreDecided(data_set), data_set, decided_in, ctx);
    }

    /// One stage of the preparation is over; the next one begins.
    pub(super) fn prepare<E, R>(
        &mut self,
        data_set: DataSetId,
        fact: BackupFact,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let Some(loss) = &self.sets[data_set.index()].loss else { return };
        ctx.observe(|| Observation::Backup(fact));
        let (takes, next) = match fact {
            BackupFact::RestoreDecided { .. } => {
                (loss.work.act, BackupEvent::RunbookDone(data_set))
            }
            _ => (loss.work.provision, BackupEvent::RestoreReady(data_set)),
        };
        self.expect(next, data_set, takes, ctx);
    }

    /// Starts restores that are prepared, in order, as many as are made at the same time.
    pub(super) fn start_restores<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let mut waiting = std::mem::take(&mut self.queue);
        // What turns out to have nothing left is waited for no longer, by data before it either.
        loop {
            let before = waiting.len();
            let mut has_given_up = false;
            waiting.retain(|data_set| {
                let keeps = self.has_to_wait(*data_set, ctx);
                has_given_up |= !keeps && !self.is_coming_back(*data_set);
                keeps
            });
            if !has_given_up || waiting.len() == before {
                break;
            }
        }
        self.queue = waiting;
    }

    /// Starts the restore of data that is prepared, unless it has to wait.
    fn has_to_wait<E, R>(&mut self, data_set: DataSetId, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        let idx = data_set.index();
        if let Some(loss) = &mut self.sets[idx].loss {
            loss.ready_at.get_or_insert(now);
        }
        let needed = &self.protection().data_sets[idx].restored_after;
        if needed.iter().any(|other| self.is_coming_back(*other)) {
            ctx.hit(&rare::WAITED_FOR_ORDER);
            return true;
        }
        if self.restoring >= self.protection().recovery.parallel.max(1) {
            ctx.hit(&rare::QUEUED);
            return true;
        }
        !self.start_restore(data_set, now, ctx)
    }

    /// Whether a loss took everything with it that data could be restored to.
    pub(super) fn is_site_gone(&self, data_set: DataSetId) -> bool {
        let takes = |disaster| matches!(disaster, Disaster::Region | Disaster::Account(_));
        self.sets[data_set.index()].loss.as_ref().is_some_and(|loss| takes(loss.disaster))
    }

    /// Whether it is lost, and somebody restores it.
    pub fn is_coming_back(&self, data_set: DataSetId) -> bool {
        self.sets[data_set.index()].loss.as_ref().is_some_and(|loss| !loss.is_final)
    }

    /// Starts one restore, or finds that there is none; false when it has to wait for a place.
    fn start_restore<E, R>(
        &mut self,
        data_set: DataSetId,
        now: Stamp,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let found = self.find(data_set, now, Obstacles::now(self));
        if found.is_none() && self.find(data_set, now, Obstacles::NONE).is_some() {
            ctx.hit(&rare::WAITED_FOR_PLACE);
            return false;
        }
        let lack = found.is_none().then(|| self.lack_now(data_set, now)).flatten();
        let Some(loss) = &mut self.sets[data_set.index()].loss else { return true };
        let Some(found) = found else {
            loss.is_final = true;
            self.given_up.push(data_set);
            ctx.hit(&rare::NOTHING_LEFT);
            let lack = lack.unwrap_or(Lack::Copy);
            ctx.observe(|| Observation::Backup(BackupFact::Unrestorable { data_set, lack }));
            return true;
        };
        (loss.reads_at, loss.found, loss.is_reading) = (Some(now), Some(found), true);
        self.restoring += 1;
        let bad_count = found.bad_count;
        if bad_count > 0 {
            ctx.hit(&rare::BAD_COPY);
        }
        let started = BackupFact::RestoreStarted { data_set, bad_count };
        ctx.observe(|| Observation::Backup(started));
        self.move_bytes(data_set, &found, ctx);
        true
    }

    fn find(&self, data_set: DataSetId, now: Stamp, obstacles: Obstacles) -> Option<Found> {
        let loss = self.sets[data_set.index()].loss.as_ref()?;
        self.find_for(data_set, loss, now, obstacles)
    }

    fn find_for(
        &self,
        data_set: DataSetId,
        loss: &Loss,
        now: Stamp,
        obstacles: Obstacles,
    ) -> Option<Found> {
        let idx = data_set.index();
        let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
        let stock = self.stock(idx, &self.runs, stairs.as_deref());
        let view = self.view(idx, loss.disaster, &self.damage, obstacles);
        newest(&stock, &view, &loss.question(now))
    }

    /// Why nothing of what is lost can be restored now; `None` of what is not lost.
    fn lack_now(&self, data_set: DataSetId, now: Stamp) -> Option<Lack> {
        let idx = data_set.index();
        let loss = self.sets[idx].loss.as_ref()?;
        let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
        let stock = self.stock(idx, &self.runs, stairs.as_deref());
        let view = self.view(idx, loss.disaster, &self.damage, Obstacles::NONE);
        let struck = (loss.disaster, &self.damage, Obstacles::NONE);
        Some(self.lack(idx, struck, (&stock, &view), &loss.question(now)))
    }

    /// What a restore of lost data brings back that is under way, or that would begin now; `None` of data
    /// that is not lost, or of which nobody hopes any more.
    pub fn outlook(&self, data_set: DataSetId, now: SimTime) -> Option<Outlook> {
        let now = Stamp::of(now);
        let set = &self.sets[data_set.index()];
        let mut loss = set.loss.clone().filter(|loss| !loss.is_final)?;
        if loss.discovered_at.is_none() {
            // Nobody has stopped it yet.
            loss.is_server_left = loss.disaster == Disaster::Logical && set.stopped_at.is_none();
        }
        let begun = loss.found;
        let found = begun.or_else(|| self.find_for(data_set, &loss, now, Obstacles::NONE));
        let written_until = loss.written_until.or(set.stopped_at).unwrap_or(now);
        Some(Outlook {
            lost: found.map_or(ALL, |found| written_until.since(found.reach)),
            is_known: begun.is_some() || found.is_none(),
        })
    }

    /// Tells at the end of a run what is still lost.
    pub(super) fn tell_still_lost<E, R>(&self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        for data_set in (0..self.sets.len()).map(DataSetId::from_index) {
            if let Some(Outlook { lost, is_known }) = self.outlook(data_set, ctx.now()) {
                let fact = BackupFact::StillLost { data_set, lost_ns: lost.as_nanos(), is_known };
                ctx.observe(|| Observation::Backup(fact));
            }
        }
    }

    pub(super) fn restore_done<E, R>(&mut self, data_set: DataSetId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.restoring -= 1;
        self.end_moving(data_set, ctx);
        if let Some(loss) = &mut self.sets[data_set.index()].loss {
            loss.is_reading = false;
            if let (Some(found), Some(reads_at)) = (&mut loss.found, loss.reads_at) {
                // It took longer than alone where it shared a place.
                let took = Stamp::of(ctx.now()).since(reads_at);
                found.fetch = took.saturating_sub(found.replay);
            }
            let verify = loss.work.verify;
            ctx.observe(|| Observation::Backup(BackupFact::RestoreDone { data_set }));
            self.expect(BackupEvent::Returned(data_set), data_set, verify, ctx);
        }
        self.start_restores(ctx);
    }

    pub(super) fn returned<E, R>(
        &mut self,
        data_set: DataSetId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<BackupNotice>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        let idx = data_set.index();
        let Some(loss) = self.sets[idx].loss.take() else { return };
        let Some(found) = loss.found else { return };
        self.sets[idx].recovery_count += 1;
        let before = self.survivors(&self.damage, Some(data_set));
        self.settle_home(idx);
        self.note_lost(before, now);
        let policies: Vec<_> = self.protection().policies_of(data_set).collect();
        for policy in policies {
            self.runs.spoil(policy, loss.struck_at, now);
        }
        if let Some(archive) = self.archive_idx(data_set) {
            self.archives[archive].break_era(now);
        }
        self.refresh(now);
        let written_until = loss.written_until.unwrap_or(loss.struck_at);
        let lost = written_until.since(found.reach);
        let parts = parts(&loss, &found);
        let fact = BackupFact::Returned { data_set, lost_ns: lost.as_nanos(), parts };
        ctx.observe(|| Observation::Backup(fact));
        notices.push(BackupNotice::Returned { data_set, lost, until: found.reach.time() });
        self.start_restores(ctx);
    }

    /// What was restored stands where there still are zones, and in an account; elsewhere when there
    /// are none.
    fn settle_home(&mut self, idx: usize) {
        if self.stands(idx, &self.damage) {
            return;
        }
        let left = self.zones_left();
        // It has new volumes, of which nobody said on which pool.
        self.sets[idx].pools = 0;
        let is_rebuilt = !self.fates.has_live_copy(idx, (left, 0), &self.damage);
        self.sets[idx].is_rebuilt = is_rebuilt;
        self.sets[idx].home = if is_rebuilt { 0 } else { left };
    }
}

/// What a recovery was spent on.
fn parts(loss: &Loss, found: &Found) -> RecoveryParts {
    let work = &loss.work;
    let waited = match (loss.ready_at, loss.reads_at) {
        (Some(ready_at), Some(reads_at)) => reads_at.since(ready_at),
        _ => SimSpan::ZERO,
    };
    RecoveryParts {
        detect_ns: work.detect.as_nanos(),
        decide_ns: work.respond.saturating_add(work.decide).as_nanos(),
        act_ns: work.act.as_nanos(),
        provision_ns: work.provision.saturating_add(waited).saturating_add(loss.wasted).as_nanos(),
        fetch_ns: found.fetch.as_nanos(),
        replay_ns: found.replay.as_nanos(),
        verify_ns: work.verify.as_nanos(),
    }
}
