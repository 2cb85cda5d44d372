//! `make speed`: verdicts and time on the corpus repeated to 1,000 definitions, and whether the time grows with the text. With
//! `STEPBOUND_CORPUS` unset only the second. `tools/compare-linters.sh` runs others beside it.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs)]

#[path = "../../tests/support/corpus.rs"]
mod corpus;

use std::hint::black_box;
use std::time::{Duration, Instant};

use stepbound::asl::lint::lint;
use stepbound::asl::{Circumstances, Finding, parse};

/// How many definitions are linted in a round.
const DEFINITIONS: usize = 1000;
/// Rounds; the fastest counts, because the others were disturbed.
const ROUNDS: usize = 15;

/// True when a text is accepted.
fn accepts(text: &str) -> bool {
    let circumstances = Circumstances { placeholders: true, ..Circumstances::default() };
    parse(text).is_ok_and(|parsed| !lint(parsed.root(), circumstances).iter().any(Finding::is_error))
}

fn fastest(mut work: impl FnMut()) -> (Duration, Duration) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    (times[0], times[times.len() / 2])
}

fn verdicts() {
    let Some(folder) = corpus::folder() else { return };
    let read = |kind: &str| corpus::texts(&folder.join("asl/asl-validator").join(kind));
    let (valid, invalid) = (read("valid"), read("invalid"));
    let right = |texts: &[(String, String)], wanted: bool| {
        texts.iter().filter(|(name, text)| accepts(text) == (wanted != corpus::is_decided_otherwise(name))).count()
    };
    let accepted = valid.iter().filter(|(_, text)| accepts(text)).count();
    let refused = invalid.iter().filter(|(_, text)| !accepts(text)).count();
    println!("valid:   {accepted} of {} accepted, {} as AWS decides", valid.len(), right(&valid, true));
    println!("invalid: {refused} of {} refused, {} as AWS decides", invalid.len(), right(&invalid, false));
    for (name, reason) in corpus::DECIDED_OTHERWISE {
        println!("  {name}: {reason}");
    }
    let all: Vec<&str> =
        valid.iter().chain(&invalid).map(|(_, text)| text.as_str()).cycle().take(DEFINITIONS).collect();
    let bytes: usize = all.iter().map(|text| text.len()).sum();
    let (best, median) = fastest(|| {
        for text in &all {
            black_box(accepts(black_box(text)));
        }
    });
    println!(
        "{DEFINITIONS} definitions, {bytes} bytes, parsed and linted: best {:.1} ms, median {:.1} ms of {ROUNDS} rounds",
        best.as_secs_f64() * 1e3,
        median.as_secs_f64() * 1e3
    );
}

/// What this thread has spent on a processor; where the system does not tell, what has passed. A machine that is busy
/// otherwise would make long work look longer than short work.
fn busy(since: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| since.elapsed(), Duration::from_nanos)
}

/// A text of about this many bytes.
type Shape = (&'static str, fn(usize) -> String);

/// Texts that would show it if a step of the linter took more than its share of a larger one.
const SHAPES: [Shape; 7] = [
    ("many states", |bytes| {
        let count = bytes / 60;
        let state = |at: usize| format!("\"S{at}\":{{\"Type\":\"Pass\",\"Next\":\"S{}\"}},", at + 1);
        let states: String = (0..count).map(state).collect();
        format!("{{\"StartAt\":\"S0\",\"States\":{{{states}\"S{count}\":{{\"Type\":\"Succeed\"}}}}}}")
    }),
    ("all states dangling", |bytes| {
        let state = |at: usize| format!("\"S{at}\":{{\"Type\":\"Pass\",\"Next\":\"T{at}\"}},");
        let states: String = (0..bytes / 40).map(state).collect();
        format!("{{\"StartAt\":\"S0\",\"States\":{{{states}\"E\":{{\"Type\":\"Succeed\"}}}}}}")
    }),
    ("one long expression", |bytes| expression(&"$a + ".repeat(bytes / 5), "1")),
    ("one deep expression", |bytes| expression(&"(".repeat(bytes), "")),
    ("one long path", |bytes| {
        let path = ".a['b']".repeat(bytes / 7);
        format!("{{\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Succeed\",\"InputPath\":\"${path}\"}}}}}}")
    }),
    ("many branches and variables", |bytes| {
        let variables: Vec<String> = (0..bytes / 30).map(|at| format!("\"v{at}\":1")).collect();
        let branch = |at: usize| format!("{{\"StartAt\":\"B{at}\",\"States\":{{\"B{at}\":{{\"Type\":\"Succeed\"}}}}}}");
        let branches: Vec<String> = (0..bytes / 120).map(branch).collect();
        format!(
            "{{\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Parallel\",\"End\":true,\"Assign\":{{{}}},\"Branches\":[{}]}}}}}}",
            variables.join(","),
            branches.join(",")
        )
    }),
    ("YAML", |bytes| {
        let state = |at: usize| format!("  S{at}:\n    Type: Pass\n    Next: S{}\n", at + 1);
        let states: String = (0..bytes / 40).map(state).collect();
        format!("StartAt: S0\nStates:\n{states}  E: {{Type: Succeed}}\n")
    }),
];

fn expression(body: &str, end: &str) -> String {
    format!(
        "{{\"QueryLanguage\":\"JSONata\",\"StartAt\":\"A\",\"States\":{{\"A\":{{\"Type\":\"Succeed\",\"Output\":\"{{% {body}{end} %}}\"}}}}}}"
    )
}

fn growth() {
    println!("\n{:28} {:>12} {:>12} {:>8}", "text", "128 KiB", "1 MiB", "ratio");
    for (name, shape) in SHAPES {
        let time = |bytes: usize| {
            let (text, since) = (shape(bytes), Instant::now());
            let before = busy(since);
            for _ in 0..ROUNDS {
                black_box(accepts(black_box(&text)));
            }
            busy(since).saturating_sub(before).as_secs_f64() / f64::from(u32::try_from(ROUNDS).expect("few rounds"))
        };
        let (small, large) = (time(128 * 1024), time(1024 * 1024));
        println!("{name:28} {:>9.2} ms {:>9.2} ms {:>8.1}", small * 1e3, large * 1e3, large / small);
    }
    println!("8 times the text: a ratio near 8 is linear, one near 64 would be square.");
}

fn main() {
    verdicts();
    growth();
}
