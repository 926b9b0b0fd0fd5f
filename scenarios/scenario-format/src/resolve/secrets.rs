//! Secrets that are made in the cluster or mounted from a vault, and where the keys of encrypted
//! volumes are kept.
//!
//! External Secrets 2 (`apis/externalsecrets/v1/externalsecret_types.go`, `secretstore_types.go`), Sealed
//! Secrets 0.30, Secrets Store CSI Driver 1.5, Ceph CSI 3.14 (`docs/design/proposals/encrypted-pvc.md`).

use model_api::kube::{MadeSecret, SecretMaker, SecretProvider, SecretStore, Vault, is_injected};
use model_api::{ServiceId, SimSpan};

use super::Resolver;
use super::calls::named_service;
use crate::decode::FromText;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::PlatformDocument;
use crate::manifest::Object;
use crate::nearest::suggestion;
use crate::yaml::Node;

/// `spec.refreshInterval`, when it is left out.
const REFRESH: SimSpan = SimSpan::from_hours(1);
/// ConfigMaps that say where keys of volumes are: of Rook and of Ceph CSI.
const KEY_CONFIGURATIONS: [&str; 2] =
    ["csi-kms-connection-details", "ceph-csi-encryption-kms-config"];

impl Resolver<'_> {
    pub(super) fn secrets(&mut self) {
        for object in &self.manifests.objects {
            match (object.key.group.as_str(), object.key.kind.as_str()) {
                ("external-secrets.io", "ExternalSecret") => self.external_secret(object),
                ("bitnami.com", "SealedSecret") => self.sealed_secret(object),
                ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => self.provider(object),
                ("storage.k8s.io", "StorageClass") => self.key_store(object),
                _ => {}
            }
        }
    }

    /// Vaults whose state is looked at. W0362: one that no pod gets anything from.
    pub(super) fn vaults(&mut self, platform: &PlatformDocument) {
        for spec in &platform.spec.vaults {
            let Some(service) = self.service(&spec.service) else { continue };
            if self.blueprint.vaults.iter().any(|known| known.service == service) {
                let message = format!("`{}` is a vault already", spec.service.value);
                self.report(Code::E0018, spec.service.span, message);
                continue;
            }
            let vault = Vault {
                service,
                unseal: spec.unseal.map_or(SimSpan::ZERO, |it| it.value),
                origin: spec.span.origin(),
            };
            if !self.is_vault_asked(&vault) {
                let message = format!(
                    "no pod gets anything from `{}`: no agent is injected, no SecretProviderClass and \
                     no ExternalSecret reads from it",
                    spec.service.value
                );
                self.report(Code::W0362, spec.service.span, message);
            }
            self.blueprint.vaults.push(vault);
        }
    }

    /// Whether anything of the input is read from a vault, or may be: pods that have secrets injected do
    /// not say from which.
    fn is_vault_asked(&self, vault: &Vault) -> bool {
        let blueprint = &self.blueprint;
        let is_read = |maker: &SecretMaker| match maker {
            SecretMaker::ExternalSecrets { store, .. } => vault.is_of(*store, blueprint),
            SecretMaker::SealedSecrets => false,
        };
        let mut providers = blueprint.secret_providers.iter();
        providers.any(|it| vault.is_of(it.store, blueprint))
            || blueprint.made_secrets.iter().any(|it| is_read(&it.maker))
            || blueprint.workloads.iter().any(|it| is_injected(&it.template.annotations))
    }

    fn external_secret(&mut self, object: &Object) {
        // The others fill a Secret that somebody else makes, or none.
        let policy = text(object, "spec.target.creationPolicy").unwrap_or("Owner");
        let store = self.store_of(object);
        let refresh = self.refresh_interval(object);
        if matches!(policy, "Owner" | "Orphan") {
            let name = text(object, "spec.target.name").unwrap_or(&object.key.name);
            self.made(object, name, SecretMaker::ExternalSecrets { store, refresh });
        }
    }

    fn sealed_secret(&mut self, object: &Object) {
        // Template and object have one name: what is sealed is bound to it (README, "Scopes").
        let name = text(object, "spec.template.metadata.name").unwrap_or(&object.key.name);
        self.made(object, name, SecretMaker::SealedSecrets);
    }

    fn made(&mut self, object: &Object, name: &str, maker: SecretMaker) {
        self.blueprint.made_secrets.push(MadeSecret {
            namespace: object.key.namespace.clone(),
            name: name.to_owned(),
            maker,
            origin: object.origin.clone(),
        });
    }

    /// Where an ExternalSecret is read from: its store, or that of its first entry.
    fn store_of(&mut self, object: &Object) -> SecretStore {
        let paths = [
            "spec.secretStoreRef",
            "spec.data[0].sourceRef.storeRef",
            "spec.dataFrom[0].sourceRef.storeRef",
        ];
        let Some(path) = paths.into_iter().find(|path| object.find(path).is_some()) else {
            // Generators make what they give.
            return SecretStore::Elsewhere;
        };
        let Some(name) = text(object, &format!("{path}.name")) else {
            return SecretStore::Elsewhere;
        };
        let kind = text(object, &format!("{path}.kind")).unwrap_or("SecretStore");
        let namespace = if kind == "SecretStore" { object.key.namespace.as_str() } else { "" };
        let is_store = |it: &&Object| it.key.group == "external-secrets.io" && it.key.kind == kind;
        let stores = self.manifests.objects.iter().filter(is_store);
        let mut here = stores.filter(|it| it.key.namespace == namespace);
        if let Some(store) = here.clone().find(|it| it.key.name == name) {
            return self.vault_at(store, "spec.provider.vault.server");
        }
        let message =
            format!("{} is read from {kind} {name}, which is not in the input", object.title());
        let names: Vec<&str> = here.by_ref().map(|it| it.key.name.as_str()).collect();
        let help = suggestion(name, names)
            .unwrap_or_else(|| "it is taken to be elsewhere: pass its manifest too".to_owned());
        let span = object.value_span(&format!("{path}.name"));
        self.diagnostics.push(Diagnostic::new(Code::W0340, span, message).help(help));
        SecretStore::Elsewhere
    }

    fn refresh_interval(&mut self, object: &Object) -> SimSpan {
        let Some(text) = text(object, "spec.refreshInterval") else { return REFRESH };
        if text == "0" {
            return SimSpan::ZERO;
        }
        SimSpan::from_text(text).unwrap_or_else(|reason| {
            let message =
                format!("{}: `spec.refreshInterval` is no duration: {reason}", object.title());
            let span = object.value_span("spec.refreshInterval");
            self.diagnostics.push(Diagnostic::new(Code::E0022, span, message));
            REFRESH
        })
    }

    fn provider(&mut self, object: &Object) {
        let provider = text(object, "spec.provider").unwrap_or_default().to_owned();
        let is_vault = matches!(provider.as_str(), "vault" | "openbao");
        // A provider of a vault asks the one that it was installed for, unless a class names another
        // (hashicorp/vault-csi-provider 1.5, README).
        let store = match (is_vault, text(object, "spec.parameters.vaultAddress")) {
            (false, _) => SecretStore::Elsewhere,
            (true, None) => SecretStore::AnyVault,
            (true, Some(_)) => self.vault_at(object, "spec.parameters.vaultAddress"),
        };
        self.blueprint.secret_providers.push(SecretProvider {
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            provider,
            store,
            origin: object.origin.clone(),
        });
    }

    /// Where the key of volumes of a class is kept.
    fn key_store(&mut self, object: &Object) {
        if text(object, "parameters.encrypted") != Some("true") {
            return;
        }
        let Some(id) = text(object, "parameters.encryptionKMSID") else { return };
        let Some((namespace, address)) = self.key_service(id) else { return };
        let store = self.service_at(&namespace, &address);
        let classes = &mut self.blueprint.storage_classes;
        if let Some(class) = classes.iter_mut().find(|class| class.name == object.key.name) {
            class.key_store = store;
        }
    }

    /// Namespace of the configuration that names a key service, and the address of its vault.
    fn key_service(&self, id: &str) -> Option<(String, String)> {
        let is_configuration = |it: &&Object| {
            it.key.kind == "ConfigMap" && KEY_CONFIGURATIONS.contains(&it.key.name.as_str())
        };
        self.manifests.objects.iter().filter(is_configuration).find_map(|object| {
            let data = object.find("data")?;
            // Rook has an entry for each service, Ceph CSI one file with all of them.
            let own = data.get(id).and_then(Node::text).and_then(json);
            let of_all = || json(data.get("config.json")?.text()?)?.get(id).cloned();
            let settings = own.or_else(of_all)?;
            let address =
                ["vaultAddress", "VAULT_ADDR"].iter().find_map(|key| settings.get(key))?;
            Some((object.key.namespace.clone(), address.as_str()?.to_owned()))
        })
    }

    fn vault_at(&self, object: &Object, path: &str) -> SecretStore {
        text(object, path).map_or(SecretStore::Elsewhere, |address| {
            self.service_at(&object.key.namespace, address)
        })
    }

    fn service_at(&self, namespace: &str, address: &str) -> SecretStore {
        let service: Option<ServiceId> = named_service(self.manifests, namespace, address);
        service.map_or(SecretStore::Elsewhere, SecretStore::Behind)
    }
}

fn text<'a>(object: &'a Object, path: &str) -> Option<&'a str> {
    object.find(path).filter(|node| !node.is_null()).and_then(Node::text)
}

fn json(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
}
