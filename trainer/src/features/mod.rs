//! Computes the frozen backbone's pooled features once, and caches them.
//!
//! A frozen backbone always computes the same features for a converted image, and flips yield only four variants of the image.
//! So each image goes through the backbone once for each conversion and variant. Training and cross-validation use the table
//! of these features. Recipe `fine-tune`, which trains stage 4, also uses the maps of stage 3. They are stored in the folder of its run.

mod compute;
mod error;
mod file;
mod judge;
mod key;
mod maps;
mod place;
mod room;
mod store;
mod table;

pub use error::FeatureError;
pub use judge::logits;
pub use maps::StageMaps;
pub use place::default_cache_root;
pub use room::free_bytes;
pub use store::FeatureStore;
pub use table::FeatureTable;
