use super::*;
use crate::guests::Task;
use crate::ledger::Asked;
use crate::store::StoreKind;

/// Seconds.
const S: Us = 1_000_000;

/// A job that succeeded at its first attempt, on worker `a`, in the tenth second.
fn job(id: &str) -> Entry {
    Entry {
        asked: Asked { id: id.into(), task: Task::Quick, max_attempts: 3, after: None },
        acknowledged: Some(9 * S),
        attempts: vec![ran("a", 1, 100, 10)],
        record: Some(Record {
            state: State::Succeeded,
            starts: 1,
            enqueued: 9 * S,
            finished: Some(11 * S),
            history: vec![past("a", 1, "succeeded", 11)],
            reply: Some("reply 100".into()),
        }),
    }
}

/// The same, where it was lost with worker `a` and ran again on `b`, half a minute later.
fn twice(id: &str) -> Entry {
    let mut entry = job(id);
    entry.attempts.push(ran("b", 2, 101, 40));
    let record = entry.record.as_mut().unwrap();
    record.history = vec![past("b", 2, "succeeded", 41), past("a", 1, "lost", 39)];
    record.starts = 2;
    record.reply = Some("reply 101".into());
    entry
}

fn ran(worker: &str, number: u32, token: u64, second: i64) -> Attempt {
    Attempt {
        worker: worker.into(),
        number,
        token,
        began: second * S,
        end: Some((second * S + 9, "succeeded".into())),
        reply: format!("reply {token}"),
    }
}

fn past(worker: &str, number: u32, outcome: &str, second: i64) -> Past {
    Past { number, worker: worker.into(), outcome: outcome.into(), finished: second * S }
}

fn fault(kind: Kind, from: i64, until: i64, life: Option<usize>) -> Fault {
    Fault { kind, from: from * S, until: until * S, life, tail: kind.tail(StoreKind::RedisAlways) }
}

fn ledger(jobs: Vec<Entry>, faults: Vec<Fault>) -> Ledger {
    Ledger { jobs, faults, lives: [("a".into(), 0), ("b".into(), 1)].into() }
}

/// The account of such a ledger, or why there is none.
fn of(jobs: Vec<Entry>, faults: Vec<Fault>) -> Result<Account, String> {
    account(&ledger(jobs, faults)).map_err(|unaccounted| unaccounted.why)
}

/// Why there is no account of one job that nothing has happened to, after this change.
#[track_caller]
fn found(mut entry: Entry, change: impl FnOnce(&mut Entry, &mut Record), why: &str) {
    let mut record = entry.record.take().unwrap();
    change(&mut entry, &mut record);
    entry.record = Some(record);
    let killed = fault(Kind::WorkerKilled, 10, 11, Some(0));
    let error = of(vec![job("fine"), entry, job("fine too")], vec![killed]).unwrap_err();
    assert!(error.contains(why), "{error:?} does not say {why:?}");
}

#[test]
fn what_is_as_it_should_be_is_counted() {
    let killed = fault(Kind::WorkerKilled, 10, 11, Some(0));
    let account = of(vec![job("one"), twice("two")], vec![killed]).unwrap();
    let again = [(Kind::WorkerKilled, 1)].into();
    assert_eq!(account, Account { jobs: 2, succeeded: 2, runs: 3, again, ..Account::default() });
}

#[test]
fn a_lost_job_is_found() {
    let mut gone = job("gone");
    gone.record = None;
    let unaccounted = account(&ledger(vec![job("fine"), gone.clone()], vec![])).unwrap_err();
    let page = unaccounted.to_string();
    assert!(page.contains("job gone is not accounted for: it was acknowledged, and the broker knows no such job"));
    assert!(page.contains("reply 100") && page.contains("Quick"), "everything known of it is shown: {page}");

    // With the newest writes of a primary it may go; not with those before.
    let at = |second| vec![fault(Kind::FailoverSudden, second, second + 2, None)];
    assert_eq!(of(vec![gone.clone()], at(9)).unwrap().lost_in_a_tail, 1);
    assert!(of(vec![gone.clone()], at(12)).is_err(), "acknowledged long before");
    assert!(of(vec![gone], vec![fault(Kind::FailoverPlanned, 9, 11, None)]).is_err(), "a planned one loses nothing");

    found(job("x"), |_, record| record.state = State::Running, "it has not ended: it is running");
}

