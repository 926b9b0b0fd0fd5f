//! What pods waited for when a stretch ended that nobody had mended: without it an outage that lasts
//! to the end of a run would have a beginning and no cause of its length.

use std::collections::{BTreeMap, BTreeSet};

use model_api::{NodeId, Observation, PodId, ServiceId, WorkloadId};
use report_data::Step;
use sim_kernel::{EventId, SimTime};

use super::Story;

/// Obstacles that are told.
const TOLD_MAX: usize = 3;

/// Who is kept waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Waiting {
    Pod(PodId),
    /// The controller of a workload, which may create no pod, or whose pods fail at once.
    Controller(WorkloadId),
}

/// Whom a fact keeps waiting, and of which workload.
fn keeps_waiting(observation: &Observation) -> Option<(Waiting, WorkloadId)> {
    use Observation as O;
    match *observation {
        O::PodBecameUnschedulable { pod, workload, .. }
        | O::PodVolumeHeld { pod, workload, .. }
        | O::PodImagePullFailed { pod, workload }
        | O::PodConfigurationMissing { pod, workload, .. } => Some((Waiting::Pod(pod), workload)),
        O::PodOverQuota { workload, .. }
        | O::PodCreationRefused { workload }
        | O::PodNotAdmitted { workload, .. } => Some((Waiting::Controller(workload), workload)),
        _ => None,
    }
}

/// Who waits no longer.
fn lets_go(observation: &Observation) -> Option<Waiting> {
    use Observation as O;
    match *observation {
        O::PodStarted { pod, .. } | O::PodGone { pod, .. } | O::PodBecameReady { pod, .. } => {
            Some(Waiting::Pod(pod))
        }
        _ => None,
    }
}

impl<E> Story<'_, E> {
    /// What the pods behind a Service waited for at a moment, with what led to it.
    pub(super) fn obstacles_of(&self, service: ServiceId, at: SimTime) -> Vec<Step> {
        let service = &self.blueprint.services[service.index()];
        self.obstacles(at, |workload| {
            let spec = &self.blueprint.workloads[workload.index()];
            service.selects(&spec.namespace, &spec.template.labels)
        })
    }

    /// What pods of some workloads waited for at a moment, with what led to it. Of pods that wait for
    /// the same the first one is told.
    pub(super) fn obstacles(&self, at: SimTime, is_its: impl Fn(WorkloadId) -> bool) -> Vec<Step> {
        let mut waiting: BTreeMap<Waiting, (SimTime, EventId, Observation)> = BTreeMap::new();
        let records = self.journal.observations().iter().take_while(|record| record.at <= at);
        for record in records {
            if let Some((who, workload)) = keeps_waiting(&record.observation)
                && is_its(workload)
            {
                waiting.entry(who).or_insert((record.at, record.cause, record.observation));
            } else if let Some(who) = lets_go(&record.observation) {
                waiting.remove(&who);
            }
            // A pod that came to be waits for itself.
            if let Observation::PodStarted { workload, .. } = record.observation {
                waiting.remove(&Waiting::Controller(workload));
            }
        }
        let mut facts: Vec<_> = waiting.into_values().collect();
        facts.sort_by_key(|(at, cause, _)| (*at, *cause));
        let (mut steps, mut told) = (Vec::new(), BTreeSet::new());
        for (at, cause, observation) in facts {
            let Some(step) = self.step(at, &observation) else { continue };
            if told.len() < TOLD_MAX && told.insert(step.text.clone()) {
                steps.extend(self.steps(cause));
                steps.push(step);
            }
        }
        steps
    }

    /// Who still has the volume that a pod waits for, and until when.
    pub(super) fn volume_sentence(
        &self,
        workload: WorkloadId,
        holder: NodeId,
        free_at: SimTime,
    ) -> String {
        let (name, node) = (self.blueprint.workload_name(workload), self.node_name(holder));
        if free_at == SimTime::MAX {
            return format!(
                "a volume of a pod of {name} is still attached to {node}, where a pod needs it: one on a \
                 silent node is gone when the node is back, deleted, or tainted out of service"
            );
        }
        let secs = free_at.as_millis() / 1000;
        let clock = format!("{:02}:{:02}:{:02}", secs / 3600, secs % 3600 / 60, secs % 60);
        format!(
            "a volume of a pod of {name} is still attached to {node} until {clock} (a silent node loses \
             it by force, 6 minutes after its pod is gone), and is tried again ever more slowly"
        )
    }
}

#[cfg(test)]
mod tests {
    use model_api::Blueprint;
    use model_api::blueprint::NodeSpec;
    use model_api::fault::FaultPlan;
    use model_api::kube::{PodTemplate, ResourceQuota, Workload, WorkloadKind};
    use sim_kernel::{Journal, Recorder as _, SimSpan};

    use super::*;

    fn blueprint() -> Blueprint {
        let mut blueprint = Blueprint::default();
        let mut spec = NodeSpec::default();
        spec.node.name = "a-0".to_owned();
        blueprint.nodes.push(spec);
        for name in ["web", "other"] {
            blueprint.workloads.push(Workload {
                kind: WorkloadKind::ReplicaSet,
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                replicas: 1,
                selector: None,
                min_ready: SimSpan::ZERO,
                template: PodTemplate::default(),
                origin: model_api::Origin::default(),
            });
        }
        blueprint.quotas.push(ResourceQuota {
            namespace: "shop".to_owned(),
            name: "small".to_owned(),
            ..ResourceQuota::default()
        });
        blueprint
    }

    /// What pods of the first workload wait for after a minute.
    fn check(seen: &[(u64, Observation)], expected: &[&str]) {
        let (blueprint, plan) = (blueprint(), FaultPlan::default());
        let mut journal: Journal<(), Observation> = Journal::new();
        for (secs, observation) in seen {
            journal.observe(SimTime::from_secs(*secs), EventId::NONE, *observation);
        }
        let story = Story::new(&journal, &blueprint, &plan);
        let steps = story.obstacles(SimTime::from_secs(60), |it| it == WorkloadId(0));
        let told: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(told, expected, "{seen:?}");
    }

    #[test]
    fn what_still_waits_is_told_once() {
        let workload = WorkloadId(0);
        let quota = |workload| Observation::PodOverQuota { workload, quota: 0 };
        let held = |pod, free_at| {
            let (pod, holder) = (PodId(pod), NodeId(0));
            Observation::PodVolumeHeld { pod, workload, holder, free_at }
        };
        let started = |pod| Observation::PodStarted { pod: PodId(pod), workload };
        let over = "ResourceQuota shop/small refuses a pod of shop/web";
        let until = "a volume of a pod of shop/web is still attached to a-0 until 00:06:00 (a silent node \
                     loses it by force, 6 minutes after its pod is gone), and is tried again ever more \
                     slowly";
        let needed = "a volume of a pod of shop/web is still attached to a-0, where a pod needs it: one \
                      on a silent node is gone when the node is back, deleted, or tainted out of service";
        check(&[], &[]);
        check(&[(5, quota(workload)), (9, quota(workload))], &[over]);
        check(&[(5, quota(WorkloadId(1)))], &[]);
        check(&[(5, quota(workload)), (9, started(3))], &[]);
        check(&[(90, quota(workload))], &[]);
        check(
            &[(5, held(3, SimTime::from_secs(360))), (7, held(4, SimTime::from_secs(360)))],
            &[until],
        );
        check(&[(5, held(3, SimTime::MAX)), (6, quota(workload))], &[needed, over]);
        check(&[(5, held(3, SimTime::MAX)), (9, started(3))], &[]);
    }
}
