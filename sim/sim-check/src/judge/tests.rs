use model_api::backup::{DataSet, DisasterClass};
use model_api::blueprint::Writes;
use model_api::fault::{Fault, FaultKind, FaultPlan, Start, ZonePick};
use model_api::kube::Service;
use model_api::{DataSetId, DatabaseId, FaultId, Observation, Origin, ServiceId};
use sim_kernel::{EventId, Recorder as _};

use super::*;
use crate::fixture::segment;
use crate::measures::{Monitor, Subjects};

const MINUTE: SimSpan = SimSpan::from_mins(1);

fn at(minute: u64) -> SimTime {
    SimTime::ZERO + MINUTE * minute
}

fn guarantee(promise: Promise, share_ppm: Option<u32>) -> Guarantee {
    let (name, text) = ("g".to_owned(), "g".to_owned());
    Guarantee { name, text, promise, share_ppm, origin: Origin::default() }
}

fn rto(comparison: Comparison, minutes: u64) -> Promise {
    let limit = Limit { comparison, value: MINUTE * minutes };
    Promise::Rto { subject: Subject::Service(ServiceId(0)), limit }
}

/// An hour in which nothing is answered between two minutes, and a fault struck at the first.
fn run(promise: &Promise, out: (u64, u64)) -> (Blueprint, RunMeasures) {
    run_until(promise, out, None)
}

/// The same, with a fault that is over at a minute.
fn run_until(promise: &Promise, out: (u64, u64), over: Option<u64>) -> (Blueprint, RunMeasures) {
    let mut blueprint = Blueprint::default();
    blueprint.services.push(Service::default());
    let kind = FaultKind::ZonePowerLoss { zone: ZonePick::Random };
    let start = Start::At(at(out.0));
    let fault =
        Fault { name: "f".to_owned(), kind, start, duration: None, origin: Origin::default() };
    let plan = FaultPlan { faults: vec![fault] };
    let guarantees = [guarantee(promise.clone(), None)];
    let subjects = Subjects::new(&blueprint, &plan, &guarantees);
    let mut monitor = Monitor::new(&subjects);
    let mut see = |time, seen| monitor.observe(time, EventId::NONE, seen);
    see(at(out.0), Observation::FaultStruck { fault: FaultId(0), targets: 1 });
    for (from, until, served) in [(0, out.0, 10_000), (out.0, out.1, 0), (out.1, 60, 10_000)] {
        if until > from {
            let flow = segment((at(from), at(until)), [10_000; 2], [served; 2]);
            let flow = model_api::observation::FlowSegment { until: at(until), ..flow };
            see(at(until), Observation::Flow(flow));
        }
    }
    if let Some(over) = over {
        see(at(over), Observation::FaultEnded { fault: FaultId(0) });
    }
    let measures = monitor.finish(at(60));
    (blueprint, measures)
}

/// The verdict over runs with these outages.
fn verdict(promise: &Promise, share_ppm: Option<u32>, outages: &[(u64, u64)]) -> Verdict {
    let runs: Vec<_> = outages.iter().map(|out| run(promise, *out)).collect();
    let measures: Vec<RunMeasures> = runs.iter().map(|(_, measures)| measures.clone()).collect();
    judge(&guarantee(promise.clone(), share_ppm), &measures, &runs[0].0).verdict
}

#[test]
fn an_outage_that_the_end_cuts_off_is_no_recovery() {
    let within = rto(Comparison::LessOrEqual, 5);
    let cases = [
        ((10, 14), Verdict::Held),
        ((10, 20), Verdict::Violated),
        // Nothing shows yet that this lasts at most five minutes.
        ((58, 60), Verdict::Inconclusive),
        // This has lasted longer already.
        ((50, 60), Verdict::Violated),
    ];
    for (outage, expected) in cases {
        assert_eq!(verdict(&within, None, &[outage]), expected, "{outage:?}");
    }
}

#[test]
fn a_service_that_is_lost_with_all_who_ask_is_not_known_to_be_back() {
    let within = rto(Comparison::LessOrEqual, 15);
    let cases = [
        ((true, false), Verdict::Inconclusive),
        ((true, true), Verdict::Held),
        ((false, false), Verdict::Held),
    ];
    for ((is_dead, is_asked), expected) in cases {
        let found = judged(&within, |_, measures| {
            (measures.services[0].is_dead, measures.services[0].is_asked) = (is_dead, is_asked);
        });
        assert_eq!(found.verdict, expected, "dead {is_dead}, asked {is_asked}");
    }
}

