//! Black starts, drawn.

use std::fmt::Write as _;

use report_data::{BlackStartReport, BlackStartStage};

/// The stages, numbered.
pub fn black_start_human(report: &BlackStartReport) -> String {
    let mut text = String::new();
    for stages in report.scenarios.iter().map(|scenario| &scenario.stages) {
        let mut number = 0;
        for stage in stages {
            match stage {
                BlackStartStage::Start { workloads, waits_for } => {
                    number += 1;
                    line(&mut text, &format!("{number:>3}  {}", workloads.join(", ")));
                    waits_for
                        .iter()
                        .for_each(|wait| line(&mut text, &format!("     after {wait}")));
                }
                BlackStartStage::ByHand { because, step } => {
                    line(&mut text, &format!("  !  by hand: {step}"));
                    because.iter().for_each(|why| line(&mut text, &format!("     because {why}")));
                }
            }
        }
    }
    text
}

/// The data itself.
pub fn black_start_json(report: &BlackStartReport) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("text and lists always serialize");
    text.push('\n');
    text
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{content}").expect("writing to a String cannot fail");
}
