//! The figures of one run, folded from its observations as they come.

use std::collections::{BTreeMap, BTreeSet};

use model_api::backup::DataSetKind;
use model_api::fault::{ControlPlaneFault, Fault, FaultKind, FaultPlan};
use model_api::guarantee::{Guarantee, Predicate, Promise};
use model_api::load::ClientGroup;
use model_api::observation::{BackupFact, Counted, FlowSegment, Throttling};
use model_api::session::SessionsSeen;
use model_api::{Blueprint, DatabaseId, FaultId, NodeId, Observation, ServiceId, WorkloadId};
use sim_kernel::{Causes, EventId, EventRecorder, Recorder, SimSpan, SimTime};

use crate::budget::{self, AlertSeen, Errors};
use crate::clients::{ClientMeasures, ClientWatch, Groups};
use crate::dark::Dark;
use crate::data::DataMeasures;
use crate::eviction::{EvictionWatch, Patience};
use crate::goodput::{self, Returned};
use crate::jobs::JobMeasures;
use crate::members::Members;
use crate::memory::MemoryMeasures;
use crate::outage::{Outage, OutageWatch};
use crate::recommended::{self, Recommended};
use crate::signal::Signals;
use crate::storage::{PoolMeasures, PoolWatch};
use crate::{latency, stability};

/// What there is to be measured: sizes and facts of the platform that the figures need.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    pub(crate) service_count: usize,
    pub(crate) database_count: usize,
    zone_count: usize,
    /// By data set: the database that it is.
    databases_of_sets: Vec<Option<DatabaseId>>,
    pool_count: usize,
    pub(crate) fault_count: usize,
    /// Jurisdiction of each node.
    pub(crate) jurisdictions: Vec<String>,
    /// Which latencies are asked for.
    latencies: Vec<(ServiceId, u32)>,
    /// Which goodputs must return, to what share.
    returns: Vec<(ServiceId, u32, bool)>,
    /// Which Services must settle, at what share of their requests.
    settling: Vec<(ServiceId, u32)>,
    /// Which Services must answer what share of requests while control planes are frozen.
    stable: Vec<(ServiceId, u32)>,
    /// Faults that freeze them.
    freezes: Vec<FaultId>,
    /// Which objectives must page in time.
    alerts: Vec<(ServiceId, u32)>,
    /// Availability in windows of which length is asked for.
    windows: Vec<(ServiceId, SimSpan)>,
    /// Clients that are counted by themselves.
    clients: Groups,
    /// By Service: whether a guarantee looks at its flow as a whole.
    keeps_segments: Vec<bool>,
    /// Some guarantee is about what comes of evictions: how long pods stay on silent nodes.
    patience: Option<Patience>,
    pub(crate) predicates: Vec<Predicate>,
}

/// Faults that leave no control plane an answer.
fn freezes(plan: &FaultPlan) -> Vec<FaultId> {
    let is_one =
        |fault: &Fault| matches!(fault.kind, FaultKind::ControlPlane(ControlPlaneFault::ApiOutage));
    let faults = plan.faults.iter().enumerate().filter(|(_, fault)| is_one(fault));
    faults.map(|(idx, _)| FaultId::from_index(idx)).collect()
}

/// By data set: the database that it is.
fn databases_of_sets(blueprint: &Blueprint) -> Vec<Option<DatabaseId>> {
    let database = |kind: &DataSetKind| match kind {
        DataSetKind::Database(database) => Some(*database),
        DataSetKind::Volumes(_) | DataSetKind::Etcd | DataSetKind::Other => None,
    };
    blueprint.protection.data_sets.iter().map(|set| database(&set.kind)).collect()
}

