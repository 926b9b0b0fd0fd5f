//! What is worked out once of a blueprint, so that no event has to compare names.

use std::collections::BTreeMap;

use model_api::kube::{
    PersistentVolumeClaim, TaintEffect, Toleration, TolerationOperator, WorkloadKind,
};
use model_api::{Blueprint, BudgetId, NodeId, ServiceId, WorkloadId, ZoneId};
use sim_kernel::EntityKey;

use super::autoscaling::ScalerTables;
use crate::node_lifecycle::zone_key;
use crate::scheduling::{PodDescription, SchedulerCache, ShapeId, default_selector};
use crate::taint_eviction::{
    NOT_READY, OUT_OF_SERVICE, Stay, UNREACHABLE, UNSCHEDULABLE, stay, taint,
};

/// Label that a StatefulSet's controller puts on each pod.
const POD_NAME_LABEL: &str = "statefulset.kubernetes.io/pod-name";

/// Immutable tables beside the blueprint.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) node_keys: Vec<EntityKey>,
    pub(super) service_keys: Vec<EntityKey>,
    /// By node: the zone as the node lifecycle controller keys it.
    pub(super) evictor_zones: Vec<usize>,
    pub(super) evictor_zone_count: usize,
    /// Nodes in the order of their names: upstream's queue has none.
    pub(super) name_ranks: Vec<u32>,
    pub(super) workloads: Vec<WorkloadTable>,
    pub(super) members: Vec<Member>,
    /// By node: the images it has at the start, by number.
    pub(super) node_images: Vec<Vec<u32>>,
    image_names: Vec<String>,
    pub(super) scalers: ScalerTables,
    nodes_by_rank: Vec<NodeId>,
}

/// What is worked out of a workload.
#[derive(Debug)]
pub(super) struct WorkloadTable {
    pub(super) key: EntityKey,
    /// Its template as the scheduler knows it.
    pub(super) shape: ShapeId,
    /// Services that select its pods; with an ordinal: only the pod of that ordinal.
    pub(super) services: Vec<(ServiceId, Option<u32>)>,
    pub(super) budgets: Vec<BudgetId>,
    /// Images of all its containers, each once, in the order of use.
    pub(super) images: Vec<u32>,
    /// Claims of each of its pods.
    pub(super) claim_count: usize,
    /// Some of these claims hold the pod in the zone of its volume.
    pub(super) has_zonal_claims: bool,
    /// How long its pods stay on a node that is tainted unreachable.
    pub(super) stay_unreachable: Stay,
    /// How long they stay on one that is tainted out of service.
    pub(super) stay_out_of_service: Stay,
    /// Template with what the kind's controller adds.
    pub(super) template: model_api::kube::PodTemplate,
}

/// A member of the control plane.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) zone: ZoneId,
    pub(super) node: Option<NodeId>,
    pub(super) key: EntityKey,
}

impl Tables {
    pub(super) fn of(blueprint: &Blueprint, cache: &mut SchedulerCache) -> Self {
        let mut images = Images::default();
        let workloads = (0..blueprint.workloads.len()).map(WorkloadId::from_index);
        let workloads: Vec<WorkloadTable> =
            workloads.map(|id| WorkloadTable::of(blueprint, id, &mut images, cache)).collect();
        let mut keys: Vec<String> = Vec::new();
        let mut evictor_zone = |node: &model_api::blueprint::NodeSpec| {
            let key = zone_key(&node.node.labels);
            keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            })
        };
        let evictor_zones: Vec<usize> = blueprint.nodes.iter().map(&mut evictor_zone).collect();
        let members = members(blueprint);
        let name_ranks = name_ranks(blueprint);
        let node_images = blueprint.nodes.iter().map(|spec| {
            let names = spec.node.images.iter().flat_map(|(names, _)| names);
            names.filter_map(|name| images.by_name.get(name).copied()).collect()
        });
        let behind = |id: WorkloadId| {
            let selecting = workloads[id.index()].services.iter();
            selecting.map(|(service, _)| *service).collect()
        };
        let scalers = ScalerTables::of(blueprint, behind);
        Self {
            scalers,
            node_images: node_images.collect(),
            node_keys: blueprint
                .nodes
                .iter()
                .map(|spec| EntityKey::of("node").child(&spec.node.name))
                .collect(),
            service_keys: blueprint
                .services
                .iter()
                .map(|service| {
                    EntityKey::of("service").child(&service.namespace).child(&service.name)
                })
                .collect(),
            evictor_zones,
            evictor_zone_count: keys.len(),
            nodes_by_rank: nodes_by_rank(&name_ranks),
            name_ranks,
            workloads,
            members,
            image_names: images.names(),
        }
    }

    /// The node of that rank.
    pub(super) fn node_of_rank(&self, rank: u32) -> NodeId {
        self.nodes_by_rank[rank as usize]
    }

    pub(super) fn image_name(&self, image: u32) -> &str {
        &self.image_names[image as usize]
    }
}

/// Numbers of image names.
#[derive(Debug, Default)]
struct Images {
    by_name: BTreeMap<String, u32>,
}

impl Images {
    fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.by_name.len()).expect("a blueprint names fewer images");
        *self.by_name.entry(name.to_owned()).or_insert(next)
    }
}

impl Images {
    fn names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.by_name.len()];
        for (name, number) in &self.by_name {
            names[*number as usize].clone_from(name);
        }
        names
    }
}

