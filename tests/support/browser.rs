//! A real Chromium, driven over its debugging pipe: no port that another process could reach, and no library.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const LONGEST: Duration = Duration::from_secs(60);
/// Messages to the browser come in by 3, its own go out by 4.
const PIPED: &str = r#"exec "$0" "$@" 3<&0 4>&1 >/dev/null 2>"$LOG""#;

pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    events: VecDeque<Value>,
    count: u64,
}

/// One tab with a jar of cookies of its own.
pub struct Tab<'a> {
    browser: &'a mut Browser,
    session: String,
    /// What went wrong in the page: exceptions, and what its policy refused.
    pub problems: Vec<String>,
}

impl Browser {
    pub fn start(folder: &Path) -> Self {
        let profile = folder.join("chromium");
        std::fs::create_dir_all(&profile).unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", PIPED]).arg(program()).args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--hide-scrollbars",
            "--no-first-run",
            "--remote-debugging-pipe",
            &format!("--user-data-dir={}", profile.display()),
        ]);
        command.env("LOG", folder.join("chromium.log")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let _ = sender.send(serde_json::from_slice(&message).unwrap());
                message.clear();
            }
        });
        Self { child, input, messages, events: VecDeque::new(), count: 0 }
    }

    pub fn tab(&mut self) -> Tab<'_> {
        let context = self.call(None, "Target.createBrowserContext", &json!({}))["browserContextId"].clone();
        let target = json!({"url": "about:blank", "browserContextId": context});
        let target = self.call(None, "Target.createTarget", &target)["targetId"].clone();
        let attached = self.call(None, "Target.attachToTarget", &json!({"targetId": target, "flatten": true}));
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            self.call(Some(&session), &format!("{domain}.enable"), &json!({}));
        }
        Tab { browser: self, session, problems: Vec::new() }
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        self.answer(session, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// What the browser answers, or why it does not: a tab that goes elsewhere in the meantime has no answer.
    fn answer(&mut self, session: Option<&str>, method: &str, params: &Value) -> Result<Value, Value> {
        self.count += 1;
        let mut message = json!({"id": self.count, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.messages.recv_timeout(LONGEST).unwrap_or_else(|_| panic!("no answer to {method}"));
            if answer["id"] == self.count {
                let error = answer["error"].clone();
                return if error.is_null() { Ok(answer["result"].clone()) } else { Err(error) };
            }
            self.events.push_back(answer);
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The browser's program; tells what to install where there is none.
fn program() -> PathBuf {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = || std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    named
        .or_else(|| places().find(|path| path.is_file()))
        .expect("there is no Chromium: install it (apt-get install chromium), or name one with the variable CHROMIUM")
}

impl Tab<'_> {
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.browser.call(Some(&self.session), method, params)
    }

    /// Opens an address and waits until it is shown.
    pub fn open(&mut self, url: &str) {
        self.eval("globalThis.isOld = true");
        let opened = self.call("Page.navigate", &json!({"url": url}));
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        self.wait("!globalThis.isOld && document.readyState === 'complete'");
    }

    /// What a script gives; of a promise, what becomes of it.
    pub fn eval(&mut self, script: &str) -> Value {
        let asked = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer["exceptionDetails"].is_null(), "{script:.200}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Clicks what a selector finds. That may lead to another page, so nothing is waited for.
    pub fn click(&mut self, selector: &str) {
        self.eval(&format!("void setTimeout(() => document.querySelector({selector:?}).click(), 0)"));
    }

    /// Waits until a script gives something true.
    pub fn wait(&mut self, script: &str) {
        let deadline = Instant::now() + LONGEST;
        loop {
            // While the tab goes elsewhere there is nothing to ask.
            let asked = json!({"expression": script, "returnByValue": true});
            let answer = self.browser.answer(Some(&self.session), "Runtime.evaluate", &asked).unwrap_or_default();
            if answer["result"]["value"] == json!(true) {
                return;
            }
            assert!(Instant::now() < deadline, "never: {script}\n{}", self.eval("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How wide the screen is and whether the viewer likes it dark.
    pub fn look(&mut self, width: u32, dark: bool) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// The text that is to be read.
    pub fn text(&mut self) -> String {
        self.eval("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// A picture of the page as far down as there is something on it, at most so high.
    pub fn picture(&mut self, path: &Path, highest: u64) {
        let size = self.eval("[document.documentElement.clientWidth, Math.ceil(document.querySelector('main').lastElementChild.getBoundingClientRect().bottom + scrollY + 20)]");
        let height = size[1].as_u64().unwrap().min(highest);
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": height, "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.call("Page.captureScreenshot", &asked);
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// Everything that went wrong so far in the tab: exceptions and refusals of the page's policy.
    pub fn problems(&mut self) -> Vec<String> {
        self.eval("0");
        for event in std::mem::take(&mut self.browser.events) {
            let is_problem = event["method"] == "Runtime.exceptionThrown"
                || (event["method"] == "Log.entryAdded" && event["params"]["entry"]["level"] == "error");
            if event["sessionId"] == self.session.as_str() && is_problem {
                self.problems.push(event["params"].to_string());
            }
        }
        self.problems.clone()
    }
}
