//! The file itself: opened, configured, made new, or refused.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Error, ErrorCode, TransactionBehavior, ffi};

use super::errors::explain;
use crate::broker::BrokerError;

/// Marks a file as ours ("afrs"), so that another program's database is never touched.
const APPLICATION_ID: i32 = 0x6166_7273;

/// The schema, a step a version: a new file takes them all, an older one those it has not taken yet.
const STEPS: [&str; 3] = [include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// How long a call waits for another process that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How large the write-ahead log may stay after a checkpoint, in bytes.
const LOG_SIZE: i64 = 64 * 1024 * 1024;

/// How many prepared statements are kept.
const STATEMENTS: usize = 256;

/// Opens the file (`None`: memory), and creates it and its folder where they are missing.
pub(super) fn open(path: Option<&Path>, place: &str) -> Result<Connection, BrokerError> {
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

/// Sees to it that the file still is of this version: a newer program may have taken it over since it was opened.
///
/// # Errors
/// `SQLITE_SCHEMA` where one has.
pub(super) fn check_version(file: &Connection) -> rusqlite::Result<()> {
    let version: i32 = file.prepare_cached("PRAGMA user_version")?.query_row([], |row| row.get(0))?;
    if version == STEPS.len() as i32 {
        return Ok(());
    }
    Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_SCHEMA), None))
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

/// Makes the tables in a new file, and takes an older one to this version; refuses a file of another program or of a
/// newer version of this one.
fn migrate(connection: &mut Connection, place: &str) -> Result<(), BrokerError> {
    let said = |error: Error| explain(&error, place);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(said)?;
    let number = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0)).map_err(said);
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(said)?;
    let taken = match (application, usize::try_from(version)) {
        (APPLICATION_ID, Ok(taken)) if taken == STEPS.len() => return Ok(()),
        (APPLICATION_ID, Ok(taken)) if taken < STEPS.len() => taken,
        (0, Ok(0)) if tables == 0 => 0,
        (APPLICATION_ID, _) => {
            return Err(BrokerError::Unusable(format!(
                "{place} was written by a newer Afresh (its version is {version}, this program knows {}): upgrade this \
                 program, or name another file",
                STEPS.len()
            )));
        }
        _ => {
            return Err(BrokerError::Unusable(format!("{place} is a database of another program: name another file")));
        }
    };
    for step in &STEPS[taken..] {
        transaction.execute_batch(step).map_err(said)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(said)?;
    transaction.pragma_update(None, "user_version", STEPS.len() as i32).map_err(said)?;
    transaction.commit().map_err(said)
}
