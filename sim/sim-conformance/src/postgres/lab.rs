//! The recorded experiments again, in virtual time: the database model of every run, three members
//! on one machine, and the client of the recorder.

use model_api::blueprint::{Blueprint, Database, DatabaseManager, Zone};
use model_api::parameters::Range;
use model_api::{
    DatabaseId, Observation, Parameters, PodId, ServiceId, SimSpan, SimTime, WorkloadId, ZoneId,
};
use model_postgres::{Access, Databases, Leadership, Pace, PgEvent, PgNotice, StopKind};
use sim_kernel::{
    Context, EntityKey, Limits, Model, NoRecorder, Priority, Purpose, Recorder, Simulation, Streams,
};

use super::client::{CONNECTION_COUNT, Connection, LIMIT, Outcome, ROW_PERIOD, Row, State};
use super::experiment::Experiment;
use super::fault::{Fault, Standbys};
use crate::amounts::whole;

const DATABASE: DatabaseId = DatabaseId(0);
const MEMBER_COUNT: u8 = 3;
/// The fault strikes then: late enough for every standby to stream.
pub(super) const FAULT_AT: SimTime = SimTime::from_secs(100);
/// How long the client goes on after its last trouble.
const CALM: SimSpan = SimSpan::from_secs(31);
/// The reader of the keys looks this often.
const READER: Range = Range::millis(0, 100);
/// No standby lags less than that.
const LAG_LEAST: SimSpan = SimSpan::from_micros(100);
/// The old member was started again then, if nothing says when.
const REPAIRED: SimSpan = SimSpan::from_secs(120);
/// The client gives up so long after the fault, or after the old member was started again.
const PATIENCE: SimSpan = SimSpan::from_secs(240);
/// WAL of one row: the tuple, its index entry and the commit, more while pages are written whole.
/// **Assumption.**
const WAL_BYTES_PER_ROW_LEAST: u64 = 150;
const WAL_BYTES_PER_ROW_MOST: u64 = 400;
/// How long a standby was held back, if its client alone did not write so much.
const HELD: Range = Range::millis(5_000, 60_000);
/// Connections that a primary takes: `max_connections`, 100 by default (`postgresql/config.py` of
/// Patroni), of which 3 are for superusers, and Patroni and who watches have some.
const CONNECTIONS_MAX: u32 = 100;
const CONNECTIONS_KEPT: u64 = 10;
/// The client sends 99 of 100 rows at most so late.
const SEND_LATE_USUAL: SimSpan = SimSpan::from_millis(25);
/// Processes are killed one after the other within this time, and the client is late by up to that
/// much.
const LATE_MOST: SimSpan = SimSpan::from_millis(150);
/// From its start, an old member that nobody replaced takes that long until it is primary.
const RETURN: Range = Range::millis(2_000, 20_000);

const MACHINE: EntityKey = EntityKey::of("recorder/machine");
const CLIENT: EntityKey = EntityKey::of("recorder/client");
const OVERLOAD: Purpose = Purpose::new("recorder overload");
const START: Purpose = Purpose::new("recorder client start");
const CONNECTING: Purpose = Purpose::new("recorder connect");
const CONFIRMING: Purpose = Purpose::new("recorder answer");
const EXECUTING: Purpose = Purpose::new("recorder statement");
const ORDER: Purpose = Purpose::new("recorder order of members");
const LOGGING: Purpose = Purpose::new("recorder log");
const READING: Purpose = Purpose::new("recorder reader of keys");
const KILLING: Purpose = Purpose::new("recorder kill");
const LATENESS: Purpose = Purpose::new("recorder client is late");
const HOLDING: Purpose = Purpose::new("recorder holds a standby");
const RESERVING: Purpose = Purpose::new("recorder other connections");
const PATIENCE_OF_LIBPQ: Purpose = Purpose::new("recorder limit of a connection");
const RETURNING: Purpose = Purpose::new("recorder old member returns");

/// What a laboratory waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LabEvent {
    Pg(PgEvent),
    Fault,
    /// A standby receives nothing from now on.
    Hold(u8),
    /// A frozen member goes on, or standbys come back.
    Undo,
    /// The killed member is started again.
    Repair,
    /// The next row of a connection is due.
    Due(u8),
    /// A connection has an answer of the member it tries, or executed its statement.
    Done(u8, u32),
    /// A connection, or a statement, takes too long.
    TimedOut(u8, u32),
}

