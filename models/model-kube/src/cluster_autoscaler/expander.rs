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

    /// The highest rank of a name, and the pattern that was found in it. Ranks below 0 never win.
    fn rank_of(&self, name: &str) -> Option<(i64, &str)> {
        let ranks = self.ranks.iter().filter(|(rank, _)| *rank >= 0);
        let found = ranks.filter_map(|(rank, patterns)| {
            let pattern = patterns.iter().find(|pattern| pattern.is_match(name))?;
            Some((*rank, pattern.as_str()))
        });
        found.max_by_key(|(rank, _)| *rank)
    }
}

/// What an expander goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank<'a> {
    /// To it all options are the same.
    Any,
    /// How many pods the option takes: most win.
    Pods(usize),
    /// How many nodes it needs: fewest win, none at all never does.
    Nodes(usize),
    /// Which shares of the CPU and memory of its nodes stay unused: the smallest sum wins.
    Waste {
        /// Of the CPU of all its nodes.
        cpu: f64,
        /// Of their memory.
        memory: f64,
    },
    /// The rank of its name and the pattern that gave it: the highest wins.
    Priority {
        /// The rank.
        rank: i64,
        /// The pattern that was found in the name.
        pattern: &'a str,
    },
    /// Its name has no rank: any rank wins over it.
    Unranked,
}

impl Expander {
    /// How it ranks an option.
    pub fn rank(&self, option: &ExpansionOption) -> Rank<'_> {
        match self {
            Self::Random | Self::Priority(None) => Rank::Any,
            Self::MostPods => Rank::Pods(option.pod_count),
            Self::LeastNodes => Rank::Nodes(option.node_count),
            Self::LeastWaste => waste(option),
            Self::Priority(Some(priorities)) => match priorities.rank_of(&option.group) {
                Some((rank, pattern)) => Rank::Priority { rank, pattern },
                None => Rank::Unranked,
            },
        }
    }
}

/// `waste.go`: shares of the capacity of all new nodes that stay unused.
fn waste(option: &ExpansionOption) -> Rank<'static> {
    let wasted = |amount: Option<i64>, requested: i64| {
        let available = amount.unwrap_or(0) * option.node_count as i64;
        (available - requested) as f64 / available as f64
    };
    Rank::Waste {
        cpu: wasted(option.capacity.cpu_millis(), option.requested_cpu_millis),
        memory: wasted(option.capacity.memory_bytes(), option.requested_memory_bytes),
    }
}

/// What an expander leaves of the options, by position (`BestOptions` of each).
fn best_options(expander: &Expander, options: &[ExpansionOption]) -> Vec<usize> {
    // The better, the smaller; the first of all is compared with nothing.
    let mut best: Option<(f64, i64)> = None;
    let mut left = Vec::new();
    for (idx, option) in options.iter().enumerate() {
        let score = match expander.rank(option) {
            Rank::Nodes(0) => continue,
            Rank::Any => (0.0, 0),
            Rank::Pods(count) => (-(count as f64), 0),
            Rank::Nodes(count) => (count as f64, 0),
            Rank::Waste { cpu, memory } => (cpu + memory, 0),
            Rank::Priority { rank, .. } => (0.0, -rank),
            Rank::Unranked => (f64::INFINITY, 0),
        };
        match best {
            Some(least) if score == least => left.push(idx),
            Some(least) if score >= least || score.0.is_nan() => {}
            _ => {
                best = Some(score);
                left = vec![idx];
            }
        }
    }
    left
}

/// Which options each expander of a chain leaves of those that the one before left, by position. The
/// chain ends early where a single one is left (`factory/chain.go`).
pub fn narrowed(expanders: &[Expander], options: &[ExpansionOption]) -> Vec<Vec<usize>> {
    let mut steps: Vec<Vec<usize>> = Vec::new();
    let mut left: Vec<usize> = (0..options.len()).collect();
    for expander in expanders {
        let remaining: Vec<ExpansionOption> =
            left.iter().map(|idx| options[*idx].clone()).collect();
        left = best_options(expander, &remaining).into_iter().map(|idx| left[idx]).collect();
        steps.push(left.clone());
        if left.len() == 1 {
            break;
        }
    }
    steps
}

/// The option that is taken: of those that the chain of expanders leaves, `draw` decides. `None`
/// without options.
pub fn choose(
    expanders: &[Expander],
    options: &[ExpansionOption],
    draw: impl FnOnce(usize) -> usize,
) -> Option<usize> {
    let all = || (0..options.len()).collect();
    let left: Vec<usize> = narrowed(expanders, options).pop().unwrap_or_else(all);
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
        assert_eq!(narrowed(&chain, &options), [vec![0, 1], vec![1]]);
        let Rank::Waste { cpu, memory } = Expander::LeastWaste.rank(&options[2]) else {
            panic!("it ranks by waste");
        };
        assert_eq!((cpu, memory), (0.75, 0.95));
        // The chain ends where one is left, whatever the next would say of it.
        let nothing = [option("none", 1000, 0)];
        assert_eq!(narrowed(&[Expander::LeastNodes], &nothing), [vec![]]);
        assert_eq!(choose(&[Expander::Random, Expander::LeastNodes], &nothing, |_| 0), Some(0));
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
        let expander = Expander::Priority(Some(ranking));
        assert_eq!(names(&expander, &options), ["my-asg.m4.4xlarge"]);
        assert_eq!(expander.rank(&options[0]), Rank::Priority { rank: 5, pattern: "t2" });
        let below = of(&[(-5, "t2"), (i64::MAX, "m4")]).expect("both are patterns");
        let below = Expander::Priority(Some(below));
        assert_eq!(below.rank(&options[0]), Rank::Unranked);
        assert_eq!(names(&below, &options), ["my-asg.m4.4xlarge"]);
        let strangers = of(&[(5, "c5")]).expect("a pattern");
        assert_eq!(names(&Expander::Priority(Some(strangers)), &options).len(), 2);
        assert_eq!(of(&[(1, "(")]).expect_err("not closed").pattern, "(");
    }
}
