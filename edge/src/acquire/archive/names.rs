//! Forms and recognises the names of the archive's folders, images and maps.

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

/// What follows an image's name without its extension in the name of its map. It is not just `.png`, because `inspect --overlay` gives
/// this ending to overlays.
const MAP: &str = ".map.png";

/// The name of the map of the image that is called `name` without its extension.
pub(super) fn map_name(name: &str) -> String {
    format!("{name}{MAP}")
}

/// The name of the file with the map `map_name` until it is complete.
pub(super) fn unfinished(map_name: &str) -> String {
    format!(".{map_name}")
}

/// What the appliance named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Map,
}

/// The image's name without its extension, and what `name` names, if the appliance gave the name. Images are called
/// `0000000007-12-PASS.tif`, `0000000008-free-REJECT.tif` or `unjudged-1795432671000-12.tif`. Maps are called
/// `0000000007-12-PASS.map.png`, with a dot before that until they are complete.
pub(super) fn own(name: &str) -> Option<(&str, Kind)> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (stem, kind) = match name.strip_suffix(MAP) {
        Some(stem) => (stem.strip_prefix('.').unwrap_or(stem), Kind::Map),
        None => (name.rsplit_once('.').filter(|_| has_tiff_name(Path::new(name)))?.0, Kind::Image),
    };
    let mut words = stem.splitn(3, '-');
    let (first, second, third) = (words.next()?, words.next()?, words.next()?);
    // The first word is the number of the journal's row, padded to 10 digits.
    let is_judged = first.len() >= 10
        && is_number(first)
        && (second == "free" || is_number(second))
        && matches!(third, "PASS" | "REVIEW" | "REJECT");
    let is_unjudged = kind == Kind::Image && first == "unjudged" && is_number(second);
    (is_judged || is_unjudged).then_some((stem, kind))
}

/// The number of the journal's row of the image that is called `stem` without its extension. `None` if the image was not judged.
pub(super) fn row(stem: &str) -> Option<u64> {
    stem.split_once('-')?.0.parse().ok()
}
