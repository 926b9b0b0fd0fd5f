//! A campaign's figures as the data of a report.

use std::collections::BTreeSet;

use model_api::action::Action;
use model_api::backup::DisasterClass;
use model_api::control_plane::MemberPart;
use model_api::dns::DnsFault;
use model_api::fault::{ControlPlaneFault, DataFault, FaultKind, InstanceHarm, StorageFault};
use model_api::guarantee::{DataPromise, Promise};
use model_api::kube::SourceKind;
use model_api::usage::NodeResource;
use model_api::{Blueprint, SimSpan, SourceRef, WorkloadId};
use platform::RunEnd;
use report_data::{
    Explanation, FaultResult, GuaranteeResult, Metric, Note, Position, ScenarioResult, Unit,
    metric_name,
};
use sim_check::{GuaranteeJudgement, MemoryMeasures, RunMeasures, Verdict};
use sim_kernel::ProbeHits;

use crate::Campaign;

/// What a scenario is called, and how its runs are replayed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Name of the scenario.
    pub scenario: String,
    /// What it is about.
    pub description: String,
    /// Its file, as the user named it.
    pub file: String,
    /// The command that replays a run, up to `--run`.
    pub replay: String,
    /// What the input says and the model leaves out.
    pub not_modelled: Vec<Note>,
    /// Warnings about the input.
    pub warnings: Vec<Note>,
}

/// A place as a report names it.
pub(crate) fn position(blueprint: &Blueprint, source: SourceRef) -> Option<Position> {
    let file = blueprint.files.get(source.file_idx as usize)?;
    (source.line > 0).then(|| Position {
        file: file.clone(),
        line: source.line,
        column: source.column,
    })
}

/// What had to be assumed, as a report tells it.
pub(crate) fn assumptions(blueprint: &Blueprint) -> Vec<Note> {
    let note = |assumption: &model_api::blueprint::Assumption| Note {
        text: assumption.text.clone(),
        position: position(blueprint, assumption.origin.object),
    };
    blueprint.assumptions.iter().map(note).collect()
}

pub(crate) fn scenario(
    campaign: &Campaign<'_>,
    naming: &Naming,
    measures: &[RunMeasures],
    ends: &[RunEnd],
    hits: &ProbeHits,
    judged: Vec<(GuaranteeJudgement, Option<Explanation>)>,
    digest: u64,
) -> ScenarioResult {
    let blueprint = campaign.plan.blueprint();
    let guarantees: Vec<GuaranteeResult> = campaign
        .guarantees
        .iter()
        .zip(judged)
        .map(|(guarantee, (judgement, explanation))| GuaranteeResult {
            name: guarantee.name.clone(),
            text: guarantee.text.clone(),
            position: position(blueprint, guarantee.origin.object),
            verdict: verdict(judgement.verdict),
            reason: judgement.reason,
            held_count: judgement.held_count,
            judged_count: judgement.judged_count,
            share_low: judgement.share.low,
            share_high: judgement.share.high,
            unit: unit(&guarantee.promise),
            values: judgement.values,
            figures: figures(blueprint, &guarantee.promise, measures),
            worst_run: judgement.worst_run,
            explanation,
            replay: judgement.worst_run.map(|run| {
                format!("{} --run {run} --root-seed {}", naming.replay, campaign.root_seed)
            }),
        })
        .collect();
    ScenarioResult {
        scenario: naming.scenario.clone(),
        description: naming.description.clone(),
        file: naming.file.clone(),
        root_seed: campaign.root_seed,
        run_count: u64::from(campaign.run_count),
        horizon_ns: campaign.plan.horizon().as_nanos(),
        digest: format!("{digest:016x}"),
        verdict: guarantees
            .iter()
            .map(|guarantee| guarantee.verdict)
            .max()
            .unwrap_or(report_data::Verdict::Vacuous),
        guarantees,
        faults: faults(campaign, measures),
        metrics: metrics(blueprint, measures),
        recommendations: crate::recommendation::recommendations(blueprint, measures),
        exposures: crate::exposure::exposures(campaign, measures),
        storage: crate::storage::durability(blueprint),
        event_count: ends.iter().map(|end| end.stats.handled_count).sum(),
        limited_run_count: ends.iter().filter(|end| !end.outcome.is_complete()).count() as u64,
        assumptions: assumptions(blueprint),
        not_modelled: naming.not_modelled.clone(),
        warnings: naming.warnings.clone(),
        probes_never_hit: hits
            .never_hit(&campaign.plan.probes())
            .into_iter()
            .map(|probe| format!("{}: {}", probe.crate_name(), probe.description()))
            .collect(),
    }
}

