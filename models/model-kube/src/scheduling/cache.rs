//! What the scheduler knows of nodes and pods, kept up to date pod by pod.
//!
//! Sources: `pkg/scheduler/backend/cache/cache.go` and `pkg/scheduler/framework/types.go`, Kubernetes 1.36.

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::kube::{Labels, Node, Taint};
use model_api::{NodeId, PodId, SimTime};

use super::catalog::{Catalog, TaintView, TallyRule, put};
use super::local::LocalAnswers;
use super::node_order::NodeOrder;
use super::profile::Profile;
use super::shape::{HostPort, PodDescription, Shape};
use super::topology::{Topology, ValueIdx};
use super::volume::{Claim, VolumesId, ZONE};

/// A compiled template of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShapeId(pub(super) u32);

impl ShapeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Nodes, the pods on them, and counts of pods by topology. A clone is a snapshot: what no pod and
/// no taint changes is shared.
///
/// Meant use: compile all templates and volumes and add all nodes once, then clone that cache for
/// every run. Compiling later works too, but then the run gets a copy of everything compiled.
#[derive(Clone, Debug)]
pub struct SchedulerCache {
    pub(super) catalog: Arc<Catalog>,
    /// By node id.
    pub(super) nodes: Vec<CachedNode>,
    pub(super) order: NodeOrder,
    /// Where the next pod's search starts in the order.
    pub(super) next_start_idx: usize,
    pub(super) pods: BTreeMap<PodId, CachedPod>,
    /// By tally rule.
    pub(super) tallies: Vec<Tally>,
    /// Images on nodes: size as first reported, and how many nodes have it.
    pub(super) images: Arc<BTreeMap<String, ImageState>>,
    /// Pods that wait for a node to which preemption nominated them.
    pub(super) nominations: Vec<Nomination>,
    /// What nodes by themselves answered.
    pub(super) local: LocalAnswers,
    /// How often something changed that an attempt may see.
    change_count: u64,
}

/// The changing side of a node.
#[derive(Clone, Debug, Default)]
pub(super) struct CachedNode {
    pub(super) is_present: bool,
    pub(super) is_unschedulable: bool,
    pub(super) taints: Vec<Taint>,
    /// By toleration set.
    pub(super) views: Vec<TaintView>,
    /// By resource; may be shorter than the catalog's list.
    pub(super) used: Vec<i64>,
    /// CPU and memory as scoring counts them.
    pub(super) used_scored: [i64; 2],
    pub(super) host_ports: Vec<HostPort>,
    /// In the order of their arrival.
    pub(super) pods: Vec<PodId>,
    /// How many volumes each driver can attach; drivers not named have no limit.
    pub(super) attach_limits: Vec<(String, u32)>,
    /// Images that the node reports, with their sizes in bytes.
    pub(super) images: Arc<[(String, i64)]>,
}

/// A pod that takes its place on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CachedPod {
    pub(super) shape: ShapeId,
    pub(super) node: NodeId,
    pub(super) volumes: VolumesId,
    pub(super) is_terminating: bool,
    /// It is terminating because the scheduler preempted it.
    pub(super) is_preempted: bool,
    /// `status.startTime`.
    pub(super) started: Option<SimTime>,
}

/// A pod that preemption promised a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nomination {
    pub(super) pod: PodId,
    pub(super) shape: ShapeId,
    pub(super) node: NodeId,
}

/// An image somewhere in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageState {
    pub(super) size_bytes: i64,
    pub(super) node_count: u32,
}

/// Pods of a set by the value of a topology key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// By value.
    counts: Vec<u32>,
    /// All counted pods.
    total: u32,
    /// By node: the node is in the rule's scope. Empty for rules without one.
    is_eligible: Vec<bool>,
    /// By value: how many nodes in scope have it.
    node_counts: Vec<u32>,
}

impl SchedulerCache {
    /// A cluster without nodes and the default profile.
    pub fn new() -> Self {
        Self::with_profile(Profile::default())
    }

