//! What a live copy that is left lacks.

use std::borrow::Cow;
use std::slice;

use model_api::backup::DisasterClass;
use model_api::stake::{Stake, Stakes};
use model_api::{DataSetId, Observation};
use sim_kernel::{Context, Recorder, SimSpan};

use super::{BackupEvent, Backups};
use crate::exposure::Stretch;
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
        let idx = data_set.index();
        if self.sets[idx].stakes != stakes {
            if R::RECORDS && self.sets[idx].loss.is_none() {
                self.tell_live(idx, Stamp::of(ctx.now()), ctx);
            }
            self.sets[idx].stakes = stakes;
        }
    }

    /// Tells what was at stake up to now while a live copy was left. What else a strike finds is not
    /// looked at: it changes far less often.
    fn tell_live<E, R>(&mut self, idx: usize, now: Stamp, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let from = std::mem::replace(&mut self.sets[idx].live_told_until, now);
        if from < now {
            for class in [DisasterClass::Node, DisasterClass::Zone] {
                let disasters = self.disasters(idx, class);
                let mut told: Vec<Cow<'_, [Stake]>> = Vec::new();
                for stakes in disasters.filter_map(|disaster| self.live_stakes(idx, disaster)) {
                    if !told.contains(&stakes) {
                        tell_stakes(DataSetId::from_index(idx), class, (from, now), &stakes, ctx);
                        told.push(stakes);
                    }
                }
            }
        }
    }

    /// What is lost when a live copy is left after a disaster, the most of these; `None` when none is.
    pub(super) fn live_stakes(&self, idx: usize, disaster: Disaster) -> Option<Cow<'_, [Stake]>> {
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
            Disaster::Zone(zone) => {
                set.stakes.zones.get(zone.index()).and_then(Option::as_ref).map(slice::from_ref)
            }
            Disaster::Node if spec.is_on_nodes => set.stakes.node.as_deref(),
            _ => None,
        };
        if let Some(told) = told.filter(|_| !set.is_rebuilt) {
            return Some(Cow::Borrowed(told));
        }
        let hits_home = match disaster {
            Disaster::Zone(zone) => set.home & bit(zone) != 0,
            Disaster::Node => spec.is_on_nodes,
            _ => !set.is_rebuilt,
        };
        let lag = if hits_home { spec.live_lag } else { SimSpan::ZERO };
        Some(Cow::Owned(vec![Stake::constant(lag)]))
    }

    /// The same of a strike at a moment, and whether that is known for sure.
    pub(super) fn live_loss(
        &self,
        idx: usize,
        disaster: Disaster,
        at: Stamp,
    ) -> Option<(SimSpan, bool)> {
        let stakes = self.live_stakes(idx, disaster)?;
        let loss = stakes.iter().map(|it| it.at(at.time())).max().unwrap_or_default();
        Some((loss, stakes.iter().any(|it| it.is_bound)))
    }
}

/// Tells stakes over a time, its first moment left out.
pub(super) fn tell_stakes<E, R>(
    data_set: DataSetId,
    class: DisasterClass,
    (from, until): (Stamp, Stamp),
    stakes: &[Stake],
    ctx: &mut Context<'_, E, R>,
) where
    E: Copy + From<BackupEvent>,
    R: Recorder<Observation>,
{
    for stretch in stakes.iter().flat_map(|stake| Stretch::of_stake(from, until, stake)) {
        ctx.observe(|| Observation::Backup(stretch.fact(data_set, class)));
    }
}
