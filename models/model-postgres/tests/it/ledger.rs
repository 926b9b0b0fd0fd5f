//! What clients were told, counted beside the model: who takes their commits at each moment, and for
//! how long.

use model_api::ZoneId;
use model_postgres::{Databases, PgNotice};
use sim_kernel::SimTime;

use crate::world::DATABASE;

/// Shares of the configured rate, in millionths.
const FULL_PPM: u64 = 1_000_000;

/// The clients of one database without synchronous standbys, where every commit is acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// Acknowledged so far, in nanoseconds of committing at the configured rate.
    pub(crate) acknowledged_ns: u64,
    since: SimTime,
    /// Of all instances together, as of then.
    rate_ppm: u64,
    /// Where the Service leads.
    backend: u8,
    are_cut: [bool; 3],
}

impl Ledger {
    pub(crate) fn new() -> Self {
        let (since, are_cut) = (SimTime::ZERO, [false; 3]);
        Self { acknowledged_ns: 0, since, rate_ppm: 0, backend: 0, are_cut }
    }

    /// Counts what was acknowledged up to now. Before anything changes.
    pub(crate) fn advance(&mut self, now: SimTime) {
        let elapsed_ns = (now - self.since).as_nanos();
        let gained = u128::from(elapsed_ns) * u128::from(self.rate_ppm) / u128::from(FULL_PPM);
        self.acknowledged_ns += u64::try_from(gained).expect("runs are shorter than centuries");
        self.since = now;
    }

    pub(crate) fn set_cut(&mut self, zone: u32, is_cut: bool) {
        self.are_cut[zone as usize] = is_cut;
    }

    /// Looks who takes commits. After anything changed.
    pub(crate) fn look(
        &mut self,
        databases: &Databases,
        zones: &[ZoneId],
        notices: &[PgNotice],
        now: SimTime,
    ) {
        for notice in notices {
            if let PgNotice::SetBackend { pod, .. } = notice {
                self.backend = u8::try_from(pod.0).expect("a pod is numbered as its instance");
            }
        }
        self.rate_ppm = 0;
        for (ordinal, zone) in (0_u8..).zip(zones) {
            let is_served = databases.is_writable(DATABASE) && self.backend == ordinal;
            if is_served {
                self.rate_ppm += FULL_PPM;
            } else if databases.commits(DATABASE, ordinal, now) && self.are_cut[zone.index()] {
                self.rate_ppm += FULL_PPM / 3;
            }
        }
    }
}
