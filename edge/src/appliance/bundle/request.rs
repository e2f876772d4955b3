//! Defines what a person may ask about the running bundle, and the answers. A PLC that names no bundles is used together with these
//! requests.

use serde::Serialize;
use std::fmt;
use std::num::NonZeroU32;

/// A request of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BundleRequest {
    /// Start this bundle anew, with its reference phase. The bundle that was running ends.
    Start {
        /// The number of the bundle.
        bundle: NonZeroU32,
        /// How many reference parts must be confirmed, 1 to 1000. `None`: as many as configured.
        reference_parts: Option<u32>,
    },
    /// These parts of the running bundle are good reference parts: all of them, or none if one can't be confirmed.
    Confirm {
        /// The numbers of the parts.
        parts: Vec<u64>,
    },
    /// Show the running bundle.
    Status,
    /// End the running bundle.
    End,
}

/// The process and user that sent a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    /// The number of the user.
    pub(crate) uid: u32,
    /// The number of the process.
    pub(crate) pid: i32,
    /// The name of the user, or an empty text if the system has none.
    pub(crate) name: String,
}

impl fmt::Display for Who {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { uid, pid, name } = self;
        write!(out, "{name} (uid {uid}, pid {pid})")
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BundleAnswer {
    /// The request was carried out, and what it changed is durable. This is the running bundle now.
    Done(Box<BundleStatus>),
    /// The request was refused.
    Refused {
        /// The cause, and what to do.
        why: String,
    },
}

/// The running bundle, for people and scripts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct BundleStatus {
    /// The number of the bundle; 0 if no bundle is running.
    pub(crate) bundle: u32,
    /// How far the bundle is: `NONE`, `REFERENCE`, `OFFSET`, `UNLIKE_TRAINING`, or `WITHOUT_REFERENCE` if the model was trained without
    /// reference parts.
    pub(crate) step: &'static str,
    /// How many reference parts must be confirmed.
    pub(crate) reference_parts: u32,
    /// The numbers of the confirmed parts, in the order in which they were judged.
    pub(crate) confirmed: Vec<u64>,
    /// The parts that can still be confirmed, in the order in which they were judged. Empty unless the step is `REFERENCE`.
    pub(crate) candidates: Vec<Candidate>,
    /// The offset of the bundle in logits; `None` unless the step is `OFFSET`.
    pub(crate) offset: Option<f64>,
    /// Why the reference parts were refused; `None` unless the step is `UNLIKE_TRAINING`.
    pub(crate) refused: Option<String>,
    /// The number of parts with a verdict since the start of the bundle.
    pub(crate) parts: u64,
    /// When the bundle was started, in milliseconds since 1970, UTC; 0 if no bundle is running.
    pub(crate) started_unix_ms: i64,
    /// Who started the bundle; empty if no bundle is running.
    pub(crate) started_by: String,
}

/// A part that can be confirmed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Candidate {
    /// The number of the part.
    pub(crate) part_id: u64,
    /// The part's verdict.
    pub(crate) verdict: &'static str,
    /// The reason of the verdict.
    pub(crate) reason: String,
    /// The raw logit.
    pub(crate) logit: f32,
}
