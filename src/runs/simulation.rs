//! The schedule against a simulated AWS: eventually consistent, paged, with buckets, where executions start, end and are
//! redriven meanwhile. Time is simulated, so ten minutes take a moment.

#![allow(missing_docs)]

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::aws::{ExecutionPage, ExecutionStatus, ListPage};

const STEP: f64 = 0.05;

#[derive(Clone, Debug)]
struct Execution {
    machine: Arc<MachineKey>,
    arn: String,
    start: f64,
    end: f64,
    status: ExecutionStatus,
    redrive_count: i32,
    /// AWS shows start and end so late.
    lag: f64,
    /// When the schedule told the end.
    found: Option<f64>,
    /// When its output was read.
    read: Option<f64>,
}

impl Execution {
    fn status_at(&self, now: f64) -> ExecutionStatus {
        if self.end + self.lag <= now { self.status } else { ExecutionStatus::Running }
    }
}

struct Bucket {
    tokens: f64,
    rate: f64,
    burst: f64,
}

impl Bucket {
    fn take(&mut self) -> bool {
        let has = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(has));
        has
    }
}

/// What a world is like.
#[derive(Clone)]
struct Setting {
    machines: usize,
    page: usize,
    lag: f64,
    /// Lists and descriptions a second.
    rates: (f64, f64),
    burst: f64,
    hints: bool,
    tenants: usize,
}

struct World {
    setting: Setting,
    now: f64,
    executions: Vec<Execution>,
    by_arn: HashMap<String, usize>,
    schedule: Schedule,
    lists: Bucket,
    descriptions: Bucket,
    answers: Vec<Answer>,
    ended: Vec<(f64, usize)>,
}

#[expect(clippy::large_enum_variant, reason = "a few at a time")]
enum Answer {
    List(Look, ExecutionPage),
    Describe(Describe, Option<crate::aws::Execution>),
}

fn at(second: f64) -> Timestamp {
    later(Timestamp::from_second(1_800_000_000).unwrap(), second)
}

impl World {
    fn new(setting: Setting) -> Self {
        let bucket = |rate| Bucket { tokens: setting.burst, rate, burst: setting.burst.max(1.0) };
        let (lists, descriptions) = (bucket(setting.rates.0), bucket(setting.rates.1));
        let (executions, answers, ended) = (Vec::new(), Vec::new(), Vec::new());
        let schedule = Schedule::default();
        Self { setting, now: 0.0, executions, by_arn: HashMap::new(), schedule, lists, descriptions, answers, ended }
    }

    fn start(&mut self, machine: usize, seconds: f64, status: ExecutionStatus, lag: f64) {
        let key = MachineKey {
            namespace: format!("team-{}", machine % self.setting.tenants),
            binding: "b".into(),
            arn: format!("arn:aws:states:eu-west-1:1:stateMachine:m{machine}"),
        };
        let index = self.executions.len();
        let arn = format!("arn:aws:states:eu-west-1:1:execution:m{machine}:{index}");
        let execution = Execution {
            machine: Arc::new(key),
            arn: arn.clone(),
            start: self.now,
            end: self.now + seconds,
            status,
            redrive_count: 0,
            lag,
            found: None,
            read: None,
        };
        self.ended.push((execution.end, index));
        self.by_arn.insert(arn, index);
        self.schedule.follow(followed(&execution), at(self.now));
        self.executions.push(execution);
    }

    /// The end that was found is the start of another round.
    fn redrive(&mut self, index: usize, seconds: f64) {
        let (now, one) = (self.now, &mut self.executions[index]);
        one.redrive_count += 1;
        (one.end, one.status, one.found) = (now + seconds, ExecutionStatus::Succeeded, None);
        one.read = None;
        // The redrive itself is shown late too: until then the old end is.
        let followed = followed(one);
        self.schedule.follow(followed, at(now));
    }

