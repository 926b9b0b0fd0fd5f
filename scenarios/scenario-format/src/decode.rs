//! From a YAML tree to our own documents, and to their JSON Schema.
//!
//! Written by hand instead of derived from serde, for three reasons: all mistakes of a document are
//! reported and not the first one only, every value keeps its exact place (serde loses it in tagged,
//! flattened and untagged types), and the reader and the schema are one declaration and cannot drift
//! apart. The macros `record!` and `tagged!` are that declaration.

use serde_json::{Map, Value as Json, json};

use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::nearest;
use crate::source::{Span, Spanned};
use crate::yaml::{Dialect, Node, ScalarValue, Value};

/// Definitions of a JSON Schema, by name.
pub type Definitions = Map<String, Json>;

/// What can be read from a node and described by a schema.
pub trait Decode: Sized {
    /// Reads a node; `None` when it is wrong, which was then reported.
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self>;

    /// Its value when the key is absent; `None` when the key must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// Its JSON Schema (draft-07); named parts go to `definitions`.
    fn schema(definitions: &mut Definitions) -> Json;
}

/// A scalar that is read from its text.
pub trait FromText: Sized {
    /// What is expected, for messages: `a duration such as 90s or 1h 30m`.
    const EXPECTED: &'static str;

    /// Reads the text; the error says what is wrong with it, without repeating it.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Its JSON Schema.
    fn schema() -> Json;
}

impl<T: FromText> Decode for Spanned<T> {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let Value::Scalar(scalar) = &node.value else {
            diagnostics.push(wrong_type(node, T::EXPECTED));
            return None;
        };
        if node.is_null() {
            diagnostics.push(wrong_type(node, T::EXPECTED));
            return None;
        }
        match T::from_text(&scalar.text) {
            Ok(value) => Some(Self { value, span: node.span }),
            Err(reason) => {
                let message = format!("`{}` is not {}", scalar.text, T::EXPECTED);
                diagnostics.push(Diagnostic::new(Code::E0014, node.span, message).label(reason));
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Json {
        T::schema()
    }
}

impl FromText for String {
    const EXPECTED: &'static str = "text";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn schema() -> Json {
        json!({"type": "string", "minLength": 1})
    }
}

impl FromText for u32 {
    const EXPECTED: &'static str = "a whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| number_reason(text))
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 0, "maximum": u32::MAX})
    }
}

impl FromText for i32 {
    const EXPECTED: &'static str = "a whole number";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "is no whole number of 32 bits".to_owned())
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX})
    }
}

impl FromText for u64 {
    const EXPECTED: &'static str = "a whole number, 0 or more";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| number_reason(text))
    }

    fn schema() -> Json {
        json!({"type": "integer", "minimum": 0})
    }
}

fn number_reason(text: &str) -> String {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.chars().all(|digit| digit.is_ascii_digit()) {
        if text.starts_with('-') { "is negative".to_owned() } else { "is too large".to_owned() }
    } else {
        "is no whole number".to_owned()
    }
}

impl Decode for bool {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value
            && let ScalarValue::Bool(value) = scalar.resolve(Dialect::Core)
        {
            return Some(value);
        }
        diagnostics.push(wrong_type(node, "true or false"));
        None
    }

    fn schema(_: &mut Definitions) -> Json {
        json!({"type": "boolean"})
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::decode(node, diagnostics).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        T::schema(definitions)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if node.is_null() {
            return Some(Vec::new());
        }
        let Some(items) = node.items() else {
            diagnostics.push(wrong_type(node, "a list"));
            return None;
        };
        let before = diagnostics.len();
        let values: Vec<T> = items.iter().filter_map(|item| T::decode(item, diagnostics)).collect();
        // A broken item was reported; the others are still worth reading on with.
        (values.len() == items.len() || diagnostics.len() > before).then_some(values)
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"type": "array", "items": T::schema(definitions)})
    }
}

