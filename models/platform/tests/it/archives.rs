//! Databases and their archives: one tells how much it writes, the other how much it takes.

use model_api::action::{Action, NodeWork};
use model_api::backup::{Archive, DataSet, DataSetKind, Location, Place};
use model_api::blueprint::{Database, Pooler, PoolerTarget, WalVolume};
use model_api::fault::{ControlPlaneFault, DataFault, Fault, FaultKind, FaultPlan, Start};
use model_api::kube::{LabelSelector, Service, Workload, WorkloadKind};
use model_api::observation::BackupFact;
use model_api::{
    Blueprint, DataSetId, DatabaseId, Observation, Origin, PlaceId, PoolerId, ServiceId, SimSpan,
    SimTime, WorkloadId, ZoneId,
};
use platform::{Event, Plan, World};
use sim_kernel::{Journal, Simulation};

use crate::{fault, labels, small, zone_loss};

const SEGMENT: u64 = 16 << 20;
const DATABASE: DatabaseId = DatabaseId(0);

/// The small platform with a database that writes so much, and archives it.
pub(crate) fn archiving(wal_bytes_per_second: u64, size_bytes: u64) -> Blueprint {
    let mut blueprint = small();
    let web = blueprint.workloads[0].clone();
    let own = labels(&[("db", "orders")]);
    let mut template = web.template;
    template.labels.clone_from(&own);
    template.spec.topology_spread_constraints[0].label_selector =
        Some(LabelSelector { match_labels: own.clone(), ..LabelSelector::default() });
    let selector = template.spec.topology_spread_constraints[0].label_selector.clone();
    blueprint.workloads.push(Workload {
        kind: WorkloadKind::DatabaseInstances,
        name: "orders".to_owned(),
        selector,
        template,
        ..web
    });
    for name in ["orders-rw", "orders-ro"] {
        let (namespace, name) = ("shop".to_owned(), name.to_owned());
        blueprint.services.push(Service {
            namespace,
            name,
            selector: own.clone(),
            ..Service::default()
        });
    }
    blueprint.databases.push(Database {
        namespace: "shop".to_owned(),
        name: "orders".to_owned(),
        workload: WorkloadId(1),
        read_write_service: ServiceId(1),
        read_only_service: ServiceId(2),
        instances: 3,
        wal_bytes_per_second,
        commits_per_second: 100,
        session_count: 97,
        wal: Some(WalVolume {
            size_bytes,
            data_bytes: 0,
            segment_bytes: SEGMENT,
            switch_after: Some(SimSpan::from_mins(5)),
            least_bytes: 0,
            kept_bytes: None,
            kept_for: None,
        }),
        ..Database::default()
    });
    let protection = &mut blueprint.protection;
    protection.data_sets.push(DataSet {
        name: "shop/orders".to_owned(),
        kind: DataSetKind::Database(DATABASE),
        zones: Vec::new(),
        is_replicated: true,
        is_on_nodes: false,
        pools: Vec::new(),
        volume_bytes_per_second: None,
        account: String::new(),
        size_bytes: 1 << 30,
        written_bytes_per_second: wal_bytes_per_second,
        live_lag: SimSpan::ZERO,
        restored_after: Vec::new(),
        discovery: SimSpan::from_hours(6),
        origin: Origin::default(),
    });
    protection.places.push(Place {
        name: "bucket".to_owned(),
        location: Location {
            zones: (0..3).map(ZoneId).collect(),
            zones_needed: 1,
            ..Location::default()
        },
        has_snapshots: false,
        lock: None,
        read_bytes_per_second: 100 << 20,
        write_bytes_per_second: 100 << 20,
        origin: Origin::default(),
    });
    protection.archives.push(Archive {
        data_set: DataSetId(0),
        to: PlaceId(0),
        copies: Vec::new(),
        key: None,
        segment_bytes: SEGMENT,
        timeout: SimSpan::from_mins(5),
        overhead: SimSpan::from_secs(2),
        parallel: 1,
        origin: Origin::default(),
    });
    blueprint
}

type Sim = Simulation<World, Journal<Event, Observation>>;

fn simulation(blueprint: Blueprint, faults: Vec<Fault>) -> Sim {
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(6));
    plan.expect("no circle").simulation(1, 0, Journal::new())
}

fn broken(from: u64, secs: u64) -> Fault {
    let kind = DataFault::ArchiveBroken { data_set: DataSetId(0), is_silent: false };
    let start = Start::At(SimTime::from_secs(from));
    fault("archive", FaultKind::Data(kind), start, Some(secs))
}

