//! Batch workloads for the scheduler: pods arrive, are placed with the full default profile, run,
//! and free what they used.

use std::collections::VecDeque;

use model_api::kube::{
    Container, LabelSelector, Labels, Node, PodSpec, PodTemplate, ResourceList,
    TopologySpreadConstraint, UnsatisfiableAction,
};
use model_api::{NodeId, PodId};
use model_kube::scheduling::{Attempt, Placement, PodDescription, SchedulerCache, ShapeId};
use sim_kernel::{
    Context, Limits, Model, NoRecorder, Priority, Recorder, SimSpan, SimTime, Simulation,
};

use crate::mersenne::Mersenne;

pub(crate) const MIB: i64 = 1 << 20;
const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// A batch workload: so many pods on so many nodes of 16 CPU and 64 GiB, over an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Nodes.
    pub node_count: usize,
    /// Pods.
    pub pod_count: usize,
}

impl Batch {
    /// W1, W2 and W3.
    pub const ALL: [(&'static str, Batch); 3] = [
        ("W1", Batch { node_count: 100, pod_count: 10_000 }),
        ("W2", Batch { node_count: 1_000, pod_count: 100_000 }),
        ("W3", Batch { node_count: 5_000, pod_count: 100_000 }),
    ];
}

/// What a batch run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchWork {
    /// Pods that ran and finished.
    pub finished_count: usize,
    /// When the last one did.
    pub ended_at: SimTime,
    /// Depends on the node of every pod.
    pub check: u64,
}

/// A pod of the list.
#[derive(Clone, Copy, Debug)]
struct Job {
    arrives_at: SimTime,
    shape: ShapeId,
    length: SimSpan,
}

/// A batch run that is set up: what remains is the run.
#[derive(Clone, Debug)]
pub struct PreparedBatch {
    cluster: Cluster,
}

#[derive(Clone, Debug)]
struct Cluster {
    cache: SchedulerCache,
    jobs: Vec<Job>,
    /// Pods that fit nowhere yet, in the order of their arrival.
    waiting: VecDeque<u32>,
    ties: u64,
    work: BatchWork,
}

#[derive(Clone, Copy, Debug, Hash)]
enum BatchEvent {
    Arrived { pod: u32 },
    Finished { pod: u32 },
}

impl Batch {
    /// Draws the pods as Python's `random.Random(42)` does: all arrivals, `uniform(1, 3600)`, sorted;
    /// then for each pod `choice` of CPU, `choice` of memory, `randint(60, 600)` seconds.
    pub fn prepare(self) -> PreparedBatch {
        let mut cache = SchedulerCache::new();
        let shapes: Vec<Vec<ShapeId>> = [250, 500, 1000, 2000]
            .into_iter()
            .map(|cpu| {
                let of = |memory| compile(&mut cache, &template("batch", cpu, memory * MIB));
                [256, 512, 1024, 2048].map(of).into()
            })
            .collect();
        for idx in 0..self.node_count {
            cache.add_node(NodeId::from_index(idx), &node(idx, 16_000, 64 << 30));
        }
        let mut luck = Mersenne::new(42);
        let mut arrivals: Vec<f64> =
            (0..self.pod_count).map(|_| luck.uniform(1.0, 3600.0)).collect();
        arrivals.sort_by(f64::total_cmp);
        let jobs = arrivals.into_iter().map(|at| {
            let cpu = luck.below(4) as usize;
            let memory = luck.below(4) as usize;
            Job {
                arrives_at: SimTime::ZERO + SimSpan::from_secs_f64_rounded(at),
                shape: shapes[cpu][memory],
                length: SimSpan::from_secs(60 + u64::from(luck.below(541))),
            }
        });
        let work = BatchWork { finished_count: 0, ended_at: SimTime::ZERO, check: 0 };
        let jobs = jobs.collect();
        PreparedBatch { cluster: Cluster { cache, jobs, waiting: VecDeque::new(), ties: 42, work } }
    }
}

impl PreparedBatch {
    /// Runs until every pod has finished.
    ///
    /// # Panics
    /// When a pod never finds a place.
    pub fn run(self) -> BatchWork {
        let mut simulation = Simulation::new(self.cluster, NoRecorder, Limits::default());
        simulation.apply(|cluster: &mut Cluster, ctx| cluster.await_arrival(0, ctx));
        simulation.run_until(SimTime::from_secs(1_000_000));
        let cluster = simulation.model();
        assert_eq!(cluster.work.finished_count, cluster.jobs.len(), "every pod finishes");
        cluster.work
    }
}

impl Cluster {
    fn await_arrival<R: Recorder<()>>(&self, pod: u32, ctx: &mut Context<'_, BatchEvent, R>) {
        if let Some(job) = self.jobs.get(pod as usize) {
            ctx.schedule_at(job.arrives_at, Priority::NORMAL, BatchEvent::Arrived { pod });
        }
    }

