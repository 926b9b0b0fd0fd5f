//! A case as a plain tree of values, whatever format it was read from.

use model_api::{SimSpan, SimTime};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// Values in order.
    List(Vec<Tree>),
    /// Values by name, in order.
    Map(Vec<(String, Tree)>),
}

const NULL: Tree = Tree::Null;

impl Tree {
    /// The value at a path of names with dots between; null when there is none.
    pub fn at(&self, path: &str) -> &Tree {
        path.split('.').fold(self, Tree::field)
    }

    /// The value of that name, which may contain dots; null when there is none.
    pub fn field(&self, name: &str) -> &Tree {
        self.fields().iter().find(|(key, _)| key == name).map_or(&NULL, |(_, value)| value)
    }

    /// Whether there is a value.
    pub fn is_given(&self) -> bool {
        *self != Tree::Null
    }

    /// The fields of a map; none of anything else.
    pub fn fields(&self) -> &[(String, Tree)] {
        match self {
            Tree::Map(fields) => fields,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::List(items) => items,
            _ => &[],
        }
    }

    /// The text; empty of anything else.
    pub fn text(&self) -> &str {
        match self {
            Tree::Text(text) => text,
            _ => "",
        }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Vec<String> {
        self.items().iter().map(|item| item.text().to_owned()).collect()
    }

    /// The whole number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match self {
            Tree::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The whole number as 32 bits; nought when it is none.
    pub fn int32(&self) -> i32 {
        self.int().and_then(|value| i32::try_from(value).ok()).unwrap_or(0)
    }

    /// The number as a count; nought when it is none.
    pub fn count(&self) -> u32 {
        self.int().and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
    }

    /// Whether it is true.
    pub fn is_true(&self) -> bool {
        *self == Tree::Bool(true)
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "cases have small numbers")]
            Tree::Int(value) => Some(*value as f64),
            Tree::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A span in seconds, as a number or as a text such as `40s`.
    pub fn span(&self) -> Option<SimSpan> {
        let secs = match self {
            Tree::Text(text) => text.strip_suffix('s')?.parse().ok()?,
            other => other.number()?,
        };
        Some(SimSpan::from_secs_f64_rounded(secs))
    }

    /// A moment, from a text such as `2026-01-01T12:00:00Z`.
    pub fn time(&self) -> Option<SimTime> {
        parse_time(self.text())
    }
}

/// Moments are counted from the start of the year 2000.
fn parse_time(text: &str) -> Option<SimTime> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let mut clock = clock.split(':');
    let (hours, mins) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let secs = SimSpan::from_secs_f64_rounded(clock.next()?.parse().ok()?);
    let at = SimTime::from_days(days_since_2000(year, month, day)?);
    Some(at + SimSpan::from_hours(hours) + SimSpan::from_mins(mins) + secs)
}

fn days_since_2000(year: u64, month: u64, day: u64) -> Option<u64> {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut days: u64 = (2000..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month.checked_sub(1)?).ok()?;
    days += lengths.get(..before)?.iter().sum::<u64>();
    Some(days + day.checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let at = |text: &str| parse_time(text).expect("a moment");
        assert_eq!(at("2000-01-01T00:00:01Z"), SimTime::from_secs(1));
        let leap = at("2024-03-01T00:00:00Z") - at("2024-02-28T00:00:00Z");
        assert_eq!(leap, SimSpan::from_days(2));
        assert_eq!(
            at("2026-01-01T12:00:00.5Z") - at("2026-01-01T12:00:00Z"),
            SimSpan::from_millis(500)
        );
    }
}
