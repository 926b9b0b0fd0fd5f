//! Storage pools as the data of a report.

use model_api::storage::{Pool, Redundancy};
use model_api::{Blueprint, SimSpan};
use report_data::{Metric, PoolDurability, Unit, metric_name};
use sim_check::{PoolMeasures, RunMeasures};

/// What happened to each pool in each run.
pub(crate) fn metrics(blueprint: &Blueprint, measures: &[RunMeasures]) -> Vec<Metric> {
    let nanos = |span: SimSpan| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let mut metrics = Vec::new();
    for (idx, pool) in blueprint.pools.iter().enumerate() {
        let mut push = |name: &str, unit, value: &dyn Fn(&PoolMeasures) -> i64| {
            metrics.push(Metric {
                name: name.to_owned(),
                subject: pool.name.clone(),
                unit,
                values: measures.iter().map(|run| Some(value(&run.pools[idx]))).collect(),
            });
        };
        push(metric_name::POOL_BELOW_SIZE, Unit::Nanoseconds, &|it| nanos(it.below_size));
        push(metric_name::POOL_PAUSED, Unit::Nanoseconds, &|it| nanos(it.paused));
        push(metric_name::POOL_STOPPED, Unit::Nanoseconds, &|it| nanos(it.stopped));
        push(metric_name::POOL_AT_ONE, Unit::Nanoseconds, &|it| nanos(it.at_one));
        push(metric_name::POOL_AT_ONE_BYTES, Unit::Count, &|it| whole(it.at_one_bytes_max));
        push(metric_name::POOL_REBUILD, Unit::Nanoseconds, &|it| nanos(it.rebuilding));
        push(metric_name::POOL_LOST_BYTES, Unit::Count, &|it| whole(it.lost_bytes));
    }
    metrics
}

/// How durable each pool is.
pub(crate) fn durability(blueprint: &Blueprint) -> Vec<PoolDurability> {
    blueprint.pools.iter().map(of_pool).collect()
}

fn of_pool(pool: &Pool) -> PoolDurability {
    let (durability, repair) = platform::pool_durability(pool);
    let zones = match pool.zones.len() {
        1 => "in 1 zone".to_owned(),
        count => format!("over {count} zones"),
    };
    PoolDurability {
        pool: pool.name.clone(),
        redundancy: match pool.redundancy {
            Redundancy::Replicated { size: 1 } => format!("1 copy {zones}"),
            Redundancy::Replicated { size } => format!("{size} copies {zones}"),
            Redundancy::Erasure { k, m } => format!("{k}+{m} {zones}"),
        },
        repair_ns: repair.as_nanos(),
        disks_serial: durability.disks_serial,
        disks_parallel: durability.disks_parallel,
        zones: durability.zones,
        mistakes: durability.mistakes,
        total: durability.total(),
    }
}
