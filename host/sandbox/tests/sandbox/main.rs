//! The sandbox, used as the host uses it, against guests that mean harm.

mod bulk;
mod cancel;
mod files;
mod guests;
mod outbox;
mod refusals;
mod script;
mod secrets;
mod state;
mod support;
mod watch;
