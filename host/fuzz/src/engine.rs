//! The loop: pick a payload, change it, run it; keep it if it did something new, and look closer if something is wrong.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use afresh_protocol::Outcome;
use afresh_sandbox::{Cancel, Report};
use mutatis::Session;

use crate::bytes::{Bytes, below};
use crate::corpus::{Corpus, Pick};
use crate::dictionary::Dictionary;
use crate::finding::{Finding, Tally};
use crate::minimise::{Budget, minimise};
use crate::oracle::{Judgement, Oracle, gist};
use crate::subject::{Subject, SubjectError};
use crate::values::{self, Values};

/// How long to look, and for what.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The most attempts; `None` for as many as there is time for.
    pub runs: Option<u64>,
    /// The time to look for; `None` for as long as there are attempts left. What was found earlier runs whatever it is.
    pub time: Option<Duration>,
    /// Threads that run attempts. With one, and `runs`, the same happens each time, except for guests that ask for
    /// randomness or the time.
    pub jobs: usize,
    /// Where chance begins.
    pub seed: u64,
    /// Bytes of the longest payload that is tried.
    pub longest: usize,
    /// Whether the first finding is enough.
    pub stop_at_first: bool,
    /// The most attempts that make one finding smaller, and the time for them.
    pub minimise: (u32, Duration),
}

impl Default for Plan {
    /// One thread, 2,000 attempts, payloads of up to 4 KiB, every finding, made smaller within 20 s.
    fn default() -> Self {
        Self {
            runs: Some(2_000),
            time: None,
            jobs: 1,
            seed: 0,
            longest: 4096,
            stop_at_first: false,
            minimise: (5_000, Duration::from_secs(20)),
        }
    }
}

/// Hears what happens, from any of the threads.
pub trait Listener: Sync {
    /// An attempt is over.
    fn ran(&self, _tally: &Tally) {}
    /// Something is wrong.
    fn found(&self, _finding: &Finding) {}
}

/// Nobody listens.
impl Listener for () {}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Its numbers.
    pub tally: Tally,
    /// What it found, the first first.
    pub findings: Vec<Finding>,
    /// The payloads worth beginning with the next time; at most 64 MiB.
    pub corpus: Vec<Vec<u8>>,
    /// How long it took.
    pub took: Duration,
}

/// The payload that an input of the engine stands for; `None` where it stands for none.
pub type Shape<'a> = dyn Fn(&[u8]) -> Option<Vec<u8>> + Sync + 'a;

/// Fuzzes one subject.
pub struct Fuzzer<'a> {
    /// What is run.
    pub subject: &'a Subject,
    /// What is wrong.
    pub oracle: &'a Oracle,
    /// How long, and for what.
    pub plan: Plan,
    /// Payloads that an earlier run found: the first to be run, each of them.
    pub earlier: Vec<Vec<u8>>,
    /// Ends it, and the attempts that run.
    pub cancel: Cancel,
    /// Who hears of it.
    pub listener: &'a dyn Listener,
}

/// What the threads share.
struct State {
    corpus: Corpus,
    dictionary: Dictionary,
    session: Session,
    /// Inputs that an earlier run found, and have not run yet; from the end.
    earlier: Vec<Vec<u8>>,
    /// Inputs that were given, likewise.
    waiting: Vec<Vec<u8>>,
    /// Where something is wrong, for each finding one.
    places: HashSet<String>,
    /// The time an attempt may take. Less than its limit once one ran into that: there is no waiting for it again.
    timeout: Duration,
    /// The longest that an attempt took which was not stopped.
    longest_wall: Duration,
    tally: Tally,
    findings: Vec<Finding>,
    failed: Option<SubjectError>,
}

/// Where looking begins, besides what was given.
const FIRST: [&[u8]; 6] = [b"", b"{}", b"[]", b"\"\"", b"0", b"null"];

/// The most changes between one payload and the next.
const CHANGES: usize = 4;

/// The least time that an attempt gets, once one ran into its limit.
const LEAST: Duration = Duration::from_millis(100);

