//! All pools of a platform in time: inputs, events, notices.
//!
//! # Modelled
//! Each change of disks makes groups peer; then reads and writes go on, or stop until enough is back.
//! Disks that stay away are given up and what they had is made anew; whatever is lost meanwhile strikes
//! groups that are not whole yet.
//! # Not modelled
//! Simplified: what stands on a pool is spread over all of its groups, so that a single one that is not
//! served stops all, and a single one that is lost spoils all; each pool is a cluster of its own.
//! # Defaults and their sources
//! See [`crate::detection`] and `rebuild.rs`.
//! # Invariants
//! A pool to which nothing happened has no groups, no disks and no event.
//! # Checked against
//! The tests below.

use std::sync::Arc;

use model_api::fault::DiskCount;
use model_api::observation::{PoolIo, StorageFact};
use model_api::parameters::Range;
use model_api::storage::Pool;
use model_api::{Blueprint, Observation, PoolId, ZoneId};
use sim_kernel::{
    Context, EntityKey, Priority, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::detection::{Departure, HEARTBEAT_GRACE, HEARTBEAT_INTERVAL, PEERING, pause};
use crate::disks::{DiskPick, Disks};
use crate::group::{Health, health, is_at_one};
use crate::placement::{Group, Osd, place, replacement};
use crate::rare;
use crate::rebuild::{Item, Rebuild, SLOWDOWN_MILLI, Urgency, chunk_bytes};

/// After machines have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

const HEARTBEAT: Purpose = Purpose::new("osd heartbeat");
const PEERS: Purpose = Purpose::new("placement groups peer");
const SLOWS: Purpose = Purpose::new("clients while chunks are made anew");
const PICKED: Purpose = Purpose::new("disks that are lost");

/// What pools wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageEvent {
    /// Groups have peered.
    PeeringDone(PoolId),
    /// Disks have been down for so long that they are given up.
    OutDue(PoolId),
    /// The most pressing chunks, or all, are made anew.
    RebuildDue(PoolId),
}

/// What the platform has to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageNotice {
    /// Reads and writes of a pool go on, wait or stop.
    IoChanged(PoolId),
    /// Clients of a pool are slower, or are not any more.
    PaceChanged(PoolId),
    /// Data of a pool is lost for good.
    DataLost(PoolId),
}

/// Disks that a fault took away, to be brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss(u32);

/// One pool.
#[derive(Clone, Debug)]
struct State {
    key: EntityKey,
    min_size: u32,
    /// Empty until something happens to it.
    groups: Vec<Group>,
    disks: Disks,
    io: PoolIo,
    /// When peers notice that disks are silent that are away.
    noticed_at: SimTime,
    peers_until: SimTime,
    peer_timer: Timer,
    out_timer: Timer,
    rebuild: Option<Rebuild>,
    rebuild_timer: Timer,
    slowdown_milli: u32,
    lost_count: u32,
    /// Share below size and bytes at one copy, as they were told.
    told: (u32, u64),
    pause_count: u64,
    rebuild_count: u64,
    move_count: u64,
}

/// What a look at all groups found.
#[derive(Clone, Copy, Debug, Default)]
struct Census {
    below: u32,
    at_one: u32,
    inactive: u32,
    lost: u32,
}

/// All pools of a run.
#[derive(Clone, Debug)]
pub struct Pools {
    blueprint: Arc<Blueprint>,
    streams: Streams,
    states: Vec<State>,
    losses: Vec<(PoolId, Vec<Osd>)>,
    /// Zones without power or contact, each a bit.
    zones_down: u64,
}

impl Pools {
    /// The pools of a blueprint, whole.
    pub fn new(blueprint: &Arc<Blueprint>, streams: Streams) -> Self {
        let state = |pool: &Pool| State {
            key: EntityKey::of("pool").child(&pool.name),
            min_size: pool.min_size,
            groups: Vec::new(),
            disks: Disks::default(),
            io: PoolIo::Runs,
            noticed_at: SimTime::ZERO,
            peers_until: SimTime::ZERO,
            peer_timer: Timer::NONE,
            out_timer: Timer::NONE,
            rebuild: None,
            rebuild_timer: Timer::NONE,
            slowdown_milli: 1000,
            lost_count: 0,
            told: (0, 0),
            pause_count: 0,
            rebuild_count: 0,
            move_count: 0,
        };
        Self {
            states: blueprint.pools.iter().map(state).collect(),
            blueprint: Arc::clone(blueprint),
            streams,
            losses: Vec::new(),
            zones_down: 0,
        }
    }

