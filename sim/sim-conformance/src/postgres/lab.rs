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
use super::experiment::{Experiment, Fault};
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
/// WAL of one row: the tuple, its index entry and the commit. **Assumption.**
const WAL_BYTES_PER_ROW: u64 = 250;

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
    for (ordinal, standby) in (1..).zip(experiment.standbys) {
        if standby.is_held() {
            // It is as far behind as what was written since then.
            let behind = standby.flush_bytes / wal_bytes_per_second(experiment, start) as f64;
            let at = FAULT_AT - SimSpan::from_secs_f64_rounded(behind.min(99.0));
            sim.schedule_at(at, Priority::FIRST, LabEvent::Hold(ordinal));
        }
    }
    for connection in 0..CONNECTION_COUNT {
        let at = start + ROW_PERIOD.saturating_mul(connection as u64);
        let event = LabEvent::Due(u8::try_from(connection).expect("20 connections"));
        sim.schedule_at(at, Priority::NORMAL, event);
    }
    sim.schedule_at(FAULT_AT, Priority::FIRST, LabEvent::Fault);
    sim.run_until(FAULT_AT + SimSpan::from_mins(15));
    sim.into_parts().0
}

/// Rows alone, or, where a standby is further behind than rows would put it, what puts it there
/// since the client started.
fn wal_bytes_per_second(experiment: &Experiment, start: SimTime) -> u64 {
    let rows = WAL_BYTES_PER_ROW * 1_000_000_000 / ROW_PERIOD.as_nanos();
    let behind = experiment.standbys.iter().map(|standby| standby.flush_bytes).fold(0.0, f64::max);
    rows.max(whole(behind / (FAULT_AT - start).as_secs_f64()))
}

fn blueprint(experiment: &Experiment, start: SimTime) -> Blueprint {
    let zone = |name: &str| Zone { name: name.into(), ..Zone::default() };
    let lags = experiment.standbys.iter().map(|one| one.flush_lag);
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
            wal_bytes_per_second: wal_bytes_per_second(experiment, start),
            commits_per_second: 50,
            session_count: u32::try_from(CONNECTION_COUNT).expect("few connections"),
            ..Database::default()
        }],
        parameters: Parameters {
            // What delays commits delays the shipping of WAL as well.
            replication_lag: Range { least: lag / 2, most: (lag * 2).max(experiment.latency_p99) },
            ..Parameters::default()
        },
        ..Blueprint::default()
    }
}

