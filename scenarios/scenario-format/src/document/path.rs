//! How requests are served, called and limited on their way.

use model_api::SimSpan;
use model_api::load::ThinkLaw;
use model_api::path::{Balancing, Discipline, RateLimitCounts, Work};
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;
use crate::units::{Factor, Share};

record! {
    /// How a call to a Service is made.
    pub struct CallSpec("a call") {
        /// The Service that is called, as `namespace/name`.
        service: Spanned<String>,
        /// How it is called.
        policy: Option<PolicySpec>,
        /// How many times for each request, one after the other; 1 when it is not stated. Each may fail, and the request needs all of them.
        times: Option<Spanned<u32>>,
        /// It is made at the same time as the calls before and after it that say so too, and where it is made several times all of these: the request goes on when the slowest is over. Otherwise calls are made one after the other.
        parallel: Option<bool>,
        /// What is asked first, so that only some requests need the call.
        cache: Option<CacheSpec>,
    }
}

record! {
    /// A cache before a call: what it has needs no call, and the answer to a call that is made is put into it.
    pub struct CacheSpec("a cache") {
        /// Which share of the requests it answers when it is full, such as `90%`.
        hits: Spanned<Share>,
        /// How many different things are asked for; all alike, which is slower to fill than where some are asked for more often.
        keys: Spanned<u64>,
        /// Whose memory it is in: `pods`, which is the default, for one in each pod of the caller, or the Service whose pods hold a part each, as `namespace/name`. Whoever starts again has nothing.
        r#in: Option<Spanned<String>>,
    }
}

record! {
    /// How a caller treats a call: how long it waits, how often it tries, when it does not.
    pub struct PolicySpec("a call policy") {
        /// How long the caller waits for each attempt; for ever when it is not stated.
        timeout: Option<Spanned<SimSpan>>,
        /// Attempts after the first one.
        retries: Option<Spanned<u32>>,
        /// Pause before the first retry; each later one is twice as long.
        backoff: Option<Spanned<SimSpan>>,
        /// Most retries for each first attempt, such as `20%`.
        retry_budget: Option<Spanned<Share>>,
        /// When calls are not even tried.
        breaker: Option<BreakerSpec>,
    }
}

record! {
    /// A circuit breaker over the last calls. What is not stated is as in resilience4j.
    pub struct BreakerSpec("a circuit breaker") {
        /// It opens when this share of the window failed; 50 % when it is not stated.
        failures: Option<Spanned<Share>>,
        /// Calls in the window; 100 when it is not stated.
        window: Option<Spanned<u32>>,
        /// How long it stays open; 60 s when it is not stated.
        open_for: Option<Spanned<SimSpan>>,
        /// Calls that are let through after that, and decide; 10 when it is not stated.
        trials: Option<Spanned<u32>>,
    }
}

record! {
    /// Requests that a Service lets in.
    pub struct RateLimitSpec("a rate limit") {
        /// Requests in a window.
        limit: Spanned<u64>,
        /// Length of a window; windows start at multiples of it.
        window: Spanned<SimSpan>,
        /// Who counts: `eachPod` for itself, which is the default, or all `together`.
        counts: Option<Spanned<RateLimitCounts>>,
    }
}

record! {
    /// How pods are slow after their start: code is not compiled yet, caches are empty.
    pub struct WarmUpSpec("a warm-up") {
        /// From the start of a pod until it is warm; what it can do grows linearly.
        r#for: Spanned<SimSpan>,
        /// How many times as long a request takes at the start as in a warm pod, such as `3`.
        factor: Spanned<Factor>,
    }
}

record! {
    /// What the readiness probe of a Service asks for.
    pub struct ReadinessSpec("a readiness") {
        /// Databases, as `namespace/name`, without any of which all pods are unready.
        needs: Vec<Spanned<String>>,
        /// How long a database is away until the pods are unready; 30 s when it is not stated.
        fails_after: Option<Spanned<SimSpan>>,
        /// How long it is back until they are ready; 10 s when it is not stated.
        returns_after: Option<Spanned<SimSpan>>,
    }
}

/// What becomes of requests in a pod that dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFlight {
    /// They are answered all the same.
    Answered,
    /// Their connections are reset.
    Lost,
}

impl FromText for InFlight {
    const EXPECTED: &'static str = "what becomes of requests in a pod that dies: answered or lost";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "answered" => Ok(Self::Answered),
            "lost" => Ok(Self::Lost),
            _ => Err("there are answered and lost".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["answered", "lost"]})
    }
}

/// Where the sessions of a Service are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// In the memory of each pod.
    InPods,
    /// In a place that all pods share, or with the client.
    Shared,
}

impl FromText for SessionState {
    const EXPECTED: &'static str = "where sessions are kept: inPods or shared";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "inPods" => Ok(Self::InPods),
            "shared" => Ok(Self::Shared),
            _ => Err("there are inPods and shared".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["inPods", "shared"]})
    }
}

impl FromText for RateLimitCounts {
    const EXPECTED: &'static str = "who counts requests: eachPod or together";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "eachPod" => Ok(Self::EachPod),
            "together" => Ok(Self::Together),
            _ => Err("there are eachPod and together".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["eachPod", "together"]})
    }
}

impl FromText for ThinkLaw {
    const EXPECTED: &'static str = "how thinking varies: exponential or constant";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "exponential" => Ok(Self::Exponential),
            "constant" => Ok(Self::Constant),
            _ => Err("there are exponential and constant".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["exponential", "constant"]})
    }
}

impl FromText for Balancing {
    const EXPECTED: &'static str = "random, roundRobin, leastRequests or shared";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "random" => Ok(Self::Random),
            "roundRobin" => Ok(Self::RoundRobin),
            "leastRequests" => Ok(Self::LeastRequests),
            "shared" => Ok(Self::Shared),
            _ => Err("is none of them".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["random", "roundRobin", "leastRequests", "shared"]})
    }
}

impl FromText for Discipline {
    const EXPECTED: &'static str =
        "what requests do when all workers are busy: firstCome or sharing";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "firstCome" => Ok(Self::FirstCome),
            "sharing" => Ok(Self::Sharing),
            _ => Err("there are firstCome and sharing".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["firstCome", "sharing"]})
    }
}

/// Largest variation of work that is taken.
const VARIATION_MAX: f64 = 10.0;

impl FromText for Work {
    const EXPECTED: &'static str =
        "how work varies: exponential, constant, or deviation divided by mean such as 1.5";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "exponential" => Ok(Self::Exponential),
            "constant" => Ok(Self::Constant),
            _ => match text.parse::<f64>() {
                Ok(variation) if variation > 0.0 && variation <= VARIATION_MAX => {
                    Ok(Self::Lognormal { variation })
                }
                Ok(_) => Err(format!("lies between 0 and {VARIATION_MAX}")),
                Err(_) => Err("is neither a word nor a number".to_owned()),
            },
        }
    }

    fn schema() -> Json {
        json!({"anyOf": [
            {"enum": ["exponential", "constant"]},
            {"type": "number", "exclusiveMinimum": 0, "maximum": VARIATION_MAX},
        ]})
    }
}
