//! What is told of actions that do not come to their end: who keeps them waiting.

use model_api::action::{Action, NodeWork};
use model_api::fault::{Fault, FaultKind, FaultPlan, NodePick, Start};
use model_api::kube::{
    DeploymentStrategy, IntOrPercent, LabelSelector, PodDisruptionBudget, WorkloadKind,
};
use model_api::{Blueprint, FaultId, NodeId, Observation, Origin, SimSpan, SimTime, WorkloadId};
use platform::Plan;
use report_data::Explanation;
use sim_check::Story;
use sim_kernel::Journal;

use crate::town;

fn fault(name: &str, minute: u64, kind: FaultKind) -> Fault {
    let start = Start::At(SimTime::from_secs(minute * 60));
    Fault { name: name.to_owned(), kind, start, duration: None, origin: Origin::default() }
}

/// Another template for the pods of the town, after twelve minutes.
fn rollout(town: &Blueprint, is_broken: bool) -> Fault {
    let mut template = town.workloads[0].template.clone();
    template.spec.containers[0].image = "registry/web:2".to_owned();
    let rollout = Action::Rollout {
        workload: WorkloadId(0),
        template: Box::new(template),
        is_broken,
        failing_ppm: 0,
        is_undone_when_stalled: false,
    };
    fault("v2", 12, FaultKind::Action(rollout))
}

fn crash(node: u32) -> Fault {
    fault("crash", 9, FaultKind::NodeCrash { node: NodePick::Node(NodeId(node)) })
}

fn drain(node: u32) -> Fault {
    let work = NodeWork { nodes: vec![NodeId(node)], ..NodeWork::default() };
    fault("drain", 12, FaultKind::Action(Action::Drain(work)))
}

/// What is told of the last of these faults.
fn told(town: Blueprint, faults: Vec<Fault>) -> Explanation {
    let last = FaultId::from_index(faults.len() - 1);
    let plan = Plan::new(town, FaultPlan { faults }, SimSpan::from_hours(1)).expect("no circle");
    let (journal, _): (Journal<_, Observation>, _) = plan.run(1, 0, Journal::new());
    let story = Story::new(&journal, plan.blueprint(), plan.faults());
    story.completion(0, last, plan.horizon()).expect("it began")
}

fn texts(told: &Explanation) -> Vec<&str> {
    assert!(told.steps.is_sorted_by_key(|step| step.at_ns), "{told:#?}");
    told.steps.iter().map(|step| step.text.as_str()).collect()
}

/// Pods of a silent node are deleted, and stay until their kubelet tells of them.
#[test]
fn an_action_waits_for_pods_of_a_silent_node() {
    let mut town = town::blueprint();
    let WorkloadKind::Deployment { strategy, .. } = &mut town.workloads[0].kind else {
        unreachable!("it is a Deployment")
    };
    *strategy = DeploymentStrategy::Recreate;
    // A pod without grace is gone at once, whoever is silent.
    town.workloads[0].template.spec.termination_grace = SimSpan::from_secs(30);
    let why = "a pod of shop/web on worker-0: it is deleted and does not go, as its node is silent \
               and nobody knows whether its containers run";
    let rolled = told(town.clone(), vec![crash(0), rollout(&town, false)]);
    let texts = texts(&rolled);
    assert_eq!(texts.last(), Some(&format!("\"v2\" waits still for {why}").as_str()));
    for link in ["fault \"crash\" strikes", "fault \"v2\" strikes", "finds worker-0 silent"] {
        let count = texts.iter().filter(|text| text.contains(link)).count();
        assert_eq!(count, 1, "{link}: {texts:#?}");
    }
    let drained = told(town, vec![crash(0), drain(0)]);
    let last = drained.steps.last().map(|step| step.text.as_str());
    assert_eq!(last, Some(format!("\"drain\" waits still for {why}").as_str()));
}

#[test]
fn a_rollout_waits_for_pods_that_run_and_are_not_ready() {
    let town = town::blueprint();
    let told = told(town.clone(), vec![rollout(&town, true)]);
    let texts = texts(&told);
    let last = texts.last().expect("it is told");
    assert!(last.ends_with("it is not ready, though its containers run"), "{texts:#?}");
    assert!(texts.iter().any(|text| text.contains("exceeds its progress deadline")), "{texts:#?}");
}

/// A budget that lets nothing go refuses each try, and is told once; two of them are told as two.
#[test]
fn refusals_are_counted_and_named() {
    let own = || LabelSelector {
        match_labels: town::blueprint().workloads[0].template.labels.clone(),
        ..LabelSelector::default()
    };
    let budget = |name: &str| PodDisruptionBudget {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        selector: Some(own()),
        max_unavailable: Some(IntOrPercent::Int(0)),
        ..PodDisruptionBudget::default()
    };
    let mut town = town::blueprint();
    town.budgets = vec![budget("tight")];
    let one = told(town.clone(), vec![drain(0)]);
    let refused: Vec<&str> =
        texts(&one).into_iter().filter(|text| text.contains("is refused")).collect();
    let [refused] = refused.as_slice() else { panic!("{refused:#?}") };
    assert!(refused.contains("refused by the budget tight ("), "{refused}");
    assert!(refused.ends_with(" times in this run)"), "{refused}");
    town.budgets.push(budget("other"));
    let two = told(town, vec![drain(0)]);
    let texts = texts(&two);
    let why = "is refused: it has more than one budget (tight and other)";
    assert!(texts.iter().any(|text| text.contains(why)), "{texts:#?}");
}
