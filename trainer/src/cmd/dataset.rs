//! Opens a data set and warns about the names of its bundles.

use super::note;
use cellgate_trainer::dataset::{Dataset, DatasetError, Listing, check};
use std::path::Path;

/// Lists the data set in the folder `path` and checks that every image is a file.
///
/// Warns about bundles whose names look alike. If they are in fact one bundle, the figures under each name cover only some of its
/// parts.
pub(crate) fn listing(path: &Path) -> Result<Listing, DatasetError> {
    let listing = Listing::read(path)?;
    listing.check_files()?;
    note_two_forms(&listing);
    for finding in check::similar_names(&listing.bundles()) {
        note(format_args!("WARNING: {}", finding.message));
    }
    Ok(listing)
}

/// Opens the data set in the folder `path`, for commands that ignore bundles or that refuse names that look alike.
pub(crate) fn open(path: &Path) -> Result<Dataset, DatasetError> {
    let listing = Listing::read(path)?;
    note_two_forms(&listing);
    Dataset::of_listing(listing)
}

fn note_two_forms(listing: &Listing) {
    for bundle in &listing.two_forms {
        note(format_args!("`{bundle}` is written in two Unicode forms; both are read as one bundle"));
    }
}
