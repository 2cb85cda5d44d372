//! Child processes that end with the test, even when the test is killed.

use std::fs::File;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Holds the child's pipe open and kills it when the pipe closes: a signal on the parent's death would come when the
/// thread that started the child ends, and each test has a thread of its own.
/// The child has a process group of its own, so that what it started goes with it.
const WATCHDOG: &str =
    r#"set -m; exec 3<&0; "$@" </dev/null & echo $! >"$PID_FILE"; cat <&3 >/dev/null; kill -9 -- -$!"#;

/// A running child with its log.
pub struct Process {
    watchdog: Child,
    pub log: PathBuf,
    pid_file: PathBuf,
}

impl Process {
    pub fn start(folder: &Path, name: &str, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let pid_file = folder.join(format!("{name}.pid"));
        let output = File::options().create(true).append(true).open(&log).unwrap();
        let mut wrapped = Command::new("bash");
        wrapped.arg("-c").arg(WATCHDOG).arg(name).arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(key, value),
                None => wrapped.env_remove(key),
            };
        }
        wrapped.env_remove("AWS_CA_BUNDLE").env("PID_FILE", &pid_file).current_dir(folder);
        let _ = std::fs::remove_file(&pid_file);
        let watchdog =
            wrapped.stdin(Stdio::piped()).stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        wait_until(Duration::from_secs(60), &format!("{name} starts"), || pid_file.exists().then_some(()));
        Self { watchdog, log, pid_file }
    }

    /// Sends a signal, for example `KILL`, to the child itself.
    pub fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(&self.pid_file).unwrap();
        let _ = Command::new("kill").arg(format!("-{signal}")).arg(pid.trim()).stderr(Stdio::null()).status();
    }

    pub fn pid(&self) -> u32 {
        std::fs::read_to_string(&self.pid_file).unwrap().trim().parse().unwrap()
    }

    pub fn is_running(&self) -> bool {
        let pid = std::fs::read_to_string(&self.pid_file).unwrap();
        std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// A figure of memory that the kernel keeps, in MB.
    fn megabytes(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes / 1024.0
    }

    /// Resident memory now, in MB.
    pub fn resident(&self) -> f64 {
        self.megabytes("VmRSS:")
    }

    /// Resident memory now and at its highest, as the kernel counts it.
    pub fn memory(&self) -> String {
        let megabytes = |name| self.megabytes(name);
        let (now, own, highest) = (megabytes("VmRSS:"), megabytes("RssAnon:"), megabytes("VmHWM:"));
        format!("{now:.1} MB ({own:.1} MB without the program's file), highest {highest:.1} MB")
    }

    /// Processor time that the child has used, of user and system.
    pub fn cpu_seconds(&self) -> f64 {
        cpu_seconds(self.pid())
    }

    pub fn log_text(&self) -> String {
        let mut text = Vec::new();
        File::open(&self.log).unwrap().read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Asks again and again until there is an answer; panics with what was awaited.
pub fn wait_until<T>(longest: Duration, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {longest:?}: {what}");
        sleep(Duration::from_millis(50));
    }
}

/// Processor time that a process has used, of user and system.
pub fn cpu_seconds(pid: u32) -> f64 {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / TICKS_A_SECOND
}
