//! The page of `kubectl sfn ui`, on a real API server and in a real Chromium.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

#[path = "support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::json;
use support::browser::{Browser, Tab};
use support::control_plane::{ControlPlane, binaries, tool};
use support::page::{Page, apply, control_plane, fill, kubeconfig};

struct Bed {
    control_plane: ControlPlane,
    folder: PathBuf,
}

/// One control plane for all tests; each has a namespace of its own.
fn bed() -> &'static Bed {
    static SHARED: OnceLock<Bed> = OnceLock::new();
    SHARED.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("stepbound-{}", std::process::id()));
        Bed { control_plane: control_plane(&folder), folder }
    })
}

/// A namespace full of objects, and the page of an administrator who looks at it alone.
fn filled(namespace: &str, args: &[&str]) -> Page {
    fill(&bed().control_plane, namespace);
    page_of(&bed().control_plane.admin, &[&["-n", namespace], args].concat())
}

fn page_of(kubeconfig: &Path, args: &[&str]) -> Page {
    Page::start(&bed().folder, Path::new(env!("CARGO_BIN_EXE_kubectl-sfn")), kubeconfig, args)
}

fn browser(name: &str) -> Browser {
    let folder = bed().folder.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    Browser::start(&folder)
}

/// Opens the page and waits until everything was read.
fn entered<'a>(browser: &'a mut Browser, page: &Page) -> Tab<'a> {
    let mut tab = browser.tab();
    tab.open(&page.url);
    tab.wait("document.querySelector('h1') !== null && !document.body.innerText.includes('Still reading')");
    tab
}

/// What axe-core finds wrong for people who cannot see, point or tell colours.
fn violations(tab: &mut Tab<'_>) -> String {
    let axe = std::fs::read_to_string(tool(&binaries(), "axe-core")).unwrap();
    tab.eval(&format!("{axe}; 0"));
    let rules = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}";
    let told = "all => all.violations.map(one => one.id + ': ' + one.help + '\\n' + one.nodes.map(node => node.html.slice(0, 200) + ' ' + node.failureSummary).join('\\n')).join('\\n')";
    tab.eval(&format!("axe.run(document, {rules}).then({told})")).as_str().unwrap().to_owned()
}

const PAGES: [(&str, &str); 6] = [
    ("/", "fulfil"),
    ("/runs", "order-4711"),
    ("/runs/{}/order-4711", "Carton.TooSmall"),
    ("/workflows/{}/fulfil", "Permissions that the execution role needs"),
    ("/schedules", "Next times"),
    ("/trust", "arn:aws:iam::444455556666:role/billing-binding"),
];

#[test]
fn every_page_reads_well_in_light_and_dark_wide_and_narrow() {
    let page = filled("page-all", &["--allow-actions"]);
    let mut browser = browser("all");
    let mut tab = entered(&mut browser, &page);
    for (path, expected) in PAGES {
        for (width, dark) in [(1280, false), (1280, true), (360, false), (360, true)] {
            tab.look(width, dark);
            tab.open(&format!("{}{}", page.origin(), path.replace("{}", "page-all")));
            assert!(tab.text().contains(expected), "{path}: {}", tab.text());
            assert_eq!(violations(&mut tab), "", "{path} {width} dark: {dark}");
            let wide = tab.eval("document.documentElement.scrollWidth");
            assert!(wide.as_u64().unwrap() <= u64::from(width), "{path} is {wide} wide on {width}");
        }
    }
    assert_eq!(tab.problems(), Vec::<String>::new());
}

