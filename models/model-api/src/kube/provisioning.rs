//! Volumes that are made as soon as they are claimed (`volumeBindingMode: Immediate`), and their zones.
//!
//! No pod is placed yet, so that the provisioner has nothing to go by but the name of the claim: of the zones
//! that have nodes, in the order of their names, it takes the one at the hash of the name, moved on by the
//! number at its end (kubernetes-csi/external-provisioner, `pkg/controller/topology.go`,
//! `GenerateAccessibilityRequirements` and `getPVCNameHashAndIndexOffset`, 5.x; drivers take the first of
//! the zones that are preferred). Zones that `allowedTopologies` leaves out are not among them. So volumes of a StatefulSet go round the zones, and those of one pod of it
//! are in one; claims with another end, as that of the log of an instance of CloudNativePG, are anywhere.
//!
//! # Not modelled
//! Parameters of a class that name a zone, tablespaces.

use super::{PersistentVolumeClaim, StorageClass, VolumeBindingMode, WorkloadKind};
use crate::blueprint::DatabaseManager;
use crate::{Blueprint, WorkloadId};

/// Position of the zone in which the volume of a claim is made, among so many zones in the order of their
/// names; zero of none.
///
/// ```
/// use model_api::kube::zone_position;
///
/// // Both claims of a pod of a StatefulSet, and the next pod.
/// assert_eq!(zone_position("data-web-0", 3), zone_position("log-web-0", 3));
/// assert_eq!((zone_position("data-web-0", 3) + 1) % 3, zone_position("data-web-1", 3));
/// ```
pub fn zone_position(claim: &str, zone_count: usize) -> usize {
    let (mut hashed, mut number) = (claim, 0_u32);
    if let Some((name, end)) = claim.rsplit_once('-')
        && let Some(ordinal) = ordinal_of(end)
    {
        number = ordinal;
        hashed = name.rsplit_once('-').map_or(name, |(_, last)| last);
    }
    let position = fnv1(hashed).wrapping_add(number);
    (position as usize).checked_rem(zone_count).unwrap_or(0)
}

/// `strconv.ParseUint(end, 10, 32)`: digits and nothing else.
fn ordinal_of(end: &str) -> Option<u32> {
    end.bytes().all(|byte| byte.is_ascii_digit()).then(|| end.parse().ok())?
}

/// FNV-1 of 32 bits (`hash/fnv`, `New32`), which multiplies before it mixes.
fn fnv1(text: &str) -> u32 {
    const OFFSET: u32 = 2_166_136_261;
    const PRIME: u32 = 16_777_619;
    text.bytes().fold(OFFSET, |hash, byte| hash.wrapping_mul(PRIME) ^ u32::from(byte))
}

/// A claim of each pod of a workload whose volume is made as soon as it is claimed, in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyClaim {
    /// What its name begins with.
    begin: String,
    /// The number of the pod follows.
    numbering: Numbering,
    /// What it ends with.
    end: &'static str,
    /// Zones that its class allows; empty allows all of them.
    allowed_zones: Vec<String>,
}

impl EarlyClaim {
    /// Whether its class allows volumes in a zone.
    pub fn allows(&self, zone: &str) -> bool {
        self.allowed_zones.is_empty() || self.allowed_zones.iter().any(|it| it == zone)
    }

    /// Its name for the pod of an ordinal.
    pub fn name(&self, ordinal: u32) -> String {
        let number = match self.numbering {
            Numbering::None => return self.begin.clone(),
            Numbering::Ordinal => ordinal,
            Numbering::FromZero => ordinal.saturating_sub(1),
        };
        format!("{}{number}{}", self.begin, self.end)
    }
}

/// How claims of the pods of a workload are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbering {
    /// There is one for all.
    None,
    /// As the pods; instances of a database are counted from one.
    Ordinal,
    /// From zero, although the instances are counted from one.
    FromZero,
}

