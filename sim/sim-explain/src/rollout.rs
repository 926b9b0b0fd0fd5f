//! How pods of a new template replace the old ones: how many at a time, and every step.

mod canary;
mod daemon_set;

use model_api::SimTime;
use model_api::blueprint::Blueprint;
use model_api::kube::{
    DeploymentStrategy, PodManagementPolicy, StatefulSetUpdate, Workload, WorkloadKind,
};
use model_kube::deployment::{DeploymentSpec, Revision, sync_rolling};
use model_kube::stateful_set::{SetPod, SetSpec, Step, sync};
use report_data::{DecisionKind, DecisionReport, Program};

use crate::amount;
use crate::draft::{Draft, Row, row};
use crate::placed::title;
use crate::refusal::{Refusal, one_of};

/// Steps after which a rollout that still changes is taken to never end.
const STEPS_MAX: usize = 10_000;
/// Steps that are listed one by one.
const STEPS_LISTED: usize = 60;

/// Which workload, and what becomes of its new pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RolloutQuestion {
    /// A Deployment, StatefulSet or DaemonSet; the only one when there is none.
    pub name: Option<String>,
    /// New pods never become available: a broken template.
    pub never_available: bool,
}

/// Explains a rollout.
///
/// # Errors
/// When there is no such Deployment, StatefulSet or DaemonSet.
pub fn rollout(
    blueprint: &Blueprint,
    program: &Program,
    question: &RolloutQuestion,
) -> Result<DecisionReport, Refusal> {
    let rolls = |it: &&Workload| {
        matches!(
            it.kind,
            WorkloadKind::Deployment { .. }
                | WorkloadKind::StatefulSet { .. }
                | WorkloadKind::DaemonSet { .. }
        )
    };
    let workloads: Vec<&Workload> = blueprint.workloads.iter().filter(rolls).collect();
    let names = workloads.iter().map(|it| format!("{}/{}", it.namespace, it.name));
    let names: Vec<String> = names.collect();
    let idx = one_of("Deployment, StatefulSet or DaemonSet", question.name.as_deref(), &names)?;
    let workload = workloads[idx];
    let mut draft = Draft::new(blueprint, program, DecisionKind::Rollout, title(workload));
    let position = blueprint.workloads.iter().position(|it| std::ptr::eq(it, workload));
    let is_its = |target: model_api::WorkloadId| Some(target.index()) == position;
    if let Some(canary) = blueprint.canaries.iter().find(|it| is_its(it.target)) {
        canary::canary(&mut draft, canary, question.never_available);
        return Ok(draft.finish());
    }
    if !matches!(workload.kind, WorkloadKind::DaemonSet { .. }) {
        let replicas = amount::count(workload.replicas, "replica");
        draft.setting("replicas", replicas, &workload.origin, "spec.replicas");
    }
    match &workload.kind {
        WorkloadKind::Deployment { strategy, progress_deadline, .. } => {
            deployment(&mut draft, workload, *strategy, question.never_available);
            let text = format!(
                "Progressing turns False after {} without progress; nothing is rolled back",
                amount::span(*progress_deadline)
            );
            draft.setting("deadline", text, &workload.origin, "spec.progressDeadlineSeconds");
        }
        WorkloadKind::StatefulSet { pod_management, ordinals_start, update, .. } => {
            let spec = SetSpec {
                replicas: workload.replicas,
                start: *ordinals_start,
                partition: match update {
                    StatefulSetUpdate::RollingUpdate { partition, .. } => *partition,
                    StatefulSetUpdate::OnDelete => 0,
                },
                is_on_delete: *update == StatefulSetUpdate::OnDelete,
                is_parallel: *pod_management == PodManagementPolicy::Parallel,
                ..SetSpec::default()
            };
            stateful_set(&mut draft, workload, &spec, question.never_available);
            if let StatefulSetUpdate::RollingUpdate { max_unavailable: Some(_), .. } = update {
                let field = "spec.updateStrategy.rollingUpdate.maxUnavailable";
                let text = "not used: it counts only where the gate MaxUnavailableStatefulSet is on, so pods go one by one";
                draft.step_at("maxUnavailable", text, &workload.origin, field);
            }
        }
        WorkloadKind::DaemonSet { update } => {
            daemon_set::daemon_set(&mut draft, workload, *update, question.never_available);
        }
        _ => unreachable!("only these kinds were collected"),
    }
    if !workload.min_ready.is_zero() {
        let text = format!(
            "a pod counts as available {} after it is ready",
            amount::span(workload.min_ready)
        );
        draft.step_at("available", text, &workload.origin, "spec.minReadySeconds");
    }
    if workload.kind.is_held() == Some(true) {
        draft.note("spec.paused is true: it is scaled, and rolls nothing out until it goes on");
    }
    draft.note("a rollout asks no disruption budget");
    Ok(draft.finish())
}

