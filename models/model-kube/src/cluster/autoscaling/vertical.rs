//! What vertical autoscalers would recommend, from the CPU that load costs in a run and the memory that
//! pods use.
//!
//! Upstream's recommender reads the metrics of every container once a minute. Nobody reads here:
//! where usage is constant or linear, all samples of the stretch are taken up at once when it ends,
//! and what is recommended is worked out once, at the end of the run. The history begins with the
//! run, as that of a recommender that was installed then.
//!
//! Peaks of memory are in `peaks`; without a profile of its memory nothing is recommended for a workload.

mod peaks;

use std::collections::BTreeMap;
use std::sync::Arc;

use model_api::kube::{ResourceList, Workload};
use model_api::{Blueprint, Observation, ServiceId, VerticalAutoscalerId, WorkloadId};
use sim_kernel::{Context, EntityKey, Purpose, Recorder, SimSpan, SimTime, Streams};

use peaks::Peaks;

use super::meter::{FRESH_MIN, Meter, RESOLUTION};
use super::{BEFORE, moment};
use crate::cluster::pod::PodPhase;
use crate::cluster::{Cluster, KubeEvent};
use crate::horizontal_pod_autoscaler::request_of;
use crate::vertical_pod_autoscaler::{
    Aggregate, Aggregation, ContainerPolicy, Resources, Settings, Timestamp, recommend,
};

const LOOP_PHASE: Purpose = Purpose::new("vertical autoscaler loop phase");

/// `--recommender-interval` (vertical-pod-autoscaler `pkg/recommender/main.go`, August 2026).
const LOOP: SimSpan = SimSpan::from_mins(1);
/// A run begins on a Monday at midnight; decay counts from midnights, so any is as good.
const START: Timestamp = Timestamp::from_unix(1_767_571_200, 0);

/// What is worked out of all vertical autoscalers once.
#[derive(Debug, Default)]
pub(super) struct VerticalTables {
    watched: Vec<Watched>,
    by_workload: BTreeMap<WorkloadId, usize>,
    /// By vertical autoscaler; `None` for one whose target is not there.
    targets: Vec<Option<Target>>,
}

/// A workload that some of them look after.
#[derive(Debug)]
struct Watched {
    workload: WorkloadId,
    /// Parts per million of what a pod uses, by container.
    shares_ppm: Vec<u64>,
}

#[derive(Debug)]
struct Target {
    /// Position in [`VerticalTables::watched`].
    watched: usize,
    policies: Vec<ContainerPolicy>,
}

impl VerticalTables {
    pub(super) fn of(blueprint: &Blueprint) -> Self {
        let mut tables = Self::default();
        for autoscaler in &blueprint.vertical_autoscalers {
            let target = blueprint.vertical_target(autoscaler).map(|workload| {
                let next = tables.watched.len();
                let watched = *tables.by_workload.entry(workload).or_insert(next);
                if watched == next {
                    let shares_ppm = shares_ppm(&blueprint.workloads[workload.index()]);
                    tables.watched.push(Watched { workload, shares_ppm });
                }
                Target { watched, policies: ContainerPolicy::all_of(autoscaler) }
            });
            tables.targets.push(target);
        }
        tables
    }

    /// Workloads that somebody looks after.
    pub(super) fn workloads(&self) -> impl Iterator<Item = WorkloadId> {
        self.watched.iter().map(|watched| watched.workload)
    }

    pub(super) fn watches(&self, workload: WorkloadId) -> bool {
        self.by_workload.contains_key(&workload)
    }
}

/// How a pod's CPU is divided among its containers.
///
/// Simplified: as they request it; evenly where none requests any.
fn shares_ppm(workload: &Workload) -> Vec<u64> {
    let spec = &workload.template.spec;
    let request = |name: &str| {
        let amount = request_of(spec, ResourceList::CPU, Some(name)).unwrap_or(0);
        amount.max(0).unsigned_abs()
    };
    let requests: Vec<u64> = spec.containers.iter().map(|it| request(&it.name)).collect();
    let sum: u64 = requests.iter().sum();
    let share = |amount: u64| match sum {
        0 => 1_000_000 / requests.len().max(1) as u64,
        sum => amount * 1_000_000 / sum,
    };
    requests.iter().map(|amount| share(*amount)).collect()
}

