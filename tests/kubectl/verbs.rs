//! What each verb asks for, prints and ends with.

use std::io::BufRead;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::api::{Api, Ended, ago, until};

const PHASES: [(&str, i32); 5] = [("Succeeded", 0), ("Dispatched", 0), ("Failed", 1), ("TimedOut", 4), ("Aborted", 5)];

#[test]
fn the_exit_code_says_how_a_run_ended() {
    for (phase, code) in PHASES {
        let api = Api::start();
        api.run("order", &json!({"phase": phase, "startedAt": ago(60), "finishedAt": ago(50), "duration": "10s"}));
        for verb in ["wait", "watch"] {
            let ended = api.ends(&[verb, "order"]);
            assert_eq!(ended.code, code, "{verb} {phase}: {ended:?}");
            let word = phase.to_lowercase().replace("timedout", "timed out");
            let line = format!("workflowrun.stepbound.dev/order {word} after 10s\n");
            assert!(ended.out.ends_with(&line), "{verb}: {ended:?}");
        }
        assert_eq!(api.ends(&["wait", "order", "--for", "started"]).code, 0, "{phase}");
    }
}

#[test]
fn who_stops_waiting_leaves_the_run_going_and_learns_how_to_come_back() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    api.world.lock().unwrap().unknown = vec!["executionhistories"];
    for verb in ["wait", "watch"] {
        let ended = api.ends(&[verb, "order", "--timeout", "1s"]);
        assert_eq!(ended.code, 6, "{ended:?}");
        let stopped = "Stopped waiting after 1s: WorkflowRun \"order\" goes on. See it again: kubectl sfn watch order";
        assert!(ended.said.contains(stopped), "{ended:?}");
        let watches =
            || api.asked().iter().filter(|asked| asked.starts_with("WATCH") && asked.ends_with("runs")).count();
        for signal in ["-INT", "-TERM", "-HUP"] {
            let before = watches();
            let child = api.begin(&[verb, "order", "-n", "shop"]);
            until("it watches", || watches() > before);
            let ended = Ended::by(child, signal);
            assert_eq!(ended.code, 6, "{ended:?}");
            assert!(ended.said.contains("\nStopped waiting: WorkflowRun \"order\" goes on."), "{ended:?}");
            assert!(ended.said.contains("kubectl sfn watch order -n shop"), "{ended:?}");
        }
    }
    assert!(!api.asked().iter().any(|asked| asked.starts_with("PATCH")), "{:?}", api.asked());
}

