//! Cross-validates a recipe: every bundle is judged by a head that was trained without this bundle (paper, section
//! 3.2).

mod config;
mod conversions;
mod error;
mod evidence;
mod feasibility;
mod fine_tuning;
mod folds;
mod inputs;
mod kinds;
mod method;
mod reference;
mod run;
mod summary;
mod unlike;

pub use config::{BoundsScope, CrossvalConfig, Folds};
pub use conversions::LevelStatistics;
pub use error::{CrossvalError, FeasibilityError};
pub use feasibility::training as check_training;
pub use folds::{FinishedFold, Fold, FoldPart, FoldReference, leave_one_bundle_out};
pub use inputs::CrossvalInputs;
pub use kinds::LEFT_OUT_KINDS;
pub use reference::ReferenceSetting;
pub use run::run;
