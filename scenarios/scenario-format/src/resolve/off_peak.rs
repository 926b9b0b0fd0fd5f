//! Workloads that are small outside of their hours, by their annotations.

use model_api::WorkloadId;
use model_api::blueprint::OffPeak;
use model_api::kube::Labels;
use model_api::kube::off_peak::{HoursError, schedule_of};

use super::Resolver;
use crate::time_zone;
use crate::yaml::{Entry, Node};

impl Resolver<'_> {
    /// Reads the annotations of workloads that have a size. Hours that the downscaler could not read
    /// leave a workload alone, as they do there.
    pub(super) fn off_peak(&mut self) {
        for idx in 0..self.blueprint.workloads.len() {
            let workload = &self.blueprint.workloads[idx];
            let sourced = &self.manifests.workloads[idx];
            let object = self.manifests.object(sourced);
            if !workload.kind.has_scale() || object.key.group != "apps" {
                continue;
            }
            let written = object.node.at(&["metadata", "annotations"]).and_then(Node::entries);
            let pair = |entry: &Entry| Some((entry.key.clone(), entry.value.text()?.to_owned()));
            let annotations: Labels = written.unwrap_or_default().iter().filter_map(pair).collect();
            let (origin, id) = (workload.origin.clone(), WorkloadId::from_index(idx));
            let name = self.blueprint.workload_name(id);
            match schedule_of(&annotations, time_zone::in_any_case) {
                Ok(None) => {}
                Ok(Some(schedule)) => {
                    self.blueprint.off_peak.push(OffPeak { workload: id, schedule });
                }
                Err(HoursError::Form(text)) => self.assume(
                    format!("{name}: keeps its size, as `{text}` is not of the form `Mon-Fri 07:30-20:30 UTC`"),
                    &origin,
                ),
                Err(HoursError::TimeZone(zone)) => self.assume(
                    format!("{name}: keeps its size, as {}", time_zone::unknown(&zone)),
                    &origin,
                ),
            }
        }
    }
}
