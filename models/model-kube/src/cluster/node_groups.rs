//! Node groups in time: the cluster autoscaler looks, the provider starts machines, nodes come and
//! go.
//!
//! The arena of nodes has a place for every node that a group may ever have. A node that comes takes
//! the first free place of its group: one without a machine, whose earlier pods are all gone.
//!
//! # Modelled
//! Looks as upstream makes them, those left out that would find what the last one found; requests to
//! the provider, its quota and its lack of capacity by zone, machines that boot for a random time;
//! requests that are given up, back-off; removal by taint, eviction and deletion; another process
//! that takes over and remembers nothing.
//! # Not modelled
//! Machines that come up broken. Nodes that register and are not ready yet. Volumes that live on a
//! node keep none.
//! # Defaults and their sources
//! [`Options`] and the modules of the decisions; [`model_api::machines::BootTime`].
//! # Invariants
//! Nothing happens while nothing changes. A group's machines are never more than its target, its
//! target lies between its minimum (once reached) and its maximum.
//! # Checked against
//! `tests/it/node_groups.rs`: looks that are left out change nothing; sizes keep their bounds.

mod removal;
mod sight;

use std::sync::Arc;

use model_api::blueprint::NodeSpec;
use model_api::machines::NodeGroup as GroupSpec;
use model_api::observation::PendingWrite;
use model_api::{Blueprint, NodeId, Observation, WorkloadId, ZoneId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::{Cluster, KubeEvent, Notice, drawn, operators, priority};
use crate::cluster_autoscaler::{Actions, Autoscaler, Options};
use crate::rare;

pub(super) use sight::GroupTables;

use removal::Removing;

const LOOK_PHASE: Purpose = Purpose::new("cluster autoscaler phase");
const LOOK: Purpose = Purpose::new("cluster autoscaler sees pod");
const CHOICE: Purpose = Purpose::new("choice among node groups");
const MACHINE_BOOT: Purpose = Purpose::new("new node boot");

/// What the provider does about new machines in a zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// It starts them.
    #[default]
    Enough,
    /// It takes requests, and no machine comes.
    Stuck,
    /// It refuses.
    Refused,
}

/// All node groups of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeGroups {
    /// `None`: nobody changes the size of a group, or nobody that runs.
    autoscaler: Option<Autoscaler>,
    /// By group: what it is told to be.
    targets: Vec<usize>,
    removals: Vec<Removing>,
    /// By zone.
    capacity: Vec<Capacity>,
    look: Timer,
    look_at: SimTime,
    /// How often pods that were found unschedulable were seen.
    seen_count: u64,
    /// How often groups grew.
    growth_count: u64,
    /// Something changed that a look may answer.
    is_dirty: bool,
    /// A pod was found unschedulable.
    has_new_pod: bool,
    /// Its process ended; another one may follow.
    is_without_process: bool,
    /// Look at every interval, for comparison.
    is_eager: bool,
}

impl NodeGroups {
    pub(super) fn at_start(blueprint: &Blueprint, streams: Streams) -> Self {
        let Some(spec) = &blueprint.cluster_autoscaler else { return Self::default() };
        let options = Options::stated(spec);
        let phase = streams.draw(autoscaler_key(), LOOK_PHASE, 0);
        let started_at = SimTime::ZERO + phase.span_between(SimSpan::ZERO, options.scan_interval);
        Self {
            autoscaler: Some(Autoscaler::new(options, started_at)),
            targets: blueprint.node_groups.iter().map(|group| group.initial as usize).collect(),
            capacity: vec![Capacity::Enough; blueprint.zones.len()],
            look_at: SimTime::MAX,
            ..Self::default()
        }
    }

    fn is_idle(&self) -> bool {
        self.targets.is_empty()
    }

