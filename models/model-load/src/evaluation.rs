//! The flows of one instant: a pure function of the graph, the inputs and the time.

use std::hash::{Hash, Hasher};

use model_api::limiter::StoreSeen;
use model_api::observation::LossReason;
use sim_kernel::{SimSpan, SimTime, StableHasher};

use crate::caches;
use crate::curve::{Factor, Shape, Side};
use crate::edges::Source;
use crate::entrance::{Choice, Entrance};
use crate::fluid::lost_by_chance;
use crate::graph::{Graph, NodeIdx, NodeLoad, RowIdx};
use crate::lookup::Lookup;
use crate::share::Share;
use crate::split::{Split, without_errors};
use crate::stations::Place;

/// Everything that the platform tells, by node and by database.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Inputs {
    pub(crate) endpoints: Vec<Endpoints>,
    /// By source.
    pub(crate) factors: Vec<Factor>,
    pub(crate) are_writable: Vec<bool>,
    /// Of a million answers of the pods behind a node, how many are errors.
    pub(crate) failing_ppm: Vec<u32>,
    /// Where a node has a twin: how requests are divided.
    pub(crate) splits: Vec<Split>,
    /// By node: where its endpoints are, in the order of sites. Empty where no Service is divided.
    pub(crate) places: Vec<Vec<Place>>,
    /// By node: every endpoint that gets requests carries a hint.
    pub(crate) are_hinted: Vec<bool>,
    /// By node: its endpoints get only what a policy keeps on their site.
    pub(crate) are_last_resort: Vec<bool>,
    /// By node whose requests from outside stay where they come in, and by site: whether they come in
    /// there, as a count.
    pub(crate) fronts: Vec<Vec<u32>>,
    /// By node: what is before it.
    pub(crate) entrances: Vec<Entrance>,
    /// By call: what a gateway chooses from.
    pub(crate) choices: Vec<Choice>,
    /// By call: of a million requests, how many need it, because a cache has not what they want.
    pub(crate) needed_ppm: Vec<u32>,
    /// By source: how its clients find their entrance.
    pub(crate) lookups: Vec<Lookup>,
    /// How Services find those that they call.
    pub(crate) inside: Lookup,
    /// How long it takes them.
    pub(crate) look_up: SimSpan,
    /// By rate limit: what becomes of those who ask its store.
    pub(crate) stores: Vec<StoreSeen>,
    /// By site: nodes that requests from outside may enter at. Likewise.
    pub(crate) outside: Vec<u32>,
    /// By call whose callers stay with a pod: the share of those who have it, by place.
    pub(crate) sticky: Vec<Vec<f64>>,
}

/// What stands behind a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Endpoints {
    pub(crate) ready_count: u32,
    pub(crate) live_count: u32,
    pub(crate) capacity_millirps: u64,
    /// Of a million attempts, how many are sent to a living one, where that is not as many as live among
    /// those that get requests: callers differ in what they know.
    pub(crate) reaching_ppm: Option<u32>,
}

impl Endpoints {
    /// Both, of which all callers know.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            ready_count: self.ready_count + other.ready_count,
            live_count: self.live_count + other.live_count,
            capacity_millirps: self.capacity_millirps.saturating_add(other.capacity_millirps),
            reaching_ppm: None,
        }
    }

    /// The share of attempts that are sent to a living one, as a fraction; `None` where nobody gets any.
    pub(crate) fn reaching(&self) -> Option<(u32, u32)> {
        let known = self.reaching_ppm.map(|ppm| (ppm, 1_000_000));
        (self.ready_count > 0).then(|| known.unwrap_or((self.live_count, self.ready_count)))
    }

    /// The same.
    pub(crate) fn reaching_share(&self) -> Option<f64> {
        self.reaching().map(|(part, whole)| f64::from(part) / f64::from(whole))
    }
}

