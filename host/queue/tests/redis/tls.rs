//! `rediss://` and `rediss+cluster://`, with a certificate of an authority of our own, which is named by `SSL_CERT_FILE`. That is read from the
//! environment, so the client runs in a process of its own: this very test, called again.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use afresh_harness::{RedisServer, SOON, wait_until};
use afresh_queue::redis::RedisBroker;
use afresh_queue::{Broker, Clock, NewJob};

use crate::request;

const URL: &str = "AFRESH_TEST_TLS_URL";

#[test]
fn tls_works_with_an_authority_that_is_trusted_and_says_so_of_one_that_is_not() {
    if let Ok(url) = std::env::var(URL) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(use_broker(&url));
    }
    let folder = tempfile::tempdir().unwrap();
    make_certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (_server, port) = server(file, &[]);
    // Without tls-cluster a node names the ports that speak without TLS.
    let (bus, authority) = (free_port().to_string(), file("ca.crt"));
    let cluster = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--tls-cluster", "yes"];
    let options = [cluster.as_slice(), &["--tls-ca-cert-file", &authority]].concat();
    let (cluster, cluster_port) = server(file, &options);
    cluster.command("CLUSTER ADDSLOTSRANGE 0 16383");
    assert!(wait_until(SOON, || cluster.command("CLUSTER INFO").contains("cluster_state:ok")));

    for url in [format!("rediss://127.0.0.1:{port}"), format!("rediss+cluster://127.0.0.1:{cluster_port}")] {
        let trusting = client(&url, &file("ca.crt"));
        assert!(trusting.status.success(), "{trusting:?}");
        let distrustful = client(&url, &file("stranger.crt"));
        let said = String::from_utf8_lossy(&distrustful.stderr);
        assert!(!distrustful.status.success() && said.contains("cannot be spoken to over TLS"), "{said}");
    }
}

/// A server that speaks TLS, and its port for that.
fn server(file: impl Fn(&str) -> String, options: &[&str]) -> (RedisServer, u16) {
    let port = free_port();
    let (tls_port, certificate, key) = (port.to_string(), file("server.crt"), file("server.key"));
    let tls =
        ["--tls-port", &tls_port, "--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    (RedisServer::start_with(&[tls.as_slice(), options].concat()), port)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn use_broker(url: &str) {
    let broker = RedisBroker::new(url, Clock::Broker).unwrap();
    broker.check().await.unwrap();
    broker.enqueue(vec![NewJob::new("t", "secret")]).await.unwrap();
    assert_eq!(broker.lease(&request("default", 1)).await.unwrap()[0].job.payload, b"secret");
}

fn client(url: &str, authority: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tls::tls_works_with_an_authority_that_is_trusted_and_says_so_of_one_that_is_not"])
        .arg("--nocapture")
        .env(URL, url)
        .env("SSL_CERT_FILE", authority)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap()
}

/// An authority, a server's certificate signed by it, and an authority that signed nothing.
fn make_certificates(folder: &Path) {
    for name in ["ca", "stranger"] {
        openssl(
            folder,
            &format!("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"),
        );
    }
    openssl(folder, "req -newkey rsa:2048 -nodes -subj /CN=server -keyout server.key -out server.csr");
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1").unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.crt",
    );
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("this test needs the openssl program ({error}): `apt-get install openssl`"));
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}
