//! What would be lost of a database if a zone, or the node under an instance, went now for good.
//!
//! Nothing is estimated: the cluster is copied, what stands in the zone is stopped in the copy as it would
//! be, with the luck that this run has for it, and whoever the operator or Patroni would promote is compared
//! with what clients were told. That is done at the few moments between which the loss goes straight on, so
//! that it is known for every moment until something else changes.
//!
//! # Modelled
//! What standbys lack and what was acknowledged, with the lags that would be drawn; who is promoted of those
//! that are left; sides that were replaced and still take writes. The loss counts from the oldest
//! acknowledged commit that is gone to the newest: time in which nobody wrote is no loss.
//!
//! # Not modelled
//! Who goes on while nobody can yet: standbys that are down, a quorum that refuses, a failover under way that
//! another zone is taken from. There the stake is a bound ([`Stake::is_bound`]): of standbys that run the best one goes
//! on, and where none does the one that lacks most, because whoever returns first is promoted. No less is lost than
//! what the best of those that are left lacks ([`Piece::slack`]). While the operator has not asked its quorum yet
//! and the primary is left, nothing is at stake: whom the quorum lets be promoted has everything.
//! Simplified: a volume that is deleted by itself or outlives its zone is not known here; a loss between two
//! whole commits counts as its time, although nothing is gone; while more is written than can be
//! shipped, pieces are straight within a lag of where the stream began to move.
//!
//! # Defaults and their sources
//! None of its own.
//!
//! # Invariants
//! A stake that is no bound is what is lost with the zone at that moment; of a bound no less is lost than its slack
//! leaves.
//!
//! # Checked against
//! `platform/tests/it/stakes.rs`: random platforms whose zones and nodes are really lost, at every end of a
//! piece.

use model_api::blueprint::Synchronous;
use model_api::parameters::Range;
use model_api::stake::{Piece, Slope, Stake, Stakes};
use model_api::{DatabaseId, NodeId, Observation, Parameters, ZoneId};
use sim_kernel::{
    Context, EntityKey, EventId, Probe, Purpose, Recorder, SimSpan, SimTime, Streams, Timer,
};

use crate::cluster::{Cluster, OldSide, Port, Stage, Target};
use crate::databases::{Databases, PgNotice, StopKind};
use crate::decision::{QuorumView, may_promote};
use crate::event::PgEvent;
use crate::instance::{Instance, Link, WAL_SHIPPING_BYTES_PER_SECOND};
use crate::io;
use crate::pace::Pace;
use crate::patroni::decision::Fitness;
use crate::position::Mark;

/// Where the pod of an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Which instance.
    pub ordinal: u8,
    /// The node that its pod is on.
    pub node: NodeId,
}

/// After so long a loss that goes on is seen to go on.
const SEEN_TO_GO_ON: SimSpan = SimSpan::from_hours(1);
const NANOSECOND: SimSpan = SimSpan::from_nanos(1);

impl Databases {
    /// Whatever stands in a zone is destroyed.
    pub fn destroy_zone(&mut self, zone: ZoneId) {
        if !std::mem::replace(&mut self.is_gone[zone.index()], true) {
            for idx in 0..self.clusters.len() {
                self.touch(DatabaseId::from_index(idx));
            }
        }
    }

    /// Every instance that a database had stood in zones that are destroyed.
    pub fn is_destroyed(&self, database: DatabaseId) -> bool {
        let cluster = &self.clusters[database.index()];
        let mut placed = cluster.ordinals().filter(|it| cluster.at(*it).pod.is_some()).peekable();
        placed.peek().is_some() && placed.all(|it| self.is_gone[cluster.at(it).zone.index()])
    }

    /// Some database of which something changed since it was last handed out here.
    pub fn take_touched(&mut self) -> Option<DatabaseId> {
        let database = self.touched.pop()?;
        self.clusters[database.index()].is_touched = false;
        Some(database)
    }

