//! Measures the copy rate of the GPU's memory, with which `gpu-check` compares the rate of the conversion.

use super::context::context;
use super::{CudaError, driver_version};
use cudarc::driver::sys::CUevent_flags;

/// Bytes of each copy: more than any cache holds.
const BYTES: usize = 256 << 20;
/// Copies that are timed.
const COPIES: usize = 20;

/// Bytes per second that the GPU reads and writes, both together, while it copies within its own memory.
///
/// # Errors
/// [`CudaError`]: the driver can't be used, there is no GPU, or less than 512 MiB of its memory is free.
pub fn copy_rate() -> Result<f64, CudaError> {
    driver_version()?;
    let context = context()?;
    let measured = || {
        let stream = context.new_stream()?;
        let from = stream.alloc_zeros::<u8>(BYTES)?;
        let mut to = stream.alloc_zeros::<u8>(BYTES)?;
        stream.memcpy_dtod(&from, &mut to)?;
        let start = stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        for _ in 0..COPIES {
            stream.memcpy_dtod(&from, &mut to)?;
        }
        let end = stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT))?;
        start.elapsed_ms(&end)
    };
    let ms = measured().map_err(|error| CudaError::from_driver("copying within the GPU's memory", error))?;
    Ok((2 * BYTES * COPIES) as f64 / (f64::from(ms) / 1e3))
}
