//! Faults of one instance of a database.

use model_api::DatabaseId;
use model_api::fault::{FaultKind, InstanceFault, InstanceHarm, InstancePick};

use super::super::Resolver;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::{DestroyInstanceSpec, FreezePrimarySpec, HoldStandbySpec};
use crate::source::Spanned;

impl Resolver<'_> {
    pub(super) fn destroy_instance(&mut self, spec: &DestroyInstanceSpec) -> Option<FaultKind> {
        let database = self.database(&spec.database)?;
        let whom = self.instance_pick(database, spec.instance.as_ref(), InstancePick::Primary)?;
        let is_only_one = self.blueprint.databases[database.index()].instances < 2;
        if is_only_one && self.blueprint.protection.of_database(database).is_none() {
            let name = &spec.database.value;
            let message = format!("`{name}` has one instance and no backups: all of it is gone");
            let help = "state it under `backups`, or add an instance that it can be copied from";
            self.diagnostics.push(Diagnostic::new(Code::W0330, spec.span, message).help(help));
        }
        let what = InstanceHarm::VolumeDestroyed;
        Some(FaultKind::Instance(InstanceFault { database, whom, what }))
    }

    pub(super) fn freeze_primary(&mut self, spec: &FreezePrimarySpec) -> Option<FaultKind> {
        let database = self.database(&spec.database)?;
        let (whom, what) = (InstancePick::Primary, InstanceHarm::Frozen);
        Some(FaultKind::Instance(InstanceFault { database, whom, what }))
    }

    pub(super) fn hold_standby(&mut self, spec: &HoldStandbySpec) -> Option<FaultKind> {
        let database = self.database(&spec.database)?;
        if self.blueprint.databases[database.index()].instances < 2 {
            let message = format!("`{}` has no standby to hold back", spec.database.value);
            self.report(Code::E0112, spec.database.span, message);
            return None;
        }
        let whom = self.instance_pick(database, spec.instance.as_ref(), InstancePick::Standby)?;
        let what = InstanceHarm::HeldBack;
        Some(FaultKind::Instance(InstanceFault { database, whom, what }))
    }

    fn instance_pick(
        &mut self,
        database: DatabaseId,
        name: Option<&Spanned<String>>,
        otherwise: InstancePick,
    ) -> Option<InstancePick> {
        match name {
            None => Some(otherwise),
            Some(name) => self.instance_named(database, name).map(InstancePick::Instance),
        }
    }
}
