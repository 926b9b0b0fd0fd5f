//! What an autoscaler remembers: past recommendations and past changes
//! (`pkg/controller/podautoscaler/horizontal.go`, Kubernetes 1.36).
//!
//! It is memory of the process: a new leader of the controller manager starts without any.

use model_api::kube::ScalingRules;
use sim_kernel::{SimSpan, SimTime};

/// A proposal of the metrics, before any limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recommendation {
    /// How many.
    pub replicas: i32,
    /// When it was made last.
    pub at: SimTime,
}

/// A change that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleEvent {
    /// By how many.
    pub change: i32,
    /// When.
    pub at: SimTime,
}

/// Recommendations and changes of one autoscaler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    is_seeded: bool,
    /// Each value once, with the latest time at which it was recommended: windows ask only for the
    /// highest and the lowest value within them, so earlier times of the same value tell nothing.
    recommendations: Vec<Recommendation>,
    ups: Vec<ScaleEvent>,
    downs: Vec<ScaleEvent>,
}

/// Which end of a window is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// What happened exactly a window ago is inside.
    Inclusive,
    /// It is outside.
    Exclusive,
}

impl Edge {
    fn includes(self, at: SimTime, window: SimSpan, now: SimTime) -> bool {
        match self {
            Self::Inclusive => at.saturating_add(window) >= now,
            Self::Exclusive => at.saturating_add(window) > now,
        }
    }

    /// When something leaves a window.
    fn leaves_at(self, at: SimTime, window: SimSpan) -> SimTime {
        let end = at.saturating_add(window);
        match self {
            Self::Inclusive => end.saturating_add(SimSpan::from_nanos(1)),
            Self::Exclusive => end,
        }
    }
}

impl History {
    /// A history with something in it, in any order.
    pub fn with(
        recommendations: &[Recommendation],
        ups: &[ScaleEvent],
        downs: &[ScaleEvent],
    ) -> Self {
        let mut history = Self {
            is_seeded: true,
            recommendations: Vec::new(),
            ups: ups.to_vec(),
            downs: downs.to_vec(),
        };
        for recommendation in recommendations {
            history.renew(*recommendation);
        }
        history
    }

    /// First sight of an autoscaler: what is there counts as recommended, so that a controller that
    /// restarts scales nothing down at once (`recordInitialRecommendation`).
    pub fn seed(&mut self, replicas: i32, now: SimTime) {
        if !self.is_seeded {
            self.is_seeded = true;
            self.recommendations.push(Recommendation { replicas, at: now });
        }
    }

    /// The highest of `proposal` and what was recommended within the window.
    pub(crate) fn highest(&self, proposal: i32, window: SimSpan, edge: Edge, now: SimTime) -> i32 {
        self.within(window, edge, now).fold(proposal, i32::max)
    }

    /// The lowest of `proposal` and what was recommended within the window.
    pub(crate) fn lowest(&self, proposal: i32, window: SimSpan, edge: Edge, now: SimTime) -> i32 {
        self.within(window, edge, now).fold(proposal, i32::min)
    }

