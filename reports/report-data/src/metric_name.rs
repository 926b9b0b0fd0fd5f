//! Names of figures, [`Metric::name`](crate::Metric::name): who writes a result and who reads one agree here.

/// Of Services: answered well among what was asked, in parts per million.
pub const AVAILABILITY: &str = "availability";
/// Of Services: the longest outage.
pub const LONGEST_OUTAGE: &str = "longestOutage";
/// Of Services: requests that were not answered well. With a reason behind a dot, those of that reason.
pub const LOST_REQUESTS: &str = "lostRequests";
/// Of Services: requests that a rate limit refused.
pub const LIMITED_REQUESTS: &str = "limitedRequests";
/// Of Services: answered well among what rate limits let through, in parts per million.
pub const ADMITTED_AVAILABILITY: &str = "admittedAvailability";
/// Of Services: periods of the CPU quota in which a pod stood still, in parts per million.
pub const THROTTLED_PERIODS: &str = "throttledPeriods";
/// Of Services: how long pods stood still for want of quota, summed over pods.
pub const THROTTLED_TIME: &str = "throttledTime";
/// Of Services: sessions that went on at another pod.
pub const MOVED_SESSIONS: &str = "movedSessions";
/// Of Services: sessions whose state was lost.
pub const LOST_SESSIONS: &str = "lostSessions";
/// Of Services: what its busiest pod got, in parts per million of an even share.
pub const HOTTEST_POD: &str = "hottestPod";
/// Of Services: requests answered in another zone than they came from, in parts per million.
pub const CROSS_ZONE: &str = "crossZone";
/// Of API servers and members of etcd: how long they answered nobody, or took no part, for reasons of their
/// own: an API without a quorum does not count.
pub const MEMBER_DOWN: &str = "memberDown";
/// Of API servers and members of etcd: how often that began.
pub const MEMBER_DOWN_COUNT: &str = "memberDownCount";
/// Of members of etcd: elections that they won.
pub const MEMBER_ELECTED: &str = "memberElected";
/// Of API servers: connections of kubelets, controllers and pods that were led to them while they did not
/// answer.
pub const MEMBER_DIALED_IN_VAIN: &str = "memberDialedInVain";
/// Of databases: the longest time without writes.
pub const LONGEST_WRITE_OUTAGE: &str = "longestWriteOutage";
/// Of databases: acknowledged and gone, from the oldest commit to the newest.
pub const LOST_SPAN: &str = "lostSpan";
/// Of databases: runs in which everything was lost, of which there is no span.
pub const LOST_ALL: &str = "lostAll";
/// Of databases: commits that were acknowledged and are gone.
pub const LOST_COMMITS: &str = "lostCommits";
/// Of databases: commits of which nobody was told how they ended.
pub const UNKNOWN_COMMITS: &str = "unknownCommits";
/// Of databases: those of them that are there.
pub const UNKNOWN_DURABLE: &str = "unknownDurable";
/// Of databases: those of them that are not.
pub const UNKNOWN_LOST: &str = "unknownLost";
/// Of databases: how often commits waited.
pub const STALLED_COMMITS: &str = "stalledCommits";
/// Of databases: how long commits waited.
pub const STALLED: &str = "stalled";
/// Of databases: how long fewer standbys followed than there are.
pub const REDUCED_REDUNDANCY: &str = "reducedRedundancy";
/// Of databases: most log that waited for the archive.
pub const ARCHIVE_BACKLOG_BYTES: &str = "archiveBacklogBytes";
/// Of databases: the least that was free on the volume of the log.
pub const LOG_FREE_BYTES: &str = "logFreeBytes";
/// Of databases: how long two primaries took writes, in all.
pub const SPLIT_BRAIN: &str = "splitBrain";
/// Of databases: the longest time in which two primaries took writes.
pub const LONGEST_SPLIT_BRAIN: &str = "longestSplitBrain";
/// Of workloads: containers killed for want of memory.
pub const MEMORY_KILLS: &str = "memoryKills";
/// Of workloads: pods evicted for want of memory.
pub const MEMORY_EVICTIONS: &str = "memoryEvictions";
/// Of workloads: pods refused for want of memory.
pub const MEMORY_REFUSALS: &str = "memoryRefusals";
/// Of storage pools: how long objects had fewer copies than they should.
pub const POOL_BELOW_SIZE: &str = "poolBelowSize";
/// Of storage pools: how long some objects had fewer copies than min_size.
pub const POOL_PAUSED: &str = "poolPaused";
/// Of storage pools: how long none could be read or written.
pub const POOL_STOPPED: &str = "poolStopped";
/// Of storage pools: how long one more loss would have lost data.
pub const POOL_AT_ONE: &str = "poolAtOne";
/// Of storage pools: most bytes that one more loss would have lost.
pub const POOL_AT_ONE_BYTES: &str = "poolAtOneBytes";
/// Of storage pools: how long copies were made anew.
pub const POOL_REBUILD: &str = "poolRebuild";
/// Of storage pools: bytes of which no copy is left.
pub const POOL_LOST_BYTES: &str = "poolLostBytes";
/// Of data sets, with a disaster class behind a dot: most that it would have lost.
pub const EXPOSED_LOSS: &str = "exposedLoss";
/// The same: runs in which it would have lost all.
pub const EXPOSED_ALL: &str = "exposedAll";
/// Of data sets, with a disaster class behind a dot: longest time to be back after it.
pub const EXPOSED_RETURN: &str = "exposedReturn";
/// The same: runs in which nothing would have come back.
pub const EXPOSED_FOR_GOOD: &str = "exposedForGood";
