//! The one thread that touches the file. SQLite's calls block, and one writer at a time is all it has, so the calls queue
//! up for a thread of their own: none of them ever holds up the async runtime. While the disk syncs one transaction, the
//! writes that arrive gather for the next: many producers share one sync.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};

use rusqlite::{Connection, Error, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::errors::explain;
use super::file;
use crate::broker::BrokerError;
use crate::clock::{Clock, Timestamp};
use crate::steps;

/// The most calls that are answered by one transaction.
const GROUP: usize = 64;

/// A hand on the thread that owns the connection. The thread ends with the last hand.
pub(super) struct Store {
    calls: Sender<Call>,
    /// What messages call the file.
    place: String,
}

impl Store {
    /// Opens the file (`None`: memory), and creates it and its folder where they are missing.
    pub(super) async fn open(path: Option<PathBuf>, clock: Clock) -> Result<Self, BrokerError> {
        let place = path.as_ref().map_or("the store in memory".to_owned(), |path| path.display().to_string());
        let (calls, todo) = mpsc::channel();
        let (opened, is_open) = oneshot::channel();
        let name = place.clone();
        let thread = move || match file::open(path.as_deref(), &name) {
            Ok(connection) => {
                let _ = opened.send(Ok(()));
                serve(connection, &clock, &todo);
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
        Ok(Self { calls, place })
    }

    /// What messages call the file.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Runs `work` in a transaction, alone or with others, which is on the disk when this returns; maybe a second time,
    /// if the first was rolled back.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Transaction<'_>, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (done, answer) = oneshot::channel();
        self.answer(Call::Write(Box::new(Writing { work, answer: None, done })), answer).await
    }

    /// Runs `work` on one consistent view of the file, without any lock that a writer would wait for.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        let (done, answer) = oneshot::channel();
        let call = Call::Read(Box::new(move |connection, now| {
            let view = connection.transaction_with_behavior(TransactionBehavior::Deferred);
            // Whoever asked may have gone away: then nobody is told.
            let _ = done.send(view.and_then(|view| work(&view, now)));
        }));
        self.answer(call, answer).await
    }

    /// A number that changes when another process has written. Our own writes leave it as it is.
    pub(super) async fn foreign_writes(&self) -> Result<i64, BrokerError> {
        let (done, answer) = oneshot::channel();
        // Not in a transaction, whose view of the file would stand still.
        let call = Call::Read(Box::new(move |connection, _| {
            let number = connection.prepare_cached("PRAGMA data_version");
            let _ = done.send(number.and_then(|mut number| number.query_row([], |row| row.get(0))));
        }));
        self.answer(call, answer).await
    }

    async fn answer<T>(&self, call: Call, answer: oneshot::Receiver<rusqlite::Result<T>>) -> Result<T, BrokerError> {
        self.calls.send(call).map_err(|_| gone(&self.place))?;
        answer.await.map_err(|_| gone(&self.place))?.map_err(|error| explain(&error, &self.place))
    }
}

/// The thread ends early only by a panic: a bug of ours.
fn gone(place: &str) -> BrokerError {
    BrokerError::Unusable(format!("the thread that owns {place} has ended: restart this program, and report it"))
}

enum Call {
    Read(Read),
    Write(Box<dyn Write>),
}

/// A call that reads, and answers by itself.
type Read = Box<dyn FnOnce(&mut Connection, Timestamp) + Send>;

/// A call that writes: run first, and answered when it is known whether its transaction reached the disk.
trait Write: Send {
    fn run(&mut self, transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()>;
    fn finish(self: Box<Self>, committed: rusqlite::Result<()>);
}

struct Writing<W, T> {
    work: W,
    answer: Option<T>,
    done: oneshot::Sender<rusqlite::Result<T>>,
}

impl<W, T> Write for Writing<W, T>
where
    W: FnMut(&Transaction<'_>, Timestamp) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, transaction: &Transaction<'_>, now: Timestamp) -> rusqlite::Result<()> {
        self.answer = Some((self.work)(transaction, now)?);
        Ok(())
    }

    fn finish(self: Box<Self>, committed: rusqlite::Result<()>) {
        let answer = match (committed, self.answer) {
            (Ok(()), Some(answer)) => Ok(answer),
            (Ok(()), None) => return,
            (Err(error), _) => Err(error),
        };
        // Whoever asked may have gone away: then it is done all the same, and nobody is told.
        let _ = self.done.send(answer);
    }
}

/// The thread's loop: takes what waits, reads first, then writes all in one transaction.
fn serve(mut connection: Connection, clock: &Clock, todo: &Receiver<Call>) {
    while let Ok(first) = todo.recv() {
        let mut writes = Vec::new();
        for call in std::iter::once(first).chain(todo.try_iter()).take(GROUP) {
            match call {
                Call::Read(read) => read(&mut connection, now(clock)),
                Call::Write(write) => writes.push(write),
            }
        }
        write_all(&mut connection, clock, writes);
    }
}

/// Writes together, for one sync of the disk; if that fails, each by itself, so that no call fails for another's reason.
fn write_all(connection: &mut Connection, clock: &Clock, mut writes: Vec<Box<dyn Write>>) {
    if writes.len() > 1 {
        match transact(connection, clock, &mut writes) {
            Ok(()) => return writes.into_iter().for_each(|write| write.finish(Ok(()))),
            // Each by itself would wait as long again, one after the other.
            Err(Error::SqliteFailure(failure, text)) if failure.code == ErrorCode::DatabaseBusy => {
                return writes
                    .into_iter()
                    .for_each(|write| write.finish(Err(Error::SqliteFailure(failure, text.clone()))));
            }
            Err(_) => {}
        }
    }
    for mut write in writes {
        let committed = transact(connection, clock, std::slice::from_mut(&mut write));
        write.finish(committed);
    }
}

/// One transaction. Its lock is taken at its beginning, so that it never fails half way because another process wrote in
/// between; and *now* is read after that, so that a wait for the lock makes no lease shorter.
fn transact(connection: &mut Connection, clock: &Clock, writes: &mut [Box<dyn Write>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    file::check_version(&transaction)?;
    let now = now(clock);
    for write in writes {
        write.run(&transaction, now)?;
    }
    steps::reached("uncommitted");
    transaction.commit()
}

/// The time that a test has set, or this machine's.
fn now(clock: &Clock) -> Timestamp {
    clock.fixed().unwrap_or_else(Timestamp::now)
}
