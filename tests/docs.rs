//! What the documentation must have: every metric, every alert, every reason, every verb.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use stepbound::metrics::Metrics;
use stepbound::reason::Reason;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names and types of everything that the operator registers.
fn registered() -> BTreeSet<(String, String)> {
    let metrics = Metrics::default();
    let objects = metrics.objects();
    objects.queued("Workflow", "a");
    drop(objects.reconciling("Workflow", "a"));
    metrics.reconcile("Workflow", "success", Duration::ZERO);
    objects.stalled("Workflow", "a", Some("Reason"));
    metrics.aws_call("states:StartExecution", "success", Duration::ZERO);
    metrics.quota_wait("states:StartExecution", Duration::ZERO);
    metrics.token_mint("success");
    metrics.session_cache(true);
    metrics.run_started(Duration::ZERO);
    metrics.run_finished("Succeeded", Some(Duration::ZERO));
    metrics.rollout("complete");
    metrics.drift("corrected");
    metrics.orphaned("Workflow");
    metrics.leading(true);
    metrics.open_executions("111122223333", "eu-west-1").set(1);
    metrics.shards_held(1);
    let text = metrics.render().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE stepbound_"));
    types.map(|line| line.split_once(' ').unwrap()).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// Rows of the tables of a page, as cells.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    lines.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn the_table_of_metrics_is_what_is_registered() {
    let page = read("docs/metrics.md");
    let documented: BTreeSet<(String, String)> = rows(&page)
        .into_iter()
        .filter(|row| ["counter", "gauge", "histogram"].contains(&row.get(1).map_or("", String::as_str)))
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    assert_eq!(documented, registered());
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let known: Vec<String> = registered().into_iter().map(|(name, _)| format!("stepbound_{name}")).collect();
    let asked = read("charts/stepbound/alerts.yaml") + &read("charts/stepbound/dashboards/stepbound.json");
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names: BTreeSet<&str> = asked.split(word).filter(|name| name.starts_with("stepbound_")).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let base =
            ["_bucket", "_count", "_sum", "_total"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(known.iter().any(|metric| metric == base || metric == name), "{name}");
    }
}

#[test]
fn every_alert_has_a_section_in_the_runbook_and_every_section_an_alert() {
    let page = read("docs/runbook.md");
    let alerts: Value = serde_yaml::from_str(&read("charts/stepbound/alerts.yaml")).unwrap();
    let alerts: BTreeSet<&str> =
        alerts.as_array().unwrap().iter().map(|alert| alert["alert"].as_str().unwrap()).collect();
    let sections: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).filter(|name| name.starts_with("Stepbound")).collect();
    assert_eq!(alerts, sections);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn every_reason_is_in_the_runbook() {
    let page = read("docs/runbook.md");
    let explained: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let missing: Vec<&Reason> = Reason::ALL.iter().filter(|reason| !explained.contains(reason.as_str())).collect();
    assert!(missing.is_empty(), "docs/runbook.md says nothing of {missing:?}");
}

#[test]
fn nothing_is_decided_by_the_text_of_a_reason() {
    for path in sources(&Path::new(ROOT).join("src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let product = text.split("#[cfg(test)]").next().unwrap();
        for decides in
            [".reason == \"", ".reason != \"", ".reason.as_str() == \"", "contains(&failure.reason.as_str())"]
        {
            assert!(!product.contains(decides), "{} compares a reason with a text: {decides}", path.display());
        }
    }
}

#[test]
fn the_runbook_explains_a_reason_once_for_each_kind() {
    const ALL: &str = "`tb` `sfn` `sfnrun` `sfnact` `sfncron` `idp`";
    let page = read("docs/runbook.md");
    let section = page.split("# Reasons\n").nth(1).unwrap();
    let mut explained = BTreeSet::new();
    for row in rows(section) {
        // The table of ends is of runs alone; words beside a reason tell its cases apart.
        let (reasons, kinds) = (row[0].as_str(), if row.len() > 2 { row[1].as_str() } else { "`sfnrun`" });
        let kinds = if kinds == "all" { ALL } else { kinds };
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let beside: String = reasons.split('`').step_by(2).collect();
        for reason in quoted(reasons) {
            for kind in quoted(kinds) {
                let once = explained.insert((reason.clone(), kind.clone(), beside.replace(',', "").trim().to_owned()));
                assert!(once, "docs/runbook.md explains {reason} of {kind} twice");
            }
        }
    }
    assert!(explained.len() > 100, "the test sees the tables: {}", explained.len());
}

/// Links to other pages and to their sections lead somewhere.
#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages: Vec<PathBuf> = sources(&Path::new(ROOT).join("docs"));
    pages.extend(sources(&Path::new(ROOT).join("deploy")));
    pages.extend(["README.md", "SECURITY.md"].map(|page| Path::new(ROOT).join(page)));
    for page in pages.into_iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.starts_with("http") || link.contains(' ') {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !section.is_empty() && target.extension().is_some_and(|extension| extension == "md") {
                let there = std::fs::read_to_string(&target).unwrap();
                let anchors = there.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(anchors.into_iter().any(|one| one == section), "{}: {link}", page.display());
            }
        }
    }
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-')
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn the_reference_of_fields_is_that_of_the_types() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let program = std::process::Command::new(env!("CARGO_BIN_EXE_stepbound"));
    let written = { program }.args(["crds", "--reference"]).arg(file.path()).status().unwrap();
    assert!(written.success());
    assert_eq!(read("docs/reference.md"), std::fs::read_to_string(file.path()).unwrap(), "run `make crds`");
}