impl Subjects {
    /// What `guarantees` need to know of a platform and a fault plan.
    pub fn new(blueprint: &Blueprint, plan: &FaultPlan, guarantees: &[Guarantee]) -> Self {
        let mut subjects = Self {
            service_count: blueprint.services.len(),
            database_count: blueprint.databases.len(),
            zone_count: blueprint.zones.len(),
            databases_of_sets: databases_of_sets(blueprint),
            pool_count: blueprint.pools.len(),
            fault_count: plan.faults.len(),
            keeps_segments: vec![false; blueprint.services.len()],
            freezes: freezes(plan),
            clients: Groups::of(blueprint),
            jurisdictions: blueprint
                .nodes
                .iter()
                .map(|spec| blueprint.zones[spec.zone.index()].jurisdiction.clone())
                .collect(),
            ..Self::default()
        };
        for guarantee in guarantees {
            match &guarantee.promise {
                Promise::Latency { service, clients: Some(group), quantile_ppm, .. } => {
                    subjects.clients.ask(*service, group, *quantile_ppm);
                }
                Promise::Latency { service, quantile_ppm, .. } => {
                    subjects.latencies.push((*service, *quantile_ppm));
                    subjects.keeps_segments[service.index()] = true;
                }
                Promise::Returns { service, to_ppm, after_end, .. } => {
                    subjects.returns.push((*service, *to_ppm, *after_end));
                    subjects.keeps_segments[service.index()] = true;
                }
                Promise::StaticallyStable { service, share_ppm } => {
                    subjects.stable.push((*service, *share_ppm));
                    subjects.keeps_segments[service.index()] = true;
                }
                Promise::Alert { service, objective_ppm, .. } => {
                    subjects.alerts.push((*service, *objective_ppm));
                    subjects.keeps_segments[service.index()] = true;
                }
                Promise::AvailabilityIn { service, window, .. } => {
                    subjects.windows.push((*service, *window));
                    subjects.keeps_segments[service.index()] = true;
                }
                Promise::Never(predicate)
                | Promise::Always(predicate)
                | Promise::Sometimes(predicate) => subjects.predicates.push(predicate.clone()),
                _ => {}
            }
        }
        subjects.predicates.sort();
        subjects.predicates.dedup();
        let comes_of_evictions = |it: &Predicate| {
            matches!(it, Predicate::PodEvicted(_) | Predicate::PodUnschedulable(_))
        };
        if subjects.predicates.iter().any(comes_of_evictions) {
            subjects.patience = Some(Patience::of(blueprint));
        }
        subjects
    }

    /// The same, with an eye on when a Service answers a share of its requests, in parts per million,
    /// for good.
    #[must_use]
    pub fn with_settling(mut self, service: ServiceId, share_ppm: u32) -> Self {
        self.settling.push((service, share_ppm));
        self.keeps_segments[service.index()] = true;
        self
    }

    pub(crate) fn jurisdiction(&self, node: NodeId) -> Option<&str> {
        self.jurisdictions.get(node.index()).map(String::as_str)
    }
}

/// Folds the observations of one run. Keeps no causes, so that a campaign does not pay for them.
#[derive(Clone, Debug)]
pub struct Monitor<'a> {
    subjects: &'a Subjects,
    services: Vec<ServiceMeasures>,
    outages: Vec<OutageWatch>,
    /// Stretches of the flows that a guarantee looks at as a whole; empty for the others.
    segments: Vec<Vec<(FlowSegment, SimTime)>>,
    /// By Service: how many answers took at most so long, in order; where every latency is known.
    answered: Vec<Vec<(u64, u64)>>,
    clients: ClientWatch<'a>,
    databases: Vec<DatabaseMeasures>,
    data: Vec<DataMeasures>,
    pools: PoolWatch,
    writes_stopped_at: Vec<Option<SimTime>>,
    /// By database: since when two of its instances take writes.
    split_at: Vec<Option<SimTime>>,
    faults: Vec<Option<FaultMeasures>>,
    /// An upgrade was refused, of which it is not told yet that somebody began it.
    is_upgrade_refused: bool,
    jobs: BTreeMap<WorkloadId, JobMeasures>,
    memory: BTreeMap<WorkloadId, MemoryMeasures>,
    members: Members,
    recommended: Recommended,
    signals: Signals,
    dark: Dark,
    evictions: EvictionWatch,
}

