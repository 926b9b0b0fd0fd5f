//! Off-peak downsizing: workloads that opted in are small outside of their hours.
//!
//! # Modelled
//! Opting in by annotations with weekly windows in any time zone, hours in which a workload is up or down, the size
//! while it is down, the memory of its former size, exclusion, and what an HPA makes of the new
//! size.
//! # Not modelled
//! Absolute time stamps as windows. A namespace's defaults.
//! The grace of 15 minutes of a young workload: those of a run are older.
//! # Defaults and their sources
//! kube-downscaler (caas-team/py-kube-downscaler 24.x, `kube_downscaler/{scaler,helper,cmd}.py`):
//! one look every 30 s as the chart sets it, size 0 while down, uptime `always`,
//! downtime `never`; annotations `downscaler/...`. Unlike there nothing is downsized by default: a
//! workload opts in by stating its hours.
//! # Invariants
//! A workload that did not opt in is never touched. Unless somebody else scales it, a workload comes
//! back with exactly the size it had. Nothing is ever scaled up beyond its former size.
//! # Checked against
//! The rules of the source, retold as tests; property tests over whole weeks.

pub use model_api::kube::off_peak::{
    Hours, HoursError, Schedule, is_contradiction, lasting_replicas, schedule_of,
};
use sim_kernel::{SimSpan, SimTime};

/// How often the downscaler looks.
pub const LOOK_INTERVAL: SimSpan = SimSpan::from_secs(30);

/// What the downscaler sees of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sized {
    /// `spec.replicas`.
    pub replicas: u32,
    /// Annotation `downscaler/original-replicas`.
    pub original: Option<u32>,
}

/// What the downscaler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Nothing.
    Keep,
    /// Sets the size and remembers the former one.
    Down {
        /// The new size.
        replicas: u32,
        /// What is remembered.
        original: u32,
    },
    /// Sets the former size and forgets it.
    Up {
        /// The new size.
        replicas: u32,
    },
}

/// What is done with a workload at one look (`autoscale_resource`). It is brought back only while it
/// still has the size of its downtime: whoever scaled it meanwhile is not overruled.
pub fn resize(schedule: &Schedule, workload: Sized, now: SimTime) -> Resize {
    if schedule.is_up(now) {
        return match workload.original {
            Some(original) if original > 0 && workload.replicas == schedule.downtime_replicas => {
                Resize::Up { replicas: original }
            }
            _ => Resize::Keep,
        };
    }
    if workload.replicas > schedule.downtime_replicas {
        let replicas = schedule.downtime_replicas;
        return Resize::Down { replicas, original: workload.replicas };
    }
    Resize::Keep
}

