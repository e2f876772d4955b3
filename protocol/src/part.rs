//! The steps from a trigger to a verdict, as types: [`Trigger`], then [`Pending`], then [`Committed`].
//!
//! A session sends a verdict only from a [`Committed`]. A [`Committed`] is made only from a [`Pending`] and the number under
//! which the journal stored it. A [`Pending`] is made only by the session that issued the [`Trigger`] and still waits for the
//! part. These types cannot be copied, and each step consumes the previous one.
//!
//! A committed entry cannot be built by hand:
//!
//! ```compile_fail,E0451
//! use cellgate_protocol::part::{Committed, Pending};
//! fn forge(pending: Pending) -> Committed {
//!     Committed { pending, verdict_seq: core::num::NonZeroU64::MIN }
//! }
//! ```
//!
//! A pending verdict cannot be committed twice:
//!
//! ```compile_fail,E0382
//! use cellgate_protocol::part::{Committed, Pending};
//! fn twice(pending: Pending) -> [Committed; 2] {
//!     [pending.committed(core::num::NonZeroU64::MIN), pending.committed(core::num::NonZeroU64::MIN)]
//! }
//! ```
//!
//! A trigger can be concluded only once:
//!
//! ```compile_fail,E0382
//! use cellgate_protocol::{part::{Outcome, Trigger}, session::device::DeviceSession};
//! fn twice(session: &mut DeviceSession, trigger: Trigger, outcome: Outcome) {
//!     let first = session.conclude(0, trigger, outcome);
//!     let second = session.conclude(0, trigger, outcome);
//! }
//! ```
//!
//! A trigger cannot be built by hand:
//!
//! ```compile_fail,E0423
//! let forged = cellgate_protocol::part::Trigger(panic!());
//! ```
//!
//! This compiles:
//!
//! ```
//! use cellgate_protocol::{health::Health, part::{Outcome, Trigger}, session::device::{DeviceSession, Dispatch}};
//! use core::num::NonZeroU64;
//! fn right(session: &mut DeviceSession, trigger: Trigger, outcome: Outcome, health: Option<&Health>) {
//!     if let Ok(pending) = session.conclude(7, trigger, outcome) {
//!         let verdict_seq = NonZeroU64::MIN; // the journal's number for pending.entry()
//!         let dispatch: Dispatch = session.send_verdict(9, pending.committed(verdict_seq), health);
//!     }
//! }
//! ```
//!
//! A verdict cannot be sent without an argument for the health of the appliance:
//!
//! ```compile_fail,E0061
//! use cellgate_protocol::{part::Committed, session::device::DeviceSession};
//! fn unhealthy(session: &mut DeviceSession, committed: Committed) {
//!     session.send_verdict(9, committed);
//! }
//! ```

use crate::{
    code::WireVerdict,
    digest::DigestStart,
    reason::ReasonCode,
    score::ScoreE4,
    to_plc::{Flags, Origin, Record, VerdictMessage},
};
use core::num::NonZeroU64;

/// The identity and time limit of a part that the session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) part_id: u64,
    pub(crate) nonce: u32,
    /// The bundle that the trigger names, or 0.
    pub(crate) bundle: u32,
    pub(crate) boot_epoch: u32,
    /// The session's own count of triggers. It makes every ticket of a session different.
    pub(crate) number: u64,
    /// When the trigger arrived.
    pub(crate) accepted_ms: u64,
    pub(crate) deadline_ms: u32,
}

impl Ticket {
    /// Is the part's time over?
    pub(crate) fn is_over(&self, now_ms: u64) -> bool {
        now_ms > self.ends_ms()
    }

    /// The last moment of the part's time.
    pub(crate) fn ends_ms(&self) -> u64 {
        self.accepted_ms.saturating_add(u64::from(self.deadline_ms))
    }
}

/// A new trigger of the PLC. The session issues it once.
#[derive(Debug)]
#[must_use = "a trigger that is dropped ends as REJECT/TIMEOUT"]
pub struct Trigger(pub(crate) Ticket);

impl Trigger {
    /// The part's number.
    #[must_use]
    pub fn part_id(&self) -> u64 {
        self.0.part_id
    }

    /// The trigger's nonce.
    #[must_use]
    pub fn nonce(&self) -> u32 {
        self.0.nonce
    }

