//! Connections that network policies deny: W0150 to W0152.
//!
//! Checked against who calls whom: gateways and the Services behind them, Services and what they
//! depend on, Services and the databases that they write to.

use std::collections::BTreeSet;

use model_api::ServiceId;
use model_api::kube::network_policy::{Denial, Direction, Party, TargetPort, denial};
use model_api::kube::{Labels, NetworkPolicy, PodTemplate, Workload};

use super::{Lint, listed};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{NAMESPACE_NAME_LABEL, Object};

/// Where PostgreSQL listens.
const POSTGRESQL_PORT: &str = "5432";
/// Where and how the cluster's DNS runs, as kubeadm installs CoreDNS.
const DNS: (&str, &str, &str) = ("kube-system", "k8s-app", "kube-dns");
const DNS_PORT: &str = "53";

impl<'a> Lint<'a> {
    pub(super) fn network_policies(&mut self) {
        if self.manifests.network_policies.is_empty() {
            return;
        }
        let policies: Vec<NetworkPolicy> =
            self.manifests.network_policies.iter().map(|it| it.value.clone()).collect();
        let net = Net { manifests: self.manifests, policies: &policies };
        let mut callers: BTreeSet<usize> = BTreeSet::new();
        for connection in self.connections() {
            for (caller, callee) in net.pairs(self, &connection) {
                callers.extend(caller);
                let Some(denial) = net.denial(caller, callee, &connection.ports) else { continue };
                self.denied(&connection, &denial);
                break;
            }
        }
        for caller in callers {
            if let Some(denial) = net.dns_denial(caller) {
                self.without_dns(caller, &denial);
            }
        }
        self.open_rules();
    }

    /// Every connection that a request makes, once.
    fn connections(&self) -> Vec<Connection> {
        let mut connections = Vec::new();
        for load in &self.blueprint.loads {
            if let Some(gateway) = load.via {
                connections.push(Connection::to_service(self, None, gateway));
                connections.push(Connection::to_service(self, Some(gateway), load.service));
            }
        }
        for profile in &self.blueprint.profiles {
            for &callee in &profile.depends_on {
                connections.push(Connection::to_service(self, Some(profile.service), callee));
            }
            for database in &profile.writes_to {
                let database = &self.blueprint.databases[database.index()];
                connections.push(Connection {
                    caller: Some(profile.service),
                    callee: format!("database {}/{}", database.namespace, database.name),
                    workloads: vec![database.workload.index()],
                    ports: vec![TargetPort::tcp(POSTGRESQL_PORT)],
                });
            }
        }
        let mut seen = BTreeSet::new();
        connections.retain(|it| seen.insert((it.caller, it.callee.clone())));
        connections
    }

    /// W0150.
    fn denied(&mut self, connection: &Connection, denial: &Denial) {
        let caller = connection.caller.map_or_else(
            || "clients from outside".to_owned(),
            |id| self.blueprint.service_name(id),
        );
        let (object, path) = self.place_of(denial);
        let (whom, verb) = match denial.direction {
            Direction::Ingress => (&connection.callee, "may be reached only as this allows"),
            Direction::Egress => (&caller, "may connect only as this allows"),
        };
        let message = format!(
            "{}: {caller} cannot connect to {}, which its requests need",
            object.title(),
            connection.callee
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

/// A connection that requests need.
struct Connection {
    /// A Service, or clients from outside.
    caller: Option<ServiceId>,
    /// In words.
    callee: String,
    /// Whose pods are connected to: positions in the manifests.
    workloads: Vec<usize>,
    /// At any of these.
    ports: Vec<TargetPort>,
}

impl Connection {
    fn to_service(lint: &Lint<'_>, caller: Option<ServiceId>, callee: ServiceId) -> Self {
        let service = &lint.blueprint.services[callee.index()];
        Self {
            caller,
            callee: lint.blueprint.service_name(callee),
            workloads: workloads_of(lint, callee),
            ports: service.ports.iter().map(|port| TargetPort::tcp(port.target.clone())).collect(),
        }
    }
}

/// Whose pods a Service sends requests to: positions in the manifests.
fn workloads_of(lint: &Lint<'_>, service: ServiceId) -> Vec<usize> {
    let service = &lint.blueprint.services[service.index()];
    let is_its = |it: &Workload| service.selects(&it.namespace, &it.template.labels);
    let workloads = lint.manifests.workloads.iter().enumerate();
    workloads.filter(|(_, it)| is_its(&it.value)).map(|(idx, _)| idx).collect()
}

/// Policies and what they look at.
struct Net<'a> {
    manifests: &'a crate::manifest::Manifests,
    policies: &'a [NetworkPolicy],
}

impl Net<'_> {
    /// Workloads whose pods connect; no caller stands for clients from outside.
    fn pairs(&self, lint: &Lint<'_>, connection: &Connection) -> Vec<(Option<usize>, usize)> {
        let callers = match connection.caller {
            None => vec![None],
            Some(id) => workloads_of(lint, id).into_iter().map(Some).collect(),
        };
        let pairs = callers
            .iter()
            .flat_map(|caller| connection.workloads.iter().map(move |callee| (*caller, *callee)));
        pairs.collect()
    }

    /// Why no port of `callee` is open to `caller`, if none is.
    fn denial(&self, caller: Option<usize>, callee: usize, ports: &[TargetPort]) -> Option<Denial> {
        let labels = [caller, Some(callee)].map(|idx| idx.map(|idx| self.namespace_labels(idx)));
        let [caller, callee] = [(caller, &labels[0]), (Some(callee), &labels[1])]
            .map(|(idx, labels)| self.party(idx, labels.as_ref()));
        let mut denied = None;
        for port in ports {
            denied = Some(denial(self.policies, caller, callee, port)?);
        }
        denied
    }

    /// Why a workload's pods cannot ask DNS, if so.
    fn dns_denial(&self, workload_idx: usize) -> Option<Denial> {
        let (namespace, key, value) = DNS;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let written = self.manifests.namespace_labels.get(namespace);
        let namespace_labels = written
            .cloned()
            .unwrap_or_else(|| [pair(NAMESPACE_NAME_LABEL, namespace)].into_iter().collect());
        let template = PodTemplate {
            labels: [pair(key, value)].into_iter().collect(),
            ..PodTemplate::default()
        };
        let dns =
            Party::Pod { namespace, namespace_labels: &namespace_labels, template: &template };
        let labels = self.namespace_labels(workload_idx);
        let asking = self.party(Some(workload_idx), Some(&labels));
        let denied = denial(self.policies, asking, dns, &TargetPort::udp(DNS_PORT))?;
        (denied.direction == Direction::Egress).then_some(denied)
    }

    fn party<'a>(&'a self, workload_idx: Option<usize>, labels: Option<&'a Labels>) -> Party<'a> {
        let (Some(idx), Some(namespace_labels)) = (workload_idx, labels) else {
            return Party::Outside;
        };
        let workload = &self.manifests.workloads[idx].value;
        Party::Pod {
            namespace: &workload.namespace,
            namespace_labels,
            template: &workload.template,
        }
    }

    /// Labels of a workload's namespace, which need not be written.
    fn namespace_labels(&self, workload_idx: usize) -> Labels {
        let name = &self.manifests.workloads[workload_idx].value.namespace;
        self.manifests.namespace_labels.get(name).cloned().unwrap_or_else(|| {
            [(NAMESPACE_NAME_LABEL.to_owned(), name.clone())].into_iter().collect()
        })
    }
}
