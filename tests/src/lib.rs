//! What proves Afresh beyond its crates' own tests. There is no code here, only programs beside it:
//!
//! * `benches/memory`: what a failing task leaves in its worker and its broker, with the real Dramatiq beside it
//! * `benches/hostile`: what hostile guests cost those beside them, and how soon they are ended
//! * `benches/throughput`, `benches/latency`, `benches/producers`: how fast no-op jobs are, end to end, each of them, and when
//!   they are handed over; beside them `benches/probe`, which is what the machine can do at most
//! * `benches/scale`: what more jobs, modules, slots and keys cost
//! * `guests`: task modules in WebAssembly text, hostile and plain, each with what must become of it
//! * `harness` (a crate of its own): starts and ends the real redis-server and the real worker for every other test
//!
//! The tests stand where what they test stands: the brokers in `host/queue/tests`, the walls in `host/sandbox/tests`, the
//! worker and the command line in `host/tests`, the SDK in `guest-sdk/tests`.
