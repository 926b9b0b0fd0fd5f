//! Secrets that something in the cluster makes of what is kept elsewhere.

use std::collections::BTreeMap;

use sim_kernel::SimSpan;

use super::workload::Workload;
use crate::blueprint::Blueprint;
use crate::ids::ServiceId;
use crate::source::Origin;

/// What names a controller in the charts of External Secrets 2 and Sealed Secrets 2.
const NAME_LABEL: &str = "app.kubernetes.io/name";
const EXTERNAL_SECRETS: &str = "external-secrets";
const SEALED_SECRETS: &str = "sealed-secrets";
/// `metadata.name` of the controller in the released manifest of Sealed Secrets, which has no such label.
const SEALED_SECRETS_CONTROLLER: &str = "sealed-secrets-controller";
/// Annotations with which pods ask the injector of Vault, or that of OpenBao, for their secrets.
const INJECTIONS: [&str; 2] = ["vault.hashicorp.com/agent-inject", "openbao.org/agent-inject"];

/// Whether pods with these annotations ask a vault to inject their secrets.
pub fn is_injected(annotations: &BTreeMap<String, String>) -> bool {
    INJECTIONS.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true"))
}

/// A Secret that is not written down, but made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeSecret {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// Who makes it.
    pub maker: SecretMaker,
    /// Where its maker was told to.
    pub origin: Origin,
}

/// Who makes a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretMaker {
    /// External Secrets, of an ExternalSecret.
    ExternalSecrets {
        /// What it is read from.
        store: SecretStore,
        /// `refreshInterval`: how often it is read again; zero for once.
        refresh: SimSpan,
    },
    /// Sealed Secrets, of a SealedSecret and the key of its controller.
    SealedSecrets,
}

impl SecretMaker {
    /// Whether pods of a workload are its controller, by what the project's charts and manifests call it.
    pub fn is_run_by(&self, workload: &Workload) -> bool {
        let label = workload.template.labels.get(NAME_LABEL);
        let is_named = |name: &str| label.is_some_and(|label| label == name);
        match self {
            Self::ExternalSecrets { .. } => is_named(EXTERNAL_SECRETS),
            Self::SealedSecrets => {
                is_named(SEALED_SECRETS) || workload.name == SEALED_SECRETS_CONTROLLER
            }
        }
    }
}

/// Where secrets and keys are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretStore {
    /// Outside of the input, which is taken to run.
    #[default]
    Elsewhere,
    /// Behind a Service of the platform.
    Behind(ServiceId),
    /// In the vault of the platform, if there is one: it is not said in which.
    AnyVault,
}

/// A kind of object that containers are configured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `ConfigMap`.
    ConfigMap,
    /// `Secret`.
    Secret,
}

impl SourceKind {
    /// Its kind in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// A Secret or ConfigMap without which containers do not start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigurationSource {
    /// Which kind it is.
    pub kind: SourceKind,
    /// `metadata.name`; it is in the namespace of the pod.
    pub name: String,
    /// A volume holds it, which is mounted before containers are made; otherwise it is in their environment.
    pub is_mounted: bool,
}

/// A vault of the platform, whose state runs look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    /// The Service that leads to it.
    pub service: ServiceId,
    /// How long a pod of it stays sealed that starts; zero where a key service unseals it.
    pub unseal: SimSpan,
    /// Where it was written.
    pub origin: Origin,
}

impl Vault {
    /// Whether a Service leads to it: it is its own, or selects the same pods.
    pub fn is_behind(&self, service: ServiceId, blueprint: &Blueprint) -> bool {
        let own = &blueprint.services[self.service.index()];
        let other = &blueprint.services[service.index()];
        own.namespace == other.namespace
            && (own.name == other.name || own.selector == other.selector)
    }

    /// Whether what is kept in a store may be kept in it.
    pub fn is_of(&self, store: SecretStore, blueprint: &Blueprint) -> bool {
        match store {
            SecretStore::Elsewhere => false,
            SecretStore::Behind(service) => self.is_behind(service, blueprint),
            SecretStore::AnyVault => true,
        }
    }
}

/// A SecretProviderClass, from which pods mount what is kept in a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretProvider {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `spec.provider`: `vault`, `openbao`, `azure` and so on.
    pub provider: String,
    /// The vault.
    pub store: SecretStore,
    /// Where it was written.
    pub origin: Origin,
}
