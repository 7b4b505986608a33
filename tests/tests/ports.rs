//! Programs in C that have files, and the ports: Lua and SQLite.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use image_tests::{MACHINES, Machine, Outcome, call, call_in, hvt, machines, root, run};

const OXK: &str = env!("CARGO_BIN_EXE_oxk-under-test");

/// Runs an application on linuxu with a text as its standard input.
fn run_with_input(app: &str, input: &str, args: &[&str]) -> Outcome {
    run_on_with_input(MACHINES[0], app, input, args)
}

fn run_on_with_input(machine: Machine, app: &str, input: &str, args: &[&str]) -> Outcome {
    let mut child = Command::new(OXK)
        .args(["run", app, "--timeout", "120"])
        .args(machine.args)
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// One image that does with files what programs do.
#[test]
fn a_program_that_opens_files_has_them() {
    let main = r#"
        #define _GNU_SOURCE
        #include <dirent.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/stat.h>
        #include <unistd.h>
        #define CHECK(e) do { if (!(e)) { printf("line %d: %s: %m\n", __LINE__, #e); exit(1); } } while (0)
        static int lock(int fd, int cmd, short type, off_t start, off_t len, struct flock *out) {
            struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };
            int r = fcntl(fd, cmd, &l);
            if (out) *out = l;
            return r;
        }
        int main(int argc, char **argv) {
            char line[100];
            FILE *f = fopen("/etc/app.conf", "r");
            CHECK(f && fgets(line, sizeof line, f));
            printf("embedded: %s", line);
            fclose(f);
            CHECK(mkdir("/data", 0755) == 0 && chdir("/data") == 0);
            CHECK((f = fopen("a.txt", "w+")));
            CHECK(fprintf(f, "line %d\n", 1) == 7 && fflush(f) == 0 && fsync(fileno(f)) == 0);
            rewind(f);
            CHECK(fgets(line, sizeof line, f) && !strcmp(line, "line 1\n"));
            struct stat s;
            CHECK(fstat(fileno(f), &s) == 0 && s.st_size == 7 && S_ISREG(s.st_mode));
            CHECK(fclose(f) == 0 && rename("a.txt", "b.txt") == 0);
            CHECK(stat("a.txt", &s) == -1 && errno == ENOENT);
            CHECK(access("b.txt", R_OK | W_OK) == 0);
            DIR *d = opendir("/data");
            CHECK(d);
            int names = 0;
            for (struct dirent *e; (e = readdir(d)); names++)
                if (e->d_name[0] != '.') printf("entry: %s\n", e->d_name);
            closedir(d);
            CHECK(names == 3);
            int fd = open("b.txt", O_RDWR), other = open("b.txt", O_RDWR);
            CHECK(fd == 3 && other == 4);
            CHECK(lseek(fd, 100, SEEK_SET) == 100 && write(fd, "x", 1) == 1);
            CHECK(ftruncate(fd, 3) == 0 && pread(fd, line, 10, 0) == 3 && !memcmp(line, "lin", 3));
            /* Locks of one process never stand in its own way; those of open files do. */
            struct flock l;
            CHECK(lock(fd, F_SETLK, F_WRLCK, 10, 5, 0) == 0 && lock(other, F_SETLK, F_WRLCK, 12, 9, 0) == 0);
            CHECK(lock(other, F_GETLK, F_WRLCK, 0, 0, &l) == 0 && l.l_type == F_UNLCK);
            CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 30, 1, 0) == 0);
            CHECK(lock(other, F_OFD_SETLK, F_WRLCK, 30, 1, 0) == -1 && errno == EAGAIN);
            CHECK(close(fd) == 0 && lock(other, F_OFD_SETLK, F_WRLCK, 30, 1, 0) == 0);
            CHECK(unlink("b.txt") == 0 && write(other, "gone", 4) == 4 && close(other) == 0);
            CHECK(open("/none/x", O_CREAT | O_WRONLY, 0644) == -1 && errno == ENOENT);
            CHECK(write(99, "", 0) == -1 && errno == EBADF);
            if (argc > 1)
                while (fgets(line, sizeof line, stdin) && strcmp(line, "end\n"))
                    printf("input: %s", line);
            puts("done");
            return 0;
        }
    "#;
    let dir = tempfile::tempdir().unwrap();
    let manifest = "name = \"prog\"\nkind = \"c\"\n[c]\nsources = [\"*.c\"]\n\
                    [files]\n\"/etc/app.conf\" = \"app.conf\"\n";
    for (file, text) in [("oxk.toml", manifest), ("main.c", main), ("app.conf", "a=1\n")] {
        std::fs::write(dir.path().join(file), text).unwrap();
    }
    for platform in ["linuxu", "kvm"] {
        call_in(OXK, dir.path(), &["run", "--plat", platform])
            .expect(0, &["embedded: a=1\n", "entry: b.txt\n", "done\n"]);
    }
    let path = dir.path().to_str().unwrap();
    // What comes before a serial line listens is not lost, from the first byte on.
    for machine in [MACHINES[1], MACHINES[2]] {
        for input in ["\nend\n", "1\nend\n", "one line\nand another\n\nend\n"] {
            let lines = input.lines().filter(|line| *line != "end");
            let said: String = lines.map(|line| format!("input: {line}\n")).collect();
            run_on_with_input(machine, path, input, &["--", "read"])
                .expect(0, &[&format!("{said}done\n")]);
        }
    }
    // Where the console can end, programs see it; a serial line cannot.
    for machine in std::iter::once(MACHINES[0]).chain(hvt()) {
        run_on_with_input(machine, path, "one\ntwo", &["--", "read"])
            .expect(0, &["input: one\ninput: two", "done"]);
    }
    call_in(OXK, dir.path(), &["graph"]).expect(0, &["posix-files provides files"]);
    // What the manifest chooses is taken, and then there are no files.
    call_in(OXK, dir.path(), &["run", "--plat", "linuxu", "--provider", "files=posix-stdio"])
        .expect(1, &["Function not implemented"]);
    let wrong = format!("{manifest}\"/etc/x\" = \"none\"\n");
    std::fs::write(dir.path().join("oxk.toml"), wrong).unwrap();
    call_in(OXK, dir.path(), &["build"])
        .expect(1, &["there is no file or folder `none`", "oxk.toml:7:"]);
}