#[test]
fn a_watch_follows_the_states_and_takes_its_wish_back() {
    let api = Api::start();
    let run = |phase: &str| {
        let mut run = api.run("order", &json!({"phase": phase, "startedAt": ago(60)}));
        if phase == "Failed" {
            run["status"]["finishedAt"] = json!(ago(1));
            run["status"]["error"] = json!("Broken");
            run["status"]["timeline"] = json!({"visits": [{"path": "/States/Pick", "state": "Pick", "result": "Failed",
                "enteredAt": "2026-01-01T00:00:01.000000Z", "exitedAt": "2026-01-01T00:00:02.000000Z", "error": "Broken"}]});
        }
        run
    };
    let failed = run("Failed");
    run("Running");
    api.world.lock().unwrap().news.insert("workflowruns".into(), vec![failed]);
    let ended = api.ends(&["watch", "order"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    assert_eq!(lines, ["order Running", "Pick entered", "Pick failed after 1.0s: Broken", "order Failed", "failed"]);
    let asked = api.asked();
    let histories =
        |method: &str| asked.iter().filter(|one| one.starts_with(method) && one.contains("executionhistories")).count();
    assert_eq!((histories("POST"), histories("DELETE")), (1, 1), "{asked:?}");
}

#[test]
fn a_watch_without_histories_says_so_once_and_shows_the_phases() {
    let api = Api::start();
    api.world.lock().unwrap().unknown = vec!["executionhistories"];
    let done = api.run("order", &json!({"phase": "Succeeded", "startedAt": ago(60), "finishedAt": ago(1)}));
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    api.world.lock().unwrap().news.insert("workflowruns".into(), vec![done]);
    let ended = api.ends(&["watch", "order"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.said.matches("cannot follow its states").count(), 1, "{ended:?}");
    assert!(ended.out.contains("order Running") && ended.out.contains("order Succeeded"), "{ended:?}");
}

#[test]
fn a_run_is_created_as_a_manifest_would_be() {
    let api = Api::start();
    api.workflow("fulfil");
    let created = |name: &str| api.world.lock().unwrap().objects[&("workflowruns".to_owned(), name.to_owned())].clone();
    with_alias(&api);
    let ended = api.ends(&["run", "fulfil", "--set", "a.b=1,c=x", "--set-string", "d=2", "--alias", "live"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "workflowrun.stepbound.dev/fulfil-x7k2p created\n"));
    assert!(ended.said.contains("Next: kubectl sfn watch fulfil-x7k2p"), "{ended:?}");
    assert_eq!(
        created("fulfil-x7k2p")["spec"],
        json!({"workflowRef": {"name": "fulfil", "alias": "live"}, "input": {"a": {"b": 1}, "c": "x", "d": "2"}})
    );
    let ended = api.ends(&[
        "run",
        "fulfil",
        "--name",
        "mine",
        "-l",
        "team=a",
        "--mode",
        "sync",
        "--timeout",
        "5m",
        "-o",
        "name",
    ]);
    assert_eq!(ended.out, "workflowrun.stepbound.dev/mine\n");
    assert_eq!(created("mine")["spec"], json!({"workflowRef": {"name": "fulfil"}, "mode": "Sync", "timeout": "5m"}));
    assert_eq!(created("mine")["metadata"]["labels"], json!({"team": "a"}));

    let changes = |api: &Api| api.asked().iter().filter(|asked| asked.starts_with("POST")).count();
    let before = changes(&api);
    let ended = api.ends(&["run", "fulfill", "--dry-run=client", "-o", "yaml"]);
    assert_eq!(
        ended.out,
        "apiVersion: stepbound.dev/v1alpha1\nkind: WorkflowRun\nmetadata:\n  generateName: fulfill-\n  namespace: shop\nspec:\n  workflowRef:\n    name: fulfill\n"
    );
    let note = "note: there is no Workflow \"fulfill\" in namespace \"shop\"; did you mean \"fulfil\"?\n";
    assert_eq!((ended.code, ended.said.as_str()), (0, note));
    let ended = api.ends(&["run", "fulfil", "--dry-run=client"]);
    assert_eq!(ended.out, "workflowrun.stepbound.dev/fulfil-<generated> created (dry run)\n");
    assert_eq!((changes(&api), ended.said.as_str()), (before, ""), "a dry run of the client sends nothing");
    let ended = api.ends(&["run", "fulfil", "--name", "dry", "--dry-run=server"]);
    assert_eq!(ended.out, "workflowrun.stepbound.dev/dry created (server dry run)\n");
    assert!(!api.world.lock().unwrap().objects.contains_key(&("workflowruns".into(), "dry".into())));
}

/// The Workflow `fulfil` has an alias.
fn with_alias(api: &Api) {
    let mut world = api.world.lock().unwrap();
    let fulfil = world.objects.get_mut(&("workflows".to_owned(), "fulfil".to_owned())).unwrap();
    fulfil["spec"]["aliases"] = json!([{"name": "live"}]);
}

#[test]
fn the_output_alone_goes_into_a_pipe() {
    let api = Api::start();
    api.workflow("fulfil");
    // The run that is created has ended as soon as it is watched.
    let ended_as = |status: Value| {
        let run = api.run("one", &status);
        api.world.lock().unwrap().news.insert("workflowruns".into(), vec![run]);
        api.ends(&["run", "fulfil", "--name", "one", "-o", "output"])
    };
    let ended = ended_as(json!({"phase": "Succeeded", "output": {"b": [1, "x"]}}));
    assert_eq!((ended.code, ended.out.as_str(), ended.said.as_str()), (0, "{\"b\":[1,\"x\"]}\n", ""));
    let ended = ended_as(json!({"phase": "Failed", "error": "Broken", "cause": "no"}));
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(ended.said.contains("Broken: no"), "{ended:?}");
    let ended = ended_as(json!({"phase": "Succeeded", "outputBytes": 99_999}));
    assert_eq!((ended.code, ended.out.as_str()), (3, ""));
    assert!(ended.said.contains("99999 bytes is not kept"), "{ended:?}");
}

#[test]
fn cancel_redrive_and_retry_ask_for_what_their_names_say() {
    let api = Api::start();
    api.workflow("fulfil");
    let object = |name: &str| api.world.lock().unwrap().objects[&("workflowruns".to_owned(), name.to_owned())].clone();
    api.run("order", &json!({"phase": "Running", "startedAt": ago(60)}));
    let ended = api.ends(&["cancel", "sfnrun/order", "--reason", "enough"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "workflowrun.stepbound.dev/order is being cancelled\n"));
    assert!(ended.said.contains("Next: kubectl sfn wait order"), "{ended:?}");
    assert_eq!(object("order")["spec"]["cancel"], json!({"reason": "enough"}));
    let ended = api.ends(&["cancel", "order", "--reason", "other"]);
    assert!(ended.code == 0 && ended.out.contains("already"), "{ended:?}");
    assert_eq!(object("order")["spec"]["cancel"], json!({"reason": "enough"}));

    let broken = json!({"phase": "Failed", "startedAt": ago(60), "finishedAt": ago(50), "executionARN": "arn",
        "redrive": {"count": 0, "possible": true}});
    api.run("broken", &broken);
    let ended = api.ends(&["redrive", "broken"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "workflowrun.stepbound.dev/broken is being redriven\n"));
    assert!(object("broken")["metadata"]["annotations"]["stepbound.dev/redrive"].is_string());
    let ended = api.ends(&["redrive", "broken"]);
    assert!(ended.code == 3 && ended.said.contains("asked for already"), "{ended:?}");

    let ended = api.ends(&["retry", "broken"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, "workflowrun.stepbound.dev/broken-x7k2p created\n"));
    assert_eq!(object("broken-x7k2p")["spec"], object("broken")["spec"]);
    let ended = api.ends(&["cancel", "broken"]);
    assert!(ended.code == 0 && ended.out.contains("has ended already (Failed)"), "{ended:?}");
}

#[test]
fn objects_are_printed_as_the_api_has_them() {
    let api = Api::start();
    let mut run = api.run("order", &json!({"phase": "Succeeded"}));
    run["spec"]["fromTomorrow"] = json!({"a": 1});
    api.put(run.clone());
    run["metadata"].as_object_mut().unwrap().remove("managedFields");
    let printed = |arguments: &[&str]| api.ends(arguments).out;
    let json: Value = serde_json::from_str(&printed(&["get", "order", "-o", "json"])).unwrap();
    let yaml: Value = serde_yaml::from_str(&printed(&["get", "order", "-o", "yaml"])).unwrap();
    assert_eq!((&json, &yaml), (&run, &run));
    let list: Value = serde_json::from_str(&printed(&["list", "-o", "json"])).unwrap();
    assert_eq!(list, json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [run]}));
    assert_eq!(printed(&["list", "-o", "name"]), "workflowrun.stepbound.dev/order\n");
    assert!(printed(&["list", "-A"]).starts_with("NAMESPACE"));
    let ended = api.ends(&["list", "other", "--phase", "failed"]);
    assert_eq!((ended.code, ended.out.as_str()), (0, ""));
    let missing = "note: there is no Workflow \"other\" in namespace \"shop\". See which there are: kubectl get workflows -n shop\n";
    assert_eq!(ended.said, format!("No such runs found in namespace \"shop\".\n{missing}"));
    assert!(api.ends(&["list", "other", "-o", "json"]).out.contains("\"items\": []"));
}

#[test]
fn an_operator_that_is_down_is_told_of() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Pending"}));
    api.put(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "stepbound", "namespace": "a"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": ago(3600).replace('Z', ".000000Z")}}));
    let mut child = api.command(&["wait", "order"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        line.starts_with("Nothing will happen until Stepbound's operator works again: it was last seen 60m ago"),
        "{line}"
    );
}

#[test]
fn shells_are_offered_verbs_flags_and_names() {
    let api = Api::start();
    api.run("order", &json!({"phase": "Failed"}));
    api.run("other", &json!({"phase": "Running"}));
    api.workflow("fulfil");
    for (typed, lines) in [
        (&["get", "ord"][..], "order\tFailed fulfil 3h ago\n:4\n"),
        (&["run", ""], "fulfil\t9d ago\n:4\n"),
        (&["redr"], "redrive\tLet a failed run go on from where it failed\n:4\n"),
        (&["get", "-o", "y"], "yaml\tThe same as YAML\n:4\n"),
        (&["get", "--kubeconfig", ""], ":0\n"),
        (&["get", "--context", ""], "test\n:4\n"),
        (&["completion", "z"], "zsh\n:4\n"),
        (&["nothing", "of", "this"], ":4\n"),
    ] {
        let ended = api.ends(&[&["__complete"], typed].concat());
        assert_eq!((ended.code, ended.out.as_str()), (0, lines), "{typed:?}: {ended:?}");
    }
    // Whatever keeps names from being known, the line that is being typed stays as it is.
    let ended = api.ends(&["__complete", "get", "--kubeconfig", "no/file", ""]);
    assert_eq!((ended.code, ended.out.as_str(), ended.said.as_str()), (0, ":4\n", ""));
}

#[test]
fn the_scripts_of_completion_are_taken_by_their_shells() {
    let api = Api::start();
    for (shell, program) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("kubectl", "sh")] {
        let ended = api.ends(&["completion", shell]);
        assert!(ended.code == 0 && ended.out.contains("__complete"), "{ended:?}");
        let path = api.folder.path().join(shell);
        std::fs::write(&path, &ended.out).unwrap();
        // Not every machine has every shell.
        match std::process::Command::new(program).arg("-n").arg(&path).output() {
            Ok(checked) => assert!(checked.status.success(), "{shell}: {checked:?}"),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{shell}"),
        }
    }
    // As bash calls it.
    api.run("order", &json!({"phase": "Failed"}));
    let ended = api.ends(&["completion", "bash"]);
    let script = format!(
        "{}\nCOMP_WORDS=({} get or); COMP_CWORD=2; _kubectl_sfn; echo \"${{COMPREPLY[*]}}\"",
        ended.out,
        env!("CARGO_BIN_EXE_kubectl-sfn")
    );
    let bash = std::process::Command::new("bash").args(["-c", &script]).env("KUBECONFIG", api.kubeconfig()).output();
    assert_eq!(String::from_utf8(bash.unwrap().stdout).unwrap(), "order\n");
}
