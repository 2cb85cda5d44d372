use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn compiled(schema: &Value) -> InputSchema {
    InputSchema::compile(&schema.to_string()).unwrap_or_else(|fault| panic!("{fault}: {schema}"))
}

fn fault(schema: &Value) -> String {
    InputSchema::compile(&schema.to_string()).map_or_else(|fault| fault.to_string(), |_| format!("taken: {schema}"))
}

fn told(schema: &Value, input: &Value) -> String {
    compiled(schema).check(input).map_or_else(|misses| misses.to_string(), |()| "fits".to_owned())
}

/// What a schema costs with an input.
fn work(schema: &Value, input: &Value) -> Option<u64> {
    work::measure(&compiled(schema).graph, input, MAX_WORK)
}

fn order() -> Value {
    json!({
        "$schema": DIALECT,
        "$id": "https://acme.example/order",
        "type": "object",
        "required": ["id", "items"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{1,8}$"},
            "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
            "priority": {"enum": ["low", "high"]},
            "note": {"type": ["string", "null"], "maxLength": 5},
        },
        "$defs": {"item": {"$anchor": "item", "type": "object", "required": ["sku"], "properties": {
            "sku": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 99}}}},
        "examples": [{"id": "AB-1", "items": [{"sku": "a"}]}, {"id": 1, "items": []}],
    })
}

#[test]
fn what_fits_passes_and_what_does_not_is_told_with_place_and_what_was_expected() {
    let good = json!({"id": "AB-12", "items": [{"sku": "a", "count": 2}], "priority": "low", "note": null});
    assert_eq!(told(&order(), &good), "fits");
    for (input, expected) in [
        (json!([]), "the input must be of type object (/type)"),
        (json!({"id": "AB-1"}), "the input needs \"items\" (/required)"),
        (json!({"id": "AB-1", "items": []}), "/items must have at least 1 items (/properties/items/minItems)"),
        (
            json!({"id": "AB-1", "items": [{"sku": "a"}, {"sku": 5}]}),
            "/items/1/sku must be of type string (/$defs/item/properties/sku/type)",
        ),
        (
            json!({"id": "x", "items": [{"sku": "a"}]}),
            "/id must match the pattern ^[A-Z]{2}-[0-9]{1,8}$ (/properties/id/pattern)",
        ),
        (
            json!({"id": "AB-1", "items": [{"sku": "a"}], "priority": "urgent"}),
            "/priority must be one of [\"low\",\"high\"] (/properties/priority/enum)",
        ),
        (
            json!({"id": "AB-1", "items": [{"sku": "a"}], "x": 1, "y": 2, "z\n": 3, "zz": 4}),
            "the input must not have the properties \"x\", \"y\", \"z\u{fffd}\" and 1 more (/additionalProperties)",
        ),
        (
            json!({"id": "AB-1", "items": [{"sku": "a", "count": 100}], "note": "secret"}),
            "/items/0/count must be at most 99 (/$defs/item/properties/count/maximum); /note must have at most 5 characters (/properties/note/maxLength)",
        ),
    ] {
        assert_eq!(told(&order(), &input), expected, "{input}");
    }
}

#[test]
fn values_of_an_input_are_never_told_and_what_is_told_is_bounded() {
    let schema = json!({"type": "object", "additionalProperties": {"oneOf": [
        {"type": "integer", "maximum": 5}, {"const": {"a": 1}}, {"type": "string", "pattern": "^x"}, {"type": "array", "uniqueItems": true}]}});
    let secret = "correct-horse-battery";
    let mut fields: Map<String, Value> = (0..500).map(|number| (format!("key{number}"), json!(secret))).collect();
    fields.insert("k".repeat(5_000), json!([secret, secret]));
    let told = told(&schema, &Value::Object(fields));
    assert!(!told.contains(secret) && told.contains("must fit exactly one of 4 alternatives"), "{told}");
    assert!(told.ends_with("; and 493 more") && told.chars().count() < 3_000, "{told}");
}

#[test]
fn a_large_input_is_told_its_first_miss_without_listing_all() {
    let schema = json!({"items": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}});
    let mut items: Vec<Value> = (0..20_000).map(|_| json!({"a": 1})).collect();
    items[15_000] = json!({"a": "x"});
    let input = Value::Array(items);
    assert!(work(&schema, &input).is_some_and(|work| work > MAX_LISTED_WORK));
    assert_eq!(told(&schema, &input), "/15000/a must be of type integer (/items/properties/a/type); and perhaps more");
    let alternatives = json!({"items": {"anyOf": [schema["items"], {"type": "null"}]}});
    assert!(told(&alternatives, &input).starts_with("the input does not fit, and is too large to tell where"));
}

