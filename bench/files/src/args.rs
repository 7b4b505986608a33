//! The command line.

/// For `--help`.
pub const HELP: &str = "\
Measures calls on small files side by side. `oxk bench files` builds the images and calls this.

bench-files --run NAME=COMMAND... [--linux NAME=PROGRAM] [--runs N] [--quick] [--json] [-o FILE]
  --run NAME=COMMAND    an image of apps/filebench: its name in the tables, and a command for a shell
                        that starts it, to which the number of repetitions is added
  --linux NAME=PROGRAM  the same program, of Linux; it is run in a directory of /dev/shm
  --runs N              rounds over all [20]
  --quick               few repetitions
  --json                print JSON
  -o FILE               write bars (SVG)
";

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Args {
    /// Names and commands of images.
    pub images: Vec<(String, String)>,
    /// Names and paths of programs.
    pub programs: Vec<(String, String)>,
    /// Rounds over all.
    pub runs: u32,
    /// How often things are done in a round.
    pub thousands: u64,
    /// JSON instead of tables.
    pub json: bool,
    /// Where bars go.
    pub output: Option<String>,
}

impl Args {
    /// Reads the arguments; `None` when help is wanted.
    ///
    /// # Errors
    /// A message.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = Self {
            images: Vec::new(),
            programs: Vec::new(),
            runs: 20,
            thousands: 50,
            json: false,
            output: None,
        };
        while let Some(word) = words.next() {
            let word = word.as_str();
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            let named = |text: String| match text.split_once('=') {
                Some((name, what)) => Ok((name.to_owned(), what.to_owned())),
                None => Err(format!("`{word}` takes a name, `=`, and what it stands for")),
            };
            match word {
                "--help" | "-h" => return Ok(None),
                "--run" => args.images.push(named(value()?)?),
                "--linux" => args.programs.push(named(value()?)?),
                "--runs" => {
                    let text = value()?;
                    let number = text.parse().ok().filter(|n| (1..=10_000).contains(n));
                    args.runs = number.ok_or_else(|| {
                        format!("`{word}`: `{text}` is not a number from 1 to 10000")
                    })?;
                }
                "--quick" => args.thousands = 5,
                "--json" => args.json = true,
                "-o" => args.output = Some(value()?),
                other => return Err(format!("unknown argument `{other}`")),
            }
        }
        Ok(Some(args))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Args>, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments() {
        let expected = Args {
            images: vec![("ramfs".into(), "/x=y".into())],
            programs: vec![("tmpfs".into(), "/z".into())],
            runs: 3,
            thousands: 5,
            json: true,
            output: Some("f.svg".into()),
        };
        let line = "--run ramfs=/x=y --linux tmpfs=/z --runs 3 --quick --json -o f.svg";
        assert_eq!(parse(line), Ok(Some(expected)));
        assert_eq!(parse("--help"), Ok(None));
    }

    #[test]
    fn wrong_arguments_say_what_is_wrong() {
        for (line, text) in [
            ("--runs", "needs a value"),
            ("--runs 0", "not a number from 1"),
            ("--run x", "a name, `=`"),
            ("--quik", "unknown argument"),
        ] {
            let message = parse(line).unwrap_err();
            assert!(message.contains(text), "{line}: {message}");
        }
    }
}
