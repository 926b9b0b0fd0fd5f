//! PgBouncer between clients and a database: when its pods have logged in to a new primary, or to standbys.
//!
//! A pod of a pooler keeps connections to the primary and lends them. When these break it logs in anew as
//! soon as a client asks; a login that fails makes it refuse every client at once, without another try, until
//! `server_login_retry` is over. So it finds a new primary at the first of its tries that comes after there is
//! one, however short the outage was: after a switchover of five seconds that can be ten later. Connections that
//! were told of their end break at once, in all pods alike; those that fell silent are given up at some time of
//! their own.
//!
//! Source: PgBouncer 1.24, `launch_new_connection` of `src/objects.c` (`last_connect_failed`,
//! `cf_server_login_retry`), `doc/config.md`; CloudNativePG 1.30, `docs/src/connection_pooling.md`.
//!
//! One that leads to standbys (`ro`), or to any instance (`r`), has somewhere to log in while one of them answers
//! and its pod is ready; what its connections to a standby that left meet until then is not played.
//!
//! A pooler that is paused (`PAUSE`) has ended its connections and lends none; who asks waits, for
//! `query_wait_timeout` at most, or until a caller gives up, and is served when it goes on (`RESUME`). It does
//! not try to log in meanwhile, so that a switchover under a pause costs no `server_login_retry`. The operator
//! pauses poolers for nobody: `spec.pgbouncer.paused` is set by people, and `pausePooler` plays that.
//!
//! Simplified: all callers are as impatient as the least patient one, and how much later those are answered
//! that waited is not told; a pause that nobody ends turns all away from the start; connections that are lent
//! when it begins are given back at once, which sessions do not do.
//!
//! Simplified: clients ask all the time; a pod that takes the place of another one is as that one was; who
//! waits for a connection that hangs (`query_wait_timeout`) has failed as who is refused; a try that meets
//! silence takes no longer than one that is refused, as `server_connect_timeout` is no longer than
//! `server_login_retry` by default.

use model_api::blueprint::{Pooler, PoolerTarget};
use model_api::{DatabaseId, Observation, PoolerId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Timer};

use crate::cluster::{Cluster, Port};
use crate::databases::{Databases, PgNotice};
use crate::event::PgEvent;
use crate::rare;

const NOTICING: Purpose = Purpose::new("pooler gives a silent connection up");
const PROPAGATING: Purpose = Purpose::new("pooler finds the service propagated");
/// All of a million.
const ALL_PPM: u32 = 1_000_000;

/// The first try to log in at which there is a primary: tries are made at `first_at` and then at every
/// `retry`; without a pause, whenever a client asks.
pub fn next_login(first_at: SimTime, retry: SimSpan, open_at: SimTime) -> SimTime {
    let missing = open_at.saturating_since(first_at).as_nanos();
    match missing.checked_div(retry.as_nanos()) {
        None => open_at.max(first_at),
        Some(whole) => {
            let count = if whole * retry.as_nanos() < missing { whole + 1 } else { whole };
            first_at.saturating_add(retry.saturating_mul(count))
        }
    }
}

/// A pause of a pooler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pause {
    /// When it goes on, if that is known.
    until: Option<SimTime>,
}

impl Pause {
    /// From when on those who ask wait for no longer than they can bear.
    fn waiting_from(self, patience: SimSpan) -> Option<SimTime> {
        Some(self.until?.saturating_sub(patience))
    }
}

/// The pods of one pooler.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    id: PoolerId,
    key: EntityKey,
    leads_to: PoolerTarget,
    retry: SimSpan,
    pause: Option<Pause>,
    /// How long who asks waits for a connection.
    patience: SimSpan,
    /// By pod: when it first tried to log in since its connections broke; `None` while they stand.
    tries: Vec<Option<SimTime>>,
    /// From when on a login succeeds.
    open_at: Option<SimTime>,
    timer: Timer,
    told_ppm: u32,
    break_count: u32,
}

impl Pool {
    pub(crate) fn new(id: PoolerId, spec: &Pooler, patience: SimSpan) -> Self {
        Self {
            id,
            key: EntityKey::of("pooler").child(&format!("{}/{}", spec.namespace, spec.name)),
            leads_to: spec.leads_to,
            retry: spec.login_retry,
            pause: spec.is_paused.then_some(Pause { until: None }),
            patience,
            tries: vec![None; spec.instances as usize],
            open_at: Some(SimTime::ZERO),
            timer: Timer::NONE,
            told_ppm: 0,
            break_count: 0,
        }
    }

    /// When a pod that still waits logs in.
    fn login_at(&self, first_at: Option<SimTime>) -> Option<SimTime> {
        Some(next_login(first_at?, self.retry, self.open_at?))
    }

    /// Of a million requests, how many it fails.
    fn failing_ppm(&self, commits: bool, now: SimTime) -> u32 {
        if let Some(pause) = self.pause {
            let is_borne = pause.waiting_from(self.patience).is_some_and(|from| from <= now);
            return if is_borne { 0 } else { ALL_PPM };
        }
        if !commits {
            return ALL_PPM;
        }
        let waiting = self.tries.iter().flatten().count() as u64;
        let share = waiting * u64::from(ALL_PPM) / (self.tries.len() as u64).max(1);
        u32::try_from(share).expect("no more than all")
    }
}

