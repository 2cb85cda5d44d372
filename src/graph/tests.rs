use proptest::prelude::*;
use serde_json::{Value, json};

use super::flow::{Edge, EdgeKind, Flow, Shape, Vertex};
use super::history::{History, Outcome};
use super::layered::Point;
use super::picture::{Level, MOST_CELLS, Measure, Padding, picture};
use super::ranked::{Gaps, Size};
use super::{dot, mermaid, svg, terminal};
use crate::asl::model::Machine;
use crate::asl::{Node, Places};

fn flow(definition: &Value) -> Flow {
    let places = Places::of(definition);
    Flow::of(&Machine::of(Node::root(definition, &places)))
}

fn order() -> Value {
    json!({"StartAt": "Charge", "States": {
        "Charge": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Next": "Large?",
            "Retry": [{"ErrorEquals": ["States.TaskFailed"], "MaxAttempts": 2}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Refused"}]},
        "Large?": {"Type": "Choice", "Choices": [{"Variable": "$.amount", "NumericGreaterThan": 1000, "Next": "Refused"}], "Default": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 5, "Next": "Prepare"},
        "Prepare": {"Type": "Parallel", "Next": "Charge", "Branches": [
            {"StartAt": "Invoice", "States": {"Invoice": {"Type": "Pass", "End": true}}},
            {"StartAt": "Pick", "States": {"Pick": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "Pack", "States": {"Pack": {"Type": "Pass", "End": true}}}}}}]},
        "Refused": {"Type": "Fail", "Error": "Order.Refused"}}})
}

#[test]
fn a_graph_says_what_leads_where_and_why() {
    let flow = flow(&order());
    let named: Vec<(&str, &str, EdgeKind, &str)> = flow
        .edges
        .iter()
        .map(|edge| {
            let name = |index: usize| flow.vertices[index].name.as_str();
            (name(edge.from), name(edge.to), edge.kind, edge.label.as_str())
        })
        .collect();
    assert_eq!(
        named,
        [
            ("Charge", "Large?", EdgeKind::Next, ""),
            ("Charge", "Refused", EdgeKind::Catch, "any error"),
            ("Large?", "Refused", EdgeKind::Rule, "$.amount > 1000"),
            ("Large?", "Wait", EdgeKind::Default, "otherwise"),
            ("Wait", "Prepare", EdgeKind::Next, ""),
            ("Prepare", "Charge", EdgeKind::Next, ""),
        ]
    );
    assert_eq!(flow.vertices[0].retry, ["States.TaskFailed ×2"]);
    assert_eq!(flow.all().len(), 8);
}

#[test]
fn a_drawing_in_the_terminal_stays_as_it_is() {
    let drawn = terminal(&flow(&order()), None, false).text;
    let expected = include_str!("snapshots/order.txt");
    assert_eq!(drawn, expected, "\n{drawn}");
}

#[test]
fn mermaid_and_dot_stay_as_they_are() {
    let flow = flow(&order());
    assert_eq!(mermaid(&flow, None), include_str!("snapshots/order.mmd"));
    assert_eq!(dot(&flow, "order", None), include_str!("snapshots/order.dot"));
}

#[test]
fn an_svg_stays_as_it_is_and_names_every_state() {
    let drawn = svg(&flow(&order()), "order", None).text;
    assert_eq!(drawn, include_str!("snapshots/order.svg"));
    for name in ["Charge", "Large?", "Wait", "Prepare", "Invoice", "Pick", "Pack", "Refused"] {
        assert!(drawn.contains(&format!(">{name}</text>")), "{name}");
    }
    assert!(drawn.contains("prefers-color-scheme:dark"));
}

#[test]
fn texts_of_a_definition_cannot_break_out_of_a_drawing() {
    let evil = json!({"StartAt": "</text><script>\"", "States": {"</text><script>\"": {"Type": "Pass", "End": true}}});
    let flow = flow(&evil);
    assert!(!svg(&flow, "<script>", None).text.contains("<script>"));
    assert!(!mermaid(&flow, None).contains("<script>"));
    assert!(dot(&flow, "a", None).contains("\\\""));
}

#[test]
fn nothing_that_is_obeyed_stands_in_a_drawing() {
    let name = "a\u{1b}[2J\u{9b}\u{202e}b\u{200b}\u{7}\u{85}";
    let flow = flow(&json!({"StartAt": name, "States": {name: {"Type": "Task", "Resource": name, "End": true,
        "Retry": [{"ErrorEquals": [name]}]}}}));
    for text in [
        svg(&flow, name, None).text,
        dot(&flow, name, None),
        mermaid(&flow, None),
        terminal(&flow, None, false).text,
        super::outline(&flow, None),
    ] {
        assert!(crate::printable::is_printable(&text) && text.contains("a\u{fffd}[2J\u{fffd}\u{fffd}b"), "{text}");
    }
}