impl<'a> Monitor<'a> {
    /// Nothing observed yet.
    pub fn new(subjects: &'a Subjects) -> Self {
        Self {
            subjects,
            services: vec![ServiceMeasures::default(); subjects.service_count],
            outages: vec![OutageWatch::default(); subjects.service_count],
            segments: vec![Vec::new(); subjects.service_count],
            answered: vec![Vec::new(); subjects.service_count],
            clients: ClientWatch::new(&subjects.clients),
            databases: vec![DatabaseMeasures::default(); subjects.database_count],
            data: vec![DataMeasures::default(); subjects.databases_of_sets.len()],
            pools: PoolWatch::new(subjects.pool_count),
            is_upgrade_refused: false,
            writes_stopped_at: vec![None; subjects.database_count],
            split_at: vec![None; subjects.database_count],
            faults: vec![None; subjects.fault_count],
            jobs: BTreeMap::new(),
            memory: BTreeMap::new(),
            members: Members::new(),
            recommended: Recommended::new(),
            signals: Signals::new(&subjects.predicates),
            dark: Dark::new(subjects.zone_count),
            evictions: EvictionWatch::default(),
        }
    }

    /// The figures, given that the run ended at `end`.
    pub fn finish(mut self, end: SimTime) -> RunMeasures {
        for database in 0..self.databases.len() {
            self.close_write_outage(DatabaseId::from_index(database), end, false);
            self.close_split(DatabaseId::from_index(database), end);
        }
        self.dark.close(end);
        let struck_at = || self.faults.iter().flatten().map(|fault| fault.at);
        let struck = struck_at().min().zip(struck_at().max());
        for (service, outages) in self.services.iter_mut().zip(&mut self.outages) {
            service.outages = outages.finish();
        }
        let latencies = self
            .subjects
            .latencies
            .iter()
            .map(|&(service, quantile_ppm)| {
                let (segments, answered) =
                    (&self.segments[service.index()], &self.answered[service.index()]);
                let latency = latency::quantile_of_counts(answered, quantile_ppm)
                    .or_else(|| latency::quantile(segments, quantile_ppm));
                ((service, quantile_ppm), latency)
            })
            .collect();
        let returns = self
            .subjects
            .returns
            .iter()
            .map(|&(service, to_ppm, after_end)| {
                let segments = &self.segments[service.index()];
                let last = returns_count_from(&self.faults, after_end);
                let struck = struck.map(|(first, _)| first).zip(last);
                ((service, to_ppm, after_end), goodput::returned(segments, struck, to_ppm))
            })
            .collect();
        let frozen = self.frozen(end);
        let stable = self.subjects.stable.iter().map(|&(service, share_ppm)| {
            let segments = &self.segments[service.index()];
            let recovery = || stability::longest_recovery(segments, &frozen, share_ppm);
            ((service, share_ppm), (!frozen.is_empty()).then(recovery))
        });
        let trouble_until =
            self.faults.iter().flatten().map(|fault| fault.ended_at.unwrap_or(fault.at)).max();
        let settled = self.subjects.settling.iter().map(|&(service, share_ppm)| {
            let after = (trouble_until.unwrap_or(SimTime::ZERO), end);
            let segments = &self.segments[service.index()];
            ((service, share_ppm), stability::recovery(segments, after, share_ppm))
        });
        let errors = |service: ServiceId| Errors::of(&self.segments[service.index()]);
        let alerts = self.subjects.alerts.iter().map(|&(service, objective_ppm)| {
            ((service, objective_ppm), budget::alert(&errors(service), objective_ppm, end))
        });
        let windows = self.subjects.windows.iter().map(|&(service, window)| {
            ((service, window), budget::least_availability_ppm(&errors(service), window, end))
        });
        let best_windows = self.subjects.windows.iter().filter(|_| !self.dark.is_empty());
        let best_windows = best_windows.map(|&(service, window)| {
            let best = budget::at_best(&self.segments[service.index()], &self.dark);
            ((service, window), budget::least_availability_ppm(&Errors::of(&best), window, end))
        });
        let patience = self.subjects.patience.as_ref();
        let pending = patience.map(|patience| self.evictions.pending(patience, end));
        RunMeasures {
            alerts: alerts.collect(),
            windows: windows.collect(),
            best_windows: best_windows.collect(),
            evictions_pending: pending.unwrap_or_default(),
            stable: stable.collect(),
            settled: settled.collect(),
            services: self.services,
            clients: self.clients.finish(),
            databases: self.databases,
            data: self.data,
            pools: self.pools.finish(end),
            faults: self.faults,
            jobs: self.jobs,
            memory: self.memory,
            members: crate::members::finish(self.members, end),
            recommended: self.recommended,
            latencies,
            returns,
            signals: self.signals,
            dark: self.dark,
            end,
        }
    }

