//! Opens a journal for a command.

use cellgate_edge::journal::{Reader, Source};
use std::path::Path;

/// Opens the journal. If its folder can't be written, warns, and logs whether the newest rows may be missing.
pub(super) fn open(path: &Path) -> anyhow::Result<Reader> {
    let reader = Reader::open(path)?;
    let journal = path.display();
    match reader.source() {
        Source::Place => {}
        Source::ReadOnly { log: true } => {
            tracing::warn!(
                event = "journal_read_only",
                %journal,
                has_log = true,
                "the journal's folder can't be written; its log (-wal) was read too"
            );
        }
        Source::ReadOnly { log: false } => tracing::warn!(
            event = "journal_read_only",
            %journal,
            has_log = false,
            "the journal's folder can't be written and holds no log (-wal); if the journal was copied while an appliance ran, the \
             newest verdicts are in the log that was left behind"
        ),
    }
    Ok(reader)
}
