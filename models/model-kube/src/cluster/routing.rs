//! What proxies route to, and which of it can answer.
//!
//! Sources: those of [`crate::endpoints`]; `pkg/proxy/{endpointschangetracker,topology}.go`, Kubernetes
//! 1.36.

use std::collections::VecDeque;

use model_api::{Blueprint, NodeId, Observation, PodId, ServiceId, ZoneId};
use sim_kernel::{Context, Purpose, Recorder, SimTime};

use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::endpoints::{self, Conditions, Endpoint, Hints, for_local_traffic};
use crate::rare;

const PROPAGATION: Purpose = Purpose::new("endpoint propagation");

/// A pod that proxies send traffic to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The pod.
    pub pod: PodId,
    /// Its node.
    pub node: NodeId,
    /// Its zone.
    pub zone: ZoneId,
    /// Clients get answers: its processes run and clients outside reach it.
    pub is_live: bool,
}

/// A change on its way to the proxies.
#[derive(Clone, Copy, Debug)]
struct Change {
    requested_at: SimTime,
    due_at: SimTime,
    pod: PodId,
    conditions: Option<Conditions>,
}

/// Endpoints of a Service as somebody knows them, by pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    endpoints: Vec<(PodId, Conditions)>,
}

impl Known {
    fn of(&self, pod: PodId) -> Option<Conditions> {
        let found = self.endpoints.binary_search_by_key(&pod, |(known, _)| *known);
        found.ok().map(|idx| self.endpoints[idx].1)
    }

    fn set(&mut self, pod: PodId, conditions: Option<Conditions>) {
        let found = self.endpoints.binary_search_by_key(&pod, |(known, _)| *known);
        match (found, conditions) {
            (Ok(idx), Some(conditions)) => self.endpoints[idx].1 = conditions,
            (Ok(idx), None) => {
                self.endpoints.remove(idx);
            }
            (Err(idx), Some(conditions)) => self.endpoints.insert(idx, (pod, conditions)),
            (Err(_), None) => {}
        }
    }

    /// Pods that proxies who know this send cluster traffic to: ready ones or, when there is none,
    /// terminating ones that still serve.
    fn used(&self) -> impl Iterator<Item = PodId> {
        let any_ready = self.endpoints.iter().any(|(_, conditions)| conditions.is_ready);
        let is_used = move |conditions: &Conditions| {
            conditions.is_ready
                || (!any_ready && conditions.is_serving && conditions.is_terminating)
        };
        let endpoints = self.endpoints.iter();
        endpoints.filter(move |(_, conditions)| is_used(conditions)).map(|(pod, _)| *pod)
    }
}

/// Routes of the proxies of one [view](super::proxies).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    view: Option<u64>,
    routes: Vec<Route>,
}

/// What is otherwise than before.
#[derive(Clone, Copy, Debug)]
struct Rebuilt {
    has_other_routes: bool,
    /// What some proxies know that differ from most, or how many these are.
    is_seen_otherwise: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct ServiceState {
    /// What proxies know that hear of every change.
    known: Known,
    /// Changes on their way, in the order in which they arrive.
    pending: VecDeque<Change>,
    change_count: u64,
    /// The view of most proxies that clients reach, and what these route to.
    view: Option<u64>,
    pub(super) routes: Vec<Route>,
    /// What all the others route to.
    pub(super) others: Vec<Seen>,
    /// How many proxies that is: of the most, then of each of the others.
    node_counts: Vec<u32>,
    live_count: u32,
    /// Where a traffic policy is `Local`: endpoints that only proxies on their own node use, because
    /// they are about to go and others are ready elsewhere.
    last_resorts: Vec<Route>,
    /// Pods that somebody else chose; `None`: those the selector names.
    backends: Option<Vec<PodId>>,
}

impl ServiceState {
    pub(super) fn all(blueprint: &Blueprint) -> Vec<Self> {
        vec![Self::default(); blueprint.services.len()]
    }

    /// Pods that get requests and can answer them, by id.
    pub(super) fn live_pods(&self) -> impl Iterator<Item = PodId> + use<'_> {
        self.routes.iter().filter(|route| route.is_live).map(|route| route.pod)
    }

    /// Whether a pod gets requests and can answer them.
    pub(super) fn routes_to(&self, pod: PodId) -> bool {
        let found = self.routes.binary_search_by_key(&pod, |route| route.pod);
        found.is_ok_and(|idx| self.routes[idx].is_live)
    }

