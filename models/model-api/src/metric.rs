//! What the metrics of requests are that autoscalers read.

use sim_kernel::SimSpan;

use crate::blueprint::Blueprint;
use crate::ids::{ServiceId, WorkloadId};
use crate::kube::{HorizontalPodAutoscaler, MetricSource, ResourceList};
use crate::source::Origin;

/// A metric that an adapter serves to autoscalers: of pods, of an object or from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMetric {
    /// Its name, as autoscalers state it.
    pub name: String,
    /// What it measures.
    pub figure: RequestFigure,
    /// Whose requests; those of whatever the autoscaler asks for when `None`.
    pub service: Option<ServiceId>,
    /// From one scrape to the next.
    pub scrape_interval: SimSpan,
    /// What a rate is the mean over.
    pub window: SimSpan,
    /// Where it was written.
    pub origin: Origin,
}

/// A figure of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestFigure {
    /// Requests a second.
    Rate,
    /// Requests that are there at once, waiting ones included.
    InFlight,
}

impl Blueprint {
    /// The workload that a horizontal autoscaler scales.
    pub fn horizontal_target(&self, autoscaler: &HorizontalPodAutoscaler) -> Option<WorkloadId> {
        let idx = self.workloads.iter().position(|workload| {
            workload.namespace == autoscaler.namespace
                && workload.name == autoscaler.target.name
                && workload.kind.name() == autoscaler.target.kind
        })?;
        Some(WorkloadId::from_index(idx))
    }

    /// What a metric of requests is, and of which Services it tells: those that are stated, else those
    /// that the pods of the target stand behind, or that the object is or leads to. `None` when it is
    /// not known what it is, or it tells of no Service.
    pub fn request_metric(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        source: &MetricSource,
    ) -> Option<(&RequestMetric, Vec<ServiceId>)> {
        let metric = self.metrics.iter().find(|it| Some(&it.name) == name_of(source))?;
        let services = match metric.service {
            Some(service) => vec![service],
            None => self.services_asked_for(autoscaler, source),
        };
        (!services.is_empty()).then_some((metric, services))
    }

    /// The Services that a metric tells of by itself.
    pub fn services_asked_for(
        &self,
        autoscaler: &HorizontalPodAutoscaler,
        source: &MetricSource,
    ) -> Vec<ServiceId> {
        match source {
            MetricSource::Pods(_) => {
                self.horizontal_target(autoscaler).map_or(Vec::new(), |it| self.services_before(it))
            }
            MetricSource::Object { described, .. } => {
                let is_named = |namespace: &str, name: &str| {
                    namespace == autoscaler.namespace && name == described.name
                };
                let leads_to = |name: &str| match described.kind.as_str() {
                    "Service" => name == described.name,
                    "Ingress" => self.ingresses.iter().any(|ingress| {
                        is_named(&ingress.namespace, &ingress.name) && ingress.service_name == name
                    }),
                    _ => false,
                };
                let services = (0..).zip(&self.services);
                let found = services.filter(|(_, service)| {
                    service.namespace == autoscaler.namespace && leads_to(&service.name)
                });
                found.map(|(idx, _)| ServiceId(idx)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The Services that send requests to the pods of a workload.
    pub fn services_before(&self, workload: WorkloadId) -> Vec<ServiceId> {
        let workload = &self.workloads[workload.index()];
        let services = (0..).zip(&self.services);
        let found = services
            .filter(|(_, service)| service.selects(&workload.namespace, &workload.template.labels));
        found.map(|(idx, _)| ServiceId(idx)).collect()
    }

    /// Whether it is stated how much memory the pods of a workload use: all of them, or a container of
    /// theirs.
    pub fn is_memory_stated(&self, workload: WorkloadId, container: Option<&str>) -> bool {
        let Some(profile) = self.memory.iter().find(|it| it.workload == workload) else {
            return false;
        };
        let containers = &self.workloads[workload.index()].template.spec.containers;
        let stated = containers.get(profile.container).map(|it| it.name.as_str());
        container.is_none() || container == stated
    }

    /// Whether a metric of an autoscaler takes part in a run: CPU, memory that is stated, requests of
    /// Services, and what fails whatever is measured.
    pub fn is_measured(&self, autoscaler: &HorizontalPodAutoscaler, source: &MetricSource) -> bool {
        let (name, container) = match source {
            MetricSource::Resource { name } => (name, None),
            MetricSource::ContainerResource { name, container } => (name, Some(container.as_str())),
            MetricSource::Unknown { .. } => return true,
            _ => return self.request_metric(autoscaler, source).is_some(),
        };
        let is_stated = |workload| self.is_memory_stated(workload, container);
        name == ResourceList::CPU
            || name == ResourceList::MEMORY
                && self.horizontal_target(autoscaler).is_some_and(is_stated)
    }
}

/// The name of a metric that is not of a resource.
pub fn name_of(source: &MetricSource) -> Option<&String> {
    match source {
        MetricSource::Pods(metric)
        | MetricSource::Object { metric, .. }
        | MetricSource::External(metric) => Some(&metric.name),
        MetricSource::Resource { .. }
        | MetricSource::ContainerResource { .. }
        | MetricSource::Unknown { .. } => None,
    }
}
