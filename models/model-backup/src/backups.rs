//! All data sets of a platform: inputs, events, notices.

use std::sync::Arc;

use model_api::backup::{DataSetKind, DisasterClass, Protection};
use model_api::observation::BackupFact;
use model_api::stake::Stakes;
use model_api::storage::POOLS_MAX;
use model_api::{Blueprint, DataSetId, KeyId, Observation, PlaceId, PolicyId, PoolId, ZoneId};
use sim_kernel::{Context, EntityKey, Priority, Recorder, SimSpan, SimTime, Streams};

use crate::archive::ArchiveState;
use crate::exposure::{Cost, Subject};
use crate::fate::{Damage, Disaster, Fates, Survivors, bit, home_of};
use crate::people::{Work, work};
use crate::restore::{Gap, Stock, View, Way, way};
use crate::runs::{Conditions, Runs};
use crate::stamp::Stamp;

mod live;
mod obstacles;
mod recovery;
mod sharing;

use obstacles::Obstacles;
use recovery::Loss;
pub use recovery::Outlook;
use sharing::Movers;

/// After everything that says what is up at this instant.
const PRIORITY: Priority = Priority::NORMAL;

/// The configured rate of writing, in parts per million of itself.
const FULL_RATE_PPM: u32 = 1_000_000;

/// What recoveries wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackupEvent {
    /// A loss becomes known.
    LossDiscovered(DataSetId),
    /// It is decided to restore.
    RestoreDecided(DataSetId),
    /// The steps of the runbook are done.
    RunbookDone(DataSetId),
    /// Everything is prepared for a restore.
    RestoreReady(DataSetId),
    /// The bytes of some restore are there, which shared its place with others.
    SharesChange,
    /// The data is there.
    RestoreDone(DataSetId),
    /// It is checked, and clients are led to it.
    Returned(DataSetId),
}

/// What the platform has to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupNotice {
    /// It takes no writes until it is back: its content is wrong.
    Held(DataSetId),
    /// It serves again, without what was lost.
    Returned {
        /// Which.
        data_set: DataSetId,
        /// Time that is lost.
        lost: SimSpan,
        /// Everything that was written before is there; the start of the run for anything earlier.
        until: SimTime,
    },
}

/// How backups are broken by a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breakage {
    /// They fail, and are seen to.
    Visible,
    /// They seem to succeed.
    Silent,
}

/// Where one data set stands.
#[derive(Clone, Debug)]
struct SetState {
    key: EntityKey,
    /// Zones of its live copies; none when it was rebuilt.
    home: u64,
    /// The zone of each node that holds live copies on its disks.
    node_zones: Vec<ZoneId>,
    /// Storage pools of its live copies, where they are known.
    pools: u64,
    /// It was restored outside of everything that was lost before: see [`Backups::stands`].
    is_rebuilt: bool,
    /// The database says that clients can write.
    is_writing: bool,
    /// Its primary runs, and with it whoever hands segments to the archive.
    is_running: bool,
    /// At which rate it is written to, in parts per million of the configured one.
    rate_ppm: u32,
    /// Nothing is written since then.
    stopped_at: Option<Stamp>,
    loss: Option<Loss>,
    recovery_count: u32,
    kept: Option<SimSpan>,
    /// What its live copies lack, as far as that was told.
    stakes: Stakes,
    /// What is at stake with them is told up to here.
    live_told_until: Stamp,
}

