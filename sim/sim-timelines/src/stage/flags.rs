//! Flags of the components that a trace was recorded with.

use model_api::parameters::ClientRate;
use model_api::{Parameters, SimSpan};
use model_kube::horizontal_pod_autoscaler::Settings;
use scenario_format::yaml::Node;
use scenario_format::{Code, Diagnostic};

use crate::fields::{Fields, LONGEST_SECS, leave_out, refuse};

/// Flags that change neither decisions nor timing here. A leader that is killed never comes to its
/// renew deadline; nodes of a trace are registered and ready before it begins, so that they never need
/// the longer grace period of a start; a look of a controller takes no time, so that it matters not how
/// many it makes at once; slices are added up, however many there are.
const WITHOUT_EFFECT: &[&str] = &[
    "authorization-mode",
    "disable-admission-plugins",
    "event-ttl",
    "feature-gates",
    "kubeconfig",
    "leader-elect",
    "leader-elect-renew-deadline",
    "leader-elect-resource-lock",
    "leader-elect-resource-name",
    "leader-elect-resource-namespace",
    "logging-format",
    "max-endpoints-per-slice",
    "min-resync-period",
    "node-startup-grace-period",
    "profiling",
    "secure-port",
    "use-service-account-credentials",
    "v",
    "vmodule",
];

/// How flags begin and end that change nothing either: certificates, addresses, and how many looks a
/// controller makes at once.
const BEGINNINGS_WITHOUT_EFFECT: &[&str] = &["concurrent-", "tls-", "bind-", "authentication-"];
const ENDS_WITHOUT_EFFECT: &[&str] = &["-file", "-cert", "-key", "-cidr", "-ip-range", "-dir"];

fn is_without_effect(name: &str) -> bool {
    WITHOUT_EFFECT.contains(&name)
        || BEGINNINGS_WITHOUT_EFFECT.iter().any(|it| name.starts_with(it))
        || ENDS_WITHOUT_EFFECT.iter().any(|it| name.ends_with(it))
}

/// The gate of `maxUnavailable` of StatefulSets (`pkg/features/kube_features.go`).
const SET_MAX_UNAVAILABLE: &str = "MaxUnavailableStatefulSet";

/// Gates of what is played here that are on in 1.36 (`pkg/features/kube_features.go`).
const ON_BY_DEFAULT: &[&str] = &[
    "DeploymentReplicaSetTerminatingReplicas",
    "HPAConfigurableTolerance",
    "JobManagedBy",
    "MatchLabelKeysInPodTopologySpread",
    "NodeInclusionPolicyInPodTopologySpread",
    "PodSchedulingReadiness",
    "SchedulerQueueingHints",
    "SeparateTaintEvictionController",
    "StatefulSetAutoDeletePVC",
    "StatefulSetStartOrdinal",
    "UnhealthyPodEvictionPolicy",
];

/// What the flags of the components say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) parameters: Parameters,
    /// Those of the horizontal autoscalers.
    pub(crate) autoscalers: Settings,
    /// Whether the gate of `maxUnavailable` of StatefulSets is on.
    pub(crate) has_set_max_unavailable: bool,
}

/// Reads what is stated: by component a list of flags, all of them in one text, or a mapping.
pub(crate) fn read(fields: &Fields<'_>, diagnostics: &mut Vec<Diagnostic>) -> Flags {
    let mut flags = Flags::default();
    let Some(node) = fields.get("flags") else { return flags };
    let Some(components) = node.entries() else {
        refuse(node, "flags by component", diagnostics);
        return flags;
    };
    for component in components {
        for (place, text) in stated(&component.value, diagnostics) {
            flags.take(&component.key, place, &text, diagnostics);
        }
    }
    flags
}

/// Flags of a component, without their dashes.
fn stated<'a>(node: &'a Node, diagnostics: &mut Vec<Diagnostic>) -> Vec<(&'a Node, String)> {
    let texts: Vec<(&Node, String)> = if let Some(items) = node.items() {
        items.iter().map(|it| (it, it.text().unwrap_or_default().to_owned())).collect()
    } else if let Some(entries) = node.entries() {
        let text = |value: &Node| value.text().unwrap_or_default().to_owned();
        entries.iter().map(|it| (&it.value, format!("{}={}", it.key, text(&it.value)))).collect()
    } else if let Some(text) = node.text() {
        text.split_whitespace().map(|flag| (node, flag.to_owned())).collect()
    } else {
        if !node.is_null() {
            refuse(node, "a list of flags", diagnostics);
        }
        Vec::new()
    };
    texts.into_iter().map(|(at, text)| (at, text.trim_start_matches("--").to_owned())).collect()
}

