//! The items of a Map that are read from an object: JSON, JSON Lines, CSV, or the list that a manifest is.

use serde_json::{Map, Value, json};

use super::data;
use super::failure::Fault;
use super::map::Items;
use super::sight::Sight;
use crate::asl::model::{QueryLanguage, Setting};
use crate::asl::position::Node;

/// `MaxItems`, which says how many are read.
pub(super) fn most(config: Option<Node<'_>>, language: QueryLanguage, sight: Sight<'_>) -> Result<Option<i64>, Fault> {
    let get = |field| config.and_then(|config| config.get(field));
    let setting = Setting { value: get("MaxItems"), path: get("MaxItemsPath") };
    data::whole(setting, language, "MaxItems", sight)
}

/// The items of what was read. A driver may give a list in place of a text; then it has read it itself.
///
/// # Errors
/// What is no list of items, in the words of AWS where these are recorded.
pub(super) fn items(config: Option<Node<'_>>, most: Option<i64>, read: Value) -> Result<Items, String> {
    let word = |field| config.and_then(|config| config.get(field)?.as_str());
    let items = match (read, word("InputType")) {
        (Value::String(text), Some("CSV")) => Items::from(csv(&text, config)?),
        (Value::String(text), Some("JSONL")) => Items::from(lines(&text)?),
        (Value::String(text), Some("MANIFEST")) => Items::from(manifest(&text, config)?),
        (Value::String(_), Some("PARQUET")) => {
            return Err("a Parquet file has to be given as a list of its rows".to_owned());
        }
        (Value::String(text), _) => listed(pointed(parse(&text)?, word("ItemsPointer"))?)?,
        (other, _) => listed(other)?,
    };
    Ok(cut(items, most))
}

fn cut(mut items: Items, most: Option<i64>) -> Items {
    // None is set by 0 too, as recorded.
    if let Some(most) = most.and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0) {
        items.values.truncate(most);
        items.keys.truncate(most);
    }
    items
}

fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("the object is no JSON: {error}"))
}

fn pointed(value: Value, pointer: Option<&str>) -> Result<Value, String> {
    let Some(pointer) = pointer else { return Ok(value) };
    value.pointer(pointer).cloned().ok_or_else(|| format!("ItemsPointer \"{pointer}\" leads nowhere"))
}

fn listed(value: Value) -> Result<Items, String> {
    match value {
        Value::Array(values) => Ok(Items::from(values)),
        Value::Object(fields) => {
            let is_list = |fields: &Map<String, Value>| fields.get("Contents").is_some_and(Value::is_array);
            if is_list(&fields) {
                // What ListObjectsV2 answers.
                return listed(fields.get("Contents").cloned().unwrap_or_default());
            }
            // As recorded of an object, though the developer guide lets items be fields.
            Err("Attempting to map over non-iterable node.".to_owned())
        }
        _ => Err("Attempting to map over non-iterable node.".to_owned()),
    }
}

fn lines(text: &str) -> Result<Vec<Value>, String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(parse).collect()
}

/// The manifest of an S3 inventory is a CSV without a head; `ManifestType` may say that it is one of Athena's, which lists
/// the objects with the rows: these only a driver can read.
fn manifest(text: &str, config: Option<Node<'_>>) -> Result<Vec<Value>, String> {
    let kind = config.and_then(|config| config.get("ManifestType")?.as_str());
    let is_json = text.trim_start().starts_with(['{', '[']);
    if is_json || kind == Some("ATHENA_DATA") {
        return Err("the objects that a manifest lists have to be given as a list of their items".to_owned());
    }
    let rows = rows(text, ',');
    Ok(rows.into_iter().map(|row| json!({"Bucket": row.first(), "Key": row.get(1)})).collect())
}

