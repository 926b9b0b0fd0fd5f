//! Kubernetes quantities as exact integers.
//!
//! Grammar and rounding as in apimachinery 1.36 `pkg/api/resource/quantity.go`: a signed decimal
//! number with a binary suffix (`Ki` to `Ei`), a decimal one (`n`, `u`, `m`, none, `k` to `E`) or an
//! exponent (`e3`, `E-2`). Upstream keeps at most nine decimal places and rounds up (away from
//! zero), and caps at 2^63 - 1; so does this.

use std::fmt;

/// A quantity in thousand-millionths of its base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nanos: i128,
}

const NANOS_PER_UNIT: i128 = 1_000_000_000;
/// The largest quantity: 2^63 - 1 units.
const UNITS_MAX: i128 = i64::MAX as i128;
/// More digits than this cannot matter and would only cost time.
const DIGITS_MAX: usize = 200;

/// Why a text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityError {
    /// It does not begin with a number.
    Number,
    /// What follows the number is no suffix.
    Suffix,
    /// It is far too long.
    Length,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "does not begin with a number",
            Self::Suffix => "has an unknown suffix: m, k, M, G, T, Ki, Mi, Gi, Ti are known",
            Self::Length => "has too many digits",
        })
    }
}

impl std::error::Error for QuantityError {}

/// How a suffix scales a number.
enum Scale {
    Binary(u32),
    Decimal(i32),
}

impl Quantity {
    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        let (is_negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.len() + fraction.len() == 0 || fraction.contains('.') {
            return Err(QuantityError::Number);
        }
        if whole.len() + fraction.len() > DIGITS_MAX {
            return Err(QuantityError::Length);
        }
        let scale = scale_of(suffix)?;
        let magnitude = scaled(whole, fraction, &scale).min(UNITS_MAX * NANOS_PER_UNIT);
        Ok(Self { nanos: if is_negative { -magnitude } else { magnitude } })
    }

    /// In units, rounded up, as `Quantity.Value()` does.
    pub fn ceil(self) -> i64 {
        to_i64(ceil_div(self.nanos, NANOS_PER_UNIT))
    }

    /// In thousandths, rounded up, as `Quantity.MilliValue()` does.
    pub fn ceil_millis(self) -> i64 {
        to_i64(ceil_div(self.nanos, NANOS_PER_UNIT / 1000))
    }

    /// As a float, like `Quantity.AsApproximateFloat64()`: its digits times a power of ten.
    #[expect(clippy::cast_precision_loss, reason = "upstream rounds its digits to a float too")]
    pub fn approximate(self) -> f64 {
        let (mut digits, mut exponent) = (self.nanos, -9);
        while exponent < 0 && digits % 10 == 0 {
            (digits, exponent) = (digits / 10, exponent + 1);
        }
        digits as f64 * 10_f64.powi(exponent)
    }

    /// Whether it has no fraction.
    pub fn is_whole(self) -> bool {
        self.nanos % NANOS_PER_UNIT == 0
    }

    /// In thousand-millionths, exactly.
    pub fn nanos(self) -> i128 {
        self.nanos
    }
}

fn scale_of(suffix: &str) -> Result<Scale, QuantityError> {
    Ok(match suffix {
        "" => Scale::Decimal(0),
        "n" => Scale::Decimal(-9),
        "u" => Scale::Decimal(-6),
        "m" => Scale::Decimal(-3),
        "k" => Scale::Decimal(3),
        "M" => Scale::Decimal(6),
        "G" => Scale::Decimal(9),
        "T" => Scale::Decimal(12),
        "P" => Scale::Decimal(15),
        "E" => Scale::Decimal(18),
        "Ki" => Scale::Binary(10),
        "Mi" => Scale::Binary(20),
        "Gi" => Scale::Binary(30),
        "Ti" => Scale::Binary(40),
        "Pi" => Scale::Binary(50),
        "Ei" => Scale::Binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E']).ok_or(QuantityError::Suffix)?;
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits.is_empty() || !digits.chars().all(|digit| digit.is_ascii_digit()) {
                return Err(QuantityError::Suffix);
            }
            Scale::Decimal(exponent.parse().map_err(|_| QuantityError::Length)?)
        }
    })
}

/// `whole.fraction * scale` in nanos, rounded up; saturates far above the largest quantity.
fn scaled(whole: &str, fraction: &str, scale: &Scale) -> i128 {
    let (factor, shift) = match scale {
        Scale::Binary(bits) => (1_i128 << bits, 9),
        Scale::Decimal(exponent) => (1, exponent.saturating_add(9)),
    };
    // Digits before the decimal point of the number of nanos, and those behind it.
    let digits = format!("{whole}{fraction}");
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX) + i64::from(shift);
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    if is_zero {
        return 0;
    }
    if factor > 1 {
        return scaled_binary(&digits, fraction.len(), factor);
    }
    if point > 60 && leading_zeros(&digits) + 40 < usize::try_from(point).unwrap_or(usize::MAX) {
        return i128::MAX;
    }
    let (kept, has_rest) = match usize::try_from(point) {
        Err(_) => (String::new(), true),
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), false),
        Ok(point) => (digits[..point].to_owned(), digits[point..].bytes().any(|d| d != b'0')),
    };
    parse_saturating(&kept).saturating_add(i128::from(has_rest))
}

