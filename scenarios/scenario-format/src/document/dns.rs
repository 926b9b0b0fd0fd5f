//! Names that clients find entrances by.

use model_api::SimSpan;
use model_api::dns::{Answers, WrittenName};
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
        /// From a question to its answer, such as 1ms: a call that looks its name up begins so much later; as good as none when left out.
        latency: Option<Spanned<SimSpan>>,
        /// How callers write names: `short` (stock), which is the default, `namespace` (stock.shop), `service` (stock.shop.svc), `full` (stock.shop.svc.cluster.local) or `absolute` (with a dot at its end). What has fewer dots than `ndots` is looked for in each domain of the search list first.
        written: Option<Spanned<WrittenName>>,
        /// `ndots` of resolv.conf; 5 when left out, as the kubelet writes it.
        ndots: Option<Spanned<u32>>,
        /// How resolvers of pods ask: glibc when left out.
        resolver: Option<ResolverSpec>,
    }
}

record! {
    /// Resolvers of pods.
    pub struct ResolverSpec("resolvers of pods") {
        /// How long one waits for an answer until it asks again; 5s when left out.
        timeout: Option<Spanned<SimSpan>>,
        /// How often it asks; 2 when left out.
        attempts: Option<Spanned<u32>>,
    }
}

impl FromText for WrittenName {
    const EXPECTED: &'static str =
        "how names are written: short, namespace, service, full or absolute";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "short" => Ok(Self::Short),
            "namespace" => Ok(Self::Namespace),
            "service" => Ok(Self::Service),
            "full" => Ok(Self::Full),
            "absolute" => Ok(Self::Absolute),
            _ => Err("there are short, namespace, service, full and absolute".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["short", "namespace", "service", "full", "absolute"]})
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
