//! Policies that manifests make, in the words of a Platform: who has the manifests states them nowhere
//! else.
//!
//! Simplified: one backup of Velero is one run for each data set, one after another, as if all volumes
//! hung on one node; what it copies of the API's objects counts as a copy of `etcd` when it names no
//! namespaces.

use std::collections::BTreeSet;

use model_api::SimSpan;
use model_api::backup::{Method, Schedule};
use model_api::blueprint::NodeSpec;
use model_api::kube::{StorageClass, Workload, WorkloadKind};

use super::{ETCD, Merged};
use crate::cron::CronText;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{ArchiveSpec, BackupPolicySpec, DataSetSpec, HookSpec, OnError, PlaceSpec};
use crate::manifest::{
    AnnotatedHooks, CSI_SNAPSHOT_TIMEOUT, FILES_OF, Manifests, NO_FILES_OF, Object, Sourced,
    StorageLocation, VeleroHook, VeleroSchedule, VeleroServer,
};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};
use crate::units::{Bytes, span_of_secs};
use crate::yaml::Node;

mod cloud_native;
mod copiers;
mod volume_policy;

use copiers::Lacks;
use volume_policy::{Action, Volume, VolumePolicies};

/// Provisioners whose snapshots the provider keeps for the whole region.
const REGIONAL_SNAPSHOTS: [&str; 3] =
    ["ebs.csi.aws.com", "disk.csi.azure.com", "pd.csi.storage.gke.io"];
/// Plugins of Velero that take such snapshots.
const REGIONAL_PROVIDERS: [&str; 3] = ["aws", "azure", "gcp"];
/// Requests to the API for each object that is restored: 2 to 4 (BK-5 of the specification of platform
/// services).
const CALLS_PER_OBJECT: u64 = 3;
/// Bytes of an object in a backup. Assumed.
const OBJECT_BYTES: u64 = 4096;

/// What manifests say of backups.
#[derive(Clone, Debug, Default)]
pub(super) struct Made {
    pub(super) places: Vec<PlaceSpec>,
    /// Names of those whose place no manifest says.
    pub(super) unplaced: Vec<String>,
    pub(super) data_sets: Vec<DataSetSpec>,
    pub(super) policies: Vec<MadePolicy>,
    pub(super) archives: Vec<ArchiveSpec>,
}

/// A policy and the object that makes it, which may make others.
#[derive(Clone, Debug)]
pub(super) struct MadePolicy {
    pub(super) maker: String,
    pub(super) spec: BackupPolicySpec,
}

/// Reads what manifests say; `stated` is what the user's own documents do.
pub(super) fn made(
    manifests: &Manifests,
    databases: &[String],
    nodes: &[NodeSpec],
    stated: Option<&Merged>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Made {
    let mut maker =
        Maker { manifests, databases, nodes, stated, out: Made::default(), diagnostics };
    for schedule in &manifests.backups.schedules {
        maker.velero(schedule);
    }
    maker.cloud_native();
    maker.out
}

struct Maker<'a> {
    manifests: &'a Manifests,
    /// Names of databases.
    databases: &'a [String],
    nodes: &'a [NodeSpec],
    stated: Option<&'a Merged>,
    out: Made,
    diagnostics: &'a mut Vec<Diagnostic>,
}

/// How the volumes of a workload are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Files,
    Snapshots,
    /// Snapshots whose bytes are moved to the bucket.
    Moved,
}