impl From<PgEvent> for LabEvent {
    fn from(event: PgEvent) -> Self {
        Self::Pg(event)
    }
}

/// Moments of a run; what did not happen has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moments {
    pub(super) last_renewal: Option<SimTime>,
    pub(super) key_gone: Option<SimTime>,
    pub(super) key_taken: Option<SimTime>,
    pub(super) promotes: Option<SimTime>,
    pub(super) requested: Option<SimTime>,
    pub(super) promoted: Option<SimTime>,
    /// Who was promoted first.
    pub(super) promoted_ordinal: Option<u8>,
    pub(super) healthy: Option<SimTime>,
    pub(super) undone: Option<SimTime>,
}

/// Everything of one run.
#[derive(Clone, Debug)]
pub(super) struct Lab {
    databases: Databases,
    streams: Streams,
    experiment: Experiment,
    notices: Vec<PgNotice>,
    access: [Access; 3],
    connections: [Connection; CONNECTION_COUNT],
    pub(super) rows: Vec<Row>,
    /// Statements that lie in the socket of a silent member.
    in_sockets: Vec<(u8, usize)>,
    pub(super) moments: Moments,
    /// When two primaries took writes, in all.
    pub(super) split: SimSpan,
    split_since: Option<SimTime>,
    last_trouble: SimTime,
    client_start: SimTime,
    is_repairing: bool,
    /// Backends of each member whose client has gone while they wait for a standby: they hear of it
    /// only when it confirms (`SyncRepWaitForLSN`).
    abandoned: [u32; 3],
    /// So many connections each member takes.
    connections_max: u32,
    /// How long the client waits for a member that does not answer.
    connect_limit: SimSpan,
    /// The most that a step of work takes in this run.
    slowest: SimSpan,
    draw_count: u32,
}

/// A run of an experiment with that luck, to its end.
pub(super) fn run(experiment: &Experiment, run: u64) -> Lab {
    let streams = Streams::new(0x5EED, run);
    let lab = Lab::new(experiment, streams);
    let start = lab.client_start;
    let mut sim = Simulation::new(lab, NoRecorder, Limits::default());
    sim.apply(|lab, ctx| {
        lab.databases.begin(ctx, &mut lab.notices);
        lab.look(ctx.now());
    });
    let (_, held) = writing(experiment, start, streams);
    for (ordinal, standby) in (1..).zip(experiment.standbys) {
        if standby.is_held() {
            // It is as far behind as what was written since then.
            let share = standby.flush_bytes / held_bytes(experiment).max(1.0);
            let at = FAULT_AT - SimSpan::from_secs_f64_rounded(held.as_secs_f64() * share);
            sim.schedule_at(at, Priority::FIRST, LabEvent::Hold(ordinal));
        }
    }
    for connection in 0..CONNECTION_COUNT {
        let at = start + ROW_PERIOD.saturating_mul(connection as u64);
        let event = LabEvent::Due(u8::try_from(connection).expect("20 connections"));
        sim.apply(|lab, _| lab.connections[connection].due = at);
        sim.schedule_at(at, Priority::NORMAL, event);
    }
    let late = if experiment.fault.is_kill() { late(streams, KILLING, 0) } else { SimSpan::ZERO };
    sim.schedule_at(FAULT_AT + late, Priority::FIRST, LabEvent::Fault);
    sim.run_until(FAULT_AT + SimSpan::from_mins(15));
    sim.into_parts().0
}

/// How far the standby is behind that lacks most.
fn held_bytes(experiment: &Experiment) -> f64 {
    let held = experiment.standbys.iter().filter(|standby| standby.is_held());
    held.map(|standby| standby.flush_bytes).fold(0.0, f64::max)
}

