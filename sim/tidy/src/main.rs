//! Writes generated files anew: `cargo run -p tidy -- --bless`.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments != ["--bless"] {
        say("usage: cargo run -p tidy -- --bless");
        return Ok(ExitCode::from(2));
    }
    for path in tidy::generated::bless()? {
        say(&format!("wrote {path}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stderr, reason = "a program for people; libraries stay silent")]
fn say(text: &str) {
    eprintln!("{text}");
}