impl<'a> Maker<'a> {
    fn velero(&mut self, schedule: &VeleroSchedule) {
        self.check_namespaces(schedule);
        let Some(cron) = &schedule.schedule else { return };
        let server = self.flags(schedule);
        let bucket = self.bucket(schedule);
        let (policies, is_illegal) = match self.volume_policies(schedule) {
            Ok(policies) => (policies, false),
            Err(why) => {
                self.illegal_policy(schedule, &why);
                (VolumePolicies::default(), true)
            }
        };
        let is_refused = self.is_read_only(schedule) || is_illegal;
        let object_count = self.object_count(schedule);
        let restore_secs =
            (object_count * CALLS_PER_OBJECT).div_ceil(u64::from(server.requests_per_second));
        let at = schedule.name.span;
        let common = BackupPolicySpec {
            schedule: Some(due(cron.clone())),
            paused: (schedule.is_paused || is_refused).then_some(true),
            keep: Some(schedule.ttl.unwrap_or(Spanned { value: server.ttl, span: at })),
            lane: (!server.is_concurrent).then(|| self.lane(schedule)),
            server: self.server(schedule),
            restore_overhead: Some(Spanned { value: span_of_secs(restore_secs), span: at }),
            ..nothing(&schedule.name)
        };
        let mut lacks = Lacks::new();
        for (workload, object) in self.workloads(schedule) {
            let action = |name: &str| policies.action(&self.volume(name, workload, object));
            let Some(way) = way(schedule, server, workload, object, action) else { continue };
            let mut common = common.clone();
            if let Some(lack) = self.lack(schedule, way, workload, object) {
                let name = format!("{}/{}", workload.namespace, workload.name);
                lacks.entry(lack).or_default().push(name);
                common.paused = Some(true);
            }
            self.volumes(schedule, &bucket, workload, object, way, &common);
        }
        self.warn_of_lacks(schedule, lacks);
        let is_everywhere = schedule.excluded_namespaces.is_empty()
            && schedule.included_namespaces.iter().all(|it| it.value == "*");
        if is_everywhere && schedule.has_all_kinds && schedule.selectors.is_empty() {
            let moves = Bytes { count: object_count.saturating_mul(OBJECT_BYTES) };
            let spec = BackupPolicySpec {
                method: Some(Spanned { value: Method::Files, span: at }),
                to: Some(self.place(&bucket)),
                moves: Some(Spanned { value: moves, span: at }),
                ..common
            };
            self.policy(&schedule.name, ETCD, spec);
        }
    }

    /// The flags of the server of a schedule, or their defaults.
    fn flags(&self, schedule: &VeleroSchedule) -> VeleroServer {
        let servers = &self.manifests.backups.servers;
        servers.get(&schedule.namespace).copied().unwrap_or_default()
    }

    /// The volumes of one workload.
    fn volumes(
        &mut self,
        schedule: &VeleroSchedule,
        bucket: &Spanned<String>,
        workload: &Workload,
        object: &Object,
        way: Way,
        common: &BackupPolicySpec,
    ) {
        let at = schedule.name.span;
        let set = self.data_set(workload, object);
        let span = |value| Some(Spanned { value, span: at });
        let server = self.flags(schedule);
        let is_moved = way != Way::Snapshots;
        let to = if is_moved {
            self.place(bucket)
        } else {
            self.snapshot_place(schedule, workload, object, &set)
        };
        let timeout = match way {
            Way::Files => span(server.files_timeout),
            Way::Moved => schedule.item_operation_timeout.or(span(server.item_operation_timeout)),
            Way::Snapshots => schedule.csi_snapshot_timeout.or(span(CSI_SNAPSHOT_TIMEOUT)),
        };
        let method = if way == Way::Files { Method::Files } else { Method::Snapshot };
        let spec = BackupPolicySpec {
            method: Some(Spanned { value: method, span: at }),
            to: Some(to),
            moves: (!is_moved).then_some(Spanned { value: Bytes { count: 0 }, span: at }),
            timeout,
            hook: hook_of(schedule, workload, at),
            ..common.clone()
        };
        self.policy(&schedule.name, &set.value, spec);
    }

    /// One policy of a schedule; Velero's are named after the schedule and the data set.
    fn policy(&mut self, maker: &Spanned<String>, set: &str, spec: BackupPolicySpec) {
        let name = Spanned { value: format!("{}@{set}", maker.value), span: maker.span };
        let of = Some(Spanned { value: set.to_owned(), span: maker.span });
        let spec = BackupPolicySpec { name, of, ..spec };
        self.out.policies.push(MadePolicy { maker: maker.value.clone(), spec });
    }

    /// W0161 for namespaces that nothing is in.
    fn check_namespaces(&mut self, schedule: &VeleroSchedule) {
        let mut known: BTreeSet<&str> =
            self.manifests.objects.iter().map(|it| it.key.namespace.as_str()).collect();
        known.extend(self.manifests.namespaces.iter().map(String::as_str));
        for name in &schedule.included_namespaces {
            if name.value != "*" && !known.contains(name.value.as_str()) {
                let message =
                    format!("{}: nothing is in namespace `{}`", schedule.name.value, name.value);
                let help =
                    suggestion(&name.value, known.iter().copied().filter(|it| !it.is_empty()));
                let diagnostic = Diagnostic::new(Code::W0161, name.span, message);
                self.diagnostics.push(diagnostic.help_if(help));
            }
        }
    }