/// WAL per second, and for how long the standby that lacks most was held back.
///
/// Rows alone put it there, or, where the client would have needed longer than it ran, something that
/// wrote more, for a time that nothing says.
fn writing(experiment: &Experiment, start: SimTime, streams: Streams) -> (u64, SimSpan) {
    let width = WAL_BYTES_PER_ROW_MOST - WAL_BYTES_PER_ROW_LEAST + 1;
    let row = WAL_BYTES_PER_ROW_LEAST + streams.draw(MACHINE, HOLDING, 0).below(width);
    let rows = row * 1_000_000_000 / ROW_PERIOD.as_nanos();
    let behind = held_bytes(experiment);
    let by_rows = SimSpan::from_secs_f64_rounded(behind / rows as f64);
    let held = match experiment.held {
        Some(held) => held,
        None if by_rows <= FAULT_AT - start => by_rows,
        None => streams.draw(MACHINE, HOLDING, 1).span_between(HELD.least, HELD.most),
    };
    let held = held.min(FAULT_AT - SimTime::from_secs(1));
    (rows.max(whole(behind / held.as_secs_f64().max(0.1))), held)
}

/// Mostly a few milliseconds, rarely the most.
fn late(streams: Streams, purpose: Purpose, occurrence: u64) -> SimSpan {
    let unit = streams.draw(CLIENT, purpose, occurrence).unit();
    SimSpan::from_secs_f64_rounded(LATE_MOST.as_secs_f64() * unit.powi(5))
}

/// The numbers of the standbys that something is done to.
fn struck(standbys: Standbys) -> std::ops::Range<u8> {
    match standbys {
        Standbys::All => 1..MEMBER_COUNT,
        Standbys::First => 1..2,
    }
}

fn blueprint(experiment: &Experiment, wal_bytes_per_second: u64) -> Blueprint {
    let zone = |name: &str| Zone { name: name.into(), ..Zone::default() };
    let usual = experiment.standbys.iter().filter(|one| !one.is_held());
    let lags = usual.map(|one| one.flush_lag.min(experiment.latency.usual()));
    let lag = lags.max().unwrap_or_default().max(LAG_LEAST);
    Blueprint {
        zones: vec![zone("a"), zone("b"), zone("c")],
        databases: vec![Database {
            namespace: "recorded".into(),
            name: "cluster".into(),
            workload: WorkloadId(0),
            read_write_service: ServiceId(0),
            read_only_service: ServiceId(1),
            instances: u32::from(MEMBER_COUNT),
            switchover_delay: SimSpan::from_hours(1),
            has_isolation_check: true,
            manager: DatabaseManager::Patroni(experiment.settings),
            wal_bytes_per_second,
            commits_per_second: 50,
            session_count: u32::try_from(CONNECTION_COUNT).expect("few connections"),
            ..Database::default()
        }],
        parameters: Parameters {
            // What delays commits delays the shipping of WAL as well.
            replication_lag: Range {
                least: lag / 2,
                most: (lag * 2).max(experiment.latency.usual()),
            },
            ..Parameters::default()
        },
        ..Blueprint::default()
    }
}

/// What a step, and what a start or a promotion, takes at most in a run.
fn pace(slowest: SimSpan, heaviest: SimSpan) -> Pace {
    let up_to = |least_ms, most: SimSpan| Range {
        least: SimSpan::from_millis(least_ms),
        most: SimSpan::from_millis(least_ms) + most,
    };
    Pace {
        step: up_to(3, slowest),
        promotion: Some(up_to(20, heaviest)),
        start: up_to(300, heaviest * 2),
        crash_recovery: up_to(100, heaviest),
        shutdown: up_to(50, slowest),
        halt: up_to(20, slowest * 3),
        rewind: up_to(500, slowest * 4),
    }
}

