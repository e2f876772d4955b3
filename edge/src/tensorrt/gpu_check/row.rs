//! The table's rows: one finding each.

use cellgate_models::bundle::Precision;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many columns the table has.
const COLUMNS: usize = 120;
/// Where the text begins, behind state and name.
const INDENT: usize = 30;

/// How one thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not looked at, as nobody asked for it.
    Skipped,
    /// Missing, different, or not to be looked at for what is missing.
    Failure,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Skipped => "SKIPPED",
            Self::Failure => "FAILURE",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What.
    pub what: &'static str,
    /// Of which precision, where there is a row for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
    /// How it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// The figures in it, by names that end in their unit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<&'static str, f64>,
    /// Whether the GPU was lost, so that nothing else in this process can be found out from it.
    #[serde(skip)]
    pub(super) is_gpu_lost: bool,
}

impl Row {
    /// A row of what is as it should be.
    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        let (precision, state, figures) = (None, State::Ok, BTreeMap::new());
        Self { what, precision, state, found: found.into(), figures, is_gpu_lost: false }
    }

    /// A row of what was not asked for.
    pub(super) fn skipped(what: &'static str, found: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(what, found) }
    }

    /// A row of what is wrong; an error that lists places line by line becomes one line.
    pub(super) fn failure(what: &'static str, found: impl AsRef<str>) -> Self {
        let found: Vec<_> = found.as_ref().split_whitespace().collect();
        Self { state: State::Failure, ..Self::ok(what, found.join(" ")) }
    }

    /// The row that becomes of a look.
    pub(super) fn of(what: &'static str, looked: Result<String, String>) -> Self {
        looked.map_or_else(|error| Self::failure(what, error), |found| Self::ok(what, found))
    }

    /// The same, of that precision.
    pub(super) fn with_precision(self, precision: Precision) -> Self {
        Self { precision: Some(precision), ..self }
    }

    /// The same, with which the GPU was lost where that is so.
    pub(super) fn losing_gpu(self, is_gpu_lost: bool) -> Self {
        Self { is_gpu_lost, ..self }
    }

    /// The same, with the figures that its text has rounded.
    pub(super) fn with_figures<const N: usize>(self, figures: [(&'static str, f64); N]) -> Self {
        Self { figures: figures.into(), ..self }
    }

    /// The table's first line.
    #[must_use]
    pub fn header() -> String {
        lines("STATE", "WHAT", "FOUND")
    }

    /// The row as lines of at most 120 columns, the first with state and name. A longer word has a line of its own.
    #[must_use]
    pub fn to_lines(&self) -> String {
        let precision = self.precision.map(|precision| format!(" {precision}")).unwrap_or_default();
        lines(self.state.name(), &format!("{}{precision}", self.what), &self.found)
    }
}

fn lines(state: &str, name: &str, text: &str) -> String {
    let mut all = format!("{state:<8} {name:<20}");
    let mut column = all.chars().count();
    // Between two spaces that align a number there is no word.
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > INDENT && column + 1 + width > COLUMNS {
            all += &format!("\n{:<1$}", "", INDENT - 1);
            column = INDENT - 1;
        }
        all += " ";
        all += word;
        column += 1 + width;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_row_is_wrapped_beside_its_name() {
        let row = Row::failure("plan built", format!("{}\n  /a/place\n{}", "word ".repeat(30), "x".repeat(130)));
        let lines = row.with_precision(Precision::F16).to_lines();
        let lines: Vec<_> = lines.lines().collect();
        assert!(lines[0].starts_with("FAILURE  plan built f16       word word"), "{lines:?}");
        assert_eq!(lines.len(), 3, "{lines:?}");
        for line in &lines[1..] {
            assert_eq!(line.find(|character| character != ' '), Some(INDENT), "{line}");
        }
        assert!(lines[..2].iter().all(|line| line.len() <= COLUMNS) && lines[1].ends_with(" /a/place"), "{lines:?}");
    }

    #[test]
    fn numbers_stay_aligned() {
        assert_eq!(Row::ok("latency read", "p50   1.00 ms").to_lines(), "OK       latency read         p50   1.00 ms");
        assert_eq!(Row::header(), "STATE    WHAT                 FOUND");
    }

    #[test]
    fn json_has_what_there_is() {
        let row = Row::ok("copy rate", "1 GB/s").with_figures([("bytes_per_s", 1e9)]);
        let expected = r#"{"what":"copy rate","state":"ok","found":"1 GB/s","figures":{"bytes_per_s":1000000000.0}}"#;
        assert_eq!(serde_json::to_string(&row).unwrap(), expected);
        let row = Row::skipped("latency", "").with_precision(Precision::F32);
        let expected = r#"{"what":"latency","precision":"f32","state":"skipped","found":""}"#;
        assert_eq!(serde_json::to_string(&row).unwrap(), expected);
    }
}