    /// The location that a schedule writes to, if it is in the input.
    fn location(&self, schedule: &VeleroSchedule) -> Option<&'a StorageLocation> {
        let mut locations = self
            .manifests
            .backups
            .locations
            .iter()
            .filter(|location| location.namespace == schedule.namespace);
        match &schedule.storage_location {
            Some(name) => locations.find(|location| location.name == name.value),
            None => {
                let all: Vec<_> = locations.collect();
                let marked = all.iter().find(|location| location.is_default);
                let named = || all.iter().find(|location| location.name == "default");
                marked.or_else(named).copied()
            }
        }
    }

    /// Whether Velero refuses every backup to the location of a schedule: it validates none against one that is
    /// read-only (`prepareBackupRequest` of Velero 1.17, `pkg/controller/backup_controller.go`).
    fn is_read_only(&mut self, schedule: &VeleroSchedule) -> bool {
        let Some(location) = self.location(schedule) else { return false };
        let Some(span) = location.read_only else { return false };
        let message = format!(
            "{}: BackupStorageLocation {} is read-only, so that every backup fails",
            schedule.name.value, location.name
        );
        let help = "set `accessMode: ReadWrite` once the restore is over that it was for";
        self.diagnostics.push(Diagnostic::new(Code::W0416, span, message).help(help));
        true
    }

    /// The bucket of a schedule, or the location that is not in the input.
    fn bucket(&mut self, schedule: &VeleroSchedule) -> Spanned<String> {
        if let Some(location) = self.location(schedule) {
            return location.bucket.clone();
        }
        let named = schedule.storage_location.clone();
        let name =
            named.unwrap_or(Spanned { value: "default".to_owned(), span: schedule.name.span });
        let message = format!(
            "{}: there is no BackupStorageLocation `{}` in {}",
            schedule.name.value, name.value, schedule.namespace
        );
        if named_is_missing(self.stated, &format!("{}/{}", schedule.namespace, name.value)) {
            self.diagnostics.push(Diagnostic::new(Code::W0161, name.span, message));
        }
        name.map(|name| format!("{}/{name}", schedule.namespace))
    }

    /// A place of that name, which somebody has to say more about.
    fn place(&mut self, name: &Spanned<String>) -> Spanned<String> {
        if !self.out.places.iter().any(|place| place.name.value == name.value) {
            self.out.places.push(bare_place(name));
            self.out.unplaced.push(name.value.clone());
        }
        name.clone()
    }

    /// Where a snapshot of volumes stays.
    fn snapshot_place(
        &mut self,
        schedule: &VeleroSchedule,
        workload: &Workload,
        object: &Object,
        set: &Spanned<String>,
    ) -> Spanned<String> {
        let at = schedule.name.span;
        let location = schedule.snapshot_locations.iter().find_map(|name| {
            let mut all = self.manifests.backups.snapshot_locations.iter();
            all.find(|it| it.namespace == schedule.namespace && it.name == name.value)
        });
        let driver = self.provisioner_of(workload);
        if let Some(location) = location {
            let provider = location.provider.value.rsplit('/').next().unwrap_or_default();
            let is_regional = REGIONAL_PROVIDERS.contains(&provider);
            return self.snapshots_of(provider, is_regional, set, location.provider.span);
        }
        let class = self.class_of(schedule, workload, object);
        if let Some(class) = class.filter(|class| class.is_moved) {
            return self.place(&class.name.clone().map(|it| format!("VolumeSnapshotClass/{it}")));
        }
        self.snapshots_of(&driver, REGIONAL_SNAPSHOTS.contains(&driver.as_str()), set, at)
    }

    /// The place of snapshots that the backend keeps: for the region, or beside the volumes.
    fn snapshots_of(
        &mut self,
        backend: &str,
        is_regional: bool,
        set: &Spanned<String>,
        at: Span,
    ) -> Spanned<String> {
        let name = if is_regional {
            format!("snapshots of {backend}")
        } else {
            format!("snapshots of {}", set.value)
        };
        let name = Spanned { value: name, span: at };
        if !self.out.places.iter().any(|place| place.name.value == name.value) {
            let beside = (!is_regional).then(|| set.clone());
            self.out.places.push(PlaceSpec { beside, ..bare_place(&name) });
        }
        name
    }

    /// The provisioner of the volumes of a workload; empty when it is not known.
    fn provisioner_of(&self, workload: &Workload) -> String {
        self.storage_class_of(workload).map(|it| it.value.provisioner.clone()).unwrap_or_default()
    }

    /// The class of storage of the volumes of a workload, if it is in the input.
    fn storage_class_of(&self, workload: &Workload) -> Option<&'a Sourced<StorageClass>> {
        let templates = match &workload.kind {
            WorkloadKind::StatefulSet { claims, .. } => claims.as_slice(),
            _ => &[],
        };
        let named = self.manifests.claims.iter().map(|it| &it.value).find(|claim| {
            claim.namespace == workload.namespace
                && (workload.template.spec.claim_names.contains(&claim.name)
                    || (workload.kind == WorkloadKind::DatabaseInstances
                        && claim.name == format!("{}-1", workload.name)))
        });
        let claim = templates.first().or(named);
        self.named_storage_class(claim.and_then(|claim| claim.storage_class.as_ref()))
    }

    fn named_storage_class(&self, name: Option<&String>) -> Option<&'a Sourced<StorageClass>> {
        self.manifests.storage_classes.iter().find(|it| match name {
            Some(name) => it.value.name == *name,
            None => it.value.is_default,
        })
    }

    /// What policies ask of a volume of a workload's pods.
    fn volume(&self, name: &str, workload: &Workload, object: &Object) -> Volume {
        let template = match &workload.kind {
            WorkloadKind::StatefulSet { claims, .. } => claims.iter().find(|it| it.name == name),
            _ => None,
        };
        let claim_name = if workload.kind == WorkloadKind::DatabaseInstances {
            Some(format!("{}-1", workload.name))
        } else {
            claim_name_of(name, workload, object)
        };
        let claim = template.or_else(|| {
            let mut claims = self.manifests.claims.iter().map(|it| &it.value);
            claims.find(|it| {
                it.namespace == workload.namespace && Some(&it.name) == claim_name.as_ref()
            })
        });
        let class = self.named_storage_class(claim.and_then(|it| it.storage_class.as_ref()));
        Volume {
            size_bytes: claim.map_or(0, |it| u64::try_from(it.size_bytes).unwrap_or(0)),
            storage_class: class.map(|it| it.value.name.clone()).unwrap_or_default(),
            driver: class.map(|it| it.value.provisioner.clone()).unwrap_or_default(),
        }
    }

    /// Velero fails the validation of every backup whose policies it cannot read.
    fn illegal_policy(&mut self, schedule: &VeleroSchedule, why: &str) {
        let Some(name) = &schedule.resource_policy else { return };
        let message = format!(
            "{}: ConfigMap {}/{} is no resource policy, so that every backup fails: {why}",
            schedule.name.value, schedule.namespace, name.value
        );
        self.diagnostics.push(Diagnostic::new(Code::W0433, name.span, message));
    }

    /// The data set of a workload's volumes: the one that is stated, or one of its name.
    fn data_set(&mut self, workload: &Workload, object: &Object) -> Spanned<String> {
        let name = format!("{}/{}", workload.namespace, workload.name);
        let is_its = |spec: &&DataSetSpec| {
            let of = spec.workload.as_ref().map(|it| it.value.as_str());
            of.is_some_and(|of| of == name || of == workload.name) || spec.name.value == name
        };
        let stated = self.stated.and_then(|merged| merged.data_sets.iter().find(is_its));
        if let Some(stated) = stated {
            return stated.name.clone();
        }
        let span = object.name_span;
        let named = Spanned { value: name.clone(), span };
        let is_known = self.databases.contains(&name)
            || self.out.data_sets.iter().any(|set| set.name.value == name);
        if !is_known {
            self.out.data_sets.push(DataSetSpec {
                name: named.clone(),
                workload: Some(named.clone()),
                zones: Vec::new(),
                pool: None,
                replicated: None,
                account: None,
                size: None,
                written: None,
                restored_after: Vec::new(),
                discovery: None,
                span,
            });
        }
        named
    }

    /// Workloads of a schedule.
    fn workloads(&self, schedule: &VeleroSchedule) -> Vec<(&'a Workload, &'a Object)> {
        let covers = |workload: &Workload| {
            let labels = &workload.template.labels;
            let selects = schedule.selectors.is_empty()
                || schedule.selectors.iter().any(|selector| selector.matches(labels));
            schedule.has_volumes && selects && is_within(schedule, &workload.namespace)
        };
        let manifests = self.manifests;
        let all = manifests.workloads.iter().filter(|it| covers(&it.value));
        all.map(|it| (&it.value, manifests.object(it))).collect()
    }

    /// Objects of a schedule, as far as the input shows them: those that are written down, a pod for
    /// each replica and a ReplicaSet or the like for each workload.
    fn object_count(&self, schedule: &VeleroSchedule) -> u64 {
        let objects = self.manifests.objects.iter();
        let written = objects.filter(|it| is_within(schedule, &it.key.namespace)).count();
        let workloads = self.manifests.workloads.iter().map(|it| &it.value);
        let pods = workloads
            .filter(|it| is_within(schedule, &it.namespace))
            .map(|it| u64::from(it.replicas) + 1);
        pods.fold(written as u64, u64::saturating_add)
    }

    /// The Deployment that runs the server of a schedule, where it is among the manifests.
    fn server(&self, schedule: &VeleroSchedule) -> Option<Spanned<String>> {
        let workloads = self.manifests.workloads.iter();
        let mut here = workloads.filter(|it| it.value.namespace == schedule.namespace);
        let found = here.find(|it| {
            matches!(it.value.kind, WorkloadKind::Deployment { .. })
                && VeleroServer::of(self.manifests.object(it)).is_some()
        })?;
        let value = format!("{}/{}", found.value.namespace, found.value.name);
        Some(Spanned { value, span: schedule.name.span })
    }

    /// The lane of a server: far from the numbers that people write.
    fn lane(&self, schedule: &VeleroSchedule) -> Spanned<u32> {
        let namespaces: BTreeSet<&str> =
            self.manifests.backups.schedules.iter().map(|it| it.namespace.as_str()).collect();
        let position = namespaces.iter().position(|it| *it == schedule.namespace).unwrap_or(0);
        let position = u32::try_from(position).unwrap_or(0);
        Spanned { value: u32::MAX - position, span: schedule.name.span }
    }
}

