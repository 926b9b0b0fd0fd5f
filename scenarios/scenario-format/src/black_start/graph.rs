//! Circles among workloads, and the fewest steps that break them.

use std::collections::{BTreeMap, BTreeSet};

use super::needs::{Edge, Need};

/// Sets of steps that are tried before a small one is taken for want of the smallest. Looking for the
/// fewest is as hard as anything (Karp 1972, feedback arc set); platforms have a handful of circles.
const TRIES_MAX: u32 = 2_000;

/// What somebody does by hand, once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Nobody has this need any more.
    ForAll(Need),
    /// This workload goes without.
    For(Need, usize),
}

impl Step {
    /// The step that does away with an edge: a webhook that is deleted guards nobody any more, and a
    /// Secret made by hand is there for all.
    fn against(edge: &Edge) -> Self {
        match edge.need {
            Need::Webhook(_) | Need::Made(_) => Self::ForAll(edge.need.clone()),
            // Another class has its keys elsewhere, too.
            Need::VolumeKey(ref class) => Self::For(Need::Volume(class.clone()), edge.from),
            _ => Self::For(edge.need.clone(), edge.from),
        }
    }

    pub(super) fn breaks(&self, edge: &Edge) -> bool {
        *self == Self::against(edge)
    }

    pub(super) fn need(&self) -> &Need {
        let (Self::ForAll(need) | Self::For(need, _)) = self;
        need
    }
}

/// Steps that break every circle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) steps: Vec<Step>,
    /// Fewer are not enough. Otherwise none of them can be left out, and that is all that is known.
    pub(super) is_smallest: bool,
}

/// The edges of each set of workloads that need each other.
pub(super) fn circles(edges: &BTreeSet<Edge>) -> Vec<BTreeSet<Edge>> {
    // What nobody needs can be part of none.
    let needed: BTreeSet<usize> = edges.iter().map(|edge| edge.to).collect();
    let edges: BTreeSet<&Edge> = edges.iter().filter(|it| needed.contains(&it.from)).collect();
    let mut next: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for edge in &edges {
        next.entry(edge.from).or_default().insert(edge.to);
    }
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        next.keys().map(|from| (*from, reachable(&next, *from))).collect();
    let reaches = |from: usize, to: usize| reached.get(&from).is_some_and(|it| it.contains(&to));
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for from in next.keys().copied() {
        if !reaches(from, from) || seen.contains(&from) {
            continue;
        }
        let members: BTreeSet<usize> =
            next.keys().copied().filter(|to| reaches(from, *to) && reaches(*to, from)).collect();
        seen.extend(members.iter().copied());
        let inside = |edge: &&Edge| members.contains(&edge.from) && members.contains(&edge.to);
        circles.push(edges.iter().copied().filter(inside).cloned().collect());
    }
    circles
}

/// Where one can get from a workload in one step or more.
fn reachable(next: &BTreeMap<usize, BTreeSet<usize>>, from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for to in next.get(&at).into_iter().flatten() {
            if reached.insert(*to) {
                open.push(*to);
            }
        }
    }
    reached
}

/// A shortest way around any circle; the first of equals. `None` when there is no circle.
pub(super) fn shortest_way(edges: &BTreeSet<Edge>) -> Option<Vec<Edge>> {
    let puzzle = Puzzle::of(edges);
    let way = puzzle.shortest_way()?;
    Some(way.into_iter().map(|idx| puzzle.edges[idx].clone()).collect())
}

/// As few steps as break every circle; of equally few those that cost least ([`Need`] is ordered so).
pub(super) fn smallest_cut(edges: &BTreeSet<Edge>) -> Cut {
    let mut puzzle = Puzzle::of(edges);
    let mut tries_left = TRIES_MAX;
    for count in puzzle.fewest_possible().. {
        match puzzle.try_cut(count, &mut tries_left) {
            Tried::Cut(steps) => return puzzle.cut(steps, true),
            Tried::NotEnough => {}
            Tried::TooMany => break,
        }
    }
    let steps = puzzle.small_cut();
    puzzle.cut(steps, false)
}

/// What a search came to; steps by position.
enum Tried {
    Cut(Vec<usize>),
    NotEnough,
    TooMany,
}

/// Edges, and the steps that do away with them.
struct Puzzle {
    edges: Vec<Edge>,
    /// For each edge the positions of its ends among all workloads named, and of its step.
    ends: Vec<(usize, usize)>,
    step_of: Vec<usize>,
    steps: Vec<Step>,
    /// Edges that lead away from each workload.
    away: Vec<Vec<usize>>,
    is_taken: Vec<bool>,
}

