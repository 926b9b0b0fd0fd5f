//! Rows of upstream's scheduler tables that the shared files leave out, in their format.

use crate::rows::check;

fn node(name: &str, labels: &str, cpu: u32, memory: u32) -> String {
    format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{{labels}}}}}, status: {{allocatable: {{cpu: {cpu}m, memory: '{memory}', pods: 110, example.com/gpu: 4}}, capacity: {{cpu: {cpu}m, memory: '{memory}', pods: 110, example.com/gpu: 4}}}}}}"
    )
}

fn pod(name: &str, spec: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, labels: {{app: web}}}}, spec: {{{spec}}}}}"
    )
}

fn asks(cpu: u32, memory: u32) -> String {
    format!(
        "containers: [{{name: c, image: x, resources: {{requests: {{cpu: {cpu}m, memory: '{memory}'}}}}}}]"
    )
}

/// TestRequestedToCapacityRatioScoringStrategy, TestMostAllocatedScoringStrategy.
#[test]
fn strategies_of_scoring() {
    let of = |strategy: &str| {
        format!(
            "{{plugin: NodeResourcesFit, nodes: [{}, {}], pods: [], pod: {}, candidates: [node1, node2], schedulerConfiguration: {{profiles: [{{pluginConfig: [{{name: NodeResourcesFit, args: {{scoringStrategy: {strategy}}}}}]}}]}}}}",
            node("node1", "", 4000, 10_000),
            node("node2", "", 6000, 10_000),
            pod("p", &asks(3000, 5000)),
        )
    };
    let ratio = "{type: RequestedToCapacityRatio, resources: [{name: cpu, weight: 1}, {name: memory, weight: 1}], requestedToCapacityRatio: {shape: [{utilization: 0, score: 10}, {utilization: 100, score: 0}]}}";
    check(&[
        (&of(ratio), "{scores: {NodeResourcesFit: {node1: 38, node2: 50}}}"),
        (&of("{type: MostAllocated}"), "{scores: {NodeResourcesFit: {node1: 62, node2: 50}}}"),
        (
            &of(
                "{type: LeastAllocated, resources: [{name: cpu, weight: 3}, {name: memory, weight: 1}]}",
            ),
            "{scores: {NodeResourcesFit: {node1: 31, node2: 50}}}",
        ),
    ]);
}

/// TestEnoughRequests: extended resources that the profile leaves to others.
#[test]
fn ignored_resources() {
    let of = |args: &str| {
        let spec = "containers: [{name: c, image: x, resources: {requests: {example.com/gpu: 5}}}]";
        format!(
            "{{plugin: NodeResourcesFit, nodes: [{}], pods: [], pod: {}, schedulerConfiguration: {{profiles: [{{pluginConfig: [{{name: NodeResourcesFit, args: {{{args}}}}}]}}]}}}}",
            node("node1", "", 1000, 1000),
            pod("p", spec),
        )
    };
    let refused = "{filter: {node1: UnschedulableAndUnresolvable}, reasons: {node1: ['Insufficient example.com/gpu']}, feasibleNodes: []}";
    check(&[
        (&of(""), refused),
        (
            &of("ignoredResources: [example.com/gpu]"),
            "{filter: {node1: Success}, feasibleNodes: [node1]}",
        ),
        (
            &of("ignoredResourceGroups: [example.com]"),
            "{filter: {node1: Success}, feasibleNodes: [node1]}",
        ),
        (
            &of("ignoredResourceGroups: [other.com]"),
            "{filter: {node1: UnschedulableAndUnresolvable}}",
        ),
    ]);
}

