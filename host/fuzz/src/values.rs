//! How a payload that is JSON is changed and made simpler as such: bytes changed by chance are rarely JSON still.

use mutatis::{Candidates, Context, Mutate, Result};
use serde_json::{Map, Value};

use crate::bytes::{EDGES, below, number};
use crate::dictionary::Dictionary;

/// The longest payload that is looked at as JSON, in bytes.
pub(crate) const LONGEST: usize = 16 << 10;

/// The JSON that a payload is.
pub(crate) fn parse(payload: &[u8]) -> Option<Value> {
    (payload.len() <= LONGEST).then(|| serde_json::from_slice(payload).ok()).flatten()
}

/// Changes a value, with words and numbers of a dictionary.
pub(crate) struct Values<'a> {
    pub(crate) dictionary: &'a Dictionary,
}

impl Mutate<Value> for Values<'_> {
    // Each value inside is a candidate, so that all are as likely.
    fn mutate(&mut self, c: &mut Candidates<'_>, value: &mut Value) -> Result<()> {
        c.mutation(|ctx| {
            *value = self.fresh(ctx);
            Ok(())
        })?;
        match value {
            Value::Object(members) => {
                c.mutation(|ctx| {
                    let (key, value) = (self.text(ctx), self.fresh(ctx));
                    members.insert(key, value);
                    Ok(())
                })?;
                if !members.is_empty() {
                    c.mutation(|ctx| {
                        let key = members.keys().nth(below(ctx, members.len())).cloned().unwrap_or_default();
                        members.remove(&key);
                        Ok(())
                    })?;
                }
                for member in members.values_mut() {
                    self.mutate(c, member)?;
                }
            }
            Value::Array(items) => {
                c.mutation(|ctx| {
                    items.insert(below(ctx, items.len() + 1), self.fresh(ctx));
                    Ok(())
                })?;
                if !items.is_empty() {
                    c.mutation(|ctx| {
                        items.remove(below(ctx, items.len()));
                        Ok(())
                    })?;
                    c.mutation(|ctx| {
                        let copy = items[below(ctx, items.len())].clone();
                        items.resize(items.len() + (1 << below(ctx, 6)), copy);
                        Ok(())
                    })?;
                }
                for item in items {
                    self.mutate(c, item)?;
                }
            }
            Value::String(text) => {
                c.mutation(|ctx| {
                    text.push_str(&self.text(ctx));
                    Ok(())
                })?;
                c.mutation(|ctx| {
                    *text = text.repeat(1 << below(ctx, 6)).chars().take(LONGEST / 4).collect();
                    Ok(())
                })?;
            }
            Value::Number(_) => {
                c.mutation(|ctx| {
                    *value = Value::from(number(ctx, self.dictionary));
                    Ok(())
                })?;
            }
            Value::Null | Value::Bool(_) => {}
        }
        Ok(())
    }
}

impl Values<'_> {
    /// A small value of any kind.
    fn fresh(&self, ctx: &mut Context) -> Value {
        match below(ctx, 10) {
            0 => Value::Null,
            1 => Value::Bool(ctx.rng().gen_bool()),
            2 => Value::Array(Vec::new()),
            3 => Value::Object(Map::new()),
            4 => Value::from(EDGES[below(ctx, EDGES.len())] as f64 + 0.5),
            5..=6 => Value::from(number(ctx, self.dictionary)),
            _ => Value::String(self.text(ctx)),
        }
    }

    /// A word of the module; else, or by chance, a text that somebody did not think of.
    fn text(&self, ctx: &mut Context) -> String {
        const ODD: [&str; 8] = ["", " ", "0", "-1", "é", "\u{1f600}", "\0", "../x"];
        let word = (below(ctx, 8) > 0).then(|| self.dictionary.word(ctx.rng().gen_u64())).flatten();
        word.unwrap_or_else(|| ODD[below(ctx, ODD.len())]).to_owned()
    }
}

/// Every value that is one step simpler, the simplest first.
pub(crate) fn simpler(value: &Value) -> Vec<Value> {
    let mut simpler: Vec<Value> =
        [Value::Null, Value::from(0), Value::from(""), Value::Array(vec![]), Value::Object(Map::new())]
            .into_iter()
            .take(rank(value))
            .collect();
    match value {
        Value::Array(items) => {
            simpler.extend(items.iter().cloned());
            for place in 0..items.len() {
                let mut fewer = items.clone();
                fewer.remove(place);
                simpler.push(Value::Array(fewer));
            }
            for (place, item) in items.iter().enumerate() {
                simpler.extend(self::simpler(item).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[place] = item;
                    Value::Array(items)
                }));
            }
        }
        Value::Object(members) => {
            simpler.extend(members.values().cloned());
            for key in members.keys() {
                let mut fewer = members.clone();
                fewer.remove(key);
                simpler.push(Value::Object(fewer));
            }
            for (key, member) in members {
                simpler.extend(self::simpler(member).into_iter().map(|member| {
                    let mut members = members.clone();
                    members.insert(key.clone(), member);
                    Value::Object(members)
                }));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    simpler
}

/// How many of the five simplest values are simpler than this one.
fn rank(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(number) => 1 + usize::from(number.as_u64() != Some(0)),
        Value::String(text) => 2 + usize::from(!text.is_empty()),
        Value::Array(items) => 3 + usize::from(!items.is_empty()),
        Value::Object(members) => 4 + usize::from(!members.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use mutatis::Session;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_becomes_any_other() {
        let dictionary = Dictionary::default();
        let mut session = Session::new().seed(3);
        let mut value = json!({});
        let (mut objects, mut arrays) = (0, 0);
        for _ in 0..10_000 {
            session.mutate_with(&mut Values { dictionary: &dictionary }, &mut value).unwrap();
            objects += usize::from(value.as_object().is_some_and(|members| members.len() > 1));
            arrays += usize::from(value.as_array().is_some_and(|items| items.len() > 1));
            if value.to_string().len() > 500 {
                value = json!([]);
            }
        }
        assert!(objects > 50 && arrays > 50, "{objects} objects, {arrays} arrays");
    }

    #[test]
    fn simpler_values_end_at_null() {
        assert!(simpler(&json!(null)).is_empty());
        let value = json!({"a": [1, {"b": "c"}]});
        assert!(simpler(&value).contains(&json!({"a": [1, {}]})) && simpler(&value).contains(&json!([1, {"b": "c"}])));
        let mut value = value;
        let mut steps = 0;
        while let Some(next) = simpler(&value).into_iter().next_back() {
            value = next;
            steps += 1;
            assert!(steps < 100, "{value}");
        }
        assert_eq!(value, json!(null));
    }
}