impl Inputs {
    pub(crate) fn new(graph: &Graph) -> Self {
        Self {
            endpoints: vec![Endpoints::default(); graph.nodes.len()],
            factors: vec![Factor::ONE; graph.edges.sources.len()],
            are_writable: vec![true; graph.database_count],
            failing_ppm: vec![0; graph.nodes.len()],
            splits: vec![Split::default(); graph.nodes.len()],
            places: vec![Vec::new(); if graph.sites.is_empty() { 0 } else { graph.nodes.len() }],
            are_hinted: vec![false; graph.nodes.len()],
            are_last_resort: vec![false; graph.nodes.len()],
            fronts: vec![Vec::new(); graph.nodes.len()],
            entrances: vec![Entrance::default(); graph.nodes.len()],
            choices: vec![Choice::default(); graph.edges.all.len()],
            needed_ppm: graph
                .edges
                .all
                .iter()
                .map(|edge| caches::needed_ppm(edge.policy))
                .collect(),
            lookups: vec![Lookup::default(); graph.edges.sources.len()],
            inside: Lookup::default(),
            look_up: SimSpan::ZERO,
            stores: vec![StoreSeen::default(); graph.limits.len()],
            outside: vec![0; graph.sites.len()],
            sticky: vec![Vec::new(); graph.stickies.len()],
        }
    }
}

/// One Service at one instant. Rates are in requests per 1000 s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeFlow {
    /// Asked for, by clients and callers.
    pub(crate) offered: u64,
    /// Of these, what its gateways answer for.
    pub(crate) entered: u64,
    /// What comes to its endpoints and to those of its twin.
    asked: u64,
    /// What reaches its endpoints, dead ones included.
    pub(crate) arriving: u64,
    /// What reaches living endpoints.
    pub(crate) reached: u64,
    /// What its own pods answer.
    pub(crate) accepted: u64,
    /// What is answered well.
    pub(crate) served: u64,
    /// `live / ready`.
    pub(crate) alive: Share,
    /// `accepted / arriving`.
    pub(crate) pass: Share,
    /// Of what arrives, what is accepted and not answered with an error.
    fine: Share,
    /// Answered well, of what arrives.
    pub(crate) answer: Share,
    /// Answered well by it and its twin, of what comes to both.
    answered: Share,
    /// Of `arriving` and `reached`.
    pub(crate) arriving_shape: Shape,
    /// Of all of them.
    pub(crate) shape: Shape,
    /// Equal when the flow is the same function of time, waits included.
    pub(crate) signature: u64,
    marks: Marks,
}

/// Signatures of the parts, for the flows that depend on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    arriving: u64,
    pass: u64,
    pass_shape: Shape,
    accepted: u64,
    answer: u64,
    answer_shape: Shape,
    answered: u64,
    answered_shape: Shape,
    wait: u64,
}

/// Rounds in which what gateways pass on and what is behind them settle, and the first of these, after
/// which they have unless what is behind a gateway asks what the gateway asks too.
const ROUND_COUNT_MAX: u32 = 48;
const ROUND_COUNT_FREE: u32 = 2;

/// What a gateway passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Passed {
    share: Share,
    shape: Shape,
    mark: u64,
}

impl Passed {
    /// Of all that comes, what is not lost on the way, by its pods or by what it asks itself.
    fn after_all(flow: &NodeFlow) -> Self {
        let Marks { answered, answered_shape, .. } = flow.marks;
        Self { share: flow.answered, shape: answered_shape, mark: answered }
    }
}

