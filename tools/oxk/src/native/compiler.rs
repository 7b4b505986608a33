//! The compilers for C and C++ of this machine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::diagnostic::{Diagnostic, Result};

/// What a source is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// C, or assembly: `CC` compiles it, or `cc`.
    C,
    /// C++: `CXX` compiles it, or `c++`.
    Cxx,
}

/// Variables with which the environment gives a compiler other headers, libraries or parts than the
/// command line says, or makes it write further files.
const ELSEWHERE: [&str; 10] = [
    "CPATH",
    "C_INCLUDE_PATH",
    "CPLUS_INCLUDE_PATH",
    "OBJC_INCLUDE_PATH",
    "LIBRARY_PATH",
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "DEPENDENCIES_OUTPUT",
    "SUNPRO_DEPENDENCIES",
    "CCC_OVERRIDE_OPTIONS",
];

impl Language {
    /// That of a source file, by the names compilers know; none where it is no source.
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()? {
            "c" | "i" | "s" | "S" | "sx" => Some(Self::C),
            "cc" | "cpp" | "cxx" | "c++" | "C" | "CPP" | "cp" | "ii" => Some(Self::Cxx),
            _ => None,
        }
    }

    /// The compiler with words that come first, as in `ccache gcc`.
    pub fn words(self) -> Vec<String> {
        let (variable, usual) = match self {
            Self::C => ("CC", "cc"),
            Self::Cxx => ("CXX", "c++"),
        };
        let said = std::env::var_os(variable).unwrap_or_default().to_string_lossy().into_owned();
        // A path may have blanks.
        let words: Vec<String> = if Path::new(&said).is_file() {
            vec![said]
        } else {
            said.split_whitespace().map(str::to_owned).collect()
        };
        if words.is_empty() { vec![usual.to_owned()] } else { words }
    }

    /// The compiler, to be given arguments.
    pub fn command(self) -> Command {
        let words = self.words();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        without_elsewhere(&mut command);
        command
    }

    /// What the compiler is, with what it says of itself: another one makes other objects.
    ///
    /// # Errors
    /// It does not start.
    pub fn identity(self) -> Result<&'static str> {
        static KNOWN: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
        let known = &KNOWN[self as usize];
        if let Some(identity) = known.get() {
            return Ok(identity);
        }
        let words = self.words().join(" ");
        let output = self.command().arg("--version").stdin(Stdio::null()).output();
        let output = output.map_err(|e| self.not_started(&e))?;
        let said = String::from_utf8_lossy(&output.stdout);
        Ok(known.get_or_init(|| format!("{words}\n{said}")))
    }

    /// The error for a compiler that does not start.
    pub fn not_started(self, error: &std::io::Error) -> Diagnostic {
        let (what, variable, usual) = match self {
            Self::C => ("C", "CC", "gcc or clang"),
            Self::Cxx => ("C++", "CXX", "g++ or clang"),
        };
        let words = self.words().join(" ");
        Diagnostic::new(format!("cannot start the {what} compiler {words}: {error}")).help(format!(
            "applications in {what} need one: install {usual}, or name one in {variable}"
        ))
    }
}

/// Takes away what [`ELSEWHERE`] is about.
pub fn without_elsewhere(command: &mut Command) {
    for name in ELSEWHERE {
        command.env_remove(name);
    }
}

/// The flag for the smallest code: `-Oz`, or `-Os` of compilers that have no other (gcc before 12).
pub fn smallest() -> &'static str {
    static FLAG: OnceLock<&str> = OnceLock::new();
    FLAG.get_or_init(|| {
        let mut probe = Language::C.command();
        probe.args(["-Oz", "-E", "-x", "c", "-"]).stdin(Stdio::null());
        if probe.output().is_ok_and(|output| output.status.success()) { "-Oz" } else { "-Os" }
    })
}

/// Where the compiler has a file of its own: a library, a program or a folder of headers.
pub fn file_of_compiler(question: &str) -> Option<PathBuf> {
    let output = Language::C.command().arg(question).output().ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (path.is_absolute() && path.exists()).then_some(path)
}

/// Folders with the headers of the C++ compiler's standard library, in the order in which it looks into them:
/// those that it does not look into for C.
pub fn headers_of_cxx() -> Vec<PathBuf> {
    let said = |language: &str| {
        let mut ask = Language::Cxx.command();
        ask.args(["-E", "-v", "-x", language, "-"]).env("LC_ALL", "C").stdin(Stdio::null());
        let said = ask.output().map(|output| output.stderr).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    };
    let (cxx, c) = (said("c++"), said("c"));
    let of_c: Vec<&str> = searched(&c).collect();
    searched(&cxx).filter(|folder| !of_c.contains(folder)).map(PathBuf::from).collect()
}

/// The folders that a compiler says it looks into: lines that begin with a blank, between two that do not.
fn searched(said: &str) -> impl Iterator<Item = &str> {
    let list = said.split_once("#include <...>").map_or("", |(_, rest)| rest);
    list.lines().skip(1).map_while(|line| line.strip_prefix(' ')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_by_name() {
        let of = |name: &str| Language::of(Path::new(name));
        assert_eq!((of("a.c"), of("b/a.S")), (Some(Language::C), Some(Language::C)));
        assert_eq!((of("a.cpp"), of("a.C")), (Some(Language::Cxx), Some(Language::Cxx)));
        assert_eq!((of("README"), of("a.h"), of("a.o")), (None, None, None));
    }

    #[test]
    fn folders_that_a_compiler_searches() {
        let said = "Using specs.\n#include \"...\" search starts here:\n#include <...> search starts here:\n \
                    /usr/include/c++/12\n /my includes/x (framework directory)\nEnd of search list.\n # 0 x\n";
        let found: Vec<&str> = searched(said).collect();
        assert_eq!(found, ["/usr/include/c++/12", "/my includes/x (framework directory)"]);
        assert_eq!(searched("nothing of the kind").count(), 0);
        // Where there is a compiler.
        if Language::Cxx.identity().is_ok() {
            assert!(headers_of_cxx().iter().any(|folder| folder.join("new").is_file()));
        }
    }

    #[test]
    fn a_compiler_says_what_it_is() {
        let identity = Language::C.identity().unwrap();
        assert!(identity.starts_with(&Language::C.words().join(" ")) && identity.contains('\n'));
        assert_eq!(Language::C.identity().unwrap(), identity);
    }
}
