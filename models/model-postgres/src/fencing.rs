//! Fencing: PostgreSQL of an instance is kept off, while its pod stays.
//!
//! An annotation of the Cluster (`cnpg.io/fencedInstances`) names instances; their managers shut
//! PostgreSQL down, as for a switchover, and start it again once they are named no more. The operator
//! leaves a primary alone that is fenced: nobody is promoted.
//!
//! Source: CloudNativePG 1.30, `docs/src/fencing.md`; `reconcileFencing` of
//! `internal/management/controller/instance_controller.go`.

use model_api::Observation;
use model_api::observation::InstanceFact;

use crate::cluster::{Cluster, Port};
use crate::databases::StopKind;
use crate::instance::Process;
use crate::rare;

impl Cluster {
    /// The annotation names an instance, or does not any more.
    pub(crate) fn set_fenced(&mut self, port: &mut impl Port, ordinal: u8, is_fenced: bool) {
        if self.patroni.is_none() && self.at(ordinal).is_fenced != is_fenced {
            self.at_mut(ordinal).is_fenced = is_fenced;
            self.refresh(port);
        }
    }

    /// Managers that reach the API server do as the annotation says.
    pub(crate) fn tend_fences(&mut self, port: &mut impl Port) {
        for ordinal in self.ordinals() {
            let instance = *self.at(ordinal);
            if !self.hears(port, ordinal) {
                continue;
            }
            match (instance.is_fenced, instance.process) {
                (true, Process::Running) => self.fence(port, ordinal),
                (false, Process::Fenced) => self.at_mut(ordinal).process = Process::Waiting,
                _ => {}
            }
        }
    }

    /// Simplified: it shuts down in no time; nobody is promoted meanwhile.
    fn fence(&mut self, port: &mut impl Port, ordinal: u8) {
        port.hit(&rare::FENCED);
        if let Some(pod) = self.at(ordinal).pod {
            let (database, fact) = (self.setup.id, InstanceFact::Fenced);
            port.observe(Observation::Instance { database, pod, fact });
        }
        if self.at(ordinal).is_open {
            self.store_rest(port, ordinal, self.setup.switchover_delay);
            self.close(port, ordinal, StopKind::Shutdown);
        } else {
            self.unlink(port, ordinal, StopKind::Shutdown);
        }
        let instance = self.at_mut(ordinal);
        (instance.process, instance.is_excused) = (Process::Fenced, true);
    }
}
