//! An explanation in the making.

use std::collections::BTreeMap;

use model_api::{Blueprint, Origin, SourceRef};
use report_data::{
    Datum, DecisionColumn, DecisionKind, DecisionReport, DecisionStep, DecisionTable, Position,
    Program, SCHEMA_VERSION,
};

/// Collects what is said of a decision; places come out with the names of their files.
pub(crate) struct Draft<'a> {
    pub(crate) blueprint: &'a Blueprint,
    report: DecisionReport,
}

/// A row of a table: a datum by the name of its column.
pub(crate) type Row = BTreeMap<String, Datum>;

/// A row from names and data.
pub(crate) fn row<const N: usize>(cells: [(&str, Datum); N]) -> Row {
    cells.into_iter().map(|(name, datum)| (name.to_owned(), datum)).collect()
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        blueprint: &'a Blueprint,
        program: &Program,
        decision: DecisionKind,
        subject: impl Into<String>,
    ) -> Self {
        let report = DecisionReport {
            schema_version: SCHEMA_VERSION,
            program: program.clone(),
            decision,
            subject: subject.into(),
            answer: String::new(),
            figures: BTreeMap::new(),
            steps: Vec::new(),
            tables: Vec::new(),
            notes: Vec::new(),
        };
        let mut draft = Self { blueprint, report };
        let assumed = blueprint.assumptions.iter().filter(|it| it.is_about_nodes);
        assumed.for_each(|it| draft.note(it.text.clone()));
        draft
    }

    pub(crate) fn answer(&mut self, text: impl Into<String>) {
        self.report.answer = text.into();
    }

    /// What was answered so far.
    pub(crate) fn answered(&self) -> String {
        self.report.answer.clone()
    }

    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Datum>) {
        self.report.figures.insert(name.to_owned(), value.into());
    }

    pub(crate) fn step(&mut self, what: impl Into<String>, result: impl Into<String>) {
        let (what, result) = (what.into(), result.into());
        self.report.steps.push(DecisionStep { what, result, field: None, position: None });
    }

    /// A step that a field of a manifest made.
    pub(crate) fn step_at(
        &mut self,
        what: impl Into<String>,
        result: impl Into<String>,
        origin: &Origin,
        field: &str,
    ) {
        self.step(what, result);
        let position = self.position(origin.of(field));
        let step = self.report.steps.last_mut().expect("it was just added");
        step.field = Some(field.to_owned());
        step.position = position;
    }

    /// A step that a setting made: where it is written, or that nobody wrote it and the default holds.
    pub(crate) fn setting(
        &mut self,
        what: impl Into<String>,
        result: impl Into<String>,
        origin: &Origin,
        field: &str,
    ) {
        if origin.fields.contains_key(field) {
            self.step_at(what, result, origin, field);
            return;
        }
        self.step(what, format!("{} (default: no {field})", result.into()));
        let step = self.report.steps.last_mut().expect("it was just added");
        step.field = Some(field.to_owned());
    }

    fn position(&self, at: SourceRef) -> Option<Position> {
        let file = self.blueprint.files.get(at.file_idx as usize)?.clone();
        (at.line > 0).then_some(Position { file, line: at.line, column: at.column })
    }

    /// A table; `columns` are names for programs and headings for people.
    pub(crate) fn table(
        &mut self,
        name: &str,
        title: impl Into<String>,
        columns: &[(&str, &str)],
        rows: Vec<Row>,
    ) {
        let column = |(name, title): &(&str, &str)| DecisionColumn {
            name: (*name).to_owned(),
            title: (*title).to_owned(),
        };
        self.report.tables.push(DecisionTable {
            name: name.to_owned(),
            title: title.into(),
            columns: columns.iter().map(column).collect(),
            rows,
        });
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.report.notes.push(text.into());
    }

    pub(crate) fn finish(self) -> DecisionReport {
        self.report
    }
}
