//! Verdicts: of a guarantee in one run, and over all runs.

use model_api::backup::DataSetKind;
use model_api::black_start::{StartCircle, StartFrom};
use model_api::blueprint::Database;
use model_api::guarantee::{
    Comparison, DataPromise, Guarantee, Limit, Predicate, Promise, Subject,
};
use model_api::{Blueprint, DatabaseId};
use sim_kernel::{SimSpan, SimTime};

use crate::budget::AlertSeen;
use crate::data::{self, Judged};
use crate::expression::Expression;
use crate::goodput::Returned;
use crate::interval::{Interval, proportion};
use crate::measures::{RunMeasures, ServiceMeasures, returns_count_from};
use crate::premise;
use crate::signal::Signals;

/// What became of a guarantee in one run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RunVerdict {
    /// It was put to the test and held.
    Held,
    /// It was broken.
    Violated,
    /// It was broken, and no design could have kept it.
    Unwinnable {
        /// Why, as a sentence.
        why: String,
    },
    /// The event that would have put it to the test did not happen.
    NotExercised {
        /// What did not happen, as a sentence.
        why: String,
    },
    /// It was put to the test, and the run ended before it could hold or break, or what would have said so
    /// is not known.
    Undecided {
        /// What was still open, as a sentence.
        why: String,
    },
}

/// What became of a guarantee over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Kept, as often as promised.
    Held,
    /// Not kept as often as promised.
    Violated,
    /// Broken where no design could have kept it, and nowhere else.
    Unwinnable,
    /// Never put to the test.
    Vacuous,
    /// The interval of the share of runs straddles the share promised: more runs decide. Or runs
    /// ended in the middle of what they were to show: longer ones decide.
    Inconclusive,
    /// Cannot be judged, because the model does not know what it is about.
    NotModelled,
}

/// A guarantee judged over all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct GuaranteeJudgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict as a sentence with its figures.
    pub reason: String,
    /// Runs in which it held.
    pub held_count: u64,
    /// Runs in which it was put to the test and could have held; those that ended too early to say
    /// are not among them.
    pub judged_count: u64,
    /// Interval of the share of judged runs in which it holds, at 95 %.
    pub share: Interval,
    /// The run that broke it worst, if any.
    pub worst_run: Option<u64>,
    /// Per run, the measured value: nanoseconds, parts per million, or 1 and 0 for a predicate;
    /// `None` when there was nothing to measure.
    pub values: Vec<Option<i64>>,
}

/// Judges one run; also gives the measured value, if there is one.
fn judge_run(
    guarantee: &Guarantee,
    expression: Option<&Expression>,
    measures: &RunMeasures,
    blueprint: &Blueprint,
) -> (RunVerdict, Option<i64>) {
    if let Promise::Data { data_set, promise } = &guarantee.promise {
        // What a strike would have cost is known whether anything struck or not.
        return match data::judge(*data_set, promise, &measures.data, blueprint) {
            Judged::By(holds, value) => (held_if(holds), Some(value)),
            Judged::Nothing(why) => (not_exercised(why), None),
            Judged::Open(why) => (RunVerdict::Undecided { why }, None),
        };
    }
    if let Promise::StartsFrom { circles, .. } = &guarantee.promise {
        let count = i64::try_from(circles.len()).unwrap_or(i64::MAX);
        return (held_if(circles.is_empty()), Some(count));
    }
    if let Some(why) = lacks_subject(&guarantee.promise, blueprint) {
        return (not_exercised(why), None);
    }
    let (verdict, value) = match expression {
        Some(expression) => match expression.holds(measures, blueprint) {
            Some(holds) => (held_if(holds), Some(i64::from(holds))),
            None => (not_exercised("the expression has no answer in this run"), None),
        },
        None => measure(&guarantee.promise, measures),
    };
    // What was broken was broken, whatever hit it; what did not happen to a platform that nothing hit was
    // not kept.
    let is_kept = matches!(
        (&verdict, &guarantee.promise),
        (RunVerdict::Held, _) | (RunVerdict::Violated, Promise::Sometimes(_))
    );
    if is_kept && !measures.is_stressed() && !measures.faults.is_empty() {
        return (not_exercised("no fault hit anything"), None);
    }
    let verdict = match verdict {
        RunVerdict::Violated => {
            match premise::unwinnable(&guarantee.promise, measures, blueprint) {
                Some(why) => RunVerdict::Unwinnable { why },
                None => RunVerdict::Violated,
            }
        }
        other => other,
    };
    (verdict, value)
}

