//! The shipped scenarios, and manifests that other people wrote.

use model_api::guarantee::{Guarantee, Promise};
use scenario_format::{Disk, Loaded, Request, Severity, library, load};

use crate::support::{Memory, said};

fn load_shipped(name: &str, manifests: &[String]) -> Loaded {
    let request =
        Request { scenario: name.to_owned(), manifests: manifests.to_vec(), overrides: Vec::new() };
    load(&request, &Disk::default())
}

#[test]
fn every_scenario_resolves_without_a_checkout() {
    let names = library::names();
    assert!(names.len() >= 6, "{names:?}");
    for name in names {
        let request = Request { scenario: name.to_owned(), ..Request::default() };
        let loaded = load(&request, &Memory::default());
        assert!(!loaded.has_errors(), "{name}: {:?}", said(&loaded));
        let resolved = loaded.resolved.expect("no errors");
        assert_eq!(resolved.name, name);
        assert!(!resolved.guarantees.is_empty(), "{name}");
        // What policies keep can be judged without a fault: every disaster is weighed at each moment.
        // So can what starts after a full stop.
        let of_data = |it: &Guarantee| {
            matches!(it.promise, Promise::Data { .. } | Promise::StartsFrom { .. })
        };
        // What network policies deny fails without one, and a load may be a fault by itself.
        let spikes = resolved.blueprint.loads.iter().any(|load| load.points.len() > 1);
        let needs_fault = !resolved.guarantees.iter().all(of_data)
            && resolved.blueprint.denied.is_empty()
            && !spikes;
        assert!(!needs_fault || !resolved.faults.faults.is_empty(), "{name}");
    }
}

#[test]
fn the_production_platform_is_as_described() {
    let blueprint = load_shipped("az-loss", &[]).resolved.expect("valid").blueprint;
    assert_eq!(blueprint.zones.len(), 3);
    assert!(blueprint.zones.iter().all(|zone| zone.jurisdiction == "EU"));
    assert_eq!(blueprint.control_plane.member_zones.len(), 3);
    assert!(blueprint.nodes.iter().filter(|node| !node.is_control_plane).count() >= 9);
    let orders = blueprint.databases.iter().find(|it| it.name == "orders-db").expect("there");
    assert_eq!((orders.instances, orders.synchronous.expect("synchronous").number), (3, 1));
    assert!(orders.operator.is_some());
    for namespace in [
        "kong",
        "harbor",
        "openbao",
        "monitoring",
        "flux-system",
        "cert-manager",
        "kyverno",
        "cnpg-system",
    ] {
        let found = blueprint.workloads.iter().any(|workload| workload.namespace == namespace);
        assert!(found, "nothing runs in {namespace}");
    }
}

#[test]
fn a_path_without_its_extension_is_found() {
    for name in ["az-loss", "az-loss.yaml", "scenarios/library/az-loss"] {
        let files = Memory::default();
        assert_eq!(
            scenario_format::scenario_path(name, &files).as_deref(),
            Some("scenarios/library/az-loss.yaml"),
            "{name}"
        );
    }
}

/// The folder of inputs that is not part of the repository.
fn real_input(name: &str) -> Option<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/real-input");
    if !std::path::Path::new(path).exists() {
        #[expect(clippy::disallowed_methods, reason = "a test may ask whether it runs in CI")]
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "../shared/real-input is absent, and CI must not skip it");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: ../shared/real-input is absent");
        }
        return None;
    }
    Some(format!("{path}/{name}"))
}

#[test]
fn the_documentation_site_is_judged_and_its_mistake_found() {
    let Some(path) = real_input("eidp-docs") else { return };
    let loaded = load_shipped("az-loss", &[path]);
    let says = said(&loaded);
    let found = says.iter().any(|it| it.contains(":42:17: W0103"));
    assert!(found, "the anti-affinity that selects nothing: {says:?}");
    assert!(says.iter().any(|it| it.contains(":37:7: W0111")), "{says:?}");
    let resolved = loaded.resolved.expect("valid");
    let judged = "[platform-documentation/platform-documentation]";
    assert!(resolved.guarantees.iter().any(|it| it.name.ends_with(judged)));
}

#[test]
fn the_boutique_is_judged_at_its_front() {
    let Some(path) = real_input("online-boutique.yaml") else { return };
    let loaded = load_shipped("az-loss", &[path]);
    assert!(loaded.diagnostics.iter().all(|it| it.severity() == Severity::Warning));
    let resolved = loaded.resolved.expect("valid");
    assert!(resolved.guarantees.iter().any(|it| it.name.ends_with("[default/frontend-external]")));
    let blueprint = resolved.blueprint;
    let front = blueprint
        .profiles
        .iter()
        .find(|it| blueprint.service_name(it.service) == "default/frontend-external");
    assert_eq!(front.expect("has a profile").depends_on.len(), 7);
}
