//! Load and service profiles.

use std::collections::BTreeMap;

use model_api::blueprint::{NodeSpec, Writes};
use model_api::canary::PRIMARY_SUFFIX;
use model_api::load::{Bursts, Clients, Load, LoadPoint, ServiceProfile};
use model_api::parameters::PodCpu;
use model_api::path::{CallPolicy, Readiness, Serving};
use model_api::{DatabaseId, ServiceId, SimSpan, SimTime};

use super::Resolver;
use super::calls::Calls;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{LoadSpec, PlatformDocument, ScenarioDocument, ServiceSpec, WritesTo};
use crate::manifest::Tier;
use crate::source::{Span, Spanned};

/// CPU time of a request to a Service without a profile. Assumed: a small web service.
const CPU_PER_REQUEST: SimSpan = SimSpan::from_millis(1);
/// Most calls of a request to one Service.
const TIMES_MAX: u32 = 100;
/// Time of a request to a Service without a profile. Assumed.
const BASE_LATENCY: SimSpan = SimSpan::from_millis(5);

impl Resolver<'_> {
    /// Profiles and loads.
    pub(super) fn serve(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let mut profiles = self.stated_profiles(&platform.spec.services);
        let mut loads: BTreeMap<ServiceId, Vec<Load>> = BTreeMap::new();
        let mut wildcards: Vec<&LoadSpec> = Vec::new();
        for specs in [&platform.spec.load, &scenario.spec.load] {
            let mut stated: BTreeMap<(ServiceId, Option<&str>), Span> = BTreeMap::new();
            let mut of_file: BTreeMap<ServiceId, Vec<Load>> = BTreeMap::new();
            for spec in specs {
                if spec.service.value == "*" {
                    wildcards.push(spec);
                    continue;
                }
                let Some(load) = self.load(spec) else { continue };
                let tenant = spec.tenant.as_ref().map(|name| name.value.as_str());
                if let Some(first) = stated.insert((load.service, tenant), spec.service.span) {
                    let of_tenant = tenant.map(|name| format!(" of tenant `{name}`"));
                    let message = format!(
                        "`{}` has a load{} already",
                        spec.service.value,
                        of_tenant.unwrap_or_default()
                    );
                    let diagnostic = Diagnostic::new(Code::E0018, spec.service.span, message);
                    self.diagnostics.push(diagnostic.related(first, "first here"));
                }
                let of_clients = self.of_clients(&load, spec);
                let of_clients = self.through_name(of_clients, spec);
                of_file.entry(load.service).or_default().extend(of_clients);
            }
            // What the scenario says of a Service takes the place of all that the platform says.
            loads.extend(of_file);
        }
        // The scenario's wildcard comes last in the list and takes precedence.
        if let Some(wildcard) = wildcards.last() {
            self.wildcard_loads(wildcard, &mut loads);
        }
        self.blueprint.loads = loads.into_values().flatten().collect();
        self.burst(platform.spec.load.iter().chain(&scenario.spec.load));
        let stated: Vec<ServiceId> = profiles.keys().copied().collect();
        self.guess_calls(&mut profiles);
        self.pool_profiles(&mut profiles);
        self.refuse_circular_calls(&profiles, &platform.spec.services);
        self.blueprint.profiles = self.complete(profiles, &stated);
        self.assume_capacity();
        self.write_as_canaries();
    }

    /// A Service that somebody asks: none that gets its share of the requests for another one.
    fn asked_service(&mut self, name: &Spanned<String>) -> Option<ServiceId> {
        let service = self.service(name)?;
        let Some(canary) = self.blueprint.canaries.iter().find(|it| it.canary_service == service)
        else {
            return Some(service);
        };
        let apex = self.blueprint.service_name(canary.service);
        let message = format!("`{}` gets a share of the requests for {apex}", name.value);
        let diagnostic = Diagnostic::new(Code::E0042, name.span, message);
        self.diagnostics.push(diagnostic.help(format!("name {apex}")));
        None
    }

    /// Requests that a canary answers commit as those that its primary answers.
    fn write_as_canaries(&mut self) {
        for database in &mut self.blueprint.databases {
            for canary in &self.blueprint.canaries {
                let own = database.writers.iter().find(|it| it.service == canary.service);
                let copy = own.map(|own| Writes { service: canary.canary_service, ..*own });
                database.writers.extend(copy);
            }
        }
    }

    /// What is random about the loads that stand where they were written.
    fn burst<'s>(&mut self, specs: impl Iterator<Item = &'s LoadSpec>) {
        for spec in specs {
            let origin = spec.span.origin();
            let is_its = |load: &Load| load.origin.object == origin.object;
            let loads: Vec<usize> = (0..self.blueprint.loads.len())
                .filter(|load| is_its(&self.blueprint.loads[*load]))
                .collect();
            if loads.is_empty() {
                continue;
            }
            let (kinds, until) = (self.bursts(spec), self.end());
            for load in loads {
                let bursts = kinds.iter().map(|&kind| Bursts { load, kind, until });
                self.blueprint.bursts.extend(bursts);
            }
        }
    }

    fn stated_profiles(&mut self, specs: &[ServiceSpec]) -> BTreeMap<ServiceId, ServiceProfile> {
        let mut profiles = BTreeMap::new();
        for spec in specs {
            let Some(service) = self.asked_service(&spec.service) else { continue };
            let mut depends_on: Vec<ServiceId> = Vec::new();
            for name in &spec.depends_on {
                let Some(id) = self.asked_service(name) else { continue };
                if !depends_on.contains(&id) {
                    depends_on.push(id);
                }
            }
            let policies = self.stated_calls(spec, &mut depends_on);
            let mut writes_to: Vec<DatabaseId> = Vec::new();
            // These, and those behind a pooler.
            let mut written: Vec<DatabaseId> = Vec::new();
            for WritesTo(write) in &spec.writes_to {
                let Some(id) = self.database(&write.database) else { continue };
                let pooler = match &write.through {
                    None => None,
                    Some(name) => match self.through(name, id) {
                        Some(pooler) => {
                            self.connect(service, pooler, (name, write.connections));
                            Some(pooler)
                        }
                        None => continue,
                    },
                };
                if !written.contains(&id) {
                    written.push(id);
                    match pooler {
                        Some(pooler) if depends_on.contains(&pooler) => {}
                        Some(pooler) => depends_on.push(pooler),
                        None => writes_to.push(id),
                    }
                    let counts = self.blueprint.databases[id.index()].commits_per_second > 0;
                    if let Some(share) = write.share
                        && !counts
                    {
                        let message = "a share needs `commitsPerSecond` above 0: what a commit \
                                       weighs follows from it";
                        self.report(Code::E0017, share.span, message);
                    }
                    let writer = write.share.map(|it| Writes { service, share_ppm: it.value.ppm });
                    self.blueprint.databases[id.index()].writers.extend(writer);
                }
            }
            let cpu_per_request = spec.cpu_per_request.map_or(CPU_PER_REQUEST, |it| it.value);
            if let Some(base) = spec.base_latency.filter(|base| base.value < cpu_per_request) {
                let message = "no request is answered before its CPU time is over";
                let help = format!("`cpuPerRequest` is {}", cpu_per_request);
                self.diagnostics.push(Diagnostic::new(Code::W0270, base.span, message).help(help));
            }
            let profile = ServiceProfile {
                service,
                cpu_per_request,
                base_latency: spec
                    .base_latency
                    .map_or(BASE_LATENCY.max(cpu_per_request), |it| it.value),
                depends_on,
                policies,
                upstream: self.policy(spec.upstream.as_ref()),
                writes_to,
                serving: self.serving(spec),
                readiness: self.readiness(spec.readiness.as_ref()),
                origin: spec.span.origin(),
            };
            if spec.cpu_per_request.is_some_and(|cpu| cpu.value.is_zero()) {
                let span = spec.cpu_per_request.map_or(spec.span, |cpu| cpu.span);
                self.report(Code::E0021, span, "a request takes some CPU time");
            }
            if profiles.insert(service, profile).is_some() {
                let message = format!("`{}` has a profile already", spec.service.value);
                self.report(Code::E0018, spec.service.span, message);
            }
        }
        profiles
    }

    /// Adds the calls that come with a policy; the policies of all calls in their order.
    fn stated_calls(
        &mut self,
        spec: &ServiceSpec,
        depends_on: &mut Vec<ServiceId>,
    ) -> Vec<CallPolicy> {
        let mut policies = vec![CallPolicy::default(); depends_on.len()];
        for call in &spec.calls {
            let Some(id) = self.asked_service(&call.service) else { continue };
            let is_parallel = call.parallel.unwrap_or(false);
            let policy = CallPolicy { is_parallel, ..self.policy(call.policy.as_ref()) };
            if depends_on.contains(&id) {
                let message = format!("`{}` is called already", call.service.value);
                self.report(Code::E0018, call.service.span, message);
                continue;
            }
            let times = call.times.map_or(1, |times| times.value);
            if !(1..=TIMES_MAX).contains(&times) {
                let message = format!("a request makes a call between 1 and {TIMES_MAX} times");
                let span = call.times.map_or(call.service.span, |it| it.span);
                self.report(Code::E0077, span, message);
            }
            let cache = call.cache.as_ref().and_then(|cache| self.cache(cache, times));
            let policy = CallPolicy { cache, ..policy };
            for _ in 0..times.clamp(1, TIMES_MAX) {
                depends_on.push(id);
                policies.push(policy);
            }
        }
        policies
    }

    fn load(&mut self, spec: &LoadSpec) -> Option<Load> {
        let service = self.asked_service(&spec.service)?;
        let via = match &spec.via {
            Some(name) => Some(self.asked_service(name)?),
            None => None,
        };
        let points = self.points(spec)?;
        let client = self.policy(spec.client.as_ref());
        let (clients, users) = (Clients::default(), self.thinking(spec));
        Some(Load { service, via, clients, client, users, points, origin: spec.span.origin() })
    }

    fn points(&mut self, spec: &LoadSpec) -> Option<Vec<LoadPoint>> {
        let base = self.base_points(spec)?;
        self.shaped(base, spec)
    }

    fn base_points(&mut self, spec: &LoadSpec) -> Option<Vec<LoadPoint>> {
        let constant = |rate_millirps| Some(vec![LoadPoint { at: SimTime::ZERO, rate_millirps }]);
        match (spec.rate, spec.points.as_slice(), &spec.trace, &spec.users) {
            (None, [], Some(trace), None) => self.traces.get(&trace.file.span).cloned(),
            (Some(rate), [], None, None) => constant(rate.value.millirps),
            (None, [], None, Some(users)) => constant(u64::from(users.count.value) * 1000),
            (None, [_, ..], None, None) => {
                for pair in spec.points.windows(2) {
                    if pair[1].at.value < pair[0].at.value {
                        let message = "points go forward in time";
                        let diagnostic = Diagnostic::new(Code::E0021, pair[1].at.span, message);
                        self.diagnostics.push(diagnostic.related(pair[0].at.span, "after this"));
                    }
                }
                let point = |point: &crate::document::LoadPointSpec| LoadPoint {
                    at: point.at.value,
                    rate_millirps: point.rate.value.millirps,
                };
                Some(spec.points.iter().map(point).collect())
            }
            _ => {
                let message = "a load has one of `rate`, `points`, `trace` and `users`";
                self.report(Code::E0017, spec.span, message);
                None
            }
        }
    }

    /// `service: '*'`: every exposed Service that has no load of its own.
    fn wildcard_loads(&mut self, spec: &LoadSpec, loads: &mut BTreeMap<ServiceId, Vec<Load>>) {
        let via = match &spec.via {
            Some(name) => self.asked_service(name),
            None => None,
        };
        if let Some(host) = &spec.host {
            let message = "a name leads to entrances of one Service: name it in place of `*`";
            self.report(Code::E0102, host.span, message);
        }
        let Some(points) = self.points(spec) else { return };
        let (client, users) = (self.policy(spec.client.as_ref()), self.thinking(spec));
        let gateways: Vec<ServiceId> =
            loads.values().flatten().filter_map(|load| load.via).collect();
        for idx in 0..self.blueprint.services.len() {
            let service = ServiceId::from_index(idx);
            let is_gateway = gateways.contains(&service) || via == Some(service);
            let Some(exposure) = self.exposure(idx) else { continue };
            if is_gateway || loads.contains_key(&service) {
                continue;
            }
            // What comes in through its own load balancer does not pass the gateway.
            let via = via.filter(|_| exposure == Exposure::Ingress);
            let points = points.clone();
            let (clients, origin) = (Clients::default(), spec.span.origin());
            let load = Load { service, via, clients, client, users, points, origin };
            loads.insert(service, self.of_clients(&load, spec));
        }
    }

    /// How requests from outside reach a Service. Where nothing of a namespace that came with `-f` is
    /// exposed, each of its Services with a selector counts, so that bare manifests are judged too.
    fn exposure(&self, idx: usize) -> Option<Exposure> {
        let service = &self.blueprint.services[idx];
        // An Ingress that names the pods of a revision that is tried is how its share reaches it.
        if self.blueprint.canaries.iter().any(|it| it.canary_service.index() == idx) {
            return None;
        }
        if self.has_ingress(&service.namespace, &service.name) {
            return Some(Exposure::Ingress);
        }
        if service.is_external {
            return Some(Exposure::Itself);
        }
        let object = self.manifests.object(&self.manifests.services[idx]);
        if object.tier != Tier::CommandLine || service.selector.is_empty() {
            return None;
        }
        let is_made = matches!(object.key.kind.as_str(), "Cluster" | "Canary")
            && !self.blueprint.canaries.iter().any(|it| it.service.index() == idx);
        let is_made = is_made || self.is_of_primary(idx);
        let namespace_is_exposed = self.blueprint.services.iter().any(|other| {
            other.namespace == service.namespace
                && (other.is_external || self.has_ingress(&other.namespace, &other.name))
        });
        (!is_made && !namespace_is_exposed).then_some(Exposure::Itself)
    }

    /// Whether a Service leads to a primary only, as Flagger makes one beside that which is asked.
    fn is_of_primary(&self, idx: usize) -> bool {
        let service = &self.blueprint.services[idx];
        self.blueprint.canaries.iter().any(|canary| {
            let asked = &self.blueprint.services[canary.service.index()];
            asked.namespace == service.namespace
                && service.name.strip_suffix(PRIMARY_SUFFIX) == Some(asked.name.as_str())
        })
    }

    fn has_ingress(&self, namespace: &str, name: &str) -> bool {
        let mut ingresses = self.blueprint.ingresses.iter();
        ingresses.any(|ingress| ingress.namespace == namespace && ingress.service_name == name)
    }

    /// Calls that environment variables give away, for Services without a stated profile.
    fn guess_calls(&mut self, profiles: &mut BTreeMap<ServiceId, ServiceProfile>) {
        let mut calls = Calls::of(profiles);
        for (caller, callee, value) in calls.guesses(self.manifests, profiles) {
            let is_tried = |id| self.blueprint.canaries.iter().any(|it| it.canary_service == id);
            if is_tried(caller) || is_tried(callee) || !calls.add(caller, callee) {
                continue;
            }
            let caller_name = self.blueprint.service_name(caller);
            let callee_name = self.blueprint.service_name(callee);
            let text = format!(
                "each request to {caller_name} calls {callee_name} once, because its environment names it"
            );
            self.assume(text, &value.span.origin());
            let profile = profiles.entry(caller).or_insert_with(|| assumed_profile(caller));
            profile.depends_on.push(callee);
            profile.origin = self.blueprint.services[caller.index()].origin.clone();
        }
    }

    fn refuse_circular_calls(
        &mut self,
        profiles: &BTreeMap<ServiceId, ServiceProfile>,
        specs: &[ServiceSpec],
    ) {
        let calls = Calls::of(profiles);
        for spec in specs {
            let mut ignored = Vec::new();
            let found = super::look_up("", &spec.service, &self.names.services, &mut ignored);
            let Some(service) = found.map(ServiceId::from_index) else { continue };
            if let Some(circle) = calls.circle_from(service) {
                let names: Vec<String> =
                    circle.iter().map(|id| self.blueprint.service_name(*id)).collect();
                let message = format!("a request would never end: {}", names.join(" calls "));
                self.report(Code::E0020, spec.service.span, message);
            }
        }
    }

    /// Profiles in the order of ids, with assumed ones for Services that are asked and state none.
    fn complete(
        &mut self,
        mut profiles: BTreeMap<ServiceId, ServiceProfile>,
        stated: &[ServiceId],
    ) -> Vec<ServiceProfile> {
        let mut asked: Vec<ServiceId> = Vec::new();
        for load in &self.blueprint.loads {
            asked.push(load.service);
            asked.extend(load.via);
        }
        asked.extend(profiles.values().flat_map(|profile| &profile.depends_on));
        asked.sort();
        asked.dedup();
        for service in asked {
            let is_pooler = self.blueprint.poolers.iter().any(|it| it.service == service);
            if stated.contains(&service) || is_pooler && profiles.contains_key(&service) {
                continue;
            }
            let origin = self.blueprint.services[service.index()].origin.clone();
            let text = format!(
                "{}: a request takes 1 ms of CPU and 5 ms in all, where nothing is stated",
                self.blueprint.service_name(service)
            );
            self.assume(text, &origin);
            profiles
                .entry(service)
                .or_insert_with(|| ServiceProfile { origin, ..assumed_profile(service) });
        }
        profiles.into_values().collect()
    }
}

