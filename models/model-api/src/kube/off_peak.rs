//! Hours in which a workload is small, as annotations state them.
//!
//! Windows are hours by the clocks of a time zone; a run begins on a Monday. The words are those of
//! kube-downscaler (caas-team/py-kube-downscaler 24.x, `kube_downscaler/{scaler,helper}.py`).

use sim_kernel::SimTime;

use super::selector::Labels;
use crate::time_zone::TimeZone;

/// Annotation: hours in which a workload is up.
pub const UPTIME: &str = "downscaler/uptime";
/// Annotation: hours in which it is down.
pub const DOWNTIME: &str = "downscaler/downtime";
/// Annotation: its size while it is down.
pub const DOWNTIME_REPLICAS: &str = "downscaler/downtime-replicas";
/// Annotation: it is left alone.
pub const EXCLUDE: &str = "downscaler/exclude";
const FORCE_UPTIME: &str = "downscaler/force-uptime";

const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days that are looked through for a change: a week repeats, but for a time that clocks skip.
const DAYS_AHEAD: i64 = 15;
const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

/// Hours on certain days of each week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// First day, 0 is Monday.
    from_day: i64,
    /// Last day; earlier than the first wraps over the end of the week.
    to_day: i64,
    /// Minutes of the day, the end not included.
    from_minute: i64,
    to_minute: i64,
    time_zone: TimeZone,
}

/// When something holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hours {
    /// `always`.
    Always,
    /// `never`.
    Never,
    /// In any of these windows.
    Windows(Vec<Window>),
}

/// Why a text states no hours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoursError {
    /// It is not of the form `Mon-Fri 07:30-20:30 UTC`.
    Form(String),
    /// Nobody knows its time zone.
    TimeZone(String),
}

impl Hours {
    /// Reads `always`, `never` or windows such as `Mon-Fri 07:30-20:30 Europe/Berlin`, with commas
    /// between; `zones` knows time zones by their names.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str, zones: impl Fn(&str) -> Option<TimeZone>) -> Result<Self, HoursError> {
        match text.to_ascii_lowercase().as_str() {
            "always" => return Ok(Self::Always),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        text.split(',')
            .map(|part| Window::parse(part.trim(), &zones))
            .collect::<Result<_, _>>()
            .map(Self::Windows)
    }

    /// Whether they hold at a moment.
    pub fn hold(&self, now: SimTime) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Windows(windows) => windows.iter().any(|window| window.holds(seconds(now))),
        }
    }

    /// Moments of the next days at which they may begin or cease to hold, in seconds.
    fn edges(&self, now: SimTime) -> Vec<i64> {
        let Self::Windows(windows) = self else { return Vec::new() };
        windows.iter().flat_map(|window| window.edges(seconds(now))).collect()
    }
}

fn seconds(at: SimTime) -> i64 {
    i64::try_from(at.as_nanos() / 1_000_000_000).expect("584 years in seconds")
}

impl Window {
    fn parse(text: &str, zones: &impl Fn(&str) -> Option<TimeZone>) -> Result<Self, HoursError> {
        let wrong = || HoursError::Form(text.to_owned());
        let mut words = text.split_whitespace();
        let (days, hours) = (words.next().ok_or_else(wrong)?, words.next().ok_or_else(wrong)?);
        let zone = words.next().ok_or_else(wrong)?;
        if words.next().is_some() {
            return Err(wrong());
        }
        let day = |name: &str| {
            let place = DAYS.iter().position(|day| *day == name.to_ascii_uppercase());
            place.map(|place| place as i64).ok_or_else(wrong)
        };
        let minute = |clock: &str| {
            let (hour, minute) = clock.split_once(':').ok_or_else(wrong)?;
            let number = |digits: &str| digits.parse::<u32>().ok().filter(|_| digits.len() == 2);
            let (hour, minute) =
                (number(hour).ok_or_else(wrong)?, number(minute).ok_or_else(wrong)?);
            let is_clock = hour < 24 && minute < 60 || hour == 24 && minute == 0;
            is_clock.then_some(i64::from(60 * hour + minute)).ok_or_else(wrong)
        };
        let (first, last) = days.split_once('-').ok_or_else(wrong)?;
        let (from, to) = hours.split_once('-').ok_or_else(wrong)?;
        Ok(Self {
            from_day: day(first)?,
            to_day: day(last)?,
            from_minute: minute(from)?,
            to_minute: minute(to)?,
            time_zone: zones(zone).ok_or_else(|| HoursError::TimeZone(zone.to_owned()))?,
        })
    }

