//! The flows of one instant, given what queues and callers remember.

use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime};

use super::limits::{Count, LimitState, PodLimit, share_let_in};
use super::queue::{Arrivals, Queue, Stationary};
use super::quota::Table;
use super::tried::{Late, entered};
use super::varied;
use crate::curve::Side;
use crate::delay::Delay;
use crate::edges::{Caller, EdgeIdx, Source, stages};
use crate::entrance::Way;
use crate::evaluation::{Endpoints, Inputs};
use crate::graph::{Graph, NodeIdx};
use crate::request::limit_of_all;
use crate::slowest::Common;
use crate::stations::{Branch, Place, Routes};

mod cached;
mod call;
mod several;
mod writes;

/// Whoever waits for answers does something else for so long.
const CYCLE_SECS_MIN: f64 = 1e-6;

/// A rate limit that lets less than this in lets it in at the start of each window, all at once.
const BURSTY: f64 = 0.999;

/// What queues and callers remember.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub(super) nodes: Vec<NodeState>,
    pub(super) edges: Vec<EdgeState>,
    pub(super) limits: Vec<LimitState>,
    /// Of callers who stay with a pod, by place: retries per second there.
    pub(super) kept: Vec<f64>,
}

/// What a queue remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct NodeState {
    /// Requests inside.
    pub(super) inside: f64,
    /// The load that has so many inside in the long run, as a multiple of what the workers can do.
    pub(super) ratio: f64,
    /// Of what its workers do, the share that a gateway does not pass on, because what it calls
    /// itself failed. Known after the flows behind it, so that of the last sweep.
    pub(super) withheld: f64,
    /// How much fewer come for each that is inside, as a share.
    pub(super) decline: f64,
    /// How long a request was inside, in the mean of all that came, when callers last heard how long
    /// answers take: one that found no room was not at all.
    pub(super) sojourn: f64,
    /// What came to each of its own rate limits in the window that goes on.
    pub(super) count: Count,
}

/// What a caller remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct EdgeState {
    /// Retries per second.
    pub(super) extra: f64,
    /// Of these, those after attempts whose callers waited until their time was over.
    pub(super) extra_waited: f64,
    /// Of all, those of requests that write to a database in vain.
    pub(super) extra_in_vain: f64,
    /// Retries that its budget has saved up.
    pub(super) saved: f64,
    /// Until when its circuit breaker is open, and in the past while it tries.
    pub(super) open_until: Option<SimTime>,
    /// Calls since the breaker closed, up to its window.
    pub(super) counted: f64,
    /// Share of the calls in its window that failed.
    pub(super) failing: f64,
    /// How long it takes in the mean until the caller knows what became of a call.
    pub(super) response: f64,
}

/// The flows of an instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Picture {
    pub(super) rows: Vec<NodePicture>,
}

/// The flow of a Service, or of clients of it. Rates are in requests per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct NodePicture {
    pub(super) offered: f64,
    pub(super) served: f64,
    /// What reaches living endpoints and is let in, retries included.
    pub(super) admitted: f64,
    /// What its workers do.
    pub(super) worked: f64,
    /// What those meet that come to its pods.
    pub(super) queue: Stationary,
    /// How long its answers take, to its callers, when the first attempt succeeds.
    pub(super) delay: Delay,
    /// Share of the answers that come after a retry, and how much later.
    pub(super) late: Late,
    /// Of that, what tries in vain make of it, in the mean of all answers.
    pub(super) tried: f64,
    pub(super) loss: LossReason,
    /// Of the requests that endpoints of a zone get, the share from other zones.
    pub(super) crossing: f64,
    /// Requests that a rate limit refuses in the end.
    pub(super) limited: f64,
    /// What piled up before waits still, at its pods or where it passes requests on to.
    pub(super) is_piled_up: bool,
}

/// Everything that does not change within a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep<'a> {
    pub(super) graph: &'a Graph,
    pub(super) inputs: &'a Inputs,
    pub(super) queues: &'a [Option<Queue>],
    pub(super) tables: &'a [Option<Table>],
    pub(super) varied: &'a [Option<varied::Table>],
    pub(super) routes: &'a Routes,
    pub(super) at: SimTime,
    pub(super) side: Side,
}

/// Work space of a sweep, by node and by edge.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    nodes: Vec<NodeWork>,
    pub(super) edges: Vec<EdgeWork>,
    /// Of callers who stay with a pod, by place: the share of their attempts that come to it.
    parts: Vec<f64>,
    /// By node: the share of requests that it or what it calls writes in vain for. Empty where all requests
    /// write.
    vain: Vec<f64>,
}

