//! Computes statistics of scores and labels: balanced accuracy, confidence intervals, ROC curves, thresholds, and
//! tests.
//!
//! The parts with one label are a class. Abnormal is the positive class throughout. A score is 0..=1, and higher means more
//! likely abnormal. A part is called abnormal if its score is at or above the threshold. A part is also called abnormal if
//! its score is NaN, because a part without a score must not pass.
//!
//! | file | concept |
//! |---|---|
//! | `scored` | a part's score and label; the comparison of a score with a threshold |
//! | `confusion` | counts of right and wrong calls, and their rates |
//! | `rate` | a rate with its interval |
//! | `wilson` | confidence interval of a rate |
//! | `bootstrap` | confidence intervals of balanced accuracies, AUROCs and their differences, by resampling whole bundles |
//! | `roc` | ROC curve and the area under it |
//! | `ranks` | the area under the ROC curve of any selection of bundles |
//! | `threshold` | the choice of a threshold from out-of-fold scores |
//! | `mcnemar` | exact test of two methods on the same parts, and Holm's correction for several tests |
//! | `binomial` | the binomial distribution |
//! | `sample_size` | how many further parts are needed to show that an error rate is below a limit |

mod binomial;
mod bootstrap;
mod confusion;
mod mcnemar;
mod ranks;
mod rate;
mod roc;
mod sample_size;
mod scored;
mod threshold;
mod wilson;

pub use binomial::binomial_cdf;
pub use bootstrap::{BootstrapInterval, BundleBootstrap};
pub use confusion::Confusion;
pub use mcnemar::{PairedCalls, holm};
pub use ranks::BundleRanks;
pub use rate::Rate;
pub use roc::{Roc, RocPoint, auroc};
pub use sample_size::{MAX_PARTS, shows_at_most, still_needed_at_same_rate, still_needed_without_error};
pub use scored::{Scored, is_called_abnormal};
pub use threshold::{ErrorWeights, MAX_LOG_ODDS, log_odds, max_escape, smoothed};
pub use wilson::wilson95;
