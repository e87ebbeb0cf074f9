//! Compiler messages for likely mistakes.
//!
//! Every program in `tests/ui` must fail to compile, and the compiler's output must contain the text of its
//! `//~ ..` lines, in that order.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

#[test]
fn the_compiler_explains_likely_mistakes() {
    let compiler = Compiler::new();
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut programs: Vec<_> =
        programs.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    programs.sort();
    assert!(!programs.is_empty());
    for program in programs {
        let source = fs::read_to_string(&program).unwrap();
        let output = compiler.errors(&program);
        let mut rest = &*output;
        let expected: Vec<_> =
            source.lines().filter_map(|line| line.strip_prefix("//~ ")).collect();
        assert!(!expected.is_empty(), "{} has no `//~` line", program.display());
        for expected in expected {
            let Some((_, after)) = rest.split_once(expected) else {
                panic!("{}: no {expected:?} in\n{output}", program.display());
            };
            rest = after;
        }
    }
}

/// The compiler, with the libraries that this test was built with.
struct Compiler {
    libraries: HashMap<&'static str, PathBuf>,
    scratch: TempDir,
}

impl Compiler {
    /// Gets the libraries from cargo. They are already built, because this test runs, so cargo only lists them.
    fn new() -> Self {
        let executable = env::current_exe().unwrap();
        let target = executable.ancestors().nth(3).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--test", "it", "--no-run", "--offline", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", target);
        let messages = String::from_utf8(cargo.output().unwrap().stdout).unwrap();
        let library = |name| {
            let prefix = format!("/lib{name}-");
            let paths = messages.lines().flat_map(|line| line.split('"'));
            let path = { paths }.rfind(|path| path.contains(&prefix) && path.ends_with(".rlib"));
            (name, path.unwrap_or_else(|| panic!("cargo does not list {name}")).into())
        };
        let libraries = ["axum", "bulklink", "http", "tower"].map(library).into();
        Self { libraries, scratch: tempfile::tempdir().unwrap() }
    }

    /// Returns the compiler's messages for a program that must not compile.
    fn errors(&self, program: &Path) -> String {
        let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition=2024", "--crate-type=bin", "--emit=metadata"]).arg(program);
        rustc.arg("--out-dir").arg(self.scratch.path());
        for (name, path) in &self.libraries {
            rustc.arg("--extern").arg(format!("{name}={}", path.display()));
            rustc.arg("-L").arg(format!("dependency={}", path.parent().unwrap().display()));
        }
        let output = rustc.output().unwrap();
        assert!(!output.status.success(), "{} compiles", program.display());
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
