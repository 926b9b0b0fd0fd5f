//! Which process the kernel kills when a machine has no memory left.
//!
//! # Modelled
//! The points of a process, from what it uses and its `oom_score_adj`; the one with most is killed.
//! # Not modelled
//! Swap and page tables; several processes in one container, each with its own points; NUMA.
//! # Defaults and their sources
//! `mm/oom_kill.c` (oom_badness, oom_evaluate_task), Linux 6.12.
//! # Invariants
//! Of two processes with the same adjustment the larger one is killed.
//! # Checked against
//! Cases worked out by hand from the source.

/// Bytes of a page.
const PAGE: u64 = 4096;

/// A process that might be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Memory that it uses, in bytes.
    pub used_bytes: u64,
    /// Its `oom_score_adj`, from -1000 (which is never killed) to 1000.
    pub oom_score_adj: i64,
}

/// The points of a process, in pages, on a machine with so much memory; `None` when it must not be
/// killed (`oom_badness`).
pub fn points(process: Process, total_bytes: u64) -> Option<i64> {
    if process.oom_score_adj == -1000 {
        return None;
    }
    let pages = |bytes: u64| i64::try_from(bytes / PAGE).expect("2^64 bytes are 2^52 pages");
    Some(pages(process.used_bytes) + process.oom_score_adj * (pages(total_bytes) / 1000))
}

/// The position of the process that is killed; of those with as many points the last
/// (`oom_evaluate_task`). Upstream goes through them as they were started.
pub fn victim(processes: &[Process], total_bytes: u64) -> Option<usize> {
    let points = |idx: &usize| points(processes[*idx], total_bytes);
    let killable = (0..processes.len()).filter(|idx| points(idx).is_some());
    killable.max_by_key(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_adjustment_counts_before_the_size() {
        let kill = |processes: &[(u64, i64)]| {
            let process = |&(gib, oom_score_adj): &(u64, i64)| Process {
                used_bytes: gib * GIB,
                oom_score_adj,
            };
            victim(&processes.iter().map(process).collect::<Vec<_>>(), 16 * GIB)
        };
        assert_eq!(kill(&[(1, 1000), (12, 900)]), Some(1), "12 GiB are 750 thousandths");
        assert_eq!(kill(&[(1, 1000), (2, 930)]), Some(0));
        assert_eq!(kill(&[(3, 999), (3, 999), (2, 999)]), Some(1));
        assert_eq!(kill(&[(9, -1000), (1, -997)]), Some(1));
        assert_eq!(kill(&[(9, -1000)]), None);
    }
}
