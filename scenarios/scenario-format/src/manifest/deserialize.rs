//! A serde deserializer over the tree, for the types of `k8s-openapi`.
//!
//! Those types drop unknown fields and fill absent required ones with defaults, both without a word.
//! A deserializer is told the fields of every struct it is asked for, so it can report the first and,
//! with a table of what the API requires, the second, each at its place.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Error as _, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::nearest;
use crate::source::Span;
use crate::yaml::{Dialect, Entry, Node, ScalarValue, Value};

/// Reads a value of a Kubernetes type from a manifest. `title` names the object in messages.
pub(crate) fn from_node<T: DeserializeOwned>(
    node: &Node,
    title: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    from_node_as(Dialect::Kubernetes, node, title, diagnostics)
}

/// Reads a value of a Kubernetes type, with plain scalars by the rules of a dialect.
pub(crate) fn from_node_as<T: DeserializeOwned>(
    dialect: Dialect,
    node: &Node,
    title: &str,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    let found = RefCell::new(Vec::new());
    let context = Context { dialect, title, found: &found };
    let result = T::deserialize(NodeDeserializer { node, context });
    diagnostics.append(&mut found.take());
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let span = error.span.unwrap_or(node.span);
            let message = format!("{title}: {}", error.message);
            diagnostics.push(Diagnostic::new(Code::E0022, span, message));
            None
        }
    }
}

/// Fields that the API requires, where `k8s-openapi` takes a default instead (the `required` lists
/// of the OpenAPI document of Kubernetes 1.36).
const REQUIRED: &[(&str, &[&str])] = &[
    ("Container", &["name"]),
    ("ContainerPort", &["containerPort"]),
    ("CrossVersionObjectReference", &["kind", "name"]),
    ("CronJobSpec", &["jobTemplate", "schedule"]),
    ("DaemonSet", &["spec"]),
    ("DaemonSetSpec", &["selector", "template"]),
    ("Deployment", &["spec"]),
    ("DeploymentSpec", &["selector", "template"]),
    ("HTTPIngressPath", &["backend", "pathType"]),
    ("HTTPIngressRuleValue", &["paths"]),
    ("HorizontalPodAutoscalerSpec", &["maxReplicas", "scaleTargetRef"]),
    ("IngressServiceBackend", &["name"]),
    ("Job", &["spec"]),
    ("JobSpec", &["template"]),
    ("LabelSelectorRequirement", &["key", "operator"]),
    ("MutatingWebhook", &["admissionReviewVersions", "clientConfig", "name", "sideEffects"]),
    ("NodeSelector", &["nodeSelectorTerms"]),
    ("NodeSelectorRequirement", &["key", "operator"]),
    ("PersistentVolumeClaimVolumeSource", &["claimName"]),
    ("Pod", &["spec"]),
    ("PodAffinityTerm", &["topologyKey"]),
    ("PodSpec", &["containers"]),
    ("PreferredSchedulingTerm", &["preference", "weight"]),
    ("ReplicaSetSpec", &["selector"]),
    ("ServicePort", &["port"]),
    ("SleepAction", &["seconds"]),
    ("StatefulSet", &["spec"]),
    ("StatefulSetSpec", &["selector", "template"]),
    ("StorageClass", &["provisioner"]),
    ("TopologySpreadConstraint", &["maxSkew", "topologyKey", "whenUnsatisfiable"]),
    ("Volume", &["name"]),
    ("VolumeMount", &["mountPath", "name"]),
    ("WeightedPodAffinityTerm", &["podAffinityTerm", "weight"]),
];

#[derive(Clone, Copy)]
struct Context<'a> {
    dialect: Dialect,
    title: &'a str,
    found: &'a RefCell<Vec<Diagnostic>>,
}

impl Context<'_> {
    fn check(&self, entries: &[Entry], name: &str, fields: &[&str], span: Span) {
        for entry in entries.iter().filter(|entry| !fields.contains(&entry.key.as_str())) {
            let message = format!("{}: there is no field `{}` here", self.title, entry.key);
            let help = nearest(&entry.key, fields.iter().copied())
                .map(|close| format!("did you mean `{close}`?"));
            self.found.borrow_mut().push(
                Diagnostic::new(Code::E0023, entry.key_span, message)
                    .label("the API server would drop it")
                    .help_if(help),
            );
        }
        let required = REQUIRED.iter().find(|(known, _)| *known == name);
        for field in required.map_or(&[][..], |(_, fields)| fields) {
            let is_there = entries.iter().any(|e| e.key == *field && !e.value.is_null());
            if !is_there {
                let message = format!("{}: the field `{field}` is required here", self.title);
                self.found.borrow_mut().push(Diagnostic::new(Code::E0022, span, message));
            }
        }
    }
}

