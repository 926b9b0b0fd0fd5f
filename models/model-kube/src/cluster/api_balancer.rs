//! The load balancer before the API servers: whom it takes for dead, and when.
//!
//! # Modelled
//! Its checks of each server, one an interval: so many that fail in a row take a server out, so many that
//! succeed let it in again. Until then new connections are sent to a server that is dead, in turn with
//! others. It may fail as a whole. Kubelets, proxies, people and controllers apart come through it
//! ([`super::api_clients`]); controller managers, schedulers and kubelets on machines of API servers ask
//! the one beside them, and pods come through the Service `kubernetes` ([`super::api_service`]), so that
//! operators go on without it.
//! # Not modelled
//! A balancer that tries another server when one refuses a connection, and one that ends connections to
//! servers that it takes out. The machines that a balancer stands on.
//! # Defaults and their sources
//! [`model_api::control_plane::ApiBalancer`]. Without one stated, clients reach whichever server answers.
//! `cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go` (who uses which address; kubelets of the control
//! plane ask their own API server since 1.33, `ControlPlaneKubeletLocalMode`), Kubernetes 1.36.
//! # Invariants
//! A server that answers for longer than `rise` checks is in; one that does not for longer than `fall`
//! checks is out. Nothing is looked at while no server changes.
//! # Checked against
//! `tests/it/api_balancer.rs`.

use model_api::{Blueprint, NodeId, Observation};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Timer};

use super::{Cluster, KubeEvent, priority};
use crate::rare;

const CHECK: Purpose = Purpose::new("balancer check phase");

/// What the balancer thinks of one server.
#[derive(Clone, Copy, Debug)]
struct Checked {
    /// New connections are sent to it.
    is_in: bool,
    /// Checks of it succeed.
    is_healthy: bool,
    /// Since when they do, or do not.
    since: SimTime,
    timer: Timer,
    turn_count: u64,
}

/// The pool of API servers, by member; empty where no balancer is stated.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiPool {
    is_down: bool,
    servers: Vec<Checked>,
}

impl ApiPool {
    pub(super) fn at_start(blueprint: &Blueprint) -> Self {
        let checked = Checked {
            is_in: true,
            is_healthy: true,
            since: SimTime::ZERO,
            timer: Timer::NONE,
            turn_count: 0,
        };
        let control_plane = &blueprint.control_plane;
        let count = control_plane.balancer.map_or(0, |_| control_plane.member_zones.len());
        Self { is_down: false, servers: vec![checked; count] }
    }

    /// There is a balancer.
    pub(super) fn is_stated(&self) -> bool {
        !self.servers.is_empty()
    }

    /// It fails as a whole.
    pub(super) fn is_down(&self) -> bool {
        self.is_down
    }

    /// Members to which new connections are sent.
    pub(super) fn pool(&self) -> impl Iterator<Item = usize> {
        let is_in = |member: &usize| !self.is_down && self.servers[*member].is_in;
        (0..self.servers.len()).filter(is_in)
    }
}

/// From the moment at which a server turns until as many checks in a row have seen it: the first of them
/// comes within an interval, as `phase` says.
///
/// A check that nobody answers is over after its time-out.
pub(crate) fn turns_after(
    phase: SimSpan,
    interval: SimSpan,
    checks: u32,
    timeout: Option<SimSpan>,
) -> SimSpan {
    phase + interval * u64::from(checks.saturating_sub(1)) + timeout.unwrap_or(SimSpan::ZERO)
}

impl Cluster {
    /// Whether somebody gets through the balancer, if there is one.
    pub(super) fn is_balancer_open(&self) -> bool {
        !self.api_pool.is_stated() || self.api_pool.pool().next().is_some()
    }

