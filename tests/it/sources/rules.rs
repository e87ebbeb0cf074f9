//! The rules of the house that the sources have to keep: imports go one way, locks and atomics come
//! through one door, and files stay short.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::import_paths::{Import, imports};

/// The rooms, each of which may import from itself and from those before it.
const ROOMS: [&str; 7] =
    ["sync", "core", "observe", "bulkhead", "registry", "middleware", "integrations"];

/// What only `sync` may name, by any path that begins so.
const BEHIND_THE_DOOR: [&str; 6] =
    ["std::sync", "core::sync", "alloc::sync", "std::rc", "parking_lot", "loom"];

/// Lines a file must stay below.
const LONGEST: usize = 500;

/// A file under `src`, named from there.
struct File {
    name: String,
    text: String,
}

impl File {
    /// The path of the file's module, from the root of the crate.
    fn module(&self) -> Vec<String> {
        let path = self.name.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').map(String::from).collect()
    }

    fn is_root(&self) -> bool {
        self.name == "lib.rs"
    }
}

fn sources() -> Vec<File> {
    fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths
        .into_iter()
        .map(|path| File {
            name: path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/"),
            text: fs::read_to_string(&path).unwrap(),
        })
        .collect()
}

fn rank(room: &str) -> Option<usize> {
    ROOMS.iter().position(|known| *known == room)
}

/// The imports of a file that run back, or around the rooms.
fn backward(file: &File) -> Vec<String> {
    if file.is_root() {
        return Vec::new();
    }
    let module = file.module();
    let Some(own) = rank(&module[0]) else {
        return vec![format!("{} is in no room", file.name)];
    };
    let judge = |import: Import| {
        let room = import.within_crate(&module)?;
        let complaint = match rank(&room) {
            Some(there) if there <= own => return None,
            Some(_) => "runs back",
            // A name of the root leads to any room at all.
            None => "goes around the rooms",
        };
        Some(format!("{}: `{}` {complaint}", file.name, import.path()))
    };
    imports(&file.text).into_iter().filter_map(judge).collect()
}

