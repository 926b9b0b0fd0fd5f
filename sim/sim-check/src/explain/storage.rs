//! What became of storage pools, in words.

use model_api::SourceRef;
use model_api::observation::{PoolIo, StorageFact};
use report_data::Part;

use super::Story;

impl<E> Story<'_, E> {
    /// A fact in words, with the place of the pool.
    pub(super) fn storage_sentence(
        &self,
        fact: &StorageFact,
    ) -> Option<(String, Option<SourceRef>)> {
        let (pool, text) = match *fact {
            StorageFact::Redundancy { .. } => return None,
            StorageFact::Throttled { place, read_bytes_per_second, write_bytes_per_second } => {
                let spec = &self.blueprint.protection.places[place.index()];
                let text = format!(
                    "{}: gives {} MB and takes {} MB a second",
                    spec.name,
                    read_bytes_per_second / 1_000_000,
                    write_bytes_per_second / 1_000_000
                );
                return Some((text, Some(spec.origin.object)));
            }
            StorageFact::OsdsLost { pool, count, is_destroyed: false } => {
                (pool, format!("{} away", disks(count)))
            }
            StorageFact::OsdsLost { pool, count, .. } => {
                (pool, format!("{} destroyed", disks(count)))
            }
            StorageFact::OsdsBack { pool, count } => (pool, format!("{} back", disks(count))),
            StorageFact::OsdsOut { pool, count } => {
                (pool, format!("{} given up: what was on them is made anew", disks(count)))
            }
            StorageFact::Io { pool, io } => (pool, io_text(io).to_owned()),
            StorageFact::RebuildStarted { pool, bytes, .. } => {
                (pool, format!("{} GB are made anew", bytes / 1_000_000_000))
            }
            StorageFact::RebuildEnded { pool } => {
                (pool, "what could be made anew is, or begins again".to_owned())
            }
            StorageFact::DataLost { pool, bytes } => (
                pool,
                format!("{} GB have too few chunks left and are lost", bytes / 1_000_000_000),
            ),
            StorageFact::MinSizeSet { pool, min_size } => {
                (pool, format!("somebody sets min_size to {min_size}"))
            }
        };
        let spec = &self.blueprint.pools[pool.index()];
        Some((format!("{}: {text}", spec.name), Some(spec.origin.object)))
    }
}

fn disks(count: u32) -> String {
    if count == 1 { "1 disk is".to_owned() } else { format!("{count} disks are") }
}

fn io_text(io: PoolIo) -> &'static str {
    match io {
        PoolIo::Runs => "reads and writes go on",
        PoolIo::Pauses => {
            "reads and writes wait until the change is noticed and groups have peered"
        }
        PoolIo::BelowMinSize => {
            "reads and writes stop: placement groups have fewer chunks than min_size"
        }
        PoolIo::NoQuorum => "reads and writes stop: its monitors have no quorum",
        PoolIo::DataLost => "reads and writes stop: data is lost",
    }
}

/// What the wait for a fact was spent on.
pub(super) fn part(fact: &StorageFact) -> Option<Part> {
    match fact {
        StorageFact::OsdsBack { .. } => Some(Part::Provision),
        StorageFact::Io { io: PoolIo::Runs, .. } => Some(Part::Act),
        _ => None,
    }
}