/// What an expression looks at, in every run.
fn figures(blueprint: &Blueprint, promise: &Promise, measures: &[RunMeasures]) -> Vec<Metric> {
    let Promise::Cel { source } = promise else { return Vec::new() };
    let metric = |figure: sim_check::Blamed| {
        let seen: Vec<_> = measures.iter().map(|run| sim_check::measured(figure, run)).collect();
        Metric {
            name: figure.figure_name().to_owned(),
            subject: figure.subject(blueprint),
            unit: seen.first().map_or(Unit::Count, |(unit, _)| *unit),
            values: seen.into_iter().map(|(_, value)| value).collect(),
        }
    };
    sim_check::named_figures(source, blueprint).into_iter().map(metric).collect()
}

fn verdict(verdict: Verdict) -> report_data::Verdict {
    match verdict {
        Verdict::Held => report_data::Verdict::Held,
        Verdict::Violated => report_data::Verdict::Violated,
        Verdict::Unwinnable => report_data::Verdict::Unwinnable,
        Verdict::Vacuous => report_data::Verdict::Vacuous,
        Verdict::Inconclusive => report_data::Verdict::Inconclusive,
        Verdict::NotModelled => report_data::Verdict::NotModelled,
    }
}

fn unit(promise: &Promise) -> Unit {
    match promise {
        Promise::Availability { .. }
        | Promise::AvailabilityIn { .. }
        | Promise::BudgetBurn { .. } => Unit::PartsPerMillion,
        Promise::Data { promise, .. } => match promise {
            DataPromise::Loss { .. } | DataPromise::Back { .. } | DataPromise::Retention { .. } => {
                Unit::Nanoseconds
            }
            DataPromise::Restorable { .. } | DataPromise::Residency { .. } => Unit::Count,
        },
        Promise::Rto { .. }
        | Promise::Rpo { .. }
        | Promise::Latency { .. }
        | Promise::Completes { .. }
        | Promise::JobCompletes { .. }
        | Promise::Alert { .. }
        | Promise::StaticallyStable { .. }
        | Promise::Returns { .. } => Unit::Nanoseconds,
        Promise::Never(_)
        | Promise::Always(_)
        | Promise::Sometimes(_)
        | Promise::StartsFrom { .. }
        | Promise::Cel { .. } => Unit::Count,
    }
}

fn faults(campaign: &Campaign<'_>, measures: &[RunMeasures]) -> Vec<FaultResult> {
    let blueprint = campaign.plan.blueprint();
    let plan = campaign.plan.faults();
    let of = |(idx, fault): (usize, &model_api::fault::Fault)| {
        let struck: Vec<u32> =
            measures.iter().filter_map(|run| run.faults[idx].map(|fault| fault.targets)).collect();
        FaultResult {
            name: fault.name.clone(),
            text: fault_text(&fault.kind).to_owned(),
            position: position(blueprint, fault.origin.object),
            struck_run_count: struck.len() as u64,
            hit_run_count: struck.iter().filter(|targets| **targets > 0).count() as u64,
            target_count_min: struck.iter().copied().min().unwrap_or(0),
            target_count_max: struck.iter().copied().max().unwrap_or(0),
        }
    };
    plan.faults.iter().enumerate().map(of).collect()
}

