//! Vaults, Secrets and ConfigMaps of runs.

use model_api::SimSpan;
use model_api::fault::{ControlPlaneFault, FaultKind};
use model_api::kube::{ConfigurationSource, SourceKind};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, web};

/// The web with what its pods are configured from, on a platform with these vaults.
fn with(vaults: &str, fault: &str, template: &str) -> Memory {
    let platform =
        PLATFORM.replace("  nodePools:\n", &format!("  vaults: [{vaults}]\n  nodePools:\n"));
    assert_ne!(platform, PLATFORM);
    let manifest = WEB.replace("      containers:\n", &format!("{template}      containers:\n"));
    let faults =
        if fault.is_empty() { String::new() } else { format!("  faults: [{{{fault}}}]\n") };
    web(&faults).with("small.yaml", platform).with("web.yaml", manifest)
}

const VOLUMES: &str = "      volumes:
        - {name: a, secret: {secretName: session}}
        - {name: b, configMap: {name: settings}}
        - {name: c, projected: {sources: [{secret: {name: part}}, {configMap: {name: rest, optional: true}}]}}
";

#[test]
fn what_pods_need_is_read_with_its_way_in() {
    let loaded = load_all(&with("", "", VOLUMES), &["web.yaml"], &[]);
    let blueprint = loaded.resolved.expect("it is well").blueprint;
    let of =
        |kind, name: &str| ConfigurationSource { kind, name: name.to_owned(), is_mounted: true };
    let expected = [
        of(SourceKind::ConfigMap, "settings"),
        of(SourceKind::Secret, "part"),
        of(SourceKind::Secret, "session"),
    ];
    assert_eq!(blueprint.workloads[0].template.spec.sources, expected);
}

#[test]
fn a_vault_is_stated_and_sealed_by_its_service() {
    let files =
        with("{service: shop/web, unseal: 20m}", "vaultSealed: {vault: shop/web, at: 1m}", "");
    let resolved = load_all(&files, &["web.yaml"], &[]).resolved.expect("it is well");
    assert_eq!(resolved.blueprint.vaults[0].unseal, SimSpan::from_mins(20));
    let sealed = ControlPlaneFault::VaultSealed { vault: 0 };
    assert_eq!(resolved.faults.faults[0].kind, FaultKind::ControlPlane(sealed));
}

#[test]
fn a_vault_is_asked_when_something_is_read_from_it_and_not_from_another() {
    let class = |address: &str| {
        format!(
            "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
             metadata: {{name: class, namespace: shop}}\n\
             spec: {{provider: vault, parameters: {{{address}}}}}\n---\n\
             apiVersion: v1\nkind: Service\nmetadata: {{name: other, namespace: shop}}\n\
             spec: {{selector: {{app: other}}, ports: [{{port: 8200}}]}}\n"
        )
    };
    let cases = [
        ("vaultAddress: 'http://web.shop.svc:8200'", false),
        ("vaultAddress: 'http://other.shop.svc:8200'", true),
        // Whichever the provider was installed for.
        ("roleName: web", false),
    ];
    for (address, is_odd) in cases {
        let files = with("{service: shop/web}", "", "").with("class.yaml", class(address));
        let lines = said(&load_all(&files, &["web.yaml", "class.yaml"], &[]));
        let found = lines.iter().any(|line| line.contains("W0362"));
        assert_eq!(found, is_odd, "{address}: {lines:?}");
    }
}

#[test]
fn what_is_wrong_or_odd_is_said() {
    let vault = "{service: shop/web}";
    let cases = [
        (vault, "", "", "W0362"),
        ("{service: shop/web}, {service: shop/web}", "", "", "E0018"),
        ("{service: shop/wbe}", "", "", "E0016"),
        ("", "vaultSealed: {vault: shop/web, at: 1m}", "", "E0125"),
        ("", "configurationDeleted: {secret: shop/session, at: 1m}", "", "E0126"),
        ("", "configurationDeleted: {at: 1m}", VOLUMES, "E0126"),
        ("", "configurationDeleted: {secret: a, configMap: b, at: 1m}", VOLUMES, "E0126"),
        ("", "configurationDeleted: {secret: shop/sesion, at: 1m}", VOLUMES, "E0016"),
    ];
    for (vaults, fault, template, expected) in cases {
        let lines = said(&load_all(&with(vaults, fault, template), &["web.yaml"], &[]));
        assert!(lines.iter().any(|line| line.contains(expected)), "{vaults} {fault}: {lines:?}");
    }
    let fine = with("", "configurationDeleted: {configMap: settings, at: 1m, for: 1h}", VOLUMES);
    let lines = said(&load_all(&fine, &["web.yaml"], &[]));
    assert!(lines.iter().all(|line| !line.contains("E01")), "{lines:?}");
}
