//! What gateways know of pods: how late, and without those that checks find unhealthy.

use model_api::gateway::{ActiveChecks, Gateway, GatewayUpstream};
use model_api::kube::Service;
use model_api::{Blueprint, Origin, ServiceId, WorkloadId};
use model_gateway::{Known, PodState};
use sim_kernel::SimSpan;

use crate::world::{Act, World};

fn run(active: ActiveChecks, passive_timeouts: u32, script: &[(u64, Act)]) -> Vec<(f64, Known)> {
    let upstream = GatewayUpstream {
        connect_timeout: SimSpan::from_secs(2),
        active,
        passive_timeouts,
        ..GatewayUpstream::of(ServiceId(1))
    };
    let gateway = Gateway {
        service: ServiceId(0),
        controller: Some(WorkloadId(0)),
        database: None,
        poll_period: Gateway::POLL_PERIOD,
        workloads: Vec::new(),
        sync_period: Gateway::SYNC_PERIOD,
        update_period: Gateway::UPDATE_PERIOD,
        upstreams: vec![upstream],
        origin: Origin::default(),
    };
    let blueprint = Blueprint {
        services: vec![Service::default(), Service::default()],
        gateways: vec![gateway],
        ..Blueprint::default()
    };
    World::play(blueprint, 3, script).known
}

const fn known(live_count: u32, silent_count: u32) -> Known {
    Known { live_count, silent_count }
}

/// When it was first like this, from `from` on.
fn first(seen: &[(f64, Known)], from: f64, wanted: Known) -> f64 {
    let found = seen.iter().find(|(at, known)| *at >= from && *known == wanted);
    found.unwrap_or_else(|| panic!("never {wanted:?}: {seen:?}")).0
}

#[test]
fn a_list_is_as_late_as_the_controller_and_the_workers() {
    let seen = run(ActiveChecks::default(), 0, &[(0, Act::Routed(6)), (100, Act::Routed(4))]);
    assert_eq!(seen[0], (0.0, known(6, 0)));
    let late = first(&seen, 100.0, known(4, 0)) - 100.0;
    assert!((0.0..=8.0).contains(&late), "{late}");
    let script = [
        (0, Act::Routed(6)),
        (90, Act::Controller(false)),
        (100, Act::Routed(4)),
        (400, Act::Controller(true)),
    ];
    let late = first(&run(ActiveChecks::default(), 0, &script), 100.0, known(4, 0)) - 100.0;
    assert!((300.0..=308.0).contains(&late), "{late}");
}

#[test]
fn checks_take_silent_pods_off_and_let_them_back() {
    let secs = SimSpan::from_secs;
    let active = ActiveChecks {
        healthy_interval: secs(5),
        unhealthy_interval: secs(10),
        timeout: secs(1),
        timeouts: 2,
        successes: 1,
    };
    let script = [
        (0, Act::Routed(3)),
        (100, Act::Pod(0, PodState::Silent)),
        (200, Act::Pod(0, PodState::Live)),
    ];
    let span = |seen: &[(f64, Known)], from: f64, wanted| first(seen, from, wanted) - from;
    let seen = run(active, 0, &script);
    let found = span(&seen, 100.0, known(2, 0));
    assert!((6.0..=11.0).contains(&found), "{found}");
    let back = span(&seen, 200.0, known(3, 0));
    assert!((0.0..=10.0).contains(&back), "{back}");
    // Ten requests a second, each of which takes two seconds to time out.
    let passive = run(ActiveChecks::default(), 5, &script);
    assert!((span(&passive, 100.0, known(2, 0)) - 2.5).abs() < 1e-6);
    assert_eq!(passive.last().expect("it knows some").1, known(2, 0), "nobody lets it back");
    let blind = run(ActiveChecks::default(), 0, &script);
    assert_eq!(first(&blind, 100.0, known(2, 1)), 100.0);
    assert_eq!(first(&blind, 101.0, known(3, 0)), 200.0);
}

#[test]
fn who_refuses_is_passed_over() {
    let script = [(0, Act::Routed(2)), (10, Act::Pod(1, PodState::Refusing))];
    let seen = run(ActiveChecks::default(), 0, &script);
    assert_eq!(seen.last().expect("it knows some").1, known(1, 0));
}
