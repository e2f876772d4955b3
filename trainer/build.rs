//! Adds the folder of libtorch to the run path of the programs, so that they start without environment variables.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    println!("cargo::rerun-if-changed=build.rs");
    let Ok(libtorch) = std::env::var("LIBTORCH") else {
        println!("cargo::error=LIBTORCH is not set: run scripts/setup, or point it at the folder of libtorch 2.11");
        return;
    };
    let lib = Path::new(&libtorch).join("lib");
    let lib = lib.canonicalize().unwrap_or(lib);
    if !lib.join("libtorch_cpu.so").exists() {
        println!("cargo::error=no libtorch_cpu.so in {}: run scripts/setup, or set LIBTORCH", lib.display());
        return;
    }
    // $ORIGIN is the folder of the program. If a program is copied to another host, its libraries can lie in `lib` beside it.
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/lib:{}", lib.display());
}
