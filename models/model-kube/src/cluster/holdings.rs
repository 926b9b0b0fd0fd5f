//! What pods hold of disks, inodes and process ids in time.
//!
//! As with memory nothing is looked at in between: what a pod holds is a line until something changes
//! it ([`crate::memory_growth`], leaks included).
//!
//! # Modelled
//! A base, growth while the containers of a pod run, leaks. Files stay when containers end and start
//! again, and when the node boots, and go with the pod; those of an `emptyDir` as soon as the pod is
//! over, finished ones included; processes end with the containers.
//! # Not modelled
//! Logs that grow with requests and are rotated; writable layers that go with a dead container;
//! volumes of images; files that a pod deletes; processes of pods of which nothing is stated.
//! # Defaults and their sources
//! What pods use is stated by the platform or the scenario. Volumes of a pod that has terminated are
//! torn down (`SyncTerminatedPod`, pkg/kubelet/kubelet.go, 1.36; kubernetes#37228), and its containers
//! left until somebody deletes it.
//! # Invariants
//! Without a profile nothing is kept and nothing happens.
//! # Checked against
//! Timelines worked out by hand.

use std::collections::BTreeMap;

use model_api::usage::{DiskPlace, NodeResource, UsageProfile};
use model_api::{Blueprint, PodId};
use sim_kernel::{EventId, Purpose, SimTime};

use super::Cluster;
use super::memory::Usage;
use crate::memory_growth::Growing;
use crate::node_pressure;

/// By resource, so that none changes the luck of another.
const VARIATION: [Purpose; 4] = [
    Purpose::new("unused"),
    Purpose::new("disk growth of a pod"),
    Purpose::new("file growth of a pod"),
    Purpose::new("process growth of a pod"),
];

/// One profile, with how much of the disk a pod may use.
#[derive(Debug)]
pub(super) struct HeldTable {
    profile: UsageProfile,
    limit: Option<u64>,
}

impl HeldTable {
    /// By workload.
    pub(super) fn all(blueprint: &Blueprint) -> Vec<Vec<Self>> {
        if blueprint.usage.is_empty() {
            return Vec::new();
        }
        let mut tables: Vec<Vec<Self>> = blueprint.workloads.iter().map(|_| Vec::new()).collect();
        for profile in &blueprint.usage {
            let spec = &blueprint.workloads[profile.workload.index()].template.spec;
            let is_disk = profile.resource == NodeResource::Disk;
            let limit = node_pressure::storage_limit(spec, &profile.place).filter(|_| is_disk);
            tables[profile.workload.index()].push(Self { profile: profile.clone(), limit });
        }
        tables
    }
}

/// What one pod holds of one resource.
#[derive(Clone, Copy, Debug)]
struct Held {
    resource: NodeResource,
    base: u64,
    growing: Growing,
    began_at: SimTime,
    factor_ppm: u32,
    runs: bool,
    limit: Option<u64>,
    /// It lies in a volume, not in a container.
    is_volume: bool,
}

impl Held {
    fn usage(&self) -> Usage {
        Usage { steady_bytes: self.base, growing: self.growing }
    }
}

/// What pods hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Holdings {
    pods: BTreeMap<PodId, Vec<Held>>,
}

impl Cluster {
    /// The containers of a pod run.
    pub(super) fn hold_more(&mut self, id: PodId, now: SimTime) {
        if !self.tables.pressure.is_used() {
            return;
        }
        let tables = self.tables.clone();
        let workload = self.pods[id.index()].workload;
        let Some(held_tables) = tables.pressure.held(workload).filter(|it| !it.is_empty()) else {
            return;
        };
        self.touch_node_of(id);
        let mut held = self.holdings.pods.remove(&id).unwrap_or_default();
        for HeldTable { profile, limit } in held_tables {
            let resource = profile.resource;
            let stated = self.growth_of(id, resource, profile.growth);
            if let Some(one) = held.iter_mut().find(|it| it.resource == resource) {
                one.growing.set_growth(stated.times_ppm(one.factor_ppm), now);
                one.runs = true;
                continue;
            }
            let variation = u64::from(profile.variation_ppm);
            let draw = self.draw(self.pods[id.index()].key, VARIATION[resource.index()], 0);
            let factor = draw.range_inclusive(1_000_000 - variation, 1_000_000 + variation);
            let factor_ppm = u32::try_from(factor).expect("at most twice a million");
            held.push(Held {
                resource,
                base: profile.base,
                growing: Growing::from(now, stated.times_ppm(factor_ppm)),
                began_at: now,
                factor_ppm,
                runs: true,
                limit: *limit,
                is_volume: matches!(profile.place, DiskPlace::EmptyDir(_)),
            });
        }
        self.holdings.pods.insert(id, held);
    }

