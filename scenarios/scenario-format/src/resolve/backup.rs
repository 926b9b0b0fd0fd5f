//! Backups: data sets, places, keys, policies, archives, with their names looked up.

use model_api::backup::{
    Archive, BackupPolicy, CopyRule, DataSet, DataSetKind, Hook, Key, Location, Method, PLACES_MAX,
    Place, Protection, Recovery, Retention, RunbookStep,
};
use model_api::blueprint::DatabaseManager;
use model_api::kube::WorkloadKind;
use model_api::{DataSetId, DatabaseId, KeyId, PlaceId, PolicyId, SimSpan, ZoneId};

use super::nodes::unknown_zone;
use super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic, has_errors};
use crate::document::{
    ArchiveSpec, BackupPolicySpec, BackupsSpec, CopySpec, DataSetSpec, HookSpec, KeySpec, OnError,
    PlaceSpec, PlatformDocument, RecoverySpec, ScenarioDocument,
};
use crate::library;
use crate::lint::backups::{self, BackupSpans};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};
use crate::units::Bytes;

mod made;
mod overlay;
mod pools;

use made::Made;

/// The account of a platform that names none.
const ACCOUNT: &str = "platform";
/// The data set that is the state of the Kubernetes API.
const ETCD: &str = "etcd";
/// How long a platform has run before a run begins, when it says nothing. Assumed.
const HISTORY: SimSpan = SimSpan::from_days(365);
/// Longest history: runs reach ten years, and moments before them must fit as well.
/// A test is an event: one each nanosecond would never end.
const RESTORE_TEST_MIN: SimSpan = SimSpan::from_mins(1);
const HISTORY_MAX: SimSpan = SimSpan::from_days(10 * 366);
/// How long a logical loss goes unnoticed. Assumed: GitLab 2017 noticed at once, ransomware dwells
/// for days; half a working day is between.
const DISCOVERY: SimSpan = SimSpan::from_hours(6);
/// Throughput of a place. Assumed, from the 110 MB/s that Velero's performance guide measured.
const BYTES_PER_SECOND: u64 = 100 << 20;
/// Size of a data set that nothing says anything about; of etcd its default quota.
const SIZE_BYTES: u64 = 1 << 30;
const ETCD_SIZE_BYTES: u64 = 2 << 30;
/// Runs that fail and are seen to, and that fail in silence. BK-15 of the specification of platform
/// services, an assumption there too.
const FAILURE_PPM: u32 = 20_000;
const SILENT_FAILURE_PPM: u32 = 2_000;
/// Time of a run besides moving bytes. Assumed.
const OVERHEAD: SimSpan = SimSpan::from_mins(1);
/// Time of a hook, at most: the default of Velero.
const HOOK: SimSpan = SimSpan::from_secs(30);

/// Names of what belongs to backups, in the order of their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct BackupNames {
    pub(super) data_sets: Vec<String>,
    pub(super) places: Vec<String>,
    pub(super) keys: Vec<String>,
    pub(super) policies: Vec<String>,
    /// By policy: the object of a manifest that makes it.
    makers: Vec<Option<String>>,
    /// Accounts that anything belongs to.
    pub(super) accounts: Vec<String>,
}

/// What Platform and Scenario say of backups, entries of the Scenario over those of the Platform.
struct Merged {
    span: Span,
    account: String,
    history: Option<Spanned<SimSpan>>,
    places: Vec<PlaceSpec>,
    /// Names of places that only a manifest names.
    unplaced: Vec<String>,
    keys: Vec<KeySpec>,
    data_sets: Vec<DataSetSpec>,
    policies: Vec<BackupPolicySpec>,
    /// By policy: the object of a manifest that makes it.
    makers: Vec<Option<String>>,
    archives: Vec<ArchiveSpec>,
    recovery: Option<RecoverySpec>,
}

/// What a place says of everything in it.
#[derive(Clone, Debug, Default)]
struct PlaceRules {
    copies: Vec<CopyRule>,
    key: Option<KeyId>,
}

