//! Where members of the control plane stand, what leads to them, and faults of single ones.

use model_api::SimSpan;
use model_api::blueprint::ApiBalancer;
use model_api::control_plane::{EndpointReconciler, MemberPart};
use model_api::fault::{ControlPlaneFault, FaultKind, MemberPick};

use crate::support::{Memory, PLATFORM, load_all, said, web};

fn with_control_plane(text: &str, more: &str) -> Memory {
    let platform = PLATFORM.replace("{zones: [az-a, az-b, az-b]}", text);
    web(more).with("small.yaml", platform)
}

#[test]
fn etcd_stands_beside_api_servers_or_apart() {
    let stacked = load_all(&web(""), &["web.yaml"], &[]).resolved.expect("it is well").blueprint;
    let stacked = stacked.control_plane;
    assert!(stacked.is_stacked() && stacked.quorum() == 2 && stacked.balancer.is_none());
    assert!((0..3).all(|member| stacked.has_server(member) && stacked.has_etcd(member)));
    let text = "{zones: [az-a, az-b], etcd: {zones: [az-a, az-a, az-b, az-b, az-b]}, loadBalancer: {fall: 3}}";
    let loaded = load_all(&with_control_plane(text, ""), &["web.yaml"], &[]);
    let apart = loaded.resolved.expect("it is well").blueprint.control_plane;
    assert_eq!((apart.quorum(), apart.zones().count()), (3, 7));
    let roles = (0..7).map(|member| (apart.has_server(member), apart.has_etcd(member)));
    assert!(roles.enumerate().all(|(member, roles)| roles == (member < 2, member >= 2)));
    assert_eq!(apart.balancer, Some(ApiBalancer { fall: 3, ..ApiBalancer::default() }));
}

#[test]
fn controllers_stand_beside_api_servers_or_apart() {
    let text = "{zones: [az-a, az-b], controllerManager: {zones: [az-b, az-b]}, scheduler: {zones: [az-a]}, \
                endpointReconcilerType: lease}";
    let loaded = load_all(&with_control_plane(text, ""), &["web.yaml"], &[]);
    let apart = loaded.resolved.expect("it is well").blueprint.control_plane;
    assert_eq!((apart.quorum(), apart.zones().count()), (2, 5));
    let managers = (0..5).filter(|it| apart.runs_controller_manager(*it));
    assert_eq!(managers.collect::<Vec<usize>>(), [2, 3]);
    assert_eq!((0..5).filter(|it| apart.runs_scheduler(*it)).collect::<Vec<usize>>(), [4]);
    assert!((0..5).all(|it| apart.has_etcd(it) == (it < 2) && apart.has_server(it) == (it < 2)));
    assert_eq!(apart.endpoint_reconciler, Some(EndpointReconciler::Lease));
}

#[test]
fn faults_hit_one_member_unless_more_are_asked_for() {
    let fault = |text: &str| {
        let files = with_control_plane(
            "{zones: [az-a, az-b, az-b], loadBalancer: {}}",
            &format!("  faults: [{{{text}}}]\n"),
        );
        let loaded = load_all(&files, &["web.yaml"], &[]);
        let said = said(&loaded);
        match loaded.resolved.unwrap_or_else(|| panic!("{said:?}")).faults.faults.remove(0).kind {
            FaultKind::ControlPlane(kind) => kind,
            other => panic!("{other:?}"),
        }
    };
    let one = MemberPick { zone: None, count: 1, leads: None };
    let down = |part, pick| ControlPlaneFault::MemberDown { part, pick };
    assert_eq!(fault("etcdMemberDown: {at: 1m}"), down(MemberPart::Etcd, one));
    assert_eq!(fault("apiServerDown: {at: 1m, for: 5m}"), down(MemberPart::ApiServer, one));
    let pick = MemberPick { count: 2, leads: Some(false), ..one };
    assert_eq!(
        fault("etcdMemberDown: {which: follower, count: 2, at: 1m}"),
        down(MemberPart::Etcd, pick)
    );
    let (pick, latency) = (MemberPick { leads: Some(true), ..one }, SimSpan::from_millis(300));
    assert_eq!(
        fault("etcdSlowDisk: {which: leader, latency: 300ms, at: 1m}"),
        ControlPlaneFault::SlowDisk { pick, latency }
    );
    assert_eq!(fault("apiBalancerOutage: {at: 1m}"), ControlPlaneFault::ApiBalancerOutage);
    assert_eq!(fault("cloudApiOutage: {at: 1m}"), ControlPlaneFault::CloudApiOutage);
}

