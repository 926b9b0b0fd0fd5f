//! What the cluster autoscaler sees at a look.
//!
//! Sources: `core/static_autoscaler.go`, `core/podlistprocessor` and `clusterstate/clusterstate.go` of
//! the cluster autoscaler, August 2026; [`crate::cluster_autoscaler`].

use std::borrow::Cow;
use std::sync::Arc;

use model_api::kube::{Node, ResourceList, RestartPolicy, WorkloadKind, scale_up_delay};
use model_api::{Blueprint, NodeId, PodId, WorkloadId};
use sim_kernel::{SimSpan, SimTime};

use super::super::Cluster;
use super::super::pod::PodPhase as Phase;
use super::super::templates::{TemplateId, TemplateTable};
use crate::cluster_autoscaler::{
    Actions, Autoscaler, CandidateNode, Deletions, DrainBudget, DrainPod, GroupReadiness,
    GroupSize, MovablePod, NodeGroup, Options, Owner, OwnerState, PodPhase, SeenNode, Sight,
    UtilizationPod, WaitingPods, ineligible_because, long_terminating_after, pods_to_move,
};
use crate::node_lifecycle::Ready;
use crate::scheduling::{SchedulerCache, ShapeId, pod_requests};

/// The namespace of system pods.
const SYSTEM: &str = "kube-system";

/// What is worked out of node groups once.
#[derive(Debug, Default)]
pub(in super::super) struct GroupTables {
    /// By group, with sizes to be filled in.
    prototypes: Vec<NodeGroup>,
    by_node: Vec<Option<u32>>,
    /// By template: what a pod of it requests.
    requests: Vec<ResourceList>,
    /// By template: how long its pods want to wait for nodes.
    delays: Vec<SimSpan>,
}

impl GroupTables {
    pub(in super::super) fn of(blueprint: &Blueprint, templates: &[TemplateTable]) -> Self {
        let mut tables = Self { by_node: vec![None; blueprint.nodes.len()], ..Self::default() };
        if blueprint.node_groups.is_empty() {
            return tables;
        }
        let requests = templates.iter().map(|table| pod_requests(&table.template.spec));
        tables.requests = requests.collect();
        let delays = templates.iter().map(|table| scale_up_delay(&table.template.annotations));
        tables.delays = delays.map(|it| it.and_then(Result::ok).unwrap_or_default()).collect();
        for (number, group) in (0_u32..).zip(&blueprint.node_groups) {
            for node in &group.nodes {
                tables.by_node[node.index()] = Some(number);
            }
            let first = group.nodes.first().expect("a group has room for a node");
            let like = &blueprint.nodes[first.index()].node;
            let template = Node { name: group.name.clone(), images: Vec::new(), ..like.clone() };
            let daemons = tables.daemons(blueprint, templates, &template);
            let size = GroupSize { min: group.min as usize, max: group.max(), target: 0 };
            let prototype = NodeGroup::new(template, size, &daemons);
            tables.prototypes.push(prototype);
        }
        tables
    }

    /// Pods of DaemonSets that a node gets, and what they request.
    fn daemons(
        &self,
        blueprint: &Blueprint,
        templates: &[TemplateTable],
        node: &Node,
    ) -> Vec<(ShapeId, &ResourceList)> {
        let runs_on_it = |idx: &usize| {
            matches!(blueprint.workloads[*idx].kind, WorkloadKind::DaemonSet { .. })
                && crate::daemon_set::should_run(&templates[*idx].template.spec, node)
        };
        // The first templates are those of the workloads, in order.
        let daemons = (0..blueprint.workloads.len()).filter(runs_on_it);
        daemons.map(|idx| (templates[idx].shape, &self.requests[idx])).collect()
    }

    /// The group that a node belongs to.
    pub(in super::super) fn group_of(&self, node: NodeId) -> Option<usize> {
        self.by_node[node.index()].map(|number| number as usize)
    }
}

