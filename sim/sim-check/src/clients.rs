//! What groups of requests met: those of tenants, of clients who have a zone nearest, and those that
//! endpoints in a zone got.

use std::collections::{BTreeMap, BTreeSet};

use model_api::load::ClientGroup;
use model_api::observation::{FlowSegment, LossReason};
use model_api::{Blueprint, LoadId, ServiceId, ZoneId};
use sim_kernel::{SimSpan, SimTime};

use crate::dark::Dark;
use crate::latency;
use crate::measures::ServiceMeasures;

/// Quantiles that are told of each group, in parts per million.
pub const QUANTILES_PPM: [u32; 3] = [500_000, 950_000, 990_000];

/// The groups that there are, and in which of them each load counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    all: Vec<(ServiceId, ClientGroup)>,
    by_load: Vec<Vec<usize>>,
    /// By Service whose requests are divided by zone: the group of its first zone.
    by_served: BTreeMap<ServiceId, usize>,
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
        let services = (0..blueprint.services.len()).map(ServiceId::from_index);
        for service in services.filter(|service| blueprint.is_divided(*service)) {
            groups.by_served.insert(service, groups.all.len());
            let zones = (0..blueprint.zones.len()).map(ZoneId::from_index);
            groups.all.extend(zones.map(|zone| (service, ClientGroup::ServedIn(zone))));
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
    /// Requests from another zone, as `offered` of the requests.
    crossing: u128,
    /// Where every latency is known: how many answers took just so long.
    answered: BTreeMap<u64, u64>,
}

impl<'a> ClientWatch<'a> {
    pub(crate) fn new(groups: &'a Groups) -> Self {
        Self { groups, seen: vec![Seen::default(); groups.all.len()] }
    }

    pub(crate) fn fold_flow(&mut self, load: LoadId, segment: &FlowSegment, dark: &Dark) {
        for &group in &self.groups.by_load[load.index()] {
            self.seen[group].fold(segment, dark);
        }
    }

    pub(crate) fn fold_served(
        &mut self,
        zone: ZoneId,
        segment: &FlowSegment,
        crossing_ppm: u32,
        dark: &Dark,
    ) {
        if let Some(first) = self.groups.by_served.get(&segment.service) {
            let seen = &mut self.seen[first + zone.index()];
            let before = seen.requests.offered;
            seen.fold(segment, dark);
            let offered = seen.requests.offered - before;
            seen.crossing += offered * u128::from(crossing_ppm) / 1_000_000;
        }
    }

    pub(crate) fn fold_served_answered(
        &mut self,
        (service, zone): (ServiceId, ZoneId),
        within_ns: u64,
        count: u64,
    ) {
        if let Some(first) = self.groups.by_served.get(&service) {
            let seen = &mut self.seen[first + zone.index()];
            *seen.answered.entry(within_ns).or_default() += count;
        }
    }

    pub(crate) fn fold_answered(&mut self, load: LoadId, within_ns: u64, count: u64) {
        for &group in &self.groups.by_load[load.index()] {
            *self.seen[group].answered.entry(within_ns).or_default() += count;
        }
    }

    pub(crate) fn finish(self) -> BTreeMap<(ServiceId, ClientGroup), ClientMeasures> {
        let served: BTreeSet<ServiceId> = self
            .groups
            .by_served
            .iter()
            .filter(|(_, first)| self.is_asked(**first))
            .map(|(service, _)| *service)
            .collect();
        let groups = self.groups.all.iter().zip(self.seen);
        // Nobody asks for some Services.
        let groups = groups.filter(|((service, group), _)| {
            !matches!(group, ClientGroup::ServedIn(_)) || served.contains(service)
        });
        let measured = groups.map(|(group, seen)| {
            let asked = self.groups.quantiles.iter().filter(|(of, _)| of == group);
            let quantiles = QUANTILES_PPM.into_iter().chain(asked.map(|(_, ppm)| *ppm));
            let answered: Vec<(u64, u64)> = seen.answered.into_iter().collect();
            let latency = |ppm| {
                latency::quantile_of_counts(&answered, ppm)
                    .or_else(|| latency::quantile(&seen.segments, ppm))
            };
            let latencies = quantiles.map(|ppm| (ppm, latency(ppm))).collect();
            let Seen { requests, lost, crossing, .. } = seen;
            let measures = ClientMeasures { requests, lost, latencies, crossing };
            (group.clone(), measures)
        });
        measured.collect()
    }
}