impl Puzzle {
    fn of(edges: &BTreeSet<Edge>) -> Self {
        let edges: Vec<Edge> = edges.iter().cloned().collect();
        let places: BTreeSet<usize> = edges.iter().flat_map(|it| [it.from, it.to]).collect();
        let places: Vec<usize> = places.into_iter().collect();
        let steps: BTreeSet<Step> = edges.iter().map(Step::against).collect();
        let steps: Vec<Step> = steps.into_iter().collect();
        let place = |at: usize| places.binary_search(&at).expect("it is the end of an edge");
        let ends: Vec<(usize, usize)> =
            edges.iter().map(|edge| (place(edge.from), place(edge.to))).collect();
        let step = |edge: &Edge| steps.binary_search(&Step::against(edge)).expect("each has one");
        let step_of = edges.iter().map(step).collect();
        let mut away = vec![Vec::new(); places.len()];
        for (idx, (from, _)) in ends.iter().enumerate() {
            away[*from].push(idx);
        }
        let is_taken = vec![false; steps.len()];
        Self { edges, ends, step_of, steps, away, is_taken }
    }

    fn cut(&self, mut steps: Vec<usize>, is_smallest: bool) -> Cut {
        steps.sort_unstable();
        Cut { steps: steps.into_iter().map(|idx| self.steps[idx].clone()).collect(), is_smallest }
    }

    /// A shortest way around any circle that is left.
    fn shortest_way(&self) -> Option<Vec<usize>> {
        let mut best: Option<Vec<usize>> = None;
        for start in 0..self.away.len() {
            let most = best.as_ref().map_or(usize::MAX, |best| best.len() - 1);
            best = self.way_around(start, most).or(best);
        }
        best
    }

    /// A shortest way from a workload back to it, of no more edges than that.
    fn way_around(&self, start: usize, most: usize) -> Option<Vec<usize>> {
        let mut came_by: Vec<Option<usize>> = vec![None; self.away.len()];
        let mut open = vec![start];
        let mut length = 0;
        while !open.is_empty() && came_by[start].is_none() && length < most {
            length += 1;
            let mut further = Vec::new();
            for idx in open.iter().flat_map(|at| &self.away[*at]).copied() {
                let to = self.ends[idx].1;
                if came_by[to].is_none() && !self.is_taken[self.step_of[idx]] {
                    came_by[to] = Some(idx);
                    further.push(to);
                }
            }
            open = further;
        }
        let mut way = vec![came_by[start]?];
        while let at = self.ends[way[way.len() - 1]].0
            && at != start
        {
            way.push(came_by[at].expect("it was come by"));
        }
        way.reverse();
        Some(way)
    }

    /// Steps of which each breaks this way, the cheapest first.
    fn steps_on(&self, way: &[usize]) -> BTreeSet<usize> {
        way.iter().map(|idx| self.step_of[*idx]).collect()
    }

    /// Circles that share no step need one each.
    fn fewest_possible(&mut self) -> usize {
        let before = self.is_taken.clone();
        let mut count = 0;
        while let Some(way) = self.shortest_way() {
            count += 1;
            for step in self.steps_on(&way) {
                self.is_taken[step] = true;
            }
        }
        self.is_taken = before;
        count
    }

    /// Every cut has a step on every circle: on a shortest one, each is tried.
    fn try_cut(&mut self, count: usize, tries_left: &mut u32) -> Tried {
        let Some(way) = self.shortest_way() else { return Tried::Cut(Vec::new()) };
        if count < self.fewest_possible() {
            return Tried::NotEnough;
        }
        for step in self.steps_on(&way) {
            let Some(left) = tries_left.checked_sub(1) else { return Tried::TooMany };
            *tries_left = left;
            self.is_taken[step] = true;
            let tried = self.try_cut(count - 1, tries_left);
            self.is_taken[step] = false;
            match tried {
                Tried::Cut(mut steps) => {
                    steps.push(step);
                    return Tried::Cut(steps);
                }
                Tried::NotEnough => {}
                Tried::TooMany => return Tried::TooMany,
            }
        }
        Tried::NotEnough
    }