    /// When control planes were frozen.
    fn frozen(&self, end: SimTime) -> Vec<(SimTime, SimTime)> {
        let struck = self.subjects.freezes.iter().filter_map(|id| self.faults[id.index()]);
        stability::merged(struck.map(|it| (it.at, it.ended_at.unwrap_or(end))).collect())
    }

    fn close_write_outage(&mut self, database: DatabaseId, at: SimTime, is_over: bool) {
        if let Some(from) = self.writes_stopped_at[database.index()].take()
            && at > from
        {
            let measures = &mut self.databases[database.index()];
            if at - from > measures.write_outage_max {
                (measures.write_outage_max, measures.write_outage_max_at) = (at - from, from);
            }
            measures.write_outage_count += 1;
            measures.is_writable_at_end = is_over;
        }
    }

    fn close_split(&mut self, database: DatabaseId, at: SimTime) {
        if let Some(from) = self.split_at[database.index()].take() {
            let measures = &mut self.databases[database.index()];
            measures.split_sum += at - from;
            measures.split_max = measures.split_max.max(at - from);
        }
    }

    fn fold_flow(&mut self, segment: &FlowSegment, until: SimTime) {
        let idx = segment.service.index();
        self.services[idx].fold(segment, until);
        self.services[idx].fold_dark(segment, until, &self.dark);
        self.outages[idx].fold(segment, until);
        if self.subjects.keeps_segments[idx] {
            self.segments[idx].push((*segment, until));
        }
    }

