//! Memory of pods: what is stated, what is assumed, what is refused.

use model_api::fault::FaultKind;
use model_api::memory::{Growth, MemoryProfile};
use scenario_format::Resolved;

use crate::support::{PLATFORM, load_all, said, web};

const MIB: u64 = 1 << 20;

fn resolved(more: &str) -> Resolved {
    let loaded = load_all(&web(more), &["web.yaml"], &[]);
    let said = said(&loaded);
    loaded.resolved.unwrap_or_else(|| panic!("{said:?}"))
}

fn profiles(more: &str) -> Vec<MemoryProfile> {
    resolved(more).blueprint.memory
}

#[test]
fn a_profile_says_how_much_and_how_fast() {
    let text = "  memory:\n    - {workload: shop/web, container: web, base: 200Mi, growth: 5Mi/h, variation: 2%, perRequest: 64Ki}\n";
    let [profile] = profiles(text).try_into().expect("one");
    assert_eq!(profile.base_bytes, 200 * MIB);
    assert_eq!(profile.growth, Growth { bytes_per_day: 120 * MIB });
    assert_eq!((profile.container, profile.variation_ppm), (0, 20_000));
    assert_eq!(profile.per_request_bytes, 64 << 10);
    assert_eq!(profiles(""), []);
}

#[test]
fn what_is_left_open_is_assumed_and_said() {
    let found = resolved("  memory: [{workload: web, base: 200Mi, growth: 5Mi/h}]\n");
    assert_eq!(found.blueprint.memory[0].variation_ppm, 100_000);
    let assumed = |part: &str| found.blueprint.assumptions.iter().any(|it| it.text.contains(part));
    assert!(assumed("10 % faster or slower"));
    assert!(assumed("use what they request"));
}

#[test]
fn a_scenario_says_it_instead_of_its_platform() {
    let platform = format!("{PLATFORM}  memory: [{{workload: shop/web, base: 200Mi}}]\n");
    let base = |more: &str| {
        let files = web(more).with("small.yaml", &platform);
        let loaded = load_all(&files, &["web.yaml"], &[]);
        loaded.resolved.expect("it is well").blueprint.memory[0].base_bytes
    };
    assert_eq!(base(""), 200 * MIB);
    assert_eq!(base("  memory: [{workload: shop/web, base: 300Mi}]\n"), 300 * MIB);
}

#[test]
fn a_leak_begins_at_what_is_requested() {
    let leak = "  faults: [{memoryLeak: {workload: shop/web, growth: 1Gi/d, count: 1, at: 1m}}]\n";
    let found = resolved(leak);
    let growth = Growth { bytes_per_day: 1 << 30 };
    assert!(matches!(found.faults.faults[0].kind,
        FaultKind::MemoryLeak { count: Some(1), growth: it, .. } if it == growth));
    let [profile] = found.blueprint.memory.try_into().expect("one");
    assert_eq!((profile.base_bytes, profile.growth), (64 * MIB, Growth::ZERO));
    let stated = format!("{leak}  memory: [{{workload: shop/web, base: 9Mi}}]\n");
    assert_eq!(profiles(&stated)[0].base_bytes, 9 * MIB);
}

#[test]
fn what_cannot_be_is_refused_at_its_place() {
    let cases = [
        (
            "  memory: [{workload: shop/web}]\n",
            "s.yaml:7:12: E0013: a memory profile needs the key `base`",
        ),
        (
            "  memory: [{workload: shop/wab, base: 1Mi}]\n",
            "s.yaml:7:23: E0016: there is no workload",
        ),
        ("  memory: [{workload: web, base: 1Mi, container: wob}]\n", "s.yaml:7:50: E0016"),
        ("  memory: [{workload: web, base: lots}]\n", "s.yaml:7:34: E0014"),
        ("  memory: [{workload: web, base: 1Mi, growth: 5Mi}]\n", "s.yaml:7:47: E0014"),
        ("  memory: [{workload: web, base: 1Mi, groth: 5Mi/h}]\n", "s.yaml:7:39: E0012"),
        (
            "  memory: [{workload: web, base: 1Mi}, {workload: shop/web, base: 2Mi}]\n",
            "s.yaml:7:51: E0018",
        ),
        ("  faults: [{memoryLeak: {workload: web, at: 1m}}]\n", "s.yaml:7:25: E0013"),
    ];
    for (more, expected) in cases {
        let lines = said(&load_all(&web(more), &["web.yaml"], &[]));
        assert!(lines.iter().any(|line| line.starts_with(expected)), "{more}{lines:?}");
    }
}

