//! API servers: how many requests they let through at once.
//!
//! # Defaults and their sources
//! `BuildPriorityAndFairness` of `kube-apiserver/app/options` and `ApplyTo` of
//! `apiserver/pkg/server/options/feature.go` (the two limits must add up to something), 1.36.

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::PlatformDocument;

/// Largest limit of requests in flight that a run works with.
const INFLIGHT_MAX: u32 = 1_000_000;

impl Resolver<'_> {
    /// What a platform says of requests in flight can be.
    pub(super) fn servers(&mut self, platform: &PlatformDocument) {
        let Some(stated) = &platform.spec.parameters else { return };
        let limits = [stated.max_requests_inflight, stated.max_mutating_requests_inflight];
        for limit in limits.into_iter().flatten() {
            if limit.value > INFLIGHT_MAX {
                let message = format!("at most {INFLIGHT_MAX} requests are in flight");
                self.report(Code::E0086, limit.span, message);
            }
        }
        let parameters = &self.blueprint.parameters;
        let is_shut = parameters.priority_and_fairness
            && parameters.max_requests_inflight == 0
            && parameters.max_mutating_requests_inflight == 0;
        if let Some(last) = limits.into_iter().flatten().next_back().filter(|_| is_shut) {
            let message = "an API server with priority and fairness needs a seat at least";
            let help = "with `priorityAndFairness: false` no limit is meant by 0";
            self.diagnostics.push(Diagnostic::new(Code::E0085, last.span, message).help(help));
        }
    }
}