    /// What would be lost with each zone, and with each node. Seats are in the order in which the pods of a
    /// zone would end. Data that is not `is_on_nodes` outlives its node: an instance that nobody can take over
    /// from comes back elsewhere with all it has.
    pub fn stakes<E, R>(
        &self,
        database: DatabaseId,
        seats: &[Seat],
        is_on_nodes: bool,
        ctx: &Context<'_, E, R>,
    ) -> Stakes
    where
        E: Copy + From<PgEvent>,
        R: Recorder<Observation>,
    {
        let cluster = &self.clusters[database.index()];
        let is_pending = |timer| ctx.is_pending(timer);
        let around = Around {
            now: ctx.now(),
            parameters: &self.parameters,
            streams: self.streams,
            is_gone: &self.is_gone,
            is_isolated: &self.is_isolated,
            is_api_available: self.takes_api(database),
            pace: self.pace(),
            is_pending: &is_pending,
        };
        let seated = |is_struck: &dyn Fn(u8, Option<NodeId>) -> bool| {
            let mut struck: Vec<u8> = seats
                .iter()
                .filter(|it| is_struck(it.ordinal, Some(it.node)))
                .map(|it| it.ordinal)
                .collect();
            let others = cluster.ordinals().filter(|it| is_struck(*it, None));
            let others: Vec<u8> = others.filter(|it| !struck.contains(it)).collect();
            struck.extend(others);
            struck
        };
        let zones = (0..self.is_gone.len()).map(ZoneId::from_index).map(|zone| {
            let struck = seated(&|ordinal, _| cluster.at(ordinal).zone == zone);
            cluster.stake(&around, struck)
        });
        let zones: Vec<Option<Stake>> = zones.collect();
        let of_node = |node: NodeId| {
            let struck = seated(&|_, seat| seat == Some(node));
            // One instance a zone is the rule.
            let first = struck.first().map(|it| cluster.at(*it).zone);
            let of_zone = first
                .filter(|zone| struck == seated(&|ordinal, _| cluster.at(ordinal).zone == *zone));
            let stake = match of_zone {
                Some(zone) => zones[zone.index()].clone(),
                None => cluster.stake(&around, struck),
            };
            stake.or_else(|| (!is_on_nodes).then(Stake::default))
        };
        let mut nodes: Vec<NodeId> = seats.iter().map(|seat| seat.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        let node = nodes.into_iter().map(of_node).collect();
        Stakes { zones, node }
    }

    pub(crate) fn touch(&mut self, database: DatabaseId) {
        let is_touched = &mut self.clusters[database.index()].is_touched;
        if !std::mem::replace(is_touched, true) {
            self.touched.push(database);
        }
    }
}

/// What a strike finds besides the cluster itself.
struct Around<'a> {
    now: SimTime,
    parameters: &'a Parameters,
    streams: Streams,
    is_gone: &'a [bool],
    is_isolated: &'a [bool],
    is_api_available: bool,
    pace: Pace,
    is_pending: &'a dyn Fn(Timer) -> bool,
}

impl Around<'_> {
    fn at(&self, at: SimTime) -> Trial<'_> {
        Trial { at, around: self }
    }
}

/// A strike that is only tried: what it leads to is drawn, and nobody hears of it.
#[derive(Clone, Copy)]
struct Trial<'a> {
    at: SimTime,
    around: &'a Around<'a>,
}

impl Port for Trial<'_> {
    fn now(&self) -> SimTime {
        self.at
    }

    fn observe(&mut self, _: Observation) {}

    fn notice(&mut self, _: PgNotice) {}

    fn hit(&mut self, _: &'static Probe) {}

    fn timer_at(&mut self, _: SimTime, _: PgEvent) -> Timer {
        Timer::NONE
    }

    fn timer_because(&mut self, _: EventId, _: SimTime, _: PgEvent) -> Timer {
        Timer::NONE
    }

    fn cause(&self) -> EventId {
        EventId::NONE
    }

    fn cancel(&mut self, _: Timer) {}

    fn is_pending(&self, timer: Timer) -> bool {
        (self.around.is_pending)(timer)
    }

    fn parameters(&self) -> &Parameters {
        self.around.parameters
    }

    fn pace(&self) -> Pace {
        self.around.pace
    }

    fn draw(&self, entity: EntityKey, purpose: Purpose, occurrence: u32, range: Range) -> SimSpan {
        io::draw(self.around.streams, entity, purpose, occurrence, range)
    }

    fn draw_skewed(
        &self,
        entity: EntityKey,
        purpose: Purpose,
        occurrence: u32,
        range: Range,
    ) -> SimSpan {
        io::draw_skewed(self.around.streams, entity, purpose, occurrence, range)
    }

    fn is_api_available(&self) -> bool {
        self.around.is_api_available
    }

    fn is_isolated(&self, zone: ZoneId) -> bool {
        self.around.is_isolated[zone.index()]
    }
}

