//! A registry that runs on the platform whose images it has: what a pull stands on.

use std::collections::BTreeSet;

use crate::blueprint::PoolerTarget;
use crate::ids::{DatabaseId, ServiceId};
use crate::{Blueprint, kube::Ingress};

/// What has to answer so that an image can be pulled; nothing for a registry elsewhere.
///
/// Pulls ask for paths below `/v2/` (OCI distribution specification 1.1, "Pulling manifests"). Of the
/// paths of a host the longest that fits is taken (`IngressSpec` of `networking.k8s.io/v1`); where
/// none can be read, a regular expression for example, all count. From there on it is what was stated:
/// gateways that requests for this host come in through (`via` of a load), `dependsOn`, `writesTo`.
///
/// Simplified: a path longer than `/v2/` is not looked at, nor a host with a wildcard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Services, those of its databases among them, each once.
    pub services: BTreeSet<ServiceId>,
    /// Databases, each once.
    pub databases: BTreeSet<DatabaseId>,
}

impl Registry {
    /// The registry of a host, as [`registry_host`](crate::kube::registry_host) gives it.
    pub fn of(blueprint: &Blueprint, host: &str) -> Self {
        let ingresses: Vec<&Ingress> =
            blueprint.ingresses.iter().filter(|ingress| ingress.host == host).collect();
        let best = ingresses.iter().map(|ingress| pull_fit(ingress)).max().flatten();
        let is_asked = |ingress: &&&Ingress| pull_fit(ingress) == best;
        let asked = services(blueprint, ingresses.iter().filter(is_asked).copied());
        let exposed = services(blueprint, ingresses.iter().copied());
        let passed = blueprint.loads.iter().filter(|load| exposed.contains(&load.service));
        let mut registry = Self::default();
        let mut open: Vec<ServiceId> = passed.filter_map(|load| load.via).chain(asked).collect();
        while let Some(service) = open.pop() {
            if registry.services.insert(service) {
                open.extend(registry.behind(blueprint, service));
            }
        }
        registry
    }

    /// Notes the databases behind a Service; the Services that it asks.
    fn behind(&mut self, blueprint: &Blueprint, service: ServiceId) -> Vec<ServiceId> {
        let mut next = Vec::new();
        for profile in blueprint.profiles.iter().filter(|profile| profile.service == service) {
            next.extend(&profile.depends_on);
            for id in profile.writes_to.iter().copied() {
                self.databases.insert(id);
                next.push(blueprint.databases[id.index()].read_write_service);
            }
        }
        for pooler in blueprint.poolers.iter().filter(|pooler| pooler.service == service) {
            let database = &blueprint.databases[pooler.database.index()];
            self.databases.insert(pooler.database);
            match pooler.leads_to {
                PoolerTarget::Primary => next.push(database.read_write_service),
                PoolerTarget::Standbys => next.push(database.read_only_service),
                PoolerTarget::Any => {}
            }
        }
        next
    }
}

/// How well the paths of an Ingress fit a pull; `None` when none does.
fn pull_fit(ingress: &Ingress) -> Option<usize> {
    let fit = |prefix: &String| {
        let prefix = prefix.trim_end_matches('/');
        ["", "/v2"].contains(&prefix).then_some(prefix.len())
    };
    ingress.prefixes.iter().filter_map(fit).max()
}

fn services<'a>(
    blueprint: &Blueprint,
    ingresses: impl Iterator<Item = &'a Ingress>,
) -> BTreeSet<ServiceId> {
    let service = |ingress: &Ingress| {
        let found = blueprint.services.iter().position(|service| {
            service.namespace == ingress.namespace && service.name == ingress.service_name
        });
        found.map(ServiceId::from_index)
    };
    ingresses.filter_map(service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::Service;

    #[test]
    fn pulls_go_where_the_longest_path_leads() {
        let service = |name: &str| Service { name: name.into(), ..Service::default() };
        let ingress = |name: &str, prefixes: &[&str]| Ingress {
            host: "registry.example".into(),
            service_name: name.into(),
            prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            ..Ingress::default()
        };
        for (portal, core, expected) in [
            (&["/"][..], &["/api/", "/v2/"][..], &[1][..]),
            (&["/"], &["/api/"], &[0]),
            (&["/"], &["/v2"], &[1]),
            (&["/", "/v2/"], &["/"], &[0]),
            (&["/"], &["/"], &[0, 1]),
            // Nobody can tell.
            (&["/ui"], &[], &[0, 1]),
        ] {
            let blueprint = Blueprint {
                services: vec![service("portal"), service("core")],
                ingresses: vec![ingress("portal", portal), ingress("core", core)],
                ..Blueprint::default()
            };
            let asked = Registry::of(&blueprint, "registry.example").services;
            let expected = expected.iter().copied().map(ServiceId::from_index).collect();
            assert_eq!(asked, expected, "{portal:?} {core:?}");
            assert_eq!(Registry::of(&blueprint, "docker.io"), Registry::default());
        }
    }
}
