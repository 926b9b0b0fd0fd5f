//! Gateways whose pods need somebody to be ready, and the names that lead to them.

use model_api::action::Action;
use model_api::dns::{Answers, ClusterDns, DnsName, Found, RecordCheck};
use model_api::fault::{Fault, FaultKind, Start};
use model_api::gateway::{Gateway, GatewayUpstream};
use model_api::kube::{Probe, ProbeHandler};
use model_api::load::Clients;
use model_api::{Blueprint, Observation, Origin, PodId, ServiceId, SimSpan, SimTime, WorkloadId};

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
