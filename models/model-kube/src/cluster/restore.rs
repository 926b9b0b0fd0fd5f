//! The state of the API lost, and restored as it once was.
//!
//! # Modelled
//! Without etcd's data no API server answers. What a snapshot brings back is old: pods created since
//! are unknown to the API and killed by their kubelets; pods deleted since are back, routed to as they
//! were, and start again where their node is there; nodes that are no more are found silent and
//! deleted by the cloud controller; nodes that joined since register again; sizes, templates,
//! cordons and taints are those of the snapshot, an autoscaler's latest size included; Jobs are as far
//! as they were. Autoscalers have the limits of the snapshot, or are gone, or back; Secrets and ConfigMaps that
//! were made since are missing, those deleted since are there; of claims see `claims.rs`. API servers
//! start anew, controllers and scheduler find old leases and wait for them to run out, watchers list
//! again. Controllers go on from there.
//! # Not modelled
//! What [`crate::api_restore`] lists. Custom resources. What is in a Secret or ConfigMap: one that was changed
//! since is taken to be as good as it was. That
//! something re-applies from Git what stands there (a scenario says so with an action). Services whose
//! endpoints an operator chooses keep that choice. Static pods.
//! # Defaults and their sources
//! [`crate::api_restore`]; cloud-provider `controllers/nodelifecycle/node_lifecycle_controller.go`
//! (1.36): every 5 s, nodes that are not ready and have no instance are deleted.
//! # Invariants
//! Pods of a workload are those that the API knows; what it does not know is an orphan until its
//! containers have ended.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::{NodeId, Observation, PodId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::history::{NodeObject, Spec, pod_object};
use super::pod::{PodPhase, PodState};
use super::templates::TemplateId;
use super::workloads::PodOrder;
use super::{Cluster, KubeEvent, Notice, priority};
use crate::api_restore::{Fate, fate};
use crate::node_lifecycle::Ready;
use crate::rare;

const CLOUD_PASS: Purpose = Purpose::new("cloud controller's pass");

/// How often the cloud controller looks for nodes without a machine (`--node-monitor-period`).
const CLOUD_PERIOD: SimSpan = SimSpan::from_secs(5);

