//! From what the metrics propose to what is set: stabilization, rates, least and most
//! (`pkg/controller/podautoscaler/horizontal.go`, Kubernetes 1.36).

use model_api::kube::{HorizontalPodAutoscaler, ScalingBehavior, ScalingRules, SelectPolicy};
use sim_kernel::{SimSpan, SimTime};

use super::history::{Edge, History};
use super::{Settings, to_int32};

/// Without `behavior` a target may at most be multiplied by this (`scaleUpLimitFactor`),
pub const UP_FACTOR: f64 = 2.0;
/// or grow to this (`scaleUpLimitMinimum`).
pub const UP_MINIMUM: f64 = 4.0;

/// How many replicas a target without `behavior` may grow to (`calculateScaleUpLimit`).
pub fn default_up_limit(current: i32) -> i32 {
    to_int32((UP_FACTOR * f64::from(current)).max(UP_MINIMUM))
}

/// A proposal after all limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// How many.
    pub replicas: i32,
    /// What the windows made of the proposal, before rates and limits.
    pub stabilized: i32,
    /// Reason of condition AbleToScale.
    pub able_reason: &'static str,
    /// Reason of condition ScalingLimited, which is True when `replicas` is not `stabilized`.
    pub limited_reason: &'static str,
}

/// Reason when nothing was limited.
const WITHIN: &str = "DesiredWithinRange";
/// Reason when nothing was stabilized.
const READY: &str = "ReadyForNewScale";

/// Normalizes a proposal and remembers it.
pub fn normalize(
    autoscaler: &HorizontalPodAutoscaler,
    settings: &Settings,
    history: &mut History,
    current: i32,
    proposal: i32,
    now: SimTime,
) -> Normalized {
    match &autoscaler.behavior {
        None => without_behavior(autoscaler, settings, history, current, proposal, now),
        Some(behavior) => {
            with_behavior(autoscaler, behavior, settings, history, current, proposal, now)
        }
    }
}

/// `normalizeDesiredReplicas`.
fn without_behavior(
    autoscaler: &HorizontalPodAutoscaler,
    settings: &Settings,
    history: &mut History,
    current: i32,
    proposal: i32,
    now: SimTime,
) -> Normalized {
    let window = settings.downscale_stabilization;
    let stabilized = history.highest(proposal, window, Edge::Inclusive, now);
    history.recommend(proposal, now, window);
    let up_limit = default_up_limit(current);
    let (most, reason) = if autoscaler.max_replicas > up_limit {
        (up_limit, "ScaleUpLimit")
    } else {
        (autoscaler.max_replicas, "TooManyReplicas")
    };
    let (replicas, limited_reason) = if stabilized < autoscaler.min_replicas {
        (autoscaler.min_replicas, "TooFewReplicas")
    } else if stabilized > most {
        (most, reason)
    } else {
        (stabilized, WITHIN)
    };
    let able_reason = if stabilized == proposal { READY } else { "ScaleDownStabilized" };
    Normalized { replicas, stabilized, able_reason, limited_reason }
}

/// `normalizeDesiredReplicasWithBehaviors`.
fn with_behavior(
    autoscaler: &HorizontalPodAutoscaler,
    behavior: &ScalingBehavior,
    settings: &Settings,
    history: &mut History,
    current: i32,
    proposal: i32,
    now: SimTime,
) -> Normalized {
    let (up_window, down_window) = windows(behavior, settings);
    let up = history.lowest(proposal, up_window, Edge::Exclusive, now);
    let down = history.highest(proposal, down_window, Edge::Exclusive, now);
    let mut stabilized = current;
    if stabilized < up {
        stabilized = up;
    }
    if stabilized > down {
        stabilized = down;
    }
    history.recommend(proposal, now, up_window.max(down_window));
    let able_reason = match (stabilized == proposal, proposal >= current) {
        (true, _) => READY,
        (false, true) => "ScaleUpStabilized",
        (false, false) => "ScaleDownStabilized",
    };
    let (replicas, limited_reason) =
        limit_rate(autoscaler, behavior, history, current, stabilized, now);
    Normalized { replicas, stabilized, able_reason, limited_reason }
}

/// The windows of both directions.
fn windows(behavior: &ScalingBehavior, settings: &Settings) -> (SimSpan, SimSpan) {
    let down = behavior.scale_down.stabilization_window;
    (
        behavior.scale_up.stabilization_window.unwrap_or(SimSpan::ZERO),
        down.unwrap_or(settings.downscale_stabilization),
    )
}

