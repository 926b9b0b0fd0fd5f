//! Members of the control plane as the data of a report.

use std::collections::BTreeSet;

use model_api::Blueprint;
use model_api::control_plane::MemberPart;
use report_data::{Metric, Unit, metric_name};
use sim_check::{MemberMeasures, RunMeasures};

/// What happened to each API server and member of etcd in each run; nothing of those to which nothing did in
/// any.
pub(crate) fn metrics(blueprint: &Blueprint, measures: &[RunMeasures]) -> Vec<Metric> {
    let touched: BTreeSet<(u32, MemberPart)> =
        measures.iter().flat_map(|run| run.members.keys().copied()).collect();
    let mut metrics = Vec::new();
    for (member, part) in touched {
        let subject = name(blueprint, member, part);
        let mut push = |name: &str, unit, value: &dyn Fn(&MemberMeasures) -> i64| {
            let of_run = |run: &RunMeasures| {
                value(&run.members.get(&(member, part)).copied().unwrap_or_default())
            };
            metrics.push(Metric {
                name: name.to_owned(),
                subject: subject.clone(),
                unit,
                values: measures.iter().map(|run| Some(of_run(run))).collect(),
            });
        };
        push(metric_name::MEMBER_DOWN, Unit::Nanoseconds, &|it| {
            i64::try_from(it.down.as_nanos()).unwrap_or(i64::MAX)
        });
        push(metric_name::MEMBER_DOWN_COUNT, Unit::Count, &|it| it.down_count.into());
        match part {
            MemberPart::Etcd => {
                push(metric_name::MEMBER_ELECTED, Unit::Count, &|it| it.elected_count.into());
            }
            MemberPart::ApiServer => {
                push(metric_name::MEMBER_DIALED_IN_VAIN, Unit::Count, &|it| {
                    it.dialed_in_vain_count.into()
                });
            }
        }
    }
    metrics
}

/// What a process of a member is called: its zone, and its number there where there are several.
fn name(blueprint: &Blueprint, member: u32, part: MemberPart) -> String {
    let control_plane = &blueprint.control_plane;
    let member = member as usize;
    let zone = control_plane.zone_of(member);
    let has_part = |it: usize| match part {
        MemberPart::Etcd => control_plane.has_etcd(it),
        MemberPart::ApiServer => control_plane.has_server(it),
    };
    let zones = control_plane.zones().enumerate();
    let here: Vec<usize> =
        zones.filter(|(it, of)| has_part(*it) && *of == zone).map(|(it, _)| it).collect();
    let what = match part {
        MemberPart::Etcd => "etcd",
        MemberPart::ApiServer => "kube-apiserver",
    };
    let zone = &blueprint.zones[zone.index()].name;
    match here.iter().position(|it| *it == member).filter(|_| here.len() > 1) {
        Some(nth) => format!("{what} in {zone} ({})", nth + 1),
        None => format!("{what} in {zone}"),
    }
}
