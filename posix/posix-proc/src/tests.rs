//! The texts, as far as a program of the development machine has what they tell. What an image tells
//! is tested there.

use crate::{files, process, system};

fn text(write: fn(&mut dyn std::fmt::Write) -> std::fmt::Result) -> String {
    let mut text = String::new();
    write(&mut text).unwrap();
    text
}

#[test]
fn every_file_can_be_made() {
    for (path, content) in files() {
        match content {
            procfs::Content::Text(write) | procfs::Content::Setting(write, _) => {
                // There is no root, and there are no mappings.
                let empty = ["1/mounts", "1/maps", "filesystems"].contains(&path);
                let text = text(write);
                assert!(empty || !text.is_empty(), "{path}");
                assert!(path == "1/cmdline" || text.is_empty() || text.ends_with('\n'), "{path}");
            }
            // There is no directory to be in.
            procfs::Content::Link(_) if path == "1/cwd" => {}
            procfs::Content::Link(target) => assert!(!target().unwrap().is_empty(), "{path}"),
            procfs::Content::Directory(_) => {}
            procfs::Content::Family(family) => {
                assert_eq!((family.next(0), family.next(2)), (Some(1), None));
                for member in family.members() {
                    let mut text = String::new();
                    (member.write)(1, &mut text).unwrap();
                    assert!(text.ends_with('\n'), "{}: {text}", member.name);
                }
            }
        }
    }
}

#[test]
fn what_programs_look_for() {
    assert!(text(system::memory).starts_with("MemTotal:"));
    assert_eq!(text(system::cpus).matches("processor\t: ").count(), ukplat::cpu_count());
    let stat = text(process::stat);
    assert_eq!(stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().count(), 50);
    assert!(text(process::status).contains("\nThreads:\t1\n"));
    assert_ne!(system::new_uuid(), system::new_uuid());
    assert_eq!(text(system::boot_id), text(system::boot_id));
    assert_eq!(text(system::boot_id).len(), 37);
    system::set_host_name(b"name\n").unwrap();
    assert_eq!(text(system::host_name), "name\n");
    process::set_name(b"other\n").unwrap();
    assert_eq!(text(process::name), "other\n");
}
