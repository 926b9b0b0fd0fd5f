//! Data that nothing brings back is lost, and the run says so.

use model_api::backup::{
    BackupPolicy, DataSet, DataSetKind, Location, Method, Place, Retention, Schedule,
};
use model_api::fault::{DataFault, Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::observation::BackupFact;
use model_api::{
    Blueprint, DataSetId, Observation, Origin, PlaceId, SimSpan, SimTime, WorkloadId, ZoneId,
};
use platform::{Event, Plan};
use sim_kernel::Journal;

use crate::archives::archiving;
use crate::fault;

const HOUR: SimSpan = SimSpan::from_hours(1);
const ALL: u64 = u64::MAX;

/// What is lost each time, in nanoseconds, of a run of so many hours.
fn lost(blueprint: &Blueprint, kind: DataFault, hours: u64) -> Vec<u64> {
    let struck: Fault = fault("f", FaultKind::Data(kind), Start::At(SimTime::ZERO + HOUR), None);
    let plan = Plan::new(blueprint.clone(), FaultPlan { faults: vec![struck] }, HOUR * hours);
    let (journal, _): (Journal<Event, Observation>, _) =
        plan.expect("no circle").run(1, 0, Journal::new());
    let observations = journal.observations().iter();
    let losses = observations.filter_map(|record| match record.observation {
        Observation::CommitsLost { span_ns, commit_count, .. } => {
            assert!(commit_count > 0);
            Some(span_ns)
        }
        _ => None,
    });
    losses.collect()
}

fn zone(zone: u32) -> DataFault {
    DataFault::ZoneDestroyed { zone: ZonePick::Zone(ZoneId(zone)) }
}

fn spoilt(hours: u64) -> DataFault {
    DataFault::LogicalLoss {
        data_set: DataSetId(0),
        discovered_after: HOUR * hours,
        deletes_copies: false,
    }
}

#[test]
fn what_is_destroyed_without_a_copy_is_lost_for_ever() {
    // There is an archive of the log, and no base backup that it leads on from.
    let known = archiving(1 << 20, 1 << 40);
    let mut unknown = known.clone();
    unknown.protection = model_api::backup::Protection::default();
    let mut lonely = unknown.clone();
    lonely.databases[0].instances = 1;
    lonely.workloads[1].replicas = 1;
    // Its only instance is in one of the zones.
    let of_zones: Vec<u64> = (0..3).flat_map(|it| lost(&lonely, zone(it), 2)).collect();
    assert_eq!(of_zones, [ALL]);
    let of_zones: Vec<u64> = (0..3).flat_map(|it| lost(&unknown, zone(it), 2)).collect();
    assert!(of_zones.iter().all(|lost| *lost < HOUR.as_nanos()), "two are left: {of_zones:?}");
    assert_eq!(lost(&unknown, DataFault::RegionLoss, 2), [ALL], "no backup is known");
    // Whether people have found out by the end or not.
    for hours in [2, 200] {
        assert_eq!(lost(&known, DataFault::RegionLoss, hours), [ALL], "{hours}");
        assert_eq!(lost(&known, spoilt(6), hours), [ALL], "{hours}");
    }
}

/// The small platform with etcd and the volumes of its web pods backed up elsewhere, and tools beside them.
fn backed_up() -> Blueprint {
    let mut blueprint = crate::small();
    crate::web(&mut blueprint, "tools", 2);
    let protection = &mut blueprint.protection;
    let location = Location { region: Some("elsewhere".to_owned()), ..Location::default() };
    protection.places.push(Place {
        name: "offsite".to_owned(),
        location,
        has_snapshots: false,
        lock: None,
        read_bytes_per_second: 100 << 20,
        write_bytes_per_second: 100 << 20,
        origin: Origin::default(),
    });
    let kinds = [("etcd", DataSetKind::Etcd), ("shop/web", DataSetKind::Volumes(WorkloadId(0)))];
    for (idx, (name, kind)) in kinds.into_iter().enumerate() {
        protection.data_sets.push(DataSet {
            name: name.to_owned(),
            kind,
            zones: (0..3).map(ZoneId).collect(),
            is_replicated: idx == 0,
            is_on_nodes: false,
            pools: Vec::new(),
            volume_bytes_per_second: None,
            account: String::new(),
            size_bytes: 100 << 30,
            written_bytes_per_second: 1 << 20,
            live_lag: SimSpan::ZERO,
            restored_after: (0..idx).map(DataSetId::from_index).collect(),
            discovery: SimSpan::from_hours(6),
            origin: Origin::default(),
        });
        protection.policies.push(BackupPolicy {
            name: name.to_owned(),
            data_set: DataSetId::from_index(idx),
            method: Method::Snapshot,
            schedule: Schedule::Every(HOUR),
            is_paused: false,
            to: PlaceId(0),
            copies: Vec::new(),
            retention: Retention::For(SimSpan::from_days(30)),
            key: None,
            lane: None,
            server: None,
            overhead: SimSpan::from_mins(5),
            moved_bytes: 1 << 30,
            timeout: None,
            failure_ppm: 0,
            silent_failure_ppm: 0,
            tested_every: None,
            restore_overhead: SimSpan::ZERO,
            hook: None,
            origin: Origin::default(),
        });
    }
    protection.history = SimSpan::from_days(1);
    blueprint
}

/// The state of the API comes first, then what has no data of its own, then what had to wait for its volumes.
#[test]
fn a_region_that_is_built_again_runs_what_ran_there() {
    let blueprint = backed_up();
    let kind = FaultKind::Data(DataFault::RegionLoss);
    let struck = fault("region", kind, Start::At(SimTime::ZERO + HOUR), None);
    for seed in 0..5 {
        let plan =
            Plan::new(blueprint.clone(), FaultPlan { faults: vec![struck.clone()] }, HOUR * 30);
        let (journal, _): (Journal<Event, Observation>, _) =
            plan.expect("no circle").run(seed, 0, Journal::new());
        let (mut returned, mut ready) = ([None; 2], [Vec::new(), Vec::new()]);
        for record in journal.observations().iter().filter(|it| it.at > SimTime::ZERO + HOUR) {
            match record.observation {
                Observation::Backup(BackupFact::Returned { data_set, .. }) => {
                    returned[data_set.index()] = Some(record.at);
                }
                Observation::PodBecameReady { workload, .. } => {
                    ready[workload.index()].push(record.at);
                }
                _ => {}
            }
        }
        let [api, volumes] = returned.map(|at| at.expect("there is a copy of it"));
        let [web, tools] = ready;
        assert_eq!((web.len(), tools.len()), (3, 2), "{seed}");
        let soon = SimSpan::from_mins(15);
        assert!(tools.iter().all(|at| *at > api && *at < api + soon), "{seed}: {api:?} {tools:?}");
        assert!(web.iter().all(|at| *at > volumes && *at < volumes + soon), "{seed}: {web:?}");
        assert!(volumes > api + SimSpan::from_mins(10), "{seed}");
    }
}