impl Cluster {
    /// Every copy of etcd's data is lost: no API server answers until
    /// [`Self::restore_api_state`].
    pub fn lose_api_state<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.withhold_etcd(ctx);
        ctx.observe(|| Observation::ApiStateLost);
        self.settle(ctx);
    }

    /// Whether etcd's data is lost.
    pub fn is_api_state_lost(&self) -> bool {
        self.control_plane.is_data_lost()
    }

    /// Puts the state of the API back to what was written before `until`, and starts the control
    /// plane. Of a cluster that keeps no history (see [`Self::keep_history`]) nothing changes but
    /// that.
    pub fn restore_api_state<E, R>(&mut self, until: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let past = self.rewind(until);
        // What the restore itself does is no change that a later one would undo.
        let history = self.history.take();
        let lost_ns = ctx.now().saturating_since(until).as_nanos();
        ctx.observe(|| Observation::ApiStateRestored { lost_ns });
        for (id, node) in past.nodes {
            self.restore_node_object(id, node, ctx);
        }
        self.forget_node_states(ctx);
        for (id, spec) in &past.workloads {
            self.restore_spec(*id, *spec, ctx);
        }
        for (id, object) in past.autoscalers {
            self.restore_autoscaler(id, object, ctx);
        }
        for (named, count) in past.configuration {
            self.restore_configuration(named, count, ctx);
        }
        for (of, object) in past.claims {
            self.restore_claims(of, object, ctx);
        }
        let pods: Vec<PodId> = past.pods.keys().copied().collect();
        for (id, snapshot) in past.pods {
            let fate = fate(pod_object(&self.pods[id.index()]), snapshot);
            self.meet_fate(id, fate, until, ctx);
        }
        self.restore_jobs(until);
        self.restore_replica_sets(past.workloads.into_keys(), &pods, ctx.now());
        self.unlisted_pods.extend(pods);
        self.history = history;
        self.give_etcd_back(ctx);
        self.settle(ctx);
    }

    fn restore_node_object<E, R>(
        &mut self,
        id: NodeId,
        then: NodeObject,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = self.node_record(id);
        self.node_change_count += 1;
        let state = &mut self.nodes[id.index()];
        state.is_deleted = then.is_deleted;
        state.is_cordoned = then.is_cordoned;
        state.is_out_of_service = then.is_out_of_service;
        if then.is_deleted && !now.is_deleted {
            ctx.hit(&rare::NODE_FORGOTTEN);
            state.ready = Ready::Unknown;
            // Its kubelet is restarted, and registers it again.
            state.will_register = true;
            ctx.observe(|| Observation::NodeForgotten { node: id });
        } else if now.is_deleted && !then.is_deleted {
            ctx.observe(|| Observation::NodeReturned { node: id });
        }
    }

    /// Nodes are as a snapshot shows them.
    ///
    /// Simplified: each was ready at that time, and none tainted for its silence.
    fn forget_node_states<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.evictor.reset();
        self.node_change_count += 1;
        for idx in 0..self.nodes.len() {
            let id = NodeId::from_index(idx);
            let node = &mut self.nodes[idx];
            node.is_queued = false;
            node.has_no_execute = false;
            node.expiry_at = SimTime::MAX;
            if !node.is_deleted {
                node.ready = Ready::True;
            }
            for pod in node.pods.clone() {
                self.cancel_eviction(pod, ctx);
            }
            self.tell_scheduler_of(id, ctx);
        }
    }

    fn restore_spec<E, R>(&mut self, id: WorkloadId, then: Spec, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.workloads[id.index()];
        let (replicas_before, template_before) = (state.replicas, state.template);
        state.replicas = then.replicas;
        state.template = then.template;
        state.previous = then.previous;
        state.current = then.current;
        state.is_rolling = then.is_rolling;
        if let Some(state) = self.off_peak.get_mut(&id) {
            state.original = then.original;
        }
        self.touch_scaler(id);
        self.expect_off_peak_look(id, ctx);
        let is_older_template = template_before != then.template;
        if is_older_template || replicas_before != then.replicas {
            ctx.hit(&rare::SPEC_REVERTED);
            ctx.observe(|| Observation::WorkloadReverted {
                workload: id,
                from: replicas_before,
                to: then.replicas,
                is_older_template,
            });
        }
    }

    fn meet_fate<E, R>(
        &mut self,
        id: PodId,
        fate: Fate,
        until: SimTime,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        match fate {
            Fate::Kept => {}
            Fate::Forgotten => {
                self.pods[id.index()].is_forgotten = true;
                self.remove_pod(id, ctx);
            }
            Fate::Orphaned => self.orphan(id, ctx),
            Fate::Returned => self.return_pod(id, until, ctx),
            Fate::ReturnedUnbound => {
                self.bring_object_back(id, ctx.now());
                self.pods[id.index()].node = None;
                self.queue_pod(id, ctx.now(), ctx);
            }
            Fate::Unbound => {
                // Simplified: the object that waits is told apart from the containers that run by
                // another number; it is the same pod.
                let PodState { workload, template, ordinal, pinned, .. } = self.pods[id.index()];
                // A Job makes another one by itself.
                if !self.jobs.contains_key(&workload) {
                    let order = PodOrder { template, ordinal, pinned };
                    let pod = self.new_pod(workload, order, ctx.now(), ctx.cause());
                    self.queue_pod(pod, ctx.now(), ctx);
                }
                self.orphan(id, ctx);
            }
            Fate::Undeleted => self.undelete(id, ctx),
        }
    }

    /// The API knows nothing of a pod any more; its containers run until their kubelet lists its
    /// pods, if there are any.
    fn orphan<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.pods[id.index()].node.expect("only bound pods leave containers");
        if self.is_running(node) {
            ctx.hit(&rare::POD_ORPHANED);
            let workload = self.pods[id.index()].workload;
            ctx.observe(|| Observation::PodOrphaned { pod: id, workload });
        }
        self.pods[id.index()].is_forgotten = true;
        self.leave_containers(id, ctx);
    }

    /// The object of a pod is gone; its containers run until their kubelet hears of it, if there are any.
    pub(super) fn leave_containers<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.pods[id.index()].node.expect("only bound pods leave containers");
        if !self.is_running(node) {
            self.remove_pod(id, ctx);
            return;
        }
        let workload = self.pods[id.index()].workload;
        self.release_from_scheduler(id, ctx);
        self.workloads[workload.index()].forget(id);
        let pod = &mut self.pods[id.index()];
        pod.is_orphan = true;
        pod.is_terminating = true;
        let was_ready = std::mem::take(&mut pod.is_ready);
        let eviction = std::mem::replace(&mut pod.eviction, Timer::NONE);
        ctx.cancel(eviction);
        if was_ready {
            self.notify(Notice::PodUnready(id));
        }
        self.note_drained_pod(id, ctx);
    }

    /// A pod is back whose containers are long gone: its node may have it start again.
    fn return_pod<E, R>(&mut self, id: PodId, until: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let former = &self.pods[id.index()];
        // Simplified: one whose end was told is not shown again, since nothing would come of it.
        if former.is_end_told && former.ended_at < until {
            return;
        }
        ctx.hit(&rare::POD_RETURNED);
        let node = former.node.expect("the snapshot has it on a node");
        // As far as the last change of its condition tells.
        let was_ready = former.has_address && former.ready_since <= until;
        let (workload, has_address) = (former.workload, former.has_address);
        self.bring_object_back(id, ctx.now());
        let pod = &mut self.pods[id.index()];
        pod.phase = PodPhase::Creating;
        pod.awaits_kubelet = true;
        pod.has_address = has_address;
        pod.is_ready = was_ready;
        self.assume(id, node);
        if self.nodes[node.index()].is_deleted {
            self.expect_quarantined_garbage(&[id], ctx);
        }
        ctx.observe(|| Observation::PodReturned { pod: id, workload, node });
        if was_ready {
            self.notify(Notice::PodReady(id));
        }
    }

    /// The object of a pod that was gone, as one that nothing was done for.
    fn bring_object_back(&mut self, id: PodId, now: SimTime) {
        let former = &self.pods[id.index()];
        let (workload, key) = (former.workload, former.key.child("restored"));
        let mut pod =
            PodState::new(workload, former.template, former.ordinal, key, now, former.cause);
        pod.node = former.node;
        pod.pinned = former.pinned;
        pod.created_at = former.created_at;
        self.pods[id.index()] = pod;
        let pods = &mut self.workloads[workload.index()].pods;
        if let Err(position) = pods.binary_search(&id) {
            pods.insert(position, id);
        }
    }

    /// A pod is not being deleted any more. What its kubelet has begun to stop it goes on stopping,
    /// and reports as finished.
    fn undelete<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &mut self.pods[id.index()];
        pod.is_terminating = false;
        pod.is_doomed = false;
        pod.deleted_at = None;
        let is_stopping = std::mem::take(&mut pod.is_stopping);
        let has_ended =
            std::mem::take(&mut pod.has_ended) || is_stopping || pod.phase == PodPhase::Waiting;
        self.release_from_scheduler(id, ctx);
        if has_ended {
            self.pods[id.index()].is_ready = false;
            self.end_processes(id, PodPhase::Finished, ctx);
            self.note_pod_cleared(id, ctx.now());
            return;
        }
        let (shape, node) = (self.tables.template_of(&self.pods[id.index()]).shape, {
            self.pods[id.index()].node.expect("an unbound pod is not left terminating")
        });
        if self.nodes[node.index()].is_in_scheduler {
            self.add_to_scheduler(id, shape, node);
        }
        if self.nodes[node.index()].is_deleted {
            self.expect_quarantined_garbage(&[id], ctx);
        }
    }

    /// Sizes the ReplicaSets of Deployments as the pods of a snapshot tell.
    fn restore_replica_sets(
        &mut self,
        changed: impl Iterator<Item = WorkloadId>,
        pods: &[PodId],
        now: SimTime,
    ) {
        let of_pods = pods.iter().map(|pod| self.pods[pod.index()].workload);
        let mut workloads: Vec<WorkloadId> = changed.chain(of_pods).collect();
        workloads.sort_unstable();
        workloads.dedup();
        for id in workloads.into_iter().filter(|id| self.is_deployment(*id)).collect::<Vec<_>>() {
            let mut sizes: BTreeMap<TemplateId, u32> = BTreeMap::new();
            for pod in &self.workloads[id.index()].pods {
                let pod = &self.pods[pod.index()];
                *sizes.entry(pod.template).or_default() += u32::from(pod.is_active());
            }
            // Nothing but the number of its pods tells how large an old one was.
            let spec = self.spec_of(id);
            if !spec.is_rolling {
                sizes = BTreeMap::from([(spec.template, spec.replicas)]);
            }
            self.resize_replica_sets(id, &sizes, now);
        }
    }

    /// A node that the API shows has no machine and is not ready: the cloud controller deletes it.
    pub(super) fn expect_cloud_pass<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let phase = self.draw(EntityKey::of("cloud-controller-manager"), CLOUD_PASS, 0);
        let at = ctx.now().next_tick(CLOUD_PERIOD, phase.span_between(SimSpan::ZERO, CLOUD_PERIOD));
        ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::CloudPassDue(id));
    }

    pub(super) fn on_cloud_pass<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &self.nodes[id.index()];
        if !node.is_deleted && !node.has_machine && node.ready != Ready::True {
            self.delete_node(id, ctx);
        }
    }
}
