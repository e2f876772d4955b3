//! What TensorRT thinks of a plan by its header alone, without deserialising it.

use super::flavour::header_faults;
use super::log::Log;
use super::{PlanError, library};
use std::path::Path;
use trtx::Logger;

/// Asks TensorRT whether a plan can be run here. Only its first bytes are looked at: it can't tell a damaged body, and it is no
/// substitute for [`cache`](super::cache)'s authentication.
///
/// Gives all that speaks against it, in words. Without a GPU only the format and the version are compared. TensorRT 11 has no
/// such question: nothing speaks against any plan there.
///
/// # Errors
/// [`PlanError`]: TensorRT is missing or another one.
pub fn faults(plan: &[u8], folder: Option<&Path>) -> Result<Vec<&'static str>, PlanError> {
    library::load(folder)?;
    // What it would log here is what is returned.
    let log = Log::default();
    let logger = Logger::new(log.clone()).map_err(super::error::of)?;
    let faults = header_faults(plan, &logger);
    log.take_errors("");
    faults.map_err(super::error::of)
}