#[test]
fn a_run_that_ends_is_seen_without_a_reload() {
    let page = filled("page-live", &[]);
    let mut browser = browser("live");
    let mut tab = entered(&mut browser, &page);
    tab.open(&format!("{}/runs/page-live/order-4712", page.origin()));
    assert!(tab.text().contains("Running"), "{}", tab.text());
    tab.eval("globalThis.stays = true; document.querySelector('details')?.setAttribute('open', '')");
    let ended = r#"{"status": {"phase": "Failed", "error": "Stock.Empty", "failedState": "Ask", "finishedAt": "2027-01-31T12:00:00Z"}}"#;
    let patch =
        ["-n", "page-live", "patch", "sfnrun", "order-4712", "--subresource=status", "--type=merge", "-p", ended];
    bed().control_plane.kubectl(&patch);
    tab.wait("document.querySelector('.failure')?.innerText.includes('Stock.Empty') === true");
    assert_eq!(tab.eval("globalThis.stays"), true, "nothing was loaded anew");
    let created = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "fresh"},
        "spec": {"workflowRef": {"name": "fulfil"}}});
    tab.open(&format!("{}/runs", page.origin()));
    tab.eval("document.querySelector('[name=q]').focus(); document.querySelector('[name=q]').value = 'ord'; globalThis.stays = true");
    bed().control_plane.try_kubectl(&["-n", "page-live", "apply", "-f", "-"], Some(&created.to_string())).unwrap();
    tab.wait("document.querySelector('tbody tr a')?.innerText === 'fresh'");
    let typed = tab.eval("[globalThis.stays, document.activeElement.name, document.activeElement.value]");
    assert_eq!(typed, json!([true, "q", "ord"]), "what is being typed stays");
    bed().control_plane.kubectl(&["-n", "page-live", "delete", "sfnrun", "fresh"]);
    tab.wait("document.querySelector('tbody tr a')?.innerText !== 'fresh'");
    drop(page);
    tab.wait("document.getElementById('link').innerText.includes('not live')");
}

#[test]
fn hostile_names_and_values_are_text_and_nothing_else() {
    const HOSTILE: &str = r#"</title></style></script></pre><script>globalThis.hacked = 1</script><img src=x onerror="globalThis.hacked = 1"><svg onload=globalThis.hacked=1>'"&lt;"#;
    let page = filled("page-hostile", &["--allow-actions"]);
    let hostile = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "hostile"},
        "spec": {"workflowRef": {"name": "hostile"}, "input": {HOSTILE: HOSTILE}},
        "status": {"observedGeneration": 1, "phase": "Failed", "error": HOSTILE, "cause": HOSTILE, "failedState": HOSTILE,
            "requestedBy": HOSTILE, "sessionName": HOSTILE, "output": HOSTILE, "consoleURL": "javascript:globalThis.hacked=1", "state": HOSTILE,
            "timeline": {"visits": [{"path": "/States/x", "state": HOSTILE, "enteredAt": "2027-01-31T12:00:00.000000Z",
                "exitedAt": "2027-01-31T12:00:01.000000Z", "result": "Failed", "error": HOSTILE, "cause": HOSTILE}]}}});
    let name = HOSTILE.chars().take(80).collect::<String>();
    let workflow = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "hostile"},
        "spec": {"trustBindingRef": {"name": "orders"}, "executionRoleARN": "arn:aws:iam::111122223333:role/shop-exec",
            "definition": {"StartAt": name, "States": {name.as_str(): {"Type": "Pass", "Comment": HOSTILE, "End": true}}}},
        "status": {"observedGeneration": 1, "consoleURL": "javascript:globalThis.hacked=1",
            "diagnostics": [{"severity": HOSTILE, "code": HOSTILE, "path": HOSTILE, "message": HOSTILE}],
            "conditions": [{"type": "Ready", "status": "False", "reason": "Rejected", "message": HOSTILE, "lastTransitionTime": "2027-01-31T12:00:00Z"}]}});
    for object in [workflow, hostile] {
        apply(&bed().control_plane, "page-hostile", &object.to_string());
    }
    let mut browser = browser("hostile");
    let mut tab = entered(&mut browser, &page);
    let query = "?q=%22%3E%3Cscript%3EglobalThis.hacked%3D1%3C/script%3E";
    for path in [
        "/",
        "/runs",
        "/runs/page-hostile/hostile",
        "/workflows/page-hostile/hostile",
        &format!("/runs{query}"),
        &format!("/no{query}"),
    ] {
        tab.open(&format!("{}{path}", page.origin()));
        let found = tab.eval("[globalThis.hacked ?? 0, document.querySelectorAll('main script, main img, main [onload], main [onerror], a[href^=javascript]').length]");
        assert_eq!(found, json!([0, 0]), "{path}");
    }
    tab.open(&format!("{}/runs/page-hostile/hostile", page.origin()));
    assert!(tab.text().contains("<script>globalThis.hacked = 1</script>"), "it is shown as it is");
    // A renewal goes through the script.
    tab.eval("document.querySelector('h1').remove()");
    bed().control_plane.kubectl(&["-n", "page-hostile", "annotate", "sfnrun", "hostile", "x=y"]);
    tab.wait("document.querySelector('h1') !== null");
    assert_eq!(tab.eval("globalThis.hacked ?? 0"), 0);
    // The status of a page that is not there is an error to the browser's log, and the only one.
    let problems = tab.problems();
    assert!(problems.iter().all(|one| one.contains("404")), "{problems:?}");
}

