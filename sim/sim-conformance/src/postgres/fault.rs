//! What was done at time zero, by what a repetition says of it.
//!
//! Recorders word it as they like, so the words of the title are read by what they are about: what
//! was done, and to whom. Where the title says nothing, what was measured tells the kinds apart.

use model_api::SimSpan;
use model_api::blueprint::Patroni;
use model_postgres::Freeze;

use super::experiment::span;
use crate::tree::Tree;

/// Until standbys are started again, or a frozen member goes on, if nothing says when.
const AWAY_SECS: f64 = 30.0;
const FROZEN_SECS: f64 = 60.0;

/// Which standbys something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standbys {
    /// All.
    All,
    /// The first: the synchronous one, if there is one.
    First,
}

/// What was done at time zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Everything of the primary's member is killed.
    MemberKilled,
    /// The postmaster of the primary is killed; Patroni lives.
    PostmasterKilled,
    /// Processes of the primary's member are stopped, and go on after that time.
    Frozen(Freeze, SimSpan),
    /// Standbys are killed, and start again after that time.
    StandbysKilled(Standbys, SimSpan),
    /// Processes of standbys are stopped, and go on after that time.
    StandbysFrozen(Standbys, Freeze, SimSpan),
    /// The leader is asked to hand over, to this member if one was named.
    HandedOver(Option<u8>),
}

impl Fault {
    /// Whether processes are killed one after the other.
    pub(super) fn is_kill(self) -> bool {
        matches!(self, Self::MemberKilled | Self::PostmasterKilled | Self::StandbysKilled(..))
    }
}

/// Words of a title in lower case.
struct Title<'a>(&'a str);

const STOPS: &[&str] =
    &["sigstop", "sigcont", "-stop", "frozen", "freez", "froze", "paus", "suspend", "thaw", "hung"];
const KILLS: &[&str] =
    &["kill", "loss", "lost", "crash", "stopped", "gone", "down", "without", "no standby"];
const HOLDS: &[&str] =
    &["held", "hold back", "holds back", "holding", "walreceiver", "wal receiver", "lag", "behind"];
const OF_STANDBYS: &[&str] =
    &["standby", "standbies", "replica", "other member", "others", "follower"];
const OF_PRIMARY: &[&str] = &["primary", "leader", "zone", "master", "postmaster"];

/// What is not simulated, whatever else a title says.
const OTHERS: &[&str] = &[
    "partition",
    "isolat",
    "iptables",
    "nftables",
    "netem",
    "packet",
    "disk full",
    "full disk",
    "no space",
    "clock",
    "upgrade",
];
/// Experiments that are known by their letters, besides the restore: of a zone that is lost unless their
/// titles say otherwise.
const LETTERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
/// Kinds that are simulated, for whoever brings another one.
const KINDS: &str = "a member that is killed, a postmaster that is killed, processes of a primary or of standbys that are stopped, standbys that are killed or held back, a switchover, a restore (`experiment: i`)";

impl Title<'_> {
    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.0.contains(word))
    }

    /// Whether what these words tell was done to standbys: by the first part of the title that
    /// has both, or the first one after it that names somebody.
    fn is_about_standbys(&self, verbs: &[&str]) -> bool {
        let says = |part: &str, words: &[&str]| words.iter().any(|word| part.contains(word));
        let parts: Vec<&str> = self.0.split([',', ';', ':']).collect();
        let names = |part: &&&str| says(part, OF_STANDBYS) || says(part, OF_PRIMARY);
        let told = parts.iter().position(|part| says(part, verbs)).unwrap_or(0);
        let after = parts[told..].iter().find(names);
        let before = parts[..told].iter().rev().find(names);
        let Some(part) = after.or(before) else { return false };
        // `of the primary's member` says more than the standby it leaves; `synchronous_standby`.
        says(part, OF_STANDBYS) && !says(part, &["primary", "zone", "leader"])
    }

    /// Whether etcd is among what is named, and is not said to live.
    fn names_store(&self) -> bool {
        let lives = [
            "without etcd",
            "not etcd",
            "etcd lives",
            "etcd stays",
            "etcd runs",
            "but etcd",
            "etcd keeps",
            "etcd alive",
            "except etcd",
            "etcd up",
            "etcd goes on",
            "etcd not",
        ];
        self.says(&["etcd"]) && !self.says(&lives)
    }

    fn standbys(&self) -> Standbys {
        let one = [
            "one standby",
            "one replica",
            "a standby",
            "a replica",
            "synchronous standby",
            "sync standby",
            "the standby",
        ];
        if self.says(&one) && !self.says(&["both", "all", "every"]) {
            Standbys::First
        } else {
            Standbys::All
        }
    }

    /// What of a member a stop of processes strikes.
    fn frozen(&self, is_primary: bool) -> Freeze {
        let has_postgres = self.says(&["postgres", "postmaster", "everything", "all processes"]);
        let has_patroni = self.says(&["patroni"]);
        match (has_patroni, has_postgres, self.names_store() || self.says(&["everything"])) {
            (_, _, true) => Freeze::Everything,
            (true, false, false) => Freeze::Patroni,
            (_, true, false) => Freeze::PatroniAndPostgres,
            // A majority of etcd has to stay, or this were another experiment.
            (false, false, false) if is_primary => Freeze::Everything,
            (false, false, false) => Freeze::PatroniAndPostgres,
        }
    }

    /// The postmaster, and Patroni lives. Stems of words: who stays, went on or is left untouched lives.
    fn is_crash(&self) -> bool {
        let lives = [
            "live",
            "living",
            "alive",
            "stay",
            "keep",
            "kept",
            "remain",
            "surviv",
            "running",
            "runs on",
            "run on",
            "restart",
            "only",
            "go on",
            "goes on",
            "went on",
            "left",
            "untouched",
            "not of",
            "not patroni",
            "but patroni",
            "without patroni",
            "except patroni",
        ];
        self.says(&[
            "postmaster",
            "crash",
            "postgresql processes",
            "postgres processes",
            "postgresql only",
            "postgres only",
            "only postgres",
        ]) && (self.says(&lives) || !self.says(&["etcd", "patroni"]))
    }
}

