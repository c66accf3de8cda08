//! The command `holdfast`.

use std::process::ExitCode;

fn main() -> ExitCode {
    holdfast_sidecar::cli::main()
}
