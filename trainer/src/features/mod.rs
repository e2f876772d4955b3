//! The frozen backbone's pooled features, computed once and cached.
//!
//! A frozen backbone computes the same features of an image in every epoch and fold, and flips make only four variants of it. So
//! each variant of an image passes through the network once per conversion. Training uses the table of these features.

mod compute;
mod error;
mod file;
mod key;
mod place;
mod store;
mod table;

pub use error::FeatureError;
pub use place::default_cache_root;
pub use store::FeatureStore;
pub use table::FeatureTable;