#[test]
fn what_a_limit_refused_is_lost_unless_only_what_was_admitted_counts() {
    let mut measures = run(&rto(Comparison::LessOrEqual, 5), (10, 20)).1;
    // A sixth is lost, half of it to a limit.
    measures.services[0].limited = measures.services[0].offered / 12;
    for (admitted_only, wanted) in [(false, 833_333), (true, 909_090)] {
        let limit = Limit { comparison: Comparison::GreaterOrEqual, value: 0 };
        let (service, clients) = (ServiceId(0), None);
        let promise = Promise::Availability { service, clients, admitted_only, limit };
        assert_eq!(measure(&promise, &measures), (RunVerdict::Held, Some(wanted)));
    }
}

#[test]
fn runs_that_end_too_early_count_either_way() {
    let within = rto(Comparison::LessOrEqual, 5);
    let of = |held: usize, violated: usize, open: usize| {
        let mut outages = vec![(10, 12); held];
        outages.extend(vec![(10, 20); violated]);
        outages.extend(vec![(58, 60); open]);
        verdict(&within, Some(950_000), &outages)
    };
    assert_eq!(of(200, 0, 0), Verdict::Held);
    assert_eq!(of(200, 0, 1), Verdict::Held, "whatever that one would have become");
    assert_eq!(of(100, 0, 100), Verdict::Inconclusive);
    assert_eq!(of(10, 90, 1), Verdict::Violated);
    assert_eq!(of(0, 0, 40), Verdict::Inconclusive);
}

#[test]
fn a_goodput_need_not_be_back_before_its_time() {
    let returns = |minutes| Promise::Returns {
        service: ServiceId(0),
        to_ppm: 950_000,
        within: MINUTE * minutes,
        after_end: false,
    };
    assert_eq!(verdict(&returns(20), None, &[(50, 60)]), Verdict::Inconclusive);
    assert_eq!(verdict(&returns(5), None, &[(50, 60)]), Verdict::Violated);
    assert_eq!(verdict(&returns(5), None, &[(50, 52)]), Verdict::Held);
}

#[test]
fn a_return_counts_from_the_end_of_faults_where_it_says_so() {
    let returns = |after_end| {
        let within = MINUTE * 5;
        Promise::Returns { service: ServiceId(0), to_ppm: 950_000, within, after_end }
    };
    let cases = [
        // Away while the fault lasts and for two minutes more.
        ((10, 32), Some(30), false, Verdict::Violated),
        ((10, 32), Some(30), true, Verdict::Held),
        // What the fault left behind stays for longer.
        ((10, 40), Some(30), true, Verdict::Violated),
        // One that never ends counts from its beginning.
        ((10, 32), None, true, Verdict::Violated),
        ((10, 14), None, true, Verdict::Held),
        // The run ends before it had to be back.
        ((10, 60), Some(58), true, Verdict::Inconclusive),
    ];
    for (out, over, after_end, expected) in cases {
        let promise = returns(after_end);
        let (blueprint, measures) = run_until(&promise, out, over);
        let judged = judge(&guarantee(promise, None), &[measures], &blueprint);
        assert_eq!(judged.verdict, expected, "{out:?} {over:?} {after_end}");
    }
}

/// Pods that no model makes serve nobody, which says nothing of the platform.
#[test]
fn what_comes_of_pods_of_strange_kinds_is_not_known() {
    let promise = rto(Comparison::LessOrEqual, 1);
    let (mut blueprint, measures) = run(&promise, (10, 40));
    let judged =
        judge(&guarantee(promise.clone(), None), std::slice::from_ref(&measures), &blueprint);
    assert_eq!(judged.verdict, Verdict::Violated);
    blueprint.services[0].strange_source = Some("Rollout shop/web".to_owned());
    let judged = judge(&guarantee(promise, None), &[measures], &blueprint);
    assert_eq!(judged.verdict, Verdict::NotModelled);
    assert!(judged.reason.contains("Rollout shop/web"), "{}", judged.reason);
}

