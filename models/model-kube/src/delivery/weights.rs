//! By how much a canary's weight grows (`scheduler.go`, nextStepWeight and maxWeight).

use model_api::canary::{Analysis, TOTAL_WEIGHT};

/// The weight at which a canary is promoted.
pub fn max_weight(analysis: &Analysis) -> u32 {
    match (analysis.step_weights.last(), analysis.max_weight) {
        (Some(last), _) => (*last).min(TOTAL_WEIGHT),
        (None, 0) => TOTAL_WEIGHT,
        (None, max) => max,
    }
}

/// What is added to the canary's weight by the next step. At the end of listed weights that is what
/// is left; at the total it is anything but nothing, so that the canary is promoted.
pub fn next_step(analysis: &Analysis, canary: u32) -> u32 {
    let weights = &analysis.step_weights;
    if analysis.step_weight > 0 || weights.is_empty() {
        return analysis.step_weight;
    }
    let rest = TOTAL_WEIGHT.saturating_sub(canary);
    if rest == 0 {
        return 1;
    }
    if canary == 0 {
        return rest.min(weights[0]);
    }
    let following = weights.windows(2).find(|pair| pair[0] == canary);
    following.map_or(rest, |pair| rest.min(pair[1].saturating_sub(pair[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_weights_are_reached_one_by_one() {
        let analysis = Analysis { step_weights: vec![1, 2, 10, 80], ..Analysis::default() };
        let mut weight = 0;
        let mut seen = Vec::new();
        while weight < max_weight(&analysis) {
            weight += next_step(&analysis, weight);
            seen.push(weight);
        }
        assert_eq!(seen, [1, 2, 10, 80]);
    }
}
