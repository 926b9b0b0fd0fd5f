//! Calls that only those make whom a cache has nothing for.

use super::{EdgeWork, Late, Room, Sweep};
use crate::delay::Delay;
use crate::edges::EdgeIdx;

impl Sweep<'_> {
    /// Which share of the requests of a caller needs a call.
    pub(super) fn needed(&self, edge: EdgeIdx) -> f64 {
        f64::from(self.inputs.needed_ppm[edge]) / 1e6
    }

    /// A call as the requests of its caller meet it, those that need none included: for these it is over at
    /// once, and well.
    ///
    /// Simplified: who waits at the callee is not told from who does not call at all, so that a wait may come
    /// without the rest of the call.
    pub(super) fn as_met(&self, edge: EdgeIdx, room: &Room) -> EdgeWork {
        let (call, needed) = (room.edges[edge], self.needed(edge));
        if needed >= 1.0 {
            return call;
        }
        let whole = call.whole_delay();
        let delay = Delay { fixed: 0.0, waits: whole.waits * needed, ..whole };
        let missed = Late { share: needed, by: whole.fixed, again: 0.0, times: 1 };
        let steps = missed.then(Late { share: call.steps.share * needed, ..call.steps });
        let fine = 1.0 - needed * (1.0 - call.fine);
        EdgeWork { fine, delay, late: Late::default(), steps, ..call }
    }
}
