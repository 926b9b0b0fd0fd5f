//! The one table that says how far each kind and field is modelled.
//!
//! A field that is in no row is not modelled. Rows of a pod template hold for every kind that has one.

use super::Fidelity::{self, Approximated as A, Modelled as M, NotModelled as N};

/// A row: path, how far, what that means.
pub(super) type Row = (&'static str, Fidelity, &'static str);

/// What is known of a kind.
pub(super) struct KindRows {
    /// API group, empty for the core group.
    pub(super) group: &'static str,
    /// `kind`.
    pub(super) kind: &'static str,
    /// How far the kind as such is modelled.
    pub(super) fidelity: Fidelity,
    /// What that means.
    pub(super) note: &'static str,
    /// Where its pod template stands, empty when it has none.
    pub(super) template: &'static str,
    /// Its fields.
    pub(super) rows: &'static [Row],
}

/// Fields below a pod template.
pub(super) const POD: &[Row] = &[
    ("metadata.annotations", N, ""),
    ("metadata.labels", M, ""),
    ("spec.affinity", M, "as kube-scheduler's default profile"),
    ("spec.containers[].env[].name", N, ""),
    (
        "spec.containers[].env[].value",
        A,
        "a value such as name:port of a Service is taken as a call to it",
    ),
    ("spec.containers[].image", A, "pulled once a node, in a time drawn from a range"),
    (
        "spec.containers[].lifecycle.preStop.exec",
        A,
        "`sleep N` counts, any other command takes no time",
    ),
    ("spec.containers[].lifecycle.preStop.sleep", M, ""),
    (
        "spec.containers[].livenessProbe",
        A,
        "read, and checked for mistakes; no fault makes it fail yet",
    ),
    ("spec.containers[].name", M, ""),
    ("spec.containers[].ports[].containerPort", M, ""),
    ("spec.containers[].ports[].hostIP", M, ""),
    ("spec.containers[].ports[].hostPort", M, ""),
    ("spec.containers[].ports[].name", M, ""),
    ("spec.containers[].ports[].protocol", M, ""),
    (
        "spec.containers[].readinessProbe",
        A,
        "decides when a started container serves; a running one passes",
    ),
    (
        "spec.containers[].resources.limits",
        A,
        "requests and capacity of a pod follow from them; no throttling, no OOM kill",
    ),
    ("spec.containers[].resources.requests", M, ""),
    ("spec.containers[].startupProbe", A, "delays readiness; a start never fails"),
    ("spec.hostNetwork", M, "host ports"),
    ("spec.initContainers[].image", A, "pulled once a node, in a time drawn from a range"),
    ("spec.initContainers[].name", A, "runs for as long as a container takes to start"),
    ("spec.initContainers[].resources", M, ""),
    ("spec.initContainers[].restartPolicy", M, "a sidecar's requests count"),
    ("spec.nodeName", M, ""),
    ("spec.nodeSelector", M, ""),
    ("spec.overhead", M, ""),
    ("spec.preemptionPolicy", M, ""),
    ("spec.priority", M, "order of the scheduling queue, and who may preempt whom"),
    ("spec.priorityClassName", M, "order of the scheduling queue, and who may preempt whom"),
    ("spec.resources.limits", A, "only where no request is stated"),
    ("spec.resources.requests", M, ""),
    ("spec.restartPolicy", M, ""),
    ("spec.terminationGracePeriodSeconds", M, ""),
    ("spec.tolerations", M, ""),
    ("spec.topologySpreadConstraints", M, ""),
    ("spec.volumes[].name", N, ""),
    ("spec.volumes[].persistentVolumeClaim", M, "where the pod may run"),
];

macro_rules! kind {
    ($group:literal $kind:literal $fidelity:ident $note:expr, $template:literal, [$($row:expr),* $(,)?]) => {
        KindRows {
            group: $group, kind: $kind, fidelity: $fidelity, note: $note, template: $template,
            rows: &[$($row),*],
        }
    };
}

