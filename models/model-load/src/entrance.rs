//! What requests from outside meet before they reach a Service: a load balancer, and a gateway that
//! chooses pods itself.
//!
//! # Modelled
//! An address that nobody answers at: packets are lost, and a caller waits for its time-out. A balancer
//! that leads to nodes of which some are silent: a connection tries one node after the other, each as
//! long as a connection may take, until one accepts it or the balancer closes it. A balancer that leads
//! nowhere refuses.
//! A gateway tries the pods of its own list, which may be dead ones, each as long as a connection may
//! take; who waits for it may give up meanwhile. What it sends on reaches pods that answer.
//! # Not modelled
//! Gateways' own lists of Services that are divided by zone or by a canary: there they choose as proxies
//! do. Simplified: each request is a connection of its own, and each try meets a silent node with the same
//! probability, whichever the last one met. Connections whose callers gave up while the balancer
//! tried bring no request.
//! # Defaults and their sources
//! `LoadBalancer` of the vocabulary.
//! # Invariants
//! A Service without a balancer is reached by everybody at once.
//! # Checked against
//! Flows against single requests (`tests/it/agreement.rs`).

use model_api::gateway::{GatewayUpstream, LoadBalancer};
use sim_kernel::SimSpan;

/// What is before a Service now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entrance {
    /// Somebody answers at its address.
    pub is_answering: bool,
    /// Nodes that connections are led to.
    pub member_count: u32,
    /// Of these, nodes that do not answer.
    pub silent_count: u32,
}

/// What a gateway chooses from, of the pods of a Service behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Choice {
    /// Pods that answer.
    pub live_count: u32,
    /// Pods that do not, and let a connection wait.
    pub silent_count: u32,
}

impl Default for Choice {
    /// Nothing is in the way.
    fn default() -> Self {
        Self { live_count: 1, silent_count: 0 }
    }
}

impl Default for Entrance {
    /// Nothing is in the way.
    fn default() -> Self {
        Self { is_answering: true, member_count: 1, silent_count: 0 }
    }
}

/// How a balancer tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    pub(crate) try_count: u32,
    pub(crate) connect_timeout: SimSpan,
}

impl Door {
    pub(crate) fn of(balancer: &LoadBalancer) -> Self {
        Self { try_count: balancer.try_count.max(1), connect_timeout: balancer.connect_timeout }
    }

    /// How a gateway tries the pods of a Service.
    pub(crate) fn of_upstream(upstream: &GatewayUpstream) -> Self {
        Self {
            try_count: upstream.retries.saturating_add(1),
            connect_timeout: upstream.connect_timeout,
        }
    }

    /// What a request meets that a gateway sends on.
    pub(crate) fn choice(self, choice: Choice) -> Way {
        let Choice { live_count, silent_count } = choice;
        self.tries(live_count.saturating_add(silent_count), silent_count)
    }

    /// What a connection meets.
    pub(crate) fn way(self, entrance: Entrance) -> Way {
        let Entrance { is_answering, member_count, silent_count } = entrance;
        if is_answering { self.tries(member_count, silent_count) } else { Way::Silent }
    }

    /// Tries of so many, of which some are silent.
    fn tries(self, count: u32, silent_count: u32) -> Way {
        if count == 0 {
            return Way::Closed;
        }
        Way::Tries(Tries {
            miss: f64::from(silent_count) / f64::from(count),
            count: self.try_count,
            each: self.connect_timeout,
        })
    }
}

/// What a connection meets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// Nobody answers.
    Silent,
    /// It is refused at once.
    Closed,
    Tries(Tries),
}

/// Tries, one after the other, until one is not in vain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tries {
    /// Probability that a try is in vain.
    pub(crate) miss: f64,
    /// How many there are at most.
    pub(crate) count: u32,
    /// How long a try in vain takes.
    pub(crate) each: SimSpan,
}

impl Tries {
    /// How long so many of them take.
    pub(crate) fn span_of(self, count: u32) -> SimSpan {
        self.each.saturating_mul(u64::from(count))
    }
}