    /// Takes note of what happened to a pod or node.
    pub(super) fn note(&mut self, notice: Notice) {
        if self.is_idle() {
            return;
        }
        match notice {
            Notice::PodUnschedulable(_) => self.has_new_pod = true,
            Notice::PodBound(_)
            | Notice::PodReady(_)
            | Notice::PodUnready(_)
            | Notice::PodTerminating(_)
            | Notice::PodGone(_)
            | Notice::NodeDetected(_)
            | Notice::OperatorTurned { .. }
            | Notice::ApiChanged(_) => self.is_dirty = true,
            // Of the rest it learns nothing, or learns it by what comes of it.
            _ => {}
        }
    }

    /// A node became ready.
    pub(super) fn note_ready_node(&mut self) {
        self.is_dirty = true;
    }
}

fn autoscaler_key() -> EntityKey {
    EntityKey::of("cluster-autoscaler")
}

/// Commands and looks.
impl Cluster {
    /// Says what the provider does about new machines in a zone from now on. Returns how many node
    /// groups that concerns.
    pub fn set_machine_capacity<E, R>(
        &mut self,
        zone: ZoneId,
        capacity: Capacity,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = Arc::clone(&self.blueprint);
        if self.node_groups.is_idle() {
            return 0;
        }
        self.node_groups.capacity[zone.index()] = capacity;
        let in_zone = |group: &GroupSpec| group.zone == zone;
        for (idx, _) in blueprint.node_groups.iter().enumerate().filter(|(_, it)| in_zone(it)) {
            self.start_machines(idx, ctx);
        }
        self.settle(ctx);
        let count = blueprint.node_groups.iter().filter(|group| in_zone(group)).count();
        u32::try_from(count).expect("groups are few")
    }

    /// Whether there is a machine for a node, running or not.
    pub fn has_machine(&self, node: NodeId) -> bool {
        self.nodes[node.index()].has_machine
    }

    /// How many nodes a group of the blueprint is told to have.
    pub fn group_target(&self, group: usize) -> usize {
        self.node_groups.targets.get(group).copied().unwrap_or(0)
    }

    /// Lets the cluster autoscaler look at every interval, as upstream does, instead of only when
    /// the outcome may differ. It costs time and changes nothing: for checks of just that.
    pub fn scan_at_every_interval(&mut self) {
        self.node_groups.is_eager = true;
    }

