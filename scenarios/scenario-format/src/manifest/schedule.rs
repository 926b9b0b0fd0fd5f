//! Schedules in cron syntax, in the resources that have one.

use model_api::backup::Schedule;

use super::object::Object;
use super::{CronSchedule, Reader};
use crate::cron;
use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, Spanned};

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
    let text = text.trim();
    // `CRON_TZ=Europe/Berlin 0 3 * * *`
    let fields = text.split_whitespace().filter(|field| !field.contains("TZ="));
    (!text.starts_with('@')).then(|| fields.count())
}

impl Reader<'_> {
    /// A schedule in another time zone is read as UTC.
    pub(super) fn warn_of_time_zone(&mut self, zone: &str, span: Span) {
        let message = format!("{}: `{zone}` is read as UTC", self.object.title());
        let help = "the run begins at midnight UTC; shift the hours to those of UTC";
        self.diagnostics.push(Diagnostic::new(Code::W0160, span, message).help(help));
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
    let mut words: Vec<&str> = text.value.split_whitespace().collect();
    if words.first().is_some_and(|word| word.contains("TZ=")) {
        reader.warn_of_time_zone(words[0], text.span);
        words.remove(0);
    }
    let is_word = words.first().is_some_and(|word| word.starts_with('@'));
    if field_count == 6 && words.len() == 5 && !is_word {
        words.push("*");
    }
    if words.len() != field_count && !is_word {
        // W0121 says so; the server accepts no such schedule.
        return None;
    }
    match cron::parse(&words.join(" "), field_count) {
        Ok(value) => Some(Spanned { value, span: text.span }),
        Err(reason) => {
            reader.refuse(path, format!("is no schedule: {reason}"));
            None
        }
    }
}
