//! The frozen backbone's pooled features, computed once and cached.
