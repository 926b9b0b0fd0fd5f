//! Names that clients find entrances by.

use model_api::SimSpan;
use model_api::dns::Answers;
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::Share;

record! {
    /// A name of DNS that leads clients to entrances of the platform; loads say `host` in place of `via`. Without one, clients know the entrance for ever.
    pub struct NameSpec("a name") {
        /// The name, such as `shop.example`.
        name: Spanned<String>,
        /// The Services whose addresses it has, as `namespace/name`: gateways, mostly.
        records: Vec<Spanned<String>>,
        /// `all` of them, of which clients take each as often as the others, which is the default; or the `first` that is well.
        answers: Option<Spanned<Answers>>,
        /// How long resolvers keep an answer; 300s when left out.
        ttl: Option<Spanned<SimSpan>>,
        /// How long they keep that a name could not be found; 5s when left out.
        negative_ttl: Option<Spanned<SimSpan>>,
        /// Who looks whether the addresses answer and takes those out that do not; nobody when left out.
        check: Option<RecordCheckSpec>,
        /// Clients that keep an answer longer than its TTL, as some runtimes do.
        keeping: Option<KeepingSpec>,
    }
}

record! {
    /// Checks of the addresses of a name, and how its records follow them.
    pub struct RecordCheckSpec("a check of records") {
        /// From one check to the next; 30s when left out.
        interval: Option<Spanned<SimSpan>>,
        /// How long an address may take to answer; 10s when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// Checks that must fail; 3 when left out.
        failures: Option<Spanned<u32>>,
        /// Checks that must succeed; 3 when left out.
        successes: Option<Spanned<u32>>,
        /// From the verdict until name servers answer accordingly, such as the minute of external-dns; at once when left out.
        publish_after: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// Clients that keep answers.
    pub struct KeepingSpec("clients that keep answers") {
        /// Which share of the clients they are.
        share: Spanned<Share>,
        /// How long they keep one; for as long as they run when left out.
        r#for: Option<Spanned<SimSpan>>,
    }
}

record! {
    /// DNS of the cluster, by which Services that call each other find one another; names are always found when left out.
    pub struct ClusterDnsSpec("the DNS of a cluster") {
        /// The Service that pods ask, as `namespace/name`: `kube-system/kube-dns` mostly.
        service: Spanned<String>,
        /// How long answers are kept on the way, as by a cache on each node; not at all when left out.
        cache: Option<Spanned<SimSpan>>,
        /// Which share of the calls opens a connection and looks the name up for it; all when left out: nobody keeps connections.
        new_connections: Option<Spanned<Share>>,
    }
}

impl FromText for Answers {
    const EXPECTED: &'static str = "which records a name answers with: all or first";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "first" => Ok(Self::First),
            _ => Err("there are all and first".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["all", "first"]})
    }
}
