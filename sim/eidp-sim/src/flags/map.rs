//! `map`: which loads, and how long the trigger.

use std::str::FromStr;

use clap::Args;
use scenario_format::decode::FromText as _;
use sim_campaign::SimSpan;

use super::{Campaign, Input, Output};

/// Loads at most in one map.
const LOAD_COUNT_MAX: u32 = 200;

#[derive(Args, Debug)]
pub(crate) struct Map {
    #[command(flatten)]
    pub(crate) input: Input,

    #[command(flatten)]
    pub(crate) campaign: Campaign,

    /// Change a value of the input first, as with `run`. Repeatable.
    #[arg(long, value_name = "OBJECT:PATH=VALUE")]
    pub(crate) set: Vec<String>,

    /// From which load to which, in percent of the scenario's; all loads are scaled together.
    #[arg(long, default_value = "10%..200%", value_name = "FROM..TO")]
    pub(crate) loads: Loads,

    /// Distance between loads.
    #[arg(long, default_value = "10%", value_name = "PERCENT")]
    pub(crate) step: Percent,

    /// How long the faults of the scenario last, in percent of what it says. One row is drawn of
    /// faults that take no time.
    #[arg(
        long,
        default_values = ["25%", "50%", "100%", "200%", "400%"],
        value_delimiter = ',',
        value_name = "PERCENT"
    )]
    pub(crate) lengths: Vec<Percent>,

    /// Share of requests that must be answered when all is well.
    #[arg(long, default_value = "95%", value_name = "PERCENT", value_parser = share)]
    pub(crate) share: Percent,

    /// How soon after the last fault has ended it must be well again, for good.
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = span)]
    pub(crate) within: SimSpan,

    /// Where the map goes: human, json or markdown, to stdout or to a file. Repeatable.
    #[arg(short, long, value_name = "FORMAT[=PATH]", default_value = "human")]
    pub(crate) output: Vec<Output>,
}

impl Map {
    /// The loads to try, rising, in parts per million.
    ///
    /// # Errors
    /// When they are too many, in words.
    pub(crate) fn loads_ppm(&self) -> Result<Vec<u32>, String> {
        let (from, to, step) = (self.loads.from.0, self.loads.to.0, self.step.0);
        let count = (to - from) / step + 1;
        if count > LOAD_COUNT_MAX {
            return Err(format!(
                "{count} loads are more than the {LOAD_COUNT_MAX} that a map may have; take a longer --step"
            ));
        }
        Ok((0..count).map(|idx| (from + idx * step) * 10_000).collect())
    }

    /// The lengths of the trigger, rising and each once, in parts per million.
    pub(crate) fn lengths_ppm(&self) -> Vec<u32> {
        let mut lengths: Vec<u32> = self.lengths.iter().map(|it| it.ppm()).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }
}

/// A whole number of percent, from one to a hundred times as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Percent(u32);

impl Percent {
    pub(crate) fn ppm(self) -> u32 {
        self.0 * 10_000
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_suffix('%').ok_or("there is no `%` behind it, as in 50%")?;
        match digits.parse() {
            Ok(percent @ 1..=10_000) => Ok(Self(percent)),
            _ => Err("it is no whole number of percent between 1% and 10000%".to_owned()),
        }
    }
}

/// `FROM..TO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loads {
    from: Percent,
    to: Percent,
}

impl FromStr for Loads {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (from, to) = text.split_once("..").ok_or("there is no `..` in it, as in 10%..200%")?;
        let loads = Self { from: from.parse()?, to: to.parse()? };
        if loads.from.0 > loads.to.0 {
            return Err(format!("{from} is more than {to}"));
        }
        Ok(loads)
    }
}

fn share(text: &str) -> Result<Percent, String> {
    match text.parse()? {
        Percent(percent) if percent > 100 => Err("no more than 100% can be answered".to_owned()),
        percent => Ok(percent),
    }
}

fn span(text: &str) -> Result<SimSpan, String> {
    SimSpan::from_text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_percents_in_order() {
        let loads = |text: &str| text.parse::<Loads>();
        assert_eq!(loads("10%..20%"), Ok(Loads { from: Percent(10), to: Percent(20) }));
        for (text, reason) in [
            ("10%", "`..`"),
            ("10..20%", "`%`"),
            ("0%..20%", "between"),
            ("1.5%..20%", "between"),
            ("30%..20%", "more than"),
        ] {
            assert!(loads(text).is_err_and(|error| error.contains(reason)), "{text}");
        }
    }

    #[test]
    fn no_more_than_everything_can_be_answered() {
        assert_eq!(share("100%"), Ok(Percent(100)));
        assert!(share("101%").is_err_and(|error| error.contains("100%")));
    }
}