impl Lab {
    fn new(experiment: &Experiment, streams: Streams) -> Self {
        // The recorder's machine was overloaded: what computes took tenths of a second up to
        // seconds, in some repetitions much less. Each run has its own share of that.
        let unit = streams.draw(MACHINE, OVERLOAD, 0).unit();
        let share = 0.15 + 0.85 * unit;
        let load = experiment.load_average;
        let slowest = SimSpan::from_secs_f64_rounded((1.1 + load / 200.0).min(1.4) * share);
        // What forks and reads and writes takes longer than one request.
        let heaviest = SimSpan::from_secs_f64_rounded((1.1 + load / 28.0).min(2.5) * share);
        let pace = pace(slowest, heaviest);
        let ahead = streams.draw(CLIENT, START, 0);
        let ahead = ahead.span_between(SimSpan::from_secs(4), SimSpan::from_secs(14));
        let client_start = FAULT_AT - ahead;
        let (wal_bytes_per_second, _) = writing(experiment, client_start, streams);
        let blueprint = blueprint(experiment, wal_bytes_per_second);
        let mut databases = Databases::new(&blueprint, streams).with_pace(pace);
        for ordinal in 0..MEMBER_COUNT {
            let idx = u32::from(ordinal);
            databases.place(DATABASE, ordinal, PodId(idx), ZoneId(idx));
        }
        databases.set_direct_clients(DATABASE);
        databases.place_store_leader(DATABASE, u8::from(!experiment.is_store_leader_lost));
        let kept = streams.draw(MACHINE, RESERVING, 0).below(CONNECTIONS_KEPT + 1);
        let connections_max = experiment.connections_max.unwrap_or(CONNECTIONS_MAX);
        // libpq makes a limit of one second two (`connectDBComplete` of PostgreSQL 15), unless the
        // recorder counts by itself.
        let is_of_libpq = streams.draw(CLIENT, PATIENCE_OF_LIBPQ, 0).below(2) == 1;
        Self {
            databases,
            streams,
            experiment: experiment.clone(),
            notices: Vec::new(),
            access: [Access::Refused; 3],
            connections: [Connection::default(); CONNECTION_COUNT],
            rows: Vec::new(),
            in_sockets: Vec::new(),
            moments: Moments::default(),
            split: SimSpan::ZERO,
            split_since: None,
            // Nobody goes home before the fault struck.
            last_trouble: FAULT_AT,
            client_start,
            is_repairing: false,
            abandoned: [0; 3],
            connections_max: connections_max
                .saturating_sub(u32::try_from(kept).unwrap_or(0))
                .max(1),
            connect_limit: if is_of_libpq { LIMIT * 2 } else { LIMIT },
            slowest,
            draw_count: 0,
        }
    }

    fn skewed(&mut self, purpose: Purpose, least: SimSpan, most: SimSpan) -> SimSpan {
        self.draw_count += 1;
        let unit = self.streams.draw(CLIENT, purpose, u64::from(self.draw_count)).unit();
        let width = most.saturating_sub(least).as_secs_f64();
        least + SimSpan::from_secs_f64_rounded(width * unit * unit * unit)
    }

    /// When the recorder wrote down what happened now.
    fn logged(&mut self, now: SimTime) -> SimTime {
        let most = self.slowest / 2;
        now + self.skewed(LOGGING, SimSpan::ZERO, most)
    }

    /// When the reader of the keys saw what happened now.
    fn read(&mut self, now: SimTime) -> SimTime {
        self.draw_count += 1;
        let draw = self.streams.draw(CLIENT, READING, u64::from(self.draw_count));
        let period = draw.span_between(READER.least, READER.most);
        now + period + self.skewed(READING, SimSpan::ZERO, self.slowest)
    }

