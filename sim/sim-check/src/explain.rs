//! How it came to an outage: the chain of causes, and what its time was spent on.
//!
//! Works on the journal of one run: events know their parents, observations their cause. The chain
//! of what ended an outage is its critical path: each link of it is time that something was waited
//! for, named by what came of it. So the parts of an outage sum to it exactly.

use std::collections::{BTreeMap, BTreeSet};

use model_api::fault::FaultPlan;
use model_api::observation::{
    ConfigurationWay, DeletionReason, FlowSegment, LossReason, UnreadyReason,
};
use model_api::{Blueprint, Observation, ServiceId, SourceRef};
use report_data::{Explanation, OutagePart, Part, Position, Step};
use sim_kernel::{EventId, Journal, SimTime};

use crate::outage::{Outage, RECOVERY_SHARE_PERCENT};
use path::Told;

mod action;
mod canary;
pub(crate) mod data;
mod figure;
mod frozen;
mod gateway;
mod holder;
mod job;
mod kubelet;
mod member;
mod path;
mod restored;
mod slow;
mod storage;
mod strained;
mod timeline;
mod waiting;
mod webhook;
mod writes;

pub use timeline::Moment;

/// A journal with the observations of each event at hand.
pub struct Story<'a, E> {
    journal: &'a Journal<E, Observation>,
    blueprint: &'a Blueprint,
    plan: &'a FaultPlan,
    by_cause: BTreeMap<EventId, Vec<Told>>,
}

impl<'a, E> Story<'a, E> {
    /// The story of a journal.
    pub fn new(
        journal: &'a Journal<E, Observation>,
        blueprint: &'a Blueprint,
        plan: &'a FaultPlan,
    ) -> Self {
        let mut by_cause: BTreeMap<EventId, Vec<Told>> = BTreeMap::new();
        for record in journal.observations() {
            let told = Told { at: record.at, observation: record.observation };
            by_cause.entry(record.cause).or_default().push(told);
        }
        Self { journal, blueprint, plan, by_cause }
    }

    /// Explains an outage of a Service in run number `run`.
    pub fn outage(&self, run: u64, service: ServiceId, outage: &Outage) -> Explanation {
        let mut steps = self.steps(self.cause_at(service, outage.from));
        steps.push(Step {
            at_ns: outage.from.as_nanos(),
            text: format!(
                "requests for {} fail: {}",
                self.blueprint.service_name(service),
                self.loss(outage.reason)
            ),
            position: self.position(self.blueprint.services[service.index()].origin.object),
        });
        let ending = self.ending(service, outage);
        steps.extend(
            self.steps(ending).into_iter().filter(|step| step.at_ns > outage.from.as_nanos()),
        );
        let bad_until = outage.bad_until();
        let is_cured_later = steps.last().is_some_and(|step| step.at_ns > bad_until.as_nanos());
        let end = |at: SimTime, text: &str| Step {
            at_ns: at.as_nanos(),
            text: text.to_owned(),
            position: None,
        };
        if outage.served_at.is_none() {
            steps.extend(self.obstacles_of(service, bad_until));
        }
        steps.extend(ending_words(outage, is_cured_later).map(|(at, text)| end(at, text)));
        steps.extend(self.reversions(service, outage.until));
        // The last pod may come when enough is answered already.
        in_order(&mut steps);
        let is_served = outage.served_at.is_some();
        let mut outage_parts = self.parts(ending, outage.from, bad_until, is_served);
        let length_ns = outage.backlog().as_nanos();
        if length_ns > 0 {
            outage_parts.push(OutagePart { part: Part::Backlog, length_ns });
        }
        Explanation { run, steps, outage_parts }
    }

    /// Explains the first observation of a run for which `is_it` holds.
    pub fn first(&self, run: u64, is_it: impl Fn(&Observation) -> bool) -> Option<Explanation> {
        let found = self.journal.observations().iter().find(|record| is_it(&record.observation))?;
        let cause = match found.cause {
            EventId::NONE => self.lost_by(&found.observation).unwrap_or(EventId::NONE),
            cause => cause,
        };
        let mut path = self.path(cause);
        let told = Told { at: found.at, observation: found.observation };
        if path.last() != Some(&told) {
            path.push(told);
        }
        Some(Explanation { run, steps: self.tell(&path), outage_parts: Vec::new() })
    }