/// Which part of a flow comes from users who wait for answers, and how long it takes them in the mean
/// from one request to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    part: f64,
    cycle: f64,
}

impl Waiting {
    /// A flow of which part waits for answers, and what comes to a queue of the share that `passes` to
    /// it, `rate` in all: whoever is inside, where one that comes is for `sojourn`, does not ask.
    fn arrivals(self, rate: f64, passes: f64, sojourn: f64) -> Arrivals {
        let elsewhere = (self.cycle - passes * sojourn).max(CYCLE_SECS_MIN);
        let waiting = rate * self.part * self.cycle / elsewhere;
        let while_empty = rate * (1.0 - self.part) + waiting;
        let decline =
            if waiting > 0.0 { passes * self.part / (elsewhere * while_empty) } else { 0.0 };
        Arrivals { while_empty, decline }
    }
}

/// Requests that a limit by the second lets in all at once: at which rate all then come, those that no
/// limit holds among them, and for which part of each second.
///
/// Simplified: all meet what those meet, and what a Service calls does not.
#[derive(Clone, Copy, Debug, Default)]
struct Rush {
    rate: f64,
    part: f64,
}

impl Rush {
    /// Of calls, each with its rate and the share that limits by the second let in of what was asked.
    fn of(calls: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut rate, mut held, mut parts) = (0.0, 0.0, 0.0);
        for (reaching, at_once) in calls.filter(|(_, at_once)| *at_once > 0.0) {
            rate += reaching / at_once;
            if at_once < BURSTY {
                held += reaching;
                parts += reaching * at_once;
            }
        }
        Self { rate, part: share(parts, held) }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NodeWork {
    /// What comes to it and its twin.
    asked: f64,
    waiting: Waiting,
    arrivals: f64,
    /// Of these, what comes to living endpoints in any case.
    sure: f64,
    /// How many times as many requests that write come as others, relative to what clients ask for: they
    /// are tried again while they fail.
    density: f64,
    /// Of what comes, the share that is written in vain for.
    vain: f64,
    reached: f64,
    worked: f64,
    pub(super) alive: f64,
    let_in: f64,
    /// Of what comes, what limits of its own requests let in, and those that are counted by the second.
    allowed: f64,
    at_once: f64,
    /// What comes by way of gateways whose limits let it in at the start of each second.
    rush: Rush,
    queue: Stationary,
    /// Answered well by itself and all it calls, of those that are not written in vain for.
    pub(super) answered: f64,
    /// Refused by a rate limit.
    pub(super) limited: f64,
    pub(super) delay: Delay,
    /// How far what requests wait in its own queue follows when they come, and how much that varies.
    common: Common,
    queue_variance: f64,
    /// How long it takes but for that, where somebody calls it several times for a request.
    behind: Delay,
    /// What look-ups on its way to those that it calls make of it.
    pub(super) steps: Late,
    pub(super) worst: Worst,
    is_piled_up: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EdgeWork {
    /// Calls per second, without retries.
    first: f64,
    /// Attempts that come to the callee.
    pub(super) reaching: f64,
    /// Of these, those that a rate limit lets in, and one that counts by the second.
    pub(super) let_in: f64,
    pub(super) at_once: f64,
    waiting: Waiting,
    /// Of calls, and of attempts, as at a node.
    density_first: f64,
    density: f64,
    /// Share of the calls that are answered well in the end: of those that are not written in vain for, and
    /// of all. And that a rate limit refuses in the end.
    fine: f64,
    answered: f64,
    limited: f64,
    delay: Delay,
    /// What retries make of it.
    late: Late,
    /// What look-ups make of it.
    look_ups: Late,
    /// What tries and look-ups on its way make of it, those of a gateway that passed it on and of the callee
    /// included.
    steps: Late,
    worst: Worst,
}

/// The largest loss.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worst {
    pub(super) reason: LossReason,
    pub(super) share: f64,
}

impl Worst {
    pub(super) fn or(self, reason: LossReason, share: f64) -> Self {
        if share > self.share { Self { reason, share } } else { self }
    }
}

impl Sweep<'_> {
    /// Lets `secs` pass, which end now, and tells the flows; only tells them when that is zero.
    pub(super) fn pass(&self, state: &mut State, secs: f64, room: &mut Room) -> Picture {
        room.nodes.clear();
        room.nodes.resize(self.graph.nodes.len(), NodeWork::default());
        room.edges.clear();
        room.edges.resize(self.graph.edges.all.len(), EdgeWork::default());
        room.parts.resize(state.kept.len(), 0.0);
        self.look_for_vain_writes(room);
        for node in 0..self.graph.nodes.len() {
            self.arrive(node, state, secs, room);
        }
        for node in (0..self.graph.nodes.len()).rev() {
            self.answer(node, state, room);
            for &edge in &self.graph.edges.to_node[node] {
                self.call(edge, state, secs, room);
            }
        }
        let nodes = (0..self.graph.nodes.len()).map(|node| self.picture(node, room));
        let sources = &self.graph.edges.sources;
        let counted = self.graph.edges.counted.iter().map(|&source| &sources[source]);
        let clients = counted.map(|source| {
            let is_piled_up = self.is_piled_up_for(source, room);
            NodePicture { is_piled_up, ..room.edges[source.client].picture() }
        });
        let served = self.graph.served.iter();
        let zones = served.map(|&(head, zone)| self.served_in(head, zone.index(), room));
        Picture { rows: nodes.chain(clients).chain(zones).collect() }
    }