impl Cluster {
    /// One look.
    pub(super) fn scan(
        &self,
        autoscaler: &mut Autoscaler,
        now: SimTime,
        draw: impl FnOnce(usize) -> usize,
    ) -> Actions {
        let tables = Arc::clone(&self.tables);
        let mut groups = tables.groups.prototypes.clone();
        for (group, target) in groups.iter_mut().zip(&self.node_groups.targets) {
            group.size.target = *target;
        }
        let (readiness, unready_and_all) = self.readiness();
        let cutoff = autoscaler.options().expendable_priority_cutoff;
        let waiting = self.waiting(cutoff);
        let promised = self.promised(cutoff);
        let cluster = self.snapshot(cutoff, &promised);
        let budgets = self.drain_budgets();
        let nodes = self.seen_nodes(autoscaler.options(), &budgets, &promised, now);
        let running_by_group = self.removals_by_group();
        let drained = self.node_groups.removals.iter().filter(|it| it.is_drain()).count();
        let empty = self.node_groups.removals.len() - drained;
        let allowed: Vec<i32> = budgets.iter().map(|budget| budget.disruptions_allowed).collect();
        let pods: Vec<WaitingPods<'_>> = waiting
            .iter()
            .map(|(template, zone, ids)| WaitingPods {
                shape: tables.templates[template.index()].shape,
                spec: &tables.templates[template.index()].template.spec,
                count: ids.len(),
                zone: zone.clone(),
                delay: tables.groups.delays[template.index()],
            })
            .collect();
        let created = waiting
            .iter()
            .map(|(_, _, ids)| ids.iter().map(|id| self.pods[id.index()].created_at).collect());
        let created_at: Vec<Vec<SimTime>> = created.collect();
        let sight = Sight {
            cluster: &cluster,
            groups: &groups,
            readiness: &readiness,
            unready_and_all,
            waiting: &pods,
            created_at: &created_at,
            nodes: &nodes,
            disruptions_allowed: &allowed,
            running: Deletions { empty, drained },
            running_by_group: &running_by_group,
        };
        autoscaler.scan(&sight, now, draw)
    }

    /// When a pod on a node that may go will look different by time alone: it should have been gone
    /// for long, or it has been there for long.
    pub(super) fn next_pod_change(&self, options: &Options, now: SimTime) -> Option<SimTime> {
        let nodes = self.blueprint.node_groups.iter().flat_map(|group| &group.nodes);
        let pods = nodes.flat_map(|node| &self.nodes[node.index()].pods);
        let moments = pods.flat_map(|pod| {
            let pod = &self.pods[pod.index()];
            let workload = &self.blueprint.workloads[pod.workload.index()];
            let grace = self.tables.template_of(pod).template.spec.termination_grace;
            let is_system = options.drain.skips_system_pods && workload.namespace == SYSTEM;
            let is_young = is_system && pod.created_at > SimTime::ZERO;
            let aged_at = pod.created_at + options.drain.system_pod_timeout;
            [
                pod.deleted_at.map(|at| long_terminating_after(at, grace)),
                is_young.then_some(aged_at),
            ]
        });
        moments.flatten().filter(|at| *at >= now).min()
    }

    /// Nodes by group; nodes that are not ready, and all.
    fn readiness(&self) -> (Vec<GroupReadiness>, (usize, usize)) {
        let mut groups: Vec<GroupReadiness> = self
            .node_groups
            .targets
            .iter()
            .map(|target| GroupReadiness { target: *target, ..GroupReadiness::default() })
            .collect();
        let (mut unready, mut all) = (0, 0);
        for (idx, node) in self.nodes.iter().enumerate().filter(|(_, node)| !node.is_deleted) {
            let is_ready = node.ready == Ready::True;
            all += 1;
            unready += usize::from(!is_ready);
            if let Some(group) = self.tables.groups.group_of(NodeId::from_index(idx)) {
                groups[group].ready += usize::from(is_ready);
                groups[group].unready += usize::from(!is_ready);
            }
        }
        for group in &mut groups {
            group.growing_by = group.target.saturating_sub(group.ready + group.unready);
        }
        (groups, (unready, all))
    }

    /// Whether pods of a template count for nothing: none waits, keeps a node or takes room there
    /// (`FilterOutExpendablePods`).
    pub(super) fn is_expendable(&self, template: TemplateId, cutoff: i32) -> bool {
        self.tables.templates[template.index()].template.spec.priority < cutoff
    }

    /// Pods for which others are preempted, with the nodes that were promised to them and that are
    /// there (`FilterOutExpendableAndSplit`).
    fn promised(&self, cutoff: i32) -> Vec<(PodId, NodeId)> {
        let is_seen = |(pod, node): &(PodId, NodeId)| {
            !self.nodes[node.index()].is_deleted
                && !self.is_expendable(self.pods[pod.index()].template, cutoff)
        };
        self.queue.cache.nominated().filter(is_seen).collect()
    }

