//! Finds the default folder for cached files.

use std::path::PathBuf;

/// Returns the default folder for cached files: `$XDG_CACHE_HOME/cellgate`, else `~/.cache/cellgate`. Relative paths in
/// these variables are ignored. Returns `None` if neither `XDG_CACHE_HOME` nor `HOME` is usable.
#[must_use]
pub fn default_cache_root() -> Option<PathBuf> {
    let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("cellgate"))
}
