//! The guarantee language: one sentence, read by hand so that every mistake has its column.
//!
//! ```text
//! sentence   = promise ["for" share "of" "runs"]
//! promise    = "availability" "(" service ["," (duration | clients)] ["," "admitted"] ")" (">=" | ">") share
//!            | "budget_burn" "(" service "," share "," duration ")" ("<=" | "<") share
//!            | "alert" "(" service "," share ")" ("<=" | "<") duration
//!            | "rto" "(" service-or-database ")" ("<=" | "<") duration
//!            | "rpo" "(" database ")" ("<=" | "<" | "==") duration
//!            | ("rpo" | "rto") "(" data-set "," disaster ")" ("<=" | "<") duration
//!            | "restorable" "(" data-set "," disaster ")"
//!            | "retention" "(" data-set ")" (">=" | ">") duration
//!            | "residency" "(" data-set "," 'text' ")"
//!            | "latency" "(" service "," quantile ["," clients] ")" ("<=" | "<") duration
//!            | "returns" "(" "goodput" "(" service ")" "," share "," duration ["," "after_end"] ")"
//!            | "statically_stable" "(" service "," share ")"
//!            | "starts_from" "(" ("nodes" | "etcd" | "git") ")"
//!            | "completes" "(" (action | 'text' | job) ")" ("<=" | "<") duration
//!            | ("never" | "always" | "sometimes") predicate
//! clients    = ("tenant:" | "zone:" | "served_in:") (name | 'text')
//! disaster   = "node" | "zone" | "region" | "account" | "logical" | "ransomware"
//! predicate  = name ["(" (object | 'text') ")"]
//! ```
//!
//! A subject is `namespace/name`, or `*` for every Service that carries load (every database, for
//! `rpo`; every data set, where a disaster is named). An action is the name of one of the faults, a Job
//! `job/namespace/name` (`cronjob/` does as well).
//! Quantiles are written `p50`, `p99`, `p99.9`.

use model_api::SimSpan;
use model_api::black_start::StartFrom;
use model_api::guarantee::{Comparison, DataPromise, Limit};

use crate::decode::FromText;
use crate::diagnostic::{Code, Diagnostic};
use crate::nearest::nearest;
use crate::source::{Span, Spanned};
use crate::units::Share;

mod data;
mod token;

use token::{Token, TokenKind, Tokens};

/// A sentence, names not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// What must hold in a run.
    pub promise: PromiseSpec,
    /// In which share of runs, when not in all.
    pub share: Option<Share>,
}

/// What must hold in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of model_api::guarantee::Promise")]
pub enum PromiseSpec {
    /// `availability(service) >= 99.9%`
    Availability {
        service: Spanned<String>,
        clients: Option<ClientsSpec>,
        admitted_only: bool,
        limit: Limit<u32>,
    },
    /// `availability(service, 1h) >= 99%`
    AvailabilityIn { service: Spanned<String>, window: SimSpan, limit: Limit<u32> },
    /// `budget_burn(service, 99.9%, 30d) <= 10%`
    BudgetBurn { service: Spanned<String>, objective_ppm: u32, period: SimSpan, limit: Limit<u32> },
    /// `alert(service, 99.9%) <= 5m`
    Alert { service: Spanned<String>, objective_ppm: u32, limit: Limit<SimSpan> },
    /// `rto(subject) <= 60s`
    Rto { subject: Spanned<String>, limit: Limit<SimSpan> },
    /// `rpo(database) == 0s`
    Rpo { database: Spanned<String>, limit: Limit<SimSpan> },
    /// `latency(service, p99) <= 300ms`
    Latency {
        service: Spanned<String>,
        clients: Option<ClientsSpec>,
        quantile_ppm: u32,
        limit: Limit<SimSpan>,
    },
    /// `never predicate`
    Never(PredicateSpec),
    /// `always predicate`
    Always(PredicateSpec),
    /// `sometimes predicate`
    Sometimes(PredicateSpec),
    /// `returns(goodput(service), 95%, 10m)`, with `after_end` behind it or not
    Returns { service: Spanned<String>, to_ppm: u32, within: SimSpan, after_end: bool },
    /// `statically_stable(service, 99%)`
    StaticallyStable { service: Spanned<String>, share_ppm: u32 },
    /// `starts_from(etcd)`
    StartsFrom { from: StartFrom },
    /// `rpo(data set, zone) <= 24h` and the like
    Data { data_set: Spanned<String>, promise: DataPromise },
    /// `completes(action) <= 10m`
    Completes { action: Spanned<String>, limit: Limit<SimSpan> },
}

