//! Rows of controllers, kubelet and control plane that the shared files leave out, in their format.

use crate::rows::check;

#[test]
fn leases() {
    let of = |operation: &str, more: &str| {
        format!(
            "{{controller: leader-election, operation: {operation}, config: {{leaseDurationSeconds: 15, renewDeadlineSeconds: 10, retryPeriodSeconds: 2}}{more}}}"
        )
    };
    check(&[
        (
            &of("takeoverWindow", ""),
            "{earliestSecondsAfterCrash: 13, latestSecondsAfterCrash: 23.8}",
        ),
        (
            &of("takeoverWindow", ""),
            "{minSecondsAfterLastRenewal: 15, maxSecondsAfterLastRenewal: 23.8}",
        ),
        (&of("takeoverWindow", ""), "{shortestPollSeconds: 2, longestPollSeconds: 4.4}"),
        (&of("renewDeadline", ""), "{stopsLeadingAfterSeconds: 12}"),
        (&of("renewDeadline", ", lastSuccessAtSeconds: 100"), "{stopsLeadingAtSeconds: 112}"),
    ]);
}

/// The node of an endpoint is known without its zone, and the zone without the node.
#[test]
fn hints() {
    let of = |distribution: &str, known: &str| {
        format!(
            "{{controller: endpointslice-controller, operation: reconcileHints, objects: [{{apiVersion: v1, kind: Service, metadata: {{name: web}}, spec: {{trafficDistribution: {distribution}}}}}, {{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: web-1}}, endpoints: [{{addresses: [10.0.0.1], conditions: {{ready: true}}{known}}}]}}]}}"
        )
    };
    let hinted = |hints: &str| format!("{{hints: [{{address: 10.0.0.1, hints: {hints}}}]}}");
    let node = hinted("{forNodes: [{name: n1}]}");
    let zone = hinted("{forZones: [{name: z1}]}");
    check(&[
        (&of("PreferSameNode", ", nodeName: n1"), &node),
        (&of("PreferSameNode", ", zone: z1"), &zone),
        (&of("PreferSameZone", ", nodeName: n1, zone: z1"), &zone),
        (&of("PreferSameZone", ", nodeName: n1"), &hinted("null")),
    ]);
}

/// What a budget remembers of pods that were let go (buildDisruptedPodMap, countHealthyPods).
#[test]
fn entries_of_a_budget() {
    let budget = |demand: &str, entries: &str, counts: &str| {
        format!(
            "{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: foo, namespace: default}}, spec: {{{demand}, selector: {{matchLabels: {{a: b}}}}}}, status: {{disruptedPods: {{{entries}}}{counts}}}}}"
        )
    };
    let pod = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: default, labels: {{a: b}}}}, status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}}}"
        )
    };
    let sync = |demand: &str, entries: &str| {
        format!(
            "{{controller: disruption-controller, operation: sync, now: '2026-01-01T12:02:00Z', objects: [{}, {}, {}]}}",
            pod("p1"),
            pod("p2"),
            budget(demand, entries, "")
        )
    };
    let evict = format!(
        "{{controller: eviction-subresource, operation: evict, objects: [{}, {}], request: {{metadata: {{name: p2, namespace: default}}}}}}",
        pod("p2"),
        budget(
            "minAvailable: 1",
            "p1: '2026-01-01T12:00:00Z'",
            ", disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2"
        )
    );
    check(&[
        (
            &sync("minAvailable: 1", "p1: '2026-01-01T12:00:01Z'"),
            "{status: {currentHealthy: 1, disruptionsAllowed: 0}, disruptedPodsLeft: [p1]}",
        ),
        // After two minutes to the second it is kept, and healthy.
        (
            &sync("minAvailable: 1", "p1: '2026-01-01T12:00:00Z'"),
            "{status: {currentHealthy: 2, disruptionsAllowed: 1}, disruptedPodsLeft: [p1]}",
        ),
        (
            &sync("minAvailable: 1", "p1: '2026-01-01T11:59:59Z'"),
            "{status: {currentHealthy: 2}, disruptedPodsLeft: [], events: [NotDeleted]}",
        ),
        (&evict, "{result: podDeleted, pdbStatusAfter: {disruptedPods: [p1, p2]}}"),
    ]);
}

