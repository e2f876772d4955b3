//! Compiles the CUDA kernels of `edge/kernels` for the processor, for the tests that run them there.

fn main() {
    for folder in ["kernels", "../edge/kernels"] {
        println!("cargo::rerun-if-changed={folder}");
    }
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file("kernels/cpu.cpp")
        // Each operation is rounded on its own, as on the device and in Rust. In the time of an unoptimised build the
        // tests would crawl.
        .flag("-ffp-contract=off")
        .opt_level(2)
        .warnings_into_errors(true)
        .compile("cellgate_kernels");
}
