use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::Source;
use crate::option::{OptionKind, OptionSpec};
use crate::pool::{AllocatorType, Interface, Machine, PlatformSpec};
use proptest::prelude::*;

fn library(name: &str) -> Library {
    Library { name: name.to_owned(), pool: "core".into(), ..Library::default() }
}

fn interface(many: bool) -> Interface {
    Interface { help: String::new(), many, declared_by: "api".into() }
}

fn platform() -> Library {
    Library {
        arches: vec!["x86_64".into()],
        platforms: vec!["linuxu".into()],
        platform: Some(PlatformSpec {
            name: "linuxu".into(),
            rust_type: "Linuxu".into(),
            linker_script: "l.ld".into(),
            linker_args: Vec::new(),
            relocation_model: "static".into(),
            machine: Machine::Process,
        }),
        ..library("plat-linuxu")
    }
}

fn manifest(text: &str, dependencies: &[&str]) -> Manifest {
    let dir = tempfile::tempdir().unwrap();
    let depends: String = dependencies.iter().map(|d| format!("{d} = \"*\"\n")).collect();
    std::fs::write(
        dir.path().join("Cargo.toml"),
        format!("[package]\nname = \"app\"\n[dependencies]\n{depends}"),
    )
    .unwrap();
    let text = format!("name = \"app\"\narchitecture = \"x86_64\"\n{text}");
    Manifest::parse(Source { path: "oxk.toml".into(), text }, dir.path()).unwrap()
}

/// A small pool: an application library that wants a heap, and two heaps.
fn pool(change: impl FnOnce(&mut Vec<Library>)) -> Pool {
    let mut list = vec![
        platform(),
        Library {
            interfaces: BTreeMap::from([
                ("alloc".into(), interface(true)),
                ("sched".into(), interface(false)),
            ]),
            requires: vec!["alloc".into()],
            ..library("ukalloc")
        },
        Library {
            provides: vec!["alloc".into()],
            default_for: vec!["alloc".into()],
            allocator: Some(AllocatorType::Backend("Tlsf".into())),
            ..library("tlsf")
        },
        Library {
            provides: vec!["alloc".into()],
            allocator: Some(AllocatorType::Backend("Region".into())),
            ..library("region")
        },
    ];
    change(&mut list);
    Pool::from_libraries(list).unwrap()
}

fn names(resolution: &Resolution<'_>) -> Vec<String> {
    resolution.libraries.iter().map(|l| l.name.clone()).collect()
}

fn failure(manifest: &Manifest, pool: &Pool) -> String {
    resolve(manifest, pool, None, None).unwrap_err().to_string()
}

#[test]
fn the_default_provider_is_taken() {
    let (manifest, pool) = (manifest("", &["ukalloc", "serde"]), pool(|_| {}));
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert_eq!(names(&resolution), ["plat-linuxu", "tlsf", "ukalloc"]);
    assert_eq!(resolution.heaps.len(), 1);
    assert_eq!(resolution.heaps[0].backend, "tlsf");
}

#[test]
fn the_manifest_chooses() {
    let (manifest, pool) =
        (manifest("[providers]\nalloc = \"region\"", &["ukalloc"]), pool(|_| {}));
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert_eq!(names(&resolution), ["plat-linuxu", "region", "ukalloc"]);
    assert_eq!(resolution.heaps[0].backend, "region");
}

#[test]
fn what_a_program_calls_brings_who_handles_it() {
    let handling = |name: &str, calls: &[&str]| Library {
        provides: vec!["files".into()],
        handles: calls.iter().map(|call| (*call).to_owned()).collect(),
        ..library(name)
    };
    let pool = pool(|list| {
        list.push(Library {
            interfaces: BTreeMap::from([("files".into(), interface(false))]),
            requires: vec!["files".into()],
            ..library("libc")
        });
        list.push(handling("whole", &["open", "read"]));
        list.push(Library {
            default_for: vec!["files".into()],
            ..handling("console", &["read", "write"])
        });
    });
    let mut manifest = manifest("libraries = [\"libc\"]", &[]);
    let provider = |manifest: &Manifest| {
        let resolution = resolve(manifest, &pool, None, None).unwrap();
        let name = resolution.provider("files").unwrap().name.clone();
        (resolution.reasons[&name].to_string(), name)
    };
    // Both handle what is called: the default is taken.
    manifest.calls = vec!["none".into(), "read".into()];
    assert_eq!(provider(&manifest), ("provides `files` for libc".into(), "console".into()));
    manifest.calls.push("open".into());
    assert_eq!(provider(&manifest), ("handles `open` for the program".into(), "whole".into()));
    // The manifest comes first.
    manifest.choose_providers(&["files=console".into()]).unwrap();
    assert_eq!(provider(&manifest).1, "console");
    // Nobody handles what two libraries that exclude each other are asked for.
    manifest.choose_providers(&["files=whole".into()]).unwrap();
    manifest.calls.push("write".into());
    assert_eq!(provider(&manifest).1, "whole");
}