#[test]
fn a_stranger_at_the_door_is_told_nothing() {
    let page = filled("page-door", &[]);
    let host = page.host.as_str();
    let evil = "evil.example";
    let get = |headers: &[(&str, &str)]| page.ask("GET", "/runs", headers, "");
    let cookie = page.enter();
    let path = page.url.strip_prefix(&page.origin()).unwrap();
    assert_eq!(page.ask("GET", path, &[("Host", host)], "").status, 401, "the first address works once");
    let ours = support::processes::wait_until(std::time::Duration::from_secs(30), "the runs were listed", || {
        Some(get(&[("Host", host), ("Cookie", &cookie)])).filter(|ours| ours.body.contains("order-4711"))
    });
    assert!(ours.status == 200 && ours.body.contains("order-4711"), "{}", ours.head);
    for header in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "nosniff",
        "referrer-policy: same-origin",
        "no-store",
    ] {
        assert!(ours.head.contains(header), "{header}: {}", ours.head);
    }
    assert!(!ours.head.contains("unsafe") && !ours.head.contains("access-control-allow"), "{}", ours.head);
    let rebound = format!("{evil}:{}", page.port);
    let loopback = format!("127.0.0.1:{}", page.port);
    for (what, headers, status) in [
        ("no cookie", vec![("Host", host)], 401),
        ("another cookie", vec![("Host", host), ("Cookie", "kubectl-sfn=x")], 401),
        ("a rebound name", vec![("Host", rebound.as_str()), ("Cookie", &cookie)], 421),
        ("the address by number", vec![("Host", loopback.as_str()), ("Cookie", &cookie)], 421),
        ("a foreign origin", vec![("Host", host), ("Cookie", &cookie), ("Origin", "http://evil.example")], 403),
        ("no origin at all", vec![("Host", host), ("Cookie", &cookie), ("Origin", "null")], 403),
        ("a foreign page", vec![("Host", host), ("Cookie", &cookie), ("Sec-Fetch-Site", "cross-site")], 403),
    ] {
        for path in ["/", "/runs", "/live?on=runs", "/page.js", "/runs/page-door/order-4711", "/nowhere"] {
            let answer = page.ask("GET", path, &headers, "");
            assert_eq!(answer.status, status, "{what}: {path}");
            assert!(!answer.body.contains("order") && !answer.body.contains(host), "{what}: {path}: {}", answer.body);
        }
    }
    let origin = page.origin();
    let own = [("Host", host), ("Cookie", cookie.as_str()), ("Origin", origin.as_str())];
    let posted = page.ask("POST", "/runs/page-door/order-4712/cancel", &own, "form=x");
    assert!(posted.status == 403 && posted.body.contains("--allow-actions"), "{}", posted.body);
    assert!(page.process.log_text().lines().filter(|line| line.contains("token=")).count() == 1, "it is told once");
}

