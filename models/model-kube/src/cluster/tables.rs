//! What is worked out once of a blueprint, so that no event has to compare names.

use std::collections::BTreeMap;

use model_api::blueprint::DatabaseManager;
use model_api::canary::primary_template;
use model_api::kube::{Attacher, EarlyClaim, Workload, attacher, early_claims};
use model_api::{Blueprint, NodeId, WorkloadId, ZoneId};
use sim_kernel::{EntityKey, SimSpan};

use super::autoscaling::ScalerTables;
use super::images::ImageTables;
use super::memory::MemoryTables;
use super::node_groups::GroupTables;
use super::node_pressure::PressureTables;
use super::off_peak::OffPeakTables;
use super::pod::PodState;
use super::probing;
use super::quotas::QuotaTables;
use super::templates::{NewTemplate, TemplateHealth, TemplateId, TemplateTable};
use super::volumes;
use crate::node_lifecycle::zone_key;
use crate::scheduling::SchedulerCache;

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
    pub(super) workload_keys: Vec<EntityKey>,
    /// Those of the workloads at the start, in their order, then those that come later.
    pub(super) templates: Vec<TemplateTable>,
    /// By number of a new template: the one it is, as equal ones are one.
    pub(super) new_templates: Vec<TemplateId>,
    /// By template of a canary's target: what its primary gets.
    pub(super) primary_templates: BTreeMap<TemplateId, TemplateId>,
    pub(super) members: Vec<Member>,
    /// By node: the images it has at the start, by number.
    pub(super) node_images: Vec<Vec<u32>>,
    /// Some node attaches so many volumes and no more.
    pub(super) has_attach_limits: bool,
    /// The scheduler has to know which claims pods use that run.
    pub(super) tells_claims: bool,
    image_names: Vec<String>,
    pub(super) registries: ImageTables,
    /// By workload: one node at a time may mount its volumes.
    pub(super) exclusive_volumes: Vec<bool>,
    /// By workload: who attaches its volumes.
    pub(super) attachers: Vec<Attacher>,
    /// By workload: claims whose volumes are made with a pod, before it is placed.
    pub(super) early_claims: Vec<Vec<EarlyClaim>>,
    /// By workload: its operator gives new volumes a new number, and that matters.
    pub(super) numbers_anew: Vec<bool>,
    pub(super) scalers: ScalerTables,
    pub(super) groups: GroupTables,
    pub(super) off_peak: OffPeakTables,
    pub(super) memory: MemoryTables,
    pub(super) pressure: PressureTables,
    pub(super) quotas: QuotaTables,
    /// By Service: see [`super::Cluster::probe_timeouts`].
    pub(super) probe_timeouts: Vec<Vec<SimSpan>>,
    nodes_by_rank: Vec<NodeId>,
}

/// By workload: new volumes get a new number, and with it perhaps another zone. The operator of CloudNativePG
/// counts instances on (`status.latestGeneratedNode`); those of a StatefulSet keep their ordinals.
fn numbers_anew(blueprint: &Blueprint, early_claims: &[Vec<EarlyClaim>]) -> Vec<bool> {
    let mut anew = vec![false; early_claims.len()];
    for database in &blueprint.databases {
        let idx = database.workload.index();
        anew[idx] =
            !early_claims[idx].is_empty() && database.manager == DatabaseManager::CloudNativePg;
    }
    anew
}

/// A member of the control plane.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) zone: ZoneId,
    pub(super) node: Option<NodeId>,
    pub(super) key: EntityKey,
    /// Runs an API server.
    pub(super) has_server: bool,
    /// Runs a member of etcd.
    pub(super) has_etcd: bool,
    /// By [component](super::Component): runs a replica of it.
    pub(super) runs: [bool; 2],
}

impl Tables {
    pub(super) fn of(
        blueprint: &Blueprint,
        changes: &[NewTemplate],
        cache: &mut SchedulerCache,
    ) -> Self {
        let mut images = Images::default();
        let AllTemplates { templates, new_templates, primary_templates } =
            all_templates(blueprint, changes, &mut images, cache);
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
            let selecting = templates[id.index()].services.iter();
            selecting.map(|(service, _)| *service).collect()
        };
        let scalers = ScalerTables::of(blueprint, behind);
        let has_attach_limits = blueprint.nodes.iter().any(|it| it.node.attach_limit.is_some());
        let registries = ImageTables::of(blueprint, &templates, &images.names());
        let ids = (0..blueprint.workloads.len()).map(WorkloadId::from_index);
        let early_claims: Vec<_> = ids.map(|id| early_claims(blueprint, id)).collect();
        Self {
            scalers,
            groups: GroupTables::of(blueprint, &templates),
            off_peak: OffPeakTables::of(blueprint),
            memory: MemoryTables::of(blueprint),
            pressure: PressureTables::of(blueprint),
            quotas: QuotaTables::of(blueprint, &templates),
            node_images: node_images.collect(),
            has_attach_limits,
            tells_claims: has_attach_limits
                || templates.iter().any(|it| !it.claims_of_one_pod.is_empty()),
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
            workload_keys: blueprint.workloads.iter().map(workload_key).collect(),
            probe_timeouts: probing::timeouts(
                blueprint.services.len(),
                templates.iter().flat_map(|template| &template.queued_probes),
            ),
            templates,
            new_templates,
            primary_templates,
            members,
            exclusive_volumes: volumes::exclusive(blueprint),
            attachers: blueprint.workloads.iter().map(|it| attacher(blueprint, it)).collect(),
            numbers_anew: numbers_anew(blueprint, &early_claims),
            early_claims,
            registries,
            image_names: images.names(),
        }
    }

    /// The template that a pod was made from.
    pub(super) fn template_of(&self, pod: &PodState) -> &TemplateTable {
        &self.templates[pod.template.index()]
    }

    /// How many replicas a workload has at the start: within the limits of its autoscaler, and as
    /// small as the hour wants it.
    pub(super) fn replicas_at_start(&self, id: WorkloadId, stated: u32) -> u32 {
        let replicas = self.scalers.replicas_at_start(id, stated);
        self.off_peak.replicas_at_start(id, replicas)
    }

    /// The node of that rank.
    pub(super) fn node_of_rank(&self, rank: u32) -> NodeId {
        self.nodes_by_rank[rank as usize]
    }

    pub(super) fn image_name(&self, image: u32) -> &str {
        &self.image_names[image as usize]
    }
}

