//! The control plane of the cloud, which has lost machines replaced: what waits while it answers nothing.
//!
//! The machines take over from each other without it (keepalived). A health manager that starts anew looks for
//! the first time after as long as a heart-beat may be late, so that machines can report before it takes them
//! for lost (`octavia/cmd/health_manager.py`, Octavia 14).

use model_api::observation::PendingWrite;
use model_api::{BalancerId, Observation};
use sim_kernel::{Context, Recorder, SimTime, Timer};

use super::{Balancers, GatewayEvent, Machine, PRIORITY, number_of};
use crate::rare;

impl Balancers {
    /// Says whether the control plane of the cloud answers from now on. Machines that are being made are
    /// begun anew once it does.
    pub fn set_cloud_available<E, R>(&mut self, is_available: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        if std::mem::replace(&mut self.is_cloud_away, !is_available) != is_available {
            return;
        }
        if is_available {
            self.cloud_back_at = Some(ctx.now());
        }
        for idx in 0..self.states.len() {
            let id = BalancerId::from_index(idx);
            self.states[idx].is_waiting = false;
            for number in 0..self.states[idx].slots.len() {
                let slot = self.states[idx].slots[number];
                match slot.machine {
                    Machine::Building if !is_available => {
                        ctx.cancel(slot.timer);
                        self.build(id, number, ctx);
                    }
                    Machine::Waiting if is_available => self.build(id, number, ctx),
                    Machine::Gone | Machine::CutOff if is_available && slot.is_overdue => {
                        self.look_later(id, number, ctx);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A machine is silent for too long. Whether somebody takes note of that now.
    pub(super) fn is_noticed<E, R>(
        &mut self,
        id: BalancerId,
        number: usize,
        ctx: &mut Context<'_, E, R>,
    ) -> bool
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        if self.is_cloud_away {
            self.states[id.index()].slots[number].is_overdue = true;
            self.tell_waiting(id, ctx);
            return false;
        }
        if ctx.now() < self.first_look(id) {
            self.look_later(id, number, ctx);
            return false;
        }
        true
    }

    /// When a health manager looks for the first time that started anew with the cloud's control plane.
    fn first_look(&self, id: BalancerId) -> SimTime {
        let pause = |back_at: SimTime| back_at + self.spec(id).failover.heartbeat_timeout;
        self.cloud_back_at.map_or(SimTime::ZERO, pause)
    }

    fn look_later<E, R>(&mut self, id: BalancerId, number: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let at = self.first_look(id);
        let event = GatewayEvent::GivenUpDue(id, number_of(number));
        let timer = ctx.timer_at(at, PRIORITY, event);
        let slot = &mut self.states[id.index()].slots[number];
        (slot.timer, slot.is_overdue) = (timer, false);
    }

    /// A machine is to be made, and nobody is there who makes one.
    pub(super) fn wait_for_cloud<E, R>(
        &mut self,
        id: BalancerId,
        number: usize,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        let slot = &mut self.states[id.index()].slots[number];
        (slot.machine, slot.timer) = (Machine::Waiting, Timer::NONE);
        self.tell_waiting(id, ctx);
    }

    fn tell_waiting<E, R>(&mut self, id: BalancerId, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<GatewayEvent>,
        R: Recorder<Observation>,
    {
        if !std::mem::replace(&mut self.states[id.index()].is_waiting, true) {
            ctx.hit(&rare::BUILD_WAITED);
            let write = PendingWrite::BalancerMachine(id);
            ctx.observe(|| Observation::WriteWaits { write });
        }
    }
}
