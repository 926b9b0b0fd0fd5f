//! Single members: whose etcd votes, whose API server answers, and what a slow disk under one does.
//!
//! Stacked, an API server asks the member of etcd beside it and no other, and answers nothing without
//! it; with an etcd of its own machines it asks all (`cmd/kubeadm/app/phases/controlplane/manifests.go`,
//! 1.36). Controller managers and schedulers ask the API server beside them, if there is one, since 1.20
//! whatever balancer there is (`cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go`,
//! kubernetes/kubernetes#94398): without it a leader tries on until its renew deadline and ends. On
//! machines of their own they hold a connection to some server ([`super::super::api_clients`]).
//!
//! Simplified: requests through an API server beside a slow follower of etcd are as fast as others, while
//! upstream they wait until that follower has applied what they wait for.

use model_api::Observation;
use model_api::control_plane::MemberPart;
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::super::{ApiCaller, Cluster, Island, KubeEvent, drawn, priority};
use super::{API_START, Component};
use crate::{etcd, rare};

/// An API server whose etcd does not answer fails its liveness probe, `failureThreshold` 8 and
/// `periodSeconds` 10 (`cmd/kubeadm/app/util/staticpod/utils.go`, 1.36), and is started anew until etcd is
/// there.
pub(in super::super) const SERVER_GIVES_UP: SimSpan = SimSpan::from_secs(80);

/// A controller manager or scheduler without an API server beside it, as one that has a connection.
pub(super) fn caller_of(member: usize) -> ApiCaller {
    ApiCaller::Controller(u32::try_from(member).expect("members are few"))
}

/// Who there is.
impl Cluster {
    /// The processes of a machine run.
    pub(in super::super) fn is_at_work(&self, member: usize) -> bool {
        let state = &self.control_plane.members[member];
        state.is_up && !state.is_restarting
    }

    /// Whether the API server of a member runs, whether it can answer or not.
    pub(in super::super) fn runs_server(&self, member: usize) -> bool {
        self.tables.members[member].has_server
            && self.is_at_work(member)
            && !self.control_plane.members[member].is_server_down
    }

    /// Whether the etcd of a member runs and keeps up.
    pub(super) fn votes(&self, member: usize) -> bool {
        let state = &self.control_plane.members[member];
        let timeout = self.blueprint.parameters.etcd_election_timeout;
        self.tables.members[member].has_etcd
            && self.is_at_work(member)
            && !state.is_etcd_down
            && etcd::keeps_up(state.flush, timeout)
    }

    /// Whether the API server of a member has an etcd to ask, as far as that is a matter of its machine.
    pub(in super::super) fn has_own_etcd(&self, member: usize) -> bool {
        !self.tables.members[member].has_etcd || self.votes(member)
    }

    /// All members of etcd.
    pub(super) fn voters(&self) -> impl Iterator<Item = usize> {
        (0..self.control_plane.members.len()).filter(|it| self.tables.members[*it].has_etcd)
    }

    /// Members of etcd that take part on an island.
    pub(super) fn voters_on(&self, island: Island) -> impl Iterator<Item = usize> {
        self.voters().filter(move |it| self.votes(*it) && self.island_of_member(*it) == island)
    }

    /// API servers of an island that run and have an etcd to ask, ready or not.
    pub(in super::super) fn servers_on(&self, island: Island) -> impl Iterator<Item = usize> {
        (0..self.control_plane.members.len()).filter(move |it| {
            let is_here = self.runs_server(*it) && self.has_own_etcd(*it);
            is_here && self.island_of_member(*it) == island
        })
    }

    /// Replicas of a component that may lead: their machines work on the side of the network on which the
    /// API is, and they have an API server to ask, ready or not.
    pub(super) fn candidates(&self, component: Component) -> Vec<usize> {
        let island = self.control_plane.island;
        let members = 0..self.control_plane.members.len();
        let replicas = members.filter(|it| self.tables.members[*it].runs[component.index()]);
        replicas.filter(|it| self.is_served_on(*it, island)).collect()
    }

    /// Whether a replica works on an island and has an API server to ask: the one beside it, or one at the
    /// other end of its connection.
    fn is_served_on(&self, member: usize, island: Island) -> bool {
        if self.tables.members[member].has_server {
            return self.servers_on(island).any(|it| it == member);
        }
        let is_here = self.is_at_work(member) && self.island_of_member(member) == island;
        is_here && !self.is_caller_cut(caller_of(member))
    }

