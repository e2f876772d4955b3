//! The members of a text in JSON.
//!
//! Not a parser of JSON: Python writes numbers into it that JSON does not know (NaN), and no memory is taken here.

use super::claim::Planes;
use super::clock::Clock;
use super::error::Refusal;

/// A name with what follows it.
pub(super) struct Member<'a> {
    /// Objects and lists that it lies in: 1 for the members of the outermost object.
    pub(super) depth: u32,
    pub(super) name: &'a [u8],
    /// The text behind the colon, to the end of the whole.
    pub(super) value: &'a [u8],
}

/// What `claim` makes of the first member of `text` in which it finds planes.
///
/// # Errors
/// Limit: the time is over; and those of `claim`.
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

/// Bytes before the quotation mark that ends a string.
fn string_len(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(text.len())
}
