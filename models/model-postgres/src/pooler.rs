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
//! pauses poolers for nobody: `spec.pgbouncer.paused` is set by people, and `pausePooler` plays that. Of several
//! pauses at once the last ends it, and one that the manifest states never ends. One that cannot be taken back
//! when it should, as there is no API, turns all away from then on.
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
use model_api::load::Load;
use model_api::{Blueprint, DatabaseId, FaultId, Observation, PoolerId};
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

/// How long those who ask for a connection of a pooler wait for it: `query_wait_timeout`, or the least
/// time after which a caller on the way to it gives up.
pub(crate) fn patience_before(blueprint: &Blueprint, pooler: &Pooler) -> SimSpan {
    let mut reaching = vec![pooler.service];
    let mut next = 0;
    let mut patience = pooler.wait_max.unwrap_or(SimSpan::MAX);
    while let Some(service) = reaching.get(next).copied() {
        next += 1;
        for profile in &blueprint.profiles {
            let calls = profile.depends_on.iter().zip(&profile.policies);
            for (_, policy) in calls.filter(|(callee, _)| **callee == service) {
                patience = policy.timeout.map_or(patience, |it| it.min(patience));
            }
            if profile.depends_on.contains(&service) && !reaching.contains(&profile.service) {
                reaching.push(profile.service);
            }
        }
    }
    let of_load = |load: &&Load| reaching.contains(&load.service);
    let clients = blueprint.loads.iter().filter(of_load).filter_map(|load| load.client.timeout);
    clients.fold(patience, SimSpan::min)
}

/// A pause of a pooler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pause {
    /// Which fault asked for it; `None` where its manifest says so, which nothing takes back.
    by: Option<FaultId>,
    /// When it is to end, if that is known.
    until: Option<SimTime>,
}

/// The pods of one pooler.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    id: PoolerId,
    key: EntityKey,
    leads_to: PoolerTarget,
    retry: SimSpan,
    /// It goes on once the last of them is over.
    pauses: Vec<Pause>,
    pause_timer: Timer,
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
            pauses: spec.is_paused.then_some(Pause { by: None, until: None }).into_iter().collect(),
            pause_timer: Timer::NONE,
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

    /// From when on those who ask wait for no longer than they can bear, and until when: a pause that is not
    /// taken back in time goes on nobody knows how long. `None` where it is not known when the last one ends.
    fn borne(&self) -> Option<(SimTime, SimTime)> {
        let mut until = SimTime::ZERO;
        for pause in &self.pauses {
            until = until.max(pause.until?);
        }
        Some((until.saturating_sub(self.patience), until))
    }

    /// Looks again when those who ask begin to bear a pause, and when it goes on beyond its end.
    fn await_pause(&mut self, port: &mut impl Port, database: DatabaseId) {
        let Some((from, until)) = self.borne() else { return };
        let beyond = until.saturating_add(SimSpan::from_nanos(1));
        if let Some(at) = [from, beyond].into_iter().find(|at| *at > port.now()) {
            self.pause_timer = port.timer_at(at, PgEvent::PoolerDue { database });
        }
    }

    /// Of a million requests, how many it fails.
    fn failing_ppm(&self, commits: bool, now: SimTime) -> u32 {
        if !self.pauses.is_empty() {
            let is_borne = self.borne().is_some_and(|(from, until)| from <= now && now <= until);
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
    /// Has a fault pause a pooler until a time, for ever when that is `None`. Returns whether it was not paused
    /// before.
    pub fn pause_pooler<E, R>(
        &mut self,
        (database, pooler): (DatabaseId, PoolerId),
        (by, until): (FaultId, Option<SimTime>),
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
            is_new = pool.pauses.is_empty();
            pool.pauses.push(Pause { by: Some(by), until });
            // Its connections end in order.
            pool.tries.fill(None);
            io.cancel(pool.timer);
            // Its end is another one now.
            io.cancel(pool.pause_timer);
            cluster.tend_poolers(io);
        });
        is_new
    }

    /// Ends the pause that a fault asked for. Once there is no other one the pooler goes on: its pods log in at
    /// once, if there is somebody to log in to.
    pub fn resume_pooler<E, R>(
        &mut self,
        (database, pooler): (DatabaseId, PoolerId),
        by: FaultId,
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
            pool.pauses.retain(|pause| pause.by != Some(by));
            io.cancel(pool.pause_timer);
            if pool.pauses.is_empty() {
                pool.tries.fill(Some(io.now()));
            }
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
            if !pool.pauses.is_empty() && !port.is_pending(pool.pause_timer) {
                pool.await_pause(port, database);
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
        if !self.pauses.is_empty() {
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
    use model_api::load::{Clients, ServiceProfile};
    use model_api::path::{CallPolicy, Readiness, Serving};
    use model_api::{Origin, ServiceId};

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
    #[test]
    fn nobody_waits_longer_than_the_least_patient_caller() {
        let (pool, web) = (ServiceId(0), ServiceId(1));
        let wait_max = Some(SimSpan::from_secs(120));
        let pooler = Pooler { service: pool, wait_max, ..Pooler::default() };
        let mut blueprint = Blueprint::default();
        assert_eq!(patience_before(&blueprint, &pooler), SimSpan::from_secs(120));
        let client = CallPolicy { timeout: Some(SimSpan::from_secs(3)), ..CallPolicy::default() };
        blueprint.loads.push(Load {
            service: web,
            via: None,
            clients: Clients::default(),
            client,
            users: None,
            points: Vec::new(),
            origin: Origin::default(),
        });
        assert_eq!(
            patience_before(&blueprint, &pooler),
            SimSpan::from_secs(120),
            "asked by nobody"
        );
        blueprint.profiles.push(ServiceProfile {
            service: web,
            cpu_per_request: SimSpan::ZERO,
            base_latency: SimSpan::ZERO,
            depends_on: vec![pool],
            policies: vec![CallPolicy::default()],
            upstream: CallPolicy::default(),
            writes_to: Vec::new(),
            serving: Serving::default(),
            readiness: Readiness::default(),
            origin: Origin::default(),
        });
        assert_eq!(patience_before(&blueprint, &pooler), SimSpan::from_secs(3));
        let timeout = Some(SimSpan::from_secs(1));
        blueprint.profiles[0].policies = vec![CallPolicy { timeout, ..CallPolicy::default() }];
        assert_eq!(patience_before(&blueprint, &pooler), SimSpan::from_secs(1));
    }
}
