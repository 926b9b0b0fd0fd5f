//! Who gets what: data on stdout, everything else on stderr.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::{eidp_sim, ended, root, scratch};

#[test]
fn json_on_stdout_is_json_and_nothing_else() {
    let ended = ended(&["run", "node-crash", "--runs", "4", "-o", "json", "-vv"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("this is JSON");
    assert_eq!(report["schemaVersion"], 1);
    assert!(ended.stderr.contains("running"), "-vv says what it does: {}", ended.stderr);
}

#[test]
fn reports_go_where_they_are_sent() {
    let folder = scratch("reports");
    let junit = folder.join("junit.xml");
    let markdown = folder.join("summary.md");
    let ended = ended(&[
        "run",
        "node-crash",
        "--runs",
        "4",
        "-o",
        "json",
        "-o",
        &format!("junit={}", junit.display()),
        "-o",
        &format!("markdown={}", markdown.display()),
    ]);
    assert!(ended.stdout.starts_with('{'), "{}", ended.stdout);
    let read = |path| std::fs::read_to_string(path).expect("it was written");
    assert!(read(junit).starts_with("<?xml"));
    assert!(read(markdown).contains("node-crash"));
}

#[test]
fn color_is_for_terminals_unless_it_is_asked_for() {
    let run = |more: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["run", "node-crash", "--runs", "2"], more].concat();
        let command = variables
            .iter()
            .fold(eidp_sim(&arguments), |command, (name, value)| command.env(name, value));
        let output = command.output().expect("the program was built for this test");
        String::from_utf8(output.stdout).expect("stdout is text").contains('\u{1b}')
    };
    assert!(!run(&[], &[]), "a pipe is no terminal");
    assert!(run(&["--color=always"], &[("NO_COLOR", "1")]), "the flag is the last word");
    assert!(run(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!run(&["--color=never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!run(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut child = Command::new(snapbox::cmd::cargo_bin!("eidp-sim"))
        .args(["replay", "az-loss", "--run", "0", "--journal"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built for this test");
    drop(child.stdout.take());
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("it is piped");
    pipe.read_to_string(&mut stderr).expect("stderr is text");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.contains("error")).count(), 0, "{stderr}");
}

#[test]
fn a_reader_that_leaves_early_changes_no_verdict() {
    let mut child = Command::new(snapbox::cmd::cargo_bin!("eidp-sim"))
        .args(["run", "rolling-two-zones", "-o", "json"])
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program was built for this test");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

#[test]
fn no_folder_is_made_for_a_report() {
    let folder = scratch("no-folder").join("mistyped");
    let output = format!("json={}", folder.join("a.json").display());
    let ended = ended(&["run", "node-crash", "--runs", "2", "-o", &output]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("mkdir -p"), "{}", ended.stderr);
    assert!(!folder.exists());
}

#[test]
fn manifests_come_from_stdin() {
    let manifest = "apiVersion: v1\nkind: Namespace\nmetadata: {name: piped}\n";
    let output = eidp_sim(&["run", "node-crash", "--runs", "2", "-f", "-"])
        .stdin(manifest)
        .output()
        .expect("the program was built for this test");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
}

#[test]
fn scenarios_come_from_pipes() {
    let text = "apiVersion: eidp-sim/v1\nkind: Scenario\nmetadata: {name: piped}\nspec:\n  \
                platform: eidp-production\n  horizon: 30m\n  runs: 2\n  \
                faults: [{nodeCrash: {name: crash, at: 5m}}]\n  \
                guarantees: {up: availability(shop/frontend) >= 1%}\n";
    for word in ["-", "/dev/stdin"] {
        let output = eidp_sim(&["run", word])
            .stdin(text)
            .output()
            .expect("the program was built for this test");
        assert_eq!(output.status.code(), Some(0), "{word}: {output:?}");
    }
}

#[test]
fn fail_only_leaves_out_what_held() {
    let all = ended(&["run", "rolling-two-zones"]).stdout;
    let failed = ended(&["run", "rolling-two-zones", "--fail-only"]).stdout;
    assert!(failed.lines().count() < all.lines().count(), "{failed}");
    assert!(failed.contains("quorum-kept"), "{failed}");
}

#[test]
fn quiet_says_nothing_but_data() {
    let ended = ended(&["run", "node-crash", "--runs", "2", "--quiet"]);
    assert_eq!(ended.stderr, "");
    assert_ne!(ended.stdout, "");
}