    /// What reaches a Service, and what its workers do.
    fn arrive(&self, node: NodeIdx, state: &mut State, secs: f64, room: &mut Room) {
        let edges = &self.graph.edges;
        let mut work = NodeWork { let_in: 1.0, allowed: 1.0, at_once: 1.0, ..NodeWork::default() };
        if self.graph.nodes[node].station_of.is_some() {
            return self.reach(node, work, state, secs, room);
        }
        let (mut waiting, mut cycles) = (0.0, 0.0);
        for &edge in &edges.to_node[node] {
            let (first, whose, density_first) = match edges.all[edge].from {
                Caller::Client(source) => {
                    let (asked, waiting) = self.asked(source, &state.edges[edge]);
                    (asked, waiting, 1.0)
                }
                Caller::Gateway(source) => {
                    let client = edges.sources[source].client;
                    let client_edge = &edges.all[client];
                    let passes =
                        if client_edge.is_denied { 0.0 } else { self.passing(client, state, room) };
                    let call = &room.edges[client];
                    (call.reaching * call.let_in * passes, call.waiting, call.density)
                }
                Caller::Service(caller) => {
                    let NodeWork { worked, waiting, density, .. } = room.nodes[caller];
                    (worked * self.needed(edge), waiting, density)
                }
            };
            let EdgeState { extra, open_until, .. } = state.edges[edge];
            let is_open = open_until.is_some_and(|until| until > self.at);
            let attempts = if is_open { 0.0 } else { first + extra };
            let way = self.way(edge);
            let (found, _) = self.found(edge);
            let mut reaching = attempts * entered(way, self.patience(edge)) * found;
            let look_ups = self.look_ups(edge, first, &*state);
            if look_ups.share > 0.0 {
                let timeout = edges.all[edge].policy.timeout;
                let is_in_vain = timeout.is_some_and(|timeout| timeout <= self.inputs.look_up);
                reaching *= if is_in_vain { 1.0 - look_ups.share } else { 1.0 };
            }
            work.sure += if self.is_chosen(edge) { reaching } else { 0.0 };
            let open = EdgeWork { let_in: 1.0, at_once: 1.0, ..EdgeWork::default() };
            let density = self.density(edge, (first, density_first), &state.edges[edge], room);
            room.edges[edge] = EdgeWork {
                first,
                reaching,
                waiting: whose,
                density_first,
                density,
                look_ups,
                ..open
            };
            if let Some(number) = edges.all[edge].sticky {
                self.part_attempts(number, first, state, room);
            }
            if !edges.all[edge].is_denied {
                work.arrivals += reaching;
                work.density += reaching * density;
                waiting += reaching * whose.part;
                cycles += reaching * whose.part * whose.cycle;
            }
        }
        work.waiting =
            Waiting { part: share(waiting, work.arrivals), cycle: share(cycles, waiting) };
        work.density = share(work.density, work.arrivals);
        work.asked = work.arrivals;
        if !self.graph.limits.is_empty() {
            work.rush = self.rush(node, room);
            (work.allowed, work.at_once) = self.meet_limits(node, state, secs, room);
        }
        let spec = &self.graph.nodes[node];
        if spec.twin.is_some() {
            work.arrivals *= 1.0 - self.inputs.splits[node].part();
        } else if let Some(of) = spec.twin_of {
            work.arrivals = room.nodes[of].asked * self.inputs.splits[of].part_copied();
            work.waiting = room.nodes[of].waiting;
            work.density = room.nodes[of].density;
            (work.allowed, work.at_once) = (room.nodes[of].allowed, room.nodes[of].at_once);
        }
        self.reach(node, work, state, secs, room);
    }

