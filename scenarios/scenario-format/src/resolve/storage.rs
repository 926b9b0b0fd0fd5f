//! Storage pools: what is stated, what is assumed, which volumes stand on which.

use model_api::fault::{DiskCount, StorageFault, ZonePick};
use model_api::storage::{
    FailureDomain, GROUPS_MAX, OSDS_MAX, POOLS_MAX, Pool, Redundancy, VolumeLimits, WIDTH_MAX,
};
use model_api::{PoolId, WorkloadId, ZoneId};

use super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic, has_errors};
use crate::document::{
    DiskLossSpec, PlatformDocument, ScenarioDocument, SetMinSizeSpec, StoragePoolSpec, ThrottleSpec,
};
use crate::lint::storage;
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};

/// Machines in a zone and disks in each, when nothing is stated. Assumed.
const HOSTS_PER_ZONE: u32 = 4;
const OSDS_PER_HOST: u32 = 6;
/// Bytes that users keep in a pool that states none. Assumed.
const STORED_BYTES: u64 = 10 << 40;
/// Bytes a second that a spinning disk takes in while chunks are made anew: OS-5 of the specification
/// of platform services, an assumption there too.
const REBUILD_BYTES_PER_SECOND: u64 = 20_000_000;
/// Chunks that a disk should have: `mon_target_pg_per_osd` of Ceph 19 (`mgr.yaml.in`).
const CHUNKS_PER_OSD: u32 = 100;
/// Disks that fail a year: Backblaze 2025. Zones and pools that are destroyed: assumed.
const DISK_FAILURES_PPM: u32 = 13_600;
const ZONE_LOSSES_PPM: u32 = 3_000;
const MISTAKES_PPM: u32 = 1_000;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of storage pools.
    pub(super) fn storage_pools(
        &mut self,
        platform: &PlatformDocument,
        scenario: &ScenarioDocument,
    ) {
        let name_of = |spec: &StoragePoolSpec| (spec.name.value.clone(), spec.name.span);
        let (first, second) = (&platform.spec.storage_pools, &scenario.spec.storage_pools);
        let specs = self.merged(first, second, name_of);
        if let Some(spec) = specs.get(POOLS_MAX) {
            let message = format!("{} pools, where at most {POOLS_MAX} can be", specs.len());
            self.report(Code::E0021, spec.name.span, message);
            return;
        }
        for spec in &specs {
            let pool = self.storage_pool(spec);
            self.check_pool(spec, &pool);
            self.names.pools.push(pool.name.clone());
            self.blueprint.pools.push(pool);
        }
        self.check_classes(&specs);
        self.bind_classes();
        self.find_holders();
        // Of a pool that is wrong a rule would say what follows from that.
        if has_errors(self.diagnostics) {
            return;
        }
        let mut found = Vec::new();
        for (spec, pool) in specs.iter().zip(&self.blueprint.pools) {
            storage::check_pool(pool, spec.name.span, &mut found);
        }
        found.retain(|it| it.span.is_none_or(|span| self.is_mine(span)));
        self.diagnostics.append(&mut found);
    }

    fn storage_pool(&mut self, spec: &StoragePoolSpec) -> Pool {
        let all = || (0..self.blueprint.zones.len()).map(ZoneId::from_index).collect();
        let zones = if spec.zones.is_empty() { all() } else { self.zones_named(&spec.zones) };
        let monitor_zones = if spec.monitors.is_empty() {
            zones.iter().copied().cycle().take(if zones.is_empty() { 0 } else { 3 }).collect()
        } else {
            self.zones_named(&spec.monitors)
        };
        self.refuse_zones_twice(&spec.zones);
        let (redundancy, min_size) = self.redundancy(spec);
        let of = |value: Option<Spanned<u32>>, default: u32| value.map_or(default, |it| it.value);
        let mut pool = Pool {
            name: spec.name.value.clone(),
            zones,
            hosts_per_zone: of(spec.hosts_per_zone, HOSTS_PER_ZONE),
            osds_per_host: of(spec.osds_per_host, OSDS_PER_HOST),
            redundancy,
            min_size,
            failure_domain: spec.failure_domain.map_or(FailureDomain::Host, |it| it.value),
            monitor_zones,
            stored_bytes: spec.stored.map_or(STORED_BYTES, |it| it.value.count),
            group_count: 0,
            rebuild_bytes_per_second: spec
                .rebuild
                .map_or(REBUILD_BYTES_PER_SECOND, |it| it.value.count.max(1)),
            disk_failures_ppm_per_year: spec
                .disk_failures
                .map_or(DISK_FAILURES_PPM, |it| it.value.ppm),
            zone_losses_ppm_per_year: spec.zone_losses.map_or(ZONE_LOSSES_PPM, |it| it.value.ppm),
            mistakes_ppm_per_year: spec.mistakes.map_or(MISTAKES_PPM, |it| it.value.ppm),
            storage_classes: spec.storage_classes.iter().map(|it| it.value.clone()).collect(),
            holders: Vec::new(),
            stalled: spec.stalls.iter().filter_map(|name| self.workload(name)).collect(),
            registries: spec.registries.iter().map(|it| it.value.clone()).collect(),
            volume: VolumeLimits {
                iops: spec.volume_iops.map(|it| it.value.max(1)),
                bytes_per_second: spec.volume_bandwidth.map(|it| it.value.count.max(1)),
            },
            origin: spec.name.span.origin(),
        };
        let chunks = pool.osd_count().saturating_mul(CHUNKS_PER_OSD);
        let ideal = (chunks / redundancy.width().max(1)).clamp(1, GROUPS_MAX);
        // The power of two that is nearest from below.
        let default = 1 << ideal.ilog2();
        pool.group_count = of(spec.placement_groups, default);
        self.assume_of(spec);
        pool
    }

    /// Machines are counted by zone; monitors may well stand side by side.
    fn refuse_zones_twice(&mut self, names: &[Spanned<String>]) {
        for (idx, name) in names.iter().enumerate() {
            if names[..idx].iter().any(|earlier| earlier.value == name.value) {
                let message = format!("the zone `{}` is in the list already", name.value);
                self.diagnostics.push(Diagnostic::new(Code::E0018, name.span, message));
            }
        }
    }

    fn assume_of(&mut self, spec: &StoragePoolSpec) {
        let mut assumed = Vec::new();
        if spec.hosts_per_zone.is_none() || spec.osds_per_host.is_none() {
            assumed.push("4 machines of 6 disks in each zone");
        }
        if spec.stored.is_none() {
            assumed.push("10 TiB of data");
        }
        if spec.rebuild.is_none() {
            assumed.push("20 MB/s a disk while chunks are made anew");
        }
        if !assumed.is_empty() {
            let text =
                format!("{}: {}, where nothing is stated", spec.name.value, assumed.join(", "));
            self.assume(text, &spec.name.span.origin());
        }
    }

    fn redundancy(&mut self, spec: &StoragePoolSpec) -> (Redundancy, u32) {
        let (redundancy, min_size, span) = match (&spec.replicated, &spec.erasure_coded) {
            (Some(copies), Some(code)) => {
                let message = "a pool is replicated or erasure coded";
                let diagnostic = Diagnostic::new(Code::E0017, code.span, message);
                self.diagnostics.push(diagnostic.related(copies.span, "besides this"));
                return (Redundancy::default(), 2);
            }
            (None, Some(code)) => {
                let redundancy = Redundancy::Erasure { k: code.k.value, m: code.m.value };
                (redundancy, code.min_size, code.span)
            }
            (Some(copies), None) => {
                let redundancy = Redundancy::Replicated { size: copies.size.value };
                (redundancy, copies.min_size, copies.size.span)
            }
            (None, None) => (Redundancy::default(), None, spec.name.span),
        };
        let is_empty = match redundancy {
            Redundancy::Replicated { size } => size == 0,
            Redundancy::Erasure { k, m } => k == 0 || m == 0,
        };
        let width = match redundancy {
            Redundancy::Replicated { size } => size,
            Redundancy::Erasure { k, m } => k.saturating_add(m),
        };
        if is_empty || width > WIDTH_MAX {
            let message = format!(
                "a placement group has 1 to {WIDTH_MAX} chunks, and of a code at least one of each kind"
            );
            self.report(Code::E0021, span, message);
            return (Redundancy::default(), 2);
        }
        let default = redundancy.min_size_default();
        let Some(min_size) = min_size else { return (redundancy, default) };
        if min_size.value < redundancy.needed() || min_size.value > width {
            let message = format!(
                "`minSize` is {} to {width} here: data can be had from no fewer, and there are no more",
                redundancy.needed()
            );
            self.report(Code::E0068, min_size.span, message);
        }
        (redundancy, min_size.value)
    }

    /// Whether the rule of a pool finds room for every chunk, and whether it is small enough.
    fn check_pool(&mut self, spec: &StoragePoolSpec, pool: &Pool) {
        if pool.zones.is_empty() {
            return;
        }
        let span_of = |stated: Option<Spanned<u32>>| stated.map_or(spec.name.span, |it| it.span);
        let osd_count = u64::from(pool.hosts_per_zone)
            * u64::from(pool.osds_per_host)
            * pool.zones.len() as u64;
        if osd_count == 0 || osd_count > u64::from(OSDS_MAX) {
            let message = format!("{osd_count} disks, where 1 to {OSDS_MAX} can be");
            self.report(Code::E0021, span_of(spec.osds_per_host), message);
            return;
        }
        if pool.group_count == 0 || pool.group_count > GROUPS_MAX {
            let message = format!("1 to {GROUPS_MAX} placement groups are looked at one by one");
            self.report(Code::E0021, span_of(spec.placement_groups), message);
        }
        let zones = u32::try_from(pool.zones.len()).unwrap_or(u32::MAX);
        let (has, what) = match pool.failure_domain {
            FailureDomain::Zone => (pool.hosts_per_zone, "machines in a zone"),
            FailureDomain::Host => (pool.hosts_per_zone.saturating_mul(zones), "machines"),
            FailureDomain::Osd => (pool.osd_count(), "disks"),
        };
        let needs = match pool.failure_domain {
            FailureDomain::Zone => pool.chunks_by_zone().first().copied().unwrap_or(0),
            FailureDomain::Host | FailureDomain::Osd => pool.redundancy.width(),
        };
        if needs > has {
            let message = format!("each placement group needs {needs} {what}, and there are {has}");
            let help = "add `hostsPerZone`, or keep fewer chunks";
            let span = span_of(spec.hosts_per_zone);
            self.diagnostics.push(Diagnostic::new(Code::E0067, span, message).help(help));
        }
    }

    /// Classes exist, and a volume of one has one pool in each zone.
    fn check_classes(&mut self, specs: &[StoragePoolSpec]) {
        let mut taken: Vec<(&str, ZoneId, Span)> = Vec::new();
        for (spec, pool) in specs.iter().zip(&self.blueprint.pools) {
            for class in &spec.storage_classes {
                let known = self.blueprint.storage_classes.iter().map(|it| it.name.as_str());
                if !known.clone().any(|it| it == class.value) {
                    let message = format!("there is no StorageClass `{}`", class.value);
                    let help = suggestion(&class.value, known).unwrap_or_else(|| {
                        "pass its manifest: volumes of it are found by its name".to_owned()
                    });
                    let diagnostic = Diagnostic::new(Code::E0016, class.span, message);
                    self.diagnostics.push(diagnostic.help(help));
                    continue;
                }
                let clash = taken
                    .iter()
                    .find(|(name, zone, _)| *name == class.value && pool.zones.contains(zone));
                if let Some((_, zone, first)) = clash {
                    let zone = &self.blueprint.zones[zone.index()].name;
                    let message =
                        format!("volumes of `{}` in {zone} would stand in two pools", class.value);
                    let diagnostic = Diagnostic::new(Code::E0069, class.span, message);
                    self.diagnostics.push(diagnostic.related(*first, "the other one is here"));
                }
                taken.extend(
                    pool.zones.iter().map(|zone| (class.value.as_str(), *zone, class.span)),
                );
            }
        }
    }

    /// A volume of a pool in one zone is bound to that zone; one of a pool over several is not.
    fn bind_classes(&mut self) {
        let (classes, pools) = (&mut self.blueprint.storage_classes, &self.blueprint.pools);
        for class in classes {
            let mut its = pools.iter().filter(|pool| pool.storage_classes.contains(&class.name));
            let zone_counts: Vec<usize> = its.by_ref().map(|pool| pool.zones.len()).collect();
            if !zone_counts.is_empty() {
                class.is_zonal = zone_counts.iter().all(|count| *count == 1);
                class.is_local = false;
            }
        }
    }

    fn find_holders(&mut self) {
        for idx in 0..self.blueprint.workloads.len() {
            let id = WorkloadId::from_index(idx);
            let Some(class) = self.class_of_volumes(id) else { continue };
            let pools = self.blueprint.pools.iter_mut();
            for pool in pools.filter(|pool| pool.storage_classes.contains(&class)) {
                pool.holders.push(id);
            }
        }
    }

    pub(super) fn storage_pool_named(&mut self, name: &Spanned<String>) -> Option<PoolId> {
        let idx = look_up("storage pool", name, &self.names.pools, self.diagnostics)?;
        Some(PoolId::from_index(idx))
    }

    pub(super) fn disk_loss(&mut self, spec: &DiskLossSpec) -> Option<StorageFault> {
        let pool = self.storage_pool_named(&spec.pool)?;
        let zone = match &spec.zone {
            Some(name) => Some(self.zone_pick(name)?),
            None => None,
        };
        let is_destroyed = spec.destroyed.unwrap_or(false);
        let count = match (spec.hosts, spec.osds) {
            (Some(hosts), Some(osds)) => {
                let message = "of `hosts` and `osds` one says how many disks";
                let diagnostic = Diagnostic::new(Code::E0017, osds.span, message);
                self.diagnostics.push(diagnostic.related(hosts.span, "besides this"));
                return None;
            }
            (Some(hosts), None) => DiskCount::Hosts(hosts.value),
            (None, Some(osds)) => DiskCount::Osds(osds.value),
            (None, None) => DiskCount::All,
        };
        if let Some(ZonePick::Zone(id)) = zone
            && !self.blueprint.pools[pool.index()].zones.contains(&id)
        {
            let span = spec.zone.as_ref().map_or(spec.span, |name| name.span);
            let message = format!("`{}` has no disks in that zone", spec.pool.value);
            self.report(Code::W0129, span, message);
        }
        Some(StorageFault::DiskLoss { pool, zone, count, is_destroyed })
    }

    pub(super) fn throttle(&mut self, spec: &ThrottleSpec) -> Option<StorageFault> {
        let place = self.place_named(&spec.place)?;
        if spec.read.is_none() && spec.write.is_none() {
            let message = "a throttle needs `read`, `write` or both";
            self.report(Code::E0017, spec.span, message);
        }
        Some(StorageFault::Throttle {
            place,
            read_bytes_per_second: spec.read.map(|it| it.value.count.max(1)),
            write_bytes_per_second: spec.write.map(|it| it.value.count.max(1)),
        })
    }

    pub(super) fn set_min_size(&mut self, spec: &SetMinSizeSpec) -> Option<StorageFault> {
        let pool = self.storage_pool_named(&spec.pool)?;
        let redundancy = self.blueprint.pools[pool.index()].redundancy;
        let min_size = spec.min_size.value;
        if min_size < redundancy.needed() || min_size > redundancy.width() {
            let message = format!(
                "`minSize` of `{}` is {} to {}",
                spec.pool.value,
                redundancy.needed(),
                redundancy.width()
            );
            self.report(Code::E0068, spec.min_size.span, message);
        }
        Some(StorageFault::MinSize { pool, min_size })
    }
}
