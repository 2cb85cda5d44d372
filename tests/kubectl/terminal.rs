//! What a terminal shows: a narrow one, one without colours, one that knows letters alone.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::api::{Api, ago};

/// What the verb writes to a terminal of 40 columns, by `script`; none where this machine has no such program.
fn narrow(api: &Api, arguments: &str, code: i32, environment: &[(&str, &str)]) -> Option<String> {
    let line = format!("stty cols 40 rows 40; exec {} {arguments}", env!("CARGO_BIN_EXE_kubectl-sfn"));
    let mut script = Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env("KUBECONFIG", api.kubeconfig())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    let ended = script.envs(environment.iter().copied()).stdin(Stdio::null()).output();
    let Ok(ended) = ended else {
        println!("passed over: there is no script on this machine");
        return None;
    };
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    Some(String::from_utf8(ended.stdout).unwrap().replace("\r\n", "\n"))
}

/// A run that is running, and of which it is told next that it has failed.
fn failing(api: &Api) {
    api.workflow("fulfil");
    let visit = json!({"path": "/States/Pick", "state": "Pick", "result": "Failed", "error": "an error of very many words",
        "enteredAt": "2026-01-01T00:00:01.000000Z", "exitedAt": "2026-01-01T00:00:02.000000Z"});
    let status = |phase: &str| {
        json!({"phase": phase, "startedAt": ago(60), "requestedBy": "alice@example.com",
        "error": if phase == "Failed" { json!("Broken") } else { Value::Null }, "timeline": {"visits": [visit]}})
    };
    let done = api.run("order-4711", &status("Failed"));
    api.run("order-4711", &status("Running"));
    api.world.lock().unwrap().news.insert("workflowruns".into(), vec![done]);
}

/// The lines as a terminal shows them, the last picture alone.
fn shown(text: &str) -> Vec<String> {
    let text = text.rsplit("A\r").next().unwrap();
    let without: String = text
        .split('\u{1b}')
        .enumerate()
        .map(|(at, part)| {
            if at == 0 {
                part
            } else {
                part.split_once(|end: char| end.is_ascii_alphabetic()).map_or("", |(_, rest)| rest)
            }
        })
        .collect();
    without.lines().map(str::to_owned).collect()
}

#[test]
fn a_picture_fits_a_narrow_terminal_and_has_no_colours_with_no_color() {
    let api = Api::start();
    let picture = |no_color: &str| {
        failing(&api);
        narrow(&api, "watch order-4711", 1, &[("NO_COLOR", no_color)])
    };
    let (Some(plain), Some(coloured)) = (picture("1"), picture("")) else { return };
    assert!(plain.contains("order-4711  Failed") && plain.contains("│ Pick │") && plain.contains("✘ Pick"), "{plain}");
    assert!(!plain.contains("\u{1b}[3") && coloured.contains("\u{1b}[31m"), "{plain}\n{coloured}");
    for line in plain.lines().filter(|line| line.contains("\u{1b}[K")) {
        assert!(shown(line).iter().all(|line| line.chars().count() <= 40), "{line:?}");
    }
}

#[test]
fn a_terminal_that_knows_letters_alone_is_given_lines_without_colours() {
    let api = Api::start();
    failing(&api);
    let Some(text) = narrow(&api, "watch order-4711", 1, &[("TERM", "dumb")]) else { return };
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains(" order-4711 Running\n") && text.contains(" Pick failed after 1.0s"), "{text}");
    for verb in ["list", "get order-4711", "graph workflow/fulfil", "describe run/order-4711"] {
        failing(&api);
        let text = narrow(&api, verb, 0, &[("TERM", "dumb")]).unwrap();
        assert!(!text.contains('\u{1b}'), "{verb}: {text:?}");
    }
}

#[test]
fn a_table_is_not_broken_by_a_narrow_terminal() {
    let api = Api::start();
    failing(&api);
    let Some(text) = narrow(&api, "list", 0, &[]) else { return };
    assert_eq!(text, "NAME         WORKFLOW   PHASE     AGE\norder-4711   fulfil     Running   3h\n");
    let text = narrow(&api, "list -o wide", 0, &[]).unwrap();
    assert!(text.contains("REQUESTED BY") && text.contains("EXECUTION"), "who asks for all gets all: {text}");
    let ended = api.ends(&["list"]);
    assert!(ended.out.contains("REQUESTED BY"), "what no terminal shows has all: {ended:?}");
}

#[test]
fn a_drawing_that_a_narrow_terminal_would_break_is_a_list() {
    let api = Api::start();
    let graph = "graph examples/quickstart/2-workflow.yaml";
    let Some(text) = narrow(&api, graph, 0, &[]) else { return };
    assert!(text.contains("● Charge [Task") && !text.contains('┌') && text.contains("--output terminal"), "{text}");
    let text = narrow(&api, &format!("{graph} --output terminal"), 0, &[]).unwrap();
    assert!(text.contains('┌') && !text.contains("note:"), "{text}");
}

#[test]
fn the_picture_of_the_documentation_is_that_of_its_recording_and_shows_its_end_where_nothing_plays() {
    let draw = |cast: &std::path::Path| {
        let drawn = Command::new(root("tools/terminal/picture.py")).arg(cast).output().unwrap();
        (drawn.status.code(), String::from_utf8(drawn.stdout).unwrap() + &String::from_utf8(drawn.stderr).unwrap())
    };
    let (code, drawn) = draw(&root("docs/images/run.cast"));
    assert_eq!((code, &drawn), (Some(0), &crate::read("docs/images/run.svg")), "run tools/terminal/picture.py");
    let folder = tempfile::tempdir().unwrap();
    let cast = folder.path().join("a.cast");
    let with = |text: &str| {
        let header = json!({"version": 2, "width": 20, "height": 4, "title": "a <b>"});
        let events = [json!([0.0, "o", "first"]), json!([1.0, "o", text])];
        std::fs::write(&cast, format!("{header}\n{}\n{}\n", events[0], events[1])).unwrap();
        draw(&cast)
    };
    let (code, drawn) = with("\r\u{1b}[31m<x>\u{1b}[0m\u{1b}[K │\n");
    assert_eq!(code, Some(0), "{drawn}");
    assert!(
        drawn.contains(r##"fill="#ff7b72">&lt;x&gt;</text>"##) && drawn.contains("<title>a &lt;b&gt;</title>"),
        "{drawn}"
    );
    // Of two frames the second is where the film stands.
    assert!(drawn.contains(r#"<g class="film" transform="translate(-196)">"#), "{drawn}");
    let (code, said) = with("\u{1b}[5S");
    assert!(code == Some(1) && said.contains("does not know the code"), "{said}");
}

fn root(path: &str) -> std::path::PathBuf {
    std::path::Path::new(crate::ROOT).join(path)
}
