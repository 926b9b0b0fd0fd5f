//! Zone states, eviction rates, timelines of silent nodes.

use std::collections::{BTreeMap, BTreeSet};

use model_api::{SimSpan, SimTime};

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::node_lifecycle::{
    DisruptionChange, EvictionRates, MonitorPasses, ZoneCount, ZoneEvictor, ZoneState, zone_key,
};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    let passes = case.given.at("monitorPasses");
    if passes.is_list() {
        check_passes(case, passes);
    } else if passes.is_text() {
        check_timeline(case);
    } else {
        return None;
    }
    Some(())
}

/// Nodes with their zones, and what the controller remembers.
struct Controller {
    names: Vec<String>,
    zones: Vec<usize>,
    zone_names: Vec<String>,
    /// Counted when zones are judged.
    is_counted: Vec<bool>,
    is_ready: Vec<bool>,
    evictor: ZoneEvictor,
}

fn milli(value: Tree<'_>, default: u64) -> u64 {
    value.number().map_or(default, |value| scaled(value, 1000.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "settings of cases are small and positive"
)]
fn scaled(value: f64, factor: f64) -> u64 {
    (value * factor).round() as u64
}

impl Controller {
    fn new(case: &Case<'_>) -> Self {
        let config = case.given.at("config");
        let threshold = config.at("unhealthyZoneThreshold").number().unwrap_or(0.55);
        let rates = EvictionRates {
            normal_milli: milli(config.at("nodeEvictionRate"), 100),
            secondary_milli: milli(config.at("secondaryNodeEvictionRate"), 10),
            large_zone_size: match config.at("largeClusterSizeThreshold") {
                size if size.is_given() => size.count(),
                _ => 50,
            },
            unhealthy_ppm: u32::try_from(scaled(threshold, 1e6)).unwrap_or(u32::MAX),
        };
        let mut keys: Vec<String> = Vec::new();
        let (mut names, mut zones, mut is_counted, mut is_ready) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for node in case.objects("Node") {
            let labels = object::labels(node.at("metadata.labels"));
            let key = zone_key(&labels);
            let zone = keys.iter().position(|known| *known == key).unwrap_or_else(|| {
                keys.push(key);
                keys.len() - 1
            });
            names.push(object::name(node));
            zones.push(zone);
            is_counted.push(!labels.contains_key("node.kubernetes.io/exclude-disruption"));
            is_ready.push(object::is_ready(node));
        }
        let evictor = ZoneEvictor::new(rates, keys.len());
        let zone_names = keys.iter().map(|key| key.replace(":\0:", "/")).collect();
        Self { names, zones, zone_names, is_counted, is_ready, evictor }
    }

    fn counts(&self) -> Vec<ZoneCount> {
        let mut counts = vec![ZoneCount::default(); self.zone_names.len()];
        for (idx, zone) in self.zones.iter().enumerate().filter(|(idx, _)| self.is_counted[*idx]) {
            if self.is_ready[idx] {
                counts[*zone].ready_count += 1;
            } else {
                counts[*zone].not_ready_count += 1;
            }
        }
        counts
    }

    fn states(&self) -> BTreeMap<String, String> {
        let names = self.zone_names.iter().enumerate();
        names.map(|(zone, name)| (name.clone(), state_name(self.evictor.state(zone)))).collect()
    }
}

fn state_name(state: ZoneState) -> String {
    format!("{state:?}")
}

fn text_map(tree: Tree<'_>) -> BTreeMap<String, String> {
    object::labels(tree).into_iter().collect()
}

/// When a node said last that it is ready, as it says itself.
fn heartbeat<'a>(node: Tree<'a>) -> &'a str {
    object::condition(node, "Ready").map_or("", |it| it.at("lastHeartbeatTime").text())
}

