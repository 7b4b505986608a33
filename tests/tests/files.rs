//! Files in images: the tree at boot, and what is done with it.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use image_tests::{MACHINES, Machine, call, machines, run};
use rustix::fs::FlockOperation;

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");
const ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fs/cpio/tests/two-files.cpio");
const NO_ARCHIVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");

fn filetest(machine: Machine, args: &[&str]) -> image_tests::Outcome {
    run(OXK, "apps/filetest", machine, args)
}

#[test]
fn files_work_on_every_machine() {
    for machine in MACHINES {
        filetest(machine, &[]).expect(0, &["files: ok"]);
        filetest(machine, &["--", "/none"]).expect(1, &["error: ENOENT"]);
    }
}

#[test]
fn the_initial_ram_disk_is_the_tree() {
    for machine in MACHINES {
        filetest(machine, &["--initrd", ARCHIVE, "--", "/etc/motd"]).expect(0, &["Welcome"]);
        filetest(machine, &["--initrd", NO_ARCHIVE]).expect(
            103,
            &["the initial ram disk is bad: no cpio archive of format newc at byte 0"],
        );
    }
}

/// Runs the image that has file systems for shared directories, which is another one.
fn with_share(machine: Machine, share: &str, args: &[&str]) -> image_tests::Outcome {
    let own = ["--build-dir", "build/filetest-share", "--share", share];
    filetest(machine, &[&own, args].concat())
}

/// Machines that directories can be shared with.
fn sharing() -> impl Iterator<Item = Machine> {
    machines()
}

fn shared(directory: &Path, options: &str) -> String {
    format!("{}:/mnt/shared{options}", directory.display())
}

#[test]
fn a_shared_directory_keeps_what_an_image_writes() {
    for machine in sharing() {
        let dir = tempfile::tempdir().unwrap();
        let share = shared(dir.path(), "");
        let with = |more: &[&str]| with_share(machine, &share, &[&["--"], more].concat());
        with(&["share", "/mnt/shared"]).expect(0, &["files: ok"]);
        let kept = std::fs::read_to_string(dir.path().join("kept")).unwrap();
        assert_eq!(kept, "written by an image\n", "{}", machine.name);
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(left, 1, "all else is gone on {}", machine.name);
        // What the host writes is there for the next image.
        std::fs::write(dir.path().join("from the host"), "Hello, image\n").unwrap();
        with(&["/mnt/shared/from the host"]).expect(0, &["Hello, image"]);

        let share = shared(dir.path(), ",ro");
        let only = ["--", "only-read", "/mnt/shared"];
        with_share(machine, &share, &only).expect(0, &["files: ok"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("kept")).unwrap(), kept);
    }
}

#[test]
fn locks_of_others_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create_new(dir.path().join("file")).unwrap();
    let share = shared(dir.path(), "");
    // QEMU's server says yes to every lock.
    for machine in sharing().filter(|machine| machine.args[1] != "kvm") {
        let lock = || with_share(machine, &share, &["--", "lock", "/mnt/shared/file"]);
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        lock().expect(1, &["error: EAGAIN"]);
        rustix::fs::fcntl_lock(&file, FlockOperation::Unlock).unwrap();
        lock().expect(0, &["files: ok"]);
    }
}

