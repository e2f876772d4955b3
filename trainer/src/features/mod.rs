//! Computes the frozen backbone's pooled features once, and caches them.
//!
//! A frozen backbone computes the same features for an image in every epoch and fold, and flips yield only four variants.
//! So each image goes through the network once for each conversion and variant. All later steps use only the table of these
//! features.

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
