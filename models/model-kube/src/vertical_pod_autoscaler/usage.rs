//! Usage of a container over time, as the recommender takes it up.

use sim_kernel::SimSpan;

use super::container::{Aggregate, Aggregation, ContainerUsage};
use super::histogram::Timestamp;

/// Samples at even distances that are all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSegment {
    /// The first sample, since the start.
    pub from: SimSpan,
    /// All samples are before this.
    pub until: SimSpan,
    /// From one to the next; more than nothing.
    pub every: SimSpan,
    /// CPU in millicores.
    pub cpu_millis: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
}

/// The container was killed because its memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OomKill {
    /// When, since the start.
    pub at: SimSpan,
    /// What it requested then, in bytes.
    pub request_bytes: i64,
}

/// Feeds usage and kills of one container to an aggregate, in order of time; samples before kills
/// of the same moment, as the recommender takes up its metrics first
/// (`pkg/recommender/input/cluster_feeder.go`, LoadRealTimeMetrics).
///
/// # Panics
/// When samples of a segment are no time apart.
pub fn replay(
    aggregate: &mut Aggregate,
    usage: &mut ContainerUsage,
    segments: &[UsageSegment],
    kills: &[OomKill],
    start: Timestamp,
    aggregation: &Aggregation,
) {
    let mut seen: Vec<(SimSpan, Seen)> = Vec::new();
    for segment in segments {
        assert!(!segment.every.is_zero(), "samples are some time apart");
        let mut at = segment.from;
        while at < segment.until {
            seen.push((at, Seen::Usage(segment.cpu_millis, segment.memory_bytes)));
            at = at.saturating_add(segment.every);
        }
    }
    seen.extend(kills.iter().map(|kill| (kill.at, Seen::Killed(kill.request_bytes))));
    seen.sort_by_key(|(at, seen)| (*at, matches!(seen, Seen::Killed(_))));
    for (at, seen) in seen {
        let at = start.plus(at);
        let operations = match seen {
            Seen::Usage(cpu_millis, memory_bytes) => {
                if usage.accepts_cpu(cpu_millis, at) {
                    aggregate.add_cpu(cpu_millis, at);
                }
                usage.memory_sample(memory_bytes, at, aggregation)
            }
            Seen::Killed(request_bytes) => usage.out_of_memory(request_bytes, at, aggregation),
        };
        operations.into_iter().for_each(|operation| aggregate.apply(operation));
    }
}

/// A sample (CPU in millicores, memory in bytes), or a kill (the request in bytes).
enum Seen {
    Usage(i64, i64),
    Killed(i64),
}
