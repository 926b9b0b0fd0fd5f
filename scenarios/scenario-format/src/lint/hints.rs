//! Requests that stay in their zone: W0186 and W0187.

use model_api::ServiceId;
use model_api::kube::{Service, TrafficDistribution, UnsatisfiableAction, Workload, WorkloadKind};

use super::Lint;
use crate::diagnostic::Code;

const ZONE: &str = "topology.kubernetes.io/zone";

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
        if !self.blueprint.is_divided_by_zone(id) {
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
        if !self.blueprint.is_divided_by_zone(id) || service.has_topology_mode_auto {
            return None;
        }
        let mut its = self.workloads().map(|(workload, _)| workload).filter(|workload| {
            service.selects(&workload.namespace, &workload.template.labels)
                && workload.replicas > 1
                && !matches!(workload.kind, WorkloadKind::DaemonSet { .. })
        });
        its.find(|workload| !is_strictly_spread(workload))
    }

    fn id_of(&self, service: &Service) -> Option<ServiceId> {
        let is_it = |other: &Service| {
            (&other.namespace, &other.name) == (&service.namespace, &service.name)
        };
        self.blueprint.services.iter().position(is_it).map(ServiceId::from_index)
    }
}

/// Whether no two zones can differ by more than a pod.
fn is_strictly_spread(workload: &Workload) -> bool {
    let spec = &workload.template.spec;
    let labels = &workload.template.labels;
    let by_constraint = spec.topology_spread_constraints.iter().any(|constraint| {
        constraint.topology_key == ZONE
            && constraint.when_unsatisfiable == UnsatisfiableAction::DoNotSchedule
            && constraint.max_skew == 1
            && constraint.label_selector.as_ref().is_some_and(|it| it.matches(labels))
    });
    let by_affinity = spec.affinity.pod_anti_required.iter().any(|term| {
        term.topology_key == ZONE
            && term.label_selector.as_ref().is_some_and(|it| it.matches(labels))
    });
    by_constraint || by_affinity
}
