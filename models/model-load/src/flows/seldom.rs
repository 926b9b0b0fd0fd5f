//! What seldom happens to flows, for campaigns that count whether it did.

use model_api::{DatabaseId, Observation};
use sim_kernel::{Context, Recorder};

use crate::evaluation::Inputs;
use crate::graph::{Graph, NodeIdx};
use crate::rare;

/// What seldom happens to a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) is_lossy: bool,
    pub(super) is_overloaded: bool,
    pub(super) is_curved: bool,
}

/// Counts what seldom happens to a flow.
pub(super) fn note_rare<E, R>(
    graph: &Graph,
    inputs: &Inputs,
    seen: Seen,
    idx: NodeIdx,
    ctx: &mut Context<'_, E, R>,
) where
    E: Copy,
    R: Recorder<Observation>,
{
    if seen.is_lossy {
        let endpoints = inputs.endpoints[idx];
        if endpoints.ready_count == 0 {
            ctx.hit(&rare::NO_ENDPOINTS);
        } else if endpoints.live_count < endpoints.ready_count {
            ctx.hit(&rare::DEAD_ENDPOINTS);
        }
        if seen.is_overloaded {
            ctx.hit(&rare::OVERLOAD);
        }
        let is_away = |database: &DatabaseId| !inputs.are_writable[database.index()];
        let parts = graph.nodes[idx].part_writes.iter().map(|it| &it.database);
        if graph.nodes[idx].databases.iter().chain(parts).any(is_away) {
            ctx.hit(&rare::DATABASE_AWAY);
        }
    }
    if seen.is_curved {
        ctx.hit(&rare::CURVED);
    }
}
