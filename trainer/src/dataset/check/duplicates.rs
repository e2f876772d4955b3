//! The same image several times in one data set.

use super::{Finding, ImageFacts, Kind, Listing};
use cellgate_models::digest::Digest;
use cellgate_models::radiograph::ReadError;
use std::collections::BTreeMap;

/// Groups of images with the same pixels. Across bundles or labels that is a leak.
pub(super) fn find(listing: &Listing, images: &[Result<ImageFacts, ReadError>]) -> Vec<Finding> {
    let mut by_pixels = BTreeMap::<Digest, Vec<usize>>::new();
    for (index, image) in images.iter().enumerate() {
        if let Ok(facts) = image {
            by_pixels.entry(facts.pixels).or_default().push(index);
        }
    }
    let mut groups: Vec<_> = by_pixels.into_values().filter(|group| group.len() > 1).collect();
    groups.sort_unstable();
    groups.iter().map(|group| judge(listing, images, group)).collect()
}

/// Judges one group of at least two images.
fn judge(listing: &Listing, images: &[Result<ImageFacts, ReadError>], group: &[usize]) -> Finding {
    let entries: Vec<_> = group.iter().map(|&index| &listing.entries[index]).collect();
    let file = |index: usize| images[index].as_ref().ok().map(|facts| facts.digest);
    let same_file = group.iter().all(|&index| file(index) == file(group[0]));
    let same_bundle = entries.iter().all(|entry| entry.bundle == entries[0].bundle);
    let same_label = entries.iter().all(|entry| entry.label == entries[0].label);
    let (kind, across) = match (same_bundle, same_label) {
        (true, true) => (Kind::Duplicate, "within one bundle"),
        (false, true) => (Kind::Leak, "across bundles"),
        (true, false) => (Kind::Leak, "with different labels"),
        (false, false) => (Kind::Leak, "across bundles and with different labels"),
    };
    let same = if same_file { "the same file" } else { "the same pixels in different files" };
    let named = entries.iter().map(|entry| format!("{} (`{}`, {})", entry.image, entry.bundle, entry.label));
    let message = format!("{same} {across}: {}", named.collect::<Vec<_>>().join(", "));
    Finding::new(kind, message, entries.iter().map(|entry| entry.image.clone()).collect())
}