/// Clients whose view a promise is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientsSpec {
    /// `tenant: name`
    Tenant(Spanned<String>),
    /// `zone: name`
    Zone(Spanned<String>),
    /// `served_in: name`: requests that endpoints in a zone got, whoever asked.
    ServedIn(Spanned<String>),
}

/// A condition that holds or does not at each moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredicateSpec {
    /// Which.
    pub name: PredicateName,
    /// About what, when it was said.
    pub argument: Option<Spanned<String>>,
    /// Where its name was written.
    pub span: Span,
}

/// What a predicate is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Nothing.
    None,
    /// A database, or any.
    DatabaseOrAny,
    /// A workload, or any.
    WorkloadOrAny,
    /// A Service.
    Service,
    /// A text in quotes.
    Text,
}

macro_rules! predicates {
    ($( $variant:ident $name:literal $argument:ident, )*) => {
        /// The predicates there are; see `model_api::guarantee::Predicate` for their meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "documented in model_api::guarantee::Predicate")]
        pub enum PredicateName { $( $variant, )* }

        impl PredicateName {
            /// All of them.
            pub const ALL: &[Self] = &[$( Self::$variant, )*];

            /// As it is written.
            pub const fn text(self) -> &'static str {
                match self { $( Self::$variant => $name, )* }
            }

            /// What it takes in parentheses.
            pub const fn argument(self) -> ArgumentKind {
                match self { $( Self::$variant => ArgumentKind::$argument, )* }
            }
        }
    };
}

predicates! {
    TwoWritablePrimaries "two_writable_primaries" DatabaseOrAny,
    DataLost "data_lost" DatabaseOrAny,
    Failover "failover" DatabaseOrAny,
    QuorumLost "quorum_lost" None,
    ApiLost "api_lost" None,
    MasterDisruption "master_disruption" None,
    PodUnschedulable "pod_unschedulable" WorkloadOrAny,
    PodEvicted "pod_evicted" WorkloadOrAny,
    NoEndpoints "no_endpoints" Service,
    WithinRegion "within_region" Text,
}

/// First words of a sentence.
const BEGINNINGS: [&str; 16] = [
    "availability",
    "budget_burn",
    "alert",
    "rto",
    "rpo",
    "latency",
    "returns",
    "statically_stable",
    "starts_from",
    "restorable",
    "retention",
    "residency",
    "completes",
    "never",
    "always",
    "sometimes",
];

/// Reads a sentence. `is_exact` says that columns inside the scalar can be computed.
pub fn parse(text: &Spanned<String>, is_exact: bool) -> Result<Sentence, Diagnostic> {
    let mut parser = Parser { tokens: Tokens::new(text, is_exact)? };
    let promise = parser.promise()?;
    let share = parser.share()?;
    match parser.tokens.next() {
        None => Ok(Sentence { promise, share }),
        Some(extra) => {
            let message = format!("`{}` is one word too many", extra.text);
            let help = "a sentence ends with `for 99% of runs`, or with its limit";
            Err(error(extra.span, message).help(help))
        }
    }
}

fn error(span: Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::new(Code::E0019, span, message)
}

struct Parser<'a> {
    tokens: Tokens<'a>,
}