fn csv(text: &str, config: Option<Node<'_>>) -> Result<Vec<Value>, String> {
    let delimiter = match config.and_then(|config| config.get("CSVDelimiter")?.as_str()) {
        Some("PIPE") => '|',
        Some("SEMICOLON") => ';',
        Some("SPACE") => ' ',
        Some("TAB") => '\t',
        _ => ',',
    };
    let mut rows = rows(text, delimiter).into_iter();
    let given = config.and_then(|config| config.get("CSVHeaders"));
    let is_given = config.and_then(|config| config.get("CSVHeaderLocation")?.as_str()) == Some("GIVEN");
    let head: Vec<String> = if is_given {
        given.into_iter().flat_map(Node::items).filter_map(Node::as_str).map(str::to_owned).collect()
    } else {
        rows.next().ok_or("the CSV file has no head")?
    };
    // A field that is missing is empty, and one without a head is left out, as recorded.
    let record = |row: Vec<String>| {
        let fields = head.iter().enumerate();
        let fields = fields.map(|(at, name)| (name.clone(), json!(row.get(at).map_or("", String::as_str))));
        Value::Object(fields.collect::<Map<_, _>>())
    };
    Ok(rows.map(record).collect())
}

/// RFC 4180: fields in double quotes may hold the delimiter, line breaks, and doubled quotes.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut field, mut is_quoted, mut is_begun) = (Vec::new(), String::new(), false, false);
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        is_begun = true;
        match sign {
            '"' if is_quoted && signs.peek() == Some(&'"') => {
                signs.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() => is_quoted = true,
            sign if is_quoted => field.push(sign),
            '\r' if signs.peek() == Some(&'\n') => {}
            '\n' => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
                is_begun = false;
            }
            sign if sign == delimiter => row.push(std::mem::take(&mut field)),
            sign => field.push(sign),
        }
    }
    if is_begun {
        row.push(field);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asl::position::Places;

    fn read(config: &Value, text: &str) -> Result<Vec<Value>, String> {
        let places = Places::of(config);
        let config = Node::root(config, &places);
        let most = config.get("MaxItems").and_then(|most| most.value().as_i64());
        items(Some(config), most, json!(text)).map(|items| items.values.into())
    }

    #[test]
    fn items_are_read_from_each_kind_of_object() {
        let csv = "a,b\n1,\"x, \"\"y\"\"\nz\"\n2\r\n,,3\n";
        let rows = [json!({"a": "1", "b": "x, \"y\"\nz"}), json!({"a": "2", "b": ""}), json!({"a": "", "b": ""})];
        for (config, text, items) in [
            (json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}), csv, rows.to_vec()),
            (json!({"InputType": "CSV", "MaxItems": 1}), csv, rows[..1].to_vec()),
            (
                json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["h"], "CSVDelimiter": "PIPE"}),
                "1|2\n3|4",
                vec![json!({"h": "1"}), json!({"h": "3"})],
            ),
            (json!({"InputType": "JSON"}), "[1, {\"a\": 2}]", vec![json!(1), json!({"a": 2})]),
            (json!({"InputType": "JSON", "ItemsPointer": "/a/b"}), "{\"a\": {\"b\": [3]}}", vec![json!(3)]),
            (json!({"InputType": "JSONL"}), "{\"a\": 1}\n\n2\n", vec![json!({"a": 1}), json!(2)]),
            (json!({"InputType": "MANIFEST"}), "\"b\",\"k\"\n", vec![json!({"Bucket": "b", "Key": "k"})]),
        ] {
            assert_eq!(read(&config, text), Ok(items), "{config}");
        }
        for (config, text) in [
            (json!({"InputType": "JSON"}), "{\"a\": 1}"),
            (json!({"InputType": "JSON"}), "1"),
            (json!({"InputType": "JSON"}), "{"),
            (json!({"InputType": "JSON", "ItemsPointer": "/x"}), "{}"),
            (json!({"InputType": "JSONL"}), "x"),
            (json!({"InputType": "CSV"}), ""),
            (json!({"InputType": "PARQUET"}), "PAR1"),
        ] {
            assert!(read(&config, text).is_err(), "{config}");
        }
    }
}
