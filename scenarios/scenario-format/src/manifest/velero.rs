//! Velero: `Schedule`, `BackupStorageLocation`, `VolumeSnapshotLocation`, and the flags of its server.
//!
//! # Modelled
//! Which namespaces and pods a schedule names, how their volumes are copied (files, snapshots, moved
//! snapshots), for how long, with which time limits and hooks; where the copies go, by bucket; node-agent
//! and the feature of CSI snapshots; resource policies (`resolve/backup/made/volume_policy.rs`).
//! # Not modelled
//! `orderedResources`, prefixes of a bucket, credentials; validation and sync
//! periods.
//! # Defaults and their sources
//! Velero 1.17 `pkg/cmd/server/config/config.go`: copies kept for 720 h, files 4 h, operations 4 h,
//! snapshots 10 min, hooks 30 s, one backup at a time, 100 requests a second.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use model_api::SimSpan;
use model_api::backup::Schedule;
use model_api::kube::LabelSelector;

use super::schedule::backup_schedule;
use super::{Object, Reader};
use crate::decode::FromText as _;
use crate::source::{Span, Spanned};
use crate::yaml::Node;

/// Annotations of pods that Velero reads.
pub(crate) const FILES_OF: &str = "backup.velero.io/backup-volumes";
pub(crate) const NO_FILES_OF: &str = "backup.velero.io/backup-volumes-excludes";
const PRE_HOOK: &str = "pre.hook.backup.velero.io/command";
const POST_HOOK: &str = "post.hook.backup.velero.io/command";
const POST_HOOK_TIMEOUT: &str = "post.hook.backup.velero.io/timeout";
const PRE_HOOK_ON_ERROR: &str = "pre.hook.backup.velero.io/on-error";
const PRE_HOOK_TIMEOUT: &str = "pre.hook.backup.velero.io/timeout";
/// `defaultHookTimeout` (`internal/hook/item_hook_handler.go`).
const HOOK_TIMEOUT: SimSpan = SimSpan::from_secs(30);

/// `velero.io/v1 Schedule`.
#[derive(Clone, Debug, PartialEq)]
pub struct VeleroSchedule {
    /// Namespace of the server.
    pub namespace: String,
    /// `namespace/name`.
    pub name: Spanned<String>,
    /// `spec.schedule`; `None` when the server would not accept it.
    pub schedule: Option<Spanned<Schedule>>,
    /// `spec.paused`.
    pub is_paused: bool,
    /// `spec.template.includedNamespaces`; empty means all.
    pub included_namespaces: Vec<Spanned<String>>,
    /// `spec.template.excludedNamespaces`.
    pub excluded_namespaces: Vec<String>,
    /// Volumes are among the resources that are included and not excluded.
    pub has_volumes: bool,
    /// All kinds of objects are included, those without a namespace among them.
    pub has_all_kinds: bool,
    /// `labelSelector`, or any of `orLabelSelectors`; empty means all.
    pub selectors: Vec<LabelSelector>,
    /// `snapshotVolumes`.
    pub takes_snapshots: bool,
    /// `snapshotMoveData`.
    pub moves_snapshots: Option<Spanned<bool>>,
    /// `defaultVolumesToFsBackup`, or `defaultVolumesToRestic` of old.
    pub copies_files: Option<bool>,
    /// `storageLocation`.
    pub storage_location: Option<Spanned<String>>,
    /// `volumeSnapshotLocations`.
    pub snapshot_locations: Vec<Spanned<String>>,
    /// `ttl`.
    pub ttl: Option<Spanned<SimSpan>>,
    /// `csiSnapshotTimeout`.
    pub csi_snapshot_timeout: Option<Spanned<SimSpan>>,
    /// `itemOperationTimeout`.
    pub item_operation_timeout: Option<Spanned<SimSpan>>,
    /// `hooks.resources`.
    pub hooks: Vec<VeleroHook>,
    /// Classes of snapshots that annotations name for drivers, in small letters: backups inherit them.
    pub snapshot_classes: BTreeMap<String, String>,
    /// `resourcePolicy.name`: the ConfigMap that says which volumes are copied, and how.
    pub resource_policy: Option<Spanned<String>>,
}