impl<'a> Parser<'a> {
    fn promise(&mut self) -> Result<PromiseSpec, Diagnostic> {
        let first = self.word("a promise")?;
        match first.text {
            "availability" => self.availability(),
            "budget_burn" => self.budget_burn(),
            "alert" => self.alert(),
            "rto" | "rpo" if self.names_a_disaster() => self.exposure(first.text == "rpo"),
            "restorable" => self.restorable(),
            "retention" => self.retention(),
            "residency" => self.residency(),
            "rto" => {
                let subject = self.subject()?;
                let comparison = self.comparison(&["<=", "<"])?;
                Ok(PromiseSpec::Rto { subject, limit: Limit { comparison, value: self.span()? } })
            }
            "rpo" => {
                let database = self.subject()?;
                let comparison = self.comparison(&["<=", "<", "=="])?;
                Ok(PromiseSpec::Rpo { database, limit: Limit { comparison, value: self.span()? } })
            }
            "latency" => self.latency(),
            "returns" => self.returns(),
            "statically_stable" => self.statically_stable(),
            "starts_from" => self.starts_from(),
            "completes" => {
                let action = self.action()?;
                let comparison = self.comparison(&["<=", "<"])?;
                let limit = Limit { comparison, value: self.span()? };
                Ok(PromiseSpec::Completes { action, limit })
            }
            "never" => self.predicate().map(PromiseSpec::Never),
            "always" => self.predicate().map(PromiseSpec::Always),
            "sometimes" => self.predicate().map(PromiseSpec::Sometimes),
            other => {
                let help = match nearest(other, BEGINNINGS) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("a sentence begins with {}", BEGINNINGS.join(", ")),
                };
                Err(error(first.span, format!("`{other}` is no promise")).help(help))
            }
        }
    }

    fn availability(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let service = self.name()?;
        let (mut window, mut clients, mut admitted) = (None, None, None);
        while self.tokens.peek().is_some_and(|next| next.text == ",") {
            self.symbol(",")?;
            if self.tokens.peek().is_some_and(|next| next.text == "admitted") {
                admitted = Some(self.word("`admitted`")?.span);
                break;
            }
            if window.is_some() || clients.is_some() {
                let found = self.tokens.expect("`admitted`")?;
                let message = format!("expected `admitted`, found `{}`", found.text);
                return Err(error(found.span, message));
            }
            if self.names_clients() {
                clients = Some(self.clients()?);
            } else {
                window = Some(self.length("a window")?);
            }
        }
        if let (Some(span), Some(_)) = (admitted, window) {
            let message = "windows count requests that a rate limit refused as lost";
            return Err(error(span, message).help("leave `admitted` or the window out"));
        }
        self.symbol(")")?;
        let comparison = self.comparison(&[">=", ">"])?;
        let limit = Limit { comparison, value: self.share_value()?.ppm };
        Ok(match window {
            None => {
                let admitted_only = admitted.is_some();
                PromiseSpec::Availability { service, clients, admitted_only, limit }
            }
            Some(window) => PromiseSpec::AvailabilityIn { service, window, limit },
        })
    }

    fn names_clients(&mut self) -> bool {
        let first = self.tokens.peek().map_or("", |token| token.text);
        let word = first.split_once(':').map_or(first, |(word, _)| word);
        matches!(word, "tenant" | "zone" | "served_in")
    }

    /// `tenant: name`, `zone: name` or `served_in: name`, with or without the space.
    fn clients(&mut self) -> Result<ClientsSpec, Diagnostic> {
        let expected = "clients such as `tenant: name` or `zone: name`, or `served_in: zone`";
        let first = self.word(expected)?;
        let (kind, rest) = first.text.split_once(':').unwrap_or((first.text, first.text));
        let of: fn(Spanned<String>) -> ClientsSpec = match kind {
            "tenant" => ClientsSpec::Tenant,
            "zone" => ClientsSpec::Zone,
            "served_in" => ClientsSpec::ServedIn,
            _ => {
                let message = format!("expected {expected}, found `{}`", first.text);
                return Err(error(first.span, message));
            }
        };
        if kind == rest {
            let message = format!("expected {expected}, found `{kind}` without a colon");
            return Err(error(first.span, message));
        }
        let name = if rest.is_empty() { self.tokens.expect("the name of clients")? } else { first };
        if name.kind == TokenKind::Symbol {
            let message = format!("expected the name of clients, found `{}`", name.text);
            return Err(error(name.span, message));
        }
        let value = if rest.is_empty() { name.text } else { rest };
        Ok(of(Spanned { value: value.to_owned(), span: name.span }))
    }

    fn budget_burn(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let service = self.name()?;
        self.symbol(",")?;
        let objective_ppm = self.objective()?;
        self.symbol(",")?;
        let period = self.length("a period")?;
        self.symbol(")")?;
        let comparison = self.comparison(&["<=", "<"])?;
        let limit = Limit { comparison, value: self.share_value()?.ppm };
        Ok(PromiseSpec::BudgetBurn { service, objective_ppm, period, limit })
    }

    fn alert(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let service = self.name()?;
        self.symbol(",")?;
        let objective_ppm = self.objective()?;
        self.symbol(")")?;
        let comparison = self.comparison(&["<=", "<"])?;
        let limit = Limit { comparison, value: self.span()? };
        Ok(PromiseSpec::Alert { service, objective_ppm, limit })
    }

    /// An objective, which leaves a budget for errors.
    fn objective(&mut self) -> Result<u32, Diagnostic> {
        let token = self.word(Share::EXPECTED)?;
        let share =
            Share::from_text(token.text).map_err(|reason| bad_value::<Share>(&token, reason))?;
        if share.ppm >= 1_000_000 {
            let message = format!("an objective of {} leaves no budget for errors", token.text);
            return Err(error(token.span, message));
        }
        Ok(share.ppm)
    }

    /// A duration that is more than nothing.
    fn length(&mut self, what: &str) -> Result<SimSpan, Diagnostic> {
        let place = self.tokens.peek().map(|token| token.span);
        let span = self.span()?;
        match place {
            Some(place) if span.is_zero() => Err(error(place, format!("{what} has a length"))),
            _ => Ok(span),
        }
    }

    fn latency(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let service = self.name()?;
        self.symbol(",")?;
        let token = self.word("a quantile such as p99")?;
        let digits = token.text.strip_prefix('p').unwrap_or_default();
        let quantile_ppm = match Share::from_text(&format!("{digits}%")) {
            Ok(share) if share.ppm < 1_000_000 && share.ppm > 0 => share.ppm,
            _ => {
                let message = format!("`{}` is no quantile such as p50 or p99.9", token.text);
                return Err(error(token.span, message));
            }
        };
        let mut clients = None;
        if self.tokens.peek().is_some_and(|next| next.text == ",") {
            self.symbol(",")?;
            clients = Some(self.clients()?);
        }
        self.symbol(")")?;
        let comparison = self.comparison(&["<=", "<"])?;
        let limit = Limit { comparison, value: self.span()? };
        Ok(PromiseSpec::Latency { service, clients, quantile_ppm, limit })
    }

    fn returns(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let signal = self.word("a signal")?;
        if signal.text != "goodput" {
            let message = format!("`{}` is no signal that can return", signal.text);
            return Err(error(signal.span, message).help("there is: goodput(namespace/service)"));
        }
        let service = self.subject()?;
        self.symbol(",")?;
        let to_ppm = self.share_value()?.ppm;
        self.symbol(",")?;
        let within = self.span()?;
        let after_end = self.tokens.peek().is_some_and(|next| next.text == ",");
        if after_end {
            self.symbol(",")?;
            let word = self.word("`after_end`")?;
            if word.text != "after_end" {
                let message = format!("expected `after_end` or `)`, found `{}`", word.text);
                let help =
                    "`after_end` counts from the end of the last fault, not from its beginning";
                return Err(error(word.span, message).help(help));
            }
        }
        self.symbol(")")?;
        Ok(PromiseSpec::Returns { service, to_ppm, within, after_end })
    }

    fn statically_stable(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let service = self.name()?;
        self.symbol(",")?;
        let share_ppm = self.share_value()?.ppm;
        self.symbol(")")?;
        Ok(PromiseSpec::StaticallyStable { service, share_ppm })
    }

    fn starts_from(&mut self) -> Result<PromiseSpec, Diagnostic> {
        self.symbol("(")?;
        let word = self.word("`nodes`, `etcd` or `git`")?;
        let Some(from) = StartFrom::ALL.into_iter().find(|it| it.text() == word.text) else {
            let message = format!("nothing starts from `{}`", word.text);
            let help = nearest(word.text, StartFrom::ALL.map(StartFrom::text)).map_or_else(
                || "from `nodes` as they were, from `etcd` with new nodes, or from `git` with an empty etcd"
                        .to_owned(),
                |close| format!("did you mean `{close}`?"),
            );
            return Err(error(word.span, message).help(help));
        };
        self.symbol(")")?;
        Ok(PromiseSpec::StartsFrom { from })
    }

    fn predicate(&mut self) -> Result<PredicateSpec, Diagnostic> {
        let token = self.word("a predicate")?;
        let all = || PredicateName::ALL.iter().map(|name| name.text());
        let Some(name) = PredicateName::ALL.iter().find(|name| name.text() == token.text) else {
            let help = match nearest(token.text, all()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("there are {}", all().collect::<Vec<_>>().join(", ")),
            };
            return Err(error(token.span, format!("`{}` is no predicate", token.text)).help(help));
        };
        let mut argument = None;
        if self.tokens.peek().is_some_and(|next| next.text == "(") {
            self.symbol("(")?;
            let value = self.tokens.expect("an object or a text in quotes")?;
            check_argument(*name, &value)?;
            argument = Some(Spanned { value: value.text.to_owned(), span: value.span });
            self.symbol(")")?;
        }
        let needs_one = matches!(name.argument(), ArgumentKind::Service | ArgumentKind::Text);
        if needs_one && argument.is_none() {
            let example = match name.argument() {
                ArgumentKind::Text => "('EU')",
                _ => "(namespace/service)",
            };
            let message = format!("`{}` needs to know about what", name.text());
            return Err(
                error(token.span, message).help(format!("write `{}{example}`", name.text()))
            );
        }
        Ok(PredicateSpec { name: *name, argument, span: token.span })
    }

    fn share(&mut self) -> Result<Option<Share>, Diagnostic> {
        if self.tokens.peek().is_none_or(|next| next.text != "for") {
            return Ok(None);
        }
        self.tokens.next();
        let share = self.share_value()?;
        for expected in ["of", "runs"] {
            let word = self.word("`of runs`")?;
            if word.text != expected {
                let message = format!("expected `{expected}`, found `{}`", word.text);
                return Err(error(word.span, message).help("write `for 99% of runs`"));
            }
        }
        Ok(Some(share))
    }

    /// A subject in parentheses.
    fn subject(&mut self) -> Result<Spanned<String>, Diagnostic> {
        self.symbol("(")?;
        let name = self.name()?;
        self.symbol(")")?;
        Ok(name)
    }

    /// The name of an action in parentheses: words, or a text in quotes.
    fn action(&mut self) -> Result<Spanned<String>, Diagnostic> {
        self.symbol("(")?;
        let first = self.tokens.expect("the name of an action")?;
        if first.kind == TokenKind::Symbol {
            let message = format!("expected the name of an action, found `{}`", first.text);
            return Err(error(first.span, message));
        }
        let mut name = Spanned { value: first.text.to_owned(), span: first.span };
        if first.kind == TokenKind::Word {
            while let Some(next) = self.tokens.peek().copied().filter(|it| it.kind == first.kind) {
                self.tokens.next();
                name.value = format!("{} {}", name.value, next.text);
            }
        }
        self.symbol(")")?;
        Ok(name)
    }

    fn name(&mut self) -> Result<Spanned<String>, Diagnostic> {
        let token = self.word("a subject such as namespace/name, or *")?;
        Ok(Spanned { value: token.text.to_owned(), span: token.span })
    }

    fn word(&mut self, expected: &str) -> Result<Token<'a>, Diagnostic> {
        let token = self.tokens.expect(expected)?;
        if token.kind == TokenKind::Word {
            return Ok(token);
        }
        Err(error(token.span, format!("expected {expected}, found `{}`", token.text)))
    }

    fn symbol(&mut self, symbol: &str) -> Result<(), Diagnostic> {
        let token = self.tokens.expect(&format!("`{symbol}`"))?;
        if token.kind == TokenKind::Symbol && token.text == symbol {
            return Ok(());
        }
        Err(error(token.span, format!("expected `{symbol}`, found `{}`", token.text)))
    }

    fn comparison(&mut self, allowed: &[&str]) -> Result<Comparison, Diagnostic> {
        let expected = allowed.join(" or ");
        let token = self.tokens.expect(&expected)?;
        let comparison = match token.text {
            "<=" => Comparison::LessOrEqual,
            "<" => Comparison::Less,
            ">=" => Comparison::GreaterOrEqual,
            ">" => Comparison::Greater,
            "==" => Comparison::Equal,
            other => {
                return Err(error(token.span, format!("expected {expected}, found `{other}`")));
            }
        };
        if allowed.contains(&token.text) {
            return Ok(comparison);
        }
        let message = format!("`{}` would promise that it gets worse", token.text);
        Err(error(token.span, message).help(format!("write {expected}")))
    }

    fn share_value(&mut self) -> Result<Share, Diagnostic> {
        let token = self.word(Share::EXPECTED)?;
        // `99.9 %`, as it is set in print.
        if self.tokens.peek().is_some_and(|next| next.text == "%") {
            self.tokens.next();
            let text = format!("{}%", token.text);
            return Share::from_text(&text).map_err(|reason| bad_value::<Share>(&token, reason));
        }
        Share::from_text(token.text).map_err(|reason| bad_value::<Share>(&token, reason))
    }

    /// A duration, which may be several words: `1h 30m`.
    fn span(&mut self) -> Result<SimSpan, Diagnostic> {
        let first = self.word(SimSpan::EXPECTED)?;
        let mut text = first.text.to_owned();
        while let Some(next) = self.tokens.peek() {
            if next.kind != TokenKind::Word || next.text == "for" {
                break;
            }
            text = format!("{text} {}", next.text);
            self.tokens.next();
        }
        SimSpan::from_text(&text).map_err(|reason| bad_value::<SimSpan>(&first, reason))
    }
}