/// What the recommender knows in a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Vertical {
    /// Of the scrapes that it reads.
    phase: SimSpan,
    /// By watched workload.
    histories: Vec<History>,
}

impl Vertical {
    /// `scrape` tells the last scrape that is over at a moment.
    pub(super) fn at_start(
        tables: &VerticalTables,
        streams: Streams,
        scrape: impl Fn(SimTime) -> SimTime,
    ) -> Self {
        if tables.watched.is_empty() {
            return Self::default();
        }
        let draw = streams.draw(EntityKey::of("vpa-recommender"), LOOP_PHASE, 0);
        let phase = draw.span_between(SimSpan::ZERO, LOOP - SimSpan::from_nanos(1));
        // Scrapes divide the loop evenly, so that each reading is as old as the others.
        let read = scrape(SimTime::ZERO + LOOP + phase);
        Self {
            phase: SimSpan::from_nanos(read.as_nanos() % LOOP.as_nanos()),
            histories: tables.watched.iter().map(History::of).collect(),
        }
    }

    pub(super) fn is_watching(&self) -> bool {
        !self.histories.is_empty()
    }
}

/// What is known of one workload. Times are moments, as autoscalers count them.
#[derive(Clone, Debug)]
struct History {
    /// Samples before this are taken up.
    until: SimTime,
    /// Its pods that are measured from then on, and how many are alike.
    pods: Vec<(MeasuredPod, u64)>,
    /// By container.
    aggregates: Vec<Aggregate>,
    /// Some sample measured something.
    is_used: bool,
    /// Memory of its pods.
    peaks: Peaks,
}

/// A pod of which there are metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MeasuredPod {
    started_at: SimTime,
    /// The Services that it answers for, since when.
    served: Vec<(ServiceId, SimTime)>,
}

impl MeasuredPod {
    /// What a scrape measures, in nanocores.
    fn usage(&self, meters: &[Meter], at: SimTime) -> u128 {
        let window = at.saturating_since(self.started_at).min(RESOLUTION);
        let from = at.saturating_sub(window);
        let spent = |(service, since): &(ServiceId, SimTime)| {
            meters[service.index()].spent(from.max(*since), at)
        };
        self.served.iter().map(spent).sum::<u128>() / u128::from(window.as_nanos().max(1))
    }

    /// Moments at which what it uses may bend, in order.
    fn bends(&self, meters: &[Meter]) -> Vec<SimTime> {
        let mut bends = vec![self.started_at];
        for (service, since) in &self.served {
            bends.push(*since);
            bends.extend(meters[service.index()].bends());
        }
        bends.sort_unstable();
        bends
    }
}

impl History {
    fn of(watched: &Watched) -> Self {
        let aggregation = Aggregation::default();
        Self {
            until: SimTime::ZERO + BEFORE,
            pods: Vec::new(),
            aggregates: vec![Aggregate::new(&aggregation); watched.shares_ppm.len()],
            is_used: false,
            peaks: Peaks::default(),
        }
    }

    /// Takes up the samples before `until`. To be called before anything changes that they measure.
    fn take_up(&mut self, watched: &Watched, meters: &[Meter], phase: SimSpan, until: SimTime) {
        let first = self.until.next_tick(LOOP, phase);
        self.until = self.until.max(until);
        let Some(length) = until.checked_since(first).filter(|length| !length.is_zero()) else {
            return;
        };
        let count = length.as_nanos().div_ceil(LOOP.as_nanos());
        for (pod, copies) in &self.pods {
            let bends = pod.bends(meters);
            let mut number = 0;
            while number < count {
                let at = first + LOOP * number;
                let window_from = at.saturating_sub(RESOLUTION);
                let next = match bends.iter().find(|bend| **bend > window_from) {
                    None => count,
                    Some(bend) if *bend < at => number + 1,
                    Some(bend) => ((*bend - first).as_nanos() / LOOP.as_nanos() + 1).min(count),
                };
                if at.saturating_since(pod.started_at) >= FRESH_MIN {
                    let row = Row { pod, meters, at, count: next - number, copies: *copies };
                    self.is_used |= row.add_to(&mut self.aggregates, &watched.shares_ppm);
                }
                number = next;
            }
        }
    }
}

