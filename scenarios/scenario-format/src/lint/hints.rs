//! Requests that stay in their zone or on their node: W0186, W0187, and W0223 to W0226.

use model_api::ServiceId;
use model_api::kube::{Service, TrafficDistribution, UnsatisfiableAction, Workload, WorkloadKind};

use super::Lint;
use crate::diagnostic::Code;
use crate::manifest::Object;

const ZONE: &str = "topology.kubernetes.io/zone";
const HOST: &str = "kubernetes.io/hostname";

impl Lint<'_> {
    pub(super) fn hints(&mut self) {
        for (service, object) in self.services() {
            let mode = "metadata.annotations";
            let path =
                if service.has_topology_mode_auto { mode } else { "spec.trafficDistribution" };
            if let Some(why) = self.heeds_none(service) {
                let message = format!("{}: nobody heeds its hints: {why}", object.title());
                self.warn(Code::W0187, object, path, message);
            } else if let Some(workload) = self.uneven_pods(service) {
                let message = format!(
                    "{}: each zone sends its requests to its own pods, and nothing holds those of \
                     {} evenly in all zones",
                    object.title(),
                    workload.name
                );
                self.warn(Code::W0186, object, path, message);
            }
        }
    }

    /// Services whose traffic policy is `Local`.
    pub(super) fn traffic_policies(&mut self) {
        for (service, object) in self.services() {
            let (inside, outside) = (service.is_local_inside(), service.is_local_from_outside());
            let Some(id) = self.id_of(service).filter(|_| inside || outside) else { continue };
            let field = if inside { "internalTrafficPolicy" } else { "externalTrafficPolicy" };
            if self.blueprint.nodes.len() > 1 && !self.blueprint.is_divided(id) {
                let message = format!(
                    "{}: a canary divides its requests, so that its traffic policies are not played",
                    object.title()
                );
                self.warn(Code::W0226, object, &format!("spec.{field}"), message);
                continue;
            }
            let is_its = |workload: &&Workload| {
                !matches!(workload.kind, WorkloadKind::DaemonSet { .. })
                    && service.selects(&workload.namespace, &workload.template.labels)
            };
            let its = self.workloads().map(|(workload, _)| workload).filter(is_its);
            let its: Vec<&Workload> = its.collect();
            if inside && self.is_called_inside(id) {
                self.check_inside(object, &its);
            }
            if outside {
                self.check_outside(id, object, &its);
            }
        }
    }

    fn check_inside(&mut self, object: &Object, its: &[&Workload]) {
        if let Some(workload) = its.first() {
            let message = format!(
                "{}: calls from nodes without a pod of {} are dropped",
                object.title(),
                workload.name
            );
            self.warn(Code::W0223, object, "spec.internalTrafficPolicy", message);
        }
    }

    fn check_outside(&mut self, id: ServiceId, object: &Object, its: &[&Workload]) {
        if self.blueprint.balancer_of(id).is_some_and(|it| it.monitor.is_none()) {
            let message = format!(
                "{}: its load balancer leads to nodes without a pod too, because nobody looks \
                 after its nodes",
                object.title()
            );
            self.warn(Code::W0224, object, "spec.externalTrafficPolicy", message);
        }
        let is_uneven =
            |workload: &&&Workload| workload.replicas > 1 && !is_spread_over(workload, HOST);
        if let Some(workload) = its.iter().find(is_uneven) {
            let message = format!(
                "{}: each node gets as many connections as another, however many pods of {} are \
                 on it, and nothing holds these on nodes of their own",
                object.title(),
                workload.name
            );
            self.warn(Code::W0225, object, "spec.externalTrafficPolicy", message);
        }
    }

    /// Whether proxies choose its endpoints for somebody inside the cluster.
    fn is_called_inside(&self, id: ServiceId) -> bool {
        let is_upstream = self.blueprint.services[id.index()].is_service_upstream;
        let mut loads = self.blueprint.loads.iter();
        self.blueprint.profiles.iter().any(|it| it.depends_on.contains(&id))
            || is_upstream && loads.any(|load| load.service == id && load.via.is_some())
    }

    /// Why proxies do not divide the requests of a Service that asks for it.
    fn heeds_none(&self, service: &Service) -> Option<&'static str> {
        let asks = service.has_topology_mode_auto
            || service.traffic_distribution != TrafficDistribution::None;
        if !asks || self.blueprint.zones.len() < 2 {
            return None;
        }
        if service.is_headless {
            return Some("it is headless, so that clients find pods by name");
        }
        let id = self.id_of(service)?;
        if !self.blueprint.is_divided(id) {
            return Some("a canary divides its requests");
        }
        let mut loads = self.blueprint.loads.iter().filter(|load| load.service == id).peekable();
        let is_called = self.blueprint.profiles.iter().any(|it| it.depends_on.contains(&id));
        let is_behind_gateway = loads.peek().is_some() && loads.all(|load| load.via.is_some());
        (is_behind_gateway && !is_called && !service.is_service_upstream)
            .then_some("its gateway sends requests to the pods itself")
    }

    /// A workload of several pods behind a Service that keeps requests in their zone, which nothing
    /// spreads strictly over zones. `topology-mode: Auto` drops its hints by itself.
    fn uneven_pods(&self, service: &Service) -> Option<&Workload> {
        let id = self.id_of(service)?;
        if !self.blueprint.is_divided(id) || service.has_topology_mode_auto {
            return None;
        }
        let mut its = self.workloads().map(|(workload, _)| workload).filter(|workload| {
            service.selects(&workload.namespace, &workload.template.labels)
                && workload.replicas > 1
                && !matches!(workload.kind, WorkloadKind::DaemonSet { .. })
        });
        its.find(|workload| !is_strictly_spread(workload))
    }
}

/// Whether no two zones can differ by more than a pod.
fn is_strictly_spread(workload: &Workload) -> bool {
    is_spread_over(workload, ZONE)
}

/// Whether no two places of this topology can differ by more than a pod.
fn is_spread_over(workload: &Workload, topology_key: &str) -> bool {
    let spec = &workload.template.spec;
    let labels = &workload.template.labels;
    let by_constraint = spec.topology_spread_constraints.iter().any(|constraint| {
        constraint.topology_key == topology_key
            && constraint.when_unsatisfiable == UnsatisfiableAction::DoNotSchedule
            && constraint.max_skew == 1
            && constraint.label_selector.as_ref().is_some_and(|it| it.matches(labels))
    });
    let by_affinity = spec.affinity.pod_anti_required.iter().any(|term| {
        term.topology_key == topology_key
            && term.label_selector.as_ref().is_some_and(|it| it.matches(labels))
    });
    by_constraint || by_affinity
}
