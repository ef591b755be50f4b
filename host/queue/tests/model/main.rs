//! The lease and settle protocol as a model that is checked, state by state. What it says and what it leaves out is
//! in `docs/model.md`.
//!
//! * `state`: what the store remembers, what workers believe, and the truth
//! * `protocol`: the steps that can be taken
//! * `store`: what the broker does in them
//! * `promises`: what must be true in every state
//! * `healthy`: the protocol as it is keeps them
//! * `twins`: broken in one place, it does not

mod healthy;
mod promises;
mod protocol;
mod state;
mod store;
mod twins;
