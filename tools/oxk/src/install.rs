//! Programs of this system: finding them, and installing them by its package manager.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Package managers: the program, what fetches the list of packages where a fresh machine has none, what
/// installs.
const MANAGERS: [(&str, Option<&str>, &str); 5] = [
    ("apt-get", Some("apt-get update -qq"), "apt-get install -y --no-install-recommends"),
    ("dnf", None, "dnf install -y"),
    ("pacman", None, "pacman -S --noconfirm"),
    ("zypper", None, "zypper --non-interactive install"),
    ("apk", None, "apk add"),
];

/// Where a program is in the search path.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file())
}

/// Whether this is root, who may install.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0")
}

/// How a system installs something: commands, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    update: Option<&'static str>,
    install: String,
}

impl Installation {
    /// By the package manager of this system, if it is known; `package` has its names for what is to
    /// be installed.
    pub fn find(package: impl Fn(&str) -> String) -> Option<Self> {
        Self::with(package, |manager| in_path(manager).is_some())
    }

    /// By the first package manager that `has` knows.
    fn with(package: impl Fn(&str) -> String, has: impl Fn(&str) -> bool) -> Option<Self> {
        let known = MANAGERS.into_iter().find(|(manager, ..)| has(manager));
        known.map(|(manager, update, install)| Self {
            update,
            install: format!("{install} {}", package(manager)),
        })
    }

    fn commands(&self) -> impl Iterator<Item = &str> {
        self.update.into_iter().chain([self.install.as_str()])
    }

    /// The commands for people to type.
    pub fn shell_line(&self, is_root: bool) -> String {
        let sudo = if is_root { "" } else { "sudo " };
        let commands: Vec<String> = self.commands().map(|c| format!("{sudo}{c}")).collect();
        commands.join(" && ")
    }

    /// Installs it, if this user may: to ask anybody but root for more rights would be an intrusion.
    /// Returns whether that was done.
    pub fn try_run(&self) -> bool {
        if !is_root() {
            return false;
        }
        let run = |line: &str| {
            eprintln!("{:>12} {line}", "Running");
            let mut words = line.split(' ');
            Command::new(words.next().unwrap_or_default())
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if let Some(update) = self.update {
            // When a list of packages cannot be fetched, an old one may do.
            run(update);
        }
        run(&self.install)
    }
}

/// Installs a program that not everything needs, from a package of that name, if it is missing and this
/// user may. What needs it says so where it is not there.
pub fn try_ensure(program: &str, package: &str) {
    if in_path(program).is_none()
        && let Some(known) = Installation::find(|_| package.to_owned())
    {
        known.try_run();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(manager: &str, is_root: bool) -> Option<String> {
        let package = |manager: &str| format!("passt-of-{manager}");
        Installation::with(package, |m| m == manager).map(|i| i.shell_line(is_root))
    }

    #[test]
    fn each_system_has_its_command() {
        for (manager, expected) in [
            ("dnf", "dnf install -y passt-of-dnf"),
            ("pacman", "pacman -S --noconfirm passt-of-pacman"),
            ("zypper", "zypper --non-interactive install passt-of-zypper"),
            ("apk", "apk add passt-of-apk"),
        ] {
            assert_eq!(line(manager, true).as_deref(), Some(expected));
            assert_eq!(line(manager, false), Some(format!("sudo {expected}")));
        }
        assert_eq!(
            line("apt-get", false).unwrap(),
            "sudo apt-get update -qq && \
             sudo apt-get install -y --no-install-recommends passt-of-apt-get"
        );
        assert_eq!(line("emerge", true), None);
    }

    #[test]
    fn the_first_manager_wins() {
        let both = |manager: &str| manager == "apt-get" || manager == "dnf";
        let both = Installation::with(|_| "passt".into(), both).unwrap();
        assert!(both.install.starts_with("apt-get "));
    }

    #[test]
    fn what_is_there_is_found_and_not_installed() {
        assert!(in_path("sh").is_some());
        assert!(in_path("no-such-program-of-oxikraft").is_none());
        try_ensure("sh", "no-such-package-of-oxikraft");
    }
}
