//! Secrets that something in the cluster makes of what is kept elsewhere.

use sim_kernel::SimSpan;

use crate::ids::ServiceId;
use crate::source::Origin;

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
