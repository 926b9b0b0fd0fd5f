//! What shares whose fate: places, keys and live copies after a loss.

use model_api::backup::{DataSet, Location, PLACES_MAX, Protection};
use model_api::storage::{POOLS_MAX, Pool};
use model_api::{DataSetId, PoolId, ZoneId};

/// Something that strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disaster {
    /// The node under each live copy in turn; one copy is gone.
    Node,
    /// A zone is destroyed.
    Zone(ZoneId),
    /// The region is gone.
    Region,
    /// The account of this number among [`Fates::accounts`] is gone.
    Account(usize),
    /// The content is destroyed in every live copy.
    Logical,
    /// As before, and what the account of the data set can delete is deleted.
    Ransomware,
}

/// Everything that is gone for good, so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    zones: u64,
    accounts: u64,
    is_region_gone: bool,
    /// Storage pools that lost data.
    pub(crate) pools: u64,
    /// Places and keys that are gone by themselves.
    pub(crate) places: u64,
    pub(crate) keys: u64,
}

/// What is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Survivors {
    places: u64,
    keys: u64,
}

impl Survivors {
    pub(crate) fn has_place(self, idx: usize) -> bool {
        self.places >> idx & 1 == 1
    }

    pub(crate) fn has_key(self, idx: usize) -> bool {
        self.keys >> idx & 1 == 1
    }

    /// Without the places that are named.
    pub(crate) fn without(mut self, is_named: impl Fn(usize) -> bool) -> Self {
        for idx in 0..PLACES_MAX {
            if self.has_place(idx) && is_named(idx) {
                self.places &= !(1 << idx);
            }
        }
        self
    }

    /// How many places and keys there are that others lack.
    pub(crate) fn count_beyond(self, others: Self) -> u32 {
        (self.places & !others.places).count_ones() + (self.keys & !others.keys).count_ones()
    }
}

impl Damage {
    /// Zones that are destroyed.
    pub(crate) fn zones_gone(&self) -> u64 {
        if self.is_region_gone { u64::MAX } else { self.zones }
    }
}

/// Where a thing stands, as bits.
#[derive(Clone, Copy, Debug)]
struct Spot {
    zones: u64,
    zones_needed: u32,
    zones_needed_to_serve: u32,
    pool: Option<PoolId>,
    is_elsewhere: bool,
    beside: Option<DataSetId>,
    account: u64,
}

impl Spot {
    /// `stands` tells whether the live copies of a data set stand, whatever is in them.
    fn survives(self, damage: &Damage, stands: impl Fn(DataSetId) -> bool) -> bool {
        let is_standing = match self.beside {
            Some(data_set) => stands(data_set),
            None if self.is_elsewhere => true,
            None => {
                let left = (self.zones & !damage.zones).count_ones();
                !damage.is_region_gone && left >= self.zones_needed.max(1)
            }
        };
        let is_pool_whole = self.pool.is_none_or(|pool| damage.pools >> pool.index() & 1 == 0);
        is_standing && is_pool_whole && self.account & damage.accounts == 0
    }
}

/// Where everything stands, worked out once.
#[derive(Clone, Debug)]
pub struct Fates {
    accounts: Vec<String>,
    places: Vec<Spot>,
    keys: Vec<(Vec<Spot>, Vec<DataSetId>)>,
    /// By data set: its account, and whether one live copy is enough.
    data_sets: Vec<(u64, bool)>,
    /// By storage pool: its zones, and how many of them must be left for its data.
    pools: Vec<(u64, u32)>,
}

impl Fates {
    /// # Panics
    /// When there are more places, keys, zones, accounts or pools than [`PLACES_MAX`]; the reader of
    /// platforms refuses them first.
    pub fn new(protection: &Protection, pools: &[Pool]) -> Self {
        assert!(pools.len() <= POOLS_MAX, "pools fit a word");
        assert!(protection.places.len() <= PLACES_MAX, "places fit a word");
        assert!(protection.keys.len() <= PLACES_MAX, "keys fit a word");
        let mut fates = Self {
            accounts: Vec::new(),
            places: Vec::new(),
            keys: Vec::new(),
            data_sets: Vec::new(),
            pools: pools.iter().map(|pool| (zone_bits(&pool.zones), pool.zones_needed())).collect(),
        };
        for place in &protection.places {
            let spot = fates.spot(&place.location);
            fates.places.push(spot);
        }
        for key in &protection.keys {
            let spots = key.kept_at.iter().map(|location| fates.spot(location)).collect();
            fates.keys.push((spots, key.kept_in.clone()));
        }
        for data_set in &protection.data_sets {
            let account = fates.account_bit(&data_set.account);
            fates.data_sets.push((account, data_set.is_replicated));
        }
        fates
    }

    /// Names of accounts.
    pub fn accounts(&self) -> &[String] {
        &self.accounts
    }

