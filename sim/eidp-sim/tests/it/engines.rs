//! Shipped scenarios in both engines: flows and single requests say the same.
//!
//! Availability within 0.05 points and percentiles within 5 %, beyond what chance does to so few runs. All of
//! them take some minutes: `EIDP_SIM_ALL_ENGINES=1` compares every shipped scenario that has load, and the quick
//! suite those that have shown most.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::ended;
use crate::library::LIBRARY;

/// Runs of each, and how many standard errors of their mean difference are chance: of Student's law with three
/// degrees of freedom less than one in a hundred is further away.
const RUNS: &str = "4";
const CHANCE: f64 = 5.85;
/// Points of availability, and percent of a percentile.
const POINTS: f64 = 0.05;
const PERCENT: f64 = 5.0;

/// What the quick suite compares: each has shown a difference that was mended.
const QUICK: &[&str] = &[
    "calls-at-once",
    "calls-in-a-loop",
    "calls-in-one",
    "local-policy-with-monitor",
    "local-policy-without-monitor",
    "cluster-dns-slow",
];

/// Scenarios that differ, by how much at most in points and percent, and why.
const DIFFER: &[(&str, f64, f64, &str)] = &[
    ("calls-at-once", 0.05, 60.0, "at stations of zones flows take calls at once for single ones"),
    (
        "limit-keeps-its-store",
        0.3,
        5.0,
        "who is refused tries again in a window that is still full",
    ),
    ("limit-loses-its-store", 1.5, 5.0, "the same, and a storm of retries"),
    ("liveness-kills-under-spike", 3.0, 25.0, "probes see the waits of flows in both engines"),
    ("liveness-off-the-work-path", 1.0, 25.0, "the same"),
    (
        "noisy-tenant-limited",
        0.2,
        160.0,
        "flows let all tenants meet the rushes of the limited one",
    ),
    ("noisy-tenant", 0.5, 25.0, "tries in vain keep a queue full that is full in the mean only"),
    ("rate-limit-protects", 0.5, 5.0, "who is refused tries again in a window that is still full"),
    ("sticky-sessions-under-spike", 2.0, 30.0, "clients give up in about the time of a full queue"),
];

/// By name and subject, the values of the runs.
type Figures = BTreeMap<(String, String), Vec<Option<f64>>>;

/// `None` where single requests are more than the program plays.
fn figures(name: &str, fidelity: &str) -> Option<Figures> {
    let ended = ended(&["run", name, "--runs", RUNS, "--fidelity", fidelity, "-o", "json"]);
    let result: Value = serde_json::from_str(&ended.stdout).ok()?;
    let metrics = result["results"][0]["metrics"].as_array().or(result["metrics"].as_array())?;
    let compared = metrics.iter().filter_map(|metric| {
        let name = metric["name"].as_str()?;
        let is_compared = name == "availability" || name.starts_with("latencyP");
        let subject = metric["subject"].as_str().unwrap_or_default();
        let values = metric["values"].as_array()?.iter().map(Value::as_f64).collect();
        is_compared.then(|| ((name.to_owned(), subject.to_owned()), values))
    });
    Some(compared.collect())
}

/// Mean, and what chance may add.
fn mean_and_chance(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, CHANCE * (squares / (count - 1.0) / count).sqrt())
}

/// What differs in a scenario.
fn differences(name: &str) -> Vec<String> {
    let (Some(flows), Some(requests)) = (figures(name, "flow"), figures(name, "request")) else {
        return Vec::new();
    };
    let listed = DIFFER.iter().find(|(listed, ..)| *listed == name);
    let (points, percent) = listed.map_or((POINTS, PERCENT), |it| (it.1, it.2));
    let mut all = Vec::new();
    for ((figure, subject), values) in &flows {
        let Some(others) = requests.get(&(figure.clone(), subject.clone())) else { continue };
        let pairs = values.iter().zip(others).filter_map(|(one, other)| Some(((*one)?, (*other)?)));
        let is_share = figure == "availability";
        let differ = |(one, other): (f64, f64)| {
            if is_share { (one - other) / 1e4 } else { 100.0 * (one - other) / other.max(1.0) }
        };
        let differ: Vec<f64> = pairs.map(differ).collect();
        if differ.len() < 2 {
            continue;
        }
        let (mean, chance) = mean_and_chance(&differ);
        if mean.abs() > if is_share { points } else { percent } + chance {
            let unit = if is_share { "points" } else { "%" };
            all.push(format!("{name}: {figure} of {subject}: {mean:+.3} ± {chance:.3} {unit}"));
        }
    }
    all
}

#[test]
fn shipped_scenarios_end_alike_in_both_engines() {
    let is_all = std::env::var_os("EIDP_SIM_ALL_ENGINES").is_some();
    let names: Vec<&str> = match is_all {
        true => LIBRARY.iter().map(|(name, _)| *name).collect(),
        false => QUICK.to_vec(),
    };
    let wrong: Vec<String> = names.iter().flat_map(|name| differences(name)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(figures(QUICK[0], "request").is_some_and(|it| !it.is_empty()), "it compares nothing");
}

#[test]
fn what_is_listed_to_differ_is_shipped() {
    for (name, _, _, why) in DIFFER {
        assert!(LIBRARY.iter().any(|(known, _)| known == name) && !why.is_empty(), "{name}");
    }
}
