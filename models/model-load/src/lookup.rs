//! How clients find the entrance that their requests come through.
//!
//! # Modelled
//! A name leads its clients to several entrances, a share of them to each; who learns of another address
//! does so over a stretch of time, evenly. Some do not find the name, and fail at once, or find an address
//! where nobody answers, and wait.
//! # Not modelled
//! The time that a look-up takes; connections that stay with an address that a name does not have any more.
//! # Defaults and their sources
//! `DnsName` of the vocabulary.
//! # Invariants
//! Clients that no name leads come as they would.
//! # Checked against
//! Flows against single requests (`tests/it/agreement.rs`).

use sim_kernel::{SimSpan, SimTime};

use crate::curve::{Factor, Side};

/// What the clients of a load know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// The share of the clients of its name that is led to its entrance.
    weight: Factor,
    /// The share of these that finds the name.
    found: Factor,
    /// Who does not is led to an address where nobody answers.
    pub(crate) is_silent: bool,
}

impl Default for Lookup {
    fn default() -> Self {
        Self { weight: Factor::ONE, found: Factor::ONE, is_silent: false }
    }
}

/// What the clients of a load get to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct News {
    /// In thousandths: the share of the clients of its name that is led to its entrance.
    pub weight_milli: u64,
    /// In thousandths: the share of these that finds the name.
    pub found_milli: u64,
    /// Who does not is led to an address where nobody answers.
    pub is_silent: bool,
    /// How long it takes until all of them know, evenly.
    pub within: SimSpan,
}

impl Lookup {
    pub(crate) fn hear(self, news: News, now: SimTime) -> Self {
        Self {
            weight: self.weight.ramp(now, news.weight_milli, news.within),
            found: self.found.ramp(now, news.found_milli, news.within),
            is_silent: news.is_silent,
        }
    }

    pub(crate) fn weight(&self, at: SimTime, side: Side) -> f64 {
        self.weight.value(at, side)
    }

    pub(crate) fn found(&self, at: SimTime, side: Side) -> f64 {
        self.found.value(at, side)
    }

    /// When they stop to learn, if they do now.
    pub(crate) fn next_knot(&self, after: SimTime) -> Option<SimTime> {
        self.weight.next_knot(after).into_iter().chain(self.found.next_knot(after)).min()
    }
}
