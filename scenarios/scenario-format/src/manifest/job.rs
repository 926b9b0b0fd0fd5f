//! Jobs and CronJobs.
//!
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/batch/v1/defaults.go`; what is refused:
//! `pkg/apis/batch/validation/validation.go`.

use k8s_openapi::api::{batch, core};
use model_api::SimTime;
use model_api::backup::Schedule;
use model_api::kube::{
    ConcurrencyPolicy, CronSpec, FailureAction, FailureRequirement, FailureRule, Job, JobSpec,
    JobWork, RestartPolicy, SuccessRule, Workload, WorkloadKind,
};

use super::Reader;
use super::pod::Admission;
use crate::cron;

impl Reader<'_> {
    pub(crate) fn job(&mut self, spec: &batch::v1::JobSpec, admission: Admission<'_>) -> Workload {
        self.job_at("spec", spec, None, admission)
    }

    /// `None` when there is no schedule that can be read.
    pub(crate) fn cron_job(
        &mut self,
        spec: &batch::v1::CronJobSpec,
        admission: Admission<'_>,
    ) -> Option<Workload> {
        let choices = [
            ("Allow", ConcurrencyPolicy::Allow),
            ("Forbid", ConcurrencyPolicy::Forbid),
            ("Replace", ConcurrencyPolicy::Replace),
        ];
        let policy = spec.concurrency_policy.as_deref();
        let concurrency =
            self.choice("spec.concurrencyPolicy", policy, ConcurrencyPolicy::Allow, &choices);
        let starting_deadline = spec
            .starting_deadline_seconds
            .map(|seconds| self.seconds("spec.startingDeadlineSeconds", seconds));
        let mut limit = |field: &str, stated: Option<i32>, default| {
            self.count(&format!("spec.{field}"), stated.unwrap_or(default))
        };
        let kept_complete =
            limit("successfulJobsHistoryLimit", spec.successful_jobs_history_limit, 3);
        let kept_failed = limit("failedJobsHistoryLimit", spec.failed_jobs_history_limit, 1);
        let schedule = self.cron_schedule(&spec.schedule, spec.time_zone.as_deref())?;
        let cron = CronSpec {
            schedule,
            concurrency,
            starting_deadline,
            is_suspended: spec.suspend.unwrap_or(false),
            kept_complete,
            kept_failed,
        };
        let job = spec.job_template.spec.clone().unwrap_or_default();
        Some(self.job_at("spec.jobTemplate.spec", &job, Some(cron), admission))
    }

    /// When Jobs are due. `validateScheduleFormat` takes no time zone within the schedule, and
    /// `validateTimeZone` none that is not of the IANA database.
    ///
    /// Simplified: the clock of the controller manager, which counts without a `timeZone`, shows UTC.
    fn cron_schedule(&mut self, text: &str, zone: Option<&str>) -> Option<Schedule> {
        if text.contains("TZ") {
            self.refuse("spec.schedule", "names a time zone: write it as `timeZone`");
            return None;
        }
        let time_zone = zone.map(|zone| {
            if zone.is_empty() {
                self.refuse("spec.timeZone", "must not be empty");
            }
            let place = self.object.value_span("spec.timeZone");
            self.time_zone(zone, place)
        });
        match cron::parse(text, 5) {
            Ok(schedule) => Some(schedule.in_zone(time_zone.unwrap_or_default())),
            Err(reason) => {
                self.refuse("spec.schedule", format!("`{text}` {reason}"));
                None
            }
        }
    }

    fn job_at(
        &mut self,
        path: &str,
        spec: &batch::v1::JobSpec,
        cron: Option<CronSpec>,
        admission: Admission<'_>,
    ) -> Workload {
        let field = |name: &str| format!("{path}.{name}");
        let metadata = spec.template.metadata.clone().unwrap_or_default();
        let pod_spec: core::v1::PodSpec = spec.template.spec.clone().unwrap_or_default();
        let (labels, annotations) = (metadata.labels, metadata.annotations);
        let template =
            self.pod_template(&field("template"), labels, annotations, &pod_spec, admission);
        let restart_policy = template.spec.restart_policy;
        if restart_policy == RestartPolicy::Always {
            let place = field("template.spec.restartPolicy");
            self.refuse(&place, "must be Never or OnFailure in a Job");
        }
        let parallelism = spec.parallelism.unwrap_or(1);
        let completions = match (spec.completions, spec.parallelism) {
            (None, None) => Some(1),
            (stated, _) => stated,
        };
        let indexed = [("NonIndexed", false), ("Indexed", true)];
        let mode = spec.completion_mode.as_deref();
        let is_indexed = self.choice(&field("completionMode"), mode, false, &indexed);
        if is_indexed && completions.is_none() {
            self.refuse(&field("completions"), "is required with completionMode Indexed");
        }
        let per_index = spec.backoff_limit_per_index;
        if per_index.is_some() && !is_indexed {
            self.refuse(&field("backoffLimitPerIndex"), "needs completionMode Indexed");
        }
        let policy = spec.pod_failure_policy.as_ref();
        if policy.is_some() && restart_policy != RestartPolicy::Never {
            self.refuse(&field("podFailurePolicy"), "needs restartPolicy Never");
        }
        let replacements = [("TerminatingOrFailed", false), ("Failed", true)];
        let replaces_failed_only = self.choice(
            &field("podReplacementPolicy"),
            spec.pod_replacement_policy.as_deref(),
            policy.is_some(),
            &replacements,
        );
        let backoff_limit = match spec.backoff_limit {
            Some(limit) => self.count(&field("backoffLimit"), limit),
            // Then each index has a limit of its own.
            None if per_index.is_some() => i32::MAX.unsigned_abs(),
            None => 6,
        };
        if spec.max_failed_indexes.is_some() && per_index.is_none() {
            self.refuse(&field("maxFailedIndexes"), "needs backoffLimitPerIndex");
        }
        let completions = completions.map(|it| self.pod_count(&field("completions"), it));
        let success = spec.success_policy.as_ref();
        if success.is_some() && !is_indexed {
            self.refuse(&field("successPolicy"), "needs completionMode Indexed");
        }
        let success_rules = success.filter(|_| is_indexed).map_or_else(Vec::new, |success| {
            let path = field("successPolicy.rules");
            self.success_rules(&path, &success.rules, completions.unwrap_or(0))
        });
        let job = JobSpec {
            parallelism: self.pod_count(&field("parallelism"), parallelism),
            completions,
            is_indexed,
            backoff_limit,
            backoff_limit_per_index: per_index
                .map(|it| self.count(&field("backoffLimitPerIndex"), it)),
            max_failed_indexes: spec
                .max_failed_indexes
                .map(|it| self.count(&field("maxFailedIndexes"), it)),
            active_deadline: spec
                .active_deadline_seconds
                .map(|it| self.seconds(&field("activeDeadlineSeconds"), it)),
            ttl_after_finished: spec
                .ttl_seconds_after_finished
                .map(|it| self.seconds(&field("ttlSecondsAfterFinished"), i64::from(it))),
            is_suspended: spec.suspend.unwrap_or(false),
            replaces_failed_only,
            failure_rules: policy.map_or_else(Vec::new, |policy| {
                self.failure_rules(
                    &field("podFailurePolicy.rules"),
                    &policy.rules,
                    per_index.is_some(),
                )
            }),
            success_rules,
            restart_policy,
        };
        let kind = WorkloadKind::Job(Box::new(Job {
            spec: job,
            cron,
            starts_at: SimTime::ZERO,
            work: JobWork::default(),
        }));
        self.workload(kind, Some(parallelism), spec.selector.as_ref(), template)
    }

    /// `validateSuccessPolicy`.
    fn success_rules(
        &mut self,
        path: &str,
        rules: &[batch::v1::SuccessPolicyRule],
        completions: u32,
    ) -> Vec<SuccessRule> {
        const RULES_MAX: usize = 20;
        if rules.is_empty() || rules.len() > RULES_MAX {
            self.refuse(
                path,
                format!("has {} rules, where 1 to {RULES_MAX} are wanted", rules.len()),
            );
        }
        let mut read = Vec::new();
        for (idx, rule) in rules.iter().enumerate() {
            let place = format!("{path}[{idx}]");
            if rule.succeeded_count.is_none() && rule.succeeded_indexes.is_none() {
                self.refuse(&place, "needs succeededCount or succeededIndexes");
            }
            let indexes = rule.succeeded_indexes.as_ref().map(|text| {
                intervals(text, completions).unwrap_or_else(|reason| {
                    self.refuse(&format!("{place}.succeededIndexes"), reason);
                    Vec::new()
                })
            });
            let count_place = format!("{place}.succeededCount");
            let count = rule.succeeded_count.map(|it| self.count(&count_place, it));
            let named =
                indexes.as_ref().map(|all| all.iter().map(|(first, last)| last - first + 1).sum());
            let most = named.unwrap_or(completions);
            if let Some(count) = count.filter(|count| *count > most) {
                self.refuse(&count_place, format!("is {count} of {most} indexes"));
            }
            read.push(SuccessRule { indexes, count });
        }
        read
    }

    fn failure_rules(
        &mut self,
        path: &str,
        rules: &[batch::v1::PodFailurePolicyRule],
        has_limit_per_index: bool,
    ) -> Vec<FailureRule> {
        let actions = [
            ("FailJob", FailureAction::FailJob),
            ("FailIndex", FailureAction::FailIndex),
            ("Ignore", FailureAction::Ignore),
            ("Count", FailureAction::Count),
        ];
        let mut read = Vec::new();
        for (idx, rule) in rules.iter().enumerate() {
            let place = format!("{path}[{idx}]");
            let word = Some(rule.action.as_str());
            let action =
                self.choice(&format!("{place}.action"), word, FailureAction::Count, &actions);
            if action == FailureAction::FailIndex && !has_limit_per_index {
                self.refuse(&format!("{place}.action"), "FailIndex needs backoffLimitPerIndex");
            }
            let requirement = match (&rule.on_exit_codes, &rule.on_pod_conditions) {
                (Some(codes), None) => {
                    let operators = [("In", true), ("NotIn", false)];
                    let operator = Some(codes.operator.as_str());
                    let operator_place = format!("{place}.onExitCodes.operator");
                    FailureRequirement::ExitCodes {
                        container: codes.container_name.clone(),
                        is_in: self.choice(&operator_place, operator, true, &operators),
                        values: codes.values.clone(),
                    }
                }
                (None, Some(patterns)) => FailureRequirement::Conditions(
                    patterns
                        .iter()
                        .map(|it| {
                            let status = it.status.clone().unwrap_or_else(|| "True".to_owned());
                            (it.type_.clone(), status)
                        })
                        .collect(),
                ),
                _ => {
                    self.refuse(&place, "needs one of onExitCodes and onPodConditions");
                    continue;
                }
            };
            read.push(FailureRule { action, requirement });
        }
        read
    }
}

/// Reads `1,3-5,7` (`validateIndexesFormat`): in increasing order, and below the completions. Nothing is
/// an empty list, by which no rule is ever met.
fn intervals(text: &str, completions: u32) -> Result<Vec<(u32, u32)>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut read: Vec<(u32, u32)> = Vec::new();
    for part in text.split(',') {
        let index = |digits: &str| {
            let index =
                digits.parse::<u32>().map_err(|_| format!("has `{digits}` for an index"))?;
            if index < completions {
                Ok(index)
            } else {
                Err(format!("names {index}, where indexes end before {completions}"))
            }
        };
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (index(first)?, Some(index(last)?)),
            None => (index(part)?, None),
        };
        let follows = read.last().is_none_or(|(_, before)| *before < first);
        if !follows || last.is_some_and(|last| last <= first) {
            return Err(format!("is not in increasing order at `{part}`"));
        }
        read.push((first, last.unwrap_or(first)));
    }
    Ok(read)
}
