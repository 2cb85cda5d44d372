//! What a release has of the plugin: archives, the manifest for krew, man pages.

#[path = "../../tools/man.rs"]
mod man;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use serde_json::Value;

use crate::{ROOT, read};

const DATE: &str = "2026-01-31";
const PLATFORMS: [&str; 5] = ["darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64", "windows-amd64"];

fn tool(name: &str, arguments: &[&str]) -> Output {
    Command::new(Path::new(ROOT).join("tools").join(name)).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder as the release has it before it packs: a program a platform, and man pages.
fn built() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for platform in PLATFORMS {
        let end = if platform.starts_with("windows") { ".exe" } else { "" };
        std::fs::write(folder.path().join(format!("kubectl-sfn-{platform}{end}")), platform).unwrap();
    }
    man::write(&folder.path().join("man"), DATE).unwrap();
    folder
}

fn pack(folder: &Path) {
    let packed = tool("package-plugin.sh", &[folder.to_str().unwrap(), folder.join("man").to_str().unwrap()]);
    assert!(packed.status.success(), "{}", text(&packed.stderr));
}

fn digest(path: &Path) -> String {
    stepbound::digest::sha256_hex(&std::fs::read(path).unwrap())
}

#[test]
fn an_archive_has_program_licence_man_pages_and_completions_and_the_same_bytes_each_time() {
    let folder = built();
    pack(folder.path());
    let archives = || -> BTreeMap<&str, String> {
        let path = |platform: &str| folder.path().join(format!("kubectl-sfn-{platform}.tar.gz"));
        PLATFORMS.into_iter().map(|platform| (platform, digest(&path(platform)))).collect()
    };
    let before = archives();
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), PLATFORMS.len(), "each has its own program");
    for platform in PLATFORMS {
        let archive = folder.path().join(format!("kubectl-sfn-{platform}.tar.gz"));
        let listed = Command::new("tar").arg("tvf").arg(&archive).output().unwrap();
        let listed = text(&listed.stdout);
        let bin = if platform.starts_with("windows") { "kubectl-sfn.exe" } else { "kubectl-sfn" };
        for (mode, name) in [
            ("-rwxr-xr-x", bin),
            ("-rw-r--r--", "LICENSE"),
            ("-rw-r--r--", "completions/kubectl-sfn.bash"),
            ("-rw-r--r--", "completions/_kubectl_sfn"),
            ("-rw-r--r--", "completions/kubectl-sfn.fish"),
            ("-rwxr-xr-x", "completions/kubectl_complete-sfn"),
            ("-rw-r--r--", "man/man1/kubectl-sfn.1"),
            ("-rw-r--r--", "man/man1/kubectl-sfn-run.1"),
        ] {
            let line =
                |line: &str| line.starts_with(mode) && line.contains(" 0/0 ") && line.ends_with(&format!(" {name}"));
            assert!(listed.lines().any(line), "{platform} {name}:\n{listed}");
        }
        let held = Command::new("tar").arg("xOf").arg(&archive).arg(bin).output().unwrap();
        assert_eq!(text(&held.stdout), platform, "the program of its platform");
    }
    pack(folder.path());
    assert_eq!(archives(), before);
}

