//! A day of horizontal autoscaling: every autoscaler decides each 15 s, every pod it adds is placed.

use model_api::kube::{
    HorizontalPodAutoscaler, MetricSource, MetricSpec, MetricTarget, ResourceList, ScaleTarget,
};
use model_api::{NodeId, Origin, PodId};
use model_kube::horizontal_pod_autoscaler::{
    ConditionStatus, History, Measurement, PodFacts, PodPhase, ReadyCondition, Requests, Sample,
    Selector, Settings, Target, reconcile,
};
use model_kube::scheduling::{Attempt, Placement, SchedulerCache, ShapeId};
use sim_kernel::{
    Context, Limits, Model, NoRecorder, Priority, Recorder, SimSpan, SimTime, Simulation,
};

use crate::batch::{MIB, compile, draw, node, template};

/// What a pod requests, in millicores.
const REQUEST_MILLIS: i64 = 500;
/// Pods of a group at the start, and at most.
const PODS_INITIAL: usize = 20;
const PODS_MAX: i32 = 200;
/// Percent of the request that the autoscalers aim at.
const TARGET_PERCENT: i32 = 60;
/// The beginning of the day: late enough for everything to have a past.
const MORNING: SimTime = SimTime::from_days(1);

/// A day on so many nodes of 16 CPU and 64 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Nodes.
    pub node_count: usize,
    /// Workloads with an autoscaler each.
    pub group_count: usize,
}

/// What a day did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayWork {
    /// Decisions of autoscalers.
    pub sync_count: u64,
    /// Pods that were added.
    pub added_count: u64,
    /// Pods that were taken away.
    pub removed_count: u64,
    /// Pods at the end of the hour with the spike.
    pub pods_after_spike: usize,
    /// Pods at the end of the day.
    pub pods_at_end: usize,
    /// Depends on the node of every pod.
    pub check: u64,
}

#[derive(Clone, Debug)]
struct Group {
    autoscaler: HorizontalPodAutoscaler,
    history: History,
    shape: ShapeId,
    /// The oldest first.
    pods: Vec<(PodId, NodeId)>,
    facts: Vec<PodFacts>,
    spikes: bool,
}

#[derive(Clone, Debug)]
struct Cluster {
    cache: SchedulerCache,
    groups: Vec<Group>,
    settings: Settings,
    samples: Vec<Option<Sample>>,
    next_pod: u32,
    ties: u64,
    work: DayWork,
}

#[derive(Clone, Copy, Debug, Hash)]
struct SyncDue {
    group: u32,
}

impl Day {
    /// HD100 and HD1000.
    pub const ALL: [(&'static str, Day); 2] = [
        ("HD100", Day { node_count: 100, group_count: 50 }),
        ("HD1000", Day { node_count: 1_000, group_count: 500 }),
    ];

    /// Runs the day.
    ///
    /// # Panics
    /// When a pod finds no place.
    pub fn run(self) -> DayWork {
        let mut cache = SchedulerCache::new();
        let shapes: Vec<ShapeId> = (0..self.group_count)
            .map(|group| {
                let app = format!("app-{group}");
                compile(&mut cache, &template(&app, REQUEST_MILLIS, 512 * MIB))
            })
            .collect();
        for idx in 0..self.node_count {
            cache.add_node(NodeId::from_index(idx), &node(idx, 16_000, 64 << 30));
        }
        let mut cluster = Cluster {
            cache,
            groups: shapes
                .into_iter()
                .enumerate()
                .map(|(idx, shape)| Group::new(idx, shape))
                .collect(),
            settings: Settings::default(),
            samples: Vec::new(),
            next_pod: 0,
            ties: 42,
            work: DayWork::default(),
        };
        for group in 0..self.group_count {
            cluster.resize(group, PODS_INITIAL, SimTime::ZERO);
        }
        let mut simulation = Simulation::new(cluster, NoRecorder, Limits::default());
        let sync_period = Settings::default().sync_period;
        simulation.apply(|cluster: &mut Cluster, ctx| {
            for group in 0..cluster.groups.len() as u32 {
                // Autoscalers do not all decide at the same moment.
                let phase = sync_period * u64::from(group) / cluster.groups.len() as u64;
                ctx.schedule_at(MORNING + phase, Priority::NORMAL, SyncDue { group });
            }
        });
        simulation.run_until(MORNING + SimSpan::from_hours(15));
        let after_spike = simulation.model().pod_count();
        simulation.run_until(MORNING + SimSpan::from_hours(24));
        let cluster = simulation.model();
        DayWork { pods_after_spike: after_spike, pods_at_end: cluster.pod_count(), ..cluster.work }
    }
}

impl Group {
    fn new(idx: usize, shape: ShapeId) -> Self {
        let cpu = MetricSource::Resource { name: ResourceList::CPU.to_owned() };
        let name = format!("app-{idx}");
        let autoscaler = HorizontalPodAutoscaler {
            namespace: "default".to_owned(),
            name: name.clone(),
            target: ScaleTarget { kind: "Deployment".to_owned(), name },
            min_replicas: 1,
            max_replicas: PODS_MAX,
            metrics: vec![MetricSpec {
                source: cpu,
                target: MetricTarget::Utilization(TARGET_PERCENT),
            }],
            behavior: None,
            origin: Origin::default(),
        };
        Self {
            autoscaler,
            history: History::default(),
            shape,
            pods: Vec::new(),
            facts: Vec::new(),
            spikes: idx.is_multiple_of(10),
        }
    }