/// What a strike at one moment costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Loss {
    span: SimSpan,
    /// Nobody goes on yet, or it is not known who does.
    is_bound: bool,
    /// So much is lost whoever goes on.
    least: SimSpan,
    /// Whoever goes on follows the primary, as long as nothing changes.
    follows: bool,
}

impl Loss {
    fn slack(&self) -> SimSpan {
        self.span.saturating_sub(self.least)
    }
}

/// Who goes on after a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heir {
    /// That instance.
    Sure(u8),
    /// It is not known yet; no worse than that one.
    Likely(u8),
}

impl Cluster {
    /// What is lost with some instances; none when no other one is left.
    fn stake(&self, around: &Around<'_>, mut struck: Vec<u8>) -> Option<Stake> {
        let is_gone = |ordinal: &u8| around.is_gone[self.at(*ordinal).zone.index()];
        let holds = |it: &Instance| it.pod.is_some() && !it.is_empty;
        let is_left = |ordinal: &u8| holds(self.at(*ordinal)) && !is_gone(ordinal);
        let left: Vec<u8> =
            self.ordinals().filter(|it| is_left(it) && !struck.contains(it)).collect();
        if left.is_empty() {
            return None;
        }
        let writes_nothing =
            self.setup.commits_per_second == 0 && self.setup.wal_bytes_per_second == 0;
        let hits_primary = struck.contains(&self.current);
        let hits_side = self.old_sides.iter().any(|side| struck.contains(&side.ordinal));
        let is_led = self.is_led(around);
        if writes_nothing || struck.is_empty() || is_led && !hits_primary && !hits_side {
            return Some(Stake::default());
        }
        if !is_led && !hits_primary {
            if left == [self.current] {
                // Whoever was primary is all that is left, and has everything.
                return Some(Stake::default());
            }
            // A failover may be under way, and those that are struck could have been promoted.
            struck.push(self.current);
        }
        if !is_led
            && !hits_primary
            && !hits_side
            && self.is_kept_by_quorum()
            && left.contains(&self.current)
        {
            // Whoever the quorum lets be promoted has everything, and so has the primary if nobody is.
            return Some(Stake::default());
        }
        let mut stake = self.course(around, &struck);
        if !is_led && !hits_primary {
            // The primary may come back before anybody is promoted.
            stake.is_bound = true;
            for piece in &mut stake.pieces {
                piece.slack = SimSpan::MAX;
            }
        }
        Some(stake)
    }

    /// Whether the primary works and nobody is to replace it.
    fn is_led(&self, around: &Around<'_>) -> bool {
        let primary = self.at(self.current);
        let is_kept = match &self.patroni {
            Some(patroni) => {
                let member = patroni.at(self.current);
                patroni.holder == Some(self.current)
                    && !member.is_frozen
                    && patroni.handover.is_none()
            }
            None => {
                self.stage == Stage::Calm
                    && self.target == Target::Current
                    && !self.is_frozen(self.current)
            }
        };
        primary.is_open && is_kept && !around.is_isolated[primary.zone.index()]
    }

    /// Whether nobody is promoted who may lack what was acknowledged: the operator has not begun a failover, and
    /// will ask whether enough of those that may have confirmed are there.
    fn is_kept_by_quorum(&self) -> bool {
        let asks = |wish: Synchronous| wish.failover_quorum && wish.is_required;
        self.patroni.is_none()
            && self.setup.synchronous.is_some_and(asks)
            && self.target == Target::Current
            && self.confirming_number(self.current) > 0
    }

