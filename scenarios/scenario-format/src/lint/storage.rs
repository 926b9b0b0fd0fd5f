//! Storage pools that look safe and are not: W0197, W0198.

use model_api::storage::{FailureDomain, Pool, Redundancy};

use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;

/// What a pool loses with a zone.
pub(crate) fn check_pool(pool: &Pool, span: Span, found: &mut Vec<Diagnostic>) {
    let zones = pool.zones.len();
    if zones < 2 {
        return;
    }
    let width = pool.redundancy.width();
    let left = width - pool.most_lost_with(1).min(width);
    let all = u32::try_from(zones).unwrap_or(u32::MAX);
    let what = described(pool);
    if pool.zones_needed() >= all {
        let message = format!(
            "{} ({what}) loses data with a zone: only {left} of {width} chunks of a placement group may be left",
            pool.name
        );
        found.push(Diagnostic::new(Code::W0197, span, message).help(advice(pool)));
    } else if pool.zones_needed_for(pool.min_size) >= all {
        let message = format!(
            "{} ({what}) keeps its data without a zone and stops: {left} of {width} chunks are left, and reads and writes need {}",
            pool.name, pool.min_size
        );
        found.push(Diagnostic::new(Code::W0197, span, message).help(advice(pool)));
    }
    let loses_quorum = pool.monitor_zones.iter().any(|zone| !pool.has_quorum(1 << zone.index()));
    if loses_quorum {
        let message = format!(
            "{}: the loss of one zone takes half of its {} monitors or more",
            pool.name,
            pool.monitor_zones.len()
        );
        let help = "put one monitor into each of three zones; a third zone may hold nothing else";
        found.push(Diagnostic::new(Code::W0198, span, message).help(help));
    }
}

fn described(pool: &Pool) -> String {
    let domain = match pool.failure_domain {
        FailureDomain::Zone => "zones",
        FailureDomain::Host => "hosts",
        FailureDomain::Osd => "disks",
    };
    let zones = pool.zones.len();
    match pool.redundancy {
        Redundancy::Replicated { size } => {
            format!("{size} copies on different {domain} of {zones} zones")
        }
        Redundancy::Erasure { k, m } => {
            format!("{k}+{m} on different {domain} of {zones} zones")
        }
    }
}

/// What would go on without a zone.
fn advice(pool: &Pool) -> String {
    if pool.failure_domain != FailureDomain::Zone && pool.zones.len() > 2 {
        let zonal = Pool { failure_domain: FailureDomain::Zone, ..pool.clone() };
        let all = u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
        if zonal.zones_needed_for(zonal.min_size) < all {
            return "state `failureDomain: zone`, with a CRUSH rule that says so".to_owned();
        }
    }
    match pool.redundancy {
        Redundancy::Replicated { .. } if pool.zones.len() < 3 => {
            "spread three copies over three zones, or keep four over two (`size: 4, minSize: 2`)"
                .to_owned()
        }
        Redundancy::Replicated { .. } => "keep three copies, one in each zone".to_owned(),
        Redundancy::Erasure { .. } if pool.zones.len() == 3 => {
            "3+3, 5+4 and 7+5 over three zones go on without one".to_owned()
        }
        Redundancy::Erasure { .. } => {
            "with c chunks in each of z zones, k is at most (z - 1) · c - 1".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use model_api::ZoneId;

    use super::*;

    fn codes(redundancy: Redundancy, zones: u32, domain: FailureDomain) -> Vec<Code> {
        let zones: Vec<ZoneId> = (0..zones).map(ZoneId).collect();
        let pool = Pool {
            name: "p".to_owned(),
            monitor_zones: zones.iter().copied().cycle().take(3).collect(),
            zones,
            hosts_per_zone: 4,
            osds_per_host: 6,
            redundancy,
            min_size: redundancy.min_size_default(),
            failure_domain: domain,
            ..Pool::default()
        };
        let mut found = Vec::new();
        check_pool(&pool, Span::default(), &mut found);
        found.into_iter().map(|it| it.code).collect()
    }

    #[test]
    fn pools_that_a_zone_stops() {
        use FailureDomain::{Host, Zone};
        let copies = |size| Redundancy::Replicated { size };
        let code = |k, m| Redundancy::Erasure { k, m };
        let cases = [
            (copies(3), 3, Zone, vec![]),
            (copies(3), 3, Host, vec![Code::W0197]),
            (copies(3), 2, Zone, vec![Code::W0197, Code::W0198]),
            (copies(4), 2, Zone, vec![Code::W0198]),
            (copies(3), 1, Host, vec![]),
            (code(4, 2), 3, Zone, vec![Code::W0197]),
            (code(3, 3), 3, Zone, vec![]),
            (code(5, 4), 3, Zone, vec![]),
            (code(5, 2), 3, Zone, vec![Code::W0197]),
        ];
        for (redundancy, zones, domain, expected) in cases {
            assert_eq!(codes(redundancy, zones, domain), expected, "{redundancy:?} {zones}");
        }
    }
}
