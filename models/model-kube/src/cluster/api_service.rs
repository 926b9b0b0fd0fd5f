//! The Service `kubernetes`: which API servers pods are led to that come through it
//! ([`super::api_clients`]).
//!
//! # Modelled
//! The address of each API server, which stays listed for a while after its server died
//! ([`crate::endpoint_reconciler`]). Nothing is written while etcd has no leader.
//! # Not modelled
//! What proxies know of the Service: they are as quick as the API here.
//! # Defaults and their sources
//! [`model_api::control_plane::EndpointReconciler`]; where none is stated, pods reach whichever server answers.
//! # Invariants
//! The last address stays. Nothing is looked at while no server changes.
//! # Checked against
//! `tests/it/api_service.rs`.

use model_api::control_plane::EndpointReconciler;
use model_api::{Blueprint, Observation};
use sim_kernel::{Context, Purpose, Recorder, SimSpan, SimTime, Streams, Timer};

use super::tables::Tables;
use super::{Cluster, KubeEvent, priority};
use crate::endpoint_reconciler::{self, expires_at, next_look};
use crate::rare;

const LOOK: Purpose = Purpose::new("endpoint reconciler phase");

/// What the Service has of one API server.
#[derive(Clone, Copy, Debug)]
struct Address {
    /// Pods are led to it.
    is_listed: bool,
    /// The server runs and has an etcd to ask.
    is_there: bool,
    /// Since when that is so, or not so.
    since: SimTime,
    /// One of the moments at which it looks.
    origin: SimTime,
    /// When its lease runs out, of one that died.
    expires_at: SimTime,
    timer: Timer,
}

/// Addresses by member; empty where nothing is stated.
#[derive(Clone, Debug, Default)]
pub(super) struct ApiService {
    is_leased: bool,
    addresses: Vec<Address>,
}

impl ApiService {
    pub(super) fn at_start(blueprint: &Blueprint, tables: &Tables, streams: Streams) -> Self {
        let Some(reconciler) = blueprint.control_plane.endpoint_reconciler else {
            return Self::default();
        };
        let servers = tables.members.iter().filter(|member| member.has_server);
        let addresses = servers.map(|member| {
            let phase = streams.draw(member.key, LOOK, 0);
            let phase = phase.span_between(SimSpan::ZERO, endpoint_reconciler::PERIOD);
            Address {
                is_listed: true,
                is_there: true,
                since: SimTime::ZERO,
                origin: SimTime::ZERO + phase,
                expires_at: SimTime::MAX,
                timer: Timer::NONE,
            }
        });
        Self { is_leased: reconciler == EndpointReconciler::Lease, addresses: addresses.collect() }
    }

    /// Members to which pods are led.
    pub(super) fn listed(&self) -> Vec<usize> {
        (0..self.addresses.len()).filter(|member| self.addresses[*member].is_listed).collect()
    }
}

impl Cluster {
    /// API servers may have gone or come: looks at their addresses anew.
    pub(super) fn refresh_api_service<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        if self.api_service.addresses.is_empty() {
            return;
        }
        let island = self.control_plane.island();
        for member in 0..self.api_service.addresses.len() {
            let is_there = self.servers_on(island).any(|it| it == member);
            let address = &mut self.api_service.addresses[member];
            if address.is_there && !is_there {
                address.expires_at = expires_at(address.origin, ctx.now());
                address.since = ctx.now();
            } else if !address.is_there && is_there {
                let ready_at = self.control_plane.api_ready_at(member);
                let address = &mut self.api_service.addresses[member];
                if ready_at > ctx.now() {
                    // One that starts takes its address away until it is ready.
                    address.origin = ready_at;
                }
                address.since = ready_at.max(ctx.now());
            }
            self.api_service.addresses[member].is_there = is_there;
        }
        for member in 0..self.api_service.addresses.len() {
            self.expect_address(member, ctx);
        }
    }

    /// A new leader of etcd gives every lease its whole time again.
    pub(super) fn extend_address_leases(&mut self, now: SimTime) {
        let extended =
            now + self.blueprint.parameters.etcd_election_timeout + endpoint_reconciler::LEASE;
        for address in &mut self.api_service.addresses {
            if !address.is_there && address.expires_at > now {
                address.expires_at = address.expires_at.max(extended);
            }
        }
    }

    /// Works out when an address is taken away, or listed.
    fn expect_address<E, R>(&mut self, member: usize, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let address = self.api_service.addresses[member];
        ctx.cancel(address.timer);
        self.api_service.addresses[member].timer = Timer::NONE;
        let is_written = self.etcd_leader().is_some() && !self.control_plane.is_closed();
        if !self.api_service.is_leased || !is_written {
            return;
        }
        let now = ctx.now();
        let at = if address.is_there {
            if address.is_listed && address.since > now {
                self.list_address(member, false, ctx);
            }
            if self.api_service.addresses[member].is_listed {
                return;
            }
            next_look(address.origin, address.since.max(now))
        } else if !address.is_listed {
            return;
        } else if self.ends_in_order(member) {
            return self.list_address(member, false, ctx);
        } else {
            let from = address.expires_at.max(now);
            let others = self.api_service.addresses.iter().enumerate();
            let others = others.filter(|(_, other)| other.is_there);
            let looks = others.map(|(idx, other)| {
                next_look(other.origin, from.max(self.control_plane.api_ready_at(idx)))
            });
            let Some(at) = looks.min() else { return };
            at
        };
        let event = KubeEvent::ApiAddressDue(u32::try_from(member).expect("members are few"));
        self.api_service.addresses[member].timer = ctx.timer_at(at, priority::CONTROL_PLANE, event);
    }

    /// The address of a server is taken away, or listed again.
    pub(super) fn on_api_address_due<E, R>(&mut self, member: u32, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let is_there = self.api_service.addresses[member as usize].is_there;
        self.list_address(member as usize, is_there, ctx);
    }

    fn list_address<E, R>(&mut self, member: usize, is_listed: bool, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let listed_count = self.api_service.listed().len();
        // No server takes the last address away (`doReconcile`).
        if !is_listed && listed_count == 1 {
            return;
        }
        ctx.hit(&rare::ADDRESS_TURNED);
        let address = &mut self.api_service.addresses[member];
        address.is_listed = is_listed;
        let after_ns = ctx.now().saturating_since(address.since).as_nanos();
        let share = 1_000_000_usize.checked_div(listed_count).filter(|_| !is_listed).unwrap_or(0);
        let share_ppm = u32::try_from(share).expect("a share is at most all");
        let member = u32::try_from(member).expect("members are few");
        ctx.observe(|| Observation::ApiServerListed { member, is_listed, after_ns, share_ppm });
    }
}
