//! Faults of the control plane and of registries: what they hit.

use model_api::fault::{ControlPlaneFault, FaultKind};
use model_api::kube::registry_host;

use super::super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    LeaderKillSpec, MemberLossSpec, PlainFaultSpec, RegistryOutageSpec, WebhookOutageSpec,
};
use crate::nearest::suggestion;
use crate::source::Span;

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

    pub(super) fn leader_kill(&mut self, spec: &LeaderKillSpec) -> FaultKind {
        self.want_members(spec.span);
        if let Some(duration) = spec.r#for {
            let message = "a killed process starts again by itself: leave `for` out";
            self.report(Code::E0017, duration.span, message);
        }
        FaultKind::ControlPlane(ControlPlaneFault::LeaderKill(spec.of.value.0))
    }

    pub(super) fn api_outage(_: &PlainFaultSpec) -> FaultKind {
        FaultKind::ControlPlane(ControlPlaneFault::ApiOutage)
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