/// What a file names that has to come through `sync`.
fn past_the_door(file: &File) -> Vec<(String, String)> {
    if file.name == "sync.rs" {
        return Vec::new();
    }
    let is_behind = |path: &String| {
        BEHIND_THE_DOOR.iter().any(|door| {
            path.strip_prefix(door).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    let paths = imports(&file.text).into_iter().map(|import| import.path()).filter(is_behind);
    paths.map(|path| (file.name.clone(), path)).collect()
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines >= LONGEST).then(|| format!("{} has {lines} lines", file.name))
}

#[test]
fn imports_go_one_way() {
    let files = sources();
    assert!(files.iter().any(File::is_root) && files.len() > 10, "the sources were not found");
    let complaints: Vec<_> = files.iter().flat_map(backward).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // A reader of nothing would find nothing to complain of.
    let seen = files.iter().flat_map(|file| imports(&file.text)).map(|import| import.path());
    assert!(seen.filter(|path| path.starts_with("crate::core")).count() > 5);
}

#[test]
fn locks_atomics_and_arcs_come_from_sync_only() {
    let mut found: Vec<_> = sources().iter().flat_map(past_the_door).collect();
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "only `sync` names these: {found:#?}");
}

#[test]
fn files_stay_short() {
    let complaints: Vec<_> = sources().iter().filter_map(too_long).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A file with this text.
fn sample(name: &str, text: &str) -> File {
    File { name: name.into(), text: text.into() }
}

#[test]
fn a_forbidden_import_is_found_in_every_spelling() {
    for text in [
        "use crate::bulkhead::slot::Slot;",
        "use crate::{core::MAX_UNITS, bulkhead::slot::Slot};",
        "use crate::{core::{self, line::Line}, bulkhead::{slot::*}};",
        "pub(crate) use crate::bulkhead as other;",
        "fn f() { crate::bulkhead::slot::Slot::new(); }",
        "fn f(slot: &crate :: bulkhead\n::slot::Slot) {}",
        "use super::super::bulkhead::slot::Slot;",
        "use super::{super::bulkhead, line::Line};",
        "mod tests { use super::super::super::bulkhead::Slot; }",
        "mod tests { fn f() { super::super::super::bulkhead::f(); } }",
        "macro_rules! m { () => { $crate::bulkhead::Slot } }",
        "const TEXT: &str = \"// no comment\"; use crate::bulkhead::Slot;",
        "const QUOTE: char = '\"'; use crate::bulkhead::Slot; const END: char = '\"';",
        "/* a /* nested */ comment */ use crate::bulkhead::Slot;",
        "fn f<'a>(a: &'a str) -> &'a crate::bulkhead::Slot {}",
        "const RAW: &str = r#\"a \" quote\"#; use crate::bulkhead::Slot;",
    ] {
        let complaints = backward(&sample("core/gate.rs", text));
        assert_eq!(complaints.len(), 1, "{text}: {complaints:?}");
        assert!(complaints[0].ends_with("runs back"), "{complaints:?}");
    }
    let around = backward(&sample("core/gate.rs", "use crate::Slot;"));
    assert_eq!(around, ["core/gate.rs: `crate::Slot` goes around the rooms"]);
    assert_eq!(backward(&sample("helpers/gate.rs", "")), ["helpers/gate.rs is in no room"]);
    assert_eq!(backward(&sample("registry.rs", "use crate::middleware::Layer;")).len(), 1);
    assert_eq!(backward(&sample("sync.rs", "use super::core::gate;")).len(), 1);
}

#[test]
fn an_allowed_import_is_not_reported() {
    for (name, text) in [
        ("core/gate.rs", "use super::line::Line; use crate::{core::word::Word, sync::Mutex};"),
        ("core/mod.rs", "pub(crate) mod gate; use self::gate::Gate;"),
        ("core/gate.rs", "mod tests { use super::super::line::Line; use super::*; }"),
        ("core/gate.rs", "// use crate::bulkhead::Slot;\n/* crate::bulkhead */"),
        ("core/gate.rs", "const TEXT: &str = \"use crate::bulkhead::Slot;\";"),
        ("core/gate.rs", "const RAW: &str = r##\"\" crate::bulkhead::Slot \"#\"##;"),
        ("core/gate.rs", "/// [`Slot`](crate::bulkhead::Slot)\npub(crate) struct Gate;"),
        ("core/gate.rs", "pub(in crate::core) struct Gate; pub(super) fn f() {}"),
        ("core/gate.rs", "use std::{fmt, task::Waker}; use core::mem;"),
        ("middleware/body.rs", "use crate::{bulkhead::slot::Slot, registry::Registry};"),
        ("bulkhead/partitioned/map.rs", "use super::super::{slot::Slot, error::Rejection};"),
        ("lib.rs", "pub use crate::integrations::serde;"),
    ] {
        assert_eq!(backward(&sample(name, text)), [""; 0], "{text}");
    }
}

#[test]
fn a_lock_from_elsewhere_is_found_in_every_spelling() {
    for (text, path) in [
        ("use std::sync::Arc;", "std::sync::Arc"),
        ("use std::{fmt, sync::{atomic::AtomicBool}};", "std::sync::atomic::AtomicBool"),
        ("use core::sync::atomic;", "core::sync::atomic"),
        ("use parking_lot::RwLock as Lock;", "parking_lot::RwLock"),
        ("use parking_lot;", "parking_lot"),
        ("struct S { lock: ::std::sync::Mutex<()> }", "std::sync::Mutex"),
        ("fn f() { let lock = parking_lot::Mutex::new(1); }", "parking_lot::Mutex::new"),
        ("use std::sync;", "std::sync"),
        ("use std::sync::{self, mpsc};", "std::sync"),
    ] {
        let found = past_the_door(&sample("core/gate.rs", text));
        assert!(found.iter().any(|(_, found)| found == path), "{text}: {found:?}");
        assert_eq!(past_the_door(&sample("sync.rs", text)), []);
    }
    let door = "use crate::sync::{Arc, Mutex}; use tokio::sync::mpsc; use std::task::Wake;";
    assert_eq!(past_the_door(&sample("core/gate.rs", door)), []);
}

#[test]
fn a_file_of_five_hundred_lines_is_too_long() {
    assert!(too_long(&sample("core/gate.rs", &"\n".repeat(LONGEST - 1))).is_none());
    assert!(too_long(&sample("core/gate.rs", &"\n".repeat(LONGEST))).is_some());
}
