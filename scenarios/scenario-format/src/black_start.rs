//! Black start: what runs before what, after everything stood still, and what keeps it from running.
//!
//! Edges lead from pods to the pods without which they are not created or cannot start: a webhook
//! that fails closed, a registry in this cluster with the gateway before it and whatever is stated that
//! it asks, the network plugin, a storage driver in this cluster and the vault that has the keys of its
//! volumes, a vault that injects secrets or from which they are mounted, the operator that creates the
//! pods of a database. Whatever stands outside of the input is taken to run, and volumes to have kept
//! what is on them.
//!
//! Starting from the nodes that were, pods are bound and images pulled: neither webhooks nor operators
//! are in the way, and a registry only where it is asked always. Starting from etcd, nodes are new, so
//! that pods are created and their images pulled.
//!
//! Secrets that an operator made of what is in a vault are in etcd, and nobody waits for it. Starting
//! from Git they are made anew: by External Secrets, which reads them from its store, or
//! by Sealed Secrets, which needs its old key. What a ConfigMap says about the seal of a vault is not
//! read: that somebody unseals it is named of each.

use std::collections::BTreeSet;

use model_api::black_start::StartCircle;
pub use model_api::black_start::StartFrom;
use model_api::{Blueprint, WorkloadId};

mod graph;
mod needs;
mod words;

use graph::{Step, circles, shortest_way, smallest_cut};
use needs::{Edge, edges, is_sealed_secrets, is_vault};
use words::Words;

/// One stage of a black start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// These start, each as soon as what it needs of earlier stages runs.
    Start {
        /// Which, as `namespace/name`.
        workloads: Vec<String>,
        /// What of earlier stages they wait for, in words; each once.
        waits_for: Vec<String>,
    },
    /// Nothing more starts by itself, or something has started that waits for somebody.
    ByHand {
        /// The way around the circle, or what is missing, in words.
        because: Vec<String>,
        /// One of the fewest steps that break it, or what is missing.
        step: String,
    },
}

/// The order in which everything starts when nothing runs.
pub fn black_start(blueprint: &Blueprint, from: StartFrom) -> Vec<Stage> {
    let words = Words { blueprint };
    let mut edges = edges(blueprint, from);
    let mut left: BTreeSet<usize> = (0..blueprint.workloads.len()).collect();
    let mut stages = Vec::new();
    let mut started: BTreeSet<usize> = BTreeSet::new();
    while !left.is_empty() {
        let held: BTreeSet<usize> =
            edges.iter().filter(|it| left.contains(&it.to)).map(|edge| edge.from).collect();
        let ready: BTreeSet<usize> = left.difference(&held).copied().collect();
        if ready.is_empty() {
            let Some(circle) = first_circle(&edges, &left) else { break };
            let steps = smallest_cut(&circle).steps;
            for step in &steps {
                // A circle that no other step breaks: there is one, or this step were not needed.
                let others = steps.iter().filter(|other| *other != step);
                let others: Vec<&Step> = others.collect();
                let mut left = circle.clone();
                left.retain(|edge| !others.iter().any(|other| other.breaks(edge)));
                let way = shortest_way(&left).unwrap_or_default();
                let because = way.iter().map(|edge| words.reason(edge)).collect();
                stages.push(Stage::ByHand { because, step: words.step(step) });
                edges.retain(|edge| !step.breaks(edge));
            }
            continue;
        }
        let waits = edges.iter().filter(|it| ready.contains(&it.from) && started.contains(&it.to));
        let waits: BTreeSet<String> = waits.map(|edge| words.met(edge)).collect();
        stages.push(Stage::Start {
            workloads: ready.iter().map(|idx| words.name(*idx)).collect(),
            waits_for: waits.into_iter().collect(),
        });
        for idx in ready.iter().copied() {
            let workload = &blueprint.workloads[idx];
            if is_vault(workload) {
                stages.push(words.unseal(idx));
            }
            if from == StartFrom::Git && is_sealed_secrets(workload) {
                stages.push(words.give_key_back(idx));
            }
        }
        left.retain(|idx| !ready.contains(idx));
        started.extend(ready);
    }
    stages
}

/// A circle among what is left that needs nothing else of it.
fn first_circle(edges: &BTreeSet<Edge>, left: &BTreeSet<usize>) -> Option<BTreeSet<Edge>> {
    let is_left = |edge: &&Edge| left.contains(&edge.from) && left.contains(&edge.to);
    let edges: BTreeSet<Edge> = edges.iter().filter(is_left).cloned().collect();
    circles(&edges).into_iter().find(|circle| {
        let members = members_of(circle);
        let leads_out = |edge: &Edge| members.contains(&edge.from) && !members.contains(&edge.to);
        !edges.iter().any(leads_out)
    })
}

fn members_of(circle: &BTreeSet<Edge>) -> BTreeSet<usize> {
    circle.iter().map(|edge| edge.from).collect()
}

/// The circles of a platform, each with its members, a way around it and the fewest steps that break
/// it.
pub fn start_circles(blueprint: &Blueprint, from: StartFrom) -> Vec<StartCircle> {
    let words = Words { blueprint };
    let of = |circle: BTreeSet<Edge>| {
        let way = shortest_way(&circle).unwrap_or_default();
        let cut = smallest_cut(&circle);
        StartCircle {
            members: members_of(&circle).into_iter().map(WorkloadId::from_index).collect(),
            because: way.iter().map(|edge| words.reason(edge)).collect(),
            steps: cut.steps.iter().map(|step| words.step(step)).collect(),
            is_smallest: cut.is_smallest,
        }
    };
    circles(&edges(blueprint, from)).into_iter().map(of).collect()
}