/// Without annotations, and with one of nothing, a ReplicaSet's share is one of the pods that there
/// are (getReplicaSetFraction).
#[test]
fn a_share_without_annotation() {
    let set = |name: &str, image: &str, size: u32, most: &str| {
        format!(
            "{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: {name}, annotations: {{{most}}}}}, spec: {{replicas: {size}, template: {{spec: {{containers: [{{name: c, image: '{image}'}}]}}}}}}}}"
        )
    };
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 20, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}, template: {spec: {containers: [{name: c, image: 'b'}]}}}, status: {replicas: 10}}";
    let given = |most: &str| {
        format!(
            "{{controller: deployment-controller, operation: scale, objects: [{deployment}, {}, {}]}}",
            set("old", "a", 6, most),
            set("new", "b", 4, most)
        )
    };
    let nothing = "deployment.kubernetes.io/max-replicas: '0'";
    check(&[
        (&given(""), "{specReplicas: {old: 12, new: 8}}"),
        (&given(nothing), "{specReplicas: {old: 12, new: 8}}"),
    ]);
}

/// TestEvictionDryRun: all is asked, nothing is written.
#[test]
fn a_dry_run_charges_nothing() {
    let objects = "objects: [{apiVersion: v1, kind: Pod, metadata: {name: t1, namespace: default, labels: {a: b}}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}, {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: foo, namespace: default}, spec: {minAvailable: 1, selector: {matchLabels: {a: b}}}, status: {disruptionsAllowed: ALLOWED, currentHealthy: 2, desiredHealthy: 1, expectedPods: 2}}]";
    let of = |allowed: &str, options: &str| {
        let objects = objects.replace("ALLOWED", allowed);
        format!(
            "{{controller: eviction-subresource, operation: evict, {objects}, request: {{metadata: {{name: t1, namespace: default}}{options}}}}}"
        )
    };
    let dry = ", deleteOptions: {dryRun: [All]}";
    check(&[
        (&of("1", dry), "{result: podDeleted, pdbStatusUnchanged: true}"),
        (&of("0", dry), "{result: TooManyRequests, httpStatus: 429, pdbStatusUnchanged: true}"),
        (&of("1", ""), "{result: podDeleted, pdbStatusAfter: {disruptionsAllowed: 0}}"),
    ]);
}

/// TestResolveFenceposts, TestDeploymentTimedOut, TestRequeueStuckDeployment.
#[test]
fn rollouts_on_paper() {
    let of = |operation: &str, spec: &str, status: &str, more: &str| {
        format!(
            "{{controller: deployment-controller, operation: {operation}, now: '2026-01-01T12:00:00Z', objects: [{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{replicas: 3, {spec}}}, status: {{replicas: 3, updatedReplicas: 1, {status}}}}}]{more}}}"
        )
    };
    let posts = |surge: &str, unavailable: &str| {
        let spec = format!(
            "strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: {surge}, maxUnavailable: {unavailable}}}}}"
        );
        of("resolveFenceposts", &spec, "readyReplicas: 1", "")
    };
    let condition = |reason: &str, at: &str| {
        format!(
            "conditions: [{{type: Progressing, status: 'True', reason: {reason}, lastUpdateTime: '2026-01-01T{at}Z'}}]"
        )
    };
    let deadline = "progressDeadlineSeconds: 10";
    let (late, early) =
        (condition("ReplicaSetUpdated", "11:59:49"), condition("ReplicaSetUpdated", "11:59:51"));
    let timed_out =
        |spec: &str, status: &str, more: &str| of("deploymentTimedOut", spec, status, more);
    let requeue =
        |spec: &str, status: &str, more: &str| of("requeueStuckDeployment", spec, status, more);
    let done = format!(
        ", newStatus: {{replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3, {early}}}"
    );
    check(&[
        (&posts("oops", "39%"), "{error: true, maxSurgePods: 0, maxUnavailablePods: 0}"),
        (&posts("55%", "urg"), "{error: true, maxSurgePods: 0, maxUnavailablePods: 0}"),
        (&posts("1", "50%"), "{maxSurgePods: 1, maxUnavailablePods: 1}"),
        (&posts("0", "0%"), "{maxSurgePods: 0, maxUnavailablePods: 1}"),
        (&timed_out(deadline, &late, ""), "{timedOut: true}"),
        (&timed_out(deadline, &early, ""), "{timedOut: false}"),
        (
            &timed_out(deadline, "readyReplicas: 1", &format!(", newStatus: {{{late}}}")),
            "{timedOut: true}",
        ),
        (
            &timed_out(deadline, &condition("NewReplicaSetAvailable", "11:00:00"), ""),
            "{timedOut: false}",
        ),
        (
            &timed_out(
                "progressDeadlineSeconds: 2147483647",
                &condition("ReplicaSetUpdated", "11:00:00"),
                "",
            ),
            "{timedOut: false}",
        ),
        (&timed_out("paused: false", &late, ""), "{timedOut: false}"),
        (&requeue("progressDeadlineSeconds: 2147483647", &early, ""), "{requeueAfterSeconds: -1}"),
        (&requeue(deadline, "readyReplicas: 1", ""), "{requeueAfterSeconds: -1}"),
        (&requeue(deadline, &early, &done), "{requeueAfterSeconds: -1}"),
        (
            &requeue(deadline, &condition("ProgressDeadlineExceeded", "11:59:59"), ""),
            "{requeueAfterSeconds: -1}",
        ),
        (&requeue(deadline, &early, ""), "{requeueAfterSeconds: 1}"),
        (&requeue(deadline, &late, ""), "{requeueAfterSeconds: 0, requeueImmediately: true}"),
    ]);
}

