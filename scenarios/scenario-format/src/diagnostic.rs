//! What is wrong with an input, said to people.
//!
//! Diagnostics are collected, never only the first one: a reader goes on as far as it can.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use model_api::SourceRef;

use crate::source::{Sources, Span};

mod codes;

pub use codes::{Code, Explanation, explain, explanations};

/// One thing that is wrong, or probably is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its number; the letter says how bad it is.
    pub code: Code,
    /// A sentence without a full stop.
    pub message: String,
    /// The place; `None` when it has none (a file that is missing on the command line).
    pub span: Option<Span>,
    /// What to say at the place; may be empty.
    pub label: String,
    /// Other places that matter.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// How bad a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Surely a mistake, but a run makes sense.
    Warning,
    /// Nothing is run.
    Error,
}

impl Diagnostic {
    /// A diagnostic at a place.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self { span: Some(span), ..Self::nowhere(code, message) }
    }

    /// A recording says something that is left out when it is played: what, as the beginning of a
    /// sentence.
    pub fn left_out(span: Span, what: &str) -> Self {
        Self::new(Code::W0271, span, format!("{what} is not simulated"))
    }

    /// A diagnostic without a place.
    pub fn nowhere(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            span: None,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    /// With words at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With advice, when there is some.
    #[must_use]
    pub fn help_if(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }

    /// With another place.
    #[must_use]
    pub fn related(mut self, span: Span, text: impl Into<String>) -> Self {
        self.related.push((span, text.into()));
        self
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// File, line and column, when known.
    pub fn at(&self) -> Option<SourceRef> {
        self.span.map(|span| span.at)
    }

    /// `file:line:column: E0001: message`, for tools that read lines.
    pub fn one_line(&self, sources: &Sources) -> String {
        let place = self.span.and_then(|span| {
            let name = &sources.get(span.at.file_idx)?.name;
            Some(format!("{name}:{}:{}: ", span.at.line, span.at.column))
        });
        format!("{}{}: {}", place.unwrap_or_default(), self.code, self.message)
    }

    /// The message with the lines it is about, with or without color.
    pub fn render(&self, sources: &Sources, has_color: bool) -> String {
        let level = match self.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(
            level.primary_title(single_line(&self.message)).id(self.code.as_str()),
        );
        let primary = self.span.map(|span| (span, self.label.clone(), true));
        let others = self.related.iter().map(|(span, text)| (*span, text.clone(), false));
        let places: Vec<(Span, String, bool)> = primary.into_iter().chain(others).collect();
        let mut seen: Vec<u32> = Vec::new();
        for (span, ..) in &places {
            if seen.contains(&span.at.file_idx) {
                continue;
            }
            seen.push(span.at.file_idx);
            if let Some(snippet) = snippet_of(sources, span.at.file_idx, &places) {
                group = group.element(snippet);
            }
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(single_line(help)));
        }
        let renderer = if has_color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

/// Longest stretch of text shown: the lines around the places, not a file of 16 MiB.
const SHOWN_BYTES_MAX: usize = 4096;

/// The part of one file that holds the places in it.
fn snippet_of<'a>(
    sources: &'a Sources,
    file_idx: u32,
    places: &[(Span, String, bool)],
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let source = sources.get(file_idx)?;
    let here = || places.iter().filter(move |(span, ..)| span.at.file_idx == file_idx);
    let first = here().next()?.0;
    let anchor = floor_char(&source.text, first.start_byte as usize);
    let window_start = line_start(&source.text, anchor.saturating_sub(SHOWN_BYTES_MAX), anchor);
    let window_end = floor_char(&source.text, anchor + SHOWN_BYTES_MAX);
    let window = &source.text[window_start..window_end];
    let lines_before = source.text[..window_start].matches('\n').count();
    let mut snippet =
        Snippet::source(window).line_start(lines_before + 1).path(source.name.as_str());
    for (span, text, is_primary) in here() {
        let start = floor_char(&source.text, span.start_byte as usize);
        let end = floor_char(&source.text, span.end_byte as usize).max(start);
        if start < window_start || start > window_end {
            continue;
        }
        let end = first_line_end(&source.text, start, end).min(window_end);
        let kind = if *is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let range = start - window_start..end.max(start) - window_start;
        snippet = snippet.annotation(kind.span(range).label(single_line(text)));
    }
    Some(snippet)
}

/// The start of the first line that begins at or behind `least`, but not behind `anchor`; `least`
/// itself when the line of `anchor` is longer than that.
fn line_start(text: &str, least: usize, anchor: usize) -> usize {
    let least = floor_char(text, least);
    if least == 0 {
        return 0;
    }
    text[least..anchor].find('\n').map_or(least, |newline| least + newline + 1)
}

/// `end`, but no further than the line of `start`: one caret line says enough.
fn first_line_end(text: &str, start: usize, end: usize) -> usize {
    text[start..end].find(['\n', '\r']).map_or(end, |newline| start + newline)
}

fn floor_char(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

/// Text of the user's inside a message, without control characters and not endless.
fn single_line(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 400;
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .map(|letter| if letter.is_control() { '\u{fffd}' } else { letter })
        .collect();
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Sorts by place and drops repetitions; errors at the same place before warnings.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| {
        let key = |d: &Diagnostic| (d.span, std::cmp::Reverse(d.severity()), d.code);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    diagnostics.dedup();
}

/// Whether nothing may be run.
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity() == Severity::Error)
}
