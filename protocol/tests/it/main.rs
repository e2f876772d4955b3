//! The protocol from outside, in one program: frames and sessions, registers, golden bytes, turned bits, fuzz bodies, the simulated
//! line.

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
