//! Finds a claim of several planes in SCIFIO's text. The text has entries such as `axes=X,Y,Z` and `lengths=80,60,5`, one per line
//! of text. It also has ImageJ's entries, which `description.rs` reads.

use super::claim::Planes;
use super::clock::Clock;
use super::directory::Tag;
use super::error::Refusal;

/// The claim of several planes in `text`, the value of `tag`, by its lengths. The lengths of X and Y do not count. If the text
/// does not name the axes, the first two lengths do not count.
///
/// # Errors
/// Malformed: a length that is not a number, or not one length per axis. Limit: the time limit has passed.
pub(super) fn planes(text: &[u8], tag: Tag, clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    clock.work(2 * text.len())?;
    let Some(lengths) = value_of(text, "lengths") else { return Ok(None) };
    let mut axes = value_of(text, "axes").map(|axes| axes.split(',').map(str::trim));
    let not_understood = || {
        let Tag(number, name) = tag;
        let found = format!("tag {number} ({name}) with SCIFIO's lengths={lengths:.80}");
        Refusal::malformed(found, "one number per axis")
    };
    let mut count = 1_u64;
    for (index, length) in lengths.split(',').enumerate() {
        let length: u64 = length.trim().parse().map_err(|_| not_understood())?;
        let is_in_plane = match &mut axes {
            Some(axes) => matches!(axes.next().ok_or_else(not_understood)?, "X" | "Y" | "x" | "y"),
            None => index < 2,
        };
        if !is_in_plane {
            count = count.saturating_mul(length);
        }
    }
    if axes.is_some_and(|mut axes| axes.next().is_some()) {
        return Err(not_understood());
    }
    Ok((count > 1).then(|| Planes::of_tag(tag, count, &format!("SCIFIO's lengths={lengths:.80}"))))
}

/// The value of the first line of text with the form `key=value`.
fn value_of<'a>(text: &'a [u8], key: &str) -> Option<&'a str> {
    text.split(|byte| matches!(byte, b'\n' | b'\r')).find_map(|line| {
        let (name, value) = str::from_utf8(line).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case(key).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn planes(text: &str) -> Option<u64> {
        let mut clock = Clock::start(Duration::from_secs(60));
        let found = super::planes(text.as_bytes(), Tag(270, "ImageDescription"), &mut clock).ok()?;
        Some(found.map_or(1, |planes| planes.count.unwrap()))
    }

    #[test]
    fn lengths_of_all_axes_but_x_and_y_count() {
        for (text, expected) in [
            ("SCIFIO=0.37\naxes=X,Y,Z\nlengths=80,60,5\n", Some(5)),
            ("SCIFIO=0.37\r\naxes=Channel,X,Y,Time\r\nlengths=2, 80, 60, 3\r\n", Some(6)),
            ("SCIFIO=0.37\nlengths=80,60,5\n", Some(5)),
            ("SCIFIO=0.37\naxes=X,Y\nlengths=80,60\n", Some(1)),
            ("SCIFIO=0.37\naxes=X,Y,Z\nlengths=80,60,1\n", Some(1)),
            ("SCIFIO=0.37\naxes=X,Y,Z\n", Some(1)),
            ("SCIFIO=0.37\naxes=X,Y,Z\nlengths=80,60\n", None),
            ("SCIFIO=0.37\naxes=X,Y\nlengths=80,many\n", None),
        ] {
            assert_eq!(planes(text), expected, "{text}");
        }
    }
}
