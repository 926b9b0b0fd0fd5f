//! Hints of `service.kubernetes.io/topology-mode: Auto`: zones get endpoints in proportion to the CPU
//! of their nodes, or there are no hints at all (`k8s.io/endpointslice/topologycache`, Kubernetes 1.36).

use model_api::ZoneId;

/// More than this share above what it would get evenly no endpoint shall get (`overloadThreshold`).
const OVERLOAD_MAX: f64 = 0.2;

/// The zone that the hint of each ready endpoint names, of which the zones are given in the order of
/// the slice; `None` when there are no hints: fewer than two zones have ready nodes, there are fewer
/// endpoints than such zones, or some endpoint would get too much (`AddHints`).
///
/// `cpu_millis` is by zone the allocatable CPU of ready nodes that do not carry the control plane
/// (`SetNodes`).
///
/// Simplified: which of several equal zones gives or receives first is left open upstream; here it
/// is the first.
pub fn allocated_zones(endpoints: &[ZoneId], cpu_millis: &[u64]) -> Option<Vec<ZoneId>> {
    let desired = desired(endpoints.len(), cpu_millis)?;
    let mut counts = vec![0_u32; desired.len()];
    for zone in endpoints {
        counts[zone.index()] += 1;
    }
    let (mut gives, mut receives) = giving_and_receiving(&desired, &counts);
    let mut hints = endpoints.to_vec();
    for hint in &mut hints {
        let receiver = receives.iter().position(|count| *count > 0);
        if let Some(receiver) = receiver
            && gives[hint.index()] > 0
        {
            gives[hint.index()] -= 1;
            receives[receiver] -= 1;
            *hint = ZoneId::from_index(receiver);
        }
    }
    Some(hints)
}

/// By zone, how many endpoints it should get; `None` of zones without ready nodes (`getAllocations`).
fn desired(endpoint_count: usize, cpu_millis: &[u64]) -> Option<Vec<Option<f64>>> {
    let total: u64 = cpu_millis.iter().sum();
    let zone_count = cpu_millis.iter().filter(|cpu| **cpu > 0).count();
    if zone_count < 2 || zone_count > endpoint_count {
        return None;
    }
    let mut left = endpoint_count as f64;
    let mut desired = Vec::with_capacity(cpu_millis.len());
    for &cpu in cpu_millis {
        if cpu == 0 {
            desired.push(None);
            continue;
        }
        let share = cpu as f64 / total as f64 * endpoint_count as f64;
        let least = (share * (1.0 / (1.0 + OVERLOAD_MAX))).ceil();
        left -= least;
        desired.push(Some(share.max(least)));
    }
    (left >= 0.0).then_some(desired)
}

/// How many endpoints each zone gives to others, and gets from others (`getGivingAndReceivingZones`).
fn giving_and_receiving(desired: &[Option<f64>], counts: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let excess = |sign: f64| -> Vec<f64> {
        let of = |(desired, count): (&Option<f64>, &u32)| {
            desired.map_or(0.0, |desired| sign * (f64::from(*count) - desired)).max(0.0)
        };
        desired.iter().zip(counts).map(of).collect()
    };
    let (mut surplus, mut lack) = (excess(1.0), excess(-1.0));
    let (mut gives, mut receives) = (vec![0; counts.len()], vec![0; counts.len()]);
    while let (Some((giver, most)), Some((receiver, least))) = (largest(&surplus), largest(&lack)) {
        if (most < 1.0 && least < 1.0) || most < 0.5 || least < 0.5 {
            break;
        }
        gives[giver] += 1;
        surplus[giver] -= 1.0;
        receives[receiver] += 1;
        lack[receiver] -= 1.0;
    }
    (gives, receives)
}

/// The zone with the largest number above zero; the first of equals.
fn largest(numbers: &[f64]) -> Option<(usize, f64)> {
    let above = numbers.iter().copied().enumerate().filter(|(_, number)| *number > 0.0);
    above.reduce(|first, other| if other.1 > first.1 { other } else { first })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hints of endpoints in these zones where nodes have so much CPU.
    fn hints(endpoints: &[u32], cpu_millis: &[u64]) -> Option<Vec<u32>> {
        let zones: Vec<ZoneId> = endpoints.iter().copied().map(ZoneId).collect();
        Some(allocated_zones(&zones, cpu_millis)?.into_iter().map(|zone| zone.0).collect())
    }

    #[test]
    fn zones_get_endpoints_by_their_cpu_or_there_are_no_hints() {
        const EVEN: &[u64] = &[4000, 4000, 4000];
        type Case = (&'static [u32], &'static [u64], Option<&'static [u32]>);
        let cases: &[Case] = &[
            // Enough everywhere: each keeps its own.
            (&[0, 1, 2], EVEN, Some(&[0, 1, 2])),
            (&[0, 0, 1, 1, 2, 2], EVEN, Some(&[0, 0, 1, 1, 2, 2])),
            // Fewer endpoints than zones.
            (&[0, 1], EVEN, None),
            // Ready nodes in one zone only.
            (&[0, 0, 1], &[4000, 0, 0], None),
            // A zone with four of six gives one to each of the others.
            (&[0, 0, 0, 0, 1, 2], EVEN, Some(&[1, 2, 0, 0, 1, 2])),
            // 5 endpoints, 1.67 each, at least 2: more than there are.
            (&[0, 0, 1, 1, 2], EVEN, None),
            // A zone without ready nodes is not counted, and its endpoint keeps its hint.
            (&[0, 0, 1, 1, 2], &[4000, 4000, 0], None),
            (&[0, 0, 0, 1, 1, 2], &[4000, 4000, 0], Some(&[0, 0, 0, 1, 1, 2])),
            // Ten, of which the first of five in one zone goes to the zone that lacks most.
            (
                &[0, 1, 2, 2, 0, 0, 0, 1, 2, 0],
                &[3500, 3500, 3000],
                Some(&[1, 1, 2, 2, 0, 0, 0, 1, 2, 0]),
            ),
            (&[0, 1], &[4500, 5500], Some(&[0, 1])),
            // Twice the CPU, twice the endpoints: 4 desired, 2 there.
            (&[0, 0, 1, 1, 2, 2, 2, 2], &[8000, 4000, 4000], Some(&[0, 0, 1, 1, 0, 0, 2, 2])),
        ];
        for (endpoints, cpu, wanted) in cases {
            assert_eq!(hints(endpoints, cpu).as_deref(), *wanted, "{endpoints:?} {cpu:?}");
        }
    }

    /// Desired and present endpoints by zone, with what upstream's own tests expect of them.
    #[test]
    fn zones_give_and_receive_as_upstream_expects() {
        type Case = ([f64; 3], [u32; 3], [u32; 3], [u32; 3]);
        let cases: [Case; 5] = [
            ([1.2, 1.1, 1.0], [1, 1, 1], [0, 0, 0], [0, 0, 0]),
            // Half an endpoint stays rather than to go.
            ([5.1, 5.1, 5.8], [16, 0, 0], [10, 0, 0], [0, 5, 5]),
            ([5.0, 5.6, 5.4], [16, 0, 0], [11, 0, 0], [0, 6, 5]),
            ([5.0, 5.6, 5.4], [0, 8, 8], [0, 2, 3], [5, 0, 0]),
            ([5.0, 5.0, 5.0], [6, 6, 6], [0, 0, 0], [0, 0, 0]),
        ];
        for (desired, counts, gives, receives) in cases {
            let found = giving_and_receiving(&desired.map(Some), &counts);
            assert_eq!(found, (gives.to_vec(), receives.to_vec()), "{desired:?} {counts:?}");
        }
    }
}
