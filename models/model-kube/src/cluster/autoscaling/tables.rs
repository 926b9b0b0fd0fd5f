//! What is worked out of all horizontal autoscalers once.
//!
//! Sources: those of [`crate::horizontal_pod_autoscaler`].

use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, ResourceList, Service, Workload, WorkloadKind,
};
use model_api::metric::{RequestFigure, RequestMetric};
use model_api::{AutoscalerId, Blueprint, ServiceId, WorkloadId};
use sim_kernel::{EntityKey, SimSpan};

use super::meter::RESOLUTION;
use super::vertical::VerticalTables;
use crate::horizontal_pod_autoscaler::{Selector, request_of};

/// What is worked out of an autoscaler once.
#[derive(Debug)]
pub(in crate::cluster) struct ScalerTable {
    /// With those of its metrics that take part.
    pub(in crate::cluster) spec: HorizontalPodAutoscaler,
    pub(super) workload: WorkloadId,
    /// Of its metrics, in their order.
    pub(super) metrics: Vec<MetricTable>,
    pub(super) selector: Selector,
    pub(super) key: EntityKey,
}

/// What is worked out of a metric once.
#[derive(Debug)]
pub(in crate::cluster) enum MetricTable {
    /// CPU of pods, or of a container.
    Cpu {
        /// What a pod requests of it, or who requests nothing.
        request: Result<i64, String>,
        /// The container that it is about; all of them when `None`.
        container: Option<CpuOfContainer>,
    },
    /// Memory of pods, or of a container.
    Memory {
        /// What a pod requests of it, or who requests nothing.
        request: Result<i64, String>,
        /// Position among `containers`; all of them when `None`.
        container: Option<usize>,
    },
    /// Requests of Services.
    Requests(RequestTable),
    /// It fails whenever it is asked, for this reason: of a type that nobody knows, or one that nothing
    /// in the run plays, which is a metric that no adapter serves.
    Failing(&'static str),
}

/// The CPU of one container of a pod.
///
/// Simplified: requests cost CPU in the container that they come to
/// ([`model_api::kube::Service::serving_container`]), and the others use none. Of samples that somebody
/// else measured of whole pods, it has the part that it requests.
#[derive(Debug)]
pub(super) struct CpuOfContainer {
    /// Services whose requests come to it.
    pub(super) services: Vec<ServiceId>,
    /// What it requests, in parts per million of its pod.
    pub(super) share_ppm: u64,
}

/// A metric of requests.
#[derive(Debug)]
pub(super) struct RequestTable {
    pub(super) figure: RequestFigure,
    pub(super) services: Vec<ServiceId>,
    /// One value a pod, not one in all.
    pub(super) is_of_pods: bool,
    pub(super) window: SimSpan,
    pub(super) interval: SimSpan,
    /// Position among the metrics of the blueprint.
    pub(super) position: usize,
}

impl MetricTable {
    /// How long a change matters to what is measured after it.
    pub(super) fn memory_span(&self) -> SimSpan {
        match self {
            Self::Cpu { .. } | Self::Memory { .. } => RESOLUTION,
            Self::Failing(_) => SimSpan::ZERO,
            Self::Requests(requests) => match requests.figure {
                RequestFigure::Rate => requests.window,
                RequestFigure::InFlight => SimSpan::ZERO,
            },
        }
    }
}

/// What is worked out of all autoscalers once.
#[derive(Debug, Default)]
pub(in crate::cluster) struct ScalerTables {
    /// By autoscaler; `None` for one that can scale nothing.
    pub(super) scalers: Vec<Option<ScalerTable>>,
    pub(super) by_workload: Vec<Vec<AutoscalerId>>,
    pub(super) vertical: VerticalTables,
    /// By Service: the workloads behind it whose CPU an autoscaler reads.
    pub(super) measured_behind: Vec<Vec<WorkloadId>>,
    /// By Service: whose autoscalers read its requests.
    pub(super) counted_for: Vec<Vec<WorkloadId>>,
    /// By Service: how long its requests are remembered.
    pub(super) counted_spans: Vec<SimSpan>,
    /// By workload: whether an autoscaler reads the memory of its pods.
    pub(super) reads_memory: Vec<bool>,
}

impl ScalerTables {
    pub(in crate::cluster) fn of(
        blueprint: &Blueprint,
        services: impl Fn(WorkloadId) -> Vec<ServiceId>,
    ) -> Self {
        let mut tables = Self {
            scalers: Vec::new(),
            by_workload: vec![Vec::new(); blueprint.workloads.len()],
            vertical: VerticalTables::of(blueprint),
            measured_behind: vec![Vec::new(); blueprint.services.len()],
            counted_for: vec![Vec::new(); blueprint.services.len()],
            counted_spans: vec![SimSpan::ZERO; blueprint.services.len()],
            reads_memory: vec![false; blueprint.workloads.len()],
        };
        for workload in tables.vertical.workloads() {
            for service in services(workload) {
                tables.measured_behind[service.index()].push(workload);
            }
        }
        for (idx, autoscaler) in blueprint.autoscalers.iter().enumerate() {
            let table = ScalerTable::of(blueprint, autoscaler);
            if let Some(table) = &table {
                let scalers = &mut tables.by_workload[table.workload.index()];
                scalers.push(AutoscalerId::from_index(idx));
                tables.note_metrics(table, &services);
            }
            tables.scalers.push(table);
        }
        for idx in 0..tables.scalers.len() {
            let Some(workload) = tables.scalers[idx].as_ref().map(|it| it.workload) else {
                continue;
            };
            if tables.by_workload[workload.index()].len() > 1
                && let Some(table) = &mut tables.scalers[idx]
            {
                table.selector = Selector::Ambiguous;
            }
        }
        tables
    }

