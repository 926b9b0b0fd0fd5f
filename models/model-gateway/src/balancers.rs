//! All load balancers of a platform in time: inputs, events, where they lead to.
//!
//! # Modelled
//! Machines that are lost with their zone or by themselves: the other one of a pair takes the address,
//! the health manager has lost ones replaced, in their zone or in another one that is there, as soon as the
//! control plane of the cloud answers. Members:
//! every node that ever answered and still exists, silent ones included; with a health monitor without
//! those that it found down. Where `externalTrafficPolicy: Local` keeps connections on their node, checks
//! ask the health check node port, which only a node with a ready endpoint answers well, and a node
//! without any endpoint is as silent as one that is lost: its proxy drops packets.
//! # Not modelled
//! Simplified: both machines of a pair check members at the same moments. A machine that loses power
//! does not come back by itself (`resume_guests_state_on_host_boot` of Nova is off by default); one
//! that was only cut off does.
//! # Defaults and their sources
//! See [`crate::balancer`]. Members: the service controller leaves nodes in that are not ready
//! (`k8s.io/cloud-provider/controllers/service/controller.go`, Kubernetes 1.36). The health check node
//! port: `pkg/proxy/healthcheck/service_health.go`, Kubernetes 1.36 (503 without a ready local endpoint).
//! # Invariants
//! A balancer to which nothing happens has no event. Nobody answers at an address that no machine
//! holds.
//! # Checked against
//! `tests/it/balancers.rs`.

mod cloud;

use std::sync::Arc;

use model_api::gateway::{Failover, LoadBalancer};
use model_api::kube::Service;
use model_api::observation::GatewayFact;
use model_api::parameters::Range;
use model_api::{BalancerId, Blueprint, NodeId, Observation, PodId, ZoneId};
use sim_kernel::{
    Context, EntityKey, Priority, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::balancer::{
    down_at, given_up_at, next_after_silence, next_on_grid, takeover_after, up_at,
};
use crate::rare;

/// After machines and nodes have changed at the same instant.
const PRIORITY: Priority = Priority::NORMAL;

const CHECKS: Purpose = Purpose::new("first check of a member");
const ADVERTS: Purpose = Purpose::new("advertisement of a load balancer");
const HEARTBEAT: Purpose = Purpose::new("heartbeat of a load balancer machine");
const LOOKS: Purpose = Purpose::new("look of the health manager");
const BUILD: Purpose = Purpose::new("build of a load balancer machine");

/// What load balancers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GatewayEvent {
    /// The health monitor of a balancer has another verdict on a node.
    VerdictDue(BalancerId, NodeId),
    /// The machine that stands by has heard nothing for long enough.
    TakeoverDue(BalancerId),
    /// A machine was silent for too long.
    GivenUpDue(BalancerId, u8),
    /// A machine in place of another one is there.
    BuiltDue(BalancerId, u8),
    /// An ingress controller reads the endpoints of a Service: a position among all of them that are
    /// behind gateways.
    ReadDue(u32),
    /// The workers of a gateway take over what it read.
    TakeOverDue(u32),
    /// The checks of a gateway have another verdict on a pod.
    TargetDue(u32, PodId),
    /// The checks of a record of a name have another verdict on its entrance.
    RecordDue(u32, u32),
}

const _: () = assert!(size_of::<GatewayEvent>() <= 12);

/// What of a zone is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZoneState {
    /// Everything.
    #[default]
    Up,
    /// Everything, and nothing outside reaches it.
    CutOff,
    /// Nothing.
    Dark,
}

/// Where a balancer leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Led {
    /// A machine answers at its address.
    pub is_answering: bool,
    /// Nodes that it leads to.
    pub member_count: u32,
    /// Of these, nodes that do not answer.
    pub silent_count: u32,
}

/// What a machine of a balancer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Machine {
    Up,
    /// It runs where nobody reaches it.
    CutOff,
    Gone,
    /// Another one is being made.
    Building,
    /// Another one is to be made, and no zone is there.
    Waiting,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    zone: ZoneId,
    machine: Machine,
    timer: Timer,
    /// How often a machine was lost here.
    loss_count: u64,
    /// Its machine would have been given up, had the cloud's control plane answered.
    is_overdue: bool,
}

/// What a node does with connections that a policy keeps on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalState {
    /// The health check of the Service is answered well: the node has a ready endpoint.
    pub is_ready: bool,
    /// It has an endpoint that takes connections, if only one that is about to go.
    pub is_serving: bool,
}

impl Default for LocalState {
    /// No policy keeps anything on the node.
    fn default() -> Self {
        Self { is_ready: true, is_serving: true }
    }
}

