//! What tests, examples and fuzz targets of the protocol share: sessions to begin with, a simulated line, turned bits, and the
//! bodies of the fuzz targets.
#![expect(missing_docs, reason = "what a test reads stands with the test")]

pub mod flips;
pub mod fuzz;
pub mod line;
pub mod random;
pub mod sessions;
