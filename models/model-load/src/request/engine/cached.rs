//! Calls that a request does not need, because a cache has what it wants.

use sim_kernel::{Purpose, Stream, Streams};

use super::Engine;
use crate::caches;
use crate::edges::EdgeIdx;
use crate::graph::Graph;

const HIT: Purpose = Purpose::new("whether a cache has what a request wants");

/// Draws for a call, and how many of a million need it.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    needed_ppm: u32,
    stream: Stream,
}

/// By call; empty where no call has a cache.
pub(super) fn cached(graph: &Graph, streams: Streams) -> Vec<Option<Cached>> {
    let edges = &graph.edges.all;
    if edges.iter().all(|edge| edge.policy.cache.is_none()) {
        return Vec::new();
    }
    let of = |edge: &crate::edges::Edge| {
        edge.policy.cache.map(|_| Cached {
            needed_ppm: caches::needed_ppm(edge.policy),
            stream: streams.stream(edge.key, HIT),
        })
    };
    edges.iter().map(of).collect()
}

impl Engine {
    pub(in crate::request) fn set_needed(&mut self, edge: EdgeIdx, ppm: u32) {
        if let Some(Some(cached)) = self.cached.get_mut(edge) {
            cached.needed_ppm = ppm;
        }
    }

    /// Whether a cache has what the next request that would make a call wants.
    #[inline]
    pub(super) fn is_cached(&mut self, edge: u32) -> bool {
        let Some(Some(cached)) = self.cached.get_mut(edge as usize) else { return false };
        cached.stream.draw().below(1_000_000) >= u64::from(cached.needed_ppm)
    }
}
