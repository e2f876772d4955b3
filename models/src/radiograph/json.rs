//! Finds the fields of a text in JSON.
//!
//! A usual JSON parser can't be used: it refuses NaN, which Python writes, and it allocates memory.

use super::claim::Planes;
use super::clock::Clock;
use super::error::Refusal;

/// A field: its name and the text after it.
pub(super) struct Member<'a> {
    /// The number of objects and lists around the field: 1 for a field of the outermost object.
    pub(super) depth: u32,
    pub(super) name: &'a [u8],
    /// The text from the byte after the colon to the end of the whole text.
    pub(super) value: &'a [u8],
}

/// Calls `claim` for each field of `text` until `claim` returns planes. Returns these planes, or `None` if no field claims planes.
///
/// # Errors
/// Limit: the time limit has passed. All errors of `claim`.
pub(super) fn find(
    text: &[u8],
    clock: &mut Clock,
    claim: impl Fn(Member<'_>) -> Result<Option<Planes>, Refusal>,
) -> Result<Option<Planes>, Refusal> {
    let (mut at, mut depth) = (0, 0_u32);
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let len = string_len(&text[at..]);
                let (name, rest) = text[at..].split_at(len);
                clock.work(len)?;
                at += len + 1;
                if let Some(value) = rest.get(1..).unwrap_or_default().trim_ascii_start().strip_prefix(b":")
                    && let Some(planes) = claim(Member { depth, name, value })?
                {
                    return Ok(Some(planes));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The number of bytes in `text` before the quotation mark that ends a string.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}
