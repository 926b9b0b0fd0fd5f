//! What a disaster would cost if it struck now: of all data sets, of every class.

use model_api::backup::DisasterClass;
use model_api::{DataSetId, Observation, ZoneId};
use sim_kernel::{Context, Recorder, SimSpan, SimTime};

use super::obstacles::Obstacles;
use super::{BackupEvent, Backups, live};
use crate::archive::Stairs;
use crate::exposure::{Cost, Subject};
use crate::fate::{Disaster, Fates};
use crate::people::{Work, work};
use crate::restore::{Stock, View};
use crate::runs::Runs;
use crate::stamp::Stamp;

impl Backups {
    /// What a disaster would cost a data set if it struck now; `None` while it is lost already.
    pub fn cost_now(&self, data_set: DataSetId, disaster: Disaster, now: SimTime) -> Option<Cost> {
        let now = Stamp::of(now);
        let idx = data_set.index();
        if self.sets[idx].loss.is_some() {
            return None;
        }
        let mut ahead = self.runs.clone();
        ahead.advance(self.protection(), self.far_ahead(now), true);
        let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
        Some(match self.live_loss(idx, disaster, now) {
            Some((loss, _)) => Cost { loss, back: SimSpan::ZERO },
            None => self.subject(idx, disaster, &ahead, stairs.as_deref()).cost(now),
        })
    }

    pub(super) fn tell_exposure<E, R>(&self, now: Stamp, ctx: &mut Context<'_, E, R>)
    where
        E: Copy + From<BackupEvent>,
        R: Recorder<Observation>,
    {
        let mut ahead = self.runs.clone();
        ahead.advance(self.protection(), self.far_ahead(now), true);
        for idx in 0..self.sets.len() {
            if self.sets[idx].loss.is_some() {
                continue;
            }
            let data_set = DataSetId::from_index(idx);
            let stairs = self.archive_idx(data_set).map(|archive| self.archives[archive].stairs());
            let live_from = self.sets[idx].live_told_until;
            for class in DisasterClass::ALL {
                let mut told: Vec<live::Live<'_>> = Vec::new();
                let mut seen: Vec<View> = Vec::new();
                for disaster in self.disasters(idx, class) {
                    if let Some(live) = self.live(idx, disaster) {
                        if !told.contains(&live) {
                            live::tell_stakes(data_set, class, (live_from, now), &live, ctx);
                            told.push(live);
                        }
                        continue;
                    }
                    let subject = self.subject(idx, disaster, &ahead, stairs.as_deref());
                    if seen.contains(&subject.view) {
                        continue;
                    }
                    for stretch in subject.stretches(self.told_until, now) {
                        ctx.observe(|| {
                            let lack = self.lack_at(idx, disaster, &subject, &stretch);
                            Observation::Backup(stretch.fact(data_set, class, lack))
                        });
                    }
                    seen.push(subject.view);
                }
            }
        }
    }

    /// The latest moment that a strike by now could still care for.
    fn far_ahead(&self, now: Stamp) -> Stamp {
        let mut longest = SimSpan::ZERO;
        for idx in 0..self.sets.len() {
            for class in [DisasterClass::Region, DisasterClass::Logical] {
                for disaster in self.disasters(idx, class) {
                    longest = longest.max(self.work(idx, disaster, None).lead());
                }
            }
        }
        now.plus(longest).plus(SimSpan::from_nanos(1))
    }

    /// The disasters of a class that a data set is exposed to.
    pub(super) fn disasters(
        &self,
        idx: usize,
        class: DisasterClass,
    ) -> impl Iterator<Item = Disaster> + use<> {
        let of_class = match class {
            DisasterClass::Node => Some(Disaster::Node),
            DisasterClass::Zone => None,
            DisasterClass::Region => Some(Disaster::Region),
            DisasterClass::Account => Some(Disaster::Account(self.fates.account_of(idx))),
            DisasterClass::Logical => Some(Disaster::Logical),
            DisasterClass::Ransomware => Some(Disaster::Ransomware),
        };
        let zone_count = if of_class.is_none() { self.blueprint.zones.len() } else { 0 };
        let zones = (0..zone_count).map(ZoneId::from_index).map(Disaster::Zone);
        of_class.into_iter().chain(zones)
    }

    /// What people need for the next recovery of a data set.
    pub(super) fn work(&self, idx: usize, disaster: Disaster, dwell: Option<SimSpan>) -> Work {
        let spec = &self.protection().data_sets[idx];
        let set = &self.sets[idx];
        let dwell = match disaster {
            Disaster::Logical | Disaster::Ransomware => Some(dwell.unwrap_or(spec.discovery)),
            _ => None,
        };
        let is_site_gone = matches!(disaster, Disaster::Region | Disaster::Account(_));
        let recovery = &self.protection().recovery;
        work(recovery, self.streams, set.key, set.recovery_count, dwell, is_site_gone)
    }

    pub(super) fn stock<'a>(
        &'a self,
        idx: usize,
        runs: &'a Runs,
        stairs: Option<&'a [Stairs]>,
    ) -> Stock<'a> {
        let spec = &self.protection().data_sets[idx];
        let archive = self.archive_idx(DataSetId::from_index(idx));
        Stock {
            protection: self.protection(),
            runs,
            archive: archive.and_then(|archive| Some((&self.archives[archive], stairs?))),
            size_bytes: spec.size_bytes,
            written_bytes_per_second: spec.written_bytes_per_second,
            read_rates: &self.read_rates,
            volume_bytes_per_second: spec.volume_bytes_per_second.unwrap_or(u64::MAX),
        }
    }

    fn subject<'a>(
        &'a self,
        idx: usize,
        disaster: Disaster,
        runs: &'a Runs,
        stairs: Option<&'a [Stairs]>,
    ) -> Subject<'a> {
        let work = self.work(idx, disaster, None);
        let is_logical = matches!(disaster, Disaster::Logical | Disaster::Ransomware);
        Subject {
            stock: self.stock(idx, runs, stairs),
            view: self.view(idx, disaster, &Fates::add(self.damage, disaster), Obstacles::IMAGINED),
            dwell: is_logical.then_some(work.detect),
            lead: work.lead(),
            verify: work.verify,
            stopped_at: self.sets[idx].stopped_at,
        }
    }
}
