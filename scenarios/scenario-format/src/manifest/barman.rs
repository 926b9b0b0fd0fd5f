//! Backups of CloudNativePG: `ScheduledBackup`, `Cluster.spec.backup`, the plugin's `ObjectStore`, and
//! the class of volume snapshots that both it and Velero use.
//!
//! # Modelled
//! Base backups and snapshots by schedule, the archive of the write-ahead log with its parallel
//! uploads and the time after which a segment is closed, recovery windows, where they go, by bucket.
//! # Not modelled
//! `immediate` and single `Backup` objects; compression, tags, encryption by the store; `target`; the
//! order of `walStorage` and tablespaces; replica clusters that archive.
//! # Defaults and their sources
//! CloudNativePG 1.30 `docs/src/{backup,wal_archiving,backup_volumesnapshot}.md`: `archive_timeout`
//! 5 min, segments of 16 MB, one upload at a time, ten minutes for a snapshot; without
//! `retentionPolicy` nothing is deleted. A month is 31 days (barman `retention_policies.py`).

use model_api::SimSpan;
use model_api::backup::Schedule;

use super::Reader;
use super::schedule::backup_schedule;
use crate::source::Spanned;
use crate::units::{SPAN_MAX, span_of_millis};
use crate::yaml::Node;

const PLUGIN: &str = "barman-cloud.cloudnative-pg.io";

/// `postgresql.cnpg.io/v1 ScheduledBackup`.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledBackup {
    /// `namespace/name`.
    pub name: Spanned<String>,
    /// `namespace/name` of the cluster.
    pub cluster: Spanned<String>,
    /// `spec.schedule`; `None` when it is refused.
    pub schedule: Option<Spanned<Schedule>>,
    /// `spec.suspend`.
    pub is_paused: bool,
    /// `spec.method`.
    pub method: Spanned<BackupMethod>,
}

/// `spec.method` of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupMethod {
    /// By the operator, to `spec.backup.barmanObjectStore` of the cluster.
    BarmanObjectStore,
    /// Snapshots of volumes.
    VolumeSnapshot,
    /// By a plugin of the cluster.
    Plugin,
}

/// What a cluster says of its backups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterBackup {
    /// `namespace/name`.
    pub cluster: Spanned<String>,
    /// `spec.backup.barmanObjectStore`.
    pub native: Option<BarmanStore>,
    /// `namespace/name` of the `ObjectStore` that its plugin writes to.
    pub store: Option<Spanned<String>>,
    /// The plugin archives the write-ahead log.
    pub archives_by_plugin: bool,
    /// `spec.backup.volumeSnapshot.className`; empty for the default class.
    pub snapshot_class: Option<Spanned<String>>,
    /// `spec.backup.retentionPolicy`.
    pub retention: Option<Spanned<SimSpan>>,
    /// `spec.postgresql.parameters.archive_timeout`.
    pub archive_timeout: Option<Spanned<SimSpan>>,
    /// `spec.bootstrap.initdb.walSegmentSize`.
    pub segment_bytes: Option<Spanned<u64>>,
}

/// A place that barman writes to.
#[derive(Clone, Debug, PartialEq)]
pub struct BarmanStore {
    /// The bucket of `destinationPath`, as a place is called.
    pub bucket: Spanned<String>,
    /// `wal.maxParallel`.
    pub parallel: Option<Spanned<u32>>,
}

/// `barmancloud.cnpg.io/v1 ObjectStore`.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectStore {
    /// `namespace/name`.
    pub name: String,
    /// `spec.configuration`.
    pub store: BarmanStore,
    /// `spec.retentionPolicy`.
    pub retention: Option<Spanned<SimSpan>>,
}

/// `snapshot.storage.k8s.io/v1 VolumeSnapshotClass`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotClass {
    /// `metadata.name`.
    pub name: Spanned<String>,
    /// `driver`.
    pub driver: String,
    /// `parameters.type: backup` of Cinder: the snapshot is copied to an object store.
    pub is_moved: bool,
    /// The annotation that makes it the default of its driver.
    pub is_default: bool,
    /// The label by which Velero finds it.
    pub is_veleros: bool,
}