/// Which fault it was. `is_held` says whether a standby is so far behind that it was held back.
///
/// # Errors
/// Says which moment is none, and of a kind that is not simulated which are.
pub(super) fn fault(
    node: Tree<'_>,
    names: &[String; 3],
    settings: &Patroni,
    is_held: bool,
) -> Result<Fault, String> {
    let lower = node.field("title").text().to_lowercase();
    let title = Title(&lower);
    if let Some(word) = OTHERS.iter().find(|word| title.says(&[**word])) {
        return Err(format!("its title says `{word}`, which is not simulated; what is: {KINDS}"));
    }
    let candidate = || {
        let candidate = node.at("switchover.candidate").text();
        let position = names.iter().position(|name| name == candidate);
        position.and_then(|idx| u8::try_from(idx).ok())
    };
    let thawed = thawed(node);
    let frozen = || -> Result<SimSpan, String> {
        let secs = thawed.or_else(|| seconds_in(&lower)).unwrap_or(FROZEN_SECS);
        span("thawed_s", secs)
    };
    let back = || -> Result<SimSpan, String> {
        let words = [
            "standbys_back",
            "standby_back",
            "standbys_started",
            "standby_started",
            "returned",
            "started_again",
            "restarted",
        ];
        let secs = named(node, &words).or_else(|| seconds_in(&lower)).unwrap_or(AWAY_SECS);
        span("standbys_back_s", secs)
    };
    if title.says(&["switchover", "switch over", "handover", "hand over"]) || is_letter(node, "d") {
        return Ok(Fault::HandedOver(candidate()));
    }
    // What holds a standby back is no fault of its own: the primary is lost then.
    let is_held = is_held || title.says(HOLDS);
    if is_held && thawed.is_none() && !title.says(&["frozen primary", "primary frozen"]) {
        return Ok(Fault::MemberKilled);
    }
    if title.says(STOPS) {
        return Ok(if title.is_about_standbys(STOPS) {
            Fault::StandbysFrozen(title.standbys(), title.frozen(false), frozen()?)
        } else {
            Fault::Frozen(title.frozen(true), frozen()?)
        });
    }
    if title.is_crash() {
        return Ok(Fault::PostmasterKilled);
    }
    if title.says(KILLS) && title.is_about_standbys(KILLS) {
        return Ok(Fault::StandbysKilled(title.standbys(), back()?));
    }
    // By what was measured: a member whose Patroni lives starts its server again, long before its key
    // in the store could end.
    let old = node.field("old_primary").text();
    let is_same = !old.is_empty() && old == node.field("new_primary").text();
    let restarts = settings.ttl.saturating_sub(settings.loop_wait).as_secs_f64();
    let promoted = node.at("phases.pg_promoted_s").number();
    let keeps_key = is_same && node.at("phases.leader_key_gone_s").number().is_none();
    if keeps_key && thawed.is_none() && promoted.is_some_and(|secs| secs < restarts) {
        return Ok(Fault::PostmasterKilled);
    }
    if title.says(KILLS) || ["a", "b"].iter().any(|letter| is_letter(node, letter)) {
        return Ok(Fault::MemberKilled);
    }
    Ok(if thawed.is_some() {
        Fault::Frozen(Freeze::Everything, frozen()?)
    } else if node.field("switchover").is_given() {
        Fault::HandedOver(candidate())
    } else if is_same && settings.is_strict {
        Fault::StandbysKilled(Standbys::All, back()?)
    } else if is_unknown(node) {
        let letter = node.field("experiment").text();
        return Err(format!(
            "`experiment: {letter}` is not known, and its title does not say what was done at time zero; what is simulated: {KINDS}"
        ));
    } else {
        Fault::MemberKilled
    })
}

