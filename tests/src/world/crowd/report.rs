//! What rooms of many sizes took, kept beside the benches: the figures, and a picture of their growth.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Crowd;
use crate::bench::{Curve, curves};

/// Writes both. What was kept of rooms of other sizes stays.
pub fn keep(rooms: &[Crowd]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let path = folder.join("rooms.json");
    let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or(Value::Null);
    let kept = kept["rooms"].as_array().cloned().unwrap_or_default().into_iter();
    let all = kept.chain(rooms.iter().map(row)).filter_map(|row| Some((row["members"].as_u64()?, row)));
    let rows: Vec<Value> = all.collect::<BTreeMap<u64, Value>>().into_values().collect();
    let growth = PANELS.iter().map(|(name, title, law)| {
        let points = rows.iter().filter_map(|row| Some((row["members"].as_f64()?, row[*name].as_f64()?))).collect();
        Curve { title: (*title).to_owned(), law: (*law).to_owned(), points }
    });
    let growth: Vec<Curve> = growth.collect();
    let report = json!({ "what": "one large room in the simulated world, by its members", "rooms": rows });
    fs::write(path, format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    fs::write(folder.join("rooms.svg"), curves("A room of many members, simulated", "members", &growth))
}

fn row(room: &Crowd) -> Value {
    let mut row = Map::new();
    row.insert("members".to_owned(), json!(room.members));
    for (name, value) in &room.figures {
        row.insert((*name).to_owned(), json!((value * 100.0).round() / 100.0));
    }
    Value::Object(row)
}

/// Which figures are drawn, how they are called, and what they should grow with.
const PANELS: [(&str, &str, &str); 10] = [
    ("steps_median", "steps from author to member, median", "1 up to 13 members, then log n"),
    ("steps_worst", "steps from author to member, worst", "1 up to 13 members, then log n"),
    ("last_member_ms", "the last member has it after, ms", "log n"),
    ("all_acknowledged_ms", "the author knows that all have it after, ms", "log n"),
    ("duplicates_per_copy", "copies beyond the one that is needed", "0 up to 13 members, then below 1"),
    ("bytes_per_member_and_text", "bytes sent for one text, per member", "constant"),
    ("repair_ms", "a fifth vanishes: all others have everything after, ms", "constant: how soon it is noticed"),
    ("back_ms", "they come back: they have everything after, ms", "constant"),
    ("links_median", "links of a member", "n up to 13 members, then constant"),
    ("idle_bytes_per_minute", "bytes sent in a silent minute, per member", "n"),
];