/// A database that only follows another: its promises are not judged, nor those of who writes to it.
#[test]
fn what_comes_of_a_database_with_strange_fields_is_not_known() {
    let of_service = rto(Comparison::LessOrEqual, 1);
    let (mut blueprint, measures) = run(&of_service, (10, 40));
    let writes = Writes { service: ServiceId(0), share_ppm: 1_000_000 };
    blueprint.databases = vec![Database {
        namespace: "shop".to_owned(),
        name: "db".to_owned(),
        not_modelled: Some("spec.replica".to_owned()),
        writers: vec![writes],
        ..Database::default()
    }];
    let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE };
    let database = DatabaseId(0);
    let promises = [
        of_service,
        Promise::Rpo { database, limit },
        Promise::Rto { subject: Subject::Database(database), limit },
        Promise::Never(Predicate::TwoWritablePrimaries(None)),
    ];
    for promise in promises {
        let text = format!("{promise:?}");
        let judged = judge(&guarantee(promise, None), std::slice::from_ref(&measures), &blueprint);
        assert_eq!(judged.verdict, Verdict::NotModelled, "{text}");
        assert!(judged.reason.contains("`spec.replica` of shop/db"), "{}", judged.reason);
    }
}

/// What was not put to the test did not hold, and was not broken either.
#[test]
fn nothing_is_shown_of_what_is_not_there() {
    let returns = Promise::Returns {
        service: ServiceId(0),
        to_ppm: 950_000,
        within: MINUTE * 20,
        after_end: false,
    };
    let (blueprint, mut measures) = run(&returns, (10, 12));
    measures.faults.clear();
    let of = |promise: Promise, measures: &RunMeasures, blueprint: &Blueprint| {
        judge(&guarantee(promise, None), std::slice::from_ref(measures), blueprint)
    };
    let judged = of(returns, &measures, &blueprint);
    assert_eq!(judged.verdict, Verdict::Vacuous, "{}", judged.reason);

    for predicate in [Predicate::TwoWritablePrimaries(None), Predicate::DataLost(None)] {
        let never = Promise::Never(predicate);
        let (mut blueprint, measures) = run(&never, (10, 12));
        let judged = of(never.clone(), &measures, &blueprint);
        assert_eq!(judged.verdict, Verdict::Vacuous);
        assert!(judged.reason.starts_with("the platform has no database"), "{}", judged.reason);
        blueprint.databases.push(Database::default());
        let judged = of(never, &measures, &blueprint);
        assert_eq!(judged.verdict, Verdict::Held);
        assert!(judged.reason.starts_with("held in 1 of 1 runs"), "{}", judged.reason);
    }
}

#[test]
fn writes_that_have_not_resumed_are_no_recovery() {
    let promise = Promise::Rto {
        subject: Subject::Database(DatabaseId(0)),
        limit: Limit { comparison: Comparison::LessOrEqual, value: MINUTE },
    };
    let (blueprint, mut measures) = run(&promise, (10, 11));
    let mut of = |seconds, is_writable_at_end| {
        measures.databases = vec![crate::DatabaseMeasures {
            write_outage_max: SimSpan::from_secs(seconds),
            write_outage_count: 1,
            is_writable_at_end,
            ..Default::default()
        }];
        judge(&guarantee(promise.clone(), None), std::slice::from_ref(&measures), &blueprint)
            .verdict
    };
    assert_eq!(of(55, true), Verdict::Held);
    assert_eq!(of(55, false), Verdict::Inconclusive);
    assert_eq!(of(65, false), Verdict::Violated);
}

#[test]
fn how_long_two_instances_took_writes_is_summed_up() {
    let mut blueprint = Blueprint::default();
    blueprint.databases.push(Database::default());
    let subjects = Subjects::new(&blueprint, &FaultPlan::default(), &[]);
    let mut monitor = Monitor::new(&subjects);
    for (minute, count) in [(0, 1), (10, 2), (12, 2), (15, 1), (20, 0), (30, 3), (31, 1), (58, 2)] {
        let seen = Observation::WritablePrimaries { database: DatabaseId(0), count };
        monitor.observe(at(minute), EventId::NONE, seen);
    }
    let measures = monitor.finish(at(60)).databases[0];
    assert_eq!((measures.split_max, measures.split_sum), (MINUTE * 5, MINUTE * 8));
}

