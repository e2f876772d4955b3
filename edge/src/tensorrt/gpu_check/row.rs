//! Makes the table's rows, one finding each, and formats them as lines of text.

use crate::finding::{Finding, FindingState};
use cellgate_models::model::Precision;

/// The table's width in characters.
const COLUMNS: usize = 120;
/// The column, in characters, at which the text begins, after state and name.
const INDENT: usize = 30;

/// A finding, and whether the GPU was lost.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) finding: Finding,
    /// Whether the GPU was lost, so that this process can't use it any more.
    pub(super) is_gpu_lost: bool,
}

impl Row {
    /// A row with the given state, for a GPU that was not lost.
    pub(super) fn new(what: &'static str, state: FindingState, found: impl Into<String>) -> Self {
        Self { finding: Finding::new(what, state, found), is_gpu_lost: false }
    }

    /// A row for a check that passed.
    pub(super) fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Ok, found)
    }

    /// A row for a check that was not requested.
    pub(super) fn skipped(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, FindingState::Skipped, found)
    }

    /// A row for a check that failed. Line breaks in `found` become spaces.
    pub(super) fn failure(what: &'static str, found: impl AsRef<str>) -> Self {
        let found: Vec<_> = found.as_ref().split_whitespace().collect();
        Self::new(what, FindingState::Failure, found.join(" "))
    }

    /// The row for the result of a check.
    pub(super) fn of(what: &'static str, result: Result<String, String>) -> Self {
        result.map_or_else(|error| Self::failure(what, error), |found| Self::ok(what, found))
    }

    /// The row, marked as one of `precision`.
    pub(super) fn with_precision(mut self, precision: Precision) -> Self {
        self.finding.precision = Some(precision);
        self
    }

    /// The row, marked if the GPU was lost.
    pub(super) fn losing_gpu(self, is_gpu_lost: bool) -> Self {
        Self { is_gpu_lost, ..self }
    }

    /// The row with the exact figures, which its text rounds.
    pub(super) fn with_figures<const N: usize>(mut self, figures: [(&'static str, f64); N]) -> Self {
        self.finding.figures = figures.into();
        self
    }
}

/// The table's heading.
#[must_use]
pub fn header() -> String {
    lines("STATE", "WHAT", "FOUND")
}

/// A finding as lines of text of at most 120 columns. The first one begins with state and name. A word that is longer than the
/// space has a line of text of its own, which may be longer than 120 columns.
#[must_use]
pub fn to_lines(finding: &Finding) -> String {
    let precision = finding.precision.map(|precision| format!(" {precision}")).unwrap_or_default();
    lines(finding.state.name(), &format!("{}{precision}", finding.what), &finding.found)
}

fn lines(state: &str, name: &str, text: &str) -> String {
    let mut all = format!("{state:<8} {name:<20}");
    let mut column = all.chars().count();
    // Several spaces in a row, which align a number, are kept: between two of them, `split` finds an empty word.
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
        let lines = to_lines(&row.with_precision(Precision::F16).finding);
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
        let row = Row::ok("latency read", "p50   1.00 ms");
        assert_eq!(to_lines(&row.finding), "OK       latency read         p50   1.00 ms");
        assert_eq!(header(), "STATE    WHAT                 FOUND");
    }
}
