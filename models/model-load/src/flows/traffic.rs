//! What comes to a Service and is in its pods, over a stretch of time.

use sim_kernel::{SimSpan, SimTime};

use super::Part;
use crate::fluid::wait_of;
use crate::graph::{Graph, NodeIdx};

/// A line through points is bent where it is off by more than a part in so many of what it shows, and
/// by more than a tenth of a request.
const BEND_PART: u64 = 32;
const BEND_MIN_MILLI: u64 = 100;
/// So often a line is halved at most.
const HALVING_COUNT_MAX: u32 = 7;

/// Requests of a Service over a stretch of time: each rate at its start, and at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// When it bends next; `None` when it stays as it is.
    pub until: Option<SimTime>,
    /// Requests that clients and callers ask it for, whatever comes of them, per 1000 s.
    pub offered_millirps: (u64, u64),
    /// Requests that its pods answer, per 1000 s.
    pub answered_millirps: (u64, u64),
    /// Requests that are in its pods in the mean, waiting and answers of others included, in
    /// thousandths: at the start of the stretch, then at moments between which they change evenly, the
    /// last one its end.
    pub inside_milli: (u64, Vec<(SimTime, u64)>),
}

impl Part {
    pub(super) fn traffic(&self, graph: &Graph, idx: NodeIdx) -> Traffic {
        if let Some(fluid) = &self.fluid {
            return fluid.traffic(graph, idx);
        }
        let until = self.stretch.end.filter(|_| !self.stretch.is_constant);
        let first = self.current[idx];
        let last = until.map_or(first, |_| *self.room.last(idx));
        let inside = |reached, accepted| self.inside_of(graph, idx, reached, accepted);
        let inside_now = inside(first.reached, first.accepted);
        let mut points = Vec::new();
        if let Some(end) = until {
            let ends = [(self.since, inside_now), (end, inside(last.reached, last.accepted))];
            let span = (end - self.since).as_nanos();
            let between = |at: SimTime| {
                let offset = at.saturating_since(self.since).as_nanos();
                let reached = part_way(first.reached, last.reached, offset, span);
                inside(reached, part_way(first.accepted, last.accepted, offset, span))
            };
            bend(ends, HALVING_COUNT_MAX, &between, &mut points);
        }
        Traffic {
            until,
            offered_millirps: (first.offered, last.offered),
            answered_millirps: (first.accepted, last.accepted),
            inside_milli: (inside_now, points),
        }
    }

    /// Requests in the pods of a Service: those that they answer times how long they are there.
    fn inside_of(&self, graph: &Graph, idx: NodeIdx, reached: u64, accepted: u64) -> u64 {
        let node = &graph.nodes[idx];
        let wait = wait_of(&node.serving, self.inputs.endpoints[idx], reached);
        let stay = node.base_latency.as_secs_f64() + wait.whole_mean();
        SimSpan::from_secs_f64_rounded(accepted as f64 / 1000.0 * stay).as_millis()
    }
}

fn part_way(from: u64, to: u64, offset: u64, span: u64) -> u64 {
    let way = u128::from(from.abs_diff(to)) * u128::from(offset) / u128::from(span.max(1));
    let way = u64::try_from(way).expect("a part of the difference");
    if to > from { from + way } else { from - way }
}

/// Adds points so that the line through them is close to a curve, the last end included.
fn bend(
    [first, last]: [(SimTime, u64); 2],
    halvings: u32,
    curve: &impl Fn(SimTime) -> u64,
    points: &mut Vec<(SimTime, u64)>,
) {
    let middle_at = first.0 + (last.0 - first.0) / 2;
    if halvings > 0 && middle_at > first.0 {
        let middle = (middle_at, curve(middle_at));
        let off = middle.1.abs_diff(first.1.midpoint(last.1));
        if off > BEND_MIN_MILLI.max(middle.1 / BEND_PART) {
            bend([first, middle], halvings - 1, curve, points);
            bend([middle, last], halvings - 1, curve, points);
            return;
        }
    }
    points.push(last);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    #[test]
    fn a_straight_line_has_its_ends_and_a_curve_has_points() {
        let mut points = Vec::new();
        let line = |time: SimTime| 10_000 + time.as_nanos() / 1_000_000;
        bend([(at(0), 10_000), (at(100), 110_000)], 7, &line, &mut points);
        assert_eq!(points, [(at(100), 110_000)]);
        points.clear();
        // 1 / (101 - t): a queue that fills as its load nears its capacity.
        let curve = |time: SimTime| {
            let left = 101 - time.as_nanos() / 1_000_000_000;
            10_000_000 / left
        };
        bend([(at(0), curve(at(0))), (at(100), curve(at(100)))], 7, &curve, &mut points);
        assert!(points.len() > 4, "{points:?}");
        assert!(points.is_sorted(), "{points:?}");
        assert_eq!(points.last(), Some(&(at(100), 10_000_000)));
        let half = points.iter().find(|(time, _)| *time >= at(50)).expect("one of them");
        assert!(half.1 < 250_000, "not half of what it ends with: {points:?}");
    }

    #[test]
    fn a_part_of_the_way_goes_up_and_down() {
        assert_eq!(part_way(100, 200, 1, 4), 125);
        assert_eq!(part_way(200, 100, 1, 4), 175);
        assert_eq!(part_way(7, 7, 0, 0), 7);
    }
}