    /// The cluster as a look has it: without expendable pods, and with promises kept
    /// (`addPreemptingPodsToSnapshot`).
    fn snapshot(&self, cutoff: i32, promised: &[(PodId, NodeId)]) -> Cow<'_, SchedulerCache> {
        let mut cluster = Cow::Borrowed(&self.queue.cache);
        let mut templates = (0..self.tables.templates.len()).map(TemplateId::from_index);
        let has_expendable = templates.any(|template| self.is_expendable(template, cutoff));
        for workload in self.workloads.iter().filter(|_| has_expendable) {
            for pod in &workload.pods {
                if self.is_expendable(self.pods[pod.index()].template, cutoff) {
                    cluster.to_mut().remove_pod(*pod);
                }
            }
        }
        for (pod, node) in promised {
            let cluster = cluster.to_mut();
            cluster.remove_pod(*pod);
            cluster.add_pod(*pod, self.tables.template_of(&self.pods[pod.index()]).shape, *node);
        }
        cluster
    }

    /// Pods that were found unschedulable and that no node was promised to, those of higher priority
    /// first, by template and zone of their volumes.
    fn waiting(&self, cutoff: i32) -> Vec<(TemplateId, Option<String>, Vec<PodId>)> {
        let mut waiting: Vec<(TemplateId, Option<String>, Vec<PodId>)> = Vec::new();
        let priority = |id: TemplateId| self.tables.templates[id.index()].template.spec.priority;
        for workload in &self.workloads {
            for pod in &workload.pods {
                let state = &self.pods[pod.index()];
                let id = state.template;
                let waits = state.phase == Phase::Pending
                    && !self.is_expendable(id, cutoff)
                    && state.was_refused
                    && state.nominated.is_none_or(|node| self.nodes[node.index()].is_deleted)
                    && !state.is_terminating
                    && state.pinned.is_none()
                    // No new node has the disks that it needs.
                    && workload.volume_node(state.ordinal).is_none()
                    // None is in both zones of its volumes.
                    && workload.other_volume_zone(state.ordinal).is_none();
                if !waits {
                    continue;
                }
                let zone = workload.volume_zone(state.ordinal);
                let zone = zone.map(|zone| self.blueprint.zones[zone.index()].name.clone());
                match waiting.iter_mut().find(|(known, at, _)| *known == id && *at == zone) {
                    Some((_, _, pods)) => pods.push(*pod),
                    None => waiting.push((id, zone, vec![*pod])),
                }
            }
        }
        waiting.sort_by_key(|(id, _, _)| std::cmp::Reverse(priority(*id)));
        waiting
    }

    pub(super) fn drain_budgets(&self) -> Vec<DrainBudget> {
        let budget = |(idx, spec): (usize, &model_api::kube::PodDisruptionBudget)| {
            let status = self.budget_status(model_api::BudgetId::from_index(idx));
            DrainBudget {
                namespace: spec.namespace.clone(),
                selector: spec.selector.clone(),
                disruptions_allowed: status.map_or(0, |status| status.disruptions_allowed),
            }
        };
        self.blueprint.budgets.iter().enumerate().map(budget).collect()
    }

    fn seen_nodes(
        &self,
        options: &Options,
        budgets: &[DrainBudget],
        promised: &[(PodId, NodeId)],
        now: SimTime,
    ) -> Vec<SeenNode> {
        let groups = self.blueprint.node_groups.iter().enumerate();
        let nodes = groups.flat_map(|(group, spec)| spec.nodes.iter().map(move |it| (group, *it)));
        let there = nodes.filter(|(_, node)| {
            let state = &self.nodes[node.index()];
            !state.is_deleted && !state.is_going
        });
        let cutoff = options.expendable_priority_cutoff;
        let counts = |pod: &PodId| !self.is_expendable(self.pods[pod.index()].template, cutoff);
        let seen = there.map(|(group, node)| {
            let on_it = self.nodes[node.index()].pods.iter().copied().filter(counts);
            let guests = promised.iter().filter(|(_, at)| *at == node).map(|(pod, _)| *pod);
            let pods: Vec<PodId> = on_it.chain(guests).collect();
            self.seen_node(node, &pods, group, options, budgets, now)
        });
        seen.collect()
    }

    fn seen_node(
        &self,
        node: NodeId,
        pods: &[PodId],
        group: usize,
        options: &Options,
        budgets: &[DrainBudget],
        now: SimTime,
    ) -> SeenNode {
        let spec = &self.blueprint.nodes[node.index()].node;
        let state = &self.nodes[node.index()];
        let counted: Vec<UtilizationPod<'_>> = pods
            .iter()
            .filter(|pod| self.pods[pod.index()].phase != Phase::Finished)
            .map(|pod| self.utilization_pod(*pod))
            .collect();
        let candidate = CandidateNode {
            annotations: &spec.annotations,
            taints: &spec.taints,
            allocatable: &spec.allocatable,
            accelerator: None,
            is_ready: state.ready == Ready::True,
            is_autoscaled: true,
            is_recently_unremovable: false,
            pods: &counted,
        };
        let ineligible = ineligible_because(&candidate, &options.utilization, now);
        let to_move = match ineligible {
            // It is not asked for.
            Some(_) => None,
            None => self.movable_pods(pods, options, budgets, now),
        };
        SeenNode {
            node,
            group: Some(group),
            is_ready: candidate.is_ready,
            is_kept_by_annotation: candidate.is_kept_by_annotation(),
            ineligible,
            to_move,
        }
    }

    /// The pods of a node that need another place; `None` when one of them keeps the node.
    fn movable_pods(
        &self,
        ids: &[PodId],
        options: &Options,
        budgets: &[DrainBudget],
        now: SimTime,
    ) -> Option<Vec<MovablePod>> {
        let pods: Vec<DrainPod<'_>> = ids.iter().map(|pod| self.drain_pod(*pod)).collect();
        let drain = pods_to_move(&pods, budgets, &options.drain, now);
        if drain.blocked_by.is_some() {
            return None;
        }
        // What lies on its disks fits no other node.
        let is_bound = |pod: &PodId| {
            let pod = &self.pods[pod.index()];
            self.workloads[pod.workload.index()].volume_node(pod.ordinal).is_some()
        };
        if ids.iter().any(is_bound) {
            return None;
        }
        let movable = |idx: usize| {
            let (id, pod) = (ids[idx], &self.pods[ids[idx].index()]);
            let zone = self.workloads[pod.workload.index()].volume_zone(pod.ordinal);
            MovablePod {
                pod: id,
                shape: self.tables.template_of(pod).shape,
                zone: zone.map(|zone| self.blueprint.zones[zone.index()].name.clone()),
                budgets: (0..budgets.len()).filter(|it| budgets[*it].covers(&pods[idx])).collect(),
            }
        };
        Some(drain.to_move.into_iter().map(movable).collect())
    }

    fn utilization_pod(&self, id: PodId) -> UtilizationPod<'_> {
        let pod = &self.pods[id.index()];
        let template = &self.tables.template_of(pod).template;
        UtilizationPod {
            requests: &self.tables.groups.requests[pod.template.index()],
            owner_kind: self.owner(pod.workload).map(|owner| owner.kind),
            annotations: &template.annotations,
            deleted_at: pod.deleted_at,
            grace: template.spec.termination_grace,
        }
    }

    fn drain_pod(&self, id: PodId) -> DrainPod<'_> {
        let pod = &self.pods[id.index()];
        let workload = &self.blueprint.workloads[pod.workload.index()];
        let template = &self.tables.template_of(pod).template;
        let is_failed = pod.phase == Phase::Finished;
        DrainPod {
            namespace: &workload.namespace,
            labels: &template.labels,
            annotations: &template.annotations,
            owner: self.owner(pod.workload),
            phase: if is_failed { PodPhase::Failed } else { PodPhase::Running },
            restart_policy: RestartPolicy::Always,
            // What was there at the start is old.
            created_at: Some(pod.created_at).filter(|at| *at > SimTime::ZERO),
            deleted_at: pod.deleted_at,
            grace: template.spec.termination_grace,
            local_volumes: &template.spec.local_volumes,
        }
    }

    /// The controller that owns the pods of a workload.
    fn owner(&self, workload: WorkloadId) -> Option<Owner<'_>> {
        let (group, kind) = self.blueprint.workloads[workload.index()].kind.controller()?;
        let replicas = i32::try_from(self.replicas(workload)).ok();
        Some(Owner { group, kind, state: OwnerState::Found(replicas) })
    }
}
