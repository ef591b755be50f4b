//! Files: a guest has those it was granted and no others, whatever it does to get at them, and it writes no more than it
//! may.

use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use afresh_sandbox::files::{ENTRY_BYTES, MAX_FOLDER_BYTES, MAX_OPEN};
use afresh_sandbox::{Call, Cancel, Folder, Limits, OutcomeKind, SandboxError, Scratch};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::script::{
    BADF, CREATE, FOLDER, LOOP, MFILE, NAMETOOLONG, NOENT, NOSPC, NOTSUP, OK, OVERFLOW, PERM, READ, ROOM, SPIPE,
    Script, TRUNCATE, WRITE,
};
use crate::support::{load, sandbox};

/// What nobody was granted.
const OUTSIDE: &str = "nobody was granted this";

/// A folder to read, a second one, a scratch folder, and a file that stands beside them.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::with_prefix("afresh-files-").unwrap());
        for folder in ["models/sub", "other", "scratch"] {
            std::fs::create_dir_all(place.at(folder)).unwrap();
        }
        std::fs::write(place.at("models/a"), "a model").unwrap();
        std::fs::write(place.at("models/sub/b"), "another").unwrap();
        std::fs::write(place.at("outside"), OUTSIDE).unwrap();
        place
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// With the folder to read as 3.
    fn reading(&self) -> Call {
        let folders = vec![Folder { guest: "/models".into(), host: self.at("models") }];
        Call { folders, ..Call::default() }
    }

    /// With a scratch folder of so many bytes as 3.
    fn writing(&self, bytes: u64) -> Call {
        Call { scratch: Some(Scratch { host: self.at("scratch"), bytes }), ..Call::default() }
    }

    /// With folders to read as 3 and 4, and a scratch folder as 5.
    fn both(&self) -> Call {
        let other = Folder { guest: "/other".into(), host: self.at("other") };
        let mut call = Call { scratch: self.writing(1 << 20).scratch, ..self.reading() };
        call.folders.push(other);
        call
    }

    /// Bytes of all files in the scratch folder.
    fn scratch_bytes(&self) -> u64 {
        bytes_in(&self.at("scratch"))
    }

    /// Checks that nothing but the scratch folder was changed.
    fn is_untouched(&self) {
        assert_eq!(std::fs::read_to_string(self.at("models/a")).unwrap(), "a model");
        assert_eq!(std::fs::read_to_string(self.at("models/sub/b")).unwrap(), "another");
        assert_eq!(std::fs::read_to_string(self.at("outside")).unwrap(), OUTSIDE);
        assert_eq!(std::fs::read_dir(self.0.path()).unwrap().count(), 4);
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => bytes_in(&entry.path()),
            false => entry.metadata().unwrap().len(),
        })
        .sum()
}

fn all(errno: u32, errnos: &[u32]) {
    assert!(errnos.iter().all(|&found| found == errno), "not all are {errno}: {errnos:?}");
}

#[test]
fn without_a_grant_there_is_no_file_and_no_descriptor() {
    let mut script = Script::new();
    for fd in 3..=100 {
        script = script.call("fd_prestat_get", &format!("{fd} 64")).read(fd).write(fd, 1).open(fd, "etc", 0, READ);
    }
    script = script.open(3, "a", CREATE, WRITE).on("path_create_directory", "3 {}", &["a"]);
    script = script.on("path_rename", "3 {} 3 {}", &["a", "b"]).on("path_link", "3 0 {} 3 {}", &["a", "b"]);
    script = script.on("path_symlink", "{} 3 {}", &["a", "b"]).call("fd_sync", "3").call("fd_close", "3");
    all(BADF, &script.errnos(Call::default()));
}

#[test]
fn what_was_granted_can_be_read_and_listed() {
    let place = Place::new();
    let script = Script::new()
        .open(3, "a", 0, READ)
        .read(4)
        .say(7)
        .read(4)
        .open(3, "sub", FOLDER, READ)
        .open(5, "b", 0, READ)
        .read_at(6, 3)
        .say(4)
        .open(3, "sub/../a", 0, READ)
        .call("fd_readdir", "5 65536 4096 L0 0");
    let (answers, report) = script.run(place.reading());
    let log: Vec<_> = report.log.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(log, ["a modelther"], "the guest wrote no line end");
    // A listing of `.`, `..` and `b`: three records of 24 bytes, and four of names.
    assert_eq!(answers, [(0, 4), (0, 7), (0, 0), (0, 5), (0, 6), (0, 4), (0, 7), (0, 76)]);
}

