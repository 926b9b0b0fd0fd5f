//! Connections that network policies deny: W0150 to W0152.

use model_api::ServiceId;
use model_api::kube::network_policy::{Denial, Direction};
use model_api::path::Callee;

use super::{Lint, listed};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{NAMESPACE_NAME_LABEL, Object};
use crate::reachability::{Connection, DNS, DNS_PORT, Findings};

impl<'a> Lint<'a> {
    pub(super) fn network_policies(&mut self) {
        let findings = Findings::of(self.manifests, self.blueprint);
        for (connection, denial) in &findings.connections {
            self.denied(connection, denial);
        }
        for (workload, denial) in &findings.without_dns {
            self.without_dns(*workload, denial);
        }
        self.open_rules();
    }

    /// W0150.
    fn denied(&mut self, connection: &Connection, denial: &Denial) {
        let caller = connection.caller.map_or_else(
            || "clients from outside".to_owned(),
            |id| self.blueprint.service_name(id),
        );
        let callee = match connection.callee {
            Callee::Service(id) => self.blueprint.service_name(id),
            Callee::Database(id) => {
                let database = &self.blueprint.databases[id.index()];
                format!("database {}/{}", database.namespace, database.name)
            }
        };
        let (object, path) = self.place_of(denial);
        let (whom, verb) = match denial.direction {
            Direction::Ingress => (&callee, "may be reached only as this allows"),
            Direction::Egress => (&caller, "may connect only as this allows"),
        };
        let message = format!(
            "{}: {caller} cannot connect to {}, which its requests need",
            object.title(),
            callee
        );
        let mut diagnostic = Diagnostic::new(Code::W0150, object.span(path), message)
            .label(format!("pods of {whom} {verb}"));
        for &other in &denial.policies[1..] {
            let other = self.manifests.object(&self.manifests.network_policies[other]);
            diagnostic = diagnostic.related(other.name_span, "this one does not allow it either");
        }
        self.push(object, diagnostic.help_if(self.missing_rule(connection, denial.direction)));
    }

    /// The rule that would allow it.
    fn missing_rule(&self, connection: &Connection, direction: Direction) -> Option<String> {
        let workload_of = |id: ServiceId| {
            let service = &self.blueprint.services[id.index()];
            self.workloads()
                .map(|(it, _)| it)
                .find(|it| service.selects(&it.namespace, &it.template.labels))
        };
        let callee = *connection.workloads.first()?;
        let callee = &self.manifests.workloads[callee].value;
        let (field, peer) = match direction {
            Direction::Ingress => ("from", workload_of(connection.caller?)?),
            Direction::Egress => ("to", callee),
        };
        let port = connection.ports.first().map_or("any", |it| it.port.as_str());
        Some(format!(
            "allow it: `{field}` pods with {} in a namespace with {NAMESPACE_NAME_LABEL}: {}, port {port}",
            listed(&peer.template.labels),
            peer.namespace,
        ))
    }

    /// W0151.
    fn without_dns(&mut self, workload_idx: usize, denial: &Denial) {
        let (object, path) = self.place_of(denial);
        let workload = &self.manifests.workloads[workload_idx].value;
        let message = format!(
            "{}: pods of {}/{} cannot ask DNS, so they find no Service by its name",
            object.title(),
            workload.namespace,
            workload.name
        );
        let (namespace, key, value) = DNS;
        let help = format!(
            "allow egress to UDP and TCP port {DNS_PORT} of pods with {key}: {value} in {namespace}"
        );
        let diagnostic = Diagnostic::new(Code::W0151, object.span(path), message);
        self.push(object, diagnostic.help(help));
    }

    /// The first policy that denies a connection, and where in it.
    fn place_of(&self, denial: &Denial) -> (&'a Object, &'static str) {
        let manifests = self.manifests;
        let policy = &manifests.network_policies[denial.policies[0]];
        let path = match denial.direction {
            Direction::Ingress => "spec.ingress",
            Direction::Egress => "spec.egress",
        };
        (manifests.object(policy), path)
    }

    /// W0152.
    fn open_rules(&mut self) {
        for policy in &self.manifests.network_policies {
            let object = self.manifests.object(policy);
            let directions = [("ingress", &policy.value.ingress), ("egress", &policy.value.egress)];
            for (field, rules) in directions {
                let open = rules.iter().flatten().position(|rule| rule.is_open());
                let Some(idx) = open else { continue };
                let message = format!(
                    "{}: this rule allows all {field}, whatever else is written",
                    object.title()
                );
                let span = object.span(&format!("spec.{field}[{idx}]"));
                self.push(object, Diagnostic::new(Code::W0152, span, message));
            }
        }
    }
}