impl Merged {
    fn of(
        platform: Option<&BackupsSpec>,
        scenario: Option<&BackupsSpec>,
        resolver: &mut Resolver<'_>,
    ) -> Option<Self> {
        let span = scenario.or(platform)?.span;
        let account = |spec: &BackupsSpec| spec.account.as_ref().map(|it| it.value.clone());
        let name_of = |text: &Spanned<String>| (text.value.clone(), text.span);
        macro_rules! merged {
            ($list:ident, $key:ident) => {
                resolver.merged(
                    platform.map(|it| it.$list.as_slice()).unwrap_or_default(),
                    scenario.map(|it| it.$list.as_slice()).unwrap_or_default(),
                    |it| name_of(&it.$key),
                )
            };
        }
        Some(Self {
            span,
            account: scenario
                .and_then(account)
                .or_else(|| platform.and_then(account))
                .unwrap_or_else(|| ACCOUNT.to_owned()),
            history: scenario.and_then(|it| it.history).or(platform.and_then(|it| it.history)),
            places: merged!(places, name),
            unplaced: Vec::new(),
            keys: merged!(keys, name),
            data_sets: merged!(data_sets, name),
            policies: merged!(policies, name),
            makers: Vec::new(),
            archives: merged!(archives, of),
            recovery: scenario
                .and_then(|it| it.recovery.as_ref())
                .or(platform.and_then(|it| it.recovery.as_ref()))
                .cloned(),
        })
    }

    /// Nothing but what manifests say; `None` when they say nothing.
    fn of_manifests(made: &Made) -> Option<Self> {
        let policies = made.policies.iter().map(|it| it.spec.name.span);
        let span = policies.chain(made.archives.iter().map(|it| it.span)).next()?;
        Some(Self {
            span,
            account: ACCOUNT.to_owned(),
            history: None,
            places: Vec::new(),
            unplaced: Vec::new(),
            keys: Vec::new(),
            data_sets: Vec::new(),
            policies: Vec::new(),
            makers: Vec::new(),
            archives: Vec::new(),
            recovery: None,
        })
    }

    /// Adds what manifests say, under what is stated besides.
    fn take(&mut self, made: Made, diagnostics: &mut Vec<Diagnostic>) {
        let is_stated =
            |name: &str, places: &[PlaceSpec]| places.iter().any(|place| place.name.value == name);
        let unplaced = made.unplaced.into_iter();
        self.unplaced.extend(unplaced.filter(|name| !is_stated(name, &self.places)));
        let places: Vec<PlaceSpec> = made
            .places
            .into_iter()
            .filter(|place| !is_stated(&place.name.value, &self.places))
            .collect();
        self.places.extend(places);
        self.data_sets.extend(made.data_sets);
        for archive in made.archives {
            let is_its = |it: &&mut ArchiveSpec| {
                let name = it.of.value.as_str();
                archive.of.value == name || archive.of.value.split('/').nth(1) == Some(name)
            };
            match self.archives.iter_mut().find(is_its) {
                Some(stated) => *stated = overlay::archive(&archive, stated, diagnostics),
                None => self.archives.push(archive),
            }
        }
        let (mut policies, mut makers) = (Vec::new(), Vec::new());
        let mut used = vec![false; self.policies.len()];
        for one in &made.policies {
            let names = [&one.spec.name.value, &one.maker];
            let stated = names.iter().find_map(|name| {
                self.policies.iter().position(|policy| policy.name.value == **name)
            });
            policies.push(match stated {
                Some(idx) => {
                    used[idx] = true;
                    overlay::overlaid(one, &self.policies[idx], diagnostics)
                }
                None => one.spec.clone(),
            });
            makers.push(Some(one.maker.clone()));
        }
        let mut used = used.into_iter();
        self.policies.retain(|_| !used.next().unwrap_or(false));
        self.makers = vec![None; self.policies.len()];
        self.policies.extend(policies);
        self.makers.extend(makers);
    }
}

