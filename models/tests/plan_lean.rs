//! TensorRT 11's lean run-time library: loaded, and its version read. Needs `pip install tensorrt-lean-cu13-libs`.

use cellgate_models::plan::{Flavour, Library, probe};

#[test]
fn the_lean_run_time_says_its_version() {
    let found = probe(Library::Lean, None).unwrap();
    assert_eq!(found.tensorrt.flavour, Flavour::Enterprise);
    assert!((found.tensorrt.version.major, found.tensorrt.version.minor) >= (11, 4), "{}", found.tensorrt);
    eprintln!("{}: {}", found.path.display(), found.tensorrt);
}
