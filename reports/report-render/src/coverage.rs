//! What a result rests on and what it leaves out: the same sentences in every form.

use report_data::{FaultResult, Note, ScenarioResult};

use crate::quantity::place;

/// Notes of one label that are shown; the JSON has all.
const SHOWN_MAX: usize = 5;

/// A label and what it says.
pub(crate) type Told = (&'static str, String);

/// What had to be assumed and what is not modelled.
pub(crate) fn rests_on(assumptions: &[Note], not_modelled: &[Note]) -> Vec<Told> {
    let mut told = notes("assumed", &alike(assumptions));
    told.extend(notes("not modelled", not_modelled));
    told
}

/// All that a reader must know before trusting a result: faults that hit nothing, runs that ended too
/// early, assumptions, what is not modelled, and warnings of the input.
pub(crate) fn told(result: &ScenarioResult) -> Vec<Told> {
    let idle = result.faults.iter().filter(|fault| fault.hit_run_count == 0);
    let mut told: Vec<Told> =
        idle.map(|fault| ("fault", fault_line(fault, result.run_count))).collect();
    if result.limited_run_count > 0 {
        let count = result.limited_run_count;
        told.push(("incomplete", format!("{count} runs stopped at a limit before their end")));
    }
    told.extend(rests_on(&result.assumptions, &result.not_modelled));
    told.extend(notes("warning", &result.warnings));
    told
}

/// What a fault did, in a line.
pub(crate) fn fault_line(fault: &FaultResult, run_count: u64) -> String {
    let targets = if fault.target_count_min == fault.target_count_max {
        format!("{}", fault.target_count_max)
    } else {
        format!("{} to {}", fault.target_count_min, fault.target_count_max)
    };
    let hits = if fault.hit_run_count == 0 {
        "hit nothing".to_owned()
    } else {
        format!("changed {targets} things")
    };
    let struck = fault.struck_run_count;
    format!("{}: {}, struck in {struck} of {run_count} runs, {hits}", fault.name, fault.text)
}

/// Notes of one kind as one: `a: what` and `b: what` as `a, b: what`, at the place of the first. The
/// first note of its kind decides where it stands.
fn alike(notes: &[Note]) -> Vec<Note> {
    const NAMED_MAX: usize = 3;
    let mut kinds: Vec<(&str, Vec<&str>, &Note)> = Vec::new();
    for note in notes {
        let parts = note.text.split_once(": ").filter(|(name, _)| !name.contains(' '));
        let (names, what) =
            parts.map_or((None, note.text.as_str()), |(name, what)| (Some(name), what));
        match kinds.iter_mut().find(|(kind, all, _)| *kind == what && !all.is_empty()) {
            Some((_, all, _)) if names.is_some() => all.extend(names),
            _ => kinds.push((what, names.into_iter().collect(), note)),
        }
    }
    let together = |(what, names, first): (&str, Vec<&str>, &Note)| {
        let named = names[..names.len().min(NAMED_MAX)].join(", ");
        let text = match names.len() {
            0 => what.to_owned(),
            count if count > NAMED_MAX => {
                format!("{named} and {} more: {what}", count - NAMED_MAX)
            }
            _ => format!("{named}: {what}"),
        };
        Note { text, position: first.position.clone() }
    };
    kinds.into_iter().map(together).collect()
}

/// The first few notes, with their places.
pub(crate) fn notes(label: &'static str, notes: &[Note]) -> Vec<Told> {
    let sentence = |note: &Note| {
        let place = note.position.as_ref().map(|position| format!("  {}", place(position)));
        (label, format!("{}{}", note.text, place.unwrap_or_default()))
    };
    let mut told: Vec<Told> = notes.iter().take(SHOWN_MAX).map(sentence).collect();
    if notes.len() > SHOWN_MAX {
        told.push((label, format!("and {} more (see -o json)", notes.len() - SHOWN_MAX)));
    }
    told
}
