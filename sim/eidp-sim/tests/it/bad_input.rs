//! Input that cannot be meant: a clear error at a place, exit code 2, never a panic.

use std::path::Path;

use crate::{ended, scratch};

/// A scenario that is right, for others to break at one place.
const GOOD: &str = "\
apiVersion: eidp-sim/v1
kind: Scenario
metadata: {name: a}
spec:
  platform: eidp-production
  horizon: 1h
  runs: 2
  faults:
    - nodeCrash: {name: node lost, at: 5m}
  guarantees:
    available: availability(shop/frontend) >= 1%
";

/// A deployment that is right.
const MANIFEST: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - {name: web, image: web:1, resources: {requests: {cpu: 100m, memory: 64Mi}}}
";

/// Both files that are right, and the way they are broken: file name, old text, new text, what the
/// error must say.
const BROKEN_SCENARIOS: &[(&str, &str, &str, &str)] = &[
    ("wrong-unit", "horizon: 1h", "horizon: 1 parsec", ":6:12"),
    ("no-unit", "horizon: 1h", "horizon: 60", ":6:12"),
    ("no-time", "horizon: 1h", "horizon: 0s", ":6:12"),
    ("negative-time", "horizon: 1h", "horizon: -1h", ":6:12"),
    ("endless-time", "horizon: 1h", "horizon: 99999999999999999999h", ":6:12"),
    ("negative-runs", "runs: 2", "runs: -2", ":7:9"),
    ("no-runs", "runs: 2", "runs: 0", ":7:9"),
    ("half-a-run", "runs: 2", "runs: 1.5", ":7:9"),
    ("too-many-runs", "runs: 2", "runs: 1e400", ":7:9"),
    ("unknown-key", "horizon:", "horizont:", "horizon"),
    ("unknown-kind", "kind: Scenario", "kind: Szenario", "E0015"),
    ("unknown-version", "eidp-sim/v1", "eidp-sim/v9", ":1:13"),
    ("unknown-platform", "eidp-production", "eidp-produktion", "eidp-production"),
    ("unknown-fault", "nodeCrash:", "nodeCrush:", "nodeCrash"),
    ("unknown-service", "shop/frontend", "shop/frontent", "shop/frontend"),
    ("unknown-guarantee", "availability(", "avalability(", "availability"),
    ("guarantee-breaks-off", ">= 1%", ">=", ":11:"),
    ("guarantee-over-100", ">= 1%", ">= 101%", ":11:"),
    ("duplicate-key", "runs: 2", "runs: 2\n  runs: 3", ":8:3"),
    ("fault-after-the-end", "at: 5m", "at: 2h", ":9:"),
    ("fault-waits-for-itself", "at: 5m", "when: {faultStarted: node lost}", ":9:"),
    ("fault-without-start", ", at: 5m", "", ":9:"),
    ("no-guarantee-text", "availability(shop/frontend) >= 1%", "", ":11:"),
    ("list-for-mapping", "metadata: {name: a}", "metadata: [a]", ":3:11"),
    ("tab", "  horizon", "\thorizon", ":6:"),
    ("open-bracket", "{name: a}", "{name: a", ":"),
    ("open-quote", "name: a", "name: 'a", ":"),
    ("alias-of-itself", "metadata: {name: a}", "metadata: &m {name: a, description: *m}", ":3:"),
    ("unknown-alias", "name: a", "name: *b", ":3:"),
    ("name-with-slashes", "{name: a}", "{name: ../../a}", "E0089"),
    ("name-with-controls", "{name: a}", "{name: \"a\\a\"}", "E0089"),
    ("missing-spec", "spec:", "spek:", "spec"),
];

