//! Policies beside a gateway, a Service and what it calls, and the connections that they deny.

use crate::support::{Memory, PLATFORM, load_all, said, scenario};

/// `edge/gateway` passes requests on to `shop/web`, which calls `data/api` and writes to `data/db`.
fn codes(policies: &str) -> Vec<String> {
    let services =
        "  services:\n    - {service: shop/web, dependsOn: [data/api], writesTo: [data/db]}\n";
    let load = "  load: [{service: shop/web, via: edge/gateway, rate: 1}]\n";
    let mut manifests = String::new();
    for (namespace, name) in [("edge", "gateway"), ("shop", "web"), ("data", "api")] {
        manifests.push_str(&workload(namespace, name));
    }
    manifests.push_str(
        "---\napiVersion: postgresql.cnpg.io/v1\nkind: Cluster\nmetadata: {name: db, namespace: data}\n\
         spec: {instances: 3, storage: {size: 1Gi}, topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {cnpg.io/cluster: db}}}]}\n",
    );
    let files = Memory::default()
        .with("s.yaml", scenario(load))
        .with("small.yaml", format!("{PLATFORM}{services}"))
        .with("m.yaml", format!("{manifests}{policies}"));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let of_network = ["W015", "E00"];
    let lines = said(&loaded).into_iter();
    let codes = lines.map(|line| line.split(": ").nth(1).unwrap_or_default().to_owned());
    codes.filter(|code| of_network.iter().any(|it| code.starts_with(it))).collect()
}

fn workload(namespace: &str, name: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  replicas: 2\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    \
         spec:\n      containers:\n        - name: {name}\n          image: {name}:1\n          ports: [{{name: http, containerPort: 8080}}]\n          \
         resources: {{requests: {{cpu: 100m}}}}\n\
         ---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: http}}]}}\n"
    )
}

fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: p{}, namespace: {namespace}}}\nspec: {{{spec}}}\n",
        spec.len()
    )
}

const DNS: &str = "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}], ports: [{protocol: UDP, port: 53}]}";

/// Each row: a namespace, the spec of a policy in it, and what is said about it.
#[test]
fn what_one_policy_denies() {
    let web = "podSelector: {matchLabels: {app: web}}";
    let api = "podSelector: {matchLabels: {app: api}}";
    let db = "podSelector: {matchLabels: {cnpg.io/cluster: db}}";
    let from_edge = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}";
    let from_shop = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}";
    let to_data = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}";
    let denied: &[&str] = &["W0150"];
    let open: &[&str] = &[];
    let rows: Vec<(&str, String, &[&str])> = vec![
        // Ingress: who, and from where.
        ("shop", format!("{web}, ingress: []"), denied),
        (
            "shop",
            format!("{web}, policyTypes: [Egress], ingress: []"),
            &["W0150", "W0150", "W0151"],
        ),
        ("shop", format!("{web}, ingress: [{{from: [{{podSelector: {{}}}}]}}]"), denied),
        ("shop", format!("{web}, ingress: [{{from: [{{{from_edge}}}]}}]"), open),
        ("shop", format!("{web}, ingress: [{{from: [{{{from_shop}}}, {{{from_edge}}}]}}]"), open),
        // Both selectors of one entry must match, those of two entries add up.
        (
            "shop",
            format!(
                "{web}, ingress: [{{from: [{{{from_edge}, podSelector: {{matchLabels: {{app: x}}}}}}]}}]"
            ),
            denied,
        ),
        (
            "shop",
            format!(
                "{web}, ingress: [{{from: [{{{from_edge}}}, {{podSelector: {{matchLabels: {{app: x}}}}}}]}}]"
            ),
            open,
        ),
        // A policy for pods that are somebody else's, and one of another namespace.
        ("shop", "podSelector: {matchLabels: {app: other}}, ingress: []".to_owned(), open),
        ("edge", format!("{web}, ingress: []"), open),
        ("shop", format!("{web}, ingress: [{{}}]"), &["W0152"]),
        // Ports: of the pod, not of the Service; by number, by name, in a range; TCP unless said.
        ("shop", format!("{web}, ingress: [{{ports: [{{port: 8080}}]}}]"), open),
        ("shop", format!("{web}, ingress: [{{ports: [{{port: 80}}]}}]"), denied),
        ("shop", format!("{web}, ingress: [{{ports: [{{port: http}}]}}]"), open),
        ("shop", format!("{web}, ingress: [{{ports: [{{port: https}}]}}]"), denied),
        ("shop", format!("{web}, ingress: [{{ports: [{{port: 8000, endPort: 8080}}]}}]"), open),
        ("shop", format!("{web}, ingress: [{{ports: [{{port: 8000, endPort: 8079}}]}}]"), denied),
        ("shop", format!("{web}, ingress: [{{ports: [{{protocol: UDP, port: 8080}}]}}]"), denied),
        ("shop", format!("{web}, ingress: [{{ports: [{{protocol: TCP}}]}}]"), open),
        // Clients from outside come from any block and are no pods.
        (
            "edge",
            "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]".to_owned(),
            denied,
        ),
        (
            "edge",
            "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]".to_owned(),
            open,
        ),
        (
            "edge",
            "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]".to_owned(),
            open,
        ),
        // A block may hold the pods' network only when it is private and large.
        ("data", format!("{api}, ingress: [{{from: [{{ipBlock: {{cidr: 10.0.0.0/8}}}}]}}]"), open),
        (
            "data",
            format!("{api}, ingress: [{{from: [{{ipBlock: {{cidr: 10.1.2.3/32}}}}]}}]"),
            denied,
        ),
        (
            "data",
            format!("{api}, ingress: [{{from: [{{ipBlock: {{cidr: 203.0.0.0/16}}}}]}}]"),
            denied,
        ),
        (
            "data",
            format!("{db}, ingress: [{{from: [{{{from_shop}}}], ports: [{{port: 5432}}]}}]"),
            open,
        ),
        (
            "data",
            format!("{db}, ingress: [{{from: [{{{from_shop}}}], ports: [{{port: 9187}}]}}]"),
            denied,
        ),
        // Egress, with DNS and without.
        (
            "shop",
            format!("{web}, egress: [{{to: [{{{to_data}}}]}}, {DNS}], policyTypes: [Egress]"),
            open,
        ),
        (
            "shop",
            format!("{web}, egress: [{{to: [{{{to_data}}}]}}], policyTypes: [Egress]"),
            &["W0151"],
        ),
        (
            "shop",
            format!(
                "{web}, egress: [{{to: [{{{to_data}}}], ports: [{{port: 8080}}]}}, {DNS}], policyTypes: [Egress]"
            ),
            denied,
        ),
        // Egress rules alone still restrict ingress, unless policyTypes says otherwise.
        ("shop", format!("{web}, egress: [{{to: [{{{to_data}}}]}}, {DNS}]"), denied),
    ];
    for (namespace, spec, expected) in rows {
        assert_eq!(codes(&policy(namespace, &spec)), expected, "{namespace}: {spec}");
    }
}

