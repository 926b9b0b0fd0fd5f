//! Codes, schema and generated files.

use std::path::Path;

use scenario_format::{explain, explanations, library, schema};

#[test]
fn every_code_is_explained_once_and_in_order() {
    let codes: Vec<&str> = explanations().iter().map(|it| it.code.as_str()).collect();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]), "{codes:?}");
    for explanation in explanations() {
        assert!(!explanation.title.ends_with('.'), "{}", explanation.code);
        assert!(explanation.why.ends_with('.') && explanation.what_to_do.ends_with('.'));
        assert_eq!(explain(&explanation.code.as_str().to_lowercase()), Some(explanation));
    }
    assert_eq!(explain("E9999"), None);
}

#[test]
fn every_code_is_used() {
    let mut sources = String::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("sources are there") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                open.push(path);
            } else {
                sources.push_str(&std::fs::read_to_string(path).expect("text"));
            }
        }
    }
    for explanation in explanations() {
        let used = format!("Code::{}", explanation.code);
        assert!(sources.contains(&used), "{} is never said", explanation.code);
    }
}

/// YAML as JSON, for the validator.
fn to_json(text: &str) -> serde_json::Value {
    use scenario_format::yaml::{Dialect, Node, ScalarValue, Value, parse};
    fn convert(node: &Node) -> serde_json::Value {
        match &node.value {
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), convert(&entry.value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            Value::Sequence(items) => items.iter().map(convert).collect(),
            Value::Scalar(scalar) => match scalar.resolve(Dialect::Core) {
                ScalarValue::Null => serde_json::Value::Null,
                ScalarValue::Bool(value) => value.into(),
                ScalarValue::Int(value) => value.into(),
                ScalarValue::Float(value) => value.into(),
                ScalarValue::String(value) => value.into(),
            },
        }
    }
    let (documents, diagnostics) = parse(0, text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    convert(&documents[0])
}

#[test]
fn shipped_documents_satisfy_the_schema() {
    let scenario = schema::scenario();
    let platform = schema::platform();
    for (schema, names, folder) in
        [(&scenario, library::names(), ""), (&platform, library::platform_names(), "platforms/")]
    {
        jsonschema::meta::validate(schema).expect("a valid schema");
        let validator = jsonschema::draft7::new(schema).expect("draft-07");
        for name in names {
            let text = library::get(&format!("{folder}{name}.yaml")).expect("shipped");
            let document = to_json(text);
            let problems: Vec<String> = validator
                .iter_errors(&document)
                .map(|it| format!("{it} at {}", it.instance_path()))
                .collect();
            assert!(problems.is_empty(), "{name}: {problems:?}");
            let modeline = if folder.is_empty() {
                "../schema/scenario.json"
            } else {
                "../../schema/platform.json"
            };
            let wanted = format!("# yaml-language-server: $schema={modeline}\n");
            assert!(text.starts_with(&wanted), "{name} begins with {wanted}");
        }
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = jsonschema::draft7::new(&schema::scenario()).expect("draft-07");
    let good = library::get("az-loss.yaml").expect("shipped");
    let broken = [
        good.replace("horizon: 2h", "horizons: 2h"),
        good.replace("kind: Scenario", "kind: Platform"),
        good.replace("runs: 200", "runs: -1"),
        good.replace("zonePowerLoss", "zonePowerLoos"),
        good.replace("factor: 2,", ""),
        good.replace("within: [25m, 35m]", "within: [25m]"),
    ];
    for text in broken {
        assert!(text != good, "the replacement hit");
        assert!(!validator.is_valid(&to_json(&text)), "{text}");
    }
}
