//! What pods serve with that have a part of their node: all that serve, by choice
//! ([`PodCpu::NodeShare`]), and always those whose container states neither a limit nor a request.
//!
//! CFS divides a busy node by weight, and the weight of a container follows its request: 1024 shares a core,
//! 2 at least (pkg/kubelet/cm/helpers_linux.go `MilliCPUToShares`, Kubernetes 1.36). What those with limits
//! may not use goes to the others.
//!
//! Simplified: all that serve on a node are taken to be busy, so that others who idle make nobody faster.
//! Containers that no load comes to use what they request. Weights are proportional to requests, which the
//! conversion to cgroup v2 keeps but for rounding, and what all BestEffort pods have together counts for each.
//! What runs outside of pods has its reservation.

use model_api::kube::{Container, ResourceList, Workload};
use model_api::parameters::PodCpu;
use model_api::{Blueprint, NodeId, Observation, PodId, ServiceId, WorkloadId};
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;

/// What a container may have of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    /// Its part when all want more.
    weight: u64,
    /// All it may have, in millicores.
    limit_millis: Option<u64>,
}

/// The least weight, in thousandths of a core: 2 of 1024 shares.
const WEIGHT_MIN: u64 = 2;

/// What the containers of a pod may have of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// The one that requests come to, if a load reaches it.
    serving: Option<Claim>,
    /// What it serves with by what it states, in millicores.
    stated_millis: u64,
    /// What the others use.
    beside_millis: u64,
}

fn amount(list: &ResourceList) -> Option<u64> {
    list.cpu_millis().filter(|it| *it > 0).map(i64::unsigned_abs)
}

fn requested(container: &Container) -> u64 {
    amount(&container.requests).unwrap_or(0)
}

/// The Services that a load reaches and whose requests come to pods of a workload.
pub(crate) fn asked_services<'a>(
    workload: &'a Workload,
    blueprint: &'a Blueprint,
) -> impl Iterator<Item = ServiceId> + 'a {
    let asked = blueprint.profiles.iter().map(|profile| profile.service);
    let canaries = blueprint.canaries.iter().map(|canary| canary.canary_service);
    asked.chain(canaries).filter(|service| {
        let labels = &workload.template.labels;
        blueprint.services[service.index()].selects(&workload.namespace, labels)
    })
}

impl Claims {
    pub(crate) fn of(workload: &Workload, blueprint: &Blueprint) -> Self {
        let template = &workload.template;
        let serving = asked_services(workload, blueprint)
            .find_map(|it| blueprint.services[it.index()].serving_container(template));
        let beside = |container: &&Container| {
            serving.is_none_or(|it| !std::ptr::eq(it, std::ptr::from_ref::<Container>(container)))
        };
        let others = template.spec.containers.iter().filter(beside).map(requested);
        let beside_millis = others.fold(0, u64::saturating_add);
        Self {
            serving: serving.map(|container| Claim {
                weight: requested(container).max(WEIGHT_MIN),
                limit_millis: amount(&container.limits),
            }),
            stated_millis: serving.map_or(0, |container| {
                amount(&container.limits).unwrap_or_else(|| requested(container))
            }),
            beside_millis,
        }
    }

    /// CPU of the container that requests come to: its limit, or else its request.
    pub(crate) fn stated_millis(&self) -> u64 {
        self.stated_millis
    }

    /// Whether it serves with a share of its node.
    pub(crate) fn has_share(&self, pod_cpu: PodCpu) -> bool {
        self.serving.is_some() && (pod_cpu == PodCpu::NodeShare || self.stated_millis == 0)
    }
}

/// Divides CPU among those that want all they may have: by weight, and what some may not use
/// among the others.
fn divide(node_millis: u64, claims: &[Claim]) -> Vec<u64> {
    let mut shares = vec![0; claims.len()];
    // Who reaches his limit first comes first; with the same pace the order does not matter.
    let mut order: Vec<usize> = (0..claims.len()).collect();
    let pace = |idx: &usize| {
        let Claim { weight, limit_millis } = claims[*idx];
        limit_millis.map_or(u128::MAX, |limit| (u128::from(limit) << 32) / u128::from(weight))
    };
    order.sort_by_key(pace);
    let mut left_millis = node_millis;
    let mut left_weight: u128 = claims.iter().map(|claim| u128::from(claim.weight)).sum();
    for idx in order {
        let Claim { weight, limit_millis } = claims[idx];
        let by_weight = u128::from(left_millis) * u128::from(weight) / left_weight;
        let by_weight = u64::try_from(by_weight).expect("no more than the node has");
        shares[idx] = limit_millis.map_or(by_weight, |limit| by_weight.min(limit));
        left_millis -= shares[idx];
        left_weight -= u128::from(weight);
    }
    shares
}

/// What pods have of their nodes, by number of pod; nothing where no pod has a share.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeShares {
    millis: Vec<u64>,
}

