//! The subcommands, one a file.

pub(crate) mod inspect;
pub(crate) mod journal;