impl Lab {
    fn new(experiment: &Experiment, streams: Streams) -> Self {
        // The recorder's machine was overloaded: what computes took tenths of a second up to
        // seconds, in some repetitions much less. Each run has its own share of that.
        let unit = streams.draw(MACHINE, OVERLOAD, 0).unit();
        let most_s = (1.1 + experiment.load_average / 200.0).min(1.4) * (0.15 + 0.85 * unit);
        let slowest = SimSpan::from_secs_f64_rounded(most_s);
        let up_to = |least_ms, factor| Range {
            least: SimSpan::from_millis(least_ms),
            most: SimSpan::from_millis(least_ms) + slowest.saturating_mul(factor),
        };
        let pace = Pace {
            step: up_to(3, 1),
            promotion: Some(up_to(20, 1)),
            // Patroni looks once a second whether PostgreSQL is up.
            start: up_to(1_000, 3),
            crash_recovery: up_to(100, 2),
            shutdown: up_to(50, 1),
            halt: up_to(20, 3),
            rewind: up_to(500, 4),
        };
        let ahead = streams.draw(CLIENT, START, 0);
        let ahead = ahead.span_between(SimSpan::from_secs(4), SimSpan::from_secs(14));
        let client_start = FAULT_AT - ahead;
        let blueprint = blueprint(experiment, client_start);
        let mut databases = Databases::new(&blueprint, streams).with_pace(pace);
        for ordinal in 0..MEMBER_COUNT {
            let idx = u32::from(ordinal);
            databases.place(DATABASE, ordinal, PodId(idx), ZoneId(idx));
        }
        databases.set_direct_clients(DATABASE);
        databases.place_store_leader(DATABASE, u8::from(!experiment.is_store_leader_lost));
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
            last_trouble: SimTime::ZERO,
            client_start,
            is_repairing: false,
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
            Fault::Frozen(span) => {
                self.databases.set_frozen(primary, true, ctx, &mut self.notices);
                ctx.schedule_in(span, Priority::FIRST, LabEvent::Undo);
            }
            Fault::StandbysKilled(span) => {
                for standby in 1..MEMBER_COUNT {
                    let instance = (DATABASE, standby);
                    let notices = &mut self.notices;
                    self.databases.instance_stopped(instance, StopKind::Process, ctx, notices);
                }
                ctx.schedule_in(span, Priority::FIRST, LabEvent::Undo);
            }
            Fault::HandedOver(candidate) => {
                self.databases.switch_over(DATABASE, candidate, ctx, &mut self.notices);
            }
        }
        let renewed = self.databases.renewed_at(DATABASE, 0).max(renewed).min(FAULT_AT);
        // The loop is finished a little after it renewed the lease.
        self.moments.last_renewal = Some(self.logged(renewed));
        self.last_trouble = ctx.now();
        if matches!(self.experiment.fault, Fault::MemberKilled) {
            ctx.schedule_in(self.experiment.repaired, Priority::FIRST, LabEvent::Repair);
        }
    }

    fn undo<R: Recorder<Observation>>(&mut self, ctx: &mut Context<'_, LabEvent, R>) {
        self.moments.undone = Some(ctx.now());
        match self.experiment.fault {
            Fault::Frozen(_) => {
                self.databases.set_frozen((DATABASE, 0), false, ctx, &mut self.notices);
            }
            Fault::StandbysKilled(_) => {
                for standby in 1..MEMBER_COUNT {
                    self.start(standby, ctx);
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
                let is_own = ordinal == 0
                    && what != Leadership::KeyGone
                    && self.experiment.fault != Fault::PostmasterKilled;
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
                }
            }
            _ => {}
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

    /// The next row of a connection is due.
    fn due<R: Recorder<Observation>>(&mut self, idx: u8, ctx: &mut Context<'_, LabEvent, R>) {
        let now = ctx.now();
        if now > FAULT_AT && now > self.last_trouble + CALM || self.is_repairing {
            if !self.is_repairing {
                ctx.schedule_in(SimSpan::ZERO, Priority::FIRST, LabEvent::Repair);
            }
            return;
        }
        let period = ROW_PERIOD.saturating_mul(CONNECTION_COUNT as u64);
        ctx.schedule_in(period, Priority::NORMAL, LabEvent::Due(idx));
        let (event, idx) = (idx, usize::from(idx));
        let mut row = Row { sent: now, ended: now, ..Row::default() };
        if !matches!(self.connections[idx].state, State::Closed | State::Open(_)) {
            row.outcome = Outcome::Skipped;
            self.last_trouble = self.last_trouble.max(now);
            self.rows.push(row);
            return;
        }
        self.rows.push(row);
        self.connections[idx].row = self.rows.len() - 1;
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
        let most = self.latency_most() / 2;
        let span = self.skewed(EXECUTING, SimSpan::from_micros(200), most);
        ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count));
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
        let span = match self.access[member] {
            Access::Silent => None,
            Access::Refused => Some(SimSpan::from_micros(300)),
            _ => Some(self.skewed(CONNECTING, SimSpan::from_millis(2), self.slowest.min(LIMIT))),
        };
        match span.filter(|span| *span < LIMIT) {
            Some(span) => ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count)),
            None => ctx.schedule_in(LIMIT, Priority::NORMAL, LabEvent::TimedOut(event, count)),
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
                    Access::ReadWrite => {
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
                let most = self.latency_most() / 2;
                let span = self.skewed(CONFIRMING, SimSpan::from_micros(100), most);
                ctx.schedule_in(span, Priority::NORMAL, LabEvent::Done(event, count));
            }
            State::Confirming(member) => self.connections[idx].state = State::Waiting(member),
            State::Closed | State::Open(_) | State::Waiting(_) => {}
        }
    }

    fn latency_most(&self) -> SimSpan {
        let most = self.experiment.latency_p99;
        most.max(SimSpan::from_millis(1))
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
            State::Sent(_) | State::Confirming(_) | State::Waiting(_) => {
                self.finish(idx, Outcome::Unknown, ctx.now(), State::Closed);
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