fn is_within(schedule: &VeleroSchedule, namespace: &str) -> bool {
    let included = &schedule.included_namespaces;
    let is_included =
        included.is_empty() || included.iter().any(|it| it.value == "*" || it.value == namespace);
    is_included && !schedule.excluded_namespaces.iter().any(|it| it == namespace)
}

/// Whether neither Platform nor Scenario says anything of a place.
fn named_is_missing(stated: Option<&Merged>, name: &str) -> bool {
    !stated.is_some_and(|merged| merged.places.iter().any(|place| place.name.value == name))
}

/// How a schedule copies the volumes of a workload; `None` when it does not copy all of them.
///
/// Each volume is copied in one way: as files when the pod asks for it or all are, else as a snapshot
/// (Velero 1.17 `pkg/podvolume/util.go`, `GetVolumesByPod`). Files of a running database, read one
/// after another, are no copy of it.
fn way(
    schedule: &VeleroSchedule,
    server: VeleroServer,
    workload: &Workload,
    object: &Object,
    action: impl Fn(&str) -> Option<Action>,
) -> Option<Way> {
    let listed = |key: &str| -> Vec<&str> {
        let text = workload.template.annotations.get(key).map_or("", String::as_str);
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    };
    let (asked, refused) = (listed(FILES_OF), listed(NO_FILES_OF));
    let by_files = schedule.copies_files.unwrap_or(server.copies_files);
    let is_moved = schedule.moves_snapshots.map_or(server.moves_snapshots, |it| it.value);
    let snapshots = if is_moved { Way::Moved } else { Way::Snapshots };
    if workload.kind == WorkloadKind::DatabaseInstances {
        return match action("") {
            Some(Action::Snapshot) => Some(snapshots),
            Some(_) => None,
            None => (schedule.takes_snapshots && !by_files).then_some(snapshots),
        };
    }
    let names = volume_names(workload, object);
    let mut ways = names.iter().map(|name| {
        let name = name.as_str();
        // Volumes are opted in where files are copied of none, else opted out.
        let has_files = if by_files { !refused.contains(&name) } else { asked.contains(&name) };
        match action(name) {
            Some(Action::Skip | Action::Unknown) => None,
            Some(Action::Files) => Some(Way::Files),
            Some(Action::Snapshot) => Some(snapshots),
            None if has_files => Some(Way::Files),
            None => schedule.takes_snapshots.then_some(snapshots),
        }
    });
    let first = ways.next()??;
    ways.try_fold(first, |all, one| {
        let one = one?;
        Some(if one == Way::Files { one } else { all })
    })
}

