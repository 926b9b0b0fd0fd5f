//! Overrides: `--set TARGET:PATH=VALUE` changes the tree before it is read.
//!
//! ```text
//! deployment/shop/frontend:spec.replicas=3
//! deployment/shop/frontend:spec.template.spec.topologySpreadConstraints=[{maxSkew: 1, ...}]
//! deployment/shop/frontend:spec.template.spec.containers[0].resources.requests.cpu=500m
//! deployment/shop/frontend:metadata.labels[app.kubernetes.io/name]=web
//! cluster/shop/orders-db:spec.postgresql.synchronous=null
//! platform:spec.nodePools[worker].countPerZone=3
//! scenario:spec.horizon=1h
//! ```
//!
//! A target is `KIND/NAMESPACE/NAME`, or `KIND/NAME` when one object of that kind bears the name, or
//! `platform` or `scenario`. Kinds are read in any case, and by kubectl's short names. A path is keys with dots between them; in
//! brackets stands the position of an item, its `name`, or a key with dots in it. A value is YAML;
//! `null` removes the key. Keys that do not exist yet are made, and the reader then says whether they
//! mean anything.

use std::collections::BTreeSet;

use model_api::SourceRef;

use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{Object, origin_after_change};
use crate::nearest::suggestion;
use crate::source::{Span, clamp};
use crate::yaml::{self, Entry, Node, Value};

/// What an override changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The scenario.
    Scenario,
    /// The platform.
    Platform,
    /// An object: kind, namespace if stated, name.
    Object {
        /// Kind, as it was written.
        kind: String,
        /// Namespace, when it was stated.
        namespace: Option<String>,
        /// Name.
        name: String,
    },
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    /// In brackets: a position, the name of an item, or a key with dots.
    Bracket(String),
}

/// One override.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// What it changes.
    pub target: Target,
    steps: Vec<(Step, Span)>,
    target_span: Span,
    value: Node,
}

impl Override {
    /// Reads `TARGET:PATH=VALUE`.
    pub fn parse(file_idx: u32, text: &str) -> Result<Self, Box<Diagnostic>> {
        let place = Place { file_idx, text };
        let refuse = |start: usize, len: usize, message: &str| {
            Box::new(
                Diagnostic::new(Code::E0025, place.span(start, len), message)
                    .help("write KIND/NAMESPACE/NAME:PATH=VALUE, such as deployment/shop/frontend:spec.replicas=3"),
            )
        };
        let Some((target_text, rest)) = text.split_once(':') else {
            return Err(refuse(0, text.len(), "there is no `:` between object and path"));
        };
        let path_start = target_text.len() + 1;
        // A bracketed key may hold `=`; the first one outside brackets ends the path.
        let Some(path_len) = end_of_path(rest) else {
            return Err(refuse(path_start, rest.len(), "there is no `=` between path and value"));
        };
        let target_span = place.span(0, target_text.len());
        let target = parse_target(target_text)
            .ok_or_else(|| refuse(0, target_text.len(), "this names no object"))?;
        if let Target::Object { kind, .. } = &target
            && let Some(word) =
                ["platform", "scenario"].into_iter().find(|word| kind.eq_ignore_ascii_case(word))
        {
            let message = format!("a {word} is named by its kind alone");
            let path = &rest[..path_len];
            let span = place.span(0, target_text.len());
            let diagnostic = Diagnostic::new(Code::E0025, span, message);
            return Err(Box::new(diagnostic.help(format!("write {word}:{path}=VALUE"))));
        }
        let steps = parse_steps(&rest[..path_len], path_start, &place)
            .map_err(|(start, message)| refuse(start, 1, message))?;
        let value_start = path_start + path_len + 1;
        let value = parse_value(&place, value_start)?;
        Ok(Self { target, steps, target_span, value })
    }

    /// Changes the object it names; an object that does not exist is an error with the nearest name.
    pub fn apply(&self, objects: &mut [Object], diagnostics: &mut Vec<Diagnostic>) {
        let Target::Object { kind, namespace, name } = &self.target else { return };
        let kind = full_kind(kind);
        let is_meant = |object: &Object| {
            object.key.kind.eq_ignore_ascii_case(kind)
                && object.key.name == *name
                && namespace.as_ref().is_none_or(|namespace| object.key.namespace == *namespace)
        };
        let last_tier = objects.iter().filter(|object| is_meant(object)).map(|o| o.tier).max();
        let found: Vec<usize> = (0..objects.len())
            .filter(|idx| is_meant(&objects[*idx]) && Some(objects[*idx].tier) == last_tier)
            .collect();
        match found.as_slice() {
            [idx] => {
                let object = &mut objects[*idx];
                self.apply_to(&mut object.node, diagnostics);
                object.origin = origin_after_change(object);
            }
            [] => {
                let names: Vec<String> =
                    objects.iter().map(|object| object.key.to_string().to_lowercase()).collect();
                let wanted = self.target_text().to_lowercase();
                let message = format!("there is no object `{}`", self.target_text());
                diagnostics.push(
                    Diagnostic::new(Code::E0025, self.target_span, message)
                        .help_if(nearest_of_kind(&wanted, kind, &names)),
                );
            }
            several => {
                let names: Vec<String> =
                    several.iter().map(|idx| objects[*idx].key.to_string()).collect();
                let message = format!("`{}` may be several objects", self.target_text());
                diagnostics.push(
                    Diagnostic::new(Code::E0025, self.target_span, message)
                        .help(format!("there are {}", names.join(", "))),
                );
            }
        }
    }