    /// A cluster without nodes.
    pub fn with_profile(profile: Profile) -> Self {
        let mut catalog = Catalog::new(profile);
        let none = catalog.volume_set(Vec::new());
        debug_assert_eq!(none, VolumesId::NONE.index());
        Self {
            catalog: Arc::new(catalog),
            nodes: Vec::new(),
            order: NodeOrder::default(),
            next_start_idx: 0,
            pods: BTreeMap::new(),
            tallies: Vec::new(),
            images: Arc::new(BTreeMap::new()),
            nominations: Vec::new(),
            local: LocalAnswers::default(),
            change_count: 0,
        }
    }

    /// A number that grows whenever something changes that an attempt may see.
    pub const fn change_count(&self) -> u64 {
        self.change_count
    }

    /// Sets the labels of a namespace, for `namespaceSelector`. A namespace that is not declared has
    /// only the label with its name.
    ///
    /// # Panics
    /// When a template in that namespace was compiled before.
    pub fn declare_namespace(&mut self, name: &str, labels: &Labels) {
        Arc::make_mut(&mut self.catalog).declare_namespace(name, labels);
    }

    /// Compiles a template. Meant to be done once a template, before the run.
    pub fn compile(&mut self, pod: PodDescription<'_>) -> ShapeId {
        let catalog = Arc::make_mut(&mut self.catalog);
        let shape_idx = catalog.shapes.len();
        self.local.forget();
        let first_new_rule_idx = catalog.rules.len();
        let shape = Shape::compile(catalog, pod);
        catalog.add_shape(shape, first_new_rule_idx);
        let catalog = Arc::clone(&self.catalog);
        for cached in &mut self.nodes {
            for set in &catalog.toleration_sets[cached.views.len()..] {
                cached.views.push(set.view(&cached.taints));
            }
        }
        for rule in &catalog.rules[first_new_rule_idx..] {
            let tally = self.count(rule);
            self.tallies.push(tally);
        }
        ShapeId(u32::try_from(shape_idx).expect("fewer than 2^32 templates"))
    }

    /// Makes a pod's claims known. Equal claims get equal ids.
    pub fn volumes(&mut self, claims: Vec<Claim>) -> VolumesId {
        let known = self.catalog.volume_sets.iter().position(|set| set.claims() == claims);
        let idx = known.unwrap_or_else(|| Arc::make_mut(&mut self.catalog).volume_set(claims));
        VolumesId(u32::try_from(idx).expect("fewer than 2^32 sets of claims"))
    }

    /// Claims of which all that matters is the zone their volumes stand in. Known already for every
    /// zone that has a node.
    pub fn volumes_in_zone(&mut self, zone: &str) -> VolumesId {
        self.volumes(vec![Claim::in_zone(zone)])
    }

    /// Claims whose volume lies on disks of one node.
    pub fn volumes_on_node(&mut self, node: &str) -> VolumesId {
        self.volumes(vec![Claim::on_node(node)])
    }

    /// Adds a node, or brings one back; pods that were left on it count again.
    ///
    /// # Panics
    /// When the node is there already.
    pub fn add_node(&mut self, id: NodeId, node: &Node) {
        let idx = id.index();
        if self.nodes.len() <= idx {
            self.nodes.resize(idx + 1, CachedNode::default());
        }
        assert!(!self.nodes[idx].is_present, "{id} is added twice");
        self.change_count += 1;
        self.local.forget();
        if !self.catalog.is_known(idx, node) {
            Arc::make_mut(&mut self.catalog).set_node(idx, node);
        }
        if let Some(zone) = node.labels.get(ZONE) {
            self.volumes_in_zone(zone);
        }
        let cached = &mut self.nodes[idx];
        cached.taints.clone_from(&node.taints);
        cached.is_unschedulable = node.unschedulable;
        cached.is_present = true;
        self.refresh_views(idx);
        self.order.add(id, node);
        self.attach(idx);
        self.set_images(id, &node.images);
    }