#[test]
fn no_path_leads_out_of_a_folder() {
    let place = Place::new();
    let links = [
        ("absolute", place.at("outside").display().to_string()),
        ("relative", "../outside".to_owned()),
        ("deep", "sub/../../outside".to_owned()),
        ("root", "/".to_owned()),
        ("up", "..".to_owned()),
        ("chain", "relative".to_owned()),
        ("environ", "/proc/self/environ".to_owned()),
        ("self", "/proc/self/root".to_owned()),
        ("within", place.at("models/a").display().to_string()),
    ];
    for (name, target) in &links {
        symlink(target, place.at("models").join(name)).unwrap();
    }
    symlink("a", place.at("models/good")).unwrap();
    let mut paths: Vec<String> = links.iter().map(|(name, _)| (*name).to_owned()).collect();
    paths.extend(
        ["..", "../outside", "sub/../../outside", "/etc/passwd", "//etc/passwd", "./../outside"].map(Into::into),
    );
    paths.extend(["up/outside", "root/etc/passwd", "self/etc/passwd", "/proc/self/environ", "/"].map(Into::into));
    paths.extend(["sub/../..", "../models/a", "..\0/outside", "no/../../outside"].map(Into::into));
    paths.push(place.at("outside").display().to_string());
    for path in &paths {
        let mut script = Script::new();
        for (flags, rights) in [(0, READ), (FOLDER, READ), (CREATE, READ | WRITE), (TRUNCATE, WRITE)] {
            script = script.open(3, path, flags, rights);
        }
        script = script.on("path_filestat_get", "3 1 {} 64", &[path]).read(4).read(5);
        let (answers, _) = script.run(place.reading());
        assert!(answers.iter().all(|&(errno, _)| errno != OK), "{path:?}: {answers:?}");
    }
    let good = Script::new().open(3, "good", 0, READ).read(4).on("path_open", "3 0 {} 0 L2 L0 0 0", &["good"]);
    assert_eq!(good.run(place.reading()).0, [(OK, 4), (OK, 7), (LOOP, 0)]);
    place.is_untouched();
}

#[test]
fn in_a_folder_to_read_nothing_can_be_changed() {
    let place = Place::new();
    let all_rights = u64::MAX >> 34;
    let script = Script::new()
        .open(3, "new", CREATE, READ)
        .open(3, "new", CREATE, WRITE)
        .open(3, "a", 0, READ | WRITE)
        .open(3, "a", 0, all_rights)
        .open(3, "a", TRUNCATE, READ)
        .append(3, "a")
        .on("path_create_directory", "3 {}", &["new"])
        .on("path_unlink_file", "3 {}", &["a"])
        .on("path_remove_directory", "3 {}", &["sub"])
        .on("path_rename", "3 {} 3 {}", &["a", "b"])
        .on("path_link", "3 0 {} 3 {}", &["a", "b"])
        .on("path_symlink", "{} 3 {}", &["a", "b"])
        .on("path_filestat_set_times", "3 1 {} L0 L0 5", &["a"])
        .call("fd_filestat_set_times", "3 L0 L0 5");
    let errnos = script.errnos(place.reading());
    all(PERM, &errnos);

    let open = |script: Script| script.open(3, "a", 0, READ).open(3, "sub", FOLDER, READ);
    let errnos = open(Script::new())
        .write(4, 1)
        .write_at(4, 1, 0)
        .call("fd_fdstat_set_flags", "4 1")
        .write(4, 1)
        .call("fd_filestat_set_size", "4 L0")
        .call("fd_filestat_set_size", "4 L1000000")
        .call("fd_filestat_set_times", "4 L0 L0 5")
        .call("fd_allocate", "4 L0 L100")
        .open(5, "new", CREATE, WRITE)
        .open(5, "b", 0, WRITE)
        .errnos(place.reading());
    assert_eq!(errnos, [0, 0, BADF, BADF, OK, BADF, BADF, BADF, PERM, NOTSUP, PERM, PERM]);
    let before = std::fs::metadata(place.at("models/a")).unwrap();
    assert_ne!((before.mtime(), before.atime()), (0, 0));
    place.is_untouched();
}

