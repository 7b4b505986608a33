//! Devices of virtual machines: found on every machine model, used, and survived when they fail.

use std::path::Path;

use image_tests::{MACHINES, Machine, Outcome, call, hvt, machines, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Bytes of the disks of these tests.
const LEN: usize = 1 << 20;

/// A file of equal bytes; returns its path.
fn file(dir: &Path, name: &str, byte: u8) -> String {
    let path = dir.join(name);
    std::fs::write(&path, vec![byte; LEN]).unwrap();
    path.to_str().unwrap().to_owned()
}

fn blktest(machine: Machine, args: &[&str]) -> Outcome {
    run(OXK, "apps/blktest", machine, args)
}

#[test]
fn disks_of_every_machine() {
    let dir = tempfile::tempdir().unwrap();
    for machine in machines() {
        let scratch = file(dir.path(), "scratch, with a comma", 0);
        let fixed = file(dir.path(), "fixed", 0x5a);
        let disks = ["--disk", scratch.as_str(), "--disk", &format!("{fixed},ro")];
        let with = |more: &[&str]| blktest(machine, &[&disks[..], more].concat());
        with(&["--", "list"]).expect(
            0,
            &[
                "blk0: 2048 blocks of 512 bytes, writable",
                "blk1: 2048 blocks of 512 bytes, read-only",
            ],
        );
        with(&[]).expect(0, &["8 checks, 0 failed"]);
        // What was flushed is in the file, and found by the next image.
        with(&["--", "fill", "blk0", "77"]).expect(0, &[]);
        assert!(std::fs::read(&scratch).unwrap().iter().all(|b| *b == 77), "{}", machine.name);
        let sum = format!("sum of blk0: {}", 77 * LEN);
        with(&["--", "sum", "blk0"]).expect(0, &[&sum]);
        with(&["--", "fill", "blk1", "1"]).expect(1, &["the device is read-only"]);
        assert!(std::fs::read(&fixed).unwrap().iter().all(|b| *b == 0x5a), "{}", machine.name);
    }
}

#[test]
fn disks_of_images_with_threads_and_cpus() {
    let dir = tempfile::tempdir().unwrap();
    let scratch = file(dir.path(), "scratch", 0);
    let fixed = format!("{},ro", file(dir.path(), "fixed", 0x5a));
    let disks = ["--disk", scratch.as_str(), "--disk", &fixed];
    for (name, more) in
        [("preempt", &["--provider", "sched=ukschedpreempt"][..]), ("cpus", &["--cpus", "2"])]
    {
        let build = format!("build/blktest-{name}");
        let args = [&["--build-dir", &build], more, &disks].concat();
        for machine in [Some(MACHINES[1]), hvt()].into_iter().flatten() {
            blktest(machine, &args).expect(0, &["8 checks, 0 failed"]);
        }
    }
}

#[test]
fn a_disk_that_fails_gives_errors() {
    let dir = tempfile::tempdir().unwrap();
    let disk = file(dir.path(), "disk", 0);
    let rules = dir.path().join("rules");
    let rule = |event: &str| {
        format!("[inject-error]\nevent = \"{event}\"\nerrno = \"5\"\nsector = \"8\"\n")
    };
    std::fs::write(&rules, rule("read_aio") + &rule("pwritev")).unwrap();
    let drive = format!(
        "--qemu-arg=if=none,id=bad,format=raw,file=blkdebug:{}:{disk},werror=report,rerror=report",
        rules.display()
    );
    let device = "--qemu-arg=virtio-blk-pci,drive=bad";
    let args =
        ["--qemu-arg=-drive", &drive, "--qemu-arg=-device", device, "--", "bad", "blk0", "8"];
    blktest(MACHINES[1], &args).expect(0, &["block 8 fails, the others work"]);
}

#[test]
fn a_legacy_device_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let disk = file(dir.path(), "disk", 0);
    let drive = format!("--qemu-arg=if=none,id=old,format=raw,file={disk}");
    let device = "--qemu-arg=virtio-blk-device,drive=old";
    let legacy = "--qemu-arg=virtio-mmio.force-legacy=true";
    let args = [
        "--qemu-arg=-drive",
        &drive,
        "--qemu-arg=-device",
        device,
        "--qemu-arg=-global",
        legacy,
        "--",
        "list",
    ];
    blktest(MACHINES[2], &args).expect(0, &["it is a legacy device", "0 disks"]);
}

#[test]
fn what_cannot_be_a_disk_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let missing = missing.to_str().unwrap();
    let said = call(OXK, &["run", "apps/blktest", "--disk", missing]);
    said.expect(125, &["error: cannot open the disk", "help: make one of 64 MiB: truncate"]);
    let disk = file(dir.path(), "disk", 0);
    let mut many = vec!["run", "apps/blktest", "--plat", "linuxu"];
    (0..9).for_each(|_| many.extend(["--disk", disk.as_str()]));
    call(OXK, &many).expect(125, &["error: 9 disks are more than", "help: run it with --plat hvt"]);
}

#[test]
fn a_disk_is_not_written_by_two() {
    let dir = tempfile::tempdir().unwrap();
    let disk = file(dir.path(), "disk", 0);
    for machine in [Some(MACHINES[0]), hvt()].into_iter().flatten() {
        let twice = ["--disk", disk.as_str(), "--disk", disk.as_str(), "--", "list"];
        let said = blktest(machine, &twice).all();
        let refused =
            ["writes to it", "another guest uses it"].iter().any(|why| said.contains(why));
        assert!(refused, "{}: {said}", machine.name);
        let readers = format!("{disk},ro");
        let both = ["--disk", readers.as_str(), "--disk", readers.as_str(), "--", "list"];
        blktest(machine, &both).expect(0, &["2 disks"]);
    }
}

#[test]
fn random_bytes_of_the_host() {
    let rng = |machine, args: &[&str]| run(OXK, "apps/rngtest", machine, args);
    let device = ["--qemu-arg=-device", "--qemu-arg=virtio-rng-pci"];
    rng(MACHINES[1], &device).expect(0, &["2 checks, 0 failed"]);
    rng(MACHINES[1], &["--", "none"]).expect(0, &["there is no device"]);
    let device = ["--qemu-arg=-device", "--qemu-arg=virtio-rng-device"];
    rng(MACHINES[2], &device).expect(0, &["2 checks, 0 failed"]);
    if let Some(machine) = hvt() {
        rng(machine, &[]).expect(0, &["2 checks, 0 failed"]);
    }
}
