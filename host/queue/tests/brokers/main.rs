//! The brokers, proved from outside, each against real parts.
//!
//! * `subject`: a broker under test, its clock, and the short words the tests are written in
//! * `conformance`: every promise of the `Broker` trait, kept by each broker
//! * `differential`: one random history on two brokers, compared after every step
//! * `sqlite`: what only the embedded broker promises
//! * `client`: what a producer meets

mod client;
mod conformance;
mod differential;
mod sqlite;
mod subject;
