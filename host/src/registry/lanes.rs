//! The threads that have modules compiled. Most modules take a moment; one that takes longer, because it is large or means
//! harm, is begun again in a lane of its own with all the time it may have, and holds up only its like.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use afresh_sandbox::ModuleInfo;
use crossbeam_channel::{Receiver, Sender};

use super::{Registry, Stamp};
use crate::compiler::Made;

/// The sentence for a module over which the worker itself stumbled.
pub(super) const PANICKED: &str = "the worker panicked over it; this is a bug in afresh, please report it";

/// A file to be compiled.
pub(super) struct Order {
    /// The file.
    pub(super) file: PathBuf,
    /// As it was when it was looked at.
    pub(super) stamp: Stamp,
    /// What it is.
    pub(super) info: ModuleInfo,
}

/// The ways in. The threads end when these are gone.
pub(super) struct Lanes {
    quick: Sender<Order>,
    slow: Sender<Order>,
}

/// The other ends, before anybody stands there.
pub(super) struct Entrances {
    quick: Receiver<Order>,
    slow: Receiver<Order>,
}

impl Lanes {
    /// Two lanes, closed as yet.
    pub(super) fn new() -> (Self, Entrances) {
        // Never long: a file waits in no more than one of them.
        let (quick, quick_orders) = crossbeam_channel::unbounded();
        let (slow, slow_orders) = crossbeam_channel::unbounded();
        (Self { quick, slow }, Entrances { quick: quick_orders, slow: slow_orders })
    }

    /// Takes a file to be compiled.
    pub(super) fn take(&self, order: Order) {
        // The other ends live for as long as this.
        let _ = self.quick.send(order);
    }
}

impl Entrances {
    /// Starts a thread for each lane.
    pub(super) fn open(self, registry: &Arc<Registry>) -> std::io::Result<()> {
        for (name, orders, haste) in [("afresh-compile", self.quick, true), ("afresh-compile-slow", self.slow, false)] {
            // Weak, because the registry holds the ways in.
            let registry = Arc::downgrade(registry);
            std::thread::Builder::new().name(name.into()).spawn(move || serve(&registry, &orders, haste))?;
        }
        Ok(())
    }
}

fn serve(registry: &Weak<Registry>, orders: &Receiver<Order>, haste: bool) {
    for order in orders {
        let Some(registry) = registry.upgrade() else { return };
        if !registry.awaits(&order) {
            continue;
        }
        let compile = || registry.compiler.compile(&order.file, &order.info, haste);
        match catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|_| Made::Refused(PANICKED.to_owned())) {
            Made::Ready(module) => registry.put(&order, Ok(module)),
            Made::Refused(why) => registry.put(&order, Err(why)),
            Made::Slow => {
                tracing::info!(file = %order.file.display(), "module takes long to compile; it comes when it is ready");
                let _ = registry.lanes.slow.send(order);
            }
        }
    }
}
