//! Nodes: power, contact, leases, and what the API shows of them.
//!
//! Sources: `pkg/kubelet/kubelet_node_status.go`,
//! `component-helpers/apimachinery/lease/controller.go`, Kubernetes 1.36; [`crate::node_lifecycle`].

use std::sync::Arc;

use model_api::kube::{Node, Taint, TaintEffect};
use model_api::{Blueprint, NodeId, Observation, PodId, ZoneId};
use sim_kernel::{Context, EventId, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::pod::PodPhase;
use super::shutdowns::Shutdown;
use super::tables::Tables;
use super::{Cluster, KubeEvent, Notice, drawn, priority};
use crate::node_lifecycle::Ready;
use crate::node_pressure::{Condition, Conditions};
use crate::rare;
use crate::taint_eviction::{NOT_READY, OUT_OF_SERVICE, UNREACHABLE, UNSCHEDULABLE, taint};

/// Key of the taint on nodes that the cluster autoscaler removes (`utils/taints/taints.go`).
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

const LEASE_PHASE: Purpose = Purpose::new("lease phase");
const LEASE_PERIOD: Purpose = Purpose::new("lease period");
const BOOT: Purpose = Purpose::new("node boot");
const RESUME: Purpose = Purpose::new("heartbeat resumes");

/// Each renewal of a lease comes 0 to 4 % late
/// (component-helpers/apimachinery/lease/controller.go).
const LEASE_JITTER: f64 = 0.04;
/// Periodic things ran long before the start, so their ticks are counted from here, an hour before.
pub(super) const LONG_BEFORE: SimSpan = SimSpan::from_hours(1);

/// A moment counted from [`LONG_BEFORE`].
pub(super) fn shifted(at: SimTime) -> SimTime {
    at + LONG_BEFORE
}

#[derive(Clone, Debug)]
pub(super) struct NodeState {
    /// The provider has a machine for it, running or not.
    pub(super) has_machine: bool,
    /// That machine has never registered a Node.
    pub(super) is_new: bool,
    /// The cluster autoscaler is removing it.
    pub(super) is_going: bool,
    /// Lost by itself, apart from its zone.
    is_off: bool,
    /// Isolated by itself, apart from its zone.
    pub(super) is_isolated: bool,
    /// Has power, has booted.
    pub(super) is_running: bool,
    /// Reaches the API's side of the network, whether the API answers or not.
    pub(super) has_contact: bool,
    was_reachable: bool,
    /// A renewal of its lease, shifted; the others lie periods apart.
    lease_origin: SimTime,
    lease_period: SimSpan,
    pub(super) ready: Ready,
    /// Tainted `unreachable:NoExecute`.
    pub(super) has_no_execute: bool,
    /// Waits for that taint, or has it: has left the monitor's care until it is ready.
    pub(super) is_queued: bool,
    /// From then on the tainter sees that it is not ready.
    pub(super) status_seen_at: SimTime,
    /// How often it was found silent.
    pub(super) loss_count: u64,
    pub(super) is_cordoned: bool,
    pub(super) is_deleted: bool,
    /// Its kubelet was started and has not posted yet.
    pub(super) will_register: bool,
    pub(super) is_out_of_service: bool,
    /// Its kubelet cannot renew its lease, although it reaches the API.
    pub(super) is_lease_stalled: bool,
    /// What the API shows that runs out.
    pub(super) conditions: Conditions,
    pub(super) is_in_scheduler: bool,
    /// The pass that finds it silent; never, while it is not.
    pub(super) expiry_at: SimTime,
    pub(super) boot: Timer,
    pub(super) resume: Timer,
    boot_count: u64,
    pub(super) resume_count: u64,
    /// The event that lost or restored it last.
    pub(super) cause: EventId,
    /// When its kubelet has pulled all it was asked to.
    pub(super) pull_free_at: SimTime,
    pub(super) pods: Vec<PodId>,
    /// Its machine shuts down in order.
    pub(super) shutdown: Option<Shutdown>,
    /// Images with the moment they are there, in order of number.
    images: Vec<(u32, SimTime)>,
}

impl NodeState {
    pub(super) fn all(blueprint: &Blueprint, tables: &Tables, streams: Streams) -> Vec<Self> {
        let period = blueprint.parameters.lease_renew_period;
        let nodes = blueprint.nodes.iter().zip(&tables.node_keys).zip(&tables.node_images);
        nodes
            .zip(blueprint.spare_nodes())
            .map(|(((spec, key), images), is_spare)| {
                // Simplified: a node's period is drawn once, not for every renewal; the range is
                // the same, and the phase of a node does not wander.
                let lease_period = streams.draw(*key, LEASE_PERIOD, 0).jitter(period, LEASE_JITTER);
                let phase = streams.draw(*key, LEASE_PHASE, 0);
                let lease_origin = SimTime::ZERO + phase.span_between(SimSpan::ZERO, lease_period);
                let mut node = Self {
                    has_machine: !is_spare,
                    is_new: false,
                    is_going: false,
                    is_off: false,
                    is_isolated: false,
                    is_running: !is_spare,
                    has_contact: !is_spare,
                    was_reachable: !is_spare,
                    lease_origin,
                    lease_period,
                    ready: if is_spare { Ready::Unknown } else { Ready::True },
                    has_no_execute: false,
                    is_queued: false,
                    status_seen_at: SimTime::ZERO,
                    loss_count: 0,
                    is_cordoned: spec.node.unschedulable,
                    is_deleted: is_spare,
                    will_register: false,
                    is_out_of_service: false,
                    is_lease_stalled: false,
                    conditions: Conditions::default(),
                    is_in_scheduler: !is_spare,
                    expiry_at: SimTime::MAX,
                    boot: Timer::NONE,
                    resume: Timer::NONE,
                    boot_count: 0,
                    resume_count: 0,
                    cause: EventId::NONE,
                    pull_free_at: SimTime::ZERO,
                    pods: Vec::new(),
                    shutdown: None,
                    images: Vec::new(),
                };
                if !is_spare {
                    images.iter().for_each(|image| node.add_image(*image, SimTime::ZERO));
                }
                node
            })
            .collect()
    }

    /// When an image is there, `None` when nobody asked for it yet.
    pub(super) fn image_at(&self, image: u32) -> Option<SimTime> {
        let found = self.images.binary_search_by_key(&image, |(number, _)| *number);
        found.ok().map(|idx| self.images[idx].1)
    }

    pub(super) fn add_image(&mut self, image: u32, at: SimTime) {
        if let Err(idx) = self.images.binary_search_by_key(&image, |(number, _)| *number) {
            self.images.insert(idx, (image, at));
        }
    }

    /// Forgets images whose pull broke off; whether there were some. Those that are still being
    /// pulled keep their times, and the next pull comes after them.
    pub(super) fn drop_images(&mut self, is_dropped: impl Fn(u32, SimTime) -> bool) -> bool {
        let count = self.images.len();
        self.images.retain(|(image, at)| !is_dropped(*image, *at));
        self.pull_free_at = self.images.iter().map(|(_, at)| *at).max().unwrap_or(SimTime::ZERO);
        self.images.len() < count
    }

    /// The last renewal at or before `now`, shifted.
    pub(super) fn last_renewal(&self, now: SimTime) -> SimTime {
        let since = shifted(now).saturating_since(self.lease_origin).as_nanos();
        self.lease_origin + self.lease_period * (since / self.lease_period.as_nanos())
    }

    /// Volumes are detached at once: its kubelet confirms, or somebody is sure that it is down.
    pub(super) fn lets_volumes_go(&self) -> bool {
        self.has_contact || self.is_out_of_service
    }

    /// Some time after the last renewal at or before `now`.
    pub(super) fn last_renewal_plus(&self, span: SimSpan, now: SimTime) -> SimTime {
        (self.last_renewal(now) + span).saturating_sub(LONG_BEFORE)
    }
}

/// Commands.
impl Cluster {
    /// Cuts the power of a zone: its nodes and members of the control plane stop.
    pub fn lose_zone<E, R>(&mut self, zone: ZoneId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.zones[zone.index()].is_off = true;
        ctx.observe(|| Observation::ZoneLost { zone, is_isolated: false });
        self.refresh_zone(zone, ctx);
    }

    /// Gives a zone its power back; its machines boot.
    pub fn restore_zone<E, R>(&mut self, zone: ZoneId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.zones[zone.index()].is_off = false;
        ctx.observe(|| Observation::ZoneRestored { zone });
        self.refresh_zone(zone, ctx);
    }

    /// Cuts a zone off: what is in it runs on and reaches nothing outside.
    pub fn isolate_zone<E, R>(&mut self, zone: ZoneId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        self.zones[zone.index()].is_isolated = true;
        ctx.observe(|| Observation::ZoneLost { zone, is_isolated: true });
        self.refresh_zone(zone, ctx);
    }

    /// Reconnects an isolated zone.
    pub fn rejoin_zone<E, R>(&mut self, zone: ZoneId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        self.zones[zone.index()].is_isolated = false;
        ctx.observe(|| Observation::ZoneRestored { zone });
        self.refresh_zone(zone, ctx);
    }

    /// Stops a node.
    pub fn lose_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_off = true;
        self.refresh_nodes(&[node], ctx);
    }

    /// Gives a node its power back; it boots.
    pub fn restore_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.boots_after_shutdown(node) {
            self.nodes[node.index()].is_off = false;
            self.refresh_nodes(&[node], ctx);
        }
    }

    /// Cuts a node off; it runs on.
    pub fn isolate_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        self.nodes[node.index()].is_isolated = true;
        self.refresh_nodes(&[node], ctx);
    }

    /// Reconnects an isolated node.
    pub fn rejoin_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        self.nodes[node.index()].is_isolated = false;
        self.refresh_nodes(&[node], ctx);
    }

    /// Forbids (or allows again) that new pods are bound to a node.
    pub fn cordon<E, R>(&mut self, node: NodeId, is_cordoned: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_node(node, ctx.now());
        self.nodes[node.index()].is_cordoned = is_cordoned;
        self.notify(Notice::NodeCordoned(node));
        self.tell_scheduler_of(node, ctx);
        self.settle(ctx);
    }

    /// Changes `spec.taints` of a Node, as `kubectl taint` does, but for the taints that follow from its
    /// state.
    pub fn change_taints<E, R>(
        &mut self,
        node: NodeId,
        taints: Vec<Taint>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_node(node, ctx.now());
        Arc::make_mut(&mut self.blueprint).nodes[node.index()].node.taints = taints;
        self.tell_scheduler_of(node, ctx);
        self.review_evictions(node, ctx);
        self.request_daemon_syncs(ctx);
        self.settle(ctx);
    }

    /// Deletes a Node object, as an operator or a cloud controller does with a machine that is no
    /// more. The pods on it are garbage after the quarantine.
    pub fn delete_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let rank = self.tables.name_ranks[node.index()];
        self.evictor.dequeue(self.tables.evictor_zones[node.index()], rank);
        self.note_node(node, ctx.now());
        self.node_change_count += 1;
        let state = &mut self.nodes[node.index()];
        state.is_deleted = true;
        state.has_no_execute = false;
        state.is_queued = false;
        state.expiry_at = SimTime::MAX;
        self.tell_scheduler_of(node, ctx);
        let pods = self.nodes[node.index()].pods.clone();
        for pod in &pods {
            self.cancel_eviction(*pod, ctx);
        }
        self.expect_quarantined_garbage(&pods, ctx);
        self.request_pass(ctx.now(), ctx);
        self.settle(ctx);
    }

    /// Taints a node `node.kubernetes.io/out-of-service:NoExecute`: somebody is sure that it is
    /// down. Its pods are deleted and, while it is not ready, removed. Nobody but the one who set
    /// the taint takes it away.
    pub fn set_out_of_service<E, R>(
        &mut self,
        node: NodeId,
        is_out_of_service: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_node(node, ctx.now());
        self.nodes[node.index()].is_out_of_service = is_out_of_service;
        self.tell_scheduler_of(node, ctx);
        self.review_evictions(node, ctx);
        if is_out_of_service {
            let pods = self.nodes[node.index()].pods.clone();
            self.expect_garbage(&pods, ctx);
        } else {
            self.request_daemon_syncs(ctx);
        }
        self.settle(ctx);
    }
}

