//! Running a loop with the widest vectors that the processor has: the one place here with `unsafe`.

#![expect(unsafe_code, reason = "a function compiled for AVX2 may only be called after asking the processor")]

/// A loop that the compiler turns into vector instructions; `run` must be `#[inline(always)]`.
pub(crate) trait Loop {
    /// Runs it.
    fn run(self);
}

/// Runs `work`, compiled for AVX2 where the processor has it. The result is the same either way: this is one and the
/// same Rust code, and a compiler that contracts no floating-point operations.
pub(crate) fn run_wide(work: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, the only thing that this safe function asks of its caller.
        return unsafe { run_with_avx2(work) };
    }
    work.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn run_with_avx2(work: impl Loop) {
    work.run();
}
