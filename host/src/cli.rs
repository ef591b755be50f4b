//! The command line: parses and dispatches, one file a verb. Whatever is worth testing is not in here.

use std::process::ExitCode;
use std::sync::Arc;

use afresh_queue::{Broker, BrokerUrl, Clock};
use afresh_sandbox::ENGINE;
use anyhow::Context as _;
use clap::builder::BoolishValueParser;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::compiler::COMPILE_VERB;
use crate::config::Config;
use crate::telemetry;

mod act;
mod batch;
mod build;
mod cancel;
mod compile_module;
mod completions;
mod config;
mod cron;
mod dead;
mod dev;
mod doctor;
mod enqueue;
mod fuzz;
#[doc(hidden)]
pub mod fuzzing;
mod handle;
mod hold;
mod inspect;
mod job;
mod limit;
mod log;
mod man;
mod module_file;
mod new;
pub mod output;
mod page;
mod pause;
pub mod payload;
mod queue;
mod report;
mod run;
mod scope;
mod selection;
mod walls;
mod worker;
mod workers;

pub use output::Output;
use output::escaped;
pub use payload::Payload;

/// Runs background jobs, each attempt in a fresh WebAssembly instance.
#[derive(Parser)]
#[command(name = "afresh", version = version(), propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    verb: Verb,
}

/// The flags every verb takes.
#[derive(Args, Clone)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Where jobs are kept: sqlite:PATH, or redis://…, redis+sentinel://… or redis+cluster://…, with rediss for TLS
    /// [default: sqlite:.afresh/jobs.db]
    #[arg(long, global = true, value_name = "URL", env = "AFRESH_BROKER", hide_env_values = true)]
    pub broker: Option<String>,
    /// Print JSON instead of text for people
    #[arg(long, global = true, env = "AFRESH_JSON", value_parser = BoolishValueParser::new())]
    pub json: bool,
    /// The configuration file [default: afresh.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "AFRESH_CONFIG")]
    pub config: Option<std::path::PathBuf>,
    /// Say more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Human, env = "AFRESH_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For a person at a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand)]
enum Verb {
    New(new::Args),
    Build(build::Args),
    Run(run::Args),
    Fuzz(fuzz::Args),
    Inspect(inspect::Args),
    Dev(dev::Args),
    Worker(worker::Args),
    Enqueue(Box<enqueue::Args>),
    Batch(batch::Args),
    Job(job::Args),
    Dead(dead::Args),
    Queue(queue::Args),
    Limit(limit::Args),
    Cron(cron::Args),
    Workers(workers::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Completions(completions::Args),
    Man(man::Args),
    #[command(name = COMPILE_VERB, hide = true)]
    CompileModule(compile_module::Args),
}

impl Verb {
    /// What the log says where nobody asks for more or less.
    fn usual_log(&self) -> &'static str {
        match self {
            // It prints a table of what became of each job, and some are meant to fail.
            Self::Dev(_) => "warn,afresh_host::worker::settler=off",
            _ => "info",
        }
    }
}

/// What a verb works with: the common flags and the configuration they lead to.
pub struct Session {
    /// The common flags.
    pub common: Common,
    /// The configuration: file over defaults. Flags win over it, in each verb.
    pub config: Config,
    /// Where results are printed.
    pub output: Output,
    broker: BrokerUrl,
}

impl Session {
    /// Reads the configuration that the common flags lead to.
    ///
    /// # Errors
    /// When the configuration or the broker's URL is not valid.
    fn new(common: Common) -> anyhow::Result<Self> {
        let config = Config::load(common.config.as_deref())?;
        let output = Output::new(common.json);
        // Parsed here and not by clap, whose error would show the URL as it was written, with its password.
        let broker = common.broker.as_deref().map(str::parse).transpose();
        let broker = broker.map_err(|reason| Usage(format!("--broker: {reason}")))?;
        let broker = broker.unwrap_or_else(|| config.broker.clone());
        Ok(Self { common, config, output, broker })
    }

    /// The broker's address: flag or environment, then file, then default.
    pub fn broker_url(&self) -> BrokerUrl {
        self.broker.clone()
    }

    /// Opens the broker. A Redis that is not there yet is no error here; the first call says so.
    ///
    /// # Errors
    /// When the broker can never serve, with what to do.
    pub async fn open_broker(&self) -> anyhow::Result<Arc<dyn Broker>> {
        let url = self.broker_url();
        afresh_queue::open(&url, Clock::Broker).await.with_context(|| format!("failed to open the broker {url}"))
    }
}

/// The whole program: 0 when it was done, 1 when it failed, 2 when it was called wrongly.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    telemetry::start(&cli.common, cli.verb.usual_log());
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // It may quote a module, a file's name or a broker.
            eprintln!("error: {}", escaped(&format!("{error:#}")));
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

/// Says what is wrong with the command line (or prints the help that was asked for), and ends the program. The parser
/// repeats what it was given, and that may come from anywhere: `afresh job ls --json | jq … | xargs afresh job show`.
fn refuse(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    if escaped(&text) == text {
        error.exit();
    }
    eprint!("{}", escaped(&text));
    std::process::exit(error.exit_code())
}

/// The command was given wrongly in a way the parser cannot see; ends the program with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Our version, and that of what runs guests.
fn version() -> String {
    format!("{} ({ENGINE})", env!("CARGO_PKG_VERSION"))
}

/// The command line as people see it, for the manual and the shells: without the hidden verbs.
fn command() -> clap::Command {
    let whole = Cli::command();
    let (arguments, verbs) =
        (whole.get_arguments().cloned(), whole.get_subcommands().filter(|verb| !verb.is_hide_set()));
    let about = whole.get_about().cloned().unwrap_or_default();
    clap::Command::new("afresh")
        .version(version())
        .propagate_version(true)
        .about(about)
        .subcommand_required(true)
        .args(arguments)
        .subcommands(verbs.cloned())
}

fn run(Cli { common, verb }: Cli) -> anyhow::Result<ExitCode> {
    let output = Output::new(common.json);
    let quiet = common.quiet;
    // Made by the verbs that need it: the others must work where the operator's file is wrong.
    let session = || Session::new(common);
    match verb {
        Verb::New(args) => new::run(output, args),
        Verb::Build(args) => build::run(output, quiet, args),
        Verb::Run(args) => run::run(&session()?, args),
        Verb::Fuzz(args) => fuzz::run(&session()?, &args),
        Verb::Inspect(args) => inspect::run(&session()?, args),
        Verb::Dev(args) => dev::run(&session()?, &args),
        Verb::Worker(args) => worker::run(&session()?, &args),
        Verb::Enqueue(args) => enqueue::run(&session()?, *args),
        Verb::Batch(args) => batch::run(&session()?, args),
        Verb::Job(args) => job::run(&session()?, args),
        Verb::Dead(args) => dead::run(&session()?, args),
        Verb::Queue(args) => queue::run(&session()?, args),
        Verb::Limit(args) => limit::run(&session()?, args),
        Verb::Cron(args) => cron::run(&session()?, args),
        Verb::Workers(args) => workers::run(&session()?, &args),
        Verb::Doctor(args) => doctor::run(&session()?, args),
        Verb::Config(args) => config::run(output, args),
        Verb::Completions(args) => completions::run(args),
        Verb::Man(args) => man::run(args),
        Verb::CompileModule(args) => compile_module::run(&args),
    }
}

/// Runs a verb's future; the verbs that only talk to a broker need no more than this thread.
pub fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(future)
}
