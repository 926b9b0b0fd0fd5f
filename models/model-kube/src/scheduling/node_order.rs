//! The order in which nodes are looked at.

use std::sync::Arc;

use model_api::NodeId;
use model_api::kube::Node;

/// Nodes by zone and, from that, one of each zone in turn
/// (pkg/scheduler/backend/cache/node_tree.go, 1.36).
#[derive(Clone, Debug, Default)]
pub(super) struct NodeOrder {
    /// Zones in the order in which they first appeared; a zone without nodes is forgotten.
    zones: Arc<Vec<(String, Vec<NodeId>)>>,
    list: Arc<Vec<NodeId>>,
}

impl NodeOrder {
    pub(super) fn add(&mut self, id: NodeId, node: &Node) {
        let key = zone_key(node);
        let zones = Arc::make_mut(&mut self.zones);
        match zones.iter_mut().find(|(known, _)| *known == key) {
            Some((_, nodes)) => nodes.push(id),
            None => zones.push((key, vec![id])),
        }
        self.relist();
    }

    pub(super) fn remove(&mut self, id: NodeId) {
        let zones = Arc::make_mut(&mut self.zones);
        for (_, nodes) in zones.iter_mut() {
            nodes.retain(|node| *node != id);
        }
        zones.retain(|(_, nodes)| !nodes.is_empty());
        self.relist();
    }

    fn relist(&mut self) {
        let longest = self.zones.iter().map(|(_, nodes)| nodes.len()).max().unwrap_or(0);
        let turns = 0..longest;
        let zones = &self.zones;
        let list = turns.flat_map(|turn| zones.iter().filter_map(move |(_, it)| it.get(turn)));
        self.list = Arc::new(list.copied().collect());
    }

    /// All nodes in order; cheap to clone.
    pub(super) fn list(&self) -> &Arc<Vec<NodeId>> {
        &self.list
    }
}

/// Region and zone of a node, the older labels first
/// (k8s.io/component-helpers node/topology/helpers.go, GetZoneKey, 1.36).
fn zone_key(node: &Node) -> String {
    let label = |old: &str, new: &str| {
        node.labels.get(old).or_else(|| node.labels.get(new)).cloned().unwrap_or_default()
    };
    let zone = label("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone");
    let region = label("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region");
    format!("{region}:\0:{zone}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model_api::kube::Labels;

    fn order_of(zones: &[&str]) -> NodeOrder {
        let mut order = NodeOrder::default();
        for (idx, zone) in zones.iter().enumerate() {
            let zone = ("topology.kubernetes.io/zone".to_owned(), (*zone).to_owned());
            let node = Node { labels: Labels::from([zone]), ..Node::default() };
            order.add(NodeId::from_index(idx), &node);
        }
        order
    }

    fn ids(order: &NodeOrder) -> Vec<u32> {
        order.list().iter().map(|node| node.0).collect()
    }

    #[test]
    fn zones_take_turns_and_drop_out_when_they_have_no_more() {
        let mut order = order_of(&["a", "a", "a", "b", "c", "c"]);
        assert_eq!(ids(&order), [0, 3, 4, 1, 5, 2]);
        // The only node of its zone goes and comes back: its zone is the last one now.
        order.remove(NodeId(3));
        assert_eq!(ids(&order), [0, 4, 1, 5, 2]);
    }
}
