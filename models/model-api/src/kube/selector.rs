//! Labels and what selects them.

use std::collections::BTreeMap;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A label selector (`metav1.LabelSelector`). Empty selects everything; *absent* (an
/// `Option::None` where it is used) selects nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelSelector {
    /// Equality requirements, all of which must hold.
    pub match_labels: Labels,
    /// Further requirements, all of which must hold.
    pub match_expressions: Vec<Requirement>,
}

/// One requirement of a label or node selector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Requirement {
    /// Label key (or field name, in `matchFields`).
    pub key: String,
    /// How the values are compared.
    pub operator: Operator,
    /// Values; one integer for `Gt` and `Lt`, none for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// Operators of selectors; `Gt` and `Lt` exist in node selectors only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the words are those of the Kubernetes API")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    Gt,
    Lt,
}

impl LabelSelector {
    /// Whether nothing is required, so that everything matches.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether `labels` satisfy every requirement
    /// (apimachinery `pkg/labels/selector.go`, Requirement.Matches).
    pub fn matches(&self, labels: &Labels) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether Kubernetes can read it (apimachinery `pkg/apis/meta/v1/helpers.go`,
    /// LabelSelectorAsSelector, 1.36). The API server takes none that it cannot.
    pub fn is_readable(&self) -> bool {
        let is_label = |(key, value): (&String, &String)| {
            key_fault(key).is_none() && value_fault(value).is_none()
        };
        self.match_labels.iter().all(is_label)
            && self.match_expressions.iter().all(Requirement::is_readable)
    }
}

impl Requirement {
    /// Whether `labels` satisfy this requirement. A missing key satisfies `NotIn` and
    /// `DoesNotExist`; `Gt` and `Lt` compare integers and fail on anything else.
    pub fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => self.compares(value, |have, limit| have > limit),
            Operator::Lt => self.compares(value, |have, limit| have < limit),
        }
    }

    /// Whether a component can read it (apimachinery `pkg/labels/selector.go`, NewRequirement, 1.36):
    /// the API server takes `Gt` and `Lt` of anything, and whoever compares wants an integer.
    pub fn is_readable(&self) -> bool {
        let has_its_values = match self.operator {
            Operator::In | Operator::NotIn => !self.values.is_empty(),
            Operator::Exists | Operator::DoesNotExist => self.values.is_empty(),
            Operator::Gt | Operator::Lt => {
                matches!(self.values.as_slice(), [limit] if limit.parse::<i64>().is_ok())
            }
        };
        has_its_values
            && key_fault(&self.key).is_none()
            && self.values.iter().all(|value| value_fault(value).is_none())
    }

    fn compares(&self, value: Option<&String>, holds: fn(i64, i64) -> bool) -> bool {
        let have = value.and_then(|value| value.parse().ok());
        let limit = match self.values.as_slice() {
            [limit] => limit.parse().ok(),
            _ => None,
        };
        matches!((have, limit), (Some(have), Some(limit)) if holds(have, limit))
    }
}

/// Longest value of a label, and longest name in a key, in characters.
const NAME_MAX: usize = 63;
/// Longest prefix of a key, in characters.
const PREFIX_MAX: usize = 253;

/// What is wrong with the key of a label, as a fragment that reads after the key
/// (apimachinery `pkg/util/validation/validation.go`, IsQualifiedName, 1.36).
pub fn key_fault(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if let Some(prefix) = prefix {
        let is_part = |part: &str| {
            is_bounded(part, |it| it.is_ascii_lowercase() || it.is_ascii_digit())
                && part
                    .chars()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-')
        };
        if prefix.len() > PREFIX_MAX || !prefix.split('.').all(is_part) {
            return Some(format!(
                "has the prefix `{prefix}`, which must be a DNS name of lower case letters, digits, `-` and `.`"
            ));
        }
    }
    if name.contains('/') {
        return Some("has more than one `/`".to_owned());
    }
    if name.is_empty() {
        return Some("has no name".to_owned());
    }
    value_fault(name)
}

/// What is wrong with the value of a label, as a fragment that reads after the value
/// (`validation.go`, IsValidLabelValue, 1.36). Nothing is a value.
pub fn value_fault(value: &str) -> Option<String> {
    if value.is_empty() {
        return None;
    }
    if value.len() > NAME_MAX {
        return Some(format!("has {} characters, at most {NAME_MAX} are allowed", value.len()));
    }
    let is_known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.');
    if let Some(other) = value.chars().find(|it| !is_known(*it)) {
        return Some(format!(
            "has the character `{}`; letters, digits, `-`, `_` and `.` are allowed",
            other.escape_default()
        ));
    }
    (!is_bounded(value, |it| it.is_ascii_alphanumeric()))
        .then(|| "must begin and end with a letter or a digit".to_owned())
}

fn is_bounded(text: &str, is_end: fn(char) -> bool) -> bool {
    text.starts_with(is_end) && text.ends_with(is_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_are_those_that_the_api_takes() {
        let long = "a".repeat(64);
        for key in ["app", "a", "A.b_c-1", "example.com/app", "a.b-c.d/E"] {
            assert_eq!(key_fault(key), None, "{key}");
        }
        let bad =
            ["", "/", "a/", "/a", "a/b/c", "-a", "a-", "a b", "A.com/x", "a..b/x", "ä", &long];
        for key in bad {
            assert!(key_fault(key).is_some(), "{key}");
        }
        for value in ["", "a", "1", "A_b.c-9", &long[..63]] {
            assert_eq!(value_fault(value), None, "{value}");
        }
        for value in ["a/b", "-a", "a.", "a b", "{{bad-value}}", &long] {
            assert!(value_fault(value).is_some(), "{value}");
        }
    }

    #[test]
    fn a_comparison_wants_one_integer() {
        let reads = |operator, values: &[&str]| {
            let values = values.iter().map(|it| (*it).to_owned()).collect();
            Requirement { key: "cores".to_owned(), operator, values }.is_readable()
        };
        assert!(reads(Operator::Gt, &["8"]) && reads(Operator::Lt, &["0"]));
        for values in [&["8.5"][..], &["many"], &[], &["1", "2"], &["9223372036854775808"]] {
            assert!(!reads(Operator::Gt, values), "{values:?}");
        }
        assert!(reads(Operator::In, &["a", ""]) && !reads(Operator::In, &[]));
        assert!(!reads(Operator::NotIn, &["a b"]) && !reads(Operator::Exists, &["a"]));
    }
}
