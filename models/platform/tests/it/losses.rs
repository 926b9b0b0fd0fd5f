//! Data that nothing brings back is lost, and the run says so.

use model_api::fault::{DataFault, Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::{Blueprint, DataSetId, Observation, SimSpan, SimTime, ZoneId};
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
