//! Rows of upstream's tables on autoscaling that the shared files leave out, in their format.

use crate::rows::check;

#[test]
fn histograms() {
    const TEN: &str = "options: {type: linear, maxValue: 10.0, bucketSize: 1.0, epsilon: 1.0e-15}";
    const ONE: &str = "options: {type: linear, maxValue: 1.0, bucketSize: 0.1, epsilon: 1.0e-15}";
    let four = "samples: [{value: 1, weight: 1}, {value: 2, weight: 2}, {value: 3, weight: 3}, {value: 4, weight: 4}]";
    let out = "samples: [{value: 0.1, weight: 0.1}, {value: 0.2, weight: 0.2}, {value: 0.0, weight: 0.1}, {value: 1.0, weight: 0.2}]";
    let load = "{computation: loadCheckpoint, checkpoint: {totalWeight: 6.0, bucketWeights: {'0': 1, '1': 2}}";
    let save =
        "samples: [{value: 1, weight: 1}, {value: 2, weight: 10000}, {value: 3, weight: 50}]";
    check(&[
        (
            &format!("{{computation: histogram, {TEN}, {four}}}"),
            "{percentiles: [{percentile: 0.0, value: 2}, {percentile: 0.1, value: 2}, {percentile: 0.2, value: 3}, {percentile: 0.3, value: 3}, {percentile: 0.6, value: 4}, {percentile: 0.7, value: 5}, {percentile: 1.0, value: 5}]}",
        ),
        (
            &format!("{{computation: histogram, {TEN}}}"),
            "{percentiles: [{percentile: 0.5, value: 0}]}",
        ),
        (
            &format!("{{computation: histogram, {ONE}, {out}}}"),
            "{percentiles: [{percentile: -0.1, value: 0.1}, {percentile: 1.1, value: 1.0}]}",
        ),
        (&format!("{load}, {TEN}}}"), "{totalWeight: 6.0, bucketWeights: {'0': 2.0, '1': 4.0}}"),
        (
            &format!("{{computation: loadCheckpoint, {TEN}, checkpoint: {{totalWeight: -1.0}}}}"),
            "{error: true}",
        ),
        (
            &format!("{{computation: saveCheckpoint, {TEN}, {save}}}"),
            "{totalWeight: 10051.0, bucketWeights: {'1': 1, '2': 10000, '3': 50}}",
        ),
        (
            "{computation: bucketScheme, options: {type: linear, maxValue: 5.0, bucketSize: 0.3, epsilon: 0.001}}",
            "{numBuckets: 18, bucketStart: [{bucket: 0, value: 0.0}, {bucket: 1, value: 0.3}], findBucket: [{value: -1.0, bucket: 0}, {value: 0.0, bucket: 0}, {value: 1.3, bucket: 4}, {value: 100.0, bucket: 17}]}",
        ),
    ]);
}

#[test]
fn estimators_and_peaks() {
    const BASE: &str = "base: {cpuCores: 3.14, memoryBytes: 3140000000}";
    let confidence = "{computation: estimator, estimator: confidenceMultiplier";
    check(&[
        (
            &format!("{confidence}, multiplier: 1.0, exponent: 1.0, {BASE}}}"),
            "{cpuMillicores: 100000000000000}",
        ),
        (&format!("{confidence}, multiplier: 1.0, exponent: -1.0, {BASE}}}"), "{cpuMillicores: 0}"),
        (
            &format!(
                "{confidence}, multiplier: 0.1, exponent: 2.0, confidenceInterval: 18m, {BASE}, cpuSamples: {{count: 9, everySeconds: 120}}}}"
            ),
            "{confidence: 0.5, cpuMillicores: 4521, memoryBytes: 4521600000}",
        ),
        (
            &format!("{{computation: estimator, estimator: margin, marginFraction: 0.1, {BASE}}}"),
            "{cpuMillicores: 3454, memoryBytes: 3454000000}",
        ),
        (
            "{computation: podMinimum, containers: 2, base: {cpuCores: 0.001, memoryBytes: 1000000}}",
            "{cpuMillicores: 12, memoryBytes: 131072000}",
        ),
        (
            "{computation: memoryPeaks, memoryAggregationInterval: 24h, events: [{event: oom, timeSeconds: 0, bytes: 1048576}]}",
            "{histogramOperations: [{op: add, bytes: 105906176, weight: 1.0, timeSeconds: 86400}]}",
        ),
        (
            "{computation: memoryPeaks, memoryAggregationInterval: 24h, events: [{event: memorySample, timeSeconds: 0, bytes: 5}, {event: memorySample, timeSeconds: 43200, bytes: 10}, {event: memorySample, timeSeconds: 86400, bytes: 2}, {event: memorySample, timeSeconds: 172800, bytes: -1000}]}",
            "{histogramOperations: [{op: add, bytes: 5, weight: 1.0, timeSeconds: 86400}, {op: subtract, bytes: 5, weight: 1.0, timeSeconds: 86400}, {op: add, bytes: 10, weight: 1.0, timeSeconds: 86400}, {op: add, bytes: 2, weight: 1.0, timeSeconds: 172800}]}",
        ),
    ]);
}

