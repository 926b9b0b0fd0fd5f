//! DaemonSets: `pkg/controller/daemon/{daemon_controller,update}.go`, Kubernetes 1.36.

use model_api::kube::{IntOrPercent, Node, PodSpec, Taint, TaintEffect};
use model_api::kube::{Toleration, TolerationOperator};
use model_kube::daemon_set::{NodePods, share_of, should_run, update};
use proptest::collection::vec;
use proptest::prelude::*;

fn node_pods() -> impl Strategy<Value = NodePods> {
    let pod = || prop_oneof![Just(None), Just(Some(false)), Just(Some(true))];
    (pod(), pod()).prop_map(|(old, new)| NodePods { old, new })
}

/// Nodes on which a step is free, and those that wait for their turn, of which so many may go.
fn first(free: Vec<usize>, waiting: &[usize], limit: usize, taken: usize) -> Vec<usize> {
    let left = limit.saturating_sub(taken).min(waiting.len());
    free.into_iter().chain(waiting[..left].iter().copied()).collect()
}

fn places(nodes: &[NodePods], is_it: impl Fn(&NodePods) -> bool) -> Vec<usize> {
    nodes.iter().enumerate().filter(|(_, it)| is_it(it)).map(|(idx, _)| idx).collect()
}

const EFFECTS: [TaintEffect; 3] =
    [TaintEffect::NoSchedule, TaintEffect::PreferNoSchedule, TaintEffect::NoExecute];
const KEYS: [&str; 3] = ["a", "b", ""];

proptest! {
    /// An old pod that is not available goes for nothing. Of the others so many go that no more nodes
    /// than may be are without an available pod.
    #[test]
    fn an_update_in_place(nodes in vec(node_pods(), 0..12), most in 1..6_usize) {
        let is_old = |it: &NodePods| it.old.is_some() && it.new.is_none();
        let broken = places(&nodes, |it| is_old(it) && it.old == Some(false));
        let working = places(&nodes, |it| is_old(it) && it.old == Some(true));
        let is_done = |it: &NodePods| it.old.is_none() && it.new == Some(true);
        let away = places(&nodes, |it| !is_old(it) && !is_done(it));
        let plan = update(&nodes, 0, most);
        prop_assert_eq!(plan.delete_old, first(broken, &working, most, away.len()));
        prop_assert_eq!(plan.create_new, []);
    }

    /// A node whose old pod is not available gets a new one for nothing. Of the others so many get one
    /// that no more nodes than may be have one that is not available yet; once it is, the old pod goes.
    #[test]
    fn an_update_by_surge(nodes in vec(node_pods(), 0..12), most in 1..6_usize) {
        let alone = |works| places(&nodes, |it| it.old == Some(works) && it.new.is_none());
        let both = |works| places(&nodes, |it| it.old.is_some() && it.new == Some(works));
        let plan = update(&nodes, most, 0);
        let surging = both(false).len();
        prop_assert_eq!(plan.create_new, first(alone(false), &alone(true), most, surging));
        prop_assert_eq!(plan.delete_old, both(true));
    }

    /// Shares are rounded up.
    #[test]
    fn a_share_of_nodes(percent in 0..=100_i32, wanted in 0..2000_usize) {
        let exact = f64::from(percent) * wanted as f64 / 100.0;
        let share = share_of(IntOrPercent::Percent(percent), wanted);
        prop_assert_eq!(share, (exact - 1e-9).ceil() as usize);
        prop_assert_eq!(share_of(IntOrPercent::Int(percent), wanted), percent as usize);
    }

    /// A node is one of the set when each of its taints that keeps pods off is tolerated.
    #[test]
    fn taints_of_a_node(
        taints in vec((0..2_usize, 0..3_usize), 0..4),
        tolerations in vec((0..3_usize, prop::option::of(0..3_usize)), 0..4),
    ) {
        let node = Node {
            taints: taints
                .iter()
                .map(|(key, effect)| Taint {
                    key: KEYS[*key].to_owned(),
                    value: String::new(),
                    effect: EFFECTS[*effect],
                })
                .collect(),
            ..Node::default()
        };
        let spec = PodSpec {
            tolerations: tolerations
                .iter()
                .map(|(key, effect)| Toleration {
                    key: KEYS[*key].to_owned(),
                    operator: TolerationOperator::Exists,
                    value: String::new(),
                    effect: effect.map(|it| EFFECTS[it]),
                    toleration: None,
                })
                .collect(),
            ..PodSpec::default()
        };
        let mut runs = true;
        for (key, effect) in &taints {
            let mut is_tolerated = EFFECTS[*effect] == TaintEffect::PreferNoSchedule;
            for (tolerated, of) in &tolerations {
                let is_key = KEYS[*tolerated].is_empty() || tolerated == key;
                is_tolerated |= is_key && (of.is_none() || *of == Some(*effect));
            }
            runs &= is_tolerated;
        }
        prop_assert_eq!(should_run(&spec, &node), runs);
    }
}
