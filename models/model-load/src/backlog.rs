//! Whether requests wait that piled up before: in an outage, or while more came than could be served.
//!
//! Some requests always wait, by chance. How many, in the long run of what comes: beyond all workers the
//! number in an M/M/c queue is geometric, with the utilization as its ratio, so that more than `n` wait
//! with a probability of at most `utilization^n`; work that varies more than exponential work makes it
//! longer as it makes the mean wait longer (Allen and Cunneen 1978). What goes beyond the number that is
//! passed with the probability [`CHANCE`] has another reason: it piled up.
//!
//! Where more comes than can be served in the long run a queue is never longer than it has to be: that is
//! an overload, and no backlog.

/// A queue is longer than by chance when it would be so long this seldom.
const CHANCE: f64 = 1e-4;
/// How many deviations of a normal law are exceeded as seldom.
const CHANCE_SCORE: f64 = 3.719;

/// How many requests wait by chance at most, where workers are busy for this share of the time and the work
/// has this square of the coefficient of variation; before so many pods with a line each.
///
/// The sum of several geometric numbers is taken for that of exponential ones, by Wilson and Hilferty's cube root
/// (1931).
pub(crate) fn waiting_by_chance(utilization: f64, variation_squared: f64, lines: u32) -> f64 {
    if utilization >= 1.0 {
        return f64::INFINITY;
    }
    if utilization <= 0.0 {
        return 1.0;
    }
    let longer = f64::midpoint(1.0, variation_squared).max(1.0);
    let most = if lines <= 1 {
        -libm::log(CHANCE)
    } else {
        let count = f64::from(lines);
        let root = 1.0 - 1.0 / (9.0 * count) + CHANCE_SCORE / (3.0 * libm::sqrt(count));
        count * root * root * root
    };
    (longer * most / -libm::log(utilization)).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_wait_by_chance_the_busier_workers_are() {
        let most = [0.0, 0.1, 0.5, 0.9, 0.99].map(|busy| waiting_by_chance(busy, 1.0, 1));
        assert!(most.is_sorted(), "{most:?}");
        assert!((most[3] - 87.4).abs() < 0.1, "{most:?}");
        assert_eq!(waiting_by_chance(1.0, 1.0, 1), f64::INFINITY);
        assert!(waiting_by_chance(0.5, 4.0, 1) > 2.0 * waiting_by_chance(0.5, 1.0, 1));
    }
    #[test]
    fn several_lines_have_more_but_not_as_much_as_each_at_its_longest() {
        for busy in [0.5, 0.9] {
            let [one, two, ten] = [1, 2, 10].map(|lines| waiting_by_chance(busy, 1.0, lines));
            assert!(one < two && two < 1.5 * one && ten < 3.0 * one, "{one} {two} {ten}");
        }
    }
}
