//! `replay`: one run again, told in full.

use std::fmt::Write as _;

use sim_check::{Moment, Story};

use crate::exit::Exit;
use crate::flags::{Digest, Replay};
use crate::input::{Wanted, disk, prepare};
use crate::runs::Effort;
use crate::streams::Streams;

pub(crate) fn run(flags: &Replay, streams: Streams) -> anyhow::Result<Exit> {
    let wanted = Wanted {
        scenarios: vec![flags.scenario.clone()],
        manifests: flags.manifests.clone(),
        set: flags.set.clone(),
        fidelity: flags.requests.fidelity,
    };
    let disk = disk(&wanted)?;
    let prepared = match prepare(&wanted, &disk, streams) {
        Ok(prepared) => prepared,
        Err(exit) => return Ok(exit),
    };
    let [one] = prepared.as_slice() else {
        streams.error("one scenario can be replayed at a time");
        return Ok(Exit::BadInput);
    };
    let campaign = Effort::single(flags.seed).campaign(one);
    let (journal, end) = campaign.replay(u64::from(flags.run));
    let mut text = format!(
        "{}  run {}, seed {}, digest {:016x}, {} events\n\n",
        one.resolved.name, flags.run, campaign.root_seed, end.digest, end.stats.handled_count,
    );
    if flags.journal {
        for record in journal.events() {
            writeln!(
                text,
                "{} event {} <- {} {:?}",
                clock(record.at.as_nanos()),
                record.id.value(),
                record.parent.value(),
                record.event
            )?;
        }
        for record in journal.observations() {
            writeln!(
                text,
                "{} seen <- {} {:?}",
                clock(record.at.as_nanos()),
                record.cause.value(),
                record.observation
            )?;
        }
    } else {
        let story = Story::new(&journal, one.plan.blueprint(), one.plan.faults());
        text.push_str(&table(&story.timeline()));
    }
    streams.data(&text)?;
    if !end.outcome.is_complete() {
        streams.error(&format!("the run stopped before its end: {:?}", end.outcome));
        return Ok(Exit::Incomplete);
    }
    if let Some(Digest(wanted)) = flags.digest
        && wanted != end.digest
    {
        let here = end.digest;
        streams.error(&format!("this run has the digest {here:016x} here, not {wanted:016x}"));
        return Ok(Exit::NonDeterministic);
    }
    Ok(Exit::Held)
}

/// One line for each moment: number, time, what, the number of what it came of, the place.
fn table(moments: &[Moment]) -> String {
    let width = moments.len().to_string().len();
    let mut text = String::new();
    for (idx, moment) in moments.iter().enumerate() {
        let because = moment.because.map(|cause| format!("  <- {}", cause + 1));
        let place = moment
            .position
            .as_ref()
            .map(|place| format!("  {}:{}:{}", place.file, place.line, place.column));
        writeln!(
            text,
            "{:>width$}  {}  {}{}{}",
            idx + 1,
            clock(moment.at_ns),
            moment.text,
            because.unwrap_or_default(),
            place.unwrap_or_default(),
        )
        .expect("writing to a String cannot fail");
    }
    text
}

/// Virtual time as `hh:mm:ss.mmm`.
fn clock(at_ns: u64) -> String {
    let millis = at_ns / 1_000_000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}.{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_names_what_it_came_of() {
        let moment = |at_ns, text: &str, because| Moment {
            at_ns,
            text: text.to_owned(),
            because,
            position: None,
        };
        let moments = [moment(0, "a", None), moment(3_723_004_000_000, "b", Some(0))];
        assert_eq!(table(&moments), "1  00:00:00.000  a\n2  01:02:03.004  b  <- 1\n");
    }
}
