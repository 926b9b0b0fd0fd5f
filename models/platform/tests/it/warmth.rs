//! Pods that are new do less than warm ones.

use model_api::fault::{FaultKind, Start};
use model_api::path::WarmUp;
use model_api::{SimSpan, SimTime, WorkloadId};

use crate::{fault, flows, run, small};

/// What the three pods answer from each moment on, in requests per 1000 s, of more than they can do,
/// when one of them crashes after ten minutes.
fn answered(warm_up: Option<WarmUp>) -> Vec<(SimTime, u64)> {
    let mut blueprint = small();
    blueprint.profiles[0].serving.warm_up = warm_up;
    blueprint.loads[0].points[0].rate_millirps = 90_000_000;
    let kind = FaultKind::PodCrash { workload: WorkloadId(0), count: Some(1) };
    let crash = fault("crash", kind, Start::At(SimTime::from_secs(600)), None);
    let journal = run(blueprint, vec![crash], 3);
    let told = flows(&journal, 0);
    told.iter().map(|(segment, _)| (segment.from, segment.served_from_millirps)).collect()
}

#[test]
fn a_pod_that_restarts_does_more_from_step_to_step() {
    let warm_up = WarmUp { span: SimSpan::from_mins(10), factor_milli: 4_000 };
    let (cold, warm) = (answered(Some(warm_up)), answered(None));
    let full = warm[0].1;
    assert_eq!(cold[0], warm[0], "whoever runs from the start is warm");
    assert_eq!(cold.last().map(|it| it.1), Some(full));
    let back = cold.iter().rposition(|it| it.1 < full * 7 / 10).expect("it was away") + 1;
    let steps = &cold[back..];
    assert_eq!(steps.len() as u64, WarmUp::STEPS + 1, "{steps:?}");
    // Its start, a quarter of the speed, and an eighth of the way to all of it.
    let first = full * 2 / 3 + full / 3 * 296_875 / 1_000_000;
    assert!(steps[0].1.abs_diff(first) <= 3, "{} {first}", steps[0].1);
    let rises = |pair: &[(SimTime, u64)]| pair[1].1 > pair[0].1;
    assert!(steps.windows(2).all(rises), "{steps:?}");
    let lasted = steps[steps.len() - 1].0 - steps[0].0;
    assert!(lasted > SimSpan::from_secs(540) && lasted <= SimSpan::from_secs(600), "{lasted:?}");
}

#[test]
fn a_healthy_platform_has_nothing_to_wait_for() {
    let mut blueprint = small();
    blueprint.profiles[0].serving.warm_up =
        Some(WarmUp { span: SimSpan::from_mins(10), factor_milli: 4_000 });
    let journal = run(blueprint, Vec::new(), 1);
    assert_eq!(journal.events().len(), 0, "{:?}", journal.events());
}
