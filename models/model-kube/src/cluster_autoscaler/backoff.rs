//! For how long a node group that failed to grow is left alone
//! (`utils/backoff/exponential_backoff.go`).

use std::collections::BTreeMap;

use sim_kernel::{SimSpan, SimTime};

/// Flags of the back-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// `--initial-node-group-backoff-duration`.
    pub initial: SimSpan,
    /// `--max-node-group-backoff-duration`.
    pub max: SimSpan,
    /// `--node-group-backoff-reset-timeout`.
    pub reset: SimSpan,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self {
            initial: SimSpan::from_mins(5),
            max: SimSpan::from_mins(30),
            reset: SimSpan::from_hours(3),
        }
    }
}

/// Node groups that failed, by their key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff<K: Ord> {
    settings: BackoffSettings,
    entries: BTreeMap<K, Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    length: SimSpan,
    until: SimTime,
    last_failed_at: SimTime,
}

impl<K: Ord> Backoff<K> {
    /// Nothing failed yet.
    pub const fn new(settings: BackoffSettings) -> Self {
        Self { settings, entries: BTreeMap::new() }
    }

    /// A scale-up of the group failed; returns until when it is left alone. A failure after the end
    /// of the last back-off doubles its length, one during it moves the end only.
    pub fn failed(&mut self, group: K, now: SimTime) -> SimTime {
        let length = match self.entries.get(&group) {
            None => self.settings.initial,
            Some(entry) if entry.until < now => (entry.length * 2).min(self.settings.max),
            Some(entry) => entry.length,
        };
        let until = now + length;
        self.entries.insert(group, Entry { length, until, last_failed_at: now });
        until
    }

    /// Whether the group is left alone.
    pub fn is_backed_off(&self, group: &K, now: SimTime) -> bool {
        self.entries.get(group).is_some_and(|entry| now <= entry.until)
    }

    /// Until when the group is left alone, if it is.
    pub fn until(&self, group: &K, now: SimTime) -> Option<SimTime> {
        self.entries.get(group).map(|entry| entry.until).filter(|until| now <= *until)
    }

    /// Forgets what failed (`RemoveBackoff`).
    pub fn succeeded(&mut self, group: &K) {
        self.entries.remove(group);
    }

    /// Forgets groups that did not fail for long (`RemoveStaleBackoffData`, every loop upstream).
    pub fn forget_stale(&mut self, now: SimTime) {
        let reset = self.settings.reset;
        self.entries.retain(|_, entry| entry.last_failed_at + reset >= now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_double_up_to_the_maximum_and_are_forgotten() {
        let mut backoff = Backoff::new(BackoffSettings::default());
        let at = |mins| SimTime::ZERO + SimSpan::from_mins(mins);
        assert_eq!(backoff.failed("a", at(0)), at(5));
        assert_eq!(backoff.failed("a", at(3)), at(8), "moved, not longer");
        assert_eq!(backoff.failed("a", at(9)), at(19));
        assert_eq!(backoff.failed("a", at(20)), at(40));
        assert_eq!(backoff.failed("a", at(60)), at(90), "no more than the maximum");
        assert!(backoff.is_backed_off(&"a", at(90)) && !backoff.is_backed_off(&"a", at(91)));
        let mut later = backoff.clone();
        assert_eq!(later.failed("a", at(60 + 181)), at(60 + 181 + 30), "until it is forgotten");
        backoff.forget_stale(at(60 + 181));
        assert_eq!(backoff.failed("a", at(60 + 181)), at(60 + 181 + 5));
        backoff.succeeded(&"a");
        assert!(!backoff.is_backed_off(&"a", at(242)));
    }

    #[test]
    fn the_end_of_a_back_off_belongs_to_it() {
        let mut backoff = Backoff::new(BackoffSettings::default());
        let at = |mins| SimTime::ZERO + SimSpan::from_mins(mins);
        assert_eq!(backoff.failed("a", at(0)), at(5));
        assert_eq!(backoff.failed("a", at(5)), at(10), "not longer yet");
        let reset = BackoffSettings::default().reset;
        backoff.forget_stale(at(5) + reset);
        assert_eq!(backoff.failed("a", at(5) + reset), at(15) + reset, "not forgotten yet");
    }
}
