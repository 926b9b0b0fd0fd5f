//! `matchConditions` of webhooks: CEL over what admission sees of a write.
//!
//! Source: `apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go`, 1.36. Of the object only its
//! kind, its namespace and its labels are known here, and `authorizer` not at all: a condition that needs
//! more is taken to hold.

use cel::{Context, Program, Value};
use model_api::kube::{Labels, WriteShape};

/// What a write is about.
pub(super) struct About<'a> {
    pub(super) shape: WriteShape,
    /// Nothing for objects that are in none.
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) labels: &'a Labels,
}

/// Conditions of one webhook, ready to be worked out.
pub(super) struct Conditions {
    programs: Vec<Option<Program>>,
}

/// What conditions come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All hold: the webhook is asked.
    Asked,
    /// One does not hold, whatever becomes of the others.
    Spared,
    /// None fails to hold, and some cannot be worked out.
    Unknown,
}

/// Longer ones are taken as not understood.
const LENGTH_MAX: usize = 4096;

impl Conditions {
    pub(super) fn of(expressions: &[String]) -> Self {
        let compile = |text: &String| {
            let is_short = text.len() <= LENGTH_MAX && super::expression::is_shallow(text);
            is_short.then(|| Program::compile(text).ok()).flatten()
        };
        Self { programs: expressions.iter().map(compile).collect() }
    }

    /// Whether the webhook is asked about a write.
    pub(super) fn verdict(&self, about: &About<'_>) -> Verdict {
        if self.programs.is_empty() {
            return Verdict::Asked;
        }
        let context = context(about);
        let mut verdict = Verdict::Asked;
        for program in &self.programs {
            match program.as_ref().map(|program| program.execute(&context)) {
                Some(Ok(Value::Bool(true))) => {}
                Some(Ok(Value::Bool(false))) => return Verdict::Spared,
                _ => verdict = Verdict::Unknown,
            }
        }
        verdict
    }
}

fn context(about: &About<'_>) -> Context<'static, 'static> {
    let shape = about.shape;
    let mut context = Context::default();
    let kind_of = |last: (&str, &str)| {
        named([
            ("group", text(shape.group)),
            ("version", text(shape.version)),
            (last.0, text(last.1)),
        ])
    };
    let (user, groups) = shape.user;
    let groups = ["system:authenticated"].iter().chain(groups).map(|it| text(it));
    let user =
        named([("username", text(user)), ("groups", Value::from(groups.collect::<Vec<Value>>()))]);
    let request = named([
        ("operation", text(shape.operation)),
        ("kind", kind_of(("kind", shape.kind))),
        ("resource", kind_of(("resource", shape.resource))),
        ("subResource", text(shape.subresource)),
        ("name", text(about.name)),
        ("namespace", text(about.namespace)),
        ("userInfo", user),
        ("dryRun", Value::Bool(false)),
    ]);
    context.add_variable_from_value("request", request);
    let labels = about.labels.iter().map(|(key, value)| (key.as_str(), text(value)));
    let mut metadata = vec![("name", text(about.name)), ("labels", named(labels))];
    if shape.is_namespaced {
        metadata.push(("namespace", text(about.namespace)));
    }
    let version = match shape.group {
        "" => shape.version.to_owned(),
        group => format!("{group}/{}", shape.version),
    };
    let object = named([
        ("apiVersion", text(&version)),
        ("kind", text(shape.kind)),
        ("metadata", named(metadata)),
    ]);
    let is_there = |operations: &[&str]| {
        if operations.contains(&shape.operation) { object.clone() } else { Value::Null }
    };
    context.add_variable_from_value("object", is_there(&["CREATE", "UPDATE"]));
    context.add_variable_from_value("oldObject", is_there(&["UPDATE", "DELETE"]));
    context
}

fn text(text: &str) -> Value {
    Value::from(text.to_owned())
}

#[expect(clippy::disallowed_types, reason = "what CEL's maps are made of; only looked up here")]
fn named<'a>(values: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value));
    Value::from(values.collect::<std::collections::HashMap<String, Value>>())
}

#[cfg(test)]
mod tests {
    use model_api::WorkloadId;
    use model_api::kube::Write;

    use super::*;

    #[test]
    fn conditions_see_who_writes_what() {
        let pods = WorkloadId::from_index(0);
        let lease = Write::NodeLease;
        let cases = [
            ("true", lease, Verdict::Asked),
            ("!('system:nodes' in request.userInfo.groups)", lease, Verdict::Spared),
            ("!('system:nodes' in request.userInfo.groups)", Write::LeaderLease, Verdict::Asked),
            ("request.resource.group != 'coordination.k8s.io'", lease, Verdict::Spared),
            ("request.namespace.startsWith('kube-')", lease, Verdict::Asked),
            ("object.metadata.labels.app == 'web'", Write::PodStatus(pods), Verdict::Asked),
            ("has(object.metadata.labels.tier)", Write::PodStatus(pods), Verdict::Spared),
            ("oldObject == null", Write::PodBinding(pods), Verdict::Asked),
            ("object == null", Write::PodDeletion(pods), Verdict::Asked),
            ("request.subResource == 'status'", Write::NodeStatus, Verdict::Asked),
            ("object.spec.replicas > 3", Write::Revision(pods), Verdict::Unknown),
            ("authorizer.group('').resource('pods').check('x').allowed()", lease, Verdict::Unknown),
            ("this is none", lease, Verdict::Unknown),
        ];
        let labels: Labels = [("app".to_owned(), "web".to_owned())].into();
        for (expression, write, expected) in cases {
            let shape = write.shape();
            let namespace = if shape.is_namespaced { "kube-node-lease" } else { "" };
            let about = About { shape, namespace, name: "it", labels: &labels };
            let conditions = Conditions::of(&[expression.to_owned()]);
            assert_eq!(conditions.verdict(&about), expected, "{expression}");
        }
        let both = Conditions::of(&["object.spec.x == 1".to_owned(), "false".to_owned()]);
        let about = About { shape: lease.shape(), namespace: "", name: "it", labels: &labels };
        assert_eq!(both.verdict(&about), Verdict::Spared, "what does not hold decides");
    }
}
