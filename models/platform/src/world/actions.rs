//! Actions in time: rollouts, scaling, drains, upgrades, evictions.
//!
//! # Modelled
//! Each action as one request to the API: without an API it changes nothing. What ends (`for`) is
//! taken back: a rollout is undone, a workload has its former size, a drained node takes pods again.
//! A rollout that exceeds its progress deadline is undone at once where something that deploys does
//! so. Of a drain and of an upgrade every node is worked on as `kubectl drain` does.
//! # Not modelled
//! Changes of a template beyond its images and its health; new machines in place of rebooted ones;
//! upgrades of the control plane.
//! # Defaults and their sources
//! None: a scenario states everything.
//! # Invariants
//! An action that was taken back does not complete any more.
//! # Checked against
//! The shipped scenarios `rollout`, `rollout-az-loss`, `bad-rollout`, `drain-zone`, `drain-stuck`
//! and `node-upgrade`.

use std::sync::Arc;

use model_api::action::{Action, NodeWork};
use model_api::fault::FaultKind;
use model_api::{FaultId, NodeId, Observation, WorkloadId};
use model_kube::cluster::{AfterDrain, DrainId, DrainSpec};
use model_kube::disruption::Admission;
use sim_kernel::{Context, Recorder};

use super::World;
use crate::event::Event;
use crate::fault::{Struck, pick_some};
use crate::rare;

/// How many things there are, as a fault reports it.
fn count(things: usize) -> u32 {
    u32::try_from(things).expect("nodes and pods are limited far below 2^32")
}

impl World {
    /// Does what an action is; also how many things that changed.
    pub(super) fn act<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        action: &Action,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        if !self.cluster.is_api_available() {
            ctx.hit(&rare::ACTION_MET_NO_API);
            return (Struck::Nothing, 0);
        }
        match action {
            Action::Rollout { workload, .. } => {
                let template = self.wiring.template_by_fault[fault.index()];
                let template = template.expect("each rollout has its template");
                let is_changed = self.cluster.patch_template(template, ctx);
                let targets = self.cluster.pods_of(*workload).len();
                (Struck::Rollout(*workload), if is_changed { count(targets) } else { 0 })
            }
            Action::Scale { workload, replicas } => {
                let former = self.cluster.replicas(*workload);
                self.cluster.scale(*workload, *replicas, ctx);
                (Struck::Scale(*workload, former), former.abs_diff(*replicas))
            }
            Action::Drain(work) => self.drain(work, AfterDrain::Nothing, ctx),
            Action::NodeUpgrade(work) => self.drain(work, AfterDrain::Reboot, ctx),
            Action::DeleteNodes(nodes) => {
                let is_known = |node: &&NodeId| self.cluster.node_exists(**node);
                let known: Vec<NodeId> = nodes.iter().filter(is_known).copied().collect();
                for node in &known {
                    self.cluster.delete_node(*node, ctx);
                }
                (Struck::Nothing, count(known.len()))
            }
            Action::OutOfServiceTaint(nodes) => {
                for node in nodes {
                    self.cluster.set_out_of_service(*node, true, ctx);
                }
                (Struck::OutOfService(fault), count(nodes.len()))
            }
            Action::Evict { workload, count: wanted } => {
                let spec = &self.plan.faults[fault.index()];
                let pods = self.cluster.pods_of(*workload).to_vec();
                let mut evicted = 0;
                for pod in pick_some(spec, &pods, *wanted, self.streams) {
                    let answer = self.cluster.evict(pod, ctx);
                    let is_let = matches!(answer, Some(Admission::Free | Admission::Charged));
                    evicted += u32::from(is_let);
                }
                (Struck::Nothing, evicted)
            }
        }
    }

    fn drain<R: Recorder<Observation>>(
        &mut self,
        work: &NodeWork,
        then: AfterDrain,
        ctx: &mut Context<'_, Event, R>,
    ) -> (Struck, u32) {
        let drain = self.cluster.drain(
            DrainSpec {
                timeout: work.timeout,
                goes_on: work.goes_on,
                forces: work.forces,
                then,
                ..DrainSpec::of(work.nodes.clone())
            },
            ctx,
        );
        (Struck::Drain(drain), count(work.nodes.len()))
    }

    /// Takes an action back.
    pub(super) fn take_back<R: Recorder<Observation>>(
        &mut self,
        struck: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        match struck {
            Struck::Rollout(workload) => {
                self.cluster.undo_rollout(workload, ctx);
            }
            Struck::Scale(workload, replicas) => self.cluster.scale(workload, replicas, ctx),
            Struck::Drain(drain) => self.cluster.end_drain(drain, ctx),
            Struck::OutOfService(fault) => {
                let plan = Arc::clone(&self.plan);
                if let FaultKind::Action(Action::OutOfServiceTaint(nodes)) =
                    &plan.faults[fault.index()].kind
                {
                    for node in nodes {
                        self.cluster.set_out_of_service(*node, false, ctx);
                    }
                }
            }
            _ => {}
        }
    }

    /// Rollouts of a workload that are on, with whether the workload has their template.
    fn rollouts_of(&self, workload: WorkloadId) -> Vec<(FaultId, bool)> {
        let template = self.cluster.template(workload);
        let struck = self.book.struck.iter().enumerate();
        let is_of = |struck: &Option<Struck>| *struck == Some(Struck::Rollout(workload));
        struck
            .filter(|(_, struck)| is_of(struck))
            .map(|(idx, _)| {
                let is_there = self.wiring.template_by_fault[idx] == Some(template);
                (FaultId::from_index(idx), is_there)
            })
            .collect()
    }

    /// All pods of a workload are of its newest template.
    pub(super) fn on_rollout_completed<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for (fault, is_there) in self.rollouts_of(workload) {
            if is_there {
                ctx.observe(|| Observation::ActionCompleted { fault });
            }
        }
    }

    /// A rollout made no progress for too long: what deploys it may undo it.
    pub(super) fn on_rollout_stalled<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let plan = Arc::clone(&self.plan);
        for (fault, is_there) in self.rollouts_of(workload) {
            let kind = &plan.faults[fault.index()].kind;
            let is_undone = matches!(
                kind,
                FaultKind::Action(Action::Rollout { is_undone_when_stalled: true, .. })
            );
            if is_there && is_undone {
                ctx.hit(&rare::ROLLOUT_UNDONE);
                self.cluster.undo_rollout(workload, ctx);
            }
        }
    }

    /// A drain came to its end.
    pub(super) fn on_drain_ended<R: Recorder<Observation>>(
        &mut self,
        drain: DrainId,
        is_complete: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let is_it = |struck: &Option<Struck>| *struck == Some(Struck::Drain(drain));
        if let Some(idx) = self.book.struck.iter().position(is_it).filter(|_| is_complete) {
            let fault = FaultId::from_index(idx);
            ctx.observe(|| Observation::ActionCompleted { fault });
        }
    }
}
