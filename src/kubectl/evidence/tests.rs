//! The folder, the page and the period.

use serde_json::json;

use super::*;
use crate::digest::sha256_hex;
use crate::plan::evidence::{Listing, LogReader};

fn files() -> Vec<(String, String)> {
    vec![("a.json".to_owned(), "{}\n".to_owned()), ("index.html".to_owned(), "<p>".to_owned())]
}

fn by() -> Value {
    json!({"writtenBy": "kubectl sfn evidence 1"})
}

#[test]
fn the_folder_is_written_whole_or_not_at_all_and_nothing_else_is_lost() {
    let place = tempfile::tempdir().unwrap();
    let names = |folder: &std::path::Path| {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let out = place.path().join("deep/evidence");
    assert_eq!(write::folder(&out, files(), by(), false).unwrap().files, 3);
    assert_eq!(names(&out), ["a.json", "index.html", "manifest.json"]);
    let manifest: Value = serde_json::from_str(&std::fs::read_to_string(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["files"][0], json!({"name": "a.json", "sha256": sha256_hex(b"{}\n"), "bytes": 3}));
    // Once more: refused, and with --force replaced.
    let refused = write::folder(&out, files(), by(), false).err().unwrap().to_string();
    assert!(refused.contains("--force"), "{refused}");
    std::fs::write(out.join("old"), "").unwrap();
    write::folder(&out, files(), by(), true).unwrap();
    assert_eq!(names(&out), ["a.json", "index.html", "manifest.json"]);
    assert_eq!(names(out.parent().unwrap()), ["evidence"], "nothing is left beside");
    // Whatever else is there stays, also with --force.
    let other = place.path().join("home");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis"), "mine").unwrap();
    for force in [false, true] {
        let refused = write::check(&other, force).unwrap_err().to_string();
        assert!(refused.contains("no evidence"), "{refused}");
    }
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(write::check(&file, true).unwrap_err().to_string().contains("is no folder"));
    assert!(write::folder(std::path::Path::new("/"), files(), by(), true).is_err());
    // One that is empty is taken.
    let empty = place.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    write::folder(&empty, files(), by(), false).unwrap();
    assert_eq!(names(&empty).len(), 3);
}

#[test]
fn a_file_that_cannot_be_written_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("evidence");
    let impossible = vec![("a.json".to_owned(), "{}".to_owned()), ("no/such/folder.json".to_owned(), "{}".to_owned())];
    assert!(write::folder(&out, impossible, by(), false).is_err());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_period_is_days_back_or_from_a_day_to_another() {
    let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    let period = |since: &str, from: Option<&str>, to: Option<&str>| {
        let flags = EvidenceFlags {
            output_dir: "x".into(),
            force: false,
            all_namespaces: false,
            since: since.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            audit_log: Vec::new(),
            trust_policy: Vec::new(),
            role_policy: Vec::new(),
        };
        period(&flags, now).map(|one| format!("{} {}", one.from, one.to)).map_err(|error| error.to_string())
    };
    assert_eq!(period("30d", None, None).unwrap(), "2026-01-30T12:00:00Z 2026-03-01T12:00:00Z");
    assert_eq!(period("12h", None, Some("2026-02-01")).unwrap(), "2026-01-31T12:00:00Z 2026-02-01T00:00:00Z");
    assert_eq!(
        period("30d", Some("2026-01-01"), Some("2026-02-01T01:00:00+01:00")).unwrap(),
        "2026-01-01T00:00:00Z 2026-02-01T00:00:00Z"
    );
    for (since, from, to, part) in [
        ("soon", None, None, "--since"),
        ("0", None, None, "is no period"),
        ("99999999999999999d", None, None, "is no period"),
        ("30d", Some("yesterday"), None, "--from"),
        ("30d", Some("2026-01-01T12:00"), None, "--from"),
        ("30d", Some("2026-01-02"), Some("2026-01-01"), "has no length"),
    ] {
        let refused = period(since, from, to).unwrap_err();
        assert!(refused.contains(part), "{since} {from:?} {to:?}: {refused}");
    }
}

#[test]
fn names_of_facts_are_words() {
    for (name, expected) in [
        ("allowedExecutionRoleARNs", "allowed execution role ARNs"),
        ("roleARN", "role ARN"),
        ("neededSHA256", "needed SHA256"),
        ("serviceAccountUID", "service account UID"),
        ("approvalRequiredBy", "approval required by"),
        ("clientID", "client ID"),
        ("uid", "uid"),
    ] {
        assert_eq!(page::words(name), expected);
    }
}

#[test]
fn texts_of_others_are_text_on_the_page() {
    let hostile = "</style></script><script>alert(1)</script>\u{1b}[2J\u{202e}";
    let period = Period { from: "2026-01-01T00:00:00Z".parse().unwrap(), to: "2026-02-01T00:00:00Z".parse().unwrap() };
    let mut read = Read::new(period, None);
    read.bindings = Listing::refused(hostile.to_owned());
    let line = json!({"timestamp": "2026-01-11T00:00:00Z", "target": "audit", "message": "AWS call", "api": "states:StartExecution",
        "kind": "WorkflowRun", "namespace": hostile, "name": hostile, "uid": hostile, "requester": hostile, "outcome": "Success"});
    let mut log = LogReader::new(hostile.to_owned(), period, None);
    log.line(&line.to_string());
    read.logs = vec![log.done("d".into())];
    let told = evidence(&read);
    for (name, text) in texts(&told, &json!({"context": hostile})).unwrap() {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{name}");
        if std::path::Path::new(&name).extension().is_some_and(|end| end == "json") {
            serde_json::from_str::<Value>(&text).unwrap();
        } else {
            assert!(!text.contains("<script") && text.matches("</style>").count() == 1, "{text}");
            assert!(text.contains("&#60;script&#62;alert(1)"), "it is shown: {text}");
        }
    }
}