    /// How much longer a commit takes for the disks under etcd.
    pub(in super::super) fn commit_wait(&self) -> SimSpan {
        let flush = |member: usize| self.control_plane.members[member].flush;
        let Some(leader) = self.control_plane.etcd_leader else { return SimSpan::ZERO };
        let followers = self.voters_on(self.control_plane.island).filter(|it| *it != leader);
        etcd::commit_wait(flush(leader), followers.map(flush), self.voters().count())
            .unwrap_or(SimSpan::ZERO)
    }
}

/// Faults.
impl Cluster {
    /// Whether a member has such a process.
    pub fn has_part(&self, member: usize, part: MemberPart) -> bool {
        let table = &self.tables.members[member];
        match part {
            MemberPart::Etcd => table.has_etcd,
            MemberPart::ApiServer => table.has_server,
        }
    }

    /// Whether such a process of a member runs.
    pub fn is_part_up(&self, member: usize, part: MemberPart) -> bool {
        let state = &self.control_plane.members[member];
        self.has_part(member, part)
            && self.is_at_work(member)
            && match part {
                MemberPart::Etcd => !state.is_etcd_down,
                MemberPart::ApiServer => !state.is_server_down,
            }
    }

    /// Keeps a process of a member down, or lets it run again: a member of etcd that has caught up, or
    /// an API server that starts.
    pub fn set_part<E, R>(
        &mut self,
        member: usize,
        part: MemberPart,
        is_up: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let state = &mut self.control_plane.members[member];
        let is_down = match part {
            MemberPart::Etcd => &mut state.is_etcd_down,
            MemberPart::ApiServer => &mut state.is_server_down,
        };
        if *is_down != is_up {
            return;
        }
        *is_down = !is_up;
        ctx.hit(if is_up { &rare::MEMBER_PART_BACK } else { &rare::MEMBER_PART_DOWN });
        let number = u32::try_from(member).expect("members are few");
        ctx.observe(|| Observation::MemberTurned { member: number, part, is_up });
        if part == MemberPart::ApiServer && is_up && self.is_at_work(member) {
            self.start_server(member, ctx.now());
        }
        self.reassess_members(ctx);
    }

    /// The disk under the etcd of a member takes so much longer to flush.
    pub fn set_flush<E, R>(&mut self, member: usize, flush: SimSpan, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.members[member].flush = flush;
        self.reassess_members(ctx);
    }

    /// Something changed about single processes.
    fn reassess_members<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.note_own_etcds(ctx.now());
        self.reassess_quorum(ctx);
        self.reassess_api(ctx);
        self.refresh_connections(ctx);
        self.refresh_balancer(ctx);
        self.note_servers(ctx);
        self.note_members_for_upgrade(ctx);
        self.refresh_overload(ctx);
        self.settle(ctx);
    }

    /// API servers that were without their etcd for long were killed meanwhile and start anew with it.
    fn note_own_etcds(&mut self, now: SimTime) {
        for member in 0..self.control_plane.members.len() {
            let has_etcd = self.has_own_etcd(member);
            let state = &mut self.control_plane.members[member];
            match (state.etcd_away_since, has_etcd) {
                (None, false) => state.etcd_away_since = Some(now),
                (Some(since), true) => {
                    state.etcd_away_since = None;
                    if now.saturating_since(since) >= SERVER_GIVES_UP && self.runs_server(member) {
                        self.start_server(member, now);
                    }
                }
                _ => {}
            }
        }
    }

    /// The API server of a member starts.
    fn start_server(&mut self, member: usize, now: SimTime) {
        self.control_plane.members[member].boot_count += 1;
        let (key, occurrence) = self.start_of(member);
        let draw = self.draw(key, API_START, occurrence);
        let span = drawn(draw, self.blueprint.parameters.apiserver_start);
        self.control_plane.members[member].api_ready_at = now + span;
    }
}

