//! A slow link: what takes long because it is large is not taken for a server that is gone, and so does not come again
//! and again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use afresh_harness::RedisServer;
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Beat, Broker, Clock, Extended, Inspect, LeaseRequest, NewJob, Settled, Settlement};

use crate::{broker, request, settle};

/// Slow enough for 8 MiB to take more than the five seconds of a small call.
const BYTES_PER_SECOND: f64 = 1.4 * 1024.0 * 1024.0;

const LARGE: usize = 8 * 1024 * 1024;

/// The address of a proxy that lets little through at a time, each way.
fn slow_link(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            let (from_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || trickle(from_client, to_server));
            thread::spawn(move || trickle(server, client));
        }
    });
    address
}

fn trickle(mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = [0; 64 * 1024];
    let mut free = Instant::now();
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        // What a late sleeper owes is made up for, so that a busy machine makes no slower link.
        free = free.max(Instant::now() - Duration::from_secs(1))
            + Duration::from_secs_f64(length as f64 / BYTES_PER_SECOND);
        thread::sleep(free.saturating_duration_since(Instant::now()));
        if to.write_all(&chunk[..length]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[tokio::test]
async fn large_payloads_and_results_pass_a_slow_link_and_small_calls_pass_beside_them() {
    let server = RedisServer::start();
    let near = broker(&server);
    let far = RedisBroker::new(&format!("redis://{}", slow_link(server.address())), Clock::Broker).unwrap();
    let job = NewJob::new("t", vec![b'x'; LARGE]);
    near.enqueue(vec![job.clone()]).await.unwrap();

    let lease = far.lease(&LeaseRequest { max_bytes: 4 << 20, ..request("default", 1) }).await.unwrap().remove(0);
    assert_eq!(lease.job.payload.len(), LARGE);
    let keep = Duration::from_secs(60);
    let result = [settle(&lease, Settlement::Complete { reply: vec![b'y'; LARGE], keep })];
    let beat = [Beat { lease: lease.reference(), begun: true }];
    let (settled, extended) = tokio::join!(far.settle(&result), far.extend(&beat, keep));
    assert_eq!(settled.unwrap(), [Settled::Done]);
    assert!(matches!(extended.unwrap()[..], [Extended::Held | Extended::Lost]), "whichever came first");
    assert_eq!(near.result(&job.id).await.unwrap().map(|reply| reply.len()), Some(LARGE));
}
