//! Node pools that grow and shrink, and the flags of what makes them.

use model_api::SimSpan;
use model_api::machines::ClusterAutoscaler;

use super::Resolver;
use crate::diagnostic::Code;
use crate::document::{ClusterAutoscalerSpec, PlatformSpec};

impl Resolver<'_> {
    /// The cluster autoscaler of a platform that has a pool for it.
    pub(super) fn autoscale_nodes(&mut self, spec: &PlatformSpec) {
        if self.blueprint.node_groups.is_empty() {
            if let Some(stated) = &spec.cluster_autoscaler {
                let message = "no node pool has `autoscaling`, so this changes nothing";
                self.report(Code::E0017, stated.span, message);
            }
            return;
        }
        for pool in &spec.node_pools {
            if let Some(autoscaling) = &pool.autoscaling
                && autoscaling.boot_time.is_none()
            {
                let text = format!(
                    "node pool {}: half of the new nodes are Ready after 150 s, 95 of 100 after 300 s",
                    pool.name.value
                );
                self.assume(text, &autoscaling.span.origin());
            }
        }
        let stated = spec.cluster_autoscaler.as_ref();
        let autoscaler = stated.map(|stated| self.cluster_autoscaler(stated));
        let mut autoscaler = autoscaler.unwrap_or_default();
        let expanders = stated.map_or(&[][..], |stated| &stated.expanders);
        self.autoscaler_flags(expanders, &mut autoscaler);
        if autoscaler.scan_interval.is_some_and(SimSpan::is_zero) {
            // One that the Platform states was refused already.
            autoscaler.scan_interval = None;
        }
        self.blueprint.cluster_autoscaler = Some(autoscaler);
    }

    fn cluster_autoscaler(&mut self, spec: &ClusterAutoscalerSpec) -> ClusterAutoscaler {
        if let Some(interval) = spec.scan_interval.filter(|it| it.value.is_zero()) {
            self.report(Code::E0021, interval.span, "the autoscaler must wait between its looks");
        }
        ClusterAutoscaler {
            workload: spec.workload.as_ref().and_then(|name| self.workload(name)),
            scan_interval: spec.scan_interval.map(|it| it.value),
            balances_similar_groups: spec.balance_similar_node_groups,
            max_nodes_total: spec.max_nodes_total.map(|it| it.value),
            max_node_provision_time: spec.max_node_provision_time.map(|it| it.value),
            new_pod_scale_up_delay: spec.new_pod_scale_up_delay.map(|it| it.value),
            scale_down_enabled: spec.scale_down_enabled,
            scale_down_threshold_ppm: spec.scale_down_utilization_threshold.map(|it| it.value.ppm),
            scale_down_unneeded_time: spec.scale_down_unneeded_time.map(|it| it.value),
            scale_down_unready_time: spec.scale_down_unready_time.map(|it| it.value),
            scale_down_delay_after_add: spec.scale_down_delay_after_add.map(|it| it.value),
            skips_system_pods: spec.skip_nodes_with_system_pods,
            origin: spec.span.origin(),
            ..ClusterAutoscaler::default()
        }
    }
}
