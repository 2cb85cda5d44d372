use super::*;

#[test]
fn expressions_of_the_language_are_taken() {
    for text in [
        " 10 ",
        "1+2",
        "$sum($states.input.numbers)",
        "$states.input.data.items",
        "$exists($states.input.moreData) ? $states.input.moreData : {}",
        r"$match($states.input.data.identity.email, /^[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}$/) and $match(a, /^(\d{3}-?\d{2}|X)$/im)",
        "$not(null in $each($states.input.data.address, function($v) { $length($trim($v)) > 0 ? $v : null }))",
        "$round($random() * 10)",
        "($a := 1; $b := $a + 1; [$a..$b])",
        "items[price > 10 and name = 'x'].{\"n\": name, 'p': price}",
        "Account.Order.Product{`Product Name`: $sum(Price * Quantity)}",
        "$map(a, λ($v, $i)<n-n:n>{$v})",
        "a^(>amount, <name).b[0][]",
        "orders@$o.items#$i.{'o': $o, 'i': $i}",
        "payload ~> |Account.Order|{'x': 1}, ['y']|",
        "$substringBefore(?, '-')",
        "a.*.b.**.c.%.d",
        "-a.b / 2 /* comment */ - 3e10",
        "$$.x & $.y",
        "and.or.in",
        "(a; b;)",
        "()",
        "[]",
        "{}",
        "'it\\'s \\u00e9'",
        "a ? b",
        "$f := function($x){ $x }",
        "$zip([1], [2])",
        "a.\"quoted name\"",
        "$states.input.ünïcode",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn what_is_not_of_the_language_is_refused_at_its_place() {
    for (text, at) in [
        ("420.", 4),
        ("10 + * 2", 7),
        ("$.store.book[?(@.price < 10)].title", 13),
        ("$sum($states.input.items.numbers", 32),
        ("", 0),
        ("a b", 2),
        ("a.1", 2),
        ("1.a", 1),
        ("1 := 2", 2),
        ("'open", 0),
        ("`open", 0),
        ("/open", 0),
        ("//", 0),
        ("a /* open", 2),
        ("'\\x'", 1),
        ("function(1){2}", 9),
        ("function($a)<n", 12),
        ("a@1", 2),
        ("{1 2}", 3),
        ("[1,]", 3),
        ("a ?: b", 2),
        ("!a", 0),
        ("1e999", 0),
        ("a)", 1),
    ] {
        assert_eq!(parse(text).map_err(|error| error.at), Err(at), "{text}: {:?}", parse(text));
    }
}

#[test]
fn deep_nesting_is_refused_without_overflow() {
    for piece in ["(", "[", "{1:", "-", "a?", "function($a){", "$f("] {
        assert!(parse(&piece.repeat(100_000)).is_err(), "{piece}");
    }
}

#[test]
fn variables_and_calls_are_told_but_not_those_that_the_expression_binds() {
    let uses = parse("($a := $b; $f := function($x){ $x + $a }; $f($count($states.input)))").unwrap();
    let names = |list: &[(usize, &'static str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>();
    assert_eq!(names(&uses.variables), ["b", "states"]);
    assert_eq!(names(&uses.calls), ["count"]);
    assert!(parse("$uuid()").unwrap().is_random());
    assert!(!parse("$count(a)").unwrap().is_random());
}

#[test]
fn an_expression_has_both_marks_and_nothing_outside() {
    assert_eq!(classify("{% a %}"), Text::Expression(" a ", 2));
    assert_eq!(classify("{%a%}"), Text::Expression("a", 2));
    assert_eq!(classify(" {% a %} "), Text::Literal);
    assert_eq!(classify("$.a"), Text::Literal);
    for text in ["{% a", "a %}", "{% a %", "{%}", " {% a %}"] {
        assert_eq!(classify(text), Text::HalfOpen, "{text}");
    }
}
