//! Disks, inodes and process ids of pods: what is stated, what is assumed, what is refused.

use model_api::fault::FaultKind;
use model_api::kube::ResourceList;
use model_api::memory::Growth;
use model_api::usage::{DiskPlace, NodeResource, UsageProfile};
use scenario_format::Resolved;

use crate::support::{Memory, PLATFORM, WEB, load_all, said, web};

/// A platform whose nodes have disks, and pods with a scratch volume.
fn files(more: &str) -> Memory {
    let platform = PLATFORM.replace("memory: 8Gi", "memory: 8Gi, disk: 100Gi");
    assert_ne!(platform, PLATFORM, "a pool of the platform has 8Gi of memory");
    let volumes = "      volumes:\n        - {name: scratch, emptyDir: {sizeLimit: 5Gi}}\n        - {name: shm, emptyDir: {medium: Memory}}\n      containers:\n";
    let manifest = WEB.replacen("      containers:\n", volumes, 1);
    assert_ne!(manifest, WEB);
    web(more).with("small.yaml", platform).with("web.yaml", manifest)
}

fn resolved(more: &str) -> Resolved {
    let loaded = load_all(&files(more), &["web.yaml"], &[]);
    let said = said(&loaded);
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}"))
}

#[test]
fn a_disk_profile_is_of_bytes_and_of_files() {
    let text = "  disk: [{workload: web, volume: scratch, base: 1Gi, growth: 1Gi/h, files: 9, newFiles: 2/s, variation: 2%}]\n";
    let found = resolved(text);
    let [bytes, inodes] = found.blueprint.usage.try_into().expect("two");
    let place = DiskPlace::EmptyDir("scratch".to_owned());
    let growth = Growth { bytes_per_day: 24 << 30 };
    let expected = UsageProfile {
        workload: bytes.workload,
        resource: NodeResource::Disk,
        base: 1 << 30,
        growth,
        variation_ppm: 20_000,
        place,
        origin: bytes.origin.clone(),
    };
    assert_eq!(bytes, expected);
    assert_eq!((inodes.resource, inodes.base), (NodeResource::Inodes, 9));
    assert_eq!(inodes.growth, Growth { bytes_per_day: 172_800 });
    let volumes = &found.blueprint.workloads[0].template.spec.empty_dirs;
    assert_eq!(volumes.len(), 1, "one in memory is none");
    assert_eq!(volumes[0].size_limit_bytes, Some(5 << 30));
    // A tenth is the hard threshold, and no pod may request it.
    let disk = found.blueprint.nodes[0].node.allocatable.get(ResourceList::EPHEMERAL_STORAGE);
    assert_eq!(disk, Some((100 << 30) / 10 * 9));
}

#[test]
fn leaks_of_disks_and_of_processes_are_of_one_thing() {
    let kind =
        |text: &str| resolved(&format!("  faults: [{{{text}}}]\n")).faults.faults.remove(0).kind;
    let of = |kind: FaultKind| match kind {
        FaultKind::UsageLeak { resource, count, growth, .. } => (resource, count, growth),
        other => panic!("{other:?}"),
    };
    let day = |bytes_per_day| Growth { bytes_per_day };
    assert_eq!(
        of(kind("diskLeak: {workload: web, growth: 1Gi/d, count: 2, at: 1m}")),
        (NodeResource::Disk, Some(2), day(1 << 30))
    );
    assert_eq!(
        of(kind("diskLeak: {workload: web, newFiles: 10/s, at: 1m}")),
        (NodeResource::Inodes, None, day(864_000))
    );
    assert_eq!(
        of(kind("processLeak: {workload: web, growth: 1/s, at: 1m}")),
        (NodeResource::Processes, None, day(86_400))
    );
}

#[test]
fn what_cannot_be_is_refused_and_what_misleads_warned_of() {
    let cases = [
        ("  disk: [{workload: web, volume: scrach}]\n", "s.yaml:7:34: E0016"),
        ("  disk: [{workload: web, volume: shm}]\n", "s.yaml:7:34: E0016"),
        ("  disk: [{workload: web, container: web, volume: scratch}]\n", "s.yaml:7:50: E0017"),
        ("  disk: [{workload: web}, {workload: web}]\n", "s.yaml:7:38: E0018"),
        ("  processes: [{workload: web}]\n", "s.yaml:7:15: E0013"),
        ("  faults: [{diskLeak: {workload: web, at: 1m}}]\n", "s.yaml:7:23: E0049"),
        ("  faults: [{processLeak: {workload: web, growth: 1/s, at: 1m}}]\n", "s.yaml:7:50: W0182"),
    ];
    for (more, expected) in cases {
        let lines = said(&load_all(&files(more), &["web.yaml"], &[]));
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{more}{lines:?}");
    }
    let lines = said(&load_all(&web("  disk: [{workload: web}]\n"), &["web.yaml"], &[]));
    assert!(lines.iter().any(|line| line.starts_with("s.yaml:7:10: W0179")), "{lines:?}");
}
