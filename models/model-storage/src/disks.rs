//! The disks of a pool: which answer, which are in, which are gone.

use model_api::ZoneId;
use model_api::fault::DiskCount;
use model_api::storage::Pool;
use sim_kernel::{SimTime, Stream};

use crate::detection::{DOWN_OUT, may_mark_out};
use crate::placement::Osd;

/// Which disks of a pool a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPick {
    /// Of this zone; of any when left out.
    pub zone: Option<ZoneId>,
    /// How many, drawn at random.
    pub count: DiskCount,
}

/// One disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Disk {
    /// Faults that keep it away.
    held: u8,
    /// It and what was on it are gone.
    is_gone: bool,
    /// It was given up.
    is_out: bool,
    /// Since when it counts as down, while others of its zone answer.
    counted_from: Option<SimTime>,
}

/// All disks of a pool.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disks {
    disks: Vec<Disk>,
    /// By position in [`Pool::zones`]: without power or contact.
    zones_down: u64,
}

impl Disks {
    pub(crate) fn new(pool: &Pool) -> Self {
        Self { disks: vec![Disk::default(); pool.osd_count() as usize], zones_down: 0 }
    }

    /// No disk was ever looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.disks.is_empty()
    }

    /// Sets which zones are down, each a bit by its id; returns how many disks went and came.
    pub(crate) fn set_zones_down(&mut self, pool: &Pool, zones_down: u64) -> (u32, u32) {
        let before = self.up_count(pool);
        self.zones_down =
            pool.zones.iter().enumerate().fold(0, |bits, (position, zone)| {
                bits | (zones_down >> zone.index() & 1) << position
            });
        let after = self.up_count(pool);
        (before.saturating_sub(after), after.saturating_sub(before))
    }

    pub(crate) fn is_up(&self, pool: &Pool, osd: Osd) -> bool {
        let disk = &self.disks[osd.index()];
        disk.held == 0 && !disk.is_gone && self.zones_down >> osd.zone(pool) & 1 == 0
    }

    pub(crate) fn is_gone(&self, osd: Osd) -> bool {
        self.disks[osd.index()].is_gone
    }

    pub(crate) fn is_out(&self, osd: Osd) -> bool {
        self.disks[osd.index()].is_out
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Osd> + use<> {
        (0..u32::try_from(self.disks.len()).unwrap_or(u32::MAX)).map(Osd)
    }

    pub(crate) fn up_count(&self, pool: &Pool) -> u32 {
        count(self.all().filter(|osd| self.is_up(pool, *osd)))
    }

    /// Disks of some zones, by their position, that can take chunks in.
    pub(crate) fn usable_count(&self, pool: &Pool, zones: u64) -> u32 {
        let is_there = |osd: &Osd| zones >> osd.zone(pool) & 1 == 1;
        let is_usable = |osd: &Osd| self.is_up(pool, *osd) && !self.is_out(*osd);
        count(self.all().filter(|osd| is_there(osd) && is_usable(osd)))
    }

    /// Draws disks that are there.
    pub(crate) fn pick(&self, pool: &Pool, pick: DiskPick, luck: &mut Stream) -> Vec<Osd> {
        let is_there = |osd: &Osd| {
            let is_named =
                pick.zone.is_none_or(|zone| pool.zones.get(osd.zone(pool)) == Some(&zone));
            is_named && !self.is_gone(*osd)
        };
        let there: Vec<Osd> = self.all().filter(is_there).collect();
        match pick.count {
            DiskCount::All => there,
            DiskCount::Osds(count) => some(there, count, luck),
            DiskCount::Hosts(count) => {
                let mut hosts: Vec<u32> = there.iter().map(|osd| osd.host(pool)).collect();
                hosts.dedup();
                let hosts = some(hosts, count, luck);
                there.into_iter().filter(|osd| hosts.contains(&osd.host(pool))).collect()
            }
        }
    }

    pub(crate) fn hold(&mut self, osds: &[Osd]) {
        for osd in osds {
            self.disks[osd.index()].held += 1;
        }
    }

    pub(crate) fn release(&mut self, osds: &[Osd]) {
        for osd in osds {
            let disk = &mut self.disks[osd.index()];
            disk.held = disk.held.saturating_sub(1);
        }
    }

    /// Destroys disks; returns how many were there.
    pub(crate) fn destroy(&mut self, osds: impl Iterator<Item = Osd>) -> u32 {
        let mut gone = 0;
        for osd in osds {
            let disk = &mut self.disks[osd.index()];
            gone += u32::from(!disk.is_gone);
            disk.is_gone = true;
        }
        gone
    }

    /// Disks of a zone.
    pub(crate) fn of_zone(&self, pool: &Pool, zone: ZoneId) -> Vec<Osd> {
        let is_there = |osd: &Osd| pool.zones.get(osd.zone(pool)) == Some(&zone);
        self.all().filter(is_there).collect()
    }

    /// Counts since when disks are down, marks out those whose time is over, and lets those in that
    /// answer again (`mon_osd_auto_mark_auto_out_in`). Returns how many were marked out, whether some
    /// were kept in against the clock, and when the next one is due.
    pub(crate) fn review(&mut self, pool: &Pool, now: SimTime) -> Reviewed {
        let mut zones_up = vec![false; pool.zones.len()];
        for osd in self.all() {
            zones_up[osd.zone(pool)] |= self.is_up(pool, osd);
        }
        let mut reviewed = Reviewed::default();
        let all = u32::try_from(self.disks.len()).unwrap_or(u32::MAX);
        let mut in_count = count(self.all().filter(|osd| !self.is_out(*osd)));
        for osd in self.all() {
            let (is_up, is_counted) = (self.is_up(pool, osd), zones_up[osd.zone(pool)]);
            let disk = &mut self.disks[osd.index()];
            if is_up {
                in_count += u32::from(disk.is_out);
                (disk.is_out, disk.counted_from) = (false, None);
            } else if !is_counted {
                disk.counted_from = None;
                reviewed.is_kept |= !disk.is_out;
            } else if !disk.is_out {
                let due = disk.counted_from.get_or_insert(now).saturating_add(DOWN_OUT);
                if due > now {
                    reviewed.next = Some(reviewed.next.map_or(due, |next| next.min(due)));
                } else if may_mark_out(in_count, all) {
                    disk.is_out = true;
                    in_count -= 1;
                    reviewed.out_count += 1;
                } else {
                    reviewed.is_kept = true;
                }
            }
        }
        reviewed
    }
}

