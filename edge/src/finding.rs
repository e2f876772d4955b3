//! One row of the report of `doctor` or `gpu-check`.

use cellgate_models::model::Precision;
use serde::Serialize;
use std::collections::BTreeMap;

/// The result of one check, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// Not checked, because it was not requested.
    Skipped,
    /// The appliance would run, but with less than it should have.
    Warning,
    /// Missing, wrong, or impossible to check: the appliance would not start, or would judge nothing.
    Failure,
}

impl FindingState {
    /// The word for a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Skipped => "SKIPPED",
            Self::Warning => "WARNING",
            Self::Failure => "FAILURE",
        }
    }
}

/// The result of one check. Its JSON leaves out empty fields.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// The precision, where each precision has a finding of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// The result.
    pub state: FindingState,
    /// What was found. A warning or failure also says what to do.
    pub found: String,
    /// Figures by name. A name ends in its unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Finding {
    /// Returns a finding without precision and figures.
    pub fn new(what: &'static str, state: FindingState, found: impl Into<String>) -> Self {
        Self { what, precision: None, state, found: found.into(), figures: BTreeMap::new() }
    }

    /// Returns a finding in the state OK.
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Ok, found)
    }

    /// Returns a finding in the state WARNING.
    pub fn warning(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Warning, found)
    }

    /// Returns a finding in the state FAILURE.
    pub fn failure(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Failure, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_leaves_out_empty_fields() {
        let json = |finding: &Finding| serde_json::to_string(finding).unwrap();
        let mut finding = Finding::ok("copy rate", "1 GB/s");
        finding.figures = BTreeMap::from([("bytes_per_s", 1e9)]);
        let expected = r#"{"what":"copy rate","state":"ok","found":"1 GB/s","figures":{"bytes_per_s":1000000000.0}}"#;
        assert_eq!(json(&finding), expected);
        let mut finding = Finding::new("latency", FindingState::Skipped, "");
        finding.precision = Some(Precision::F32);
        assert_eq!(json(&finding), r#"{"what":"latency","precision":"f32","state":"skipped","found":""}"#);
        assert_eq!(json(&Finding::warning("clock", "a")), r#"{"what":"clock","state":"warning","found":"a"}"#);
    }
}