#[test]
fn what_starts_from_nothing_is_known_whatever_a_run_does() {
    use model_api::black_start::{StartCircle, StartFrom};
    use model_api::kube::{PodTemplate, Workload, WorkloadKind};
    let (mut blueprint, measures) = run(&rto(Comparison::LessOrEqual, 5), (10, 20));
    for name in ["engine", "network"] {
        blueprint.workloads.push(Workload {
            kind: WorkloadKind::Pod,
            namespace: "n".to_owned(),
            name: name.to_owned(),
            replicas: 1,
            selector: None,
            min_ready: SimSpan::ZERO,
            template: PodTemplate::default(),
            origin: Origin::default(),
        });
    }
    let judged = |circles: Vec<StartCircle>| {
        let promise = Promise::StartsFrom { from: StartFrom::Etcd, circles };
        let found = judge(&guarantee(promise, None), std::slice::from_ref(&measures), &blueprint);
        (found.verdict, found.reason)
    };
    assert_eq!(judged(Vec::new()).0, Verdict::Held);
    let circle = StartCircle {
        members: [0, 1].map(model_api::WorkloadId::from_index).to_vec(),
        because: vec!["n/engine needs n/network".into(), "n/network needs n/engine".into()],
        steps: vec!["delete it".into()],
        is_smallest: true,
    };
    let (verdict, reason) = judged(vec![circle]);
    assert_eq!(verdict, Verdict::Violated);
    assert_eq!(
        reason,
        "n/engine, n/network need each other to start on new nodes: n/engine needs n/network, n/network needs \
         n/engine; the smallest step that breaks it by hand: delete it"
    );
}

/// The verdict on one run whose figures are changed.
fn judged(
    promise: &Promise,
    change: impl FnOnce(&mut Blueprint, &mut RunMeasures),
) -> GuaranteeJudgement {
    let (mut blueprint, mut measures) = run(promise, (10, 20));
    change(&mut blueprint, &mut measures);
    judge(&guarantee(promise.clone(), None), &[measures], &blueprint)
}

#[test]
fn what_is_broken_is_violated_whatever_was_hit() {
    let available = |value| Promise::Availability {
        service: ServiceId(0),
        clients: None,
        admitted_only: false,
        limit: Limit { comparison: Comparison::GreaterOrEqual, value },
    };
    let hit_nothing = |_: &mut Blueprint, measures: &mut RunMeasures| {
        measures.faults[0].as_mut().expect("it struck").targets = 0;
    };
    let broken = judged(&available(990_000), hit_nothing);
    assert_eq!((broken.verdict, broken.judged_count), (Verdict::Violated, 1));
    assert_eq!(broken.values, [Some(833_333)]);
    let kept = judged(&available(500_000), hit_nothing);
    assert_eq!((kept.verdict, kept.judged_count), (Verdict::Vacuous, 0));
    // What never happened where nothing was hit could not happen.
    let sometimes = judged(&Promise::Sometimes(Predicate::QuorumLost), hit_nothing);
    assert_eq!(sometimes.verdict, Verdict::Vacuous);
}

/// An upgrade that kubelets are too old for was begun, and is never complete.
#[test]
fn an_action_that_is_refused_is_not_kept() {
    let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE };
    let promise = Promise::Completes { fault: FaultId(0), limit };
    for (is_refused, verdict) in [(true, Verdict::Violated), (false, Verdict::Vacuous)] {
        let found = judged(&promise, |_, measures| {
            let fault = measures.faults[0].as_mut().expect("it struck");
            (fault.targets, fault.is_refused) = (0, is_refused);
        });
        assert_eq!(found.verdict, verdict, "{}", found.reason);
    }
}

fn rpo(minutes: u64) -> Promise {
    let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE * minutes };
    Promise::Rpo { database: DatabaseId(0), limit }
}

