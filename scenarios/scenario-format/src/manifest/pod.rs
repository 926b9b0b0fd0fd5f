//! Pod templates.
//!
//! # Defaults and their sources
//! Kubernetes 1.36: `pkg/apis/core/v1/defaults.go` (probes, policies, ports, requests from limits),
//! `plugin/pkg/admission/defaulttolerationseconds` (tolerations), `plugin/pkg/admission/priority`
//! (priority from its class), `pkg/apis/scheduling/types.go` (the two system classes).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::api::resource;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model_api::SimSpan;
use model_api::kube::{
    ConfigurationSource, Container, ContainerPort, Lifecycle, PodSpec, PodTemplate, Probe,
    ProbeHandler, ReportedRequests, ResourceList, RestartPolicy, SourceKind, TaintEffect,
    Toleration, TolerationOperator, TopologySpreadConstraint, UnsatisfiableAction,
};
use model_api::usage::EmptyDir;

use super::requests::{of_containers, of_pod, rounded_up_millis, with_limits};
use super::{PriorityClass, Reader};
use crate::diagnostic::{Code, Diagnostic};
use crate::quantity::Quantity;
use crate::units::span_of_secs;

/// Taint of a node that the control plane considers not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Taint of a node that the control plane does not reach.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// The driver that mounts what is in a vault (`docs/book/src/getting-started/usage.md`, Secrets Store CSI
/// Driver 1.5).
const SECRETS_STORE: &str = "secrets-store.csi.k8s.io";

/// What admission needs to know to fill in a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admission<'a> {
    pub(crate) default_toleration: SimSpan,
    pub(crate) priority_classes: &'a [PriorityClass],
    /// The object was read from a cluster: what is to be filled in is filled in.
    pub(crate) is_over: bool,
}

/// What defaulting fills in, in a container.
#[derive(Clone, Copy, Debug)]
struct Fill {
    /// Requests from limits.
    requests: bool,
    /// Host ports from container ports.
    host_ports: bool,
}

impl Fill {
    fn of(admission: Admission<'_>) -> Self {
        Self { requests: !admission.is_over, host_ports: false }
    }

    fn requests(self, requests: ResourceList, limits: &ResourceList) -> ResourceList {
        if self.requests { with_limits(requests, limits) } else { requests }
    }
}