#[test]
fn nothing_goes_from_one_folder_into_another() {
    let place = Place::new();
    std::fs::write(place.at("scratch/s"), "s").unwrap();
    let errnos = Script::new()
        .on("path_rename", "3 {} 5 {}", &["a", "a"])
        .on("path_rename", "5 {} 3 {}", &["s", "s"])
        .on("path_rename", "5 {} 4 {}", &["s", "s"])
        .on("path_rename", "3 {} 4 {}", &["a", "a"])
        .on("path_link", "3 0 {} 5 {}", &["a", "a"])
        .on("path_symlink", "{} 5 {}", &["../models/a", "a"])
        .on("path_rename", "5 {} 5 {}", &["s", "../models/s"])
        .on("path_rename", "5 {} 5 {}", &["../outside", "s"])
        .on("path_unlink_file", "5 {}", &["../outside"])
        .on("path_create_directory", "5 {}", &["../new"])
        .open(5, "../models/a", 0, READ)
        .errnos(place.both());
    assert_eq!(errnos.len(), 11);
    all(PERM, &errnos);
    assert_eq!(std::fs::read_dir(place.at("scratch")).unwrap().count(), 1);
    place.is_untouched();
}

#[test]
fn descriptors_are_what_was_opened_and_the_standard_streams_stay_the_host_s() {
    let place = Place::new();
    let mut guesses = Script::new();
    for fd in 6..=100 {
        guesses =
            guesses.read(fd).write(fd, 1).call("fd_close", &fd.to_string()).call("fd_renumber", &format!("{fd} 3"));
    }
    all(BADF, &guesses.errnos(place.both()));

    let (answers, report) = Script::new()
        .call("fd_close", "0")
        .call("fd_close", "1")
        .call("fd_close", "2")
        .call("fd_renumber", "3 1")
        .call("fd_renumber", "1 3")
        .open(5, "new", CREATE, WRITE)
        .call("fd_renumber", "6 2")
        .call("fd_renumber", "6 3")
        .write(3, 5)
        .write(6, 5)
        .open(3, "a", 0, READ)
        .open(5, "new", 0, READ)
        .say(5)
        .run(place.both());
    let notsup = (NOTSUP, 0);
    assert_eq!(answers[..5], [(OK, 0), (OK, 0), (OK, 0), notsup, notsup], "{answers:?}");
    assert_eq!(answers[5..9], [(OK, 6), notsup, (OK, 0), (OK, 5)], "{answers:?}");
    // 3 is the file now, and no folder any more; its old number is free, and taken again.
    assert_eq!(answers[9].0, BADF, "{answers:?}");
    assert!(answers[10].0 != OK && answers[11] == (OK, 6), "{answers:?}");
    assert_eq!((report.log.len(), place.scratch_bytes()), (1, 5), "stderr is the host's, though it was closed");
    place.is_untouched();
}

#[test]
fn so_many_descriptors_are_open_at_most() {
    let place = Place::new();
    let before = std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (answers, _) = Script::new()
        .times(10_000, |script| script.open(3, "a", 0, READ))
        .call("fd_close", "50")
        .open(3, "a", 0, READ)
        .open(3, "a", 0, READ)
        .read(MAX_OPEN + 2)
        .read(MAX_OPEN + 3)
        .run(place.reading());
    assert_eq!(answers, [(MFILE, 0), (OK, 0), (OK, 50), (MFILE, 0), (OK, 7), (BADF, 0)]);
    // Other tests of this process have a few of their own.
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() < before + 30);
}