/// Who answers.
impl Cluster {
    /// API servers and members of etcd may have gone or come.
    pub(in super::super) fn note_servers<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.tell_members(ctx);
        self.refresh_api_service(ctx);
    }

    /// Tells of each process of a member that it is away for reasons of its own, or there again.
    fn tell_members<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let (island, now) = (self.control_plane.island, ctx.now());
        for member in 0..self.control_plane.members.len() {
            let is_beside = self.island_of_member(member) == island;
            let answers = self.runs_server(member) && self.has_own_etcd(member);
            let is_open = !self.control_plane.is_closed();
            let states = [
                (MemberPart::ApiServer, answers && is_beside && is_open),
                (MemberPart::Etcd, self.votes(member) && is_beside),
            ];
            for (idx, (part, is_up)) in states.into_iter().enumerate() {
                let is_told_already = self.control_plane.members[member].is_away[idx] != is_up;
                if is_told_already || !self.has_part(member, part) {
                    continue;
                }
                self.control_plane.members[member].is_away[idx] = !is_up;
                let ready_at = self.control_plane.api_ready_at(member);
                let is_starting = is_up && part == MemberPart::ApiServer;
                let after =
                    if is_starting { ready_at.saturating_since(now) } else { SimSpan::ZERO };
                let (number, after_ns) =
                    (u32::try_from(member).expect("members are few"), after.as_nanos());
                ctx.observe(|| Observation::MemberServes { member: number, part, is_up, after_ns });
            }
        }
    }
}

/// Leaders and the API servers beside them.
impl Cluster {
    /// When the API server beside a member's candidates answers, as far as it is its own matter; `None`
    /// when that is not known.
    fn served_from(&self, member: usize) -> Option<SimTime> {
        let is_served = self.is_served_on(member, self.control_plane.island);
        let is_beside = self.tables.members[member].has_server;
        let since =
            if is_beside { self.control_plane.members[member].api_ready_at } else { SimTime::ZERO };
        is_served.then_some(since)
    }

    /// The connection of a replica apart from API servers was lost or is there again.
    pub(in super::super) fn review_candidate<E, R>(
        &mut self,
        component: Component,
        member: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.tables.members[member].runs[component.index()] {
            return;
        }
        ctx.hit(&rare::CONTROLLER_CUT);
        match self.control_plane.leaderships[component.index()].leader {
            Some(leader) if leader == member => self.review_leader(component, ctx),
            None if self.is_api_available() => self.expect_takeover(component, ctx),
            _ => {}
        }
    }

    /// Whether a leader asks in vain, because the API server beside it does not answer.
    pub(in super::super) fn is_leader_cut(&self, component: Component) -> bool {
        self.control_plane.leaderships[component.index()].is_cut
    }

    /// The API server beside a leader may have ended or begun to answer.
    pub(in super::super) fn review_leader<E, R>(
        &mut self,
        component: Component,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leadership = &self.control_plane.leaderships[component.index()];
        let (leader, was_cut) = (leadership.leader, leadership.is_cut);
        let Some(leader) = leader else { return };
        let served_from = self.served_from(leader);
        let is_cut = served_from.is_none_or(|at| at > ctx.now());
        if !is_cut && !was_cut {
            return;
        }
        if is_cut && !was_cut {
            ctx.hit(&rare::LEADER_CUT);
            if self.is_api_available() {
                self.note_last_renewal(component, ctx.now());
            }
            self.forget_leader_stall(component, ctx);
            self.withdraw(KubeEvent::LeaderStarted(component), ctx);
        }
        self.control_plane.leaderships[component.index()].is_cut = is_cut;
        if is_cut || !self.is_api_available() {
            self.await_leader(component, served_from, ctx);
        } else {
            self.resume_leader(component, ctx);
            self.resume_deferred(ctx);
        }
    }

    /// A leader that cannot renew gives up, unless its API server answers before.
    fn await_leader<E, R>(
        &mut self,
        component: Component,
        served_from: Option<SimTime>,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let stops_after = self.election_config().stops_after();
        let leadership = &mut self.control_plane.leaderships[component.index()];
        ctx.cancel(leadership.timer);
        let expiry = leadership.renewed_at + stops_after;
        let (at, event) = match served_from.filter(|at| *at > ctx.now() && *at < expiry) {
            Some(at) => (at, KubeEvent::LeaderServed(component)),
            None => (expiry, KubeEvent::LeaderExpired(component)),
        };
        leadership.timer = ctx.timer_at(at.max(ctx.now()), priority::CONTROL_PLANE, event);
    }
}
