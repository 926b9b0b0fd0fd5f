//! `explain [CODE]`: the long text of a diagnostic. Decisions are explained in `decision.rs`.

use std::fmt::Write as _;

use scenario_format::{explain, explanations, nearest};

use crate::exit::Exit;
use crate::flags::Explain;
use crate::streams::Streams;

pub(crate) fn run(flags: &Explain, streams: Streams) -> anyhow::Result<Exit> {
    if let Some(decision) = &flags.decision {
        return super::decision::run(decision, streams);
    }
    let Some(code) = &flags.code else {
        streams.data(&table())?;
        return Ok(Exit::Held);
    };
    let Some(explanation) = explain(code) else {
        let codes = explanations().iter().map(|known| known.code.as_str());
        let decisions = ["schedule", "hpa", "pdb", "rollout", "autoscaler", "vpa", "eviction"];
        let near = nearest::nearest(&code.to_uppercase(), codes);
        let near = near.or_else(|| nearest::nearest(code, decisions));
        let hint = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
        streams.error(&format!(
            "there is no diagnostic or decision {code}{hint} (eidp-sim explain lists all diagnostics)"
        ));
        return Ok(Exit::BadInput);
    };
    streams.data(&explanation.to_string())?;
    Ok(Exit::Held)
}

/// One line for each code.
fn table() -> String {
    let mut table = String::new();
    for explanation in explanations() {
        writeln!(table, "{}  {}", explanation.code, explanation.title)
            .expect("writing to a String cannot fail");
    }
    table
}
