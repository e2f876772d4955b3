//! Where caches live.

use std::path::PathBuf;

/// The folder of all of Cellgate's caches: `$XDG_CACHE_HOME/cellgate`, else `~/.cache/cellgate`; none without a home.
#[must_use]
pub fn default_cache_root() -> Option<PathBuf> {
    let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    base.map(|base| base.join("cellgate"))
}