impl Fuzzer<'_> {
    /// Looks until time, attempts or patience are over. The payloads of `seeds` are run, whatever number of attempts is
    /// planned, and further ones are made of them.
    ///
    /// # Errors
    /// When the sandbox itself fails.
    pub fn run(&self, seeds: Vec<Vec<u8>>) -> Result<Summary, SubjectError> {
        self.run_shaped(seeds, &|input| Some(input.to_vec()))
    }

    /// Like [`Fuzzer::run`], on payloads that `shape` makes of the engine's inputs.
    ///
    /// # Errors
    /// When the sandbox itself fails.
    pub fn run_shaped(&self, seeds: Vec<Vec<u8>>, shape: &Shape<'_>) -> Result<Summary, SubjectError> {
        let begun = Instant::now();
        let waiting = seeds.into_iter().chain(FIRST.map(<[u8]>::to_vec)).rev().collect();
        let state = Mutex::new(State {
            corpus: Corpus::default(),
            dictionary: self.subject.words().clone(),
            session: Session::new().seed(self.plan.seed),
            earlier: self.earlier.iter().rev().cloned().collect(),
            waiting,
            places: HashSet::new(),
            timeout: self.subject.timeout(),
            longest_wall: Duration::ZERO,
            tally: Tally::default(),
            findings: Vec::new(),
            failed: None,
        });
        if self.plan.jobs <= 1 {
            self.work(&state, begun, shape);
        } else {
            std::thread::scope(|threads| {
                for _ in 0..self.plan.jobs {
                    threads.spawn(|| self.work(&state, begun, shape));
                }
            });
        }
        let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        match state.failed {
            Some(error) => Err(error),
            None => Ok(Summary {
                tally: state.tally,
                findings: state.findings,
                corpus: state.corpus.inputs().filter_map(shape).collect(),
                took: begun.elapsed(),
            }),
        }
    }

    /// What each thread does.
    fn work(&self, state: &Mutex<State>, begun: Instant, shape: &Shape<'_>) {
        while let Some((input, timeout)) = self.next(state, begun) {
            if let Some(payload) = shape(&input)
                && let Err(error) = self.round(state, &input, &payload, timeout, shape)
            {
                lock(state).failed.get_or_insert(error);
            }
        }
    }

    /// The next input to run, or `None` when it is over.
    fn next(&self, state: &Mutex<State>, begun: Instant) -> Option<(Vec<u8>, Duration)> {
        let mut state = lock(state);
        let enough = self.plan.stop_at_first && !state.findings.is_empty();
        if state.failed.is_some() || enough || self.cancel.reason().is_some() {
            return None;
        }
        let is_late = self.plan.time.is_some_and(|time| begun.elapsed() >= time);
        let given = state.earlier.pop().or_else(|| if is_late { None } else { state.waiting.pop() });
        let is_over = is_late || self.plan.runs.is_some_and(|runs| state.tally.runs >= runs);
        let input = given.or_else(|| (!is_over).then(|| state.invent(self.plan.longest)))?;
        Some((input, state.timeout))
    }

    /// One attempt on one payload, and what follows of it.
    fn round(
        &self,
        state: &Mutex<State>,
        input: &[u8],
        payload: &[u8],
        timeout: Duration,
        shape: &Shape<'_>,
    ) -> Result<(), SubjectError> {
        let first = self.subject.run(payload, timeout, &self.cancel)?;
        if matches!(first.outcome, Outcome::Cancelled) {
            return Ok(());
        }
        let judgement = self.oracle.judge(payload, &first.outcome);
        let is_new = {
            let mut state = lock(state);
            let is_new = state.learn(input, payload, &first);
            self.listener.ran(&state.tally);
            is_new
        };
        if let Some(judgement) = judgement {
            return self.look_closer(state, input, payload, &judgement, shape);
        }
        // What is new is run once more: does it come to the same?
        if is_new {
            let second = self.subject.run(payload, timeout, &self.cancel)?;
            if first.usage.fuel != second.usage.fuel {
                lock(state).corpus.fuel_is_noisy();
            }
            if let Some(judgement) = self.oracle.compare(&first.outcome, &second.outcome) {
                return self.look_closer(state, input, payload, &judgement, shape);
            }
        }
        Ok(())
    }

    /// Makes the input of a finding smaller, if its place is new, and lets go of a time-out that does not come again.
    fn look_closer(
        &self,
        state: &Mutex<State>,
        input: &[u8],
        payload: &[u8],
        judgement: &Judgement,
        shape: &Shape<'_>,
    ) -> Result<(), SubjectError> {
        let timeout = {
            let mut state = lock(state);
            if !state.places.insert(judgement.place.clone()) {
                return Ok(());
            }
            state.timeout
        };
        let (runs, time) = self.plan.minimise;
        let smallest = minimise(input, Budget::new(runs, time), |candidate| {
            let payload = shape(candidate);
            payload.is_some_and(|payload| self.still(&payload, judgement, timeout).is_some())
        });
        let mut smallest = shape(&smallest).unwrap_or_default();
        // A shorter time limit made it smaller; whether it holds under the real one is for the real one to say.
        let real = self.subject.timeout();
        let mut again = self.still(&smallest, judgement, real);
        if again.is_none() {
            smallest = payload.to_vec();
            again = if judgement.is_late { self.still(payload, judgement, real) } else { Some(judgement.clone()) };
        }
        let Some(again) = again else {
            // It was the machine that stood still. The next one may be real.
            lock(state).places.remove(&judgement.place);
            return Ok(());
        };
        let finding =
            Finding { flaw: again.flaw, message: again.message, payload: smallest, found_bytes: payload.len() };
        lock(state).note(&finding);
        self.listener.found(&finding);
        Ok(())
    }

    /// What is wrong with a payload, if it is wrong at the same place.
    fn still(&self, payload: &[u8], judgement: &Judgement, timeout: Duration) -> Option<Judgement> {
        let run = || self.subject.run(payload, timeout, &self.cancel).ok();
        let first = run()?;
        let now = match judgement.flaw {
            crate::Flaw::NonDeterministic => self.oracle.compare(&first.outcome, &run()?.outcome),
            _ => self.oracle.judge(payload, &first.outcome),
        };
        now.filter(|now| now.place == judgement.place)
    }
}

