//! A start from nothing: what is left to start from, and what stands in its way.

use crate::ids::WorkloadId;

/// What is there when nothing runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StartFrom {
    /// The nodes are those that were, as after a power cut: etcd has their pods, which kubelets start
    /// again without anybody who creates them, and they have the images that they pulled.
    Nodes,
    /// The nodes are new, or all pods were evicted meanwhile: etcd has all other objects, Secrets that
    /// operators made among them; pods are created anew, and no node has an image.
    #[default]
    Etcd,
    /// The nodes are new and etcd is empty, and what is in the input is applied again: what operators
    /// made is made anew.
    Git,
}

impl StartFrom {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nodes, Self::Etcd, Self::Git];

    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Etcd => "etcd",
            Self::Git => "git",
        }
    }

    /// What is taken of the nodes and of etcd, to follow "to start".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Nodes => "on the nodes that they ran on",
            Self::Etcd => "on new nodes",
            Self::Git => "on new nodes with an empty etcd",
        }
    }

    /// Whether pods are created and images pulled: pods that etcd has are bound already, and admission is
    /// asked about a creation only (`docs/reference/access-authn-authz/extensible-admission-controllers.md`,
    /// Kubernetes 1.36).
    pub const fn has_new_nodes(self) -> bool {
        !matches!(self, Self::Nodes)
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
