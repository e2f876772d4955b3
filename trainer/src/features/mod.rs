//! The frozen backbone's pooled features, computed once and cached.
//!
//! A frozen backbone gives an image the same features in every epoch and fold, and flips have four outcomes only. So each
//! image goes through the network once for each conversion, and everything after works on a table of numbers.

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