    /// The loss as a function of the moment of the strike.
    fn course(&self, around: &Around<'_>, struck: &[u8]) -> Stake {
        let first_at = around.now.saturating_add(NANOSECOND);
        let mut starts = self.knots(around, struck);
        starts.push(first_at);
        starts.sort_unstable();
        starts.dedup();
        let mut course =
            Course { cluster: self, around, struck, pieces: Vec::new(), is_bound: false };
        for (idx, &start) in starts.iter().enumerate() {
            match starts.get(idx + 1) {
                Some(&next) => course.go(start, next.saturating_sub(NANOSECOND)),
                None => course.end(start),
            }
        }
        let Course { mut pieces, is_bound, .. } = course;
        pieces.dedup_by(|next, before| {
            next.slope == Slope::Level
                && before.slope == Slope::Level
                && (next.loss, next.slack) == (before.loss, before.slack)
        });
        if let [only] = &mut pieces[..]
            && only.slope == Slope::Level
        {
            only.from = SimTime::ZERO;
        }
        Stake { pieces, is_bound }
    }

    /// Moments at which the loss may bend: a stream that began to move or to stand reaches a standby, or a
    /// client, after a while.
    fn knots(&self, around: &Around<'_>, struck: &[u8]) -> Vec<SimTime> {
        let trial = around.at(around.now);
        let open: Vec<u8> = struck.iter().copied().filter(|it| self.at(*it).is_open).collect();
        // A standby has what its primary had when it began to stream, however late the stream is.
        let streaming = self.instances.iter().filter_map(|standby| match standby.link {
            Link::Streaming(from, since) if open.contains(&from) => Some(since),
            _ => None,
        });
        // Likewise what was acknowledged under other names, or to clients whose connections broke.
        let told = open.iter().map(|it| self.at(*it).acknowledged.committed_at);
        let turns = open.iter().flat_map(|it| self.at(*it).writer.turns()).chain(streaming);
        let turns = turns.chain(told).chain([self.broken_at]);
        let longest = self.longest_delay(around.parameters);
        let turns: Vec<SimTime> =
            turns.filter(|turn| turn.saturating_add(longest) > around.now).collect();
        let mut knots: Vec<SimTime> = open.iter().map(|it| self.at(*it).silent_until).collect();
        if !turns.is_empty() {
            let delays = self.delays(&trial, struck.len());
            knots.extend(
                turns.iter().flat_map(|turn| delays.iter().map(|it| turn.saturating_add(*it))),
            );
        }
        // What is told at such a moment may be of before, and of after one nanosecond later.
        let later: Vec<SimTime> = knots.iter().map(|it| it.saturating_add(NANOSECOND)).collect();
        knots.extend(later);
        knots.retain(|knot| *knot > around.now && *knot < SimTime::MAX);
        knots
    }

    fn is_shipped(&self) -> bool {
        self.wal_bytes_per_second() <= WAL_SHIPPING_BYTES_PER_SECOND
    }

    /// What a strike at a moment costs.
    fn loss_at(&self, around: &Around<'_>, struck: &[u8], at: SimTime) -> Loss {
        let mut trial = around.at(at);
        let mut branch = Self { pools: Vec::new(), ..self.clone() };
        for &ordinal in struck {
            branch.catch_up_any(&mut trial);
            branch.stopped(&mut trial, ordinal, StopKind::Power);
        }
        let sides = self.old_sides.iter().filter(|side| struck.contains(&side.ordinal));
        let of_sides = sides.map(|side| side.lost(branch.at(side.ordinal).acknowledged)).max();
        let span = of_sides.unwrap_or_default();
        let follows = of_sides.is_none();
        let mut loss = Loss { span, is_bound: false, least: span, follows };
        if struck.contains(&self.current) {
            let left: Vec<u8> = self
                .ordinals()
                .filter(|it| self.at(*it).pod.is_some() && !self.at(*it).is_empty)
                .filter(|it| !struck.contains(it))
                .filter(|it| !around.is_gone[self.at(*it).zone.index()])
                .collect();
            let heir = branch.heir(&mut trial, &left);
            let (Heir::Sure(heir_ordinal) | Heir::Likely(heir_ordinal)) = heir;
            let lost_with = |heir: u8| {
                let (survivor, lost_from) = (branch.kept(heir), branch.at(heir).behind_since);
                let side = OldSide { ordinal: self.current, survivor, lost_from };
                side.lost(branch.at(self.current).acknowledged)
            };
            loss.span = span.max(lost_with(heir_ordinal));
            loss.is_bound = matches!(heir, Heir::Likely(_));
            loss.least = match heir {
                Heir::Sure(_) => loss.span,
                Heir::Likely(_) => {
                    let least = left.iter().map(|it| lost_with(*it)).min();
                    span.max(least.unwrap_or_default()).min(loss.span)
                }
            };
            loss.follows &= self.at(heir_ordinal).streams_from(self.current);
        }
        loss
    }

