//! What gateways know of pods: how late, and without those that checks find unhealthy.

use std::sync::Arc;

use model_api::gateway::{ActiveChecks, Gateway, GatewayUpstream};
use model_api::kube::Service;
use model_api::{Blueprint, Observation, Origin, PodId, ServiceId, WorkloadId};
use model_gateway::{GatewayEvent, Gateways, Known, PodState};
use sim_kernel::{
    Context, Journal, Limits, Model, Priority, Recorder, SimSpan, SimTime, Simulation, Streams,
};

#[derive(Clone, Copy, Debug)]
enum Act {
    /// Proxies route to the pods below this number.
    Routed(u32),
    Pod(u32, PodState),
    Controller(bool),
}

#[derive(Clone, Copy, Debug, Hash)]
enum WorldEvent {
    Gateway(GatewayEvent),
    Step(u32),
}

impl From<GatewayEvent> for WorldEvent {
    fn from(event: GatewayEvent) -> Self {
        Self::Gateway(event)
    }
}

#[derive(Clone)]
struct World {
    gateways: Gateways,
    script: Arc<Vec<Act>>,
    known: Vec<(f64, Known)>,
}

impl Model for World {
    type Event = WorldEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: WorldEvent,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        match event {
            WorldEvent::Gateway(event) => self.gateways.handle(event, ctx),
            WorldEvent::Step(idx) => match self.script[idx as usize] {
                Act::Routed(count) => self.gateways.set_routed(0, (0..count).map(PodId), ctx),
                Act::Pod(pod, state) => self.gateways.set_pod(0, PodId(pod), state, 10_000, ctx),
                Act::Controller(works) => self.gateways.set_controller(0, works, ctx),
            },
        }
        let (at, known) = (ctx.now().as_secs_f64(), &mut self.known);
        self.gateways.take_known(ctx, |_, _, now| known.push((at, now)));
    }
}

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
    let world = World {
        gateways: Gateways::new(&Arc::new(blueprint), Streams::new(3, 0)),
        script: Arc::new(script.iter().map(|&(_, act)| act).collect()),
        known: Vec::new(),
    };
    let mut sim = Simulation::new(world, Journal::new(), Limits::default());
    for (idx, &(at, _)) in (0_u32..).zip(script) {
        sim.schedule_at(SimTime::from_secs(at), Priority::NORMAL, WorldEvent::Step(idx));
    }
    assert!(sim.run_until(SimTime::from_secs(10_000)).is_complete());
    sim.into_parts().0.known
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
