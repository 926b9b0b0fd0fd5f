//! What groups of clients met: tenants, and those who have a zone nearest.

use std::collections::BTreeMap;

use model_api::load::ClientGroup;
use model_api::observation::{FlowSegment, LossReason};
use model_api::{Blueprint, LoadId, ServiceId};
use sim_kernel::{SimSpan, SimTime};

use crate::latency;
use crate::measures::ServiceMeasures;

/// Quantiles that are told of each group, in parts per million.
pub const QUANTILES_PPM: [u32; 3] = [500_000, 950_000, 990_000];

/// The groups that there are, and in which of them each load counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    all: Vec<(ServiceId, ClientGroup)>,
    by_load: Vec<Vec<usize>>,
    /// Quantiles of latency that are asked for, besides those that are told anyway.
    quantiles: Vec<((ServiceId, ClientGroup), u32)>,
}

impl Groups {
    pub(crate) fn of(blueprint: &Blueprint) -> Self {
        let mut groups = Self::default();
        for load in &blueprint.loads {
            let its = load.clients.groups().map(|group| groups.number((load.service, group)));
            let its = its.collect();
            groups.by_load.push(its);
        }
        groups
    }

    fn number(&mut self, group: (ServiceId, ClientGroup)) -> usize {
        self.all.iter().position(|other| *other == group).unwrap_or_else(|| {
            self.all.push(group);
            self.all.len() - 1
        })
    }

    /// Asks for a quantile of the latency of a group.
    pub(crate) fn ask(&mut self, service: ServiceId, group: &ClientGroup, quantile_ppm: u32) {
        self.quantiles.push(((service, group.clone()), quantile_ppm));
    }
}

/// Folds what is told of the loads whose clients are counted.
#[derive(Clone, Debug)]
pub(crate) struct ClientWatch<'a> {
    groups: &'a Groups,
    seen: Vec<Seen>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    requests: ServiceMeasures,
    lost: BTreeMap<LossReason, u128>,
    segments: Vec<(FlowSegment, SimTime)>,
    /// Where every latency is known: how many answers took just so long.
    answered: BTreeMap<u64, u64>,
}

impl<'a> ClientWatch<'a> {
    pub(crate) fn new(groups: &'a Groups) -> Self {
        Self { groups, seen: vec![Seen::default(); groups.all.len()] }
    }

    pub(crate) fn fold_flow(&mut self, load: LoadId, segment: &FlowSegment) {
        for &group in &self.groups.by_load[load.index()] {
            let Seen { requests, lost, segments, .. } = &mut self.seen[group];
            let before = requests.lost();
            requests.fold(segment, segment.until);
            let more = requests.lost() - before;
            if more > 0 {
                *lost.entry(segment.loss).or_default() += more;
            }
            segments.push((*segment, segment.until));
        }
    }

    pub(crate) fn fold_answered(&mut self, load: LoadId, within_ns: u64, count: u64) {
        for &group in &self.groups.by_load[load.index()] {
            *self.seen[group].answered.entry(within_ns).or_default() += count;
        }
    }

    pub(crate) fn finish(self) -> BTreeMap<(ServiceId, ClientGroup), ClientMeasures> {
        let groups = self.groups.all.iter().zip(self.seen);
        let measured = groups.map(|(group, seen)| {
            let asked = self.groups.quantiles.iter().filter(|(of, _)| of == group);
            let quantiles = QUANTILES_PPM.into_iter().chain(asked.map(|(_, ppm)| *ppm));
            let answered: Vec<(u64, u64)> = seen.answered.into_iter().collect();
            let latency = |ppm| {
                latency::quantile_of_counts(&answered, ppm)
                    .or_else(|| latency::quantile(&seen.segments, ppm))
            };
            let latencies = quantiles.map(|ppm| (ppm, latency(ppm))).collect();
            let measures = ClientMeasures { requests: seen.requests, lost: seen.lost, latencies };
            (group.clone(), measures)
        });
        measured.collect()
    }
}

/// What a group of clients met in a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientMeasures {
    /// Their requests; outages are told of whole Services only.
    pub requests: ServiceMeasures,
    /// Requests that were lost, by what most were lost for in each stretch of time; in the unit of
    /// [`ServiceMeasures::offered`].
    pub lost: BTreeMap<LossReason, u128>,
    /// By quantile in parts per million: the time within which so many were answered, of those that
    /// were; `None` when none was.
    pub latencies: BTreeMap<u32, Option<SimSpan>>,
}

#[cfg(test)]
mod tests {
    use model_api::ZoneId;
    use model_api::load::{Clients, Load};

    use super::*;
    use crate::fixture::segment;

    #[test]
    fn a_load_counts_for_its_tenant_and_for_its_zone() {
        let load = |tenant: Option<&str>, zone: Option<u32>| Load {
            service: ServiceId(0),
            via: None,
            clients: Clients { tenant: tenant.map(str::to_owned), zone: zone.map(ZoneId) },
            client: model_api::path::CallPolicy::default(),
            users: None,
            points: Vec::new(),
            origin: model_api::Origin::default(),
        };
        let loads = vec![
            load(None, None),
            load(Some("a"), Some(0)),
            load(Some("a"), Some(1)),
            load(None, Some(1)),
        ];
        let mut groups = Groups::of(&Blueprint { loads, ..Blueprint::default() });
        groups.ask(ServiceId(0), &ClientGroup::Zone(ZoneId(1)), 999_000);
        let mut watch = ClientWatch::new(&groups);
        // (load, requests per second, of these answered), each for ten seconds.
        for (load, asked, served) in [(1, 10, 10), (2, 30, 20), (3, 40, 40)] {
            let stretch = (SimTime::ZERO, SimTime::from_secs(10));
            let rates = |rps: u64| [rps * 1000; 2];
            watch.fold_flow(LoadId(load), &segment(stretch, rates(asked), rates(served)));
        }
        watch.fold_answered(LoadId(2), 1_000, 3);
        watch.fold_answered(LoadId(3), 1_000, 5);
        watch.fold_answered(LoadId(3), 9_000, 2);
        let seen = watch.finish();
        let of = |group| &seen[&(ServiceId(0), group)];
        let ppm = |group| of(group).requests.availability_ppm();
        assert_eq!(ppm(ClientGroup::Tenant("a".to_owned())), Some(750_000));
        assert_eq!(ppm(ClientGroup::Zone(ZoneId(0))), Some(1_000_000));
        let zone = of(ClientGroup::Zone(ZoneId(1)));
        assert_eq!(zone.requests.lost_requests(), 100);
        assert_eq!(zone.lost.values().sum::<u128>(), zone.requests.lost());
        let nanos = |ppm| zone.latencies[&ppm].map(|it| it.as_nanos());
        assert_eq!((nanos(500_000), nanos(999_000)), (Some(1_000), Some(9_000)));
    }
}