/// TestMultiZone, TestWithBinding of the VolumeZone plugin, and claims only one pod may use.
#[test]
fn volumes() {
    const ZONE: &str = "failure-domain.beta.kubernetes.io/zone";
    let of = |plugin: &str, objects: &str, pods: &str| {
        format!(
            "{{plugin: {plugin}, nodes: [{}, {}], pods: [{pods}], pod: {}, objects: [{objects}]}}",
            node("host1", &format!("{ZONE}: us-west1-a"), 1000, 1000),
            node("host2", &format!("{ZONE}: us-west1-c"), 1000, 1000),
            pod(
                "p",
                "volumes: [{name: v, persistentVolumeClaim: {claimName: pvc}}], containers: []"
            ),
        )
    };
    let claim = |more: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: pvc, namespace: default}}, spec: {{{more}}}}}"
        )
    };
    let class = |mode: &str| {
        format!(
            "{{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {{name: slow}}, provisioner: csi.example, volumeBindingMode: {mode}}}"
        )
    };
    let volume = |labels: &str| {
        format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: vol, labels: {{{labels}}}}}, spec: {{csi: {{driver: csi.example, volumeHandle: h}}}}}}"
        )
    };
    let bound = claim("volumeName: vol");
    let all = |answer: &str| format!("{{filter: {{host1: {answer}, host2: {answer}}}}}");
    let unresolvable = all("UnschedulableAndUnresolvable");
    let user = pod(
        "q",
        "nodeName: host1, volumes: [{name: v, persistentVolumeClaim: {claimName: pvc}}], containers: []",
    );
    let limit = "{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: host1}, spec: {drivers: [{name: csi.example, nodeID: a, allocatable: {count: 0}}]}}";
    let objects = |parts: &[&str]| parts.join(", ");
    check(&[
        (
            &of(
                "VolumeZone",
                &objects(&[&bound, &volume(&format!("{ZONE}: us-west1-a__us-west1-b"))]),
                "",
            ),
            "{filter: {host1: Success, host2: UnschedulableAndUnresolvable}}",
        ),
        (&of("VolumeZone", &bound, ""), &unresolvable),
        (&of("VolumeZone", &objects(&[&claim(""), &class("Immediate")]), ""), &unresolvable),
        (&of("VolumeZone", &claim("storageClassName: gone"), ""), &unresolvable),
        (
            &of(
                "VolumeZone",
                &objects(&[&claim("storageClassName: slow"), &class("Immediate")]),
                "",
            ),
            &unresolvable,
        ),
        (
            &of(
                "VolumeZone",
                &objects(&[&claim("storageClassName: slow"), &class("WaitForFirstConsumer")]),
                "",
            ),
            &all("Success"),
        ),
        (
            &of(
                "VolumeRestrictions",
                &objects(&[
                    &claim("volumeName: vol, accessModes: [ReadWriteOncePod]"),
                    &volume(""),
                ]),
                &user,
            ),
            &all("Unschedulable"),
        ),
        (
            &of("NodeVolumeLimits", &objects(&[&bound, &volume(""), limit]), ""),
            "{filter: {host1: Unschedulable, host2: Success}}",
        ),
    ]);
}

/// Cases are YAML 1.2, where `y` and `n` are words.
#[test]
fn words_that_were_truth_values_once() {
    let given = format!(
        "{{plugin: NodeAffinity, nodes: [{}, {}], pods: [], pod: {}}}",
        node("m1", "x: y", 1000, 1000),
        node("m2", "x: n", 1000, 1000),
        pod("p", "containers: [], nodeSelector: {x: y}"),
    );
    check(&[(&given, "{filter: {m1: Success, m2: UnschedulableAndUnresolvable}}")]);
}

