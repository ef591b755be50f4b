//! Workers, network and store of one run, and what is done to them.

use std::thread::sleep;
use std::time::Duration;

use afresh_harness::{Behaviour, Proxy};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::Signal;

use crate::faults::{Fault, Kind};
use crate::fleet::{Fleet, Setting};
use crate::ledger::{Us, now};
use crate::store::{Store, StoreKind};

/// Everything that can be hit.
pub struct Site {
    kind: StoreKind,
    pub store: Store,
    pub fleet: Fleet,
    /// Between the producers and the store.
    pub proxy: Option<Proxy>,
    pub faults: Vec<Fault>,
    random: StdRng,
    /// When the fault began, if there was something to wait for before.
    began: Option<Us>,
    /// When it was over for workers, if that was before all was as it had been.
    over: Option<Us>,
    /// What it came to, where it could not be done.
    instead: Option<Kind>,
}

impl Site {
    /// A store and its workers.
    ///
    /// # Errors
    /// If one of them does not start.
    pub fn start(kind: StoreKind, setting: Setting, random: StdRng) -> anyhow::Result<Self> {
        crate::guests::write(&setting.folder.join("tasks"))?;
        let store = Store::start(kind)?;
        let proxy = store.address().map(Proxy::start);
        let mut site = Self {
            kind,
            store,
            fleet: Fleet::new(setting),
            proxy,
            faults: Vec::new(),
            random,
            began: None,
            over: None,
            instead: None,
        };
        site.keep_up()?;
        Ok(site)
    }

    /// Starts the workers that are missing, some of them with a clock that is wrong.
    ///
    /// # Errors
    /// If one has ended by itself.
    pub fn keep_up(&mut self) -> anyhow::Result<()> {
        let random = &mut self.random;
        // Processes on one file share a machine, and so its clock.
        let server = matches!(self.store, Store::Server(_));
        let skew = || if server { [0, 30, -30][random.random_range(0..3)] } else { 0 };
        for (life, skew) in self.fleet.keep_up(&self.store, skew)? {
            if skew != 0 {
                self.faults.push(Fault {
                    kind: Kind::ClockSkewed,
                    from: now(),
                    until: now(),
                    life: Some(life),
                    tail: 0,
                });
            }
        }
        Ok(())
    }

    /// Does something at random, and sees to it that all are up again; answers what it was.
    ///
    /// # Errors
    /// If that cannot be done, or a worker has ended that nobody touched.
    pub fn strike(&mut self) -> anyhow::Result<Fault> {
        let kind = self.choose();
        let from = now();
        let life = self.inflict(kind)?;
        self.keep_up()?;
        let kind = self.instead.take().unwrap_or(kind);
        let (from, until) = (self.began.take().unwrap_or(from), self.over.take().unwrap_or_else(now));
        let fault = Fault { kind, from, until, life, tail: kind.tail(self.kind) };
        self.faults.push(fault.clone());
        Ok(fault)
    }

    fn choose(&mut self) -> Kind {
        let kinds: &[(Kind, u32)] = match self.store {
            Store::Server(_) => &Kind::SERVER,
            Store::File(..) => &Kind::EMBEDDED,
        };
        let mut at = self.random.random_range(0..kinds.iter().map(|(_, weight)| weight).sum());
        let found = kinds.iter().find(|(_, weight)| {
            let here = at < *weight;
            at = at.wrapping_sub(*weight);
            here
        });
        found.map_or(Kind::WorkerKilled, |(kind, _)| *kind)
    }

    /// Does it; answers the one worker that it hit, if it was one.
    fn inflict(&mut self, kind: Kind) -> anyhow::Result<Option<usize>> {
        let place = self.random.random_range(0..self.fleet.workers.len());
        let life = Some(self.fleet.workers[place].life);
        match kind {
            Kind::WorkerKilled => self.fleet.take(place)?.kill(),
            Kind::FleetKilled => {
                self.fleet.kill()?;
                return Ok(None);
            }
            Kind::WorkerStopped => {
                self.fleet.workers[place].signal(Signal::STOP);
                sleep(self.span(3_500..7_000));
                self.fleet.workers[place].signal(Signal::CONT);
                // It may have held the file's lock, and then nobody else got on either.
                return Ok(life.filter(|_| matches!(self.store, Store::Server(_))));
            }
            Kind::WorkerTerminated => {
                let worker = self.fleet.take(place)?;
                worker.signal(Signal::TERM);
                worker.wait()?;
            }
            Kind::FleetRestarted => {
                for _ in 0..self.fleet.workers.len() {
                    let worker = self.fleet.take(0)?;
                    worker.signal(Signal::TERM);
                    worker.wait()?;
                    self.keep_up()?;
                }
                return Ok(None);
            }
            Kind::LinkCut | Kind::LinkSlow | Kind::LinkTorn | Kind::LinkSilent => {
                self.disturb(kind, place);
            }
            _ => {
                self.harm_store(kind)?;
                return Ok(None);
            }
        }
        Ok(life)
    }

