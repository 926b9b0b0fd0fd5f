//! `--set`.

use crate::support::{load_all, said, web};

fn blueprint(overrides: &[&str]) -> model_api::Blueprint {
    let loaded = load_all(&web(""), &["web.yaml"], overrides);
    assert_eq!(said(&loaded), Vec::<String>::new(), "{overrides:?}");
    loaded.resolved.expect("valid").blueprint
}

#[test]
fn values_of_every_shape_arrive() {
    assert_eq!(blueprint(&["deployment/shop/web:spec.replicas=5"]).workloads[0].replicas, 5);
    assert_eq!(blueprint(&["Deployment/web:spec.replicas=5"]).workloads[0].replicas, 5);
    assert_eq!(blueprint(&["deploy/web:spec.replicas=5"]).workloads[0].replicas, 5);
    let cpu = "deployment/web:spec.template.spec.containers[0].resources.requests.cpu=250m";
    let found = blueprint(&[cpu]);
    assert_eq!(found.workloads[0].template.spec.containers[0].requests.cpu_millis(), Some(250));
    let by_name = "deployment/web:spec.template.spec.containers[web].resources.limits={cpu: 1}";
    let found = blueprint(&[by_name]);
    assert_eq!(found.workloads[0].template.spec.containers[0].limits.cpu_millis(), Some(1000));
    let key = "deployment/web:spec.template.metadata.annotations[example.com/a=b.c]=x";
    assert_eq!(blueprint(&[key]).workloads[0].template.annotations["example.com/a=b.c"], "x");
    let nodes = blueprint(&["platform:spec.nodePools[worker].countPerZone=3"]).nodes;
    assert_eq!(nodes.len(), 9);
    let loaded = load_all(&web(""), &["web.yaml"], &["scenario:spec.horizon=30m"]);
    assert_eq!(loaded.resolved.expect("valid").horizon, model_api::SimSpan::from_mins(30));
}

#[test]
fn a_soft_host_spread_becomes_a_hard_zone_spread() {
    use model_api::kube::UnsatisfiableAction::{DoNotSchedule, ScheduleAnyway};
    let base = "deployment/shop/web:spec.template.spec.topologySpreadConstraints";
    let soft = format!(
        "{base}[0]={{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {{matchLabels: {{app: web}}}}}}"
    );
    let loaded = load_all(&web(""), &["web.yaml"], &[&soft]);
    let found = loaded.resolved.expect("valid").blueprint;
    let constraint = &found.workloads[0].template.spec.topology_spread_constraints[0];
    assert_eq!(constraint.when_unsatisfiable, ScheduleAnyway);
    // The place of the new value is the override, of what is around it still the manifest.
    let origin = &found.workloads[0].origin;
    let key = origin.of("spec.template.spec.topologySpreadConstraints[0].topologyKey");
    assert_eq!(found.files[key.file_idx as usize], "--set");
    assert_eq!(key.column, 82);
    let replicas = origin.of("spec.replicas");
    assert_eq!(found.files[replicas.file_idx as usize], "web.yaml");

    let hard = [
        format!("{base}[0].topologyKey=topology.kubernetes.io/zone"),
        format!("{base}[0].whenUnsatisfiable=DoNotSchedule"),
    ];
    let found = blueprint(&[&soft, &hard[0], &hard[1]]);
    let constraint = &found.workloads[0].template.spec.topology_spread_constraints[0];
    assert_eq!(constraint.when_unsatisfiable, DoNotSchedule);
    assert_eq!(constraint.topology_key, "topology.kubernetes.io/zone");
    let none = load_all(&web(""), &["web.yaml"], &[&format!("{base}=null")]);
    let found = none.resolved.expect("valid").blueprint;
    assert!(found.workloads[0].template.spec.topology_spread_constraints.is_empty());
}

#[test]
fn an_override_without_a_target_is_an_error_at_its_place() {
    let cases = [
        ("spec.replicas=3", "--set:1:1: E0025: there is no `:`"),
        ("deployment/web:spec.replicas", "--set:1:16: E0025: there is no `=`"),
        ("a/b/c/d:spec=1", "--set:1:1: E0025: this names no object"),
        ("/web:spec=1", "--set:1:1: E0025: this names no object"),
        ("platform/p:spec.zones=1", "--set:1:1: E0025: a platform is named by its kind alone"),
        ("Scenario/h3:spec.runs=1", "--set:1:1: E0025: a scenario is named by its kind alone"),
        ("deployment/web:=1", "--set:1:16: E0025: there is no path"),
        ("deployment/web:spec..replicas=1", "--set:1:21: E0025: a key is missing"),
        ("deployment/web:spec.x[=1", "--set:1:16: E0025: there is no `=`"),
        ("deployment/web:spec.x[]=1", "--set:1:22: E0025: this bracket is empty"),
        (
            "deployment/shop/wep:spec.replicas=3",
            "--set:1:1: E0025: there is no object `deployment/shop/wep`",
        ),
        (
            "deployment/web:spec.template.spec.containers[5].name=x",
            "--set:1:46: E0025: there is no item `5` among the 1",
        ),
        (
            "deployment/web:spec.template.spec.containers[wep].name=x",
            "--set:1:46: E0025: there is no item `wep`",
        ),
        ("deployment/web:spec.replicas.more=x", "--set:1:30: E0025: `more` cannot be set here"),
        (
            "deployment/web:spec.replica=x",
            "--set:1:21: E0023: Deployment shop/web: there is no field `replica`",
        ),
        ("deployment/web:spec.replicas=x", "--set:1:30: E0022"),
        ("deployment/web:spec.replicas=[1", "--set:1:30: E0025: this is not YAML"),
        ("deployment/web:spec.replicas=-3", "--set:1:30: E0022"),
        ("platform:spec.zones[7].name=x", "--set:1:21: E0025"),
    ];
    for (text, expected) in cases {
        let loaded = load_all(&web(""), &["web.yaml"], &[text]);
        let says = said(&loaded);
        assert!(says.iter().any(|it| it.starts_with(expected)), "{text}: {says:?}");
        assert!(loaded.resolved.is_none(), "{text}");
    }
}