/// A taint whose effect the API would have filled in, and tolerations of each kind.
#[test]
fn taints() {
    let of = |tolerations: &str| {
        let tainted = |name: &str, taint: &str| {
            format!(
                "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, spec: {{taints: [{taint}]}}, status: {{allocatable: {{cpu: 1, memory: 1Gi, pods: 10}}}}}}"
            )
        };
        format!(
            "{{plugin: TaintToleration, nodes: [{}, {}, {}], pods: [], pod: {}}}",
            tainted("hard", "{key: dedicated, value: user1, effect: NoSchedule}"),
            tainted("evicts", "{key: dedicated, value: user1, effect: NoExecute}"),
            tainted("soft", "{key: dedicated, value: user1, effect: PreferNoSchedule}"),
            pod("p", &format!("containers: [], tolerations: [{tolerations}]")),
        )
    };
    let no = "UnschedulableAndUnresolvable";
    let answer = |hard: &str, evicts: &str| {
        format!("{{filter: {{hard: {hard}, evicts: {evicts}, soft: Success}}}}")
    };
    check(&[
        (&of(""), &answer(no, no)),
        (&of("{key: dedicated, operator: Equal, value: user2}"), &answer(no, no)),
        (&of("{key: dedicated, value: user1, effect: NoSchedule}"), &answer("Success", no)),
        (&of("{key: dedicated, operator: Exists, effect: NoExecute}"), &answer(no, "Success")),
        (&of("{operator: Exists}"), &answer("Success", "Success")),
        (&of("{value: user1}"), &answer("Success", "Success")),
        (&of("{key: dedicated, operator: Foo, value: user1}"), &answer(no, no)),
        (&of("{key: dedicated, operator: Gt, value: user1}"), &answer(no, no)),
    ]);
}

/// TestDryRunPreemption and TestPodEligibleToPreemptOthers in small.
#[test]
fn preemption() {
    let placed = |name: &str, node: &str, priority: i32, cpu: u32, more: &str| {
        pod(name, &format!("nodeName: {node}, priority: {priority}, {}", asks(cpu, 0)))
            .replace("labels: {app: web}", &format!("labels: {{app: web}}{more}"))
    };
    let of = |policy: &str, pods: &[String], more: &str| {
        format!(
            "{{plugin: DefaultPreemption, nodes: [{}, {}], pods: [{}], pod: {}{more}}}",
            node("a", "", 1000, 1000),
            node("b", "", 1000, 1000),
            pods.join(", "),
            pod("p", &format!("priority: 100, preemptionPolicy: {policy}, {}", asks(600, 0))),
        )
    };
    let two = [
        placed("lone", "a", 10, 900, ""),
        placed("middle", "b", 50, 500, ""),
        placed("low", "b", 20, 500, ""),
    ];
    let equal = [placed("lone", "a", 100, 900, ""), placed("middle", "b", 100, 900, "")];
    let budget = ", podDisruptionBudgets: [{metadata: {name: b, namespace: default}, spec: {selector: {matchLabels: {app: web}}}, status: {disruptionsAllowed: 0}}]";
    check(&[
        (
            &of("PreemptLowerPriority", &two, ""),
            "{candidates: {a: {victims: [lone], pdbViolations: 0}, b: {victims: [middle, low], pdbViolations: 0}}, nominatedNode: {anyOf: [a]}}",
        ),
        (
            &of("PreemptLowerPriority", &two, budget),
            "{candidates: {a: {victims: [lone], pdbViolations: 1}, b: {victims: [middle, low], pdbViolations: 2}}, nominatedNode: {anyOf: [a]}}",
        ),
        (&of("Never", &two, ""), "{candidates: {}, nominatedNode: {anyOf: []}}"),
        (&of("PreemptLowerPriority", &equal, ""), "{candidates: {}, nominatedNode: {anyOf: []}}"),
    ]);
}

