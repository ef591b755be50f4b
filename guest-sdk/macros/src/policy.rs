//! What stands in the brackets of `#[task(…)]`.

use std::time::Duration;

use afresh_protocol::policy::check_name;
use afresh_protocol::{TaskPolicy, grants};
use bytesize::ByteSize;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::parse::Parser;
use syn::{Expr, ExprLit, Ident, Lit, LitInt, LitStr};

/// A Wasm page: no instance has less.
const PAGE: u64 = 64 << 10;

/// Where a 32-bit memory ends.
const MAX_MEMORY: u64 = 4 << 30;

const KEYS: &str = "`name`, `max_attempts`, `timeout`, `memory`, `fuel`, `min_backoff`, `max_backoff`, `env`, `secrets`, \
                    `folders`, `scratch` and `enqueue`";

/// What stands in the brackets of `#[task(…)]`.
pub(crate) struct Policy(TaskPolicy);

impl Policy {
    /// Reads the brackets; `function` names the task where they do not.
    pub(crate) fn parse(brackets: TokenStream, function: &Ident) -> syn::Result<Self> {
        let mut policy = TaskPolicy::default();
        let mut seen: Vec<String> = Vec::new();
        syn::meta::parser(|meta| {
            let key = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&key) {
                return Err(meta.error(format!("`{key}` is given twice")));
            }
            match key.as_str() {
                "name" => policy.task = name(&meta)?,
                "max_attempts" => policy.max_attempts = Some(attempts(&meta)?),
                "timeout" => policy.timeout_ms = Some(millis(&meta)?),
                "memory" => policy.memory = Some(memory(&meta)?),
                "fuel" => policy.fuel = Some(number(&meta)?.base10_parse()?),
                "min_backoff" => policy.min_backoff_ms = Some(millis(&meta)?),
                "max_backoff" => policy.max_backoff_ms = Some(millis(&meta)?),
                "env" => policy.env = list(&meta, |names| grants::check_variables(names, &[]))?,
                "secrets" => policy.secrets = list(&meta, |names| grants::check_variables(&[], names))?,
                "folders" => policy.folders = list(&meta, grants::check_folders)?,
                "scratch" => policy.scratch = Some(scratch(&meta)?),
                "enqueue" => policy.enqueue = list(&meta, grants::check_queues)?,
                _ => return Err(meta.error(format!("a task does not have this; it has {KEYS}"))),
            }
            seen.push(key);
            Ok(())
        })
        .parse2(brackets.clone())?;

        if let (Some(min), Some(max)) = (policy.min_backoff_ms, policy.max_backoff_ms)
            && min > max
        {
            let message = "`min_backoff` is longer than `max_backoff`; swap them, or leave one out";
            return Err(syn::Error::new_spanned(brackets, message));
        }
        if policy.task.is_empty() {
            policy.task = function.unraw().to_string();
            check_name(&policy.task)
                .map_err(|e| syn::Error::new(function.span(), format!("{e}; give one by `#[task(name = \"…\")]`")))?;
        }
        // What is wrong with a single key has been said at its place; this is what two keys say together.
        policy.check().map_err(|e| syn::Error::new_spanned(brackets, e))?;
        Ok(Self(policy))
    }

    pub(crate) fn into_task_policy(self) -> TaskPolicy {
        self.0
    }
}

fn name(meta: &ParseNestedMeta) -> syn::Result<String> {
    let text = text(meta, "a name is text, such as \"log-report\"")?;
    check_name(&text.value()).map_err(|e| syn::Error::new(text.span(), e))?;
    Ok(text.value())
}

fn attempts(meta: &ParseNestedMeta) -> syn::Result<u32> {
    let number = number(meta)?;
    match number.base10_parse()? {
        0 => Err(syn::Error::new(number.span(), "a job needs at least 1 attempt")),
        attempts => Ok(attempts),
    }
}

fn millis(meta: &ParseNestedMeta) -> syn::Result<u64> {
    const WANTED: &str = "a duration is text with a unit, such as \"30s\", \"250ms\" or \"1h 30min\"";
    let text = text(meta, WANTED)?;
    let span: Duration = humantime::parse_duration(&text.value())
        .map_err(|e| syn::Error::new(text.span(), format!("{WANTED}; this one does not parse: {e}")))?;
    match u64::try_from(span.as_millis()) {
        Ok(0) => Err(syn::Error::new(text.span(), "a duration here is at least 1ms")),
        Ok(millis) => Ok(millis),
        Err(_) => Err(syn::Error::new(text.span(), "this duration is too long to count in milliseconds")),
    }
}

fn memory(meta: &ParseNestedMeta) -> syn::Result<u64> {
    let (size, text) = size(meta)?;
    if (PAGE..=MAX_MEMORY).contains(&size) {
        Ok(size)
    } else {
        Err(syn::Error::new(text.span(), "memory is from 64KiB (one page) to 4GiB (all that 32 bits can address)"))
    }
}

fn scratch(meta: &ParseNestedMeta) -> syn::Result<u64> {
    let (size, text) = size(meta)?;
    grants::check_scratch(size).map_err(|e| syn::Error::new(text.span(), e))?;
    Ok(size)
}

fn size(meta: &ParseNestedMeta) -> syn::Result<(u64, LitStr)> {
    const WANTED: &str = "a size is text with a unit, such as \"64MiB\" or \"500KiB\"";
    let text = text(meta, WANTED)?;
    let size: ByteSize = text
        .value()
        .parse()
        .map_err(|e| syn::Error::new(text.span(), format!("{WANTED}; this one does not parse: {e}")))?;
    Ok((size.as_u64(), text))
}

/// A list of texts that passes a check.
fn list(meta: &ParseNestedMeta, check: impl Fn(&[&str]) -> Result<(), String>) -> syn::Result<Vec<String>> {
    let wanted = |at: &dyn ToTokens| syn::Error::new_spanned(at, "this is a list of texts, such as [\"one\", \"two\"]");
    let array = match meta.value()?.parse()? {
        Expr::Array(array) => array,
        other => return Err(wanted(&other)),
    };
    let text = |element: &Expr| match element {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text.value()),
        other => Err(wanted(other)),
    };
    let texts = array.elems.iter().map(text).collect::<syn::Result<Vec<_>>>()?;
    let words: Vec<_> = texts.iter().map(String::as_str).collect();
    check(&words).map_err(|e| syn::Error::new_spanned(&array, e))?;
    Ok(texts)
}

fn text(meta: &ParseNestedMeta, wanted: &str) -> syn::Result<LitStr> {
    match meta.value()?.parse()? {
        Lit::Str(text) => Ok(text),
        other => Err(syn::Error::new(other.span(), wanted)),
    }
}

fn number(meta: &ParseNestedMeta) -> syn::Result<LitInt> {
    match meta.value()?.parse()? {
        Lit::Int(number) => Ok(number),
        other => Err(syn::Error::new(other.span(), "this is a whole number, such as `5`")),
    }
}
