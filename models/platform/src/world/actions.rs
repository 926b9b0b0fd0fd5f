//! Actions in time: rollouts, scaling, drains, upgrades, evictions.
//!
//! # Modelled
//! Each action as one request to the API: without an API it changes nothing. What ends (`for`) is
//! taken back, once there is an API: a rollout is undone, a workload has its former size, one that was
//! held goes on, a drained node takes pods again.
//! A rollout of a database is done by its operator, instance by instance: see `model-postgres`.
//! A rollout of a canary's target is complete once its primary has the template.
//! A rollout that exceeds its progress deadline is undone at once where something that deploys does
//! so. Of a drain and of an upgrade every node is worked on as `kubectl drain` does.
//! # Not modelled
//! Changes of a template beyond its images and its health; new machines in place of rebooted ones.
//! # Defaults and their sources
//! None: a scenario states everything.
//! # Invariants
//! An action that was taken back does not complete any more.
//! # Checked against
//! The shipped scenarios `rollout`, `rollout-az-loss`, `rollout-without-pre-stop` and its pair
//! `rollout-with-pre-stop`, `bad-rollout`, `faulty-rollout`, `canary-promoted`, `drain-zone`, `drain-stuck`,
//! `node-upgrade` and `control-plane-upgrade`.

use std::sync::Arc;

use model_api::action::{Action, Fenced, NodeWork};
use model_api::fault::FaultKind;
use model_api::kube::HorizontalPodAutoscaler;
use model_api::{AutoscalerId, DatabaseId, FaultId, NodeId, Observation, WorkloadId};
use model_kube::Cluster;
use model_kube::cluster::{AfterDrain, DrainId, DrainSpec, PodView, TemplateId};
use model_kube::disruption::Admission;
use model_postgres::Lack;
use sim_kernel::{Context, Recorder};

use super::{World, ordinal_of};
use crate::event::Event;
use crate::fault::{Struck, pick_some};
use crate::rare;

/// How many things there are, as a fault reports it.
fn count(things: usize) -> u32 {
    u32::try_from(things).expect("nodes and pods are limited far below 2^32")
}