/// `convertDesiredReplicasWithBehaviorRate`.
fn limit_rate(
    autoscaler: &HorizontalPodAutoscaler,
    behavior: &ScalingBehavior,
    history: &History,
    current: i32,
    wanted: i32,
    now: SimTime,
) -> (i32, &'static str) {
    if wanted > current {
        let limit = up_limit(&behavior.scale_up, history, current, now).max(current);
        let (most, reason) = if autoscaler.max_replicas > limit {
            (limit, "ScaleUpLimit")
        } else {
            (autoscaler.max_replicas, "TooManyReplicas")
        };
        if wanted > most {
            return (most, reason);
        }
    } else if wanted < current {
        let limit = down_limit(&behavior.scale_down, history, current, now).min(current);
        let (least, reason) = if autoscaler.min_replicas < limit {
            (limit, "ScaleDownLimit")
        } else {
            (autoscaler.min_replicas, "TooFewReplicas")
        };
        if wanted < least {
            return (least, reason);
        }
    }
    (wanted, WITHIN)
}

/// `calculateScaleUpLimitWithScalingRules`: percentages round up, else a small target never grows.
fn up_limit(rules: &ScalingRules, history: &History, current: i32, now: SimTime) -> i32 {
    let limits = limits(rules, history, current, now, grown);
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Min => limits.fold(i32::MAX, i32::min),
        SelectPolicy::Max => limits.fold(i32::MIN, i32::max),
    }
}

/// `calculateScaleDownLimitWithBehaviors`: percentages are cut; `Max` is the largest change, so the
/// smallest number.
fn down_limit(rules: &ScalingRules, history: &History, current: i32, now: SimTime) -> i32 {
    let limits = limits(rules, history, current, now, shrunk);
    match rules.select_policy {
        SelectPolicy::Disabled => current,
        SelectPolicy::Min => limits.fold(i32::MIN, i32::max),
        SelectPolicy::Max => limits.fold(i32::MAX, i32::min),
    }
}

fn grown(base: i32, value: i32, is_percent: bool) -> i32 {
    if is_percent {
        to_int32((f64::from(base) * (1.0 + f64::from(value) / 100.0)).ceil())
    } else {
        base.wrapping_add(value)
    }
}

fn shrunk(base: i32, value: i32, is_percent: bool) -> i32 {
    if is_percent {
        to_int32(f64::from(base) * (1.0 - f64::from(value) / 100.0))
    } else {
        base.wrapping_sub(value)
    }
}

/// To how many replicas each policy of one direction lets a target go, in their order.
pub fn policy_limits(
    rules: &ScalingRules,
    is_up: bool,
    history: &History,
    current: i32,
    now: SimTime,
) -> Vec<i32> {
    limits(rules, history, current, now, if is_up { grown } else { shrunk }).collect()
}

/// What each policy allows, counted from what was there when its period began.
fn limits(
    rules: &ScalingRules,
    history: &History,
    current: i32,
    now: SimTime,
    allowed: impl Fn(i32, i32, bool) -> i32,
) -> impl Iterator<Item = i32> {
    rules.policies.iter().map(move |policy| {
        let (added, removed) = history.changes(policy.period, now);
        let base = current.wrapping_sub(added).wrapping_add(removed);
        allowed(base, policy.value, policy.is_percent)
    })
}

/// The next moment at which the same proposal could give another result because something leaves a
/// window or a period.
pub fn next_departure(
    autoscaler: &HorizontalPodAutoscaler,
    settings: &Settings,
    history: &History,
    proposal: i32,
    now: SimTime,
) -> Option<SimTime> {
    let Some(behavior) = &autoscaler.behavior else {
        let windows = [(settings.downscale_stabilization, Edge::Inclusive)];
        return history.next_departure(proposal, &windows, std::iter::empty(), now);
    };
    let (up, down) = windows(behavior, settings);
    let windows = [(up, Edge::Exclusive), (down, Edge::Exclusive)];
    let policies = behavior.scale_up.policies.iter().chain(&behavior.scale_down.policies);
    history.next_departure(proposal, &windows, policies.map(|policy| policy.period), now)
}

#[cfg(test)]
mod tests {
    use model_api::Origin;
    use model_api::kube::{ScaleTarget, ScalingPolicy};

    use super::super::history::{Recommendation, ScaleEvent};
    use super::*;