#[test]
fn a_form_acts_with_its_token_alone_and_as_the_user() {
    let page = filled("page-act", &["--allow-actions"]);
    let host = page.host.as_str();
    let (cookie, origin) = (page.enter(), page.origin());
    let own = [("Host", host), ("Cookie", cookie.as_str()), ("Origin", origin.as_str())];
    let run = "/runs/page-act/order-4712";
    let body = page.ask("GET", run, &own, "").body;
    let form = body.split("name=\"form\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let cancelled = || {
        bed().control_plane.kubectl(&["-n", "page-act", "get", "sfnrun", "order-4712", "-o", "jsonpath={.spec.cancel}"])
    };
    let cancel = format!("{run}/cancel");
    for (what, headers, body) in [
        ("no token", own.to_vec(), String::new()),
        ("another token", own.to_vec(), "form=x&reason=y".to_owned()),
        ("no origin", own[..2].to_vec(), format!("form={form}&reason=y")),
        ("no cookie", vec![own[0], own[2]], format!("form={form}&reason=y")),
        ("a foreign origin", vec![own[0], own[1], ("Origin", "http://evil.example")], format!("form={form}&reason=y")),
    ] {
        let status = page.ask("POST", &cancel, &headers, &body).status;
        assert!(status == 401 || status == 403, "{what}: {status}");
        assert_eq!(cancelled(), "", "{what}");
    }
    assert_eq!(page.ask("GET", &cancel, &own, "").status, 405, "nothing is done by an address");
    assert_eq!(page.ask("POST", &cancel, &own, &format!("form={form}&reason=the+customer+called")).status, 303);
    assert_eq!(cancelled(), r#"{"reason":"the customer called"}"#);
    assert_eq!(page.ask("POST", "/runs/page-act/order-4711/redrive", &own, &format!("form={form}")).status, 303);
    let asked = [
        "-n",
        "page-act",
        "get",
        "sfnrun",
        "order-4711",
        "-o",
        "jsonpath={.metadata.annotations.stepbound\\.dev/redrive}",
    ];
    assert_ne!(bed().control_plane.kubectl(&asked), "");
    let again = page.ask("POST", "/runs/page-act/order-4711/again", &own, &format!("form={form}"));
    let leads = again.head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().to_owned();
    assert!(leads.starts_with("/runs/page-act/order-4711-"), "{leads}");
    let input =
        ["-n", "page-act", "get", "sfnrun", leads.rsplit('/').next().unwrap(), "-o", "jsonpath={.spec.input.orderId}"];
    assert_eq!(bed().control_plane.kubectl(&input), "4711");
    let followed = page.ask("POST", "/runs/page-act/order-4709/follow", &own, &format!("form={form}"));
    assert_eq!(followed.status, 303, "{}", followed.body);
    let histories = bed().control_plane.kubectl(&[
        "-n",
        "page-act",
        "get",
        "sfnhist",
        "-o",
        "jsonpath={range .items[*]}{.spec.workflowRunRef.name}={.spec.follow},{.spec.includeData} {end}",
    ]);
    assert!(histories.contains("order-4709=true,false"), "{histories}");
    for nonsense in
        ["/runs/page-act/..%2f..%2fapi/cancel", "/runs/page-act/order-4711/delete", "/runs/x%20y/order-4711/again"]
    {
        assert_eq!(page.ask("POST", nonsense, &own, &format!("form={form}")).status, 404, "{nonsense}");
    }
}

/// A run that this user asked for and that waits, with its Approval.
fn waiting_for_approval(namespace: &str, name: &str, requester: &str) -> String {
    let kubectl = |args: &[&str], input: Option<String>| {
        let all = [&["-n", namespace], args].concat();
        bed().control_plane.try_kubectl(&all, input.as_deref()).unwrap()
    };
    let uid = |what: &str| kubectl(&["get", what, "-o", "jsonpath={.metadata.uid}"], None);
    let input = json!({"orderId": 4711, "note": "<b>a\u{1b}"});
    let run = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": name},
        "spec": {"workflowRef": {"name": "fulfil"}, "input": input}});
    kubectl(&["create", "-f", "-"], Some(run.to_string()));
    let expires = "2099-01-01T00:00:00Z";
    let text = input.to_string();
    let mut request = json!({"runName": name, "runUID": uid(&format!("sfnrun/{name}")), "attempt": 1, "requester": requester,
        "input": text, "inputDigest": stepbound::digest::sha256_hex(text.as_bytes()),
        "targetARN": "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil:3", "definitionHash": "aa",
        "executionRoleARN": "arn:aws:iam::111122223333:role/shop-exec", "bindingUID": "b", "policyRevision": "1",
        "expiresAt": expires, "digest": ""});
    let digest = stepbound::plan::approval::digest(&serde_json::from_value(request.clone()).unwrap());
    request["digest"] = json!(digest);
    let approval = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "Approval", "metadata": {"name": format!("{name}-1")},
        "spec": {"request": request}});
    kubectl(&["create", "-f", "-"], Some(approval.to_string()));
    let asked = json!({"name": format!("{name}-1"), "uid": uid(&format!("approval/{name}-1")), "attempt": 1, "expiresAt": expires});
    let ready = json!({"type": "Ready", "status": "False", "reason": "WaitingForApproval", "message": "Somebody else decides.",
        "lastTransitionTime": "2027-01-31T12:00:00Z"});
    let status =
        json!({"status": {"phase": "Pending", "requestedBy": requester, "approval": asked, "conditions": [ready]}});
    let resource = format!("sfnrun/{name}");
    kubectl(&["patch", &resource, "--subresource=status", "--type=merge", "-p", &status.to_string()], None);
    digest
}

