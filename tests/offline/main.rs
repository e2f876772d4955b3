//! Tests that need more than one crate, in one program: linking one takes as long as many of them. `sandbox_hostile` and
//! `tiff_shared` are programs of their own, as they look at the memory that their process has used.

mod convert_oracle;
mod end_to_end;
mod gate_st;
mod kernels;
mod modbus_clients;
mod tiff_builder;
mod tiff_formats;
mod tiff_hidden;
mod tiff_hostile;
mod tiff_planes;
mod tiff_unusual;
