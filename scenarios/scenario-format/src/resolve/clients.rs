//! Whose requests a load has: tenants, and the zones that clients have nearest.

use std::collections::BTreeSet;

use model_api::load::{ClientGroup, Clients, Load, LoadPoint, Thinking};
use model_api::session::Sessions;
use model_api::{ServiceId, SimSpan, ZoneId};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::LoadSpec;
use crate::nearest::suggestion;
use crate::sentence::ClientsSpec;
use crate::source::Spanned;

/// Most users of one load.
const USERS_MAX: u32 = 100_000;
/// Most addresses of the clients of a load.
const ADDRESSES_MAX: u32 = 100_000;
/// Most sessions of a load, and the steepest law of how often they ask.
const SESSIONS_MAX: u32 = 10_000_000;
const SKEW_MAX_MILLI: u64 = 4_000;
/// All clients, in parts per million.
const WHOLE_PPM: u64 = 1_000_000;

impl Resolver<'_> {
    /// A load as its clients ask for it: one for each zone that they come from.
    pub(super) fn of_clients(&mut self, load: &Load, spec: &LoadSpec) -> Vec<Load> {
        let is_told = spec.users.as_ref().is_some_and(|it| it.count.value > USERS_MAX);
        if let Some(message) = Self::too_many_users(load, 1000).filter(|_| !is_told) {
            self.report(Code::E0021, spec.span, message);
        }
        let tenant = spec.tenant.as_ref().map(|name| name.value.clone());
        if let Some(addresses) = spec.addresses
            && !(1..=ADDRESSES_MAX).contains(&addresses.value)
        {
            let message = format!("clients have between 1 and {ADDRESSES_MAX} addresses");
            self.report(Code::E0021, addresses.span, message);
        }
        let addresses = spec.addresses.map(|it| it.value.clamp(1, ADDRESSES_MAX));
        let sessions = self.sessions(spec);
        let zones = self.client_zones(spec);
        if zones.is_empty() {
            let clients = Clients { tenant, zone: None, addresses, sessions, found: None };
            return vec![Load { clients, ..load.clone() }];
        }
        // Nobody is in two zones by halves.
        let until = |amount: u64, ppm: u64| match load.users {
            Some(_) if ppm < WHOLE_PPM => part(amount, ppm) / 1000 * 1000,
            _ => part(amount, ppm),
        };
        let mut before_ppm = 0;
        let mut loads = Vec::with_capacity(zones.len());
        for (zone, ppm) in zones {
            let of_all = |count: u32| {
                let count = part(u64::from(count) * 1000, before_ppm + ppm) / 1000
                    - part(u64::from(count) * 1000, before_ppm) / 1000;
                u32::try_from(count.max(1)).expect("no more than all")
            };
            let addresses = addresses.map(of_all);
            let (tenant, zone) = (tenant.clone(), Some(zone));
            let sessions = Sessions { count: sessions.count.map(of_all), ..sessions };
            let clients = Clients { tenant, zone, addresses, sessions, found: None };
            let points = load.points.iter().map(|point| LoadPoint {
                rate_millirps: until(point.rate_millirps, before_ppm + ppm)
                    - until(point.rate_millirps, before_ppm),
                ..*point
            });
            let points = points.collect();
            loads.push(Load { clients, points, origin: load.origin.clone(), ..*load });
            before_ppm += ppm;
        }
        loads
    }

    /// Clients that stay with a pod.
    fn sessions(&mut self, spec: &LoadSpec) -> Sessions {
        let Some(stated) = &spec.sessions else { return Sessions::default() };
        if let Some(count) = stated.count.filter(|it| !(1..=SESSIONS_MAX).contains(&it.value)) {
            let message = format!("a load has between 1 and {SESSIONS_MAX} sessions");
            self.report(Code::E0109, count.span, message);
        }
        if let Some(lasts) = stated.lasts.filter(|it| it.value.is_zero()) {
            self.report(Code::E0109, lasts.span, "a session lasts for some time");
        }
        if let Some(skew) = stated.skew.filter(|it| it.value.milli > SKEW_MAX_MILLI) {
            let message = format!("a skew is between 0 and {}", SKEW_MAX_MILLI / 1000);
            self.report(Code::E0109, skew.span, message);
        }
        let skew_milli = stated.skew.map_or(0, |it| it.value.milli.min(SKEW_MAX_MILLI));
        if let Some(skew) = stated.skew
            && skew.value.milli > 0
            && stated.count.is_none()
            && spec.addresses.is_none()
        {
            let message =
                "who asks more than others matters only where it is known how many there are";
            let diagnostic = Diagnostic::new(Code::E0109, skew.span, message);
            self.diagnostics.push(diagnostic.help("state `count`"));
        }
        Sessions {
            count: stated.count.map(|it| it.value.clamp(1, SESSIONS_MAX)),
            lasts: stated.lasts.map(|it| it.value.max(SimSpan::from_nanos(1))),
            skew_milli: u32::try_from(skew_milli).expect("it is at most a few thousand"),
        }
    }

    /// What clients do who wait for answers.
    pub(super) fn thinking(&mut self, spec: &LoadSpec) -> Option<Thinking> {
        let users = spec.users.as_ref()?;
        if users.think.value.is_zero() {
            let message = "users think for some time, or they would ask without end";
            self.report(Code::E0021, users.think.span, message);
        }
        if !(1..=USERS_MAX).contains(&users.count.value) {
            let message = format!("there are between 1 and {USERS_MAX} users");
            self.report(Code::E0021, users.count.span, message);
        }
        let law = users.law.map(|it| it.value).unwrap_or_default();
        Some(Thinking { mean: users.think.value.max(SimSpan::from_nanos(1)), law })
    }

    /// Users who stay too many for one load to be played, when so many times as many come.
    pub(super) fn too_many_users(load: &Load, factor_milli: u64) -> Option<String> {
        let most = load.points.iter().map(|point| point.rate_millirps).max();
        let count = u128::from(most.unwrap_or(0)) * u128::from(factor_milli) / 1_000_000;
        (load.users.is_some() && count > u128::from(USERS_MAX))
            .then(|| format!("a load has at most {USERS_MAX} users, and {count} come of this"))
    }

    /// The zones that clients come from, with their shares; empty when that was not said, or wrongly.
    fn client_zones(&mut self, spec: &LoadSpec) -> Vec<(ZoneId, u64)> {
        let mut zones = Vec::new();
        for (name, share) in &spec.from.0 {
            let Some(zone) = self.zone_named(name) else { return Vec::new() };
            zones.push((zone, u64::from(share.value.ppm)));
        }
        let sum: u64 = zones.iter().map(|(_, ppm)| ppm).sum();
        if let Some((_, last)) = spec.from.0.last()
            && sum != WHOLE_PPM
        {
            let percent = sum as f64 / 1e4;
            let message = format!("the clients of all zones are {percent} %, not 100 %");
            let help = "write the shares of all zones that requests come from";
            self.diagnostics.push(Diagnostic::new(Code::E0055, last.span, message).help(help));
            return Vec::new();
        }
        zones.retain(|(_, ppm)| *ppm > 0);
        zones
    }

    /// A tenant who asks one of these Services, or any when there are none.
    pub(super) fn asking_tenant(
        &mut self,
        name: &Spanned<String>,
        services: &[ServiceId],
    ) -> Option<()> {
        let loads = self.blueprint.loads.iter();
        let asking = loads.filter(|load| services.is_empty() || services.contains(&load.service));
        let known: BTreeSet<String> =
            asking.filter_map(|load| load.clients.tenant.clone()).collect();
        if known.contains(&name.value) {
            return Some(());
        }
        let message = format!("no load of it has clients of `tenant: {}`", name.value);
        let help = suggestion(&name.value, known.iter().map(String::as_str))
            .unwrap_or_else(|| "say with `tenant` in a load whose requests they are".to_owned());
        self.diagnostics.push(Diagnostic::new(Code::E0056, name.span, message).help(help));
        None
    }

    /// The group of clients that a promise about these Services names, and those of the Services that
    /// it asks.
    pub(super) fn client_group(
        &mut self,
        clients: &ClientsSpec,
        services: &[ServiceId],
    ) -> Option<(ClientGroup, Vec<ServiceId>)> {
        let group = match clients {
            ClientsSpec::Tenant(name) => ClientGroup::Tenant(name.value.clone()),
            ClientsSpec::Zone(name) => ClientGroup::Zone(self.zone_named(name)?),
            ClientsSpec::ServedIn(name) => return self.served_in(name, services),
        };
        let loads = self.blueprint.loads.iter().filter(|load| services.contains(&load.service));
        let asks = |load: &&Load| load.clients.groups().any(|other| other == group);
        let asked: BTreeSet<ServiceId> = loads.clone().filter(asks).map(|it| it.service).collect();
        if asked.is_empty() {
            let known: BTreeSet<String> =
                loads.flat_map(|load| load.clients.groups()).map(|it| self.name_of(&it)).collect();
            self.diagnostics.push(no_such_clients(clients, &known));
            return None;
        }
        Some((group, asked.into_iter().collect()))
    }

    /// Those of the Services whose requests are told apart by the zone that serves them.
    fn served_in(
        &mut self,
        name: &Spanned<String>,
        services: &[ServiceId],
    ) -> Option<(ClientGroup, Vec<ServiceId>)> {
        let zone = self.zone_named(name)?;
        let is_divided = |service: &&ServiceId| self.blueprint.is_divided(**service);
        let divided: Vec<ServiceId> = services.iter().filter(is_divided).copied().collect();
        if divided.is_empty() {
            let message = format!(
                "requests served in `{}` are not told apart: endpoints of the Service carry no hints, \
                 no traffic policy of it is Local, and no client stays with a pod",
                name.value
            );
            let help =
                "set spec.trafficDistribution of the Service, or promise something of all zones";
            self.diagnostics.push(Diagnostic::new(Code::E0051, name.span, message).help(help));
            return None;
        }
        Some((ClientGroup::ServedIn(zone), divided))
    }

    fn name_of(&self, group: &ClientGroup) -> String {
        match group {
            ClientGroup::Tenant(name) => format!("tenant: {name}"),
            ClientGroup::Zone(zone) => format!("zone: {}", self.blueprint.zones[zone.index()].name),
            ClientGroup::ServedIn(zone) => {
                format!("served_in: {}", self.blueprint.zones[zone.index()].name)
            }
        }
    }
}

