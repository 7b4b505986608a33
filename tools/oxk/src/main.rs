//! `oxk`, also `cargo oxk` in the repository: see `oxk --help`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    oxk::cli::main()
}
