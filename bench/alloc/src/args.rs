//! The command line.

use crate::list::{self, Spec};
use crate::workload::{self, Workload};

/// What `--help` prints.
pub const HELP: &str = "\
Measures allocators side by side in one run

usage: bench-alloc [--runs N] [--quick] [--json] [-o FILE] [--only NAME,…] [--work NAME,…] [--no-count]

  --runs N       rounds over all allocators (20)
  --quick        a few seconds: short workloads, two rounds, no instruction counts
  --json         print JSON instead of tables
  -o FILE        write bars as SVG
  --only NAME,…  these allocators
  --work NAME,…  these workloads
  --no-count     do not count instructions (valgrind is slow)
  --list         print the allocators

parts of a measurement, run by the program itself:
  --count ALLOCATOR WORKLOAD CALLS      make so many calls, for callgrind
  --worst ALLOCATOR HOLES               the longest paths, for callgrind
  --resident ALLOCATOR WORKLOAD CALLS   print the growth of the process in bytes
  --overhead ALLOCATOR SIZE             print the bytes beside each block's own, in thousandths

traces:
  --compact RECORDING TRACE FROM        make a trace of a recording, from a call on
";

/// What to measure and how to tell.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rounds.
    pub runs: u32,
    /// Short.
    pub quick: bool,
    /// JSON instead of tables.
    pub json: bool,
    /// SVG file.
    pub output: Option<String>,
    /// Allocators.
    pub specs: Vec<&'static Spec>,
    /// Workloads.
    pub works: Vec<&'static Workload>,
    /// Whether instructions are counted where possible.
    pub count: bool,
    /// Whether to say on the terminal what is being done.
    pub progress: bool,
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Mode {
    Help,
    List,
    Measure(Settings),
    Count { name: String, work: &'static Workload, calls: usize },
    Worst { name: String, holes: usize },
    Resident { name: String, work: &'static Workload, calls: usize },
    Overhead { name: String, size: usize },
    Compact { raw: String, trace: String, from: usize },
}

/// The arguments.
#[derive(Debug, Clone)]
pub struct Args {
    /// What to do.
    pub mode: Mode,
}

struct Words<I> {
    words: I,
}

impl<I: Iterator<Item = String>> Words<I> {
    fn text(&mut self, of: &str) -> Result<String, String> {
        self.words.next().ok_or_else(|| format!("`{of}` needs a value"))
    }

    fn number(&mut self, of: &str) -> Result<usize, String> {
        let text = self.text(of)?;
        text.parse().map_err(|_| format!("`{of}`: `{text}` is not a number"))
    }

    fn work(&mut self, of: &str) -> Result<&'static Workload, String> {
        work(&self.text(of)?)
    }
}

fn work(name: &str) -> Result<&'static Workload, String> {
    Workload::named(name).ok_or_else(|| {
        let known: Vec<&str> = workload::ALL.iter().map(|work| work.name).collect();
        format!("there is no workload `{name}`; known are {}", known.join(", "))
    })
}

fn spec(name: &str) -> Result<&'static Spec, String> {
    list::ALL.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let known: Vec<&str> = list::ALL.iter().map(|spec| spec.name).collect();
        format!("there is no allocator `{name}`; known are {}", known.join(", "))
    })
}

impl Args {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A message.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        use std::io::IsTerminal as _;
        let mut words = Words { words };
        let mut settings = Settings {
            runs: 20,
            quick: false,
            json: false,
            output: None,
            specs: list::ALL.iter().collect(),
            works: workload::ALL.iter().collect(),
            count: true,
            progress: std::io::stderr().is_terminal(),
        };
        while let Some(word) = words.words.next() {
            let word = word.as_str();
            let mode = match word {
                "--runs" => {
                    settings.runs = u32::try_from(words.number(word)?).unwrap_or(u32::MAX);
                    if settings.runs == 0 {
                        return Err("`--runs` must be at least 1".into());
                    }
                    continue;
                }
                "--quick" => {
                    settings.quick = true;
                    continue;
                }
                "--json" => {
                    settings.json = true;
                    continue;
                }
                "--no-count" => {
                    settings.count = false;
                    continue;
                }
                "-o" => {
                    settings.output = Some(words.text(word)?);
                    continue;
                }
                "--only" => {
                    settings.specs =
                        words.text(word)?.split(',').map(spec).collect::<Result<_, _>>()?;
                    continue;
                }
                "--work" => {
                    settings.works =
                        words.text(word)?.split(',').map(work).collect::<Result<_, _>>()?;
                    continue;
                }
                "--help" | "-h" => Mode::Help,
                "--list" => Mode::List,
                "--count" => Mode::Count {
                    name: words.text(word)?,
                    work: words.work(word)?,
                    calls: words.number(word)?,
                },
                "--worst" => Mode::Worst { name: words.text(word)?, holes: words.number(word)? },
                "--resident" => Mode::Resident {
                    name: words.text(word)?,
                    work: words.work(word)?,
                    calls: words.number(word)?,
                },
                "--overhead" => {
                    Mode::Overhead { name: words.text(word)?, size: words.number(word)? }
                }
                "--compact" => Mode::Compact {
                    raw: words.text(word)?,
                    trace: words.text(word)?,
                    from: words.number(word)?,
                },
                other => return Err(format!("unknown argument `{other}`")),
            };
            return Ok(Self { mode });
        }
        Ok(Self { mode: Mode::Measure(settings) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Mode, String> {
        Args::parse(line.split_whitespace().map(str::to_owned)).map(|args| args.mode)
    }

    #[test]
    fn arguments() {
        let Ok(Mode::Measure(settings)) = parse("--runs 3 --only rlsf,glibc --json -o x.svg")
        else {
            panic!("not a measurement");
        };
        assert_eq!((settings.runs, settings.specs.len(), settings.json), (3, 2, true));
        assert_eq!(settings.output.as_deref(), Some("x.svg"));
        assert!(matches!(parse("--count rlsf mixed 10"), Ok(Mode::Count { calls: 10, .. })));
    }

    #[test]
    fn wrong_arguments_say_what_is_wrong() {
        for (line, text) in [
            ("--runs", "needs a value"),
            ("--runs x", "not a number"),
            ("--runs 0", "at least 1"),
            ("--only nobody", "known are ukalloctlsf"),
            ("--work nothing", "known are pair-16"),
            ("--quik", "unknown argument"),
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.contains(text), "{line}: {message}");
        }
    }
}
