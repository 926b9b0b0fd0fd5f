//! What memory pods use.

use model_api::memory::Growth;

use crate::decode::record;
use crate::source::Spanned;
use crate::units::{Bytes, Share};

record! {
    /// Memory that the pods of a workload use, their working set: no manifest says it. Once it is stated of one workload, the pods of all others use what they request.
    pub struct MemorySpec("a memory profile") {
        /// The workload, as `namespace/name`.
        workload: Spanned<String>,
        /// The container that uses it; the first one when left out. The others use what they request.
        container: Option<Spanned<String>>,
        /// What it uses as soon as it runs.
        base: Spanned<Bytes>,
        /// What it takes on over time, and gives back when it ends: a leak, such as `5Mi/h`.
        growth: Option<Spanned<Growth>>,
        /// How much faster or slower than that a pod may grow, drawn for each; 10% when left out.
        variation: Option<Spanned<Share>>,
        /// What each request holds that is in the pod, from its coming until it is answered, waiting included.
        per_request: Option<Spanned<Bytes>>,
    }
}