fn measure(promise: &Promise, measures: &RunMeasures) -> (RunVerdict, Option<i64>) {
    match promise {
        Promise::Availability { service, clients, admitted_only, limit } => {
            let requests = match clients {
                None => measures.services.get(service.index()),
                Some(group) => {
                    measures.clients.get(&(*service, group.clone())).map(|seen| &seen.requests)
                }
            };
            let seen = if *admitted_only {
                requests.and_then(ServiceMeasures::admitted_availability_ppm)
            } else {
                requests.and_then(ServiceMeasures::availability_ppm)
            };
            match seen {
                Some(ppm) => {
                    (held_if(limit.comparison.holds(&ppm, &limit.value)), Some(ppm.into()))
                }
                None => (not_exercised("nobody asked for anything"), None),
            }
        }
        Promise::AvailabilityIn { service, window, limit } => {
            match measures.windows[&(*service, *window)] {
                Some(ppm) => {
                    (held_if(limit.comparison.holds(&ppm, &limit.value)), Some(ppm.into()))
                }
                None => (not_exercised("nobody asked for anything in a whole window"), None),
            }
        }
        Promise::BudgetBurn { service, objective_ppm, period, limit } => {
            let seen = &measures.services[service.index()];
            let length = measures.end.saturating_since(SimTime::ZERO);
            match crate::budget::burn_ppm(seen, *objective_ppm, *period, length) {
                Some(ppm) => {
                    let wanted = u64::from(limit.value);
                    let value = i64::try_from(ppm).unwrap_or(i64::MAX);
                    (held_if(limit.comparison.holds(&ppm, &wanted)), Some(value))
                }
                None => (not_exercised("nobody asked for anything"), None),
            }
        }
        Promise::Alert { service, objective_ppm, limit } => {
            match measures.alerts[&(*service, *objective_ppm)] {
                AlertSeen::NotDue => {
                    (not_exercised("errors were never so many that they should page"), None)
                }
                AlertSeen::Missed => (RunVerdict::Violated, None),
                AlertSeen::After(seen) => {
                    (held_if(limit.comparison.holds(&seen, &limit.value)), span(seen))
                }
            }
        }
        Promise::Rto { subject, limit } => match outage(*subject, measures) {
            Some(SimSpan::ZERO) if measures.faults.is_empty() => {
                (not_exercised("no fault is planned, and nothing failed without one"), None)
            }
            Some(_) if !is_exercised(*subject, measures) => (not_exercised(NOT_HIT), None),
            Some(length) if is_out_at_end(*subject, measures) => {
                (open_at_end(*limit, length, "an outage"), span(length))
            }
            Some(length)
                if is_forsaken(*subject, measures)
                    && limit.comparison.holds(&length, &limit.value) =>
            {
                (undecided(FORSAKEN), span(length))
            }
            Some(length) => (held_if(limit.comparison.holds(&length, &limit.value)), span(length)),
            None => (not_exercised("nobody asked for anything"), None),
        },
        Promise::Rpo { database, limit } => {
            let seen = &measures.databases[database.index()];
            if !seen.is_exercised() {
                return (not_exercised(NOT_HIT), None);
            }
            let lost = seen.lost_span_max;
            if seen.is_loss_open {
                return (open_at_end(*limit, lost, A_LOSS), span(lost));
            }
            (held_if(limit.comparison.holds(&lost, &limit.value)), span(lost))
        }
        Promise::Latency { service, clients, quantile_ppm, limit } => {
            let seen = match clients {
                None => measures.latencies[&(*service, *quantile_ppm)],
                Some(group) => {
                    let seen = measures.clients.get(&(*service, group.clone()));
                    seen.and_then(|seen| seen.latencies[quantile_ppm])
                }
            };
            match seen {
                Some(seen) => (held_if(limit.comparison.holds(&seen, &limit.value)), span(seen)),
                None => (not_exercised("nothing was answered"), None),
            }
        }
        Promise::Returns { .. } if measures.faults.is_empty() => {
            (not_exercised("no fault is planned that the goodput could return from"), None)
        }
        Promise::Returns { service, to_ppm, within, after_end } => {
            let seen = measures.returns[&(*service, *to_ppm, *after_end)];
            let from = returns_count_from(&measures.faults, *after_end);
            judge_return(seen, (*within, from), measures)
        }
        Promise::StaticallyStable { service, share_ppm } => {
            match measures.stable[&(*service, *share_ppm)] {
                None => (not_exercised("no control plane was frozen"), None),
                Some(_) if measures.services[service.index()].offered == 0 => {
                    (not_exercised("nobody asked for anything"), None)
                }
                Some(seen) => (held_if(seen.is_some()), seen.and_then(span)),
            }
        }
        Promise::Completes { fault, limit } => match measures.faults[fault.index()] {
            Some(seen) if seen.targets > 0 => {
                let took = seen.completed_at.map(|at| at.saturating_since(seen.at));
                if took.is_none() {
                    let had = measures.end.saturating_since(seen.at);
                    return (open_at_end(*limit, had, "the action"), None);
                }
                let holds = took.is_some_and(|took| limit.comparison.holds(&took, &limit.value));
                (held_if(holds), took.and_then(span))
            }
            Some(seen) if seen.is_refused => (RunVerdict::Violated, None),
            Some(_) => (not_exercised("the action found nothing to do"), None),
            None => (not_exercised("the action was never begun"), None),
        },
        Promise::JobCompletes { workload, limit } => match measures.jobs.get(workload) {
            None => (not_exercised("no Job came due"), None),
            Some(seen) => {
                let longest = seen.longest(measures.end);
                let holds = longest.is_some_and(|it| limit.comparison.holds(&it, &limit.value));
                if holds && seen.complete_count == 0 {
                    return (not_exercised("the run ended before any Job of it"), None);
                }
                // A Job that is at work when the run ends is nothing unusual.
                (held_if(holds), longest.and_then(span))
            }
        },
        Promise::Never(predicate) => {
            let broken_at = broken_or_held_at(predicate, measures);
            let is_never = if Signals::is_standing(predicate) {
                broken_at == Some(SimTime::ZERO)
            } else {
                broken_at.is_none()
            };
            let value = Some(i64::from(!is_never));
            match still_open(predicate, measures) {
                Some(why) if is_never => (undecided(why), value),
                _ => (held_if(is_never), value),
            }
        }
        Promise::Always(predicate) => {
            let seen = broken_or_held_at(predicate, measures);
            let is_always = if Signals::is_standing(predicate) {
                seen.is_none()
            } else {
                seen == Some(SimTime::ZERO)
            };
            (held_if(is_always), Some(i64::from(is_always)))
        }
        Promise::Sometimes(predicate) => {
            let happened = broken_or_held_at(predicate, measures).is_some();
            (held_if(happened), Some(i64::from(happened)))
        }
        Promise::Cel { .. } | Promise::Data { .. } | Promise::StartsFrom { .. } => {
            unreachable!("these are judged before")
        }
    }
}