    /// What reads and writes of a pool do.
    pub fn io(&self, pool: PoolId) -> PoolIo {
        self.states[pool.index()].io
    }

    /// By how much clients of a pool are slower now, in thousandths of what they need.
    pub fn slowdown_milli(&self, pool: PoolId) -> u32 {
        self.states[pool.index()].slowdown_milli
    }

    /// Takes an event of this model.
    pub fn handle<E, R>(
        &mut self,
        event: StorageEvent,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        match event {
            StorageEvent::PeeringDone(pool) | StorageEvent::RebuildDue(pool) => {
                self.review(pool, false, ctx, notices);
            }
            StorageEvent::OutDue(pool) => self.review(pool, true, ctx, notices),
        }
    }

    /// Tells that a zone is without power or contact, or not any more.
    pub fn set_zone_down<E, R>(
        &mut self,
        zone: ZoneId,
        is_down: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let bit = 1 << zone.index();
        let zones_down = if is_down { self.zones_down | bit } else { self.zones_down & !bit };
        if zones_down == self.zones_down {
            return;
        }
        let blueprint = Arc::clone(&self.blueprint);
        let is_hit = |pool: &Pool| pool.zones.contains(&zone) || pool.monitor_zones.contains(&zone);
        // They are placed as they were before the zone went.
        for (idx, _) in blueprint.pools.iter().enumerate().filter(|(_, pool)| is_hit(pool)) {
            self.touch(PoolId::from_index(idx));
        }
        self.zones_down = zones_down;
        for (idx, pool) in blueprint.pools.iter().enumerate().filter(|(_, pool)| is_hit(pool)) {
            let id = PoolId::from_index(idx);
            let (lost, back) = self.states[idx].disks.set_zones_down(pool, zones_down);
            if lost > 0 {
                let fact = StorageFact::OsdsLost { pool: id, count: lost, is_destroyed: false };
                ctx.observe(|| Observation::Storage(fact));
                self.pause(id, Departure::Silent, ctx);
            }
            if back > 0 {
                let fact = StorageFact::OsdsBack { pool: id, count: back };
                ctx.observe(|| Observation::Storage(fact));
                self.pause(id, Departure::Told, ctx);
            }
            self.review(id, true, ctx, notices);
        }
    }

