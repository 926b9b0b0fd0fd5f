//! Preemption: whose pods make room, and on which node?
//!
//! # Modelled
//! Eligibility, potential nodes, the dry run a node with reprieve, disruption budgets as a preference,
//! every step of the choice.
//! # Not modelled
//! Extenders, pod groups. Victims on more than one node: upstream does not do that either.
//! # Defaults and their sources
//! pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go,
//! pkg/scheduler/framework/preemption/preemption.go, pkg/scheduler/util/utils.go, 1.36.
//! # Invariants
//! The cache is after a dry run as it was before. Victims have lower priority than the preemptor,
//! and without them it passes all filters.
//! # Checked against
//! Upstream's tables TestDryRunPreemption, TestSelectBestCandidate, TestPostFilter.

use std::sync::Arc;

use model_api::kube::LabelSelector;
use model_api::{NodeId, PodId};

use super::attempt::Attempt;
use super::cache::SchedulerCache;
use super::catalog::Catalog;
use super::filter::{Code, Query};

/// A disruption budget as preemption sees it.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// `metadata.namespace`.
    pub namespace: &'a str,
    /// `spec.selector`; `None` and empty match nothing here.
    pub selector: Option<&'a LabelSelector>,
    /// `status.disruptionsAllowed`.
    pub disruptions_allowed: i32,
    /// `status.disruptedPods`: their eviction is counted already.
    pub disrupted: &'a [PodId],
}

/// A node on which the preemptor would fit without some pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeId,
    /// Pods that would go, the most important first.
    pub victims: Vec<PodId>,
    /// How many of them violate a budget.
    pub violation_count: u32,
}

/// What preemption decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// The victims of this candidate are deleted and the pod is nominated to its node.
    Nominate(Candidate),
    /// No node becomes feasible; a nomination the pod has is withdrawn.
    Hopeless,
    /// The pod may not preempt: its policy says so, or victims of an earlier preemption are still
    /// going. A nomination it has stays.
    NotEligible,
}

