//! Load balancers and gateways: what they hear of nodes, zones and pods, and where they lead requests
//! to.

use model_api::{BalancerId, NodeId, Observation, PodId, ServiceId, ZoneId};
use model_gateway::{Balancers, GatewayEvent, Gateways, Known, PodState, ZoneState};
use model_load::{Choice, Entrance};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// The balancers, and what they were told.
#[derive(Clone, Debug)]
pub(super) struct GatewayState {
    pub(super) balancers: Balancers,
    gateways: Gateways,
    /// By node: whether it answers; `None` where there is none.
    nodes: Vec<Option<bool>>,
    /// By balancer: somebody answered at its address.
    answered: Vec<bool>,
}

impl GatewayState {
    pub(super) fn new(balancers: Balancers, gateways: Gateways) -> Self {
        let answered = vec![true; balancers.count()];
        Self { balancers, gateways, nodes: Vec::new(), answered }
    }
}

impl World {
    /// Tells balancers what became of nodes.
    pub(super) fn tell_balancers_nodes<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.gateways.balancers.is_empty() {
            return;
        }
        self.gateways.nodes.resize(self.blueprint.nodes.len(), None);
        for idx in 0..self.blueprint.nodes.len() {
            let answers = self.answers(idx);
            if std::mem::replace(&mut self.gateways.nodes[idx], answers) != answers {
                self.gateways.balancers.set_node(NodeId::from_index(idx), answers, ctx);
            }
        }
    }

    pub(super) fn do_balancers_know_nodes(&self) -> bool {
        self.gateways.nodes.iter().enumerate().all(|(idx, known)| *known == self.answers(idx))
    }

    /// Whether a node that balancers may lead to answers; `None` where there is none.
    fn answers(&self, idx: usize) -> Option<bool> {
        let node = NodeId::from_index(idx);
        // The label `node.kubernetes.io/exclude-from-external-load-balancers` of kubeadm.
        let is_member =
            !self.blueprint.nodes[idx].is_control_plane && self.cluster.has_machine(node);
        is_member.then(|| self.cluster.is_reachable(node))
    }

    /// Tells flows where balancers lead to.
    pub(super) fn tell_led<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        if self.gateways.balancers.is_empty() {
            return;
        }
        let (blueprint, flows) = (&self.blueprint, &mut self.flows);
        let (mut turned, mut came_back) = (Vec::new(), Vec::new());
        self.gateways.balancers.take_led(ctx, |balancer, led| {
            let service = blueprint.balancers[balancer.index()].service;
            let entrance = Entrance {
                is_answering: led.is_answering,
                member_count: led.member_count,
                silent_count: led.silent_count,
            };
            flows.set_entrance(service, entrance);
            turned.push((balancer, service, led.is_answering));
        });
        for (balancer, service, is_answering) in turned {
            let answered = &mut self.gateways.answered[balancer.index()];
            if is_answering && !std::mem::replace(answered, is_answering) {
                came_back.push(service);
            }
            *answered = is_answering;
            if blueprint.services[service.index()].is_local_from_outside() {
                let mut fronts = vec![false; blueprint.nodes.len()];
                for node in self.gateways.balancers.fronts(balancer) {
                    fronts[node.index()] = true;
                }
                flows.set_fronts(service, &fronts);
            }
        }
        for service in came_back {
            if self.lose_connections(service) {
                self.tell_flows(service, ctx);
            }
        }
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
        self.gateways.gateways.handle(event, ctx);
    }

    /// Tells gateways which pods are routed to and what became of those that they choose from, and flows
    /// what they choose from.
    pub(super) fn tell_gateways<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if self.gateways.gateways.is_empty() {
            return;
        }
        for (idx, gateway) in self.blueprint.gateways.iter().enumerate() {
            if let Some(controller) = gateway.controller {
                let mut pods = self.cluster.pods_of(controller).iter();
                let works = pods.any(|pod| {
                    let view = self.cluster.pod(*pod);
                    view.is_ready && view.is_live
                });
                self.gateways.gateways.set_controller(idx, works, ctx);
            }
        }
        let upstreams: Vec<(ServiceId, ServiceId)> = self.gateways.gateways.upstreams().collect();
        for (idx, (gateway, service)) in upstreams.into_iter().enumerate() {
            let routed = self.cluster.routes(service).iter().map(|route| route.pod);
            self.gateways.gateways.set_routed(idx, routed, ctx);
            let targets: Vec<PodId> = self.gateways.gateways.targets(idx).collect();
            let rate = self.rate_of_a_pod(gateway, service, targets.len());
            for pod in targets {
                let state = self.pod_state(pod);
                self.gateways.gateways.set_pod(idx, pod, state, rate, ctx);
            }
        }
        let flows = &mut self.flows;
        self.gateways.gateways.take_known(ctx, |gateway, service, known| {
            let Known { live_count, silent_count } = known;
            flows.set_choice(gateway, service, Choice { live_count, silent_count });
        });
    }

    /// Requests per 1000 s that each of so many pods gets from one pod of a gateway.
    fn rate_of_a_pod(&self, gateway: ServiceId, service: ServiceId, pod_count: usize) -> u64 {
        let traffic = self.flows.traffic(service);
        let asked = traffic.map_or(0, |traffic| traffic.offered_millirps.0);
        let gateways = self.cluster.routes(gateway).len().max(1);
        asked / (gateways as u64 * pod_count.max(1) as u64)
    }

    /// What a pod does with connections of a gateway.
    fn pod_state(&self, pod: PodId) -> PodState {
        let view = self.cluster.pod(pod);
        match view.node {
            _ if view.is_live => PodState::Live,
            Some(node) if !self.cluster.is_reachable(node) => PodState::Silent,
            _ => PodState::Refusing,
        }
    }
}
