//! Filters: may the pod run on this node at all?
//!
//! Each filter is a function of the pod's shape, the node and counts; [`Query`] holds what is worked
//! out once for a pod before nodes are looked at (PreFilter).

use model_api::NodeId;
use model_api::observation::UnschedulableReason as Reason;

use super::cache::SchedulerCache;
use super::catalog::Catalog;
use super::request::is_extended;
use super::shape::{Shape, TermTally};
use super::topology::Topology;
use super::volume::{VolumeSet, VolumesId};
use super::{Attempt, cache::ShapeId};

/// Whether taking pods away from a node could make it fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// It could: preemption may be tried.
    Unschedulable,
    /// It could not.
    UnschedulableAndUnresolvable,
}

/// A node is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// By the first filter of the profile that fails.
    pub filter: Reason,
    /// How finally.
    pub code: Code,
}

/// The filters in the profile's order
/// (pkg/scheduler/apis/config/v1/default_plugins.go, 1.36).
pub(super) const FILTERS: [Reason; 12] = [
    Reason::NodeUnschedulable,
    Reason::NodeName,
    Reason::TaintToleration,
    Reason::NodeAffinity,
    Reason::NodePorts,
    Reason::NodeResourcesFit,
    Reason::VolumeRestrictions,
    Reason::NodeVolumeLimits,
    Reason::VolumeBinding,
    Reason::VolumeZone,
    Reason::PodTopologySpread,
    Reason::InterPodAffinity,
];

/// How many of them look at the node alone.
const LOCAL_FILTER_COUNT: usize = 6;
/// Where those begin that look at other pods; in between stand those that look at volumes.
const FIRST_FILTER_OF_PODS: usize = 10;

/// Filters that may refuse a pod before any node is looked at, in the profile's order.
const PRE_FILTERS: [Reason; 3] =
    [Reason::VolumeRestrictions, Reason::VolumeBinding, Reason::VolumeZone];

/// Whether a filter counts pods on other nodes: then what happens elsewhere may change its answer.
pub const fn looks_at_pods(filter: Reason) -> bool {
    matches!(filter, Reason::PodTopologySpread | Reason::InterPodAffinity)
}

/// What is worked out once for a pod.
pub(super) struct Query<'a> {
    catalog: &'a Catalog,
    pub(super) shape: &'a Shape,
    shape_idx: usize,
    volumes: &'a VolumeSet,
    has_volumes: bool,
    /// Another pod uses a claim that only one pod may use.
    is_claim_taken: bool,
    /// Per hard spread constraint: the largest count that leaves room for the pod.
    spread_limits: Vec<i64>,
    /// Tallies of required anti-affinity of other pods that holds anywhere.
    kept_off_by: Vec<usize>,
    /// No pod matches the required affinity terms, and the pod itself would.
    is_first_of_group: bool,
    /// The node that the pod's own affinity names.
    only_node: Option<NodeId>,
}

impl<'a> Query<'a> {
    pub(super) fn new(cache: &SchedulerCache, catalog: &'a Catalog, attempt: Attempt) -> Self {
        let shape = &catalog.shapes[attempt.shape.index()];
        let volumes = &catalog.volume_sets[attempt.volumes.index()];
        let mut query = Self {
            catalog,
            shape,
            shape_idx: attempt.shape.index(),
            volumes,
            has_volumes: attempt.volumes != VolumesId::NONE,
            is_claim_taken: false,
            spread_limits: Vec::with_capacity(shape.hard_spread.len()),
            kept_off_by: Vec::new(),
            is_first_of_group: false,
            only_node: attempt.only_node,
        };
        query.refresh(cache);
        query
    }

