//! What would be lost of a database if a zone, or the node under an instance, went now for good.
//!
//! # Modelled
//! Nothing while so many standbys beyond the struck ones confirm that one of them has every acknowledged
//! commit; how far an asynchronous standby lags at most while one streams; once none does, everything since
//! the newest commit that the best of them has, which grows until the primary acknowledges no more and falls
//! when a standby has caught up. Of a primary that was replaced and still takes writes, what it acknowledged
//! beyond its successor. Of standbys that do not stream, the best of those that run and can be reached
//! counts; where none does, the one that lacks most, because whoever returns first is promoted.
//! What was destroyed before is no survivor.
//!
//! # Not modelled
//! Simplified: while a standby streams its lag counts as the greatest that is drawn
//! ([`Parameters::replication_lag`]), also where less was committed; a failover that is under way counts for
//! the run and for the zone of its old primary, not for another zone that is struck meanwhile; instances that
//! share a node count as on nodes of their own; a volume that is deleted by itself or outlives its zone is not known here; for
//! the lag after `preferred` durability grows again, commits of before may still be on their way.
//!
//! # Defaults and their sources
//! The range of the lag: [`Parameters::replication_lag`]. Which standby is promoted, and what synchronous
//! ones have confirmed: as in `failover.rs` and `replication.rs`.
//!
//! # Invariants
//! Time counts from the newest commit that survives, as in what is told of commits that are lost: where
//! nobody wrote in between, both say more than was written.
//!
//! # Checked against
//! `platform/tests/it/stakes.rs`: random platforms whose zones are really destroyed.
//!
//! [`Parameters::replication_lag`]: model_api::Parameters::replication_lag

use model_api::stake::{Stake, Stakes};
use model_api::{DatabaseId, ZoneId};
use sim_kernel::{SimSpan, SimTime};

use crate::cluster::Cluster;
use crate::databases::Databases;
use crate::instance::{Link, WAL_SHIPPING_BYTES_PER_SECOND};
use crate::position::Mark;

/// What is known besides the cluster itself.
#[derive(Clone, Copy)]
struct Surroundings<'a> {
    now: SimTime,
    /// How far a standby that keeps up lags at most.
    lag: SimSpan,
    is_gone: &'a [bool],
    is_isolated: &'a [bool],
}

impl Databases {
    /// Whatever stands in a zone is destroyed.
    pub fn destroy_zone(&mut self, zone: ZoneId) {
        if !std::mem::replace(&mut self.is_gone[zone.index()], true) {
            for idx in 0..self.clusters.len() {
                self.touch(DatabaseId::from_index(idx));
            }
        }
    }

    /// Some database of which something changed since it was last handed out here.
    pub fn take_touched(&mut self) -> Option<DatabaseId> {
        let database = self.touched.pop()?;
        self.clusters[database.index()].is_touched = false;
        Some(database)
    }

    /// What would be lost with each zone, and with a node.
    pub fn stakes(&self, database: DatabaseId, now: SimTime) -> Stakes {
        let cluster = &self.clusters[database.index()];
        let around = Surroundings {
            now,
            lag: self.parameters.replication_lag.most,
            is_gone: &self.is_gone,
            is_isolated: &self.is_isolated,
        };
        let zones = (0..self.is_gone.len()).map(ZoneId::from_index);
        let of_zone = |zone| cluster.stakes_without(around, |it| cluster.at(it).zone == zone);
        let of_node = |node| cluster.stakes_without(around, |it| it == node);
        let nodes: Option<Vec<Vec<Stake>>> = cluster.ordinals().map(of_node).collect();
        Stakes {
            zones: zones.map(of_zone).collect(),
            node: nodes.map(|nodes| {
                let mut all = nodes.concat();
                all.dedup();
                all
            }),
        }
    }

    pub(crate) fn touch(&mut self, database: DatabaseId) {
        let is_touched = &mut self.clusters[database.index()].is_touched;
        if !std::mem::replace(is_touched, true) {
            self.touched.push(database);
        }
    }
}

impl Cluster {
    /// What is lost with some instances; none when no other one is left.
    fn stakes_without(
        &self,
        around: Surroundings<'_>,
        is_struck: impl Fn(u8) -> bool,
    ) -> Option<Vec<Stake>> {
        let is_away =
            |ordinal: u8| is_struck(ordinal) || around.is_gone[self.at(ordinal).zone.index()];
        let is_left = |ordinal: &u8| self.at(*ordinal).pod.is_some() && !is_away(*ordinal);
        let left: Vec<u8> = self.ordinals().filter(is_left).collect();
        if left.is_empty() {
            return None;
        }
        let mut stakes = Vec::new();
        if self.setup.commits_per_second == 0 && self.setup.wal_bytes_per_second == 0 {
            return Some(stakes);
        }
        if is_struck(self.current) {
            stakes.extend(self.stake_of_primary(around, &left, is_away));
        }
        for side in &self.old_sides {
            if is_struck(side.ordinal) {
                stakes.extend(self.beyond(side.ordinal, side.survivor, around.now));
            }
        }
        Some(stakes)
    }

