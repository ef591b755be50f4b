//! How soon Redis alone answers, and tells a reader of a writer: no queue on it can be faster.

use std::time::{Duration, Instant};

use redis::{AsyncCommands as _, AsyncConnectionConfig};

/// So many times: from a `PING` to its answer.
///
/// # Errors
/// If the server does not answer.
pub async fn round_trips(url: &str, times: usize) -> anyhow::Result<Vec<Duration>> {
    let mut connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let asked = Instant::now();
        let () = redis::cmd("PING").query_async(&mut connection).await?;
        all.push(asked.elapsed());
    }
    Ok(all)
}

/// So many times, with `pause` before each: from an `LPUSH` to the end of the `BRPOP` that waited for it.
///
/// # Errors
/// If the server does not answer.
pub async fn wake_ups(url: &str, times: usize, pause: Duration) -> anyhow::Result<Vec<Duration>> {
    let client = redis::Client::open(url)?;
    let patient = AsyncConnectionConfig::new().set_response_timeout(None);
    let reader = client.get_multiplexed_async_connection_with_config(&patient).await?;
    let mut writer = client.get_multiplexed_async_connection().await?;
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let mut reader = reader.clone();
        let woken = tokio::spawn(async move {
            let _: (String, String) = reader.brpop("probe:wake", 0.0).await?;
            anyhow::Ok(Instant::now())
        });
        tokio::time::sleep(pause).await;
        let began = Instant::now();
        let () = writer.lpush("probe:wake", "x").await?;
        all.push(woken.await??.saturating_duration_since(began));
    }
    drop(reader);
    Ok(all)
}