/// Two containers that use next to nothing, under policies.
#[test]
fn recommendations() {
    let of = |policies: &str, sidecar: &str| {
        let used = "usage: [{from: 0s, until: 172800s, every: 60s, cpu: 1m, memory: '10485760'}]";
        format!(
            "{{computation: recommendation, verticalPodAutoscaler: {{spec: {{resourcePolicy: {{containerPolicies: [{policies}]}}}}}}, containers: [{{name: app, {used}}}, {{name: sidecar, {sidecar}}}]}}"
        )
    };
    let target = |name: &str, cpu: &str, memory: &str| {
        format!("{{containerName: {name}, target: {{cpu: {cpu}, memory: '{memory}'}}}}")
    };
    let alone = format!("{{containerRecommendations: [{}]}}", target("app", "25m", "262144000"));
    let shared = |app: &str, sidecar: &str| {
        format!(
            "{{containerRecommendations: [{}, {}]}}",
            target("app", app, "131072000"),
            target("sidecar", "12m", sidecar)
        )
    };
    let kill = "oomKills: [{at: 60s, memoryRequest: '1073741824'}]";
    check(&[
        // The minimum of a pod is shared by those that are looked after.
        (&of("{containerName: sidecar, mode: 'Off'}", kill), &alone),
        // One without samples is, too; a kill counts by itself.
        (&of("", "usage: []"), &shared("12m", "131072000")),
        (&of("", kill), &shared("12m", "1555165137")),
        // A bound of nothing is no bound.
        (
            &of("{containerName: '*', maxAllowed: {cpu: 0}}", "usage: []"),
            &shared("12m", "131072000"),
        ),
        // Its own policy is the first, that for all the last.
        (
            &of(
                "{containerName: '*', mode: 'Off'}, {containerName: app, minAllowed: {cpu: 40m}}, {containerName: app, mode: 'Off'}, {containerName: '*', maxAllowed: {cpu: 100m}}",
                "usage: []",
            ),
            &shared("40m", "131072000"),
        ),
    ]);
}

#[test]
fn back_off_and_balance() {
    let flags = "flags: {initial-node-group-backoff-duration: 1m, max-node-group-backoff-duration: 3m, node-group-backoff-reset-timeout: 3h}";
    check(&[
        (
            &format!(
                "{{decision: nodeGroupBackoff, {flags}, steps: [{{scaleUpFailed: a, at: 0s}}, {{query: a, at: 1m}}, {{query: a, at: 1m1s}}, {{scaleUpFailed: a, at: 1m1s}}, {{query: a, at: 3m}}, {{query: a, at: 3m2s}}, {{scaleUpFailed: a, at: 3m2s}}, {{query: a, at: 6m}}, {{query: a, at: 6m3s}}]}}"
            ),
            "{backedOff: [true, false, true, false, true, false]}",
        ),
        (
            "{decision: balanceSimilarNodeGroups, newNodes: 2, nodeGroups: [{name: a, minSize: 0, maxSize: 1, targetSize: 1}, {name: b, minSize: 0, maxSize: 3, targetSize: 1}]}",
            "{newSizes: {b: 3}}",
        ),
    ]);
}

