//! The leaks that `check` calls errors, before `crossval` and `train` build on them.

use anyhow::{Result, bail};
use cellgate_trainer::dataset::{Dataset, check};
use std::fmt::Write;

/// Most leaks that are named.
const MAX_NAMED: usize = 5;

/// What to do with leaks.
#[derive(Debug, clap::Args)]
pub(crate) struct LeakArgs {
    /// Go on where the same file stands in two bundles or with two labels, or names of bundles look alike; the figures are
    /// then too good
    #[arg(long)]
    allow_leaks: bool,
}

impl LeakArgs {
    /// The number of leaks in `dataset` that were let through, with a warning; bundles whose names look alike count as one.
    ///
    /// # Errors
    /// There are some, and nobody allowed them.
    pub(crate) fn check(&self, dataset: &Dataset) -> Result<usize> {
        let mut leaks = check::leaks(dataset);
        leaks.extend(check::similar_names(&dataset.bundles()));
        if leaks.is_empty() {
            return Ok(0);
        }
        let mut named = String::new();
        for leak in leaks.iter().take(MAX_NAMED) {
            let _ = write!(named, "{}{}", if named.is_empty() { "" } else { "; " }, leak.message);
        }
        if leaks.len() > MAX_NAMED {
            let _ = write!(named, "; and {} more", leaks.len() - MAX_NAMED);
        }
        let root = dataset.root.display();
        if !self.allow_leaks {
            bail!(
                "{root}: {named}; expected each image in one bundle and with one label, and each bundle under one name: \
                 `cellgate-trainer check` lists all leaks, --allow-leaks goes on with figures that are too good"
            );
        }
        super::note(format_args!("WARNING, --allow-leaks: the figures are too good and no proof of anything: {named}"));
        Ok(leaks.len())
    }
}
