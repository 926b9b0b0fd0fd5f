//! Versions of Kubernetes: what may run together, and which upgrade may follow.

use model_api::action::{Action, ControlPlaneUpgrade};
use model_api::fault::FaultKind;
use model_api::kube::Version;

use crate::support::{Memory, PLATFORM, load_all, said, scenario};

/// What is said of a platform of these versions that is upgraded like that.
fn says(control_plane: &str, pool: &str, faults: &str) -> Vec<String> {
    said(&load_all(&files(control_plane, pool, faults), &[], &[]))
}

fn files(control_plane: &str, pool: &str, faults: &str) -> Memory {
    let version = |text: &str| match text {
        "" => String::new(),
        text => format!(", version: '{text}'"),
    };
    let platform = PLATFORM
        .replacen(
            "controlPlane: {zones: [az-a, az-b, az-b]",
            &format!("controlPlane: {{zones: [az-a, az-b, az-b]{}", version(control_plane)),
            1,
        )
        .replacen("name: worker", &format!("name: worker{}", version(pool)), 1);
    assert_eq!(platform == PLATFORM, control_plane.is_empty() && pool.is_empty(), "{PLATFORM}");
    let faults = format!("  faults: [{faults}]\n");
    Memory::default().with("s.yaml", scenario(&faults)).with("small.yaml", platform)
}

fn check(says: &[String], expected: &str) {
    let found = says.iter().any(|line| line.contains(expected));
    assert!(found, "expected {expected:?} among\n{}", says.join("\n"));
}

#[test]
fn kubelets_that_do_not_fit_are_refused() {
    assert_eq!(says("1.36", "1.33", ""), Vec::<String>::new());
    check(&says("1.36", "1.32", ""), "E0029: kubelets of 1.32 are more than three versions older");
    check(&says("v1.36.2", "1.37", ""), "E0029: kubelets of 1.37 are newer than the API servers");
    check(&says("", "1.36", ""), "E0017: without `controlPlane.version`");
    check(&says("latest", "", ""), "E0014: `latest` is not a version such as 1.36");
}

#[test]
fn upgrades_skip_no_version_and_leave_no_kubelet_behind() {
    let to = |version: &str| format!("{{controlPlaneUpgrade: {{to: '{version}', at: 5m}}}}");
    assert_eq!(says("1.36", "1.34", &to("1.37")), Vec::<String>::new());
    check(
        &says("1.36", "", &to("1.38")),
        "E0029: a control plane of 1.36 does not become one of 1.38",
    );
    check(
        &says("1.36", "", &to("1.35")),
        "E0029: a control plane of 1.36 does not become one of 1.35",
    );
    check(&says("", "", &to("1.37")), "E0017: `to` needs `controlPlane.version`");
    check(&says("1.36", "1.33", &to("1.37")), "W0145: the kubelet of worker-az-a-1 is of 1.33");
    let nodes_first = format!("{{nodeUpgrade: {{pool: worker, at: 1m}}}}, {}", to("1.37"));
    assert_eq!(says("1.36", "1.33", &nodes_first), Vec::<String>::new());
    let nodes_later = format!("{{nodeUpgrade: {{pool: worker, at: 9m}}}}, {}", to("1.37"));
    check(&says("1.36", "1.33", &nodes_later), "W0145: the kubelet of worker-az-a-1 is of 1.33");
    let twice = format!("{}, {}", to("1.37"), to("1.38"));
    assert_eq!(says("1.36", "1.36", &twice), Vec::<String>::new());
    let ends = "{controlPlaneUpgrade: {at: 5m, for: 1m}}";
    check(&says("1.36", "", ends), "E0017: controlPlaneUpgrade does not end: nothing takes");
}

#[test]
fn an_upgrade_is_read() {
    let faults = "{controlPlaneUpgrade: {to: '1.37', reboots: true, force: true, at: 5m}}";
    let resolved = load_all(&files("1.36", "", faults), &[], &[]).resolved.expect("it is good");
    let expected = ControlPlaneUpgrade { to: Some(Version::new(37)), reboots: true, forces: true };
    let kind = FaultKind::Action(Action::ControlPlaneUpgrade(expected));
    assert_eq!(resolved.faults.faults[0].kind, kind);
    let worker = &resolved.blueprint.nodes[0];
    assert_eq!(worker.version, Some(Version::new(36)), "that of the control plane when not stated");
}
