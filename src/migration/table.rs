//! All migrations of a daemon.

use super::{
    engine::{Engine, RunEnd},
    images::ImagePattern,
    limits::{LOOK_EVERY, MOST_ENDED, MOST_OPEN, SAVE_EVERY, TICK},
    record::{CredentialKind, MigrationPhase, MigrationPlan, MigrationRecord},
    source::{Authority, SourceCredential, client_of},
    state::{MigrationState, now},
};
use crate::{
    outbound::CredentialError,
    storage::{DirOf, Durability, FactKey, Put, Storage, StorageError},
};
use api::migration::{ImageStatus, MigrationRequest};
use client::{Platform, RegistryAddress};
use futures_util::{FutureExt as _, future::BoxFuture};
use oci::{RepositoryName, json};
use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Notify,
    time::{Instant, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{error, info, warn};
use ulid::Ulid;

/// All migrations. Clones share them.
#[derive(Clone)]
pub struct Migrations(Arc<MigrationTable>);

struct MigrationTable {
    store: Arc<dyn Storage>,
    known: Mutex<BTreeMap<Ulid, Arc<MigrationState>>>,
    /// How many run.
    running: Mutex<usize>,
    /// One of them has ended.
    ended: Notify,
    tracker: TaskTracker,
    end: CancellationToken,
}

/// A migration that somebody starts.
pub struct NewMigration {
    pub request: MigrationRequest,
    pub credential: SourceCredential,
    pub authority: Authority,
}

/// Why a migration cannot be started or resumed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationRefused {
    #[error("{MOST_OPEN} migrations have not ended; cancel some, or wait")]
    TooMany,
    /// It runs, or has nothing left to do.
    #[error("the migration {0}")]
    NotResumable(&'static str),
    #[error("the other registry needs the user and the password again, which are kept in memory only")]
    NeedsCredentials,
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What is left of a plan that was checked when it was made.
type ParsedPlan = (RegistryAddress, Vec<ImagePattern>, Option<RepositoryName>, Vec<Platform>);

/// A place among the migrations that run.
struct RunTurn<'a>(&'a MigrationTable);

impl Migrations {
    pub fn new(store: Arc<dyn Storage>) -> Self {
        Self(Arc::new(MigrationTable {
            store,
            known: Mutex::default(),
            running: Mutex::default(),
            ended: Notify::new(),
            tracker: TaskTracker::new(),
            end: CancellationToken::new(),
        }))
    }

    /// Starts a migration. It is on disk when this returns.
    ///
    /// # Errors
    /// [`MigrationRefused`].
    pub async fn start(&self, new: NewMigration) -> Result<Arc<MigrationState>, MigrationRefused> {
        let NewMigration { request, credential, authority } = new;
        let record = MigrationRecord {
            owner: authority.owner().map(str::to_owned),
            limited: authority.is_limited(),
            plan: MigrationPlan::of(&request, &credential),
            phase: MigrationPhase::Pending,
            started: now(),
            ended: None,
            listed: false,
            images: Vec::new(),
            partial: Vec::new(),
        };
        let state = {
            let mut known = self.0.known();
            if known.values().filter(|state| state.is_open()).count() >= MOST_OPEN {
                return Err(MigrationRefused::TooMany);
            }
            let state = Arc::new(MigrationState::new(next_id(&known), record));
            known.insert(state.id, state.clone());
            state
        };
        let begun = self.begin(&state, authority, credential).await;
        if begun.is_err() {
            self.0.known().remove(&state.id);
        }
        begun.map(|()| state)
    }

    /// Continues a migration that was interrupted, or that failed in part.
    ///
    /// # Errors
    /// [`MigrationRefused`].
    pub async fn resume(
        &self,
        state: &Arc<MigrationState>,
        authority: Authority,
        given: SourceCredential,
    ) -> Result<(), MigrationRefused> {
        let kind = state.with(|record| match &record.phase {
            MigrationPhase::Pending | MigrationPhase::Running => Err(MigrationRefused::NotResumable("is in progress")),
            MigrationPhase::Completed => Err(MigrationRefused::NotResumable("has completed")),
            MigrationPhase::Paused(_) | MigrationPhase::NeedsCredentials => Ok(record.plan.credentials.clone()),
            MigrationPhase::Failed(_) | MigrationPhase::Cancelled => Ok(record.plan.credentials.clone()),
        })?;
        let credential = match (given, kind) {
            (SourceCredential::None, CredentialKind::Secret) => return Err(MigrationRefused::NeedsCredentials),
            (SourceCredential::None, CredentialKind::Named(name)) => {
                let name = name.parse().map(SourceCredential::Named);
                name.map_err(|_| MigrationRefused::NotResumable("has credentials with an invalid name"))?
            }
            (given, _) => given,
        };
        state.change(|record| {
            record.plan.credentials = credential.kind();
            record.limited = authority.is_limited();
        });
        self.begin(state, authority, credential).await
    }

    /// Asks a migration to end, or gives up one that waits to be resumed. Returns whether it had not ended.
    pub async fn cancel(&self, state: &Arc<MigrationState>) -> bool {
        if state.cancel() {
            return true;
        }
        let waits =
            |phase: &MigrationPhase| matches!(phase, MigrationPhase::Paused(_) | MigrationPhase::NeedsCredentials);
        if !state.with(|record| waits(&record.phase)) {
            return false;
        }
        state.end(MigrationPhase::Cancelled);
        self.0.save(state).await;
        true
    }

    /// All migrations, newest first.
    pub fn all(&self) -> Vec<Arc<MigrationState>> {
        self.0.known().values().rev().cloned().collect()
    }

    pub fn get(&self, id: Ulid) -> Option<Arc<MigrationState>> {
        self.0.known().get(&id).cloned()
    }

    /// Reads the migrations of earlier processes, and continues those that were in progress and need nobody for it.
    pub async fn restore(&self, authority_of: impl Fn(Option<&str>) -> Authority) {
        let mut names = self.0.store.names(DirOf::migrations(), 1000);
        loop {
            let id = match names.next().await {
                Ok(Some(id)) => id,
                Ok(None) => break,
                Err(error) => {
                    error!(%error, "cannot list the migrations of before");
                    break;
                }
            };
            let key = FactKey::Migration(id);
            let record = match self.0.store.get(&key).await {
                Ok(Some(fact)) => json::from_slice::<MigrationRecord>(&fact.bytes).map_err(|error| error.to_string()),
                Ok(None) => continue,
                Err(error) => Err(error.to_string()),
            };
            match record {
                Ok(record) => self.take_up(id, record, &authority_of).await,
                Err(error) => error!(path = key.path(), error, "cannot read a migration; it is ignored"),
            }
        }
        self.0.forget_oldest().await;
    }

    async fn take_up(&self, id: Ulid, mut record: MigrationRecord, authority_of: &impl Fn(Option<&str>) -> Authority) {
        for image in record.images.iter_mut().filter(|image| image.status == ImageStatus::Running) {
            image.status = ImageStatus::Waiting;
        }
        let was_open = record.phase.is_open();
        let (kind, is_limited) = (record.plan.credentials.clone(), record.limited);
        let authority = authority_of(record.owner.as_deref());
        let state = Arc::new(MigrationState::new(id, record));
        self.0.known().insert(id, state.clone());
        if !was_open {
            return;
        }
        let credential = match kind {
            CredentialKind::None => Some(SourceCredential::None),
            CredentialKind::Named(name) => name.parse().ok().map(SourceCredential::Named),
            CredentialKind::Secret => None,
        };
        let end = match credential {
            None => MigrationPhase::NeedsCredentials,
            Some(_) if is_limited => MigrationPhase::Paused(
                "the registry was restarted, and the API key or token with which it was started is not kept".to_owned(),
            ),
            Some(credential) => {
                info!(migration = %id, "migration continues after a restart");
                let Err(error) = self.begin(&state, authority, credential).await else { return };
                MigrationPhase::Paused(error.to_string())
            }
        };
        state.end(end);
        self.0.save(&state).await;
    }

    /// Ends the runs in progress, and waits until they have ended. They continue with the next start.
    pub async fn end(&self) {
        self.0.end.cancel();
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    /// Begins a run in a task of its own.
    async fn begin(
        &self,
        state: &Arc<MigrationState>,
        authority: Authority,
        credential: SourceCredential,
    ) -> Result<(), MigrationRefused> {
        let plan = state.with(|record| record.plan.clone());
        let parsed = parse(&plan).map_err(|_| MigrationRefused::NotResumable("cannot be read any more"))?;
        let settings = authority.live();
        let credential = credential.read(&settings.credentials, &parsed.0).await?;
        let Some(token) = state.begin(&self.0.end) else {
            return Err(MigrationRefused::NotResumable("is in progress"));
        };
        if let Err(error) = self.0.try_save(state).await {
            state.end(MigrationPhase::Paused("it could not be written to the disk".to_owned()));
            return Err(error.into());
        }
        let (table, state) = (self.0.clone(), state.clone());
        self.0.tracker.spawn(async move {
            let (address, patterns, prefix, platforms) = parsed;
            let client = client_of(address, credential, &settings.migration);
            let engine = Engine::new(state.clone(), (patterns, prefix, platforms), client, authority);
            let work = AssertUnwindSafe(table.work(&engine)).catch_unwind();
            let phase = tokio::select! {
                ended = work => match ended {
                    Ok(RunEnd::Completed) => MigrationPhase::Completed,
                    Ok(RunEnd::Failed(why)) => MigrationPhase::Failed(why),
                    Ok(RunEnd::Paused(why)) => MigrationPhase::Paused(why),
                    Err(_) => MigrationPhase::Failed("it panicked; the log says where".to_owned()),
                },
                () = token.cancelled() => MigrationPhase::Cancelled,
            };
            // On shutdown it stays as it is, so that the next process continues it.
            if !table.end.is_cancelled() {
                info!(migration = %state.id, source = plan.source, ?phase, "migration ended");
                state.end(phase);
            }
            table.save(&state).await;
            table.forget_oldest().await;
        });
        Ok(())
    }
}

impl MigrationTable {
    fn known(&self) -> MutexGuard<'_, BTreeMap<Ulid, Arc<MigrationState>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for its turn, and works; shows and writes how far it is.
    fn work<'a>(&'a self, engine: &'a Engine) -> BoxFuture<'a, RunEnd> {
        Box::pin(async move {
            let state = &engine.state;
            let _turn = self.turn(&engine.authority).await;
            state.change(|record| record.phase = MigrationPhase::Running);
            let work = engine.run();
            tokio::pin!(work);
            let (mut ticks, mut saved) = (interval(TICK), Instant::now());
            let (mut pause, mut looked) = (SAVE_EVERY, Instant::now());
            loop {
                tokio::select! {
                    end = &mut work => return end,
                    _ = ticks.tick() => state.tick(),
                }
                if looked.elapsed() >= LOOK_EVERY {
                    // Not only between images: a large one takes its time.
                    if let Some(why) = engine.authority.obstacle().await {
                        return RunEnd::Paused(why.to_owned());
                    }
                    looked = Instant::now();
                }
                if saved.elapsed() >= pause {
                    let began = Instant::now();
                    self.save(state).await;
                    // A long list is written less often.
                    (saved, pause) = (Instant::now(), SAVE_EVERY.max(began.elapsed() * 20));
                }
            }
        })
    }

    /// Waits until fewer run than may.
    async fn turn(&self, authority: &Authority) -> RunTurn<'_> {
        loop {
            let most = authority.live().migration.migrations;
            {
                let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
                if *running < most {
                    *running += 1;
                    return RunTurn(self);
                }
            }
            // The settings may allow more by now.
            let _ = timeout(Duration::from_secs(5), self.ended.notified()).await;
        }
    }

    async fn save(&self, state: &MigrationState) {
        if let Err(error) = self.try_save(state).await {
            warn!(migration = %state.id, %error, "cannot write how far a migration is");
        }
    }

    async fn try_save(&self, state: &MigrationState) -> Result<(), StorageError> {
        let Some(record) = state.unsaved() else { return Ok(()) };
        // Only text, numbers and lists of them are written, which cannot fail.
        let bytes = crate::storage::blocking(move || Ok(serde_json::to_vec(&record).unwrap_or_default())).await?;
        self.store.put(vec![Put::any(FactKey::Migration(state.id), bytes)], Durability::Durable).await?;
        Ok(())
    }

    /// Forgets the oldest migrations that have ended.
    async fn forget_oldest(&self) {
        loop {
            let oldest = {
                let mut known = self.known();
                let ended: Vec<Ulid> = known.iter().filter(|(_, state)| !state.is_open()).map(|(id, _)| *id).collect();
                match ended.first().copied().filter(|_| ended.len() > MOST_ENDED) {
                    Some(oldest) => known.remove(&oldest).map(|_| oldest),
                    None => None,
                }
            };
            let Some(oldest) = oldest else { return };
            if let Err(error) = self.store.discard(&FactKey::Migration(oldest)).await {
                warn!(migration = %oldest, %error, "cannot delete an old migration");
            }
        }
    }
}

impl Drop for RunTurn<'_> {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_one();
    }
}

/// What a plan says. It was checked when the migration was started.
fn parse(plan: &MigrationPlan) -> Result<ParsedPlan, String> {
    let address: RegistryAddress = plan.source.parse().map_err(|why: client::InvalidRegistry| why.to_string())?;
    let patterns = plan.images.iter().map(|text| ImagePattern::parse(text, &address));
    let patterns = patterns.collect::<Result<_, _>>().map_err(|why| why.to_string())?;
    let prefix = plan.target_prefix.as_deref().map(str::parse).transpose();
    let prefix = prefix.map_err(|why: oci::InvalidName| why.to_string())?;
    let platforms = plan.platforms.iter().map(|text| text.parse()).collect::<Result<_, _>>();
    let platforms = platforms.map_err(|why: client::InvalidPlatform| why.to_string())?;
    Ok((address, patterns, prefix, platforms))
}

/// A new id, greater than all others even within one millisecond.
fn next_id(known: &BTreeMap<Ulid, Arc<MigrationState>>) -> Ulid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let new = Ulid::from_parts(since.as_millis() as u64, uuid::Uuid::new_v4().as_u128());
    match known.last_key_value() {
        Some((last, _)) if *last >= new => last.increment().unwrap_or(new),
        _ => new,
    }
}
