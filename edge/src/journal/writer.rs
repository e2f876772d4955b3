//! Runs the journal's thread, the only thread that writes to the journal.
//!
//! After an error, a request is not simply repeated. Instead:
//!
//! 1. The journal is not ready, and the database file is closed.
//! 2. The WAL is rewritten and synced.
//! 3. The database file is opened and verified as at a start, and a write must succeed.
//! 4. The writer looks up whether the row of the request was written, and answers the caller.

use super::JournalError;
use super::event::EventRow;
use super::files::{Lock, lock, refuse_lone_wal, rewrite_wal};
use super::index::watched;
use super::options::{JournalOptions, Recovery, Retention};
use super::place::Place;
use super::request::JournalRequest;
use super::retention::{self, Pruned};
use super::room;
use super::schema::unusable;
use super::store::checkpoint::Checkpoint;
use super::store::{Failure, Store, Stored};
use super::verdict_row::{AcceptanceReceipt, Answer, CommitReceipt, JournalTrigger};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Transactions between two checkpoints. A checkpoint runs after a caller was answered.
const CHECKPOINT_EVERY: u32 = 250;
/// Acknowledgements that have waited this long for an acceptance or a verdict are written in a transaction of their own.
const MAX_ACKNOWLEDGEMENT_WAIT: Duration = Duration::from_secs(1);
/// The interval of the checks of files and free space.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// How often the thread gives a sign of life while there are no requests.
const SIGN_OF_LIFE_EVERY: Duration = Duration::from_millis(40);

/// The state of the writer that callers see.
#[derive(Default)]
pub(super) struct WriterState {
    pub(super) open: bool,
    /// The disk has no space for the next rows. Requests are still tried.
    pub(super) is_full: bool,
    /// The thread's last sign of life while it waits for requests.
    pub(super) seen: Option<Instant>,
    /// When the request that is being served began; `None` while no request is served.
    pub(super) busy_since: Option<Instant>,
    pub(super) failures: u64,
    pub(super) reopenings: u64,
    pub(super) last_error: Option<String>,
}

impl WriterState {
    /// Whether rows can be expected to be stored.
    pub(super) fn is_ready(&self) -> bool {
        self.open && !self.is_full
    }
}

/// The journal's thread.
pub(super) struct Writer {
    path: PathBuf,
    options: JournalOptions,
    boot_epoch: NonZeroU32,
    place: Place,
    /// When `place` was last checked.
    checked_at: Instant,
    /// `None` while the journal is not ready.
    store: Option<Store>,
    /// The newest data after the last successful transaction.
    stored: Stored,
    state: Arc<Mutex<WriterState>>,
    /// The numbers of records that the PLC acknowledged. The next acceptance or verdict writes these acknowledgements.
    acknowledged: Vec<NonZeroU64>,
    /// Acceptances whose callers got an error. They are removed when the journal is reopened.
    withdrawn: Vec<JournalTrigger>,
    /// The number of transactions since the last checkpoint.
    transactions: u32,
    /// When the last attempt to reopen the journal began.
    last_attempt: Instant,
    /// Dropped last, so that no other appliance opens the journal before this one has closed it.
    _lock: Lock,
}

impl Drop for Writer {
    fn drop(&mut self) {
        locked(&self.state).open = false;
    }
}

impl Writer {
    /// Opens or creates the journal at the resolved `path`, begins a new boot epoch, and rejects the parts without a verdict.
    pub(super) fn open(path: &Path, options: JournalOptions) -> Result<(Self, Recovery), JournalError> {
        let lock = lock(path)?;
        refuse_lone_wal(path)?;
        rewrite_wal(path)?;
        let (store, recovery) = watched(|| Self::start(path, &options)).map_err(|failure| failure.at(path))?;

        let (place, stored) = (Place::of(path)?, store.stored());
        let state = WriterState { open: true, seen: Some(Instant::now()), ..WriterState::default() };
        let writer = Self {
            path: path.to_owned(),
            options,
            boot_epoch: recovery.boot_epoch,
            place,
            checked_at: Instant::now(),
            store: Some(store),
            stored,
            state: Arc::new(Mutex::new(state)),
            acknowledged: Vec::new(),
            withdrawn: Vec::new(),
            transactions: 0,
            last_attempt: Instant::now(),
            _lock: lock,
        };
        Ok((writer, recovery))
    }

    /// Opens the journal and begins a new boot epoch.
    fn start(path: &Path, options: &JournalOptions) -> Result<(Store, Recovery), Failure> {
        let (mut store, created) = Store::open(path, options.verify_rows).map_err(Failure::Refused)?;
        let rows = store.rows();
        let (boot_epoch, restarted) = store.start()?;
        // Moves the new epoch into the database file. If it were only in the WAL and the WAL were lost, the next start would
        // use the same epoch.
        store.checkpoint(Checkpoint::Truncate)?;
        let unacknowledged = store.unacknowledged()?;
        let rows = rows + restarted.len() as u64;
        let bundle = store.running_bundle()?;
        Ok((store, Recovery { boot_epoch, created, rows, restarted, unacknowledged, bundle }))
    }

