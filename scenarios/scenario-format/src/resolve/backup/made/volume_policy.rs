//! The ConfigMap that `resourcePolicy` of a schedule of Velero names: which volumes are copied, and how.
//!
//! # Sources
//! Velero 1.17 `internal/resourcepolicies`: the first policy all of whose conditions match decides; a volume that
//! none matches is copied as the schedule says (`internal/volumehelper/volume_policy_helper.go`). A ConfigMap that
//! is not there or cannot be read fails the validation of every backup.
//!
//! # Not modelled
//! Conditions on labels and phases of claims, on attributes of CSI volumes, and on volumes that no driver of CSI
//! makes: a volume that hangs on one of them counts as not copied.

use super::Maker;
use crate::manifest::{Object, VeleroSchedule};
use crate::quantity::Quantity;
use crate::yaml::{self, Node};

/// What is done with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Skip,
    Files,
    Snapshot,
    /// The condition that decides is not modelled.
    Unknown,
}

/// What conditions ask of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) size_bytes: u64,
    pub(super) storage_class: String,
    /// Empty when it is not known.
    pub(super) driver: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    storage_classes: Vec<String>,
    /// At least and at most so large; zero is no bound.
    capacity: (u64, u64),
    driver: Option<String>,
    types: Vec<String>,
    has_unknown: bool,
    action: Action,
}

/// The policies of one ConfigMap, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VolumePolicies {
    rules: Vec<Rule>,
}

impl VolumePolicies {
    /// What they say of a volume, if anything.
    pub(super) fn action(&self, volume: &Volume) -> Option<Action> {
        self.rules.iter().find_map(|rule| match rule.matches(volume) {
            Some(true) => Some(rule.action),
            Some(false) => None,
            None => Some(Action::Unknown),
        })
    }

    fn of(object: &Object) -> Result<Self, String> {
        let entries = object.find("data").and_then(Node::entries).unwrap_or_default();
        let [entry] = entries else {
            return Err(format!("it has {} keys, must have one", entries.len()));
        };
        let text = entry.value.text().unwrap_or_default();
        let (documents, problems) = yaml::parse(entry.value.span.at.file_idx, text);
        let Some(document) = documents.first().filter(|_| problems.is_empty()) else {
            return Err("it is no YAML".to_owned());
        };
        let version = document.get("version").and_then(Node::text).unwrap_or_default();
        if version != "v1" {
            return Err(format!("its version is `{version}`, must be v1"));
        }
        let policies = document.get("volumePolicies").and_then(Node::items).unwrap_or_default();
        let rules = policies.iter().map(Rule::of).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }
}

impl Rule {
    fn of(policy: &Node) -> Result<Self, String> {
        let word = policy.at(&["action", "type"]).and_then(Node::text).unwrap_or_default();
        let action = match word {
            "skip" => Action::Skip,
            "fs-backup" => Action::Files,
            "snapshot" => Action::Snapshot,
            other => return Err(format!("there is no action `{other}`")),
        };
        let mut rule = Self {
            storage_classes: Vec::new(),
            capacity: (0, 0),
            driver: None,
            types: Vec::new(),
            has_unknown: false,
            action,
        };
        let conditions = policy.get("conditions").and_then(Node::entries).unwrap_or_default();
        for condition in conditions {
            let value = &condition.value;
            match condition.key.as_str() {
                "storageClass" => rule.storage_classes = texts(value),
                "capacity" => rule.capacity = capacity(value.text().unwrap_or_default())?,
                "volumeTypes" => rule.types = texts(value),
                "csi" if value.entries().unwrap_or_default().is_empty() => {}
                "csi" => {
                    rule.driver = value.get("driver").and_then(Node::text).map(str::to_owned);
                    rule.has_unknown |= value.get("volumeAttributes").is_some();
                }
                "nfs" | "pvcLabels" | "pvcPhase" => rule.has_unknown = true,
                other => return Err(format!("there is no condition `{other}`")),
            }
        }
        Ok(rule)
    }

    /// `None` when it hangs on what is not known.
    fn matches(&self, volume: &Volume) -> Option<bool> {
        let (least, most) = self.capacity;
        let has_size = volume.size_bytes >= least && (most == 0 || volume.size_bytes <= most);
        let classes = &self.storage_classes;
        let has_class = classes.is_empty() || classes.contains(&volume.storage_class);
        if !has_size || !has_class {
            return Some(false);
        }
        let driver = volume.driver.as_str();
        let is_csi = !driver.is_empty()
            && !driver.starts_with("kubernetes.io/")
            && !driver.contains("local-path");
        let asks_kind = self.driver.is_some() || !self.types.is_empty();
        if self.has_unknown || (asks_kind && !is_csi) {
            return None;
        }
        let is_drivers = self.driver.as_ref().is_none_or(|it| it == driver);
        Some(is_drivers && (self.types.is_empty() || self.types.iter().any(|it| it == "csi")))
    }
}

fn texts(node: &Node) -> Vec<String> {
    let items = node.items().unwrap_or_default();
    items.iter().filter_map(|it| it.text().map(str::to_owned)).collect()
}

/// `10Gi,100Gi`, of which either may be left out.
fn capacity(text: &str) -> Result<(u64, u64), String> {
    let wrong = || format!("`{text}` is no capacity, such as 10Gi,100Gi");
    let (least, most) = text.split_once(',').ok_or_else(wrong)?;
    let bound = |text: &str| match text.trim() {
        "" => Ok(0),
        text => {
            let size = Quantity::parse(text).map_err(|_| wrong())?.ceil();
            u64::try_from(size).map_err(|_| wrong())
        }
    };
    Ok((bound(least)?, bound(most)?))
}

impl Maker<'_> {
    /// The policies of a schedule; none when it names no ConfigMap. An error says why every backup fails.
    pub(super) fn volume_policies(
        &self,
        schedule: &VeleroSchedule,
    ) -> Result<VolumePolicies, String> {
        let Some(name) = &schedule.resource_policy else { return Ok(VolumePolicies::default()) };
        let object = self.manifests.objects.iter().find(|it| {
            it.key.kind == "ConfigMap"
                && it.key.namespace == schedule.namespace
                && it.key.name == name.value
        });
        match object {
            Some(object) => VolumePolicies::of(object),
            None => Err("it is not in the input".to_owned()),
        }
    }
}