    /// Steps of which none can be left out: the cheapest of each circle, and of these what is needed.
    fn small_cut(&mut self) -> Vec<usize> {
        let mut steps = Vec::new();
        while let Some(way) = self.shortest_way() {
            let step = self.steps_on(&way).pop_first().expect("a way has an edge");
            self.is_taken[step] = true;
            steps.push(step);
        }
        for idx in (0..steps.len()).rev() {
            self.is_taken[steps[idx]] = false;
            if self.shortest_way().is_none() {
                steps.remove(idx);
            } else {
                self.is_taken[steps[idx]] = true;
            }
        }
        self.is_taken.fill(false);
        steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Edges `from`, `to` and a number that says what for.
    fn edges(list: &[(usize, usize, usize)]) -> BTreeSet<Edge> {
        let edge = |(from, to, what): &(usize, usize, usize)| {
            let need = match what {
                0 => Need::Webhook(*to),
                1 => Need::Image("registry.example".to_owned()),
                2 => Need::Network,
                _ => Need::Made(*what),
            };
            Edge { from: *from, need, to: *to }
        };
        list.iter().map(edge).collect()
    }

    fn breaks_all(edges: &BTreeSet<Edge>, steps: &[Step]) -> bool {
        let is_left = |edge: &&Edge| !steps.iter().any(|step| step.breaks(edge));
        circles(&edges.iter().filter(is_left).cloned().collect()).is_empty()
    }

    /// The fewest, by trying every set of steps.
    fn fewest(edges: &BTreeSet<Edge>) -> usize {
        let steps: BTreeSet<Step> = edges.iter().map(Step::against).collect();
        let steps: Vec<Step> = steps.into_iter().collect();
        let sets = 0..1_u32 << steps.len();
        let chosen = |set: u32| {
            let of = steps.iter().enumerate().filter(move |(idx, _)| set & (1 << idx) != 0);
            of.map(|(_, step)| step.clone()).collect::<Vec<_>>()
        };
        let enough = sets.map(chosen).filter(|it| breaks_all(edges, it));
        enough.map(|it| it.len()).min().expect("all steps together are enough")
    }

    proptest! {
        #[test]
        fn no_smaller_set_of_steps_breaks_every_circle(
            list in vec((0..5_usize, 0..5_usize, 0..5_usize), 0..12),
        ) {
            let edges = edges(&list);
            let cut = smallest_cut(&edges);
            prop_assert!(breaks_all(&edges, &cut.steps));
            prop_assert!(cut.is_smallest);
            prop_assert_eq!(cut.steps.len(), fewest(&edges));
        }

        #[test]
        fn of_a_set_taken_for_want_of_a_better_one_nothing_can_be_left_out(
            list in vec((0..8_usize, 0..8_usize, 0..5_usize), 0..40),
        ) {
            let edges = edges(&list);
            let mut puzzle = Puzzle::of(&edges);
            let steps = puzzle.small_cut();
            let steps = puzzle.cut(steps, false).steps;
            prop_assert!(breaks_all(&edges, &steps));
            for idx in 0..steps.len() {
                let mut fewer = steps.clone();
                fewer.remove(idx);
                prop_assert!(!breaks_all(&edges, &fewer));
            }
        }

        #[test]
        fn a_way_around_is_a_circle_and_none_is_missed(
            list in vec((0..6_usize, 0..6_usize, 0..4_usize), 0..14),
        ) {
            let edges = edges(&list);
            let way = shortest_way(&edges);
            prop_assert_eq!(way.is_some(), !circles(&edges).is_empty());
            if let Some(way) = way {
                let next = way.iter().cycle().skip(1);
                prop_assert!(way.iter().zip(next).all(|(edge, next)| edge.to == next.from));
            }
        }
    }

    #[test]
    fn too_many_circles_still_have_a_cut() {
        // Each of forty needs each other one's image: all but one have to go without.
        let all = (0..40).flat_map(|from| (0..40).map(move |to| (from, to, 1)));
        let list: Vec<(usize, usize, usize)> = all.filter(|(from, to, _)| from != to).collect();
        let cut = smallest_cut(&edges(&list));
        assert_eq!((cut.steps.len(), cut.is_smallest), (39, false));
    }

    #[test]
    fn a_webhook_is_deleted_once_for_all_and_before_anything_else_is_done() {
        let all = edges(&[(0, 1, 0), (2, 1, 0), (1, 0, 2), (1, 2, 2), (1, 1, 1)]);
        let cut = smallest_cut(&all);
        let image = Need::Image("registry.example".to_owned());
        assert_eq!(cut.steps, [Step::ForAll(Need::Webhook(1)), Step::For(image, 1)]);
    }
}