impl State {
    /// A payload that nobody gave: one of the corpus, changed a few times.
    fn invent(&mut self, longest: usize) -> Vec<u8> {
        let Self { corpus, dictionary, session, .. } = self;
        let mut pick = || session.generate_with(&mut Pick(corpus)).unwrap_or_default();
        let (mut input, other) = (pick(), pick());
        let changes = session.generate_with(&mut Number(CHANGES)).unwrap_or(0);
        for _ in 0..=changes {
            let value = values::parse(&input).filter(|_| session.generate_with(&mut Number(4)).unwrap_or(0) > 0);
            // A change that cannot be made leaves the input as it is, which the next one changes.
            let _ = match value {
                Some(mut value) => {
                    let changed = session.mutate_with(&mut Values { dictionary }, &mut value);
                    input = serde_json::to_vec(&value).unwrap_or(input);
                    changed
                }
                None => session.mutate_with(&mut Bytes { dictionary, other: &other }, &mut input),
            };
        }
        input.truncate(longest);
        input
    }

    /// Counts an attempt, and keeps its input if it is new. Whether it is.
    fn learn(&mut self, input: &[u8], payload: &[u8], report: &Report) -> bool {
        let kind = report.outcome.kind();
        self.tally.count(payload, kind, &report.usage);
        let wall = Duration::from_micros(report.usage.wall_us);
        if matches!(report.outcome, Outcome::TimedOut(_)) {
            self.timeout = self.timeout.min((self.longest_wall * 8).max(LEAST));
        } else {
            self.longest_wall = self.longest_wall.max(wall);
        }
        let message = report.outcome.error().map(|error| error.message.as_str()).unwrap_or_default();
        self.dictionary.hear(message, payload);
        let fuel = match report.outcome {
            // How far it got until it was stopped says nothing.
            Outcome::TimedOut(_) | Outcome::OutOfFuel(_) => 0,
            _ => report.usage.fuel.unwrap_or(0),
        };
        // What is JSON counts for itself even where the guest, so far, treats it like anything else.
        let form = if values::parse(payload).is_some() { "json" } else { "bytes" };
        let is_new = self.corpus.offer(input, format!("{form} {kind} {}", gist(message, payload)), fuel);
        self.tally.kept = self.corpus.len();
        is_new
    }

    fn note(&mut self, finding: &Finding) {
        self.findings.push(finding.clone());
        self.tally.findings = self.findings.len();
    }
}

/// A number below this one.
struct Number(usize);

impl mutatis::Mutate<usize> for Number {
    fn mutate(&mut self, c: &mut mutatis::Candidates<'_>, value: &mut usize) -> mutatis::Result<()> {
        c.mutation(|ctx| {
            *value = below(ctx, self.0);
            Ok(())
        })
    }
}

impl mutatis::Generate<usize> for Number {
    fn generate(&mut self, ctx: &mut mutatis::Context) -> mutatis::Result<usize> {
        Ok(below(ctx, self.0))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic of a thread ends the whole run by itself.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
