//! What quotas do to pods: both engines count the same periods, as the kernel does.

use model_api::observation::Throttling;
use model_api::path::{CallPolicy, Serving, Work};
use sim_kernel::SimSpan;

use crate::world::{Act, Case, Node, Run};

const SECS: u64 = 400;

/// So many pods whose limit is so many cores, with threads that take 10 ms for a request.
fn case(rps: u64, pods: u32, milli_cores: u64, workers: u32, work: Work) -> Case {
    let quota_period = Some(SimSpan::from_millis(100));
    let serving = Serving { workers, work, quota_period, ..Serving::default() };
    let node = Node {
        base_millis: 20,
        loads: vec![(None, vec![(0, rps * 1000)])],
        client: CallPolicy::default(),
        serving,
        ..Node::default()
    };
    Case {
        nodes: vec![node],
        start: vec![Act::Endpoints(0, pods, pods, u64::from(pods) * milli_cores * 100)],
        millis: SECS * 1000,
        ..Case::default()
    }
}

/// Periods in which something ran, of all; in which pods were throttled, of these; and the share of the
/// time that they stood still.
fn shares(run: &Run, pods: u32) -> [f64; 3] {
    let [(0, Throttling { periods, throttled, stood_ns })] = run.throttled[..] else {
        panic!("one Service has quotas: {:?}", run.throttled);
    };
    let (all, secs) = (f64::from(pods) * SECS as f64 * 10.0, f64::from(pods) * SECS as f64);
    [periods as f64 / all, throttled as f64 / periods as f64, stood_ns as f64 * 1e-9 / secs]
}

#[test]
fn both_engines_count_the_same_periods() {
    let (exp, constant) = (Work::Exponential, Work::Constant);
    for (rps, pods, cores, workers, work) in [
        (100, 1, 2000, 8, exp),
        (150, 1, 2000, 8, exp),
        (225, 3, 1000, 4, exp),
        (80, 4, 500, 20, exp),
        (120, 4, 500, 20, exp),
        (120, 4, 500, 20, constant),
    ] {
        let case = case(rps, pods, cores, workers, work);
        let (flow, single) = (shares(&case.run(), pods), shares(&case.run_requests(5), pods));
        for (idx, percent) in [(0, 5.0), (1, 15.0), (2, 15.0)] {
            let (flow, single) = (flow[idx], single[idx]);
            let is_close = (flow - single).abs() <= percent / 100.0 * single + 0.01;
            assert!(is_close, "{rps} of {pods} x {cores}: {idx}: {flow}, counted {single}");
        }
    }
}

#[test]
fn threads_that_cannot_use_a_quota_up_are_never_throttled() {
    let case = case(300, 1, 4000, 4, Work::Exponential);
    for run in [case.run(), case.run_requests(5)] {
        let [active, throttled, stood] = shares(&run, 1);
        assert!(active > 0.99 && throttled == 0.0 && stood == 0.0, "{active} {throttled} {stood}");
    }
}

#[test]
fn an_overloaded_pod_is_throttled_in_every_period() {
    let case = case(300, 1, 2000, 8, Work::Exponential);
    for run in [case.run(), case.run_requests(5)] {
        let [active, throttled, stood] = shares(&run, 1);
        // Eight threads use up two cores' quota in a quarter of a period.
        assert!(active > 0.99 && throttled > 0.98, "{active} {throttled}");
        assert!((stood - 0.75).abs() < 0.02, "{stood}");
    }
}