#[test]
fn expanders() {
    let option = |name: &str, cpu: u32, memory: u32| {
        let template = format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{capacity: {{cpu: {cpu}m, memory: {memory}Mi}}}}}}"
        );
        let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default}, spec: {containers: [{name: c, image: x, resources: {requests: {cpu: 500m, memory: 1000Mi}}}]}}";
        format!("{{nodeGroup: {name}, newNodes: 1, template: {template}, pods: [{pod}]}}")
    };
    let waste = |options: &[String]| {
        format!("{{decision: expander, expander: least-waste, options: [{}]}}", options.join(", "))
    };
    let (balanced, high_memory, high_cpu, low_cpu) = (
        option("balanced", 8000, 16_000),
        option("highmem", 8000, 32_000),
        option("highcpu", 16_000, 16_000),
        option("lowcpu", 4000, 16_000),
    );
    let map = |text: &str| {
        format!(
            "{{decision: expander, expander: priority, configMap: {{data: {{priorities: \"{text}\"}}}}, options: [{{nodeGroup: my-asg.t2.micro, newNodes: 1}}, {{nodeGroup: my-asg.t3.large, newNodes: 1}}]}}"
        )
    };
    let both = "{bestOptions: [my-asg.t2.micro, my-asg.t3.large]}";
    check(&[
        (&waste(std::slice::from_ref(&balanced)), "{bestOptions: [balanced]}"),
        (&waste(&[balanced.clone(), high_memory.clone()]), "{bestOptions: [balanced]}"),
        (&waste(&[balanced.clone(), high_cpu.clone()]), "{bestOptions: [balanced]}"),
        (&waste(&[balanced, high_memory, high_cpu, low_cpu]), "{bestOptions: [lowcpu]}"),
        (&map("10:\\n  - .*t2.*\\n20:\\n  - .*m4.*\\n"), "{bestOptions: [my-asg.t2.micro]}"),
        (&map("10:\\n  - .*c5.*\\n"), both),
        (&map("not a ranking"), both),
        (&map("10:\\n  - '('\\n"), both),
        (
            "{decision: expander, expander: least-nodes, options: [{nodeGroup: a, newNodes: 3}, {nodeGroup: b, newNodes: 2}, {nodeGroup: c, newNodes: 2}]}",
            "{bestOptions: [b, c]}",
        ),
    ]);
}

#[test]
fn eligibility() {
    let node = |extra: &str, ready: &str| {
        format!(
            "{{decision: scaleDownEligibility, now: '2026-01-01T12:00:00Z', flags: {{scale-down-unready-enabled: false}}, nodeGroups: [{{name: ng1, minSize: 1, maxSize: 10, targetSize: 2}}], pods: [], nodes: [{{apiVersion: v1, kind: Node, metadata: {{name: node1{extra}}}, status: {{allocatable: {{cpu: '1', memory: '10'}}, conditions: [{{type: Ready, status: '{ready}'}}]}}}}]}}"
        )
    };
    let kept = ", annotations: {cluster-autoscaler.kubernetes.io/scale-down-disabled: 'true'}";
    let taint = |secs: u32| {
        node("}, spec: {taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule, value: 'SECS'}]", "True")
            .replace("SECS", &secs.to_string())
    };
    check(&[
        (&node("", "True"), "{unneededNow: [node1], unremovable: {}}"),
        (&node("", "False"), "{unneededNow: [], unremovable: {node1: ScaleDownUnreadyDisabled}}"),
        (
            &node(kept, "True"),
            "{unneededNow: [], unremovable: {node1: ScaleDownDisabledAnnotation}}",
        ),
        (&taint(1_767_268_740), "{unneededNow: [], unremovable: {node1: CurrentlyBeingDeleted}}"),
        (&taint(1_767_265_200), "{unneededNow: [node1], unremovable: {}}"),
    ]);
}

