//! Tests that need more than one crate. They are one program, so that it is linked only once. `sandbox_hostile` and `tiff_shared` are
//! separate programs, since they measure the memory of a process.

mod bundles;
mod convert_oracle;
mod end_to_end;
mod gate_st;
mod kernel_threads;
mod kernels;
mod modbus_clients;
mod tiff_builder;
mod tiff_errors;
mod tiff_formats;
mod tiff_hidden;
mod tiff_hostile;
mod tiff_planes;
mod tiff_unusual;
