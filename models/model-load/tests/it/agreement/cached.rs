//! Cases of calls with a cache before them.

use model_api::path::{Cache, CallPolicy};

use super::{chain, patience};
use crate::world::{Act, Case};

/// The chain, of whose calls to the stock a cache answers so many of a million.
fn with_cache(hits_ppm: u32, policy: CallPolicy, client: CallPolicy) -> Case {
    let cache = Some(Cache { hits_ppm, key_count: 1_000, held_by: None });
    chain(CallPolicy { cache, ..policy }, client)
}

/// It is full all the time.
pub(super) fn warm(hits_ppm: u32, capacity: u64) -> Case {
    let mut case = with_cache(hits_ppm, CallPolicy::default(), CallPolicy::default());
    case.start.push(Act::Endpoints(2, 3, 3, capacity * 1000));
    case
}

/// It is empty for a while, in which the stock cannot do all that it is asked for.
pub(super) fn cold(policy: CallPolicy) -> Case {
    let mut case = with_cache(900_000, policy, patience(2_000, 0));
    case.start.push(Act::Endpoints(2, 3, 3, 200_000));
    case.script =
        vec![(100_000, Act::Needed(1, 0, 1_000_000)), (233_000, Act::Needed(1, 0, 100_000))];
    case
}
