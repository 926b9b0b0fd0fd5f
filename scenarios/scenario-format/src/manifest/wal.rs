//! Where a database cluster keeps its write-ahead log, and how much of it.
//!
//! # Modelled
//! `walStorage.size` or `storage.size`, the size of segments, `archive_timeout`, `wal_keep_size`,
//! `max_slot_wal_keep_size`, whether standbys have replication slots.
//! # Not modelled
//! Growth of data and tablespaces. Simplified: slots that the user makes are taken to be read from.
//! # Defaults and their sources
//! CloudNativePG 1.30: `archive_timeout` 5 min, `wal_keep_size` 512 MB (`pkg/postgres/configuration.go`),
//! `replicationSlots.highAvailability.enabled` true (`api/v1/cluster_types.go`). PostgreSQL 17:
//! `max_wal_size` 1 GB, `max_slot_wal_keep_size` -1; sizes without a unit count megabytes
//! (`src/backend/utils/misc/guc_tables.c`).

use model_api::SimSpan;

use super::Reader;
use crate::quantity::Quantity;

const PARAMETERS: &str = "spec.postgresql.parameters";
const SEGMENT_BYTES: u64 = 16 << 20;
/// How long Patroni keeps the slot of a member that is away.
const MEMBER_SLOTS_TTL: SimSpan = SimSpan::from_mins(30);

/// The volume of the log of each instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStorage {
    /// Size of the volume.
    pub size_bytes: u64,
    /// The field that says so.
    pub size_field: &'static str,
    /// Data lie on another one (`walStorage`).
    pub is_separate: bool,
    /// Its class, when it is named.
    pub storage_class: Option<String>,
    /// Size of a segment.
    pub segment_bytes: u64,
    /// `archive_timeout`.
    pub switch_after: Option<SimSpan>,
    /// `wal_keep_size`.
    pub least_bytes: u64,
    /// `max_wal_size`.
    pub ordinary_bytes: u64,
    /// What is kept for a standby that is away; `None` keeps all.
    pub kept_bytes: Option<u64>,
    /// How long it is kept for one; `None` for as long as it takes.
    pub kept_for: Option<SimSpan>,
}

impl Reader<'_> {
    /// The volume of the log; `None` when nothing says how large it is.
    pub(super) fn log_storage(&mut self) -> Option<LogStorage> {
        let is_separate = self.object.find("spec.walStorage").is_some_and(|node| !node.is_null());
        let storage = if is_separate { "spec.walStorage" } else { "spec.storage" };
        let size_field = if is_separate { "spec.walStorage.size" } else { "spec.storage.size" };
        let size_bytes = self.log_size(size_field, is_separate)?;
        let timeout = self.postgres_time(&format!("{PARAMETERS}.archive_timeout"));
        let timeout = timeout.map_or(SimSpan::from_mins(5), |it| it.value);
        let least_bytes = self.postgres_size("wal_keep_size").unwrap_or(512 << 20);
        let has_slots = self.boolean("spec.replicationSlots.highAvailability.enabled", true);
        let slot_limit = self.postgres_size("max_slot_wal_keep_size");
        Some(LogStorage {
            size_bytes,
            size_field,
            is_separate,
            storage_class: self.text(&format!("{storage}.storageClass")).map(str::to_owned),
            segment_bytes: self.segment_bytes().map_or(SEGMENT_BYTES, |it| it.value),
            switch_after: (!timeout.is_zero()).then_some(timeout),
            least_bytes,
            ordinary_bytes: self.postgres_size("max_wal_size").unwrap_or(1 << 30),
            // `KeepLogSeg` keeps at least `wal_keep_size`, whatever the limit of slots.
            kept_bytes: match slot_limit {
                _ if !has_slots => Some(least_bytes),
                limit => limit.map(|limit| limit.max(least_bytes)),
            },
            kept_for: None,
        })
    }

    /// The volume of a cluster that Patroni manages, which holds data and log.
    ///
    /// Sources: Spilo's `configure_spilo.py` (`archive_timeout` 1800 s), `wal_keep_size` 128 MB of
    /// Patroni's `patroni/postgresql/config.py`, `member_slots_ttl` 30 min of its
    /// `docs/dynamic_configuration.rst`.
    pub(super) fn spilo_log(&mut self) -> Option<LogStorage> {
        let size_field = "spec.volume.size";
        let size_bytes = self.log_size(size_field, false)?;
        let timeout = self.postgres_time(&format!("{PARAMETERS}.archive_timeout"));
        let timeout = timeout.map_or(SimSpan::from_mins(30), |it| it.value);
        let least_bytes = self.postgres_size("wal_keep_size").unwrap_or(128 << 20);
        Some(LogStorage {
            size_bytes,
            size_field,
            is_separate: false,
            storage_class: self.text("spec.volume.storageClass").map(str::to_owned),
            segment_bytes: SEGMENT_BYTES,
            switch_after: (!timeout.is_zero()).then_some(timeout),
            least_bytes,
            ordinary_bytes: self.postgres_size("max_wal_size").unwrap_or(1 << 30),
            kept_bytes: self.postgres_size("max_slot_wal_keep_size").map(|it| it.max(least_bytes)),
            kept_for: Some(MEMBER_SLOTS_TTL),
        })
    }

    fn log_size(&mut self, field: &str, is_separate: bool) -> Option<u64> {
        match self.text(field).map(Quantity::parse)? {
            Ok(size) => u64::try_from(size.ceil()).ok().filter(|size| *size > 0),
            Err(error) => {
                // The size of the data was refused where its claim was read.
                if is_separate {
                    self.refuse(field, error.to_string());
                }
                None
            }
        }
    }

    /// A size as PostgreSQL writes it, in megabytes unless a unit follows; `None` for -1.
    fn postgres_size(&mut self, name: &str) -> Option<u64> {
        let path = format!("{PARAMETERS}.{name}");
        let text = self.text(&path)?;
        if text.trim() == "-1" {
            return None;
        }
        let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic() || it == ' ');
        let shift = match text[digits.len()..].trim() {
            "B" => Some(0),
            "kB" => Some(10),
            "" | "MB" => Some(20),
            "GB" => Some(30),
            "TB" => Some(40),
            _ => None,
        };
        let count = digits.trim().parse::<u64>().ok();
        let bytes = count.zip(shift).and_then(|(count, shift)| count.checked_mul(1 << shift));
        if bytes.is_none() {
            self.refuse(&path, "must be a size such as 10GB, or -1");
        }
        bytes
    }
}
