//! Takes the place of `plans.rs` in builds without the feature `tensorrt`, and refuses to make plans.

use cellgate_models::model::Existing;
use std::path::Path;

/// This build can't make plans.
#[derive(Debug, thiserror::Error)]
#[error(
    "--tensorrt: this cellgate-trainer was built without TensorRT; build it with \
     `cargo build --release -p cellgate-trainer --features tensorrt` (needs libclang: `apt install libclang-dev`)"
)]
pub struct PlansError;

/// The hidden subcommand of the child process that builds plans.
pub const PLAN_WORKER: &str = "plan-worker";

/// Always fails: this build has no child process that builds plans.
///
/// # Errors
/// Always.
pub fn serve_plan_worker() -> Result<(), PlansError> {
    Err(PlansError)
}

/// The plans to be built. The type has no values, because this build can't make plans.
#[derive(Debug)]
pub enum Plans {}

impl Plans {
    /// Always fails.
    ///
    /// # Errors
    /// Always.
    pub fn prepare(_: &[String], _: &Path, _: Existing) -> Result<Self, PlansError> {
        Err(PlansError)
    }

    /// Can't be called, because there are no values of this type.
    ///
    /// # Errors
    /// Never returns.
    pub fn write(&self) -> Result<serde_json::Value, PlansError> {
        match *self {}
    }
}