impl Flags {
    fn take(
        &mut self,
        component: &str,
        place: &Node,
        text: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let (name, value) = text.split_once('=').unwrap_or((text, "true"));
        if name == "feature-gates" {
            for gate in value.split(',') {
                match gate.split_once('=') {
                    Some((SET_MAX_UNAVAILABLE, value)) => {
                        self.has_set_max_unavailable = value.eq_ignore_ascii_case("true");
                    }
                    // What is on anyway changes nothing.
                    Some((gate, value))
                        if ON_BY_DEFAULT.contains(&gate) && value.eq_ignore_ascii_case("true") => {}
                    _ => {
                        leave_out(place, &format!("the gate `{gate}` of {component}"), diagnostics)
                    }
                }
            }
            return;
        }
        if is_without_effect(name) {
            return;
        }
        match self.set(component, name, value) {
            Ok(()) => {}
            Err(Unset::Unknown) => {
                leave_out(place, &format!("the flag `{text}` of {component}"), diagnostics);
            }
            Err(Unset::Unreadable) => {
                let message = format!("the flag `{text}` of {component} has no value it can have");
                diagnostics.push(Diagnostic::new(Code::E0014, place.span, message));
            }
        }
    }

    /// The client that `--kube-api-qps` and `--kube-api-burst` of a component are about.
    fn client(&mut self, component: &str) -> Result<&mut ClientRate, Unset> {
        match component {
            "kube-controller-manager" => Ok(&mut self.parameters.controller_client),
            "kube-scheduler" => Ok(&mut self.parameters.scheduler_client),
            _ => Err(Unset::Unknown),
        }
    }

    fn set(&mut self, component: &str, name: &str, value: &str) -> Result<(), Unset> {
        match name {
            "kube-api-qps" => self.client(component)?.per_1000_secs = rate(value)?,
            "kube-api-burst" => {
                let burst: i64 = value.parse().map_err(|_| Unset::Unreadable)?;
                let burst = u64::try_from(burst).map_err(|_| Unset::Unreadable)?;
                // client-go, `rest/config.go`: nothing is its default.
                self.client(component)?.burst = if burst == 0 { 10 } else { burst };
            }
            _ => return self.set_timer(name, value),
        }
        Ok(())
    }

    fn set_timer(&mut self, name: &str, value: &str) -> Result<(), Unset> {
        let span = || span(value).ok_or(Unset::Unreadable);
        let period =
            || span().and_then(|it| if it.is_zero() { Err(Unset::Unreadable) } else { Ok(it) });
        let milli = || thousandths(value).ok_or(Unset::Unreadable);
        let count = || value.parse::<u32>().map_err(|_| Unset::Unreadable);
        let (parameters, autoscalers) = (&mut self.parameters, &mut self.autoscalers);
        match name {
            "node-monitor-period" => parameters.node_monitor_period = period()?,
            "node-monitor-grace-period" => parameters.node_monitor_grace_period = span()?,
            "node-eviction-rate" => parameters.node_eviction_rate_milli = milli()?,
            "secondary-node-eviction-rate" => {
                parameters.secondary_node_eviction_rate_milli = milli()?;
            }
            "large-cluster-size-threshold" => {
                parameters.large_cluster_size_threshold = count()?;
            }
            "unhealthy-zone-threshold" => {
                let ppm = milli()?.saturating_mul(1000);
                parameters.unhealthy_zone_threshold_ppm =
                    u32::try_from(ppm).map_err(|_| Unset::Unreadable)?;
            }
            "default-not-ready-toleration-seconds" | "default-unreachable-toleration-seconds" => {
                parameters.default_toleration = SimSpan::from_secs(count()?.into());
            }
            "terminated-pod-gc-threshold" => {
                // A negative one keeps all, as 0 does (pkg/controller/podgc/gc_controller.go).
                let threshold: i64 = value.parse().map_err(|_| Unset::Unreadable)?;
                parameters.terminated_pod_gc_threshold =
                    u32::try_from(threshold.max(0)).map_err(|_| Unset::Unreadable)?;
            }
            "leader-elect-lease-duration" => parameters.leader_lease_duration = span()?,
            "leader-elect-retry-period" => parameters.leader_retry_period = period()?,
            "horizontal-pod-autoscaler-sync-period" => autoscalers.sync_period = period()?,
            "horizontal-pod-autoscaler-downscale-stabilization" => {
                autoscalers.downscale_stabilization = span()?;
            }
            "horizontal-pod-autoscaler-cpu-initialization-period" => {
                autoscalers.cpu_initialization_period = span()?;
            }
            "horizontal-pod-autoscaler-initial-readiness-delay" => {
                autoscalers.initial_readiness_delay = span()?;
            }
            "horizontal-pod-autoscaler-tolerance" => {
                let share = value.parse().ok().filter(|share: &f64| (0.0..1.0).contains(share));
                autoscalers.tolerance = share.ok_or(Unset::Unreadable)?;
            }
            _ => return Err(Unset::Unknown),
        }
        Ok(())
    }
}

/// Why a flag sets nothing.
#[derive(Debug)]
enum Unset {
    /// Nothing here depends on a flag of that name.
    Unknown,
    Unreadable,
}

/// `--kube-api-qps`: nothing is client-go's default of 5, less than nothing no limit at all
/// (`rest/config.go`, `RESTClientForConfigAndClient`).
fn rate(value: &str) -> Result<Option<u64>, Unset> {
    let qps: f64 = value.parse().map_err(|_| Unset::Unreadable)?;
    match qps {
        _ if qps < 0.0 => Ok(None),
        0.0 => Ok(Some(5000)),
        _ => thousandths(value).filter(|it| *it > 0).map(Some).ok_or(Unset::Unreadable),
    }
}