#[test]
fn data_that_nothing_brings_back_is_lost_without_bound() {
    let lost = |span, is_loss_open| crate::DatabaseMeasures {
        lost_span_max: span,
        lost_count: u32::from(!span.is_zero()),
        is_loss_open,
        ..Default::default()
    };
    let cases = [
        (lost(SimSpan::MAX, false), Verdict::Violated, Some(i64::MAX)),
        (lost(MINUTE * 20, false), Verdict::Held, Some(1_200_000_000_000)),
        // It is not back yet, and nobody knows what will be.
        (lost(MINUTE * 20, true), Verdict::Inconclusive, Some(1_200_000_000_000)),
        (lost(MINUTE * 40, true), Verdict::Violated, Some(2_400_000_000_000)),
        (lost(SimSpan::ZERO, true), Verdict::Inconclusive, Some(0)),
        (lost(SimSpan::ZERO, false), Verdict::Vacuous, None),
    ];
    for (seen, verdict, value) in cases {
        let found = judged(&rpo(30), |_, measures| measures.databases = vec![seen]);
        assert_eq!((found.verdict, &found.values[..]), (verdict, &[value][..]), "{seen:?}");
    }
}

#[test]
fn a_database_that_was_not_hit_shows_neither_rto_nor_rpo() {
    let rto = Promise::Rto {
        subject: Subject::Database(DatabaseId(0)),
        limit: Limit { comparison: Comparison::LessOrEqual, value: MINUTE },
    };
    let hit = crate::DatabaseMeasures {
        write_outage_max: SimSpan::from_secs(20),
        write_outage_count: 1,
        is_writable_at_end: true,
        ..Default::default()
    };
    for promise in [rto, rpo(0)] {
        let (blueprint, measures) = run(&promise, (10, 11));
        let with = |seen| RunMeasures { databases: vec![seen], ..measures.clone() };
        let runs = [with(hit), with(crate::DatabaseMeasures::default()), with(hit)];
        let found = judge(&guarantee(promise, None), &runs, &blueprint);
        assert_eq!((found.verdict, found.judged_count), (Verdict::Held, 2));
        assert!(found.reason.contains("not counted are 1 of 3 runs"), "{}", found.reason);
    }
}

#[test]
fn a_database_that_no_run_stops_has_withstood_what_struck() {
    let rto = Promise::Rto {
        subject: Subject::Database(DatabaseId(0)),
        limit: Limit { comparison: Comparison::LessOrEqual, value: MINUTE },
    };
    for (promise, targets, verdict) in
        [(&rto, 1, Verdict::Held), (&rto, 0, Verdict::Vacuous), (&rpo(0), 1, Verdict::Vacuous)]
    {
        let found = judged(promise, |_, measures| {
            measures.databases = vec![crate::DatabaseMeasures::default()];
            measures.faults[0].as_mut().expect("it struck").targets = targets;
        });
        assert_eq!(found.verdict, verdict, "{promise:?} {targets}");
    }
}

#[test]
fn the_end_of_a_run_shows_nothing_of_pods_that_would_still_be_evicted() {
    let workload = model_api::WorkloadId(3);
    let cases = [
        (Predicate::PodEvicted(None), Verdict::Inconclusive),
        (Predicate::PodEvicted(Some(workload)), Verdict::Inconclusive),
        (Predicate::PodUnschedulable(None), Verdict::Inconclusive),
        (Predicate::PodEvicted(Some(model_api::WorkloadId(0))), Verdict::Held),
        (Predicate::QuorumLost, Verdict::Held),
    ];
    for (predicate, verdict) in cases {
        let never = Promise::Never(predicate);
        let found = judged(&never, |_, measures| {
            measures.evictions_pending.insert(workload);
        });
        assert_eq!(found.verdict, verdict, "{never:?}");
    }
}

#[test]
fn actions_that_are_never_done_are_counted() {
    let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE * 5 };
    let promise = Promise::Completes { fault: FaultId(0), limit };
    let (blueprint, measures) = run(&promise, (10, 11));
    let done = |after: Option<u64>| {
        let mut measures = measures.clone();
        let fault = measures.faults[0].as_mut().expect("it struck");
        fault.completed_at = after.map(|minutes| fault.at + MINUTE * minutes);
        measures
    };
    let runs = [done(Some(2)), done(None), done(Some(9)), done(None)];
    let found = judge(&guarantee(promise, None), &runs, &blueprint);
    let reason = "broken in 3 of 4 runs; in 2 of 4 runs it never came";
    assert_eq!((found.verdict, found.reason.as_str()), (Verdict::Violated, reason));
}

