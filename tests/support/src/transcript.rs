//! Turns the output of a program into text for a snapshot.

use std::path::Path;
use std::process::Output;

/// Exit status, stdout and stderr of a program, with the path of `folder` replaced by `FOLDER`.
///
/// Other values that differ between runs (times, digests, process ids) need filters of the snapshot.
#[must_use]
pub fn transcript(output: &Output, folder: &Path) -> String {
    let status = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&*folder.to_string_lossy(), "FOLDER");
    let mut transcript = format!("exit status: {status}\n");
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        if !bytes.is_empty() {
            transcript += &format!("--- {name}\n{}", text(bytes));
        }
    }
    transcript
}