/// Samples whose usage lies on a line, of pods that are alike.
struct Row<'a> {
    pod: &'a MeasuredPod,
    meters: &'a [Meter],
    at: SimTime,
    count: u64,
    copies: u64,
}

impl Row<'_> {
    /// Whether any of them measured something.
    fn add_to(&self, aggregates: &mut [Aggregate], shares_ppm: &[u64]) -> bool {
        let first = START.plus(self.at.saturating_since(SimTime::ZERO + BEFORE));
        let usage = |number: u64| self.pod.usage(self.meters, self.at + LOOP * number);
        for (aggregate, share_ppm) in aggregates.iter_mut().zip(shares_ppm) {
            // Metrics come in nanocores, which the recommender rounds up to millicores.
            aggregate.add_cpu_row(first, LOOP, self.count, self.copies, |number| {
                let nanocores = usage(number) * u128::from(*share_ppm) / 1_000_000;
                i64::try_from(nanocores.div_ceil(1_000_000)).unwrap_or(i64::MAX)
            });
        }
        usage(0).max(usage(self.count - 1)) > 0
    }
}

impl Cluster {
    /// Takes up what the pods of a workload used until now, if a vertical autoscaler looks after it.
    pub(super) fn take_up_usage(&mut self, workload: WorkloadId, now: SimTime) {
        let tables = &self.tables.scalers.vertical;
        let Some(idx) = tables.by_workload.get(&workload) else { return };
        let autoscaling = &mut self.autoscaling;
        let Vertical { phase, histories } = &mut autoscaling.vertical;
        histories[*idx].take_up(&tables.watched[*idx], &autoscaling.meters, *phase, moment(now));
    }

    /// Looks which pods of a workload are measured from now on.
    pub(super) fn measure_pods(&mut self, workload: WorkloadId, now: SimTime) {
        let Some(idx) = self.tables.scalers.vertical.by_workload.get(&workload).copied() else {
            return;
        };
        self.take_up_usage(workload, now);
        // What is older than any window from now on is all one.
        let oldest = moment(now).saturating_sub(RESOLUTION * 2);
        let mut pods: Vec<(MeasuredPod, u64)> = Vec::new();
        for id in self.pods_of(workload) {
            let pod = &self.pods[id.index()];
            if pod.phase != PodPhase::Running || !self.is_in_contact(*id) {
                continue;
            }
            let services = self.tables.template_of(pod).services.iter();
            let served = services.filter_map(|(service, _)| {
                let since = self.autoscaling.meters[service.index()].served_since(*id)?;
                Some((*service, since.max(oldest)))
            });
            let started_at = moment(pod.plan.started_at).max(oldest);
            let measured = MeasuredPod { started_at, served: served.collect() };
            match pods.iter_mut().find(|(known, _)| *known == measured) {
                Some((_, copies)) => *copies += 1,
                None => pods.push((measured, 1)),
            }
        }
        self.autoscaling.vertical.histories[idx].pods = pods;
    }

