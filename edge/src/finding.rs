//! What `doctor` and `gpu-check` say of one thing that was looked at.

use cellgate_models::model::Precision;
use serde::Serialize;
use std::collections::BTreeMap;

/// How one thing is, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// As it should be.
    Ok,
    /// Not looked at, as nobody asked for it.
    Skipped,
    /// The appliance would run, with less than it should have.
    Warning,
    /// Missing or different, or not to be looked at for what is missing: the appliance would not start, or judge nothing.
    Failure,
}

impl FindingState {
    /// The word for it in a table.
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

/// One thing that was looked at. As JSON it has the fields that are not empty.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// Of which precision, where there is a finding for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// How it is.
    pub state: FindingState,
    /// What was found; where it is not as it should be, with what to do.
    pub found: String,
    /// The figures in it, by names that end in their unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
}

impl Finding {
    /// A finding without precision and figures.
    pub fn new(what: &'static str, state: FindingState, found: impl Into<String>) -> Self {
        Self { what, precision: None, state, found: found.into(), figures: BTreeMap::new() }
    }

    /// Of what is as it should be.
    pub fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Ok, found)
    }

    /// Of what leaves the appliance with less than it should have.
    pub fn warning(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Warning, found)
    }

    /// Of what is missing or different.
    pub fn failure(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Failure, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_what_there_is() {
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