    /// The containers of a pod ended: its processes are gone, its files stay.
    pub(super) fn hold_no_more(&mut self, id: PodId, now: SimTime) {
        if let Some(held) = self.holdings.pods.get_mut(&id) {
            held.retain(|one| one.resource != NodeResource::Processes);
            for one in held {
                one.growing.set_growth(model_api::memory::Growth::ZERO, now);
                one.runs = false;
            }
            self.touch_node_of(id);
        }
    }

    /// Nothing of a pod is left on its node.
    pub(super) fn let_go(&mut self, id: PodId) {
        if self.holdings.pods.remove(&id).is_some() {
            self.touch_node_of(id);
        }
    }

    /// A pod is over, and its kubelet tears its volumes down.
    pub(super) fn tear_volumes_down(&mut self, id: PodId) {
        if let Some(held) = self.holdings.pods.get_mut(&id) {
            let count = held.len();
            held.retain(|one| !one.is_volume);
            if held.len() < count {
                self.touch_node_of(id);
            }
        }
    }

    /// How fast a pod takes a resource has changed.
    pub(super) fn change_held_growth(&mut self, id: PodId, resource: NodeResource, now: SimTime) {
        let workload = self.pods[id.index()].workload;
        let tables = self.tables.clone();
        let mut held_tables = tables.pressure.held(workload).into_iter().flatten();
        let Some(table) = held_tables.find(|it| it.profile.resource == resource) else { return };
        let growth = self.growth_of(id, resource, table.profile.growth);
        let held = self.holdings.pods.get_mut(&id).into_iter().flatten();
        for one in held.filter(|it| it.resource == resource && it.runs) {
            one.growing.set_growth(growth.times_ppm(one.factor_ppm), now);
        }
        self.touch_node_of(id);
    }

    /// What a pod holds of a resource.
    pub(super) fn held_of(&self, id: PodId, resource: NodeResource) -> Usage {
        let mut held = self.holdings.pods.get(&id).into_iter().flatten();
        let nothing = Usage { steady_bytes: 0, growing: Growing::default() };
        held.find(|it| it.resource == resource).map_or(nothing, Held::usage)
    }

    /// What a kubelet finds that a pod holds of a resource while its containers do not run: what lies in
    /// its volumes (`podDiskUsage`, pkg/kubelet/eviction/helpers.go; `removeTerminatedContainers`,
    /// pkg/kubelet/stats/cri_stats_provider.go, 1.36).
    pub(super) fn in_volumes_of(&self, id: PodId, resource: NodeResource, now: SimTime) -> u64 {
        let held = self.holdings.pods.get(&id).into_iter().flatten();
        let in_volumes = held.filter(|one| one.resource == resource && one.is_volume);
        in_volumes.map(|one| one.usage().bytes_at(now)).sum()
    }

    /// What a pod holds of a resource at a moment; of a disk in bytes.
    pub fn held_at(&self, pod: PodId, resource: NodeResource, now: SimTime) -> u64 {
        self.held_of(pod, resource).bytes_at(now)
    }

    /// What made a pod hold so much, if a leak did, with what it grew by.
    pub(super) fn held_leak_of(
        &self,
        id: PodId,
        resource: NodeResource,
        at: SimTime,
    ) -> Option<(u64, EventId)> {
        let held = self.holdings.pods.get(&id)?.iter().find(|it| it.resource == resource)?;
        let leak = self.leak_since(id, resource, held.began_at)?;
        Some((held.growing.bytes_at(at), leak))
    }

    /// When a pod uses more of the disk than it may.
    pub(super) fn exceeds_storage_limit(&self, id: PodId) -> Option<SimTime> {
        let held = self.holdings.pods.get(&id)?;
        let limited = held.iter().filter_map(|one| one.usage().exceeds(one.limit?));
        limited.min()
    }
}