    /// What comes to a node in a rush.
    fn rush(&self, node: NodeIdx, room: &Room) -> Rush {
        let edges = &self.graph.edges;
        Rush::of(edges.to_node[node].iter().filter(|edge| !edges.all[**edge].is_denied).map(
            |&edge| {
                let at_once = match edges.all[edge].from {
                    Caller::Gateway(source) => room.edges[edges.sources[source].client].at_once,
                    Caller::Client(_) | Caller::Service(_) => 1.0,
                };
                (room.edges[edge].reaching, at_once)
            },
        ))
    }

    /// What comes to a station of several: its part of each call.
    fn divide(&self, node: NodeIdx, work: &mut NodeWork, room: &Room) {
        let edges = &self.graph.edges;
        (work.arrivals, work.density) = (0.0, 0.0);
        let (mut waiting, mut cycles) = (0.0, 0.0);
        for &edge in &edges.to_node[self.graph.head_of(node)] {
            let its = self.routes[edge].branch_to(node);
            let Some(branch) = its.filter(|_| !edges.all[edge].is_denied) else { continue };
            let call = &room.edges[edge];
            let attempts = call.reaching * self.part_of(edge, branch, room);
            work.arrivals += attempts;
            work.density += attempts * call.density;
            waiting += attempts * call.waiting.part;
            cycles += attempts * call.waiting.part * call.waiting.cycle;
        }
        work.waiting =
            Waiting { part: share(waiting, work.arrivals), cycle: share(cycles, waiting) };
        work.density = share(work.density, work.arrivals);
    }

    /// What reaches the pods of a node, and what their workers do.
    fn reach(
        &self,
        node: NodeIdx,
        mut work: NodeWork,
        state: &mut State,
        secs: f64,
        room: &mut Room,
    ) {
        let head = self.graph.head_of(node);
        if self.graph.is_divided(head) {
            self.divide(node, &mut work, room);
            if head != node {
                (work.allowed, work.at_once) = (room.nodes[head].allowed, room.nodes[head].at_once);
            }
        }
        let live_count = self.inputs.endpoints[node].live_count;
        if let Some(share) = self.inputs.endpoints[node].reaching_share() {
            work.alive = share;
        }
        work.reached = (work.arrivals - work.sure) * work.alive + work.sure;
        let followed = PodLimit::of(self.graph.nodes[node].serving.rate_limit, live_count);
        if let Some(limit) = self.graph.nodes[node].serving.rate_limit {
            let limit_count = limit_of_all(limit, live_count) as f64;
            work.let_in = match &followed {
                Some(followed) => {
                    let count = &mut state.nodes[node].count;
                    followed.let_in(count, (work.reached, secs), (self.at, self.side))
                }
                None => share_let_in(work.reached, limit_count, limit.window),
            };
        }
        let admitted = work.admitted();
        work.worked = match &self.queues[node] {
            None if self.inputs.endpoints[node].capacity_millirps == 0 => 0.0,
            None => admitted,
            Some(queue) => {
                let memory = &mut state.nodes[node];
                let passes = share(admitted, work.arrivals);
                let come = work.waiting.arrivals(admitted, passes, memory.sojourn);
                if secs > 0.0 {
                    memory.ratio = queue.later(memory.ratio, memory.inside, come, secs);
                    memory.decline = come.decline;
                }
                work.queue = queue.stationary(memory.ratio, memory.decline);
                memory.inside = work.queue.inside;
                if let Some(table) = self.varied[node].as_ref().filter(|_| memory.decline <= 0.0) {
                    work.queue = queue.varied(memory.ratio, table, work.queue);
                }
                work.is_piled_up = queue.is_piled_up(memory.ratio, &work.queue, come);
                if secs > 0.0 {
                    memory.sojourn = (1.0 - work.queue.blocked) * queue.sojourn(&work.queue);
                }
                queue.throughput(memory.ratio, &work.queue)
            }
        };
        if let (Some(limit), Some(queue)) =
            (self.graph.nodes[node].serving.rate_limit, &self.queues[node])
            && followed.is_none()
            && work.let_in < BURSTY
        {
            let limit_count = limit_of_all(limit, live_count) as f64;
            work.queue = queue.burst(work.reached, limit_count, &work.queue);
        }
        if let Some(queue) = self.queues[node].as_ref().filter(|_| work.at_once < BURSTY) {
            work.queue = queue.burst(work.reached, work.reached * work.at_once, &work.queue);
        }
        if let Some(queue) = self.queues[node].as_ref().filter(|_| work.rush.part > 0.0) {
            let rate = work.rush.rate * share(work.reached, work.arrivals);
            let rushed = queue.burst(rate, rate * work.rush.part, &work.queue);
            // A queue that is long anyway has the rushes of each second in it.
            let mean = |met: &Stationary| met.waits * met.wait_mean;
            if mean(&rushed) > mean(&work.queue) {
                work.queue = rushed;
            }
        }
        room.nodes[node] = work;
    }

