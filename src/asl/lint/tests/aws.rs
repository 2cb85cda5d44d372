//! What AWS takes and what it refuses. "Recorded": an answer of AWS to such a definition is public. "Documented": AWS's pages
//! or the specification of the language say so.

use serde_json::{Value, json};

use super::super::{Basis, Severity, basis};
use super::*;

/// Codes of errors, then of warnings, in a definition.
fn found(definition: &Value) -> (Vec<&'static str>, Vec<&'static str>) {
    let all = findings(&definition.to_string(), Circumstances::default());
    let of = |severity| all.iter().filter(|finding| finding.severity == severity).map(|finding| finding.code).collect();
    (of(Severity::Error), of(Severity::Warning))
}

fn is_taken(definition: &Value) {
    assert_eq!(found(definition).0, Vec::<&str>::new(), "{definition}");
}

fn is_refused(definition: &Value, code: &str) {
    assert_eq!(found(definition).0, [code], "{definition}");
}

fn is_warned(definition: &Value, code: &str) {
    let (errors, warnings) = found(definition);
    assert!(errors.is_empty() && warnings.contains(&code), "{definition}: {errors:?} {warnings:?}");
}

/// A definition in JSONata with this state, and one to go on with.
#[allow(clippy::needless_pass_by_value)] // `json!` gives a value
fn jsonata(state: Value) -> Value {
    json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": state, "N": {"Type": "Succeed"}}})
}

fn output(expression: &str) -> Value {
    let state = json!({"Type": "Pass", "Output": {"v": format!("{{% {expression} %}}")}, "Next": "N"});
    jsonata(state)
}

fn processor(mode: &str) -> Value {
    let config = match mode {
        "DISTRIBUTED" => json!({"Mode": mode, "ExecutionType": "STANDARD"}),
        _ => json!({"Mode": mode}),
    };
    json!({"ProcessorConfig": config, "StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}})
}

/// A definition in JSONPath with a distributed Map that has these fields too.
fn map(fields: &Value) -> Value {
    let mut state = json!({"Type": "Map", "ItemProcessor": processor("DISTRIBUTED"), "End": true});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"StartAt": "M", "States": {"M": state}})
}

