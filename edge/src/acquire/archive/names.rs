//! Forms and recognises the names of the archive's folders and images.

use crate::journal::format_utc_ms;
use cellgate_models::radiograph::has_tiff_name;
use std::path::Path;
use std::time::SystemTime;

/// The name in the archive, without its extension, of an image that was at `path` until `time` and was not judged.
#[must_use]
pub fn unjudged_name(path: &Path, time: SystemTime) -> String {
    format!("unjudged-{}-{}", unix_ms(time), path.file_stem().unwrap_or_default().to_string_lossy())
}

fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The day of `time` in UTC, such as `2026-11-23`.
pub(super) fn day(time: SystemTime) -> String {
    let mut utc = format_utc_ms(unix_ms(time));
    utc.truncate("2026-11-23".len());
    utc
}

/// Whether the name is that of a day, such as `2026-11-23`.
pub(super) fn is_day(name: &str) -> bool {
    name.len() == "2026-11-23".len()
        && name
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() })
}

/// Whether the appliance gave the name: `0000000007-12-PASS.tif`, `0000000008-free-REJECT.tif` or
/// `unjudged-1795432671000-12.tif`.
pub(super) fn is_own(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let mut words = stem.splitn(3, '-');
    let (Some(first), Some(second), Some(third)) = (words.next(), words.next(), words.next()) else { return false };
    // The first word is the number of the journal's row, padded to 10 digits.
    let is_judged = first.len() >= 10
        && is_number(first)
        && (second == "free" || is_number(second))
        && matches!(third, "PASS" | "REVIEW" | "REJECT");
    has_tiff_name(Path::new(name)) && (is_judged || (first == "unjudged" && is_number(second)))
}
