//! Takes rights away from the decode worker before its first image. Each mechanism works without the others, so that each can be
//! tested alone.

mod descriptors;
mod file_access;
mod resources;
mod system_calls;

pub use descriptors::close_foreign;
pub use file_access::{Denied, deny_files_and_network};
pub use resources::{allow_cpu_time, bound, mapped_bytes};
pub use system_calls::allow_few;

use std::fmt;

/// A mechanism that limits the decode worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// The decode worker gains no rights by starting a program (`no_new_privs`, Linux 3.5).
    NoNewPrivileges,
    /// The decode worker ends with the parent's thread that started it (`PR_SET_PDEATHSIG`).
    EndsWithParent,
    /// The decode worker has no descriptors except its two pipes and `/dev/null`.
    NoForeignDescriptors,
    /// Memory is bounded; no new descriptors, files, processes or core dumps (`setrlimit`).
    Resources,
    /// The decode worker can't open, create, run or remove files (Landlock, Linux 5.13, if the Linux kernel enables it).
    NoFiles,
    /// The decode worker can't bind or connect TCP ports (Landlock, Linux 6.7). Not required, because `FewSystemCalls` denies all
    /// sockets.
    NoNetwork,
    /// Every system call kills the decode worker, except the few that computing needs. No socket is possible (seccomp, Linux
    /// 4.14).
    FewSystemCalls,
}

impl Protection {
    /// All protections. The index in this list is the bit in the decode worker's answer to its parent.
    pub const ALL: [Self; 7] = [
        Self::NoNewPrivileges,
        Self::EndsWithParent,
        Self::NoForeignDescriptors,
        Self::Resources,
        Self::NoFiles,
        Self::NoNetwork,
        Self::FewSystemCalls,
    ];

    /// The name in logs and `doctor`, with the mechanism's name in brackets where it has one.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoNewPrivileges => "no new privileges",
            Self::EndsWithParent => "ends with its parent",
            Self::NoForeignDescriptors => "no foreign descriptors",
            Self::Resources => "bounded resources (rlimits)",
            Self::NoFiles => "no files (landlock)",
            Self::NoNetwork => "no network (landlock)",
            Self::FewSystemCalls => "few system calls (seccomp)",
        }
    }

    /// Whether [`require`](super::SandboxOptions::require) demands this protection. True for all except [`Self::NoNetwork`].
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::NoNetwork
    }
}

/// A set of [`Protection`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Protections(u32);

impl Protections {
    /// Whether `protection` is in the set.
    #[must_use]
    pub fn contains(self, protection: Protection) -> bool {
        self.0 & 1 << protection as u32 != 0
    }

    /// The protections that are not in the set.
    #[must_use]
    pub fn missing(self) -> Self {
        Protection::ALL.into_iter().filter(|&protection| !self.contains(protection)).collect()
    }

    /// The protections in the set that `later` lacks.
    pub(super) fn lost(self, later: Self) -> Self {
        self.iter().filter(|&protection| !later.contains(protection)).collect()
    }

    /// The protections in the set that are [required](Protection::is_required).
    #[must_use]
    pub fn required(self) -> Self {
        self.iter().filter(|protection| protection.is_required()).collect()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Iterates over the set.
    pub fn iter(self) -> impl Iterator<Item = Protection> {
        Protection::ALL.into_iter().filter(move |&protection| self.contains(protection))
    }

    /// The set as bits, as in the decode worker's answer to its parent.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// The set from the bits in the decode worker's answer to its parent. Unknown bits are ignored.
    pub(super) fn from_bits(bits: u32) -> Self {
        Protection::ALL.into_iter().filter(|&protection| Self(bits).contains(protection)).collect()
    }
}

impl FromIterator<Protection> for Protections {
    fn from_iter<T: IntoIterator<Item = Protection>>(protections: T) -> Self {
        Self(protections.into_iter().fold(0, |bits, protection| bits | 1 << protection as u32))
    }
}

impl fmt::Display for Protections {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return out.write_str("none");
        }
        self.iter().enumerate().try_for_each(|(index, protection)| {
            let separator = if index == 0 { "" } else { ", " };
            write!(out, "{separator}{}", protection.name())
        })
    }
}

/// Applies every protection to the calling thread, which must be the only one of its process. `memory_bytes` is the memory that
/// the process may still allocate. Returns the protections that this Linux kernel could apply.
#[must_use]
pub fn apply_all(memory_bytes: u64) -> Protections {
    use rustix::process::{Signal, set_parent_process_death_signal};
    let no_new_privileges = rustix::thread::set_no_new_privs(true).is_ok();
    // The order matters. The lists of descriptors and of mapped memory are files, so both are read before Landlock denies files.
    // Landlock opens a descriptor, so it comes before the resource limits. The filter of system calls forbids calls that all
    // other protections need, so it is last.
    let ends_with_parent = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    let no_foreign_descriptors = close_foreign().is_ok();
    let mapped_bytes = mapped_bytes();
    let denied = deny_files_and_network();
    let resources = mapped_bytes.and_then(|mapped| bound(mapped.saturating_add(memory_bytes))).is_ok();
    let few_system_calls = allow_few().is_ok();
    [
        (Protection::NoNewPrivileges, no_new_privileges),
        (Protection::EndsWithParent, ends_with_parent),
        (Protection::NoForeignDescriptors, no_foreign_descriptors),
        (Protection::Resources, resources),
        (Protection::NoFiles, denied.files),
        (Protection::NoNetwork, denied.network),
        (Protection::FewSystemCalls, few_system_calls),
    ]
    .into_iter()
    .filter_map(|(protection, holds)| holds.then_some(protection))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_names_its_members_and_the_missing_ones() {
        let set: Protections = [Protection::NoFiles, Protection::FewSystemCalls].into_iter().collect();
        assert_eq!(set.to_string(), "no files (landlock), few system calls (seccomp)");
        assert_eq!(Protections::from_bits(set.bits() | 1 << 31), set);
        let missing = set.missing();
        assert!(missing.contains(Protection::NoNetwork) && !missing.contains(Protection::NoFiles));
        assert!(!missing.required().contains(Protection::NoNetwork));
        assert_eq!(Protections::from_bits(u32::MAX).missing().to_string(), "none");
    }
}