#[test]
fn a_schema_that_is_none_is_refused_with_its_place() {
    for (schema, expected) in [
        (json!(true), "the schema is no object; {} takes every input"),
        (
            json!({"type": "strin"}),
            "/type names no type: \"strin\" is not among string, number, integer, boolean, object, array, null; did you mean \"string\"?",
        ),
        (
            json!({"properties": {"a": {"type": "int"}}}),
            "/properties/a/type names no type: \"int\" is not among string, number, integer, boolean, object, array, null; did you mean \"integer\"?",
        ),
        (json!({"type": ["String", "null"]}), "/type names no type: \"String\" is not among"),
        (json!({"type": ["null", "null"]}), "/type must be a type, or a list"),
        (json!({"properties": {"a": {"minimum": "1"}}}), "/properties/a/minimum must be of type number"),
        (json!({"required": "a"}), "/required must be of type array"),
        (json!({"properties": []}), "/properties must be of type object"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "/$schema names another dialect"),
        (json!({"properties": {"a": {"$schema": DIALECT}}}), "/properties/a/$schema may stand at the top"),
        (json!({"properties": {"a": {"$id": "b"}}}), "/properties/a/$id may stand at the top"),
        (json!({"$ref": "https://acme.example/order.json"}), "/$ref leads out of the schema"),
        (json!({"$ref": "file:///etc/passwd"}), "/$ref leads out of the schema"),
        (json!({"$ref": "other.json#/a"}), "/$ref leads out of the schema"),
        (json!({"properties": {"a": {"$ref": "#/$defs/b"}}}), "/properties/a/$ref leads to nothing"),
        (json!({"$ref": "#b"}), "/$ref names an $anchor that"),
        (json!({"$ref": "#/required", "required": ["a"]}), "/$ref leads to what is no schema"),
        (json!({"$ref": "#/x/y", "x": {"$id": "http://a/b", "y": {}}}), "/$ref leads through an $id"),
        (json!({"allOf": [{"$anchor": "a"}, {"$anchor": "a"}]}), "/$anchor stands twice"),
        (json!({"$dynamicRef": "#a"}), "/$dynamicRef is not taken"),
        (json!({"$defs": {"a": {"$dynamicAnchor": "a"}}}), "/$defs/a/$dynamicAnchor is not taken"),
        (json!({"$recursiveRef": "#"}), "/$recursiveRef is not taken"),
        (json!({"pattern": "("}), "/pattern is no regular expression"),
        (json!({"pattern": "(a)\\1"}), "/pattern is no regular expression"),
        (json!({"pattern": "^(?=a)"}), "/pattern is no regular expression"),
        (json!({"patternProperties": {"a~/(?<!b)": {}}}), "/patternProperties/a~0~1(?<!b) is no regular expression"),
    ] {
        let told = fault(&schema);
        assert!(told.contains(expected), "{schema}: {told}");
    }
    assert!(InputSchema::compile("{").unwrap_err().message.starts_with("is no JSON"));
    let large = json!({"description": "x".repeat(MAX_BYTES)});
    assert_eq!(fault(&large), "the schema has 32786 bytes as JSON; at most 32768 are taken");
    let deep = (0..MAX_DEPTH).fold(json!({}), |inner, _| json!({"not": inner}));
    assert!(fault(&deep).starts_with("the schema is nested more than 64 levels deep"));
}

#[test]
fn references_within_a_schema_are_followed() {
    for (reference, fits, misses) in [
        ("#/$defs/a~1b%20c", json!(1), json!("x")),
        ("#named", json!(1), json!("x")),
        ("#/x-parts/0", json!(1), json!("x")),
    ] {
        let schema = json!({"$id": DIALECT, "properties": {"v": {"$ref": reference}},
            "$defs": {"a/b c": {"$anchor": "named", "type": "integer"}}, "x-parts": [{"type": "integer"}]});
        assert_eq!(told(&schema, &json!({"v": fits})), "fits", "{reference}");
        assert!(told(&schema, &json!({"v": misses})).starts_with("/v must be of type integer"), "{reference}");
    }
    let tree = json!({"$defs": {"node": {"type": "object", "properties": {"left": {"$ref": "#/$defs/node"},
        "right": {"$ref": "#/$defs/node"}}, "unevaluatedProperties": false}}, "$ref": "#/$defs/node"});
    assert_eq!(told(&tree, &json!({"left": {"right": {}}, "right": {}})), "fits");
    assert!(told(&tree, &json!({"left": {"righ": {}}})).starts_with("/left must not have the property \"righ\""));
}

