//! When pods leave lost nodes: silence, taint, toleration, deletion, and what comes after.

use std::collections::BTreeMap;

use model_api::blueprint::{Blueprint, NodeSpec};
use model_api::kube::{TaintEffect, Toleration, Workload, WorkloadKind};
use model_api::{SimSpan, SimTime, ZoneId};
use model_kube::node_lifecycle::{
    DisruptionChange, EvictionRates, MonitorPasses, ZoneCount, ZoneEvictor, zone_key,
};
use model_kube::taint_eviction::{Stay, UNREACHABLE, stay, taint};
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::{Placed, nodes, title, workload_of_pod};
use crate::refusal::{Refusal, one_of};

/// A kubelet renews its lease up to this much later than its period says
/// (component-helpers `apimachinery/lease/controller.go`, leaseRenewJitter: 0.04).
const RENEW_JITTER_PERCENT: u64 = 4;

/// Whose pods, and which nodes fall silent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EvictionQuestion {
    /// A pod or its workload; the only workload when there is none.
    pub pod: Option<String>,
    /// All nodes of this zone.
    pub zone: Option<String>,
    /// These nodes.
    pub nodes: Vec<String>,
}

/// Explains when pods leave.
///
/// # Errors
/// When there is no such pod, zone or node.
pub fn eviction(
    blueprint: &Blueprint,
    program: &Program,
    question: &EvictionQuestion,
) -> Result<DecisionReport, Refusal> {
    let idx = workload_of_pod(blueprint, question.pod.as_deref())?;
    let workload = &blueprint.workloads[idx];
    let lost = lost_nodes(blueprint, question)?;
    let names: Vec<&str> = lost.iter().map(|it| blueprint.nodes[*it].node.name.as_str()).collect();
    let what = match &question.zone {
        Some(zone) => format!("zone {zone}"),
        None => names.join(", "),
    };
    let subject = format!("{} when {what} is lost", title(workload));
    let mut draft = Draft::new(blueprint, program, DecisionKind::Eviction, subject);
    let detection = detection(blueprint);
    let text = format!(
        "the nodes turn Unknown {} to {} after the loss: lease every {}, grace {}, looked at every {}",
        amount::span(detection.0),
        amount::span(detection.1),
        amount::span(blueprint.parameters.lease_renew_period),
        amount::span(blueprint.parameters.node_monitor_grace_period),
        amount::span(blueprint.parameters.node_monitor_period),
    );
    draft.step("silence", text);
    draft.step("endpoints", "at that moment their pods turn unready and leave all Services");
    let taints = taints(&mut draft, &lost);
    let staying = toleration(&mut draft, workload);
    after(&mut draft, workload);
    outcome(&mut draft, idx, &lost, detection, &taints, staying);
    draft.note("all lost nodes are taken to be found in one pass; in fact two or three passes find them, and a small zone may pass through PartialDisruption, in which nothing is tainted");
    let in_lost_zone =
        |zone: &ZoneId| question.zone.as_ref() == Some(&blueprint.zones[zone.index()].name);
    if blueprint.control_plane.member_zones.iter().any(in_lost_zone) {
        // A candidate looks every 2.0 to 4.4 s, and counts from when it first saw the last renewal
        // (client-go, tools/leaderelection/leaderelection.go, JitterFactor 1.2).
        let parameters = &blueprint.parameters;
        let text = format!(
            "members of the control plane are lost too: where the leading controller manager is among \
             them, another takes over after {} to {}, and sees all nodes as if they had just renewed",
            amount::span(parameters.leader_lease_duration - parameters.leader_retry_period),
            amount::span(
                parameters.leader_lease_duration + parameters.leader_retry_period * 44 / 10
            ),
        );
        draft.note(text);
    }
    Ok(draft.finish())
}

fn lost_nodes(blueprint: &Blueprint, question: &EvictionQuestion) -> Result<Vec<usize>, Refusal> {
    let mut lost = Vec::new();
    let there: Vec<(usize, &NodeSpec)> = nodes(blueprint).collect();
    if let Some(zone) = &question.zone {
        let zones: Vec<String> = blueprint.zones.iter().map(|it| it.name.clone()).collect();
        let zone = one_of("zone", Some(zone), &zones)?;
        lost.extend(there.iter().filter(|(_, it)| it.zone.index() == zone).map(|(idx, _)| *idx));
    }
    let names: Vec<String> = there.iter().map(|(_, it)| it.node.name.clone()).collect();
    for node in &question.nodes {
        lost.push(there[one_of("node", Some(node), &names)?].0);
    }
    lost.sort_by_key(|it| &blueprint.nodes[*it].node.name);
    lost.dedup();
    if lost.is_empty() {
        return Err(Refusal::new("nothing is lost").help("name a --zone or a --node"));
    }
    Ok(lost)
}

