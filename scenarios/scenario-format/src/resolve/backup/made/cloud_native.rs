//! What CloudNativePG copies.

use model_api::SimSpan;
use model_api::backup::Method;
use model_api::kube::WorkloadKind;

use super::{MadePolicy, Maker, REGIONAL_SNAPSHOTS, due, nothing};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{ArchiveSpec, BackupPolicySpec};
use crate::manifest::{BackupMethod, ClusterBackup, ScheduledBackup, SnapshotClass};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};
use crate::units::Bytes;

/// `retentionPolicy` is left out: nothing is deleted.
const FOR_EVER: SimSpan = SimSpan::from_days(36_525);
/// `backup.cnpg.io/volumeSnapshotDeadline`.
const SNAPSHOT_DEADLINE: SimSpan = SimSpan::from_mins(10);

/// What the plugin of a cluster writes to.
struct PluginStore {
    place: Spanned<String>,
    retention: Option<Spanned<SimSpan>>,
    /// Uploads of the log at the same time.
    parallel: Option<Spanned<u32>>,
}

/// Whether base backups are made that no log leads on from.
fn lacks_log(scheduled: &ScheduledBackup, cluster: &ClusterBackup) -> bool {
    scheduled.method.value == BackupMethod::Plugin
        && scheduled.schedule.is_some()
        && cluster.store.is_some()
        && cluster.native.is_none()
        && !cluster.archives_by_plugin
}

impl<'a> Maker<'a> {
    pub(super) fn cloud_native(&mut self) {
        let backups = &self.manifests.backups;
        for cluster in &backups.clusters {
            self.archive(cluster);
        }
        for scheduled in &backups.scheduled {
            let known: Vec<&str> = self.databases.iter().map(String::as_str).collect();
            if !known.contains(&scheduled.cluster.value.as_str()) {
                let name = &scheduled.cluster;
                let message =
                    format!("{}: there is no Cluster `{}`", scheduled.name.value, name.value);
                let diagnostic = Diagnostic::new(Code::W0161, name.span, message);
                self.diagnostics.push(diagnostic.help_if(suggestion(&name.value, known)));
                continue;
            }
            let cluster =
                backups.clusters.iter().find(|it| it.cluster.value == scheduled.cluster.value);
            if cluster.is_some_and(|cluster| lacks_log(scheduled, cluster)) {
                self.no_log(scheduled);
                continue;
            }
            let policy = cluster.and_then(|cluster| self.scheduled(scheduled, cluster));
            match policy {
                Some(spec) => {
                    let maker = scheduled.name.value.clone();
                    self.out.policies.push(MadePolicy { maker, spec });
                }
                None if scheduled.schedule.is_some() => self.no_target(scheduled),
                None => {}
            }
        }
    }

    /// The operator fails every backup whose cluster has nothing for its method.
    fn no_target(&mut self, scheduled: &ScheduledBackup) {
        let (field, help) = match scheduled.method.value {
            BackupMethod::BarmanObjectStore => {
                ("spec.backup.barmanObjectStore", "this is the default of `method`")
            }
            BackupMethod::VolumeSnapshot => ("spec.backup.volumeSnapshot", "add it, `{}` will do"),
            BackupMethod::Plugin => {
                ("plugin barman-cloud.cloudnative-pg.io", "no other plugin is known")
            }
        };
        let message = format!(
            "{}: Cluster {} has no {field}, so that every backup fails",
            scheduled.name.value, scheduled.cluster.value
        );
        let diagnostic = Diagnostic::new(Code::W0161, scheduled.method.span, message).help(help);
        self.diagnostics.push(diagnostic);
    }

    /// What was written while a base backup was made is not in it: it does not start without the log of that
    /// time, which nobody stores (`docs/src/backup.md` of CloudNativePG 1.30: WAL archiving is required).
    fn no_log(&mut self, scheduled: &ScheduledBackup) {
        let message = format!(
            "{}: the plugin of Cluster {} archives no log, so that nothing restores from its base backups",
            scheduled.name.value, scheduled.cluster.value
        );
        let help = "set `isWALArchiver: true` for the plugin in the Cluster";
        let diagnostic = Diagnostic::new(Code::W0415, scheduled.method.span, message).help(help);
        self.diagnostics.push(diagnostic);
    }

    fn scheduled(
        &mut self,
        scheduled: &ScheduledBackup,
        cluster: &ClusterBackup,
    ) -> Option<BackupPolicySpec> {
        let schedule = scheduled.schedule.clone()?;
        let at = scheduled.name.span;
        let by_method = |method| Some(Spanned { value: method, span: scheduled.method.span });
        let common = BackupPolicySpec {
            of: Some(scheduled.cluster.clone()),
            schedule: Some(due(schedule)),
            paused: scheduled.is_paused.then_some(true),
            window: Some(Spanned { value: FOR_EVER, span: at }),
            ..nothing(&scheduled.name)
        };
        match scheduled.method.value {
            BackupMethod::BarmanObjectStore => {
                let store = cluster.native.as_ref()?;
                Some(BackupPolicySpec {
                    method: by_method(Method::Base),
                    to: Some(self.place(&store.bucket)),
                    window: cluster.retention.or(common.window),
                    ..common
                })
            }
            BackupMethod::Plugin => {
                let store = self.plugin_store(cluster)?;
                Some(BackupPolicySpec {
                    method: by_method(Method::Base),
                    to: Some(store.place),
                    window: store.retention.or(common.window),
                    ..common
                })
            }
            BackupMethod::VolumeSnapshot => {
                let named = cluster.snapshot_class.as_ref()?;
                let class = self.class_of_cluster(named, &scheduled.cluster.value);
                let is_failing = self.lacks_class(scheduled, named, class);
                // With an archive its log leads on from a snapshot as from a base backup.
                let is_archived = cluster.native.is_some() || cluster.archives_by_plugin;
                let method = if is_archived { Method::Base } else { Method::Snapshot };
                Some(BackupPolicySpec {
                    method: by_method(method),
                    to: Some(self.class_place(class, &scheduled.cluster, named.span)),
                    paused: common.paused.or(is_failing.then_some(true)),
                    moves: Some(Spanned { value: Bytes { count: 0 }, span: at }),
                    timeout: Some(Spanned { value: SNAPSHOT_DEADLINE, span: at }),
                    ..common
                })
            }
        }
    }

