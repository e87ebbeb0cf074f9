//! Rules that the sources under `src` must follow: imports go one way, locks, atomics and `Arc` come from
//! `sync` only, and files stay short.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::import_paths::{Import, imports};

/// The rooms: the top-level modules. Each may import from itself and from those before it.
const ROOMS: [&str; 8] =
    ["sync", "core", "observe", "bulkhead", "registry", "middleware", "integrations", "guide"];

/// The rooms inside `core`. Each may import from itself and from those before it, except for `INDEPENDENT`.
/// `models` is test code.
const CORE_ROOMS: [&str; 9] =
    ["clock", "chunks", "rejection", "line", "pool", "limits", "gate", "operation", "models"];

/// Imports inside `core` that the order would allow but that are forbidden: the importing room, and the room
/// it may not import.
const INDEPENDENT: [(&str, &str); 2] = [("rejection", "chunks"), ("line", "rejection")];

/// The names that `core` re-exports, and the room each comes from.
const CORE_REEXPORTS: [(&str, &str); 1] = [("MAX_UNITS", "gate")];

/// Paths with these prefixes may be named in `sync` only.
const SYNC_ONLY: [&str; 6] =
    ["std::sync", "core::sync", "alloc::sync", "std::rc", "parking_lot", "loom"];

/// A file must have fewer lines than this.
const LINE_LIMIT: usize = 500;

/// A file under `src`. Its name is its path from there.
struct File {
    name: String,
    text: String,
}

