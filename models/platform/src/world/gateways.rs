//! Load balancers and gateways: what they hear of nodes, zones and pods, and where they lead requests
//! to.

use model_api::dns::{ClusterDns, DnsFault, Found};
use model_api::limiter::{Counters, Store, StoreSeen, StoreState};
use model_api::{BalancerId, FaultId, NodeId, Observation, PodId, ServiceId, ZoneId};
use model_gateway::{Answer, Balancers, GatewayEvent, Gateways, Known, Names, PodState, ZoneState};
use model_load::{Choice, Entrance, News};
use sim_kernel::{Context, Recorder, SimSpan};

use super::World;
use crate::event::Event;

/// The balancers, and what they were told.
#[derive(Clone, Debug)]
pub(super) struct GatewayState {
    pub(super) balancers: Balancers,
    gateways: Gateways,
    names: Names,
    /// By node: whether it answers; `None` where there is none.
    nodes: Vec<Option<bool>>,
    /// By limiter: what became of those who ask its store.
    stores: Vec<StoreSeen>,
    /// What becomes of pods that ask the DNS of the cluster.
    cluster_dns: DnsSeen,
    /// What makes it slow, and how long an answer takes then.
    pub(super) slow_dns: Vec<(FaultId, SimSpan)>,
    /// By balancer: somebody answered at its address.
    answered: Vec<bool>,
}

impl GatewayState {
    pub(super) fn new(balancers: Balancers, gateways: Gateways, names: Names) -> Self {
        Self {
            answered: vec![true; balancers.count()],
            balancers,
            gateways,
            names,
            nodes: Vec::new(),
            stores: Vec::new(),
            cluster_dns: DnsSeen::default(),
            slow_dns: Vec::new(),
        }
    }
}

/// What becomes of those who ask the DNS of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct DnsSeen {
    /// Of a thousand questions, those that get no answer.
    lost_milli: u64,
    /// Some of these hear nothing at all.
    is_silent: bool,
    /// How long a look-up takes.
    takes: SimSpan,
}