/// All backups of a run.
#[derive(Clone, Debug)]
pub struct Backups {
    blueprint: Arc<Blueprint>,
    fates: Arc<Fates>,
    streams: Streams,
    runs: Runs,
    archives: Vec<ArchiveState>,
    archive_faults: Vec<Option<Breakage>>,
    policy_faults: Vec<Option<Breakage>>,
    sets: Vec<SetState>,
    damage: Damage,
    zones_down: u64,
    /// Storage pools that do not read and write, and those that will in a moment.
    pools_stopped: u64,
    pools_pausing: u64,
    /// Keys that cannot be used for a while.
    keys_disabled: u64,
    /// By place: bytes a second that can be read.
    read_rates: Vec<u64>,
    gaps: Vec<Gap>,
    /// Exposure is told up to here.
    told_until: Stamp,
    /// Restores that read now.
    restoring: u32,
    moving: Movers,
    /// Data sets whose restore is prepared, in the order in which that came.
    queue: Vec<DataSetId>,
    /// Data sets of which it turned out that nothing is left, until somebody asks.
    given_up: Vec<DataSetId>,
    change_count: u64,
}

impl Backups {
    /// The backups of a blueprint, with the copies of the time before the run.
    pub fn new(blueprint: &Arc<Blueprint>, streams: Streams) -> Self {
        let protection = &blueprint.protection;
        let origin = Stamp::ZERO.minus(protection.history);
        let archives = protection.archives.iter().map(|spec| {
            let written = protection.data_sets[spec.data_set.index()].written_bytes_per_second;
            let place = &protection.places[spec.to.index()];
            ArchiveState::new(spec, written, place.write_bytes_per_second, origin)
        });
        let sets = protection.data_sets.iter().map(|spec| SetState {
            key: EntityKey::of("data set").child(&spec.name),
            home: home_of(spec),
            node_zones: if spec.is_on_nodes { spec.zones.clone() } else { Vec::new() },
            pools: spec.pools.iter().fold(0, |bits, pool| bits | 1 << pool.index()),
            is_rebuilt: false,
            is_writing: true,
            is_running: true,
            rate_ppm: FULL_RATE_PPM,
            stopped_at: None,
            loss: None,
            recovery_count: 0,
            kept: None,
            stakes: Stakes::default(),
            live_told_until: Stamp::ZERO,
        });
        let runs = Runs::new(protection, origin, streams);
        Self {
            fates: Arc::new(Fates::new(protection, &blueprint.pools)),
            streams,
            runs,
            archives: archives.collect(),
            archive_faults: vec![None; protection.archives.len()],
            policy_faults: vec![None; protection.policies.len()],
            sets: sets.collect(),
            damage: Damage::default(),
            zones_down: 0,
            pools_stopped: 0,
            pools_pausing: 0,
            keys_disabled: 0,
            read_rates: protection.places.iter().map(|it| it.read_bytes_per_second).collect(),
            gaps: vec![Gap::NONE; protection.places.len()],
            told_until: Stamp::ZERO,
            restoring: 0,
            moving: Movers::default(),
            queue: Vec::new(),
            given_up: Vec::new(),
            change_count: 1,
            blueprint: Arc::clone(blueprint),
        }
    }

    /// The backups of another run, before either begins.
    #[must_use]
    pub fn with_streams(mut self, streams: Streams) -> Self {
        self.runs = self.runs.with_streams(&self.blueprint.protection, streams);
        self.streams = streams;
        self
    }

    /// Whether there is anything to lose that is known here.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Says in which zone each node stands that holds live copies of a data set. Before the run begins.
    pub fn set_home(&mut self, data_set: DataSetId, zones: impl Iterator<Item = ZoneId>) {
        let is_on_nodes = self.protection().data_sets[data_set.index()].is_on_nodes;
        let set = &mut self.sets[data_set.index()];
        set.node_zones.clear();
        let mut home = 0;
        for zone in zones {
            home |= bit(zone);
            if is_on_nodes {
                set.node_zones.push(zone);
            }
        }
        set.home = home;
        // Of pools in one zone each, those of other zones have none of it.
        let pools = set.pools;
        for pool in (0..POOLS_MAX).filter(|pool| pools >> pool & 1 == 1) {
            if self.fates.pool_zones(PoolId::from_index(pool)) & home == 0 {
                set.pools &= !(1 << pool);
            }
        }
    }

