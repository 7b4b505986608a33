use super::*;
use crate::list;
use crate::workload::Workload;

fn sample() -> Report {
    let specs: Vec<_> = list::ALL.iter().collect();
    let rounds = |i: usize| Rounds::of(vec![i as f64 + 1.0]);
    let workload = Workload::named("pair-64").unwrap();
    let cells = specs.iter().enumerate().map(|(i, s)| (*s, rounds(i))).collect();
    Report {
        specs,
        rounds: 1,
        throughput: vec![throughput::Row { workload, cells }],
        latency: Vec::new(),
        memory: Vec::new(),
        overhead: Vec::new(),
        init: Vec::new(),
        count: Vec::new(),
        worst: Vec::new(),
        notes: vec!["somebody did not".to_owned()],
    }
}

#[test]
fn ours_are_compared_with_their_design_and_with_the_common_ones() {
    let report = sample();
    let ratios = report.ratios();
    let of = |name: &str| list::ALL.iter().position(|s| s.name == name).unwrap() as f64 + 1.0;
    let found = ratios.iter().find(|r| r.ours == "ukalloctlsf" && r.peer == "rlsf").unwrap();
    assert!(
        found.same_design && (found.ratio.median - of("ukalloctlsf") / of("rlsf")).abs() < 1e-9
    );
    assert!(ratios.iter().any(|r| r.ours == "ukallocregion" && r.peer == "glibc"));
}

#[test]
fn all_forms_name_everybody() {
    let report = sample();
    let forms = [text::report(&report), json::report(&report).to_string(), svg::report(&report)];
    assert!(forms[..2].iter().all(|form| form.contains("somebody did not")));
    for form in forms {
        for spec in list::ALL {
            assert!(form.contains(spec.name), "{}:\n{form}", spec.name);
        }
    }
}
