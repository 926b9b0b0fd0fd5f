//! A start from nothing: what is left to start from, and what stands in its way.

use crate::ids::WorkloadId;

/// What is there when nothing runs and no node has an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartFrom {
    /// etcd has what it had: all objects are there, Secrets that operators made among them.
    #[default]
    Etcd,
    /// etcd is empty, and what is in the input is applied again: what operators made is made anew.
    Git,
}

impl StartFrom {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Etcd, Self::Git];

    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Git => "git",
        }
    }
}

/// Workloads that need each other, so that none of them starts by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartCircle {
    /// All of them.
    pub members: Vec<WorkloadId>,
    /// A shortest way around, in words.
    pub because: Vec<String>,
    /// As few steps by hand as break every circle among them.
    pub steps: Vec<String>,
    /// Fewer are not enough: all smaller sets were tried. Otherwise there were too many.
    pub is_smallest: bool,
}