fn fault_text(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::ZonePowerLoss { .. } => "power of a zone is gone",
        FaultKind::ZoneIsolation { .. } => "a zone is cut off",
        FaultKind::NodeCrash { .. } => "a node stops",
        FaultKind::NodeShutdown { .. } => "a node shuts down",
        FaultKind::PodCrash { .. } => "pods crash",
        FaultKind::MemoryLeak { .. } => "pods leak memory",
        FaultKind::UsageLeak { resource: NodeResource::Processes, .. } => "pods take process ids",
        FaultKind::UsageLeak { .. } => "pods fill disks",
        FaultKind::NoCapacity { .. } => "the provider has no new machines in a zone",
        FaultKind::LoadSpike { .. } => "load multiplies",
        FaultKind::ControlPlane(fault) => match fault {
            ControlPlaneFault::MemberLoss { .. } => "members of the control plane stop",
            ControlPlaneFault::MemberDown { part: MemberPart::Etcd, .. } => {
                "members of etcd are down"
            }
            ControlPlaneFault::MemberDown { part: MemberPart::ApiServer, .. } => {
                "API servers are down"
            }
            ControlPlaneFault::SlowDisk { .. } => "disks under etcd are slow",
            ControlPlaneFault::ApiBalancerOutage => {
                "nobody gets through the load balancer of the API"
            }
            ControlPlaneFault::LeaderKill(_) => "a leader is killed",
            ControlPlaneFault::ApiOutage => "no API server answers",
            ControlPlaneFault::CloudApiOutage => "the control plane of the cloud answers nothing",
            ControlPlaneFault::ApiFlood(_) => "requests flood the API servers",
            ControlPlaneFault::SlowApi { .. } => "the API stores slowly",
            ControlPlaneFault::WebhookOutage { .. } => "a webhook does not answer",
            ControlPlaneFault::VaultSealed { .. } => "a vault is sealed",
            ControlPlaneFault::ConfigurationDeleted { kind: SourceKind::Secret, .. } => {
                "a Secret is deleted"
            }
            ControlPlaneFault::ConfigurationDeleted { kind: SourceKind::ConfigMap, .. } => {
                "a ConfigMap is deleted"
            }
            ControlPlaneFault::RegistryOutage { .. } => "an image registry does not answer",
        },
        FaultKind::Instance(fault) => match fault.what {
            InstanceHarm::VolumeDestroyed => "the volume of an instance is gone",
            InstanceHarm::Frozen => "an instance stands still",
            InstanceHarm::HeldBack => "no primary reaches an instance",
        },
        FaultKind::Dns { kind: DnsFault::Outage, .. } => "name servers do not answer",
        FaultKind::Dns { kind: DnsFault::WrongRecord, .. } => "a name leads to nobody",
        FaultKind::SlowDns { .. } => "the DNS of the cluster is slow",
        FaultKind::CacheCold { .. } => "caches are cold",
        FaultKind::BalancerMachineLoss { .. } => "a load balancer loses a machine",
        FaultKind::Action(action) => action_text(action),
        FaultKind::Data(kind) => data_fault_text(kind),
        FaultKind::Storage(fault) => match fault {
            StorageFault::DiskLoss { is_destroyed: true, .. } => {
                "disks of a storage pool are destroyed"
            }
            StorageFault::DiskLoss { .. } => "disks of a storage pool are away",
            StorageFault::Throttle { .. } => "a place for copies is throttled",
            StorageFault::MinSize { .. } => "min_size of a storage pool is set",
        },
    }
}

fn data_fault_text(kind: &DataFault) -> &'static str {
    match kind {
        DataFault::ZoneDestroyed { .. } => "a zone is destroyed",
        DataFault::RegionLoss => "the region is destroyed",
        DataFault::AccountLoss { .. } => "an account is gone",
        DataFault::LogicalLoss { deletes_copies: false, .. } => "data is destroyed, noticed later",
        DataFault::LogicalLoss { .. } => "data and copies of it are destroyed, noticed later",
        DataFault::BackupTargetLoss { .. } => "a place of copies is gone",
        DataFault::KeyLoss { .. } => "a key is gone",
        DataFault::BucketFull { .. } => "a place of copies is full",
        DataFault::KeyDisabled { .. } => "a key cannot be used",
        DataFault::BackupsBroken { is_silent: true, .. } => "backups fail in silence",
        DataFault::BackupsBroken { .. } => "backups fail",
        DataFault::ArchiveBroken { is_silent: true, .. } => "an archive stores nothing, in silence",
        DataFault::ArchiveBroken { .. } => "an archive stores nothing",
    }
}

