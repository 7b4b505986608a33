//! For scripts.

use serde_json::{Map, Value, json};

use super::Report;
use crate::list::Spec;
use crate::measure::Spread;

/// One object; `oxk bench --help` and the book describe it.
pub fn report(report: &Report) -> Value {
    let spread = |s: &Spread| json!([s.min, s.median, s.max]);
    let table = |rows: Vec<(String, Value)>| Value::Object(rows.into_iter().collect());
    json!({
        "rounds": report.rounds,
        "notes": report.notes,
        "allocators": report.specs.iter().map(|s| s.name).collect::<Vec<_>>(),
        "ns_per_call": table(report.throughput.iter().map(|row| {
            (row.workload.name.to_owned(), cells(row.cells.iter().map(|(s, v)| (*s, v.as_ref().map(|v| spread(&v.spread()))))))
        }).collect()),
        "ratios": report.ratios().iter().map(|r| json!({
            "ours": r.ours, "peer": r.peer, "same_design": r.same_design,
            "workload": r.workload, "ratio": spread(&r.ratio),
        })).collect::<Vec<_>>(),
        "latency_ns": table(report.latency.iter().map(|row| {
            let cell = row.cells.iter().map(|(s, v)| (*s, v.map(|l| json!([l.p50, l.p99, l.max]))));
            (row.workload.name.to_owned(), cells(cell))
        }).collect()),
        "memory_bytes": table(report.memory.iter().map(|row| {
            let needed = cells(row.cells.iter().map(|(s, v)| (*s, v.map(Value::from))));
            (row.workload.name.to_owned(), json!({ "live": row.live, "needed": needed }))
        }).collect()),
        "overhead_bytes": table(report.overhead.iter().map(|row| {
            (row.size.to_string(), cells(row.cells.iter().map(|(s, v)| (*s, v.map(Value::from)))))
        }).collect()),
        "init_ns": table(report.init.iter().map(|row| {
            let cell = row.cells.iter().map(|(s, v)| {
                let both = v.as_ref().map(|(ready, first)| {
                    json!({ "ready": spread(ready), "first_block": spread(first) })
                });
                (*s, both)
            });
            (format!("{} MB", row.megabytes), cells(cell))
        }).collect()),
        "instructions_per_pair": table(report.count.iter().map(|row| {
            (row.workload.name.to_owned(), cells(row.cells.iter().map(|(s, v)| (*s, v.map(Value::from)))))
        }).collect()),
        "longest_path": report.worst.iter().map(|row| json!({
            "call": row.call,
            "holes": row.holes,
            "instructions": cells(row.cells.iter().map(|(s, _, n)| (*s, n.map(Value::from)))),
            "latency_ns": cells(row.cells.iter().map(|(s, l, _)| {
                (*s, l.map(|l| json!([l.p50, l.p99, l.max])))
            })),
        })).collect::<Vec<_>>(),
    })
}

/// An object by allocator; `null` where one could not take part.
fn cells(cells: impl Iterator<Item = (&'static Spec, Option<Value>)>) -> Value {
    let map: Map<String, Value> =
        cells.map(|(spec, value)| (spec.name.to_owned(), value.unwrap_or(Value::Null))).collect();
    Value::Object(map)
}
