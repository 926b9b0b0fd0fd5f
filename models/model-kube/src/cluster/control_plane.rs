//! Members of the control plane: etcd's quorum, API servers, leaders.
//!
//! Sources: those of [`crate::etcd`] and [`crate::leader_election`].

mod commands;
mod members;
mod processes;

pub(super) use members::SERVER_GIVES_UP;
use members::caller_of;

use model_api::Observation;
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::tables::{Member, Tables};
use super::{Cluster, Island, KubeEvent, Notice, drawn, priority};
use crate::etcd::{self, RaftConfig, Voter};
use crate::leader_election::{self, Candidate, ElectionConfig, LostLease};
use crate::rare;

const FIRST_LEADER: Purpose = Purpose::new("first leader");
const ELECTION: Purpose = Purpose::new("etcd election");
const TICK: Purpose = Purpose::new("etcd tick phase");
const HEARD: Purpose = Purpose::new("etcd heartbeat phase");
const API_START: Purpose = Purpose::new("apiserver start");
const BOOT: Purpose = Purpose::new("member boot");
const RENEWAL: Purpose = Purpose::new("leader renewal phase");
const LOOK: Purpose = Purpose::new("candidate look");
const CACHES: Purpose = Purpose::new("leader caches");

/// etcd's leader is heard of every 100 ms.
const ETCD_HEARTBEAT: SimSpan = SimSpan::from_millis(100);

/// What a leader is elected for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// kube-controller-manager.
    ControllerManager,
    /// kube-scheduler.
    Scheduler,
}

