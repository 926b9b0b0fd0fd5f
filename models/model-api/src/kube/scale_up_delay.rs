//! How long a pod wants the cluster autoscaler to wait before nodes come for it.

use sim_kernel::SimSpan;

use super::selector::Labels;

/// The annotation of a pod (`core/static_autoscaler.go`, podScaleUpDelayAnnotationKey,
/// cluster-autoscaler 1.36).
pub const SCALE_UP_DELAY: &str = "cluster-autoscaler.kubernetes.io/pod-scale-up-delay";

/// The delay that annotations ask for. `None` without one; an error of one that cannot be read, or
/// that is negative: it counts for nothing then.
///
/// # Errors
/// The text of the annotation.
pub fn scale_up_delay(annotations: &Labels) -> Option<Result<SimSpan, &str>> {
    let text = annotations.get(SCALE_UP_DELAY)?;
    Some(go_duration(text).ok_or(text.as_str()))
}

/// A duration as `time.ParseDuration` of Go reads it (`src/time/format.go`, 1.24): numbers with units,
/// a bare `0`, a sign before all of it. `None` also of negative ones.
fn go_duration(text: &str) -> Option<SimSpan> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" || rest == "-0" {
        return Some(SimSpan::ZERO);
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() || nanos == 0 {
        let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let (number, tail) = rest.split_at(rest.find(|it| !is_of_number(it))?);
        let unit_end = tail.find(is_of_number).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit_nanos: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        nanos += times(number, unit_nanos)?;
        rest = tail;
        if rest.is_empty() {
            break;
        }
    }
    let most = u128::from(i64::MAX.unsigned_abs());
    (nanos <= most).then(|| SimSpan::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}

/// `12`, `.5` or `1.5` of a unit, cut to whole nanoseconds.
fn times(number: &str, unit_nanos: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    // More digits than these are less than a nanosecond of any unit.
    const DIGITS_MAX: usize = 18;
    let fraction = &fraction[..fraction.len().min(DIGITS_MAX)];
    let count = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let whole: u128 = count(whole)?;
    let part: u128 = count(fraction)?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    Some(whole.checked_mul(unit_nanos)? + part * unit_nanos / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let cases = [
            ("0", Some(0)),
            ("300s", Some(300_000)),
            ("1h15m30.918s", Some(4_530_918)),
            ("1.5h", Some(5_400_000)),
            (".5m", Some(30_000)),
            ("+5s", Some(5000)),
            ("100us", Some(0)),
            ("0s", Some(0)),
            ("-5s", None),
            ("5", None),
            ("5 s", None),
            ("1d", None),
            ("s", None),
            (".s", None),
            ("1.2.3s", None),
            ("", None),
            ("300000000h", None),
        ];
        for (text, millis) in cases {
            assert_eq!(go_duration(text).map(|it| it.as_nanos() / 1_000_000), millis, "{text}");
        }
    }
}
