//! Which node group grows when several would help (`expander/*`).

use regex::Regex;

use model_api::kube::ResourceList;
use model_api::machines::{ExpanderKind, PriorityRank};

/// How an option is chosen.
#[derive(Clone, Debug)]
pub enum Expander {
    /// Any.
    Random,
    /// The option that takes most pods.
    MostPods,
    /// The option that leaves the least share of CPU and memory unused.
    LeastWaste,
    /// The option with the fewest new nodes.
    LeastNodes,
    /// The group whose name people ranked highest; without a valid ranking, any.
    Priority(Option<Priorities>),
}

impl Expander {
    /// As the flag names it.
    pub fn name(&self) -> &'static str {
        let kind = match self {
            Self::Random => ExpanderKind::Random,
            Self::MostPods => ExpanderKind::MostPods,
            Self::LeastWaste => ExpanderKind::LeastWaste,
            Self::LeastNodes => ExpanderKind::LeastNodes,
            Self::Priority(_) => ExpanderKind::Priority,
        };
        kind.name()
    }
}

impl PartialEq for Expander {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Random, Self::Random)
            | (Self::MostPods, Self::MostPods)
            | (Self::LeastWaste, Self::LeastWaste)
            | (Self::LeastNodes, Self::LeastNodes) => true,
            (Self::Priority(one), Self::Priority(other)) => one == other,
            _ => false,
        }
    }
}

/// What could be done: one node group grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpansionOption {
    /// The name of the group.
    pub group: String,
    /// How many nodes it would get.
    pub node_count: usize,
    /// `status.capacity` of its template node.
    pub capacity: ResourceList,
    /// How many pods they would take.
    pub pod_count: usize,
    /// What these pods' app containers request: millicores.
    pub requested_cpu_millis: i64,
    /// What these pods' app containers request: bytes.
    pub requested_memory_bytes: i64,
}

/// The ranking of the ConfigMap `cluster-autoscaler-priority-expander`.
#[derive(Clone, Debug, Default)]
pub struct Priorities {
    /// Rank and patterns, of which one must be found in the name.
    ranks: Vec<(i64, Vec<Regex>)>,
}

impl PartialEq for Priorities {
    fn eq(&self, other: &Self) -> bool {
        let texts = |of: &Self| -> Vec<(i64, Vec<String>)> {
            let ranks = of.ranks.iter();
            let text = |it: &Regex| it.as_str().to_owned();
            ranks.map(|(rank, patterns)| (*rank, patterns.iter().map(text).collect())).collect()
        };
        texts(self) == texts(other)
    }
}

/// A pattern of the ranking is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPriorities {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Priorities {
    /// A ranking from the entries of the ConfigMap's `priorities`.
    ///
    /// # Errors
    /// When a pattern is no regular expression: then upstream ignores the whole ranking.
    pub fn new(entries: &[PriorityRank]) -> Result<Self, InvalidPriorities> {
        let mut ranks = Vec::new();
        for PriorityRank { rank, patterns } in entries {
            let mut compiled = Vec::new();
            for pattern in patterns {
                compiled.push(Regex::new(pattern).map_err(|error| InvalidPriorities {
                    pattern: pattern.clone(),
                    reason: error.to_string(),
                })?);
            }
            ranks.push((*rank, compiled));
        }
        Ok(Self { ranks })
    }

    /// The highest rank of a name. Ranks below 0 never win.
    fn rank_of(&self, name: &str) -> Option<i64> {
        let matching = self
            .ranks
            .iter()
            .filter(|(_, patterns)| patterns.iter().any(|pattern| pattern.is_match(name)));
        matching.map(|(rank, _)| *rank).filter(|rank| *rank >= 0).max()
    }
}

/// What an expander leaves of the options, by position (`BestOptions` of each).
pub fn best_options(expander: &Expander, options: &[ExpansionOption]) -> Vec<usize> {
    let all = || (0..options.len()).collect();
    match expander {
        Expander::Random => all(),
        Expander::MostPods => {
            let most = options.iter().map(|option| option.pod_count).max();
            let is_best = |idx: &usize| Some(options[*idx].pod_count) == most;
            (0..options.len()).filter(is_best).collect()
        }
        Expander::LeastNodes => {
            let counts = options.iter().map(|option| option.node_count);
            let least = counts.filter(|count| *count > 0).min();
            let is_best = |idx: &usize| Some(options[*idx].node_count) == least;
            (0..options.len()).filter(is_best).collect()
        }
        Expander::LeastWaste => least_waste(options),
        Expander::Priority(None) => all(),
        Expander::Priority(Some(priorities)) => {
            let ranks: Vec<Option<i64>> =
                options.iter().map(|option| priorities.rank_of(&option.group)).collect();
            let Some(highest) = ranks.iter().copied().flatten().max() else { return all() };
            (0..options.len()).filter(|idx| ranks[*idx] == Some(highest)).collect()
        }
    }
}

