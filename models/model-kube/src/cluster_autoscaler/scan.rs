//! One loop of the autoscaler, and when the next one could change anything
//! (`core/static_autoscaler.go`, RunOnce; `clusterstate/clusterstate.go`, updateScaleRequests).
//!
//! Upstream looks ten seconds after its last look, and at once when that one did something or a pod
//! was found unschedulable (`loop/trigger.go`). Most looks find what the last one found, so a scan
//! says at which of them something may be different by time alone; what else changes (a pod that
//! waits, a node that comes or goes) is for the caller to notice, by a scan at
//! [`Autoscaler::next_look`]. A look that was left out counts as one that found the same.
//!
//! Simplified: a look takes no time.

use std::collections::BTreeMap;

use model_api::NodeId;
use sim_kernel::{SimSpan, SimTime};

use crate::scheduling::SchedulerCache;

use super::Options;
use super::backoff::Backoff;
use super::eligibility::UnremovableReason;
use super::health::{GroupReadiness, is_cluster_healthy, is_group_healthy, is_scale_up_late};
use super::planner::{MovablePod, Removal, unneeded_nodes};
use super::scale_up::{NodeGroup, WaitingPods, left_over, scale_up};
use super::unneeded::{
    Deletions, RemovalCandidate, RemovalGroup, Unneeded, deletion_budget, is_in_cooldown,
    removable_now,
};

/// While no pod is older than this, all wait for the next look (`unschedulablePodTimeBuffer`).
const NEW_POD_WAIT: SimSpan = SimSpan::from_secs(2);

/// What the autoscaler remembers between two looks.
#[derive(Clone, Debug)]
pub struct Autoscaler {
    options: Options,
    /// The last look; the next ones by the clock lie intervals after it.
    looked_at: SimTime,
    backoff: Backoff<usize>,
    unneeded: Unneeded<NodeId>,
    /// By group: since when it waits for nodes.
    requests: BTreeMap<usize, SimTime>,
    /// Nodes that were found needed.
    needed: BTreeMap<NodeId, Needed>,
    /// What verdicts about nodes depend on, as the last look had it, and how often that changed.
    facts: Facts,
    facts_version: u64,
    last_added_at: Option<SimTime>,
    /// What [`Self::last_added_at`] was before the present look.
    added_before: Option<SimTime>,
    last_deleted_at: Option<SimTime>,
    last_failed_at: Option<SimTime>,
}

/// A node that was found needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Needed {
    /// Until when it is not tried again.
    until: SimTime,
    /// The facts it was found needed with. With the same ones it is found needed again.
    facts_version: u64,
}

/// What tells whether nodes would be found needed again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Facts {
    change_count: u64,
    disruptions_allowed: Vec<i32>,
    /// Nodes that are tried, and how many of their pods have to move.
    tried: Vec<(NodeId, Option<usize>)>,
}

impl Facts {
    fn of(sight: &Sight<'_>) -> Self {
        let tried = sight.nodes.iter().filter(|seen| seen.ineligible.is_none());
        Self {
            change_count: sight.cluster.change_count(),
            disruptions_allowed: sight.disruptions_allowed.to_vec(),
            tried: tried.map(|seen| (seen.node, seen.to_move.as_ref().map(Vec::len))).collect(),
        }
    }
}

/// A node as a look sees it.
#[derive(Clone, Debug)]
pub struct SeenNode {
    /// The node.
    pub node: NodeId,
    /// Position of its group.
    pub group: Option<usize>,
    /// Condition Ready is True.
    pub is_ready: bool,
    /// See [`CandidateNode::is_kept_by_annotation`](super::CandidateNode::is_kept_by_annotation).
    pub is_kept_by_annotation: bool,
    /// See [`ineligible_because`](super::ineligible_because).
    pub ineligible: Option<UnremovableReason>,
    /// Its pods that need another place; `None` when one of them keeps the node (see
    /// [`pods_to_move`](super::pods_to_move)).
    pub to_move: Option<Vec<MovablePod>>,
}

