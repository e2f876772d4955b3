//! Options of the sandbox.

use cellgate_models::radiograph::RadiographLimits;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The running program. The kernel keeps it even if an upgrade replaces the file.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// Options of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Limits of an image. The worker refuses an image as over the limit after `max_time` or three quarters of `deadline`,
    /// whichever is shorter.
    pub limits: RadiographLimits,
    /// Longest time for one image, from the request until its levels are received, at most an hour. Includes the rest of the
    /// start of a replaced worker.
    pub deadline: Duration,
    /// Whether a missing required protection is an error. If not, missing protections are logged.
    pub require: bool,
    /// The program that is started as the worker: [`OWN_PROGRAM`], except in tests.
    pub program: PathBuf,
}

impl SandboxOptions {
    /// Returns options for `limits` with a deadline of 4/3 of their `max_time`. Protections are not required.
    #[must_use]
    pub fn new(limits: RadiographLimits) -> Self {
        let deadline = limits.max_time.saturating_mul(4) / 3;
        Self { limits, deadline, require: false, program: OWN_PROGRAM.into() }
    }

    /// Returns the deadline of an image that is sent now.
    pub(super) fn deadline_from_now(&self) -> Instant {
        Instant::now() + self.deadline.min(Duration::from_secs(3600))
    }

    /// Returns the limits that the worker enforces.
    pub(super) fn worker_limits(&self) -> RadiographLimits {
        RadiographLimits { max_time: self.limits.max_time.min(self.deadline / 4 * 3), ..self.limits.clone() }
    }
}
