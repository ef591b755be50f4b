//! What is wrong with an outcome, and when two findings are one.

use std::fmt;
use std::str::FromStr;

use afresh_protocol::{Outcome, OutcomeKind};

/// What a payload can be found to do. A task that fails, rejects or snoozes is within its rights: none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flaw {
    /// The guest trapped.
    Trapped,
    /// The task panicked.
    Panicked,
    /// It wanted more memory than its limit.
    OutOfMemory,
    /// It used up its fuel.
    OutOfFuel,
    /// It ran past its deadline.
    TimedOut,
    /// Its reply was too long.
    OverLimit,
    /// Two attempts on this payload ended in different ways, or with different replies.
    NonDeterministic,
    /// It broke an expectation of the test.
    Unexpected,
}

impl Flaw {
    /// Every flaw, in the order of the docs.
    pub const ALL: [Self; 8] = [
        Self::Trapped,
        Self::Panicked,
        Self::OutOfMemory,
        Self::OutOfFuel,
        Self::TimedOut,
        Self::OverLimit,
        Self::NonDeterministic,
        Self::Unexpected,
    ];

    /// The word itself: an outcome's where it is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trapped => OutcomeKind::Trapped.as_str(),
            Self::Panicked => OutcomeKind::Panicked.as_str(),
            Self::OutOfMemory => OutcomeKind::OutOfMemory.as_str(),
            Self::OutOfFuel => OutcomeKind::OutOfFuel.as_str(),
            Self::TimedOut => OutcomeKind::TimedOut.as_str(),
            Self::OverLimit => OutcomeKind::OverLimit.as_str(),
            Self::NonDeterministic => "non_deterministic",
            Self::Unexpected => "unexpected",
        }
    }

    /// The flaw that an outcome is by itself, if it is one.
    pub fn of(kind: OutcomeKind) -> Option<Self> {
        Self::ALL.into_iter().find(|flaw| flaw.as_str() == kind.as_str())
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|flaw| flaw.as_str() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            format!("`{word}` is nothing that can be found; take one of {words}")
        })
    }
}

/// Tells findings from what is the task's right.
#[derive(Default)]
pub struct Oracle {
    allowed: Vec<Flaw>,
    expectations: Vec<Expectation>,
}

/// What a test expects of every outcome: a sentence, and whether it holds.
struct Expectation {
    sentence: String,
    holds: Box<Holds>,
}

type Holds = dyn Fn(&[u8], &Outcome) -> bool + Send + Sync;

/// Bytes of a message that a finding keeps.
const MESSAGE: usize = 2048;

/// What is wrong with an outcome, and in which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) flaw: Flaw,
    /// The guest's text, as it wrote it, bounded.
    pub(crate) message: String,
    /// Where it is wrong: judgements of one place are one finding.
    pub(crate) place: String,
    /// Whether the attempt ran past its deadline, which one on a machine that stands still does as well.
    pub(crate) is_late: bool,
}

impl Oracle {
    /// Takes a flaw for the task's right.
    pub fn allow(&mut self, flaw: Flaw) {
        self.allowed.push(flaw);
    }

    /// Takes it for a flaw where `holds`, called with the payload and the outcome, says no.
    pub fn expect(
        &mut self,
        sentence: impl Into<String>,
        holds: impl Fn(&[u8], &Outcome) -> bool + Send + Sync + 'static,
    ) {
        self.expectations.push(Expectation { sentence: sentence.into(), holds: Box::new(holds) });
    }

    /// What is wrong with the outcome of an attempt on this payload.
    pub(crate) fn judge(&self, payload: &[u8], outcome: &Outcome) -> Option<Judgement> {
        let message = outcome.error().map(|error| error.clone().shortened(MESSAGE).message).unwrap_or_default();
        let is_late = matches!(outcome, Outcome::TimedOut(_));
        if let Some(flaw) = Flaw::of(outcome.kind())
            && !self.allowed.contains(&flaw)
        {
            let place = match flaw {
                Flaw::Trapped | Flaw::Panicked => format!("{flaw} {}", place(&message)),
                // What is said of a wall is the host's, and says nothing of where the guest was.
                _ => flaw.to_string(),
            };
            return Some(Judgement { flaw, message, place, is_late });
        }
        let broken = self.expectations.iter().find(|expectation| !(expectation.holds)(payload, outcome))?;
        let said = if message.is_empty() { String::new() } else { format!(": {message}") };
        Some(Judgement {
            flaw: Flaw::Unexpected,
            message: format!("expected {}, but it {}{said}", broken.sentence, outcome.kind()),
            place: format!("unexpected {}", broken.sentence),
            is_late,
        })
    }