const BROKEN_MANIFESTS: &[(&str, &str, &str, &str)] = &[
    ("unknown-field", "replicas: 2", "replica: 2", "replicas"),
    ("text-for-number", "replicas: 2", "replicas: two", ":5:13"),
    ("negative-replicas", "replicas: 2", "replicas: -2", ":5:13"),
    ("wrong-quantity", "cpu: 100m", "cpu: 100q", ":11:"),
    ("negative-quantity", "cpu: 100m", "cpu: -1", ":11:"),
    ("duplicate-key", "replicas: 2", "replicas: 2\n  replicas: 3", ":6:3"),
    ("misspelt-kind", "kind: Deployment", "kind: Deploymnet", "did you mean `Deployment`?"),
    ("removed-group", "apps/v1", "extensions/v1beta1", "apps/v1"),
    ("no-name", "name: web, namespace: web", "namespace: web", ":"),
    ("selector-of-others", "labels: {app: web}", "labels: {app: api}", ":"),
    ("breaks-off", "requests: {cpu: 100m, memory: 64Mi}}}", "requests: {cpu: 1", ":"),
];

fn check(name: &str, arguments: &[&str], says: &str) {
    let ended = ended(arguments);
    let stderr = &ended.stderr;
    assert_eq!(ended.code, Some(2), "{name}: {arguments:?}\n{stderr}{}", ended.stdout);
    assert!(stderr.contains("error"), "{name}: it does not say that it is an error\n{stderr}");
    assert!(stderr.contains(says), "{name}: it does not say {says:?}\n{stderr}");
    assert_eq!(ended.stdout, "", "{name}: data although nothing was judged");
    assert!(stderr.len() < 20_000, "{name}: {} bytes of errors", stderr.len());
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("the folder is ours");
    path.to_str().expect("the target folder is UTF-8").to_owned()
}

#[test]
fn what_is_broken_here_is_otherwise_right() {
    let folder = scratch("good");
    let manifest = write(&folder, "manifest.yaml", MANIFEST.as_bytes());
    let scenario = write(&folder, "scenario.yaml", GOOD.as_bytes());
    let ended = ended(&["run", &scenario, "-f", &manifest]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn line_ends_and_byte_order_marks_are_no_error() {
    let folder = scratch("marks");
    let crlf = GOOD.replace('\n', "\r\n");
    let bom = format!("\u{feff}{GOOD}");
    for (name, text) in [("crlf.yaml", crlf), ("bom.yaml", bom)] {
        let path = write(&folder, name, text.as_bytes());
        let ended = ended(&["run", &path]);
        assert_eq!(ended.code, Some(0), "{name}\n{}", ended.stderr);
    }
}

#[test]
fn broken_scenarios_are_refused_at_their_place() {
    let folder = scratch("scenarios");
    for (name, old, new, says) in BROKEN_SCENARIOS {
        assert!(GOOD.contains(old), "{name} breaks nothing");
        let text = GOOD.replacen(old, new, 1);
        let path = write(&folder, &format!("{name}.yaml"), text.as_bytes());
        check(name, &["run", &path], says);
        check(name, &["run", &path], &format!("{name}.yaml:"));
    }
}

#[test]
fn broken_manifests_are_refused_at_their_place() {
    let folder = scratch("manifests");
    for (name, old, new, says) in BROKEN_MANIFESTS {
        assert!(MANIFEST.contains(old), "{name} breaks nothing");
        let text = MANIFEST.replacen(old, new, 1);
        let path = write(&folder, &format!("{name}.yaml"), text.as_bytes());
        check(name, &["run", "node-crash", "-f", &path], says);
        check(name, &["run", "node-crash", "-f", &path], &format!("{name}.yaml:"));
    }
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = scratch("bytes");
    let bomb = (1..9).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        format!("{text}a{level}: &a{level} [{below}]\n")
    });
    let utf16: Vec<u8> = GOOD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases: &[(&str, Vec<u8>)] = &[
        ("empty", Vec::new()),
        ("comment", b"# nothing\n".to_vec()),
        ("separators", b"---\n---\n".to_vec()),
        ("nul", b"\0\0\0\0".to_vec()),
        ("binary", (0..=255).cycle().take(5000).collect()),
        ("latin1", b"kind: caf\xe9\n".to_vec()),
        ("utf16", utf16),
        ("deep-flow", vec![b'['; 100_000]),
        (
            "deep-block",
            (0..5000).flat_map(|depth| format!("{}a:\n", " ".repeat(depth)).into_bytes()).collect(),
        ),
        ("bomb", bomb.into_bytes()),
        ("prose", b"Dear platform team,\n".to_vec()),
        ("list", b"- a\n- b\n".to_vec()),
        ("json-breaks-off", b"{\"kind\": \"Scenario\"".to_vec()),
        ("truncated", GOOD.as_bytes()[..GOOD.len() / 3].to_vec()),
        ("huge-number", b"kind: 1e999999999\n".to_vec()),
        ("long-line", [b"kind: ".to_vec(), vec![b'a'; 1 << 20]].concat()),
        ("many-documents", b"---\na: 1\n".repeat(30_000)),
    ];
    for (name, bytes) in cases {
        let path = write(&folder, &format!("{name}.yaml"), bytes);
        check(name, &["run", &path], &format!("{name}.yaml"));
        check(name, &["check", &path], &format!("{name}.yaml"));
        if !["truncated"].contains(name) {
            check(name, &["run", "node-crash", "-f", &path], &format!("{name}.yaml"));
        }
    }
}