impl VeleroSchedule {
    /// The class of snapshots that an annotation names for a driver.
    pub(crate) fn snapshot_class_of(&self, driver: &str) -> Option<&str> {
        self.snapshot_classes.get(&driver.to_ascii_lowercase()).map(String::as_str)
    }
}

/// Commands that run in pods before and after their volumes are copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VeleroHook {
    /// `includedNamespaces`; empty means all.
    pub included_namespaces: Vec<String>,
    /// `excludedNamespaces`.
    pub excluded_namespaces: Vec<String>,
    /// `labelSelector`.
    pub selector: Option<LabelSelector>,
    /// Most time that they take together.
    pub timeout: SimSpan,
    /// The same of those that run after the volumes are copied.
    pub after: SimSpan,
    /// One of them has `onError: Fail`, the default: without it no volume of the pod is copied.
    pub is_needed: bool,
}

/// `velero.io/v1 BackupStorageLocation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageLocation {
    /// Namespace of the server.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.default`.
    pub is_default: bool,
    /// `spec.accessMode: ReadOnly`.
    pub read_only: Option<Span>,
    /// The bucket, as a place is called.
    pub bucket: Spanned<String>,
}

/// `velero.io/v1 VolumeSnapshotLocation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotLocation {
    /// Namespace of the server.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.provider`.
    pub provider: Spanned<String>,
}

/// What the flags of a Velero server say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VeleroServer {
    /// `--default-backup-ttl`.
    pub ttl: SimSpan,
    /// `--default-volumes-to-fs-backup`.
    pub copies_files: bool,
    /// `--default-snapshot-move-data`.
    pub moves_snapshots: bool,
    /// `--fs-backup-timeout`.
    pub files_timeout: SimSpan,
    /// `--default-item-operation-timeout`.
    pub item_operation_timeout: SimSpan,
    /// `--concurrent-backups` is more than 1.
    pub is_concurrent: bool,
    /// `--client-qps`: requests a second to the API.
    pub requests_per_second: u32,
    /// `--features=EnableCSI`: it takes snapshots of CSI volumes.
    pub has_csi: bool,
}

/// `spec.csiSnapshotTimeout` that a backup has when it states none.
pub const CSI_SNAPSHOT_TIMEOUT: SimSpan = SimSpan::from_mins(10);

impl Default for VeleroServer {
    fn default() -> Self {
        Self {
            ttl: SimSpan::from_hours(720),
            copies_files: false,
            moves_snapshots: false,
            files_timeout: SimSpan::from_hours(4),
            item_operation_timeout: SimSpan::from_hours(4),
            is_concurrent: false,
            requests_per_second: 100,
            has_csi: false,
        }
    }
}

impl VeleroServer {
    /// The flags of the server that a Deployment runs; `None` when it runs none.
    pub(crate) fn of(object: &Object) -> Option<Self> {
        let containers = object.find("spec.template.spec.containers")?.items()?;
        let server = containers.iter().find(|it| runs_velero(it) && !is_agent(it))?;
        let mut flags = Self::default();
        let mut arguments = arguments(server).into_iter().peekable();
        while let Some(argument) = arguments.next() {
            let Some(argument) = argument.strip_prefix("--") else { continue };
            let (name, value) = argument.split_once('=').unwrap_or((argument, "true"));
            // A flag that is no switch may have its value in the next argument.
            let value = match arguments.peek() {
                Some(next) if name == "features" && value == "true" => next,
                _ => value,
            };
            let span = |default| SimSpan::from_text(value).unwrap_or(default);
            match name {
                "default-backup-ttl" => flags.ttl = span(flags.ttl),
                "default-volumes-to-fs-backup" => flags.copies_files = value == "true",
                "default-snapshot-move-data" => flags.moves_snapshots = value == "true",
                "fs-backup-timeout" => flags.files_timeout = span(flags.files_timeout),
                "default-item-operation-timeout" => {
                    flags.item_operation_timeout = span(flags.item_operation_timeout);
                }
                "concurrent-backups" => {
                    flags.is_concurrent = value.parse::<u32>().is_ok_and(|count| count > 1);
                }
                "client-qps" => {
                    let rate = value.parse().unwrap_or(flags.requests_per_second);
                    flags.requests_per_second = rate.max(1);
                }
                "features" => flags.has_csi |= value.split(',').any(|it| it == "EnableCSI"),
                _ => {}
            }
        }
        Some(flags)
    }
}