fn action_text(action: &Action) -> &'static str {
    match action {
        Action::Rollout { is_broken: true, .. } => "a broken version goes out",
        Action::Rollout { failing_ppm: 0, .. } => "a new version goes out",
        Action::Rollout { .. } => "a faulty version goes out",
        Action::Scale { .. } => "a workload is scaled",
        Action::SetAutoscaler { .. } => "an autoscaler gets other limits",
        Action::DeleteAutoscaler { .. } => "an autoscaler is deleted",
        Action::Hold { is_held: true, .. } => "a workload is suspended",
        Action::Hold { .. } => "a workload goes on",
        Action::LiftGates { .. } => "scheduling gates are lifted",
        Action::Drain(_) => "nodes are drained",
        Action::NodeUpgrade(_) => "nodes are upgraded",
        Action::DeleteNodes(_) => "nodes are deleted",
        Action::OutOfServiceTaint(_) => "nodes are tainted out of service",
        Action::ControlPlaneUpgrade(_) => "the control plane is upgraded",
        Action::Evict { .. } => "pods are evicted",
        Action::PausePooler { .. } => "a pooler is paused",
        Action::Fence { .. } => "instances of a database are fenced",
        Action::Switchover { .. } => "the primary of a database hands over",
        Action::GrowStorage { .. } => "volumes of a database are made larger",
    }
}

