//! What a script of the [`interpreter`](crate::generators::interpreter) must come to, read without running it. A script
//! that does what this model does not know is left alone.

use afresh_protocol::abi::Verdict;
use afresh_sandbox::{Limits, Outcome, OutcomeKind, Report};

use super::attempt::Request;
use crate::counts::count;
use crate::generators::imports::ALL;
use crate::generators::interpreter::{LONGEST, MEMORY, SCRIPT, op};
use crate::generators::trial::Trial;

/// Steps the model looks at; a longer script may be a loop.
const MOST_STEPS: usize = 2_000;

/// Compares what an attempt of the SDK guest came to with what it must come to, where that is known.
///
/// # Panics
/// Where the two differ.
pub fn compare(trial: &Trial, report: &Report, requests: &[Request]) {
    let kind = report.outcome.kind();
    // What time, fuel and a cancel cut off is no fault; a memory below the guest's start gives it none.
    let cut = matches!(kind, OutcomeKind::TimedOut | OutcomeKind::OutOfFuel) || trial.cancel.is_some();
    if cut || trial.limits.memory < u64::from(MEMORY) {
        return;
    }
    let Some(model) = Model::read(trial) else { return };
    count("modelled");
    assert_eq!(kind, model.kind(&trial.limits), "{model:?}\n{report:?}");
    assert_eq!(report.progress, model.progress);
    assert_eq!(report.usage.output_bytes, model.reply_bytes);
    assert_eq!(report.usage.log_bytes, model.log_bytes);
    assert!(requests.is_empty(), "the script has no `enqueue`");
    if let Outcome::Succeeded(reply) = &report.outcome {
        assert_eq!(reply, &model.reply);
    }
}

/// What the guest did, as far as the host can tell.
#[derive(Debug, Default)]
struct Model {
    reply: Vec<u8>,
    reply_bytes: u64,
    log_bytes: u64,
    verdict: Option<Verdict>,
    progress: Option<f64>,
    end: End,
}

#[derive(Debug, Default, PartialEq)]
enum End {
    #[default]
    Returned,
    Trapped,
    LongReply,
    Exited(i32),
}

/// Why the model stops reading.
enum Stop {
    /// The guest came to its end.
    At(End),
    /// It does what the model does not know.
    Unknown,
}

impl Model {
    fn read(trial: &Trial) -> Option<Self> {
        let script = &trial.payload[..trial.payload.len().min(LONGEST as usize)];
        let mut memory = vec![0; MEMORY as usize];
        memory[SCRIPT as usize..][..script.len()].copy_from_slice(script);
        let end = SCRIPT as usize + script.len();
        let mut guest = Reader { memory, at: SCRIPT as usize, end, payload: &trial.payload };
        let mut model = Self::default();
        for _ in 0..MOST_STEPS {
            match model.step(&mut guest, trial.limits.output) {
                Ok(()) => {}
                Err(Stop::At(end)) => {
                    model.end = end;
                    return Some(model);
                }
                Err(Stop::Unknown) => return None,
            }
        }
        None
    }

    fn step(&mut self, guest: &mut Reader<'_>, output: usize) -> Result<(), Stop> {
        if guest.at >= guest.end {
            return Err(Stop::At(End::Returned));
        }
        let op = usize::from(guest.byte()) % op::count();
        match ALL.get(op) {
            Some(import) => self.call(import.name, guest, output),
            None => guest.own(op - ALL.len()),
        }
    }

    fn call(&mut self, name: &str, guest: &mut Reader<'_>, output: usize) -> Result<(), Stop> {
        match name {
            "payload_len" | "deadline_left_us" => {}
            "payload_read" => {
                let (ptr, len, offset) = (guest.i32(), guest.i32(), guest.i32());
                let room = guest.range(ptr, len)?;
                let payload = guest.payload.get(offset as usize..).unwrap_or_default();
                let count = payload.len().min(room.len());
                guest.memory[room][..count].copy_from_slice(&payload[..count]);
            }
            "reply_write" => {
                let (ptr, len) = (guest.i32(), guest.i32());
                let range = guest.range(ptr, len)?;
                self.reply_bytes += range.len() as u64;
                if self.reply.len() + range.len() > output {
                    return Err(Stop::At(End::LongReply));
                }
                self.reply.extend_from_slice(&guest.memory[range]);
            }
            "error_write" => {
                let (ptr, len) = (guest.i32(), guest.i32());
                guest.range(ptr, len)?;
            }
            "log" => {
                let (_level, ptr, len) = (guest.i32(), guest.i32(), guest.i32());
                self.log_bytes += guest.range(ptr, len)?.len() as u64;
            }
            "verdict" => {
                let (code, _delay) = (guest.i32(), guest.i64());
                let verdict = Verdict::from_code(code as i32).ok_or(Stop::At(End::Trapped))?;
                self.verdict = Some(verdict);
            }
            "progress" => {
                let fraction = guest.f64();
                if !fraction.is_nan() {
                    self.progress = Some(fraction.clamp(0.0, 1.0));
                }
            }
            "proc_exit" => return Err(Stop::At(End::Exited(guest.i32() as i32))),
            _ => return Err(Stop::Unknown),
        }
        Ok(())
    }