/// How many workloads a line names.
const NAMED_MAX: usize = 4;

impl Resolver<'_> {
    /// Says what pods are taken to serve with, where a node may let them use less or more.
    fn assume_capacity(&mut self) {
        let blueprint = &self.blueprint;
        let asked: Vec<&model_api::kube::Service> = (blueprint.profiles.iter())
            .filter(|profile| !profile.cpu_per_request.is_zero())
            .map(|profile| &blueprint.services[profile.service.index()])
            .collect();
        let mut open: Vec<(String, model_api::Origin)> = Vec::new();
        let mut limits_millis = 0_i64;
        let mut shared: Vec<(String, model_api::Origin)> = Vec::new();
        for workload in &blueprint.workloads {
            let template = &workload.template;
            let its: Vec<&model_api::kube::Service> = (asked.iter().copied())
                .filter(|service| service.selects(&workload.namespace, &template.labels))
                .collect();
            if let [one, other, ..] = its[..] {
                let text = format!(
                    "{}/{} and {}/{} lead to the same pods: each is counted as if it had them for itself",
                    one.namespace, one.name, other.namespace, other.name
                );
                shared.push((text, other.origin.clone()));
            }
            let serving = its.iter().find_map(|service| service.serving_container(template));
            let Some(container) = serving else { continue };
            match container.limits.cpu_millis() {
                Some(limit) => {
                    let of_all = limit.saturating_mul(i64::from(workload.replicas));
                    limits_millis = limits_millis.saturating_add(of_all);
                }
                None => {
                    let millis = container.requests.cpu_millis().unwrap_or(0);
                    let name = format!("{}/{} {millis}m", workload.namespace, workload.name);
                    open.push((name, workload.origin.clone()));
                }
            }
        }
        let allocatable = |it: &NodeSpec| it.node.allocatable.cpu_millis().unwrap_or(0);
        let nodes_millis = blueprint.nodes.iter().map(allocatable).fold(0_i64, i64::saturating_add);
        let shares_nodes = blueprint.parameters.pod_cpu == PodCpu::NodeShare;
        if limits_millis > nodes_millis {
            let what = if shares_nodes {
                "a pod serves with its share of a node that has less, as if all that serve there were busy"
            } else {
                "limits are granted in full all the same"
            };
            let (limits, nodes) = (limits_millis as f64 / 1e3, nodes_millis as f64 / 1e3);
            let text = format!(
                "the CPU limits of pods that serve add up to {limits:.1} cores, nodes have {nodes:.1}: {what}"
            );
            let origin = blueprint.workloads.first().map(|it| it.origin.clone());
            origin.iter().for_each(|it| self.assume(text.clone(), it));
        }
        for (text, origin) in shared {
            self.assume(text, &origin);
        }
        let Some((_, origin)) = open.first() else { return };
        let origin = origin.clone();
        let names: Vec<&str> = open.iter().take(NAMED_MAX).map(|(name, _)| name.as_str()).collect();
        let more = match open.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let names = names.join(", ");
        let text = if shares_nodes {
            format!(
                "without limits.cpu a pod serves with its share of its node when all that serve there are \
                 busy, not with what others leave of theirs; it requests: {names}{more}"
            )
        } else {
            format!(
                "without limits.cpu a pod serves with the CPU that it requests, and without a request with \
                 its share of its node: {names}{more}"
            )
        };
        self.assume(text, &origin);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exposure {
    /// An Ingress leads to it.
    Ingress,
    /// It has an address outside.
    Itself,
}

pub(super) fn assumed_profile(service: ServiceId) -> ServiceProfile {
    ServiceProfile {
        service,
        cpu_per_request: CPU_PER_REQUEST,
        base_latency: BASE_LATENCY,
        depends_on: Vec::new(),
        policies: Vec::new(),
        upstream: CallPolicy::default(),
        writes_to: Vec::new(),
        serving: Serving::default(),
        readiness: Readiness::default(),
        origin: model_api::Origin::default(),
    }
}
