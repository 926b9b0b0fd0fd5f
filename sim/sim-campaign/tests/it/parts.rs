//! What an outage was spent on, of a database and of a Service: the parts are the whole, whatever happens.

use model_api::action::{Action, Fenced};
use model_api::blueprint::{Database, PrimaryUpdate, Synchronous};
use model_api::fault::{
    Fault, FaultKind, FaultPlan, InstanceFault, InstanceHarm, InstancePick, NodePick, Start,
    ZonePick,
};
use model_api::kube::{LabelSelector, Labels, Service, Workload, WorkloadKind};
use model_api::{
    Blueprint, DatabaseId, Observation, Origin, ServiceId, SimSpan, SimTime, WorkloadId, ZoneId,
};
use platform::Plan;
use proptest::prelude::*;
use sim_check::{Monitor, Story, Subjects};
use sim_kernel::Journal;

use crate::town;

const DATABASE: DatabaseId = DatabaseId(0);

/// The town with a database of three instances that its Service writes to.
fn blueprint(synchronous: Option<Synchronous>, primary_update: PrimaryUpdate) -> Blueprint {
    let mut town = town::blueprint();
    let own: Labels = [("db".to_owned(), "orders".to_owned())].into_iter().collect();
    let mut instances = Workload {
        kind: WorkloadKind::DatabaseInstances,
        name: "orders".to_owned(),
        replicas: 3,
        selector: Some(LabelSelector { match_labels: own.clone(), ..LabelSelector::default() }),
        ..town.workloads[0].clone()
    };
    instances.template.labels.clone_from(&own);
    town.workloads.push(instances);
    for name in ["orders-rw", "orders-ro"] {
        town.services.push(Service {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            selector: own.clone(),
            ..Service::default()
        });
    }
    town.databases.push(Database {
        namespace: "shop".to_owned(),
        name: "orders".to_owned(),
        workload: WorkloadId(1),
        read_write_service: ServiceId(1),
        read_only_service: ServiceId(2),
        instances: 3,
        synchronous,
        primary_update,
        smart_shutdown: SimSpan::from_secs(30),
        switchover_delay: SimSpan::from_hours(1),
        has_isolation_check: true,
        wal_bytes_per_second: 1 << 20,
        commits_per_second: 100,
        session_count: 97,
        ..Database::default()
    });
    town.profiles[0].writes_to.push(DATABASE);
    town
}

fn any_harm() -> impl Strategy<Value = (InstancePick, InstanceHarm)> {
    let whom = prop_oneof![
        Just(InstancePick::Primary),
        Just(InstancePick::Standby),
        (0_u8..3).prop_map(InstancePick::Instance),
    ];
    let harms = [InstanceHarm::VolumeDestroyed, InstanceHarm::Frozen, InstanceHarm::HeldBack];
    (whom, prop::sample::select(harms.to_vec()))
}

fn any_kind() -> impl Strategy<Value = FaultKind> {
    let zone = (0_u32..3).prop_map(|zone| ZonePick::Zone(ZoneId(zone)));
    prop_oneof![
        zone.clone().prop_map(|zone| FaultKind::ZonePowerLoss { zone }),
        zone.prop_map(|zone| FaultKind::ZoneIsolation { zone }),
        Just(FaultKind::NodeCrash { node: NodePick::Of(WorkloadId(1)) }),
        Just(FaultKind::PodCrash { workload: WorkloadId(1), count: Some(1) }),
        any_harm().prop_map(|(whom, what)| {
            FaultKind::Instance(InstanceFault { database: DATABASE, whom, what })
        }),
        Just(FaultKind::Action(Action::Switchover { database: DATABASE, to: None })),
        Just(FaultKind::Action(Action::Fence { database: DATABASE, whom: Fenced::Primary })),
        any::<bool>().prop_map(|is_restart| {
            let mut template =
                blueprint(None, PrimaryUpdate::default()).workloads[1].template.clone();
            if is_restart {
                template.annotations.insert("restarted".to_owned(), "now".to_owned());
            } else {
                template.spec.containers[0].image = "registry/orders:2".to_owned();
            }
            FaultKind::Action(Action::Rollout {
                workload: WorkloadId(1),
                template: Box::new(template),
                is_broken: false,
                failing_ppm: 0,
                is_undone_when_stalled: false,
            })
        }),
    ]
}

fn any_faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = (any_kind(), 0_u64..1_800, prop::option::of(30_u64..1_200));
    let fault = fault.prop_map(|(kind, at, secs)| Fault {
        name: "something".to_owned(),
        kind,
        start: Start::At(SimTime::from_secs(at)),
        duration: secs.map(SimSpan::from_secs),
        origin: Origin::default(),
    });
    prop::collection::vec(fault, 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_a_write_outage_sum_to_what_is_measured(
        faults in any_faults(),
        number in 0_u32..3,
        is_required in any::<bool>(),
        (is_supervised, hands_over) in any::<(bool, bool)>(),
        seed in 0_u64..1_000,
    ) {
        let wish = Synchronous { number, is_any: true, is_required, failover_quorum: false };
        let update = PrimaryUpdate { is_supervised, hands_over };
        let blueprint = blueprint((number > 0).then_some(wish), update);
        let faults = FaultPlan { faults };
        let plan = Plan::new(blueprint, faults, SimSpan::from_hours(1)).expect("no circle");
        let subjects = Subjects::new(plan.blueprint(), plan.faults(), &[]);
        let (monitor, _) = plan.run(seed, 0, Monitor::new(&subjects));
        let measured = monitor.finish(plan.horizon()).databases[0].write_outage_max;
        let (journal, _): (Journal<_, Observation>, _) = plan.run(seed, 0, Journal::new());
        let story = Story::new(&journal, plan.blueprint(), plan.faults());
        let told = story.write_outage(0, DATABASE, plan.horizon());
        let sum = told.and_then(|told| told.outage_ns()).unwrap_or(0);
        prop_assert_eq!(sum, measured.as_nanos());
    }
}

