//! Guarantees that are expressions, in the Common Expression Language (CEL).

use cel::{Context, Program, Value};
use model_api::guarantee::Promise;
use model_api::guarantee::figure::{
    DATABASES, DatabaseFigure, POOLS, PoolFigure, SERVICES, ServiceFigure, WORKLOADS,
    WorkloadFigure,
};
use model_api::{Blueprint, DatabaseId, ServiceId, WorkloadId};
use report_data::Unit;
use sim_kernel::SimSpan;

use crate::blame::{self, Blamed};
use crate::measures::{DatabaseMeasures, RunMeasures, ServiceMeasures};
use crate::memory::MemoryMeasures;
use crate::storage::PoolMeasures;

/// An expression over the figures of a run.
pub(crate) struct Expression {
    program: Program,
}

impl Expression {
    /// The expression of a promise that is one.
    pub(crate) fn of(promise: &Promise) -> Option<Self> {
        match promise {
            Promise::Cel { source } => Some(Self::new(source)),
            _ => None,
        }
    }

    /// Reads an expression that the reader of scenarios has let through.
    fn new(source: &str) -> Self {
        let program = Program::compile(source);
        Self { program: program.expect("the reader of scenarios compiled it before") }
    }

    /// Whether it holds in a run; `None` when it has no answer there: it asks for the availability
    /// of a Service that nobody called, or divides by zero.
    pub(crate) fn holds(&self, measures: &RunMeasures, blueprint: &Blueprint) -> Option<bool> {
        match self.program.execute(&context(measures, blueprint)) {
            Ok(Value::Bool(holds)) => Some(holds),
            _ => None,
        }
    }
}

/// The figures that an expression which does not hold in a run looked at, those first that are
/// written first.
pub fn blamed(source: &str, measures: &RunMeasures, blueprint: &Blueprint) -> Vec<Blamed> {
    let expression = Expression::new(source);
    let context = context(measures, blueprint);
    blame::blamed(expression.program.expression(), &context, blueprint)
}

/// Every figure that an expression names, in the order in which it names them.
pub fn named_figures(source: &str, blueprint: &Blueprint) -> Vec<Blamed> {
    let expression = Expression::new(source);
    blame::named(expression.program.expression(), &Context::default(), blueprint)
}

/// What a figure was in a run, and its unit; no value where there was nothing to measure. Shares and
/// ratios are parts per million, times nanoseconds.
pub fn measured(figure: Blamed, measures: &RunMeasures) -> (Unit, Option<i64>) {
    let seconds = |name: &str| name.ends_with("Seconds");
    let (is_whole, is_time, value) = match figure {
        Blamed::Service(id, figure) => {
            let value = service_figure(&measures.services[id.index()], figure);
            (figure.is_whole(), seconds(figure.name()), value)
        }
        Blamed::Database(id, figure) => {
            let value = database_figure(&measures.databases[id.index()], figure);
            (figure.is_whole(), seconds(figure.name()), value)
        }
        Blamed::Workload(id, figure) => {
            let seen = measures.memory.get(&id).copied().unwrap_or_default();
            (true, false, Some(workload_figure(&seen, figure)))
        }
        Blamed::Pool(id, figure) => {
            let value = measures.pools.get(id.index()).map(|seen| pool_figure(seen, figure));
            (figure.is_whole(), seconds(figure.name()), value)
        }
    };
    let (unit, scale) = match (is_whole, is_time) {
        (true, _) => (Unit::Count, 1.0),
        (false, true) => (Unit::Nanoseconds, 1e9),
        (false, false) => (Unit::PartsPerMillion, 1e6),
    };
    let value = value.and_then(|value| match value {
        Value::Int(value) => Some(value),
        #[expect(clippy::cast_possible_truncation, reason = "a cast keeps to the bounds of i64")]
        Value::Float(value) => Some((value * scale).round() as i64),
        _ => None,
    });
    (unit, value)
}

/// What an expression sees.
fn context(measures: &RunMeasures, blueprint: &Blueprint) -> Context<'static, 'static> {
    let mut context = Context::default();
    context.add_variable_from_value(SERVICES, services(measures, blueprint));
    context.add_variable_from_value(DATABASES, databases(measures, blueprint));
    context.add_variable_from_value(WORKLOADS, workloads(measures, blueprint));
    context.add_variable_from_value(POOLS, pools(measures, blueprint));
    context
}

fn services(measures: &RunMeasures, blueprint: &Blueprint) -> Value {
    let each = measures.services.iter().enumerate().map(|(idx, seen)| {
        let figures = ServiceFigure::ALL
            .into_iter()
            .filter_map(|figure| Some((figure.name().to_owned(), service_figure(seen, figure)?)));
        (blueprint.service_name(ServiceId::from_index(idx)), named(figures))
    });
    named(each)
}

