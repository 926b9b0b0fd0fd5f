//! Schedules in cron syntax, in the resources that have one.

use model_api::backup::Schedule;
use model_api::time_zone::TimeZone;

use super::object::Object;
use super::{CronSchedule, Reader};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, Spanned};
use crate::{cron, time_zone};

/// The schedule of an object, when it is of a kind that has one.
///
/// Velero's `Schedule` and `CronJob` take five fields; CloudNativePG's `ScheduledBackup` takes six,
/// with seconds first (cloudnative-pg 1.30 `docs/src/backup.md`).
pub(crate) fn schedule_of(object: &Object) -> Option<CronSchedule> {
    let fields_wanted = match (object.key.group.as_str(), object.key.kind.as_str()) {
        ("velero.io", "Schedule") | ("batch", "CronJob") => 5,
        ("postgresql.cnpg.io", "ScheduledBackup") => 6,
        _ => return None,
    };
    let node = object.node.at(&["spec", "schedule"])?;
    let text = Spanned { value: node.text()?.to_owned(), span: node.span };
    Some(CronSchedule { text, fields_wanted })
}

/// Number of fields of a cron expression; `None` for `@daily` and its like.
pub fn cron_field_count(text: &str) -> Option<usize> {
    let (_, times) = cron::split_zone(text);
    (!times.starts_with('@')).then(|| times.split_whitespace().count())
}

impl Reader<'_> {
    /// A time zone by its name; one that nobody knows is reported, and UTC is taken.
    pub(super) fn time_zone(&mut self, name: &str, place: Span) -> TimeZone {
        time_zone::named(name).unwrap_or_else(|reason| {
            let message = format!("{}: {reason}", self.object.title());
            self.diagnostics.push(Diagnostic::new(Code::E0043, place, message));
            TimeZone::default()
        })
    }
}

/// When backups are due by a field of so many fields; `None` when they never are, which is reported.
///
/// Six fields may be five: `robfig/cron` v1.2.0, which CloudNativePG uses (`go.mod`), takes the day of
/// the week as left out (`parser.go`, `DowOptional`), so that seconds still come first.
pub(super) fn backup_schedule(
    reader: &mut Reader<'_>,
    path: &str,
    field_count: usize,
) -> Option<Spanned<Schedule>> {
    let Some(text) = reader.spanned_text(path) else {
        reader.refuse(path, "is missing");
        return None;
    };
    if field_count == 6 && text.value.trim_start().starts_with("CRON_TZ=") {
        // `parser.go` of that version.
        reader.refuse(path, "begins with CRON_TZ=: CloudNativePG knows TZ= only");
        return None;
    }
    let (zone, times) = cron::split_zone(&text.value);
    let zone = zone.map(|zone| reader.time_zone(zone, text.span)).unwrap_or_default();
    let mut words: Vec<&str> = times.split_whitespace().collect();
    let is_word = words.first().is_some_and(|word| word.starts_with('@'));
    if field_count == 6 && words.len() == 5 && !is_word {
        words.push("*");
    }
    if words.len() != field_count && !is_word {
        // W0121 says so; the server accepts no such schedule.
        return None;
    }
    match cron::parse(&words.join(" "), field_count) {
        Ok(value) => Some(Spanned { value: value.in_zone(zone), span: text.span }),
        Err(reason) => {
            reader.refuse(path, format!("is no schedule: {reason}"));
            None
        }
    }
}
