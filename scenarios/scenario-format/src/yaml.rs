//! YAML as a tree in which every key and value knows its place.
//!
//! One reading serves everything: our own documents, Kubernetes objects, `--set`, the map from field
//! paths to positions. Values keep the text they were written with, because what a plain `yes` or
//! `010` means depends on who reads it ([`Dialect`]).
//!
//! Limits: [`FILE_BYTES_MAX`], [`DEPTH_MAX`], [`NODES_MAX`] (aliases count as what they stand for,
//! so that a YAML bomb ends early), [`DOCUMENTS_MAX`].

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};
use model_api::SourceRef;

use crate::diagnostic::{Code, Diagnostic};
use crate::source::{Span, clamp};

mod scalar;

pub use scalar::{Dialect, Scalar, ScalarValue};

/// Largest file, in bytes: 16 MiB.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Deepest nesting of sequences and mappings.
pub const DEPTH_MAX: usize = 64;
/// Most values in one file, aliases expanded.
pub const NODES_MAX: usize = 2_000_000;
/// Most documents in one file.
pub const DOCUMENTS_MAX: usize = 20_000;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it was written; of a collection, its first line is what matters.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, a number, a truth value or nothing.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order they were written; keys are unique.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key was written.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        Some(&self.entry(key)?.value)
    }

    /// The entry of `key`, when this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Keys and values, when this is a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// Items, when this is a sequence.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a scalar as it was written, quotes removed.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether it says nothing: `null`, `~`, or an absent value.
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.resolve(Dialect::Core) == ScalarValue::Null,
            _ => false,
        }
    }

    /// What it is, for messages.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Scalar(scalar) => match scalar.resolve(Dialect::Core) {
                ScalarValue::Null => "nothing",
                ScalarValue::Bool(_) => "a truth value",
                ScalarValue::Int(_) | ScalarValue::Float(_) => "a number",
                ScalarValue::String(_) => "text",
            },
        }
    }

    /// Number of values in it, itself included.
    fn count(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 1,
            Value::Sequence(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Mapping(entries) => {
                1 + entries.iter().map(|entry| entry.value.count()).sum::<usize>()
            }
        }
    }

    /// How deep the deepest value lies; a scalar is 0 deep.
    fn depth(&self) -> usize {
        match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Mapping(entries) => {
                1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0)
            }
        }
    }
}

/// Documents of a text. Stops at the first broken one: what follows a syntax error is guesswork.
pub fn parse(file_idx: u32, text: &str) -> (Vec<Node>, Vec<Diagnostic>) {
    let mut builder = Builder {
        file_idx,
        text,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        open_anchors: Vec::new(),
        node_count: 0,
        diagnostics: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.syntax_error(&error)),
        };
        if let Err(fatal) = step {
            // What precedes a syntax error was meant; of what runs over a limit nothing was.
            if fatal.code != Code::E0004 {
                builder.documents.clear();
            }
            builder.diagnostics.push(fatal);
            break;
        }
    }
    (builder.documents, builder.diagnostics)
}

/// A collection that is not closed yet.
struct Open {
    span: Span,
    anchor_id: usize,
    content: OpenContent,
}

enum OpenContent {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        seen: BTreeMap<String, Span>,
        key: Option<(String, Span)>,
        merged: Vec<Node>,
    },
}

