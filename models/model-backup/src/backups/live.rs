//! What a live copy that is left lacks.

use model_api::stake::{Stake, Stakes};
use model_api::{DataSetId, Observation};
use sim_kernel::{Context, Recorder, SimSpan};

use super::{BackupEvent, Backups};
use crate::fate::{Disaster, Fates, bit};
use crate::stamp::Stamp;

impl Backups {
    /// Tells what is at stake with zones and nodes although live copies are left, from now on. Where that
    /// is never told it is [`model_api::backup::DataSet::live_lag`].
    pub fn set_live<E, R>(
        &mut self,
        data_set: DataSetId,
        stakes: Stakes,
        ctx: &mut Context<'_, E, R>,
    ) where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        if self.sets[data_set.index()].stakes != stakes {
            self.look(ctx);
            self.sets[data_set.index()].stakes = stakes;
        }
    }

    /// What is lost when a live copy is left after a disaster, the most of these; `None` when none is.
    pub(super) fn live_stakes(&self, idx: usize, disaster: Disaster) -> Option<Vec<Stake>> {
        let (spec, set) = (&self.protection().data_sets[idx], &self.sets[idx]);
        let zones_gone = self.damage.zones_gone();
        let nodes_left = set.node_zones.iter().filter(|zone| zones_gone & bit(**zone) == 0).count();
        let is_left = match disaster {
            Disaster::Logical | Disaster::Ransomware => false,
            Disaster::Node => !spec.is_on_nodes || (spec.is_replicated && nodes_left > 1),
            _ => self.stands(idx, &Fates::add(self.damage, disaster)),
        };
        if !is_left {
            return None;
        }
        let told = match disaster {
            Disaster::Zone(zone) => set.stakes.zones.get(zone.index()).and_then(Option::as_ref),
            Disaster::Node if spec.is_on_nodes => set.stakes.node.as_ref(),
            _ => None,
        };
        if let Some(told) = told.filter(|_| !set.is_rebuilt) {
            return Some(told.clone());
        }
        let hits_home = match disaster {
            Disaster::Zone(zone) => set.home & bit(zone) != 0,
            Disaster::Node => spec.is_on_nodes,
            _ => !set.is_rebuilt,
        };
        Some(if hits_home { vec![Stake::constant(spec.live_lag)] } else { Vec::new() })
    }

    /// The same of a strike at a moment.
    pub(super) fn live_loss(&self, idx: usize, disaster: Disaster, at: Stamp) -> Option<SimSpan> {
        let stakes = self.live_stakes(idx, disaster)?;
        Some(stakes.iter().map(|it| it.at(at.time())).max().unwrap_or_default())
    }
}
