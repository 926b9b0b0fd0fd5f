//! What a node by itself is to a shape: the answers of the filters and scores that look at nothing
//! else, kept until the node changes.
//!
//! A pod that is placed changes one node, and pods that ask for the same ask each node again and
//! again, whatever else tells their templates apart. Nothing is decided here: what is kept is what [`Query`] and the scores answered.

use std::fmt;

use model_api::NodeId;

use super::attempt::Attempt;
use super::cache::SchedulerCache;
use super::filter::{Query, Rejection};
use super::score::LocalScorer;

/// Most answers that are kept, 24 bytes each. A cluster with more nodes times templates asks anew.
const ANSWERS_MAX: usize = 2_000_000;

/// Answers by shape (the first of those alike) and node. A clone starts empty: it is memory, not state.
#[derive(Default)]
pub(super) struct LocalAnswers {
    /// By node: how often it changed.
    versions: Vec<u32>,
    /// By shape, by node.
    by_shape: Vec<Vec<Kept>>,
    kept_count: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    /// The node's version plus one, so that 0 is no version.
    version: u32,
    answer: LocalAnswer,
}

/// A node's answer to a shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LocalAnswer {
    /// The first filter that refuses the node, of those that look at nothing else.
    pub(super) refused: Option<Rejection>,
    /// Weighted scores for resources.
    pub(super) score: i64,
    /// Taints that the shape dislikes.
    pub(super) disliked_count: u32,
}

impl LocalAnswers {
    /// A node changed.
    pub(super) fn forget_node(&mut self, node_idx: usize) {
        if let Some(version) = self.versions.get_mut(node_idx) {
            *version = version.wrapping_add(1);
            if *version == u32::MAX {
                self.forget();
            }
        }
    }

    /// Everything may have changed.
    pub(super) fn forget(&mut self) {
        if self.kept_count > 0 {
            *self = Self::default();
        }
    }

    /// The answers of all nodes to one shape, to be read and filled in; `None` when there are too
    /// many to keep.
    fn of_shape(&mut self, shape_idx: usize, node_count: usize) -> Option<(&[u32], &mut [Kept])> {
        if self.versions.len() < node_count {
            self.versions.resize(node_count, 0);
        }
        if self.by_shape.len() <= shape_idx {
            self.by_shape.resize_with(shape_idx + 1, Vec::new);
        }
        let kept = &mut self.by_shape[shape_idx];
        if kept.len() < node_count {
            if self.kept_count + node_count > ANSWERS_MAX {
                return None;
            }
            self.kept_count += node_count - kept.len();
            kept.resize(node_count, Kept::default());
        }
        Some((&self.versions, kept))
    }
}

impl Clone for LocalAnswers {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for LocalAnswers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalAnswers")
    }
}

/// The answers of nodes to one attempt.
pub(super) struct Asked<'a> {
    query: &'a Query<'a>,
    cache: &'a SchedulerCache,
    scorer: LocalScorer<'a>,
    kept: Option<(&'a [u32], &'a mut [Kept])>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        answers: &'a mut LocalAnswers,
        query: &'a Query<'a>,
        cache: &'a SchedulerCache,
        attempt: Attempt,
    ) -> Self {
        let kept = answers.of_shape(query.shape.alike_idx, cache.nodes.len());
        Self { query, cache, scorer: LocalScorer::new(cache, attempt), kept }
    }

    /// A node's answer, as it was or asked anew.
    #[inline]
    pub(super) fn answer(&mut self, node: NodeId) -> LocalAnswer {
        let idx = node.index();
        let Some((versions, kept)) = &mut self.kept else { return self.ask(node) };
        let version = versions[idx] + 1;
        if kept[idx].version == version {
            return kept[idx].answer;
        }
        let answer = self.ask(node);
        if let Some((_, kept)) = &mut self.kept {
            kept[idx] = Kept { version, answer };
        }
        answer
    }

    fn ask(&self, node: NodeId) -> LocalAnswer {
        match self.query.check_local(self.cache, node) {
            Err(rejection) => LocalAnswer { refused: Some(rejection), ..LocalAnswer::default() },
            Ok(()) => self.scorer.answer(node),
        }
    }
}
