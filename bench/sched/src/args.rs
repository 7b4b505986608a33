//! The command line.

/// For `--help`.
pub const HELP: &str = "\
Measures threads, locks and tasks side by side. `oxk bench sched` builds the images and calls this.

bench-sched --image NAME=PATH... [--runs N] [--quick] [--json] [-o FILE]
  --image NAME=PATH  an image of apps/schedbench for linuxu, and its name in the tables
  --runs N           rounds over all [20]
  --quick            few repetitions
  --json             print JSON
  -o FILE            write bars (SVG)

One part in this process, which writes a line for each measurement; N thousand times each:
  --bare N, --bare-control N, --posix N, --posix-cpus N, --tasks N
";

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Names and paths of images.
    pub images: Vec<(String, String)>,
    /// Rounds over all.
    pub runs: u32,
    /// How often things are done in a round.
    pub thousands: u64,
    /// JSON instead of tables.
    pub json: bool,
    /// Where bars go.
    pub output: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Help,
    Bare(u64),
    BareControl(u64),
    Posix(u64),
    PosixCpus(u64),
    Tasks(u64),
    Compare(Args),
}

impl Args {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A message.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Mode, String> {
        let mut args =
            Self { images: Vec::new(), runs: 20, thousands: 100, json: false, output: None };
        while let Some(word) = words.next() {
            let word = word.as_str();
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            let number = |text: String| match text.parse() {
                Ok(number @ 1..=10_000) => Ok(number),
                _ => Err(format!("`{word}`: `{text}` is not a number from 1 to 10000")),
            };
            match word {
                "--help" | "-h" => return Ok(Mode::Help),
                "--bare" => return Ok(Mode::Bare(number(value()?)?)),
                "--bare-control" => return Ok(Mode::BareControl(number(value()?)?)),
                "--posix" => return Ok(Mode::Posix(number(value()?)?)),
                "--posix-cpus" => return Ok(Mode::PosixCpus(number(value()?)?)),
                "--tasks" => return Ok(Mode::Tasks(number(value()?)?)),
                "--image" => {
                    let text = value()?;
                    let (name, path) =
                        text.split_once('=').ok_or("`--image` takes a name, `=`, and a path")?;
                    args.images.push((name.to_owned(), path.to_owned()));
                }
                "--runs" => args.runs = number(value()?)? as u32,
                "--quick" => args.thousands = 10,
                "--json" => args.json = true,
                "-o" => args.output = Some(value()?),
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        Ok(Mode::Compare(args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Mode, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments() {
        let mode = parse("--image coop=/x --image preempt=/y=z --runs 3 --quick --json -o f.svg");
        let expected = Args {
            images: vec![("coop".into(), "/x".into()), ("preempt".into(), "/y=z".into())],
            runs: 3,
            thousands: 10,
            json: true,
            output: Some("f.svg".into()),
        };
        assert_eq!(mode, Ok(Mode::Compare(expected)));
        assert_eq!(parse("--posix 7"), Ok(Mode::Posix(7)));
    }

    #[test]
    fn wrong_arguments_say_what_is_wrong() {
        for (line, text) in [
            ("--runs", "needs a value"),
            ("--runs x", "not a number"),
            ("--tasks 0", "not a number from 1"),
            ("--image coop", "a name, `=`"),
            ("--quik", "unknown argument"),
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.contains(text), "{line}: {message}");
        }
    }
}
