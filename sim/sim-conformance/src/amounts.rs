//! Quantities and amounts of resources that cases write beside whole objects.

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

/// A quantity in whole units; nought when it is none.
pub(crate) fn units(tree: Tree<'_>) -> i64 {
    Quantity::parse(tree.text()).map_or(0, Quantity::ceil)
}
