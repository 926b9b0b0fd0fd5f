//! Pods: what a template says.

use std::collections::BTreeMap;

use sim_kernel::SimSpan;

use super::affinity::Affinity;
use super::node::Toleration;
use super::secret::ConfigurationSource;
use super::selector::{LabelSelector, Labels};
use crate::usage::EmptyDir;

/// Amounts by resource name: `cpu` in millicores, all others in their base unit. Absent and zero
/// differ: a container that states no request is scored with a default, one that states 0 is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceList(pub BTreeMap<String, i64>);

impl ResourceList {
    /// Name of the CPU resource.
    pub const CPU: &'static str = "cpu";
    /// Name of the memory resource.
    pub const MEMORY: &'static str = "memory";
    /// Name of the resource that counts pods on a node.
    pub const PODS: &'static str = "pods";
    /// Name of local scratch space.
    pub const EPHEMERAL_STORAGE: &'static str = "ephemeral-storage";

    /// The amount of a resource, if stated.
    pub fn get(&self, name: &str) -> Option<i64> {
        self.0.get(name).copied()
    }

    /// CPU in millicores, if stated.
    pub fn cpu_millis(&self) -> Option<i64> {
        self.get(Self::CPU)
    }

    /// Memory in bytes, if stated.
    pub fn memory_bytes(&self) -> Option<i64> {
        self.get(Self::MEMORY)
    }
}

/// A pod template, or a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodTemplate {
    /// `metadata.labels`.
    pub labels: Labels,
    /// `metadata.annotations`.
    pub annotations: Labels,
    /// `spec`.
    pub spec: PodSpec,
}

/// `PodSpec`, as far as it is modelled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// `initContainers`, in order; sidecars are those with `restart_always`.
    pub init_containers: Vec<Container>,
    /// `containers`, in order.
    pub containers: Vec<Container>,
    /// `overhead`.
    pub overhead: ResourceList,
    /// Pod-level `resources.requests`; a resource named here replaces the containers' aggregate.
    pub requests: ResourceList,
    /// Thousandths by which an amount in `requests` is more than what was written.
    pub rounded_up_millis: ResourceList,
    /// Pod-level `resources.limits`.
    pub limits: ResourceList,
    /// What the status of a running pod reports of its requests as a whole.
    pub reported: Option<Box<ReportedRequests>>,
    /// Condition PodResizePending of a running pod says `Infeasible`: its node will never grant what
    /// the spec asks for.
    pub resize_is_infeasible: bool,
    /// `nodeName`, when set by hand.
    pub node_name: Option<String>,
    /// `nodeSelector`.
    pub node_selector: Labels,
    /// `affinity`.
    pub affinity: Affinity,
    /// `tolerations`, with those that admission adds.
    pub tolerations: Vec<Toleration>,
    /// `topologySpreadConstraints`.
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// `priority`, resolved from the class.
    pub priority: i32,
    /// `priorityClassName`.
    pub priority_class_name: Option<String>,
    /// `preemptionPolicy` is `Never`.
    pub never_preempts: bool,
    /// `restartPolicy`.
    pub restart_policy: RestartPolicy,
    /// `terminationGracePeriodSeconds`.
    pub termination_grace: SimSpan,
    /// `hostNetwork`.
    pub host_network: bool,
    /// Names of claims among `volumes`; those of a StatefulSet's templates are in the workload.
    pub claim_names: Vec<String>,
    /// Secrets and ConfigMaps without which its containers do not start: in `env`, `envFrom` and `volumes`,
    /// those that are `optional` left out; each once for its way in.
    pub sources: Vec<ConfigurationSource>,
    /// Names of SecretProviderClasses among `volumes` (Secrets Store CSI Driver).
    pub secret_providers: Vec<String>,
    /// `emptyDir` volumes on the disk of the node.
    pub empty_dirs: Vec<EmptyDir>,
    /// Names of `volumes` that live on the node: `hostPath`, and `emptyDir` other than in memory.
    pub local_volumes: Vec<String>,
    /// Names of schedulingGates.
    pub scheduling_gates: Vec<String>,
}

/// When a container that ended starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum RestartPolicy {
    #[default]
    Always,
    OnFailure,
    Never,
}