/// The rules are those of krew's `validate-krew-manifest`.
#[test]
fn the_manifest_for_krew_names_every_platform_once_with_the_digest_of_its_archive() {
    let folder = built();
    pack(folder.path());
    let made = tool("krew-manifest.sh", &["1.2.3", folder.path().to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let manifest: Value = serde_yaml::from_str(&text(&made.stdout)).unwrap();
    assert!(!text(&made.stdout).contains('@'), "nothing of the template is left");
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!((&manifest["kind"], &manifest["metadata"]["name"]), (&"Plugin".into(), &"sfn".into()));
    assert_eq!(manifest["spec"]["version"], "v1.2.3");
    for field in ["shortDescription", "description", "homepage", "caveats"] {
        assert!(manifest["spec"][field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
    }
    assert!(!manifest["spec"]["shortDescription"].as_str().unwrap().contains('\n'));
    let known = ["version", "homepage", "shortDescription", "description", "caveats", "platforms"];
    assert!(manifest["spec"].as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{manifest}");
    let mut platforms = Vec::new();
    for platform in manifest["spec"]["platforms"].as_array().unwrap() {
        let known = ["selector", "uri", "sha256", "bin", "files"];
        assert!(platform.as_object().unwrap().keys().all(|key| known.contains(&key.as_str())), "{platform}");
        let labels = platform["selector"]["matchLabels"].as_object().unwrap();
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["os", "arch"]);
        let (os, arch) = (labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap());
        let archive = format!("kubectl-sfn-{os}-{arch}.tar.gz");
        assert_eq!(
            platform["uri"],
            format!("{}/releases/download/v1.2.3/{archive}", manifest["spec"]["homepage"].as_str().unwrap())
        );
        assert_eq!(platform["sha256"], digest(&folder.path().join(&archive)), "{archive}");
        let listed = Command::new("tar").arg("tf").arg(folder.path().join(&archive)).output().unwrap();
        let listed = text(&listed.stdout);
        let files = platform["files"].as_array().unwrap();
        for file in files {
            let from = file["from"].as_str().unwrap();
            assert!(listed.lines().any(|name| name == from) && file["to"] == ".", "{archive} has no {from}: {listed}");
        }
        assert!(
            files.iter().any(|file| file["from"] == platform["bin"])
                && files.iter().any(|file| file["from"] == "LICENSE")
        );
        platforms.push(format!("{os}-{arch}"));
    }
    platforms.sort();
    assert_eq!(platforms, PLATFORMS);
}

#[test]
fn a_release_without_an_archive_has_no_manifest_for_krew() {
    let folder = built();
    let refused = |version: &str| {
        let made = tool("krew-manifest.sh", &[version, folder.path().to_str().unwrap()]);
        assert_eq!(made.status.code(), Some(1), "{made:?}");
        text(&made.stderr)
    };
    pack(folder.path());
    for version in ["v1.2.3", "1.2", "1.2.3\nx: y", ""] {
        assert!(refused(version).contains("version"), "{version:?}");
    }
    std::fs::write(folder.path().join("kubectl-sfn-darwin-arm64.tar.gz"), "").unwrap();
    assert!(refused("1.2.3").contains("there is no"), "an empty archive is none");
    let empty = tempfile::tempdir().unwrap();
    let man = folder.path().join("man");
    let packed = tool("package-plugin.sh", &[empty.path().to_str().unwrap(), man.to_str().unwrap()]);
    assert!(packed.status.code() == Some(1) && text(&packed.stderr).contains("there is no kubectl-sfn-"), "{packed:?}");
}

#[test]
fn the_release_builds_what_the_manifest_for_krew_downloads() {
    let workflow: Value = serde_yaml::from_str(&read(".github/workflows/release.yaml")).unwrap();
    let built = workflow["jobs"]["plugin"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let mut built: Vec<&str> = built.iter().map(|one| one["platform"].as_str().unwrap()).collect();
    built.sort_unstable();
    assert_eq!(built, PLATFORMS);
    let needs: Vec<&str> =
        workflow["jobs"]["release"]["needs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(needs.contains(&"plugin"), "{needs:?}");
    let steps = workflow["jobs"]["release"]["steps"].as_array().unwrap();
    let run = |word: &str| steps.iter().any(|step| step["run"].as_str().is_some_and(|run| run.contains(word)));
    for word in ["make man", "tools/package-plugin.sh", "tools/krew-manifest.sh", "kubectl-sfn-*.tar.gz", "sfn.yaml"] {
        assert!(run(word), "{word}");
    }
}

#[test]
fn there_is_a_man_page_a_verb_and_man_shows_it_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    man::write(folder.path(), DATE).unwrap();
    let mut written: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    let mut command = stepbound::kubectl::Cli::command();
    command.build();
    let mut expected = pages(&command, "kubectl-sfn");
    expected.sort();
    assert_eq!(written, expected);
    for name in &written {
        let path = folder.path().join(name);
        let page = std::fs::read_to_string(&path).unwrap();
        let own = name.trim_end_matches(".1");
        assert!(page.contains(&format!(".TH {own} 1 {DATE} ")), "{name}:\n{page}");
        for program in [&["groff", "-man", "-ww", "-Tutf8", "-z"][..], &["mandoc", "-Tlint", "-Wwarning"]] {
            let checked = Command::new(program[0]).args(&program[1..]).arg(&path).stdin(Stdio::null()).output();
            match checked {
                Ok(checked) => {
                    let told = text(&checked.stderr) + &text(&checked.stdout);
                    assert!(checked.status.success() && told.is_empty(), "{name}: {}: {told}", program[0]);
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}", program[0]),
            }
        }
    }
}

/// The names of the pages of a command and of those under it.
fn pages(command: &clap::Command, name: &str) -> Vec<String> {
    let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help");
    let below = shown.flat_map(|verb| pages(verb, &format!("{name}-{}", verb.get_name())));
    std::iter::once(format!("{name}.1")).chain(below).collect()
}