    /// A zone is gone for good, with all disks in it. Returns how many these were.
    pub fn destroy_zone<E, R>(
        &mut self,
        zone: ZoneId,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) -> u32
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let mut sum = 0;
        for idx in 0..self.states.len() {
            let blueprint = Arc::clone(&self.blueprint);
            if blueprint.pools[idx].zones.contains(&zone) {
                let id = PoolId::from_index(idx);
                self.touch(id);
                let osds = self.states[idx].disks.of_zone(&blueprint.pools[idx], zone);
                sum += self.destroy(id, &osds, Departure::Silent, ctx, notices);
            }
        }
        sum
    }

    /// Disks of a pool are away, or destroyed. Returns how to bring them back, and how many they are.
    pub fn lose_disks<E, R>(
        &mut self,
        pool: PoolId,
        pick: DiskPick,
        is_destroyed: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) -> (Loss, u32)
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        self.touch(pool);
        let blueprint = Arc::clone(&self.blueprint);
        let spec = &blueprint.pools[pool.index()];
        let loss = Loss(u32::try_from(self.losses.len()).expect("faults are few"));
        let state = &mut self.states[pool.index()];
        let mut luck = self.streams.stream(state.key.part(u64::from(loss.0)), PICKED);
        let osds = state.disks.pick(spec, pick, &mut luck);
        let count = u32::try_from(osds.len()).unwrap_or(u32::MAX);
        // Machines fall silent, a disk that fails says so.
        let departure = match pick.count {
            DiskCount::Osds(_) => Departure::Told,
            _ => Departure::Silent,
        };
        if is_destroyed {
            self.destroy(pool, &osds, departure, ctx, notices);
        } else {
            let before = state.disks.up_count(spec);
            state.disks.hold(&osds);
            let lost = before.saturating_sub(state.disks.up_count(spec));
            if lost > 0 {
                let fact = StorageFact::OsdsLost { pool, count: lost, is_destroyed };
                ctx.observe(|| Observation::Storage(fact));
                self.pause(pool, departure, ctx);
            }
            self.review(pool, true, ctx, notices);
        }
        self.losses.push((pool, if is_destroyed { Vec::new() } else { osds }));
        (loss, count)
    }

    /// Disks that were away are back.
    pub fn return_disks<E, R>(
        &mut self,
        loss: Loss,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let (pool, osds) = &mut self.losses[loss.0 as usize];
        let (pool, osds) = (*pool, std::mem::take(osds));
        if osds.is_empty() {
            return;
        }
        let blueprint = Arc::clone(&self.blueprint);
        let spec = &blueprint.pools[pool.index()];
        let disks = &mut self.states[pool.index()].disks;
        let before = disks.up_count(spec);
        disks.release(&osds);
        let count = disks.up_count(spec).saturating_sub(before);
        if count > 0 {
            let fact = StorageFact::OsdsBack { pool, count };
            ctx.observe(|| Observation::Storage(fact));
            self.pause(pool, Departure::Told, ctx);
        }
        self.review(pool, true, ctx, notices);
    }

    /// People let reads and writes go on with so many chunks (`ceph osd pool set … min_size`). Returns
    /// how many pools that changes: 1 or 0.
    pub fn set_min_size<E, R>(
        &mut self,
        pool: PoolId,
        min_size: u32,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) -> u32
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        if std::mem::replace(&mut self.states[pool.index()].min_size, min_size) == min_size {
            return 0;
        }
        ctx.observe(|| Observation::Storage(StorageFact::MinSizeSet { pool, min_size }));
        self.touch(pool);
        self.pause(pool, Departure::Told, ctx);
        self.review(pool, false, ctx, notices);
        1
    }

    /// Places the groups of a pool to which something happens for the first time.
    fn touch(&mut self, id: PoolId) {
        let (pool, state) = (&self.blueprint.pools[id.index()], &mut self.states[id.index()]);
        if state.disks.is_empty() {
            state.disks = Disks::new(pool);
            state.disks.set_zones_down(pool, self.zones_down);
            state.groups = place(pool, state.key, self.streams);
        }
    }

    fn destroy<E, R>(
        &mut self,
        id: PoolId,
        osds: &[Osd],
        departure: Departure,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) -> u32
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let gone = self.states[id.index()].disks.destroy(osds.iter().copied());
        if gone > 0 {
            let fact = StorageFact::OsdsLost { pool: id, count: gone, is_destroyed: true };
            ctx.observe(|| Observation::Storage(fact));
            self.pause(id, departure, ctx);
            self.review(id, true, ctx, notices);
        }
        gone
    }

    /// Reads and writes wait until the change is noticed and groups have peered.
    fn pause<E, R>(&mut self, id: PoolId, departure: Departure, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let pool = &self.blueprint.pools[id.index()];
        let state = &mut self.states[id.index()];
        let draw = |purpose, range: Range| {
            let draw = self.streams.draw(state.key, purpose, state.pause_count);
            draw.span_between(range.least, range.most)
        };
        let beat = Range { least: SimSpan::ZERO, most: HEARTBEAT_INTERVAL };
        let heartbeat = draw(HEARTBEAT, beat);
        let span = pause(departure, heartbeat, draw(PEERS, PEERING));
        state.pause_count += 1;
        match departure {
            Departure::Silent => {
                let noticed_at = ctx.now().saturating_add(HEARTBEAT_GRACE + heartbeat);
                state.noticed_at = state.noticed_at.max(noticed_at);
            }
            // All are back before anybody missed them: what was waited for does not come.
            Departure::Told if state.disks.up_count(pool) == pool.osd_count() => {
                if ctx.now() < state.noticed_at {
                    state.peers_until = ctx.now();
                    state.noticed_at = ctx.now();
                }
            }
            Departure::Told => {}
        }
        let until = ctx.now().saturating_add(span);
        if until > state.peers_until {
            state.peers_until = until;
            ctx.cancel(state.peer_timer);
            state.peer_timer = ctx.timer_at(until, PRIORITY, StorageEvent::PeeringDone(id));
        }
    }

    /// Draws every consequence of which disks are there. With `is_changed` they are others than before.
    fn review<E, R>(
        &mut self,
        id: PoolId,
        is_changed: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = Arc::clone(&self.blueprint);
        let pool = &blueprint.pools[id.index()];
        self.go_on_with_rebuild(id, is_changed, ctx, notices);
        let census = self.states[id.index()].census(pool);
        self.tell_lost(id, pool, census, ctx, notices);
        self.settle_io(id, pool, census, ctx, notices);
        let has_quorum = pool.has_quorum(self.zones_down);
        if is_changed && has_quorum {
            self.mark_out(id, pool, ctx);
            self.plan_rebuild(id, pool, ctx, notices);
        }
        self.states[id.index()].tell_redundancy(id, pool, census, ctx);
    }

    fn tell_lost<E, R>(
        &mut self,
        id: PoolId,
        pool: &Pool,
        census: Census,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        let more = census.lost.saturating_sub(state.lost_count);
        if more == 0 {
            return;
        }
        if state.lost_count == 0 {
            ctx.hit(&rare::DATA_LOST);
            notices.push(StorageNotice::DataLost(id));
        }
        state.lost_count = census.lost;
        let bytes = group_bytes(pool) * u64::from(more);
        ctx.observe(|| Observation::Storage(StorageFact::DataLost { pool: id, bytes }));
    }

    fn settle_io<E, R>(
        &mut self,
        id: PoolId,
        pool: &Pool,
        census: Census,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        let is_away = state.disks.up_count(pool) < pool.osd_count();
        let io = if census.lost > 0 {
            PoolIo::DataLost
        } else if ctx.now() < state.peers_until {
            if state.io.is_stopped() { state.io } else { PoolIo::Pauses }
        } else if is_away && !pool.has_quorum(self.zones_down) {
            PoolIo::NoQuorum
        } else if census.inactive > 0 {
            PoolIo::BelowMinSize
        } else {
            PoolIo::Runs
        };
        if io == state.io {
            return;
        }
        if io.is_stopped() {
            ctx.hit(if io == PoolIo::NoQuorum { &rare::NO_QUORUM } else { &rare::STOPPED });
        }
        state.io = io;
        ctx.observe(|| Observation::Storage(StorageFact::Io { pool: id, io }));
        notices.push(StorageNotice::IoChanged(id));
    }

    fn mark_out<E, R>(&mut self, id: PoolId, pool: &Pool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        let reviewed = state.disks.review(pool, ctx.now());
        if reviewed.is_kept {
            ctx.hit(&rare::NOT_MARKED_OUT);
        }
        if reviewed.out_count > 0 {
            let fact = StorageFact::OsdsOut { pool: id, count: reviewed.out_count };
            ctx.observe(|| Observation::Storage(fact));
        }
        ctx.cancel(state.out_timer);
        if let Some(at) = reviewed.next {
            state.out_timer = ctx.timer_at(at, PRIORITY, StorageEvent::OutDue(id));
        }
    }

    /// Notes which chunks are made anew by now; ends the rebuild when it is done or has to begin anew.
    fn go_on_with_rebuild<E, R>(
        &mut self,
        id: PoolId,
        is_changed: bool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        let Some(rebuild) = &mut state.rebuild else { return };
        let done = rebuild.done_by(ctx.now());
        for item in &rebuild.items[rebuild.done..done] {
            state.groups[item.group as usize].slots[item.slot as usize] = item.target;
        }
        rebuild.done = done;
        let is_done = done == rebuild.items.len();
        if is_done || is_changed {
            ctx.hit(if is_done { &rare::REBUILT } else { &rare::BEGUN_ANEW });
            state.rebuild = None;
            state.slowdown_milli = 1000;
            ctx.cancel(state.rebuild_timer);
            ctx.observe(|| Observation::Storage(StorageFact::RebuildEnded { pool: id }));
            notices.push(StorageNotice::PaceChanged(id));
        } else {
            state.time_rebuild(id, ctx);
        }
    }

    /// Plans to make anew what disks had that are out.
    fn plan_rebuild<E, R>(
        &mut self,
        id: PoolId,
        pool: &Pool,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<StorageNotice>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let streams = self.streams;
        let state = &mut self.states[id.index()];
        let (items, has_room) = state.missing(pool, streams);
        if !has_room {
            ctx.hit(&rare::NO_ROOM);
        }
        let zones = items.iter().fold(0, |bits: u64, item| bits | 1 << item.target.zone(pool));
        let usable = state.disks.usable_count(pool, zones);
        let bytes = chunk_bytes(pool) * items.len() as u64;
        let Some(rebuild) = Rebuild::begin(items, pool, usable, ctx.now()) else { return };
        let draw = streams.draw(state.key, SLOWS, state.rebuild_count);
        let (least, most) = SLOWDOWN_MILLI;
        let slowdown = draw.range_inclusive(u64::from(least), u64::from(most));
        let slowdown_milli = u32::try_from(slowdown).unwrap_or(most);
        state.slowdown_milli = slowdown_milli;
        state.rebuild_count += 1;
        state.rebuild = Some(rebuild);
        state.time_rebuild(id, ctx);
        let fact = StorageFact::RebuildStarted { pool: id, bytes, slowdown_milli };
        ctx.observe(|| Observation::Storage(fact));
        notices.push(StorageNotice::PaceChanged(id));
    }
}

