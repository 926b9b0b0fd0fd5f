//! How late the answers of a pod are, for whoever asks it now and then: the probes of kubelets.
//!
//! A probe that waits in line meets what a request meets: it finds the queue full, or waits until a
//! worker is free. Told only when it differs by more than a few percent, so that a load that
//! changes little, or makes nobody wait, costs nothing.
//!
//! Simplified: where the rate of a Service ramps, its answers are for the whole stretch as they are
//! in its middle; a stretch ends where a capacity is met. A rate limit lets probes pass. Where workers
//! are shared, the work of a probe itself takes no time, however many share.

use model_api::ServiceId;
use sim_kernel::SimSpan;

use crate::fluid::Waiting;
use crate::graph::NodeIdx;

/// Fewer late answers than this, of a million, are none.
const LATE_MIN_PPM: u32 = 100;
/// Leading bits of a share that are told.
const TOLD_BITS: u32 = 5;

/// Services whose answers somebody wants to know about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strains {
    all: Vec<Strain>,
}

#[derive(Clone, Debug)]
struct Strain {
    service: ServiceId,
    part: usize,
    node: NodeIdx,
    timeouts: Vec<SimSpan>,
    /// What was told last, for each time-out.
    late_ppm: Vec<u32>,
}

impl Strains {
    pub(crate) fn watch(
        &mut self,
        service: ServiceId,
        (part, node): (usize, NodeIdx),
        timeouts: &[SimSpan],
    ) {
        let timeouts = timeouts.to_vec();
        let late_ppm = vec![0; timeouts.len()];
        self.all.push(Strain { service, part, node, timeouts, late_ppm });
    }

    /// Tells of each Service of these parts whose answers are late otherwise than before.
    pub(crate) fn take(
        &mut self,
        parts: &[u32],
        waiting: impl Fn(usize, NodeIdx) -> Waiting,
        mut tell: impl FnMut(ServiceId, &[u32]),
    ) {
        for strain in &mut self.all {
            if !parts.iter().any(|part| *part as usize == strain.part) {
                continue;
            }
            let waiting = waiting(strain.part, strain.node);
            let mut is_other = false;
            for (timeout, told) in strain.timeouts.iter().zip(&mut strain.late_ppm) {
                let late = coarse(waiting.late_share(timeout.as_secs_f64()));
                is_other |= late != *told;
                *told = late;
            }
            if is_other {
                tell(strain.service, &strain.late_ppm);
            }
        }
    }
}

/// A share in parts per million, to its leading bits.
fn coarse(share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is a share, and `as` saturates"
    )]
    let ppm = (share * 1e6 + 0.5) as u32;
    if ppm < LATE_MIN_PPM {
        return 0;
    }
    let shift = (u32::BITS - ppm.leading_zeros()).saturating_sub(TOLD_BITS);
    let half = (1 << shift) >> 1;
    (((ppm + half) >> shift) << shift).min(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_told_to_a_few_percent() {
        assert_eq!(coarse(0.0), 0);
        assert_eq!(coarse(9e-5), 0);
        assert_eq!(coarse(1.0), 1_000_000);
        for ppm in (100..1_000_000).step_by(997) {
            let told = f64::from(coarse(f64::from(ppm) / 1e6));
            assert!((told / f64::from(ppm) - 1.0).abs() < 0.04, "{ppm} {told}");
        }
    }
}
