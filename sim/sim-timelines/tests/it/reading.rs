//! What is said of trace folders that are wrong, and what can be done in them.

use report_data::TimelineTrace;
use scenario_format::files::{Files, RawFile, ReadError};
use sim_timelines::{Read, compare, read};

/// One folder, `trace`.
struct OneFolder {
    scenario: String,
    summary: &'static str,
}

impl OneFolder {
    fn text(&self, name: &str) -> Option<&str> {
        match name {
            "trace/scenario.yaml" => Some(&self.scenario),
            "trace/summary.yaml" => Some(self.summary),
            _ => None,
        }
    }
}

impl Files for OneFolder {
    fn read(&self, path: &str) -> Result<Vec<RawFile>, ReadError> {
        let names = ["trace/scenario.yaml", "trace/summary.yaml"].into_iter();
        let asked = names.filter(|name| path == "trace" || *name == path);
        let file = |name: &str| {
            let bytes = self.text(name).unwrap_or_default().as_bytes().to_vec();
            RawFile { name: name.to_owned(), bytes }
        };
        let found: Vec<RawFile> = asked.map(file).collect();
        if found.is_empty() { Err(ReadError::Missing) } else { Ok(found) }
    }

    fn is_file(&self, path: &str) -> bool {
        self.text(path).is_some()
    }
}

const STAGE: &str = "\
id: small
kind: az-loss
nodes: [{zones: [a, b], perZone: 1, cpu: 4, memory: 16Gi, pods: 110}]
kubelet: {startDelay: 5, stopDelay: 1}
duration: 400
manifests:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: web}
  spec:
    replicas: 2
    selector: {matchLabels: {app: web}}
    template:
      metadata: {labels: {app: web}}
      spec:
        containers: [{name: main, image: app, resources: {requests: {cpu: 100m}}}]
        topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: web}}
        tolerations:
        - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {selector: {app: web}, ports: [{port: 80}]}
";

fn read_schedule(schedule: &str, summary: &'static str) -> Read {
    let scenario = format!("{STAGE}schedule: [{schedule}]\n");
    read(&["trace".to_owned()], &OneFolder { scenario, summary })
}

#[test]
fn what_is_wrong_with_a_schedule_is_said_at_its_place() {
    let cases = [
        ("{at: 0, op: kil, nodes: all}", "28:24: E0016: there is no operation `kil`"),
        ("{at: 0, nodes: all}", "28:12: E0013: an entry of `schedule` needs `op`"),
        ("{at: 0, op: kill}", "28:12: E0013: an operation needs `nodes`"),
        ("{at: 0, op: kill, nodes: zone=x}", "28:37: E0016: there is no zone `x`"),
        ("{at: 0, op: kill, nodes: [a-7]}", "28:38: E0016: there is no node `a-7`"),
        (
            "{at: 0, op: kill, nodes: all, node: x}",
            "28:42: E0012: an entry of `schedule` knows no `node`",
        ),
        (
            "{at: 0, op: scale, name: wep, replicas: 1}",
            "28:37: E0016: there is no workload `wep` that could be changed",
        ),
        ("{at: 0, op: kill, nodes: 'zone=a,x'}", "28:37: E0016: there is no zone `x`"),
        (
            "{at: 0, op: killLeader, component: etcd}",
            "28:47: E0011: expected kube-controller-manager or kube-scheduler, found text",
        ),
        ("{at: 0, op: evict, pods: wep}", "28:37: E0016: there is no workload `wep`"),
        ("{at: 0, op: taint, nodes: all, key: dedicated}", "28:12: E0013: a taint needs `effect`"),
        (
            "{at: 0, op: patch, kind: Node, name: a-0, patch: {metadata: {labels: {a: b}}}}",
            "28:61: E0014: of a Node `spec.unschedulable` or `spec.taints` may change",
        ),
        ("{at: 0, op: kill, nodes: {zone: x}}", "28:44: E0016: there is no zone `x`"),
        ("{at: 0, op: reboot, nodes: all}", "28:12: E0013: an operation needs `duration`"),
        ("{at: 0, op: rollback, name: web}", "28:40: E0014: there is no revision to go back to"),
        (
            "{at: 0, op: undo, name: wep}",
            "28:36: E0016: there is no workload `wep` that could be changed",
        ),
        (
            "{at: 0, op: delete, kind: Service, name: web}",
            "28:53: E0014: Service `web` is never deleted here",
        ),
        (
            "{at: 0, op: restart, component: etcd}",
            "28:44: E0011: expected kube-controller-manager or kube-apiserver, found text",
        ),
        (
            "{at: 0, op: patch, name: web, patch: [{op: replace, path: /spec/size, value: 3}]}",
            "28:37: E0014: there is nothing at `/spec/size`",
        ),
        (
            "{at: 0, op: patch, kind: Service, name: web, patch: {spec: {publishNotReadyAddresses: true}}}",
            "28:64: E0014: a patch of Service `web` changes what never changes here",
        ),
        (
            "{at: 0, op: patch, kind: Deployment, name: web, patch: {spec: {selector: {matchLabels: \
             {tier: b}}, template: {metadata: {labels: {tier: b}}}}}}",
            "28:67: E0014: a patch of Deployment `web` changes what never changes here",
        ),
    ];
    for (schedule, expected) in cases {
        let read = read_schedule(schedule, "{}\n");
        let said: Vec<String> =
            read.diagnostics.iter().map(|it| it.one_line(&read.sources)).collect();
        assert_eq!(said, [format!("trace/scenario.yaml:{expected}")], "{schedule}");
        assert!(read.traces.is_empty(), "{schedule}");
    }
}

