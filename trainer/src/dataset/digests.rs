//! Digests of a data set and its images.

use super::{DatasetError, Listing, Part};
use crate::progress;
use cellgate_models::digest::Digest;
use rayon::prelude::*;

/// Reads every image file once, on all cores, for its digest.
pub(super) fn with_digests(listing: &Listing) -> Result<Vec<Part>, DatasetError> {
    let bar = progress::bar(listing.entries.len() as u64, "digests");
    let digests: Vec<_> = listing
        .entries
        .par_iter()
        .map(|entry| {
            let digest = Digest::of_file(&listing.path(entry));
            bar.inc(1);
            digest
        })
        .collect();
    bar.finish_and_clear();

    let unreadable = digests.iter().filter(|digest| digest.is_err()).count();
    let mut parts = Vec::with_capacity(digests.len());
    for (entry, digest) in listing.entries.iter().zip(digests) {
        let digest = digest.map_err(|source| DatasetError::Images {
            root: listing.root.clone(),
            unreadable,
            images: listing.entries.len(),
            first: entry.image.clone(),
            source,
        })?;
        parts.push(listing.part(entry, digest));
    }
    Ok(parts)
}

/// Digest of `parts`: image path, image digest, bundle and label, in order of the image path.
pub(super) fn of_parts(parts: &[Part]) -> Digest {
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_by(|a, b| a.image.cmp(&b.image));
    let fields: Vec<&[u8]> = sorted
        .into_iter()
        .flat_map(|part| {
            [
                part.image.as_bytes(),
                part.digest.as_bytes().as_slice(),
                part.bundle.as_bytes(),
                part.label.as_str().as_bytes(),
            ]
        })
        .collect();
    Digest::of_fields(&fields)
}
