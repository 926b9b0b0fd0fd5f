//! Sessions as they look: `tests/cmd/*.trycmd`, and those that README shows.

use crate::root;

#[test]
fn sessions_look_as_they_are_written_down() {
    // Paths in the sessions are relative to the root of the workspace.
    std::env::set_current_dir(root()).expect("the root is there");
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .case("sim/eidp-sim/tests/cmd/*.trycmd")
        .case("README.md")
        .run();
}
