//! A call of one of the tasks that run natively and as a guest.

use afresh_sandbox::Limits;
use arbitrary::{Result, Unstructured};
use fuzz_tasks::{End, Script, Step, Wish};

/// A call: the task's name, its payload, and how many jobs it may enqueue.
#[derive(Clone, Debug)]
pub struct TaskCall {
    /// The task.
    pub task: &'static str,
    /// The payload.
    pub payload: Vec<u8>,
    /// How many further jobs it may enqueue.
    pub requests: u32,
}

impl TaskCall {
    /// A call: of the script with one that is well formed, of any task with the bytes as they are.
    ///
    /// # Errors
    /// When the bytes are used up.
    pub fn arbitrary(u: &mut Unstructured<'_>) -> Result<Self> {
        let requests = *u.choose(&[0, 1, Limits::default().requests])?;
        let task = *u.choose(&["script", "script", "script", "echo", "typed", "bytes", "nothing"])?;
        let payload = if task == "script" && !u.ratio(1, 8)? {
            serde_json::to_vec(&script(u)?).expect("a script is JSON")
        } else {
            u.bytes(u.len())?.to_vec()
        };
        Ok(Self { task, payload, requests })
    }
}

fn script(u: &mut Unstructured<'_>) -> Result<Script> {
    let mut steps = Vec::new();
    for _ in 0..u.int_in_range(0..=6)? {
        steps.push(step(u)?);
    }
    Ok(Script { steps, end: end(u)? })
}

fn step(u: &mut Unstructured<'_>) -> Result<Step> {
    Ok(match u.int_in_range(0..=7)? {
        0..=2 => Step::Log(u.arbitrary()?, text(u)?),
        3 | 4 => Step::Progress(u.int_in_range(-50..=150)?),
        5 | 6 => Step::Enqueue(wish(u)?),
        _ => Step::MustEnqueue(wish(u)?),
    })
}

fn wish(u: &mut Unstructured<'_>) -> Result<Wish> {
    let name = |u: &mut Unstructured<'_>| if u.ratio(7, 8)? { Ok("mail".to_owned()) } else { text(u) };
    Ok(Wish {
        task: name(u)?,
        queue: if u.ratio(1, 3)? { Some(name(u)?) } else { None },
        id: if u.ratio(1, 3)? { Some(name(u)?) } else { None },
        delay_ns: u.arbitrary()?,
        priority: if u.ratio(1, 3)? { Some(u.int_in_range(-1001..=1001)?) } else { None },
        key: if u.ratio(1, 3)? { Some(name(u)?) } else { None },
        payload: text(u)?.into_bytes(),
    })
}

fn end(u: &mut Unstructured<'_>) -> Result<End> {
    Ok(match u.int_in_range(0..=7)? {
        0 | 1 => End::Reply(text(u)?),
        2 => End::LongReply(*u.choose(&[0, 1, 65_534, 65_535, 1 << 20])?),
        3 => End::Fail(text(u)?, u.arbitrary()?),
        4 => End::Reject(text(u)?),
        5 => End::Snooze(u.arbitrary()?),
        6 => End::Panic(text(u)?),
        _ => End::OutOfBounds(u.arbitrary()?),
    })
}

/// Short texts, and now and then a long one.
fn text(u: &mut Unstructured<'_>) -> Result<String> {
    let text: &str = u.arbitrary()?;
    Ok(if u.ratio(1, 16)? { text.repeat(u.int_in_range(1..=400)?) } else { text.to_owned() })
}