/// What the pod of an instance needs to be of the newest template of its workload.
pub(super) fn lack_of(cluster: &Cluster, pod: PodView) -> Lack {
    let newest = cluster.template(pod.workload);
    if pod.template == newest {
        Lack::Nothing
    } else if cluster.has_same_pods(pod.template, newest) {
        Lack::Restart
    } else {
        Lack::Pod
    }
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
        if let Action::Rollout { workload, .. }
        | Action::Scale { workload, .. }
        | Action::Hold { workload, .. } = action
            && self.cluster.is_update_refused(*workload)
        {
            ctx.hit(&rare::ACTION_REFUSED);
            return (Struck::Nothing, 0);
        }
        match action {
            Action::Rollout { workload, .. } => {
                let template = self.wiring.template_by_fault[fault.index()];
                let template = template.expect("each rollout has its template");
                let former = self.cluster.template(*workload);
                let is_changed = self.cluster.patch_template(template, ctx);
                if is_changed {
                    self.tell_template(*workload, ctx);
                }
                // Of a canary's target, those that will be replaced once it has passed.
                let canary = self.blueprint.canaries.iter().find(|it| it.target == *workload);
                let replaced = canary.map_or(*workload, |canary| canary.primary);
                let targets = self.cluster.pods_of(replaced).len();
                (Struck::Rollout(*workload, former), if is_changed { count(targets) } else { 0 })
            }
            Action::Scale { workload, replicas } => {
                let former = self.cluster.replicas(*workload);
                self.cluster.scale(*workload, *replicas, ctx);
                (Struck::Scale(*workload, former), former.abs_diff(*replicas))
            }
            Action::SetAutoscaler { autoscaler, min, max } => {
                let Some(former) = self.cluster.autoscaler_spec(*autoscaler) else {
                    return (Struck::Nothing, 0);
                };
                let (was_min, was_max) = (former.min_replicas, former.max_replicas);
                let limits = (min.unwrap_or(was_min), max.unwrap_or(was_max));
                if limits.0 > limits.1 {
                    // The API refuses it: somebody else changed the other one.
                    return (Struck::Nothing, 0);
                }
                self.set_limits(*autoscaler, limits, ctx);
                let is_changed = limits != (was_min, was_max);
                let former = (min.map(|_| was_min), max.map(|_| was_max));
                (Struck::Limits(*autoscaler, former.0, former.1), u32::from(is_changed))
            }
            Action::DeleteAutoscaler { autoscaler } => {
                let is_deleted = self.cluster.set_autoscaler_exists(*autoscaler, false, ctx);
                let struck =
                    if is_deleted { Struck::Autoscaler(*autoscaler) } else { Struck::Nothing };
                (struck, u32::from(is_deleted))
            }
            Action::Hold { workload, is_held } => {
                let was_held = self.cluster.is_held(*workload);
                self.cluster.hold_workload(*workload, *is_held, ctx);
                (Struck::Hold(*workload, was_held), u32::from(was_held != *is_held))
            }
            Action::LiftGates { workload } => {
                let were_lifted = self.cluster.has_gates_lifted(*workload);
                let gated = self.cluster.gated_pods(*workload);
                self.cluster.lift_gates(*workload, true, ctx);
                (Struck::Gates(*workload, were_lifted), count(gated))
            }
            Action::Drain(work) => self.drain(work, AfterDrain::Nothing, ctx),
            Action::NodeUpgrade(work) => self.drain(work, AfterDrain::Reboot, ctx),
            Action::ControlPlaneUpgrade(upgrade) => {
                if self.cluster.upgrade_control_plane(*upgrade, ctx) {
                    (Struck::Upgrade, count(self.cluster.member_count()))
                } else {
                    (Struck::Nothing, 0)
                }
            }
            Action::DeleteNodes(nodes) => {
                let known = self.known_nodes(nodes);
                for node in &known {
                    self.cluster.delete_node(*node, ctx);
                }
                (Struck::Nothing, count(known.len()))
            }
            Action::OutOfServiceTaint(nodes) => {
                let known = self.known_nodes(nodes);
                for node in &known {
                    self.cluster.set_out_of_service(*node, true, ctx);
                }
                (Struck::OutOfService(fault), count(known.len()))
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
            Action::GrowStorage { database, size_bytes } => {
                let instances = self.blueprint.databases[database.index()].instances;
                self.databases.grow_storage(*database, *size_bytes, ctx, &mut self.pg_notices);
                (Struck::Growth(*database), instances)
            }
            Action::Fence { database, whom } => {
                let instances = self.blueprint.databases[database.index()].instances;
                let all = 0..u8::try_from(instances).expect("instances are at most 100");
                let primary = self.databases.primary_ordinal(*database);
                let is_meant = |ordinal: &u8| match whom {
                    Fenced::Primary => *ordinal == primary,
                    Fenced::All => true,
                    Fenced::Instance(one) => ordinal == one,
                };
                let fenced: Vec<u8> = all.filter(is_meant).collect();
                self.set_fenced(*database, &fenced, true, ctx);
                (Struck::Fence(*database), count(fenced.len()))
            }
            Action::PausePooler { pooler } => {
                let length = self.plan.faults[fault.index()].duration;
                let until = length.map(|length| ctx.now().saturating_add(length));
                let of = (self.blueprint.poolers[pooler.index()].database, *pooler);
                let is_new =
                    self.databases.pause_pooler(of, (fault, until), ctx, &mut self.pg_notices);
                (Struck::Pause(*pooler), u32::from(is_new))
            }
            Action::Switchover { database, to } => {
                self.databases.switch_over(*database, *to, ctx, &mut self.pg_notices);
                (Struck::Switchover(*database), 1)
            }
        }
    }

    fn set_limits<R: Recorder<Observation>>(
        &mut self,
        autoscaler: AutoscalerId,
        (min_replicas, max_replicas): (i32, i32),
        ctx: &mut Context<'_, Event, R>,
    ) {
        if let Some(spec) = self.cluster.autoscaler_spec(autoscaler) {
            let spec = HorizontalPodAutoscaler { min_replicas, max_replicas, ..spec.clone() };
            self.cluster.change_autoscaler(autoscaler, spec, ctx);
        }
    }

    fn set_fenced<R: Recorder<Observation>>(
        &mut self,
        database: DatabaseId,
        instances: &[u8],
        is_fenced: bool,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for ordinal in instances {
            let (instance, notices) = ((database, *ordinal), &mut self.pg_notices);
            self.databases.set_fenced(instance, is_fenced, ctx, notices);
        }
    }

    /// Those of some nodes that the API knows.
    fn known_nodes(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        nodes.iter().copied().filter(|node| self.cluster.node_exists(*node)).collect()
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

    /// Takes an action back, as soon as there is an API.
    pub(super) fn take_back<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        struck: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        if !self.cluster.is_api_available() {
            ctx.hit(&rare::ACTION_MET_NO_API);
            self.book.owed.push((fault, struck));
            return;
        }
        match struck {
            Struck::Rollout(workload, former) => {
                self.take_rollout_back(fault, workload, former, ctx);
            }
            Struck::Scale(workload, replicas) => self.cluster.scale(workload, replicas, ctx),
            Struck::Limits(autoscaler, min, max) => {
                if let Some(spec) = self.cluster.autoscaler_spec(autoscaler) {
                    let limits =
                        (min.unwrap_or(spec.min_replicas), max.unwrap_or(spec.max_replicas));
                    self.set_limits(autoscaler, limits, ctx);
                }
            }
            Struck::Autoscaler(autoscaler) => {
                self.cluster.set_autoscaler_exists(autoscaler, true, ctx);
            }
            Struck::Hold(workload, was_held) => {
                self.cluster.hold_workload(workload, was_held, ctx);
            }
            Struck::Gates(workload, were_lifted) => {
                self.cluster.lift_gates(workload, were_lifted, ctx);
            }
            Struck::Drain(drain) => self.cluster.end_drain(drain, ctx),
            Struck::Pause(pooler) => {
                let of = (self.blueprint.poolers[pooler.index()].database, pooler);
                self.databases.resume_pooler(of, fault, ctx, &mut self.pg_notices);
            }
            Struck::Fence(database) => {
                let instances = self.blueprint.databases[database.index()].instances;
                let all = 0..u8::try_from(instances).expect("instances are at most 100");
                self.set_fenced(database, &all.collect::<Vec<u8>>(), false, ctx);
            }
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

    /// The API answers again: what was over meanwhile is taken back.
    pub(super) fn take_back_owed<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for (fault, struck) in std::mem::take(&mut self.book.owed) {
            self.take_back(fault, struck, ctx);
        }
    }

    /// Gives a workload the template back that it had before a rollout. When another one has
    /// replaced that of the rollout, nothing is left to take back but what that one would go back
    /// to.
    fn take_rollout_back<R: Recorder<Observation>>(
        &mut self,
        fault: FaultId,
        workload: WorkloadId,
        former: TemplateId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let own = self.wiring.template_by_fault[fault.index()];
        let is_its_own = own == Some(self.cluster.template(workload));
        if is_its_own && self.cluster.patch_template(former, ctx) {
            self.tell_template(workload, ctx);
        }
        for struck in self.book.struck.iter_mut().flatten() {
            if let Struck::Rollout(other, its_former) = struck
                && *other == workload
                && own == Some(*its_former)
            {
                *its_former = former;
            }
        }
    }

    /// Tells a database whose instances a workload's pods are that it has another template than before.
    fn tell_template<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let Some(database) = self.wiring.database_by_workload[workload.index()] else { return };
        let notices = &mut self.pg_notices;
        self.databases.begin_update(database, ctx, notices);
        for pod in self.cluster.pods_of(workload) {
            let view = self.cluster.pod(*pod);
            let instance = (database, ordinal_of(view.ordinal));
            self.databases.set_lack(instance, lack_of(&self.cluster, view), ctx, notices);
        }
    }

    /// Rollouts of a workload that are on and whose template it has, with the former one.
    fn rollouts_of(&self, workload: WorkloadId) -> Vec<(FaultId, TemplateId)> {
        let template = self.cluster.template(workload);
        let struck = self.book.struck.iter().enumerate();
        struck
            .filter_map(|(idx, struck)| match struck {
                Some(Struck::Rollout(of, former)) if *of == workload => {
                    let is_there = self.wiring.template_by_fault[idx] == Some(template);
                    is_there.then_some((FaultId::from_index(idx), *former))
                }
                _ => None,
            })
            .collect()
    }

    /// All pods of a workload are of its newest template.
    pub(super) fn on_rollout_completed<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for (fault, _) in self.rollouts_of(workload) {
            ctx.observe(|| Observation::ActionCompleted { fault });
        }
    }

    /// A rollout made no progress for too long: what deploys it may undo it.
    pub(super) fn on_rollout_stalled<R: Recorder<Observation>>(
        &mut self,
        workload: WorkloadId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let plan = Arc::clone(&self.plan);
        for (fault, former) in self.rollouts_of(workload) {
            let kind = &plan.faults[fault.index()].kind;
            let is_undone = matches!(
                kind,
                FaultKind::Action(Action::Rollout { is_undone_when_stalled: true, .. })
            );
            if is_undone {
                ctx.hit(&rare::ROLLOUT_UNDONE);
                self.take_rollout_back(fault, workload, former, ctx);
            }
        }
    }

    /// Every member of the control plane is upgraded.
    pub(super) fn on_upgrade_ended<R: Recorder<Observation>>(
        &mut self,
        ctx: &mut Context<'_, Event, R>,
    ) {
        let last = self.book.struck.iter().rposition(|it| *it == Some(Struck::Upgrade));
        if let Some(idx) = last {
            self.book.struck[idx] = Some(Struck::Nothing);
            let fault = FaultId::from_index(idx);
            ctx.observe(|| Observation::ActionCompleted { fault });
        }
    }

    /// An action of this kind has done what it was for.
    pub(super) fn complete<R: Recorder<Observation>>(
        &mut self,
        done: Struck,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for idx in 0..self.book.struck.len() {
            if self.book.struck[idx] == Some(done) {
                self.book.struck[idx] = Some(Struck::Nothing);
                let fault = FaultId::from_index(idx);
                ctx.observe(|| Observation::ActionCompleted { fault });
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
