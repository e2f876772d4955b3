//! Shared code of the protocol's tests, examples and fuzz targets: sessions, a simulated production line, a model of a bundle,
//! flipped bits, and the bodies of the fuzz targets.
#![expect(missing_docs, reason = "test code; names say what is not documented")]

pub mod bundle;
pub mod flips;
pub mod fuzz;
pub mod line;
pub mod random;
pub mod sessions;
