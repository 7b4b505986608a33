use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command};
use std::time::SystemTime;

use super::*;

fn store(dir: &Path) -> Store {
    Store::open_in(dir.to_owned(), rustix::process::getuid().as_raw()).unwrap()
}

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

fn guest(store: &Store, name: &str, pid: u32) -> Guest {
    let guest = Guest {
        name: name.into(),
        platform: "linuxu".into(),
        image: "/images/app".into(),
        dbg: "/images/app.dbg".into(),
        identity: Identity::of(pid).unwrap(),
        since: now(),
        log: store.log_path(name),
        end: store.end_path(name),
        code_file: None,
        monitor: None,
    };
    std::fs::write(&guest.log, "it said\n").unwrap();
    store.add(&guest).unwrap();
    guest
}

#[test]
fn records_come_back_and_know_whether_the_guest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut child = sleeper();
    let added = guest(&store, "app", child.id());
    let (found, process) = store.find("app").unwrap();
    assert_eq!(found, added);
    let process = process.unwrap();
    assert!(!process.ends_within(Duration::from_millis(20)));
    process.signal(rustix::process::Signal::KILL);
    assert!(process.ends_within(Duration::from_secs(60)));
    // Also before anybody waits for it.
    assert!(store.find("app").unwrap().1.is_none());
    child.wait().unwrap();
    assert!(store.find("app").unwrap().1.is_none());
    let error = store.find("ap").unwrap_err().to_string();
    assert!(error.contains("there is no guest `ap`") && error.contains("`app`"), "{error}");
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let mut child = sleeper();
    let identity = Identity::of(child.id()).unwrap();
    assert!(identity.open().is_some());
    let later = Identity { start_ticks: identity.start_ticks + 1, ..identity.clone() };
    assert!(later.open().is_none());
    let before = Identity { boot: "another".into(), ..identity.clone() };
    assert!(before.open().is_none());
    assert!(Identity { pid: u32::MAX, ..identity.clone() }.open().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(identity.open().is_none());
}

#[test]
fn names_are_those_of_the_application_or_given() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut child = sleeper();
    assert_eq!(store.name(None, "app").unwrap(), "app");
    guest(&store, "app", child.id());
    assert_eq!(store.name(None, "app").unwrap(), "app-2");
    assert_eq!(store.name(Some("other"), "app").unwrap(), "other");
    let error = store.name(Some("app"), "app").unwrap_err().to_string();
    assert!(error.contains("`app` is running already"), "{error}");
    for wrong in ["", "../x", "-a", ".a", "a b", "a/b", &"x".repeat(65)] {
        let error = store.name(Some(wrong), "app").unwrap_err().to_string();
        assert!(error.contains("is not a name"), "{error}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // A name of one that has ended is taken when it is asked for; nothing of that one stays.
    assert_eq!(store.name(None, "app").unwrap(), "app-2");
    assert_eq!(store.name(Some("app"), "app").unwrap(), "app");
    assert!(!store.log_path("app").exists() && store.guests().unwrap().is_empty());
}

#[test]
fn what_ended_long_ago_and_what_is_no_record_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let mut child = sleeper();
    let (old, new) = (guest(&store, "old", child.id()), guest(&store, "new", child.id()));
    let code = dir.path().join("code");
    std::fs::write(&code, [7]).unwrap();
    let old = Guest { code_file: Some(code.clone()), ..old };
    store.add(&old).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let log = File::options().write(true).open(&old.log).unwrap();
    log.set_modified(SystemTime::now() - KEPT - Duration::from_secs(60)).unwrap();
    for (name, text) in [("a", ""), ("b", "{}"), ("c", "[1"), ("d", "{\"name\": 5}")] {
        std::fs::write(dir.path().join(name).with_extension("json"), text).unwrap();
    }
    let names: Vec<String> = store.guests().unwrap().into_iter().map(|(g, _)| g.name).collect();
    assert_eq!(names, ["new"]);
    assert!(!old.log.exists() && new.log.exists() && !code.exists());
    assert!(!dir.path().join("a.json").exists());
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let user = rustix::process::getuid().as_raw();
    let path = dir.path().join("state");
    drop(Store::open_in(path.clone(), user).unwrap());
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o700);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Store::open_in(path.clone(), user).unwrap_err().to_string();
    assert!(error.contains("only you can write to") && error.contains(VARIABLE), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    assert!(Store::open_in(path.clone(), user + 1).is_err());
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    assert!(Store::open_in(path, user).is_err());
}

#[test]
fn durations_are_short() {
    let said = [0, 119, 120, 7199, 7200, 172_800].map(ps::duration);
    assert_eq!(said, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
}