#[test]
fn a_chosen_provider_is_wanted() {
    let pool = pool(|list| {
        list.push(Library { provides: vec!["sched".into()], ..library("coop") });
    });
    let manifest = manifest("[providers]\nsched = \"coop\"", &["ukalloc"]);
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert_eq!(names(&resolution), ["coop", "plat-linuxu", "tlsf", "ukalloc"]);
    assert_eq!(resolution.reasons["coop"].to_string(), "provides `sched` for the manifest");
}

#[test]
fn the_command_line_chooses_against_the_manifest() {
    let (mut manifest, pool) =
        (manifest("[providers]\nalloc = \"tlsf\"", &["ukalloc"]), pool(|_| {}));
    manifest.choose_providers(&["alloc=region".into()]).unwrap();
    assert_eq!(resolve(&manifest, &pool, None, None).unwrap().heaps[0].backend, "region");
    let error = manifest.choose_providers(&["region".into()]).unwrap_err().to_string();
    assert!(error.contains("`--provider region` is not interface=library"), "{error}");
    manifest.choose_providers(&["alloc=ukalloc".into()]).unwrap();
    assert!(failure(&manifest, &pool).contains("`ukalloc` does not provide `alloc`"));
}

#[test]
fn features_follow_from_the_image() {
    let pool = pool(|libraries| {
        let library = libraries.iter_mut().find(|l| l.name == "ukalloc").unwrap();
        library.auto_features = [("a", "alloc"), ("p", "sched"), ("s", SMP)]
            .map(|(feature, interface)| (feature.to_owned(), interface.to_owned()))
            .to_vec();
    });
    for (text, expected) in [("", &["a"][..]), ("cpus = 2", &["a", "s"])] {
        let manifest = manifest(text, &["ukalloc"]);
        let resolution = resolve(&manifest, &pool, None, None).unwrap();
        let library = resolution.library("ukalloc").unwrap();
        assert_eq!(resolution.auto_features(library).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn collections_hold_what_the_image_has() {
    let pool = pool(|list| {
        list.push(Library { collects: vec!["disk-drivers".into()], ..library("bus") });
        for name in ["z-disk", "a-disk", "other-disk"] {
            list.push(Library {
                dependencies: vec!["bus".into()],
                registers: vec![("disk-drivers".into(), "DRIVER".into())],
                ..library(name)
            });
        }
    });
    let manifest = manifest("libraries = [\"z-disk\", \"a-disk\"]", &[]);
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    let root = crate::generate::main_rs(&resolution);
    let config = "static BUS: bus::Config = \
                  bus::Config { disk_drivers: &[&a_disk::DRIVER, &z_disk::DRIVER] };";
    assert!(root.contains(config), "{root}");
}

#[test]
fn several_heaps_bring_their_allocators() {
    let text = "[heaps.net]\nbackend = \"region\"\nsize = \"1M\"\nlibraries = [\"ukalloc\"]";
    let (manifest, pool) = (manifest(text, &["ukalloc"]), pool(|_| {}));
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert_eq!(names(&resolution), ["plat-linuxu", "region", "tlsf", "ukalloc"]);
    let heaps: Vec<_> =
        resolution.heaps.iter().map(|h| (h.name.as_str(), h.backend.as_str(), h.size)).collect();
    assert_eq!(heaps, [("net", "region", Some(1 << 20)), ("main", "tlsf", None)]);
}

#[test]
fn the_open_heap_has_a_general_allocator() {
    let pool = pool(|libraries| {
        libraries.push(Library {
            allocator: Some(AllocatorType::Backend("Fixed".into())),
            ..library("fixed")
        });
    });
    let text = "[heaps.packets]\nbackend = \"fixed\"\n";
    let message = failure(&manifest(text, &["ukalloc"]), &pool);
    assert!(message.contains("`fixed` is no general allocator"), "{message}");
    let sized = manifest(&format!("{text}size = \"1M\"\n"), &["ukalloc"]);
    assert_eq!(resolve(&sized, &pool, None, None).unwrap().heaps.len(), 2);
}

fn pool_with_options() -> Pool {
    let option = |name: &str, runtime, feature: Option<&str>| OptionSpec {
        name: name.into(),
        kind: OptionKind::Size { min: 16, max: 1 << 20 },
        default: Value::Size(2048),
        runtime,
        feature: feature.map(str::to_owned),
        help: String::new(),
        rust_type: None,
    };
    pool(|libraries| {
        libraries.push(Library {
            allocator: Some(AllocatorType::Backend("Fixed".into())),
            options: vec![
                option("object-size", false, None),
                option("limit", true, None),
                option("checks", false, Some("checks")),
            ],
            ..library("fixed")
        });
    })
}

#[test]
fn heaps_of_one_allocator_differ_in_options() {
    let text = "[options.fixed]\nobject-size = \"1K\"\n\
                [heaps.a]\nbackend = \"fixed\"\nsize = \"1M\"\n\
                [heaps.b]\nbackend = \"fixed\"\nsize = \"1M\"\n\
                options = { object-size = \"64\" }\n";
    let (manifest, pool) = (manifest(text, &["ukalloc"]), pool_with_options());
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert!(resolution.heaps[0].options.is_empty());
    assert_eq!(resolution.heaps[1].options["object-size"], Value::Size(64));
    let code = crate::generate::main_rs(&resolution);
    let value = |name: &str, size: u64| {
        let start = code.find(&format!("static HEAP_{name}:")).unwrap();
        let config = format!("fixed::Config {{ object_size: {size}, limit");
        let config = config.strip_suffix(", limit").unwrap();
        assert!(code[start..].lines().nth(1).unwrap().contains(config), "{name}: {code}");
    };
    value("A", 1024);
    value("B", 64);
}

#[test]
fn options_of_heaps_are_checked() {
    for (options, expected) in [
        ("{ object-siz = 64 }", "`fixed` has no option `object-siz`\n  --> oxk.toml:6:13"),
        ("{ object-size = 8 }", "8 is not a value for fixed.object-size"),
        ("{ limit = 64 }", "option `limit` of `fixed` is the same for all heaps"),
        ("{ checks = 64 }", "set it under [options.fixed]"),
    ] {
        let text = format!("[heaps.a]\nbackend = \"fixed\"\nsize = \"1M\"\noptions = {options}\n");
        let message = failure(&manifest(&text, &["ukalloc"]), &pool_with_options());
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn more_fixed_heaps_than_can_be_placed_are_refused() {
    let text = |count: usize| -> String {
        (0..count).map(|i| format!("[heaps.h{i}]\nsize = \"64K\"\n")).collect()
    };
    let pool = pool(|_| {});
    let most = manifest(&text(MAX_FIXED_HEAPS), &["ukalloc"]);
    assert_eq!(resolve(&most, &pool, None, None).unwrap().heaps.len(), MAX_FIXED_HEAPS + 1);
    let message = failure(&manifest(&text(MAX_FIXED_HEAPS + 1), &["ukalloc"]), &pool);
    assert!(message.contains("has 8 heaps with a size at most, not 9"), "{message}");
    assert!(message.contains("oxk.toml:19:8"), "{message}");
}

#[test]
fn two_open_heaps_are_refused() {
    let text = "[heaps.a]\n[heaps.b]\n";
    let message = failure(&manifest(text, &["ukalloc"]), &pool(|_| {}));
    assert!(message.contains("heaps `a` and `b` both have no size"), "{message}");
    assert!(message.contains("oxk.toml:4:8"), "{message}");
}

#[test]
fn unknown_names_point_into_the_manifest() {
    let pool = pool(|_| {});
    let message = failure(&manifest("libraries = [\n  \"regoin\",\n]", &[]), &pool);
    assert!(message.starts_with("unknown library `regoin`\n  --> oxk.toml:4:3"), "{message}");
    assert!(message.contains("did you mean `region`?"), "{message}");
    let message = failure(&manifest("requires = [\"allok\"]", &[]), &pool);
    assert!(message.contains("unknown interface `allok`\n  --> oxk.toml:3:13"), "{message}");
    let message = failure(&manifest("platform = \"vax\"", &[]), &pool);
    assert!(message.contains("unknown platform `vax`\n  --> oxk.toml:3:12"), "{message}");
    assert!(message.contains("known: linuxu"), "{message}");
    let message = failure(&manifest("[providers]\nalloc = \"ukalloc\"", &[]), &pool);
    assert!(
        message.contains("`ukalloc` does not provide `alloc`\n  --> oxk.toml:4:9"),
        "{message}"
    );
}

#[test]
fn a_missing_provider_is_explained() {
    let message = failure(&manifest("requires = [\"sched\"]", &["ukalloc"]), &pool(|_| {}));
    assert!(
        message.starts_with(
            "nothing provides `sched`, which the manifest requires\n  --> oxk.toml:3:13"
        ),
        "{message}"
    );
}

#[test]
fn an_allocator_that_needs_what_the_platform_lacks_is_refused() {
    let pool = pool(|list| {
        list[1].interfaces.insert("vm".into(), interface(false));
        list[3].requires = vec!["vm".into()];
        // Another platform has it.
        let mut other = platform();
        other.name = "plat-kvm".into();
        other.platforms = vec!["kvm".into()];
        other.provides = vec!["vm".into()];
        if let Some(spec) = &mut other.platform {
            spec.name = "kvm".into();
        }
        list.push(other);
    });
    let manifest = manifest("[providers]\nalloc = \"region\"", &["ukalloc"]);
    let resolution = resolve(&manifest, &pool, Some("kvm"), None).unwrap();
    assert_eq!(names(&resolution), ["plat-kvm", "region", "ukalloc"]);
    let message = failure(&manifest, &pool);
    assert!(message.starts_with("nothing provides `vm`, which region requires"), "{message}");
    assert!(message.contains("plat-kvm exist, but not for linuxu on x86_64"), "{message}");
}

#[test]
fn what_works_with_one_cpu_is_refused_with_more() {
    let pool = pool(|list| list[3].single_cpu = true);
    let provider = "[providers]\nalloc = \"region\"";
    resolve(&manifest(provider, &["ukalloc"]), &pool, None, None).unwrap();
    let message = failure(&manifest(&format!("cpus = 2\n{provider}"), &["ukalloc"]), &pool);
    assert!(
        message.starts_with(
            "`region` (provides `alloc` for the manifest) works with one CPU, and the image has 2\n  \
             --> oxk.toml:5:9"
        ),
        "{message}"
    );
}

#[test]
fn an_interface_for_one_cpu_is_refused_with_more() {
    let pool = pool(|list| {
        list[0].provides = vec!["vm".into()];
        list[0].single_cpu_provides = vec!["vm".into()];
        list[1].interfaces.insert("vm".into(), interface(false));
        list[3].requires = vec!["vm".into()];
    });
    let provider = "[providers]\nalloc = \"region\"";
    resolve(&manifest(provider, &["ukalloc"]), &pool, None, None).unwrap();
    resolve(&manifest("cpus = 2", &["ukalloc"]), &pool, None, None).unwrap();
    let message = failure(&manifest(&format!("cpus = 2\n{provider}"), &["ukalloc"]), &pool);
    assert!(
        message.starts_with(
            "`region` (provides `alloc` for the manifest) needs `vm`, which plat-linuxu provides \
             with one CPU, and the image has 2\n  --> oxk.toml:5:9"
        ),
        "{message}"
    );
}

#[test]
fn several_providers_without_default_ask_for_a_choice() {
    let pool = pool(|list| list[2].default_for.clear());
    let message = failure(&manifest("", &["ukalloc"]), &pool);
    assert!(message.contains("several libraries provide `alloc`"), "{message}");
    assert!(message.contains("alloc = \"region\""), "{message}");
}

#[test]
fn two_providers_of_a_single_interface_conflict() {
    let pool = pool(|list| {
        for name in ["coop", "preempt"] {
            list.push(Library { provides: vec!["sched".into()], ..library(name) });
        }
    });
    let message = failure(&manifest("libraries = [\"coop\", \"preempt\"]", &["ukalloc"]), &pool);
    assert!(
        message.contains("two libraries provide `sched`: coop (named in the manifest) and preempt"),
        "{message}"
    );
    assert!(message.contains("oxk.toml:3:14"), "{message}");
}

#[test]
fn circles_are_shown() {
    let pool1 = pool(|list| {
        list.push(Library { dependencies: vec!["b".into()], ..library("a") });
        list.push(Library { dependencies: vec!["a".into()], ..library("b") });
    });
    let message = failure(&manifest("libraries = [\"a\"]", &[]), &pool1);
    assert!(message.contains("in a circle: a -> b -> a\n  --> oxk.toml:3:14"), "{message}");

    let phase = |name: &str, after: &str| Phase {
        name: name.into(),
        init: "init".into(),
        fini: None,
        after: vec![after.into()],
        before: Vec::new(),
    };
    let pool2 = pool(|list| {
        list.push(Library { phases: vec![phase("x", "y")], ..library("a") });
        list.push(Library { phases: vec![phase("y", "x")], ..library("b") });
    });
    let message = failure(&manifest("libraries = [\"a\", \"b\"]", &[]), &pool2);
    assert!(
        message.contains("wait for each other in a circle: x -> y -> x\n  --> oxk.toml:3:14"),
        "{message}"
    );

    // The place is that of what the user wrote, however far away the circle is.
    let pool3 = pool(|list| {
        list.push(Library { provides: vec!["sched".into()], ..library("s") });
        let s = list.last_mut().unwrap();
        s.dependencies = vec!["a".into()];
        list.push(Library { dependencies: vec!["b".into()], ..library("a") });
        list.push(Library { dependencies: vec!["a".into()], ..library("b") });
    });
    let message = failure(&manifest("requires = [\n  \"sched\"]", &["ukalloc"]), &pool3);
    assert!(message.contains("a -> b -> a\n  --> oxk.toml:4:3"), "{message}");
    let by_application = failure(&manifest("", &["a"]), &pool3);
    assert!(by_application.contains("a -> b -> a\n  --> oxk.toml\n"), "{by_application}");
}

#[test]
fn interfaces_may_be_required_in_a_circle() {
    // As ukplat requires a platform, which depends on ukplat: no crate depends on itself.
    let pool = pool(|list| {
        list.push(Library {
            provides: vec!["sched".into()],
            requires: vec!["alloc".into()],
            ..library("coop")
        });
        list[2].requires = vec!["sched".into()];
    });
    let manifest = manifest("", &["ukalloc"]);
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    assert_eq!(names(&resolution), ["coop", "plat-linuxu", "tlsf", "ukalloc"]);
}

#[test]
fn phases_of_one_name_conflict() {
    let pool = pool(|list| {
        let phase = Phase {
            name: "x".into(),
            init: "init".into(),
            fini: None,
            after: Vec::new(),
            before: Vec::new(),
        };
        for name in ["a", "b"] {
            list.push(Library { phases: vec![phase.clone()], ..library(name) });
        }
    });
    let message = failure(&manifest("libraries = [\"a\",\n\"b\"]", &[]), &pool);
    assert!(message.contains("both have a boot phase `x`\n  --> oxk.toml:4:1"), "{message}");
}

#[test]
fn options_are_checked_with_their_place() {
    let pool = pool(|list| {
        list[1].options.push(crate::option::OptionSpec {
            name: "limit".into(),
            kind: crate::option::OptionKind::Int { min: 1, max: 9 },
            default: Value::Int(3),
            help: String::new(),
            feature: None,
            runtime: false,
            rust_type: None,
        });
    });
    let message = failure(&manifest("[options.ukalloc]\nlimit = 10", &["ukalloc"]), &pool);
    assert!(
        message.starts_with("10 is not a value for ukalloc.limit\n  --> oxk.toml:4:9"),
        "{message}"
    );
    assert!(message.contains("a whole number from 1 to 9 (default 3)"), "{message}");
    let message = failure(&manifest("[options.ukalloc]\nlimt = 1", &["ukalloc"]), &pool);
    assert!(message.contains("did you mean `limit`?"), "{message}");
    let message = failure(&manifest("[options.region]\nx = 1", &["ukalloc"]), &pool);
    assert!(message.contains("`region` is not part of this image"), "{message}");

    let mut overridden = manifest("[options.ukalloc]\nlimit = 2", &["ukalloc"]);
    overridden.set(&["ukalloc.limit=7".into()]).unwrap();
    let resolution = resolve(&overridden, &pool, None, None).unwrap();
    assert_eq!(resolution.value("ukalloc", "limit"), Some(&Value::Int(7)));
    assert!(overridden.set(&["nonsense".into()]).is_err());
}

#[test]
fn a_library_of_another_platform_is_refused() {
    let pool = pool(|list| list[3].platforms.push("kvm".into()));
    let message = failure(&manifest("libraries = [\"region\"]", &[]), &pool);
    assert!(message.contains("does not work on linuxu"), "{message}");
    assert!(message.contains("oxk.toml:3:14"), "{message}");
}

/// Pools of up to 12 libraries and 4 interfaces. Dependencies go to lower numbers, so that there
/// is no circle; requirements may go anywhere.
fn random_pool() -> impl Strategy<Value = (Vec<Library>, Vec<usize>)> {
    let one = (
        prop::collection::vec(any::<prop::sample::Index>(), 0..3),
        prop::collection::vec(0usize..4, 0..2),
        prop::collection::vec(0usize..4, 0..2),
        any::<bool>(),
    );
    (prop::collection::vec(one, 1..12), prop::collection::vec(0usize..12, 1..4)).prop_map(
        |(specs, seeds)| {
            let count = specs.len();
            let mut list: Vec<Library> = specs
                .into_iter()
                .enumerate()
                .map(|(i, (dependencies, provides, requires, default))| {
                    let mut lib = library(&format!("l{i:02}"));
                    if i > 0 {
                        lib.dependencies =
                            dependencies.iter().map(|d| format!("l{:02}", d.index(i))).collect();
                    }
                    lib.provides = provides.iter().map(|p| format!("i{p}")).collect();
                    lib.requires = requires.iter().map(|r| format!("i{r}")).collect();
                    if default {
                        lib.default_for = lib.provides.clone();
                    }
                    lib
                })
                .collect();
            for i in 0..4 {
                list[0].interfaces.insert(format!("i{i}"), interface(i % 2 == 0));
            }
            list.push(platform());
            (list, seeds.into_iter().map(|s| s % count).collect())
        },
    )
}

proptest! {
    #[test]
    fn results_are_deterministic_closed_and_minimal(
        (list, seeds) in random_pool(), rotate in 0usize..12, choice in prop::option::of(0usize..12)
    ) {
        let seeds: Vec<String> = seeds.iter().map(|s| format!("\"l{s:02}\"")).collect();
        // Sometimes the manifest chooses a provider.
        let chosen = choice.and_then(|c| list.get(c)).filter(|l| !l.provides.is_empty());
        let providers = chosen.map_or(String::new(), |l| {
            format!("\n[providers]\n{} = {:?}", l.provides[0], l.name)
        });
        let chosen = chosen.map(|l| (l.provides[0].clone(), l.name.clone()));
        let manifest = manifest(&format!("libraries = [{}]{providers}", seeds.join(", ")), &[]);
        let mut shuffled = list.clone();
        let by = rotate % shuffled.len();
        shuffled.rotate_left(by);
        let pool = Pool::from_libraries(list).unwrap();
        let other_pool = Pool::from_libraries(shuffled).unwrap();

        let result = resolve(&manifest, &pool, None, None);
        let again = resolve(&manifest, &other_pool, None, None);
        match (&result, &again) {
            (Ok(a), Ok(b)) => {
                prop_assert_eq!(names(a), names(b));
                prop_assert_eq!(&a.reasons, &b.reasons);
            }
            (Err(a), Err(b)) => prop_assert_eq!(a, b),
            _ => prop_assert!(false, "order of the pool decides over success"),
        }
        let Ok(resolution) = result else { return Ok(()) };

        let members: BTreeSet<&str> = resolution.libraries.iter().map(|l| l.name.as_str()).collect();
        let closed = |members: &BTreeSet<&str>| {
            members.iter().all(|m| {
                let lib = pool.get(m).unwrap();
                lib.dependencies.iter().all(|d| members.contains(d.as_str()))
                    && lib.requires.iter().all(|r| {
                        members.iter().any(|p| pool.get(p).unwrap().provides.contains(r))
                    })
            })
        };
        prop_assert!(closed(&members));
        if let Some((interface, provider)) = &chosen {
            prop_assert!(members.contains(provider.as_str()), "the choice of {interface} is ignored");
        }
        // Each member comes after its dependencies.
        let order = names(&resolution);
        for lib in &resolution.libraries {
            for d in &lib.dependencies {
                prop_assert!(order.iter().position(|n| n == d) < order.iter().position(|n| *n == lib.name));
            }
        }
        // No single member that is not a seed can be left out.
        let is_seed = |m: &str| m == "plat-linuxu" || seeds.iter().any(|s| s.trim_matches('"') == m);
        let is_chosen = |m: &str| chosen.as_ref().is_some_and(|(_, l)| l == m);
        for m in members.iter().filter(|m| !is_seed(m) && !is_chosen(m)) {
            let mut fewer = members.clone();
            fewer.remove(m);
            prop_assert!(!closed(&fewer), "{m} is superfluous in {members:?}");
        }
    }
}

/// Two schedulers, one of them with an option, and a library that needs one.
fn sched_pool() -> Pool {
    pool(|list| {
        let option = |name: &str, runtime| OptionSpec {
            name: name.into(),
            kind: OptionKind::Int { min: 1, max: 9 },
            default: Value::Int(5),
            help: String::new(),
            feature: None,
            runtime,
            rust_type: None,
        };
        let sched = |name: &str| Library {
            provides: vec!["sched".into()],
            scheduler: Some("Policy".into()),
            ..library(name)
        };
        list.push(Library { default_for: vec!["sched".into()], ..sched("coop") });
        list.push(Library {
            options: vec![option("slice", false), option("late", true)],
            ..sched("preempt")
        });
        list.push(Library { requires: vec!["sched".into()], ..library("threads") });
    })
}

#[test]
fn one_scheduler_has_all_cpus() {
    let pool = sched_pool();
    for (text, name) in [("cpus = 2", "coop"), ("[providers]\nsched = \"preempt\"", "preempt")] {
        let manifest = manifest(text, &["threads"]);
        let resolution = resolve(&manifest, &pool, None, None).unwrap();
        let [only] = &*resolution.schedulers else { panic!("{:?}", resolution.schedulers) };
        assert_eq!((only.name(), only.cpus.len() as u32), (name, manifest.cpus));
    }
    let manifest = manifest("", &["ukalloc"]);
    assert!(resolve(&manifest, &pool, None, None).unwrap().schedulers.is_empty());
}

#[test]
fn several_schedulers_share_the_cpus() {
    let text = "cpus = 5\n[providers]\nsched = \"coop\"\n\
                [[schedulers]]\nprovider = \"none\"\ncpus = \"3-4\"\nrun = \"poll\"\n\
                [[schedulers]]\nprovider = \"preempt\"\ncpus = [1]\noptions = { slice = 7 }";
    let (manifest, pool) = (manifest(text, &["threads"]), sched_pool());
    let resolution = resolve(&manifest, &pool, None, None).unwrap();
    let list: Vec<String> = resolution.schedulers.iter().map(ToString::to_string).collect();
    assert_eq!(list, ["coop on CPU 0,2", "preempt on CPU 1", "none on CPU 3-4 runs poll"]);
    assert_eq!(resolution.schedulers[1].values["slice"], Value::Int(7));
    assert_eq!(resolution.value("preempt", "slice"), Some(&Value::Int(5)));
    assert!(names(&resolution).contains(&"preempt".to_owned()));
}

#[test]
fn schedulers_that_do_not_fit_are_explained() {
    const CONTROL: &str = "[[schedulers]]\nprovider = \"preempt\"\ncpus = [0]\n";
    let pool = sched_pool();
    for (text, cause, way) in [
        (
            CONTROL.to_owned() + "options = { pace = 1 }",
            "`preempt` has no option `pace`",
            "did you mean",
        ),
        (
            CONTROL.to_owned() + "options = { slice = 10 }",
            "10 is not a value for preempt.slice",
            "",
        ),
        (
            CONTROL.to_owned() + "options = { late = 2 }",
            "`late` is the same for the whole image",
            "[options.preempt]",
        ),
        (format!("cpus = 2\n{CONTROL}"), "no scheduler has CPU 1", "sched = "),
        (
            format!("{CONTROL}[[schedulers]]\nprovider = \"none\"\ncpus = [1]"),
            "the image has 1 CPU, and a scheduler is to have CPU 1",
            "set `cpus`",
        ),
        (
            format!("{CONTROL}[providers]\nsched = \"coop\""),
            "no CPU is left for `coop`",
            "leave this line out",
        ),
        (
            "[[schedulers]]\nprovider = \"none\"\ncpus = [0]".into(),
            "CPU 0, which boots and runs `main`, needs a scheduler",
            "leave out all [[schedulers]]",
        ),
        (
            "cpus = 2\n[providers]\nsched = \"none\"\n\
             [[schedulers]]\nprovider = \"preempt\"\ncpus = [1]"
                .into(),
            "CPU 0, which boots and runs `main`, needs a scheduler",
            "name it in [[schedulers]]",
        ),
        (
            "[[schedulers]]\nprovider = \"tlsf\"\ncpus = [0]".into(),
            "`tlsf` does not provide `sched`",
            "coop, preempt",
        ),
        (
            "cpus = 2\n[[schedulers]]\nprovider = \"none\"\ncpus = [1]\noptions = { x = 1 }\n\
             [providers]\nsched = \"coop\""
                .into(),
            "`none` has no options",
            "",
        ),
        (
            "libraries = [\"coop\"]\n[[schedulers]]\nprovider = \"preempt\"\ncpus = [0]".into(),
            "two libraries provide `sched`",
            "leave one of them out",
        ),
    ] {
        let said = failure(&manifest(&text, &["threads"]), &pool);
        assert!(said.contains(cause) && said.contains(way), "{said}");
    }
}

#[test]
fn no_provider_can_be_wanted() {
    let pool = sched_pool();
    let none = "[providers]\nsched = \"none\"";
    let said = failure(&manifest(none, &["threads"]), &pool);
    assert!(said.contains("threads requires `sched`, and there is to be none"), "{said}");
    let manifest = manifest(none, &["ukalloc"]);
    assert!(resolve(&manifest, &pool, None, None).unwrap().schedulers.is_empty());
}

#[test]
fn mounts_need_file_systems_that_there_are() {
    let pool = pool(|list| {
        list.push(Library {
            collects: vec!["file-systems".into()],
            provides: vec!["mounts".into()],
            interfaces: BTreeMap::from([
                ("mounts".into(), interface(false)),
                ("share".into(), interface(false)),
            ]),
            options: vec![OptionSpec {
                name: "table".into(),
                kind: OptionKind::Text,
                default: Value::Text(String::new()),
                runtime: true,
                feature: None,
                rust_type: None,
                help: String::new(),
            }],
            ..library("mounts")
        });
        list.push(Library {
            registers: vec![("file-systems".into(), "KIND".into())],
            ..library("ramfs")
        });
    });
    let with = |kind: &str| manifest(&format!("[[mounts]]\npath = \"/d\"\n{kind}"), &[]);
    let message = failure(&with("type = \"ramf\""), &pool);
    assert!(
        message.starts_with("there is no file system of type `ramf`\n  --> oxk.toml:5:8")
            && message.ends_with("did you mean `ramfs`? types: share, ramfs"),
        "{message}"
    );
    let message = failure(&with("type = \"ukalloc\""), &pool);
    assert!(message.ends_with("types: share, ramfs"), "{message}");
    let message = failure(&with("source = \"data\""), &pool);
    assert!(message.starts_with("nothing provides `share`, which the manifest requires"));
    let good = with("type = \"ramfs\"");
    let resolution = resolve(&good, &pool, None, None).unwrap();
    assert!(resolution.library("ramfs").is_some() && resolution.library("mounts").is_some());
    let table = Value::Text("none /d ramfs defaults".into());
    assert_eq!(resolution.value("mounts", "table"), Some(&table));
}
