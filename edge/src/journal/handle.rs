//! Offers the journal to callers. Each request goes to the journal's thread. The caller waits for the answer or passes a
//! callback.

use super::JournalError;
use super::event::{EventEntry, EventRow};
use super::files::resolved;
use super::options::{JournalHealth, JournalOptions, Recovery};
use super::recorded_bundle::RecordedBundle;
use super::request::{JournalRequest, Reply};
use super::retention::Pruned;
use super::verdict_row::{AcceptanceReceipt, Answer, CommitReceipt, JournalTrigger, OpenPart, VerdictEntry};
use super::writer::{Writer, WriterState, locked};
use cellgate_protocol::limits::MAX_WORKER_PAUSE_MS;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the thread may be silent while it waits for requests.
const MAX_WAIT: Duration = Duration::from_millis(150);
const _: () = assert!(MAX_WAIT.as_millis() <= MAX_WORKER_PAUSE_MS as u128);
/// How long the thread may be silent while it tries to reopen the journal.
const MAX_REOPENING_TIME: Duration = Duration::from_secs(30);

/// The appliance's journal. Dropping it finishes the waiting requests and closes the journal.
pub struct Journal {
    requests: Option<SyncSender<JournalRequest>>,
    queue: usize,
    stall: Duration,
    state: Arc<Mutex<WriterState>>,
    thread: Option<JoinHandle<()>>,
}

impl Journal {
    /// Opens or creates the journal, begins a new boot epoch, and records REJECT/RESTARTED for the parts that were being judged
    /// when the appliance stopped. The epoch and these records are durable when this returns. A journal of schema 1 is taken over to
    /// schema 2 first.
    ///
    /// # Errors
    /// The journal is used by another process, unusable, of another program or version, or damaged.
    pub fn open(path: &Path, options: JournalOptions) -> Result<(Self, Recovery), JournalError> {
        let path = resolved(path)?;
        let (queue, stall) = (options.queue, options.stall);
        let (requests, receiver) = sync_channel(queue);
        let (writer, recovery) = Writer::open(&path, options)?;
        let state = writer.state();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(|source| JournalError::Io { path, source })?;
        Ok((Self { requests: Some(requests), queue, stall, state, thread: Some(thread) }, recovery))
    }

    /// Records that `trigger` was accepted. When this returns without an error, the acceptance is durable and BUSY may go out.
    ///
    /// # Errors
    /// On any error the trigger was not accepted, and BUSY must not go out. [`JournalError::AlreadyInHand`]: the same part and
    /// nonce are being judged, and only their earlier acceptance gets a record.
    pub fn accept(&self, trigger: JournalTrigger) -> Result<AcceptanceReceipt, JournalError> {
        self.ask(|reply| JournalRequest::Accept(trigger, Vec::new(), Instant::now(), reply))
    }

    /// As [`Self::accept`], without waiting: the journal's thread calls `done` once with the answer. `events` are recorded in the same
    /// transaction: either all is durable, or nothing. After the error `Unknown`, the trigger is not accepted, but the events may be there:
    /// [`Self::running_bundle_then`] shows them.
    ///
    /// # Errors
    /// [`JournalError::Overloaded`], [`JournalError::Closed`]: the request was not sent, and `done` is not called.
    pub fn accept_then(
        &self,
        trigger: JournalTrigger,
        events: Vec<EventEntry>,
        done: impl FnOnce(Result<AcceptanceReceipt, JournalError>) + Send + 'static,
    ) -> Result<(), JournalError> {
        self.send(JournalRequest::Accept(trigger, events, Instant::now(), Box::new(done)))
    }

    /// Records the terminal verdict of an accepted trigger. When this returns without an error, the verdict is durable and may
    /// be sent.
    ///
    /// # Errors
    /// | error | meaning |
    /// |---|---|
    /// | `NotWritten`, `NotReady`, `Overloaded` | the verdict is certainly not in the journal |
    /// | `Unknown` | it is not known whether the verdict was written. Once the journal is ready again, commit a REJECT: it is stored, or refused with `AlreadyTerminal` if the verdict was written after all |
    /// | `AlreadyTerminal` | the trigger has its record already |
    /// | `NeverAccepted` | a mistake of the caller: no such trigger was accepted |
    pub fn commit(&self, entry: VerdictEntry) -> Result<CommitReceipt, JournalError> {
        self.ask(|reply| JournalRequest::Commit(Box::new(entry), Instant::now(), reply))
    }

    /// As [`Self::commit`], without waiting: the journal's thread calls `done` once with the answer.
    ///
    /// # Errors
    /// [`JournalError::Overloaded`], [`JournalError::Closed`]: the request was not sent, and `done` is not called.
    pub fn commit_then(
        &self,
        entry: VerdictEntry,
        done: impl FnOnce(Result<CommitReceipt, JournalError>) + Send + 'static,
    ) -> Result<(), JournalError> {
        self.send(JournalRequest::Commit(Box::new(entry), Instant::now(), Box::new(done)))
    }

