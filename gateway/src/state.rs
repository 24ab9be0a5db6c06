//! What a gateway remembers beside the ledger: checkpoints, sessions, jobs, the patient index. Losing it loses no ledger truth.
//!
//! It lies in SQLite (a file, for one gateway) or in PostgreSQL (for several gateways of one organisation, side by side). A module
//! that remembers something has
//! - a migration `gateway/migrations/NNNN_what.sql`, in SQL that both databases know: `BIGINT`, `TEXT` and `BYTEA`, no booleans;
//! - a file in `state/` with its functions, which take a [`State`] and run `sqlx::query("… $1 …").execute(state.pool())`. What reads
//!   and then writes runs in [`State::begin`]. Nothing takes a second connection while it holds one: a state in memory has only one;
//! - for what ends by itself, a column `expires_at` (milliseconds since 1970) and a line in [`retention`], which deletes it.
//!
//! Whoever reads the database learns no secret from it: tokens are stored as hashes, what is to be read again is sealed under the
//! [`StateKey`], which lies in a file beside it, and no record is.

pub mod answers;
pub mod awaited_signatures;
pub mod callers;
pub mod checkpoint;
pub mod dead_letters;
mod key;
pub mod leases;
pub mod patient_index;
pub mod prescriptions;
pub mod records;
pub mod replicas;
pub mod retention;
pub mod uploads;
pub mod webhooks;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{Any, AnyPool, Connection as _, Row as _, Transaction};
use url::Url;

use crate::observe::observe;

pub use self::key::{DoesNotOpen, KeyError, StateKey};

static MIGRATIONS: Migrator = sqlx::migrate!();

/// Connections at once.
const CONNECTIONS: u32 = 16;
/// How long a request waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a state lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// In an SQLite file, made when it is missing.
    File(PathBuf),
    /// In a PostgreSQL database, which exists.
    Postgres(Url),
}

/// The gateway's memory: a handle, cheap to clone.
#[derive(Clone)]
pub struct State {
    pool: AnyPool,
    key: Arc<StateKey>,
    begin: &'static str,
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The configuration names no database.
    #[error("[state] url: {0}; write sqlite:FILE or postgres://USER@HOST/DATABASE")]
    Url(&'static str),
    /// The database cannot be opened.
    #[error("cannot open the state, {place}: {source}; check that it is there and lets this gateway read and write")]
    Open {
        /// Where it should be, without a password.
        place: String,
        /// What the database or the operating system said.
        source: sqlx::Error,
    },
    /// The tables cannot be made or are not this release's.
    #[error(
        "the state's tables are not as this release needs them: {0}; start the release that used them last, or a newer one"
    )]
    Tables(#[from] MigrateError),
    /// The state was made under another key.
    #[error(
        "the state is another gateway's, or its key was lost: copy the [state] key_file of the gateway that made it, or begin with an empty database"
    )]
    OtherKey,
    /// What was read is not what was written.
    #[error("what the state holds was damaged")]
    Damaged,
    /// The database does not answer, or not as it should.
    #[error("the state cannot be used: {0}")]
    Unavailable(#[from] sqlx::Error),
}

impl State {
    /// Opens a state and brings its tables up to date. Gateways that do so at once wait for each other.
    pub async fn open(place: &Place, key: StateKey) -> Result<Self, StateError> {
        let failed = |source| StateError::Open { place: format!("{place:?}"), source };
        match place {
            Place::File(file) => {
                create(file).map_err(|error| failed(error.into()))?;
                let url = Url::from_file_path(file).map_err(|()| StateError::Url("the file's path is not absolute"))?;
                let url = format!("sqlite://{}", url.path());
                Self::sqlite(&url, CONNECTIONS, key).await.map_err(failed)?.up_to_date().await
            }
            Place::Postgres(url) => {
                sqlx::any::install_default_drivers();
                let pool = AnyPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
                let pool = pool.connect(url.as_str()).await.map_err(failed)?;
                MIGRATIONS.run_direct(None, &mut *pool.acquire().await?, false).await?;
                Self { pool, key: Arc::new(key), begin: "BEGIN" }.under_its_key().await
            }
        }
    }

    /// A state that is gone when its last handle is: for tests, and for trying things out.
    pub async fn in_memory() -> Result<Self, StateError> {
        // Each connection would have a database of its own: there is one, and it stays.
        Self::sqlite("sqlite::memory:", 1, StateKey::generate()).await?.up_to_date().await
    }

    /// Runs single statements.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Seals and hashes what must not be read in the database.
    pub fn key(&self) -> &StateKey {
        &self.key
    }

    /// Begins what reads and then writes. In SQLite, others that write wait until it ends.
    pub async fn begin(&self) -> Result<Transaction<'static, Any>, StateError> {
        observe("state", "begin", async { Ok(self.pool.begin_with(self.begin).await?) }).await
    }

    /// Asks the database for an answer.
    pub async fn check(&self) -> Result<(), StateError> {
        observe("state", "check", async {
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            Ok(())
        })
        .await
    }

    /// Ends the connections, when those who use them have.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn sqlite(url: &str, connections: u32, key: StateKey) -> Result<Self, sqlx::Error> {
        sqlx::any::install_default_drivers();
        let pool = AnyPoolOptions::new().max_connections(connections).min_connections(1).acquire_timeout(PATIENCE);
        // A file does not go away as a server does: no statement needs another one before it that asks.
        let pool = pool.test_before_acquire(false).idle_timeout(None).max_lifetime(None);
        let pool = pool.after_connect(|connection, _| {
            Box::pin(async move {
                // The driver waits five seconds for others that write. Of a power cut, the last moments may be lost, nothing else.
                sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;").execute(connection).await?;
                Ok(())
            })
        });
        Ok(Self { pool: pool.connect(url).await?, key: Arc::new(key), begin: "BEGIN IMMEDIATE" })
    }

    /// SQLite has no lock for migrations; a transaction around all of them is one.
    async fn up_to_date(self) -> Result<Self, StateError> {
        let mut connection = self.pool.acquire().await?;
        let mut all = connection.begin_with(self.begin).await?;
        MIGRATIONS.run_direct(None, &mut *all, false).await?;
        all.commit().await?;
        drop(connection);
        self.under_its_key().await
    }

    async fn under_its_key(self) -> Result<Self, StateError> {
        let proof = self.key.keyed_hash("proof", &[]);
        let first = sqlx::query("INSERT INTO state_key (one, proof) VALUES (1, $1) ON CONFLICT (one) DO NOTHING");
        first.bind(&proof).execute(&self.pool).await?;
        let known: String = sqlx::query("SELECT proof FROM state_key").fetch_one(&self.pool).await?.try_get(0)?;
        if known == proof { Ok(self) } else { Err(StateError::OtherKey) }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(formatter, "SQLite file {}", file.display()),
            Self::Postgres(url) => {
                let database = url.path().trim_start_matches('/');
                write!(formatter, "PostgreSQL database {database} at {}", url.host_str().unwrap_or("its socket"))
            }
        }
    }
}

/// Makes an empty file that only this gateway's user may read.
fn create(file: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(file).map(drop)
}
