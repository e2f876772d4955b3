//! Turns the network's outputs into a verdict.
//!
//! The outputs are the raw logit and the whitened features. PASS needs positive evidence: a part passes only if its logit is finite
//! and, less the offset of its bundle, below the lower threshold, and if its features are near those of normal parts. If no finite
//! outputs can be computed, the part is rejected with the [`Reason`] of the failure.
//!
//! | file | concept |
//! |---|---|
//! | `reason` | verdicts, and the reasons for them |
//! | `operating_point` | the thresholds in logits, the map from logits to scores, and the largest distance |
//! | `digits` | texts of a number and its limit |
//! | `reference` | the offset that a bundle's reference parts give, and the guard that refuses them |
//! | `rule` | how the parts of one bundle are judged |

mod digits;
mod operating_point;
mod reason;
mod reference;
mod rule;

pub use digits::distinct;
pub use operating_point::{Calibration, LargestDistanceError, OperatingPoint, PolicyError};
pub use reason::{Decision, Reason, Verdict};
pub use reference::{Reference, ReferenceNumbersError, RefusedReference};
pub use rule::{NoPass, ReferenceError, Rule};

use serde::{Deserialize, Serialize};

/// The content of a model's `policy.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "File")]
pub struct Policy {
    without: OperatingPoint,
    with: Option<OperatingPoint>,
    reference: Option<Reference>,
}

/// The content of the file, not yet checked. All fields must be present.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    without: OperatingPoint,
    #[serde(deserialize_with = "Option::deserialize")]
    with: Option<OperatingPoint>,
    #[serde(deserialize_with = "Option::deserialize")]
    reference: Option<Reference>,
}

impl TryFrom<File> for Policy {
    type Error = &'static str;

    fn try_from(File { without, with, reference }: File) -> Result<Self, Self::Error> {
        if with.is_some() == reference.is_some() {
            Ok(Self { without, with, reference })
        } else {
            Err("found only one of `with` and `reference`, expected both, or null for both")
        }
    }
}

impl Policy {
    /// A policy for bundles without reference parts.
    #[must_use]
    pub fn without_reference(without: OperatingPoint) -> Self {
        Self { without, with: None, reference: None }
    }

    /// A policy for bundles with and without reference parts. `with` are the thresholds for logits less the bundle's offset.
    #[must_use]
    pub fn with_reference(without: OperatingPoint, with: OperatingPoint, reference: Reference) -> Self {
        Self { without, with: Some(with), reference: Some(reference) }
    }

    /// The operating point for a bundle without reference parts, whose offset is 0.
    #[must_use]
    pub fn without(&self) -> OperatingPoint {
        self.without
    }

    /// The operating point for a bundle with reference parts, and the numbers that its offset is computed from. `None` if the
    /// model was trained without reference parts.
    #[must_use]
    pub fn with(&self) -> Option<(OperatingPoint, Reference)> {
        self.with.zip(self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINT: &str =
        r#"{"review_from":-1.0,"reject_from":0.5,"slope":0.75,"intercept":0.25,"largest_distance":null}"#;
    const CHECKED: &str =
        r#"{"review_from":-1.0,"reject_from":0.5,"slope":0.75,"intercept":0.25,"largest_distance":9.5}"#;
    const REFERENCE: &str = r#"{"parts":5,"mean":-1.5,"between_variance":0.25,"within_variance":1.0,"bundles":12,"degrees_of_freedom":500}"#;

    fn parse(with: &str, reference: &str) -> Result<Policy, serde_json::Error> {
        serde_json::from_str(&format!(r#"{{"without":{POINT},"with":{with},"reference":{reference}}}"#))
    }

    #[test]
    fn a_policy_is_read_back_as_it_was_written() {
        for (with, reference) in [("null", "null"), (POINT, REFERENCE), (CHECKED, REFERENCE)] {
            let policy = parse(with, reference).unwrap();
            assert_eq!(policy.with().is_some(), with != "null");
            let largest = policy.with().and_then(|(point, _)| point.largest_distance());
            assert_eq!(largest, (with == CHECKED).then_some(9.5));
            let text = serde_json::to_string(&policy).unwrap();
            assert_eq!(serde_json::from_str::<Policy>(&text).unwrap(), policy);
            assert_eq!(text, format!(r#"{{"without":{POINT},"with":{with},"reference":{reference}}}"#));
        }
    }

    #[test]
    fn an_incomplete_or_contradictory_policy_is_refused() {
        assert!(parse("null", REFERENCE).is_err());
        assert!(parse(POINT, "null").is_err());
        for text in [
            r#"{"review_from":0.3,"reject_from":0.6}"#.to_owned(),
            format!(
                r#"{{"without":{},"with":null,"reference":null}}"#,
                POINT.replace(r#","largest_distance":null"#, "")
            ),
            format!(r#"{{"without":{POINT}}}"#),
            format!(r#"{{"without":{POINT},"with":null}}"#),
            format!(r#"{{"without":{POINT},"with":null,"reference":null,"pass":true}}"#),
        ] {
            assert!(serde_json::from_str::<Policy>(&text).is_err(), "{text}");
        }
        let unsound = [
            (r#""parts":5"#, r#""parts":0"#),
            (r#""between_variance":0.25"#, r#""between_variance":-0.25"#),
            (r#""within_variance":1.0"#, r#""within_variance":-1.0"#),
            (r#""bundles":12"#, r#""bundles":1"#),
            (r#""degrees_of_freedom":500"#, r#""degrees_of_freedom":0"#),
        ];
        for unsound in ["0.0", "-1.0", "true"] {
            let point = CHECKED.replace("9.5", unsound);
            assert!(point != CHECKED && parse(&point, REFERENCE).is_err(), "{unsound}");
        }
        for (sound, unsound) in unsound {
            assert!(REFERENCE.contains(sound));
            assert!(parse(POINT, &REFERENCE.replace(sound, unsound)).is_err(), "{unsound}");
        }
    }
}
