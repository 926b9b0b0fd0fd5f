//! Databases: W0119, W0120.

use model_api::blueprint::DatabaseManager;

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};

impl Lint<'_> {
    pub(super) fn databases(&mut self) {
        for cluster in &self.manifests.clusters {
            let object = self.manifests.object(cluster);
            let cluster = &cluster.value;
            if cluster.instances == 1 {
                let message = format!("{} has no standby", object.title());
                let path = match cluster.manager {
                    DatabaseManager::CloudNativePg => "spec.instances",
                    DatabaseManager::Patroni(_) => "spec.numberOfInstances",
                };
                self.warn(Code::W0120, object, path, message);
            }
            let Some(synchronous) = cluster.synchronous else { continue };
            let wanted = synchronous.number + 2;
            if synchronous.is_required && cluster.instances < wanted {
                let message = format!(
                    "{}: losing one of {} instances stops all writes, because {} must confirm each",
                    object.title(),
                    cluster.instances,
                    synchronous.number
                );
                let span = object.span("spec.instances");
                let other = object.span("spec.postgresql.synchronous");
                self.push(
                    object,
                    Diagnostic::new(Code::W0119, span, message)
                        .related(other, "asked for here")
                        .help(format!("run {wanted} instances")),
                );
            }
        }
    }
}
