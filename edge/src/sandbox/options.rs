//! What may be set about the sandbox.

use cellgate_models::radiograph::RadiographLimits;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The running program itself, also after its file was replaced by an upgrade.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// How the sandbox works.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// What an image may ask for. Decoding ends by itself, as over the limit, after `max_time` or three quarters of
    /// `deadline`, whichever is shorter.
    pub limits: RadiographLimits,
    /// Longest time for one image, from handing it to the worker until its levels are there. Includes the rest of a
    /// replaced worker's start. More than an hour is an hour.
    pub deadline: Duration,
    /// Refuses to work where the kernel lacks a required protection; otherwise what is missing is logged.
    pub require: bool,
    /// The program that is started as the worker; [`OWN_PROGRAM`] but in tests.
    pub program: PathBuf,
}

impl SandboxOptions {
    /// Options for `limits`: a deadline of 4/3 of their `max_time`, protections not required.
    #[must_use]
    pub fn new(limits: RadiographLimits) -> Self {
        let deadline = limits.max_time.saturating_mul(4) / 3;
        Self { limits, deadline, require: false, program: OWN_PROGRAM.into() }
    }

    /// When an image that is handed in now must be done.
    pub(super) fn deadline_from_now(&self) -> Instant {
        Instant::now() + self.deadline.min(Duration::from_secs(3600))
    }

    /// The limits that the worker keeps.
    pub(super) fn worker_limits(&self) -> RadiographLimits {
        RadiographLimits { max_time: self.limits.max_time.min(self.deadline / 4 * 3), ..self.limits.clone() }
    }
}
