//! Pod templates: what is worked out of each, once for all runs.

use std::fmt;

use model_api::kube::{
    Labels, PersistentVolumeClaim, PodSpec, PodTemplate, StorageClass, TaintEffect, Toleration,
    TolerationOperator, Workload, WorkloadKind,
};
use model_api::{Blueprint, BudgetId, NodeId, ServiceId, WorkloadId};

use super::probing::{QueuedProbe, queued_probes};
use super::tables::Images;
use super::volumes::limits;
use crate::node_pressure::{DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE};
use crate::scheduling::{Claim, PodDescription, SchedulerCache, ShapeId, default_selector};
use crate::taint_eviction::{
    NOT_READY, OUT_OF_SERVICE, Stay, UNREACHABLE, UNSCHEDULABLE, stay, taint,
};

/// Label that a StatefulSet's controller puts on each pod.
const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// A pod template of a workload. The first ones are those of the blueprint's workloads, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TemplateId(u32);

impl TemplateId {
    /// The template that a workload has at the start.
    pub const fn at_start(workload: WorkloadId) -> Self {
        Self(workload.0)
    }

    pub(super) fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("templates are fewer than 2^32"))
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TemplateId#{}", self.0)
    }
}

/// A template that a workload gets during a run: see [`super::Cluster::patch_template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTemplate {
    /// Whose.
    pub workload: WorkloadId,
    /// What pods are made from.
    pub template: PodTemplate,
    /// How they do.
    pub health: TemplateHealth,
}

/// How pods of a template do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateHealth {
    /// They start and become ready.
    #[default]
    Good,
    /// Their containers run, but their readiness probes never succeed.
    NeverReady,
    /// They are ready and answer some requests with errors.
    Failing {
        /// So many of a million.
        ppm: u32,
    },
}

/// What is worked out of a template.
#[derive(Debug)]
pub(super) struct TemplateTable {
    pub(super) workload: WorkloadId,
    pub(super) health: TemplateHealth,
    /// As the scheduler knows it.
    pub(super) shape: ShapeId,
    /// The node that its pods name themselves.
    pub(super) named_node: Option<NodeId>,
    /// Services that select its pods; with an ordinal: only the pod of that ordinal.
    pub(super) services: Vec<(ServiceId, Option<u32>)>,
    pub(super) budgets: Vec<BudgetId>,
    /// Images of all its containers, each once, in the order of use.
    pub(super) images: Vec<u32>,
    /// Claims of each of its pods.
    pub(super) claim_count: usize,
    /// Names of claims that a single pod in the cluster may use. Those of a StatefulSet's templates
    /// have one pod each anyway.
    pub(super) claims_of_one_pod: Vec<String>,
    /// What keeps a pod without volumes from some zones.
    pub(super) limits: Vec<Claim>,
    /// Some of these claims hold the pod in the zone of its volume.
    pub(super) has_zonal_claims: bool,
    /// How many have to be attached to a node.
    pub(super) attached_count: usize,
    /// Some lie on disks of the node.
    pub(super) has_local_claims: bool,
    /// How long its pods stay on a node that is tainted unreachable.
    pub(super) stay_unreachable: Stay,
    /// How long they stay on one that is tainted out of service.
    pub(super) stay_out_of_service: Stay,
    /// Probes of its pods that wait in line with requests.
    pub(super) queued_probes: Vec<QueuedProbe>,
    /// The template with what the kind's controller adds.
    pub(super) template: PodTemplate,
}