/// Requests as the status of a running pod reports them: others than the spec's while a resize in
/// place is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReportedRequests {
    /// `resources.requests`: what is in force.
    pub actuated: ResourceList,
    /// `allocatedResources`: what the node has granted.
    pub allocated: ResourceList,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// Name.
    pub name: String,
    /// Image reference.
    pub image: String,
    /// `resources.requests`, with limits filled in where a request is absent (API defaulting).
    pub requests: ResourceList,
    /// Thousandths by which an amount in `requests` is more than what was written: the API keeps
    /// thousandths of bytes, and all but autoscalers count whole ones.
    pub rounded_up_millis: ResourceList,
    /// `resources.limits`.
    pub limits: ResourceList,
    /// What the status of a running pod reports of the requests of this container.
    pub reported: Option<Box<ReportedRequests>>,
    /// `ports`.
    pub ports: Vec<ContainerPort>,
    /// An init container that keeps running (`restartPolicy: Always`).
    pub restart_always: bool,
    /// `readinessProbe`.
    pub readiness: Option<Probe>,
    /// `livenessProbe`.
    pub liveness: Option<Probe>,
    /// `startupProbe`.
    pub startup: Option<Probe>,
    /// `lifecycle`.
    pub lifecycle: Lifecycle,
    /// `imagePullPolicy` is `Always` (after defaulting by tag).
    pub always_pulls: bool,
}

/// The host of the registry that an image name leads to: the part before the first slash when it
/// has a dot or a port (`splitDockerDomain` of distribution/reference).
pub fn registry_host(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// A port of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerPort {
    /// Name, if any.
    pub name: Option<String>,
    /// `containerPort`.
    pub container_port: u16,
    /// `hostPort`, if claimed.
    pub host_port: Option<u16>,
    /// `hostIP`; empty or `0.0.0.0` means all.
    pub host_ip: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
}

impl Container {
    /// The number of the port of that name.
    pub fn port_number(&self, name: &str, protocol: &str) -> Option<u16> {
        let is_it =
            |it: &&ContainerPort| it.name.as_deref() == Some(name) && it.protocol == protocol;
        self.ports.iter().find(is_it).map(|it| it.container_port)
    }
}

/// Hooks of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// How long `preStop` keeps the container serving before TERM: exact for the `sleep` action and
    /// for `exec` of `sleep N`, `None` when there is no hook or its length is unknown.
    pub pre_stop: Option<SimSpan>,
}

/// A probe with every default filled in (`pkg/apis/core/v1/defaults.go`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is probed.
    pub handler: ProbeHandler,
    /// The container port it asks at, where it asks at one; names are resolved.
    pub port: Option<u16>,
    /// `initialDelaySeconds`, default 0.
    pub initial_delay: SimSpan,
    /// `periodSeconds`, default 10.
    pub period: SimSpan,
    /// `timeoutSeconds`, default 1.
    pub timeout: SimSpan,
    /// `successThreshold`, default 1.
    pub success_threshold: u32,
    /// `failureThreshold`, default 3.
    pub failure_threshold: u32,
    /// `terminationGracePeriodSeconds`: in place of the pod's, when this probe has its container killed.
    pub termination_grace: Option<SimSpan>,
}

impl Probe {
    /// A readiness probe that has no answer within any run: its first try is made in a hundred years.
    pub fn never_succeeds() -> Self {
        Self {
            handler: ProbeHandler::Exec,
            port: None,
            initial_delay: SimSpan::from_days(36_500),
            period: SimSpan::from_secs(1),
            timeout: SimSpan::from_secs(1),
            success_threshold: 1,
            failure_threshold: 1,
            termination_grace: None,
        }
    }
}

/// The kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum ProbeHandler {
    HttpGet,
    TcpSocket,
    Exec,
    Grpc,
}

/// `topologySpreadConstraints[]`, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologySpreadConstraint {
    /// `maxSkew`, at least 1.
    pub max_skew: i32,
    /// `topologyKey`.
    pub topology_key: String,
    /// `whenUnsatisfiable`.
    pub when_unsatisfiable: UnsatisfiableAction,
    /// `labelSelector`; `None` matches nothing.
    pub label_selector: Option<LabelSelector>,
    /// `minDomains`, if set.
    pub min_domains: Option<i32>,
    /// `nodeAffinityPolicy` is `Honor` (the default).
    pub honors_node_affinity: bool,
    /// `nodeTaintsPolicy` is `Honor` (default: `Ignore`).
    pub honors_node_taints: bool,
    /// `matchLabelKeys`.
    pub match_label_keys: Vec<String>,
}

/// What a spread constraint does when it cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum UnsatisfiableAction {
    DoNotSchedule,
    ScheduleAnyway,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_dot_or_a_port() {
        let cases = [
            ("nginx", "docker.io"),
            ("library/nginx:1", "docker.io"),
            ("quay.io/a/b:1", "quay.io"),
            ("registry:5000/a", "registry:5000"),
            ("localhost/a", "localhost"),
        ];
        for (image, host) in cases {
            assert_eq!(registry_host(image), host, "{image}");
        }
    }
}
