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
                    scaled(product, *factor_milli)
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

/// A factor times another, both in thousandths. Spikes at once multiply, which soon leaves 64 bits.
fn scaled(milli: u64, factor_milli: u64) -> u64 {
    let product = u128::from(milli) * u128::from(factor_milli) / 1000;
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_at_once_multiply_and_stop_at_the_largest_number() {
        let product = |factors: &[u64]| factors.iter().fold(1000, |milli, it| scaled(milli, *it));
        for (factors, expected) in [
            (vec![], 1000),
            (vec![2000, 1500], 3000),
            (vec![500, 500], 250),
            (vec![1_000_000; 5], 1_000_000_000_000_000_000),
            (vec![1_000_000; 7], u64::MAX),
        ] {
            assert_eq!(product(&factors), expected, "{factors:?}");
        }
    }
}