/// Machines of node groups.
impl Cluster {
    /// Somebody adds a machine by hand, in a place of a node group that the cluster autoscaler does not
    /// look after; it boots, and its kubelet registers.
    pub fn add_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.start_machine(node, ctx);
        self.settle(ctx);
    }

    /// The provider starts a machine for a node; it boots, and its kubelet registers.
    pub(super) fn start_machine<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        let state = &mut self.nodes[node.index()];
        state.has_machine = true;
        state.is_new = true;
        (state.is_off, state.is_isolated) = (false, false);
        (state.is_cordoned, state.is_out_of_service) = (false, false);
        state.conditions = Conditions::default();
        state.images.clear();
        self.refresh_power(node, ctx);
    }

    /// The provider deletes a machine, and the Node object goes with it if there is one.
    pub(super) fn end_machine<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        let state = &mut self.nodes[node.index()];
        state.has_machine = false;
        // Whoever asked for this knows of it: the node is not lost.
        state.was_reachable = false;
        if !state.is_deleted {
            self.delete_node(node, ctx);
        }
        self.refresh_nodes(&[node], ctx);
        for pod in self.nodes[node.index()].pods.clone() {
            self.touch_services_of(pod);
        }
        let state = &mut self.nodes[node.index()];
        state.is_going = false;
        state.ready = Ready::Unknown;
        self.settle(ctx);
    }
}

