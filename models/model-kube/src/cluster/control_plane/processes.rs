//! The processes of one member end on purpose and start again.

use model_api::Observation;
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime};

use super::super::{Cluster, KubeEvent, priority};
use super::{Component, ControlPlane};
use crate::etcd;

const TRANSFER: Purpose = Purpose::new("etcd hands its lead over");

/// A leader that ends on purpose hands its lead over first (etcd 3.6 `server/etcdserver/server.go`,
/// `TryTransferLeadershipOnShutdown`): two rounds of messages and a flush.
///
/// Simplified: handing over takes 10 ms (**Assumption**), and goes to any follower alike; upstream takes
/// the one connected for longest.
const HAND_OVER: SimSpan = SimSpan::from_millis(10);

impl ControlPlane {
    /// Whether the machine of a member runs.
    pub(in super::super) fn is_up(&self, member: usize) -> bool {
        self.members[member].is_up
    }

    /// When the API server of a member answers, or began to.
    pub(in super::super) fn api_ready_at(&self, member: usize) -> SimTime {
        self.members[member].api_ready_at
    }

    /// Whether the processes of a member have ended in order and are to start again.
    pub(in super::super) fn is_restarting(&self, member: usize) -> bool {
        self.members[member].is_restarting
    }

    /// Whether a member closes its connections before it goes.
    pub(in super::super) fn says_goodbye(&self, member: usize) -> bool {
        self.members[member].says_goodbye
    }
}

impl Cluster {
    /// API servers that answer; none of a control plane that is somebody else's.
    pub(in super::super) fn ready_servers(&self, now: SimTime) -> Option<u32> {
        if self.control_plane.members.is_empty() {
            return None;
        }
        let servers = self.servers_on(self.control_plane.island);
        let ready = servers.filter(|it| self.control_plane.members[*it].api_ready_at <= now);
        Some(u32::try_from(ready.count()).expect("members are few"))
    }

    /// The member that leads etcd.
    pub fn etcd_leader(&self) -> Option<usize> {
        self.control_plane.etcd_leader
    }

    /// A key of a member, and how often it started: what draws about its start are made with.
    pub(in super::super) fn start_of(&self, member: usize) -> (EntityKey, u64) {
        (self.tables.members[member].key, self.control_plane.members[member].boot_count)
    }

    /// The processes of a member end, each as well as it can: etcd hands its lead over, the scheduler
    /// lets its lease go, connections are closed. The controller manager keeps its lease
    /// (`ControllerManagerReleaseLeaderElectionLockOnExit` is off).
    pub(in super::super) fn stop_processes<E, R>(
        &mut self,
        member: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.members[member].is_restarting = true;
        let scheduler = &mut self.control_plane.leaderships[Component::Scheduler.index()];
        if scheduler.leader == Some(member) {
            scheduler.released_at = Some(ctx.now());
        }
        if self.control_plane.etcd_leader == Some(member) {
            self.hand_etcd_over(member, ctx);
        }
        self.reassess_quorum(ctx);
        self.reassess_api(ctx);
        self.note_servers(ctx);
        self.refresh_connections(ctx);
    }

    /// Whether an API server that is away told others that it goes.
    pub(in super::super) fn ends_in_order(&self, member: usize) -> bool {
        self.control_plane.is_restarting(member) || self.control_plane.says_goodbye(member)
    }

    fn hand_etcd_over<E, R>(&mut self, member: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let followers: Vec<usize> = self.voters_on(self.control_plane.island).collect();
        if !etcd::has_quorum(followers.len(), self.voters().count()) {
            return;
        }
        self.control_plane.etcd_leader = None;
        self.set_api(false, ctx);
        let (key, occurrence) = self.start_of(member);
        self.control_plane.elected =
            followers[self.draw(key, TRANSFER, occurrence).index(followers.len())];
        ctx.cancel(self.control_plane.timer);
        self.control_plane.timer =
            ctx.timer_in(HAND_OVER, priority::CONTROL_PLANE, KubeEvent::EtcdElected);
    }

    /// etcd of a member runs again; its API server and its candidates follow.
    pub(in super::super) fn start_processes<E, R>(
        &mut self,
        member: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.members[member].is_restarting = false;
        self.start_member(member, ctx.now());
        self.reassess_quorum(ctx);
        self.reassess_api(ctx);
        self.note_servers(ctx);
        self.refresh_connections(ctx);
    }

    /// The machine of a member is to boot: its processes end first.
    pub(in super::super) fn leave_for_boot<E, R>(
        &mut self,
        member: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.stop_processes(member, ctx);
        self.control_plane.members[member].says_goodbye = true;
        self.set_member_power(member, false, ctx);
        self.control_plane.members[member].says_goodbye = false;
        self.control_plane.members[member].is_restarting = false;
        self.set_member_power(member, true, ctx);
    }

    /// No API server may be ready any more, though etcd leads.
    pub(super) fn reassess_api<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.control_plane.etcd_leader.is_none() {
            return;
        }
        if self.ready_servers(ctx.now()) == Some(0) {
            self.set_api(false, ctx);
        }
        if !self.is_api_available() {
            self.open_api(ctx);
        }
    }
}
