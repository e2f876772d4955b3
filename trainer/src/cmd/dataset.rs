//! Opening a data set, with what its user should know of the names in it.

use super::note;
use cellgate_trainer::dataset::{Dataset, DatasetError, Listing, check};
use std::path::Path;

/// The listing of the data set in the folder `path`, all of whose images are files. Bundles whose names look alike are reported: a figure of one of them may be
/// one of half a bundle.
pub(crate) fn listing(path: &Path) -> Result<Listing, DatasetError> {
    let listing = Listing::read(path)?;
    listing.check_files()?;
    note_two_forms(&listing);
    for finding in check::similar_names(&listing.bundles()) {
        note(format_args!("WARNING: {}", finding.message));
    }
    Ok(listing)
}

/// The data set in the folder `path`, for commands that don't part it by bundle, or refuse bundles whose names look alike.
pub(crate) fn open(path: &Path) -> Result<Dataset, DatasetError> {
    let listing = Listing::read(path)?;
    note_two_forms(&listing);
    Dataset::of_listing(listing)
}

fn note_two_forms(listing: &Listing) {
    for bundle in &listing.two_forms {
        note(format_args!("`{bundle}` is written in two Unicode forms; taken as one bundle"));
    }
}