    /// Tells how long copies are kept, as far as the time before the run shows.
    pub fn begin<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.tell_kept(ctx);
    }

    /// Tells exposure to the end, and what is lost still.
    pub fn finish<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        self.tell_still_lost(ctx);
    }

    /// Some data set of which it turned out that nothing is left to restore, since it was last asked for.
    pub fn take_given_up(&mut self) -> Option<DataSetId> {
        self.given_up.pop()
    }

    /// Takes an event of this model.
    pub fn handle<E, R>(
        &mut self,
        event: BackupEvent,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<BackupNotice>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        match event {
            BackupEvent::LossDiscovered(data_set) => self.loss_discovered(data_set, ctx, notices),
            BackupEvent::RestoreDecided(data_set) => {
                self.prepare(data_set, BackupFact::RestoreDecided { data_set }, ctx);
            }
            BackupEvent::RunbookDone(data_set) => {
                self.prepare(data_set, BackupFact::RunbookDone { data_set }, ctx);
            }
            BackupEvent::RestoreReady(data_set) => {
                self.queue.push(data_set);
                self.start_restores(ctx);
            }
            BackupEvent::SharesChange => self.share_places(ctx),
            BackupEvent::RestoreDone(data_set) => self.restore_done(data_set, ctx),
            BackupEvent::Returned(data_set) => self.returned(data_set, ctx, notices),
        }
    }

    /// Tells whether clients can write to a database.
    pub fn set_writing<E, R>(
        &mut self,
        data_set: DataSetId,
        is_writing: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].is_writing != is_writing {
            self.look(ctx);
            self.sets[data_set.index()].is_writing = is_writing;
            self.refresh(Stamp::of(ctx.now()));
        }
    }

    /// Tells whether the primary of a database runs.
    pub fn set_running<E, R>(
        &mut self,
        data_set: DataSetId,
        is_running: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].is_running != is_running {
            self.look(ctx);
            self.sets[data_set.index()].is_running = is_running;
            self.refresh(Stamp::of(ctx.now()));
        }
    }

    /// Tells at which rate a database is written to, in parts per million of the configured rate.
    ///
    /// Simplified: a rate that moves by less than a tenth of itself stays; how long the log of a base
    /// backup takes to replay follows from the configured rate.
    pub fn set_rate<E, R>(
        &mut self,
        data_set: DataSetId,
        rate_ppm: u32,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let before = self.sets[data_set.index()].rate_ppm;
        let is_near = before > 0 && rate_ppm > 0 && before.abs_diff(rate_ppm) <= before / 10;
        if is_near || before == rate_ppm {
            return;
        }
        self.look(ctx);
        let now = Stamp::of(ctx.now());
        self.sets[data_set.index()].rate_ppm = rate_ppm;
        if let Some(idx) = self.archive_idx(data_set).filter(|_| rate_ppm > 0) {
            let configured = self.protection().data_sets[data_set.index()].written_bytes_per_second;
            let bytes = u128::from(configured) * u128::from(rate_ppm) / u128::from(FULL_RATE_PPM);
            self.archives[idx].set_rate(u64::try_from(bytes).unwrap_or(u64::MAX), now);
        }
        self.refresh(now);
    }

    /// Tells that a standby was promoted in place of a primary, which goes by `old`: what that one had closed
    /// and not archived stays on its disk.
    pub fn fork_log<E, R>(&mut self, data_set: DataSetId, old: u8, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let Some(idx) = self.archive_idx(data_set) else { return };
        self.look(ctx);
        let segment_count = self.archives[idx].fork(Stamp::of(ctx.now()), old);
        if segment_count > 0 {
            ctx.hit(&crate::rare::LOG_STRANDED);
            let fact = BackupFact::LogStranded { data_set, segment_count };
            ctx.observe(|| Observation::Backup(fact));
        }
    }

    /// Tells that such a primary is back and hands in what it has.
    pub fn hand_in_log<E, R>(&mut self, data_set: DataSetId, old: u8, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let Some(idx) = self.archive_idx(data_set) else { return };
        self.look(ctx);
        if self.archives[idx].hand_in(Stamp::of(ctx.now()), old) {
            ctx.hit(&crate::rare::LOG_HANDED_IN);
        }
    }

    /// Segments of the log that are closed and not in the archive.
    pub fn archive_backlog(&self, data_set: DataSetId, now: SimTime) -> u64 {
        let idx = self.archive_idx(data_set);
        idx.map_or(0, |idx| self.archives[idx].backlog(Stamp::of(now)))
    }

    /// Tells that a zone is without power or contact, or not any more.
    pub fn set_zone_down<E, R>(&mut self, zone: ZoneId, is_down: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let zones_down =
            if is_down { self.zones_down | bit(zone) } else { self.zones_down & !bit(zone) };
        if zones_down != self.zones_down {
            self.look(ctx);
            self.zones_down = zones_down;
            self.refresh(Stamp::of(ctx.now()));
            self.start_restores(ctx);
        }
    }

    /// Whether a zone is without power or contact, as far as backups were told.
    pub fn is_zone_down(&self, zone: ZoneId) -> bool {
        self.zones_down & bit(zone) != 0
    }

    /// Something is destroyed, and every data set with it that has no other live copy. Returns how
    /// many data sets, places and keys are gone with it.
    pub fn strike<E, R>(&mut self, disaster: Disaster, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.damage_and_strike(disaster, |damage| *damage = Fates::add(*damage, disaster), ctx)
    }

    fn damage_and_strike<E, R>(
        &mut self,
        disaster: Disaster,
        hurt: impl FnOnce(&mut Damage),
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        let grounds = self.grounds();
        hurt(&mut self.damage);
        let mut gone = self.lose_grounds(&grounds, disaster, ctx);
        for idx in 0..self.sets.len() {
            if self.sets[idx].loss.is_none() && !self.stands(idx, &self.damage) {
                gone += 1;
                self.begin_loss(DataSetId::from_index(idx), disaster, None, ctx);
            }
        }
        gone += self.note_lost(before, now);
        self.refresh(now);
        self.start_restores(ctx);
        gone
    }

    /// The content of a data set is destroyed in every live copy, which is noticed later. Returns how
    /// many data sets that strikes: one, or none when there is no content that could be destroyed.
    pub fn corrupt<E, R>(
        &mut self,
        data_set: DataSetId,
        dwell: SimSpan,
        deletes_copies: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].loss.is_some() {
            return u32::from(self.corrupt_again(data_set, dwell, deletes_copies, ctx));
        }
        self.look(ctx);
        let disaster = if deletes_copies { Disaster::Ransomware } else { Disaster::Logical };
        self.begin_loss(data_set, disaster, Some(dwell), ctx);
        1
    }

    /// A place is gone with every copy in it. Returns 1, or 0 when it was gone before.
    pub fn lose_place<E, R>(&mut self, place: PlaceId, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        self.damage.places |= 1 << place.index();
        let now = Stamp::of(ctx.now());
        let gone = self.note_lost(before, now);
        self.refresh(now);
        self.start_restores(ctx);
        gone
    }

    /// A key is gone. Returns 1, or 0 when it was gone before.
    pub fn lose_key<E, R>(&mut self, key: KeyId, ctx: &mut Context<'_, E, R>) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        let before = self.survivors(&self.damage, None);
        self.damage.keys |= 1 << key.index();
        self.start_restores(ctx);
        u32::from(before.has_key(key.index()))
    }

    /// Backups of a policy break or are mended.
    pub fn set_policy_fault<E, R>(
        &mut self,
        policy: PolicyId,
        fault: Option<Breakage>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        self.look(ctx);
        self.policy_faults[policy.index()] = fault;
        // A restore test may have found and mended it before.
        let blueprint = Arc::clone(&self.blueprint);
        let is_silent = fault == Some(Breakage::Silent);
        self.runs.set_silent(&blueprint.protection, policy, is_silent, Stamp::of(ctx.now()));
        self.refresh(Stamp::of(ctx.now()));
    }

    /// The archive of a data set breaks or is mended. Returns how many there are: 1 or 0.
    pub fn set_archive_fault<E, R>(
        &mut self,
        data_set: DataSetId,
        fault: Option<Breakage>,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let Some(idx) = self.archive_idx(data_set) else { return 0 };
        self.look(ctx);
        let now = Stamp::of(ctx.now());
        let was = std::mem::replace(&mut self.archive_faults[idx], fault);
        // Whatever ends it: what was not stored meanwhile never will be.
        if was == Some(Breakage::Silent) && fault != Some(Breakage::Silent) {
            ctx.hit(&crate::rare::ARCHIVE_GAP);
            self.archives[idx].break_era(now);
        }
        self.refresh(now);
        1
    }

    /// What a disaster would cost a data set if it struck now; `None` while it is lost already.
    pub fn cost_now(&self, data_set: DataSetId, disaster: Disaster, now: SimTime) -> Option<Cost> {
        let now = Stamp::of(now);
        let idx = data_set.index();
        if self.sets[idx].loss.is_some() {
            return None;
        }
        let mut ahead = self.runs.clone();
        ahead.advance(self.protection(), self.far_ahead(now), true);
        let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
        Some(match self.live_loss(idx, disaster, now) {
            Some((loss, _)) => Cost { loss, back: SimSpan::ZERO },
            None => self.subject(idx, disaster, &ahead, stairs.as_deref()).cost(now),
        })
    }

    /// How long the archive of a data set takes for a segment; `Some(None)` while it takes none and says
    /// so, `None` when there is no archive. One that breaks in silence takes segments, and loses them.
    pub fn archiver(&self, data_set: DataSetId) -> Option<Option<SimSpan>> {
        let idx = self.archive_idx(data_set)?;
        let archive = &self.protection().archives[idx];
        let place = archive.to.index();
        let is_up = self.archive_faults[idx] != Some(Breakage::Visible)
            && self.survivors(&self.damage, None).has_place(place)
            && self.is_reachable(place, Obstacles::now(self))
            && Obstacles::now(self).lets_use(archive.key)
            && !self.is_pausing(place);
        Some(is_up.then(|| self.archives[idx].upload()))
    }

    /// Counts changes of what is up and what is not.
    pub fn change_count(&self) -> u64 {
        self.change_count
    }

    /// What is known of a data set's accounts and places.
    pub fn fates(&self) -> &Fates {
        &self.fates
    }

    /// Whether it is lost and not back.
    pub fn is_lost(&self, data_set: DataSetId) -> bool {
        self.sets[data_set.index()].loss.is_some()
    }

    fn protection(&self) -> &Protection {
        &self.blueprint.protection
    }

    fn archive_idx(&self, data_set: DataSetId) -> Option<usize> {
        self.protection().archives.iter().position(|archive| archive.data_set == data_set)
    }

    /// Brings everything forward to now, and tells what a strike would have cost meanwhile. To be
    /// called before anything changes.
    fn look<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let now = Stamp::of(ctx.now());
        if now <= self.told_until || self.sets.is_empty() {
            return;
        }
        if R::RECORDS {
            self.tell_exposure(now, ctx);
        }
        let blueprint = Arc::clone(&self.blueprint);
        self.runs.advance(&blueprint.protection, now, false);
        self.told_until = now;
        for set in &mut self.sets {
            set.live_told_until = now;
        }
        self.tell_kept(ctx);
    }

    fn tell_exposure<E, R>(&self, now: Stamp, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let mut ahead = self.runs.clone();
        ahead.advance(self.protection(), self.far_ahead(now), true);
        for idx in 0..self.sets.len() {
            if self.sets[idx].loss.is_some() {
                continue;
            }
            let data_set = DataSetId::from_index(idx);
            let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
            let live_from = self.sets[idx].live_told_until;
            for class in DisasterClass::ALL {
                let mut told: Vec<live::Live<'_>> = Vec::new();
                let mut seen: Vec<View> = Vec::new();
                for disaster in self.disasters(idx, class) {
                    if let Some(live) = self.live(idx, disaster) {
                        if !told.contains(&live) {
                            live::tell_stakes(data_set, class, (live_from, now), &live, ctx);
                            told.push(live);
                        }
                        continue;
                    }
                    let subject = self.subject(idx, disaster, &ahead, stairs.as_deref());
                    if seen.contains(&subject.view) {
                        continue;
                    }
                    for stretch in subject.stretches(self.told_until, now) {
                        ctx.observe(|| Observation::Backup(stretch.fact(data_set, class)));
                    }
                    seen.push(subject.view);
                }
            }
        }
    }

    fn tell_kept<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = Arc::clone(&self.blueprint);
        for idx in 0..self.sets.len() {
            let data_set = DataSetId::from_index(idx);
            let policies = blueprint.protection.policies_of(data_set);
            let kept =
                policies.filter_map(|policy| self.runs.policies[policy.index()].kept_least).max();
            if let Some(age) = kept
                && self.sets[idx].kept != Some(age)
            {
                self.sets[idx].kept = Some(age);
                let age_ns = age.as_nanos();
                ctx.observe(|| Observation::Backup(BackupFact::Kept { data_set, age_ns }));
            }
        }
    }

    /// The latest moment that a strike by now could still care for.
    fn far_ahead(&self, now: Stamp) -> Stamp {
        let mut longest = SimSpan::ZERO;
        for idx in 0..self.sets.len() {
            for class in [DisasterClass::Region, DisasterClass::Logical] {
                for disaster in self.disasters(idx, class) {
                    longest = longest.max(self.work(idx, disaster, None).lead());
                }
            }
        }
        now.plus(longest).plus(SimSpan::from_nanos(1))
    }

    /// The disasters of a class that a data set is exposed to.
    fn disasters(
        &self,
        idx: usize,
        class: DisasterClass,
    ) -> impl Iterator<Item = Disaster> + use<> {
        let of_class = match class {
            DisasterClass::Node => Some(Disaster::Node),
            DisasterClass::Zone => None,
            DisasterClass::Region => Some(Disaster::Region),
            DisasterClass::Account => Some(Disaster::Account(self.fates.account_of(idx))),
            DisasterClass::Logical => Some(Disaster::Logical),
            DisasterClass::Ransomware => Some(Disaster::Ransomware),
        };
        let zone_count = if of_class.is_none() { self.blueprint.zones.len() } else { 0 };
        let zones = (0..zone_count).map(ZoneId::from_index).map(Disaster::Zone);
        of_class.into_iter().chain(zones)
    }

    /// What people need for the next recovery of a data set.
    fn work(&self, idx: usize, disaster: Disaster, dwell: Option<SimSpan>) -> Work {
        let spec = &self.protection().data_sets[idx];
        let set = &self.sets[idx];
        let dwell = match disaster {
            Disaster::Logical | Disaster::Ransomware => Some(dwell.unwrap_or(spec.discovery)),
            _ => None,
        };
        let is_site_gone = matches!(disaster, Disaster::Region | Disaster::Account(_));
        let recovery = &self.protection().recovery;
        work(recovery, self.streams, set.key, set.recovery_count, dwell, is_site_gone)
    }

    fn stock<'a>(
        &'a self,
        idx: usize,
        runs: &'a Runs,
        stairs: Option<&'a [crate::archive::Stairs]>,
    ) -> Stock<'a> {
        let spec = &self.protection().data_sets[idx];
        let archive = self.archive_idx(DataSetId::from_index(idx));
        Stock {
            protection: self.protection(),
            runs,
            archive: archive.and_then(|archive| Some((&self.archives[archive], stairs?))),
            size_bytes: spec.size_bytes,
            written_bytes_per_second: spec.written_bytes_per_second,
            read_rates: &self.read_rates,
            volume_bytes_per_second: spec.volume_bytes_per_second.unwrap_or(u64::MAX),
        }
    }

    fn subject<'a>(
        &'a self,
        idx: usize,
        disaster: Disaster,
        runs: &'a Runs,
        stairs: Option<&'a [crate::archive::Stairs]>,
    ) -> Subject<'a> {
        let work = self.work(idx, disaster, None);
        let is_logical = matches!(disaster, Disaster::Logical | Disaster::Ransomware);
        Subject {
            stock: self.stock(idx, runs, stairs),
            view: self.view(idx, disaster, &Fates::add(self.damage, disaster), Obstacles::IMAGINED),
            dwell: is_logical.then_some(work.detect),
            lead: work.lead(),
            verify: work.verify,
            stopped_at: self.sets[idx].stopped_at,
        }
    }

    /// What is left of the copies of a data set that a disaster strikes, as long as something keeps
    /// people from them.
    fn view(&self, idx: usize, disaster: Disaster, damage: &Damage, obstacles: Obstacles) -> View {
        let protection = self.protection();
        let data_set = DataSetId::from_index(idx);
        let account = &protection.data_sets[idx].account;
        let is_attacked = disaster == Disaster::Ransomware;
        let survivors = self.survivors(damage, Some(data_set)).without(|place| {
            let spec = &protection.places[place];
            let is_deleted =
                is_attacked && spec.lock.is_none() && spec.location.account == *account;
            is_deleted
                || !self.is_reachable(place, obstacles)
                || (obstacles.is_imagined && !self.fates.is_served_after(place, damage))
        });
        let has_key = |key: Option<KeyId>| {
            key.is_none_or(|key| survivors.has_key(key.index())) && obstacles.lets_use(key)
        };
        let ways = protection.policies_of(data_set).filter_map(|id| {
            let policy = &protection.policies[id.index()];
            let way = way(policy.to, &policy.copies, survivors, &self.gaps)?;
            has_key(policy.key).then_some((id, way))
        });
        let archive = protection.archive_of(data_set).and_then(|archive| {
            let way = way(archive.to, &archive.copies, survivors, &self.gaps)?;
            has_key(archive.key).then_some(way)
        });
        let guard = |(policy, way): (PolicyId, Way)| {
            let place = &protection.places[way.place.index()];
            let is_in_reach = is_attacked && place.location.account == *account;
            let only_locked_for = place.lock.filter(|_| is_in_reach);
            (policy, Way { only_locked_for, ..way })
        };
        View { ways: ways.map(guard).collect(), archive, is_attacked }
    }

    /// What is left, if this data set were lost besides those that are.
    fn survivors(&self, damage: &Damage, lost: Option<DataSetId>) -> Survivors {
        let stands = |data_set: DataSetId| self.stands(data_set.index(), damage);
        let is_alive = |data_set: DataSetId| {
            self.sets[data_set.index()].loss.is_none() && lost != Some(data_set) && stands(data_set)
        };
        self.fates.survivors(damage, stands, is_alive)
    }

    /// Whether all of a data set is left after some damage, whatever is in it.
    ///
    /// Simplified: what was restored after the region, the account or every zone was lost stands in a
    /// place of its own, which no later loss of a zone, a region or an account strikes.
    fn stands(&self, idx: usize, damage: &Damage) -> bool {
        let set = &self.sets[idx];
        set.is_rebuilt || self.fates.has_live_copy(idx, (set.home, set.pools), damage)
    }

    fn is_reachable(&self, place: usize, obstacles: Obstacles) -> bool {
        if let Some(pool) = self.fates.pool_of(place) {
            return obstacles.pools_stopped >> pool.index() & 1 == 0;
        }
        self.fates.is_reachable(place, obstacles.zones_down, |data_set| {
            self.sets[data_set.index()].home & obstacles.zones_down == 0
        })
    }

    /// Whether the pool under a place waits for a moment: whoever writes to it tries again.
    fn is_pausing(&self, place: usize) -> bool {
        self.fates.pool_of(place).is_some_and(|pool| self.pools_pausing >> pool.index() & 1 == 1)
    }

    /// Notes which places were lost or came back just now; returns how many places and keys were lost.
    fn note_lost(&mut self, before: Survivors, now: Stamp) -> u32 {
        let after = self.survivors(&self.damage, None);
        for (idx, gap) in self.gaps.iter_mut().enumerate() {
            match (before.has_place(idx), after.has_place(idx)) {
                (true, false) => *gap = Gap { lost_at: now, back_at: Stamp::MAX },
                (false, true) => gap.back_at = now,
                _ => {}
            }
        }
        before.count_beyond(after)
    }

    /// Draws every consequence of what is up and what is not.
    fn refresh(&mut self, now: Stamp) {
        self.change_count += 1;
        let blueprint = Arc::clone(&self.blueprint);
        let protection = &blueprint.protection;
        let survivors = self.survivors(&self.damage, None);
        let is_place_up = |backups: &Self, place: PlaceId| {
            survivors.has_place(place.index())
                && backups.is_reachable(place.index(), Obstacles::now(backups))
        };
        let lets_use = |backups: &Self, key| Obstacles::now(backups).lets_use(key);
        for (idx, policy) in protection.policies.iter().enumerate() {
            let conditions = Conditions {
                is_source_up: self.is_source_up(policy.data_set),
                is_place_up: is_place_up(self, policy.to) && lets_use(self, policy.key),
                is_broken: self.policy_faults[idx] == Some(Breakage::Visible),
            };
            self.runs.set_conditions(PolicyId::from_index(idx), conditions);
        }
        for (idx, archive) in protection.archives.iter().enumerate() {
            let set = &self.sets[archive.data_set.index()];
            let has_power = set.is_rebuilt || set.home & !self.zones_down != 0;
            let is_up = has_power
                && (set.is_running || set.is_rebuilt)
                && is_place_up(self, archive.to)
                && lets_use(self, archive.key)
                && !self.is_pausing(archive.to.index())
                && self.archive_faults[idx].is_none();
            let is_writing = self.is_written(archive.data_set);
            self.archives[idx].set_up(is_up, now);
            self.archives[idx].set_writing(is_writing, now);
        }
        for idx in 0..self.sets.len() {
            let is_written = self.is_written(DataSetId::from_index(idx));
            let set = &mut self.sets[idx];
            match (is_written, set.stopped_at) {
                (true, Some(_)) => set.stopped_at = None,
                (false, None) => set.stopped_at = Some(now),
                _ => {}
            }
        }
    }

    /// Whether a backup can read a data set.
    fn is_source_up(&self, data_set: DataSetId) -> bool {
        let set = &self.sets[data_set.index()];
        let up = (set.home & !self.zones_down).count_ones();
        let all = set.home.count_ones();
        let is_up = set.is_rebuilt
            || match self.protection().data_sets[data_set.index()].kind {
                DataSetKind::Database(_) => up > 0,
                DataSetKind::Etcd => up > all / 2,
                DataSetKind::Volumes(_) | DataSetKind::Other => up == all,
            };
        let served = set.pools & !self.pools_stopped;
        let is_served = match self.protection().data_sets[data_set.index()].kind {
            DataSetKind::Database(_) => set.pools == 0 || served != 0,
            _ => served == set.pools,
        };
        is_up && is_served && !set.loss.as_ref().is_some_and(Loss::is_stopped)
    }

    fn is_written(&self, data_set: DataSetId) -> bool {
        let set = &self.sets[data_set.index()];
        set.is_writing && set.rate_ppm > 0 && self.is_source_up(data_set)
    }
}
