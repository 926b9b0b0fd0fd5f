//! Rate limits of gateways: what is stated, and what is refused of both that and plugins.

use model_api::limiter::{Counters, LimitBy, Limiter, Period, Store};
use model_api::{Origin, ServiceId, SimSpan};

use super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{GatewaySpec, LimitPolicy, RateLimitsSpec};
use crate::source::{Span, Spanned};

/// A limit as it was written, in a scenario or as a plugin.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) service: Option<ServiceId>,
    pub(super) tenant: Option<String>,
    pub(super) limits: Vec<(Period, Spanned<u64>)>,
    pub(super) by: LimitBy,
    pub(super) policy: Spanned<LimitPolicy>,
    pub(super) store: Option<Store>,
    pub(super) timeout: Option<SimSpan>,
    pub(super) sync_every: Option<SimSpan>,
    pub(super) connecting_ppm: u32,
    pub(super) is_fault_tolerant: bool,
    pub(super) span: Span,
    pub(super) origin: Origin,
}

impl Resolver<'_> {
    /// The limits that a gateway keeps: those that are stated for it, then those of plugins. Of several that
    /// are as particular the first counts.
    pub(super) fn limiters(&mut self, gateway: ServiceId, spec: &GatewaySpec) {
        let mut all: Vec<Written> = Vec::new();
        for stated in &spec.rate_limits {
            all.extend(self.stated_limit(stated, spec));
        }
        all.extend(self.plugin_limits());
        for written in all {
            if let Some(limiter) = self.limiter(gateway, spec, &written) {
                let loads = &self.blueprint.loads;
                let meets = loads.iter().any(|load| limiter.rank_for(load).is_some());
                if !meets && self.is_mine(written.span) {
                    let message = format!("no load meets the limit `{}`", limiter.name);
                    let help = "name the gateway as `via` of a load, and its service and tenant";
                    self.diagnostics
                        .push(Diagnostic::new(Code::W0219, written.span, message).help(help));
                }
                self.check_addresses(&limiter, written.span);
                self.blueprint.limiters.push(limiter);
            }
        }
    }

    fn stated_limit(&mut self, spec: &RateLimitsSpec, gateway: &GatewaySpec) -> Option<Written> {
        let service = match &spec.service {
            Some(name) => Some(self.service(name)?),
            None => None,
        };
        let all = [spec.second, spec.minute, spec.hour, spec.day, spec.month, spec.year];
        let limits = Period::ALL.into_iter().zip(all);
        let local = Spanned { value: LimitPolicy::Local, span: spec.span };
        let policy = spec.policy.unwrap_or(local);
        let store = match (&spec.store, policy.value) {
            (None, _) => None,
            (Some(name), LimitPolicy::Redis) => Some(Store::Service(self.service(name)?)),
            (Some(name), LimitPolicy::Cluster) => Some(Store::Database(self.database(name)?)),
            (Some(name), LimitPolicy::Local) => {
                let message = "pods that count for themselves need no store";
                self.report(Code::E0100, name.span, message);
                None
            }
        };
        let of = spec.tenant.as_ref().or(spec.service.as_ref()).unwrap_or(&gateway.service);
        Some(Written {
            name: spec.name.as_ref().unwrap_or(of).value.clone(),
            service,
            tenant: spec.tenant.as_ref().map(|name| name.value.clone()),
            limits: limits.filter_map(|(period, limit)| Some((period, limit?))).collect(),
            by: spec.limit_by.map(|it| it.value.0).unwrap_or_default(),
            policy,
            store,
            timeout: spec.timeout.map(|it| it.value),
            sync_every: spec.sync_rate.map(|it| it.value),
            connecting_ppm: spec.new_connections.map_or(0, |it| it.value.ppm),
            is_fault_tolerant: spec.fault_tolerant.unwrap_or(true),
            span: spec.span,
            origin: spec.span.origin(),
        })
    }

    /// What is refused: `kong/plugins/rate-limiting/schema.lua`, Kong 3.
    fn limiter(
        &mut self,
        gateway: ServiceId,
        spec: &GatewaySpec,
        written: &Written,
    ) -> Option<Limiter> {
        if written.limits.is_empty() {
            let message = format!("`{}` says of no period how much it lets through", written.name);
            self.report(Code::E0100, written.span, message);
            return None;
        }
        for pair in written.limits.windows(2) {
            let [(shorter, of_shorter), (longer, of_longer)] = pair else { continue };
            if of_longer.value < of_shorter.value {
                let message = format!(
                    "fewer requests in each {} than in each {}",
                    longer.name(),
                    shorter.name()
                );
                self.report(Code::E0100, of_longer.span, message);
            }
        }
        if let Some((_, limit)) = written.limits.iter().find(|(_, limit)| limit.value == 0) {
            self.report(Code::E0100, limit.span, "a limit lets a request through at least");
        }
        let counters = match written.policy.value {
            LimitPolicy::Local => Counters::EachPod,
            LimitPolicy::Redis => Counters::Shared {
                store: written.store,
                timeout: written.timeout.unwrap_or(Limiter::STORE_TIMEOUT),
                sync_every: written.sync_every.filter(|every| !every.is_zero()),
                counts_refused: written.sync_every.is_none_or(SimSpan::is_zero),
            },
            LimitPolicy::Cluster => {
                let of_gateway = match &spec.database {
                    Some(name) => self.database(name).map(Store::Database),
                    None => None,
                };
                let Some(store) = written.store.or(of_gateway) else {
                    let message =
                        "`cluster` counts in the database of the gateway, and it has none";
                    let diagnostic = Diagnostic::new(Code::E0101, written.policy.span, message);
                    let help = "say `database` of the gateway, or take `local` or `redis`";
                    self.diagnostics.push(diagnostic.help(help));
                    return None;
                };
                Counters::Shared {
                    store: Some(store),
                    timeout: written.timeout.unwrap_or(Limiter::DATABASE_TIMEOUT),
                    sync_every: None,
                    counts_refused: false,
                }
            }
        };
        if matches!(counters, Counters::Shared { store: None, .. }) && self.is_mine(written.span) {
            let message = format!(
                "the counters of `{}` are in a store that is not part of the platform: it never fails",
                written.name
            );
            let diagnostic = Diagnostic::new(Code::W0217, written.policy.span, message);
            let help = "name the Service of the Redis as `store`, or bring its manifest";
            self.diagnostics.push(diagnostic.help(help));
        }
        Some(Limiter {
            name: written.name.clone(),
            gateway,
            service: written.service,
            tenant: written.tenant.clone(),
            limits: written.limits.iter().map(|(period, limit)| (*period, limit.value)).collect(),
            by: written.by,
            counters,
            connecting_ppm: written.connecting_ppm,
            is_fault_tolerant: written.is_fault_tolerant,
            origin: written.origin.clone(),
        })
    }

    /// Where requests are counted by address and nobody says how many there are, they are taken for one.
    fn check_addresses(&mut self, limiter: &Limiter, span: Span) {
        let unknown = self.blueprint.loads.iter().find(|load| {
            let by_address = limiter.by == LimitBy::Address
                || limiter.by == LimitBy::Tenant && load.clients.tenant.is_none();
            by_address && load.clients.addresses.is_none() && limiter.rank_for(load).is_some()
        });
        let Some(load) = unknown else { return };
        let name = self.blueprint.service_name(load.service);
        let origin = load.origin.clone();
        if self.is_mine(span) {
            let message = format!(
                "`{}` counts requests for {name} by address, and nobody says from how many they come: \
                 one",
                limiter.name
            );
            let diagnostic = Diagnostic::new(Code::W0218, span, message);
            let help = "say `addresses` of the load, `tenant`, or `limitBy: service`";
            self.diagnostics.push(diagnostic.help(help));
        }
        self.assume(format!("{name}: all requests of a load come from one address"), &origin);
    }
}