const ELECTION: &str = "id: e\nkind: leader-election\nparameters: ";

/// Nothing that a file says makes the program run for ever or leave virtual time.
#[test]
fn what_no_recording_has_is_refused() {
    let stage = |what: &str| format!("{STAGE}{what}\n");
    let election = |what: &str| format!("{ELECTION}{what}\n");
    let cases = [
        (stage("settle: {wait: false, extra: 1e18}"), "{}\n"),
        (stage("flags: {kube-controller-manager: [--node-monitor-period=0s]}"), "{}\n"),
        (stage("flags: [--v=4]"), "{}\n"),
        (STAGE.replace("duration: 400", "duration: 0"), "{}\n"),
        (STAGE.replace("duration: 400\n", ""), "{}\n"),
        (stage("flags: {kube-controller-manager: [--node-monitor-grace-period=9e9h]}"), "{}\n"),
        (stage("schedule: [{at: 1e12, op: kill, nodes: all}]"), "{}\n"),
        (stage("schedule: [{at: 1, op: scale, name: web, replicas: 4e9}]"), "{}\n"),
        (election("{heartbeatIntervalMs: 100, electionTimeoutMs: 40}"), "{}\n"),
        (election("{heartbeatIntervalMs: 0}"), "{}\n"),
        (election("{members: 1}"), "{}\n"),
        (election("{leaseDuration: 15s}"), "election: {count: 1e12}\n"),
        (election("{leaseDuration: 15s}"), "election: {count: 0}\n"),
    ];
    for (scenario, summary) in cases {
        let folder = OneFolder { scenario: scenario.clone(), summary };
        let read = read(&["trace".to_owned()], &folder);
        assert_ne!(read.diagnostics, [], "{scenario}{summary}");
        assert!(
            read.diagnostics.iter().all(|said| said.one_line(&read.sources).contains(".yaml:"))
        );
    }
}

#[test]
fn a_short_election_timeout_is_played() {
    let scenario = format!("{ELECTION}{{heartbeatIntervalMs: 100, electionTimeoutMs: 500}}\n");
    let folder = OneFolder { scenario, summary: "election: {count: 3}\n" };
    let read = read(&["trace".to_owned()], &folder);
    assert_eq!(read.diagnostics, []);
    assert!(read.traces[0].simulate(1, 0).is_some());
}

fn compared(schedule: &str, summary: &'static str) -> TimelineTrace {
    compared_with(&format!("schedule: [{schedule}]\n"), summary)
}

fn compared_with(more: &str, summary: &'static str) -> TimelineTrace {
    let folder = OneFolder { scenario: format!("{STAGE}{more}"), summary };
    let read = read(&["trace".to_owned()], &folder);
    assert_eq!(read.diagnostics, []);
    let runs: Vec<_> = (0..30).map(|run| read.traces[0].simulate(1, run)).collect();
    compare(&read.traces[0], &runs)
}