    /// The state that callers see.
    pub(super) fn state(&self) -> Arc<Mutex<WriterState>> {
        Arc::clone(&self.state)
    }

    /// Serves requests until all senders are gone, then writes waiting acknowledgements and empties the WAL.
    pub(super) fn run(mut self, requests: &Receiver<JournalRequest>) {
        let (mut checked_space_at, mut acknowledgements_wait_since) = (None, None);
        loop {
            locked(&self.state).seen = Some(Instant::now());
            if self.store.is_none() && self.last_attempt.elapsed() >= self.options.reopen_every {
                self.reopen();
            }
            if self.checked_at.elapsed() >= CHECK_EVERY {
                self.check_place();
            }
            if checked_space_at.is_none_or(|at: Instant| at.elapsed() >= CHECK_EVERY) {
                checked_space_at = Some(Instant::now());
                self.check_space();
            }
            match requests.recv_timeout(SIGN_OF_LIFE_EVERY) {
                Ok(request) => self.serve(request),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.acknowledged.is_empty() {
                acknowledgements_wait_since = None;
            } else if acknowledgements_wait_since.get_or_insert_with(Instant::now).elapsed() >= MAX_ACKNOWLEDGEMENT_WAIT
            {
                self.write_acknowledgements();
                // After an error the acknowledgements wait again.
                acknowledgements_wait_since = None;
            }
            if self.transactions >= CHECKPOINT_EVERY {
                self.transactions = 0;
                self.maintain(|store| store.checkpoint(Checkpoint::Passive));
            }
        }
        self.write_acknowledgements();
        self.maintain(|store| store.checkpoint(Checkpoint::Truncate));
    }

    fn serve(&mut self, request: JournalRequest) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        match request {
            JournalRequest::Accept(trigger, events, asked, reply) => {
                let look_up_events = self.look_up_events(events.len());
                let answer = self.write(
                    |store| store.accept(&trigger, &events, &acknowledged),
                    |store| Ok(store.accepted_id(&trigger)?.zip(look_up_events(store)?)),
                );
                if matches!(answer, Err(JournalError::Unknown { .. })) {
                    self.withdrawn.push(trigger);
                }
                self.keep_if(answer.is_err(), acknowledged);
                reply(answer.map(|(id, events)| AcceptanceReceipt { id, events, duration: asked.elapsed() }));
            }
            JournalRequest::Commit(entry, asked, reply) => {
                let trigger = entry.trigger;
                let answer = self.write(|store| store.commit(*entry, &acknowledged), |store| store.record_of(trigger));
                self.keep_if(answer.is_err(), acknowledged);
                reply(answer.map(|record| CommitReceipt { record, duration: asked.elapsed() }));
            }
            JournalRequest::Acknowledge(seq) => {
                self.acknowledged = acknowledged;
                self.acknowledged.push(seq);
            }
            JournalRequest::Record(entries, reply) => {
                self.acknowledged = acknowledged;
                let look_up = self.look_up_events(entries.len());
                reply(self.write(|store| store.record(&entries), look_up));
            }
            JournalRequest::RunningBundle(reply) => {
                self.acknowledged = acknowledged;
                reply(self.write(|store| Ok(store.running_bundle()?), |store| store.running_bundle().map(Some)));
            }
            JournalRequest::OpenParts(reply) => {
                self.acknowledged = acknowledged;
                reply(self.write(|store| Ok(store.open_parts()?), |_| Ok(None)));
            }
            JournalRequest::Prune(now_unix_ms, reply) => {
                self.acknowledged = acknowledged;
                let retention: Option<Retention> = self.options.retention;
                let prune = |store: &mut Store| match &retention {
                    Some(retention) => retention::prune(store, retention, now_unix_ms),
                    None => Ok(Pruned::default()),
                };
                reply(self.write(prune, |_| Ok(None)));
            }
        }
    }

    /// A function that looks up whether the next `count` events were written. Only this thread writes events, so events with their
    /// numbers are the requested ones.
    fn look_up_events(&self, count: usize) -> impl FnOnce(&Store) -> rusqlite::Result<Option<Vec<EventRow>>> + use<> {
        let first = self.store.as_ref().map(Store::next_event);
        move |store| first.map_or(Ok(None), |first| store.events_from(first, count))
    }

    /// Keeps the acknowledgements of a failed transaction for the next one.
    fn keep_if(&mut self, failed: bool, acknowledged: Vec<NonZeroU64>) {
        if failed {
            self.acknowledged = acknowledged;
        }
    }

