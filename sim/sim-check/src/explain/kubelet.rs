//! What kubelets do to containers, in words.

use model_api::kube::Container;
use model_api::observation::{EvictionReason, KillReason, RefusedNodes, UnschedulableReason};
use model_api::usage::NodeResource;
use model_api::{NodeId, Observation, PodId, SourceRef, WorkloadId};

use super::Story;

impl<E> Story<'_, E> {
    /// Why containers are ended by force, and the field that has it so.
    pub(super) fn kill_sentence(
        &self,
        pod: PodId,
        id: WorkloadId,
        reason: KillReason,
    ) -> (String, Option<SourceRef>) {
        let name = self.blueprint.workload_name(id);
        let (text, field) = match reason {
            KillReason::StartupProbe => (
                format!("a pod of {name} takes too long to start for its probe, and is restarted"),
                "startupProbe",
            ),
            KillReason::LivenessProbe => (
                format!("a pod of {name} fails its liveness probe, and is restarted"),
                "livenessProbe",
            ),
            KillReason::MemoryLimit => (
                format!("a container of {name} reaches its limit of memory and is killed"),
                "resources.limits.memory",
            ),
            KillReason::NodeMemory => (
                format!(
                    "no memory is left on {}: the kernel kills a container of {name}",
                    self.node_of(pod).map_or("its node", |node| self.node_name(node))
                ),
                "resources.requests.memory",
            ),
        };
        let place = match reason {
            KillReason::MemoryLimit | KillReason::NodeMemory => self.memory_place(id, field),
            KillReason::StartupProbe => self.container_place(id, |it| it.startup.is_some(), field),
            KillReason::LivenessProbe => {
                self.container_place(id, |it| it.liveness.is_some(), field)
            }
        };
        (text, Some(place))
    }

    /// Where the memory of a workload is stated: in the container of its profile, or its only one.
    /// Without a profile nothing tells which of several it is.
    fn memory_place(&self, id: WorkloadId, field: &str) -> SourceRef {
        let workload = &self.blueprint.workloads[id.index()];
        let profile = self.blueprint.memory.iter().find(|profile| profile.workload == id);
        let container = profile.map(|it| it.container).or(workload.only_container(|_| true));
        workload.origin.of(&workload.container_path(container, field))
    }

    /// Where a field of the one container is stated that has what this is about.
    pub(super) fn container_place(
        &self,
        id: WorkloadId,
        has: impl Fn(&Container) -> bool,
        field: &str,
    ) -> SourceRef {
        let workload = &self.blueprint.workloads[id.index()];
        workload.origin.of(&workload.container_path(workload.only_container(has), field))
    }

    /// The node that a pod was bound to last.
    fn node_of(&self, id: PodId) -> Option<NodeId> {
        self.journal.observations().iter().rev().find_map(|record| match record.observation {
            Observation::PodBound { pod, node, .. } if pod == id => Some(node),
            _ => None,
        })
    }

    pub(super) fn node_name(&self, id: NodeId) -> &str {
        &self.blueprint.nodes[id.index()].node.name
    }

    /// A kubelet does not take a pod that names its node.
    pub(super) fn admission_sentence(
        &self,
        id: WorkloadId,
        node: NodeId,
        check: UnschedulableReason,
    ) -> (String, Option<SourceRef>) {
        let text = format!(
            "the kubelet of {} does not take a pod of {}, which names that node ({check:?})",
            self.node_name(node),
            self.blueprint.workload_name(id)
        );
        let workload = &self.blueprint.workloads[id.index()];
        (text, Some(workload.origin.of(&workload.pod_path("nodeName"))))
    }

    /// What kubelets do when something runs out.
    pub(super) fn pressure_sentence(
        &self,
        observation: &Observation,
    ) -> Option<(String, Option<SourceRef>)> {
        use Observation as O;
        let node = |id: NodeId| self.node_name(id);
        let workload = |id: WorkloadId| self.blueprint.workload_name(id);
        let request = |id: WorkloadId| Some(self.memory_place(id, "resources.requests.memory"));
        Some(match *observation {
            O::NodePressureStarted { node: id, resource } => {
                let what = resource.words();
                (format!("the kubelet of {} finds that {what} runs out", node(id)), None)
            }
            O::NodePressureEnded { node: id, resource } => (
                format!("the kubelet of {} finds {} enough again", node(id), resource.words()),
                None,
            ),
            O::ImagesCollected { node: id, bytes } => {
                let mebibytes = bytes >> 20;
                let text = format!(
                    "the kubelet of {} deletes {mebibytes} MiB of images that nobody uses",
                    node(id)
                );
                (text, None)
            }
            O::PodEvicted { workload: id, node: at, reason, .. } => {
                let (why, place) = match reason {
                    EvictionReason::Pressure(NodeResource::Memory) => {
                        ("memory runs out".to_owned(), request(id))
                    }
                    EvictionReason::Pressure(resource) => {
                        (format!("{} runs out", resource.words()), None)
                    }
                    EvictionReason::NodeShutdown => {
                        let text = format!(
                            "the kubelet of {} ends a pod of {}: its machine shuts down",
                            node(at),
                            workload(id)
                        );
                        return Some((text, None));
                    }
                    EvictionReason::StorageLimit => {
                        ("it uses more of the disk than it may".to_owned(), None)
                    }
                };
                let text = format!(
                    "the kubelet of {} evicts a pod of {} because {why}",
                    node(at),
                    workload(id)
                );
                (text, place)
            }
            O::PodRefused { workload: id, node: at, resource, .. } => {
                // What a pod asks for decides only where memory runs out.
                let (condition, place) = match resource {
                    NodeResource::Memory => ("MemoryPressure", request(id)),
                    NodeResource::Disk | NodeResource::Inodes => ("DiskPressure", None),
                    NodeResource::Processes => ("PIDPressure", None),
                };
                let text = format!(
                    "the kubelet of {} refuses a pod of {} under {condition}",
                    node(at),
                    workload(id)
                );
                (text, place)
            }
            _ => return None,
        })
    }
}