#[test]
fn files_that_are_too_large_or_missing_are_refused() {
    let folder = scratch("files");
    let large = folder.join("large.yaml");
    let file = std::fs::File::create(&large).expect("the folder is ours");
    file.set_len(100 << 20).expect("a sparse file takes no room");
    let large = large.to_str().expect("the target folder is UTF-8");
    check("large", &["run", large], "large.yaml");
    check("large", &["run", "az-loss", "-f", large], "large.yaml");

    let missing = folder.join("missing.yaml");
    let missing = missing.to_str().expect("the target folder is UTF-8");
    check("missing", &["run", missing], "missing.yaml");
    check("missing", &["run", "az-loss", "-f", missing], "missing.yaml");
    check("misspelt", &["run", "az-los"], "az-loss");

    let bare = scratch("without-yaml");
    std::fs::write(bare.join("notes.txt"), "nothing").expect("the folder is ours");
    let bare = bare.to_str().expect("the target folder is UTF-8");
    check("bare folder", &["run", bare], "without-yaml");
    check("bare folder", &["run", "az-loss", "-f", bare], "without-yaml");
}

#[test]
fn stdin_that_holds_nothing_is_refused() {
    let output = crate::eidp_sim(&["run", "node-crash", "-f", "-"])
        .stdin(Vec::<u8>::new())
        .output()
        .expect("the program was built for this test");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("<stdin>"), "{stderr}");
}

#[test]
fn wrong_command_lines_are_refused() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("no command", &[], "Usage"),
        ("unknown command", &["rum"], "run"),
        ("no scenario", &["run"], "SCENARIO"),
        ("unknown flag", &["run", "az-loss", "--run", "3"], "--runs"),
        ("no run", &["run", "az-loss", "--runs", "0"], "0"),
        ("negative seed", &["run", "az-loss", "--seed=-1"], "-1"),
        ("unknown form", &["run", "az-loss", "-o", "xml"], "junit"),
        ("two forms", &["run", "az-loss", "-o", "json", "-o", "junit"], "stdout"),
        ("unset", &["run", "az-loss", "--set", "replicas"], "E0025"),
        (
            "set nowhere",
            &["run", "az-loss", "--set", "deployment/shop/fronted:spec.replicas=1"],
            "frontend",
        ),
        ("no change", &["diff", "az-loss"], "--set"),
        ("no junit", &["diff", "az-loss", "--set", "a=b", "-o", "junit"], "junit"),
        ("no run number", &["replay", "az-loss"], "--run"),
        ("unknown code", &["explain", "E9999"], "E9999"),
        ("unknown schema", &["schema", "scenarios"], "scenario"),
        ("unknown shell", &["completions", "dos"], "bash"),
        ("unknown page", &["man", "rum"], "rum"),
    ];
    for (name, arguments, says) in cases {
        let ended = ended(arguments);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(says), "{name}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{name}");
    }
}