    /// What the plugin of a cluster writes to; `None` when it has no such plugin.
    fn plugin_store(&mut self, cluster: &ClusterBackup) -> Option<PluginStore> {
        let name = cluster.store.as_ref()?;
        let found = self.manifests.backups.stores.iter().find(|store| store.name == name.value);
        match found {
            Some(store) => {
                let place = self.place(&store.store.bucket);
                let parallel = store.store.parallel;
                Some(PluginStore { place, retention: store.retention, parallel })
            }
            None => {
                let is_new = !self.out.places.iter().any(|it| it.name.value == name.value);
                if is_new && super::named_is_missing(self.stated, &name.value) {
                    let message = format!(
                        "{}: there is no ObjectStore `{}`",
                        cluster.cluster.value, name.value
                    );
                    self.diagnostics.push(Diagnostic::new(Code::W0161, name.span, message));
                }
                Some(PluginStore { place: self.place(name), retention: None, parallel: None })
            }
        }
    }

    /// The class of snapshots of a cluster: the one that is named, else the default of the driver of its
    /// volumes, if that has just one (`SetDefaultSnapshotClass` of external-snapshotter 8,
    /// `pkg/common-controller/snapshot_controller.go`).
    fn class_of_cluster(
        &self,
        class: &Spanned<String>,
        cluster: &str,
    ) -> Option<&'a SnapshotClass> {
        let classes = &self.manifests.backups.snapshot_classes;
        if !class.value.is_empty() {
            return classes.iter().find(|it| it.name.value == class.value);
        }
        let mut workloads = self.manifests.workloads.iter().map(|it| &it.value).filter(|it| {
            it.kind == WorkloadKind::DatabaseInstances
                && format!("{}/{}", it.namespace, it.name) == cluster
        });
        let driver = workloads.next().map(|it| self.provisioner_of(it)).unwrap_or_default();
        let is_its = |it: &&SnapshotClass| driver.is_empty() || it.driver == driver;
        let mut defaults = classes.iter().filter(|it| it.is_default).filter(is_its);
        defaults.next().filter(|_| defaults.next().is_none())
    }

    /// Whether the input has classes of snapshots and none for a cluster: where it has none at all, nothing is
    /// known of them.
    fn lacks_class(
        &mut self,
        scheduled: &ScheduledBackup,
        class: &Spanned<String>,
        found: Option<&SnapshotClass>,
    ) -> bool {
        let classes = &self.manifests.backups.snapshot_classes;
        if found.is_some() || classes.is_empty() {
            return false;
        }
        let what = match class.value.as_str() {
            "" => "no VolumeSnapshotClass is the one default of its driver".to_owned(),
            name => format!("there is no VolumeSnapshotClass `{name}`"),
        };
        let message = format!("{}: {what}, so that every backup fails", scheduled.name.value);
        let known = classes.iter().map(|it| it.name.value.as_str());
        let help = suggestion(&class.value, known);
        let diagnostic = Diagnostic::new(Code::W0434, class.span, message).help_if(help);
        self.diagnostics.push(diagnostic);
        true
    }

    /// Where snapshots of a class stay.
    fn class_place(
        &mut self,
        class: Option<&SnapshotClass>,
        set: &Spanned<String>,
        at: Span,
    ) -> Spanned<String> {
        if let Some(moved) = class.filter(|it| it.is_moved) {
            return self.place(&moved.name.clone().map(|it| format!("VolumeSnapshotClass/{it}")));
        }
        let driver = class.map(|it| it.driver.clone()).unwrap_or_default();
        let is_regional = REGIONAL_SNAPSHOTS.contains(&driver.as_str());
        self.snapshots_of(&driver, is_regional, set, at)
    }

    fn archive(&mut self, cluster: &ClusterBackup) {
        let (to, parallel) = match &cluster.native {
            Some(store) => (self.place(&store.bucket), store.parallel),
            None if cluster.archives_by_plugin => match self.plugin_store(cluster) {
                Some(store) => (store.place, store.parallel),
                None => return,
            },
            None => return,
        };
        let span: Span = cluster.cluster.span;
        let bytes = |it: Spanned<u64>| it.map(|count| Bytes { count });
        self.out.archives.push(ArchiveSpec {
            of: cluster.cluster.clone(),
            to,
            copies: Vec::new(),
            key: None,
            segment: cluster.segment_bytes.map(bytes),
            timeout: cluster.archive_timeout,
            overhead: None,
            parallel,
            span,
        });
    }
}