    /// The number of an account, if anything belongs to it.
    pub fn account(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|known| known == name)
    }

    fn spot(&mut self, location: &Location) -> Spot {
        Spot {
            zones: zone_bits(&location.zones),
            zones_needed: location.zones_needed,
            zones_needed_to_serve: location.zones_needed.max(location.zones_needed_to_serve),
            pool: location.pool,
            is_elsewhere: location.region.is_some(),
            beside: location.beside,
            account: self.account_bit(&location.account),
        }
    }

    fn account_bit(&mut self, name: &str) -> u64 {
        let idx = self.account(name).unwrap_or_else(|| {
            self.accounts.push(name.to_owned());
            self.accounts.len() - 1
        });
        assert!(idx < PLACES_MAX, "accounts fit a word");
        1 << idx
    }

    /// The account that holds a data set.
    pub(crate) fn account_of(&self, data_set: usize) -> usize {
        self.data_sets[data_set].0.trailing_zeros() as usize
    }

    /// Damage with a disaster on top. What strikes one data set only adds none.
    pub(crate) fn add(damage: Damage, disaster: Disaster) -> Damage {
        match disaster {
            Disaster::Zone(zone) => Damage { zones: damage.zones | bit(zone), ..damage },
            Disaster::Region => Damage { is_region_gone: true, ..damage },
            Disaster::Account(account) => {
                Damage { accounts: damage.accounts | 1 << account, ..damage }
            }
            Disaster::Node | Disaster::Logical | Disaster::Ransomware => damage,
        }
    }

    /// Whether all of a data set is left whose live copies stand in `zones`, or on `pools` when these are
    /// known.
    pub(crate) fn has_live_copy(
        &self,
        data_set: usize,
        (zones, pools): (u64, u64),
        damage: &Damage,
    ) -> bool {
        let (account, is_replicated) = self.data_sets[data_set];
        let (all, left) = if pools == 0 {
            (zones, zones & !damage.zones)
        } else {
            let stands = |pool: usize| {
                let (zones, needed) = self.pools[pool];
                (zones & !damage.zones).count_ones() >= needed
            };
            let standing = (0..self.pools.len()).filter(|pool| stands(*pool));
            let standing = standing.fold(0_u64, |bits, pool| bits | 1 << pool);
            (pools, pools & standing & !damage.pools)
        };
        let is_whole = if is_replicated { left != 0 } else { left == all && all != 0 };
        !damage.is_region_gone && is_whole && account & damage.accounts == 0
    }

    /// What is left of places and keys. `stands` tells whether the live copies of a data set stand,
    /// `is_alive` whether they are also what they should be.
    pub(crate) fn survivors(
        &self,
        damage: &Damage,
        stands: impl Fn(DataSetId) -> bool,
        is_alive: impl Fn(DataSetId) -> bool,
    ) -> Survivors {
        let places = bits(self.places.iter().map(|spot| spot.survives(damage, &stands)));
        let keys = bits(self.keys.iter().map(|(spots, data_sets)| {
            spots.iter().any(|spot| spot.survives(damage, &stands))
                || data_sets.iter().any(|data_set| is_alive(*data_set))
        }));
        Survivors { places: places & !damage.places, keys: keys & !damage.keys }
    }

    /// The storage pool that a place stands on.
    pub(crate) fn pool_of(&self, place: usize) -> Option<PoolId> {
        self.places[place].pool
    }

    /// Zones of a storage pool.
    pub(crate) fn pool_zones(&self, pool: PoolId) -> u64 {
        self.pools[pool.index()].0
    }

    /// Whether enough zones are left for the storage pool of a place to read and write again: what is
    /// destroyed never comes back, and nobody lowers `min_size`.
    pub(crate) fn is_served_after(&self, place: usize, damage: &Damage) -> bool {
        let spot = self.places[place];
        let left = (spot.zones & !damage.zones).count_ones();
        spot.pool.is_none() || left >= spot.zones_needed_to_serve
    }

    /// Whether a place can be reached while these zones are down. `is_up` tells of a data set whether
    /// its live copies can.
    pub(crate) fn is_reachable(
        &self,
        place: usize,
        zones_down: u64,
        is_up: impl Fn(DataSetId) -> bool,
    ) -> bool {
        let damage = Damage { zones: zones_down, ..Damage::default() };
        self.places[place].survives(&damage, is_up)
    }
}

pub(crate) fn bit(zone: ZoneId) -> u64 {
    assert!(zone.index() < 64, "zones fit a word");
    1 << zone.index()
}

pub(crate) fn zone_bits(zones: &[ZoneId]) -> u64 {
    zones.iter().fold(0, |bits, zone| bits | bit(*zone))
}

fn bits(values: impl Iterator<Item = bool>) -> u64 {
    values.enumerate().fold(0, |bits, (idx, value)| bits | u64::from(value) << idx)
}

/// Zones of a data set that no workload says anything about.
pub(crate) fn home_of(data_set: &DataSet) -> u64 {
    zone_bits(&data_set.zones)
}
