//! Faults of the control plane and of registries: what they hit.

use model_api::SimSpan;
use model_api::control_plane::MemberPart;
use model_api::fault::{ApiFlood, ControlPlaneFault, FaultKind, MemberPick, PriorityLevel};
use model_api::kube::{SourceKind, asks_cloud, registry_host};

use super::super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    ApiFloodSpec, ApiServerSpec, ConfigurationDeletedSpec, EtcdDiskSpec, EtcdMemberSpec, EtcdRole,
    LeaderKillSpec, MemberLossSpec, PlainFaultSpec, RegistryOutageSpec, SlowApiSpec,
    VaultSealedSpec, WebhookOutageSpec,
};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

/// `--request-timeout` of API servers.
const SLOW_MAX: SimSpan = SimSpan::from_secs(60);

/// Objects of a list: far more than an etcd holds.
const LIST_MAX: u64 = 1_000_000_000;

impl Resolver<'_> {
    pub(super) fn member_loss(&mut self, spec: &MemberLossSpec) -> Option<FaultKind> {
        self.want_members(spec.span);
        let zone = match &spec.zone {
            Some(name) => Some(self.zone_pick(name)?),
            None => None,
        };
        let count = spec.count.map(|count| count.value);
        Some(FaultKind::ControlPlane(ControlPlaneFault::MemberLoss { zone, count }))
    }

    pub(super) fn etcd_member(&mut self, spec: &EtcdMemberSpec) -> Option<FaultKind> {
        let pick = self.member_pick(spec.zone.as_ref(), spec.count, spec.which, spec.span)?;
        let part = MemberPart::Etcd;
        Some(FaultKind::ControlPlane(ControlPlaneFault::MemberDown { part, pick }))
    }

    pub(super) fn etcd_disk(&mut self, spec: &EtcdDiskSpec) -> Option<FaultKind> {
        let pick = self.member_pick(spec.zone.as_ref(), spec.count, spec.which, spec.span)?;
        let latency = spec.latency.value;
        if latency.is_zero() {
            self.report(Code::E0096, spec.latency.span, "a disk that takes no longer is not slow");
        }
        Some(FaultKind::ControlPlane(ControlPlaneFault::SlowDisk { pick, latency }))
    }

    pub(super) fn api_server(&mut self, spec: &ApiServerSpec) -> Option<FaultKind> {
        let pick = self.member_pick(spec.zone.as_ref(), spec.count, None, spec.span)?;
        if self.blueprint.control_plane.balancer.is_none() {
            let text = "clients of the API reach whichever server answers, as no `loadBalancer` of the control plane is stated";
            self.assume(text, &spec.span.origin());
        }
        let part = MemberPart::ApiServer;
        Some(FaultKind::ControlPlane(ControlPlaneFault::MemberDown { part, pick }))
    }

    fn member_pick(
        &mut self,
        zone: Option<&Spanned<String>>,
        count: Option<Spanned<u32>>,
        which: Option<Spanned<EtcdRole>>,
        span: Span,
    ) -> Option<MemberPick> {
        self.want_members(span);
        if let Some(count) = count.filter(|it| it.value == 0) {
            self.report(Code::E0096, count.span, "a fault of no member is none");
        }
        let zone = match zone {
            Some(name) => Some(self.zone_pick(name)?),
            None => None,
        };
        let leads = which.map(|it| it.value == EtcdRole::Leader);
        Some(MemberPick { zone, count: count.map_or(1, |it| it.value), leads })
    }

    pub(super) fn api_balancer(&mut self, spec: &PlainFaultSpec) -> FaultKind {
        if self.blueprint.control_plane.balancer.is_none() {
            let message = "the platform states no load balancer before its API servers";
            let help = "add `loadBalancer: {}` to `controlPlane`";
            self.diagnostics.push(Diagnostic::new(Code::E0095, spec.span, message).help(help));
        }
        FaultKind::ControlPlane(ControlPlaneFault::ApiBalancerOutage)
    }

    pub(super) fn leader_kill(&mut self, spec: &LeaderKillSpec) -> FaultKind {
        self.want_members(spec.span);
        FaultKind::ControlPlane(ControlPlaneFault::LeaderKill(spec.of.value.0))
    }

    pub(super) fn api_outage(_: &PlainFaultSpec) -> FaultKind {
        FaultKind::ControlPlane(ControlPlaneFault::ApiOutage)
    }

    pub(super) fn cloud_api_outage(&mut self, spec: &PlainFaultSpec) -> FaultKind {
        if !asks_cloud(&self.blueprint) {
            let message = "nothing here asks the cloud: no load balancer, no node pool with `autoscaling`, no volume of it";
            self.report(Code::W0129, spec.span, message);
        }
        FaultKind::ControlPlane(ControlPlaneFault::CloudApiOutage)
    }

    pub(super) fn api_flood(&mut self, spec: &ApiFloodSpec) -> FaultKind {
        let objects = spec.objects.map_or(0, |it| it.value);
        if let Some(objects) = spec.objects.filter(|it| it.value > LIST_MAX) {
            let message = format!("a list has at most {LIST_MAX} objects");
            self.report(Code::E0021, objects.span, message);
        }
        let flows = spec.clients.map_or(1, |it| it.value);
        if let Some(clients) = spec.clients.filter(|it| it.value == 0) {
            self.report(Code::E0047, clients.span, "without clients there are no requests");
        }
        if let Some(takes) = spec.takes.filter(|it| it.value.is_zero()) {
            self.report(Code::E0047, takes.span, "a request that takes no time floods nothing");
        }
        let level = spec.r#as.value.0;
        if level == PriorityLevel::Exempt {
            let message = "the exempt level has no limit: what such requests cost the CPU of API servers is not modelled";
            self.report(Code::W0178, spec.r#as.span, message);
        }
        if spec.takes.is_none() {
            let text = "a request of a flood takes 20 ms and 50 us for each object, where nothing is stated";
            self.assume(text, &spec.span.origin());
        }
        self.assume_servers(spec.span);
        FaultKind::ControlPlane(ControlPlaneFault::ApiFlood(ApiFlood {
            level,
            millirps: spec.requests.value.millirps,
            objects,
            takes: spec.takes.map(|it| it.value),
            flows,
            is_mutating: spec.writes.unwrap_or(objects == 0),
        }))
    }

    pub(super) fn slow_api(&mut self, spec: &SlowApiSpec) -> FaultKind {
        let latency = spec.latency.value;
        if latency >= SLOW_MAX {
            let message = "API servers give up requests that take a minute";
            let help = "an API that stores nothing at all is an `apiOutage`";
            let diagnostic = Diagnostic::new(Code::E0048, spec.latency.span, message);
            self.diagnostics.push(diagnostic.help(help));
        }
        FaultKind::ControlPlane(ControlPlaneFault::SlowApi { latency })
    }

    fn assume_servers(&mut self, span: Span) {
        if self.blueprint.control_plane.member_zones.is_empty() {
            let text = "a control plane that is somebody else's has two API servers";
            self.assume(text, &span.origin());
        }
    }

    pub(super) fn registry_outage(&mut self, spec: &RegistryOutageSpec) -> FaultKind {
        let host = spec.registry.as_ref().map(|name| name.value.clone());
        if let Some(name) = &spec.registry {
            let pods = self.blueprint.workloads.iter().map(|workload| &workload.template.spec);
            let containers =
                pods.flat_map(|spec| spec.init_containers.iter().chain(&spec.containers));
            let hosts: Vec<&str> =
                containers.map(|container| registry_host(&container.image)).collect();
            if !hosts.contains(&name.value.as_str()) {
                let message = format!("no image comes from a registry `{}`", name.value);
                let help = suggestion(&name.value, hosts);
                let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
                self.diagnostics.push(diagnostic.help_if(help));
            }
        }
        FaultKind::ControlPlane(ControlPlaneFault::RegistryOutage { host })
    }

    pub(super) fn vault_sealed(&mut self, spec: &VaultSealedSpec) -> Option<FaultKind> {
        let service = self.service(&spec.vault)?;
        let vault = self.blueprint.vaults.iter().position(|it| it.service == service);
        let Some(vault) = vault else {
            let message = format!("`{}` is none of the vaults of the platform", spec.vault.value);
            let help = format!("add `vaults: [{{service: {}}}]` to the Platform", spec.vault.value);
            let diagnostic = Diagnostic::new(Code::E0125, spec.vault.span, message);
            self.diagnostics.push(diagnostic.help(help));
            return None;
        };
        Some(FaultKind::ControlPlane(ControlPlaneFault::VaultSealed { vault }))
    }

    pub(super) fn configuration_deleted(
        &mut self,
        spec: &ConfigurationDeletedSpec,
    ) -> Option<FaultKind> {
        let (kind, stated) = match (&spec.secret, &spec.config_map) {
            (Some(secret), None) => (SourceKind::Secret, secret),
            (None, Some(config_map)) => (SourceKind::ConfigMap, config_map),
            _ => {
                let message = "a configuration is one `secret` or one `configMap`";
                self.report(Code::E0126, spec.span, message);
                return None;
            }
        };
        let mut known: Vec<String> = Vec::new();
        for workload in &self.blueprint.workloads {
            let sources = workload.template.spec.sources.iter().filter(|it| it.kind == kind);
            known.extend(sources.map(|it| format!("{}/{}", workload.namespace, it.name)));
        }
        known.sort();
        known.dedup();
        if known.is_empty() {
            let message = format!("no pod names a {} that it needs", kind.name());
            self.report(Code::E0126, stated.span, message);
            return None;
        }
        let found = look_up(kind.name(), stated, &known, self.diagnostics)?;
        let (namespace, name) = known[found].split_once('/')?;
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let deleted = ControlPlaneFault::ConfigurationDeleted { kind, namespace, name };
        Some(FaultKind::ControlPlane(deleted))
    }

    pub(super) fn webhook_outage(&mut self, spec: &WebhookOutageSpec) -> FaultKind {
        let name = spec.webhook.value.clone();
        let webhooks = self.blueprint.webhooks.iter();
        let names: Vec<&str> =
            webhooks.flat_map(|it| [it.configuration.as_str(), it.name.as_str()]).collect();
        if !names.contains(&name.as_str()) {
            let message = format!("there is no webhook `{name}`");
            let help = suggestion(&name, names);
            let diagnostic = Diagnostic::new(Code::E0016, spec.webhook.span, message);
            self.diagnostics.push(diagnostic.help_if(help));
        }
        FaultKind::ControlPlane(ControlPlaneFault::WebhookOutage { name })
    }

    /// Without members the control plane is somebody else's and never fails.
    fn want_members(&mut self, span: Span) {
        if self.blueprint.control_plane.member_zones.is_empty() {
            let message = "the platform has no members of a control plane, so this hits nothing";
            self.report(Code::W0129, span, message);
        }
    }
}
