//! A `redis-server` of one's own: on a free port of 127.0.0.1, in a temporary folder, gone when it is dropped. It can be
//! killed, started again on the same port and data, and stopped in its tracks. `AFRESH_REDIS_SERVER` names another program
//! that is one, such as a `valkey-server`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{SOON, wait_until};

/// How often another port is tried, where somebody took ours between finding and using it.
const PORTS_TRIED: usize = 5;

/// The name of a configuration file.
const FILE: &str = "redis.conf";

/// A running server. Dropping it kills it and removes its folder.
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    /// What its configuration file holds, if it has one: a sentinel must.
    file: Option<String>,
    child: Child,
}

impl RedisServer {
    /// A server that keeps nothing on disk.
    ///
    /// # Panics
    /// If no `redis-server` is installed, or it does not start; the message says what to do.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// A server with these options, as on its command line: `&["--appendonly", "yes"]`.
    ///
    /// # Panics
    /// As for [`RedisServer::start`].
    pub fn start_with(options: &[&str]) -> Self {
        Self::start_on_a_port(|| options.iter().map(|&option| option.to_owned()).collect(), None)
    }

    /// A sentinel with these lines of configuration.
    pub(crate) fn start_sentinel(lines: &str) -> Self {
        Self::start_on_a_port(|| vec!["--sentinel".to_owned()], Some(lines.to_owned()))
    }

    /// A server with these options that may become part of a cluster.
    pub(crate) fn start_node(options: &[&str]) -> Self {
        let all = || {
            let bus = free_port().to_string();
            let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus];
            cluster.iter().chain(options).map(|&option| option.to_owned()).collect()
        };
        Self::start_on_a_port(all, None)
    }

    fn start_on_a_port(options: impl Fn() -> Vec<String>, file: Option<String>) -> Self {
        let folder = TempDir::with_prefix("afresh-redis-").expect("a temporary folder can be made");
        for _ in 0..PORTS_TRIED {
            let (port, options) = (free_port(), options());
            if let Some(lines) = &file {
                std::fs::write(folder.path().join(FILE), lines).expect("a configuration can be written");
            }
            let mut child = spawn(&folder, port, file.is_some(), &options);
            if answers(&mut child, port) {
                return Self { folder, port, options, file, child };
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("redis-server does not start; its log says:\n{}", log(&folder));
    }

    /// Where it is: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Its process, for measuring it from outside.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not been killed, nor ended by itself.
    pub fn is_up(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until its replicas have whatever it has acknowledged until now: a failover loses nothing of that.
    ///
    /// # Panics
    /// If it has no replica, or one falls behind for good.
    pub fn wait_for_replicas(&self) {
        let offset = |line: &str, name: &str| -> Option<u64> {
            line.split_once(name)?.1.split([',', '\r']).next()?.parse().ok()
        };
        let written = self.command("INFO replication").lines().find_map(|line| offset(line, "master_repl_offset:"));
        let written = written.expect("a server counts what it writes");
        let in_step = wait_until(SOON, || {
            let info = self.command("INFO replication");
            let mut replicas = info.lines().filter(|line| line.starts_with("slave")).peekable();
            replicas.peek().is_some()
                && replicas.all(|line| offset(line, "offset=").is_some_and(|read| read >= written))
        });
        assert!(in_step, "the replicas do not have everything: {}", self.command("INFO replication"));
    }

    /// Ends it by SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same port and with the same data; kills it first if it runs.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.folder, self.port, self.file.is_some(), &self.options);
        let up = answers(&mut self.child, self.port);
        assert!(up, "redis-server does not start again; its log says:\n{}", log(&self.folder));
    }

    /// Stops it in its tracks: connections stay open and get no answer.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends one command, words separated by spaces, over a connection of its own; answers what came back, raw.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn command(&self, command: &str) -> String {
        ask(self.port, command).unwrap_or_else(|error| panic!("redis-server does not answer {command}: {error}"))
    }

    /// The same of a server that may be gone, or slow.
    ///
    /// # Errors
    /// If it does not answer within some seconds.
    pub fn try_command(&self, command: &str) -> std::io::Result<String> {
        ask(self.port, command)
    }

    /// The folder that its data is in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a process id");
        kill_process(pid, signal).expect("the server still runs");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a listener has an address").port()
}

fn spawn(folder: &TempDir, port: u16, has_file: bool, options: &[String]) -> Child {
    let program = std::env::var_os("AFRESH_REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
    let result = Command::new(program)
        .args(has_file.then(|| folder.path().join(FILE)))
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--logfile", "redis.log", "--save", ""])
        .arg("--dir")
        .arg(folder.path())
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    match result {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!(
            "this test needs redis-server, 7.0 or newer, and there is none on the PATH: \
             `apt-get install redis-server`, `brew install redis`, or see https://redis.io/docs/install"
        ),
        Err(error) => panic!("redis-server cannot be run: {error}"),
    }
}

/// Waits until this very server answers (not another that took the port), even if only to ask for a password; false if
/// it ends first, or never answers.
fn answers(child: &mut Child, port: u16) -> bool {
    let ours = format!("process_id:{}\r\n", child.id());
    let mut up = false;
    let settled = wait_until(SOON, || {
        // INFO is answered while the data is still being loaded, PING is not.
        up = ask(port, "PING").is_ok_and(|pong| pong.starts_with("+PONG") || pong.starts_with("-NOAUTH"))
            && ask(port, "INFO server").is_ok_and(|info| info.contains(&ours) || info.starts_with("-NOAUTH"));
        up || matches!(child.try_wait(), Ok(Some(_)) | Err(_))
    });
    settled && up
}

fn ask(port: u16, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\n").as_bytes())?;
    let mut answer = [0; 64 * 1024];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}

fn log(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("redis.log")).unwrap_or_else(|_| "(nothing)".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_keeps_what_it_wrote_when_it_is_killed_and_restarted() {
        let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
        assert!(server.command("SET colour blue").starts_with("+OK"));
        server.kill();
        assert!(ask(server.port, "PING").is_err());
        server.restart();
        assert!(server.command("GET colour").contains("blue"));
    }

    #[test]
    fn a_paused_server_answers_again_when_it_is_resumed() {
        let server = RedisServer::start();
        server.pause();
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all(b"PING\r\n").unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        assert!(stream.read(&mut [0; 16]).is_err(), "it answered although it is stopped");
        server.resume();
        assert!(server.command("PING").starts_with("+PONG"));
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let server = RedisServer::start();
        let (port, path) = (server.port, server.folder.path().to_owned());
        drop(server);
        assert!(ask(port, "PING").is_err());
        assert!(!path.exists());
    }
}