    /// Notes what has to be measured for an autoscaler.
    fn note_metrics(
        &mut self,
        table: &ScalerTable,
        services: &impl Fn(WorkloadId) -> Vec<ServiceId>,
    ) {
        let workload = table.workload;
        let note = |known: &mut Vec<WorkloadId>| {
            if !known.contains(&workload) {
                known.push(workload);
            }
        };
        for metric in &table.metrics {
            match metric {
                MetricTable::Cpu { .. } => {
                    for service in services(workload) {
                        note(&mut self.measured_behind[service.index()]);
                    }
                }
                MetricTable::Memory { .. } => self.reads_memory[workload.index()] = true,
                MetricTable::Failing(_) => {}
                MetricTable::Requests(requests) => {
                    let span = requests.window + requests.interval * 2;
                    for service in &requests.services {
                        note(&mut self.counted_for[service.index()]);
                        let kept = &mut self.counted_spans[service.index()];
                        *kept = (*kept).max(span);
                    }
                }
            }
        }
    }

    /// The workload that an autoscaler looks after, if it is played.
    pub(in crate::cluster) fn workload_of(&self, id: AutoscalerId) -> Option<WorkloadId> {
        self.scalers.get(id.index())?.as_ref().map(|table| table.workload)
    }

    /// How many replicas a workload has at the start: a cluster that has run for a while has been
    /// brought within the limits of its autoscaler.
    pub(in crate::cluster) fn replicas_at_start(&self, id: WorkloadId, stated: u32) -> u32 {
        let [scaler] = self.by_workload[id.index()].as_slice() else { return stated };
        let Some(table) = &self.scalers[scaler.index()] else { return stated };
        if stated == 0 {
            return stated;
        }
        let count = |replicas: i32| u32::try_from(replicas).unwrap_or(0);
        stated.max(count(table.spec.min_replicas)).min(count(table.spec.max_replicas))
    }
}

impl ScalerTable {
    pub(super) fn of(blueprint: &Blueprint, autoscaler: &HorizontalPodAutoscaler) -> Option<Self> {
        let target = blueprint.horizontal_target(autoscaler)?;
        let workload = &blueprint.workloads[target.index()];
        // Simplified: the number of instances of a database is never changed.
        let has_scale =
            workload.kind.has_scale() && workload.kind != WorkloadKind::DatabaseInstances;
        // Simplified: memory of which nothing says how much there is takes no part, as if it were not
        // stated: a metrics-server would measure it.
        let mut spec = autoscaler.clone();
        spec.metrics.retain(|metric| {
            !is_memory(&metric.source) || blueprint.is_measured(autoscaler, &metric.source)
        });
        if !has_scale || spec.metrics.is_empty() {
            return None;
        }
        let metrics = spec.metrics.iter();
        Some(Self {
            metrics: metrics
                .map(|it| MetricTable::of(blueprint, workload, autoscaler, &it.source))
                .collect(),
            workload: target,
            selector: Selector::Good,
            key: EntityKey::of("HorizontalPodAutoscaler")
                .child(&autoscaler.namespace)
                .child(&autoscaler.name),
            spec,
        })
    }