    fn kind(&self, limits: &Limits) -> OutcomeKind {
        match (&self.end, self.verdict) {
            (End::LongReply, _) => OutcomeKind::OverLimit,
            (_, Some(Verdict::Failed)) => OutcomeKind::Failed,
            (_, Some(Verdict::Rejected | Verdict::BadPayload)) => OutcomeKind::Rejected,
            (_, Some(Verdict::Panicked)) => OutcomeKind::Panicked,
            (_, Some(Verdict::Snoozed)) => OutcomeKind::Snoozed,
            (End::Returned | End::Exited(0), None) => {
                assert!(self.reply.len() <= limits.output);
                OutcomeKind::Succeeded
            }
            (End::Exited(65), None) => OutcomeKind::Rejected,
            (End::Exited(_), None) => OutcomeKind::Failed,
            (End::Trapped, None) => OutcomeKind::Trapped,
        }
    }
}

/// Reads a script as the guest does, and has its memory.
struct Reader<'a> {
    memory: Vec<u8>,
    at: usize,
    end: usize,
    payload: &'a [u8],
}

impl Reader<'_> {
    fn own(&mut self, op: usize) -> Result<(), Stop> {
        match op {
            op::STORE => {
                let (ptr, value) = (self.i32(), self.i32());
                let range = self.range(ptr, 4)?;
                self.memory[range].copy_from_slice(&value.to_le_bytes());
            }
            op::FILL => {
                let (ptr, byte, len) = (self.i32(), self.byte(), self.i32());
                let range = self.range(ptr, len)?;
                self.memory[range].fill(byte);
            }
            op::COPY => {
                let (to, from, len) = (self.i32(), self.i32(), self.i32());
                let (to, from) = (self.range(to, len)?, self.range(from, len)?);
                self.memory.copy_within(from, to.start);
            }
            // It depends on the limit on memory whether the guest gets what it asks for.
            op::GROW => return Err(Stop::Unknown),
            op::JUMP => {
                let (low, high) = (self.byte(), self.byte());
                self.at = SCRIPT as usize + usize::from(u16::from_le_bytes([low, high]));
            }
            op::RETURN => self.at = self.end,
            _ => return Err(Stop::At(End::Trapped)),
        }
        Ok(())
    }

    fn range(&self, ptr: u32, len: u32) -> Result<std::ops::Range<usize>, Stop> {
        let range = ptr as usize..ptr as usize + len as usize;
        if range.end <= self.memory.len() { Ok(range) } else { Err(Stop::At(End::Trapped)) }
    }

    fn byte(&mut self) -> u8 {
        if self.at >= self.end {
            return 0;
        }
        self.at += 1;
        self.memory[self.at - 1]
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn i32(&mut self) -> u32 {
        let tag = u32::from(self.byte());
        match tag {
            0..0x80 => tag,
            0x80..0xc0 => (tag - 0x80) << 8 | u32::from(self.byte()),
            0xc0..0xf0 => SCRIPT | (tag - 0xc0) << 8 | u32::from(self.byte()),
            0xf0..0xf8 => self.memory.len() as u32 - u32::from(self.byte()),
            _ => self.word(),
        }
    }

    fn i64(&mut self) -> u64 {
        match self.byte() {
            tag @ 0..0x80 => tag.into(),
            0x80..0xf0 => i64::from(self.word() as i32) as u64,
            _ => self.long(),
        }
    }

    fn f64(&mut self) -> f64 {
        match self.byte() {
            tag @ 0..0xf0 => f64::from(tag) / 100.0,
            _ => f64::from_bits(self.long()),
        }
    }

    fn long(&mut self) -> u64 {
        u64::from(self.word()) | u64::from(self.word()) << 32
    }
}
