//! Who has to answer before a pod has its volumes on a node that did not have them.
//!
//! A VolumeAttachment is written by the controller manager and carried out by the attacher of the driver
//! (kubernetes-csi/external-attacher), which for block devices of a cloud asks the API of that:
//! `pkg/csi/cinder/controllerserver.go` of cloud-provider-openstack 1.31 (`ControllerPublishVolume` is a call of
//! Nova).

use super::{Attacher, PersistentVolumeClaim, Workload, WorkloadKind};
use crate::Blueprint;

/// Who attaches the volumes of a workload's pods that one node at a time may mount: of several, who needs
/// most to be there. A class that nobody stated is one of the cloud's.
pub fn attacher(blueprint: &Blueprint, workload: &Workload) -> Attacher {
    let of_class = |name: Option<&String>| {
        let class = blueprint.storage_classes.iter().find(|class| match name {
            Some(name) => class.name == *name,
            None => class.is_default,
        });
        class.map_or(Attacher::Cloud, |class| class.attacher)
    };
    let of = |claim: &PersistentVolumeClaim| match claim.is_shared {
        true => Attacher::Nobody,
        false => of_class(claim.storage_class.as_ref()),
    };
    let named = |name: &str| {
        let mut claims = blueprint.claims.iter();
        claims.find(|claim| claim.namespace == workload.namespace && claim.name == name)
    };
    let of_templates = match &workload.kind {
        WorkloadKind::StatefulSet { claims, .. } => claims.iter().map(of).max(),
        WorkloadKind::DatabaseInstances => {
            let first = named(&format!("{}-1", workload.name));
            Some(first.map_or_else(|| of_class(None), of))
        }
        _ => None,
    };
    let names = workload.template.spec.claim_names.iter();
    let of_names = names.filter_map(|name| named(name)).map(of).max();
    of_templates.max(of_names).unwrap_or(Attacher::Nobody)
}

/// Whether anything of a platform is done by the control plane of its cloud: machines of load balancers and
/// of node groups are made, volumes attached.
pub fn asks_cloud(blueprint: &Blueprint) -> bool {
    !blueprint.balancers.is_empty()
        || !blueprint.node_groups.is_empty()
        || blueprint.workloads.iter().any(|it| attacher(blueprint, it) == Attacher::Cloud)
}

#[cfg(test)]
mod tests {
    use sim_kernel::SimSpan;

    use super::*;
    use crate::Origin;
    use crate::kube::{PodManagementPolicy, PodTemplate, StatefulSetUpdate, StorageClass};

    #[test]
    fn volumes_are_attached_by_who_has_them() {
        let class = |name: &str, attacher| StorageClass {
            name: name.to_owned(),
            attacher,
            ..StorageClass::default()
        };
        let blueprint = Blueprint {
            storage_classes: vec![class("block", Attacher::Cloud), class("rbd", Attacher::Cluster)],
            ..Blueprint::default()
        };
        let of = |classes: &[Option<&str>], is_shared| {
            let claim = |class: &Option<&str>| PersistentVolumeClaim {
                storage_class: class.map(str::to_owned),
                is_shared,
                ..PersistentVolumeClaim::default()
            };
            let kind = WorkloadKind::StatefulSet {
                claims: classes.iter().map(claim).collect(),
                pod_management: PodManagementPolicy::OrderedReady,
                ordinals_start: 0,
                update: StatefulSetUpdate::default(),
                service_name: String::new(),
            };
            let workload = Workload {
                kind,
                namespace: "shop".to_owned(),
                name: "db".to_owned(),
                replicas: 1,
                selector: None,
                min_ready: SimSpan::ZERO,
                template: PodTemplate::default(),
                origin: Origin::default(),
            };
            attacher(&blueprint, &workload)
        };
        assert_eq!(of(&[], false), Attacher::Nobody);
        assert_eq!(of(&[Some("rbd")], false), Attacher::Cluster);
        assert_eq!(of(&[Some("rbd"), Some("block")], false), Attacher::Cloud);
        assert_eq!(of(&[None], false), Attacher::Cloud, "a class that nobody stated");
        assert_eq!(of(&[Some("block")], true), Attacher::Nobody);
    }
}