fn event(id: u64, previous: u64, kind: &str, name: &str) -> Value {
    let details = json!({"name": name});
    let mut event = json!({"id": id, "previousEventId": previous, "type": kind});
    let field = if kind.ends_with("Entered") { "stateEnteredEventDetails" } else { "stateExitedEventDetails" };
    if !name.is_empty() {
        event[field] = details;
    }
    event
}

#[test]
fn a_history_says_what_became_of_each_state() {
    let events = [
        event(1, 0, "ExecutionStarted", ""),
        event(2, 1, "TaskStateEntered", "Charge"),
        event(3, 2, "TaskScheduled", ""),
        event(4, 3, "TaskFailed", ""),
        event(5, 4, "TaskScheduled", ""),
        event(6, 5, "TaskSucceeded", ""),
        event(7, 6, "TaskStateExited", "Charge"),
        event(8, 7, "TaskStateEntered", "Ship"),
        event(9, 8, "TaskFailed", ""),
        event(10, 9, "TaskStateExited", "Ship"),
        event(11, 10, "FailStateEntered", "Refused"),
        event(12, 11, "ExecutionFailed", ""),
    ];
    let history = History::of(&events);
    assert_eq!(history.states["Charge"], (Outcome::Succeeded, 1), "tried again and well");
    assert_eq!(history.states["Ship"], (Outcome::Caught, 1));
    assert_eq!(history.states["Refused"], (Outcome::Failed, 1));
    let running = History::of(&events[..4]);
    assert_eq!(running.states["Charge"], (Outcome::Failed, 1));
    assert_eq!(History::of(&events[..3]).states["Charge"], (Outcome::Running, 1));
}

struct Plain;

impl Measure for Plain {
    fn gaps(&self) -> Gaps {
        Gaps { beside: 10.0, edge: 5.0, layer: 10.0 }
    }
    #[allow(clippy::cast_precision_loss)]
    fn state(&self, vertex: &Vertex) -> Size {
        Size { width: 20.0 + 7.0 * vertex.name.len() as f64, height: 30.0 }
    }
    fn label(&self, edge: &Edge) -> Option<Size> {
        (!edge.label.is_empty()).then_some(Size { width: 40.0, height: 12.0 })
    }
    fn retry(&self, vertex: &Vertex) -> f64 {
        if vertex.retry.is_empty() { 0.0 } else { 30.0 }
    }
    fn padding(&self) -> Padding {
        Padding { side: 8.0, above: 4.0, below: 8.0, between: 12.0 }
    }
    fn terminal(&self) -> Option<Size> {
        Some(Size { width: 10.0, height: 10.0 })
    }
}

fn flows() -> impl Strategy<Value = Flow> {
    let edges = |count: usize| {
        proptest::collection::vec((0..count, 0..count, 0..4_u8), 0..3 * count).prop_map(|edges| {
            edges
                .into_iter()
                .map(|(from, to, kind)| {
                    let (kind, label) = match kind {
                        0 => (EdgeKind::Catch, "any error"),
                        1 => (EdgeKind::Rule, "$.a = 1"),
                        _ => (EdgeKind::Next, ""),
                    };
                    Edge { from, to, kind, label: label.into() }
                })
                .collect::<Vec<_>>()
        })
    };
    let plain = (1..12_usize).prop_flat_map(move |count| (Just(count), edges(count), 0..4_u8));
    plain.prop_map(|(count, edges, extra)| {
        let vertex = |index: usize| Vertex {
            name: "n".repeat(1 + index % 5),
            shape: Shape::Task,
            detail: String::new(),
            retry: if index.is_multiple_of(3) { vec!["x ×3".into()] } else { Vec::new() },
            ends: !edges.iter().any(|edge| edge.from == index),
            inner: Vec::new(),
        };
        let mut vertices: Vec<Vertex> = (0..count).map(vertex).collect();
        // The first holds copies of the rest as branches.
        let inner = Flow { vertices: vertices.clone(), edges: edges.clone(), start: Some(0) };
        vertices[0].inner = vec![inner; usize::from(extra)];
        Flow { vertices, edges, start: Some(0) }
    })
}