    /// Changes a tree.
    pub fn apply_to(&self, node: &mut Node, diagnostics: &mut Vec<Diagnostic>) {
        if let Err(diagnostic) = set(node, &self.steps, &self.value) {
            diagnostics.push(*diagnostic);
        }
    }

    fn target_text(&self) -> String {
        match &self.target {
            Target::Scenario => "scenario".to_owned(),
            Target::Platform => "platform".to_owned(),
            Target::Object { kind, namespace: Some(namespace), name } => {
                format!("{kind}/{namespace}/{name}")
            }
            Target::Object { kind, namespace: None, name } => format!("{kind}/{name}"),
        }
    }
}

/// A kind by the short name that kubectl takes for it (`kubectl api-resources`, 1.36), or as it is.
fn full_kind(kind: &str) -> &str {
    match kind.to_ascii_lowercase().as_str() {
        "cj" => "CronJob",
        "deploy" => "Deployment",
        "ds" => "DaemonSet",
        "hpa" => "HorizontalPodAutoscaler",
        "ing" => "Ingress",
        "netpol" => "NetworkPolicy",
        "pc" => "PriorityClass",
        "pdb" => "PodDisruptionBudget",
        "po" => "Pod",
        "pvc" => "PersistentVolumeClaim",
        "rs" => "ReplicaSet",
        "sc" => "StorageClass",
        "sts" => "StatefulSet",
        "svc" => "Service",
        "vpa" => "VerticalPodAutoscaler",
        _ => kind,
    }
}

/// The nearest object of the same kind; where there is none of it, which kinds there are.
fn nearest_of_kind(wanted: &str, kind: &str, names: &[String]) -> Option<String> {
    let prefix = format!("{}/", kind.to_lowercase());
    let same: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| name.starts_with(&prefix)).collect();
    if same.is_empty() {
        let kinds: BTreeSet<&str> =
            names.iter().filter_map(|name| Some(name.split_once('/')?.0)).collect();
        return suggestion(kind, kinds.into_iter().collect::<Vec<_>>());
    }
    suggestion(wanted, same)
}

struct Place<'a> {
    file_idx: u32,
    text: &'a str,
}

impl Place<'_> {
    fn span(&self, start: usize, len: usize) -> Span {
        let start = start.min(self.text.len());
        let column = self.text.get(..start).map_or(0, |before| before.chars().count()) + 1;
        let at = SourceRef { file_idx: self.file_idx, line: 1, column: clamp(column) };
        Span { at, start_byte: clamp(start), end_byte: clamp((start + len).min(self.text.len())) }
    }
}

fn parse_target(text: &str) -> Option<Target> {
    let parts: Vec<&str> = text.split('/').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts.as_slice() {
        [word] if word.eq_ignore_ascii_case("scenario") => Some(Target::Scenario),
        [word] if word.eq_ignore_ascii_case("platform") => Some(Target::Platform),
        [kind, name] => Some(Target::Object {
            kind: (*kind).to_owned(),
            namespace: None,
            name: (*name).to_owned(),
        }),
        [kind, namespace, name] => Some(Target::Object {
            kind: (*kind).to_owned(),
            namespace: Some((*namespace).to_owned()),
            name: (*name).to_owned(),
        }),
        _ => None,
    }
}

fn end_of_path(text: &str) -> Option<usize> {
    let mut is_inside = false;
    for (idx, letter) in text.char_indices() {
        match letter {
            '[' => is_inside = true,
            ']' => is_inside = false,
            '=' if !is_inside => return Some(idx),
            _ => {}
        }
    }
    None
}

