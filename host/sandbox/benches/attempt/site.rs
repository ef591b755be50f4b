//! Ours and the limit, set up alike, and an attempt of each: warm and cold.

use afresh_sandbox::{Call, Cancel, Limits, Outcome, Sandbox, SandboxConfig, TaskModule, Watch};
use anyhow::{Error, bail, ensure};

use crate::bare::{Bare, BareModule, Settings};
use crate::cases::{Attempt, Round, THREADS};
use crate::guests::{ENVIRONMENT, Guest};

/// A sandbox, and bare wasmtime.
pub(crate) struct Site {
    sandbox: Sandbox,
    bare: Bare,
    limits: Limits,
}

/// What measures both.
pub(crate) type Compare<'a> = &'a mut dyn FnMut(Attempt<'_>, Attempt<'_>) -> anyhow::Result<Vec<Round>>;

impl Site {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let config = SandboxConfig { slots: THREADS, ..SandboxConfig::default() };
        let sandbox = Sandbox::new(&config)?;
        ensure!(sandbox.on_demand().is_none(), "there is no room for a pool, and that is what is measured");
        let settings = Settings {
            slots: THREADS as u32,
            max_memory: usize::try_from(config.max_memory)?,
            keep_resident: config.keep_resident,
            compatibility: sandbox.compatibility(),
        };
        Ok(Self { sandbox, bare: Bare::new(&settings).map_err(Error::msg)?, limits: Limits::default() })
    }

    /// The module is loaded before, once.
    pub(crate) fn warm(
        &self,
        guest: &Guest,
        payload: &'static [u8],
        compare: Compare<'_>,
    ) -> anyhow::Result<Vec<Round>> {
        let (ours, bare) = (self.sandbox.load(&guest.wasm)?, self.bare.load(&guest.wasm).map_err(Error::msg)?);
        compare(&|| self.run(&ours, payload), &|| run_bare(&bare, payload))
    }

    /// Each attempt loads its module first.
    #[expect(unsafe_code, reason = "loading code that was compiled here a moment ago")]
    pub(crate) fn cold(
        &self,
        guest: &Guest,
        payload: &'static [u8],
        compare: Compare<'_>,
    ) -> anyhow::Result<Vec<Round>> {
        let info = self.sandbox.check(&guest.wasm)?;
        let (ours, bare) = (self.sandbox.compile(&guest.wasm)?, self.bare.compile(&guest.wasm).map_err(Error::msg)?);
        let ours = || {
            // SAFETY: it is what `compile` answered.
            let module = unsafe { self.sandbox.load_compiled(info.clone(), &ours) }?;
            self.run(&module, payload)
        };
        let bare = || {
            // SAFETY: as above.
            let module = unsafe { self.bare.load_compiled(&bare) }.map_err(Error::msg)?;
            run_bare(&module, payload)
        };
        compare(&ours, &bare)
    }

    /// With all that a worker hands to an attempt.
    fn run(&self, module: &TaskModule, payload: &[u8]) -> anyhow::Result<()> {
        let call = Call {
            task: "no_op".into(),
            payload: payload.to_vec(),
            env: ENVIRONMENT.into(),
            watch: Some(Watch::new(64 << 10)),
            ..Call::default()
        };
        match self.sandbox.run(module, call, &self.limits, &Cancel::new())?.outcome {
            Outcome::Succeeded(reply) => is_same(&reply, payload),
            outcome => bail!("an attempt ended as {}", outcome.kind()),
        }
    }
}

fn run_bare(module: &BareModule, payload: &'static [u8]) -> anyhow::Result<()> {
    is_same(&module.run(payload).map_err(Error::msg)?, payload)
}

fn is_same(reply: &[u8], payload: &[u8]) -> anyhow::Result<()> {
    ensure!(reply == payload, "an attempt replied {} bytes that are not its payload", reply.len());
    Ok(())
}
