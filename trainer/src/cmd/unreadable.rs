//! Adds a hint to the error of a command. A command stops at the first unreadable image, but `check` lists all of them.

use anyhow::{Error, anyhow};
use cellgate_models::one_line;
use cellgate_models::radiograph::ReadError;
use cellgate_trainer::features::FeatureError;
use std::path::Path;

/// Adds a hint to `error` if an image of `dataset` can't be read: `check` lists all unreadable images.
pub(crate) fn hint(error: impl Into<Error>, dataset: &Path) -> Error {
    let error = error.into();
    let is_radiograph = error
        .chain()
        .any(|cause| cause.is::<ReadError>() || matches!(cause.downcast_ref(), Some(FeatureError::Radiograph(_))));
    if is_radiograph {
        anyhow!(
            "{}; `cellgate-trainer check {}` lists all unreadable images",
            one_line(error.as_ref()),
            dataset.display()
        )
    } else {
        error
    }
}
