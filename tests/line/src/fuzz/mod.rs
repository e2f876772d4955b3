//! What the fuzz targets of `tests/fuzz` do with their inputs, so that the protocol's own tests do it too.

pub mod accumulator;
mod application;
mod bits;
pub mod modbus;
mod native;
pub mod session;
mod steps;

pub use application::EPOCH;
