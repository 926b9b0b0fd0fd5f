//! How the program ends: every exit code, by a command that a user could type.

use crate::{ended, scratch};

/// A scenario of our own on the shipped platform.
fn scenario(test: &str, name: &str, faults: &str, guarantees: &str) -> String {
    let path = scratch(test).join(format!("{name}.yaml"));
    let text = format!(
        "apiVersion: eidp-sim/v1\nkind: Scenario\nmetadata: {{name: {name}}}\nspec:\n  \
         platform: eidp-production\n  horizon: 30m\n  runs: 4\n  faults: [{faults}]\n  \
         guarantees:\n    promise: {guarantees}\n"
    );
    std::fs::write(&path, text).expect("the folder is ours");
    path.to_str().expect("the target folder has a UTF-8 path").to_owned()
}

fn check(arguments: &[&str], code: i32) -> String {
    let ended = ended(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}\n{}{}", ended.stdout, ended.stderr);
    ended.stdout + &ended.stderr
}

const CRASH: &str = "{nodeCrash: {name: crash, at: 5m}}";

#[test]
fn held_is_0() {
    let path = scenario("held", "held", CRASH, "availability(shop/frontend) >= 1%");
    check(&["run", &path], 0);
}

#[test]
fn violated_is_1() {
    let path = scenario("violated", "violated", CRASH, "never pod_evicted");
    let path_of_loss = scenario(
        "lost",
        "lost",
        "{zonePowerLoss: {name: loss, zone: az-a, at: 5m}}",
        "never pod_evicted",
    );
    check(&["run", &path_of_loss], 1);
    // The worst of several counts.
    let held = scenario("held-too", "held", CRASH, "availability(shop/frontend) >= 1%");
    check(&["run", &held, &path_of_loss], 1);
    assert!(path.ends_with("violated.yaml"));
}

#[test]
fn unwinnable_is_1_and_says_so() {
    let lost = |zone: &str| format!("{{zonePowerLoss: {{name: {zone}, zone: {zone}, at: 5m}}}}");
    let faults = ["az-a", "az-b", "az-c"].map(lost).join(", ");
    let path = scenario("unwinnable", "dark", &faults, "availability(shop/frontend) >= 99%");
    let text = check(&["run", &path], 1);
    assert!(text.to_lowercase().contains("unwinnable"), "{text}");
}

#[test]
fn bad_input_is_2() {
    check(&["run", "no-such-scenario"], 2);
    check(&["run"], 2);
}

#[test]
fn more_runs_than_memory_holds_are_refused() {
    for count in ["4294967295", "100000000"] {
        let text = check(&["run", "az-loss", "-n", count], 2);
        assert!(text.contains("at most -n"), "{text}");
    }
}

#[test]
fn inconclusive_is_3_unless_it_is_mapped() {
    // Half of the runs is where the truth lies, and four runs cannot tell on which side.
    let path = scenario(
        "inconclusive",
        "inconclusive",
        "{zonePowerLoss: {name: loss, zone: random, at: 5m}}",
        "availability(shop/frontend) >= 1% for 50% of runs",
    );
    check(&["run", &path], 3);
    check(&["run", &path, "--inconclusive", "pass"], 0);
    check(&["run", &path, "--inconclusive=fail"], 1);
}

#[test]
fn vacuous_is_3_whatever_inconclusive_counts_as() {
    let path = scenario("vacuous", "vacuous", "", "rto(shop/frontend) <= 60s");
    let text = check(&["run", &path], 3);
    assert!(text.to_lowercase().contains("vacuous"), "{text}");
    check(&["run", &path, "--inconclusive=pass"], 3);
}

#[test]
fn nothing_selected_is_4() {
    let folder = scratch("nothing");
    std::fs::write(folder.join("a.yaml"), "kind: ConfigMap\n").expect("the folder is ours");
    let folder = folder.to_str().expect("the target folder has a UTF-8 path");
    check(&["run", folder], 4);
    check(&["check", folder], 4);
    check(&["list", folder], 4);
    check(&["diff", "--base", folder, "--head", folder], 4);
}

