//! Exposure of all runs as the data of a report, with the curve of the first.

use model_api::backup::DisasterClass;
use model_api::observation::{BackupFact, ExposureStretch};
use model_api::{DataSetId, Observation, SimSpan, SimTime};
use report_data::{CurvePoint, Exposure};
use sim_check::RunMeasures;
use sim_kernel::{Causes, EventId, EventRecorder, Recorder};

use crate::Campaign;

/// Points of a curve.
const POINTS_MAX: u64 = 120;

/// Keeps the exposure that a run tells.
#[derive(Clone, Debug, Default)]
struct Curves {
    stretches: Vec<ExposureStretch>,
}

impl Causes for Curves {
    type Link = ();
}

impl Recorder<Observation> for Curves {
    const RECORDS: bool = true;

    fn observe(&mut self, _at: SimTime, _cause: EventId, observation: Observation) {
        if let Observation::Backup(BackupFact::Exposure(stretch)) = observation {
            self.stretches.push(stretch);
        }
    }
}

impl<E> EventRecorder<E> for Curves {}

/// Nothing for what has no bound.
fn bounded(nanos: u64) -> Option<u64> {
    (nanos < u64::MAX).then_some(nanos)
}

/// Exposure by data set and class.
pub(crate) fn exposures(campaign: &Campaign<'_>, measures: &[RunMeasures]) -> Vec<Exposure> {
    let protection = &campaign.plan.blueprint().protection;
    if protection.data_sets.is_empty() {
        return Vec::new();
    }
    let (curves, _) = campaign.plan.run(campaign.root_seed, 0, Curves::default());
    let end_ns = campaign.plan.horizon().as_nanos();
    let mut exposures = Vec::new();
    for (idx, spec) in protection.data_sets.iter().enumerate() {
        for class in DisasterClass::ALL.into_iter().filter(|class| spec.is_exposed_to(*class)) {
            let of_runs = measures.iter().zip(0_u64..);
            let seen: Vec<_> = of_runs
                .filter_map(|(run, number)| Some((run.data[idx].exposure(class)?, number)))
                .collect();
            // Of equals the first.
            let worst = |of: fn(&sim_check::Exposure) -> SimSpan| {
                seen.iter().copied().reduce(
                    |most, next| {
                        if of(&next.0) > of(&most.0) { next } else { most }
                    },
                )
            };
            let (Some(loss), Some(back)) = (worst(|it| it.loss_max), worst(|it| it.back_max))
            else {
                continue;
            };
            let id = DataSetId::from_index(idx);
            let own = curves.stretches.iter().filter(|it| it.data_set == id && it.class == class);
            exposures.push(Exposure {
                data_set: spec.name.clone(),
                class: class.name().to_owned(),
                loss_max_ns: bounded(loss.0.loss_max.as_nanos()),
                loss_is_bound: loss.0.is_loss_bound,
                loss_max_at_ns: loss.0.loss_max_at.as_nanos(),
                loss_max_run: loss.1,
                back_max_ns: bounded(back.0.back_max.as_nanos()),
                back_slack_ns: match back.0.back_slack {
                    SimSpan::ZERO => None,
                    slack => Some(slack.as_nanos()),
                },
                takes_over: seen.iter().any(|it| it.0.takes_over),
                back_max_at_ns: back.0.back_max_at.as_nanos(),
                back_max_run: back.1,
                curve: curve(own, end_ns),
            });
        }
    }
    exposures
}

/// Stretches as a curve of few points: each holds the most of those that reach into it.
fn curve<'a>(
    stretches: impl Iterator<Item = &'a ExposureStretch> + Clone,
    end_ns: u64,
) -> Vec<CurvePoint> {
    let mut ends: Vec<u64> = stretches.clone().map(|it| it.until.as_nanos()).collect();
    ends.sort_unstable();
    ends.dedup();
    if ends.len() as u64 > POINTS_MAX {
        let width = end_ns.div_ceil(POINTS_MAX).max(1);
        ends = (1..=POINTS_MAX).map(|idx| (idx * width).min(end_ns)).collect();
        ends.dedup();
    }
    let mut most: Vec<Option<(u64, u64)>> = vec![None; ends.len()];
    for stretch in stretches {
        let (from, until) = (stretch.from.as_nanos(), stretch.until.as_nanos());
        let first = ends.partition_point(|end| *end <= from);
        for (idx, end) in ends.iter().enumerate().skip(first) {
            let start = if idx == 0 { 0 } else { ends[idx - 1] };
            if start >= until {
                break;
            }
            // A peak belongs to the point it falls into; elsewhere the loss is at most as large.
            let slot = most[idx].get_or_insert((0, 0));
            let is_here = |at: SimTime| at.as_nanos() > start && at.as_nanos() <= *end;
            let loss = if is_here(stretch.loss_max_at) || stretch.loss_max_ns == u64::MAX {
                stretch.loss_max_ns
            } else {
                stretch
                    .loss_from_ns
                    .saturating_add((*end).min(until) - from)
                    .min(stretch.loss_max_ns)
            };
            *slot = (slot.0.max(loss), slot.1.max(stretch.back_max_ns));
        }
    }
    let point = |(until_ns, most): (u64, Option<(u64, u64)>)| {
        let (loss, back) = most?;
        Some(CurvePoint { until_ns, loss_max_ns: bounded(loss), back_max_ns: bounded(back) })
    };
    ends.into_iter().zip(most).filter_map(point).collect()
}
