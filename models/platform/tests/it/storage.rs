//! Storage pools and what stands on them: databases, archives, services, registries.

use model_api::fault::{DiskCount, Fault, FaultKind, FaultPlan, Start, StorageFault, ZonePick};
use model_api::observation::{PoolIo, StorageFact};
use model_api::storage::{FailureDomain, Pool, Redundancy};
use model_api::{
    Blueprint, DataSetId, DatabaseId, Observation, PlaceId, PoolId, ServiceId, SimSpan, SimTime,
    WorkloadId, ZoneId,
};
use platform::{Event, Plan, World};
use sim_kernel::{Journal, Simulation};

use crate::archives::archiving;
use crate::{fault, small, zone_loss};

const POOL: PoolId = PoolId(0);

const fn code(k: u32, m: u32) -> Redundancy {
    Redundancy::Erasure { k, m }
}

fn pool(redundancy: Redundancy) -> Pool {
    let zones: Vec<ZoneId> = (0..3).map(ZoneId).collect();
    Pool {
        name: "buckets".to_owned(),
        monitor_zones: zones.clone(),
        zones,
        hosts_per_zone: 4,
        osds_per_host: 3,
        redundancy,
        min_size: redundancy.min_size_default(),
        failure_domain: FailureDomain::Zone,
        stored_bytes: 1 << 40,
        group_count: 64,
        rebuild_bytes_per_second: 20_000_000,
        ..Pool::default()
    }
}

/// A database whose archive stands on a pool.
fn archive_on(redundancy: Redundancy) -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    let pool = pool(redundancy);
    let location = &mut blueprint.protection.places[0].location;
    location.pool = Some(POOL);
    location.zones_needed = pool.zones_needed();
    location.zones_needed_to_serve = pool.zones_needed_to_serve();
    blueprint.pools.push(pool);
    blueprint
}

/// A database whose volumes stand on a pool.
fn volumes_on(redundancy: Redundancy) -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    let holders = vec![WorkloadId(1)];
    blueprint.pools.push(Pool { holders, ..pool(redundancy) });
    blueprint.protection.data_sets[0].pools = vec![POOL];
    blueprint
}

fn simulation(
    blueprint: Blueprint,
    faults: Vec<Fault>,
) -> Simulation<World, Journal<Event, Observation>> {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(6));
    plan.expect("no circle").simulation(1, 0, Journal::new())
}

fn storage(kind: StorageFault, at_secs: u64, secs: Option<u64>) -> Fault {
    fault("storage", FaultKind::Storage(kind), Start::At(SimTime::from_secs(at_secs)), secs)
}

fn lost(count: DiskCount, is_destroyed: bool, at_secs: u64, secs: Option<u64>) -> Fault {
    storage(StorageFault::DiskLoss { pool: POOL, zone: None, count, is_destroyed }, at_secs, secs)
}

/// What a run tells of storage, with the second.
fn told(simulation: &Simulation<World, Journal<Event, Observation>>) -> Vec<(u64, StorageFact)> {
    let records = simulation.recorder().observations().iter();
    let facts = records.filter_map(|record| match record.observation {
        Observation::Storage(fact) => Some((record.at.as_secs(), fact)),
        _ => None,
    });
    facts.collect()
}

fn ios(simulation: &Simulation<World, Journal<Event, Observation>>) -> Vec<PoolIo> {
    let io = |(_, fact)| match fact {
        StorageFact::Io { io, .. } => Some(io),
        _ => None,
    };
    told(simulation).into_iter().filter_map(io).collect()
}

#[test]
fn an_archive_waits_for_its_pool_where_that_does_not_serve_without_a_zone() {
    let backlog = |redundancy| {
        let faults = vec![zone_loss(2, 3_600, Some(7_200))];
        let mut simulation = simulation(archive_on(redundancy), faults);
        let mut of = |secs| {
            let now = SimTime::from_secs(secs);
            assert!(simulation.run_until(now).is_complete());
            simulation.model().backups().archive_backlog(DataSetId(0), now)
        };
        (of(3_590), of(10_700), of(21_000), ios(&simulation))
    };
    use PoolIo::{BelowMinSize, Pauses, Runs};
    let (before, during, after, io) = backlog(code(4, 2));
    assert!(before <= 1 && during > 300 && after <= 1, "{before} {during} {after}");
    assert_eq!(io, [Pauses, BelowMinSize, Runs]);
    let (_, during, _, io) = backlog(code(5, 4));
    assert!(during <= 1, "{during}");
    assert_eq!(io, [Pauses, Runs, Pauses, Runs]);
}

