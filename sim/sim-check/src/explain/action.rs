//! What actions do, in words: rollouts, drains, evictions, upgrades; and what the downscaler does.

use model_api::action::Action;
use model_api::fault::FaultKind;
use model_api::kube::PodDisruptionBudget;
use model_api::observation::{CanaryFact, DeletionReason, InstanceFact, InstanceUpdate};
use model_api::{FaultId, Observation, SourceRef, WorkloadId};
use report_data::Explanation;
use sim_kernel::SimTime;

use super::Story;

impl<E> Story<'_, E> {
    /// Explains what kept an action from completing before a run ended at `end`: the most telling thing
    /// that happened to it, else the pod that it waits for, else what it took to complete, else that it
    /// began.
    pub fn completion(&self, run: u64, action: FaultId, end: SimTime) -> Option<Explanation> {
        use Observation as O;
        let rolled = match self.plan.faults[action.index()].kind {
            FaultKind::Action(Action::Rollout { workload, .. }) => Some(workload),
            _ => None,
        };
        let is_of = |workload: WorkloadId| rolled.is_none_or(|it| it == workload);
        let is_complete =
            |seen: &O| matches!(seen, O::ActionCompleted { fault } if *fault == action);
        let mut seen = self.journal.observations().iter().map(|record| record.observation);
        let held =
            if seen.any(|seen| is_complete(&seen)) { None } else { self.held(run, action, end) };
        // A refusal comes again and again; of the pod that was refused last the first one is told.
        let refused =
            self.journal.observations().iter().rev().find_map(|record| match record.observation {
                O::EvictionRefused { pod, .. } if rolled.is_none() => Some(pod),
                _ => None,
            });
        let of_refused =
            |seen: &O| matches!(seen, O::EvictionRefused { pod, .. } if Some(*pod) == refused);
        let is_end = |seen: &O| match *seen {
            O::DrainFailed { .. } | O::UpgradeRefused { .. } | O::UpgradeWaits { .. } => {
                rolled.is_none()
            }
            O::RolloutStalled { workload }
            | O::Canary { workload, fact: CanaryFact::RolledBack { .. } } => is_of(workload),
            O::PodCreationRefused { workload } | O::PodOverQuota { workload, .. } => {
                rolled == Some(workload)
            }
            O::InstanceUpdated { database, how: InstanceUpdate::WaitsForUser, .. } => {
                is_of(self.blueprint.databases[database.index()].workload)
            }
            _ => false,
        };
        let is_wait = |seen: &O| match *seen {
            O::PodBecameUnschedulable { workload, .. } => is_of(workload),
            _ => false,
        };
        let is_start = |seen: &O| matches!(seen, O::FaultStruck { fault, .. } if *fault == action);
        (self.first(run, of_refused))
            .or(held)
            .or_else(|| self.first(run, is_end))
            .or_else(|| self.first(run, is_wait))
            .or_else(|| self.first(run, is_complete))
            .or_else(|| self.first(run, is_start))
    }

    /// The zone of a member of the control plane.
    pub(super) fn member_zone(&self, member: u32) -> &str {
        let zone = self.blueprint.control_plane.zone_of(member as usize);
        &self.blueprint.zones[zone.index()].name
    }

    /// A fact about a rollout or a drain, with the place in the input that has it so.
    pub(super) fn action_sentence(
        &self,
        observation: &Observation,
    ) -> Option<(String, Option<SourceRef>)> {
        use Observation as O;
        let node = |id: model_api::NodeId| self.blueprint.nodes[id.index()].node.name.clone();
        let workload = |id: WorkloadId| self.blueprint.workload_name(id);
        let field =
            |id: WorkloadId, path: &str| Some(self.blueprint.workloads[id.index()].origin.of(path));
        let text = match *observation {
            O::WalVolumeFull { database: id, .. } => {
                let spec = &self.blueprint.databases[id.index()];
                let name = self.blueprint.database_name(id);
                let text = format!("the log of {name} has filled its volume: PostgreSQL stops");
                let path = ["spec.walStorage.size", "spec.storage.size", "spec.volume.size"];
                let fields = &spec.origin.fields;
                let path = path.into_iter().find(|path| fields.contains_key(*path));
                return Some((text, path.map(|path| spec.origin.of(path))));
            }
            O::Instance { database: id, fact, .. } => {
                let name = self.blueprint.database_name(id);
                match fact {
                    InstanceFact::Fenced => format!("an instance of {name} is fenced"),
                    InstanceFact::CloneStarted { .. } => {
                        format!("an empty instance of {name} begins to copy the primary")
                    }
                    InstanceFact::Cloned => format!("an instance of {name} has its copy"),
                }
            }
            O::InstanceUpdated { database: id, how, .. } => {
                let name = self.blueprint.database_name(id);
                let (text, path) = match how {
                    InstanceUpdate::StandbyReplaced => {
                        return Some((format!("a standby of {name} is made again"), None));
                    }
                    InstanceUpdate::PrimaryReplaced => (
                        format!("the primary of {name} is made again, and no standby takes over"),
                        "spec.primaryUpdateMethod",
                    ),
                    InstanceUpdate::PrimaryRestarted => (
                        format!("the primary of {name} is restarted in its pod"),
                        "spec.primaryUpdateMethod",
                    ),
                    InstanceUpdate::WaitsForUser => (
                        format!("the update of {name} waits until somebody hands over"),
                        "spec.primaryUpdateStrategy",
                    ),
                };
                let origin = &self.blueprint.databases[id.index()].origin;
                return Some((text, Some(origin.of(path))));
            }
            O::PoolerFails { pooler, failing_ppm } => {
                let name = self.blueprint.pooler_name(pooler);
                let origin = &self.blueprint.poolers[pooler.index()].origin;
                let text = match failing_ppm {
                    0 => format!("all pods of {name} have logged in to the primary"),
                    1_000_000 => format!("{name} passes nothing on to its database"),
                    ppm => format!("{name} fails {} % of its requests", ppm / 10_000),
                };
                return Some((text, Some(origin.of("spec.pgbouncer.parameters"))));
            }
            O::SwitchoverStarted { database: id, storing_ns, .. } => {
                let text =
                    format!("the primary of {} hands over", self.blueprint.database_name(id));
                let secs = storing_ns / 1_000_000_000;
                if secs == 0 {
                    return Some((text, None));
                }
                let text = format!("{text}, and stores for {secs} s what its archive lacks");
                let origin = &self.blueprint.databases[id.index()].origin;
                return Some((text, Some(origin.of("spec.switchoverDelay"))));
            }
            O::VolumeGrown { database: id } => {
                format!("the volumes of {} are larger", self.blueprint.database_name(id))
            }
            O::StandbyOutrun { database: id, .. } => {
                let spec = &self.blueprint.databases[id.index()];
                let name = self.blueprint.database_name(id);
                let text = format!("a standby of {name} lacks log that its primary has removed");
                return Some((text, Some(spec.origin.of("spec.postgresql.parameters"))));
            }
            O::RolloutStarted { workload: id } => {
                format!("{} gets another pod template", workload(id))
            }
            O::ReplicaSetScaled { workload: id, revision, replicas } => {
                let place = field(id, "spec.strategy");
                let text =
                    format!("ReplicaSet {} of {} is sized {replicas}", revision + 1, workload(id));
                return Some((text, place));
            }
            O::OffPeakResized { workload: id, from, to } => {
                let place = field(id, "metadata.annotations");
                let text = format!("the downscaler sizes {} {to} instead of {from}", workload(id));
                return Some((text, place));
            }
            O::CpuRecommended { autoscaler, container, target_millis, .. } => {
                let autoscaler = &self.blueprint.vertical_autoscalers[autoscaler.index()];
                let name = format!("{}/{}", autoscaler.namespace, autoscaler.name);
                let text =
                    format!("{name} recommends {target_millis}m of CPU for container {container}");
                return Some((text, Some(autoscaler.origin.object)));
            }
            O::MemoryRecommended { autoscaler, container, target_bytes, .. } => {
                let autoscaler = &self.blueprint.vertical_autoscalers[autoscaler.index()];
                let name = format!("{}/{}", autoscaler.namespace, autoscaler.name);
                let mebibytes = target_bytes >> 20;
                let text = format!(
                    "{name} recommends {mebibytes} MiB of memory for container {container}"
                );
                return Some((text, Some(autoscaler.origin.object)));
            }
            O::Canary { workload: id, fact } => return Some(self.canary_sentence(id, fact)),
            O::RolloutCompleted { workload: id } => {
                format!("all pods of {} are of its newest template", workload(id))
            }
            O::RolloutStalled { workload: id } => {
                let place = field(id, "spec.progressDeadlineSeconds");
                let text = format!("the rollout of {} exceeds its progress deadline", workload(id));
                return Some((text, place));
            }
            O::NodeCordoned { node: id } => format!("node {} is cordoned", node(id)),
            O::NodeUncordoned { node: id } => format!("node {} takes pods again", node(id)),
            O::NodeDrained { node: id } => format!("node {} is drained", node(id)),
            O::DrainFailed { node: id, reason } => {
                format!("the drain of {} fails: {}", node(id), reason.words())
            }
            O::MemberUpgradeStarted { member } => {
                let zone = self.member_zone(member);
                format!("the control plane's member in {zone} stops to be upgraded")
            }
            O::MemberUpgraded { member } => {
                format!("the control plane's member in {} is upgraded", self.member_zone(member))
            }
            O::UpgradeWaits { member } => format!(
                "the member in {} does not answer: no other one is upgraded until it does",
                self.member_zone(member)
            ),
            O::UpgradeRefused { node: id } => {
                let origin = self.blueprint.nodes[id.index()].origin.object;
                let text = format!("the kubelet of {} is too old for the new version", node(id));
                return Some((text, Some(origin)));
            }
            O::EvictionRefused { workload: id, code, .. } => {
                return Some(self.refusal_sentence(id, code));
            }
            O::PodDeletionRequested { workload: id, reason: DeletionReason::Eviction, .. } => {
                format!("a pod of {} is evicted", workload(id))
            }
            O::PodDeletionRequested { workload: id, reason: DeletionReason::Rollout, .. } => {
                format!("a pod of {} makes way for the new template", workload(id))
            }
            O::ActionCompleted { fault } => {
                format!("\"{}\" is complete", self.plan.faults[fault.index()].name)
            }
            _ => return self.job_sentence(observation),
        };
        Some((text, None))
    }

    /// An eviction that is refused, with the budget that did so. A pod of several is evicted by none of
    /// them (`pkg/registry/core/pod/storage/eviction.go`, Kubernetes 1.36).
    fn refusal_sentence(&self, id: WorkloadId, code: u16) -> (String, Option<SourceRef>) {
        let text =
            format!("the eviction of a pod of {} is refused", self.blueprint.workload_name(id));
        let spec = &self.blueprint.workloads[id.index()];
        let is_of = |budget: &&PodDisruptionBudget| {
            let selector = budget.selector.as_ref();
            budget.namespace == spec.namespace
                && selector.is_some_and(|it| it.matches(&spec.template.labels))
        };
        let budgets: Vec<_> = self.blueprint.budgets.iter().filter(is_of).collect();
        let mut databases = self.blueprint.databases.iter();
        let database = databases.find(|it| it.workload == id && it.has_budgets);
        let by_operator = "a budget that its operator makes";
        if code == SEVERAL_BUDGETS {
            let names = budgets.iter().map(|it| it.name.as_str());
            let names: Vec<&str> = names.chain(database.map(|_| by_operator)).collect();
            let place = budgets.first().map(|it| it.origin.object);
            let names = names.join(" and ");
            return (format!("{text}: it has more than one budget ({names})"), place);
        }
        match (budgets.first(), database) {
            (Some(budget), _) => {
                (format!("{text} by the budget {}", budget.name), Some(budget.origin.object))
            }
            (None, Some(database)) => {
                let place = database.origin.of("spec.enablePDB");
                (format!("{text} by {by_operator}"), Some(place))
            }
            (None, None) => (text, None),
        }
    }
}

/// The answer to an eviction where several budgets select the pod.
const SEVERAL_BUDGETS: u16 = 500;