/// Figures of every run for every Service that was asked and every database.
fn metrics(blueprint: &Blueprint, measures: &[RunMeasures]) -> Vec<Metric> {
    let mut metrics = Vec::new();
    let nanos = |span: SimSpan| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    for idx in 0..blueprint.services.len() {
        let id = model_api::ServiceId::from_index(idx);
        if measures.iter().all(|run| run.services[idx].offered == 0) {
            continue;
        }
        let mut push = |name: &str, unit, value: &dyn Fn(&RunMeasures) -> Option<i64>| {
            metrics.push(Metric {
                name: name.to_owned(),
                subject: blueprint.service_name(id),
                unit,
                values: measures.iter().map(value).collect(),
            });
        };
        push(metric_name::AVAILABILITY, Unit::PartsPerMillion, &|run| {
            run.services[idx].availability_ppm().map(i64::from)
        });
        push(metric_name::LONGEST_OUTAGE, Unit::Nanoseconds, &|run| {
            let outage = run.services[idx].longest_outage();
            Some(outage.map_or(0, |outage| nanos(outage.length())))
        });
        push(metric_name::LOST_REQUESTS, Unit::Count, &|run| {
            i64::try_from(run.services[idx].lost_requests()).ok()
        });
        // Figures of those that a rate limit refuses requests for.
        if measures.iter().any(|run| run.services[idx].limited > 0) {
            push(metric_name::LIMITED_REQUESTS, Unit::Count, &|run| {
                i64::try_from(run.services[idx].limited_requests()).ok()
            });
            push(metric_name::ADMITTED_AVAILABILITY, Unit::PartsPerMillion, &|run| {
                run.services[idx].admitted_availability_ppm().map(i64::from)
            });
        }
        // Figures of those whose pods have quotas.
        if measures.iter().any(|run| run.services[idx].throttling.periods > 0) {
            push(metric_name::THROTTLED_PERIODS, Unit::PartsPerMillion, &|run| {
                run.services[idx].throttled_ppm().map(i64::from)
            });
            push(metric_name::THROTTLED_TIME, Unit::Nanoseconds, &|run| {
                i64::try_from(run.services[idx].throttling.stood_ns).ok()
            });
        }
        // Figures of those whose clients stay with a pod.
        if measures.iter().any(|run| run.services[idx].sessions.is_some()) {
            let of = |run: &RunMeasures| run.services[idx].sessions;
            push(metric_name::MOVED_SESSIONS, Unit::Count, &|run| {
                i64::try_from(of(run)?.moved).ok()
            });
            push(metric_name::LOST_SESSIONS, Unit::Count, &|run| i64::try_from(of(run)?.lost).ok());
            push(metric_name::HOTTEST_POD, Unit::PartsPerMillion, &|run| {
                i64::try_from(of(run)?.hottest_milli * 1000).ok()
            });
        }
    }
    metrics.extend(crate::clients::metrics(blueprint, measures));
    for idx in 0..blueprint.databases.len() {
        let id = model_api::DatabaseId::from_index(idx);
        let mut push = |name: &str, unit, value: &dyn Fn(&RunMeasures) -> Option<i64>| {
            metrics.push(Metric {
                name: name.to_owned(),
                subject: blueprint.database_name(id),
                unit,
                values: measures.iter().map(value).collect(),
            });
        };
        push(metric_name::LONGEST_WRITE_OUTAGE, Unit::Nanoseconds, &|run| {
            Some(nanos(run.databases[idx].write_outage_max))
        });
        let is_all = |run: &RunMeasures| run.databases[idx].lost_span_max == SimSpan::MAX;
        push(metric_name::LOST_SPAN, Unit::Nanoseconds, &|run| {
            (!is_all(run)).then(|| nanos(run.databases[idx].lost_span_max))
        });
        // What has no bound is no figure, but counted.
        if measures.iter().any(is_all) {
            push(metric_name::LOST_ALL, Unit::Count, &|run| Some(is_all(run).into()));
        }
        push(metric_name::LOST_COMMITS, Unit::Count, &|run| {
            i64::try_from(run.databases[idx].lost_commit_count).ok()
        });
        push(metric_name::UNKNOWN_COMMITS, Unit::Count, &|run| {
            i64::try_from(run.databases[idx].unknown_commit_count()).ok()
        });
        push(metric_name::UNKNOWN_DURABLE, Unit::Count, &|run| {
            i64::try_from(run.databases[idx].unknown_durable_count).ok()
        });
        push(metric_name::UNKNOWN_LOST, Unit::Count, &|run| {
            i64::try_from(run.databases[idx].unknown_lost_count).ok()
        });
        let databases = || measures.iter().map(|run| &run.databases[idx]);
        // Figures of those that ever had any.
        if databases().any(|it| it.stall_count > 0) {
            push(metric_name::STALLED_COMMITS, Unit::Count, &|run| {
                Some(run.databases[idx].stall_count.into())
            });
            push(metric_name::STALLED, Unit::Nanoseconds, &|run| {
                Some(nanos(run.databases[idx].stalled))
            });
        }
        if databases().any(|it| !it.thin.is_zero()) {
            push(metric_name::REDUCED_REDUNDANCY, Unit::Nanoseconds, &|run| {
                Some(nanos(run.databases[idx].thin))
            });
        }
        if databases().any(|it| it.backlog_bytes_max > 0) {
            push(metric_name::ARCHIVE_BACKLOG_BYTES, Unit::Count, &|run| {
                i64::try_from(run.databases[idx].backlog_bytes_max).ok()
            });
            push(metric_name::LOG_FREE_BYTES, Unit::Count, &|run| {
                i64::try_from(run.databases[idx].free_bytes_min?).ok()
            });
        }
        // A figure of the few whose primaries were ever two.
        if measures.iter().any(|run| !run.databases[idx].split_sum.is_zero()) {
            push(metric_name::SPLIT_BRAIN, Unit::Nanoseconds, &|run| {
                Some(nanos(run.databases[idx].split_sum))
            });
            push(metric_name::LONGEST_SPLIT_BRAIN, Unit::Nanoseconds, &|run| {
                Some(nanos(run.databases[idx].split_max))
            });
        }
    }
    metrics.extend(memory(blueprint, measures));
    metrics.extend(crate::members::metrics(blueprint, measures));
    metrics.extend(crate::storage::metrics(blueprint, measures));
    metrics.extend(exposed(blueprint, measures));
    metrics
}