fn reader(config: &Value) -> Value {
    json!({"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}, "ReaderConfig": config})
}

fn task(fields: &Value) -> Value {
    let mut state = json!({"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true});
    state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"StartAt": "T", "States": {"T": state}})
}

/// Recorded: "Reference to 'phone' at the top level is not supported", "Reference to '$$' is not supported".
#[test]
fn an_expression_without_a_context_item_cannot_read_one() {
    for expression in [
        "phone",
        "phone[0]",
        "phone.number",
        "$",
        "$.phone",
        "$$",
        "{aaa: 1}",
        "$map($states.input.a, function($x){ b })",
    ] {
        is_refused(&output(expression), "SB076");
    }
    assert_eq!(found(&output("aaa + bbb")).0, ["SB076", "SB076"]);
    for expression in [
        "$states.input.phone[0]",
        "$states.input.items[phone > 3]",
        "$map($states.input.a, function($x){ $x.phone })",
        "$phone",
        "$states.input.items^(price){name: $sum(price)}",
    ] {
        is_taken(&output(expression));
    }
    // Documented: "a JSONata expression MUST NOT reference $$". Of AWS's answer inside of a predicate nothing is known.
    is_warned(&output("$states.input.items[price > $$.limit]"), "SB078");
}

/// Recorded, each with its place: AWS reads expressions in these fields, and in fields of payloads whatever they are called.
#[test]
fn expressions_are_read_wherever_they_may_stand_and_nowhere_else() {
    let phone = "{% phone %}";
    let lambda = "arn:aws:states:::lambda:invoke";
    let inner = |state: &Value| json!({"StartAt": "I", "States": {"I": state}});
    let pass = json!({"Type": "Pass", "End": true});
    for state in [
        json!({"Type": "Pass", "Assign": {"v": phone}, "Next": "N"}),
        json!({"Type": "Pass", "Assign": {"Next": phone}, "Next": "N"}),
        json!({"Type": "Pass", "Output": {"a": {"b": [phone]}}, "Next": "N"}),
        json!({"Type": "Choice", "Choices": [{"Condition": "{% phone = 1 %}", "Next": "N"}], "Default": "N"}),
        json!({"Type": "Wait", "Seconds": phone, "Next": "N"}),
        json!({"Type": "Task", "Resource": lambda, "Arguments": {"Payload": {"Comment": phone}}, "Next": "N"}),
        json!({"Type": "Task", "Resource": lambda, "Arguments": {}, "TimeoutSeconds": phone, "Next": "N"}),
        json!({"Type": "Task", "Resource": lambda, "Credentials": {"RoleArn": phone}, "Next": "N"}),
        json!({"Type": "Task", "Resource": lambda, "Catch": [{"ErrorEquals": ["States.ALL"], "Output": phone, "Next": "N"}], "Next": "N"}),
        json!({"Type": "Map", "Items": phone, "ItemProcessor": inner(&pass), "Next": "N"}),
        json!({"Type": "Map", "ItemSelector": {"Next": phone}, "ItemProcessor": inner(&pass), "Next": "N"}),
        json!({"Type": "Map", "ItemProcessor": inner(&json!({"Type": "Pass", "Output": phone, "End": true})), "Next": "N"}),
        json!({"Type": "Map", "ItemBatcher": {"MaxItemsPerBatch": 2, "BatchInput": {"Comment": phone}}, "ItemProcessor": processor("DISTRIBUTED"), "Next": "N"}),
        json!({"Type": "Parallel", "Branches": [inner(&json!({"Type": "Pass", "Output": phone, "End": true}))], "Next": "N"}),
    ] {
        is_refused(&jsonata(state), "SB076");
    }
    is_refused(
        &json!({"QueryLanguage": "JSONata", "StartAt": "F", "States": {"F": {"Type": "Fail", "Cause": phone}}}),
        "SB076",
    );
    for state in [
        json!({"Type": "Pass", "Comment": phone, "Next": "N"}),
        json!({"Type": "Task", "Resource": lambda, "Retry": [{"ErrorEquals": [phone]}], "Next": "N"}),
        json!({"Type": "Pass", "QueryLanguage": "JSONata", "Output": "phone", "Next": "N"}),
        json!({"Type": "Map", "ItemReader": {"Resource": "arn:aws:states:::s3:getObject", "Arguments": {"Bucket": "b", "Key": "k"},
            "ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": [phone]}},
            "ItemProcessor": processor("DISTRIBUTED"), "Next": "N"}),
    ] {
        is_taken(&jsonata(state));
    }
    is_taken(&json!({"StartAt": "S", "States": {"S": {"Type": "Pass", "Parameters": {"v": phone}, "End": true}}}));
}

/// Recorded: "Field '$states.errorOutput' does not exist". Documented for the others: specification, "Reserved \"states\"
/// Variable with JSONata".
#[test]
fn each_field_of_states_has_its_places() {
    let value = |field: &str| json!({"v": format!("{{% $states.{field} %}}")});
    let lambda = "arn:aws:states:::lambda:invoke";
    let branch = json!([{"StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}]);
    let in_task = |place: &str, field: &str| {
        let mut state = json!({"Type": "Task", "Resource": lambda, "Next": "N"});
        state[place] = value(field);
        jsonata(state)
    };
    let in_catcher = |place: &str, field: &str| {
        let mut catcher = json!({"ErrorEquals": ["States.ALL"], "Next": "N"});
        catcher[place] = value(field);
        jsonata(json!({"Type": "Task", "Resource": lambda, "Catch": [catcher], "Next": "N"}))
    };
    for place in ["Arguments", "Output", "Assign"] {
        is_taken(&in_task(place, "input.a"));
        is_taken(&in_task(place, "context.Execution.Id"));
        is_refused(&in_task(place, "errorOutput"), "SB077");
        is_refused(&in_task(place, "inputs"), "SB077");
    }
    is_refused(&in_task("Arguments", "result"), "SB077");
    for place in ["Output", "Assign"] {
        is_taken(&in_task(place, "result.Payload"));
        is_taken(&in_catcher(place, "errorOutput.Cause"));
        is_refused(&in_catcher(place, "result"), "SB077");
        let mut parallel = json!({"Type": "Parallel", "Branches": branch, "Next": "N"});
        parallel[place] = value("result");
        is_taken(&jsonata(parallel));
        let mut map = json!({"Type": "Map", "ItemProcessor": processor("INLINE"), "Next": "N"});
        map[place] = value("result");
        is_taken(&jsonata(map));
        let mut pass = json!({"Type": "Pass", "Next": "N"});
        pass[place] = value("result");
        is_refused(&jsonata(pass), "SB077");
    }
    is_refused(
        &jsonata(
            json!({"Type": "Choice", "Choices": [{"Condition": "{% $states.result.a %}", "Next": "N"}], "Default": "N"}),
        ),
        "SB077",
    );
    is_refused(
        &jsonata(
            json!({"Type": "Map", "ItemSelector": value("result"), "ItemProcessor": processor("INLINE"), "Next": "N"}),
        ),
        "SB077",
    );
    is_taken(&output("$states"));
    is_taken(&output("($states := {'own': 1}; $states.own)"));
}

/// Recorded: AWS's parser is the reference's, which knows `" \ / b f n r t u` and refuses the rest with its own message.
#[test]
fn texts_have_the_escapes_of_the_reference_parser() {
    for (expression, refused) in [
        (r"'it\'s'", true),
        (r"'\d'", true),
        (r"'\u12'", true),
        ("\"it's\"", false),
        (r"'it\u0027s'", false),
        (r#"'\" \\ \/ \b \f \n \r \t'"#, false),
    ] {
        assert_eq!(found(&output(expression)).0, if refused { vec!["SB036"] } else { vec![] }, "{expression}");
    }
    for expression in ["a[1,2)", "\"unterminated", "1 +", "{\"a\":}", "$x :=", "$match(\"a\", /abc", ""] {
        is_refused(&output(expression), "SB036");
    }
}

/// Recorded: a call of `$randomSeeded` fails the state with "T1006: Attempted to invoke a non-function".
#[test]
fn a_function_that_does_not_exist_is_told_and_one_that_does_is_not_a_variable() {
    is_warned(&output("$randomSeeded(1)"), "SB079");
    is_warned(&output("$eval('1')"), "SB079");
    for expression in
        ["$uuid() & $hash('a', 'MD5')", "$map($states.input.a, $uppercase)", "($f := function($x){$x}; $f(1))"]
    {
        assert_eq!(found(&output(expression)), (vec![], vec![]), "{expression}");
    }
}

/// Recorded: the execution with `ItemsPath` beside `ItemReader` succeeded. Of the others nothing is known.
#[test]
fn of_two_fields_of_a_map_that_say_the_same_one_is_told_to_be_ignored() {
    is_warned(
        &map(&json!({"ItemsPath": "$.from_previous", "ItemReader": reader(&json!({"InputType": "JSON"}))})),
        "SB063",
    );
    is_warned(&map(&json!({"ItemSelector": {"a": 1}, "Parameters": {"b": 1}})), "SB063");
    is_warned(&map(&json!({"Iterator": processor("INLINE")})), "SB063");
    let state = json!({"Type": "Map", "Items": [1], "ItemProcessor": processor("DISTRIBUTED"), "Next": "N", "ItemReader": {
        "Resource": "arn:aws:states:::s3:listObjectsV2", "Arguments": {"Bucket": "b"}}});
    is_warned(&jsonata(state), "SB063");
    // Documented: "MUST NOT include both".
    is_refused(&map(&json!({"MaxConcurrency": 1, "MaxConcurrencyPath": "$.n"})), "SB020");
    is_refused(&map(&json!({"ToleratedFailureCount": 1, "ToleratedFailureCountPath": "$.n"})), "SB020");
}

#[test]
fn numbers_of_a_distributed_map_have_the_bounds_of_aws() {
    let items = |number: Value| map(&json!({"ItemReader": reader(&json!({"InputType": "JSON", "MaxItems": number}))}));
    let batch = |field: &str, number: Value| map(&json!({"ItemBatcher": {field: number}}));
    // Recorded: 0 is no limit.
    is_taken(&items(json!(0)));
    is_taken(&items(json!(100_000_000)));
    // Documented: up to 100,000,000.
    is_refused(&items(json!(100_000_001)), "SB019");
    is_refused(&items(json!(-1)), "SB019");
    is_refused(&items(json!(1.5)), "SB019");
    is_taken(&map(&json!({"MaxConcurrency": 0, "ToleratedFailureCount": 0, "ToleratedFailurePercentage": 0})));
    is_taken(&map(&json!({"MaxConcurrency": 9_223_372_036_854_775_807_u64})));
    is_refused(&map(&json!({"MaxConcurrency": -1})), "SB019");
    is_refused(&map(&json!({"ToleratedFailurePercentage": 100.1})), "SB019");
    is_taken(&batch("MaxItemsPerBatch", json!(1)));
    is_taken(&batch("MaxInputBytesPerBatch", json!(262_144)));
    is_warned(&batch("MaxItemsPerBatch", json!(0)), "SB064");
    is_warned(&batch("MaxInputBytesPerBatch", json!(0)), "SB064");
    // Documented: up to 256 KiB.
    is_refused(&batch("MaxInputBytesPerBatch", json!(262_145)), "SB019");
}

/// Documented: developer guide, "Map state input and output fields": items are "JSON arrays and objects".
#[test]
fn items_may_be_an_object_and_are_looked_into_as_in_an_array() {
    let items = |items: Value| {
        jsonata(json!({"Type": "Map", "Items": items, "ItemProcessor": processor("INLINE"), "Next": "N"}))
    };
    is_taken(&items(json!({"web": {"port": 80}, "db": {"port": "{% $states.input.port %}"}})));
    is_taken(&items(json!([1, 2])));
    is_taken(&items(json!("{% $states.input %}")));
    is_refused(&items(json!({"web": {"port": "{% port %}"}})), "SB076");
    is_refused(&items(json!([["{% 1 + %}"]])), "SB036");
    is_refused(&items(json!("text")), "SB019");
    is_refused(&items(json!(1)), "SB019");
}

/// Recorded: `Field 'QueryLanguage' is not supported` at the processor, the iterator and the branch; `only supported for the
/// 'JSONata' QueryLanguage` at the state inside.
#[test]
fn a_machine_inside_a_state_has_the_language_of_the_definition() {
    let inner = |language: bool, state: Value| {
        let mut machine = json!({"StartAt": "I", "States": {"I": state}});
        if language {
            machine["QueryLanguage"] = "JSONata".into();
        }
        machine
    };
    let plain = || json!({"Type": "Pass", "End": true});
    let own = || json!({"Type": "Pass", "Output": "{% $states.input %}", "QueryLanguage": "JSONata", "End": true});
    let speaks = || json!({"Type": "Pass", "Output": "{% $states.input %}", "End": true});
    let whole = |state: Value| json!({"StartAt": "S", "States": {"S": state}});
    let with = |field: &str, machine: Value| match field {
        "Branches" => whole(json!({"Type": "Parallel", "Branches": [machine], "End": true})),
        _ => whole(json!({"Type": "Map", field: machine, "End": true})),
    };
    for field in ["ItemProcessor", "Iterator", "Branches"] {
        is_refused(&with(field, inner(true, plain())), "SB022");
        assert_eq!(found(&with(field, inner(true, speaks()))).0, ["SB018", "SB022"]);
        is_taken(&with(field, inner(false, own())));
        is_refused(&with(field, inner(false, speaks())), "SB018");
    }
    // The language of the Map is its own.
    let map = json!({"Type": "Map", "QueryLanguage": "JSONata", "ItemProcessor": inner(false, speaks()), "End": true});
    is_refused(&whole(map), "SB018");
    // What is neither of the two words counts as JSONata, and is refused for itself.
    for word in [json!("jsonata"), json!("jsonpath"), json!(5)] {
        let state = json!({"Type": "Pass", "QueryLanguage": word, "Output": {"v": "{% 1 %}"}, "End": true});
        is_refused(&whole(state), "SB022");
    }
}

/// Documented: developer guide, "`ResultWriter` (Map)", "Required field combinations"; "`ItemReader` (Map)"; specification,
/// "Batching Items". Recorded: an `ItemReader` with another Resource is refused.
#[test]
fn readers_batchers_and_writers_have_the_fields_and_words_that_go_together() {
    let put = "arn:aws:states:::s3:putObject";
    let (bucket, config) =
        (json!({"Bucket": "b", "Prefix": "p"}), json!({"Transformation": "FLATTEN", "OutputType": "JSONL"}));
    let writer = |writer: Value| map(&json!({"ResultWriter": writer}));
    is_taken(&writer(json!({"WriterConfig": config})));
    is_taken(&writer(json!({"Resource": put, "Parameters": bucket})));
    is_taken(&writer(json!({"Resource": put, "Parameters": bucket, "WriterConfig": config})));
    is_refused(&writer(json!({})), "SB021");
    is_refused(&writer(json!({"Resource": put})), "SB021");
    is_refused(&writer(json!({"Parameters": bucket, "WriterConfig": config})), "SB021");
    is_refused(&writer(json!({"Resource": put, "WriterConfig": config})), "SB021");
    is_refused(&writer(json!({"Resource": "arn:aws:states:::s3:getObject", "Parameters": bucket})), "SB023");
    is_refused(&writer(json!({"WriterConfig": {"Transformation": "FLAT", "OutputType": "JSON"}})), "SB019");
    is_refused(&writer(json!({"WriterConfig": {"Transformation": "NONE", "OutputType": "CSV"}})), "SB019");
    let state = json!({"Type": "Map", "ItemProcessor": processor("DISTRIBUTED"), "Next": "N",
        "ResultWriter": {"Resource": put, "Arguments": "{% $states.input.destination %}"}});
    is_taken(&jsonata(state));

    let read = |config: Value| map(&json!({"ItemReader": reader(&config)}));
    for (field, right, wrong) in [
        ("Transformation", "LOAD_AND_FLATTEN", "FLATTEN"),
        ("ManifestType", "S3_INVENTORY", "S3"),
        ("CSVDelimiter", "SEMICOLON", ";"),
        ("InputType", "PARQUET", "parquet"),
        ("CSVHeaderLocation", "FIRST_ROW", "FIRST"),
    ] {
        is_taken(&read(json!({field: right})));
        is_refused(&read(json!({field: wrong})), "SB019");
    }
    is_refused(&map(&json!({"ItemReader": {"Resource": "arn:aws:states:::s3:unknownOperation"}})), "SB023");
    is_refused(&map(&json!({"ItemReader": {"Parameters": {"Bucket": "b"}}})), "SB021");
    is_refused(&map(&json!({"ItemBatcher": {"BatchInput": {"a": 1}}})), "SB021");
    is_taken(&map(&json!({"ItemBatcher": {"MaxItemsPerBatchPath": "$.n"}})));
    // Recorded: an ItemReader in a Map that is not distributed is taken.
    let inline = json!({"Type": "Map", "ItemReader": reader(&json!({"InputType": "JSON"})), "ItemProcessor": processor("INLINE"), "End": true});
    is_warned(&json!({"StartAt": "M", "States": {"M": inline}}), "SB062");
}

/// Recorded: `The field 'RoleArn' is required but was missing at /States/State0/Credentials`.
#[test]
fn credentials_need_a_role() {
    for wrong in [json!({}), json!({"Role": "r"}), json!({"flag": true})] {
        is_refused(&task(&json!({"Credentials": wrong})), "SB047");
    }
    is_refused(&task(&json!({"Credentials": "role"})), "SB019");
    is_taken(&task(&json!({"Credentials": {"RoleArn": "arn:aws:iam::111122223333:role/r"}})));
    is_taken(&task(&json!({"Credentials": {"RoleArn.$": "$.role"}})));
}

/// Recorded: "The resource provided … is not recognized".
#[test]
fn a_task_calls_an_integration_a_function_or_an_activity() {
    let here = "arn:aws:lambda:eu-west-1:111122223333";
    for right in [
        "arn:aws:states:::lambda:invoke",
        "arn:aws-cn:states:::sqs:sendMessage.waitForTaskToken",
        "arn:aws:states:eu-west-1:111122223333:activity:approve",
        &format!("{here}:function:charge"),
        &format!("{here}:function:charge:live"),
        &format!("{here}:function:charge:7"),
        &format!("{here}:function:charge:$LATEST"),
    ] {
        is_taken(&task(&json!({"Resource": right})));
    }
    for wrong in [
        "arn:aws:states:eu-west-1:111122223333:stateMachine:child",
        "arn:aws:states:eu-west-1:111122223333:execution:child:1",
        "arn:aws:sqs:eu-west-1:111122223333:orders",
        "arn:aws:swf:us-east-1:111122223333:task:X",
        "arn:aws:iam::111122223333:role/r",
        "arn:aw:states:::lambda:invoke",
        &format!("{here}:layer:tools:1"),
        &format!("{here}:function:charge:1:2"),
        "charge",
    ] {
        is_refused(&task(&json!({"Resource": wrong})), "SB023");
    }
}

/// Recorded: `MISSING_END_STATE` is about the outermost machine; the same loop inside of a Map is taken.
#[test]
fn a_loop_without_an_end_is_refused_outside_and_told_inside() {
    let ring =
        json!({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}});
    is_refused(&ring, "SB015");
    is_warned(&json!({"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": ring, "End": true}}}), "SB027");
    is_warned(
        &json!({"StartAt": "P", "States": {"P": {"Type": "Parallel", "Branches": [ring], "End": true}}}),
        "SB027",
    );
}

#[test]
fn what_other_tools_put_in_stands_for_any_value_in_a_template() {
    let template = |text: &str| findings(text, Circumstances { placeholders: true, ..Circumstances::default() });
    for resource in
        ["${ fn_arn }", "${AWS::Partition}", "arn:${AWS::Partition}:states:::sqs:sendMessage", "${ var.f[0].arn }"]
    {
        let text = task(&json!({"Resource": resource})).to_string();
        assert!(!template(&text).iter().any(Finding::is_error), "{resource}: {:?}", template(&text));
    }
    let expression = output("$states.input.n + ${ Count }").to_string();
    assert!(template(&expression).is_empty(), "{:?}", template(&expression));
    assert_eq!(found(&output("$states.input.n + ${ Count }")).0, ["SB036"]);
}

#[test]
fn every_error_tells_how_it_is_known_and_what_is_only_believed_is_a_warning() {
    for rule in rules() {
        let basis = basis(rule.code);
        match rule.severity {
            Severity::Error => assert!(
                matches!(basis, Some(Basis::Recorded(_) | Basis::Documented(_) | Basis::Ours(_))),
                "{}: {basis:?}",
                rule.code
            ),
            Severity::Warning => assert!(!matches!(basis, Some(Basis::Documented(_))), "{}: {basis:?}", rule.code),
        }
        assert_eq!(basis.is_some(), rule.explain().contains("How it is known:"), "{}", rule.code);
    }
}

/// Neither recorded nor documented as refused: a warning at most.
#[test]
fn what_nobody_has_seen_refused_is_no_error() {
    let task = |resource: &str, parameters: Value| {
        json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": format!("arn:aws:states:::aws-sdk:{resource}"),
            "Parameters": parameters, "End": true}}})
    };
    let version = json!({"Version": "2.0", "StartAt": "S", "States": {"S": {"Type": "Succeed"}}});
    let branches = json!({"StartAt": "S", "States": {"S": {"Type": "Parallel", "Branches": [], "End": true}}});
    for definition in [
        version,
        branches,
        task("s3:getObject", json!({"Bucket": "b", "Key": "k"})),
        task("s3:putObject", json!({"Bucket": "b", "Key": "k", "ACL": "private"})),
        task("transcribestreaming:startStreamTranscription", json!({})),
        task("lambda:invokeWithResponseStream", json!({"FunctionName": "f"})),
    ] {
        is_taken(&definition);
    }
    // Documented once, in a list that the guide has no more.
    is_warned(&task("s3:selectObjectContent", json!({})), "SB046");
    is_warned(&task("kinesis:subscribeToShard", json!({})), "SB046");
}
