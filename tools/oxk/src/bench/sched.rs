//! `oxk bench sched`: builds the images that measure themselves, and the program that runs them
//! beside the threads of Linux.

use super::{BenchArgs, program};
use crate::build::{self, Progress};
use crate::diagnostic::Result;
use crate::project::{Project, Target};

/// Names in the tables, scheduler, number of CPUs.
const IMAGES: [(&str, &str, u32); 4] = [
    ("ukschedcoop", "ukschedcoop", 1),
    ("ukschedpreempt", "ukschedpreempt", 1),
    ("ukschedcoop, 2 CPUs", "ukschedcoop", 2),
    ("ukschedpreempt, 2 CPUs", "ukschedpreempt", 2),
];

pub fn run(args: &BenchArgs) -> Result<u8> {
    let root = Project::find()?.root;
    let mut images = Vec::new();
    for (name, scheduler, cpus) in IMAGES {
        let mut target = Target::new(&root.join("apps/schedbench"), "linuxu");
        target.choices.provider.push(format!("sched={scheduler}"));
        target.choices.cpus = Some(cpus);
        let loaded = target.load()?;
        let dir = loaded.build_dir().join(format!("bench-{scheduler}-{cpus}"));
        let image = build::build(&loaded, &loaded.resolve()?, Some(&dir), Progress::Quiet)?;
        images.extend(["--image".to_owned(), format!("{name}={}", image.path.display())]);
    }
    program::run(args, "sched", &images)
}