fn deployment(
    draft: &mut Draft<'_>,
    workload: &Workload,
    strategy: DeploymentStrategy,
    never_available: bool,
) {
    let origin = &workload.origin;
    let replicas = i32::try_from(workload.replicas).unwrap_or(i32::MAX);
    let DeploymentStrategy::RollingUpdate { max_surge, max_unavailable } = strategy else {
        draft.step_at("strategy", "Recreate", origin, "spec.strategy.type");
        draft.answer(format!(
            "all {} go first, and only when the last is really gone {replicas} new ones come: nothing serves in between",
            amount::count(replicas, "pod")
        ));
        draft.figure("maxSurge", 0);
        draft.figure("maxUnavailable", replicas);
        return;
    };
    let spec = DeploymentSpec { replicas, rolling: Some((max_surge, max_unavailable)) };
    let (surge, unavailable) = (spec.max_surge(), spec.max_unavailable());
    let rolling = |field: &str| format!("spec.strategy.rollingUpdate.{field}");
    let text = format!(
        "{} of {replicas}, rounded up: {surge}; at most {} pods",
        amount::share(max_surge),
        replicas.saturating_add(surge)
    );
    draft.setting("maxSurge", text, origin, &rolling("maxSurge"));
    let text = format!(
        "{} of {replicas}, rounded down: {unavailable}; at least {} available",
        amount::share(max_unavailable),
        replicas - unavailable
    );
    draft.setting("maxUnavailable", text, origin, &rolling("maxUnavailable"));
    let steps = deployment_steps(&spec, never_available);
    let (old, new) = steps.last().copied().unwrap_or((replicas, 0));
    let end = match (old == 0 && new == replicas, steps.len() < STEPS_MAX) {
        (true, _) => End::Done,
        (false, true) => End::Stopped,
        (false, false) => End::Cut,
    };
    draft.answer(match end {
        _ if replicas == 0 => "there is nothing to replace".to_owned(),
        End::Done => format!(
            "done in {}, with at most {} pods and at least {} available",
            amount::count(steps.len() as i64, "step"),
            replicas.saturating_add(surge),
            replicas - unavailable
        ),
        End::Stopped => {
            format!("it stops at {old} old pods and {new} new ones that never become available")
        }
        End::Cut => beyond(steps.len()),
    });
    draft.figure("maxSurge", surge);
    draft.figure("maxUnavailable", unavailable);
    draft.figure("steps", steps.len());
    draft.figure("isDone", end == End::Done);
    let rows = steps.iter().enumerate().map(|(idx, (old, new))| {
        row([
            ("step", (idx + 1).into()),
            ("old", (*old).into()),
            ("new", (*new).into()),
            ("total", (old + new).into()),
        ])
    });
    list(
        draft,
        rows.collect(),
        &[("step", "step"), ("old", "old"), ("new", "new"), ("total", "total")],
    );
}

/// Sizes after each sync that changes something; pods become ready in between.
fn deployment_steps(spec: &DeploymentSpec, never_available: bool) -> Vec<(i32, i32)> {
    let size = spec.replicas;
    let mut old = [Revision { size, available: size, ..Revision::default() }];
    let (mut new, mut steps) = (None, Vec::new());
    let fresh = || Revision { created_at: SimTime::MAX, ..Revision::default() };
    while steps.len() < STEPS_MAX && sync_rolling(spec, &mut old, &mut new, fresh) {
        let new = new.as_mut().expect("the first sync makes it");
        steps.push((old[0].size, new.size));
        old[0].available = old[0].size;
        if !never_available {
            new.available = new.size;
        }
    }
    steps
}

