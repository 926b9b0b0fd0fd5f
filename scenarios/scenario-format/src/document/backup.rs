//! `backups` of a Platform or a Scenario: what there is to lose, where copies go, who restores.

use model_api::SimSpan;
use model_api::backup::Method;
use serde_json::{Value as Json, json};

use super::parameters::RangeSpec;
use crate::cron::CronText;
use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::{Bytes, Share};

record! {
    /// Backups: data sets, places for copies, policies, and recovery. Entries of a Scenario replace those of its Platform with the same name.
    pub struct BackupsSpec("backups") {
        /// Account of the provider that the platform runs in; `platform` when left out.
        account: Option<Spanned<String>>,
        /// How long the platform has run like this before a run begins; a year when left out.
        history: Option<Spanned<SimSpan>>,
        /// Places for copies.
        places: Vec<PlaceSpec>,
        /// Keys that copies are encrypted with.
        keys: Vec<KeySpec>,
        /// Data sets besides the databases, which are data sets by themselves; or more about a database.
        data_sets: Vec<DataSetSpec>,
        /// What makes copies when.
        policies: Vec<BackupPolicySpec>,
        /// Continuous archives of write-ahead logs.
        archives: Vec<ArchiveSpec>,
        /// How people restore.
        recovery: Option<RecoverySpec>,
    }
}

record! {
    /// A place for copies: a bucket, a snapshot store.
    pub struct PlaceSpec("a place") {
        /// Name.
        name: Spanned<String>,
        /// Zones of the platform's region that hold it; all when neither `zones` nor `region` nor `beside` is there.
        zones: Vec<Spanned<String>>,
        /// How many of the zones must be left for it to be whole; 1 when left out, each zone holding all of it.
        zones_needed: Option<Spanned<u32>>,
        /// Another region that holds it.
        region: Option<Spanned<String>>,
        /// The storage pool that it stands on, instead of `zones`: it waits, stops and is lost with it.
        pool: Option<Spanned<String>>,
        /// It holds snapshots of volumes of its pool: they are made, and restored as new volumes, without moving bytes, hold what was on the volumes as after a crash, and are gone with the pool.
        snapshots: Option<bool>,
        /// It stands beside the volumes of this data set, as snapshots do that nobody moved.
        beside: Option<Spanned<String>>,
        /// Account of the provider that it belongs to; that of the platform when left out.
        account: Option<Spanned<String>>,
        /// Jurisdiction of its hardware; that of the region when left out.
        jurisdiction: Option<Spanned<String>>,
        /// For how long nobody can delete a copy: object lock in compliance mode.
        lock: Option<Spanned<SimSpan>>,
        /// Bytes a second that can be read; 100Mi when left out.
        read: Option<Spanned<Bytes>>,
        /// Bytes a second that can be written; 100Mi when left out.
        write: Option<Spanned<Bytes>>,
        /// Places that everything in it is copied to, by replication of the bucket; of policies and archives that state no copies of their own.
        copies: Vec<CopySpec>,
        /// The key that what is in it is encrypted with; of policies and archives that state none of their own.
        key: Option<Spanned<String>>,
    }
}

record! {
    /// A key.
    pub struct KeySpec("a key") {
        /// Name.
        name: Spanned<String>,
        /// Zones of the platform's region that it can be had from, each of them alone.
        zones: Vec<Spanned<String>>,
        /// Another region that it can be had from.
        region: Option<Spanned<String>>,
        /// Account of the provider that it belongs to; that of the platform when left out.
        account: Option<Spanned<String>>,
        /// Jurisdiction it is kept in; that of the region when left out.
        jurisdiction: Option<Spanned<String>>,
        /// Data sets that hold it, such as etcd a Secret.
        kept_in: Vec<Spanned<String>>,
    }
}

