//! What a sequence is made of: launches of kernels, and memory that is cleared.

use crate::convert::Kernel;
use std::ops::Range;

/// An argument of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// These bytes: a structure as the kernel's source lays it out.
    Value(Vec<u8>),
    /// The address this many bytes into the sequence's memory.
    Memory(usize),
    /// The address of the tensor.
    Tensor,
}

/// A launch of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What runs.
    pub kernel: Kernel,
    /// Blocks along x and y.
    pub blocks: [u32; 2],
    /// Threads a block, a multiple of 32.
    pub threads: u32,
    /// Bytes of shared memory a block, at most [`Launch::SHARED_BYTES`].
    pub shared_bytes: u32,
    /// In the order of the source.
    pub arguments: Vec<Argument>,
}

impl Launch {
    /// The shared memory that every GPU gives a block without being asked.
    pub const SHARED_BYTES: u32 = 48 << 10;
}

/// One step; each sees what those before it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchStep {
    /// These bytes of the sequence's memory become 0.
    Clear(Range<usize>),
    /// A kernel runs.
    Launch(Launch),
}
