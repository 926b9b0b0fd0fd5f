//! Loads that multiply.

use model_api::ServiceId;
use model_api::fault::FaultKind;
use sim_kernel::SimSpan;

use super::World;

impl World {
    /// Sets the load of Services (all, when none is named), or what a tenant asks of them, to the product
    /// of the spikes that are on; returns how many load curves that changes.
    pub(super) fn set_load_factors(
        &mut self,
        services: &[ServiceId],
        tenant: Option<&str>,
        ramp: SimSpan,
    ) -> u32 {
        let services: Vec<ServiceId> = if services.is_empty() {
            self.flows.loaded_services().collect()
        } else {
            services.to_vec()
        };
        let Self { flows, plan, spikes, .. } = self;
        let factor_milli = |service: ServiceId, whose: Option<&str>| {
            spikes.iter().fold(1000, |product, spike| match &plan.faults[spike.index()].kind {
                FaultKind::LoadSpike { services, tenant, factor_milli, .. }
                    if (services.is_empty() || services.contains(&service))
                        && (tenant.is_none() || tenant.as_deref() == whose) =>
                {
                    product * factor_milli / 1000
                }
                _ => product,
            })
        };
        let of_service = |service: ServiceId| {
            flows.set_load_factor(service, ramp, |whose| {
                let is_meant = tenant.is_none() || tenant == whose;
                is_meant.then(|| factor_milli(service, whose))
            })
        };
        services.into_iter().map(of_service).sum()
    }
}
