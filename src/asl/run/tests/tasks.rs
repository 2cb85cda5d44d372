//! Tasks: calls, attempts, catchers, time.

use super::*;

const LAMBDA: &str = "arn:aws:states:::lambda:invoke";

fn task(fields: Value) -> Value {
    let mut state = fields;
    state["Type"] = json!("Task");
    if state.get("Resource").is_none() {
        state["Resource"] = json!(LAMBDA);
    }
    alone(state)
}

fn error(name: &str) -> Answer {
    Answer::Failed { error: Some(name.to_owned()), cause: Some("why".to_owned()) }
}

/// Answers by these, one a call.
fn by(answers: Vec<Answer>) -> impl FnMut(&Invoke) -> TaskAnswer {
    let mut answers = answers.into_iter();
    move |_| answers.next().map_or(TaskAnswer::Never, TaskAnswer::from)
}

fn seconds(played: &Played) -> f64 {
    let (first, last) = (&played.history[0], played.history.last().unwrap());
    last.timestamp.duration_since(first.timestamp).as_secs_f64()
}

#[test]
fn a_call_is_told_by_what_it_calls() {
    let function = "arn:aws:lambda:us-east-1:123456789012:function:f";
    let activity = "arn:aws:states:us-east-1:123456789012:activity:a";
    for (resource, answers, kinds) in [
        (function, vec![], vec!["LambdaFunctionScheduled", "LambdaFunctionStarted", "LambdaFunctionSucceeded"]),
        (activity, vec![], vec!["ActivityScheduled", "ActivityStarted", "ActivitySucceeded"]),
        (LAMBDA, vec![], vec!["TaskScheduled", "TaskStarted", "TaskSucceeded"]),
        (
            "arn:aws:states:::ecs:runTask.sync",
            vec![Answer::Submitted(json!({"job": 1}))],
            vec!["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"],
        ),
    ] {
        let answers = [answers, vec![Answer::Succeeded(json!({"ok": 1}))]].concat();
        let machine = task(json!({"Resource": resource, "Credentials": {"RoleArn.$": "$.role"}}));
        let played = run_with(&machine, Start::with_input(json!({"role": "r"})), |_| TaskAnswer::Now(answers.clone()));
        assert_eq!(played.outcome, Outcome::Succeeded(json!({"ok": 1})));
        assert_eq!(types(&played)[2..2 + kinds.len()], kinds);
        assert_eq!(played.history[2].details["taskCredentials"], json!({"roleArn": "r"}));
        assert_eq!((played.calls[0].resource.as_str(), played.calls[0].path.pointer.as_str()), (resource, "/States/S"));
        assert_eq!(played.calls[0].credentials, Some(json!({"RoleArn": "r"})));
    }
}

#[test]
fn a_result_goes_through_the_fields_of_its_language() {
    let input = json!({"n": 4});
    let result = Answer::Succeeded(json!({"Payload": {"x": 2}, "Rest": 0}));
    for (state, called, output) in [
        (
            json!({"Parameters": {"P.$": "$.n"}, "ResultSelector": {"x.$": "$.Payload.x"}, "ResultPath": "$.r", "OutputPath": "$"}),
            json!({"P": 4}),
            json!({"n": 4, "r": {"x": 2}}),
        ),
        (
            json!({"QueryLanguage": "JSONata", "Arguments": {"P": "{% $states.input.n %}"}, "Output": "{% $states.result.Payload.x + $states.input.n %}"}),
            json!({"P": 4}),
            json!(6),
        ),
        (json!({"QueryLanguage": "JSONata"}), input.clone(), json!({"Payload": {"x": 2}, "Rest": 0})),
    ] {
        let played = run_with(&task(state.clone()), Start::with_input(input.clone()), by(vec![result.clone()]));
        assert_eq!((&played.outcome, &played.calls[0].input), (&Outcome::Succeeded(output), &called), "{state}");
    }
}