/// Computes the flow of every row at `at` into `flows`.
///
/// What the calls and databases of a gateway fail it does not pass on; what they fail is known after
/// what comes behind it. Where nobody behind it asks them that is exact after two rounds. Otherwise the
/// more it passes on, the more of its own calls fail: each round goes half of the way, and so nearer by
/// half at least, however loaded they are.
pub(crate) fn evaluate(
    graph: &Graph,
    inputs: &Inputs,
    at: SimTime,
    side: Side,
    flows: &mut Vec<NodeFlow>,
) {
    pass_through(graph, inputs, (at, side), &[], flows);
    if !graph.asking_gateways.is_empty() {
        let passed = |flows: &[NodeFlow]| -> Vec<Passed> {
            graph.asking_gateways.iter().map(|&idx| Passed::after_all(&flows[idx])).collect()
        };
        let mut known = passed(flows);
        for round in 0..ROUND_COUNT_MAX {
            pass_through(graph, inputs, (at, side), &known, flows);
            let mut found = passed(flows);
            let is_same = |(one, other): (&Passed, &Passed)| {
                (one.shape, one.mark) == (other.shape, other.mark)
                    && one.share.is_close(other.share)
            };
            if found.iter().zip(&known).all(is_same) {
                break;
            }
            if round >= ROUND_COUNT_FREE {
                for (found, known) in found.iter_mut().zip(&known) {
                    found.share = found.share.midpoint(known.share);
                }
            }
            known = found;
        }
    }
    for &source in &graph.edges.counted {
        let flow = client_flow(graph, inputs, at, side, flows, &graph.edges.sources[source]);
        flows.push(flow);
    }
}

/// The flow of every node, where gateways that ask others pass on so much.
fn pass_through(
    graph: &Graph,
    inputs: &Inputs,
    (at, side): (SimTime, Side),
    passed: &[Passed],
    flows: &mut Vec<NodeFlow>,
) {
    flows.clear();
    flows.resize(graph.nodes.len(), NodeFlow::default());
    // Callers first: what arrives, and what the pods of each do with it.
    for idx in 0..graph.nodes.len() {
        flows[idx] = arrive(graph, inputs, (at, side), passed, flows, idx);
    }
    // Callees first: what comes back.
    for idx in (0..graph.nodes.len()).rev() {
        answer(graph, inputs, flows, idx);
    }
    for idx in 0..graph.nodes.len() {
        serve(graph, inputs, at, side, flows, idx);
    }
}

/// What comes to a Service, and what its pods do with it.
fn arrive(
    graph: &Graph,
    inputs: &Inputs,
    (at, side): (SimTime, Side),
    passed: &[Passed],
    flows: &[NodeFlow],
    idx: NodeIdx,
) -> NodeFlow {
    let node = &graph.nodes[idx];
    if let Some(of) = node.twin_of {
        return arrive_at_twin(graph, inputs, &flows[of], of, idx);
    }
    let mut flow = NodeFlow::default();
    let mut mark = StableHasher::default();
    for load in &node.loads {
        let asked = external(load, inputs.factors[load.source], at, side);
        let (pass, pass_shape, pass_mark) =
            load.via.map_or((Share::ONE, Shape::Constant, 0), |via| {
                passing(graph, inputs, passed, flows, via)
            });
        flow.offered = flow.offered.saturating_add(asked.rate);
        flow.arriving = flow.arriving.saturating_add(pass.apply(asked.rate));
        flow.arriving_shape = flow.arriving_shape.plus(asked.shape.times(pass_shape));
        (asked.mark, pass_mark).hash(&mut mark);
    }
    for &(service, load) in &node.through {
        let load = &graph.nodes[service].loads[load];
        let asked = external(load, inputs.factors[load.source], at, side);
        flow.offered = flow.offered.saturating_add(asked.rate);
        flow.arriving = flow.arriving.saturating_add(asked.rate);
        flow.arriving_shape = flow.arriving_shape.plus(asked.shape);
        asked.mark.hash(&mut mark);
    }
    for &caller in &node.callers {
        let called = &flows[caller];
        flow.offered = flow.offered.saturating_add(called.accepted);
        flow.arriving = flow.arriving.saturating_add(called.accepted);
        flow.arriving_shape = flow.arriving_shape.plus(accepted_shape(called, inputs, caller));
        called.marks.accepted.hash(&mut mark);
    }
    flow.asked = flow.arriving;
    if node.twin.is_some() {
        let split = inputs.splits[idx];
        flow.arriving -= split.share().apply(flow.asked);
        split.hash(&mut mark);
    }
    flow.marks.arriving = mark.finish();
    pass(&mut flow, graph, inputs, idx);
    flow
}