#[test]
fn what_would_apply_without_end_or_too_often_is_refused_before_it_is_compiled() {
    for circle in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"if": {"$ref": "#/$defs/a"}}}}),
    ] {
        assert!(fault(&circle).contains("applies itself to the same value again"), "{}", fault(&circle));
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let mut defs = Map::new();
        for level in 0..30 {
            let next = format!("#/$defs/d{}", level + 1);
            defs.insert(format!("d{level}"), json!({keyword: [{"$ref": next}, {"$ref": next}]}));
        }
        defs.insert("d30".into(), json!({}));
        let told = fault(&json!({"$ref": "#/$defs/d0", "$defs": defs}));
        assert!(told.contains("subschemas to one value") || told.contains("through more than 32"), "{keyword}: {told}");
    }
    let wide: Vec<Value> = (0..3_000).map(|_| json!({})).collect();
    assert!(fault(&json!({"allOf": wide})).contains("applies more than 2000 subschemas"));
    let chain: Map<String, Value> =
        (0..200).map(|level| (format!("d{level}"), json!({"$ref": format!("#/$defs/d{}", level + 1)}))).collect();
    let mut chain = chain;
    chain.insert("d200".into(), json!({"type": "string"}));
    assert!(fault(&json!({"$ref": "#/$defs/d0", "$defs": chain})).contains("through more than 32"));
    let unevaluated = (0..20).fold(json!({}), |inner, _| json!({"allOf": [inner], "unevaluatedProperties": false}));
    assert!(fault(&unevaluated).contains("goes through another one again"), "{}", fault(&unevaluated));
}

#[test]
fn hostile_expressions_are_refused_or_matched_in_bounded_steps() {
    for (pattern, taken) in [
        ("^(a+)+$", true),
        ("^[a-z0-9-]{1,64}$", true),
        ("^\\p{L}+$", true),
        ("(a{1000}){1000}", false),
        ("((((a{50}){50}){50}){50}){50}", false),
        ("[\\s\\S]{60000}", false),
    ] {
        let told = fault(&json!({"pattern": pattern}));
        assert_eq!(told.starts_with("taken"), taken, "{told}");
    }
    assert!(fault(&json!({"pattern": "a".repeat(1025)})).contains("has 1025 bytes"));
    assert!(fault(&json!({"pattern": "(".repeat(500) + &")".repeat(500)})).contains("is no regular expression"));
    let many: Map<String, Value> = (0..65).map(|number| (format!("^{number}"), json!({}))).collect();
    assert!(fault(&json!({"patternProperties": many})).contains("one pattern too many"));
    // What a backtracking engine takes ages for.
    let catastrophic = json!({"pattern": "^(a+)+$"});
    assert!(told(&catastrophic, &json!("a".repeat(50_000) + "b")).starts_with("the input must match"));
    // The largest program over the longest text: its steps are counted, and it is not matched.
    let large = json!({"pattern": "^([ab]*a[ab]{200}|[bc]*b[bc]{200})$"});
    assert!(told(&large, &json!("ab".repeat(130_000))).contains("cannot be checked"));
}