const IMAGE: &str = "{spec: {template: {spec: {containers: [{name: main, image: other}]}}}}";

/// Recorded figures that must be covered, whatever the luck of a run.
#[test]
fn every_operation_does_what_it_says() {
    let cases: [(&str, &'static str); 47] = [
        // Pods are available when they have been ready for long enough.
        (
            "{at: 0, op: create, manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: \
             slow}, spec: {replicas: 1, minReadySeconds: 500, selector: {matchLabels: {app: slow}}, \
             template: {metadata: {labels: {app: slow}}, spec: {containers: [{name: main, image: \
             app}]}}}}]}",
            "{pods: {ready: {count: 1}}, deployments: {slow: {availableAtEnd: 0}}}",
        ),
        // A pod that is being deleted is disrupted all the same.
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 20, op: scale, name: web, replicas: 0}",
            "pods: {deleting: {count: 2}, disruption: {DeletionByTaintManager: {count: 1}}}",
        ),
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 20, op: scale, name: web, replicas: 0}, {at: 30, \
             op: deleteNodes, nodes: killed}",
            "pods: {deleting: {count: 2}, disruption: {DeletionByPodGC: {count: 1}}}",
        ),
        // On an out-of-service node the collector writes no condition.
        (
            "{at: 0, op: kill, nodes: ['zone=a']}, {at: 150, op: outOfService, nodes: a-0}",
            "{pods: {disruption: {DeletionByTaintManager: {count: 1}}}, zones: {a: \
             {taintOutOfService: {count: 1, first: 150}}}}",
        ),
        ("{at: 0, op: kill, nodes: 'zone=a,b'}", "zones: {b: {notReady: {count: 1}}}"),
        ("{at: 9, op: killLeader, nodes: [kcm]}", "election: {count: 1, minMs: 16000}"),
        // Paused from the start of the change until 40 s.
        (
            "{at: 7, op: patch, kind: Deployment, name: web, patch: {spec: {paused: true, template: \
             {spec: {containers: [{name: main, image: other}]}}}}}, {at: 40, op: patch, kind: \
             Deployment, name: web, patch: {spec: {paused: false}}}",
            "{pods: {created: {count: 2}}, deployments: {web: {completeAt: 50.5}}}",
        ),
        (
            "{at: 5, op: patch, kind: Deployment, name: web, patch: {spec: {strategy: {type: \
             Recreate, rollingUpdate: null}}}}, {at: 10, op: patch, kind: Deployment, name: web, \
             patch: {spec: {template: {spec: {containers: [{name: main, image: other}]}}}}}",
            "deployments: {web: {minAvailable: 0, completeAt: 16.2}}",
        ),
        (
            "{at: 0, op: create, manifests: [{apiVersion: apps/v1, kind: StatefulSet, metadata: \
             {name: db}, spec: {replicas: 2, serviceName: db, selector: {matchLabels: {app: db}}, \
             updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 1}}, template: \
             {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: app}]}}}}]}, \
             {at: 30, op: patch, name: db, patch: {spec: {template: {spec: {containers: [{name: \
             main, image: other}]}}}}}, {at: 60, op: patch, name: db, patch: {spec: \
             {updateStrategy: {rollingUpdate: {partition: 0}}}}}",
            "pods: {deleting: {count: 2, first: 30, last: 60}}",
        ),
        (
            "{at: 0, op: create, manifests: [{apiVersion: policy/v1, kind: PodDisruptionBudget, \
             metadata: {name: web}, spec: {maxUnavailable: 0, selector: {matchLabels: {app: \
             web}}}}]}, {at: 1, op: drain, nodes: zone=a}, {at: 60, op: patch, kind: \
             PodDisruptionBudget, name: web, patch: {spec: {maxUnavailable: 1}}}",
            "pods: {deleting: {count: 1, first: 62.5}}",
        ),
        // More than one budget: no eviction is ever allowed.
        (
            "{at: 0, op: create, manifests: [{apiVersion: policy/v1, kind: PodDisruptionBudget, \
             metadata: {name: one}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: \
             web}}}}, {apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: two}, \
             spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}}]}, {at: 1, op: drain, \
             nodes: zone=a}",
            "{pods: {deleting: {count: 0}}, evictionApi: {answers: {'500': 1}}}",
        ),
        (
            "{at: 0, op: create, manifests: [{apiVersion: autoscaling/v2, kind: \
             HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: \
             apps/v1, kind: Deployment, name: web}, minReplicas: 1, maxReplicas: 9, metrics: \
             [{type: Resource, resource: {name: cpu, target: {type: Utilization, \
             averageUtilization: 50}}}]}}]}, {at: 30, op: patch, kind: HorizontalPodAutoscaler, \
             name: web, patch: {spec: {minReplicas: 3}}}",
            "deployments: {web: {availableAtEnd: 3}}",
        ),
        ("{at: 0, op: kill, nodes: zone=a}", "pods: {deleting: {count: 1}, gone: {count: 0}}"),
        (
            "{at: 0, op: kill, nodes: [a-0]}, {at: 100, op: revive, nodes: killed}",
            "pods: {gone: {count: 1, first: 101}}",
        ),
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 150, op: outOfService, nodes: killed}",
            "pods: {gone: {count: 1}, atEndByZone: {b: 2}}",
        ),
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 150, op: deleteNodes, nodes: killed}",
            "{zones: {a: {deleted: {count: 1}}}, pods: {gone: {count: 1}}}",
        ),
        (
            "{at: 0, op: cordon, nodes: [a-0]}, {at: 1, op: scale, name: web, replicas: 4}",
            "pods: {created: {count: 2}, atEndByZone: {a: 1, b: 3}}",
        ),
        (
            "{at: 0, op: drain, nodes: zone=a}",
            "{pods: {atEndByZone: {b: 2}}, evictionApi: {answers: {'201': 1}}}",
        ),
        (
            "{at: 0, op: patch, kind: deployment, name: web, patch: {spec: {replicas: 3}}}",
            "{pods: {created: {count: 1}}, deployments: {web: {availableAtEnd: 3}}}",
        ),
        (
            "{at: 7, op: patch, name: web, patch: {spec: {template: {spec: {containers: [{name: \
             main, image: other}]}}}}}",
            "{pods: {created: {count: 2}, gone: {count: 2}}, deployments: {web: {patchedAt: 7}}}",
        ),
        (
            "{at: 9, op: create, manifests: [{apiVersion: apps/v1, kind: Deployment, metadata: \
             {name: two}, spec: {replicas: 1, selector: {matchLabels: {app: two}}, template: \
             {metadata: {labels: {app: two}}, spec: {containers: [{name: main, image: app}]}}}}]}",
            "pods: {created: {count: 1, first: 9}, bound: {count: 1}}",
        ),
        (
            "{at: 0, op: patch, kind: Node, name: a-0, patch: {spec: {unschedulable: true}}}, {at: 1, \
             op: scale, name: web, replicas: 4}",
            "pods: {created: {count: 2}, atEndByZone: {a: 1, b: 3}}",
        ),
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 150, op: taint, nodes: killed, key: \
             node.kubernetes.io/out-of-service, value: nodeshutdown, effect: NoExecute}",
            "pods: {gone: {count: 1}, atEndByZone: {b: 2}}",
        ),
        (
            "{at: 0, op: evict, pods: web}",
            "{pods: {deleting: {count: 2}, disruption: {EvictionByEvictionAPI: {count: 2}}}, \
             evictionApi: {answers: {'201': 2}}}",
        ),
        (
            "{at: 0, op: deletePods, pods: [web]}",
            "pods: {deleting: {count: 2}, created: {count: 2}}",
        ),
        (
            "{at: 0, op: create, manifests: [{apiVersion: apps/v1, kind: StatefulSet, metadata: \
             {name: db}, spec: {replicas: 2, serviceName: db, selector: {matchLabels: {app: db}}, \
             template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: \
             app}]}}}}]}, {at: 30, op: deletePods, pods: db-1}",
            "{pods: {deleting: {count: 1, first: 30}, nominated: {count: 0}}, statefulsets: {db: \
             {availableAtEnd: 2, maxReplicas: 2}}}",
        ),
        // Nodes that come later take the pods that fitted nowhere.
        (
            "{at: 0, op: patch, name: web, patch: {spec: {template: {spec: {topologySpreadConstraints: \
             [{topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, maxSkew: 1}]}}, \
             strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}}}}, {at: 60, op: addNodes, \
             zones: [c], perZone: 1, cpu: 4, memory: 16Gi, pods: 110}, {at: 90, op: scale, name: web, \
             replicas: 3}",
            "pods: {atEndByZone: {a: 1, b: 1, c: 1}}",
        ),
        (
            "{at: 0, op: cordon, nodes: all}, {at: 1, op: scale, name: web, replicas: 3}, {at: 40, op: \
             addNodes, nodes: [{zones: [a], perZone: 2, cpu: 4, memory: 16Gi, pods: 110}]}",
            "{zones: {a: {readyAgain: {first: null}}}, pods: {bound: {count: 1, first: 40}, atEndByZone: \
             {a: 2, b: 1}}}",
        ),
        // There and back again: the old ReplicaSet.
        (
            "{at: 7, op: patch, name: web, patch: IMAGE}, {at: 60, op: rollback, name: web}",
            "{pods: {created: {count: 4}}, deployments: {web: {availableAtEnd: 2}}}",
        ),
        (
            "{at: 7, op: patch, name: web, patch: IMAGE}, {at: 60, op: undo, name: web}, {at: 120, op: \
             undo, kind: Deployment, name: web, toRevision: 2}",
            "{pods: {created: {count: 6}}}",
        ),
        ("{at: 7, op: restart, name: web}", "{pods: {created: {count: 2}, gone: {count: 2}}}"),
        (
            "{at: 7, op: pause, name: web}, {at: 8, op: patch, name: web, patch: IMAGE}, {at: 90, op: \
             resume, name: web}",
            "pods: {created: {count: 2, first: 90}}",
        ),
        // From outside a partition is a loss.
        (
            "{at: 0, op: partition, nodes: zone=a}, {at: 100, op: heal, nodes: killed}",
            "pods: {gone: {count: 1, first: 101}}",
        ),
        // Lost for less than the grace period, but its containers start anew.
        (
            "{at: 10, op: reboot, nodes: a-0, duration: 20}",
            "{zones: {a: {notReady: null}}, pods: {deleting: {count: 0}, unready: {count: 1}}}",
        ),
        ("{at: 9, op: restart, component: kube-controller-manager}", "election: {count: 1}"),
        (
            "{at: 9, op: restart, component: kube-apiserver, duration: 30}, {at: 10, op: kill, nodes: \
             a-0}",
            "zones: {a: {notReady: {count: 1}}}",
        ),
        ("{at: 0, op: kill, nodes: {zone: a, count: 1}}", "zones: {a: {notReady: {count: 1}}}"),
        ("{at: 0, op: kill, nodes: all, count: 1}", "zones: {a: {notReady: {count: 1}}}"),
        ("{at: 0, op: kill, nodes: 'b-*'}", "zones: {b: {notReady: {count: 1}}}"),
        // Whoever deletes by force does not wait for the kubelet.
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 150, op: deletePods, nodes: killed, grace: 0}",
            "pods: {gone: {count: 1, first: 150}, atEndByZone: {b: 2}}",
        ),
        (
            "{at: 0, op: kill, nodes: zone=a}, {at: 150, op: deletePods, pods: terminating, force: true}",
            "pods: {gone: {count: 1, first: 150}}",
        ),
        // Taints that anybody may set.
        (
            "{at: 5, op: taint, nodes: zone=a, key: maintenance, effect: NoExecute}",
            "pods: {deleting: {count: 1, first: 5}, disruption: {DeletionByTaintManager: {count: 1}}, \
             atEndByZone: {b: 2}}",
        ),
        (
            "{at: 5, op: taint, nodes: a-0, taint: {key: maintenance, effect: NoSchedule}}, {at: 6, op: \
             scale, name: web, replicas: 4}, {at: 60, op: untaint, nodes: a-0, key: maintenance}",
            "pods: {atEndByZone: {a: 1, b: 3}}",
        ),
        (
            "{at: 5, op: patch, kind: Node, name: a-0, patch: {spec: {taints: [{key: x, effect: \
             NoExecute}]}}}",
            "pods: {deleting: {count: 1, first: 5}}",
        ),
        // What is written again counts, whatever somebody said meanwhile.
        (
            "{at: 5, op: scale, name: web, replicas: 5}, {at: 60, op: patch, name: web, type: merge, \
             patch: {spec: {replicas: 2}}}",
            "deployments: {web: {availableAtEnd: 2, maxReplicas: 5}}",
        ),
        (
            "{at: 5, op: patch, name: web, patch: [{op: replace, path: /spec/replicas, value: 4}]}",
            "deployments: {web: {availableAtEnd: 4}}",
        ),
        (
            "{at: 60, op: delete, kind: Deployment, name: web}",
            "pods: {deleting: {count: 2, first: 60}, gone: {count: 2}, atEndByZone: {a: 0}}",
        ),
    ];
    for (schedule, summary) in cases {
        let schedule = schedule.replace("IMAGE", IMAGE);
        let trace = compared(&schedule, summary);
        assert!(trace.figure_count > 0, "{schedule}");
        let missed: Vec<_> = trace.figures.iter().filter(|figure| !figure.is_covered).collect();
        assert!(missed.is_empty(), "{schedule}: {missed:?}");
    }
}

