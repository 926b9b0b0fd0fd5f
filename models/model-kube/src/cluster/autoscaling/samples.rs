//! What a look is shown: pods as the API has them, samples as the metrics pipelines have them.

use model_api::{AutoscalerId, PodId, ServiceId};
use sim_kernel::{SimSpan, SimTime};

use super::meter::{FRESH_MIN, RESOLUTION};
use super::tables::{CpuOfContainer, MetricTable, RequestTable, ScalerTable};
use super::traffic::Reading;
use super::{BEFORE, moment};
use crate::cluster::Cluster;
use crate::cluster::pod::PodPhase;
use crate::horizontal_pod_autoscaler::replica_calculator::{Scene, propose};
use crate::horizontal_pod_autoscaler::{
    ConditionStatus, Decision, Measurement, MetricError, PodFacts, PodPhase as ApiPhase, Proposal,
    ReadyCondition, Requests, Sample, Tolerances,
};

/// Further than this many syncs nobody looks ahead: 16 years of them.
const SYNC_COUNT_MAX: u64 = 1 << 25;

/// Room for one look, kept to spare allocations.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    pub(super) facts: Vec<PodFacts>,
    /// By metric, then by pod.
    samples: Vec<Vec<Option<Sample>>>,
    /// By metric: what is said of an object or from outside.
    values: Vec<Option<i64>>,
}

impl ScalerTable {
    /// What was gathered of each metric.
    pub(super) fn measurements<'a>(&'a self, room: &'a Room) -> Vec<Measurement<'a>> {
        let metrics = self.metrics.iter().enumerate();
        let measurement = |(idx, metric): (usize, &'a MetricTable)| {
            let requests = match metric {
                MetricTable::Requests(requests) if !requests.is_of_pods => {
                    return match &room.values[idx] {
                        Some(value) => Measurement::Values(std::slice::from_ref(value)),
                        None => Measurement::Unavailable("fewer than two scrapes in the window"),
                    };
                }
                MetricTable::Requests(_) => Requests::None,
                MetricTable::Failing(why) => return Measurement::Unavailable(why),
                MetricTable::Cpu { request, .. } | MetricTable::Memory { request, .. } => {
                    match request {
                        Ok(request) => Requests::Same(*request),
                        Err(what) => Requests::Missing(what),
                    }
                }
            };
            Measurement::OfPods { samples: &room.samples[idx], stray: &[], requests }
        };
        metrics.map(measurement).collect()
    }
}

impl Cluster {
    /// What the API and the metrics pipelines show of the pods of a target.
    pub(super) fn gather(&self, table: &ScalerTable, now: SimTime, room: &mut Room) {
        let at = now + BEFORE;
        let scrape = self.autoscaling.scrape(at);
        room.facts.clear();
        room.facts.extend(self.pods_of(table.workload).iter().map(|id| self.facts(*id)));
        room.samples.resize_with(table.metrics.len(), Vec::new);
        room.values.clear();
        for (samples, metric) in room.samples.iter_mut().zip(&table.metrics) {
            samples.clear();
            let mut value = None;
            match metric {
                MetricTable::Cpu { container, .. } => {
                    let pods = self.pods_of(table.workload).iter();
                    samples.extend(pods.map(|pod| {
                        let usage = self.usage(*pod, container.as_ref(), scrape)?;
                        // Metrics come in nanocores, which the controller rounds up to millicores.
                        let millicores = (i128::from(usage.value) + 999_999) / 1_000_000;
                        let value = i64::try_from(millicores).unwrap_or(i64::MAX);
                        Some(Sample { value, ..usage })
                    }));
                }
                MetricTable::Failing(_) => {}
                MetricTable::Memory { container, .. } => {
                    let pods = self.pods_of(table.workload).iter();
                    samples.extend(pods.map(|pod| self.memory_sample(*pod, *container, scrape)));
                }
                MetricTable::Requests(requests) if requests.is_of_pods => {
                    let pods = self.pods_of(table.workload).iter();
                    samples.extend(pods.map(|pod| self.requests_sample(*pod, requests, at)));
                }
                MetricTable::Requests(requests) => value = self.reading(requests, at).in_all(),
            }
            room.values.push(value);
        }
    }