/// What comes to the pods of a revision that is tried.
fn arrive_at_twin(
    graph: &Graph,
    inputs: &Inputs,
    called: &NodeFlow,
    of: NodeIdx,
    idx: NodeIdx,
) -> NodeFlow {
    let split = inputs.splits[of];
    let copies = split.copies();
    let mut flow = NodeFlow::default();
    if copies > Share::ZERO {
        flow.arriving =
            if split.is_mirrored { called.asked } else { called.asked - called.arriving };
        flow.arriving_shape = called.arriving_shape;
        let mut mark = StableHasher::default();
        ("twin", called.marks.arriving).hash(&mut mark);
        flow.marks.arriving = mark.finish();
    }
    flow.asked = flow.arriving;
    pass(&mut flow, graph, inputs, idx);
    flow
}

/// What a gateway passes on of what comes to it, with its shape and its mark.
fn passing(
    graph: &Graph,
    inputs: &Inputs,
    passed: &[Passed],
    flows: &[NodeFlow],
    via: NodeIdx,
) -> (Share, Shape, u64) {
    let known = graph.asking_gateways.iter().zip(passed).find(|(idx, _)| **idx == via);
    if let Some((_, Passed { share, shape, mark })) = known {
        return (*share, *shape, *mark);
    }
    let flow = &flows[via];
    let Some(twin) = graph.nodes[via].twin else {
        return (flow.fine, flow.marks.pass_shape, flow.marks.pass);
    };
    let (split, other) = (inputs.splits[via], &flows[twin]);
    let mut mark = StableHasher::default();
    (split, flow.marks.pass, other.marks.pass).hash(&mut mark);
    let shape = flow.marks.pass_shape.plus(other.marks.pass_shape);
    (split.share().mix(other.fine, flow.fine), shape, mark.finish())
}

/// Requests of one load.
struct Asked {
    rate: u64,
    shape: Shape,
    mark: u64,
}

fn external(load: &NodeLoad, factor: Factor, at: SimTime, side: Side) -> Asked {
    let piece = load.curve.piece_at(at, side);
    let rate = factor.rate_of(&load.curve, at, side);
    let shape = piece.shape().times(factor.shape(at, side));
    let mut mark = StableHasher::default();
    match shape {
        Shape::Constant => rate.hash(&mut mark),
        Shape::Linear | Shape::Curved => (piece, factor).hash(&mut mark),
    }
    Asked { rate, shape, mark: mark.finish() }
}

/// What the pods of a Service do with what arrives.
///
/// Near its capacity a queue is full by chance now and then. What it loses so is told of constant rates,
/// as in the long run; a rate that changes is there for a moment only.
fn pass(flow: &mut NodeFlow, graph: &Graph, inputs: &Inputs, idx: NodeIdx) {
    let endpoints = inputs.endpoints[idx];
    let capacity_millirps = endpoints.capacity_millirps;
    if let Some((part, whole)) = endpoints.reaching() {
        flow.alive = Share::of(part.into(), whole.into());
    }
    flow.reached = flow.alive.apply(flow.arriving);
    flow.accepted = flow.reached.min(capacity_millirps);
    if flow.arriving_shape == Shape::Constant {
        flow.accepted -= lost_by_chance(&graph.nodes[idx].serving, endpoints, flow.reached);
    }
    let is_losing = flow.accepted < flow.reached;
    let mut mark = StableHasher::default();
    (flow.alive, is_losing).hash(&mut mark);
    if is_losing {
        flow.pass = Share::of(flow.accepted, flow.arriving).min(flow.alive);
        (flow.accepted, flow.marks.arriving).hash(&mut mark);
        // A constant divided by something that changes is a curve.
        let is_flat = flow.arriving_shape == Shape::Constant || capacity_millirps == 0;
        flow.marks.pass_shape = if is_flat { Shape::Constant } else { Shape::Curved };
        let mut accepted = StableHasher::default();
        ("capacity", flow.accepted).hash(&mut accepted);
        flow.marks.accepted = accepted.finish();
    } else {
        flow.pass = flow.alive;
        let mut accepted = StableHasher::default();
        (flow.marks.arriving, flow.alive).hash(&mut accepted);
        flow.marks.accepted = accepted.finish();
    }
    let failing_ppm = inputs.failing_ppm[idx];
    if failing_ppm > 0 {
        ("failing", failing_ppm).hash(&mut mark);
    }
    flow.fine = flow.pass.and(without_errors(failing_ppm));
    flow.marks.pass = mark.finish();
}

