//! The invariants of ARCHITECTURE.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "tidy/imports.rs"]
mod imports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Modules that decide and touch nothing.
const PURE: [&str; 36] = [
    "src/asl",
    "src/asl.rs",
    "src/graph",
    "src/graph.rs",
    "src/iam",
    "src/iam.rs",
    "src/input_schema",
    "src/input_schema.rs",
    "src/integrations",
    "src/integrations.rs",
    "src/jsonata",
    "src/jsonata.rs",
    "src/plan",
    "src/plan.rs",
    "src/status.rs",
    "src/managed_times.rs",
    "src/nesting.rs",
    "src/outcome.rs",
    "src/reason.rs",
    "src/controllers/index.rs",
    "src/runs/schedule.rs",
    "src/runs/machine.rs",
    "src/runs/durations.rs",
    "src/runs/fairness.rs",
    "src/runs/hints.rs",
    "src/kubectl/completion/words.rs",
    "src/kubectl/mcp/data.rs",
    "src/kubectl/mcp/key.rs",
    "src/kubectl/mcp/offers.rs",
    "src/kubectl/mcp/schema.rs",
    "src/kubectl/pretty.rs",
    "src/kubectl/run_workflow/manifest.rs",
    "src/kubectl/run_workflow/set.rs",
    "src/kubectl/table.rs",
    "src/kubectl/timeline.rs",
    "src/kubectl/words.rs",
];

fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| Path::new(ROOT).join(folder)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push((path.strip_prefix(ROOT).unwrap().to_owned(), text));
        }
    }
    found
}

/// The code without comments and without its unit tests.
fn code(text: &str) -> String {
    let product = text.split("#[cfg(test)]\n").next().unwrap();
    product.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// Which of the words the code uses.
fn uses<'a>(text: &str, words: &[&'a str]) -> Vec<&'a str> {
    let code = code(text);
    words.iter().copied().filter(|word| code.contains(word)).collect()
}

#[test]
fn pure_modules_know_no_client_clock_or_sdk() {
    const FORBIDDEN: [&str; 10] = [
        "kube::",
        "tokio",
        "aws_sdk",
        "aws_smithy",
        "reqwest",
        "Instant",
        "SystemTime",
        "Timestamp::now",
        "Zoned::now",
        "std::fs",
    ];
    for (path, text) in sources(
        &PURE.map(|path| path).into_iter().filter(|path| Path::new(ROOT).join(path).exists()).collect::<Vec<_>>(),
    ) {
        // Unit tests in a file of their own may read what they compare with.
        let product = if path.ends_with("tests.rs") { "" } else { &text };
        assert_eq!(uses(product, &FORBIDDEN), Vec::<&str>::new(), "{}", path.display());
    }
}

#[test]
fn the_sdk_stays_in_its_two_folders() {
    for (path, text) in sources(&["src"]) {
        if ["src/aws", "src/identity"].iter().any(|one| path.with_extension("").starts_with(one)) {
            continue;
        }
        assert_eq!(uses(&text, &["aws_sdk", "aws_smithy", "aws_credential"]), Vec::<&str>::new(), "{}", path.display());
    }
}

#[test]
fn anyhow_stays_in_main() {
    for (path, text) in sources(&["src"]) {
        assert!(path.ends_with("main.rs") || uses(&text, &["anyhow"]).is_empty(), "{}", path.display());
    }
}

#[test]
fn the_command_line_does_not_reach_around_the_library() {
    for (path, text) in sources(&[
        "src/asl",
        "src/asl.rs",
        "src/plan",
        "src/plan.rs",
        "src/aws",
        "src/aws.rs",
        "src/identity",
        "src/identity.rs",
        "src/controllers",
        "src/controllers.rs",
    ]) {
        assert_eq!(uses(&text, &["crate::cli"]), Vec::<&str>::new(), "{}", path.display());
    }
}

