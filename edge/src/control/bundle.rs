//! Defines the commands about the running bundle, and what the appliance answers.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// A command about the running bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BundleRequest {
    /// Start a bundle, with its reference parts. A running bundle ends, also one with the same number.
    Start {
        /// The bundle's number.
        bundle: NonZeroU32,
        /// How many reference parts must be confirmed. `None`: as many as the configuration says, else as the model says.
        reference_parts: Option<u32>,
    },
    /// Confirm parts as good reference parts of the running bundle.
    Confirm {
        /// The bundle of these parts. If it is given and another bundle is running, the command is refused.
        bundle: Option<NonZeroU32>,
        /// The parts' numbers.
        parts: Vec<u64>,
    },
    /// Say how far the running bundle is.
    Status,
    /// End the running bundle.
    End,
}

/// The answer to a [`BundleRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum BundleAnswer {
    /// The command was carried out, and everything that it changed is stored durably. The value is the status after it.
    Done(Box<BundleStatus>),
    /// The command was refused and changed nothing.
    Refused {
        /// The cause, and what to do.
        why: String,
    },
    /// Whether the command was carried out is unknown, because the journal failed.
    Unknown {
        /// The cause, and what to do.
        why: String,
    },
}

/// How far a bundle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BundleStep {
    /// No bundle is running.
    None,
    /// The bundle's reference parts are being judged. No part passes.
    Reference,
    /// The appliance judges with the bundle's offset.
    Offset,
    /// The guard refused the reference parts. No part passes until a bundle is started.
    UnlikeTraining,
    /// The bundle is judged without reference parts, because the model was trained without them.
    WithoutReference,
}

/// The running bundle at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BundleStatus {
    /// The bundle's number; 0: no bundle is running.
    pub bundle: u32,
    /// How far the bundle is.
    pub step: BundleStep,
    /// How many reference parts must be confirmed.
    pub reference_parts: u32,
    /// The number of reference parts that the model's thresholds were chosen for; 0 if the model was trained without them, or if no
    /// bundle is running.
    pub trained_for: u32,
    /// The numbers of the confirmed parts, in the order in which they were judged.
    pub confirmed: Vec<u64>,
    /// The parts that can still be confirmed, at most the newest 1000, in the order in which they were judged. Empty unless the step is
    /// [`BundleStep::Reference`].
    pub candidates: Vec<Candidate>,
    /// The offset in logits; `None` unless the step is [`BundleStep::Offset`].
    pub offset: Option<f64>,
    /// Why the guard refused the reference parts; `None` unless the step is [`BundleStep::UnlikeTraining`].
    pub refused: Option<String>,
    /// The number of parts of the bundle that have a verdict.
    pub parts: u64,
    /// When the bundle was started, in milliseconds since 1970, UTC; 0 if no bundle is running.
    pub started_unix_ms: i64,
    /// Who started the bundle; empty if no bundle is running.
    pub started_by: String,
    /// Why the bundle was started, such as by a trigger, or anew after too many parts; empty if no bundle is running.
    pub started_why: String,
    /// Whether the bundle is the PLC's: a trigger that names no bundle ends it.
    pub is_of_plc: bool,
}

/// A judged part of the running bundle that can be confirmed as a reference part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The part's number.
    pub part_id: u64,
    /// The stable name of its verdict.
    pub verdict: String,
    /// The stable name of the verdict's reason.
    pub reason: String,
    /// Its raw logit.
    pub logit: f32,
}
