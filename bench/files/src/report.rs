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
        "open-close" => "open and close a file of 1000 bytes",
        "stat" => "stat it by name",
        "open-read-close" => "open it, read all of it, close it",
        "fstat" => "stat it by descriptor",
        "pread" => "read all of it, open",
        "pwrite" => "write all of it, open",
        "create-write-unlink" => "make it, write 1000 bytes, close and remove it",
        other => other,
    }
}

/// Bars.
pub fn svg(rows: &[Row]) -> String {
    let title = "calls on small files, in ns: median, line from least to largest".to_owned();
    draw(&[Section { title, panels: rows.iter().map(table::panel).collect() }])
}

#[cfg(test)]
mod tests {
    use bench_report::Rounds;

    use super::*;

    #[test]
    fn all_forms_name_everybody() {
        let cell = |name: &str, ours, ns| (name.to_owned(), ours, Rounds::of(vec![ns]).unwrap());
        let cells = vec![cell("ramfs", true, 10.0), cell("tmpfs", false, 200.0)];
        let rows = [Row { what: "stat".into(), cells }];
        for form in [text(&rows, 3), svg(&rows)] {
            assert!(form.contains("ramfs") && form.contains("tmpfs"), "{form}");
        }
        assert!(text(&rows, 3).contains("0.050 / 0.050 / 0.050"));
    }
}