#[test]
fn what_is_wrong_or_odd_is_said() {
    let balancer = "{zones: [az-a, az-b, az-b], loadBalancer: {}}";
    let cases = [
        ("{zones: [az-a, az-b, az-b]}", "apiBalancerOutage: {at: 1m}", "E0095"),
        (balancer, "etcdMemberDown: {count: 0, at: 1m}", "E0096"),
        (balancer, "etcdSlowDisk: {latency: 0s, at: 1m}", "E0096"),
        (balancer, "etcdMemberDown: {which: chief, at: 1m}", "E0014"),
        (balancer, "apiServerDown: {which: leader, at: 1m}", "E0012"),
        ("{zones: [az-a], loadBalancer: {rise: 0}}", "apiServerDown: {at: 1m}", "E0097"),
        ("{zones: [az-a], loadBalancer: {interval: 0s}}", "apiServerDown: {at: 1m}", "E0097"),
        ("{zones: [az-a], etcd: {zones: []}}", "apiServerDown: {at: 1m}", "E0027"),
        ("{zones: [az-a], etcd: {zones: [az-c]}}", "apiServerDown: {at: 1m}", "E0016"),
        (
            "{zones: [az-a], etcd: {zones: [az-a, az-a, az-a, az-b]}}",
            "apiServerDown: {at: 1m}",
            "W0205",
        ),
        ("{zones: [az-a], etcd: {zones: [az-a, az-b]}}", "apiServerDown: {at: 1m}", "W0238"),
        ("{zones: [az-a], scheduler: {zones: []}}", "apiServerDown: {at: 1m}", "E0027"),
        ("{zones: [az-a], controllerManager: {zones: [az-c]}}", "apiServerDown: {at: 1m}", "E0016"),
        ("{zones: [az-a], scheduler: {zones: [az-b, az-b]}}", "apiServerDown: {at: 1m}", "W0360"),
        ("{zones: [az-a], endpointReconcilerType: none}", "apiServerDown: {at: 1m}", "W0361"),
        ("{zones: [az-a], endpointReconcilerType: leases}", "apiServerDown: {at: 1m}", "E0014"),
    ];
    for (control_plane, fault, expected) in cases {
        let files = with_control_plane(control_plane, &format!("  faults: [{{{fault}}}]\n"));
        let lines = said(&load_all(&files, &["web.yaml"], &[]));
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{control_plane} {fault}\n{lines:?}"
        );
    }
}

#[test]
fn a_rollout_of_a_paused_deployment_is_warned_of() {
    let paused = crate::support::WEB.replace("  replicas: 2\n", "  replicas: 2\n  paused: true\n");
    let rollout = "rollout: {workload: shop/web, image: 'web:2', at: 5m}";
    let cases = [
        (paused.as_str(), format!("{{{rollout}}}"), true),
        (
            paused.as_str(),
            format!("{{{rollout}}}, {{resume: {{workload: shop/web, at: 4m}}}}"),
            false,
        ),
        (crate::support::WEB, format!("{{{rollout}}}"), false),
        (
            crate::support::WEB,
            format!("{{suspend: {{workload: shop/web, at: 1m}}}}, {{{rollout}}}"),
            true,
        ),
    ];
    for (manifest, faults, expected) in cases {
        let files = web(&format!("  faults: [{faults}]\n")).with("web.yaml", manifest);
        let lines = said(&load_all(&files, &["web.yaml"], &[]));
        let is_said = lines.iter().any(|line| line.contains("W0206"));
        assert_eq!(is_said, expected, "{faults}\n{lines:?}");
    }
}