/// What serde says, and where.
#[derive(Debug)]
struct DecodeError {
    message: String,
    span: Option<Span>,
}

impl DecodeError {
    fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { message: message.to_string(), span: None }
    }
}

#[derive(Clone, Copy)]
struct NodeDeserializer<'a> {
    node: &'a Node,
    context: Context<'a>,
}

impl<'a> NodeDeserializer<'a> {
    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match &self.node.value {
            Value::Scalar(scalar) => match scalar.resolve(self.context.dialect) {
                ScalarValue::Null => visitor.visit_unit(),
                ScalarValue::Bool(value) => visitor.visit_bool(value),
                ScalarValue::Int(value) => visitor.visit_i64(value),
                ScalarValue::Float(value) => visitor.visit_f64(value),
                ScalarValue::String(value) => visitor.visit_str(value),
            },
            Value::Sequence(items) => {
                visitor.visit_seq(Items { rest: items.iter(), context: self.context })
            }
            Value::Mapping(entries) => visitor.visit_map(Entries {
                rest: entries.iter(),
                value: None,
                context: self.context,
            }),
        }
        .map_err(|error: DecodeError| self.located(error))
    }

    /// An error at this node, with what a reader of YAML 1.2 does not see.
    fn located(self, error: DecodeError) -> DecodeError {
        let is_here = error.span.is_none();
        let mut error = error.at(self.node.span);
        if let Value::Scalar(scalar) = &self.node.value
            && is_here
            && matches!(scalar.resolve(self.context.dialect), ScalarValue::Bool(_))
            && matches!(scalar.resolve(Dialect::Core), ScalarValue::String(_))
        {
            let word = &scalar.text;
            error.message.push_str(&format!(
                ": `{word}` without quotes is a truth value in YAML 1.1, which Kubernetes reads; \
                 write \"{word}\""
            ));
        }
        error
    }

    /// What a node is that something else was expected for. Not generic, and apart from `any`: the
    /// types of Kubernetes are many, and each that went through `any` would be compiled for every
    /// kind of node.
    fn refuse(self, expected: &dyn Expected) -> DecodeError {
        let found = match &self.node.value {
            Value::Scalar(scalar) => scalar.resolve(self.context.dialect),
            Value::Sequence(_) => {
                return DecodeError::invalid_type(Unexpected::Seq, expected).at(self.node.span);
            }
            Value::Mapping(_) => {
                return DecodeError::invalid_type(Unexpected::Map, expected).at(self.node.span);
            }
        };
        let unexpected = match &found {
            ScalarValue::Null => Unexpected::Unit,
            ScalarValue::Bool(value) => Unexpected::Bool(*value),
            ScalarValue::Int(value) => Unexpected::Signed(*value),
            ScalarValue::Float(value) => Unexpected::Float(*value),
            ScalarValue::String(value) => Unexpected::Str(value),
        };
        DecodeError::invalid_type(unexpected, expected).at(self.node.span)
    }
}

impl<'de> de::Deserializer<'de> for NodeDeserializer<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        // `cpu: 0.5`: a quantity is its text, never a floating point number.
        if name == "Quantity"
            && let Value::Scalar(scalar) = &self.node.value
            && !self.node.is_null()
        {
            let text: StrDeserializer<'_, DecodeError> = scalar.text.as_str().into_deserializer();
            return visitor.visit_newtype_struct(text).map_err(|error| error.at(self.node.span));
        }
        visitor.visit_newtype_struct(self).map_err(|error: DecodeError| error.at(self.node.span))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if let Value::Mapping(entries) = &self.node.value {
            self.context.check(entries, name, fields, self.node.span);
        }
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Value::Mapping(entries) = &self.node.value else { return Err(self.refuse(&visitor)) };
        let entries = Entries { rest: entries.iter(), value: None, context: self.context };
        visitor.visit_map(entries).map_err(|error: DecodeError| error.at(self.node.span))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let Value::Sequence(items) = &self.node.value else { return Err(self.refuse(&visitor)) };
        let items = Items { rest: items.iter(), context: self.context };
        visitor.visit_seq(items).map_err(|error: DecodeError| error.at(self.node.span))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct tuple tuple_struct enum identifier ignored_any
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    context: Context<'a>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        seed.deserialize(NodeDeserializer { node, context: self.context }).map(Some)
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
    context: Context<'a>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        let key: StrDeserializer<'_, DecodeError> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|error| error.at(entry.key_span))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let node = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(NodeDeserializer { node, context: self.context })
    }
}
