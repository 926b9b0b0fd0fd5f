//! How long a pod stays on a node with `NoExecute` taints.
//!
//! # Modelled
//! Tolerations and their seconds, as the taint-eviction controller reads them.
//! # Not modelled
//! The eight workers of the controller: deletions are not limited upstream either.
//! # Defaults and their sources
//! `pkg/controller/tainteviction/taint_eviction.go`, Kubernetes 1.36; the 300 s that admission adds
//! are [`model_api::Parameters::default_toleration`].
//! # Invariants
//! More taints never make a pod stay longer.
//! # Checked against
//! `conformance/nodes-taint-eviction.yaml`; recorded evictions.

use model_api::kube::{Taint, TaintEffect, Toleration};
use sim_kernel::{SimSpan, SimTime};

/// Key of the taint on nodes that are silent.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Key of the taint on nodes that say they are not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Key of the taint on cordoned nodes.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";
/// Key of the taint that says a node is surely down.
pub const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

/// How long a pod stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stay {
    /// It is deleted now.
    Evicted,
    /// It is deleted after this time, unless the taints go first.
    For(SimSpan),
    /// It stays.
    ForEver,
}

/// How long a pod with these tolerations stays on a node with these taints
/// (`processPodOnNode`, `getMinTolerationTime`).
pub fn stay<'a>(tolerations: &[Toleration], taints: impl IntoIterator<Item = &'a Taint>) -> Stay {
    let mut stay = Stay::ForEver;
    let no_execute = |taint: &&Taint| taint.effect == TaintEffect::NoExecute;
    for taint in taints.into_iter().filter(no_execute) {
        let Some(first) = tolerations.iter().find(|toleration| toleration.tolerates(taint)) else {
            return Stay::Evicted;
        };
        // No time at all is a time: it does not hasten an eviction that waits already.
        if let Some(span) = first.toleration {
            stay = stay.min(Stay::For(span));
        }
    }
    stay
}

/// What becomes of the eviction of a pod when the pod or the taints of its node are seen anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    /// None waits from now on.
    Cancelled,
    /// The one that waits goes on waiting.
    Kept,
    /// One is due after this time, in place of the one that waits.
    SetIn(SimSpan),
}

/// Decides on the eviction of a pod that stays so long; one that waits was set at `set_at`.
///
/// A time that runs is neither lengthened nor shortened, unless it began at this very moment; an
/// eviction at once takes its place (`processPodOnNode`).
pub fn review(stay: Stay, set_at: Option<SimTime>, now: SimTime) -> Review {
    match stay {
        Stay::ForEver => Review::Cancelled,
        Stay::Evicted => Review::SetIn(SimSpan::ZERO),
        Stay::For(_) if set_at.is_some_and(|set_at| set_at < now) => Review::Kept,
        Stay::For(span) => Review::SetIn(span),
    }
}

/// A taint of that key and effect without a value.
pub fn taint(key: &str, effect: TaintEffect) -> Taint {
    Taint { key: key.to_owned(), value: String::new(), effect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model_api::kube::TolerationOperator;

    fn tolerates(key: &str, secs: Option<u64>) -> Toleration {
        Toleration {
            key: key.to_owned(),
            operator: TolerationOperator::Exists,
            value: String::new(),
            effect: Some(TaintEffect::NoExecute),
            toleration: secs.map(SimSpan::from_secs),
        }
    }

    #[test]
    fn the_first_matching_toleration_and_the_shortest_of_all_taints_decide() {
        let unreachable = taint(UNREACHABLE, TaintEffect::NoExecute);
        let other = taint("other", TaintEffect::NoExecute);
        let cases: [(&[Toleration], &[&Taint], Stay); 7] = [
            (&[], &[], Stay::ForEver),
            (&[], &[&unreachable], Stay::Evicted),
            (&[tolerates(UNREACHABLE, None)], &[&unreachable], Stay::ForEver),
            (
                &[tolerates("", Some(30)), tolerates(UNREACHABLE, None)],
                &[&unreachable],
                Stay::For(SimSpan::from_secs(30)),
            ),
            (
                &[tolerates(UNREACHABLE, Some(300)), tolerates("other", Some(5))],
                &[&unreachable, &other],
                Stay::For(SimSpan::from_secs(5)),
            ),
            (
                &[tolerates(UNREACHABLE, Some(300)), tolerates("other", Some(5))],
                &[&other, &unreachable],
                Stay::For(SimSpan::from_secs(5)),
            ),
            (&[tolerates("", Some(0))], &[&unreachable], Stay::For(SimSpan::ZERO)),
        ];
        for (tolerations, taints, expected) in cases {
            assert_eq!(stay(tolerations, taints.iter().copied()), expected);
        }
    }

    #[test]
    fn a_time_that_runs_is_kept_unless_it_began_just_now() {
        let secs = SimSpan::from_secs;
        let at = |secs: u64| Some(SimTime::from_secs(secs));
        let cases = [
            (Stay::For(secs(300)), None, Review::SetIn(secs(300))),
            (Stay::For(secs(5)), at(9), Review::Kept),
            (Stay::For(secs(5)), at(10), Review::SetIn(secs(5))),
            (Stay::Evicted, at(9), Review::SetIn(SimSpan::ZERO)),
            (Stay::ForEver, at(9), Review::Cancelled),
        ];
        for (stay, set_at, expected) in cases {
            assert_eq!(review(stay, set_at, SimTime::from_secs(10)), expected, "{stay:?}");
        }
    }
}