    /// Makes a node known that may be added later, so that adding it costs no run a copy of what
    /// all runs share.
    pub fn foresee_node(&mut self, id: NodeId, node: &Node) {
        if self.nodes.len() <= id.index() {
            self.nodes.resize(id.index() + 1, CachedNode::default());
        }
        Arc::make_mut(&mut self.catalog).set_node(id.index(), node);
        if let Some(zone) = node.labels.get(ZONE) {
            self.volumes_in_zone(zone);
        }
    }

    /// Replaces the taints of a node and whether it is unschedulable. Whether that changes anything.
    ///
    /// # Panics
    /// When the node is not there.
    pub fn update_node(&mut self, id: NodeId, taints: Vec<Taint>, unschedulable: bool) -> bool {
        let cached = self.present_mut(id);
        let (is_other, has_others) =
            (cached.is_unschedulable != unschedulable, cached.taints != taints);
        if !is_other && !has_others {
            return false;
        }
        cached.is_unschedulable = unschedulable;
        self.local.forget_node(id.index());
        self.change_count += 1;
        if !has_others {
            return true;
        }
        let cached = self.present_mut(id);
        cached.taints = taints;
        self.refresh_views(id.index());
        let catalog = Arc::clone(&self.catalog);
        for (rule_idx, rule) in catalog.rules.iter().enumerate() {
            let depends = rule.scope_idx.and_then(|idx| catalog.scopes[idx].tolerations_idx);
            if depends.is_some() {
                self.refresh_eligibility(rule_idx, rule, id.index());
            }
        }
        true
    }

    /// Removes a node. Pods may still be on it: they count nowhere until they are removed or the
    /// node is back.
    ///
    /// # Panics
    /// When the node is not there.
    pub fn remove_node(&mut self, id: NodeId) {
        self.present_mut(id);
        self.change_count += 1;
        self.set_images(id, &[]);
        self.detach(id.index());
        self.nodes[id.index()].is_present = false;
        self.order.remove(id);
    }

    /// Sets the images that a node reports: names and size of each, in bytes.
    pub fn set_images(&mut self, id: NodeId, images: &[(Vec<String>, i64)]) {
        let cached = &mut self.nodes[id.index()];
        if cached.images.is_empty() && images.is_empty() {
            return;
        }
        let flat = images.iter().flat_map(|(names, size)| names.iter().map(|n| (n.clone(), *size)));
        let earlier = std::mem::replace(&mut cached.images, flat.collect());
        let now = Arc::clone(&cached.images);
        let states = Arc::make_mut(&mut self.images);
        for (name, size_bytes) in now.iter() {
            let new = ImageState { size_bytes: *size_bytes, node_count: 0 };
            states.entry(name.clone()).or_insert(new).node_count += 1;
        }
        for (name, _) in earlier.iter() {
            let state = states.get_mut(name).expect("images of a node are counted");
            state.node_count -= 1;
            if state.node_count == 0 {
                states.remove(name);
            }
        }
    }

    /// Sets how many volumes of each driver a node can attach (`CSINode`); drivers that are not
    /// named have no limit.
    pub fn set_attach_limits(&mut self, id: NodeId, limits: Vec<(String, u32)>) {
        self.nodes[id.index()].attach_limits = limits;
    }

    /// Puts a pod without claims on a node: bound, or assumed to be soon.
    ///
    /// # Panics
    /// When the node was never there or the pod is already somewhere.
    pub fn add_pod(&mut self, pod: PodId, shape: ShapeId, node: NodeId) {
        self.add_pod_with_volumes(pod, shape, node, VolumesId::NONE);
    }

    /// Puts a pod with claims on a node. A nomination of the pod ends.
    ///
    /// # Panics
    /// When the node was never there or the pod is already somewhere.
    pub fn add_pod_with_volumes(
        &mut self,
        pod: PodId,
        shape: ShapeId,
        node: NodeId,
        volumes: VolumesId,
    ) {
        let cached = CachedPod {
            shape,
            node,
            volumes,
            is_terminating: false,
            is_preempted: false,
            started: None,
        };
        self.withdraw_nomination(pod);
        self.change_count += 1;
        self.place(pod, cached);
    }

