//! Nodes: power, contact, leases, and what the node lifecycle controller does about silence.

use model_api::kube::{Node, Taint, TaintEffect};
use model_api::observation::DeletionReason;
use model_api::{Blueprint, NodeId, Observation, Parameters, PodId, ZoneId};
use sim_kernel::{
    Context, EntityKey, EventId, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use super::control_plane::Component;
use super::pod::PodPhase;
use super::tables::Tables;
use super::{Cluster, Island, KubeEvent, Notice, drawn, priority};
use crate::client_limit::ClientLimiter;
use crate::node_lifecycle::{
    DisruptionChange, EvictionRates, MonitorPasses, Ready, ZoneCount, ZoneEvictor,
};
use crate::rare;
use crate::taint_eviction::{OUT_OF_SERVICE, Stay, UNREACHABLE, UNSCHEDULABLE, taint};

/// Key of the taint on nodes that the cluster autoscaler removes (`utils/taints/taints.go`).
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

const LEASE_PHASE: Purpose = Purpose::new("lease phase");
const LEASE_PERIOD: Purpose = Purpose::new("lease period");
const MONITOR_PHASE: Purpose = Purpose::new("node monitor phase");
const TAINT_PHASE: Purpose = Purpose::new("tainter phase");
const CACHE: Purpose = Purpose::new("tainter's cache sees status");
const BOOT: Purpose = Purpose::new("node boot");
const RESUME: Purpose = Purpose::new("heartbeat resumes");
const GARBAGE: Purpose = Purpose::new("pod garbage collector phase");

/// Each renewal of a lease comes 0 to 4 % late
/// (component-helpers/apimachinery/lease/controller.go).
const LEASE_JITTER: f64 = 0.04;
/// The tainting pass runs every 100 ms (nodelifecycle, `nodeEvictionPeriod`).
const TAINT_PERIOD: SimSpan = SimSpan::from_millis(100);
/// How late the tainter's cache may show a status that the monitor has just written: a node that is
/// looked at before is dropped until the next pass, and its token is spent. 0 to 10 ms make that
/// happen in one loss of twenty, as recorded.
const CACHE_LAG_MOST: SimSpan = SimSpan::from_millis(10);
/// Periodic things ran long before the start, so their ticks are counted from here, an hour before.
const LONG_BEFORE: SimSpan = SimSpan::from_hours(1);

/// A moment counted from [`LONG_BEFORE`].
fn shifted(at: SimTime) -> SimTime {
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
    has_no_execute: bool,
    /// Waits for that taint, or has it: has left the monitor's care until it is ready.
    is_queued: bool,
    /// From then on the tainter sees that it is not ready.
    status_seen_at: SimTime,
    /// How often it was found silent.
    loss_count: u64,
    is_cordoned: bool,
    is_deleted: bool,
    /// Its kubelet was started and has not posted yet.
    will_register: bool,
    is_out_of_service: bool,
    pub(super) is_in_scheduler: bool,
    /// The pass that finds it silent; never, while it is not.
    expiry_at: SimTime,
    boot: Timer,
    resume: Timer,
    boot_count: u64,
    pub(super) resume_count: u64,
    /// The event that lost or restored it last.
    cause: EventId,
    /// When its kubelet has pulled all it was asked to.
    pub(super) pull_free_at: SimTime,
    pub(super) pods: Vec<PodId>,
    /// Images with the moment they are there, in order of number.
    images: Vec<(u32, SimTime)>,
}

impl NodeState {
    pub(super) fn all(blueprint: &Blueprint, tables: &Tables, streams: Streams) -> Vec<Self> {
        let period = blueprint.parameters.lease_renew_period;
        let nodes = blueprint.nodes.iter().zip(&tables.node_keys).zip(&tables.node_images);
        nodes
            .zip(super::spare_nodes(blueprint))
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
                    is_in_scheduler: !is_spare,
                    expiry_at: SimTime::MAX,
                    boot: Timer::NONE,
                    resume: Timer::NONE,
                    boot_count: 0,
                    resume_count: 0,
                    cause: EventId::NONE,
                    pull_free_at: SimTime::ZERO,
                    pods: Vec::new(),
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

    /// Forgets images of which it is not sure any more; whether there were some.
    pub(super) fn drop_images(&mut self, is_dropped: impl Fn(u32, SimTime) -> bool) -> bool {
        let count = self.images.len();
        self.images.retain(|(image, at)| !is_dropped(*image, *at));
        self.images.len() < count
    }

    /// The last renewal at or before `now`, shifted.
    fn last_renewal(&self, now: SimTime) -> SimTime {
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

    /// Pods may be bound to it as far as the node controller is concerned.
    pub(super) fn is_deleted(&self) -> bool {
        self.is_deleted
    }
}

/// The node lifecycle controller's clockwork.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    /// Passes of the present leader, shifted.
    passes: MonitorPasses,
    pause: SimSpan,
    pass_length: SimSpan,
    taint_phase: SimSpan,
    timer: Timer,
    next_at: SimTime,
    taint_timer: Timer,
    taint_at: SimTime,
    client: ClientLimiter,
}

impl Monitor {
    pub(super) fn at_start(parameters: &Parameters, streams: Streams) -> Self {
        let pause = parameters.node_monitor_period;
        let draw = streams.draw(EntityKey::of("kube-controller-manager"), MONITOR_PHASE, 0);
        let phase = draw.span_between(SimSpan::ZERO, pause);
        let taint = streams.draw(EntityKey::of("kube-controller-manager"), TAINT_PHASE, 0);
        Self {
            passes: MonitorPasses::new(SimTime::ZERO + phase, pause),
            pause,
            pass_length: MonitorPasses::PASS_LENGTH,
            taint_phase: taint.span_between(SimSpan::ZERO, TAINT_PERIOD),
            timer: Timer::NONE,
            next_at: SimTime::MAX,
            taint_timer: Timer::NONE,
            taint_at: SimTime::MAX,
            client: ClientLimiter::of_controller(),
        }
    }

    fn pass_at_or_after(&self, at: SimTime) -> SimTime {
        self.passes.at_or_after(shifted(at)) - LONG_BEFORE
    }

    /// When the last renewal expires for this leader.
    fn expiry(&self, renewed_at: SimTime, grace: SimSpan, now: SimTime) -> SimTime {
        let expiry = self.passes.expiry(renewed_at, grace).saturating_sub(LONG_BEFORE);
        expiry.max(self.pass_at_or_after(now))
    }
}

/// Zones and limiters of a cluster that just started.
pub(super) fn evictor(blueprint: &Blueprint, tables: &Tables) -> ZoneEvictor {
    let rates = EvictionRates::of(&blueprint.parameters);
    let mut evictor = ZoneEvictor::new(rates, tables.evictor_zone_count);
    let mut counts = vec![ZoneCount::default(); tables.evictor_zone_count];
    for (zone, is_spare) in tables.evictor_zones.iter().zip(super::spare_nodes(blueprint)) {
        counts[*zone].ready_count += u32::from(!is_spare);
    }
    evictor.handle_disruption(&counts, SimTime::ZERO);
    evictor
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
        self.nodes[node.index()].is_off = false;
        self.refresh_nodes(&[node], ctx);
    }

    /// Cuts a node off; it runs on.
    pub fn isolate_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_isolated = true;
        self.refresh_nodes(&[node], ctx);
    }

    /// Reconnects an isolated node.
    pub fn rejoin_node<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_isolated = false;
        self.refresh_nodes(&[node], ctx);
    }

    /// Forbids (or allows again) that new pods are bound to a node.
    pub fn cordon<E, R>(&mut self, node: NodeId, is_cordoned: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[node.index()].is_cordoned = is_cordoned;
        self.tell_scheduler_of(node);
        self.retry_unschedulable(ctx);
        self.settle(ctx);
    }

    /// Lets every pass of the node monitor take that long: a slow API, or nodes of others that the
    /// same controller looks after. Before the run.
    pub fn preset_monitor_pass(&mut self, length: SimSpan) {
        self.monitor.passes = MonitorPasses::new(self.monitor.passes.first_at, self.monitor.pause);
        self.monitor.passes = self.monitor.passes.taking(length);
        self.monitor.pass_length = length;
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
        let state = &mut self.nodes[node.index()];
        state.is_deleted = true;
        state.has_no_execute = false;
        state.is_queued = false;
        state.expiry_at = SimTime::MAX;
        self.tell_scheduler_of(node);
        let quarantine = self.blueprint.parameters.pod_gc_quarantine;
        let found_at = self.garbage_pass_at_or_after(ctx.now());
        let at = self.garbage_pass_at_or_after(found_at + quarantine);
        for pod in self.nodes[node.index()].pods.clone() {
            self.cancel_eviction(pod, ctx);
            ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::GarbageDue(pod));
        }
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
        self.nodes[node.index()].is_out_of_service = is_out_of_service;
        self.tell_scheduler_of(node);
        if !is_out_of_service {
            self.retry_unschedulable(ctx);
            self.request_daemon_syncs(ctx);
            return;
        }
        let at = self.garbage_pass_at_or_after(ctx.now() + SimSpan::from_secs(1));
        for pod in self.nodes[node.index()].pods.clone() {
            let template = self.tables.template_of(&self.pods[pod.index()]);
            if template.stay_out_of_service == Stay::Evicted {
                self.delete_pod(pod, DeletionReason::Taint, ctx);
                ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::GarbageDue(pod));
            }
        }
        self.settle(ctx);
    }
}