#[test]
fn what_doubles_with_every_level_of_an_input_is_counted_and_not_done() {
    let doubling = json!({"$ref": "#/$defs/n", "$defs": {"n": {"allOf": [
        {"additionalProperties": {"$ref": "#/$defs/n"}}, {"additionalProperties": {"$ref": "#/$defs/n"}}]}}});
    let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let [five, ten] = [5, 10].map(|levels| work(&doubling, &nested(levels)).unwrap());
    assert!(ten > 20 * five, "{five} {ten}");
    assert_eq!(work(&doubling, &nested(40)), None);
    assert!(told(&doubling, &nested(40)).contains("cannot be checked"));
    // An honest tree grows as the input does.
    let tree = json!({"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}, "additionalProperties": false}}});
    assert_eq!(told(&tree, &nested(60)), "fits");
    // Too deep for the stack, however cheap.
    let chain = (0..20).fold(json!({"properties": {"a": {"$ref": "#"}}}), |inner, _| json!({"allOf": [inner]}));
    assert!(told(&chain, &nested(60)).contains("cannot be checked"));
    // As deep as is taken, on the stack of a thread.
    assert_eq!(told(&chain, &nested(10)), "fits");
    // The same through the parts of a schema that name each other twice.
    let mut defs = Map::new();
    for level in 0..60 {
        let next = format!("#/$defs/d{}", level + 1);
        defs.insert(format!("d{level}"), json!({"properties": {"a": {"$ref": next}, "b": {"$ref": next}}}));
    }
    defs.insert("d60".into(), json!({"type": "string"}));
    let parts = json!({"$ref": "#/$defs/d0", "$defs": defs});
    assert_eq!(told(&parts, &nested(20)), "fits");
}

#[test]
fn what_is_gone_through_again_for_unevaluated_parts_is_bounded() {
    let tree = json!({"$defs": {"address": {"properties": {"city": {"type": "string"}}, "unevaluatedProperties": false}},
        "allOf": [{"properties": {"to": {"$ref": "#/$defs/address"}}}], "properties": {"id": {}}, "unevaluatedProperties": false});
    assert_eq!(
        told(&tree, &json!({"id": 1, "to": {"city": "x"}})),
        "fits",
        "by a reference they may stand in one another"
    );
    assert!(told(&tree, &json!({"to": {"town": "x"}})).contains("/to must not have the property \"town\""));
    // Each of these would be compiled again within the next, in every order.
    let inline = (0..12)
        .fold(json!({}), |inner, _| json!({"allOf": [{"properties": {"a": inner}}], "unevaluatedProperties": false}));
    assert!(fault(&inline).contains("goes through another one again"), "{}", fault(&inline));
    let mutual = |of: &dyn Fn(Value) -> Value| {
        let names: Vec<usize> = (0..12).collect();
        let part =
            |to: &usize| (format!("p{to}"), json!({"$ref": format!("#/$defs/d{to}"), "unevaluatedProperties": false}));
        let all: Map<String, Value> = names.iter().map(part).collect();
        let defs: Map<String, Value> =
            names.iter().map(|name| (format!("d{name}"), of(json!({"properties": all.clone()})))).collect();
        json!({"$ref": "#/$defs/d0", "$defs": defs})
    };
    assert!(fault(&mutual(&|part| json!({"allOf": [part]}))).contains("goes through another one again"));
    let taken = mutual(&|part| part);
    assert_eq!(told(&taken, &json!({"p1": {"p2": {"p3": {}}}})), "fits");
    assert!(told(&taken, &json!({"p1": {"p2": {"x": {}}}})).starts_with("/p1/p2 must not have the property"));
    let large: Vec<Value> = (0..100).map(|_| json!({"title": ""})).collect();
    let again: Map<String, Value> = (0..300)
        .map(|name| (format!("p{name}"), json!({"$ref": "#/$defs/l", "unevaluatedProperties": false})))
        .collect();
    let sum = json!({"$defs": {"l": {"allOf": large}}, "properties": again});
    assert!(fault(&sum).contains("more than 20000 subschemas are gone through again"), "{}", fault(&sum));
}

/// Every keyword that holds subschemas, each within the next as deep as is taken.
#[test]
fn no_keyword_compiles_what_stands_in_it_more_than_once() {
    let wraps: Vec<fn(Value) -> Value> = vec![
        |inner| json!({"properties": {"a": inner}, "additionalProperties": false, "required": ["a"]}),
        |inner| json!({"properties": {"a": inner, "b": {}}, "required": ["a", "b"]}),
        |inner| json!({"additionalProperties": inner, "properties": {"b": {}}, "patternProperties": {"^c": {}}}),
        |inner| json!({"patternProperties": {"^c": inner}, "additionalProperties": false}),
        |inner| json!({"propertyNames": inner}),
        |inner| json!({"items": inner, "minItems": 1, "uniqueItems": true}),
        |inner| json!({"items": inner, "prefixItems": [{}], "type": "array"}),
        |inner| json!({"contains": inner, "minContains": 0, "maxContains": 3}),
        |inner| json!({"dependentSchemas": {"a": inner}}),
        |inner| json!({"not": inner}),
    ];
    for (index, wrap) in wraps.iter().enumerate() {
        for levels in 1..MAX_DEPTH {
            let schema = (0..levels).fold(json!({"type": "integer"}), |inner, _| wrap(inner));
            match InputSchema::compile(&schema.to_string()) {
                Ok(_) => {}
                Err(fault) => {
                    let deep = ["nested more than", "through more than", "one pattern too many"];
                    assert!(deep.iter().any(|bound| fault.message.contains(bound)), "{index}: {fault}");
                    assert!(levels > 15, "{index}: {fault}");
                    break;
                }
            }
        }
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let schema = (0..28).fold(json!({"type": "integer"}), |inner, _| json!({keyword: [inner, {"title": "x"}]}));
        compiled(&schema);
    }
    let conditions = (0..28).fold(json!({"type": "integer"}), |inner, _| json!({"if": inner, "then": {}, "else": {}}));
    compiled(&conditions);
}

/// What a compiler could do again for every way that leads to a part.
#[test]
fn parts_that_are_reached_in_many_ways_are_compiled_without_going_all_of_them() {
    let mut defs = Map::new();
    for level in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        defs.insert(
            format!("d{level}"),
            json!({"properties": {"a": next, "b": next}, "patternProperties": {"^c": next}, "unevaluatedProperties": next,
                "unevaluatedItems": next, "contains": next, "oneOf": [{"properties": {"c": next}}, {"prefixItems": [next, next]}]}),
        );
    }
    defs.insert("d60".into(), json!({"type": "string"}));
    let schema = json!({"$ref": "#/$defs/d0", "$defs": defs});
    assert!(schema.to_string().len() < MAX_BYTES);
    compiled(&schema);
}

#[test]
fn a_schema_of_32_kib_is_compiled_and_an_input_of_256_kib_is_checked_within_the_steps() {
    let mut schema = r#"{"type":"object","properties":{"#.to_owned();
    let mut number = 0;
    while schema.len() < MAX_BYTES - 200 {
        let comma = if number == 0 { "" } else { "," };
        write!(schema, r#"{comma}"p{number}":{{"type":"string","maxLength":64}}"#).unwrap();
        number += 1;
    }
    schema += "},\"additionalProperties\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}";
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let mut fields: Map<String, Value> = (0..number).map(|number| (format!("p{number}"), json!("x"))).collect();
    assert_eq!(told(&schema, &Value::Object(fields.clone())), "fits");
    fields.insert("list".into(), json!(vec![1; 120_000]));
    assert_eq!(told(&schema, &Value::Object(fields)), "fits");
}

#[test]
fn examples_that_do_not_fit_are_told() {
    let unfit = unfit_examples(&compiled(&order()), &order());
    let told: Vec<String> = unfit.iter().map(|(place, misses)| format!("{place}: {misses}")).collect();
    assert_eq!(
        told,
        [
            "/examples/1: /id must be of type string (/properties/id/type); /items must have at least 1 items (/properties/items/minItems)"
        ]
    );
}

/// Schemas of a few keywords that refer to each other at random.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "object"})),
        Just(json!({"type": "integer", "minimum": 3})),
        Just(json!({"enum": [1, "a", {"a": 1}]})),
        Just(json!({"pattern": "^a+b?$"})),
        Just(json!({"uniqueItems": true})),
        (0..3_u8).prop_map(|number| json!({"$ref": format!("#/$defs/d{number}")})),
    ];
    let part = leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({"allOf": parts})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({"anyOf": parts})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|parts| json!({"oneOf": parts})),
            inner.clone().prop_map(|part| json!({"not": part})),
            inner.clone().prop_map(|part| json!({"properties": {"a": part}, "unevaluatedProperties": false})),
            inner.clone().prop_map(|part| json!({"additionalProperties": part})),
            inner.clone().prop_map(|part| json!({"items": part})),
            inner.prop_map(|part| json!({"prefixItems": [part], "unevaluatedItems": false})),
        ]
    });
    (part.clone(), prop::collection::vec(part, 3)).prop_map(|(whole, parts)| {
        let defs: Map<String, Value> =
            parts.into_iter().enumerate().map(|(at, part)| (format!("d{at}"), part)).collect();
        json!({"allOf": [whole], "$defs": defs})
    })
}

fn inputs() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!(5)), Just(json!("aab")), Just(json!("x")), Just(json!(null))];
    leaf.prop_recursive(5, 30, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|fields| json!(fields)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_schema_that_is_taken_answers_every_input_and_tells_why(schema in schemas(), input in inputs()) {
        // What is refused here is what applies itself again.
        if let Ok(compiled) = InputSchema::compile(&schema.to_string()) {
            match compiled.check(&input) {
                Ok(()) => prop_assert!(compiled.validator.is_valid(&input)),
                Err(misses) => {
                    prop_assert!(!misses.first.is_empty() && misses.first.len() <= MAX_MISSES);
                    for miss in misses.first {
                        prop_assert!(miss.pointer.is_empty() || input.pointer(&miss.pointer).is_some(), "{miss}");
                    }
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_schema_or_a_fault(text in "\\PC{0,60}") {
        let _ = InputSchema::compile(&text);
        let _ = InputSchema::compile(&json!({"pattern": text, "$ref": text}).to_string());
        let _ = InputSchema::compile(&json!({"$ref": format!("#/{text}"), "patternProperties": {text: {}}}).to_string());
    }
}