/// A file that needs what needs it cannot be read, tested or changed by itself.
#[test]
fn no_file_imports_itself_in_a_circle() {
    let files = sources(&["src"]).into_iter().map(|(path, text)| (path.to_string_lossy().into_owned(), text)).collect();
    let imports = imports::imports(&files);
    let of_a_kind = imports["src/plan/queue.rs"].contains("src/api/v1alpha1/workflow_run.rs");
    assert!(imports.len() > 200 && of_a_kind, "the test sees imports");
    let circles: Vec<String> = imports::circles(&files).iter().map(|circle| circle.join(" -> ")).collect();
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

/// One style: a module `x` is in `x.rs`, and its parts are in the folder `x`.
#[test]
fn a_module_is_named_by_its_file() {
    let named_mod: Vec<PathBuf> =
        sources(&["src"]).into_iter().map(|(path, _)| path).filter(|path| path.ends_with("mod.rs")).collect();
    assert_eq!(named_mod, Vec::<PathBuf>::new());
}

/// The macros panic where nobody reads any more, as behind `head`.
#[test]
fn the_command_line_prints_by_one_file() {
    for (path, text) in sources(&["src/cli", "src/main.rs"]) {
        let words = ["print!(", "println!(", "dbg!(", "io::stdout", "io::stderr"];
        let by_itself = if path.ends_with("cli/out.rs") { Vec::new() } else { uses(&text, &words) };
        assert_eq!(by_itself, Vec::<&str>::new(), "{}", path.display());
    }
}

#[test]
fn files_stay_readable_and_finished() {
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    for (path, text) in sources(&["src", "tests", "tools"]) {
        assert!(text.lines().count() <= 500, "{} has more than 500 lines", path.display());
        for mark in unfinished {
            assert!(!text.contains(mark), "{} has {mark}", path.display());
        }
    }
}

/// A tag or a branch can be moved to other code; a commit cannot. The version beside it is for people and for updates. The
/// token of a job ends with it; any other secret would be a key that somebody keeps.
#[test]
fn every_action_is_pinned_by_its_digest() {
    let folder = Path::new(ROOT).join(".github/workflows");
    let own = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut actions = 0;
    let given = ["deploy/krew/index.workflow.yaml", "examples/ci/github-actions.yaml"];
    for path in own.chain(given.map(|path| Path::new(ROOT).join(path))) {
        let text = std::fs::read_to_string(&path).unwrap();
        let kept = text.split("secrets.").skip(1).find(|rest| !rest.starts_with("GITHUB_TOKEN }}"));
        assert!(kept.is_none(), "{}: a secret that outlives its job: {kept:?}", path.display());
        assert!(text.contains("\npermissions: {}\n"), "{}: rights are given job by job", path.display());
        for line in text.lines().filter(|line| line.contains("uses:")) {
            assert!(is_pinned(line), "{}: {line}", path.display());
            actions += 1;
        }
    }
    assert!(actions >= 10, "the test sees the workflows");
    let digest = "0123456789abcdef0123456789abcdef01234567";
    assert!(is_pinned(&format!("- uses: a/b@{digest} # v1.2.3")));
    for loose in [format!("- uses: a/b@{digest}"), "- uses: a/b@v4 # v4.0.0".into(), format!("uses: a/b@{digest} # v4")]
    {
        assert!(!is_pinned(&loose), "{loose}");
    }
}

fn is_pinned(line: &str) -> bool {
    let Some((_, reference)) = line.split_once('@') else { return false };
    let Some((digest, version)) = reference.split_once(" # v") else { return false };
    let numbers: Vec<&str> = version.split('.').collect();
    let is_digest =
        digest.len() == 40 && digest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    is_digest && numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok())
}

