//! Two results compared, run by run.
//!
//! Both sides have the same seed and the same runs, so each run is compared with itself: what is
//! reported is the mean of the paired differences and its interval, not the difference of two means.
//! Equal policies differ by exactly zero. Start reading at [`diff`].

use std::collections::{BTreeMap, BTreeSet};

use report_data::{GuaranteeResult, Metric, Note, ScenarioResult, Unit, Verdict};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The JSON Schema of what `diff` writes: a list of [`ScenarioDiff`] (draft-07).
pub fn schema() -> schemars::Schema {
    let settings = schemars::generate::SchemaSettings::draft07();
    settings.into_generator().into_root_schema_for::<Vec<ScenarioDiff>>()
}

/// A scenario before and after a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScenarioDiff {
    /// Version of the data's shape: that of the results compared.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// What was changed, as the user said it.
    pub change: String,
    /// Seed of both sides.
    pub root_seed: u64,
    /// Runs of each side.
    pub run_count: u64,
    /// Guarantees whose verdict or whose figures changed, verdicts first.
    pub guarantees: Vec<GuaranteeDiff>,
    /// Figures that changed in some run.
    pub metrics: Vec<MetricDiff>,
    /// Guarantees that did not change in any run.
    pub equal_guarantee_count: u64,
    /// Figures that did not change in any run.
    pub equal_metric_count: u64,
    /// What only one side has.
    pub unpaired: Vec<String>,
    /// What the input says and the model leaves out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_modelled: Vec<NoteDiff>,
    /// What had to be assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumptions: Vec<NoteDiff>,
    /// Warnings about the input.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<NoteDiff>,
    /// Names of faults that hit nothing in any run, on one side or both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hit_nothing: Vec<String>,
}

impl ScenarioDiff {
    /// Whether the change is, in part at least, something that the model leaves out: then that
    /// nothing differs shows nothing.
    pub fn is_beyond_the_model(&self) -> bool {
        self.not_modelled.iter().any(|note| note.side != Side::Both)
    }

    /// Whether no verdict and no figure changed at all.
    pub fn is_equal(&self) -> bool {
        self.guarantees.is_empty() && self.metrics.is_empty() && self.unpaired.is_empty()
    }
}

/// Which of two results says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// Only the one before.
    Base,
    /// Only the one after.
    Head,
    /// Both.
    Both,
}

/// A note of one result or of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteDiff {
    /// Whose it is.
    pub side: Side,
    /// The note; of both sides the place after.
    pub note: Note,
}

/// A guarantee before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuaranteeDiff {
    /// Its name.
    pub name: String,
    /// The promise.
    pub text: String,
    /// Verdict before.
    pub base: Verdict,
    /// Verdict after.
    pub head: Verdict,
    /// Runs that held it before.
    pub base_held_count: u64,
    /// Runs that hold it after.
    pub head_held_count: u64,
    /// Of its measured value, if there is one in both.
    pub value: Option<Paired>,
}

/// A figure before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MetricDiff {
    /// What is measured.
    pub name: String,
    /// Of what.
    pub subject: String,
    /// Before and after.
    pub paired: Paired,
}

/// Paired differences of one figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Paired {
    /// Unit of all of it.
    pub unit: Unit,
    /// Runs with a value on both sides.
    pub pair_count: u64,
    /// Those of them in which it differs.
    pub changed_count: u64,
    /// Runs with a value on one side only.
    #[serde(default)]
    pub one_sided_count: u64,
    /// Mean before, over the pairs.
    pub base_mean: f64,
    /// Mean after.
    pub head_mean: f64,
    /// Mean of (after - before).
    pub difference_mean: f64,
    /// Lower end of its 95 % interval (Student's t over the pairs); absent for fewer than two.
    pub difference_low: Option<f64>,
    /// Upper end.
    pub difference_high: Option<f64>,
}

/// Why two results cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// They were made with different luck.
    #[error("the seeds differ: {base} and {head}")]
    Seed {
        /// Before.
        base: u64,
        /// After.
        head: u64,
    },
    /// They have different numbers of runs.
    #[error("the numbers of runs differ: {base} and {head}")]
    Runs {
        /// Before.
        base: u64,
        /// After.
        head: u64,
    },
    /// They cover different spans.
    #[error("the horizons differ: {base} ns and {head} ns")]
    Horizon {
        /// Before.
        base: u64,
        /// After.
        head: u64,
    },
}

