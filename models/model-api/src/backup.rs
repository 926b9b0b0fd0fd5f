//! How data is protected: what there is to lose, where copies of it go, and who brings it back.
//!
//! Data only. What can be restored at a moment is decided in `model-backup`.

use sim_kernel::SimSpan;

use crate::ids::{DataSetId, DatabaseId, KeyId, PlaceId, PolicyId, PoolId, WorkloadId, ZoneId};
use crate::parameters::Range;
use crate::source::Origin;
use crate::time_zone::TimeZone;

/// Most places, and most keys, of a platform: a set of them is one machine word.
pub const PLACES_MAX: usize = 64;

/// Everything about backups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Protection {
    /// What there is to lose; [`DataSetId`] is the position.
    pub data_sets: Vec<DataSet>,
    /// Where copies go; [`PlaceId`] is the position.
    pub places: Vec<Place>,
    /// What copies are encrypted with; [`KeyId`] is the position.
    pub keys: Vec<Key>,
    /// What copies when; [`PolicyId`] is the position.
    pub policies: Vec<BackupPolicy>,
    /// Continuous archives of write-ahead logs, at most one a data set.
    pub archives: Vec<Archive>,
    /// Who restores, and how.
    pub recovery: Recovery,
    /// The account that the platform itself runs in.
    pub account: String,
    /// How long the platform has run like this before a run begins: the copies of that time are
    /// there at its start, and so are its silent failures.
    pub history: SimSpan,
}

/// Something that can be lost and restored as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Name, unique among data sets: `namespace/name` of a database, or as the platform calls it.
    pub name: String,
    /// What it is.
    pub kind: DataSetKind,
    /// Zones in which its live copies stand, when no workload says so.
    pub zones: Vec<ZoneId>,
    /// Each live copy holds all of it, so that one is enough. Otherwise they are parts, and it is lost
    /// with any of them.
    pub is_replicated: bool,
    /// Storage pools that its live copies stand on, in the order of their ids; none when nothing is
    /// known of them. A pool of one zone has those of that zone.
    pub pools: Vec<PoolId>,
    /// Its live copies are on disks of nodes, and gone with them.
    pub is_on_nodes: bool,
    /// Account of the provider that holds it.
    pub account: String,
    /// Bytes that a restore moves.
    pub size_bytes: u64,
    /// Bytes that are written a second; of a database, its write-ahead log.
    pub written_bytes_per_second: u64,
    /// Most bytes a second that a volume of it moves, where its storage pool says so.
    pub volume_bytes_per_second: Option<u64>,
    /// How much an asynchronous live copy may lack; zero where a write is confirmed by another copy.
    pub live_lag: SimSpan,
    /// Data sets that have to be back before this one is restored.
    pub restored_after: Vec<DataSetId>,
    /// How long a logical loss goes unnoticed: the assumption behind its exposure.
    pub discovery: SimSpan,
    /// Where it was written.
    pub origin: Origin,
}

/// What a data set is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataSetKind {
    /// A database cluster.
    Database(DatabaseId),
    /// The state of the Kubernetes API.
    Etcd,
    /// The volumes of a workload.
    Volumes(WorkloadId),
    /// Anything else, such as blobs of a registry.
    Other,
}

/// Where something stands, and whose it is: what it shares the fate of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// Zones of the platform's region that hold it; empty when it stands in another region.
    pub zones: Vec<ZoneId>,
    /// How many of these zones must be left for it to be whole; 1 when each holds all of it.
    pub zones_needed: u32,
    /// How many of these zones must be left for it to be read and written: not fewer.
    pub zones_needed_to_serve: u32,
    /// The storage pool that it stands on, whose zones these are.
    pub pool: Option<PoolId>,
    /// Another region that holds it.
    pub region: Option<String>,
    /// It is kept beside the live copies of this data set and gone with them, as snapshots of volumes
    /// are that nobody moved.
    pub beside: Option<DataSetId>,
    /// Account of the provider it belongs to.
    pub account: String,
    /// Jurisdiction of the hardware, for example `EU`.
    pub jurisdiction: String,
}

/// A place for copies: a bucket, a snapshot store.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Name.
    pub name: String,
    /// Where it stands.
    pub location: Location,
    /// It holds snapshots of volumes in its pool: they share blocks with them, so that no bytes move when
    /// one is made, or restored as a new volume.
    pub has_snapshots: bool,
    /// For how long a copy cannot be deleted by anybody (object lock in compliance mode).
    pub lock: Option<SimSpan>,
    /// Bytes a second that can be read from it.
    pub read_bytes_per_second: u64,
    /// Bytes a second that can be written to it.
    pub write_bytes_per_second: u64,
    /// Where it was written.
    pub origin: Origin,
}

