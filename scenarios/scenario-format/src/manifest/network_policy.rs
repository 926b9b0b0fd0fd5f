//! `networking.k8s.io/v1 NetworkPolicy`.

use k8s_openapi::api::networking::v1::{
    NetworkPolicyPeer as ApiPeer, NetworkPolicyPort as ApiPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use model_api::kube::network_policy::PortMatch;
use model_api::kube::{NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule};

use super::Reader;

/// Networks of pods are private and hardly ever smaller than this. **Assumption.**
const POD_NETWORK_PREFIX_MAX: u8 = 20;

impl Reader<'_> {
    /// Without `policyTypes` a policy is about ingress, and about egress when it has such rules
    /// (Kubernetes 1.36, `pkg/apis/networking/v1/defaults.go`, SetDefaults_NetworkPolicy).
    pub(crate) fn network_policy(&mut self, spec: &NetworkPolicySpec) -> NetworkPolicy {
        let egress = spec.egress.as_deref().unwrap_or_default();
        let (mut is_about_ingress, mut is_about_egress) = (true, !egress.is_empty());
        if let Some(types) = spec.policy_types.as_deref().filter(|types| !types.is_empty()) {
            (is_about_ingress, is_about_egress) = (false, false);
            for (idx, name) in types.iter().enumerate() {
                let path = format!("spec.policyTypes[{idx}]");
                let is_ingress = [("Ingress", true), ("Egress", false)];
                match self.choice(&path, Some(name), true, &is_ingress) {
                    true => is_about_ingress = true,
                    false => is_about_egress = true,
                }
            }
        }
        let mut rules_in = Vec::new();
        for (idx, rule) in spec.ingress.iter().flatten().enumerate() {
            let (from, ports) = (rule.from.as_deref(), rule.ports.as_deref());
            rules_in.push(self.policy_rule(&format!("spec.ingress[{idx}]"), "from", from, ports));
        }
        let mut rules_out = Vec::new();
        for (idx, rule) in egress.iter().enumerate() {
            let (to, ports) = (rule.to.as_deref(), rule.ports.as_deref());
            rules_out.push(self.policy_rule(&format!("spec.egress[{idx}]"), "to", to, ports));
        }
        let selector = spec.pod_selector.as_ref();
        NetworkPolicy {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            pod_selector: selector
                .map(|it| self.label_selector("spec.podSelector", it))
                .unwrap_or_default(),
            ingress: is_about_ingress.then_some(rules_in),
            egress: is_about_egress.then_some(rules_out),
            origin: self.origin(),
        }
    }

    fn policy_rule(
        &mut self,
        path: &str,
        field: &str,
        peers: Option<&[ApiPeer]>,
        ports: Option<&[ApiPort]>,
    ) -> NetworkPolicyRule {
        let mut rule = NetworkPolicyRule::default();
        for (idx, peer) in peers.unwrap_or_default().iter().enumerate() {
            rule.peers.extend(self.policy_peer(&format!("{path}.{field}[{idx}]"), peer));
        }
        for (idx, port) in ports.unwrap_or_default().iter().enumerate() {
            rule.ports.extend(self.policy_port(&format!("{path}.ports[{idx}]"), port));
        }
        rule
    }

    fn policy_peer(&mut self, path: &str, peer: &ApiPeer) -> Option<NetworkPolicyPeer> {
        let selects_pods = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
        if let Some(block) = &peer.ip_block {
            if selects_pods {
                self.refuse(path, "must not have both `ipBlock` and selectors");
            }
            let Some((address, prefix)) = parsed(&block.cidr) else {
                let cidr = format!("{path}.ipBlock.cidr");
                self.refuse(&cidr, format!("must be an address block, is `{}`", block.cidr));
                return None;
            };
            let may_hold_pods = prefix <= POD_NETWORK_PREFIX_MAX && is_private(address, prefix);
            return Some(NetworkPolicyPeer::Block { may_hold_pods });
        }
        if !selects_pods {
            self.refuse(path, "must have `podSelector`, `namespaceSelector` or `ipBlock`");
            return None;
        }
        let mut read =
            |field: &str, selector| self.label_selector(&format!("{path}.{field}"), selector);
        Some(NetworkPolicyPeer::Pods {
            pods: peer.pod_selector.as_ref().map(|it| read("podSelector", it)),
            namespaces: peer.namespace_selector.as_ref().map(|it| read("namespaceSelector", it)),
        })
    }

    fn policy_port(&mut self, path: &str, port: &ApiPort) -> Option<NetworkPolicyPort> {
        let protocols = [("TCP", "TCP"), ("UDP", "UDP"), ("SCTP", "SCTP")];
        let protocol =
            self.choice(&format!("{path}.protocol"), port.protocol.as_deref(), "TCP", &protocols);
        let matched = match (&port.port, port.end_port) {
            (None, None) => None,
            (Some(IntOrString::Int(first)), end) => {
                let first = self.port(&format!("{path}.port"), *first);
                let end_path = format!("{path}.endPort");
                let last = end.map_or(first, |end| self.port(&end_path, end));
                if last < first {
                    self.refuse(&end_path, "must not be below `port`");
                }
                Some(PortMatch::Range(first, last.max(first)))
            }
            (Some(IntOrString::String(name)), None) => Some(PortMatch::Name(name.clone())),
            (_, Some(_)) => {
                self.refuse(&format!("{path}.endPort"), "wants a `port` that is a number");
                return None;
            }
        };
        Some(NetworkPolicyPort { protocol: protocol.to_owned(), port: matched })
    }
}

/// An address block in CIDR notation; of both families, as 128 bits.
fn parsed(cidr: &str) -> Option<(std::net::IpAddr, u8)> {
    let (address, prefix) = cidr.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, prefix))
}

/// Whether some of the block is private: RFC 1918, shared (RFC 6598) or unique local (RFC 4193).
fn is_private(address: std::net::IpAddr, prefix: u8) -> bool {
    let blocks: &[(&str, u8)] = match address {
        std::net::IpAddr::V4(_) => {
            &[("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("100.64.0.0", 10)]
        }
        std::net::IpAddr::V6(_) => &[("fc00::", 7)],
    };
    blocks.iter().any(|(first, length)| {
        let first = first.parse().expect("a constant");
        // Two blocks overlap when the shorter prefix is a prefix of both.
        let shared = u32::from(prefix.min(*length));
        shared == 0 || (bits(address) ^ bits(first)) >> (width(address) - shared) == 0
    })
}

fn width(address: std::net::IpAddr) -> u32 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: std::net::IpAddr) -> u128 {
    match address {
        std::net::IpAddr::V4(it) => u128::from(it.to_bits()),
        std::net::IpAddr::V6(it) => it.to_bits(),
    }
}