/// Passes at given moments, each after some nodes posted another status. What a node says that has
/// posted nothing new for the grace period is not known any more (`tryUpdateNodeHealth`).
fn check_passes(case: &mut Case<'_>, passes: Tree<'_>) {
    let mut controller = Controller::new(case);
    let grace = case.given.at("config.nodeMonitorGracePeriod").duration();
    let grace = grace.unwrap_or(SimSpan::from_secs(50));
    let mut heartbeats: Vec<&str> = case.objects("Node").into_iter().map(heartbeat).collect();
    let mut probed_at: Vec<Option<SimTime>> = vec![None; heartbeats.len()];
    let mut states = Vec::new();
    for pass in passes.items() {
        for update in pass.at("statusUpdatesBefore").items() {
            let node = update.at("node").text();
            if let Some(idx) = controller.names.iter().position(|name| name == node) {
                controller.is_ready[idx] = object::is_ready(update);
                let heartbeat = heartbeat(update);
                if heartbeat.is_empty() || heartbeat != heartbeats[idx] {
                    (heartbeats[idx], probed_at[idx]) = (heartbeat, None);
                }
            }
        }
        let now = pass.at("at").time().unwrap_or(SimTime::ZERO);
        for (is_ready, probed_at) in controller.is_ready.iter_mut().zip(&mut probed_at) {
            *is_ready &= now <= *probed_at.get_or_insert(now) + grace;
        }
        let counts = controller.counts();
        if controller.evictor.handle_disruption(&counts, now) == DisruptionChange::Left {
            probed_at.fill(Some(now));
        }
        states.push(controller.states());
    }
    case.compare_if_given(
        "zoneStatesAfterPass",
        |tree| tree.items().map(text_map).collect::<Vec<_>>(),
        states,
    );
    let zones = controller.zone_names.iter().enumerate();
    let rates: BTreeMap<String, u64> = zones
        .clone()
        .map(|(zone, name)| (name.clone(), controller.evictor.rate_milli(zone)))
        .collect();
    case.compare_if_given("nodeTaintRatePerSecond", |tree| map_of(tree, |it| milli(it, 0)), rates);
    let counts = controller.counts();
    let not_ready: BTreeMap<String, u64> =
        zones.map(|(zone, name)| (name.clone(), u64::from(counts[zone].not_ready_count))).collect();
    case.compare_if_given(
        "notReadyNodes",
        |tree| map_of(tree, |count| u64::from(count.count())),
        not_ready,
    );
}

fn map_of(tree: Tree<'_>, read: impl Fn(Tree<'_>) -> u64) -> BTreeMap<String, u64> {
    tree.fields().map(|(name, value)| (name.to_owned(), read(value))).collect()
}

/// What a timeline shows.
#[derive(Default)]
struct Timeline {
    unknown_at: BTreeSet<SimTime>,
    tainted_at: Vec<SimTime>,
    untainted_at: BTreeSet<SimTime>,
}

fn check_timeline(case: &mut Case<'_>) {
    let start = case.given.at("startTime").time().unwrap_or(SimTime::ZERO);
    let mut run = Run::new(case, start);
    let simulated = case.given.at("simulateSeconds").duration().unwrap_or(SimSpan::ZERO);
    run.run_until(start + simulated);
    let secs = |times: Vec<SimTime>| -> Vec<f64> {
        times.into_iter().map(|at| at.saturating_since(start).as_secs_f64()).collect()
    };
    let timeline = run.timeline;
    let removed = secs(timeline.untainted_at.into_iter().collect());
    let unknown = secs(timeline.unknown_at.into_iter().collect());
    let tainted = secs(timeline.tainted_at);
    // Expectations are known by the words in their names.
    for (name, _) in case.expect.fields() {
        let says = |word: &str| name.to_lowercase().contains(word);
        match () {
            () if !says("seconds") || says("tolerance") => {}
            () if says("remov") => compare_times(case, name, &removed),
            () if says("unknown") => compare_times(case, name, &unknown),
            () if says("taint") => compare_times(case, name, &tainted),
            () => {}
        }
    }
    case.compare_if_given("zoneStatesAtEnd", text_map, run.controller.states());
}

fn compare_times(case: &mut Case<'_>, name: &str, got: &[f64]) {
    let expected = case.expect.at(name);
    if !expected.is_given() {
        return;
    }
    case.judge(name);
    let tolerance = case.expect.at("toleranceSeconds").number().unwrap_or(0.0);
    let expected: Vec<f64> = expected.items().filter_map(Tree::number).collect();
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance;
    if expected.len() != got.len() || !expected.iter().zip(got).all(is_near) {
        case.differ(name, format!("{expected:?}"), format!("{got:?}"));
    }
}

/// The controller in time: nodes that failed renew their lease before the passes up to the given
/// one, all others before every pass; nodes that return renew from then on.
struct Run {
    controller: Controller,
    grace: SimSpan,
    returns_at: Option<SimTime>,
    returning: Vec<String>,
    restarts_at: Option<SimTime>,
    /// By node: the number of the last pass before which it renews, when it fails.
    last_renewal: Vec<Option<i64>>,
    passes: MonitorPasses,
    pass_count: i64,
    next_pass_at: SimTime,
    probed_at: Vec<SimTime>,
    is_queued: Vec<bool>,
    is_tainted: Vec<bool>,
    timeline: Timeline,
}

