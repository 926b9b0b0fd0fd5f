//! The program as its users meet it: what they type, what they read, how it ends.

mod bad_input;
mod engines;
mod exits;
mod library;
mod slow;
mod streams;
mod transcripts;

use std::path::{Path, PathBuf};

use snapbox::cmd::{Command, cargo_bin};

/// The root of the workspace.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate lies two folders below the root").to_path_buf()
}

/// The program, started at the root of the workspace, in an environment that says nothing.
fn eidp_sim(arguments: &[&str]) -> Command {
    Command::new(cargo_bin!("eidp-sim"))
        .current_dir(root())
        .env_remove("CI")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .args(arguments)
}

/// An empty folder for one test.
fn scratch(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the folder is ours");
    }
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

/// What a command ended with.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a command and gives what it ended with; a panic of ours fails the test whatever it expects.
fn ended(arguments: &[&str]) -> Ended {
    let output = eidp_sim(arguments).output().expect("the program was built for this test");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{arguments:?}\n{stderr}");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is text"),
        stderr,
    }
}
