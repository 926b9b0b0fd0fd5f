//! Guarantees: sentences with their names looked up, wildcards expanded.

use model_api::fault::{Fault, FaultKind};
use model_api::guarantee::{DataPromise, Guarantee, Predicate, Promise, Subject};
use model_api::load::ClientGroup;
use model_api::{DataSetId, DatabaseId, FaultId, ServiceId};

use super::{Resolver, expression};
use crate::black_start::start_circles;
use crate::decode::Named;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::GuaranteeText;
use crate::nearest::{nearest_object, suggestion};
use crate::sentence::{self, ClientsSpec, PredicateName, PredicateSpec, PromiseSpec, Sentence};
use crate::source::Spanned;

impl Resolver<'_> {
    pub(super) fn guarantees(
        &mut self,
        texts: &Named<GuaranteeText>,
        faults: &[Fault],
    ) -> Vec<Guarantee> {
        let mut guarantees = Vec::new();
        for (name, text) in &texts.0 {
            match text {
                GuaranteeText::Cel { source, share } => {
                    let found = expression::check(source, &self.names);
                    if found.is_none() {
                        self.question_expression(source);
                    }
                    self.diagnostics.extend(found);
                    guarantees.push(Guarantee {
                        name: name.value.clone(),
                        text: source.value.clone(),
                        promise: Promise::Cel { source: source.value.clone() },
                        share_ppm: share.map(|share| share.ppm),
                        origin: source.span.origin(),
                    });
                }
                GuaranteeText::Words { text, is_exact } => match sentence::parse(text, *is_exact) {
                    Ok(sentence) => self.sentence(name, text, &sentence, faults, &mut guarantees),
                    Err(diagnostic) => self.diagnostics.push(diagnostic),
                },
            }
        }
        guarantees
    }

    /// W0278: control planes are frozen in all runs or in none, whatever else is judged in them.
    pub(super) fn question_freeze(
        &mut self,
        texts: &Named<GuaranteeText>,
        guarantees: &[Guarantee],
    ) {
        let freezes = |it: &Guarantee| matches!(it.promise, Promise::StaticallyStable { .. });
        let Some(frozen) = guarantees.iter().find(|it| freezes(it)) else { return };
        let others: Vec<&str> =
            guarantees.iter().filter(|it| !freezes(it)).map(|it| it.name.as_str()).collect();
        let others = match others.as_slice() {
            [] => return,
            [one] => format!("`{one}` is"),
            [first, ..] => format!("`{first}` and {} more are", others.len() - 1),
        };
        let mut names = texts.0.iter().map(|(name, _)| name);
        let place = names.rfind(|name| frozen.name.starts_with(&name.value));
        let Some(place) = place else { return };
        let message = format!(
            "control planes stand still during the faults of all runs, in which {others} judged too"
        );
        self.report(Code::W0278, place.span, message);
    }

    fn sentence(
        &mut self,
        name: &Spanned<String>,
        text: &Spanned<String>,
        sentence: &Sentence,
        faults: &[Fault],
        guarantees: &mut Vec<Guarantee>,
    ) {
        self.question_sentence(sentence, text.span, faults);
        let promises = match &sentence.promise {
            PromiseSpec::Completes { action, limit } => {
                let promise = self.job_promise(action, *limit).unwrap_or_else(|| {
                    let fault = self.action_named(action, faults);
                    fault.map(|fault| Promise::Completes { fault, limit: *limit })
                });
                promise.map(|promise| (promise, None)).into_iter().collect()
            }
            promise => self.promises(promise),
        };
        for (promise, subject) in promises {
            let name = match subject {
                Some(subject) => format!("{} [{subject}]", name.value),
                None => name.value.clone(),
            };
            guarantees.push(Guarantee {
                name,
                text: text.value.clone(),
                promise,
                share_ppm: sentence.share.map(|share| share.ppm),
                origin: text.span.origin(),
            });
        }
    }

    /// The promises of a sentence: one, or one for each subject of `*`, with the subject's name.
    fn promises(&mut self, promise: &PromiseSpec) -> Vec<(Promise, Option<String>)> {
        match promise {
            PromiseSpec::Availability { service, clients, admitted_only, limit } => self
                .each_asked(service, clients.as_ref(), |service, clients| {
                    let (admitted_only, limit) = (*admitted_only, *limit);
                    Promise::Availability { service, clients, admitted_only, limit }
                }),
            PromiseSpec::AvailabilityIn { service, window, limit } => {
                self.each_service(service, |service| Promise::AvailabilityIn {
                    service,
                    window: *window,
                    limit: *limit,
                })
            }
            PromiseSpec::BudgetBurn { service, objective_ppm, period, limit } => {
                self.each_service(service, |service| Promise::BudgetBurn {
                    service,
                    objective_ppm: *objective_ppm,
                    period: *period,
                    limit: *limit,
                })
            }
            PromiseSpec::Alert { service, objective_ppm, limit } => {
                self.each_service(service, |service| Promise::Alert {
                    service,
                    objective_ppm: *objective_ppm,
                    limit: *limit,
                })
            }
            PromiseSpec::Latency { service, clients, quantile_ppm, limit } => {
                self.each_asked(service, clients.as_ref(), |service, clients| Promise::Latency {
                    service,
                    clients,
                    quantile_ppm: *quantile_ppm,
                    limit: *limit,
                })
            }
            PromiseSpec::Returns { service, to_ppm, within, after_end } => {
                self.each_service(service, |service| Promise::Returns {
                    service,
                    to_ppm: *to_ppm,
                    within: *within,
                    after_end: *after_end,
                })
            }
            PromiseSpec::StaticallyStable { service, share_ppm } => {
                self.each_service(service, |service| Promise::StaticallyStable {
                    service,
                    share_ppm: *share_ppm,
                })
            }
            PromiseSpec::Rto { subject, limit } if subject.value == "*" => {
                self.each_service(subject, |service| Promise::Rto {
                    subject: Subject::Service(service),
                    limit: *limit,
                })
            }
            PromiseSpec::Rto { subject, limit } => {
                let subject = self.subject(subject);
                let promise = subject.map(|subject| Promise::Rto { subject, limit: *limit });
                promise.map(|promise| (promise, None)).into_iter().collect()
            }
            PromiseSpec::Rpo { database, limit } => {
                self.each_database(database, |database| Promise::Rpo { database, limit: *limit })
            }
            PromiseSpec::StartsFrom { from } => {
                let circles = start_circles(&self.blueprint, *from);
                vec![(Promise::StartsFrom { from: *from, circles }, None)]
            }
            PromiseSpec::Completes { .. } => unreachable!("looked up among the faults"),
            PromiseSpec::Data { data_set, promise } => self.each_data_set(data_set, promise),
            PromiseSpec::Never(spec) => self.one(spec, Promise::Never),
            PromiseSpec::Always(spec) => self.one(spec, Promise::Always),
            PromiseSpec::Sometimes(spec) => self.one(spec, Promise::Sometimes),
        }
    }

    /// An action that can complete.
    fn action_named(&mut self, name: &Spanned<String>, faults: &[Fault]) -> Option<FaultId> {
        let names = self.names.faults.clone();
        let id = self.fault_named(name, &names)?;
        // One that could not be looked up is missing, which was said.
        let fault = faults.iter().find(|fault| fault.name == names[id.index()])?;
        let can_complete =
            matches!(&fault.kind, FaultKind::Action(action) if action.can_complete());
        if !can_complete {
            let message = format!("`{}` is nothing that takes its time and completes", name.value);
            let help = "rollouts, drains and upgrades of nodes do, and Jobs: `job/NAME`";
            self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help(help));
        }
        can_complete.then_some(id)
    }

    fn one(
        &mut self,
        spec: &PredicateSpec,
        promise: fn(Predicate) -> Promise,
    ) -> Vec<(Promise, Option<String>)> {
        self.predicate(spec).map(|predicate| (promise(predicate), None)).into_iter().collect()
    }

    fn each_service(
        &mut self,
        name: &Spanned<String>,
        promise: impl Fn(ServiceId) -> Promise,
    ) -> Vec<(Promise, Option<String>)> {
        self.each_asked(name, None, |service, _| promise(service))
    }

    /// The same of those that these clients ask.
    fn each_asked(
        &mut self,
        name: &Spanned<String>,
        clients: Option<&ClientsSpec>,
        promise: impl Fn(ServiceId, Option<ClientGroup>) -> Promise,
    ) -> Vec<(Promise, Option<String>)> {
        let mut services = self.services_of(name);
        let mut group = None;
        if let Some(clients) = clients.filter(|_| !services.is_empty()) {
            let Some(found) = self.client_group(clients, &services) else { return Vec::new() };
            (group, services) = (Some(found.0), found.1);
        }
        let is_one = name.value != "*";
        let named = |id: ServiceId| {
            (promise(id, group.clone()), (!is_one).then(|| self.blueprint.service_name(id)))
        };
        services.into_iter().map(named).collect()
    }

    /// The Service of this name, or each that carries load.
    fn services_of(&mut self, name: &Spanned<String>) -> Vec<ServiceId> {
        if name.value != "*" {
            return self.service(name).into_iter().collect();
        }
        let mut services: Vec<ServiceId> =
            self.blueprint.loads.iter().map(|load| load.service).collect();
        services.sort();
        services.dedup();
        if services.is_empty() {
            let message = "`*` means every Service that carries load, and none does";
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            self.diagnostics.push(diagnostic.help("add `load` to the scenario or the platform"));
        }
        services
    }

    fn each_database(
        &mut self,
        name: &Spanned<String>,
        promise: impl Fn(DatabaseId) -> Promise,
    ) -> Vec<(Promise, Option<String>)> {
        if name.value != "*" {
            let database = self.database(name);
            return database.map(|database| (promise(database), None)).into_iter().collect();
        }
        let count = self.blueprint.databases.len();
        if count == 0 {
            let message = "`*` means every database, and there is none";
            self.report(Code::E0016, name.span, message);
        }
        let ids = (0..count).map(DatabaseId::from_index);
        ids.map(|id| (promise(id), Some(self.blueprint.database_name(id)))).collect()
    }

    fn each_data_set(
        &mut self,
        name: &Spanned<String>,
        promise: &DataPromise,
    ) -> Vec<(Promise, Option<String>)> {
        if self.blueprint.protection.data_sets.is_empty() {
            let message = "nothing is known of data sets, because there are no `backups`";
            let diagnostic = Diagnostic::new(Code::E0016, name.span, message);
            let help = "add `backups` to the scenario or the platform";
            self.diagnostics.push(diagnostic.help(help));
            return Vec::new();
        }
        let of = |data_set| Promise::Data { data_set, promise: promise.clone() };
        let class = match promise {
            DataPromise::Loss { class, .. }
            | DataPromise::Back { class, .. }
            | DataPromise::Restorable { class } => Some(*class),
            DataPromise::Retention { .. } | DataPromise::Residency { .. } => None,
        };
        let sets = &self.blueprint.protection.data_sets;
        let is_exposed =
            |id: DataSetId| class.is_none_or(|class| sets[id.index()].is_exposed_to(class));
        let exposed: Vec<DataSetId> =
            (0..sets.len()).map(DataSetId::from_index).filter(|id| is_exposed(*id)).collect();
        let asked: Option<DataSetId> = if name.value == "*" {
            None
        } else {
            match self.data_set_named(name) {
                None => return Vec::new(),
                found => found,
            }
        };
        if asked.map_or(exposed.is_empty(), |asked| !exposed.contains(&asked)) {
            let message = format!("nothing of `{}` is lost with a node", name.value);
            let help = "volumes that are attached over the network outlive their node, so such a promise would hold without being tried; promise `zone` instead";
            self.diagnostics.push(Diagnostic::new(Code::E0080, name.span, message).help(help));
            return Vec::new();
        }
        if let Some(data_set) = asked {
            return vec![(of(data_set), None)];
        }
        let named =
            |id: DataSetId| (of(id), Some(self.names.backups.data_sets[id.index()].clone()));
        exposed.into_iter().map(named).collect()
    }

    /// A Service or a database; a Service when both bear the name, unless it is what leads to the
    /// primary of that database.
    fn subject(&mut self, name: &Spanned<String>) -> Option<Subject> {
        let candidates =
            self.names.services.iter().chain(&self.names.databases).map(String::as_str);
        let candidates: Vec<&str> = candidates.collect();
        let mut ignored = Vec::new();
        if let Some(idx) = super::look_up("", name, &self.names.services, &mut ignored) {
            let service = ServiceId::from_index(idx);
            let of_it = self.blueprint.databases.iter().position(|it| {
                it.read_write_service == service
                    && self.blueprint.service_name(service)
                        == format!("{}/{}", it.namespace, it.name)
            });
            return Some(match of_it {
                Some(idx) => Subject::Database(DatabaseId::from_index(idx)),
                None => Subject::Service(service),
            });
        }
        if let Some(idx) = super::look_up("", name, &self.names.databases, &mut ignored) {
            return Some(Subject::Database(DatabaseId::from_index(idx)));
        }
        let message = format!("there is no Service or database `{}`", name.value);
        let help = match nearest_object(&name.value, candidates.iter().copied()) {
            Some(close) => Some(format!("did you mean `{close}`?")),
            None => suggestion(&name.value, candidates),
        };
        self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help_if(help));
        None
    }

    fn predicate(&mut self, spec: &PredicateSpec) -> Option<Predicate> {
        let argument = spec.argument.as_ref();
        Some(match spec.name {
            PredicateName::TwoWritablePrimaries => {
                Predicate::TwoWritablePrimaries(self.optional(argument, Self::database)?)
            }
            PredicateName::DataLost => {
                Predicate::DataLost(self.optional(argument, Self::database)?)
            }
            PredicateName::Failover => {
                Predicate::Failover(self.optional(argument, Self::database)?)
            }
            PredicateName::QuorumLost => Predicate::QuorumLost,
            PredicateName::ApiLost => Predicate::ApiLost,
            PredicateName::MasterDisruption => Predicate::MasterDisruption,
            PredicateName::PodUnschedulable => {
                Predicate::PodUnschedulable(self.optional(argument, Self::workload)?)
            }
            PredicateName::PodEvicted => {
                Predicate::PodEvicted(self.optional(argument, Self::workload)?)
            }
            PredicateName::NoEndpoints => Predicate::NoEndpoints(self.service(argument?)?),
            PredicateName::WithinRegion => {
                let jurisdiction = argument?;
                self.check_jurisdiction(jurisdiction);
                Predicate::WithinRegion(jurisdiction.value.clone())
            }
        })
    }

    /// The id of an argument; `None` inside when there is no argument, `None` when it is unknown.
    fn optional<T>(
        &mut self,
        argument: Option<&Spanned<String>>,
        look_up: fn(&mut Self, &Spanned<String>) -> Option<T>,
    ) -> Option<Option<T>> {
        match argument {
            None => Some(None),
            Some(name) => look_up(self, name).map(Some),
        }
    }

    fn check_jurisdiction(&mut self, name: &Spanned<String>) {
        let zones = &self.blueprint.zones;
        let mut known: Vec<&str> = zones.iter().map(|zone| zone.jurisdiction.as_str()).collect();
        known.sort_unstable();
        known.dedup();
        if known.contains(&name.value.as_str()) {
            return;
        }
        let message = format!("no zone stands in the jurisdiction `{}`", name.value);
        let help = suggestion(&name.value, known);
        self.diagnostics.push(Diagnostic::new(Code::E0016, name.span, message).help_if(help));
    }
}