/// TestGCOrphaned: nodes come and go while others are in quarantine.
#[test]
fn nodes_change_before_the_last_pass() {
    let pod = |name: &str, node: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {node}}}, status: {{phase: Running}}}}"
        )
    };
    let of = |nodes: &str, changes: &str| {
        format!(
            "{{controller: pod-garbage-collector, gcPassesAt: ['2026-01-01T12:00:00Z', '2026-01-01T12:00:41Z'], objects: [{}, {}{nodes}], changesBeforeLastPass: {changes}}}",
            pod("a", "node"),
            pod("b", "node")
        )
    };
    let node = "{apiVersion: v1, kind: Node, metadata: {name: node}}";
    let there = format!(", {node}");
    let kept = "{deletedPodsPerPass: [[], []]}";
    let gone = "{deletedPodsPerPass: [[], [a, b]], podsMarkedFailedFirst: [a, b]}";
    check(&[
        (&of("", "[]"), gone),
        (&of("", &format!("{{addedNodes: [{node}]}}")), kept),
        (&of("", "{createNodes: [node]}"), kept),
        (&of("", &format!("[{node}]")), kept),
        (&of("", &format!("[{{operation: create, object: {node}}}]")), kept),
        // It was there when its pods were looked at: the quarantine starts now.
        (&of(&there, "{deletedNodes: [node]}"), kept),
        (&of(&there, &format!("[{{operation: delete, object: {node}}}]")), kept),
    ]);
}

#[test]
fn costs_of_deletion_count_where_their_gate_is_on() {
    let pod = |name: &str, cost: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: {name}, creationTimestamp: '2026-01-01T11:00:00Z', annotations: {{controller.kubernetes.io/pod-deletion-cost: '{cost}'}}}}, spec: {{nodeName: n}}, status: {{phase: Running, conditions: [{{type: Ready, status: 'True', lastTransitionTime: '2026-01-01T11:00:00Z'}}]}}}}"
        )
    };
    let of = |gates: &str| {
        format!(
            "{{controller: replicaset-controller, operation: deletionOrder, now: '2026-01-01T12:00:00Z', replicaSet: rs{gates}, objects: [{}, {}]}}",
            pod("a", "10"),
            pod("b", "-5")
        )
    };
    check(&[
        (&of(""), "{order: [b, a]}"),
        (&of(", featureGates: {PodDeletionCost: false}"), "{order: [a, b]}"),
    ]);
}

/// TestStatefulSetControlRollingUpdateWithMaxUnavailable.
#[test]
fn several_pods_of_a_set_are_replaced_at_a_time() {
    let pod = |ordinal: u32, ready: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: web-{ordinal}, labels: {{controller-revision-hash: old}}}}, status: {{phase: Running, conditions: [{{type: Ready, status: '{ready}'}}]}}}}"
        )
    };
    let of = |policy: &str, pods: &[String]| {
        format!(
            "{{controller: statefulset-controller, operation: sync, featureGates: {{MaxUnavailableStatefulSet: true}}, objects: [{{apiVersion: apps/v1, kind: StatefulSet, metadata: {{name: web}}, spec: {{replicas: 4, podManagementPolicy: {policy}, updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: 1, maxUnavailable: 2}}}}}}, status: {{currentRevision: old, updateRevision: new}}}}, {}]}}",
            pods.join(", ")
        )
    };
    let pods = |unready: u32| -> Vec<String> {
        (0..4).map(|it| pod(it, if it == unready { "False" } else { "True" })).collect()
    };
    check(&[
        (&of("OrderedReady", &pods(9)), "{createdPods: [], deletedPods: [web-3, web-2]}"),
        (&of("Parallel", &pods(0)), "{createdPods: [], deletedPods: [web-3]}"),
    ]);
}