/// A mapping whose keys are names that the user chooses, in the order they were written.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T>(pub Vec<(Spanned<String>, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if node.is_null() {
            return Some(Self::default());
        }
        let Some(entries) = node.entries() else {
            diagnostics.push(wrong_type(node, "a mapping"));
            return None;
        };
        let mut named = Vec::new();
        for entry in entries {
            if let Some(value) = T::decode(&entry.value, diagnostics) {
                named.push((Spanned { value: entry.key.clone(), span: entry.key_span }, value));
            }
        }
        Some(Self(named))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema(definitions: &mut Definitions) -> Json {
        json!({"type": "object", "additionalProperties": T::schema(definitions)})
    }
}

/// Something else was expected here.
pub(crate) fn wrong_type(node: &Node, expected: &str) -> Diagnostic {
    let message = format!("expected {expected}, found {}", node.describe());
    Diagnostic::new(Code::E0011, node.span, message)
}

/// The keys of a record while it is being read.
pub(crate) struct Fields<'a> {
    node: &'a Node,
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// Checks that `node` is a mapping with known keys only.
    pub(crate) fn of(
        node: &'a Node,
        what: &'static str,
        known: &[String],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Some(entries) = node.entries() else {
            // `key:` with nothing behind it is an empty mapping.
            if node.is_null() {
                return Some(Self { node, what });
            }
            let keys = known.join(", ");
            diagnostics
                .push(wrong_type(node, "a mapping").help(format!("{what} has the keys {keys}")));
            return None;
        };
        for entry in entries {
            if !known.contains(&entry.key) {
                diagnostics.push(unknown_key(&entry.key, entry.key_span, what, known));
            }
        }
        Some(Self { node, what })
    }

    /// Reads one key.
    pub(crate) fn field<T: Decode>(
        &self,
        key: &str,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        if let Some(value) = self.node.get(key) {
            return T::decode(value, diagnostics);
        }
        let absent = T::absent();
        if absent.is_none() {
            let message = format!("{} needs the key `{key}`", self.what);
            diagnostics.push(
                Diagnostic::new(Code::E0013, self.node.span, message).label("is missing here"),
            );
        }
        absent
    }
}

/// A key that nobody reads.
pub(crate) fn unknown_key(key: &str, span: Span, what: &str, known: &[String]) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::E0012, span, format!("{what} has no key `{key}`"))
        .label("unknown key");
    match nearest(key, known.iter().map(String::as_str)) {
        Some(close) => diagnostic.help(format!("did you mean `{close}`?")),
        None => diagnostic.help(keys_there_are(known).to_string()),
    }
}

fn keys_there_are(known: &[String]) -> String {
    if known.is_empty() {
        "it has no keys: write {}".to_owned()
    } else {
        format!("its keys are {}", known.join(", "))
    }
}

/// `cpu_per_request` as `cpuPerRequest`.
pub(crate) fn camel(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    let mut words = name.split('_');
    let mut result = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        result.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        result.push_str(letters.as_str());
    }
    result
}

