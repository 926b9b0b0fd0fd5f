//! Random clusters: what the scheduler counts incrementally, against a slow reading of the rules.
//!
//! The reference below looks at every pod on every node each time it is asked and knows no index, no
//! tally and no compiled template.

use model_api::kube::{
    Container, LabelSelector, Labels, Node, PodAffinityTerm, PodSpec, PodTemplate, ResourceList,
    Taint, TaintEffect, Toleration, TolerationOperator, TopologySpreadConstraint,
    UnsatisfiableAction, WeightedPodAffinityTerm,
};
use model_api::observation::UnschedulableReason as Reason;
use model_api::{NodeId, PodId};
use model_kube::scheduling::{
    Attempt, Budget, Code, Placement, PodDescription, Preemption, SchedulerCache, ScorePlugin,
    ShapeId,
};
use proptest::prelude::*;

const NAMESPACE: &str = "shop";
const KEYS: [&str; 3] = ["topology.kubernetes.io/zone", "kubernetes.io/hostname", "rack"];
const ZONE_TAINT: &str = "lost";

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// A pod of a template is scheduled, and placed if it fits.
    Schedule {
        template: usize,
        draw: usize,
    },
    /// A pod appears on a node without asking (a static pod, or a race).
    Force {
        template: usize,
        node: usize,
    },
    Terminate {
        pod: usize,
    },
    Remove {
        pod: usize,
    },
    Taint {
        node: usize,
        effect: Option<TaintEffect>,
    },
    Cordon {
        node: usize,
        is_on: bool,
    },
    Leave {
        node: usize,
    },
    Return {
        node: usize,
    },
}

#[derive(Clone, Debug)]
struct World {
    nodes: Vec<Node>,
    templates: Vec<PodTemplate>,
    steps: Vec<Step>,
}

/// The slow reading: plain lists.
#[derive(Clone, Debug)]
struct Slow {
    nodes: Vec<Node>,
    is_present: Vec<bool>,
    templates: Vec<PodTemplate>,
    /// Template, node, terminating; `None` when gone.
    pods: Vec<Option<(usize, usize, bool)>>,
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn node() -> impl Strategy<Value = Node> {
    let zone = prop::option::weighted(0.9, 0..3_usize);
    let rack = prop::option::of(0..2_usize);
    let is_fast = any::<bool>();
    (zone, rack, is_fast, 1..5_i64, 3..12_i64).prop_map(|(zone, rack, is_fast, cpus, pods)| {
        let mut node = Node::default();
        if let Some(zone) = zone {
            node.labels.extend(labels(&[(KEYS[0], ["a", "b", "c"][zone])]));
        }
        if let Some(rack) = rack {
            node.labels.extend(labels(&[(KEYS[2], ["r1", "r2"][rack])]));
        }
        if is_fast {
            node.labels.extend(labels(&[("disk", "fast")]));
        }
        let amounts = [("cpu", cpus * 1000), ("memory", cpus << 30), ("pods", pods)];
        let amounts = amounts.map(|(name, amount)| (name.to_owned(), amount));
        node.allocatable = ResourceList(amounts.into());
        node
    })
}

fn selector() -> impl Strategy<Value = Option<LabelSelector>> {
    let choices = prop::sample::select(vec![
        Some(labels(&[("app", "web")])),
        Some(labels(&[("app", "db")])),
        Some(labels(&[("tier", "x")])),
        Some(labels(&[("app", "web"), ("tier", "x")])),
        Some(Labels::new()),
        None,
    ]);
    choices.prop_map(|it| {
        it.map(|match_labels| LabelSelector { match_labels, ..LabelSelector::default() })
    })
}

fn constraint() -> impl Strategy<Value = TopologySpreadConstraint> {
    let policies = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.3));
    (1..3_i32, 0..3_usize, prop::bool::ANY, selector(), prop::option::of(1..4_i32), policies)
        .prop_map(|(max_skew, key, is_hard, label_selector, min_domains, policies)| {
            TopologySpreadConstraint {
                max_skew,
                topology_key: KEYS[key].to_owned(),
                when_unsatisfiable: if is_hard {
                    UnsatisfiableAction::DoNotSchedule
                } else {
                    UnsatisfiableAction::ScheduleAnyway
                },
                label_selector,
                min_domains: min_domains.filter(|_| is_hard),
                honors_node_affinity: policies.0,
                honors_node_taints: policies.1,
                match_label_keys: if policies.2 { vec!["tier".to_owned()] } else { Vec::new() },
            }
        })
}