fn runs_velero(container: &Node) -> bool {
    let image = container.get("image").and_then(Node::text).unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    name == "velero" || name.starts_with("velero:") || name.starts_with("velero@")
}

fn arguments(container: &Node) -> Vec<&str> {
    let texts = |key: &str| container.get(key).and_then(Node::items).unwrap_or_default().iter();
    texts("command").chain(texts("args")).filter_map(Node::text).collect()
}

/// The program that copies volumes on each node, called `restic` before Velero 1.10.
fn is_agent(container: &Node) -> bool {
    let arguments = arguments(container);
    ["node-agent", "restic"].iter().any(|name| arguments.contains(name))
}

/// Whether a DaemonSet is Velero's node-agent.
pub(crate) fn is_node_agent(object: &Object) -> bool {
    let containers = object.find("spec.template.spec.containers").and_then(Node::items);
    containers.unwrap_or_default().iter().any(|it| runs_velero(it) && is_agent(it))
}

/// The commands that annotations of a pod template ask for, each instead of those of schedules at its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnnotatedHooks {
    /// Before the volumes are copied: most time that it takes, and whether it has to succeed.
    pub(crate) before: Option<(SimSpan, bool)>,
    /// After that: most time that it takes.
    pub(crate) after: Option<SimSpan>,
}

impl AnnotatedHooks {
    pub(crate) fn of(annotations: &BTreeMap<String, String>) -> Self {
        let most = |command: &str, timeout: &str| {
            annotations.get(command)?;
            let timeout = annotations.get(timeout).map(|text| SimSpan::from_text(text));
            Some(timeout.and_then(Result::ok).unwrap_or(HOOK_TIMEOUT))
        };
        let is_needed = annotations.get(PRE_HOOK_ON_ERROR).is_none_or(|word| word != "Continue");
        Self {
            before: most(PRE_HOOK, PRE_HOOK_TIMEOUT).map(|span| (span, is_needed)),
            after: most(POST_HOOK, POST_HOOK_TIMEOUT),
        }
    }
}

/// Kinds that no restore brings back: `nonRestorableResources` of Velero 1.16,
/// `pkg/controller/restore_controller.go`. A backup without them lacks nothing.
const NEVER_RESTORED: [&str; 9] = [
    "nodes",
    "events",
    "events.events.k8s.io",
    "backups.velero.io",
    "restores.velero.io",
    "resticrepositories.velero.io",
    "csinodes.storage.k8s.io",
    "volumeattachments.storage.k8s.io",
    "backuprepositories.velero.io",
];

fn is_never_restored(kind: &str) -> bool {
    NEVER_RESTORED.contains(&kind)
}