    fn try_to_place<R: Recorder<()>>(
        &mut self,
        pod: u32,
        ctx: &mut Context<'_, BatchEvent, R>,
    ) -> bool {
        let job = self.jobs[pod as usize];
        let ties = &mut self.ties;
        let placement = self.cache.attempt(Attempt::new(job.shape), |count| draw(ties, count));
        let Placement::Node(node) = placement else { return false };
        self.cache.add_pod(PodId(pod), job.shape, node);
        self.work.check = self.work.check.rotate_left(5) ^ u64::from(node.0);
        ctx.schedule_in(job.length, Priority::NORMAL, BatchEvent::Finished { pod });
        true
    }
}

/// A number below `count`, from a counter: ties are broken evenly and alike in every run.
pub(crate) fn draw(state: &mut u64, count: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let below = (u128::from(*state) * count as u128) >> 64;
    usize::try_from(below).expect("it is below a usize")
}

impl Model for Cluster {
    type Event = BatchEvent;
    type Observation = ();

    fn handle<R: Recorder<()>>(&mut self, event: BatchEvent, ctx: &mut Context<'_, BatchEvent, R>) {
        match event {
            BatchEvent::Arrived { pod } => {
                self.await_arrival(pod + 1, ctx);
                if !self.try_to_place(pod, ctx) {
                    self.waiting.push_back(pod);
                }
            }
            BatchEvent::Finished { pod } => {
                self.cache.remove_pod(PodId(pod));
                self.work.finished_count += 1;
                self.work.ended_at = ctx.now();
                for _ in 0..self.waiting.len() {
                    let pod = self.waiting.pop_front().expect("it was counted");
                    if !self.try_to_place(pod, ctx) {
                        self.waiting.push_back(pod);
                    }
                }
            }
        }
    }
}

/// Pods of workloads of 100 each, spread hard over zones and softly over hosts, placed one by one
/// onto nodes in three zones. Gives how many found a place.
pub fn place_spread(pod_count: usize, node_count: usize) -> usize {
    let mut cache = SchedulerCache::new();
    for idx in 0..node_count {
        cache.add_node(NodeId::from_index(idx), &node(idx, 16_000, 64 << 30));
    }
    let shapes: Vec<ShapeId> = (0..pod_count.div_ceil(100))
        .map(|workload| compile(&mut cache, &spread_template(workload)))
        .collect();
    let (mut ties, mut placed_count) = (42, 0);
    for pod in 0..pod_count {
        // Workloads take turns, so that every search meets a cluster that many share.
        let shape = shapes[pod % shapes.len()];
        let placement = cache.attempt(Attempt::new(shape), |count| draw(&mut ties, count));
        if let Placement::Node(node) = placement {
            cache.add_pod(PodId::from_index(pod), shape, node);
            placed_count += 1;
        }
    }
    placed_count
}

pub(crate) fn compile(cache: &mut SchedulerCache, template: &PodTemplate) -> ShapeId {
    cache.compile(PodDescription { namespace: "default", template, default_selector: None })
}

fn resources<const N: usize>(amounts: [(&str, i64); N]) -> ResourceList {
    ResourceList(amounts.map(|(name, amount)| (name.to_owned(), amount)).into())
}

pub(crate) fn node(idx: usize, cpu_millis: i64, memory_bytes: i64) -> Node {
    let name = format!("node-{idx}");
    let labels = [(ZONE, format!("zone-{}", idx % 3)), (HOSTNAME, name.clone())];
    Node {
        labels: labels.map(|(key, value)| (key.to_owned(), value)).into(),
        name,
        allocatable: resources([("cpu", cpu_millis), ("memory", memory_bytes), ("pods", 110)]),
        ..Node::default()
    }
}

pub(crate) fn template(app: &str, cpu_millis: i64, memory_bytes: i64) -> PodTemplate {
    let container = Container {
        image: "registry.example/app:1".to_owned(),
        requests: resources([("cpu", cpu_millis), ("memory", memory_bytes)]),
        ..Container::default()
    };
    PodTemplate {
        labels: Labels::from([("app".to_owned(), app.to_owned())]),
        spec: PodSpec { containers: vec![container], ..PodSpec::default() },
        ..PodTemplate::default()
    }
}

fn spread_template(workload: usize) -> PodTemplate {
    let mut template = template(&format!("app-{workload}"), 500, 512 * MIB);
    let kinds = [
        (ZONE, UnsatisfiableAction::DoNotSchedule),
        (HOSTNAME, UnsatisfiableAction::ScheduleAnyway),
    ];
    template.spec.topology_spread_constraints = kinds
        .map(|(key, when_unsatisfiable)| TopologySpreadConstraint {
            max_skew: 1,
            topology_key: key.to_owned(),
            when_unsatisfiable,
            label_selector: Some(LabelSelector {
                match_labels: template.labels.clone(),
                match_expressions: Vec::new(),
            }),
            min_domains: None,
            honors_node_affinity: true,
            honors_node_taints: false,
            match_label_keys: Vec::new(),
        })
        .into();
    template
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pod_of_a_small_batch_runs() {
        let work = Batch { node_count: 20, pod_count: 1_500 }.prepare().run();
        assert_eq!(work.finished_count, 1_500);
        assert!(work.ended_at > SimTime::from_secs(3_600));
    }

    #[test]
    fn spread_pods_all_find_a_place() {
        assert_eq!(place_spread(600, 30), 600);
    }
}