/// `ZonePowerLoss` as `zonePowerLoss`.
pub(crate) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Doc comments as the description of a schema.
pub(crate) fn description(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Adds a description to a schema; a reference is wrapped, because draft-07 ignores its siblings.
pub(crate) fn described(schema: Json, text: &str) -> Json {
    if schema.get("$ref").is_some() {
        return json!({"description": text, "allOf": [schema]});
    }
    let Json::Object(mut object) = schema else { return schema };
    object.entry("description").or_insert_with(|| json!(text));
    Json::Object(object)
}

/// Declares a struct that is read from a mapping. Keys are the field names in camel case; a field
/// whose type can be absent (`Option`, `Vec`, [`Named`]) is optional. Each struct also knows its
/// own place in `span`.
macro_rules! record {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident ($what:literal) {
            $( $(#[doc = $field_doc:literal])* $field:ident : $type:ty, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
            /// Where it was written.
            pub span: $crate::source::Span,
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::yaml::Node,
                diagnostics: &mut Vec<$crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                let known: Vec<String> = vec![$( $crate::decode::camel(stringify!($field)) ),*];
                let fields = $crate::decode::Fields::of(node, $what, &known, diagnostics)?;
                $( let $field =
                    fields.field(&$crate::decode::camel(stringify!($field)), diagnostics); )*
                Some(Self { $( $field: $field?, )* span: node.span })
            }

            fn schema(definitions: &mut $crate::decode::Definitions) -> serde_json::Value {
                let name = stringify!($name);
                if !definitions.contains_key(name) {
                    definitions.insert(name.to_owned(), serde_json::Value::Null);
                    let mut properties = serde_json::Map::new();
                    let mut required: Vec<String> = Vec::new();
                    $(
                        let key = $crate::decode::camel(stringify!($field));
                        let schema = <$type as $crate::decode::Decode>::schema(definitions);
                        let text = $crate::decode::description(&[$($field_doc),*]);
                        properties.insert(key.clone(), $crate::decode::described(schema, &text));
                        if <$type as $crate::decode::Decode>::absent().is_none() {
                            required.push(key);
                        }
                    )*
                    let text = $crate::decode::description(&[$($doc),*]);
                    definitions.insert(name.to_owned(), serde_json::json!({
                        "type": "object",
                        "description": text,
                        "properties": properties,
                        "required": required,
                        "additionalProperties": false,
                    }));
                }
                serde_json::json!({"$ref": format!("#/definitions/{name}")})
            }
        }
    };
}

/// Declares an enum that is read from a mapping with one key, which names the variant.
macro_rules! tagged {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident ($what:literal) {
            $( $(#[doc = $variant_doc:literal])* $variant:ident($type:ty), )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $( $(#[doc = $variant_doc])* $variant($type), )*
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::yaml::Node,
                diagnostics: &mut Vec<$crate::diagnostic::Diagnostic>,
            ) -> Option<Self> {
                let known: Vec<String> =
                    vec![$( $crate::decode::lower_first(stringify!($variant)) ),*];
                let entry = $crate::decode::only_entry(node, $what, &known, diagnostics)?;
                $(
                    if entry.key == $crate::decode::lower_first(stringify!($variant)) {
                        return <$type as $crate::decode::Decode>::decode(&entry.value, diagnostics)
                            .map(Self::$variant);
                    }
                )*
                diagnostics.push($crate::decode::unknown_key(
                    &entry.key, entry.key_span, $what, &known,
                ));
                None
            }

            fn schema(definitions: &mut $crate::decode::Definitions) -> serde_json::Value {
                let name = stringify!($name);
                if !definitions.contains_key(name) {
                    definitions.insert(name.to_owned(), serde_json::Value::Null);
                    let mut choices: Vec<serde_json::Value> = Vec::new();
                    $(
                        let key = $crate::decode::lower_first(stringify!($variant));
                        let schema = <$type as $crate::decode::Decode>::schema(definitions);
                        let text = $crate::decode::description(&[$($variant_doc),*]);
                        choices.push(serde_json::json!({
                            "type": "object",
                            "description": text,
                            "properties": {key.clone(): schema},
                            "required": [key],
                            "additionalProperties": false,
                        }));
                    )*
                    let text = $crate::decode::description(&[$($doc),*]);
                    definitions.insert(
                        name.to_owned(),
                        serde_json::json!({"description": text, "oneOf": choices}),
                    );
                }
                serde_json::json!({"$ref": format!("#/definitions/{name}")})
            }
        }
    };
}

pub(crate) use {record, tagged};

/// The one entry of a mapping that names a choice.
pub(crate) fn only_entry<'a>(
    node: &'a Node,
    what: &str,
    known: &[String],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<&'a crate::yaml::Entry> {
    match node.entries() {
        Some([entry]) => Some(entry),
        entries => {
            let found = match entries {
                Some([]) => "an empty mapping",
                Some(_) => "several keys",
                None => node.describe(),
            };
            let mut diagnostic = Diagnostic::new(
                Code::E0011,
                node.span,
                format!("{what} is a mapping with one key that says which, found {found}"),
            )
            .help(format!("one of {}", known.join(", ")));
            if let Some([_, second, ..]) = entries {
                diagnostic = diagnostic.related(second.key_span, "a second key");
            }
            diagnostics.push(diagnostic);
            None
        }
    }
}