/// A node, as a balancer knows it.
#[derive(Clone, Copy, Debug)]
struct Member {
    is_answering: bool,
    local: LocalState,
    /// How long the checks take that fail.
    vain: SimSpan,
    /// The monitor takes it for well.
    is_up: bool,
    /// Some moment at which a check of it began.
    checked_at: SimTime,
    timer: Timer,
}

#[derive(Clone, Debug)]
struct State {
    key: EntityKey,
    slots: Vec<Slot>,
    /// The machine that holds the address.
    active: Option<usize>,
    takeover: Timer,
    takeover_count: u64,
    /// By node.
    members: Vec<Option<Member>>,
    /// By node: what it does, where a policy keeps connections on it.
    locals: Vec<LocalState>,
    /// Where a policy does: the nodes that take connections which are led to them.
    fronts: Vec<NodeId>,
    led: Led,
    is_dirty: bool,
    /// It is known that it waits for the cloud's control plane.
    is_waiting: bool,
}

impl Member {
    /// Its checks succeed.
    fn is_well(&self) -> bool {
        self.is_answering && self.local.is_ready
    }

    /// It takes connections.
    fn is_serving(&self) -> bool {
        self.is_answering && self.local.is_serving
    }
}

impl State {
    /// Looks where connections come in; whether that is elsewhere than before.
    fn note_fronts(&mut self) -> bool {
        let is_front =
            |member: &Option<Member>| member.is_some_and(|it| it.is_up && it.is_serving());
        let members = self.members.iter().enumerate().filter(|(_, member)| is_front(member));
        let fronts = members.map(|(node, _)| NodeId::from_index(node)).collect();
        std::mem::replace(&mut self.fronts, fronts) != self.fronts
    }
}

/// The load balancers of one run. A clone is a snapshot.
#[derive(Clone, Debug)]
pub struct Balancers {
    blueprint: Arc<Blueprint>,
    streams: Streams,
    zones: Vec<ZoneState>,
    states: Vec<State>,
    /// The control plane of the cloud answers nothing.
    is_cloud_away: bool,
    /// When it was back from its last outage.
    cloud_back_at: Option<SimTime>,
}

