//! What all pods request together: W0262.

use std::collections::BTreeMap;

use model_api::kube::{Workload, WorkloadKind};

use super::Lint;
use super::placement::{amount_text, holds, may_stand, request_of};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::Object;

/// What is said of the workloads that request most, at the most.
const NAMED: usize = 3;

impl Lint<'_> {
    /// W0262: whether all nodes that there can be have what all pods request that are always there.
    /// Only sums are compared, so that what does not even fit in one piece is found, and nothing that
    /// fits is. Pods that no node can hold take no part (W0107).
    pub(super) fn capacity(&mut self) {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        let mut shares: Vec<(&Workload, &Object, BTreeMap<String, i64>)> = Vec::new();
        for (workload, object) in self.workloads() {
            let count = self.pod_count(workload);
            let mut share = request_of(&workload.template.spec);
            if !self.blueprint.nodes.iter().any(|node| holds(node, &share)) {
                continue;
            }
            share.values_mut().for_each(|amount| *amount = amount.saturating_mul(count));
            for (name, amount) in &share {
                let sum = wanted.entry(name.clone()).or_insert(0);
                *sum = sum.saturating_add(*amount);
            }
            shares.push((workload, object, share));
        }
        for (name, amount) in &wanted {
            let nodes = self.blueprint.nodes.iter();
            let amounts = nodes.filter_map(|node| node.node.allocatable.get(name));
            let there_is = amounts.fold(0_i64, |sum, amount| sum.saturating_add(amount));
            if *amount <= there_is {
                continue;
            }
            let share_of = |share: &BTreeMap<String, i64>| share.get(name).copied().unwrap_or(0);
            shares.sort_by_key(|(_, _, share)| std::cmp::Reverse(share_of(share)));
            let message = format!(
                "all pods together request {} of {name}, and all nodes have {}: some stay Pending",
                amount_text(name, *amount),
                amount_text(name, there_is),
            );
            let most: Vec<String> = shares
                .iter()
                .take(NAMED)
                .filter(|(_, _, share)| share_of(share) > 0)
                .map(|(_, object, share)| {
                    format!("{} requests {}", object.title(), amount_text(name, share_of(share)))
                })
                .collect();
            let (workload, object, _) = shares[0];
            let only = workload.only_container(|it| it.requests.get(name).is_some());
            let path = workload.container_path(only, &format!("resources.requests.{name}"));
            let diagnostic = Diagnostic::new(Code::W0262, object.span(&path), message);
            self.push(object, diagnostic.help(most.join(", ")));
        }
    }

    /// How many pods a workload keeps: those of Jobs come and go.
    pub(super) fn pod_count(&self, workload: &Workload) -> i64 {
        match workload.kind {
            WorkloadKind::Job(_) => 0,
            WorkloadKind::DaemonSet { .. } => {
                let spec = &workload.template.spec;
                let nodes = self.blueprint.nodes.iter();
                nodes.filter(|node| may_stand(spec, &node.node)).count() as i64
            }
            _ => i64::from(workload.replicas),
        }
    }
}
