//! Writes the report of `check` as text.

use super::envelope::MIN_BUNDLES;
use super::{Agreement, CheckReport, EnvelopeCheck, Finding, GroupFacts, Range, Severity};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt;

/// Largest number of findings of one kind to print. Further findings of the kind are only counted.
const MAX_FINDINGS_PER_KIND: usize = 10;

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", bundle_table(self))?;
        if let Some(digest) = self.digest {
            writeln!(out, "digest {digest}")?;
        }
        match &self.envelope {
            Some(EnvelopeCheck { images, outside, .. }) => {
                writeln!(out, "{outside} of {images} images are outside of the envelope of the other bundles")?;
            }
            None => writeln!(out, "no envelope: it needs readable images of at least {MIN_BUNDLES} bundles")?,
        }
        if let Some(agreement) = &self.agreement {
            writeln!(out, "\n{}", agreement_table(agreement))?;
            // With two annotators, Cohen's kappa in the table suffices.
            if agreement.annotators.len() > 2 {
                write!(out, "Fleiss' kappa {} over ", figure(agreement.fleiss_kappa))?;
            }
            writeln!(
                out,
                "{} parts that all {} annotators judged; disputed parts: {}; labels against the majority: {}",
                agreement.judged_by_all,
                agreement.annotators.len(),
                agreement.disputed.len(),
                agreement.against_majority.len(),
            )?;
        }
        if !self.findings.is_empty() {
            writeln!(out)?;
        }
        for findings in self.findings.chunk_by(|one, other| one.kind == other.kind) {
            for finding in findings.iter().take(MAX_FINDINGS_PER_KIND) {
                writeln!(out, "{}: {}", name(finding), finding.message)?;
            }
            if let Some(more) = findings.len().checked_sub(MAX_FINDINGS_PER_KIND + 1) {
                writeln!(out, "{}: {} more of this kind (--json lists all)", name(&findings[0]), more + 1)?;
            }
        }
        let counted = |severity, one: &str| match self.count(severity) {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        writeln!(out, "\n{}, {}", counted(Severity::Error, "error"), counted(Severity::Warning, "warning"))
    }
}

/// The name of the finding's severity.
fn name(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn bundle_table(report: &CheckReport) -> Table {
    let mut table =
        table(["bundle", "images", "normal", "abnormal", "height", "width", "darkest", "brightest", "note"]);
    for group in report.bundles.iter().chain([&report.all]) {
        table.add_row([
            group.bundle.clone(),
            group.images.to_string(),
            group.normal.to_string(),
            group.abnormal.to_string(),
            range(group.height),
            range(group.width),
            range(group.darkest),
            range(group.brightest),
            note(group),
        ]);
    }
    align_right(&mut table, 1..8);
    table
}

fn note(group: &GroupFacts) -> String {
    let mut notes = Vec::new();
    if group.unreadable > 0 {
        notes.push(format!("{} unreadable", group.unreadable));
    }
    if group.normal == 0 || group.abnormal == 0 {
        notes.push("one class".into());
    }
    notes.join(", ")
}

fn agreement_table(agreement: &Agreement) -> Table {
    let mut table = table(["annotators", "parts", "agreement", "Cohen's kappa"]);
    for pair in &agreement.pairs {
        table.add_row([
            format!("{}, {}", pair.first, pair.second),
            pair.parts.to_string(),
            pair.agreement.map_or_else(|| "n/a".into(), |share| format!("{:.1} %", share * 100.0)),
            figure(pair.cohen_kappa),
        ]);
    }
    align_right(&mut table, 1..4);
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A kappa with three decimals.
fn figure(value: Option<f64>) -> String {
    value.map_or_else(|| "n/a".into(), |value| format!("{value:.3}"))
}

/// Writes a range as smallest..mean..largest, or as one figure if all values are the same.
fn range(range: Option<Range>) -> String {
    match range {
        None => "n/a".into(),
        Some(Range { min, max, .. }) if min == max => format!("{min:.0}"),
        Some(Range { min, mean, max }) => format!("{min:.0}..{mean:.0}..{max:.0}"),
    }
}