struct Builder<'a> {
    file_idx: u32,
    text: &'a str,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    open_anchors: Vec<usize>,
    node_count: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: granit_parser::Span) -> Result<(), Diagnostic> {
        let span = self.span(span);
        match event {
            Event::Scalar(text, style, anchor_id, _tag) => {
                let scalar =
                    Scalar { text: text.into_owned(), is_plain: style == ScalarStyle::Plain };
                self.close(Node { span, value: Value::Scalar(scalar) }, anchor_id)
            }
            Event::SequenceStart(_, anchor_id, _) => {
                self.start(span, anchor_id, OpenContent::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor_id, _) => {
                let content = OpenContent::Mapping {
                    entries: Vec::new(),
                    seen: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.start(span, anchor_id, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor_id) => self.alias(anchor_id, span),
            Event::DocumentStart(..) => {
                self.anchors.clear();
                if self.documents.len() >= DOCUMENTS_MAX {
                    let message = format!("more than {DOCUMENTS_MAX} documents in one file");
                    return Err(Diagnostic::new(Code::E0006, span, message));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(
        &mut self,
        span: Span,
        anchor_id: usize,
        content: OpenContent,
    ) -> Result<(), Diagnostic> {
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(span));
        }
        if anchor_id != 0 {
            self.open_anchors.push(anchor_id);
        }
        self.open.push(Open { span, anchor_id, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.open_anchors.retain(|id| *id != open.anchor_id);
        let value = match open.content {
            OpenContent::Sequence(items) => Value::Sequence(items),
            OpenContent::Mapping { mut entries, merged, .. } => {
                self.merge(&mut entries, merged)?;
                Value::Mapping(entries)
            }
        };
        self.close(Node { span: open.span, value }, open.anchor_id)
    }

    /// `<<`: keys of other mappings, where this one does not have them (YAML 1.1 merge key, which
    /// kubectl understands).
    fn merge(&mut self, entries: &mut Vec<Entry>, merged: Vec<Node>) -> Result<(), Diagnostic> {
        for node in merged {
            let sources = match node.value {
                Value::Sequence(items) => items,
                _ => vec![node],
            };
            for source in sources {
                let Value::Mapping(more) = source.value else {
                    let message = "`<<` merges mappings, and this is none";
                    return Err(Diagnostic::new(Code::E0011, source.span, message));
                };
                for entry in more {
                    if entries.iter().all(|have| have.key != entry.key) {
                        entries.push(entry);
                    }
                }
            }
        }
        Ok(())
    }

    fn alias(&mut self, anchor_id: usize, span: Span) -> Result<(), Diagnostic> {
        if self.open_anchors.contains(&anchor_id) {
            let message = "this alias stands for a value that contains it";
            return Err(
                Diagnostic::new(Code::E0008, span, message).label("stands for itself, without end")
            );
        }
        let Some(node) = self.anchors.get(&anchor_id) else {
            return Err(Diagnostic::new(Code::E0004, span, "this alias has no anchor"));
        };
        let node_count = node.count();
        if self.node_count + node_count > NODES_MAX {
            return Err(too_many(span));
        }
        if self.open.len() + node.depth() > DEPTH_MAX {
            return Err(too_deep(span));
        }
        // `close` counts the copy's root itself.
        self.node_count += node_count - 1;
        let copy = Node { span, value: node.value.clone() };
        self.close(copy, 0)
    }

    /// Hands a complete value to the collection around it.
    fn close(&mut self, node: Node, anchor_id: usize) -> Result<(), Diagnostic> {
        self.node_count += 1;
        if self.node_count > NODES_MAX {
            return Err(too_many(node.span));
        }
        if anchor_id != 0 {
            self.anchors.insert(anchor_id, node.clone());
            // What an anchor keeps is memory too.
            self.node_count += node.count();
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.content {
            OpenContent::Sequence(items) => items.push(node),
            OpenContent::Mapping { entries, seen, key, merged } => match key.take() {
                None => *key = Some(key_of(node)?),
                Some((name, _)) if name == "<<" => merged.push(node),
                Some((name, key_span)) => {
                    if let Some(first) = seen.get(&name) {
                        self.diagnostics.push(
                            Diagnostic::new(
                                Code::E0007,
                                key_span,
                                format!("the key `{name}` is here twice"),
                            )
                            .label("a second time")
                            .related(*first, "first here"),
                        );
                    } else {
                        seen.insert(name.clone(), key_span);
                        entries.push(Entry { key: name, key_span, value: node });
                    }
                }
            },
        }
        Ok(())
    }

    fn span(&self, span: granit_parser::Span) -> Span {
        let start_byte = span.start.byte_offset().unwrap_or(0);
        let end_byte = span.end.byte_offset().unwrap_or(start_byte);
        Span {
            at: self.place(&span.start),
            start_byte: clamp(start_byte),
            end_byte: clamp(end_byte.max(start_byte)),
        }
    }

    fn place(&self, marker: &granit_parser::Marker) -> SourceRef {
        SourceRef {
            file_idx: self.file_idx,
            line: clamp(marker.line()),
            column: clamp(marker.col() + 1),
        }
    }

    fn syntax_error(&self, error: &ScanError) -> Diagnostic {
        let marker = error.marker();
        let mut at = self.place(marker);
        let mut start = marker.byte_offset().unwrap_or(self.text.len());
        // The scanner names the text before the tab.
        if error.info().contains("tab")
            && let Some(offset) = self.text.get(start..).and_then(|rest| rest.find('\t'))
        {
            let before = &self.text[start..start + offset];
            let line_count = before.matches('\n').count();
            let last = before.rsplit('\n').next().unwrap_or(before).chars().count();
            at.line += clamp(line_count);
            at.column = clamp(last) + if line_count == 0 { at.column } else { 1 };
            start += offset;
        }
        let start_byte = clamp(start);
        let span = Span {
            at,
            start_byte,
            end_byte: clamp(self.text.len()).min(start_byte.saturating_add(1)),
        };
        let is_unquoted = error.info().starts_with("mapping values are not allowed");
        let help =
            is_unquoted.then(|| "text that has `: ` in it stands in quotes: 'a: b'".to_owned());
        Diagnostic::new(Code::E0004, span, format!("this is not YAML: {}", error.info()))
            .help_if(help)
    }
}

/// A key is a scalar; numbers and truth values count as their text, as in JSON.
fn key_of(node: Node) -> Result<(String, Span), Diagnostic> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar.text, node.span)),
        _ => Err(Diagnostic::new(Code::E0011, node.span, "a key must be text").help(
            "a template that was not rendered looks like this: `{{ ... }}`; render it first",
        )),
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(Code::E0005, span, format!("nested deeper than {DEPTH_MAX} levels"))
}

fn too_many(span: Span) -> Diagnostic {
    Diagnostic::new(
        Code::E0006,
        span,
        format!("more than {NODES_MAX} values in one file, aliases expanded"),
    )
}