fn parse_steps(
    path: &str,
    offset: usize,
    place: &Place<'_>,
) -> Result<Vec<(Step, Span)>, (usize, &'static str)> {
    let mut steps = Vec::new();
    let mut start = 0;
    while start < path.len() {
        let rest = &path[start..];
        if let Some(inner) = rest.strip_prefix('[') {
            let Some(len) = inner.find(']').filter(|len| *len > 0) else {
                return Err((offset + start, "this bracket is empty or not closed"));
            };
            let span = place.span(offset + start + 1, len);
            steps.push((Step::Bracket(inner[..len].to_owned()), span));
            start += len + 2;
        } else {
            let len = rest.find(['.', '[']).unwrap_or(rest.len());
            if len == 0 {
                return Err((offset + start, "a key is missing before this"));
            }
            steps.push((Step::Key(rest[..len].to_owned()), place.span(offset + start, len)));
            start += len;
        }
        if path[start..].starts_with('.') {
            start += 1;
            if start == path.len() {
                return Err((offset + start - 1, "a key is missing behind this"));
            }
        }
    }
    if steps.is_empty() {
        return Err((offset, "there is no path before `=`"));
    }
    Ok(steps)
}

/// The value, parsed in place: blanks stand where target and path were, so that positions are right.
fn parse_value(place: &Place<'_>, start: usize) -> Result<Node, Box<Diagnostic>> {
    let value = place.text.get(start..).unwrap_or_default();
    let (mut documents, diagnostics) = yaml::parse(place.file_idx, value);
    if let Some(mut problem) = diagnostics.into_iter().next() {
        problem.code = Code::E0025;
        problem.span = Some(place.span(start, value.len()));
        return Err(Box::new(problem));
    }
    if documents.len() > 1 {
        let message = "a value is one YAML document";
        return Err(Box::new(Diagnostic::new(
            Code::E0025,
            place.span(start, value.len()),
            message,
        )));
    }
    let mut node = documents.pop().unwrap_or(Node {
        span: place.span(start, 0),
        value: Value::Scalar(yaml::Scalar { text: String::new(), is_plain: true }),
    });
    shift(&mut node, place, start);
    Ok(node)
}

/// Moves the places of a value from its own text to the whole override.
fn shift(node: &mut Node, place: &Place<'_>, start: usize) {
    let moved = |span: Span| {
        let byte = start + span.start_byte as usize;
        let moved = place.span(byte, (span.end_byte - span.start_byte) as usize);
        // Only the first line of a value starts behind the path.
        if span.at.line == 1 {
            moved
        } else {
            Span { at: SourceRef { file_idx: place.file_idx, ..span.at }, ..moved }
        }
    };
    node.span = moved(node.span);
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::Sequence(items) => items.iter_mut().for_each(|item| shift(item, place, start)),
        Value::Mapping(entries) => {
            for entry in entries {
                entry.key_span = moved(entry.key_span);
                shift(&mut entry.value, place, start);
            }
        }
    }
}

/// Puts `value` at the end of `steps`, making mappings on the way.
fn set(node: &mut Node, steps: &[(Step, Span)], value: &Node) -> Result<(), Box<Diagnostic>> {
    let Some(((step, span), rest)) = steps.split_first() else {
        *node = value.clone();
        return Ok(());
    };
    if let (Step::Bracket(text), Value::Sequence(items)) = (step, &mut node.value) {
        let idx = text.parse().ok().or_else(|| position_of_name(items, text));
        let count = items.len();
        return match idx.and_then(|idx: usize| items.get_mut(idx)) {
            Some(item) => set(item, rest, value),
            None => {
                let names: Vec<&str> =
                    items.iter().filter_map(|item| item.get("name")?.text()).collect();
                let message = format!("there is no item `{text}` among the {count} here");
                Err(Box::new(
                    Diagnostic::new(Code::E0025, *span, message).help_if(suggestion(text, names)),
                ))
            }
        };
    }
    let (Step::Key(key) | Step::Bracket(key)) = step;
    if node.is_null() {
        node.value = Value::Mapping(Vec::new());
    }
    let found = node.describe();
    let Value::Mapping(entries) = &mut node.value else {
        let message = format!("`{key}` cannot be set here: this is {found}");
        return Err(Box::new(
            Diagnostic::new(Code::E0025, *span, message)
                .help("items of a list stand in brackets: containers[0]"),
        ));
    };
    if rest.is_empty() && value.is_null() {
        entries.retain(|entry| entry.key != *key);
        return Ok(());
    }
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
        if rest.is_empty() {
            entry.key_span = *span;
        }
        return set(&mut entry.value, rest, value);
    }
    let mut made = Node { span: *span, value: Value::Mapping(Vec::new()) };
    set(&mut made, rest, value)?;
    entries.push(Entry { key: key.clone(), key_span: *span, value: made });
    Ok(())
}

fn position_of_name(items: &[Node], name: &str) -> Option<usize> {
    items.iter().position(|item| item.get("name").and_then(Node::text) == Some(name))
}