    fn list(&self, page: &ListPage) -> ExecutionPage {
        let now = self.now;
        let of_machine = |one: &&Execution| one.machine.arn == page.arn && one.start + one.lag <= now;
        let mut items: Vec<(f64, &Execution)> = self
            .executions
            .iter()
            .filter(of_machine)
            .filter_map(|one| {
                let status = one.status_at(now);
                let wanted = page.status.is_none_or(|wanted| wanted == status);
                let by_end = page.status.is_some_and(|status| status != ExecutionStatus::Running);
                wanted.then_some((if by_end { one.end } else { one.start }, one))
            })
            .collect();
        items.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.arn.cmp(&b.1.arn)));
        if let Some(token) = &page.next_token {
            let (time, arn) = token.split_once('|').unwrap();
            let time: f64 = time.parse().unwrap();
            items.retain(|(key, one)| key.total_cmp(&time).then_with(|| arn.cmp(one.arn.as_str())).is_lt());
        }
        let more = items.len() > self.setting.page;
        items.truncate(self.setting.page);
        let next_token = items.last().filter(|_| more).map(|(key, one)| format!("{key}|{}", one.arn));
        let executions = items.into_iter().map(|(_, one)| self.listed(one)).collect();
        ExecutionPage { executions, next_token }
    }

    fn listed(&self, one: &Execution) -> ListedExecution {
        let status = one.status_at(self.now);
        ListedExecution {
            arn: one.arn.clone(),
            version_arn: None,
            status,
            started_at: at(one.start),
            stopped_at: (status != ExecutionStatus::Running).then(|| at(one.end)),
            redrive_count: one.redrive_count,
        }
    }

    fn describe(&self, arn: &str) -> Option<crate::aws::Execution> {
        let one = &self.executions[self.by_arn[arn]];
        if one.start + one.lag > self.now {
            return None;
        }
        let listed = self.listed(one);
        Some(crate::aws::Execution {
            arn: listed.arn,
            state_machine_arn: one.machine.arn.clone(),
            version_arn: None,
            alias_arn: None,
            trace_header: None,
            status: listed.status,
            started_at: listed.started_at,
            stopped_at: listed.stopped_at,
            redrive_count: one.redrive_count,
            input: None,
            output: None,
            error: None,
            cause: None,
            redrivable: None,
        })
    }

    /// One step of time: answers arrive, buckets fill, hints come, calls are made.
    fn step(&mut self) {
        self.now += STEP;
        let now = at(self.now);
        for bucket in [&mut self.lists, &mut self.descriptions] {
            bucket.tokens = (bucket.tokens + bucket.rate * STEP).min(bucket.burst);
        }
        for answer in std::mem::take(&mut self.answers) {
            let found = match answer {
                Answer::List(look, page) => self.schedule.listed(&look, Outcome::Answer(page), now),
                Answer::Describe(describe, execution) => {
                    self.schedule.described(&describe, Outcome::Answer(execution), |_| false, now)
                }
            };
            for one in found {
                self.found(&one);
            }
        }
        if self.setting.hints {
            let over = self.now;
            let hinted: Vec<usize> =
                self.ended.iter().filter(|(end, _)| *end <= over).map(|(_, index)| *index).collect();
            self.ended.retain(|(end, _)| *end > over);
            for index in hinted {
                self.schedule.hint(&self.executions[index].arn.clone(), now);
            }
        }
        while self.descriptions.tokens >= 1.0
            && let Some(describe) = self.schedule.next_describe(now)
        {
            self.descriptions.take();
            let execution = self.describe(&describe.execution_arn);
            self.answers.push(Answer::Describe(describe, execution));
        }
        while self.lists.tokens >= 1.0
            && let Some(look) = self.schedule.next_list(now)
        {
            self.lists.take();
            let page = self.list(&look.page);
            self.answers.push(Answer::List(look, page));
        }
        // Some of the bucket is left to those before.
        let enough = (1.0 + 0.04 * self.descriptions.burst).min(self.descriptions.burst);
        while self.descriptions.tokens >= enough
            && let Some(describe) = self.schedule.next_output(now)
        {
            self.descriptions.take();
            let execution = self.describe(&describe.execution_arn);
            self.answers.push(Answer::Describe(describe, execution));
        }
    }

    fn found(&mut self, found: &Found) {
        let now = self.now;
        let one = &mut self.executions[self.by_arn[&found.followed.execution_arn]];
        let (status, redrive_count) = match &found.evidence {
            Evidence::Listed(listed) => (listed.status, listed.redrive_count),
            Evidence::Described(execution) => (execution.status, execution.redrive_count),
            other => panic!("{other:?}"),
        };
        if matches!(found.evidence, Evidence::Described(_)) {
            one.read.get_or_insert(now);
            if one.found.is_some() {
                return;
            }
        } else {
            self.schedule.want_output(found.followed.clone(), at(now));
        }
        assert!(one.end + one.lag <= now, "{} told before AWS showed it", one.arn);
        assert_eq!((status, redrive_count), (one.status, one.redrive_count), "{}", one.arn);
        assert!(one.found.replace(now).is_none(), "{} told twice", one.arn);
    }

    /// Seconds from when AWS showed an end to when it was told, of those that ended within a time: the middle and the 99th
    /// of a hundred. One that was not told counts until now.
    fn latencies(&self, from: f64, to: f64) -> (f64, f64) {
        let within = self.executions.iter().filter(|one| (from..to).contains(&one.end));
        let mut late: Vec<f64> = within.map(|one| one.found.unwrap_or(self.now) - one.end - one.lag).collect();
        late.sort_by(f64::total_cmp);
        assert!(late.len() > 50, "{} ends", late.len());
        (late[late.len() / 2], late[late.len() * 99 / 100])
    }
}

