//! The journal's thread: it alone writes.
//!
//! After an error nothing is tried again blindly. The journal is not ready, the database is closed, its log is written
//! anew and synced, it is opened and verified like at a start, a write must succeed; then it is looked up whether the
//! request's row got in, and the caller is told.

use super::JournalError;
use super::files::{Lock, lock, refuse_lone_log, rewrite_log};
use super::index::watched;
use super::options::{JournalOptions, Recovery, Retention};
use super::place::Place;
use super::retention::{self, Pruned};
use super::room;
use super::schema::unusable;
use super::store::{Checkpoint, Failure, Store, Stored};
use super::verdict_row::{Accepted, AcceptedTrigger, Answer, CommitReceipt, OpenPart, VerdictEntry};
use std::num::{NonZeroU32, NonZeroU64};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Transactions after which the log is moved into the database, when nobody waits.
const CHECKPOINT_EVERY: u32 = 250;
/// Pause after which waiting acknowledgements are written on their own.
const IDLE: Duration = Duration::from_secs(1);
/// How often the thread shows that it lives while nobody asks for anything.
const LIFE: Duration = Duration::from_millis(40);

/// What the thread does with its answer.
pub(super) type Reply<T> = Box<dyn FnOnce(Answer<T>) + Send>;

/// What callers ask of the thread.
pub(super) enum JournalRequest {
    Accept(AcceptedTrigger, Instant, Reply<Accepted>),
    Commit(Box<VerdictEntry>, Instant, Reply<CommitReceipt>),
    Acknowledge(NonZeroU64),
    OpenParts(Reply<Vec<OpenPart>>),
    Prune(i64, Reply<Pruned>),
}

/// What callers see of the writer.
#[derive(Default)]
pub(super) struct WriterState {
    pub(super) open: bool,
    /// The disk has no room for the next rows. What is asked all the same is tried.
    pub(super) is_full: bool,
    /// The thread's last sign of life while it waits for requests.
    pub(super) seen: Option<Instant>,
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
    /// When it was last looked at whether the paths still lead to them.
    looked: Instant,
    /// None: not ready.
    store: Option<Store>,
    /// What the last transaction that succeeded left.
    stored: Stored,
    state: Arc<Mutex<WriterState>>,
    acknowledged: Vec<NonZeroU64>,
    /// Acceptances whose callers got an error, to be taken back.
    withdrawn: Vec<AcceptedTrigger>,
    transactions: u32,
    last_attempt: Instant,
    /// Dropped last.
    _lock: Lock,
}

impl Drop for Writer {
    fn drop(&mut self) {
        locked(&self.state).open = false;
    }
}

