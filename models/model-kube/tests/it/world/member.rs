//! What happens to single members of the control plane, to what leads to them, and to what pods are
//! configured from.

use model_api::control_plane::{ApiBalancer, ControlPlane, EndpointReconciler, MemberPart};
use model_api::kube::SourceKind;
use model_api::{Blueprint, Observation};
use model_kube::Cluster;
use sim_kernel::{Context, Recorder, SimSpan};

use super::RigEvent;

/// What a test does to members.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MemberCommand {
    Power(usize, bool),
    Part(usize, MemberPart, bool),
    /// Of the one that leads etcd, or of one that does not.
    PartOfRole(bool, MemberPart, bool),
    Flush(usize, SimSpan),
    FlushOfLeader(SimSpan),
    Balancer(bool),
    /// A vault is sealed or unsealed.
    Vault(usize, bool),
    /// The Secret `shop/session` is deleted, or there again.
    Secret(bool),
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

/// Reads a command about members, if it is one.
pub(super) fn read(words: &[&str]) -> Option<MemberCommand> {
    let part = |word: &str| match word {
        "etcd" => Some(MemberPart::Etcd),
        "server" => Some(MemberPart::ApiServer),
        _ => None,
    };
    Some(match *words {
        ["lose", "member", nth] => MemberCommand::Power(number(nth), false),
        ["restore", "member", nth] => MemberCommand::Power(number(nth), true),
        ["balancer", state] => MemberCommand::Balancer(state == "up"),
        ["vault", state] => MemberCommand::Vault(0, state == "sealed"),
        ["secret", state] => MemberCommand::Secret(state == "there"),
        ["disk", of, millis] => {
            let flush = SimSpan::from_millis(millis.parse().expect("milliseconds"));
            if of == "leader" {
                MemberCommand::FlushOfLeader(flush)
            } else {
                MemberCommand::Flush(number(of), flush)
            }
        }
        [kind, of, state] => {
            let (part, is_up) = (part(kind)?, state == "up");
            match of {
                "leader" => MemberCommand::PartOfRole(true, part, is_up),
                "follower" => MemberCommand::PartOfRole(false, part, is_up),
                nth => MemberCommand::Part(number(nth), part, is_up),
            }
        }
        _ => return None,
    })
}

/// Declares where members stand: `members a b c`, `etcd a a b b c`, `managers a b`, `schedulers a b`, who
/// keeps their addresses (`reconciler lease`), or a balancer as in `balancer interval=10 fall=2 rise=2`,
/// whose time-outs are as long as an interval.
pub(super) fn declare(blueprint: &mut Blueprint, words: &[&str]) {
    let zones = || {
        let names = words[1..].iter();
        names.map(|name| blueprint.zone_named(name).expect("a known zone")).collect()
    };
    match words[0] {
        "members" => {
            let member_zones = zones();
            blueprint.control_plane = ControlPlane { member_zones, ..ControlPlane::default() };
        }
        "etcd" => blueprint.control_plane.etcd_zones = zones(),
        "managers" => blueprint.control_plane.controller_manager_zones = zones(),
        "schedulers" => blueprint.control_plane.scheduler_zones = zones(),
        "reconciler" => {
            let is_leased = words[1] == EndpointReconciler::Lease.name();
            blueprint.control_plane.endpoint_reconciler = Some(match is_leased {
                true => EndpointReconciler::Lease,
                false => EndpointReconciler::None,
            });
        }
        _ => {
            let value = |key: &str| super::value_of(words, key).expect("a balancer says it all");
            let count = |key: &str| u32::try_from(value(key)).expect("few checks");
            let interval = SimSpan::from_secs(value("interval"));
            let (fall, rise) = (count("fall"), count("rise"));
            blueprint.control_plane.balancer =
                Some(ApiBalancer { interval, timeout: interval, fall, rise });
        }
    }
}

pub(super) fn obey<R: Recorder<Observation>>(
    cluster: &mut Cluster,
    command: MemberCommand,
    ctx: &mut Context<'_, RigEvent, R>,
) {
    match command {
        MemberCommand::Power(member, has_power) => cluster.set_member_power(member, has_power, ctx),
        MemberCommand::Part(member, part, is_up) => cluster.set_part(member, part, is_up, ctx),
        MemberCommand::PartOfRole(leads, part, is_up) => {
            let leader = cluster.etcd_leader();
            let fits = |it: &usize| cluster.has_part(*it, part) && (Some(*it) == leader) == leads;
            let member = (0..cluster.member_count()).find(fits).expect("there is one");
            cluster.set_part(member, part, is_up, ctx);
        }
        MemberCommand::Flush(member, flush) => cluster.set_flush(member, flush, ctx),
        MemberCommand::FlushOfLeader(flush) => {
            let leader = cluster.etcd_leader().expect("there is one");
            cluster.set_flush(leader, flush, ctx);
        }
        MemberCommand::Vault(vault, is_sealed) => cluster.set_vault_sealed(vault, is_sealed, ctx),
        MemberCommand::Secret(is_there) => {
            cluster.set_configuration((SourceKind::Secret, "shop", "session"), is_there, ctx);
        }
        MemberCommand::Balancer(is_up) => {
            assert!(cluster.set_api_balancer(is_up, ctx), "there is no balancer");
        }
    }
}