    /// Whether something waits that piled up where clients of a source come to, or behind it.
    fn is_piled_up_for(&self, source: &Source, room: &Room) -> bool {
        let first = self.graph.edges.all[source.client].callee;
        room.nodes[first].is_piled_up || room.nodes[source.service].is_piled_up
    }

    /// Of what clients send to a gateway, what it passes on.
    fn passing(&self, client: EdgeIdx, state: &State, room: &Room) -> f64 {
        let of = |node: NodeIdx| {
            let (work, withheld) = (&room.nodes[node], state.nodes[node].withheld);
            share(work.worked, work.arrivals * work.allowed) * (1.0 - withheld)
        };
        self.mixed(client, room, of)
    }

    /// Something of the attempts of a call, which come to a node and its twin, or to stations, from
    /// what it is at each.
    fn mixed(&self, edge: EdgeIdx, room: &Room, of: impl Fn(NodeIdx) -> f64) -> f64 {
        let node = self.graph.edges.all[edge].callee;
        if self.graph.is_divided(node) {
            let part = |branch: &Branch| self.part_of(edge, branch, room) * of(branch.station);
            return self.routes[edge].branches.iter().map(part).sum();
        }
        match self.graph.nodes[node].twin {
            None => of(node),
            Some(twin) => {
                let part = self.inputs.splits[node].part();
                (1.0 - part) * of(node) + part * of(twin)
            }
        }
    }

    /// What those meet who make a call, whichever pods they meet.
    fn whole(&self, edge: EdgeIdx, room: &Room) -> NodeWork {
        self.limited(edge, room, self.whole_of_pods(edge, room))
    }

    fn whole_of_pods(&self, edge: EdgeIdx, room: &Room) -> NodeWork {
        let node = self.graph.edges.all[edge].callee;
        if self.graph.is_divided(node) {
            return self.whole_of_stations(edge, room);
        }
        let own = room.nodes[node];
        let Some(twin) = self.graph.nodes[node].twin else { return own };
        let (other, part) = (&room.nodes[twin], self.inputs.splits[node].part());
        let (mut first, mut second) = ((1.0 - part) * own.worst.share, part * other.worst.share);
        if own.worst.reason == other.worst.reason {
            (first, second) = (first + second, 0.0);
        }
        NodeWork {
            answered: self.mixed(edge, room, |node| room.nodes[node].answered),
            limited: self.mixed(edge, room, |node| room.nodes[node].limited),
            delay: own.delay.or(other.delay, part),
            worst: Worst::default().or(own.worst.reason, first).or(other.worst.reason, second),
            ..own
        }
    }

    /// The same of a call that is divided among stations; delays are of those that are answered.
    fn whole_of_stations(&self, edge: EdgeIdx, room: &Room) -> NodeWork {
        let mut whole = NodeWork::default();
        let route = &self.routes[edge];
        let dropped = Worst { reason: LossReason::NotLocal, share: route.dropped };
        let mut losses: Vec<Worst> =
            Some(dropped).filter(|it| it.share > 0.0).into_iter().collect();
        for branch in &route.branches {
            let work = &room.nodes[branch.station];
            let part = self.part_of(edge, branch, room);
            let answered = part * work.answered;
            if answered > 0.0 && whole.answered <= 0.0 {
                whole.steps = work.steps;
            }
            whole.answered += answered;
            whole.vain += part * work.vain;
            whole.limited += part * work.limited;
            whole.delay = whole.delay.or(work.delay, share(answered, whole.answered));
            let lost = part * work.worst.share;
            match losses.iter_mut().find(|loss| loss.reason == work.worst.reason) {
                Some(loss) => loss.share += lost,
                None => losses.push(Worst { reason: work.worst.reason, share: lost }),
            }
        }
        let worst = |worst: Worst, loss: &Worst| worst.or(loss.reason, loss.share);
        NodeWork { worst: losses.iter().fold(Worst::default(), worst), ..whole }
    }