/// An eviction that waits goes on waiting, unless it was set at this very moment (processPodOnNode of
/// taint_eviction.go).
#[test]
fn evictions_that_wait() {
    let node = |value: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: n}}, spec: {{taints: [{{key: k, value: {value}, effect: NoExecute}}]}}}}"
        )
    };
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: default}, spec: {nodeName: n, containers: [{name: c, image: x}], tolerations: [{key: k, value: long, effect: NoExecute, tolerationSeconds: 100}, {key: k, value: short, effect: NoExecute, tolerationSeconds: 5}]}}";
    let of = |at: &str| {
        format!(
            "{{controller: taint-eviction-controller, startTime: '2026-01-01T12:00:00Z', simulateSeconds: 400, objects: [{}, {pod}], updates: [{{at: '2026-01-01T12:00:{at}Z', objects: [{}]}}]}}",
            node("long"),
            node("short"),
        )
    };
    let deleted_at = |secs: u32| {
        format!("{{podDeletions: [{{pod: default/p, atSeconds: {secs}}}], podsKept: []}}")
    };
    check(&[(&of("01"), &deleted_at(100)), (&of("00"), &deleted_at(5))]);
}

/// TestPodToEndpoint: what an endpoint takes over from pod, node and Service.
#[test]
fn endpoints_of_pods() {
    let of = |families: &str, hostname: &str| {
        format!(
            "{{controller: endpointslice-controller, operation: podToEndpoint, objects: [{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: default}}, spec: {{ipFamilies: [{families}]}}}}, {{apiVersion: v1, kind: Node, metadata: {{name: n1, labels: {{topology.kubernetes.io/zone: z1}}}}}}, {{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: default, uid: u}}, spec: {{nodeName: n1{hostname}, containers: []}}, status: {{phase: Running, conditions: [{{type: Ready, status: 'True'}}], podIP: 10.0.0.1, podIPs: [{{ip: 10.0.0.1}}, {{ip: 'fd00::1'}}]}}}}]}}"
        )
    };
    let endpoint = |address: &str, more: &str| {
        format!(
            "{{endpoint: {{addresses: ['{address}'], conditions: {{ready: true, serving: true, terminating: false}}, nodeName: n1, zone: z1, targetRef: {{kind: Pod, name: p, namespace: default, uid: u}}{more}}}}}"
        )
    };
    check(&[
        (&of("IPv4", ""), &endpoint("10.0.0.1", "")),
        (&of("IPv6", ""), &endpoint("fd00::1", "")),
        (&of("IPv4", ", hostname: a, subdomain: web"), &endpoint("10.0.0.1", ", hostname: a")),
    ]);
}

/// A node that is silent and comes back: times are known by the words in their names.
#[test]
fn timelines_of_silent_nodes() {
    let node = |name: &str| {
        format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: az-a}}}}, status: {{conditions: [{{type: Ready, status: 'True'}}]}}}}"
        )
    };
    let given = format!(
        "{{controller: node-lifecycle-controller, monitorPasses: timeline, monitorPassDurationSeconds: 0.01, startTime: '2026-01-01T12:00:00Z', simulateSeconds: 200, failedNodes: [{{node: a, lastRenewalBeforePass: 0}}], failedNodesReturnAt: '2026-01-01T12:01:40Z', objects: [{}, {}, {}, {}]}}",
        node("a"),
        node("b"),
        node("c"),
        node("d"),
    );
    check(&[(
        &given,
        "{readyUnknownAtSeconds: [50.1], unreachableNoExecuteTaintTimesSeconds: [50.1], noExecuteTaintRemovalTimesSeconds: [100.2], toleranceSeconds: 0.1, zoneStatesAtEnd: {'/az-a': Normal}}",
    )]);
}
