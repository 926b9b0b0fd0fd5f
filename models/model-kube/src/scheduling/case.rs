//! A scheduling question by itself: nodes, pods, one pod to place. What conformance cases and
//! `explain` ask is asked here, of the same functions that the cluster calls.
//!
//! This module knows no file format: who reads cases builds a [`Case`] from objects, calls
//! [`Case::load`] and compares what the [`LoadedCase`] answers.

use model_api::kube::{LabelSelector, Labels, Node, PodTemplate};
use model_api::observation::UnschedulableReason;
use model_api::{NodeId, PodId, SimTime};

use super::attempt::{Attempt, NodeReport, Refusal};
use super::cache::SchedulerCache;
use super::preemption::{Budget, Candidate};
use super::profile::Profile;
use super::score::ScorePlugin;
use super::shape::PodDescription;
use super::volume::Claim;

/// A cluster at one moment and a pod that waits.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// How the scheduler is configured.
    pub profile: Profile,
    /// Namespaces with labels of their own.
    pub namespaces: Vec<(String, Labels)>,
    /// Nodes, in the order in which the scheduler learned of them.
    pub nodes: Vec<Node>,
    /// Per node name: how many volumes of a driver it can attach.
    pub attach_limits: Vec<(String, Vec<(String, u32)>)>,
    /// Pods on nodes, or nominated to one.
    pub pods: Vec<CasePod>,
    /// The pod to place.
    pub pod: CasePod,
    /// Disruption budgets.
    pub budgets: Vec<CaseBudget>,
}

/// A pod of a case.
#[derive(Clone, Debug, Default)]
pub struct CasePod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// Labels and spec. Of the node it is on, only [`Self::node`] tells.
    pub template: PodTemplate,
    /// The node it is on.
    pub node: Option<String>,
    /// `status.nominatedNodeName`.
    pub nominated_node: Option<String>,
    /// What default spreading selects for it; see [`super::default_selector`].
    pub default_selector: Option<LabelSelector>,
    /// Its claims.
    pub claims: Vec<Claim>,
    /// It has a deletionTimestamp.
    pub is_terminating: bool,
    /// It is being deleted because the scheduler preempted it.
    pub is_preempted: bool,
    /// `status.startTime`.
    pub started: Option<SimTime>,
}

