//! Tests of the public API, in one program: frames, sessions, registers, golden bytes, flipped bits, fuzz targets, the
//! simulated production line.

mod flips;
mod frames;
mod fuzzed;
mod golden;
mod modbus_golden;
mod modbus_noise;
mod modbus_plc;
mod modbus_session;
mod reasons;
mod sessions;
mod simulated_line;

use cellgate_test_line::sessions as support;