impl Balancers {
    /// The balancers of a blueprint, all machines there and no member known yet.
    pub fn new(blueprint: &Arc<Blueprint>, streams: Streams) -> Self {
        let state = |balancer: &LoadBalancer| State {
            key: EntityKey::of("load balancer").child(&balancer.name),
            slots: balancer
                .machine_zones
                .iter()
                .map(|&zone| Slot {
                    zone,
                    machine: Machine::Up,
                    timer: Timer::NONE,
                    loss_count: 0,
                    is_overdue: false,
                })
                .collect(),
            active: Some(0),
            takeover: Timer::NONE,
            takeover_count: 0,
            members: vec![None; blueprint.nodes.len()],
            locals: vec![LocalState::default(); blueprint.nodes.len()],
            fronts: Vec::new(),
            led: Led { is_answering: true, ..Led::default() },
            is_dirty: true,
            is_waiting: false,
        };
        Self {
            states: blueprint.balancers.iter().map(state).collect(),
            zones: vec![ZoneState::Up; blueprint.zones.len()],
            is_cloud_away: false,
            cloud_back_at: None,
            streams,
            blueprint: Arc::clone(blueprint),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// Where a balancer leads to.
    pub fn led(&self, id: BalancerId) -> Led {
        self.states[id.index()].led
    }

    /// Tells whether a node answers; `None` of one that does not exist any more. One that never
    /// answered is no member yet.
    pub fn set_node<E, R>(
        &mut self,
        node: NodeId,
        is_answering: Option<bool>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        for idx in 0..self.states.len() {
            let id = BalancerId::from_index(idx);
            let known = self.states[idx].members[node.index()];
            let member = match (known, is_answering) {
                (None, Some(true)) => Some(self.new_member(id, node, ctx.now())),
                (Some(member), Some(is_answering)) if member.is_answering != is_answering => {
                    let turned = Member { is_answering, ..member };
                    Some(self.turned(id, node, (member, turned), ctx))
                }
                (Some(member), None) => {
                    ctx.cancel(member.timer);
                    None
                }
                _ => continue,
            };
            let state = &mut self.states[idx];
            state.members[node.index()] = member;
            state.is_dirty = true;
        }
    }

    /// Tells what a node does with connections to a balancer whose Service keeps them on it.
    pub fn set_local<E, R>(
        &mut self,
        id: BalancerId,
        node: NodeId,
        local: LocalState,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        if std::mem::replace(&mut state.locals[node.index()], local) == local {
            return;
        }
        state.is_dirty = true;
        if let Some(member) = state.members[node.index()] {
            let turned = self.turned(id, node, (member, Member { local, ..member }), ctx);
            self.states[id.index()].members[node.index()] = Some(turned);
        }
    }

    /// The nodes that take connections which a balancer leads to them, where a policy of its Service
    /// keeps connections on their node.
    pub fn fronts(&self, id: BalancerId) -> &[NodeId] {
        &self.states[id.index()].fronts
    }

    fn new_member(&self, id: BalancerId, node: NodeId, now: SimTime) -> Member {
        let delay = self.spec(id).monitor.map_or(SimSpan::ZERO, |monitor| monitor.delay);
        let key = self.states[id.index()].key.child(&self.blueprint.nodes[node.index()].node.name);
        let phase = self.within(key, CHECKS, 0, Range { least: SimSpan::ZERO, most: delay });
        let checked_at = now.saturating_add(phase);
        let local = self.states[id.index()].locals[node.index()];
        let vain = self.spec(id).connect_timeout;
        // One without a ready endpoint joins as one that its first checks found down.
        let is_up = self.spec(id).monitor.is_none() || local.is_ready;
        Member { is_answering: true, local, vain, is_up, checked_at, timer: Timer::NONE }
    }

    /// A member that is another now, and may pass its checks or fail them otherwise than before.
    fn turned<E, R>(
        &self,
        id: BalancerId,
        node: NodeId,
        (before, mut member): (Member, Member),
        ctx: &mut Context<'_, E, R>,
    ) -> Member
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let spec = self.spec(id);
        let Some(monitor) = spec.monitor.filter(|_| before.is_well() != member.is_well()) else {
            return member;
        };
        let now = ctx.now();
        let was_expected = ctx.cancel(member.timer);
        member.timer = Timer::NONE;
        if member.is_well() {
            let first = member.checked_at;
            let good = next_after_silence(&monitor, member.vain, first, now);
            member.checked_at = good;
            if member.is_up {
                if was_expected {
                    ctx.hit(&rare::MEMBER_BACK_IN_TIME);
                }
                return member;
            }
        } else {
            // A node without an endpoint says so at once.
            member.vain = if member.is_answering { SimSpan::ZERO } else { spec.connect_timeout };
            member.checked_at = next_on_grid(member.checked_at, monitor.delay, now);
            if !member.is_up {
                return member;
            }
        }
        let at = if member.is_well() {
            up_at(&monitor, member.checked_at)
        } else {
            down_at(&monitor, member.vain, member.checked_at)
        };
        member.timer = ctx.timer_at(at, PRIORITY, GatewayEvent::VerdictDue(id, node));
        member
    }

    /// Tells what of a zone is there.
    pub fn set_zone<E, R>(
        &mut self,
        zone: ZoneId,
        zone_state: ZoneState,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        if std::mem::replace(&mut self.zones[zone.index()], zone_state) == zone_state {
            return;
        }
        for idx in 0..self.states.len() {
            let id = BalancerId::from_index(idx);
            for number in 0..self.states[idx].slots.len() {
                let slot = self.states[idx].slots[number];
                let is_here = slot.zone == zone;
                match (zone_state, slot.machine) {
                    (ZoneState::Up, Machine::CutOff) if is_here => self.come_back(id, number, ctx),
                    (ZoneState::Up, Machine::Waiting) => self.build(id, number, ctx),
                    (ZoneState::Up, _) | (_, Machine::Gone | Machine::Waiting) => {}
                    _ if !is_here => {}
                    (_, Machine::Building) => {
                        ctx.cancel(slot.timer);
                        self.build(id, number, ctx);
                    }
                    (ZoneState::CutOff, _) => self.lose(id, number, Machine::CutOff, ctx),
                    (ZoneState::Dark, _) => self.lose(id, number, Machine::Gone, ctx),
                }
            }
        }
    }

    /// Takes the machine away that holds the address of a balancer, and with `takes_standby` the other
    /// one; returns how many that were.
    pub fn lose_machines<E, R>(
        &mut self,
        id: BalancerId,
        takes_standby: bool,
        ctx: &mut Context<'_, E, R>,
    ) -> u32
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &self.states[id.index()];
        let is_hit = |number: usize| takes_standby || state.active == Some(number);
        let hit: Vec<usize> = (0..state.slots.len())
            .filter(|number| is_hit(*number) && state.slots[*number].machine == Machine::Up)
            .collect();
        for &number in &hit {
            self.lose(id, number, Machine::Gone, ctx);
        }
        u32::try_from(hit.len()).expect("two at most")
    }