#[test]
fn what_waits_for_approval_is_decided_from_its_page_as_it_was_shown_and_never_ones_own() {
    let page = filled("page-four", &["--allow-actions"]);
    let me = bed().control_plane.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    let digest = waiting_for_approval("page-four", "waits", "alice");
    waiting_for_approval("page-four", "denied", "alice");
    waiting_for_approval("page-four", "own", &me);
    let (cookie, origin) = (page.enter(), page.origin());
    let own = [("Host", page.host.as_str()), ("Cookie", cookie.as_str()), ("Origin", origin.as_str())];
    let shown = |name: &str| page.ask("GET", &format!("/runs/page-four/{name}"), &own, "").body;
    let value = |body: &str, field: &str| {
        let found = body.split(&format!("name=\"{field}\" value=\"")).nth(1);
        found.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    };
    let decided = |name: &str| {
        let resource = format!("approval/{name}-1");
        bed().control_plane.kubectl(&[
            "-n",
            "page-four",
            "get",
            &resource,
            "-o",
            "jsonpath={.spec.decision.verdict},{.spec.decision.by}",
        ])
    };
    let body = shown("waits");
    for words in ["alice", "2099-01-01", "shop_fulfil:3", "role/shop-exec", digest.as_str(), "Let it start", "\\u001b"]
    {
        assert!(body.contains(words), "{words}: {body}");
    }
    assert!(!body.contains("<b>a"), "{body}");
    let (form, uid) = (value(&body, "form"), value(&body, "uid"));
    assert_eq!(value(&body, "digest"), digest);
    let post = |name: &str, action: &str, body: &str| {
        page.ask("POST", &format!("/runs/page-four/{name}/{action}"), &own, body).status
    };
    let right = format!("form={form}&uid={uid}&digest={digest}");
    for (what, name, body, status) in [
        ("no token", "waits", format!("uid={uid}&digest={digest}"), 403),
        ("another digest", "waits", format!("form={form}&uid={uid}&digest={}", "0".repeat(64)), 409),
        ("another object", "waits", format!("form={form}&uid=x&digest={digest}"), 409),
        ("the form of another run", "denied", right.clone(), 409),
    ] {
        assert_eq!(post(name, "approve", &body), status, "{what}");
        assert_eq!(decided(name), ",", "{what}");
    }
    // One's own has no form, and is refused with one that was made up.
    let mine = shown("own");
    assert!(mine.contains("cannot decide it") && !mine.contains("Let it start"), "{mine}");
    let mut made_up = format!("form={form}&uid=");
    made_up +=
        &bed().control_plane.kubectl(&["-n", "page-four", "get", "approval/own-1", "-o", "jsonpath={.metadata.uid}"]);
    made_up += "&digest=";
    made_up += &bed().control_plane.kubectl(&[
        "-n",
        "page-four",
        "get",
        "approval/own-1",
        "-o",
        "jsonpath={.spec.request.digest}",
    ]);
    assert_eq!(post("own", "approve", &made_up), 409);
    assert_eq!(decided("own"), ",");

    assert_eq!(post("waits", "approve", &right), 303);
    assert_eq!(decided("waits"), format!("Approved,{me}"));
    assert_eq!(post("waits", "deny", &right), 409, "a decision is written once");
    let other = shown("denied");
    let body = format!("form={form}&uid={}&digest={}", value(&other, "uid"), value(&other, "digest"));
    assert_eq!(post("denied", "deny", &body), 303);
    assert_eq!(decided("denied"), format!("Denied,{me}"));
    // A page that only shows has no form, and says how it is decided.
    waiting_for_approval("page-four", "looked-at", "alice");
    let quiet = page_of(&bed().control_plane.admin, &["-n", "page-four"]);
    let cookie = quiet.enter();
    let body = quiet.ask("GET", "/runs/page-four/looked-at", &[("Host", &quiet.host), ("Cookie", &cookie)], "").body;
    assert!(body.contains("kubectl sfn approve looked-at") && !body.contains("Let it start"), "{body}");

    let mut browser = browser("four");
    let page = page_of(&bed().control_plane.admin, &["-n", "page-four", "--allow-actions"]);
    let mut tab = entered(&mut browser, &page);
    for (width, dark) in [(1280, false), (1280, true), (360, false), (360, true)] {
        tab.look(width, dark);
        tab.open(&format!("{}/runs/page-four/looked-at", page.origin()));
        assert_eq!(violations(&mut tab), "", "{width} dark: {dark}");
        assert!(tab.eval("document.documentElement.scrollWidth").as_u64().unwrap() <= u64::from(width), "{width}");
    }
}

