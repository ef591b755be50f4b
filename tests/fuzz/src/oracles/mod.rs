//! What must hold, whatever the fuzzer's bytes are.
//!
//! * [`admission`]: a module is refused for a named reason, or it compiles
//! * [`attempt`]: an attempt ends in time, within its walls, as one outcome, and leaves nothing behind
//! * [`decoders`]: whatever reads bytes from outside does so without harm
//! * [`ledger`]: in the end every job has come to one end, and all is given back
//! * [`model`]: what a script of host calls must come to
//! * [`twins`]: a task does the same natively and as a guest

pub mod admission;
pub mod attempt;
pub mod decoders;
pub mod ledger;
pub mod model;
pub mod twins;