fn accepted_shape(flow: &NodeFlow, inputs: &Inputs, idx: NodeIdx) -> Shape {
    let is_saturated = flow.reached > inputs.endpoints[idx].capacity_millirps;
    if is_saturated || flow.alive == Share::ZERO { Shape::Constant } else { flow.arriving_shape }
}

/// The share that is answered well.
///
/// Simplified: a Service makes all its calls even when one fails, and calls fail independently.
fn answer(graph: &Graph, inputs: &Inputs, flows: &mut [NodeFlow], idx: NodeIdx) {
    let node = &graph.nodes[idx];
    let mut flow = flows[idx];
    let mut mark = StableHasher::default();
    let mut wait = StableHasher::default();
    flow.answer = flow.fine;
    flow.marks.answer_shape = flow.marks.pass_shape;
    flow.marks.pass.hash(&mut mark);
    let endpoints = inputs.endpoints[idx];
    if endpoints.capacity_millirps < u64::MAX {
        (endpoints.live_count, endpoints.capacity_millirps, flow.marks.arriving).hash(&mut wait);
    }
    for &call in &node.calls {
        let called = &flows[call];
        flow.answer = flow.answer.and(called.answered);
        flow.marks.answer_shape = flow.marks.answer_shape.times(called.marks.answered_shape);
        called.marks.answered.hash(&mut mark);
        called.marks.wait.hash(&mut wait);
    }
    for database in &node.databases {
        let is_writable = inputs.are_writable[database.index()];
        flow.answer = flow.answer.and(if is_writable { Share::ONE } else { Share::ZERO });
        is_writable.hash(&mut mark);
    }
    flow.marks.answer = mark.finish();
    (flow.answered, flow.marks.answered) = (flow.answer, flow.marks.answer);
    flow.marks.answered_shape = flow.marks.answer_shape;
    if let Some(twin) = node.twin {
        let (split, other) = (inputs.splits[idx], &flows[twin]);
        flow.answered = split.share().mix(other.answer, flow.answer);
        flow.marks.answered_shape = flow.marks.answer_shape.plus(other.marks.answer_shape);
        (split, other.marks.answer).hash(&mut mark);
        flow.marks.answered = mark.finish();
        other.marks.wait.hash(&mut wait);
    }
    flow.marks.wait = wait.finish();
    flows[idx] = flow;
}