#[test]
fn a_database_stalls_on_its_volumes_and_goes_on_with_them() {
    let outages = |redundancy| {
        let lost = vec![lost(DiskCount::Hosts(4), false, 3_600, Some(500))];
        let mut simulation = simulation(volumes_on(redundancy), lost);
        assert!(simulation.run_until(SimTime::from_secs(20_000)).is_complete());
        let mut stopped = Vec::new();
        for record in simulation.recorder().observations() {
            match record.observation {
                Observation::WritesStopped { .. } => stopped.push((record.at, None)),
                Observation::WritesResumed { .. } => {
                    if let Some(last) = stopped.last_mut() {
                        *last = (last.0, Some(record.at));
                    }
                }
                _ => {}
            }
        }
        let length = |(from, until): (SimTime, Option<SimTime>)| {
            until.map(|until| until.saturating_since(from).as_secs())
        };
        stopped.into_iter().map(length).collect::<Vec<_>>()
    };
    // Four machines of twelve: 4+2 has groups with too few chunks until they are back.
    let [Some(long), ..] = outages(code(4, 2))[..] else { panic!("it came back") };
    assert!((480..560).contains(&long), "{long}");
    // With enough left it only pauses: for the loss, and when they are back.
    let pauses = outages(Redundancy::Replicated { size: 9 });
    let is_short = |length: &Option<u64>| length.is_some_and(|it| it <= 36);
    assert!(pauses.len() == 2 && pauses.iter().all(is_short), "{pauses:?}");
}

/// Requests of the first Service that are answered at a moment, per 1000 s.
fn answered_at(journal: &Journal<Event, Observation>, secs: u64) -> u64 {
    let flows = journal.observations().iter().filter_map(|record| match record.observation {
        Observation::Flow(segment) if segment.service == ServiceId(0) => Some(segment),
        _ => None,
    });
    let at = SimTime::from_secs(secs);
    let mut then = flows.filter(|segment| segment.from <= at && segment.until > at);
    then.next().expect("somebody asked").served_from_millirps
}

#[test]
fn requests_that_write_fail_while_the_volumes_hang_and_no_longer() {
    let mut blueprint = volumes_on(code(4, 2));
    blueprint.profiles[0].writes_to = vec![DatabaseId(0)];
    for faults in [
        vec![lost(DiskCount::Hosts(4), false, 3_600, Some(500))],
        // Nothing is left of a zone that stands in the middle.
        vec![zone_loss(1, 3_600, Some(500))],
    ] {
        let plan = Plan::new(blueprint.clone(), FaultPlan { faults }, SimSpan::from_hours(2));
        let (journal, _) = plan.expect("no circle").run(1, 0, Journal::new());
        let [before, during, after] = [3_599, 3_900, 5_000].map(|at| answered_at(&journal, at));
        assert!(before > 0 && during == 0 && after == before, "{before} {during} {after}");
    }
}

#[test]
fn whoever_needs_a_pool_to_answer_answers_nothing_without_it() {
    let served = |is_stalled: bool| {
        let mut blueprint = small();
        let stalled = if is_stalled { vec![WorkloadId(0)] } else { Vec::new() };
        blueprint.pools.push(Pool { stalled, ..pool(code(4, 2)) });
        let faults = vec![lost(DiskCount::All, false, 600, Some(600))];
        let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(1));
        let (journal, _) = plan.expect("no circle").run(1, 0, Journal::new());
        answered_at(&journal, 900)
    };
    assert_eq!(served(true), 0);
    assert!(served(false) > 0);
}

