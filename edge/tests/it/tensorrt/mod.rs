//! What needs TensorRT for RTX, and no GPU: gcc too, for libraries that only pretend.

mod building;
mod device;
mod gpu_check;
mod plan;
mod without_tensorrt;