#[test]
fn every_example_passes_the_linter() {
    let mut lint = std::process::Command::new(env!("CARGO_BIN_EXE_stepbound"));
    let output = lint.args(["lint", "examples", "deploy/kustomize/example"]).current_dir(ROOT).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Names of tests in a page: words in backticks, which may end in an ellipsis.
fn tests_named(page: &str) -> Vec<String> {
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c))
    };
    quoted.filter(is_name).map(str::to_owned).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let folders = ["src", "tests"].map(|folder| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)));
    let rust = folders.iter().flatten().filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let code: String = rust.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for page in ["docs/features.md", "docs/security.md", "docs/threat-model.md"] {
        let named = tests_named(&read(page));
        assert!(named.len() > 10, "{page} names its tests");
        for name in named {
            let written = name.strip_suffix('…').map_or_else(|| format!("fn {name}("), |begin| format!("fn {begin}"));
            assert!(code.contains(&written), "{page} names {name}, which is no test");
        }
    }
}

/// A number says nothing where it is met: above each test stands what it asks for, as docs/security.md has it.
#[test]
fn a_test_of_a_requirement_says_what_is_required() {
    let page = read("docs/security.md");
    let required = |number: u32| -> Vec<&str> {
        page.split(&format!("| {number} | ")).skip(1).filter_map(|rest| rest.split(" |").next()).collect()
    };
    let folders = ["src", "tests"].map(|folder| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)));
    let mut seen = 0;
    for path in folders.iter().flatten().filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let Some((before, name)) = line.split_once("fn requirement") else { continue };
            if !before.trim().is_empty() && before.trim() != "async" {
                continue;
            }
            let numbers =
                name.split(['_', '(']).filter_map(|word| word.parse::<u32>().ok().filter(|_| word.len() == 2));
            let above = lines[..at].iter().rev().take_while(|line| line.trim_start().starts_with(['/', '#']));
            let above: Vec<&str> = above.copied().collect();
            for number in numbers {
                let told = |text: &str| above.iter().any(|line| line.ends_with(&format!(": {text}.")));
                assert!(required(number).into_iter().any(told), "{}: {line}", path.display());
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "the test finds the tests: {seen}");
}

/// What is found, what is not and what could not be looked at are three answers.
#[test]
fn advisories_that_cannot_be_had_are_not_taken_for_none() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let stand_in = folder.path().join("cargo-deny");
    let run = |fetch: i32, check: i32| {
        let script = format!("#!/bin/sh\ncase \"$*\" in *fetch*) exit {fetch} ;; *) exit {check} ;; esac\n");
        std::fs::write(&stand_in, script).unwrap();
        std::fs::set_permissions(&stand_in, std::fs::Permissions::from_mode(0o755)).unwrap();
        let script = Path::new(ROOT).join("tools/advisories.sh");
        let output = std::process::Command::new(script).env("CARGO_DENY", &stand_in).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said.split(':').next().unwrap().to_owned())
    };
    assert_eq!(run(0, 0), (0, "checked".to_owned()));
    assert_eq!(run(0, 1), (1, "found".to_owned()));
    assert_eq!(run(1, 0), (3, "not checked".to_owned()));
}

/// Parts of ARNs as the service authorization reference writes them are for nobody to read.
#[test]
fn no_page_of_rights_has_a_placeholder_of_the_reference() {
    for page in ["policy.md", "trust.md", "security.md", "irsa.md"] {
        let text = std::fs::read_to_string(format!("{}/docs/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let found = ["${Partition}", "${Account}", "${Region}"].into_iter().find(|name| text.contains(name));
        assert_eq!(found, None, "{page}");
    }
}
