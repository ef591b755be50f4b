#![allow(unused_variables, reason = "nothing here runs, and only the errors matter")]

use afresh::{Context, task};

#[task]
async fn waits() {}

#[task]
fn chooses<T>(job: T) {}

#[task]
fn chooses_too(job: impl Clone) {}

#[task]
extern "C" fn foreign() {}

#[task]
fn borrows(job: &str) {}

#[task]
fn borrows_too(job: &[u8], ctx: &Context) {}

#[task]
fn owns_the_context(job: String, ctx: Context) {}

#[task]
fn wants_more(job: String, ctx: &Context, more: u32) {}

#[task]
struct Thing;

struct Service;

impl Service {
    #[task]
    fn method(&self) {}
}

fn main() {}