fn no_such_clients(clients: &ClientsSpec, known: &BTreeSet<String>) -> Diagnostic {
    let (ClientsSpec::Tenant(Spanned { value, span })
    | ClientsSpec::Zone(Spanned { value, span })
    | ClientsSpec::ServedIn(Spanned { value, span })) = clients;
    let (written, field) = match clients {
        ClientsSpec::Tenant(_) => (format!("tenant: {value}"), "tenant"),
        ClientsSpec::Zone(_) => (format!("zone: {value}"), "from"),
        ClientsSpec::ServedIn(_) => (format!("served_in: {value}"), "from"),
    };
    let message = format!("no load of it has clients of `{written}`");
    let help = match suggestion(&written, known.iter().map(String::as_str)) {
        Some(help) => help,
        None => format!("say with `{field}` in a load whose requests they are"),
    };
    Diagnostic::new(Code::E0056, *span, message).help(help)
}

/// So many parts per million of a rate, rounded to the nearest.
pub(super) fn part(rate_millirps: u64, ppm: u64) -> u64 {
    let whole = u128::from(WHOLE_PPM);
    let part = (u128::from(rate_millirps) * u128::from(ppm) + whole / 2) / whole;
    u64::try_from(part).expect("no more than the whole")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_rate_sum_to_it() {
        for rate in [0, 1, 7, 1000, 333_333, u64::from(u32::MAX)] {
            for cuts in [[333_333, 666_666], [1, 2], [999_999, 1_000_000]] {
                let [first, second] = cuts.map(|ppm| part(rate, ppm));
                assert!(first <= second && second <= rate);
                assert_eq!(first + (second - first) + (rate - second), part(rate, WHOLE_PPM));
            }
        }
    }
}
