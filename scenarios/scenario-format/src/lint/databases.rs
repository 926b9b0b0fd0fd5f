//! Databases: W0119, W0120, W0190 to W0193, W0221.

use model_api::blueprint::{CommitWait, DatabaseManager};

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Cluster, Object};

impl Lint<'_> {
    pub(super) fn databases(&mut self) {
        for (idx, cluster) in self.manifests.clusters.iter().enumerate() {
            let object = self.manifests.object(cluster);
            let cluster = &cluster.value;
            if cluster.instances == 1 {
                let message = format!("{} has no standby", object.title());
                let path = match cluster.manager {
                    DatabaseManager::CloudNativePg => "spec.instances",
                    DatabaseManager::Patroni(_) => "spec.numberOfInstances",
                };
                self.warn(Code::W0120, object, path, message);
                if cluster.has_budgets {
                    let message =
                        format!("{}: drains wait for its only instance for ever", object.title());
                    self.warn(Code::W0192, object, "spec.enablePDB", message);
                }
            }
            self.switched_off(object);
            self.log_volume(object, cluster, idx);
            self.commits_unsafe(object, cluster);
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

    /// Sessions that hear of a commit before it is as safe as the cluster says.
    fn commits_unsafe(&mut self, object: &Object, cluster: &Cluster) {
        let asks = match cluster.manager {
            DatabaseManager::CloudNativePg => cluster.synchronous.is_some(),
            DatabaseManager::Patroni(settings) => settings.is_synchronous,
        };
        let title = object.title();
        let standbys = if asks { ", and for no standby, although it asks for one" } else { "" };
        let message = match cluster.commit_wait {
            CommitWait::Nothing { unwritten } => format!(
                "{title}: commits wait for no disk{standbys}: a crash loses up to {} ms of what was acknowledged",
                unwritten.as_millis()
            ),
            CommitWait::Disk if asks => {
                format!("{title}: commits wait for no standby, although it asks for one")
            }
            CommitWait::Disk | CommitWait::Standbys => return,
        };
        let path = "spec.postgresql.parameters.synchronous_commit";
        self.warn(Code::W0221, object, path, message);
    }

    /// Annotations by which people switch a cluster of CloudNativePG, or its operator, off.
    fn switched_off(&mut self, object: &Object) {
        const SWITCHES: [(&str, &str); 3] = [
            ("cnpg.io/fencedInstances", "has fenced instances: they are off in every run"),
            ("cnpg.io/hibernation", "is hibernated: nobody can write to it in any run"),
            (
                "cnpg.io/reconciliationLoop",
                "is left alone by its operator: nobody fails it over in any run",
            ),
        ];
        for (annotation, what) in SWITCHES {
            let given = object.node.at(&["metadata", "annotations", annotation]);
            let Some(given) =
                given.filter(|it| !matches!(it.text(), Some("off" | "enabled" | "[]")))
            else {
                continue;
            };
            let message = format!("{} {what}", object.title());
            self.push(object, Diagnostic::new(Code::W0193, given.span, message));
        }
    }

    /// Compares what may be kept with what data leave free.
    fn log_volume(&mut self, object: &Object, cluster: &Cluster, idx: usize) {
        let Some(log) = &cluster.log else { return };
        let wal = self.blueprint.databases.get(idx).and_then(|database| database.wal);
        let free_bytes = log.size_bytes.saturating_sub(wal.map_or(0, |wal| wal.data_bytes));
        let least = log.ordinary_bytes.max(log.least_bytes);
        let title = object.title();
        let free = free_bytes >> 20;
        if free_bytes <= least {
            let least = least >> 20;
            let message = format!("{title}: {free} MiB for a log that may take {least} MiB");
            self.warn(Code::W0191, object, log.size_field, message);
        } else if let Some(kept) = log.kept_bytes.filter(|kept| *kept >= free_bytes) {
            let kept = kept >> 20;
            let message = format!(
                "{title}: {kept} MiB are kept for a standby that is away, where {free} MiB are free"
            );
            let path = "spec.postgresql.parameters.max_slot_wal_keep_size";
            self.warn(Code::W0190, object, path, message);
        }
    }
}