fn check(level: &Level<'_>) -> Result<(), TestCaseError> {
    for (index, one) in level.boxes.iter().enumerate() {
        for other in &level.boxes[index + 1..] {
            let apart = one.at.x + one.size.width <= other.at.x + 0.01
                || other.at.x + other.size.width <= one.at.x + 0.01
                || one.at.y + one.size.height <= other.at.y + 0.01
                || other.at.y + other.size.height <= one.at.y + 0.01;
            prop_assert!(apart, "two states overlap: {:?} {:?} and {:?} {:?}", one.at, one.size, other.at, other.size);
        }
        prop_assert!(one.at.x >= -0.01 && one.at.x + one.size.width <= level.size.width + 0.01);
        for (corner, inner) in &one.inner {
            prop_assert!(corner.x >= 0.0 && corner.x + inner.size.width <= one.size.width + 0.01);
            prop_assert!(corner.y + inner.size.height <= one.size.height + 0.01);
            check(inner)?;
        }
    }
    for way in level.ways.iter().filter(|way| !way.is_loop) {
        let (Some(first), Some(last)) = (way.points.first(), way.points.last()) else {
            return Err(TestCaseError::fail("an edge has no way"));
        };
        for (end, point) in [(way.ends.0, first), (way.ends.1, last)] {
            let Some(one) = end.map(|index| &level.boxes[index]) else { continue };
            let inside = point.x >= one.at.x - 0.01 && point.x <= one.at.x + one.size.width + 0.01;
            let on_border = (point.y - one.at.y).abs() < 0.01 || (point.y - one.at.y - one.size.height).abs() < 0.01;
            prop_assert!(
                inside && on_border,
                "an edge ends at {point:?}, not at its state {:?} {:?}",
                one.at,
                one.size
            );
        }
        labels_are_free(level, way.label)?;
        for pair in way.points.windows(2) {
            straight_is_free(level, pair[0], pair[1])?;
        }
    }
    Ok(())
}

fn labels_are_free(level: &Level<'_>, label: Option<Point>) -> Result<(), TestCaseError> {
    let Some(label) = label else { return Ok(()) };
    for one in &level.boxes {
        let over = (label.x - 20.0 < one.at.x + one.size.width - 0.01)
            && (label.x + 20.0 > one.at.x + 0.01)
            && (label.y - 6.0 < one.at.y + one.size.height - 0.01)
            && (label.y + 6.0 > one.at.y + 0.01);
        prop_assert!(!over, "a label lies on a state");
    }
    Ok(())
}

