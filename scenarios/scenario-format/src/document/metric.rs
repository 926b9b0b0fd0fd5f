//! What the metrics are that autoscalers read.

use model_api::SimSpan;
use model_api::metric::RequestFigure;
use serde_json::{Value as Json, json};

use crate::decode::{FromText, record};
use crate::source::Spanned;

record! {
    /// What a metric measures that a HorizontalPodAutoscaler reads of pods, of an object or from outside: no manifest says it, because the rules of the adapter that serves it do.
    pub struct MetricSpec("a metric") {
        /// Its name, as autoscalers state it.
        name: Spanned<String>,
        /// `requestRate` is requests a second, `requestsInFlight` those that are there at once, waiting ones included. Of pods it is what each of them answers and holds; of an object or from outside it is what the Service is asked for, and what all its pods hold.
        measures: Spanned<RequestFigure>,
        /// Whose requests, as `namespace/name` of a Service. When left out they are those of the Services that the pods stand behind, or of the Service that an object is or the Ingress leads to; a metric from outside needs it.
        service: Option<Spanned<String>>,
        /// What a rate is the mean over; 2m when left out.
        window: Option<Spanned<SimSpan>>,
        /// From one scrape to the next; 30s when left out.
        scrape_interval: Option<Spanned<SimSpan>>,
    }
}

impl FromText for RequestFigure {
    const EXPECTED: &'static str = "what a metric measures: requestRate or requestsInFlight";

    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "requestRate" => Ok(Self::Rate),
            "requestsInFlight" => Ok(Self::InFlight),
            _ => Err("there are requestRate and requestsInFlight".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({"enum": ["requestRate", "requestsInFlight"]})
    }
}