/// Why nothing is known of a Service of which nothing is left and that nobody asks.
const FORSAKEN: &str = "none of its pods is left, and nobody asks for it any more";

/// Why nothing is shown of a database.
const NOT_HIT: &str = "the database was not hit: its primary took writes all the time";
/// What a run ended in, where what is lost was not known yet.
const A_LOSS: &str = "a loss of data, before it was known what a restore brings back";

/// What became of a goodput that was to be back within this time.
fn judge_return(
    seen: Returned,
    (within, from): (SimSpan, Option<SimTime>),
    measures: &RunMeasures,
) -> (RunVerdict, Option<i64>) {
    match seen {
        Returned::NoFault => (not_exercised("no fault struck"), None),
        Returned::NoLevel => {
            let why =
                "nothing was answered before the first fault that the goodput could return to";
            (not_exercised(why), None)
        }
        Returned::NobodyAsked => {
            (not_exercised("nobody asked for anything after the last fault"), None)
        }
        Returned::After(seen) => (held_if(seen <= within), span(seen)),
        Returned::Below => {
            let had = from.map_or(SimSpan::MAX, |at| measures.end.saturating_since(at));
            if had < within {
                return (undecided("the run ended before the goodput had to be back"), None);
            }
            (RunVerdict::Violated, None)
        }
    }
}