impl Reader<'_> {
    /// A pod as such. While it is resized in place, its status has a say in what it requests.
    pub(crate) fn running_pod(&mut self, pod: &core::Pod, admission: Admission<'_>) -> PodTemplate {
        let spec = pod.spec.clone().unwrap_or_default();
        let (labels, annotations) = (pod.metadata.labels.clone(), pod.metadata.annotations.clone());
        let mut template = self.pod_template("", labels, annotations, &spec, admission);
        if let Some(status) = &pod.status {
            self.take_sizes(&mut template.spec, status);
        }
        template
    }

    fn take_sizes(&mut self, spec: &mut PodSpec, status: &core::PodStatus) {
        let conditions = status.conditions.iter().flatten();
        let pending = conditions.into_iter().find(|it| it.type_ == "PodResizePending");
        spec.resize_is_infeasible =
            pending.is_some_and(|it| it.reason.as_deref() == Some("Infeasible"));
        spec.reported =
            self.reported("status", status.resources.as_ref(), status.allocated_resources.as_ref());
        let lists = [
            ("containerStatuses", &status.container_statuses, &mut spec.containers),
            ("initContainerStatuses", &status.init_container_statuses, &mut spec.init_containers),
        ];
        for (field, statuses, containers) in lists {
            for (idx, of) in statuses.iter().flatten().enumerate() {
                let Some(one) = containers.iter_mut().find(|it| it.name == of.name) else {
                    continue;
                };
                let path = format!("status.{field}[{idx}]");
                let allocated = of.allocated_resources.as_ref();
                one.reported = self.reported(&path, of.resources.as_ref(), allocated);
            }
        }
    }

    /// What a status reports; without `resources` nothing, as upstream reads it.
    fn reported(
        &mut self,
        path: &str,
        resources: Option<&core::ResourceRequirements>,
        allocated: Option<&BTreeMap<String, resource::Quantity>>,
    ) -> Option<Box<ReportedRequests>> {
        let requests = resources?.requests.as_ref();
        Some(Box::new(ReportedRequests {
            actuated: self.resources(&format!("{path}.resources.requests"), requests),
            allocated: self.resources(&format!("{path}.allocatedResources"), allocated),
        }))
    }

    /// A template at `path` (`spec.template`, or empty for a bare pod).
    pub(crate) fn pod_template(
        &mut self,
        path: &str,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
        spec: &core::PodSpec,
        admission: Admission<'_>,
    ) -> PodTemplate {
        let path = if path.is_empty() { "spec".to_owned() } else { format!("{path}.spec") };
        PodTemplate {
            labels: labels.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
            spec: self.pod_spec(&path, spec, admission),
        }
    }

    fn pod_spec(&mut self, path: &str, spec: &core::PodSpec, admission: Admission<'_>) -> PodSpec {
        let host_network = spec.host_network.unwrap_or(false);
        let fill = Fill { host_ports: host_network && !admission.is_over, ..Fill::of(admission) };
        let containers = self.containers(path, "containers", &spec.containers, fill);
        if containers.is_empty() {
            self.refuse(&format!("{path}.containers"), "must not be empty");
        }
        let init = spec.init_containers.as_deref().unwrap_or_default();
        let init_containers = self.containers(path, "initContainers", init, fill);
        let (priority, never_preempts) = self.priority(path, spec, admission);
        let affinity_path = format!("{path}.affinity");
        self.check_labels(&format!("{path}.nodeSelector"), spec.node_selector.as_ref());
        let given = spec.resources.as_ref();
        let of_containers = of_containers(&init_containers, &containers);
        PodSpec {
            init_containers,
            containers,
            overhead: self.resources(&format!("{path}.overhead"), spec.overhead.as_ref()),
            requests: self.pod_requests(path, given, fill, &of_containers),
            rounded_up_millis: rounded_up_millis(given, fill.requests),
            limits: self.resources(
                &format!("{path}.resources.limits"),
                given.and_then(|it| it.limits.as_ref()),
            ),
            reported: None,
            resize_is_infeasible: false,
            node_name: spec.node_name.clone(),
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            affinity: spec
                .affinity
                .as_ref()
                .map(|affinity| self.affinity(&affinity_path, affinity))
                .unwrap_or_default(),
            tolerations: self.tolerations(path, spec.tolerations.as_deref(), admission),
            topology_spread_constraints: self.spread(path, spec),
            priority,
            priority_class_name: spec.priority_class_name.clone(),
            never_preempts,
            restart_policy: self.choice(
                &format!("{path}.restartPolicy"),
                spec.restart_policy.as_deref(),
                RestartPolicy::Always,
                &[
                    ("Always", RestartPolicy::Always),
                    ("OnFailure", RestartPolicy::OnFailure),
                    ("Never", RestartPolicy::Never),
                ],
            ),
            termination_grace: self.seconds(
                &format!("{path}.terminationGracePeriodSeconds"),
                spec.termination_grace_period_seconds.unwrap_or(30),
            ),
            host_network,
            claim_names: claim_names(spec),
            sources: sources(spec),
            secret_providers: secret_providers(spec),
            empty_dirs: empty_dirs(spec),
            local_volumes: local_volumes(spec),
            scheduling_gates: spec
                .scheduling_gates
                .iter()
                .flatten()
                .map(|gate| gate.name.clone())
                .collect(),
        }
    }

    fn priority(
        &mut self,
        path: &str,
        spec: &core::PodSpec,
        admission: Admission<'_>,
    ) -> (i32, bool) {
        let classes = admission.priority_classes;
        let own_policy = spec.preemption_policy.as_deref() == Some("Never");
        if let Some(priority) = spec.priority.filter(|_| admission.is_over) {
            return (priority, own_policy);
        }
        let Some(name) = spec.priority_class_name.as_deref().filter(|name| !name.is_empty()) else {
            let default = classes.iter().find(|class| class.is_default);
            let priority = spec.priority.or(default.map(|class| class.value)).unwrap_or(0);
            return (priority, own_policy || default.is_some_and(|class| class.never_preempts));
        };
        match name {
            "system-node-critical" => return (2_000_001_000, own_policy),
            "system-cluster-critical" => return (2_000_000_000, own_policy),
            _ => {}
        }
        if let Some(class) = classes.iter().find(|class| class.name == name) {
            return (class.value, own_policy || class.never_preempts);
        }
        let path = format!("{path}.priorityClassName");
        let message = format!("{}: no PriorityClass `{name}` is in the input", self.object.title());
        let names = classes.iter().map(|class| class.name.as_str());
        self.diagnostics.push(
            Diagnostic::new(Code::W0117, self.object.value_span(&path), message)
                .label("read as priority 0")
                .help_if(crate::nearest::suggestion(name, names.collect::<Vec<_>>())),
        );
        (spec.priority.unwrap_or(0), own_policy)
    }

    fn containers(
        &mut self,
        path: &str,
        field: &str,
        containers: &[core::Container],
        fill: Fill,
    ) -> Vec<Container> {
        containers
            .iter()
            .enumerate()
            .map(|(idx, container)| {
                self.container(&format!("{path}.{field}[{idx}]"), container, fill)
            })
            .collect()
    }

    fn container(&mut self, path: &str, container: &core::Container, fill: Fill) -> Container {
        let given = container.resources.as_ref();
        let limits = self.resources(
            &format!("{path}.resources.limits"),
            given.and_then(|resources| resources.limits.as_ref()),
        );
        let requests = self.resources(
            &format!("{path}.resources.requests"),
            given.and_then(|resources| resources.requests.as_ref()),
        );
        self.check_limits(path, &requests, &limits);
        let image = container.image.clone().unwrap_or_default();
        let always_pulls = match container.image_pull_policy.as_deref() {
            Some(policy) => policy == "Always",
            None => has_latest_tag(&image),
        };
        if container.image.as_deref() == Some("") {
            self.refuse(&format!("{path}.image"), "must name an image");
        }
        let probe = |reader: &mut Self, name: &str, probe: Option<&core::Probe>| {
            let ports = container.ports.as_deref().unwrap_or_default();
            probe.and_then(|probe| reader.probe(&format!("{path}.{name}"), probe, ports))
        };
        let mut probes = Probes {
            readiness: probe(self, "readinessProbe", container.readiness_probe.as_ref()),
            liveness: probe(self, "livenessProbe", container.liveness_probe.as_ref()),
            startup: probe(self, "startupProbe", container.startup_probe.as_ref()),
        };
        probes.drop_errors(container);
        Container {
            name: container.name.clone(),
            image,
            requests: fill.requests(requests, &limits),
            rounded_up_millis: rounded_up_millis(given, fill.requests),
            limits,
            reported: None,
            ports: self.ports(path, container.ports.as_deref(), fill.host_ports),
            restart_always: container.restart_policy.as_deref() == Some("Always"),
            readiness: probes.readiness,
            liveness: probes.liveness,
            startup: probes.startup,
            lifecycle: Lifecycle {
                pre_stop: container.lifecycle.as_ref().and_then(|lifecycle| {
                    self.pre_stop(&format!("{path}.lifecycle.preStop"), lifecycle)
                }),
            },
            always_pulls,
        }
    }

    fn check_limits(&mut self, path: &str, requests: &ResourceList, limits: &ResourceList) {
        for (name, request) in &requests.0 {
            if limits.get(name).is_some_and(|limit| limit < *request) {
                let path = format!("{path}.resources.requests.{name}");
                self.refuse(&path, "must be less than or equal to the limit");
            }
        }
    }

    /// Requests of the pod as a whole; its containers have theirs already.
    fn pod_requests(
        &mut self,
        path: &str,
        given: Option<&core::ResourceRequirements>,
        fill: Fill,
        of_containers: &ResourceList,
    ) -> ResourceList {
        let Some(given) = given else { return ResourceList::default() };
        let path = format!("{path}.resources");
        // Those that cannot be read are refused where the limits are.
        let mut limits = ResourceList::default();
        for (name, quantity) in given.limits.iter().flatten() {
            if let Ok(amount) = Quantity::parse(&quantity.0) {
                let amount = if name == "cpu" { amount.ceil_millis() } else { amount.ceil() };
                limits.0.insert(name.clone(), amount);
            }
        }
        let requests = self.resources(&format!("{path}.requests"), given.requests.as_ref());
        if fill.requests { of_pod(requests, &limits, of_containers) } else { requests }
    }

    pub(crate) fn resources(
        &mut self,
        path: &str,
        given: Option<&BTreeMap<String, resource::Quantity>>,
    ) -> ResourceList {
        let mut result = ResourceList::default();
        for (name, quantity) in given.into_iter().flatten() {
            let field = format!("{path}.{name}");
            match Quantity::parse(&quantity.0) {
                Err(error) => self.refuse(&field, format!("`{}` {error}", quantity.0)),
                Ok(amount) if amount.nanos() < 0 => {
                    self.refuse(&field, format!("must not be negative, is {}", quantity.0));
                }
                Ok(amount) => {
                    if !amount.is_whole() && matches!(name.as_str(), "memory" | "ephemeral-storage")
                    {
                        self.warn_of_fraction(&field, &quantity.0);
                    }
                    let amount = if name == "cpu" { amount.ceil_millis() } else { amount.ceil() };
                    result.0.insert(name.clone(), amount);
                }
            }
        }
        result
    }

    /// As the API server warns (pkg/api/pod/warnings.go, `fractional byte value`).
    fn warn_of_fraction(&mut self, path: &str, amount: &str) {
        let title = self.object.title();
        let message = format!("{title}: {path} is no whole number of bytes: `{amount}`");
        let span = self.object.value_span(path);
        let help = amount.strip_suffix('m').map(|number| {
            format!("`m` is thousandths: write `{number}M` or `{number}Mi` for megabytes")
        });
        self.diagnostics.push(Diagnostic::new(Code::W0277, span, message).help_if(help));
    }

    fn ports(
        &mut self,
        path: &str,
        ports: Option<&[core::ContainerPort]>,
        takes_host_ports: bool,
    ) -> Vec<ContainerPort> {
        let mut result = Vec::new();
        for (idx, port) in ports.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.ports[{idx}]");
            let container_port = self.port(&format!("{path}.containerPort"), port.container_port);
            let host_port =
                port.host_port.map(|number| self.port(&format!("{path}.hostPort"), number));
            result.push(ContainerPort {
                name: port.name.clone(),
                container_port,
                host_port: host_port.or(takes_host_ports.then_some(container_port)),
                host_ip: port.host_ip.clone().unwrap_or_default(),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            });
        }
        result
    }

    pub(crate) fn port(&mut self, path: &str, number: i32) -> u16 {
        match u16::try_from(number) {
            Ok(port) if port > 0 => port,
            _ => {
                self.refuse(path, format!("must be 1 to 65535, is {number}"));
                1
            }
        }
    }

    fn probe(
        &mut self,
        path: &str,
        probe: &core::Probe,
        ports: &[core::ContainerPort],
    ) -> Option<Probe> {
        let handler = if probe.http_get.is_some() {
            ProbeHandler::HttpGet
        } else if probe.tcp_socket.is_some() {
            ProbeHandler::TcpSocket
        } else if probe.exec.is_some() {
            ProbeHandler::Exec
        } else if probe.grpc.is_some() {
            ProbeHandler::Grpc
        } else {
            self.refuse(path, "must say what to probe: httpGet, tcpSocket, exec or grpc");
            return None;
        };
        // Zero means "not set" to upstream's defaulting.
        let mut seconds = |name: &str, value: Option<i32>, default: i32| {
            let value = value.filter(|value| *value != 0).unwrap_or(default);
            self.seconds(&format!("{path}.{name}"), i64::from(value))
        };
        let initial_delay = seconds("initialDelaySeconds", probe.initial_delay_seconds, 0);
        let period = seconds("periodSeconds", probe.period_seconds, 10);
        let timeout = seconds("timeoutSeconds", probe.timeout_seconds, 1);
        let termination_grace = probe
            .termination_grace_period_seconds
            .map(|secs| self.seconds(&format!("{path}.terminationGracePeriodSeconds"), secs));
        let mut threshold = |name: &str, value: Option<i32>, default: i32| {
            let value = value.filter(|value| *value != 0).unwrap_or(default);
            self.count(&format!("{path}.{name}"), value).max(1)
        };
        Some(Probe {
            handler,
            port: match asked_port(probe, ports) {
                Asked::Port(port) => Some(port),
                Asked::Nothing | Asked::NoSuchName => None,
            },
            initial_delay,
            period: if period.is_zero() { SimSpan::from_secs(10) } else { period },
            timeout,
            success_threshold: threshold("successThreshold", probe.success_threshold, 1),
            failure_threshold: threshold("failureThreshold", probe.failure_threshold, 3),
            termination_grace,
        })
    }

    fn pre_stop(&mut self, path: &str, lifecycle: &core::Lifecycle) -> Option<SimSpan> {
        let hook = lifecycle.pre_stop.as_ref()?;
        if let Some(sleep) = &hook.sleep {
            return Some(self.seconds(&format!("{path}.sleep.seconds"), sleep.seconds));
        }
        let command = hook.exec.as_ref()?.command.as_ref()?.join(" ");
        let seconds = command.split_once("sleep ")?.1;
        let digits: String = seconds.chars().take_while(char::is_ascii_digit).collect();
        let rest = seconds[digits.len()..].trim();
        let is_only_sleep = rest.is_empty() || rest == "s" || rest.starts_with([';', '&']);
        is_only_sleep.then(|| digits.parse().ok().map(|secs: u64| span_of_secs(secs))).flatten()
    }

    fn tolerations(
        &mut self,
        path: &str,
        given: Option<&[core::Toleration]>,
        admission: Admission<'_>,
    ) -> Vec<Toleration> {
        let mut result = Vec::new();
        for (idx, toleration) in given.unwrap_or_default().iter().enumerate() {
            let path = format!("{path}.tolerations[{idx}]");
            result.push(self.toleration(&path, toleration));
        }
        if admission.is_over {
            return result;
        }
        for key in [NOT_READY, UNREACHABLE] {
            // DefaultTolerationSeconds adds nothing when any toleration covers the key for NoExecute.
            let covers = |toleration: &Toleration| {
                (toleration.key == key || toleration.key.is_empty())
                    && toleration.effect.is_none_or(|effect| effect == TaintEffect::NoExecute)
            };
            if !result.iter().any(covers) {
                result.push(no_execute(key, Some(admission.default_toleration)));
            }
        }
        result
    }

    pub(crate) fn toleration(&mut self, path: &str, given: &core::Toleration) -> Toleration {
        let effects = [
            ("", None),
            ("NoSchedule", Some(TaintEffect::NoSchedule)),
            ("PreferNoSchedule", Some(TaintEffect::PreferNoSchedule)),
            ("NoExecute", Some(TaintEffect::NoExecute)),
        ];
        Toleration {
            key: given.key.clone().unwrap_or_default(),
            operator: self.toleration_operator(&format!("{path}.operator"), given),
            value: given.value.clone().unwrap_or_default(),
            effect: self.choice(&format!("{path}.effect"), given.effect.as_deref(), None, &effects),
            // Zero and negative mean "at once".
            toleration: given
                .toleration_seconds
                .map(|seconds| span_of_secs(u64::try_from(seconds).unwrap_or(0))),
        }
    }

    /// Validation lets `Gt` and `Lt` through only with a feature gate that is off by default in 1.36
    /// (`pkg/apis/core/validation/validation.go`, `pkg/features/kube_features.go`).
    fn toleration_operator(&mut self, path: &str, given: &core::Toleration) -> TolerationOperator {
        let operator = given.operator.as_deref().filter(|operator| !operator.is_empty());
        if let Some(numeric @ ("Gt" | "Lt")) = operator {
            let message = format!(
                "must be Equal or Exists, is `{numeric}`, which needs the feature gate TaintTolerationComparisonOperators (off by default)"
            );
            self.refuse(path, message);
            return TolerationOperator::Other;
        }
        let known = [("Equal", TolerationOperator::Equal), ("Exists", TolerationOperator::Exists)];
        let otherwise = match operator {
            None => TolerationOperator::Equal,
            Some(_) => TolerationOperator::Other,
        };
        self.choice(path, operator, otherwise, &known)
    }

    fn spread(&mut self, path: &str, spec: &core::PodSpec) -> Vec<TopologySpreadConstraint> {
        let given = spec.topology_spread_constraints.as_deref().unwrap_or_default();
        given
            .iter()
            .enumerate()
            .map(|(idx, constraint)| {
                let path = format!("{path}.topologySpreadConstraints[{idx}]");
                self.spread_constraint(&path, constraint)
            })
            .collect()
    }

    pub(crate) fn spread_constraint(
        &mut self,
        path: &str,
        given: &core::TopologySpreadConstraint,
    ) -> TopologySpreadConstraint {
        if given.max_skew < 1 {
            self.refuse(
                &format!("{path}.maxSkew"),
                format!("must be at least 1, is {}", given.max_skew),
            );
        }
        if given.min_domains.is_some_and(|domains| domains < 1) {
            self.refuse(&format!("{path}.minDomains"), "must be at least 1");
        }
        let policies = [("Honor", true), ("Ignore", false)];
        let selector_path = format!("{path}.labelSelector");
        TopologySpreadConstraint {
            max_skew: given.max_skew.max(1),
            topology_key: given.topology_key.clone(),
            when_unsatisfiable: self.choice(
                &format!("{path}.whenUnsatisfiable"),
                Some(given.when_unsatisfiable.as_str()),
                UnsatisfiableAction::DoNotSchedule,
                &[
                    ("DoNotSchedule", UnsatisfiableAction::DoNotSchedule),
                    ("ScheduleAnyway", UnsatisfiableAction::ScheduleAnyway),
                ],
            ),
            label_selector: given
                .label_selector
                .as_ref()
                .map(|selector| self.label_selector(&selector_path, selector)),
            min_domains: given.min_domains,
            honors_node_affinity: self.choice(
                &format!("{path}.nodeAffinityPolicy"),
                given.node_affinity_policy.as_deref(),
                true,
                &policies,
            ),
            honors_node_taints: self.choice(
                &format!("{path}.nodeTaintsPolicy"),
                given.node_taints_policy.as_deref(),
                false,
                &policies,
            ),
            match_label_keys: given.match_label_keys.clone().unwrap_or_default(),
        }
    }
}

