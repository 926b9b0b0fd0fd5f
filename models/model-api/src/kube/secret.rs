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