fn databases(measures: &RunMeasures, blueprint: &Blueprint) -> Value {
    let each = measures.databases.iter().enumerate().map(|(idx, seen)| {
        let figures = DatabaseFigure::ALL
            .into_iter()
            .filter_map(|figure| Some((figure.name().to_owned(), database_figure(seen, figure)?)));
        (blueprint.database_name(DatabaseId::from_index(idx)), named(figures))
    });
    named(each)
}

fn workloads(measures: &RunMeasures, blueprint: &Blueprint) -> Value {
    let each = (0..blueprint.workloads.len()).map(WorkloadId::from_index).map(|id| {
        let seen = measures.memory.get(&id).copied().unwrap_or_default();
        let figures = WorkloadFigure::ALL
            .into_iter()
            .map(|figure| (figure.name().to_owned(), workload_figure(&seen, figure)));
        (blueprint.workload_name(id), named(figures))
    });
    named(each)
}

fn pools(measures: &RunMeasures, blueprint: &Blueprint) -> Value {
    let each = measures.pools.iter().zip(&blueprint.pools).map(|(seen, pool)| {
        let figures = PoolFigure::ALL
            .into_iter()
            .map(|figure| (figure.name().to_owned(), pool_figure(seen, figure)));
        (pool.name.clone(), named(figures))
    });
    named(each)
}

fn pool_figure(seen: &PoolMeasures, figure: PoolFigure) -> Value {
    match figure {
        PoolFigure::BelowSizeSeconds => Value::Float(seen.below_size.as_secs_f64()),
        PoolFigure::StoppedSeconds => Value::Float(seen.stopped.as_secs_f64()),
        PoolFigure::AtOneBytes => Value::Int(whole(seen.at_one_bytes_max)),
        PoolFigure::RebuildSeconds => Value::Float(seen.rebuilding.as_secs_f64()),
        PoolFigure::LostBytes => Value::Int(whole(seen.lost_bytes)),
    }
}

fn service_figure(seen: &ServiceMeasures, figure: ServiceFigure) -> Option<Value> {
    Some(match figure {
        ServiceFigure::Availability => Value::Float(f64::from(seen.availability_ppm()?) / 1e6),
        ServiceFigure::OutageSeconds => {
            let longest = seen.longest_outage().map_or(SimSpan::ZERO, |outage| outage.length());
            Value::Float(longest.as_secs_f64())
        }
        ServiceFigure::OutageCount => Value::Int(whole(seen.outages.len() as u64)),
        ServiceFigure::LostRequests => Value::Int(whole(seen.lost_requests())),
        ServiceFigure::LimitedRequests => Value::Int(whole(seen.limited_requests())),
        ServiceFigure::AdmittedAvailability => {
            Value::Float(f64::from(seen.admitted_availability_ppm()?) / 1e6)
        }
        ServiceFigure::ThrottledPeriods => Value::Float(f64::from(seen.throttled_ppm()?) / 1e6),
        ServiceFigure::MovedSessions => Value::Int(whole(seen.sessions?.moved)),
        ServiceFigure::LostSessions => Value::Int(whole(seen.sessions?.lost)),
        ServiceFigure::HottestPod => Value::Float(seen.sessions?.hottest_milli as f64 / 1e3),
    })
}

fn database_figure(seen: &DatabaseMeasures, figure: DatabaseFigure) -> Option<Value> {
    Some(match figure {
        DatabaseFigure::LostSeconds => Value::Float(seen.lost_span_max.as_secs_f64()),
        DatabaseFigure::LostCommits => Value::Int(whole(seen.lost_commit_count)),
        DatabaseFigure::UnknownCommits => Value::Int(whole(seen.unknown_commit_count())),
        DatabaseFigure::FailoverCount => Value::Int(seen.failover_count.into()),
        DatabaseFigure::WriteOutageSeconds => Value::Float(seen.write_outage_max.as_secs_f64()),
        DatabaseFigure::StallCount => Value::Int(seen.stall_count.into()),
        DatabaseFigure::StalledSeconds => Value::Float(seen.stalled.as_secs_f64()),
        DatabaseFigure::ReducedRedundancySeconds => Value::Float(seen.thin.as_secs_f64()),
        DatabaseFigure::ArchiveBacklogBytes => Value::Int(whole(seen.backlog_bytes_max)),
        DatabaseFigure::LogFreeBytes => Value::Int(whole(seen.free_bytes_min?)),
    })
}

