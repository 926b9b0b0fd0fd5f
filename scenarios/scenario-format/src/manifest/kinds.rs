//! The kinds that an API server knows by itself, without custom resources.
//!
//! Kubernetes 1.36, `api/openapi-spec/swagger.json`: groups, kinds, and whether objects live in a
//! namespace.

use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::nearest;
use crate::source::Span;

/// Kinds of an API group.
struct Group {
    name: &'static str,
    /// Those whose objects live in a namespace.
    namespaced: &'static [&'static str],
    /// Those whose objects live in none.
    cluster: &'static [&'static str],
}

const GROUPS: &[Group] = &[
    Group {
        name: "",
        namespaced: &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
        cluster: &["ComponentStatus", "Namespace", "Node", "PersistentVolume"],
    },
    Group {
        name: "admissionregistration.k8s.io",
        namespaced: &[],
        cluster: &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    },
    Group { name: "apiextensions.k8s.io", namespaced: &[], cluster: &["CustomResourceDefinition"] },
    Group { name: "apiregistration.k8s.io", namespaced: &[], cluster: &["APIService"] },
    Group {
        name: "apps",
        namespaced: &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
        cluster: &[],
    },
    Group {
        name: "authentication.k8s.io",
        namespaced: &["TokenRequest"],
        cluster: &["SelfSubjectReview", "TokenReview"],
    },
    Group {
        name: "authorization.k8s.io",
        namespaced: &["LocalSubjectAccessReview"],
        cluster: &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    },
    Group { name: "autoscaling", namespaced: &["HorizontalPodAutoscaler", "Scale"], cluster: &[] },
    Group { name: "batch", namespaced: &["CronJob", "Job"], cluster: &[] },
    Group {
        name: "certificates.k8s.io",
        namespaced: &["PodCertificateRequest"],
        cluster: &["CertificateSigningRequest", "ClusterTrustBundle"],
    },
    Group { name: "coordination.k8s.io", namespaced: &["Lease", "LeaseCandidate"], cluster: &[] },
    Group { name: "discovery.k8s.io", namespaced: &["EndpointSlice"], cluster: &[] },
    Group { name: "events.k8s.io", namespaced: &["Event"], cluster: &[] },
    Group {
        name: "flowcontrol.apiserver.k8s.io",
        namespaced: &[],
        cluster: &["FlowSchema", "PriorityLevelConfiguration"],
    },
    Group { name: "internal.apiserver.k8s.io", namespaced: &[], cluster: &["StorageVersion"] },
    Group {
        name: "networking.k8s.io",
        namespaced: &["Ingress", "NetworkPolicy"],
        cluster: &["IPAddress", "IngressClass", "ServiceCIDR"],
    },
    Group { name: "node.k8s.io", namespaced: &[], cluster: &["RuntimeClass"] },
    Group { name: "policy", namespaced: &["Eviction", "PodDisruptionBudget"], cluster: &[] },
    Group {
        name: "rbac.authorization.k8s.io",
        namespaced: &["Role", "RoleBinding"],
        cluster: &["ClusterRole", "ClusterRoleBinding"],
    },
    Group {
        name: "resource.k8s.io",
        namespaced: &["ResourceClaim", "ResourceClaimTemplate"],
        cluster: &["DeviceClass", "DeviceTaintRule", "ResourceSlice"],
    },
    Group {
        name: "scheduling.k8s.io",
        namespaced: &["PodGroup", "Workload"],
        cluster: &["PriorityClass"],
    },
    Group {
        name: "storage.k8s.io",
        namespaced: &["CSIStorageCapacity"],
        cluster: &[
            "CSIDriver",
            "CSINode",
            "StorageClass",
            "VolumeAttachment",
            "VolumeAttributesClass",
        ],
    },
    Group {
        name: "storagemigration.k8s.io",
        namespaced: &[],
        cluster: &["StorageVersionMigration"],
    },
];

impl Group {
    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.namespaced.iter().chain(self.cluster).copied()
    }

    /// As `apiVersion` names it.
    fn title(&self) -> &'static str {
        if self.name.is_empty() { "v1" } else { self.name }
    }
}

fn group_of(name: &str) -> Option<&'static Group> {
    GROUPS.iter().find(|group| group.name == name)
}

/// Whether objects of a kind live in a namespace; `None` of kinds that are not built in.
pub(crate) fn is_namespaced(group: &str, kind: &str) -> Option<bool> {
    let group = group_of(group)?;
    if group.namespaced.contains(&kind) {
        return Some(true);
    }
    group.cluster.contains(&kind).then_some(false)
}

/// What is wrong with a kind that no API server knows. Groups of custom resources have a dot in
/// their name (`ValidateCustomResourceDefinitionSpec`), so that one without a dot is built in or
/// misspelt; what is in the others is theirs to say.
pub(crate) fn unknown(
    api_version: &str,
    group: &str,
    kind: &str,
    span: Span,
) -> Option<Diagnostic> {
    let known = group_of(group);
    let is_custom = known.is_none() && group.contains('.');
    if is_custom || is_namespaced(group, kind).is_some() {
        return None;
    }
    let message = format!("there is no kind `{kind}` of `{api_version}`");
    let elsewhere = GROUPS.iter().find(|group| group.kinds().any(|known| known == kind));
    let help = match (known, elsewhere) {
        (_, Some(other)) => Some(format!("`{kind}` is of {}", with_version(other))),
        (Some(group), None) => nearest(kind, group.kinds())
            .or_else(|| nearest(kind, GROUPS.iter().flat_map(Group::kinds)))
            .map(|close| format!("did you mean `{close}`?")),
        (None, None) => nearest(group, GROUPS.iter().map(|group| group.name))
            .map(|close| format!("did you mean the group `{close}`?")),
    };
    let diagnostic = Diagnostic::new(Code::E0087, span, message);
    Some(diagnostic.label("the API server would refuse it").help_if(help))
}

/// `apps/v1`, as far as the version is the usual one.
fn with_version(group: &Group) -> String {
    match group.name {
        "" => "v1".to_owned(),
        "autoscaling" => "autoscaling/v2".to_owned(),
        _ => format!("{}/v1", group.title()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_sorted_and_unique() {
        let is_sorted = |names: &[&str]| names.windows(2).all(|pair| pair[0] < pair[1]);
        let names: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        assert!(is_sorted(&names));
        for group in GROUPS {
            assert!(is_sorted(group.namespaced) && is_sorted(group.cluster), "{}", group.name);
        }
    }

    #[test]
    fn what_is_built_in_is_known_and_what_is_not_is_told() {
        let says = |group: &str, kind: &str| {
            let found = unknown(group, group, kind, Span::default());
            found.map(|it| it.help.unwrap_or_default())
        };
        assert_eq!(says("apps", "Deployment"), None);
        assert_eq!(says("karpenter.sh", "NodePool"), None);
        for (group, kind, part) in [
            ("apps", "Deploymnet", "`Deployment`"),
            ("extensions", "Deployment", "apps/v1"),
            ("", "Deployment", "apps/v1"),
            ("", "Servcie", "`Service`"),
            ("app", "Deploy", "`apps`"),
            ("policy", "PodSecurityPolicy", ""),
        ] {
            let help = says(group, kind).expect("it is unknown");
            assert!(help.contains(part), "{group} {kind}: {help}");
        }
        assert_eq!(is_namespaced("", "Node"), Some(false));
        assert_eq!(is_namespaced("karpenter.sh", "NodePool"), None);
    }
}