/// Segments that the archive has not taken, as the database and as the archive count them.
fn backlogs(simulation: &mut Sim, secs: u64) -> (u64, u64) {
    let now = SimTime::from_secs(secs);
    assert!(simulation.run_until(now).is_complete());
    let world = simulation.model();
    let of_volume = world.databases().archive_backlog(DATABASE, now).div_ceil(SEGMENT);
    (of_volume, world.backups().archive_backlog(DataSetId(0), now))
}

#[test]
fn a_database_and_its_archive_agree_on_what_is_left_to_store() {
    // Full segments, and one that the clock closes.
    for wal_bytes_per_second in [4 << 20, 1 << 10] {
        let blueprint = archiving(wal_bytes_per_second, 1 << 40);
        let faults = vec![broken(600, 6_000), zone_loss(0, 9_000, None)];
        let mut simulation = simulation(blueprint, faults);
        let mut most = 0;
        for secs in (100..12_000).step_by(130) {
            let (volume, archive) = backlogs(&mut simulation, secs);
            assert!(volume.abs_diff(archive) <= 2, "{secs}: {volume} {archive}");
            most = most.max(archive);
        }
        assert!(most >= 19, "{most}");
    }
}

#[test]
fn an_archive_gets_nothing_of_a_database_that_does_not_run() {
    // 1 GiB of log at 4 MiB/s: full after 256 s, long before the archive is back.
    let mut simulation = simulation(archiving(4 << 20, 1 << 30), vec![broken(600, 3_000)]);
    let (before, after) = (backlogs(&mut simulation, 3_590).1, backlogs(&mut simulation, 10_000).1);
    assert!(before > 60 && before == after, "{before} {after}");
    let is_full = |seen: &Observation| matches!(seen, Observation::WalVolumeFull { .. });
    let told = simulation.recorder().observations().iter();
    assert_eq!(told.filter(|record| is_full(&record.observation)).count(), 1);
}

/// Whether the node under the primary is drained within an hour, and how many primaries there were.
fn drained(mut blueprint: Blueprint) -> (bool, usize) {
    blueprint.databases[0].switchover_delay = SimSpan::from_hours(1);
    let mut simulation = simulation(blueprint.clone(), Vec::new());
    assert!(simulation.run_until(SimTime::from_secs(10)).is_complete());
    let world = simulation.model();
    let pod = world.databases().primary_pod(DATABASE).expect("it was placed");
    let node = world.cluster().pod(pod).node.expect("it runs");
    let work = NodeWork { nodes: vec![node], ..NodeWork::default() };
    let drain = FaultKind::Action(Action::Drain(work));
    let start = Start::At(SimTime::from_secs(600));
    let faults = vec![fault("drain", drain, start, None)];
    let plan = Plan::new(blueprint, FaultPlan { faults }, SimSpan::from_hours(1));
    let (journal, _) = plan.expect("no circle").run(1, 0, Journal::<Event, Observation>::new());
    let count = |is: fn(&Observation) -> bool| {
        journal.observations().iter().filter(|record| is(&record.observation)).count()
    };
    let is_drained = count(|seen| matches!(seen, Observation::NodeDrained { .. })) > 0;
    (is_drained, count(|seen| matches!(seen, Observation::PrimaryPromoted { .. })))
}

#[test]
fn a_drain_waits_for_a_primary_until_another_instance_is_one() {
    let with = |instances: u32, has_budgets: bool| {
        let mut blueprint = archiving(1 << 20, 1 << 40);
        blueprint.workloads[1].replicas = instances;
        blueprint.databases[0].instances = instances;
        blueprint.databases[0].has_budgets = has_budgets;
        drained(blueprint)
    };
    assert_eq!(with(3, true), (true, 1));
    // A single instance is nowhere to be moved, and its budget lets nobody evict it.
    assert_eq!(with(1, true), (false, 0));
    assert_eq!(with(1, false), (true, 0));
}

/// The zone of the primary, as every run begins.
fn primary_zone(blueprint: &Blueprint) -> u32 {
    let mut simulation = simulation(blueprint.clone(), Vec::new());
    assert!(simulation.run_until(SimTime::from_secs(10)).is_complete());
    let world = simulation.model();
    let pod = world.databases().primary_pod(DATABASE).expect("it was placed");
    world.cluster().pod(pod).zone.expect("it runs").0
}

fn told(simulation: &Sim, is_it: impl Fn(&Observation) -> bool) -> Vec<u64> {
    let records = simulation.recorder().observations().iter();
    records.filter(|record| is_it(&record.observation)).map(|record| record.at.as_secs()).collect()
}