    /// Makes one transaction. After an error, `look_up` searches the transaction's result in the reopened journal.
    fn write<T>(
        &mut self,
        transaction: impl FnOnce(&mut Store) -> Result<T, Failure>,
        look_up: impl FnOnce(&Store) -> rusqlite::Result<Option<T>>,
    ) -> Answer<T> {
        self.check_place();
        let Some(store) = self.store.as_mut() else {
            let why = locked(&self.state).last_error.clone().unwrap_or_default();
            return Err(JournalError::NotReady { why });
        };
        locked(&self.state).busy_since = Some(Instant::now());
        self.transactions += 1;
        let answer = match watched(|| transaction(store)) {
            Ok(value) => {
                self.stored = store.stored();
                Ok(value)
            }
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Broken(error)) => {
                let why = self.fail(&unusable(&self.path, error));
                self.reopen();
                match self.store.as_ref().map(|store| watched(|| look_up(store))) {
                    Some(Ok(Some(value))) => Ok(value),
                    Some(Ok(None)) => Err(JournalError::NotWritten { why }),
                    Some(Err(error)) => Err(JournalError::Unknown { why: self.fail(&unusable(&self.path, error)) }),
                    None => Err(JournalError::Unknown { why }),
                }
            }
        };
        locked(&self.state).busy_since = None;
        answer
    }

    /// Makes a transaction for which no caller waits.
    fn maintain(&mut self, transaction: impl FnOnce(&mut Store) -> rusqlite::Result<()>) {
        if self.store.is_some() {
            // `write` has logged the error and noted it in the state.
            let _ = self.write(|store| Ok(transaction(store)?), |_| Ok(Some(())));
        }
    }

    fn write_acknowledgements(&mut self) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        if !acknowledged.is_empty() {
            let failures = locked(&self.state).failures;
            self.maintain(|store| store.acknowledge(&acknowledged));
            let failed = self.store.is_none() || locked(&self.state).failures != failures;
            self.keep_if(failed, acknowledged);
        }
    }

    /// Closes the journal, so that it is not ready. Logs and returns the reason.
    fn fail(&mut self, error: &JournalError) -> String {
        let why = error.to_string();
        let mut state = locked(&self.state);
        // Attempts to reopen follow each other quickly. Repeated errors are logged once.
        if state.open || state.last_error.as_ref() != Some(&why) {
            tracing::error!(event = "journal_failed", why, "the journal failed and is closed");
        }
        state.open = false;
        state.failures += 1;
        state.last_error = Some(why.clone());
        drop(state);
        self.store = None;
        why
    }

    fn reopen(&mut self) {
        self.last_attempt = Instant::now();
        match self.reopened() {
            Ok(store) => {
                self.withdrawn.clear();
                self.stored = store.stored();
                self.store = Some(store);
                let mut state = locked(&self.state);
                (state.open, state.is_full) = (true, false);
                state.reopenings += 1;
                drop(state);
                tracing::warn!(event = "journal_reopened", "the journal was reopened and verified");
            }
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    /// Checks that the open files are still at their paths. Otherwise the journal is not ready: writes would go to unlinked
    /// files.
    fn check_place(&mut self) {
        self.checked_at = Instant::now();
        if self.store.is_some()
            && let Err(error) = self.place.check()
        {
            self.save_lost_wal();
            self.fail(&error);
        }
    }

    /// Checks that the disk has space; otherwise the journal is not ready. The writer still tries to store the verdict of a part
    /// that is being judged.
    fn check_space(&self) {
        if self.store.is_none() {
            return;
        }
        let was_full = locked(&self.state).is_full;
        let found = if was_full { room::attempt(&self.path) } else { room::check(&self.path) };
        let mut state = locked(&self.state);
        match found {
            Ok(()) if was_full => {
                state.is_full = false;
                tracing::warn!(event = "journal_has_room", "the journal's disk has free space again");
            }
            Err(error) if !was_full => {
                let why = error.to_string();
                tracing::error!(event = "journal_has_no_room", why, "the journal is not ready: its disk is full");
                state.is_full = true;
                state.failures += 1;
                state.last_error = Some(why);
            }
            _ => {}
        }
    }

    /// Saves a WAL that was deleted or moved away: moves its content into the database file. The WAL is still open here, and
    /// only the WAL holds the newest verdicts.
    fn save_lost_wal(&mut self) {
        if self.place.has_database()
            && let Some(store) = &self.store
            && matches!(watched(|| store.empty_wal()), Ok(true))
        {
            self.place.wal_is_saved();
        }
    }

    fn reopened(&mut self) -> Answer<Store> {
        // The check comes first, because opening would create new files.
        self.place.check_closed(self.boot_epoch, &self.stored)?;
        rewrite_wal(&self.path)?;
        let store = watched(|| Store::open(&self.path, self.options.verify_rows).map_err(Failure::Refused));
        self.place.opened(store.is_ok());
        let (mut store, _) = store.map_err(|failure| failure.at(&self.path))?;
        if store.boot_epoch() != self.boot_epoch.get() {
            let what = format!("found boot epoch {}, expected this start's {}", store.boot_epoch(), self.boot_epoch);
            return Err(JournalError::Damaged { path: self.path.clone(), what });
        }
        room::attempt(&self.path)?;
        watched(|| store.restart(&self.withdrawn)).map_err(|error| unusable(&self.path, error))?;
        Ok(store)
    }
}

pub(super) fn locked(state: &Mutex<WriterState>) -> MutexGuard<'_, WriterState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
