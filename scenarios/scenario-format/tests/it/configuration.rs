//! Secrets and ConfigMaps that pods name, and who has or makes them.

use crate::support::{WEB, load_all, said, web};

/// What the pods of the web name, besides nothing.
const NAMED: &str = "
      volumes:
        - {name: a, secret: {secretName: session}}
        - {name: b, configMap: {name: settings, optional: true}}
        - {name: c, projected: {sources: [{configMap: {name: kube-root-ca.crt}}]}}
      initContainers:
        - {name: i, image: i, envFrom: [{configMapRef: {name: early}}]}";

/// Warnings with this number, for the web with `named` and other objects beside it.
fn warnings(code: &str, named: &str, others: &str) -> Vec<String> {
    let manifest = WEB.replace("      containers:\n", &format!("{named}\n      containers:\n"));
    assert!(manifest.contains(named));
    let files = web("").with("web.yaml", manifest).with("others.yaml", others);
    let lines = said(&load_all(&files, &["web.yaml", "others.yaml"], &[]));
    lines.into_iter().filter(|line| line.contains(code)).collect()
}

/// An object of the namespace `shop`.
fn object(api: &str, kind: &str, name: &str, more: &str) -> String {
    format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n{more}\n---\n"
    )
}

#[test]
fn what_nobody_has_or_makes_is_named_once_a_workload() {
    let found = warnings("W0400", NAMED, &object("v1", "Secret", "other", "data: {a: aaaa}"));
    assert_eq!(found.len(), 1, "{found:?}");
    let text = "Deployment shop/web: ConfigMap `early` and Secret `session` are not in the input";
    assert!(found[0].contains(text) && found[0].starts_with("web.yaml:"), "{found:?}");
}

#[test]
fn what_something_makes_is_there() {
    let early = object("v1", "ConfigMap", "early", "data: {a: b}");
    let makers = [
        object("v1", "Secret", "session", "stringData: {a: b}"),
        object("bitnami.com/v1alpha1", "SealedSecret", "session", "spec: {}"),
        object("cert-manager.io/v1", "Certificate", "any", "spec: {secretName: session}"),
        object(
            "external-secrets.io/v1",
            "ExternalSecret",
            "any",
            "spec: {target: {name: session}, secretStoreRef: {name: s}}",
        ),
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: any, namespace: shop, \
         annotations: {cert-manager.io/issuer: le}}\nspec: {tls: [{secretName: session}]}\n"
            .to_owned(),
        object(
            "batch/v1",
            "Job",
            "certgen",
            "spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: c, \
             args: [create, --secret-name=session]}]}}}",
        ),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: session, namespace: vault, annotations: \
         {reflector.v1.k8s.emberstack.com/reflection-auto-enabled: 'true'}}\n"
            .to_owned(),
    ];
    for maker in makers {
        let found = warnings("W0400", NAMED, &format!("{early}{maker}"));
        assert!(found.is_empty(), "{maker}: {found:?}");
    }
    let elsewhere = "apiVersion: v1\nkind: Secret\nmetadata: {name: session, namespace: other}\n";
    assert_eq!(warnings("W0400", NAMED, &format!("{early}{elsewhere}")).len(), 1);
}

#[test]
fn secrets_of_databases_are_made_by_their_operators() {
    let named =
        |name: &str| format!("      volumes: [{{name: a, secret: {{secretName: {name}}}}}]");
    let cluster = object(
        "postgresql.cnpg.io/v1",
        "Cluster",
        "db",
        "spec: {instances: 1, storage: {size: 1Gi}}",
    );
    for (name, is_made) in [("db-app", true), ("db-superuser", true), ("db-owner", false)] {
        let found = warnings("W0400", &named(name), &cluster);
        assert_eq!(found.is_empty(), is_made, "{name}: {found:?}");
    }
    let more =
        "spec: {teamId: a, numberOfInstances: 1, volume: {size: 1Gi}, postgresql: {version: '17'}}";
    let zalando = object("acid.zalan.do/v1", "postgresql", "db", more);
    for (role, is_made) in [("app.db", true), ("app.other", false)] {
        let name = format!("{role}.credentials.postgresql.acid.zalan.do");
        assert_eq!(warnings("W0400", &named(&name), &zalando).is_empty(), is_made, "{role}");
    }
}

#[test]
fn a_key_that_is_not_there_is_found() {
    let secret = object("v1", "Secret", "session", "data: {token: aaaa, salt: aaaa}");
    let rows = [
        ("items: [{key: token, path: t}]", false),
        ("items: [{key: tokn, path: t}]", true),
        ("items: [{key: tokn, path: t}], optional: true", false),
        ("defaultMode: 256", false),
    ];
    for (more, is_odd) in rows {
        let named =
            format!("      volumes: [{{name: a, secret: {{secretName: session, {more}}}}}]");
        let found = warnings("W0401", &named, &secret);
        assert_eq!(!found.is_empty(), is_odd, "{more}: {found:?}");
        assert!(found.iter().all(|it| it.contains("Secret shop/session has no key `tokn`")));
    }
    // One whose data was left out.
    let named =
        "      volumes: [{name: a, secret: {secretName: session, items: [{key: x, path: x}]}}]";
    assert!(warnings("W0401", named, &object("v1", "Secret", "session", "")).is_empty());
}