/// `waste.go`: shares of the capacity of all new nodes that stay unused, CPU and memory added.
fn least_waste(options: &[ExpansionOption]) -> Vec<usize> {
    let mut best: Option<(f64, Vec<usize>)> = None;
    for (idx, option) in options.iter().enumerate() {
        let wasted = |amount: Option<i64>, requested: i64| {
            let available = amount.unwrap_or(0) * option.node_count as i64;
            (available - requested) as f64 / available as f64
        };
        let score = wasted(option.capacity.cpu_millis(), option.requested_cpu_millis)
            + wasted(option.capacity.memory_bytes(), option.requested_memory_bytes);
        match &mut best {
            Some((least, tied)) if score == *least => tied.push(idx),
            Some((least, _)) if score >= *least || score.is_nan() => {}
            _ => best = Some((score, vec![idx])),
        }
    }
    best.map_or_else(Vec::new, |(_, tied)| tied)
}

/// The option that is taken: each expander of the chain filters what the one before left; `draw`
/// decides among the rest (`factory/chain.go`). `None` without options.
pub fn choose(
    expanders: &[Expander],
    options: &[ExpansionOption],
    draw: impl FnOnce(usize) -> usize,
) -> Option<usize> {
    let mut left: Vec<usize> = (0..options.len()).collect();
    for expander in expanders {
        let remaining: Vec<ExpansionOption> =
            left.iter().map(|idx| options[*idx].clone()).collect();
        left = best_options(expander, &remaining).into_iter().map(|idx| left[idx]).collect();
        if left.len() == 1 {
            break;
        }
    }
    match left.as_slice() {
        [] => None,
        [only] => Some(*only),
        several => Some(several[draw(several.len())]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(group: &str, cpu: i64, node_count: usize) -> ExpansionOption {
        let capacity = [("cpu", cpu), ("memory", 1000)];
        ExpansionOption {
            group: group.to_owned(),
            node_count,
            capacity: ResourceList(capacity.map(|(name, it)| (name.to_owned(), it)).into()),
            pod_count: 1,
            requested_cpu_millis: 500,
            requested_memory_bytes: 100,
        }
    }

    fn names(expander: &Expander, options: &[ExpansionOption]) -> Vec<String> {
        best_options(expander, options).into_iter().map(|it| options[it].group.clone()).collect()
    }

    #[test]
    fn the_least_share_is_left_unused() {
        let options =
            [option("large", 16_000, 1), option("small", 1000, 1), option("two", 1000, 2)];
        assert_eq!(names(&Expander::LeastWaste, &options), ["small"]);
        assert_eq!(names(&Expander::LeastNodes, &options), ["large", "small"]);
        let chain = [Expander::LeastNodes, Expander::LeastWaste];
        assert_eq!(choose(&chain, &options, |_| unreachable!("one is left")), Some(1));
        assert_eq!(choose(&[Expander::Random], &options, |count| count - 1), Some(2));
        assert_eq!(choose(&chain, &[], |_| 0), None);
    }

    #[test]
    fn names_are_searched_for_patterns() {
        let options = [option("my-asg.t2.large", 1, 1), option("my-asg.m4.4xlarge", 1, 1)];
        let rank_of = |rank, it: &str| PriorityRank { rank, patterns: vec![it.to_owned()] };
        let of = |entries: &[(i64, &str)]| {
            let entries: Vec<_> = entries.iter().map(|(rank, it)| rank_of(*rank, it)).collect();
            Priorities::new(&entries)
        };
        let ranking = of(&[(5, "t2"), (10, r"m4\.4x")]).expect("both are patterns");
        assert_eq!(names(&Expander::Priority(Some(ranking)), &options), ["my-asg.m4.4xlarge"]);
        let strangers = of(&[(5, "c5")]).expect("a pattern");
        assert_eq!(names(&Expander::Priority(Some(strangers)), &options).len(), 2);
        assert_eq!(of(&[(1, "(")]).expect_err("not closed").pattern, "(");
    }
}
