//! How a canary is tried: the weight of each step, and when it is taken.

use model_api::SimSpan;
use model_api::canary::{Canary, Metric, MetricKind};
use model_kube::delivery::{
    Delivery, Effect, Phase, Readiness, Seen, advance, is_under_way, max_weight,
};

use crate::amount;
use crate::draft::{Draft, Row, row};

/// Looks after which the course of a trial is cut.
const LOOKS_MAX: u32 = 10_000;
/// Looks at most of which a table tells.
const ROWS_MAX: usize = 1_000;

/// What becomes of a trial.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// With its phase, at so many looks after the first.
    Over(Phase, u32),
    /// A look changes nothing any more, for ever.
    Stuck,
    /// It goes on.
    Cut,
}

/// Explains how a version of a target is tried, when all goes well or its pods never get ready.
pub(super) fn canary(draft: &mut Draft<'_>, canary: &Canary, never_available: bool) {
    let (analysis, origin) = (&canary.analysis, &canary.origin);
    let interval = analysis.effective_interval();
    let text = format!("a step each {}; the first within one", amount::span(interval));
    draft.setting("interval", text, origin, "spec.analysis.interval");
    let way = if analysis.is_skipped {
        "none: a version whose pods are ready is promoted".to_owned()
    } else if analysis.effective_iterations() > 0 {
        format!(
            "blue/green: {} before all requests go to it at once",
            amount::count(analysis.effective_iterations(), "check")
        )
    } else {
        format!("requests shift until it answers {} %", max_weight(analysis))
    };
    draft.setting("analysis", way, origin, "spec.analysis");
    for metric in &analysis.metrics {
        draft.step_at("metric", metric_text(metric), origin, "spec.analysis.metrics");
    }
    let threshold = analysis.effective_threshold();
    let text =
        format!("rolled back by the look after {}", amount::count(threshold, "failed check"));
    draft.setting("threshold", text, origin, "spec.analysis.threshold");
    let text = format!(
        "rolled back when too few pods are available for {}",
        amount::span(analysis.progress_deadline)
    );
    draft.setting("deadline", text, origin, "spec.progressDeadlineSeconds");
    if canary.is_suspended {
        draft.step_at("suspended", "no version is tried", origin, "spec.suspend");
    }
    let (rows, end) = course(canary, never_available);
    let span = |looks: u32| amount::span(interval.saturating_mul(u64::from(looks)));
    draft.answer(match end {
        _ if canary.is_suspended => "nothing happens while the canary is suspended".to_owned(),
        End::Over(Phase::Failed, looks) => {
            format!("rolled back {} after the first look, having got no request", span(looks))
        }
        End::Over(_, looks) => format!(
            "promoted {} after the first look, when every check passes and pods are ready in time",
            span(looks)
        ),
        End::Stuck => "never promoted: no step leads to its end".to_owned(),
        End::Cut => format!("not over {} after the first look", span(LOOKS_MAX - 1)),
    });
    draft.figure("isDone", matches!(end, End::Over(Phase::Succeeded, _)));
    draft.figure("steps", rows.len());
    draft.table(
        "steps",
        "steps of the trial (from the first look on)",
        &[("after", "after"), ("weight", "weight"), ("phase", "phase"), ("act", "act")],
        rows,
    );
    draft.note("requests, loads and errors decide in a run; here checks pass");
}

/// Each look that changes something, and how it ends.
fn course(canary: &Canary, never_available: bool) -> (Vec<Row>, End) {
    let analysis = &canary.analysis;
    let mut delivery = Delivery { phase: Phase::Initialized, ..Delivery::default() };
    let mut rows = Vec::new();
    for look in 0..LOOKS_MAX {
        let after = analysis.effective_interval().saturating_mul(u64::from(look));
        let seen = sight(canary, look == 0, never_available.then_some(after));
        let (next, effects) = advance(analysis, delivery, seen);
        if (next != delivery || look == 0) && rows.len() < ROWS_MAX {
            rows.push(row([
                ("after", amount::span(after).into()),
                ("weight", next.routes.canary.into()),
                ("phase", format!("{:?}", next.phase).into()),
                ("act", acts(&effects, next, delivery).into()),
            ]));
        }
        if !is_under_way(next.phase) {
            return (rows, End::Over(next.phase, look));
        }
        // Only the time for which pods are missed can still change what a look finds.
        if next == delivery && seen.canary == Readiness::Ready {
            return (rows, End::Stuck);
        }
        delivery = next;
    }
    (rows, End::Cut)
}

/// What a look finds; `lacking` is for how long no pod has been available.
fn sight(canary: &Canary, is_first: bool, lacking: Option<SimSpan>) -> Seen {
    let readiness = match lacking {
        None => Readiness::Ready,
        Some(span) if span > canary.analysis.progress_deadline => Readiness::DeadlineExceeded,
        Some(_) => Readiness::NotYet,
    };
    Seen {
        is_suspended: canary.is_suspended,
        is_target_changed: is_first,
        primary: Readiness::Ready,
        canary: readiness,
        checks_pass: true,
        may_start: true,
        may_increase: true,
        may_promote: true,
        wants_rollback: false,
    }
}

fn acts(effects: &[Effect], next: Delivery, before: Delivery) -> String {
    let mut acts: Vec<&str> = Vec::new();
    if next.iterations > before.iterations && next.routes == before.routes {
        acts.push("a check passes");
    }
    if next.routes.mirrored && !before.routes.mirrored {
        acts.push("requests are copied");
    }
    for effect in effects {
        acts.push(match effect {
            Effect::ScaleCanaryUp => "the canary starts",
            Effect::ScaleCanaryToZero => "the canary stops",
            Effect::CopyToPrimary => "the primary rolls to it",
        });
    }
    acts.join(", ")
}

/// Parts per million as percent, without zeros at the end.
fn percent(ppm: i64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn metric_text(metric: &Metric) -> String {
    let window = amount::span(metric.window);
    let limit = |value: i64| match metric.kind {
        MetricKind::SuccessRate => format!("{} %", percent(value)),
        MetricKind::Duration => amount::span(SimSpan::from_nanos(value.unsigned_abs())),
    };
    let what = match metric.kind {
        MetricKind::SuccessRate => "answers without error",
        MetricKind::Duration => "99 % of the answers within",
    };
    let bounds = [metric.check.min.map(|it| format!("at least {}", limit(it))), {
        metric.check.max.map(|it| format!("at most {}", limit(it)))
    }];
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    format!("{what}: {}, over {window}; without requests it fails", bounds.join(" and "))
}