    /// Works out anew what depends on other pods.
    pub(super) fn refresh(&mut self, cache: &SchedulerCache) {
        let shape = self.shape;
        self.spread_limits.clear();
        for constraint in &shape.hard_spread {
            let (mut domain_count, mut min) = (0, i64::MAX);
            for (_, count) in cache.tallies[constraint.tally_idx].domains() {
                domain_count += 1;
                min = min.min(count);
            }
            if domain_count == 0 || domain_count < constraint.min_domains {
                min = 0;
            }
            let own = i64::from(constraint.matches_self);
            self.spread_limits.push(constraint.max_skew + min - own);
        }
        self.kept_off_by.clear();
        let holds = |idx: &&usize| !cache.tallies[**idx].is_empty();
        self.kept_off_by.extend(shape.kept_off_by.iter().filter(holds));
        self.is_first_of_group =
            shape.affinity.iter().all(|term| cache.tallies[term.tally_idx].is_empty())
                && shape.affinity.iter().all(|term| {
                    let set_idx = self.catalog.rules[term.tally_idx].set_idx;
                    self.catalog.pod_sets[set_idx].members[self.shape_idx]
                });
        self.is_claim_taken = self.has_volumes && self.is_claim_taken(cache);
    }

    /// Whether the pod is refused before nodes are looked at, and by which filter.
    pub(super) fn pre_filter(&self) -> Result<(), Rejection> {
        if let Some(filter) = self.shape.unreadable {
            return Err(Rejection { filter, code: Code::UnschedulableAndUnresolvable });
        }
        PRE_FILTERS.into_iter().try_for_each(|filter| self.pre_filter_of(filter))
    }

    fn pre_filter_of(&self, filter: Reason) -> Result<(), Rejection> {
        if self.has_volumes && self.volumes.is_refused_by(filter) {
            return Err(Rejection { filter, code: Code::UnschedulableAndUnresolvable });
        }
        Ok(())
    }

    /// Whether affinity by name leaves nodes out of the search.
    pub(super) fn is_narrowed(&self) -> bool {
        self.only_node.is_some() || self.shape.only_nodes.is_some()
    }

    /// Whether affinity by name leaves this node in the search.
    pub(super) fn is_searched(&self, node: NodeId) -> bool {
        let names = self.shape.only_nodes.as_ref();
        self.only_node.is_none_or(|only| only == node)
            && names.is_none_or(|names| names.contains(&self.catalog.node(node.index()).name))
    }

    /// The first filter that refuses a node, if any.
    pub(super) fn check(&self, cache: &SchedulerCache, node: NodeId) -> Result<(), Rejection> {
        self.check_filters(&FILTERS, cache, node)
    }

    /// The first filter that refuses a node, of those that look at the node alone.
    pub(super) fn check_local(
        &self,
        cache: &SchedulerCache,
        node: NodeId,
    ) -> Result<(), Rejection> {
        self.check_filters(&FILTERS[..LOCAL_FILTER_COUNT], cache, node)
    }

    /// The first of the other filters that refuses a node.
    pub(super) fn check_others(
        &self,
        cache: &SchedulerCache,
        node: NodeId,
    ) -> Result<(), Rejection> {
        let first = if self.has_volumes { LOCAL_FILTER_COUNT } else { FIRST_FILTER_OF_PODS };
        self.check_filters(&FILTERS[first..], cache, node)
    }

    /// Whether no other filter has anything to say of any node.
    pub(super) fn is_local(&self) -> bool {
        let shape = self.shape;
        !self.has_volumes
            && shape.hard_spread.is_empty()
            && shape.affinity.is_empty()
            && shape.anti_affinity.is_empty()
            && self.kept_off_by.is_empty()
    }

    #[inline]
    fn check_filters(
        &self,
        filters: &[Reason],
        cache: &SchedulerCache,
        node: NodeId,
    ) -> Result<(), Rejection> {
        filters.iter().try_for_each(|filter| {
            let checked = self.filter(cache, node.index(), *filter);
            checked.map_err(|code| Rejection { filter: *filter, code })
        })
    }

    /// One filter by itself, with what it refuses before nodes are looked at.
    pub(super) fn check_alone(
        &self,
        cache: &SchedulerCache,
        node: NodeId,
        filter: Reason,
    ) -> Result<(), Rejection> {
        self.pre_filter_of(filter)?;
        self.filter(cache, node.index(), filter).map_err(|code| Rejection { filter, code })
    }