#[test]
fn a_job_that_ran_too_often_is_found() {
    found(
        twice("x"),
        |entry, record| {
            entry.asked.max_attempts = 1;
            record.starts = 1;
        },
        "it was started 2 times, and may be 1 times",
    );
    // What a shutdown interrupted does not count.
    let mut entry = twice("x");
    entry.asked.max_attempts = 1;
    entry.attempts[0].end = Some((10 * S, "interrupted".into()));
    entry.attempts[1].number = 1;
    entry.record.as_mut().unwrap().history = vec![past("b", 1, "succeeded", 41), past("a", 1, "interrupted", 39)];
    entry.record.as_mut().unwrap().starts = 1;
    let terminated = || vec![fault(Kind::WorkerTerminated, 9, 10, Some(0))];
    assert!(of(vec![entry.clone()], terminated()).is_ok());
    // And it costs none.
    entry.asked.max_attempts = 3;
    entry.attempts[1].number = 2;
    entry.record.as_mut().unwrap().history[0].number = 2;
    let error = of(vec![entry], terminated()).unwrap_err();
    assert!(error.contains("attempt 1 was interrupted by a shutdown, and cost the job an attempt"), "{error}");
}

#[test]
fn a_shutdown_that_costs_an_attempt_is_found() {
    let hit = |kind| vec![fault(kind, 10, 11, Some(0))];
    let ran_twice = |outcome: &str| {
        let mut entry = twice("x");
        entry.attempts[0].end = Some((11 * S, outcome.into()));
        entry.record.as_mut().unwrap().history[1].outcome = outcome.into();
        (entry.attempts[1].number, entry.record.as_mut().unwrap().history[0].number) = match outcome {
            "interrupted" => (1, 1),
            _ => (2, 2),
        };
        entry
    };
    let mut dead = twice("x");
    dead.asked.max_attempts = 1;
    dead.attempts.pop();
    let record = dead.record.as_mut().unwrap();
    record.history.remove(0);
    (record.state, record.starts, record.reply) = (State::Dead, 1, None);
    for kind in [Kind::WorkerTerminated, Kind::FleetRestarted] {
        let error = of(vec![ran_twice("lost")], hit(kind)).unwrap_err();
        assert!(error.contains("attempt 1 ran in vain on a, as lost"), "{error}");
        let error = of(vec![dead.clone()], hit(kind)).unwrap_err();
        assert!(error.contains("attempt 1 ran in vain on a, as lost"), "{error}");
        assert_eq!(of(vec![ran_twice("interrupted")], hit(kind)).unwrap().again, [(kind, 1)].into());
    }
    let slow = vec![fault(Kind::WorkerTerminated, 10, 15, Some(0))];
    assert_eq!(of(vec![ran_twice("lost")], slow).unwrap().again.len(), 1, "the machine did not get on");
    assert_eq!(of(vec![dead], hit(Kind::WorkerKilled)).unwrap().dead_lost, 1);
    let error = of(vec![ran_twice("interrupted")], hit(Kind::WorkerKilled)).unwrap_err();
    assert!(error.contains("attempt 1 ran in vain on a, as interrupted"), "{error}");
}