impl TemplateTable {
    pub(super) fn of(
        blueprint: &Blueprint,
        new: NewTemplate,
        images: &mut Images,
        cache: &mut SchedulerCache,
    ) -> Self {
        let NewTemplate { workload: id, mut template, health } = new;
        let workload = &blueprint.workloads[id.index()];
        if matches!(workload.kind, WorkloadKind::DaemonSet { .. }) {
            add_daemon_tolerations(&mut template.spec.tolerations);
        }
        let spec = &template.spec;
        let mut numbers = Vec::new();
        for container in spec.init_containers.iter().chain(&spec.containers) {
            let number = images.number(&container.image);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let unreachable = taint(UNREACHABLE, TaintEffect::NoExecute);
        let out_of_service = taint(OUT_OF_SERVICE, TaintEffect::NoExecute);
        let claims = claims(blueprint, workload, spec);
        let owner = workload.selector.as_ref();
        let selector =
            default_selector(&workload.namespace, &template.labels, &blueprint.services, owner);
        let shape = cache.compile(PodDescription {
            namespace: &workload.namespace,
            template: &template,
            default_selector: selector.as_ref(),
        });
        let services = services(blueprint, workload, &template.labels);
        Self {
            workload: id,
            health,
            shape,
            named_node: named_node(blueprint, spec),
            queued_probes: queued_probes(blueprint, &services, &template),
            services,
            budgets: budgets(blueprint, workload, &template.labels),
            images: numbers,
            claim_count: claims.len(),
            limits: limits(classes(blueprint, workload, spec).into_iter().flatten().cloned()),
            claims_of_one_pod: claims_of_one_pod(blueprint, workload, spec),
            attached_count: claims
                .iter()
                .filter(|reach| matches!(reach, Reach::Region | Reach::Zone))
                .count(),
            has_zonal_claims: claims.iter().any(|it| matches!(it, Reach::Zone | Reach::Node)),
            has_local_claims: claims.contains(&Reach::Node),
            stay_unreachable: stay(&spec.tolerations, [&unreachable]),
            stay_out_of_service: stay(&spec.tolerations, [&out_of_service]),
            template,
        }
    }
}

/// The node of `spec.nodeName`.
fn named_node(blueprint: &Blueprint, spec: &PodSpec) -> Option<NodeId> {
    let name = spec.node_name.as_deref()?;
    let found = blueprint.nodes.iter().position(|it| it.node.name == name);
    found.map(NodeId::from_index)
}

/// Named claims of a pod that no other pod may use (`ReadWriteOncePod`).
fn claims_of_one_pod(blueprint: &Blueprint, workload: &Workload, spec: &PodSpec) -> Vec<String> {
    let names = spec.claim_names.iter().filter(|name| {
        let is_it = |claim: &&PersistentVolumeClaim| {
            claim.namespace == workload.namespace && claim.name == **name
        };
        blueprint.claims.iter().find(is_it).is_some_and(|claim| claim.is_of_one_pod)
    });
    names.map(|name| format!("{}/{name}", workload.namespace)).collect()
}

/// Where a volume can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// By any number of nodes at once.
    Shared,
    Region,
    Zone,
    Node,
}

/// For each claim of a template's pods, where its volume can be used.
fn claims(blueprint: &Blueprint, workload: &Workload, spec: &PodSpec) -> Vec<Reach> {
    let reach = |class: Option<&StorageClass>| match class {
        Some(class) if class.is_local => Reach::Node,
        Some(class) if class.is_zonal => Reach::Zone,
        _ => Reach::Region,
    };
    let found = claimed(blueprint, workload, spec).into_iter();
    found
        .map(|claim| match claim {
            Claimed::Named(claim) if claim.is_shared => Reach::Shared,
            Claimed::Named(claim) => reach(class(blueprint, claim.storage_class.as_ref())),
            Claimed::OfDefault => reach(class(blueprint, None)),
            Claimed::Unknown => Reach::Shared,
        })
        .collect()
}

/// Classes of claims that one node at a time may mount.
fn classes<'a>(
    blueprint: &'a Blueprint,
    workload: &'a Workload,
    spec: &PodSpec,
) -> Vec<Option<&'a StorageClass>> {
    let found = claimed(blueprint, workload, spec).into_iter();
    found
        .map(|claim| match claim {
            Claimed::Named(claim) if !claim.is_shared => {
                class(blueprint, claim.storage_class.as_ref())
            }
            Claimed::OfDefault => class(blueprint, None),
            Claimed::Named(_) | Claimed::Unknown => None,
        })
        .collect()
}

