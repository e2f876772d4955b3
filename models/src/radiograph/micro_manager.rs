//! Finds a claim of several planes in Micro-Manager's JSON: the numbers of frames, slices and channels. They count at any depth,
//! because they may be in the outermost object or in an object such as `Summary`.

use super::claim::Planes;
use super::clock::Clock;
use super::directory::Tag;
use super::error::Refusal;
use super::json::{self, Member};

/// The claim of several planes in `text`, the value of `tag`.
///
/// # Errors
/// Limit: the time limit has passed.
pub(super) fn planes(text: &[u8], tag: Tag, clock: &mut Clock) -> Result<Option<Planes>, Refusal> {
    const NAMES: [&str; 3] = ["Frames", "Slices", "Channels"];
    json::find(text, clock, |Member { name, value, .. }| {
        let Some(name) = NAMES.into_iter().find(|known| name == known.as_bytes()) else { return Ok(None) };
        let value = value.trim_ascii_start();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = str::from_utf8(&value[..digits]).ok().filter(|digits| !digits.is_empty());
        // A number too large for 64 bits is above one too.
        let count = number.map_or(1, |digits| digits.parse().unwrap_or(u64::MAX));
        Ok((count > 1).then(|| Planes::of_tag(tag, count, &format!("Micro-Manager's {name} {count}"))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn frames_slices_and_channels_at_any_depth_count() {
        for (text, planes) in [
            (r#"{"Frames": 2}"#, 2),
            (r#"{"Summary": {"Slices":5, "Frames":1}}"#, 5),
            (r#"{"Channels": "3"}"#, 3),
            (r#"{"Frames": 99999999999999999999999}"#, u64::MAX),
            (r#"{"Frames": 1, "Slices": 1, "Channels": 1, "FrameIndex": 7, "Slice": 3}"#, 1),
            (r#"{"Frames": null, "note": "Frames: 7"}"#, 1),
            ("", 1),
        ] {
            let mut clock = Clock::start(Duration::from_secs(60));
            let found = super::planes(text.as_bytes(), Tag(51123, "MicroManagerMetadata"), &mut clock).unwrap();
            assert_eq!(found.map_or(1, |planes| planes.count.unwrap()), planes, "{text}");
        }
    }
}
