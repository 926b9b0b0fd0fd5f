//! Poolers: what of the requests that reach them they pass on.
//!
//! A pooler that lends a connection for a whole session has so many clients as it has connections to its
//! database, and any pooler so many as `max_client_conn` lets in. Pods of Services keep connections open
//! (`connections` under `writesTo`); those beyond have none, and wait for `query_wait_timeout` in vain, or
//! are refused.
//!
//! Simplified: requests are spread over all connections of a Service alike, so that the share of those
//! without one fails; whoever waits in vain has failed from the start.

use model_api::{Observation, PoolerId, ServiceId};
use sim_kernel::{Context, Recorder};

use super::World;
use super::data::Standing;
use crate::event::Event;

/// All of a million.
const ALL_PPM: u32 = 1_000_000;

impl World {
    /// Of a million requests, how many a pooler cannot pass on: all while what the database holds is
    /// wrong, and for no reason of the database where something else was restored in its place.
    pub(super) fn pooler_fails(&self, pooler: PoolerId) -> u32 {
        let database = self.blueprint.poolers[pooler.index()].database;
        let of_database = match self.data.standing(database) {
            Standing::Held => ALL_PPM,
            Standing::Restored => 0,
            Standing::Ordinary => self.pooler_fails[pooler.index()],
        };
        either(of_database, self.pooler_unserved[pooler.index()])
    }

    /// The pods of a Service changed that is a pooler's, or whose pods stay connected to one.
    pub(super) fn tell_pooled<R: Recorder<Observation>>(
        &mut self,
        service: ServiceId,
        ctx: &mut Context<'_, Event, R>,
    ) {
        for idx in 0..self.wiring.pooled_by_service[service.index()].len() {
            let pooler = self.wiring.pooled_by_service[service.index()][idx];
            let unserved_ppm = self.unserved_ppm(pooler);
            if self.pooler_unserved[pooler.index()] == unserved_ppm {
                continue;
            }
            self.pooler_unserved[pooler.index()] = unserved_ppm;
            let failing_ppm = self.pooler_fails(pooler);
            ctx.observe(|| Observation::PoolerFails { pooler, failing_ppm });
            self.tell_failing(self.blueprint.poolers[pooler.index()].service);
        }
    }

    fn unserved_ppm(&self, pooler: PoolerId) -> u32 {
        let spec = &self.blueprint.poolers[pooler.index()];
        let live = |service: ServiceId| u64::from(self.cluster.endpoint_counts(service).1);
        let each = |(service, each): &(ServiceId, u32)| live(*service) * u64::from(*each);
        let of_pod =
            if spec.lends_sessions { spec.pool_size.min(spec.client_max) } else { spec.client_max };
        let clients = spec.clients.iter().map(each).sum();
        unserved(clients, live(spec.service) * u64::from(of_pod))
    }
}

/// Of a million clients, how many find no room.
fn unserved(clients: u64, room: u64) -> u32 {
    let without = clients.saturating_sub(room);
    let ppm = (u128::from(without) * u128::from(ALL_PPM)).checked_div(u128::from(clients));
    u32::try_from(ppm.unwrap_or(0)).expect("no more than all")
}

/// Of a million, how many fail in one way or the other.
pub(super) fn either(one_ppm: u32, other_ppm: u32) -> u32 {
    let fine = u64::from(ALL_PPM - one_ppm.min(ALL_PPM));
    let both = fine * u64::from(ALL_PPM - other_ppm.min(ALL_PPM)) / u64::from(ALL_PPM);
    u32::try_from(u64::from(ALL_PPM) - both).expect("no more than a million")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_beyond_the_room_have_no_connection() {
        let cases = [
            (0, 0, 0),
            (0, 60, 0),
            (60, 60, 0),
            (120, 60, 500_000),
            (90, 60, 333_333),
            (5, 0, 1_000_000),
        ];
        for (clients, room, expected) in cases {
            assert_eq!(unserved(clients, room), expected, "{clients} {room}");
        }
    }
}
