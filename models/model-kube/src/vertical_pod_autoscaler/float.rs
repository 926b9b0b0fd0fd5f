//! Logarithm and powers as upstream's language computes them, to the last bit.
//!
//! Buckets begin at powers and amounts are cut to integers, so a last bit may decide. Go computes
//! `math.Log` and `math.Exp2` with the coefficients of FreeBSD's libm in an order of operations of
//! its own, and `math.Pow` by repeated squaring (Go 1.24, `src/math/{log,exp,pow}.go`); functions of
//! other libraries differ from them in last bits.

const LN2_HI: f64 = 0.693_147_180_369_123_8;
const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;

/// `math.Log` of a positive finite number.
pub(super) fn ln(x: f64) -> f64 {
    const ODD: [f64; 4] = [
        0.666_666_666_666_673_5,
        0.285_714_287_436_623_9,
        0.181_835_721_616_180_5,
        0.147_981_986_051_165_86,
    ];
    const EVEN: [f64; 3] =
        [0.399_999_999_994_094_2, 0.222_221_984_321_497_84, 0.153_138_376_992_093_73];
    let (mut fraction, mut exponent) = libm::frexp(x);
    if fraction < core::f64::consts::SQRT_2 / 2.0 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let f = fraction - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let t2 = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let rest = t1 + t2;
    let half_square = 0.5 * f * f;
    k * LN2_HI - ((half_square - (s * (half_square + rest) + k * LN2_LO)) - f)
}

/// `math.Exp2`.
pub(super) fn exp2(x: f64) -> f64 {
    const P: [f64; 5] = [
        0.166_666_666_666_666_66,
        -0.002_777_777_777_701_559_3,
        6.613_756_321_437_934e-05,
        -1.653_390_220_546_525_2e-06,
        4.138_136_797_057_238_5e-08,
    ];
    const OVERFLOW: f64 = 1_023.999_999_999_999_9;
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x > OVERFLOW {
        return f64::INFINITY;
    }
    if x < -1074.0 {
        return 0.0;
    }
    // Within +-1074, so the cast is exact.
    let k = (if x > 0.0 { x + 0.5 } else { x - 0.5 }) as i32;
    let t = x - f64::from(k);
    let (hi, lo) = (t * LN2_HI, -t * LN2_LO);
    let r = hi - lo;
    let square = r * r;
    let c =
        r - square * (P[0] + square * (P[1] + square * (P[2] + square * (P[3] + square * P[4]))));
    let y = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi);
    libm::ldexp(y, k)
}

/// `math.Pow` of a number that is not negative to a whole power.
///
/// # Panics
/// When `x` is negative.
pub(super) fn pow(x: f64, power: i32) -> f64 {
    assert!(x.is_nan() || x >= 0.0, "only powers of what is not negative are needed");
    if power == 0 || x == 1.0 {
        return 1.0;
    }
    if power == 1 || x.is_nan() {
        return x;
    }
    if x == 0.0 || x == f64::INFINITY {
        return if (x == 0.0) == (power > 0) { 0.0 } else { f64::INFINITY };
    }
    let (mut mantissa, mut exponent) = (1.0, 0_i32);
    let (mut square, mut square_exponent) = libm::frexp(x);
    let mut rest = power.unsigned_abs();
    while rest != 0 {
        if square_exponent.abs() > 1 << 12 {
            // Overflows or underflows whatever follows.
            exponent += square_exponent;
            break;
        }
        if rest & 1 == 1 {
            mantissa *= square;
            exponent += square_exponent;
        }
        square *= square;
        square_exponent <<= 1;
        if square < 0.5 {
            square += square;
            square_exponent -= 1;
        }
        rest >>= 1;
    }
    if power < 0 {
        mantissa = 1.0 / mantissa;
        exponent = -exponent;
    }
    libm::ldexp(mantissa, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repeated squaring loses some units in the last place; that is how upstream computes.
    fn is_close(a: f64, b: f64) -> bool {
        a == b || (a - b).abs() <= 64.0 * f64::EPSILON * a.abs().max(b.abs())
    }

    #[test]
    fn they_agree_with_other_implementations() {
        let mut x = 1e-9;
        while x < 1e13 {
            assert!(is_close(ln(x), libm::log(x)), "ln {x}");
            x *= 1.37;
        }
        let mut x = -1000.0;
        while x < 1000.0 {
            assert!(is_close(exp2(x), libm::exp2(x)), "2^{x}");
            x += 0.713;
        }
        for power in -30..300 {
            assert!(is_close(pow(1.05, power), libm::pow(1.05, f64::from(power))), "{power}");
        }
    }

    #[test]
    fn whole_powers_of_two_are_exact() {
        assert_eq!([exp2(0.0), exp2(10.0), exp2(-3.0), pow(2.0, 10)], [1.0, 1024.0, 0.125, 1024.0]);
    }

    #[test]
    fn the_ends_are_as_documented() {
        let inf = f64::INFINITY;
        assert_eq!([pow(inf, 2), pow(inf, -1), pow(0.0, 3), pow(0.0, -3)], [inf, 0.0, 0.0, inf]);
        assert_eq!([exp2(2000.0), exp2(-2000.0), exp2(inf)], [inf, 0.0, inf]);
    }
}
