//! Which nodes and pods an entry of the schedule is about.

use model_api::NodeId;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic};

use super::resolver::Resolver;
use super::{Nodes, Pods};
use crate::fields::{Fields, count};

/// Most nodes that `count` asks for.
const COUNT_MAX: u32 = 100_000;

impl Resolver<'_> {
    /// `all`, `killed`, `zone=a`, `zone=a,b`, `zone=most:web`, names of nodes, also with `*` for any
    /// letters, `{zone: a, count: 2}`, or a list of such; `count` beside it takes the first of them.
    pub(super) fn nodes(&mut self, fields: &Fields<'_>) -> Option<Nodes> {
        let node = fields.need("nodes", self.diagnostics)?;
        let nodes = self.nodes_at(node)?;
        self.first(nodes, fields.get("count"))
    }

    fn first(&mut self, nodes: Nodes, count_node: Option<&Node>) -> Option<Nodes> {
        let Some(node) = count_node else { return Some(nodes) };
        Some(Nodes::First(Box::new(nodes), count(node, 1..=COUNT_MAX, self.diagnostics)?))
    }

    fn nodes_at(&mut self, node: &Node) -> Option<Nodes> {
        if node.entries().is_some() {
            let fields = Fields::of(node, "`nodes`", &["count", "zone"], self.diagnostics);
            let zone = fields.need("zone", self.diagnostics)?;
            let nodes = self.nodes_of_zone(zone.text().unwrap_or_default(), zone)?;
            return self.first(nodes, fields.get("count"));
        }
        if let Some(items) = node.items() {
            let mut nodes = Vec::new();
            for item in items {
                nodes.extend(self.nodes_named(item.text().unwrap_or_default(), item));
            }
            return Some(Nodes::Listed(nodes));
        }
        let text = node.text().unwrap_or_default();
        match text {
            "all" => return Some(Nodes::All),
            "killed" => return Some(Nodes::Killed),
            _ => {}
        }
        if let Some(workload) = text.strip_prefix("zone=most:") {
            return self.workload_named(workload, node).map(Nodes::MostOf);
        }
        if let Some(zone) = text.strip_prefix("zone=").and_then(|it| self.blueprint.zone_named(it))
        {
            return Some(Nodes::Of(zone));
        }
        let nodes = self.nodes_named(text, node);
        (!nodes.is_empty()).then_some(Nodes::Listed(nodes))
    }

    fn nodes_of_zone(&mut self, name: &str, place: &Node) -> Option<Nodes> {
        let found = self.blueprint.zone_named(name);
        if found.is_none() {
            self.unknown("zone", name, place);
        }
        found.map(Nodes::Of)
    }

    /// Names with commas between them, of nodes, or of zones behind `zone=`.
    pub(super) fn nodes_named(&mut self, text: &str, place: &Node) -> Vec<NodeId> {
        let zones = text.strip_prefix("zone=").or_else(|| text.strip_prefix("zones="));
        let (names, is_zone) = zones.map_or((text, false), |zones| (zones, true));
        let mut found = Vec::new();
        for name in names.split(',').map(|name| name.trim().trim_start_matches("zone=")) {
            let specs = self.blueprint.nodes.iter().enumerate();
            let known = found.len();
            if is_zone {
                let zone = self.blueprint.zone_named(name);
                let of_zone = specs.filter(|(_, spec)| Some(spec.zone) == zone);
                found.extend(of_zone.map(|(idx, _)| NodeId::from_index(idx)));
            } else {
                let named = specs.filter(|(_, spec)| is_named(&spec.node.name, name));
                found.extend(named.map(|(idx, _)| NodeId::from_index(idx)));
            }
            if found.len() == known {
                self.unknown(if is_zone { "zone" } else { "node" }, name, place);
            }
        }
        found
    }

    fn unknown(&mut self, what: &str, name: &str, node: &Node) {
        let message = format!("there is no {what} `{name}`");
        self.diagnostics.push(Diagnostic::new(Code::E0016, node.span, message));
    }

    /// Names of pods: those of bare ones, those of a StatefulSet, that of a workload for all of its, or
    /// `terminating`; or all on `nodes`.
    pub(super) fn pods(&mut self, fields: &Fields<'_>) -> Option<Vec<Pods>> {
        if fields.get("pods").is_none() && fields.get("nodes").is_some() {
            return Some(vec![Pods::On(self.nodes(fields)?)]);
        }
        let node = fields.need("pods", self.diagnostics)?;
        let one = std::slice::from_ref(node);
        let items = node.items().unwrap_or(one);
        let found: Vec<Pods> = items.iter().filter_map(|item| self.pod_named(item)).collect();
        (!found.is_empty()).then_some(found)
    }

    fn pod_named(&mut self, node: &Node) -> Option<Pods> {
        let name = node.text().unwrap_or_default();
        if name == "terminating" {
            return Some(Pods::Terminating);
        }
        if let Some(nth) = self.arrivals.iter().position(|(_, _, known)| known == name) {
            return Some(Pods::Arrived(u32::try_from(nth).expect("a trace has few entries")));
        }
        let of_set = name.rsplit_once('-').and_then(|(set, ordinal)| {
            let mut workloads = self.objects.workloads();
            let found = workloads.find(|(known, kind, ..)| *known == set && *kind == "StatefulSet");
            Some(Pods::Ordinal(found?.2, ordinal.parse().ok()?))
        });
        of_set.or_else(|| self.workload_named(name, node).map(Pods::Of))
    }
}

/// Whether a name is that of a pattern, in which `*` stands for any letters.
fn is_named(name: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return name == pattern };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|from| rest.get(from..).is_some_and(|rest| is_named(rest, tail)))
}

#[cfg(test)]
mod tests {
    use super::is_named;

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, is_it) in
            [("a-1", true), ("a-*", true), ("*", true), ("*-1", true), ("a", false), ("b-*", false)]
        {
            assert_eq!(is_named("a-1", pattern), is_it, "{pattern}");
        }
    }
}