/// Why nobody knows yet that a predicate, which never held, would not have held later by what happened
/// before the end.
fn still_open(predicate: &Predicate, measures: &RunMeasures) -> Option<&'static str> {
    match predicate {
        Predicate::PodEvicted(of) | Predicate::PodUnschedulable(of) => {
            let mut pending = measures.evictions_pending.iter();
            let is_open = pending.any(|workload| of.is_none_or(|of| of == *workload));
            is_open.then_some("the run ended before the tolerations of pods on lost nodes ran out")
        }
        Predicate::DataLost(of) => {
            let is_open = match of {
                Some(database) => measures.databases[database.index()].is_loss_open,
                None => measures.databases.iter().any(|it| it.is_loss_open),
            };
            is_open.then_some("the run ended before it was known what a restore brings back")
        }
        _ => None,
    }
}

/// Why nothing is known of what a promise is about: pods of a kind, or a field, that no model knows.
fn not_modelled(promise: &Promise, blueprint: &Blueprint) -> Option<String> {
    let service = match promise {
        Promise::Availability { service, .. }
        | Promise::AvailabilityIn { service, .. }
        | Promise::BudgetBurn { service, .. }
        | Promise::Alert { service, .. }
        | Promise::Latency { service, .. }
        | Promise::Returns { service, .. }
        | Promise::StaticallyStable { service, .. }
        | Promise::Rto { subject: Subject::Service(service), .. } => *service,
        _ => return strange_database(promise, blueprint),
    };
    if let Some(what) = &blueprint.services.get(service.index())?.strange_source {
        return Some(format!("its pods come from {what}, a kind that is not modelled"));
    }
    let writes = |it: &&Database| it.writers.iter().any(|writes| writes.service == service);
    blueprint.databases.iter().filter(writes).find_map(strange_field)
}

/// The database that a promise is about, or one of all, whose manifest has what is not modelled.
fn strange_database(promise: &Promise, blueprint: &Blueprint) -> Option<String> {
    let (one, all) = (|it: DatabaseId| blueprint.databases.get(it.index()), &blueprint.databases);
    let of = |of: &Option<DatabaseId>| match of {
        Some(database) => one(*database),
        None => all.iter().find(|it| it.not_modelled.is_some()),
    };
    let database = match promise {
        Promise::Rpo { database, .. }
        | Promise::Rto { subject: Subject::Database(database), .. } => one(*database),
        Promise::Never(predicate) | Promise::Always(predicate) | Promise::Sometimes(predicate) => {
            match predicate {
                Predicate::TwoWritablePrimaries(database)
                | Predicate::DataLost(database)
                | Predicate::Failover(database) => of(database),
                _ => None,
            }
        }
        Promise::Data { data_set, .. } => {
            let kind = &blueprint.protection.data_sets.get(data_set.index())?.kind;
            let DataSetKind::Database(database) = kind else { return None };
            one(*database)
        }
        _ => None,
    };
    strange_field(database?)
}