/// Whether the experiment is named, and by no letter that is known.
fn is_unknown(node: Tree<'_>) -> bool {
    let letter = node.field("experiment").text();
    !letter.is_empty() && !LETTERS.contains(&letter)
}

fn is_letter(node: Tree<'_>, letter: &str) -> bool {
    node.field("experiment").text() == letter
}

/// When a frozen member went on.
fn thawed(node: Tree<'_>) -> Option<f64> {
    let names = [
        "thaw_s",
        "thawed_s",
        "frozen_s",
        "frozen_for_s",
        "freeze_s",
        "sigcont_s",
        "resumed_s",
        "continued_s",
        "unfrozen_s",
        "stopped_for_s",
        "thaw_at_s",
        "thawed_at_s",
        "sigcont_at_s",
        "thaw_after_s",
        "sigcont_after_s",
        "freeze_seconds",
        "frozen_seconds",
        "freeze_duration_s",
        "frozen_duration_s",
    ];
    exactly(node, &names)
}

/// A repetition and what it nests, by their names.
pub(super) fn parts(node: Tree<'_>) -> Vec<(&str, Tree<'_>)> {
    let nested = node.fields().filter(|(_, value)| value.fields().next().is_some());
    std::iter::once(("", node)).chain(nested).collect()
}

/// The number of one of these names, in the repetition or in what it nests.
pub(super) fn exactly(node: Tree<'_>, names: &[&str]) -> Option<f64> {
    let parts = parts(node);
    names.iter().find_map(|name| parts.iter().find_map(|(_, part)| part.field(name).number()))
}

/// The first number whose name contains one of these words, in the repetition or in what it nests.
pub(super) fn named(node: Tree<'_>, words: &[&str]) -> Option<f64> {
    parts(node).into_iter().find_map(|(_, part)| {
        part.fields().find_map(|(name, value)| {
            let is_it = words.iter().any(|word| name.contains(word));
            value.number().filter(|_| is_it)
        })
    })
}

