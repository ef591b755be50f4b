//! What makes time pass for guests: a thread that advances the engines' epoch while anything runs. At each step every
//! running guest looks at its deadline and its cancel flag.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

use crate::slots::Slots;

/// How late a guest may learn that its time is over.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest after which the thread goes to sleep: going to sleep after each attempt would cost
/// every short attempt a wake-up.
const IDLE_TICKS: u32 = 50;

/// The owner of the thread; the thread ends with it. It is an OS thread of its own, since a spinning guest can hold up
/// the timers of an async runtime.
pub(crate) struct Ticker(Arc<Shared>);

struct Shared {
    /// Weak, so that the ticker never keeps an engine and its reservations alive.
    engines: Mutex<Vec<EngineWeak>>,
    /// Who has a slot runs. Nothing more is counted for each attempt: threads that count together wait for each other.
    slots: Arc<Slots>,
    asleep: AtomicBool,
    closed: AtomicBool,
    changed: Condvar,
}

impl Ticker {
    /// Starts the thread. The epoch advances while any of these slots is taken.
    pub(crate) fn start(slots: Arc<Slots>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            engines: Mutex::default(),
            slots,
            asleep: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            changed: Condvar::new(),
        });
        let theirs = shared.clone();
        thread::Builder::new().name("afresh-ticker".to_owned()).spawn(move || theirs.run())?;
        Ok(Self(shared))
    }

    /// Lets the epoch of `engine` advance as well.
    pub(crate) fn add(&self, engine: &Engine) {
        self.0.engines().push(engine.weak());
    }

    /// To be called by who has just taken a slot.
    pub(crate) fn slot_taken(&self) {
        // A slot is taken under the lock under which the thread looks at them, after it has said that it sleeps: so either it
        // sees that one is taken, or we see that it sleeps.
        if self.0.asleep.load(Ordering::SeqCst) {
            self.0.wake();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.wake();
    }
}

impl Shared {
    fn run(&self) {
        let mut idle = 0;
        while !self.closed.load(Ordering::SeqCst) {
            idle = if self.slots.taken() > 0 { 0 } else { idle + 1 };
            if idle > IDLE_TICKS {
                self.sleep();
                idle = 0;
            }
            self.engines().retain(|engine| engine.upgrade().inspect(|engine| engine.increment_epoch()).is_some());
            thread::sleep(TICK);
        }
    }

    fn sleep(&self) {
        let mut engines = self.engines();
        self.asleep.store(true, Ordering::SeqCst);
        while self.slots.taken() == 0 && !self.closed.load(Ordering::SeqCst) {
            engines = self.changed.wait(engines).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    fn wake(&self) {
        // Under the lock, so that the notice cannot fall between the thread's look and its wait.
        let _engines = self.engines();
        self.changed.notify_all();
    }

    fn engines(&self) -> MutexGuard<'_, Vec<EngineWeak>> {
        // A list of weak handles cannot be left half-written.
        self.engines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