    #[inline]
    fn filter(&self, cache: &SchedulerCache, node_idx: usize, filter: Reason) -> Result<(), Code> {
        use Code::{Unschedulable as U, UnschedulableAndUnresolvable as UU};
        let (catalog, shape) = (self.catalog, self.shape);
        let cached = &cache.nodes[node_idx];
        let pass_or = |passes: bool, code: Code| if passes { Ok(()) } else { Err(code) };
        match filter {
            Reason::NodeUnschedulable => {
                let set = &catalog.toleration_sets[shape.tolerations_idx];
                pass_or(!cached.is_unschedulable || set.tolerates_unschedulable, UU)
            }
            Reason::NodeName => {
                let is_wanted = |name: &String| *name == catalog.node(node_idx).name;
                pass_or(shape.node_name.as_ref().is_none_or(is_wanted), UU)
            }
            Reason::TaintToleration => pass_or(!cached.views[shape.tolerations_idx].is_blocked, UU),
            Reason::NodeAffinity => {
                let matches = |wish_idx: usize| catalog.wishes[wish_idx].matches[node_idx];
                pass_or(matches(shape.wish_idx) && matches(shape.added_wish_idx), UU)
            }
            Reason::NodePorts => {
                let is_taken = |port| cached.host_ports.iter().any(|other| port_clash(port, other));
                pass_or(!shape.host_ports.iter().any(is_taken), U)
            }
            Reason::NodeResourcesFit => self.fits(cache, node_idx),
            Reason::VolumeRestrictions => pass_or(!self.is_claim_taken, U),
            Reason::NodeVolumeLimits => {
                pass_or(!self.has_volumes || self.can_attach(cache, node_idx), U)
            }
            Reason::VolumeBinding => pass_or(self.volumes.binds(node_idx), UU),
            Reason::VolumeZone => pass_or(self.volumes.is_in_zone(node_idx), UU),
            Reason::PodTopologySpread => self.spreads(cache, node_idx),
            Reason::InterPodAffinity => self.suits_others(cache, node_idx),
            // It holds pods back before any node is looked at.
            Reason::SchedulingGates => Ok(()),
        }
    }

    /// noderesources/fit.go, fitsRequest, 1.36: a request beyond what the node has at all cannot be
    /// mended by preemption; a request of 0 never fails.
    fn fits(&self, cache: &SchedulerCache, node_idx: usize) -> Result<(), Code> {
        let (facts, cached) = (self.catalog.node(node_idx), &cache.nodes[node_idx]);
        let pod_count = i64::try_from(cached.pods.len()).expect("few pods on a node");
        let mut code = None;
        if pod_count + 1 > facts.allocatable_pods {
            code = Some(Code::Unschedulable);
        }
        for (idx, request) in self.shape.requests.iter().enumerate() {
            if *request <= 0 || (idx > 2 && self.is_ignored(idx)) {
                continue;
            }
            let allocatable = facts.allocatable.get(idx).copied().unwrap_or(0);
            if *request > allocatable - cached.used(idx) {
                let is_hopeless = *request > allocatable;
                let worse = if is_hopeless {
                    Code::UnschedulableAndUnresolvable
                } else {
                    Code::Unschedulable
                };
                code = code.max(Some(worse));
            }
        }
        code.map_or(Ok(()), Err)
    }

    fn is_ignored(&self, resource_idx: usize) -> bool {
        let profile = &self.catalog.profile;
        if profile.ignored_resources.is_empty() && profile.ignored_resource_groups.is_empty() {
            return false;
        }
        let name = self.catalog.resource_name(resource_idx);
        let group = name.split('/').next().unwrap_or_default();
        is_extended(name)
            && (profile.ignored_resources.iter().any(|ignored| ignored == name)
                || profile.ignored_resource_groups.iter().any(|ignored| ignored == group))
    }

    /// volumerestrictions/volume_restrictions.go, 1.36: ReadWriteOncePod.
    fn is_claim_taken(&self, cache: &SchedulerCache) -> bool {
        self.volumes.exclusive_names().any(|name| {
            let others = cache.pods.values().filter(|pod| pod.volumes != VolumesId::NONE);
            others
                .filter(|pod| cache.nodes[pod.node.index()].is_present)
                .any(|pod| self.catalog.volume_sets[pod.volumes.index()].has_claim(name))
        })
    }