fn followed(execution: &Execution) -> Followed {
    Followed {
        machine: execution.machine.clone(),
        run: execution.arn.clone(),
        execution_arn: execution.arn.clone(),
        started_at: at(execution.start),
        redrive_count: execution.redrive_count,
        stopping: false,
    }
}

fn any_status(random: &mut StdRng) -> ExecutionStatus {
    use ExecutionStatus::{Aborted, Failed, Succeeded, TimedOut};
    [Succeeded, Succeeded, Succeeded, Failed, TimedOut, Aborted][random.random_range(0..6)]
}

#[test]
fn every_end_is_told_once_truly_and_in_time_whatever_aws_shows_late() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let setting = Setting {
            machines: random.random_range(1..6),
            page: random.random_range(3..30),
            lag: random.random_range(0.0..10.0),
            rates: (2.5, 7.5),
            burst: 20.0,
            hints: random.random(),
            tenants: random.random_range(1..4),
        };
        let mut world = World::new(setting.clone());
        for _ in 0..9000 {
            world.step();
            if world.now < 200.0 && random.random_bool(0.02) {
                let (status, lag) = (any_status(&mut random), random.random_range(0.0..=setting.lag));
                let longest = [2.0, 20.0, 150.0][random.random_range(0..3)];
                world.start(random.random_range(0..setting.machines), random.random_range(0.1..longest), status, lag);
            }
            if world.now < 200.0 && random.random_bool(0.002) {
                let now = world.now;
                let done = |one: &Execution| {
                    one.found.is_some_and(|found| now - found > 1.0) && one.status != ExecutionStatus::Succeeded
                };
                if let Some(index) = world.executions.iter().position(done) {
                    world.redrive(index, 10.0);
                }
            }
        }
        assert!(world.executions.len() > 50);
        let late: Vec<_> = world.executions.iter().filter(|one| one.found.is_none()).collect();
        assert!(late.is_empty(), "seed {seed}: not told of {}: {late:?}", world.executions.len());
        assert!(world.executions.iter().all(|one| one.read.is_some()), "seed {seed}: an output was not read");
        assert_eq!(world.schedule.open(), 0);
    }
}