/// Compares two results of one scenario; `change` says what was changed.
///
/// # Errors
/// When they are not of the same seed, runs and horizon.
pub fn diff(
    base: &ScenarioResult,
    head: &ScenarioResult,
    change: &str,
) -> Result<ScenarioDiff, DiffError> {
    if base.root_seed != head.root_seed {
        return Err(DiffError::Seed { base: base.root_seed, head: head.root_seed });
    }
    if base.run_count != head.run_count {
        return Err(DiffError::Runs { base: base.run_count, head: head.run_count });
    }
    if base.horizon_ns != head.horizon_ns {
        return Err(DiffError::Horizon { base: base.horizon_ns, head: head.horizon_ns });
    }
    let mut unpaired = Vec::new();
    let guarantees = pair(
        &base.guarantees,
        &head.guarantees,
        |guarantee| format!("guarantee {}", guarantee.name),
        &mut unpaired,
    );
    let metrics = pair(
        &base.metrics,
        &head.metrics,
        |metric: &Metric| format!("{} of {}", metric.name, metric.subject),
        &mut unpaired,
    );
    let (guarantee_count, metric_count) = (guarantees.len() as u64, metrics.len() as u64);
    let mut guarantees: Vec<GuaranteeDiff> =
        guarantees.into_iter().filter_map(|(base, head)| guarantee_diff(base, head)).collect();
    // Changed verdicts first, the worst of them first; otherwise as written.
    guarantees.sort_by_key(|diff| (diff.base == diff.head, std::cmp::Reverse(diff.head)));
    let metrics: Vec<MetricDiff> = metrics
        .into_iter()
        .filter_map(|(base, head)| {
            let paired = paired(base.unit, &base.values, &head.values);
            (base.values != head.values).then(|| MetricDiff {
                name: base.name.clone(),
                subject: base.subject.clone(),
                paired,
            })
        })
        .collect();
    Ok(ScenarioDiff {
        schema_version: report_data::SCHEMA_VERSION,
        scenario: base.scenario.clone(),
        change: change.to_owned(),
        root_seed: base.root_seed,
        run_count: base.run_count,
        equal_guarantee_count: guarantee_count - guarantees.len() as u64,
        equal_metric_count: metric_count - metrics.len() as u64,
        guarantees,
        metrics,
        unpaired,
        not_modelled: notes(&base.not_modelled, &head.not_modelled),
        assumptions: notes(&base.assumptions, &head.assumptions),
        warnings: notes(&base.warnings, &head.warnings),
        hit_nothing: hit_nothing(base, head),
    })
}

/// Notes of both sides by what they say: lines move when something else is written above them.
fn notes(base: &[Note], head: &[Note]) -> Vec<NoteDiff> {
    let is_in = |notes: &[Note], note: &Note| notes.iter().any(|it| it.text == note.text);
    let gone = base.iter().filter(|note| !is_in(head, note)).map(|note| (Side::Base, note));
    let of_head = head.iter().map(|note| {
        let side = if is_in(base, note) { Side::Both } else { Side::Head };
        (side, note)
    });
    gone.chain(of_head).map(|(side, note)| NoteDiff { side, note: note.clone() }).collect()
}

fn hit_nothing(base: &ScenarioResult, head: &ScenarioResult) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for fault in base.faults.iter().chain(&head.faults).filter(|fault| fault.hit_run_count == 0) {
        if !names.contains(&fault.name) {
            names.push(fault.name.clone());
        }
    }
    names
}

/// Items of both sides that have the same key, in the order of the base; the keys of the others go
/// to `unpaired`.
fn pair<'a, T>(
    base: &'a [T],
    head: &'a [T],
    key: impl Fn(&T) -> String,
    unpaired: &mut Vec<String>,
) -> Vec<(&'a T, &'a T)> {
    let mut heads: BTreeMap<String, &T> = BTreeMap::new();
    for item in head {
        heads.entry(key(item)).or_insert(item);
    }
    let mut pairs = Vec::new();
    let mut bases = BTreeSet::new();
    for item in base {
        let key = key(item);
        match heads.get(&key) {
            Some(other) => pairs.push((item, *other)),
            None => unpaired.push(format!("{key} is gone")),
        }
        bases.insert(key);
    }
    let new = head.iter().map(key).filter(|key| !bases.contains(key));
    unpaired.extend(new.map(|key| format!("{key} is new")));
    pairs
}

fn guarantee_diff(base: &GuaranteeResult, head: &GuaranteeResult) -> Option<GuaranteeDiff> {
    let is_equal = base.verdict == head.verdict
        && base.held_count == head.held_count
        && base.judged_count == head.judged_count
        && base.values == head.values;
    (!is_equal).then(|| GuaranteeDiff {
        name: base.name.clone(),
        text: head.text.clone(),
        base: base.verdict,
        head: head.verdict,
        base_held_count: base.held_count,
        head_held_count: head.held_count,
        value: Some(paired(base.unit, &base.values, &head.values))
            .filter(|paired| paired.pair_count > 0),
    })
}