    fn lose<E, R>(
        &mut self,
        id: BalancerId,
        number: usize,
        machine: Machine,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let failover = self.spec(id).failover;
        let vrrp = self.spec(id).vrrp;
        let now = ctx.now();
        let state = &self.states[id.index()];
        let slot = state.slots[number];
        let (key, was_up) = (state.key.part(number as u64), slot.machine == Machine::Up);
        let (is_active, takeovers) = (state.active == Some(number), state.takeover_count);
        // A machine that was cut off and is gone now was silent before.
        if was_up {
            ctx.observe(|| {
                let fact = GatewayFact::MachineLost { balancer: id, zone: slot.zone, is_active };
                Observation::Gateway(fact)
            });
            let least = SimSpan::ZERO;
            let draw =
                |purpose, most| self.within(key, purpose, slot.loss_count, Range { least, most });
            let since = draw(HEARTBEAT, failover.heartbeat_interval);
            let looks_from = now.saturating_add(draw(LOOKS, failover.check_interval));
            let looks = silent_until(&failover, now, since, looks_from);
            let event = GatewayEvent::GivenUpDue(id, number_of(number));
            let timer = ctx.timer_at(looks, PRIORITY, event);
            let slot = &mut self.states[id.index()].slots[number];
            (slot.timer, slot.loss_count) = (timer, slot.loss_count + 1);
        }
        let since = self.within(
            self.states[id.index()].key,
            ADVERTS,
            takeovers,
            Range { least: SimSpan::ZERO, most: vrrp.advert_interval },
        );
        let state = &mut self.states[id.index()];
        state.slots[number].machine = machine;
        if is_active {
            state.active = None;
            state.is_dirty = true;
            if state.slots.iter().any(|slot| slot.machine == Machine::Up) {
                let after = takeover_after(&vrrp, since);
                state.takeover_count += 1;
                state.takeover = ctx.timer_in(after, PRIORITY, GatewayEvent::TakeoverDue(id));
            } else {
                ctx.hit(&rare::ALL_MACHINES_LOST);
            }
        }
    }