/// What a look sees.
#[derive(Clone, Copy, Debug)]
pub struct Sight<'a> {
    /// Nodes and pods as the scheduler knows them.
    pub cluster: &'a SchedulerCache,
    /// Node groups; `may_grow` is decided here.
    pub groups: &'a [NodeGroup],
    /// Nodes of each group by readiness.
    pub readiness: &'a [GroupReadiness],
    /// Nodes of the whole cluster that are not ready, and all.
    pub unready_and_all: (usize, usize),
    /// Pods that wait, those of higher priority first, none below the cutoff.
    pub waiting: &'a [WaitingPods<'a>],
    /// By kind of those: when its pods were created, in the order in which they are given room.
    pub created_at: &'a [Vec<SimTime>],
    /// Nodes that might go.
    pub nodes: &'a [SeenNode],
    /// What is left of the disruption budgets.
    pub disruptions_allowed: &'a [i32],
    /// Deletions that run, in all, and by group.
    pub running: Deletions,
    /// Deletions that run, by group.
    pub running_by_group: &'a [usize],
}

/// What is to be done after a look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Groups that grow, with their new target sizes.
    pub grow: Vec<(usize, usize)>,
    /// Groups whose nodes did not come in time: their targets go back by what is missing.
    pub give_up: Vec<usize>,
    /// Nodes to delete: empty ones, then those whose pods are evicted first.
    pub delete: Vec<NodeId>,
    /// The look at which something may be different by time alone.
    pub next_look: Option<SimTime>,
}

impl Autoscaler {
    /// A new one, which looks for the first time at `started_at`. As upstream, it deletes nothing
    /// for the first ten minutes.
    pub fn new(options: Options, started_at: SimTime) -> Self {
        Self {
            backoff: Backoff::new(options.backoff),
            options,
            looked_at: started_at,
            unneeded: Unneeded::default(),
            requests: BTreeMap::new(),
            needed: BTreeMap::new(),
            facts: Facts::default(),
            facts_version: 0,
            last_added_at: Some(started_at),
            added_before: Some(started_at),
            last_deleted_at: None,
            last_failed_at: None,
        }
    }

    /// Its flags.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The first look by the clock at or after a moment.
    pub fn next_look(&self, at: SimTime) -> SimTime {
        let interval = self.options.scan_interval;
        let late = at.saturating_since(self.looked_at).as_nanos();
        self.looked_at + interval * late.div_ceil(interval.as_nanos().max(1))
    }

    /// The last look.
    pub fn looked_at(&self) -> SimTime {
        self.looked_at
    }

    /// The provider refused at once what the present look asked for. As upstream, that is no
    /// addition that keeps nodes from being deleted.
    pub fn scale_up_failed(&mut self, group: usize, now: SimTime) {
        self.requests.remove(&group);
        self.backoff.failed(group, now);
        self.last_added_at = self.added_before;
    }

    /// A node that was to be deleted is gone, or could not be emptied.
    pub fn deletion_ended(&mut self, is_deleted: bool, now: SimTime) {
        *(if is_deleted { &mut self.last_deleted_at } else { &mut self.last_failed_at }) =
            Some(now);
    }

    /// Looks. `draw` decides among equal options.
    pub fn scan(
        &mut self,
        sight: &Sight<'_>,
        now: SimTime,
        draw: impl FnOnce(usize) -> usize,
    ) -> Actions {
        self.renew_needed(now);
        self.looked_at = now;
        self.added_before = self.last_added_at;
        let mut actions =
            Actions { give_up: self.settle_requests(sight, now), ..Actions::default() };
        if !actions.give_up.is_empty() {
            // Sizes are wrong until the provider has put them back: the rest waits for the next look.
            actions.next_look = Some(now + self.options.scan_interval);
            return actions;
        }
        let (unready, all) = sight.unready_and_all;
        if is_cluster_healthy(unready, all, &self.options.health) {
            let (growth, wait) = self.grow(sight, now, draw);
            // Pods that are very new keep nodes from going, not from being found unneeded
            // (`DisableScaleDownForLoop`); after an addition the cooldown does.
            let may_delete = growth != Growth::TooNew;
            if let Growth::Grown(targets) = growth {
                actions.grow = targets;
            }
            if self.options.scale_down_enabled {
                self.update_unneeded(sight, now);
                if may_delete && !self.is_in_cooldown(now) {
                    actions.delete = self.ripe(sight, now);
                }
            }
            let is_productive = !actions.grow.is_empty() || !actions.delete.is_empty();
            actions.next_look = if is_productive && self.options.frequent_loops {
                Some(now)
            } else {
                self.next_change(sight, wait, now)
            };
        } else {
            self.unneeded.clear();
        }
        actions
    }

    /// What looks that were left out would have found needed once more, whenever its time was over.
    fn renew_needed(&mut self, now: SimTime) {
        let mut needed = std::mem::take(&mut self.needed);
        for node in needed.values_mut() {
            while self.next_look(node.until) < now {
                node.until = self.next_look(node.until) + self.options.unremovable_recheck;
            }
        }
        needed.retain(|_, node| node.until > now);
        self.needed = needed;
    }