#[test]
fn limits_that_are_missing_or_too_small_are_warned_of() {
    let limited = |limit: &str, more: &str| {
        let manifest = crate::support::WEB
            .replace("memory: 64Mi}", &format!("memory: 64Mi}}, limits: {{{limit}}}"));
        let files = web(more).with("web.yaml", &manifest);
        said(&load_all(&files, &["web.yaml"], &[]))
    };
    let grows = "  memory: [{workload: web, base: 100Mi, growth: 1Mi/h}]\n";
    let warns = |lines: &[String], code: &str| lines.iter().any(|line| line.contains(code));
    assert!(warns(&limited("cpu: 1", grows), "s.yaml:7:49: W0181"));
    assert!(!warns(&limited("memory: 200Mi", grows), "W018"));
    assert!(warns(&limited("memory: 90Mi", grows), "s.yaml:7:34: W0180"));
    let steady = "  memory: [{workload: web, base: 100Mi}]\n";
    assert!(!warns(&limited("cpu: 1", steady), "W018"));
    let held = "  memory: [{workload: web, base: 100Mi, perRequest: 64Ki}]\n";
    assert!(warns(&limited("cpu: 1", held), "s.yaml:7:53: W0181"));
    let leak = "  faults: [{memoryLeak: {workload: web, growth: 1Gi/d, at: 1m}}]\n";
    assert!(warns(&limited("cpu: 1", leak), "s.yaml:7:49: W0181"));
}

#[test]
fn a_soft_threshold_needs_a_grace_period() {
    let with = |parameters: &str| {
        let platform = format!("{PLATFORM}  parameters: {{{parameters}}}\n");
        let files = web("  memory: [{workload: web, base: 1Mi}]\n").with("small.yaml", platform);
        said(&load_all(&files, &["web.yaml"], &[]))
    };
    let is_refused = |lines: &[String]| lines.iter().any(|line| line.contains(": E0050"));
    assert!(is_refused(&with("evictionSoftMemory: 500Mi")));
    assert!(!is_refused(&with("evictionSoftMemory: 500Mi, evictionSoftGracePeriod: 90s")));
    assert!(!is_refused(&with("evictionSoftMemory: 0")), "which is none");
}

#[test]
fn a_threshold_above_what_a_node_has_is_warned_of() {
    let with = |parameters: &str| {
        let platform = format!("{PLATFORM}  parameters: {{{parameters}}}\n");
        let lines = said(&load_all(&web("").with("small.yaml", platform), &["web.yaml"], &[]));
        lines.into_iter().filter(|line| line.contains(": W0183")).collect::<Vec<_>>()
    };
    assert_eq!(with("evictionMinimumReclaim: 1Gi"), [""; 0]);
    let found = with("evictionMinimumReclaim: 900Gi");
    assert!(found.len() == 1 && found[0].contains("can never be reclaimed"), "{found:?}");
    let found = with("evictionSoftMemory: 900Gi, evictionSoftGracePeriod: 90s");
    assert!(found.len() == 1 && found[0].contains("can never be available"), "{found:?}");
}

#[test]
fn an_expression_counts_whom_memory_ran_out_for() {
    let with = |cel: &str| {
        let more = format!("  guarantees: {{calm: {{cel: \"{cel}\"}}}}\n");
        said(&load_all(&web(&more), &["web.yaml"], &[]))
    };
    let good =
        with("workloads['shop/web'].memoryKills + workloads['shop/web'].memoryEvictions == 0");
    assert!(!good.iter().any(|line| line.contains(": E")), "{good:?}");
    for unknown in ["workloads['shop/wab'].memoryKills == 0", "workloads['shop/web'].kills == 0"] {
        let lines = with(unknown);
        assert!(lines.iter().any(|line| line.starts_with("s.yaml:7:28: E0016")), "{lines:?}");
    }
}
