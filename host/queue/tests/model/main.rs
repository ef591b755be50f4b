//! The lease and settle protocol as a model that is checked, state by state, and held to the real brokers. What it says and
//! what it leaves out is in `docs/model.md`.
//!
//! * `state`: what the store remembers, what workers believe, and the truth
//! * `protocol`: the steps that can be taken
//! * `store`: what the broker does in them
//! * `promises`: what must be true in every state
//! * `healthy`: the protocol as it is keeps them
//! * `twins`: broken in one place, it does not
//! * `replay`, `real`, `path`, `server`: paths of the model, gone on the real brokers

mod healthy;
mod path;
mod promises;
mod protocol;
mod real;
mod replay;
mod server;
mod state;
mod store;
mod twins;
