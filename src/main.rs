//! The `conveyor` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    conveyor::app::install_report();
    ExitCode::from(conveyor::app::main(std::env::args_os().collect()))
}
