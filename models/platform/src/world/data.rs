//! Data and its copies: what faults do to them, and what a restore does to those who use the data.
//!
//! Whether clients can write to a database has two sides: PostgreSQL says whether its primary takes
//! writes, backups say whether what it holds is worth it. A database that is found to be spoilt is
//! held until it is restored; one whose last instance is gone serves again from what was restored.
//!
//! etcd's content is what the Kubernetes API says: while it is lost nothing is written, and what a
//! restore brings back is handed to the cluster model, which goes on from there.
//!
//! Volumes that a zone took with it are restored where zones are left, and their pods go there. What becomes
//! of the pods of a region that is built again is in `rebuild.rs`.
//!
//! Simplified: a database that was restored because all of its instances are gone serves without pods
//! of its own, unless the whole platform was built again; the cluster model does not place new ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use model_api::backup::DataSetKind;
use model_api::fault::{DataFault, Fault, FaultKind};
use model_api::{Blueprint, DataSetId, DatabaseId, NodeId, Observation, PodId, WorkloadId, ZoneId};
use model_backup::{ALL, BackupNotice, Backups, Breakage, Disaster};
use model_postgres::Seat;
use sim_kernel::{Context, Recorder, SimSpan};

use super::World;
use super::rebuild::Site;
use crate::event::Event;
use crate::fault::{Struck, pick_zone};

/// Backups, and what they mean to databases.
#[derive(Clone, Debug)]
pub(super) struct DataState {
    pub(super) backups: Backups,
    pub(super) notices: Vec<BackupNotice>,
    /// By database: the data set that it is.
    pub(super) sets: Vec<Option<DataSetId>>,
    /// By database: PostgreSQL takes writes.
    is_postgres_writable: Vec<bool>,
    /// By database: its content is wrong, so that nobody may write.
    is_held: Vec<bool>,
    /// By database: it serves from what was restored, whatever became of its instances.
    is_restored: Vec<bool>,
    /// By database: it was told that its last instance is destroyed.
    is_destroyed: Vec<bool>,
    /// By database: what it was told of its archive.
    archivers: Vec<Option<Option<SimSpan>>>,
    /// Changes of backups that databases were told of.
    told_count: u64,
    /// What all of it stands on.
    pub(super) site: Site,
}

/// What a database holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// What its instances have.
    Ordinary,
    /// Its content is wrong: nobody may write.
    Held,
    /// What was restored in place of its instances.
    Restored,
}

impl DataState {
    pub(super) fn standing(&self, database: DatabaseId) -> Standing {
        let idx = database.index();
        if self.is_held[idx] {
            Standing::Held
        } else if self.is_restored[idx] && !self.is_postgres_writable[idx] {
            Standing::Restored
        } else {
            Standing::Ordinary
        }
    }

    pub(super) fn new(backups: Backups, blueprint: &Blueprint) -> Self {
        let count = blueprint.databases.len();
        let ids = (0..count).map(DatabaseId::from_index);
        Self {
            sets: ids.map(|id| blueprint.protection.of_database(id)).collect(),
            backups,
            notices: Vec::new(),
            is_postgres_writable: vec![true; count],
            is_held: vec![false; count],
            is_restored: vec![false; count],
            is_destroyed: vec![false; count],
            archivers: vec![None; count],
            told_count: 0,
            site: Site::default(),
        }
    }

    /// PostgreSQL takes writes or not. Once it does, a database serves from its instances again, and
    /// no longer without them.
    fn note_postgres(&mut self, database: usize, is_writable: bool) {
        self.is_postgres_writable[database] = is_writable;
        self.is_restored[database] &= !is_writable;
    }