/// What came of a look at which disks are down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reviewed {
    pub(crate) out_count: u32,
    pub(crate) is_kept: bool,
    pub(crate) next: Option<SimTime>,
}

fn count(items: impl Iterator<Item = Osd>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

/// Draws so many of some things, in their order.
fn some<T: Copy + Ord>(mut items: Vec<T>, count: u32, luck: &mut Stream) -> Vec<T> {
    while items.len() > count as usize {
        let idx = luck.draw().index(items.len());
        items.remove(idx);
    }
    items
}

#[cfg(test)]
mod tests {
    use sim_kernel::{EntityKey, Purpose, Streams};

    use super::*;

    fn pool() -> Pool {
        Pool {
            zones: vec![ZoneId(0), ZoneId(2)],
            hosts_per_zone: 5,
            osds_per_host: 2,
            ..Pool::default()
        }
    }

    fn luck() -> Stream {
        Streams::new(1, 0).stream(EntityKey::of("pool"), Purpose::new("disks"))
    }

    fn secs(at: u64) -> SimTime {
        SimTime::from_secs(at)
    }

    #[test]
    fn a_machine_that_stays_away_is_given_up_and_taken_back() {
        let pool = pool();
        let mut disks = Disks::new(&pool);
        let pick = DiskPick { zone: Some(ZoneId(2)), count: DiskCount::Hosts(1) };
        let lost = disks.pick(&pool, pick, &mut luck());
        assert_eq!(lost.len(), 2);
        assert!(lost.iter().all(|osd| osd.zone(&pool) == 1));
        disks.hold(&lost);
        let waits = Reviewed { next: Some(secs(610)), ..Reviewed::default() };
        assert_eq!(disks.review(&pool, secs(10)), waits);
        assert_eq!(disks.review(&pool, secs(610)).out_count, 2);
        assert_eq!(disks.usable_count(&pool, 0b11), 18);
        disks.release(&lost);
        assert_eq!(disks.review(&pool, secs(700)), Reviewed::default());
        assert_eq!(disks.usable_count(&pool, 0b11), 20);
    }

    #[test]
    fn a_whole_zone_is_never_given_up() {
        let pool = pool();
        let mut disks = Disks::new(&pool);
        assert_eq!(disks.set_zones_down(&pool, 0b100), (10, 0));
        let kept = Reviewed { is_kept: true, ..Reviewed::default() };
        assert_eq!(disks.review(&pool, secs(0)), kept);
        assert_eq!(disks.review(&pool, secs(100_000)), kept);
        // One disk of it answers again: from then on the others count.
        let others: Vec<Osd> = disks.of_zone(&pool, ZoneId(2)).into_iter().skip(1).collect();
        disks.hold(&others);
        assert_eq!(disks.set_zones_down(&pool, 0), (0, 1));
        assert_eq!(disks.review(&pool, secs(200_000)).next, Some(secs(200_600)));
        // Not all of them: at least three quarters are in before each.
        let reviewed = disks.review(&pool, secs(200_600));
        assert_eq!((reviewed.out_count, reviewed.is_kept), (6, true));
    }

    #[test]
    fn a_zone_that_is_no_part_of_a_pool_takes_nothing() {
        let pool = pool();
        let mut disks = Disks::new(&pool);
        assert_eq!(disks.set_zones_down(&pool, 0b010), (0, 0));
        assert_eq!(disks.destroy(disks.of_zone(&pool, ZoneId(0)).into_iter()), 10);
        assert_eq!(disks.set_zones_down(&pool, 0b101), (10, 0));
        let all = DiskPick { zone: None, count: DiskCount::All };
        assert_eq!(disks.pick(&pool, all, &mut luck()).len(), 10);
    }
}
