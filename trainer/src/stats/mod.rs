//! Balanced accuracy, intervals, ROC, paired tests.
//!
//! Abnormal is the positive class throughout; a score is the probability of "abnormal", 0..=1. A part is called
//! abnormal from the threshold on, and where its score is not a number: the gate never passes what it can't judge.
//!
//! | file | concept |
//! |---|---|
//! | `scored` | a score with its label, and what a threshold makes of it |
//! | `confusion` | counts of right and wrong calls, and their rates |
//! | `wilson` | interval of a rate |
//! | `bootstrap` | interval of the balanced accuracy, and of a difference: resampling of whole bundles |
//! | `roc` | ROC curve and the area under it |
//! | `threshold` | the operating point, chosen from out-of-fold scores |
//! | `mcnemar` | exact test of two methods on the same parts, and Holm's correction |
//! | `binomial` | the binomial distribution |
//! | `sample_size` | how many parts are still needed to show a rate |

mod binomial;
mod bootstrap;
mod confusion;
mod mcnemar;
mod roc;
mod sample_size;
mod scored;
mod threshold;
mod wilson;

pub use binomial::binomial_cdf;
pub use bootstrap::{BootstrapInterval, BundleBootstrap};
pub use confusion::Confusion;
pub use mcnemar::{PairedCalls, holm};
pub use roc::{Roc, RocPoint, auroc};
pub use sample_size::{MAX_PARTS, shows_at_most, still_needed_at_same_rate, still_needed_without_error};
pub use scored::{Scored, is_called_abnormal};
pub use threshold::{ErrorWeights, log_odds, max_escape, smoothed};
pub use wilson::wilson95;