/// What comes back to clients and callers.
fn serve(
    graph: &Graph,
    inputs: &Inputs,
    at: SimTime,
    side: Side,
    flows: &mut [NodeFlow],
    idx: NodeIdx,
) {
    let node = &graph.nodes[idx];
    let mut flow = flows[idx];
    let mut mark = StableHasher::default();
    let mut entered_shape = Shape::Constant;
    (flow.marks.arriving, flow.marks.answered, flow.marks.wait).hash(&mut mark);
    if let Some(of) = node.twin_of {
        let (copies, called) = (inputs.splits[of].copies(), &flows[of]);
        // What a gateway loses was never sent to a side.
        flow.entered = copies.apply(called.entered);
        flow.offered = flow.entered;
        flow.served = flow.answer.apply(flow.entered);
        if copies > Share::ZERO {
            called.signature.hash(&mut mark);
            flow.shape = called.shape.plus(called.shape.times(flow.marks.answer_shape));
        }
        flow.signature = mark.finish();
        flows[idx] = flow;
        return;
    }
    for load in &node.loads {
        let asked = external(load, inputs.factors[load.source], at, side);
        let (share, share_shape) = load.via.map_or((Share::ONE, Shape::Constant), |via| {
            (flows[via].marks.answered, flows[via].marks.wait).hash(&mut mark);
            (flows[via].answered, flows[via].marks.answered_shape)
        });
        flow.entered = flow.entered.saturating_add(share.apply(asked.rate));
        entered_shape = entered_shape.plus(asked.shape).plus(asked.shape.times(share_shape));
    }
    for &(service, load) in &node.through {
        let load = &graph.nodes[service].loads[load];
        let asked = external(load, inputs.factors[load.source], at, side);
        flow.entered = flow.entered.saturating_add(asked.rate);
        entered_shape = entered_shape.plus(asked.shape);
    }
    for &caller in &node.callers {
        flow.entered = flow.entered.saturating_add(flows[caller].accepted);
        entered_shape = entered_shape.plus(accepted_shape(&flows[caller], inputs, caller));
    }
    let of_twin = node.twin.map_or(0, |_| inputs.splits[idx].share().apply(flow.entered));
    flow.served = flow.answer.apply(flow.entered - of_twin);
    if let Some(twin) = node.twin {
        flow.served += flows[twin].answer.apply(of_twin);
    }
    let served_shape = entered_shape.times(flow.marks.answered_shape);
    flow.shape = flow.arriving_shape.plus(entered_shape).plus(served_shape);
    flow.signature = mark.finish();
    flows[idx] = flow;
}

/// What comes back to the clients of a source.
fn client_flow(
    graph: &Graph,
    inputs: &Inputs,
    at: SimTime,
    side: Side,
    flows: &[NodeFlow],
    source: &Source,
) -> NodeFlow {
    let (load, called) = (graph.load_of(source), &flows[source.service]);
    let asked = external(load, inputs.factors[load.source], at, side);
    let mut mark = StableHasher::default();
    (asked.mark, called.marks.answered, called.marks.wait).hash(&mut mark);
    let (passed, passed_shape) = load.via.map_or((Share::ONE, Shape::Constant), |via| {
        (flows[via].marks.answered, flows[via].marks.wait).hash(&mut mark);
        (flows[via].answered, flows[via].marks.answered_shape)
    });
    let entered = passed.apply(asked.rate);
    NodeFlow {
        offered: asked.rate,
        entered,
        served: called.answered.apply(entered),
        shape: asked.shape.times(passed_shape).times(called.marks.answered_shape),
        signature: mark.finish(),
        ..NodeFlow::default()
    }
}

/// Tells where the requests of a row are lost, in the order in which they meet it; the amounts sum
/// to `offered - served`, of clients to rounding.
pub(crate) fn each_loss(
    graph: &Graph,
    inputs: &Inputs,
    flows: &[NodeFlow],
    row: RowIdx,
    mut tell: impl FnMut(LossReason, u64),
) {
    let (idx, flow) = (graph.node_of(row), &flows[row]);
    let node = &graph.nodes[idx];
    let at_gateway = match graph.source_of(row) {
        Some(source) => gateway_loss(graph, flows, graph.load_of(source).via),
        None => {
            let asked = &graph.nodes[node.twin_of.unwrap_or(idx)];
            gateway_loss(graph, flows, asked.loads.iter().filter_map(|load| load.via))
        }
    };
    tell(at_gateway, flow.offered.saturating_sub(flow.entered));
    let of_twin = node.twin.map_or(0, |_| inputs.splits[idx].share().apply(flow.entered));
    each_own_loss(graph, inputs, flows, (idx, flow.entered - of_twin), &mut tell);
    if let Some(twin) = node.twin {
        each_own_loss(graph, inputs, flows, (twin, of_twin), &mut tell);
    }
}

