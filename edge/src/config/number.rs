//! What numbers can be meant, in `edge.toml` and on the command line alike.

/// The speeds that serial ports know, in bits per second.
pub const BAUDS: [u32; 10] = [9_600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 921_600, 1_000_000];

/// The most threads that ONNX Runtime may be given: the cores of this machine that this process may use. More are no faster:
/// they spin while they wait for one another, and with some hundred of them a network takes minutes or never ends.
#[must_use]
pub fn most_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
