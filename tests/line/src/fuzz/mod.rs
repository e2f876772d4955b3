//! The bodies of the fuzz targets in `tests/fuzz`. The protocol's own tests run them too.

pub mod accumulator;
mod application;
mod bits;
pub mod modbus;
mod native;
pub mod session;
mod steps;

pub use application::EPOCH;
