//! What becomes of records: tags are written down first, since an ip-tag record says that its tag will be kept; then
//! all records go to the log store.

use std::sync::Arc;

use control::{
    Compaction, Journal, JournalError, LogLimits, LogReader, LogStore, Restored, StateDirectory, StateError,
    TagChange,
};
use logs::{Body, IpTag, Record, TagEvent};
use packet::Timestamp;
use serde_json::{Value, json};
use tags::{Entry, Subject, TagId, TagStore};
use tracing::{error, info, warn};

use super::shared::Shared;

/// Why there is nowhere to keep what outlives the process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("tags cannot be kept: {0}")]
    Journal(#[from] JournalError),
    #[error("committed configurations cannot be kept in {folder}: {error}")]
    History { folder: String, error: std::io::Error },
    #[error("the log store in {folder} cannot be used: {error}")]
    LogStore { folder: String, error: std::io::Error },
}

/// Where records and tags are kept.
#[derive(Debug)]
pub(super) struct Sinks {
    journal: Journal,
    log_store: LogStore,
    /// Why the last change was not written down; none where it was.
    fault: Option<String>,
    /// Something was written since [`Sinks::upkeep`] was called.
    dirty: bool,
    /// Nobody else's while this lives.
    state: StateDirectory,
}

/// What other threads are to do for the sinks, since it may take long.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// To be synced.
    pub(super) sync: Option<std::fs::File>,
    pub(super) compaction: Option<Compaction>,
    /// The journal lacks what is in force.
    pub(super) behind: bool,
}

/// A change of the tags in force, taken out of a record.
enum Change {
    Register(Entry),
    Unregister(Subject, TagId),
    Expire(Subject, TagId),
}

impl Sinks {
    /// Opens what is kept in `state`, puts the tags that were in force into `store`, and returns the number of the
    /// last record.
    pub(super) fn open(
        state: StateDirectory,
        store: &TagStore,
        now: Timestamp,
    ) -> Result<(Self, u64), KeepError> {
        let (journal, restored) = Journal::open(state.path(), store.names())?;
        restore(&restored, store, now);
        let folder = state.path().join("logs");
        let (log_store, last_seqno) =
            LogStore::open(&folder, Arc::clone(store.names()), LogLimits::default()).map_err(|error| {
                KeepError::LogStore {
                    folder: folder.display().to_string(),
                    error,
                }
            })?;
        let sinks = Self {
            journal,
            log_store,
            fault: None,
            dirty: false,
            state,
        };
        Ok((sinks, last_seqno))
    }

    /// Takes records, in order.
    pub(super) fn take(&mut self, shared: &Shared, now: Timestamp, records: &mut Vec<Record>) {
        let changes: Vec<Change> = records
            .iter()
            .filter_map(|record| match &record.body {
                Body::IpTag(change) => change_of(change, shared, now),
                Body::Traffic(_)
                | Body::Threat(_)
                | Body::Url(_)
                | Body::Decryption(_)
                | Body::System(_)
                | Body::Config(_) => None,
            })
            .collect();
        if !changes.is_empty() {
            self.write_down(&changes, shared.tags.names());
        }
        let ruleset = shared.ruleset.load();
        self.log_store
            .store(ruleset.policy().symbols(), std::mem::take(records));
    }

    fn write_down(&mut self, changes: &[Change], names: &tags::TagNames) {
        let changes = changes.iter().map(|change| match change {
            Change::Register(entry) => TagChange::Register(entry),
            Change::Unregister(subject, tag) => TagChange::Unregister(subject, *tag),
            Change::Expire(subject, tag) => TagChange::Expire(subject, *tag),
        });
        match self.journal.append(changes, names) {
            Ok(()) => {
                self.dirty = true;
                if self.fault.take().is_some() {
                    info!("tags are written down again");
                }
            }
            Err(fault) => {
                // Told once: a full disk refuses thousands.
                if self.fault.is_none() {
                    error!(%fault, "tags are in force, but cannot be written down, and would not outlive a restart");
                }
                self.fault = Some(fault.to_string());
            }
        }
    }

    /// Why the last change was not written down.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// What is to be done now that the thread that tags must not do itself.
    pub(super) fn upkeep(&mut self) -> Upkeep {
        let sync = std::mem::take(&mut self.dirty)
            .then(|| self.journal.file().ok())
            .flatten();
        let compaction = self.journal.compaction().unwrap_or_else(|fault| {
            warn!(%fault, "the tag journal cannot be compacted");
            None
        });
        Upkeep {
            sync,
            compaction,
            behind: self.journal.is_behind(),
        }
    }

    /// Writes everything in force anew, after changes could not be written down.
    pub(super) fn catch_up(&mut self, store: &TagStore, now: Timestamp) {
        match self.journal.rewrite(&store.entries(now), store.names()) {
            Ok(()) => {
                self.fault = None;
                info!("all tags in force are written down again");
            }
            Err(fault) => self.fault = Some(fault.to_string()),
        }
    }

    /// Looks things up in the log store.
    pub(super) fn reader(&self) -> LogReader {
        self.log_store.reader()
    }

    /// How things stand.
    pub(super) fn health(&self) -> Value {
        let logs = self.log_store.counters();
        json!({
            "directory": self.state.path().display().to_string(),
            "journal_bytes": self.journal.length(),
            "journal_fault": self.fault.as_deref().unwrap_or(""),
            "records_stored": logs.stored,
            "records_not_stored": logs.not_stored,
            "log_store_faults": logs.faults,
        })
    }

    /// Writes what waits.
    pub(super) fn finish(&mut self) {
        self.log_store.stop();
        if let Err(fault) = self.journal.sync() {
            warn!(%fault, "the tag journal may not survive a power cut");
        }
    }
}

fn restore(restored: &Restored, store: &TagStore, now: Timestamp) {
    for damage in &restored.damage {
        error!(%damage, "part of the tag journal could not be read; it was kept aside");
    }
    if restored.skipped > 0 {
        warn!(
            skipped = restored.skipped,
            "tags of the journal are not in force: too many names"
        );
    }
    let mut full = 0_usize;
    for entry in &restored.entries {
        // One that has run out meanwhile is told like any other.
        let timeout = (entry.deadline != Timestamp::MAX).then(|| entry.deadline.saturating_since(now));
        let registration = store.register(
            now,
            &entry.subject,
            entry.tag,
            timeout,
            entry.persistent,
            entry.cause.clone(),
        );
        full += usize::from(matches!(registration, tags::Registration::Full(_)));
    }
    if full > 0 {
        warn!(
            full,
            "tags of the journal are not in force: the tag store is full"
        );
    }
    if !restored.entries.is_empty() {
        info!(tags = restored.entries.len() - full, "restored");
    }
}

fn change_of(change: &IpTag, shared: &Shared, now: Timestamp) -> Option<Change> {
    match change.event {
        TagEvent::Register | TagEvent::Refresh => {
            let entries = shared.tags.entries_of(now, &change.subject);
            let entry = entries.into_iter().find(|entry| entry.tag == change.tag)?;
            Some(Change::Register(entry))
        }
        TagEvent::Unregister => Some(Change::Unregister(change.subject.clone(), change.tag)),
        TagEvent::Timeout => Some(Change::Expire(change.subject.clone(), change.tag)),
        TagEvent::Refused | TagEvent::Shadow => None,
    }
}
