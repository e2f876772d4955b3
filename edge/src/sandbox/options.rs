//! Defines the settings of the sandbox: limits of an image, deadline, required protections.

use cellgate_models::radiograph::RadiographLimits;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The path of the running program. It stays valid after an upgrade has replaced the program's file.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// Settings of the sandbox.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Limits of an image. The decode worker refuses an image as over the limit after `max_time` or three quarters of `deadline`,
    /// whichever is shorter.
    pub limits: RadiographLimits,
    /// Longest time for one image, from sending it to the worker until its levels are received. If the worker is not ready yet, the
    /// time until it is ready counts too. A value of more than an hour counts as an hour.
    pub deadline: Duration,
    /// Whether a missing required protection is an error. If false, missing protections are only logged.
    pub require: bool,
    /// The program that is started as the decode worker: [`OWN_PROGRAM`], except in tests.
    pub program: PathBuf,
}

impl SandboxOptions {
    /// Settings for `limits`, with a deadline of 4/3 of their `max_time`, and with `require` false: missing
    /// protections are only logged.
    #[must_use]
    pub fn new(limits: RadiographLimits) -> Self {
        let deadline = limits.max_time.saturating_mul(4) / 3;
        Self { limits, deadline, require: false, program: OWN_PROGRAM.into() }
    }

    /// The deadline of an image that is sent now.
    pub(super) fn deadline_from_now(&self) -> Instant {
        Instant::now() + self.deadline.min(Duration::from_secs(3600))
    }

    /// The limits that the worker checks.
    pub(super) fn worker_limits(&self) -> RadiographLimits {
        RadiographLimits { max_time: self.limits.max_time.min(self.deadline / 4 * 3), ..self.limits.clone() }
    }
}
