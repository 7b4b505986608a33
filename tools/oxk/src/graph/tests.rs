use super::*;
use crate::manifest::Manifest;
use std::path::Path;

/// The real hello of this repository.
fn with_hello(check: impl FnOnce(&Resolution<'_>)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let manifest = Manifest::read(&root.join("apps/hello")).unwrap();
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
