//! Gateways that choose pods themselves: what is stated, what Services and policies say.

use model_api::gateway::{ActiveChecks, Gateway, GatewayUpstream};
use model_api::path::Reconnect;
use model_api::{ServiceId, SimSpan, WorkloadId};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{CertificateKey, GatewaySpec, PlatformDocument, ScenarioDocument, TlsSpec};
use crate::manifest::{Manifests, Object};
use crate::nearest::suggestion;
use crate::source::Spanned;
use crate::units::{span_of_millis, span_of_secs};
use crate::yaml::Node;

/// What annotations of Kong's ingress controller begin with.
const ANNOTATIONS: &str = "konghq.com/";
/// The kind of policies of upstreams.
const POLICY: &str = "KongUpstreamPolicy";
/// CPU time of a full handshake of TLS 1.3 with a key of each kind, the work of the proxy included: GW-8
/// of the specification of platform services, where it is an assumption on top of measured signatures.
const HANDSHAKE_ECDSA: SimSpan = SimSpan::from_micros(250);
const HANDSHAKE_RSA: SimSpan = SimSpan::from_micros(600);
/// Most retries: `retries` of Kong 3 (`services.lua`) is at most 32767; more than this only makes
/// requests wait.
const RETRIES_MAX: u32 = 99;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of gateways.
    pub(super) fn gateways(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let key_of = |spec: &GatewaySpec| (spec.service.value.clone(), spec.service.span);
        let (first, second) = (&platform.spec.gateways, &scenario.spec.gateways);
        for spec in self.merged(first, second, key_of) {
            let Some(service) = self.service(&spec.service) else { continue };
            if self.blueprint.gateways.iter().any(|it| it.service == service) {
                let message = format!("`{}` is a gateway already", spec.service.value);
                self.report(Code::E0018, spec.service.span, message);
                continue;
            }
            let mut behind: Vec<ServiceId> = Vec::new();
            for load in self.blueprint.loads.iter().filter(|load| load.via == Some(service)) {
                // Where proxies choose, nothing is known of pods.
                let chooses = !self.blueprint.services[load.service.index()].is_service_upstream;
                if chooses && load.service != service && !behind.contains(&load.service) {
                    behind.push(load.service);
                }
            }
            if let Some(tls) = &spec.tls {
                self.handshakes(service, tls);
            }
            self.limiters(service, &spec);
            if behind.is_empty() && spec.tls.is_none() && spec.rate_limits.is_empty() {
                let message = format!("no load comes in through `{}`", spec.service.value);
                let diagnostic = Diagnostic::new(Code::E0054, spec.service.span, message);
                let help = "name the gateway as `via` of a load";
                self.diagnostics.push(diagnostic.help(help));
                continue;
            }
            if behind.is_empty() {
                continue;
            }
            let upstreams = behind.into_iter().map(|service| self.upstream(service, &spec));
            let upstreams = upstreams.collect();
            let gateway = Gateway {
                service,
                database: spec.database.as_ref().and_then(|name| self.database(name)),
                poll_period: self.period(spec.database_poll_period, Gateway::POLL_PERIOD),
                workloads: self.workloads_behind(service),
                controller: spec.controller.as_ref().and_then(|name| self.workload(name)),
                sync_period: self.period(spec.sync_period, Gateway::SYNC_PERIOD),
                update_period: self.period(spec.update_period, Gateway::UPDATE_PERIOD),
                upstreams,
                origin: spec.span.origin(),
            };
            self.blueprint.gateways.push(gateway);
        }
        let is_named = !first.is_empty() || !second.is_empty();
        self.check_plugins(is_named);
    }

    /// Adds what handshakes cost to what each request costs the pods of a gateway.
    ///
    /// Simplified: handshakes come as requests do; sessions are not resumed, and nobody is later by the
    /// round trip of a handshake. Connections that are lost are made anew as `platform::world::connections`
    /// has it.
    fn handshakes(&mut self, service: ServiceId, tls: &TlsSpec) {
        let of_key = match tls.certificate.map(|it| it.value) {
            Some(CertificateKey::Rsa) => HANDSHAKE_RSA,
            Some(CertificateKey::Ecdsa) | None => HANDSHAKE_ECDSA,
        };
        let cost = tls.handshake_cpu.map_or(of_key, |it| it.value);
        let requests = tls.requests_per_connection.map_or(1, |it| it.value);
        if let Some(stated) = tls.requests_per_connection.filter(|it| it.value == 0) {
            self.report(Code::E0021, stated.span, "a connection carries a request at least");
        }
        if tls.handshake_cpu.is_none() {
            let name = self.blueprint.service_name(service);
            let text = format!("{name}: a handshake takes {} us of CPU", cost.as_nanos() / 1_000);
            self.assume(text, &tls.span.origin());
        }
        let each = SimSpan::from_nanos(cost.as_nanos() / u64::from(requests.max(1)));
        if let Some(stated) = tls.connections.filter(|it| it.value == 0) {
            self.report(Code::E0021, stated.span, "without a connection nothing is made anew");
        }
        let reconnect = tls
            .connections
            .map(|it| Reconnect { handshake: cost, connection_count: it.value.max(1) });
        let profile = self.blueprint.profiles.iter_mut().find(|it| it.service == service);
        if let Some(profile) = profile {
            profile.cpu_per_request = profile.cpu_per_request.saturating_add(each);
            profile.serving.reconnect = reconnect;
        }
    }

    /// The workloads whose pods a Service leads to.
    fn workloads_behind(&self, service: ServiceId) -> Vec<WorkloadId> {
        let service = &self.blueprint.services[service.index()];
        let selected = self.blueprint.workloads.iter().enumerate();
        selected
            .filter(|(_, it)| service.selects(&it.namespace, &it.template.labels))
            .map(|(idx, _)| WorkloadId::from_index(idx))
            .collect()
    }

    fn period(&mut self, stated: Option<Spanned<SimSpan>>, default: SimSpan) -> SimSpan {
        let Some(stated) = stated else { return default };
        if stated.value.is_zero() {
            self.report(Code::E0021, stated.span, "it waits between its looks");
        }
        stated.value.max(SimSpan::from_millis(1))
    }

    /// How a gateway leads to a Service: what the gateway says of all, then what the Service says.
    fn upstream(&mut self, service: ServiceId, spec: &GatewaySpec) -> GatewayUpstream {
        let default = GatewayUpstream::of(service);
        let mut upstream = GatewayUpstream {
            retries: spec.retries.map_or(default.retries, |it| it.value),
            connect_timeout: self.period(spec.connect_timeout, default.connect_timeout),
            read_timeout: self.period(spec.read_timeout, default.read_timeout),
            ..default
        };
        let manifests = self.manifests;
        let object = manifests.object(&manifests.services[service.index()]);
        let millis = |number: u32| span_of_millis(number.max(1));
        if let Some(retries) = self.kong_number(object, "retries") {
            upstream.retries = retries;
        }
        if let Some(timeout) = self.kong_number(object, "connect-timeout") {
            upstream.connect_timeout = millis(timeout);
        }
        if let Some(timeout) = self.kong_number(object, "read-timeout") {
            upstream.read_timeout = millis(timeout);
        }
        upstream.retries = upstream.retries.min(RETRIES_MAX);
        let policy = annotation(object, "upstream-policy")
            .and_then(|name| policy_named(&manifests.objects, object, &name, self.diagnostics));
        if let Some(policy) = policy {
            self.health_checks(policy, &mut upstream);
        }
        upstream
    }

    /// Health checks of a policy, in the names of its kind.
    fn health_checks(&mut self, policy: &Object, upstream: &mut GatewayUpstream) {
        let at = |path: &[&str]| {
            let mut whole = vec!["spec", "healthchecks"];
            whole.extend(path);
            policy.node.at(&whole)
        };
        let mut count = |path: &[&str]| {
            let node = at(path)?;
            let number = node.text().and_then(|text| text.parse::<u32>().ok());
            if number.is_none() {
                let message = format!("{}: a whole number is wanted here", policy.title());
                self.report(Code::E0057, node.span, message);
            }
            number
        };
        let default = ActiveChecks::default();
        upstream.active = ActiveChecks {
            healthy_interval: span_of_secs(count(&["active", "healthy", "interval"]).unwrap_or(0)),
            unhealthy_interval: span_of_secs(
                count(&["active", "unhealthy", "interval"]).unwrap_or(0),
            ),
            timeout: count(&["active", "timeout"]).map_or(default.timeout, span_of_secs),
            timeouts: count(&["active", "unhealthy", "timeouts"]).unwrap_or(0),
            successes: count(&["active", "healthy", "successes"]).unwrap_or(0),
        };
        upstream.passive_timeouts = count(&["passive", "unhealthy", "timeouts"]).unwrap_or(0);
        self.check_policy(policy, upstream);
    }

    /// Warns of checks that never act.
    fn check_policy(&mut self, policy: &Object, upstream: &GatewayUpstream) {
        let ActiveChecks { healthy_interval, unhealthy_interval, timeouts, successes, .. } =
            upstream.active;
        let probes = !healthy_interval.is_zero();
        let finds = probes && timeouts > 0 || upstream.passive_timeouts > 0;
        let returns = !unhealthy_interval.is_zero() && successes > 0;
        let message = if probes && timeouts == 0 {
            "its active checks count no timeouts, so that they never find a pod on a lost node"
        } else if finds && !returns {
            "nothing finds a pod healthy again that it found unhealthy"
        } else {
            return;
        };
        let place = policy.value_span("spec.healthchecks");
        if self.is_mine(place) {
            self.report(Code::W0214, place, format!("{}: {message}", policy.title()));
        }
    }

    /// A whole number in an annotation of a Service.
    fn kong_number(&mut self, object: &Object, key: &str) -> Option<u32> {
        let text = annotation(object, key)?;
        let number = text.value.parse::<u32>().ok();
        if number.is_none() {
            let message = format!("{}: `{}` is no whole number", object.title(), text.value);
            self.report(Code::E0057, text.span, message);
        }
        number
    }
}

