//! In the place of `plans.rs` where the trainer was built without the feature `tensorrt`.

use cellgate_models::model::Existing;
use std::path::Path;

/// There are no plans in this build.
#[derive(Debug, thiserror::Error)]
#[error(
    "--tensorrt: this cellgate-trainer was built without TensorRT; build it with \
     `cargo build --release -p cellgate-trainer --features tensorrt` (needs libclang: `apt install libclang-dev`)"
)]
pub struct PlansError;

/// The hidden subcommand of the child process that builds plans.
pub const PLAN_WORKER: &str = "plan-worker";

/// Refuses: nothing starts such a process in this build.
///
/// # Errors
/// Always.
pub fn serve_plan_worker() -> Result<(), PlansError> {
    Err(PlansError)
}

/// Plans to be built: none in this build.
#[derive(Debug)]
pub enum Plans {}

impl Plans {
    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn prepare(_: &[String], _: &Path, _: Existing) -> Result<Self, PlansError> {
        Err(PlansError)
    }

    /// Never called.
    ///
    /// # Errors
    /// None.
    pub fn write(&self) -> Result<serde_json::Value, PlansError> {
        match *self {}
    }
}
