//! Gives access to the 16-bit registers inside a request or response.

use core::fmt;

/// Consecutive registers: words in memory, or bytes of a frame, high byte first.
#[derive(Clone, Copy)]
pub struct Registers<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Words(&'a [u16]),
    Bytes(&'a [[u8; 2]]),
}

impl<'a> Registers<'a> {
    /// Registers with these values.
    #[must_use]
    pub const fn new(words: &'a [u16]) -> Self {
        Self(Source::Words(words))
    }

    /// The registers in a frame's bytes. `None` if the number of bytes is odd.
    #[must_use]
    pub const fn from_bytes(bytes: &'a [u8]) -> Option<Self> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        if rest.is_empty() { Some(Self(Source::Bytes(pairs))) } else { None }
    }

    /// The number of registers.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Words(words) => words.len(),
            Source::Bytes(pairs) => pairs.len(),
        }
    }

    /// Are there no registers?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The register at `index`. `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u16> {
        match self.0 {
            Source::Words(words) => words.get(index).copied(),
            Source::Bytes(pairs) => pairs.get(index).copied().map(u16::from_be_bytes),
        }
    }

    /// The registers in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + 'a {
        let registers = *self;
        (0..registers.len()).map_while(move |index| registers.get(index))
    }

    /// All registers, if there are exactly `N`.
    #[must_use]
    pub fn to_array<const N: usize>(&self) -> Option<[u16; N]> {
        (self.len() == N).then(|| core::array::from_fn(|index| self.get(index).unwrap_or_default()))
    }
}

impl PartialEq for Registers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Registers<'_> {}

impl fmt::Debug for Registers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_bytes_are_the_same_registers() {
        let words = Registers::new(&[0x0102, 0xFF00]);
        assert_eq!(Registers::from_bytes(&[1, 2, 0xFF, 0]), Some(words));
        assert_eq!(words.to_array(), Some([0x0102, 0xFF00]));
        assert_eq!(words.to_array::<3>(), None);
        assert_eq!(words.get(2), None);
        assert_eq!(Registers::from_bytes(&[1, 2, 3]), None);
    }
}