/// A service that answers nobody in the dark (from minute 10 to 20), and not from one minute to another.
fn in_the_dark(promise: &Promise, away: (u64, u64)) -> Verdict {
    let (mut blueprint, _) = run(promise, (10, 20));
    blueprint.zones = vec![model_api::blueprint::Zone::default(); 2];
    let subjects =
        Subjects::new(&blueprint, &FaultPlan::default(), &[guarantee(promise.clone(), None)]);
    let mut monitor = Monitor::new(&subjects);
    let mut see = |minute, seen| monitor.observe(at(minute), EventId::NONE, seen);
    let zones = [0, 1].map(model_api::ZoneId);
    see(5, Observation::ZoneLost { zone: zones[0], is_isolated: false });
    see(10, Observation::ZoneLost { zone: zones[1], is_isolated: false });
    for zone in zones {
        see(20, Observation::ZoneRestored { zone });
    }
    for pair in [0, away.0, away.1, 60].windows(2).filter(|pair| pair[1] > pair[0]) {
        let served = if pair[0] == away.0 { 0 } else { 10_000 };
        let flow = segment((at(pair[0]), at(pair[1])), [10_000; 2], [served; 2]);
        see(pair[1], Observation::Flow(flow));
    }
    let ready = |ready_count| Observation::EndpointsChanged {
        service: ServiceId(0),
        ready_count,
        live_count: 0,
    };
    see(away.0, ready(0));
    judge(&guarantee(promise.clone(), None), &[monitor.finish(at(60))], &blueprint).verdict
}

#[test]
fn only_the_dark_is_unwinnable() {
    let at_least = |value| Limit { comparison: Comparison::GreaterOrEqual, value };
    let available = Promise::Availability {
        service: ServiceId(0),
        clients: None,
        admitted_only: false,
        limit: at_least(900_000),
    };
    let in_windows = Promise::AvailabilityIn {
        service: ServiceId(0),
        window: MINUTE * 30,
        limit: at_least(900_000),
    };
    let endpoints = Promise::Never(Predicate::NoEndpoints(ServiceId(0)));
    let burn = Promise::BudgetBurn {
        service: ServiceId(0),
        objective_ppm: 900_000,
        period: MINUTE * 60,
        limit: Limit { comparison: Comparison::LessOrEqual, value: 1_500_000 },
    };
    let unwinnable = Verdict::Unwinnable;
    let cases: [(&Promise, (u64, u64), Verdict); 9] = [
        // Ten minutes of sixty are more than the tenth that may fail.
        (&available, (10, 20), unwinnable),
        (&in_windows, (10, 20), unwinnable),
        (&burn, (10, 20), unwinnable),
        (&rto(Comparison::LessOrEqual, 5), (10, 25), unwinnable),
        // Power was away for ten minutes: whatever is longer is not for want of it.
        (&rto(Comparison::LessOrEqual, 12), (10, 25), Verdict::Violated),
        (&rto(Comparison::LessOrEqual, 5), (30, 50), Verdict::Violated),
        (&endpoints, (10, 20), unwinnable),
        // A zone was left then.
        (&endpoints, (6, 20), Verdict::Violated),
        (&endpoints, (30, 50), Verdict::Violated),
    ];
    for (promise, away, verdict) in cases {
        assert_eq!(in_the_dark(promise, away), verdict, "{promise:?} {away:?}");
    }
}

/// The verdict about the time to be back from a disaster that was exposed so.
fn back_from(class: DisasterClass, kind: DataSetKind, seen: crate::Exposure) -> (Verdict, String) {
    let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE };
    let promise = DataPromise::Back { class, limit };
    let promise = Promise::Data { data_set: DataSetId(0), promise };
    let (mut blueprint, mut measures) = run(&promise, (10, 11));
    let name = "shop/orders".to_owned();
    let data_set = DataSet { name, kind, ..crate::fixture::data_set() };
    blueprint.protection.data_sets.push(data_set);
    let mut data = crate::DataMeasures::default();
    data.exposures[class as usize] = Some(seen);
    measures.data = vec![data];
    let found = judge(&guarantee(promise, None), &[measures], &blueprint);
    (found.verdict, found.reason)
}

