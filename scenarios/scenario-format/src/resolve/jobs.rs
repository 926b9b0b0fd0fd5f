//! What pods of Jobs do, and Jobs in guarantees.

use std::collections::BTreeMap;

use model_api::guarantee::{Limit, Promise};
use model_api::kube::{Job, JobWork, WorkloadKind};
use model_api::{SimSpan, SimTime, WorkloadId};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{JobProfileSpec, PlatformDocument, ScenarioDocument};
use crate::source::{Span, Spanned};

/// What a Job is called in a guarantee, besides its name.
const PREFIXES: [&str; 2] = ["job/", "cronjob/"];

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of Jobs.
    pub(super) fn jobs(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let mut is_stated = vec![false; self.blueprint.workloads.len()];
        for specs in [&platform.spec.jobs, &scenario.spec.jobs] {
            let mut stated: BTreeMap<WorkloadId, Span> = BTreeMap::new();
            for spec in specs {
                let Some(id) = self.job(&spec.job) else { continue };
                if let Some(first) = stated.insert(id, spec.job.span) {
                    let message = format!("`{}` has a profile already", spec.job.value);
                    let diagnostic = Diagnostic::new(Code::E0018, spec.job.span, message);
                    self.diagnostics.push(diagnostic.related(first, "first here"));
                    continue;
                }
                is_stated[id.index()] = spec.work.is_some();
                self.job_profile(id, spec);
            }
        }
        for (idx, is_stated) in is_stated.into_iter().enumerate() {
            let workload = &self.blueprint.workloads[idx];
            if matches!(workload.kind, WorkloadKind::Job(_)) && !is_stated {
                let name = self.blueprint.workload_name(WorkloadId::from_index(idx));
                let text = format!("{name}: a pod works for 5m, where nothing is stated");
                let origin = workload.origin.clone();
                self.assume(text, &origin);
            }
        }
    }

    fn job_profile(&mut self, id: WorkloadId, spec: &JobProfileSpec) {
        let end = self.end();
        let work = self.job_work(spec);
        let WorkloadKind::Job(job) = &mut self.blueprint.workloads[id.index()].kind else { return };
        let Job { cron, starts_at, .. } = job.as_mut();
        let mut wrong = None;
        if let Some(at) = spec.at {
            if cron.is_some() {
                wrong = Some((at.span, "a CronJob has a schedule for that"));
            } else if at.value >= end {
                wrong = Some((at.span, "is after the end of the run"));
            }
        }
        *starts_at = spec.at.map_or(SimTime::ZERO, |at| at.value);
        job.work = work;
        if let Some((span, message)) = wrong {
            self.report(Code::E0021, span, message);
        }
    }

    fn job_work(&mut self, spec: &JobProfileSpec) -> JobWork {
        let mut work = JobWork::default();
        if let Some(stated) = &spec.work {
            work.median = stated.median.value;
            work.p95 = stated.p95.map_or(work.median, |it| it.value);
            if let Some(p95) = stated.p95.filter(|it| it.value < stated.median.value) {
                let message = "95 of 100 pods work at least as long as half of them";
                let diagnostic = Diagnostic::new(Code::E0021, p95.span, message);
                let diagnostic = diagnostic.related(stated.median.span, "half of them");
                self.diagnostics.push(diagnostic);
            }
        }
        if let Some(share) = spec.failures {
            work.failure_ppm = share.value.ppm;
        }
        if let Some(code) = spec.exit_code {
            if !(1..=255).contains(&code.value) {
                self.report(Code::E0021, code.span, "a failed container exits with 1 to 255");
            }
            work.exit_code = i32::try_from(code.value).unwrap_or(1);
        }
        work
    }

    /// A Job or CronJob by its name.
    fn job(&mut self, name: &Spanned<String>) -> Option<WorkloadId> {
        let id = self.workload(name)?;
        let kind = &self.blueprint.workloads[id.index()].kind;
        if matches!(kind, WorkloadKind::Job(_)) {
            return Some(id);
        }
        let message = format!("`{}` is a {} and no Job", name.value, kind.name());
        self.report(Code::E0016, name.span, message);
        None
    }

    /// `completes(job/shop/migrate) <= 10m`; `None` when it is no name of a Job or
    /// CronJob, or is that of an action.
    pub(super) fn job_promise(
        &mut self,
        name: &Spanned<String>,
        limit: Limit<SimSpan>,
    ) -> Option<Option<Promise>> {
        if self.names.faults.contains(&name.value) {
            return None;
        }
        let bare = PREFIXES.iter().find_map(|prefix| name.value.strip_prefix(prefix))?;
        let bare = Spanned { value: bare.to_owned(), span: name.span };
        let workload = self.job(&bare);
        Some(workload.map(|workload| Promise::JobCompletes { workload, limit }))
    }
}