    /// What proxies know or will know of a pod.
    fn latest(&self, pod: PodId) -> Option<Conditions> {
        if let Some(change) = self.pending.iter().rev().find(|change| change.pod == pod) {
            return change.conditions;
        }
        self.known.of(pod)
    }

    /// What proxies of a view route to.
    pub(super) fn routes_of(&self, view: Option<u64>) -> &[Route] {
        let other = self.others.iter().find(|other| other.view == view);
        other.map_or(&self.routes, |other| &other.routes)
    }
}

impl Cluster {
    /// What the proxies of a Service route to for cluster traffic: ready endpoints or, when there
    /// is none, terminating ones that still serve. Which of them a proxy uses, [hints](Self::hinted_zones)
    /// may narrow. Where proxies [differ](Self::is_seen_differently), what most of them do.
    pub fn routes(&self, service: ServiceId) -> &[Route] {
        &self.services[service.index()].routes
    }

    /// Endpoints of a Service that are about to go and still get what a traffic policy `Local` keeps on
    /// their node, though others are ready elsewhere; none where no policy is.
    pub fn last_resorts(&self, service: ServiceId) -> &[Route] {
        &self.services[service.index()].last_resorts
    }

    /// How many endpoints of a Service get traffic, and how many of these can answer.
    pub fn endpoint_counts(&self, service: ServiceId) -> (u32, u32) {
        let state = &self.services[service.index()];
        let count = u32::try_from(state.routes.len()).expect("endpoints are pods");
        (count, state.live_count)
    }

    /// Pods that the API shows as ready among those the Service selects, whether proxies know yet.
    pub fn ready_pods(&self, service: ServiceId) -> impl Iterator<Item = PodId> {
        let all = (0..self.pods.len()).map(PodId::from_index);
        all.filter(move |pod| {
            let state = &self.pods[pod.index()];
            state.is_ready && !state.is_terminating && self.is_selected(service, *pod)
        })
    }

    /// Takes the choice of endpoints away from the Service's selector: from now on only these pods
    /// are its endpoints (an operator labels the primary, for example). Proxies follow after the
    /// propagation delay, once controllers run.
    pub fn set_service_backends<E, R>(
        &mut self,
        service: ServiceId,
        pods: &[PodId],
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_backends(service);
        let state = &mut self.services[service.index()];
        let old = state.backends.replace(pods.to_vec());
        let mut affected: Vec<PodId> = match old {
            Some(old) => old,
            None => state.known.endpoints.iter().map(|(pod, _)| *pod).collect(),
        };
        affected.extend_from_slice(pods);
        affected.sort_unstable();
        affected.dedup();
        for pod in affected {
            self.push_change(service, pod, ctx);
        }
        self.settle(ctx);
    }

    /// One backend or none; see [`Self::set_service_backends`].
    pub fn set_service_backend<E, R>(
        &mut self,
        service: ServiceId,
        pod: Option<PodId>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.set_service_backends(service, pod.as_slice(), ctx);
    }

    fn note_backends(&mut self, service: ServiceId) {
        if let Err(idx) = self.services_with_backends.binary_search(&service) {
            self.services_with_backends.insert(idx, service);
        }
    }

    fn is_selected(&self, service: ServiceId, pod: PodId) -> bool {
        if let Some(backends) = &self.services[service.index()].backends {
            return backends.contains(&pod);
        }
        let state = &self.pods[pod.index()];
        let selecting = &self.tables.template_of(state).services;
        selecting.iter().any(|(selecting, ordinal)| {
            *selecting == service && ordinal.is_none_or(|ordinal| ordinal == state.ordinal)
        })
    }

    fn conditions_in(&self, service: ServiceId, pod: PodId) -> Option<Conditions> {
        if !self.is_selected(service, pod) {
            return None;
        }
        let publishes_not_ready = self.blueprint.services[service.index()].publishes_not_ready;
        endpoints::conditions(&self.pods[pod.index()].endpoint_view(), publishes_not_ready)
    }