    /// What endpoints of a divided Service in one zone get, and do.
    fn served_in(&self, head: NodeIdx, zone: usize, room: &Room) -> NodePicture {
        let mut picture = NodePicture::default();
        let mut largest = Worst::default();
        let mut crossing = 0.0;
        for &station in &self.graph.nodes[head].stations {
            let work = &room.nodes[station];
            let Some(place) = self.place_in(station, zone) else { continue };
            let Endpoints { ready_count, live_count, .. } = self.inputs.endpoints[station];
            let part = share(f64::from(place.ready_count), f64::from(ready_count));
            let worked = work.worked * share(f64::from(place.live_count), f64::from(live_count));
            let alive = share(f64::from(place.live_count), f64::from(place.ready_count));
            let offered = work.arrivals * part;
            let served = offered * alive * work.allowed * share(work.of_all(), work.alive);
            if offered <= 0.0 {
                continue;
            }
            picture.is_piled_up |= work.is_piled_up;
            picture.offered += offered;
            picture.served += served;
            picture.limited += offered * work.allowed * share(work.limited, work.alive) * alive;
            picture.worked += worked;
            picture.admitted += offered * alive * work.allowed * work.let_in;
            picture.delay = picture.delay.or(work.delay, share(served, picture.served));
            let dead = offered * (1.0 - alive);
            let lost = offered - served - dead;
            let reason = if work.worst.reason == LossReason::DeadEndpoints {
                LossReason::None
            } else {
                work.worst.reason
            };
            largest = largest.or(LossReason::DeadEndpoints, dead).or(reason, lost);
            for &edge in &self.graph.edges.to_node[head] {
                let its = self.routes[edge].branch_to(station);
                if let Some(branch) = its.filter(|_| !self.graph.edges.all[edge].is_denied) {
                    let attempts = room.edges[edge].reaching * self.part_of(edge, branch, room);
                    crossing += attempts * part * branch.crossing[zone];
                }
            }
        }
        picture.loss = largest.reason;
        picture.crossing = share(crossing, picture.offered).min(1.0);
        picture.served = picture.served.min(picture.offered);
        picture
    }

    /// The endpoints of a station in a zone, if there are any.
    fn place_in(&self, station: NodeIdx, zone: usize) -> Option<Place> {
        let places = self.inputs.places[station].iter();
        places.filter(|place| self.graph.sites[place.site] == zone).copied().reduce(Place::and)
    }

    /// What a call meets on its way.
    fn way(&self, edge: EdgeIdx) -> Option<Way> {
        let spec = &self.graph.edges.all[edge];
        let door = spec.door?;
        Some(match spec.from {
            Caller::Client(_) => door.way(self.inputs.entrances[spec.callee]),
            Caller::Gateway(_) | Caller::Service(_) => door.choice(self.inputs.choices[edge]),
        })
    }

    /// Which share of those who make a call finds whom it is for, and whether the others wait in vain.
    fn found(&self, edge: EdgeIdx) -> (f64, bool) {
        let lookup = match self.graph.edges.all[edge].from {
            Caller::Client(source) => &self.inputs.lookups[source],
            Caller::Service(_) => &self.inputs.inside,
            Caller::Gateway(_) => return (1.0, false),
        };
        (lookup.found(self.at, self.side), lookup.is_silent)
    }

    /// What looking names up makes of the answers of a call that is made `first` times a second, without
    /// retries.
    fn look_ups(&self, edge: EdgeIdx, first: f64, state: &State) -> Late {
        let edges = &self.graph.edges;
        let (Some(resolvers), Caller::Service(caller)) =
            (&self.graph.resolvers, edges.all[edge].from)
        else {
            return Late::default();
        };
        let takes = self.inputs.look_up;
        if takes.is_zero() {
            return Late::default();
        }
        let callee = edges.all[edge].callee;
        let same = edges.of_node[caller].iter().filter(|it| edges.all[**it].callee == callee);
        let rate: f64 = same.map(|it| first + state.edges[*it].extra).sum();
        let pods = self.inputs.endpoints[caller].live_count.max(1);
        Late {
            share: resolvers.waiting_share(rate / f64::from(pods), takes),
            by: takes.as_secs_f64(),
            again: 0.0,
            times: 1,
        }
    }

    /// How long the caller of a call waits while something is tried on its way. A gateway does not give
    /// up before it has tried all.
    fn patience(&self, edge: EdgeIdx) -> Option<SimSpan> {
        let spec = &self.graph.edges.all[edge];
        spec.policy.timeout.filter(|_| matches!(spec.from, Caller::Client(_)))
    }