    /// Requests that are fulfilled are forgotten, those that are late have failed.
    fn settle_requests(&mut self, sight: &Sight<'_>, now: SimTime) -> Vec<usize> {
        self.backoff.forget_stale(now);
        let mut late = Vec::new();
        for (group, requested_at) in std::mem::take(&mut self.requests) {
            let missing = missing_of(&sight.readiness[group]);
            if missing == 0 {
                continue;
            }
            if is_scale_up_late(requested_at, self.options.max_node_provision_time, now) {
                self.backoff.failed(group, now);
                late.push(group);
            } else {
                self.requests.insert(group, requested_at);
            }
        }
        late
    }

    /// Whether groups grow, and when pods that are too young for that will not be any more.
    fn grow(
        &mut self,
        sight: &Sight<'_>,
        now: SimTime,
        draw: impl FnOnce(usize) -> usize,
    ) -> (Growth, Option<SimTime>) {
        // Nodes that are on their way are there already, as far as pods that wait are concerned.
        let upcoming: Vec<usize> = sight.readiness.iter().map(missing_of).collect();
        let mut left = left_over(sight.cluster, sight.groups, &upcoming, sight.waiting);
        let ages = self.drop_young(&mut left, sight, now);
        let Some(oldest) = ages.oldest else { return (Growth::None, ages.ripe_at) };
        let until = oldest + NEW_POD_WAIT;
        if until > now {
            return (Growth::TooNew, Some(ages.ripe_at.map_or(until, |at| at.min(until))));
        }
        let mut groups = sight.groups.to_vec();
        for (idx, group) in groups.iter_mut().enumerate() {
            group.may_grow = group.may_grow
                && !self.backoff.is_backed_off(&idx, now)
                && is_group_healthy(&sight.readiness[idx], &self.options.health);
        }
        let Some(scaled) = scale_up(sight.cluster, &groups, &left, &self.options, draw) else {
            return (Growth::None, ages.ripe_at);
        };
        for (group, _) in &scaled.new_targets {
            self.requests.insert(*group, now);
        }
        self.last_added_at = Some(now);
        (Growth::Grown(scaled.new_targets), ages.ripe_at)
    }