impl Writer {
    /// Opens or makes the journal at the resolved `path`, begins a new boot epoch and closes what a crash left in hand.
    pub(super) fn open(path: &Path, options: JournalOptions) -> Result<(Self, Recovery), JournalError> {
        let lock = lock(path)?;
        refuse_lone_log(path)?;
        rewrite_log(path)?;
        let (store, recovery) = watched(|| Self::start(path, &options)).map_err(|failure| failure.at(path))?;

        let (place, stored) = (Place::of(path)?, store.stored());
        let state = WriterState { open: true, seen: Some(Instant::now()), ..WriterState::default() };
        let writer = Self {
            path: path.to_owned(),
            options,
            boot_epoch: recovery.boot_epoch,
            place,
            looked: Instant::now(),
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

    /// Opens the database and begins a new boot epoch.
    fn start(path: &Path, options: &JournalOptions) -> Result<(Store, Recovery), Failure> {
        let (mut store, created) = Store::open(path, options.verify_rows).map_err(Failure::Refused)?;
        let rows = store.rows();
        let (boot_epoch, restarted) = store.start()?;
        // Else the new epoch would live in the log alone, and be given again where that is lost.
        store.checkpoint(Checkpoint::Truncate)?;
        let unacknowledged = store.unacknowledged()?;
        let rows = rows + restarted.len() as u64;
        Ok((store, Recovery { boot_epoch, created, rows, restarted, unacknowledged }))
    }

    /// What callers see of it.
    pub(super) fn state(&self) -> Arc<Mutex<WriterState>> {
        Arc::clone(&self.state)
    }

    /// Serves until nobody can ask any more, then writes what waits.
    pub(super) fn run(mut self, requests: &Receiver<JournalRequest>) {
        let mut asked = Instant::now();
        let mut looked_for_room = None;
        loop {
            locked(&self.state).seen = Some(Instant::now());
            if self.store.is_none() && self.last_attempt.elapsed() >= self.options.reopen_every {
                self.reopen();
            }
            if self.looked.elapsed() >= IDLE {
                self.look_at_file();
            }
            if looked_for_room.is_none_or(|at: Instant| at.elapsed() >= IDLE) {
                looked_for_room = Some(Instant::now());
                self.look_for_room();
            }
            match requests.recv_timeout(LIFE) {
                Ok(request) => {
                    self.serve(request);
                    asked = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) if asked.elapsed() >= IDLE => {
                    self.write_acknowledgements();
                    asked = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
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
            JournalRequest::Accept(trigger, asked, reply) => {
                let answer = self.write(|store| store.accept(&trigger, &acknowledged), |store| store.in_hand(&trigger));
                if matches!(answer, Err(JournalError::Unknown { .. })) {
                    self.withdrawn.push(trigger);
                }
                self.kept(answer.is_err(), acknowledged);
                reply(answer.map(|id| Accepted { id, duration: asked.elapsed() }));
            }
            JournalRequest::Commit(entry, asked, reply) => {
                let trigger = entry.trigger;
                let answer = self.write(|store| store.commit(*entry, &acknowledged), |store| store.record_of(trigger));
                self.kept(answer.is_err(), acknowledged);
                reply(answer.map(|record| CommitReceipt { record, duration: asked.elapsed() }));
            }
            JournalRequest::Acknowledge(seq) => {
                self.acknowledged = acknowledged;
                self.acknowledged.push(seq);
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

    /// Acknowledgements of a transaction that failed wait for the next one.
    fn kept(&mut self, failed: bool, acknowledged: Vec<NonZeroU64>) {
        if failed {
            self.acknowledged = acknowledged;
        }
    }

    /// One transaction; after an error, what `look` finds of it once the journal is open again.
    fn write<T>(
        &mut self,
        transaction: impl FnOnce(&mut Store) -> Result<T, Failure>,
        look: impl FnOnce(&Store) -> rusqlite::Result<Option<T>>,
    ) -> Answer<T> {
        self.look_at_file();
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
                match self.store.as_ref().map(|store| watched(|| look(store))) {
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

    /// A transaction that nobody waits for.
    fn maintain(&mut self, transaction: impl FnOnce(&mut Store) -> rusqlite::Result<()>) {
        if self.store.is_some() {
            // The error is in the log and in the health already.
            let _ = self.write(|store| Ok(transaction(store)?), |_| Ok(Some(())));
        }
    }

    fn write_acknowledgements(&mut self) {
        let acknowledged = std::mem::take(&mut self.acknowledged);
        if !acknowledged.is_empty() {
            let failures = locked(&self.state).failures;
            self.maintain(|store| store.acknowledge(&acknowledged));
            let failed = self.store.is_none() || locked(&self.state).failures != failures;
            self.kept(failed, acknowledged);
        }
    }

    /// Not ready: closes the database and says why.
    fn fail(&mut self, error: &JournalError) -> String {
        let why = error.to_string();
        let mut state = locked(&self.state);
        // Attempts to reopen follow each other quickly; one that fails like the one before is no news.
        if state.open || state.last_error.as_ref() != Some(&why) {
            tracing::error!("the journal failed and is closed: {why}");
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
                tracing::warn!("the journal is open and verified again");
            }
            Err(error) => {
                self.fail(&error);
            }
        }
    }

    /// Not ready where the path does not lead to the open file any more: what is written there nobody would find.
    fn look_at_file(&mut self) {
        self.looked = Instant::now();
        if self.store.is_some()
            && let Err(error) = self.place.look()
        {
            self.save_lost_log();
            self.fail(&error);
        }
    }

    /// Not ready while the disk is full, also where nobody asks for anything; a part in hand may find room all the same.
    fn look_for_room(&self) {
        if self.store.is_none() {
            return;
        }
        let was_full = locked(&self.state).is_full;
        let found = if was_full { room::attempt(&self.path) } else { room::look(&self.path) };
        let mut state = locked(&self.state);
        match found {
            Ok(()) if was_full => {
                state.is_full = false;
                tracing::warn!(event = "journal_has_room", "the journal's disk has room again");
            }
            Err(error) if !was_full => {
                let why = error.to_string();
                tracing::error!(event = "journal_has_no_room", "the journal is not ready: {why}");
                state.is_full = true;
                state.failures += 1;
                state.last_error = Some(why);
            }
            _ => {}
        }
    }

    /// A log that has lost its name is open here still, and the only place of the newest verdicts: they go to the database.
    fn save_lost_log(&mut self) {
        if self.place.has_database()
            && let Some(store) = &self.store
            && matches!(watched(|| store.empty_log()), Ok(true))
        {
            self.place.log_is_saved();
        }
    }

    fn reopened(&mut self) -> Answer<Store> {
        // Opening would make new files.
        self.place.look_closed(self.boot_epoch, &self.stored)?;
        rewrite_log(&self.path)?;
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
