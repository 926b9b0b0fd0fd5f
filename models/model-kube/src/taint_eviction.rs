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
use sim_kernel::SimSpan;

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
        let cases: [(&[Toleration], &[&Taint], Stay); 6] = [
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
            (&[tolerates("", Some(0))], &[&unreachable], Stay::For(SimSpan::ZERO)),
        ];
        for (tolerations, taints, expected) in cases {
            assert_eq!(stay(tolerations, taints.iter().copied()), expected);
        }
    }
}