#[test]
fn what_would_park_a_guest_is_not_opened() {
    let place = Place::new();
    mknodat(CWD, place.at("models/pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("pipe", place.at("models/link")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.at("models/socket")).unwrap();
    let started = Instant::now();
    let mut script = Script::new();
    for path in ["pipe", "link", "sub/../pipe", "socket"] {
        script = script.open(3, path, 0, READ).open(3, path, 0, WRITE).open(3, path, CREATE, READ | WRITE);
    }
    all(PERM, &script.errnos(place.reading()));
    assert!(started.elapsed() < Duration::from_secs(60), "it was parked");
}

#[test]
fn a_path_of_any_length_is_answered() {
    let place = Place::new();
    let long = "../".repeat(100_000);
    let errnos = Script::new()
        .open(3, &long, 0, READ)
        .on("path_unlink_file", "3 {}", &[&long])
        .on("path_rename", "3 {} 3 {}", &["a", &long])
        .on("path_filestat_get", "3 1 {} 64", &[&long])
        .on("path_create_directory", "3 {}", &[&long])
        .errnos(place.reading());
    all(NAMETOOLONG, &errnos);
    let errnos = Script::new().open(3, "", 0, READ).open(3, &"a/".repeat(2000), 0, READ).errnos(place.reading());
    assert!(!errnos.contains(&OK), "{errnos:?}");
}

#[test]
fn a_folder_of_a_size_nobody_meant_is_not_listed() {
    let place = Place::new();
    let large = place.at("other");
    let mut names = 0;
    while std::fs::metadata(&large).unwrap().size() <= MAX_FOLDER_BYTES {
        (0..1000).for_each(|n| {
            std::fs::File::create(large.join(format!("{:0>200}", names + n))).unwrap();
        });
        names += 1000;
        assert!(names < 200_000, "folders of this filesystem have no size");
    }
    let script = Script::new().call("fd_readdir", "4 65536 4096 L0 0").open(4, &format!("{:0>200}", 7), 0, READ);
    assert_eq!(script.errnos(place.both()), [OVERFLOW, OK]);
}

#[test]
fn a_scratch_folder_works_as_a_folder() {
    let place = Place::new();
    let (answers, report) = Script::new()
        .on("path_create_directory", "3 {}", &["d"])
        .open(3, "d/f", CREATE, READ | WRITE)
        .write(4, 10)
        .call("fd_seek", "4 L0 0 0")
        .read(4)
        .call("fd_filestat_set_size", "4 L3")
        .append(3, "d/f")
        .write(5, 4)
        .read_at(4, 0)
        .call("fd_sync", "4")
        .call("fd_advise", "4 L0 L0 0")
        .on("path_rename", "3 {} 3 {}", &["d/f", "g"])
        .on("path_remove_directory", "3 {}", &["d"])
        .on("path_filestat_set_times", "3 1 {} L0 L0 5", &["g"])
        .run(place.writing(1 << 20));
    let errnos: Vec<_> = answers.iter().map(|(errno, _)| *errno).collect();
    all(OK, &errnos);
    assert_eq!((answers[4].1, answers[8].1), (10, 7), "{report:?}");
    assert_eq!(std::fs::metadata(place.at("scratch/g")).unwrap().len(), 7);
}

#[test]
fn no_call_of_a_guest_starts_a_thread() {
    let look = |script: Script, fd: u32| {
        let script = script.call("fd_fdstat_get", &format!("{fd} 64")).call("fd_filestat_get", &format!("{fd} 64"));
        script.call("fd_seek", &format!("{fd} L0 2 64")).call("fd_filestat_set_times", &format!("{fd} L0 L0 5"))
    };
    let place = Place::new();
    let script = look(look(Script::new(), 1), 3).open(5, "f", CREATE, READ | WRITE).write(6, 3).read_at(6, 0);
    let (answers, _) = look(script, 6).call("fd_readdir", "5 65536 4096 L0 0").run(place.both());
    let errnos: Vec<_> = answers.iter().map(|(errno, _)| *errno).collect();
    // Of a stream: what it is. Of a folder that is read: the same, but no times. Of a file that is written: all of it.
    assert_eq!(errnos[..8], [OK, OK, SPIPE, BADF, OK, OK, BADF, PERM], "{errnos:?}");
    all(OK, &errnos[8..]);
    let names = std::fs::read_dir("/proc/self/task").unwrap();
    let names: Vec<_> = names.map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap()).collect();
    assert!(!names.iter().any(|name| name.contains("tokio")), "{names:?}");
}

/// Bytes of a scratch folder in the tests of its wall.
const BOUND: u64 = 1 << 20;

#[test]
fn a_scratch_folder_takes_no_more_than_it_may() {
    let open = || Script::new().open(3, "f", CREATE, READ | WRITE);
    let storms = [
        ("large writes", open().times(20, |script| script.write(4, ROOM))),
        ("small writes", open().times(300_000, |script| script.write(4, 7))),
        ("appends", Script::new().append(3, "f").times(20, |script| script.write(4, ROOM))),
        ("a seek, and a write", open().call("fd_seek", "4 L1048576 0 0").write(4, 1)),
        ("a write far away", open().write_at(4, 1, i64::MAX as u64).write_at(4, 1, 1 << 40)),
        ("a size", open().call("fd_filestat_set_size", "4 L1048577")),
        ("a size below nothing", open().call("fd_filestat_set_size", "4 L-1")),
        (
            "writing and emptying",
            open().times(20, |script| script.call("fd_filestat_set_size", "4 L0").write_at(4, ROOM, 0)),
        ),
    ];
    for (what, calls) in storms {
        let place = Place::new();
        let (answers, _) = calls.run(place.writing(BOUND));
        assert_eq!(answers.last().unwrap().0, NOSPC, "{what}: {answers:?}");
        assert!(place.scratch_bytes() <= BOUND, "{what}: {}", place.scratch_bytes());
    }
}

#[test]
fn empty_files_and_folders_count_and_are_not_given_back() {
    let entries = (BOUND / ENTRY_BYTES) as usize;
    for what in ["files", "folders"] {
        let place = Place::new();
        let mut script = Script::new();
        for n in 0..entries + 10 {
            script = match what {
                "files" => script.open(3, &n.to_string(), CREATE, READ).call("fd_close", "4"),
                _ => script.on("path_create_directory", "3 {}", &[&n.to_string()]),
            };
        }
        script = script.open(3, "more", CREATE, WRITE);
        let errnos = script.errnos(place.writing(BOUND));
        assert_eq!((errnos[0], errnos.last()), (OK, Some(&NOSPC)), "{what}");
        assert_eq!(std::fs::read_dir(place.at("scratch")).unwrap().count(), entries, "{what}");
    }
    let place = Place::new();
    let again =
        |script: Script| script.open(3, "f", CREATE, READ).on("path_unlink_file", "3 {}", &["f"]).call("fd_close", "4");
    let errnos = Script::new().times(entries as u32 + 1, again).open(3, "f", CREATE, READ).errnos(place.writing(BOUND));
    assert_eq!(errnos, [NOSPC, NOENT, BADF, NOSPC]);
}

#[test]
fn links_cannot_be_made_in_a_scratch_folder() {
    let place = Place::new();
    let errnos = Script::new()
        .open(3, "f", CREATE, WRITE)
        .on("path_symlink", "{} 3 {}", &["f", "g"])
        .on("path_symlink", "{} 3 {}", &["/etc", "g"])
        .on("path_link", "3 0 {} 3 {}", &["f", "g"])
        .call("fd_allocate", "4 L0 L100")
        .errnos(place.writing(BOUND));
    assert_eq!(errnos, [OK, PERM, PERM, PERM, NOTSUP]);
    assert_eq!(std::fs::read_dir(place.at("scratch")).unwrap().count(), 1);
}

#[test]
fn a_guest_that_storms_files_ends_at_its_deadline() {
    let place = Place::new();
    std::fs::File::create(place.at("models/large")).unwrap().set_len(1 << 40).unwrap();
    let limits = Limits { timeout: Duration::from_millis(200), ..Limits::default() };
    let storms: [fn(Script) -> Script; 4] = [
        |script| script.open(3, "a", 0, READ).call("fd_close", "6"),
        |script| script.call("fd_readdir", "3 65536 4096 L0 0"),
        |script| script.read(6),
        |script| script.on("path_create_directory", "5 {}", &["d"]).on("path_remove_directory", "5 {}", &["d"]),
    ];
    for (n, storm) in storms.into_iter().enumerate() {
        let started = Instant::now();
        let large = if n == 2 { Script::new().open(3, "large", 0, READ) } else { Script::new() };
        let report = large.times(u32::MAX, storm).run_within(place.both(), &limits);
        assert_eq!(report.outcome.kind(), OutcomeKind::TimedOut, "storm {n}: {report:?}");
        assert!(started.elapsed() < Duration::from_secs(30), "storm {n} took {:?}", started.elapsed());
    }
}

#[test]
fn a_folder_that_is_not_there_is_the_host_s_fault() {
    let place = Place::new();
    let folders = vec![Folder { guest: "/gone".into(), host: place.at("gone") }];
    let module = load(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let call = Call { folders, ..Call::default() };
    let error = sandbox().run(&module, call, &Limits::default(), &Cancel::new()).unwrap_err();
    assert!(matches!(error, SandboxError::Folder { .. }) && error.to_string().contains("gone"), "{error}");
}