    /// Windows do not reach over midnight: one from evening to morning never holds.
    fn holds(&self, second: i64) -> bool {
        let local = self.time_zone.local(second);
        let day = local.div_euclid(SECONDS_PER_DAY).rem_euclid(7);
        let minute = local.rem_euclid(SECONDS_PER_DAY) / SECONDS_PER_MINUTE;
        let on_day = if self.from_day > self.to_day {
            day >= self.from_day || day <= self.to_day
        } else {
            (self.from_day..=self.to_day).contains(&day)
        };
        on_day && (self.from_minute..self.to_minute).contains(&minute)
    }

    /// Its beginnings and ends, midnights, since days differ, and changes of clocks.
    fn edges(&self, second: i64) -> impl Iterator<Item = i64> {
        let today = self.time_zone.local(second).div_euclid(SECONDS_PER_DAY);
        let of_day = [0, self.from_minute, self.to_minute];
        let locals = (today..=today + DAYS_AHEAD).flat_map(move |day| {
            of_day.map(|minute| day * SECONDS_PER_DAY + minute * SECONDS_PER_MINUTE)
        });
        let days_ahead = second..second + DAYS_AHEAD * SECONDS_PER_DAY;
        let changes = self.time_zone.changes.iter().map(|change| change.at_secs);
        locals
            .flat_map(|local| self.time_zone.moments(local))
            .chain(changes.filter(move |at| days_ahead.contains(at)))
    }
}

/// What a workload opted in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Hours in which it is up.
    pub uptime: Hours,
    /// Hours in which it is down, even if it is up by the other.
    pub downtime: Hours,
    /// Its size while it is down.
    pub downtime_replicas: u32,
    /// It is up whatever the hours.
    pub is_forced_up: bool,
}

/// Reads what a workload opted in to; `None` when it did not, or is excluded. `zones` knows time zones by
/// their names.
///
/// # Errors
/// When its hours cannot be read: then it is left alone.
pub fn schedule_of(
    annotations: &Labels,
    zones: impl Fn(&str) -> Option<TimeZone>,
) -> Result<Option<Schedule>, HoursError> {
    let is_true = |name: &str| annotations.get(name).is_some_and(|value| value == "true");
    let (uptime, downtime) = (annotations.get(UPTIME), annotations.get(DOWNTIME));
    if is_true(EXCLUDE) || uptime.is_none() && downtime.is_none() {
        return Ok(None);
    }
    let read =
        |text: Option<&String>, default| text.map_or(Ok(default), |it| Hours::parse(it, &zones));
    let replicas = annotations.get(DOWNTIME_REPLICAS).and_then(|value| value.parse().ok());
    Ok(Some(Schedule {
        uptime: read(uptime, Hours::Always)?,
        downtime: read(downtime, Hours::Never)?,
        downtime_replicas: replicas.unwrap_or(0),
        is_forced_up: is_true(FORCE_UPTIME),
    }))
}

impl Schedule {
    /// Whether the workload should be up.
    pub fn is_up(&self, now: SimTime) -> bool {
        self.is_forced_up || self.uptime.hold(now) && !self.downtime.hold(now)
    }

    /// The next moment at which that changes; `None` when it never does. Nothing needs to be done
    /// until then.
    pub fn next_change(&self, now: SimTime) -> Option<SimTime> {
        let mut edges = self.uptime.edges(now);
        edges.extend(self.downtime.edges(now));
        edges.sort_unstable();
        let is_up = self.is_up(now);
        let moments = edges.into_iter().filter_map(|at| u64::try_from(at).ok());
        let mut later = moments.map(SimTime::from_secs).filter(|at| *at > now);
        later.find(|at| self.is_up(*at) != is_up)
    }
}

/// The size that lasts when an HPA owns the workload too: at 0 the HPA is switched off and the size
/// stays; any other size below `minReplicas` is raised again by its next sync.
pub const fn lasting_replicas(replicas: u32, hpa_min_replicas: Option<u32>) -> u32 {
    match hpa_min_replicas {
        Some(min) if replicas > 0 && replicas < min => min,
        _ => replicas,
    }
}

/// Whether downscaler and HPA would undo each other's work for the whole downtime: the one makes the
/// workload small at each look and remembers what it finds, the other raises it again.
pub const fn is_contradiction(schedule: &Schedule, hpa_min_replicas: Option<u32>) -> bool {
    let down = schedule.downtime_replicas;
    lasting_replicas(down, hpa_min_replicas) != down
}