    /// Tells what vertical autoscalers recommend. To be called once, at the end of the run.
    pub fn recommend<E, R>(&mut self, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<KubeEvent>,
        R: Recorder<Observation>,
    {
        let tables = Arc::clone(&self.tables);
        let vertical = &tables.scalers.vertical;
        for workload in vertical.workloads() {
            self.take_up_usage(workload, ctx.now());
            for pod in self.pods_of(workload).to_vec() {
                self.take_up_memory(pod, ctx.now());
            }
        }
        let settings = Settings::default();
        for (idx, target) in vertical.targets.iter().enumerate() {
            let Some(target) = target else { continue };
            let history = &self.autoscaling.vertical.histories[target.watched];
            let (is_used, has_peaks) = (history.is_used, history.peaks.is_used());
            if !is_used && !has_peaks {
                continue;
            }
            let workload = vertical.watched[target.watched].workload;
            let containers = &self.blueprint.workloads[workload.index()].template.spec.containers;
            let names = containers.iter().map(|it| it.name.clone());
            let aggregates = names.zip(history.aggregates.iter().cloned()).collect();
            for got in recommend(&aggregates, &target.policies, &settings) {
                let container = containers.iter().position(|it| it.name == got.container_name);
                let container = container.expect("aggregates are of containers of the workload");
                let autoscaler = VerticalAutoscalerId::from_index(idx);
                let container = u32::try_from(container).expect("a pod has few containers");
                let cpu = |of: Resources| of.cpu_millis.unwrap_or(0);
                if is_used && got.target.cpu_millis.is_some() {
                    ctx.observe(|| Observation::CpuRecommended {
                        autoscaler,
                        container,
                        target_millis: cpu(got.target),
                        lower_millis: cpu(got.lower_bound),
                        upper_millis: cpu(got.upper_bound),
                        uncapped_millis: cpu(got.uncapped_target),
                    });
                }
                let memory = |of: Resources| of.memory_bytes.unwrap_or(0);
                if has_peaks && got.target.memory_bytes.is_some() {
                    ctx.observe(|| Observation::MemoryRecommended {
                        autoscaler,
                        container,
                        target_bytes: memory(got.target),
                        lower_bytes: memory(got.lower_bound),
                        upper_bytes: memory(got.upper_bound),
                        uncapped_bytes: memory(got.uncapped_target),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model_api::PodId;
    use proptest::prelude::*;

    use super::super::ServiceWork;
    use super::*;

    /// One Service with one pod since the start of the run, which nothing else is known of.
    fn one_pod() -> (Watched, Vec<Meter>, MeasuredPod) {
        let start = SimTime::ZERO + BEFORE;
        let mut meter = Meter::default();
        meter.set_served(start, [PodId(0)].into_iter());
        let watched = Watched { workload: WorkloadId(0), shares_ppm: vec![1_000_000] };
        let pod = MeasuredPod { started_at: start, served: vec![(ServiceId(0), start)] };
        (watched, vec![meter], pod)
    }

    proptest! {
        /// Stretches of work, each of some seconds, constant or on its way to another amount.
        #[test]
        fn taking_up_at_changes_is_reading_every_minute(
            stretches in prop::collection::vec(
                (1..900_u64, 0..900_000_000_u64, prop::option::of((1..600_u64, 0..900_000_000_u64))),
                1..20,
            ),
            phase_secs in 0..60_u64,
        ) {
            let (watched, mut meters, pod) = one_pod();
            let phase = SimSpan::from_secs(phase_secs);
            let mut history = History::of(&watched);
            history.pods = vec![(pod.clone(), 2)];
            let mut read = Aggregate::new(&Aggregation::default());
            let mut now = SimTime::ZERO + BEFORE;
            for (secs, from_nanocores, bend) in stretches {
                let until = bend.map(|(after, nanocores)| (now + SimSpan::from_secs(after), nanocores));
                meters[0].tell(now, ServiceWork { from_nanocores, until }, 1);
                let next = now + SimSpan::from_secs(secs);
                let mut at = now.next_tick(LOOP, phase);
                while at < next {
                    if at.saturating_since(pod.started_at) >= FRESH_MIN {
                        let millis = pod.usage(&meters, at).div_ceil(1_000_000);
                        let stamp = START.plus(at.saturating_since(SimTime::ZERO + BEFORE));
                        for _ in 0..2 {
                            read.add_cpu(i64::try_from(millis).expect("under a core"), stamp);
                        }
                    }
                    at += LOOP;
                }
                history.take_up(&watched, &meters, phase, next);
                now = next;
            }
            let taken = &history.aggregates[0];
            for share in [0.5, 0.9, 0.95] {
                let (read, taken) = (read.cpu().percentile(share), taken.cpu().percentile(share));
                prop_assert!((read - taken).abs() < 1e-9, "{}: {} {}", share, read, taken);
            }
        }
    }
}