#[test]
fn disks_are_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let (tree, disk) = (dir.path().join("tree"), dir.path().join("disk"));
    std::fs::create_dir_all(tree.join("below")).unwrap();
    std::fs::write(tree.join("kept"), "written by the host\n").unwrap();
    std::fs::write(tree.join("below/large"), "line\n".repeat(5_000) + "the end\n").unwrap();
    std::os::unix::fs::symlink("below/large", tree.join("link")).unwrap();
    let made = e2fsprogs("mke2fs")
        .args(["-q", "-F", "-t", "ext4", "-d"])
        .args([&tree, &disk])
        .arg("8M")
        .output();
    let Ok(made) = made else {
        let text =
            "\nNOT TESTED: images with ext4 on disks, for which mke2fs (e2fsprogs) is needed.\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
        return;
    };
    assert!(made.status.success(), "{made:?}");
    let before = std::fs::read(&disk).unwrap();
    let other = dir.path().join("other");
    std::fs::write(&other, vec![0; 1 << 20]).unwrap();
    let with = |machine, disk: &Path, more: &[&str]| {
        let disk = format!("{},ro,mount=/mnt/disk", disk.display());
        let own = ["--build-dir", "build/filetest-disk-ro", "--disk", &disk, "--"];
        filetest(machine, &[&own, more].concat())
    };
    for machine in machines() {
        with(machine, &disk, &["only-read", "/mnt/disk"]).expect(0, &["files: ok"]);
        with(machine, &disk, &["/mnt/disk/link"]).expect(0, &["line", "the end"]);
        with(machine, &other, &[]).expect(
            103,
            &["ext4 on blk0: there is no ext2, ext3 or ext4 on it", "cannot mount `blk0` (ext4)"],
        );
    }
    assert!(std::fs::read(&disk).unwrap() == before, "nothing was written");
    for machine in machines() {
        std::fs::write(&disk, &before).unwrap();
        let mount = format!("{},mount=/mnt/disk", disk.display());
        let own = ["--build-dir", "build/filetest-disk", "--disk", &mount, "--"];
        let with = |more: &[&str]| filetest(machine, &[&own, more].concat());
        with(&["share", "/mnt/disk"]).expect(0, &["files: ok"]);
        // Nobody needs the journal, and nothing is wrong.
        let checked = e2fsprogs("e2fsck").arg("-fn").arg(&disk).output().unwrap();
        assert!(checked.status.success(), "{}: {checked:?}", machine.name);
        let kept = e2fsprogs("debugfs").args(["-R", "cat kept"]).arg(&disk).output().unwrap();
        assert_eq!(kept.stdout, b"written by an image\n", "{}", machine.name);
        with(&["/mnt/disk/kept"]).expect(0, &["written by an image"]);
    }
    // With a scheduler what was written is on the disk after some time, whatever comes then.
    let mount = format!("{},mount=/mnt/disk", disk.display());
    let own = ["--build-dir", "build/filetest-scheduler", "--provider", "sched=ukschedcoop"];
    let own = [&own[..], &["--disk", &mount, "--", "wait", "/mnt/disk"]].concat();
    filetest(MACHINES[0], &own).expect(0, &[]);
    let replayed = e2fsprogs("e2fsck").arg("-p").arg(&disk).output().unwrap();
    assert!(matches!(replayed.status.code(), Some(0 | 1)), "{replayed:?}");
    let kept = e2fsprogs("debugfs").args(["-R", "cat kept"]).arg(&disk).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&kept.stdout), "waited\n");
}

/// A program that makes or checks disks.
fn e2fsprogs(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

#[test]
fn nothing_leads_out_of_a_shared_directory() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("a, directory: with\\ 'odd' name");
    std::fs::create_dir(&inside).unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    std::os::unix::fs::symlink(&secret, inside.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../secret", inside.join("above")).unwrap();
    let share = shared(&inside, "");
    for machine in sharing() {
        let said = with_share(machine, &share, &["--", "escape", "/mnt/shared"]);
        said.expect(0, &["files: ok"]);
        assert!(!said.all().contains("secret"));
    }
}

#[test]
fn what_cannot_be_shared_is_refused_before_anything_starts() {
    let run =
        |share: &str| call(OXK, &["run", "apps/filetest", "--plat", "linuxu", "--share", share]);
    run("Cargo.toml:/data").expect(125, &["it is no directory", "help: share the directory"]);
    run("no-such-directory:/data").expect(
        125,
        &["error: cannot share the directory no-such-directory", "help: make it: mkdir -p"],
    );
    run("docs").expect(2, &["a directory and a path in the image are needed"]);
    run("docs:/").expect(2, &["nothing can be mounted in place of the root directory"]);
    run("docs:/../x").expect(2, &["has `..` in it"]);
    let run = |table: &str| {
        let table = format!("mounts.table={table}");
        with_share(MACHINES[0], "docs:/docs", &["--param", &table, "--", "/none"])
    };
    // The last one counts.
    run("docs /docs").expect(103, &["wrong entry in mounts.table: `docs /docs`: expected: source"]);
    run("none /docs nofs").expect(103, &["cannot mount `none` (nofs) at /docs: No such device"]);
    run("/nowhere /docs hostfs")
        .expect(103, &["cannot mount `/nowhere` (hostfs) at /docs: No such"]);
}