/// Power and contact.
impl Cluster {
    fn refresh_zone<E, R>(&mut self, zone: ZoneId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let all = (0..self.nodes.len()).map(NodeId::from_index);
        let nodes: Vec<NodeId> =
            all.filter(|node| self.blueprint.nodes[node.index()].zone == zone).collect();
        self.refresh_nodes(&nodes, ctx);
    }

    /// Applies what was changed about the power and contact of nodes and members.
    fn refresh_nodes<E, R>(&mut self, nodes: &[NodeId], ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for node in nodes {
            self.refresh_power(*node, ctx);
        }
        self.sources.note_network();
        self.refresh_members(ctx);
        for node in nodes {
            self.refresh_connection(*node, ctx);
            self.refresh_contact(*node, ctx);
            self.refresh_reachability(*node, ctx);
        }
        self.refresh_api_clients(ctx);
        self.settle(ctx);
    }

    fn refresh_power<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let zone = self.blueprint.nodes[id.index()].zone;
        let node = &mut self.nodes[id.index()];
        let has_power = node.has_machine && !node.is_off && !self.zones[zone.index()].is_off;
        if !has_power {
            let boot = std::mem::replace(&mut node.boot, Timer::NONE);
            ctx.cancel(boot);
            if node.is_running {
                node.is_running = false;
                self.node_change_count += 1;
                self.stop_node(id, ctx);
            }
        } else if !node.is_running && !ctx.is_pending(node.boot) {
            node.boot_count += 1;
            let occurrence = node.boot_count;
            let draw = self.draw(self.tables.node_keys[id.index()], BOOT, occurrence);
            let span = self
                .boot_time(id, occurrence)
                .unwrap_or_else(|| drawn(draw, self.blueprint.parameters.node_boot));
            let event = KubeEvent::NodeBooted(id);
            self.nodes[id.index()].boot = ctx.timer_in(span, priority::MACHINE, event);
        }
    }

    /// Everything on a node stops at once.
    fn stop_node<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        self.break_shutdown_off(id, ctx);
        let node = &mut self.nodes[id.index()];
        // Images that were still being pulled have to be pulled again.
        if node.drop_images(|_, at| at > now) {
            ctx.hit(&rare::IMAGE_PULL_LOST);
        }
        self.end_node_memory(id, ctx);
        for pod in self.nodes[id.index()].pods.clone() {
            self.pods[pod.index()].is_stopping = false;
            self.pods[pod.index()].has_ended = false;
            if self.pods[pod.index()].phase != PodPhase::Finished {
                // What its kubelet had begun to end starts again when it boots.
                self.pods[pod.index()].eviction_grace = None;
                self.pods[pod.index()].is_shut_down = false;
                self.end_processes(pod, PodPhase::Stopped, ctx);
            }
        }
    }

    pub(super) fn on_node_booted<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_change_count += 1;
        self.nodes[id.index()].is_running = true;
        self.nodes[id.index()].will_register = true;
        self.nodes[id.index()].lease_origin = shifted(ctx.now());
        self.begin_node_memory(id, ctx.now());
        self.refresh_members(ctx);
        self.refresh_connection(id, ctx);
        self.refresh_contact(id, ctx);
        self.refresh_reachability(id, ctx);
        for pod in self.nodes[id.index()].pods.clone() {
            let state = &self.pods[pod.index()];
            // What the kubelet never heard of it starts when it does.
            let is_known = !state.awaits_kubelet && !state.is_terminating;
            if is_known && state.phase == PodPhase::Stopped {
                if self.is_in_contact(pod) {
                    self.begin_restart_on_boot(pod, ctx);
                } else {
                    self.await_list(pod, ctx);
                }
            }
        }
    }

    /// Works out whether a node reaches the API's side and does what follows.
    pub(super) fn refresh_contact<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let island = self.island_of_node(id);
        let api_island = self.control_plane.island();
        let connection = self.connections[id.index()];
        let node = &mut self.nodes[id.index()];
        let has_contact = node.is_running && island == api_island && connection.is_alive();
        if node.has_contact == has_contact {
            return;
        }
        node.has_contact = has_contact;
        node.cause = ctx.cause();
        let resume = std::mem::replace(&mut node.resume, Timer::NONE);
        ctx.cancel(resume);
        if has_contact {
            let booted_now = node.lease_origin == shifted(ctx.now());
            let is_at_once = booted_now || connection.was_dialed_at(ctx.now());
            self.schedule_heartbeat(id, is_at_once, ctx);
            self.catch_up_pods(id, ctx);
        } else if !std::mem::take(&mut node.is_lease_stalled) {
            self.expect_expiry(id, ctx);
        }
    }

    /// A kubelet that just started posts at once; one that was cut off tries again within a period.
    pub(super) fn schedule_heartbeat<E, R>(
        &mut self,
        id: NodeId,
        is_at_once: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &mut self.nodes[id.index()];
        if ctx.is_pending(node.resume) {
            return;
        }
        node.resume_count += 1;
        let (occurrence, period) = (node.resume_count, node.lease_period);
        let draw = self.draw(self.tables.node_keys[id.index()], RESUME, occurrence);
        let span = if is_at_once {
            drawn(draw, self.blueprint.parameters.watch_latency)
        } else {
            draw.span_between(SimSpan::ZERO, period)
        };
        let event = KubeEvent::HeartbeatResumed(id);
        self.nodes[id.index()].resume = ctx.timer_in(span, priority::KUBELET, event);
    }

    fn refresh_reachability<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_reachable = self.is_reachable(id);
        if self.nodes[id.index()].was_reachable == is_reachable {
            return;
        }
        self.nodes[id.index()].was_reachable = is_reachable;
        if is_reachable {
            ctx.observe(|| Observation::NodeRestored { node: id });
        } else {
            ctx.observe(|| Observation::NodeLost { node: id });
        }
        let runs = self.is_running(id);
        for pod in self.nodes[id.index()].pods.clone() {
            if self.pods[pod.index()].answers && runs {
                self.notify(if is_reachable {
                    Notice::PodReconnected(pod)
                } else {
                    Notice::PodCutOff(pod)
                });
            }
            self.touch_services_of(pod);
        }
    }
}

