//! Endpoints of pods, hints, and the choice of a proxy.

use model_api::ZoneId;
use model_api::kube::TrafficDistribution;

use crate::case::Case;
use crate::object;
use crate::tree::Tree;
use model_kube::endpoints::{
    Conditions, Endpoint, Hints, PodView, conditions, for_cluster_traffic, for_local_traffic, hints,
};

pub(super) fn check(case: &mut Case<'_>) -> Option<()> {
    match case.operation() {
        "podToEndpoint" => check_endpoint(case)?,
        "shouldPodBeInEndpoints" => {
            let pods = case.objects("Pod");
            let view = view(*pods.first()?);
            let with_terminating = case.given.at("includeTerminating").is_true();
            let got =
                conditions(&view, false).is_some() && (with_terminating || !view.is_terminating);
            case.compare("included", case.expect.at("included").is_true(), got);
        }
        "reconcileHints" => check_hints(case)?,
        "categorizeEndpoints" => check_choice(case)?,
        _ => return None,
    }
    Some(())
}

/// The endpoint that a pod gives, with what it takes over from pod, node and Service as it stands
/// there (`podToEndpoint`).
fn check_endpoint(case: &mut Case<'_>) -> Option<()> {
    let pods = case.objects("Pod");
    let pod = *pods.first()?;
    let services = case.objects("Service");
    let service = services.first().copied().unwrap_or(Tree::NULL);
    let got = conditions(&view(pod), service.at("spec.publishNotReadyAddresses").is_true());
    let read = |tree: Tree<'_>| Some(conditions_of(tree));
    case.compare_if_given("endpoint.conditions", read, got);
    let is_six = service.at("spec.ipFamilies").items().next().is_some_and(|it| it.text() == "IPv6");
    let addresses: Vec<String> =
        pod.at("status.podIPs").items().map(|it| object::text(it, "ip")).collect();
    let of_family = addresses.into_iter().filter(|it| it.contains(':') == is_six).collect();
    case.compare_if_given("endpoint.addresses", Tree::texts, of_family);
    let nodes = case.objects("Node");
    let node_name = pod.at("spec.nodeName").text();
    let node = nodes.iter().find(|node| object::name(**node) == node_name);
    let is_named = pod.at("spec.subdomain").text() == service.at("metadata.name").text();
    let hostname = pod.at("spec.hostname").text();
    let texts = [
        ("endpoint.nodeName", node_name),
        ("endpoint.zone", node.and_then(|node| zone_label(*node)).unwrap_or_default()),
        ("endpoint.hostname", if is_named { hostname } else { "" }),
        ("endpoint.targetRef.name", pod.at("metadata.name").text()),
        ("endpoint.targetRef.namespace", pod.at("metadata.namespace").text()),
        ("endpoint.targetRef.uid", pod.at("metadata.uid").text()),
    ];
    for (name, got) in texts {
        case.compare_if_given(name, Tree::text, got);
    }
    Some(())
}

fn view(pod: Tree<'_>) -> PodView {
    PodView {
        has_address: !pod.at("status.podIP").text().is_empty()
            || pod.at("status.podIPs").items().len() > 0,
        is_finished: object::is_finished(pod),
        is_ready: object::is_ready(pod),
        is_terminating: object::is_terminating(pod),
    }
}

fn conditions_of(tree: Tree<'_>) -> Conditions {
    Conditions {
        is_ready: tree.at("ready").is_true(),
        is_serving: tree.at("serving").is_true(),
        is_terminating: tree.at("terminating").is_true(),
    }
}

/// A proxy takes conditions that nobody stated for good ones (`pkg/proxy/endpointslicecache.go`).
fn seen_by_proxy(tree: Tree<'_>) -> Conditions {
    Conditions {
        is_ready: tree.at("ready").bool() != Some(false),
        is_serving: tree.at("serving").bool() != Some(false),
        is_terminating: tree.at("terminating").is_true(),
    }
}

/// Zones by name: their place among those that the case names.
struct Zones(Vec<String>);

impl Zones {
    fn id(&mut self, name: &str) -> ZoneId {
        let found = self.0.iter().position(|known| known == name);
        ZoneId::from_index(found.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        }))
    }

    fn name(&self, id: ZoneId) -> &str {
        &self.0[id.index()]
    }
}

fn zone_label<'a>(node: Tree<'a>) -> Option<&'a str> {
    let zone = node.at("metadata.labels").field("topology.kubernetes.io/zone").text();
    (!zone.is_empty()).then_some(zone)
}

fn names(tree: Tree<'_>) -> Vec<String> {
    tree.items().map(|it| it.at("name").text().to_owned()).collect()
}

