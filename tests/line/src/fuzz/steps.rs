//! Reads a fuzzer's input as a list of steps. Every input is a valid list.

/// The bytes of an input that were not read yet. Reads after the input's end give zeros.
pub(crate) struct Steps<'a>(&'a [u8]);

impl<'a> Steps<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// Reads a length byte and then that number of bytes, or as many as there are.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Flips 1 to 8 bits of the frame if the next byte is 0xC0 or more, which is true for one of four random bytes.
    pub(crate) fn damage(&mut self, frame: &mut [u8]) {
        let choice = self.byte();
        for _ in 0..choice.saturating_sub(0xB8) / 8 {
            let at = usize::from(self.byte()) * 2 + usize::from(choice & 1);
            frame[at % frame.len()] ^= 1 << (self.byte() % 8);
        }
    }
}
