//! What faults do to the control plane.
//!
//! Sources: those of the parts that they strike.

use model_api::{NodeId, Observation, ZoneId};
use sim_kernel::{Context, Purpose, Recorder, Timer};

use super::super::{Cluster, KubeEvent, drawn};
use super::Component;
use crate::rare;

const RESTART: Purpose = Purpose::new("leader restart");

impl Cluster {
    /// How many members the control plane has.
    pub fn member_count(&self) -> usize {
        self.control_plane.members.len()
    }

    /// The zone of a member.
    pub fn zone_of_member(&self, member: usize) -> ZoneId {
        self.tables.members[member].zone
    }

    /// The node of the blueprint that a member runs on, if it is one.
    pub fn node_of_member(&self, member: usize) -> Option<NodeId> {
        self.tables.members[member].node
    }

    /// The member that runs on a node, if one does.
    pub fn member_of_node(&self, node: NodeId) -> Option<usize> {
        self.tables.members.iter().position(|member| member.node == Some(node))
    }

    /// Whether the machine of a member runs.
    pub fn is_member_up(&self, member: usize) -> bool {
        self.control_plane.is_up(member)
    }

    /// Stops the machine of a member, or gives it its power back.
    pub fn set_member_power<E, R>(
        &mut self,
        member: usize,
        has_power: bool,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        match self.tables.members[member].node {
            Some(node) if has_power => self.restore_node(node, ctx),
            Some(node) => self.lose_node(node, ctx),
            None => {
                self.control_plane.members[member].is_off = !has_power;
                self.refresh_members(ctx);
                self.settle(ctx);
            }
        }
    }

    /// Takes the API away or gives it back, whatever etcd does: for faults that are about the API
    /// servers themselves.
    pub fn set_api_available<E, R>(&mut self, is_available: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.is_withheld = !is_available;
        if !is_available {
            self.set_api(false, ctx);
        } else if self.control_plane.members.is_empty() {
            self.set_api(true, ctx);
        } else if self.control_plane.etcd_leader.is_some() {
            self.open_api(ctx);
        }
        self.settle(ctx);
    }

    /// etcd's data is gone: nothing answers until it is given back.
    pub(in super::super) fn withhold_etcd<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.is_data_lost = true;
        self.set_api(false, ctx);
    }

    /// etcd has data again, though older: every process of the control plane starts anew, and finds
    /// leases that somebody held long ago and that have to run out.
    pub(in super::super) fn give_etcd_back<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        self.control_plane.is_data_lost = false;
        if self.control_plane.members.is_empty() {
            self.set_api(true, ctx);
            self.restart_node_controllers(ctx);
            self.sync_all_workloads(ctx);
            self.restart_autoscaling(ctx);
            self.restart_scheduler(ctx);
            return;
        }
        for component in Component::ALL {
            let leadership = &mut self.control_plane.leaderships[component.index()];
            let timer = std::mem::replace(&mut leadership.timer, Timer::NONE);
            ctx.cancel(timer);
            if leadership.leader.take().is_some() {
                self.end_leadership(component, ctx);
            }
        }
        for member in 0..self.control_plane.members.len() {
            if self.control_plane.members[member].is_up {
                self.start_member(member, ctx.now());
            }
        }
        if self.control_plane.etcd_leader.is_some() {
            self.open_api(ctx);
        }
    }

    /// The process that leads ends at once and holds its lease until that runs out; it starts again
    /// as a candidate that has seen nothing. Whether there was one.
    pub fn kill_leader<E, R>(&mut self, component: Component, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let leadership = &mut self.control_plane.leaderships[component.index()];
        let Some(leader) = leadership.leader.take() else { return false };
        let timer = std::mem::replace(&mut leadership.timer, Timer::NONE);
        let occurrence = leadership.loss_count;
        ctx.cancel(timer);
        if self.is_api_available() {
            self.note_last_renewal(component, ctx.now());
        }
        let draw = self.draw(self.tables.members[leader].key, RESTART, occurrence);
        let back_at = ctx.now() + drawn(draw, self.blueprint.parameters.container_start);
        self.control_plane.members[leader].fresh_since[component.index()] = back_at;
        self.restart_controller_client(leader, ctx);
        self.end_leadership(component, ctx);
        if self.is_api_available() {
            self.expect_takeover(component, ctx);
        }
        self.settle(ctx);
        true
    }

    /// The process of etcd's leader ends and starts again at once, as a follower. Whether there was
    /// one.
    pub fn kill_etcd_leader<E, R>(&mut self, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.control_plane.etcd_leader.take().is_none() {
            return false;
        }
        ctx.hit(&rare::ETCD_LEADER_LOST);
        self.set_api(false, ctx);
        let timer = std::mem::replace(&mut self.control_plane.timer, Timer::NONE);
        ctx.cancel(timer);
        self.call_election(self.control_plane.island, true, ctx);
        self.settle(ctx);
        true
    }
}
