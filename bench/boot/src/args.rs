//! The command line.

/// For `--help`.
pub const HELP: &str = "\
Measures the start of images. `oxk bench boot` builds them and calls this.

bench-boot [--run NAME=LINE]... [--calls NAME=LINE]... [--tender PATH --image PATH]
           [--runs N] [--quick] [--json] [-o FILE]
  --run NAME=LINE    a shell command that runs hello, printing its boot times
  --calls NAME=LINE  a shell command that measures calls of the platform
  --tender PATH      the monitor, measured in parts
  --image PATH       hello for it
  --runs N           how often each is run [20]
  --quick            two sizes of memory only
  --json             print JSON
  -o FILE            write bars (SVG)
";

/// What to measure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args {
    /// Names and shell commands.
    pub runs_of: Vec<(String, String)>,
    /// Names and shell commands.
    pub calls: Vec<(String, String)>,
    /// Paths of monitor and image.
    pub tender: Option<(String, String)>,
    /// Rounds.
    pub runs: u32,
    /// Less.
    pub quick: bool,
    /// JSON instead of tables.
    pub json: bool,
    /// Where bars go.
    pub output: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Print the help.
    Help,
    /// Measure.
    Measure(Args),
}

/// Reads the arguments.
///
/// # Errors
/// A message.
pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Mode, String> {
    let mut args = Args { runs: 20, ..Args::default() };
    let (mut tender, mut image) = (None, None);
    while let Some(word) = words.next() {
        let word = word.as_str();
        let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
        let pair = |text: String| match text.split_once('=') {
            Some((name, line)) => Ok((name.to_owned(), line.to_owned())),
            None => Err(format!("`{word}` takes a name, `=`, and a command")),
        };
        match word {
            "--help" | "-h" => return Ok(Mode::Help),
            "--run" => args.runs_of.push(pair(value()?)?),
            "--calls" => args.calls.push(pair(value()?)?),
            "--tender" => tender = Some(value()?),
            "--image" => image = Some(value()?),
            "--runs" => {
                let text = value()?;
                let number = text.parse().ok().filter(|n| (1..=10_000).contains(n));
                args.runs = number
                    .ok_or_else(|| format!("`--runs`: `{text}` is not a number from 1 to 10000"))?;
            }
            "--quick" => args.quick = true,
            "--json" => args.json = true,
            "-o" => args.output = Some(value()?),
            other => return Err(format!("unknown argument `{other}`")),
        }
    }
    args.tender = match (tender, image) {
        (Some(tender), Some(image)) => Some((tender, image)),
        (None, None) => None,
        _ => return Err("`--tender` and `--image` go together".into()),
    };
    Ok(Mode::Measure(args))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Mode, String> {
        parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn lines_are_read_or_refused() {
        let Ok(Mode::Measure(args)) = line("--run a=b --tender t --image i --runs 3 --quick")
        else {
            panic!("is understood")
        };
        assert_eq!((args.runs, args.quick, args.tender.is_some()), (3, true, true));
        assert_eq!(args.runs_of, [("a".to_owned(), "b".to_owned())]);
        for (text, cause) in [
            ("--run x", "takes a name"),
            ("--runs 0", "not a number"),
            ("--runs", "needs a value"),
            ("--tender t", "go together"),
            ("--fast", "unknown argument"),
        ] {
            assert!(line(text).unwrap_err().contains(cause), "{text}");
        }
    }
}
