//! Rate limits that a gateway keeps: how many requests of whom it lets through in each period.
//!
//! The vocabulary of Kong's `rate-limiting` plugin (`kong/plugins/rate-limiting`, 3.x), and the one rule
//! that readers and models share: which of several limits a request meets.

use sim_kernel::{SimSpan, SimTime};

use crate::calendar::{month_of, month_start};
use crate::ids::{DatabaseId, ServiceId};
use crate::load::Load;
use crate::source::Origin;

/// A limit of a gateway: an instance of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limiter {
    /// Name in reports.
    pub name: String,
    /// The Service of the gateway whose pods keep it.
    pub gateway: ServiceId,
    /// For requests to this Service only; for those to all behind the gateway when `None`.
    pub service: Option<ServiceId>,
    /// For requests of this tenant only; for those of everybody when `None`.
    pub tenant: Option<String>,
    /// Requests that one counter lets through in a period, each period once, the shortest first.
    pub limits: Vec<(Period, u64)>,
    /// Whose requests are counted together.
    pub by: LimitBy,
    /// Where counters are kept.
    pub counters: Counters,
    /// Of a million requests, those that open a connection to the store, and so may be led to a pod of it
    /// that is dead; the others find one that is kept open, and answers.
    pub connecting_ppm: u32,
    /// `fault_tolerant`: all requests are let through while counters cannot be asked; otherwise all get
    /// an error.
    pub is_fault_tolerant: bool,
    /// Where it was written.
    pub origin: Origin,
}

impl Limiter {
    /// `redis.timeout` of the plugin.
    pub const STORE_TIMEOUT: SimSpan = SimSpan::from_secs(2);
    /// `pg_timeout` of Kong 3 (`kong.conf.default`): how long it waits for its database.
    pub const DATABASE_TIMEOUT: SimSpan = SimSpan::from_secs(5);

    /// How particular it is, when requests of a load meet it: Kong runs the most particular instance of
    /// a plugin only. `None` when they do not meet it.
    ///
    /// An instance of a consumer precedes one of a route or a Service, which precedes a global one
    /// ("Plugin precedence" of the documentation of Kong 3).
    pub fn rank_for(&self, load: &Load) -> Option<u32> {
        let meets = load.via == Some(self.gateway)
            && self.service.is_none_or(|service| service == load.service)
            && self
                .tenant
                .as_ref()
                .is_none_or(|tenant| Some(tenant) == load.clients.tenant.as_ref());
        let rank = 2 * u32::from(self.tenant.is_some()) + u32::from(self.service.is_some());
        meets.then_some(rank)
    }
}

/// Whose requests a limit counts together: `limit_by` of the plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitBy {
    /// Those of a tenant: `consumer`, the default, and `credential`. Requests of nobody in particular are
    /// counted by address.
    #[default]
    Tenant,
    /// Those to a Service, whoever makes them: `service`.
    Service,
    /// Those that come from an address: `ip`, and `header` where each client sends a value of its own.
    Address,
}

/// Where the counters of a limit are kept: `policy` of the plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counters {
    /// `local`, the default: each pod of the gateway counts what comes to itself, so that all of them let
    /// through as many times the limit as there are pods.
    #[default]
    EachPod,
    /// `cluster` and `redis`: all pods count together, in a store.
    Shared {
        /// The store, where it is part of the platform; one that is never lost otherwise.
        store: Option<Store>,
        /// How long a pod waits for a store that says nothing.
        timeout: SimSpan,
        /// `sync_rate`: how often a pod tells the store what it counted, and hears what others did; with
        /// every request when `None`.
        sync_every: Option<SimSpan>,
        /// Requests that are refused count too, as they do where a pod asks the store by counting
        /// (`redis` without `sync_rate`). It matters where a limit has several periods.
        counts_refused: bool,
    },
}

/// Who keeps counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Store {
    /// A Service of the platform, such as that of a Redis.
    Service(ServiceId),
    /// The primary of a database.
    Database(DatabaseId),
}

/// What becomes of those who ask a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreState {
    /// It answers.
    #[default]
    Answers,
    /// It refuses connections.
    Refuses,
    /// It says nothing.
    Silent,
}

/// What becomes of those who ask a store, of which only some may meet what is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StoreSeen {
    /// What becomes of those who are not answered.
    pub state: StoreState,
    /// Of a million, those who are not answered.
    pub lost_ppm: u32,
}

impl StoreSeen {
    /// All of a million.
    pub const ALL_PPM: u32 = 1_000_000;