impl Run {
    fn new(case: &Case<'_>, start: SimTime) -> Self {
        let (given, controller) = (case.given, Controller::new(case));
        let config = |name: &str, default| {
            given.at("config").at(name).duration().unwrap_or(SimSpan::from_secs(default))
        };
        let failed = given.at("failedNodes").items();
        let last_renewal = |name: &String| {
            let found = failed.clone().find(|it| it.at("node").text() == name)?;
            found.at("lastRenewalBeforePass").int()
        };
        let count = controller.names.len();
        Self {
            grace: config("nodeMonitorGracePeriod", 50),
            returns_at: given.at("failedNodesReturnAt").time(),
            returning: given.at("returningNodes").texts(),
            restarts_at: given.at("controllerManagerRestartAt").time(),
            last_renewal: controller.names.iter().map(last_renewal).collect(),
            passes: MonitorPasses::new(start, config("nodeMonitorPeriod", 5)),
            pass_count: 0,
            next_pass_at: start,
            probed_at: vec![start; count],
            is_queued: vec![false; count],
            is_tainted: vec![false; count],
            timeline: Timeline::default(),
            controller,
        }
    }

    /// Steps of 10 ms: the tainting pass runs oftener than every 100 ms, which no case can tell.
    fn run_until(&mut self, end: SimTime) {
        let mut now = self.next_pass_at;
        while now <= end {
            if self.restarts_at.is_some_and(|at| at <= now) {
                self.restarts_at = None;
                self.restart(now);
            }
            if self.next_pass_at <= now {
                self.pass(now);
            }
            while let Some(rank) = self.controller.evictor.take_due(now) {
                let idx = rank as usize;
                if !self.controller.is_ready[idx] {
                    self.is_tainted[idx] = true;
                    self.timeline.tainted_at.push(now);
                }
            }
            now += SimSpan::from_millis(10);
        }
    }

    /// A new controller knows nothing.
    fn restart(&mut self, now: SimTime) {
        let pause = self.passes.period - MonitorPasses::PASS_LENGTH;
        self.passes = MonitorPasses::new(now, pause);
        self.next_pass_at = now;
        self.controller.evictor.reset();
        self.probed_at.fill(now);
        for idx in 0..self.is_queued.len() {
            self.mark_reachable(idx, now);
        }
    }

    fn mark_reachable(&mut self, idx: usize, now: SimTime) {
        let rank = u32::try_from(idx).expect("cases have few nodes");
        self.controller.evictor.dequeue(self.controller.zones[idx], rank);
        self.is_queued[idx] = false;
        if std::mem::take(&mut self.is_tainted[idx]) {
            self.timeline.untainted_at.insert(now);
        }
    }

    fn pass(&mut self, now: SimTime) {
        for idx in 0..self.controller.names.len() {
            let is_back = self.returns_at.is_some_and(|at| at <= now)
                && (self.returning.is_empty()
                    || self.returning.contains(&self.controller.names[idx]));
            let renews = self.last_renewal[idx].is_none_or(|last| self.pass_count <= last);
            if renews || is_back {
                self.probed_at[idx] = now;
                self.controller.is_ready[idx] = true;
            } else if self.controller.is_ready[idx] && now > self.probed_at[idx] + self.grace {
                self.controller.is_ready[idx] = false;
                self.timeline.unknown_at.insert(now);
            }
            if self.controller.is_ready[idx] && self.is_queued[idx] {
                self.mark_reachable(idx, now);
            } else if !self.controller.is_ready[idx] && !self.is_queued[idx] {
                let rank = u32::try_from(idx).expect("cases have few nodes");
                self.controller.evictor.enqueue(self.controller.zones[idx], rank, now);
                self.is_queued[idx] = true;
            }
        }
        let counts = self.controller.counts();
        match self.controller.evictor.handle_disruption(&counts, now) {
            DisruptionChange::None => {}
            DisruptionChange::Entered => {
                (0..self.is_queued.len()).for_each(|idx| self.mark_reachable(idx, now));
            }
            DisruptionChange::Left => self.probed_at.fill(now),
        }
        self.pass_count += 1;
        self.next_pass_at = now + self.passes.period;
    }
}
