//! A mapping of a trace's scenario: every key is known, and what is wrong is said at its place.

use std::ops::RangeInclusive;

use model_api::SimSpan;
use scenario_format::yaml::{Dialect, Node, ScalarValue, Value};
use scenario_format::{Code, Diagnostic, nearest};

/// The longest time in a trace: longer ones are mistakes, and would leave virtual time.
pub(crate) const LONGEST_SECS: f64 = 30.0 * 86_400.0;

/// The fields of one mapping on their way to becoming something.
pub(crate) struct Fields<'a> {
    node: &'a Node,
    /// What it is, for messages.
    what: &'static str,
}

impl<'a> Fields<'a> {
    /// The fields of a node, all of whose keys must be among `known`.
    pub(crate) fn of(
        node: &'a Node,
        what: &'static str,
        known: &[&'static str],
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        Self::but(node, what, known, |_| false, diagnostics)
    }

    /// The same, but for keys that somebody else looks at.
    pub(crate) fn but(
        node: &'a Node,
        what: &'static str,
        known: &[&'static str],
        is_apart: impl Fn(&str) -> bool,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let Some(entries) = node.entries() else {
            let message = format!("{what} is a mapping, found {}", node.describe());
            diagnostics.push(Diagnostic::new(Code::E0011, node.span, message));
            return Self { node, what };
        };
        let is_unknown = |key: &str| !known.contains(&key) && !is_apart(key);
        for entry in entries.iter().filter(|entry| is_unknown(&entry.key)) {
            let key = entry.key.as_str();
            // A word that is close to a known one is a slip of the pen; any other says something that
            // the recorder knew, and the rest can be played all the same.
            let is_slip = nearest::nearest(key, known.iter().copied()).is_some();
            diagnostics.push(if is_slip {
                let message = format!("{what} knows no `{key}`");
                let help = nearest::suggestion(key, known.iter().copied());
                Diagnostic::new(Code::E0012, entry.key_span, message).help_if(help)
            } else {
                Diagnostic::left_out(entry.key_span, &format!("`{key}` of {what}"))
            });
        }
        Self { node, what }
    }

    /// The fields of a node whose keys were looked at before.
    pub(crate) fn known(node: &'a Node, what: &'static str) -> Self {
        Self { node, what }
    }

    /// The mapping itself.
    pub(crate) fn node(&self) -> &'a Node {
        self.node
    }

    /// The value of a key, when it says anything.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.node.get(key).filter(|node| !node.is_null())
    }

    /// The value of a key that must be there.
    pub(crate) fn need(&self, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            let message = format!("{} needs `{key}`", self.what);
            diagnostics.push(Diagnostic::new(Code::E0013, self.node.span, message));
        }
        found
    }

    /// Text; empty when it is absent.
    pub(crate) fn text(&self, key: &str) -> &'a str {
        self.get(key).and_then(Node::text).unwrap_or_default()
    }

    /// A number; `default` when it is absent.
    pub(crate) fn number(&self, key: &str, default: f64, diagnostics: &mut Vec<Diagnostic>) -> f64 {
        let Some(node) = self.get(key) else { return default };
        number(node).unwrap_or_else(|| {
            refuse(node, "a number", diagnostics);
            default
        })
    }

    /// Seconds, not negative; `default` when they are absent.
    pub(crate) fn seconds(
        &self,
        key: &str,
        default: f64,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> SimSpan {
        let secs = self.number(key, default, diagnostics);
        if let (false, Some(node)) = ((0.0..=LONGEST_SECS).contains(&secs), self.get(key)) {
            refuse(node, "seconds, at least 0 and at most 30 days", diagnostics);
        }
        SimSpan::from_secs_f64_rounded(secs.clamp(0.0, LONGEST_SECS))
    }

    /// A whole number in these bounds; `default` when it is absent.
    pub(crate) fn count(
        &self,
        key: &str,
        default: u32,
        bounds: RangeInclusive<u32>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> u32 {
        self.get(key).and_then(|node| count(node, bounds, diagnostics)).unwrap_or(default)
    }

    /// A truth value; `default` when it is absent.
    pub(crate) fn bool(&self, key: &str, default: bool, diagnostics: &mut Vec<Diagnostic>) -> bool {
        let Some(node) = self.get(key) else { return default };
        let Some(ScalarValue::Bool(value)) = scalar(node) else {
            refuse(node, "true or false", diagnostics);
            return default;
        };
        value
    }

    /// The items of a list; none when it is absent.
    pub(crate) fn items(&self, key: &str, diagnostics: &mut Vec<Diagnostic>) -> &'a [Node] {
        let Some(node) = self.get(key) else { return &[] };
        node.items().unwrap_or_else(|| {
            refuse(node, "a list", diagnostics);
            &[]
        })
    }
}

fn scalar(node: &Node) -> Option<ScalarValue<'_>> {
    match &node.value {
        Value::Scalar(scalar) => Some(scalar.resolve(Dialect::Core)),
        _ => None,
    }
}

/// The number that a node is.
pub(crate) fn number(node: &Node) -> Option<f64> {
    match scalar(node)? {
        #[expect(clippy::cast_precision_loss, reason = "traces have small numbers")]
        ScalarValue::Int(value) => Some(value as f64),
        ScalarValue::Float(value) => Some(value),
        _ => None,
    }
}

/// The whole number in these bounds that a node is.
pub(crate) fn count(
    node: &Node,
    bounds: RangeInclusive<u32>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let given = number(node).filter(|given| given.fract() == 0.0);
    let is_within =
        |given: &f64| (f64::from(*bounds.start())..=f64::from(*bounds.end())).contains(given);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in bounds")]
    let found = given.filter(is_within).map(|given| given as u32);
    if found.is_none() {
        let wanted = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        refuse(node, &wanted, diagnostics);
    }
    found
}

/// Says that the trace is played without something.
pub(crate) fn leave_out(node: &Node, what: &str, diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.push(Diagnostic::left_out(node.span, what));
}

/// Says that something else was wanted.
pub(crate) fn refuse(node: &Node, wanted: &str, diagnostics: &mut Vec<Diagnostic>) {
    let message = format!("expected {wanted}, found {}", node.describe());
    diagnostics.push(Diagnostic::new(Code::E0011, node.span, message));
}
