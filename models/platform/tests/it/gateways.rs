//! Gateways whose pods need somebody to be ready, and the names that lead to them.

use model_api::action::Action;
use model_api::dns::{Answers, ClusterDns, DnsName, Found, RecordCheck};
use model_api::fault::{Fault, FaultKind, Start};
use model_api::gateway::{Gateway, GatewayUpstream};
use model_api::kube::{Probe, ProbeHandler};
use model_api::limiter::{Counters, LimitBy, Limiter, Period, Store};
use model_api::load::Clients;
use model_api::{Blueprint, Observation, Origin, PodId, ServiceId, SimSpan, SimTime, WorkloadId};
use platform::Event;

use crate::{fault, flows, run, small, web, zone_loss};

const GATEWAY: WorkloadId = WorkloadId(1);
const CONTROLLER: WorkloadId = WorkloadId(2);

/// The shop behind a gateway with a controller of its own.
fn behind_gateway() -> Blueprint {
    let mut blueprint = small();
    let gateway = web(&mut blueprint, "gateway", 3);
    web(&mut blueprint, "controller", 1);
    blueprint.loads.truncate(1);
    blueprint.loads[0].via = Some(gateway);
    let container = &mut blueprint.workloads[GATEWAY.index()].template.spec.containers[0];
    container.readiness = Some(Probe {
        handler: ProbeHandler::HttpGet,
        port: None,
        initial_delay: SimSpan::ZERO,
        period: SimSpan::from_secs(10),
        timeout: SimSpan::from_secs(1),
        success_threshold: 1,
        failure_threshold: 3,
        termination_grace: None,
    });
    blueprint.gateways.push(Gateway {
        service: gateway,
        controller: Some(CONTROLLER),
        database: None,
        poll_period: Gateway::POLL_PERIOD,
        workloads: vec![GATEWAY],
        sync_period: Gateway::SYNC_PERIOD,
        update_period: Gateway::UPDATE_PERIOD,
        upstreams: vec![GatewayUpstream::of(ServiceId(0))],
        origin: Origin::default(),
    });
    blueprint
}

fn at(name: &str, kind: FaultKind, secs: u64, lasts_secs: Option<u64>) -> Fault {
    fault(name, kind, Start::At(SimTime::from_secs(secs)), lasts_secs)
}

/// The controller is scaled away for a while.
fn without_controller() -> Fault {
    let scale = Action::Scale { workload: CONTROLLER, replicas: 0 };
    at("scale", FaultKind::Action(scale), 300, Some(900))
}

/// When pods of the gateway became ready after their containers crashed at 600 s.
fn ready_at(faults: Vec<Fault>) -> Vec<(PodId, f64)> {
    let crash = FaultKind::PodCrash { workload: GATEWAY, count: None };
    let journal = run(behind_gateway(), [faults, vec![at("crash", crash, 600, None)]].concat(), 3);
    let ready = journal.observations().iter().filter_map(|record| match record.observation {
        Observation::PodBecameReady { pod, workload: GATEWAY } => {
            Some((pod, record.at.as_secs_f64()))
        }
        _ => None,
    });
    ready.filter(|(_, at)| *at > 600.0).collect()
}

#[test]
fn pods_that_start_without_a_controller_are_ready_when_it_is_back() {
    let with = ready_at(Vec::new());
    assert_eq!(with.len(), 3, "{with:?}");
    assert!(with.iter().all(|(_, at)| *at < 660.0), "{with:?}");
    let without = ready_at(vec![without_controller()]);
    assert_eq!(without.len(), 3, "{without:?}");
    // It is scaled up again at 1200 s, and probes come every ten seconds.
    assert!(without.iter().all(|(_, at)| (1200.0..1300.0).contains(at)), "{without:?}");
}

#[test]
fn a_name_leads_away_from_a_gateway_without_pods() {
    let mut blueprint = behind_gateway();
    let other = web(&mut blueprint, "other", 2);
    blueprint.loads.truncate(1);
    let whole = blueprint.loads[0].clone();
    blueprint.loads = [ServiceId(1), other]
        .into_iter()
        .enumerate()
        .map(|(record, entrance)| {
            let found = Some(Found { name: 0, record, keeps: false });
            let clients = Clients { found, ..Clients::default() };
            model_api::load::Load { via: Some(entrance), clients, ..whole.clone() }
        })
        .collect();
    blueprint.names.push(DnsName {
        name: "shop.example".to_owned(),
        records: vec![ServiceId(1), other],
        answers: Answers::First,
        ttl: SimSpan::from_secs(60),
        negative_ttl: SimSpan::from_secs(5),
        keeping_ppm: 0,
        kept_for: None,
        check: Some(RecordCheck::default()),
        origin: Origin::default(),
    });
    let scale = Action::Scale { workload: GATEWAY, replicas: 0 };
    let journal = run(blueprint, vec![at("scale", FaultKind::Action(scale), 300, None)], 1);
    let shop = flows(&journal, 0);
    let served_at = |secs: u64| {
        let at = SimTime::from_secs(secs);
        let found = shop.iter().find(|(it, _)| it.from <= at && at < it.until);
        found.map(|(it, _)| it.served_from_millirps).expect("flows have no gaps")
    };
    assert_eq!(served_at(200), 90_000);
    assert_eq!(served_at(340), 0);
    // Found down after 70 to 100 s, and learned by all within a minute of that.
    assert_eq!(served_at(500), 90_000);
}

