//! Prints JSON lines.

use cellgate_edge::journal::ExportLine;
use std::io::Write;

/// Prints a record or an event as one line.
pub(super) fn write_json(output: &mut impl Write, line: &ExportLine<'_>) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(output.write_all(&text)?)
}