impl State {
    fn census(&self, pool: &Pool) -> Census {
        let mut census = Census::default();
        for group in &self.groups {
            let (up, left) = self.chunks(pool, group);
            census.below += u32::from(up < pool.redundancy.width());
            census.at_one += u32::from(is_at_one(pool.redundancy, left));
            match health(pool.redundancy, self.min_size, up, left) {
                Health::Inactive => census.inactive += 1,
                Health::Lost => census.lost += 1,
                Health::Whole | Health::Degraded | Health::AtOne => {}
            }
        }
        census
    }

    /// Chunks of a group that answer, and that exist.
    fn chunks(&self, pool: &Pool, group: &Group) -> (u32, u32) {
        let count = |is_one: &dyn Fn(Osd) -> bool| {
            let counted = group.slots.iter().filter(|osd| is_one(**osd)).count();
            u32::try_from(counted).unwrap_or(u32::MAX)
        };
        let up = count(&|osd| self.disks.is_up(pool, osd));
        (up, count(&|osd| !self.disks.is_gone(osd)))
    }

    /// Chunks to be made anew, and whether each of them has a place.
    fn missing(&mut self, pool: &Pool, streams: Streams) -> (Vec<Item>, bool) {
        let (mut items, mut has_room) = (Vec::new(), true);
        for number in 0..self.groups.len() {
            let mut group = self.groups[number].clone();
            if group.slots.iter().all(|osd| !self.disks.is_out(*osd)) {
                continue;
            }
            let (up, left) = self.chunks(pool, &group);
            let needed = pool.redundancy.needed();
            if up < needed {
                // What exists does not answer, or is not enough: nothing can be made of it.
                continue;
            }
            let urgency = match health(pool.redundancy, self.min_size, up, left) {
                Health::Inactive => Urgency::Inactive,
                _ if up == needed => Urgency::AtOne,
                _ => Urgency::Missing,
            };
            for slot in 0..group.slots.len() {
                if !self.disks.is_out(group.slots[slot]) {
                    continue;
                }
                let disks = &self.disks;
                let is_usable = |osd: Osd| disks.is_up(pool, osd) && !disks.is_out(osd);
                let luck = (self.key, streams, self.move_count);
                self.move_count += 1;
                match replacement(pool, &group, slot, is_usable, luck) {
                    Some(target) => {
                        group.slots[slot] = target;
                        let group = u32::try_from(number).expect("groups are limited");
                        let slot = u32::try_from(slot).expect("chunks are few");
                        items.push(Item { urgency, group, slot, target });
                    }
                    None => has_room = false,
                }
            }
        }
        (items, has_room)
    }