    /// What closed the stretch of a flow that ended at `at`.
    fn cause_at(&self, service: ServiceId, at: SimTime) -> EventId {
        self.flows(service)
            .find(|(ended_at, _, _)| *ended_at >= at)
            .map_or(EventId::NONE, |(_, cause, _)| cause)
    }

    /// What closed the last bad stretch of an outage: that in which it ends by the rule, or those that
    /// go on from there, because a stretch at the start of a good window may still be bad.
    fn ending(&self, service: ServiceId, outage: &Outage) -> EventId {
        let (mut ending, mut bad_until) = (EventId::NONE, outage.bad_until());
        for (until, cause, segment) in self.flows(service) {
            let follows = segment.from < outage.bad_until() || segment.from == bad_until;
            if segment.from >= outage.from && follows && is_bad(&segment) {
                (ending, bad_until) = (cause, until);
            }
        }
        ending
    }

    fn flows(
        &self,
        service: ServiceId,
    ) -> impl Iterator<Item = (SimTime, EventId, FlowSegment)> + '_ {
        self.journal.observations().iter().filter_map(move |record| match record.observation {
            Observation::Flow(segment) if segment.service == service => {
                Some((segment.until, record.cause, segment))
            }
            _ => None,
        })
    }

    /// What is told on the way to an event.
    fn steps(&self, id: EventId) -> Vec<Step> {
        self.tell(&self.path(id))
    }

    /// What is told of a path: nothing twice, and of refusals that come again and again the first one with
    /// how many there are in the run.
    fn tell(&self, path: &[Told]) -> Vec<Step> {
        let mut refusals = BTreeSet::new();
        let mut steps: Vec<Step> = Vec::new();
        for told in path {
            let refusal = refusal(&told.observation);
            if refusal.is_some_and(|refusal| !refusals.insert(refusal)) {
                continue;
            }
            let Some(mut step) = self.step(told.at, &told.observation) else { continue };
            if refusal.is_some() {
                let records = self.journal.observations().iter();
                let count = records.filter(|it| self::refusal(&it.observation) == refusal).count();
                if count > 1 {
                    step.text.push_str(&format!(" ({count} times in this run)"));
                }
            }
            let mut at_once = steps.iter().rev().take_while(|known| known.at_ns == step.at_ns);
            if !at_once.any(|known| known.text == step.text) {
                steps.push(step);
            }
        }
        steps
    }

    fn step(&self, at: SimTime, observation: &Observation) -> Option<Step> {
        let (text, source) = self.sentence(observation)?;
        let position = source.and_then(|source| self.position(source));
        Some(Step { at_ns: at.as_nanos(), text, position })
    }

    /// The outage cut at the moments of its critical path.
    fn parts(
        &self,
        ending: EventId,
        begin: SimTime,
        end: SimTime,
        is_over: bool,
    ) -> Vec<OutagePart> {
        self.parts_of(&self.path(ending), begin, end, is_over)
    }

    /// An outage cut at the moments of a path.
    fn parts_of(
        &self,
        path: &[Told],
        begin: SimTime,
        end: SimTime,
        is_over: bool,
    ) -> Vec<OutagePart> {
        let mut lengths: BTreeMap<Part, u64> = BTreeMap::new();
        let mut from = begin;
        let mut has_no_place = false;
        for told in path {
            let until = told.at.clamp(from, end);
            let part = match told.observation {
                Observation::PodBecameUnschedulable { .. } => {
                    has_no_place = true;
                    Some(Part::Act)
                }
                // It waited for a node, or for the zone of its volume.
                Observation::PodBound { .. } if std::mem::take(&mut has_no_place) => {
                    Some(Part::Provision)
                }
                ref observation => part(observation),
            };
            if let Some(part) = part {
                *lengths.entry(part).or_default() += (until - from).as_nanos();
                from = until;
            }
        }
        let last = if is_over { Part::Drain } else { Part::Stuck };
        *lengths.entry(last).or_default() += (end - from).as_nanos();
        lengths
            .into_iter()
            .filter(|(_, length_ns)| *length_ns > 0)
            .map(|(part, length_ns)| OutagePart { part, length_ns })
            .collect()
    }

    fn position(&self, source: SourceRef) -> Option<Position> {
        let file = self.blueprint.files.get(source.file_idx as usize)?;
        (source.line > 0).then(|| Position {
            file: file.clone(),
            line: source.line,
            column: source.column,
        })
    }

    fn loss(&self, reason: LossReason) -> String {
        match reason {
            LossReason::None => "too few are answered".to_owned(),
            LossReason::DeadEndpoints => {
                "they are sent to endpoints that cannot answer any more".to_owned()
            }
            LossReason::NoEndpoints => "no endpoint is ready".to_owned(),
            LossReason::Overload => "more come in than the ready pods can serve".to_owned(),
            LossReason::TimedOut => "callers do not wait any longer".to_owned(),
            LossReason::RateLimited => "the rate limit is reached".to_owned(),
            LossReason::BreakerOpen => "a circuit breaker is open".to_owned(),
            LossReason::Name => "clients do not find the name, or it leads to nobody".to_owned(),
            LossReason::LoadBalancer => {
                "the load balancer is away, or leads to nodes that do not answer".to_owned()
            }
            LossReason::Denied => "no network policy lets the caller through".to_owned(),
            LossReason::Errors if self.blueprint.pools.iter().any(|it| !it.stalled.is_empty()) => {
                "pods answer with errors: of a faulty version, or their storage pool stands still"
                    .to_owned()
            }
            LossReason::Errors => "pods of a faulty version answer with errors".to_owned(),
            LossReason::NotLocal => {
                "they come to nodes without an endpoint, and its traffic policy is Local".to_owned()
            }
            LossReason::Dependency(service) => {
                format!("{}, which they need, fails", self.blueprint.service_name(service))
            }
            LossReason::Database(database) => {
                format!("{} takes no writes", self.blueprint.database_name(database))
            }
        }
    }

    /// An observation in words, with the place in the input that has it so; `None` for what is only
    /// of use to the judge.
    fn sentence(&self, observation: &Observation) -> Option<(String, Option<SourceRef>)> {
        use Observation as O;
        let zone = |id: model_api::ZoneId| self.blueprint.zones[id.index()].name.as_str();
        let node = |id: model_api::NodeId| self.blueprint.nodes[id.index()].node.name.clone();
        let workload = |id: model_api::WorkloadId| self.blueprint.workload_name(id);
        let spec = |id: model_api::WorkloadId| &self.blueprint.workloads[id.index()];
        let field = |id: model_api::WorkloadId, path: &str| Some(spec(id).origin.of(path));
        let text = match *observation {
            O::FaultStruck { fault, .. } => {
                let fault = &self.plan.faults[fault.index()];
                return Some((
                    format!("fault \"{}\" strikes", fault.name),
                    Some(fault.origin.object),
                ));
            }
            O::FaultEnded { fault } => {
                format!("fault \"{}\" is over", self.plan.faults[fault.index()].name)
            }
            O::ZoneLost { zone: id, is_isolated: false } => format!("zone {} is lost", zone(id)),
            O::ZoneLost { zone: id, is_isolated: true } => format!("zone {} is cut off", zone(id)),
            O::ZoneRestored { zone: id } => format!("zone {} is back", zone(id)),
            O::NodeLost { node: id } => format!("node {} is lost", node(id)),
            O::NodeRestored { node: id } => format!("node {} is back", node(id)),
            O::NodeBecameNotReady { node: id } => {
                format!(
                    "the node controller finds {} silent and marks its pods not ready",
                    node(id)
                )
            }
            O::NodeBecameReady { node: id } => format!("node {} is Ready again", node(id)),
            O::NodeTaintedNoExecute { node: id } => {
                format!("node {} is tainted NoExecute", node(id))
            }
            O::NodesRequested { zone: id, count } => {
                format!("the cluster autoscaler asks for {count} nodes in {}", zone(id))
            }
            O::NodesRefused { zone: id, count } => {
                format!("the provider refuses {count} nodes in {}", zone(id))
            }
            O::NodesGivenUp { zone: id, count } => {
                format!("the cluster autoscaler gives up {count} nodes in {}", zone(id))
            }
            O::NodeRemoved { node: id } => {
                format!("the cluster autoscaler removes {}", node(id))
            }
            O::QuorumLost => "etcd loses its quorum".to_owned(),
            O::QuorumRegained => "etcd has a quorum again".to_owned(),
            O::LeaderChanged => "another controller manager takes over".to_owned(),
            O::OperatorTurned { workload, leads: true, .. } => {
                format!(
                    "a pod of {} takes the lease and looks after its objects",
                    self.blueprint.workload_name(workload)
                )
            }
            O::OperatorTurned { workload, .. } => {
                format!(
                    "{} cannot renew its lease and ends",
                    self.blueprint.workload_name(workload)
                )
            }
            O::ApiLost => "no API server answers: nothing is moved or routed anew".to_owned(),
            O::ApiRegained => "the API answers again".to_owned(),
            O::ApiStateLost
            | O::ApiStateRestored { .. }
            | O::WorkloadReverted { .. }
            | O::AutoscalerReverted { .. }
            | O::ConfigurationReverted { .. }
            | O::VolumeOrphaned { .. }
            | O::ClaimLost { .. }
            | O::PodVolumeMissing { .. } => {
                return self.restored_sentence(observation);
            }
            O::RelistsQueued { clients, refused, span_ns } => {
                let millis = span_ns / 1_000_000;
                let refused = match refused {
                    0 => String::new(),
                    refused => format!(", {refused} are refused at first"),
                };
                format!(
                    "{clients} kubelets and proxies list anew, the last one {millis} ms late{refused}"
                )
            }
            O::ApiOverloaded { .. }
            | O::ApiSlowed { .. }
            | O::ApiRelieved
            | O::LeaderStalled { .. }
            | O::LeaseStalled { .. } => self.strained_sentence(observation),
            O::MemberTurned { .. }
            | O::EtcdLed { .. }
            | O::ApiServerPooled { .. }
            | O::ApiServerListed { .. }
            | O::ApiClientTurned { .. }
            | O::ControllerTurned { .. }
            | O::ApiBalancerTurned { .. } => self.member_sentence(observation),
            O::WebhookTurned { .. } => return Some(self.webhook_sentence(observation)),
            O::WriteWaits { write } => self.waiting_sentence(write),
            O::KubeletsHung { count } => {
                format!("{count} kubelets hang on the connection to an API server that is gone")
            }
            O::ProxiesBehind { count } => {
                format!(
                    "proxies on {count} nodes hear nothing and go by endpoints that have changed"
                )
            }
            O::ProxiesCaughtUp => "proxies that heard nothing know the endpoints again".to_owned(),
            O::PodImagePullFailed { workload: id, .. } => {
                let place = Some(self.container_place(id, |_| true, "image"));
                let text = format!("no registry has the image of a pod of {}", workload(id));
                return Some((text, place));
            }
            O::PodConfigurationMissing { workload: id, way, .. } => {
                let what = match way {
                    ConfigurationWay::Environment => {
                        "a Secret or ConfigMap of its environment is not there \
                         (CreateContainerConfigError)"
                    }
                    ConfigurationWay::Volume => "what it mounts is not there (FailedMount)",
                    ConfigurationWay::Agent => "its agent gets nothing from the vault",
                };
                format!("a pod of {} waits: {what}", workload(id))
            }
            O::PodCreationRefused { workload: id } => {
                format!("a webhook that does not answer refuses pods of {}", workload(id))
            }
            O::PodOverQuota { workload: id, quota } => {
                let quota = &self.blueprint.quotas[quota as usize];
                let text = format!(
                    "ResourceQuota {}/{} refuses a pod of {}",
                    quota.namespace,
                    quota.name,
                    workload(id)
                );
                return Some((text, Some(quota.origin.of("spec.hard"))));
            }
            O::PodVolumeHeld { workload: id, holder, free_at, .. } => {
                self.volume_sentence(id, holder, free_at)
            }
            O::PodVolumesExpected { workload: id, is_forced, .. } => {
                let how = if is_forced {
                    ", taken from a silent node by force after 6 minutes"
                } else {
                    ""
                };
                let text = format!("the volumes of a pod of {} are attached{how}", workload(id));
                return Some((text, None));
            }
            O::MasterDisruptionStarted => "every zone is lost: evictions stop".to_owned(),
            O::PodDeletionRequested { workload: id, reason: DeletionReason::Taint, .. } => {
                let place = field(id, &spec(id).pod_path("tolerations"));
                return Some((
                    format!("the toleration of a pod of {} runs out", workload(id)),
                    place,
                ));
            }
            O::PodCreated { workload: id, .. } => {
                format!("{} creates a pod", workload(id))
            }
            O::Rescaled { workload: id, from, to } => {
                let place = field(id, "spec.replicas");
                let text = format!("its autoscaler takes {} from {from} to {to}", workload(id));
                return Some((text, place));
            }
            O::PodBecameUnschedulable { workload: id, reason, refused, .. } => {
                let place = field(id, &spec(id).filter_path(reason));
                let why = kubelet::refusals(reason, &refused);
                let text = format!("no node fits a pod of {} ({why})", workload(id));
                return Some((text, place));
            }
            O::PodBound { workload: id, node: at, .. } => {
                format!("a pod of {} is bound to {}", workload(id), node(at))
            }
            O::PodImagePulled { workload: id, .. } => {
                format!("the image of a pod of {} is there", workload(id))
            }
            O::PodStarted { workload: id, .. } => format!("a pod of {} runs", workload(id)),
            O::PodBecameReady { workload: id, .. } => {
                let place =
                    Some(self.container_place(id, |it| it.readiness.is_some(), "readinessProbe"));
                return Some((format!("a pod of {} is ready", workload(id)), place));
            }
            O::PodBecameUnready { workload: id, reason: UnreadyReason::Probe, .. } => {
                let place =
                    Some(self.container_place(id, |it| it.readiness.is_some(), "readinessProbe"));
                let text = format!("a pod of {} fails its readiness probe", workload(id));
                return Some((text, place));
            }
            O::ContainersKilled { pod, workload: id, reason } => {
                return Some(self.kill_sentence(pod, id, reason));
            }
            O::NodePressureStarted { .. }
            | O::NodePressureEnded { .. }
            | O::ImagesCollected { .. }
            | O::PodEvicted { .. }
            | O::PodRefused { .. } => return self.pressure_sentence(observation),
            O::PodNotAdmitted { workload, node, check, .. } => {
                return Some(self.admission_sentence(workload, node, check));
            }
            O::FailoverStarted { database, .. } => {
                let name = self.blueprint.database_name(database);
                format!("the operator of {name} gives its primary up")
            }
            O::PrimaryPromoted { database, .. } => {
                format!("{} has a new primary", self.blueprint.database_name(database))
            }
            O::WritesStopped { database } => {
                format!("{} takes no writes", self.blueprint.database_name(database))
            }
            O::WritesResumed { database } => {
                format!("{} takes writes again", self.blueprint.database_name(database))
            }
            O::FailoverBlocked { database, reason } => {
                format!(
                    "{} cannot fail over: {}",
                    self.blueprint.database_name(database),
                    reason.words()
                )
            }
            O::CommitsLost { database, span_ns: u64::MAX, .. } => {
                let name = self.blueprint.database_name(database);
                format!("{name} lost every commit since its beginning: nothing of it is left")
            }
            O::CommitsLost { database, commit_count, .. } => {
                let name = self.blueprint.database_name(database);
                format!("{name} lost {commit_count} acknowledged commits")
            }
            O::EndpointsChanged { service, ready_count, live_count } => format!(
                "proxies route {} to {ready_count} endpoints, {live_count} of them alive",
                self.blueprint.service_name(service)
            ),
            O::Backup(fact) => return self.data_sentence(&fact),
            O::Storage(fact) => return self.storage_sentence(&fact),
            O::Gateway(fact) => return Some(self.gateway_sentence(&fact)),
            _ => return self.action_sentence(observation),
        };
        Some((text, None))
    }
}

