//! Figures of bare pods that arrive one after the other.

use std::collections::BTreeMap;

use model_api::{Observation, PodId, SimTime};

use super::{Figures, is_there};
use crate::rig::Rig;

pub(super) fn figures(rig: &Rig<'_>, seen: &[(SimTime, Observation)], figures: &mut Figures) {
    let mut bound: BTreeMap<PodId, f64> = BTreeMap::new();
    let mut created: BTreeMap<PodId, f64> = BTreeMap::new();
    for (at, observation) in seen {
        match *observation {
            Observation::PodCreated { pod, .. } => {
                created.insert(pod, rig.stage.secs(*at));
            }
            Observation::PodBound { pod, .. } => {
                bound.insert(pod, rig.stage.secs(*at));
            }
            _ => {}
        }
    }
    for (arrival, pod) in &rig.arrived {
        let name = &rig.stage.arrivals[*arrival as usize].2;
        if let Some(at) = bound.get(pod) {
            figures.number(format!("scheduling.bound.{name}"), *at);
        }
        let is_pending = is_there(rig, *pod) && rig.cluster.pod(*pod).node.is_none();
        figures.number(format!("scheduling.pending.{name}"), f64::from(u8::from(is_pending)));
    }
    rates(&created, &bound, figures);
    classes(rig, figures);
    nodes(rig, figures);
}

fn rates(created: &BTreeMap<PodId, f64>, bound: &BTreeMap<PodId, f64>, figures: &mut Figures) {
    let mut moments: Vec<f64> = bound.values().copied().collect();
    moments.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else { return };
    figures.number("scheduling.firstBound", *first);
    figures.number("scheduling.lastBound", *last);
    if last > first {
        #[expect(clippy::cast_precision_loss, reason = "pods are few")]
        figures.number("scheduling.bindingsPerSecond", moments.len() as f64 / (last - first));
    }
    let waits = bound.iter().filter_map(|(pod, at)| Some((at - created.get(pod)?) * 1000.0));
    let mut waits: Vec<f64> = waits.collect();
    waits.sort_by(f64::total_cmp);
    // Pods that were there from the start were never created.
    let Some(last) = waits.len().checked_sub(1) else { return };
    for (name, share) in [("p50", 50), ("p90", 90), ("max", 100)] {
        let idx = (waits.len() * share / 100).min(last);
        figures.number(format!("scheduling.createToBoundMs.{name}"), waits[idx]);
    }
}

fn classes(rig: &Rig<'_>, figures: &mut Figures) {
    for (class, workload) in &rig.stage.classes {
        let name = format!("scheduling.classes.{class}");
        let all = rig.arrived.iter().map(|(_, pod)| *pod);
        let pods: Vec<PodId> =
            all.filter(|pod| rig.cluster.pod(*pod).workload == *workload).collect();
        let there: Vec<PodId> = pods.iter().copied().filter(|pod| is_there(rig, *pod)).collect();
        let zone = |pod: &PodId| rig.cluster.pod(*pod).zone;
        let pending = there.iter().filter(|pod| zone(pod).is_none()).count();
        figures.count(format!("{name}.pods"), pods.len());
        figures.count(format!("{name}.running"), there.len() - pending);
        figures.count(format!("{name}.pending"), pending);
        figures.count(format!("{name}.preempted"), pods.len() - there.len());
        for (idx, zone_name) in rig.stage.zone_names.iter().enumerate() {
            let here = there.iter().filter(|pod| zone(pod).is_some_and(|it| it.index() == idx));
            figures.count(format!("{name}.zones.{zone_name}"), here.count());
        }
    }
}

fn nodes(rig: &Rig<'_>, figures: &mut Figures) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (_, pod) in &rig.arrived {
        let view = rig.cluster.pod(*pod);
        let Some(node) = view.node.filter(|_| is_there(rig, *pod)) else { continue };
        let class = &rig.stage.blueprint.workloads[view.workload.index()].name;
        let name = format!("scheduling.podsPerNode.{}.{class}", rig.stage.node_name(node));
        *counts.entry(name).or_default() += 1;
    }
    for (name, count) in counts {
        figures.count(name, count);
    }
}