impl File {
    /// Returns the path of the file's module from the crate root.
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

fn rank(rooms: &[&str], room: &str) -> Option<usize> {
    rooms.iter().position(|known| *known == room)
}

/// Returns the imports of a file that run backward, or that name the crate root instead of a room.
fn backward(file: &File) -> Vec<String> {
    if file.is_root() {
        return Vec::new();
    }
    let module = file.module();
    let Some(own) = rank(&ROOMS, &module[0]) else {
        return vec![format!("{} is in no room", file.name)];
    };
    let judge = |import: Import| {
        let path = import.within_crate(&module)?;
        let complaint = match rank(&ROOMS, path.first()?) {
            Some(imported) if imported <= own => return None,
            Some(_) => "runs backward",
            // A name at the crate root may come from any room.
            None => "names the crate root",
        };
        Some(format!("{}: `{}` {complaint}", file.name, import.path()))
    };
    imports(&file.text).into_iter().filter_map(judge).collect()
}

/// Returns the imports of a file that run backward inside `core`, or that name `core` itself instead of a room
/// inside it. For a file outside `core`, returns the imports of `core::models`.
fn backward_in_core(file: &File) -> Vec<String> {
    let module = file.module();
    let own = match &module[..] {
        [first] if first == "core" => return unlisted_reexports(file),
        [first, own, ..] if first == "core" => match rank(&CORE_ROOMS, own) {
            Some(own) => Some(own),
            None => return vec![format!("{} is in no room of core", file.name)],
        },
        _ => None,
    };
    // Test code only, which may import everything.
    let models = rank(&CORE_ROOMS, "models");
    if own == models {
        return Vec::new();
    }
    let judge = |import: Import| {
        let path = import.within_crate(&module)?;
        if path.first()? != "core" {
            return None;
        }
        let name = path.get(1).map_or("", String::as_str);
        let reexport = CORE_REEXPORTS.iter().find(|(reexport, _)| *reexport == name);
        let imported = reexport.map_or(name, |(_, room)| *room);
        let complaint = match (own, rank(&CORE_ROOMS, imported)) {
            (None, imported) if imported == models => "imports the models",
            (None, _) => return None,
            // A name in `core` itself may come from any room.
            (Some(_), None) => "names core itself",
            (Some(own), Some(rank)) if rank > own => "runs backward",
            (Some(own), _) if INDEPENDENT.contains(&(CORE_ROOMS[own], imported)) => {
                "couples independent rooms"
            }
            _ => return None,
        };
        Some(format!("{}: `{}` {complaint}", file.name, import.path()))
    };
    imports(&file.text).into_iter().filter_map(judge).collect()
}

/// Returns the paths in `core/mod.rs` that are not listed in `CORE_REEXPORTS`.
fn unlisted_reexports(file: &File) -> Vec<String> {
    let is_listed = |path: &str| {
        let segments: Vec<_> = path.split("::").collect();
        let (room, name) = (segments[0], segments[segments.len() - 1]);
        CORE_REEXPORTS.contains(&(name, room))
    };
    let paths = imports(&file.text).into_iter().map(|import| import.path());
    paths
        .filter(|path| !is_listed(path))
        .map(|path| format!("{}: `{path}` is no listed re-export", file.name))
        .collect()
}

/// Returns the paths in a file that only `sync` may name.
fn sync_only_paths(file: &File) -> Vec<(String, String)> {
    if file.name == "sync.rs" {
        return Vec::new();
    }
    let is_sync_only = |path: &String| {
        SYNC_ONLY.iter().any(|prefix| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    let paths = imports(&file.text).into_iter().map(|import| import.path()).filter(is_sync_only);
    paths.map(|path| (file.name.clone(), path)).collect()
}

/// Returns the lines that read tokio's clock without `core::clock`, except in documentation and test code.
fn clock_readings(file: &File) -> Vec<String> {
    if file.name == "core/clock.rs" || file.name.contains("/models/") {
        return Vec::new();
    }
    let code = file.text.split("\nmod tests {").next().unwrap();
    let lines = code.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    let read = lines.filter(|line| line.contains("Instant::now") || line.contains(".elapsed()"));
    read.map(|line| format!("{}: {line}", file.name)).collect()
}

fn too_long(file: &File) -> Option<String> {
    let lines = file.text.lines().count();
    (lines >= LINE_LIMIT).then(|| format!("{} has {lines} lines", file.name))
}

#[test]
fn imports_go_one_way() {
    let files = sources();
    assert!(files.iter().any(File::is_root) && files.len() > 10, "the sources were not found");
    let complaints: Vec<_> = files.iter().flat_map(backward).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // If nothing were read, there would be nothing to complain about.
    let found = files.iter().flat_map(|file| imports(&file.text)).map(|import| import.path());
    assert!(found.filter(|path| path.starts_with("crate::core")).count() > 5);
}

#[test]
fn imports_inside_core_go_one_way() {
    let files = sources();
    let complaints: Vec<_> = files.iter().flat_map(backward_in_core).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    // If a room were not found, there would be nothing to complain about.
    for room in CORE_ROOMS {
        let path = ["core", room];
        assert!(
            files.iter().any(|file| file.module().starts_with(&path.map(String::from))),
            "{room}"
        );
    }
}

#[test]
fn locks_atomics_and_arcs_come_from_sync_only() {
    let mut found: Vec<_> = sources().iter().flat_map(sync_only_paths).collect();
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "only `sync` may name these: {found:#?}");
}

#[test]
fn the_clock_is_read_where_it_cannot_panic() {
    let complaints: Vec<_> = sources().iter().flat_map(clock_readings).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    for text in ["let now = Instant::now();", "x.then(Instant::now)", "a.b.elapsed()"] {
        assert_eq!(clock_readings(&sample("core/gate.rs", text)).len(), 1, "{text}");
    }
}

#[test]
fn files_stay_short() {
    let complaints: Vec<_> = sources().iter().filter_map(too_long).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// Returns a file with this name and text.
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
        assert!(complaints[0].ends_with("runs backward"), "{complaints:?}");
    }
    let root = backward(&sample("core/gate.rs", "use crate::Slot;"));
    assert_eq!(root, ["core/gate.rs: `crate::Slot` names the crate root"]);
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
fn a_backward_import_inside_core_is_found_in_every_spelling() {
    for (name, text) in [
        ("core/gate/word.rs", "use crate::core::operation::permit::Permit;"),
        ("core/gate/mod.rs", "use crate::core::{line::Line, operation::permit::Permit};"),
        ("core/gate/mod.rs", "use crate::{core::{line::{Line}, operation::{self}}, sync::Mutex};"),
        ("core/gate/mod.rs", "use crate::core::operation as other;"),
        ("core/gate/mod.rs", "fn f() { crate::core::operation::permit::f(); }"),
        ("core/gate/mod.rs", "fn f(permit: &crate :: core\n::operation::Permit) {}"),
        ("core/gate/mod.rs", "use super::operation::Permit;"),
        ("core/gate/word.rs", "use super::super::operation::Permit;"),
        ("core/gate/word.rs", "use super::super::super::core::operation::Permit;"),
        ("core/gate/word.rs", "use super::{super::operation, effects::Effects};"),
        ("core/gate/word.rs", "mod tests { use super::super::super::operation::Permit; }"),
        ("core/gate/word.rs", "mod tests { fn f() { super::super::super::operation::f(); } }"),
        ("core/gate/mod.rs", "macro_rules! m { () => { $crate::core::operation::Permit } }"),
        ("core/gate/mod.rs", "/* comment */ use crate::core::operation::Permit;"),
        ("core/limits/alarm.rs", "use super::super::gate::Gate;"),
        ("core/limits/mod.rs", "use super::{gate::Gate, line::Line};"),
        ("core/limits/timer.rs", "use crate::core::MAX_UNITS;"),
        ("core/line/list.rs", "use crate::core::{chunks::Spare, limits::Expiry};"),
        ("core/rejection/mod.rs", "use crate::core::line::Line;"),
        ("core/chunks.rs", "use super::line::Node;"),
        ("core/chunks.rs", "use crate::core::rejection::Rejection;"),
        ("core/operation/run.rs", "#[cfg(test)] use crate::core::models::Model;"),
    ] {
        let complaints = backward_in_core(&sample(name, text));
        assert_eq!(complaints.len(), 1, "{text}: {complaints:?}");
        assert!(complaints[0].ends_with("runs backward"), "{complaints:?}");
    }
    for (name, text, complaint) in [
        ("core/rejection/mod.rs", "use super::chunks::Spare;", "couples independent rooms"),
        ("core/line/mod.rs", "use crate::core::rejection::*;", "couples independent rooms"),
        ("core/gate/word.rs", "use super::super::Gate;", "names core itself"),
        ("core/gate/mod.rs", "use crate::core;", "names core itself"),
        ("core/gate/mod.rs", "use crate::{core::{self, line::Line}};", "names core itself"),
        ("core/gate/mod.rs", "use super::*;", "names core itself"),
        ("core/mod.rs", "pub(crate) use gate::Gate;", "is no listed re-export"),
        ("core/mod.rs", "pub(crate) use operation::MAX_UNITS;", "is no listed re-export"),
        ("core/helpers.rs", "", "is in no room of core"),
        ("bulkhead/slot.rs", "use crate::core::models::Model;", "imports the models"),
    ] {
        let complaints = backward_in_core(&sample(name, text));
        assert_eq!(complaints.len(), 1, "{text}: {complaints:?}");
        assert!(complaints[0].ends_with(complaint), "{complaints:?}");
    }
}

#[test]
fn an_allowed_import_inside_core_is_not_reported() {
    for (name, text) in [
        ("core/line/mod.rs", "use crate::core::{chunks::Spare, line::list::List};"),
        ("core/line/list.rs", "use super::{super::chunks::Spare, Line};"),
        (
            "core/limits/mod.rs",
            "use crate::core::{chunks::Spare, line::Line, rejection::Rejection};",
        ),
        ("core/limits/alarm.rs", "use super::super::line::Line; use super::timer::Timer;"),
        ("core/gate/mod.rs", "use crate::{core::{gate::word::Word, limits::Expiry}, sync::Mutex};"),
        ("core/gate/mod.rs", "mod tests { use super::super::limits::Expiry; use super::*; }"),
        ("core/gate/word.rs", "mod tests { mod more { use super::helper; } }"),
        ("core/gate/word.rs", "pub(in crate::core) struct Word; pub(super) fn f() {}"),
        ("core/gate/word.rs", "// use crate::core::operation::Permit;"),
        ("core/gate/word.rs", "use core::{mem, operation}; use std::core::operation;"),
        ("core/operation/permit.rs", "use crate::core::{MAX_UNITS, gate::Gate, limits::Expiry};"),
        ("core/models/closing.rs", "use super::*; use crate::core::operation::drain::Drain;"),
        ("core/mod.rs", "pub(crate) mod gate; pub(crate) use gate::word::MAX_UNITS;"),
        ("bulkhead/slot.rs", "use crate::core::{MAX_UNITS, operation::permit::Permit};"),
        ("lib.rs", "pub use crate::core::gate::Gate;"),
    ] {
        assert_eq!(backward_in_core(&sample(name, text)), [""; 0], "{text}");
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
        let found = sync_only_paths(&sample("core/gate.rs", text));
        assert!(found.iter().any(|(_, found)| found == path), "{text}: {found:?}");
        assert_eq!(sync_only_paths(&sample("sync.rs", text)), []);
    }
    let allowed = "use crate::sync::{Arc, Mutex}; use tokio::sync::mpsc; use std::task::Wake;";
    assert_eq!(sync_only_paths(&sample("core/gate.rs", allowed)), []);
}

#[test]
fn a_file_of_five_hundred_lines_is_too_long() {
    assert!(too_long(&sample("core/gate.rs", &"\n".repeat(LINE_LIMIT - 1))).is_none());
    assert!(too_long(&sample("core/gate.rs", &"\n".repeat(LINE_LIMIT))).is_some());
}
