//! Connections that clients keep open to a gateway, and the herd that makes them anew.
//!
//! A connection ends with the pod that it leads to, and with the machine of a load balancer that it goes
//! through: who takes the address over knows none of them. Each client makes another one with its next
//! request, and that costs the pod a handshake of TLS besides. So for as long as clients take to ask again,
//! requests cost more CPU, and pods can answer fewer of them: just when everybody comes back.
//!
//! # Modelled
//! The share of clients without a connection: all after a failover of the balancer, those of a pod when it
//! takes nothing any more. It falls exponentially, as fast as requests come for each connection.
//! # Not modelled
//! Clients that do not wait for their next request; queues of connections that are not accepted yet (SYN
//! backlog); tickets with which sessions are resumed, which another pod cannot read anyway unless pods
//! share their key. What handshakes cost is not seen by autoscalers. A balancer whose address moves to a
//! machine that comes back without a gap.
//! # Defaults and their sources
//! What a handshake costs: GW-8 of the specification of platform services.
//! # Invariants
//! A gateway that loses nobody has no event of this.
//! # Checked against
//! `tests/it/connections.rs`: as many handshakes as there are connections.

use model_api::path::Reconnect;
use model_api::{PodId, ServiceId};
use sim_kernel::{SimSpan, SimTime};

use super::World;

const WHOLE: u64 = 1_000_000;
/// A share of clients without a connection below this, in parts per million, is none.
const AWAY_MIN: u64 = 10_000;
/// A step ends when a quarter of them are back: after ln(4/3) of the time that all take at first.
const STEP_PPM: u128 = 287_682;
/// In its middle the share is sqrt(3/4) of that at its start.
const MIDDLE_PPM: u64 = 866_025;

/// The connections of a gateway.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    /// Pods that hold them.
    pods: Vec<PodId>,
    /// Of a million clients, those without one.
    away_ppm: u64,
    /// When a quarter of them will be back.
    next_at: Option<SimTime>,
}

impl Connections {
    /// Lets clients come back until now.
    fn advance(&mut self, now: SimTime) {
        if self.next_at.is_some_and(|at| at <= now) {
            self.next_at = None;
            self.away_ppm = self.away_ppm * 3 / 4;
            if self.away_ppm < AWAY_MIN {
                self.away_ppm = 0;
            }
        }
    }

    /// Loses those of pods that are there no more.
    fn hold(&mut self, pods: Vec<PodId>) {
        let lost = self.pods.iter().filter(|pod| !pods.contains(pod)).count() as u64;
        let before = self.pods.len() as u64;
        if lost > 0 {
            self.away_ppm += (WHOLE - self.away_ppm) * lost / before;
        }
        self.pods = pods;
    }

    /// What a request costs more than in the mean of all, of a million of a handshake.
    fn extra_ppm(&self) -> u64 {
        self.away_ppm * MIDDLE_PPM / WHOLE
    }

    /// How long the step still lasts, when so many requests per 1000 s come.
    fn step(&mut self, spec: Reconnect, asked_millirps: u64, now: SimTime) -> Option<SimSpan> {
        if self.away_ppm == 0 || asked_millirps == 0 {
            return None;
        }
        let at = *self.next_at.get_or_insert_with(|| {
            let each = u128::from(spec.connection_count) * 1_000_000_000_000;
            let nanos = each / u128::from(asked_millirps) * STEP_PPM / u128::from(WHOLE);
            now.saturating_add(SimSpan::from_nanos(u64::try_from(nanos.max(1)).unwrap_or(u64::MAX)))
        });
        Some(at.saturating_since(now))
    }
}

impl World {
    /// What requests to a Service cost more now because clients have no connection: of a million of what
    /// its pods can do, what is left, and until when it stays so.
    pub(super) fn reconnecting(
        &mut self,
        service: ServiceId,
        now: SimTime,
    ) -> Option<(u64, SimSpan)> {
        let spec = self.wiring.reconnects[service.index()]?;
        let routes = self.cluster.routes(service).iter();
        let pods: Vec<PodId> =
            routes.filter(|route| route.is_live).map(|route| route.pod).collect();
        let asked_millirps = self.flows.traffic(service).map_or(0, |it| it.offered_millirps.0);
        let connections = self.connections.entry(service).or_default();
        connections.advance(now);
        connections.hold(pods);
        let left = connections.step(spec, asked_millirps, now)?;
        let cost = u128::from(self.flows.cpu_per_request(service).as_nanos());
        let handshake = u128::from(spec.handshake.as_nanos());
        let extra = handshake * u128::from(connections.extra_ppm()) / u128::from(WHOLE);
        let speed_ppm = cost * u128::from(WHOLE) / (cost + extra).max(1);
        Some((u64::try_from(speed_ppm).expect("no more than a million"), left))
    }

    /// The machine that holds the address of a balancer is another one: it knows no connection.
    pub(super) fn lose_connections(&mut self, service: ServiceId) -> bool {
        if self.wiring.reconnects[service.index()].is_none() {
            return false;
        }
        let connections = self.connections.entry(service).or_default();
        (connections.away_ppm, connections.next_at) = (WHOLE, None);
        true
    }
}