    fn fold(&mut self, at: SimTime, observation: Observation) {
        match observation {
            Observation::Flow(segment) if segment.until > segment.from => {
                self.fold_flow(&segment, segment.until);
            }
            Observation::Answered { service, within_ns, count } => {
                self.answered[service.index()].push((within_ns, count));
            }
            Observation::ClientFlow { load, segment } if segment.until > segment.from => {
                self.clients.fold_flow(load, &segment, &self.dark);
            }
            Observation::ClientAnswered { load, within_ns, count } => {
                self.clients.fold_answered(load, within_ns, count);
            }
            Observation::ServedFlow { zone, segment, crossing_ppm }
                if segment.until > segment.from =>
            {
                self.clients.fold_served(zone, &segment, crossing_ppm, &self.dark);
            }
            Observation::Throttled { service, seen } => {
                self.services[service.index()].throttling = seen;
            }
            Observation::Sessions { service, seen } => {
                self.services[service.index()].sessions = Some(seen);
            }
            Observation::ServedAnswered { service, zone, within_ns, count } => {
                self.clients.fold_served_answered((service, zone), within_ns, count);
            }
            Observation::FaultStruck { fault, targets } => {
                let is_refused = std::mem::take(&mut self.is_upgrade_refused);
                self.faults[fault.index()] = Some(FaultMeasures {
                    at,
                    targets,
                    is_refused,
                    ended_at: None,
                    completed_at: None,
                });
            }
            // What an action meets is told before the action itself.
            Observation::UpgradeRefused { .. } => self.is_upgrade_refused = true,
            Observation::ActionCompleted { fault } => {
                if let Some(measures) = &mut self.faults[fault.index()] {
                    measures.completed_at.get_or_insert(at);
                }
            }
            Observation::FaultEnded { fault } => {
                if let Some(measures) = &mut self.faults[fault.index()] {
                    measures.ended_at = Some(at);
                }
            }
            Observation::ZoneLost { zone, is_isolated: false } => self.dark.lose(zone, at),
            Observation::ZoneRestored { zone } => self.dark.restore(zone, at),
            Observation::WritesStopped { database } => {
                self.writes_stopped_at[database.index()].get_or_insert(at);
            }
            Observation::WritesResumed { database } => {
                self.close_write_outage(database, at, true);
            }
            Observation::WritablePrimaries { database, count } => {
                if count > 1 {
                    self.split_at[database.index()].get_or_insert(at);
                } else {
                    self.close_split(database, at);
                }
            }
            Observation::PrimaryPromoted { database, .. } => {
                self.databases[database.index()].failover_count += 1;
            }
            Observation::CommitsKept { database } => {
                self.databases[database.index()].kept_count += 1;
            }
            Observation::CommitsLost { database, span_ns, commit_count, wal_bytes } => {
                let measures = &mut self.databases[database.index()];
                measures.lost_span_max = measures.lost_span_max.max(SimSpan::from_nanos(span_ns));
                measures.lost_count += 1;
                measures.lost_commit_count += commit_count;
                measures.lost_wal_bytes += wal_bytes;
            }
            Observation::CommitsUnknown {
                database,
                durable_count,
                lost_count,
                undecided_count,
            } => {
                let measures = &mut self.databases[database.index()];
                measures.unknown_durable_count += durable_count;
                measures.unknown_lost_count += lost_count;
                measures.unknown_undecided_count += undecided_count;
            }
            Observation::DatabaseTallied {
                database,
                stall_count,
                stalled_ns,
                thin_ns,
                backlog_bytes_max,
                free_bytes_min,
            } => {
                let measures = &mut self.databases[database.index()];
                measures.stall_count = stall_count;
                measures.stalled = SimSpan::from_nanos(stalled_ns);
                measures.thin = SimSpan::from_nanos(thin_ns);
                measures.backlog_bytes_max = backlog_bytes_max;
                measures.free_bytes_min = (free_bytes_min < u64::MAX).then_some(free_bytes_min);
            }
            Observation::Backup(fact) => {
                if let BackupFact::StillLost { data_set, is_known: false, .. } = fact
                    && let Some(database) = self.subjects.databases_of_sets[data_set.index()]
                {
                    self.databases[database.index()].is_loss_open = true;
                }
                crate::data::fold(&mut self.data, &fact);
            }
            Observation::Storage(fact) => self.pools.fold(at, &fact),
            Observation::EndpointsChanged { service, live_count, .. } => {
                self.services[service.index()].is_dead = live_count == 0;
            }
            Observation::CpuRecommended { .. } | Observation::MemoryRecommended { .. } => {
                recommended::fold(&mut self.recommended, &observation);
            }
            Observation::ContainersKilled { .. }
            | Observation::PodEvicted { .. }
            | Observation::PodRefused { .. } => {
                crate::memory::fold(&mut self.memory, &observation);
            }
            _ if crate::members::fold(&mut self.members, at, &observation) => {}
            _ => crate::jobs::fold(&mut self.jobs, at, &observation),
        }
    }
}

impl Causes for Monitor<'_> {
    type Link = ();
}

impl Recorder<Observation> for Monitor<'_> {
    const RECORDS: bool = true;

    fn observe(&mut self, at: SimTime, _cause: EventId, observation: Observation) {
        self.signals.fold(self.subjects, at, observation);
        if self.subjects.patience.is_some() {
            self.evictions.fold(at, &observation);
        }
        self.fold(at, observation);
    }
}

impl<E> EventRecorder<E> for Monitor<'_> {}