#[test]
fn every_invariant_names_its_test_and_every_test_an_invariant() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let named: Vec<&str> = text.lines().filter(|line| line.contains("Architecture invariant")).collect();
    let own = std::fs::read_to_string(Path::new(ROOT).join("tests/tidy.rs")).unwrap();
    let tests: Vec<&str> = own.lines().filter_map(|line| line.strip_prefix("fn ")?.strip_suffix("() {")).collect();
    for line in &named {
        assert!(tests.iter().any(|test| line.contains(&format!("`{test}`"))), "no test: {line}");
    }
    for test in tests.iter().filter(|test| !test.starts_with("the_checks") && !test.starts_with("every_invariant")) {
        assert!(named.iter().any(|line| line.contains(&format!("`{test}`"))), "{test} is not in ARCHITECTURE.md");
    }
}

#[test]
fn the_checks_follow_imports_to_where_things_are() {
    let circles = |files: &[(&str, &str)]| {
        let files: BTreeMap<String, String> =
            files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        imports::circles(&files).into_iter().map(|circle| circle.join(" ")).collect::<Vec<_>>()
    };
    let below = |a: &str, child: &str| {
        let lib = ("src/lib.rs", "pub mod a; pub mod kube;");
        circles(&[lib, ("src/a.rs", a), ("src/a/b.rs", child), ("src/kube.rs", "pub struct Api;")])
    };
    let told = ["src/a.rs src/a/b.rs"];
    let cases = [
        ("by a use", "mod b; use b::f; pub struct A;", "use super::A; pub fn f() {}", true),
        ("by a nested use", "mod b; use b::{g, inner::{self, f}}; pub struct A;", "use crate::{a::{A as B}};", true),
        ("by a path alone", "mod b; fn g() { b::f() } pub struct A;", "pub fn f(_: &crate::a::A) {}", true),
        (
            "by a path through a module",
            "mod b; fn g() { b::f() } pub fn h() {}",
            "use super::super::a; fn f() { a::h() }",
            true,
        ),
        ("by what a macro makes", "mod b; fn g() { b::f() }", "use crate::a::Made; fn f() {}", true),
        ("by a glob", "mod b; use b::*; fn g() { f() } pub struct A;", "use super::*; pub fn f() -> A {}", true),
        ("by a re-export that is used", "mod b; pub use b::B; pub struct A(B);", "pub struct B(super::A);", true),
        ("a parent imports its child", "mod b; use b::f; pub struct A;", "pub fn f() {}", false),
        ("a child its parent, which hands on", "mod b; pub use b::f; pub struct A;", "use super::A; fn f() {}", false),
        ("by way of a re-export", "mod b; pub use b::B;", "pub struct B; fn f(_: super::B, _: crate::a::B) {}", false),
        (
            "in a unit test",
            "mod b; use b::f; pub struct A;",
            "pub fn f() {} #[cfg(test)] mod tests { use crate::a::A; }",
            false,
        ),
        (
            "in words",
            "mod b; use b::f; pub struct A;",
            "pub fn f() -> &'static str { \"crate::a::A\" } // crate::a::A",
            false,
        ),
        ("another crate of the name", "mod b; use b::f; pub struct Api;", "use kube::Api; pub fn f() {}", false),
    ];
    for (what, parent, child, is_circle) in cases {
        assert_eq!(below(parent, child), if is_circle { &told[..] } else { &[] }, "{what}");
    }
    let (x, y) = (("src/x.rs", "use crate::y::Y; pub struct X;"), ("src/y.rs", "use crate::z::Z; pub struct Y;"));
    let three = [("src/lib.rs", "mod x; mod y; mod z;"), x, y, ("src/z.rs", "use crate::x::X; pub struct Z;")];
    assert_eq!(circles(&three), ["src/x.rs src/y.rs src/z.rs"]);
}

#[test]
fn the_checks_see_code_and_not_comments_or_unit_tests() {
    assert_eq!(uses("use tokio::sync;", &["tokio"]), ["tokio"]);
    assert!(uses("// tokio\n", &["tokio"]).is_empty());
    assert!(uses("fn f() {}\n#[cfg(test)]\nmod tests { use tokio; }", &["tokio"]).is_empty());
}