#[test]
fn a_live_copy_that_takes_over_is_not_back_at_once() {
    let seen = |minutes: u64, takes_over| crate::Exposure {
        loss_max: SimSpan::ZERO,
        loss_max_at: SimTime::ZERO,
        back_max: MINUTE * minutes,
        back_max_at: SimTime::ZERO,
        back_slack: SimSpan::ZERO,
        is_loss_bound: false,
        loss_sure: SimSpan::ZERO,
        takes_over,
    };
    use DisasterClass as Class;
    let (database, volumes) =
        (DataSetKind::Database(DatabaseId(0)), DataSetKind::Volumes(model_api::WorkloadId(0)));
    let cases = [
        (Class::Zone, database, seen(0, true), Verdict::Inconclusive, "zonePowerLoss"),
        (Class::Node, database, seen(0, true), Verdict::Inconclusive, "nodeCrash"),
        (Class::Zone, database, seen(2, true), Verdict::Violated, ""),
        (Class::Zone, database, seen(1, false), Verdict::Held, ""),
        (Class::Region, database, seen(1, false), Verdict::Held, ""),
        (Class::Region, volumes, seen(1, false), Verdict::Inconclusive, "pods"),
        (Class::Region, volumes, seen(2, false), Verdict::Violated, ""),
        (Class::Zone, volumes, seen(1, false), Verdict::Held, ""),
    ];
    for (class, kind, seen, verdict, word) in cases {
        let (found, reason) = back_from(class, kind, seen);
        assert_eq!(found, verdict, "{class:?} {kind:?} {seen:?}: {reason}");
        assert!(reason.contains(word) && !reason.contains("longer horizon"), "{reason}");
    }
}

/// What was found by trying holds with what may come between two strikes.
#[test]
fn strikes_that_were_tried_may_leave_a_promise_open() {
    let secs = SimSpan::from_secs;
    for (longest, slack, verdict) in [
        (secs(55), secs(2), Verdict::Held),
        (secs(59), secs(2), Verdict::Inconclusive),
        (secs(59), SimSpan::MAX, Verdict::Inconclusive),
        (secs(61), SimSpan::MAX, Verdict::Violated),
    ] {
        let seen = crate::Exposure {
            loss_max: SimSpan::ZERO,
            loss_max_at: SimTime::ZERO,
            back_max: SimSpan::ZERO,
            back_max_at: SimTime::ZERO,
            back_slack: SimSpan::ZERO,
            is_loss_bound: false,
            loss_sure: SimSpan::ZERO,
            takes_over: true,
        };
        let mut data = crate::DataMeasures::default();
        data.exposures[DisasterClass::Zone as usize] = Some(seen);
        data.note_takeover(DisasterClass::Zone, (longest, SimTime::ZERO), slack);
        let seen = data.exposures[DisasterClass::Zone as usize].expect("it was put there");
        let kind = DataSetKind::Database(DatabaseId(0));
        let (found, reason) = back_from(DisasterClass::Zone, kind, seen);
        assert_eq!(found, verdict, "{longest:?} {slack:?}: {reason}");
    }
}

/// A bound breaks a promise only where the least that is lost does, and holds it only where the most does.
#[test]
fn a_bound_of_a_loss_is_judged_by_both_of_its_ends() {
    let secs = SimSpan::from_secs;
    for (least, most, verdict) in [
        (0, 0, Verdict::Held),
        (0, 60, Verdict::Held),
        (0, 61, Verdict::Inconclusive),
        (60, 61, Verdict::Inconclusive),
        (61, 61, Verdict::Violated),
        (61, 90, Verdict::Violated),
    ] {
        let seen = crate::Exposure {
            loss_max: secs(most),
            loss_max_at: SimTime::ZERO,
            back_max: SimSpan::ZERO,
            back_max_at: SimTime::ZERO,
            back_slack: SimSpan::ZERO,
            is_loss_bound: least < most,
            loss_sure: secs(least),
            takes_over: false,
        };
        let limit = Limit { comparison: Comparison::LessOrEqual, value: MINUTE };
        let promise = DataPromise::Loss { class: DisasterClass::Zone, limit };
        let promise = Promise::Data { data_set: DataSetId(0), promise };
        let (mut blueprint, mut measures) = run(&promise, (10, 11));
        blueprint.protection.data_sets.push(crate::fixture::data_set());
        let mut data = crate::DataMeasures::default();
        data.exposures[DisasterClass::Zone as usize] = Some(seen);
        measures.data = vec![data];
        let found = judge(&guarantee(promise, None), &[measures], &blueprint);
        assert_eq!(found.verdict, verdict, "{least} {most}: {}", found.reason);
    }
}