/// How many pods proxies lead to for a Service.
#[derive(Clone, Copy, Debug)]
struct RouteCounts {
    all: u64,
    /// Those that answer.
    live: u64,
    /// Those that say nothing; the others refuse.
    silent: u64,
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
            let answers = self.known_to_answer(idx);
            if std::mem::replace(&mut self.gateways.nodes[idx], answers) != answers {
                self.gateways.balancers.set_node(NodeId::from_index(idx), answers, ctx);
            }
        }
    }

    pub(super) fn do_balancers_know_nodes(&self) -> bool {
        let mut nodes = self.gateways.nodes.iter().enumerate();
        nodes.all(|(idx, known)| *known == self.known_to_answer(idx))
    }

    /// What balancers meet at a node: one that came or went while the cloud's control plane answered nothing
    /// is a member as it was before.
    fn known_to_answer(&self, idx: usize) -> Option<bool> {
        let answers = self.answers(idx);
        if self.cluster.is_cloud_available() {
            return answers;
        }
        let was_member = self.gateways.nodes.get(idx).copied().flatten().is_some();
        was_member.then(|| answers.unwrap_or(false))
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
        self.gateways.names.handle(event, ctx);
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
        let blueprint = std::sync::Arc::clone(&self.blueprint);
        for (idx, gateway) in blueprint.gateways.iter().enumerate() {
            if gateway.controller.is_none() && gateway.database.is_none() {
                continue;
            }
            let works = gateway.controller.is_none_or(|controller| {
                let mut pods = self.cluster.pods_of(controller).iter();
                pods.any(|pod| {
                    let view = self.cluster.pod(*pod);
                    view.is_ready && view.is_live && !self.cluster.is_api_client_cut(*pod)
                })
            });
            let has_database =
                gateway.database.is_none_or(|database| self.databases.is_writable(database));
            self.gateways.gateways.set_controller(idx, works && has_database, ctx);
            // A pod that starts asks the database, or whoever brings it all.
            let is_configured = if gateway.database.is_some() { has_database } else { works };
            for workload in &gateway.workloads {
                self.cluster.set_configured(*workload, is_configured, ctx);
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

    /// Tells names which of their entrances answer, and clients what they get to know.
    pub(super) fn tell_names<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, Event, R>) {
        if self.gateways.names.is_empty() {
            return;
        }
        let blueprint = std::sync::Arc::clone(&self.blueprint);
        for (name, spec) in blueprint.names.iter().enumerate() {
            for (record, service) in spec.records.iter().enumerate() {
                let answers = self.is_entered(*service);
                self.gateways.names.set_record((name, record), answers, ctx);
            }
        }
        let flows = &mut self.flows;
        self.gateways.names.take_answers(ctx, |name, answer| {
            let Answer { weights_milli, found_milli, is_silent, within, keeping_within } = answer;
            for (record, weight_milli) in weights_milli.iter().enumerate() {
                for (keeps, within) in [(false, Some(*within)), (true, *keeping_within)] {
                    let Some(within) = within else { continue };
                    let (weight_milli, found_milli) = (*weight_milli, *found_milli);
                    let news = News { weight_milli, found_milli, is_silent: *is_silent, within };
                    flows.hear(Found { name, record, keeps }, news);
                }
            }
        });
    }

    /// Whether somebody from outside who connects to a Service gets an answer.
    fn is_entered(&self, service: ServiceId) -> bool {
        let balancers = self.blueprint.balancers.iter();
        let before = balancers.enumerate().find(|(_, it)| it.service == service);
        let is_led = before.is_none_or(|(idx, _)| {
            let led = self.gateways.balancers.led(BalancerId::from_index(idx));
            led.is_answering && led.silent_count < led.member_count
        });
        let mut routes = self.cluster.routes(service).iter();
        is_led && routes.any(|route| self.cluster.pod(route.pod).is_live)
    }

    /// A name goes wrong, or is as it was.
    pub(super) fn set_name_fault(&mut self, name: usize, fault: Option<DnsFault>) {
        self.gateways.names.set_fault(name, fault);
    }

    /// Tells flows what becomes of gateways that ask the stores of rate limits.
    pub(super) fn tell_stores(&mut self) {
        self.gateways.stores.resize(self.blueprint.limiters.len(), StoreSeen::default());
        for idx in 0..self.blueprint.limiters.len() {
            let Counters::Shared { store: Some(store), .. } = self.blueprint.limiters[idx].counters
            else {
                continue;
            };
            let connecting_ppm = self.blueprint.limiters[idx].connecting_ppm;
            let seen = match store {
                Store::Service(service) => self.store_seen(service, connecting_ppm),
                Store::Database(database) if self.databases.is_writable(database) => {
                    StoreSeen::default()
                }
                Store::Database(database) => {
                    let service = self.blueprint.databases[database.index()].read_write_service;
                    let StoreSeen { state, .. } = self.store_seen(service, 0);
                    StoreSeen::of_all(state.max(StoreState::Refuses))
                }
            };
            if std::mem::replace(&mut self.gateways.stores[idx], seen) != seen {
                self.flows.set_store(idx, seen);
            }
        }
    }

    /// Tells flows whether Services find each other.
    pub(super) fn tell_cluster_dns(&mut self) {
        let Some(dns) = &self.blueprint.cluster_dns else { return };
        let seen = self.dns_seen(dns);
        let known = std::mem::replace(&mut self.gateways.cluster_dns, seen);
        if known == seen {
            return;
        }
        if known.takes != seen.takes {
            self.flows.set_look_up(seen.takes);
        }
        if (known.lost_milli, known.is_silent) == (seen.lost_milli, seen.is_silent) {
            return;
        }
        let connecting_milli = u64::from(dns.connecting_ppm.min(1_000_000)) / 1000;
        let is_better = seen.lost_milli <= known.lost_milli;
        self.flows.hear_inside(News {
            weight_milli: 1000,
            found_milli: 1000 - connecting_milli * seen.lost_milli / 1000,
            is_silent: seen.is_silent,
            within: if is_better { SimSpan::ZERO } else { dns.kept_for },
        });
    }

    /// What becomes of questions to the DNS of the cluster, each of which goes to one of the pods that
    /// proxies know.
    ///
    /// A question to a pod that says nothing is lost: the resolver of glibc asks again from the same port
    /// (`timeout:5 attempts:2`, resolv.conf(5)), whose packets the node keeps leading to the same pod as long as
    /// it tracks the connection. One to a pod that refuses is asked again from another port, and lost
    /// where all refuse.
    ///
    /// Simplified: one that takes longer than resolvers wait is lost though a late answer would still be taken.
    fn dns_seen(&self, dns: &ClusterDns) -> DnsSeen {
        let slow = self.gateways.slow_dns.iter().map(|(_, latency)| *latency);
        let latency = slow.fold(dns.latency, SimSpan::max);
        if latency >= dns.gives_up_after {
            return DnsSeen { lost_milli: 1000, is_silent: true, takes: SimSpan::ZERO };
        }
        let RouteCounts { all, live, silent } = self.route_counts(dns.service);
        let lost_milli = if live == 0 { 1000 } else { dns.lost_milli(silent * 1000 / all) };
        DnsSeen { lost_milli, is_silent: silent > 0, takes: dns.look_up(latency) }
    }

    /// How many pods proxies lead to for a Service, by what these do with packets.
    fn route_counts(&self, service: ServiceId) -> RouteCounts {
        let routes = self.cluster.routes(service);
        let mut counts = RouteCounts { all: routes.len() as u64, live: 0, silent: 0 };
        for route in routes {
            match self.pod_state(route.pod) {
                PodState::Live => counts.live += 1,
                PodState::Silent => counts.silent += 1,
                _ => {}
            }
        }
        counts
    }

    /// What becomes of connections to a Service. Those that are open stay with pods that answer, so that
    /// one of these is enough; those that are opened, by so many of a million requests, are led to any pod that
    /// proxies know (`kong/plugins/rate-limiting/policies/init.lua`, Kong 3: one that fails is not tried
    /// elsewhere).
    fn store_seen(&self, service: ServiceId, connecting_ppm: u32) -> StoreSeen {
        let RouteCounts { all, live, silent } = self.route_counts(service);
        let state = if silent > 0 { StoreState::Silent } else { StoreState::Refuses };
        if live == 0 {
            return StoreSeen::of_all(state);
        }
        // Whatever most of those meet that are lost.
        let lost_ppm = u64::from(connecting_ppm) * (all - live) / all;
        match u32::try_from(lost_ppm) {
            Ok(lost_ppm) if lost_ppm > 0 => StoreSeen { state, lost_ppm },
            _ => StoreSeen::default(),
        }
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
