//! The first image that can't be read ends a command; `check` names all.

use anyhow::{Error, anyhow};
use cellgate_models::one_line;
use cellgate_models::radiograph::ReadError;
use cellgate_trainer::features::FeatureError;
use std::path::Path;

/// `error` as an error of the program, with where all unreadable images of `dataset` are named if it is about one.
pub(crate) fn hint(error: impl Into<Error>, dataset: &Path) -> Error {
    let error = error.into();
    let is_radiograph = error
        .chain()
        .any(|cause| cause.is::<ReadError>() || matches!(cause.downcast_ref(), Some(FeatureError::Radiograph(_))));
    if is_radiograph {
        anyhow!("{}; `cellgate-trainer check {}` names all such images", one_line(error.as_ref()), dataset.display())
    } else {
        error
    }
}
