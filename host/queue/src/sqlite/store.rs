//! The file and the one thread that touches it. SQLite's calls block, and one writer at a time is all it has, so the
//! calls queue up for a thread of their own: none of them ever holds up the async runtime.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::errors::explain;
use crate::broker::BrokerError;
use crate::clock::{Clock, Timestamp};

/// Marks a file as ours ("afrs"), so that another program's database is never touched.
const APPLICATION_ID: i32 = 0x6166_7273;

/// The version of `schema.sql`.
const SCHEMA_VERSION: i32 = 1;

/// How long a call waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How large the write-ahead log may stay after a checkpoint, in bytes.
const LOG_SIZE: i64 = 64 * 1024 * 1024;

/// How many prepared statements are kept.
const STATEMENTS: usize = 64;

type Call = Box<dyn FnOnce(&mut Connection) + Send>;

/// A hand on the thread that owns the connection. The thread ends with the last hand.
pub(super) struct Store {
    calls: mpsc::Sender<Call>,
    clock: Clock,
    /// What messages call the file.
    place: String,
}

impl Store {
    /// Opens the file (`None`: memory), and creates it and its folder where they are missing.
    pub(super) async fn open(path: Option<PathBuf>, clock: Clock) -> Result<Self, BrokerError> {
        let place = path.as_ref().map_or("the store in memory".to_owned(), |path| path.display().to_string());
        let (calls, todo) = mpsc::channel::<Call>();
        let (opened, is_open) = oneshot::channel();
        let name = place.clone();
        let thread = move || match connect(path.as_deref(), &name) {
            Ok(mut connection) => {
                let _ = opened.send(Ok(()));
                todo.into_iter().for_each(|call| call(&mut connection));
            }
            Err(error) => {
                let _ = opened.send(Err(error));
            }
        };
        std::thread::Builder::new()
            .name("afresh-sqlite".to_owned())
            .spawn(thread)
            .map_err(|error| BrokerError::Unavailable(format!("the embedded broker gets no thread: {error}")))?;
        is_open.await.unwrap_or_else(|_| Err(gone(&place)))?;
        Ok(Self { calls, clock, place })
    }

    /// What messages call the file.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The time that a test has set, or this machine's.
    pub(super) fn now(clock: &Clock) -> Timestamp {
        clock.fixed().unwrap_or_else(Timestamp::now)
    }

    /// Runs `work` in one transaction, which is on the disk when this returns. The lock is taken at its beginning, so
    /// that it never fails half way because another process wrote in between; and *now* is read after that, so that a
    /// wait for the lock makes no lease shorter.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let clock = self.clock.clone();
        self.call(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = work(&transaction, Self::now(&clock))?;
            transaction.commit()?;
            Ok(answer)
        })
        .await
    }

    /// Runs `work` on one consistent view of the file, without any lock that a writer would wait for.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let clock = self.clock.clone();
        self.call(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Deferred)?;
            work(&transaction, Self::now(&clock))
        })
        .await
    }

    /// A number that changes when another process has written. Our own writes leave it as it is.
    pub(super) async fn foreign_writes(&self) -> Result<i64, BrokerError> {
        self.call(|connection| connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))).await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (done, answer) = oneshot::channel();
        let call = Box::new(move |connection: &mut Connection| {
            // Whoever asked may have gone away: then the work is done all the same, and nobody is told.
            let _ = done.send(work(connection));
        });
        self.calls.send(call).map_err(|_| gone(&self.place))?;
        answer.await.map_err(|_| gone(&self.place))?.map_err(|error| explain(&error, &self.place))
    }
}

/// The thread ends early only by a panic: a bug of ours.
fn gone(place: &str) -> BrokerError {
    BrokerError::Unusable(format!("the thread that owns {place} has ended: restart this program, and report it"))
}

fn connect(path: Option<&Path>, place: &str) -> Result<Connection, BrokerError> {
    if let Some(folder) = path.and_then(Path::parent) {
        std::fs::create_dir_all(folder).map_err(|error| {
            BrokerError::Unusable(format!("the folder {} cannot be made: {error}", folder.display()))
        })?;
    }
    let connected = path.map_or_else(Connection::open_in_memory, Connection::open);
    let mut connection = connected.map_err(|error| explain(&error, place))?;
    configure(&connection).map_err(|error| explain(&error, place))?;
    migrate(&mut connection, place)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    write_ahead(connection)?;
    // Every commit reaches the disk before it is acknowledged.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_SIZE, |_| Ok(()))
}

/// Switches to a write-ahead log, so that readers and the writer never wait for each other. While another process does
/// the same, SQLite does not wait but answers that the file is busy.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

/// Makes the tables in a new file; refuses a file of another program or of a newer version of this one.
fn migrate(connection: &mut Connection, place: &str) -> Result<(), BrokerError> {
    let said = |error: rusqlite::Error| explain(&error, place);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(said)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(said);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(said)?;
    match (application, version) {
        (APPLICATION_ID, SCHEMA_VERSION) => return Ok(()),
        (APPLICATION_ID, newer) => {
            return Err(BrokerError::Unusable(format!(
                "{place} was written by a newer Afresh (its version is {newer}, this program knows {SCHEMA_VERSION}): \
                 upgrade this program, or name another file"
            )));
        }
        (0, 0) if tables == 0 => {}
        _ => {
            return Err(BrokerError::Unusable(format!("{place} is a database of another program: name another file")));
        }
    }
    transaction.execute_batch(include_str!("schema.sql")).map_err(said)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(said)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION).map_err(said)?;
    transaction.commit().map_err(said)
}
