//! Strategic merge patches, as far as traces use them.

use scenario_format::yaml::{Entry, Node, Value};

/// The object after a patch: mappings are merged key by key, `null` deletes, lists whose items have
/// a `name` are merged by it, other lists are replaced
/// (apimachinery `pkg/util/strategicpatch/patch.go`; `name` is the merge key of containers,
/// environment variables and volumes).
pub(crate) fn merged(object: &Node, patch: &Node) -> Node {
    let value = match (&object.value, &patch.value) {
        (Value::Mapping(have), Value::Mapping(change)) => Value::Mapping(mapping(have, change)),
        (Value::Sequence(have), Value::Sequence(change))
            if has_names(have) && has_names(change) =>
        {
            Value::Sequence(list(have, change))
        }
        _ => patch.value.clone(),
    };
    Node { span: object.span, value }
}

fn mapping(have: &[Entry], change: &[Entry]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for entry in have {
        match change.iter().find(|it| it.key == entry.key) {
            None => entries.push(entry.clone()),
            Some(it) if it.value.is_null() => {}
            Some(it) => {
                entries.push(Entry { value: merged(&entry.value, &it.value), ..entry.clone() });
            }
        }
    }
    let is_new = |it: &&Entry| have.iter().all(|entry| entry.key != it.key) && !it.value.is_null();
    entries.extend(change.iter().filter(is_new).cloned());
    entries
}

fn list(have: &[Node], change: &[Node]) -> Vec<Node> {
    let mut items: Vec<Node> = have
        .iter()
        .map(|item| {
            let change = change.iter().find(|it| name(it) == name(item));
            change.map_or_else(|| item.clone(), |change| merged(item, change))
        })
        .collect();
    let is_new = |it: &&Node| have.iter().all(|item| name(item) != name(it));
    items.extend(change.iter().filter(is_new).cloned());
    items
}

fn has_names(items: &[Node]) -> bool {
    items.iter().all(|item| name(item).is_some())
}

fn name(item: &Node) -> Option<&str> {
    item.get("name").and_then(Node::text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use scenario_format::yaml::parse;

    fn tree(text: &str) -> Node {
        let (mut documents, diagnostics) = parse(0, text);
        assert_eq!(diagnostics, []);
        documents.remove(0)
    }

    #[test]
    fn containers_are_merged_by_name_and_null_deletes() {
        let object = tree(
            "spec: {replicas: 3, containers: [{name: a, image: v1, cpu: 1}, {name: b}], args: [x, y]}",
        );
        let patch = tree(
            "spec: {replicas: null, containers: [{name: a, image: v2}, {name: c}], args: [z]}",
        );
        let patched = merged(&object, &patch);
        let spec = patched.get("spec").expect("it was there");
        assert!(spec.get("replicas").is_none());
        let containers = spec.get("containers").and_then(Node::items).expect("a list");
        let names: Vec<_> = containers.iter().filter_map(name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(containers[0].get("image").and_then(Node::text), Some("v2"));
        assert_eq!(containers[0].get("cpu").and_then(Node::text), Some("1"));
        assert_eq!(spec.get("args").and_then(Node::items).map(<[Node]>::len), Some(1));
    }
}
