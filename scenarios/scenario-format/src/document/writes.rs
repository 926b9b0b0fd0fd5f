//! Which requests write to a database.

use serde_json::{Value as Json, json};

use crate::decode::{Decode, Definitions, record};
use crate::diagnostic::Diagnostic;
use crate::source::Spanned;
use crate::units::Share;
use crate::yaml::{Node, Value};

record! {
    /// A database that requests write to, and how many of them do.
    pub struct WriteSpec("a database that is written to") {
        /// The Cluster, as `namespace/name`.
        database: Spanned<String>,
        /// The share of the requests that commit to it, such as `20%`: then the load decides how much is written.
        /// While there is no primary only these fail, however often they are tried: whoever tries to write again
        /// writes again, and the requests of a smaller share are among those of a larger one. The others need none:
        /// they read from a standby, or from a cache. With `through` all requests need the Pooler.
        share: Option<Spanned<Share>>,
        /// The Pooler that they go through, as `namespace/name`; left out, they go to the `-rw` Service.
        through: Option<Spanned<String>>,
        /// Connections that each pod keeps open to that Pooler; nobody counts them when left out.
        connections: Option<Spanned<u32>>,
    }
}

/// [`WriteSpec`], or the name alone: every request needs the database, and how much is written is stated there.
#[derive(Clone, Debug, PartialEq)]
pub struct WritesTo(pub WriteSpec);

impl Decode for WritesTo {
    fn decode(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if !matches!(node.value, Value::Scalar(_)) {
            return WriteSpec::decode(node, diagnostics).map(Self);
        }
        let database = Spanned::decode(node, diagnostics)?;
        Some(Self(WriteSpec {
            database,
            share: None,
            through: None,
            connections: None,
            span: node.span,
        }))
    }

    fn schema(definitions: &mut Definitions) -> Json {
        let name = <Spanned<String> as Decode>::schema(definitions);
        json!({"oneOf": [name, WriteSpec::schema(definitions)]})
    }
}
