//! Random bytes and mutations never make the reader panic, and what it says has places that exist.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::support::{PLATFORM, WEB, load_all, scenario, web};

/// The web Deployment with spans in its pods.
static TIMED_WEB: LazyLock<String> = LazyLock::new(|| {
    let of_pod = "      tolerations: [{key: slow, operator: Exists, effect: NoExecute, tolerationSeconds: 60}]\n      \
                  terminationGracePeriodSeconds: 45\n      containers:\n";
    let of_container = "          image: web:1\n          \
                        lifecycle: {preStop: {exec: {command: [sh, -c, sleep 15]}}}\n";
    WEB.replacen("      containers:\n", of_pod, 1).replacen(
        "          image: web:1\n",
        of_container,
        1,
    )
});

/// The small platform with timers of its own.
static TIMED_PLATFORM: LazyLock<String> = LazyLock::new(|| {
    let parameters = "  parameters: {podGcPeriod: 20s, nodeMonitorPeriod: 5s, leaderRetryPeriod: 2s, \
                      etcdElectionTimeout: 1s, watchLatency: [10ms, 100ms]}\n";
    format!("{PLATFORM}{parameters}")
});

/// Everything that is said must render, and every place must lie in its file.
fn survives(files: &crate::support::Memory, overrides: &[&str]) {
    let loaded = load_all(files, &["web.yaml"], overrides);
    let _ = loaded.render(false);
    for diagnostic in &loaded.diagnostics {
        let Some(span) = diagnostic.span else { continue };
        let source = loaded.sources.get(span.at.file_idx).expect("a file that was read");
        assert!(span.at.line >= 1 && span.at.column >= 1, "{diagnostic:?}");
        let line_count = source.text.matches('\n').count() + 2;
        assert!((span.at.line as usize) <= line_count, "{diagnostic:?}");
    }
}

/// A text with some of its bytes replaced, removed, doubled or moved.
fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), 0_u8..6, any::<u8>(), 1_usize..20),
        1..6,
    );
    edits.prop_map(move |edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (index, kind, byte, len) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            let end = (at + len).min(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => {
                    bytes.drain(at..end);
                }
                2 => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                3 => bytes.truncate(at),
                4 => {
                    let token: &[u8] = [
                        &b": "[..],
                        b"- ",
                        b"{",
                        b"]",
                        b"&a ",
                        b"*a",
                        b"\n---\n",
                        b"<<: ",
                        b"'",
                        b"!!int ",
                        b"999999999999999999999",
                        b"99999999999",
                        b"-1",
                        b"null",
                    ][byte as usize % 14];
                    bytes.splice(at..at, token.iter().copied());
                }
                _ => bytes.swap(at, end - 1),
            }
        }
        bytes
    })
}

const FULL: &str = "  runs: 5\n  load: [{service: shop/web, points: [{at: 0, rate: 5/s}, {at: 5m, rate: 7}]}]\n  faults:\n    - zonePowerLoss: {name: a, zone: random, within: [1m, 2m], for: 5m}\n    - nodeCrash: {of: shop/web, when: {faultStarted: a}, after: 5s}\n    - podCrash: {workload: shop/web, count: 1, when: {endpointsBelow: {service: shop/web, count: 1}}}\n  guarantees:\n    g: availability(*) >= 99% for 95% of runs\n    h: 'latency(shop/web, p99.9) <= 300ms'\n    i: {cel: \"services['shop/web'].outageSeconds < 5.0\", forRuns: 95%}\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutated_manifests(text in mutated(&TIMED_WEB)) {
        survives(&web(FULL).with("web.yaml", text), &[]);
    }

    #[test]
    fn mutated_platforms(text in mutated(&TIMED_PLATFORM)) {
        survives(&web(FULL).with("small.yaml", text), &[]);
    }

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        survives(&web("").with("web.yaml", bytes), &[]);
    }

    #[test]
    fn random_yaml(text in "[-a:{}\\[\\], \n\"'&*#|>!%?éß\t0-9<]{0,200}") {
        survives(&web("").with("web.yaml", text), &[]);
    }

    #[test]
    fn random_overrides(text in "(deployment/web:)?[a-z.\\[\\]0-9=:{}/, é]{0,40}") {
        survives(&web(""), &[&text]);
    }

    #[test]
    fn random_sentences(text in "(availability|rto|rpo|latency|returns|never|always)?[a-z(), <>=%0-9'.é*/]{0,40}") {
        let sentence = serde_json::to_string(&text).expect("text");
        survives(&web(&format!("  guarantees:\n    g: {sentence}\n")), &[]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn mutated_scenarios(edit in mutated(FULL)) {
        let text = [scenario("").into_bytes(), edit].concat();
        survives(&web("").with("s.yaml", text), &[]);
    }
}