/// A disruption budget of a case.
#[derive(Clone, Debug, Default)]
pub struct CaseBudget {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.selector`.
    pub selector: Option<LabelSelector>,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: i32,
    /// Names in `status.disruptedPods`.
    pub disrupted: Vec<String>,
}

/// A case as the scheduler sees it.
#[derive(Clone, Debug)]
pub struct LoadedCase {
    cache: SchedulerCache,
    attempt: Attempt,
    node_names: Vec<String>,
    /// By pod id.
    pods: Vec<(String, String)>,
    budgets: Vec<(CaseBudget, Vec<PodId>)>,
}

/// Answers by node name, in the order of the case's nodes.
pub type ByNode<T> = Vec<(String, T)>;

impl Case {
    /// Builds the scheduler's view.
    ///
    /// # Panics
    /// When two nodes have the same name.
    pub fn load(&self) -> LoadedCase {
        let mut cache = SchedulerCache::with_profile(self.profile.clone());
        for (name, labels) in &self.namespaces {
            cache.declare_namespace(name, labels);
        }
        let mut node_names: Vec<String> = Vec::new();
        for (idx, node) in self.nodes.iter().enumerate() {
            assert!(!node_names.contains(&node.name), "two nodes are named {}", node.name);
            cache.add_node(NodeId::from_index(idx), node);
            node_names.push(node.name.clone());
        }
        for (name, limits) in &self.attach_limits {
            if let Some(node) = find(&node_names, name) {
                cache.set_attach_limits(node, limits.clone());
            }
        }
        let mut loaded = LoadedCase {
            attempt: compile(&mut cache, &self.pod, PodId::from_index(self.pods.len())),
            cache,
            node_names,
            pods: Vec::new(),
            budgets: Vec::new(),
        };
        let nominated = self.pod.nominated_node.as_deref();
        loaded.attempt.nominated_node = nominated.and_then(|name| find(&loaded.node_names, name));
        for pod in self.pods.iter().chain([&self.pod]) {
            loaded.pods.push((pod.namespace.clone(), pod.name.clone()));
        }
        for (idx, pod) in self.pods.iter().enumerate() {
            loaded.put(PodId::from_index(idx), pod);
        }
        for budget in &self.budgets {
            let is_disrupted = |(namespace, name): &(String, String)| {
                *namespace == budget.namespace && budget.disrupted.contains(name)
            };
            let pods = loaded.pods.iter().enumerate();
            let disrupted = pods.filter(|(_, pod)| is_disrupted(pod));
            let disrupted = disrupted.map(|(idx, _)| PodId::from_index(idx)).collect();
            loaded.budgets.push((budget.clone(), disrupted));
        }
        loaded
    }
}

fn find(names: &[String], name: &str) -> Option<NodeId> {
    names.iter().position(|known| known == name).map(NodeId::from_index)
}

fn compile(cache: &mut SchedulerCache, pod: &CasePod, id: PodId) -> Attempt {
    let shape = cache.compile(PodDescription {
        namespace: &pod.namespace,
        template: &pod.template,
        default_selector: pod.default_selector.as_ref(),
    });
    let volumes = cache.volumes(pod.claims.clone());
    Attempt { volumes, pod: Some(id), ..Attempt::new(shape) }
}

impl LoadedCase {
    fn put(&mut self, id: PodId, pod: &CasePod) {
        let Attempt { shape, volumes, .. } = compile(&mut self.cache, pod, id);
        let node_of = |name: &Option<String>| find(&self.node_names, name.as_deref()?);
        if let Some(node) = node_of(&pod.node) {
            self.cache.add_pod_with_volumes(id, shape, node, volumes);
            if let Some(started) = pod.started {
                self.cache.set_started(id, started);
            }
            if pod.is_preempted {
                self.cache.mark_preempted(id);
            } else if pod.is_terminating {
                self.cache.mark_terminating(id);
            }
        } else if let Some(node) = node_of(&pod.nominated_node) {
            self.cache.nominate(id, shape, node);
        }
    }

    fn node(&self, name: &str) -> Option<NodeId> {
        find(&self.node_names, name)
    }

    /// The name of a node.
    pub fn node_name(&self, node: NodeId) -> &str {
        &self.node_names[node.index()]
    }

    /// The name of a pod, without its namespace.
    pub fn pod_name(&self, pod: PodId) -> &str {
        &self.pods[pod.index()].1
    }

    /// What one filter by itself says of each node.
    pub fn filter(&self, filter: UnschedulableReason) -> ByNode<Result<(), Refusal>> {
        let names = self.node_names.iter().enumerate();
        let answer = |idx| self.cache.filter_alone(self.attempt, NodeId::from_index(idx), filter);
        names.map(|(idx, name)| (name.clone(), answer(idx))).collect()
    }

    /// What the whole profile makes of each node.
    pub fn explain(&mut self) -> Vec<NodeReport> {
        self.cache.explain(self.attempt)
    }

    /// Matching pods per value, for each hard spread constraint.
    pub fn domain_counts(&self) -> Vec<(String, Vec<(String, i64)>)> {
        self.cache.domain_counts(self.attempt.shape)
    }

    /// The scores of one plugin for these nodes, as if the others had been filtered out; `None` when
    /// the plugin takes itself out. Unknown names are left out.
    pub fn scores(&self, plugin: ScorePlugin, candidates: &[String]) -> Option<ByNode<i64>> {
        let nodes: Vec<NodeId> = candidates.iter().filter_map(|name| self.node(name)).collect();
        let scores = self.cache.score_alone(self.attempt, &nodes, plugin)?;
        let names = nodes.iter().map(|node| self.node_name(*node).to_owned());
        Some(names.zip(scores).collect())
    }

    /// Nodes that preemption could free, with their victims.
    pub fn preemption_candidates(&mut self) -> Vec<Candidate> {
        if !self.cache.may_preempt(self.attempt) {
            return Vec::new();
        }
        let budgets = budgets(&self.budgets);
        self.cache.preemption_candidates(self.attempt, &budgets, &mut |_| 0)
    }

    /// The candidate that preemption takes; the first of equals.
    pub fn nominated(&mut self) -> Option<Candidate> {
        let candidates = self.preemption_candidates();
        self.cache.best_candidate(candidates, &mut |_| 0)
    }
}

fn budgets(budgets: &[(CaseBudget, Vec<PodId>)]) -> Vec<Budget<'_>> {
    let budgets = budgets.iter().map(|(budget, disrupted)| Budget {
        namespace: &budget.namespace,
        selector: budget.selector.as_ref(),
        disruptions_allowed: budget.disruptions_allowed,
        disrupted,
    });
    budgets.collect()
}
