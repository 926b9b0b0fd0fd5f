//! Names, needs and steps in words.

use model_api::kube::SecretMaker;
use model_api::{Blueprint, WorkloadId};

use super::Stage;
use super::graph::Step;
use super::needs::{Edge, Need};

pub(super) struct Words<'a> {
    pub(super) blueprint: &'a Blueprint,
}

impl Words<'_> {
    pub(super) fn name(&self, idx: usize) -> String {
        self.blueprint.workload_name(WorkloadId::from_index(idx))
    }

    pub(super) fn reason(&self, edge: &Edge) -> String {
        format!("{} needs {}", self.name(edge.from), self.met(edge))
    }

    /// What an edge is about, and who provides it.
    pub(super) fn met(&self, edge: &Edge) -> String {
        format!("{} {}", self.need(&edge.need), self.name(edge.to))
    }

    fn need(&self, need: &Need) -> String {
        match need {
            Need::Webhook(idx) => {
                format!("webhook {} (failurePolicy Fail), answered by", self.webhook(*idx))
            }
            Need::Image(host) => format!("an image of {host}, which needs"),
            Need::Injected => "secrets injected by".to_owned(),
            Need::Mounted(idx) => {
                let class = &self.blueprint.secret_providers[*idx];
                format!("secrets of SecretProviderClass {}, mounted by", class.name)
            }
            Need::Made(idx) => {
                let made = &self.blueprint.made_secrets[*idx];
                let how = match made.maker {
                    SecretMaker::ExternalSecrets { .. } => "an ExternalSecret",
                    SecretMaker::SealedSecrets => "a SealedSecret",
                };
                format!("Secret {}, made of {how} with", made.name)
            }
            Need::Volume(class) => format!("a volume of {class}, provided by"),
            Need::VolumeKey(class) => format!("the key of a volume of {class}, kept by"),
            Need::Network => "an address given by".to_owned(),
            Need::Operator(_) => "pods created by".to_owned(),
        }
    }

    fn webhook(&self, idx: usize) -> &str {
        &self.blueprint.webhooks[idx].configuration
    }

    /// What somebody does about a vault that has started.
    pub(super) fn unseal(&self, idx: usize) -> Stage {
        let name = self.name(idx);
        let labels = &self.blueprint.workloads[idx].template.labels;
        let is_fork = labels.get("app.kubernetes.io/name").is_some_and(|name| name == "openbao");
        let program = if is_fork { "bao" } else { "vault" };
        Stage::ByHand {
            because: vec![format!(
                "{name} starts sealed, unless its configuration names a key elsewhere (auto-unseal)"
            )],
            step: format!("unseal each pod of {name} ({program} operator unseal)"),
        }
    }

    /// What somebody does before Secrets are unsealed, when etcd is empty: the controller makes a
    /// new key where it finds none (Sealed Secrets 0.30, README "Sealing key renewal" and "How can I
    /// do a backup of my SealedSecrets?").
    pub(super) fn give_key_back(&self, idx: usize) -> Stage {
        let name = self.name(idx);
        Stage::ByHand {
            because: vec![format!(
                "{name} finds no key, makes a new one and opens nothing that was sealed before"
            )],
            step: format!(
                "apply a backup of its keys (label sealedsecrets.bitnami.com/sealed-secrets-key) and \
                 restart {name}"
            ),
        }
    }

    /// What somebody does by hand, once.
    pub(super) fn step(&self, step: &Step) -> String {
        let name = match step {
            Step::For(_, idx) => self.name(*idx),
            Step::ForAll(_) => String::new(),
        };
        match step.need() {
            Need::Webhook(idx) => {
                let webhook = &self.blueprint.webhooks[*idx];
                let kind = if webhook.is_mutating { "mutating" } else { "validating" };
                let name = &webhook.configuration;
                format!("kubectl delete {kind}webhookconfiguration {name}")
            }
            Need::Made(idx) => {
                let made = &self.blueprint.made_secrets[*idx];
                format!("kubectl create secret generic {} -n {}", made.name, made.namespace)
            }
            Need::Image(_) => {
                format!(
                    "import the images of {name} on a node by hand (ctr -n k8s.io images import)"
                )
            }
            Need::Injected | Need::Mounted(_) => format!("start {name} with a Secret made by hand"),
            Need::Volume(_) | Need::VolumeKey(_) => {
                format!("start {name} on a volume of another class")
            }
            Need::Network => format!("start {name} with hostNetwork"),
            Need::Operator(_) => format!("run the operator of {name} outside of the cluster"),
        }
    }
}