    /// The cluster autoscaler looks for the first time.
    pub(super) fn begin_node_groups<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if let Some(autoscaler) = &self.node_groups.autoscaler {
            let at = autoscaler.looked_at();
            self.request_groups_look(at, ctx);
        }
    }

    /// Schedules a look when something changed in the call that runs.
    pub(super) fn settle_node_groups<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let groups = &mut self.node_groups;
        let (is_dirty, has_new_pod) =
            (std::mem::take(&mut groups.is_dirty), std::mem::take(&mut groups.has_new_pod));
        if !is_dirty && !has_new_pod || self.node_groups.is_idle() {
            return;
        }
        self.note_lost_lease(ctx.now());
        if self.node_groups.is_without_process {
            self.follow_process(ctx);
            return;
        }
        let groups = &self.node_groups;
        let Some(autoscaler) = &groups.autoscaler else { return };
        let (now, seen) = (ctx.now(), groups.seen_count);
        if has_new_pod && autoscaler.options().frequent_loops {
            let draw = self.draw(autoscaler_key(), LOOK, seen);
            let at = now + drawn(draw, self.blueprint.parameters.watch_latency);
            self.node_groups.seen_count += 1;
            self.request_groups_look(at, ctx);
        } else {
            let at = autoscaler.next_look(now + SimSpan::from_nanos(1));
            self.request_groups_look(at, ctx);
        }
    }

    fn request_groups_look<E, R>(&mut self, at: SimTime, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if ctx.is_pending(self.node_groups.look) && self.node_groups.look_at <= at {
            return;
        }
        ctx.cancel(self.node_groups.look);
        self.node_groups.look_at = at;
        self.node_groups.look = ctx.timer_at(at, priority::NODE_GROUPS, KubeEvent::GroupsLook);
    }

    pub(super) fn on_groups_look<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.node_groups.look_at = SimTime::MAX;
        if !self.has_autoscaler_process() {
            // One that still leads looks again, and remembers, as soon as it is answered.
            ctx.hit(&rare::AUTOSCALER_AWAY);
            return;
        }
        let now = ctx.now();
        let Some(mut autoscaler) = self.node_groups.autoscaler.take() else { return };
        let draw = self.draw(autoscaler_key(), CHOICE, self.node_groups.growth_count);
        let actions = self.scan(&mut autoscaler, now, |count| draw.index(count));
        self.node_groups.growth_count += u64::from(!actions.grow.is_empty());
        self.node_groups.autoscaler = Some(autoscaler);
        self.act(&actions, ctx);
        let autoscaler = self.node_groups.autoscaler.as_ref().expect("it was just put back");
        let changed_at = self.next_pod_change(autoscaler.options(), now);
        let changed_at = changed_at.map(|at| autoscaler.next_look(at + SimSpan::from_nanos(1)));
        let is_eager = self.node_groups.is_eager && actions.next_look != Some(now);
        let next_at = now + autoscaler.options().scan_interval;
        let looks = [actions.next_look, changed_at, is_eager.then_some(next_at)];
        if let Some(at) = looks.into_iter().flatten().min() {
            self.request_groups_look(at, ctx);
        }
    }

    fn act<E, R>(&mut self, actions: &Actions, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for group in &actions.give_up {
            self.give_up(*group, ctx);
        }
        for (group, target) in &actions.grow {
            self.ask_provider(*group, *target, ctx);
        }
        for node in &actions.delete {
            self.begin_removal(*node, ctx);
        }
    }

    fn ask_provider<E, R>(&mut self, group: usize, target: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let zone = self.blueprint.node_groups[group].zone;
        let wanted = target - self.node_groups.targets[group];
        let count = u32::try_from(wanted).expect("groups are limited far below 2^32");
        if self.is_refused(zone, wanted) {
            ctx.hit(&rare::NODES_REFUSED);
            ctx.observe(|| Observation::NodesRefused { zone, count });
            let autoscaler = self.node_groups.autoscaler.as_mut();
            autoscaler.expect("it asked").scale_up_failed(group, ctx.now());
            // The next look tries another group.
            self.node_groups.is_dirty = true;
            return;
        }
        ctx.observe(|| Observation::NodesRequested { zone, count });
        self.node_groups.targets[group] = target;
        self.start_machines(group, ctx);
    }

    /// Whether the provider refuses so many more machines in a zone: it says that it has none, or
    /// its quota would be exceeded, in which the workers of no group count too.
    fn is_refused(&self, zone: ZoneId, wanted: usize) -> bool {
        let in_zone = |(group, _): &(&GroupSpec, &usize)| group.zone == zone;
        let groups = self.blueprint.node_groups.iter().zip(&self.node_groups.targets);
        let of_groups: usize = groups.filter(in_zone).map(|(_, target)| *target).sum();
        let nodes = self.blueprint.nodes.iter().enumerate();
        let is_other = |(idx, spec): &(usize, &NodeSpec)| {
            let is_worker = spec.zone == zone && !spec.is_control_plane;
            is_worker && self.tables.groups.group_of(NodeId::from_index(*idx)).is_none()
        };
        let asked = of_groups + nodes.filter(is_other).count();
        let limit = self.blueprint.zones[zone.index()].node_limit;
        self.is_cloud_away
            || self.node_groups.capacity[zone.index()] == Capacity::Refused
            || limit.is_some_and(|limit| asked + wanted > limit as usize)
    }

    /// Starts all machines that groups should have and have not.
    pub(super) fn start_all_machines<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for group in 0..self.node_groups.targets.len() {
            self.start_machines(group, ctx);
        }
        self.node_groups.is_dirty = true;
    }

    /// Starts the machines that a group should have and has not, as far as the provider can.
    fn start_machines<E, R>(&mut self, group: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let blueprint = Arc::clone(&self.blueprint);
        let spec = &blueprint.node_groups[group];
        if self.node_groups.capacity[spec.zone.index()] != Capacity::Enough {
            ctx.hit(&rare::NO_CAPACITY);
            return;
        }
        let machine_count = spec.nodes.iter().filter(|node| self.has_machine(**node)).count();
        let missing = self.node_groups.targets[group].saturating_sub(machine_count);
        let is_free = |node: &&NodeId| {
            let state = &self.nodes[node.index()];
            !state.has_machine && state.pods.is_empty()
        };
        let free: Vec<NodeId> = spec.nodes.iter().filter(is_free).take(missing).copied().collect();
        if self.is_cloud_away {
            if missing > 0 {
                self.tell_pending(PendingWrite::Machines(spec.zone), ctx);
            }
            return;
        }
        for node in &free {
            self.start_machine(*node, ctx);
        }
        if free.len() < missing {
            // The remains of a node that went are about to be collected.
            let at = ctx.now() + self.blueprint.parameters.pod_gc_quarantine;
            let number = u32::try_from(group).expect("groups are few");
            ctx.schedule_at(at, priority::MACHINE, KubeEvent::MachinesDue(number));
        }
    }

    pub(super) fn on_machines_due<E, R>(&mut self, group: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.start_machines(group as usize, ctx);
    }

    /// How long a machine that is being started needs until its kubelet runs.
    pub(super) fn boot_time(&self, node: NodeId, occurrence: u64) -> Option<SimSpan> {
        let group = self.tables.groups.group_of(node)?;
        if !self.nodes[node.index()].is_new {
            return None;
        }
        let boot = self.blueprint.node_groups[group].boot;
        let draw = self.draw(self.tables.node_keys[node.index()], MACHINE_BOOT, occurrence);
        Some(draw.lognormal_by(boot.median, boot.p95))
    }

    /// Nodes did not come in time: the target goes back, what is on its way is canceled.
    fn give_up<E, R>(&mut self, group: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::NODES_GIVEN_UP);
        let blueprint = Arc::clone(&self.blueprint);
        let spec = &blueprint.node_groups[group];
        let nodes = spec.nodes.iter();
        let (known, unknown): (Vec<NodeId>, Vec<NodeId>) =
            nodes.partition(|node| !self.nodes[node.index()].is_deleted);
        let target = &mut self.node_groups.targets[group];
        let missing = target.saturating_sub(known.len());
        *target -= missing;
        let count = u32::try_from(missing).expect("groups are limited far below 2^32");
        ctx.observe(|| Observation::NodesGivenUp { zone: spec.zone, count });
        for node in unknown.into_iter().filter(|node| self.has_machine(*node)).collect::<Vec<_>>() {
            self.end_machine(node, ctx);
        }
    }

    /// Whether a process of the autoscaler leads and reaches the API.
    fn has_autoscaler_process(&self) -> bool {
        let leader = self.autoscaler_workload().and_then(|it| self.operator_leader(it));
        self.is_api_available()
            && leader
                .is_none_or(|leader| leader.is_some_and(|leader| self.is_connected_to_api(leader)))
    }

    fn autoscaler_workload(&self) -> Option<WorkloadId> {
        self.blueprint.cluster_autoscaler.as_ref()?.workload
    }

    /// The process of the autoscaler ended; another one may follow.
    pub(super) fn forget_node_groups(&mut self) {
        self.node_groups.is_without_process = true;
    }

    /// A process that is somebody else's loses its lease, too, when the API is away for long.
    fn note_lost_lease(&mut self, now: SimTime) {
        let is_back = self.is_api_available() && self.control_plane.api_since() == now;
        let outage = now.saturating_since(self.control_plane.api_lost_at());
        let is_lost = now > SimTime::ZERO && is_back && outage >= operators::stops_after();
        if self.autoscaler_workload().is_none() && is_lost {
            self.forget_node_groups();
        }
    }

    /// When there was no process, and there is one again, it begins and remembers nothing.
    fn follow_process<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.has_autoscaler_process() {
            return;
        }
        self.node_groups.is_without_process = false;
        if let Some(autoscaler) = &mut self.node_groups.autoscaler {
            *autoscaler = Autoscaler::new(autoscaler.options().clone(), ctx.now());
        }
        self.abandon_removals(ctx);
        self.request_groups_look(ctx.now(), ctx);
    }
}