#[test]
fn an_attempt_in_the_middle_that_its_task_does_not_do_is_found() {
    let fail = |entry: &mut Entry, record: &mut Record| {
        (entry.attempts[0].end, entry.attempts[0].reply) = (Some((11 * S, "failed".into())), String::new());
        record.history[1].outcome = "failed".into();
    };
    found(twice("x"), fail, "attempt 1 failed: its task does not do that");
    let flaky = |change: fn(&mut Entry, &mut Record)| {
        move |entry: &mut Entry, record: &mut Record| {
            entry.asked.task = Task::Flaky;
            fail(entry, record);
            change(entry, record);
        }
    };
    let mut entry = twice("x");
    let mut record = entry.record.take().unwrap();
    flaky(|_, _| ())(&mut entry, &mut record);
    entry.record = Some(record);
    assert_eq!(of(vec![entry], vec![]).unwrap().succeeded, 1);
    let forget: fn(&mut Entry, &mut Record) = |entry, _| entry.attempts[0].end = None;
    found(twice("x"), flaky(forget), "its record says that attempt 1 on a failed, and that worker does not");
    let again: fn(&mut Entry, &mut Record) = |entry, record| {
        (entry.attempts[0].end, record.history[1].outcome) = (Some((11 * S, "lost".into())), "lost".into());
        entry.attempts[1].end = Some((41 * S, "trapped".into()));
    };
    found(twice("x"), flaky(again), "it was settled by an attempt that nobody ran");
    let other: fn(&mut Entry, &mut Record) = |entry, record| {
        record.history[1].outcome = "lost".into();
        entry.attempts[0].end = Some((11 * S, "trapped".into()));
    };
    found(twice("x"), flaky(other), "attempt 1 trapped: its task does not do that");
}

#[test]
fn what_a_stale_lease_has_settled_is_found() {
    // The first lease was lost, and the second given; and yet the first one's attempt stands in the record.
    found(
        twice("x"),
        |_, record| {
            record.history = vec![past("a", 1, "succeeded", 41)];
            record.reply = Some("reply 100".into());
        },
        "attempt 1 has settled it, after the lease of attempt 2 was given",
    );
    found(job("x"), |_, record| record.reply = Some("reply 7".into()), "its reply is \"reply 7\"");
    found(job("x"), |entry, _| entry.attempts.clear(), "it was settled by an attempt that nobody ran");
    found(job("x"), |entry, _| entry.attempts[0].end = None, "it was settled by an attempt that nobody ran");
}

#[test]
fn an_effect_that_was_there_again_without_a_cause_is_found() {
    let why = |faults| of(vec![twice("x")], faults).unwrap_err();
    assert!(why(vec![]).contains("attempt 1 ran in vain on a, as lost, and nothing had happened to that"));
    assert!(why(vec![fault(Kind::WorkerKilled, 10, 11, Some(1))]).contains("nothing had happened"), "to another");
    assert!(why(vec![fault(Kind::WorkerStopped, 60, 65, Some(0))]).contains("nothing had happened"), "too late");
    assert!(why(vec![fault(Kind::ScriptsForgotten, 10, 11, None)]).contains("nothing had happened"), "no cause");
    found(
        twice("x"),
        |_, record| record.history.truncate(1),
        "attempt 1 ran in vain on a, and its record does not know of it",
    );
    found(twice("x"), |_, record| record.history[1].outcome = "succeeded".into(), "it has succeeded twice");
}

#[test]
fn what_begins_after_a_fault_is_lost_by_it_for_as_long_as_its_kind_has_it() {
    let lost = |kind, until| of(vec![twice("x")], vec![fault(kind, 1, until, Some(0))]);
    for (kind, seconds) in [(Kind::WorkerKilled, 0), (Kind::LinkCut, 4), (Kind::Stall, 4), (Kind::LinkSilent, 10)] {
        if seconds < 9 {
            assert!(lost(kind, 9 - seconds).unwrap_err().contains("nothing had happened"), "{kind} is long over");
        }
        assert!(lost(kind, 10 - seconds).is_ok(), "{kind}");
    }
}

