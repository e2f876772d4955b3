//! Compares each image with the envelope of the other bundles, as a device compares the image of a part with the envelope of the
//! training images.

use super::finding::{Finding, FindingKind};
use super::{BundleParts, ImageFacts, Listing};
use cellgate_models::envelope::{Envelope, Measure, Measures};
use cellgate_models::radiograph::ReadError;
use serde::Serialize;
use std::collections::BTreeMap;

/// The smallest number of bundles with readable images: an envelope needs two bundles besides the one that is compared with it.
pub(super) const MIN_BUNDLES: usize = 3;

/// How many images are outside of the envelope of the other bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnvelopeCheck {
    /// Number of readable images.
    pub images: usize,
    /// Number of images with a measure outside of its range.
    pub outside: usize,
    /// For each measure, by its name, the number of images outside of its range.
    pub measures: BTreeMap<&'static str, usize>,
}

/// Compares the readable images of each bundle with the envelope of all other bundles. Returns the counts, and a finding for each
/// image outside. `None` if fewer than [`MIN_BUNDLES`] bundles have readable images.
pub(super) fn compare(
    listing: &Listing,
    bundles: &[BundleParts],
    images: &[Result<ImageFacts, ReadError>],
) -> Option<(EnvelopeCheck, Vec<Finding>)> {
    let measured = |bundle: &BundleParts| -> Vec<(usize, Measures)> {
        bundle.parts.iter().filter_map(|&part| Some((part, images[part].as_ref().ok()?.measures))).collect()
    };
    let bundles: Vec<_> = bundles.iter().map(measured).filter(|bundle| !bundle.is_empty()).collect();
    if bundles.len() < MIN_BUNDLES {
        return None;
    }
    let measures_of = |bundle: &[(usize, Measures)]| bundle.iter().map(|(_, measures)| *measures).collect::<Vec<_>>();
    let mut all: Vec<Vec<Measures>> = bundles.iter().map(|bundle| measures_of(bundle)).collect();
    let mut check = EnvelopeCheck {
        images: bundles.iter().map(Vec::len).sum(),
        outside: 0,
        measures: Measure::ALL.map(|measure| (measure.name(), 0)).into(),
    };
    let mut findings = Vec::new();
    for (index, bundle) in bundles.iter().enumerate() {
        let left_out = std::mem::take(&mut all[index]);
        let envelope = Envelope::of(&all)?;
        all[index] = left_out;
        for (part, measures) in bundle {
            let Some(outside) = envelope.outside(measures) else { continue };
            check.outside += 1;
            for outside in outside.measures() {
                *check.measures.entry(outside.measure.name()).or_default() += 1;
            }
            let name = &listing.entries[*part].image;
            let message = format!("{name}: {}", outside.text("the images of the other bundles"));
            findings.push(Finding::new(FindingKind::OutsideEnvelope, message, vec![name.clone()]));
        }
    }
    Some((check, findings))
}