    fn time_rebuild<E, R>(&mut self, id: PoolId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let Some(rebuild) = &self.rebuild else { return };
        let at = rebuild.done_at(rebuild.next_mark());
        ctx.cancel(self.rebuild_timer);
        self.rebuild_timer = ctx.timer_at(at, PRIORITY, StorageEvent::RebuildDue(id));
    }

    fn tell_redundancy<E, R>(
        &mut self,
        id: PoolId,
        pool: &Pool,
        census: Census,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<StorageEvent>,
        R: Recorder<Observation>,
    {
        let groups = u64::from(pool.group_count.max(1));
        let below_ppm = u32::try_from(u64::from(census.below) * 1_000_000 / groups).unwrap_or(0);
        let at_one_bytes = group_bytes(pool) * u64::from(census.at_one);
        if self.told != (below_ppm, at_one_bytes) {
            self.told = (below_ppm, at_one_bytes);
            let fact = StorageFact::Redundancy { pool: id, below_ppm, at_one_bytes };
            ctx.observe(|| Observation::Storage(fact));
        }
    }
}

/// Bytes of users in a group.
fn group_bytes(pool: &Pool) -> u64 {
    pool.stored_bytes / u64::from(pool.group_count.max(1))
}

#[cfg(test)]
mod tests;