#[test]
fn an_attempt_that_was_lost_without_a_cause_is_found_where_no_guest_ran_too() {
    let mut entry = twice("x");
    entry.attempts.remove(0);
    let killed = |second, life| vec![fault(Kind::WorkerKilled, second, second + 1, Some(life))];
    let why = |faults| of(vec![entry.clone()], faults).unwrap_err();
    assert!(why(vec![]).contains("attempt 1 was lost on a, and nothing had happened to that"));
    assert!(why(killed(20, 1)).contains("attempt 1 was lost on a"), "to another");
    assert!(why(killed(7, 0)).contains("attempt 1 was lost on a"), "before there was such a job");
    assert!(of(vec![entry.clone()], killed(20, 0)).is_ok());
    // What comes after a lost one has a cause of its own.
    let record = entry.record.as_mut().unwrap();
    record.history.insert(1, past("a", 2, "lost", 40));
    record.history[0].number = 3;
    (record.starts, entry.attempts[0].number) = (3, 3);
    let error = of(vec![entry], killed(20, 0)).unwrap_err();
    assert!(error.contains("attempt 2 was lost on a"), "{error}");
}

#[test]
fn what_a_store_has_forgotten_may_be_there_again() {
    // The replica knew nothing of the first lease, and gave the same number to the same worker.
    let mut entry = job("x");
    entry.attempts.push(ran("a", 1, 101, 40));
    let record = entry.record.as_mut().unwrap();
    (record.history, record.reply) = (vec![past("a", 1, "succeeded", 41)], Some("reply 101".into()));
    let at = |second| vec![fault(Kind::FailoverSudden, second, second + 2, None)];
    assert_eq!(of(vec![entry.clone()], at(10)).unwrap().again, [(Kind::FailoverSudden, 1)].into());
    assert_eq!(of(vec![entry.clone()], at(6)).unwrap().again, [(Kind::FailoverSudden, 1)].into(), "it began belatedly");
    for late in [4, 20] {
        let error = of(vec![entry.clone()], at(late)).unwrap_err();
        assert!(error.contains("attempt 1 has settled it, after the lease of attempt 1"), "{error}");
    }
}

#[test]
fn a_job_that_died_too_early_is_found() {
    let die = |outcome: &'static str, task| {
        move |entry: &mut Entry, record: &mut Record| {
            entry.asked.task = task;
            entry.attempts[0].end = Some((10 * S, outcome.into()));
            entry.attempts[0].reply.clear();
            record.state = State::Dead;
            record.reply = None;
            record.history[0].outcome = outcome.into();
        }
    };
    found(job("x"), die("trapped", Task::Trapped), "it is dead, and had attempts left");
    found(job("x"), die("trapped", Task::Quick), "its task does not do that");
    found(job("x"), die("lost", Task::Quick), "it is dead of lost attempts, and had attempts left");
    let mut entry = job("x");
    let mut record = entry.record.take().unwrap();
    die("rejected", Task::Rejected)(&mut entry, &mut record);
    entry.record = Some(record);
    assert_eq!(of(vec![entry], vec![]).unwrap().dead, 1);
}

#[test]
fn what_follows_exists_if_the_one_before_has_succeeded() {
    let mut next = job("next");
    next.asked.after = Some("first".into());
    next.acknowledged = None;
    assert_eq!(of(vec![job("first"), next.clone()], vec![]).unwrap().jobs, 2);

    let (mut dead, mut missing) = (job("first"), next.clone());
    dead.asked.task = Task::Rejected;
    dead.attempts[0].end = Some((10 * S, "rejected".into()));
    dead.attempts[0].reply.clear();
    let record = dead.record.as_mut().unwrap();
    (record.state, record.reply, record.history[0].outcome) = (State::Dead, None, "rejected".into());
    assert!(of(vec![dead.clone(), next], vec![]).unwrap_err().contains("it exists although"));
    missing.record = None;
    missing.attempts.clear();
    assert!(of(vec![job("first"), missing.clone()], vec![]).unwrap_err().contains("knows no such job"));
    assert_eq!(of(vec![dead, missing], vec![]).unwrap().never_due, 1);
}
