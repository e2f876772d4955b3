//! Defines the steps of a launch sequence: kernel launches, and memory to clear.

use crate::convert::Kernel;
use std::ops::Range;

/// An argument of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// The bytes of a structure that is passed by value, in the layout of the kernel's source.
    Value(Vec<u8>),
    /// An address in the sequence's memory, as an offset in bytes.
    Memory(usize),
    /// The address of the tensor.
    Tensor,
}

/// A launch of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// Blocks along x and y.
    pub blocks: [u32; 2],
    /// Threads per block, a multiple of 32.
    pub threads: u32,
    /// Bytes of shared memory per block, at most [`Launch::SHARED_BYTES`].
    pub shared_bytes: u32,
    /// The arguments, in the order of the kernel's parameters.
    pub arguments: Vec<Argument>,
}

impl Launch {
    /// Bytes of shared memory that a block can have on every GPU without asking the driver for more.
    pub const SHARED_BYTES: u32 = 48 << 10;
}

/// One step of a launch sequence. A step sees all memory that earlier steps wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaunchStep {
    /// Sets this range of the sequence's memory to 0.
    Clear(Range<usize>),
    /// Runs a kernel.
    Launch(Launch),
}
