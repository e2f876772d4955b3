//! An input as a list of steps: whatever the bytes are, they mean something.

/// What is left of an input; behind its end there are zeros.
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

    /// So many bytes as the first of them says, as far as there are that many.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    /// Turns up to 8 bits, where the next byte asks for it: one in four does.
    pub(crate) fn damage(&mut self, frame: &mut [u8]) {
        let wish = self.byte();
        for _ in 0..wish.saturating_sub(0xB8) / 8 {
            let at = usize::from(self.byte()) * 2 + usize::from(wish & 1);
            frame[at % frame.len()] ^= 1 << (self.byte() % 8);
        }
    }
}