/// What a recorder says beside what can be played is left out with a warning.
#[test]
fn what_is_not_simulated_is_left_out() {
    let cases = [
        "services: [web]\n",
        "settle: {until: ready}\n",
        "load: {app: web, memory: 7, points: [[0, 100]]}\n",
        "load: {app: web, points: [[0, 100, 7]]}\n",
        "schedule: [{at: 0, op: kill, nodes: all, comment: dark}]\n",
        "flags: {kube-apiserver: [--max-requests-inflight=9]}\n",
    ];
    for more in cases {
        let folder = OneFolder { scenario: format!("{STAGE}{more}"), summary: "{}\n" };
        let read = read(&["trace".to_owned()], &folder);
        let codes: Vec<_> = read.diagnostics.iter().map(|it| it.code).collect();
        assert_eq!(codes, [scenario_format::Code::W0271], "{more}");
        assert_eq!(read.traces.len(), 1, "{more}");
    }
}

/// Groups of nodes in the ways in which recorders write them.
#[test]
fn nodes_are_as_many_as_a_group_says() {
    let cases = [
        "{perZone: {a: 2, b: 1}, allocatable: {cpu: 4, memory: 16Gi, pods: 110}}",
        "{zones: [a], perZone: 2, cpu: 4, memory: 16Gi, pods: 110, ephemeral-storage: 9Gi}, {zones: \
         [b], perZone: 1, cpu: 4, memory: 16Gi, pods: 110, unschedulable: false}",
    ];
    for groups in cases {
        let (before, after) = STAGE.split_once("nodes: [").expect("it has nodes");
        let (_, after) = after.split_once("]\nkubelet").expect("kubelets come next");
        let scenario = format!(
            "{before}nodes: [{groups}]\nkubelet{after}schedule: [{{at: 0, op: kill, nodes: all}}]\n"
        );
        let summary = "zones: {a: {notReady: {count: 2}}, b: {notReady: {count: 1}}}\n";
        let read = read(&["trace".to_owned()], &OneFolder { scenario, summary });
        assert_eq!(read.diagnostics, [], "{groups}");
        let runs: Vec<_> = (0..3).map(|run| read.traces[0].simulate(1, run)).collect();
        let trace = compare(&read.traces[0], &runs);
        assert_eq!((trace.figure_count, trace.covered_count), (2, 2), "{groups}");
    }
}

