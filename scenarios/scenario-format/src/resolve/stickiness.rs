//! Clients that gateways keep with a pod: KongUpstreamPolicies, and upstreams of KongIngresses.

use model_api::ServiceId;
use model_api::blueprint::Division;
use model_api::session::{HashInput, Stickiness, StickyUpstream};

use super::Resolver;
use super::kong::annotated;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{PlatformDocument, SessionState};
use crate::manifest::Object;
use crate::nearest::suggestion;
use crate::source::{Span, Spanned};
use crate::yaml::Node;

/// `slots` of Kong 3 (`kong/db/schema/entities/upstreams.lua`), least and most.
const SLOTS: std::ops::RangeInclusive<u32> = 10..=65_536;
const ALGORITHMS: [&str; 5] =
    ["round-robin", "consistent-hashing", "least-connections", "latency", "sticky-sessions"];
const INPUTS: [&str; 8] =
    ["none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"];

/// What a policy hashes, in the words of Kong, and where that stands.
struct Hash {
    input: String,
    span: Span,
}

impl Resolver<'_> {
    /// What keeps clients of Services behind gateways with a pod; and what becomes of sessions then.
    pub(super) fn stickies(&mut self, platform: &PlatformDocument) {
        for service in self.behind_gateways() {
            if let Some(stickiness) = self.stickiness(service) {
                self.blueprint.stickies.push(StickyUpstream { service, stickiness });
            }
        }
        self.check_session_states(platform);
    }

    /// Services whose pods a gateway chooses.
    pub(super) fn behind_gateways(&self) -> Vec<ServiceId> {
        let mut behind: Vec<ServiceId> = Vec::new();
        for load in self.blueprint.loads.iter().filter(|load| load.via.is_some()) {
            let is_behind = load.via != Some(load.service) && !behind.contains(&load.service);
            if is_behind && !self.blueprint.services[load.service.index()].is_service_upstream {
                behind.push(load.service);
            }
        }
        behind
    }

    fn stickiness(&mut self, service: ServiceId) -> Option<Stickiness> {
        let manifests = self.manifests;
        let object = manifests.object(&manifests.services[service.index()]);
        let named = |key, kind| annotated(manifests, object, key, kind);
        // A policy that is not there is told of where health checks are read.
        if let Some(policy) = named("upstream-policy", "KongUpstreamPolicy") {
            let algorithm = policy.node.at(&["spec", "algorithm"]);
            let hash = |field: &str| of_policy(policy, field);
            let slots = policy.node.at(&["spec", "slots"]);
            let (by, fallback) = (hash("hashOn"), hash("hashOnFallback"));
            let is_hashing = text(algorithm) == Some("consistent-hashing");
            if let Some(by) = by.as_ref().or(fallback.as_ref()).filter(|_| !is_hashing) {
                let message = format!(
                    "{}: spec.algorithm must be set to \"consistent-hashing\" when spec.hashOn is set",
                    policy.title()
                );
                self.report(Code::E0110, by.span, message);
            }
            return self.of_upstream(policy, algorithm, (by, fallback), slots);
        }
        let ingress = named("override", "KongIngress")?;
        let at = |field: &str| ingress.node.at(&["upstream", field]);
        let hash = |field: &str| {
            let node = at(field)?;
            Some(Hash { input: node.text()?.to_owned(), span: node.span })
        };
        self.of_upstream(
            ingress,
            at("algorithm"),
            (hash("hash_on"), hash("hash_fallback")),
            at("slots"),
        )
    }

    /// What an upstream of Kong does with clients. Where only `hash_on` is stated, the algorithm follows
    /// from it (`upstreams.lua`, 3.x).
    fn of_upstream(
        &mut self,
        object: &Object,
        algorithm: Option<&Node>,
        (by, fallback): (Option<Hash>, Option<Hash>),
        slots: Option<&Node>,
    ) -> Option<Stickiness> {
        let word = text(algorithm);
        if let (Some(node), Some(word)) = (algorithm, word)
            && !ALGORITHMS.contains(&word)
        {
            self.unknown(object, node.span, ("algorithm", word), &ALGORITHMS);
            return None;
        }
        if word == Some("sticky-sessions") {
            return Some(Stickiness::Named);
        }
        let is_hashed = by.as_ref().is_some_and(|hash| hash.input != "none");
        if word != Some("consistent-hashing") && !(word.is_none() && is_hashed) {
            return None;
        }
        let slots = slots.map_or(Stickiness::SLOTS, |node| {
            let number = node.text().and_then(|text| text.parse::<u32>().ok());
            match number.filter(|number| SLOTS.contains(number)) {
                Some(number) => number,
                None => {
                    let message = format!(
                        "{}: `slots` is a number from {} to {}",
                        object.title(),
                        SLOTS.start(),
                        SLOTS.end()
                    );
                    self.report(Code::E0110, node.span, message);
                    Stickiness::SLOTS
                }
            }
        });
        let place = by
            .as_ref()
            .map_or_else(|| algorithm.map_or(object.name_span, |node| node.span), |hash| hash.span);
        let is_consumer = by.as_ref().is_some_and(|hash| hash.input == "consumer");
        let (by, fallback) = (self.input(object, by)?, self.input(object, fallback)?);
        if by.or(fallback).is_none() && self.is_mine(place) {
            let message = format!(
                "{}: nothing is hashed, so that all requests go to one pod",
                object.title()
            );
            self.report(Code::W0323, place, message);
        } else if is_consumer && fallback.is_none() && self.is_mine(place) {
            let message = format!(
                "{}: requests without a consumer all go to one pod, because nothing else is hashed",
                object.title()
            );
            self.report(Code::W0323, place, message);
        }
        Some(Stickiness::Hashed { by, fallback, slots })
    }

    /// What is hashed; `None` where it does not tell clients apart, and `Some(None)` where nothing is.
    #[expect(clippy::option_option, reason = "not to hash and not to follow a hash are two things")]
    fn input(&mut self, object: &Object, hash: Option<Hash>) -> Option<Option<HashInput>> {
        let Some(Hash { input, span }) = hash else { return Some(None) };
        Some(Some(match input.as_str() {
            "none" => return Some(None),
            "consumer" => HashInput::Consumer,
            "ip" => HashInput::Address,
            "header" => HashInput::Header,
            "cookie" => HashInput::Cookie,
            "path" | "query_arg" | "uri_capture" => {
                let message = format!(
                    "{}: a hash of `{input}` is not simulated: pods are chosen one as the other",
                    object.title()
                );
                if self.is_mine(span) {
                    self.report(Code::W0322, span, message);
                }
                return None;
            }
            _ => {
                self.unknown(object, span, ("hash input", &input), &INPUTS);
                return None;
            }
        }))
    }

    fn unknown(&mut self, object: &Object, span: Span, (what, word): (&str, &str), all: &[&str]) {
        let message = format!("{}: there is no {what} `{word}`", object.title());
        let diagnostic = Diagnostic::new(Code::E0110, span, message);
        let names = all.iter().copied();
        let help =
            suggestion(word, names).unwrap_or_else(|| format!("take one of {}", all.join(", ")));
        self.diagnostics.push(diagnostic.help(help));
    }

    /// Sessions in the memory of pods: of how many, and who keeps clients with a pod?
    fn check_session_states(&mut self, platform: &PlatformDocument) {
        for spec in &platform.spec.services {
            let Some(state) = spec.session_state else { continue };
            let Some(service) = self.service_of(&spec.service) else { continue };
            if state.value != SessionState::InPods {
                continue;
            }
            if self.blueprint.division_of(service) != Division::Pods {
                let message = format!(
                    "{}: its pods keep sessions, and nothing keeps clients with a pod",
                    spec.service.value
                );
                self.report(Code::W0324, state.span, message);
                continue;
            }
            let mut loads = self.blueprint.loads.iter().filter(|load| load.service == service);
            let is_unknown = |load: &model_api::load::Load| {
                load.clients.sessions.count.is_none() && load.clients.addresses.is_none()
            };
            if loads.any(is_unknown) {
                let message = format!(
                    "{}: its sessions are lost with pods, and no load says how many there are",
                    spec.service.value
                );
                let help = "add `sessions: {count: 1000}` to its load";
                self.diagnostics.push(Diagnostic::new(Code::E0111, state.span, message).help(help));
            }
        }
    }

    /// A Service by its name, of which it was told before when it is not there.
    fn service_of(&self, name: &Spanned<String>) -> Option<ServiceId> {
        let mut all = 0..self.blueprint.services.len();
        all.find(|idx| self.blueprint.service_name(ServiceId::from_index(*idx)) == name.value)
            .map(ServiceId::from_index)
    }
}

pub(super) fn text(node: Option<&Node>) -> Option<&str> {
    node.and_then(Node::text)
}

/// What a policy hashes: one of its fields, or the word in `input`.
fn of_policy(policy: &Object, field: &str) -> Option<Hash> {
    let at = |name: &str| policy.node.at(&["spec", field, name]);
    if let Some(node) = at("input") {
        return Some(Hash { input: node.text()?.to_owned(), span: node.span });
    }
    let fields = [
        ("header", "header"),
        ("cookie", "cookie"),
        ("queryArg", "query_arg"),
        ("uriCapture", "uri_capture"),
    ];
    fields.into_iter().find_map(|(name, input)| {
        at(name).map(|node| Hash { input: input.to_owned(), span: node.span })
    })
}
