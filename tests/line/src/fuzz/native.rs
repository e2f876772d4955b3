//! A second, simple decoder of native frames, to compare the protocol's decoder with.

use super::bits::crc_32c;

/// The body of a frame. `stuffed` holds the bytes between two delimiters, in which COBS has replaced the zeros. `None` if the
/// COBS lengths or the CRC are wrong.
fn opened(stuffed: &[u8]) -> Option<Vec<u8>> {
    let (mut raw, mut rest) = (Vec::new(), stuffed);
    while let Some((code, after)) = rest.split_first() {
        let (block, after) = after.split_at_checked(usize::from(*code).checked_sub(1)?)?;
        raw.extend(block);
        rest = after;
        if *code != 255 && !rest.is_empty() {
            raw.push(0);
        }
    }
    let (body, check) = raw.split_last_chunk::<4>()?;
    (crc_32c(body).to_le_bytes() == *check).then(|| body.to_vec())
}

/// Collects the bytes between delimiters.
#[derive(Default)]
pub(crate) struct Reader {
    waiting: Vec<u8>,
}

impl Reader {
    /// The bodies of the frames with a right CRC that end in these bytes.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut bodies = Vec::new();
        for byte in bytes {
            if *byte == 0 {
                bodies.extend(opened(&self.waiting));
                self.waiting.clear();
            } else {
                self.waiting.push(*byte);
            }
        }
        bodies
    }
}