    fn facts(&self, id: PodId) -> PodFacts {
        let pod = &self.pods[id.index()];
        // Restarts leave `startTime` as it is, and with it when the kubelet saw the pod first.
        let started_at = if pod.restart_count > 0 { pod.created_at } else { pod.worker_at };
        let was_ready = pod.created_at == SimTime::ZERO || pod.ready_since > pod.created_at;
        let ready = match (pod.is_ready, was_ready) {
            (true, _) => {
                ReadyCondition { status: ConditionStatus::True, since: moment(pod.ready_since) }
            }
            // Simplified: one that is not ready any more was ready for a while.
            (false, true) => ReadyCondition { status: ConditionStatus::False, since: SimTime::MAX },
            (false, false) => {
                ReadyCondition { status: ConditionStatus::False, since: moment(started_at) }
            }
        };
        PodFacts {
            is_deleted: pod.is_terminating,
            phase: match pod.phase {
                PodPhase::Finished | PodPhase::Gone => ApiPhase::Failed,
                _ if pod.has_address => ApiPhase::Running,
                _ => ApiPhase::Pending,
            },
            ready: Some(ready),
            started_at: pod.node.map(|_| moment(started_at)),
        }
    }

    /// How old the container of a pod is at a scrape, if its kubelet shows anything of it.
    fn age_at(&self, id: PodId, scrape: SimTime) -> Option<SimSpan> {
        let pod = &self.pods[id.index()];
        if pod.phase != PodPhase::Running || !self.is_in_contact(id) {
            return None;
        }
        let age = scrape.checked_since(moment(pod.plan.started_at))?;
        (age >= FRESH_MIN).then_some(age)
    }

    /// What the last scrape says of the memory of a pod, in thousandths of a byte. There is nothing of
    /// a container whose CPU is not known (metrics-server 0.8, `pkg/storage/pod.go`).
    fn memory_sample(
        &self,
        id: PodId,
        container: Option<usize>,
        scrape: SimTime,
    ) -> Option<Sample> {
        let window = self.age_at(id, scrape)?.min(RESOLUTION);
        let line = self.autoscaling.memory.at(id, scrape)?;
        let bytes = self.bytes_of(id, container, line, scrape.saturating_sub(BEFORE));
        let value = i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(1000);
        Some(Sample { value, at: scrape, window })
    }

    /// What the scrapes until now say of the requests of a pod.
    fn requests_sample(&self, id: PodId, table: &RequestTable, at: SimTime) -> Option<Sample> {
        let pod = &self.pods[id.index()];
        if pod.phase != PodPhase::Running || !self.is_in_contact(id) {
            return None;
        }
        self.reading(table, at).of_pod(id, moment(pod.plan.started_at))
    }

    pub(super) fn reading<'a>(&'a self, table: &'a RequestTable, at: SimTime) -> Reading<'a> {
        let autoscaling = &self.autoscaling;
        Reading {
            table,
            traffic: &autoscaling.traffic,
            meters: &autoscaling.meters,
            phase: autoscaling.adapter_phases[table.position],
            now: at,
            span: table.window + table.interval * 2,
        }
    }

    /// The first sync at which memory that grows makes a metric say something else, while nothing but
    /// that changes.
    pub(super) fn next_growth(
        &mut self,
        id: AutoscalerId,
        table: &ScalerTable,
        decision: &Decision,
        now: SimTime,
    ) -> Option<SimTime> {
        let is_memory = |metric: &MetricTable| matches!(metric, MetricTable::Memory { .. });
        let grows = |pod: &PodId| self.is_growing(*pod);
        if !table.metrics.iter().any(is_memory) || !self.pods_of(table.workload).iter().any(grows) {
            return None;
        }
        let mut room = std::mem::take(&mut self.autoscaling.room);
        let memory = (0..).zip(&table.metrics).filter(|(_, metric)| is_memory(metric));
        let next = memory.filter_map(|(idx, _)| {
            let said = decision.metrics.get(idx)?.as_ref().ok()?;
            self.next_otherwise(id, table, idx, said, now, &mut room)
        });
        let next = next.min();
        self.autoscaling.room = room;
        next
    }