fn check_hints(case: &mut Case<'_>) -> Option<()> {
    let services = case.objects("Service");
    let distribution = match services.first()?.at("spec.trafficDistribution").text() {
        "PreferClose" | "PreferSameZone" => TrafficDistribution::PreferSameZone,
        "PreferSameNode" => TrafficDistribution::PreferSameNode,
        _ => TrafficDistribution::None,
    };
    let mut zones = Zones(Vec::new());
    let mut got = Vec::new();
    for endpoint in case.objects("EndpointSlice").iter().flat_map(|it| it.at("endpoints").items()) {
        let zone = endpoint.at("zone").text();
        let zone = (!zone.is_empty()).then(|| zones.id(zone));
        let node = Some(endpoint.at("nodeName").text().to_owned()).filter(|it| !it.is_empty());
        let conditions = conditions_of(endpoint.at("conditions"));
        let address = endpoint.at("addresses").texts().concat();
        // The heuristic passes over endpoints that are not ready: what they had stays.
        if !conditions.is_ready && distribution != TrafficDistribution::None {
            let kept = (names(endpoint.at("hints.forZones")), names(endpoint.at("hints.forNodes")));
            got.push((address, kept));
            continue;
        }
        let hints = hints(distribution, conditions, zone, node);
        let zones = hints.for_zones.iter().map(|zone| zones.name(*zone).to_owned()).collect();
        got.push((address, (zones, hints.for_nodes)));
    }
    let expected: Vec<_> = case
        .expect
        .at("hints")
        .items()
        .map(|it| {
            let hints = (names(it.at("hints.forZones")), names(it.at("hints.forNodes")));
            (it.at("address").text().to_owned(), hints)
        })
        .collect();
    case.compare("hints", expected, got);
    Some(())
}

fn check_choice(case: &mut Case<'_>) -> Option<()> {
    let services = case.objects("Service");
    let service = services.first()?;
    let proxy_node = case.given.at("proxyNode").text().to_owned();
    let mut zones = Zones(Vec::new());
    let (mut endpoints, mut addresses) = (Vec::new(), Vec::new());
    for endpoint in case.objects("EndpointSlice").iter().flat_map(|it| it.at("endpoints").items()) {
        let hinted = |path: &str| endpoint.at(path).items();
        let for_zones = hinted("hints.forZones").map(|it| zones.id(it.at("name").text())).collect();
        let for_nodes =
            hinted("hints.forNodes").map(|it| it.at("name").text().to_owned()).collect();
        addresses.push(endpoint.at("addresses").texts().concat());
        endpoints.push(Endpoint {
            conditions: seen_by_proxy(endpoint.at("conditions")),
            node: endpoint.at("nodeName").text().to_owned(),
            hints: Hints { for_zones, for_nodes },
        });
    }
    let nodes = case.objects("Node");
    let node = nodes.iter().find(|node| object::name(**node) == proxy_node);
    let zone = node.and_then(|node| zone_label(*node)).map(|zone| zones.id(zone));
    let is_external = matches!(service.at("spec.type").text(), "NodePort" | "LoadBalancer")
        || service.at("spec.externalIPs").items().len() > 0;
    let internal_is_local = service.at("spec.internalTrafficPolicy").text() == "Local";
    let external_is_local =
        is_external && service.at("spec.externalTrafficPolicy").text() == "Local";
    // Cluster endpoints serve whatever is not Local, and all traffic from inside the cluster to an
    // external address.
    let uses_cluster = !internal_is_local || is_external;
    let uses_local = internal_is_local || external_is_local;
    let sorted = |positions: Vec<usize>| {
        let mut chosen: Vec<String> =
            positions.into_iter().map(|at| addresses[at].clone()).collect();
        chosen.sort();
        chosen
    };
    let cluster = uses_cluster.then(|| sorted(for_cluster_traffic(&endpoints, &proxy_node, zone)));
    let local = uses_local.then(|| sorted(for_local_traffic(&endpoints, &proxy_node)));
    let mut all: Vec<String> =
        [cluster.clone(), local.clone()].into_iter().flatten().flatten().collect();
    all.sort();
    all.dedup();
    let read = |tree: Tree<'_>| {
        tree.is_given().then(|| {
            let mut texts = tree.texts();
            texts.sort();
            texts
        })
    };
    case.compare("clusterEndpoints", read(case.expect.at("clusterEndpoints")), cluster);
    case.compare("localEndpoints", read(case.expect.at("localEndpoints")), local);
    case.compare("allEndpoints", read(case.expect.at("allEndpoints")), Some(all));
    Some(())
}