/// The figures of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunMeasures {
    /// By Service id.
    pub services: Vec<ServiceMeasures>,
    /// What the groups of clients met that are counted by themselves, by the Service they ask.
    pub clients: BTreeMap<(ServiceId, ClientGroup), ClientMeasures>,
    /// By database id.
    pub databases: Vec<DatabaseMeasures>,
    /// By data set id.
    pub data: Vec<DataMeasures>,
    /// By storage pool id.
    pub pools: Vec<PoolMeasures>,
    /// By fault id; `None` when it never struck.
    pub faults: Vec<Option<FaultMeasures>>,
    /// Jobs that came due, by their workload.
    pub jobs: BTreeMap<WorkloadId, JobMeasures>,
    /// Pods that memory ran out for, by their workload; those of whom none was hit are left out.
    pub memory: BTreeMap<WorkloadId, MemoryMeasures>,
    /// API servers and members of etcd to which anything happened.
    pub members: Members,
    /// What vertical autoscalers recommended at the end.
    pub recommended: Recommended,
    /// Latencies that guarantees ask for; `None` when nothing was answered.
    pub latencies: BTreeMap<(ServiceId, u32), Option<SimSpan>>,
    /// What became of goodputs after the last fault, where guarantees ask for it.
    pub returns: BTreeMap<(ServiceId, u32, bool), Returned>,
    /// How long Services that guarantees ask for took at most to answer their share of requests again
    /// while control planes were frozen: `Some(None)` when they did not, `None` when none was frozen.
    pub stable: BTreeMap<(ServiceId, u32), Option<Option<SimSpan>>>,
    /// Time from the end of the last fault (from the start, without one) until a Service answers its
    /// share of requests for good; zero when it already did, `None` when it did not at the end. Of
    /// Services that [`Subjects::with_settling`] names.
    pub settled: BTreeMap<(ServiceId, u32), Option<SimSpan>>,
    /// When the objectives of Services that guarantees ask for would have paged.
    pub alerts: BTreeMap<(ServiceId, u32), AlertSeen>,
    /// The least availability of any window of a length that guarantees ask for, in parts per
    /// million; `None` when nobody asked in any.
    pub windows: BTreeMap<(ServiceId, SimSpan), Option<u32>>,
    /// The same, had all been answered whenever a zone had power; of runs in which none had for a while.
    pub(crate) best_windows: BTreeMap<(ServiceId, SimSpan), Option<u32>>,
    /// Workloads of which pods were to be evicted yet when the run ended, where guarantees ask for it.
    pub(crate) evictions_pending: BTreeSet<WorkloadId>,
    pub(crate) signals: Signals,
    /// When no zone had power.
    pub(crate) dark: Dark,
    /// When the run ended.
    pub end: SimTime,
}

impl RunMeasures {
    /// Whether any fault struck and changed something.
    pub fn is_stressed(&self) -> bool {
        self.faults.iter().flatten().any(|fault| fault.targets > 0)
    }
}

/// What happened to the requests for one Service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceMeasures {
    /// Requests asked for, in thousandths, times 2 × 10⁹: exact.
    pub offered: u128,
    /// Requests answered well, in the same unit.
    pub served: u128,
    /// Requests that a rate limit refused (status 429), in the same unit.
    pub limited: u128,
    /// Requests asked for while no zone had power, in the same unit.
    pub(crate) asked_in_the_dark: u128,
    /// Outages in order.
    pub outages: Vec<Outage>,
    /// None of its endpoints could answer when the run ended, or it had none.
    pub(crate) is_dead: bool,
    /// Somebody asked in the last stretch.
    pub(crate) is_asked: bool,
    /// What CPU quotas did to its pods, where their period is stated.
    pub throttling: Throttling,
    /// What became of the sessions of its clients, where something keeps these with a pod.
    pub sessions: Option<SessionsSeen>,
}

