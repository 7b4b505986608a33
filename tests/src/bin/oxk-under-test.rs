//! The tool, built for the tests in this package.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    oxk::cli::main()
}
