//! The load of an autoscaling trace, and the metrics that the recorder made of it.

use model_api::{PodId, SimSpan, SimTime, WorkloadId};
use model_kube::horizontal_pod_autoscaler::Sample;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic};

use super::objects::Objects;
use crate::fields::{Fields, leave_out, number, refuse};

/// How often metrics.k8s.io is renewed, and the window of its samples, unless a load says it.
const SCRAPE: SimSpan = SimSpan::from_secs(15);
/// What a pod is said to use that gets no load yet.
const IDLE_MILLIS: f64 = 1.0;

/// CPU that the pods of one workload use together, over time.
#[derive(Clone, Debug)]
pub(crate) struct PlayedLoad {
    pub(crate) workload: WorkloadId,
    /// Most millicores that one pod uses.
    cap: f64,
    /// What a pod is said to use that gets no load yet, in millicores.
    idle: f64,
    /// How often its metrics are renewed, and the window of a sample.
    pub(crate) scrape: SimSpan,
    /// Seconds of the scenario, and millicores in all.
    points: Vec<(f64, f64)>,
}

/// `load`: that of one workload, or a list with those of several.
pub(super) fn read(
    fields: &Fields<'_>,
    objects: &Objects,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<PlayedLoad> {
    let Some(node) = fields.get("load") else { return Vec::new() };
    let one = std::slice::from_ref(node);
    let loads = node.items().unwrap_or(one).iter();
    loads.filter_map(|node| PlayedLoad::read(node, objects, diagnostics)).collect()
}

impl PlayedLoad {
    fn read(node: &Node, objects: &Objects, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        const KEYS: &[&str] = &["app", "cap", "idle", "points", "scrape"];
        let fields = Fields::of(node, "`load`", KEYS, diagnostics);
        let app = fields.need("app", diagnostics)?;
        let name = app.text().unwrap_or_default();
        let Some(workload) = objects.workload(name) else {
            let message = format!("there is no workload `{name}`");
            diagnostics.push(Diagnostic::new(Code::E0016, app.span, message));
            return None;
        };
        let mut points = Vec::new();
        for point in fields.items("points", diagnostics) {
            let pair = point.items().unwrap_or_default();
            match (pair.first().and_then(number), pair.get(1).and_then(number)) {
                (Some(at), Some(millis)) => {
                    points.push((at, millis));
                    if let Some(more) = pair.get(2) {
                        leave_out(
                            more,
                            "what stands behind the millicores of a point",
                            diagnostics,
                        );
                    }
                }
                _ => refuse(point, "[seconds, millicores]", diagnostics),
            }
        }
        let cap = fields.number("cap", f64::INFINITY, diagnostics);
        let idle = fields.number("idle", IDLE_MILLIS, diagnostics);
        let scrape = fields.seconds("scrape", SCRAPE.as_secs_f64(), diagnostics);
        if let (true, Some(node)) = (scrape.is_zero(), fields.get("scrape")) {
            refuse(node, "seconds above 0", diagnostics);
            return None;
        }
        Some(Self { workload, cap, idle, scrape, points })
    }

    /// Millicores in all at a second of the scenario: linear between points, a step where two are
    /// at one time.
    fn total(&self, secs: f64) -> f64 {
        let behind = self.points.partition_point(|(at, _)| *at <= secs);
        match (behind.checked_sub(1).map(|idx| self.points[idx]), self.points.get(behind)) {
            (Some((from, first)), Some((until, last))) => {
                first + (last - first) * (secs - from) / (until - from)
            }
            (Some((_, last)), None) => last,
            (None, Some((_, first))) => *first,
            (None, None) => 0.0,
        }
    }

    /// What a scrape shows of the running pods: the ready ones share the load, each up to the cap.
    pub(crate) fn samples(
        &self,
        secs: f64,
        at: SimTime,
        running: &[(PodId, bool)],
    ) -> Vec<(PodId, Sample)> {
        let ready_count = running.iter().filter(|(_, is_ready)| *is_ready).count();
        #[expect(clippy::cast_precision_loss, reason = "pods are few")]
        let share = (self.total(secs) / ready_count.max(1) as f64).min(self.cap);
        let sample = |(pod, is_ready): &(PodId, bool)| {
            let millis = if *is_ready { share } else { self.idle };
            #[expect(clippy::cast_possible_truncation, reason = "loads are small")]
            let value = (millis * 1e6).round() as i64;
            (*pod, Sample { value, at, window: self.scrape })
        };
        running.iter().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_is_linear_between_points_and_steps_at_equal_times() {
        let points = vec![(-999.0, 750.0), (0.0, 750.0), (0.0, 2250.0), (10.0, 3250.0)];
        let load =
            PlayedLoad { workload: WorkloadId(0), cap: 1000.0, idle: 1.0, scrape: SCRAPE, points };
        let got: Vec<f64> = [-2000.0, -1.0, 0.0, 5.0, 99.0].map(|at| load.total(at)).to_vec();
        assert_eq!(got, [750.0, 750.0, 2250.0, 2750.0, 3250.0]);
        let at = SimTime::from_secs(9);
        let samples =
            load.samples(5.0, at, &[(PodId(1), true), (PodId(2), false), (PodId(3), true)]);
        let values: Vec<i64> = samples.iter().map(|(_, sample)| sample.value / 1_000_000).collect();
        assert_eq!(values, [1000, 1, 1000]);
    }
}
