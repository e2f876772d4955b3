//! Reads which GPU this machine has, in the form that identifies a plan.

use crate::convert::cuda::{CudaError, GpuInfo, gpu_info};
use cellgate_models::plan::ComputeCapability;
use cellgate_models::plan::cache::Gpu;

/// Name, number of multiprocessors and compute capability of the first GPU in the driver's order. `CUDA_VISIBLE_DEVICES` changes
/// that order.
///
/// # Errors
/// [`CudaError`]: there is no driver, it is too old, or it knows no GPU.
pub fn detect() -> Result<Gpu, CudaError> {
    gpu_info().map(|info| gpu(&info))
}

/// The GPU in the form that identifies a plan. The number of multiprocessors is needed, because several kinds of Jetson share a
/// name.
fn gpu(info: &GpuInfo) -> Gpu {
    let small = |number| u8::try_from(number).unwrap_or(u8::MAX);
    let (major, minor) = info.capability;
    let text = format!("{}, {} multiprocessors", info.name, info.multiprocessors);
    Gpu::new(Some(&text), ComputeCapability::new(small(major), small(minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_is_named_by_its_name_and_multiprocessors() {
        let info = GpuInfo { name: "Orin".to_owned(), capability: (8, 7), multiprocessors: 16, is_integrated: true };
        assert_eq!(gpu(&info).to_string(), "Orin, 16 multiprocessors (sm87)");
        assert_ne!(gpu(&info), gpu(&GpuInfo { multiprocessors: 8, ..info.clone() }));
    }

    #[test]
    fn the_gpu_has_a_name_or_the_error_names_cuda() {
        match detect() {
            Ok(gpu) => assert!(gpu.name().is_some() && gpu.capability().major >= 3, "{gpu}"),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("CUDA") || text.contains("libcuda"), "{text}");
            }
        }
    }
}