/// A toleration of a `NoExecute` taint.
pub(crate) fn no_execute(key: &str, toleration: Option<SimSpan>) -> Toleration {
    Toleration {
        key: key.to_owned(),
        operator: TolerationOperator::Exists,
        value: String::new(),
        effect: Some(TaintEffect::NoExecute),
        toleration,
    }
}

/// What the DaemonSet controller tolerates for its pods
/// (`pkg/controller/daemon/util/daemonset_util.go`, AddOrUpdateDaemonPodTolerations).
pub(crate) fn add_daemon_tolerations(spec: &mut PodSpec) {
    spec.tolerations.retain(|toleration| {
        !([NOT_READY, UNREACHABLE].contains(&toleration.key.as_str())
            && toleration.effect == Some(TaintEffect::NoExecute))
    });
    for key in [NOT_READY, UNREACHABLE] {
        spec.tolerations.push(no_execute(key, None));
    }
    let mut keys = vec![
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/pid-pressure",
        "node.kubernetes.io/unschedulable",
    ];
    if spec.host_network {
        keys.push("node.kubernetes.io/network-unavailable");
    }
    for key in keys {
        let effect = Some(TaintEffect::NoSchedule);
        spec.tolerations.push(Toleration { effect, ..no_execute(key, None) });
    }
}