impl ServiceMeasures {
    /// Of a million periods of CPU quotas in which its pods ran, those in which they were throttled;
    /// `None` without any.
    pub fn throttled_ppm(&self) -> Option<u32> {
        let Throttling { periods, throttled, .. } = self.throttling;
        let ppm = (u128::from(throttled) * 1_000_000).checked_div(u128::from(periods))?;
        Some(u32::try_from(ppm.min(1_000_000)).expect("a part of a million"))
    }

    /// By requests: counted ones where each is an event, and the areas under the rates otherwise.
    pub(crate) fn fold(&mut self, segment: &FlowSegment, until: SimTime) {
        if let Some(Counted { asked, answered, limited }) = segment.counted {
            self.is_asked = asked > 0;
            self.offered += u128::from(asked) * REQUEST;
            self.served += u128::from(answered) * REQUEST;
            self.limited += u128::from(limited) * REQUEST;
            return;
        }
        self.is_asked = segment.offered_from_millirps + segment.offered_until_millirps > 0;
        let length = u128::from((until - segment.from).as_nanos());
        let sum = |a: u64, b: u64| (u128::from(a) + u128::from(b)) * length;
        self.offered += sum(segment.offered_from_millirps, segment.offered_until_millirps);
        self.served += sum(segment.served_from_millirps, segment.served_until_millirps);
        self.limited += sum(segment.limited_from_millirps, segment.limited_until_millirps);
    }

    /// Counts what was asked for while no zone had power.
    pub(crate) fn fold_dark(&mut self, segment: &FlowSegment, until: SimTime, dark: &Dark) {
        let length = u128::from((until - segment.from).as_nanos());
        for (start, end) in dark.within(segment.from, until) {
            let offset = |at: SimTime| u128::from((at - segment.from).as_nanos());
            let part = u128::from((end - start).as_nanos());
            self.asked_in_the_dark += match segment.counted {
                Some(Counted { asked, .. }) => u128::from(asked) * REQUEST * part / length,
                None => {
                    let first = u128::from(segment.offered_from_millirps);
                    let last = u128::from(segment.offered_until_millirps);
                    // Twice the mean rate, as between the ends of a stretch.
                    let passed = offset(start) + offset(end);
                    (first * (2 * length - passed) + last * passed) / length * part
                }
            };
        }
    }

    /// It was asked once, and ended without anybody who asks or could answer, so that nothing shows that it
    /// is back.
    pub(crate) fn is_forsaken(&self) -> bool {
        self.offered > 0 && self.is_dead && !self.is_asked
    }

    /// What no design could have bettered: all is answered but what was asked for while no zone had
    /// power.
    pub(crate) fn at_best(&self) -> Self {
        let served = self.offered.saturating_sub(self.asked_in_the_dark);
        Self { offered: self.offered, served, ..Self::default() }
    }

    /// Share of requests answered well, in parts per million, rounded down so that a loss never
    /// looks like none; `None` when nobody asked.
    pub fn availability_ppm(&self) -> Option<u32> {
        let ppm = (self.served * 1_000_000).checked_div(self.offered)?;
        Some(u32::try_from(ppm).expect("no more is answered than was asked"))
    }

    /// The same of those that no rate limit refused, as service level objectives have it that count errors
    /// of the server only; `None` when there were none.
    pub fn admitted_availability_ppm(&self) -> Option<u32> {
        let admitted = self.offered.saturating_sub(self.limited).max(self.served);
        let ppm = (self.served * 1_000_000).checked_div(admitted)?;
        Some(u32::try_from(ppm).expect("no more is answered than was asked"))
    }

    /// Requests that a rate limit refused, rounded to the nearest.
    pub fn limited_requests(&self) -> u64 {
        whole_requests(self.limited)
    }

    /// Requests that were not answered well, rounded to the nearest.
    pub fn lost_requests(&self) -> u64 {
        whole_requests(self.lost())
    }

    /// The same, in the unit of [`ServiceMeasures::offered`].
    pub(crate) fn lost(&self) -> u128 {
        self.offered.saturating_sub(self.served)
    }