/// The recorder serves CPU alone: a metric of memory fails, and lets nothing be scaled down.
#[test]
fn a_metric_of_memory_keeps_an_autoscaler_from_scaling_down() {
    let metric = |name: &str| {
        format!(
            "{{type: Resource, resource: {{name: {name}, target: {{type: Utilization, \
             averageUtilization: 50}}}}}}"
        )
    };
    let both = format!("{}, {}", metric("memory"), metric("cpu"));
    for (metrics, summary) in [
        (metric("cpu"), "hpa: {web: {desiredAtEnd: 1}}\n"),
        (both, "hpa: {web: {desiredAtEnd: 2}}\n"),
    ] {
        let more = format!(
            "load: {{app: web, cap: 1000, points: [[-99, 100], [0, 100], [0, 4]]}}\nflags: \
             {{kube-controller-manager: [--horizontal-pod-autoscaler-downscale-stabilization=0s]}}\n\
             schedule: [{{at: 0, op: create, manifests: [{{apiVersion: autoscaling/v2, kind: \
             HorizontalPodAutoscaler, metadata: {{name: web}}, spec: {{scaleTargetRef: {{apiVersion: \
             apps/v1, kind: Deployment, name: web}}, minReplicas: 1, maxReplicas: 9, metrics: \
             [{metrics}]}}}}]}}]\n"
        );
        let trace = compared_with(&more, summary);
        assert_eq!((trace.figure_count, trace.covered_count), (1, 1), "{metrics}");
    }
}

