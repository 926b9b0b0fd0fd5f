//! Platforms that hold nothing but data and its backups.

use model_api::backup::{
    Archive, BackupPolicy, CopyRule, DataSet, DataSetKind, Location, Method, Place, Protection,
    Retention, Schedule,
};
use model_api::blueprint::Zone;
use model_api::{Blueprint, DataSetId, Origin, PlaceId, SimSpan, ZoneId};

/// So many databases over three zones, each with a base backup a day, kept for 30 days, and an
/// archive, both copied to another region.
pub fn guarded(count: u32) -> Blueprint {
    let zone = |name: &str| Zone { name: name.to_owned(), ..Zone::default() };
    let place = |name: &str, zones: u32, region: Option<&str>| Place {
        name: name.to_owned(),
        location: Location {
            zones: (0..zones).map(ZoneId).collect(),
            zones_needed: 1,
            region: region.map(str::to_owned),
            account: name.to_owned(),
            ..Location::default()
        },
        has_snapshots: false,
        lock: None,
        read_bytes_per_second: 100 << 20,
        write_bytes_per_second: 100 << 20,
        origin: Origin::default(),
    };
    let away = |lag| vec![CopyRule { to: PlaceId(1), lag }];
    let ids = || (0..count).map(DataSetId);
    Blueprint {
        zones: ["a", "b", "c"].map(zone).to_vec(),
        protection: Protection {
            data_sets: ids().map(data_set).collect(),
            places: vec![place("near", 3, None), place("far", 0, Some("west"))],
            policies: ids().map(|id| policy(id, away(SimSpan::from_hours(1)))).collect(),
            archives: ids().map(|id| archive(id, away(SimSpan::from_mins(5)))).collect(),
            history: SimSpan::from_days(365),
            ..Protection::default()
        },
        ..Blueprint::default()
    }
}

fn data_set(id: DataSetId) -> DataSet {
    DataSet {
        name: format!("database {}", id.0),
        kind: DataSetKind::Other,
        zones: (0..3).map(ZoneId).collect(),
        is_replicated: true,
        is_on_nodes: false,
        pools: Vec::new(),
        volume_bytes_per_second: None,
        account: "platform".to_owned(),
        size_bytes: 100 << 30,
        written_bytes_per_second: 1 << 20,
        live_lag: SimSpan::ZERO,
        restored_after: Vec::new(),
        discovery: SimSpan::from_hours(6),
        origin: Origin::default(),
    }
}

fn policy(id: DataSetId, copies: Vec<CopyRule>) -> BackupPolicy {
    BackupPolicy {
        name: format!("daily {}", id.0),
        data_set: id,
        method: Method::Base,
        schedule: Schedule::Every(SimSpan::from_days(1)),
        is_paused: false,
        to: PlaceId(0),
        copies,
        retention: Retention::Window(SimSpan::from_days(30)),
        key: None,
        lane: None,
        server: None,
        overhead: SimSpan::from_mins(1),
        moved_bytes: 100 << 30,
        timeout: None,
        failure_ppm: 20_000,
        silent_failure_ppm: 2_000,
        tested_every: Some(SimSpan::from_days(30)),
        restore_overhead: SimSpan::ZERO,
        hook: None,
        origin: Origin::default(),
    }
}

fn archive(id: DataSetId, copies: Vec<CopyRule>) -> Archive {
    Archive {
        data_set: id,
        to: PlaceId(0),
        copies,
        key: None,
        segment_bytes: 16 << 20,
        timeout: SimSpan::from_mins(5),
        overhead: SimSpan::from_secs(1),
        parallel: 1,
        origin: Origin::default(),
    }
}
