//! Quantities and amounts that cases write beside whole objects.

use model_api::kube::ResourceList;
use scenario_format::quantity::Quantity;

use crate::tree::Tree;

/// The amounts of a map such as `status.capacity`: CPU in millicores, all others in whole units.
/// What is no quantity is left out.
pub(crate) fn resources(tree: Tree<'_>) -> ResourceList {
    let amounts = tree.fields().filter_map(|(name, value)| {
        let quantity = Quantity::parse(value.text()).ok()?;
        let amount = match name {
            ResourceList::CPU => quantity.ceil_millis(),
            _ => quantity.ceil(),
        };
        Some((name.to_owned(), amount))
    });
    ResourceList(amounts.collect())
}

/// A number in whole units, at least nought.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
pub(crate) fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// A quantity in whole units; nought when it is none.
pub(crate) fn units(tree: Tree<'_>) -> i64 {
    Quantity::parse(tree.text()).map_or(0, Quantity::ceil)
}
