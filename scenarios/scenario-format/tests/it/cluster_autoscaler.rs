//! Flags of the cluster autoscaler: those of the Platform, of its Deployment and of its ConfigMap.

use model_api::SimSpan;
use model_api::machines::{ClusterAutoscaler, ExpanderKind};
use scenario_format::Loaded;

use crate::support::{PLATFORM, load_all, said, web};

/// Loads a platform with a pool that grows, an autoscaler with these arguments, and more manifests.
fn loaded(platform: &str, args: &str, more: &str) -> Loaded {
    let grows =
        "autoscaling: {minPerZone: 0, maxPerZone: 3, bootTime: {median: 9s, p95: 9s}}, cpu: 4";
    let platform = format!("{}{platform}", PLATFORM.replace("cpu: 4", grows));
    let manifests = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: ca, namespace: kube-system}}\nspec:\n  selector: {{matchLabels: {{app: ca}}}}\n  template:\n    metadata: {{labels: {{app: ca}}}}\n    spec: {{containers: [{{name: ca, image: 'registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0', command: [./cluster-autoscaler, {args}], resources: {{requests: {{cpu: 100m, memory: 64Mi}}}}}}]}}\n{more}"
    );
    let files = web("").with("small.yaml", platform).with("ca.yaml", manifests);
    load_all(&files, &["web.yaml", "ca.yaml"], &[])
}

fn read(platform: &str, args: &str, more: &str) -> ClusterAutoscaler {
    let loaded = loaded(platform, args, more);
    let lines = said(&loaded);
    let resolved = loaded.resolved.unwrap_or_else(|| panic!("{lines:?}"));
    resolved.blueprint.cluster_autoscaler.expect("a pool grows")
}

/// A ConfigMap with this text of priorities.
fn ranking(namespace: &str, text: &str) -> String {
    let text = text.replace('\n', "\n    ");
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: cluster-autoscaler-priority-expander, namespace: {namespace}}}\ndata:\n  priorities: |\n    {text}\n"
    )
}

#[test]
fn arguments_fill_in_what_the_platform_leaves_open() {
    let stated = "  clusterAutoscaler: {scanInterval: 20s}\n";
    let args = "--scan-interval=30s, --expander=least-nodes, --v=4, --max-nodes-total, '40', --balance-similar-node-groups, --scale-down-utilization-threshold=0.65, --scale-down-unneeded-time=1h5m0s, --skip-nodes-with-system-pods=false, --new-pod-scale-up-delay=0";
    let found = read(stated, args, "");
    assert_eq!(found.scan_interval, Some(SimSpan::from_secs(20)), "the platform comes first");
    assert_eq!(found.expanders, [ExpanderKind::LeastNodes]);
    assert_eq!(found.max_nodes_total, Some(40));
    assert_eq!(found.balances_similar_groups, Some(true));
    assert_eq!(found.scale_down_threshold_ppm, Some(650_000));
    assert_eq!(found.scale_down_unneeded_time, Some(SimSpan::from_mins(65)));
    assert_eq!(found.skips_system_pods, Some(false));
    assert_eq!(found.new_pod_scale_up_delay, Some(SimSpan::ZERO));
}

#[test]
fn the_expander_priority_reads_its_config_map() {
    let more = ranking("kube-system", "10:\n  - .*\n50:\n  - worker-az-a\n  - spot");
    let found = read("", "'--expander=priority,least-waste'", &more);
    assert_eq!(found.expanders, [ExpanderKind::Priority, ExpanderKind::LeastWaste]);
    let ranks: Vec<(i64, usize)> = found
        .priorities
        .expect("it can be read")
        .iter()
        .map(|it| (it.rank, it.patterns.len()))
        .collect();
    assert_eq!(ranks, [(10, 1), (50, 2)]);
}

#[test]
fn what_the_autoscaler_would_not_do_is_told() {
    let priority = "--expander=priority";
    let by_name = |text: &str| ranking("kube-system", text);
    let cases = [
        ("", "--expander=price".to_owned(), String::new(), "E0090: --expander: `price`"),
        (
            "",
            "'--expander=random,least-waste'".to_owned(),
            String::new(),
            "E0090: nothing may follow",
        ),
        (
            "  clusterAutoscaler: {expanders: [random, random]}\n",
            "--v=1".to_owned(),
            String::new(),
            "small.yaml:10:43: E0090",
        ),
        ("", "--scan-interval=10".to_owned(), String::new(), "E0090: --scan-interval: `10`"),
        ("", "--scale-down-utilization-threshold=50".to_owned(), String::new(), "E0090"),
        ("", "--max-scale-down-parallelism=3".to_owned(), String::new(), "W0250"),
        (
            "",
            priority.to_owned(),
            String::new(),
            "W0251: the expander priority finds no ConfigMap kube-system/",
        ),
        (
            "",
            priority.to_owned(),
            ranking("shop", "1: [a]"),
            "W0251: the expander priority finds no",
        ),
        ("", priority.to_owned(), by_name("1: [\"(\"]"), "`(` is no regular expression"),
        ("", priority.to_owned(), by_name("high: [a]"), "is no YAML of priorities"),
        ("", priority.to_owned(), by_name("1: [spot]"), "ranks none of the node groups"),
    ];
    for (platform, args, more, expected) in cases {
        let lines = said(&loaded(platform, &args, &more));
        assert!(lines.iter().any(|line| line.contains(expected)), "{args}{more}: {lines:?}");
    }
    let elsewhere = format!("{priority}, --namespace=shop");
    let lines = said(&loaded("", &elsewhere, &ranking("shop", "1: [worker]")));
    assert!(lines.iter().all(|line| !line.contains("W025")), "{lines:?}");
}

#[test]
fn a_delay_of_a_pod_counts_when_it_is_longer_than_the_flag() {
    let of = |delay: &str| {
        let pod = format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: one, namespace: shop, annotations: {{cluster-autoscaler.kubernetes.io/pod-scale-up-delay: {delay}}}}}\nspec: {{containers: [{{name: m, image: 'm:1', resources: {{requests: {{cpu: 1, memory: 1Gi}}}}}}]}}\n"
        );
        let lines = said(&loaded("", "--new-pod-scale-up-delay=60s", &pod));
        lines.iter().filter(|line| line.contains("W0252")).count()
    };
    assert_eq!(["90s", "5m", "30s", "soon"].map(of), [0, 0, 1, 1]);
}