#[test]
fn attempts_are_made_as_the_retriers_say_each_with_a_count_of_its_own() {
    let retry = json!([
        {"ErrorEquals": ["A"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3.0},
        {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 10, "MaxAttempts": 3, "BackoffRate": 2.0, "MaxDelaySeconds": 15}]);
    let errors = ["A", "B", "A", "B", "B"].map(error).to_vec();
    let answers = [errors.clone(), vec![Answer::Succeeded(json!(1))]].concat();
    let machine = task(json!({"Retry": retry, "ResultSelector": {"n.$": "$$.State.RetryCount"}}));
    let played = run_with(&machine, Start::with_input(json!({})), by(answers));
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"n": 5})));
    assert!((seconds(&played) - (2.0 + 6.0 + 10.0 + 15.0 + 15.0)).abs() < 1e-6);
    assert_eq!(played.calls.iter().map(|call| call.attempt).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
    let ways: Vec<Way> = played.ways.iter().map(|(_, way)| *way).collect();
    assert_eq!(ways, [Way::Retry(0), Way::Retry(1), Way::Retry(0), Way::Retry(1), Way::Retry(1), Way::End]);

    let answers = [errors, vec![error("A")]].concat();
    let played = run_with(&machine, Start::with_input(json!({})), by(answers));
    assert_eq!(played.outcome, failed("A", "why"), "the first retrier that takes it has no attempt left");

    let full =
        json!([{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "MaxAttempts": 1, "JitterStrategy": "FULL"}]);
    let machine = task(json!({"Retry": full}));
    let delay = |seed| {
        let start = Start { seed, ..Start::with_input(json!({})) };
        seconds(&run_with(&machine, start, by(vec![error("A"), Answer::Succeeded(json!(1))])))
    };
    assert!((0..20).map(delay).all(|delay| (0.0..=100.0).contains(&delay)));
    assert!((delay(1) - delay(1)).abs() < f64::EPSILON && (delay(1) - delay(2)).abs() > 1e-3, "the seed decides");
}

#[test]
fn an_error_goes_to_the_first_catcher_that_names_it() {
    let catch = json!([
        {"ErrorEquals": ["A", "B"], "ResultPath": "$.e", "Next": "Named"},
        {"ErrorEquals": ["States.Timeout"], "Next": "Late"},
        {"ErrorEquals": ["States.ALL"], "ResultPath": null, "Next": "Any"}]);
    let machine = task(json!({"Catch": catch}));
    for (answer, next, output) in [
        (error("B"), "Named", json!({"in": 1, "e": {"Error": "B", "Cause": "why"}})),
        (Answer::TimedOut { cause: None }, "Late", json!({"Error": "States.Timeout", "Cause": ""})),
        (error("C"), "Any", json!({"in": 1})),
        (Answer::Failed { error: None, cause: None }, "Any", json!({"in": 1})),
    ] {
        let played = run_with(&machine, Start::with_input(json!({"in": 1})), by(vec![answer.clone()]));
        assert_eq!(played.outcome, Outcome::Succeeded(output), "{answer:?}");
        assert_eq!(entered(&played), ["S", next]);
        let at = ["Named", "Late", "Any"].iter().position(|name| *name == next).unwrap();
        assert_eq!(played.ways[0].1, Way::Catch(at));
    }
    let catch = json!([{"ErrorEquals": ["States.ALL"], "Next": "T", "Assign": {"e": "{% $states.errorOutput.Error %}"},
        "Output": "{% {'in': $states.input, 'why': $states.errorOutput.Cause} %}"}]);
    let machine = task(json!({"QueryLanguage": "JSONata", "Catch": catch}));
    let played = run_with(&machine, Start::with_input(json!(1)), by(vec![error("X")]));
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"in": 1, "why": "why"})));
    let broken = json!([{"ErrorEquals": ["States.ALL"], "Next": "T", "Output": "{% $nothing %}"}]);
    let machine = task(json!({"QueryLanguage": "JSONata", "Catch": broken}));
    let played = run_with(&machine, Start::with_input(json!(1)), by(vec![error("X")]));
    assert!(
        matches!(&played.outcome, Outcome::Failed { error: Some(error), .. } if error == "States.QueryEvaluationError")
    );
}