/// A duration as Go writes it: `1m30s`, `500ms`; none above [`LONGEST_SECS`].
pub(crate) fn span(text: &str) -> Option<SimSpan> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (amount, behind) = rest.split_at(digits);
        let letters = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, next) = behind.split_at(letters);
        let secs = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        sum += amount.parse::<f64>().ok()? * secs;
        rest = next;
    }
    let is_some = !text.is_empty() && sum <= LONGEST_SECS;
    is_some.then(|| SimSpan::from_secs_f64_rounded(sum))
}

fn thousandths(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates and shares are small and checked"
    )]
    let milli = (value * 1000.0).round() as u64;
    (0.0..=1e6).contains(&value).then_some(milli)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_in_go() {
        let cases = [("40s", Some(40_000)), ("1m30s", Some(90_000)), ("500ms", Some(500))];
        for (text, millis) in cases {
            assert_eq!(span(text), millis.map(SimSpan::from_millis), "{text}");
        }
        assert_eq!([span(""), span("5"), span("5x"), span("999h"), span("1e9s")], [None; 5]);
    }

    #[test]
    fn flags_come_as_a_list_a_text_or_a_mapping() {
        let cases = [
            "[--node-monitor-grace-period=20s, --feature-gates=MaxUnavailableStatefulSet=true]",
            "--node-monitor-grace-period=20s --feature-gates=MaxUnavailableStatefulSet=true",
            "{node-monitor-grace-period: 20s, feature-gates: MaxUnavailableStatefulSet=true}",
        ];
        for written in cases {
            let (flags, said) = flags_of(written);
            let grace = flags.parameters.node_monitor_grace_period;
            let got = (grace, flags.has_set_max_unavailable, said);
            assert_eq!(got, (SimSpan::from_secs(20), true, Vec::new()), "{written}");
        }
    }

    fn flags_of(written: &str) -> (Flags, Vec<Code>) {
        let text = format!("flags: {{kube-controller-manager: {written}}}");
        let (documents, mut diagnostics) = scenario_format::yaml::parse(0, &text);
        assert_eq!(diagnostics, []);
        let flags = read(&Fields::known(&documents[0], "a scenario"), &mut diagnostics);
        (flags, diagnostics.iter().map(|it| it.code).collect())
    }

    #[test]
    fn clients_have_the_limits_of_their_flags() {
        let client = |written: &str| flags_of(written).0.parameters.controller_client;
        let rate = |per_1000_secs, burst| ClientRate { per_1000_secs, burst };
        let cases = [
            ("[]", rate(Some(20_000), 30)),
            ("[--kube-api-qps=50, --kube-api-burst=100]", rate(Some(50_000), 100)),
            ("[--kube-api-qps=-1]", rate(None, 30)),
            ("[--kube-api-qps=0, --kube-api-burst=0]", rate(Some(5000), 10)),
        ];
        for (written, expected) in cases {
            assert_eq!(client(written), expected, "{written}");
        }
    }

    #[test]
    fn flags_of_autoscalers_are_set_and_others_are_left_out_or_refused() {
        let autoscalers = |written: &str| flags_of(written).0.autoscalers;
        let flag =
            |name: &str, value: &str| format!("[--horizontal-pod-autoscaler-{name}={value}]");
        let secs = SimSpan::from_secs;
        let sync = autoscalers(&flag("sync-period", "5s"));
        assert_eq!(sync.sync_period, secs(5));
        let down = autoscalers(&flag("downscale-stabilization", "1m"));
        assert_eq!(down.downscale_stabilization, secs(60));
        let ready = autoscalers(&flag("initial-readiness-delay", "7s"));
        assert_eq!(ready.initial_readiness_delay, secs(7));
        let cpu = autoscalers(&flag("cpu-initialization-period", "0s"));
        assert_eq!(cpu.cpu_initialization_period, SimSpan::ZERO);
        assert_eq!(autoscalers(&flag("tolerance", "0.2")).tolerance, 0.2);
        let cases = [
            ("[--v=4, --leader-elect-renew-deadline=10s, --node-startup-grace-period=1m]", vec![]),
            ("[--terminated-pod-gc-threshold=5]", vec![]),
            ("[--kube-api-qps=50, --concurrent-deployment-syncs=1]", vec![]),
            ("[--kube-api-qps=fast]", vec![Code::E0014]),
            ("[--feature-gates=HPAConfigurableTolerance=true]", vec![]),
            ("[--controllers=-hpa]", vec![Code::W0271]),
            ("[--feature-gates=Other=true]", vec![Code::W0271]),
            ("[--node-monitor-period=0s]", vec![Code::E0014]),
            ("[--horizontal-pod-autoscaler-tolerance=much]", vec![Code::E0014]),
            ("[]", vec![]),
        ];
        for (written, expected) in cases {
            assert_eq!(flags_of(written).1, expected, "{written}");
        }
    }
}
