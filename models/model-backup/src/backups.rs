//! All data sets of a platform: inputs, events, notices.

use std::sync::Arc;

use model_api::backup::{DataSetKind, Protection};
use model_api::observation::BackupFact;
use model_api::stake::Stakes;
use model_api::storage::POOLS_MAX;
use model_api::{Blueprint, DataSetId, Observation, PlaceId, PolicyId, PoolId, ZoneId};
use sim_kernel::{Context, EntityKey, Priority, Recorder, SimSpan, SimTime, Streams};

use crate::archive::ArchiveState;
use crate::fate::{Damage, Fates, bit, home_of};
use crate::restore::Gap;
use crate::runs::{Conditions, Runs};
use crate::stamp::Stamp;

mod cost;
mod damage;
mod lack;
mod live;
mod obstacles;
mod recovery;
mod sharing;
mod view;

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
    /// A region or account was lost, and what data can be restored to in another one is built.
    SiteBuilt,
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
    /// Places that take nothing more.
    places_full: u64,
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
            places_full: 0,
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
                if self.is_site_gone(data_set) {
                    notices.push(BackupNotice::SiteBuilt);
                }
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
            && self.takes_more(archive.to)
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

    /// Draws every consequence of what is up and what is not.
    fn refresh(&mut self, now: Stamp) {
        self.change_count += 1;
        let blueprint = Arc::clone(&self.blueprint);
        let protection = &blueprint.protection;
        let survivors = self.survivors(&self.damage, None);
        let is_place_up = |backups: &Self, place: PlaceId| {
            survivors.has_place(place.index())
                && backups.is_reachable(place.index(), Obstacles::now(backups))
                && backups.takes_more(place)
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
