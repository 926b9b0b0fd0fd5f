//! What no design can promise.
//!
//! A guarantee is *unwinnable* in a run when every design over the same zones breaks it under a
//! loss of that size. Two premises are checked, both by counting:
//!
//! - Something that needs a majority (etcd, a failover that the API decides) survives the loss of
//!   any `L` of `Z` zones only when `Z >= 2L + 1`: with fewer, some choice of `L` zones holds half of
//!   the members or more, wherever they are placed.
//! - Something that needs one survivor (an answer, a copy of a commit) survives only when `L < Z`.

use model_api::Blueprint;
use model_api::guarantee::{Predicate, Promise, Subject};

use crate::measures::RunMeasures;

/// What a promise needs to be left after a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Majority,
    Survivor,
}

/// Why no design could have kept the promise in this run; `None` when one could.
pub(crate) fn unwinnable(
    promise: &Promise,
    measures: &RunMeasures,
    blueprint: &Blueprint,
) -> Option<String> {
    let zone_count = blueprint.zones.len();
    let lost_count = measures.zones_down_count_max as usize;
    match need(promise)? {
        Need::Majority if lost_count > 0 && zone_count < 2 * lost_count + 1 => Some(format!(
            "{lost_count} of {zone_count} zones were lost at once; a majority survives the loss of \
             any {lost_count} zones only over {} zones or more, wherever its members stand",
            2 * lost_count + 1
        )),
        Need::Survivor if lost_count >= zone_count && zone_count > 0 => {
            Some(format!("all {zone_count} zones were lost at once: nothing is left that could"))
        }
        _ => None,
    }
}

fn need(promise: &Promise) -> Option<Need> {
    match promise {
        Promise::Availability { .. }
        | Promise::AvailabilityIn { .. }
        | Promise::BudgetBurn { .. }
        | Promise::Latency { .. }
        | Promise::Returns { .. }
        | Promise::StaticallyStable { .. }
        | Promise::Rpo { .. }
        | Promise::Rto { subject: Subject::Service(_), .. } => Some(Need::Survivor),
        Promise::Rto { subject: Subject::Database(_), .. } => Some(Need::Majority),
        Promise::Never(Predicate::QuorumLost) => Some(Need::Majority),
        Promise::Never(
            Predicate::DataLost(_)
            | Predicate::NoEndpoints(_)
            | Predicate::MasterDisruption
            | Predicate::PodUnschedulable(_),
        ) => Some(Need::Survivor),
        // Whoever tells is not what was lost.
        Promise::Completes { .. }
        | Promise::JobCompletes { .. }
        | Promise::Alert { .. }
        | Promise::Never(_)
        | Promise::Always(_)
        | Promise::Sometimes(_)
        | Promise::StartsFrom { .. }
        | Promise::Cel { .. }
        | Promise::Data { .. } => None,
    }
}
