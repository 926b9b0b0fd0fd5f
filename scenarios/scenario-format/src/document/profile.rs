//! How a load changes over time: what its base rate is multiplied by.

use model_api::{SimSpan, SimTime};
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::{Factor, Share};

record! {
    /// A load recorded elsewhere: lines of `time,rate`.
    pub struct TraceSpec("a trace") {
        /// The file, relative to this one. Lines that are empty or begin with `#` are left out, and a first line of names.
        file: Spanned<String>,
        /// Each rate holds until the next line, as counts do; `false` when left out: rates are linear in between.
        steps: Option<bool>,
        /// The rates are multiplied by this.
        scale: Option<Spanned<Factor>>,
        /// The trace is played so many times faster.
        speed: Option<Spanned<Factor>>,
    }
}

record! {
    /// A point of a day, repeated every day; linear in between, and over midnight.
    pub struct DailyPointSpec("a point of a day") {
        /// Time of day, less than 24h. A run begins at midnight.
        at: Spanned<SimTime>,
        /// What the rate is multiplied by then.
        factor: Spanned<Factor>,
    }
}

record! {
    /// Factors of the days of a week; 1 for those left out. A run begins on a Monday.
    pub struct WeeklySpec("weekly") {
        /// Monday.
        mon: Option<Spanned<Factor>>,
        /// Tuesday.
        tue: Option<Spanned<Factor>>,
        /// Wednesday.
        wed: Option<Spanned<Factor>>,
        /// Thursday.
        thu: Option<Spanned<Factor>>,
        /// Friday.
        fri: Option<Spanned<Factor>>,
        /// Saturday.
        sat: Option<Spanned<Factor>>,
        /// Sunday.
        sun: Option<Spanned<Factor>>,
    }
}

record! {
    /// A spike with a shape.
    pub struct SpikeSpec("a spike") {
        /// When it begins to rise.
        at: Spanned<SimTime>,
        /// What the rate is multiplied by at its height.
        factor: Spanned<Factor>,
        /// Time to rise, linear; at once when left out.
        rise: Option<Spanned<SimSpan>>,
        /// Time at its height.
        hold: Option<Spanned<SimSpan>>,
        /// Time to fall; at once when left out.
        fall: Option<Spanned<SimSpan>>,
        /// How it falls: `linear`, which is the default, or `exponential`.
        decay: Option<Spanned<Decay>>,
    }
}

/// How a spike falls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    /// In a straight line.
    #[default]
    Linear,
    /// Fast at first; a sixty-fourth of the height is left when its time is over.
    Exponential,
}

impl FromText for Decay {
    const EXPECTED: &'static str = "linear or exponential";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "linear" => Ok(Self::Linear),
            "exponential" => Ok(Self::Exponential),
            _ => Err("is no way to fall".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["linear", "exponential"]})
    }
}

record! {
    /// A season: the rate is multiplied from one moment to another, once or again and again.
    pub struct SeasonSpec("a season") {
        /// When it begins.
        from: Spanned<SimTime>,
        /// When it ends.
        until: Spanned<SimTime>,
        /// What the rate is multiplied by meanwhile.
        factor: Spanned<Factor>,
        /// How long after its beginning it begins again; never when left out.
        every: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// Bursts at random times: calm and burst alternate, each for an exponentially distributed time (a Markov-modulated rate).
    pub struct BurstSpec("bursts") {
        /// What the rate is multiplied by in a burst.
        factor: Spanned<Factor>,
        /// How long it is calm, in the mean.
        calm: Spanned<SimSpan>,
        /// How long a burst lasts, in the mean.
        burst: Spanned<SimSpan>,
    }
}

record! {
    /// Noise that looks alike on all time scales: many sources that go on and off for Pareto-distributed times. The mean rate stays.
    pub struct SelfSimilarSpec("selfSimilar") {
        /// How many sources; 50 when left out.
        sources: Option<Spanned<u32>>,
        /// How long a source is on, in the mean.
        on: Spanned<SimSpan>,
        /// How long it is off, in the mean.
        off: Spanned<SimSpan>,
        /// The Hurst parameter, more than 50% and less than 100%.
        hurst: Spanned<Share>,
        /// The share of the requests that the sources ask for; all when left out.
        share: Option<Spanned<Share>>,
    }
}
