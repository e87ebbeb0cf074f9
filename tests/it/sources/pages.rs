//! The pages beside the code: their links lead somewhere, and the files that they name exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Component, Path, PathBuf},
};

struct Page {
    path: PathBuf,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<Page> {
    let in_folder = |folder: PathBuf| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    };
    let folders = [root().to_owned(), root().join("docs"), root().join("examples")];
    let paths = folders.into_iter().flat_map(in_folder);
    paths.map(|path| Page { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// Returns what is between `open` and the next `close`, each time `open` is found.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| Some(rest.split_once(close)?.0))
}

/// Returns the name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let kept =
        heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn is_dead(page: &Page, link: &str) -> bool {
    if link.starts_with("https://") || link.starts_with("http://") {
        return false;
    }
    let (file, section) = link.split_once('#').unwrap_or((link, ""));
    let target = match file {
        "" => page.path.clone(),
        _ => page.path.parent().unwrap().join(file),
    };
    if !target.exists() {
        return true;
    }
    let has_section = || {
        let text = fs::read_to_string(target).unwrap();
        text.lines()
            .any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == section)
    };
    !section.is_empty() && !has_section()
}

/// Returns the paths that `a/{b,c}.rs` stands for.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, (choices, after))) =
        path.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return vec![path.to_owned()];
    };
    choices.split(',').map(|choice| format!("{before}{choice}{after}")).collect()
}

#[test]
fn no_link_is_dead() {
    let pages = pages();
    let mut links = 0;
    for page in &pages {
        for link in between(&page.text, "](", ')') {
            links += 1;
            assert!(!is_dead(page, link), "{} links to {link}", page.path.display());
        }
    }
    assert!(pages.len() > 7 && links > 20, "{links} links in {} pages", pages.len());
    let page = pages.iter().find(|page| page.path.ends_with("CONTRIBUTING.md")).unwrap();
    for (link, dead) in [
        ("docs/nowhere.md", true),
        ("#nowhere", true),
        ("#glossary", false),
        ("docs/advice.md", false),
    ] {
        assert_eq!(is_dead(page, link), dead, "{link}");
    }
}

/// Returns the path from the root to what a page links to.
fn from_root(page: &Page, file: &str) -> PathBuf {
    let folder = page.path.parent().unwrap().strip_prefix(root()).unwrap();
    let mut path = PathBuf::new();
    for component in folder.join(file).components() {
        match component {
            Component::ParentDir => assert!(path.pop(), "{} leaves the repository", file),
            component => path.push(component),
        }
    }
    path
}

/// Returns whether `include` of `Cargo.toml`, with patterns such as `/src` and `/docs/*.*`, puts a path into the package.
fn is_packaged(include: &[&str], path: &Path) -> bool {
    include.iter().any(|pattern| match pattern.strip_suffix("/*.*") {
        Some(folder) => path.parent() == Some(Path::new(folder)),
        None => path.starts_with(pattern),
    })
}

#[test]
fn what_the_package_links_to_is_in_it() {
    let manifest: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let include = manifest["package"]["include"].as_array().unwrap().iter();
    let include: Vec<_> = include.map(|entry| &entry.as_str().unwrap()[1..]).collect();
    let mut links = 0;
    for page in pages() {
        // Those of the README lead into the repository from crates.io, too.
        let path = page.path.strip_prefix(root()).unwrap();
        if path == "README.md" || !is_packaged(&include, path) {
            continue;
        }
        for link in between(&page.text, "](", ')') {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || link.contains("://") {
                continue;
            }
            links += 1;
            let is_packaged = is_packaged(&include, &from_root(&page, file));
            assert!(is_packaged, "{} links to {link}", path.display());
        }
    }
    assert!(links > 15, "{links} links");
    for outside in ["CONTRIBUTING.md", "tests/it/main.rs", "docs/images/page.png", "docs.md"] {
        assert!(!is_packaged(&include, Path::new(outside)), "{outside}");
    }
}

