//! Figures of requests that are counted by themselves: those of tenants, of clients who have a zone
//! nearest, and those that endpoints in a zone got.

use std::collections::BTreeSet;

use model_api::load::ClientGroup;
use model_api::{Blueprint, ServiceId};
use report_data::{Metric, Unit, metric_name};
use sim_check::{ClientMeasures, QUANTILES_PPM, RunMeasures, whole_requests};

/// Names of the latencies, in the order of [`QUANTILES_PPM`].
const LATENCIES: [&str; 3] = ["latencyP50", "latencyP95", "latencyP99"];

/// Figures of every run for every such group of clients, as `shop/web [tenant: name]`.
pub(crate) fn metrics(blueprint: &Blueprint, measures: &[RunMeasures]) -> Vec<Metric> {
    let groups: BTreeSet<&(ServiceId, ClientGroup)> =
        measures.iter().flat_map(|run| run.clients.keys()).collect();
    let mut metrics: Vec<Metric> =
        groups.iter().flat_map(|group| of_group(blueprint, measures, group)).collect();
    let is_served =
        |group: &&&(ServiceId, ClientGroup)| matches!(group.1, ClientGroup::ServedIn(_));
    let divided: BTreeSet<ServiceId> = groups.iter().filter(is_served).map(|it| it.0).collect();
    metrics.extend(divided.into_iter().map(|service| crossing(blueprint, measures, service)));
    metrics
}

/// The share of the requests to a Service that came from another zone than that of the endpoint.
fn crossing(blueprint: &Blueprint, measures: &[RunMeasures], service: ServiceId) -> Metric {
    let of_run = |run: &RunMeasures| {
        let is_its = |(id, group): &&(ServiceId, ClientGroup)| {
            *id == service && matches!(group, ClientGroup::ServedIn(_))
        };
        let zones = run.clients.keys().filter(is_its).map(|key| &run.clients[key]);
        let sums = zones
            .fold((0, 0), |sums, zone| (sums.0 + zone.crossing, sums.1 + zone.requests.offered));
        share_ppm(sums)
    };
    Metric {
        name: metric_name::CROSS_ZONE.to_owned(),
        subject: blueprint.service_name(service),
        unit: Unit::PartsPerMillion,
        values: measures.iter().map(of_run).collect(),
    }
}

/// Of a million of a whole, how many are of a part.
fn share_ppm((part, whole): (u128, u128)) -> Option<i64> {
    i64::try_from((part * 1_000_000 + whole / 2).checked_div(whole)?).ok()
}

fn of_group(
    blueprint: &Blueprint,
    measures: &[RunMeasures],
    group: &(ServiceId, ClientGroup),
) -> Vec<Metric> {
    let subject = match &group.1 {
        ClientGroup::Tenant(name) => format!("tenant: {name}"),
        ClientGroup::Zone(zone) => format!("zone: {}", blueprint.zones[zone.index()].name),
        ClientGroup::ServedIn(zone) => {
            format!("served_in: {}", blueprint.zones[zone.index()].name)
        }
    };
    let subject = format!("{} [{subject}]", blueprint.service_name(group.0));
    let metric = |name: &str, unit, value: &dyn Fn(&ClientMeasures) -> Option<i64>| Metric {
        name: name.to_owned(),
        subject: subject.clone(),
        unit,
        values: measures.iter().map(|run| run.clients.get(group).and_then(value)).collect(),
    };
    let count = |requests: u64| i64::try_from(requests).ok();
    let mut metrics = vec![
        metric(metric_name::AVAILABILITY, Unit::PartsPerMillion, &|seen| {
            seen.requests.availability_ppm().map(i64::from)
        }),
        metric(metric_name::LOST_REQUESTS, Unit::Count, &|seen| {
            count(seen.requests.lost_requests())
        }),
    ];
    let of_group = || measures.iter().filter_map(|run| run.clients.get(group));
    if of_group().any(|seen| seen.requests.limited > 0) {
        metrics.push(metric(metric_name::LIMITED_REQUESTS, Unit::Count, &|seen| {
            count(seen.requests.limited_requests())
        }));
    }
    let reasons: BTreeSet<&str> =
        of_group().flat_map(|seen| seen.lost.keys().map(|reason| reason.name())).collect();
    for name in reasons {
        metrics.push(metric(&format!("lostRequests.{name}"), Unit::Count, &|seen| {
            count(whole_requests(lost_for(name, seen)))
        }));
    }
    if matches!(group.1, ClientGroup::ServedIn(_)) {
        metrics.push(metric(metric_name::CROSS_ZONE, Unit::PartsPerMillion, &|seen| {
            share_ppm((seen.crossing, seen.requests.offered))
        }));
    }
    for (name, ppm) in LATENCIES.into_iter().zip(QUANTILES_PPM) {
        metrics.push(metric(name, Unit::Nanoseconds, &|seen| {
            seen.latencies.get(&ppm).copied().flatten().and_then(|it| count(it.as_nanos()))
        }));
    }
    metrics
}

/// What was lost for reasons of this name.
fn lost_for(name: &str, seen: &ClientMeasures) -> u128 {
    seen.lost.iter().filter(|(reason, _)| reason.name() == name).map(|(_, amount)| amount).sum()
}
