//! Keeps the verdicts that the PLC has not acknowledged, and chooses the one that is sent next as a RECORD.

use crate::appliance::part::judged;
use crate::journal::VerdictRow;
use cellgate_protocol::to_device::Ack;
use cellgate_protocol::to_plc::{Origin, Record};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The pause between two RECORDs.
const REPLAY_EVERY_MS: u64 = 250;
/// The most rows that are kept for sending. The journal keeps all rows.
const MAX_ROWS: usize = 1000;

/// Verdicts that the PLC has not acknowledged.
#[derive(Debug, Default)]
pub(in crate::appliance) struct Backlog {
    rows: BTreeMap<NonZeroU64, VerdictRow>,
    /// When the next RECORD may be sent.
    due_ms: u64,
    /// The row that was sent last as a RECORD.
    sent: Option<NonZeroU64>,
}

impl Backlog {
    /// A backlog with the unacknowledged rows of earlier starts.
    pub(in crate::appliance) fn new(rows: Vec<VerdictRow>) -> Self {
        Self { rows: rows.into_iter().map(|row| (row.seq, row)).collect(), due_ms: 0, sent: None }
    }

    /// Adds a durable verdict. Beyond 1,000 rows the oldest is dropped.
    pub(super) fn insert(&mut self, row: VerdictRow) {
        self.rows.insert(row.seq, row);
        while self.rows.len() > MAX_ROWS {
            self.rows.pop_first();
        }
    }

    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The number of rows as the PLC reads it, in 16 bits.
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.rows.len()).unwrap_or(u16::MAX)
    }

    /// Delays the next RECORD, because the session sends one now.
    pub(super) fn postpone(&mut self, now_ms: u64) {
        self.due_ms = now_ms + REPLAY_EVERY_MS;
    }

    /// The RECORD that is due at `now_ms`, if any. It has the content of the row after the one that was sent last. After the
    /// newest row, the oldest row is next.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Record> {
        if now_ms < self.due_ms {
            return None;
        }
        let after = self.sent.map_or(1, |seq| seq.get().saturating_add(1));
        let later = NonZeroU64::new(after).and_then(|after| self.rows.range(after..).next());
        let (seq, row) = later.or(self.rows.first_key_value())?;
        self.sent = Some(*seq);
        self.due_ms = now_ms + REPLAY_EVERY_MS;
        Some(judged::record(row, Origin::REPLAY))
    }

    /// Whether `ack` names a row of the backlog, with that row's part and verdict code.
    pub(super) fn is_acknowledged_by(&self, ack: &Ack) -> bool {
        let row = NonZeroU64::new(ack.verdict_seq).and_then(|seq| self.rows.get(&seq));
        let record = row.map(|row| judged::record(row, Origin::REPLAY));
        record.is_some_and(|record| (record.part_id, record.code) == (ack.part_id, ack.code))
    }

    /// Removes the row with this number, because the PLC acknowledged it, and returns it. `None` if it is not kept here.
    pub(super) fn remove(&mut self, seq: NonZeroU64) -> Option<VerdictRow> {
        self.rows.remove(&seq)
    }
}
