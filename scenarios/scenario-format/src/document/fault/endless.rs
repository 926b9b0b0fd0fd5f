//! Faults and actions that nothing takes back.

use std::ops::Deref;

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Definitions};
use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// What has no end that could be set: its schema has no `for`. The reader takes the key, so that it
/// can say why it does not belong there, which an unknown key would not.
#[derive(Clone, Debug, PartialEq)]
pub struct Endless<T>(pub T);

impl<T> Deref for Endless<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Decode> Decode for Endless<T> {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        T::decode(node, diagnostics).map(Self)
    }

    fn schema(definitions: &mut Definitions) -> Json {
        // Where the same keys can end elsewhere, that definition stays as it is. The record is written
        // out once more, because a schema of draft-07 can take no property away from another one.
        let mut own = Definitions::new();
        let reference = T::schema(&mut own);
        let name = reference["$ref"].as_str().and_then(|it| it.rsplit('/').next());
        let name = name.expect("a fault is a record, which has a name").to_owned();
        let mut record = own.remove(&name).expect("a record defines itself");
        if let Some(properties) = record["properties"].as_object_mut() {
            properties.remove("for");
        }
        for (key, definition) in own {
            definitions.entry(key).or_insert(definition);
        }
        let name = format!("Endless{name}");
        definitions.insert(name.clone(), record);
        json!({"$ref": format!("#/definitions/{name}")})
    }
}