fn workload_figure(seen: &MemoryMeasures, figure: WorkloadFigure) -> Value {
    Value::Int(match figure {
        WorkloadFigure::MemoryKills => seen.kill_count.into(),
        WorkloadFigure::MemoryEvictions => seen.eviction_count.into(),
    })
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(
    clippy::disallowed_types,
    reason = "what CEL's maps are made of; an expression gives one truth value, whatever the order"
)]
fn named(values: impl Iterator<Item = (String, Value)>) -> Value {
    Value::from(values.collect::<std::collections::HashMap<String, Value>>())
}

#[cfg(test)]
mod tests {
    use model_api::observation::Throttling;
    use model_api::session::SessionsSeen;

    use super::*;

    #[test]
    fn what_holds_is_not_blamed() {
        let blueprint = Blueprint {
            services: ["web", "api"]
                .map(|name| model_api::kube::Service {
                    namespace: "shop".to_owned(),
                    name: name.to_owned(),
                    ..Default::default()
                })
                .into(),
            ..Blueprint::default()
        };
        let plan = model_api::fault::FaultPlan::default();
        let subjects = crate::Subjects::new(&blueprint, &plan, &[]);
        let measures = crate::Monitor::new(&subjects).finish(sim_kernel::SimTime::ZERO);
        let check = |source: &str, expected: &[(u32, ServiceFigure)]| {
            let seen = blamed(source, &measures, &blueprint);
            let expected = expected.iter().map(|(id, it)| Blamed::Service(ServiceId(*id), *it));
            assert_eq!(seen, expected.collect::<Vec<_>>(), "{source}");
        };
        let (lost, outages) = (ServiceFigure::LostRequests, ServiceFigure::OutageCount);
        check("services['shop/web'].lostRequests > 0", &[(0, lost)]);
        check("services['shop/web']['lostRequests'] > 0", &[(0, lost)]);
        check(
            "services['shop/web'].lostRequests == 0 && services['shop/api'].outageCount > 1",
            &[(1, outages)],
        );
        check(
            "services['shop/web'].lostRequests > 0 || services['shop/api'].outageCount > 1",
            &[(0, lost), (1, outages)],
        );
        check("services.all(name, services[name].lostRequests > 0)", &[(0, lost), (1, lost)]);
        check(
            "true ? services['shop/api'].outageCount > 1 : services['shop/web'].lostRequests > 0",
            &[(1, outages)],
        );
        check("1 > 2", &[]);
    }

    #[test]
    fn every_figure_that_is_named_is_shown() {
        let service = model_api::kube::Service {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            ..Default::default()
        };
        let blueprint = Blueprint { services: vec![service], ..Blueprint::default() };
        let plan = model_api::fault::FaultPlan::default();
        let subjects = crate::Subjects::new(&blueprint, &plan, &[]);
        let mut measures = crate::Monitor::new(&subjects).finish(sim_kernel::SimTime::ZERO);
        // In the unit of thousandths of a request, times 2 × 10⁹.
        measures.services[0].offered = 4 * 2_000_000_000_000;
        measures.services[0].served = 3 * 2_000_000_000_000;
        let source = "services['shop/web'].availability > 0.5 && services['shop/web'].lostRequests \
                      < 9 || services.all(it, services[it].outageSeconds < 1.0)";
        let figures = named_figures(source, &blueprint).into_iter();
        let told =
            figures.map(|it| (it.figure_name(), it.subject(&blueprint), measured(it, &measures)));
        let web = || "shop/web".to_owned();
        let expected = [
            ("availability", web(), (Unit::PartsPerMillion, Some(750_000))),
            ("lostRequests", web(), (Unit::Count, Some(1))),
            ("outageSeconds", web(), (Unit::Nanoseconds, Some(0))),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn counts_are_whole_and_the_rest_is_not() {
        let throttling = Throttling { periods: 1, ..Throttling::default() };
        let sessions = Some(SessionsSeen::default());
        let service =
            ServiceMeasures { offered: 1, throttling, sessions, ..ServiceMeasures::default() };
        for figure in ServiceFigure::ALL {
            let value = service_figure(&service, figure).expect("somebody asked");
            assert_eq!(matches!(value, Value::Int(_)), figure.is_whole(), "{figure:?}");
        }
        for figure in DatabaseFigure::ALL {
            let seen = DatabaseMeasures { free_bytes_min: Some(1), ..DatabaseMeasures::default() };
            let value = database_figure(&seen, figure).expect("its volume is known");
            assert_eq!(matches!(value, Value::Int(_)), figure.is_whole(), "{figure:?}");
        }
        for figure in PoolFigure::ALL {
            let value = pool_figure(&PoolMeasures::default(), figure);
            assert_eq!(matches!(value, Value::Int(_)), figure.is_whole(), "{figure:?}");
        }
    }
}