    /// Whether a gateway makes a call that chooses a living endpoint itself.
    fn is_chosen(&self, edge: EdgeIdx) -> bool {
        let spec = &self.graph.edges.all[edge];
        spec.door.is_some() && matches!(spec.from, Caller::Gateway(_))
    }

    /// Requests per second of a source, and which of its clients wait for answers.
    ///
    /// Simplified: users are spread over thinking and waiting at once as they would be in the long run
    /// of the answers that they get now.
    fn asked(&self, source: usize, memory: &EdgeState) -> (f64, Waiting) {
        let source = &self.graph.edges.sources[source];
        let load = self.graph.load_of(source);
        let factor = self.inputs.factors[load.source];
        let weight = self.inputs.lookups[load.source].weight(self.at, self.side);
        let asked = factor.rate_of(&load.curve, self.at, self.side) as f64 / 1000.0 * weight;
        let Some(thinking) = load.users else { return (asked, Waiting::default()) };
        let cycle = thinking.mean.as_secs_f64() + memory.response;
        (asked / cycle, Waiting { part: 1.0, cycle })
    }

    /// What a Service answers, and when, after all it calls.
    fn answer(&self, node: NodeIdx, state: &mut State, room: &mut Room) {
        let spec = &self.graph.nodes[node];
        let mut work = room.nodes[node];
        let is_stuck =
            self.queues[node].is_none() && self.inputs.endpoints[node].capacity_millirps == 0;
        let taken = if is_stuck { 0.0 } else { 1.0 - work.queue.blocked };
        let is_none_ready = self.inputs.endpoints[node].ready_count == 0;
        let first = if is_none_ready { LossReason::NoEndpoints } else { LossReason::DeadEndpoints };
        work.answered = work.alive * work.let_in * taken;
        work.limited = work.alive * (1.0 - work.let_in);
        work.worst = Worst::default()
            .or(first, 1.0 - work.alive)
            .or(LossReason::RateLimited, work.alive * (1.0 - work.let_in))
            .or(LossReason::Overload, work.alive * work.let_in * (1.0 - taken));
        let failing = f64::from(self.inputs.failing_ppm[node]) / 1e6;
        work.worst = work.worst.or(LossReason::Errors, work.answered * failing);
        work.answered *= 1.0 - failing;
        work.is_piled_up |= spec.stations.iter().any(|it| room.nodes[*it].is_piled_up);
        let own = spec.own_latency.as_secs_f64();
        work.delay = match &self.queues[node] {
            Some(queue) => queue.delay(state.nodes[node].ratio, &work.queue, own),
            None => Delay::fixed(own),
        };
        if let Some(queue) = &self.queues[node] {
            work.queue_variance = work.delay.whole_variance();
            work.common = queue.common(work.worked, &work.queue);
        }
        if let Some(table) = &self.tables[node] {
            work.delay = table.delay(state.nodes[node].ratio * work.queue.takes, work.delay);
        }
        let mut passes = 1.0 - failing;
        let edges = &self.graph.edges;
        let is_parallel = |edge: &EdgeIdx| edges.all[*edge].policy.is_parallel;
        for stage in stages(&edges.of_node[node], is_parallel) {
            for &edge in stage {
                let call = self.as_met(edge, room);
                passes *= call.fine;
                let spec = &edges.all[edge];
                work.is_piled_up |= room.nodes[spec.callee].is_piled_up;
                let dependency = LossReason::Dependency(self.graph.nodes[spec.callee].service);
                let reason = if spec.is_denied { LossReason::Denied } else { dependency };
                let lost = work.answered * (1.0 - call.fine);
                work.worst = work.worst.or(reason, lost);
                work.answered *= call.fine;
            }
            let longest = stage
                .iter()
                .map(|edge| self.as_met(*edge, room).steps)
                .reduce(|most, steps| if steps.mean() > most.mean() { steps } else { most });
            work.steps = work.steps.then(longest.unwrap_or_default());
        }
        if self.is_called_again(node) {
            work.behind = self.with_calls(node, Delay::fixed(work.delay.fixed), room);
            let waits = self.waits_among_several(node, work.behind, room);
            work.delay = match waits {
                Some(waits) => work.behind.then(waits),
                None => self.with_calls(node, work.delay, room),
            };
        } else {
            work.delay = self.with_calls(node, work.delay, room);
        }
        if spec.is_denied_database {
            work.worst = work.worst.or(LossReason::Denied, work.answered);
            (work.answered, passes) = (0.0, 0.0);
        }
        for database in &spec.databases {
            if !self.inputs.are_writable[database.index()] {
                work.worst = work.worst.or(LossReason::Database(*database), work.answered);
                (work.answered, passes) = (0.0, 0.0);
            }
        }
        if !room.vain.is_empty() {
            self.write_in_vain(node, &mut work, room);
            passes *= 1.0 - work.vain;
        }
        // A station and a twin of a gateway are gateways as it is.
        let gateway = spec.twin_of.unwrap_or_else(|| self.graph.head_of(node));
        if !self.graph.nodes[gateway].through.is_empty() {
            state.nodes[node].withheld = 1.0 - passes;
        }
        room.nodes[node] = work;
    }