    /// nodevolumelimits/csi.go, 1.36: a volume that is attached already is not attached again.
    fn can_attach(&self, cache: &SchedulerCache, node_idx: usize) -> bool {
        let cached = &cache.nodes[node_idx];
        if cached.attach_limits.is_empty() {
            return true;
        }
        let pods = cached.pods.iter().map(|pod| cache.pods[pod].volumes);
        let sets = pods.map(|volumes| &self.catalog.volume_sets[volumes.index()]);
        let mut attached: Vec<(&str, &str)> = sets.flat_map(VolumeSet::attachments).collect();
        attached.sort_unstable();
        attached.dedup();
        let mut new: Vec<(&str, &str)> = self.volumes.attachments().collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|volume| attached.binary_search(volume).is_err());
        let count = |volumes: &[(&str, &str)], driver: &str| {
            volumes.iter().filter(|(known, _)| *known == driver).count()
        };
        cached.attach_limits.iter().all(|(driver, limit)| {
            let wanted = count(&new, driver);
            wanted == 0 || count(&attached, driver) + wanted <= *limit as usize
        })
    }

    /// podtopologyspread/filtering.go, 1.36: a node without a key cannot be mended; a domain too
    /// full can, by preemption.
    fn spreads(&self, cache: &SchedulerCache, node_idx: usize) -> Result<(), Code> {
        for (constraint, limit) in self.shape.hard_spread.iter().zip(&self.spread_limits) {
            let value = self.catalog.topology.of(constraint.key_idx, node_idx);
            if value == Topology::NO_VALUE {
                return Err(Code::UnschedulableAndUnresolvable);
            }
            if cache.tallies[constraint.tally_idx].at(value) > *limit {
                return Err(Code::Unschedulable);
            }
        }
        Ok(())
    }

    /// interpodaffinity/filtering.go, 1.36: own affinity, own anti-affinity, that of others.
    fn suits_others(&self, cache: &SchedulerCache, node_idx: usize) -> Result<(), Code> {
        let (topology, shape) = (&self.catalog.topology, self.shape);
        let mut has_all = true;
        for TermTally { key_idx, tally_idx } in &shape.affinity {
            let value = topology.of(*key_idx, node_idx);
            if value == Topology::NO_VALUE {
                return Err(Code::UnschedulableAndUnresolvable);
            }
            has_all &= cache.tallies[*tally_idx].at(value) > 0;
        }
        if !has_all && !self.is_first_of_group {
            return Err(Code::UnschedulableAndUnresolvable);
        }
        let is_held = |key_idx: usize, tally_idx: usize| {
            let value = topology.of(key_idx, node_idx);
            value != Topology::NO_VALUE && cache.tallies[tally_idx].at(value) > 0
        };
        let is_repelled = shape.anti_affinity.iter().any(|it| is_held(it.key_idx, it.tally_idx))
            || self.kept_off_by.iter().any(|idx| is_held(self.catalog.rules[*idx].key_idx, *idx));
        if is_repelled { Err(Code::Unschedulable) } else { Ok(()) }
    }

    /// What a filter that refuses a node says of it, in upstream's words where it has some.
    pub(super) fn reasons(
        &self,
        cache: &SchedulerCache,
        node: NodeId,
        rejection: &Rejection,
    ) -> Vec<String> {
        let node_idx = node.index();
        match rejection.filter {
            Reason::NodeResourcesFit => self.shortages(cache, node_idx),
            Reason::NodeUnschedulable => vec!["node(s) were unschedulable".to_owned()],
            Reason::NodeName => vec!["node(s) didn't match the requested node name".to_owned()],
            Reason::TaintToleration => {
                let set = &self.catalog.toleration_sets[self.shape.tolerations_idx];
                let taint = set.blocking(&cache.nodes[node_idx].taints);
                let text = taint.map(|taint| format!("{{{}: {}}}", taint.key, taint.value));
                vec![format!("node(s) had untolerated taint {}", text.unwrap_or_default())]
            }
            Reason::NodeAffinity => {
                vec!["node(s) didn't match Pod's node affinity/selector".to_owned()]
            }
            Reason::NodePorts => {
                vec!["node(s) didn't have free ports for the requested pod ports".to_owned()]
            }
            Reason::VolumeRestrictions => {
                vec!["a claim of the pod is in use or does not exist".to_owned()]
            }
            Reason::NodeVolumeLimits => vec!["node(s) exceed max volume count".to_owned()],
            Reason::VolumeBinding => {
                vec!["node(s) didn't match PersistentVolume's node affinity".to_owned()]
            }
            Reason::VolumeZone => vec!["node(s) had no available volume zone".to_owned()],
            Reason::PodTopologySpread => self.crowded_domains(cache, node_idx),
            Reason::InterPodAffinity => vec![self.unsuited(cache, node_idx)],
            Reason::SchedulingGates => Vec::new(),
        }
    }

    /// All insufficient resources at once, as upstream lists them.
    fn shortages(&self, cache: &SchedulerCache, node_idx: usize) -> Vec<String> {
        let (facts, cached) = (self.catalog.node(node_idx), &cache.nodes[node_idx]);
        let mut reasons = Vec::new();
        let pod_count = i64::try_from(cached.pods.len()).expect("few pods on a node");
        if pod_count + 1 > facts.allocatable_pods {
            reasons.push("Too many pods".to_owned());
        }
        for (idx, request) in self.shape.requests.iter().enumerate() {
            let allocatable = facts.allocatable.get(idx).copied().unwrap_or(0);
            let is_checked = *request > 0 && (idx <= 2 || !self.is_ignored(idx));
            if is_checked && *request > allocatable - cached.used(idx) {
                reasons.push(format!("Insufficient {}", self.catalog.resource_name(idx)));
            }
        }
        reasons
    }

    fn crowded_domains(&self, cache: &SchedulerCache, node_idx: usize) -> Vec<String> {
        let topology = &self.catalog.topology;
        let constraints = self.shape.hard_spread.iter().zip(&self.spread_limits);
        constraints
            .filter_map(|(constraint, limit)| {
                let key = topology.name(constraint.key_idx);
                let value = topology.of(constraint.key_idx, node_idx);
                if value == Topology::NO_VALUE {
                    return Some(format!(
                        "node(s) didn't match pod topology spread constraints (missing required \
                         label {key})"
                    ));
                }
                let count = cache.tallies[constraint.tally_idx].at(value);
                (count > *limit).then(|| {
                    format!(
                        "node(s) didn't match pod topology spread constraints ({key}: {count} \
                         matching pods here, room below {})",
                        limit + 1
                    )
                })
            })
            .collect()
    }

    fn unsuited(&self, cache: &SchedulerCache, node_idx: usize) -> String {
        let topology = &self.catalog.topology;
        let is_held = |key_idx: usize, tally_idx: usize| {
            let value = topology.of(key_idx, node_idx);
            value != Topology::NO_VALUE && cache.tallies[tally_idx].at(value) > 0
        };
        let wants = self.shape.affinity.iter().find(|it| !is_held(it.key_idx, it.tally_idx));
        if let Some(term) = wants.filter(|_| !self.is_first_of_group) {
            let key = topology.name(term.key_idx);
            return format!("node(s) didn't match pod affinity rules ({key})");
        }
        if self.shape.anti_affinity.iter().any(|it| is_held(it.key_idx, it.tally_idx)) {
            "node(s) didn't match pod anti-affinity rules".to_owned()
        } else {
            "node(s) didn't satisfy existing pods anti-affinity rules".to_owned()
        }
    }
}

fn port_clash(port: &super::shape::HostPort, other: &super::shape::HostPort) -> bool {
    port.clashes(other)
}

impl SchedulerCache {
    /// Matching pods per value of each hard spread constraint of a shape, in the order of the
    /// constraints and by key name: what the filter compares (podtopologyspread/filtering.go,
    /// TpValueToMatchNum, 1.36).
    pub fn domain_counts(&self, shape: ShapeId) -> Vec<(String, Vec<(String, i64)>)> {
        let catalog = &self.catalog;
        let constraints = catalog.shapes[shape.index()].hard_spread.iter();
        constraints
            .map(|constraint| {
                let domains: Vec<(usize, i64)> =
                    self.tallies[constraint.tally_idx].domains().collect();
                let values = catalog.topology.values(constraint.key_idx).iter();
                let counts = values.filter_map(|(name, value)| {
                    let known = domains.iter().find(|(idx, _)| *idx == *value as usize);
                    known.map(|(_, count)| (name.clone(), *count))
                });
                (catalog.topology.name(constraint.key_idx).to_owned(), counts.collect())
            })
            .collect()
    }
}
