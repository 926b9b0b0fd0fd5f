//! Balancers and gateways with a script, and what they led to.

use std::sync::Arc;

use model_api::dns::DnsFault;
use model_api::{BalancerId, Blueprint, NodeId, Observation, PodId, ZoneId};
use model_gateway::{
    Answer, Balancers, GatewayEvent, Gateways, Known, Led, Names, PodState, ZoneState,
};
use sim_kernel::{
    Context, Journal, Limits, Model, Priority, Recorder, SimTime, Simulation, Streams,
};

/// What a script can do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Node(u32, Option<bool>),
    Zone(u32, ZoneState),
    Machines(bool),
    /// The cloud's control plane answers, or does not.
    Cloud(bool),
    /// Proxies route to the pods below this number.
    Routed(u32),
    Pod(u32, PodState),
    Controller(bool),
    /// Of the first name: a record, and whether its entrance answers.
    Record(usize, bool),
    NameFault(Option<DnsFault>),
}

#[derive(Clone, Copy, Debug, Hash)]
pub(crate) enum WorldEvent {
    Gateway(GatewayEvent),
    Step(u32),
}

impl From<GatewayEvent> for WorldEvent {
    fn from(event: GatewayEvent) -> Self {
        Self::Gateway(event)
    }
}

#[derive(Clone)]
pub(crate) struct World {
    balancers: Balancers,
    gateways: Gateways,
    names: Names,
    script: Arc<Vec<Act>>,
    /// When balancers led elsewhere, in seconds.
    pub(crate) led: Vec<(f64, Led)>,
    /// When gateways knew other pods, in seconds.
    pub(crate) known: Vec<(f64, Known)>,
    /// When names answered otherwise, in seconds.
    pub(crate) answers: Vec<(f64, Answer)>,
}

impl World {
    /// Plays a script, whose acts are at their seconds, for as long as anything may come of it.
    pub(crate) fn play(blueprint: Blueprint, seed: u64, script: &[(u64, Act)]) -> Self {
        let (blueprint, streams) = (Arc::new(blueprint), Streams::new(seed, 0));
        let world = Self {
            balancers: Balancers::new(&blueprint, streams),
            gateways: Gateways::new(&blueprint, streams),
            names: Names::new(&blueprint, streams),
            script: Arc::new(script.iter().map(|&(_, act)| act).collect()),
            led: Vec::new(),
            known: Vec::new(),
            answers: Vec::new(),
        };
        let mut sim = Simulation::new(world, Journal::new(), Limits::default());
        for (idx, &(at, _)) in (0_u32..).zip(script) {
            sim.schedule_at(SimTime::from_secs(at), Priority::NORMAL, WorldEvent::Step(idx));
        }
        assert!(sim.run_until(SimTime::from_secs(100_000)).is_complete());
        sim.into_parts().0
    }
}

impl Model for World {
    type Event = WorldEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: WorldEvent,
        ctx: &mut Context<'_, WorldEvent, R>,
    ) {
        let (balancers, gateways) = (&mut self.balancers, &mut self.gateways);
        let names = &mut self.names;
        match event {
            WorldEvent::Gateway(event) => {
                balancers.handle(event, ctx);
                gateways.handle(event, ctx);
                names.handle(event, ctx);
            }
            WorldEvent::Step(idx) => match self.script[idx as usize] {
                Act::Node(node, answers) => balancers.set_node(NodeId(node), answers, ctx),
                Act::Zone(zone, state) => balancers.set_zone(ZoneId(zone), state, ctx),
                Act::Machines(both) => {
                    balancers.lose_machines(BalancerId(0), both, ctx);
                }
                Act::Cloud(answers) => balancers.set_cloud_available(answers, ctx),
                Act::Routed(count) => gateways.set_routed(0, (0..count).map(PodId), ctx),
                Act::Pod(pod, state) => gateways.set_pod(0, PodId(pod), state, 10_000, ctx),
                Act::Controller(works) => gateways.set_controller(0, works, ctx),
                Act::Record(record, answers) => names.set_record((0, record), answers, ctx),
                Act::NameFault(fault) => names.set_fault(0, fault),
            },
        }
        let (at, led, known) = (ctx.now().as_secs_f64(), &mut self.led, &mut self.known);
        balancers.take_led(ctx, |_, now| led.push((at, now)));
        gateways.take_known(ctx, |_, _, now| known.push((at, now)));
        let answers = &mut self.answers;
        names.take_answers(ctx, |_, answer| answers.push((at, answer.clone())));
    }
}
