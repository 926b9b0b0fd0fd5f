//! Webhooks that are asked about what keeps a cluster together: W0246.
//!
//! What Kubernetes recommends to leave alone is in `docs/concepts/cluster-administration/admission-webhooks-good-practices.md`.

use model_api::kube::admission::is_asked;
use model_api::kube::{WebhookRule, WriteShape};

use super::Lint;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Object, WrittenWebhook};
use crate::yaml::Node;

/// A write that components of a cluster make all the time.
struct Write {
    operations: &'static [&'static str],
    group: &'static str,
    /// The resource, and the subresource or nothing.
    resource: (&'static str, &'static str),
    /// Namespaces of such objects; none for objects of the cluster, and `*` for those of any.
    namespaces: &'static [&'static str],
    /// What stops with it.
    stops: &'static str,
}

const LEADERS: &str = "leaders and nodes cannot renew their leases";
const NODES: &str = "nodes cannot report that they are well, nor come";
const ENDPOINTS: &str = "Services go on leading to pods that are gone";

/// Most urgent first: one is told of each webhook.
const WRITES: [Write; 8] = [
    Write {
        operations: &["UPDATE", "CREATE"],
        group: "coordination.k8s.io",
        resource: ("leases", ""),
        namespaces: &["kube-node-lease", "kube-system"],
        stops: LEADERS,
    },
    Write {
        operations: &["UPDATE"],
        group: "",
        resource: ("nodes", "status"),
        namespaces: &[],
        stops: NODES,
    },
    Write {
        operations: &["CREATE", "UPDATE"],
        group: "",
        resource: ("nodes", ""),
        namespaces: &[],
        stops: NODES,
    },
    Write {
        operations: &["UPDATE"],
        group: "",
        resource: ("pods", "status"),
        namespaces: &["*"],
        stops: "nobody learns which pods are ready",
    },
    Write {
        operations: &["CREATE", "UPDATE"],
        group: "discovery.k8s.io",
        resource: ("endpointslices", ""),
        namespaces: &["*"],
        stops: ENDPOINTS,
    },
    Write {
        operations: &["CREATE", "UPDATE"],
        group: "",
        resource: ("endpoints", ""),
        namespaces: &["*"],
        stops: ENDPOINTS,
    },
    Write {
        operations: &["CREATE"],
        group: "",
        resource: ("pods", "binding"),
        namespaces: &["*"],
        stops: "the scheduler places no pod",
    },
    Write {
        operations: &["CREATE"],
        group: "",
        resource: ("pods", "eviction"),
        namespaces: &["*"],
        stops: "no node can be drained",
    },
];

impl Lint<'_> {
    /// W0246. Of a webhook that has match conditions or an object selector nothing is said: they may
    /// spare just these writes.
    pub(super) fn webhooks(&mut self) {
        let manifests = self.manifests;
        for sourced in &manifests.webhooks {
            let (object, written) = (manifests.object(sourced), &sourced.value);
            let is_narrowed = !written.object_selector.is_empty()
                || has_conditions(object, &written.webhook.name);
            if !written.webhook.fails_closed || is_narrowed {
                continue;
            }
            let Some(write) = WRITES.iter().find(|write| self.is_asked_about(written, write))
            else {
                continue;
            };
            let message = format!(
                "{}: while {} does not answer, {} are refused and {}",
                object.title(),
                written.webhook.name,
                name_of(write),
                write.stops
            );
            let help = "name the resources that it is for, leave out leases, nodes, endpoints and \
                        subresources of pods, or state failurePolicy: Ignore";
            let diagnostic = Diagnostic::new(Code::W0246, object.span("webhooks"), message);
            self.push(object, diagnostic.help(help));
        }
    }

    fn is_asked_about(&self, written: &WrittenWebhook, write: &Write) -> bool {
        let selects = |namespace: &str| {
            let labels = self.manifests.labels_of_namespace(namespace);
            is_asked(&written.namespace_selector, &written.object_selector, &labels, &labels)
        };
        // Selectors of namespaces never spare objects that are in none
        // (`predicates/namespace/matcher.go`).
        let is_selected = match write.namespaces {
            [] => true,
            ["*"] => self.blueprint.workloads.iter().any(|it| selects(&it.namespace)),
            names => names.iter().any(|name| selects(name)),
        };
        is_selected && written.rules.iter().any(|rule| names(rule, write))
    }
}

fn names(rule: &WebhookRule, write: &Write) -> bool {
    write.operations.iter().any(|operation| {
        rule.names(&WriteShape {
            operation,
            group: write.group,
            resource: write.resource.0,
            subresource: write.resource.1,
            is_namespaced: !write.namespaces.is_empty(),
            ..WriteShape::POD_CREATION
        })
    })
}

fn name_of(write: &Write) -> String {
    match write.resource {
        (resource, "") => format!("writes of {resource}"),
        (resource, below) => format!("writes of {resource}/{below}"),
    }
}

fn has_conditions(object: &Object, name: &str) -> bool {
    let webhooks = object.find("webhooks").and_then(Node::items).unwrap_or_default();
    let own = webhooks.iter().find(|it| it.get("name").and_then(Node::text) == Some(name));
    let conditions = own.and_then(|it| it.get("matchConditions")?.items());
    conditions.is_some_and(|items| !items.is_empty())
}