#[test]
fn what_a_pool_loses_is_lost_and_nothing_is_twice() {
    // All disks of all zones: the archive in the pool and its copies are gone.
    let faults = vec![lost(DiskCount::All, true, 3_600, None)];
    let mut simulation = simulation(archive_on(code(5, 4)), faults);
    assert!(simulation.run_until(SimTime::from_secs(7_200)).is_complete());
    let facts = told(&simulation);
    let lost_bytes: u64 = facts
        .iter()
        .filter_map(|(_, fact)| match fact {
            StorageFact::DataLost { bytes, .. } => Some(*bytes),
            _ => None,
        })
        .sum();
    assert_eq!(lost_bytes, 1 << 40);
    assert_eq!(simulation.model().pools().io(POOL), PoolIo::DataLost);
    let archiver = simulation.model().backups().archiver(DataSetId(0));
    assert_eq!(archiver, Some(None));
}

#[test]
fn people_may_lower_min_size_when_a_zone_is_gone_for_good() {
    let zone = ZonePick::Zone(ZoneId(1));
    let destroyed = fault(
        "zone",
        FaultKind::Data(model_api::fault::DataFault::ZoneDestroyed { zone }),
        Start::At(SimTime::from_secs(3_600)),
        None,
    );
    let lowered = storage(StorageFault::MinSize { pool: POOL, min_size: 4 }, 7_200, None);
    let mut simulation = simulation(archive_on(code(4, 2)), vec![destroyed, lowered]);
    let mut io_at = |secs| {
        assert!(simulation.run_until(SimTime::from_secs(secs)).is_complete());
        simulation.model().pools().io(POOL)
    };
    assert_eq!(
        [3_700, 7_199, 7_300].map(&mut io_at),
        [PoolIo::BelowMinSize, PoolIo::BelowMinSize, PoolIo::Runs]
    );
    let facts = told(&simulation);
    let is_out = |fact: &StorageFact| matches!(fact, StorageFact::OsdsOut { .. });
    assert!(!facts.iter().any(|(_, fact)| is_out(fact)), "a whole zone is never given up");
}

#[test]
fn of_two_settings_of_min_size_the_later_counts_while_it_is_on() {
    let set = |min_size, at, secs| {
        storage(StorageFault::MinSize { pool: POOL, min_size }, at, Some(secs))
    };
    let mut simulation = simulation(archive_on(code(4, 2)), vec![set(4, 10, 100), set(6, 50, 200)]);
    assert!(simulation.run_until(SimTime::from_secs(1_000)).is_complete());
    let size = |(secs, fact)| match fact {
        StorageFact::MinSizeSet { min_size, .. } => Some((secs, min_size)),
        _ => None,
    };
    let sizes: Vec<(u64, u32)> = told(&simulation).into_iter().filter_map(size).collect();
    assert_eq!(sizes, [(10, 4), (50, 6), (250, 5)]);
}

#[test]
fn a_throttled_bucket_lets_the_archive_fall_behind() {
    let throttle = StorageFault::Throttle {
        place: PlaceId(0),
        read_bytes_per_second: None,
        write_bytes_per_second: Some(512 << 10),
    };
    let faults = vec![storage(throttle, 3_600, Some(3_600))];
    let mut simulation = simulation(archive_on(code(5, 4)), faults);
    let mut backlog = |secs| {
        let now = SimTime::from_secs(secs);
        assert!(simulation.run_until(now).is_complete());
        simulation.model().backups().archive_backlog(DataSetId(0), now)
    };
    // 1 MiB/s is written and half of it stored, an hour long: 112 of 225 segments wait.
    let [before, most, after] = [3_500, 7_190, 12_000].map(&mut backlog);
    assert!(before <= 1 && (100..130).contains(&most) && after <= 1, "{before} {most} {after}");
}

#[test]
fn a_pool_to_which_nothing_happens_is_no_event() {
    let events = |blueprint: Blueprint| {
        let plan = Plan::new(blueprint, FaultPlan::default(), SimSpan::from_days(30));
        let (_, end) = plan.expect("no circle").run(1, 0, Journal::<Event, Observation>::new());
        (end.stats.handled_count, end.digest)
    };
    let mut with = small();
    with.pools.push(pool(code(5, 4)));
    assert_eq!(events(with), events(small()));
}
