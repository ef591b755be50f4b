//! The account: what became of every job that was ever acknowledged, or the first that cannot be accounted for. Pure: a
//! ledger in, counts out.
//!
//! * It has ended, once: in a terminal state that its task can have come to.
//! * It was started at most `max_attempts` times, apart from attempts that a shutdown interrupted: these cost it none.
//! * What settled it ran: the attempt that the record names is in that worker's file, with that outcome and that reply, and
//!   nothing ran under a later lease than its own. So no stale lease has settled anything.
//! * What ran in vain has a reason: its attempt is in the record as lost, and something was done to its worker, its network or
//!   its store at that time; or as interrupted, and its worker had been asked to end. That alone loses nothing.
//! * Whatever else its attempts came to, its task has it so, and their workers' files have it too.
//! * Where a store may have lost its newest writes, what is known only from them may be lost: of that instant, and no other.

use std::collections::BTreeMap;
use std::fmt;

use afresh_queue::State;

use crate::faults::{Fault, Kind};
use crate::ledger::{Attempt, Entry, Ledger, Past, Record, Us};

/// Faults so long before or after anything that happened to a job are shown with it.
const AROUND: Us = 10_000_000;

/// How long after its lease was given a guest may begin: leases last so long.
const BELATED: Us = 3_000_000;

/// How many lost attempts make a job dead, whatever its `max_attempts`: the worker's default.
const MOST_LOST: usize = 3;

/// Outcomes that are not the guest's doing.
const CUT_SHORT: [&str; 2] = ["interrupted", "lost"];

/// What became of the jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// Jobs that were accounted for, those of chains among them.
    pub jobs: u64,
    pub succeeded: u64,
    /// Dead as their task has it: rejected, or failed at every attempt.
    pub dead: u64,
    /// Dead because their workers vanished, again and again.
    pub dead_lost: u64,
    /// Of those, jobs that no guest ever saw: they were held ahead of a slot that never came to them.
    pub dead_unseen: u64,
    /// Jobs of chains that never came to be, since the one before did not succeed.
    pub never_due: u64,
    /// Jobs that went with the newest writes of a store.
    pub lost_in_a_tail: u64,
    /// Runs of guests.
    pub runs: u64,
    /// Runs whose effect was there again, by what caused it.
    pub again: BTreeMap<Kind, u64>,
}

/// A job that is not accounted for, with everything that is known about it.
#[derive(Debug)]
pub struct Unaccounted {
    pub why: String,
    entry: Entry,
    faults: Vec<Fault>,
}

/// Accounts for every job of a ledger.
///
/// # Errors
/// The first job that cannot be accounted for.
pub fn account(ledger: &Ledger) -> Result<Account, Box<Unaccounted>> {
    let mut account = Account::default();
    let states: BTreeMap<_, _> =
        ledger.jobs.iter().map(|job| (job.asked.id.as_str(), job.record.as_ref().map(|record| record.state))).collect();
    for entry in &ledger.jobs {
        let before = entry.asked.after.as_deref().map(|before| states.get(before).copied().flatten());
        Case { entry, ledger }.close(before, &mut account).map_err(|why| {
            let faults = ledger.faults.iter().filter(|fault| entry.touches(fault)).cloned().collect();
            Box::new(Unaccounted { why, entry: entry.clone(), faults })
        })?;
    }
    Ok(account)
}

/// One job, and what was going on.
struct Case<'a> {
    entry: &'a Entry,
    ledger: &'a Ledger,
}

