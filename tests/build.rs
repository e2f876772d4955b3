//! Compiles the CUDA kernels of `edge/kernels` for the processor, for the tests that run them there.

fn main() {
    for folder in ["kernels", "../edge/kernels"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("kernels/cpu.cpp")
        // No fused multiply-add: each operation is rounded separately, as on the GPU and in Rust. Without optimisation
        // the tests would be too slow.
        .flag("-ffp-contract=off")
        .opt_level(2)
        .warnings_into_errors(true)
        .compile("cellgate_kernels");
}