/// The policy of a name in the namespace of an object.
fn policy_named<'o>(
    objects: &'o [Object],
    object: &Object,
    name: &Spanned<String>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'o Object> {
    let namespace = &object.key.namespace;
    let policies = || {
        let all = objects.iter().filter(|it| it.key.kind == POLICY);
        all.filter(|it| it.key.namespace == *namespace)
    };
    let found = policies().find(|it| it.key.name == name.value);
    if found.is_none() {
        let message = format!("there is no {POLICY} `{}` in `{namespace}`", name.value);
        let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
        let names: Vec<&str> = policies().map(|it| it.key.name.as_str()).collect();
        diagnostics.push(diagnostic.help_if(suggestion(&name.value, names)));
    }
    found
}

/// The object of Kong's that an annotation of a Service names.
pub(super) fn annotated<'a>(
    manifests: &'a Manifests,
    service: &Object,
    key: &str,
    kind: &str,
) -> Option<&'a Object> {
    let name = annotation(service, key)?;
    let mut all = manifests.objects.iter().filter(|it| it.key.kind == kind);
    all.find(|it| it.key.namespace == service.key.namespace && it.key.name == name.value)
}

/// An annotation of Kong's ingress controller, with its place.
pub(super) fn annotation(object: &Object, key: &str) -> Option<Spanned<String>> {
    let key = format!("{ANNOTATIONS}{key}");
    let node = object.node.at(&["metadata", "annotations", &key])?;
    Some(Spanned { value: Node::text(node)?.to_owned(), span: node.span })
}