/// From the loss of a node to the pass that finds it silent: at the earliest and at the latest.
fn detection(blueprint: &Blueprint) -> (SimSpan, SimSpan) {
    let parameters = &blueprint.parameters;
    let renewal = SimTime::from_days(1);
    let passes = MonitorPasses::new(renewal, parameters.node_monitor_period);
    let silent = passes.expiry(renewal, parameters.node_monitor_grace_period) - renewal;
    let oldest = parameters.lease_renew_period * (100 + RENEW_JITTER_PERCENT) / 100;
    let earliest = silent.checked_sub(oldest).unwrap_or(SimSpan::ZERO);
    (earliest, silent + passes.period)
}

/// When each lost node gets its NoExecute taint, from the pass that finds them all; none when all
/// zones are lost.
fn taints(draft: &mut Draft<'_>, lost: &[usize]) -> BTreeMap<usize, SimSpan> {
    let blueprint = draft.blueprint;
    let mut keys: Vec<String> = Vec::new();
    // By node that is there.
    let mut zones = BTreeMap::new();
    for (idx, spec) in nodes(blueprint) {
        let key = zone_key(&spec.node.labels);
        let place = keys.iter().position(|known| *known == key);
        zones.insert(idx, place.unwrap_or(keys.len()));
        if place.is_none() {
            keys.push(key);
        }
    }
    let count = |is_lost: &dyn Fn(&usize) -> bool| {
        let mut counts = vec![ZoneCount::default(); keys.len()];
        for (idx, zone) in &zones {
            if is_lost(idx) {
                counts[*zone].not_ready_count += 1;
            } else {
                counts[*zone].ready_count += 1;
            }
        }
        counts
    };
    let mut evictor = ZoneEvictor::new(EvictionRates::of(&blueprint.parameters), keys.len());
    let found_at = SimTime::from_days(1);
    evictor.handle_disruption(&count(&|_| false), found_at - SimSpan::from_secs(5));
    for (rank, idx) in lost.iter().enumerate() {
        evictor.enqueue(zones[idx], u32::try_from(rank).expect("few nodes"), found_at);
    }
    let change = evictor.handle_disruption(&count(&|idx| lost.contains(idx)), found_at);
    if change == DisruptionChange::Entered {
        draft.step("zones", "every zone is fully disrupted: nothing is tainted NoExecute and nothing evicted until one comes back");
        return BTreeMap::new();
    }
    let mut said: Vec<usize> = lost.iter().map(|idx| zones[idx]).collect();
    said.sort_unstable();
    said.dedup();
    for zone in said {
        let count = count(&|idx| lost.contains(idx))[zone];
        let rate = evictor.rate_milli(zone);
        let pace = match rate {
            0 => "no node is tainted NoExecute".to_owned(),
            rate => format!("one node in {}", amount::span(SimSpan::from_secs(1000) / rate)),
        };
        let name = keys[zone].replace(":\0:", "/");
        let text = format!(
            "{} of {} nodes lost: {:?}; {pace}",
            count.not_ready_count,
            count.size(),
            evictor.state(zone)
        );
        draft.step(format!("zone {name}"), text);
    }
    let mut tainted = BTreeMap::new();
    let mut now = found_at;
    while let Some(due) = evictor.next_due(now) {
        now = due;
        while let Some(rank) = evictor.take_due(now) {
            tainted.insert(lost[rank as usize], now - found_at);
        }
    }
    tainted
}

