//! Which Service calls which.

use std::collections::{BTreeMap, BTreeSet};

use model_api::ServiceId;
use model_api::load::ServiceProfile;

use crate::manifest::Manifests;
use crate::source::Spanned;

/// The graph of calls.
pub(super) struct Calls {
    edges: BTreeMap<ServiceId, BTreeSet<ServiceId>>,
}

impl Calls {
    pub(super) fn of(profiles: &BTreeMap<ServiceId, ServiceProfile>) -> Self {
        let edges = profiles
            .iter()
            .map(|(id, profile)| (*id, profile.depends_on.iter().copied().collect()))
            .collect();
        Self { edges }
    }

    /// Adds a call, unless it is there or would close a circle.
    pub(super) fn add(&mut self, caller: ServiceId, callee: ServiceId) -> bool {
        if caller == callee || self.reaches(callee, caller) {
            return false;
        }
        self.edges.entry(caller).or_default().insert(callee)
    }

    fn reaches(&self, from: ServiceId, to: ServiceId) -> bool {
        let mut open = vec![from];
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if at == to {
                return true;
            }
            if seen.insert(at) {
                open.extend(self.edges.get(&at).into_iter().flatten());
            }
        }
        false
    }

    /// A circle that begins and ends with `start`.
    pub(super) fn circle_from(&self, start: ServiceId) -> Option<Vec<ServiceId>> {
        let mut came_from: BTreeMap<ServiceId, ServiceId> = BTreeMap::new();
        let mut open = vec![start];
        while let Some(at) = open.pop() {
            for next in self.edges.get(&at).into_iter().flatten() {
                if *next == start {
                    let mut circle = vec![start, at];
                    let mut back = at;
                    while back != start {
                        back = came_from[&back];
                        circle.push(back);
                    }
                    circle.reverse();
                    // From the start to the last caller, and the start again.
                    if circle.first() != Some(&start) {
                        circle.insert(0, start);
                    }
                    return Some(circle);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(*next, at);
                    open.push(*next);
                }
            }
        }
        None
    }

    /// Calls that environment variables of the form `name:port`, `name.namespace...` or a URL of it
    /// give away, of callers that state no profile: caller, callee, and the value.
    pub(super) fn guesses(
        &self,
        manifests: &Manifests,
        profiles: &BTreeMap<ServiceId, ServiceProfile>,
    ) -> Vec<(ServiceId, ServiceId, Spanned<String>)> {
        let mut guesses = Vec::new();
        for variable in &manifests.environment {
            let workload = &manifests.workloads[variable.workload_idx].value;
            let Some(callee) = named_service(manifests, &workload.namespace, &variable.value.value)
            else {
                continue;
            };
            for (idx, service) in manifests.services.iter().enumerate() {
                let caller = ServiceId::from_index(idx);
                let is_caller =
                    service.value.selects(&workload.namespace, &workload.template.labels);
                if is_caller && !profiles.contains_key(&caller) {
                    guesses.push((caller, callee, variable.value.clone()));
                }
            }
        }
        guesses
    }
}

/// The Service that a value names, with a port or as a URL: a bare word could be anything.
pub(super) fn named_service(
    manifests: &Manifests,
    namespace: &str,
    value: &str,
) -> Option<ServiceId> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let has_port = !port.is_empty() && port.chars().all(|digit| digit.is_ascii_digit());
    if scheme.is_empty() && !has_port {
        return None;
    }
    let mut parts = host.split('.');
    let name = parts.next()?;
    let namespace = parts.next().unwrap_or(namespace);
    if parts.next().is_some_and(|third| third != "svc") {
        return None;
    }
    let services = manifests.services.iter();
    let found = services
        .map(|it| &it.value)
        .position(|service| service.name == name && service.namespace == namespace);
    found.map(ServiceId::from_index)
}