impl Databases {
    /// Pauses a pooler until a time, for ever when that is `None`. Returns whether it was not paused before.
    pub fn pause_pooler<E, R>(
        &mut self,
        (database, pooler): (DatabaseId, PoolerId),
        until: Option<SimTime>,
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) -> bool
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        let mut is_new = false;
        self.one(database, ctx, notices, |cluster, io| {
            let Some(pool) = cluster.pools.iter_mut().find(|pool| pool.id == pooler) else {
                return;
            };
            is_new = pool.pause.replace(Pause { until }).is_none();
            // Its connections end in order.
            pool.tries.fill(None);
            io.cancel(pool.timer);
            let from = pool.pause.and_then(|pause| pause.waiting_from(pool.patience));
            if let Some(from) = from.filter(|from| *from > io.now()) {
                io.timer_at(from, PgEvent::PoolerDue { database });
            }
            cluster.tend_poolers(io);
        });
        is_new
    }

    /// Lets a pooler go on: its pods log in at once, if there is somebody to log in to.
    pub fn resume_pooler<E, R>(
        &mut self,
        (database, pooler): (DatabaseId, PoolerId),
        ctx: &mut Context<'_, E, R>,
        notices: &mut Vec<PgNotice>,
    ) where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        self.one(database, ctx, notices, |cluster, io| {
            let Some(pool) = cluster.pools.iter_mut().find(|pool| pool.id == pooler) else {
                return;
            };
            pool.pause = None;
            pool.tries.fill(Some(io.now()));
            cluster.tend_poolers(io);
        });
    }
}

impl Cluster {
    /// Breaks the connections of poolers, or has their pods log in, and tells how many requests fail.
    pub(crate) fn tend_poolers(&mut self, port: &mut impl Port) {
        if self.pools.is_empty() {
            return;
        }
        let backend = self.reachable_backend(port);
        let writes = Doors {
            is_open: backend.is_some(),
            serves: backend.is_some_and(|ordinal| self.can_commit(ordinal, port.now())),
            is_silent: !self.is_lease_released
                || self.backend.is_some_and(|(ordinal, _)| port.is_isolated(self.at(ordinal).zone)),
            is_new: self.is_backend_new,
        };
        let reads = |to_primary: bool| {
            let is_open =
                self.ordinals().any(|ordinal| self.answers_reads(port, ordinal, to_primary));
            // Pods that left without a word are met by some connections only.
            Doors { is_open, serves: is_open, is_silent: false, is_new: false }
        };
        let (standbys, any) = (reads(false), reads(true));
        let database = self.setup.id;
        for pool in &mut self.pools {
            let doors = match pool.leads_to {
                PoolerTarget::Primary => writes,
                PoolerTarget::Standbys => standbys,
                PoolerTarget::Any => any,
            };
            match (doors.is_open, pool.open_at.is_some()) {
                (false, true) => pool.close(port, doors.is_silent),
                (true, false) => pool.open(port, doors.is_new),
                _ => {}
            }
            pool.log_in(port);
            if let Some(at) = pool.tries.iter().filter_map(|first| pool.login_at(*first)).min()
                && !port.is_pending(pool.timer)
            {
                let event = PgEvent::PoolerDue { database };
                pool.timer = port.timer_at(at, event);
            }
            let failing_ppm = pool.failing_ppm(doors.serves, port.now());
            if failing_ppm != pool.told_ppm {
                pool.told_ppm = failing_ppm;
                let pooler = pool.id;
                port.notice(PgNotice::PoolerFails { pooler, failing_ppm });
                port.observe(Observation::PoolerFails { pooler, failing_ppm });
            }
        }
    }
}

/// What the pods of a pooler find at the other end.
#[derive(Clone, Copy, Debug)]
struct Doors {
    /// There is somebody to log in to.
    is_open: bool,
    /// Who is logged in is served.
    serves: bool,
    /// Connections that break do so without a word.
    is_silent: bool,
    /// A Service has to lead to somebody else first.
    is_new: bool,
}

impl Pool {
    fn close(&mut self, port: &mut impl Port, is_silent: bool) {
        port.cancel(self.timer);
        self.open_at = None;
        if self.pause.is_some() {
            return;
        }
        for pod in 0..self.tries.len() {
            // One that still tried goes on in its own time.
            if self.tries[pod].is_none() {
                let range = model_api::parameters::Range { least: SimSpan::ZERO, most: self.retry };
                let key = self.key.part(pod as u64);
                let noticed = port.draw(key, NOTICING, self.break_count, range);
                let span = if is_silent { noticed } else { SimSpan::ZERO };
                self.tries[pod] = Some(port.now().saturating_add(span));
            }
        }
        self.break_count += 1;
    }

    fn open(&mut self, port: &mut impl Port, is_new: bool) {
        let range = port.parameters().endpoint_propagation;
        let learning = port.draw(self.key, PROPAGATING, self.break_count, range);
        let learning = if is_new { learning } else { SimSpan::ZERO };
        self.open_at = Some(port.now().saturating_add(learning));
    }

    fn log_in(&mut self, port: &mut impl Port) {
        let now = port.now();
        for pod in 0..self.tries.len() {
            if self.login_at(self.tries[pod]).is_some_and(|at| at <= now) {
                if self.tries[pod] != Some(now) {
                    port.hit(&rare::POOLER_RETRIED);
                }
                self.tries[pod] = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_logs_in_at_the_first_try_after_there_is_a_primary() {
        // First try, pause, open; login, in seconds.
        let cases = [
            (10, 15, 0, 10),
            (10, 15, 10, 10),
            (10, 15, 11, 25),
            (10, 15, 25, 25),
            (10, 15, 26, 40),
            (10, 0, 26, 26),
            (30, 0, 26, 30),
        ];
        for (first, retry, open, login) in cases {
            let secs = SimTime::from_secs;
            let found = next_login(secs(first), SimSpan::from_secs(retry), secs(open));
            assert_eq!(found, secs(login), "{first} {retry} {open}");
        }
    }
}
