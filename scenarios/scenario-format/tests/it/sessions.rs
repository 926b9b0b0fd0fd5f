//! Clients that stay with a pod: what manifests and loads say of them, what is refused and warned of.

use model_api::path::Balancing;
use model_api::session::{HashInput, Sessions, Stickiness};
use model_api::{Blueprint, SimSpan};

use crate::support::{Memory, PLATFORM, WEB, load_all, said, scenario};

/// A gateway before the shop.
const EDGE: &str = "---
apiVersion: v1
kind: Service
metadata: {name: edge, namespace: shop}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 443}]}
";

const LOAD: &str = "  load: [{service: shop/web, via: shop/edge, rate: 10, sessions: {count: 900, lasts: 30m, skew: 1.5}}]\n";
const DIRECT: &str = "  load: [{service: shop/web, rate: 10}]\n";

/// What is read, and the codes of what is said, of a Service with these annotations and this in its
/// `spec`, beside these objects; and the load, where a service profile is stated too.
fn read(
    (annotations, spec): (&str, &str),
    objects: &str,
    load: &str,
    profile: &str,
) -> (Option<Blueprint>, Vec<String>) {
    let header = "kind: Service\nmetadata: {name: web, namespace: shop";
    let body = "spec:\n  selector: {app: web}\n  ports";
    assert!(WEB.contains(header) && WEB.contains(body), "{WEB}");
    let web = WEB
        .replacen(header, &format!("{header}, annotations: {{{annotations}}}"), 1)
        .replacen(body, &body.replacen("spec:\n", &format!("spec:\n{spec}"), 1), 1);
    let platform = format!("{PLATFORM}  services: [{{service: shop/web{profile}}}]\n");
    let files = Memory::default()
        .with("s.yaml", scenario(load))
        .with("small.yaml", platform)
        .with("m.yaml", format!("{web}{EDGE}{objects}"));
    let loaded = load_all(&files, &["m.yaml"], &[]);
    let code = |line: String| line.split(": ").nth(1).unwrap_or_default().to_owned();
    let is_ours = |code: &String| {
        let ours = ["E0022", "E0109", "E011", "W032", "E0016"];
        ours.iter().any(|prefix| code.starts_with(prefix))
    };
    let codes = said(&loaded).into_iter().map(code).filter(is_ours).collect();
    (loaded.resolved.map(|it| it.blueprint), codes)
}

fn policy(spec: &str) -> String {
    format!(
        "---\napiVersion: configuration.konghq.com/v1beta1\nkind: KongUpstreamPolicy\n\
         metadata: {{name: p, namespace: shop}}\nspec: {{{spec}}}\n"
    )
}

fn ingress(upstream: &str) -> String {
    format!(
        "---\napiVersion: configuration.konghq.com/v1\nkind: KongIngress\n\
         metadata: {{name: p, namespace: shop}}\nupstream: {{{upstream}}}\n"
    )
}

const POLICY: &str = "konghq.com/upstream-policy: p";
const OVERRIDE: &str = "konghq.com/override: p";

#[test]
fn what_keeps_clients_is_read_from_services_policies_and_ingresses() {
    let hashed = |by, fallback, slots| Some(Stickiness::Hashed { by, fallback, slots });
    let (address, cookie, consumer) =
        (Some(HashInput::Address), Some(HashInput::Cookie), Some(HashInput::Consumer));
    for (annotations, objects, wanted) in [
        (POLICY, policy("algorithm: sticky-sessions"), Some(Stickiness::Named)),
        (
            POLICY,
            policy("algorithm: consistent-hashing, hashOn: {cookie: id, cookiePath: /}"),
            hashed(cookie, None, 10_000),
        ),
        (
            POLICY,
            policy(
                "algorithm: consistent-hashing, slots: 1000, hashOn: {input: consumer}, hashOnFallback: {input: ip}",
            ),
            hashed(consumer, address, 1_000),
        ),
        (POLICY, policy("algorithm: least-connections"), None),
        (OVERRIDE, ingress("hash_on: ip"), hashed(address, None, 10_000)),
        (OVERRIDE, ingress("hash_on: none"), None),
    ] {
        let (blueprint, codes) = read((annotations, ""), &objects, LOAD, "");
        assert_eq!(codes, Vec::<String>::new(), "{objects}");
        let blueprint = blueprint.expect("it is read");
        let found = blueprint.stickies.first().map(|it| it.stickiness);
        assert_eq!(found, wanted, "{objects}");
        let sessions =
            Sessions { count: Some(900), lasts: Some(SimSpan::from_mins(30)), skew_milli: 1500 };
        assert_eq!(blueprint.loads[0].clients.sessions, sessions);
    }
    for (spec, secs) in [
        ("  sessionAffinity: ClientIP\n", Some(10_800)),
        (
            "  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n",
            Some(60),
        ),
        ("  sessionAffinity: None\n", None),
    ] {
        let (blueprint, codes) = read(("note: it", spec), "", DIRECT, "");
        assert_eq!(codes, Vec::<String>::new(), "{spec}");
        let blueprint = blueprint.expect("it is read");
        let web = blueprint.services.iter().find(|it| it.name == "web").expect("it is there");
        assert_eq!(web.session_affinity, secs.map(SimSpan::from_secs), "{spec}");
    }
}