/// `digits / 10^places * factor` in nanos, rounded up.
fn scaled_binary(digits: &str, places: usize, factor: i128) -> i128 {
    // Long division by ten, from the left: exact for any number of digits.
    let whole = &digits[..digits.len() - places];
    let mut nanos = parse_saturating(whole).saturating_mul(factor).saturating_mul(NANOS_PER_UNIT);
    let mut weight = factor * NANOS_PER_UNIT;
    let mut rest_is_nonzero = false;
    let mut remainder_scale: i128 = 1;
    let mut remainder: i128 = 0;
    for digit in digits[digits.len() - places..].bytes() {
        let digit = i128::from(digit - b'0');
        // 20 digits keep every intermediate below 2^127: 10^20 * 2^67 is the most.
        if remainder_scale >= 100_000_000_000_000_000_000 / 1000 {
            rest_is_nonzero |= digit != 0;
            continue;
        }
        remainder = remainder * 10 + digit;
        remainder_scale *= 10;
    }
    if remainder_scale > 1 {
        // weight / remainder_scale * remainder, by whole and part to stay inside 127 bits.
        let each = weight / remainder_scale;
        weight %= remainder_scale;
        let part = weight * remainder;
        nanos = nanos
            .saturating_add(each.saturating_mul(remainder))
            .saturating_add(part / remainder_scale);
        rest_is_nonzero |= part % remainder_scale != 0;
    }
    nanos.saturating_add(i128::from(rest_is_nonzero))
}

fn leading_zeros(digits: &str) -> usize {
    digits.bytes().take_while(|digit| *digit == b'0').count()
}

fn parse_saturating(digits: &str) -> i128 {
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i128::MAX) }
}

fn ceil_div(value: i128, by: i128) -> i128 {
    // Away from zero, as upstream rounds.
    let quotient = value / by;
    if value % by == 0 { quotient } else { quotient + value.signum() }
}

fn to_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_read_as_upstream_reads_them() {
        let cases = [
            ("250m", 1, 250),
            ("1", 1, 1000),
            ("0.1", 1, 100),
            (".5", 1, 500),
            ("5.", 5, 5000),
            ("1Gi", 1 << 30, (1 << 30) * 1000),
            ("1.5Gi", 3 << 29, (3 << 29) * 1000),
            ("128Mi", 128 << 20, (128 << 20) * 1000),
            ("2k", 2000, 2_000_000),
            ("1e3", 1000, 1_000_000),
            ("1E3", 1000, 1_000_000),
            ("1E", 1_000_000_000_000_000_000, i64::MAX),
            ("12e-1", 2, 1200),
            ("-1500m", -2, -1500),
            ("0.1m", 1, 1),
            ("1n", 1, 1),
            ("0", 0, 0),
            ("0Ei", 0, 0),
            ("99999999999E", i64::MAX, i64::MAX),
            ("9e99999", i64::MAX, i64::MAX),
            ("1e-99999", 1, 1),
        ];
        for (text, units, millis) in cases {
            let quantity = Quantity::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((quantity.ceil(), quantity.ceil_millis()), (units, millis), "{text}");
        }
        for text in
            ["", "-", ".", "abc", "1.2.3", "1mi", "1KB", "1 Gi", "1Gib", "e3", "1e", "--1", "１"]
        {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    /// A rational number: numerator over a power of ten, exact with 128 bits for short inputs.
    fn oracle(whole: u64, fraction: &str, factor: i128, exponent: i32) -> i128 {
        let digits: i128 = format!("{whole}{fraction}").parse().expect("digits");
        let mut numerator = digits * factor * NANOS_PER_UNIT;
        let mut denominator: i128 = 10_i128.pow(u32::try_from(fraction.len()).expect("short"));
        if exponent >= 0 {
            numerator *= 10_i128.pow(exponent.unsigned_abs());
        } else {
            denominator *= 10_i128.pow(exponent.unsigned_abs());
        }
        let quotient = numerator / denominator + i128::from(numerator % denominator != 0);
        quotient.min(UNITS_MAX * NANOS_PER_UNIT)
    }

    proptest! {
        #[test]
        fn quantities_equal_rational_arithmetic(
            whole in 0_u64..100_000,
            fraction in "[0-9]{0,5}",
            suffix in 0_usize..14,
        ) {
            let suffixes = [
                ("", 1, 0), ("m", 1, -3), ("u", 1, -6), ("n", 1, -9), ("k", 1, 3), ("M", 1, 6),
                ("G", 1, 9), ("T", 1, 12), ("Ki", 1 << 10, 0), ("Mi", 1 << 20, 0),
                ("Gi", 1 << 30, 0), ("Ti", 1_i128 << 40, 0), ("e2", 1, 2), ("E-2", 1, -2),
            ];
            let (text, factor, exponent) = suffixes[suffix];
            let quantity = Quantity::parse(&format!("{whole}.{fraction}{text}")).expect("valid");
            prop_assert_eq!(quantity.nanos(), oracle(whole, &fraction, factor, exponent));
        }

        #[test]
        fn no_text_makes_a_quantity_panic(text in "[-+0-9.eEmkKMGiTun]{0,40}") {
            let _ = Quantity::parse(&text);
        }
    }
}