/// Machines of node groups.
impl Cluster {
    /// The provider starts a machine for a node; it boots, and its kubelet registers.
    pub(super) fn start_machine<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.nodes[node.index()];
        state.has_machine = true;
        state.is_new = true;
        (state.is_off, state.is_isolated) = (false, false);
        (state.is_cordoned, state.is_out_of_service) = (false, false);
        state.images.clear();
        self.refresh_power(node, ctx);
    }

    /// The provider deletes a machine, and the Node object goes with it if there is one.
    pub(super) fn end_machine<E, R>(&mut self, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
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
        self.refresh_members(ctx);
        for node in nodes {
            self.refresh_connection(*node, ctx);
            self.refresh_contact(*node, ctx);
            self.refresh_reachability(*node, ctx);
        }
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
        let node = &mut self.nodes[id.index()];
        // Images that were still being pulled have to be pulled again.
        if node.drop_images(|_, at| at > now) {
            ctx.hit(&rare::IMAGE_PULL_LOST);
        }
        node.pull_free_at = now;
        for pod in node.pods.clone() {
            self.pods[pod.index()].is_stopping = false;
            if self.pods[pod.index()].phase != PodPhase::Finished {
                self.end_processes(pod, PodPhase::Stopped, ctx);
            }
        }
    }

    pub(super) fn on_node_booted<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.nodes[id.index()].is_running = true;
        self.nodes[id.index()].will_register = true;
        self.nodes[id.index()].lease_origin = shifted(ctx.now());
        self.refresh_members(ctx);
        self.refresh_connection(id, ctx);
        self.refresh_contact(id, ctx);
        self.refresh_reachability(id, ctx);
        for pod in self.nodes[id.index()].pods.clone() {
            let state = &self.pods[pod.index()];
            if !state.is_terminating && state.phase == PodPhase::Stopped {
                self.begin_restart_on_boot(pod, ctx);
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
        } else {
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

    /// Works out which pass finds a node silent that has just lost contact.
    fn expect_expiry<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let grace = self.blueprint.parameters.node_monitor_grace_period;
        let node = &mut self.nodes[id.index()];
        if node.ready != Ready::True || node.is_deleted {
            return;
        }
        let renewed_at = node.last_renewal(ctx.now());
        node.expiry_at = self.monitor.expiry(renewed_at, grace, ctx.now());
        let at = node.expiry_at;
        self.request_pass(at, ctx);
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

/// The node lifecycle and taint-eviction controllers.
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
        if node.is_deleted {
            // A kubelet registers its Node when it starts, and never again.
            if !node.will_register {
                return;
            }
            if !std::mem::take(&mut node.is_new) {
                ctx.hit(&rare::NODE_REGISTERED_AGAIN);
            }
            node.is_deleted = false;
            node.ready = Ready::Unknown;
        }
        node.will_register = false;
        if node.ready != Ready::True {
            node.ready = Ready::True;
            let cause = node.cause;
            ctx.observe_because(cause, || Observation::NodeBecameReady { node: id });
            let pass_at = self.monitor.pass_at_or_after(ctx.now());
            self.request_pass(pass_at, ctx);
            self.tell_scheduler_of(id);
            self.retry_unschedulable(ctx);
            self.request_daemon_syncs(ctx);
            self.node_groups.note_ready_node();
        }
        self.note_upgraded_node(id, ctx);
    }

    fn request_pass<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let at = self.monitor.pass_at_or_after(at.max(ctx.now()));
        if ctx.is_pending(self.monitor.timer) && self.monitor.next_at <= at {
            return;
        }
        ctx.cancel(self.monitor.timer);
        self.monitor.next_at = at;
        self.monitor.timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::MonitorPass);
    }

    pub(super) fn on_monitor_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.monitor.next_at = SimTime::MAX;
        let now = ctx.now();
        for idx in 0..self.nodes.len() {
            let (id, node) = (NodeId::from_index(idx), &self.nodes[idx]);
            if node.is_deleted {
                continue;
            }
            if node.ready == Ready::True && node.expiry_at <= now {
                self.mark_node_unknown(id, ctx);
            } else if node.ready == Ready::True && node.is_queued {
                self.mark_node_reachable(id, ctx);
            }
            if self.nodes[idx].ready != Ready::True && !self.nodes[idx].is_queued {
                self.enqueue_node(id, now);
            }
        }
        self.judge_zones(ctx);
        let next = self.nodes.iter().map(|node| node.expiry_at).min().unwrap_or(SimTime::MAX);
        if next != SimTime::MAX {
            self.request_pass(next, ctx);
        }
        self.request_taint_pass(ctx);
    }

    /// A pass found a node silent for longer than the grace period.
    fn mark_node_unknown<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = &mut self.nodes[id.index()];
        node.ready = Ready::Unknown;
        node.expiry_at = SimTime::MAX;
        node.loss_count += 1;
        let (cause, occurrence) = (node.cause, node.loss_count);
        let lag = self.draw(self.tables.node_keys[id.index()], CACHE, occurrence);
        self.nodes[id.index()].status_seen_at =
            ctx.now() + lag.span_between(SimSpan::ZERO, CACHE_LAG_MOST);
        self.tell_scheduler_of(id);
        ctx.observe_because(cause, || Observation::NodeBecameNotReady { node: id });
        self.notify(Notice::NodeDetected(id));
        for pod in self.nodes[id.index()].pods.clone() {
            if !self.pods[pod.index()].is_ready {
                continue;
            }
            let at = self.monitor.client.reserve(ctx.now());
            let mut ctx = ctx.because(cause);
            if at > ctx.now() {
                ctx.hit(&rare::NODE_CLIENT_THROTTLED);
                ctx.schedule_at(at, priority::CONTROLLER, KubeEvent::MarkPodDue(pod));
            } else {
                self.mark_pod_unready(pod, &mut ctx);
            }
        }
    }

    pub(super) fn on_mark_pod_due<E, R>(&mut self, pod: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let node = self.pods[pod.index()].node;
        if node.is_some_and(|node| self.nodes[node.index()].ready != Ready::True) {
            self.mark_pod_unready(pod, ctx);
        }
    }

    fn enqueue_node(&mut self, id: NodeId, now: SimTime) {
        let zone = self.tables.evictor_zones[id.index()];
        self.evictor.enqueue(zone, self.tables.name_ranks[id.index()], now);
        self.nodes[id.index()].is_queued = true;
    }

    /// Takes a node out of the queue and its taint away (`markNodeAsReachable`).
    fn mark_node_reachable<E, R>(&mut self, id: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let rank = self.tables.name_ranks[id.index()];
        self.evictor.dequeue(self.tables.evictor_zones[id.index()], rank);
        let node = &mut self.nodes[id.index()];
        node.is_queued = false;
        if !std::mem::take(&mut node.has_no_execute) {
            return;
        }
        let cause = node.cause;
        ctx.observe_because(cause, || Observation::NodeUntainted { node: id });
        self.tell_scheduler_of(id);
        for pod in self.nodes[id.index()].pods.clone() {
            self.cancel_eviction(pod, ctx);
        }
        self.retry_unschedulable(ctx);
    }

    fn judge_zones<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let mut counts = vec![ZoneCount::default(); self.tables.evictor_zone_count];
        for (node, zone) in self.nodes.iter().zip(&self.tables.evictor_zones) {
            if node.is_deleted {
                continue;
            }
            if node.ready == Ready::True {
                counts[*zone].ready_count += 1;
            } else {
                counts[*zone].not_ready_count += 1;
            }
        }
        match self.evictor.handle_disruption(&counts, now) {
            DisruptionChange::None => {}
            DisruptionChange::Entered => {
                ctx.hit(&rare::ALL_ZONES_DISRUPTED);
                ctx.observe(|| Observation::MasterDisruptionStarted);
                for idx in 0..self.nodes.len() {
                    let id = NodeId::from_index(idx);
                    self.mark_node_reachable(id, ctx);
                    // The next pass queues them again, behind a limiter without tokens.
                    if !self.nodes[idx].is_deleted {
                        self.enqueue_node(id, now);
                    }
                }
            }
            DisruptionChange::Left => {
                ctx.hit(&rare::DISRUPTION_LEFT);
                let grace = self.blueprint.parameters.node_monitor_grace_period;
                for node in self.nodes.iter_mut().filter(|node| node.expiry_at != SimTime::MAX) {
                    node.expiry_at = self.monitor.expiry(shifted(now), grace, now);
                }
            }
        }
    }

    fn request_taint_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(due) = self.evictor.next_due(ctx.now()) else { return };
        let at = due.next_tick(TAINT_PERIOD, self.monitor.taint_phase);
        if ctx.is_pending(self.monitor.taint_timer) && self.monitor.taint_at <= at {
            return;
        }
        ctx.cancel(self.monitor.taint_timer);
        self.monitor.taint_at = at;
        self.monitor.taint_timer = ctx.timer_at(at, priority::CONTROLLER, KubeEvent::TaintPass);
    }

    pub(super) fn on_taint_pass<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        while let Some(rank) = self.evictor.take_due(ctx.now()) {
            let id = self.tables.node_of_rank(rank);
            let node = &mut self.nodes[id.index()];
            // A node that recovered is dropped; its token is spent.
            if node.ready == Ready::True {
                ctx.hit(&rare::NODE_BACK_BEFORE_TAINT);
                continue;
            }
            // So is one that seems to have: the next pass finds it again.
            if ctx.now() < node.status_seen_at {
                ctx.hit(&rare::NODE_TAINTED_TOO_EARLY);
                node.is_queued = false;
                let at = self.monitor.pass_at_or_after(ctx.now());
                self.request_pass(at, ctx);
                continue;
            }
            node.has_no_execute = true;
            let cause = node.cause;
            let mut ctx = ctx.because(cause);
            ctx.observe(|| Observation::NodeTaintedNoExecute { node: id });
            self.tell_scheduler_of(id);
            for pod in self.nodes[id.index()].pods.clone() {
                self.begin_eviction(pod, &mut ctx);
            }
        }
        self.request_taint_pass(ctx);
    }

    /// The taint-eviction controller sees a pod on a tainted node.
    pub(super) fn begin_eviction<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let is_tainted = pod.node.is_some_and(|node| self.nodes[node.index()].has_no_execute);
        if !is_tainted || !pod.is_active() || ctx.is_pending(pod.eviction) {
            return;
        }
        let span = match self.tables.template_of(pod).stay_unreachable {
            Stay::ForEver => return,
            Stay::For(span) => span,
            Stay::Evicted => SimSpan::ZERO,
        };
        self.pods[id.index()].eviction =
            ctx.timer_in(span, priority::CONTROLLER, KubeEvent::EvictionDue(id));
    }

    fn cancel_eviction<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let eviction = std::mem::replace(&mut self.pods[id.index()].eviction, Timer::NONE);
        if ctx.cancel(eviction) {
            ctx.hit(&rare::NODE_BACK_BEFORE_EVICTION);
        }
    }

    pub(super) fn on_eviction_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let is_tainted = pod.node.is_some_and(|node| self.nodes[node.index()].has_no_execute);
        if pod.is_active() && is_tainted {
            self.delete_pod(id, DeletionReason::Taint, ctx);
        }
    }

    /// A new leader knows no node: taints go, grace periods and tolerations start anew.
    pub(super) fn restart_node_controllers<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        ctx.cancel(self.monitor.timer);
        ctx.cancel(self.monitor.taint_timer);
        let passes = MonitorPasses::new(shifted(now), self.monitor.pause);
        self.monitor.passes = passes.taking(self.monitor.pass_length);
        self.monitor.client = ClientLimiter::of_controller();
        self.evictor.reset();
        for idx in 0..self.nodes.len() {
            let id = NodeId::from_index(idx);
            if self.nodes[idx].is_queued {
                self.mark_node_reachable(id, ctx);
            }
            self.nodes[idx].expiry_at = SimTime::MAX;
            if !self.nodes[idx].has_contact {
                self.expect_expiry(id, ctx);
            }
        }
        self.request_pass(now, ctx);
    }

    /// Takes away what only lived in the memory of a leader that is gone.
    pub(super) fn forget_evictions<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.nodes.len() {
            for pod in self.nodes[idx].pods.clone() {
                self.cancel_eviction(pod, ctx);
            }
        }
    }

    /// The first pass of the pod garbage collector at or after a moment.
    fn garbage_pass_at_or_after(&self, at: SimTime) -> SimTime {
        let period = self.blueprint.parameters.pod_gc_period;
        let key = EntityKey::of("kube-controller-manager");
        let phase = self.draw(key, GARBAGE, 0).span_between(SimSpan::ZERO, period);
        at.next_tick(period, phase)
    }

    /// The pod garbage collector removes a pod of a deleted or dead node.
    pub(super) fn on_garbage_due<E, R>(&mut self, id: PodId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let pod = &self.pods[id.index()];
        let Some(node) = pod.node.filter(|_| pod.exists()) else { return };
        let state = &self.nodes[node.index()];
        let is_dead = state.is_out_of_service && state.ready != Ready::True && pod.is_terminating;
        if state.is_deleted || is_dead {
            if !pod.is_terminating {
                self.delete_pod(id, DeletionReason::PodGc, ctx);
            }
            self.remove_pod(id, ctx);
        }
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

    /// The taints of a Node object, and whether it is unschedulable.
    pub(super) fn node_taints(&self, id: NodeId) -> (Vec<Taint>, bool) {
        let state = &self.nodes[id.index()];
        let mut taints = self.blueprint.nodes[id.index()].node.taints.clone();
        if state.is_cordoned {
            taints.push(taint(UNSCHEDULABLE, TaintEffect::NoSchedule));
        }
        if state.ready != Ready::True {
            taints.push(taint(UNREACHABLE, TaintEffect::NoSchedule));
        }
        if state.has_no_execute {
            taints.push(taint(UNREACHABLE, TaintEffect::NoExecute));
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

    /// Whether a component leads and the API answers.
    pub(super) fn runs(&self, component: Component) -> bool {
        self.control_plane.is_api_available() && self.control_plane.is_led(component)
    }

    pub(super) fn island_of_member(&self, member: usize) -> Island {
        let member = &self.tables.members[member];
        match member.node {
            Some(node) => self.island_of_node(node),
            None => self.island_of_zone(member.zone),
        }
    }
}
