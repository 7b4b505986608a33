use std::collections::BTreeMap;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::model::{Mode, Model};
use super::{handle, view};
use crate::diagnostic::Source;
use crate::option::{OptionKind, OptionSpec, Value};
use crate::pool::{AllocatorType, Interface, Library, Machine, PlatformSpec, Pool};

fn library(name: &str, description: &str) -> Library {
    Library {
        name: name.into(),
        pool: "core".into(),
        description: description.into(),
        ..Library::default()
    }
}

fn option(name: &str, kind: OptionKind, default: Value, help: &str) -> OptionSpec {
    OptionSpec {
        name: name.into(),
        kind,
        default,
        help: help.into(),
        feature: None,
        runtime: true,
        rust_type: None,
    }
}

fn platform(name: &str) -> Library {
    Library {
        platforms: vec![name.into()],
        arches: vec![std::env::consts::ARCH.into()],
        platform: Some(PlatformSpec {
            name: name.into(),
            rust_type: "P".into(),
            linker_script: String::new(),
            linker_args: Vec::new(),
            relocation_model: "static".into(),
            machine: Machine::Process,
        }),
        ..library(&format!("plat-{name}"), "A machine")
    }
}

fn pool() -> Pool {
    let alloc = |name: &str, default: &[&str]| Library {
        provides: vec!["alloc".into()],
        default_for: default.iter().map(|d| (*d).into()).collect(),
        allocator: Some(AllocatorType::Backend("B".into())),
        ..library(name, "An allocator")
    };
    Pool::from_libraries(vec![
        platform("linuxu"),
        platform("kvm"),
        Library {
            requires: vec!["alloc".into()],
            interfaces: BTreeMap::from([(
                "alloc".into(),
                Interface {
                    help: "A general-purpose heap".into(),
                    many: true,
                    declared_by: "a".into(),
                },
            )]),
            options: vec![option("stats", OptionKind::Bool, Value::Bool(true), "Count everything")],
            ..library("ukalloc", "The allocation interface")
        },
        alloc("tlsf", &["alloc"]),
        alloc("region", &[]),
        Library {
            options: vec![
                option(
                    "level",
                    OptionKind::Choice(vec!["warn".into(), "info".into(), "debug".into()]),
                    Value::Choice("warn".into()),
                    "Least severe level that is printed",
                ),
                option("lines", OptionKind::Int { min: 1, max: 99 }, Value::Int(10), "Lines kept"),
            ],
            ..library("uklog", "Log messages")
        },
        Library { platforms: vec!["kvm".into()], ..library("ukacpi", "ACPI tables") },
        Library { dependencies: vec!["uklog".into()], ..library("uktrace", "Trace points") },
    ])
    .unwrap()
}

const MANIFEST: &str = "# An example.\nname = \"demo\" # its name\n\n[options.uklog]\nlevel = \"info\" # more than usual\n";

fn with_model(check: impl FnOnce(&mut Model<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("Cargo.toml"),
        "[package]\nname = \"demo\"\n[dependencies]\nukalloc = \"*\"\nuklog = \"*\"\n",
    )
    .unwrap();
    let pool = pool();
    let source = Source { path: "oxk.toml".into(), text: MANIFEST.into() };
    check(&mut Model::new(source, dir.path(), &pool, None).unwrap());
}

fn press(model: &mut Model<'_>, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            c => KeyCode::Char(c),
        };
        assert!(
            handle(model, KeyEvent::new(code, KeyModifiers::NONE)).unwrap(),
            "{c:?} ended the menu"
        );
    }
}

fn screen(model: &Model<'_>, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_first_screen() {
    with_model(|model| insta::assert_snapshot!(screen(model, 100, 30)));
}

#[test]
fn a_small_screen_with_a_search() {
    with_model(|model| {
        press(model, "/log");
        insta::assert_snapshot!(screen(model, 80, 24));
    });
}

