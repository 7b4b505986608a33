//! QEMU's monitor, as far as it is needed: asking a machine to shut down. It speaks JSON, a line for
//! each message (QEMU Machine Protocol specification, in QEMU's `docs/interop/qmp-spec`).

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(2);
/// Messages that are no answer and come before one at most.
const MAX_EVENTS: usize = 1000;

/// A connection.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects to the socket of a machine.
    ///
    /// # Errors
    /// Nobody is there, or speaks another language.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let mut this = Self { stream: BufReader::new(stream) };
        this.message("QMP")?;
        this.execute("qmp_capabilities")?;
        Ok(this)
    }

    /// Presses the machine's power button.
    ///
    /// # Errors
    /// The machine is gone, or has none.
    pub fn power_down(&mut self) -> io::Result<()> {
        self.execute("system_powerdown")
    }

    fn execute(&mut self, command: &str) -> io::Result<()> {
        let line = format!("{}\n", json!({ "execute": command }));
        self.stream.get_mut().write_all(line.as_bytes())?;
        self.message("return")
    }

    /// Waits for the message with a key; others, of events, may come before.
    fn message(&mut self, key: &str) -> io::Result<()> {
        for _ in 0..MAX_EVENTS {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let message: Value = serde_json::from_str(&line)?;
            if message.get(key).is_some() {
                return Ok(());
            }
            if let Some(error) = message.get("error") {
                return Err(io::Error::other(error.to_string()));
            }
        }
        Err(io::Error::other("it does not answer"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// A machine that says these lines, one before and one after each that it hears; what it heard.
    fn machine(lines: &'static [&'static str]) -> (io::Result<()>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("monitor");
        let listener = UnixListener::bind(&path).unwrap();
        let machine = std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            let mut heard = Vec::new();
            let mut reader = BufReader::new(&stream);
            for line in lines {
                // The other end may have heard enough.
                let _ = writeln!(&stream, "{line}");
                let mut line = String::new();
                if !matches!(reader.read_line(&mut line), Ok(1..)) {
                    break;
                }
                heard.push(line.trim().to_owned());
            }
            heard
        });
        let result = Monitor::connect(&path).and_then(|mut monitor| monitor.power_down());
        (result, machine.join().unwrap())
    }

    #[test]
    fn the_button_is_pressed() {
        let (result, heard) = machine(&[
            r#"{"QMP": {"version": {}, "capabilities": []}}"#,
            r#"{"return": {}}"#,
            "{\"event\": \"POWERDOWN\"}\n{\"return\": {}}",
        ]);
        result.unwrap();
        assert_eq!(
            heard,
            [r#"{"execute":"qmp_capabilities"}"#, r#"{"execute":"system_powerdown"}"#]
        );
    }

    #[test]
    fn strange_answers_are_errors() {
        for lines in [
            &["no JSON"][..],
            &[r#"{"error": {"desc": "no"}}"#],
            &[r#"{"QMP": {}}"#, r#"{"error": {"desc": "no"}}"#],
            &[r#"{"QMP": {}}"#, "[]\n7\n\"return\"\nnull"],
            &[r#"{"QMP": {}}"#],
        ] {
            assert!(machine(lines).0.is_err(), "{lines:?}");
        }
        assert!(Monitor::connect(Path::new("/nowhere")).is_err());
    }
}