/// The number before an `s` or `seconds` in a title.
fn seconds_in(title: &str) -> Option<f64> {
    let words: Vec<&str> = title.split([' ', ',', '(', ')', ':', ';']).collect();
    words.iter().zip(words.iter().skip(1).chain([&""])).find_map(|(word, next)| {
        let joined = word.strip_suffix('s').and_then(|number| number.parse().ok());
        let apart = || (*next == "s" || next.starts_with("sec")).then(|| word.parse().ok());
        joined.or_else(|| apart().flatten())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Fault, String> {
        let (documents, diagnostics) = scenario_format::yaml::parse(0, text);
        assert_eq!(diagnostics, []);
        let names = ["a", "b", "c"].map(str::to_owned);
        let is_strict = text.contains("strict: true");
        let settings = Patroni { is_strict, ..Patroni::default() };
        fault(Tree::of(&documents[0]), &names, &settings, false)
    }

    #[test]
    fn what_is_not_simulated_is_refused_with_what_is() {
        let refused = [
            ("{experiment: z, title: something new}", "`experiment: z` is not known"),
            ("{experiment: j, title: ''}", "`experiment: j` is not known"),
            ("{experiment: c, title: network partition of the primary}", "`partition`"),
            ("{experiment: k, title: 'disk full on the primary, killed later'}", "`disk full`"),
        ];
        for (text, expected) in refused {
            let said = of(text).expect_err(text);
            assert!(said.contains(expected) && said.contains("a switchover"), "{text}: {said}");
        }
        // A title that says what was done needs no letter, and a letter no title.
        for text in
            ["{experiment: z, title: zone loss}", "{experiment: h, title: shorter timers}", "{}"]
        {
            assert_eq!(of(text), Ok(Fault::MemberKilled), "{text}");
        }
    }

    #[test]
    fn titles_name_the_fault() {
        use Freeze::{Everything, PatroniAndPostgres};
        use Standbys::{All, First};
        let secs = SimSpan::from_secs;
        let frozen = |what, until| Fault::Frozen(what, secs(until));
        let both = |until| Fault::StandbysKilled(All, secs(until));
        let member = "kill -9 of patroni, postgres and etcd of the primary's member";
        let member = format!("title: \"{member}\"");
        let cases: &[(&str, Fault)] = &[
            ("title: 'zone loss: kill -9 of patroni, postgres and etcd'", Fault::MemberKilled),
            (&member, Fault::MemberKilled),
            (
                "title: 'kill -9 of patroni, postmaster and etcd of the primary'",
                Fault::MemberKilled,
            ),
            ("title: 'zone loss as in a, synchronous_mode'", Fault::MemberKilled),
            ("title: 'zone loss, one replica held back'", Fault::MemberKilled),
            ("title: 'held-back replica: SIGSTOP of the walreceiver'", Fault::MemberKilled),
            ("title: 'maximum lag: nobody may be promoted'", Fault::MemberKilled),
            ("title: 'as a with ttl 15, loop_wait 5'", Fault::MemberKilled),
            ("title: another, experiment: b", Fault::MemberKilled),
            ("title: kill -9 of the postmaster only", Fault::PostmasterKilled),
            ("title: 'crash: kill -9 of the postmaster, Patroni lives'", Fault::PostmasterKilled),
            (
                "title: 'kill -9 of the postmaster of the primary, patroni and etcd stay'",
                Fault::PostmasterKilled,
            ),
            (
                "title: 'kill -9 of the postmaster of the primary, patroni and etcd go on'",
                Fault::PostmasterKilled,
            ),
            (
                "title: 'kill -9 of postgres of the primary, not of patroni and etcd', old_primary: \
                 b, new_primary: b, phases: {pg_promoted_s: 4.1}",
                Fault::PostmasterKilled,
            ),
            (
                "title: 'zone loss', old_primary: b, new_primary: b, phases: {leader_key_gone_s: 18, \
                 pg_promoted_s: 19}",
                Fault::MemberKilled,
            ),
            (
                "title: 'kill -9 of all PostgreSQL processes of the primary'",
                Fault::PostmasterKilled,
            ),
            (
                "title: z, old_primary: b, new_primary: b, phases: {pg_promoted_s: 7.2}",
                Fault::PostmasterKilled,
            ),
            ("title: frozen primary, phases: {thawed_s: 45}", frozen(Everything, 45)),
            (
                "title: frozen primary, phases: {thawed_s: 60}, last_ack_after_thaw_s: 2.3",
                frozen(Everything, 60),
            ),
            (
                "title: 'frozen primary (SIGSTOP), SIGCONT later', frozen_s: 50",
                frozen(Everything, 50),
            ),
            ("title: frozen primary", frozen(Everything, 60)),
            ("title: z, freeze: {thaw_s: 40}", frozen(Everything, 40)),
            ("title: 'primary frozen (SIGSTOP) for 60 s'", frozen(Everything, 60)),
            ("title: 'primary paused (kill -STOP) for 50 s'", frozen(Everything, 50)),
            (
                "title: 'SIGSTOP of patroni and postgres of the primary'",
                frozen(PatroniAndPostgres, 60),
            ),
            ("title: 'SIGSTOP of patroni of the primary'", frozen(Freeze::Patroni, 60)),
            (
                "title: 'frozen primary: patroni and postgres, etcd lives'",
                frozen(PatroniAndPostgres, 60),
            ),
            ("title: switchover (REST), switchover: {candidate: c}", Fault::HandedOver(Some(2))),
            ("title: no standby for 20s", both(20)),
            ("title: strict synchronous mode without standby", both(30)),
            ("title: 'strict: every other member stopped, 25 s'", both(25)),
            (
                "title: 'strict synchronous mode: both standbys killed, started again after 40 s'",
                both(40),
            ),
            ("title: z, old_primary: b, new_primary: b, settings: {strict: true}", both(30)),
            (
                "title: 'synchronous standby killed, synchronous_mode'",
                Fault::StandbysKilled(First, secs(30)),
            ),
            (
                "title: 'strict: SIGSTOP of both standbys for 30 s'",
                Fault::StandbysFrozen(All, PatroniAndPostgres, secs(30)),
            ),
        ];
        for &(text, expected) in cases {
            assert_eq!(of(&format!("{{{text}}}")), Ok(expected), "{text}");
        }
        assert!(of("{title: primary frozen, phases: {thawed_s: 1e12}}").is_err());
    }
}