/// Fills a world with executions that are open and end at a rate, and lets it run; the middle and 99th of 100 latencies.
fn detection(setting: Setting, open: usize, ends_a_second: f64, seconds: f64) -> (f64, f64) {
    let mut random = StdRng::seed_from_u64(7);
    let (machines, lag) = (setting.machines, setting.lag);
    let mut world = World::new(setting);
    #[allow(clippy::cast_precision_loss)]
    let longest = 2.0 * open as f64 / ends_a_second;
    for index in 0..open {
        world.start(
            index % machines,
            random.random_range(0.0..longest),
            any_status(&mut random),
            random.random_range(0.0..=lag),
        );
    }
    while world.now < seconds {
        world.step();
        // Each that ends is replaced.
        if random.random_bool((ends_a_second * STEP).min(1.0)) {
            world.start(
                random.random_range(0..machines),
                random.random_range(0.0..longest),
                ExecutionStatus::Succeeded,
                random.random_range(0.0..=lag),
            );
        }
    }
    world.latencies(seconds * 0.1, seconds * 0.6)
}

/// Where thousands are open there is always one more to describe: outputs have every second turn all the same.
#[test]
fn outputs_take_turns_with_guesses() {
    let setting =
        Setting { machines: 1, page: 1000, lag: 0.0, rates: (0.0, 0.0), burst: 0.0, hints: false, tenants: 1 };
    let mut world = World::new(setting);
    for _ in 0..20 {
        world.start(0, 1000.0, ExecutionStatus::Succeeded, 0.0);
    }
    let ended: Vec<Followed> = world.executions[..3].iter().map(followed).collect();
    for one in ended {
        world.schedule.forget(&one.execution_arn);
        world.schedule.want_output(one, at(0.0));
    }
    // So old that each is likely to have ended, as far as is known.
    let now = at(60.0);
    let (mut order, mut guesses) = (String::new(), Vec::new());
    for _ in 0..8 {
        if let Some(guess) = world.schedule.next_describe(now) {
            guesses.push(guess.execution_arn);
            order.push('?');
            continue;
        }
        order.push(if world.schedule.next_output(now).is_some() { 'o' } else { '-' });
    }
    assert_eq!(order, "?o?o?o??");
    // What is hinted at does not wait for outputs.
    let left: Vec<Followed> =
        world.executions[3..].iter().filter(|one| !guesses.contains(&one.arn)).map(followed).collect();
    world.schedule.forget(&left[0].execution_arn);
    world.schedule.want_output(left[0].clone(), now);
    assert_eq!(world.schedule.next_describe(now), None);
    world.schedule.hint(&left[1].execution_arn, now);
    let next = world.schedule.next_describe(later(now, 1.0)).unwrap();
    assert_eq!(next.execution_arn, left[1].execution_arn);
}

/// A tenth of the open executions, machines and quota of the published measurement.
#[test]
fn from_empty_buckets_ends_are_told_within_the_aims() {
    let setting = |machines, hints| Setting {
        machines,
        page: 1000,
        lag: 0.0,
        rates: (0.25, 0.75),
        burst: 0.0,
        hints,
        tenants: 1,
    };
    let (middle, worst) = detection(setting(5, false), 1000, 0.5, 600.0);
    assert!(worst <= 30.0, "5 machines: {middle:.1} s, {worst:.1} s");
    let (middle, worst) = detection(setting(50, false), 1000, 0.5, 1200.0);
    assert!(worst <= 240.0, "50 machines: {middle:.1} s, {worst:.1} s");
}

/// `cargo test --release -- --ignored detection_at_full_size --nocapture` prints the numbers.
#[test]
#[ignore = "takes minutes; a table to look at"]
#[allow(clippy::print_stdout)]
fn detection_at_full_size() {
    for (machines, hints, lag) in
        [(50, false, 0.0), (50, false, 3.0), (500, false, 3.0), (50, true, 0.0), (50, true, 3.0)]
    {
        let setting = Setting { machines, page: 1000, lag, rates: (2.5, 7.5), burst: 0.0, hints, tenants: 1 };
        let (middle, worst) = detection(setting, 10_000, 2.5, 900.0);
        println!("{machines} machines, hints {hints}, lag up to {lag} s: middle {middle:.2} s, 99th {worst:.2} s");
    }
}
