//! Asks TensorRT to check a plan's header, without deserialising the plan.

use super::flavour::header_faults;
use super::log::Log;
use super::{PlanError, library};
use std::path::Path;
use trtx::Logger;

/// Asks TensorRT whether a plan can run here, and returns a description of each fault. TensorRT reads only the header. So this
/// function does not find a damaged body, and does not replace the authentication of [`cache`](super::cache).
///
/// Without a GPU TensorRT compares only format and version. TensorRT 11 has no function to check a header. With TensorRT 11 the
/// result is always empty.
///
/// # Errors
/// [`PlanError`]: TensorRT is missing or has another version.
pub fn faults(plan: &[u8], folder: Option<&Path>) -> Result<Vec<&'static str>, PlanError> {
    library::load(folder)?;
    // TensorRT's messages are discarded, because they repeat the returned faults.
    let log = Log::default();
    let logger = Logger::new(log.clone()).map_err(super::error::of)?;
    let faults = header_faults(plan, &logger);
    log.take_errors("");
    faults.map_err(super::error::of)
}
