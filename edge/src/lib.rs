//! The appliance at the end of the line, as parts that tests can drive one by one; `main.rs` and `cmd/` are the program.

pub mod acquire;
pub mod appliance;
pub mod config;
pub mod convert;
pub mod doctor;
#[cfg(feature = "tensorrt")]
pub mod gpu;
#[cfg(feature = "tensorrt")]
pub mod gpu_check;
pub mod journal;
pub mod metrics;
pub mod percentile;
pub mod pipeline;
#[cfg(feature = "tensorrt")]
pub mod plans;
pub mod plc_sim;
pub mod sandbox;
pub mod serial;