/// A key that copies are encrypted with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Name.
    pub name: String,
    /// Where it can be had from, each of these alone.
    pub kept_at: Vec<Location>,
    /// Data sets that hold it: gone with their live copies.
    pub kept_in: Vec<DataSetId>,
    /// Where it was written.
    pub origin: Origin,
}

/// Copies that are made at times.
#[derive(Clone, Debug, PartialEq)]
pub struct BackupPolicy {
    /// Name, unique among policies.
    pub name: String,
    /// Of what.
    pub data_set: DataSetId,
    /// How.
    pub method: Method,
    /// When.
    pub schedule: Schedule,
    /// It is suspended: nothing is made.
    pub is_paused: bool,
    /// Where to.
    pub to: PlaceId,
    /// Where copies of the copy go.
    pub copies: Vec<CopyRule>,
    /// How long a copy is kept.
    pub retention: Retention,
    /// What it is encrypted with.
    pub key: Option<KeyId>,
    /// Policies with the same number run one after another: a Velero server makes one backup at a
    /// time. `None` runs by itself.
    pub lane: Option<u32>,
    /// The workload that makes the runs: none is made while none of its pods runs, and one that is being
    /// made when the last of them ends fails. `None` is always there.
    pub server: Option<WorkloadId>,
    /// Time that each run takes besides moving bytes: objects, snapshots.
    pub overhead: SimSpan,
    /// What is run in pods before they are copied.
    pub hook: Option<Hook>,
    /// Bytes that each run moves; 0 when it copies by reference.
    pub moved_bytes: u64,
    /// After this time a run fails.
    pub timeout: Option<SimSpan>,
    /// Runs that fail and are seen to fail, in parts per million.
    pub failure_ppm: u32,
    /// Runs from which on copies cannot be restored though they look complete, in parts per million.
    pub silent_failure_ppm: u32,
    /// How often a restore is tried for a test, which ends a silent failure; `None` means never.
    pub tested_every: Option<SimSpan>,
    /// Time that a restore takes besides moving bytes: objects that are made one after another.
    pub restore_overhead: SimSpan,
    /// Where it was written.
    pub origin: Origin,
}

/// Commands in the pods: one that brings the data to rest before it is copied, and one that lets it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Time that the first takes, at most.
    pub takes: SimSpan,
    /// Time that the second takes, at most: zero without one.
    pub after: SimSpan,
    /// Runs in which it fails, in parts per million.
    pub failure_ppm: u32,
    /// Nothing is copied when it fails (`onError: Fail` of Velero). Otherwise what was not at rest is
    /// copied, which spoils a copy of files.
    pub is_needed: bool,
}

/// How a copy is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A snapshot: holds what was there when it was begun.
    Snapshot,
    /// Files are read one after another: holds what was there when it was begun, at best.
    Files,
    /// A base backup of a database: holds what was there when it ended, and an archive of its
    /// write-ahead log leads on from there.
    Base,
}

/// A copy of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyRule {
    /// Where to.
    pub to: PlaceId,
    /// How much later it is there.
    pub lag: SimSpan,
}

/// How long copies are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Each for this long, counted from its start (`spec.template.ttl` of Velero).
    For(SimSpan),
    /// So that every moment of this window can be restored: a copy goes when the next one is older
    /// than the window, after a copy succeeded (`retentionPolicy` of CloudNativePG).
    Window(SimSpan),
    /// This many.
    Last(u32),
}

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often.
    Every(SimSpan),
    /// As a cron expression says.
    Cron(Cron),
}

/// A cron expression: sets of values as bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    /// Seconds, bits 0 to 59.
    pub seconds: u64,
    /// Minutes, bits 0 to 59.
    pub minutes: u64,
    /// Hours, bits 0 to 23.
    pub hours: u32,
    /// Days of the month, bits 1 to 31.
    pub days: u32,
    /// Months, bits 1 to 12.
    pub months: u16,
    /// Days of the week, bits 0 (Sunday) to 6.
    pub weekdays: u8,
    /// `days` was written as `*` or `?`: only the days of the week count.
    pub is_any_day: bool,
    /// `weekdays` was written as `*` or `?`: only the days of the month count.
    pub is_any_weekday: bool,
    /// The time zone whose clocks it is read by.
    pub time_zone: TimeZone,
}