#[test]
fn a_database_that_is_switched_off_by_annotation_is_off_and_nobody_minds() {
    let run = |change: fn(&mut Blueprint)| {
        let mut blueprint = archiving(1 << 20, 1 << 40);
        let zone = primary_zone(&blueprint);
        change(&mut blueprint);
        let mut simulation = simulation(blueprint, vec![zone_loss(zone, 600, Some(600))]);
        assert!(simulation.run_until(SimTime::from_secs(3_600)).is_complete());
        let resumed = told(&simulation, |seen| matches!(seen, Observation::WritesResumed { .. }));
        // Besides the start of the run.
        let resumed: Vec<u64> = resumed.into_iter().filter(|at| *at > 0).collect();
        let failovers = told(&simulation, |seen| {
            let is_begun = matches!(seen, Observation::FailoverStarted { .. });
            is_begun || matches!(seen, Observation::PrimaryPromoted { .. })
        });
        let is_writable = simulation.model().databases().is_writable(DATABASE);
        (is_writable, resumed.len(), failovers.len())
    };
    // The zone of the primary is lost: one that is awake fails over.
    assert_eq!(run(|_| {}), (true, 1, 2));
    let hibernated = run(|blueprint| {
        blueprint.databases[0].is_hibernated = true;
        blueprint.workloads[1].replicas = 0;
    });
    assert_eq!(hibernated, (false, 0, 0));
    assert_eq!(run(|blueprint| blueprint.databases[0].fenced = vec![0, 1, 2]), (false, 0, 0));
    // Left alone, its primary gets a new pod with its zone, and nobody leads the Service there.
    assert_eq!(run(|blueprint| blueprint.databases[0].is_left_alone = true), (false, 0, 0));
}

#[test]
fn log_that_an_old_primary_had_not_archived_is_missing_until_it_is_back() {
    let is_stranded = |seen: &Observation| matches!(seen, Observation::Backup(BackupFact::LogStranded { segment_count, .. }) if *segment_count > 200);
    let zone = primary_zone(&archiving(1 << 20, 1 << 40));
    for back_after in [Some(1_200), None] {
        // An hour of log waits when the zone of the primary is lost.
        let faults = vec![broken(600, 6_000), zone_loss(zone, 4_200, back_after)];
        let mut simulation = simulation(archiving(1 << 20, 1 << 40), faults);
        assert!(simulation.run_until(SimTime::from_secs(20_000)).is_complete());
        assert_eq!(told(&simulation, is_stranded).len(), 1);
    }
    // Who stored everything leaves a segment that was on its way at most.
    let mut simulation =
        simulation(archiving(1 << 20, 1 << 40), vec![zone_loss(zone, 4_200, None)]);
    assert!(simulation.run_until(SimTime::from_secs(20_000)).is_complete());
    assert_eq!(told(&simulation, is_stranded), Vec::<u64>::new());
}

/// The database with a pooler before it, of which any pods will do: what counts are its logins.
fn pooled() -> Blueprint {
    let mut blueprint = archiving(1 << 20, 1 << 40);
    blueprint.databases[0].switchover_delay = SimSpan::from_hours(1);
    blueprint.poolers.push(Pooler {
        namespace: "shop".to_owned(),
        name: "pool".to_owned(),
        database: DATABASE,
        workload: WorkloadId(0),
        service: ServiceId(0),
        instances: 2,
        login_retry: SimSpan::from_secs(15),
        pool_size: 20,
        client_max: 100,
        ..Pooler::default()
    });
    blueprint
}

#[test]
fn a_pooler_comes_back_at_a_try_of_its_own() {
    let returned = |secs: u64| {
        let mut blueprint = pooled();
        blueprint.poolers[0].login_retry = SimSpan::from_secs(secs);
        let action = FaultKind::Action(Action::Switchover { database: DATABASE, to: None });
        let start = Start::At(SimTime::from_secs(600));
        let mut simulation = simulation(blueprint, vec![fault("move", action, start, None)]);
        assert!(simulation.run_until(SimTime::from_secs(1_200)).is_complete());
        let fails = |wanted: u32| {
            let is_it = move |seen: &Observation| matches!(seen, Observation::PoolerFails { failing_ppm, .. } if *failing_ppm == wanted);
            told(&simulation, is_it)
        };
        assert_eq!(fails(1_000_000), [600]);
        let promoted =
            told(&simulation, |seen| matches!(seen, Observation::PrimaryPromoted { .. }));
        (fails(0)[0], promoted[0])
    };
    // Both pods tried when their connections broke, and try again every 15 s from then on.
    let (back, promoted) = returned(15);
    assert_eq!((back - 600) % 15, 0, "{back}");
    assert!(back >= promoted && back <= promoted + 15, "{promoted} {back}");
    let (back, promoted) = returned(1);
    assert!(back <= promoted + 4, "{promoted} {back}");
}