/// TestImageLocalityPriority, and pods that state no requests: these count as 100m and 200 MiB.
#[test]
fn images_and_amounts_that_nobody_states() {
    let with_images = |name: &str, images: &[(u64, u64)]| {
        let image = |(image, mebibytes): &(u64, u64)| {
            format!("{{names: ['gcr.io/{image}:latest'], sizeBytes: {}}}", mebibytes << 20)
        };
        let images: Vec<String> = images.iter().map(image).collect();
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, status: {{allocatable: {{cpu: 1, memory: 1Gi, pods: 110}}, images: [{}]}}}}",
            images.join(", ")
        )
    };
    let of = |first: u64, second: u64| {
        let containers = format!(
            "containers: [{{name: a, image: gcr.io/{first}}}, {{name: b, image: gcr.io/{second}}}]"
        );
        format!(
            "{{plugin: ImageLocality, nodes: [{}, {}], pods: [], pod: {}, candidates: [node1, node2]}}",
            with_images("node1", &[(40, 40), (300, 300), (2000, 2000)]),
            with_images("node2", &[(250, 250), (10, 10)]),
            pod("p", &containers),
        )
    };
    let silent = format!(
        "{{plugin: NodeResourcesFit, nodes: [{}, {}], pods: [], pod: {}, candidates: [node1, node2]}}",
        node("node1", "", 1000, 10_000),
        node("node2", "", 50, 1_000_000_000),
        pod("p", "containers: [{name: c, image: x}]"),
    );
    check(&[
        (&of(40, 250), "{scores: {ImageLocality: {node1: 0, node2: 5}}}"),
        (&of(40, 300), "{scores: {ImageLocality: {node1: 7, node2: 0}}}"),
        (&of(10, 2000), "{scores: {ImageLocality: {node1: 49, node2: 0}}}"),
        (&silent, "{scores: {NodeResourcesFit: {node1: 45, node2: 39}}}"),
    ]);
}

/// A node that affinity by name leaves out of the search was never asked for its taints
/// (schedule_one.go, findNodesThatFitPod).
#[test]
fn nodes_that_are_not_searched() {
    let tainted = |name: &str, taints: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}, spec: {{taints: [{taints}]}}, status: {{allocatable: {{cpu: 1, memory: 1Gi, pods: 110}}}}}}"
        )
    };
    let spec = "affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, values: [node2]}]}]}}}, containers: [{name: c, image: x}]";
    let given = format!(
        "{{nodes: [{}, {}], pods: [], pod: {}}}",
        tainted("node1", "{key: a, effect: NoSchedule}"),
        tainted("node2", ""),
        pod("p", spec),
    );
    check(&[(&given, "{rejectedBy: {node1: NodeAffinity}, selectedNode: {anyOf: [node2]}}")]);
}

/// A term that a pod states twice counts twice for pods that come later.
#[test]
fn preferred_terms_that_are_stated_twice() {
    let host = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{kubernetes.io/hostname: {name}}}}}, status: {{allocatable: {{cpu: 1, memory: 1Gi, pods: 110}}}}}}"
        )
    };
    const TERM: &str = "{weight: 10, podAffinityTerm: {labelSelector: {matchLabels: {app: web}}, topologyKey: kubernetes.io/hostname}}";
    let carrier = |name: &str, node: &str, count: usize| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, labels: {{app: other}}}}, spec: {{nodeName: {node}, affinity: {{podAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{}]}}}}, containers: [{{name: c, image: x}}]}}}}",
            vec![TERM; count].join(", ")
        )
    };
    let given = format!(
        "{{plugin: InterPodAffinity, nodes: [{}, {}, {}], pods: [{}, {}], pod: {}, candidates: [node1, node2, node3]}}",
        host("node1"),
        host("node2"),
        host("node3"),
        carrier("a", "node1", 2),
        carrier("b", "node2", 1),
        pod("p", "containers: [{name: c, image: x}]"),
    );
    check(&[(&given, "{scores: {InterPodAffinity: {node1: 100, node2: 50, node3: 0}}}")]);
}

