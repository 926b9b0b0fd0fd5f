//! The figures of a recording, each with the name that a run gives to the same thing.

use std::collections::BTreeMap;

use scenario_format::yaml::Node;

use crate::fields::number;
use crate::read::Timeline;

/// How far a time may lie outside of what was simulated, in seconds: what the recorder and its
/// machine add. **Assumption:** one poll of the recorder, and delays of a loaded machine.
pub(crate) const SLACK_SECS: f64 = 1.5;
/// The same for elections, in milliseconds: they were measured on the spot.
/// **Assumption:** one tick of etcd, 100 ms by default.
const SLACK_ELECTION_MS: f64 = 100.0;

/// One figure of a recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recorded {
    /// What it is called in the report: its place in `summary.yaml`.
    pub(crate) name: String,
    pub(crate) what: What,
    pub(crate) unit: Unit,
    /// How far outside of the simulated range it may lie, in its unit.
    pub(crate) slack: f64,
}

/// What is compared with what.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A number with the number of that name.
    Number { of: String, value: f64 },
    /// A value from a moment on with the step function of that name around that moment.
    Step { of: String, at: f64, value: f64 },
    /// Something that did not happen, whose moment would have that name.
    Never { of: String },
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Seconds,
    Milliseconds,
    Count,
    Mean,
    PerSecond,
}

/// What is no figure: input, what the recorder says of itself, times of delivery of Events.
const NO_FIGURES: &[&str] = &["columns", "faults", "id", "kind", "measurement", "rescaleEvents"];

/// Flattens `summary.yaml`.
pub(crate) fn recorded(
    summary: &Node,
    timeline: &Timeline,
    zones: &[String],
    duration: f64,
) -> Vec<Recorded> {
    let mut flat = Flat { figures: Vec::new(), timeline, zones, duration };
    for entry in summary.entries().unwrap_or_default() {
        flat.entry(&entry.key, &entry.key, &entry.value, summary);
    }
    flat.figures
}

struct Flat<'a> {
    figures: Vec<Recorded>,
    timeline: &'a Timeline,
    zones: &'a [String],
    duration: f64,
}

