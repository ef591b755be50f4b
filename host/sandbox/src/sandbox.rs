//! The sandbox itself: one for a process, shared by its threads.

use std::any::Any;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use afresh_protocol::Outcome;

use crate::attempt;
use crate::cancel::Cancel;
use crate::check::{ModuleInfo, check};
use crate::engine::{Core, Metering, SandboxConfig};
use crate::error::{ModuleError, SandboxError, bounded};
use crate::limits::Limits;
use crate::module::{Artifact, TaskModule};
use crate::report::{Call, Report};
use crate::slots::Slots;
use crate::survey::survey;
use crate::ticker::Ticker;

/// Runs task modules, each attempt in a fresh instance. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    config: SandboxConfig,
    core: Core,
    /// Made when the first task asks for fuel. An error stays, since nothing about the machine will have changed.
    metered: OnceLock<Result<Core, String>>,
    slots: Arc<Slots>,
    ticker: Ticker,
}

/// What the sandbox holds at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Slots that have an attempt.
    pub slots: usize,
    /// Instances that live in the pools. Where there is no pool, 0.
    pub instances: u64,
    /// Linear memories that live in the pools. Where there is no pool, 0.
    pub memories: usize,
}

impl Sandbox {
    /// Sets up the engine, its pool of instances and the thread that makes time pass for guests.
    ///
    /// # Errors
    /// When the machine refuses the engine or the thread.
    pub fn new(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let config = SandboxConfig { slots: config.slots.max(1), ..config.clone() };
        let core = Core::new(&config, Metering::Off)?;
        let slots = Arc::new(Slots::new(config.slots));
        let ticker = Ticker::start(slots.clone())
            .map_err(|e| SandboxError::Engine(format!("its ticker does not start: {e}")))?;
        ticker.add(&core.engine);
        Ok(Self(Arc::new(Inner { config, core, metered: OnceLock::new(), slots, ticker })))
    }

    /// Why instances are made one by one, about three times slower, instead of coming from a pool; `None` where there is
    /// a pool. The usual reason is a limit on address space.
    pub fn on_demand(&self) -> Option<&str> {
        self.0.core.on_demand.as_deref()
    }

    /// What is in use now: all zero when no attempt runs.
    pub fn in_use(&self) -> InUse {
        let metered = self.0.metered.get().and_then(|core| core.as_ref().ok());
        let mut in_use = InUse { slots: self.0.slots.taken(), ..InUse::default() };
        for core in [Some(&self.0.core), metered].into_iter().flatten() {
            if let Some(metrics) = core.engine.pooling_allocator_metrics() {
                in_use.instances += metrics.core_instances();
                in_use.memories += metrics.memories();
            }
        }
        in_use
    }

    /// Proves that time limits work on this machine: a module that loops for ever must end at its deadline.
    ///
    /// # Errors
    /// When it does not end, within ten seconds, as it should.
    pub fn self_test(&self) -> Result<(), SandboxError> {
        let failed = |text: String| SandboxError::SelfTest(text);
        let module = self.load(LOOP).map_err(|e| failed(e.to_string()))?;
        let (sandbox, (done, ended)) = (self.clone(), mpsc::channel());
        let limits = Limits { timeout: Duration::from_millis(5), ..Limits::default() };
        // On a thread of its own, because the fault that is looked for is that it never comes back.
        let test = move || {
            // Nobody listens any more only when the time for this was up.
            done.send(sandbox.run(&module, Call::default(), &limits, &Cancel::new())).ok();
        };
        let thread = thread::Builder::new().name("afresh-self-test".to_owned()).spawn(test);
        thread.map_err(|e| failed(e.to_string()))?;
        match ended.recv_timeout(Duration::from_secs(10)) {
            Ok(Ok(Report { outcome: Outcome::TimedOut(_), .. })) => Ok(()),
            Ok(Ok(report)) => Err(failed(format!("it ended as {}", report.outcome.kind()))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("it still runs after ten seconds".to_owned())),
        }
    }