/// Straight pieces run through layers: they must not run through a state.
fn straight_is_free(level: &Level<'_>, from: Point, to: Point) -> Result<(), TestCaseError> {
    if (from.x - to.x).abs() > 0.01 {
        return Ok(());
    }
    let (top, bottom) = (from.y.min(to.y), from.y.max(to.y));
    for one in &level.boxes {
        let through = from.x > one.at.x + 0.01
            && from.x < one.at.x + one.size.width - 0.01
            && top < one.at.y + one.size.height - 0.01
            && bottom > one.at.y + 0.01;
        prop_assert!(!through, "an edge runs through a state");
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_overlaps_and_every_edge_has_its_ends(flow in flows()) {
        check(&picture(&flow, &Plain))?;
        prop_assert!(!terminal(&flow, None, false).text.is_empty());
        let drawing = svg(&flow, "x", None);
        prop_assert!(drawing.text.ends_with("</svg>\n") && drawing.note.is_none());
    }
}

#[test]
fn two_thousand_states_in_a_row_are_laid_out() {
    let states: serde_json::Map<String, Value> = (0..2_000)
        .map(|index| {
            let next = if index == 1_999 {
                json!({"Type": "Succeed"})
            } else {
                json!({"Type": "Pass", "Next": format!("s{}", index + 1)})
            };
            (format!("s{index}"), next)
        })
        .collect();
    let flow = flow(&json!({"StartAt": "s0", "States": states}));
    let drawing = svg(&flow, "long", None);
    assert!(drawing.text.len() > 100_000 && drawing.note.is_none());
}

/// Choices whose six ways lead all over the machine.
fn tangle(choices: usize) -> Value {
    let name = |index: usize| format!("choice-{}", index % choices);
    let state = |index: usize| {
        let rules: Vec<Value> = (1..6)
            .map(|way| json!({"Variable": "$.a", "NumericEquals": way, "Next": name(index * 7 + way * 131)}))
            .collect();
        (name(index), json!({"Type": "Choice", "Choices": rules, "Default": name(index + 1)}))
    };
    let states: serde_json::Map<String, Value> = (0..choices).map(state).collect();
    json!({"StartAt": name(0), "States": states})
}

/// Points at which the ways of a level bend, inner ones too: two for each layer that a way passes.
fn bends(level: &Level<'_>) -> usize {
    let inner = level.boxes.iter().flat_map(|one| &one.inner).map(|(_, level)| bends(level));
    level.ways.iter().map(|way| way.points.len()).sum::<usize>() + inner.sum::<usize>()
}

#[test]
fn ways_that_lead_too_far_are_told_at_their_state_and_the_drawing_says_so() {
    let flow = flow(&tangle(1_000));
    assert_eq!(flow.edges.len(), 6_000);
    let level = picture(&flow, &Plain);
    let (drawn, untold) = level.ways();
    assert!(drawn > 500 && untold > 1_000 && drawn + untold == 6_000, "{drawn} drawn, {untold} not");
    assert!(bends(&level) <= 2 * MOST_CELLS + 4 * drawn, "{} bends", bends(&level));
    let told: usize = level.boxes.iter().map(|one| one.untold.len()).sum();
    assert_eq!(told, untold, "each is told at the state that it leaves");
    let drawing = svg(&flow, "tangle", None);
    let note = drawing.note.unwrap();
    assert!(note.starts_with(&format!("drawn coarsely: {untold} of 6000 ways")), "{note}");
    assert!(drawing.text.contains(&note) && drawing.text.contains("leads to choice-"), "the drawing itself tells");
    for index in [0, 500, 999] {
        assert!(drawing.text.contains(&format!(">choice-{index}</text>")), "every state is there");
    }
}

#[test]
fn what_a_machine_holds_has_a_part_of_the_room_by_its_size() {
    let inner = tangle(300);
    let branches: Vec<&Value> = vec![&inner; 3];
    let flow =
        flow(&json!({"StartAt": "All", "States": {"All": {"Type": "Parallel", "End": true, "Branches": branches}}}));
    let level = picture(&flow, &Plain);
    let (drawn, untold) = level.ways();
    assert!(untold > 0 && drawn + untold == 5_400, "{drawn} drawn, {untold} not");
    assert!(bends(&level) <= 2 * MOST_CELLS + 4 * drawn, "{} bends", bends(&level));
}

#[test]
fn what_is_too_large_for_a_terminal_is_listed() {
    let ways: Vec<Value> =
        (0..3_000).map(|way| json!({"Variable": "$.a", "NumericEquals": way, "Next": format!("end-{way}")})).collect();
    let ends = (0..3_000).map(|way| (format!("end-{way}"), json!({"Type": "Succeed"})));
    let first = ("Which?".to_owned(), json!({"Type": "Choice", "Choices": ways}));
    let states: serde_json::Map<String, Value> = std::iter::once(first).chain(ends).collect();
    let flow = flow(&json!({"StartAt": "Which?", "States": states}));
    let drawing = terminal(&flow, None, false);
    assert!(drawing.note.unwrap().contains("the states are listed"));
    assert_eq!(drawing.text.lines().count(), 3_001);
    let lines: Vec<&str> = drawing.text.lines().collect();
    assert!(lines[0].starts_with("● Which? [Choice] → end-0 ($.a = 0), end-1 ($.a = 1), "), "{}", &lines[0][..80]);
    assert_eq!(lines[1], "end-0 [Succeed] → the end");
}

/// Anything that could stand where a definition is wanted.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(true)),
        (-3_i64..3).prop_map(|number| json!(number)),
        prop::sample::select(vec!["A", "B", "Task", "Choice", "Parallel", "Map", "Wait", "States.ALL", ""])
            .prop_map(|text| json!(text)),
    ];
    let names = vec![
        "StartAt",
        "States",
        "A",
        "B",
        "Type",
        "Next",
        "End",
        "Branches",
        "ItemProcessor",
        "Choices",
        "Default",
        "Catch",
        "Retry",
        "ErrorEquals",
        "Seconds",
        "Variable",
        "And",
        "Not",
    ];
    leaf.prop_recursive(8, 80, 6, move |inner| {
        let field = (prop::sample::select(names.clone()), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::Array),
            prop::collection::vec(field, 0..6).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_given_is_drawn_without_a_panic(states in anything(), start in anything()) {
        let flow = flow(&json!({"StartAt": start, "States": states}));
        for text in [svg(&flow, "a", None).text, terminal(&flow, None, false).text, mermaid(&flow, None), dot(&flow, "a", None)] {
            prop_assert!(flow.vertices.is_empty() || !text.is_empty());
        }
    }
}