/// Whether an image without a pull policy is pulled every time (`SetDefaults_Container`): its tag is
/// `latest` or absent, and it has no digest.
fn has_latest_tag(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Secrets and ConfigMaps that containers and volumes name and do not declare `optional`.
fn sources(spec: &core::PodSpec) -> Vec<ConfigurationSource> {
    let mut found = Vec::new();
    let mut note = |kind, name: &str, optional: Option<bool>, is_mounted| {
        if optional != Some(true) && !name.is_empty() {
            found.push(ConfigurationSource { kind, name: name.to_owned(), is_mounted });
        }
    };
    let (config_map, secret) = (SourceKind::ConfigMap, SourceKind::Secret);
    let init = spec.init_containers.iter().flatten();
    for container in spec.containers.iter().chain(init) {
        for value in container.env.iter().flatten().filter_map(|it| it.value_from.as_ref()) {
            if let Some(key) = &value.config_map_key_ref {
                note(config_map, &key.name, key.optional, false);
            }
            if let Some(key) = &value.secret_key_ref {
                note(secret, &key.name, key.optional, false);
            }
        }
        for source in container.env_from.iter().flatten() {
            if let Some(all) = &source.config_map_ref {
                note(config_map, &all.name, all.optional, false);
            }
            if let Some(all) = &source.secret_ref {
                note(secret, &all.name, all.optional, false);
            }
        }
    }
    for volume in spec.volumes.iter().flatten() {
        if let Some(own) = &volume.config_map {
            note(config_map, &own.name, own.optional, true);
        }
        if let Some(own) = &volume.secret {
            note(secret, own.secret_name.as_deref().unwrap_or_default(), own.optional, true);
        }
        let sources = volume.projected.iter().flat_map(|it| it.sources.iter().flatten());
        for source in sources {
            if let Some(part) = &source.config_map {
                note(config_map, &part.name, part.optional, true);
            }
            if let Some(part) = &source.secret {
                note(secret, &part.name, part.optional, true);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// SecretProviderClasses that volumes name.
fn secret_providers(spec: &core::PodSpec) -> Vec<String> {
    let inline = spec.volumes.iter().flatten().filter_map(|volume| volume.csi.as_ref());
    let of_driver = inline.filter(|it| it.driver == SECRETS_STORE);
    of_driver
        .filter_map(|it| it.volume_attributes.as_ref()?.get("secretProviderClass").cloned())
        .collect()
}

fn claim_names(spec: &core::PodSpec) -> Vec<String> {
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter_map(|volume| Some(volume.persistent_volume_claim.as_ref()?.claim_name.clone()))
        .collect()
}

/// Those on the disk of the node; one in memory is none of them.
fn empty_dirs(spec: &core::PodSpec) -> Vec<EmptyDir> {
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| {
        let source = volume.empty_dir.as_ref()?;
        if source.medium.as_deref().is_some_and(|medium| !medium.is_empty()) {
            return None;
        }
        let limit = source.size_limit.as_ref().and_then(|it| Quantity::parse(&it.0).ok());
        let bytes = limit.and_then(|it| u64::try_from(it.ceil()).ok()).filter(|it| *it > 0);
        Some(EmptyDir { name: volume.name.clone(), size_limit_bytes: bytes })
    });
    volumes.collect()
}

/// Those that keep the cluster autoscaler from removing the node (`isLocalVolume`): of the media of
/// an emptyDir only `Memory` is none of them.
fn local_volumes(spec: &core::PodSpec) -> Vec<String> {
    let is_local = |volume: &&core::Volume| {
        let is_on_node =
            |source: &core::EmptyDirVolumeSource| source.medium.as_deref() != Some("Memory");
        volume.host_path.is_some() || volume.empty_dir.as_ref().is_some_and(is_on_node)
    };
    spec.volumes.iter().flatten().filter(is_local).map(|volume| volume.name.clone()).collect()
}

/// The port that a probe asks at, as a number; a name is one of the container's
/// (`pkg/probe/util.go`, ResolveContainerPort).
/// The probes of a container.
struct Probes {
    readiness: Option<Probe>,
    liveness: Option<Probe>,
    startup: Option<Probe>,
}

impl Probes {
    /// A try at a port whose name the container lacks is an error, whose result is thrown away
    /// (`pkg/kubelet/prober/worker.go`, doProbe, 1.36), so that what is believed at first stays:
    /// alive, not ready, not started. What is not started is asked for nothing else.
    fn drop_errors(&mut self, container: &core::Container) {
        let ports = container.ports.as_deref().unwrap_or_default();
        let is_error = |probe: &Option<core::Probe>| {
            probe.as_ref().is_some_and(|probe| asked_port(probe, ports) == Asked::NoSuchName)
        };
        if is_error(&container.startup_probe) {
            (self.startup, self.liveness) = (None, None);
            self.readiness = Some(Probe::never_succeeds());
        }
        if is_error(&container.liveness_probe) {
            self.liveness = None;
        }
        if is_error(&container.readiness_probe) {
            self.readiness = Some(Probe::never_succeeds());
        }
    }
}

/// What a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// No port.
    Nothing,
    /// A port.
    Port(u16),
    /// A port by a name that the container does not have.
    NoSuchName,
}

/// The port that a probe asks, by number or by a name among the ports of its own container
/// (`pkg/probe/util.go`, ResolveContainerPort, 1.36).
fn asked_port(probe: &core::Probe, ports: &[core::ContainerPort]) -> Asked {
    let asked = match (&probe.http_get, &probe.tcp_socket, &probe.grpc) {
        (Some(it), _, _) => it.port.clone(),
        (_, Some(it), _) => it.port.clone(),
        (_, _, Some(it)) => IntOrString::Int(it.port),
        _ => return Asked::Nothing,
    };
    let number = match asked {
        IntOrString::Int(number) => number,
        IntOrString::String(name) => {
            let named = ports.iter().find(|port| port.name.as_deref() == Some(name.as_str()));
            match named.map(|port| port.container_port).or_else(|| name.parse().ok()) {
                Some(number) => number,
                None => return Asked::NoSuchName,
            }
        }
    };
    u16::try_from(number).map_or(Asked::Nothing, Asked::Port)
}
