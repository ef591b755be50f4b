use afresh::task;

#[task(retries = 3)]
fn unknown_key() {}

#[task(max_attempts = 0)]
fn no_attempt() {}

#[task(max_attempts = "5")]
fn text_for_a_number() {}

#[task(timeout = 30)]
fn no_unit() {}

#[task(timeout = "30 parsecs")]
fn another_unit() {}

#[task(timeout = "10us")]
fn too_short() {}

#[task(memory = "64MiBB")]
fn no_size() {}

#[task(memory = "1KiB")]
fn too_small() {}

#[task(min_backoff = "2s", max_backoff = "1s")]
fn backwards() {}

#[task(timeout = "1s", timeout = "2s")]
fn twice() {}

#[task(name = "log/report")]
fn no_name() {}

#[task(env = "LANG")]
fn no_list() {}

#[task(secrets = [API_KEY])]
fn no_texts() {}

#[task(env = ["AFRESH_TASK"])]
fn ours() {}

#[task(env = ["KEY"], secrets = ["KEY"])]
fn variable_and_secret() {}

#[task(folders = ["../up"])]
fn no_folder() {}

#[task(scratch = "1B")]
fn too_little_scratch() {}

#[task(enqueue = ["mail", "mail"])]
fn queue_twice() {}

#[task]
fn größe() {}

fn main() {}
