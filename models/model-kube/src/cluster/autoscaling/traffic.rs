//! Requests of Services, as an adapter of metrics shows them.
//!
//! Nobody scrapes while nothing changes: rates and amounts are kept as piecewise linear functions of
//! time, and what scrapes would have found is worked out when an autoscaler asks.
//!
//! Of pods it counts what they answer. What is said of an object, or from outside, is counted where
//! requests come in: all that are asked for, answered or not.
//!
//! Simplified: those in flight are in pods in both cases; all pods are scraped at the same moments,
//! where Prometheus spreads them over its interval; a container that starts anew is another series.

use model_api::metric::RequestFigure;
use model_api::{PodId, ServiceId};
use sim_kernel::{SimSpan, SimTime};

use super::meter::Meter;
use super::pieces::{Piece, Pieces, share};
use super::tables::RequestTable;
use crate::counter_rate::{Scrapes, rate_milli};
use crate::horizontal_pod_autoscaler::Sample;

/// Requests of a Service over a stretch of time, which begins now: each rate at its start, and at its
/// end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTraffic {
    /// When it bends next; `None` when it stays as it is.
    pub until: Option<SimTime>,
    /// Requests that it is asked for, per 1000 s.
    pub offered_millirps: (u64, u64),
    /// Requests that its pods answer, per 1000 s.
    pub answered_millirps: (u64, u64),
    /// Requests in its pods, in thousandths: now, and at moments between which that changes evenly.
    pub inside_milli: (u64, Vec<(SimTime, u64)>),
}

/// Requests of one Service as they were.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic {
    offered: Pieces,
    /// Of one endpoint.
    answered: Pieces,
    inside: Pieces,
    /// Of one endpoint.
    inside_each: Pieces,
}

impl Traffic {
    /// Begins a stretch. Times are moments, as autoscalers count them.
    pub(super) fn tell(
        &mut self,
        now: SimTime,
        traffic: &ServiceTraffic,
        live_count: u32,
        span: SimSpan,
        moment: impl Fn(SimTime) -> SimTime,
    ) {
        let oldest = now.saturating_sub(span);
        let until = traffic.until.map(&moment);
        let piece = |(first, last): (u64, u64), count| Piece {
            from: now,
            first: share(first, count),
            until: until.map(|at| (at, share(last, count))),
        };
        self.offered.tell(piece(traffic.offered_millirps, 1), oldest);
        self.answered.tell(piece(traffic.answered_millirps, live_count), oldest);
        let (inside, points) = &traffic.inside_milli;
        for (pieces, count) in [(&mut self.inside, 1), (&mut self.inside_each, live_count)] {
            let (mut from, mut first) = (now, share(*inside, count));
            let next = points.first().map(|(at, last)| (moment(*at), share(*last, count)));
            pieces.tell(Piece { from, first, until: next }, oldest);
            for ends in points.windows(2) {
                (from, first) = (moment(ends[0].0), share(ends[0].1, count));
                let until = Some((moment(ends[1].0), share(ends[1].1, count)));
                pieces.go_on(Piece { from, first, until });
            }
        }
    }

    fn pieces(&self, table: &RequestTable) -> &Pieces {
        match (table.figure, table.is_of_pods) {
            (RequestFigure::Rate, true) => &self.answered,
            (RequestFigure::Rate, false) => &self.offered,
            (RequestFigure::InFlight, true) => &self.inside_each,
            (RequestFigure::InFlight, false) => &self.inside,
        }
    }

    /// Whether what a metric is made of changes even if nothing happens.
    pub(super) fn is_changing(&self, table: &RequestTable, now: SimTime) -> bool {
        self.pieces(table).is_changing(now)
    }
}

/// Reads a metric of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    pub(super) table: &'a RequestTable,
    /// By Service.
    pub(super) traffic: &'a [Traffic],
    /// By Service: since when its pods answer.
    pub(super) meters: &'a [Meter],
    /// Of the scrapes.
    pub(super) phase: SimSpan,
    /// The moment of the look.
    pub(super) now: SimTime,
    /// How long requests are remembered.
    pub(super) span: SimSpan,
}

impl Reading<'_> {
    /// The last scrape that is over.
    pub(super) fn last_scrape(&self) -> SimTime {
        let later = self.now + SimSpan::from_nanos(1);
        later.next_tick(self.table.interval, self.phase).saturating_sub(self.table.interval)
    }

    fn scrapes(&self, began_at: SimTime) -> Option<Scrapes> {
        let RequestTable { window, interval, .. } = *self.table;
        Scrapes::within(self.now, window, interval, self.phase, began_at)
    }

    /// Of one pod, whose container began then.
    pub(super) fn of_pod(&self, pod: PodId, began_at: SimTime) -> Option<Sample> {
        let since = |service: &ServiceId| {
            let since = self.meters[service.index()].served_since(pod)?;
            Some((&self.traffic[service.index()], since.max(began_at)))
        };
        let served = self.table.services.iter().filter_map(since);
        let (value, at) = match self.table.figure {
            RequestFigure::InFlight => {
                let at = self.last_scrape();
                at.checked_since(began_at)?;
                let answers = served.filter(|(_, since)| *since <= at);
                (milli(answers.map(|(traffic, _)| traffic.inside_each.at(at)).sum()), at)
            }
            RequestFigure::Rate => {
                let scrapes = self.scrapes(began_at)?;
                let (mut grown, mut before) = (0, Some(0_u128));
                for (traffic, since) in served {
                    grown += traffic.answered.spent(scrapes.first.max(since), scrapes.last);
                    let is_old = since + self.span < self.now;
                    let earlier = traffic.answered.spent(since, scrapes.first.max(since));
                    before = before.filter(|_| !is_old).map(|sum| sum + earlier);
                }
                let value = rate_milli(self.now, self.table.window, scrapes, grown, before)?;
                (value, scrapes.last)
            }
        };
        Some(Sample { value, at, window: self.table.window })
    }

    /// Of all its Services together.
    pub(super) fn in_all(&self) -> Option<i64> {
        let services = self.table.services.iter();
        let all = services.map(|service| self.traffic[service.index()].pieces(self.table));
        match self.table.figure {
            RequestFigure::InFlight => {
                let at = self.last_scrape();
                Some(milli(all.map(|pieces| pieces.at(at)).sum()))
            }
            RequestFigure::Rate => {
                let scrapes = self.scrapes(SimTime::ZERO)?;
                let grown = all.map(|pieces| pieces.spent(scrapes.first, scrapes.last)).sum();
                rate_milli(self.now, self.table.window, scrapes, grown, None)
            }
        }
    }
}