/// The claims of the pods of a workload whose volumes are made as soon as they are claimed, in one zone.
///
/// Those of a StatefulSet are named after the template, the set and the ordinal. Those of CloudNativePG are
/// `<cluster>-<number>` and `<cluster>-<number>-wal`, numbered from one (`pkg/specs/pvcs.go` and
/// `ApplyPVCSuffix` of `api/v1`, 1.30); those of Zalando's operator are of a StatefulSet with the template
/// `pgdata`.
pub fn early_claims(blueprint: &Blueprint, workload: WorkloadId) -> Vec<EarlyClaim> {
    use Numbering::{FromZero, Ordinal};
    if blueprint.storage_classes.iter().all(|class| !is_early(class)) {
        return Vec::new();
    }
    let spec = &blueprint.workloads[workload.index()];
    // The zones that are allowed, of one that binds early.
    let binds_early = |claim: &PersistentVolumeClaim| {
        let class = blueprint.storage_classes.iter().find(|class| match &claim.storage_class {
            Some(name) => class.name == *name,
            None => class.is_default,
        })?;
        (!claim.is_shared && is_early(class)).then(|| class.allowed_zones.clone())
    };
    let named = |name: &str| {
        let mut claims = blueprint.claims.iter();
        claims.find(|claim| claim.namespace == spec.namespace && claim.name == name)
    };
    let named_early = |name: &str| named(name).and_then(binds_early);
    let numbered = |begin: String, numbering, end, allowed_zones| EarlyClaim {
        begin,
        numbering,
        end,
        allowed_zones,
    };
    let mut found = Vec::new();
    match &spec.kind {
        WorkloadKind::StatefulSet { claims, .. } => {
            found.extend(claims.iter().filter_map(|it| {
                let begin = format!("{}-{}-", it.name, spec.name);
                Some(numbered(begin, Ordinal, "", binds_early(it)?))
            }));
        }
        WorkloadKind::DatabaseInstances => {
            let mut databases = blueprint.databases.iter();
            let database = databases.find(|database| database.workload == workload);
            let is_set =
                database.is_some_and(|it| matches!(it.manager, DatabaseManager::Patroni(_)));
            if let Some(zones) = named_early(&format!("{}-1", spec.name)) {
                found.push(match is_set {
                    true => numbered(format!("pgdata-{}-", spec.name), FromZero, "", zones),
                    false => numbered(format!("{}-", spec.name), Ordinal, "", zones),
                });
            }
            if let Some(zones) = named_early(&format!("{}-1-wal", spec.name)) {
                found.push(numbered(format!("{}-", spec.name), Ordinal, "-wal", zones));
            }
        }
        _ => {}
    }
    let names = spec.template.spec.claim_names.iter();
    found.extend(
        names.filter_map(|name| {
            Some(numbered(name.clone(), Numbering::None, "", named_early(name)?))
        }),
    );
    found
}

/// Whether volumes of a class are made as soon as they are claimed, in one zone. Those on disks of nodes
/// are there already.
pub fn is_early(class: &StorageClass) -> bool {
    class.binding_mode == VolumeBindingMode::Immediate && class.is_zonal && !class.is_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_standard() {
        // draft-eastlake-fnv: of nothing, of "a" and of "foobar".
        assert_eq!(["", "a", "foobar"].map(fnv1), [0x811c_9dc5, 0x050c_5d7e, 0x31f0_b262]);
    }

    #[test]
    fn only_a_number_at_the_end_moves_a_claim_on() {
        let zones = |name: &str| zone_position(name, 1_000_003);
        let base = fnv1("db") as usize % 1_000_003;
        assert_eq!(zones("orders-db-0"), base);
        assert_eq!(zones("orders-db-1"), (fnv1("db").wrapping_add(1)) as usize % 1_000_003);
        // Not a number: all of the name counts.
        for name in ["orders-db-1-wal", "orders", "orders-db-+1", "orders-db-", "a-99999999999"] {
            assert_eq!(zones(name), fnv1(name) as usize % 1_000_003, "{name}");
        }
        assert_eq!(zone_position("orders", 0), 0);
    }
}