impl Reader<'_> {
    pub(crate) fn scheduled_backup(&mut self) -> ScheduledBackup {
        let cluster = self.spanned_text("spec.cluster.name").unwrap_or_else(|| {
            self.refuse("spec.cluster.name", "is missing");
            Spanned { value: String::new(), span: self.object.name_span }
        });
        let method = self.text("spec.method");
        let method = self.choice(
            "spec.method",
            method,
            BackupMethod::BarmanObjectStore,
            &[
                ("barmanObjectStore", BackupMethod::BarmanObjectStore),
                ("volumeSnapshot", BackupMethod::VolumeSnapshot),
                ("plugin", BackupMethod::Plugin),
            ],
        );
        let namespace = &self.object.key.namespace;
        ScheduledBackup {
            name: self.full_name(),
            cluster: cluster.map(|name| format!("{namespace}/{name}")),
            schedule: backup_schedule(self, "spec.schedule", 6),
            is_paused: self.boolean("spec.suspend", false),
            method: Spanned { value: method, span: self.object.value_span("spec.method") },
        }
    }

    /// What a Cluster says of its backups; `None` when it says nothing.
    pub(crate) fn cluster_backup(&mut self) -> Option<ClusterBackup> {
        let has = |path: &str| self.object.find(path).is_some_and(|node| !node.is_null());
        let snapshots = "spec.backup.volumeSnapshot";
        let has_snapshots = has(snapshots);
        let native = "spec.backup.barmanObjectStore";
        let native = if has(native) { self.barman_store(native) } else { None };
        let (store, archives_by_plugin) = self.barman_plugin().unzip();
        if !has_snapshots && native.is_none() && store.is_none() {
            return None;
        }
        if native.is_some() && archives_by_plugin == Some(true) {
            let message = "and `barmanObjectStore` must not both archive the log";
            self.refuse("spec.plugins", message);
        }
        let class = format!("{snapshots}.className");
        let default_class =
            || Spanned { value: String::new(), span: self.object.value_span(snapshots) };
        Some(ClusterBackup {
            cluster: self.full_name(),
            snapshot_class: has_snapshots
                .then(|| self.spanned_text(&class).unwrap_or_else(default_class)),
            native,
            store,
            archives_by_plugin: archives_by_plugin.unwrap_or(false),
            retention: self.retention_policy("spec.backup.retentionPolicy"),
            archive_timeout: self.postgres_time("spec.postgresql.parameters.archive_timeout"),
            segment_bytes: self.segment_bytes(),
        })
    }

    /// The `ObjectStore` that the plugin of a cluster writes to, and whether it archives the log.
    fn barman_plugin(&mut self) -> Option<(Spanned<String>, bool)> {
        let plugins = self.object.find("spec.plugins").and_then(Node::items)?;
        let is_barman =
            |plugin: &Node| plugin.get("name").and_then(Node::text).is_some_and(|it| it == PLUGIN);
        let idx = plugins.iter().position(is_barman)?;
        let path = format!("spec.plugins[{idx}]");
        if !self.boolean(&format!("{path}.enabled"), true) {
            return None;
        }
        let named = format!("{path}.parameters.barmanObjectName");
        let Some(name) = self.spanned_text(&named) else {
            self.refuse(&named, "is missing");
            return None;
        };
        let namespace = &self.object.key.namespace;
        let name = name.map(|name| format!("{namespace}/{name}"));
        Some((name, self.boolean(&format!("{path}.isWALArchiver"), false)))
    }

    pub(crate) fn object_store(&mut self) -> Option<ObjectStore> {
        Some(ObjectStore {
            name: self.full_name().value,
            store: self.barman_store("spec.configuration")?,
            retention: self.retention_policy("spec.retentionPolicy"),
        })
    }

    fn barman_store(&mut self, path: &str) -> Option<BarmanStore> {
        let destination = format!("{path}.destinationPath");
        let Some(given) = self.spanned_text(&destination) else {
            self.refuse(&destination, "is missing");
            return None;
        };
        let parallel = format!("{path}.wal.maxParallel");
        let is_stated = self.object.find(&parallel).is_some_and(|node| !node.is_null());
        let span = self.object.value_span(&parallel);
        Some(BarmanStore {
            bucket: Spanned { value: bucket_of(&given.value), span: given.span },
            parallel: is_stated.then(|| Spanned { value: self.integer(&parallel, 1).max(1), span }),
        })
    }

    /// `30d`, `4w` or `12m`.
    fn retention_policy(&mut self, path: &str) -> Option<Spanned<SimSpan>> {
        let text = self.spanned_text(path)?;
        let days = match text.value.chars().last() {
            Some('d') => 1,
            Some('w') => 7,
            Some('m') => 31,
            _ => 0,
        };
        let digits = text.value.trim_end_matches(['d', 'w', 'm']);
        let count: u64 = digits.parse().unwrap_or(0);
        if days == 0
            || count == 0
            || digits.starts_with('0')
            || digits.len() + 1 != text.value.len()
        {
            self.refuse(path, "must be a number of days, weeks or months such as 30d, 4w or 12m");
            return None;
        }
        let value = SimSpan::from_hours(
            count.saturating_mul(days).saturating_mul(24).min(SPAN_MAX.as_secs() / 3600),
        );
        Some(Spanned { value, span: text.span })
    }

    /// A time of a PostgreSQL parameter: `5min`, `300s`, or seconds without a unit.
    pub(super) fn postgres_time(&mut self, path: &str) -> Option<Spanned<SimSpan>> {
        self.postgres_time_in(path, 1000)
    }

    /// A time of a PostgreSQL parameter, in milliseconds of its own unit where none is written.
    pub(super) fn postgres_time_in(
        &mut self,
        path: &str,
        own_millis: u64,
    ) -> Option<Spanned<SimSpan>> {
        let text = self.spanned_text(path)?;
        let digits = text.value.trim_end_matches(|it: char| it.is_ascii_alphabetic() || it == ' ');
        let unit_millis = match text.value[digits.len()..].trim() {
            "" => own_millis,
            "ms" => 1,
            "s" => 1000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => 0,
        };
        match digits.parse::<u64>() {
            // Zero turns it off: a segment is closed when it is full.
            Ok(0) => Some(Spanned { value: SimSpan::ZERO, span: text.span }),
            Ok(count) if unit_millis > 0 => {
                let value = span_of_millis(count.saturating_mul(unit_millis));
                Some(Spanned { value, span: text.span })
            }
            _ => {
                self.refuse(path, "must be a time such as 5min");
                None
            }
        }
    }

    pub(super) fn segment_bytes(&mut self) -> Option<Spanned<u64>> {
        let path = "spec.bootstrap.initdb.walSegmentSize";
        let megabytes = u64::from(self.integer(path, 0));
        let span = self.object.value_span(path);
        (megabytes > 0).then_some(Spanned { value: megabytes << 20, span })
    }

    pub(crate) fn snapshot_class(&mut self) -> SnapshotClass {
        let marked = |kind: &str, key: &str| {
            let node = self.object.node.at(&["metadata", kind, key]);
            node.and_then(Node::text).is_some_and(|value| value == "true")
        };
        SnapshotClass {
            name: Spanned { value: self.object.key.name.clone(), span: self.object.name_span },
            driver: self.text("driver").unwrap_or_default().to_owned(),
            is_moved: self.text("parameters.type").is_some_and(|it| it == "backup"),
            is_default: marked("annotations", "snapshot.storage.kubernetes.io/is-default-class"),
            is_veleros: marked("labels", "velero.io/csi-volumesnapshot-class"),
        }
    }
}

/// The bucket of a destination path: what stands before the path in it.
///
/// Azure names the account in the host, `https://ACCOUNT.blob.core.windows.net/CONTAINER/path`.
fn bucket_of(destination: &str) -> String {
    let (scheme, rest) = destination.split_once("://").unwrap_or(("s3", destination));
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or_default();
    if matches!(scheme, "http" | "https") {
        return format!("azure://{}", parts.next().unwrap_or(first));
    }
    format!("{scheme}://{first}")
}

#[cfg(test)]
mod tests {
    use super::bucket_of;

    #[test]
    fn a_bucket_is_named_without_its_path() {
        let cases = [
            ("s3://backups/orders/", "s3://backups"),
            ("s3://backups", "s3://backups"),
            ("gs://backups/a/b", "gs://backups"),
            ("https://eidp.blob.core.windows.net/backups/orders", "azure://backups"),
        ];
        for (destination, expected) in cases {
            assert_eq!(bucket_of(destination), expected);
        }
    }
}