/// A spike of the load of the town, and a zone that is lost; clients who wait for a while, and so much room
/// for their requests.
fn any_rush() -> impl Strategy<Value = (Blueprint, FaultPlan)> {
    let zone = prop::option::of((0_u32..3, 0_u64..200, 30_u64..900));
    (1_000_u64..40_000, 5_u64..120, 1_u64..60, 100_u32..4_000, zone).prop_map(
        |(factor_milli, length, patience, room, zone)| {
            let (mut town, mut faults) = town::crowded();
            town.profiles[0].serving.queue_limit = Some(room);
            town.loads[0].client.timeout = Some(SimSpan::from_secs(patience));
            let FaultKind::LoadSpike { factor_milli: factor, .. } = &mut faults.faults[0].kind
            else {
                unreachable!("it is a spike")
            };
            *factor = factor_milli;
            faults.faults[0].duration = Some(SimSpan::from_secs(length));
            faults.faults.extend(zone.map(|(zone, at, length)| Fault {
                name: "zone".to_owned(),
                kind: FaultKind::ZonePowerLoss { zone: ZonePick::Zone(ZoneId(zone)) },
                start: Start::At(SimTime::from_secs(at)),
                duration: Some(SimSpan::from_secs(length)),
                origin: Origin::default(),
            }));
            (town, faults)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parts_of_an_outage_sum_to_it_with_its_backlog((town, faults) in any_rush(), seed in 0_u64..1_000) {
        let plan = Plan::new(town, faults, SimSpan::from_mins(30)).expect("no circle");
        for (outage, told) in told_outages(&plan, seed) {
            prop_assert_eq!(told.outage_ns(), Some(outage.length().as_nanos()), "{:#?}", told);
            let backlog = told.outage_parts.iter().find(|it| it.part == report_data::Part::Backlog);
            let backlog = backlog.map_or(0, |part| part.length_ns);
            prop_assert_eq!(backlog, outage.backlog().as_nanos());
        }
    }
}

/// The outages of the Service of the town in a run, and what is told of each.
fn told_outages(plan: &Plan, seed: u64) -> Vec<(sim_check::Outage, report_data::Explanation)> {
    let subjects = Subjects::new(plan.blueprint(), plan.faults(), &[]);
    let (monitor, _) = plan.run(seed, 0, Monitor::new(&subjects));
    let outages = monitor.finish(plan.horizon()).services[0].outages.clone();
    let (journal, _): (Journal<_, Observation>, _) = plan.run(seed, 0, Journal::new());
    let story = Story::new(&journal, plan.blueprint(), plan.faults());
    let told = |it: sim_check::Outage| (it, story.outage(0, ServiceId(0), &it));
    outages.into_iter().map(told).collect()
}

/// Thirty times as many as ever fill the queues, and some are turned away; when it is over, those in the
/// queues are answered before the outage is.
#[test]
fn an_outage_by_a_spike_ends_when_what_piled_up_is_served() {
    let (mut town, mut faults) = town::crowded();
    town.loads[0].client.timeout = Some(SimSpan::from_secs(60));
    let FaultKind::LoadSpike { factor_milli, .. } = &mut faults.faults[0].kind else {
        unreachable!("it is a spike")
    };
    *factor_milli = 30_000;
    let plan = Plan::new(town, faults, SimSpan::from_mins(30)).expect("no circle");
    let told = told_outages(&plan, 1);
    let [(outage, told)] = told.as_slice() else { unreachable!("{told:#?}") };
    let secs = outage.backlog().as_secs_f64();
    assert!((6.0..11.0).contains(&secs), "{secs} s of {outage:?}");
    let is_last = told.steps.last().is_some_and(|it| it.text.contains("what piled up is served"));
    assert!(is_last, "{told:#?}");
}

#[test]
fn an_outage_by_dead_endpoints_lasts_until_their_nodes_are_found_silent() {
    let plan = town::losing(&[0]);
    let subjects = Subjects::new(plan.blueprint(), plan.faults(), &[]);
    let (monitor, _) = plan.run(1, 0, Monitor::new(&subjects));
    let measures = monitor.finish(plan.horizon());
    let outage = measures.services[0].longest_outage().expect("a third of the endpoints is dead");
    let (journal, _): (Journal<_, Observation>, _) = plan.run(1, 0, Journal::new());
    let story = Story::new(&journal, plan.blueprint(), plan.faults());
    let told = story.outage(0, ServiceId(0), outage);
    let at = |words: &str| told.steps.iter().position(|step| step.text.contains(words));
    let (silent, routed) =
        (at("silent").expect("told"), at("proxies route shop/web").expect("told"));
    assert!(silent < routed, "{told:#?}");
    assert!(told.steps.is_sorted_by_key(|step| step.at_ns), "{told:#?}");
    let detect = told.outage_parts.iter().find(|part| part.part == report_data::Part::Detect);
    let detect = detect.map_or(0, |part| part.length_ns);
    assert!(detect > SimSpan::from_secs(30).as_nanos(), "{told:#?}");
    assert_eq!(told.outage_ns(), Some(outage.length().as_nanos()));
}