#[test]
fn a_digest_has_16_hexadecimal_digits() {
    for digest in ["zz", "0", "00000000000000000"] {
        let text = check(&["replay", "node-crash", "--run", "0", "--digest", digest], 2);
        assert!(text.contains("16 hexadecimal digits"), "{text}");
    }
}

#[test]
fn non_deterministic_is_6() {
    let other = ["replay", "node-crash", "--run", "0", "--digest", "0000000000000000"];
    let text = check(&other, 6);
    assert!(text.contains("digest"), "{text}");
}

#[test]
fn a_difference_is_1_and_none_is_0() {
    let set = "deployment/shop/frontend:spec.replicas=1";
    check(&["diff", "az-loss", "--set", set, "--runs", "4"], 1);
    let path = scenario("same", "same", CRASH, "availability(shop/frontend) >= 1%");
    let folder = std::path::Path::new(&path).parent().expect("it lies in a folder");
    let folder = folder.to_str().expect("the target folder has a UTF-8 path");
    check(&["diff", "--base", folder, "--head", folder], 0);
}

#[test]
fn check_is_0_with_warnings_and_2_with_strict() {
    let folder = scratch("warnings");
    let path = folder.join("service.yaml");
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: a}\nspec:\n  \
                selector: {app: nobody}\n  ports: [{port: 80}]\n";
    std::fs::write(&path, text).expect("the folder is ours");
    let path = path.to_str().expect("the target folder has a UTF-8 path");
    let said = check(&["check", "node-crash", "-f", path], 0);
    assert!(said.contains("W0101"), "{said}");
    check(&["check", "node-crash", "-f", path, "--strict"], 2);
}

#[test]
fn conformance_is_0_1_2_or_4() {
    let folder = scratch("conformance");
    let write = |name: &str, text: &str| -> String {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the folder is ours");
        path.to_str().expect("the target folder has a UTF-8 path").to_owned()
    };
    let case = |operation: &str, majority: u32| {
        format!(
            "- name: five-members\n  source: arithmetic\n  given: {{controller: etcd, operation: \
             {operation}, members: 5}}\n  expect: {{majority: {majority}}}\n"
        )
    };
    let passing = write("passing.yaml", &case("quorum", 3));
    let failing = write("failing.yaml", &case("quorum", 4));
    let unknown = write("unknown.yaml", &case("compaction", 3));
    let broken = write("broken.yaml", "- name: a\n  given: [\n");
    let shapeless = write("shapeless.yaml", "- name: a\n  given: {}\n");
    let empty = write("empty.yaml", "[]\n");
    check(&["conformance", &passing], 0);
    let text = check(&["conformance", &passing, &failing], 1);
    assert!(
        text.contains("failing.yaml:4:22: five-members: majority: expected 4, got 3"),
        "{text}"
    );
    assert!(text.contains("arithmetic"), "{text}");
    check(&["conformance", &unknown], 1);
    let text = check(&["conformance", &passing, &broken], 2);
    assert!(text.contains("broken.yaml:"), "{text}");
    let text = check(&["conformance", &shapeless], 2);
    assert!(text.contains("shapeless.yaml:1:3") && text.contains("`expect`"), "{text}");
    check(&["conformance", "no-such-file.yaml"], 2);
    check(&["conformance"], 2);
    check(&["conformance", &passing, "-o", "junit"], 2);
    check(&["conformance", &empty], 4);
    let nothing = scratch("conformance-nothing");
    let nothing = nothing.to_str().expect("the target folder has a UTF-8 path");
    check(&["conformance", nothing], 4);
    let json = check(&["conformance", &failing, "-o", "json"], 1);
    assert!(json.contains("\"failedCount\": 1"), "{json}");
}