/// What becomes of requests for a pooler that is paused for 30 s from 600 s on, while its primary hands
/// over: times and shares in percent.
fn paused(change: impl FnOnce(&mut Blueprint)) -> Vec<(u64, u32)> {
    let hand_over = FaultKind::Action(Action::Switchover { database: DATABASE, to: None });
    paused_while(change, |at| vec![pause(600), fault("move", hand_over, at(602), None)])
}

/// A pause of 30 s.
fn pause(at_secs: u64) -> Fault {
    let pause = FaultKind::Action(Action::PausePooler { pooler: PoolerId(0) });
    fault("pause", pause, Start::At(SimTime::from_secs(at_secs)), Some(30))
}

/// The same of other faults.
fn paused_while(
    change: impl FnOnce(&mut Blueprint),
    faults: impl FnOnce(fn(u64) -> Start) -> Vec<Fault>,
) -> Vec<(u64, u32)> {
    let mut blueprint = pooled();
    blueprint.poolers[0].wait_max = Some(SimSpan::from_secs(120));
    change(&mut blueprint);
    let at = |secs| Start::At(SimTime::from_secs(secs));
    let mut simulation = simulation(blueprint, faults(at));
    assert!(simulation.run_until(SimTime::from_secs(1_200)).is_complete());
    let records = simulation.recorder().observations().iter();
    let told = records.filter_map(|record| match record.observation {
        Observation::PoolerFails { failing_ppm, .. } => {
            Some((record.at.as_nanos() / 1_000_000_000, failing_ppm / 10_000))
        }
        _ => None,
    });
    told.collect()
}

#[test]
fn a_pause_that_callers_can_bear_turns_nobody_away() {
    assert_eq!(paused(|_| ()), [], "and no login failed, so that none is put off");
    let impatient = |town: &mut Blueprint| town.poolers[0].wait_max = Some(SimSpan::from_secs(10));
    assert_eq!(paused(impatient), [(600, 100), (620, 0)]);
    let caller = |town: &mut Blueprint| town.loads[0].client.timeout = Some(SimSpan::from_secs(5));
    assert_eq!(paused(caller), [(600, 100), (625, 0)]);
}

#[test]
fn a_pause_ends_what_it_began() {
    let impatient = |town: &mut Blueprint| town.poolers[0].wait_max = Some(SimSpan::from_secs(10));
    let twice = paused_while(impatient, |_| vec![pause(600), pause(615)]);
    assert_eq!(twice, [(600, 100), (635, 0)], "the last pause is over at 645 s");
    let by_manifest = |town: &mut Blueprint| {
        town.poolers[0].is_paused = true;
        impatient(town);
    };
    assert_eq!(paused_while(by_manifest, |_| vec![pause(600)]), [(0, 100)]);
    let without_api = |at: fn(u64) -> Start| {
        let outage = FaultKind::ControlPlane(ControlPlaneFault::ApiOutage);
        vec![pause(600), fault("api", outage, at(625), Some(40))]
    };
    let late = paused_while(impatient, without_api);
    assert_eq!(late, [(600, 100), (620, 0), (630, 100), (665, 0)], "nobody could end it in time");
}

#[test]
fn readers_fail_only_while_no_standby_answers() {
    let fails = |zones: &[u32], leads_to: PoolerTarget| {
        let mut blueprint = pooled();
        blueprint.poolers[0].leads_to = leads_to;
        let losses = zones.iter().map(|zone| zone_loss(*zone, 600, Some(600))).collect();
        let mut simulation = simulation(blueprint, losses);
        assert!(simulation.run_until(SimTime::from_secs(3_000)).is_complete());
        let is_it = |seen: &Observation| {
            matches!(seen, Observation::PoolerFails { failing_ppm: 1_000_000, .. })
        };
        !told(&simulation, is_it).is_empty()
    };
    let primary = primary_zone(&archiving(1 << 20, 1 << 40));
    let others: Vec<u32> = (0..3).filter(|zone| *zone != primary).collect();
    assert!(!fails(&others[..1], PoolerTarget::Standbys));
    assert!(fails(&others, PoolerTarget::Standbys));
    assert!(!fails(&others, PoolerTarget::Any));
}