    /// What is wrong with two outcomes of attempts on one payload.
    pub(crate) fn compare(&self, first: &Outcome, second: &Outcome) -> Option<Judgement> {
        let message = match (first, second) {
            _ if self.allowed.contains(&Flaw::NonDeterministic) => return None,
            // A wall that one attempt just missed, on a machine with other things to do, is no doing of the guest.
            (Outcome::TimedOut(_) | Outcome::Cancelled, _) | (_, Outcome::TimedOut(_) | Outcome::Cancelled) => {
                return None;
            }
            (Outcome::Succeeded(one), Outcome::Succeeded(other)) if one != other => format!(
                "replied with {} bytes, then with {} other bytes, to the same payload; a task whose attempts differ \
                 cannot be retried safely",
                one.len(),
                other.len()
            ),
            _ if first.kind() != second.kind() => {
                format!("{}, then {}, on the same payload", first.kind(), second.kind())
            }
            _ => return None,
        };
        let place = format!("{} {} {}", Flaw::NonDeterministic, first.kind(), second.kind());
        Some(Judgement { flaw: Flaw::NonDeterministic, message, place, is_late: false })
    }
}

/// Where a message comes from: its words without numbers and quotes. Of a panic that names its line only that counts.
fn place(message: &str) -> String {
    match message.rsplit_once(", at ") {
        Some((_, line)) if line.contains(".rs:") => line.to_owned(),
        _ => words(message, |_| false),
    }
}

/// What a message says of payloads like this one: its words, and those in quotes that are not the payload's.
pub(crate) fn gist(message: &str, payload: &[u8]) -> String {
    words(message, |quoted| !contains(payload, quoted.as_bytes()))
}

fn words(message: &str, keeps: impl Fn(&str) -> bool) -> String {
    let mut words = String::new();
    for (turn, part) in message.split(['`', '"']).enumerate() {
        if turn % 2 == 0 || keeps(part) {
            let of_part = part.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
            of_part.for_each(|word| words.extend([word, " "]));
        }
    }
    words
}

/// Whether `whole` holds `part`.
pub(crate) fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use afresh_protocol::ErrorRecord;

    use super::*;

    #[test]
    fn what_differs_by_payload_is_one_place() {
        assert_eq!(place("cannot read `abc` in line 7"), place("cannot read `d` in line 12"));
        let (one, other) = ("index 7 is wrong, at src/main.rs:3:5", "index 8 is wrong, at src/main.rs:9:5");
        assert_eq!(place(one), "src/main.rs:3:5");
        assert_ne!(place(one), place(other));
        let unknown = |word: &str| gist(&format!("unknown variant `{word}`, expected `x`"), word.as_bytes());
        assert_eq!(unknown("abc"), unknown("d"));
        assert_ne!(gist("missing field `a`", b"{}"), gist("missing field `b`", b"{}"));
    }

    #[test]
    fn a_failure_is_the_tasks_right_and_a_panic_is_not_unless_allowed() {
        let mut oracle = Oracle::default();
        let error = ErrorRecord::new("panicked", "oh, at src/main.rs:1:1");
        let failed = Outcome::Failed { error: error.clone(), retry_after: None };
        assert_eq!(oracle.judge(b"", &failed), None);
        let judgement = oracle.judge(b"", &Outcome::Panicked(error.clone())).unwrap();
        assert_eq!((judgement.flaw, judgement.place.as_str()), (Flaw::Panicked, "panicked src/main.rs:1:1"));
        oracle.allow(Flaw::Panicked);
        assert_eq!(oracle.judge(b"", &Outcome::Panicked(error)), None);
        oracle.expect("a short reply", |_, outcome| !matches!(outcome, Outcome::Succeeded(reply) if reply.len() > 1));
        assert_eq!(oracle.judge(b"", &Outcome::Succeeded(vec![0; 2])).unwrap().flaw, Flaw::Unexpected);
    }

    #[test]
    fn two_ways_to_end_are_a_flaw_but_a_wall_that_was_just_missed_is_none() {
        let oracle = Oracle::default();
        let (one, other) = (Outcome::Succeeded(b"1".to_vec()), Outcome::Succeeded(b"2".to_vec()));
        assert_eq!(oracle.compare(&one, &one), None);
        assert_eq!(oracle.compare(&one, &other).unwrap().flaw, Flaw::NonDeterministic);
        assert_eq!(oracle.compare(&one, &Outcome::TimedOut(ErrorRecord::default())), None);
    }

    #[test]
    fn a_word_is_read_back_and_another_is_answered_with_all() {
        for flaw in Flaw::ALL {
            assert_eq!(flaw.as_str().parse(), Ok(flaw));
        }
        assert!("succeeded".parse::<Flaw>().unwrap_err().contains("timed_out, "));
    }
}
