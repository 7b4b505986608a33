use super::*;
use crate::manifest::Manifest;
use std::path::Path;

/// The real hello of this repository.
fn with_hello(check: impl FnOnce(&Resolution<'_>)) {
    with_app("hello", check);
}

fn with_app(name: &str, check: impl FnOnce(&Resolution<'_>)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let manifest = Manifest::read(&root.join("apps").join(name)).unwrap();
    let pool = Project { root: root.to_owned() }.pool(Some(&manifest)).unwrap();
    check(&crate::resolve::resolve(&manifest, &pool, Some("kvm"), Some("x86_64")).unwrap());
}

#[test]
fn every_member_is_in_every_form() {
    with_hello(|resolution| {
        let (tree, dot, drawing) =
            (tree(resolution), dot(resolution), svg::dependencies(resolution));
        for library in &resolution.libraries {
            for (form, text) in [("tree", &tree), ("dot", &dot), ("svg", &drawing)] {
                assert!(text.contains(&library.name), "{} is missing in {form}", library.name);
            }
        }
        assert!(tree.contains("kvm provides plat"), "{tree}");
        assert!(tree.contains("ukalloctlsf provides alloc"), "{tree}");
    });
}

#[test]
fn the_boot_order_shows_times_and_heaps() {
    let said =
        "boot: entry 1500 ns\r\nboot: param 20 ns\nnoise\nboot: total 1520 ns\nboot: x y ns\n";
    let times = parse_times(said);
    assert_eq!(times.len(), 3);
    with_hello(|resolution| {
        let text = boot::text(resolution, Some(&times));
        let words: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert!(words.contains(&vec!["entry", "kvm", "1.5", "us"]), "{text}");
        assert!(words.iter().any(|w| w.starts_with(&["total", "1.5", "us"])), "{text}");
        assert!(
            text.contains("main       ukalloctlsf      all other memory   everybody"),
            "{text}"
        );
        let order = |name: &str| text.find(&format!("\n  {name} ")).unwrap_or(usize::MAX);
        assert!(order("param") < order("heap") && order("heap") < order("irq"), "{text}");
        let drawing = boot::drawing(resolution, Some(&times));
        assert!(drawing.starts_with("<svg") && drawing.contains("1.5 us"));
        assert!(boot::dot(resolution).contains("-> \"main\""));
    });
}

#[test]
fn the_json_form_has_all_parts() {
    with_hello(|resolution| {
        let value = json(resolution, None);
        for key in ["libraries", "edges", "phases", "heaps"] {
            assert!(value[key].as_array().is_some_and(|a| !a.is_empty()), "{key}");
        }
    });
}

#[test]
fn several_schedulers_are_shown() {
    with_app("instances", |resolution| {
        let tree = tree(resolution);
        assert!(tree.contains("schedulers\n    ukschedpreempt on CPU 0-1\n"), "{tree}");
        assert!(tree.contains("    none on CPU 3 runs plane::poll\n"), "{tree}");
        assert!(dot(resolution).contains("ukschedcoop on CPU 2\\n"), "{}", dot(resolution));
        let value = json(resolution, None);
        assert_eq!(value["schedulers"][2]["cpus"][0], 3, "{value:#}");
        let main = crate::generate::main_rs(resolution);
        assert!(main.contains("uksched::run_on(3, \"poll\", app::plane::poll);"), "{main}");
    });
    with_app("schedtest", |resolution| {
        assert!(!tree(resolution).contains("on CPU"), "{}", tree(resolution));
        let main = crate::generate::main_rs(resolution);
        // One type, not one of several.
        let line =
            "uksched::bind!(\"ukschedcoop\", ukschedcoop::Coop, ukschedcoop::Coop::new(), 1);";
        assert!(main.contains(line) && !main.contains("Either"), "{main}");
    });
}
