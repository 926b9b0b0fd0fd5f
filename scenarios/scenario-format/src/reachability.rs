//! Which connections that requests need are denied by network policies.
//!
//! Looked at are clients and what they ask, gateways and the Services behind them, Services and what
//! they depend on, Services and the databases that they write to. A connection counts as denied when some pods of the caller
//! reach some pods of the callee at none of its ports.

use std::collections::BTreeSet;

use model_api::kube::network_policy::{Denial, Direction, Party, TargetPort, denial};
use model_api::kube::{Labels, NetworkPolicy, PodTemplate, Workload};
use model_api::path::{Callee, DeniedCall};
use model_api::{Blueprint, ServiceId};

use crate::manifest::Manifests;

/// Where PostgreSQL listens.
const POSTGRESQL_PORT: &str = "5432";
/// Where the cluster's DNS listens.
pub(crate) const DNS_PORT: &str = "53";
/// Namespace and label of the pods of CoreDNS, as kubeadm installs it.
pub(crate) const DNS: (&str, &str, &str) = ("kube-system", "k8s-app", "kube-dns");

/// What is denied, with the reasons.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Connections that requests need.
    pub(crate) connections: Vec<(Connection, Denial)>,
    /// Workloads whose pods call others and cannot ask DNS: positions in the manifests.
    pub(crate) without_dns: Vec<(usize, Denial)>,
}

impl Findings {
    /// Looks at everything that requests do.
    pub(crate) fn of(manifests: &Manifests, blueprint: &Blueprint) -> Self {
        let mut findings = Self::default();
        if manifests.network_policies.is_empty() {
            return findings;
        }
        let policies: Vec<NetworkPolicy> =
            manifests.network_policies.iter().map(|it| it.value.clone()).collect();
        let net = Net { manifests, blueprint, policies: &policies };
        let mut callers: BTreeSet<usize> = BTreeSet::new();
        for connection in net.connections() {
            let pairs = net.pairs(&connection);
            callers.extend(pairs.iter().filter_map(|(caller, _)| *caller));
            let denied = |&(caller, callee)| net.denial(caller, &connection, callee);
            if let Some(denial) = pairs.iter().find_map(denied) {
                findings.connections.push((connection, denial));
            }
        }
        let denied = |&caller: &usize| Some((caller, net.dns_denial(caller)?));
        findings.without_dns = callers.iter().filter_map(denied).collect();
        findings
    }

    /// The connections, as models see them.
    pub(crate) fn calls(&self) -> Vec<DeniedCall> {
        let calls = self.connections.iter();
        calls.map(|(it, _)| DeniedCall { caller: it.caller, callee: it.callee }).collect()
    }
}

/// A connection that requests need.
#[derive(Debug)]
pub(crate) struct Connection {
    /// A Service, or clients from outside.
    pub(crate) caller: Option<ServiceId>,
    pub(crate) callee: Callee,
    /// Whose pods are connected to: positions in the manifests.
    pub(crate) workloads: Vec<usize>,
    /// At any of these.
    pub(crate) ports: Vec<TargetPort>,
}

/// Policies and what they look at.
struct Net<'a> {
    manifests: &'a Manifests,
    blueprint: &'a Blueprint,
    policies: &'a [NetworkPolicy],
}