/// A continuous archive of a write-ahead log.
#[derive(Clone, Debug, PartialEq)]
pub struct Archive {
    /// Of which data set.
    pub data_set: DataSetId,
    /// Where to.
    pub to: PlaceId,
    /// Where copies of it go.
    pub copies: Vec<CopyRule>,
    /// What it is encrypted with.
    pub key: Option<KeyId>,
    /// Bytes of a segment.
    pub segment_bytes: u64,
    /// A segment that is not full is closed after this time (`archive_timeout`).
    pub timeout: SimSpan,
    /// Time that one upload takes besides moving its bytes.
    pub overhead: SimSpan,
    /// Uploads at the same time (`wal.maxParallel`).
    pub parallel: u32,
    /// Where it was written.
    pub origin: Origin,
}

/// How people bring data back.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// From the loss until an alert is sent.
    pub detect: Range,
    /// From the alert until somebody looks.
    pub respond: Range,
    /// Until it is decided to restore, and to what moment.
    pub decide: Range,
    /// What is done by hand before data flows, in order.
    pub steps: Vec<RunbookStep>,
    /// Until there is something to restore to, when zones or the region are gone.
    pub rebuild: Range,
    /// Until there is a volume to restore to.
    pub provision: Range,
    /// Until what was restored is checked and led to.
    pub verify: Range,
    /// Restores at the same time.
    pub parallel: u32,
    /// Bytes of write-ahead log that are replayed a second.
    pub replay_bytes_per_second: u64,
    /// Where it was written.
    pub origin: Origin,
}

impl Default for Recovery {
    /// **Assumptions**, all of them: PG-20, BK-6 and BK-10 of the specification of platform services
    /// name the parts; the figures are to be measured at a drill. Replay is the 60 MB/s of PG-21.
    fn default() -> Self {
        let mins = |least, most| Range {
            least: SimSpan::from_mins(least),
            most: SimSpan::from_mins(most),
        };
        Self {
            detect: mins(2, 9),
            respond: mins(2, 15),
            decide: mins(5, 30),
            steps: Vec::new(),
            rebuild: mins(10, 40),
            provision: Range { least: SimSpan::from_secs(10), most: SimSpan::from_secs(60) },
            verify: mins(2, 10),
            parallel: 1,
            replay_bytes_per_second: 60_000_000,
            origin: Origin::default(),
        }
    }
}

/// A step of a runbook.
#[derive(Clone, Debug, PartialEq)]
pub struct RunbookStep {
    /// What is done.
    pub name: String,
    /// How long it takes.
    pub takes: Range,
    /// How often it goes wrong and is done again, in parts per million.
    pub error_ppm: u32,
    /// What it costs to find out and to undo, each time it went wrong.
    pub error_takes: Range,
}

/// What may strike, by how much is gone with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DisasterClass {
    /// The node under it never returns.
    Node,
    /// Some zone is destroyed; the worst of them counts.
    Zone,
    /// The region is gone.
    Region,
    /// The account that holds it is gone, with all that is in it.
    Account,
    /// Its content is destroyed, in every live copy at once, and that is noticed later: a bad
    /// migration, a wrong command.
    Logical,
    /// As [`Self::Logical`], and every copy that its account can delete is deleted.
    Ransomware,
}

impl DisasterClass {
    /// All, from the smallest.
    pub const ALL: [Self; 6] =
        [Self::Node, Self::Zone, Self::Region, Self::Account, Self::Logical, Self::Ransomware];

    /// As it is written in a guarantee.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Region => "region",
            Self::Account => "account",
            Self::Logical => "logical",
            Self::Ransomware => "ransomware",
        }
    }
}

impl DataSet {
    /// Whether disasters of a class can take anything from it. A node takes what lies on its disks, and of a
    /// database, wherever that lies, what a standby that is promoted in its place lacks.
    pub fn is_exposed_to(&self, class: DisasterClass) -> bool {
        class != DisasterClass::Node
            || self.is_on_nodes
            || matches!(self.kind, DataSetKind::Database(_))
    }
}

impl Protection {
    /// The data set that is this database.
    pub fn of_database(&self, database: DatabaseId) -> Option<DataSetId> {
        let found =
            self.data_sets.iter().position(|set| set.kind == DataSetKind::Database(database));
        found.map(DataSetId::from_index)
    }

    /// Policies that copy a data set.
    pub fn policies_of(&self, data_set: DataSetId) -> impl Iterator<Item = PolicyId> + '_ {
        let all = self.policies.iter().enumerate();
        all.filter(move |(_, policy)| policy.data_set == data_set)
            .map(|(idx, _)| PolicyId::from_index(idx))
    }

    /// The archive of a data set.
    pub fn archive_of(&self, data_set: DataSetId) -> Option<&Archive> {
        self.archives.iter().find(|archive| archive.data_set == data_set)
    }
}
