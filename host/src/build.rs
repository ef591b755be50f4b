//! From a folder of sources to checked task modules: what `afresh build` does, and `afresh dev` at each change.
//!
//! A folder with a `Cargo.toml` is built by cargo. A folder with C files and none is one program, named after the folder.
//! In a folder that is neither, and in a workspace without a crate of its own, the folders right below are looked at
//! for such C programs too.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use afresh_sandbox::ModuleInfo;
use afresh_toolchain::{Reporter, cargo, clang};
use anyhow::{Context as _, bail, ensure};

/// Where modules go unless told otherwise, below the folder that is built: version control ignores it already.
pub const DEFAULT_OUT: &str = "target/afresh";

/// A task module that was built, checked, and put into its folder.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file's stem.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is known of it.
    pub info: ModuleInfo,
}

impl Built {
    /// The names under which jobs reach it: the tasks it declares, or the file's stem.
    pub fn tasks(&self) -> Vec<String> {
        self.info.tasks_in(&self.path).into_iter().map(|task| task.task).collect()
    }
}

/// Builds everything in `path` and puts the modules into `out` (default: [`DEFAULT_OUT`] below `path`). All of them are
/// checked before the first is put there, so a folder that a worker watches never sees half of a build. A module that is
/// the same as before is left alone. A C program without a clang for it is skipped, with a line that says so.
///
/// # Errors
/// When there is nothing to build, something does not compile, or a module is not one that can be run here.
pub fn build(path: &Path, out: Option<&Path>, reporter: &Reporter) -> anyhow::Result<Vec<Built>> {
    ensure!(
        path.is_dir(),
        "{} is not a folder; name the folder of a crate, a workspace or a C program",
        path.display()
    );
    let out = out.map_or_else(|| default_out(path), Path::to_owned);
    let scratch = tempfile::tempdir().context("failed to make a temporary folder")?;
    let project = Project::find(path)?;
    let mut programs = Vec::new();
    if project.cargo {
        programs = cargo::build(path, None, reporter)?;
        ensure!(
            !programs.is_empty() || !project.c.is_empty(),
            "{} holds no program: a task module needs a `src/main.rs` (see `afresh new`)",
            path.display()
        );
    }
    programs.extend(build_c(&project.c, scratch.path(), reporter)?);

    programs.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let modules = programs.iter().map(|program| Module::check(program)).collect::<anyhow::Result<Vec<_>>>()?;
    if let Some([twice, _]) = modules.array_windows().find(|[a, b]| a.name == b.name) {
        bail!("two programs are called `{}`; rename one, since a module is known by its name", twice.name);
    }
    modules.into_iter().map(|module| module.place(&out)).collect()
}

/// Where the modules of `path` go unless told otherwise.
pub fn default_out(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).join(DEFAULT_OUT)
}

/// What there is to build in a folder.
struct Project {
    /// Whether cargo builds the folder.
    cargo: bool,
    /// Folders of C programs.
    c: Vec<PathBuf>,
}

impl Project {
    fn find(path: &Path) -> anyhow::Result<Self> {
        let manifest = path.join("Cargo.toml");
        let cargo = manifest.is_file();
        let c = if c_sources(path)?.is_empty() && (!cargo || is_virtual(&manifest)) {
            c_folders(path)?
        } else if cargo {
            Vec::new()
        } else {
            vec![path.to_owned()]
        };
        ensure!(
            cargo || !c.is_empty(),
            "there is nothing to build in {}: no Cargo.toml and no C files; `afresh new NAME` makes a task crate",
            path.display()
        );
        Ok(Self { cargo, c })
    }
}

/// Whether a manifest is of a workspace without a crate of its own. A crate's C files are its build script's business.
fn is_virtual(manifest: &Path) -> bool {
    let table = std::fs::read_to_string(manifest).ok().and_then(|text| text.parse::<toml::Table>().ok());
    table.is_some_and(|table| !table.contains_key("package"))
}

/// The folders right below that hold a C program.
fn c_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in entries(path)? {
        let hidden = entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && entry.is_dir() && !entry.join("Cargo.toml").exists() && !c_sources(&entry)?.is_empty() {
            folders.push(entry);
        }
    }
    Ok(folders)
}

/// The C files right in a folder.
fn c_sources(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(entries(path)?.into_iter().filter(|file| file.extension().is_some_and(|e| e == "c") && file.is_file()).collect())
}

/// What is right in a folder, by name.
fn entries(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list =
        || -> std::io::Result<Vec<PathBuf>> { std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = list().with_context(|| format!("failed to look into {}", path.display()))?;
    paths.sort();
    Ok(paths)
}

fn build_c(folders: &[PathBuf], scratch: &Path, reporter: &Reporter) -> anyhow::Result<Vec<PathBuf>> {
    if folders.is_empty() {
        return Ok(Vec::new());
    }
    let Some(clang) = clang::Clang::find() else {
        for folder in folders {
            reporter.say(format_args!("skipped: {} needs {}", folder.display(), clang::NEEDS));
        }
        return Ok(Vec::new());
    };
    let mut programs = Vec::new();
    for folder in folders {
        let folder = std::path::absolute(folder).and_then(|path| path.canonicalize());
        let folder = folder.context("failed to find the folder of a C program")?;
        let name = folder.file_name().context("a C program is named after its folder, and this one has no name")?;
        let mut file = name.to_owned();
        file.push(".wasm");
        let program = scratch.join(file);
        reporter.say(format_args!("   Compiling {} (C)", name.display()));
        clang.compile(&folder, &c_sources(&folder)?, &program)?;
        programs.push(program);
    }
    Ok(programs)
}

/// A program that was checked, and is still where its compiler left it.
struct Module {
    name: String,
    wasm: Vec<u8>,
    info: ModuleInfo,
}

impl Module {
    fn check(program: &Path) -> anyhow::Result<Self> {
        let wasm = std::fs::read(program).with_context(|| format!("failed to read {}", program.display()))?;
        let info = afresh_sandbox::check(&wasm).with_context(|| format!("{} cannot be run here", program.display()))?;
        let stem = program.file_stem().context("a program without a name")?;
        Ok(Self { name: stem.to_string_lossy().into_owned(), wasm, info })
    }

    /// Puts the module into `out`: whoever watches that folder sees the old file or the new one, never a part of one.
    fn place(self, out: &Path) -> anyhow::Result<Built> {
        let path = out.join(format!("{}.wasm", self.name));
        let is_there = std::fs::read(&path).is_ok_and(|old| old == self.wasm);
        if !is_there {
            let write = || -> std::io::Result<()> {
                std::fs::create_dir_all(out)?;
                let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(out)?;
                file.write_all(&self.wasm)?;
                make_readable(file.as_file())?;
                file.persist(&path)?;
                Ok(())
            };
            write().with_context(|| format!("failed to write {}", path.display()))?;
        }
        Ok(Built { name: self.name, path, info: self.info })
    }
}

/// Temporary files are private; a worker may run as somebody else.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}
