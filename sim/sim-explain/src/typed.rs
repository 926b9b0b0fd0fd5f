//! Values as they are typed on a command line.

use std::str::FromStr;

use model_api::SimSpan;
use model_kube::vertical_pod_autoscaler::UsageSegment;
use scenario_format::decode::FromText as _;
use scenario_format::quantity::Quantity;

use crate::hpa::{MetricReading, Reading};

/// Something that was so long ago: `5@2m`, `+3@30s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// How many replicas, or by how many.
    pub(crate) count: i32,
    /// How long ago.
    pub(crate) ago: SimSpan,
}

impl FromStr for Past {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || format!("expected a number and how long ago, such as 5@2m, found {text:?}");
        let (count, ago) = text.split_once('@').ok_or_else(expected)?;
        let count = count.parse().map_err(|_| expected())?;
        Ok(Self { count, ago: span(ago).map_err(|_| expected())? })
    }
}

fn span(text: &str) -> Result<SimSpan, String> {
    SimSpan::from_text(text)
        .map_err(|error| format!("{text:?} {error}; expected a length of time such as 90s or 192h"))
}

impl FromStr for Reading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected =
            || format!("expected a share such as 90% or an amount such as 300m, found {text:?}");
        if let Some(percent) = text.strip_suffix('%') {
            return percent.trim().parse().map(Self::Percent).map_err(|_| expected());
        }
        let quantity = Quantity::parse(text).map_err(|_| expected())?;
        Ok(Self::Thousandths(quantity.ceil_millis()))
    }
}

impl FromStr for MetricReading {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.rsplit_once('=').filter(|(metric, _)| !metric.is_empty());
        let (metric, reading) =
            parts.ok_or_else(|| format!("expected NAME=VALUE, found {text:?}"))?;
        Ok(Self { metric: metric.to_owned(), reading: reading.parse()? })
    }
}

/// `WORKLOAD=N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodCount {
    pub(crate) workload: String,
    pub(crate) count: u32,
}

impl FromStr for PodCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("expected WORKLOAD=N, found {text:?}");
        let (workload, count) = text.rsplit_once('=').ok_or_else(expected)?;
        let count = count.parse().map_err(|_| expected())?;
        Ok(Self { workload: workload.to_owned(), count })
    }
}

/// Usage that does not change: `cpu=100m,memory=200Mi`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    cpu_millis: i64,
    memory_bytes: i64,
}

impl FromStr for Usage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("expected usage such as cpu=100m,memory=200Mi, found {text:?}");
        let mut usage = Self::default();
        for part in text.split(',') {
            let (resource, amount) = part.split_once('=').ok_or_else(expected)?;
            let quantity = Quantity::parse(amount.trim()).map_err(|_| expected())?;
            match resource.trim() {
                "cpu" => usage.cpu_millis = quantity.ceil_millis(),
                "memory" => usage.memory_bytes = quantity.ceil(),
                _ => return Err(expected()),
            }
        }
        Ok(usage)
    }
}

/// A length of time: `192h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length(SimSpan);

impl FromStr for Length {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        /// Samples of a hundred days, one a minute: more only takes longer.
        const MOST: SimSpan = SimSpan::from_days(100);
        let span = span(text)?;
        if span.is_zero() || span > MOST {
            return Err(format!("{text:?} must be more than nothing and at most 2400h"));
        }
        Ok(Self(span))
    }
}

impl Usage {
    /// A sample each minute for so long, as the metrics API gives them.
    pub fn lasting(self, length: Length) -> UsageSegment {
        UsageSegment {
            from: SimSpan::ZERO,
            until: length.0,
            every: SimSpan::from_mins(1),
            cpu_millis: self.cpu_millis,
            memory_bytes: self.memory_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused_with_an_example() {
        assert_eq!("+3@30s".parse(), Ok(Past { count: 3, ago: SimSpan::from_secs(30) }));
        assert!("3".parse::<Past>().is_err_and(|error| error.contains("5@2m")));
        assert_eq!("90%".parse(), Ok(Reading::Percent(90)));
        assert_eq!("300m".parse(), Ok(Reading::Thousandths(300)));
        assert_eq!("2".parse(), Ok(Reading::Thousandths(2000)));
        assert!("many".parse::<Reading>().is_err());
        let rate: MetricReading = "http=requests=12".parse().expect("the last `=` parts it");
        assert_eq!(rate.metric, "http=requests");
        assert!("=1".parse::<MetricReading>().is_err());
        let usage: Usage = "cpu=1, memory=1Ki".parse().expect("both are quantities");
        assert_eq!((usage.cpu_millis, usage.memory_bytes), (1000, 1024));
        assert!("disk=1".parse::<Usage>().is_err());
        assert!("0s".parse::<Length>().is_err() && "192h".parse::<Length>().is_ok());
        let count: PodCount = "shop/web=3".parse().expect("a name and a number");
        assert_eq!((count.workload.as_str(), count.count), ("shop/web", 3));
    }
}