    /// What an instance has that the database goes on from, if it is promoted.
    pub(crate) fn kept(&self, ordinal: u8) -> Mark {
        let instance = self.at(ordinal);
        // What an old primary still writes is not part of it any more.
        let has = if instance.is_open { Mark::default() } else { instance.received };
        instance.fork.map_or(has, |fork| if instance.is_open { fork } else { fork.min(has) })
    }

    fn heir(&self, port: &mut Trial<'_>, left: &[u8]) -> Heir {
        let (heir, may_be_promoted) = if self.patroni.is_some() {
            self.heir_of_members(port, left)
        } else {
            self.heir_of_operator(port, left)
        };
        if let Some(heir) = heir {
            let has = self.kept(heir).position_ns;
            let mut others = left.iter().filter(|it| self.may_race(**it));
            let is_best = others.all(|other| self.kept(*other).position_ns <= has);
            if may_be_promoted && is_best {
                return Heir::Sure(heir);
            }
            if !self.is_refused_for_now(left) {
                return Heir::Likely(heir);
            }
        }
        if self.is_refused_for_now(left) {
            let most = left.iter().max_by_key(|it| self.kept(**it));
            return Heir::Sure(*most.expect("somebody is left"));
        }
        let runs = |it: &&u8| self.at(**it).is_running() && !port.is_isolated(self.at(**it).zone);
        let best = left.iter().filter(runs).max_by_key(|it| self.kept(**it));
        let worst = || left.iter().min_by_key(|it| self.kept(**it));
        Heir::Likely(*best.or_else(worst).expect("somebody is left"))
    }

    /// Whether the quorum refuses, and will not once all of those that are left are there: who is promoted then has
    /// all that was acknowledged.
    fn is_refused_for_now(&self, left: &[u8]) -> bool {
        let standbys = left.iter().filter(|it| **it != self.current).count();
        let view = QuorumView {
            promotable_count: u32::try_from(standbys).expect("at most 255 instances"),
            confirming_count: self.at(self.current).applied_number,
            listed_count: u32::try_from(self.instances.len() - 1).expect("at most 255 instances"),
        };
        self.is_kept_by_quorum() && may_promote(view)
    }

    /// Whom the operator promotes, and whether it does.
    fn heir_of_operator(&self, port: &Trial<'_>, left: &[u8]) -> (Option<u8>, bool) {
        let primary = self.at(self.current);
        let is_excused = primary.is_fenced
            || primary.is_excused
            || self.update.awaits_primary
            || self.is_stopped_by_volume()
            || self.setup.is_left_alone;
        let needs_quorum = self.setup.synchronous.is_some_and(|wish| wish.failover_quorum);
        let is_begun = self.target != Target::Current;
        let has_quorum = is_begun || !needs_quorum || may_promote(self.quorum_view(port));
        let can_be = |it: &u8| left.contains(it) && self.at(*it).is_running();
        let named = match (self.stage, self.target) {
            (Stage::Lease | Stage::Promoting, Target::Instance(named)) => Some(named),
            _ => self.heir,
        };
        let heir = named.filter(can_be).or_else(|| self.candidate(port));
        (heir, !is_excused && has_quorum)
    }

    /// Who wins the race for the key, and whether somebody may.
    fn heir_of_members(&self, port: &mut Trial<'_>, left: &[u8]) -> (Option<u8>, bool) {
        let patroni = self.patroni();
        let holds = |it: &u8| *it != self.current && left.contains(it) && self.at(*it).is_running();
        if let Some(holder) = patroni.holder.filter(holds) {
            return (Some(holder), true);
        }
        let (is_quiet, members) = (patroni.handover.is_none(), &patroni.members);
        let is_quiet = is_quiet && !members.iter().any(|member| member.is_frozen);
        let fit: Vec<u8> = left.iter().copied().filter(|it| self.is_fit(port, *it)).collect();
        (fit.into_iter().max_by_key(|it| self.kept(*it)), is_quiet)
    }

