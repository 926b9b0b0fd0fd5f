//! How the pods of a DaemonSet are replaced: node by node, in the order of the input (upstream has
//! none: its nodes are the keys of a map).

use model_api::blueprint::Blueprint;
use model_api::kube::{DaemonSetUpdate, Workload};
use model_kube::daemon_set::{NodePods, share_of, should_run, update};

use super::{End, STEPS_MAX, beyond, list};
use crate::amount;
use crate::draft::{Draft, row};
use crate::placed::nodes;

/// What is done on which node.
type Act = (&'static str, usize);

pub(super) fn daemon_set(
    draft: &mut Draft<'_>,
    workload: &Workload,
    strategy: DaemonSetUpdate,
    never_available: bool,
) {
    let origin = &workload.origin;
    let names = own_nodes(draft.blueprint, workload);
    let count = amount::count(names.len() as i64, "node");
    draft.setting("nodes", format!("{count} that its pods belong on"), origin, "kind");
    draft.figure("nodes", names.len());
    let DaemonSetUpdate::RollingUpdate { max_surge, max_unavailable } = strategy else {
        let text = "OnDelete: the controller replaces a pod when somebody deleted it";
        draft.step_at("strategy", text, origin, "spec.updateStrategy.type");
        draft.answer("no pod is replaced");
        draft.figure("steps", 0);
        return;
    };
    let (surge, unavailable) =
        (share_of(max_surge, names.len()), share_of(max_unavailable, names.len()));
    let rolling = |field: &str| format!("spec.updateStrategy.rollingUpdate.{field}");
    let all = names.len();
    let text = format!("{} of {all}, rounded up: {surge}", amount::share(max_surge));
    draft.setting("maxSurge", text, origin, &rolling("maxSurge"));
    let text = format!("{} of {all}, rounded up: {unavailable}", amount::share(max_unavailable));
    draft.setting("maxUnavailable", text, origin, &rolling("maxUnavailable"));
    let (rounds, end) = course(all, surge, unavailable, never_available);
    let acts: Vec<(usize, Act)> = rounds
        .iter()
        .enumerate()
        .flat_map(|(round, acts)| acts.iter().map(move |act| (round + 1, *act)))
        .collect();
    let round_count = amount::count(rounds.len() as i64, "step");
    draft.answer(match end {
        _ if all == 0 => "there is nothing to replace".to_owned(),
        End::Done if surge > 0 => format!(
            "done in {round_count}: at most {} have two pods, and each has an available one all the time",
            amount::count(surge.min(all) as i64, "node")
        ),
        End::Done => format!(
            "done in {round_count}, with at most {} without an available pod",
            amount::count(unavailable.min(all) as i64, "node")
        ),
        End::Stopped => format!(
            "it stops with new pods on {}, which never become available",
            amount::count(surge.max(unavailable).min(all) as i64, "node")
        ),
        End::Cut => beyond(rounds.len()),
    });
    draft.figure("maxSurge", surge);
    draft.figure("maxUnavailable", unavailable);
    draft.figure("steps", rounds.len());
    draft.figure("isDone", end == End::Done);
    let rows = acts.iter().map(|(round, (act, node))| {
        let node = names[*node].clone();
        row([("step", (*round).into()), ("act", (*act).into()), ("node", node.into())])
    });
    list(draft, rows.collect(), &[("step", "step"), ("act", "act"), ("node", "node")]);
}

/// Names of the nodes that a pod belongs on.
fn own_nodes(blueprint: &Blueprint, workload: &Workload) -> Vec<String> {
    let spec = &workload.template.spec;
    let own = nodes(blueprint).filter(|(_, it)| should_run(spec, &it.node));
    own.map(|(_, it)| it.node.name.clone()).collect()
}

/// What each sync does until nothing changes: a deleted pod is gone before the next one, and its
/// successor available unless it never becomes so.
fn course(
    node_count: usize,
    surge: usize,
    unavailable: usize,
    never_available: bool,
) -> (Vec<Vec<Act>>, End) {
    let mut pods = vec![NodePods { old: Some(true), new: None }; node_count];
    let mut rounds = Vec::new();
    loop {
        let plan = update(&pods, surge, unavailable);
        if plan.delete_old.is_empty() && plan.create_new.is_empty() {
            let is_done = pods.iter().all(|it| it.old.is_none() && it.new == Some(true));
            return (rounds, if is_done { End::Done } else { End::Stopped });
        }
        if rounds.len() >= STEPS_MAX {
            return (rounds, End::Cut);
        }
        let mut acts = Vec::new();
        for node in plan.delete_old {
            acts.push(("replace", node));
            pods[node].old = None;
            pods[node].new.get_or_insert(!never_available);
        }
        for node in plan.create_new {
            acts.push(("add", node));
            pods[node].new = Some(!never_available);
        }
        rounds.push(acts);
    }
}