impl Net<'_> {
    /// Every connection that a request makes, once.
    fn connections(&self) -> Vec<Connection> {
        let mut connections = Vec::new();
        for load in &self.blueprint.loads {
            match load.via {
                Some(gateway) => {
                    connections.push(self.to_service(None, gateway));
                    connections.push(self.to_service(Some(gateway), load.service));
                }
                None => connections.push(self.to_service(None, load.service)),
            }
        }
        for profile in &self.blueprint.profiles {
            for &callee in &profile.depends_on {
                connections.push(self.to_service(Some(profile.service), callee));
            }
            for &id in &profile.writes_to {
                connections.push(Connection {
                    caller: Some(profile.service),
                    callee: Callee::Database(id),
                    workloads: vec![self.blueprint.databases[id.index()].workload.index()],
                    ports: vec![TargetPort::tcp(POSTGRESQL_PORT)],
                });
            }
        }
        let mut seen = BTreeSet::new();
        connections.retain(|it| seen.insert((it.caller, it.callee)));
        connections
    }

    fn to_service(&self, caller: Option<ServiceId>, callee: ServiceId) -> Connection {
        let ports = &self.blueprint.services[callee.index()].ports;
        Connection {
            caller,
            callee: Callee::Service(callee),
            workloads: self.workloads_of(callee),
            ports: ports.iter().map(|port| TargetPort::tcp(port.target.clone())).collect(),
        }
    }

    /// Whose pods a Service sends requests to: positions in the manifests.
    fn workloads_of(&self, service: ServiceId) -> Vec<usize> {
        let service = &self.blueprint.services[service.index()];
        let is_its = |it: &Workload| service.selects(&it.namespace, &it.template.labels);
        let workloads = self.manifests.workloads.iter().enumerate();
        workloads.filter(|(_, it)| is_its(&it.value)).map(|(idx, _)| idx).collect()
    }

    /// Workloads whose pods connect; no caller stands for clients from outside.
    fn pairs(&self, connection: &Connection) -> Vec<(Option<usize>, usize)> {
        let callers = match connection.caller {
            None => vec![None],
            Some(id) => self.workloads_of(id).into_iter().map(Some).collect(),
        };
        let callees = &connection.workloads;
        let pairs = callers.iter().flat_map(|&from| callees.iter().map(move |&to| (from, to)));
        pairs.collect()
    }

    /// Why no port of `callee` is open to `caller`, if none is.
    fn denial(
        &self,
        caller: Option<usize>,
        connection: &Connection,
        callee: usize,
    ) -> Option<Denial> {
        if caller.is_none() && !self.is_reached_from_outside(connection) {
            return self.denial_to_all(callee);
        }
        let ports = &connection.ports;
        let labels = [caller, Some(callee)].map(|idx| idx.map(|idx| self.namespace_labels(idx)));
        let [caller, callee] = [(caller, &labels[0]), (Some(callee), &labels[1])]
            .map(|(idx, labels)| self.party(idx, labels.as_ref()));
        let mut denied = None;
        for port in ports {
            denied = Some(denial(self.policies, caller, callee, port)?);
        }
        denied
    }

    /// Whether clients of a Service come from outside of the cluster. Without a type that lets them, they
    /// are pods that nobody states, or come through a gateway that nobody states.
    fn is_reached_from_outside(&self, connection: &Connection) -> bool {
        let Callee::Service(id) = connection.callee else { return false };
        let is_gateway = self.blueprint.loads.iter().any(|load| load.via == Some(id));
        is_gateway || self.blueprint.services[id.index()].is_external
    }

    /// Why nobody at all can connect to a workload's pods: policies select them, and none of them
    /// has a rule.
    fn denial_to_all(&self, workload_idx: usize) -> Option<Denial> {
        let workload = &self.manifests.workloads[workload_idx].value;
        let selects = |it: &NetworkPolicy| {
            it.namespace == workload.namespace && it.pod_selector.matches(&workload.template.labels)
        };
        let policies = self.policies.iter().enumerate().filter(|(_, it)| selects(it));
        let rules: Vec<(usize, bool)> =
            policies.filter_map(|(idx, it)| Some((idx, it.ingress.as_ref()?.is_empty()))).collect();
        let is_denied = !rules.is_empty() && rules.iter().all(|(_, is_empty)| *is_empty);
        let policies = rules.into_iter().map(|(idx, _)| idx).collect();
        is_denied.then_some(Denial { direction: Direction::Ingress, policies })
    }

    /// Why a workload's pods cannot ask DNS, if so.
    fn dns_denial(&self, workload_idx: usize) -> Option<Denial> {
        let (namespace, key, value) = DNS;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let namespace_labels = self.manifests.labels_of_namespace(namespace);
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
        self.manifests.labels_of_namespace(name)
    }
}