#[test]
fn how_pods_are_chosen_is_read_from_services_policies_and_ingresses() {
    let least = policy("algorithm: least-connections");
    for (annotations, objects, profile, wanted) in [
        ("note: it", String::new(), "", Balancing::Random),
        ("note: it", String::new(), ", balancing: shared", Balancing::Shared),
        (POLICY, least.clone(), "", Balancing::LeastRequests),
        (POLICY, least, ", balancing: roundRobin", Balancing::RoundRobin),
        (POLICY, policy("algorithm: round-robin"), "", Balancing::RoundRobin),
        (POLICY, policy("algorithm: latency"), "", Balancing::Random),
        (OVERRIDE, ingress("algorithm: round-robin"), "", Balancing::RoundRobin),
    ] {
        let (blueprint, codes) = read((annotations, ""), &objects, LOAD, profile);
        assert_eq!(codes, Vec::<String>::new(), "{objects}");
        let blueprint = blueprint.expect("it is read");
        let web = blueprint.loads[0].service;
        let profile = blueprint.profiles.iter().find(|it| it.service == web);
        let found = profile.map(|it| it.serving.balancing);
        assert_eq!(found, Some(wanted), "{objects} {profile:?}");
    }
}

#[test]
fn what_nobody_can_mean_is_refused_and_what_does_nothing_is_told() {
    let hash = "algorithm: consistent-hashing, hashOn: ";
    let sticky = "  sessionAffinity: ClientIP\n";
    let none = ("note: it", "");
    let kept = ("note: it", sticky);
    let by_policy = (POLICY, "");
    let upstream = ("ingress.kubernetes.io/service-upstream: \"true\"", sticky);
    let in_pods = ", sessionState: inPods";
    let load = |sessions: &str| LOAD.replacen("{count: 900, lasts: 30m, skew: 1.5}", sessions, 1);
    for (service, objects, load, profile, code) in [
        (none, String::new(), load("{count: 0}"), "", "E0109"),
        (none, String::new(), load("{count: 10, lasts: 0s}"), "", "E0109"),
        (none, String::new(), load("{count: 10, skew: 5}"), "", "E0109"),
        (none, String::new(), load("{skew: 1}"), "", "E0109"),
        (by_policy, policy("algorithm: consistent-hash"), LOAD.into(), "", "E0110"),
        (by_policy, policy("hashOn: {input: ip}"), LOAD.into(), "", "E0110"),
        (by_policy, policy(&format!("{hash}{{input: adress}}")), LOAD.into(), "", "E0110"),
        (by_policy, policy(&format!("slots: 5, {hash}{{input: ip}}")), LOAD.into(), "", "E0110"),
        (by_policy, policy("algorithm: sticky-sessions"), load("{lasts: 1h}"), in_pods, "E0111"),
        (by_policy, policy(&format!("{hash}{{input: path}}")), LOAD.into(), "", "W0322"),
        (by_policy, policy(&format!("{hash}{{input: consumer}}")), LOAD.into(), "", "W0323"),
        (by_policy, policy("algorithm: consistent-hashing"), LOAD.into(), "", "W0323"),
        (none, String::new(), LOAD.into(), in_pods, "W0324"),
        (kept, String::new(), LOAD.into(), "", "W0320"),
        (upstream, String::new(), LOAD.into(), "", "W0321"),
        (("note: it", "  sessionAffinity: Client\n"), String::new(), DIRECT.into(), "", "E0022"),
        (
            (
                "note: it",
                "  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}\n",
            ),
            String::new(),
            DIRECT.into(),
            "",
            "E0022",
        ),
    ] {
        let codes = read(service, &objects, &load, profile).1;
        assert_eq!(codes, [code], "{service:?} {objects} {load} {profile}");
    }
}
