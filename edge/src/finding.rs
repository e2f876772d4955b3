//! Defines what one check of `doctor` or `gpu-check` found.

use cellgate_models::model::Precision;
use serde::Serialize;
use std::collections::BTreeMap;

/// The state of a finding, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// Not checked, because it was not asked for.
    Skipped,
    /// The appliance would run, but something that it should have is missing or different.
    Warning,
    /// Missing or different, or not checkable because something else is missing. The appliance would not start, or would not
    /// judge.
    Failure,
}

impl FindingState {
    /// The state's name in a table.
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

/// The result of one check. JSON leaves empty fields out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: &'static str,
    /// The precision, if each precision has its own finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// Whether what was checked is as it should be.
    pub state: FindingState,
    /// What was found. For a warning or a failure also what to do.
    pub found: String,
    /// The figures in `found`. If a figure has a unit, its name ends in the unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Finding {
    /// A finding without precision and figures.
    pub fn new(what: &'static str, state: FindingState, found: impl Into<String>) -> Self {
        Self { what, precision: None, state, found: found.into(), figures: BTreeMap::new() }
    }

    /// A finding with the state `Ok`.
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Ok, found)
    }

    /// A finding with the state `Warning`.
    pub fn warning(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Warning, found)
    }

    /// A finding with the state `Failure`.
    pub fn failure(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Failure, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_leaves_empty_fields_out() {
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