fn paired(unit: Unit, base: &[Option<i64>], head: &[Option<i64>]) -> Paired {
    let sides = || base.iter().zip(head);
    let pairs: Vec<(f64, f64)> =
        sides().filter_map(|(base, head)| Some(((*base)? as f64, (*head)? as f64))).collect();
    let one_sided_count = sides().filter(|(base, head)| base.is_some() != head.is_some()).count();
    let differing_count = sides().filter(|(base, head)| base != head).count();
    let count = pairs.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| {
        if pairs.is_empty() { 0.0 } else { pairs.iter().map(of).sum::<f64>() / count }
    };
    let difference_mean = mean(|(base, head)| head - base);
    let half_width = half_width(&pairs, difference_mean);
    Paired {
        unit,
        pair_count: pairs.len() as u64,
        changed_count: (differing_count - one_sided_count) as u64,
        one_sided_count: one_sided_count as u64,
        base_mean: mean(|(base, _)| *base),
        head_mean: mean(|(_, head)| *head),
        difference_mean,
        difference_low: half_width.map(|half| difference_mean - half),
        difference_high: half_width.map(|half| difference_mean + half),
    }
}

/// Half of the 95 % interval of a mean of paired differences.
fn half_width(pairs: &[(f64, f64)], mean: f64) -> Option<f64> {
    let count = pairs.len() as f64;
    if pairs.len() < 2 {
        return None;
    }
    let squares: f64 = pairs.iter().map(|(base, head)| (head - base - mean).powi(2)).sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let student = StudentsT::new(0.0, 1.0, count - 1.0).expect("at least one degree of freedom");
    Some(student.inverse_cdf(0.975) * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(values: &[Option<i64>]) -> ScenarioResult {
        ScenarioResult {
            scenario: "loss".to_owned(),
            description: String::new(),
            file: "loss.yaml".to_owned(),
            root_seed: 1,
            run_count: values.len() as u64,
            horizon_ns: 1,
            digest: String::new(),
            verdict: Verdict::Held,
            guarantees: Vec::new(),
            faults: Vec::new(),
            metrics: vec![Metric {
                name: "availability".to_owned(),
                subject: "shop/web".to_owned(),
                unit: Unit::PartsPerMillion,
                values: values.to_vec(),
            }],
            exposures: Vec::new(),
            storage: Vec::new(),
            recommendations: Vec::new(),
            event_count: 0,
            limited_run_count: 0,
            assumptions: Vec::new(),
            not_modelled: Vec::new(),
            warnings: Vec::new(),
            probes_never_hit: Vec::new(),
        }
    }

    #[test]
    fn a_result_does_not_differ_from_itself() {
        let one = result(&[Some(3), None, Some(7)]);
        let diff = diff(&one, &one, "nothing").expect("the same runs");
        assert!(diff.is_equal());
        assert_eq!(diff.equal_metric_count, 1);
    }

    #[test]
    fn runs_without_a_value_on_both_sides_are_counted_apart() {
        let base = result(&[Some(1), None, Some(3), None]);
        let head = result(&[Some(2), Some(5), None, None]);
        let paired = diff(&base, &head, "more").expect("the same runs").metrics[0].paired;
        assert_eq!((paired.pair_count, paired.changed_count, paired.one_sided_count), (1, 1, 2));
    }

    #[test]
    fn differences_are_paired() {
        // Pairs differ by 1, 2, 3: mean 2, standard deviation 1, t(2) = 4.3027.
        let base = result(&[Some(10), Some(500), Some(7)]);
        let head = result(&[Some(11), Some(502), Some(10)]);
        let diff = diff(&base, &head, "more").expect("the same runs");
        let paired = diff.metrics[0].paired;
        assert_eq!((paired.pair_count, paired.changed_count), (3, 3));
        assert!((paired.difference_mean - 2.0).abs() < 1e-9);
        let half = 4.302_65 / 3.0_f64.sqrt();
        let low = paired.difference_low.expect("three pairs");
        assert!((low - (2.0 - half)).abs() < 1e-3, "{low}");
    }

    /// Of a quota that the model leaves out nothing can differ, which is no sign that nothing does.
    #[test]
    fn what_is_not_modelled_is_compared_too() {
        let note = |text: &str, line| Note {
            text: text.to_owned(),
            position: Some(report_data::Position { file: "m".to_owned(), line, column: 1 }),
        };
        let mut base = result(&[Some(3)]);
        base.not_modelled = vec![note("LimitRange spec", 1), note("Secret data", 2)];
        let mut head = base.clone();
        head.not_modelled = vec![note("Secret data", 7), note("ResourceQuota spec", 9)];
        let changed = diff(&base, &head, "quota").expect("the same runs");
        let sides: Vec<_> =
            changed.not_modelled.iter().map(|it| (it.side, it.note.text.as_str())).collect();
        assert_eq!(
            sides,
            [
                (Side::Base, "LimitRange spec"),
                (Side::Both, "Secret data"),
                (Side::Head, "ResourceQuota spec"),
            ]
        );
        assert!(changed.is_equal() && changed.is_beyond_the_model());
        assert!(!diff(&head, &head, "").expect("the same runs").is_beyond_the_model());
    }

    #[test]
    fn other_runs_are_not_compared() {
        let error = diff(&result(&[Some(1)]), &result(&[Some(1), Some(2)]), "").unwrap_err();
        assert_eq!(error, DiffError::Runs { base: 1, head: 2 });
    }
}
