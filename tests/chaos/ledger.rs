//! The ledger: what the producer meant and what it was told, what each worker did, what the broker says in the end, and
//! what was done to all of them meanwhile. Read from files that a killed process leaves behind.
//!
//! Every instant is in microseconds since 1970, by the clock of this machine.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use afresh_queue::{JobView, State};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::faults::Fault;
use crate::guests::Task;

/// Microseconds since 1970.
pub type Us = i64;

/// Now, by the clock of this machine.
pub fn now() -> Us {
    afresh_queue::Timestamp::now().0
}

/// Everything there is to know of one run against one store.
#[derive(Default)]
pub struct Ledger {
    /// Every job that was ever meant, in the order in which they were.
    pub jobs: Vec<Entry>,
    /// What was done to workers, network and store, in order.
    pub faults: Vec<Fault>,
    /// Which start of a worker process bore a name.
    pub lives: HashMap<String, usize>,
}

/// One job, from every side.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the producer meant.
    pub asked: Asked,
    /// When its broker said that it has it; `None` for one that another brings (a chain's).
    pub acknowledged: Option<Us>,
    /// Its attempts as the workers' files have them, in the order in which they began.
    pub attempts: Vec<Attempt>,
    /// What the broker says in the end; `None` if it knows no such job.
    pub record: Option<Record>,
}

/// A job as the producer meant it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    pub id: String,
    pub task: Task,
    pub max_attempts: u32,
    /// The job that it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// One run of a guest, as its worker's file has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    pub worker: String,
    pub number: u32,
    pub token: u64,
    pub began: Us,
    /// When it ended, and in what; `None` if its worker did not live to say so.
    pub end: Option<(Us, String)>,
    pub reply: String,
}

/// What the broker says of a job in the end.
#[derive(Clone, Debug)]
pub struct Record {
    pub state: State,
    pub starts: u32,
    pub enqueued: Us,
    pub finished: Option<Us>,
    /// The newest first.
    pub history: Vec<Past>,
    pub reply: Option<String>,
}

/// One attempt, as the broker remembers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    pub number: u32,
    pub worker: String,
    pub outcome: String,
    pub finished: Us,
}

/// A line of the producer's file.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// These are about to be sent.
    Asked(Vec<Asked>),
    /// These were acknowledged.
    Acknowledged { at: Us, ids: Vec<String> },
}

/// A line of a worker's file: see the worker's `effects.rs`.
#[derive(Deserialize)]
struct Line {
    at_us: Us,
    what: String,
    job: String,
    attempt: u32,
    token: u64,
    worker: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    reply: String,
}

impl Record {
    /// The same of what the broker shows.
    pub fn new(view: JobView, reply: Option<Vec<u8>>) -> Self {
        let past = view.attempts.into_iter().map(|attempt| Past {
            number: attempt.number,
            worker: attempt.worker,
            outcome: attempt.outcome.as_str().to_owned(),
            finished: attempt.finished_at.0,
        });
        Self {
            state: view.state,
            starts: view.attempts_started,
            enqueued: view.enqueued_at.0,
            finished: view.finished_at.map(|at| at.0),
            history: past.collect(),
            reply: reply.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        }
    }
}

impl Ledger {
    /// Reads what the producer and the workers have written.
    ///
    /// # Errors
    /// If a file cannot be read, or tells of a job that nobody meant.
    pub fn read(producer: &Path, effects: &[impl AsRef<Path>]) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        let mut places = HashMap::new();
        for said in lines::<Said>(producer)? {
            match said {
                Said::Asked(jobs) => {
                    for asked in jobs {
                        places.insert(asked.id.clone(), ledger.jobs.len());
                        ledger.jobs.push(Entry { asked, acknowledged: None, attempts: Vec::new(), record: None });
                    }
                }
                Said::Acknowledged { at, ids } => {
                    for id in ids {
                        let place =
                            places.get(&id).with_context(|| format!("{id} was acknowledged and never meant"))?;
                        ledger.jobs[*place].acknowledged = Some(at);
                    }
                }
            }
        }
        for path in effects {
            for line in lines::<Line>(path.as_ref())? {
                let place = places.get(&line.job).with_context(|| format!("{} ran, and nobody meant it", line.job))?;
                ledger.jobs[*place].tell(line)?;
            }
        }
        for entry in &mut ledger.jobs {
            entry.attempts.sort_by_key(|attempt| attempt.began);
        }
        Ok(ledger)
    }
}

impl Entry {
    fn tell(&mut self, line: Line) -> anyhow::Result<()> {
        let Line { at_us, what, job, attempt: number, token, worker, outcome, reply } = line;
        if what == "start" {
            self.attempts.push(Attempt { worker, number, token, began: at_us, end: None, reply });
            return Ok(());
        }
        let ours = |attempt: &&mut Attempt| attempt.token == token && attempt.worker == worker && attempt.end.is_none();
        let attempt = self.attempts.iter_mut().rfind(ours);
        let attempt = attempt.with_context(|| format!("{worker} ended an attempt of {job} that it never began"))?;
        (attempt.end, attempt.reply) = (Some((at_us, outcome)), reply);
        Ok(())
    }
}

/// The jobs whose guests a worker's file says began, in their order.
///
/// # Errors
/// If it cannot be read.
pub fn began(effects: &Path) -> anyhow::Result<Vec<String>> {
    let began = lines::<Line>(effects)?.into_iter().filter(|line| line.what == "start");
    Ok(began.map(|line| line.job).collect())
}

/// The lines of a file that there may not be; the last may be torn, where a kill came while it was written.
fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> anyhow::Result<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()));
    whole.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_one_ledger_and_a_torn_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (producer, worker) = (folder.path().join("producer"), folder.path().join("worker"));
        let asked = |id: &str| Asked { id: id.into(), task: Task::Quick, max_attempts: 3, after: None };
        let said = [Said::Asked(vec![asked("a"), asked("b")]), Said::Acknowledged { at: 7, ids: vec!["b".into()] }];
        let said: Vec<_> = said.iter().map(|said| serde_json::to_string(said).unwrap()).collect();
        fs::write(&producer, format!("{}\n", said.join("\n"))).unwrap();
        let start = r#"{"at_us":9,"what":"start","job":"b","queue":"q","attempt":1,"token":5,"worker":"w"}"#;
        let end = start.replace("start", "end").replace('}', r#","outcome":"succeeded","reply":"x","reply_bytes":1}"#);
        fs::write(&worker, format!("{start}\n{end}\n{}", &start[..40])).unwrap();

        let ledger = Ledger::read(&producer, &[&worker, &folder.path().join("never written")]).unwrap();
        assert_eq!(ledger.jobs[0].acknowledged, None);
        let [a, b] = &ledger.jobs[..] else { panic!("two jobs were meant") };
        assert_eq!((a.attempts.len(), b.acknowledged), (0, Some(7)));
        let attempt = Attempt {
            worker: "w".into(),
            number: 1,
            token: 5,
            began: 9,
            end: Some((9, "succeeded".into())),
            reply: "x".into(),
        };
        assert_eq!(b.attempts, [attempt]);

        fs::write(&worker, format!("{}\n", start.replace("\"b\"", "\"c\""))).unwrap();
        let error = Ledger::read(&producer, &[&worker]).err().unwrap().to_string();
        assert_eq!(error, "c ran, and nobody meant it");
    }
}
