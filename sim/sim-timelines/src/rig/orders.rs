//! Operations of a scenario, done to the cluster.

use model_api::kube::Taint;
use model_api::{NodeId, Observation, PodId, SimSpan, WorkloadId};
use model_kube::cluster::{DrainSpec, PodPhase};
use sim_kernel::{Context, Recorder};

use super::{Rig, StageEvent};
use crate::operation::{Drain, Nodes, Operation, Pods, Taints};

impl Rig<'_> {
    pub(super) fn obey<R: Recorder<Observation>>(
        &mut self,
        operation: &Operation,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        match operation {
            Operation::Kill(nodes) => self.kill(nodes, ctx),
            Operation::Revive(nodes) => self.revive(nodes, ctx),
            Operation::Power(nodes, is_on) => self.power(nodes, *is_on, ctx),
            Operation::Add(nodes) => {
                nodes.iter().for_each(|node| self.cluster.add_node(*node, ctx));
            }
            Operation::Delete(nodes) => self.delete_nodes(nodes, ctx),
            Operation::OutOfService(nodes, is_out) => self.set_out_of_service(nodes, *is_out, ctx),
            Operation::Cordon(nodes, is_cordoned) => {
                for node in self.nodes(nodes) {
                    self.cluster.cordon(node, *is_cordoned, ctx);
                }
            }
            Operation::Taint(nodes, change) => {
                for node in self.nodes(nodes) {
                    let stated = &self.cluster.blueprint().nodes[node.index()].node.taints;
                    let taints = changed(stated, change);
                    self.cluster.change_taints(node, taints, ctx);
                }
            }
            Operation::Drain(nodes, how) => self.drain(nodes, *how, ctx),
            Operation::KillLeader(component) => {
                self.notes.killed_leaders.push((ctx.now(), *component));
                self.cluster.kill_leader(*component, ctx);
            }
            Operation::Api(is_up) => self.cluster.set_api_available(*is_up, ctx),
            Operation::Scale(workload, replicas) => self.cluster.scale(*workload, *replicas, ctx),
            Operation::DeleteWorkload(workload) => self.delete_workload(*workload, ctx),
            Operation::Patch(idx) => {
                self.cluster.patch_template(self.stage.plan.template(*idx), ctx);
            }
            Operation::Hold(workload, is_held) => {
                self.cluster.hold_workload(*workload, *is_held, ctx);
            }
            Operation::Strategy(workload, to) => self.cluster.change_strategy(*workload, to, ctx),
            Operation::Budget(budget, to) => self.cluster.change_budget(*budget, to),
            Operation::Autoscaler(id, to) => {
                self.cluster.change_autoscaler(*id, to.as_ref().clone(), ctx);
            }
            Operation::DeleteAutoscaler(id) => {
                self.cluster.set_autoscaler_exists(*id, false, ctx);
            }
            Operation::Evict(which) => {
                for pod in self.pods(which, false) {
                    self.cluster.evict(pod, ctx);
                }
            }
            Operation::DeletePods(which, is_forced) => {
                let pods = self.pods(which, *is_forced);
                if *is_forced {
                    self.cluster.force_delete_pods(&pods, ctx);
                } else {
                    self.cluster.delete_pods(&pods, ctx);
                }
            }
        }
    }

    fn kill<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        for node in self.nodes(nodes) {
            self.killed[node.index()] = true;
            self.cluster.isolate_node(node, ctx);
        }
    }

    fn revive<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        for node in self.nodes(nodes) {
            self.killed[node.index()] = false;
            self.cluster.rejoin_node(node, ctx);
        }
    }

    fn power<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        is_on: bool,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        for node in self.nodes(nodes) {
            self.killed[node.index()] = !is_on;
            if is_on {
                self.cluster.restore_node(node, ctx);
            } else {
                self.cluster.lose_node(node, ctx);
            }
        }
    }

    fn delete_nodes<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        for node in self.nodes(nodes) {
            self.notes.node_changes.push((ctx.now(), node, "deleted"));
            self.cluster.delete_node(node, ctx);
        }
    }

    fn set_out_of_service<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        is_out: bool,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        let what = if is_out { "taintOutOfService" } else { "taintOutOfServiceRemoved" };
        for node in self.nodes(nodes) {
            self.notes.node_changes.push((ctx.now(), node, what));
            self.cluster.set_out_of_service(node, is_out, ctx);
        }
    }

    fn drain<R: Recorder<Observation>>(
        &mut self,
        nodes: &Nodes,
        how: Drain,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        let nodes = self.nodes(nodes);
        let spec = DrainSpec {
            timeout: how.timeout,
            goes_on: how.goes_on,
            // The recorder drained whatever there was, and saw at once that it was gone.
            forces: true,
            poll: SimSpan::from_millis(10),
            ..DrainSpec::of(nodes)
        };
        self.cluster.drain(spec, ctx);
    }

    /// Nothing wants its pods any more, and the garbage collector deletes all of them.
    fn delete_workload<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, StageEvent, R>,
    ) {
        self.cluster.scale(workload, 0, ctx);
        let pods = self.pods(&[Pods::Of(workload)], false);
        self.cluster.delete_pods(&pods, ctx);
    }

    /// Pods that are there, those that are being deleted only where they count as well.
    fn pods(&mut self, which: &[Pods], with_terminating: bool) -> Vec<PodId> {
        let mut found = Vec::new();
        let mut is_with_terminating = with_terminating;
        for pods in which {
            match pods {
                Pods::Of(workload) => found.extend_from_slice(self.cluster.pods_of(*workload)),
                Pods::Ordinal(workload, ordinal) => {
                    let all = self.cluster.pods_of(*workload).iter().copied();
                    found.extend(all.filter(|pod| self.cluster.pod(*pod).ordinal == *ordinal));
                }
                Pods::Arrived(nth) => {
                    let arrived = self.arrived.iter().filter(|(position, _)| position == nth);
                    found.extend(arrived.map(|(_, pod)| *pod));
                }
                Pods::On(nodes) => {
                    for node in self.nodes(nodes) {
                        found.extend_from_slice(self.cluster.pods_on(node));
                    }
                }
                Pods::Terminating => {
                    is_with_terminating = true;
                    let all = (0..self.cluster.pod_count()).map(PodId::from_index);
                    found.extend(all.filter(|pod| self.cluster.pod(*pod).is_terminating));
                }
            }
        }
        found.retain(|pod| {
            let pod = self.cluster.pod(*pod);
            (is_with_terminating || !pod.is_terminating) && pod.phase != PodPhase::Gone
        });
        found
    }

    fn nodes(&mut self, which: &Nodes) -> Vec<NodeId> {
        let cluster = &self.cluster;
        let all = (0..self.killed.len()).map(NodeId::from_index);
        let all = all.filter(|node| cluster.has_machine(*node));
        let zone_of = |node: &NodeId| self.stage.blueprint.nodes[node.index()].zone;
        match which {
            Nodes::All => all.collect(),
            Nodes::Killed => all.filter(|node| self.killed[node.index()]).collect(),
            Nodes::Of(zone) => all.filter(|node| zone_of(node) == *zone).collect(),
            Nodes::Listed(nodes) => nodes.clone(),
            Nodes::First(nodes, count) => {
                let mut nodes = self.nodes(nodes);
                nodes.truncate(*count as usize);
                nodes
            }
            Nodes::MostOf(workload) => {
                let mut counts = vec![0u32; self.stage.blueprint.zones.len()];
                for pod in self.cluster.pods_of(*workload) {
                    if let Some(zone) = self.cluster.pod(*pod).zone {
                        counts[zone.index()] += 1;
                    }
                }
                let Some((zone, count)) = self.stage.most else { return Vec::new() };
                // Another start than the recorded one: this run says nothing about it.
                self.is_void |=
                    counts[zone.index()] != count || counts.iter().any(|other| *other > count);
                all.filter(|node| zone_of(node) == zone).collect()
            }
        }
    }
}

/// The taints of a node after a change.
fn changed(stated: &[Taint], change: &Taints) -> Vec<Taint> {
    let but = |key: &str, effect: Option<_>| {
        let stays =
            move |it: &&Taint| it.key != key || effect.is_some_and(|effect| effect != it.effect);
        stated.iter().filter(stays).cloned().collect::<Vec<_>>()
    };
    match change {
        Taints::Only(taints) => taints.clone(),
        Taints::Without(key, effect) => but(key, *effect),
        Taints::With(taint) => {
            let mut taints = but(&taint.key, Some(taint.effect));
            taints.push(taint.clone());
            taints
        }
    }
}