    /// Notes that the PLC acknowledged a record. The acknowledgement is written with the next acceptance or verdict, but
    /// at most about a second later. If the acknowledgement is lost, the record is sent once more, as RECORD.
    ///
    /// # Errors
    /// The queue is full or the journal is closed.
    pub fn acknowledge(&self, seq: NonZeroU64) -> Result<(), JournalError> {
        self.send(JournalRequest::Acknowledge(seq))
    }

    /// Records events in one transaction after the newest row, without waiting: the journal's thread calls `done` once with the answer.
    /// When the answer is no error, the events are durable.
    ///
    /// | error in the answer | meaning |
    /// |---|---|
    /// | `NotWritten`, `NotReady` | the events are certainly not in the journal |
    /// | `Unknown` | it is not known whether the events were written. Once the journal is ready again, [`Self::running_bundle_then`] shows it |
    /// | `FiguresTooLong` | the figures of an event are longer than [`MAX_FIGURES_BYTES`](super::MAX_FIGURES_BYTES); nothing was written |
    ///
    /// # Errors
    /// [`JournalError::Overloaded`], [`JournalError::Closed`]: the request was not sent, and `done` is not called.
    pub fn record_then(
        &self,
        entries: Vec<EventEntry>,
        done: impl FnOnce(Result<Vec<EventRow>, JournalError>) + Send + 'static,
    ) -> Result<(), JournalError> {
        self.send(JournalRequest::Record(entries, Box::new(done)))
    }

    /// Reads what the journal says about the running bundle, without waiting: the journal's thread calls `done` once with the answer,
    /// `None` if no bundle is running.
    ///
    /// # Errors
    /// [`JournalError::Overloaded`], [`JournalError::Closed`]: the request was not sent, and `done` is not called.
    pub fn running_bundle_then(
        &self,
        done: impl FnOnce(Result<Option<RecordedBundle>, JournalError>) + Send + 'static,
    ) -> Result<(), JournalError> {
        self.send(JournalRequest::RunningBundle(Box::new(done)))
    }

    /// The accepted triggers that have no terminal record yet, in order.
    ///
    /// # Errors
    /// The journal is not ready.
    pub fn open_parts(&self) -> Result<Vec<OpenPart>, JournalError> {
        self.ask(JournalRequest::OpenParts)
    }

    /// Removes up to 1,000 of the oldest rows as [`JournalOptions::retention`] allows. `now_unix_ms` is the time in milliseconds
    /// since 1970. Call this about every minute. If it returns `more`, call it again at once.
    ///
    /// # Errors
    /// The journal is not ready, or failed.
    pub fn prune(&self, now_unix_ms: i64) -> Result<Pruned, JournalError> {
        self.ask(|reply| JournalRequest::Prune(now_unix_ms, reply))
    }

    /// Whether the journal's thread runs. After a panic of that thread, waiting requests are never answered.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Reports whether the journal works. Does not wait for the journal's thread.
    #[must_use]
    pub fn health(&self) -> JournalHealth {
        let state = locked(&self.state);
        let stalled = state.busy_since.is_some_and(|since| since.elapsed() > self.stall);
        JournalHealth {
            ready: state.is_ready() && !stalled,
            failures: state.failures,
            reopenings: state.reopenings,
            last_error: state.last_error.clone(),
        }
    }

    /// The last sign of life of the journal's thread, and how long it may be silent from then on. It may be silent for long while
    /// the journal is not ready, because no verdict waits for it then.
    #[must_use]
    pub fn progress(&self) -> (Instant, Duration) {
        let state = locked(&self.state);
        let last = state.busy_since.or(state.seen).unwrap_or_else(Instant::now);
        let most = match (state.is_ready(), state.busy_since) {
            (false, _) => MAX_REOPENING_TIME,
            (true, Some(_)) => self.stall,
            (true, None) => MAX_WAIT,
        };
        (last, most)
    }

    fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> JournalRequest) -> Answer<T> {
        let (reply, answer) = sync_channel(1);
        self.send(request(Box::new(move |value| {
            // The send fails only if the caller is gone.
            let _ = reply.send(value);
        })))?;
        answer.recv().unwrap_or(Err(JournalError::Closed))
    }

    fn send(&self, request: JournalRequest) -> Answer<()> {
        let requests = self.requests.as_ref().ok_or(JournalError::Closed)?;
        requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => JournalError::Overloaded { waiting: self.queue },
            TrySendError::Disconnected(_) => JournalError::Closed,
        })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!(event = "journal_panicked", "the journal's thread panicked");
        }
    }
}
