//! The brokers, proved from outside, each against real parts.
//!
//! * `subject`: a broker under test, its clock, and the short words the tests are written in
//! * `conformance`: every promise of the `Broker` trait, kept by each broker

mod conformance;
mod subject;