/// Heartbeats, and the Node object.
impl Cluster {
    /// The kubelet's heartbeat reaches the API again.
    pub(super) fn on_heartbeat_resumed<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &mut self.nodes[id.index()];
        if !node.has_contact {
            return;
        }
        node.lease_origin = shifted(ctx.now());
        node.expiry_at = SimTime::MAX;
        node.is_lease_stalled = false;
        if node.shutdown.is_some() {
            // It goes on saying that it shuts down.
            return;
        }
        if node.is_deleted {
            // A kubelet registers its Node when it starts, and never again.
            if !node.will_register {
                return;
            }
            self.note_node(id, ctx.now());
            let node = &mut self.nodes[id.index()];
            if !std::mem::take(&mut node.is_new) {
                ctx.hit(&rare::NODE_REGISTERED_AGAIN);
            }
            node.is_deleted = false;
            node.ready = Ready::Unknown;
        }
        self.node_change_count += 1;
        let node = &mut self.nodes[id.index()];
        node.will_register = false;
        if node.ready != Ready::True {
            node.ready = Ready::True;
            let cause = node.cause;
            ctx.observe_because(cause, || Observation::NodeBecameReady { node: id });
            let pass_at = self.monitor.pass_at_or_after(ctx.now());
            self.request_pass(pass_at, ctx);
            self.tell_scheduler_of(id, ctx);
            self.request_daemon_syncs(ctx);
            self.node_groups.note_ready_node();
        }
        self.on_pressure_seen(id, ctx);
        self.note_upgraded_node(id, ctx);
        self.expect_lease_stall(id, ctx);
    }

    /// The Node object as the scheduler should see it, with the taints of its conditions; `None`
    /// when there is none.
    pub(super) fn node_object(&self, id: NodeId) -> Option<Node> {
        if self.nodes[id.index()].is_deleted {
            return None;
        }
        let mut node = self.blueprint.nodes[id.index()].node.clone();
        (node.taints, node.unschedulable) = self.node_taints(id);
        Some(node)
    }

    /// Whether a node takes no pods (`spec.unschedulable`).
    pub fn is_cordoned(&self, node: NodeId) -> bool {
        self.nodes[node.index()].is_cordoned
    }

    /// The taints of a Node object, and whether it is unschedulable.
    pub(super) fn node_taints(&self, id: NodeId) -> (Vec<Taint>, bool) {
        let state = &self.nodes[id.index()];
        let mut taints = self.blueprint.nodes[id.index()].node.taints.clone();
        if state.is_cordoned {
            taints.push(taint(UNSCHEDULABLE, TaintEffect::NoSchedule));
        }
        // A silent node's conditions are all unknown, and pressure that is unknown is no taint
        // (pkg/controller/nodelifecycle/node_lifecycle_controller.go).
        match state.ready {
            Ready::True => {}
            Ready::False => taints.push(taint(NOT_READY, TaintEffect::NoSchedule)),
            Ready::Unknown => taints.push(taint(UNREACHABLE, TaintEffect::NoSchedule)),
        }
        if state.ready != Ready::Unknown {
            let held = Condition::ALL.into_iter().zip(state.conditions).filter(|(_, holds)| *holds);
            let keys = held.map(|(condition, _)| condition.taint());
            taints.extend(keys.map(|key| taint(key, TaintEffect::NoSchedule)));
        }
        if state.has_no_execute {
            let is_told = state.ready == Ready::False;
            let key = if is_told { NOT_READY } else { UNREACHABLE };
            taints.push(taint(key, TaintEffect::NoExecute));
        }
        if state.is_going {
            taints.push(taint(TO_BE_DELETED, TaintEffect::NoSchedule));
        }
        if state.is_out_of_service {
            taints.push(taint(OUT_OF_SERVICE, TaintEffect::NoExecute));
        }
        (taints, state.is_cordoned)
    }

    /// Whether the API shows a node as ready.
    pub fn is_node_ready(&self, node: NodeId) -> bool {
        self.nodes[node.index()].ready == Ready::True && !self.nodes[node.index()].is_deleted
    }

    /// How often nodes came, went, or began or ceased to run, to be reached or to be ready: who looks at
    /// all of them need not look again while it is the same.
    pub fn node_change_count(&self) -> u64 {
        self.node_change_count
    }

    /// Lets every node look again whether it reaches the API's side.
    pub(super) fn refresh_all_contacts<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.nodes.len() {
            self.refresh_contact(NodeId::from_index(idx), ctx);
        }
    }
}