    /// Closes the balancer before the API servers, or opens it again. Whether there is one.
    pub fn set_api_balancer<E, R>(&mut self, is_up: bool, ctx: &mut Context<'_, E, R>) -> bool
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if !self.api_pool.is_stated() {
            return false;
        }
        if self.api_pool.is_down == is_up {
            self.api_pool.is_down = !is_up;
            ctx.observe(|| Observation::ApiBalancerTurned { is_up });
            if is_up {
                self.redial_waiting(ctx);
                self.resume_deferred(ctx);
            } else {
                ctx.hit(&rare::BALANCER_DOWN);
                self.drop_balanced(ctx);
            }
            self.review_watches(ctx);
            self.refresh_api_clients(ctx);
        }
        self.settle(ctx);
        true
    }

    /// Looks at what checks of each server come to from now on.
    pub(super) fn refresh_balancer<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let Some(spec) = self.blueprint.control_plane.balancer else { return };
        let island = self.control_plane.island();
        for member in 0..self.api_pool.servers.len() {
            let answers = self.etcd_leader().is_some()
                && !self.control_plane.is_closed()
                && self.servers_on(island).any(|it| it == member);
            let former = self.api_pool.servers[member];
            if former.is_healthy == answers {
                continue;
            }
            ctx.cancel(former.timer);
            let ready_at = self.control_plane.api_ready_at(member);
            let since = if answers { ready_at.max(ctx.now()) } else { ctx.now() };
            let turn_count = former.turn_count + 1;
            let mut timer = Timer::NONE;
            if former.is_in != answers {
                let draw = self.draw(self.tables.members[member].key, CHECK, turn_count);
                let phase = draw.span_between(SimSpan::ZERO, spec.interval);
                let is_silent =
                    !self.is_member_up(member) || island != self.island_of_member(member);
                let timeout = (!answers && is_silent).then_some(spec.timeout);
                let checks = if answers { spec.rise } else { spec.fall };
                let at = since + turns_after(phase, spec.interval, checks, timeout);
                let number = u32::try_from(member).expect("members are few");
                timer =
                    ctx.timer_at(at, priority::CONTROL_PLANE, KubeEvent::BalancerTurned(number));
            }
            let is_in = former.is_in;
            self.api_pool.servers[member] =
                Checked { is_in, is_healthy: answers, since, timer, turn_count };
        }
    }

    pub(super) fn on_balancer_turned<E, R>(&mut self, member: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        ctx.hit(&rare::BALANCER_TURNED);
        let was_open = self.is_balancer_open();
        let pool_size = self.api_pool.servers.iter().filter(|server| server.is_in).count();
        let server = &mut self.api_pool.servers[member as usize];
        server.is_in = server.is_healthy;
        let (is_in, since) = (server.is_in, server.since);
        let after_ns = ctx.now().saturating_since(since).as_nanos();
        let share = 1_000_000_usize.checked_div(pool_size).filter(|_| !is_in).unwrap_or(0);
        let share_ppm = u32::try_from(share).expect("a share is at most all");
        ctx.observe(|| Observation::ApiServerPooled { member, is_in, after_ns, share_ppm });
        if is_in {
            self.redial_waiting(ctx);
            if !was_open && self.is_balancer_open() {
                self.resume_deferred(ctx);
            }
        }
        self.review_watches(ctx);
        self.refresh_api_clients(ctx);
    }

    /// Kubelets that nobody let through dial anew.
    fn redial_waiting<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        for node in (0..self.nodes.len()).map(NodeId::from_index) {
            if self.waits_for_balancer(node) {
                self.redial(node, ctx);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_server_is_out_after_its_checks_and_one_time_out() {
        let secs = SimSpan::from_secs;
        let cases = [(0, 1, None, 0), (3, 2, None, 13), (3, 2, Some(10), 23), (10, 3, Some(2), 32)];
        for (phase, checks, timeout, expected) in cases {
            let after = turns_after(secs(phase), secs(10), checks, timeout.map(secs));
            assert_eq!(after, secs(expected));
        }
    }
}