    /// Load in millicores: ten pods' worth of their requests, more by day than by night, five times
    /// as much in one hour of every tenth group.
    fn load_millis(&self, now: SimTime) -> i64 {
        let hour = (now.saturating_since(MORNING).as_secs() / 3600) as f64;
        let wave = 1.0 + 0.6 * (std::f64::consts::TAU * (hour - 6.0) / 24.0).sin();
        let spike = if self.spikes && hour == 14.0 { 5.0 } else { 1.0 };
        (10.0 * wave * spike * REQUEST_MILLIS as f64).round() as i64
    }
}

impl Cluster {
    fn pod_count(&self) -> usize {
        self.groups.iter().map(|group| group.pods.len()).sum()
    }

    /// Adds or takes away pods; the youngest go first.
    fn resize(&mut self, group_idx: usize, wanted: usize, now: SimTime) {
        let group = &mut self.groups[group_idx];
        while group.pods.len() > wanted {
            let (pod, _) = group.pods.pop().expect("there are more than wanted");
            group.facts.pop();
            self.cache.remove_pod(pod);
            self.work.removed_count += 1;
        }
        while group.pods.len() < wanted {
            let ties = &mut self.ties;
            let placement =
                self.cache.attempt(Attempt::new(group.shape), |count| draw(ties, count));
            let Placement::Node(node) = placement else { panic!("there is room for all pods") };
            let pod = PodId(self.next_pod);
            self.next_pod += 1;
            self.cache.add_pod(pod, group.shape, node);
            self.work.added_count += 1;
            self.work.check = self.work.check.rotate_left(5) ^ u64::from(node.0);
            group.pods.push((pod, node));
            group.facts.push(PodFacts {
                is_deleted: false,
                phase: PodPhase::Running,
                ready: Some(ReadyCondition { status: ConditionStatus::True, since: now }),
                started_at: Some(now),
            });
        }
    }

    /// One decision of one autoscaler, with a sample of every pod.
    fn sync(&mut self, group_idx: usize, now: SimTime) {
        let group = &mut self.groups[group_idx];
        let count = group.pods.len();
        let value = group.load_millis(now) / count.max(1) as i64;
        let sample = Sample { value, at: now, window: SimSpan::from_secs(30) };
        self.samples.clear();
        self.samples.resize(count, Some(sample));
        let measurement = Measurement::OfPods {
            samples: &self.samples,
            stray: &[],
            requests: Requests::Same(REQUEST_MILLIS),
        };
        let replicas = i32::try_from(count).expect("groups are small");
        let target = Target {
            spec_replicas: replicas,
            status_replicas: replicas,
            selector: Selector::Good,
            pods: &group.facts,
            was_scaled_to_zero: false,
        };
        let decision = reconcile(
            &group.autoscaler,
            &self.settings,
            &target,
            &[measurement],
            &mut group.history,
            now,
        );
        self.work.sync_count += 1;
        if decision.rescales {
            self.resize(group_idx, usize::try_from(decision.desired).unwrap_or(0), now);
        }
    }
}

impl Model for Cluster {
    type Event = SyncDue;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, event: SyncDue, ctx: &mut Context<'_, SyncDue, R>) {
        self.sync(event.group as usize, ctx.now());
        ctx.schedule_in(self.settings.sync_period, Priority::NORMAL, event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_grows_with_the_load_and_shrinks_after_it() {
        let work = Day { node_count: 20, group_count: 10 }.run();
        // The first group looks at the very start, and so once more at the very end.
        assert_eq!(work.sync_count, 10 * 24 * 240 + 1);
        // Nine groups of 27 pods for 16 pods' worth of load at most, and the spike of the tenth.
        assert!(work.pods_after_spike > 9 * 20 + 100, "{work:?}");
        assert!(work.pods_at_end < 200, "{work:?}");
        assert_eq!(work.added_count - work.removed_count, work.pods_at_end as u64);
    }
}