    /// Checks, compiles and links a module in this process. Counts fuel if one of its tasks asks for that.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn load(&self, wasm: &[u8]) -> Result<TaskModule, ModuleError> {
        self.load_as(wasm, None)
    }

    /// Like [`Sandbox::load`], for a module that is to run with a fuel limit of the operator's. Its code is slower.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn load_metered(&self, wasm: &[u8]) -> Result<TaskModule, ModuleError> {
        self.load_as(wasm, Some(Metering::Fuel))
    }

    /// Checks and compiles a module into bytes for [`Sandbox::load_compiled`]. Meant for a child process: compiling can
    /// take much memory, and with a child it all goes back to the system.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let metering = metering(&check(wasm)?);
        Artifact::compile(self.core(metering)?, metering, wasm)
    }

    /// Like [`Sandbox::compile`], for a module that is to run with a fuel limit of the operator's.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn compile_metered(&self, wasm: &[u8]) -> Result<Vec<u8>, ModuleError> {
        check(wasm)?;
        Artifact::compile(self.core(Metering::Fuel)?, Metering::Fuel, wasm)
    }

    /// Links the code that [`Sandbox::compile`] made of the module of which [`Sandbox::survey`] answered `info`.
    ///
    /// # Errors
    /// When the code belongs to another module, another version of afresh or another kind of machine; see [`ModuleError`].
    ///
    /// # Safety
    /// `compiled` is run as native code. It must be what [`Sandbox::compile`] answered, unchanged: take it from a child of
    /// this process or from a folder that nobody else can write to, never from a user, a broker or a network.
    #[expect(unsafe_code, reason = "loading native code; the caller vouches for where it comes from")]
    pub unsafe fn load_compiled(&self, info: ModuleInfo, compiled: &[u8]) -> Result<TaskModule, ModuleError> {
        let artifact = Artifact::parse(compiled, &info.digest)?;
        let core = self.core(artifact.metering)?;
        // SAFETY: passed on to our caller.
        unsafe { TaskModule::from_code(core, artifact.metering, info, artifact.code) }
    }

    /// A number that only changes when code which was compiled before can no longer be used.
    pub fn compatibility(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.core.engine.precompile_compatibility_hash().hash(&mut hasher);
        hasher.finish()
    }

    /// Runs a module once, in a fresh instance, on this thread; blocks until the attempt is over. Where all slots are
    /// taken it waits for one first; the guest's clock starts after that. The thread's stack should have 2 MiB.
    ///
    /// # Errors
    /// Only what is our fault, never what the guest did; see [`SandboxError`].
    pub fn run(
        &self,
        module: &TaskModule,
        call: Call,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Report, SandboxError> {
        let _slot = match self.0.slots.take(cancel) {
            Ok(slot) => slot,
            Err(reason) => return Ok(attempt::never_started(reason)),
        };
        self.0.ticker.slot_taken();
        catch_unwind(AssertUnwindSafe(|| attempt::run(module, call, limits, cancel)))
            .unwrap_or_else(|panic| Err(SandboxError::Panicked(panic_text(&*panic))))
    }

    fn load_as(&self, wasm: &[u8], asked: Option<Metering>) -> Result<TaskModule, ModuleError> {
        let info = self.check(wasm)?;
        let metering = asked.unwrap_or_else(|| metering(&info));
        TaskModule::compile(self.core(metering)?, metering, info, wasm)
    }

    /// [`check`], and that the module's memory fits into this sandbox at all.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn check(&self, wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
        self.fits(check(wasm)?)
    }

    /// [`survey`], and that the module's memory fits into this sandbox at all.
    ///
    /// # Errors
    /// When the module is refused; see [`ModuleError`].
    pub fn survey(&self, wasm: &[u8]) -> Result<ModuleInfo, ModuleError> {
        self.fits(survey(wasm)?)
    }

    fn fits(&self, info: ModuleInfo) -> Result<ModuleInfo, ModuleError> {
        let cap = self.0.config.max_memory;
        if info.initial_memory > cap {
            return Err(ModuleError::TooLarge(format!(
                "it starts with {} bytes of memory, this host gives at most {cap}",
                info.initial_memory
            )));
        }
        Ok(info)
    }

    fn core(&self, metering: Metering) -> Result<&Core, ModuleError> {
        if metering == Metering::Off {
            return Ok(&self.0.core);
        }
        let made = self.0.metered.get_or_init(|| {
            let core = Core::new(&self.0.config, Metering::Fuel).map_err(|e| e.to_string())?;
            self.0.ticker.add(&core.engine);
            Ok(core)
        });
        made.as_ref().map_err(|e| ModuleError::Compile(format!("failed to {e}")))
    }
}

fn metering(info: &ModuleInfo) -> Metering {
    if info.asks_for_fuel() { Metering::Fuel } else { Metering::Off }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    bounded(text.or(panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message"))
}

/// `(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))`
const LOOP: &[u8] = b"\0asm\x01\0\0\0\
    \x01\x04\x01\x60\0\0\
    \x03\x02\x01\0\
    \x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\
    \x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";