/// Of each workload whose pods memory ran out for in some run, how many that were.
fn memory<'a>(
    blueprint: &'a Blueprint,
    measures: &'a [RunMeasures],
) -> impl Iterator<Item = Metric> + 'a {
    let workloads: BTreeSet<WorkloadId> =
        measures.iter().flat_map(|run| run.memory.keys().copied()).collect();
    workloads.into_iter().flat_map(move |id| {
        let of_runs = |name: &str, read: fn(&MemoryMeasures) -> u32| Metric {
            name: name.to_owned(),
            subject: blueprint.workload_name(id),
            unit: Unit::Count,
            values: measures
                .iter()
                .map(|run| Some(run.memory.get(&id).map_or(0, |it| i64::from(read(it)))))
                .collect(),
        };
        [
            of_runs(metric_name::MEMORY_KILLS, |it| it.kill_count),
            of_runs(metric_name::MEMORY_EVICTIONS, |it| it.eviction_count),
            of_runs(metric_name::MEMORY_REFUSALS, |it| it.refusal_count),
        ]
    })
}

/// What the worst moment of each run would have cost each data set. What has no bound is no figure: runs
/// in which all would have been lost, or never been back, are counted beside it.
fn exposed<'a>(
    blueprint: &'a Blueprint,
    measures: &'a [RunMeasures],
) -> impl Iterator<Item = Metric> + 'a {
    let data_sets = blueprint.protection.data_sets.iter().enumerate();
    data_sets.flat_map(move |(idx, spec)| {
        let classes = DisasterClass::ALL.into_iter();
        classes.filter(|class| spec.is_exposed_to(*class)).flat_map(move |class| {
            let of_runs = |read: fn(&sim_check::Exposure) -> Option<SimSpan>| -> Vec<_> {
                measures
                    .iter()
                    .map(|run| run.data[idx].exposure(class).and_then(|it| read(&it)))
                    .collect::<Vec<Option<SimSpan>>>()
            };
            let names = |figure: &str, boundless: &str| {
                (format!("{figure}.{}", class.name()), format!("{boundless}.{}", class.name()))
            };
            let loss = bounded(
                &spec.name,
                names(metric_name::EXPOSED_LOSS, metric_name::EXPOSED_ALL),
                &of_runs(|it| Some(it.loss_max)),
            );
            let back = bounded(
                &spec.name,
                names(metric_name::EXPOSED_RETURN, metric_name::EXPOSED_FOR_GOOD),
                // Where a live copy always takes over there is no figure.
                &of_runs(|it| (!it.takes_over || !it.back_max.is_zero()).then_some(it.back_max)),
            );
            let back = back.into_iter().filter(|it| it.values.iter().any(Option::is_some));
            loss.into_iter().chain(back)
        })
    })
}

/// The figure where it has a bound; how often it has none, when that ever happens.
fn bounded(subject: &str, names: (String, String), spans: &[Option<SimSpan>]) -> Vec<Metric> {
    let is_boundless = |span: &Option<SimSpan>| *span == Some(SimSpan::MAX);
    let metric = |name, unit, values| Metric { name, subject: subject.to_owned(), unit, values };
    let nanos = |span: SimSpan| i64::try_from(span.as_nanos()).ok();
    let figures = spans.iter().map(|span| span.and_then(nanos)).collect();
    let mut metrics = vec![metric(names.0, Unit::Nanoseconds, figures)];
    if spans.iter().any(is_boundless) {
        let count = |span: &Option<SimSpan>| span.is_some().then(|| i64::from(is_boundless(span)));
        metrics.push(metric(names.1, Unit::Count, spans.iter().map(count).collect()));
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_returns_is_counted_and_no_part_of_a_mean() {
        let secs = |secs| Some(SimSpan::from_secs(secs));
        let names = || ("exposedReturn.zone".to_owned(), "exposedForGood.zone".to_owned());
        let told = |spans: &[_]| -> Vec<(String, Vec<Option<i64>>)> {
            let metrics = bounded("orders", names(), spans);
            metrics.into_iter().map(|metric| (metric.name, metric.values)).collect()
        };
        let (figure, count) = names();
        assert_eq!(
            told(&[secs(1), None, Some(SimSpan::MAX)]),
            [
                (figure.clone(), vec![Some(1_000_000_000), None, None]),
                (count, vec![Some(0), None, Some(1)]),
            ]
        );
        assert_eq!(told(&[secs(0)]), [(figure, vec![Some(0)])]);
    }
}