/// TestBinpackingEstimate and TestRemovableAt.
#[test]
fn estimates_and_removals() {
    let node = |name: &str, zone: &str, cpu: u32, memory: u32| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, topology.kubernetes.io/zone: {zone}}}}}, status: {{capacity: {{cpu: {cpu}m, memory: {memory}Mi, pods: 10}}}}}}"
        )
    };
    let pod = |cpu: u32, memory: u32, extra: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: estimatee, namespace: universe, labels: {{app: estimatee}}}}, spec: {{containers: [{{name: c, image: x, resources: {{requests: {{cpu: {cpu}m, memory: {memory}Mi}}}}{extra}}}"
        )
    };
    let spread = |key: &str| {
        format!(
            "], topologySpreadConstraints: [{{maxSkew: 2, topologyKey: {key}, whenUnsatisfiable: DoNotSchedule, labelSelector: {{matchLabels: {{app: estimatee}}}}}}]}}}}"
        )
    };
    let estimate = |cpu: u32, memory: u32, groups: &str, limit: &str| {
        let (old, made) =
            (node("oldnode", "zone-jupiter", 100, 100), node("template", "zone-mars", cpu, memory));
        format!(
            "{{decision: estimate, existingNodes: [{old}], template: {made}, pendingPodGroups: [{groups}], flags: {{max-nodes-per-scaleup: {limit}}}}}"
        )
    };
    let group = |count: u32, pod: String| format!("{{count: {count}, pod: {pod}}}");
    let plain = |cpu, memory| pod(cpu, memory, "") + "]}}";
    let port = pod(200, 1000, ", ports: [{containerPort: 80, hostPort: 5555}]") + "]}}";
    let zonal = pod(20, 100, "") + &spread("topology.kubernetes.io/zone");
    let two = format!("{}, {}", group(10, plain(50, 1000)), group(10, plain(500, 1000)));
    let going = |empty: u32, drained: u32, target: u32| {
        format!(
            "{{decision: removableNow, emptyNodes: {empty}, nodesNeedingDrain: {drained}, deletionsInProgress: 2, nodeGroups: [{{name: ng, minSize: 1, maxSize: 100, targetSize: {target}}}]}}"
        )
    };
    let kept = "{decision: removableNow, unneededFor: 10m, flags: {scale-down-unneeded-time: 5m, scale-down-unready-time: 15m}, nodeGroups: [{name: ng, minSize: MIN, maxSize: 100, targetSize: 1}], node: {apiVersion: v1, kind: Node, metadata: {name: n}, status: {conditions: [{type: Ready, status: 'READY'}]}}}";
    check(&[
        (
            &estimate(10_000, 20_000, &group(20, plain(10, 100)), "unlimited"),
            "{newNodes: 2, podsScheduled: 20}",
        ),
        (&estimate(1000, 5000, &group(8, port), "unlimited"), "{newNodes: 8, podsScheduled: 8}"),
        (
            &estimate(1000, 5000, &group(20, plain(500, 1000)), "5"),
            "{newNodes: 5, podsScheduled: 10}",
        ),
        (
            &estimate(1000, 5000, &two, "5"),
            "{newNodes: 5, podsScheduled: 10, podsScheduledPerGroup: [0, 10]}",
        ),
        (&estimate(1000, 5000, &group(8, zonal), "unlimited"), "{newNodes: 1, podsScheduled: 2}"),
        (&going(3, 2, 10), "{emptyToRemove: 3, drainToRemove: 2}"),
        (&going(3, 5, 10), "{emptyToRemove: 3, drainToRemove: 4}"),
        (&going(3, 5, 5), "{removableEmpty: 2, removableDrain: 0}"),
        (
            &kept.replace("MIN", "1").replace("READY", "True"),
            "{removable: false, reason: NodeGroupMinSizeReached}",
        ),
        (
            &kept.replace("MIN", "0").replace("READY", "False"),
            "{removable: false, reason: NotUnreadyLongEnough}",
        ),
        (&kept.replace("MIN", "0").replace("READY", "True"), "{removable: true}"),
    ]);
}

/// An HPA case on a Deployment of so many replicas.
fn scaled(current: u32, spec: &str, more: &str) -> String {
    format!(
        "{{now: '2026-01-01T12:00:00Z', currentReplicas: {current}, scaleTarget: {{apiVersion: apps/v1, kind: Deployment, metadata: {{name: web, namespace: default}}, spec: {{replicas: {current}, selector: {{matchLabels: {{app: web}}}}}}}}, horizontalPodAutoscaler: {{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: web, namespace: default}}, spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, {spec}}}}}, {more}}}"
    )
}

/// TestConvertDesiredReplicasWithRules: limits where there is no `behavior`.
#[test]
fn limits_without_behavior() {
    let of = |(current, least, most): (u32, u32, u32), proposed: u32| {
        scaled(
            current,
            &format!("minReplicas: {least}, maxReplicas: {most}"),
            &format!(
                "metricRecommendation: {proposed}, recommendationHistory: [], scaleUpEvents: [], scaleDownEvents: []"
            ),
        )
    };
    let is = |desired: u32, reason: &str| {
        format!("{{desiredReplicas: {desired}, scalingLimitedReason: {reason}}}")
    };
    check(&[
        (&of((3, 1, 30), 20), &is(6, "ScaleUpLimit")),
        (&of((3, 1, 5), 20), &is(5, "TooManyReplicas")),
        (&of((3, 1, 6), 20), &is(6, "TooManyReplicas")),
        (&of((3, 1, 30), 6), &is(6, "DesiredWithinRange")),
        (&of((1, 1, 30), 20), &is(4, "ScaleUpLimit")),
        (&of((3, 2, 30), 1), &is(2, "TooFewReplicas")),
    ]);
}

