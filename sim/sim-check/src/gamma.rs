//! The gamma distribution, in functions that give the same bits on every machine.

/// Terms after which a sum is taken as it is: shapes up to ten thousand need a tenth of these.
const TERM_COUNT_MAX: u32 = 10_000;
const PRECISION: f64 = 1e-14;

/// Share of a gamma distribution of this shape and scale 1 that lies above a point.
///
/// The regularized upper incomplete gamma function: by its series below the shape and by its
/// continued fraction above (NIST's Digital Library of Mathematical Functions, 8.7.1 and 8.9.2).
/// Not `statrs`', which asks the `ln` and `exp` of the machine, and panics at zero.
pub(crate) fn share_above(shape: f64, point: f64) -> f64 {
    if point <= 0.0 {
        return 1.0;
    }
    let front = libm::exp(shape * libm::log(point) - point - libm::lgamma(shape));
    if point < shape + 1.0 {
        (1.0 - front * series(shape, point)).clamp(0.0, 1.0)
    } else {
        (front * fraction(shape, point)).clamp(0.0, 1.0)
    }
}

fn series(shape: f64, point: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / shape, 1.0 / shape);
    for count in 1..TERM_COUNT_MAX {
        term *= point / (shape + f64::from(count));
        sum += term;
        if term < sum * PRECISION {
            break;
        }
    }
    sum
}

/// `1 / (x + (1 - a) / (1 + 1 / (x + (2 - a) / (1 + 2 / (x + ...` in its even part, evaluated from
/// the front by Lentz's way; above the shape none of its parts is zero.
fn fraction(shape: f64, point: f64) -> f64 {
    let mut whole = point + 1.0 - shape;
    let mut lower = 1.0 / whole;
    let (mut upper, mut value) = (f64::INFINITY, lower);
    for count in 1..TERM_COUNT_MAX {
        let count = f64::from(count);
        let part = count * (shape - count);
        whole += 2.0;
        lower = 1.0 / (whole + part * lower);
        upper = whole + part / upper;
        value *= upper * lower;
        if (upper * lower - 1.0).abs() < PRECISION {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_known_laws() {
        for point in [0.0, 0.1, 1.0, 3.0, 10.0, 50.0] {
            let exponential = libm::exp(-point);
            assert!((share_above(1.0, point) - exponential).abs() < 1e-13, "{point}");
            let erlang = exponential * (1.0 + point + point * point / 2.0);
            assert!((share_above(3.0, point) - erlang).abs() < 1e-13, "{point}");
            let root = libm::erfc(libm::sqrt(point));
            assert!((share_above(0.5, point) - root).abs() < 1e-13, "{point}");
        }
    }

    #[test]
    fn both_ways_meet_at_the_shape() {
        for shape in [0.001, 0.3, 2.0, 57.5, 1000.0, 10_000.0] {
            let at = |point: f64| share_above(shape, point);
            let (below, above) = (at((shape + 1.0) * (1.0 - 1e-13)), at(shape + 1.0));
            assert!((below - above).abs() < 1e-9, "{shape}: {below} {above}");
            assert!((at(1e6) + at(0.0) - 1.0).abs() < 1e-12, "{shape}");
        }
    }
}