impl Resolver<'_> {
    /// Everything about backups; nothing when neither a document nor a manifest says anything.
    pub(super) fn backups(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let (of_platform, of_scenario) =
            (platform.spec.backups.as_ref(), scenario.spec.backups.as_ref());
        let stated = Merged::of(of_platform, of_scenario, self);
        let databases = &self.names.databases;
        let mut found = Vec::new();
        let nodes = &self.blueprint.nodes;
        let made = made::made(self.manifests, databases, nodes, stated.as_ref(), &mut found);
        found.retain(|it: &Diagnostic| it.span.is_none_or(|span| self.is_mine(span)));
        self.diagnostics.append(&mut found);
        let Some(mut merged) = stated.or_else(|| Merged::of_manifests(&made)) else { return };
        merged.take(made, self.diagnostics);
        let history = merged.history.map_or(HISTORY, |it| it.value);
        if history > HISTORY_MAX {
            let span = merged.history.map_or(merged.span, |it| it.span);
            self.report(Code::E0021, span, "the history of a platform is at most ten years");
        }
        self.blueprint.protection =
            Protection { account: merged.account.clone(), history, ..Protection::default() };
        let mut spans = BackupSpans::default();
        self.data_sets(&merged, &mut spans);
        self.places(&merged, &platform.spec.region.jurisdiction.value);
        self.keys(&merged, &platform.spec.region.jurisdiction.value);
        self.order(&merged);
        let rules: Vec<PlaceRules> =
            merged.places.iter().map(|place| self.place_rules(place)).collect();
        for (spec, maker) in merged.policies.iter().zip(&merged.makers) {
            if let Some(policy) = self.backup_policy(spec, &rules) {
                self.names.backups.policies.push(policy.name.clone());
                self.names.backups.makers.push(maker.clone());
                spans.policies.push(spec.name.span);
                self.blueprint.protection.policies.push(policy);
            }
        }
        for spec in &merged.archives {
            if let Some(archive) = self.archive(spec, &rules) {
                spans.archives.push(spec.of.span);
                self.blueprint.protection.archives.push(archive);
            }
        }
        if let Some(spec) = &merged.recovery {
            self.blueprint.protection.recovery = recovery(spec);
        } else {
            let text =
                "recovery by people takes the assumed times of each part, where nothing is stated";
            self.assume(text, &merged.span.origin());
        }
        self.note_accounts();
        self.lint(spans);
    }

    fn lint(&mut self, spans: BackupSpans) {
        if has_errors(self.diagnostics) {
            return;
        }
        let mut found = Vec::new();
        backups::check(&self.blueprint.protection, &spans, |span| self.is_mine(span), &mut found);
        self.diagnostics.append(&mut found);
    }

    /// Whether a place is the user's to change.
    pub(super) fn is_mine(&self, span: Span) -> bool {
        let file = self.blueprint.files.get(span.at.file_idx as usize).map_or("", String::as_str);
        !file.starts_with(library::PREFIX)
    }

    /// Entries of two lists by name: those of the second replace their namesakes of the first.
    pub(super) fn merged<T: Clone>(
        &mut self,
        first: &[T],
        second: &[T],
        name_of: impl Fn(&T) -> (String, Span),
    ) -> Vec<T> {
        for list in [first, second] {
            for (idx, item) in list.iter().enumerate() {
                let (name, span) = name_of(item);
                let earlier = list[..idx].iter().map(&name_of).find(|(other, _)| *other == name);
                if let Some((_, first_span)) = earlier {
                    let message = format!("there is a `{name}` already");
                    let diagnostic = Diagnostic::new(Code::E0018, span, message);
                    self.diagnostics.push(diagnostic.related(first_span, "first here"));
                }
            }
        }
        let is_replaced =
            |item: &&T| second.iter().any(|other| name_of(other).0 == name_of(item).0);
        first.iter().filter(|item| !is_replaced(item)).chain(second).cloned().collect()
    }

    /// Databases, etcd, and what else is named.
    fn data_sets(&mut self, merged: &Merged, spans: &mut BackupSpans) {
        let databases = (0..self.blueprint.databases.len()).map(DatabaseId::from_index);
        let mut names: Vec<String> = databases.map(|id| self.blueprint.database_name(id)).collect();
        names.push(ETCD.to_owned());
        // A database may be named without its namespace where that is clear.
        let mut specs: Vec<Option<&DataSetSpec>> = vec![None; names.len()];
        for spec in &merged.data_sets {
            let mut ignored = Vec::new();
            match look_up("", &spec.name, &names, &mut ignored) {
                Some(idx) => specs[idx] = Some(spec),
                None => {
                    names.push(spec.name.value.clone());
                    specs.push(Some(spec));
                }
            }
        }
        for (idx, (name, spec)) in names.iter().zip(specs).enumerate() {
            let data_set = self.data_set(idx, name, spec, &merged.account, merged.span);
            self.blueprint.protection.data_sets.push(data_set);
            spans.data_sets.push(spec.map_or(merged.span, |spec| spec.name.span));
        }
        self.names.backups.data_sets = names;
    }

    fn data_set(
        &mut self,
        idx: usize,
        name: &str,
        spec: Option<&DataSetSpec>,
        account: &str,
        span: Span,
    ) -> DataSet {
        let kind = self.kind_of(idx, name, spec);
        let span = spec.map_or(span, |spec| spec.name.span);
        let stated = spec.map(|spec| spec.zones.as_slice()).unwrap_or_default();
        let zones = match kind {
            DataSetKind::Etcd if stated.is_empty() => {
                self.blueprint.control_plane.voter_zones().to_vec()
            }
            _ => self.zones_named(stated),
        };
        let has_pool = spec.is_some_and(|spec| spec.pool.is_some());
        if zones.is_empty() && kind == DataSetKind::Other && !has_pool {
            let message = format!("nothing says where `{name}` stands");
            let help = "state `zones`, or the `workload` whose volumes it is";
            self.diagnostics.push(Diagnostic::new(Code::E0013, span, message).help(help));
        }
        let size_bytes = spec
            .and_then(|spec| spec.size)
            .map_or_else(|| self.size_of(kind), |size| size.value.count);
        let written = spec.and_then(|spec| spec.written).map(|it| it.value.count);
        let (written_by_itself, live_lag) = match kind {
            DataSetKind::Database(id) => {
                let database = &self.blueprint.databases[id.index()];
                let is_confirmed = match database.manager {
                    DatabaseManager::CloudNativePg => {
                        database.synchronous.is_some_and(|it| it.number > 0)
                    }
                    DatabaseManager::Patroni(patroni) => patroni.is_synchronous,
                };
                let lag = self.blueprint.parameters.replication_lag.most;
                let lag = if is_confirmed { SimSpan::ZERO } else { lag };
                (database.wal_bytes_per_second, lag)
            }
            _ => (0, SimSpan::ZERO),
        };
        let (pools, zones) = self.pools_of(kind, spec, zones);
        let limits =
            pools.iter().map(|id| self.blueprint.pools[id.index()].volume_bytes_per_second());
        let volume_bytes_per_second = limits.min().filter(|limit| *limit != u64::MAX);
        DataSet {
            name: name.to_owned(),
            kind,
            zones,
            pools,
            volume_bytes_per_second,
            is_replicated: spec
                .and_then(|spec| spec.replicated)
                .unwrap_or(!matches!(kind, DataSetKind::Volumes(_))),
            is_on_nodes: self.is_on_nodes(kind),
            account: spec
                .and_then(|spec| spec.account.as_ref())
                .map_or_else(|| account.to_owned(), |it| it.value.clone()),
            size_bytes,
            written_bytes_per_second: written.unwrap_or(written_by_itself),
            live_lag,
            restored_after: Vec::new(),
            discovery: spec.and_then(|spec| spec.discovery).map_or(DISCOVERY, |it| it.value),
            origin: span.origin(),
        }
    }

    /// Whether a data set lies on disks of nodes, by the class of its volumes.
    fn is_on_nodes(&self, kind: DataSetKind) -> bool {
        let workload = match kind {
            DataSetKind::Database(id) => self.blueprint.databases[id.index()].workload,
            DataSetKind::Volumes(workload) => workload,
            DataSetKind::Etcd | DataSetKind::Other => return false,
        };
        let class = self.class_of_volumes(workload);
        let classes = &self.blueprint.storage_classes;
        classes.iter().any(|it| Some(&it.name) == class.as_ref() && it.is_local)
    }

    fn kind_of(&mut self, idx: usize, name: &str, spec: Option<&DataSetSpec>) -> DataSetKind {
        if idx < self.blueprint.databases.len() {
            return DataSetKind::Database(DatabaseId::from_index(idx));
        }
        if name == ETCD {
            return DataSetKind::Etcd;
        }
        let workload = spec.and_then(|spec| spec.workload.as_ref());
        match workload.and_then(|name| self.workload(name)) {
            Some(workload) => DataSetKind::Volumes(workload),
            None => DataSetKind::Other,
        }
    }

    /// Bytes of the volumes of a data set.
    fn size_of(&self, kind: DataSetKind) -> u64 {
        let bytes = |sizes: &mut dyn Iterator<Item = i64>| -> u64 {
            let sizes = sizes.filter_map(|size| u64::try_from(size).ok());
            sizes.fold(0, u64::saturating_add)
        };
        match kind {
            DataSetKind::Etcd => ETCD_SIZE_BYTES,
            DataSetKind::Other => SIZE_BYTES,
            DataSetKind::Database(id) => {
                // The claim of the first instance: each holds everything.
                let database = &self.blueprint.databases[id.index()];
                let claim = self.blueprint.claims.iter().find(|claim| {
                    claim.namespace == database.namespace
                        && claim.name == format!("{}-1", database.name)
                });
                bytes(&mut claim.map(|claim| claim.size_bytes).into_iter()).max(1)
            }
            DataSetKind::Volumes(id) => {
                let workload = &self.blueprint.workloads[id.index()];
                let each = match &workload.kind {
                    WorkloadKind::StatefulSet { claims, .. } => {
                        bytes(&mut claims.iter().map(|claim| claim.size_bytes))
                    }
                    _ => SIZE_BYTES,
                };
                each.saturating_mul(u64::from(workload.replicas.max(1))).max(1)
            }
        }
    }

    pub(super) fn zones_named(&mut self, names: &[Spanned<String>]) -> Vec<ZoneId> {
        let mut zones = Vec::new();
        for name in names {
            match self.blueprint.zone_named(&name.value) {
                Some(zone) => zones.push(zone),
                None => {
                    let known: Vec<String> =
                        self.blueprint.zones.iter().map(|zone| zone.name.clone()).collect();
                    self.diagnostics.push(unknown_zone(name, &known));
                }
            }
        }
        zones
    }

    fn location(
        &mut self,
        zones: &[Spanned<String>],
        region: Option<&Spanned<String>>,
        account: Option<&Spanned<String>>,
        jurisdiction: Option<&Spanned<String>>,
        here: &str,
    ) -> Location {
        let region = region.filter(|it| it.value != self.blueprint.region);
        if let (Some(region), Some(zone)) = (region, zones.first()) {
            let message = "it stands in zones of this region or in another region";
            let diagnostic = Diagnostic::new(Code::E0017, region.span, message);
            self.diagnostics.push(diagnostic.related(zone.span, "besides this"));
        }
        let stated = self.zones_named(zones);
        let all = || (0..self.blueprint.zones.len()).map(ZoneId::from_index).collect();
        Location {
            zones: if stated.is_empty() && region.is_none() { all() } else { stated },
            zones_needed: 1,
            zones_needed_to_serve: 1,
            pool: None,
            region: region.map(|it| it.value.clone()),
            beside: None,
            account: account
                .map_or_else(|| self.blueprint.protection.account.clone(), |it| it.value.clone()),
            jurisdiction: jurisdiction.map_or_else(|| here.to_owned(), |it| it.value.clone()),
        }
    }

    fn places(&mut self, merged: &Merged, here: &str) {
        self.check_count("places", merged.places.len(), merged.span);
        for spec in &merged.places {
            let mut location = self.location(
                &spec.zones,
                spec.region.as_ref(),
                spec.account.as_ref(),
                spec.jurisdiction.as_ref(),
                here,
            );
            location.beside = spec.beside.as_ref().and_then(|name| self.data_set_named(name));
            self.stand_on_pool(spec, &mut location);
            if let Some(needed) = spec.zones_needed {
                let count = location.zones.len();
                if needed.value == 0 || needed.value as usize > count {
                    let message = format!("of {count} zones 1 to {count} can be needed");
                    self.report(Code::E0021, needed.span, message);
                }
                location.zones_needed = needed.value;
            }
            if merged.unplaced.contains(&spec.name.value) {
                self.ask_where(&spec.name);
                let count = u32::try_from(location.zones.len()).unwrap_or(u32::MAX);
                location.zones_needed = count.max(1);
            }
            let rate = |bytes: Option<Spanned<Bytes>>| {
                bytes.map_or(BYTES_PER_SECOND, |bytes| bytes.value.count.max(1))
            };
            self.names.backups.places.push(spec.name.value.clone());
            self.blueprint.protection.places.push(Place {
                name: spec.name.value.clone(),
                location,
                has_snapshots: spec.snapshots.unwrap_or(false),
                lock: spec.lock.map(|lock| lock.value),
                read_bytes_per_second: rate(spec.read),
                write_bytes_per_second: rate(spec.write),
                origin: spec.name.span.origin(),
            });
        }
    }

    /// W0162: until somebody says where a bucket stands, no promise may rest on it.
    fn ask_where(&mut self, name: &Spanned<String>) {
        let text = format!(
            "{}: stands in this region and account, and is lost with any of its zones, until \
             `places` says where it stands",
            name.value
        );
        self.assume(text, &name.span.origin());
        let message = format!("nothing says where `{}` stands", name.value);
        let help = format!(
            "backups: {{places: [{{name: '{}', region: …, account: …}}]}} in the Platform, or \
             `zones` of this region",
            name.value
        );
        if self.is_mine(name.span) {
            self.diagnostics.push(Diagnostic::new(Code::W0162, name.span, message).help(help));
        }
    }

    /// What a place says of everything in it.
    fn place_rules(&mut self, place: &PlaceSpec) -> PlaceRules {
        let copies = self.copies(&place.copies);
        let own = self.names.backups.places.iter().position(|it| *it == place.name.value);
        if copies.iter().any(|copy| Some(copy.to.index()) == own) {
            let message = format!("`{}` is copied to itself", place.name.value);
            self.report(Code::E0020, place.name.span, message);
        }
        PlaceRules { copies, key: self.key_of(place.key.as_ref()).flatten() }
    }

    fn check_count(&mut self, what: &str, count: usize, span: Span) {
        if count > PLACES_MAX {
            let message = format!("{count} {what}, where at most {PLACES_MAX} can be");
            self.report(Code::E0021, span, message);
        }
    }

    fn keys(&mut self, merged: &Merged, here: &str) {
        self.check_count("keys", merged.keys.len(), merged.span);
        for spec in &merged.keys {
            let is_kept_elsewhere = !spec.zones.is_empty() || spec.region.is_some();
            let kept_at = if is_kept_elsewhere || spec.kept_in.is_empty() {
                vec![self.location(
                    &spec.zones,
                    spec.region.as_ref(),
                    spec.account.as_ref(),
                    spec.jurisdiction.as_ref(),
                    here,
                )]
            } else {
                Vec::new()
            };
            let kept_in = spec.kept_in.iter().filter_map(|name| self.data_set_named(name));
            let kept_in = kept_in.collect();
            self.names.backups.keys.push(spec.name.value.clone());
            self.blueprint.protection.keys.push(Key {
                name: spec.name.value.clone(),
                kept_at,
                kept_in,
                origin: spec.name.span.origin(),
            });
        }
    }

    /// The order of restores, without circles.
    fn order(&mut self, merged: &Merged) {
        for spec in &merged.data_sets {
            let Some(id) = self.data_set_named(&spec.name) else { continue };
            for name in &spec.restored_after {
                let Some(other) = self.data_set_named(name) else { continue };
                if other == id || self.is_restored_after(other, id) {
                    let message = format!("`{}` waits for itself", spec.name.value);
                    self.report(Code::E0020, name.span, message);
                } else {
                    self.blueprint.protection.data_sets[id.index()].restored_after.push(other);
                }
            }
        }
    }

    fn is_restored_after(&self, from: DataSetId, to: DataSetId) -> bool {
        let mut open = vec![from];
        let mut seen = Vec::new();
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            if !seen.contains(&at) {
                seen.push(at);
                open.extend(&self.blueprint.protection.data_sets[at.index()].restored_after);
            }
        }
        false
    }

    fn backup_policy(
        &mut self,
        spec: &BackupPolicySpec,
        rules: &[PlaceRules],
    ) -> Option<BackupPolicy> {
        let of = self.needed("of", spec.of.as_ref(), spec);
        let method = self.needed("method", spec.method.as_ref(), spec);
        let schedule = self.needed("schedule", spec.schedule.as_ref(), spec);
        let to = self.needed("to", spec.to.as_ref(), spec);
        let data_set = of.and_then(|of| self.data_set_named(of));
        let to = to.and_then(|to| self.place_named(to));
        let copies = self.copies(&spec.copies);
        let key = self.key_of(spec.key.as_ref());
        let retention = self.retention(spec);
        let server = spec.server.as_ref().and_then(|name| self.workload(name));
        let (of, method, schedule) = (of?, method?, schedule?);
        let (data_set, to, key, retention) = (data_set?, to?, key?, retention?);
        let rules = &rules[to.index()];
        let known = &self.blueprint.protection.data_sets[data_set.index()];
        let (is_database, size_bytes) =
            (matches!(known.kind, DataSetKind::Database(_)), known.size_bytes);
        if method.value == Method::Base && !is_database {
            let message = format!("`{}` is no database: it has no base backup", of.value);
            self.report(Code::E0017, method.span, message);
        }
        if let Some(every) = spec.restore_test.filter(|it| it.value < RESTORE_TEST_MIN) {
            self.report(Code::E0021, every.span, "nobody restores more often than once a minute");
        }
        let moved = self.moved_by_default(method, data_set, to, size_bytes);
        if spec.failures.is_none() || spec.silent_failures.is_none() {
            let text = format!(
                "{}: 2 % of runs fail, 0.2 % in silence, where nothing is stated",
                spec.name.value
            );
            self.assume(text, &spec.name.span.origin());
        }
        Some(BackupPolicy {
            name: spec.name.value.clone(),
            data_set,
            method: method.value,
            schedule: schedule.value.schedule.clone(),
            is_paused: spec.paused.unwrap_or(false),
            to,
            copies: if copies.is_empty() { rules.copies.clone() } else { copies },
            retention,
            key: key.or(rules.key),
            lane: spec.lane.map(|lane| lane.value),
            server,
            overhead: spec.overhead.map_or(OVERHEAD, |it| it.value),
            hook: spec.hook.as_ref().map(hook),
            moved_bytes: spec.moves.map_or(moved, |it| it.value.count),
            timeout: spec.timeout.map(|it| it.value),
            failure_ppm: spec.failures.map_or(FAILURE_PPM, |it| it.value.ppm),
            silent_failure_ppm: spec.silent_failures.map_or(SILENT_FAILURE_PPM, |it| it.value.ppm),
            tested_every: spec.restore_test.map(|it| it.value).filter(|every| !every.is_zero()),
            restore_overhead: spec.restore_overhead.map_or(SimSpan::ZERO, |it| it.value),
            origin: spec.name.span.origin(),
        })
    }

    /// What a policy cannot do without.
    fn needed<'s, T>(
        &mut self,
        key: &str,
        value: Option<&'s Spanned<T>>,
        spec: &BackupPolicySpec,
    ) -> Option<&'s Spanned<T>> {
        if value.is_none() {
            let message = format!("a backup policy needs the key `{key}`");
            let makers = self.manifests.backups.makers();
            let help = suggestion(&spec.name.value, makers.iter().map(String::as_str));
            let help = help.unwrap_or_else(|| {
                "no manifest makes a policy of this name, which would say it".to_owned()
            });
            let diagnostic = Diagnostic::new(Code::E0013, spec.name.span, message);
            self.diagnostics.push(diagnostic.label("is missing here").help(help));
        }
        value
    }

    fn retention(&mut self, spec: &BackupPolicySpec) -> Option<Retention> {
        let keep = spec.keep.map(|it| (Retention::For(it.value), it.span));
        let window = spec.window.map(|it| (Retention::Window(it.value), it.span));
        let last = spec.last.map(|it| (Retention::Last(it.value), it.span));
        let mut stated = [keep, window, last].into_iter().flatten();
        match (stated.next(), stated.next()) {
            (Some((retention, _)), None) => Some(retention),
            (None, _) => {
                let message = "a policy needs one of `keep`, `window` and `last`";
                self.report(Code::E0017, spec.name.span, message);
                None
            }
            (Some((_, first)), Some((_, second))) => {
                let message = "of `keep`, `window` and `last` one says how long copies are kept";
                let diagnostic = Diagnostic::new(Code::E0017, second, message);
                self.diagnostics.push(diagnostic.related(first, "besides this"));
                None
            }
        }
    }

    fn archive(&mut self, spec: &ArchiveSpec, rules: &[PlaceRules]) -> Option<Archive> {
        let data_set = self.data_set_named(&spec.of);
        let to = self.place_named(&spec.to);
        let copies = self.copies(&spec.copies);
        let key = self.key_of(spec.key.as_ref());
        let (data_set, to, key) = (data_set?, to?, key?);
        let rules = &rules[to.index()];
        let known = &self.blueprint.protection.data_sets[data_set.index()];
        if !matches!(known.kind, DataSetKind::Database(_)) {
            let message = format!("`{}` is no database: it has no log", spec.of.value);
            self.report(Code::E0017, spec.of.span, message);
        }
        Some(Archive {
            data_set,
            to,
            copies: if copies.is_empty() { rules.copies.clone() } else { copies },
            key: key.or(rules.key),
            segment_bytes: spec.segment.map_or(16 << 20, |it| it.value.count.max(1)),
            timeout: spec.timeout.map_or(SimSpan::from_mins(5), |it| it.value),
            overhead: spec.overhead.map_or(SimSpan::from_secs(1), |it| it.value),
            parallel: spec.parallel.map_or(1, |it| it.value.max(1)),
            origin: spec.of.span.origin(),
        })
    }

    fn copies(&mut self, specs: &[CopySpec]) -> Vec<CopyRule> {
        let rule = |spec: &CopySpec| {
            let to = self.place_named(&spec.to)?;
            Some(CopyRule { to, lag: spec.lag.map_or(SimSpan::ZERO, |lag| lag.value) })
        };
        specs.iter().filter_map(rule).collect()
    }

    /// The key of a name; `None` inside when none is named.
    fn key_of(&mut self, name: Option<&Spanned<String>>) -> Option<Option<KeyId>> {
        match name {
            None => Some(None),
            Some(name) => self.key_named(name).map(Some),
        }
    }

    fn note_accounts(&mut self) {
        let protection = &self.blueprint.protection;
        let mut accounts = vec![protection.account.clone()];
        accounts.extend(protection.data_sets.iter().map(|it| it.account.clone()));
        accounts.extend(protection.places.iter().map(|it| it.location.account.clone()));
        let kept = protection.keys.iter().flat_map(|key| &key.kept_at);
        accounts.extend(kept.map(|location| location.account.clone()));
        accounts.sort();
        accounts.dedup();
        self.names.backups.accounts = accounts;
    }

    pub(super) fn data_set_named(&mut self, name: &Spanned<String>) -> Option<DataSetId> {
        let names = &self.names.backups.data_sets;
        let idx = look_up("data set", name, names, self.diagnostics)?;
        Some(DataSetId::from_index(idx))
    }

    pub(super) fn place_named(&mut self, name: &Spanned<String>) -> Option<PlaceId> {
        let idx = look_up("place", name, &self.names.backups.places, self.diagnostics)?;
        Some(PlaceId::from_index(idx))
    }

    pub(super) fn key_named(&mut self, name: &Spanned<String>) -> Option<KeyId> {
        let idx = look_up("key", name, &self.names.backups.keys, self.diagnostics)?;
        Some(KeyId::from_index(idx))
    }

    /// The policy of a name, or all that the object of a manifest of that name makes.
    pub(super) fn policies_named(&mut self, name: &Spanned<String>) -> Option<Vec<PolicyId>> {
        let names = &self.names.backups;
        let made = names.makers.iter().enumerate();
        let made: Vec<PolicyId> = made
            .filter(|(_, maker)| maker.as_deref() == Some(name.value.as_str()))
            .map(|(idx, _)| PolicyId::from_index(idx))
            .collect();
        if !made.is_empty() {
            return Some(made);
        }
        let idx = look_up("backup policy", name, &names.policies, self.diagnostics)?;
        Some(vec![PolicyId::from_index(idx)])
    }
}