impl Case<'_> {
    /// `before` is there for a job of a chain: what became of the one that it follows.
    fn close(&self, before: Option<Option<State>>, account: &mut Account) -> Result<(), String> {
        let Entry { asked, acknowledged, attempts, record } = self.entry;
        account.runs += attempts.len() as u64;
        let due = before.is_none_or(|before| before == Some(State::Succeeded));
        let Some(record) = record else {
            // A job of a chain is acknowledged to nobody; when it first ran, it was there.
            let there = acknowledged.or(attempts.first().map(|attempt| attempt.began));
            match there {
                None if !due => account.never_due += 1,
                None if before.is_none() => return Err("it was never acknowledged, however often it was sent".into()),
                Some(at) if self.in_a_tail(at) => account.lost_in_a_tail += 1,
                _ => return Err("it was acknowledged, and the broker knows no such job".into()),
            }
            return Ok(());
        };
        if !due {
            return Err("it exists although the job that it was to follow has not succeeded".into());
        }
        account.jobs += 1;
        let starts = attempts.iter().filter(|attempt| attempt.counts() && self.forgot(attempt).is_none()).count();
        if starts.max(record.starts as usize) > asked.max_attempts as usize {
            return Err(format!("it was started {starts} times, and may be {} times", asked.max_attempts));
        }
        self.interrupted_for_free(&record.history)?;
        let newest = record.history.first().ok_or("no attempt stands in its record")?;
        match (record.state, newest.outcome.as_str()) {
            (State::Succeeded, "succeeded") if asked.task.fate(newest.number) == "succeeded" => account.succeeded += 1,
            (State::Dead, "lost") => {
                self.died_lost(record)?;
                account.dead_lost += 1;
                account.dead_unseen += u64::from(attempts.is_empty());
            }
            (State::Dead, outcome) if outcome == asked.task.fate(newest.number) && outcome != "succeeded" => {
                if outcome != "rejected" && record.starts < asked.max_attempts {
                    return Err("it is dead, and had attempts left".into());
                }
                account.dead += 1;
            }
            (state, outcome) if state.is_terminal() => {
                return Err(format!("it is {state} after an attempt that {outcome}: its task does not do that"));
            }
            (state, _) => return Err(format!("it has not ended: it is {state}")),
        }
        let settled = if newest.outcome == "lost" { None } else { Some(self.settled_by(newest)?) };
        self.true_to_the_task(&record.history)?;
        for attempt in attempts.iter().filter(|attempt| settled.is_none_or(|settled| *attempt != settled)) {
            if let Some(cause) = self.ran_in_vain(attempt, &record.history)? {
                *account.again.entry(cause).or_default() += 1;
            }
        }
        self.lost_for_a_reason(record)
    }

    /// Checks that attempts which a shutdown interrupted have left their numbers to the next ones.
    fn interrupted_for_free(&self, history: &[Past]) -> Result<(), String> {
        let mut pairs = history.windows(2).map(|pair| (&pair[0], &pair[1]));
        let cost = pairs.find(|(next, past)| past.outcome == "interrupted" && next.number != past.number);
        match cost {
            Some((_, past)) if !self.in_a_tail(past.finished) => {
                Err(format!("attempt {} was interrupted by a shutdown, and cost the job an attempt", past.number))
            }
            _ => Ok(()),
        }
    }

    /// Checks that every attempt which came to its end did so as its task has it, on the record and in its worker's file.
    fn true_to_the_task(&self, history: &[Past]) -> Result<(), String> {
        let Entry { asked, attempts, .. } = self.entry;
        let ran = attempts.iter().filter_map(|attempt| Some((attempt.number, attempt.end.as_ref()?.1.as_str())));
        let remembered = history.iter().map(|past| (past.number, past.outcome.as_str()));
        let is_strange =
            |(number, outcome): &(u32, &str)| !CUT_SHORT.contains(outcome) && *outcome != asked.task.fate(*number);
        if let Some((number, outcome)) = ran.chain(remembered).find(is_strange) {
            return Err(format!("attempt {number} {outcome}: its task does not do that"));
        }
        let is_made_up = |past: &&Past| {
            let has_seen = |attempt: &Attempt| attempt.is(past) && attempt.came_to(&past.outcome);
            !CUT_SHORT.contains(&past.outcome.as_str()) && !attempts.iter().any(has_seen)
        };
        match history.iter().find(is_made_up) {
            Some(Past { number, worker, outcome, .. }) => {
                Err(format!("its record says that attempt {number} on {worker} {outcome}, and that worker does not"))
            }
            None => Ok(()),
        }
    }

    /// The run that the newest attempt of the record is.
    fn settled_by(&self, newest: &Past) -> Result<&Attempt, String> {
        let (attempts, record) = (&self.entry.attempts, self.entry.record.as_ref());
        let ran = attempts.iter().rfind(|attempt| attempt.is(newest) && attempt.came_to(&newest.outcome));
        let ran = ran.ok_or("it was settled by an attempt that nobody ran")?;
        let reply = record.and_then(|record| record.reply.as_deref()).unwrap_or_default();
        if ran.reply != reply {
            return Err(format!("its reply is {reply:?}, and that of the attempt that settled it was {:?}", ran.reply));
        }
        let later = attempts.iter().find(|later| later.comes_after(ran));
        match later {
            Some(later) if self.forgot(later).is_none() => Err(format!(
                "attempt {} has settled it, after the lease of attempt {} was given",
                ran.number, later.number
            )),
            _ => Ok(ran),
        }
    }

    /// The cause for which a run was not the last, where it is not simply that its guest failed.
    fn ran_in_vain(&self, attempt: &Attempt, history: &[Past]) -> Result<Option<Kind>, String> {
        // One that was lost may stand under the name of a worker that took it over, and vanished as well.
        let lost = |past: &&Past| past.outcome == "lost" && past.number == attempt.number;
        let remembered = history.iter().find(|past| attempt.is(past)).or_else(|| history.iter().find(lost));
        let outcome = remembered.map(|past| past.outcome.as_str());
        let failed =
            |outcome: &str| outcome != "succeeded" && !CUT_SHORT.contains(&outcome) && attempt.came_to(outcome);
        if outcome.is_some_and(failed) {
            return Ok(None);
        }
        let over = attempt.end.as_ref().map_or(attempt.began, |(at, _)| *at);
        if let Some(tail) = self.forgot(attempt).or(self.tail(over, 0)) {
            return Ok(Some(tail.kind));
        }
        if outcome == Some("succeeded") {
            return Err("it has succeeded twice".into());
        }
        let (worker, number) = (&attempt.worker, attempt.number);
        let Some(past) = remembered else {
            return Err(format!("attempt {number} ran in vain on {worker}, and its record does not know of it"));
        };
        // By its worker's clock the broker's time may be early, by as much as the lease's answer was late.
        self.cause(&past.outcome, worker, attempt.began, past.finished.max(over)).map(Some).ok_or_else(|| {
            let outcome = &past.outcome;
            format!("attempt {number} ran in vain on {worker}, as {outcome}, and nothing had happened to that")
        })
    }

    /// Checks that a job may be dead of lost attempts.
    fn died_lost(&self, record: &Record) -> Result<(), String> {
        let lost = record.history.iter().filter(|past| past.outcome == "lost").count();
        if lost < MOST_LOST && record.starts < self.entry.asked.max_attempts {
            return Err("it is dead of lost attempts, and had attempts left".into());
        }
        Ok(())
    }

    /// Checks that something had happened to the worker of each lost attempt, whether its guest ran or it was held ahead.
    fn lost_for_a_reason(&self, record: &Record) -> Result<(), String> {
        let before = record.history.iter().skip(1).map(|past| past.finished).chain([record.enqueued]);
        for (past, before) in record.history.iter().zip(before).filter(|(past, _)| past.outcome == "lost") {
            let runs = self.entry.attempts.iter().filter(|attempt| attempt.number == past.number);
            // Held ahead it may have been from the end of the one before on.
            let mut held = runs.map(|attempt| (&attempt.worker, attempt.began)).chain([(&past.worker, before)]);
            if !held.any(|(worker, since)| self.cause("lost", worker, since, past.finished).is_some()) {
                let Past { number, worker, .. } = past;
                return Err(format!("attempt {number} was lost on {worker}, and nothing had happened to that"));
            }
        }
        Ok(())
    }

    /// By what an attempt that began on this worker at one instant may have come to this outcome by the other.
    fn cause(&self, outcome: &str, worker: &str, began: Us, over: Us) -> Option<Kind> {
        let life = self.ledger.lives.get(worker);
        let hit = |fault: &&Fault| {
            fault.is_why(outcome)
                && (fault.life.is_none() || fault.life.as_ref() == life)
                && fault.from <= over
                && began <= fault.until + fault.kind.aftermath()
        };
        // Rather the end of this worker than anything else, and rather what lasted for most of that time.
        let likely = |fault: &&Fault| {
            let ended = matches!(fault.kind, Kind::WorkerKilled | Kind::FleetKilled) && fault.from >= began;
            (ended, fault.until.min(over) - fault.from.max(began))
        };
        let own = self.ledger.faults.iter().filter(hit).max_by_key(likely);
        own.map(|fault| fault.kind)
    }

    /// The fault by which the store may have lost what it acknowledged at this instant, or so long before it.
    fn tail(&self, at: Us, belated: Us) -> Option<&Fault> {
        let mut faults = self.ledger.faults.iter().filter(|fault| fault.tail > 0);
        faults.find(|fault| (fault.from - fault.tail..=fault.until + belated).contains(&at))
    }

    fn in_a_tail(&self, at: Us) -> bool {
        self.tail(at, 0).is_some()
    }

    /// The fault by which the store may have forgotten the lease of this run, which was given some time before it.
    fn forgot(&self, attempt: &Attempt) -> Option<&Fault> {
        self.tail(attempt.began, BELATED)
    }
}