    fn autoscaler(behavior: Option<ScalingBehavior>) -> HorizontalPodAutoscaler {
        HorizontalPodAutoscaler {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            target: ScaleTarget::default(),
            min_replicas: 1,
            max_replicas: 20,
            metrics: Vec::new(),
            behavior,
            origin: Origin::default(),
        }
    }

    fn behavior(up_window_secs: u64, down_window_secs: u64) -> ScalingBehavior {
        let window = |secs| Some(SimSpan::from_secs(secs));
        ScalingBehavior {
            scale_up: ScalingRules {
                stabilization_window: window(up_window_secs),
                ..ScalingRules::default_up()
            },
            scale_down: ScalingRules {
                stabilization_window: window(down_window_secs),
                ..ScalingRules::default_down()
            },
        }
    }

    /// What was recommended at the start.
    fn recommended(replicas: i32) -> History {
        History::with(&[Recommendation { replicas, at: SimTime::ZERO }], &[], &[])
    }

    fn stabilized(
        behavior: Option<ScalingBehavior>,
        history: &mut History,
        (current, proposal): (i32, i32),
        at: SimTime,
    ) -> i32 {
        let autoscaler = autoscaler(behavior);
        normalize(&autoscaler, &Settings::default(), history, current, proposal, at).stabilized
    }

    #[test]
    fn a_recommendation_counts_up_to_the_edge_of_its_window() {
        let end = SimTime::from_mins(5);
        let (before, after) = (end - SimSpan::from_nanos(1), end + SimSpan::from_nanos(1));
        let down = |behavior, at| stabilized(behavior, &mut recommended(9), (9, 5), at);
        // Without behavior the edge is inside, with one it is outside, in both directions.
        assert_eq!((down(None, end), down(None, after)), (9, 5));
        let with = Some(behavior(0, 300));
        assert_eq!((down(with.clone(), before), down(with, end)), (9, 5));
        let up = |at| stabilized(Some(behavior(300, 0)), &mut recommended(3), (3, 8), at);
        assert_eq!((up(before), up(end)), (3, 8));
    }

    #[test]
    fn a_recommendation_is_kept_for_the_longer_window_and_its_edge() {
        let mut history = recommended(3);
        let rise = |history: &mut History, secs| {
            stabilized(Some(behavior(600, 300)), history, (3, 8), SimTime::from_secs(secs))
        };
        assert_eq!((rise(&mut history, 400), rise(&mut history, 500)), (3, 3));
        assert_eq!(rise(&mut history, 600), 8);
        // What is made twice at the edge sees the same twice.
        let mut history = recommended(9);
        let mut fall = || stabilized(None, &mut history, (9, 5), SimTime::from_mins(5));
        assert_eq!((fall(), fall()), (9, 9));
    }

    #[test]
    fn what_has_grown_too_fast_stays_and_does_not_shrink() {
        let period = SimSpan::from_secs(60);
        let mut slow = behavior(0, 0);
        slow.scale_up.policies = vec![ScalingPolicy { is_percent: false, value: 4, period }];
        slow.scale_down.policies = slow.scale_up.policies.clone();
        let change = [ScaleEvent { change: 8, at: SimTime::from_secs(100) }];
        let now = SimTime::from_secs(110);
        let limited = |history: &History, wanted| {
            limit_rate(&autoscaler(Some(slow.clone())), &slow, history, 10, wanted, now)
        };
        let risen = History::with(&[], &change, &[]);
        assert_eq!(limited(&risen, 12), (10, "ScaleUpLimit"));
        let fallen = History::with(&[], &[], &change);
        assert_eq!(limited(&fallen, 8), (10, "ScaleDownLimit"));
    }

    #[test]
    fn of_equal_limits_that_of_the_object_is_named() {
        let mut slow = behavior(0, 0);
        let period = SimSpan::from_secs(60);
        slow.scale_up.policies = vec![ScalingPolicy { is_percent: false, value: 10, period }];
        slow.scale_down.policies = vec![ScalingPolicy { is_percent: false, value: 9, period }];
        let limited = |wanted| {
            let history = History::default();
            let scaler = autoscaler(Some(slow.clone()));
            limit_rate(&scaler, &slow, &history, 10, wanted, SimTime::ZERO)
        };
        assert_eq!(limited(30), (20, "TooManyReplicas"));
        assert_eq!(limited(0), (1, "TooFewReplicas"));
    }
}
