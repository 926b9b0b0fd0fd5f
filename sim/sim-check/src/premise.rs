//! What no design can promise.
//!
//! A guarantee is *unwinnable* in a run when every design over the same zones breaks it there. One thing
//! takes everything from every design: a time in which no zone has power ([`Dark`](crate::dark::Dark)).
//! So the best that any design could have done is to answer everything but what was asked for in that
//! time, at once when it is over; a promise that this breaks too was not to be kept. Whatever else broke
//! it is its own doing:
//!
//! - A zone that is left could hold a majority of etcd's members, an endpoint, a primary.
//! - A zone that is cut off still runs.
//! - Disks whose power returns hold what was written to them; a copy elsewhere survives what is destroyed.
//!   So no loss of data is unwinnable.
//! - Latency is that of answers, and none is due in the dark.

use model_api::Blueprint;
use model_api::guarantee::{Limit, Predicate, Promise, Subject};
use sim_kernel::{SimSpan, SimTime};

use crate::budget;
use crate::measures::{RunMeasures, ServiceMeasures, returns_count_from};

/// Why no design could have kept the promise in this run; `None` when one could.
pub(crate) fn unwinnable(
    promise: &Promise,
    measures: &RunMeasures,
    blueprint: &Blueprint,
) -> Option<String> {
    let longest = measures.dark.longest_within(SimTime::ZERO, measures.end);
    if longest.is_zero() || is_kept_at_best(promise, measures) {
        return None;
    }
    let zone_count = blueprint.zones.len();
    Some(format!(
        "all {zone_count} zones were without power at once, for {longest}: nothing was left that could \
         have kept it"
    ))
}

/// Whether the best of all designs would have kept a promise that is broken.
fn is_kept_at_best(promise: &Promise, measures: &RunMeasures) -> bool {
    match promise {
        Promise::Availability { service, clients, limit, .. } => {
            let seen = match clients {
                None => measures.services.get(service.index()),
                Some(group) => {
                    measures.clients.get(&(*service, group.clone())).map(|seen| &seen.requests)
                }
            };
            let best = seen.map(ServiceMeasures::at_best);
            best.and_then(|it| it.availability_ppm()).is_none_or(|ppm| limit.holds(&ppm))
        }
        Promise::AvailabilityIn { service, window, limit } => {
            let best = measures.best_windows.get(&(*service, *window)).copied().flatten();
            best.is_none_or(|ppm| limit.holds(&ppm))
        }
        Promise::BudgetBurn { service, objective_ppm, period, limit } => {
            let best = measures.services[service.index()].at_best();
            let length = measures.end.saturating_since(SimTime::ZERO);
            let limit = Limit { comparison: limit.comparison, value: u64::from(limit.value) };
            budget::burn_ppm(&best, *objective_ppm, *period, length)
                .is_none_or(|ppm| limit.holds(&ppm))
        }
        Promise::Rto { subject: Subject::Service(service), limit } => {
            let outages = measures.services[service.index()].outages.iter();
            outages.map(|it| (it.from, it.until)).any(|it| is_avoidable(it, *limit, measures))
        }
        Promise::Rto { subject: Subject::Database(database), limit } => {
            let seen = &measures.databases[database.index()];
            let from = seen.write_outage_max_at;
            is_avoidable((from, from + seen.write_outage_max), *limit, measures)
        }
        Promise::Returns { within, after_end, .. } => {
            let last = returns_count_from(&measures.faults, *after_end);
            let due = last.and_then(|at| at.checked_add(*within));
            due.is_none_or(|due| measures.dark.longest_within(due, measures.end).is_zero())
        }
        Promise::Never(
            predicate @ (Predicate::QuorumLost
            | Predicate::NoEndpoints(_)
            | Predicate::MasterDisruption
            | Predicate::PodUnschedulable(_)),
        ) => {
            let broken_at = measures.signals.first_at(predicate);
            broken_at.is_none_or(|at| !measures.dark.contains(at))
        }
        Promise::Rpo { .. }
        | Promise::Latency { .. }
        | Promise::StaticallyStable { .. }
        | Promise::Completes { .. }
        | Promise::JobCompletes { .. }
        | Promise::Alert { .. }
        | Promise::Never(_)
        | Promise::Always(_)
        | Promise::Sometimes(_)
        | Promise::StartsFrom { .. }
        | Promise::Cel { .. }
        | Promise::Data { .. } => true,
    }
}

/// Whether an outage is longer than promised although the dark in it is not.
fn is_avoidable(
    (from, until): (SimTime, SimTime),
    limit: Limit<SimSpan>,
    measures: &RunMeasures,
) -> bool {
    !limit.holds(&(until - from)) && limit.holds(&measures.dark.longest_within(from, until))
}
