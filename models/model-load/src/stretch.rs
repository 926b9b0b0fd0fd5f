//! How long the flows stay linear.

use sim_kernel::SimTime;

use crate::curve::{Shape, Side};
use crate::evaluation::{Endpoints, Inputs, NodeFlow, evaluate};
use crate::graph::Graph;

/// How far a segment may be from the true flow in its middle where that is a curve (several
/// callers share an overloaded Service while the load ramps, or a ramp is multiplied by a ramp),
/// in parts per million of the rate.
pub const CURVE_ERROR_PPM: u64 = 500;

/// Rates closer to a capacity than this, in requests per 1000 s, have reached it: more than
/// rounding can make of it.
const TOUCH_MILLIRPS: u64 = 4;

/// Cuts of one stretch: each crossing once, and halvings down to a nanosecond.
const CUT_COUNT_MAX: usize = 4096;

/// Room for the flows at three instants, kept to spare allocations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room {
    pub(crate) first: Vec<NodeFlow>,
    pub(crate) middle: Vec<NodeFlow>,
    last: Vec<NodeFlow>,
}

impl Room {
    /// A flow at the end of the stretch, unless that is constant.
    pub(crate) fn last(&self, idx: usize) -> &NodeFlow {
        &self.last[idx]
    }
}

/// What holds from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// When some flow bends; `None` when nothing does any more.
    pub(crate) end: Option<SimTime>,
    /// Whether any flow changes.
    pub(crate) is_constant: bool,
}

/// Finds the longest stretch from `from` in which every flow is linear. Leaves the flows at its
/// start in `room.first` and, unless it is constant, those in its middle in `room.middle`: at the
/// start a flow may just touch a capacity, so only the middle tells on which side it is.
pub(crate) fn next(graph: &Graph, inputs: &Inputs, from: SimTime, room: &mut Room) -> Stretch {
    evaluate(graph, inputs, from, Side::After, &mut room.first);
    let knot = next_knot(graph, inputs, from);
    let Some(mut end) = knot.filter(|_| is_changing(graph, inputs, from)) else {
        return Stretch { end: knot, is_constant: true };
    };
    for _ in 0..CUT_COUNT_MAX {
        evaluate(graph, inputs, end, Side::Before, &mut room.last);
        if let Some(crossing) = first_crossing(inputs, from, end, &room.first, &room.last) {
            end = crossing;
            continue;
        }
        let middle = from + (end - from) / 2;
        evaluate(graph, inputs, middle, Side::After, &mut room.middle);
        if middle == from || is_straight(&room.first, &room.middle, &room.last) {
            break;
        }
        end = middle;
    }
    Stretch { end: Some(end), is_constant: false }
}

/// The next knot of any curve or ramp.
pub(crate) fn next_knot(graph: &Graph, inputs: &Inputs, from: SimTime) -> Option<SimTime> {
    let of_load = |load: &crate::graph::NodeLoad| {
        let ramp = inputs.factors[load.source].next_knot(from);
        let looked_up = inputs.lookups[load.source].next_knot(from);
        load.curve.next_knot(from).into_iter().chain(ramp).chain(looked_up).min()
    };
    let loads = graph.nodes.iter().flat_map(|node| &node.loads);
    loads.filter_map(of_load).chain(inputs.inside.next_knot(from)).min()
}

/// Whether any load changes from then on.
pub(crate) fn is_changing(graph: &Graph, inputs: &Inputs, from: SimTime) -> bool {
    let mut loads = graph.nodes.iter().flat_map(|node| &node.loads);
    inputs.inside.next_knot(from).is_some()
        || loads.any(|load| {
            let ramp = inputs.factors[load.source].shape(from, Side::After);
            load.curve.piece_at(from, Side::After).shape().times(ramp) != Shape::Constant
                || inputs.lookups[load.source].next_knot(from).is_some()
        })
}

/// When the first Service, in the order of calls, meets its capacity inside the stretch. Whatever
/// comes before it in that order does not bend, so it is exact; what comes after it is looked at
/// again in the shorter stretch.
fn first_crossing(
    inputs: &Inputs,
    from: SimTime,
    end: SimTime,
    first: &[NodeFlow],
    last: &[NodeFlow],
) -> Option<SimTime> {
    let span = (end - from).as_nanos();
    let flows = first.iter().zip(last).zip(&inputs.endpoints);
    flows
        .filter_map(|((first, last), endpoints)| {
            let offset = crossing(first, last, *endpoints, span)?;
            (offset < span).then(|| from + sim_kernel::SimSpan::from_nanos(offset))
        })
        .next()
}

/// Nanoseconds from the start until the line of what reaches the pods meets their capacity,
/// rounded up.
fn crossing(first: &NodeFlow, last: &NodeFlow, endpoints: Endpoints, span: u64) -> Option<u64> {
    let capacity = endpoints.capacity_millirps;
    let (start, end) = (first.reached, last.reached);
    // Where the line is only a chord, its crossing is not exact and need not be.
    let is_line = last.arriving_shape <= Shape::Linear;
    let touch = if is_line { TOUCH_MILLIRPS } else { TOUCH_MILLIRPS.max(capacity / 4096) };
    let rises = start.saturating_add(touch) < capacity && end > capacity.saturating_add(touch);
    let falls = start > capacity.saturating_add(touch) && end.saturating_add(touch) < capacity;
    if !rises && !falls {
        return None;
    }
    let (way, whole) = (start.abs_diff(capacity), start.abs_diff(end));
    let nanos = (u128::from(span) * u128::from(way)).div_ceil(u128::from(whole));
    Some(u64::try_from(nanos).expect("part of a span").max(1))
}

/// Whether the middle lies on the line between the ends, for every flow that may be a curve.
fn is_straight(first: &[NodeFlow], middle: &[NodeFlow], last: &[NodeFlow]) -> bool {
    let on_line = |start: u64, middle: u64, end: u64| {
        let expected = start / 2 + end / 2;
        middle.abs_diff(expected) <= TOUCH_MILLIRPS.max(middle / 1_000_000 * CURVE_ERROR_PPM)
    };
    first.iter().zip(middle).zip(last).all(|((first, middle), last)| {
        middle.shape < Shape::Curved
            || on_line(first.offered, middle.offered, last.offered)
                && on_line(first.reached, middle.reached, last.reached)
                && on_line(first.served, middle.served, last.served)
    })
}