#[test]
fn typing_a_value() {
    with_model(|model| {
        press(model, "/lines\n\n\x08\x08100\n");
        assert_eq!(model.mode(), Mode::Edit, "a value out of range is not taken");
        insta::assert_snapshot!(screen(model, 100, 24));
        press(model, "\x08\n");
        assert_eq!(model.selected().unwrap().value, "10");
    });
}

#[test]
fn help_and_leaving() {
    with_model(|model| {
        press(model, "?");
        insta::assert_snapshot!(screen(model, 90, 20));
        press(model, "x\n");
        assert!(model.is_changed());
        press(model, "q");
        assert_eq!(model.mode(), Mode::Leave);
        insta::assert_snapshot!(screen(model, 90, 20));
    });
}

#[test]
fn changes_are_written_and_defaults_removed() {
    with_model(|model| {
        press(model, "/level\n\n"); // info -> debug
        assert_eq!(model.text(), MANIFEST.replace("\"info\"", "\"debug\""));
        press(model, "d"); // warn is the default
        assert_eq!(model.text(), "# An example.\nname = \"demo\" # its name\n");
        press(model, "\x1b/provider\n\n");
        assert!(model.text().ends_with("\n[providers]\nalloc = \"region\"\n"), "{}", model.text());
        press(model, "\x1b/uktrace\n\n");
        assert!(model.text().contains("libraries = [\"uktrace\"]"), "{}", model.text());
        press(model, "\n");
        assert!(!model.text().contains("libraries"), "{}", model.text());
        press(model, "s");
        assert!(!model.is_changed() && model.message().starts_with("saved"));
    });
}

#[test]
fn what_does_not_resolve_is_undone() {
    with_model(|model| {
        press(model, "\n"); // platform: kvm, linuxu in order, from linuxu to kvm
        assert_eq!(model.selected().unwrap().value, "kvm");
        press(model, "/ukacpi\n\n");
        assert!(model.text().contains("ukacpi"));
        press(model, "\x1b\n"); // back to linuxu: ukacpi does not work there
        assert!(model.message().contains("does not work on linuxu"), "{}", model.message());
        assert_eq!(model.selected().unwrap().value, "kvm");
    });
}

#[test]
fn list_and_json_have_every_entry() {
    with_model(|model| {
        let (list, json) = (model.list(), model.json());
        assert_eq!(list.lines().count(), json.as_array().unwrap().len());
        for name in ["* uklog.level ", "  platform ", "  providers.alloc ", "  libraries.uktrace "]
        {
            assert!(list.contains(name), "{list}");
        }
    });
}

#[test]
fn what_only_a_named_provider_brings_can_be_changed_and_dropped() {
    let scheduler = |name: &str, default: &[&str]| Library {
        provides: vec!["sched".into()],
        default_for: default.iter().map(|d| (*d).into()).collect(),
        ..library(name, "A scheduler")
    };
    let interface =
        Interface { help: "Threads".into(), many: false, declared_by: "uksched".into() };
    let uksched = Library {
        interfaces: BTreeMap::from([("sched".into(), interface)]),
        ..library("uksched", "Threads")
    };
    let more = [uksched, scheduler("coop", &["sched"]), scheduler("preempt", &[])];
    let pool = Pool::from_libraries(pool().libraries().cloned().chain(more).collect()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("Cargo.toml"), "[package]\nname = \"demo\"\n").unwrap();
    let text = "name = \"demo\"\n[providers]\nsched = \"preempt\"\n";
    let source = Source { path: "oxk.toml".into(), text: text.into() };
    let mut model = Model::new(source, dir.path(), &pool, None).unwrap();
    assert!(model.list().contains("* providers.sched"), "{}", model.list());
    press(&mut model, "/provider of sched\n\n");
    assert!(model.text().contains("sched = \"coop\""), "{}", model.text());
    press(&mut model, "d");
    assert!(!model.text().contains("sched ="), "{}", model.text());
}