#[test]
fn policies_add_up() {
    let web = "podSelector: {matchLabels: {app: web}}";
    let deny = policy("shop", "podSelector: {}, ingress: []");
    let allow = policy(
        "shop",
        &format!(
            "{web}, ingress: [{{from: [{{namespaceSelector: {{}}}}], ports: [{{port: http}}]}}]"
        ),
    );
    assert_eq!(codes(&deny), ["W0150"]);
    assert_eq!(codes(&format!("{deny}{allow}")), [] as [&str; 0]);
}

#[test]
fn what_the_api_would_refuse() {
    let rows = [
        "podSelector: {}, ingress: [{from: [{}]}]",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/33}}]}]",
        "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}]",
        "podSelector: {}, ingress: [{ports: [{endPort: 80}]}]",
        "podSelector: {}, ingress: [{ports: [{port: http, endPort: 80}]}]",
        "podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]",
        "podSelector: {}, ingress: [{ports: [{port: 80, protocol: HTTP}]}]",
        "podSelector: {}, policyTypes: [Ingres]",
    ];
    for spec in rows {
        let codes = codes(&policy("shop", spec));
        assert!(codes.contains(&"E0022".to_owned()), "{spec}: {codes:?}");
    }
}

/// Clients that nobody states a gateway for: of a Service of this type, with this policy.
fn direct(kind: &str, spec: &str) -> Vec<String> {
    let text = workload("shop", "web")
        .replace("ports: [{port: 80", &format!("type: {kind}, ports: [{{port: 80"));
    let files = Memory::default()
        .with("s.yaml", scenario("  load: [{service: shop/web, rate: 1}]\n"))
        .with("small.yaml", PLATFORM)
        .with("m.yaml", format!("{text}{}", policy("shop", spec)));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let lines = said(&loaded).into_iter().filter(|line| line.contains("W0150"));
    let denied = loaded.resolved.as_ref().map_or(0, |it| it.blueprint.denied.len());
    let lines: Vec<String> = lines.collect();
    assert_eq!(lines.len(), denied, "what is said and what is lost are the same");
    lines
}

#[test]
fn clients_without_a_gateway_are_denied_too() {
    let all = "podSelector: {}, policyTypes: [Ingress]";
    let pods = "podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]";
    let blocks = "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]";
    for kind in ["NodePort", "LoadBalancer"] {
        assert_eq!(direct(kind, all).len(), 1, "{kind}");
        assert!(direct(kind, all)[0].contains("clients from outside"));
        assert_eq!(direct(kind, pods).len(), 1, "{kind}");
        assert_eq!(direct(kind, blocks).len(), 0, "{kind}");
    }
    // Who asks a Service of the cluster is a pod or a gateway that nobody states.
    assert_eq!(direct("ClusterIP", all).len(), 1);
    assert_eq!(direct("ClusterIP", pods).len(), 0);
}