fn stateful_set(draft: &mut Draft<'_>, workload: &Workload, spec: &SetSpec, never_available: bool) {
    let origin = &workload.origin;
    let text = if spec.is_parallel {
        "Parallel: pods are created and deleted without waiting; updates still go one by one"
    } else {
        "OrderedReady: one at a time, and each waits for all before it"
    };
    draft.setting("order", text, origin, "spec.podManagementPolicy");
    if spec.partition > 0 {
        let text = format!(
            "ordinals below {} keep the old template",
            spec.start.saturating_add(spec.partition)
        );
        draft.step_at("partition", text, origin, "spec.updateStrategy.rollingUpdate.partition");
    }
    let course = set_course(spec, never_available);
    if spec.is_on_delete {
        let text = "OnDelete: the controller replaces a pod when somebody deleted it";
        draft.step_at("strategy", text, origin, "spec.updateStrategy.type");
    }
    let replaced = course.steps.iter().filter(|(act, _)| *act == "delete").count();
    draft.answer(match course.end {
        End::Cut => beyond(course.steps.len()),
        End::Done if replaced == 0 => "no pod is replaced".to_owned(),
        End::Done => format!(
            "{} are replaced one by one, from the highest ordinal down; each is gone while it comes back",
            amount::count(replaced as i64, "pod")
        ),
        End::Stopped => "it stops at the first new pod, which never becomes ready; mending the template does not help until that pod is deleted by hand".to_owned(),
    });
    draft.figure("steps", course.steps.len());
    draft.figure("replaced", replaced);
    draft.figure("isDone", course.end == End::Done);
    let rows = course.steps.iter().enumerate().map(|(idx, (act, ordinal))| {
        let pod = format!("{}-{ordinal}", workload.name);
        row([("step", (idx + 1).into()), ("act", (*act).into()), ("pod", pod.into())])
    });
    list(draft, rows.collect(), &[("step", "step"), ("act", "act"), ("pod", "pod")]);
}

/// How a rollout ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Every pod is there and available.
    Done,
    /// Nothing happens any more, and not every pod is there and available.
    Stopped,
    /// It goes on after as many steps as are looked at.
    Cut,
}

/// Steps that are looked at: fewer of larger workloads, since each looks at every pod.
fn steps_max(replicas: u32) -> usize {
    (20_000_000 / replicas.max(1) as usize).clamp(STEPS_LISTED, STEPS_MAX)
}

fn beyond(steps: usize) -> String {
    format!("it goes on after {}, and no further is looked", amount::count(steps as i64, "step"))
}

/// A rollout of a StatefulSet.
struct SetCourse {
    /// What is done to which ordinal.
    steps: Vec<(&'static str, u32)>,
    end: End,
}

/// What each sync does; a deleted pod is gone before the next one, a created one ready unless it
/// never becomes so.
fn set_course(spec: &SetSpec, never_available: bool) -> SetCourse {
    let ready = |ordinal: u32, is_updated: bool| SetPod {
        ordinal,
        is_ready: !(is_updated && never_available),
        is_available: !(is_updated && never_available),
        is_updated,
        ..SetPod::default()
    };
    let ordinals = spec.start..spec.start.saturating_add(spec.replicas);
    let mut pods: Vec<SetPod> = ordinals.map(|ordinal| ready(ordinal, false)).collect();
    let mut done = Vec::new();
    loop {
        let steps = sync(spec, &pods);
        if steps.is_empty() {
            let is_whole = pods.len() == spec.replicas as usize;
            let is_done = is_whole && pods.iter().all(|pod| pod.is_available);
            return SetCourse { steps: done, end: if is_done { End::Done } else { End::Stopped } };
        }
        if done.len() >= steps_max(spec.replicas) {
            return SetCourse { steps: done, end: End::Cut };
        }
        for step in steps {
            match step {
                Step::Create { ordinal, is_updated } => {
                    done.push(("create", ordinal));
                    pods.push(ready(ordinal, is_updated));
                }
                Step::Delete { ordinal } | Step::Replace { ordinal } => {
                    done.push(("delete", ordinal));
                    pods.retain(|pod| pod.ordinal != ordinal);
                }
            }
        }
        pods.sort_by_key(|pod| pod.ordinal);
    }
}

/// The steps as a table; of very many only the first ones.
fn list(draft: &mut Draft<'_>, mut rows: Vec<Row>, columns: &[(&str, &str)]) {
    let surplus = rows.len().saturating_sub(STEPS_LISTED);
    rows.truncate(STEPS_LISTED);
    draft.table("steps", "steps (pods become ready in between)", columns, rows);
    if surplus > 0 {
        draft.note(format!("{surplus} more steps follow the same way"));
    }
}
