//! All of an attempt but its module.

use std::time::Duration;

use afresh_sandbox::{Limits, Reason};
use arbitrary::{Result, Unstructured};

/// All of an attempt but its module.
#[derive(Clone, Debug)]
pub struct Trial {
    /// What the guest gets.
    pub payload: Vec<u8>,
    /// Its walls, low enough to be run into.
    pub limits: Limits,
    /// When somebody ends it, and why; a time of zero is before it starts.
    pub cancel: Option<(Duration, Reason)>,
    /// What it is granted.
    pub grants: Grants,
    /// Whether somebody looks on.
    pub watched: bool,
}

/// What an attempt is granted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grants {
    /// Whether it may enqueue.
    pub outbox: bool,
    /// Whether it has a folder to read.
    pub folder: bool,
    /// Bytes of its scratch folder, where it has one.
    pub scratch: Option<u64>,
    /// Whether it is told a secret.
    pub secret: bool,
}

impl Trial {
    /// A trial with a payload of up to `longest` bytes.
    ///
    /// # Errors
    /// When the bytes are used up.
    pub fn arbitrary(u: &mut Unstructured<'_>, longest: usize) -> Result<Self> {
        let cancel = if u.ratio(1, 16)? { Some(cancel(u)?) } else { None };
        let (limits, grants, watched) = (limits(u)?, Grants::of(u.arbitrary()?), u.ratio(1, 8)?);
        let length = u.int_in_range(0..=longest)?.min(u.len());
        Ok(Self { payload: u.bytes(length)?.to_vec(), limits, cancel, grants, watched })
    }
}

impl Grants {
    /// Half of them may enqueue, and one in four has each of the others: files take a while.
    fn of(byte: u8) -> Self {
        let one_in_four = |shift: u32| byte >> shift & 3 == 3;
        // Room for a few entries, or for all that an attempt can write in its time.
        let bytes = if byte & 0x80 == 0 { 20 << 10 } else { 1 << 20 };
        Self {
            outbox: byte & 1 == 0,
            folder: one_in_four(1),
            scratch: one_in_four(3).then_some(bytes),
            secret: one_in_four(5),
        }
    }
}

fn limits(u: &mut Unstructured<'_>) -> Result<Limits> {
    let room = [0, 1, 64, 1 << 10, 16 << 10];
    Ok(Limits {
        memory: *u.choose(&[64 << 10, 1 << 20, 2 << 20, 16 << 20, 16 << 20, 16 << 20, 64 << 20])?,
        timeout: Duration::from_millis(*u.choose(&[1, 2, 5, 10, 10, 20, 50])?),
        fuel: if u.ratio(1, 6)? { Some(1 << u.int_in_range(0..=14)?) } else { None },
        output: *u.choose(&room)?,
        error: *u.choose(&room)?,
        log: *u.choose(&room)?,
        requests: u.int_in_range(0..=3)?,
        outbox: *u.choose(&room)?,
    })
}

fn cancel(u: &mut Unstructured<'_>) -> Result<(Duration, Reason)> {
    let reason = *u.choose(&[Reason::Cancelled, Reason::Shutdown, Reason::LeaseLost])?;
    Ok((Duration::from_micros(*u.choose(&[0, 10, 100, 1_000, 5_000])?), reason))
}