fn class<'a>(blueprint: &'a Blueprint, name: Option<&String>) -> Option<&'a StorageClass> {
    blueprint.storage_classes.iter().find(|known| match name {
        Some(name) => known.name == *name,
        None => known.is_default,
    })
}

/// A claim of a pod.
enum Claimed<'a> {
    Named(&'a PersistentVolumeClaim),
    /// Of the default class.
    OfDefault,
    /// Nobody has made it.
    Unknown,
}

fn claimed<'a>(
    blueprint: &'a Blueprint,
    workload: &'a Workload,
    spec: &PodSpec,
) -> Vec<Claimed<'a>> {
    let named = |name: &str| {
        let mut claims = blueprint.claims.iter();
        claims.find(|claim| claim.namespace == workload.namespace && claim.name == name)
    };
    let mut found = Vec::new();
    match &workload.kind {
        WorkloadKind::StatefulSet { claims: templates, .. } => {
            found.extend(templates.iter().map(Claimed::Named));
        }
        // An operator gives every instance a volume like that of the first one.
        WorkloadKind::DatabaseInstances => {
            let first = named(&format!("{}-1", workload.name));
            found.push(first.map_or(Claimed::OfDefault, Claimed::Named));
        }
        _ => {}
    }
    let names = spec.claim_names.iter();
    found.extend(names.map(|name| named(name).map_or(Claimed::Unknown, Claimed::Named)));
    found
}

/// Services that select pods with these labels.
fn services(
    blueprint: &Blueprint,
    workload: &Workload,
    labels: &Labels,
) -> Vec<(ServiceId, Option<u32>)> {
    let mut selecting = Vec::new();
    for (idx, service) in blueprint.services.iter().enumerate() {
        if service.namespace != workload.namespace || service.selector.is_empty() {
            continue;
        }
        let mut ordinal = None;
        let is_match = service.selector.iter().all(|(key, value)| {
            if key == POD_NAME_LABEL && labels.get(key).is_none() {
                let suffix = value.strip_prefix(&format!("{}-", workload.name));
                ordinal = suffix.and_then(|suffix| suffix.parse().ok());
                return ordinal.is_some();
            }
            labels.get(key) == Some(value)
        });
        if is_match {
            selecting.push((ServiceId::from_index(idx), ordinal));
        }
    }
    selecting
}

fn budgets(blueprint: &Blueprint, workload: &Workload, labels: &Labels) -> Vec<BudgetId> {
    let is_match = |idx: &usize| {
        let budget = &blueprint.budgets[*idx];
        let selects = budget.selector.as_ref().is_some_and(|it| it.matches(labels));
        budget.namespace == workload.namespace && selects
    };
    (0..blueprint.budgets.len()).filter(is_match).map(BudgetId::from_index).collect()
}

/// The tolerations of every daemon pod (pkg/controller/daemon/util/daemonset_util.go,
/// AddOrUpdateDaemonPodTolerations, 1.36). They replace those of the same key and effect.
fn add_daemon_tolerations(tolerations: &mut Vec<Toleration>) {
    const PRESSURES: [&str; 3] = [DISK_PRESSURE, MEMORY_PRESSURE, PID_PRESSURE];
    let no_execute = [NOT_READY, UNREACHABLE].map(|key| (key, TaintEffect::NoExecute));
    let no_schedule = PRESSURES.into_iter().chain([UNSCHEDULABLE]);
    let no_schedule = no_schedule.map(|key| (key, TaintEffect::NoSchedule));
    for (key, effect) in no_execute.into_iter().chain(no_schedule) {
        tolerations.retain(|known| known.key != key || known.effect != Some(effect));
        tolerations.push(Toleration {
            key: key.to_owned(),
            operator: TolerationOperator::Exists,
            value: String::new(),
            effect: Some(effect),
            toleration: None,
        });
    }
}