fn strange_field(database: &Database) -> Option<String> {
    let field = database.not_modelled.as_ref()?;
    let name = format!("{}/{}", database.namespace, database.name);
    Some(format!("`{field}` of {name} decides who can write to it, and is not modelled"))
}

/// Why a predicate speaks of nothing that the platform has: of databases where there is none.
fn lacks_subject(promise: &Promise, blueprint: &Blueprint) -> Option<&'static str> {
    let (Promise::Never(predicate) | Promise::Always(predicate) | Promise::Sometimes(predicate)) =
        promise
    else {
        return None;
    };
    let is_of_databases = matches!(
        predicate,
        Predicate::TwoWritablePrimaries(_) | Predicate::DataLost(_) | Predicate::Failover(_)
    );
    let has_data =
        *predicate == Predicate::DataLost(None) && !blueprint.protection.data_sets.is_empty();
    (is_of_databases && blueprint.databases.is_empty() && !has_data).then_some(
        "the platform has no database: add the manifest of a Cluster of CloudNativePG or of a \
         postgresql of Zalando",
    )
}

fn broken_or_held_at(predicate: &Predicate, measures: &RunMeasures) -> Option<SimTime> {
    measures.signals.first_at(predicate)
}

/// The longest outage of a subject; `None` when it had nothing to do.
fn outage(subject: Subject, measures: &RunMeasures) -> Option<SimSpan> {
    match subject {
        Subject::Service(service) => {
            let seen = &measures.services[service.index()];
            (seen.offered > 0)
                .then(|| seen.longest_outage().map_or(SimSpan::ZERO, |outage| outage.length()))
        }
        Subject::Database(database) => Some(measures.databases[database.index()].write_outage_max),
    }
}

/// Whether anything happened to a subject that it had to recover from. A Service whose clients notice
/// nothing of a fault has withstood it; a database whose primary was elsewhere was not asked to.
fn is_exercised(subject: Subject, measures: &RunMeasures) -> bool {
    match subject {
        Subject::Service(_) => true,
        Subject::Database(database) => measures.databases[database.index()].is_exercised(),
    }
}

/// Whether the run ended in an outage of a subject, so that nobody knows how long it lasts.
fn is_out_at_end(subject: Subject, measures: &RunMeasures) -> bool {
    match subject {
        Subject::Service(service) => {
            let outages = &measures.services[service.index()].outages;
            outages.last().is_some_and(|outage| !outage.is_over)
        }
        Subject::Database(database) => {
            let seen = &measures.databases[database.index()];
            seen.write_outage_count > 0 && !seen.is_writable_at_end
        }
    }
}

/// Whether the run ended with nobody left to ask a Service, and nobody to answer: as when all that call it
/// are lost with it.
fn is_forsaken(subject: Subject, measures: &RunMeasures) -> bool {
    match subject {
        Subject::Service(service) => {
            measures.is_stressed() && measures.services[service.index()].is_forsaken()
        }
        Subject::Database(_) => false,
    }
}

/// The verdict over something that had lasted `so_far` when the run ended in the middle of it: it can
/// only last longer, so that some limits are passed already, or kept already, and the others open.
fn open_at_end(limit: Limit<SimSpan>, so_far: SimSpan, what: &str) -> RunVerdict {
    let is_decided = match limit.comparison {
        Comparison::LessOrEqual => so_far > limit.value,
        Comparison::Less | Comparison::GreaterOrEqual => so_far >= limit.value,
        Comparison::Greater | Comparison::Equal => so_far > limit.value,
    };
    if is_decided {
        return held_if(limit.comparison.holds(&so_far, &limit.value));
    }
    undecided(&format!("the run ended in the middle of {what}"))
}