    fn strike<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, LabEvent, R>) {
        let primary = (DATABASE, 0);
        let renewed = self.databases.renewed_at(DATABASE, 0);
        match self.experiment.fault {
            Fault::MemberKilled => {
                let notices = &mut self.notices;
                self.databases.instance_stopped(primary, StopKind::Killed, ctx, notices);
            }
            Fault::PostmasterKilled => {
                self.databases.kill_postmaster(primary, ctx, &mut self.notices);
            }
            Fault::Frozen(what, span) => {
                self.databases.freeze(primary, what, ctx, &mut self.notices);
                ctx.schedule_in(span, Priority::FIRST, LabEvent::Undo);
            }
            Fault::StandbysKilled(which, span) => {
                for standby in struck(which) {
                    let instance = (DATABASE, standby);
                    let notices = &mut self.notices;
                    self.databases.instance_stopped(instance, StopKind::Process, ctx, notices);
                }
                ctx.schedule_in(span, Priority::FIRST, LabEvent::Undo);
            }
            Fault::StandbysFrozen(which, what, span) => {
                for standby in struck(which) {
                    self.databases.freeze((DATABASE, standby), what, ctx, &mut self.notices);
                }
                ctx.schedule_in(span, Priority::FIRST, LabEvent::Undo);
            }
            Fault::HandedOver(candidate) => {
                self.databases.switch_over(DATABASE, candidate, ctx, &mut self.notices);
            }
        }
        let renewed = self.databases.renewed_at(DATABASE, 0).max(renewed).min(ctx.now());
        // The loop is finished a little after it renewed the lease.
        self.moments.last_renewal = Some(self.logged(renewed));
        self.last_trouble = ctx.now();
        if matches!(self.experiment.fault, Fault::MemberKilled) {
            ctx.schedule_in(self.repaired(), Priority::FIRST, LabEvent::Repair);
        }
    }

    /// When the killed member is started again, from the fault on.
    ///
    /// Where it led again itself and nothing says when it was started, the length of the run tells:
    /// it ended 30 s after the outage did.
    fn repaired(&self) -> SimSpan {
        let experiment = &self.experiment;
        let ended = experiment.length.filter(|_| experiment.is_same_primary).map(|length| {
            let ahead = FAULT_AT - self.client_start;
            let returns = self.streams.draw(MACHINE, RETURNING, 0);
            let returns = returns.span_between(RETURN.least, RETURN.most);
            length.saturating_sub(ahead).saturating_sub(CALM).saturating_sub(returns)
        });
        experiment.repaired.or(ended).unwrap_or(REPAIRED)
    }

    fn undo<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, LabEvent, R>) {
        self.moments.undone = Some(ctx.now());
        match self.experiment.fault {
            Fault::Frozen(..) => {
                self.databases.set_frozen((DATABASE, 0), false, ctx, &mut self.notices);
            }
            Fault::StandbysKilled(which, _) => {
                for standby in struck(which) {
                    self.start(standby, ctx);
                }
            }
            Fault::StandbysFrozen(which, ..) => {
                for standby in struck(which) {
                    let instance = (DATABASE, standby);
                    self.databases.set_frozen(instance, false, ctx, &mut self.notices);
                }
            }
            _ => {}
        }
    }

    fn start<R: Recorder<Observation>>(&mut self, ordinal: u8, ctx: &mut Context<'_, LabEvent, R>) {
        let idx = u32::from(ordinal);
        let (instance, notices) = ((DATABASE, ordinal), &mut self.notices);
        self.databases.instance_started(instance, PodId(idx), ZoneId(idx), ctx, notices);
    }

    fn repair<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, LabEvent, R>) {
        if std::mem::replace(&mut self.is_repairing, true) {
            return;
        }
        if matches!(self.experiment.fault, Fault::MemberKilled) {
            self.start(0, ctx);
        }
        for standby in 1..MEMBER_COUNT {
            self.databases.set_held((DATABASE, standby), false, ctx, &mut self.notices);
        }
    }

    /// Takes what the database said, and notices what changed for clients.
    fn settle<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, LabEvent, R>) {
        let now = ctx.now();
        for notice in std::mem::take(&mut self.notices) {
            self.note(notice, now);
        }
        self.look(now);
        self.answer_waiting(now);
        for idx in 0..CONNECTION_COUNT {
            self.start_queued(u8::try_from(idx).expect("20 connections"), ctx);
        }
        let is_whole = self.is_repairing && self.moments.healthy.is_none();
        if is_whole && self.databases.is_whole(DATABASE) {
            self.moments.healthy = Some(self.logged(now));
        }
    }

    fn note(&mut self, notice: PgNotice, now: SimTime) {
        match notice {
            PgNotice::Superseded { ordinal, kept_until, .. } => {
                for row in &mut self.rows {
                    // Only who confirmed it can have been promoted.
                    let is_later = |(at, when)| at == ordinal && when > kept_until;
                    row.is_gone |= !row.is_confirmed && row.committed.is_some_and(is_later);
                }
            }
            PgNotice::Leadership { ordinal, what, .. } if now >= FAULT_AT => {
                let at = match what {
                    Leadership::KeyGone | Leadership::KeyTaken => self.read(now),
                    _ => self.logged(now),
                };
                let is_own = ordinal == 0 && what != Leadership::KeyGone && !self.leads_again();
                let moments = &mut self.moments;
                let moment = match what {
                    Leadership::KeyGone => &mut moments.key_gone,
                    Leadership::KeyTaken => &mut moments.key_taken,
                    Leadership::Promotes => &mut moments.promotes,
                    Leadership::Requested => &mut moments.requested,
                    Leadership::Promoted => &mut moments.promoted,
                    Leadership::Renewed => return,
                };
                if !is_own {
                    moment.get_or_insert(at);
                    if what == Leadership::Promoted {
                        moments.promoted_ordinal.get_or_insert(ordinal);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether the old primary may be the one that is promoted after the outage.
    fn leads_again(&self) -> bool {
        match self.experiment.fault {
            Fault::PostmasterKilled => true,
            Fault::MemberKilled => self.is_repairing,
            _ => false,
        }
    }

    /// Compares what clients find with what they found before: connections that were cut, silent
    /// members that speak again, two primaries.
    fn look(&mut self, now: SimTime) {
        for ordinal in 0..MEMBER_COUNT {
            let access = self.databases.access_of(DATABASE, ordinal);
            let before = std::mem::replace(&mut self.access[usize::from(ordinal)], access);
            let was_there = matches!(before, Access::ReadWrite | Access::Silent | Access::ReadOnly);
            let is_cut = matches!(access, Access::Refused | Access::Starting);
            if was_there && is_cut {
                self.abandoned[usize::from(ordinal)] = 0;
                self.cut(ordinal, now);
            }
            if before == Access::Silent && access == Access::ReadWrite {
                self.empty_sockets(ordinal, now);
            }
        }
        let primaries = self.access.iter().filter(|one| **one == Access::ReadWrite).count();
        match self.split_since {
            None if primaries > 1 => self.split_since = Some(now),
            Some(since) if primaries <= 1 => {
                self.split += now - since;
                self.split_since = None;
            }
            _ => {}
        }
    }

    fn cut(&mut self, member: u8, now: SimTime) {
        self.in_sockets.retain(|&(at, _)| at != member);
        for idx in 0..CONNECTION_COUNT {
            match self.connections[idx].state {
                State::Open(at) if at == member => self.connections[idx].is_cut = true,
                State::Sent(at) | State::Confirming(at) | State::Waiting(at) if at == member => {
                    self.finish(idx, Outcome::Unknown, now, State::Closed);
                }
                _ => {}
            }
        }
    }

    fn empty_sockets(&mut self, member: u8, now: SimTime) {
        let (here, elsewhere) =
            self.in_sockets.iter().copied().partition(|&(at, _): &(u8, usize)| at == member);
        self.in_sockets = elsewhere;
        let here: Vec<(u8, usize)> = here;
        for (_, row) in here {
            self.rows[row].committed = Some((member, now));
            let waiting = |one: &Connection| one.state == State::Sent(member) && one.row == row;
            if let Some(idx) = self.connections.iter().position(waiting) {
                self.connections[idx].state = State::Waiting(member);
            }
        }
    }

    /// Answers statements whose commit waited for a standby.
    fn answer_waiting(&mut self, now: SimTime) {
        for member in 0..MEMBER_COUNT {
            let abandoned = &mut self.abandoned[usize::from(member)];
            if *abandoned > 0 && self.databases.commits(DATABASE, member, now) {
                *abandoned = 0;
            }
        }
        for idx in 0..CONNECTION_COUNT {
            if let State::Waiting(member) = self.connections[idx].state
                && self.databases.commits(DATABASE, member, now)
            {
                let row = self.connections[idx].row;
                self.rows[row].is_confirmed = self.databases.needs_confirmation(DATABASE, member);
                self.finish(idx, Outcome::Acknowledged, now, State::Open(member));
            }
        }
    }

    fn finish(&mut self, idx: usize, outcome: Outcome, now: SimTime, state: State) {
        let connection = &mut self.connections[idx];
        connection.state = state;
        connection.count += 1;
        let row = &mut self.rows[connection.row];
        row.outcome = outcome;
        row.ended = now;
        if outcome != Outcome::Acknowledged {
            self.last_trouble = self.last_trouble.max(now);
        }
    }

    /// Whether the client has ended: 30 s after the outage, or when it gives up.
    fn is_over(&self, now: SimTime) -> bool {
        let patience = PATIENCE.max(self.experiment.repaired.unwrap_or_default() + PATIENCE / 2);
        now > FAULT_AT && now > self.last_trouble + CALM || now > FAULT_AT + patience
    }

    /// The next row of a connection is due.
    fn due<R: Recorder<Observation>>(&mut self, idx: u8, ctx: &mut Context<'_, LabEvent, R>) {
        let now = ctx.now();
        if self.is_over(now) {
            if !self.is_repairing {
                ctx.schedule_in(SimSpan::ZERO, Priority::FIRST, LabEvent::Repair);
            }
            return;
        }
        let connection = &mut self.connections[usize::from(idx)];
        connection.due += ROW_PERIOD.saturating_mul(CONNECTION_COUNT as u64);
        let at = connection.due;
        let at = at + self.late_send();
        ctx.schedule_at(at, Priority::NORMAL, LabEvent::Due(idx));
        self.rows.push(Row { sent: now, ended: now, ..Row::default() });
        let row = self.rows.len() - 1;
        if let Some(missed) = self.connections[usize::from(idx)].queued.replace(row) {
            self.rows[missed].outcome = Outcome::Skipped;
            self.last_trouble = self.last_trouble.max(now);
        }
        self.start_queued(idx, ctx);
    }

    /// Mostly a millisecond or two, as in the published attempts.
    fn late_send(&mut self) -> SimSpan {
        self.draw_count += 1;
        let unit = self.streams.draw(CLIENT, LATENESS, u64::from(self.draw_count)).unit();
        let (usual, most) = (SEND_LATE_USUAL.as_secs_f64(), LATE_MOST.as_secs_f64());
        let rare = ((unit - 0.997) / 0.003).max(0.0);
        SimSpan::from_secs_f64_rounded(usual * unit.powi(4) + (most - usual) * rare)
    }

    /// A row whose connection was busy when it was due is sent as soon as the connection is free; it
    /// is skipped when the next one is due before.
    fn start_queued<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        let (idx, now) = (usize::from(event), ctx.now());
        if !matches!(self.connections[idx].state, State::Closed | State::Open(_)) {
            return;
        }
        let Some(row) = self.connections[idx].queued.take() else { return };
        self.rows[row].sent = now;
        self.connections[idx].row = row;
        match self.connections[idx].state {
            State::Open(_) if std::mem::take(&mut self.connections[idx].is_cut) => {
                self.finish(idx, Outcome::Unknown, now, State::Closed);
            }
            State::Open(member) => self.send(event, member, ctx),
            _ => {
                self.choose_order(idx);
                self.try_candidate(event, 0, ctx);
            }
        }
    }

    /// The last good member first, the others in any order.
    fn choose_order(&mut self, idx: usize) {
        self.draw_count += 1;
        let draw = self.streams.draw(CLIENT, ORDER, u64::from(self.draw_count));
        let first = self.connections[idx].last_good;
        let mut others: Vec<u8> = (0..MEMBER_COUNT).filter(|&one| one != first).collect();
        if draw.below(2) == 1 {
            others.reverse();
        }
        self.connections[idx].candidates = [first, others[0], others[1]];
    }

    fn send<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        member: u8,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        let idx = usize::from(event);
        self.connections[idx].state = State::Sent(member);
        self.connections[idx].count += 1;
        let (row, count) = (self.connections[idx].row, self.connections[idx].count);
        ctx.schedule_in(LIMIT, Priority::NORMAL, LabEvent::TimedOut(event, count));
        if self.access[usize::from(member)] == Access::Silent {
            self.in_sockets.push((member, row));
            return;
        }
        self.draw_count += 1;
        let occurrence = u64::from(self.draw_count);
        let unit = self.streams.draw(CLIENT, EXECUTING, occurrence).unit();
        let whole = self.experiment.latency.at(unit);
        let unit = self.streams.draw(CLIENT, CONFIRMING, occurrence).unit();
        let span = SimSpan::from_secs_f64_rounded(whole.as_secs_f64() * (0.2 + 0.6 * unit));
        self.connections[idx].answer = whole.saturating_sub(span);
        ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count));
    }

    /// Whether a member has no connection left for another client: `too many connections`, 53300.
    fn is_full(&self, member: u8) -> bool {
        let is_there = |one: &&Connection| one.state.member() == Some(member);
        let count = self.connections.iter().filter(is_there).count();
        let abandoned = self.abandoned[usize::from(member)];
        u32::try_from(count).unwrap_or(u32::MAX).saturating_add(abandoned) >= self.connections_max
    }

    fn try_candidate<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        candidate: usize,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        let idx = usize::from(event);
        let connection = &mut self.connections[idx];
        connection.count += 1;
        connection.state = State::Connecting(candidate);
        let (count, member) = (connection.count, usize::from(connection.candidates[candidate]));
        let most = self.slowest.max(self.experiment.latency.first).min(LIMIT);
        let span = match self.access[member] {
            Access::Silent => None,
            Access::Refused => Some(SimSpan::from_micros(300)),
            _ => Some(self.skewed(CONNECTING, SimSpan::from_millis(2), most)),
        };
        let (limit, timeout) = (self.connect_limit, LabEvent::TimedOut(event, count));
        match span.filter(|span| *span < limit) {
            Some(span) => ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count)),
            None => ctx.schedule_in(limit, Priority::NORMAL, timeout),
        };
    }

    /// A connection stands or is refused, or a statement is executed.
    fn done<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        count: u32,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        let idx = usize::from(event);
        if self.connections[idx].count != count {
            return;
        }
        let now = ctx.now();
        match self.connections[idx].state {
            State::Connecting(candidate) => {
                let member = self.connections[idx].candidates[candidate];
                match self.access[usize::from(member)] {
                    Access::ReadWrite if !self.is_full(member) => {
                        self.connections[idx].last_good = member;
                        self.send(event, member, ctx);
                    }
                    _ => self.try_next(event, candidate, ctx),
                }
            }
            State::Sent(member) => {
                let row = self.connections[idx].row;
                if self.access[usize::from(member)] == Access::Silent {
                    self.in_sockets.push((member, row));
                    return;
                }
                self.rows[row].committed = Some((member, now));
                self.connections[idx].state = State::Confirming(member);
                let span = self.connections[idx].answer;
                ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count));
            }
            State::Confirming(member) => self.connections[idx].state = State::Waiting(member),
            State::Closed | State::Open(_) | State::Waiting(_) => {}
        }
    }

    fn try_next<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        candidate: usize,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        if candidate + 1 < usize::from(MEMBER_COUNT) {
            self.try_candidate(event, candidate + 1, ctx);
        } else {
            self.finish(usize::from(event), Outcome::Failed, ctx.now(), State::Closed);
        }
    }

    fn timed_out<R: Recorder<Observation>>(
        &mut self,
        event: u8,
        count: u32,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        let idx = usize::from(event);
        if self.connections[idx].count != count {
            return;
        }
        match self.connections[idx].state {
            State::Connecting(candidate) => self.try_next(event, candidate, ctx),
            State::Sent(member) | State::Confirming(member) | State::Waiting(member) => {
                let now = ctx.now();
                if self.access[usize::from(member)] == Access::ReadWrite {
                    // The backend goes on without its client.
                    let row = self.connections[idx].row;
                    self.rows[row].committed.get_or_insert((member, now));
                    if !self.databases.commits(DATABASE, member, now) {
                        self.abandoned[usize::from(member)] += 1;
                    }
                }
                self.finish(idx, Outcome::Unknown, now, State::Closed);
            }
            State::Closed | State::Open(_) => {}
        }
    }
}

impl Model for Lab {
    type Event = LabEvent;
    type Observation = Observation;

    fn handle<R: Recorder<Observation>>(
        &mut self,
        event: LabEvent,
        ctx: &mut Context<'_, LabEvent, R>,
    ) {
        match event {
            LabEvent::Pg(event) => self.databases.handle(event, ctx, &mut self.notices),
            LabEvent::Fault => self.strike(ctx),
            LabEvent::Hold(ordinal) => {
                self.databases.set_held((DATABASE, ordinal), true, ctx, &mut self.notices);
            }
            LabEvent::Undo => self.undo(ctx),
            LabEvent::Repair => self.repair(ctx),
            LabEvent::Due(idx) => self.due(idx, ctx),
            LabEvent::Done(idx, count) => self.done(idx, count, ctx),
            LabEvent::TimedOut(idx, count) => self.timed_out(idx, count, ctx),
        }
        self.settle(ctx);
    }
}