fn nodes_by_rank(name_ranks: &[u32]) -> Vec<NodeId> {
    let mut nodes = vec![NodeId(0); name_ranks.len()];
    for (idx, rank) in name_ranks.iter().enumerate() {
        nodes[*rank as usize] = NodeId::from_index(idx);
    }
    nodes
}

fn name_ranks(blueprint: &Blueprint) -> Vec<u32> {
    let mut order: Vec<usize> = (0..blueprint.nodes.len()).collect();
    order.sort_by(|a, b| blueprint.nodes[*a].node.name.cmp(&blueprint.nodes[*b].node.name));
    let mut ranks = vec![0; order.len()];
    for (rank, idx) in order.into_iter().enumerate() {
        ranks[idx] = NodeId::from_index(rank).0;
    }
    ranks
}

/// Members with the control-plane node each runs on: the nodes of its zone in order.
fn members(blueprint: &Blueprint) -> Vec<Member> {
    let mut used = vec![false; blueprint.nodes.len()];
    let mut of_zone: BTreeMap<ZoneId, u64> = BTreeMap::new();
    let zones = blueprint.control_plane.member_zones.iter();
    zones
        .map(|zone| {
            let fits = |idx: &usize| {
                let spec = &blueprint.nodes[*idx];
                spec.is_control_plane && spec.zone == *zone && !used[*idx]
            };
            let node = (0..blueprint.nodes.len()).find(fits);
            if let Some(idx) = node {
                used[idx] = true;
            }
            let nth = of_zone.entry(*zone).or_default();
            let name = &blueprint.zones[zone.index()].name;
            let key = EntityKey::of("control-plane").child(name).part(*nth);
            *nth += 1;
            Member { zone: *zone, node: node.map(NodeId::from_index), key }
        })
        .collect()
}

impl WorkloadTable {
    fn of(
        blueprint: &Blueprint,
        id: WorkloadId,
        images: &mut Images,
        cache: &mut SchedulerCache,
    ) -> Self {
        let workload = &blueprint.workloads[id.index()];
        let mut template = workload.template.clone();
        if workload.kind == WorkloadKind::DaemonSet {
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
        let claims = claims(blueprint, id);
        let owner = workload.selector.as_ref();
        let selector =
            default_selector(&workload.namespace, &template.labels, &blueprint.services, owner);
        let shape = cache.compile(PodDescription {
            namespace: &workload.namespace,
            template: &template,
            default_selector: selector.as_ref(),
        });
        Self {
            shape,
            key: EntityKey::of(workload.kind.name())
                .child(&workload.namespace)
                .child(&workload.name),
            services: services(blueprint, id),
            budgets: budgets(blueprint, id),
            images: numbers,
            claim_count: claims.len(),
            has_zonal_claims: claims.contains(&true),
            stay_unreachable: stay(&spec.tolerations, [&unreachable]),
            stay_out_of_service: stay(&spec.tolerations, [&out_of_service]),
            template,
        }
    }
}

/// For each claim of a workload's pods, whether its volume is bound to a zone.
fn claims(blueprint: &Blueprint, id: WorkloadId) -> Vec<bool> {
    let workload = &blueprint.workloads[id.index()];
    let is_zonal = |class: Option<&String>| {
        let class = blueprint.storage_classes.iter().find(|known| match class {
            Some(name) => known.name == *name,
            None => known.is_default,
        });
        class.is_some_and(|class| class.is_zonal)
    };
    let binds =
        |claim: &PersistentVolumeClaim| !claim.is_shared && is_zonal(claim.storage_class.as_ref());
    let mut claims = Vec::new();
    match &workload.kind {
        WorkloadKind::StatefulSet { claims: templates, .. } => {
            claims.extend(templates.iter().map(binds));
        }
        // An operator gives every instance a volume of the default class.
        WorkloadKind::DatabaseInstances => claims.push(is_zonal(None)),
        _ => {}
    }
    for name in &workload.template.spec.claim_names {
        let claim = blueprint
            .claims
            .iter()
            .find(|claim| claim.namespace == workload.namespace && claim.name == *name);
        claims.push(claim.is_some_and(binds));
    }
    claims
}

/// Services that select a workload's pods.
fn services(blueprint: &Blueprint, id: WorkloadId) -> Vec<(ServiceId, Option<u32>)> {
    let workload = &blueprint.workloads[id.index()];
    let labels = &workload.template.labels;
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

fn budgets(blueprint: &Blueprint, id: WorkloadId) -> Vec<BudgetId> {
    let workload = &blueprint.workloads[id.index()];
    let is_match = |idx: &usize| {
        let budget = &blueprint.budgets[*idx];
        let selects =
            budget.selector.as_ref().is_some_and(|it| it.matches(&workload.template.labels));
        budget.namespace == workload.namespace && selects
    };
    (0..blueprint.budgets.len()).filter(is_match).map(BudgetId::from_index).collect()
}

/// The tolerations of every daemon pod (pkg/controller/daemon/util/daemonset_util.go,
/// AddOrUpdateDaemonPodTolerations, 1.36). They replace those of the same key and effect.
fn add_daemon_tolerations(tolerations: &mut Vec<Toleration>) {
    const PRESSURES: [&str; 3] = [
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/pid-pressure",
    ];
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