    fn stake_of_primary(
        &self,
        around: Surroundings<'_>,
        left: &[u8],
        is_away: impl Fn(u8) -> bool,
    ) -> Option<Stake> {
        let primary = self.current;
        if self.is_confirmed_beyond(primary, is_away, around.now) {
            return None;
        }
        let since = left.iter().filter_map(|standby| match self.at(*standby).link {
            Link::Streaming(from, since) if from == primary => Some(since),
            _ => None,
        });
        if let Some(since) = since.max() {
            return Some(self.lag_stake(around.lag, since));
        }
        let can_lead = |standby: &&u8| {
            let instance = self.at(**standby);
            instance.is_running() && !around.is_isolated[instance.zone.index()]
        };
        let best = left.iter().filter(can_lead).map(|standby| self.has_of_database(*standby)).max();
        let best = best.or_else(|| left.iter().map(|it| self.has_of_database(*it)).min());
        self.beyond(primary, best.unwrap_or_default(), around.now)
    }

    /// What an instance has that the database goes on from, if it is promoted.
    fn has_of_database(&self, ordinal: u8) -> Mark {
        let instance = self.at(ordinal);
        // What an old primary still writes is not part of it any more.
        let has = if instance.is_open { Mark::default() } else { instance.received };
        instance.fork.map_or(has, |fork| if instance.is_open { fork } else { fork.min(has) })
    }

    /// How far a standby lags at most that streams since then.
    fn lag_stake(&self, lag: SimSpan, since: SimTime) -> Stake {
        let wal = self.wal_bytes_per_second();
        let excess = wal.saturating_sub(WAL_SHIPPING_BYTES_PER_SECOND);
        if excess == 0 {
            return Stake::constant(lag);
        }
        let growth = (u128::from(excess) * 1_000_000).div_ceil(u128::from(wal));
        let growth_ppm = u32::try_from(growth).expect("less than all of it");
        Stake { from: since, loss: lag, growth_ppm }
    }

    /// What an instance has acknowledged, or goes on to acknowledge, beyond a mark.
    fn beyond(&self, primary: u8, kept: Mark, now: SimTime) -> Option<Stake> {
        let Some(acknowledged) = self.acknowledged_for_good(primary, now) else {
            return Some(Stake::since(kept.committed_at));
        };
        let is_beyond = acknowledged.position_ns > kept.position_ns;
        let lost = acknowledged.committed_at.saturating_since(kept.committed_at);
        is_beyond.then(|| Stake::constant(lost))
    }

    /// What an instance has acknowledged, when that grows no more.
    fn acknowledged_for_good(&self, primary: u8, now: SimTime) -> Option<Mark> {
        let instance = self.at(primary);
        if !instance.is_open || !self.acknowledges(primary, now) {
            return Some(instance.acknowledged);
        }
        let is_idle = instance.writer.rate_ppm() == 0;
        is_idle.then(|| instance.acknowledged.max(instance.writer.at(now)))
    }

    /// Standbys that confirm to a primary, in the order of ordinals.
    fn confirming(&self, primary: u8) -> impl Iterator<Item = u8> + '_ {
        let listed = self.at(primary).listed;
        self.ordinals().filter(move |&it| listed.has(it) && self.at(it).streams_from(primary))
    }

    /// Whether an open instance acknowledges what is committed.
    fn acknowledges(&self, primary: u8, now: SimTime) -> bool {
        let instance = self.at(primary);
        let number = usize::try_from(instance.applied_number).expect("instances are few");
        let is_confirmed =
            || now >= instance.silent_until && self.confirming(primary).count() >= number;
        !instance.is_stalled && (number == 0 || is_confirmed())
    }

    /// Whether every acknowledged commit is on a standby that is not away.
    fn is_confirmed_beyond(&self, primary: u8, is_away: impl Fn(u8) -> bool, now: SimTime) -> bool {
        let number = usize::try_from(self.at(primary).applied_number).expect("instances are few");
        let is_any = self.setup.synchronous.is_some_and(|synchronous| synchronous.is_any);
        // Of a quorum any may be those who confirmed; by priority it is the first.
        let who = if is_any { usize::MAX } else { number };
        let away = self.confirming(primary).take(who).filter(|&it| is_away(it)).count();
        let is_open = self.at(primary).is_open;
        number > 0 && is_open && away < number && self.acknowledges(primary, now)
    }
}