fn undecided(why: &str) -> RunVerdict {
    RunVerdict::Undecided { why: why.to_owned() }
}

fn held_if(holds: bool) -> RunVerdict {
    if holds { RunVerdict::Held } else { RunVerdict::Violated }
}

fn not_exercised(why: &str) -> RunVerdict {
    RunVerdict::NotExercised { why: why.to_owned() }
}

fn span(span: SimSpan) -> Option<i64> {
    Some(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
}

/// Judges a guarantee over all runs, in the order of their index.
pub fn judge(
    guarantee: &Guarantee,
    runs: &[RunMeasures],
    blueprint: &Blueprint,
) -> GuaranteeJudgement {
    if let Some(reason) = not_modelled(&guarantee.promise, blueprint) {
        return GuaranteeJudgement {
            verdict: Verdict::NotModelled,
            reason,
            held_count: 0,
            judged_count: 0,
            share: proportion(0, 0),
            worst_run: None,
            values: vec![None; runs.len()],
        };
    }
    let expression = Expression::of(&guarantee.promise);
    let mut judged: Vec<(RunVerdict, Option<i64>)> =
        runs.iter().map(|run| judge_run(guarantee, expression.as_ref(), run, blueprint)).collect();
    let is_withstood = withstand(guarantee, runs, &mut judged);
    let count = |wanted: fn(&RunVerdict) -> bool| {
        judged.iter().filter(|(verdict, _)| wanted(verdict)).count() as u64
    };
    let held_count = count(|verdict| *verdict == RunVerdict::Held);
    let violated_count = count(|verdict| *verdict == RunVerdict::Violated);
    let judged_count = held_count + violated_count;
    let share = proportion(held_count, judged_count);
    let (verdict, mut reason) = match &guarantee.promise {
        Promise::StartsFrom { from, circles } => starts(*from, circles, blueprint),
        _ => conclude(guarantee, &judged, held_count, judged_count, share),
    };
    if is_withstood {
        reason.push_str("; its primary took writes all the time in each of them");
    }
    if judged_count > 0 {
        reason.extend(never(guarantee, &judged));
        reason.extend(set_aside(&judged));
    }
    GuaranteeJudgement {
        verdict,
        reason,
        held_count,
        judged_count,
        share,
        worst_run: worst_run(guarantee, &judged),
        values: judged.into_iter().map(|(_, value)| value).collect(),
    }
}

/// The run that broke the guarantee worst; the first of equals.
fn worst_run(guarantee: &Guarantee, judged: &[(RunVerdict, Option<i64>)]) -> Option<u64> {
    let smaller_is_worse = matches!(
        guarantee.promise,
        Promise::Availability { .. }
            | Promise::AvailabilityIn { .. }
            | Promise::Data { promise: DataPromise::Retention { .. }, .. }
    );
    let never_is_worst = waits_for_something(&guarantee.promise);
    let badness = |value: Option<i64>| match value {
        Some(value) if smaller_is_worse => value.saturating_neg(),
        Some(value) => value,
        None if never_is_worst => i64::MAX,
        None => i64::MIN,
    };
    judged
        .iter()
        .enumerate()
        .filter(|(_, (verdict, _))| {
            matches!(verdict, RunVerdict::Violated | RunVerdict::Unwinnable { .. })
        })
        .map(|(run, (_, value))| (run as u64, badness(*value)))
        .reduce(|worst, next| if next.1 > worst.1 { next } else { worst })
        .map(|(run, _)| run)
}

/// A database that took writes in every run, whatever struck, has withstood it: then these runs show its
/// recovery time, which is none. Where some runs stopped it, those that did not show nothing: what struck
/// was elsewhere. Says whether it has.
fn withstand(
    guarantee: &Guarantee,
    runs: &[RunMeasures],
    judged: &mut [(RunVerdict, Option<i64>)],
) -> bool {
    let Promise::Rto { subject: Subject::Database(_), limit } = guarantee.promise else {
        return false;
    };
    let is_aside =
        |(verdict, _): &(RunVerdict, _)| matches!(verdict, RunVerdict::NotExercised { .. });
    if !judged.iter().all(is_aside) {
        return false;
    }
    let struck = judged.iter_mut().zip(runs).filter(|(_, run)| run.is_stressed());
    let mut is_withstood = false;
    for (judged, _) in struck {
        *judged = (held_if(limit.holds(&SimSpan::ZERO)), span(SimSpan::ZERO));
        is_withstood = true;
    }
    is_withstood
}

/// Whether it is about the time until something happens, which may be never.
fn waits_for_something(promise: &Promise) -> bool {
    matches!(
        promise,
        Promise::Returns { .. }
            | Promise::StaticallyStable { .. }
            | Promise::Completes { .. }
            | Promise::JobCompletes { .. }
            | Promise::Alert { .. }
    )
}

/// In how many runs that were broken it never came to what was waited for, of which the measured values
/// say nothing.
fn never(guarantee: &Guarantee, judged: &[(RunVerdict, Option<i64>)]) -> Option<String> {
    let is_never = |(verdict, value): &&(RunVerdict, Option<i64>)| {
        *verdict == RunVerdict::Violated && value.is_none()
    };
    let count = judged.iter().filter(is_never).count();
    (count > 0 && waits_for_something(&guarantee.promise))
        .then(|| format!("; in {count} of {} runs it never came", judged.len()))
}

/// In how many runs it was not put to the test, where it was in others.
fn set_aside(judged: &[(RunVerdict, Option<i64>)]) -> Option<String> {
    let mut whys = judged.iter().filter_map(|(verdict, _)| match verdict {
        RunVerdict::NotExercised { why } => Some(why),
        _ => None,
    });
    let why = whys.next()?;
    let count = 1 + whys.count();
    Some(format!("; not counted are {count} of {} runs, in which {why}", judged.len()))
}

fn conclude(
    guarantee: &Guarantee,
    judged: &[(RunVerdict, Option<i64>)],
    held_count: u64,
    judged_count: u64,
    share: Interval,
) -> (Verdict, String) {
    let unwinnable = judged.iter().find_map(|(verdict, _)| match verdict {
        RunVerdict::Unwinnable { why } => Some(why.clone()),
        _ => None,
    });
    let violated_count = judged_count - held_count;
    if violated_count == 0
        && let Some(why) = unwinnable
    {
        return (Verdict::Unwinnable, why);
    }
    if let Some(open) = Open::of(judged) {
        return open.conclude(guarantee, held_count, violated_count);
    }
    if judged_count == 0 {
        let why = judged.iter().find_map(|(verdict, _)| match verdict {
            RunVerdict::NotExercised { why } => Some(why.clone()),
            _ => None,
        });
        return (Verdict::Vacuous, why.unwrap_or_else(|| "no run was made".to_owned()));
    }
    if let Promise::Sometimes(_) = guarantee.promise
        && guarantee.share_ppm.is_none()
    {
        return if held_count > 0 {
            (Verdict::Held, format!("seen in {held_count} of {judged_count} runs"))
        } else {
            (Verdict::Violated, format!("seen in none of {judged_count} runs"))
        };
    }
    match guarantee.share_ppm {
        None if violated_count > 0 => {
            (Verdict::Violated, format!("broken in {violated_count} of {judged_count} runs"))
        }
        None => (Verdict::Held, held_in_all(judged_count)),
        Some(share_ppm) => against_share(share_ppm, held_count, judged_count, share),
    }
}

/// Whether everything starts by itself: no run says more than the platform does.
fn starts(from: StartFrom, circles: &[StartCircle], blueprint: &Blueprint) -> (Verdict, String) {
    let place = from.words();
    if circles.is_empty() {
        return (Verdict::Held, format!("no workloads need each other to start {place}"));
    }
    let told = circles.iter().map(|circle| {
        let what = if circle.is_smallest { "the smallest step" } else { "a step" };
        let names = circle.members.iter().map(|id| blueprint.workload_name(*id));
        let names: Vec<String> = names.collect();
        let (need, whom) =
            if names.len() == 1 { ("needs", "itself") } else { ("need", "each other") };
        format!(
            "{} {need} {whom} to start {place}: {}; {what} that breaks it by hand: {}",
            names.join(", "),
            circle.because.join(", "),
            circle.steps.join("; then ")
        )
    });
    (Verdict::Violated, told.collect::<Vec<_>>().join(". And "))
}

/// How surely a promise of every run holds. It is judged by the runs that were made and not by those that
/// could have been, so that one run decides it; how often others may break it stands beside it, so
/// that nobody takes a handful of runs for more than they show.
fn held_in_all(judged_count: u64) -> String {
    let bound = 100.0 * (1.0 - 0.05_f64.powf(1.0 / judged_count as f64));
    if judged_count == 1 {
        return format!(
            "held in 1 of 1 runs, and nothing is said of others: they may break it in up to {bound:.0} % \
             of cases at 95 % confidence, more runs say more"
        );
    }
    format!(
        "held in all {judged_count} runs; at 95 % confidence it breaks in at most {bound:.2} % of them"
    )
}

fn against_share(
    share_ppm: u32,
    held_count: u64,
    judged_count: u64,
    share: Interval,
) -> (Verdict, String) {
    let wanted = f64::from(share_ppm) / 1e6;
    let verdict = if share.low >= wanted {
        Verdict::Held
    } else if share.high < wanted {
        Verdict::Violated
    } else {
        Verdict::Inconclusive
    };
    let percent = |share: f64| 100.0 * share;
    let reason = format!(
        "held in {held_count} of {judged_count} runs, {:.2} % (95 % interval {:.2} to {:.2} %), wanted {:.3} %",
        percent(held_count as f64 / judged_count as f64),
        percent(share.low),
        percent(share.high),
        percent(wanted),
    );
    (verdict, reason)
}

/// Runs that ended before they could say.
struct Open {
    count: u64,
    why: String,
}

impl Open {
    fn of(judged: &[(RunVerdict, Option<i64>)]) -> Option<Self> {
        let mut whys = judged.iter().filter_map(|(verdict, _)| match verdict {
            RunVerdict::Undecided { why } => Some(why),
            _ => None,
        });
        let why = whys.next()?.clone();
        Some(Self { count: 1 + whys.count() as u64, why })
    }

    /// The verdict that holds however these runs would have gone on, if there is one.
    fn conclude(
        self,
        guarantee: &Guarantee,
        held_count: u64,
        violated_count: u64,
    ) -> (Verdict, String) {
        let count = held_count + violated_count + self.count;
        let what_decides = match guarantee.promise {
            Promise::Data { .. } => "",
            _ => ": a longer horizon or an earlier fault decides",
        };
        let tail = format!("in {} of {count} runs {}{what_decides}", self.count, self.why);
        let Some(share_ppm) = guarantee.share_ppm else {
            if violated_count > 0 {
                let reason = format!("broken in {violated_count} of {count} runs; {tail}");
                return (Verdict::Violated, reason);
            }
            return (Verdict::Inconclusive, tail);
        };
        let at = |held: u64| against_share(share_ppm, held, count, proportion(held, count));
        let (worst, best) = (at(held_count), at(held_count + self.count));
        if worst.0 == best.0 {
            return (worst.0, format!("{}; {tail}", worst.1));
        }
        let least = format!("held in at least {held_count} of {count} runs");
        (Verdict::Inconclusive, format!("{least}; {tail}"))
    }
}

#[cfg(test)]
mod tests;