/// Kinds that are known, by group and name.
pub(super) const KINDS: &[KindRows] = &[
    kind!("" "ConfigMap" N "", "", []),
    kind!("" "LimitRange" N "its defaults are not filled in", "", []),
    kind!("" "Namespace" A "its name", "", []),
    kind!("" "Node" N "nodes come from the node pools of the Platform", "", []),
    kind!("" "PersistentVolume" N "", "", []),
    kind!("" "PersistentVolumeClaim" M "", "", [
        ("spec.accessModes", M, "whether one node or many mount it"),
        ("spec.resources.requests", N, "volumes do not fill up"),
        ("spec.storageClassName", M, "whether the volume is bound to a zone"),
    ]),
    kind!("" "Pod" M "", "", []),
    kind!("" "ResourceQuota" N "creation never fails for a quota", "", []),
    kind!("" "Secret" N "", "", []),
    kind!("" "Service" M "", "", [
        ("spec.clusterIP", A, "whether it is headless"),
        ("spec.ports", A, "names and targets are checked; all ports share one capacity"),
        ("spec.publishNotReadyAddresses", M, ""),
        ("spec.selector", M, ""),
        ("spec.trafficDistribution", N, "traffic is spread over all zones"),
        ("spec.type", A, "whether requests come from outside"),
    ]),
    kind!("" "ServiceAccount" N "", "", []),
    kind!("admissionregistration.k8s.io" "MutatingWebhookConfiguration" A "whether pods may be created while its Service does not answer; it changes none", "", [
        ("webhooks[].admissionReviewVersions", N, ""),
        ("webhooks[].clientConfig.service", M, ""),
        ("webhooks[].clientConfig.url", A, "what stands outside the cluster answers"),
        ("webhooks[].failurePolicy", M, ""),
        ("webhooks[].matchConditions", N, "it is asked about every pod that rules and selectors name"),
        ("webhooks[].namespaceSelector", M, ""),
        ("webhooks[].objectSelector", M, "against the labels of the pod template"),
        ("webhooks[].rules", A, "the creation of pods; other requests are not held up"),
        ("webhooks[].timeoutSeconds", M, ""),
    ]),
    kind!("admissionregistration.k8s.io" "ValidatingWebhookConfiguration" A "whether pods may be created while its Service does not answer; it refuses none when it does", "", [
        ("webhooks[].admissionReviewVersions", N, ""),
        ("webhooks[].clientConfig.service", M, ""),
        ("webhooks[].clientConfig.url", A, "what stands outside the cluster answers"),
        ("webhooks[].failurePolicy", M, ""),
        ("webhooks[].matchConditions", N, "it is asked about every pod that rules and selectors name"),
        ("webhooks[].namespaceSelector", M, ""),
        ("webhooks[].objectSelector", M, "against the labels of the pod template"),
        ("webhooks[].rules", A, "the creation of pods; other requests are not held up"),
        ("webhooks[].timeoutSeconds", M, ""),
    ]),
    kind!("apps" "DaemonSet" M "", "spec.template", [
        ("spec.minReadySeconds", M, ""),
        ("spec.selector", M, ""),
        ("spec.updateStrategy", M, ""),
    ]),
    kind!("apps" "Deployment" M "", "spec.template", [
        ("spec.minReadySeconds", M, ""),
        ("spec.progressDeadlineSeconds", M, "a rollout that exceeds it is told"),
        ("spec.replicas", M, ""),
        ("spec.revisionHistoryLimit", N, "every ReplicaSet is kept, so that a rollback finds its own"),
        ("spec.selector", M, ""),
        ("spec.strategy", M, ""),
    ]),
    kind!("apps" "ReplicaSet" M "", "spec.template", [
        ("spec.minReadySeconds", M, ""),
        ("spec.replicas", M, ""),
        ("spec.selector", M, ""),
    ]),
    kind!("apps" "StatefulSet" M "", "spec.template", [
        ("spec.minReadySeconds", M, ""),
        ("spec.ordinals", M, ""),
        ("spec.podManagementPolicy", M, ""),
        ("spec.replicas", M, ""),
        ("spec.selector", M, ""),
        ("spec.serviceName", N, "pods are not reached by their own names"),
        ("spec.updateStrategy", A, "maxUnavailable has no effect while its feature gate is off, as by default"),
        ("spec.volumeClaimTemplates", M, "a pod stays with its volume's zone; volumes do not fill up"),
    ]),
    kind!("autoscaling" "HorizontalPodAutoscaler" M "as the controller decides, every 15 s", "", [
        ("spec.behavior", M, ""),
        ("spec.maxReplicas", M, ""),
        ("spec.metrics[].containerResource", A, "as resource; what a pod uses is divided among its containers by their requests"),
        ("spec.metrics[].external", N, "no such metric is played: it takes no part in decisions"),
        ("spec.metrics[].object", N, "no such metric is played: it takes no part in decisions"),
        ("spec.metrics[].pods", N, "no such metric is played: it takes no part in decisions"),
        ("spec.metrics[].resource", A, "CPU is what the load costs; other resources take no part in decisions"),
        ("spec.metrics[].type", M, ""),
        ("spec.minReplicas", M, ""),
        ("spec.scaleTargetRef", M, ""),
        ("spec.targetCPUUtilizationPercentage", M, "autoscaling/v1"),
    ]),
    kind!("batch" "CronJob" N "checked for its schedule", "", []),
    kind!("batch" "Job" A "its pods run, and never complete", "spec.template", [
        ("spec.backoffLimit", M, ""),
        ("spec.completions", N, ""),
        ("spec.parallelism", M, ""),
        ("spec.selector", M, ""),
    ]),
    kind!("gateway.networking.k8s.io" "HTTPRoute" A "exposes the Services it leads to", "", [
        ("spec.hostnames", A, "all hosts reach the Service"),
        ("spec.parentRefs", A, "by name"),
        ("spec.rules", A, "each backend is exposed; paths, weights and filters are left aside"),
    ]),
    kind!("helm.toolkit.fluxcd.io" "HelmRelease" N "render the chart and pass its manifests", "", []),
    kind!("networking.k8s.io" "Ingress" A "exposes the Services it leads to", "", [
        ("spec.defaultBackend", A, "its Service is exposed"),
        ("spec.ingressClassName", N, "`via` of a load says which gateway requests pass"),
        ("spec.rules", A, "each backend is exposed; paths are left aside"),
        ("spec.tls", N, ""),
    ]),
    kind!("networking.k8s.io" "NetworkPolicy" N "nothing is blocked", "", []),
    kind!("policy" "PodDisruptionBudget" M "drains, upgrades and preemption ask it", "", [
        ("spec.maxUnavailable", M, ""),
        ("spec.minAvailable", M, ""),
        ("spec.selector", M, ""),
        ("spec.unhealthyPodEvictionPolicy", M, ""),
    ]),
    kind!("postgresql.cnpg.io" "Cluster" M "instances, their Services and failover", "", [
        ("spec.affinity.additionalPodAffinity", M, ""),
        ("spec.affinity.additionalPodAntiAffinity", M, ""),
        ("spec.affinity.enablePodAntiAffinity", M, ""),
        ("spec.affinity.nodeAffinity", M, ""),
        ("spec.affinity.nodeSelector", M, ""),
        ("spec.affinity.podAntiAffinityType", M, ""),
        ("spec.affinity.tolerations", M, ""),
        ("spec.affinity.topologyKey", M, ""),
        ("spec.backup", N, "state it under `backups` of the Platform"),
        ("spec.enablePDB", N, "the budgets that the operator makes select by role"),
        ("spec.failoverDelay", M, ""),
        ("spec.imageName", A, "pulled once a node, in a time drawn from a range"),
        ("spec.instances", M, ""),
        ("spec.maxSyncReplicas", A, "as synchronous with dataDurability: preferred"),
        ("spec.minSyncReplicas", N, "the operator ignores it too when standbys are missing"),
        ("spec.postgresql.synchronous.dataDurability", M, ""),
        ("spec.postgresql.synchronous.failoverQuorum", M, ""),
        ("spec.postgresql.synchronous.method", M, ""),
        ("spec.postgresql.synchronous.number", M, ""),
        ("spec.priorityClassName", M, "order of the scheduling queue, and who may preempt whom"),
        ("spec.resources.limits", A, "requests and capacity follow from them"),
        ("spec.resources.requests", M, ""),
        ("spec.stopDelay", M, "as the grace period of an instance"),
        ("spec.storage.size", N, "volumes do not fill up"),
        ("spec.storage.storageClass", A, "instances take volumes of the default class"),
        ("spec.topologySpreadConstraints", M, ""),
    ]),
    kind!("postgresql.cnpg.io" "Pooler" N "clients reconnect within a stated range of time", "", []),
    kind!("postgresql.cnpg.io" "ScheduledBackup" N "checked for its schedule; state it under `backups` of the Platform", "", []),
    kind!("rbac.authorization.k8s.io" "ClusterRole" N "", "", []),
    kind!("rbac.authorization.k8s.io" "ClusterRoleBinding" N "", "", []),
    kind!("rbac.authorization.k8s.io" "Role" N "", "", []),
    kind!("rbac.authorization.k8s.io" "RoleBinding" N "", "", []),
    kind!("scheduling.k8s.io" "PriorityClass" M "order of the scheduling queue, and who may preempt whom", "", [
        ("description", N, ""),
        ("globalDefault", M, ""),
        ("preemptionPolicy", M, ""),
        ("value", M, ""),
    ]),
    kind!("source.toolkit.fluxcd.io" "GitRepository" N "", "", []),
    kind!("source.toolkit.fluxcd.io" "HelmRepository" N "", "", []),
    kind!("source.toolkit.fluxcd.io" "OCIRepository" N "", "", []),
    kind!("storage.k8s.io" "StorageClass" M "", "", [
        ("provisioner", A, "file systems are shared, block devices bound to their zone"),
        ("volumeBindingMode", N, "a volume is made in the zone of its first pod"),
    ]),
    kind!("velero.io" "Schedule" N "checked for its schedule; state it under `backups` of the Platform", "", []),
];
