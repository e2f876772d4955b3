//! Computes the digests of a data set and of its image files.

use super::entry::Listing;
use super::names::composed;
use super::{DatasetError, Part, images};
use crate::progress;
use cellgate_models::digest::Digest;
use rayon::prelude::*;
use std::io;

/// Reads every image file once, on all cores, for its digest. Returns the parts of `listing` with these digests.
pub(super) fn with_digests(listing: &Listing) -> Result<Vec<Part>, DatasetError> {
    let bar = progress::bar(listing.entries.len() as u64, "digests");
    let digests: Vec<_> = listing
        .entries
        .par_iter()
        .map(|entry| {
            let digest = images::digest(&listing.path(entry));
            bar.inc(1);
            digest
        })
        .collect();
    bar.finish_and_clear();

    let digests = all_readable(listing, digests)?;
    Ok(listing.entries.iter().zip(digests).map(|(entry, digest)| listing.part(entry, digest)).collect())
}

/// Returns the values in `found`, which holds the result of reading each image of `listing`, in the order of `listing`.
///
/// # Errors
/// [`DatasetError::Images`] with all images that can't be read.
pub(super) fn all_readable<T>(listing: &Listing, found: Vec<io::Result<T>>) -> Result<Vec<T>, DatasetError> {
    let unreadable = listing.entries.iter().zip(&found).filter(|(_, found)| found.is_err());
    let others: Vec<String> = unreadable.skip(1).map(|(entry, _)| entry.image.clone()).collect();
    let all = listing.entries.iter().zip(found).map(|(entry, found)| {
        found.map_err(|source| DatasetError::Images {
            root: listing.root.clone(),
            images: listing.entries.len(),
            first: entry.image.clone(),
            source,
            others: others.clone(),
        })
    });
    all.collect()
}

/// The digest of `parts`: image path, image digest, bundle and label of each part, sorted by image path. Paths are hashed in
/// composed Unicode form (NFC), so that a copy on a Mac has the same digest.
pub(super) fn of_parts(parts: &[Part]) -> Digest {
    let mut sorted: Vec<_> = parts.iter().map(|part| (composed(&part.image), part)).collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let fields: Vec<&[u8]> = sorted
        .iter()
        .flat_map(|(image, part)| {
            [
                image.as_bytes(),
                part.digest.as_bytes().as_slice(),
                part.bundle.as_bytes(),
                part.label.as_str().as_bytes(),
            ]
        })
        .collect();
    Digest::of_fields(&fields)
}