impl Component {
    pub(super) const ALL: [Self; 2] = [Self::ControllerManager, Self::Scheduler];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::ControllerManager => 0,
            Self::Scheduler => 1,
        }
    }

    pub(super) const fn key(self) -> EntityKey {
        match self {
            Self::ControllerManager => EntityKey::of("kube-controller-manager"),
            Self::Scheduler => EntityKey::of("kube-scheduler"),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct MemberState {
    is_up: bool,
    /// Its machine was stopped by itself, apart from its zone.
    is_off: bool,
    boot: Timer,
    boot_count: u64,
    /// When its API server answers; long since, unless it was started anew.
    api_ready_at: SimTime,
    /// Its processes have ended and are to start again.
    is_restarting: bool,
    /// Its machine goes down on purpose: connections are closed, not left hanging.
    says_goodbye: bool,
    /// When its candidates for leadership started.
    fresh_since: [SimTime; 2],
    /// Its etcd process is kept down.
    is_etcd_down: bool,
    /// Since when its etcd takes no part.
    etcd_away_since: Option<SimTime>,
    /// Its API server is kept down.
    is_server_down: bool,
    /// Whether it was told that its API server answers nobody, and that its etcd takes no part, for reasons
    /// of their own.
    is_away: [bool; 2],
    /// How much longer its disk takes to flush.
    flush: SimSpan,
}

#[derive(Clone, Debug, Default)]
struct Leadership {
    leader: Option<usize>,
    /// The leader's caches are filled.
    is_started: bool,
    /// The API server beside the leader, the only one that it asks, does not answer.
    is_cut: bool,
    /// When it let its lease go of its own accord.
    released_at: Option<SimTime>,
    /// Its last renewal, known once it is lost or cannot renew.
    renewed_at: SimTime,
    /// Expiry, take-over or start, whichever comes next.
    timer: Timer,
    candidate: usize,
    loss_count: u64,
    term: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ControlPlane {
    members: Vec<MemberState>,
    island: Island,
    has_quorum: bool,
    was_quorum_lost: bool,
    etcd_leader: Option<usize>,
    /// Who wins the election that is called.
    elected: usize,
    is_api_available: bool,
    /// No API server answers, whatever etcd could do.
    is_withheld: bool,
    /// etcd's data is lost, so that no API server can answer.
    is_data_lost: bool,
    api_since: SimTime,
    /// When it was lost last.
    api_lost_at: SimTime,
    timer: Timer,
    election_count: u64,
    leaderships: [Leadership; 2],
}

impl ControlPlane {
    pub(super) fn at_start(tables: &Tables, streams: Streams) -> Self {
        let count = tables.members.len();
        let member = MemberState { is_up: true, ..MemberState::default() };
        let first = |key: EntityKey, of: fn(&Member) -> bool| {
            let able: Vec<usize> = (0..count).filter(|it| of(&tables.members[*it])).collect();
            streams.draw(key, FIRST_LEADER, 0).pick(&able).copied()
        };
        let leadership = |component: Component| Leadership {
            leader: match component {
                Component::ControllerManager => first(component.key(), |member| member.runs[0]),
                Component::Scheduler => first(component.key(), |member| member.runs[1]),
            },
            is_started: true,
            ..Leadership::default()
        };
        Self {
            members: vec![member; count],
            island: Island::Mainland,
            has_quorum: true,
            was_quorum_lost: false,
            etcd_leader: first(EntityKey::of("etcd"), |member| member.has_etcd),
            elected: 0,
            is_api_available: true,
            is_withheld: false,
            is_data_lost: false,
            api_since: SimTime::ZERO,
            api_lost_at: SimTime::ZERO,
            timer: Timer::NONE,
            election_count: 0,
            leaderships: Component::ALL.map(leadership),
        }
    }

    pub(super) fn is_api_available(&self) -> bool {
        self.is_api_available
    }

    /// No API server answers, whatever etcd could do.
    pub(super) fn is_closed(&self) -> bool {
        self.is_withheld || self.is_data_lost
    }

    /// When the API was lost last.
    pub(super) fn api_lost_at(&self) -> SimTime {
        self.api_lost_at
    }

    /// Since when it answers.
    pub(super) fn api_since(&self) -> SimTime {
        self.api_since
    }

    pub(super) fn is_data_lost(&self) -> bool {
        self.is_data_lost
    }

    /// The side of the network on which the API is, or was last.
    pub(super) fn island(&self) -> Island {
        self.island
    }

    /// Whether a component has a leader that works. Without members the control plane is somebody
    /// else's and always there.
    pub(super) fn is_led(&self, component: Component) -> bool {
        let leadership = &self.leaderships[component.index()];
        let works = leadership.is_started && !leadership.is_cut;
        self.members.is_empty() || (leadership.leader.is_some() && works)
    }
}

impl Cluster {
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

    /// Looks at the power and contact of all members anew.
    pub(super) fn refresh_members<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = self.tables.clone();
        for (idx, member) in tables.members.iter().enumerate() {
            let is_off = self.control_plane.members[idx].is_off;
            let has_power = !is_off && !self.zones[member.zone.index()].is_off;
            let is_up = match member.node {
                Some(node) => self.is_running(node),
                None => has_power && self.control_plane.members[idx].is_up,
            };
            if member.node.is_none() {
                self.refresh_member_power(idx, has_power, ctx);
            }
            self.set_member_up(idx, is_up, ctx.now());
        }
        self.reassess_quorum(ctx);
        self.reassess_api(ctx);
        self.refresh_connections(ctx);
        self.refresh_balancer(ctx);
        self.note_servers(ctx);
        self.refresh_api_clients(ctx);
        self.note_members_for_upgrade(ctx);
        self.refresh_overload(ctx);
    }

    /// A member without a node of the blueprint boots by itself.
    fn refresh_member_power<E, R>(
        &mut self,
        idx: usize,
        has_power: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let member = &mut self.control_plane.members[idx];
        if !has_power {
            let boot = std::mem::replace(&mut member.boot, Timer::NONE);
            ctx.cancel(boot);
        } else if !member.is_up && !ctx.is_pending(member.boot) {
            member.boot_count += 1;
            let occurrence = member.boot_count;
            let draw = self.draw(self.tables.members[idx].key, BOOT, occurrence);
            let span = drawn(draw, self.blueprint.parameters.node_boot);
            let number = u32::try_from(idx).expect("members are few");
            let event = KubeEvent::MemberBooted(number);
            self.control_plane.members[idx].boot = ctx.timer_in(span, priority::MACHINE, event);
        }
    }

    pub(super) fn on_member_booted<E, R>(&mut self, member: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.set_member_up(member as usize, true, ctx.now());
        self.refresh_members(ctx);
    }

    fn set_member_up(&mut self, idx: usize, is_up: bool, now: SimTime) {
        let member = &mut self.control_plane.members[idx];
        if member.is_up == is_up {
            return;
        }
        member.is_up = is_up;
        if is_up {
            self.start_member(idx, now);
        }
    }

    /// The processes of a member start: its API server answers and its candidates look after a while.
    fn start_member(&mut self, idx: usize, now: SimTime) {
        self.control_plane.members[idx].boot_count += 1;
        let occurrence = self.control_plane.members[idx].boot_count;
        let table = &self.tables.members[idx];
        let draw = self.draw(table.key, API_START, occurrence);
        let parameters = &self.blueprint.parameters;
        // A controller apart is a container like any other.
        let is_apart = !table.has_server && !table.has_etcd;
        let start = if is_apart { parameters.container_start } else { parameters.apiserver_start };
        let span = drawn(draw, start);
        let member = &mut self.control_plane.members[idx];
        member.api_ready_at = now + span;
        member.fresh_since = [now + span; 2];
    }

    /// The island whose members of etcd are a majority, if there is one.
    fn quorum_island(&self) -> Option<Island> {
        let mut islands: Vec<Island> = self.voters().map(|it| self.island_of_member(it)).collect();
        islands.dedup();
        let count = self.voters().count();
        islands.into_iter().find(|island| etcd::has_quorum(self.voters_on(*island).count(), count))
    }

    fn reassess_quorum<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.control_plane.members.is_empty() {
            return;
        }
        let Some(island) = self.quorum_island() else {
            if std::mem::take(&mut self.control_plane.has_quorum) {
                self.control_plane.was_quorum_lost = true;
                ctx.hit(&rare::QUORUM_LOST);
                ctx.observe(|| Observation::QuorumLost);
            }
            self.control_plane.etcd_leader = None;
            let timer = std::mem::replace(&mut self.control_plane.timer, Timer::NONE);
            ctx.cancel(timer);
            self.set_api(false, ctx);
            self.check_leaders(ctx);
            return;
        };
        let has_moved = self.control_plane.island != island;
        if has_moved {
            self.sources.note_network();
        }
        self.control_plane.island = island;
        self.control_plane.has_quorum = true;
        let leader = self.control_plane.etcd_leader;
        let leads = leader.is_some_and(|leader| self.voters_on(island).any(|it| it == leader));
        if !leads {
            self.control_plane.etcd_leader = None;
            self.set_api(false, ctx);
            if leader.is_some() {
                ctx.hit(&rare::ETCD_LEADER_LOST);
            }
            if !ctx.is_pending(self.control_plane.timer) {
                self.call_election(island, leader.is_some(), ctx);
            }
        }
        if has_moved {
            ctx.hit(&rare::QUORUM_MOVED);
            self.refresh_all_contacts(ctx);
            self.refresh_watches(ctx);
        }
        self.check_leaders(ctx);
    }

    /// etcd elects: the first follower to time out calls it.
    fn call_election<E, R>(&mut self, island: Island, had_leader: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.election_count += 1;
        let occurrence = self.control_plane.election_count;
        let config = RaftConfig {
            tick: ETCD_HEARTBEAT,
            election_ticks: self.blueprint.parameters.etcd_election_timeout.as_nanos()
                / ETCD_HEARTBEAT.as_nanos(),
            ..RaftConfig::default()
        };
        // All followers heard the same heartbeat, if there was one.
        let heard = self.draw(EntityKey::of("etcd"), HEARD, occurrence);
        let heard = heard.span_between(SimSpan::ZERO, ETCD_HEARTBEAT);
        let heard_before = if had_leader { heard } else { SimSpan::ZERO };
        let members: Vec<usize> = self.voters_on(island).collect();
        let key = |voter: usize| self.tables.members[members[voter]].key;
        let voters: Vec<Voter> = (0..members.len())
            .map(|voter| Voter {
                heard_before,
                next_tick: self
                    .draw(key(voter), TICK, occurrence)
                    .span_between(SimSpan::ZERO, ETCD_HEARTBEAT),
                has_leader: had_leader,
            })
            .collect();
        let member_count = self.voters().count();
        let elected = etcd::elect(&config, &voters, member_count, |voter, nth| {
            self.draw(key(voter).part(nth), ELECTION, occurrence)
        });
        self.control_plane.elected = members[elected.voter];
        let gap = elected.after;
        self.control_plane.timer =
            ctx.timer_in(gap, priority::CONTROL_PLANE, KubeEvent::EtcdElected);
    }

    pub(super) fn on_etcd_elected<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let island = self.control_plane.island;
        let members: Vec<usize> = self.voters_on(island).collect();
        let elected = self.control_plane.elected;
        // Simplified: when the winner has gone meanwhile, another one leads at once.
        let leader = members.iter().copied().find(|it| *it == elected).or(members.first().copied());
        self.control_plane.etcd_leader = leader;
        if let Some(leader) = leader {
            let member = u32::try_from(leader).expect("members are few");
            ctx.observe(|| Observation::EtcdLed { member });
        }
        if std::mem::take(&mut self.control_plane.was_quorum_lost) {
            ctx.observe(|| Observation::QuorumRegained);
        }
        self.extend_address_leases(ctx.now());
        self.open_api(ctx);
        self.refresh_balancer(ctx);
        self.note_servers(ctx);
    }

    /// Lets the first API server that is ready answer, now that etcd leads.
    fn open_api<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let servers = self.servers_on(self.control_plane.island);
        let ready_at = servers.map(|idx| self.control_plane.members[idx].api_ready_at).min();
        let ready_at = ready_at.unwrap_or(SimTime::MAX);
        if ready_at <= ctx.now() {
            self.set_api(true, ctx);
        } else if ready_at < SimTime::MAX {
            let event = KubeEvent::ApiReady;
            ctx.cancel(self.control_plane.timer);
            self.control_plane.timer = ctx.timer_at(ready_at, priority::CONTROL_PLANE, event);
        }
    }

    pub(super) fn on_api_ready<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        // The member that was waited for may be gone again, and others later.
        if self.control_plane.etcd_leader.is_some() {
            self.open_api(ctx);
        }
    }

    fn set_api<E, R>(&mut self, is_available: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_available = is_available && !self.control_plane.is_closed();
        if self.control_plane.is_api_available == is_available {
            return;
        }
        self.control_plane.is_api_available = is_available;
        ctx.observe(|| if is_available { Observation::ApiRegained } else { Observation::ApiLost });
        self.notify(Notice::ApiChanged(is_available));
        self.refresh_balancer(ctx);
        self.note_servers(ctx);
        if is_available {
            self.control_plane.api_since = ctx.now();
            for component in Component::ALL {
                if self.control_plane.leaderships[component.index()].leader.is_some() {
                    let was_cut = self.is_leader_cut(component);
                    self.review_leader(component, ctx);
                    if !was_cut && !self.is_leader_cut(component) {
                        self.resume_leader(component, ctx);
                    }
                } else {
                    self.expect_takeover(component, ctx);
                }
            }
            self.begin_relists(ctx);
            self.review_watches(ctx);
            self.restore_endpoints();
            self.refresh_connections(ctx);
            self.redial_after_outage(ctx);
            self.catch_up_kubelets(ctx);
            self.resume_deferred(ctx);
            self.refresh_overload(ctx);
        } else {
            self.control_plane.api_lost_at = ctx.now();
            self.review_watches(ctx);
            if !self.queue.is_idle() {
                ctx.hit(&rare::API_AWAY_WHILE_PODS_WAITED);
            }
            for component in Component::ALL {
                // One that could not renew before has been giving up since.
                if !self.is_leader_cut(component) && !self.is_leader_stalled(component) {
                    self.expect_expiry_of_leader(component, ctx);
                }
            }
        }
    }

    pub(super) fn election_config(&self) -> ElectionConfig {
        let parameters = &self.blueprint.parameters;
        ElectionConfig::new(parameters.leader_lease_duration, parameters.leader_retry_period)
    }

    /// Notes when a leader renewed last, somewhere within the retry period before now. Of one that could
    /// not renew before that is known.
    fn note_last_renewal(&mut self, component: Component, now: SimTime) {
        if self.is_leader_stalled(component) {
            return;
        }
        let period = self.blueprint.parameters.leader_retry_period;
        let occurrence = self.control_plane.leaderships[component.index()].loss_count;
        let draw = self.draw(component.key(), RENEWAL, occurrence);
        let leadership = &mut self.control_plane.leaderships[component.index()];
        leadership.loss_count += 1;
        leadership.renewed_at = now.saturating_sub(draw.span_between(SimSpan::ZERO, period));
    }

    /// A leader that cannot reach the API gives up in time.
    pub(super) fn expect_expiry_of_leader<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.control_plane.leaderships[component.index()].leader.is_none() {
            return;
        }
        self.note_last_renewal(component, ctx.now());
        let stops_after = self.election_config().stops_after();
        let leadership = &mut self.control_plane.leaderships[component.index()];
        let at = (leadership.renewed_at + stops_after).max(ctx.now());
        ctx.cancel(leadership.timer);
        self.withdraw(KubeEvent::LeaderStarted(component), ctx);
        let leadership = &mut self.control_plane.leaderships[component.index()];
        let event = KubeEvent::LeaderExpired(component);
        leadership.timer = ctx.timer_at(at, priority::CONTROL_PLANE, event);
    }

    /// Whether some process leads, whether it works or not.
    pub(super) fn has_leader(&self, component: Component) -> bool {
        self.control_plane.leaderships[component.index()].leader.is_some()
    }

    /// The API came back, or takes renewals again, before the leader gave up.
    pub(super) fn resume_leader<E, R>(&mut self, component: Component, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leadership = &mut self.control_plane.leaderships[component.index()];
        if ctx.cancel(leadership.timer) {
            ctx.hit(&rare::LEADER_SURVIVED);
        }
        if !leadership.is_started {
            self.fill_caches(component, ctx);
        }
        self.forget_leader_stall(component, ctx);
        self.expect_leader_stall(component, ctx);
    }

    pub(super) fn on_leader_expired<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let now = ctx.now();
        let leadership = &mut self.control_plane.leaderships[component.index()];
        if let Some(member) = leadership.leader.take() {
            ctx.hit(&rare::LEADER_GAVE_UP);
            // The process exits and starts again as a candidate that has seen nothing.
            self.control_plane.members[member].fresh_since[component.index()] = now;
            self.restart_controller_client(member, ctx);
        }
        self.end_leadership(component, ctx);
        if self.is_api_available() {
            self.expect_takeover(component, ctx);
        }
    }

    fn end_leadership<E, R>(&mut self, component: Component, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leadership = &mut self.control_plane.leaderships[component.index()];
        (leadership.is_started, leadership.is_cut) = (false, false);
        self.forget_leader_stall(component, ctx);
        self.withdraw(KubeEvent::LeaderStarted(component), ctx);
        if component == Component::ControllerManager {
            self.forget_evictions(ctx);
        }
    }

    /// Leaders whose machine is down or cut off are lost; one whose own API server does not answer tries
    /// on for a while.
    fn check_leaders<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let island = self.control_plane.island;
        for component in Component::ALL {
            let Some(leader) = self.control_plane.leaderships[component.index()].leader else {
                // A candidate that was counted on may be gone, or another one may have come.
                if self.is_api_available() {
                    self.expect_takeover(component, ctx);
                }
                continue;
            };
            if self.is_at_work(leader) && self.island_of_member(leader) == island {
                self.review_leader(component, ctx);
                continue;
            }
            if self.is_api_available() && !self.is_leader_cut(component) {
                self.note_last_renewal(component, ctx.now());
            }
            let leadership = &mut self.control_plane.leaderships[component.index()];
            leadership.leader = None;
            let timer = std::mem::replace(&mut leadership.timer, Timer::NONE);
            ctx.cancel(timer);
            self.control_plane.members[leader].fresh_since[component.index()] = ctx.now();
            self.end_leadership(component, ctx);
            if self.is_api_available() {
                self.expect_takeover(component, ctx);
            }
        }
    }

    /// Works out which candidate takes a lease and when.
    fn expect_takeover<E, R>(&mut self, component: Component, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let timer = self.control_plane.leaderships[component.index()].timer;
        ctx.cancel(timer);
        self.withdraw(KubeEvent::TakeoverDue(component), ctx);
        let candidates = self.candidates(component);
        let earliest = candidates
            .into_iter()
            .map(|member| (self.takeover_at(component, member), member))
            .min();
        let Some((at, member)) = earliest else { return };
        let leadership = &mut self.control_plane.leaderships[component.index()];
        leadership.candidate = member;
        let event = KubeEvent::TakeoverDue(component);
        leadership.timer = ctx.timer_at(at.max(ctx.now()), priority::CONTROL_PLANE, event);
    }

    /// When one candidate finds the lease free.
    fn takeover_at(&self, component: Component, member: usize) -> SimTime {
        let config = self.election_config();
        let leadership = &self.control_plane.leaderships[component.index()];
        let key = self.tables.members[member].key.child(match component {
            Component::ControllerManager => "kube-controller-manager",
            Component::Scheduler => "kube-scheduler",
        });
        let first = leadership.loss_count * 32;
        // A candidate asks the API server beside it, if there is one.
        let served_since = if self.tables.members[member].has_server {
            self.control_plane.members[member].api_ready_at
        } else {
            self.caller_served_since(caller_of(member))
        };
        let candidate = Candidate {
            fresh_since: self.control_plane.members[member].fresh_since[component.index()],
            served_since: self.control_plane.api_since.max(served_since),
        };
        let lost =
            LostLease { renewed_at: leadership.renewed_at, released_at: leadership.released_at };
        leader_election::takes_at(&config, lost, candidate, |nth| self.draw(key, LOOK, first + nth))
    }

    pub(super) fn on_takeover_due<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        // When the API is back, take-over is worked out anew.
        if !self.is_api_available() {
            ctx.hit(&rare::TAKEOVER_MET_NO_API);
            return;
        }
        // While one candidate's request waited another one may have taken the lease.
        if self.has_leader(component) {
            return;
        }
        let leadership = &mut self.control_plane.leaderships[component.index()];
        leadership.leader = Some(leadership.candidate);
        leadership.released_at = None;
        leadership.is_started = false;
        self.fill_caches(component, ctx);
        self.expect_leader_stall(component, ctx);
    }

    fn fill_caches<E, R>(&mut self, component: Component, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let term = self.control_plane.leaderships[component.index()].term;
        let draw = self.draw(component.key(), CACHES, term);
        let span = drawn(draw, self.blueprint.parameters.leader_start);
        let leadership = &mut self.control_plane.leaderships[component.index()];
        leadership.term += 1;
        let event = KubeEvent::LeaderStarted(component);
        leadership.timer = ctx.timer_in(span, priority::CONTROL_PLANE, event);
    }

    pub(super) fn on_leader_started<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.leaderships[component.index()].is_started = true;
        match component {
            Component::ControllerManager => {
                ctx.observe(|| Observation::LeaderChanged);
                self.restart_node_controllers(ctx);
                self.sync_all_workloads(ctx);
                self.restart_garbage(ctx);
                self.restart_autoscaling(ctx);
            }
            Component::Scheduler => self.restart_scheduler(ctx),
        }
        self.resume_deferred(ctx);
    }
}