impl ClientWatch<'_> {
    /// Whether any zone of the Service got requests whose first zone has this group.
    fn is_asked(&self, first: usize) -> bool {
        let service = self.groups.all[first].0;
        let groups = self.groups.all[first..].iter().zip(&self.seen[first..]);
        let mut its = groups.take_while(|((other, _), _)| *other == service);
        its.any(|(_, seen)| seen.requests.offered > 0)
    }
}

impl Seen {
    fn fold(&mut self, segment: &FlowSegment, dark: &Dark) {
        let before = self.requests.lost();
        self.requests.fold(segment, segment.until);
        self.requests.fold_dark(segment, segment.until, dark);
        let more = self.requests.lost() - before;
        if more > 0 {
            *self.lost.entry(segment.loss).or_default() += more;
        }
        self.segments.push((*segment, segment.until));
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
    /// Of the requests that endpoints in a zone got, those from other zones; in the unit of
    /// [`ServiceMeasures::offered`].
    pub crossing: u128,
}

#[cfg(test)]
mod tests {
    use model_api::blueprint::Zone;
    use model_api::kube::{Service, TrafficDistribution};
    use model_api::load::{Clients, Load};

    use super::*;
    use crate::fixture::segment;

    #[test]
    fn a_load_counts_for_its_tenant_and_for_its_zone() {
        let load = |tenant: Option<&str>, zone: Option<u32>| Load {
            service: ServiceId(0),
            via: None,
            clients: Clients {
                tenant: tenant.map(str::to_owned),
                zone: zone.map(ZoneId),
                ..Clients::default()
            },
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
            let told = segment(stretch, rates(asked), rates(served));
            watch.fold_flow(LoadId(load), &told, &Dark::default());
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

    #[test]
    fn endpoints_of_a_zone_count_what_they_got_and_from_where() {
        let zone = |name: &str| Zone { name: name.to_owned(), ..Zone::default() };
        let hinted = Service {
            traffic_distribution: TrafficDistribution::PreferSameZone,
            ..Service::default()
        };
        let blueprint = Blueprint {
            zones: vec![zone("a"), zone("b")],
            services: vec![Service::default(), hinted.clone(), hinted],
            ..Blueprint::default()
        };
        let mut groups = Groups::of(&blueprint);
        groups.ask(ServiceId(1), &ClientGroup::ServedIn(ZoneId(1)), 999_000);
        let mut watch = ClientWatch::new(&groups);
        let stretch = (SimTime::ZERO, SimTime::from_secs(10));
        // (requests per second, of these answered, and from the other zone), each for ten seconds.
        for (asked, served, crossing_ppm) in [(30, 20, 0), (10, 10, 500_000)] {
            let rates = |rps: u64| [rps * 1000; 2];
            let mut told = segment(stretch, rates(asked), rates(served));
            told.service = ServiceId(1);
            watch.fold_served(ZoneId(1), &told, crossing_ppm, &Dark::default());
        }
        watch.fold_served_answered((ServiceId(1), ZoneId(1)), 7_000, 4);
        let seen = watch.finish();
        let keys: Vec<_> = seen.keys().cloned().collect();
        let zones = [0, 1].map(|zone| (ServiceId(1), ClientGroup::ServedIn(ZoneId(zone))));
        assert_eq!(keys, zones, "a Service that nobody asks has no figures");
        assert_eq!(seen[&zones[0]].requests.availability_ppm(), None);
        let of = &seen[&zones[1]];
        assert_eq!(of.requests.availability_ppm(), Some(750_000));
        assert_eq!(of.crossing * 8, of.requests.offered);
        assert_eq!(of.latencies[&999_000].map(SimSpan::as_nanos), Some(7_000));
    }
}
