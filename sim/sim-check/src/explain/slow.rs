//! Why answers are slow: at which hop time is spent, and whether a fault has to do with it.

use std::collections::BTreeSet;

use model_api::guarantee::Limit;
use model_api::observation::FlowSegment;
use model_api::parameters::PodCpu;
use model_api::{Observation, ServiceId};
use report_data::{Explanation, Step};
use sim_kernel::{SimSpan, SimTime};

use super::Story;
use crate::latency;

/// Hops that are named: the rest adds little.
const HOPS_MAX: usize = 3;

/// A time to answer as people say it: to the millisecond, and to the microsecond below one.
fn told(span: SimSpan) -> String {
    let nanos = span.as_nanos();
    if nanos >= 1_000_000 {
        format!("{}ms", (nanos + 500_000) / 1_000_000)
    } else {
        format!("{}us", (nanos + 500) / 1_000)
    }
}

/// Where a request passes, and how long it takes there.
#[derive(Clone, Copy, Debug)]
struct Hop {
    service: ServiceId,
    /// Time to answer without waiting, apart from what it calls.
    own: SimSpan,
    /// Mean wait of a request at it, apart from what it calls.
    wait: SimSpan,
}

impl<E> Story<'_, E> {
    /// Explains a quantile of the time to answer that is not within its limit: by the fault that
    /// brought it about, when it was kept until the first one struck, else by the hops that take the
    /// time. `None` when it is not known how long answers took.
    pub fn slow(
        &self,
        run: u64,
        service: ServiceId,
        quantile_ppm: u32,
        limit: &Limit<SimSpan>,
    ) -> Option<Explanation> {
        // Of single requests only the answers are told, and not what they waited for.
        let are_counted = self.journal.observations().iter().any(|record| {
            matches!(record.observation, Observation::Answered { service: of, .. } if of == service)
        });
        if are_counted {
            return None;
        }
        let segments: Vec<(FlowSegment, SimTime)> =
            self.flows(service).map(|(until, _, segment)| (segment, until)).collect();
        let first_fault = self.journal.observations().iter().find_map(|record| {
            matches!(record.observation, Observation::FaultStruck { targets: 1.., .. })
                .then_some(record.at)
        });
        let calm_until = first_fault.unwrap_or(SimTime::MAX);
        let calm: Vec<(FlowSegment, SimTime)> =
            segments.iter().filter(|(_, until)| *until <= calm_until).copied().collect();
        let is_kept = |value: &SimSpan| limit.comparison.holds(value, &limit.value);
        let of_calm = latency::quantile(&calm, quantile_ppm);
        let is_of_fault = first_fault.is_some() && of_calm.as_ref().is_none_or(is_kept);
        let within = if is_of_fault { &segments } else { &calm };
        let (worst, _) = within
            .iter()
            .filter(|(segment, until)| !is_of_fault || segment.from.max(calm_until) < *until)
            .filter_map(|it| Some((it, latency::quantile(std::slice::from_ref(it), quantile_ppm)?)))
            .reduce(|worst, next| if next.1 > worst.1 { next } else { worst })?;
        let at = worst.0.from;
        let mut steps = Vec::new();
        if is_of_fault {
            steps.extend(self.steps(self.cause_at(service, at)));
        }
        let figure = if is_of_fault {
            latency::quantile(std::slice::from_ref(worst), quantile_ppm)?
        } else {
            of_calm?
        };
        let name = self.blueprint.service_name(service);
        let when = match (is_of_fault, first_fault) {
            (true, _) => "from then on, at the worst",
            (false, Some(_)) => "before any fault strikes",
            (false, None) => "and no fault strikes",
        };
        let percent = f64::from(quantile_ppm) / 10_000.0;
        let position = self.position(self.blueprint.services[service.index()].origin.object);
        steps.push(Step {
            at_ns: at.as_nanos(),
            text: format!(
                "{percent} % of the requests for {name} are answered within {}, {when}",
                told(figure)
            ),
            position,
        });
        steps.extend(self.hops(service, at).into_iter().map(|hop| self.hop_step(hop, at)));
        steps.dedup();
        Some(Explanation { run, steps, outage_parts: Vec::new() })
    }

    /// The hops of a request at a moment, those that take most of its time first.
    fn hops(&self, service: ServiceId, at: SimTime) -> Vec<Hop> {
        let mut open = vec![service];
        let gateways = self.blueprint.loads.iter().filter(|load| load.service == service);
        open.extend(gateways.filter_map(|load| load.via));
        let mut seen: BTreeSet<ServiceId> = BTreeSet::new();
        let mut hops = Vec::new();
        while let Some(next) = open.pop() {
            if !seen.insert(next) {
                continue;
            }
            let profile = self.blueprint.profiles.iter().find(|it| it.service == next);
            let calls = profile.map(|it| it.depends_on.as_slice()).unwrap_or_default();
            open.extend(calls);
            let wait = self.mean_wait(next, at);
            let of_calls: u64 = calls.iter().map(|call| self.mean_wait(*call, at).as_nanos()).sum();
            hops.push(Hop {
                service: next,
                own: profile.map_or(SimSpan::ZERO, |it| it.base_latency),
                wait: SimSpan::from_nanos(wait.as_nanos().saturating_sub(of_calls)),
            });
        }
        let total = |hop: &Hop| hop.own.as_nanos().saturating_add(hop.wait.as_nanos());
        hops.retain(|hop| total(hop) > 0);
        hops.sort_by_key(|hop| (std::cmp::Reverse(total(hop)), hop.service));
        hops.truncate(HOPS_MAX);
        hops
    }

    /// Mean wait of a request for a Service at a moment, the Services it calls included.
    fn mean_wait(&self, service: ServiceId, at: SimTime) -> SimSpan {
        let flow = self.flow_at(service, at);
        let wait = flow.map_or(0, |it| {
            u128::from(it.wait_mean_ns) * u128::from(it.wait_probability_ppm) / 1_000_000
        });
        SimSpan::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    fn flow_at(&self, service: ServiceId, at: SimTime) -> Option<FlowSegment> {
        let mut flows = self.flows(service).map(|(_, _, segment)| segment);
        flows.find(|segment| segment.from <= at && at < segment.until)
    }

    fn hop_step(&self, hop: Hop, at: SimTime) -> Step {
        let name = self.blueprint.service_name(hop.service);
        let busy = self.busy(hop.service, at).unwrap_or_default();
        let text = if hop.wait > hop.own {
            format!(
                "{name}: requests wait {} in the mean and take {} themselves{busy}",
                told(hop.wait),
                told(hop.own)
            )
        } else {
            format!(
                "{name}: requests take {} themselves and wait {} in the mean{busy}",
                told(hop.own),
                told(hop.wait)
            )
        };
        let profile = self.blueprint.profiles.iter().find(|it| it.service == hop.service);
        let source = profile.map_or_else(
            || self.blueprint.services[hop.service.index()].origin.object,
            |profile| profile.origin.object,
        );
        Step { at_ns: at.as_nanos(), text, position: self.position(source) }
    }

    /// How busy the pods of a Service are, as the end of a sentence: what its requests take of their
    /// CPU limits, or of their requests where there are none, or of the cores that their workers can use.
    fn busy(&self, service: ServiceId, at: SimTime) -> Option<String> {
        let profile = self.blueprint.profiles.iter().find(|it| it.service == service)?;
        let flow = self.flow_at(service, at)?;
        let pods = self.journal.observations().iter().rev().find_map(|record| {
            match record.observation {
                Observation::EndpointsChanged { service: of, live_count, .. }
                    if of == service && record.at <= at =>
                {
                    Some(live_count)
                }
                _ => None,
            }
        })?;
        let spec = &self.blueprint.services[service.index()];
        let its =
            |it: &&model_api::kube::Workload| spec.selects(&it.namespace, &it.template.labels);
        let workload = self.blueprint.workloads.iter().find(its)?;
        let container = spec.serving_container(&workload.template)?;
        let millis = match self.blueprint.parameters.pod_cpu {
            PodCpu::Stated => container.limits.cpu_millis().or(container.requests.cpu_millis())?,
            // What its node has left changes; a limit is nearly always there in full.
            PodCpu::NodeShare => container.limits.cpu_millis()?,
        };
        // A worker is a thread: it uses one core at a time.
        let millis =
            profile.serving.cores_max.map_or(millis, |it| millis.min(i64::from(it) * 1000));
        let rate = flow.offered_from_millirps as f64 / 1e3;
        let asked = rate * profile.cpu_per_request.as_secs_f64();
        let have = f64::from(pods) * millis as f64 / 1e3;
        if asked <= 0.0 || have <= 0.0 {
            return None;
        }
        let what = if pods == 1 { "pod is" } else { "pods are" };
        Some(format!("; its {pods} {what} {:.0} % busy", 100.0 * asked / have))
    }
}
