//! Poolers: W0194 to W0196.

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn poolers(&mut self) {
        for pooler in &self.manifests.poolers {
            let object = self.manifests.object(pooler);
            let (pooler, title) = (&pooler.value, object.title());
            let is_own = |name: &str, namespace: &str| {
                name == pooler.cluster && namespace == pooler.namespace
            };
            let clusters = &self.manifests.clusters;
            let found = clusters.iter().find(|it| is_own(&it.value.name, &it.value.namespace));
            if pooler.is_paused {
                let message = format!("{title} is paused: whoever asks it waits until it is not");
                self.warn(Code::W0195, object, "spec.pgbouncer.paused", message);
            }
            let Some(cluster) = found else {
                let message =
                    format!("{title}: there is no Cluster {} in its namespace", pooler.cluster);
                self.warn(Code::W0196, object, "spec.cluster.name", message);
                continue;
            };
            let wanted = u64::from(pooler.instances) * u64::from(pooler.pool_size);
            let sessions = u64::from(cluster.value.session_count);
            if wanted > sessions {
                let path = "spec.pgbouncer.parameters.default_pool_size";
                let message = format!(
                    "{title}: {} pods want {wanted} connections of {sessions} that PostgreSQL takes",
                    pooler.instances
                );
                let other = self.manifests.object(cluster);
                let related = other.span("spec.postgresql.parameters.max_connections");
                self.push(
                    object,
                    Diagnostic::new(Code::W0194, object.span(path), message)
                        .related(related, "taken here"),
                );
            }
        }
    }
}