    /// A pod got a deletionTimestamp: it still takes its place, but spreading does not count it.
    /// Nothing happens when it is nowhere.
    pub fn mark_terminating(&mut self, pod: PodId) {
        let Some(cached) = self.pods.get_mut(&pod) else { return };
        if std::mem::replace(&mut cached.is_terminating, true) {
            return;
        }
        self.change_count += 1;
        let (shape, node_idx) = (cached.shape, cached.node.index());
        if !self.nodes[node_idx].is_present {
            return;
        }
        let catalog = Arc::clone(&self.catalog);
        for rule_idx in &catalog.shapes[shape.index()].counted_by {
            let rule = &catalog.rules[*rule_idx];
            if !rule.counts_terminating {
                self.tallies[*rule_idx].change(rule, &catalog.topology, node_idx, -1);
            }
        }
    }

    /// A pod is being deleted because the scheduler preempted it
    /// (condition DisruptionTarget, PreemptionByScheduler).
    pub fn mark_preempted(&mut self, pod: PodId) {
        self.mark_terminating(pod);
        if let Some(cached) = self.pods.get_mut(&pod) {
            cached.is_preempted = true;
        }
    }

    /// A pod's kubelet took it over: `status.startTime`, which preemption compares.
    pub fn set_started(&mut self, pod: PodId, started: SimTime) {
        if let Some(cached) = self.pods.get_mut(&pod) {
            cached.started = Some(started);
        }
    }

    /// A pod is gone; nothing happens when it was nowhere.
    pub fn remove_pod(&mut self, pod: PodId) {
        self.withdraw_nomination(pod);
        self.change_count += u64::from(self.displace(pod).is_some());
    }

    /// The node a pod is on.
    pub fn node_of(&self, pod: PodId) -> Option<NodeId> {
        self.pods.get(&pod).map(|cached| cached.node)
    }

    /// All nodes, by id.
    pub fn present_nodes(&self) -> Vec<NodeId> {
        let present = self.nodes.iter().enumerate().filter(|(_, cached)| cached.is_present);
        present.map(|(idx, _)| NodeId::from_index(idx)).collect()
    }

    /// How many nodes there are.
    pub fn node_count(&self) -> usize {
        self.order.list().len()
    }

    /// An id that no node had, for a simulation on a clone.
    pub fn next_free_node(&self) -> NodeId {
        NodeId::from_index(self.nodes.len())
    }

    /// An id above those of all pods, for a simulation on a clone.
    pub fn next_free_pod(&self) -> PodId {
        let highest = self.pods.keys().next_back().map(|pod| pod.index());
        let nominated = self.nominations.iter().map(|nomination| nomination.pod.index()).max();
        PodId::from_index(highest.max(nominated).map_or(0, |idx| idx + 1))
    }

    /// The pods on a node.
    pub fn pods_on(&self, node: NodeId) -> &[PodId] {
        self.nodes.get(node.index()).map_or(&[], |cached| &cached.pods)
    }

    /// Notes that preemption promised a pod a node: from now on pods of lower priority must leave
    /// room for it there.
    pub fn nominate(&mut self, pod: PodId, shape: ShapeId, node: NodeId) {
        self.withdraw_nomination(pod);
        self.nominations.push(Nomination { pod, shape, node });
        self.change_count += 1;
    }

    /// Forgets a nomination.
    pub fn withdraw_nomination(&mut self, pod: PodId) {
        let earlier = self.nominations.len();
        self.nominations.retain(|nomination| nomination.pod != pod);
        self.change_count += u64::from(self.nominations.len() != earlier);
    }