#[test]
fn what_a_user_may_not_see_is_not_there_and_the_page_says_why() {
    let control_plane = &bed().control_plane;
    for namespace in ["page-hers", "page-theirs"] {
        fill(control_plane, namespace);
    }
    control_plane.kubectl(&["-n", "page-theirs", "delete", "sfnrun", "order-4711"]);
    let theirs = json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun", "metadata": {"name": "secret-run"},
        "spec": {"workflowRef": {"name": "fulfil"}}});
    control_plane.try_kubectl(&["-n", "page-theirs", "apply", "-f", "-"], Some(&theirs.to_string())).unwrap();
    let read = json!([{"apiGroups": ["stepbound.dev"], "resources": ["workflows", "workflowruns"], "verbs": ["get", "list", "watch"]}]);
    control_plane.grant("alice", "page-hers", &read);
    let page = page_of(&kubeconfig(control_plane, "alice", "page-hers"), &["--allow-actions"]);
    let mut browser = browser("rights");
    let mut tab = entered(&mut browser, &page);
    tab.wait("document.body.innerText.includes('fulfil')");
    tab.open(&format!("{}/runs", page.origin()));
    tab.wait("document.body.innerText.includes('order-4711')");
    let text = tab.text();
    assert!(text.contains("Of namespace \"page-hers\" alone: runs.") && !text.contains("secret-run"), "{text}");
    tab.open(&format!("{}/schedules", page.origin()));
    tab.wait("document.body.innerText.includes('cannot list schedules')");
    assert!(tab.text().contains("There are no schedules that you may see."), "{}", tab.text());
    tab.open(&format!("{}/trust", page.origin()));
    tab.wait("document.body.innerText.includes('cannot list bindings')");
    tab.open(&format!("{}/runs/page-theirs/secret-run", page.origin()));
    assert!(tab.text().contains("Not allowed") && tab.text().contains("forbidden"), "{}", tab.text());
    tab.open(&format!("{}/runs/page-hers/order-4712", page.origin()));
    tab.eval(
        "document.querySelector('.actions details').open = true; document.querySelector('[name=reason]').value = 'x'",
    );
    tab.click(".danger");
    tab.wait("document.body.innerText.includes('cannot cancel run')");
    assert!(tab.text().contains("cannot patch resource"), "her own rights are asked for: {}", tab.text());
    // Rights that were taken are noticed: what was seen goes.
    control_plane.kubectl(&["-n", "page-hers", "delete", "rolebinding", "alice"]);
    tab.open(&format!("{}/runs/page-hers/order-4711", page.origin()));
    assert!(tab.text().contains("Not allowed"), "{}", tab.text());
}

#[test]
fn runs_are_filtered_searched_and_paged() {
    let page = filled("page-find", &[]);
    let items: Vec<_> = (0..60).map(|index| json!({"apiVersion": "stepbound.dev/v1alpha1", "kind": "WorkflowRun",
        "metadata": {"name": format!("bulk-{index:02}"), "namespace": "page-find"}, "spec": {"workflowRef": {"name": "bulk"}}})).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
    bed().control_plane.apply(&list.to_string());
    let mut browser = browser("find");
    let mut tab = entered(&mut browser, &page);
    tab.open(&format!("{}/runs?workflow=bulk", page.origin()));
    tab.wait("document.body.innerText.includes('1–50 of 60')");
    tab.click("[rel=next]");
    tab.wait("document.body.innerText.includes('51–60 of 60')");
    assert_eq!(tab.eval("document.querySelectorAll('tbody tr').length"), 10);
    tab.open(&format!("{}/runs", page.origin()));
    tab.eval("document.querySelector('[name=q]').value = 'carton'");
    tab.click(".filter button");
    tab.wait("location.search.includes('carton') && document.querySelectorAll('tbody tr').length === 1");
    assert!(tab.text().contains("order-4711") && !tab.text().contains("bulk-01"), "{}", tab.text());
    tab.open(&format!("{}/runs?page=99&workflow=bulk&phase=Pending", page.origin()));
    assert!(tab.text().contains("51–60 of 60"), "{}", tab.text());
}

#[test]
fn what_the_browser_is_given_is_small() {
    let page = filled("page-small", &[]);
    let cookie = page.enter();
    let own = [("Host", page.host.as_str()), ("Cookie", cookie.as_str())];
    assert!(page.ask("GET", "/page.js", &own, "").body.len() < 30_000);
    let body = page.ask("GET", "/runs/page-small/order-4711", &own, "").body;
    for from_elsewhere in ["src=\"http", "src=\"//", "href=\"//", "<script>", "<style", "style=\""] {
        assert!(!body.contains(from_elsewhere), "{from_elsewhere}");
    }
}
