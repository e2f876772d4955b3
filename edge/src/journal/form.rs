//! Defines the versions of a journal: the schema of its tables, and the form of each of its rows.

/// The schema of a journal's tables, from `user_version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// All rows have form 1, and there is no table `event`. The appliance takes such a journal over to schema 2; a reader reads it as
    /// it is.
    One,
    /// What this program writes.
    Two,
}

/// The form of a row of the table `verdict`: which columns it has, and which of its bytes are hashed. A row keeps the form that it was
/// written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    /// Of schema 1: without the bundle, the raw logit, the rule, the distance and the regions.
    One,
    /// Of schema 2.
    Two,
}

impl RowForm {
    /// The number that the journal stores: 1 or 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}
