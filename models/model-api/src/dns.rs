//! Names that clients ask for, the addresses they lead to, and for how long answers are kept.

use sim_kernel::SimSpan;

use crate::ids::ServiceId;
use crate::source::Origin;

/// A name of a zone of DNS, with the entrances of the platform that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsName {
    /// The name.
    pub name: String,
    /// The Services whose addresses it has: gateways, mostly. In the order in which they stand in for
    /// each other.
    pub records: Vec<ServiceId>,
    /// Which of them it answers with.
    pub answers: Answers,
    /// How long resolvers keep an answer.
    pub ttl: SimSpan,
    /// How long they keep that there was none.
    pub negative_ttl: SimSpan,
    /// Of a million clients, those that keep an answer longer than resolvers do.
    pub keeping_ppm: u32,
    /// How long these keep it; for as long as they run when `None`.
    pub kept_for: Option<SimSpan>,
    /// Who looks whether the addresses answer; without anybody the records never change.
    pub check: Option<RecordCheck>,
    /// Where it was written.
    pub origin: Origin,
}

impl DnsName {
    /// The TTL of a record of which nobody says how long it holds: **assumption**, DL-5 of the
    /// specification of platform services (providers have 300 s to a day).
    pub const TTL: SimSpan = SimSpan::from_secs(300);
    /// How long resolvers keep a failure to resolve: RFC 2308, 7, allows five minutes at most; unbound
    /// and CoreDNS keep one for 5 s (`SERVFAIL` TTL of the plugin `cache`, CoreDNS 1.12).
    pub const NEGATIVE_TTL: SimSpan = SimSpan::from_secs(5);
}

/// Which of its addresses a name answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answers {
    /// All that are listed, of which clients take each as often as the others.
    #[default]
    All,
    /// The first that is listed.
    First,
}

/// Checks of addresses by a provider of DNS, or by somebody who changes records there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordCheck {
    /// From one check to the next.
    pub interval: SimSpan,
    /// How long an address may take to answer.
    pub timeout: SimSpan,
    /// Checks that must fail, one after the other, for an address to be taken out.
    pub failures: u32,
    /// Checks that must succeed for one to come back.
    pub successes: u32,
    /// From the verdict until name servers answer accordingly.
    pub publish_after: SimSpan,
}

impl Default for RecordCheck {
    /// Every 30 s, three times either way, as managed zones with health checks do by default (Amazon
    /// Route 53, "Values that you specify when you create health checks"); at once in the zone.
    fn default() -> Self {
        Self {
            interval: SimSpan::from_secs(30),
            timeout: SimSpan::from_secs(10),
            failures: 3,
            successes: 3,
            publish_after: SimSpan::ZERO,
        }
    }
}

/// How clients found the entrance that their requests come through: these are those of the clients of a
/// name that it leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Position in [`Blueprint::names`](crate::Blueprint::names).
    pub name: usize,
    /// Position of the entrance among its records.
    pub record: usize,
    /// They are of those that keep answers longer.
    pub keeps: bool,
}

/// DNS of the cluster, by whose names Services call each other.
///
/// Source: kubeadm 1.36 runs CoreDNS behind the Service `kube-dns` and has it give answers 30 s
/// (`cmd/kubeadm/app/phases/addons/dns/manifests.go`). The C libraries of most images keep no answer; a
/// cache on each node does (NodeLocal DNSCache).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDns {
    /// The Service that resolvers of pods ask.
    pub service: ServiceId,
    /// How long answers are kept on the way: by a cache on each node, or in the callers.
    pub kept_for: SimSpan,
    /// Of a million calls, those that open a connection and look the name up for it.
    pub connecting_ppm: u32,
    /// From a question to its answer, where nothing is wrong; as good as none when zero.
    pub latency: SimSpan,
    /// Names that a resolver asks for, one after the other, until it has the right one.
    pub question_count: u32,
    /// How long it waits for the answer to one of them, tries again included.
    pub gives_up_after: SimSpan,
    /// Where it was written.
    pub origin: Origin,
}

impl ClusterDns {
    /// `RES_TIMEOUT` of glibc (resolv/resolv.h, 2.41; `timeout` of resolv.conf(5)).
    pub const TIMEOUT: SimSpan = SimSpan::from_secs(5);
    /// `RES_DFLRETRY` of the same (`attempts`).
    pub const ATTEMPTS: u32 = 2;
    /// `ndots` that the kubelet writes for pods of the policy `ClusterFirst`: `defaultDNSOptions`
    /// (pkg/kubelet/network/dns/dns.go, Kubernetes 1.36).
    pub const NDOTS: u32 = 5;

    /// How long a look-up takes when an answer takes so long.
    pub fn look_up(&self, latency: SimSpan) -> SimSpan {
        latency.saturating_mul(self.question_count.into())
    }

    /// Of a thousand look-ups, those that are lost where so many of a thousand questions are: each name is
    /// asked for from a port of its own, and one that nobody answers ends it (`res_nsearch`, glibc 2.41).
    pub fn lost_milli(&self, lost_milli_of_questions: u64) -> u64 {
        let answered_milli = 1000 - lost_milli_of_questions.min(1000);
        let mut found_ppm = 1_000_000;
        for _ in 0..self.question_count.min(100) {
            found_ppm = found_ppm * answered_milli / 1000;
        }
        (1_000_000 - found_ppm) / 1000
    }
}

/// How callers write the name of a Service, which decides after how many questions they find it: the
/// kubelet has resolvers try `NAMESPACE.svc.cluster.local`, `svc.cluster.local` and `cluster.local` behind a
/// name of fewer dots than `ndots` (`generateSearchesForDNSClusterFirst`, pkg/kubelet/network/dns/dns.go),
/// and the name itself first where it has as many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WrittenName {
    /// `stock`, from the same namespace.
    #[default]
    Short,
    /// `stock.shop`.
    Namespace,
    /// `stock.shop.svc`.
    Service,
    /// `stock.shop.svc.cluster.local`.
    Full,
    /// The same with a dot at its end, behind which nothing is tried.
    Absolute,
}

impl WrittenName {
    /// Names that are asked for until it is found; A and AAAA at the same time.
    pub fn question_count(self, ndots: u32) -> u32 {
        /// Domains that are tried behind a name.
        const SEARCH_COUNT: u32 = 3;
        let (dots, found_at) = match self {
            Self::Short => (0, Some(1)),
            Self::Namespace => (1, Some(2)),
            Self::Service => (2, Some(3)),
            Self::Full => (4, None),
            Self::Absolute => return 1,
        };
        let is_tried_first = dots >= ndots;
        match found_at {
            Some(at) => at + u32::from(is_tried_first),
            None if is_tried_first => 1,
            None => SEARCH_COUNT + 1,
        }
    }
}

/// What goes wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// Its name servers do not answer: what is kept holds until its time is over, then the name is not
    /// found. Records do not change meanwhile.
    Outage,
    /// It leads to an address where nobody answers.
    WrongRecord,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_fewer_dots_than_ndots_are_tried_in_the_search_list() {
        use WrittenName::{Absolute, Full, Namespace, Service, Short};
        for (name, ndots, wanted) in [
            (Short, 5, 1),
            (Namespace, 5, 2),
            (Service, 5, 3),
            (Full, 5, 4),
            (Absolute, 5, 1),
            (Full, 4, 1),
            (Namespace, 1, 3),
            (Short, 0, 2),
        ] {
            assert_eq!(name.question_count(ndots), wanted, "{name:?} with ndots:{ndots}");
        }
    }
}