fn bad_value<T: FromText>(token: &Token<'_>, reason: String) -> Diagnostic {
    error(token.span, format!("`{}` is not {}", token.text, T::EXPECTED)).label(reason)
}

fn check_argument(name: PredicateName, value: &Token<'_>) -> Result<(), Diagnostic> {
    let expected = match (name.argument(), value.kind) {
        (ArgumentKind::None, _) => "nothing in parentheses",
        (ArgumentKind::Text, TokenKind::Text) => return Ok(()),
        (ArgumentKind::Text, _) => "a text in quotes, such as 'EU'",
        (_, TokenKind::Word) => return Ok(()),
        (ArgumentKind::DatabaseOrAny, _) => "a database as namespace/name",
        (ArgumentKind::WorkloadOrAny, _) => "a workload as namespace/name",
        (ArgumentKind::Service, _) => "a Service as namespace/name",
    };
    Err(error(value.span, format!("`{}` takes {expected}, found `{}`", name.text(), value.text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sentence, Diagnostic> {
        parse(&Spanned { value: text.to_owned(), span: Span::default() }, true)
    }

    #[test]
    fn every_form_of_the_language_is_read() {
        let cases = [
            "availability(shop/frontend) >= 99.9% for 99% of runs",
            "availability(*) > 99.95%",
            "availability(shop/frontend, 1h) >= 99%",
            "availability(shop/frontend, tenant: acme) >= 99.9%",
            "availability(*, zone:az-a) >= 99.9%",
            "availability(shop/frontend, admitted) >= 99.9%",
            "availability(shop/frontend, tenant: acme, admitted) >= 99.9%",
            "latency(shop/frontend, p99, tenant: 'big corp') <= 300ms",
            "latency(shop/stock, p99, served_in: az-a) <= 300ms",
            "availability(shop/stock, served_in:az-a) >= 99.9%",
            "budget_burn(shop/frontend, 99.9%, 30d) <= 10%",
            "alert(*, 99.9%) <= 5m 30s for 95% of runs",
            "rto(shop/orders-api) <= 60s",
            "rto( shop/orders-api )<=1h 30m for 95% of runs",
            "rpo(shop/orders-db) == 0s",
            "latency(shop/frontend, p99.9) <= 300ms",
            "never two_writable_primaries",
            "never two_writable_primaries(shop/orders-db)",
            "always within_region('EU')",
            "always within_region(\"EU\")",
            "sometimes pod_evicted",
            "never no_endpoints(shop/frontend) for 99% of runs",
            "returns(goodput(shop/frontend), 95%, 10m)",
            "returns(goodput(shop/frontend), 95%, 10m, after_end)",
            "statically_stable(*, 99%) for 99% of runs",
            "starts_from(etcd)",
            "starts_from( git )",
            "completes(new version) <= 10m",
            "completes('new version') < 1h for 95% of runs",
        ];
        for text in cases {
            if let Err(diagnostic) = read(text) {
                panic!("{text}: {} {:?}", diagnostic.message, diagnostic.span);
            }
        }
        let sentence = read("latency(a/b, p99) < 1h 30m for 97.5% of runs").expect("valid");
        let limit = Limit { comparison: Comparison::Less, value: SimSpan::from_mins(90) };
        let PromiseSpec::Latency { service, quantile_ppm, limit: found, .. } = sentence.promise
        else {
            panic!("latency expected");
        };
        assert_eq!((service.value.as_str(), quantile_ppm, found), ("a/b", 990_000, limit));
        assert_eq!(sentence.share, Some(Share { ppm: 975_000 }));
    }

    #[test]
    fn the_examples_of_its_code_are_read() {
        let (_, examples) = crate::diagnostic::explain("E0019")
            .expect("known")
            .what_to_do
            .split_once(": ")
            .expect("examples");
        let (services, data) = examples.split_once(". Of data sets").expect("two lists");
        let data = data.split_once("): ").expect("the list of disasters").1;
        let data = data.split_once(". Anything else").expect("then expressions").0;
        for text in services.split("; ").chain(data.split("; ")) {
            if let Err(diagnostic) = read(text) {
                panic!("{text}: {}", diagnostic.message);
            }
        }
    }

    #[test]
    fn every_mistake_has_its_column_and_a_sentence() {
        let cases = [
            ("", 1, "expected a promise"),
            ("avialability(a/b) >= 99%", 1, "is no promise"),
            ("availability a/b >= 99%", 14, "expected `(`"),
            ("availability(a/b) <= 99%", 19, "gets worse"),
            ("availability(a/b) >= 0.99", 22, "is not a share"),
            ("availability(a/b) >= 199%", 22, "is not a share"),
            ("availability(a/b, 0s) >= 99%", 19, "has a length"),
            ("budget_burn(a/b, 100%, 30d) <= 10%", 18, "leaves no budget"),
            ("budget_burn(a/b, 99%, 30d) >= 10%", 28, "gets worse"),
            ("alert(a/b) <= 5m", 10, "expected `,`"),
            ("rto(a/b) <= 60", 13, "is not a duration"),
            ("rto(a/b) <= -60s", 13, "is not a duration"),
            ("rto(a/b) 60s", 10, "expected <= or <"),
            ("rto(a/b", 8, "expected `)`"),
            ("rpo(a/b) == 0s for all runs", 20, "is not a share"),
            ("rpo(a/b) == 0s for 99% of days", 27, "expected `runs`"),
            ("rpo(a/b, nodes) == 0s", 10, "is no disaster"),
            ("latency(a/b, 99) <= 1s", 14, "is no quantile"),
            ("latency(a/b, p100) <= 1s", 14, "is no quantile"),
            ("availability(a/b, tenant) >= 99%", 19, "without a colon"),
            ("availability(a/b, tenant: ) >= 99%", 27, "expected the name"),
            ("availability(a/b, tenants: x) >= 99%", 19, "is not a duration"),
            ("latency(a/b, p99, 1h) <= 1s", 19, "expected clients"),
            ("latency(a/b, p99, zone: a, zone: b) <= 1s", 26, "expected `)`"),
            ("never two_primaries", 7, "is no predicate"),
            ("never quorum_lost(a/b)", 19, "takes nothing"),
            ("always within_region(EU)", 22, "takes a text"),
            ("always within_region", 8, "needs to know"),
            ("returns(latency(a/b), 95%, 10m)", 9, "is no signal"),
            ("returns(goodput(a/b), 95%, 10m, later)", 33, "expected `after_end`"),
            ("statically_stable(a/b)", 22, "expected `,`"),
            ("starts_from(nothing)", 13, "nothing starts from"),
            ("starts_from(etcd", 17, "expected `)`"),
            ("completes() <= 10m", 11, "expected the name of an action"),
            ("completes(a b) >= 10m", 16, "gets worse"),
            ("never quorum_lost ever", 19, "one word too many"),
            ("always within_region('EU)", 22, "is not closed"),
        ];
        for (text, column, part) in cases {
            let diagnostic = read(text).expect_err(text);
            let found = diagnostic.span.expect("has a place").at.column;
            assert!(diagnostic.message.contains(part), "{text}: {}", diagnostic.message);
            // The scalar starts at column 0 in this test, so columns count from 0.
            assert_eq!(found + 1, column, "{text}: {}", diagnostic.message);
        }
    }
}