    fn picture(&self, node: NodeIdx, room: &Room) -> NodePicture {
        let edges = &self.graph.edges;
        let work = &room.nodes[node];
        let admitted = work.admitted();
        let mut picture = NodePicture {
            admitted,
            worked: work.worked,
            queue: work.queue,
            is_piled_up: work.is_piled_up,
            ..NodePicture::default()
        };
        let spec = &self.graph.nodes[node];
        if spec.twin_of.is_some() || spec.station_of.is_some() {
            return NodePicture {
                offered: work.arrivals,
                served: work.arrivals * work.allowed * work.of_all(),
                limited: work.arrivals * work.allowed * work.limited,
                delay: work.delay,
                loss: work.worst.reason,
                ..picture
            };
        }
        let mut largest = -1.0;
        let mut add = |call: &EdgeWork, answered: f64| {
            picture.offered += call.first;
            picture.served += call.first * answered;
            picture.limited += call.first * call.limited;
            // Answers of several callers are told as those of the largest.
            if call.first > largest {
                largest = call.first;
                (picture.delay, picture.late, picture.tried) =
                    (call.delay, call.late.then(call.steps), call.steps.mean());
                picture.loss = call.worst.reason;
            }
        };
        for source in edges.sources.iter().filter(|source| source.service == node) {
            let call = &room.edges[source.client];
            add(call, call.answered);
            picture.is_piled_up |= self.is_piled_up_for(source, room);
        }
        for &edge in &edges.to_node[node] {
            let call = &room.edges[edge];
            match edges.all[edge].from {
                Caller::Service(_) => add(call, call.answered),
                // A gateway is charged with what it loses itself, of all that it is asked: to it, a
                // retry is a request as any other.
                Caller::Client(source) if edges.sources[source].upstream.is_some() => {
                    let whole = self.whole(edge, room);
                    let (first, delay, worst) = (call.reaching, whole.delay, whole.worst);
                    let (late, steps) = (Late::default(), Late::default());
                    let limited = whole.limited;
                    let its = EdgeWork { first, delay, worst, late, steps, limited, ..*call };
                    add(&its, whole.of_all());
                }
                Caller::Client(_) | Caller::Gateway(_) => {}
            }
        }
        picture.served = picture.served.min(picture.offered);
        picture
    }
}

impl NodeWork {
    /// What its workers are asked for.
    fn admitted(&self) -> f64 {
        self.reached * self.allowed * self.let_in
    }

    /// Answered well by itself and all it calls.
    fn of_all(&self) -> f64 {
        self.answered * (1.0 - self.vain)
    }

    /// What those meet who come to living endpoints in any case.
    fn at_living(self) -> Self {
        let dead = 1.0 - self.alive;
        let is_of_dead =
            matches!(self.worst.reason, LossReason::DeadEndpoints | LossReason::NoEndpoints);
        let answered = share(self.answered, self.alive);
        let limited = share(self.limited, self.alive);
        let worst = if is_of_dead && dead > 0.0 {
            // What else is lost there is what workers refuse.
            Worst { reason: LossReason::Overload, share: 1.0 - answered }
        } else {
            Worst { share: share(self.worst.share, self.alive), ..self.worst }
        };
        Self { answered, limited, worst, ..self }
    }
}

impl EdgeWork {
    /// The flow, as its callers see it.
    fn picture(&self) -> NodePicture {
        NodePicture {
            offered: self.first,
            served: self.first * self.answered,
            limited: self.first * self.limited,
            delay: self.delay,
            late: self.late.then(self.steps),
            tried: self.steps.mean(),
            loss: self.worst.reason,
            ..NodePicture::default()
        }
    }

    /// How long the call takes, retries included.
    fn whole_delay(&self) -> Delay {
        self.delay.then(self.late.as_delay())
    }
}

/// `part / whole`, zero of nothing.
pub(super) fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
