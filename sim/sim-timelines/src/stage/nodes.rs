//! Node groups of a trace.

use std::collections::BTreeMap;

use model_api::blueprint::{NodeSpec, Zone};
use model_api::kube::{Labels, Node as NodeObject, ResourceList};
use model_api::machines::{BootTime, NodeGroup};
use model_api::{Blueprint, NodeId, SimSpan, ZoneId};
use scenario_format::manifest::live;
use scenario_format::quantity::Quantity;
use scenario_format::yaml::{Entry, Node};
use scenario_format::{Code, Diagnostic};

use crate::fields::{Fields, number, refuse};

pub(crate) const KEYS: &[&str] = &[
    "allocatable",
    "cpu",
    "ephemeral-storage",
    "extended",
    "labels",
    "memory",
    "nodes",
    "perZone",
    "pods",
    "resources",
    "taints",
    "unschedulable",
    "zones",
];

/// Most nodes of a group in one zone.
const PER_ZONE_MAX: f64 = 5000.0;

/// How long a node that is added needs until its kubelet has registered it.
const BOOT: SimSpan = SimSpan::from_millis(1);

/// Adds the nodes of all groups: `a-0`, `a-1` and so on in each zone, group after group, behind those
/// that are there.
pub(super) fn add(groups: &[Node], blueprint: &mut Blueprint, diagnostics: &mut Vec<Diagnostic>) {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for spec in &blueprint.nodes {
        *counts.entry(blueprint.zones[spec.zone.index()].name.clone()).or_default() += 1;
    }
    for group in groups {
        let extended = group.entries().unwrap_or_default().iter().filter(|it| is_extended(&it.key));
        let extended: Vec<&Entry> = extended.collect();
        let fields = Fields::but(group, "a group of nodes", KEYS, is_extended, diagnostics);
        let allocatable = allocatable(&fields, &extended, diagnostics);
        let labels: Labels = fields
            .get("labels")
            .and_then(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.text().unwrap_or_default().to_owned()))
            .collect();
        let taints = fields.items("taints", diagnostics).iter();
        let taints: Vec<_> = taints.filter_map(|node| live::taint(node, diagnostics)).collect();
        let is_unschedulable = fields.bool("unschedulable", false, diagnostics);
        for (zone, per_zone) in zones(&fields, diagnostics) {
            if per_zone > PER_ZONE_MAX {
                let message = format!("more than {PER_ZONE_MAX} nodes of a zone");
                diagnostics.push(Diagnostic::new(Code::E0021, group.span, message));
                continue;
            }
            let zone_id = zone_of(zone, blueprint);
            let count = counts.entry(zone.to_owned()).or_default();
            let mut left = per_zone;
            while left >= 1.0 {
                left -= 1.0;
                let name = format!("{zone}-{count}");
                *count += 1;
                let mut labels = labels.clone();
                let well_known = [
                    ("topology.kubernetes.io/zone", zone),
                    ("topology.kubernetes.io/region", "region"),
                    ("kubernetes.io/hostname", name.as_str()),
                ];
                labels.extend(well_known.map(|(key, value)| (key.to_owned(), value.to_owned())));
                blueprint.nodes.push(NodeSpec {
                    node: NodeObject {
                        name,
                        labels,
                        taints: taints.clone(),
                        allocatable: allocatable.clone(),
                        unschedulable: is_unschedulable,
                        ..NodeObject::default()
                    },
                    zone: zone_id,
                    is_control_plane: false,
                    ..NodeSpec::default()
                });
            }
        }
    }
}

/// Places for nodes that come during the scenario, one group of machines for each zone.
pub(super) fn add_later(
    groups: &[Node],
    blueprint: &mut Blueprint,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<NodeId> {
    let first = blueprint.nodes.len();
    add(groups, blueprint, diagnostics);
    let nodes: Vec<NodeId> = (first..blueprint.nodes.len()).map(NodeId::from_index).collect();
    for zone in (0..blueprint.zones.len()).map(ZoneId::from_index) {
        let of_zone = nodes.iter().filter(|it| blueprint.nodes[it.index()].zone == zone);
        let of_zone: Vec<NodeId> = of_zone.copied().collect();
        if !of_zone.is_empty() {
            // The recorder creates Nodes whose kubelets run.
            let boot = BootTime { median: BOOT, p95: BOOT };
            let name = format!("added-{}", blueprint.node_groups.len());
            let group = NodeGroup { name, zone, nodes: of_zone, boot, ..NodeGroup::default() };
            blueprint.node_groups.push(group);
        }
    }
    nodes
}

/// Zones of a group and how many nodes each has: `perZone` is a number for all of `zones`, or a
/// mapping with one for each.
fn zones<'a>(fields: &Fields<'a>, diagnostics: &mut Vec<Diagnostic>) -> Vec<(&'a str, f64)> {
    if let Some(entries) = fields.get("perZone").and_then(Node::entries) {
        let count = |entry: &'a Entry| {
            let count = number(&entry.value);
            if count.is_none() {
                refuse(&entry.value, "a number of nodes", diagnostics);
            }
            Some((entry.key.as_str(), count?))
        };
        return entries.iter().filter_map(count).collect();
    }
    let per_zone = fields.number("perZone", 0.0, diagnostics);
    let mut zones = Vec::new();
    for zone in fields.items("zones", diagnostics) {
        match zone.text() {
            Some(name) => zones.push((name, per_zone)),
            None => refuse(zone, "the name of a zone", diagnostics),
        }
    }
    zones
}

fn zone_of(name: &str, blueprint: &mut Blueprint) -> ZoneId {
    blueprint.zone_named(name).unwrap_or_else(|| {
        blueprint.zones.push(Zone { name: name.to_owned(), ..Zone::default() });
        ZoneId::from_index(blueprint.zones.len() - 1)
    })
}

/// Extended resources have the domain of who advertises them before their name.
fn is_extended(key: &str) -> bool {
    key.contains('/')
}

fn allocatable(
    fields: &Fields<'_>,
    extended: &[&Entry],
    diagnostics: &mut Vec<Diagnostic>,
) -> ResourceList {
    let mut amounts = BTreeMap::new();
    let direct = [ResourceList::CPU, "memory", "pods", "ephemeral-storage"];
    let direct = direct.into_iter().filter_map(|name| Some((name, fields.get(name)?)));
    let listed =
        ["allocatable", "extended", "resources"].into_iter().filter_map(|it| fields.get(it));
    let listed = listed.flat_map(|node| node.entries().unwrap_or_default());
    let listed = listed.chain(extended.iter().copied());
    let listed = listed.map(|entry| (entry.key.as_str(), &entry.value));
    for (name, node) in direct.chain(listed) {
        match Quantity::parse(node.text().unwrap_or_default()) {
            Ok(amount) if name == ResourceList::CPU => {
                amounts.insert(name.to_owned(), amount.ceil_millis());
            }
            Ok(amount) => {
                amounts.insert(name.to_owned(), amount.ceil_millis() / 1000);
            }
            Err(error) => {
                let message = format!("`{name}` {error}");
                diagnostics.push(Diagnostic::new(Code::E0014, node.span, message));
            }
        }
    }
    ResourceList(amounts)
}
