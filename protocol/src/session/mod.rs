//! What is said between device and PLC, whichever profile carries it. A session does no input or output and has no
//! clock: it is told what came and what time it is, and is asked what to do until it says nothing.

pub mod device;
pub mod plc;
pub mod refused;
pub mod repeat;