#[test]
fn lua_runs_programs() {
    let program = r##"
        local f = assert(io.open("/data/t.lua", "w"))
        f:write("return ...", " + 1") f:close()
        print(loadfile("/data/t.lua")(41), arg[0], select("#", ...))
        local t = {} for w in ("c a b"):gmatch("%a") do t[#t + 1] = w end
        table.sort(t) print(table.concat(t), 2^53 // 1 | 0, ("%5.2f"):format(math.pi))
        print(coroutine.wrap(function(x) coroutine.yield(x * 2) end)(21))
        print(pcall(error, { code = 7 }))
        for i = 1, 100000 do local s = ("x"):rep(i % 100) end
        print(io.open("/none"))
        print("shell", os.execute())
        for _, name in ipairs { "/dev/console", "/dev/stdout", "/dev/fd/1" } do
            local f = assert(io.open(name, "w"))
            f:write("to ", name, "\n") f:close()
        end
    "##;
    for machine in machines() {
        run(OXK, "apps/lua", machine, &["--", "-e", program]).expect(
            0,
            &[
                "42\tlua\t0\n",
                "abc\t9007199254740992\t 3.14\n",
                "42\n",
                "false\ttable: ",
                "nil\t/none: No such file or directory\t2\n",
                "shell\tfalse\n",
                "to /dev/console\nto /dev/stdout\nto /dev/fd/1\n",
            ],
        );
        run(OXK, "apps/lua", machine, &["--", "-e", "os.exit(7)"]).expect(7, &[]);
        run(OXK, "apps/lua", machine, &["--", "-e", "error('bad')"])
            .expect(1, &["lua: (command line):1: bad\nstack traceback:"]);
    }
    run_with_input("apps/lua", "print(1 + 1) error('x')", &[])
        .expect(1, &["2\n", "lua: stdin:1: x"]);
    run_with_input("apps/lua", "1 + 1\nfor i = 1, 2 do\nprint(i)\nend", &["--", "-i"])
        .expect(0, &["> 2\n", ">> >> 1\n2\n"]);
    run_with_input("apps/lua", "", &["--", "/none.lua"])
        .expect(1, &["lua: cannot open /none.lua: No such file"]);
    run_with_input("apps/lua", "", &["--", "-q"])
        .expect(1, &["unrecognized or incomplete option '-q'"]);
}

/// Writes more than a small file system can hold.
const FILL: &str = "create table t(a); insert into t values ('before');
    insert into t select hex(randomblob(5000)) from generate_series(1, 500)";

#[test]
fn sqlite_keeps_databases_in_files() {
    let sql = "create table t(a integer primary key, b text unique);
               insert into t(b) values ('x'), ('y');
               begin; delete from t; rollback;
               insert into t(b) select b || a from t;
               update t set b = upper(b) where a > 2;
               select group_concat(b, ' ') from (select b from t order by a);
               pragma integrity_check; pragma journal_mode;
               select length(hex(randomblob(20))), json_extract('{\"k\": [1, 2]}', '$.k[1]')";
    for machine in machines() {
        run(OXK, "apps/sqlite", machine, &["--", "/data/test.db", sql])
            .expect(0, &["x y X1 Y2\nok\ndelete\n40|2\n"]);
        run(OXK, "apps/sqlite", machine, &["--", "/data/test.db", "select * from none"])
            .expect(1, &["no such table: none"]);
        run(OXK, "apps/sqlite", machine, &["-p", "rootfs.size=1M", "--", "/data/full.db", FILL])
            .expect(13, &["database or disk is full"]);
    }
    // The journal mode WAL needs a file that is memory, for all connections.
    let wal = "pragma journal_mode = wal; create table w(a); insert into w values (1), (2);
        .connection 1
        .open /data/wal.db
        insert into w values (3); select sum(a) from w; begin immediate; delete from w;
        .connection 0
        select count(*) from w; pragma wal_checkpoint(passive); pragma integrity_check;\n";
    let wal = wal.replace("\n        ", "\n");
    run_with_input("apps/sqlite", &wal, &["--", "/data/wal.db"])
        .expect(0, &["wal\n6\n3\n0|", "ok\n"]);
    // The statement fails, the database stays sound.
    let sql = format!("{FILL};\nselect count(*), a from t; pragma integrity_check;\n");
    let args = ["-p", "rootfs.size=1M", "--", "/data/full.db"];
    run_with_input("apps/sqlite", &sql, &args)
        .expect(1, &["database or disk is full", "1|before\nok\n"]);
    run_with_input(
        "apps/sqlite",
        ".mode csv\nselect 1 as a, 'b c';\n.mode list\nselect 2, 3;\n",
        &[],
    )
    .expect(0, &["1,\"b c\"\n2|3\n"]);
    run_with_input("apps/sqlite", "selec;\n", &["--", "-bail", "/data/a.db"])
        .expect(1, &["near \"selec\": syntax error"]);
    run_with_input("apps/sqlite", "", &["--", "/none/a.db", "create table t(a)"])
        .expect(1, &["unable to open database"]);
    run_with_input("apps/sqlite", ".output /dev/stdout\nselect 'through', 6;\n", &[])
        .expect(0, &["through|6\n"]);
    let junk = ".shell true\n.load x\n.read /none\nselect 5;\n";
    run_with_input("apps/sqlite", junk, &["--", "-init", "/dev/null", "/data/a.db"])
        .expect(1, &["5\n"]);
}

#[test]
fn sqlite_is_an_image_of_a_megabyte_and_runs_in_three() {
    let sql = "create table t(a integer primary key, b text);
               with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
                   insert into t select i, 'text ' || i from n;
               create index i on t(b);
               update t set b = b || '.' where a % 2;
               delete from t where a % 3 = 0;
               select count(*), sum(length(b)) from t; pragma integrity_check";
    for machine in machines() {
        run(OXK, "apps/sqlite", machine, &["--memory", "3M", "--", "/data/small.db", sql])
            .expect(0, &["3334|30935\nok\n"]);
        let platform = machine.args[1];
        let image = root().join(format!("build/sqlite_{platform}-x86_64"));
        let bytes = std::fs::metadata(image).unwrap().len();
        assert!(bytes <= 1_000_000, "for {platform} it has {bytes} bytes");
    }
}

/// With what shared directories need SQLite is another image.
const SHARES: [&str; 4] = ["run", "apps/sqlite", "--build-dir", "build/sqlite-share"];

#[test]
fn sqlite_keeps_databases_of_the_host_in_a_virtual_machine() {
    let dir = tempfile::tempdir().unwrap();
    let share = format!("{}:/data", dir.path().display());
    let run = |sql: &str| {
        let more = ["--timeout", "120", "--share", &share, "--", "/data/test.db", sql];
        call(OXK, &[&SHARES[..], MACHINES[1].args, &more].concat())
    };
    run("create table t(a, b unique); insert into t values (1, 'x'), (2, 'y')").expect(0, &[]);
    run("update t set a = a + 5; begin; delete from t; rollback; pragma integrity_check;
         select sum(a), group_concat(b) from t")
    .expect(0, &["ok\n13|x,y\n"]);
    // A transaction of more than the memory that there is.
    let large = "create table t(a); with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000)
                 insert into t select randomblob(4000) from n; select count(*) from t; pragma integrity_check";
    let more = ["--memory", "3M", "--share", &share, "--", "/data/large.db", large];
    call(OXK, &[&SHARES[..], MACHINES[1].args, &more].concat()).expect(0, &["1000\nok\n"]);
    let header = std::fs::read(dir.path().join("test.db")).unwrap();
    assert!(header.starts_with(b"SQLite format 3\0"));
}

/// The image is killed at any moment, many times; what it had confirmed is there, and whole.
#[test]
fn sqlite_loses_nothing_when_the_image_is_killed() {
    // Of virtual machines it is the monitor that is killed: QEMU, which is there always, and our own.
    let monitors = std::iter::once((MACHINES[2], 4)).chain(hvt().map(|hvt| (hvt, 10)));
    for (machine, rounds) in std::iter::once((MACHINES[0], 25)).chain(monitors) {
        kill_sqlite(machine, rounds, "/data/crash.db", "delete");
        kill_sqlite(machine, rounds.min(10), "/disk/crash.db", "delete");
        kill_sqlite(machine, rounds.min(5), "/disk/crash.db", "wal");
    }
}

/// A program that makes or checks disks.
fn e2fsprogs(name: &str) -> Command {
    let mut command = Command::new(name);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Makes a disk; whether the program for that is here.
fn make_disk(path: &Path) -> bool {
    let made = e2fsprogs("mke2fs").args(["-q", "-F", "-t", "ext4"]).arg(path).arg("32M").output();
    let Ok(made) = made else {
        let text = "\nNOT TESTED: databases on disks, for which mke2fs (e2fsprogs) is needed.\n";
        let _ = std::io::stderr().write_all(text.as_bytes());
        return false;
    };
    assert!(made.status.success(), "{made:?}");
    true
}

/// An image with a shared directory and a disk: it is another one than that without.
const WITH_DISK: [&str; 4] = ["run", "apps/sqlite", "--build-dir", "build/sqlite-disk"];

/// What an image has for one test.
struct Storage {
    share: String,
    disk: PathBuf,
    /// The disk as its option names it; `None` where there is no `mke2fs`.
    mount: Option<String>,
    _folder: tempfile::TempDir,
}

impl Storage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (share, disk) = (folder.path().join("share"), folder.path().join("disk"));
        std::fs::create_dir(&share).unwrap();
        let mount = make_disk(&disk).then(|| format!("{},mount=/disk", disk.display()));
        Self { share: format!("{}:/data", share.display()), disk, mount, _folder: folder }
    }

    /// The image that has it.
    fn image(&self) -> Vec<&str> {
        let share = ["--share", &self.share];
        match &self.mount {
            Some(mount) => [&WITH_DISK[..], &share, &["--disk", mount]].concat(),
            None => [&SHARES[..], &share].concat(),
        }
    }
}

#[test]
fn sqlite_keeps_databases_on_disks() {
    let storage = Storage::new();
    if storage.mount.is_none() {
        return;
    }
    for (index, machine) in machines().enumerate() {
        let sql = |sql: &str| {
            let own = ["--timeout", "120", "--", "/disk/test.db", sql];
            call(OXK, &[&storage.image(), machine.args, &own].concat())
        };
        sql("create table if not exists t(a); insert into t values (1), (2)").expect(0, &[]);
        let count = format!("{}\nok\n", 2 * (index + 1));
        sql("select count(*) from t; pragma integrity_check").expect(0, &[&count]);
        let checked = e2fsprogs("e2fsck").arg("-fn").arg(&storage.disk).output().unwrap();
        assert!(checked.status.success(), "{}: {checked:?}", machine.name);
    }
}

fn kill_sqlite(machine: Machine, rounds: u64, database: &str, journal: &str) {
    let storage = Storage::new();
    if database.starts_with("/disk") && storage.mount.is_none() {
        return;
    }
    let line = |words: &[&str]| {
        let own = [&["--dry-run", "--", "-batch", database], words].concat();
        let line = call(OXK, &[&storage.image(), machine.args, &own].concat());
        line.expect(0, &[]).out.trim().to_owned()
    };
    let start = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec {line}")]).current_dir(root());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    };
    // Both tables get the same rows, in one transaction.
    let transaction = "begin; insert into a values (null, hex(randomblob(2000)));
        insert into b select n, length(x) from a order by n desc limit 1; commit;
        select count(*) from b;\n";
    let check = "pragma integrity_check; select count(*) from a left join b using (n)
        where y is not length(x); select count(*) from b;";
    let (writing, checking) = (line(&[]), format!("timeout 120 {}", line(&[check])));
    let mut confirmed = 0;
    for round in 0..rounds {
        let mut child = start(&writing);
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let set = format!("pragma journal_mode = {journal};\n");
        let writer = std::thread::spawn(move || {
            let make = set
                + "create table if not exists a (n integer primary key, x);
                create table if not exists b (n integer primary key, y);\n";
            // The pipe breaks when the image is killed.
            let mut more = input.write_all(make.as_bytes()).is_ok();
            while more {
                more = input.write_all(transaction.as_bytes()).is_ok();
            }
        });
        let (tell, counted) = mpsc::channel();
        let reader = std::thread::spawn(move || {
            let lines = std::io::BufReader::new(output).lines();
            let counts =
                lines.map_while(Result::ok).filter_map(|line| line.trim().parse::<u64>().ok());
            counts.inspect(|_| tell.send(()).unwrap_or_default()).last()
        });
        // In the midst of transactions, however slow this machine is; in some rounds before the first.
        let begun = round % 4 == 3 || counted.recv_timeout(Duration::from_secs(60)).is_ok();
        assert!(begun, "round {round} on {}: nothing was written", machine.name);
        std::thread::sleep(Duration::from_millis(5 + (round * 37) % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        writer.join().unwrap();
        confirmed = reader.join().unwrap().unwrap_or(confirmed);
        let output = start(&checking).wait_with_output().unwrap();
        assert_ne!(output.status.code(), Some(124), "round {round} on {} hangs", machine.name);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        if confirmed > 0 {
            let count: u64 = lines.get(2).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            assert_eq!(
                lines.get(..2),
                Some(&["ok", "0"][..]),
                "round {round} of {database}, {journal}, on {}: {text}",
                machine.name
            );
            let what = format!("round {round} of {database}, {journal}, on {}", machine.name);
            assert!(count >= confirmed, "{what}: {count} of {confirmed} rows: {text}");
        }
    }
    // Each round that waits for a row adds at least that one.
    let least = rounds - rounds / 4;
    assert!(confirmed >= least, "hardly anything was written: {confirmed} rows");
}
