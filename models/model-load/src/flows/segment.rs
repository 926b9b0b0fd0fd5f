//! Segments of a flow: where one opened, and what is told of those that end.

use model_api::Observation;
use model_api::observation::FlowSegment;
use sim_kernel::{Context, Recorder, SimTime};

use crate::curve::{Shape, Side};
use crate::delay::Delay;
use crate::evaluation::{Inputs, NodeFlow, evaluate, largest_loss};
use crate::fluid::wait_of;
use crate::graph::{Graph, NodeIdx, RowIdx};
use crate::stretch::{Room, Stretch};

/// The start of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) from: SimTime,
    pub(super) offered: u64,
    pub(super) served: u64,
    pub(super) shape: Shape,
    pub(super) signature: u64,
}

impl Open {
    /// What a stretch that begins now opens.
    pub(super) fn of(room: &Room, stretch: Stretch, idx: RowIdx, now: SimTime) -> Self {
        let first = &room.first[idx];
        // At its start a flow may just touch a capacity; its middle says what it is.
        let what = if stretch.is_constant { first } else { &room.middle[idx] };
        let signature = match what.shape {
            Shape::Constant | Shape::Linear => what.signature,
            // A chord of a curve holds for one stretch only.
            Shape::Curved => what.signature ^ now.as_nanos().wrapping_add(1).rotate_left(32),
        };
        Self {
            from: now,
            offered: first.offered,
            served: first.served,
            shape: what.shape,
            signature,
        }
    }
}

/// Segments that end now, told from the world as it was until now.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing {
    pub(super) now: SimTime,
    pub(super) inputs: Inputs,
    pub(super) until: Vec<NodeFlow>,
    waits_until: Vec<Delay>,
    pub(super) has_waits_until: bool,
    /// The flows in the middle of the segment that was told last.
    pub(super) middle_at: Option<SimTime>,
    middle: Vec<NodeFlow>,
    waits_middle: Vec<Delay>,
}

impl Closing {
    /// Tells one segment, unless it is empty.
    pub(super) fn tell<E, R>(
        &mut self,
        graph: &Graph,
        row: RowIdx,
        open: &Open,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy,
        R: Recorder<Observation>,
    {
        if open.from < self.now && R::RECORDS {
            let segment = self.segment(graph, row, open);
            ctx.observe(|| graph.told(row, segment, 0));
        }
    }

    fn segment(&mut self, graph: &Graph, row: RowIdx, open: &Open) -> FlowSegment {
        let until = self.until[row];
        // A linear flow has its mean in the middle.
        let (mean, waits) = if open.shape == Shape::Constant {
            if !self.has_waits_until {
                waits_of(graph, &self.inputs, &self.until, &mut self.waits_until);
                self.has_waits_until = true;
            }
            (&self.until, &self.waits_until)
        } else {
            let middle = open.from + (self.now - open.from) / 2;
            if self.middle_at != Some(middle) {
                evaluate(graph, &self.inputs, middle, Side::After, &mut self.middle);
                waits_of(graph, &self.inputs, &self.middle, &mut self.waits_middle);
                self.middle_at = Some(middle);
            }
            (&self.middle, &self.waits_middle)
        };
        let idx = graph.node_of(row);
        let node = &graph.nodes[idx];
        let whole = |idx: NodeIdx| whole_wait(graph, &self.inputs, waits, idx);
        let entry = graph.source_of(row).map_or(node.entry, |source| graph.load_of(source).via);
        let entry = entry.map_or(Delay::default(), whole);
        let waits = entry.then(whole(idx));
        let (wait_probability_ppm, wait_mean_ns, wait_shape_milli) = waits.told_waits();
        FlowSegment {
            service: node.service,
            from: open.from,
            until: self.now,
            offered_from_millirps: open.offered,
            offered_until_millirps: until.offered,
            served_from_millirps: open.served,
            served_until_millirps: until.served,
            // Limits have a memory.
            limited_from_millirps: 0,
            limited_until_millirps: 0,
            base_latency_ns: graph.base_latency_of(row).as_nanos(),
            wait_probability_ppm,
            wait_mean_ns,
            wait_law: waits.law,
            wait_shape_milli,
            late_ppm: 0,
            late_by_ns: 0,
            late_again_ppm: 0,
            late_times: 1,
            // Without a memory nothing piles up.
            is_piled_up: false,
            loss: largest_loss(graph, &self.inputs, mean, row),
            counted: None,
        }
    }
}

/// The waits of each Service and of all it calls.
pub(super) fn waits_of(graph: &Graph, inputs: &Inputs, flows: &[NodeFlow], waits: &mut Vec<Delay>) {
    waits.clear();
    waits.resize(graph.nodes.len(), Delay::default());
    for idx in (0..graph.nodes.len()).rev() {
        let endpoints = inputs.endpoints[idx];
        let own = wait_of(&graph.nodes[idx].serving, endpoints, flows[idx].reached);
        let calls = &graph.nodes[idx].calls;
        let called =
            |wait: Delay, &call: &NodeIdx| wait.then(whole_wait(graph, inputs, waits, call));
        waits[idx] = calls.iter().fold(own, called);
    }
}

/// The wait of those who ask for a Service, whichever of its pods they meet.
fn whole_wait(graph: &Graph, inputs: &Inputs, waits: &[Delay], idx: NodeIdx) -> Delay {
    match graph.nodes[idx].twin {
        None => waits[idx],
        Some(twin) => waits[idx].or(waits[twin], inputs.splits[idx].part()),
    }
}
