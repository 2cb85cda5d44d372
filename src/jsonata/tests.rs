use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn evaluate_in(text: &str, input: &Value, variables: &Value, env: &mut Env) -> Result<Option<Value>, Error> {
    let variables: BTreeMap<String, Value> =
        variables.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect();
    Expression::parse(text)?.evaluate(input, &variables, env)
}

fn evaluate(text: &str) -> Result<Option<Value>, Error> {
    evaluate_in(text, &Value::Null, &Value::Null, &mut Env { seed: 1, now: 1_700_000_000_000, ..Env::default() })
}

fn value(text: &str) -> Value {
    evaluate(text).unwrap_or_else(|error| panic!("{text}: {error}")).unwrap_or_else(|| panic!("{text} is undefined"))
}

fn code(text: &str) -> &'static str {
    evaluate(text).expect_err(text).code
}

#[test]
fn the_functions_of_step_functions_are_there_and_eval_is_not() {
    assert_eq!(value("$partition([1,2,3,4,5], 2)"), json!([[1, 2], [3, 4], [5]]));
    assert_eq!(value("$range(1, 10, 4)"), json!([1, 5, 9]));
    assert_eq!(value("$range(3, 1, -1)"), json!([3, 2, 1]));
    assert_eq!(value("$range(1, 0, 1)"), json!([]));
    assert_eq!(value("$parse('{\"a\": [1, 2.5, null]}')"), json!({"a": [1, 2.5, null]}));
    assert_eq!(value("$hash('abc', 'MD5')"), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(value("$hash('abc', 'SHA-1')"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(value("$length($hash('abc', 'SHA-512'))"), 128);
    assert_eq!(value("$random(7) = $random(7)"), true);
    assert_eq!(value("$random() = $random()"), false);
    let uuid = value("$uuid()");
    assert!(uuid.as_str().is_some_and(|uuid| uuid.len() == 36 && uuid.as_bytes()[14] == b'4'), "{uuid}");
    assert_eq!(code("$eval('1')"), "T1006");
    for wrong in ["$partition([1], 0)", "$range(1, 2, 0)", "$hash('a', 'CRC')", "$parse('{')"] {
        assert_eq!(code(wrong), "T0410", "{wrong}");
    }
}

/// A recording has the words.
#[test]
fn errors_have_the_words_that_step_functions_shows() {
    let error = evaluate("$randomSeeded(3)").unwrap_err();
    assert_eq!(error.to_string(), "T1006: Attempted to invoke a non-function");
    let error = evaluate("1 + $length(5)").unwrap_err();
    assert_eq!(error.to_string(), "T0410: Argument 1 of function \"length\" does not match function signature");
    assert_eq!(error.position, Some(4));
    assert_eq!(
        evaluate("sum([1])").unwrap_err().to_string(),
        "T1005: Attempted to invoke a non-function. Did you mean $sum?"
    );
}

#[test]
fn variables_are_read_and_undefined_is_no_value() {
    let mut env = Env::default();
    let variables = json!({"states": {"input": {"a": {"b": [1, 2]}, "n": 1}, "context": {}}, "x": [5]});
    let mut check = |text: &str| evaluate_in(text, &Value::Null, &variables, &mut env).unwrap();
    assert_eq!(check("$states.input.a.b[0]"), Some(json!(1)));
    assert_eq!(check("$states.input.a"), Some(json!({"b": [1, 2]})));
    assert_eq!(check("$states.input.a.b"), Some(json!([1, 2])));
    assert_eq!(check("$states.input.n.x"), None);
    assert_eq!(check("$states.nothing.at.all"), None);
    assert_eq!(check("$sum($states.input.a.b) + $states.input.n"), Some(json!(4)));
    assert_eq!(check("$x"), Some(json!([5])));
    assert_eq!(check("$x.$"), Some(json!(5)));
    assert_eq!(check("($states := 3; $states)"), Some(json!(3)));
    assert_eq!(check("$nowhere"), None);
    assert_eq!(check("{'a': $nowhere, 'b': 1}"), Some(json!({"b": 1})));
}

#[test]
fn numbers_are_doubles_and_integers_are_printed_as_such() {
    assert_eq!(value("1.0").to_string(), "1");
    assert_eq!(value("4 / 2").to_string(), "2");
    assert_eq!(value("0.1 + 0.2").to_string(), "0.30000000000000004");
    assert_eq!(value("-0").to_string(), "0");
    assert_eq!(value("'' & 0.1 & 1e21 & 1e-7 & 123456789012"), "0.11e+211e-7123456789012");
    assert_eq!(code("1 / 0"), "D1001");
}

#[test]
fn an_expression_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    is_shared(&Expression::parse("/a/").unwrap());
}

#[test]
fn time_and_chance_come_with_the_call() {
    let first = value("[$now(), $millis(), $uuid(), $random(), $shuffle([1..9])]");
    assert_eq!(first, value("[$now(), $millis(), $uuid(), $random(), $shuffle([1..9])]"));
    assert_eq!(first[0], "2023-11-14T22:13:20.000Z");
    let mut env = Env { seed: 1, ..Env::default() };
    let one = evaluate_in("$uuid()", &Value::Null, &Value::Null, &mut env);
    assert_ne!(one, evaluate_in("$uuid()", &Value::Null, &Value::Null, &mut env), "the next one is another one");
}

#[test]
fn a_regular_expression_that_is_not_linear_is_refused_by_name() {
    assert_eq!(value(r"$match('ab12', /(\w)(\d+)/).groups"), json!(["b", "12"]));
    assert_eq!(value(r"$replace('a-b_c', /[-_]/, '+')"), "a+b+c");
    assert_eq!(value(r"$contains('a{', /a\{/)"), true);
    assert_eq!(value(r"$split('aé😀b', /😀/)"), json!(["aé", "b"]));
    assert_eq!(value(r"$match('é😀b', /b/).index"), 3);
    for text in [r"$contains('aa', /(a)\1/)", "$contains('aa', /a(?=b)/)", "$contains('a', /(a{1,900}){1,900}/)"] {
        let error = evaluate(text).unwrap_err();
        assert!(error.code == "U1002" && error.message.contains("cannot be used"), "{error}");
    }
}

/// What somebody could write to hang, exhaust or overflow whoever evaluates it.
const HOSTILE: &[&str] = &[
    "($f := function(){ $f() }; $f())",
    "($f := function($n){ $f($n + 1) + 1 }; $f(0))",
    "($f := function($n){ $map([1, 2], function($x){ $f($n + 1) }) }; $f(0))",
    "($g := function($s, $n){ $n = 0 ? $s : $g($s & $s, $n - 1) }; $length($g('ab', 40)))",
    "($g := function($s, $n){ $n = 0 ? $s : $g($append($s, $s), $n - 1) }; $count($g([1, 2], 40)))",
    "$count([1..9999999].[1..9999])",
    "$count([1..1000000].[1..1000])",
    "[1..99999999]",
    "$reduce([1..200000], function($a, $b){ [[$a]] }, 1)",
    "$reduce([1..200000], function($a, $b){ {'a': $a} }, 1)",
    "$reduce([1..60], function($a, $b){ [[$a], [$a]] }, 1)",
    "$string($reduce([1..60], function($a, $b){ [[$a], [$a]] }, 1))",
    "($x := $reduce([1..60], function($a, $b){ [[$a], [$a]] }, 1); $y := $clone([$x]); $x = $y)",
    "$count($reduce([1..60], function($a, $b){ {'a': $a, 'b': $a} }, 1).**)",
    "$reduce([1..100000], function($a, $b){ function(){ $a } }, 1)",
    "$reduce([$string, $string, $string, $string], function($a, $b){ $a ~> $b })",
    "($f := $reduce([1..100000], function($a, $b){ function($x){ $a($x) } }, 1); $f(1))",
    "$reduce([1..100000], function($a, $b){ $substring(?, $a, $b) }, 1)",
    "$pad('x', 3000000000)",
    "$pad('x', -1e300)",
    "$pad($pad('x', 1000000), 900000, 'yz')",
    "$replace($pad('', 1000, 'a'), 'a', $pad('', 100000, 'b'))",
    "$replace($pad('', 1000, 'a'), /a/, $pad('', 100000, 'b'))",
    "$join([1..100000].($pad('', 1000, 'a')))",
    "$match($pad('', 100000, 'a') & 'b', /(a+)+$/)",
    "$match($pad('', 100000, 'é'), /é/)",
    "$split($pad('', 100000, 'é'), /é/)",
    "$count($distinct([1..100000]))",
    "$sort([1..100000], function($a, $b){ $random() > 0.5 })",
    "$formatInteger(1e300, 'I')",
    "$formatInteger(1e300, 'w')",
    "$formatInteger(1e300, 'A')",
    "$formatNumber(1e300, '0.0e0')",
    "$formatNumber(-1e-300, $pad('', 100000, '#') & '0.' & $pad('', 100000, '0'))",
    "$formatNumber(12, $pad('', 100000, '0,'))",
    "$fromMillis(1e300)",
    "$fromMillis(0, '[Y,999999999999-999999999999]')",
    "$fromMillis(0, $pad('', 100000, '[Y,1000]'))",
    "$toMillis('1', $pad('', 100000, '[Y,1000-1000]'))",
    "$range(0, 1e300, 1)",
    "$partition([1..1000000], 1)",
    "$power(10, 400)",
    "$ ~> |**|{'a': **}|",
    "($o := {'a': {'a': {'a': {'a': {}}}}}; $o ~> |**|{'b': $$, 'c': **}| ~> |**|{'d': **}| ~> |**|{'e': **}|)",
    "[1..1000]@$a.[1..1000]@$b.[1..1000]@$c.($a + $b + $c)",
    "[1..100000]#$i.[1..100000]#$j[$i = $j]",
    "[1..100000]^($random())",
    "[1..100000]{'k' & $: $}",
    "$zip([1..1000000], [1..1000000], [1..1000000])",
    "function($a, $b, $c)<x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x?x+x+x+x+x+x+x+x+x+x+n>{ 1 }(1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,'')",
    "$single([1..1000000], function($x){ false })",
];

#[test]
#[allow(clippy::print_stdout)]
fn no_expression_hangs_or_takes_more_than_its_share() {
    let limits = Limits { steps: 1_000_000, ..Limits::default() };
    for text in HOSTILE {
        let start = Instant::now();
        let result = evaluate_in(text, &Value::Null, &Value::Null, &mut Env { limits, ..Env::default() });
        let size = result.map(|value| value.map_or(0, |value| value.to_string().len()));
        let time = start.elapsed();
        println!("{time:>8.1?} {text}: {size:?}");
        // A build without optimisation on a busy machine; a release takes a tenth.
        assert!(time < Duration::from_secs(60), "{text} took {time:?}");
    }
}

/// A thread of the operator or of a test has 2 MiB, some have less.
#[test]
fn no_text_overflows_a_small_stack() {
    let work = || {
        let mut deep = vec![
            "(".repeat(90) + "1" + &")".repeat(90),
            "[".repeat(90) + "1" + &"]".repeat(90),
            vec!["1"; 400].join("+"),
            vec!["$f()"; 400].join("&"),
            "1".to_owned() + &"~>$string".repeat(400),
            "$f := ".repeat(95) + "1",
            "function($x){".repeat(90) + "1" + &"}".repeat(90),
        ];
        deep.push("$string".to_owned() + &"(1)".repeat(400));
        for text in &deep {
            let _ = evaluate(text);
        }
        for text in HOSTILE.iter().take(3) {
            assert!(evaluate(text).is_err(), "{text}");
        }
        let nested = (0..120).fold(json!(1), |inner, _| json!([inner, {"a": 1}]));
        for text in ["$", "**", "$string($)", "$ = $", "$clone($)", "$ ~> |**|{'b': 1}|"] {
            evaluate_in(text, &nested, &Value::Null, &mut Env::default())
                .unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn deep_recursion_goes_as_deep_as_the_limits_say() {
    assert_eq!(value("($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(300))"), 300);
    assert_eq!(value("($f := function($n){ $n = 0 ? 'end' : $f($n - 1) }; $f(20000))"), "end");
    let limits = Limits { depth: 1_000_000, steps: 50_000_000, ..Limits::default() };
    let mut env = Env { limits, ..Env::default() };
    let text = "($f := function($n){ $n = 0 ? 0 : 1 + $f($n - 1) }; $f(1000000))";
    let error = evaluate_in(text, &Value::Null, &Value::Null, &mut env).unwrap_err();
    assert!(error.is_depth(), "{error}");
}

/// Words of the language, so that what is put together is often an expression.
const WORDS: [&str; 72] = [
    "$",
    "$$",
    "a",
    "b",
    "c",
    ".",
    ".",
    "[",
    "]",
    "(",
    ")",
    "{",
    "}",
    "0",
    "1",
    "-1",
    "2.5",
    "1e300",
    "'a'",
    "\"b\"",
    "''",
    "+",
    "-",
    "*",
    "/",
    "%",
    "&",
    "=",
    "!=",
    "<",
    ">=",
    "in",
    "and",
    "or",
    "..",
    ",",
    ":",
    ";",
    ":=",
    "?",
    "~>",
    "^(",
    "^(>",
    "**",
    "*",
    "%",
    "@$x",
    "#$i",
    "$x",
    "$i",
    "[]",
    "|",
    "/a/",
    "/(a)|b/i",
    "function($x){",
    "$map(",
    "$filter(",
    "$reduce(",
    "$sort(",
    "$string(",
    "$replace(",
    "$formatNumber(",
    "$fromMillis(",
    "$toMillis(",
    "$formatInteger(",
    "$match(",
    "$merge(",
    "$each(",
    "$split(",
    "$f",
    "null",
    "true",
];

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        "[a-cé😀]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[abc]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Any text, on any input: an answer or an error.
fn survives(text: &str, input: &Value) {
    let limits = Limits { steps: 20_000, depth: 200, size: 10_000 };
    let mut env = Env { seed: 3, now: -1, limits };
    let _ = evaluate_in(text, input, &json!({"x": input, "states": {"input": input}}), &mut env);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>(), input in document()) {
        survives(&text, &input);
    }

    #[test]
    fn nothing_that_looks_like_an_expression_panics(
        words in prop::collection::vec(0..WORDS.len(), 1..14),
        input in document(),
    ) {
        let mut text = String::new();
        for word in words {
            let _ = write!(text, "{} ", WORDS[word]);
        }
        // What is open is closed, so that more of them are read.
        let close: String = text
            .chars()
            .rev()
            .filter_map(|sign| match sign { '(' => Some(')'), '[' => Some(']'), '{' => Some('}'), _ => None })
            .collect();
        survives(&text, &input);
        survives(&(text + &close), &input);
    }

    #[test]
    fn no_picture_panics(picture in "[#0,.;eE%‰\\[\\]YMDdFWwXxHhPmsfZzCENnoIiAaWw0-9*\\-é]{0,16}", number in any::<f64>()) {
        let input = json!({"p": picture, "n": number});
        let functions = ["$formatNumber(n, p)", "$formatInteger(n, p)", "$fromMillis(n, p)", "$parseInteger('12', p)",
            "$toMillis('2020-01-01', p)", "$toMillis($fromMillis(n, p), p)", "$parseInteger($formatInteger(n, p), p)"];
        for function in functions {
            survives(function, &input);
        }
    }

    #[test]
    fn no_function_panics_on_any_arguments(name in 0..80usize, arguments in prop::collection::vec(document(), 0..5)) {
        let names = ["sum", "max", "average", "string", "substring", "substringBefore", "pad", "match", "contains",
            "replace", "split", "join", "formatNumber", "formatBase", "formatInteger", "parseInteger", "number", "round",
            "sqrt", "power", "map", "zip", "filter", "single", "reduce", "sift", "keys", "lookup", "append", "spread",
            "merge", "reverse", "each", "sort", "shuffle", "distinct", "base64decode", "decodeUrl", "encodeUrl",
            "toMillis", "fromMillis", "now", "clone", "partition", "range", "hash", "uuid", "parse", "random", "trim"];
        let name = names[name % names.len()];
        let arguments: Vec<String> = arguments.iter().map(Value::to_string).collect();
        survives(&format!("${name}({})", arguments.join(", ")), &Value::Null);
    }
}
