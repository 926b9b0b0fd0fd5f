//! Names that clients find entrances by, and loads that come through all of these.

use model_api::dns::{ClusterDns, DnsFault, DnsName, Found, RecordCheck, WrittenName};
use model_api::fault::FaultKind;
use model_api::load::{Clients, Load, LoadPoint};
use model_api::{ServiceId, SimSpan};

use super::clients::part;
use super::{Resolver, look_up};
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{
    LoadSpec, NameSpec, PlatformDocument, RecordCheckSpec, ResolverSpec, ScenarioDocument,
    SlowDnsSpec,
};
use crate::source::Spanned;

/// Most records of a name: each is a load of its own.
const RECORDS_MAX: usize = 16;
/// All clients, in parts per million.
const WHOLE_PPM: u64 = 1_000_000;

impl Resolver<'_> {
    /// What the platform, and instead of it the scenario, says of names.
    pub(super) fn dns_names(&mut self, platform: &PlatformDocument, scenario: &ScenarioDocument) {
        let key_of = |spec: &NameSpec| (spec.name.value.clone(), spec.name.span);
        let (first, second) = (&platform.spec.names, &scenario.spec.names);
        for spec in self.merged(first, second, key_of) {
            let mut records: Vec<ServiceId> = Vec::new();
            for record in &spec.records {
                let Some(service) = self.service(record) else { continue };
                if records.contains(&service) {
                    let message = format!("`{}` is a record of it already", record.value);
                    self.report(Code::E0018, record.span, message);
                    continue;
                }
                records.push(service);
            }
            if records.is_empty() || records.len() > RECORDS_MAX {
                let message = format!("a name has between 1 and {RECORDS_MAX} records");
                self.report(Code::E0021, spec.name.span, message);
                continue;
            }
            let name = self.dns_name(&spec, records);
            self.check_name(&name, &spec);
            self.blueprint.names.push(name);
        }
        let stated = scenario.spec.cluster_dns.as_ref().or(platform.spec.cluster_dns.as_ref());
        if let Some(spec) = stated
            && let Some(service) = self.service(&spec.service)
        {
            self.blueprint.cluster_dns = Some(ClusterDns {
                service,
                kept_for: spec.cache.map_or(SimSpan::ZERO, |it| it.value),
                connecting_ppm: spec.new_connections.map_or(1_000_000, |it| it.value.ppm),
                latency: spec.latency.map_or(SimSpan::ZERO, |it| it.value),
                question_count: spec
                    .written
                    .map_or(WrittenName::default(), |it| it.value)
                    .question_count(spec.ndots.map_or(ClusterDns::NDOTS, |it| it.value)),
                gives_up_after: gives_up_after(spec.resolver.as_ref()),
                origin: spec.span.origin(),
            });
        }
    }

    fn dns_name(&mut self, spec: &NameSpec, records: Vec<ServiceId>) -> DnsName {
        if spec.ttl.is_none() {
            let text = format!("{}: resolvers keep an answer for 300 s", spec.name.value);
            self.assume(text, &spec.span.origin());
        }
        DnsName {
            name: spec.name.value.clone(),
            records,
            answers: spec.answers.map(|it| it.value).unwrap_or_default(),
            ttl: spec.ttl.map_or(DnsName::TTL, |it| it.value),
            negative_ttl: spec.negative_ttl.map_or(DnsName::NEGATIVE_TTL, |it| it.value),
            keeping_ppm: spec.keeping.as_ref().map_or(0, |it| it.share.value.ppm),
            kept_for: spec.keeping.as_ref().and_then(|it| it.r#for).map(|it| it.value),
            check: spec.check.as_ref().map(|check| self.record_check(check)),
            origin: spec.span.origin(),
        }
    }

    fn record_check(&mut self, spec: &RecordCheckSpec) -> RecordCheck {
        let default = RecordCheck::default();
        for stated in [spec.failures, spec.successes].into_iter().flatten() {
            if stated.value == 0 {
                self.report(Code::E0021, stated.span, "a verdict needs a check at least");
            }
        }
        if let Some(interval) = spec.interval.filter(|it| it.value.is_zero()) {
            self.report(Code::E0021, interval.span, "it waits between its looks");
        }
        let span =
            |stated: Option<Spanned<SimSpan>>, default| stated.map_or(default, |it| it.value);
        RecordCheck {
            interval: span(spec.interval, default.interval).max(SimSpan::from_millis(1)),
            timeout: span(spec.timeout, default.timeout),
            failures: spec.failures.map_or(default.failures, |it| it.value.max(1)),
            successes: spec.successes.map_or(default.successes, |it| it.value.max(1)),
            publish_after: span(spec.publish_after, default.publish_after),
        }
    }

    /// Warns of names that lead to lost entrances for as long as they are lost.
    fn check_name(&mut self, name: &DnsName, spec: &NameSpec) {
        if name.check.is_none() && name.records.len() > 1 && self.is_mine(spec.name.span) {
            let message = format!(
                "{} has {} records, and nobody takes one out whose entrance is lost",
                name.name,
                name.records.len()
            );
            let diagnostic = Diagnostic::new(Code::W0260, spec.name.span, message);
            self.diagnostics.push(diagnostic.help("add `check` to it"));
        }
        if name.keeping_ppm > 0 && name.kept_for.is_none() && self.is_mine(spec.name.span) {
            let message = format!(
                "some clients of {} never learn of another address, for as long as they run",
                name.name
            );
            self.report(Code::W0261, spec.name.span, message);
        }
    }

    /// Loads as they come through the entrances that a name leads to.
    pub(super) fn through_name(&mut self, loads: Vec<Load>, spec: &LoadSpec) -> Vec<Load> {
        let Some(host) = &spec.host else { return loads };
        let names: Vec<String> = self.blueprint.names.iter().map(|it| it.name.clone()).collect();
        let Some(idx) = look_up("name", host, &names, self.diagnostics) else { return loads };
        if let Some(via) = &spec.via {
            let message = "clients come through what the name says: leave `via` away";
            self.report(Code::E0102, via.span, message);
        }
        if let Some(users) = &spec.users {
            let message = "users who wait for answers are not followed from one address to another";
            self.report(Code::E0102, users.span, message);
        }
        let name = &self.blueprint.names[idx];
        let keeping = u64::from(name.keeping_ppm).min(WHOLE_PPM);
        let parts = [(false, 0, WHOLE_PPM - keeping), (true, WHOLE_PPM - keeping, WHOLE_PPM)];
        let mut all = Vec::new();
        for load in &loads {
            for (record, service) in name.records.iter().enumerate() {
                for (keeps, from, until) in parts.into_iter().filter(|(_, from, to)| from < to) {
                    let rate = |rate: u64| part(rate, until) - part(rate, from);
                    let points = load.points.iter();
                    let points =
                        points.map(|it| LoadPoint { rate_millirps: rate(it.rate_millirps), ..*it });
                    let found = Some(Found { name: idx, record, keeps });
                    all.push(Load {
                        via: (*service != load.service).then_some(*service),
                        clients: Clients { found, ..load.clients.clone() },
                        points: points.collect(),
                        origin: load.origin.clone(),
                        ..*load
                    });
                }
            }
        }
        all
    }

    /// A fault of a name.
    pub(super) fn name_fault(
        &mut self,
        name: &Spanned<String>,
        kind: DnsFault,
    ) -> Option<FaultKind> {
        let names: Vec<String> = self.blueprint.names.iter().map(|it| it.name.clone()).collect();
        let idx = look_up("name", name, &names, self.diagnostics)?;
        let is_asked = |load: &Load| load.clients.found.is_some_and(|found| found.name == idx);
        if !self.blueprint.loads.iter().any(is_asked) {
            let message = format!("no load finds its way by `{}`", name.value);
            self.report(Code::W0129, name.span, message);
        }
        Some(FaultKind::Dns { name: idx, kind })
    }

    /// The DNS of the cluster is slow.
    pub(super) fn slow_dns(&mut self, spec: &SlowDnsSpec) -> Option<FaultKind> {
        if self.blueprint.cluster_dns.is_none() {
            let message = "slowDns needs `clusterDns`, and nothing is said of it";
            let help =
                "add `clusterDns: {service: kube-system/kube-dns}` to the scenario or the platform";
            self.diagnostics.push(Diagnostic::new(Code::E0013, spec.span, message).help(help));
            return None;
        }
        Some(FaultKind::SlowDns { latency: spec.latency.value })
    }
}

/// How long a resolver waits for the answer to a question.
fn gives_up_after(spec: Option<&ResolverSpec>) -> SimSpan {
    let timeout = spec.and_then(|it| it.timeout).map_or(ClusterDns::TIMEOUT, |it| it.value);
    let attempts = spec.and_then(|it| it.attempts).map_or(ClusterDns::ATTEMPTS, |it| it.value);
    timeout.saturating_mul(attempts.max(1).into())
}
