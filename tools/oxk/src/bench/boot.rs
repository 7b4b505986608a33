//! `oxk bench boot`: builds hello and the self-test for every platform, and the program that
//! measures how long they take to start.

use std::path::Path;

use super::{BenchArgs, program};
use crate::build::{self, Image, Progress};
use crate::diagnostic::{Context as _, Result};
use crate::disk::Disk;
use crate::project::{Loaded, Project, Target};
use crate::qemu::{self, Model};
use crate::run::{self, Launch, RunArgs};
use crate::tender;

pub fn run(args: &BenchArgs) -> Result<u8> {
    let project = Project::find()?;
    qemu::ensure(std::env::consts::ARCH)?;
    let mut arguments = Vec::new();
    let disk = tempfile::NamedTempFile::new().context("cannot make a file")?;
    disk.as_file().set_len(1 << 20).context("cannot make a disk")?;
    // Files that QEMU leaves exit codes in are removed with these.
    let mut launches = Vec::new();
    let everywhere = [
        ("linuxu", "linuxu", Model::default()),
        ("QEMU q35", "kvm", Model::Q35),
        ("QEMU microvm", "kvm", Model::Microvm),
    ];
    let hvt = tender::kvm_opens().then_some(("hvt", tender::PLATFORM, Model::default()));
    if hvt.is_none() {
        eprintln!("not measured: hvt, because /dev/kvm does not open");
    }
    for (name, platform, model) in hvt.into_iter().chain(everywhere) {
        let with = |app: &str| RunArgs { vmm_machine: model, ..run::default_args(Path::new(app)) };
        let mut hello = with("apps/hello");
        hello.param.push("ukboot.trace=yes".into());
        let (loaded, image) = built(&project, "apps/hello", platform)?;
        if platform == tender::PLATFORM {
            let program = tender::ensure(&project)?;
            arguments.extend(["--tender".to_owned(), program.display().to_string()]);
            arguments.extend(["--image".to_owned(), image.path.display().to_string()]);
        } else {
            let launch = Launch::new(&hello, &project, &loaded.resolve()?, &image)?;
            arguments.extend(["--run".to_owned(), format!("{name}={}", launch.shell_line())]);
            launches.push(launch);
        }
        let mut calls = with("apps/selftest");
        calls.args.push("calls".into());
        let (loaded, image) = built(&project, "apps/selftest", platform)?;
        let launch = Launch::new(&calls, &project, &loaded.resolve()?, &image)?;
        arguments.extend(["--calls".to_owned(), format!("{name}={}", launch.shell_line())]);
        launches.push(launch);
        let mut disks = with("apps/blktest");
        disks.args.extend(["calls".into(), "blk0".into()]);
        disks.disk.push(Disk { path: disk.path().into(), read_only: true, mount: None });
        let (loaded, image) = built(&project, "apps/blktest", platform)?;
        let launch = Launch::new(&disks, &project, &loaded.resolve()?, &image)?;
        arguments.extend(["--calls".to_owned(), format!("{name}={}", launch.shell_line())]);
        launches.push(launch);
    }
    let result = program::run(args, "boot", &arguments);
    drop(launches);
    result
}

fn built(project: &Project, app: &str, platform: &str) -> Result<(Loaded, Image)> {
    let app = project.root.join(app);
    let loaded = Target::new(&app, platform).load()?;
    let image = build::build(&loaded, &loaded.resolve()?, None, Progress::Quiet)?;
    Ok((loaded, image))
}