#[test]
fn conformance_with_timelines_is_0_1_2_or_4() {
    let folder = scratch("timelines");
    let write = |name: &str, parameters: &str, median_ms: u32| -> String {
        let path = folder.join(name);
        std::fs::create_dir_all(&path).expect("the folder is ours");
        let scenario = format!("id: {name}\nkind: leader-election\nparameters: {parameters}\n");
        let summary = format!("id: {name}\nelection: {{count: 5, medianMs: {median_ms}}}\n");
        for (file, text) in [("scenario.yaml", scenario), ("summary.yaml", summary)] {
            std::fs::write(path.join(file), text).expect("the folder is ours");
        }
        path.to_str().expect("the target folder has a UTF-8 path").to_owned()
    };
    let lease = "{leaseDuration: 15s, renewDeadline: 10s, retryPeriod: 2s}";
    let good = write("good", lease, 17_000);
    let bad = write("bad", lease, 60_000);
    let broken = write("broken", "{leaseDuration: soon, retryPriod: 2s}", 17_000);
    check(&["conformance", "--traces", &good, "--runs", "50"], 0);
    let text = check(&["conformance", "--traces", &good, &bad, "--runs", "50"], 1);
    assert!(text.contains("not covered bad: election.medianMs: recorded 60000ms"), "{text}");
    let json = check(&["conformance", "--traces", &bad, "--runs", "50", "-o", "json"], 1);
    assert!(json.contains("\"coveredCount\": 1"), "{json}");
    let text = check(&["conformance", "--traces", &broken], 2);
    assert!(text.contains("scenario.yaml:3:"), "{text}");
    assert!(text.contains("did you mean `retryPeriod`?"), "{text}");
    check(&["conformance", "--traces", "no-such-folder"], 2);
    check(&["conformance", "--traces", &good, "-o", "junit"], 2);
    check(&["conformance", "--traces", &good, "--runs", "0"], 2);
    let silent = write("silent", lease, 17_000);
    std::fs::write(folder.join("silent/summary.yaml"), "id: silent\n").expect("it is ours");
    check(&["conformance", "--traces", &silent], 4);
    let nothing = scratch("timelines-nothing");
    check(&["conformance", "--traces", nothing.to_str().expect("a UTF-8 path")], 4);
}

#[test]
fn expressions_are_judged_like_sentences() {
    let cases = [
        ("services['shop/frontend'].availability > 0.0", 0),
        ("services['shop/frontend'].availability > 1.0", 1),
        ("services.all(name, services[name].lostRequests < 1000000000)", 0),
        ("databases['shop/orders-db'].failoverCount > 5", 1),
        // Nobody asked, so it has no availability in any run.
        ("services['kube-system/coredns'].availability > 0.5", 3),
        ("1 / databases['shop/orders-db'].lostCommits > 5", 3),
    ];
    for (expression, code) in cases {
        let path =
            scenario("expression", "expression", CRASH, &format!("{{cel: \"{expression}\"}}"));
        check(&["run", &path], code);
    }
    let path = scenario(
        "expression",
        "share",
        "{zonePowerLoss: {name: loss, zone: random, at: 5m}}",
        "{cel: \"services['shop/frontend'].outageSeconds < 0.001\", forRuns: 5%}",
    );
    assert!(matches!(ended(&["run", &path]).code, Some(1 | 3)), "4 runs decide little");
}

#[test]
fn expressions_that_mean_nothing_are_refused() {
    let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
    let wide = "true ? ".repeat(400);
    let cases = [
        ("services['shop/frontent'].availability > 0.0", "shop/frontend"),
        ("services['shop/frontend'].availabilty > 0.0", "availability"),
        ("service['shop/frontend'].availability > 0.0", "services"),
        ("services['shop/frontend'].availability", "true or false"),
        ("services['shop/frontend'].availability > 'high'", "E0019"),
        ("services[", "E0019"),
        ("", "empty"),
        (&deep, "deep"),
        (&wide, "deep"),
        (&"!".repeat(4000), "E0019"),
        (&format!("services{}", ".a".repeat(2000)), "E0016"),
        (&"1 + ".repeat(2000), "E0019"),
    ];
    for (expression, says) in cases {
        let text = format!("{{cel: \"{expression}\"}}");
        let path = scenario("expressions", "expression", CRASH, &text);
        let said = check(&["run", &path], 2);
        assert!(said.contains(says), "{expression}\n{said}");
        assert!(said.contains("expression.yaml:10:"), "{expression}\n{said}");
    }
}