/// TestPodResourceRequests and TestCalculateResource: while a pod is resized in place, its node counts
/// the largest of what it asks for, what is in force and what was granted, unless the resize is
/// infeasible.
#[test]
fn pods_that_are_resized_in_place() {
    let resized = |asked: u32, more: &str, status: &str| {
        let placed = pod("resized", &format!("nodeName: node1, {}{more}", asks(asked, 10)));
        placed.replacen("spec:", &format!("status: {{phase: Running, {status}}}, spec:"), 1)
    };
    let of = |existing: &str| {
        format!(
            "{{plugin: NodeResourcesFit, nodes: [{}], pods: [{existing}], pod: {}, candidates: [node1]}}",
            node("node1", "", 1000, 1000),
            pod("p", &asks(500, 10)),
        )
    };
    let of_container = |in_force: u32, granted: u32| {
        format!(
            "containerStatuses: [{{name: c, image: x, imageID: x, ready: true, restartCount: 0, resources: {{requests: {{cpu: {in_force}m}}}}, allocatedResources: {{cpu: {granted}m}}}}]"
        )
    };
    let ungranted = "containerStatuses: [{name: c, image: x, imageID: x, ready: true, restartCount: 0, allocatedResources: {cpu: 900m}}]";
    let infeasible = ", conditions: [{type: PodResizePending, status: 'True', reason: Infeasible}]";
    let deferred = infeasible.replace("Infeasible", "Deferred");
    let whole = "resources: {requests: {cpu: 300m}}, allocatedResources: {cpu: 600m}";
    let cases = [
        (resized(400, "", &of_container(400, 400)), "Success"),
        (resized(400, "", &of_container(600, 400)), "Unschedulable"),
        (resized(400, "", &of_container(400, 600)), "Unschedulable"),
        (resized(900, "", &of_container(400, 400)), "Unschedulable"),
        (resized(900, "", &(of_container(400, 400) + infeasible)), "Success"),
        (resized(900, "", &(of_container(400, 400) + &deferred)), "Unschedulable"),
        // What was granted is looked at beside what is in force only.
        (resized(400, "", ungranted), "Success"),
        (resized(100, ", resources: {requests: {cpu: 300m}}", whole), "Unschedulable"),
        (resized(600, ", resources: {requests: {cpu: 300m}}", "hostIP: 10.0.0.1"), "Success"),
    ];
    for (existing, answer) in cases {
        check(&[(&of(&existing), &format!("{{filter: {{node1: {answer}}}}}"))]);
    }
}

/// FindMatchingVolume: what keeps a volume that is there from being a claim's.
#[test]
fn volumes_that_a_claim_could_be_bound_to() {
    let of = |volume: &str| {
        let class = "{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: local}, provisioner: kubernetes.io/no-provisioner, volumeBindingMode: WaitForFirstConsumer}";
        let claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: pvc, namespace: default}, spec: {storageClassName: local, accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Gi}}, selector: {matchLabels: {tier: fast}}}}";
        let volume = format!(
            "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: vol, labels: {{tier: fast}}}}, spec: {{storageClassName: local{volume}}}}}"
        );
        format!(
            "{{plugin: VolumeBinding, nodes: [{}], pods: [], pod: {}, objects: [{class}, {claim}, {volume}]}}",
            node("node1", "", 1000, 1000),
            pod(
                "p",
                "volumes: [{name: v, persistentVolumeClaim: {claimName: pvc}}], containers: []"
            ),
        )
    };
    let cases = [
        ("", true),
        (", capacity: {storage: 10Gi}, accessModes: [ReadWriteOnce, ReadOnlyMany]", true),
        (", capacity: {storage: 9Gi}", false),
        (", accessModes: [ReadOnlyMany]", false),
        (", volumeMode: Block", false),
        (", claimRef: {name: other, namespace: default}", false),
        (", claimRef: {name: pvc, namespace: default}", true),
        ("}, status: {phase: Released", false),
        ("}, status: {phase: Available", true),
    ];
    for (volume, binds) in cases {
        let answer = if binds { "Success" } else { "UnschedulableAndUnresolvable" };
        check(&[(&of(volume), &format!("{{filter: {{node1: {answer}}}}}"))]);
    }
}
