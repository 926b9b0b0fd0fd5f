//! Every call that can be made: who makes it, to whom, and how.

use model_api::Blueprint;
use model_api::path::{CallPolicy, Callee};
use sim_kernel::EntityKey;

use crate::entrance::Door;
use crate::graph::{Node, NodeIdx, owner};
use crate::limits::LimitIdx;

/// Parts of a list that follow each other: alone, or together where neighbors are made at the same time.
pub(crate) fn stages<T>(
    calls: &[T],
    is_parallel: impl Fn(&T) -> bool,
) -> impl Iterator<Item = &[T]> {
    calls.chunk_by(move |one, next| is_parallel(one) && is_parallel(next))
}

/// Position of a call in [`Edges::all`].
pub(crate) type EdgeIdx = usize;

/// The calls among connected Services and of their clients.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    pub(crate) all: Vec<Edge>,
    /// By node: the calls that it makes for each request, in their order.
    pub(crate) of_node: Vec<Vec<EdgeIdx>>,
    /// By node: the calls that it gets.
    pub(crate) to_node: Vec<Vec<EdgeIdx>>,
    pub(crate) sources: Vec<Source>,
    /// Sources whose clients are counted by themselves.
    pub(crate) counted: Vec<usize>,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) from: Caller,
    pub(crate) callee: NodeIdx,
    pub(crate) policy: CallPolicy,
    /// Network policies deny it.
    pub(crate) is_denied: bool,
    /// What it meets on its way: the load balancer before the callee, or how a gateway tries pods.
    pub(crate) door: Option<Door>,
    /// The rate limit of the gateway that clients come in through.
    pub(crate) limit: Option<LimitIdx>,
    /// Those who make it stay with a pod: its number among such calls.
    pub(crate) sticky: Option<usize>,
    pub(crate) key: EntityKey,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The clients of a source.
    Client(usize),
    /// The gateway that requests of a source come in through.
    Gateway(usize),
    /// A Service, for each request that it works on.
    Service(NodeIdx),
}

/// Where requests come from: one load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) service: NodeIdx,
    /// Which of its loads.
    pub(crate) load: usize,
    pub(crate) client: EdgeIdx,
    /// From the gateway on.
    pub(crate) upstream: Option<EdgeIdx>,
    pub(crate) key: EntityKey,
}

impl Edges {
    pub(crate) fn of(nodes: &[Node], blueprint: &Blueprint) -> Self {
        let mut edges = Self { of_node: vec![Vec::new(); nodes.len()], ..Self::default() };
        for (caller, node) in nodes.iter().enumerate() {
            for (idx, (&callee, &policy)) in node.calls.iter().zip(&node.policies).enumerate() {
                let key = node.key.child("calls").part(nodes[callee].key.value());
                // A call that is made several times draws each time for itself.
                let before = node.calls[..idx].iter().filter(|other| **other == callee).count();
                let key = if before > 0 { key.part(before as u64) } else { key };
                let edge = edges.push(Caller::Service(caller), callee, policy, key);
                edges.of_node[caller].push(edge);
            }
        }
        for (service, node) in nodes.iter().enumerate() {
            for (load, spec) in node.loads.iter().enumerate() {
                let source = edges.sources.len();
                let key = spec.key;
                if spec.counted.is_some() {
                    edges.counted.push(source);
                }
                let entry = spec.via.unwrap_or(service);
                let client = edges.push(Caller::Client(source), entry, spec.client, key);
                let upstream = spec.via.map(|via| {
                    let (from, policy) = (Caller::Gateway(source), nodes[via].upstream);
                    edges.push(from, service, policy, key.child("upstream"))
                });
                edges.sources.push(Source { service, load, client, upstream, key });
            }
        }
        for edge in &mut edges.all {
            let caller = match edge.from {
                Caller::Client(_) => None,
                Caller::Gateway(source) => {
                    let client = &edges.sources[source];
                    nodes[client.service].loads[client.load].via
                }
                Caller::Service(caller) => Some(caller),
            };
            let caller = caller.map(|node| owner(nodes, node));
            let callee = Callee::Service(nodes[edge.callee].service);
            edge.is_denied = blueprint.is_denied(caller, callee);
            edge.door = match edge.from {
                _ if edge.is_denied => None,
                Caller::Client(_) => nodes[edge.callee].door,
                Caller::Gateway(_) => caller.and_then(|gateway| {
                    let node = &nodes[edge.callee];
                    let is_whole = node.stations.is_empty() && node.twin.is_none();
                    let upstream = blueprint.upstream_of(gateway, node.service)?;
                    let policy = &mut edge.policy;
                    policy.timeout = policy.timeout.or(Some(upstream.read_timeout));
                    is_whole.then(|| Door::of_upstream(upstream))
                }),
                Caller::Service(_) => None,
            };
        }
        edges.to_node = vec![Vec::new(); nodes.len()];
        for (idx, edge) in edges.all.iter().enumerate() {
            edges.to_node[edge.callee].push(idx);
        }
        edges
    }

    fn push(
        &mut self,
        from: Caller,
        callee: NodeIdx,
        policy: CallPolicy,
        key: EntityKey,
    ) -> EdgeIdx {
        let (is_denied, door, limit, sticky) = (false, None, None, None);
        self.all.push(Edge { from, callee, policy, is_denied, door, limit, sticky, key });
        self.all.len() - 1
    }
}
