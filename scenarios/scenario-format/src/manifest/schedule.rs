//! Schedules in cron syntax, in the resources that have one.

use super::CronSchedule;
use super::object::Object;
use crate::source::Spanned;

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
