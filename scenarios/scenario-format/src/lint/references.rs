//! Names that lead nowhere: W0118, W0122 to W0127; classes that bind too early: W0222, W0380.

use std::collections::BTreeMap;

use model_api::kube::{Workload, WorkloadKind, early_claims, is_early, zone_position};
use model_api::{ServiceId, WorkloadId};

use super::{Lint, is_replicated};
use crate::coverage::is_known;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Object, Tier, is_namespaced};
use crate::nearest::suggestion;

impl Lint<'_> {
    pub(super) fn references(&mut self) {
        self.ingresses();
        self.target_ports();
        self.namespaces();
        self.unasked();
        self.named_nodes();
        for (workload, object) in self.workloads() {
            self.claims_of(workload, object);
        }
        self.storage_classes();
        self.early_binding();
        self.torn_volumes();
    }

    /// E0145.
    fn named_nodes(&mut self) {
        let nodes = self.blueprint.nodes.iter().map(|it| it.node.name.as_str());
        let nodes: Vec<&str> = nodes.collect();
        for (workload, object) in self.workloads() {
            let Some(name) = workload.template.spec.node_name.as_deref() else { continue };
            if nodes.contains(&name) {
                continue;
            }
            let message = format!("{}: there is no node `{name}`", object.title());
            let span = object.value_span(&workload.pod_path("nodeName"));
            let help = suggestion(name, nodes.iter().copied());
            self.push(object, Diagnostic::new(Code::E0145, span, message).help_if(help));
        }
    }

    /// W0122.
    fn ingresses(&mut self) {
        for ingress in &self.manifests.ingresses {
            let object = self.manifests.object(ingress);
            let ingress = &ingress.value;
            let services = self.blueprint.services.iter();
            let mut here = services.filter(|service| service.namespace == ingress.namespace);
            if here.clone().any(|service| service.name == ingress.service_name) {
                continue;
            }
            let names: Vec<&str> = here.by_ref().map(|service| service.name.as_str()).collect();
            let message = format!(
                "{} leads to Service {}, which does not exist in `{}`",
                object.title(),
                ingress.service_name,
                ingress.namespace
            );
            let span = object.span(if object.find("spec.rules").is_some() {
                "spec.rules"
            } else {
                "spec.defaultBackend"
            });
            let help = suggestion(&ingress.service_name, names);
            self.push(object, Diagnostic::new(Code::W0122, span, message).help_if(help));
        }
    }

    /// W0123.
    fn target_ports(&mut self) {
        for (service, object) in self.services() {
            let pods: Vec<&Workload> = self
                .workloads()
                .map(|(workload, _)| workload)
                .filter(|it| service.selects(&it.namespace, &it.template.labels))
                .collect();
            let names: Vec<&str> = pods
                .iter()
                .flat_map(|workload| {
                    let spec = &workload.template.spec;
                    spec.containers.iter().chain(&spec.init_containers)
                })
                .flat_map(|container| container.ports.iter().filter_map(|it| it.name.as_deref()))
                .collect();
            for (idx, port) in service.ports.iter().enumerate() {
                let is_number = port.target.parse::<u32>().is_ok();
                if is_number || pods.is_empty() || names.contains(&port.target.as_str()) {
                    continue;
                }
                let message = format!(
                    "{}: no container of its pods has a port named `{}`",
                    object.title(),
                    port.target
                );
                let span = object.value_span(&format!("spec.ports[{idx}].targetPort"));
                let help = suggestion(&port.target, names.clone());
                self.push(object, Diagnostic::new(Code::W0123, span, message).help_if(help));
            }
        }
    }

    /// W0124: once a file.
    fn namespaces(&mut self) {
        let mut files: BTreeMap<u32, (usize, usize, &Object)> = BTreeMap::new();
        for object in &self.manifests.objects {
            if object.key.namespace.is_empty() || object.tier == Tier::Platform {
                continue;
            }
            // Whether objects of a kind that nobody here knows live in a namespace is theirs to say.
            let is_known =
                is_namespaced(&object.key.group, &object.key.kind).is_some() || is_known(object);
            if !object.names_namespace && !is_known {
                continue;
            }
            let file = files.entry(object.name_span.at.file_idx).or_insert((0, 0, object));
            if object.names_namespace {
                file.1 += 1;
            } else {
                if file.0 == 0 {
                    file.2 = object;
                }
                file.0 += 1;
            }
        }
        for (without, with, first) in files.into_values() {
            if without > 0 && with > 0 {
                let message = format!(
                    "{without} objects of this file name no namespace and are read as `default`, \
                     {with} name one"
                );
                let diagnostic = Diagnostic::new(Code::W0124, first.name_span, message);
                self.push(first, diagnostic.label("the first without"));
            }
        }
    }

    /// W0127.
    fn unasked(&mut self) {
        for idx in 0..self.manifests.services.len() {
            let service = &self.manifests.services[idx];
            let object = self.manifests.object(service);
            if object.tier == Tier::Platform || object.key.kind != "Service" {
                continue;
            }
            let id = ServiceId::from_index(idx);
            let loads = &self.blueprint.loads;
            let is_asked = loads.iter().any(|load| load.service == id || load.via == Some(id))
                || self.blueprint.profiles.iter().any(|profile| profile.depends_on.contains(&id));
            let value = &service.value;
            let is_exposed = value.is_external
                || self.blueprint.ingresses.iter().any(|ingress| {
                    ingress.namespace == value.namespace && ingress.service_name == value.name
                });
            if is_exposed && !is_asked {
                let message = format!(
                    "{} is exposed, but no load reaches it: nothing judges it",
                    object.title()
                );
                self.warn(Code::W0127, object, "", message);
            }
        }
    }

    /// W0118 and W0125.
    fn claims_of(&mut self, workload: &Workload, object: &Object) {
        for name in &workload.template.spec.claim_names {
            let path = workload.pod_path("volumes");
            let claims = self.blueprint.claims.iter();
            let mut here = claims.filter(|claim| claim.namespace == workload.namespace);
            let Some(claim) = here.clone().find(|claim| claim.name == *name) else {
                let names: Vec<&str> = here.by_ref().map(|claim| claim.name.as_str()).collect();
                let message = format!("{}: there is no claim `{name}`", object.title());
                let help = suggestion(name, names);
                let span = object.span(&path);
                self.push(object, Diagnostic::new(Code::W0125, span, message).help_if(help));
                continue;
            };
            let is_template = !matches!(workload.kind, WorkloadKind::StatefulSet { .. });
            if !claim.is_shared && workload.replicas > 1 && is_replicated(workload) && is_template {
                let who = if claim.is_of_one_pod {
                    "a single pod may use: the others stay Pending"
                } else {
                    "one node mounts"
                };
                let message = format!(
                    "{}: {} replicas share the claim `{name}`, which {who}",
                    object.title(),
                    workload.replicas
                );
                self.warn(Code::W0118, object, &path, message);
            }
        }
    }

    /// W0222: a class of volumes that stand in one zone, which makes them before their pods are placed.
    fn early_binding(&mut self) {
        if self.blueprint.zones.len() < 2 {
            return;
        }
        let of_sets = self.workloads().flat_map(|(workload, _)| match &workload.kind {
            WorkloadKind::StatefulSet { claims, .. } => claims.as_slice(),
            _ => &[],
        });
        let claims = self.manifests.claims.iter().map(|claim| &claim.value).chain(of_sets);
        let used: Vec<Option<String>> = claims.map(|claim| claim.storage_class.clone()).collect();
        for (idx, class) in self.manifests.storage_classes.iter().enumerate() {
            let object = self.manifests.object(class);
            // Its pool may say that volumes are there in all zones.
            let class = &self.blueprint.storage_classes[idx];
            let is_used = used.iter().any(|name| match name {
                Some(name) => *name == class.name,
                None => class.is_default,
            });
            if !is_used || !is_early(class) {
                continue;
            }
            let message = format!(
                "{}: volumes are made before their pods are placed, in zones that the names of their claims lead to",
                object.title()
            );
            let help = "make a class with volumeBindingMode: WaitForFirstConsumer; that of a class cannot be changed";
            let span = object.span("volumeBindingMode");
            self.push(object, Diagnostic::new(Code::W0222, span, message).help(help));
        }
    }

    /// W0380: volumes of one pod that are made in two zones.
    fn torn_volumes(&mut self) {
        let zones = self.zones_with_nodes();
        for idx in 0..self.blueprint.workloads.len() {
            let early = early_claims(self.blueprint, WorkloadId::from_index(idx));
            if early.len() < 2 || zones.len() < 2 {
                continue;
            }
            let spec = &self.blueprint.workloads[idx];
            let object = self.manifests.object(&self.manifests.workloads[idx]);
            let first = match &spec.kind {
                WorkloadKind::StatefulSet { ordinals_start, .. } => *ordinals_start,
                WorkloadKind::DatabaseInstances => 1,
                _ => 0,
            };
            let ordinals = first..first.saturating_add(spec.replicas);
            let torn: Vec<String> = ordinals
                .filter_map(|ordinal| {
                    let names = early.iter().map(|claim| claim.name(ordinal));
                    let placed = |name: String| {
                        let zone = zones[zone_position(&name, zones.len())].as_str();
                        (format!("{name} in {zone}"), zone)
                    };
                    let all: Vec<(String, &str)> = names.map(placed).collect();
                    let is_torn = all.iter().any(|(_, zone)| *zone != all[0].1);
                    let told: Vec<&str> = all.iter().map(|(text, _)| text.as_str()).collect();
                    is_torn.then(|| told.join(" and "))
                })
                .collect();
            let Some(example) = torn.first() else { continue };
            let message = format!(
                "{}: {} of {} pods have volumes in two zones, and no node reaches both: {example}",
                object.title(),
                torn.len(),
                spec.replicas
            );
            let path = match object.key.kind.as_str() {
                "Cluster" => "spec.walStorage",
                "StatefulSet" => "spec.volumeClaimTemplates",
                _ => "spec",
            };
            let help = "use classes with volumeBindingMode: WaitForFirstConsumer";
            let span = object.span(path);
            self.push(object, Diagnostic::new(Code::W0380, span, message).help(help));
        }
    }

    /// Zones that have nodes at the start, in the order of their names.
    fn zones_with_nodes(&self) -> Vec<String> {
        let blueprint = self.blueprint;
        let nodes = blueprint.nodes.iter().zip(blueprint.spare_nodes());
        let zones = nodes.filter(|(_, is_spare)| !is_spare).map(|(node, _)| node.zone);
        let mut names: Vec<String> =
            zones.map(|zone| blueprint.zones[zone.index()].name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// W0126.
    fn storage_classes(&mut self) {
        let classes = &self.blueprint.storage_classes;
        if classes.is_empty() {
            return;
        }
        let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        let has_default = classes.iter().any(|class| class.is_default);
        let mut wrong: Vec<(&Object, bool, String, Option<String>)> = Vec::new();
        let check = |class: Option<&str>| match class {
            // An empty name asks for a volume that exists already.
            Some("") => None,
            Some(name) if names.contains(&name) => None,
            Some(name) => Some((
                format!("there is no storage class `{name}`"),
                suggestion(name, names.clone()),
            )),
            None if has_default => None,
            None => {
                Some(("no storage class is the default, and the claim names none".to_owned(), None))
            }
        };
        for claim in &self.manifests.claims {
            let object = self.manifests.object(claim);
            if let Some((message, help)) = check(claim.value.storage_class.as_deref()) {
                let is_of_log = claim.value.name.ends_with("-wal");
                wrong.push((object, is_of_log, message, help));
            }
        }
        for (workload, object) in self.workloads() {
            let WorkloadKind::StatefulSet { claims, .. } = &workload.kind else { continue };
            for claim in claims {
                if let Some((message, help)) = check(claim.storage_class.as_deref()) {
                    wrong.push((object, false, message, help));
                }
            }
        }
        for (object, is_of_log, message, help) in wrong {
            let path = match object.key.kind.as_str() {
                "StatefulSet" => "spec.volumeClaimTemplates",
                "Cluster" if is_of_log => "spec.walStorage.storageClass",
                "Cluster" => "spec.storage.storageClass",
                _ => "spec.storageClassName",
            };
            let message = format!("{}: {message}", object.title());
            let span = object.span(path);
            self.push(object, Diagnostic::new(Code::W0126, span, message).help_if(help));
        }
    }
}
