//! Denies files and network with Landlock.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Compatible as _, LandlockStatus, RulesetAttr as _, RulesetStatus,
};
use landlock::{CompatLevel, Ruleset, RulesetError, Scope};

/// What Landlock denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Denied {
    /// All access to files by path.
    pub files: bool,
    /// Binding and connecting TCP ports.
    pub network: bool,
}

/// Denies the calling thread all access to files and network that this Linux kernel's Landlock can deny. Sets `no_new_privs`. Open
/// descriptors stay usable.
#[must_use]
pub fn deny_files_and_network() -> Denied {
    // The Landlock ABI whose restrictions are requested. An older Linux kernel applies those that it knows.
    let asked = ABI::V6;
    let restrict = || -> Result<_, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(asked))?
            .handle_access(AccessNet::from_all(asked))?
            .scope(Scope::from_all(asked))?
            .create()?
            .restrict_self()
    };
    match restrict().map(|status| (status.ruleset, status.landlock)) {
        Err(_) | Ok((RulesetStatus::NotEnforced, _)) => Denied::default(),
        Ok((_, LandlockStatus::Available { effective_abi, .. })) => {
            Denied { files: effective_abi >= ABI::V1, network: effective_abi >= ABI::V4 }
        }
        Ok(_) => Denied::default(),
    }
}