#[test]
fn a_figure_that_nothing_simulates_is_not_covered() {
    let trace = compared("", "service: {web: {readyAtStart: 2, happiness: 7}}");
    let covered: Vec<_> =
        trace.figures.iter().map(|it| (it.name.as_str(), it.is_covered)).collect();
    assert_eq!(covered, [("service.web.readyAtStart", true), ("service.web.happiness", false)]);
    assert_eq!((trace.figure_count, trace.covered_count), (2, 1));
}

/// An autoscaler's metrics change while it runs, an object is written anew, and autoscalers go.
#[test]
fn autoscalers_change_and_go() {
    let autoscaler = |share: u32| {
        format!(
            "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: web}}, \
             spec: {{scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}, minReplicas: \
             2, maxReplicas: 9, metrics: [{{type: Resource, resource: {{name: cpu, target: {{type: \
             Utilization, averageUtilization: {share}}}}}}}]}}}}"
        )
    };
    let metrics = "{spec: {metrics: [{type: Resource, resource: {name: cpu, target: {type: \
                   Utilization, averageUtilization: 25}}}]}}";
    let name = "kind: HorizontalPodAutoscaler, name: web";
    for (change, summary) in [
        (String::new(), "deployments: {web: {availableAtEnd: 3}}\n"),
        (
            format!("{{at: 90, op: patch, {name}, patch: {metrics}}}"),
            "deployments: {web: {availableAtEnd: 6}}\n",
        ),
        (
            format!("{{at: 90, op: apply, object: {}}}", autoscaler(30)),
            "deployments: {web: {availableAtEnd: 5}}\n",
        ),
        (
            format!(
                "{{at: 90, op: delete, {name}}}, {{at: 100, op: scale, name: web, replicas: 1}}"
            ),
            "deployments: {web: {availableAtEnd: 1}}\n",
        ),
    ] {
        let more = format!(
            "load: {{app: web, cap: 1000, points: [[-99, 150], [9999, 150]]}}\nschedule: [{{at: 0, op: \
             create, object: {}}}, {change}]\n",
            autoscaler(50)
        );
        let trace = compared_with(&more, summary);
        assert_eq!((trace.figure_count, trace.covered_count), (1, 1), "{change}");
    }
}

/// Extended resources of nodes, however they are written, and several loads.
#[test]
fn nodes_have_extended_resources() {
    for stated in [
        "example.com/chip: 1",
        "extended: {example.com/chip: 1}",
        "resources: {example.com/chip: '1'}",
        "allocatable: {example.com/chip: 1}",
    ] {
        let scenario = STAGE.replace("pods: 110}", &format!("pods: 110, {stated}}}"));
        let scenario = scenario.replace("{cpu: 100m}", "{cpu: 100m, example.com/chip: 1}");
        let scenario =
            format!("{scenario}schedule: [{{at: 0, op: scale, name: web, replicas: 3}}]\n");
        let summary = "pods: {unschedulable: {count: 1}, atEndByZone: {a: 1, b: 1, pending: 1}}\n";
        let read = read(&["trace".to_owned()], &OneFolder { scenario, summary });
        assert_eq!(read.diagnostics, [], "{stated}");
        let runs: Vec<_> = (0..3).map(|run| read.traces[0].simulate(1, run)).collect();
        let trace = compare(&read.traces[0], &runs);
        assert_eq!(trace.figure_count, trace.covered_count, "{stated}: {:?}", trace.figures);
    }
}