fn hook(spec: &HookSpec) -> Hook {
    Hook {
        takes: spec.takes.map_or(HOOK, |it| it.value),
        after: spec.after.map_or(SimSpan::ZERO, |it| it.value),
        failure_ppm: spec.failures.map_or(0, |it| it.value.ppm),
        is_needed: spec.on_error.is_none_or(|it| it.value == OnError::Fail),
    }
}

fn recovery(spec: &RecoverySpec) -> Recovery {
    let default = Recovery::default();
    Recovery {
        detect: spec.detect.map_or(default.detect, |it| it.range),
        respond: spec.respond.map_or(default.respond, |it| it.range),
        decide: spec.decide.map_or(default.decide, |it| it.range),
        steps: spec
            .steps
            .iter()
            .map(|step| RunbookStep {
                name: step.name.value.clone(),
                takes: step.takes.range,
                error_ppm: step.errors.map_or(0, |share| share.value.ppm),
                error_takes: step.error_takes.map(|it| it.range).unwrap_or_default(),
            })
            .collect(),
        rebuild: spec.rebuild.map_or(default.rebuild, |it| it.range),
        provision: spec.provision.map_or(default.provision, |it| it.range),
        verify: spec.verify.map_or(default.verify, |it| it.range),
        parallel: spec.parallel.map_or(default.parallel, |it| it.value.max(1)),
        replay_bytes_per_second: spec
            .replay
            .map_or(default.replay_bytes_per_second, |it| it.value.count.max(1)),
        origin: spec.span.origin(),
    }
}
