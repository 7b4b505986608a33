//! Results for people, scripts and eyes.

use bench_report::run::Row;
use bench_report::svg::{Section, draw};
use bench_report::table;

/// Tables.
pub fn text(rows: &[Row], rounds: u32) -> String {
    table::text(rows, rounds, "ns", |what| describe(what).to_owned())
}

/// What a name means.
fn describe(what: &str) -> &str {
    match what {
        "yield" => "yield: from one thread to the other, both ready",
        "token-there-and-back" => "token: unpark another thread and wait for it to do the same",
        "semaphore-there-and-back" => "semaphore: release one, acquire the other's, on one CPU",
        "semaphore-between-cpus" => "semaphore: release one, acquire the other's, between two CPUs",
        "mutex-uncontended" => "mutex: lock and unlock, nobody else wants it",
        "mutex-contended" => "mutex: lock and unlock while another CPU does the same",
        "create-and-join" => "thread: create, run, join",
        "wake-up-late-p50" => "sleep of 100 us: too late by, median",
        "wake-up-late-p99" => "sleep of 100 us: too late by, 99th percentile",
        "deadline-beside-10" => {
            "wait with a deadline and be woken, there and back, beside 10 sleepers"
        }
        "deadline-beside-1000" => "the same beside 1000 sleepers",
        "deadline-beside-10000" => "the same beside 10 000 sleepers",
        "task-yield" => "task: from one to the other, both ready",
        "task-spawn-and-join" => "task: spawn, run, await",
        "task-sleeps-once" => "10 000 tasks that sleep at the same time: each",
        other => other,
    }
}

/// For scripts.
pub fn json(rows: &[Row], rounds: u32) -> serde_json::Value {
    table::json(rows, rounds, "ns")
}

/// Bars.
pub fn svg(rows: &[Row]) -> String {
    let (tasks, threads): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.what.starts_with("task-"));
    let section = |title: &str, rows: Vec<&Row>| Section {
        title: format!("{title}, in ns: median, line from least to largest"),
        panels: rows.into_iter().map(table::panel).collect(),
    };
    draw(&[section("threads and locks", threads), section("tasks without stacks", tasks)])
}
