//! Groups the parts of a data set into bundles.

use super::natural::natural_order;
use super::part::Label;
use std::collections::BTreeMap;

/// The parts of one bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleParts {
    /// The bundle's name.
    pub name: String,
    /// Indices into [`super::Dataset::parts`] or [`super::Listing::entries`], whichever was grouped. Ascending.
    pub parts: Vec<usize>,
    /// Number of parts labelled normal.
    pub normal: usize,
    /// Number of parts labelled abnormal.
    pub abnormal: usize,
}

impl BundleParts {
    /// Whether all parts of the bundle have the same label. Such a bundle has no balanced accuracy.
    #[must_use]
    pub fn has_one_class(&self) -> bool {
        self.normal == 0 || self.abnormal == 0
    }
}

/// Groups parts, given as bundle name and label, into bundles in natural order.
pub(super) fn bundles_of<'a>(parts: impl Iterator<Item = (&'a str, Label)>) -> Vec<BundleParts> {
    let mut by_name = BTreeMap::<&str, BundleParts>::new();
    for (index, (name, label)) in parts.enumerate() {
        let bundle = by_name.entry(name).or_insert_with(|| BundleParts {
            name: name.to_owned(),
            parts: Vec::new(),
            normal: 0,
            abnormal: 0,
        });
        bundle.parts.push(index);
        match label {
            Label::Normal => bundle.normal += 1,
            Label::Abnormal => bundle.abnormal += 1,
        }
    }
    let mut bundles: Vec<_> = by_name.into_values().collect();
    bundles.sort_by(|a, b| natural_order(&a.name, &b.name));
    bundles
}
