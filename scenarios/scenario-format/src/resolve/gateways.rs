//! Load balancers: what is stated, what their Services are annotated with, what is assumed.

use model_api::fault::FaultKind;
use model_api::gateway::{Failover, HealthMonitor, LoadBalancer, Vrrp};
use model_api::parameters::Range;
use model_api::{BalancerId, SimSpan, ZoneId};

use super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    BalancerMachineLossSpec, FailoverSpec, LoadBalancerSpec, MonitorSpec, PlatformDocument,
    ScenarioDocument, Topology,
};
use crate::manifest::Object;
use crate::source::Spanned;
use crate::units::{span_of_millis, span_of_secs};

/// What annotations of the cloud controller manager of OpenStack begin with.
pub(crate) const ANNOTATIONS: &str = "loadbalancer.openstack.org/";

/// Most checks in a row: `max_retries` of Octavia is at most 10 (`octavia/common/constants.py`, 14).
const CHECKS_MAX: u32 = 10;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of load balancers.
    pub(super) fn load_balancers(
        &mut self,
        platform: &PlatformDocument,
        scenario: &ScenarioDocument,
    ) {
        let key_of = |spec: &LoadBalancerSpec| (spec.service.value.clone(), spec.service.span);
        let (first, second) = (&platform.spec.load_balancers, &scenario.spec.load_balancers);
        for spec in self.merged(first, second, key_of) {
            if let Some(balancer) = self.load_balancer(&spec) {
                if self.is_mine(spec.service.span) {
                    self.check_balancer(&balancer, &spec);
                }
                self.blueprint.balancers.push(balancer);
            }
        }
    }

    fn load_balancer(&mut self, spec: &LoadBalancerSpec) -> Option<LoadBalancer> {
        let service = self.service(&spec.service)?;
        let known = &self.blueprint.services[service.index()];
        if !known.is_external {
            let message = format!("`{}` has no address outside the cluster", spec.service.value);
            let diagnostic = Diagnostic::new(Code::E0052, spec.service.span, message);
            self.diagnostics.push(diagnostic.help("set spec.type: LoadBalancer in its manifest"));
        }
        if self.blueprint.balancer_of(service).is_some() {
            let message = format!("`{}` has a load balancer already", spec.service.value);
            self.report(Code::E0018, spec.service.span, message);
            return None;
        }
        let manifests = self.manifests;
        let object = manifests.object(&manifests.services[service.index()]);
        let zones = self.balancer_zones(spec, object);
        let topology = spec.topology.map_or(Topology::Single, |it| it.value);
        let machine_count = if topology == Topology::Single { 1 } else { 2 };
        let machine_zones = zones.iter().copied().cycle().take(machine_count);
        if zones.is_empty() {
            return None;
        }
        let name = match &spec.name {
            Some(name) => name.value.clone(),
            None => self.blueprint.service_name(service),
        };
        Some(LoadBalancer {
            name,
            service,
            machine_zones: machine_zones.collect(),
            monitor: self.monitor(spec.monitor.as_ref(), object),
            connect_timeout: self.connect_timeout(spec, object),
            try_count: LoadBalancer::TRY_COUNT,
            vrrp: Vrrp::default(),
            failover: self.failover(spec.failover.as_ref()),
            zones,
            origin: spec.span.origin(),
        })
    }

    /// Warns of what a lost zone would show.
    fn check_balancer(&mut self, balancer: &LoadBalancer, spec: &LoadBalancerSpec) {
        if self.blueprint.zones.len() < 2 {
            return;
        }
        if balancer.monitor.is_none() {
            let message = format!(
                "load balancer {}: nobody looks after its nodes, so that it leads to lost ones for as \
                 long as they are lost",
                balancer.name
            );
            self.report(Code::W0211, spec.service.span, message);
        }
        if let [first, rest @ ..] = balancer.machine_zones.as_slice()
            && rest.iter().all(|zone| zone == first)
        {
            let zone = &self.blueprint.zones[first.index()].name;
            let message = format!(
                "load balancer {}: when {zone} is lost, nobody answers at its address for minutes, \
                 because all of its machines stand there",
                balancer.name
            );
            self.report(Code::W0212, spec.service.span, message);
        }
    }

    /// Where machines may stand: what is stated, what the Service asks for, or anywhere.
    fn balancer_zones(&mut self, spec: &LoadBalancerSpec, object: &Object) -> Vec<ZoneId> {
        if !spec.zones.is_empty() {
            return self.zones_named(&spec.zones);
        }
        let asked = annotation(object, "availability-zone").map(|it| it.value);
        // It may be the name of an availability zone of the balancer that is none of the region.
        let asked = asked.and_then(|name| self.blueprint.zone_named(&name));
        match asked {
            Some(zone) => vec![zone],
            None => (0..self.blueprint.zones.len()).map(ZoneId::from_index).collect(),
        }
    }

    /// The monitor that the Service asks for, with what the platform states of monitors.
    fn monitor(&mut self, spec: Option<&MonitorSpec>, object: &Object) -> Option<HealthMonitor> {
        let is_asked = match annotation(object, "enable-health-monitor") {
            None => spec.is_some(),
            Some(text) => match text.value.as_str() {
                "true" => true,
                "false" => false,
                _ => {
                    self.unreadable(object, &text, "true or false");
                    return None;
                }
            },
        };
        if !is_asked {
            return None;
        }
        let mut monitor = HealthMonitor::default();
        if let Some(spec) = spec {
            monitor = HealthMonitor {
                delay: spec.delay.map_or(monitor.delay, |it| it.value),
                timeout: spec.timeout.map_or(monitor.timeout, |it| it.value),
                rise: spec.max_retries.map_or(monitor.rise, |it| it.value),
                fall: spec.max_retries_down.map_or(monitor.fall, |it| it.value),
            };
            for checks in [spec.max_retries, spec.max_retries_down].into_iter().flatten() {
                if !(1..=CHECKS_MAX).contains(&checks.value) {
                    let message = format!("a monitor waits for 1 to {CHECKS_MAX} checks");
                    self.report(Code::E0021, checks.span, message);
                }
            }
            if let Some(delay) = spec.delay.filter(|it| it.value.is_zero()) {
                self.report(Code::E0021, delay.span, "a monitor waits between its checks");
            }
        }
        if let Some(delay) = self.number(object, "health-monitor-delay") {
            monitor.delay = span_of_secs(delay);
        }
        if let Some(timeout) = self.number(object, "health-monitor-timeout") {
            monitor.timeout = span_of_secs(timeout);
        }
        if let Some(rise) = self.number(object, "health-monitor-max-retries") {
            monitor.rise = rise;
        }
        if let Some(fall) = self.number(object, "health-monitor-max-retries-down") {
            monitor.fall = fall;
        }
        monitor.delay = monitor.delay.max(SimSpan::from_secs(1));
        monitor.rise = monitor.rise.clamp(1, CHECKS_MAX);
        monitor.fall = monitor.fall.clamp(1, CHECKS_MAX);
        Some(monitor)
    }

    fn connect_timeout(&mut self, spec: &LoadBalancerSpec, object: &Object) -> SimSpan {
        if let Some(millis) = self.number(object, "timeout-member-connect") {
            return span_of_millis(millis.max(1));
        }
        let Some(stated) = spec.connect_timeout else { return LoadBalancer::CONNECT_TIMEOUT };
        if stated.value.is_zero() {
            self.report(Code::E0021, stated.span, "a connection takes some time");
        }
        stated.value.max(SimSpan::from_millis(1))
    }

    fn failover(&mut self, spec: Option<&FailoverSpec>) -> Failover {
        let default = Failover::default();
        let Some(spec) = spec else { return default };
        let least = spec.build_least.map_or(default.build.least, |it| it.value);
        let most = spec.build_most.map_or(default.build.most.max(least), |it| it.value);
        if let Some(stated) = spec.build_most
            && stated.value < least
        {
            let message = "the most that a machine takes is less than the least";
            self.report(Code::E0021, stated.span, message);
        }
        Failover {
            heartbeat_timeout: spec
                .heartbeat_timeout
                .map_or(default.heartbeat_timeout, |it| it.value),
            build: Range { least, most: most.max(least) },
            ..default
        }
    }

    /// A whole number in an annotation of a Service.
    fn number(&mut self, object: &Object, key: &str) -> Option<u32> {
        let text = annotation(object, key)?;
        let number = text.value.parse::<u32>().ok().filter(|number| *number > 0);
        if number.is_none() {
            self.unreadable(object, &text, "a whole number above 0");
        }
        number
    }

    fn unreadable(&mut self, object: &Object, text: &Spanned<String>, wanted: &str) {
        let message = format!("{}: `{}` is not {wanted}", object.title(), text.value);
        self.report(Code::E0053, text.span, message);
    }

    /// A fault that takes machines of a balancer.
    pub(super) fn machine_loss(&mut self, spec: &BalancerMachineLossSpec) -> Option<FaultKind> {
        let balancers = &self.blueprint.balancers;
        let names: Vec<String> = balancers.iter().map(|it| it.name.clone()).collect();
        let idx = look_up("load balancer", &spec.balancer, &names, self.diagnostics)?;
        let balancer = BalancerId::from_index(idx);
        let takes_standby = spec.both.unwrap_or(false);
        if takes_standby && self.blueprint.balancers[idx].machine_zones.len() < 2 {
            let message = format!("`{}` has a single machine", spec.balancer.value);
            self.report(Code::W0129, spec.balancer.span, message);
        }
        Some(FaultKind::BalancerMachineLoss { balancer, takes_standby })
    }
}

/// An annotation of the cloud controller manager, with its place.
fn annotation(object: &Object, key: &str) -> Option<Spanned<String>> {
    let key = format!("{ANNOTATIONS}{key}");
    let node = object.node.at(&["metadata", "annotations", &key])?;
    Some(Spanned { value: node.text()?.to_owned(), span: node.span })
}