    /// The number of the part's bundle. 0 if the trigger names no bundle; a PLC of [`Schema::One`](crate::version::Schema::One)
    /// can't name one.
    #[must_use]
    pub fn bundle(&self) -> u32 {
        self.0.bundle
    }

    /// The last moment of the part's time, on the caller's clock.
    #[must_use]
    pub fn deadline_at_ms(&self) -> u64 {
        self.0.ends_ms()
    }
}

/// The result of judging a part, from the caller of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The verdict.
    pub verdict: WireVerdict,
    /// The reason of the verdict.
    pub reason: ReasonCode,
    /// The score, or [`ScoreE4::NONE`].
    pub score: ScoreE4,
    /// The model that judged, or [`DigestStart::NONE`].
    pub model: DigestStart,
    /// The image that was judged, or [`DigestStart::NONE`].
    pub image: DigestStart,
    /// The flags of the verdict.
    pub flags: Flags,
}

impl Outcome {
    /// A REJECT with a reason and without score, model and image.
    #[must_use]
    pub const fn reject(reason: ReasonCode) -> Self {
        Self {
            verdict: WireVerdict::Reject,
            reason,
            score: ScoreE4::NONE,
            model: DigestStart::NONE,
            image: DigestStart::NONE,
            flags: Flags(0),
        }
    }
}

/// The entry that the journal must store before a verdict is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartEntry {
    /// The part's number.
    pub part_id: u64,
    /// The nonce of the part's trigger.
    pub nonce: u32,
    /// The boot epoch in which the part was judged.
    pub boot_epoch: u32,
    /// The result of judging the part.
    pub outcome: Outcome,
}

/// A part with a verdict that the journal has not stored yet.
#[derive(Debug)]
#[must_use = "a verdict that is not committed keeps the session from accepting another part"]
pub struct Pending {
    pub(crate) ticket: Ticket,
    pub(crate) outcome: Outcome,
}

impl Pending {
    /// The entry that the journal must store.
    #[must_use]
    pub fn entry(&self) -> PartEntry {
        let Ticket { part_id, nonce, boot_epoch, .. } = self.ticket;
        PartEntry { part_id, nonce, boot_epoch, outcome: self.outcome }
    }

    /// Call this when the journal has stored the entry durably under this number.
    pub fn committed(self, verdict_seq: NonZeroU64) -> Committed {
        Committed { pending: self, verdict_seq }
    }
}

/// A part whose verdict the journal has stored.
#[derive(Debug)]
#[must_use = "a committed verdict that is not sent keeps the session from accepting another part"]
pub struct Committed {
    pub(crate) pending: Pending,
    pub(crate) verdict_seq: NonZeroU64,
}

impl Committed {
    /// The journal's number of the verdict.
    #[must_use]
    pub fn verdict_seq(&self) -> NonZeroU64 {
        self.verdict_seq
    }

    /// The VERDICT message with its age at `now_ms`. The session decides whether the message may be sent.
    pub(crate) fn message(&self, now_ms: u64) -> VerdictMessage {
        let Pending { ticket, outcome } = &self.pending;
        let code = outcome.verdict.code();
        VerdictMessage {
            part_id: ticket.part_id,
            nonce: ticket.nonce,
            verdict_seq: self.verdict_seq.get(),
            code,
            complement: !code.0,
            reason: outcome.reason,
            score: outcome.score,
            age_ms: u32::try_from(now_ms.saturating_sub(ticket.accepted_ms)).unwrap_or(u32::MAX),
            model: outcome.model,
            image: outcome.image,
            flags: outcome.flags,
        }
    }

    /// The verdict as a record.
    pub(crate) fn record(&self, origin: Origin) -> Record {
        self.pending.entry().record(self.verdict_seq, origin)
    }
}

impl PartEntry {
    /// The entry as a record with this number and origin.
    #[must_use]
    pub fn record(&self, verdict_seq: NonZeroU64, origin: Origin) -> Record {
        let Outcome { verdict, reason, score, model, image, flags } = self.outcome;
        Record {
            part_id: self.part_id,
            nonce: self.nonce,
            verdict_seq: verdict_seq.get(),
            boot_epoch: self.boot_epoch,
            code: verdict.code(),
            reason,
            score,
            model,
            image,
            flags,
            origin,
        }
    }
}