    fn within(
        &self,
        window: SimSpan,
        edge: Edge,
        now: SimTime,
    ) -> impl Iterator<Item = i32> + use<'_> {
        let recent =
            self.recommendations.iter().filter(move |it| edge.includes(it.at, window, now));
        recent.map(|it| it.replicas)
    }

    /// Remembers a proposal; forgets what no window of this length holds any more.
    pub(crate) fn recommend(&mut self, replicas: i32, now: SimTime, longest_window: SimSpan) {
        self.recommendations.retain(|it| it.at.saturating_add(longest_window) >= now);
        self.renew(Recommendation { replicas, at: now });
    }

    /// The same proposal was made again, at syncs that were left out because nothing could differ.
    pub(crate) fn renew(&mut self, recommendation: Recommendation) {
        let same = |it: &&mut Recommendation| it.replicas == recommendation.replicas;
        match self.recommendations.iter_mut().find(same) {
            Some(known) => known.at = known.at.max(recommendation.at),
            None => self.recommendations.push(recommendation),
        }
    }

    /// Replicas added and removed strictly within a period (`getReplicasChangePerPeriod`).
    pub(crate) fn changes(&self, period: SimSpan, now: SimTime) -> (i32, i32) {
        let sum = |events: &[ScaleEvent]| {
            let recent = events.iter().filter(|it| Edge::Exclusive.includes(it.at, period, now));
            recent.fold(0_i32, |sum, it| sum.wrapping_add(it.change))
        };
        (sum(&self.ups), sum(&self.downs))
    }

    /// Remembers a change (`storeScaleEvent`): it takes the place of the last one that is older than
    /// the longest period of its own direction, even where the other direction still asks for it.
    pub(crate) fn record_change(
        &mut self,
        old: i32,
        new: i32,
        up: &ScalingRules,
        down: &ScalingRules,
        now: SimTime,
    ) {
        let (events, rules) = if new > old { (&mut self.ups, up) } else { (&mut self.downs, down) };
        let longest = longest_period(rules);
        let event = ScaleEvent { change: new.wrapping_sub(old).wrapping_abs(), at: now };
        let is_outdated = |it: &ScaleEvent| it.at.saturating_add(longest) < now;
        match events.iter().rposition(is_outdated) {
            Some(idx) => events[idx] = event,
            None => events.push(event),
        }
    }

    /// The next moment at which something leaves the windows of recommendations or the periods of
    /// rates, if the proposal stays as it is.
    pub fn next_departure(
        &self,
        proposal: i32,
        windows: &[(SimSpan, Edge)],
        periods: impl Iterator<Item = SimSpan>,
        now: SimTime,
    ) -> Option<SimTime> {
        let others = self.recommendations.iter().filter(|it| it.replicas != proposal);
        let recommended = others
            .flat_map(|it| windows.iter().map(|(window, edge)| edge.leaves_at(it.at, *window)));
        let changed = periods.flat_map(|period| {
            let events = self.ups.iter().chain(&self.downs);
            events.map(move |it| Edge::Exclusive.leaves_at(it.at, period))
        });
        recommended.chain(changed).filter(|at| *at > now).min()
    }
}

fn longest_period(rules: &ScalingRules) -> SimSpan {
    rules.policies.iter().map(|policy| policy.period).max().unwrap_or(SimSpan::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_count_in_their_direction_and_old_ones_give_way() {
        let (up, down) = (ScalingRules::default_up(), ScalingRules::default_down());
        let at = SimTime::from_secs;
        let minute = SimSpan::from_mins(1);
        let mut history = History::default();
        history.record_change(3, 5, &up, &down, at(100));
        history.record_change(5, 4, &up, &down, at(110));
        assert_eq!(history.changes(minute, at(111)), (2, 1));
        // Exactly a period ago is outside.
        assert_eq!(history.changes(SimSpan::from_secs(11), at(111)), (0, 1));
        // The rise is 15 s old, as its rules look back, and stays; then it gives way.
        history.record_change(4, 7, &up, &down, at(115));
        assert_eq!(history.changes(minute, at(115)), (5, 1));
        history.record_change(7, 8, &up, &down, at(116));
        assert_eq!(history.changes(minute, at(116)), (4, 1));
        history.record_change(8, 6, &up, &down, at(126));
        assert_eq!(history.changes(minute, at(126)), (4, 2));
    }

    #[test]
    fn of_several_old_changes_the_last_one_gives_way() {
        let (up, down) = (ScalingRules::default_up(), ScalingRules::default_down());
        let event = |change, secs| ScaleEvent { change, at: SimTime::from_secs(secs) };
        let mut history = History::with(&[], &[event(1, 10), event(2, 20), event(4, 95)], &[]);
        history.record_change(3, 11, &up, &down, SimTime::from_secs(100));
        let kept = History::with(&[], &[event(1, 10), event(8, 100), event(4, 95)], &[]);
        assert_eq!(history, kept);
    }
}
