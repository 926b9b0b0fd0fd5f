//! Zones: `pkg/controller/nodelifecycle/node_lifecycle_controller.go` (ComputeZoneState,
//! handleDisruption), `scheduler/rate_limited_queue.go`, Kubernetes 1.36.

use std::collections::BTreeMap;

use model_api::{SimSpan, SimTime};
use model_kube::node_lifecycle::{
    DisruptionChange, EvictionRates, TaintLimiter, ZoneCount, ZoneEvictor, ZoneState, rate_milli,
    zone_state,
};
use proptest::collection::vec;
use proptest::prelude::*;

const RATES: EvictionRates = EvictionRates {
    normal_milli: 100,
    secondary_milli: 10,
    large_zone_size: 50,
    unhealthy_ppm: 550_000,
};

fn count(ready_count: u32, not_ready_count: u32) -> ZoneCount {
    ZoneCount { ready_count, not_ready_count }
}

/// States and rates of zones as upstream keeps them: a zone without nodes is forgotten.
#[derive(Default)]
struct Controller {
    states: BTreeMap<usize, ZoneState>,
    rates: BTreeMap<usize, u64>,
}

impl Controller {
    fn pass(&mut self, counts: &[ZoneCount]) -> DisruptionChange {
        let mut new = BTreeMap::new();
        for (zone, of_zone) in counts.iter().enumerate().filter(|(_, it)| it.size() > 0) {
            new.insert(zone, zone_state(*of_zone, RATES.unhealthy_ppm));
            self.states.entry(zone).or_default();
            self.rates.entry(zone).or_insert(RATES.normal_milli);
        }
        self.states.retain(|zone, _| new.contains_key(zone));
        let full = |states: &BTreeMap<usize, ZoneState>| {
            states.values().all(|it| *it == ZoneState::FullDisruption)
        };
        let (are, were) = (full(&new), full(&self.states));
        if are && were {
            return DisruptionChange::None;
        }
        for (zone, state) in &new {
            let size = counts[*zone].size();
            if are {
                self.rates.insert(*zone, 0);
            } else if were || self.states[zone] != *state {
                self.rates.insert(*zone, rate_milli(*state, size, RATES));
            }
        }
        self.states = new;
        match (are, were) {
            (true, _) => DisruptionChange::Entered,
            (false, true) => DisruptionChange::Left,
            (false, false) => DisruptionChange::None,
        }
    }
}

proptest! {
    /// The share is a quotient of 32-bit floats upstream.
    #[test]
    fn the_state_of_a_zone(ready in 0..400_u32, not_ready in 0..400_u32, percent in 1..=100_u32) {
        let share = not_ready as f32 / (ready + not_ready) as f32;
        let threshold = (f64::from(percent) / 100.0) as f32;
        let expected = if ready == 0 && not_ready > 0 {
            ZoneState::FullDisruption
        } else if not_ready > 2 && share >= threshold {
            ZoneState::PartialDisruption
        } else {
            ZoneState::Normal
        };
        prop_assert_eq!(zone_state(count(ready, not_ready), percent * 10_000), expected);
    }

    /// Passes of the monitor over zones whose nodes fail, return, are deleted and come anew.
    #[test]
    fn passes_of_the_monitor(passes in vec(vec((0..4_u32, 0..5_u32, 1..30_u32), 3), 1..12)) {
        let (mut evictor, mut controller) = (ZoneEvictor::new(RATES, 3), Controller::default());
        for (nth, zones) in passes.into_iter().enumerate() {
            // Some zones are large.
            let counts: Vec<ZoneCount> = zones
                .into_iter()
                .map(|(ready, not_ready, factor)| count(ready * factor, not_ready * factor))
                .collect();
            let expected = controller.pass(&counts);
            let now = SimTime::from_secs(5 * nth as u64);
            prop_assert_eq!(evictor.handle_disruption(&counts, now), expected);
            for (zone, state) in &controller.states {
                prop_assert_eq!(evictor.state(*zone), *state);
                prop_assert_eq!(evictor.rate_milli(*zone), controller.rates[zone]);
            }
        }
    }

    /// A bucket that holds one token, is filled at its rate and is full at first. Another rate makes
    /// another bucket, which is empty when the former one was.
    #[test]
    fn tokens_of_a_zone(
        steps in vec((0..20_000_u64, prop::option::weighted(0.2, 0..4_usize)), 1..60),
    ) {
        const RATES_MILLI: [u64; 4] = [0, 10, 100, 500];
        // A token is a million millionths; a rate of one per 1000 s adds one of them a millisecond.
        const TOKEN: u64 = 1_000_000;
        let (mut limiter, mut rate, mut level, mut now) = (TaintLimiter::full(100), 100, TOKEN, 0);
        for (pause, swap) in steps {
            now += pause;
            level = (level + rate * pause).min(TOKEN);
            let at = SimTime::ZERO + SimSpan::from_millis(now);
            if let Some(new) = swap.map(|idx| RATES_MILLI[idx]) {
                limiter.swap(new, at);
                if new != rate {
                    let had_token = rate > 0 && level == TOKEN;
                    (rate, level) = (new, if had_token { TOKEN } else { 0 });
                }
                continue;
            }
            let has_token = rate > 0 && level == TOKEN;
            prop_assert_eq!(limiter.try_take(at), has_token, "at {} ms", now);
            level = if has_token { 0 } else { level };
        }
    }
}