/// The same of the requests that entered and are for the pods of one node.
fn each_own_loss(
    graph: &Graph,
    inputs: &Inputs,
    flows: &[NodeFlow],
    (idx, entered): (NodeIdx, u64),
    tell: &mut impl FnMut(LossReason, u64),
) {
    let (node, flow) = (&graph.nodes[idx], &flows[idx]);
    let mut left = entered;
    let mut lose = |reason, share: Share| {
        let kept = share.apply(entered).min(left);
        tell(reason, left - kept);
        left = kept;
    };
    let is_none_ready = inputs.endpoints[idx].ready_count == 0;
    let first = if is_none_ready { LossReason::NoEndpoints } else { LossReason::DeadEndpoints };
    lose(first, flow.alive);
    lose(LossReason::Overload, flow.pass);
    lose(LossReason::Errors, flow.fine);
    let mut share = flow.fine;
    for &call in &node.calls {
        share = share.and(flows[call].answered);
        lose(LossReason::Dependency(graph.nodes[call].service), share);
    }
    for &database in &node.databases {
        let is_writable = inputs.are_writable[database.index()];
        share = share.and(if is_writable { Share::ONE } else { Share::ZERO });
        lose(LossReason::Database(database), share);
    }
}

/// The gateway that loses the largest share; the first of equals.
fn gateway_loss(
    graph: &Graph,
    flows: &[NodeFlow],
    gateways: impl IntoIterator<Item = NodeIdx>,
) -> LossReason {
    let worst = gateways.into_iter().min_by_key(|&via| flows[via].answered);
    worst.map_or(LossReason::None, |via| LossReason::Dependency(graph.nodes[via].service))
}

/// Why most of the lost requests are lost; the first of equals.
pub(crate) fn largest_loss(
    graph: &Graph,
    inputs: &Inputs,
    flows: &[NodeFlow],
    row: RowIdx,
) -> LossReason {
    let mut largest = (LossReason::None, 0);
    if graph.nodes[graph.node_of(row)].twin.is_some() {
        // What is lost at both for one reason counts together.
        let mut sums: Vec<(LossReason, u64)> = Vec::new();
        each_loss(graph, inputs, flows, row, |reason, lost| {
            match sums.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, sum)) => *sum += lost,
                None => sums.push((reason, lost)),
            }
        });
        sums.reverse();
        return sums
            .into_iter()
            .filter(|(_, lost)| *lost > 0)
            .max_by_key(|(_, lost)| *lost)
            .map_or(LossReason::None, |(reason, _)| reason);
    }
    each_loss(graph, inputs, flows, row, |reason, lost| {
        if lost > largest.1 {
            largest = (reason, lost);
        }
    });
    largest.0
}

#[cfg(test)]
mod tests {
    use model_api::canary::{Analysis, Canary};
    use model_api::load::{Clients, Load, LoadPoint, ServiceProfile};
    use model_api::{Blueprint, DatabaseId, Origin, ServiceId, WorkloadId};

    use super::*;
    use crate::graph::Plan;

    /// A gateway (0), a shop (1) behind it, a stock (2) that the shop calls and that writes; one of
    /// them may have a canary (3). An `asking` gateway calls the stock too.
    fn plan(with_canary: Option<u32>, asking: bool) -> Plan {
        let mut blueprint = Blueprint::default();
        for service in 0..3 {
            blueprint.services.push(model_api::kube::Service::default());
            blueprint.profiles.push(ServiceProfile {
                service: ServiceId(service),
                cpu_per_request: SimSpan::from_millis(1),
                base_latency: SimSpan::ZERO,
                depends_on: if service == 1 || service == 0 && asking {
                    vec![ServiceId(2)]
                } else {
                    Vec::new()
                },
                policies: Vec::new(),
                upstream: model_api::path::CallPolicy::default(),
                serving: model_api::path::Serving::default(),
                writes_to: if service == 2 { vec![DatabaseId(0)] } else { Vec::new() },
                readiness: model_api::path::Readiness::default(),
                origin: Origin::default(),
            });
        }
        blueprint.loads.push(Load {
            service: ServiceId(1),
            via: Some(ServiceId(0)),
            clients: Clients::default(),
            client: model_api::path::CallPolicy::default(),
            users: None,
            points: vec![LoadPoint { at: SimTime::ZERO, rate_millirps: 100_003 }],
            origin: Origin::default(),
        });
        if let Some(service) = with_canary {
            blueprint.services.push(model_api::kube::Service::default());
            blueprint.canaries.push(Canary {
                namespace: String::new(),
                name: String::new(),
                target: WorkloadId(0),
                primary: WorkloadId(0),
                service: ServiceId(service),
                canary_service: ServiceId(3),
                label: String::new(),
                replicas: None,
                analysis: Analysis::default(),
                is_suspended: false,
                origin: Origin::default(),
            });
        }
        let mut plan = Plan::new(&blueprint).expect("no circle");
        plan.parts[0].database_count = 1;
        plan
    }