/// Why no node fits, with the number of nodes where there is more than one reason.
pub(super) fn refusals(reason: UnschedulableReason, refused: &RefusedNodes) -> String {
    let mut each = refused.counts().map(|(filter, count)| format!("{filter:?} on {count}"));
    match (each.next(), each.next()) {
        (Some(first), Some(second)) => {
            let rest: Vec<String> = [second].into_iter().chain(each).collect();
            format!("{first} nodes, {}", rest.join(", "))
        }
        _ => format!("{reason:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use model_api::blueprint::NodeSpec;
    use model_api::fault::FaultPlan;
    use model_api::kube::{PodTemplate, Workload, WorkloadKind};
    use model_api::memory::MemoryProfile;
    use model_api::{Blueprint, Origin};
    use sim_kernel::{EventId, Journal, Recorder, SimSpan, SimTime};

    use super::*;

    /// Two nodes and a workload of pods with so many containers, each stated in a line of its own
    /// from the second on.
    fn blueprint(container_count: usize) -> Blueprint {
        let mut blueprint = Blueprint::default();
        for name in ["a-0", "a-1"] {
            let mut spec = NodeSpec::default();
            spec.node.name = name.to_owned();
            blueprint.nodes.push(spec);
        }
        let mut template = PodTemplate::default();
        template.spec.containers = vec![Container::default(); container_count];
        let list = "spec.template.spec.containers";
        let one = |idx: usize| (format!("{list}[{idx}]"), 2 + idx as u32);
        let paths = (0..container_count).map(one).chain([(list.to_owned(), 1)]);
        let places = paths.map(|(path, line)| (path, SourceRef { line, ..SourceRef::default() }));
        let fields: BTreeMap<String, SourceRef> = places.collect();
        blueprint.workloads.push(Workload {
            kind: WorkloadKind::ReplicaSet,
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            replicas: 1,
            selector: None,
            min_ready: SimSpan::ZERO,
            template,
            origin: Origin { fields: Arc::new(fields), ..Origin::default() },
        });
        blueprint
    }

    /// What is said of a container that the kernel kills, and the line it points at.
    fn killed(blueprint: &Blueprint, bound_to: Option<NodeId>) -> (String, u32) {
        let (pod, workload) = (PodId(4), WorkloadId(0));
        let mut journal: Journal<(), Observation> = Journal::new();
        if let Some(node) = bound_to {
            let bound = Observation::PodBound { pod, workload, node };
            journal.observe(SimTime::ZERO, EventId::NONE, bound);
        }
        let plan = FaultPlan::default();
        let story = Story::new(&journal, blueprint, &plan);
        let (text, place) = story.kill_sentence(pod, workload, KillReason::NodeMemory);
        (text, place.expect("the workload is stated").line)
    }

    #[test]
    fn a_kill_names_the_node_that_has_no_memory_left() {
        let blueprint = blueprint(1);
        let text = |node| killed(&blueprint, node).0;
        let rest = "the kernel kills a container of shop/web";
        assert_eq!(text(Some(NodeId(1))), format!("no memory is left on a-1: {rest}"));
        assert_eq!(text(None), format!("no memory is left on its node: {rest}"));
    }

    #[test]
    fn a_kill_points_at_a_container_only_where_it_is_known() {
        let line = |blueprint: &Blueprint| killed(blueprint, None).1;
        assert_eq!(line(&blueprint(1)), 2, "the only one");
        let mut two = blueprint(2);
        assert_eq!(line(&two), 1, "any of them");
        two.memory.push(MemoryProfile { container: 1, ..MemoryProfile::default() });
        assert_eq!(line(&two), 3, "that of the profile");
    }
}
