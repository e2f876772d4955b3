//! Makes `crossval` and `train` refuse a data set with leaks, unless `--allow-leaks` is given.

use anyhow::{Result, bail};
use cellgate_trainer::dataset::{Dataset, check};
use std::fmt::Write;

/// Largest number of leaks that a message lists.
const MAX_NAMED: usize = 5;

/// The argument that allows leaks.
#[derive(Debug, clap::Args)]
pub(crate) struct LeakArgs {
    /// Continue although the same file is in two bundles or has two labels, or names of bundles look alike; the figures
    /// are then too optimistic
    #[arg(long)]
    allow_leaks: bool,
}

impl LeakArgs {
    /// Returns the number of leaks in `dataset`, after a warning if there are any. A group of bundles whose names look alike
    /// counts as one leak.
    ///
    /// # Errors
    /// There are leaks and `--allow-leaks` was not given.
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
                "{root}: {named}; expected each image in one bundle with one label, and each bundle under one name. \
                 `cellgate-trainer check` lists all leaks. --allow-leaks continues, with figures that are too optimistic"
            );
        }
        super::note(format_args!("WARNING, --allow-leaks: the figures are too optimistic: {named}"));
        Ok(leaks.len())
    }
}
