//! Load balancers: what they hear of nodes and zones, and where they lead requests to.

use model_api::{BalancerId, NodeId, Observation, ZoneId};
use model_gateway::{Balancers, GatewayEvent, ZoneState};
use model_load::Entrance;
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// The balancers, and what they were told.
#[derive(Clone, Debug)]
pub(super) struct GatewayState {
    balancers: Balancers,
    /// By node: whether it answers; `None` where there is none.
    nodes: Vec<Option<bool>>,
}

impl GatewayState {
    pub(super) fn new(balancers: Balancers) -> Self {
        Self { balancers, nodes: Vec::new() }
    }
}

impl World {
    /// Tells balancers what became of nodes, and flows where balancers lead to.
    pub(super) fn tell_balancers<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.gateways.balancers.is_empty() {
            return;
        }
        self.gateways.nodes.resize(self.blueprint.nodes.len(), None);
        for (idx, spec) in self.blueprint.nodes.iter().enumerate() {
            // The label `node.kubernetes.io/exclude-from-external-load-balancers` of kubeadm.
            if spec.is_control_plane {
                continue;
            }
            let node = NodeId::from_index(idx);
            let has_machine = self.cluster.has_machine(node);
            let answers = has_machine.then(|| self.cluster.is_reachable(node));
            if std::mem::replace(&mut self.gateways.nodes[idx], answers) != answers {
                self.gateways.balancers.set_node(node, answers, ctx);
            }
        }
        let (blueprint, flows) = (&self.blueprint, &mut self.flows);
        self.gateways.balancers.take_led(ctx, |balancer, led| {
            let service = blueprint.balancers[balancer.index()].service;
            let entrance = Entrance {
                is_answering: led.is_answering,
                member_count: led.member_count,
                silent_count: led.silent_count,
            };
            flows.set_entrance(service, entrance);
        });
    }

    /// Tells balancers what of each zone is there.
    pub(super) fn tell_balancers_zones<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.gateways.balancers.is_empty() {
            return;
        }
        for zone in (0..self.blueprint.zones.len()).map(ZoneId::from_index) {
            let state = match (self.book.is_dark(zone), self.book.is_isolated(zone)) {
                (true, _) => ZoneState::Dark,
                (false, true) => ZoneState::CutOff,
                (false, false) => ZoneState::Up,
            };
            self.gateways.balancers.set_zone(zone, state, ctx);
        }
    }

    /// Takes machines of a balancer away; returns how many.
    pub(super) fn lose_balancer_machines<R: Recorder<Observation>>(
        &mut self,
        balancer: BalancerId,
        takes_standby: bool,
        ctx: &mut Context<'_, Event, R>,
    ) -> u32 {
        self.gateways.balancers.lose_machines(balancer, takes_standby, ctx)
    }

    pub(super) fn handle_gateway<R: Recorder<Observation>>(
        &mut self,
        event: GatewayEvent,
        ctx: &mut Context<'_, Event, R>,
    ) {
        self.gateways.balancers.handle(event, ctx);
    }
}