    /// What a metric of memory says is looked up at syncs to come until it is found where it changes.
    /// That may be halved: memory only grows, and with it both ratios. While neither leaves its side of
    /// 1 and of the tolerances, the proposal can only grow too.
    fn next_otherwise(
        &self,
        id: AutoscalerId,
        table: &ScalerTable,
        idx: usize,
        said: &Proposal,
        now: SimTime,
        room: &mut Room,
    ) -> Option<SimTime> {
        let autoscaling = &self.autoscaling;
        let MetricTable::Memory { container, request } = &table.metrics[idx] else { return None };
        let spec = &table.spec;
        let metric = &spec.metrics[idx];
        let settings = &autoscaling.settings;
        let tolerances = Tolerances::of(spec, settings);
        let period = autoscaling.look_period();
        let phase = autoscaling.scalers[id.index()].phase;
        let first = (now + SimSpan::from_nanos(1)).next_tick(period, phase);
        let key = |it: &Proposal| {
            (tolerances.side(it.ratio), tolerances.side(it.used_ratio), it.replicas)
        };
        let Room { facts, samples, .. } = room;
        let target = self.scale_target(table, facts);
        let mut is_same = |number: u64| {
            let sync = first + period * number;
            let scrape = autoscaling.scrape(sync + BEFORE);
            let pods = self.pods_of(table.workload).iter();
            samples[idx].clear();
            samples[idx].extend(pods.map(|pod| self.memory_sample(*pod, *container, scrape)));
            let requests = match request {
                Ok(request) => Requests::Same(*request),
                Err(what) => Requests::Missing(what),
            };
            let measured = Measurement::OfPods { samples: &samples[idx], stray: &[], requests };
            let scene = Scene {
                pods: target.pods,
                spec_replicas: target.spec_replicas,
                status_replicas: target.status_replicas,
                tolerances,
                settings,
                now: sync + BEFORE,
            };
            let proposed: Result<Proposal, MetricError> = propose(metric, &measured, &scene);
            proposed.is_ok_and(|it| key(&it) == key(said))
        };
        // The last that is the same, and one that is not.
        let (mut low, mut high) = (0, 0);
        while is_same(high) {
            (low, high) = (high, high * 2 + 1);
            if high > SYNC_COUNT_MAX {
                return None;
            }
        }
        while high - low > 1 {
            let middle = low.midpoint(high);
            if is_same(middle) { low = middle } else { high = middle }
        }
        Some(first + period * high)
    }

    /// What the last scrape says of a pod, in nanocores.
    ///
    /// Simplified: the metrics of a node that is lost are gone at once, not at the next scrape, and
    /// metrics-server itself never fails.
    fn usage(
        &self,
        id: PodId,
        container: Option<&CpuOfContainer>,
        scrape: SimTime,
    ) -> Option<Sample> {
        let pod = &self.pods[id.index()];
        if let Some(played) = self.autoscaling.played.get(&pod.workload) {
            let (_, sample) = played.iter().find(|(known, _)| *known == id)?;
            let share_ppm = container.map_or(1_000_000, |it| it.share_ppm);
            let value = i128::from(sample.value) * i128::from(share_ppm) / 1_000_000;
            return Some(Sample { value: i64::try_from(value).unwrap_or(i64::MAX), ..*sample });
        }
        let window = self.age_at(id, scrape)?.min(RESOLUTION);
        let from = scrape.saturating_sub(window);
        let services = &self.tables.template_of(pod).services;
        let is_its = |service: ServiceId| container.is_none_or(|it| it.services.contains(&service));
        let spent: u128 = services
            .iter()
            .filter(|(service, _)| is_its(*service))
            .filter_map(|(service, _)| {
                let meter = &self.autoscaling.meters[service.index()];
                let since = meter.served_since(id)?;
                Some(meter.spent(from.max(since), scrape))
            })
            .sum();
        let value = i64::try_from(spent / u128::from(window.as_nanos())).unwrap_or(i64::MAX);
        Some(Sample { value, at: scrape, window })
    }
}
