//! How long requests wait: M/M/c.

use sim_kernel::SimSpan;

/// The mean wait of an overloaded Service, and the longest mean wait anywhere.
///
/// Simplified: queues are bounded so that a full one is worked off in one second; the backlog that
/// builds up within an overload and outlives it is not kept. **Assumption**, not an upstream fact.
pub const OVERLOAD_WAIT: SimSpan = SimSpan::from_secs(1);

/// Waiting at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wait {
    /// Share of the requests that wait at all.
    pub probability: f64,
    /// Mean wait of those, in nanoseconds; exponentially distributed.
    pub mean_ns: f64,
}

/// Waiting in M/M/c: Poisson arrivals, exponential service, one queue.
///
/// `reaching_millirps` is what arrives, `capacity_millirps` what all `server_count` servers can do
/// together. At or above capacity everybody waits [`OVERLOAD_WAIT`].
///
/// Only additions, multiplications and divisions: the same on every machine.
pub fn erlang_wait(reaching_millirps: u64, capacity_millirps: u64, server_count: u32) -> Wait {
    if reaching_millirps == 0 || server_count == 0 || capacity_millirps == u64::MAX {
        return Wait::default();
    }
    let overload_ns = OVERLOAD_WAIT.as_nanos() as f64;
    if reaching_millirps >= capacity_millirps {
        return Wait { probability: 1.0, mean_ns: overload_ns };
    }
    let servers = f64::from(server_count);
    let utilization = reaching_millirps as f64 / capacity_millirps as f64;
    let offered_erlangs = servers * utilization;
    let mut blocking = 1.0;
    for busy in 1..=server_count {
        let carried = offered_erlangs * blocking;
        blocking = carried / (f64::from(busy) + carried);
    }
    let probability = blocking / (1.0 - utilization * (1.0 - blocking));
    let free_millirps = (capacity_millirps - reaching_millirps) as f64;
    Wait { probability, mean_ns: (1e12 / free_millirps).min(overload_ns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(servers: u32, erlangs_milli: u64, expected_probability: f64) {
        // Each server does one request per second.
        let wait = erlang_wait(erlangs_milli, u64::from(servers) * 1000, servers);
        assert!((wait.probability - expected_probability).abs() < 5e-4, "{wait:?}");
        let expected_mean_ns = 1e12 / (f64::from(servers) * 1000.0 - erlangs_milli as f64);
        assert!((wait.mean_ns - expected_mean_ns.min(1e9)).abs() < 1.0, "{wait:?}");
    }

    #[test]
    fn waits_are_those_of_the_tables() {
        // One server: the probability is the utilization. The others: published Erlang C values.
        check(1, 500, 0.5);
        check(1, 900, 0.9);
        check(2, 1000, 1.0 / 3.0);
        check(5, 4000, 0.5541);
        check(20, 16_000, 0.256);
        check(200, 185_000, 0.195);
    }

    #[test]
    fn edges_are_bounded() {
        assert_eq!(erlang_wait(0, 1000, 3), Wait::default());
        assert_eq!(erlang_wait(5, u64::MAX, 3), Wait::default());
        assert_eq!(erlang_wait(5, 5, 3), Wait { probability: 1.0, mean_ns: 1e9 });
        assert_eq!(erlang_wait(999_999, 1_000_000, 1).mean_ns, 1e9);
    }
}
