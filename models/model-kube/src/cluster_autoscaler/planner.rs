//! Which nodes are not needed: all their pods would fit elsewhere
//! (`core/scaledown/planner/planner.go`, `simulator/cluster.go`).

use std::collections::{BTreeMap, BTreeSet};

use model_api::{NodeId, PodId};

use crate::scheduling::{SchedulerCache, ShapeId};

use super::eligibility::UnremovableReason;

/// A pod that would need another place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovablePod {
    /// The pod.
    pub pod: PodId,
    /// Its template, compiled.
    pub shape: ShapeId,
    /// The zone in which its volumes stand.
    pub zone: Option<String>,
    /// Positions of the budgets that cover it.
    pub budgets: Vec<usize>,
}

/// A node that might go; eligible, and no pod on it keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The node.
    pub node: NodeId,
    /// Its pods that need another place; none for an empty node.
    pub to_move: Vec<MovablePod>,
}

/// The nodes that are not needed, by position, and why the others are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Candidates that could all go together.
    pub unneeded: Vec<usize>,
    /// Candidates that must stay.
    pub needed: Vec<(usize, UnremovableReason)>,
}

/// Tries to empty the candidates one after the other, those without pods first. What one gives away
/// takes room elsewhere, and uses up disruption budgets (`disruptions_allowed`, by position), for
/// those after it; a node found unneeded takes no pods. Pods that a candidate was given by an earlier
/// one must move on with its own.
pub fn unneeded_nodes(
    cluster: &SchedulerCache,
    candidates: &[Removal],
    disruptions_allowed: &[i32],
) -> Needs {
    let mut cache = cluster.clone();
    let mut allowed = disruptions_allowed.to_vec();
    let mut gone = BTreeSet::new();
    let mut arrived: BTreeMap<NodeId, Vec<MovablePod>> = BTreeMap::new();
    let mut needs = Needs::default();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|idx| !candidates[*idx].to_move.is_empty());
    let mut start = 0;
    for idx in order {
        let candidate = &candidates[idx];
        let guests = arrived.get(&candidate.node).into_iter().flatten();
        let to_move: Vec<MovablePod> = candidate.to_move.iter().chain(guests).cloned().collect();
        if !within_budgets(&to_move, &allowed) {
            needs.needed.push((idx, UnremovableReason::BlockedByPod));
            continue;
        }
        let mut trial = cache.clone();
        for moved in &to_move {
            trial.remove_pod(moved.pod);
        }
        let nodes: Vec<NodeId> = trial
            .present_nodes()
            .into_iter()
            .filter(|node| *node != candidate.node && !gone.contains(node))
            .collect();
        let (count, mut placed) = (to_move.len(), Vec::new());
        for moved in to_move {
            let Some(node) = place(&mut trial, &moved, &nodes, &mut start) else { break };
            placed.push((node, moved));
        }
        if placed.len() < count {
            needs.needed.push((idx, UnremovableReason::NoPlaceToMovePods));
            continue;
        }
        for (node, moved) in placed {
            moved.budgets.iter().for_each(|budget| allowed[*budget] -= 1);
            arrived.entry(node).or_default().push(moved);
        }
        cache = trial;
        gone.insert(candidate.node);
        needs.unneeded.push(idx);
    }
    needs
}

/// Whether every budget has a disruption left for each pod it covers
/// (`core/scaledown/pdb/basic.go`, CanRemovePods).
fn within_budgets(to_move: &[MovablePod], allowed: &[i32]) -> bool {
    let mut left = allowed.to_vec();
    to_move.iter().flat_map(|moved| &moved.budgets).all(|budget| {
        left[*budget] -= 1;
        left[*budget] >= 0
    })
}

/// Puts a pod on the first node that takes it, from where the last search ended.
fn place(
    cache: &mut SchedulerCache,
    moved: &MovablePod,
    nodes: &[NodeId],
    start: &mut usize,
) -> Option<NodeId> {
    for step in 0..nodes.len() {
        let idx = (*start + step) % nodes.len();
        if cache.check(moved.shape, moved.zone.as_deref(), nodes[idx]).is_ok() {
            cache.add_pod(moved.pod, moved.shape, nodes[idx]);
            *start = idx + 1;
            return Some(nodes[idx]);
        }
    }
    None
}
