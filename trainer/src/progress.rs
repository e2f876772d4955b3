//! Progress bars with time left, on stderr; silent where stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` steps, called `what`.
#[must_use]
pub fn bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} [{wide_bar}] {human_pos}/{human_len} {msg} ({eta} left)")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ");
    ProgressBar::new(total).with_style(style).with_prefix(what)
}