/// Returns the crates of the paths in signatures: `http` of `http::request::Request`.
fn crates_in(signatures: &str) -> BTreeSet<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let paths = signatures.split(|c| !is_path(c)).filter_map(|path| path.split_once("::"));
    let crates = paths.filter(|(first, _)| first.starts_with(|c: char| c.is_ascii_lowercase()));
    // Others are the standard library, this crate, and what a macro writes for `Unpin`.
    let others = ["core", "alloc", "std", "bulklink", "pin_project_lite"];
    let crates = crates.map(|(name, _)| name).filter(|name| !others.contains(name));
    // Where the traits of serde are.
    crates.map(|name| if name == "serde_core" { "serde" } else { name }.replace('_', "-")).collect()
}

#[test]
fn crates_in_the_public_api_are_named_as_such() {
    let read = |file| fs::read_to_string(root().join("docs").join(file)).unwrap();
    let stability = read("stability.md");
    let (_, table) = stability.split_once("| crate | where |").unwrap();
    let names = table.lines().filter_map(|row| row.strip_prefix("| `")?.split(" | ").next());
    let names = names.flat_map(|names| names.split(", "));
    let named: BTreeSet<_> = names.map(|name| name.trim_matches('`').to_owned()).collect();
    let mut found = crates_in(&read("public-api.txt"));
    assert!(found.contains("http-body"), "{found:?}");
    // Not in signatures, but both sides share what is in them.
    found.extend(["metrics", "tracing"].map(str::to_owned));
    assert_eq!(found, named);
}

#[test]
fn files_that_are_named_exist() {
    let mut named = 0;
    for page in pages() {
        // Every other part is between backticks.
        for quoted in page.text.split('`').skip(1).step_by(2) {
            let is_path = quoted.ends_with(".rs") && quoted.contains('/') && !quoted.contains(' ');
            // That of the reader.
            if !is_path || quoted == "src/main.rs" {
                continue;
            }
            for path in expanded(quoted) {
                named += 1;
                let exists = ["", "src"].iter().any(|base| root().join(base).join(&path).exists());
                assert!(exists, "{} names {path}", page.path.display());
            }
        }
    }
    assert!(named > 40, "{named} files are named");
}

/// Returns what is wrong with the rows of a page of promises.
fn unkept(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")).map(|row| row.split(" | "));
    let mut wrong = Vec::new();
    let mut expected = 1;
    for mut row in rows {
        let Some(number) = row.next().and_then(|number| number.parse::<u32>().ok()) else {
            continue;
        };
        if number != expected {
            wrong.push(format!("{expected} is missing before {number}"));
        }
        expected = number + 1;
        let tests = row.last().unwrap_or_default();
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            wrong.push(format!("{number} has no test"));
        }
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or((test, ""));
            let folder = if file.contains("models") { "src" } else { "tests/it" };
            let file = fs::read_to_string(root().join(folder).join(file).with_extension("rs"));
            let exists = file.is_ok_and(|file| file.contains(&format!("fn {name}(")));
            if !exists {
                wrong.push(format!("{number} names {test}, which does not exist"));
            }
        }
    }
    if expected < 40 {
        wrong.push(format!("only {} promises", expected - 1));
    }
    wrong
}

#[test]
fn every_promise_has_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    assert_eq!(unkept(&text), Vec::<String>::new());
    let last = text.trim_end().lines().last().unwrap().len();
    let without_last = &text[..text.trim_end().len() - last];
    for (row, complaint) in [
        ("| 49 | It is fast | none |", "49 has no test"),
        (
            "| 49 | It is fast | `plain/fifo::it_is_fast` |",
            "49 names plain/fifo::it_is_fast, which does not exist",
        ),
        (
            "| 50 | It is fast | `plain/fifo::no_operation_overtakes_a_waiter` |",
            "49 is missing before 50",
        ),
    ] {
        assert_eq!(unkept(&format!("{without_last}{row}\n")), [complaint]);
    }
}