impl NodeShares {
    fn set(&mut self, pod: PodId, millis: u64) -> bool {
        if self.millis.len() <= pod.index() {
            self.millis.resize(pod.index() + 1, 0);
        }
        std::mem::replace(&mut self.millis[pod.index()], millis) != millis
    }

    fn of(&self, pod: PodId) -> Option<u64> {
        self.millis.get(pod.index()).copied()
    }
}

impl World {
    /// CPU that a pod of a workload may use, in millicores.
    pub(super) fn cpu_millis(&self, pod: PodId, workload: WorkloadId) -> u64 {
        let is_shared = !self.wiring.sharing_services[workload.index()].is_empty();
        let share = self.node_shares.of(pod).filter(|_| is_shared);
        share.unwrap_or(self.wiring.cpu_millis[workload.index()])
    }

    /// Divides every node at the beginning, before the flows know of any pod.
    pub(super) fn share_nodes(&mut self) {
        if self.wiring.shares_nodes {
            for node in 0..self.blueprint.nodes.len() {
                self.share_node(NodeId::from_index(node));
            }
        }
    }

    /// A pod began or ended to run: the others on its node have less or more.
    pub(super) fn on_node_shared<R: Recorder<Observation>>(
        &mut self,
        pod: PodId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !self.wiring.shares_nodes {
            return;
        }
        let Some(node) = self.cluster.pod(pod).node else { return };
        for service in self.share_node(node) {
            self.tell_flows(service, ctx);
        }
    }

    /// Returns the Services whose pods have more or less than before, each once.
    fn share_node(&mut self, node: NodeId) -> Vec<ServiceId> {
        let allocatable = self.blueprint.nodes[node.index()].node.allocatable.cpu_millis();
        let node_millis = allocatable.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        let mut beside = 0_u64;
        let (mut serving, mut claims) = (Vec::new(), Vec::new());
        for &pod in self.cluster.pods_on(node) {
            let view = self.cluster.pod(pod);
            if !view.answers {
                continue;
            }
            let its = &self.wiring.claims[view.workload.index()];
            beside = beside.saturating_add(its.beside_millis);
            if let Some(claim) = its.serving {
                serving.push((pod, view.workload));
                claims.push(claim);
            }
        }
        let mut changed = Vec::new();
        let left = node_millis.saturating_sub(beside);
        for ((pod, workload), millis) in serving.into_iter().zip(divide(left, &claims)) {
            let services = &self.wiring.sharing_services[workload.index()];
            if !services.is_empty() && self.node_shares.set(pod, millis) {
                changed.extend_from_slice(services);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim((weight, limit): (u64, Option<u64>)) -> Claim {
        Claim { weight, limit_millis: limit }
    }

    #[test]
    fn what_limits_leave_goes_to_the_others_by_weight() {
        type Case = (&'static [(u64, Option<u64>)], &'static [u64]);
        let cases: [Case; 6] = [
            (&[(100, None)], &[4000]),
            (&[(100, None), (300, None)], &[1000, 3000]),
            (&[(1000, Some(500)), (100, None), (400, None)], &[500, 700, 2800]),
            // The one that is limited reaches its part of the whole, not its limit.
            (&[(100, Some(3000)), (300, None)], &[1000, 3000]),
            (&[(100, Some(200)), (100, Some(100))], &[200, 100]),
            // Together more than a number holds.
            (&[(u64::MAX, None), (u64::MAX, None)], &[2000, 2000]),
        ];
        for (claims, expected) in cases {
            let claims: Vec<Claim> = claims.iter().copied().map(claim).collect();
            assert_eq!(divide(4000, &claims), expected, "{claims:?}");
        }
    }

    proptest! {
        /// No more than there is, no more than allowed, and all of it where somebody would take it; who is
        /// refused some of what he may have gets at least what everybody else has for the same weight.
        #[test]
        fn a_node_is_divided_fairly_and_whole(
            node_millis in 0_u64..200_000,
            claims in prop::collection::vec((WEIGHT_MIN..8000, prop::option::of(0_u64..16_000)), 1..20),
        ) {
            let claims: Vec<Claim> = claims.into_iter().map(claim).collect();
            let shares = divide(node_millis, &claims);
            let sum: u64 = shares.iter().sum();
            prop_assert!(sum <= node_millis);
            let wants_more = |idx: usize| claims[idx].limit_millis.is_none_or(|it| shares[idx] < it);
            let hungry: Vec<usize> = (0..claims.len()).filter(|idx| wants_more(*idx)).collect();
            // A millicore of rounding each.
            let rounded = claims.len() as u64;
            prop_assert!(hungry.is_empty() || sum + rounded >= node_millis, "{} of {}", sum, node_millis);
            for one in hungry {
                for other in 0..claims.len() {
                    let [mine, theirs] = [one, other].map(|it| u128::from(shares[it]));
                    let [weight, of_other] = [one, other].map(|it| u128::from(claims[it].weight));
                    let rounded = u128::from(rounded);
                    prop_assert!((mine + rounded) * of_other + rounded * weight >= theirs * weight);
                }
            }
        }
    }
}
