//! `autoscaling.k8s.io/v1 VerticalPodAutoscaler`, read from the tree.
//!
//! # Modelled
//! The target, the mode, and policies by container as far as CPU goes. Nothing is ever applied: what
//! would be recommended stands in the result.
//! # Not modelled
//! Memory, `recommenders` of one's own, `minReplicas`, eviction requirements, start-up boost.
//! # Defaults and their sources
//! kubernetes/autoscaler `vertical-pod-autoscaler/pkg/apis/autoscaling.k8s.io/v1/types.go`: mode
//! `Auto`, which means `Recreate`; policies of mode `Auto` that control CPU and memory.

use model_api::kube::{ContainerResourcePolicy, ScaleTarget, UpdateMode, VerticalPodAutoscaler};

use super::Reader;
use crate::quantity::Quantity;
use crate::yaml::Node;

impl Reader<'_> {
    pub(crate) fn vertical_autoscaler(&mut self) -> VerticalPodAutoscaler {
        let mut target = |field: &str| {
            let path = format!("spec.targetRef.{field}");
            let text = self.text(&path).unwrap_or_default().to_owned();
            if text.is_empty() {
                self.refuse(&path, "is missing");
            }
            text
        };
        let target = ScaleTarget { kind: target("kind"), name: target("name") };
        let modes = [
            ("Auto", UpdateMode::Recreate),
            ("Recreate", UpdateMode::Recreate),
            ("InPlaceOrRecreate", UpdateMode::InPlaceOrRecreate),
            ("InPlace", UpdateMode::InPlace),
            ("Initial", UpdateMode::Initial),
            ("Off", UpdateMode::Off),
        ];
        let path = "spec.updatePolicy.updateMode";
        let update_mode = self.choice(path, self.text(path), UpdateMode::default(), &modes);
        let path = "spec.resourcePolicy.containerPolicies";
        let policy_count = self.object.find(path).and_then(Node::items).map_or(0, <[Node]>::len);
        VerticalPodAutoscaler {
            namespace: self.object.key.namespace.clone(),
            name: self.object.key.name.clone(),
            target,
            update_mode,
            policies: (0..policy_count)
                .map(|idx| self.container_policy(&format!("{path}[{idx}]")))
                .collect(),
            origin: self.origin(),
        }
    }

    fn container_policy(&mut self, path: &str) -> ContainerResourcePolicy {
        let name = self.text(&format!("{path}.containerName")).unwrap_or_default().to_owned();
        if name.is_empty() {
            let message = "is missing: the name of a container, or `*` for all others";
            self.refuse(&format!("{path}.containerName"), message);
        }
        let mode = format!("{path}.mode");
        let is_off = self.choice(&mode, self.text(&mode), false, &[("Auto", false), ("Off", true)]);
        let least = self.cpu_millis(&format!("{path}.minAllowed.cpu"));
        let most = self.cpu_millis(&format!("{path}.maxAllowed.cpu"));
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            self.refuse(&format!("{path}.maxAllowed.cpu"), "must not be below minAllowed");
        }
        let memory_least = self.whole_bytes(&format!("{path}.minAllowed.memory"));
        let memory_most = self.whole_bytes(&format!("{path}.maxAllowed.memory"));
        if let (Some(least), Some(most)) = (memory_least, memory_most)
            && least > most
        {
            self.refuse(&format!("{path}.maxAllowed.memory"), "must not be below minAllowed");
        }
        let controlled = format!("{path}.controlledResources");
        let controlled = self.object.find(&controlled).and_then(Node::items);
        let controls = |name: &str| {
            controlled.is_none_or(|items| items.iter().any(|item| item.text() == Some(name)))
        };
        ContainerResourcePolicy {
            container_name: name,
            is_off,
            cpu_millis_min: least,
            cpu_millis_max: most,
            memory_bytes_min: memory_least,
            memory_bytes_max: memory_most,
            controls_cpu: controls("cpu"),
            controls_memory: controls("memory"),
        }
    }

    /// Whole bytes only (`validateMemoryResolution` of the same file).
    fn whole_bytes(&mut self, path: &str) -> Option<i64> {
        let text = self.text(path)?.to_owned();
        let why_not = match Quantity::parse(&text) {
            Ok(amount) if amount.nanos() < 0 => format!("must not be negative, is {text}"),
            Ok(amount) if amount.nanos() % 1_000_000_000 != 0 => {
                format!("must be a whole number of bytes, is {text}")
            }
            Ok(amount) => return Some(amount.ceil()),
            Err(error) => format!("`{text}` {error}"),
        };
        self.refuse(path, why_not);
        None
    }

    /// Whole millicores only (`validateCPUResolution` of
    /// `pkg/admission-controller/resource/vpa/handler.go`).
    fn cpu_millis(&mut self, path: &str) -> Option<i64> {
        let text = self.text(path)?.to_owned();
        let why_not = match Quantity::parse(&text) {
            Ok(amount) if amount.nanos() < 0 => format!("must not be negative, is {text}"),
            Ok(amount) if amount.nanos() % 1_000_000 != 0 => {
                format!("must be a whole number of millicores, is {text}")
            }
            Ok(amount) => return Some(amount.ceil_millis()),
            Err(error) => format!("`{text}` {error}"),
        };
        self.refuse(path, why_not);
        None
    }
}
