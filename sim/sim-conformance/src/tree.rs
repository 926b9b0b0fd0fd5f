//! A value of a case, and its place in the file.

use model_api::{SimSpan, SimTime};
use scenario_format::Span;
use scenario_format::yaml::{Dialect, Node, ScalarValue, Value};

/// A value, or the absence of one. What is asked of it as something it is not gives nothing: an
/// adapter reads what it needs, and an expectation that nothing meets fails by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree<'a>(Option<&'a Node>);

impl<'a> Tree<'a> {
    /// Nothing.
    pub(crate) const NULL: Self = Self(None);

    /// The value that a node of a file is.
    pub(crate) fn of(node: &'a Node) -> Self {
        Self(Some(node).filter(|node| !node.is_null()))
    }

    /// The node, for readers of whole objects.
    pub(crate) fn node(self) -> Option<&'a Node> {
        self.0
    }

    /// Where it was written.
    pub(crate) fn span(self) -> Option<Span> {
        Some(self.0?.span)
    }

    /// The value at a path of names with dots between; null when there is none.
    pub(crate) fn at(self, path: &str) -> Self {
        path.split('.').fold(self, Self::field)
    }

    /// The value of that name, which may contain dots; null when there is none.
    pub(crate) fn field(self, name: &str) -> Self {
        self.0.and_then(|node| node.get(name)).map_or(Self::NULL, Self::of)
    }

    /// Whether there is a value.
    pub(crate) fn is_given(self) -> bool {
        self.0.is_some()
    }

    /// Whether it is a list.
    pub(crate) fn is_list(self) -> bool {
        self.0.is_some_and(|node| node.items().is_some())
    }

    /// The fields of a map in order; none of anything else.
    pub(crate) fn fields(self) -> impl DoubleEndedIterator<Item = (&'a str, Tree<'a>)> + Clone {
        let entries = self.0.and_then(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| (entry.key.as_str(), Tree::of(&entry.value)))
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(self) -> impl ExactSizeIterator<Item = Tree<'a>> + Clone {
        self.0.and_then(Node::items).unwrap_or_default().iter().map(Tree::of)
    }

    fn scalar(self) -> ScalarValue<'a> {
        match self.0.map(|node| &node.value) {
            Some(Value::Scalar(scalar)) => scalar.resolve(Dialect::Core),
            _ => ScalarValue::Null,
        }
    }

    /// The text, of a number or truth value as it was written; empty of anything else.
    pub(crate) fn text(self) -> &'a str {
        self.0.and_then(Node::text).unwrap_or_default()
    }

    /// The texts of a list.
    pub(crate) fn texts(self) -> Vec<String> {
        self.items().map(|item| item.text().to_owned()).collect()
    }

    /// Whether it is text and no number.
    pub(crate) fn is_text(self) -> bool {
        matches!(self.scalar(), ScalarValue::String(_))
    }

    /// The whole number, if it is one.
    pub(crate) fn int(self) -> Option<i64> {
        match self.scalar() {
            ScalarValue::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The whole number as 32 bits; nought when it is none.
    pub(crate) fn int32(self) -> i32 {
        self.int().and_then(|value| i32::try_from(value).ok()).unwrap_or(0)
    }

    /// The number as a count; nought when it is none.
    pub(crate) fn count(self) -> u32 {
        self.int().and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
    }

    /// The truth value, if it is one.
    pub(crate) fn bool(self) -> Option<bool> {
        match self.scalar() {
            ScalarValue::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is true.
    pub(crate) fn is_true(self) -> bool {
        self.bool() == Some(true)
    }

    /// The number, if it is one.
    pub(crate) fn number(self) -> Option<f64> {
        match self.scalar() {
            #[expect(clippy::cast_precision_loss, reason = "cases have small numbers")]
            ScalarValue::Int(value) => Some(value as f64),
            ScalarValue::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Whether two values say the same, wherever they stand; fields named in `but` do not count.
    pub(crate) fn says(self, other: Tree<'_>, but: &[&str]) -> bool {
        let counts = |name: &str| !but.contains(&name);
        if self.fields().next().is_some() || other.fields().next().is_some() {
            let covers = |a: Tree<'_>, b: Tree<'_>| {
                let mut fields = a.fields().filter(|(name, _)| counts(name));
                fields.all(|(name, value)| value.says(b.field(name), but))
            };
            return covers(self, other) && covers(other, self);
        }
        let (items, others) = (self.items(), other.items());
        items.len() == others.len()
            && items.zip(others).all(|(a, b)| a.says(b, but))
            && self.text() == other.text()
    }

    /// A length of time: a number of seconds, or text such as `40s` or `1h0m0s`.
    pub(crate) fn duration(self) -> Option<SimSpan> {
        if self.is_text() {
            let span: jiff::SignedDuration = self.text().parse().ok()?;
            return Some(SimSpan::from_nanos(u64::try_from(span.as_nanos()).ok()?));
        }
        self.number().map(SimSpan::from_secs_f64_rounded)
    }

    /// A moment, from text such as `2026-01-01T12:00:00Z`, counted from 1970; what is earlier, such
    /// as the zero time of Go, is the beginning of time.
    pub(crate) fn time(self) -> Option<SimTime> {
        let at: jiff::Timestamp = self.text().parse().ok()?;
        Some(SimTime::from_nanos(u64::try_from(at.as_nanosecond()).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, ask: impl FnOnce(Tree<'_>) -> T) -> T {
        let (documents, diagnostics) = scenario_format::yaml::parse(0, text);
        assert_eq!(diagnostics, []);
        ask(Tree::of(&documents[0]))
    }

    #[test]
    fn moments_are_read() {
        let at = |text: &str| read(text, |it| it.time()).expect("a moment");
        assert_eq!(at("1970-01-01T00:00:01Z"), SimTime::from_secs(1));
        assert_eq!(at("'0001-01-01T00:00:00Z'"), SimTime::ZERO);
        let leap = at("2024-03-01T00:00:00Z") - at("2024-02-28T00:00:00Z");
        assert_eq!(leap, SimSpan::from_days(2));
        assert_eq!(at("1970-01-01T01:00:00.5+01:00"), SimTime::from_nanos(500_000_000));
    }

    #[test]
    fn lengths_of_time_are_read() {
        let cases = [("40", 40_000), ("40s", 40_000), ("1h0m0.5s", 3_600_500), ("0.25", 250)];
        for (text, millis) in cases {
            assert_eq!(
                read(text, |it| it.duration()),
                Some(SimSpan::from_millis(millis)),
                "{text}"
            );
        }
        assert_eq!(read("soon", |it| it.duration()), None);
    }

    #[test]
    fn what_is_not_there_is_nothing() {
        read("{a: {b.c: [1, x]}, d: null}", |tree| {
            assert_eq!(tree.at("a").field("b.c").texts(), ["1", "x"]);
            assert!(!tree.at("a.b.c").is_given());
            assert!(!tree.at("d").is_given());
            assert_eq!(tree.at("a.x").int(), None);
        });
    }
}
