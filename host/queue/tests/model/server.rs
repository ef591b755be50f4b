//! A Redis, looked into behind its broker's back, and made to lose its tail.

use std::cell::RefCell;

use afresh_harness::RedisServer;
use afresh_queue::{JobId, State as Standing};
use redis::{Connection, cmd, pipe};

use crate::path::name;
use crate::real::{Divergence, same};
use crate::state::Record;

const SERVES: &str = "the server answers";

pub(crate) struct Redis {
    connection: RefCell<Connection>,
    /// What is on the disk: each key, as `DUMP` has it.
    saved: Vec<(String, Vec<u8>)>,
    _server: RedisServer,
}

impl Redis {
    pub(crate) fn of(server: RedisServer) -> Self {
        let client = redis::Client::open(server.url()).expect("the harness's URL is one");
        let connection = RefCell::new(client.get_connection().expect(SERVES));
        Self { connection, saved: Vec::new(), _server: server }
    }

    pub(crate) fn save(&mut self) {
        let connection = self.connection.get_mut();
        let keys: Vec<String> = cmd("KEYS").arg("*").query(connection).expect(SERVES);
        let mut dump = pipe();
        for key in &keys {
            dump.cmd("DUMP").arg(key);
        }
        let dumped: Vec<Vec<u8>> = dump.query(connection).expect(SERVES);
        self.saved = keys.into_iter().zip(dumped).collect();
    }

    pub(crate) fn lose_tail(&mut self) {
        let mut restore = pipe();
        restore.cmd("FLUSHALL").ignore();
        for (key, dumped) in self.saved.drain(..) {
            restore.cmd("RESTORE").arg(key).arg(0).arg(dumped).ignore();
        }
        restore.exec(self.connection.get_mut()).expect(SERVES);
    }

    /// A job's record is as the model has it, and has the token of its newest lease.
    pub(crate) fn compare(&self, id: &JobId, record: &Record, token: Option<u64>) -> Result<(), Divergence> {
        let fields = ["failures", "waits", "lost", "token", "begun", "worker"];
        let mut connection = self.connection.borrow_mut();
        let mut ask = |command: &str, key: &str, names: &[&str]| -> Vec<Option<String>> {
            let key = format!("afresh:{{default}}:{key}");
            cmd(command).arg(key).arg(names).query(&mut *connection).expect(SERVES)
        };
        let mut seen = ask("HMGET", &format!("job:{id}"), &fields);
        // A short record's lease: token, begun, place, worker.
        if let Some(Some(lease)) = ask("HMGET", "leased", &[id.as_str()]).pop() {
            let words: Vec<_> = lease.splitn(4, ' ').map(str::to_owned).collect();
            for (field, word) in [(3, 0), (4, 1), (5, 3)] {
                seen[field] = words.get(word).cloned();
            }
        }
        let seen: Vec<String> = seen.into_iter().map(Option::unwrap_or_default).collect();
        let counted = [record.counters.failures, record.counters.waits, record.counters.lost];
        let number = |text: &String| text.parse().unwrap_or(0);
        same("failures, waits and lost", seen[..3].iter().map(number).collect::<Vec<u8>>(), counted.to_vec())?;
        same("token", &seen[3], &token.map(|token| token.to_string()).unwrap_or_default())?;
        if record.is(Standing::Running) {
            // Absent while it is held ahead for the first time.
            let begun = if seen[4].is_empty() { Some(0) } else { seen[4].parse().ok() };
            same("begun", begun, Some(record.begun as u8))?;
            same("worker", &seen[5], &record.worker.map(name).unwrap_or_default())?;
        }
        Ok(())
    }
}
