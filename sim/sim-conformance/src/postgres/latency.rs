//! How long statements take on the recorder's machine.

use model_api::SimSpan;

/// No row took so long on a connection that stood, but for stalls: fewer than one of a hundred kept
/// its connection busy beyond its next row, or no recorded outage would have ended by the formula.
const USUAL_MOST: f64 = 0.2;
/// A stall of more than a second, per statement and per process that waits for a core. **Assumption:**
/// none was seen in 5,000 statements of the published attempts.
const STALLS_PER_STATEMENT: f64 = 1e-6;

/// Of a statement on a connection that stands, from its sending to its answer.
///
/// The recorded percentiles count the first row of each connection too, and that one connects: 20
/// rows of 200 to 700, so the 99th percentile is one of theirs. In the published attempts the other
/// rows have their 99th percentile at 4 to 11 times their median, and the longest takes twice that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Latency {
    median: f64,
    /// 99 of 100 take no longer.
    usual: f64,
    longest: f64,
    stall_share: f64,
    /// Of a connection and its first statement.
    pub(super) first: SimSpan,
}

impl Latency {
    /// From the recorded percentiles and the maximum, in seconds.
    pub(super) fn new(median: f64, p99: f64, longest: f64, load_average: f64) -> Self {
        let median = median.clamp(0.0002, USUAL_MOST / 4.0);
        let usual = (15.0 * median + 0.015).min(p99).clamp(2.0 * median, USUAL_MOST);
        Self {
            median,
            usual,
            longest: longest.clamp(2.0 * usual, 1.3),
            stall_share: STALLS_PER_STATEMENT * load_average.clamp(1.0, 100.0),
            first: SimSpan::from_secs_f64_rounded(p99.min(1.2)),
        }
    }

    /// 99 of 100 statements take no longer.
    pub(super) fn usual(&self) -> SimSpan {
        SimSpan::from_secs_f64_rounded(self.usual)
    }

    /// The one at that place among all, from 0 to 1.
    pub(super) fn at(&self, unit: f64) -> SimSpan {
        let secs = if unit < 0.5 {
            self.median * (0.2 + 1.6 * unit)
        } else if unit < 0.99 {
            let part = (unit - 0.5) / 0.49;
            self.median + (self.usual - self.median) * part * part * part
        } else if unit < 1.0 - self.stall_share {
            let part = ((unit - 0.99) / 0.01).powi(16);
            self.usual + (self.longest - self.usual) * part
        } else {
            1.0 + (1.0 - unit) / self.stall_share
        };
        SimSpan::from_secs_f64_rounded(secs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_keep_the_recorded_median_and_their_connections_free() {
        // Median, 99th percentile and maximum in milliseconds, up to the worst that was recorded.
        for (p50, p99, max) in
            [(1.1, 32.0, 63.0), (2.1, 66.0, 147.0), (16.0, 450.0, 900.0), (16.0, 900.0, 2000.0)]
        {
            let latency = Latency::new(p50 / 1e3, p99 / 1e3, max / 1e3, 40.0);
            let of = |unit| latency.at(unit).as_secs_f64() * 1e3;
            assert!((of(0.5) - p50).abs() < 0.01, "{p50}");
            assert!(of(0.99) <= p99 && of(0.99) < 400.0, "{p99}");
            assert!(of(0.998) < 400.0 && of(0.999_99) > 1_000.0, "{}", of(0.998));
            let mut last = 0.0;
            for step in 0..1_000_u32 {
                let now = of(f64::from(step) / 1_000.0);
                assert!(now >= last, "{step}");
                last = now;
            }
        }
    }
}