    /// A machine that was only cut off is reached again. Of two that both hold the address the first,
    /// whose priority is higher, keeps it.
    fn come_back<E, R>(&mut self, id: BalancerId, number: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::BACK_BEFORE_GIVEN_UP);
        let state = &mut self.states[id.index()];
        ctx.cancel(state.slots[number].timer);
        state.slots[number].machine = Machine::Up;
        state.slots[number].is_overdue = false;
        if number == 0 || state.active.is_none() {
            self.activate(id, number, ctx);
        }
    }

    fn activate<E, R>(&mut self, id: BalancerId, number: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        ctx.cancel(state.takeover);
        state.active = Some(number);
        state.is_dirty = true;
        let zone = state.slots[number].zone;
        ctx.observe(|| Observation::Gateway(GatewayFact::MachineActive { balancer: id, zone }));
    }

    /// Has a machine made in place of one that was given up.
    fn build<E, R>(&mut self, id: BalancerId, number: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        if self.is_cloud_away {
            return self.wait_for_cloud(id, number, ctx);
        }
        let slot = self.states[id.index()].slots[number];
        let Some(zone) = self.zone_for(id, number) else {
            ctx.hit(&rare::BUILT_NOWHERE);
            self.states[id.index()].slots[number].machine = Machine::Waiting;
            return;
        };
        if zone != slot.zone {
            ctx.hit(&rare::BUILT_ELSEWHERE);
        }
        let key = self.states[id.index()].key.part(number as u64);
        let takes = self.within(key, BUILD, slot.loss_count, self.spec(id).failover.build);
        let event = GatewayEvent::BuiltDue(id, number_of(number));
        let timer = ctx.timer_in(takes, PRIORITY, event);
        // Another one that is begun draws another time.
        let loss_count = slot.loss_count + 1;
        self.states[id.index()].slots[number] =
            Slot { zone, machine: Machine::Building, timer, loss_count, is_overdue: false };
    }

    /// Where a machine is made: where the lost one stood, or else in the zone with the fewest.
    fn zone_for(&self, id: BalancerId, number: usize) -> Option<ZoneId> {
        let slots = &self.states[id.index()].slots;
        let is_there = |zone: &ZoneId| self.zones[zone.index()] == ZoneState::Up;
        let own = slots[number].zone;
        let count = |zone: &ZoneId| slots.iter().filter(|slot| slot.zone == *zone).count();
        let others = self.spec(id).zones.iter().copied();
        Some(own)
            .filter(is_there)
            .or_else(|| others.filter(is_there).min_by_key(|zone| count(zone)))
    }

    /// Takes an event of this model.
    pub fn handle<E, R>(&mut self, event: GatewayEvent, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        match event {
            GatewayEvent::VerdictDue(id, node) => self.judge(id, node, ctx),
            GatewayEvent::TakeoverDue(id) => {
                let slots = &self.states[id.index()].slots;
                let standby = slots.iter().position(|slot| slot.machine == Machine::Up);
                if let Some(number) = standby {
                    ctx.hit(&rare::TOOK_OVER);
                    self.activate(id, number, ctx);
                }
            }
            GatewayEvent::GivenUpDue(id, number) => {
                if !self.is_noticed(id, number.into(), ctx) {
                    return;
                }
                let zone = self.states[id.index()].slots[usize::from(number)].zone;
                ctx.observe(|| {
                    Observation::Gateway(GatewayFact::MachineGivenUp { balancer: id, zone })
                });
                self.build(id, number.into(), ctx);
            }
            GatewayEvent::BuiltDue(id, number) => {
                let number = usize::from(number);
                let slot = &mut self.states[id.index()].slots[number];
                slot.machine = Machine::Up;
                let zone = slot.zone;
                ctx.observe(|| {
                    Observation::Gateway(GatewayFact::MachineBuilt { balancer: id, zone })
                });
                if self.states[id.index()].active.is_none() {
                    self.activate(id, number, ctx);
                }
            }
            GatewayEvent::ReadDue(_)
            | GatewayEvent::TakeOverDue(_)
            | GatewayEvent::RecordDue(..)
            | GatewayEvent::TargetDue(..) => {}
        }
    }

    fn judge<E, R>(&mut self, id: BalancerId, node: NodeId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.states[id.index()];
        let Some(member) = &mut state.members[node.index()] else { return };
        member.is_up = member.is_well();
        state.is_dirty = true;
        let fact = if member.is_up {
            GatewayFact::MemberUp { balancer: id, node }
        } else {
            ctx.hit(&rare::MEMBER_DOWN);
            GatewayFact::MemberDown { balancer: id, node }
        };
        ctx.observe(|| Observation::Gateway(fact));
    }

    /// Tells of each balancer that leads elsewhere than when it was looked at last.
    pub fn take_led<E, R>(
        &mut self,
        ctx: &mut Context<'_, E, R>,
        mut tell: impl FnMut(BalancerId, Led),
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        for (idx, state) in self.states.iter_mut().enumerate() {
            if !std::mem::take(&mut state.is_dirty) {
                continue;
            }
            let members = state.members.iter().flatten().filter(|member| member.is_up);
            let mut led = Led { is_answering: state.active.is_some(), ..Led::default() };
            for member in members {
                led.member_count += 1;
                led.silent_count += u32::from(!member.is_serving());
            }
            let id = BalancerId::from_index(idx);
            let service = self.blueprint.balancers[idx].service;
            let services = &self.blueprint.services;
            let is_local =
                services.get(service.index()).is_some_and(Service::is_local_from_outside);
            let are_others = is_local && state.note_fronts();
            if led == state.led {
                if are_others {
                    tell(id, led);
                }
                continue;
            }
            let Led { member_count, silent_count, .. } = led;
            if member_count == 0 {
                ctx.hit(&rare::NO_MEMBER);
            }
            if (member_count, silent_count) != (state.led.member_count, state.led.silent_count) {
                let fact = GatewayFact::Led { balancer: id, member_count, silent_count };
                ctx.observe(|| Observation::Gateway(fact));
            }
            state.led = led;
            tell(id, led);
        }
    }

    fn spec(&self, id: BalancerId) -> &LoadBalancer {
        &self.blueprint.balancers[id.index()]
    }

    fn within(&self, key: EntityKey, purpose: Purpose, occurrence: u64, range: Range) -> SimSpan {
        let draw = self.streams.draw(key, purpose, occurrence);
        SimSpan::from_nanos(draw.range_inclusive(range.least.as_nanos(), range.most.as_nanos()))
    }
}

/// When a machine is given up whose last heartbeat was `since` before it was lost.
fn silent_until(
    failover: &Failover,
    lost_at: SimTime,
    since: SimSpan,
    looks_from: SimTime,
) -> SimTime {
    // The last heartbeat may have been before time zero: everything is moved by as much.
    let moved = failover.heartbeat_interval;
    let heard = lost_at.saturating_add(moved).saturating_sub(since);
    given_up_at(failover, heard, looks_from.saturating_add(moved)).saturating_sub(moved)
}

fn number_of(slot: usize) -> u8 {
    u8::try_from(slot).expect("a balancer has two machines at most")
}
