//! Sets the precision and the algorithms that libtorch uses on a GPU.
//!
//! By default, cuDNN rounds the inputs of a convolution to TF32, which has three decimal digits less than f32, and may choose
//! algorithms whose sums have another order in each run. The features and the gradients of a GPU should be those of the CPU up
//! to rounding, and the same in each run as far as possible. `tch` has no functions for these settings.
#![expect(unsafe_code, reason = "calls functions of libtorch that tch has no bindings for")]

use std::ffi::c_void;

// Member functions of libtorch's class at::Context, by their names in the Itanium C++ ABI. They take the object as the first
// argument. A libtorch without one of them fails when the program is linked.
unsafe extern "C" {
    /// `at::Context& at::globalContext()`
    #[link_name = "_ZN2at13globalContextEv"]
    fn global_context() -> *mut c_void;
    /// `void at::Context::setAllowTF32CuDNN(bool)`
    #[link_name = "_ZN2at7Context17setAllowTF32CuDNNEb"]
    fn set_allow_tf32_cudnn(context: *mut c_void, is_allowed: bool);
    /// `void at::Context::setAllowTF32CuBLAS(bool)`
    #[link_name = "_ZN2at7Context18setAllowTF32CuBLASEb"]
    fn set_allow_tf32_cublas(context: *mut c_void, is_allowed: bool);
    /// `void at::Context::setDeterministicCuDNN(bool)`
    #[link_name = "_ZN2at7Context21setDeterministicCuDNNEb"]
    fn set_deterministic_cudnn(context: *mut c_void, is_deterministic: bool);
}

/// Forbids TF32 in all convolutions and matrix products, also in the backward pass, and makes cuDNN choose deterministic
/// algorithms. The environment variable `TORCH_ALLOW_TF32_CUBLAS_OVERRIDE` has no effect then.
pub(super) fn forbid_tf32_and_random_order() {
    // SAFETY: libtorch makes its only context at the first call, and it lives until the process ends. The functions write
    // settings, which nothing reads before CUDA is used.
    unsafe {
        let context = global_context();
        set_allow_tf32_cudnn(context, false);
        set_allow_tf32_cublas(context, false);
        set_deterministic_cudnn(context, true);
    }
}
