//! Makes task modules ready to run: compiles each once, in a child process so that the compiler's memory never stays
//! in the worker, and keeps the code in a private folder.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use afresh_sandbox::{ModuleError, Sandbox, TaskModule};
use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use sha2::{Digest as _, Sha256};

/// The hidden verb by which this binary compiles one module: Wasm on standard input, native code on standard output.
pub const COMPILE_VERB: &str = "compile-module";

/// Seconds of processor time that one module may take to compile.
const COMPILE_SECONDS: u64 = 120;

/// Bytes of memory that compiling one module may take.
const COMPILE_BYTES: u64 = 4 << 30;

/// Bytes of the checksum in front of the code in a cache file.
const CHECKSUM: usize = 32;

/// Makes task modules ready to run.
pub struct Compiler {
    sandbox: Sandbox,
    cache: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Compiler {
    /// A compiler that works in this process and keeps nothing: for a command that runs one module once.
    pub fn in_process(sandbox: Sandbox) -> Self {
        Self { sandbox, cache: None, program: None }
    }

    /// A compiler that runs this very binary as a child, and keeps what it makes under `cache` (created with access for
    /// this user only).
    ///
    /// # Errors
    /// When this binary cannot be found, or the folder cannot be made private.
    pub fn in_child(sandbox: Sandbox, cache: &Path) -> anyhow::Result<Self> {
        let program = own_program().context("failed to find this program's own file")?;
        private_folder(cache).with_context(|| format!("failed to make a private folder {}", cache.display()))?;
        Ok(Self { sandbox, cache: Some(cache.to_owned()), program: Some(program) })
    }

    /// Checks, compiles and links a module.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the module, or with compiling it.
    pub fn load(&self, wasm: &[u8]) -> anyhow::Result<TaskModule> {
        let (Some(cache), Some(program)) = (&self.cache, &self.program) else {
            return Ok(self.sandbox.load(wasm)?);
        };
        // Checked before anything else, so that a bad file costs no process.
        let info = self.sandbox.check(wasm)?;
        let file = cache.join(format!("{}.bin", info.digest.replace(':', "-")));
        if let Some(module) = read_checked(&file).and_then(|code| self.link(wasm, &code).ok()) {
            return Ok(module);
        }
        let code = compile_in_child(program, wasm)?;
        let module = self.link(wasm, &code).context("the compiled module cannot be used by this host")?;
        if let Err(error) = write_checked(&file, &code) {
            tracing::warn!("failed to keep the compiled module in {}: {error}; it works all the same", file.display());
        }
        Ok(module)
    }

    #[expect(unsafe_code, reason = "links native code that this program's own compiler made")]
    fn link(&self, wasm: &[u8], code: &[u8]) -> Result<TaskModule, ModuleError> {
        // SAFETY: the code comes from a child process running this very binary, or from a folder only this user can
        // write to, under a checksum; the sandbox checks that it belongs to this module and this build.
        unsafe { self.sandbox.load_compiled(self.sandbox.survey(wasm)?, code) }
    }
}

/// What starts this very program again. On Linux that is the file it was started from even after an upgrade has put
/// another in its place, whose code this one could not use.
fn own_program() -> std::io::Result<PathBuf> {
    let running = Path::new("/proc/self/exe");
    if running.exists() { Ok(running.to_owned()) } else { std::env::current_exe() }
}

/// The child's side: reads a module from standard input, writes its code to standard output.
///
/// # Errors
/// When the module is refused or does not compile; the sentence goes to the parent by standard error.
pub fn compile_stdin(sandbox: &Sandbox) -> anyhow::Result<()> {
    limit_this_process().context("failed to limit the compiler's process")?;
    let mut wasm = Vec::new();
    std::io::stdin().lock().read_to_end(&mut wasm).context("failed to read the module")?;
    let code = sandbox.compile(&wasm)?;
    std::io::stdout().lock().write_all(&code).context("failed to write the code")
}

/// A module can be made to compile for hours, or into all memory there is. Data and not address space is limited, since
/// the engine reserves much of that without using it.
fn limit_this_process() -> std::io::Result<()> {
    for (resource, most) in [(Resource::Cpu, COMPILE_SECONDS), (Resource::Data, COMPILE_BYTES)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

fn compile_in_child(program: &Path, wasm: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args([COMPILE_VERB, "--quiet"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start the compiler's process")?;
    let mut input = child.stdin.take().context("the compiler's process has no standard input")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(wasm));
        child.wait_with_output()
    })
    .context("failed to run the compiler's process")?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim().trim_start_matches("error: ");
    anyhow::ensure!(!said.is_empty(), "the compiler's process ended with {}", output.status);
    anyhow::bail!("{}", said.chars().take(1_000).collect::<String>())
}

/// Creates the folder with access for this user only, or checks that it is so.
fn private_folder(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // Not made private now: whatever others put there before would be run as native code.
    match not_private(folder)? {
        Some(why) => anyhow::bail!("{why}; remove it, or name another folder with worker.cache"),
        None => Ok(()),
    }
}

/// Why a folder is not this user's alone; `None` where it is.
///
/// # Errors
/// When it is not there, or cannot be looked at.
pub fn not_private(folder: &Path) -> std::io::Result<Option<&'static str>> {
    let meta = fs::symlink_metadata(folder)?;
    let ours = meta.is_dir() && meta.uid() == geteuid().as_raw();
    let private = meta.permissions().mode() & 0o077 == 0;
    Ok(match (ours, private) {
        (false, _) => Some("it belongs to another user, or is a link"),
        (true, false) => Some("others may look into it or write to it"),
        (true, true) => None,
    })
}

/// The code in a cache file, or `None` where there is none or it was damaged.
fn read_checked(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(file).ok()?;
    let (sum, code) = bytes.split_at_checked(CHECKSUM)?;
    if Sha256::digest(code).as_slice() != sum {
        tracing::warn!("the compiled module {} is damaged; compiling again", file.display());
        return None;
    }
    bytes.drain(..CHECKSUM);
    Some(bytes)
}

/// Writes a cache file so that nobody ever reads half of it.
fn write_checked(file: &Path, code: &[u8]) -> anyhow::Result<()> {
    let folder = file.parent().context("a cache file has a folder")?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(&Sha256::digest(code))?;
    temporary.write_all(code)?;
    temporary.persist(file)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_cache_file_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.bin");
        write_checked(&file, b"native code").unwrap();
        assert_eq!(read_checked(&file).as_deref(), Some(b"native code".as_slice()));
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(read_checked(&file), None);
        assert_eq!(read_checked(&folder.path().join("none")), None);
    }

    #[test]
    fn the_cache_folder_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a/cache");
        private_folder(&cache).unwrap();
        assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
        private_folder(&cache).unwrap();

        fs::set_permissions(&cache, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(private_folder(&cache).unwrap_err().to_string().contains("others may look"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("a"), &link).unwrap();
        assert!(private_folder(&link).unwrap_err().to_string().contains("is a link"));
    }
}
