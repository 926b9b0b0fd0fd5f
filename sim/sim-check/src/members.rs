//! How members of the control plane fared: of each API server and member of etcd, how long it was away.

use std::collections::BTreeMap;

use model_api::Observation;
use model_api::control_plane::MemberPart;
use sim_kernel::{SimSpan, SimTime};

/// What happened to one process of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberMeasures {
    /// Time in which it answered nobody, or took no part.
    pub down: SimSpan,
    /// How often that began.
    pub down_count: u32,
    /// Elections of etcd that it won.
    pub elected_count: u32,
    /// Connections of kubelets, controllers and pods that were led to it while it did not answer.
    pub dialed_in_vain_count: u32,
    down_since: Option<SimTime>,
}

/// By number and process; only those to which anything happened.
pub type Members = BTreeMap<(u32, MemberPart), MemberMeasures>;

/// Takes notice of an observation about members; whether it was one.
pub(crate) fn fold(members: &mut Members, at: SimTime, observation: &Observation) -> bool {
    match *observation {
        Observation::MemberServes { member, part, is_up, after_ns } => {
            let measures = members.entry((member, part)).or_default();
            let at = at.saturating_add(SimSpan::from_nanos(after_ns));
            if is_up {
                measures.close(at);
            } else {
                // One that went down again before it answered was down all the while.
                measures.down_since = measures.down_since.or(Some(at));
                measures.down_count += 1;
            }
        }
        Observation::EtcdLed { member } => {
            members.entry((member, MemberPart::Etcd)).or_default().elected_count += 1;
        }
        Observation::DialedInVain { member } => {
            let of_server = (member, MemberPart::ApiServer);
            members.entry(of_server).or_default().dialed_in_vain_count += 1;
        }
        _ => return false,
    }
    true
}

/// The run ended then.
pub(crate) fn finish(mut members: Members, end: SimTime) -> Members {
    for measures in members.values_mut() {
        measures.close(end);
    }
    members
}

impl MemberMeasures {
    fn close(&mut self, at: SimTime) {
        if let Some(since) = self.down_since.take() {
            self.down = self.down.saturating_add(at.saturating_since(since));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_and_closed_at_the_end() {
        let serves = |member, is_up, after| Observation::MemberServes {
            member,
            part: MemberPart::ApiServer,
            is_up,
            after_ns: SimSpan::from_secs(after).as_nanos(),
        };
        let facts = [
            (100, serves(0, false, 0)),
            (110, Observation::DialedInVain { member: 0 }),
            (160, serves(0, true, 20)),
            (300, serves(0, false, 0)),
            (310, Observation::EtcdLed { member: 2 }),
        ];
        let mut members = Members::new();
        for (at, fact) in facts {
            assert!(fold(&mut members, SimTime::from_secs(at), &fact));
        }
        let members = finish(members, SimTime::from_secs(400));
        let server = members[&(0, MemberPart::ApiServer)];
        assert_eq!(server.down, SimSpan::from_secs(80 + 100));
        assert_eq!((server.down_count, server.dialed_in_vain_count), (2, 1));
        assert_eq!(members[&(2, MemberPart::Etcd)].elected_count, 1);
        assert_eq!(members.len(), 2);
    }
}
