//! Caches before calls, and the fault that empties them.

use model_api::fault::FaultKind;
use model_api::path::Cache;

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{CacheColdSpec, CacheSpec};

/// Where a cache is that each pod of the caller has for itself.
const IN_PODS: &str = "pods";

impl Resolver<'_> {
    /// The cache before a call that each request makes so many times.
    pub(super) fn cache(&mut self, spec: &CacheSpec, times: u32) -> Option<Cache> {
        if times > 1 {
            let message = format!("a call that is made {times} times has no cache before it");
            let help = "say how many calls a request makes in the mean that its cache does not answer: `times` without `cache`";
            self.diagnostics.push(Diagnostic::new(Code::E0160, spec.span, message).help(help));
            return None;
        }
        if spec.hits.value.ppm == 0 {
            self.report(Code::E0160, spec.hits.span, "a cache that answers nothing is none");
        }
        if spec.keys.value == 0 {
            self.report(Code::E0160, spec.keys.span, "a cache is of one thing at least");
        }
        let held_by = match &spec.r#in {
            Some(name) if name.value != IN_PODS => Some(self.service(name)?),
            _ => None,
        };
        let (hits_ppm, key_count) = (spec.hits.value.ppm, spec.keys.value.max(1));
        Some(Cache { hits_ppm, key_count, held_by })
    }

    /// Caches that a Service asks, or that its pods hold, lose what they have.
    pub(super) fn cache_cold(&mut self, spec: &CacheColdSpec) -> Option<FaultKind> {
        let service = self.service(&spec.service)?;
        let is_its = self.blueprint.profiles.iter().any(|profile| {
            let caches = profile.policies.iter().filter_map(|policy| policy.cache);
            let mut holders = caches.map(|cache| cache.held_by.unwrap_or(profile.service));
            holders.any(|holder| holder == service || profile.service == service)
        });
        if !is_its {
            let message = format!("`{}` asks no cache, and holds none", spec.service.value);
            let help = "state `cache` at a call of the Service, under `calls` of `services`";
            let place = spec.service.span;
            self.diagnostics.push(Diagnostic::new(Code::E0161, place, message).help(help));
            return None;
        }
        let share_ppm = spec.share.map_or(1_000_000, |it| it.value.ppm);
        Some(FaultKind::CacheCold { service, share_ppm })
    }
}