#[test]
fn a_call_that_takes_too_long_or_is_silent_is_a_timeout() {
    let catch = json!([{"ErrorEquals": ["States.HeartbeatTimeout"], "Next": "Silent"}, {"ErrorEquals": ["States.Timeout"], "Next": "Late"}]);
    let state = |fields: Value| {
        let mut state = fields;
        state["Catch"] = catch.clone();
        state["Resource"] = json!("arn:aws:states:::sqs:sendMessage.waitForTaskToken");
        task(state)
    };
    let input = json!({"t": 30, "h": 7});
    for (machine, next, after) in [
        (state(json!({"TimeoutSeconds": 20})), "Late", 20.0),
        (state(json!({"TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h"})), "Silent", 7.0),
        (state(json!({"QueryLanguage": "JSONata", "TimeoutSeconds": "{% $states.input.t + 1 %}"})), "Late", 31.0),
    ] {
        let played = run_with(&machine, Start::with_input(input.clone()), |_| Answer::Submitted(json!({})).into());
        assert_eq!(entered(&played), ["S", next]);
        assert!((seconds(&played) - after).abs() < 1e-6, "{next}");
        assert!(types(&played).contains(&"TaskTimedOut"));
    }
    let machine = state(json!({"TimeoutSeconds": 20, "HeartbeatSeconds": 7}));
    let beats = |call: &Invoke| {
        assert!(call.token.is_some(), "there is a token to be handed on");
        TaskAnswer::After(6.0, Answer::Heartbeat)
    };
    let played = run_with(&machine, Start::with_input(json!({})), beats);
    assert!((seconds(&played) - 13.0).abs() < 1e-6, "a heartbeat is good for another 7 seconds");
}

#[test]
fn a_token_is_the_one_that_the_payload_hands_on() {
    let machine = task(
        json!({"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "Parameters": {"T.$": "$$.Task.Token"}}),
    );
    let played = run_with(&machine, Start::with_input(json!({})), by(vec![Answer::Succeeded(json!("done"))]));
    assert_eq!(played.calls[0].input["T"].as_str(), played.calls[0].token.as_deref());
    assert_eq!(played.outcome, Outcome::Succeeded(json!("done")));
}

#[test]
fn a_result_that_is_too_large_fails_and_may_be_caught() {
    let large = || by(vec![Answer::Succeeded(json!("x".repeat(262_143)))]);
    let cause = format!(
        "The state/task '{LAMBDA}' returned a result with a size exceeding the maximum number of bytes service limit."
    );
    let played = run_with(&task(json!({})), Start::with_input(json!({})), large());
    assert_eq!(played.outcome, failed("States.DataLimitExceeded", &cause));
    let machine = task(json!({"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "T"}]}));
    let played = run_with(&machine, Start::with_input(json!({})), large());
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"Error": "States.DataLimitExceeded", "Cause": cause})));
    let just = by(vec![Answer::Succeeded(json!("x".repeat(262_142)))]);
    assert!(matches!(run_with(&task(json!({})), Start::with_input(json!({})), just).outcome, Outcome::Succeeded(_)));
}

#[test]
fn a_late_answer_comes_to_nothing() {
    let machine = task(json!({"TimeoutSeconds": 5, "Retry": [{"ErrorEquals": ["States.Timeout"], "MaxAttempts": 1}]}));
    let answer = |call: &Invoke| {
        TaskAnswer::After(if call.attempt == 0 { 5.5 } else { 3.0 }, Answer::Succeeded(json!(call.attempt)))
    };
    let played = run_with(&machine, Start::with_input(json!({})), answer);
    assert_eq!(played.outcome, Outcome::Succeeded(json!(1)));
    assert!((seconds(&played) - 9.0).abs() < 1e-6);
}

#[test]
fn a_map_or_parallel_may_be_answered_as_a_whole() {
    let map = json!({"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": alone(json!({"Type": "Pass"})), "ResultPath": "$.r"});
    let text = alone(map).to_string();
    let parsed = parse(&text).unwrap();
    let machine = Machine::of(parsed.root());
    let program = Program::of(&machine).answered(["/States/S".to_owned()]);
    let played = play(&program, Start::with_input(json!({"l": [1, 2]})), |call| {
        assert_eq!((call.purpose, &call.input), (Purpose::State, &json!([1, 2])));
        Answer::Succeeded(json!("mocked")).into()
    });
    assert_eq!(played.outcome, Outcome::Succeeded(json!({"l": [1, 2], "r": "mocked"})));
    assert_eq!(entered(&played), ["S"]);
}
