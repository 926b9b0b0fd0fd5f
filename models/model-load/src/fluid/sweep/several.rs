//! How long the calls take that a request makes: one after the other, at the same time, and several to one
//! Service.

use super::{Room, Sweep, share};
use crate::delay::Delay;
use crate::edges::{EdgeIdx, stages};
use crate::fluid::bunched::{Bunch, RATIO_MAX};
use crate::graph::NodeIdx;
use crate::slowest::{Common, slowest};

/// Calls whose answers take as long as the Service has it, up to this share, meet nothing else on their way.
const AS_GOOD_AS_EQUAL: f64 = 0.01;

impl Sweep<'_> {
    /// How long a request takes that takes `own` at a node, with all that this calls.
    pub(super) fn with_calls(&self, node: NodeIdx, own: Delay, room: &Room) -> Delay {
        let edges = &self.graph.edges;
        let is_parallel = |edge: &EdgeIdx| edges.all[*edge].policy.is_parallel;
        let stages: Vec<&[EdgeIdx]> = stages(&edges.of_node[node], is_parallel).collect();
        let callee = |edge: EdgeIdx| edges.all[edge].callee;
        let is_again = |one: &&[EdgeIdx], next: &&[EdgeIdx]| matches!((*one, *next), ([one], [next]) if callee(*one) == callee(*next));
        stages.chunk_by(is_again).fold(own, |delay, group| match group {
            [[edge]] => delay.then(self.as_met(*edge, room).whole_delay()),
            [stage] => delay.then(self.at_once(stage, room)),
            several => self.one_by_one(&several.concat(), delay, room),
        })
    }

    /// Whether somebody calls a Service several times for a request.
    pub(super) fn is_called_again(&self, node: NodeIdx) -> bool {
        let edges = &self.graph.edges;
        let from = |edge: EdgeIdx| edges.all[edge].from;
        let calls = &edges.to_node[self.graph.head_of(node)];
        calls.windows(2).any(|pair| from(pair[0]) == from(pair[1]))
    }

    /// What a request waits at a node that somebody calls several times for a request, in place of what it
    /// would if all calls came by themselves; what it takes there besides is `behind`.
    pub(super) fn waits_among_several(
        &self,
        node: NodeIdx,
        behind: Delay,
        room: &Room,
    ) -> Option<Delay> {
        let edges = &self.graph.edges;
        let from = |edge: EdgeIdx| edges.all[edge].from;
        let rate =
            |calls: &[EdgeIdx]| calls.iter().map(|edge| room.edges[*edge].reaching).sum::<f64>();
        let calls = &edges.to_node[self.graph.head_of(node)];
        let most = calls
            .chunk_by(|one, next| from(*one) == from(*next))
            .filter(|calls| calls.len() > 1)
            .max_by(|one, other| rate(one).total_cmp(&rate(other)))?;
        let several = Several { rest: behind, ..self.several(node, most, room)? };
        let is_at_once = edges.all[most[0]].policy.is_parallel;
        let bunch = if is_at_once { several.bunch } else { several.one_by_one() };
        let each = several.tables.each(bunch, several.ratio, several.work_secs);
        Some(several.or_grown(each, several.alone))
    }

    /// Calls to one Service, each of which is made when the one before is over.
    fn one_by_one(&self, calls: &[EdgeIdx], before: Delay, room: &Room) -> Delay {
        let together = self.met_by_several(calls, room, |several| {
            // Those who come to a long line come to it again.
            let (count, alone) = (calls.len() as f64, several.alone);
            let (mean, variance) = (alone.mean * count, alone.variance * count * count);
            let waits = several.waits(several.one_by_one(), Delay { mean, variance, ..alone });
            calls.iter().fold(waits, |delay, _| delay.then(several.rest))
        });
        match together {
            Some(together) => before.then(together),
            None => {
                let each = calls.iter().map(|edge| self.as_met(*edge, room).whole_delay());
                each.fold(before, Delay::then)
            }
        }
    }

    /// Calls that are made at the same time.
    fn at_once(&self, calls: &[EdgeIdx], room: &Room) -> Delay {
        let callee = |edge: EdgeIdx| self.graph.edges.all[edge].callee;
        let mut sorted = calls.to_vec();
        sorted.sort_by_key(|edge| callee(*edge));
        let mut all = Vec::with_capacity(calls.len());
        for group in sorted.chunk_by(|one, next| callee(*one) == callee(*next)) {
            let together = self.met_by_several(group, room, |several| {
                let waits = several.waits(several.bunch, several.alone);
                let rest = group.iter().map(|_| (several.rest, Common::default()));
                waits.then(slowest(rest))
            });
            match together.filter(|_| group.len() > 1) {
                Some(delay) => {
                    let common = self.common(group[0], delay, group.len() as f64, room);
                    all.push((delay, common));
                }
                None => all.extend(group.iter().map(|&edge| {
                    let delay = self.as_met(edge, room).whole_delay();
                    (delay, self.common(edge, delay, 1.0, room))
                })),
            }
        }
        slowest(all.into_iter())
    }

    /// What several calls to a Service meet, as `of` has it at its queue; `None` where something else is
    /// before them too.
    fn met_by_several(
        &self,
        calls: &[EdgeIdx],
        room: &Room,
        of: impl Fn(&Several<'_>) -> Delay,
    ) -> Option<Delay> {
        let edge = *calls.first()?;
        let callee = self.graph.edges.all[edge].callee;
        let (call, met) = (&room.edges[edge], &room.nodes[callee]);
        let several = self.several(callee, calls, room)?;
        let rest = met.behind.then(call.late.as_delay());
        let plain = met.delay.whole_mean();
        let is_plain = (call.delay.whole_mean() - plain).abs() <= AS_GOOD_AS_EQUAL * plain;
        is_plain.then(|| of(&Several { rest, ..several }))
    }

    /// Several calls to a node whose pods have one queue. Where each pod has its own, calls of one request hardly ever meet
    /// there. Simplified: where they have several, of zones or nodes, single requests spread the calls of a request over these one by one, and flows take them for calls
    /// that come by themselves.
    fn several(&self, node: NodeIdx, calls: &[EdgeIdx], room: &Room) -> Option<Several<'_>> {
        let spec = &self.graph.nodes[node];
        let queue = self.queues[node].as_ref().filter(|queue| !queue.is_shared())?;
        let servers = queue.servers()?;
        let is_one = self.tables[node].is_none()
            && spec.twin.is_none()
            && spec.twin_of.is_none()
            && !self.graph.is_divided(self.graph.head_of(node));
        let met = &room.nodes[node];
        let rate = |edge: &EdgeIdx| room.edges[*edge].reaching;
        let all: f64 = self.graph.edges.to_node[node].iter().map(rate).sum();
        let part = share(calls.iter().map(rate).sum(), all);
        let count = u32::try_from(calls.len()).unwrap_or(u32::MAX);
        is_one.then(|| Several {
            bunch: Bunch::new(servers, spec.serving.work, count, part),
            tables: &spec.bunched,
            ratio: met.worked / queue.capacity_of_all(),
            work_secs: queue.work_secs(),
            alone: Delay {
                waits: met.queue.waits,
                mean: met.queue.wait_mean,
                variance: met.queue.wait_variance,
                ..Delay::default()
            },
            rest: Delay::default(),
        })
    }

    /// How far so many calls, which take so long, follow when requests come: as far as the queue that they
    /// meet does, of which they make a part.
    fn common(&self, edge: EdgeIdx, delay: Delay, count: f64, room: &Room) -> Common {
        let met = &room.nodes[self.graph.edges.all[edge].callee];
        let its = share(room.edges[edge].reaching * count, met.arrivals).min(1.0);
        let of_queue = share(met.queue_variance, delay.whole_variance()).min(1.0);
        Common { share: met.common.share * its * of_queue, ..met.common }
    }
}

/// Several calls of a request to a Service.
struct Several<'a> {
    bunch: Bunch,
    tables: &'a crate::fluid::BunchTables,
    /// How busy its workers are.
    ratio: f64,
    work_secs: f64,
    /// What one of them waits.
    alone: Delay,
    /// What each of them takes besides.
    rest: Delay,
}

impl Several<'_> {
    /// From when one is taken up to when the next one is made it takes what it takes besides waiting.
    fn one_by_one(&self) -> Bunch {
        self.bunch.one_by_one(self.rest.whole_mean() / self.work_secs)
    }

    /// What a request waits in all of them, or `grown` where the queue has grown to that.
    fn waits(&self, bunch: Bunch, grown: Delay) -> Delay {
        self.or_grown(self.tables.wait(bunch, self.ratio, self.work_secs), grown)
    }

    fn or_grown(&self, played: Delay, grown: Delay) -> Delay {
        let is_longer = grown.whole_mean() > played.whole_mean();
        if self.ratio > RATIO_MAX && is_longer { grown } else { played }
    }
}
