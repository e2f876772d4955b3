//! Computes the bounds of the global conversion: over all images, over each bundle, and over all bundles but one.

use super::Listing;
use super::images::{ImageFacts, global_bounds};
use cellgate_models::conversion::Bounds;
use serde::Serialize;

/// The bounds of a data set. This is what `bounds --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoundsReport {
    /// The bounds over all images, as in the paper (section 2.3.2).
    pub all: Bounds,
    /// The bounds with and without each bundle. The bundles are in natural order.
    pub bundles: Vec<BundleBounds>,
}

/// The bounds over one bundle, and over all other bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BundleBounds {
    /// The bundle's name.
    pub bundle: String,
    /// Number of images in the bundle.
    pub images: usize,
    /// The bounds over the bundle's own images.
    pub own: Bounds,
    /// The bounds over the images of all other bundles. By default, `crossval` uses these bounds in the fold that tests this
    /// bundle. `None` if there is no other bundle.
    pub without: Option<Bounds>,
}

impl BoundsReport {
    /// Computes the bounds of `listing`. `images` holds the facts of the listed images, in the same order. Returns `None` if there
    /// are no images.
    #[must_use]
    pub fn new(listing: &Listing, images: &[ImageFacts]) -> Option<Self> {
        let bundles = listing.bundles().into_iter().map(|bundle| {
            let others = listing.entries.iter().zip(images).filter(|(entry, _)| entry.bundle != bundle.name);
            Some(BundleBounds {
                images: bundle.parts.len(),
                own: global_bounds(bundle.parts.iter().map(|&part| &images[part]))?,
                without: global_bounds(others.map(|(_, facts)| facts)),
                bundle: bundle.name,
            })
        });
        Some(Self { all: global_bounds(images)?, bundles: bundles.collect::<Option<_>>()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Entry, Label};
    use cellgate_models::digest::Digest;
    use cellgate_models::radiograph::Radiograph;

    #[test]
    fn each_bundle_has_its_own_bounds_and_those_of_the_others() {
        // Each image has a bundle, a lowest and a highest level.
        let images = [("b10", 1730, 2510), ("b2", 1910, 2760), ("b10", 1800, 2400)];
        let entries = images.map(|(bundle, lo, _)| Entry {
            image: lo.to_string(),
            bundle: bundle.into(),
            label: Label::Normal,
            anomalies: Vec::new(),
            masks: None,
            experts: Vec::new(),
        });
        let facts = images
            .map(|(_, lo, hi)| ImageFacts::of(&Radiograph::new(2, 2, vec![lo, hi, lo, hi]).unwrap(), Digest::of(b"")));
        let listing = Listing { entries: entries.to_vec(), ..Listing::default() };
        let report = BoundsReport::new(&listing, &facts).unwrap();
        let bounds = |lo, hi| Bounds::new(lo, hi).unwrap();
        assert_eq!(report.all, bounds(1700, 2800));
        let found: Vec<_> =
            report.bundles.iter().map(|bundle| (bundle.bundle.as_str(), bundle.own, bundle.without)).collect();
        assert_eq!(
            found,
            [
                ("b2", bounds(1900, 2800), Some(bounds(1700, 2500))),
                ("b10", bounds(1700, 2500), Some(bounds(1900, 2800)))
            ]
        );
        let alone = Listing { entries: entries[..1].to_vec(), ..Listing::default() };
        assert_eq!(BoundsReport::new(&alone, &facts[..1]).unwrap().bundles[0].without, None);
    }
}
