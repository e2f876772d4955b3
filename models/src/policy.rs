//! From a score to a verdict.

use serde::{Deserialize, Serialize};

/// What the gate does with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// The part is good.
    Pass,
    /// A person decides.
    Review,
    /// The part is bad, or nothing could be proven about it.
    Reject,
}

/// Two thresholds on the score, the probability of "abnormal" in 0..=1.
///
/// Below `review_from` a part passes; from `reject_from` on it is rejected; between, a person reviews it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The smallest score that is not a PASS, 0..=1.
    pub review_from: f32,
    /// The smallest score that is a REJECT, `review_from`..=1.
    pub reject_from: f32,
}
