//! Runs a loop with AVX2 vector instructions if the processor has them. This is the only module of `conversion` with `unsafe`.

#![expect(unsafe_code, reason = "a function compiled for AVX2 may only be called after asking the processor")]

/// A loop that the compiler turns into vector instructions. `run` must be `#[inline(always)]`.
pub(crate) trait Loop {
    /// Runs the loop.
    fn run(self);
}

/// Runs `work`, compiled for AVX2 if the processor has it. The result is the same either way, since it is the same Rust code and
/// the compiler does not contract floating-point operations.
pub(crate) fn run_wide(work: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, the only requirement of this otherwise safe function.
        return unsafe { run_with_avx2(work) };
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_with_avx2(work: impl Loop) {
    work.run();
}