#[test]
fn questions_to_pods_of_a_lost_zone_are_lost_until_proxies_know_it() {
    let served = |looks_up: bool| {
        let mut blueprint = small();
        let stock = web(&mut blueprint, "stock", 3);
        let dns = web(&mut blueprint, "dns", 3);
        blueprint.loads.truncate(1);
        blueprint.profiles[0].depends_on = vec![stock];
        blueprint.cluster_dns = looks_up.then(|| ClusterDns {
            service: dns,
            kept_for: SimSpan::ZERO,
            connecting_ppm: 1_000_000,
            latency: SimSpan::ZERO,
            question_count: 1,
            gives_up_after: SimSpan::from_secs(10),
            origin: Origin::default(),
        });
        let journal = run(blueprint, vec![zone_loss(0, 300, None)], 1);
        [200_u64, 310, 900].map(|secs| {
            let at = SimTime::from_secs(secs);
            let shop = flows(&journal, 0);
            let found = shop.iter().find(|(it, _)| it.from <= at && at < it.until);
            found.map(|(it, _)| it.served_from_millirps).expect("flows have no gaps") as f64
        })
    };
    let (by_name, by_address) = (served(true), served(false));
    let parts = [0, 1, 2].map(|at: usize| by_name[at] / by_address[at]);
    // A third of the pods of the DNS says nothing, and each request looks the stock up.
    let wanted = [1.0, 2.0 / 3.0, 1.0];
    for (part, wanted) in parts.iter().zip(wanted) {
        assert!((part - wanted).abs() < 0.01, "{parts:?}: {by_name:?} {by_address:?}");
    }
}

/// Of the shop at some instants: what is served of what is asked, and the time without waiting that it takes
/// besides, in milliseconds.
fn seen_at(journal: &sim_kernel::Journal<Event, Observation>, all: [u64; 3]) -> [(f64, f64); 3] {
    let shop = flows(journal, 0);
    all.map(|secs| {
        let at = SimTime::from_secs(secs);
        let found = shop.iter().find(|(it, _)| it.from <= at && at < it.until);
        let (it, _) = found.expect("flows have no gaps");
        let served = it.served_from_millirps as f64 / it.offered_from_millirps as f64;
        (served, f64::from(it.late_ppm) / 1e6 * it.late_by_ns as f64 / 1e6)
    })
}

#[test]
fn slow_dns_delays_calls_by_each_question_and_loses_them_where_resolvers_give_up() {
    let seen = |millis: u64| {
        let mut blueprint = small();
        let stock = web(&mut blueprint, "stock", 3);
        let dns = web(&mut blueprint, "dns", 3);
        blueprint.loads.truncate(1);
        blueprint.profiles[0].depends_on = vec![stock];
        blueprint.cluster_dns = Some(ClusterDns {
            service: dns,
            kept_for: SimSpan::ZERO,
            connecting_ppm: 1_000_000,
            latency: SimSpan::from_millis(1),
            question_count: 4,
            gives_up_after: SimSpan::from_secs(10),
            origin: Origin::default(),
        });
        let slow = FaultKind::SlowDns { latency: SimSpan::from_millis(millis) };
        seen_at(&run(blueprint, vec![at("slow", slow, 300, Some(300))], 1), [200, 400, 900])
    };
    let [before, meanwhile, after] = seen(60);
    assert_eq!(before, after);
    assert!((before.0 - 1.0).abs() < 1e-9 && (before.1 - 4.0).abs() < 0.01, "{before:?}");
    assert!((meanwhile.0 - 1.0).abs() < 1e-9 && (meanwhile.1 - 240.0).abs() < 0.1, "{meanwhile:?}");
    let [before, meanwhile, after] = seen(12_000);
    assert!(before.0 > 0.99 && meanwhile.0 < 1e-9 && after.0 > 0.99, "{meanwhile:?}");
}

#[test]
fn who_opens_a_connection_to_a_store_meets_pods_of_it_that_are_dead() {
    let seen = |connecting_ppm: u32, is_fault_tolerant: bool| {
        let mut blueprint = behind_gateway();
        let redis = web(&mut blueprint, "redis", 3);
        blueprint.limiters.push(Limiter {
            name: "limit".into(),
            gateway: ServiceId(1),
            service: None,
            tenant: None,
            limits: vec![(Period::Second, 100_000)],
            by: LimitBy::Service,
            counters: Counters::Shared {
                store: Some(Store::Service(redis)),
                timeout: Limiter::STORE_TIMEOUT,
                sync_every: None,
                counts_refused: true,
            },
            connecting_ppm,
            is_fault_tolerant,
            origin: Origin::default(),
        });
        // A zone is lost without a word, and a pod of the Redis with it.
        seen_at(&run(blueprint, vec![zone_loss(0, 300, None)], 1), [200, 310, 900])
    };
    let [_, kept, _] = seen(0, false);
    let [before, refused, after] = seen(300_000, false);
    // A tenth more than those that the lost gateway and shop lose in any case.
    assert!((refused.0 / kept.0 - 0.9).abs() < 0.01, "{refused:?} {kept:?}");
    assert!(before.0 > 0.99 && after.0 > 0.99, "{before:?} {after:?}");
    let [_, late, _] = seen(300_000, true);
    assert!((late.0 / kept.0 - 1.0).abs() < 0.01, "{late:?} {kept:?}");
}