    /// Pods that wait for the node to which preemption nominated them, with that node.
    pub fn nominated(&self) -> impl Iterator<Item = (PodId, NodeId)> + '_ {
        self.nominations.iter().map(|nomination| (nomination.pod, nomination.node))
    }

    /// Pods of lower priority than a shape that are nominated to a node: a preemptor takes their
    /// nomination away.
    pub fn lesser_nominations(&self, node: NodeId, shape: ShapeId) -> Vec<PodId> {
        let priority = |shape: ShapeId| self.catalog.shapes[shape.index()].priority;
        let on_node = self.nominations.iter().filter(|nomination| nomination.node == node);
        on_node.filter(|it| priority(it.shape) < priority(shape)).map(|it| it.pod).collect()
    }

    /// What is left of a resource on a node, in the resource's unit; negative when a node shrank.
    pub fn free(&self, node: NodeId, resource: &str) -> i64 {
        let idx = node.index();
        let Some(resource_idx) = self.catalog.known_resource(resource) else { return 0 };
        let amount = |amounts: &[i64]| amounts.get(resource_idx).copied().unwrap_or(0);
        amount(&self.catalog.node(idx).allocatable) - amount(&self.nodes[idx].used)
    }

    /// Puts a pod somewhere and counts it.
    pub(super) fn place(&mut self, pod: PodId, cached: CachedPod) {
        let earlier = self.pods.insert(pod, cached);
        assert!(earlier.is_none(), "{pod} is added twice");
        let catalog = Arc::clone(&self.catalog);
        let shape = &catalog.shapes[cached.shape.index()];
        let node_idx = cached.node.index();
        self.local.forget_node(node_idx);
        let node = &mut self.nodes[node_idx];
        node.take(shape);
        node.pods.push(pod);
        if node.is_present {
            self.tally(&catalog, shape, &cached, 1);
        }
    }

    /// Takes a pod away and stops counting it.
    pub(super) fn displace(&mut self, pod: PodId) -> Option<CachedPod> {
        let cached = self.pods.remove(&pod)?;
        let catalog = Arc::clone(&self.catalog);
        let shape = &catalog.shapes[cached.shape.index()];
        self.local.forget_node(cached.node.index());
        let node = &mut self.nodes[cached.node.index()];
        node.release(shape);
        let place = node.pods.iter().position(|known| *known == pod);
        node.pods.remove(place.expect("a pod is on the node it was put on"));
        if node.is_present {
            self.tally(&catalog, shape, &cached, -1);
        }
        Some(cached)
    }

    fn tally(&mut self, catalog: &Catalog, shape: &Shape, pod: &CachedPod, by: i32) {
        for rule_idx in &shape.counted_by {
            let rule = &catalog.rules[*rule_idx];
            if rule.counts_terminating || !pod.is_terminating {
                self.tallies[*rule_idx].change(rule, &catalog.topology, pod.node.index(), by);
            }
        }
    }

    fn present_mut(&mut self, id: NodeId) -> &mut CachedNode {
        let cached = self.nodes.get_mut(id.index()).filter(|cached| cached.is_present);
        cached.expect("only nodes that are there change")
    }

    fn refresh_views(&mut self, node_idx: usize) {
        let cached = &mut self.nodes[node_idx];
        cached.views.clear();
        let sets = self.catalog.toleration_sets.iter();
        cached.views.extend(sets.map(|set| set.view(&cached.taints)));
    }

    /// Lets a node and its pods count.
    fn attach(&mut self, node_idx: usize) {
        let catalog = Arc::clone(&self.catalog);
        for (rule_idx, rule) in catalog.rules.iter().enumerate() {
            if rule.scope_idx.is_some() {
                self.refresh_eligibility(rule_idx, rule, node_idx);
            } else {
                let here = self.members_on(rule, node_idx);
                let by = i32::try_from(here).expect("few pods on a node");
                self.tallies[rule_idx].change(rule, &catalog.topology, node_idx, by);
            }
        }
    }

    /// Lets a node and its pods count no longer.
    fn detach(&mut self, node_idx: usize) {
        let catalog = Arc::clone(&self.catalog);
        for (rule_idx, rule) in catalog.rules.iter().enumerate() {
            let by = -i32::try_from(self.members_on(rule, node_idx)).expect("few pods on a node");
            let tally = &mut self.tallies[rule_idx];
            tally.change(rule, &catalog.topology, node_idx, by);
            if rule.scope_idx.is_some() {
                tally.set_eligible(rule, &catalog.topology, node_idx, false);
            }
        }
    }

    /// Works out anew whether a node is in a rule's scope, and counts its pods accordingly.
    fn refresh_eligibility(&mut self, rule_idx: usize, rule: &TallyRule, node_idx: usize) {
        let is_eligible = self.is_eligible(rule, node_idx);
        if self.tallies[rule_idx].is_eligible(node_idx) == is_eligible {
            return;
        }
        let here = i32::try_from(self.members_on(rule, node_idx)).expect("few pods on a node");
        let topology = &self.catalog.topology;
        let tally = &mut self.tallies[rule_idx];
        if is_eligible {
            tally.set_eligible(rule, topology, node_idx, true);
            tally.change(rule, topology, node_idx, here);
        } else {
            tally.change(rule, topology, node_idx, -here);
            tally.set_eligible(rule, topology, node_idx, false);
        }
    }

    /// podtopologyspread/common.go, 1.36: all keys of the pod's constraints of that kind, and the
    /// node inclusion policies.
    fn is_eligible(&self, rule: &TallyRule, node_idx: usize) -> bool {
        let Some(scope_idx) = rule.scope_idx else { return true };
        let (catalog, node) = (&self.catalog, &self.nodes[node_idx]);
        let scope = &catalog.scopes[scope_idx];
        let has = |key_idx: &usize| catalog.topology.of(*key_idx, node_idx) != Topology::NO_VALUE;
        node.is_present
            && scope.key_idxs.iter().all(has)
            && scope.wish_idx.is_none_or(|idx| catalog.wishes[idx].matches[node_idx])
            && scope.tolerations_idx.is_none_or(|idx| !node.views[idx].is_blocked)
    }

    /// How many pods on a node a rule means.
    fn members_on(&self, rule: &TallyRule, node_idx: usize) -> usize {
        let members = &self.catalog.pod_sets[rule.set_idx].members;
        let pods = self.nodes[node_idx].pods.iter().map(|pod| &self.pods[pod]);
        pods.filter(|pod| {
            members[pod.shape.index()] && (rule.counts_terminating || !pod.is_terminating)
        })
        .count()
    }

    /// Counts from nothing; what the tallies hold equals this at every moment.
    pub(super) fn count(&self, rule: &TallyRule) -> Tally {
        let mut tally = Tally::default();
        let topology = &self.catalog.topology;
        for (node_idx, _) in self.nodes.iter().enumerate().filter(|(_, node)| node.is_present) {
            if rule.scope_idx.is_some() {
                if !self.is_eligible(rule, node_idx) {
                    continue;
                }
                tally.set_eligible(rule, topology, node_idx, true);
            }
            let here = i32::try_from(self.members_on(rule, node_idx)).expect("few pods on a node");
            tally.change(rule, topology, node_idx, here);
        }
        tally
    }

    /// Whether every incremental count equals a recount. Slow; for tests and paranoid runs.
    pub fn is_consistent(&self) -> bool {
        let tallies = self.catalog.rules.iter().zip(&self.tallies);
        let mut used = vec![CachedNode::default(); self.nodes.len()];
        for pod in self.pods.values() {
            used[pod.node.index()].take(&self.catalog.shapes[pod.shape.index()]);
        }
        let is_used_right = self.nodes.iter().zip(&used).all(|(node, recount)| {
            let longest = node.used.len().max(recount.used.len());
            let amount = |used: &[i64], idx: usize| used.get(idx).copied().unwrap_or(0);
            (0..longest).all(|idx| amount(&node.used, idx) == amount(&recount.used, idx))
                && node.used_scored == recount.used_scored
                && node.host_ports.len() == recount.host_ports.len()
        });
        is_used_right && tallies.into_iter().all(|(rule, tally)| tally.equals(&self.count(rule)))
    }
}

