use super::*;
use crate::outcome::Class;
use crate::plan::samples;
use crate::reason::Reason;

fn at(second: f64) -> Timestamp {
    later(Timestamp::from_second(1_800_000_000).unwrap(), second)
}

fn machine() -> Arc<MachineKey> {
    let arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:shop_fulfil".to_owned();
    Arc::new(MachineKey { namespace: "shop".into(), binding: "orders".into(), arn })
}

fn run(name: &str) -> Followed {
    Followed {
        machine: machine(),
        run: name.into(),
        execution_arn: format!("arn:aws:states:eu-west-1:111122223333:execution:shop_fulfil:{name}"),
        started_at: at(0.0),
        redrive_count: 0,
        stopping: false,
    }
}

fn following(runs: usize) -> Schedule {
    let mut schedule = Schedule::default();
    (0..runs).for_each(|index| schedule.follow(run(&format!("r{index}")), at(0.0)));
    schedule
}

fn execution(status: ExecutionStatus) -> Execution {
    Execution {
        arn: run("r0").execution_arn,
        state_machine_arn: machine().arn.clone(),
        started_at: at(0.0),
        ..samples::execution(status)
    }
}

#[test]
fn a_list_that_was_refused_is_tried_again_as_the_refusals_class_says() {
    let mut schedule = following(10);
    let refusal = || Outcome::Denied(Failure::new(Class::Denied, Reason::AccessDenied, ""));
    let (mut second, mut rests) = (30, Vec::new());
    let now = |second: i32| at(f64::from(second));
    for _ in 0..7 {
        let look = schedule.next_list(now(second)).unwrap();
        schedule.listed(&look, refusal(), now(second));
        let refused = second;
        while schedule.next_list(now(second)).is_none() {
            second += 1;
        }
        // The one just chosen is not asked for.
        schedule.machines.values_mut().for_each(Machine::page_failed);
        rests.push(second - refused);
        second += 1;
    }
    assert_eq!(rests, [15, 30, 60, 120, 240, 480, 600]);
    let look = schedule.next_list(now(second)).unwrap();
    let page = ExecutionPage { executions: Vec::new(), next_token: None };
    schedule.listed(&look, Outcome::Answer(page), now(second));
    let look = schedule.next_list(now(second + 60)).unwrap();
    schedule.listed(&look, refusal(), now(second + 60));
    assert_eq!(schedule.next_list(now(second + 74)), None);
    assert!(schedule.next_list(now(second + 76)).is_some(), "once it was allowed it begins anew");
}

#[test]
fn nothing_is_kept_of_a_machine_a_day_after_its_last_execution() {
    let mut schedule = following(1);
    schedule.want_output(run("ended"), at(0.0));
    assert!(schedule.next_output(at(1.0)).is_some());
    schedule.hint("arn:aws:states:eu-west-1:111122223333:execution:other:x", at(0.0));
    assert_eq!(schedule.tidy(at(1.0)), []);
    schedule.forget(&run("ended").execution_arn);
    schedule.forget(&run("r0").execution_arn);
    assert_eq!(schedule.tidy(at(100.0)), []);
    assert_eq!(schedule.machines.len(), 1, "its durations may be of use again");
    assert_eq!(schedule.tidy(at(86_399.0)), []);
    schedule.follow(run("r1"), at(86_399.0));
    assert_eq!(schedule.tidy(later(at(86_399.0), 10.0)), []);
    schedule.forget(&run("r1").execution_arn);
    let idle = later(at(86_399.0), 20.0);
    assert_eq!(schedule.tidy(idle), []);
    assert_eq!(schedule.tidy(later(idle, 86_400.0)), [machine()]);
    assert!(schedule.machines.is_empty() && schedule.outputs.is_empty() && schedule.early_hints.is_empty());
    assert!(schedule.reading.is_empty() && schedule.by_execution.is_empty());
}

#[test]
fn ends_are_expected_after_a_restart_as_they_were_before_it() {
    let looks = |mut schedule: Schedule| {
        let mut looks = 0;
        for tenth in 0..550 {
            let now = at(f64::from(tenth) / 10.0);
            if let Some(describe) = schedule.next_describe(now) {
                looks += 1;
                let running = Outcome::Answer(Some(execution(ExecutionStatus::Running)));
                schedule.described(&describe, running, |_| false, now);
            }
        }
        looks
    };
    let mut knowing = Schedule::default();
    knowing.remember((*machine()).clone(), &[60.0; 64]);
    knowing.follow(run("r0"), at(0.0));
    let (known, unknown) = (looks(knowing), looks(following(1)));
    assert!(known <= 3 && unknown >= 20, "{known} looks before the usual end, {unknown} where nothing is known");
}

#[test]
fn an_answer_shows_what_ran_when_it_was_asked_for_however_long_it_took() {
    let mut schedule = following(1);
    let describe = schedule.next_describe(at(2.0)).unwrap();
    let running = Outcome::Answer(Some(execution(ExecutionStatus::Running)));
    schedule.described(&describe, running, |_| false, at(9.0));
    let open = schedule.machines[&machine()].open.values().next().unwrap();
    assert_eq!(open.ran_at, at(2.0));
}