    /// Takes off each pod that is not older than `--new-pod-scale-up-delay`, or than its annotation
    /// where that asks for more (`filterOutYoungPods`).
    fn drop_young(
        &self,
        left: &mut [WaitingPods<'_>],
        sight: &Sight<'_>,
        now: SimTime,
    ) -> PendingAges {
        let mut ages = PendingAges::default();
        for (pods, created_at) in left.iter_mut().zip(sight.created_at) {
            let delay = self.options.new_pod_scale_up_delay.max(pods.delay);
            // The first ones were given room.
            let still = &created_at[created_at.len() - pods.count..];
            let (old, young): (Vec<SimTime>, Vec<SimTime>) =
                still.iter().partition(|at| **at + delay < now);
            pods.count = old.len();
            ages.oldest = ages.oldest.into_iter().chain(old).min();
            let ripe_at = young.into_iter().map(|at| at + delay + SimSpan::from_nanos(1));
            ages.ripe_at = ages.ripe_at.into_iter().chain(ripe_at).min();
        }
        ages
    }

    /// Goes over the nodes that might go (`UpdateClusterState`).
    fn update_unneeded(&mut self, sight: &Sight<'_>, now: SimTime) {
        let facts = Facts::of(sight);
        if facts != self.facts {
            (self.facts, self.facts_version) = (facts, self.facts_version + 1);
        }
        let until = now + self.options.unremovable_recheck;
        let found = Needed { until, facts_version: self.facts_version };
        let mut removals: Vec<Removal> = Vec::new();
        for seen in sight.nodes {
            if seen.ineligible.is_some() || self.needed.contains_key(&seen.node) {
                continue;
            }
            match &seen.to_move {
                Some(to_move) => {
                    removals.push(Removal { node: seen.node, to_move: to_move.clone() });
                }
                None => {
                    self.needed.insert(seen.node, found);
                }
            }
        }
        let needs = unneeded_nodes(sight.cluster, &removals, sight.disruptions_allowed);
        for (idx, _) in &needs.needed {
            self.needed.insert(removals[*idx].node, found);
        }
        self.unneeded.update(needs.unneeded.iter().map(|idx| removals[*idx].node), now);
    }

    fn is_in_cooldown(&self, now: SimTime) -> bool {
        let (added, deleted) = (self.last_added_at, self.last_deleted_at);
        is_in_cooldown(added, deleted, self.last_failed_at, &self.options, now)
    }

    /// Unneeded nodes that may go now, within the budget of parallel deletions.
    fn ripe(&self, sight: &Sight<'_>, now: SimTime) -> Vec<NodeId> {
        let groups: Vec<RemovalGroup> = sight
            .groups
            .iter()
            .zip(sight.running_by_group)
            .map(|(group, deletions)| RemovalGroup {
                min: group.size.min,
                target: group.size.target,
                deletions: *deletions,
            })
            .collect();
        let seen = sight.nodes.iter().filter_map(|seen| {
            let candidate = RemovalCandidate {
                group: seen.group,
                since: self.unneeded.since(&seen.node)?,
                is_ready: seen.is_ready,
                is_kept_by_annotation: seen.is_kept_by_annotation,
                is_empty: seen.to_move.as_ref().is_some_and(Vec::is_empty),
            };
            Some((seen.node, candidate))
        });
        let (nodes, candidates): (Vec<NodeId>, Vec<RemovalCandidate>) = seen.unzip();
        let removable = removable_now(&candidates, &groups, &self.options, now);
        let (empty, others): (Vec<usize>, Vec<usize>) =
            removable.into_iter().partition(|idx| candidates[*idx].is_empty);
        let wanted = Deletions { empty: empty.len(), drained: others.len() };
        let (parallel, drains) =
            (self.options.max_scale_down_parallelism, self.options.max_drain_parallelism);
        let budget = deletion_budget(wanted, sight.running, parallel, drains);
        let chosen = empty.into_iter().take(budget.empty);
        chosen.chain(others.into_iter().take(budget.drained)).map(|idx| nodes[idx]).collect()
    }

    /// The look at which time alone may have changed what is done.
    fn next_change(
        &self,
        sight: &Sight<'_>,
        wait: Option<SimTime>,
        now: SimTime,
    ) -> Option<SimTime> {
        let options = &self.options;
        // Times must be exceeded, so the look that counts is the first one after them.
        let after = |at: SimTime| at + SimSpan::from_nanos(1);
        let late = self.requests.values().map(|at| after(*at + options.max_node_provision_time));
        let has_waiting = sight.waiting.iter().any(|pods| pods.count > 0);
        let recovered = (0..sight.groups.len())
            .filter_map(|group| self.backoff.until(&group, now))
            .filter(|_| has_waiting)
            .map(after);
        let removal_delay = |node: NodeId| {
            let seen = sight.nodes.iter().find(|seen| seen.node == node);
            if seen.is_none_or(|seen| seen.is_ready) {
                options.scale_down_unneeded_time
            } else {
                options.scale_down_unready_time
            }
        };
        let ripe = self.unneeded.iter().map(|(node, since)| after(since + removal_delay(*node)));
        // A node that was found needed with the facts of now would be found so again; one that was
        // passed over since they changed may not.
        let is_doubtful = |node: &&Needed| node.facts_version != self.facts_version;
        let rechecked = self.needed.values().filter(is_doubtful).map(|node| node.until);
        let cooled = [
            self.last_added_at.map(|at| at + options.scale_down_delay_after_add),
            self.last_deleted_at.map(|at| at + options.scale_down_delay_after_delete),
            self.last_failed_at.map(|at| at + options.scale_down_delay_after_failure),
        ];
        let has_unneeded = self.unneeded.iter().next().is_some();
        let cooled = cooled.into_iter().flatten().filter(|_| has_unneeded);
        let moments = late.chain(recovered).chain(ripe).chain(rechecked).chain(cooled).chain(wait);
        moments.filter(|at| *at > now).min().map(|at| self.next_look(at))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Growth {
    Grown(Vec<(usize, usize)>),
    TooNew,
    None,
}

/// Ages of pods for which there is no room.
#[derive(Clone, Copy, Debug, Default)]
struct PendingAges {
    /// When the oldest of those that count was created.
    oldest: Option<SimTime>,
    /// When the first of those that are too young counts too.
    ripe_at: Option<SimTime>,
}

/// Nodes that a group should have and does not.
fn missing_of(group: &GroupReadiness) -> usize {
    group.target.saturating_sub(group.ready + group.unready + group.not_started)
}
