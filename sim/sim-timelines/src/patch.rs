//! Patches of objects: strategic merge patches, merge patches and JSON patches.

use scenario_format::yaml::{Entry, Node, Value};

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// `application/strategic-merge-patch+json`, what kubectl sends for the types of Kubernetes.
    Strategic,
    /// `application/merge-patch+json`, RFC 7386: lists are replaced.
    Merge,
    /// `application/json-patch+json`, RFC 6902: a list of operations.
    Json,
}

impl Way {
    /// The types that kubectl knows (`kubectl patch --type`).
    pub(crate) const NAMES: [(&str, Self); 3] =
        [("strategic", Self::Strategic), ("merge", Self::Merge), ("json", Self::Json)];
}

/// The object after a patch; what is wrong with the patch, in words, otherwise.
pub(crate) fn patched(object: &Node, patch: &Node, way: Way) -> Result<Node, String> {
    match way {
        Way::Strategic => Ok(strategic(object, patch, "")),
        Way::Merge => Ok(merge(object, patch)),
        Way::Json => json(object, patch),
    }
}

/// Mappings are merged key by key, `null` deletes, lists with a merge key are merged by it, other
/// lists are replaced (apimachinery `pkg/util/strategicpatch/patch.go`).
fn strategic(object: &Node, patch: &Node, field: &str) -> Node {
    let value = match (&object.value, &patch.value) {
        (Value::Mapping(_), Value::Mapping(change)) if is_told(patch, "replace") => {
            Value::Mapping(change.iter().filter(|it| it.key != DIRECTIVE).cloned().collect())
        }
        (Value::Mapping(have), Value::Mapping(change)) => {
            Value::Mapping(mapping(have, change, &strategic))
        }
        (Value::Sequence(have), Value::Sequence(change)) => match merge_key(field, change) {
            Some(key) if !change.iter().any(|it| is_told(it, "replace")) => {
                Value::Sequence(list(have, change, key))
            }
            _ => {
                let is_item = |item: &&Node| !is_told(item, "replace");
                Value::Sequence(change.iter().filter(is_item).cloned().collect())
            }
        },
        _ => patch.value.clone(),
    };
    Node { span: object.span, value }
}

/// What a patch says about itself: `$patch: replace` or `$patch: delete`.
const DIRECTIVE: &str = "$patch";

fn is_told(node: &Node, what: &str) -> bool {
    node.get(DIRECTIVE).and_then(Node::text) == Some(what)
}

/// By which key the items of a list are told apart: `patchMergeKey` of the types in
/// `k8s.io/api/core/v1/types.go`, 1.36. Lists that have none there are replaced.
fn merge_key(field: &str, items: &[Node]) -> Option<&'static str> {
    let key = match field {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "env"
        | "volumes"
        | "imagePullSecrets" => "name",
        "ports" if items.iter().any(|item| item.get("containerPort").is_some()) => "containerPort",
        "ports" => "port",
        "volumeMounts" => "mountPath",
        "volumeDevices" => "devicePath",
        "topologySpreadConstraints" => "topologyKey",
        "hostAliases" => "ip",
        _ => return None,
    };
    items.iter().all(|item| item.get(key).is_some() || item.get(DIRECTIVE).is_some()).then_some(key)
}

fn mapping(
    have: &[Entry],
    change: &[Entry],
    merged: &dyn Fn(&Node, &Node, &str) -> Node,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for entry in have {
        match change.iter().find(|it| it.key == entry.key) {
            None => entries.push(entry.clone()),
            Some(it) if it.value.is_null() || is_told(&it.value, "delete") => {}
            Some(it) => {
                let value = merged(&entry.value, &it.value, &entry.key);
                entries.push(Entry { value, ..entry.clone() });
            }
        }
    }
    let is_new = |it: &&Entry| have.iter().all(|entry| entry.key != it.key) && !it.value.is_null();
    entries.extend(change.iter().filter(is_new).cloned());
    entries
}

