//! Why nothing of a data set can be restored, or could be.

use model_api::DataSetId;
use model_api::observation::Lack;

use super::Backups;
use super::obstacles::Obstacles;
use crate::exposure::{ALL, Stretch, Subject};
use crate::fate::{Damage, Disaster, Fates};
use crate::restore::{Question, Stock, View, lack, way};

impl Backups {
    /// Why a strike would cost everything at the worst moment of a stretch, where it would.
    pub(super) fn lack_at(
        &self,
        idx: usize,
        disaster: Disaster,
        subject: &Subject<'_>,
        stretch: &Stretch,
    ) -> Option<Lack> {
        if stretch.loss_max != ALL {
            return None;
        }
        let damage = Fates::add(self.damage, disaster);
        let question = subject.question(stretch.loss_max_at);
        let struck = (disaster, &damage, Obstacles::IMAGINED);
        Some(self.lack(idx, struck, (&subject.stock, &subject.view), &question))
    }

    /// What copies of a data set lack that a disaster struck.
    pub(super) fn lack(
        &self,
        idx: usize,
        (disaster, damage, obstacles): (Disaster, &Damage, Obstacles),
        (stock, view): (&Stock<'_>, &View),
        question: &Question,
    ) -> Lack {
        if !view.ways.is_empty() {
            return lack(stock, view, question);
        }
        let protection = self.protection();
        let survivors = self.readable(idx, disaster, damage, obstacles);
        let policies = protection.policies_of(DataSetId::from_index(idx));
        let policies = policies.map(|id| &protection.policies[id.index()]);
        let is_left = policies
            .map(|policy| way(policy.to, &policy.copies, survivors, &self.gaps).is_some())
            .max();
        match is_left {
            None => Lack::Policy,
            Some(false) => Lack::Place,
            Some(true) => Lack::Key,
        }
    }
}