    /// The same for everybody.
    pub const fn of_all(state: StoreState) -> Self {
        let lost_ppm = match state {
            StoreState::Answers => 0,
            StoreState::Refuses | StoreState::Silent => Self::ALL_PPM,
        };
        Self { state, lost_ppm }
    }
}

/// Periods that requests are counted in. They follow the calendar, in UTC
/// (`kong/tools/timestamp.lua`, `get_timestamps`): twice the limit may pass around a boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A month.
    Month,
    /// A year.
    Year,
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] =
        [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Year];

    /// As the plugin spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The period that an instant lies in.
    pub fn at(self, at: SimTime) -> Window {
        let length = match self {
            Self::Second => SimSpan::from_secs(1),
            Self::Minute => SimSpan::from_secs(60),
            Self::Hour => SimSpan::from_hours(1),
            Self::Day => SimSpan::from_hours(24),
            Self::Month | Self::Year => {
                let month = month_of(at);
                let months = if self == Self::Year { 12 } else { 1 };
                let number = month / months;
                let start = |number: u64| month_start(number * months);
                return Window { number, from: start(number), until: start(number + 1) };
            }
        };
        // Runs begin at midnight, UTC.
        let number = at.as_nanos() / length.as_nanos();
        let start = |number: u64| SimTime::from_nanos(number.saturating_mul(length.as_nanos()));
        Window { number, from: start(number), until: start(number + 1) }
    }
}

/// One period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its number; those of one length follow each other.
    pub number: u64,
    /// Its start; that of the run where it began before.
    pub from: SimTime,
    /// Its end, when the next one begins.
    pub until: SimTime,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Clients;

    #[test]
    fn periods_begin_with_the_calendar() {
        let days = |days: u64| SimTime::ZERO + SimSpan::from_hours(24 * days);
        let at = days(3) + SimSpan::from_millis(3_661_500);
        let next = |period: Period| period.at(at).until - at;
        assert_eq!(next(Period::Second), SimSpan::from_millis(500));
        assert_eq!(next(Period::Minute), SimSpan::from_millis(58_500));
        assert_eq!(next(Period::Hour), SimSpan::from_millis(3_538_500));
        assert_eq!(Period::Day.at(at), Window { number: 3, from: days(3), until: days(4) });
        // Runs begin on the fifth of January 2026.
        assert_eq!(Period::Month.at(at).until, days(27));
        assert_eq!(Period::Month.at(days(27)).until, days(27 + 28));
        assert_eq!(Period::Year.at(at).until, days(361));
        assert_eq!(Period::Year.at(days(361)).number, Period::Year.at(at).number + 1);
        for period in Period::ALL {
            let window = period.at(at);
            let last = SimTime::from_nanos(window.until.as_nanos() - 1);
            assert_eq!(period.at(last), window, "{period:?}");
            assert_eq!(period.at(window.until).number, window.number + 1);
            assert_eq!(period.at(window.until).from, window.until);
        }
    }

    #[test]
    fn the_most_particular_limit_is_met() {
        let limiter = |service: Option<u32>, tenant: Option<&str>| Limiter {
            name: String::new(),
            gateway: ServiceId(0),
            service: service.map(ServiceId),
            tenant: tenant.map(str::to_owned),
            limits: vec![(Period::Second, 1)],
            by: LimitBy::Tenant,
            counters: Counters::EachPod,
            connecting_ppm: 0,
            is_fault_tolerant: true,
            origin: Origin::default(),
        };
        let load = |via: Option<u32>, tenant: Option<&str>| Load {
            service: ServiceId(1),
            via: via.map(ServiceId),
            clients: Clients { tenant: tenant.map(str::to_owned), ..Clients::default() },
            client: crate::path::CallPolicy::default(),
            users: None,
            points: Vec::new(),
            origin: Origin::default(),
        };
        let acme = load(Some(0), Some("acme"));
        let ranks = [
            limiter(None, None),
            limiter(Some(1), None),
            limiter(None, Some("acme")),
            limiter(Some(1), Some("acme")),
        ]
        .map(|limiter| limiter.rank_for(&acme));
        assert!(ranks.is_sorted() && ranks.iter().all(Option::is_some), "{ranks:?}");
        assert_eq!(limiter(Some(2), None).rank_for(&acme), None);
        assert_eq!(limiter(None, Some("acme")).rank_for(&load(Some(0), None)), None);
        assert_eq!(limiter(None, None).rank_for(&load(None, None)), None);
    }
}
