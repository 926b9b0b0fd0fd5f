//! Topology keys and their values as small numbers, and the value of each key on each node.
//!
//! Source: `pkg/scheduler/framework/plugins/podtopologyspread/common.go` (a node without a key has no
//! domain of it), Kubernetes 1.36.

use std::collections::BTreeMap;

use model_api::kube::Labels;

/// A value of a topology key; [`Topology::NO_VALUE`] on a node that lacks the key.
pub(super) type ValueIdx = u32;

/// The keys and values a cache knows. A name keeps its number for good.
#[derive(Clone, Debug)]
pub(super) struct Topology {
    /// By key; the first is not a label but the node itself.
    keys: Vec<String>,
    /// By key, the values seen.
    values: Vec<BTreeMap<String, ValueIdx>>,
    /// By key, by node.
    of_node: Vec<Vec<ValueIdx>>,
}

impl Topology {
    /// The value of a node that lacks the key.
    pub(super) const NO_VALUE: ValueIdx = ValueIdx::MAX;
    /// The key under which every node is a domain of its own.
    pub(super) const NODE: usize = 0;

    pub(super) fn new() -> Self {
        Self { keys: vec![String::new()], values: vec![BTreeMap::new()], of_node: vec![Vec::new()] }
    }

    /// Number of a topology key; `labels` gives the labels of each node slot.
    pub(super) fn key<'a>(
        &mut self,
        name: &str,
        labels: impl Iterator<Item = Option<&'a Labels>>,
    ) -> usize {
        // The empty key is a label name too, if an invalid one: it is not the node itself.
        if let Some(idx) = self.keys.iter().skip(1).position(|known| known == name) {
            return idx + 1;
        }
        self.keys.push(name.to_owned());
        self.values.push(BTreeMap::new());
        self.of_node.push(Vec::new());
        let key_idx = self.keys.len() - 1;
        for labels in labels {
            let value = labels.map_or(Self::NO_VALUE, |labels| self.value(key_idx, labels));
            self.of_node[key_idx].push(value);
        }
        key_idx
    }

    /// Notes the labels of a node slot.
    pub(super) fn set_node(&mut self, node_idx: usize, labels: &Labels) {
        for key_idx in 0..self.keys.len() {
            let value = if key_idx == Self::NODE {
                ValueIdx::try_from(node_idx).expect("arenas hold fewer than 2^32 entries")
            } else {
                self.value(key_idx, labels)
            };
            let values = &mut self.of_node[key_idx];
            if values.len() <= node_idx {
                values.resize(node_idx + 1, Self::NO_VALUE);
            }
            values[node_idx] = value;
        }
    }

    fn value(&mut self, key_idx: usize, labels: &Labels) -> ValueIdx {
        let Some(value) = labels.get(&self.keys[key_idx]) else { return Self::NO_VALUE };
        let values = &mut self.values[key_idx];
        let next = ValueIdx::try_from(values.len()).expect("fewer than 2^32 values");
        *values.entry(value.clone()).or_insert(next)
    }

    /// The value of a key on a node.
    pub(super) fn of(&self, key_idx: usize, node_idx: usize) -> ValueIdx {
        self.of_node[key_idx][node_idx]
    }

    /// How many values of a key were seen.
    pub(super) fn value_count(&self, key_idx: usize) -> usize {
        if key_idx == Self::NODE { self.of_node[key_idx].len() } else { self.values[key_idx].len() }
    }

    /// The values of a key with their numbers, in alphabetical order.
    pub(super) fn values(&self, key_idx: usize) -> &BTreeMap<String, ValueIdx> {
        &self.values[key_idx]
    }

    /// The name of a key.
    pub(super) fn name(&self, key_idx: usize) -> &str {
        &self.keys[key_idx]
    }
}
