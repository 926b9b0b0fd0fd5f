//! What disks, inodes and process ids pods use.

use std::collections::BTreeMap;

use model_api::WorkloadId;
use model_api::fault::FaultKind;
use model_api::kube::ResourceList;
use model_api::memory::Growth;
use model_api::usage::{DiskPlace, NodeResource, UsageProfile};

use super::Resolver;
use super::memory::VARIATION_PPM;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    DiskLeakSpec, DiskSpec, PlatformDocument, ProcessLeakSpec, ProcessesSpec, ScenarioDocument,
};
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};
use crate::units::{Rate, Share};

/// Profiles of a document, and of one that overrules it.
type Profiles = BTreeMap<(WorkloadId, NodeResource), UsageProfile>;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of disks and processes of pods.
    pub(super) fn usage(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let mut profiles = Profiles::new();
        for specs in [&platform.spec.disk, &scenario.spec.disk] {
            let mut stated = BTreeMap::new();
            for spec in specs {
                if let Some(id) = self.workload_once(&spec.workload, &mut stated) {
                    self.disk_profiles(id, spec, &mut profiles);
                }
            }
        }
        for specs in [&platform.spec.processes, &scenario.spec.processes] {
            let mut stated = BTreeMap::new();
            for spec in specs {
                if let Some(id) = self.workload_once(&spec.workload, &mut stated) {
                    let profile = process_profile(id, spec);
                    profiles.insert((id, profile.resource), profile);
                }
            }
        }
        self.blueprint.usage = profiles.into_values().collect();
        if let Some(first) = self.blueprint.usage.first() {
            let origin = first.origin.clone();
            let text = "pods of workloads of which it is not stated take nothing of disks, inodes and process ids";
            self.assume(text, &origin);
        }
    }

    /// A workload that a list names for the first time.
    fn workload_once(
        &mut self,
        name: &Spanned<String>,
        stated: &mut BTreeMap<WorkloadId, Span>,
    ) -> Option<WorkloadId> {
        let id = self.workload(name)?;
        if let Some(first) = stated.insert(id, name.span) {
            let message = format!("`{}` has a profile already", name.value);
            let diagnostic = Diagnostic::new(Code::E0018, name.span, message);
            self.diagnostics.push(diagnostic.related(first, "first here"));
            return None;
        }
        Some(id)
    }

    fn disk_profiles(&mut self, id: WorkloadId, spec: &DiskSpec, profiles: &mut Profiles) {
        let Some(place) = self.disk_place(id, spec) else { return };
        self.want_disks(spec.span);
        let of = |resource, base, growth| UsageProfile {
            workload: id,
            resource,
            base,
            growth,
            variation_ppm: variation(spec.variation),
            place: place.clone(),
            origin: spec.span.origin(),
        };
        let growth = spec.growth.map_or(Growth::ZERO, |it| it.value);
        let base = spec.base.map_or(0, |it| it.value.count);
        profiles.insert((id, NodeResource::Disk), of(NodeResource::Disk, base, growth));
        if spec.files.is_some() || spec.new_files.is_some() {
            let base = spec.files.map_or(0, |it| it.value);
            let growth = per_day(spec.new_files);
            profiles.insert((id, NodeResource::Inodes), of(NodeResource::Inodes, base, growth));
        }
    }

    /// Where the disk fills that a profile is about.
    fn disk_place(&mut self, id: WorkloadId, spec: &DiskSpec) -> Option<DiskPlace> {
        let Some(volume) = &spec.volume else {
            let container = match &spec.container {
                Some(name) => self.container(id, name)?,
                None => 0,
            };
            return Some(DiskPlace::Container(container));
        };
        if let Some(container) = &spec.container {
            let message = "of `container` and `volume` one says what fills";
            let diagnostic = Diagnostic::new(Code::E0017, volume.span, message);
            self.diagnostics.push(diagnostic.related(container.span, "besides this"));
            return None;
        }
        let volumes = &self.blueprint.workloads[id.index()].template.spec.empty_dirs;
        if volumes.iter().any(|it| it.name == volume.value) {
            return Some(DiskPlace::EmptyDir(volume.value.clone()));
        }
        let names: Vec<&str> = volumes.iter().map(|it| it.name.as_str()).collect();
        let workload = self.blueprint.workload_name(id);
        let message = format!("`{workload}` has no emptyDir volume `{}` on disk", volume.value);
        let help = suggestion(&volume.value, names);
        self.diagnostics.push(Diagnostic::new(Code::E0016, volume.span, message).help_if(help));
        None
    }

    /// Without the size of a disk nothing fills.
    fn want_disks(&mut self, span: Span) {
        let size = |node: &model_api::blueprint::NodeSpec| {
            node.node.allocatable.get(ResourceList::EPHEMERAL_STORAGE)
        };
        let nodes = &self.blueprint.nodes;
        if nodes.iter().all(|node| size(node).is_none_or(|bytes| bytes >= super::nodes::DISK_MAX)) {
            let message = "no node says how large its disk is, so that none fills";
            self.report(Code::W0179, span, message);
        }
    }

    /// Pods fill a disk. Those of a workload of which nothing is stated take nothing before.
    pub(super) fn disk_leak(&mut self, spec: &DiskLeakSpec) -> Option<FaultKind> {
        let workload = self.workload(&spec.workload)?;
        self.want_disks(spec.span);
        let (resource, growth) = match (spec.growth, spec.new_files) {
            (Some(growth), None) => (NodeResource::Disk, growth.value),
            (None, Some(files)) => (NodeResource::Inodes, per_day(Some(files))),
            _ => {
                let message = "one of `growth` and `newFiles` says what a disk runs out of";
                self.diagnostics.push(Diagnostic::new(Code::E0049, spec.span, message));
                return None;
            }
        };
        let count = spec.count.map(|count| count.value);
        self.want_profile(workload, resource, spec.span);
        Some(FaultKind::UsageLeak { workload, resource, count, growth })
    }

    /// Pods take process ids.
    pub(super) fn process_leak(&mut self, spec: &ProcessLeakSpec) -> Option<FaultKind> {
        let workload = self.workload(&spec.workload)?;
        let parameters = &self.blueprint.parameters;
        if parameters.eviction_hard_pids_ppm == 0 && parameters.eviction_soft_pids_ppm == 0 {
            let message =
                "no kubelet has a threshold of `pid.available`, so nothing is done about it";
            self.report(Code::W0182, spec.growth.span, message);
        }
        let (resource, growth) = (NodeResource::Processes, per_day(Some(spec.growth)));
        let count = spec.count.map(|count| count.value);
        self.want_profile(workload, resource, spec.span);
        Some(FaultKind::UsageLeak { workload, resource, count, growth })
    }

    fn want_profile(&mut self, workload: WorkloadId, resource: NodeResource, span: Span) {
        let usage = &mut self.blueprint.usage;
        if usage.iter().any(|it| it.workload == workload && it.resource == resource) {
            return;
        }
        usage.push(UsageProfile {
            workload,
            resource,
            base: u64::from(resource == NodeResource::Processes),
            growth: Growth::ZERO,
            variation_ppm: VARIATION_PPM,
            place: DiskPlace::default(),
            origin: span.origin(),
        });
    }
}

fn process_profile(id: WorkloadId, spec: &ProcessesSpec) -> UsageProfile {
    UsageProfile {
        workload: id,
        resource: NodeResource::Processes,
        base: spec.base.value,
        growth: per_day(spec.growth),
        variation_ppm: variation(spec.variation),
        place: DiskPlace::default(),
        origin: spec.span.origin(),
    }
}

fn variation(stated: Option<Spanned<Share>>) -> u32 {
    stated.map_or(VARIATION_PPM, |it| it.value.ppm)
}

/// A rate as so many a day.
fn per_day(rate: Option<Spanned<Rate>>) -> Growth {
    let per_day = |rate: Rate| rate.millirps.saturating_mul(86_400) / 1000;
    Growth { bytes_per_day: rate.map_or(0, |it| per_day(it.value)) }
}
