//! What is wrong is told with what to do next, and by the exit code.

use std::process::Stdio;

use serde_json::json;

use crate::api::{Api, Ended};

#[test]
fn whoever_may_not_wait_is_told_before_anything_is_created() {
    let api = Api::start();
    api.workflow("fulfil");
    api.run("old", &json!({"phase": "Failed"}));
    for verb in ["list", "watch"] {
        api.world.lock().unwrap().denied = vec![verb];
        for arguments in [
            &["run", "fulfil", "--wait"][..],
            &["run", "fulfil", "--watch"],
            &["run", "fulfil", "-o", "output"],
            &["run", "fulfil", "--wait", "-o", "json"],
            &["retry", "old", "--wait"],
        ] {
            let ended = api.ends(arguments);
            let words = format!("you cannot {verb} resource \"workflowruns\" in the namespace \"shop\"");
            assert!(ended.code == 3 && ended.said.contains(&words), "{arguments:?}: {ended:?}");
            assert!(ended.said.contains(&format!("kubectl auth can-i {verb} workflowruns.stepbound.dev -n shop")));
        }
    }
    let runs =
        || api.asked().into_iter().filter(|one| one.starts_with("POST") && one.ends_with("workflowruns")).count();
    assert_eq!(runs(), 0);
    let ended = api.ends(&["run", "fulfil"]);
    assert!(ended.code == 0 && runs() == 1, "who does not wait needs no such right: {ended:?}");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_next() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Running"}));
    api.workflow("fulfil");
    let mut old = api.run("old", &json!({"phase": "Failed"}));
    old["spec"]["workflowRef"]["version"] = json!(2);
    api.put(old);
    for (arguments, code, said) in [
        (&["get", "ordr"][..], 3, "there is no WorkflowRun \"ordr\" in namespace \"shop\"; did you mean \"order\"?"),
        (&["cancel", "secret/order"], 2, "\"secret\" is no WorkflowRun; name one, as in workflowrun/NAME or NAME"),
        (&["run", "run/fulfil"], 2, "\"run\" is no Workflow"),
        (&["list", "tb/fulfil"], 2, "\"tb\" is no Workflow"),
        (&["get", "something"], 3, "See which there are: kubectl get workflowruns -n shop"),
        (&["wait", "ordr"], 3, "did you mean"),
        (&["watch", "ordr"], 3, "did you mean"),
        (&["cancel", "ordr"], 3, "did you mean"),
        (&["retry", "ordr"], 3, "did you mean"),
        (&["run", "fulfill"], 3, "there is no Workflow \"fulfill\" in namespace \"shop\"; did you mean \"fulfil\"?"),
        (&["run", "fulfil", "--input", "{\"a\": nope}"], 2, "  1 | {\"a\": nope}\n    |       ^"),
        (&["run", "fulfil", "--input", "@no/file"], 2, "cannot read the input from no/file"),
        (&["run", "fulfil", "--input", "-"], 2, "<stdin> is empty"),
        (&["run", "fulfil", "--set", "a"], 2, "write path=value"),
        (&["run", "fulfil", "--timeout", "soon"], 2, "--timeout \"soon\" is no duration"),
        (&["run", "fulfil", "--labels", "a"], 2, "write key=value"),
        (&["run", "fulfil", "--wait", "--wait-timeout", "x"], 2, "--wait-timeout \"x\" is no duration"),
        (&["run", "fulfil", "-o", "output", "--watch"], 2, "-o output is for pipes"),
        (&["run", "a?b"], 2, "is no name of an object"),
        (&["get", "order", "-n", "a/b"], 2, "is no name of a namespace"),
        (&["get", "order", "--context", "other"], 3, "Name a kubeconfig with --kubeconfig"),
        (&["get", "order", "--kubeconfig", "no/file"], 3, "no/file"),
        (&["get", "order", "--request-timeout", "x"], 2, "--request-timeout \"x\" is no duration"),
        (
            &["redrive", "order"],
            3,
            "it has not ended (Running). Wait for its end: kubectl sfn wait order. Stop it: kubectl sfn cancel order",
        ),
        (&["logs", "ordr"], 3, "did you mean \"order\"?"),
        (&["run", "fulfil", "--dry-run", "client"], 2, "a value of --dry-run stands behind =, as in --dry-run=client"),
        (&["rollout", "status", "fulfil", "--watch", "false"], 2, "as in --watch=false"),
        (&["ui", "--open", "false"], 2, "as in --open=false"),
        (&["run", "fulfil", "--alias", "live"], 3, "Workflow \"fulfil\" has no alias; add \"live\" to spec.aliases"),
        (&["run", "fulfil", "--version", "9", "--dry-run=server"], 3, "Workflow \"fulfil\" has published no version"),
        (&["retry", "old"], 3, "Workflow \"fulfil\" has published no version"),
        (&["run", "fulfil", "--set", "a.b=1,a=2"], 2, "a.b was given already, and would be lost in a"),
        (&["run", "fulfil", "--set", "a[1]=x"], 2, "a[0] has no value"),
        (&["graph", "no/file"], 2, "no/file"),
        (&["report", "order", "--output-file", "no/folder/a.html"], 2, "cannot write no/folder/a.html"),
        (&["get", "something", "--as", "alice"], 3, "kubectl get workflowruns -n shop --as alice"),
        (&["list", "--phase", "done"], 2, "there are the phases"),
        (&["no-such-verb"], 2, "no-such-verb"),
        (&["get"], 2, "RUN"),
        (&["describe", "run"], 2, "the name is missing: write run NAME, or run/NAME"),
        (&["graph", "fulfil"], 2, "did you mean workflow/fulfil?"),
        (&["lint", "fulfil"], 2, "did you mean workflow/fulfil?"),
        (&["policy", "execution-role", "fulfil"], 2, "did you mean workflow/fulfil?"),
        (&["policy", "binding-role", "orders"], 2, "did you mean binding/orders?"),
        (&["trust", "lint", "orders"], 2, "did you mean binding/orders?"),
    ] {
        let ended = api.ends(arguments);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.said.contains(said), "{arguments:?}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
    assert!(!api.asked().iter().any(|asked| asked.starts_with("POST")), "nothing was created: {:?}", api.asked());
}

#[test]
fn an_input_that_aws_would_refuse_is_not_sent() {
    let api = Api::start();
    api.workflow("fulfil");
    let path = api.folder.path().join("input.json");
    let given = format!("@{}", path.display());
    std::fs::write(&path, json!("x".repeat(262_143)).to_string()).unwrap();
    let ended = api.ends(&["run", "fulfil", "--input", &given]);
    assert!(ended.code == 2 && ended.said.contains("the input has 262145 bytes"), "{ended:?}");
    std::fs::write(&path, format!("{}1{}", "[".repeat(101), "]".repeat(101))).unwrap();
    let ended = api.ends(&["run", "fulfil", "--input", &given]);
    assert!(ended.code == 2 && ended.said.contains("levels deep"), "{ended:?}");
    assert_eq!(api.asked(), Vec::<String>::new());
    std::fs::write(&path, json!("x".repeat(262_142)).to_string()).unwrap();
    assert_eq!(api.ends(&["run", "fulfil", "--input", &given]).code, 0);
}

#[test]
fn a_cluster_without_the_definitions_says_how_to_install_them() {
    let api = Api::start();
    api.world.lock().unwrap().unknown = vec!["workflowruns", "workflows"];
    for arguments in [&["list"][..], &["get", "a"], &["run", "a"], &["wait", "a"], &["cancel", "a"], &["retry", "a"]] {
        let ended = api.ends(arguments);
        assert!(ended.code == 3 && ended.said.contains("stepbound-crds"), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn an_api_server_that_is_not_there_is_told_from_one_that_refuses() {
    let api = Api::start();
    let config = std::fs::read_to_string(api.kubeconfig()).unwrap();
    let path = api.folder.path().join("nowhere");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let at = config.find("http://127.0.0.1:").unwrap();
    let end = at + config[at..].find('"').unwrap();
    std::fs::write(&path, config.replace(&config[at..end], &format!("http://127.0.0.1:{port}"))).unwrap();
    let ended = api.ends(&["list", "--kubeconfig", path.to_str().unwrap()]);
    assert!(ended.code == 3 && ended.said.contains("the API server cannot be reached"), "{ended:?}");
    assert!(ended.said.contains("refused"), "{ended:?}");
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Succeeded"}));
    for arguments in
        [&["list"][..], &["get", "order"], &["get", "order", "-o", "json"], &["wait", "order"], &["--help"]]
    {
        // What its reader closes at once.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = api.command(arguments).stdout(writer).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn there_are_no_colours_without_a_terminal() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Failed", "error": "a\u{1b}[2Jb", "startedAt": crate::api::ago(60)}));
    for verb in ["get", "wait", "watch"] {
        let ended = Ended::of(&api.command(&[verb, "order"]).output().unwrap());
        assert!(!ended.out.contains('\u{1b}') && !ended.said.contains('\u{1b}'), "{verb}: {ended:?}");
        assert!(format!("{}{}", ended.out, ended.said).contains("a\u{fffd}[2Jb"), "{verb}: {ended:?}");
    }
}
