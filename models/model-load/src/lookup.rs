//! How clients find the entrance that their requests come through.
//!
//! # Modelled
//! A name leads its clients to several entrances, a share of them to each; who learns of another address
//! does so over a stretch of time, evenly. Some do not find the name, and fail at once, or find an address
//! where nobody answers, and wait.
//!
//! Services that look up whom they call wait for it, unless somebody on the way kept the answer: there is
//! one who keeps answers for each pod that calls, and whoever asks while the first question is under way
//! waits for one of his own.
//! # Not modelled
//! The time that a look-up takes from outside; connections that stay with an address that a name does not have
//! any more; what questions cost those who answer them; pods that share who keeps answers on their node.
//! # Defaults and their sources
//! `DnsName` of the vocabulary.
//! # Invariants
//! Clients that no name leads come as they would.
//! # Checked against
//! Flows against single requests (`tests/it/agreement.rs`).

use model_api::dns::ClusterDns;
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

/// How Services look up those that they call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Resolvers {
    /// The share of the calls that need it.
    pub(crate) connecting: f64,
    /// How long answers are kept.
    pub(crate) kept_for: SimSpan,
    /// How long one waits who gets no answer.
    pub(crate) gives_up_after: SimSpan,
}

impl Resolvers {
    pub(crate) fn of(dns: &ClusterDns) -> Self {
        Self {
            connecting: f64::from(dns.connecting_ppm.min(1_000_000)) / 1e6,
            kept_for: dns.kept_for,
            gives_up_after: dns.gives_up_after,
        }
    }

    /// Of the calls of which so many a second are made by pods that keep answers together, the share that
    /// waits for a look-up which takes so long.
    pub(crate) fn waiting_share(&self, rate: f64, takes: SimSpan) -> f64 {
        let rate = rate * self.connecting;
        // The first question, and those that come until it is answered; then none while that is kept.
        let asking = 1.0 + rate * takes.as_secs_f64();
        self.connecting * asking / (asking + rate * self.kept_for.as_secs_f64())
    }
}

/// Somebody who keeps the answer to a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    answered_at: SimTime,
    until: SimTime,
}

impl Kept {
    /// Whether one who needs the answer now has to wait for it, because it is not kept.
    pub(crate) fn asks(&mut self, now: SimTime, takes: SimSpan, kept_for: SimSpan) -> bool {
        if now >= self.until {
            self.answered_at = now.saturating_add(takes);
            self.until = self.answered_at.saturating_add(kept_for);
        }
        now < self.answered_at
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