impl SchedulerCache {
    /// Looks for pods that could make room, after an attempt found no node (PostFilter). `draw` gives
    /// a number below its argument; it decides where the search starts and among equals.
    pub fn preempt(
        &mut self,
        attempt: Attempt,
        budgets: &[Budget<'_>],
        mut draw: impl FnMut(usize) -> usize,
    ) -> Preemption {
        if !self.may_preempt(attempt) {
            return Preemption::NotEligible;
        }
        let candidates = self.preemption_candidates(attempt, budgets, &mut draw);
        match self.best_candidate(candidates, &mut draw) {
            Some(candidate) => Preemption::Nominate(candidate),
            None => Preemption::Hopeless,
        }
    }

    /// Whether the pod may preempt others: its policy allows it, and no pod that was preempted is
    /// still terminating on the node it is nominated to, unless that node cannot be mended any more
    /// (PodEligibleToPreemptOthers).
    pub fn may_preempt(&mut self, attempt: Attempt) -> bool {
        let catalog = Arc::clone(&self.catalog);
        let shape = &catalog.shapes[attempt.shape.index()];
        if shape.never_preempts {
            return false;
        }
        let Some(node) = attempt.nominated_node.filter(|node| self.is_there(*node)) else {
            return true;
        };
        let mut query = Query::new(self, &catalog, attempt);
        let status =
            query.pre_filter().and_then(|()| self.check_guarded(&mut query, attempt, node));
        if status.is_err_and(|it| it.code == Code::UnschedulableAndUnresolvable) {
            return true;
        }
        !self.nodes[node.index()].pods.iter().map(|pod| &self.pods[pod]).any(|pod| {
            pod.is_preempted && catalog.shapes[pod.shape.index()].priority < shape.priority
        })
    }

    /// Nodes on which the pod would fit without some pods of lower priority; those that violate no
    /// budget first. The search ends when enough are known and one of them violates no budget
    /// (DryRunPreemption).
    pub fn preemption_candidates(
        &mut self,
        attempt: Attempt,
        budgets: &[Budget<'_>],
        draw: &mut impl FnMut(usize) -> usize,
    ) -> Vec<Candidate> {
        let catalog = Arc::clone(&self.catalog);
        let mut query = Query::new(self, &catalog, attempt);
        if query.pre_filter().is_err() {
            return Vec::new();
        }
        let order = Arc::clone(self.order.list());
        let mut potential = Vec::new();
        for node in order.iter().copied() {
            if !query.is_searched(node) {
                continue;
            }
            let status = self.check_guarded(&mut query, attempt, node);
            if status.is_err_and(|it| it.code == Code::Unschedulable) {
                potential.push(node);
            }
        }
        if potential.is_empty() {
            return Vec::new();
        }
        let offset = draw(potential.len());
        let wanted = candidate_count_wanted(&catalog, potential.len());
        let (mut peaceful, mut violating) = (Vec::new(), Vec::new());
        for step in 0..potential.len() {
            let node = potential[(offset + step) % potential.len()];
            let Some(candidate) = self.select_victims(&mut query, attempt, node, budgets) else {
                continue;
            };
            let kind = if candidate.violation_count == 0 { &mut peaceful } else { &mut violating };
            kind.push(candidate);
            if !peaceful.is_empty() && peaceful.len() + violating.len() >= wanted {
                break;
            }
        }
        peaceful.append(&mut violating);
        peaceful
    }

    /// The least set of pods whose absence makes room on a node, found by taking all of lower
    /// priority away and putting back, the most important first, those that leave room
    /// (SelectVictimsOnNode).
    fn select_victims(
        &mut self,
        query: &mut Query<'_>,
        attempt: Attempt,
        node: NodeId,
        budgets: &[Budget<'_>],
    ) -> Option<Candidate> {
        let catalog = Arc::clone(&self.catalog);
        let priority = query.shape.priority;
        let earlier = self.nodes[node.index()].pods.clone();
        let mut potential: Vec<PodId> = earlier
            .iter()
            .copied()
            .filter(|pod| self.priority_of(&catalog, *pod) < priority)
            .collect();
        if potential.is_empty() {
            return None;
        }
        potential.sort_by_key(|pod| self.unimportance(&catalog, *pod));
        let (violating, others) = self.split_by_budgets(&catalog, &potential, budgets);
        let mut removed = Vec::new();
        for pod in &potential {
            let cached = self.displace(*pod).expect("pods of a node are somewhere");
            removed.push((*pod, cached));
        }
        query.refresh(self);
        let mut candidate = None;
        if self.check_guarded(query, attempt, node).is_ok() {
            let mut victims = Vec::new();
            let mut violation_count = 0;
            let both = violating.iter().map(|pod| (pod, true));
            for (pod, is_violating) in both.chain(others.iter().map(|pod| (pod, false))) {
                let place = removed.iter().position(|(known, _)| known == pod);
                let cached = removed[place.expect("it was taken away")].1;
                self.place(*pod, cached);
                query.refresh(self);
                if self.check_guarded(query, attempt, node).is_err() {
                    self.displace(*pod);
                    victims.push(*pod);
                    violation_count += u32::from(is_violating);
                }
            }
            victims.sort_by_key(|pod| potential.iter().position(|known| known == pod));
            candidate = Some(Candidate { node, victims, violation_count });
        }
        for (pod, cached) in removed {
            if !self.pods.contains_key(&pod) {
                self.place(pod, cached);
            }
        }
        self.nodes[node.index()].pods = earlier;
        query.refresh(self);
        candidate.filter(|candidate| !candidate.victims.is_empty())
    }

    /// Splits pods, in the given order, into those whose going violates a budget and the rest
    /// (filterPodsWithPDBViolation).
    fn split_by_budgets(
        &self,
        catalog: &Catalog,
        pods: &[PodId],
        budgets: &[Budget<'_>],
    ) -> (Vec<PodId>, Vec<PodId>) {
        let mut allowed: Vec<i64> =
            budgets.iter().map(|budget| i64::from(budget.disruptions_allowed)).collect();
        pods.iter().copied().partition(|pod| {
            let shape = &catalog.shapes[self.pods[pod].shape.index()];
            let mut is_violated = false;
            for (budget, allowed) in budgets.iter().zip(&mut allowed) {
                let selects = budget.selector.is_some_and(|selector| {
                    !selector.is_empty() && selector.matches(&shape.labels)
                });
                let is_counted = budget.namespace == shape.namespace
                    && !shape.labels.is_empty()
                    && selects
                    && !budget.disrupted.contains(pod);
                if is_counted {
                    *allowed -= 1;
                    is_violated |= *allowed < 0;
                }
            }
            is_violated
        })
    }

    /// The best candidate: each step looks only at the ties of the one before
    /// (preemption.go, pickOneNodeForPreemption).
    pub fn best_candidate(
        &self,
        mut candidates: Vec<Candidate>,
        draw: &mut impl FnMut(usize) -> usize,
    ) -> Option<Candidate> {
        let catalog = &self.catalog;
        let priorities = |candidate: &Candidate| -> Vec<i64> {
            let victims = candidate.victims.iter();
            victims.map(|pod| i64::from(self.priority_of(catalog, *pod))).collect()
        };
        let start = |pod: &PodId| self.start_of(*pod);
        let steps: [&dyn Fn(&Candidate) -> i64; 5] = [
            &|candidate| i64::from(candidate.violation_count),
            &|candidate| priorities(candidate).first().copied().unwrap_or(i64::MIN),
            &|candidate| priorities(candidate).iter().map(|priority| priority + (1 << 31)).sum(),
            &|candidate| i64::try_from(candidate.victims.len()).expect("few pods on a node"),
            &|candidate| {
                let highest = priorities(candidate).into_iter().max();
                let is_highest =
                    |pod: &&PodId| Some(i64::from(self.priority_of(catalog, **pod))) == highest;
                let earliest = candidate.victims.iter().filter(is_highest).map(start).min();
                -earliest.unwrap_or(0)
            },
        ];
        for step in steps {
            let best = candidates.iter().map(step).min()?;
            candidates.retain(|candidate| step(candidate) == best);
        }
        let count = candidates.len();
        let chosen = if count == 1 { 0 } else { draw(count) };
        Some(candidates.swap_remove(chosen))
    }

    fn priority_of(&self, catalog: &Catalog, pod: PodId) -> i32 {
        catalog.shapes[self.pods[&pod].shape.index()].priority
    }

    /// Start time in nanoseconds; a pod that has none is taken to start now, after all others
    /// (pkg/scheduler/util/utils.go, GetPodStartTime).
    fn start_of(&self, pod: PodId) -> i64 {
        let started = self.pods[&pod].started;
        started.map_or(i64::MAX, |at| i64::try_from(at.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Sorts by importance, the most important first: higher priority, then earlier start
    /// (pkg/scheduler/util/utils.go, MoreImportantPod). Equals go by id, where upstream has no order.
    fn unimportance(&self, catalog: &Catalog, pod: PodId) -> (i64, i64, PodId) {
        (-i64::from(self.priority_of(catalog, pod)), self.start_of(pod), pod)
    }
}

/// default_preemption.go, calculateNumCandidates.
fn candidate_count_wanted(catalog: &Catalog, node_count: usize) -> usize {
    let profile = &catalog.profile;
    let share = node_count * profile.min_candidate_nodes_percentage as usize / 100;
    share.max(profile.min_candidate_nodes_absolute as usize).min(node_count)
}

#[cfg(test)]
mod tests {
    use model_api::SimTime;
    use model_api::kube::{Container, Node, PodSpec, PodTemplate, ResourceList};

    use super::super::case::{Case, CaseBudget, CasePod};
    use super::*;

    /// A node has room for 300 millicores.
    fn node(name: &str) -> Node {
        let amounts = [(ResourceList::CPU, 300), (ResourceList::MEMORY, 1 << 30), ("pods", 10)];
        let amounts = amounts.map(|(name, amount)| (name.to_owned(), amount));
        Node { name: name.to_owned(), allocatable: ResourceList(amounts.into()), ..Node::default() }
    }

    /// Name, node, priority, millicores, second of its start.
    type Row<'a> = (&'a str, &'a str, i32, i64, u64);

    fn pod((name, node, priority, cpu, started): Row<'_>) -> CasePod {
        let requests = ResourceList([(ResourceList::CPU.to_owned(), cpu)].into());
        let container = Container { requests, ..Container::default() };
        let labels = [("pod".to_owned(), name.to_owned())].into();
        let spec = PodSpec { priority, containers: vec![container], ..PodSpec::default() };
        CasePod {
            name: name.to_owned(),
            namespace: "shop".to_owned(),
            node: Some(node.to_owned()).filter(|it| !it.is_empty()),
            template: PodTemplate { labels, spec, ..PodTemplate::default() },
            started: Some(SimTime::from_secs(started)),
            ..CasePod::default()
        }
    }

    /// A case in which a pod of priority 10 asks for so much, and no more may go of the pods that a
    /// budget covers.
    fn case(rows: &[Row<'_>], cpu: i64, covered: &[&str], allowed: i32) -> Case {
        let budget = |name: &&str| CaseBudget {
            namespace: "shop".to_owned(),
            selector: Some(LabelSelector {
                match_labels: [("pod".to_owned(), (*name).to_owned())].into(),
                ..LabelSelector::default()
            }),
            disruptions_allowed: allowed,
            ..CaseBudget::default()
        };
        Case {
            nodes: ["a", "b"].map(node).into(),
            pods: rows.iter().map(|row| pod(*row)).collect(),
            pod: pod(("new", "", 10, cpu, 0)),
            budgets: covered.iter().map(budget).collect(),
            ..Case::default()
        }
    }

    /// Each candidate as `node: victims (violations)`.
    fn candidates(case: &Case) -> Vec<String> {
        let mut loaded = case.load();
        let found = loaded.preemption_candidates();
        let text = |it: &Candidate| {
            let victims: Vec<&str> = it.victims.iter().map(|pod| loaded.pod_name(*pod)).collect();
            let node = loaded.node_name(it.node);
            format!("{node}: {} ({})", victims.join(" "), it.violation_count)
        };
        found.iter().map(text).collect()
    }

    fn chosen(rows: &[Row<'_>], covered: &[&str], allowed: i32) -> String {
        let mut loaded = case(rows, 300, covered, allowed).load();
        let nominated = loaded.nominated().expect("pods of a lower priority are there");
        loaded.node_name(nominated.node).to_owned()
    }

    /// Rows of TestDryRunPreemption and TestSelectBestCandidate of `default_preemption_test.go`, 1.36,
    /// retold.
    #[test]
    fn the_least_important_pods_that_make_room_go() {
        let rows: [(&[Row<'_>], i64, &[&str]); 6] = [
            // Only lower priorities.
            (&[("x", "a", 10, 300, 0), ("y", "b", 11, 300, 0)], 100, &[]),
            (&[("x", "a", 9, 300, 0), ("y", "b", 10, 300, 0)], 100, &["a: x (0)"]),
            // The most important ones are put back as long as the pod fits.
            (
                &[
                    ("x", "a", 1, 100, 0),
                    ("y", "a", 3, 100, 0),
                    ("z", "a", 2, 100, 0),
                    ("k", "b", 20, 300, 0),
                ],
                200,
                &["a: z x (0)"],
            ),
            // Of equals the one that has run for longer stays.
            (
                &[("x", "a", 1, 150, 7), ("y", "a", 1, 150, 5), ("k", "b", 20, 300, 0)],
                150,
                &["a: x (0)"],
            ),
            // A pod that is too large to leave room goes, and a smaller one that is less important stays.
            (
                &[("x", "a", 5, 200, 0), ("y", "a", 1, 100, 0), ("k", "b", 20, 300, 0)],
                200,
                &["a: x (0)"],
            ),
            // What is more than the node has is no matter of preemption.
            (&[("x", "a", 1, 300, 0), ("y", "b", 1, 300, 0)], 301, &[]),
        ];
        for (rows, cpu, expected) in rows {
            assert_eq!(candidates(&case(rows, cpu, &[], 0)), expected, "{rows:?} {cpu}");
        }
    }

    /// Pods whose going violates a budget are put back before others, whatever their priority.
    #[test]
    fn budgets_are_kept_where_that_is_possible() {
        let rows: &[Row<'_>] =
            &[("x", "a", 1, 100, 0), ("y", "a", 5, 200, 0), ("k", "b", 20, 300, 0)];
        assert_eq!(candidates(&case(rows, 200, &["x"], 0)), ["a: y (0)"]);
        assert_eq!(candidates(&case(rows, 300, &["x"], 0)), ["a: y x (1)"]);
        assert_eq!(candidates(&case(rows, 300, &["x"], 1)), ["a: y x (0)"]);
        assert_eq!(candidates(&case(rows, 300, &["x", "y"], 0)), ["a: y x (2)"]);
        assert_eq!(candidates(&case(rows, 300, &["x", "x"], 0)), ["a: y x (1)"], "both cover it");
        // A budget that is evicting the pod already is not violated; nor is one of elsewhere.
        let mut other = case(rows, 300, &["x"], 0);
        other.budgets[0].disrupted = vec!["x".to_owned()];
        assert_eq!(candidates(&other), ["a: y x (0)"]);
        other.budgets[0] = CaseBudget { disrupted: Vec::new(), ..other.budgets[0].clone() };
        other.budgets[0].namespace = "elsewhere".to_owned();
        assert_eq!(candidates(&other), ["a: y x (0)"]);
        // An empty selector selects nothing here.
        let mut all = case(rows, 300, &["x"], 0);
        all.budgets[0].selector = Some(LabelSelector::default());
        assert_eq!(candidates(&all), ["a: y x (0)"]);
    }

    /// Each step of the choice looks at what the steps before it left.
    #[test]
    fn one_candidate_is_the_best() {
        let rows: [(&[Row<'_>], &[&str], &str); 6] = [
            // The fewest violations, even of more important pods.
            (&[("x", "a", 1, 300, 0), ("y", "b", 9, 300, 0)], &["x"], "b"),
            // The lowest of the highest priorities.
            (&[("x", "a", 5, 300, 0), ("y", "b", 4, 150, 0), ("z", "b", 4, 150, 0)], &[], "b"),
            // The smallest sum of priorities, each counted from the least there is.
            (
                &[
                    ("w", "a", 5, 150, 0),
                    ("x", "a", 3, 150, 0),
                    ("y", "b", 5, 150, 0),
                    ("z", "b", 2, 150, 0),
                ],
                &[],
                "b",
            ),
            (&[("x", "b", 5, 300, 0), ("y", "a", 5, 150, 0), ("z", "a", -9, 150, 0)], &[], "b"),
            // The latest start of the most important victims.
            (&[("x", "a", 5, 300, 10), ("y", "b", 5, 300, 20)], &[], "b"),
            (
                &[
                    ("w", "a", 5, 150, 10),
                    ("x", "a", 1, 150, 90),
                    ("y", "b", 5, 150, 20),
                    ("z", "b", 1, 150, 0),
                ],
                &[],
                "b",
            ),
        ];
        for (rows, covered, node) in rows {
            assert_eq!(chosen(rows, covered, 0), node, "{rows:?}");
        }
    }

    #[test]
    fn who_may_preempt() {
        let rows: &[Row<'_>] = &[("x", "a", 1, 300, 0), ("y", "b", 1, 300, 0)];
        let with = |change: fn(&mut Case)| {
            let mut case = case(rows, 300, &[], 0);
            change(&mut case);
            candidates(&case).len()
        };
        assert_eq!(with(|_| {}), 2);
        assert_eq!(with(|it| it.pod.template.spec.never_preempts = true), 0);
        // A victim of its own is still going; one on another node is no reason.
        let going = |it: &mut Case, node: &str| {
            it.pod.nominated_node = Some("a".to_owned());
            let pod = it.pods.iter_mut().find(|pod| pod.node.as_deref() == Some(node));
            let pod = pod.expect("it is there");
            (pod.is_terminating, pod.is_preempted) = (true, true);
        };
        let mut own = case(rows, 300, &[], 0);
        going(&mut own, "a");
        assert_eq!(candidates(&own).len(), 0);
        own.pods[0].template.spec.priority = 10;
        assert_eq!(candidates(&own).len(), 1, "it is as important");
        let mut other = case(rows, 300, &[], 0);
        going(&mut other, "b");
        assert_eq!(candidates(&other).len(), 2);
        // No use waiting for a node that cannot be mended any more.
        let mut hopeless = case(rows, 300, &[], 0);
        going(&mut hopeless, "a");
        hopeless.nodes[0].allocatable.0.insert(ResourceList::CPU.to_owned(), 200);
        assert_eq!(candidates(&hopeless), ["b: y (0)"]);
    }

    /// A tenth of the nodes, a hundred at least, and no more than there are.
    #[test]
    fn so_many_candidates_are_enough() {
        let cache = SchedulerCache::new();
        let wanted = |count| candidate_count_wanted(&cache.catalog, count);
        assert_eq!([5, 100, 500, 2000].map(wanted), [5, 100, 100, 200]);
    }
}
