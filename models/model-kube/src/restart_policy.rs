//! Whether a container that ended is started again.
//!
//! # Modelled
//! The policy of the pod, that of a container, and a container's rules by exit code.
//! # Not modelled
//! `RestartAllContainers`: it restarts the container, the others are not looked at.
//! # Defaults and their sources
//! `pkg/api/pod/util.go` (ContainerShouldRestart), Kubernetes 1.36; the gate `ContainerRestartRules` is
//! on since 1.35.
//! # Invariants
//! Without a policy of its own a container has that of its pod.
//! # Checked against
//! The tests below; probes of containers that ended.

use model_api::kube::RestartPolicy;

/// One of `restartPolicyRules`: what happens after some exit codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartRule {
    /// `exitCodes.operator`: `In`, else `NotIn`.
    pub is_in: bool,
    /// `exitCodes.values`.
    pub exit_codes: Vec<i32>,
}

impl RestartRule {
    fn matches(&self, exit_code: i32) -> bool {
        self.exit_codes.contains(&exit_code) == self.is_in
    }
}

/// Whether the kubelet starts a container again that ended with an exit code. Rules count only beside
/// a policy of the container; the only thing they can ask for is a restart.
pub fn restarts(
    pod: RestartPolicy,
    container: Option<RestartPolicy>,
    rules: &[RestartRule],
    exit_code: i32,
) -> bool {
    if container.is_some() && rules.iter().any(|rule| rule.matches(exit_code)) {
        return true;
    }
    match container.unwrap_or(pod) {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != 0,
        RestartPolicy::Never => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_goes_before_the_container_and_the_container_before_the_pod() {
        use RestartPolicy::{Always, Never, OnFailure};
        let rule = |is_in| vec![RestartRule { is_in, exit_codes: vec![42] }];
        let none = Vec::new;
        let cases = [
            (Always, None, none(), 0, true),
            (OnFailure, None, none(), 0, false),
            (OnFailure, None, none(), 1, true),
            (Never, None, none(), 1, false),
            (Never, Some(Always), none(), 0, true),
            (Always, Some(Never), none(), 1, false),
            (Always, Some(Never), rule(true), 42, true),
            (Always, Some(Never), rule(true), 41, false),
            (Always, Some(Never), rule(false), 41, true),
            (Never, None, rule(true), 42, false),
        ];
        for (pod, container, rules, exit_code, expected) in cases {
            let got = restarts(pod, container, &rules, exit_code);
            assert_eq!(got, expected, "{pod:?} {container:?} {rules:?} {exit_code}");
        }
    }
}
