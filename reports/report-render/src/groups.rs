//! Promises to many subjects, put together where they came out alike.

use report_data::{GuaranteeResult, Verdict};

/// Subjects that are named before the rest is counted.
const NAMED_MAX: usize = 3;

/// Results that are shown as one.
pub(crate) struct Group<'a> {
    /// One of them; the others say the same.
    pub(crate) first: &'a GuaranteeResult,
    /// How they are named together.
    pub(crate) name: String,
    /// It stands for itself: figures of `first` are those of the group.
    pub(crate) is_one: bool,
    /// Why, when all say the same; else how many there are.
    pub(crate) reason: String,
}

/// Puts together what came out of one sentence (`name [subject]` each) with the same verdict and, if
/// it did not hold, for the same reason. A violated one always stands for itself: it has a cause.
pub(crate) fn groups<'a>(results: impl Iterator<Item = &'a GuaranteeResult>) -> Vec<Group<'a>> {
    let mut alike: Vec<Vec<&GuaranteeResult>> = Vec::new();
    for result in results {
        match alike.iter_mut().find(|others| are_alike(others[0], result)) {
            Some(others) => others.push(result),
            None => alike.push(vec![result]),
        }
    }
    let group = |alike: &Vec<&'a GuaranteeResult>| Group {
        first: alike[0],
        name: name_of(alike),
        is_one: alike.len() == 1,
        reason: reason_of(alike),
    };
    alike.iter().map(group).collect()
}

/// `availability [shop/web]` as its two parts.
fn parts(name: &str) -> Option<(&str, &str)> {
    name.strip_suffix(']')?.split_once(" [")
}

fn are_alike(one: &GuaranteeResult, other: &GuaranteeResult) -> bool {
    let stems = parts(&one.name).zip(parts(&other.name));
    stems.is_some_and(|((one, _), (other, _))| one == other)
        && one.verdict == other.verdict
        && one.text == other.text
        && one.position == other.position
        && match one.verdict {
            Verdict::Held => true,
            Verdict::Violated | Verdict::Unwinnable => false,
            Verdict::Vacuous | Verdict::Inconclusive | Verdict::NotModelled => {
                one.reason == other.reason
            }
        }
}

fn name_of(alike: &[&GuaranteeResult]) -> String {
    let split: Vec<(&str, &str)> = alike.iter().filter_map(|it| parts(&it.name)).collect();
    let (Some((stem, _)), true) = (split.first(), split.len() > 1) else {
        return alike[0].name.clone();
    };
    let named: Vec<&str> = split.iter().take(NAMED_MAX).map(|(_, subject)| *subject).collect();
    let rest = match split.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{stem} [{}{rest}]", named.join(", "))
}

fn reason_of(alike: &[&GuaranteeResult]) -> String {
    if alike.iter().all(|it| it.reason == alike[0].reason) {
        alike[0].reason.clone()
    } else {
        format!("each of these {} did, see the JSON for figures", alike.len())
    }
}
