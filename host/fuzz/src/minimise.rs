//! The smallest payload that still does the same. Nothing here is random: one payload always becomes the same.

use std::time::{Duration, Instant};

use crate::values;

/// The most that one minimisation may cost.
pub(crate) struct Budget {
    pub(crate) runs: u32,
    pub(crate) until: Instant,
}

impl Budget {
    pub(crate) fn new(runs: u32, time: Duration) -> Self {
        Self { runs, until: Instant::now() + time }
    }

    fn take(&mut self) -> bool {
        self.runs = self.runs.saturating_sub(1);
        self.runs > 0 && Instant::now() < self.until
    }
}

/// Bytes that stand for any other where it does not matter which, the plainest first.
const PLAIN: [u8; 4] = *b"0a \0";

/// Makes `input` smaller as long as `holds` says yes of it.
pub(crate) fn minimise(input: &[u8], mut budget: Budget, mut holds: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut attempt = |candidate: &[u8]| budget.take() && holds(candidate);
    loop {
        let before = best.clone();
        simplify_value(&mut best, &mut attempt);
        drop_pieces(&mut best, &mut attempt);
        make_plain(&mut best, &mut attempt);
        if best == before {
            return best;
        }
    }
}

/// As JSON: leaves values out, or takes simpler ones.
fn simplify_value(best: &mut Vec<u8>, attempt: &mut impl FnMut(&[u8]) -> bool) {
    let Some(mut value) = values::parse(best) else { return };
    let written = |value: &_| serde_json::to_vec(value).unwrap_or_default();
    while let Some(simpler) = values::simpler(&value).into_iter().find(|simpler| attempt(&written(simpler))) {
        value = simpler;
        *best = written(&value);
    }
}

/// As bytes: leaves pieces out, from halves down to single bytes, until no byte can go.
fn drop_pieces(best: &mut Vec<u8>, attempt: &mut impl FnMut(&[u8]) -> bool) {
    let mut size = best.len();
    while size > 0 {
        let mut start = 0;
        while start < best.len() {
            let end = (start + size).min(best.len());
            let without = [&best[..start], &best[end..]].concat();
            if attempt(&without) {
                *best = without;
            } else {
                // Half a piece further: what can go is seldom where a whole one begins.
                start += size.div_ceil(2);
            }
        }
        size /= 2;
    }
}

/// As bytes: a plain one for each.
fn make_plain(best: &mut [u8], attempt: &mut impl FnMut(&[u8]) -> bool) {
    for place in 0..best.len() {
        let was = best[place];
        let plainer = PLAIN.into_iter().take_while(|&plain| plain != was);
        for plain in plainer {
            best[place] = plain;
            if attempt(best) {
                break;
            }
            best[place] = was;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(input: &[u8], holds: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        minimise(input, Budget::new(10_000, Duration::from_secs(60)), |bytes| holds(bytes))
    }

    #[test]
    fn what_does_not_matter_goes() {
        let needle = |bytes: &[u8]| bytes.windows(3).any(|window| window == b"xyz");
        assert_eq!(smallest(b"some text xyz and some more", needle), b"xyz");
        assert_eq!(smallest(b"some text", |bytes| bytes.len() >= 3), b"000");
        assert_eq!(smallest(b"a\xffb", |bytes| std::str::from_utf8(bytes).is_err()), b"\xff");
    }

    #[test]
    fn json_stays_json_where_that_matters() {
        let payload = br#"{"keep": {"mode": "x", "n": 7}, "list": [1, 2, {"width": 0, "more": null}]}"#;
        let width = |bytes: &[u8]| {
            let value: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
            value.is_some_and(|value| value["list"][2].get("width").is_some())
        };
        assert_eq!(smallest(payload, width), br#"{"list":[null,null,{"width":null}]}"#);
    }

    #[test]
    fn it_ends_when_its_budget_does() {
        let mut runs = 0;
        minimise(&[7; 100_000], Budget::new(50, Duration::from_secs(60)), |_| {
            runs += 1;
            true
        });
        assert!(runs < 50, "{runs}");
        let late = Budget::new(1_000, Duration::ZERO);
        assert_eq!(minimise(b"abc", late, |_| unreachable!("there was no time")), b"abc");
    }
}
