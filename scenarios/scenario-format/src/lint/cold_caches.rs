//! Caches without which a Service is overloaded: W0411.

use super::Lint;
use super::storms::Caches;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn cold_caches(&mut self) {
        let profiles = self.blueprint.profiles.iter();
        let has_cache = |policy: &model_api::path::CallPolicy| policy.cache.is_some();
        if !profiles.flat_map(|profile| &profile.policies).any(has_cache) {
            return;
        }
        let (full, cold) = (self.asked(Caches::Full), self.asked(Caches::Cold));
        for (service, object) in self.services() {
            let Some(id) = self.id_of(service) else { continue };
            let (full, cold) = (full[id.index()].first, cold[id.index()].first);
            let Some(workers) = self.workers_of(id) else { continue };
            if full >= workers.capacity || cold <= workers.capacity {
                continue;
            }
            let message = format!(
                "{}: {full:.0} requests a second come to it while caches before it are full, and {cold:.0} while they are cold; its pods do {:.0}",
                object.title(),
                workers.capacity,
            );
            let diagnostic = Diagnostic::new(Code::W0411, object.span("metadata.name"), message);
            let help = "see whether it comes back: play a `cacheCold` or the loss of a zone; let callers give up soon and it refuse what it cannot do in time (`queueLimit`), or share the cache (`in`)";
            self.push(object, diagnostic.help(help));
        }
    }
}
