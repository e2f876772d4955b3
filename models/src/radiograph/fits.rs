//! Finds a claim of several planes in a FITS header that a converter kept as ImageDescription: cards of 80 characters, or one card
//! per line of text.

use super::claim::Planes;
use super::clock::Clock;
use super::directory::Tag;
use super::error::Refusal;

const CARD_BYTES: usize = 80;

/// The claim of several planes in `text`, the value of `tag`: the third or a higher axis (such as `NAXIS3`) is longer than 1.
///
/// # Errors
/// Limit: the time limit has passed.
pub(super) fn planes(text: &[u8], tag: Tag, clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')) {
        clock.work(line.len() + 1)?;
        for card in line.chunks(CARD_BYTES) {
            let Some((axis, length)) = axis_of(card).filter(|(axis, length)| *axis > 2 && *length > 1) else {
                continue;
            };
            return Ok(Some(Planes::of_tag(tag, length, &format!("FITS NAXIS{axis} = {length}"))));
        }
    }
    Ok(None)
}

/// The number and length of the axis in `card`.
fn axis_of(card: &[u8]) -> Option<(u64, u64)> {
    let (key, value) = str::from_utf8(card).ok()?.split_once('=')?;
    let axis = key.trim().strip_prefix("NAXIS")?.parse().ok()?;
    let length = value.split('/').next()?.trim().parse().ok()?;
    Some((axis, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_third_axis_above_1_claims_planes() {
        let cards = |axes: &[&str]| axes.iter().map(|card| format!("{card:<80}")).collect::<String>();
        let head = ["SIMPLE  =                    T / FITS", "NAXIS1  = 80", "NAXIS2  = 60"];
        for (axis, planes) in [("NAXIS3  =                    5 / planes", 5), ("NAXIS3  = 1", 1), ("NAXIS   = 3", 1)] {
            for text in [cards(&[&head[..], &[axis]].concat()), [&head[..], &[axis]].concat().join("\n")] {
                let mut clock = Clock::start(Duration::from_secs(60));
                let found = super::planes(text.as_bytes(), Tag(270, "ImageDescription"), &mut clock).unwrap();
                assert_eq!(found.map_or(1, |planes| planes.count.unwrap()), planes, "{text}");
            }
        }
    }
}
