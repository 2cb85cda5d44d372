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
        r#"'it\u0027s \u00e9' & 'a \" \\ \/ \b \f \n \r \t'"#,
        "\"it's\"",
        "$f(?, 1)(2)",
        "a[0][1].b[x = 1]#$i[$i > 0]",
        "(a.b)[0]{'x': 1}",
        "$x{'a': b}.c",
        "a.b[]",
        "$x[][0]",
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
        ("1.a", 0),
        ("a.true", 2),
        ("1 := 2", 2),
        ("'open", 0),
        ("`open", 0),
        ("/open", 0),
        ("//", 0),
        ("a /* open", 2),
        (r"'\x'", 1),
        (r"'it\'s'", 3),
        (r"'\u00g0'", 1),
        (r"'\u+12f'", 1),
        (r"'\ud83d\u-12f'", 7),
        ("$x{'a': 1}[0]", 10),
        ("a{'a': 1}{'b': 2}", 9),
        ("a[0]@$x", 4),
        ("a^(b)@$x", 5),
        ("%", 0),
        ("1 + %.a", 4),
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

/// Both came with 2.1.0 of the reference implementation.
#[test]
fn an_operator_of_a_later_version_is_told_with_what_to_write_instead() {
    for text in
        ["$a ?: 1", "($a ?: 1)", "[$a ?: 1]", "$f($a ?: 1)", "{'k': $a ?: 1}", "$a.b ?: 1", "$a ? ($b ?: 1) : 2"]
    {
        let error = parse(text).unwrap_err();
        assert_eq!(error.at, text.find("?:").unwrap(), "{text}");
        assert!(
            error.message.contains("2.0.6") && error.message.contains("write a ? a : b"),
            "{text}: {}",
            error.message
        );
    }
    for text in ["$a ?? 1", "($a ?? 1)"] {
        let error = parse(text).unwrap_err();
        assert!(
            error.message.contains("?? is not in") && error.message.contains("$exists(a) ? a : b"),
            "{}",
            error.message
        );
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
    let uses = Uses::of(&parse("($a := $b; $f := function($x){ $x + $a }; $f($count($states.input)))").unwrap());
    let names = |list: &[(usize, &'static str)]| list.iter().map(|(_, name)| *name).collect::<Vec<_>>();
    assert_eq!(names(&uses.variables), ["b", "states"]);
    assert_eq!(names(&uses.calls), ["count"]);
    assert!(Uses::of(&parse("$uuid()").unwrap()).is_random());
    assert!(!Uses::of(&parse("$count(a)").unwrap()).is_random());
    // A function that is handed on is no variable.
    assert_eq!(names(&Uses::of(&parse("$map($x, $uppercase) ~> $count").unwrap()).variables), ["x"]);
}

#[test]
fn long_chains_are_read_in_linear_time_and_too_high_ones_are_refused() {
    assert!(parse(&vec!["a"; 100_000].join(".")).is_ok());
    assert!(parse(&format!("a{}", "[0]".repeat(100_000))).is_ok());
    assert!(parse(&vec!["1"; 400].join("+")).is_ok());
    for piece in ["1+", "a?b:", "$x:=", "1&", "$f()()"] {
        assert!(parse(&format!("{}1", piece.repeat(100_000))).is_err(), "{piece}");
    }
}

/// The shape of an expression in a few signs, for comparison.
fn shape(expr: &Expr<'_>) -> String {
    use super::ast::{Kind, Stage};
    let list = |items: &[Expr<'_>]| items.iter().map(shape).collect::<Vec<_>>().join(" ");
    let pairs = |pairs: &[(Expr<'_>, Expr<'_>)]| {
        pairs.iter().map(|(key, value)| format!("{}:{}", shape(key), shape(value))).collect::<Vec<_>>().join(" ")
    };
    match &expr.kind {
        Kind::Text(text) => format!("'{text}'"),
        Kind::Number(number) => number.to_string(),
        Kind::Boolean(value) => value.to_string(),
        Kind::Null => "null".into(),
        Kind::Regex { pattern, ignores_case, is_multiline } => format!("/{pattern}/{ignores_case}/{is_multiline}"),
        Kind::Variable(name) => format!("${name}"),
        Kind::Name(name) => name.to_string(),
        Kind::Wildcard => "*".into(),
        Kind::Descendants => "**".into(),
        Kind::Parent => "%".into(),
        Kind::Path(path) => {
            let steps = path.steps.iter().map(|step| {
                let stages = step.stages.iter().map(|stage| match stage {
                    Stage::Filter(predicate) => format!("[{}]", shape(predicate)),
                    Stage::Index(name) => format!("[#{name}]"),
                });
                let bound =
                    |sign: &str, name: Option<&str>| name.map(|name| format!("{sign}{name}")).unwrap_or_default();
                let names = bound("@", step.focus) + &bound("#", step.index);
                shape(&step.expr) + &names + &stages.collect::<String>()
            });
            let steps = steps.collect::<Vec<_>>().join(".");
            let group = path.group.as_ref().map(|group| format!("{{{}}}", pairs(group))).unwrap_or_default();
            format!("<{steps}{group}{}>", if path.keeps_array { "[]" } else { "" })
        }
        Kind::Filter { of, predicate } => format!("filter({} {})", shape(of), shape(predicate)),
        Kind::Group { of, pairs: group } => format!("group({} {})", shape(of), pairs(group)),
        Kind::KeepArray(inner) => format!("keep({})", shape(inner)),
        Kind::Sort(terms) => {
            let terms =
                terms.iter().map(|term| format!("{}{}", if term.is_descending { ">" } else { "<" }, shape(&term.expr)));
            format!("^({})", terms.collect::<Vec<_>>().join(" "))
        }
        Kind::Negative(inner) => format!("-({})", shape(inner)),
        Kind::Array(items) => format!("[{}]", list(items)),
        Kind::Object(group) => format!("{{{}}}", pairs(group)),
        Kind::Binary { operator, left, right } => format!("{operator:?}({} {})", shape(left), shape(right)),
        Kind::Apply { left, right } => format!("apply({} {})", shape(left), shape(right)),
        Kind::Bind { name, value } => format!("bind({name} {})", shape(value)),
        Kind::Condition { condition, then, otherwise } => {
            let otherwise = otherwise.as_ref().map_or("-".into(), |otherwise| shape(otherwise));
            format!("if({} {} {otherwise})", shape(condition), shape(then))
        }
        Kind::Block(items) => format!("({})", list(items)),
        Kind::Call { function, arguments } => {
            let arguments = arguments.iter().map(|argument| argument.as_ref().map_or("?".into(), shape));
            format!("call({} {})", shape(function), arguments.collect::<Vec<_>>().join(" "))
        }
        Kind::Lambda { parameters, signature, body } => {
            format!("lambda({} {} {})", parameters.join(","), signature.unwrap_or("-"), shape(body))
        }
        Kind::Transform { pattern, update, delete } => {
            let delete = delete.as_ref().map_or("-".into(), |delete| shape(delete));
            format!("transform({} {} {delete})", shape(pattern), shape(update))
        }
    }
}

/// Each of these was compared with the tree of the reference implementation, version 2.0.6.
#[test]
fn an_expression_has_the_parts_that_the_reference_implementation_sees() {
    for (text, expected) in [
        ("a.b[0].c", "<a.b[0].c>"),
        ("1 + 2 * 3 & 'x'", "Concatenate(Add(1 Multiply(2 3)) 'x')"),
        ("a or b and c = d", "Or(<a> And(<b> Equal(<c> <d>)))"),
        ("-1", "-1"),
        ("-a.b", "-(<a.b>)"),
        ("a.\"b c\".'d'", "<a.b c.d>"),
        ("'a'", "'a'"),
        ("$.a[b > 1]", "<$.a[Greater(<b> 1)]>"),
        ("$x[0][1]", "filter(filter($x 0) 1)"),
        ("$x[0].a", "<filter($x 0).a>"),
        ("a.$x[0]", "<a.$x[0]>"),
        ("a.b{k: $sum(v)}", "<a.b{<k>:call($sum <v>)}>"),
        ("$x{k: v}", "group($x <k>:<v>)"),
        ("a^(>b, <c, d)[0]", "<a.^(><b> <<c> <<d>)[0]>"),
        ("a@$o.b#$i[$i = 0]#$j", "<a@o.b#i[Equal($i 0)][#j]>"),
        ("a[]", "<a[]>"),
        ("a[].b", "<a.b[]>"),
        ("$x[]", "keep($x)"),
        ("[1..3, 'a']", "[Range(1 3) 'a']"),
        ("{'a': 1, b: 2}", "{'a':1 <b>:2}"),
        ("($a := 1; $a)", "(bind(a 1) $a)"),
        ("$a := $b := 1", "bind(a bind(b 1))"),
        ("a ? b : c ? d", "if(<a> <b> if(<c> <d> -))"),
        ("$f(?, a)", "call($f ? <a>)"),
        ("λ($x, $y)<n-n:n>{$x}", "lambda(x,y <n-n:n> $x)"),
        ("a ~> $f ~> $g(1)", "apply(apply(<a> $f) call($g 1))"),
        ("$ ~> |a.b|{'c': 1}, ['d']|", "apply($ transform(<a.b> {'c':1} ['d']))"),
        ("a.*.**.b.%", "<a.*.**.b.%>"),
        ("/ab+\\/c/im", "/ab+\\/c/true/true"),
        ("and.or.in", "<and.or.in>"),
        (r#""\u00e9\ud83d\ude00\ud83d""#, "'é😀\u{fffd}'"),
        ("a.(b; c).d", "<a.(<b> <c>).d>"),
        ("a.$f(b).c", "<a.call($f <b>).c>"),
        ("`a b`.c", "<a b.c>"),
    ] {
        assert_eq!(parse(text).map(|expr| shape(&expr)), Ok(expected.to_owned()), "{text}");
    }
}

#[test]
fn each_part_tells_the_bytes_that_it_takes() {
    fn walk<'a>(expr: &Expr<'a>, text: &'a str, seen: &mut Vec<&'a str>) {
        seen.push(&text[expr.span.start..expr.span.end]);
        expr.each_inside(&mut |inner| walk(inner, text, seen));
    }
    let text = "$sum( items[price > 1].total ) + 'x y'";
    let mut seen = Vec::new();
    walk(&parse(text).unwrap(), text, &mut seen);
    assert_eq!(
        seen,
        [
            text,
            "$sum( items[price > 1].total )",
            "$sum",
            "items[price > 1].total",
            "items",
            "price > 1",
            "price",
            "price",
            "1",
            "total",
            "'x y'"
        ]
    );
}

/// AWS's answers to such definitions are on record for the first of each group; the rest is what the same rule gives.
#[test]
fn what_is_read_where_there_is_no_context_item_is_told() {
    let context = |text: &str| {
        let uses = Uses::of(&parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}")));
        uses.context.iter().map(|(at, name)| format!("{at}:{name}")).collect::<Vec<_>>().join(" ")
    };
    for (text, expected) in [
        ("phone.number", "0:phone"),
        ("phone[0]", "0:phone"),
        ("$.phone", "0:$"),
        ("$", "0:$"),
        ("$$", "0:$$"),
        ("aaa + bbb + aaa", "0:aaa 6:bbb"),
        ("$map($states.input.a, function($x){ b })", "36:b"),
        ("{aaa: 1}", "1:aaa"),
        ("{'k': [v, -w]}", "7:v 11:w"),
        ("(a; b).c", "1:a 4:b"),
        ("x ? y : z", "0:x 4:y 8:z"),
        ("$x := y", "6:y"),
        ("y ~> $f", "0:y"),
        ("[a..b]", "1:a 4:b"),
        ("`so named`.x", "0:so named"),
        ("f(1)", "0:f"),
        ("y^(z)", "0:y"),
    ] {
        assert_eq!(context(text), expected, "{text}");
    }
    for text in [
        "$states.input.phone",
        "$states.input.items[phone > 3]",
        "$order[$.total > 10]",
        "$order[total > 10]",
        "$map($states.input.a, function($x){ $x.phone })",
        "$phone",
        "$states.input.items^(>price, name)",
        "$states.input.items{name: price}",
        "$states.input.items.{'n': name, 'c': $}",
        "$states.input.items.(price * quantity)",
        "$states.input ~> |items|{'x': name}|",
        "($i := $states.input; $i.a)",
        "$states.input.a@$x.b[$x.c = d]",
        "'phone' & \"number\"",
        "$count($states.result[$ = 1])",
        "true and null",
    ] {
        assert_eq!(context(text), "", "{text}");
    }
    let uses = |text: &'static str| Uses::of(&parse(text).unwrap());
    assert_eq!(uses("$a[$$ = 1]").roots, [3]);
    assert_eq!(uses("$states.input & $states.errorOutput.Cause & $states").states.len(), 2);
    assert!(uses("($states := {'x': 1}; $states.x)").states.is_empty());
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