    /// The longest outage.
    pub fn longest_outage(&self) -> Option<&Outage> {
        self.outages.iter().rev().max_by_key(|outage| outage.length())
    }
}

/// Requests in the unit of [`ServiceMeasures::offered`], rounded to the nearest.
pub fn whole_requests(amount: u128) -> u64 {
    u64::try_from((amount + REQUEST / 2) / REQUEST).unwrap_or(u64::MAX)
}

/// One request: millirequests per second, doubled by the trapezoid, times nanoseconds.
const REQUEST: u128 = 2 * 1_000 * 1_000_000_000;

/// What happened to one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatabaseMeasures {
    /// Longest stretch of acknowledged commits lost at once; [`SimSpan::MAX`] when nothing is left.
    pub lost_span_max: SimSpan,
    /// The run ended before it was known how much a restore brings back: at least so much is lost.
    pub is_loss_open: bool,
    /// How often commits were lost.
    pub lost_count: u32,
    /// Commits lost.
    pub lost_commit_count: u64,
    /// WAL lost, in bytes.
    pub lost_wal_bytes: u64,
    /// Commits of which no client heard how they ended, and that are in the database.
    pub unknown_durable_count: u64,
    /// The same, that are not.
    pub unknown_lost_count: u64,
    /// The same, when the run ended before it was known.
    pub unknown_undecided_count: u64,
    /// Promotions.
    pub failover_count: u32,
    /// Promotions that kept every acknowledged commit.
    pub kept_count: u32,
    /// Longest time without writes.
    pub write_outage_max: SimSpan,
    /// When it began.
    pub write_outage_max_at: SimTime,
    /// How often writes stopped.
    pub write_outage_count: u32,
    /// Longest time with two instances that took writes.
    pub split_max: SimSpan,
    /// All of it.
    pub split_sum: SimSpan,
    /// How often commits waited although the primary ran.
    pub stall_count: u32,
    /// How long they did.
    pub stalled: SimSpan,
    /// How long fewer standbys followed the primary than there are.
    pub thin: SimSpan,
    /// Most log that waited for the archive, in bytes.
    pub backlog_bytes_max: u64,
    /// The least that was free on the volume of the log, in bytes, where that is known.
    pub free_bytes_min: Option<u64>,
    /// The last time writes stopped, they resumed before the end.
    pub is_writable_at_end: bool,
}

impl DatabaseMeasures {
    /// Whether its primary was hit, or it took no writes for a while, so that something could be lost
    /// and somebody had to wait.
    pub fn is_exercised(&self) -> bool {
        self.failover_count + self.kept_count + self.lost_count + self.write_outage_count > 0
            || self.is_loss_open
    }

    /// Commits of which no client heard how they ended.
    pub fn unknown_commit_count(&self) -> u64 {
        self.unknown_durable_count + self.unknown_lost_count + self.unknown_undecided_count
    }
}

/// What one fault did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultMeasures {
    /// When it struck.
    pub at: SimTime,
    /// How many things it changed.
    pub targets: u32,
    /// It was begun, and what it was for refused it: it does not begin again.
    pub is_refused: bool,
    /// When it was over.
    pub ended_at: Option<SimTime>,
    /// When it had done all that it was for, of actions that can.
    pub completed_at: Option<SimTime>,
}

/// The moment from which a return counts: when the last fault struck, or, `after_end`, when the last one
/// that ended did, if that was later.
pub(crate) fn returns_count_from(
    faults: &[Option<FaultMeasures>],
    after_end: bool,
) -> Option<SimTime> {
    let counted = |fault: &FaultMeasures| fault.ended_at.filter(|_| after_end).unwrap_or(fault.at);
    faults.iter().flatten().map(counted).max()
}

/// Requests answered well in a stretch, in thousandths.
pub(crate) fn served_millirequest_seconds(segment: &FlowSegment, until: SimTime) -> f64 {
    let mean = (segment.served_from_millirps as f64 + segment.served_until_millirps as f64) / 2.0;
    mean * (until - segment.from).as_secs_f64()
}