    /// The primary of a database runs, or what was restored in its place.
    pub(super) fn set_running<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        is_running: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let idx = database.index();
        if let Some(data_set) = self.sets[idx] {
            let is_running = is_running || self.is_restored[idx];
            self.backups.set_running(data_set, is_running, ctx);
        }
    }

    /// A standby of a database took over from that instance.
    pub(super) fn fork_log<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        old: u8,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if let Some(data_set) = self.sets[database.index()] {
            self.backups.fork_log(data_set, old, ctx);
        }
    }

    /// An old primary of a database is back.
    pub(super) fn hand_in_log<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        old: u8,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if let Some(data_set) = self.sets[database.index()] {
            self.backups.hand_in_log(data_set, old, ctx);
        }
    }

    /// A database is written to at another rate, in parts per million of the configured one.
    pub(super) fn set_rate<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        rate_ppm: u32,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if let Some(data_set) = self.sets[database.index()] {
            self.backups.set_rate(data_set, rate_ppm, ctx);
        }
    }

    /// Somebody takes writes to a database: its primary, or what was restored in its place.
    fn is_written(&self, database: usize) -> bool {
        self.is_postgres_writable[database] || self.is_restored[database]
    }
}

impl World {
    /// What backups know of data, for whoever looks at a run from outside.
    pub fn backups(&self) -> &Backups {
        &self.data.backups
    }

    /// A pod started, ended, or was cut off: if it makes backups, nobody else may be there to do so.
    pub(super) fn tell_server<R: Recorder<Observation>>(
        &mut self,
        pod: PodId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let workload = self.cluster.pod(pod).workload;
        let policies = &self.wiring.backed_up_by[workload.index()];
        if !policies.is_empty() {
            let mut pods = self.cluster.pods_of(workload).iter();
            let is_up = pods.any(|pod| self.cluster.pod(*pod).is_live);
            self.data.backups.set_server_up(policies, is_up, ctx);
        }
    }