record! {
    /// A data set.
    pub struct DataSetSpec("a data set") {
        /// Name: of a database `namespace/name`, otherwise free; `etcd` is the state of the Kubernetes API.
        name: Spanned<String>,
        /// The workload whose volumes it is, as `namespace/name`.
        workload: Option<Spanned<String>>,
        /// Zones of its live copies, when neither a database nor a workload says so; those of the control plane for etcd.
        zones: Vec<Spanned<String>>,
        /// The storage pool that it stands on, when neither a database nor a workload has volumes of a StorageClass of one.
        pool: Option<Spanned<String>>,
        /// Each live copy holds all of it, as a replicated store does; `false` when they are parts. Left out: true, and false for volumes of a workload.
        replicated: Option<bool>,
        /// Account of the provider that holds it; that of the platform when left out.
        account: Option<Spanned<String>>,
        /// Bytes that a restore moves; the volumes of a database or workload, 1Gi for anything else, when left out.
        size: Option<Spanned<Bytes>>,
        /// Bytes that are written a second; the write-ahead log of a database, nothing for anything else, when left out.
        written: Option<Spanned<Bytes>>,
        /// Data sets that have to be back before it.
        restored_after: Vec<Spanned<String>>,
        /// How long a logical loss goes unnoticed; 6h when left out.
        discovery: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// A policy that makes copies of one data set; or more about one that a manifest makes, under the name of the manifest's object, `namespace/name`.
    pub struct BackupPolicySpec("a backup policy") {
        /// Name.
        name: Spanned<String>,
        /// The data set. This, `method`, `schedule` and `to` must be there unless a manifest says them.
        of: Option<Spanned<String>>,
        /// `snapshot` (what was there when it began), `files` (read one after another) or `base` (base backup of a database).
        method: Option<Spanned<Method>>,
        /// When: a cron expression of five fields (six with seconds first), in UTC or by the clocks of a zone as in `CRON_TZ=Europe/Berlin 0 2 * * *`; `@daily` and its like; or a period such as 6h.
        schedule: Option<Spanned<CronText>>,
        /// It makes nothing.
        paused: Option<bool>,
        /// The place that copies are made for.
        to: Option<Spanned<String>>,
        /// Places that copies are copied to; those of the place when left out.
        copies: Vec<CopySpec>,
        /// Each copy is kept for so long. One of `keep`, `window` and `last` must be there.
        keep: Option<Spanned<SimSpan>>,
        /// Copies are kept so that every moment of so long can be restored.
        window: Option<Spanned<SimSpan>>,
        /// So many copies are kept.
        last: Option<Spanned<u32>>,
        /// The key that copies are encrypted with; that of the place when left out.
        key: Option<Spanned<String>>,
        /// Policies with the same number run one after another.
        lane: Option<Spanned<u32>>,
        /// The Deployment that makes the runs, `namespace/name`: nothing is made while none of its pods runs, and a run fails when the last one ends. Without it somebody is always there.
        server: Option<Spanned<String>>,
        /// Time of a run besides moving bytes; 1m when left out.
        overhead: Option<Spanned<SimSpan>>,
        /// What runs in the pods before and after each copy; nothing when left out.
        hook: Option<HookSpec>,
        /// Bytes that a run moves; the size of the data set when left out.
        moves: Option<Spanned<Bytes>>,
        /// After this time a run fails.
        timeout: Option<Spanned<SimSpan>>,
        /// Share of runs that fail and are seen to; 2% when left out.
        failures: Option<Spanned<Share>>,
        /// Share of runs from which on copies look complete and cannot be restored; 0.2% when left out.
        silent_failures: Option<Spanned<Share>>,
        /// How often a restore is tried for a test; never when left out.
        restore_test: Option<Spanned<SimSpan>>,
        /// Time of a restore besides moving bytes; none when left out.
        restore_overhead: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// A command that brings the data to rest before it is copied.
    pub struct HookSpec("a hook") {
        /// Time that it takes at most; 30s when left out.
        takes: Option<Spanned<SimSpan>>,
        /// Time at most of the command that runs after the copy; there is none when left out.
        after: Option<Spanned<SimSpan>>,
        /// Share of runs in which it fails; none when left out.
        failures: Option<Spanned<Share>>,
        /// `fail` (nothing is copied when it fails) or `continue`; fail when left out.
        on_error: Option<Spanned<OnError>>,
    }
}

/// `onError` of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Nothing is copied.
    Fail,
    /// It is copied all the same.
    Continue,
}

record! {
    /// A copy of copies.
    pub struct CopySpec("a copy") {
        /// Where to.
        to: Spanned<String>,
        /// How much later it is there; at once when left out.
        lag: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// A continuous archive of the write-ahead log of a database.
    pub struct ArchiveSpec("an archive") {
        /// The data set.
        of: Spanned<String>,
        /// Where to.
        to: Spanned<String>,
        /// Places that it is copied to; those of the place when left out.
        copies: Vec<CopySpec>,
        /// The key that it is encrypted with; that of the place when left out.
        key: Option<Spanned<String>>,
        /// Bytes of a segment; 16Mi when left out.
        segment: Option<Spanned<Bytes>>,
        /// A segment that is not full is closed after this time (`archive_timeout`); 5m when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// Time of an upload besides moving its bytes; 1s when left out.
        overhead: Option<Spanned<SimSpan>>,
        /// Uploads at the same time (`wal.maxParallel`); 1 when left out.
        parallel: Option<Spanned<u32>>,
    }
}

record! {
    /// How people bring data back. Each time is `30m`, or a range such as `[10m, 1h]`.
    pub struct RecoverySpec("recovery") {
        /// From a loss until an alert is sent.
        detect: Option<RangeSpec>,
        /// From the alert until somebody looks.
        respond: Option<RangeSpec>,
        /// Until it is decided to restore, and to what moment.
        decide: Option<RangeSpec>,
        /// What is done by hand before data flows, in order.
        steps: Vec<StepSpec>,
        /// Until there is something to restore to, when the region or the account is gone.
        rebuild: Option<RangeSpec>,
        /// Until there is a volume to restore to.
        provision: Option<RangeSpec>,
        /// Until what was restored is checked and led to.
        verify: Option<RangeSpec>,
        /// Restores at the same time; 1 when left out.
        parallel: Option<Spanned<u32>>,
        /// Bytes of a write-ahead log that are replayed a second.
        replay: Option<Spanned<Bytes>>,
    }
}

record! {
    /// A step of a runbook.
    pub struct StepSpec("a step of a runbook") {
        /// What is done.
        name: Spanned<String>,
        /// How long it takes.
        takes: RangeSpec,
        /// How often it goes wrong and is done again; never when left out.
        errors: Option<Spanned<Share>>,
        /// What it costs to find out and undo it each time it went wrong.
        error_takes: Option<RangeSpec>,
    }
}

impl FromText for OnError {
    const EXPECTED: &'static str = "fail or continue";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "continue" => Ok(Self::Continue),
            _ => Err("is neither".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["fail", "continue"]})
    }
}

impl FromText for Method {
    const EXPECTED: &'static str = "snapshot, files or base";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "snapshot" => Ok(Self::Snapshot),
            "files" => Ok(Self::Files),
            "base" => Ok(Self::Base),
            _ => Err("is no way to make a copy".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["snapshot", "files", "base"]})
    }
}