/// Steps in the order of time, each once.
fn in_order(steps: &mut Vec<Step>) {
    steps.sort_by_key(|step| step.at_ns);
    let mut told: Vec<(u64, String)> = Vec::new();
    steps.retain(|step| {
        told.retain(|(at_ns, _)| *at_ns == step.at_ns);
        let is_new = told.iter().all(|(_, text)| *text != step.text);
        told.push((step.at_ns, step.text.clone()));
        is_new
    });
}

/// Of which workload a pod may not be evicted, and with which answer.
fn refusal(observation: &Observation) -> Option<(model_api::WorkloadId, u16)> {
    match *observation {
        Observation::EvictionRefused { workload, code, .. } => Some((workload, code)),
        _ => None,
    }
}

/// How an outage ends, in words.
fn ending_words(
    outage: &Outage,
    is_cured_later: bool,
) -> impl Iterator<Item = (SimTime, &'static str)> + use<> {
    let bad_until = outage.bad_until();
    let has_backlog = !outage.backlog().is_zero();
    let answered = match (outage.served_at.is_some(), is_cured_later) {
        (true, _) if has_backlog => "enough is answered again; what piled up waits still",
        (true, false) => "the outage is over: of the next 30 s, 99 % are answered",
        (true, true) => {
            "the outage counts as over: with what follows, 99 % of the next 30 s are answered"
        }
        (false, _) => "the run ends; requests still fail",
    };
    let served = match outage.is_over {
        true => "the outage is over: what piled up is served",
        false => "the run ends; what piled up is not served yet",
    };
    let served = has_backlog.then_some((outage.until, served));
    std::iter::once((bad_until, answered)).chain(served)
}