    /// What the API shows of a pod changed: the endpoints of its Services follow.
    pub(super) fn touch_endpoint<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let template = self.pods[pod.index()].template.index();
        for idx in 0..self.tables.templates[template].services.len() {
            let (service, _) = self.tables.templates[template].services[idx];
            self.push_change(service, pod, ctx);
        }
        for idx in 0..self.services_with_backends.len() {
            let service = self.services_with_backends[idx];
            self.push_change(service, pod, ctx);
        }
    }

    /// Proxies list what a restored API has, whatever was on its way to them.
    pub(super) fn restore_endpoints(&mut self) {
        let tables = self.tables.clone();
        for pod in std::mem::take(&mut self.unlisted_pods) {
            let template = self.pods[pod.index()].template.index();
            for (service, _) in &tables.templates[template].services {
                let conditions = self.conditions_in(*service, pod);
                let state = &mut self.services[service.index()];
                state.pending.retain(|change| change.pod != pod);
                self.learn(*service, pod, conditions);
                self.touch_service(*service);
            }
        }
    }

    fn push_change<E, R>(&mut self, service: ServiceId, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let conditions = self.conditions_in(service, pod);
        if self.services[service.index()].latest(pod) == conditions {
            return;
        }
        let now = ctx.now();
        let last = self.services[service.index()].pending.back().copied();
        let is_same_batch = last.is_some_and(|last| last.requested_at == now);
        let due_at = match last {
            Some(last) if is_same_batch => last.due_at,
            _ => {
                let occurrence = self.services[service.index()].change_count;
                let key = self.tables.service_keys[service.index()];
                let range = self.blueprint.parameters.endpoint_propagation;
                let due_at = now + drawn(self.draw(key, PROPAGATION, occurrence), range);
                // What is written later is seen later.
                last.map_or(due_at, |last| due_at.max(last.due_at))
            }
        };
        let state = &mut self.services[service.index()];
        state.pending.push_back(Change { requested_at: now, due_at, pod, conditions });
        if !is_same_batch {
            state.change_count += 1;
            ctx.schedule_at(due_at, priority::PROXY, KubeEvent::EndpointsDue(service));
        }
    }

    pub(super) fn on_endpoints_due<E, R>(&mut self, service: ServiceId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        while let Some(change) = self.services[service.index()].pending.front().copied() {
            if change.due_at > now {
                break;
            }
            self.services[service.index()].pending.pop_front();
            self.learn(service, change.pod, change.conditions);
        }
        self.touch_service(service);
    }

    /// Proxies that hear learn of an endpoint.
    fn learn(&mut self, service: ServiceId, pod: PodId, conditions: Option<Conditions>) {
        let known = &mut self.services[service.index()].known;
        self.proxies.keep(service, known);
        known.set(pod, conditions);
    }

    /// What proxies of a view know.
    fn known_in(&self, service: ServiceId, view: Option<u64>) -> &Known {
        let kept = self.proxies.known(view, service);
        kept.unwrap_or(&self.services[service.index()].known)
    }

    /// What most proxies that clients reach know of a pod.
    pub(super) fn known_of(&self, service: ServiceId, pod: PodId) -> Option<Conditions> {
        self.known_in(service, self.services[service.index()].view).of(pod)
    }

    /// Whether these have nothing better than endpoints that are about to go.
    fn uses_terminating(&self, service: ServiceId) -> bool {
        let routes = &self.services[service.index()].routes;
        let is_ready =
            |route: &Route| self.known_of(service, route.pod).is_some_and(|it| it.is_ready);
        !routes.is_empty() && !routes.iter().any(is_ready)
    }

    pub(super) fn touch_service(&mut self, service: ServiceId) {
        self.changed_services.push(service);
    }

    /// Whether a pod can answer changed: the routes that lead to it are looked at again.
    pub(super) fn touch_services_of(&mut self, pod: PodId) {
        let selecting = self.tables.template_of(&self.pods[pod.index()]).services.iter();
        self.changed_services.extend(selecting.map(|(service, _)| *service));
        self.changed_services.extend_from_slice(&self.services_with_backends);
    }

    /// Ends a call from outside: routes are worked out anew where something changed.
    pub(super) fn settle<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.settle_operators(ctx);
        self.settle_sources(ctx);
        self.settle_memory(ctx);
        self.settle_queue(ctx);
        self.settle_proxies(ctx);
        if self.changed_services.is_empty() {
            self.settle_autoscaling(ctx);
            return;
        }
        let mut changed = std::mem::take(&mut self.changed_services);
        changed.sort_unstable();
        changed.dedup();
        for service in &changed {
            let service = *service;
            let rebuilt = self.rebuild_routes(service);
            if rebuilt.has_other_routes {
                if self.uses_terminating(service) {
                    ctx.hit(&rare::TERMINATING_ENDPOINTS_USED);
                }
                let (ready_count, live_count) = self.endpoint_counts(service);
                self.meter_routes(service, ctx.now());
                self.watch_probes_of(service, ctx);
                ctx.observe(|| Observation::EndpointsChanged { service, ready_count, live_count });
            }
            if rebuilt.has_other_routes || rebuilt.is_seen_otherwise {
                self.notify(Notice::EndpointsChanged(service));
            }
        }
        self.refresh_webhooks_behind(&changed, ctx);
        self.note_vaults_behind(&changed);
        self.settle_sources(ctx);
        changed.clear();
        self.changed_services = changed;
        self.settle_autoscaling(ctx);
    }

    /// Works out the routes of a Service.
    fn rebuild_routes(&mut self, service: ServiceId) -> Rebuilt {
        let views = self.proxies.views_of(service);
        let view = views[0].1;
        let routes = self.routes_by(service, view);
        let others = views[1..].iter();
        let others = others.map(|&(_, view)| Seen { view, routes: self.routes_by(service, view) });
        let others: Vec<Seen> = others.collect();
        let node_counts: Vec<u32> = match others.as_slice() {
            [] => Vec::new(),
            _ => views.iter().map(|(count, _)| *count).collect(),
        };
        let last_resorts = self.find_last_resorts(service, view, &routes);
        let live = routes.iter().filter(|route| route.is_live).count();
        let state = &mut self.services[service.index()];
        let rebuilt = Rebuilt {
            has_other_routes: state.routes != routes || state.last_resorts != last_resorts,
            is_seen_otherwise: state.others != others || state.node_counts != node_counts,
        };
        state.live_count = u32::try_from(live).expect("endpoints are pods");
        (state.view, state.routes, state.last_resorts) = (view, routes, last_resorts);
        (state.others, state.node_counts) = (others, node_counts);
        rebuilt
    }

    /// What proxies of a view route to.
    fn routes_by(&self, service: ServiceId, view: Option<u64>) -> Vec<Route> {
        self.known_in(service, view).used().filter_map(|pod| self.route_to(pod)).collect()
    }

    fn route_to(&self, pod: PodId) -> Option<Route> {
        let node = self.pods[pod.index()].node?;
        let zone = self.blueprint.nodes[node.index()].zone;
        Some(Route { pod, node, zone, is_live: self.is_live(pod) })
    }

    /// What proxies use for what a policy keeps on their node, besides these routes.
    fn find_last_resorts(
        &self,
        service: ServiceId,
        view: Option<u64>,
        routes: &[Route],
    ) -> Vec<Route> {
        let spec = &self.blueprint.services[service.index()];
        if !spec.is_local_inside() && !spec.is_local_from_outside() {
            return Vec::new();
        }
        let known = self.known_in(service, view);
        let endpoints: Vec<(PodId, Endpoint<NodeId>)> = known
            .endpoints
            .iter()
            .filter_map(|(pod, conditions)| {
                let node = self.pods[pod.index()].node?;
                let hints = Hints { for_zones: Vec::new(), for_nodes: Vec::new() };
                Some((*pod, Endpoint { conditions: *conditions, node, hints }))
            })
            .collect();
        let mut nodes: Vec<NodeId> = endpoints.iter().map(|(_, it)| it.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let (pods, endpoints): (Vec<PodId>, Vec<Endpoint<NodeId>>) = endpoints.into_iter().unzip();
        let used = nodes.iter().flat_map(|node| for_local_traffic(&endpoints, node));
        let mut found: Vec<Route> = used
            .filter(|at| routes.binary_search_by_key(&pods[*at], |route| route.pod).is_err())
            .filter_map(|at| self.route_to(pods[at]))
            .collect();
        found.sort_unstable_by_key(|route| route.pod);
        found
    }

    /// Gives proxies the endpoints of all ready pods, at the start.
    pub(super) fn know_initial_endpoints(&mut self) {
        let tables = self.tables.clone();
        for idx in 0..self.pods.len() {
            let pod = PodId::from_index(idx);
            for (service, _) in &tables.template_of(&self.pods[idx]).services {
                let conditions = self.conditions_in(*service, pod);
                self.services[service.index()].known.set(pod, conditions);
            }
        }
        for idx in 0..self.services.len() {
            self.rebuild_routes(ServiceId::from_index(idx));
        }
    }
}
