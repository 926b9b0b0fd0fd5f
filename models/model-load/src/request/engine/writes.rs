//! Which requests write, where a share of those of a Service does.
//!
//! A request from outside draws once, and whatever is called for it goes by that draw, however often it is
//! tried: who tries to write again writes again.

use model_api::observation::LossReason;
use sim_kernel::{Purpose, Stream, Streams};

use super::{Caller, Engine};
use crate::edges;
use crate::graph::{Graph, PartWrite};

const WRITE: Purpose = Purpose::new("whether a request writes");

/// By source: what draws for its requests; nothing where nobody asks.
pub(super) fn lucks(graph: &Graph, streams: Streams) -> Vec<Stream> {
    let sources = graph.edges.sources.iter().filter(|_| graph.has_part_writes);
    sources.map(|source| streams.stream(source.key, WRITE)).collect()
}

/// Why a request with this draw fails at a Service that writes to these, if it does: the database of the
/// largest share counts.
pub(super) fn loss(writes: &[PartWrite], luck: u32, are_writable: &[bool]) -> LossReason {
    let in_vain = writes.iter().filter(|it| luck < it.share_ppm && it.is_in_vain(are_writable));
    match in_vain.reduce(|most, it| if it.share_ppm > most.share_ppm { it } else { most }) {
        Some(write) if write.is_denied => LossReason::Denied,
        Some(write) => LossReason::Database(write.database),
        None => LossReason::None,
    }
}

impl Engine {
    /// The draw of the request that a call is made for.
    #[inline(never)]
    pub(super) fn luck(&mut self, edge: u32, caller: Caller) -> u32 {
        match caller {
            Caller::Visit(visit) => self.visits[visit as usize].luck,
            Caller::Client | Caller::Nobody => {
                let graph = &self.plan.parts[self.part];
                let edges::Caller::Client(source) = graph.edges.all[edge as usize].from else {
                    unreachable!("only clients call for themselves")
                };
                let drawn = self.lucks[source].draw().below(1_000_000);
                u32::try_from(drawn).expect("it is less than a million")
            }
        }
    }
}