impl Default for SchedulerCache {
    fn default() -> Self {
        Self::new()
    }
}

impl CachedNode {
    fn take(&mut self, shape: &Shape) {
        if self.used.len() < shape.requests.len() {
            self.used.resize(shape.requests.len(), 0);
        }
        for (used, request) in self.used.iter_mut().zip(&shape.requests) {
            *used += request;
        }
        for (used, request) in self.used_scored.iter_mut().zip(shape.scored_requests) {
            *used += request;
        }
        self.host_ports.extend_from_slice(&shape.host_ports);
    }

    fn release(&mut self, shape: &Shape) {
        for (used, request) in self.used.iter_mut().zip(&shape.requests) {
            *used -= request;
            debug_assert!(*used >= 0, "more was released than taken");
        }
        for (used, request) in self.used_scored.iter_mut().zip(shape.scored_requests) {
            *used -= request;
        }
        for port in &shape.host_ports {
            let place = self.host_ports.iter().position(|have| have == port);
            self.host_ports.remove(place.expect("a pod's ports were taken with it"));
        }
    }

    pub(super) fn used(&self, resource_idx: usize) -> i64 {
        self.used.get(resource_idx).copied().unwrap_or(0)
    }
}

impl Tally {
    fn change(&mut self, rule: &TallyRule, topology: &Topology, node_idx: usize, by: i32) {
        if by == 0 || (rule.scope_idx.is_some() && !self.is_eligible(node_idx)) {
            return;
        }
        let value = topology.of(rule.key_idx, node_idx);
        if value == Topology::NO_VALUE {
            return;
        }
        let idx = value as usize;
        if self.counts.len() <= idx {
            self.counts.resize(idx + 1, 0);
        }
        let count = &mut self.counts[idx];
        *count = count.checked_add_signed(by).expect("what is taken away was counted");
        self.total = self.total.checked_add_signed(by).expect("what is taken away was counted");
    }

