//! What clients were told, counted beside the model: who takes their commits at each moment, and for
//! how long.

use model_api::ZoneId;
use model_postgres::{Access, Databases, PATIENT_PPM, PgNotice};
use sim_kernel::SimTime;

use crate::world::DATABASE;

/// Shares of the configured rate, in millionths.
const FULL_PPM: u64 = 1_000_000;

/// Sessions of the database, each of which has one commit under way at most.
pub(crate) const SESSION_COUNT: u32 = 100;
/// Commits of that many sessions, in nanoseconds at the configured rate, 200 a second.
const SESSIONS_NS: u64 = 500_000_000;

/// The clients of one database.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// Acknowledged so far, in nanoseconds of committing at the configured rate.
    pub(crate) acknowledged_ns: u64,
    /// Never answered, because the primary went while it waited for a standby.
    pub(crate) unknown_ns: u64,
    since: SimTime,
    /// By instance: the rate at which it commits, and whether clients are told.
    rates: Vec<(u64, bool)>,
    /// By instance: on its disk, and waiting for a standby.
    waiting_ns: Vec<u64>,
    /// By instance: it stands still, and its clients wait for it.
    has_old_sessions: Vec<bool>,
    /// By instance: how many do.
    patient_ppm: Vec<u64>,
    /// By instance: it was told to end while its zone was cut off, and whoever is beside it stays.
    ends_beside: Vec<bool>,
    /// By instance: it was told to end, and the Service leads away from its sessions, which go on.
    stays: Vec<bool>,
    /// Whom the clients were with when somebody last looked.
    was_asked: Option<u8>,
    /// What all of them commit at together, at most.
    pub(crate) rate_most_ppm: u64,
    /// Where the Service leads.
    backend: u8,
    are_cut: [bool; 3],
}

impl Ledger {
    pub(crate) fn new(instances: usize) -> Self {
        Self {
            acknowledged_ns: 0,
            unknown_ns: 0,
            since: SimTime::ZERO,
            rates: vec![(0, false); instances],
            waiting_ns: vec![0; instances],
            has_old_sessions: vec![false; instances],
            patient_ppm: vec![0; instances],
            ends_beside: vec![false; instances],
            stays: vec![false; instances],
            was_asked: None,
            rate_most_ppm: 0,
            backend: 0,
            are_cut: [false; 3],
        }
    }

    /// Counts what was committed up to now. Before anything changes.
    pub(crate) fn advance(&mut self, now: SimTime) {
        let elapsed_ns = (now - self.since).as_nanos();
        for ((rate_ppm, is_told), waiting_ns) in self.rates.iter().zip(&mut self.waiting_ns) {
            let gained = u128::from(elapsed_ns) * u128::from(*rate_ppm) / u128::from(FULL_PPM);
            let gained = u64::try_from(gained).expect("runs are shorter than centuries");
            if *is_told {
                self.acknowledged_ns += gained;
            } else {
                *waiting_ns = (*waiting_ns + gained).min(SESSIONS_NS);
            }
        }
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
                if let Some(old) = self.was_asked.filter(|old| *old == self.backend) {
                    self.stays[usize::from(old)] |= databases.is_ending(DATABASE, old);
                }
                self.backend = u8::try_from(pod.0).expect("a pod is numbered as its instance");
            }
        }
        let (mut is_written, mut kept, mut asked) = (Vec::new(), vec![0; zones.len()], None);
        let mut left = FULL_PPM;
        for (ordinal, zone) in (0_u8..).zip(zones) {
            let idx = usize::from(ordinal);
            let is_open = databases.access_of(DATABASE, ordinal) == Access::ReadWrite;
            let is_silent = databases.access_of(DATABASE, ordinal) == Access::Silent;
            let is_asked = databases.has_clients(DATABASE) && self.backend == ordinal;
            let is_old = self.has_old_sessions[idx];
            if is_silent && !is_old {
                // Of those that were with it when it began to stand still.
                let with_it = if is_asked { self.rates[idx].0 } else { FULL_PPM };
                self.patient_ppm[idx] = with_it * u64::from(PATIENT_PPM) / FULL_PPM;
            }
            self.has_old_sessions[idx] = if is_silent {
                is_old || self.rates[idx].0 > 0 && is_asked || self.stays[idx]
            } else {
                is_old && is_open && !is_asked
            };
            is_written.push((is_open, is_silent));
            let is_cut = self.are_cut[zone.index()];
            self.ends_beside[idx] =
                databases.is_ending(DATABASE, ordinal) && (self.ends_beside[idx] || is_cut);
            self.stays[idx] &= databases.is_ending(DATABASE, ordinal);
            let of_zone = if self.are_cut[zone.index()] { FULL_PPM / 3 } else { FULL_PPM };
            // Whoever the Service leads to has the clients that nobody else has.
            let keeps = match (is_open || is_silent, self.has_old_sessions[idx]) {
                (true, true) => self.patient_ppm[idx].min(of_zone),
                (true, false) if self.stays[idx] => of_zone,
                (true, false) if self.ends_beside[idx] => FULL_PPM / 3,
                (true, false) if is_open && !is_asked && of_zone < FULL_PPM => of_zone,
                _ => 0,
            };
            kept[idx] = if is_asked { 0 } else { keeps.min(left) };
            left -= kept[idx];
            asked = asked.or(is_asked.then_some(idx));
        }
        self.was_asked = asked.map(|idx| u8::try_from(idx).expect("few"));
        for (idx, (is_open, is_silent)) in is_written.into_iter().enumerate() {
            let ordinal = u8::try_from(idx).expect("few");
            let is_told = databases.commits(DATABASE, ordinal, now);
            let clients = if asked == Some(idx) { left } else { kept[idx] };
            let rate = if is_open { clients } else { 0 };
            let waited = std::mem::take(&mut self.waiting_ns[idx]);
            match (is_told, is_open || is_silent) {
                (true, _) => self.acknowledged_ns += waited,
                (false, true) => self.waiting_ns[idx] = waited,
                (false, false) => self.unknown_ns += waited,
            }
            self.rates[idx] = (rate, is_told);
        }
        let rates = self.rates.iter().map(|(rate, _)| *rate);
        self.rate_most_ppm = self.rate_most_ppm.max(rates.sum());
    }

    /// Closes the books: whoever still waits is on the disk of a primary.
    pub(crate) fn waiting_ns(&self) -> u64 {
        self.waiting_ns.iter().sum()
    }
}