    /// Its metrics of requests.
    pub(super) fn requests(&self) -> impl Iterator<Item = &RequestTable> {
        self.metrics.iter().filter_map(|metric| match metric {
            MetricTable::Requests(requests) => Some(requests),
            _ => None,
        })
    }

    pub(super) fn reads_cpu(&self) -> bool {
        self.metrics.iter().any(|metric| matches!(metric, MetricTable::Cpu { .. }))
    }
}

impl MetricTable {
    /// Of a metric that takes part.
    fn of(
        blueprint: &Blueprint,
        workload: &Workload,
        autoscaler: &HorizontalPodAutoscaler,
        source: &MetricSource,
    ) -> Self {
        let pod = &workload.template.spec;
        let (name, container) = match source {
            MetricSource::Resource { name } => (name, None),
            MetricSource::ContainerResource { name, container } => (name, Some(container.as_str())),
            MetricSource::Unknown { .. } => return Self::Failing("of no known type"),
            _ => {
                let found = blueprint.request_metric(autoscaler, source);
                let Some((metric, services)) = found else { return Self::Failing(UNPLAYED) };
                let is_it = |other: &RequestMetric| other.name == metric.name;
                return Self::Requests(RequestTable {
                    figure: metric.figure,
                    services,
                    is_of_pods: matches!(source, MetricSource::Pods(_)),
                    window: metric.window,
                    interval: metric.scrape_interval,
                    position: blueprint.metrics.iter().position(is_it).expect("it is one of them"),
                });
            }
        };
        if name != ResourceList::MEMORY && name != ResourceList::CPU {
            // metrics-server knows no other resource.
            return Self::Failing(UNPLAYED);
        }
        let request = request_of(pod, name, container);
        if name == ResourceList::MEMORY {
            let position = |name| pod.containers.iter().position(|it| it.name == name);
            return Self::Memory { request, container: container.and_then(position) };
        }
        let container = container.map(|name| CpuOfContainer::of(blueprint, workload, name));
        Self::Cpu { request, container }
    }
}

/// Why a metric fails that nothing in the run plays.
const UNPLAYED: &str = "no metrics returned: nothing plays it";

fn is_memory(source: &MetricSource) -> bool {
    match source {
        MetricSource::Resource { name } | MetricSource::ContainerResource { name, .. } => {
            name == ResourceList::MEMORY
        }
        _ => false,
    }
}

impl CpuOfContainer {
    fn of(blueprint: &Blueprint, workload: &Workload, name: &str) -> Self {
        let template = &workload.template;
        let is_its = |service: &Service| {
            service.selects(&workload.namespace, &template.labels)
                && service.serving_container(template).is_some_and(|it| it.name == name)
        };
        let all = blueprint.services.iter().enumerate();
        let services = all.filter(|(_, service)| is_its(service));
        let request = |container: Option<&str>| {
            let request = request_of(&template.spec, ResourceList::CPU, container);
            request.unwrap_or(0).max(0).unsigned_abs()
        };
        Self {
            services: services.map(|(idx, _)| ServiceId::from_index(idx)).collect(),
            share_ppm: (request(Some(name)) * 1_000_000)
                .checked_div(request(None))
                .unwrap_or(1_000_000),
        }
    }
}