/// TestScaleUpMultipleMetrics and its neighbors: the largest proposal wins in any order; where a
/// metric is missing the others may add replicas and take none away.
#[test]
fn several_metrics() {
    let metric = |name: &str, average: u32| {
        format!(
            "{{type: External, external: {{metric: {{name: {name}}}, target: {{type: AverageValue, averageValue: {average}}}}}}}"
        )
    };
    let series = |name: &str, value: u32| {
        format!(
            "{{metricName: {name}, metricLabels: {{}}, value: '{value}', timestamp: '2026-01-01T12:00:00Z'}}"
        )
    };
    let of = |metrics: [&str; 2], seen: &[&str]| {
        scaled(
            4,
            &format!("minReplicas: 1, maxReplicas: 30, metrics: [{}]", metrics.join(", ")),
            &format!("externalMetrics: [{}], recommendationHistory: []", seen.join(", ")),
        )
    };
    let strange = "{type: CheddarCheese}";
    // Six, and three.
    let (many, few) = (metric("many", 5), metric("few", 4));
    let (of_many, of_few) = (series("many", 30), series("few", 12));
    check(&[
        (&of([&many, &few], &[&of_many, &of_few]), "{desiredReplicas: 6}"),
        (&of([&few, &many], &[&of_many, &of_few]), "{desiredReplicas: 6}"),
        (&of([&many, &few], &[&of_many]), "{desiredReplicas: 6}"),
        (&of([&many, &few], &[&of_few]), "{desiredReplicas: 4}"),
        (&of([&few, &many], &[&of_few]), "{desiredReplicas: 4}"),
        (&of([strange, &few], &[&of_few]), "{desiredReplicas: 4, error: true}"),
        (&of([&many, strange], &[&of_many]), "{desiredReplicas: 6, error: true}"),
    ]);
}

/// TestBinpackingEstimatePlacementOnAddedNodes: pods of later groups go to the node that was added last,
/// then to earlier ones; a last node that stayed empty is used before another one is added.
#[test]
fn later_groups_go_to_nodes_that_were_added() {
    let node = |name: &str, zone: &str, cpu: u32, memory: u32| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}, topology.kubernetes.io/zone: {zone}}}}}, status: {{capacity: {{cpu: {cpu}m, memory: {memory}Mi, pods: 10}}}}}}"
        )
    };
    let group = |app: &str, cpu: u32, count: u32, port: &str, spec: &str| {
        format!(
            "{{count: {count}, pod: {{apiVersion: v1, kind: Pod, metadata: {{name: {app}, namespace: universe, labels: {{app: {app}}}}}, spec: {{containers: [{{name: c, image: x, resources: {{requests: {{cpu: {cpu}m, memory: '100'}}}}{port}}}]{spec}}}}}}}"
        )
    };
    let plain = |app: &str, cpu, count| group(app, cpu, count, "", "");
    let apart = |app: &str, key: &str| {
        format!(
            ", affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: {key}, labelSelector: {{matchLabels: {{app: {app}}}}}}}]}}}}"
        )
    };
    let big = || plain("big", 600, 2);
    let zonal = || group("zonal", 600, 2, "", &apart("zonal", "topology.kubernetes.io/zone"));
    let port = ", ports: [{containerPort: 80, hostPort: 5555}]";
    let hosts = apart("spread", "kubernetes.io/hostname");
    let many = || vec![zonal(), plain("small", 300, 1), plain("many", 100, 30)];
    let three = vec![big(), plain("a", 150, 1), plain("b", 120, 1), plain("c", 100, 1)];
    // Groups, limit, nodes, pods of each group.
    let cases = [
        (three, "unlimited", 2, "[2, 1, 1, 1]"),
        (vec![big(), plain("medium", 400, 1), plain("small", 300, 1)], "unlimited", 2, "[2, 1, 1]"),
        (vec![big(), group("port", 200, 2, port, "")], "unlimited", 2, "[2, 2]"),
        (vec![big(), group("spread", 200, 2, "", &hosts)], "unlimited", 2, "[2, 2]"),
        (vec![zonal(), plain("small", 300, 1)], "unlimited", 1, "[1, 1]"),
        (vec![zonal(), plain("medium", 500, 1)], "unlimited", 2, "[1, 1]"),
        (many(), "unlimited", 4, "[1, 1, 30]"),
        (many(), "4", 4, "[1, 1, 30]"),
        (many(), "3", 3, "[1, 1, 21]"),
    ];
    for (groups, limit, nodes, scheduled) in cases {
        let given = format!(
            "{{decision: estimate, existingNodes: [{}], template: {}, pendingPodGroups: [{}], flags: {{max-nodes-per-scaleup: {limit}}}}}",
            node("oldnode", "zone-jupiter", 100, 100),
            node("template", "zone-mars", 1000, 1000),
            groups.join(", "),
        );
        let expected = format!("{{newNodes: {nodes}, podsScheduledPerGroup: {scheduled}}}");
        check(&[(&given, &expected)]);
    }
}