impl Attempt {
    fn is(&self, past: &Past) -> bool {
        self.worker == past.worker && self.number == past.number
    }

    fn came_to(&self, outcome: &str) -> bool {
        self.end.as_ref().is_some_and(|(_, own)| own == outcome)
    }

    fn counts(&self) -> bool {
        !self.came_to("interrupted")
    }

    /// Whether its lease was given later: only an attempt that was interrupted leaves its number to the next one.
    fn comes_after(&self, other: &Self) -> bool {
        self.number > other.number || (self.number == other.number && self != other && self.counts())
    }
}

impl Entry {
    /// Whether a fault came at a time when something happened to this job.
    fn touches(&self, fault: &Fault) -> bool {
        let ran = self.attempts.iter().flat_map(|attempt| [Some(attempt.began), attempt.end.as_ref().map(|end| end.0)]);
        let past = self.record.iter().flat_map(|record| record.history.iter().map(|past| Some(past.finished)));
        let finished = self.record.iter().map(|record| record.finished);
        let all = ran.chain(past).chain(finished).chain([self.acknowledged]).flatten();
        all.into_iter().any(|at| (fault.from - AROUND..=fault.until + AROUND).contains(&at))
    }
}

impl fmt::Display for Unaccounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "job {} is not accounted for: {}", self.entry.asked.id, self.why)?;
        writeln!(f, "  meant:        {:?}", self.entry.asked)?;
        writeln!(f, "  acknowledged: {:?}", self.entry.acknowledged)?;
        for attempt in &self.entry.attempts {
            writeln!(f, "  effect:       {attempt:?}")?;
        }
        match &self.entry.record {
            Some(record) => writeln!(f, "  record:       {record:?}")?,
            None => writeln!(f, "  record:       none")?,
        }
        for fault in &self.faults {
            writeln!(f, "  at that time: {fault:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