    fn set_eligible(
        &mut self,
        rule: &TallyRule,
        topology: &Topology,
        node_idx: usize,
        is_eligible: bool,
    ) {
        if self.is_eligible(node_idx) == is_eligible {
            return;
        }
        put(&mut self.is_eligible, node_idx, is_eligible);
        let value = topology.of(rule.key_idx, node_idx);
        if value == Topology::NO_VALUE {
            return;
        }
        let idx = value as usize;
        if self.node_counts.len() <= idx {
            self.node_counts.resize(idx + 1, 0);
        }
        let by = if is_eligible { 1 } else { -1 };
        let count = self.node_counts[idx].checked_add_signed(by);
        self.node_counts[idx] = count.expect("what leaves the scope was in it");
    }

    fn is_eligible(&self, node_idx: usize) -> bool {
        self.is_eligible.get(node_idx).copied().unwrap_or(false)
    }

    /// Pods with a value.
    pub(super) fn at(&self, value: ValueIdx) -> i64 {
        self.counts.get(value as usize).copied().unwrap_or(0).into()
    }

    /// All pods that are counted.
    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Counts of the values that some node in scope has: the domains.
    pub(super) fn domains(&self) -> impl Iterator<Item = (usize, i64)> {
        let with_nodes = self.node_counts.iter().enumerate().filter(|(_, nodes)| **nodes > 0);
        with_nodes.map(|(idx, _)| (idx, self.counts.get(idx).copied().unwrap_or(0).into()))
    }

