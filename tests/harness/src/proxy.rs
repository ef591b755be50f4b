//! A proxy between programs and a server, for the faults of a network: it cuts connections, makes what passes late, holds it
//! back without a word, or breaks off in the middle of an answer; and it can be told that the server has moved.
//!
//! What it holds back it delivers when the fault is over, as TCP would: a call that its caller gave up long ago is carried
//! out then.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A running proxy on a free port of 127.0.0.1. Dropping it cuts its connections and frees the port.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// What a proxy does with what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Passes it on.
    Pass,
    /// Passes it on so much later, each way.
    Delay(Duration),
    /// Passes nothing on, and says nothing: connections stay open, and new ones are accepted.
    Silent,
    /// Passes half of the server's next answer on, then cuts that connection.
    Truncate,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    upstream: SocketAddr,
    behaviour: Behaviour,
    /// The two ends of each connection, to cut it by.
    open: Vec<(u64, [TcpStream; 2])>,
    arrivals: Vec<Instant>,
    closed: bool,
}

impl Proxy {
    /// A proxy before this server.
    ///
    /// # Panics
    /// If no port is free.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let state =
            State { upstream, behaviour: Behaviour::Pass, open: Vec::new(), arrivals: Vec::new(), closed: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let own = shared.clone();
        thread::spawn(move || accept(&listener, &own));
        Self { address, shared }
    }

    /// Where programs find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
        self.shared.changed.notify_all();
    }

    /// Cuts every connection; new ones are welcome.
    pub fn cut(&self) {
        for (_, ends) in self.shared.lock().open.drain(..) {
            close(&ends);
        }
    }

    /// The server is here from now on; cuts every connection to where it was.
    pub fn repoint(&self, upstream: SocketAddr) {
        self.shared.lock().upstream = upstream;
        self.cut();
    }

    /// When connections were asked for, in order.
    pub fn arrivals(&self) -> Vec<Instant> {
        self.shared.lock().arrivals.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.behave(Behaviour::Pass);
        self.cut();
        // So that the thread that accepts looks up.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while nothing passes; answers what to do with what has come.
    fn passes(&self) -> Behaviour {
        let state = self.lock();
        let waited = self.changed.wait_while(state, |state| state.behaviour == Behaviour::Silent);
        waited.unwrap_or_else(PoisonError::into_inner).behaviour
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (number, client) in (0..).zip(listener.incoming()) {
        let upstream = {
            let mut state = shared.lock();
            if state.closed {
                return;
            }
            state.arrivals.push(Instant::now());
            state.upstream
        };
        // A server that cannot be reached: the client sees its connection end.
        let (Ok(client), Ok(server)) = (client, TcpStream::connect(upstream)) else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let clones = || {
            Some((
                [client.try_clone().ok()?, server.try_clone().ok()?],
                client.try_clone().ok()?,
                server.try_clone().ok()?,
            ))
        };
        let Some((ends, to_client, to_server)) = clones() else { continue };
        {
            let mut state = shared.lock();
            // The server has moved while this connected to where it was, and what led there was cut before this was known.
            if state.closed || state.upstream != upstream {
                continue;
            }
            state.open.push((number, ends));
        }
        for (from, to, answers) in [(client, to_server, false), (server, to_client, true)] {
            let shared = shared.clone();
            thread::spawn(move || {
                pump(from, to, answers, &shared);
                shared.lock().open.retain(|(open, ends)| {
                    *open != number || {
                        close(ends);
                        false
                    }
                });
            });
        }
    }
}

/// Passes bytes on in one direction until the connection ends.
fn pump(mut from: TcpStream, mut to: TcpStream, answers: bool, shared: &Shared) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let length = match from.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        let truncated = match shared.passes() {
            Behaviour::Delay(span) => {
                thread::sleep(span);
                false
            }
            Behaviour::Truncate => answers,
            Behaviour::Pass | Behaviour::Silent => false,
        };
        let passed = if truncated { length / 2 } else { length };
        if to.write_all(&bytes[..passed]).is_err() || truncated {
            return;
        }
    }
}

fn close(ends: &[TcpStream; 2]) {
    for end in ends {
        let _ = end.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RedisServer;

    fn ask(stream: &mut TcpStream) -> std::io::Result<String> {
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0; 16];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_read_timeout(Some(crate::SOON)).unwrap();
        stream
    }

    #[test]
    fn what_passes_is_cut_held_back_and_broken_off_as_it_is_told() {
        let server = RedisServer::start();
        let proxy = Proxy::start(server.address());
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), "+PONG\r\n");

        proxy.behave(Behaviour::Silent);
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(ask(&mut stream).is_err(), "it answers although it is silent");
        proxy.behave(Behaviour::Pass);
        stream.set_read_timeout(Some(crate::SOON)).unwrap();
        assert_eq!(stream.read(&mut [0; 7]).unwrap(), 7, "what was held back comes when the fault is over");

        proxy.behave(Behaviour::Delay(Duration::from_millis(50)));
        let asked = Instant::now();
        assert_eq!(ask(&mut stream).unwrap(), "+PONG\r\n");
        assert!(asked.elapsed() >= Duration::from_millis(100), "late, each way");

        proxy.behave(Behaviour::Truncate);
        assert_eq!(ask(&mut stream).unwrap(), "+PO");
        assert!(matches!(stream.read(&mut [0; 16]), Ok(0) | Err(_)), "and nothing after it");

        proxy.behave(Behaviour::Pass);
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), "+PONG\r\n");
        proxy.cut();
        assert!(!matches!(ask(&mut stream), Ok(answer) if !answer.is_empty()));
        assert_eq!(proxy.arrivals().len(), 2);
    }

    #[test]
    fn it_leads_to_where_the_server_has_moved() {
        let (old, new) = (RedisServer::start(), RedisServer::start());
        let proxy = Proxy::start(old.address());
        let mut stream = connect(&proxy);
        assert_eq!(ask(&mut stream).unwrap(), "+PONG\r\n");
        proxy.repoint(new.address());
        drop(old);
        assert_eq!(ask(&mut connect(&proxy)).unwrap(), "+PONG\r\n");
    }
}
