//! The appliance beside the scanner, its tools and a simulated PLC, as modules that tests can call one by one. `main.rs` and
//! `cmd/` make the program `cellgate-edge` of them.

pub mod acquire;
pub mod appliance;
pub mod config;
pub mod control;
pub mod convert;
pub mod doctor;
mod file_id;
pub mod finding;
pub mod gpu_files;
pub mod journal;
pub mod metrics;
mod one_line;
pub mod percentile;
pub mod pipeline;
pub mod plc_sim;
mod priority;
mod program;
pub mod sandbox;
pub mod serial;
#[cfg(feature = "tensorrt")]
pub mod tensorrt;
#[cfg(not(feature = "tensorrt"))]
#[path = "without_tensorrt.rs"]
pub mod tensorrt;
mod user;
pub mod verdict_mapping;