fn list(have: &[Node], change: &[Node], key: &str) -> Vec<Node> {
    let of = |item: &Node| item.get(key).and_then(Node::text).map(str::to_owned);
    let mut items = Vec::new();
    for item in have {
        match change.iter().find(|it| of(it) == of(item)) {
            None => items.push(item.clone()),
            Some(it) if is_told(it, "delete") => {}
            Some(it) => items.push(strategic(item, it, "")),
        }
    }
    let is_new = |it: &&Node| have.iter().all(|item| of(item) != of(it)) && !is_told(it, "delete");
    items.extend(change.iter().filter(is_new).cloned());
    items
}

fn merge(object: &Node, patch: &Node) -> Node {
    let value = match (&object.value, &patch.value) {
        (Value::Mapping(have), Value::Mapping(change)) => {
            Value::Mapping(mapping(have, change, &|object, patch, _| merge(object, patch)))
        }
        _ => patch.value.clone(),
    };
    Node { span: object.span, value }
}

/// One operation after the other.
fn json(object: &Node, patch: &Node) -> Result<Node, String> {
    let Some(operations) = patch.items() else {
        return Err("a JSON patch is a list of operations".to_owned());
    };
    let mut object = object.clone();
    for operation in operations {
        let text = |key: &str| operation.get(key).and_then(Node::text).unwrap_or_default();
        let path = pointer(text("path"));
        let nowhere = || format!("there is nothing at `{}`", text("path"));
        let value = operation.get("value");
        match (text("op"), value) {
            ("add", Some(value)) => put(&mut object, &path, value, true).ok_or_else(nowhere)?,
            ("replace", Some(value)) => {
                put(&mut object, &path, value, false).ok_or_else(nowhere)?
            }
            ("remove", _) => _ = take(&mut object, &path).ok_or_else(nowhere)?,
            ("move", _) => {
                let moved = take(&mut object, &pointer(text("from"))).ok_or_else(nowhere)?;
                put(&mut object, &path, &moved, true).ok_or_else(nowhere)?;
            }
            ("copy", _) => {
                let from = pointer(text("from"));
                let copied = at(&mut object, &from).ok_or_else(nowhere)?.clone();
                put(&mut object, &path, &copied, true).ok_or_else(nowhere)?;
            }
            // What it asks for was so when it was recorded.
            ("test", _) => {}
            ("add" | "replace", None) => return Err("`add` and `replace` need `value`".to_owned()),
            (other, _) => return Err(format!("a JSON patch knows no `{other}`")),
        }
    }
    Ok(object)
}

/// The keys of a JSON pointer (RFC 6901).
fn pointer(path: &str) -> Vec<String> {
    let keys = path.split('/').skip(1);
    keys.map(|key| key.replace("~1", "/").replace("~0", "~")).collect()
}

fn at<'a>(node: &'a mut Node, path: &[String]) -> Option<&'a mut Node> {
    let Some((key, rest)) = path.split_first() else { return Some(node) };
    let next = match &mut node.value {
        Value::Mapping(entries) => &mut entries.iter_mut().find(|it| it.key == *key)?.value,
        Value::Sequence(items) => items.get_mut(key.parse::<usize>().ok()?)?,
        _ => return None,
    };
    at(next, rest)
}

/// Puts a value somewhere: a new one where it `is_added`, instead of one that is there otherwise.
fn put(object: &mut Node, path: &[String], value: &Node, is_added: bool) -> Option<()> {
    let Some((key, parents)) = path.split_last() else {
        *object = value.clone();
        return Some(());
    };
    let parent = at(object, parents)?;
    match &mut parent.value {
        Value::Mapping(entries) => match entries.iter_mut().find(|it| it.key == *key) {
            Some(entry) => entry.value = value.clone(),
            None if is_added => {
                let key = key.clone();
                entries.push(Entry { key, key_span: value.span, value: value.clone() });
            }
            None => return None,
        },
        Value::Sequence(items) if is_added => {
            let idx = if key == "-" { items.len() } else { key.parse().ok()? };
            if idx > items.len() {
                return None;
            }
            items.insert(idx, value.clone());
        }
        Value::Sequence(items) => *items.get_mut(key.parse::<usize>().ok()?)? = value.clone(),
        _ => return None,
    }
    Some(())
}

