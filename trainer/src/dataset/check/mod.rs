//! Checks a data set for problems before training.

mod duplicates;
mod envelope;
mod finding;
mod findings;
mod odd;
mod text;

pub use duplicates::leaks;
pub use envelope::EnvelopeCheck;
pub use finding::{Finding, FindingKind, Severity};

use super::agreement::Agreement;
use super::images::{ImageFacts, global_bounds};
use super::{BundleParts, Dataset, Label, Listing};
use cellgate_models::conversion::Bounds;
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use serde::Serialize;

/// The report on a data set. This is what `check --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Digest of the data set; `None` if an image can't be read or is left out.
    pub digest: Option<Digest>,
    /// Facts of all images together.
    pub all: GroupFacts,
    /// Facts of the images of each bundle, in natural order.
    pub bundles: Vec<GroupFacts>,
    /// The comparison of each image with the envelope of the other bundles. `None` if fewer than three bundles have readable images.
    pub envelope: Option<EnvelopeCheck>,
    /// Agreement of the annotators; `None` if no part was judged by two annotators.
    pub agreement: Option<Agreement>,
    /// The problems, errors first.
    pub findings: Vec<Finding>,
}

/// Facts of a group of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupFacts {
    /// The bundle's name; `all` for all images.
    pub bundle: String,
    /// Number of images.
    pub images: usize,
    /// Number of images labelled normal.
    pub normal: usize,
    /// Number of images labelled abnormal.
    pub abnormal: usize,
    /// Number of images that can't be read. The following fields cover the readable images only, and are `None` if no image is
    /// readable.
    pub unreadable: usize,
    /// Heights in pixels.
    pub height: Option<Range>,
    /// Widths in pixels.
    pub width: Option<Range>,
    /// The images' 0.01th percentiles of levels.
    pub darkest: Option<Range>,
    /// The images' 99.99th percentiles of levels.
    pub brightest: Option<Range>,
    /// The paper's global bounds over these images.
    pub bounds: Option<Bounds>,
}

/// The range of a figure over images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// The smallest value.
    pub min: f64,
    /// The mean value.
    pub mean: f64,
    /// The largest value.
    pub max: f64,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (mut count, mut sum, mut min, mut max) = (0.0, 0.0, f64::MAX, f64::MIN);
        for value in values {
            (count, sum, min, max) = (count + 1.0, sum + value, value.min(min), value.max(max));
        }
        (count > 0.0).then(|| Self { min, mean: sum / count, max })
    }
}

impl GroupFacts {
    fn of(bundle: &BundleParts, images: &[Result<ImageFacts, ReadError>]) -> Self {
        let facts: Vec<_> = bundle.parts.iter().filter_map(|&part| images[part].as_ref().ok()).collect();
        let range = |value: fn(&ImageFacts) -> f64| Range::of(facts.iter().map(|facts| value(facts)));
        Self {
            bundle: bundle.name.clone(),
            images: bundle.parts.len(),
            normal: bundle.normal,
            abnormal: bundle.abnormal,
            unreadable: bundle.parts.len() - facts.len(),
            height: range(|facts| facts.height.into()),
            width: range(|facts| facts.width.into()),
            darkest: range(|facts| facts.percentiles.0),
            brightest: range(|facts| facts.percentiles.1),
            bounds: global_bounds(facts.iter().copied()),
        }
    }
}

impl CheckReport {
    /// Checks `listing`. `images` holds the result of reading each listed image, in the same order.
    #[must_use]
    pub fn new(listing: &Listing, images: &[Result<ImageFacts, ReadError>]) -> Self {
        let bundles = listing.bundles();
        let all = BundleParts {
            name: "all".into(),
            parts: (0..listing.entries.len()).collect(),
            normal: bundles.iter().map(|bundle| bundle.normal).sum(),
            abnormal: bundles.iter().map(|bundle| bundle.abnormal).sum(),
        };
        let agreement = Agreement::of(&listing.entries);
        let (envelope, outside) = envelope::compare(listing, &bundles, images).unzip();
        let mut findings = findings::of_images(listing, images);
        findings.extend(outside.unwrap_or_default());
        findings.extend(duplicates::find(listing, images));
        findings.extend(findings::of_balance(&bundles, &all));
        findings.extend(findings::of_left_out(&listing.left_out));
        findings.extend(findings::of_names(&bundles));
        findings.extend(findings::of_forms(&listing.two_forms));
        findings.extend(findings::of_skipped(&listing.skipped));
        findings.extend(agreement.iter().flat_map(findings::of_agreement));
        findings.sort_by_key(|finding| (finding.severity, finding.kind));
        Self {
            digest: digest(listing, images),
            all: GroupFacts::of(&all, images),
            bundles: bundles.iter().map(|bundle| GroupFacts::of(bundle, images)).collect(),
            envelope,
            agreement,
            findings,
        }
    }

    /// The number of findings of `severity`.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Findings about bundles whose names look alike: perhaps one bundle under two names.
#[must_use]
pub fn similar_names(bundles: &[BundleParts]) -> Vec<Finding> {
    findings::of_names(bundles)
}

/// The data set's digest, as [`Dataset::open`] computes it. `None` if an image can't be read or is left out.
fn digest(listing: &Listing, images: &[Result<ImageFacts, ReadError>]) -> Option<Digest> {
    if !listing.left_out.is_empty() {
        return None;
    }
    let with_images = listing.entries.iter().zip(images);
    let parts = with_images.map(|(entry, image)| Some(listing.part(entry, image.as_ref().ok()?.digest)));
    Some(Dataset::from_parts(listing.root.clone(), parts.collect::<Option<_>>()?).digest)
}

#[cfg(test)]
mod tests;