impl Reader<'_> {
    pub(crate) fn velero_schedule(&mut self) -> VeleroSchedule {
        let template = "spec.template";
        let at = |field: &str| format!("{template}.{field}");
        let plain = |all: Vec<Spanned<String>>| all.into_iter().map(|it| it.value).collect();
        let included = self.texts_of(&at("includedResources"));
        let excluded = self.texts_of(&at("excludedResources"));
        let holds = |list: &[Spanned<String>], names: &[&str]| {
            list.iter().any(|it| names.contains(&it.value.as_str()))
        };
        let volumes = ["pods", "persistentvolumeclaims", "persistentvolumes", "pvc", "pv", "*"];
        let is_all = included.is_empty() || holds(&included, &["*"]);
        // The newer lists, which do not go with the older ones (Velero 1.11).
        let scoped = [
            "includedNamespaceScopedResources",
            "includedClusterScopedResources",
            "excludedNamespaceScopedResources",
            "excludedClusterScopedResources",
        ]
        .map(|field| self.texts_of(&at(field)));
        let [of_namespaces, of_cluster, not_of_namespaces, not_of_cluster] = &scoped;
        let takes_all = |list: &[Spanned<String>]| list.is_empty() || holds(list, &["*"]);
        let has_scoped_volumes = (of_namespaces.is_empty() || holds(of_namespaces, &volumes))
            && !holds(not_of_namespaces, &volumes)
            && !holds(not_of_cluster, &volumes);
        let has_scoped_kinds = takes_all(of_namespaces)
            && takes_all(of_cluster)
            && [not_of_namespaces, not_of_cluster]
                .iter()
                .all(|list| list.iter().all(|kind| is_never_restored(&kind.value)));
        let has_cluster_kinds = self.flag(&at("includeClusterResources")).is_none_or(|it| it.value);
        let files = ["defaultVolumesToFsBackup", "defaultVolumesToRestic"];
        VeleroSchedule {
            namespace: self.object.key.namespace.clone(),
            name: self.full_name(),
            schedule: backup_schedule(self, "spec.schedule", 5),
            is_paused: self.flag("spec.paused").is_some_and(|it| it.value),
            included_namespaces: self.texts_of(&at("includedNamespaces")),
            excluded_namespaces: plain(self.texts_of(&at("excludedNamespaces"))),
            has_volumes: (is_all || holds(&included, &volumes))
                && !holds(&excluded, &volumes)
                && has_scoped_volumes,
            has_all_kinds: is_all
                && excluded.iter().all(|kind| is_never_restored(&kind.value))
                && has_cluster_kinds
                && has_scoped_kinds,
            selectors: self.velero_selectors(template),
            takes_snapshots: self.flag(&at("snapshotVolumes")).is_none_or(|it| it.value),
            moves_snapshots: self.flag(&at("snapshotMoveData")),
            copies_files: files.iter().find_map(|it| self.flag(&at(it))).map(|it| it.value),
            storage_location: self.spanned_text(&at("storageLocation")),
            snapshot_locations: self.texts_of(&at("volumeSnapshotLocations")),
            ttl: self.go_duration(&at("ttl")),
            csi_snapshot_timeout: self.go_duration(&at("csiSnapshotTimeout")),
            item_operation_timeout: self.go_duration(&at("itemOperationTimeout")),
            hooks: self.velero_hooks(&at("hooks.resources")),
            snapshot_classes: self.annotated_classes(),
            resource_policy: self.spanned_text(&at("resourcePolicy.name")),
        }
    }

    /// `velero.io/csi-volumesnapshot-class_DRIVER`.
    fn annotated_classes(&self) -> BTreeMap<String, String> {
        let all = self.object.node.at(&["metadata", "annotations"]).and_then(Node::entries);
        let class = |entry: &crate::yaml::Entry| {
            let driver = entry.key.strip_prefix("velero.io/csi-volumesnapshot-class_")?;
            Some((driver.to_owned(), entry.value.text()?.to_owned()))
        };
        all.unwrap_or_default().iter().filter_map(class).collect()
    }

    fn velero_selectors(&mut self, template: &str) -> Vec<LabelSelector> {
        let one = format!("{template}.labelSelector");
        let several = format!("{template}.orLabelSelectors");
        let given: Option<meta::LabelSelector> = self.part(&one);
        let mut read: Vec<LabelSelector> =
            given.iter().map(|selector| self.label_selector(&one, selector)).collect();
        let given: Option<Vec<meta::LabelSelector>> = self.part(&several);
        for (idx, selector) in given.iter().flatten().enumerate() {
            read.push(self.label_selector(&format!("{several}[{idx}]"), selector));
        }
        read
    }

    fn velero_hooks(&mut self, path: &str) -> Vec<VeleroHook> {
        let count = self.object.find(path).and_then(Node::items).map_or(0, <[Node]>::len);
        (0..count).filter_map(|idx| self.velero_hook(&format!("{path}[{idx}]"))).collect()
    }

    fn velero_hook(&mut self, path: &str) -> Option<VeleroHook> {
        let (timeout, is_needed) = self.hook_commands(&format!("{path}.pre"));
        // One that fails after the copy leaves the copy as it is.
        let (after, _) = self.hook_commands(&format!("{path}.post"));
        let selector = format!("{path}.labelSelector");
        let given: Option<meta::LabelSelector> = self.part(&selector);
        let names = |reader: &Self, field: &str| {
            let all = reader.texts_of(&format!("{path}.{field}"));
            all.into_iter().map(|it| it.value).filter(|it| it != "*").collect()
        };
        let is_there = !timeout.is_zero() || !after.is_zero();
        is_there.then(|| VeleroHook {
            included_namespaces: names(self, "includedNamespaces"),
            excluded_namespaces: names(self, "excludedNamespaces"),
            selector: given.map(|it| self.label_selector(&selector, &it)),
            timeout,
            after,
            is_needed,
        })
    }

    /// Most time that commands take together, and whether one of them has to succeed.
    fn hook_commands(&mut self, path: &str) -> (SimSpan, bool) {
        let count = self.object.find(path).and_then(Node::items).map_or(0, <[Node]>::len);
        let (mut timeout, mut is_needed) = (SimSpan::ZERO, false);
        for idx in 0..count {
            let command = format!("{path}[{idx}].exec");
            let takes = self.go_duration(&format!("{command}.timeout"));
            timeout = timeout.saturating_add(takes.map_or(HOOK_TIMEOUT, |it| it.value));
            let on_error = format!("{command}.onError");
            let word = self.text(&on_error);
            is_needed |= self.choice(&on_error, word, true, &[("Fail", true), ("Continue", false)]);
        }
        (timeout, is_needed)
    }

    pub(crate) fn storage_location(&mut self) -> StorageLocation {
        let provider = self.text("spec.provider").unwrap_or_default();
        let scheme = match provider.rsplit('/').next().unwrap_or_default() {
            "azure" => "azure",
            "gcp" => "gs",
            _ => "s3",
        };
        let path = "spec.objectStorage.bucket";
        let bucket = self.spanned_text(path).unwrap_or_else(|| {
            self.refuse(path, "is missing");
            Spanned { value: self.object.key.name.clone(), span: self.object.name_span }
        });
        StorageLocation {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            is_default: self.flag("spec.default").is_some_and(|it| it.value),
            read_only: self
                .spanned_text("spec.accessMode")
                .filter(|mode| mode.value == "ReadOnly")
                .map(|mode| mode.span),
            bucket: bucket.map(|name| format!("{scheme}://{name}")),
        }
    }

    pub(crate) fn snapshot_location(&mut self) -> SnapshotLocation {
        let missing = Spanned { value: String::new(), span: self.object.name_span };
        SnapshotLocation {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            provider: self.spanned_text("spec.provider").unwrap_or(missing),
        }
    }

    /// `namespace/name`, at its name.
    pub(super) fn full_name(&self) -> Spanned<String> {
        let key = &self.object.key;
        Spanned { value: format!("{}/{}", key.namespace, key.name), span: self.object.name_span }
    }

    pub(super) fn spanned_text(&self, path: &str) -> Option<Spanned<String>> {
        let node = self.object.find(path).filter(|node| !node.is_null())?;
        Some(Spanned { value: node.text()?.to_owned(), span: node.span })
    }

    fn texts_of(&self, path: &str) -> Vec<Spanned<String>> {
        let items = self.object.find(path).and_then(Node::items).unwrap_or_default();
        let text = |node: &Node| Some(Spanned { value: node.text()?.to_owned(), span: node.span });
        items.iter().filter_map(text).collect()
    }

    /// True or false, where it is written down.
    fn flag(&mut self, path: &str) -> Option<Spanned<bool>> {
        let span: Span = self.object.find(path).filter(|node| !node.is_null())?.span;
        Some(Spanned { value: self.boolean(path, false), span })
    }

    /// A duration as Go writes it, `720h0m0s`; one that is not is refused. Zero means the default.
    pub(super) fn go_duration(&mut self, path: &str) -> Option<Spanned<SimSpan>> {
        let text = self.spanned_text(path).filter(|text| text.value != "0")?;
        match SimSpan::from_text(&text.value) {
            Ok(value) => (!value.is_zero()).then_some(Spanned { value, span: text.span }),
            Err(reason) => {
                self.refuse(path, format!("is no duration: `{}` {reason}", text.value));
                None
            }
        }
    }
}