/// Whether more requests are lost at an end of a stretch than an outage is over with.
fn is_bad(segment: &FlowSegment) -> bool {
    let lacks = |served: u64, offered: u64| {
        u128::from(served) * 100 < u128::from(offered) * u128::from(RECOVERY_SHARE_PERCENT)
    };
    lacks(segment.served_from_millirps, segment.offered_from_millirps)
        || lacks(segment.served_until_millirps, segment.offered_until_millirps)
}

/// What the wait for an observation was spent on.
fn part(observation: &Observation) -> Option<Part> {
    use Observation as O;
    match observation {
        O::NodeBecameNotReady { .. }
        | O::NodePressureStarted { .. }
        | O::FailoverBlocked { .. }
        | O::ContainersKilled { .. } => Some(Part::Detect),
        O::NodeTaintedNoExecute { .. }
        | O::PodDeletionRequested { .. }
        | O::PodDisrupted { .. }
        | O::FailoverStarted { .. }
        | O::PodEvicted { .. }
        | O::PodRefused { .. }
        | O::PodNotAdmitted { .. }
        | O::InstanceUpdated { .. }
        | O::SwitchoverStarted { .. }
        | O::QuorumRegained
        | O::Rescaled { .. }
        | O::ApiRegained
        | O::ApiStateRestored { .. }
        | O::ReplicaSetScaled { .. }
        | O::EvictionRefused { .. }
        | O::NodesRequested { .. }
        | O::OperatorTurned { .. }
        | O::LeaderChanged => Some(Part::Decide),
        O::PodCreated { .. }
        | O::PodCreationRefused { .. }
        | O::PodConfigurationMissing { .. }
        | O::PodOverQuota { .. }
        | O::PodBound { .. }
        | O::EndpointsChanged { .. }
        | O::PoolerFails { .. }
        | O::PrimaryPromoted { .. }
        | O::WritesResumed { .. } => Some(Part::Act),
        O::NodeRestored { .. }
        | O::NodeBecameReady { .. }
        | O::ZoneRestored { .. }
        | O::FaultEnded { .. } => Some(Part::Provision),
        O::PodImagePulled { .. } | O::PodImagePullFailed { .. } => Some(Part::Pull),
        O::PodVolumeHeld { .. }
        | O::PodVolumesExpected { .. }
        | O::PodVolumeMissing { .. }
        | O::VolumeGrown { .. } => Some(Part::Provision),
        O::Backup(fact) => data::part(fact),
        O::Storage(fact) => storage::part(fact),
        O::Gateway(fact) => Some(gateway::part(fact)),
        O::PodStarted { .. } => Some(Part::Start),
        O::PodBecameReady { .. } => Some(Part::Warm),
        _ => None,
    }
}