fn take(object: &mut Node, path: &[String]) -> Option<Node> {
    let (key, parents) = path.split_last()?;
    let parent = at(object, parents)?;
    match &mut parent.value {
        Value::Mapping(entries) => {
            let idx = entries.iter().position(|it| it.key == *key)?;
            Some(entries.remove(idx).value)
        }
        Value::Sequence(items) => {
            let idx: usize = key.parse().ok()?;
            (idx < items.len()).then(|| items.remove(idx))
        }
        _ => None,
    }
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

    fn flow(node: &Node) -> String {
        match &node.value {
            Value::Mapping(entries) => {
                let entries = entries.iter().map(|it| format!("{}: {}", it.key, flow(&it.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Value::Sequence(items) => {
                format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", "))
            }
            _ => node.text().unwrap_or("null").to_owned(),
        }
    }

    fn check(way: Way, object: &str, patch: &str, expected: &str) {
        let got = patched(&tree(object), &tree(patch), way);
        let got = got.map_or_else(|wrong| wrong, |node| flow(&node));
        assert_eq!(got, expected, "{object} {patch}");
    }

    #[test]
    fn strategic_patches_merge_lists_by_their_keys() {
        for (object, patch, expected) in [
            ("{a: 1, b: 2}", "{a: null, c: 3}", "{b: 2, c: 3}"),
            ("{args: [x, y]}", "{args: [z]}", "{args: [z]}"),
            (
                "{containers: [{name: a, image: v1, cpu: 1}, {name: b}]}",
                "{containers: [{name: a, image: v2}, {name: c}]}",
                "{containers: [{name: a, image: v2, cpu: 1}, {name: b}, {name: c}]}",
            ),
            (
                "{containers: [{name: a}, {name: b}]}",
                "{containers: [{name: a, $patch: delete}]}",
                "{containers: [{name: b}]}",
            ),
            (
                "{topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1}]}",
                "{topologySpreadConstraints: [{topologyKey: host, maxSkew: 2}]}",
                "{topologySpreadConstraints: [{topologyKey: zone, maxSkew: 1}, {topologyKey: host, \
                 maxSkew: 2}]}",
            ),
            ("{tolerations: [{key: a}]}", "{tolerations: [{key: b}]}", "{tolerations: [{key: b}]}"),
            ("{metrics: [{name: a, x: 1}]}", "{metrics: [{name: a}]}", "{metrics: [{name: a}]}"),
            ("{s: {a: 1, b: 2}}", "{s: {$patch: replace, c: 3}}", "{s: {c: 3}}"),
        ] {
            check(Way::Strategic, object, patch, expected);
        }
    }

    #[test]
    fn merge_patches_replace_lists() {
        let object = "{a: {b: 1}, containers: [{name: a, image: v1}]}";
        let patch = "{a: {c: 2}, containers: [{name: a}]}";
        check(Way::Merge, object, patch, "{a: {b: 1, c: 2}, containers: [{name: a}]}");
    }

    #[test]
    fn json_patches_say_where() {
        for (patch, expected) in [
            ("[{op: replace, path: /a/b, value: 2}]", "{a: {b: 2}, l: [x, y]}"),
            ("[{op: add, path: /a/c~1d, value: 2}]", "{a: {b: 1, c/d: 2}, l: [x, y]}"),
            ("[{op: add, path: /l/-, value: z}]", "{a: {b: 1}, l: [x, y, z]}"),
            ("[{op: remove, path: /l/0}]", "{a: {b: 1}, l: [y]}"),
            ("[{op: move, from: /a/b, path: /c}]", "{a: {}, l: [x, y], c: 1}"),
            ("[{op: copy, from: /a/b, path: /l/0}]", "{a: {b: 1}, l: [1, x, y]}"),
            ("[{op: replace, path: /a/x, value: 2}]", "there is nothing at `/a/x`"),
            ("[{op: add, path: /l/7, value: 2}]", "there is nothing at `/l/7`"),
            ("[{op: change, path: /a}]", "a JSON patch knows no `change`"),
            ("{a: 1}", "a JSON patch is a list of operations"),
        ] {
            check(Way::Json, "{a: {b: 1}, l: [x, y]}", patch, expected);
        }
    }
}