/// Volumes of a workload's pods that have claims.
fn volume_names(workload: &Workload, object: &Object) -> Vec<String> {
    let mut names: Vec<String> = match &workload.kind {
        WorkloadKind::StatefulSet { claims, .. } => {
            claims.iter().map(|claim| claim.name.clone()).collect()
        }
        _ => Vec::new(),
    };
    let path = if workload.kind == WorkloadKind::Pod { "spec" } else { "spec.template.spec" };
    let volumes = object.find(path).and_then(|spec| spec.get("volumes")).and_then(Node::items);
    let with_claims = volumes.unwrap_or_default().iter();
    let with_claims = with_claims.filter(|volume| volume.get("persistentVolumeClaim").is_some());
    names.extend(with_claims.filter_map(|volume| volume.get("name")?.text().map(str::to_owned)));
    names
}

/// The claim that a volume of a workload's pods names.
fn claim_name_of(name: &str, workload: &Workload, object: &Object) -> Option<String> {
    let path = if workload.kind == WorkloadKind::Pod { "spec" } else { "spec.template.spec" };
    let volumes = object.find(path).and_then(|spec| spec.get("volumes")).and_then(Node::items)?;
    let is_its = |volume: &&Node| volume.get("name").and_then(Node::text) == Some(name);
    let claim = volumes.iter().find(is_its)?.at(&["persistentVolumeClaim", "claimName"])?;
    claim.text().map(str::to_owned)
}

