//! Finds images that occur several times in one data set.

use super::{Finding, FindingKind, ImageFacts, Listing};
use crate::dataset::{Dataset, Label};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use std::collections::BTreeMap;

/// One occurrence of an image.
struct Occurrence<'a> {
    /// The digest of the file.
    file: Digest,
    image: &'a str,
    bundle: &'a str,
    label: Label,
}

/// Finds groups of images with the same pixels. A group whose images are in two bundles or have two labels is a leak.
pub(super) fn find(listing: &Listing, images: &[Result<ImageFacts, ReadError>]) -> Vec<Finding> {
    let readable = listing.entries.iter().zip(images).filter_map(|(entry, image)| {
        let facts = image.as_ref().ok()?;
        Some((
            facts.pixels,
            Occurrence { file: facts.digest, image: &entry.image, bundle: &entry.bundle, label: entry.label },
        ))
    });
    of_copies(readable)
}

/// The leaks of `dataset`: the same file in two bundles or with two labels. No image is decoded, so the same pixels in different
/// files are not found; `check` finds them.
#[must_use]
pub fn leaks(dataset: &Dataset) -> Vec<Finding> {
    let mut findings = of_copies(dataset.parts.iter().map(|part| {
        (part.digest, Occurrence { file: part.digest, image: &part.image, bundle: &part.bundle, label: part.label })
    }));
    findings.retain(|finding| finding.kind == FindingKind::Leak);
    findings
}

/// Groups `images`, pairs of a digest and an image, by the digest. Returns one finding per group of at least two images, in the
/// order of their first images.
fn of_copies<'a>(images: impl Iterator<Item = (Digest, Occurrence<'a>)>) -> Vec<Finding> {
    let mut groups = BTreeMap::<Digest, (usize, Vec<Occurrence<'a>>)>::new();
    for (index, (digest, copy)) in images.enumerate() {
        groups.entry(digest).or_insert_with(|| (index, Vec::new())).1.push(copy);
    }
    let mut groups: Vec<_> = groups.into_values().filter(|(_, copies)| copies.len() > 1).collect();
    groups.sort_unstable_by_key(|(first, _)| *first);
    groups.iter().map(|(_, copies)| of_group(copies)).collect()
}

/// The finding for one group of at least two images.
fn of_group(copies: &[Occurrence<'_>]) -> Finding {
    let first = &copies[0];
    let same_file = copies.iter().all(|copy| copy.file == first.file);
    let same_bundle = copies.iter().all(|copy| copy.bundle == first.bundle);
    let same_label = copies.iter().all(|copy| copy.label == first.label);
    let (kind, across) = match (same_bundle, same_label) {
        (true, true) => (FindingKind::Duplicate, "several times in one bundle"),
        (false, true) => (FindingKind::Leak, "in different bundles"),
        (true, false) => (FindingKind::Leak, "with different labels"),
        (false, false) => (FindingKind::Leak, "in different bundles and with different labels"),
    };
    let same = if same_file { "the same file" } else { "the same pixels (in different files)" };
    let named = copies.iter().map(|copy| format!("{} (`{}`, {})", copy.image, copy.bundle, copy.label));
    let message = format!("{same} {across}: {}", named.collect::<Vec<_>>().join(", "));
    Finding::new(kind, message, copies.iter().map(|copy| copy.image.to_owned()).collect())
}
