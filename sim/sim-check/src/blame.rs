//! Which figures an expression that does not hold looked at, so that their causes can be told.
//!
//! Of terms that are joined by `&&` those that hold are left out; of the rest every figure counts, in
//! the order in which it is written. A name that is no text but a variable, as in
//! `services.all(name, services[name].lostRequests == 0)`, stands for all things of its map.

use cel::common::ast::operators::{CONDITIONAL, INDEX, LOGICAL_AND};
use cel::common::ast::{CallExpr, Expr};
use cel::{Context, IdedExpr, Value};
use model_api::guarantee::figure::{
    DATABASES, DatabaseFigure, POOLS, PoolFigure, SERVICES, ServiceFigure, WORKLOADS,
    WorkloadFigure,
};
use model_api::{Blueprint, DatabaseId, PoolId, ServiceId, WorkloadId};

/// A figure of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blamed {
    /// Of a Service.
    Service(ServiceId, ServiceFigure),
    /// Of a database.
    Database(DatabaseId, DatabaseFigure),
    /// Of a workload.
    Workload(WorkloadId, WorkloadFigure),
    /// Of a storage pool.
    Pool(PoolId, PoolFigure),
}

/// The figures behind an expression that is false in this context.
pub(crate) fn blamed(
    expression: &IdedExpr,
    context: &Context<'_, '_>,
    blueprint: &Blueprint,
) -> Vec<Blamed> {
    let mut found = Vec::new();
    Search { context, blueprint, found: &mut found }.judge(expression);
    found
}

/// Every figure that an expression names.
pub(crate) fn named(
    expression: &IdedExpr,
    context: &Context<'_, '_>,
    blueprint: &Blueprint,
) -> Vec<Blamed> {
    let mut found = Vec::new();
    Search { context, blueprint, found: &mut found }.walk(expression);
    found
}

impl Blamed {
    /// What it is called in expressions.
    pub const fn figure_name(self) -> &'static str {
        match self {
            Self::Service(_, figure) => figure.name(),
            Self::Database(_, figure) => figure.name(),
            Self::Workload(_, figure) => figure.name(),
            Self::Pool(_, figure) => figure.name(),
        }
    }

    /// Of what it is.
    pub fn subject(self, blueprint: &Blueprint) -> String {
        match self {
            Self::Service(id, _) => blueprint.service_name(id),
            Self::Database(id, _) => blueprint.database_name(id),
            Self::Workload(id, _) => blueprint.workload_name(id),
            Self::Pool(id, _) => blueprint.pools[id.index()].name.clone(),
        }
    }
}

struct Search<'a, 'b, 'c> {
    context: &'a Context<'b, 'c>,
    blueprint: &'a Blueprint,
    found: &'a mut Vec<Blamed>,
}

impl Search<'_, '_, '_> {
    /// Goes into the terms of a conjunction that do not hold, and through everything else.
    fn judge(&mut self, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Call(call) if call.func_name == LOGICAL_AND => {
                for term in &call.args {
                    if Value::resolve(term, self.context) != Ok(Value::Bool(true)) {
                        self.judge(term);
                    }
                }
            }
            Expr::Call(CallExpr { func_name, args, .. }) if func_name == CONDITIONAL => {
                if let [condition, first, second] = args.as_slice() {
                    let is_first = Value::resolve(condition, self.context) == Ok(Value::Bool(true));
                    self.judge(if is_first { first } else { second });
                }
            }
            _ => self.walk(expression),
        }
    }

    fn walk(&mut self, expression: &IdedExpr) {
        match &expression.expr {
            Expr::Select(select) => match thing(&select.operand) {
                Some((map, name)) => self.take(map, name, &select.field),
                None => self.walk(&select.operand),
            },
            Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (INDEX, [of, key]) => match (thing(of), self.text(key)) {
                    (Some((map, name)), Some(figure)) => self.take(map, name, &figure),
                    _ => self.walk(of),
                },
                _ => call.target.as_deref().into_iter().chain(&call.args).for_each(|it| {
                    self.walk(it);
                }),
            },
            Expr::Comprehension(it) => {
                for part in [&it.iter_range, &it.accu_init, &it.loop_step, &it.result] {
                    self.walk(part);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|it| self.walk(it)),
            _ => {}
        }
    }

    fn text(&self, expression: &IdedExpr) -> Option<String> {
        match Value::resolve(expression, self.context) {
            Ok(Value::String(text)) => Some(text.as_str().to_owned()),
            _ => None,
        }
    }

    /// Notes a figure of one thing, or of all in its map.
    fn take(&mut self, map: &str, name: &IdedExpr, figure: &str) {
        let name = self.text(name);
        let (blueprint, is_it) =
            (self.blueprint, |full: String| name.as_ref().is_none_or(|name| *name == full));
        let found: Vec<Blamed> = match map {
            SERVICES => {
                let figure = ServiceFigure::ALL.into_iter().find(|it| it.name() == figure);
                let all = (0..blueprint.services.len()).map(ServiceId::from_index);
                let all = all.filter(|id| is_it(blueprint.service_name(*id)));
                all.filter_map(|id| Some(Blamed::Service(id, figure?))).collect()
            }
            DATABASES => {
                let figure = DatabaseFigure::ALL.into_iter().find(|it| it.name() == figure);
                let all = (0..blueprint.databases.len()).map(DatabaseId::from_index);
                let all = all.filter(|id| is_it(blueprint.database_name(*id)));
                all.filter_map(|id| Some(Blamed::Database(id, figure?))).collect()
            }
            WORKLOADS => {
                let figure = WorkloadFigure::ALL.into_iter().find(|it| it.name() == figure);
                let all = (0..blueprint.workloads.len()).map(WorkloadId::from_index);
                let all = all.filter(|id| is_it(blueprint.workload_name(*id)));
                all.filter_map(|id| Some(Blamed::Workload(id, figure?))).collect()
            }
            POOLS => {
                let figure = PoolFigure::ALL.into_iter().find(|it| it.name() == figure);
                let all = (0..blueprint.pools.len()).map(PoolId::from_index);
                let all = all.filter(|id| is_it(blueprint.pools[id.index()].name.clone()));
                all.filter_map(|id| Some(Blamed::Pool(id, figure?))).collect()
            }
            _ => Vec::new(),
        };
        for blamed in found {
            if !self.found.contains(&blamed) {
                self.found.push(blamed);
            }
        }
    }
}

/// `map[name]`, taken apart.
fn thing(expression: &IdedExpr) -> Option<(&str, &IdedExpr)> {
    let Expr::Call(call) = &expression.expr else { return None };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (INDEX, [of, name]) => match &of.expr {
            Expr::Ident(map) => Some((map, name)),
            _ => None,
        },
        _ => None,
    }
}