fn toleration(draft: &mut Draft<'_>, workload: &Workload) -> Stay {
    let tolerations = &workload.template.spec.tolerations;
    let unreachable = taint(UNREACHABLE, TaintEffect::NoExecute);
    let staying = stay(tolerations, [&unreachable]);
    let text = match staying {
        Stay::Evicted => "the taint is not tolerated: deleted at once".to_owned(),
        Stay::For(span) => format!("tolerated for {}, then deleted", amount::span(span)),
        Stay::ForEver => "tolerated for ever: never deleted".to_owned(),
    };
    let field = workload.pod_path("tolerations");
    let is_written = workload.origin.fields.contains_key(&field);
    let first = tolerations.iter().position(|it: &Toleration| it.tolerates(&unreachable));
    match first {
        Some(place)
            if is_written && workload.origin.fields.contains_key(&format!("{field}[{place}]")) =>
        {
            draft.step_at("toleration", text, &workload.origin, &format!("{field}[{place}]"));
        }
        _ if matches!(workload.kind, WorkloadKind::DaemonSet { .. }) => {
            draft.step("toleration", format!("{text} (added by the DaemonSet controller)"));
        }
        _ => draft.step(
            "toleration",
            format!("{text} (added by admission, because the manifest has none)"),
        ),
    }
    staying
}

/// Who replaces a deleted pod, and when.
fn after(draft: &mut Draft<'_>, workload: &Workload) {
    let text = match workload.kind {
        WorkloadKind::Deployment { .. } | WorkloadKind::ReplicaSet => {
            "a replacement is made as soon as the pod is deleted, though its object stays Terminating while the node is silent"
        }
        WorkloadKind::StatefulSet { .. } => {
            "no replacement: the name is taken until the node returns, its object is deleted (then 40 to 60 s), or it gets the out-of-service taint (then up to 20 s)"
        }
        WorkloadKind::DaemonSet { .. } => "nothing to replace: the pod belongs to its node",
        WorkloadKind::Job(_) => "the Job makes another one, with back-off",
        WorkloadKind::Pod => "a bare pod is replaced by nobody",
        WorkloadKind::DatabaseInstances => {
            "the operator fails over by its own rules; the instance comes back with its node or volume"
        }
    };
    draft.step_at("replacement", text, &workload.origin, "kind");
}

fn outcome(
    draft: &mut Draft<'_>,
    workload_idx: usize,
    lost: &[usize],
    detection: (SimSpan, SimSpan),
    tainted: &BTreeMap<usize, SimSpan>,
    staying: Stay,
) {
    let placed = Placed::filled(draft.blueprint, None);
    let stays = match staying {
        Stay::Evicted => Some(SimSpan::ZERO),
        Stay::For(span) => Some(span),
        Stay::ForEver => None,
    };
    let (mut rows, mut times) = (Vec::new(), Vec::new());
    let mut pod_count = 0_usize;
    for idx in lost {
        let node = model_api::NodeId::from_index(*idx);
        let on_it = placed.cache.pods_on(node).iter();
        let own = on_it.filter(|pod| placed.pods[pod.index()] == workload_idx).count();
        pod_count += own;
        let range = |since: SimSpan| (detection.0 + since, detection.1 + since);
        let tainted_at = tainted.get(idx).copied().map(range);
        let evicted_at = tainted_at.zip(stays).map(|((a, b), stays)| (a + stays, b + stays));
        if own > 0 {
            times.extend(evicted_at);
        }
        let text = |range: Option<(SimSpan, SimSpan)>| {
            range.map_or("never".to_owned(), |(a, b)| {
                format!("{} to {}", amount::span(a), amount::span(b))
            })
        };
        rows.push(row([
            ("node", placed.node_name(node).into()),
            ("pods", own.into()),
            ("tainted", text(tainted_at).into()),
            ("deleted", text(evicted_at).into()),
        ]));
    }
    let columns = [
        ("node", "node"),
        ("pods", "its pods"),
        ("tainted", "NoExecute after"),
        ("deleted", "pods deleted after"),
    ];
    draft.table("nodes", "lost nodes, in the order of their taints", &columns, rows);
    draft.figure("pods", pod_count);
    let earliest = times.iter().map(|(earliest, _)| *earliest).min();
    let latest = times.iter().map(|(_, latest)| *latest).max();
    let pods = amount::count(pod_count as i64, "pod");
    draft.answer(match (pod_count, earliest.zip(latest)) {
        (0, _) => "none of its pods is on the lost nodes".to_owned(),
        (_, Some((earliest, latest))) => format!(
            "{pods} of it on lost nodes: deleted {} to {} after the loss",
            amount::span(earliest),
            amount::span(latest)
        ),
        (_, None) => format!("{pods} of it on lost nodes: never deleted while they are silent"),
    });
    if let Some((earliest, latest)) = earliest.zip(latest) {
        draft.figure("deletedAfterMillisEarliest", earliest.as_millis() as i64);
        draft.figure("deletedAfterMillisLatest", latest.as_millis() as i64);
    }
}
