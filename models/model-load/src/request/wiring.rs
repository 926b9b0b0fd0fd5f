//! The graph as the engine walks it: everything about a call, or about a Service, in one place.
//!
//! Each request asks for the same few facts several times. Taken from the graph, they lie four
//! pointers away.

use model_api::path::CallPolicy;
use sim_kernel::SimSpan;

use crate::edges::{Caller, EdgeIdx, stages};
use crate::entrance::Door;
use crate::graph::{Graph, NodeIdx, RowIdx};

/// What a call is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire {
    pub(super) callee: NodeIdx,
    /// The node of a revision of it that is tried.
    pub(super) twin: Option<u32>,
    /// The callee is divided by zone, node or pod.
    pub(super) is_divided: bool,
    /// Those who make it stay with a pod.
    pub(super) is_sticky: bool,
    pub(super) policy: CallPolicy,
    pub(super) is_denied: bool,
    /// The Service in whose figures it counts: none for what a gateway passes on, which counts as
    /// part of the request from outside.
    pub(super) told: Option<NodeIdx>,
    /// Nobody calls whose clients are counted by themselves, or wait for answers.
    pub(super) is_plain: bool,
    /// Where the clients who call are counted by themselves: their row.
    pub(super) counted: Option<RowIdx>,
    /// Where the clients who call wait for answers: their source.
    pub(super) users: Option<u32>,
    /// Where the callee passes it on to: only requests from outside have such a place, and only at
    /// a gateway.
    pub(super) upstream: Option<u32>,
    /// All that the callee does for it is its own work.
    pub(super) is_last: bool,
    /// The callee does its own work only, and for nobody else.
    pub(super) is_only: bool,
    /// What it meets on its way.
    pub(super) door: Option<Door>,
    /// A name leads those who make it.
    pub(super) is_named: bool,
    /// The rate limit of the callee that it meets.
    pub(super) limit: Option<u32>,
    /// A gateway makes it and chooses among pods itself, so that it reaches a living one.
    pub(super) is_chosen: bool,
    /// How long the callee takes without waiting.
    pub(super) own_latency: SimSpan,
}

/// What a Service does.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    /// The calls that it makes for each request, in their order.
    pub(super) calls: Box<[u32]>,
    /// By call: how many calls are made at the same time from it on; empty where none are.
    pub(super) together: Box<[u32]>,
    pub(super) has_databases: bool,
    /// The Service that it counts for.
    pub(super) owner: u32,
    /// It is a revision that is tried.
    pub(super) is_twin: bool,
    /// Where it is a station: the row of the first zone.
    pub(super) zones: Option<RowIdx>,
}

/// Every call of the graph, by its number.
pub(super) fn wires(graph: &Graph) -> impl Iterator<Item = Wire> + '_ {
    let row_of = |source: usize| {
        let counted = graph.edges.counted.iter().position(|&other| other == source)?;
        Some(graph.nodes.len() + counted)
    };
    let waits = |source: usize| graph.load_of(&graph.edges.sources[source]).users.is_some();
    graph.edges.all.iter().map(move |edge| {
        let client = match edge.from {
            Caller::Client(source) => Some(source),
            Caller::Gateway(_) | Caller::Service(_) => None,
        };
        let counted = client.and_then(row_of);
        let users = client.filter(|source| waits(*source)).map(number);
        let callee = &graph.nodes[edge.callee];
        let (told, upstream) = match edge.from {
            Caller::Client(source) => {
                let source = &graph.edges.sources[source];
                let upstream = source.upstream.filter(|_| source.service != edge.callee);
                (Some(source.service), upstream.map(number))
            }
            Caller::Gateway(_) => (None, None),
            Caller::Service(_) => (Some(edge.callee), None),
        };
        let writes = !callee.databases.is_empty() || !callee.part_writes.is_empty();
        let is_last = callee.calls.is_empty() && !writes && upstream.is_none();
        Wire {
            callee: edge.callee,
            twin: callee.twin.map(number),
            is_divided: graph.is_divided(edge.callee),
            is_sticky: edge.sticky.is_some(),
            policy: edge.policy,
            is_denied: edge.is_denied,
            told,
            is_plain: counted.is_none() && users.is_none(),
            counted,
            users,
            upstream,
            is_last,
            is_only: is_last && graph.edges.to_node[edge.callee].len() == 1,
            door: edge.door,
            is_named: match edge.from {
                Caller::Client(source) => {
                    graph.load_of(&graph.edges.sources[source]).clients.found.is_some()
                }
                Caller::Service(_) => graph.resolvers.is_some(),
                Caller::Gateway(_) => false,
            },
            limit: edge.limit.map(number),
            is_chosen: edge.door.is_some() && client.is_none(),
            own_latency: callee.own_latency,
        }
    })
}

/// Every Service of the graph, by its number.
pub(super) fn hops(graph: &Graph) -> impl Iterator<Item = Hop> + '_ {
    graph.nodes.iter().zip(&graph.edges.of_node).enumerate().map(|(idx, (node, calls))| Hop {
        calls: calls.iter().map(|edge| number(*edge)).collect(),
        together: together(graph, calls),
        has_databases: !node.databases.is_empty() || !node.part_writes.is_empty(),
        owner: number(node.twin_of.unwrap_or_else(|| graph.head_of(idx))),
        is_twin: node.twin_of.is_some(),
        zones: graph.served_rows(graph.head_of(idx)).map(|rows| rows.start),
    })
}

fn together(graph: &Graph, calls: &[EdgeIdx]) -> Box<[u32]> {
    let is_parallel = |edge: &EdgeIdx| graph.edges.all[*edge].policy.is_parallel;
    let parts = || stages(calls, is_parallel).map(<[EdgeIdx]>::len);
    if parts().all(|count| count == 1) {
        return Box::default();
    }
    parts().flat_map(|count| (0..count).map(move |at| number(count - at))).collect()
}

/// The number of a call, a visit or a Service, as events hold it.
pub(super) fn number(idx: usize) -> u32 {
    u32::try_from(idx).expect("memory ends long before 2^32 of these")
}