fn milli(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SimTime {
        SimTime::from_secs(secs)
    }

    fn table(figure: RequestFigure, is_of_pods: bool) -> RequestTable {
        RequestTable {
            figure,
            services: vec![ServiceId(0)],
            is_of_pods,
            window: SimSpan::from_mins(2),
            interval: SimSpan::from_secs(30),
            position: 0,
        }
    }

    fn constant(rps: u64, inside: u64) -> ServiceTraffic {
        ServiceTraffic {
            until: None,
            offered_millirps: (rps * 1000, rps * 1000),
            answered_millirps: (rps * 1000, rps * 1000),
            inside_milli: (inside * 1000, Vec::new()),
        }
    }

    /// Two pods, the second of which answers since 5000 s, and 60 requests a second that become 240 at
    /// 5000 s, with 6 and then 48 in flight.
    fn scene() -> (Vec<Traffic>, Vec<Meter>) {
        let (mut traffic, mut meter) = (Traffic::default(), Meter::default());
        let span = SimSpan::from_mins(3);
        let pods = |ids: &[u32]| ids.iter().copied().map(PodId).collect::<Vec<_>>().into_iter();
        traffic.tell(at(3600), &constant(60, 6), 1, span, |time| time);
        meter.set_served(SimTime::ZERO, pods(&[1]));
        traffic.tell(at(5000), &constant(240, 48), 2, span, |time| time);
        meter.set_served(at(5000), pods(&[1, 2]));
        (vec![traffic], vec![meter])
    }

    #[test]
    fn a_look_sees_what_scrapes_found() {
        let (traffic, meters) = scene();
        let cases = [
            // Scrapes at 4880 (outside), 4910, .., 5000: before the change, and then 120 each.
            (RequestFigure::Rate, 5000, Some(60_000), None, Some(60_000)),
            (RequestFigure::Rate, 5029, Some(60_000), None, Some(60_000)),
            // 4970, 5000, 5030, 5060: 30 s of 60 and 60 s of 120; of the second pod 5000, 5030, 5060,
            // back to its zero at once.
            (RequestFigure::Rate, 5060, Some(100_000), Some(60_000), Some(180_000)),
            (RequestFigure::Rate, 5150, Some(120_000), Some(120_000), Some(240_000)),
            (RequestFigure::InFlight, 4999, Some(6_000), None, Some(6_000)),
            (RequestFigure::InFlight, 5029, Some(24_000), Some(24_000), Some(48_000)),
        ];
        for (figure, now, first, second, all) in cases {
            let reading = |table| Reading {
                table,
                traffic: &traffic,
                meters: &meters,
                phase: SimSpan::from_secs(20),
                now: at(now),
                span: SimSpan::from_mins(3),
            };
            let of_pods = table(figure, true);
            let value = |pod, began_at| {
                reading(&of_pods).of_pod(PodId(pod), began_at).map(|sample| sample.value)
            };
            assert_eq!(value(1, SimTime::ZERO), first, "{figure:?} {now}");
            assert_eq!(value(2, at(5000)), second, "{figure:?} {now}");
            assert_eq!(reading(&table(figure, false)).in_all(), all, "{figure:?} {now}");
        }
    }

    #[test]
    fn requests_in_flight_follow_the_points_of_their_curve() {
        let mut traffic = Traffic::default();
        let mut told = constant(100, 10);
        told.until = Some(at(130));
        told.inside_milli = (10_000, vec![(at(110), 20_000), (at(130), 60_000)]);
        traffic.tell(at(100), &told, 2, SimSpan::from_mins(3), |time| time);
        let table = table(RequestFigure::InFlight, true);
        assert!(traffic.is_changing(&table, at(105)));
        let seen: Vec<u64> =
            [100, 105, 110, 120, 130].map(|secs| traffic.inside_each.at(at(secs))).into();
        assert_eq!(seen, [5_000, 7_500, 10_000, 20_000, 30_000]);
        traffic.tell(at(115), &constant(100, 8), 1, SimSpan::from_mins(3), |time| time);
        assert!(!traffic.is_changing(&table, at(115)), "what was to come does not");
        assert_eq!(traffic.inside.at(at(120)), 8_000);
    }
}