    /// Tells in which zones the live copies of data stand.
    pub(super) fn begin_data<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        let blueprint = Arc::clone(&self.blueprint);
        for (idx, spec) in blueprint.protection.data_sets.iter().enumerate() {
            let workload = match spec.kind {
                DataSetKind::Database(database) => blueprint.databases[database.index()].workload,
                DataSetKind::Volumes(workload) => workload,
                DataSetKind::Etcd | DataSetKind::Other => continue,
            };
            let pods = self.cluster.pods_of(workload).iter();
            let mut nodes: Vec<_> = pods.filter_map(|pod| self.cluster.pod(*pod).node).collect();
            nodes.sort_unstable();
            nodes.dedup();
            let zone = |node: &NodeId| blueprint.nodes[node.index()].zone;
            let mut zones: Vec<ZoneId> = nodes.iter().map(zone).collect();
            // Simplified: volumes that nobody has mounted may stand anywhere.
            if matches!(spec.kind, DataSetKind::Database(_)) && zones.is_empty() {
                zones = (0..blueprint.zones.len()).map(ZoneId::from_index).collect();
            }
            self.data.backups.set_home(DataSetId::from_index(idx), zones.into_iter());
        }
        self.data.backups.begin(ctx);
    }

    /// Tells databases whether their archives take what they write.
    pub(super) fn tell_archivers<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let count = self.data.backups.change_count();
        if std::mem::replace(&mut self.data.told_count, count) == count {
            return;
        }
        for idx in 0..self.data.archivers.len() {
            let archiver = self.data.sets[idx].and_then(|it| self.data.backups.archiver(it));
            if std::mem::replace(&mut self.data.archivers[idx], archiver) != archiver
                && let Some(segment) = archiver
            {
                let database = DatabaseId::from_index(idx);
                self.databases.set_archiver(database, segment, ctx, &mut self.pg_notices);
            }
        }
    }

    /// Tells backups what would be lost with zones and nodes of databases, where that may have changed.
    /// Nobody looks at it in a run that is not recorded.
    pub(super) fn tell_stakes<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !R::RECORDS {
            return;
        }
        while let Some(database) = self.databases.take_touched() {
            if let Some(data_set) = self.data.sets[database.index()] {
                let spec = &self.blueprint.protection.data_sets[data_set.index()];
                let seats = self.seats(self.blueprint.databases[database.index()].workload);
                let stakes = self.databases.stakes(database, &seats, spec.is_on_nodes, ctx);
                self.data.backups.set_live(data_set, stakes, ctx);
            }
        }
    }

    /// Where the instances of a database are, in the order in which a zone that is lost ends them: node by
    /// node, and on each as they were bound.
    fn seats(&self, workload: WorkloadId) -> Vec<Seat> {
        let pods = self.cluster.pods_of(workload).iter();
        let nodes = pods.filter_map(|pod| self.cluster.pod(*pod).node);
        let nodes: BTreeSet<NodeId> = nodes.collect();
        let seats = nodes.into_iter().flat_map(|node| {
            let pods = self.cluster.pods_on(node).iter().map(|pod| self.cluster.pod(*pod));
            let instances = pods.filter(move |pod| pod.workload == workload);
            instances.map(move |pod| Seat { ordinal: super::ordinal_of(pod.ordinal), node })
        });
        seats.collect()
    }

    /// Carries out what backups ask for.
    pub(super) fn carry_backups<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let blueprint = Arc::clone(&self.blueprint);
        let kind_of = |data_set: DataSetId| blueprint.protection.data_sets[data_set.index()].kind;
        for notice in std::mem::take(&mut self.data.notices) {
            match notice {
                BackupNotice::Held(data_set) => {
                    if let DataSetKind::Database(database) = kind_of(data_set) {
                        self.hold(database, ctx);
                    }
                }
                BackupNotice::SiteBuilt => self.site_built(ctx),
                BackupNotice::Returned { data_set, lost, until } => match kind_of(data_set) {
                    DataSetKind::Database(database) => self.give_back(database, lost, ctx),
                    DataSetKind::Etcd => {
                        // What was struck may have been another place than the members'.
                        if self.cluster.is_api_state_lost() {
                            self.cluster.restore_api_state(until, ctx);
                        }
                        self.data.backups.set_writing(data_set, true, ctx);
                        self.bring_up(ctx);
                    }
                    DataSetKind::Volumes(workload) => {
                        self.restore_volumes(workload, ctx);
                        self.cluster.release_data(workload, ctx);
                    }
                    DataSetKind::Other => {}
                },
            }
        }
        while let Some(data_set) = self.data.backups.take_given_up() {
            match kind_of(data_set) {
                DataSetKind::Database(database) => self.tell_lost(database, ALL, ctx),
                DataSetKind::Etcd => self.bring_up(ctx),
                DataSetKind::Volumes(_) | DataSetKind::Other => {}
            }
        }
    }

    /// Tells at the end of a run what of databases is lost that are not back.
    pub(super) fn finish_data<R: Recorder<Observation>>(&self, ctx: &mut Context<'_, Event, R>) {
        for (idx, data_set) in self.data.sets.iter().enumerate() {
            let outlook = data_set.and_then(|it| self.data.backups.outlook(it, ctx.now()));
            // More than nothing may become of what is not known yet.
            if let Some(outlook) = outlook
                && (outlook.is_known || !outlook.lost.is_zero())
            {
                self.tell_lost(DatabaseId::from_index(idx), outlook.lost, ctx);
            }
        }
    }

    /// Tells of databases whose last instance is destroyed, where no backup is known that could bring
    /// anything back. Of the others their data sets tell.
    fn tell_destroyed<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        for idx in 0..self.data.sets.len() {
            let database = DatabaseId::from_index(idx);
            if self.data.sets[idx].is_none()
                && self.databases.is_destroyed(database)
                && !std::mem::replace(&mut self.data.is_destroyed[idx], true)
            {
                self.tell_lost(database, ALL, ctx);
            }
        }
    }

    /// Tells what of a database does not come back, as time.
    fn tell_lost<R: Recorder<Observation>>(
        &self,
        database: DatabaseId,
        lost: SimSpan,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if lost.is_zero() {
            ctx.observe(|| Observation::CommitsKept { database });
            return;
        }
        let spec = &self.blueprint.databases[database.index()];
        // Of everything nobody knows how much it was; what this run wrote is the least.
        let span =
            if lost == ALL { ctx.now().saturating_since(sim_kernel::SimTime::ZERO) } else { lost };
        let units = |per_second: u64| {
            let units = u128::from(span.as_nanos()) * u128::from(per_second) / 1_000_000_000;
            u64::try_from(units).unwrap_or(u64::MAX)
        };
        let (commit_count, wal_bytes) =
            (units(spec.commits_per_second), units(spec.wal_bytes_per_second));
        let span_ns = lost.as_nanos();
        ctx.observe(|| Observation::CommitsLost { database, span_ns, commit_count, wal_bytes });
    }

    /// Volumes stand where zones are left, and their pods with them. In a region that was rebuilt they
    /// stand where those are bound.
    fn restore_volumes<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let backups = &self.data.backups;
        let is_gone: Vec<bool> = (0..self.blueprint.zones.len())
            .map(|zone| backups.is_zone_gone(ZoneId::from_index(zone)))
            .collect();
        if is_gone.contains(&false) && is_gone.contains(&true) {
            self.cluster.restore_volumes(workload, |zone| is_gone[zone.index()], ctx);
        }
    }

    fn hold<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        self.data.is_held[database.index()] = true;
        if self.data.is_postgres_writable[database.index()] {
            ctx.observe(|| Observation::WritesStopped { database });
        }
        self.tell_writable(database);
    }

    fn give_back<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        lost: SimSpan,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let idx = database.index();
        self.data.is_held[idx] = false;
        if self.start_instances(database, ctx) {
            self.tell_lost(database, lost, ctx);
            return;
        }
        if !self.data.is_postgres_writable[idx] {
            self.data.is_restored[idx] = true;
            if let Some(data_set) = self.data.sets[idx] {
                self.data.backups.set_writing(data_set, true, ctx);
                self.data.backups.set_running(data_set, true, ctx);
            }
        }
        self.tell_lost(database, lost, ctx);
        ctx.observe(|| Observation::WritesResumed { database });
        self.tell_writable(database);
    }

    /// Every instance of a database lost its volume: people restore it, where there is something to restore,
    /// and otherwise all of it is lost.
    pub(super) fn lose_database<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let idx = database.index();
        if let Some(data_set) = self.data.sets[idx] {
            self.data.backups.lose_live(data_set, ctx);
        } else if !std::mem::replace(&mut self.data.is_destroyed[idx], true) {
            self.tell_lost(database, ALL, ctx);
        }
    }

    /// PostgreSQL says whether clients can write.
    pub(super) fn set_postgres_writable<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        is_writable: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let idx = database.index();
        self.data.note_postgres(idx, is_writable);
        self.tell_writable(database);
        if let Some(data_set) = self.data.sets[idx] {
            self.data.backups.set_writing(data_set, self.data.is_written(idx), ctx);
        }
    }

    fn tell_writable(&mut self, database: DatabaseId) {
        let (data, idx) = (&self.data, database.index());
        let is_writable = data.is_written(idx) && !data.is_held[idx];
        self.flows.set_database_writable(database, is_writable);
        let blueprint = Arc::clone(&self.blueprint);
        for pooler in blueprint.poolers.iter().filter(|it| it.database == database) {
            self.tell_failing(pooler.service);
        }
    }

    /// Strikes data or its copies; returns what is to be undone, and how much was hit.
    pub(super) fn strike_data<R: Recorder<Observation>>(
        &mut self,
        fault: &Fault,
        kind: &DataFault,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        let struck = match kind {
            DataFault::ZoneDestroyed { zone } => {
                let zone = pick_zone(fault, *zone, &self.blueprint, self.streams);
                let nodes = self.lose_for_good(zone, ctx);
                let gone = self.data.backups.strike(Disaster::Zone(zone), ctx);
                (Struck::ZonePower(zone), nodes + gone)
            }
            DataFault::RegionLoss => {
                let nodes = self.lose_all_zones(ctx);
                self.data.site = Site::Gone;
                let gone = self.data.backups.strike(Disaster::Region, ctx);
                (Struck::Region, nodes + gone)
            }
            DataFault::AccountLoss { account } => {
                let is_own = *account == self.blueprint.protection.account;
                let nodes = if is_own { self.lose_all_zones(ctx) } else { 0 };
                if is_own {
                    self.data.site = Site::Gone;
                }
                let gone = match self.data.backups.fates().account(account) {
                    Some(idx) => self.data.backups.strike(Disaster::Account(idx), ctx),
                    None => 0,
                };
                (if is_own { Struck::Region } else { Struck::Nothing }, nodes + gone)
            }
            DataFault::LogicalLoss { data_set, discovered_after, deletes_copies } => {
                let backups = &mut self.data.backups;
                let hit = backups.corrupt(*data_set, *discovered_after, *deletes_copies, ctx);
                let kind = self.blueprint.protection.data_sets[data_set.index()].kind;
                if hit > 0 && kind == DataSetKind::Etcd {
                    self.cluster.lose_api_state(ctx);
                    self.data.backups.set_writing(*data_set, false, ctx);
                }
                (Struck::Nothing, hit)
            }
            DataFault::BackupTargetLoss { place } => {
                (Struck::Nothing, self.data.backups.lose_place(*place, ctx))
            }
            DataFault::KeyLoss { key } => (Struck::Nothing, self.data.backups.lose_key(*key, ctx)),
            DataFault::BucketFull { place } => {
                (Struck::Copies, self.data.backups.set_full(*place, true, ctx))
            }
            DataFault::KeyDisabled { key } => {
                (Struck::Copies, self.data.backups.set_key_disabled(*key, true, ctx))
            }
            DataFault::BackupsBroken { is_silent, .. }
            | DataFault::ArchiveBroken { is_silent, .. } => {
                let how = if *is_silent { Breakage::Silent } else { Breakage::Visible };
                (Struck::Copies, self.set_breakage(kind, Some(how), ctx))
            }
        };
        self.tell_destroyed(ctx);
        struck
    }

    /// Copies are made again.
    pub(super) fn mend_copies<R: Recorder<Observation>>(
        &mut self,
        kind: &FaultKind,
        ctx: &mut Context<'_, Event, R>,
    ) {
        match kind {
            FaultKind::Data(DataFault::BucketFull { place }) => {
                self.data.backups.set_full(*place, false, ctx);
            }
            FaultKind::Data(DataFault::KeyDisabled { key }) => {
                self.data.backups.set_key_disabled(*key, false, ctx);
            }
            FaultKind::Data(kind) => {
                self.set_breakage(kind, None, ctx);
            }
            _ => {}
        }
    }

    fn set_breakage<R: Recorder<Observation>>(
        &mut self,
        kind: &DataFault,
        how: Option<Breakage>,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        match kind {
            DataFault::BackupsBroken { policies, .. } => {
                for policy in policies {
                    self.data.backups.set_policy_fault(*policy, how, ctx);
                }
                u32::try_from(policies.len()).expect("policies are written by hand")
            }
            DataFault::ArchiveBroken { data_set, .. } => {
                self.data.backups.set_archive_fault(*data_set, how, ctx)
            }
            _ => 0,
        }
    }

    fn lose_for_good<R: Recorder<Observation>>(
        &mut self,
        zone: ZoneId,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        let nodes = self.reachable_count(zone);
        self.cluster.lose_zone(zone, ctx);
        self.databases.destroy_zone(zone);
        self.tell_zone(zone, true, ctx);
        self.destroy_disks(zone, ctx);
        nodes
    }

    fn lose_all_zones<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) -> u32 {
        let zones = (0..self.blueprint.zones.len()).map(ZoneId::from_index);
        zones.map(|zone| self.lose_for_good(zone, ctx)).sum()
    }
}

#[cfg(test)]
mod tests {
    use sim_kernel::Streams;

    use super::*;

    #[test]
    fn what_was_restored_serves_until_the_instances_do_again() {
        let backups = Backups::new(&Arc::new(Blueprint::default()), Streams::new(1, 0));
        let mut data = DataState {
            backups,
            notices: Vec::new(),
            sets: vec![None],
            is_postgres_writable: vec![false],
            is_held: vec![false],
            is_restored: vec![true],
            is_destroyed: vec![false],
            archivers: vec![None],
            told_count: 0,
            site: Site::default(),
        };
        let mut heard = Vec::new();
        for is_writable in [false, true, false] {
            data.note_postgres(0, is_writable);
            heard.push(data.is_written(0));
        }
        assert_eq!(heard, [true, true, false]);
    }
}