/// The hooks that run in the pods of a workload, before the copy and after it: all of the schedule that are
/// for them, unless the pods have their own for that time (Velero 1.17
/// `internal/hook/item_hook_handler.go`, `HandleHooks`).
fn hook_of(schedule: &VeleroSchedule, workload: &Workload, at: Span) -> Option<HookSpec> {
    let runs = |hook: &&VeleroHook| {
        let (included, excluded) = (&hook.included_namespaces, &hook.excluded_namespaces);
        let namespace = &workload.namespace;
        (included.is_empty() || included.contains(namespace))
            && !excluded.contains(namespace)
            && hook.selector.as_ref().is_none_or(|it| it.matches(&workload.template.labels))
    };
    let (mut before, mut is_needed, mut after) = (SimSpan::ZERO, false, SimSpan::ZERO);
    for hook in schedule.hooks.iter().filter(runs) {
        before = before.saturating_add(hook.timeout);
        is_needed |= hook.is_needed;
        after = after.saturating_add(hook.after);
    }
    let own = AnnotatedHooks::of(&workload.template.annotations);
    (before, is_needed) = own.before.unwrap_or((before, is_needed));
    after = own.after.unwrap_or(after);
    if before.is_zero() && after.is_zero() {
        return None;
    }
    let on_error = if is_needed { OnError::Fail } else { OnError::Continue };
    Some(HookSpec {
        takes: Some(Spanned { value: before, span: at }),
        after: (!after.is_zero()).then_some(Spanned { value: after, span: at }),
        failures: None,
        on_error: Some(Spanned { value: on_error, span: at }),
        span: at,
    })
}

/// A policy of which nothing is said yet.
fn nothing(name: &Spanned<String>) -> BackupPolicySpec {
    BackupPolicySpec {
        name: name.clone(),
        of: None,
        method: None,
        schedule: None,
        paused: None,
        to: None,
        copies: Vec::new(),
        keep: None,
        window: None,
        last: None,
        key: None,
        lane: None,
        server: None,
        overhead: None,
        hook: None,
        moves: None,
        timeout: None,
        failures: None,
        silent_failures: None,
        restore_test: None,
        restore_overhead: None,
        span: name.span,
    }
}

fn bare_place(name: &Spanned<String>) -> PlaceSpec {
    PlaceSpec {
        name: name.clone(),
        zones: Vec::new(),
        zones_needed: None,
        region: None,
        pool: None,
        snapshots: None,
        beside: None,
        account: None,
        jurisdiction: None,
        lock: None,
        read: None,
        write: None,
        copies: Vec::new(),
        key: None,
        span: name.span,
    }
}

/// A schedule as a document has it.
fn due(schedule: Spanned<Schedule>) -> Spanned<CronText> {
    schedule.map(|schedule| CronText { schedule })
}
