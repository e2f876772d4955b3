//! Runs the CUDA kernels on the processor: executes the launches of a [`LaunchSequence`] one after the other. Source code and list of
//! launches are the same as for a GPU.
//!
//! This proves the arithmetic, the addresses and the order of launches. It can't show races between threads, except those that
//! depend on the order of threads: `tests/offline/kernel_threads` shows them. Neither shows effects of a GPU's memory model, or faults
//! of the GPU's compiler and memory. `compare` of `cellgate_edge::convert::cuda` checks these on a GPU.
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

/// The order in which blocks, and the threads of each block, run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the first to the last.
    Forward,
    /// From the last to the first.
    Backward,
}

/// The initial content of memory, so that reading uninitialised memory changes results.
const GARBAGE: u8 = 0xa5;

/// Guard bytes after the sequence's memory, the tensor and shared memory. They must not change.
const GUARD: usize = 4096;

/// Memory aligned as on a GPU, followed by guard bytes.
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

/// Runs `sequence` on an image's `levels` and returns the bytes of the tensor.
///
/// # Errors
/// A kernel writes beyond its memory.
///
/// # Panics
/// The number of levels is not that of the sequence's image size.
pub fn run(sequence: &LaunchSequence, levels: &[u16], order: Order) -> Result<Vec<u8>> {
    assert_eq!(levels.len(), sequence.image_size().pixels(), "levels of another size");
    let mut memory = Memory::new(sequence.bytes());
    let mut tensor = Memory::new(sequence.tensor_bytes());
    memory.as_mut()[..sequence.fixed().len()].copy_from_slice(sequence.fixed());
    let for_levels = memory.as_mut()[sequence.levels()].as_chunks_mut().0;
    for_levels.iter_mut().zip(levels).for_each(|(to, level)| *to = level.to_ne_bytes());
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
    // SAFETY: the arguments live until the function returns, and it compares their number and sizes with those of the kernel.
    // The sequence decides where the kernel reads and writes in the memory of its arguments, as on a GPU. The guard bytes detect
    // overruns.
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