fn term() -> impl Strategy<Value = PodAffinityTerm> {
    (selector(), 0..3_usize).prop_map(|(label_selector, key)| PodAffinityTerm {
        label_selector,
        topology_key: KEYS[key].to_owned(),
        ..PodAffinityTerm::default()
    })
}

fn terms() -> impl Strategy<Value = Vec<PodAffinityTerm>> {
    prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(term(), 1..3)]
}

fn weighted() -> impl Strategy<Value = Vec<WeightedPodAffinityTerm>> {
    let one =
        (term(), 1..20_i32).prop_map(|(term, weight)| WeightedPodAffinityTerm { weight, term });
    prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(one, 1..3)]
}

fn template() -> impl Strategy<Value = PodTemplate> {
    let spread = prop::collection::vec(constraint(), 0..3);
    let affinity = (terms(), terms(), weighted(), weighted());
    let rest = (any::<bool>(), any::<bool>(), 0..3_i32, 0..20_i64);
    (0..2_usize, 0..2_usize, spread, affinity, rest).prop_map(
        |(app, tier, spread, affinity, (tolerates, is_picky, priority, cpu))| {
            let requests = [("cpu".to_owned(), cpu * 100), ("memory".to_owned(), cpu << 26)];
            let container =
                Container { requests: ResourceList(requests.into()), ..Container::default() };
            let mut spec = PodSpec { priority, containers: vec![container], ..PodSpec::default() };
            spec.topology_spread_constraints = spread;
            spec.affinity.pod_required = affinity.0;
            spec.affinity.pod_anti_required = affinity.1;
            spec.affinity.pod_preferred = affinity.2;
            spec.affinity.pod_anti_preferred = affinity.3;
            if tolerates {
                spec.tolerations.push(Toleration {
                    key: ZONE_TAINT.to_owned(),
                    operator: TolerationOperator::Exists,
                    value: String::new(),
                    effect: None,
                    toleration: None,
                });
            }
            if is_picky {
                spec.node_selector = labels(&[("disk", "fast")]);
            }
            let labels = labels(&[("app", ["web", "db"][app]), ("tier", ["x", "y"][tier])]);
            PodTemplate { labels, spec, ..PodTemplate::default() }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let effect = prop::option::of(prop::sample::select(vec![
        TaintEffect::NoSchedule,
        TaintEffect::NoExecute,
        TaintEffect::PreferNoSchedule,
    ]));
    let idx = any::<u16>().prop_map(usize::from);
    prop_oneof![
        8 => (idx.clone(), idx.clone()).prop_map(|(template, draw)| Step::Schedule { template, draw }),
        2 => (idx.clone(), idx.clone()).prop_map(|(template, node)| Step::Force { template, node }),
        1 => idx.clone().prop_map(|pod| Step::Terminate { pod }),
        2 => idx.clone().prop_map(|pod| Step::Remove { pod }),
        1 => (idx.clone(), effect).prop_map(|(node, effect)| Step::Taint { node, effect }),
        1 => (idx.clone(), any::<bool>()).prop_map(|(node, is_on)| Step::Cordon { node, is_on }),
        1 => idx.clone().prop_map(|node| Step::Leave { node }),
        1 => idx.prop_map(|node| Step::Return { node }),
    ]
}

fn world() -> impl Strategy<Value = World> {
    let nodes = prop::collection::vec(node(), 1..8);
    let templates = prop::collection::vec(template(), 1..5);
    (nodes, templates, prop::collection::vec(step(), 0..50)).prop_map(
        |(mut nodes, templates, steps)| {
            for (idx, node) in nodes.iter_mut().enumerate() {
                node.name = format!("node-{idx}");
                node.labels.insert(KEYS[1].to_owned(), node.name.clone());
            }
            World { nodes, templates, steps }
        },
    )
}

/// Both readings side by side.
struct Pair {
    cache: SchedulerCache,
    shapes: Vec<ShapeId>,
    slow: Slow,
}

impl Pair {
    /// `late` templates are compiled after the steps only.
    fn new(world: &World, late: usize) -> Self {
        let mut cache = SchedulerCache::new();
        for (idx, node) in world.nodes.iter().enumerate() {
            cache.add_node(NodeId::from_index(idx), node);
        }
        let early = world.templates.len().saturating_sub(late).max(1);
        let mut pair = Self {
            cache,
            shapes: Vec::new(),
            slow: Slow {
                is_present: vec![true; world.nodes.len()],
                nodes: world.nodes.clone(),
                templates: world.templates.clone(),
                pods: Vec::new(),
            },
        };
        pair.compile(early);
        pair
    }

    fn compile(&mut self, count: usize) {
        for template in &self.slow.templates[self.shapes.len()..count] {
            let description =
                PodDescription { namespace: NAMESPACE, template, default_selector: None };
            self.shapes.push(self.cache.compile(description));
        }
    }

    fn put(&mut self, template: usize, node: usize) {
        let pod = PodId::from_index(self.slow.pods.len());
        self.cache.add_pod(pod, self.shapes[template], NodeId::from_index(node));
        self.slow.pods.push(Some((template, node, false)));
    }

    fn take(&mut self, step: &Step) {
        let (node_count, template_count) = (self.slow.nodes.len(), self.shapes.len());
        let pod_count = self.slow.pods.len().max(1);
        match *step {
            Step::Schedule { template, draw } => {
                let template = template % template_count;
                self.check_memory(template, draw);
                let placement =
                    self.cache.schedule(self.shapes[template], None, |count| draw % count);
                match placement {
                    Placement::Node(node) => {
                        self.check_placement(template, node);
                        self.put(template, node.index());
                    }
                    Placement::Unschedulable(why) => {
                        let refused: u32 = why.refused_counts.iter().map(|(_, count)| count).sum();
                        let present = self.slow.is_present.iter().filter(|is| **is).count();
                        assert_eq!(refused as usize, present, "every node is accounted for");
                    }
                }
            }
            Step::Force { template, node } => {
                self.put(template % template_count, node % node_count)
            }
            Step::Terminate { pod } => {
                let pod = pod % pod_count;
                self.cache.mark_terminating(PodId::from_index(pod));
                if let Some(Some(slow)) = self.slow.pods.get_mut(pod) {
                    slow.2 = true;
                }
            }
            Step::Remove { pod } => {
                let pod = pod % pod_count;
                self.cache.remove_pod(PodId::from_index(pod));
                if let Some(slow) = self.slow.pods.get_mut(pod) {
                    *slow = None;
                }
            }
            Step::Taint { node, effect } => self.change(node % node_count, |node| {
                let taint =
                    |effect| Taint { key: ZONE_TAINT.to_owned(), value: String::new(), effect };
                node.taints = effect.map(taint).into_iter().collect();
            }),
            Step::Cordon { node, is_on } => {
                self.change(node % node_count, |node| node.unschedulable = is_on);
            }
            Step::Leave { node } => {
                let node = node % node_count;
                if std::mem::replace(&mut self.slow.is_present[node], false) {
                    self.cache.remove_node(NodeId::from_index(node));
                }
            }
            Step::Return { node } => {
                let node = node % node_count;
                if !std::mem::replace(&mut self.slow.is_present[node], true) {
                    self.cache.add_node(NodeId::from_index(node), &self.slow.nodes[node]);
                }
            }
        }
    }

    /// What the cache keeps between attempts changes none of them: a clone, which keeps nothing,
    /// decides the same, and the node is one of the best of all that [`SchedulerCache::explain`]
    /// works out plugin by plugin (clusters here are small, so every search covers all nodes).
    fn check_memory(&mut self, template: usize, draw: usize) {
        let attempt = Attempt::new(self.shapes[template]);
        let afresh = self.cache.clone().attempt(attempt, |count| draw % count);
        let reports = self.cache.clone().explain(attempt);
        let remembered = self.cache.attempt(attempt, |count| draw % count);
        assert_eq!(remembered, afresh);
        let best = reports.iter().filter_map(|report| report.total()).max();
        let total_of = |node| {
            let report = reports.iter().find(|report| report.node == node);
            report.and_then(|report| report.total())
        };
        match remembered {
            Placement::Node(node) => assert_eq!(total_of(node), best),
            Placement::Unschedulable(_) => assert_eq!(best, None),
        }
    }

    fn change(&mut self, node: usize, change: impl FnOnce(&mut Node)) {
        change(&mut self.slow.nodes[node]);
        if self.slow.is_present[node] {
            let now = &self.slow.nodes[node];
            let id = NodeId::from_index(node);
            self.cache.update_node(id, now.taints.clone(), now.unschedulable);
        }
    }

    /// What was decided holds by the slow reading, and there is room.
    fn check_placement(&self, template: usize, node: NodeId) {
        assert_eq!(self.slow.first_refusal(template, node.index()), None);
        for resource in ["cpu", "memory"] {
            let template = &self.slow.templates[template];
            let request = template.spec.containers[0].requests.get(resource).unwrap_or(0);
            let free = self.cache.free(node, resource);
            assert!(request == 0 || free >= request, "{resource}: {free} free, {request} asked");
        }
    }

    /// Every filter and score of every template equals the slow reading's.
    fn compare(&mut self) {
        assert!(self.cache.is_consistent(), "a tally differs from a recount");
        for template in 0..self.shapes.len() {
            let attempt = Attempt::new(self.shapes[template]);
            let reports = self.cache.explain(attempt);
            let mut feasible = Vec::new();
            for report in &reports {
                let refusal = report.outcome.as_ref().err();
                let answer = refusal.map(|it| (it.rejection.filter, it.rejection.code));
                let wanted = self.slow.first_refusal(template, report.node.index());
                assert_eq!(answer, wanted, "template {template} on {}", report.node);
                if answer.is_none() {
                    feasible.push(report.node);
                }
            }
            let scores = |plugin| self.cache.score_alone(attempt, &feasible, plugin);
            if feasible.is_empty() {
                continue;
            }
            let wanted = self.slow.spread_scores(template, &feasible);
            assert_eq!(scores(ScorePlugin::PodTopologySpread), wanted, "spread of {template}");
            let wanted = self.slow.affinity_scores(template, &feasible);
            assert_eq!(scores(ScorePlugin::InterPodAffinity), wanted, "affinity of {template}");
        }
    }
}

impl Slow {
    fn present(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.is_present[*node])
    }

    /// Pods on a node: template and whether it is being deleted.
    fn pods_on(&self, node: usize) -> impl Iterator<Item = (&PodTemplate, bool)> {
        let pods = self.pods.iter().flatten().filter(move |pod| pod.1 == node);
        pods.map(|(template, _, is_terminating)| (&self.templates[*template], *is_terminating))
    }

    fn label(&self, node: usize, key: &str) -> Option<&String> {
        self.nodes[node].labels.get(key)
    }

    fn wants(&self, template: usize, node: usize) -> bool {
        let wanted = &self.templates[template].spec.node_selector;
        wanted.iter().all(|(key, value)| self.label(node, key) == Some(value))
    }

    fn tolerates(&self, template: usize, node: usize) -> bool {
        let tolerations = &self.templates[template].spec.tolerations;
        let hard = self.nodes[node].taints.iter();
        let mut hard = hard.filter(|taint| taint.effect != TaintEffect::PreferNoSchedule);
        hard.all(|taint| tolerations.iter().any(|it| it.tolerates(taint)))
    }

    fn first_refusal(&self, template: usize, node: usize) -> Option<(Reason, Code)> {
        use Code::UnschedulableAndUnresolvable as UU;
        if self.nodes[node].unschedulable {
            return Some((Reason::NodeUnschedulable, UU));
        }
        if !self.tolerates(template, node) {
            return Some((Reason::TaintToleration, UU));
        }
        if !self.wants(template, node) {
            return Some((Reason::NodeAffinity, UU));
        }
        if let Some(code) = self.shortage(template, node) {
            return Some((Reason::NodeResourcesFit, code));
        }
        if let Some(code) = self.skew(template, node) {
            return Some((Reason::PodTopologySpread, code));
        }
        self.dislike(template, node).map(|code| (Reason::InterPodAffinity, code))
    }

    fn shortage(&self, template: usize, node: usize) -> Option<Code> {
        let of = |template: &PodTemplate, name: &str| {
            template.spec.containers[0].requests.get(name).unwrap_or(0)
        };
        let allocatable = |name: &str| self.nodes[node].allocatable.get(name).unwrap_or(0);
        let mut code = None;
        if self.pods_on(node).count() as i64 + 1 > allocatable("pods") {
            code = Some(Code::Unschedulable);
        }
        for name in ["cpu", "memory"] {
            let request = of(&self.templates[template], name);
            let used: i64 = self.pods_on(node).map(|(template, _)| of(template, name)).sum();
            if request > 0 && request > allocatable(name) - used {
                let is_hopeless = request > allocatable(name);
                let is_final = is_hopeless || code == Some(Code::UnschedulableAndUnresolvable);
                code = Some(if is_final {
                    Code::UnschedulableAndUnresolvable
                } else {
                    Code::Unschedulable
                });
            }
        }
        code
    }

    /// The selector of a constraint with the keys of the incoming pod.
    fn spread_selector(
        &self,
        template: usize,
        constraint: &TopologySpreadConstraint,
    ) -> Option<LabelSelector> {
        let own = &self.templates[template].labels;
        let keys = constraint.match_label_keys.iter();
        let merged: Labels =
            keys.filter_map(|key| own.get(key).map(|value| (key.clone(), value.clone()))).collect();
        if constraint.label_selector.is_none() && merged.is_empty() {
            return None;
        }
        let mut selector = constraint.label_selector.clone().unwrap_or_default();
        // No selector of these tests names `tier` with another value than its keys would.
        for (key, value) in merged {
            selector.match_expressions.push(model_api::kube::Requirement {
                key,
                operator: model_api::kube::Operator::In,
                values: vec![value],
            });
        }
        Some(selector)
    }

    fn matching_on(&self, node: usize, selector: &Option<LabelSelector>) -> i64 {
        let Some(selector) = selector.as_ref().filter(|selector| !selector.is_empty()) else {
            return 0;
        };
        let living = self.pods_on(node).filter(|(_, is_terminating)| !is_terminating);
        living.filter(|(template, _)| selector.matches(&template.labels)).count() as i64
    }

    fn constraints(
        &self,
        template: usize,
        action: UnsatisfiableAction,
    ) -> Vec<&TopologySpreadConstraint> {
        let all = self.templates[template].spec.topology_spread_constraints.iter();
        all.filter(|it| it.when_unsatisfiable == action).collect()
    }

    fn is_eligible(
        &self,
        template: usize,
        node: usize,
        all: &[&TopologySpreadConstraint],
        one: &TopologySpreadConstraint,
    ) -> bool {
        all.iter().all(|it| self.label(node, &it.topology_key).is_some())
            && (!one.honors_node_affinity || self.wants(template, node))
            && (!one.honors_node_taints || self.tolerates(template, node))
    }

    fn skew(&self, template: usize, node: usize) -> Option<Code> {
        let all = self.constraints(template, UnsatisfiableAction::DoNotSchedule);
        for constraint in &all {
            let Some(here) = self.label(node, &constraint.topology_key) else {
                return Some(Code::UnschedulableAndUnresolvable);
            };
            let selector = self.spread_selector(template, constraint);
            let mut counts = std::collections::BTreeMap::new();
            for other in self.present() {
                if self.is_eligible(template, other, &all, constraint) {
                    let value = self.label(other, &constraint.topology_key).expect("eligible");
                    *counts.entry(value).or_insert(0) += self.matching_on(other, &selector);
                }
            }
            let mut min = counts.values().min().copied().unwrap_or(0);
            if (counts.len() as i32) < constraint.min_domains.unwrap_or(1) {
                min = 0;
            }
            let own = selector.is_some_and(|it| it.matches(&self.templates[template].labels));
            let count = counts.get(here).copied().unwrap_or(0);
            if count + i64::from(own) - min > i64::from(constraint.max_skew) {
                return Some(Code::Unschedulable);
            }
        }
        None
    }

    fn means(term: &PodAffinityTerm, template: &PodTemplate) -> bool {
        term.label_selector.as_ref().is_some_and(|it| it.matches(&template.labels))
    }

    /// Nodes that share a node's value of a key.
    fn together<'a>(&'a self, node: usize, key: &'a str) -> impl Iterator<Item = usize> + 'a {
        let here = self.label(node, key);
        self.present().filter(move |other| here.is_some() && self.label(*other, key) == here)
    }

    fn dislike(&self, template: usize, node: usize) -> Option<Code> {
        let own = &self.templates[template];
        let terms = &own.spec.affinity.pod_required;
        let means_all = |other: &PodTemplate| terms.iter().all(|term| Self::means(term, other));
        if terms.iter().any(|term| self.label(node, &term.topology_key).is_none()) {
            return Some(Code::UnschedulableAndUnresolvable);
        }
        let holds = |node: usize, key: &str| {
            self.together(node, key).any(|it| self.pods_on(it).any(|(pod, _)| means_all(pod)))
        };
        if !terms.iter().all(|term| holds(node, &term.topology_key)) {
            let is_anywhere = self
                .present()
                .any(|other| terms.iter().any(|term| holds(other, &term.topology_key)));
            if is_anywhere || !means_all(own) {
                return Some(Code::UnschedulableAndUnresolvable);
            }
        }
        let is_repelled = own.spec.affinity.pod_anti_required.iter().any(|term| {
            self.together(node, &term.topology_key)
                .any(|it| self.pods_on(it).any(|(pod, _)| Self::means(term, pod)))
        });
        let is_kept_off = self.present().any(|other| {
            self.pods_on(other).any(|(pod, _)| {
                pod.spec.affinity.pod_anti_required.iter().any(|term| {
                    Self::means(term, own)
                        && self.together(node, &term.topology_key).any(|it| it == other)
                })
            })
        });
        (is_repelled || is_kept_off).then_some(Code::Unschedulable)
    }

    fn spread_scores(&self, template: usize, feasible: &[NodeId]) -> Option<Vec<i64>> {
        let all = self.constraints(template, UnsatisfiableAction::ScheduleAnyway);
        if all.is_empty() {
            return None;
        }
        let has_all =
            |node: usize| all.iter().all(|it| self.label(node, &it.topology_key).is_some());
        let scored: Vec<usize> =
            feasible.iter().map(|node| node.index()).filter(|node| has_all(*node)).collect();
        let raw = |node: usize| -> i64 {
            let mut sum = 0.0;
            for constraint in &all {
                let selector = self.spread_selector(template, constraint);
                let key = &constraint.topology_key;
                let values: std::collections::BTreeSet<_> =
                    scored.iter().map(|node| self.label(*node, key)).collect();
                let is_hostname = key == KEYS[1];
                let size = if is_hostname { scored.len() } else { values.len() };
                let count = if is_hostname {
                    self.matching_on(node, &selector)
                } else {
                    self.together(node, key)
                        .filter(|other| self.is_eligible(template, *other, &all, constraint))
                        .map(|other| self.matching_on(other, &selector))
                        .sum()
                };
                sum += count as f64 * (size as f64 + 2.0).ln() + f64::from(constraint.max_skew - 1);
            }
            sum.round() as i64
        };
        let raws: Vec<i64> = scored.iter().map(|node| raw(*node)).collect();
        let (min, max) =
            (raws.iter().min().copied().unwrap_or(0), raws.iter().max().copied().unwrap_or(0));
        let scores = feasible.iter().map(|node| {
            let place = scored.iter().position(|it| *it == node.index());
            match place {
                None => 0,
                Some(_) if max == 0 => 100,
                Some(place) => 100 * (max + min - raws[place]) / max,
            }
        });
        Some(scores.collect())
    }

    fn affinity_scores(&self, template: usize, feasible: &[NodeId]) -> Option<Vec<i64>> {
        let own = &self.templates[template];
        let mut pairs: Vec<(String, String, i64)> = Vec::new();
        for node in self.present() {
            for (pod, _) in self.pods_on(node) {
                let mut add = |term: &PodAffinityTerm, who: &PodTemplate, weight: i64| {
                    if let Some(value) = self.label(node, &term.topology_key)
                        && Self::means(term, who)
                    {
                        pairs.push((term.topology_key.clone(), value.clone(), weight));
                    }
                };
                for (one, other) in [(own, pod), (pod, own)] {
                    for it in &one.spec.affinity.pod_preferred {
                        add(&it.term, other, i64::from(it.weight));
                    }
                    for it in &one.spec.affinity.pod_anti_preferred {
                        add(&it.term, other, -i64::from(it.weight));
                    }
                }
                for term in &pod.spec.affinity.pod_required {
                    add(term, own, 1);
                }
            }
        }
        if pairs.is_empty() {
            return None;
        }
        let raw = |node: &NodeId| -> i64 {
            let here = pairs.iter().filter(|(key, value, _)| {
                self.label(node.index(), key).is_some_and(|label| label == value)
            });
            here.map(|(_, _, weight)| weight).sum()
        };
        let raws: Vec<i64> = feasible.iter().map(raw).collect();
        let (min, max) = (*raws.iter().min()?, *raws.iter().max()?);
        let score = |raw: &i64| {
            if max == min { 0 } else { (100.0 * ((raw - min) as f64 / (max - min) as f64)) as i64 }
        };
        Some(raws.iter().map(score).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn counts_and_decisions_equal_the_slow_reading(world in world(), late in 0..2_usize) {
        let mut pair = Pair::new(&world, late);
        for step in &world.steps {
            pair.take(step);
        }
        pair.compare();
        pair.compile(world.templates.len());
        pair.compare();
    }

    #[test]
    fn preemption_leaves_no_trace_and_its_victims_suffice(world in world()) {
        let mut pair = Pair::new(&world, 0);
        for step in &world.steps {
            pair.take(step);
        }
        let selector = LabelSelector {
            match_labels: labels(&[("app", "web")]),
            ..LabelSelector::default()
        };
        let budget = Budget {
            namespace: NAMESPACE,
            selector: Some(&selector),
            disruptions_allowed: 1,
            disrupted: &[],
        };
        for template in 0..pair.shapes.len() {
            let attempt = Attempt::new(pair.shapes[template]);
            if matches!(pair.cache.clone().attempt(attempt, |_| 0), Placement::Node(_)) {
                continue;
            }
            let before = format!("{:?}", pair.cache);
            let decision = pair.cache.preempt(attempt, &[budget], |count| count - 1);
            prop_assert_eq!(before, format!("{:?}", pair.cache));
            let Preemption::Nominate(candidate) = decision else { continue };
            let priority = pair.slow.templates[template].spec.priority;
            let mut rest = pair.slow.clone();
            let mut violations = 0;
            for pod in &candidate.victims {
                let (victim, node, _) = rest.pods[pod.index()].take().expect("a victim exists");
                prop_assert_eq!(node, candidate.node.index());
                prop_assert!(rest.templates[victim].spec.priority < priority);
                violations += u32::from(selector.matches(&rest.templates[victim].labels));
            }
            prop_assert!(candidate.violation_count <= violations);
            prop_assert_eq!(rest.first_refusal(template, candidate.node.index()), None);
        }
    }

    #[test]
    fn a_clone_decides_alike_and_does_not_disturb(world in world()) {
        let mut pair = Pair::new(&world, 0);
        for step in &world.steps {
            let before = format!("{:?}", pair.cache);
            let mut copy = pair.cache.clone();
            for shape in &pair.shapes {
                let attempt = Attempt::new(*shape);
                let (one, other) = (copy.attempt(attempt, |_| 0), copy.attempt(attempt, |_| 0));
                prop_assert_eq!(one, other);
            }
            prop_assert_eq!(before, format!("{:?}", pair.cache));
            pair.take(step);
        }
    }
}
