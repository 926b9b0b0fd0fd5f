//! How storage pools fared and how durable they are, in words.

use report_data::{Metric, PoolDurability, metric_name};

use crate::quantity::span;

/// A sentence for each pool that something happened to in any run.
pub(crate) fn told(metrics: &[Metric]) -> impl Iterator<Item = String> {
    metrics.iter().filter(|metric| metric.name == metric_name::POOL_BELOW_SIZE).filter_map(
        |below| {
            let most = |name: &str| {
                let found =
                    metrics.iter().find(|it| it.name == name && it.subject == below.subject);
                let values = found.into_iter().flat_map(|it| it.values.iter().flatten());
                values.copied().max().and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
            };
            let time = |name: &str, what: &str| {
                let most = most(name);
                (most > 0).then(|| format!("{what} for up to {}", span(most)))
            };
            let size = |name: &str, what: &str| {
                let most = most(name);
                (most > 0).then(|| format!("up to {} {what}", bytes(most)))
            };
            let parts: Vec<String> = [
                time(metric_name::POOL_BELOW_SIZE, "below size"),
                time(metric_name::POOL_PAUSED, "paused"),
                time(metric_name::POOL_STOPPED, "stopped"),
                size(metric_name::POOL_AT_ONE_BYTES, "one loss from gone"),
                time(metric_name::POOL_REBUILD, "made anew"),
                size(metric_name::POOL_LOST_BYTES, "lost"),
            ]
            .into_iter()
            .flatten()
            .collect();
            (!parts.is_empty()).then(|| format!("{}: {}", below.subject, parts.join("; ")))
        },
    )
}

/// A sentence for each pool. Never what disks alone would give: that is no promise.
pub(crate) fn durability(pool: &PoolDurability) -> String {
    let disks = pool.disks_serial.max(pool.disks_parallel);
    let what = if pool.zones + pool.mistakes > disks {
        "what strikes many disks at once dominates"
    } else {
        "disks dominate"
    };
    format!(
        "{} ({}): data lost with {:.1e} a year: disks {:.1e} (by windows {:.1e}), zones {:.1e}, people and software {:.1e}; {what}",
        pool.pool,
        pool.redundancy,
        pool.total,
        pool.disks_serial,
        pool.disks_parallel,
        pool.zones,
        pool.mistakes
    )
}

pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in UNITS {
        if count >= size {
            let tenths = u128::from(count) * 10 / u128::from(size);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::count;

    #[test]
    fn pools_to_which_nothing_happened_are_not_told_of() {
        let metrics = [
            count(metric_name::POOL_BELOW_SIZE, "a", [0, 3_600_000_000_000]),
            count(metric_name::POOL_STOPPED, "a", [0, 0]),
            count(metric_name::POOL_AT_ONE_BYTES, "a", [5 << 40, 1 << 39]),
            count(metric_name::POOL_BELOW_SIZE, "b", [0, 0]),
        ];
        let told: Vec<String> = told(&metrics).collect();
        assert_eq!(told, ["a: below size for up to 1h 00m; up to 5.0 TiB one loss from gone"]);
    }

    #[test]
    fn disks_alone_are_never_the_figure() {
        let pool = PoolDurability {
            pool: "a".to_owned(),
            redundancy: "3 copies over 3 zones".to_owned(),
            repair_ns: 1,
            disks_serial: 1.2e-11,
            disks_parallel: 3e-12,
            zones: 2.7e-8,
            mistakes: 1e-3,
            total: 1.000_027e-3,
        };
        let expected = "a (3 copies over 3 zones): data lost with 1.0e-3 a year: disks 1.2e-11 \
                        (by windows 3.0e-12), zones 2.7e-8, people and software 1.0e-3; \
                        what strikes many disks at once dominates";
        assert_eq!(durability(&pool), expected);
    }

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        assert_eq!([500, 1 << 30, 3 << 39].map(bytes), ["500 bytes", "1.0 GiB", "1.5 TiB"]);
    }
}
