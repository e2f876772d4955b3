//! The CUDA kernels run on the processor: the launches of a [`LaunchSequence`] executed in turn, the very sources and the very list
//! that a GPU gets.
//!
//! It shows that the arithmetic, the addresses and the order of launches are right. It can't show races between threads
//! (but for those that the order of threads gives away), what a GPU's memory model allows, or that the device's compiler
//! and its memory are in order: `compare` of `cellgate_edge::convert::cuda` does that on a GPU.
#![expect(unsafe_code, reason = "calls the kernels, compiled from C++")]

use anyhow::{Result, ensure};
use cellgate_edge::convert::{Argument, Launch, LaunchSequence, LaunchStep};
use std::ffi::{CStr, CString, c_char, c_void};

unsafe extern "C" {
    fn cellgate_run_kernel(
        name: *const c_char,
        blocks: *const u32,
        threads: u32,
        shared: *mut u8,
        backward: bool,
        addresses: *const *const c_void,
        sizes: *const usize,
        number: usize,
    ) -> bool;
}

/// In which order blocks, and the threads of each, take their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the first to the last.
    Forward,
    /// From the last to the first.
    Backward,
}

/// What memory holds before anything is written to it, so that reading it shows.
const GARBAGE: u8 = 0xa5;

/// Bytes after the sequence's memory, the tensor and shared memory that must stay as they are.
const GUARD: usize = 4096;

/// Memory aligned for a device, with a guard behind it.
struct Memory {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Memory {
    fn new(len: usize) -> Self {
        let bytes = vec![GARBAGE; len + GUARD + LaunchSequence::ALIGNMENT];
        let start = bytes.as_ptr().align_offset(LaunchSequence::ALIGNMENT);
        Self { bytes, start, len }
    }

    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..][..self.len]
    }

    fn check(&self, what: &str) -> Result<()> {
        let guard = &self.bytes[self.start + self.len..][..GUARD];
        ensure!(guard.iter().all(|&byte| byte == GARBAGE), "{what} was overrun");
        Ok(())
    }
}

/// The tensor's bytes that `sequence` makes of an image's `levels`.
///
/// # Errors
/// A kernel writes behind its memory.
///
/// # Panics
/// The levels are not those of an image of the sequence's size.
pub fn run(sequence: &LaunchSequence, levels: &[u16], order: Order) -> Result<Vec<u8>> {
    assert_eq!(levels.len(), sequence.image().pixels(), "levels of another size");
    let mut memory = Memory::new(sequence.bytes());
    let mut tensor = Memory::new(sequence.tensor_bytes());
    memory.as_mut()[..sequence.fixed().len()].copy_from_slice(sequence.fixed());
    let room = memory.as_mut()[sequence.levels()].as_chunks_mut().0;
    room.iter_mut().zip(levels).for_each(|(to, level)| *to = level.to_ne_bytes());
    for step in sequence.steps() {
        match step {
            LaunchStep::Clear(range) => memory.as_mut()[range.clone()].fill(0),
            LaunchStep::Launch(launch) => launch_on_cpu(launch, &mut memory, &mut tensor, order)?,
        }
        memory.check("the sequence's memory")?;
        tensor.check("the tensor")?;
    }
    Ok(tensor.as_mut().to_vec())
}

fn launch_on_cpu(launch: &Launch, memory: &mut Memory, tensor: &mut Memory, order: Order) -> Result<()> {
    let (memory, tensor) = (memory.as_mut(), tensor.as_mut());
    let addresses: Vec<*mut u8> = launch
        .arguments
        .iter()
        .map(|argument| match argument {
            Argument::Memory(offset) => memory[*offset..].as_mut_ptr(),
            Argument::Tensor => tensor.as_mut_ptr(),
            Argument::Value(_) => std::ptr::null_mut(),
        })
        .collect();
    let arguments: Vec<*const c_void> = launch
        .arguments
        .iter()
        .zip(&addresses)
        .map(|(argument, address)| match argument {
            Argument::Value(bytes) => bytes.as_ptr().cast(),
            _ => std::ptr::from_ref(address).cast(),
        })
        .collect();
    let sizes: Vec<usize> = launch
        .arguments
        .iter()
        .map(|argument| match argument {
            Argument::Value(bytes) => bytes.len(),
            _ => size_of::<*mut u8>(),
        })
        .collect();
    let mut shared = Memory::new(launch.shared_bytes as usize);
    let name: &CStr = &CString::new(launch.kernel.name())?;
    // SAFETY: the arguments are alive until it returns, and their number and sizes are compared with those that the kernel
    // takes. Where in the memory behind them it reads and writes is up to the sequence, as on a device; the guards tell.
    let found = unsafe {
        cellgate_run_kernel(
            name.as_ptr(),
            launch.blocks.as_ptr(),
            launch.threads,
            shared.as_mut().as_mut_ptr(),
            order == Order::Backward,
            arguments.as_ptr(),
            sizes.as_ptr(),
            sizes.len(),
        )
    };
    ensure!(found, "no kernel {name:?} that takes arguments of {sizes:?} bytes was compiled for the processor");
    shared.check(launch.kernel.name())
}
