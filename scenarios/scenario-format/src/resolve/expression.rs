//! Guarantees that are expressions: whether they can be read, and know what they name.
//!
//! An expression is tried on figures that are all small and on figures that are all large, so that
//! unknown names and wrong types are found before the first run.

use cel::{Context, ExecutionError, Program, Value};
use model_api::guarantee::figure::{
    DATABASES, DatabaseFigure, POOLS, PoolFigure, SERVICES, ServiceFigure, WORKLOADS,
    WorkloadFigure,
};

use super::Names;
use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::suggestion;
use crate::source::Spanned;

/// Longer than anybody writes, short enough to be read at once.
const LENGTH_MAX: usize = 4096;
/// The parser descends into brackets.
const DEPTH_MAX: usize = 32;

/// What is wrong with an expression.
pub(super) fn check(source: &Spanned<String>, names: &Names) -> Option<Diagnostic> {
    let wrong = |code, message: String| Some(Diagnostic::new(code, source.span, message));
    if source.value.len() > LENGTH_MAX {
        return wrong(Code::E0019, format!("an expression has at most {LENGTH_MAX} bytes"));
    }
    if depth(&source.value) > DEPTH_MAX {
        return wrong(Code::E0019, format!("brackets nest at most {DEPTH_MAX} deep"));
    }
    let program = match Program::compile(&source.value) {
        Ok(program) => program,
        Err(errors) => {
            let first = errors.errors.first();
            let text = first.map_or_else(|| errors.to_string(), |error| error.msg.clone());
            return wrong(Code::E0019, format!("this is no CEL expression: {text}"));
        }
    };
    [0, 1_000_000].into_iter().find_map(|level| {
        let mut context = Context::default();
        let service = named(ServiceFigure::ALL.map(|it| sample(it.name(), it.is_whole(), level)));
        let services = names.services.iter().map(|name| (name.clone(), service.clone()));
        context.add_variable_from_value(SERVICES, named(services));
        let database = named(DatabaseFigure::ALL.map(|it| sample(it.name(), it.is_whole(), level)));
        let databases = names.databases.iter().map(|name| (name.clone(), database.clone()));
        context.add_variable_from_value(DATABASES, named(databases));
        let workload = named(WorkloadFigure::ALL.map(|it| sample(it.name(), true, level)));
        let workloads = names.workloads.iter().map(|name| (name.clone(), workload.clone()));
        context.add_variable_from_value(WORKLOADS, named(workloads));
        let pool = named(PoolFigure::ALL.map(|it| sample(it.name(), it.is_whole(), level)));
        let pools = names.pools.iter().map(|name| (name.clone(), pool.clone()));
        context.add_variable_from_value(POOLS, named(pools));
        match program.execute(&context) {
            // A division by zero is a matter of the run.
            Ok(Value::Bool(_)) | Err(ExecutionError::DivisionByZero(_)) => None,
            Ok(other) => {
                let message = format!("a guarantee is true or false, this is {}", other.type_of());
                wrong(Code::E0019, message)
            }
            Err(error) => Some(failed(source, &error, names)),
        }
    })
}

/// Whether a text nests no deeper than the parser may descend.
pub(super) fn is_shallow(text: &str) -> bool {
    depth(text) <= DEPTH_MAX
}

/// Brackets and alternatives open at the same time, at most.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for letter in text.chars() {
        match letter {
            // An alternative nests to the right and is never closed.
            '(' | '[' | '{' | '?' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn failed(source: &Spanned<String>, error: &ExecutionError, names: &Names) -> Diagnostic {
    match error {
        ExecutionError::NoSuchKey(name) | ExecutionError::UndeclaredReference(name) => {
            let figures = ServiceFigure::ALL.iter().map(|figure| figure.name());
            let known = [SERVICES, DATABASES, WORKLOADS, POOLS].into_iter().chain(figures);
            let known = known.chain(DatabaseFigure::ALL.iter().map(|figure| figure.name()));
            let known = known.chain(WorkloadFigure::ALL.iter().map(|figure| figure.name()));
            let known = known.chain(PoolFigure::ALL.iter().map(|figure| figure.name()));
            let objects = names.services.iter().chain(&names.databases).chain(&names.workloads);
            let objects = objects.chain(&names.pools);
            let known: Vec<&str> = known.chain(objects.map(String::as_str)).collect();
            let message = format!("nothing is called `{name}` here");
            Diagnostic::new(Code::E0016, source.span, message)
                .help_if(suggestion(name, known.iter().copied()))
        }
        other => Diagnostic::new(Code::E0019, source.span, format!("this has no value: {other}")),
    }
}

fn sample(name: &str, is_whole: bool, level: u32) -> (String, Value) {
    let value = if is_whole { Value::Int(level.into()) } else { Value::Float(level.into()) };
    (name.to_owned(), value)
}

#[expect(clippy::disallowed_types, reason = "what CEL's maps are made of; only looked up here")]
fn named(values: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::from(values.into_iter().collect::<std::collections::HashMap<String, Value>>())
}