    fn equals(&self, other: &Self) -> bool {
        fn same<T: Copy + Default + PartialEq>(a: &[T], b: &[T]) -> bool {
            let at = |values: &[T], idx: usize| values.get(idx).copied().unwrap_or_default();
            (0..a.len().max(b.len())).all(|idx| at(a, idx) == at(b, idx))
        }
        self.total == other.total
            && same(&self.counts, &other.counts)
            && same(&self.is_eligible, &other.is_eligible)
            && same(&self.node_counts, &other.node_counts)
    }
}

#[cfg(test)]
mod tests {
    use model_api::kube::{PodTemplate, ResourceList};

    use super::*;
    use crate::scheduling::Placement;

    /// Two nodes, and templates of these priorities.
    fn cache(priorities: [i32; 3]) -> (SchedulerCache, [ShapeId; 3]) {
        let mut cache = SchedulerCache::new();
        let shapes = priorities.map(|priority| {
            let mut template = PodTemplate::default();
            template.spec.priority = priority;
            let pod =
                PodDescription { namespace: "shop", template: &template, default_selector: None };
            cache.compile(pod)
        });
        for idx in 0..2 {
            let node = Node { name: format!("n{idx}"), ..Node::default() };
            cache.add_node(NodeId(idx), &node);
        }
        (cache, shapes)
    }

    #[test]
    fn a_preemptor_takes_nominations_of_lower_priority_on_its_node() {
        let (mut cache, [low, middle, high]) = cache([-1, 0, 1]);
        cache.nominate(PodId(1), low, NodeId(0));
        cache.nominate(PodId(2), middle, NodeId(0));
        cache.nominate(PodId(3), low, NodeId(1));
        let taken = |shape| cache.lesser_nominations(NodeId(0), shape);
        assert_eq!(taken(high), [PodId(1), PodId(2)]);
        assert_eq!(taken(middle), [PodId(1)]);
        assert_eq!(taken(low), []);
    }

    /// schedule_one.go, findNodesThatPassFilters: the next search begins where the last one ended.
    #[test]
    fn of_many_nodes_each_search_takes_the_next_part() {
        let mut cache = SchedulerCache::new();
        let template = PodTemplate::default();
        let pod = PodDescription { namespace: "shop", template: &template, default_selector: None };
        let shape = cache.compile(pod);
        let amounts = [("cpu", 1000), ("memory", 1 << 30), ("pods", 110)];
        let allocatable =
            ResourceList(amounts.map(|(name, amount)| (name.to_owned(), amount)).into());
        for idx in 0..200 {
            let name = format!("n{idx}");
            let node = Node { name, allocatable: allocatable.clone(), ..Node::default() };
            cache.add_node(NodeId(idx), &node);
        }
        // 49 % of 200 are fewer than a hundred, and a hundred are looked for at least.
        for is_second_half in [false, true, false, true] {
            let Placement::Node(node) = cache.schedule(shape, None, |_| 0) else {
                panic!("there is room")
            };
            assert_eq!(node.0 >= 100, is_second_half, "{node}");
        }
    }

    #[test]
    fn every_change_is_counted_and_what_changes_nothing_is_not() {
        let (mut cache, [low, ..]) = cache([0, 1, 2]);
        let node = Node { name: "n2".to_owned(), ..Node::default() };
        type Step = fn(&mut SchedulerCache, ShapeId, &Node);
        let steps: [(Step, bool); 6] = [
            (|cache, _, node| cache.add_node(NodeId(2), node), true),
            (|cache, low, _| cache.nominate(PodId(1), low, NodeId(0)), true),
            (|cache, _, _| cache.withdraw_nomination(PodId(7)), false),
            (|cache, _, _| cache.withdraw_nomination(PodId(1)), true),
            (|cache, low, _| cache.add_pod(PodId(1), low, NodeId(0)), true),
            (|cache, _, _| cache.remove_node(NodeId(2)), true),
        ];
        for (idx, (step, changes)) in steps.into_iter().enumerate() {
            let before = cache.change_count();
            step(&mut cache, low, &node);
            assert_eq!(cache.change_count() > before, changes, "step {idx}");
        }
    }
}