impl Flat<'_> {
    fn entry(&mut self, path: &str, key: &str, value: &Node, parent: &Node) {
        if NO_FIGURES.contains(&key) {
            return;
        }
        if let Some(entries) = value.entries() {
            for entry in entries {
                let path = format!("{path}.{}", entry.key);
                self.entry(&path, &entry.key, &entry.value, value);
            }
            self.absent_places(path, key, value);
        } else if let Some(items) = value.items() {
            self.list(path, key, items);
        } else if let Some(number) = number(value) {
            let (unit, slack) = self.unit(key, path, number, parent);
            let what = What::Number { of: path.to_owned(), value: number };
            self.figures.push(Recorded { name: path.to_owned(), what, unit, slack });
        } else if value.is_null() {
            let what = What::Never { of: path.to_owned() };
            let unit = Unit::Seconds;
            self.figures.push(Recorded { name: path.to_owned(), what, unit, slack: 0.0 });
        }
    }

    /// Zones that are not named have none.
    fn absent_places(&mut self, path: &str, key: &str, value: &Node) {
        let extra: &[&str] = match key {
            "atStartByZone" => &[],
            "atEndByZone" => &["pending", "terminating"],
            "zones" if path.starts_with("scheduling.") => &[],
            _ => return,
        };
        let places = self.zones.iter().map(String::as_str).chain(extra.iter().copied());
        for place in places.filter(|place| value.get(place).is_none()) {
            let name = format!("{path}.{place}");
            let what = What::Number { of: name.clone(), value: 0.0 };
            self.figures.push(Recorded { name, what, unit: Unit::Count, slack: 0.0 });
        }
    }

    fn unit(&self, key: &str, path: &str, value: f64, parent: &Node) -> (Unit, f64) {
        let sibling = |key: &str| parent.get(key).and_then(number).unwrap_or(0.0);
        if path.starts_with("election.") {
            let is_ms = key.ends_with("Ms");
            return if is_ms {
                (Unit::Milliseconds, SLACK_ELECTION_MS)
            } else {
                (Unit::Count, 0.0)
            };
        }
        if path.contains("createToBoundMs") {
            return (Unit::Milliseconds, SLACK_SECS * 1000.0);
        }
        match key {
            "first" | "last" | "firstBound" | "lastBound" => (Unit::Seconds, SLACK_SECS),
            "meanReady" | "meanLive" => {
                (Unit::Mean, SLACK_SECS * sibling("readyAtStart") / self.duration.max(1.0))
            }
            "bindingsPerSecond" => {
                let span = sibling("lastBound") - sibling("firstBound");
                (Unit::PerSecond, value * SLACK_SECS / span.max(1.0))
            }
            _ if key.ends_with("At") || key.starts_with("seconds") => (Unit::Seconds, SLACK_SECS),
            _ => (Unit::Count, 0.0),
        }
    }

    fn list(&mut self, path: &str, key: &str, items: &[Node]) {
        match key {
            "all" if path.starts_with("election.") => {
                self.numbers(path, items, Unit::Milliseconds, SLACK_ELECTION_MS);
            }
            "all" => self.numbers(path, items, Unit::Seconds, SLACK_SECS),
            "terms" => self.terms(path, items),
            "series" => self.steps(path, items, &["ready", "live"]),
            "series_t_current_desired_util" => {
                self.steps(path, items, &["current", "desired", "util"]);
            }
            "replicaSetSteps" => self.replica_sets(path, items),
            "nodes" => self.drained(path, items),
            "attempts_t_pod_code" => self.attempts(path, items),
            "bindOrder" => self.bindings(path, items),
            "pendingAtEnd" => self.pending(path, items),
            _ if path.starts_with("pdbs.") => {
                self.steps(path, items, &["healthy", "desired", "allowed"]);
            }
            _ => {}
        }
    }

    fn push(&mut self, name: String, what: What, unit: Unit, slack: f64) {
        self.figures.push(Recorded { name, what, unit, slack });
    }

    fn numbers(&mut self, path: &str, items: &[Node], unit: Unit, slack: f64) {
        for (idx, value) in items.iter().filter_map(number).enumerate() {
            let name = format!("{path}[{idx}]");
            self.push(name.clone(), What::Number { of: name, value }, unit, slack);
        }
    }

    /// Raft terms of each election, in their own order; 0 was read a moment early.
    fn terms(&mut self, path: &str, items: &[Node]) {
        let mut terms: Vec<f64> = items.iter().filter_map(number).map(|it| it.max(1.0)).collect();
        terms.sort_by(f64::total_cmp);
        for (idx, value) in terms.into_iter().enumerate() {
            let name = format!("{path}[{idx}]");
            self.push(name.clone(), What::Number { of: name, value }, Unit::Count, 0.0);
        }
    }

    /// Rows of a time and a value for each column. Rows before the scenario's zero are set-up.
    fn steps(&mut self, path: &str, items: &[Node], columns: &[&str]) {
        let owner = path.rsplit_once('.').map_or(path, |(owner, _)| owner);
        let owner = if path.starts_with("pdbs.") { path } else { owner };
        for (idx, row) in items.iter().enumerate() {
            let cells = row.items().unwrap_or_default();
            let Some(at) = cells.first().and_then(number).filter(|at| *at >= 0.0) else { continue };
            for (column, cell) in columns.iter().zip(&cells[1..]) {
                // An autoscaler without a metric shows none.
                let value = if cell.is_null() { -1.0 } else { number(cell).unwrap_or(-1.0) };
                let what = What::Step { of: format!("{owner}.{column}"), at, value };
                self.push(format!("{path}[{idx}].{column}"), what, Unit::Count, 0.0);
            }
        }
    }

    /// Wanted replicas of each ReplicaSet of a Deployment, numbered by age.
    fn replica_sets(&mut self, path: &str, items: &[Node]) {
        let owner = path.rsplit_once('.').map_or(path, |(owner, _)| owner);
        let deployment = owner.rsplit_once('.').map_or(owner, |(_, name)| name);
        let mut ages = self.timeline.replica_sets(deployment);
        for (idx, row) in items.iter().enumerate() {
            let cells = row.items().unwrap_or_default();
            let [at, set, wanted] = cells else { continue };
            let (Some(at), Some(value)) = (number(at), number(wanted)) else { continue };
            let set = set.text().unwrap_or_default();
            let age = ages.iter().position(|known| known == set).unwrap_or_else(|| {
                ages.push(set.to_owned());
                ages.len() - 1
            });
            let of = format!("{owner}.replicaSets[{age}]");
            let what = What::Step { of, at, value };
            self.push(format!("{path}[{idx}]"), what, Unit::Count, 0.0);
        }
    }

    fn drained(&mut self, path: &str, items: &[Node]) {
        for row in items {
            let [at, what, node] = row.items().unwrap_or_default() else { continue };
            let Some(value) = number(at) else { continue };
            let (what, node) = (what.text().unwrap_or_default(), node.text().unwrap_or_default());
            let name = format!("{path}.{node}.{what}");
            let what = What::Number { of: name.clone(), value };
            self.push(name, what, Unit::Seconds, SLACK_SECS);
        }
    }

    /// Answers so far, by code, after each attempt.
    fn attempts(&mut self, path: &str, items: &[Node]) {
        let owner = path.rsplit_once('.').map_or(path, |(owner, _)| owner);
        let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
        for (idx, row) in items.iter().enumerate() {
            let [at, _, code] = row.items().unwrap_or_default() else { continue };
            let (Some(at), Some(code)) = (number(at), code.text()) else { continue };
            let count = counts.entry(code).or_default();
            *count += 1.0;
            let what = What::Step { of: format!("{owner}.attempts.{code}"), at, value: *count };
            self.push(format!("{path}[{idx}]"), what, Unit::Count, 0.0);
        }
    }

    /// The order of binding, as the moment of each.
    fn bindings(&mut self, path: &str, items: &[Node]) {
        for (idx, item) in items.iter().enumerate() {
            let text = item.text().unwrap_or_default();
            let pod = text.split('@').next().unwrap_or_default();
            let Some(ms) = self.timeline.bound.get(pod) else { continue };
            #[expect(clippy::cast_precision_loss, reason = "traces last minutes")]
            let value = *ms as f64 / 1000.0;
            let what = What::Number { of: format!("scheduling.bound.{pod}"), value };
            self.push(format!("{path}[{idx}]"), what, Unit::Seconds, SLACK_SECS);
        }
    }

    fn pending(&mut self, path: &str, items: &[Node]) {
        for (idx, item) in items.iter().enumerate() {
            let pod = item.text().unwrap_or_default();
            let what = What::Number { of: format!("scheduling.pending.{pod}"), value: 1.0 };
            self.push(format!("{path}[{idx}]"), what, Unit::Count, 0.0);
        }
    }
}
