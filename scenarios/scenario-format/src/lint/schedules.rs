//! Schedules that do not say what they seem to.

use jiff::Timestamp;
use model_api::backup::{Cron, Schedule};
use model_api::calendar::RUN_STARTS_UNIX_SECS;
use model_api::time_zone::TimeZone;

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{CronSchedule, Object, cron_field_count};
use crate::yaml::Node;
use crate::{cron, time_zone};

const SECONDS_PER_YEAR: i64 = 366 * 86_400;
const EVERY_HOUR: u32 = (1 << 24) - 1;

impl Lint<'_> {
    pub(super) fn schedules(&mut self) {
        for schedule in &self.manifests.schedules {
            let object = self.manifests.object(schedule);
            self.number_of_fields(object, &schedule.value);
            self.changes_of_clocks(object, &schedule.value);
        }
    }

    /// W0121.
    fn number_of_fields(&mut self, object: &Object, schedule: &CronSchedule) {
        let wanted = schedule.fields_wanted;
        let Some(count) = cron_field_count(&schedule.text.value) else { return };
        if count != wanted {
            let message = format!(
                "{}: a schedule of {count} fields, where {wanted} are wanted",
                object.title()
            );
            let diagnostic = Diagnostic::new(Code::W0121, schedule.text.span, message);
            let help = ((count, wanted) == (5, 6))
                .then(|| format!("seconds come first: \"0 {}\"", schedule.text.value));
            self.push(object, diagnostic.help_if(help));
        }
    }

    /// W0174.
    fn changes_of_clocks(&mut self, object: &Object, schedule: &CronSchedule) {
        let read = cron::parse(&schedule.text.value, schedule.fields_wanted);
        let zone = object.find("spec.timeZone").and_then(Node::text);
        let zone = zone.and_then(|zone| time_zone::named(zone).ok());
        let Ok(Schedule::Cron(cron)) =
            read.map(|it| if let Some(zone) = zone { it.in_zone(zone) } else { it })
        else {
            return;
        };
        let Some((local, is_skipped)) = first_odd_time(&cron) else { return };
        let at = Timestamp::from_second(RUN_STARTS_UNIX_SECS + local).unwrap_or_default();
        let at = at.to_string().replace('T', " ").replace('Z', "");
        let what = if is_skipped { "is skipped by" } else { "comes twice on" };
        let message = format!("{}: {at} {what} the clocks that it goes by", object.title());
        let help = "choose an hour that no change of clocks touches, or state none but UTC";
        self.push(object, Diagnostic::new(Code::W0174, schedule.text.span, message).help(help));
    }
}

/// The first local time, in the year from the start of a run on, that the schedule names and that clocks
/// skip or show twice, and which of these it is. What happens every hour is not missed for one.
fn first_odd_time(cron: &Cron) -> Option<(i64, bool)> {
    let mut ahead = cron.time_zone.offset_secs;
    for change in &cron.time_zone.changes {
        let before = std::mem::replace(&mut ahead, change.offset_secs);
        let is_of_this_year = (0..SECONDS_PER_YEAR).contains(&change.at_secs);
        if !is_of_this_year || cron.hours == EVERY_HOUR {
            continue;
        }
        // By clocks that were not changed: what they show in the hour after the change is skipped when
        // the others went forward, and what they show in the hour before it comes again when not.
        let length = i64::from(ahead - before);
        let from = change.at_secs + length.min(0);
        let steady = TimeZone { offset_secs: before, changes: Vec::new() };
        let next = Cron { time_zone: steady.clone(), ..cron.clone() }.next_after(from - 1);
        if let Some(at) = next.filter(|at| *at < from + length.abs()) {
            return Some((steady.local(at), length > 0));
        }
    }
    None
}