fn workload_key(workload: &Workload) -> EntityKey {
    EntityKey::of(workload.kind.name()).child(&workload.namespace).child(&workload.name)
}

/// The templates of the blueprint and those that come later, equal ones once; and which is which.
struct AllTemplates {
    templates: Vec<TemplateTable>,
    new_templates: Vec<TemplateId>,
    primary_templates: BTreeMap<TemplateId, TemplateId>,
}

fn all_templates(
    blueprint: &Blueprint,
    changes: &[NewTemplate],
    images: &mut Images,
    cache: &mut SchedulerCache,
) -> AllTemplates {
    let own = blueprint.workloads.iter().enumerate().map(|(idx, workload)| NewTemplate {
        workload: WorkloadId::from_index(idx),
        template: workload.template.clone(),
        health: TemplateHealth::Good,
    });
    let mut known: Vec<NewTemplate> = own.collect();
    let mut new_templates = Vec::new();
    for change in changes {
        new_templates.push(number_of(change.clone(), &mut known));
    }
    let mut primary_templates = BTreeMap::new();
    for canary in &blueprint.canaries {
        let target = &blueprint.workloads[canary.target.index()];
        let selector = target.selector.as_ref().and_then(|it| it.match_labels.get(&canary.label));
        let label = (canary.label.as_str(), selector.map_or("", String::as_str));
        for number in 0..known.len() {
            if known[number].workload == canary.target {
                let template = primary_template(&known[number].template, &target.name, label);
                let copy = NewTemplate {
                    workload: canary.primary,
                    template,
                    health: known[number].health,
                };
                let copy = number_of(copy, &mut known);
                primary_templates.insert(TemplateId::from_index(number), copy);
            }
        }
    }
    let tables = known.into_iter().map(|it| TemplateTable::of(blueprint, it, images, cache));
    AllTemplates { templates: tables.collect(), new_templates, primary_templates }
}

/// The number of a template, which gets one when it is none of those that are known.
fn number_of(template: NewTemplate, known: &mut Vec<NewTemplate>) -> TemplateId {
    let found = known.iter().position(|it| *it == template).unwrap_or_else(|| {
        known.push(template);
        known.len() - 1
    });
    TemplateId::from_index(found)
}

/// Numbers of image names.
#[derive(Debug, Default)]
pub(super) struct Images {
    by_name: BTreeMap<String, u32>,
}

impl Images {
    pub(super) fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.by_name.len()).expect("a blueprint names fewer images");
        *self.by_name.entry(name.to_owned()).or_insert(next)
    }

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

/// Members with the control-plane node each runs on: the nodes of its zone in order. Machines without an
/// API server are no nodes.
fn members(blueprint: &Blueprint) -> Vec<Member> {
    let mut used = vec![false; blueprint.nodes.len()];
    let mut of_zone: BTreeMap<(&str, ZoneId), u64> = BTreeMap::new();
    let control_plane = &blueprint.control_plane;
    control_plane
        .zones()
        .enumerate()
        .map(|(member, zone)| {
            let has_server = control_plane.has_server(member);
            let fits = |idx: &usize| {
                let spec = &blueprint.nodes[*idx];
                has_server && spec.is_control_plane && spec.zone == zone && !used[*idx]
            };
            let node = (0..blueprint.nodes.len()).find(fits);
            if let Some(idx) = node {
                used[idx] = true;
            }
            let has_etcd = control_plane.has_etcd(member);
            let runs = [
                control_plane.runs_controller_manager(member),
                control_plane.runs_scheduler(member),
            ];
            let kind = match (has_server, has_etcd, runs[0]) {
                (true, ..) => "control-plane",
                (_, true, _) => "etcd-machine",
                (.., true) => "controller-manager-machine",
                _ => "scheduler-machine",
            };
            let nth = of_zone.entry((kind, zone)).or_default();
            let name = &blueprint.zones[zone.index()].name;
            let key = EntityKey::of(kind).child(name).part(*nth);
            *nth += 1;
            Member { zone, node: node.map(NodeId::from_index), key, has_server, has_etcd, runs }
        })
        .collect()
}