    #[test]
    fn what_is_not_served_is_lost_somewhere_exactly_once() {
        for with_canary in [None, Some(0), Some(1), Some(2)] {
            check_losses(&plan(with_canary, false));
            check_losses(&plan(with_canary, true));
        }
    }

    #[test]
    fn a_gateway_does_not_pass_on_what_it_asks_in_vain_for() {
        let plan = plan(None, true);
        let (graph, mut flows) = (&plan.parts[0], Vec::new());
        let mut inputs = Inputs::new(graph);
        for endpoints in &mut inputs.endpoints {
            *endpoints = Endpoints {
                ready_count: 4,
                live_count: 4,
                capacity_millirps: u64::MAX,
                reaching_ppm: None,
            };
        }
        let arriving = |inputs: &Inputs, flows: &mut Vec<NodeFlow>| {
            evaluate(graph, inputs, SimTime::ZERO, Side::After, flows);
            [0, 1, 2].map(|idx| flows[idx].arriving)
        };
        assert_eq!(arriving(&inputs, &mut flows), [100_003, 100_003, 200_006]);
        // A quarter of the stock is dead.
        inputs.endpoints[2].live_count = 3;
        assert_eq!(arriving(&inputs, &mut flows), [100_003, 75_002, 175_005]);
        // Its database is away.
        inputs.are_writable[0] = false;
        assert_eq!(arriving(&inputs, &mut flows), [100_003, 0, 100_003]);
    }

    fn check_losses(plan: &Plan) {
        let graph = &plan.parts[0];
        let mut inputs = Inputs::new(graph);
        let mut flows = Vec::new();
        for case in 0_u32..4096 {
            // The digit of the canary is that of another one, told later.
            for idx in 0..u32::try_from(graph.nodes.len()).expect("four at most") {
                let weight = case.rotate_left(idx) % 7 * 16;
                let is_mirrored = case % 11 == 0;
                inputs.splits[idx as usize] = Split { weight, is_mirrored };
                inputs.failing_ppm[idx as usize] =
                    if case % 5 == idx { 300_000 + 70_000 * idx } else { 0 };
                let digit = case.rotate_right(idx * 4 % 12) & 15;
                let (ready_count, live_count) = (digit & 3, (digit & 3).min(digit >> 1 & 1));
                let capacity_millirps = if digit & 8 == 0 { u64::MAX } else { 33_333 };
                inputs.endpoints[idx as usize] =
                    Endpoints { ready_count, live_count, capacity_millirps, reaching_ppm: None };
            }
            inputs.are_writable[0] = case % 3 != 0;
            evaluate(graph, &inputs, SimTime::ZERO, Side::After, &mut flows);
            for (idx, flow) in flows.iter().enumerate() {
                let mut lost = 0;
                each_loss(graph, &inputs, &flows, idx, |_, amount| lost += amount);
                assert_eq!(lost + flow.served, flow.offered, "case {case}: {flow:?}");
                let reason = largest_loss(graph, &inputs, &flows, idx);
                assert_eq!(reason == LossReason::None, lost == 0, "case {case}: {flow:?}");
            }
        }
    }
}
