//! What a live copy that is left lacks.

use std::borrow::Cow;
use std::slice;

use model_api::backup::DisasterClass;
use model_api::stake::{Stake, Stakes};
use model_api::{DataSetId, Observation, ZoneId};
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::{BackupEvent, Backups};
use crate::exposure::Stretch;
use crate::fate::{Disaster, Fates, bit};
use crate::stamp::Stamp;

/// A live copy that a disaster leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live<'a> {
    /// What it lacks; of these the most is lost.
    pub(super) stakes: Cow<'a, [Stake]>,
    /// Another copy is gone, so that clients have to be led to this one.
    pub(super) takes_over: bool,
}

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

    /// Whether it is known for sure what a strike costs: no live copy is left, or it is known which of them
    /// goes on.
    pub fn is_cost_sure(&self, data_set: DataSetId, disaster: Disaster, now: SimTime) -> bool {
        let live = self.live_loss(data_set.index(), disaster, Stamp::of(now));
        live.is_none_or(|(_, is_bound)| !is_bound)
    }

    /// What a strike costs at least; nothing where no live copy is left.
    pub fn least_cost(&self, data_set: DataSetId, disaster: Disaster, now: SimTime) -> SimSpan {
        let live = self.live(data_set.index(), disaster);
        let least = live.map(|live| live.stakes.iter().map(|it| it.least_at(now)).max());
        least.flatten().unwrap_or_default()
    }

    /// Whether a live copy is left when a zone is destroyed.
    pub fn leaves_live_copy(&self, data_set: DataSetId, zone: ZoneId) -> bool {
        let idx = data_set.index();
        self.sets[idx].loss.is_none() && self.live(idx, Disaster::Zone(zone)).is_some()
    }

    /// Whether a zone is destroyed.
    pub fn is_zone_gone(&self, zone: ZoneId) -> bool {
        self.damage.zones_gone() & bit(zone) != 0
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
                let mut told: Vec<Live<'_>> = Vec::new();
                for disaster in self.disasters(idx, class) {
                    let Some(live) = self.live(idx, disaster) else { continue };
                    if !told.contains(&live) {
                        tell_stakes(DataSetId::from_index(idx), class, (from, now), &live, ctx);
                        told.push(live);
                    }
                }
            }
        }
    }

    /// What is lost when a live copy is left after a disaster; `None` when none is.
    pub(super) fn live(&self, idx: usize, disaster: Disaster) -> Option<Live<'_>> {
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
            Disaster::Node => set.stakes.node.as_deref(),
            _ => None,
        };
        let hits_home = match disaster {
            Disaster::Zone(zone) => set.home & bit(zone) != 0,
            Disaster::Node => !set.is_rebuilt && spec.is_exposed_to(DisasterClass::Node),
            _ => !set.is_rebuilt,
        };
        if let Some(told) = told.filter(|_| !set.is_rebuilt) {
            // Its instances may stand elsewhere than where it began.
            let is_moved = told.iter().any(|stake| !stake.pieces.is_empty());
            return Some(Live { stakes: Cow::Borrowed(told), takes_over: hits_home || is_moved });
        }
        let lag = if hits_home { spec.live_lag } else { SimSpan::ZERO };
        let stakes = Cow::Owned(vec![Stake::constant(lag)]);
        Some(Live { stakes, takes_over: hits_home })
    }

    /// The same of a strike at a moment, and whether that is known for sure.
    pub(super) fn live_loss(
        &self,
        idx: usize,
        disaster: Disaster,
        at: Stamp,
    ) -> Option<(SimSpan, bool)> {
        let Live { stakes, .. } = self.live(idx, disaster)?;
        let loss = stakes.iter().map(|it| it.at(at.time())).max().unwrap_or_default();
        Some((loss, stakes.iter().any(|it| it.is_bound)))
    }
}

/// Tells stakes over a time, its first moment left out.
pub(super) fn tell_stakes<E, R>(
    data_set: DataSetId,
    class: DisasterClass,
    (from, until): (Stamp, Stamp),
    live: &Live<'_>,
    ctx: &mut Context<'_, E, R>,
) where
    E: Copy + From<BackupEvent>,
    R: Recorder<Observation>,
{
    let of_stake = |stake| Stretch::of_stake(from, until, stake, live.takes_over);
    for stretch in live.stakes.iter().flat_map(of_stake) {
        ctx.observe(|| Observation::Backup(stretch.fact(data_set, class, None)));
    }
}