    fn is_fit(&self, port: &mut Trial<'_>, ordinal: u8) -> bool {
        let (member, instance) = (self.patroni().at(ordinal), self.at(ordinal));
        member.is_alive
            && !member.is_frozen
            && instance.is_running()
            && !instance.is_open
            && !port.is_isolated(instance.zone)
            && self.fitness_of(port, ordinal, crate::names::Names::NONE, true) == Fitness::Fit
    }

    /// Whether an instance may be promoted once it runs.
    fn may_race(&self, ordinal: u8) -> bool {
        self.patroni.is_none() || self.rivals_of(ordinal).is_some()
    }
}

/// A loss that is tried at a few moments.
struct Course<'a> {
    cluster: &'a Cluster,
    around: &'a Around<'a>,
    struck: &'a [u8],
    pieces: Vec<Piece>,
    is_bound: bool,
}

impl Course<'_> {
    fn loss(&mut self, at: SimTime) -> Loss {
        let loss = self.cluster.loss_at(self.around, self.struck, at);
        self.is_bound |= loss.is_bound;
        loss
    }

    /// From the last moment at which something may bend.
    fn end(&mut self, from: SimTime) {
        let mut open = self.struck.iter().filter(|it| self.cluster.at(**it).is_open).peekable();
        let is_quiet = open.peek().is_none();
        let moves = open.all(|it| self.cluster.at(*it).writer.moves_for_ever());
        let first = self.loss(from);
        if is_quiet || moves && first.follows && self.cluster.is_shipped() {
            let slack = first.slack();
            self.pieces.push(Piece { from, loss: first.span, slope: Slope::Level, slack });
        } else {
            self.go(from, from.saturating_add(SEEN_TO_GO_ON));
        }
    }

    /// Through both moments, between which it bends at zero at most.
    fn go(&mut self, from: SimTime, until: SimTime) {
        let (first, last) = (self.loss(from), self.loss(until));
        if first.span.is_zero() && !last.span.is_zero() {
            let kink = self.last_where(from, until, SimSpan::is_zero);
            self.pieces.push(nothing(from));
            let from = kink.saturating_add(NANOSECOND);
            let first = self.loss(from);
            self.pieces.push(line(from, first, until, last));
        } else if last.span.is_zero() && !first.span.is_zero() {
            let kink = self.last_where(from, until, |loss| !loss.is_zero());
            let least = self.loss(kink);
            self.pieces.push(line(from, first, kink, least));
            self.pieces.push(nothing(kink.saturating_add(NANOSECOND)));
        } else {
            self.pieces.push(line(from, first, until, last));
        }
    }

    /// The last moment of `from..until` that is as the first one is, where the last one is not.
    fn last_where(
        &mut self,
        from: SimTime,
        until: SimTime,
        is: impl Fn(SimSpan) -> bool,
    ) -> SimTime {
        let (mut least, mut most) = (from, until);
        while most.saturating_since(least) > NANOSECOND {
            let half = SimSpan::from_nanos(most.saturating_since(least).as_nanos() / 2);
            let middle = least.saturating_add(half);
            if is(self.loss(middle).span) { least = middle } else { most = middle }
        }
        least
    }
}

fn nothing(from: SimTime) -> Piece {
    Piece { from, loss: SimSpan::ZERO, slope: Slope::Level, slack: SimSpan::ZERO }
}

fn line(from: SimTime, first: Loss, until: SimTime, last: Loss) -> Piece {
    // Both go straight, and so does what is between them.
    let slack = first.slack().max(last.slack());
    let (loss, last) = (first.span, last.span);
    let (elapsed, risen) = (until.saturating_since(from), last.saturating_sub(loss));
    let slope = if last == loss {
        Slope::Level
    } else if last < loss {
        Slope::FallsBy(loss.saturating_sub(last).as_nanos(), elapsed.as_nanos())
    } else if risen == elapsed {
        Slope::Rises
    } else {
        Slope::RisesBy(risen.as_nanos(), elapsed.as_nanos())
    };
    Piece { from, loss, slope, slack }
}