impl Sized {
    /// The workload after that.
    pub fn after(self, resize: Resize) -> Self {
        match resize {
            Resize::Keep => self,
            Resize::Down { replicas, original } => Self { replicas, original: Some(original) },
            Resize::Up { replicas } => Self { replicas, original: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use model_api::kube::Labels;
    use model_api::kube::off_peak::{DOWNTIME, DOWNTIME_REPLICAS, EXCLUDE, UPTIME};
    use model_api::time_zone::{OffsetChange, TimeZone};
    use proptest::prelude::*;

    use super::*;

    const MINUTE: SimSpan = SimSpan::from_mins(1);
    const MINUTES_PER_DAY: u64 = 24 * 60;
    const DAYS: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

    /// A moment of the first week: day (0 is Monday), hour, minute.
    fn at(day: u64, hour: u64, minute: u64) -> SimTime {
        SimTime::ZERO + MINUTE * (day * MINUTES_PER_DAY + hour * 60 + minute)
    }

    fn schedule(entries: &[(&str, &str)]) -> Option<Schedule> {
        let annotations: Labels =
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        schedule_of(&annotations, zones).expect("the hours can be read")
    }

    /// UTC, and Berlin as of 2026: clocks change on 29 March and 25 October.
    fn zones(name: &str) -> Option<TimeZone> {
        let change =
            |day: i64, offset_secs| OffsetChange { at_secs: day * 86_400 + 3_600, offset_secs };
        let changes = vec![change(83, 7_200), change(293, 3_600)];
        match name {
            "UTC" => Some(TimeZone::default()),
            "Europe/Berlin" => Some(TimeZone { offset_secs: 3_600, changes }),
            _ => None,
        }
    }

    #[test]
    fn hours_are_read_as_the_downscaler_reads_them() {
        let work = Hours::parse("Mon-Fri 07:30-20:30 UTC", zones).expect("hours");
        let holds = |day, hour, minute| work.hold(at(day, hour, minute));
        assert!(holds(0, 7, 30) && holds(4, 20, 29) && holds(7, 12, 0));
        assert!(!holds(0, 7, 29) && !holds(4, 20, 30) && !holds(5, 12, 0));
        let wrapped = Hours::parse("Sun-Mon 10:00-24:00 UTC", zones).expect("hours");
        assert!(wrapped.hold(at(6, 23, 59)) && wrapped.hold(at(0, 10, 0)));
        assert!(!wrapped.hold(at(1, 10, 0)));
        let overnight = Hours::parse("Mon-Sun 22:00-06:00 UTC", zones).expect("hours");
        assert!(!overnight.hold(at(0, 23, 0)), "windows do not reach over midnight");
        for wrong in
            ["", "Mon 07:30-20:30 UTC", "Mon-Fri 7:30-20:30 UTC", "Mon-Fri 07:30-25:00 UTC"]
        {
            assert_eq!(Hours::parse(wrong, zones), Err(HoursError::Form(wrong.to_owned())));
        }
        let nowhere = Hours::parse("Mon-Fri 07:30-20:30 Europe/Berln", zones);
        assert_eq!(nowhere, Err(HoursError::TimeZone("Europe/Berln".to_owned())));
    }

    #[test]
    fn hours_are_those_of_the_clocks_they_name() {
        let work = "Mon-Fri 07:30-20:30 Europe/Berlin";
        let work = schedule(&[(UPTIME, work)]).expect("it opted in");
        assert_eq!(work.next_change(at(0, 0, 0)), Some(at(0, 6, 30)));
        assert_eq!(work.next_change(at(0, 6, 30)), Some(at(0, 19, 30)));
        assert_eq!(
            work.next_change(at(81, 20, 0)),
            Some(at(84, 5, 30)),
            "summer began on the weekend"
        );
        // What ends within an hour that is repeated ends twice; one within a skipped hour does not come.
        let night = |hours: &str| {
            schedule(&[(UPTIME, &format!("Sun-Sun {hours} Europe/Berlin"))]).expect("it opted in")
        };
        let changes = |schedule: &Schedule, from: SimTime, count: usize| -> Vec<SimTime> {
            let next = |now: &SimTime| schedule.next_change(*now);
            std::iter::successors(next(&from), next).take(count).collect()
        };
        assert_eq!(
            changes(&night("01:00-02:30"), at(292, 0, 0), 4),
            [at(292, 23, 0), at(293, 0, 30), at(293, 1, 0), at(293, 1, 30)]
        );
        assert_eq!(changes(&night("02:15-02:45"), at(82, 0, 0), 2), [at(90, 0, 15), at(90, 0, 45)]);
    }

    #[test]
    fn only_who_opted_in_is_downsized() {
        assert_eq!(schedule(&[]), None);
        assert_eq!(schedule(&[(UPTIME, "never"), (EXCLUDE, "true")]), None);
        let night = schedule(&[(UPTIME, "Mon-Fri 08:00-18:00 UTC")]).expect("it opted in");
        let workload = Sized { replicas: 4, original: None };
        let down = resize(&night, workload, at(0, 20, 0));
        assert_eq!(down, Resize::Down { replicas: 0, original: 4 });
        let small = workload.after(down);
        assert_eq!(resize(&night, small, at(0, 21, 0)), Resize::Keep);
        assert_eq!(resize(&night, small, at(1, 8, 0)), Resize::Up { replicas: 4 });
        let by_hand = Sized { replicas: 1, ..small };
        assert_eq!(resize(&night, by_hand, at(1, 8, 0)), Resize::Keep);
    }

    #[test]
    fn changes_are_known_ahead() {
        let work = schedule(&[(UPTIME, "Mon-Fri 08:00-18:00 UTC")]).expect("it opted in");
        assert_eq!(work.next_change(at(0, 9, 0)), Some(at(0, 18, 0)));
        assert_eq!(work.next_change(at(4, 18, 0)), Some(at(7, 8, 0)), "over the weekend");
        let always = schedule(&[(UPTIME, "always")]).expect("it opted in");
        assert_eq!(always.next_change(at(0, 9, 0)), None);
    }

    #[test]
    fn an_hpa_raises_what_is_not_zero() {
        assert_eq!(lasting_replicas(0, Some(3)), 0);
        assert_eq!(lasting_replicas(1, Some(3)), 3);
        let one = schedule(&[(UPTIME, "never"), (DOWNTIME_REPLICAS, "1")]).expect("it opted in");
        assert!(is_contradiction(&one, Some(3)) && !is_contradiction(&one, None));
    }

    fn windows() -> impl Strategy<Value = String> {
        let window = (0..7_usize, 0..7_usize, 0..24_u64, 0..60_u64, 0..=24_u64).prop_map(
            |(first, last, hour, minute, end)| {
                format!("{}-{} {hour:02}:{minute:02}-{end:02}:00 UTC", DAYS[first], DAYS[last])
            },
        );
        prop::collection::vec(window, 1..3).prop_map(|windows| windows.join(","))
    }

    proptest! {
        #[test]
        fn a_week_restores_what_it_took(
            uptime in windows(),
            downtime in prop::option::of(windows()),
            size in 1..9_u32,
            down in 0..3_u32,
        ) {
            let down = down.to_string();
            let mut entries = vec![(UPTIME, uptime.as_str()), (DOWNTIME_REPLICAS, down.as_str())];
            if let Some(downtime) = &downtime {
                entries.push((DOWNTIME, downtime));
            }
            let schedule = schedule(&entries).expect("it opted in");
            let mut workload = Sized { replicas: size, original: None };
            let mut now = at(0, 1, 0);
            for _ in 0..40 {
                workload = workload.after(resize(&schedule, workload, now));
                prop_assert!(workload.replicas <= size);
                let expected = if schedule.is_up(now) { size } else { size.min(schedule.downtime_replicas) };
                prop_assert_eq!(workload.replicas, expected);
                let Some(next) = schedule.next_change(now) else { break };
                prop_assert!(next > now && next - now <= SimSpan::from_days(7));
                // Nothing changes before the moment that was told.
                let between = now + (next - now) / 2;
                prop_assert_eq!(schedule.is_up(between), schedule.is_up(now));
                now = next;
            }
        }
    }
}