    /// Disturbs the network of one worker.
    fn disturb(&mut self, kind: Kind, place: usize) {
        let (behaviour, span) = match kind {
            Kind::LinkSlow => (Behaviour::Delay(self.span(50..400)), self.span(2_000..4_000)),
            Kind::LinkTorn => (Behaviour::Truncate, self.span(200..1_500)),
            Kind::LinkSilent => (Behaviour::Silent, self.span(3_500..8_000)),
            _ => (Behaviour::Pass, Duration::ZERO),
        };
        let Some(proxy) = &self.fleet.workers[place].proxy else { return };
        if behaviour == Behaviour::Pass {
            return proxy.cut();
        }
        proxy.behave(behaviour);
        sleep(span);
        proxy.behave(Behaviour::Pass);
    }

    fn harm_store(&mut self, kind: Kind) -> anyhow::Result<()> {
        let (short, long) = (self.span(200..2_000), self.span(1_000..7_000));
        let pair = self.store.servers()?;
        match kind {
            Kind::StoreKilled => pair.crash(short),
            Kind::StoreStopped => pair.stop(long),
            Kind::StorePaused => {
                pair.tell(&format!("CLIENT PAUSE {} ALL", long.as_millis()))?;
                sleep(long);
            }
            Kind::ClientsKilled => drop(pair.tell("CLIENT KILL TYPE normal")?),
            Kind::MemoryFull => pair.fill_memory(short)?,
            Kind::DiskFull => pair.fill_disk(short)?,
            Kind::ScriptsForgotten => drop(pair.tell("SCRIPT FLUSH")?),
            Kind::FailoverPlanned | Kind::FailoverSudden => return self.fail_over(kind, short),
            _ => {
                self.fleet.proxies().for_each(|proxy| proxy.behave(Behaviour::Silent));
                sleep(long);
                self.fleet.proxies().for_each(|proxy| proxy.behave(Behaviour::Pass));
            }
        }
        Ok(())
    }

    fn fail_over(&mut self, kind: Kind, down: Duration) -> anyhow::Result<()> {
        let pair = self.store.servers()?;
        // After the last one it may still be fetching all there is.
        let in_step = pair.in_step()?;
        if kind == Kind::FailoverPlanned {
            if !pair.hand_over()? {
                self.instead = Some(Kind::StorePaused);
                return Ok(());
            }
        } else {
            pair.fail_over()?;
            self.began = Some(in_step);
        }
        let address = pair.primary.address();
        self.fleet.proxies().chain(&self.proxy).for_each(|proxy| proxy.repoint(address));
        self.over = Some(now());
        if kind == Kind::FailoverSudden {
            sleep(down);
            self.store.servers()?.bring_back()?;
        }
        Ok(())
    }

    fn span(&mut self, millis: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(millis))
    }

    /// A calm between two faults.
    pub fn calm(&mut self) {
        sleep(self.span(300..1_800));
    }
}

/// How long it took, after each fault was over, until a job was settled: the longest, of each kind.
pub fn recoveries(faults: &[Fault], mut settled: Vec<Us>) -> Vec<(Kind, Us)> {
    settled.sort_unstable();
    let after = |fault: &Fault| {
        let next = settled[settled.partition_point(|at| *at < fault.until)..].first()?;
        Some((fault.kind, next - fault.until))
    };
    let done = faults.iter().filter(|fault| fault.kind.is_done());
    let mut all: Vec<_> = done.filter_map(after).collect();
    all.sort_by_key(|(kind, span)| (*kind, std::cmp::Reverse(*span)));
    all.dedup_by_key(|(kind, _)| *kind);
    all
}
