//! The cluster autoscaler: `given.decision` names what is decided.

mod scale_down;
mod scale_up;

use model_api::{SimSpan, SimTime};
use model_kube::cluster_autoscaler::{Backoff, BackoffSettings, Options};

use crate::case::{Case, Judged};
use crate::tree::Tree;

/// Expectations that only say how to compare.
pub(crate) const SILENT: &[&str] = &["tolerance"];

pub(crate) fn check(case: &mut Case<'_>) -> Judged {
    match case.given.at("decision").text() {
        "estimate" => scale_up::estimate(case),
        "podOrder" => scale_up::pod_order(case),
        "expander" => scale_up::expander(case),
        "balanceSimilarNodeGroups" => scale_up::balance(case),
        "scaleDownEligibility" => scale_down::eligibility(case),
        "drainability" => scale_down::drainability(case),
        "removableNow" => scale_down::removable_now(case),
        "deletionBudget" => scale_down::deletion_budget(case),
        "nodeUtilization" => scale_down::utilization(case),
        "nodeGroupBackoff" => backoff(case),
        other => Err(format!("the decision `{other}` is not modelled")),
    }
}

/// Flags of a case, over the defaults.
fn options(given: Tree<'_>) -> Options {
    let flags = given.at("flags");
    let mut options = Options::default();
    let span = |name: &str, value: &mut SimSpan| {
        if let Some(given) = flags.field(name).duration() {
            *value = given;
        }
    };
    span("scale-down-unneeded-time", &mut options.scale_down_unneeded_time);
    span("scale-down-unready-time", &mut options.scale_down_unready_time);
    span("blocking-system-pod-distruption-timeout", &mut options.drain.system_pod_timeout);
    span("initial-node-group-backoff-duration", &mut options.backoff.initial);
    span("max-node-group-backoff-duration", &mut options.backoff.max);
    span("node-group-backoff-reset-timeout", &mut options.backoff.reset);
    let count = |name: &str, value: &mut usize| {
        if let Some(given) = flags.field(name).int() {
            *value = usize::try_from(given).unwrap_or(0);
        }
    };
    count("max-scale-down-parallelism", &mut options.max_scale_down_parallelism);
    count("max-drain-parallelism", &mut options.max_drain_parallelism);
    let truth = |name: &str, value: &mut bool| *value = flags.field(name).bool().unwrap_or(*value);
    truth("skip-nodes-with-system-pods", &mut options.drain.skips_system_pods);
    truth("skip-nodes-with-local-storage", &mut options.drain.skips_local_storage);
    truth("skip-nodes-with-custom-controller-pods", &mut options.drain.skips_custom_controllers);
    truth("ignore-daemonsets-utilization", &mut options.utilization.ignores_daemon_sets);
    truth("ignore-mirror-pods-utilization", &mut options.utilization.ignores_mirror_pods);
    truth("scale-down-unready-enabled", &mut options.utilization.removes_unready);
    let number = |name: &str, value: &mut f64| {
        *value = flags.field(name).number().unwrap_or(*value);
    };
    number("scale-down-utilization-threshold", &mut options.utilization.threshold);
    number("scale-down-gpu-utilization-threshold", &mut options.utilization.accelerator_threshold);
    if let Some(replicas) = flags.field("min-replica-count").int() {
        options.drain.min_replica_count = i32::try_from(replicas).unwrap_or(i32::MAX);
    }
    options
}

/// Steps in order: failures, successes, and queries, which are answered.
fn backoff(case: &mut Case<'_>) -> Judged {
    let settings: BackoffSettings = options(case.given).backoff;
    let mut backoff: Backoff<&str> = Backoff::new(settings);
    let mut answers = Vec::new();
    for step in case.given.at("steps").items() {
        let at = step.at("at").duration().ok_or("a step has no `at`")?;
        let now = SimTime::ZERO + at;
        for (what, group) in step.fields().filter(|(what, _)| *what != "at") {
            // Steps are known by the words in their names.
            let says = |words: &[&str]| words.iter().any(|word| what.to_lowercase().contains(word));
            match () {
                () if says(&["query"]) => answers.push(backoff.is_backed_off(&group.text(), now)),
                () if says(&["fail"]) => {
                    backoff.failed(group.text(), now);
                }
                () if says(&["stale"]) => backoff.forget_stale(now),
                () if says(&["succe", "remove", "reset"]) => backoff.succeeded(&group.text()),
                () => return Err(format!("the step `{what}` is not modelled")),
            }
        }
    }
    let wanted = case.expect.at("backedOff").items().map(|it| it.is_true()).collect();
    case.compare::<Vec<bool>>("backedOff", wanted, answers);
    Ok(())
}
